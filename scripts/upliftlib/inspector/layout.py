# SPDX-License-Identifier: GPL-2.0-only
"""What goes into which box: sockets, nodes, domains, cores; and what is said in words. Both pictures draw this."""

import dataclasses

from . import model

FOUND = 50	# permille of its run time from which on a process is shown in a domain's box


@dataclasses.dataclass
class Resident:
    """A process in a domain's box: how much of it runs there, and whether that is where it is gathered."""
    process: model.Process
    permille: int
    preferred: bool


@dataclasses.dataclass
class Box:
    """A domain, or the CPUs of a node that are in none (@domain is None).

    @cores: the CPUs of each core
    @offline: those of them that are
    """
    domain: model.Domain
    title: str
    cores: list
    offline: frozenset = frozenset()
    warnings: list = dataclasses.field(default_factory=list)
    residents: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Group:
    """The boxes of one node of one socket (or of several, where a domain crosses)."""
    title: str
    boxes: list


def count(number, what, plural=None):
    return f"{number} {what if number == 1 else plural or what + 's'}"


def _several(what, numbers):
    return f"{what}{'s' if len(numbers) > 1 else ''} {model.list_of(numbers)}" if numbers else ""


def _cores(machine, cpus):
    found, seen = [], set()
    for cpu in sorted(cpus):
        if cpu not in seen:
            core = sorted((machine.cores.get(cpu, frozenset()) & cpus) | {cpu})
            seen.update(core)
            found.append(core)
    return found


def residents(domain, processes):
    """The processes of a domain's box, the busiest there first."""
    found = []
    for process in processes.list if processes else ():
        permille = process.share.get(domain.number, 0)
        preferred = process.verdict is not None and process.verdict.preferred == domain.number
        if permille >= FOUND or preferred:
            found.append(Resident(process, permille, preferred))
    return sorted(found, key=lambda item: (-item.process.runtime_ns * item.permille, -item.permille, item.process.pid))


def groups(machine, processes=None):
    """The Groups of a machine, in the order of its sockets and nodes."""
    found = {}
    for domain in machine.domains:
        box = Box(domain, f"domain {domain.number}: L{domain.level} {model.size_of(domain.size_kib)}",
                  _cores(machine, domain.cpus), domain.cpus - domain.online, residents=residents(domain, processes))
        if domain.sched_cpus is not None and domain.sched_cpus != domain.online:
            box.warnings.append(f"scheduler: {model.list_of(domain.sched_cpus) or 'none'}")
        if domain.disagreements and not box.warnings:
            box.warnings.append("see below")
        found.setdefault((domain.packages, domain.nodes), []).append(box)
    alone = {}
    for cpu in machine.no_domain:
        package, node = machine.places.get(cpu, (None, None))
        key = tuple(frozenset() if place is None else frozenset({place}) for place in (package, node))
        alone.setdefault(key, set()).add(cpu)
    for key, cpus in alone.items():
        found.setdefault(key, []).append(Box(None, "no last-level cache", _cores(machine, frozenset(cpus)),
                                             frozenset(cpus) - machine.online))
    out = []
    # what has no known place comes last
    for packages, nodes in sorted(found, key=lambda key: (not key[0], sorted(key[0]), not key[1], sorted(key[1]))):
        title = ", ".join(filter(None, (_several("socket", packages), _several("node", nodes)))) or "socket unknown"
        out.append(Group(title[0].upper() + title[1:], found[packages, nodes]))
    return out


def headline(machine):
    """What the machine has, in a line."""
    sockets = set().union(*(domain.packages for domain in machine.domains),
                          {place[0] for place in machine.places.values() if place[0] is not None})
    nodes = set().union(*(domain.nodes for domain in machine.domains),
                        {place[1] for place in machine.places.values() if place[1] is not None})
    words = [count(len(machine.online), "CPU")]
    if machine.possible - machine.online:
        words[0] += f" online of {len(machine.possible)}"
    if machine.smt is not None:
        words.append("SMT" if machine.smt else "no SMT")
    words += [count(len(sockets), "socket")] if sockets else []
    words += [count(len(nodes), "node")] if nodes else []
    words.append(count(len(machine.domains), "last-level cache"))
    return f"{machine.kernel}: " + ", ".join(words)


CAS = {"absent": "this kernel has no cache-aware scheduling",
       "off": "cache-aware scheduling: off",
       "on": "cache-aware scheduling: on",
       None: "cache-aware scheduling: not known without uplift_llc"}


def problems(machine):
    """Every disagreement, in a line each."""
    out = []
    for domain in machine.domains:
        lines = list(domain.disagreements)
        if domain.sched_cpus is not None and domain.sched_cpus != domain.online and not lines:
            lines.append(f"the scheduler takes {model.list_of(domain.sched_cpus) or 'no CPU'} for it")
        out += [f"domain {domain.number} ({model.list_of(domain.cpus)}): {line}" for line in lines]
    out += machine.disagreements
    if machine.no_domain and machine.domains:
        out.append(f"CPUs without a last-level cache: {model.list_of(machine.no_domain)}")
    return out


def offline(machine):
    """Possible CPUs that no box shows."""
    return machine.possible - machine.online - frozenset().union(*(domain.cpus for domain in machine.domains))


def verdict(process):
    """Where a process is gathered, in words."""
    def words(given):
        if given is None:
            return "-"
        return given.reason or "unknown" if given.preferred is None else f"domain {given.preferred}"
    if process.scheduler and process.predicted:
        one, two = words(process.scheduler), words(process.predicted)
        return one if one == two else f"{one} (predicted: {two})"
    return words(process.verdict)


def shares(process, most=3):
    """Where it runs, in words."""
    top = sorted(process.share.items(), key=lambda item: (-item[1], item[0]))[:most]
    return " ".join(f"{domain}:{round(permille / 10)}%" for domain, permille in top if permille) or "-"


def about_processes(processes):
    """What the processes' columns stand on, in a line."""
    source = {"scheduler": "as the scheduler decided",
              "prediction": "predicted by the rules of cache-aware scheduling"}.get(processes.source, "not decided")
    words = [f"tracking {'on' if processes.tracking else 'off'}", f"gathering {source}"]
    if processes.tolerance is not None:
        words.append(f"tolerance {processes.tolerance}")
    if processes.epoch_ms is not None:
        words.append(f"epoch {processes.epoch_ms:g} ms")
    if processes.dropped:
        words.append(f"{processes.dropped} not tracked for want of room")
    return ", ".join(words)


def busiest(processes, most=None):
    """The processes, the busiest first; and how many were left out."""
    ordered = sorted(processes.list, key=lambda process: (-process.runtime_ns, process.pid))
    return (ordered, 0) if most is None else (ordered[:most], max(0, len(ordered) - most))
