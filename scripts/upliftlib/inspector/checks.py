# SPDX-License-Identifier: GPL-2.0-only
"""What does not fit together in a machine's caches, a line each. The module says the same, in the same words (llc_core.c)."""

import collections.abc

from . import facts, model

SHOWN = 8	# of a kind in one line


def _some(words: collections.abc.Sequence[str], between: str = "; ") -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return between.join(words[:SHOWN]) + more


# Of one domain.

def _of_ids(given: facts.Facts, domain: model.Domain) -> list[str]:
    lacking = [cpu for cpu in domain.online if (last := given.cpu[cpu].last) and last.id is None]
    ids = domain.ids["cacheinfo"]
    out = [f"cacheinfo ids differ within one mask: {ids}"] if ids and "," in ids else []
    return out + ([f"no cacheinfo id on CPUs {model.list_of(lacking)}"] if ids and lacking else [])


def _of_places(domain: model.Domain) -> list[str]:
    return [f"one mask across {what}: {model.list_of(numbers)}" for what, numbers in
            (("nodes", domain.nodes), ("packages", domain.packages)) if len(numbers) > 1]


def _of_caches(given: facts.Facts, domain: model.Domain) -> list[str]:
    """Do all CPUs describe the same cache?"""
    leader = min(domain.online)
    first = given.cpu[leader].last
    other = [cpu for cpu in domain.online if first and (last := given.cpu[cpu].last) and last.same != first.same]
    return [f"caches differ within one mask: that of CPU {leader} is another than those of CPUs {model.list_of(other)}"
            ] if other else []


def _of_mask(given: facts.Facts, domain: model.Domain, mask: frozenset[int]) -> list[str]:
    """Are the CPUs in the mask exactly those that have it?"""
    out = []
    # those whose mask is not known are told of for the machine
    others = [cpu for cpu in (mask & given.online) - domain.online if not (last := given.cpu[cpu].last) or last.cpus]
    if others:
        out.append(f"the mask {model.list_of(mask)} has CPUs with other masks: {model.list_of(others)}")
    if lacking := domain.online - mask:
        out.append(f"the mask {model.list_of(mask)} lacks CPUs that have it: {model.list_of(lacking)}")
    if offline := mask - given.online:
        out.append(f"the mask has offline CPUs: {model.list_of(offline)}")
    return out


def causes(given: facts.Facts, parts: list[model.Part]) -> list[str]:
    """Why the scheduler splits a mask into these."""
    found, places = [], []
    for part in parts:
        if not part.alone:
            of = [given.cpu[cpu] for cpu in sorted(part.cpus)]
            places.append((facts.known(fact.package for fact in of), facts.known(fact.node for fact in of)))
    # where a part crosses them, they are not what splits
    packages = [place[0] if all(len(other[0]) < 2 for other in places) else frozenset() for place in places]
    nodes = [place[1] if all(len(other[1]) < 2 for other in places) else frozenset() for place in places]
    if len(set(packages)) > 1:
        found.append("packages")
    if len(set(zip(packages, nodes))) > len(set(packages)):
        found.append("nodes")
    if len(set(zip(packages, nodes))) < len(places):
        found.append("partition")
    return found + _why_alone(given, parts)


def _why_alone(given: facts.Facts, parts: list[model.Part]) -> list[str]:
    alone = frozenset().union(*(part.cpus for part in parts if part.alone))
    words = ["isolated CPUs"] if alone & given.isolated else []
    return words + (["CPUs without a domain"] if alone - given.isolated else [])


def _of_sched(given: facts.Facts, domain: model.Domain) -> list[str]:
    out = []
    if domain.parts:
        out.append(f"the scheduler splits the mask ({', '.join(causes(given, domain.parts))}): " + _some(
            [f"{part.name} {model.list_of(part.cpus)}" for part in domain.parts], ", "))
    if beyond := (domain.sched_cpus or frozenset()) - domain.cpus:
        out.append(f"the scheduler adds CPUs that are not in the mask: {model.list_of(beyond)}")
    return out


def of_domain(given: facts.Facts, domain: model.Domain, mask: frozenset[int]) -> list[str]:
    """Every disagreement about a domain."""
    return (_of_ids(given, domain) + _of_places(domain) + _of_caches(given, domain) + _of_mask(given, domain, mask)
            + _of_sched(given, domain))


# Of the machine.

def _clashes(given: facts.Facts, machine: model.Machine) -> list[str]:
    """An id that two caches of one level have."""
    found: dict[tuple[int, str], set[int]] = {}
    for domain in machine.domains:
        for cpu in domain.online:
            last = given.cpu[cpu].last
            if last and last.id is not None:
                found.setdefault((last.level, last.id), set()).add(domain.number)
    return [f"cacheinfo id {name} names several domains: " + ",".join(map(str, sorted(domains)))
            for (_, name), domains in sorted(found.items(), key=lambda item: (len(item[0][1]), item[0][1], item[0][0]))
            if len(domains) > 1]


def _siblings(machine: model.Machine) -> list[str]:
    """Cores whose threads have different last-level caches."""
    of = {cpu: domain.number for domain in machine.domains for cpu in domain.online}
    apart = {core for core in machine.cores.values() if len({of.get(cpu) for cpu in core}) > 1}
    words = [model.list_of(core) for core in sorted(apart, key=min)]
    return [f"SMT siblings in different last-level caches: CPUs {_some(words)}"] if words else []


def _unknown(given: facts.Facts) -> list[str]:
    unknown = [cpu for cpu, fact in given.cpu.items() if fact.last is not None and not fact.last.cpus]
    return [f"no list of the CPUs that share the last-level cache of CPUs {model.list_of(unknown)}"] if unknown else []


def _size(kib: int | None) -> str:
    """A size in whole units, as the module has it."""
    return "size unknown" if not kib else f"{kib} KiB" if kib % 1024 else f"{kib // 1024} MiB"


def _levels(machine: model.Machine) -> list[str]:
    """Last levels that are not all alike."""
    found: dict[tuple[int, str, int | None], set[int]] = {}
    for domain in machine.domains:
        found.setdefault((domain.level, domain.type, domain.size_kib), set()).update(domain.online)
    words = [f"L{level} {kind} {_size(size)} of CPUs {model.list_of(cpus)}" for (level, kind, size), cpus
             in sorted(found.items(), key=lambda item: min(item[1]))]
    return [f"last levels differ: {_some(words)}"] if len(words) > 1 else []


def of_machine(given: facts.Facts, machine: model.Machine) -> list[str]:
    """Every disagreement that is not one domain's."""
    out = _clashes(given, machine) + _siblings(machine) + _unknown(given) + _levels(machine)
    if lost := [cpu for cpu, fact in given.cpu.items() if fact.package is not None and fact.package < 0]:
        out.append(f"package not known (id -1) of CPUs {model.list_of(lost)}")
    if extra := [cpu for cpu in machine.no_domain if given.cpu[cpu].span]:
        out.append("the scheduler has cache domains for CPUs of which no cache is known: " + model.list_of(extra))
    return out
