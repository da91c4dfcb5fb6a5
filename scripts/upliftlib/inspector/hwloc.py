# SPDX-License-Identifier: GPL-2.0-only
"""What is known of each CPU from an XML file of hwloc (lstopo FILE.xml), of version 1 or 2.

A cache is an object of a tree there, and its cpuset says which CPUs share it. It has no id, and nothing of the
scheduler's view.
"""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

from . import facts, model

MOST_OBJECTS = 200000
KINDS = {"IntelCore": "P-core", "IntelAtom": "E-core"}
CACHE = re.compile(r"L([1-9])(i?)Cache$")
TYPES = {"0": "unified", "1": "data", "2": "instruction"}


def cpuset(text: str, where: str) -> frozenset[int]:
    """The numbers of hwloc's "0xff,0x00000003"; of an infinite one what is written out."""
    words = text.strip().removeprefix("0xf...f").strip(",").split(",")
    if len(words) * 32 > model.MOST or not all(re.fullmatch(r"(0x)?[0-9a-fA-F]{0,8}", word) for word in words):
        raise model.Bad(f"{where}: a set like '0xff,0x3' is wanted, not '{text.strip():.40}'")
    value = int("".join(word.removeprefix("0x").rjust(8, "0") for word in words) or "0", 16)
    return frozenset(number for number, bit in enumerate(reversed(f"{value:b}")) if bit == "1")


@dataclasses.dataclass(frozen=True)
class Place:
    """What surrounds an object of the tree."""
    caches: tuple[facts.Cache, ...] = ()
    package: int | None = None
    node: int | None = None
    die: int | None = None
    core: frozenset[int] = frozenset()


