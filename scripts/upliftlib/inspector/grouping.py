# SPDX-License-Identifier: GPL-2.0-only
"""Domains, and the parts that the scheduler splits them into, from what is known of each CPU. As llc_core.c, without it.

CPUs with the same mask are a domain. Numbers do not decide.
"""

from . import checks, facts, model


def _masks(given: facts.Facts) -> list[tuple[frozenset[int], list[int]]]:
    """The masks of last-level caches, and the online CPUs that have each, by the lowest of them."""
    found: dict[frozenset[int], list[int]] = {}
    for cpu in sorted(given.online):
        last = given.cpu[cpu].last
        if last is not None and last.cpus:
            found.setdefault(last.cpus, []).append(cpu)
    return list(found.items())


def _ids(given: facts.Facts, cpus: list[int]) -> str | None:
    ids = {last.id for cpu in cpus if (last := given.cpu[cpu].last) and last.id is not None}
    return ",".join(sorted(ids, key=lambda word: (len(word), word))) or None


def _domain(given: facts.Facts, number: int, mask: frozenset[int], cpus: list[int], offline: frozenset[int]) -> model.Domain:
    """The Domain of @cpus, which are online and have @mask; @offline belong to it, too."""
    of = [given.cpu[cpu] for cpu in cpus]
    last = of[0].last
    assert last is not None
    domain = model.Domain(
        number=number, cpus=frozenset(cpus) | offline, online=frozenset(cpus), level=last.level, type=last.type,
        size_kib=last.size_kib, ways=last.ways, line=last.line, nodes=facts.known(fact.node for fact in of),
        packages=facts.known(fact.package for fact in of), dies=facts.known(fact.die for fact in of),
        ids={"cacheinfo": _ids(given, cpus)})
    if given.sched:
        domain.sched_cpus = frozenset().union(*(fact.span or {cpu} for cpu, fact in zip(cpus, of)))
        domain.parts = parts(given, number, cpus)
    domain.disagreements = checks.of_domain(given, domain, mask)
    return domain


def parts(given: facts.Facts, number: int, cpus: list[int]) -> list[model.Part]:
    """What the scheduler splits the online @cpus of a domain into; [] where it does not.

    CPUs that it balances with none stand together in one part, the last.
    """
    spans: dict[frozenset[int], list[int]] = {}
    alone = [cpu for cpu in cpus if not given.cpu[cpu].span]
    for cpu in cpus:
        if span := given.cpu[cpu].span:
            spans.setdefault(span, []).append(cpu)
    found = [(of, False) for of in spans.values()] + ([(alone, True)] if alone else [])
    if len(cpus) < 2 or len(found) < 2 and not alone:
        return []
    return [model.Part(f"{number}{facts.letters(at)}", frozenset(of), lonely) for at, (of, lonely) in enumerate(found)]


def _number(value: int | None) -> int | None:
    return value if value is not None and value >= 0 else None


def _cores(given: facts.Facts) -> dict[int, frozenset[int]]:
    """By CPU: those of its core that are online; a set for each core, not for each CPU."""
    online = {core: core & given.online for core in {fact.core for fact in given.cpu.values()}}
    return {cpu: facts.with_cpu(online[fact.core], cpu) for cpu, fact in given.cpu.items()}


def machine(given: facts.Facts) -> model.Machine:
    """The Machine, with all that does not fit together."""
    found = model.Machine(kernel=given.kernel, possible=given.possible, online=given.online, source=given.source,
                          cores=_cores(given),
                          places={cpu: (_number(fact.package), _number(fact.node)) for cpu, fact in given.cpu.items()},
                          about=given.about, memory_kib=given.memory_kib)
    found.smt = any(len(core) > 1 for core in found.cores.values())
    taken: set[int] = set()
    for number, (mask, cpus) in enumerate(_masks(given)):
        offline = frozenset(mask & given.possible - given.online - taken)
        taken |= offline
        found.domains.append(_domain(given, number, mask, cpus, offline))
    found.no_domain = given.online - frozenset().union(*(domain.online for domain in found.domains))
    found.unknown = frozenset(cpu for cpu in found.no_domain if given.cpu[cpu].last is not None)
    found.disagreements = checks.of_machine(given, found)
    found.caches = _caches(given)
    found.clusters, found.kinds, found.capacities = _clusters(given), _kinds(given), _capacities(given)
    return found


def _caches(given: facts.Facts) -> list[model.Kind]:
    """How many caches of each kind there are, the largest first."""
    masks: dict[tuple[int, str, int | None], set[frozenset[int]]] = {}
    for cpu, fact in given.cpu.items():
        for cache in fact.caches:
            masks.setdefault((cache.level, cache.type, cache.size_kib), set()).add(cache.cpus or frozenset({cpu}))
    return [model.Kind(level, kind, size, len(masks[level, kind, size])) for level, kind, size in sorted(
        masks, key=lambda key: (-key[0], key[1], -(key[2] or 0)))]


def _clusters(given: facts.Facts) -> dict[int, frozenset[int]]:
    """By CPU: the CPUs that share a cache below the last level with it and with more than its core."""
    found, online = {}, dict[frozenset[int], frozenset[int]]()
    for cpu, fact in given.cpu.items():
        for cache in fact.caches:
            if fact.last is not None and cache.level == fact.last.level - 1 and cache.type != "instruction" and cache.cpus:
                found[cpu] = online.setdefault(cache.cpus, cache.cpus & given.online)
    return found


def _kinds(given: facts.Facts) -> dict[int, str]:
    """By CPU, where there are several kinds."""
    found = {cpu: fact.kind for cpu, fact in given.cpu.items() if fact.kind}
    return found if len(set(found.values())) > 1 else {}


def _capacities(given: facts.Facts) -> dict[int, int]:
    """By CPU, where they differ."""
    found = {cpu: fact.capacity for cpu, fact in given.cpu.items() if fact.capacity}
    return found if len(set(found.values())) > 1 else {}
