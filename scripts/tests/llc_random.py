# SPDX-License-Identifier: GPL-2.0-only
"""Random machines as trees of /sys, faults that are put into them, and the truth about both by brute force.

Nothing here knows how the inspector, or the module, comes to its word: each finding is looked for CPU by CPU and pair by
pair, as its definition reads.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import itertools
import pathlib
import random
import re

Cpus = frozenset[int]
Finding = tuple[object, ...]


def cpu_list(cpus: Cpus | set[int]) -> str:
    return ",".join(map(str, sorted(cpus)))


def parsed(text: str) -> Cpus:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


@dataclasses.dataclass
class Cache:
    level: int
    type: str			# as sysfs has it
    cpus: Cpus | None		# None: neither a list nor a mask
    size: int			# KiB; 0 if it is not said
    ways: int
    line: int
    id: int | None


@dataclasses.dataclass
class Cpu:
    caches: list[Cache]
    package: int
    node: int
    core: Cpus
    span: Cpus = frozenset()

    @property
    def last(self) -> Cache | None:
        best = None
        for cache in self.caches:
            if cache.type != "Instruction" and (best is None or cache.level > best.level):
                best = cache
        return best


@dataclasses.dataclass
class Tree:
    possible: Cpus
    cpus: dict[int, Cpu]	# those online
    sched: bool
    isolated: Cpus = frozenset()

    @property
    def online(self) -> Cpus:
        return frozenset(self.cpus)


# Making one: packages of nodes of caches of cores, and every number right.

def made(rng: random.Random) -> Tree:
    """A machine without a fault."""
    threads, cores, caches = rng.choice((1, 1, 2)), rng.randint(1, 3), rng.randint(1, 2)
    nodes, packages = rng.randint(1, 2), rng.randint(1, 2)
    level, with_ids, kind = rng.choice((2, 3, 3, 4)), rng.random() < 0.7, rng.choice(("Unified", "Unified", "Data"))
    size, total = rng.choice((0, 512, 16384, 1 << 20)), packages * nodes * caches * cores * threads
    numbers = list(range(total))
    if rng.random() < 0.5:	# siblings beside each other, or half of the machine apart
        numbers = [at % (total // threads) * threads + at // (total // threads) for at in range(total)]
        numbers = sorted(range(total), key=lambda at: numbers[at])
    at = iter(numbers)
    cpus: dict[int, Cpu] = {}
    count = itertools.count(rng.choice((0, 0, 5)))
    for package, node, _ in itertools.product(range(packages), range(nodes), range(caches)):
        of = [frozenset(next(at) for _ in range(threads)) for _ in range(cores)]
        mask, number = frozenset().union(*of), next(count)
        for core in of:
            for cpu in core:
                private = [Cache(1, what, core, 32, 8, 64, min(core) if with_ids else None) for what in ("Data", "Instruction")]
                cpus[cpu] = Cpu([*private, Cache(level, kind, mask, size, 16, 64, number if with_ids else None)],
                                package, package * nodes + node, core, mask if len(mask) > 1 else frozenset())
    tree = Tree(frozenset(cpus), dict(sorted(cpus.items())), rng.random() < 0.5)
    gone = {cpu for cpu in tree.possible if rng.random() < 0.1} if rng.random() < 0.3 else set()
    if len(gone) < total:
        take_offline(tree, frozenset(gone))
    return tree


def take_offline(tree: Tree, gone: Cpus) -> None:
    """As the kernel does it: out of all masks, too."""
    for cpu in gone:
        del tree.cpus[cpu]
    for item in tree.cpus.values():
        item.core -= gone
        item.span = item.span - gone if len(item.span - gone) > 1 else frozenset()
        for cache in item.caches:
            cache.cpus = (cache.cpus or frozenset()) - gone


# Faults. Each returns the kinds of findings of which one has to be there, or None where the tree has no room for it.

def _last(tree: Tree, cpu: int) -> Cache:
    last = tree.cpus[cpu].last
    assert last is not None
    return last


def _sharing(tree: Tree, rng: random.Random, least: int = 2) -> list[int] | None:
    """The CPUs of some cache that has as many."""
    found = sorted({cpus for cpu in tree.cpus if len(cpus := _last(tree, cpu).cpus or frozenset()) >= least}, key=sorted)
    return sorted(rng.choice(found)) if found else None


def _two(tree: Tree, rng: random.Random) -> tuple[list[int], list[int]] | None:
    """The CPUs of two caches."""
    masks = sorted({cpus for cpu in tree.cpus if (cpus := _last(tree, cpu).cpus)}, key=sorted)
    if len(masks) < 2:
        return None
    one, other = rng.sample(masks, 2)
    return sorted(one), sorted(other)


def across_nodes(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if cpus := _sharing(tree, rng):
        for cpu in cpus[len(cpus) // 2:]:
            tree.cpus[cpu].node += 64
        return ("across nodes",)
    return None


def across_packages(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if cpus := _sharing(tree, rng):
        for cpu in cpus[1:]:
            tree.cpus[cpu].package += 64
        return ("across packages",)
    return None


def siblings_apart(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if two := _two(tree, rng):
        core = frozenset({two[0][0], two[1][0]})
        for cpu in core:
            tree.cpus[cpu].core = core
        return ("siblings",)
    return None


def ids_clash(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if two := _two(tree, rng):
        for cpu in two[0] + two[1]:
            _last(tree, cpu).id = 77
        return ("clash",)
    return None


def ids_differ(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if cpus := _sharing(tree, rng):
        for cpu in cpus:
            _last(tree, cpu).id = 500 + cpu
        return ("ids differ",)
    return None


def id_lacking(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if cpus := _sharing(tree, rng):
        for cpu in cpus:
            _last(tree, cpu).id = 500
        _last(tree, cpus[-1]).id = None
        return ("id lacks",)
    return None


def not_mutual(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if cpus := _sharing(tree, rng):
        _last(tree, cpus[0]).cpus = frozenset({cpus[0]})
        return ("others",)
    return None


def cut_short(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    """All lists lack a CPU that has the same list itself."""
    if cpus := _sharing(tree, rng):
        for cpu in cpus:
            _last(tree, cpu).cpus = frozenset(cpus[1:])
        return ("lacks",)
    return None


def no_list(tree: Tree, rng: random.Random) -> tuple[str, ...]:
    _last(tree, rng.choice(sorted(tree.cpus))).cpus = None
    return ("unknown",)


def empty_list(tree: Tree, rng: random.Random) -> tuple[str, ...]:
    _last(tree, rng.choice(sorted(tree.cpus))).cpus = frozenset()
    return ("unknown",)


def other_level(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if two := _two(tree, rng):
        for cpu in two[0]:
            _last(tree, cpu).level += 1
        return ("levels",)
    return None


def other_size(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if two := _two(tree, rng):
        for cpu in two[0]:
            _last(tree, cpu).size = 3 * 1024
        return ("levels",)
    return None


def sizes_under_one_mask(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if cpus := _sharing(tree, rng):
        _last(tree, cpus[-1]).size = 3 * 1024
        return ("caches differ",)
    return None


def no_package(tree: Tree, rng: random.Random) -> tuple[str, ...]:
    for cpu in rng.sample(sorted(tree.cpus), rng.randint(1, len(tree.cpus))):
        tree.cpus[cpu].package = -1
    return ("package",)


def offline_in_a_mask(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if cpus := _sharing(tree, rng):
        gone = rng.choice(cpus)
        kept = {cpu: _last(tree, cpu).cpus for cpu in cpus if cpu != gone}
        take_offline(tree, frozenset({gone}))
        for cpu, mask in kept.items():
            _last(tree, cpu).cpus = mask
        return ("offline",)
    return None


def no_cache(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    if two := _two(tree, rng):
        for cpu in two[0]:
            tree.cpus[cpu].caches = []
            tree.cpus[cpu].span = frozenset()
        return ("no cache",)
    return None


def split(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    """By the scheduler: at nodes, at packages, at a partition, or into CPUs that it balances with none."""
    tree.sched = True
    if not (cpus := _sharing(tree, rng, 4)):
        return None
    halves = [frozenset(cpus[:len(cpus) // 2]), frozenset(cpus[len(cpus) // 2:])]
    cause = rng.choice(("nodes", "packages", "partition", "isolated CPUs", "CPUs without a domain"))
    for cpu in cpus:
        tree.cpus[cpu].span = halves[cpu in halves[1]]
    for cpu in halves[1]:
        if cause == "nodes":
            tree.cpus[cpu].node += 64
        elif cause == "packages":
            tree.cpus[cpu].package += 64
        elif cause != "partition":
            tree.cpus[cpu].span = frozenset()
    if cause == "isolated CPUs":
        tree.isolated = halves[1]
    return (f"split: {cause}",)


def span_beyond(tree: Tree, rng: random.Random) -> tuple[str, ...] | None:
    tree.sched = True
    if two := _two(tree, rng):
        for cpu in two[0]:
            tree.cpus[cpu].span = frozenset(two[0] + two[1])
        return ("adds",)
    return None


FAULTS = (across_nodes, across_packages, siblings_apart, ids_clash, ids_differ, id_lacking, not_mutual, cut_short, no_list,
          empty_list, other_level, other_size, sizes_under_one_mask, no_package, offline_in_a_mask, no_cache, split, span_beyond)


def faulty(rng: random.Random) -> tuple[Tree, str, tuple[str, ...]]:
    """(machine with one fault, its name, the kinds of findings that it has to bring)."""
    while True:
        tree, fault = made(rng), rng.choice(FAULTS)
        if wanted := fault(tree, rng):
            return tree, fault.__name__, wanted


# The truth, by brute force.

def domains(tree: Tree) -> set[Cpus]:
    """CPUs with one and the same mask."""
    found = set()
    for cpu in tree.cpus:
        mine = tree.cpus[cpu].last
        if mine and mine.cpus:
            found.add(frozenset(other for other in tree.cpus if (last := tree.cpus[other].last) and last.cpus == mine.cpus))
    return found


def _of_domain(tree: Tree, cpus: Cpus) -> set[Finding]:
    found: set[Finding] = set()
    mask, first = _last(tree, min(cpus)).cpus or frozenset(), _last(tree, min(cpus))
    ids = {_last(tree, cpu).id for cpu in cpus}
    if len(ids - {None}) > 1:
        found.add(("ids differ", frozenset(ids - {None})))
    if None in ids and ids != {None}:
        found.add(("id lacks", frozenset(cpu for cpu in cpus if _last(tree, cpu).id is None)))
    for what, numbers in (("nodes", {tree.cpus[cpu].node for cpu in cpus}),
                          ("packages", {tree.cpus[cpu].package for cpu in cpus} - {-1})):
        if len(numbers) > 1:
            found.add((f"across {what}", frozenset(numbers)))
    other = frozenset(cpu for cpu in cpus if any(getattr(_last(tree, cpu), name) != getattr(first, name)
                                                 for name in ("level", "type", "size", "ways", "line")))
    others = frozenset(cpu for cpu in mask & tree.online - cpus if not (last := tree.cpus[cpu].last) or last.cpus)
    for kind, these in (("caches differ", other), ("others", others), ("lacks", cpus - mask),
                        ("offline", mask - tree.online)):
        if these:
            found.add((kind, these))
    return found | (_of_sched(tree, cpus, mask) if tree.sched else set())


def parts(tree: Tree, cpus: Cpus) -> tuple[set[Cpus], Cpus]:
    """(CPUs that the scheduler balances together, CPUs that it balances with none)."""
    alone = frozenset(cpu for cpu in cpus if not tree.cpus[cpu].span)
    return {frozenset(other for other in cpus if tree.cpus[other].span == tree.cpus[cpu].span)
            for cpu in cpus - alone}, alone


def _of_sched(tree: Tree, cpus: Cpus, mask: Cpus) -> set[Finding]:
    found: set[Finding] = set()
    balanced, alone = parts(tree, cpus)
    if len(cpus) > 1 and (len(balanced) > 1 or alone):
        found.add(("split", frozenset(balanced | ({alone} if alone else set()))))
        found |= {(f"split: {cause}",) for cause in _causes(tree, balanced, alone)}
    spanned = frozenset().union(*(tree.cpus[cpu].span for cpu in cpus))
    if beyond := spanned - cpus - (mask - tree.online):
        found.add(("adds", beyond))
    return found


def _causes(tree: Tree, balanced: set[Cpus], alone: Cpus) -> set[str]:
    def of(part: Cpus, name: str) -> set[int]:
        return {getattr(tree.cpus[cpu], name) for cpu in part} - {-1}
    by_package = all(len(of(part, "package")) < 2 for part in balanced)
    by_node = all(len(of(part, "node")) < 2 for part in balanced)
    found = set()
    for one, other in itertools.combinations(sorted(balanced, key=sorted), 2):
        if by_package and of(one, "package") != of(other, "package"):
            found.add("packages")
        elif by_node and of(one, "node") != of(other, "node"):
            found.add("nodes")
        else:
            found.add("partition")
    found |= {"isolated CPUs"} if alone & tree.isolated else set()
    return found | ({"CPUs without a domain"} if alone - tree.isolated else set())


def findings(tree: Tree) -> set[Finding]:
    """All that does not fit together."""
    found: set[Finding] = set()
    of = domains(tree)
    of_cpu = {cpu: next((cpus for cpus in of if cpu in cpus), None) for cpu in tree.cpus}
    for cpus in of:
        found |= _of_domain(tree, cpus)
    for one, other in itertools.combinations(tree.cpus, 2):
        mine, its = tree.cpus[one].last, tree.cpus[other].last
        if (mine and its and of_cpu[one] and of_cpu[other] and of_cpu[one] != of_cpu[other] and mine.id is not None
                and (mine.id, mine.level) == (its.id, its.level)):
            found.add(("clash", mine.id))
        if other in tree.cpus[one].core and of_cpu[one] != of_cpu[other]:
            found.add(("siblings", frozenset({one, other})))
    shapes = frozenset((first.level, first.type.lower(), first.size) for cpus in of for first in [_last(tree, min(cpus))])
    if len(shapes) > 1:
        found.add(("levels", shapes))
    without = frozenset(cpu for cpu in tree.cpus if of_cpu[cpu] is None)
    unknown = frozenset(cpu for cpu in without if tree.cpus[cpu].last)
    for kind, cpus in (("unknown", unknown), ("no cache", without - unknown if of else frozenset()),
                       ("package", frozenset(cpu for cpu in tree.cpus if tree.cpus[cpu].package == -1)),
                       ("sched only", frozenset(cpu for cpu in without if tree.sched and tree.cpus[cpu].span))):
        if cpus:
            found.add((kind, cpus))
    return found


# What was said, as findings.

SAID: tuple[tuple[str, collections.abc.Callable[[re.Match[str]], set[Finding]]], ...] = (
    (r"cacheinfo ids differ within one mask: (.*)", lambda m: {("ids differ", frozenset(map(int, m[1].split(","))))}),
    (r"no cacheinfo id on CPUs (.*)", lambda m: {("id lacks", parsed(m[1]))}),
    (r"one mask across (nodes|packages): (.*)", lambda m: {(f"across {m[1]}", parsed(m[2]))}),
    (r"caches differ within one mask: that of CPU \d+ is another than those of CPUs (.*)",
     lambda m: {("caches differ", parsed(m[1]))}),
    (r"the mask \S+ has CPUs with other masks: (.*)", lambda m: {("others", parsed(m[1]))}),
    (r"the mask \S+ lacks CPUs that have it: (.*)", lambda m: {("lacks", parsed(m[1]))}),
    (r"the mask has offline CPUs: (.*)", lambda m: {("offline", parsed(m[1]))}),
    (r"the scheduler splits the mask \((.*)\): (.*)", lambda m: {
        ("split", frozenset(parsed(part) for part in re.findall(r"\d+[a-z]+ (\S+?)(?:, |$)", m[2]))),
        *((f"split: {cause}",) for cause in m[1].split(", "))}),
    (r"the scheduler adds CPUs that are not in the mask: (.*)", lambda m: {("adds", parsed(m[1]))}),
    (r"cacheinfo id (\d+) names several domains: .*", lambda m: {("clash", int(m[1]))}),
    (r"SMT siblings in different last-level caches: CPUs (.*)",
     lambda m: {("siblings", frozenset(pair)) for core in m[1].split("; ") for pair in itertools.combinations(parsed(core), 2)}),
    (r"no list of the CPUs that share the last-level cache of CPUs (.*)", lambda m: {("unknown", parsed(m[1]))}),
    (r"last levels differ: (.*)", lambda m: {("levels", frozenset(_shape(word) for word in m[1].split("; ")))}),
    (r"package not known \(id -1\) of CPUs (.*)", lambda m: {("package", parsed(m[1]))}),
    (r"CPUs without a last-level cache: (.*)", lambda m: {("no cache", parsed(m[1]))}),
    (r"the scheduler has cache domains for CPUs of which no cache is known: (.*)", lambda m: {("sched only", parsed(m[1]))}),
)


def _shape(words: str) -> tuple[int, str, int]:
    match = re.fullmatch(r"L(\d+) (\w+) (?:([\d.]+) (KiB|MiB)|size unknown) of CPUs .*", words)
    assert match is not None, words
    return int(match[1]), match[2], int(float(match[3]) * (1024 if match[4] == "MiB" else 1)) if match[3] else 0


def said(lines: list[str]) -> set[Finding]:
    """The findings that lines tell; a line that tells of none is one, too."""
    found: set[Finding] = set()
    for line in lines:
        text = re.sub(r"^domain \d+ \([^)]*\): ", "", line)
        for pattern, of in SAID:
            if match := re.fullmatch(pattern, text):
                found |= of(match)
                break
        else:
            found.add(("not understood", line))
    return found


# As files, and as the module's core is fed.

def write(tree: Tree, root: pathlib.Path, masks: bool = False) -> None:
    """As a root directory; with @masks as old kernels had it, without lists."""
    files: dict[str, object] = {"cpu/possible": cpu_list(tree.possible), "cpu/online": cpu_list(tree.online),
                                "cpu/isolated": cpu_list(tree.isolated)}
    for cpu, item in tree.cpus.items():
        base = f"cpu/cpu{cpu}"
        files[f"{base}/topology/physical_package_id"] = item.package
        files[f"{base}/topology/thread_siblings_list"] = cpu_list(item.core)
        for at, cache in enumerate(item.caches):
            index = f"{base}/cache/index{at}"
            files |= {f"{index}/level": cache.level, f"{index}/type": cache.type,
                      f"{index}/ways_of_associativity": cache.ways, f"{index}/coherency_line_size": cache.line}
            files |= {f"{index}/size": f"{cache.size}K"} if cache.size else {}
            files |= {f"{index}/id": cache.id} if cache.id is not None else {}
            if cache.cpus is not None and masks:
                files[f"{index}/shared_cpu_map"] = hexmask(cache.cpus)
            elif cache.cpus is not None:
                files[f"{index}/shared_cpu_list"] = cpu_list(cache.cpus)
    for node in {item.node for item in tree.cpus.values()}:
        files[f"node/node{node}/cpulist"] = cpu_list({cpu for cpu, item in tree.cpus.items() if item.node == node})
    for name, value in files.items():
        path = root / "sys/devices/system" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    if tree.sched:
        (root / "proc").mkdir()
        (root / "proc/schedstat").write_text(schedstat(tree))


def hexmask(cpus: Cpus) -> str:
    """As the kernel prints a mask, with groups of 32 bits."""
    value = sum(1 << cpu for cpu in cpus)
    words: list[str] = []
    while value or not words:
        words.append(f"{value & 0xffffffff:08x}")
        value >>= 32
    return ",".join(reversed(words))


def schedstat(tree: Tree) -> str:
    lines = ["version 17", "timestamp 1"]
    for cpu, item in tree.cpus.items():
        lines.append(f"cpu{cpu} 0 0 0 0 0 0 1 2 3")
        if item.span:
            lines.append(f"domain0 MC {hexmask(item.span)} 0 0 0")
        lines.append(f"domain{bool(item.span):d} PKG {hexmask(tree.online)} 0 0 0")
    return "\n".join(lines) + "\n"


def fed(tree: Tree) -> str:
    """For llc_core_host.c."""
    lines = [f"machine {max(tree.possible) + 1} {tree.sched:d}"]
    for cpu, item in tree.cpus.items():
        last = item.last
        mask = "none" if last is None else "-" if not last.cpus else cpu_list(last.cpus)
        cache = (f"{last.level} {('Unified', 'Data').index(last.type)} {last.size} {last.ways} {last.line} "
                 f"{-1 if last.id is None else last.id}" if last else "0 0 0 0 0 -1")
        core, span = (cpu_list(cpus) if cpus else "none" for cpus in (
            item.core if len(item.core) > 1 else frozenset(), item.span if tree.sched else frozenset()))
        lines.append(f"cpu {cpu} {item.package} {item.node} {cache} {cpu in tree.isolated:d} {mask} {core} {span}")
    return "\n".join([*lines, "end"]) + "\n"