class Reader:
    """Walks the tree once."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.cpus: dict[int, facts.Fact] = {}
        self.memory: dict[int, int] = {}
        self.nodes: dict[int, int | None] = {}	# by CPU, of version 2
        self.left = MOST_OBJECTS

    def _set(self, item: ElementTree.Element, name: str = "cpuset") -> frozenset[int]:
        return cpuset(item.get(name) or "0x0", f"{self.where}: {name} of a {item.get('type', 'thing')[:20]}")

    def _number(self, item: ElementTree.Element, name: str) -> int | None:
        word = item.get(name, "")
        if not re.fullmatch(r"-?\d{1,18}", word):
            return None
        # it has no sign there
        return -1 if word in ("4294967295", "-1") else int(word)

    def _cache(self, item: ElementTree.Element) -> facts.Cache | None:
        match = CACHE.match(item.get("type", ""))
        level = int(match[1]) if match else self._number(item, "depth") if item.get("type") == "Cache" else None
        if level is None or not 0 < level < 16:
            return None
        kind = TYPES.get(item.get("cache_type", "0"), "unified")
        size = self._number(item, "cache_size") or 0
        ways = self._number(item, "cache_associativity") or 0
        return facts.Cache(level, kind, self._set(item), size >> 10 or None, ways if ways > 0 else None,
                           self._number(item, "cache_linesize") or None)

    def _node(self, item: ElementTree.Element) -> int | None:
        number = self._number(item, "os_index")
        if number is not None and (memory := self._number(item, "local_memory")):
            self.memory[number] = memory >> 10
        return number

    def _inside(self, item: ElementTree.Element, place: Place) -> Place:
        """What surrounds the children of an object."""
        kind = item.get("type", "")
        if cache := self._cache(item):
            return dataclasses.replace(place, caches=(*place.caches, cache))
        if kind in ("Package", "Socket"):
            return dataclasses.replace(place, package=self._number(item, "os_index"))
        if kind == "Die":
            return dataclasses.replace(place, die=self._number(item, "os_index"))
        if kind == "Core":
            return dataclasses.replace(place, core=self._set(item))
        if kind == "NUMANode":
            return dataclasses.replace(place, node=self._node(item))
        return place

    def walk(self, item: ElementTree.Element, place: Place) -> None:
        """Take in an object and all below it."""
        self._count()
        if item.get("type") == "PU":
            self._pu(item, place)
        inner = self._inside(item, place)
        for child in item.findall("object"):
            # memory hangs beside the CPUs that it is near to, in version 2
            if child.get("type") == "NUMANode" and child.find("object") is None:
                self._beside(child)
            else:
                self.walk(child, inner)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise model.Bad(f"{self.where}: more than {MOST_OBJECTS} objects: that is no machine")

    def _beside(self, item: ElementTree.Element) -> None:
        self._count()
        number = self._node(item)
        for cpu in self._set(item):
            self.nodes.setdefault(cpu, number)

    def _pu(self, item: ElementTree.Element, place: Place) -> None:
        cpu = self._number(item, "os_index")
        if cpu is None or not 0 <= cpu < model.MOST or cpu in self.cpus:
            raise model.Bad(f"{self.where}: a PU without a number, or with another's")
        self.cpus[cpu] = facts.Fact(caches=list(place.caches), package=place.package, node=place.node, die=place.die,
                                    core=facts.with_cpu(place.core, cpu))


def _infos(item: ElementTree.Element) -> dict[str, str]:
    return {info.get("name", ""): model.plain(info.get("value", "")[:200]) for info in item.findall("info")}


def _about(machine: ElementTree.Element, kernel: str) -> tuple[str, model.About]:
    """(kernel's release, what machine it is); the host's name, which is there, is left alone."""
    infos = _infos(machine)
    for package in machine.iter("object"):
        if package.get("type") in ("Package", "Socket"):
            infos = _infos(package) | infos
            break
    release = infos.get("OSRelease") or kernel
    return release, model.About(model=infos.get("CPUModel", "") or infos.get("DMIProductName", ""),
                                hypervisor=infos.get("Hypervisor", ""))


def _kinds(root: ElementTree.Element, found: facts.Facts, where: str) -> None:
    for kind in root.findall("cpukind"):
        name = KINDS.get(_infos(kind).get("CoreType", ""), _infos(kind).get("CoreType", ""))
        for cpu in cpuset(kind.get("cpuset", "0x0"), f"{where}: cpukind") & found.online:
            found.cpu[cpu].kind = name or f"kind {model.plain(kind.get('forced_efficiency', '?')[:8])}"


def _tree(text: str, where: str) -> tuple[ElementTree.Element, ElementTree.Element]:
    if "<!ENTITY" in text:
        raise model.Bad(f"{where}: it declares entities, which no XML of hwloc does")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise model.Bad(f"{where}: not XML ({error}): is it cut short?") from None
    machine = root.find("object")
    if root.tag != "topology" or machine is None or machine.get("type") not in ("Machine", "System"):
        raise model.Bad(f"{where}: no topology of hwloc (lstopo FILE.xml makes one)")
    return root, machine


def read(text: str, where: str) -> facts.Facts:
    """The Facts of an XML file."""
    root, machine = _tree(text, where)
    reader = Reader(where)
    try:
        reader.walk(machine, Place())
    except RecursionError:
        raise model.Bad(f"{where}: nested too deep: that is no machine") from None
    if not reader.cpus:
        raise model.Bad(f"{where}: no CPU (PU) in it")
    online = frozenset(reader.cpus)
    for name in ("online_cpuset", "cpuset"):
        if machine.get(name):
            online &= cpuset(machine.get(name, ""), f"{where}: {name}") or online
    complete = cpuset(machine.get("complete_cpuset", "0x0"), f"{where}: complete_cpuset")
    kernel, about = _about(machine, "kernel unknown")
    found = facts.Facts(kernel, complete | frozenset(reader.cpus), online,
                        {cpu: fact for cpu, fact in sorted(reader.cpus.items()) if cpu in online},
                        memory_kib=reader.memory, about=about, source="hwloc")
    for cpu, fact in found.cpu.items():
        if fact.node is None:
            fact.node = reader.nodes.get(cpu)
    _kinds(root, found, where)
    return found
