# SPDX-License-Identifier: GPL-2.0-only
"""Processes that work together: those that a pipe, a socket or shared memory connects. The scheduler gathers the threads of
one process, and knows nothing of several that share data; these are candidates for one group.

    pipe	one end in one of them, the other end in the other
    socket	ends of a connection of this machine: inherited, AF_UNIX (sock_diag), or TCP to itself
    memory	one file, or piece of anonymous shared memory, mapped as shared and for writing by both
"""

import collections
import collections.abc
import dataclasses
import os
import pathlib
import re
import socket
import struct

from . import model

# None of the targets has one; a later kernel may.
NOTE = ("no kernel that this uplift knows has a prctl() that makes a group of several processes, they gather the threads of "
        "one; a cpuset with one domain's CPUs keeps a group together")
HUB = 8		# partners above which a process serves everybody: a bus, a display server
IGNORED = ("/dev/dri", "/dev/nvidia")	# mapped as shared, and nothing is shared
Key = tuple[str, object]


@dataclasses.dataclass
class Link:
    """What connects two processes: {"pipe": 2}."""
    one: int
    other: int
    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def words(self) -> str:
        return ", ".join(f"{number} {kind}{'s' if number > 1 and kind != 'memory' else ''}"
                         for kind, number in sorted(self.kinds.items()))


@dataclasses.dataclass
class Found:
    """@groups: pids that belong together; @hubs: processes with too many partners to be in one."""
    groups: list[list[int]]
    links: dict[tuple[int, int], Link]
    hubs: dict[int, int]
    names: dict[int, str]
    unreadable: int = 0


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _descriptors(directory: pathlib.Path) -> collections.abc.Iterator[Key]:
    """("socket", inode), or of a pipe ("read", inode) and ("write", inode), of a process's open files."""
    for path in directory.iterdir():
        try:
            match = re.fullmatch(r"(pipe|socket):\[(\d+)\]", os.readlink(path))
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        if match and match[1] == "socket":
            yield "socket", int(match[2])
        elif match:
            yield from (("read", int(match[2])),) if mode & 0o400 else ()
            yield from (("write", int(match[2])),) if mode & 0o200 else ()


def _memory(maps: str) -> collections.abc.Iterator[Key]:
    """("memory", (device, inode)) of what is mapped as shared and can be written."""
    for line in maps.splitlines():
        match = re.match(r"[0-9a-f]+-[0-9a-f]+ .w.s [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+) (\d+)\s*(.*)", line)
        if match and int(match[2]) and not match[3].startswith(IGNORED):
            yield "memory", (match[1], int(match[2]))


def _address(words: str) -> str:
    """An address of /proc/net/tcp, with one of IPv4 within IPv6 as the former."""
    return words.removeprefix("0000000000000000FFFF0000")


def tcp_pairs(proc: pathlib.Path) -> dict[int, int]:
    """Socket -> its peer on this machine."""
    by_ends: dict[tuple[str, str], int] = {}
    for name in ("net/tcp", "net/tcp6"):
        for line in _text(proc / name).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == "01" and fields[9].isdecimal():
                by_ends[_address(fields[1]), _address(fields[2])] = int(fields[9])
    return {inode: by_ends[other, one] for (one, other), inode in by_ends.items() if (other, one) in by_ends}


def _unix_message(data: bytes) -> tuple[int, int] | None:
    """(inode, peer's inode) of a sock_diag answer."""
    inode, at, peer = struct.unpack_from("=I", data, 4)[0], 16, 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            break
        if kind == 2 and size >= 8:	# UNIX_DIAG_PEER
            peer = struct.unpack_from("=I", data, at + 4)[0]
        at += (size + 3) & ~3
    return (inode, peer) if peer else None


def unix_pairs() -> dict[int, int]:
    """Socket -> its peer, as the kernel tells by netlink; {} where it does not."""
    found: dict[int, int] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as link:	# NETLINK_SOCK_DIAG
            link.settimeout(2)
            # nlmsghdr: SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP; unix_diag_req: UDIAG_SHOW_PEER of all states
            request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xffffffff, 0, 4, 0, 0)
            link.send(struct.pack("=IHHII", 16 + len(request), 20, 0x301, 1, 0) + request)
            while _answers(link.recv(1 << 18), found):
                pass
    except OSError:
        pass
    return found


