# SPDX-License-Identifier: GPL-2.0-only
"""Machines that exist, or could, each in a few lines: what it has, and what there is to be said of it.

Written from descriptions of machines; no file of any capture is in here. An entry is written out as a tree of /sys, which
`uplift llc --from` draws; its picture is selftests/fixtures/llc-machines/NAME.txt.
"""

from __future__ import annotations

import dataclasses
import pathlib

from llc_random import Cpus, cpu_list, hexmask, parsed


@dataclasses.dataclass
class Machine:
    """A machine; sets of CPUs are lists as the kernel writes them, several with blanks between.

    @caches: "L3 32768K": "0-7 8-15"; "*" means each core by itself, "L1d" and "L1i" are data and instructions
    @ids: of a cache: "L3": "0 1", one per set; "cpu" numbers CPUs instead; what is not there has none
    @lists: other lists than the ones that follow: {"L3 5": "0-3"} for CPU 5; None, no list at all; "-" an empty one
    @old: has masks, and no lists
    @remarks: patterns, of which each has to be found in a disagreement, and no other disagreement may be there
    @more: other files
    """
    about: str
    cpus: str
    caches: dict[str, str]
    packages: str = ""
    nodes: str = ""
    threads: str = ""
    offline: str = ""
    isolated: str = ""
    spans: str = ""
    ids: dict[str, str] = dataclasses.field(default_factory=dict)
    lists: dict[str, str | None] = dataclasses.field(default_factory=dict)
    package_ids: str = ""
    kinds: dict[str, str] = dataclasses.field(default_factory=dict)
    capacities: dict[str, str] = dataclasses.field(default_factory=dict)
    memory_gib: int = 0
    model: str = ""
    cpuinfo: str = ""
    kernel: str = "6.12.0-made"
    old: bool = False
    remarks: tuple[str, ...] = ()
    more: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def possible(self) -> Cpus:
        return parsed(self.cpus)

    @property
    def online(self) -> Cpus:
        return self.possible - parsed(self.offline)


def sets(text: str) -> list[Cpus]:
    return [parsed(word) for word in text.split()]


def every(start: int, stop: int, each: int) -> str:
    """Sets of @each CPUs: (0, 8, 4) -> "0-3 4-7"."""
    return " ".join(f"{at}-{at + each - 1}" if each > 1 else str(at) for at in range(start, stop, each))


def pairs(count: int, apart: int) -> str:
    """Siblings that are numbered half of the machine apart: (2, 8) -> "0,8 1,9"."""
    return " ".join(f"{at},{at + apart}" for at in range(count))


def zen(cores: int, ccx: int, size: str) -> dict[str, str]:
    """Caches of cores with two threads each, numbered half of the machine apart."""
    return {"L1d 32K": "*", "L1i 32K": "*", "L2 512K": "*",
            f"L3 {size}": " ".join(f"{at}-{at + ccx - 1},{at + cores}-{at + cores + ccx - 1}" for at in range(0, cores, ccx))}


SMALL = {"L1d 32K": "*", "L1i 32K": "*"}
CORES = {**SMALL, "L2 1024K": "*"}

