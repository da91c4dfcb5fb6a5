# SPDX-License-Identifier: GPL-2.0-only
"""The inspector beside lstopo, hwloc's program, which reads the same trees by its own code: which CPUs there are, which share
the last cache that each of them has, and which belong to which node.

hwloc reads masks where the inspector takes lists: the masks are written here, from the lists, by no code of the inspector's.
"""

import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import llc_machines	# noqa: E402
import llc_random	# noqa: E402
from upliftlib.base import paths	# noqa: E402
from upliftlib.inspector import layout, model, source	# noqa: E402

LSTOPO = shutil.which("lstopo-no-graphics")
CAPTURES = paths.TOP / "selftests/fixtures/llc"
MASKS = {"core_cpus_list": ("core_cpus", "thread_siblings"), "thread_siblings_list": ("thread_siblings",),
         "package_cpus_list": ("package_cpus", "core_siblings"), "shared_cpu_list": ("shared_cpu_map",), "cpulist": ("cpumap",)}
# Masks that hwloc cannot put into a tree, as they cross, or are not mutual: it leaves caches out, or splits them.
NO_TREE = {"crossed-siblings", "epyc-hotplug-ids", "epyc-hotplug", "epyc-not-mutual"}
# Caches that do not say which CPUs they are of: hwloc takes another level, the inspector says that it is not known.
UNKNOWN = {"no-list", "empty-list"}
Cpus = frozenset[int]


def numbers(text: str) -> Cpus:
    """0-2,8 -> {0, 1, 2, 8}"""
    found: set[int] = set()
    for word in text.strip().split(",") if text.strip() else ():
        first, _, last = word.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def mask(cpus: Cpus) -> str:
    """{0, 1, 33} -> 00000002,00000003"""
    words = [sum(1 << cpu % 32 for cpu in cpus if cpu // 32 == word) for word in range(max(cpus, default=0) // 32 + 1)]
    return ",".join(f"{word:08x}" for word in reversed(words)) + "\n"


def cpuset(text: str | None) -> Cpus:
    """0x00000002,,0x3 -> CPUs; an empty word is 0."""
    found: set[int] = set()
    for place, word in enumerate(reversed((text or "0").split(","))):
        value = int(word or "0", 16)
        found.update(place * 32 + bit for bit in range(32) if value >> bit & 1)
    return frozenset(found)


def with_masks(root: pathlib.Path) -> None:
    """Write what hwloc reads beside what the inspector reads."""
    for path in list(root.rglob("*")):
        for name in MASKS.get(path.name, ()):
            if path.is_file() and not (path.parent / name).exists():
                (path.parent / name).write_text(mask(numbers(path.read_text())))


class Seen:
    """What lstopo says of a tree."""

    def __init__(self, root: pathlib.Path) -> None:
        assert LSTOPO
        done = subprocess.run([LSTOPO, "-i", root, "--if", "fsroot", "--of", "xml", "--no-io", "--filter", "all:all", "-"], text=True, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.objects: dict[str, list[ElementTree.Element]] = collections.defaultdict(list)
        for item in ElementTree.fromstring(done.stdout).iter("object"):
            self.objects[str(item.get("type"))].append(item)

    def cpus(self) -> Cpus:
        """The numbers of its PUs."""
        return frozenset(int(str(item.get("os_index"))) for item in self.objects["PU"])

    def last(self) -> set[tuple[int, int, Cpus]]:
        """(level, KiB, CPUs) of every cache that is the last one of its CPUs; no L1 of instructions."""
        of: dict[int, tuple[int, int, Cpus]] = {}
        for kind, items in self.objects.items():
            if level := re.fullmatch(r"L(\d)Cache", kind):
                for item in items:
                    cache = int(level[1]), int(str(item.get("cache_size"))) >> 10, cpuset(item.get("cpuset"))
                    for cpu in cache[2]:
                        of[cpu] = max(of.get(cpu, cache), cache, key=lambda cache: cache[0])
        return set(of.values())

    def nodes(self) -> dict[int, Cpus]:
        """Node -> its CPUs."""
        return {int(str(item.get("os_index"))): cpuset(item.get("cpuset")) for item in self.objects["NUMANode"]}


@unittest.skipUnless(LSTOPO, "no lstopo-no-graphics here: apt-get install hwloc-nox")
class Beside(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(
            dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)))

    def drawn(self, given: pathlib.Path) -> model.Machine:
        return source.gather(source.Snapshot(given))[0]

    def compare(self, machine: model.Machine, root: pathlib.Path) -> None:
        with_masks(root)
        seen = Seen(root)
        self.assertEqual(seen.cpus(), machine.online)
        ours = {(domain.level or 0, domain.size_kib or 0, domain.online) for domain in machine.domains}
        self.assertEqual({cache[::2] for cache in seen.last()}, {cache[::2] for cache in ours})
        sizes = {cache for cache in ours if cache[1]}
        self.assertLessEqual(sizes, seen.last())
        if not (root / "sys/devices/system/node").is_dir():
            return	# hwloc makes one up
        for domain in machine.domains:
            self.assertEqual(domain.nodes, {node for node, cpus in seen.nodes().items() if cpus & domain.online})

    def test_machines(self) -> None:
        for name, made in llc_machines.MACHINES.items():
            llc_machines.write(made, self.place / name)
            machine = self.drawn(self.place / name)
            with self.subTest(machine=name):
                if name in NO_TREE | UNKNOWN:
                    self.assertTrue(layout.problems(machine))
                else:
                    self.compare(machine, self.place / name)

    def test_random_machines(self) -> None:
        for seed in range(1, 61):
            root = self.place / str(seed)
            llc_random.write(llc_random.made(random.Random(seed)), root, True)
            with self.subTest(seed=seed):
                self.compare(self.drawn(root), root)

    def test_captures_of_guests(self) -> None:
        """What stock kernels said of themselves."""
        compared = 0
        for path in sorted(CAPTURES.glob("*.tar.xz")):
            source.unpack(path, self.place / path.name)
            root = next(found.parents[4] for found in (self.place / path.name).rglob("sys/devices/system/cpu/online"))
            shutil.rmtree(root / "llc", ignore_errors=True)	# the module's view has a test of its own
            with self.subTest(capture=path.name):
                self.compare(self.drawn(root), root)
                compared += 1
        self.assertGreaterEqual(compared, 10)

    def test_a_domain_that_is_wrong_is_seen(self) -> None:
        llc_machines.write(llc_machines.MACHINES["two-sizes"], self.place / "x")
        machine = self.drawn(self.place / "x")
        machine.domains[0].online |= {max(machine.online)}
        with self.assertRaises(AssertionError):
            self.compare(machine, self.place / "x")


if __name__ == "__main__":
    unittest.main()
