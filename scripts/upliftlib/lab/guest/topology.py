# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of a guest's CPUs, caches and memory nodes.

On x86-64 QEMU tells the guest of caches by the CPU model and by dies. A machine that a device tree describes groups its CPUs
in clusters instead, one to a last-level cache, and the caches are written into the tree (devicetree.py).
"""

import argparse
import dataclasses
import re

from ...base import errors
from . import machines
from .description import Kernel
from .devicetree import Caches
from .machines import Machine

CPU = "Icelake-Server"		# has CPUID leaf 0x1f (dies), SMAP and SMEP
MOST = 255			# vCPUs


@dataclasses.dataclass(frozen=True)
class Topology:
    """A layout of CPUs and caches. `smp` holds {n} for the vCPUs and {per} for those of one domain; `clusters` is the same for
    a machine with a device tree, "" where it cannot have that layout."""
    about: str
    cpus: int		# unless asked otherwise
    domains: int	# last-level caches
    smp: str
    clusters: str = ""
    cpu: str = CPU + ",level=0x1f"
    machine: str = ""
    fixed: bool = False	# the number of vCPUs is part of it
    step: int = 1	# vCPUs come in multiples of domains x step
    nodes: int = 1	# memory nodes, with as many of the vCPUs each
    level3: bool = True

    @property
    def unit(self) -> int:
        """vCPUs come in multiples of this."""
        return (self.domains if "{per}" in self.smp or "{half}" in self.smp else 1) * self.step

    def fill(self, cpus: int, smp: str = "") -> str:
        """QEMU's -smp for so many vCPUs."""
        per = cpus // self.domains if cpus >= self.domains else 1
        return (smp or self.smp).format(n=cpus, per=per, half=max(per // 2, 1), domains=self.domains)

    def caches(self, cpus: int) -> Caches:
        """What a device tree says of it."""
        return Caches(-(-cpus // self.domains) if self.level3 else 0, 2 if "threads=2" in self.clusters else 1)


TOPOLOGIES = {
    "llc1": Topology("one last-level cache", 4, 1, "{n},sockets=1,dies=1,cores={per}", "{n},sockets=1,clusters=1,cores={per}"),
    "llc2": Topology("two last-level caches (dies)", 4, 2, "{n},sockets=1,dies=2,cores={per}",
                     "{n},sockets=1,clusters=2,cores={per}"),
    "llc4": Topology("four last-level caches (dies)", 16, 4, "{n},sockets=1,dies=4,cores={per}",
                     "{n},sockets=1,clusters=4,cores={per}"),
    "smt": Topology("two last-level caches, two threads per core", 8, 2,
                    "{n},sockets=1,dies=2,cores={half},threads=2", "{n},sockets=1,clusters=2,cores={half},threads=2", step=2),
    "uneven": Topology("two last-level caches of 4 and 3 CPUs", 7, 2, "7,maxcpus=8,sockets=1,dies=2,cores=4",
                       "7,maxcpus=8,sockets=1,clusters=2,cores=4", fixed=True),
    "nol3": Topology("no level 3: level 2 is the last, one per core", 4, 4, "{n},sockets=1,cores={n}",
                     "{n},sockets=1,clusters={n},cores=1", cpu=CPU + ",l3-cache=off", level3=False),
    "epyc": Topology("EPYC model: cache ids that disagree with the masks", 8, 1, "{n},sockets=1,cores={n}",
                     cpu="EPYC-Genoa,-svm"),
    "numa": Topology("two sockets, a node each, two last-level caches in each", 8, 4,
                     "{n},sockets=2,dies=2,cores={per}", "{n},sockets=2,clusters=2,cores={per}", nodes=2),
    "snc": Topology("one last-level cache across two nodes", 8, 1, "{n},sockets=1,dies=1,cores={n}",
                    "{n},sockets=1,clusters=1,cores={n}", nodes=2),
    "module": Topology("level 3 shared by modules of two CPUs (QEMU 10)", 8, 4,
                       "{n},sockets=1,dies=1,modules={domains},cores={per}", "{n},sockets=1,clusters={domains},cores={per}",
                       machine=",smp-cache.0.cache=l3,smp-cache.0.topology=module"),
}
_PLAIN = dataclasses.replace(TOPOLOGIES["llc1"], cpus=1, cpu=CPU)	# where no layout is asked for


def vcpus(text: str) -> int:
    """An option's number of vCPUs."""
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"a guest has 1 to {MOST} vCPUs, not '{text}'")
    return int(text)


def _named(name: str | None) -> Topology:
    if name is None:
        return _PLAIN
    if name not in TOPOLOGIES:
        raise errors.Problem(f"no topology '{name}'; there are: "
                             + ", ".join(f"{key} ({item.about})" for key, item in TOPOLOGIES.items()), errors.USAGE)
    return TOPOLOGIES[name]


def _checked(name: str | None, topology: Topology, smp: int | None) -> int:
    """The number of vCPUs, if the layout can have as many."""
    cpus = topology.cpus if smp is None else smp
    if not 1 <= cpus <= MOST:
        raise errors.Problem(f"a guest has 1 to {MOST} vCPUs, not {cpus}", errors.USAGE)
    if topology.fixed and cpus != topology.cpus:
        raise errors.Problem(f"topology '{name}' has {topology.cpus} vCPUs, not {cpus}", errors.USAGE)
    if not topology.fixed and cpus % topology.unit:
        raise errors.Problem(f"topology '{name}' needs a multiple of {topology.unit} vCPUs, not {cpus}", errors.USAGE)
    return cpus


def topology_args(name: str | None, smp: int | None = None, same: bool = False,
                  machine: Machine = machines.X86_64) -> tuple[list[str], int]:
    """(QEMU arguments, number of vCPUs) for a layout; None is a plain one of `smp` CPUs.

    @same: two boots shall be the same
    """
    topology = _named(name)
    cpus = _checked(name, topology, smp)
    if machine.device_tree:
        return ["-smp", _clusters(name, topology, cpus), "-cpu", machine.counting_cpu, "-machine", machine.board], cpus
    cpu = topology.cpu
    if same:
        cpu = machine.counting_cpu if name is None else f"{cpu},-rdrand,-rdseed"
    return ["-smp", topology.fill(cpus), "-cpu", cpu, "-machine", f"{machine.board}{topology.machine}"], cpus


def has_layout(kernel: Kernel, name: str) -> bool:
    """Can the machine for a kernel have a layout?"""
    return bool(not machines.of(kernel).device_tree or _named(name).clusters)


def _clusters(name: str | None, topology: Topology, cpus: int) -> str:
    """QEMU's -smp where a device tree describes the machine."""
    if name is None:
        return str(cpus)
    if not topology.clusters:
        raise errors.Problem(f"topology '{name}' is one of x86-64 machines", errors.USAGE)
    return topology.fill(cpus, topology.clusters)


def caches(name: str | None, smp: int | None, machine: Machine) -> Caches | None:
    """What is to be written into the device tree of a layout; None where there is none, or nothing to be written."""
    if name is None or not machine.device_tree:
        return None
    topology = _named(name)
    return topology.caches(_checked(name, topology, smp))


def node_args(name: str | None, cpus: int, megabytes: int) -> list[str]:
    """QEMU arguments for the memory nodes of a layout; none where there is one node."""
    nodes = _named(name).nodes
    if nodes == 1:
        return []
    if cpus % nodes:
        raise errors.Problem(f"topology '{name}' needs a multiple of {nodes} vCPUs, not {cpus}", errors.USAGE)
    per = cpus // nodes
    words: list[str] = []
    for node in range(nodes):
        words += ["-object", f"memory-backend-ram,id=node{node},size={megabytes // nodes}M",
                  "-numa", f"node,nodeid={node},cpus={node * per}-{node * per + per - 1},memdev=node{node}"]
    return words
