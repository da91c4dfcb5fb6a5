# SPDX-License-Identifier: GPL-2.0-only
"""Caches for a machine that its device tree describes: QEMU's has none in it, and no option for them.

    read(data)		a flattened device tree as Nodes
    write(root)		the reverse
    add_caches()	to its CPUs
    with_caches()	a QEMU command line with a device tree that has them

The format is that of the Devicetree Specification 0.4, chapter 5.
"""

import dataclasses
import pathlib
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from ...base import errors
from . import stream

_MAGIC, _VERSION, _COMPATIBLE = 0xd00dfeed, 17, 16
_BEGIN, _END, _PROPERTY, _NOP, _LAST = 1, 2, 3, 4, 9
_HEADER = struct.Struct(">10I")
_LINE = 64
_L1, _L2, _L3 = (64 << 10, 4), (1 << 20, 8), (16 << 20, 16)	# bytes, ways


@dataclasses.dataclass
class Node:
    """A node of the tree. @properties: in their order"""
    name: str
    properties: dict[str, bytes] = dataclasses.field(default_factory=dict)
    nodes: list["Node"] = dataclasses.field(default_factory=list)

    def all(self) -> Iterator["Node"]:
        """It, and all below it."""
        yield self
        for node in self.nodes:
            yield from node.all()


@dataclasses.dataclass(frozen=True)
class Caches:
    """@cpus: that share a level 3, 0 where there is none
    @threads: of a core, which share its level 2
    """
    cpus: int
    threads: int = 1


def _cells(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _text(data: bytes, at: int) -> str:
    return data[at:data.index(b"\0", at)].decode("ascii")


def read(data: bytes) -> Node:
    """The root of a flattened tree; ValueError where it is none."""
    try:
        magic, _, at, strings, *_ = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError("no device tree")
        return _read(data, at, strings)
    except (struct.error, IndexError, UnicodeDecodeError) as problem:
        raise ValueError(f"a device tree that is cut short: {problem}") from None


def _read(data: bytes, at: int, strings: int) -> Node:
    open_: list[Node] = [Node("")]
    while True:
        (token,) = struct.unpack_from(">I", data, at)
        at += 4
        if token == _BEGIN:
            node = Node(_text(data, at))
            at += len(node.name) // 4 * 4 + 4
            open_[-1].nodes.append(node)
            open_.append(node)
        elif token == _END:
            open_.pop()
        elif token == _PROPERTY:
            size, name = struct.unpack_from(">2I", data, at)
            open_[-1].properties[_text(data, strings + name)] = data[at + 8:at + 8 + size]
            at += 8 + (size + 3) // 4 * 4
        elif token == _LAST:
            return open_[0].nodes[0]
        elif token != _NOP:
            raise ValueError(f"a device tree with token {token}")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _tokens(node: Node, strings: dict[str, int]) -> Iterator[bytes]:
    """A node's part of the structure block. @strings: offsets of names, to which new ones are added"""
    yield _cells(_BEGIN) + _padded(node.name.encode() + b"\0")
    for name, value in node.properties.items():
        offset = strings.setdefault(name, sum(len(known) + 1 for known in strings))
        yield _cells(_PROPERTY, len(value), offset) + _padded(value)
    for below in node.nodes:
        yield from _tokens(below, strings)
    yield _cells(_END)


def write(root: Node) -> bytes:
    """A flattened tree, without reserved memory, as QEMU's has none."""
    offsets: dict[str, int] = {}
    tokens = b"".join(_tokens(root, offsets)) + _cells(_LAST)
    strings = b"".join(name.encode() + b"\0" for name in offsets)
    at = _HEADER.size + 16		# behind an empty list of reserved memory
    header = _HEADER.pack(_MAGIC, at + len(tokens) + len(strings), at, at + len(tokens), _HEADER.size, _VERSION, _COMPATIBLE,
                          0, len(strings), len(tokens))
    return header + bytes(16) + tokens + strings


def _geometry(kind: str, size: int, ways: int) -> dict[str, bytes]:
    """Properties of a cache. @kind: "", "i-", "d-" of its properties' names"""
    return {f"{kind}cache-size": _cells(size), f"{kind}cache-line-size": _cells(_LINE),
            f"{kind}cache-sets": _cells(size // _LINE // ways)}


def _cache(level: int, number: int, phandle: int, geometry: tuple[int, int]) -> Node:
    return Node(f"l{level}-cache{number}", {
        "phandle": _cells(phandle), "compatible": b"cache\0", "cache-level": _cells(level), "cache-unified": b"",
        **_geometry("", *geometry)})


def _cpus(root: Node) -> tuple[Node, list[Node]]:
    """The node that holds CPUs, and these in the kernel's order."""
    holder = next((node for node in root.nodes if node.name == "cpus"), None)
    if holder is None:
        raise ValueError("a device tree without CPUs")
    found = [node for node in holder.nodes if node.properties.get("device_type") == b"cpu\0"]
    return holder, sorted(found, key=lambda cpu: cpu.properties["reg"])


def add_caches(root: Node, caches: Caches) -> None:
    """Give each CPU its own level 1, each core a level 2, and each so many CPUs a level 3."""
    holder, cpus = _cpus(root)
    phandle = 1 + max((int.from_bytes(node.properties["phandle"], "big") for node in root.all() if "phandle" in node.properties),
                      default=0)
    last: dict[tuple[int, int], Node] = {}

    def shared(level: int, number: int, geometry: tuple[int, int]) -> Node:
        nonlocal phandle
        if (level, number) not in last:
            last[level, number] = _cache(level, number, phandle, geometry)
            holder.nodes.append(last[level, number])
            phandle += 1
        return last[level, number]

    for number, cpu in enumerate(cpus):
        cpu.properties |= _geometry("i-", *_L1) | _geometry("d-", *_L1)
        second = shared(2, number // caches.threads, _L2)
        cpu.properties["next-level-cache"] = second.properties["phandle"]
        if caches.cpus:
            second.properties["next-level-cache"] = shared(3, number // caches.cpus, _L3).properties["phandle"]


def with_caches(argv: Sequence[str], environment: Mapping[str, str], caches: Caches, directory: pathlib.Path) -> list[str]:
    """QEMU's command line with the device tree that it would make, and caches in that. @directory: the guest's"""
    path = directory / "devicetree"
    done = subprocess.run([*argv, "-machine", f"dumpdtb={stream.comma(path)}"], env=dict(environment), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode or not path.exists():
        said = done.stdout.strip().splitlines() or [f"status {done.returncode}"]
        raise errors.Problem(f"QEMU gives no device tree: {said[-1]}")
    root = read(path.read_bytes())
    add_caches(root, caches)
    path.write_bytes(write(root))
    return [*argv, "-dtb", str(path)]
