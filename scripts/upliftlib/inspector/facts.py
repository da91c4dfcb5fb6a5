# SPDX-License-Identifier: GPL-2.0-only
"""What is known of each CPU of a machine, whatever it was read from: the counterpart of the module's llc_facts."""

import collections.abc
import dataclasses
import functools

from . import model

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@functools.lru_cache(maxsize=4096)
def cpu_list(text: str, where: str) -> frozenset[int]:
    """A list of CPUs. Masks are read once per CPU, and most of them are the same."""
    return model.cpus_of(text, where)


def with_cpu(cpus: frozenset[int], cpu: int) -> frozenset[int]:
    """The CPUs of its core: the very set where it has the CPU, so that a set of thousands is not there thousands of times."""
    return cpus if cpu in cpus else cpus | {cpu}


@dataclasses.dataclass(frozen=True)
class Cache:
    """One cache, as one CPU describes it.

    @type: "unified", "data" or "instruction"
    @cpus: the CPUs that share it; None where that is not said
    @id: as it is written there; sources number in different ways
    """
    level: int
    type: str
    cpus: frozenset[int] | None
    size_kib: int | None = None
    ways: int | None = None
    line: int | None = None
    id: str | None = None

    @property
    def same(self) -> tuple[int, str, int | None, int | None, int | None]:
        """What all CPUs of a cache should say of it alike."""
        return self.level, self.type, self.size_kib, self.ways, self.line


@dataclasses.dataclass
class Fact:
    """A CPU that is online.

    @package, @node, @die: None where it is not known, -1 where the machine says that it does not know
    @core: its SMT siblings, itself among them
    @span: the CPUs that the scheduler takes to share its last-level cache; empty where it balances with none
    @kind: of core, in a word: "core", "atom", "0xd46"
    @capacity: of 1024
    """
    caches: list[Cache] = dataclasses.field(default_factory=list)
    package: int | None = None
    node: int | None = None
    die: int | None = None
    core: frozenset[int] = frozenset()
    span: frozenset[int] = frozenset()
    kind: str = ""
    capacity: int | None = None

    @functools.cached_property
    def last(self) -> Cache | None:
        """The topmost cache that holds data."""
        holding = [cache for cache in self.caches if cache.type != "instruction"]
        return max(holding, key=lambda cache: cache.level) if holding else None


@dataclasses.dataclass
class Facts:
    """A machine.

    @cpu: the CPUs that are online
    @sched: whether the scheduler's view (Fact.span) is known
    @isolated: CPUs that are kept out of the scheduler's domains
    @memory_kib: by node
    """
    kernel: str
    possible: frozenset[int]
    online: frozenset[int]
    cpu: dict[int, Fact] = dataclasses.field(default_factory=dict)
    sched: bool = False
    isolated: frozenset[int] = frozenset()
    memory_kib: dict[int, int] = dataclasses.field(default_factory=dict)
    about: model.About = dataclasses.field(default_factory=model.About)
    source: str = "sysfs"


def letters(number: int) -> str:
    """0 -> "a", 25 -> "z", 26 -> "aa"."""
    word = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, len(LETTERS))
        word = LETTERS[rest] + word
    return word


def known(values: collections.abc.Iterable[int | None]) -> frozenset[int]:
    """The numbers among them."""
    return frozenset(value for value in values if value is not None and value >= 0)