def _answers(data: bytes, found: dict[int, int]) -> bool:
    """Take what one message has; whether there are more."""
    at = 0
    while at + 16 <= len(data):
        size, kind = struct.unpack_from("=IH", data, at)
        if kind != 20 or size < 32:	# done, or an error
            return False
        if pair := _unix_message(data[at + 16:at + size]):
            found[pair[0]] = pair[1]
        at += (size + 3) & ~3
    return True


def _channels(proc: pathlib.Path, found: Found) -> dict[Key, set[int]]:
    """What processes have open, and which; without this one, which its output may connect to another (uplift ... | less)."""
    channels: dict[Key, set[int]] = collections.defaultdict(set)
    ours = os.readlink(proc / "self") if (proc / "self").is_symlink() else ""
    for path in proc.iterdir():
        if not path.name.isdecimal() or path.name == ours:
            continue
        pid = int(path.name)
        try:
            keys = {*_descriptors(path / "fd"), *_memory((path / "maps").read_text(errors="replace"))}
        except OSError:
            found.unreadable += 1
            continue
        found.names[pid] = model.plain(_text(path / "comm").strip())
        for key in keys:
            channels[key].add(pid)
    return channels


def _sides(channels: dict[Key, set[int]], peers: dict[int, int], key: Key) -> tuple[str, set[int], set[int]] | None:
    """(kind, processes at one end, at the other) of a channel; None where another key stands for it."""
    kind, what = key
    if kind == "read":
        return "pipe", channels[key], channels.get(("write", what), set())
    if kind == "memory":
        return kind, channels[key], channels[key]
    if kind == "socket" and isinstance(what, int):
        peer = channels.get(("socket", peers.get(what)), set())
        # one that was inherited has one number in all; a connection of two is met twice
        return (kind, channels[key], peer or channels[key]) if not peer or peers[what] > what else None
    return None


def links(channels: dict[Key, set[int]], peers: dict[int, int]) -> dict[tuple[int, int], Link]:
    """Which processes are connected, and by what."""
    found: dict[tuple[int, int], Link] = {}
    for key in channels:
        sides = _sides(channels, peers, key)
        if sides is None:
            continue
        for one, other in {(min(one, other), max(one, other)) for one in sides[1] for other in sides[2] if one != other}:
            found.setdefault((one, other), Link(one, other)).kinds[sides[0]] += 1
    return found


def _components(edges: collections.abc.Iterable[tuple[int, int]]) -> list[list[int]]:
    of: dict[int, set[int]] = {}
    for one, other in edges:
        both = of.get(one, {one}) | of.get(other, {other})
        for pid in both:
            of[pid] = both
    return [list(group) for group in sorted({tuple(sorted(group)) for group in of.values()})]


def look(proc: pathlib.Path = pathlib.Path("/proc"), pids: collections.abc.Iterable[int] = (),
         peers: dict[int, int] | None = None) -> Found:
    """The groups of a machine; with @pids those with one of them."""
    found = Found([], {}, {}, {})
    wanted = frozenset(pids)
    known = {**tcp_pairs(proc), **(unix_pairs() if peers is None else peers)}
    found.links = links(_channels(proc, found), known)
    partners: collections.Counter[int] = collections.Counter(pid for pair in found.links for pid in pair)
    found.hubs = {pid: number for pid, number in partners.items() if number > HUB}
    groups = _components(pair for pair in found.links if not set(pair) & set(found.hubs))
    found.groups = [group for group in groups if not wanted or set(group) & wanted]
    return found


def render(found: Found, most: int | None = 10) -> str:
    """For people."""
    out = []
    shown = found.groups[:most]
    for number, group in enumerate(shown, 1):
        out.append(f"group {number}: " + ", ".join(f"{found.names.get(pid, '?')} {pid}" for pid in group))
        out += [f"  {one} and {other}: {link.words()}" for (one, other), link in sorted(found.links.items())
                if one in group and other in group]
    if not found.groups:
        out.append("no processes that a pipe, a socket or shared memory connects")
    if len(found.groups) > len(shown):
        out.append(f"and {len(found.groups) - len(shown)} groups more: --all")
    for pid, number in sorted(found.hubs.items(), key=lambda item: -item[1]):
        out.append(f"left out: {found.names.get(pid, '?')} {pid}, which is connected to {number} processes")
    if found.unreadable and os.geteuid():	# to root only what ended meanwhile is
        out.append(f"{found.unreadable} processes could not be looked into: run this as root")
    out.append(f"Note: {NOTE}")
    return "\n".join(out) + "\n"