MACHINES = {
    "snc": Machine("one cache, two nodes (sub-NUMA clustering); the scheduler splits it", "0-15", {**CORES, "L3 32768K": "0-15"},
                   nodes="0-7 8-15", spans="0-7 8-15", ids={"L3": "0"}, memory_gib=64,
                   remarks=("one mask across nodes: 0-1", r"splits the mask \(nodes\): 0a 0-7, 0b 8-15")),
    "snc-not-asked": Machine("the same, where nothing of the scheduler is known", "0-15", {**CORES, "L3 32768K": "0-15"},
                             nodes="0-7 8-15", ids={"L3": "0"}, remarks=("one mask across nodes: 0-1",)),
    "snc3": Machine("two sockets of three nodes each", "0-35", {**CORES, "L3 129024K": "0-17 18-35"}, packages="0-17 18-35",
                    nodes=every(0, 36, 6), spans=every(0, 36, 6), ids={"L3": "0 1"},
                    remarks=(r"domain 0 .*across nodes: 0-2", r"domain 1 .*across nodes: 3-5", r"domain 0 .*\(nodes\): 0a 0-5, 0b",
                             r"domain 1 .*\(nodes\): 1a 18-23, 1b")),
    "two-packages": Machine("one cache across two packages, as some hypervisors say", "0-7", {**CORES, "L3 16384K": "0-7"},
                            packages="0-3 4-7", ids={"L3": "0"}, cpuinfo="model name\t: Virtual\nflags\t\t: fpu hypervisor\n",
                            remarks=("one mask across packages: 0-1",)),
    "two-packages-split": Machine("the same, and the scheduler splits it", "0-7", {**CORES, "L3 16384K": "0-7"},
                                  packages="0-3 4-7", nodes="0-3 4-7", spans="0-3 4-7", ids={"L3": "0"},
                                  remarks=("across packages", "across nodes", r"splits the mask \(packages\): 0a 0-3, 0b 4-7")),
    "partition": Machine("a cpuset partition in the middle of a cache", "0-7", {**CORES, "L3 16384K": "0-7"}, spans="0-3 4-7",
                         ids={"L3": "0"}, remarks=(r"splits the mask \(partition\): 0a 0-3, 0b 4-7",)),
    "isolcpus": Machine("isolcpus=4-7", "0-7", {**CORES, "L3 16384K": "0-7"}, spans="0-3", isolated="4-7", ids={"L3": "0"},
                        more={"proc/cmdline": "root=UUID=secret isolcpus=4-7 nohz_full=4-7 quiet"},
                        remarks=(r"splits the mask \(isolated CPUs\): 0a 0-3, 0b 4-7",)),
    "snc-and-isolcpus": Machine("two nodes in a cache, and isolated CPUs in one of them", "0-15", {**CORES, "L3 32768K": "0-15"},
                                nodes="0-7 8-15", spans="0-7 8-11", isolated="12-15", ids={"L3": "0"},
                                remarks=("across nodes", r"\(nodes, isolated CPUs\): 0a 0-7, 0b 8-11, 0c 12-15")),
    "snc-and-partition": Machine("two nodes in a cache, and a partition in one of them", "0-15", {**CORES, "L3 32768K": "0-15"},
                                 nodes="0-7 8-15", spans="0-7 8-11 12-15", ids={"L3": "0"},
                                 remarks=("across nodes", r"\(nodes, partition\): 0a 0-7, 0b 8-11, 0c 12-15")),
    "crossed-siblings": Machine("SMT siblings in different caches", "0-7", {"L1d 32K": every(0, 8, 1), "L3 16384K": "0-3 4-7"},
                                threads=pairs(4, 4), ids={"L3": "0 1"},
                                remarks=("SMT siblings in different last-level caches: CPUs 0,4; 1,5; 2,6; 3,7",)),
    "epyc-hotplug-ids": Machine("EPYC after SMT went off and on: a sibling that came back has a cache of its own, with the id of "
                                "the other", "0-15", zen(8, 4, "32768K"), threads=pairs(8, 8), ids={"L3": "0 1"},
                                lists={"L3 8": "8", "L3 0": "0-3,9-11", "L3 1": "0-3,9-11", "L3 2": "0-3,9-11",
                                       "L3 3": "0-3,9-11", "L3 9": "0-3,9-11", "L3 10": "0-3,9-11", "L3 11": "0-3,9-11"},
                                remarks=("cacheinfo id 0 names several domains: 0,2", "SMT siblings in .*: CPUs 0,8$")),
    "epyc-hotplug": Machine("the same without ids", "0-15", zen(8, 4, "32768K"), threads=pairs(8, 8),
                            lists={"L3 8": "8", "L3 0": "0-3,9-11", "L3 1": "0-3,9-11", "L3 2": "0-3,9-11",
                                   "L3 3": "0-3,9-11", "L3 9": "0-3,9-11", "L3 10": "0-3,9-11", "L3 11": "0-3,9-11"},
                            remarks=("SMT siblings in .*: CPUs 0,8$",)),
    "epyc-not-mutual": Machine("one CPU lists the others, which do not list it", "0-7", {**CORES, "L3 16384K": "0-7"},
                               ids={"L3": "0"}, lists={f"L3 {cpu}": "0-6" for cpu in range(7)},
                               remarks=("has CPUs with other masks: 0-6", "id 0 names several domains: 0,1")),
    "ryzen-1600": Machine("Ryzen 1600: three cores per cache; the ids are those of cores of the full chip", "0-11",
                          {"L1d 32K": "*", "L1i 64K": "*", "L2 512K": "*", "L3 8192K": "0-5 6-11"}, threads=every(0, 12, 2),
                          ids={"L3": "cpu"}, remarks=(r"domain 0 .*ids differ .*: 0,1,2,3,4,5", r"domain 1 .*ids differ .*: 6,7,8")),
    "epyc-rome": Machine("EPYC, four nodes, 16 caches of four cores", "0-127", zen(64, 4, "16384K"), threads=pairs(64, 64),
                         nodes=" ".join(f"{at}-{at + 15},{at + 64}-{at + 79}" for at in range(0, 64, 16)),
                         ids={"L3": " ".join(map(str, range(16)))}, memory_gib=128, model="AMD EPYC 7742 64-Core Processor"),
    "epyc-2x384": Machine("two sockets, 384 CPUs each: 12 caches of 16 cores in a socket", "0-767",
                          {**CORES, "L3 32768K": " ".join(f"{at}-{at + 15},{at + 384}-{at + 399}" for at in range(0, 384, 16))},
                          packages="0-191,384-575 192-383,576-767", nodes="0-191,384-575 192-383,576-767",
                          threads=pairs(384, 384), ids={"L3": " ".join(map(str, range(24)))}, memory_gib=768),
    "list-cut-by-node": Machine("lists that end where a node does, one level wider than its node", "0-7",
                                {**CORES, "L3 16384K": "0-7"}, nodes="0-3 4-7", ids={"L3": "0"},
                                lists={f"L3 {cpu}": "0-3" if cpu < 4 else "4-7" for cpu in range(8)},
                                remarks=("cacheinfo id 0 names several domains: 0,1",)),
    "package-minus-1": Machine("an arm64 virtual machine whose firmware says nothing of packages", "0-3",
                               {**SMALL, "L2 512K": "*", "L3 32768K": "0-3"}, package_ids="-1",
                               remarks=(r"package not known \(id -1\) of CPUs 0-3",)),
    "package-minus-1-some": Machine("two CPUs that were added know no package", "0-3", {**CORES, "L3 16384K": "0-3"},
                                    more={"sys/devices/system/cpu/cpu2/topology/physical_package_id": "-1",
                                          "sys/devices/system/cpu/cpu3/topology/physical_package_id": "-1"},
                                    remarks=(r"package not known \(id -1\) of CPUs 2-3",)),
    "no-list": Machine("neither lists nor masks", "0-3", {**CORES, "L3 16384K": "0-3"}, lists={f"L3 {cpu}": None for cpu in range(4)},
                       remarks=("no list of the CPUs that share the last-level cache of CPUs 0-3",)),
    "empty-list": Machine("a list that is empty on one CPU", "0-3", {**CORES, "L3 16384K": "0-3"}, lists={"L3 3": "-"},
                          remarks=("no list of .* CPUs 3",)),
    "masks-only": Machine("an old kernel: masks, and no lists", "0-7", {**CORES, "L3 16384K": "0-3 4-7"}, packages="0-3 4-7",
                          nodes="0-3 4-7", old=True, kernel="2.6.32-made"),
    "altra": Machine("Ampere Altra: a private L2 per core, no L3", "0-79", {"L1d 64K": "*", "L1i 64K": "*", "L2 1024K": "*"},
                     package_ids="0", memory_gib=256),
    "altra-2p": Machine("two of them", "0-159", {"L1d 64K": "*", "L1i 64K": "*", "L2 1024K": "*"}, packages="0-79 80-159",
                        nodes="0-79 80-159", memory_gib=256),
    "meteor-lake": Machine("6 P, 8 E, and 2 LP E-cores outside of the L3", "0-21",
                           {"L1d 48K": "0-1 2-3 4-5 6-7 8-9 10-11", "L1i 64K": "0-1 2-3 4-5 6-7 8-9 10-11",
                            "L2 2048K": "0-1 2-3 4-5 6-7 8-9 10-11 12-15 16-19 20-21", "L3 24576K": "0-19"},
                           threads="0-1 2-3 4-5 6-7 8-9 10-11", kinds={"cpu_core": "0-11", "cpu_atom": "12-19",
                                                                       "cpu_lowpower": "20-21"},
                           ids={"L3": "0", "L2": "0 1 2 3 4 5 6 7 8"}, model="Intel(R) Core(TM) Ultra 7 155H",
                           remarks=("last levels differ: L3 unified 24 MiB of CPUs 0-19; L2 unified 2 MiB of CPUs 20-21",)),
    "lunar-lake": Machine("4 P-cores with an L3, 4 E-cores with an L2 in common", "0-7",
                          {"L1d 48K": "*", "L1i 64K": "*", "L2 2560K": "0 1 2 3", "L2 4096K": "4-7", "L3 12288K": "0-3"},
                          kinds={"cpu_core": "0-3", "cpu_atom": "4-7"}, ids={"L3": "0"},
                          remarks=("last levels differ: L3 unified 12 MiB of CPUs 0-3; L2 unified 4 MiB of CPUs 4-7",)),
    "alder-lake": Machine("8 P-cores with SMT, 8 E-cores in two clusters, one L3", "0-23",
                          {"L1d 48K": "*", "L2 1280K": every(0, 16, 2), "L2 2048K": "16-19 20-23", "L3 30720K": "0-23"},
                          threads=every(0, 16, 2), kinds={"cpu_core": "0-15", "cpu_atom": "16-23"}, ids={"L3": "0"}),
    "l1-only": Machine("CPUs with L1 only beside others with an L2", "0-7", {"L1d 32K": "*", "L2 512K": "0-3"},
                       remarks=("last levels differ: L2 unified 512 KiB of CPUs 0-3; L1 data 32 KiB of CPUs 4-7",)),
    "l1-everywhere": Machine("L1 only, everywhere", "0-3", {"L1d 32K": "*", "L1i 32K": "*"}),
    "two-sizes": Machine("two sockets with caches of different size", "0-15", {**CORES, "L3 16384K": "0-7", "L3 32768K": "8-15"},
                         packages="0-7 8-15", nodes="0-7 8-15",
                         remarks=("last levels differ: L3 unified 16 MiB of CPUs 0-7; L3 unified 32 MiB of CPUs 8-15",)),
    "some-without": Machine("a package whose caches are not described", "0-7", {"L1d 32K": "0 1 2 3", "L3 16384K": "0-3"},
                            packages="0-3 4-7", remarks=("CPUs without a last-level cache: 4-7",)),
    "nothing": Machine("no cache of any CPU", "0-79", {}),
    "nothing-many": Machine("the same, 384 CPUs on two nodes", "0-383", {}, packages="0-191 192-383", nodes="0-191 192-383"),
    "big-little": Machine("arm64: two clusters, two kinds of cores", "0-5", {"L1d 32K": "*", "L2 512K": "0-3", "L2 1024K": "4-5"},
                          package_ids="0", capacities={"0-3": "446", "4-5": "1024"},
                          remarks=("last levels differ: L2 unified 512 KiB of CPUs 0-3; L2 unified 1 MiB of CPUs 4-5",)),
    "dynamiq": Machine("arm64: three kinds of cores under one L3", "0-7", {"L1d 64K": "*", "L2 512K": "*", "L3 4096K": "0-7"},
                       capacities={"0-3": "250", "4-6": "760", "7": "1024"}),
    "neoverse-big-ids": Machine("arm64 server: package ids and cache ids that are no small numbers", "0-7",
                                {**CORES, "L3 32768K": "0-3 4-7"}, package_ids="36 3180", packages="0-3 4-7",
                                ids={"L3": "4242424242 4242424243"}),
    "s390": Machine("s390: sockets are numbered within books", "0-7", {"L1d 128K": "*", "L1i 128K": "*", "L2 4096K": "*",
                                                                      "L3 262144K": "0-1 2-3 4-5 6-7"},
                    package_ids="0 1 0 1", packages="0-1 2-3 4-5 6-7", kernel="5.14.0-made",
                    cpuinfo="vendor_id       : IBM/S390\nprocessor 0: version = FF,  identification = 0,  machine = 3931\n",
                    more={f"sys/devices/system/cpu/cpu{cpu}/topology/book_id": str(cpu // 4) for cpu in range(8)}),
    "power9": Machine("POWER: four threads per core, two cores share L2 and L3; most threads offline", "0-31",
                      {"L1d 32K": "*", "L1i 32K": "*", "L2 512K": every(0, 32, 8), "L3 10240K": every(0, 32, 8)},
                      threads=every(0, 32, 4), offline="2-3,6-7,10-11,14-15,18-19,22-23,26-27,30-31", packages="0-15 16-31",
                      nodes="0-15 16-31", cpuinfo="processor\t: 0\ncpu\t\t: POWER9, altivec supported\n"),
    "riscv": Machine("RISC-V: levels, and no sizes", "0-4", {"L1d": "*", "L1i": "*", "L2": "0-4"},
                     cpuinfo="processor\t: 0\nhart\t\t: 0\nuarch\t\t: sifive,u74-mc\n"),
    "offline-in-mask": Machine("a CPU that went offline is still in the masks", "0-3", {**CORES, "L3 16384K": "0-3"}, offline="3",
                               ids={"L3": "0"}, lists={f"L3 {cpu}": "0-3" for cpu in range(3)},
                               remarks=("the mask has offline CPUs: 3",)),
    "offline-cleanly": Machine("CPUs that went offline are in no mask", "0-7", {**CORES, "L3 16384K": "0-3 4-7"}, offline="0,5-7",
                               ids={"L3": "0 1"}),
    "l4": Machine("an L4 across two L3", "0-7", {**CORES, "L3 8192K": "0-3 4-7", "L4 131072K": "0-7"}, ids={"L4": "0"}),
    "data-last": Machine("the last level holds data only", "0-3", {"L1d 32K": "*", "L1i 32K": "*", "L2d 1024K": "0-3"}),
    "one-cpu": Machine("one CPU", "0", {**CORES, "L3 8192K": "0"}),
    "holes": Machine("CPU numbers with holes", "0-3,8-11,64-67", {**CORES, "L3 16384K": "0-3 8-11 64-67"}, ids={"L3": "0 1 8"}),
}


# As files.

def _cores(machine: Machine) -> dict[int, Cpus]:
    of = {cpu: core for core in sets(machine.threads) for cpu in core}
    return {cpu: (of.get(cpu) or frozenset({cpu})) & machine.online for cpu in machine.online}


def _place(text: str, cpu: int) -> int:
    return next((number for number, cpus in enumerate(sets(text)) if cpu in cpus), 0)


def _index(machine: Machine, what: str, cpu: int, core: Cpus) -> dict[str, object] | None:
    """The files of a CPU's cache."""
    name, _, size = what.partition(" ")
    kind = {"d": "Data", "i": "Instruction"}.get(name[-1], "Unified")
    shared = core if machine.caches[what] == "*" else next((cpus for cpus in sets(machine.caches[what]) if cpu in cpus), None)
    if shared is None:
        return None
    files: dict[str, object] = {"level": name[1], "type": kind, "coherency_line_size": 64, "ways_of_associativity": 16}
    files |= {"size": size} if size else {}
    text: str | None = cpu_list(shared & machine.online)
    key = f"{name} {cpu}"
    if key in machine.lists:
        text = machine.lists[key]
    if text is not None:
        files["shared_cpu_map" if machine.old else "shared_cpu_list"] = (
            hexmask(parsed(text)) if machine.old else text.strip("-") if text == "-" else text)
    if ids := machine.ids.get(name):
        files["id"] = cpu if ids == "cpu" else ids.split()[_place(machine.caches[what], cpu)]
    return files


def _of_cpu(machine: Machine, cpu: int, core: Cpus) -> dict[str, object]:
    names = ("thread_siblings", "shared_cpu_map") if machine.old else ("thread_siblings_list", "shared_cpu_list")
    package = _place(machine.packages, cpu)
    number = machine.package_ids.split()[min(package, len(machine.package_ids.split()) - 1)] if machine.package_ids else package
    files: dict[str, object] = {"topology/physical_package_id": number,
                                f"topology/{names[0]}": hexmask(core) if machine.old else cpu_list(core)}
    at = 0
    for what in machine.caches:
        if found := _index(machine, what, cpu, core):
            files |= {f"cache/index{at}/{name}": value for name, value in found.items()}
            at += 1
    for cpus, capacity in machine.capacities.items():
        files |= {"cpu_capacity": capacity} if cpu in parsed(cpus) else {}
    return files


def files(machine: Machine) -> dict[str, object]:
    """What there is below a root directory."""
    base = "sys/devices/system"
    found: dict[str, object] = {f"{base}/cpu/possible": machine.cpus, f"{base}/cpu/online": cpu_list(machine.online),
              "proc/version": f"Linux version {machine.kernel} (made) #1"}
    found |= {f"{base}/cpu/isolated": machine.isolated} if machine.isolated else {}
    for cpu, core in _cores(machine).items():
        found |= {f"{base}/cpu/cpu{cpu}/{name}": value for name, value in _of_cpu(machine, cpu, core).items()}
    for node, cpus in enumerate(sets(machine.nodes) or [machine.possible]):
        found[f"{base}/node/node{node}/" + ("cpumap" if machine.old else "cpulist")] = (
            hexmask(cpus) if machine.old else cpu_list(cpus))
        if machine.memory_gib:
            found[f"{base}/node/node{node}/meminfo"] = f"Node {node} MemTotal: {machine.memory_gib << 20} kB"
    for kind, text in machine.kinds.items():
        found[f"sys/devices/{kind}/cpus"] = text
    text = machine.cpuinfo or (f"model name\t: {machine.model}\n" if machine.model else "")
    found |= {"proc/cpuinfo": text} if text else {}
    found |= {"proc/schedstat": _schedstat(machine)} if machine.spans else {}
    return found | machine.more


def _schedstat(machine: Machine) -> str:
    lines = ["version 17"]
    for cpu in sorted(machine.online):
        span = next((cpus for cpus in sets(machine.spans) if cpu in cpus), None)
        lines.append(f"cpu{cpu} 0 0 0")
        lines += [f"domain0 MC {hexmask(span)} 0"] if span else []
        lines += [f"domain1 PKG {hexmask(machine.online)} 0"] if span else []
    return "\n".join(lines) + "\n"


def write(machine: Machine, root: pathlib.Path) -> None:
    """As a root directory."""
    for name, value in files(machine).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
