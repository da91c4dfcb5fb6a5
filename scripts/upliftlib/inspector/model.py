# SPDX-License-Identifier: GPL-2.0-only
"""A machine's last-level cache domains and what runs in them, as uplift_llc.ko tells it.

domains.json and processes.json are described in docs/ABI/testing/debugfs-uplift-llc. They may come from somebody
else's machine, cut short, or from a later version: whatever is not as described is a Bad, one line that names the file
and the field. Fields that are not known are left alone.
"""

import dataclasses
import json
import re
from collections.abc import Iterable
from typing import Any, List

from ..base import errors

FORMAT = 1
MOST = 65536		# CPU numbers are below; Linux has 8192 at most
NAMED = 16 * MOST	# numbers in the lists of all domains: each CPU is in one, and what they share is small
COUNT = 1 << 64		# what is counted is below
REASONS = {
    "single-thread": "one thread only",
    "too-many-threads": "more running threads than fit",
    "footprint": "uses more memory than the cache holds",
    "stale": "did not run lately",
    "no-majority": "no domain has most of it",
    "young": "not looked at yet",
    "off": "cache-aware scheduling is off",
    "unknown": "reason unknown",
}


def plain(text: object) -> str:
    """Untrusted text (a process may call itself anything), fit for a terminal and for XML."""
    return "".join(char if char.isprintable() else "?" for char in str(text))


class Bad(errors.Problem):
    """What was given cannot be used, and why."""

    def __init__(self, message: str) -> None:
        # it may quote what was given, and ends on a terminal
        super().__init__(plain(message), errors.USAGE)


def cpus_of(text: object, where: str) -> frozenset[int]:
    """The numbers of a list as the kernel prints it: "0-3,8" -> {0, 1, 2, 3, 8}."""
    found: set[int] = set()
    if not isinstance(text, str):
        raise Bad(f"{where}: a list like '0-3,8' is wanted, not {text!r:.40}")
    for part in text.strip().split(",") if text.strip() else ():
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else -1
        if last < first or last >= MOST:
            raise Bad(f"{where}: a list like '0-3,8' is wanted, not '{text.strip():.40}'")
        found.update(range(first, last + 1))
    return frozenset(found)


def list_of(cpus: Iterable[int]) -> str:
    """{0, 1, 2, 3, 8} -> "0-3,8"."""
    out: list[list[int]] = []
    for cpu in sorted(cpus):
        if out and out[-1][1] == cpu - 1:
            out[-1][1] = cpu
        else:
            out.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in out)


def size_of(kib: int | None) -> str:
    """16384 -> "16 MiB"."""
    if kib is None:
        return "size unknown"
    return f"{round(kib / 1024, 2):g} MiB" if kib >= 1024 else f"{kib} KiB"


class Fields:
    """A JSON object whose fields are asked for by type."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise Bad(f"{where}: an object is wanted, not {data!r:.40}")
        self.data, self.where = data, where

    def get(self, key: str, types: tuple[type, ...], optional: bool = False, default: Any = None) -> Any:
        """The field; an optional one may be missing or null."""
        value = self.data.get(key)
        if value is None and (optional or (key in self.data and type(None) in types)):
            return default
        if key not in self.data:
            raise Bad(f"{self.where}: no '{key}': is it cut short, or of another version?")
        # a bool is an int to Python, not to us
        if not isinstance(value, types) or isinstance(value, bool) and bool not in types:
            raise Bad(f"{self.where}: '{key}' is {value!r:.40}, which makes no sense")
        return value

    def number(self, key: str, optional: bool = False, least: int = 0) -> Any:
        value = self.get(key, (int,), optional)
        if value is not None and not least <= value < COUNT:
            raise Bad(f"{self.where}: '{key}' is {value if abs(value) < COUNT else 'huge'}, which makes no sense")
        return value

    def measure(self, key: str) -> float | None:
        """What need not be whole, and may be missing."""
        value: float | None = self.get(key, (int, float), optional=True)
        if value is not None and not 0 <= value < COUNT:
            raise Bad(f"{self.where}: '{key}' is not a number that makes sense")
        return value

    def text(self, key: str, optional: bool = False, default: Any = "") -> Any:
        return plain(self.get(key, (str,), optional, default))

    def flag(self, key: str) -> bool:
        return bool(self.get(key, (bool,)))

    def cpus(self, key: str, optional: bool = False) -> Any:
        value = self.get(key, (str,), optional)
        return None if value is None else cpus_of(value, f"{self.where}: '{key}'")

    def objects(self, key: str) -> "list[Fields]":
        return [Fields(item, f"{self.where}: {key}[{number}]")
                for number, item in enumerate(self.get(key, (list,)))]

    def texts(self, key: str) -> list[str]:
        value = self.get(key, (list,))
        if not all(isinstance(item, str) for item in value):
            raise Bad(f"{self.where}: '{key}' is not a list of texts")
        return [plain(item) for item in value]

    def part(self, key: str) -> "Fields":
        """An object in it."""
        return Fields(self.get(key, (dict,)), f"{self.where}: {key}")

    def part_if_any(self, key: str) -> "Fields | None":
        """The same, of one that may be missing or null."""
        return None if self.get(key, (dict,), optional=True) is None else self.part(key)


def document(text: str, where: str) -> Fields:
    """The Fields of a JSON file whose format is ours."""
    try:
        data = json.loads(text)
    except ValueError as error:
        at = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "it"
        raise Bad(f"{where}: not JSON from {at} on ({getattr(error, 'msg', error)}): is it cut short?") from None
    except RecursionError:
        raise Bad(f"{where}: not JSON of ours: nested too deep") from None
    fields = Fields(data, where)
    version = fields.number("format", least=1)
    if version != FORMAT:
        raise Bad(f"{where}: format {version}, this uplift knows {FORMAT}: take the uplift that it was made with, "
                  "or a later one")
    return fields


@dataclasses.dataclass
class Part:
    """CPUs of one domain that the scheduler balances together; or, @alone, those that it balances with none.

    @name: the domain's number and a letter, "0a"
    """
    name: str
    cpus: frozenset[int]
    alone: bool = False


@dataclasses.dataclass(frozen=True)
class Kind:
    """Caches that are alike, and how many of them there are."""
    level: int
    type: str
    size_kib: int | None
    number: int


@dataclasses.dataclass
class About:
    """What machine it is: the processor's model, the hypervisor, and what of the command line concerns CPUs."""
    model: str = ""
    hypervisor: str = ""
    command_line: str = ""


@dataclasses.dataclass
class Domain:
    """CPUs that share a last-level cache.

    @online: those of @cpus that are
    @size_kib, @ways, @line: None where no source has them
    @nodes, @packages, @dies: numbers; a domain can cross
    @ids: {"cacheinfo": "0", ...}: what each source calls it; None where it does not
    @sched_cpus: what the scheduler takes for the domain; None where that is not known
    @parts: where the scheduler splits the mask, the Parts; [] where it does not
    """
    number: int
    cpus: frozenset[int]
    online: frozenset[int]
    level: int = 3
    type: str = "unified"
    size_kib: int | None = None
    ways: int | None = None
    line: int | None = None
    nodes: frozenset[int] = frozenset()
    packages: frozenset[int] = frozenset()
    dies: frozenset[int] = frozenset()
    ids: dict[str, str | None] = dataclasses.field(default_factory=dict)
    sched_cpus: frozenset[int] | None = None
    parts: list[Part] = dataclasses.field(default_factory=list)
    disagreements: list[str] = dataclasses.field(default_factory=list)

    @property
    def shape(self) -> tuple[int, str, int | None, int | None, int | None]:
        """What is alike in domains that are alike."""
        return self.level, self.type, self.size_kib, self.ways, self.line


@dataclasses.dataclass
class Machine:
    """What there is to draw.

    @cas: cache-aware scheduling: "absent", "off", "on"; None where that is not known
    @cores: the CPUs of a core, for each CPU that is known to share one
    @places: (package, node) of a CPU, as far as known
    @unknown: those of @no_domain that have a last-level cache, of which it is not known with whom they share it
    @caches: the Kinds of all levels, the largest first; [] where only the last level is known
    @clusters: the CPUs that share the level below the last, by CPU
    @kinds, @capacities: of cores, by CPU, where there are several
    @memory_kib: by node
    @source: where that comes from, for people
    @notes: what is missing, and what to do about it
    """
    kernel: str
    possible: frozenset[int]
    online: frozenset[int]
    smt: bool | None = None
    cas: str | None = None
    domains: list[Domain] = dataclasses.field(default_factory=list)
    no_domain: frozenset[int] = frozenset()
    disagreements: list[str] = dataclasses.field(default_factory=list)
    cores: dict[int, frozenset[int]] = dataclasses.field(default_factory=dict)
    places: dict[int, tuple[int | None, int | None]] = dataclasses.field(default_factory=dict)
    unknown: frozenset[int] = frozenset()
    caches: list[Kind] = dataclasses.field(default_factory=list)
    clusters: dict[int, frozenset[int]] = dataclasses.field(default_factory=dict)
    kinds: dict[int, str] = dataclasses.field(default_factory=dict)
    capacities: dict[int, int] = dataclasses.field(default_factory=dict)
    memory_kib: dict[int, int] = dataclasses.field(default_factory=dict)
    about: About = dataclasses.field(default_factory=About)
    source: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)

    def domain_of(self, cpu: int) -> Domain | None:
        """The Domain that a CPU is in, or None."""
        return next((domain for domain in self.domains if cpu in domain.cpus), None)


def _parts(item: Fields, domain: Domain) -> list[Part]:
    """The Parts of a domain; a module of an earlier version says nothing of them."""
    if item.data.get("parts") is None:
        return []
    found = [Part(one.text("part"), one.cpus("cpus"), one.flag("alone")) for one in item.objects("parts")]
    cpus = [cpu for part in found for cpu in part.cpus]
    if found and (sorted(cpus) != sorted(domain.online) or len({part.name for part in found}) < len(found)
                  or not all(part.cpus for part in found)):
        raise Bad(f"{item.where}: its parts are not the online CPUs '{list_of(domain.online)}', each once")
    return found


def machine(text: str, where: str) -> Machine:
    """The Machine of a domains.json."""
    fields = document(text, where)
    found = Machine(kernel=fields.text("kernel"), possible=fields.cpus("possible"), online=fields.cpus("online"),
                    smt=fields.get("smt", (bool, type(None))), cas=fields.text("cas"),
                    no_domain=fields.cpus("no_domain"), disagreements=fields.texts("disagreements"),
                    source="uplift_llc")
    if not found.online:
        raise Bad(f"{where}: no CPU is online")
    if found.cas not in ("absent", "off", "on"):
        raise Bad(f"{where}: 'cas' is '{found.cas:.20}', not absent, off or on")
    seen: dict[int, int] = {}
    numbers: set[int] = set()
    named = 0
    for item in fields.objects("domains"):
        ids = item.part("ids")
        domain = Domain(
            number=item.number("domain"), cpus=item.cpus("cpus"), online=item.cpus("online"),
            level=item.number("level", least=1), type=item.text("type"), size_kib=item.number("size_kib", True),
            ways=item.number("ways", True), line=item.number("line", True), nodes=item.cpus("nodes"),
            packages=item.cpus("packages"), dies=item.cpus("dies", True) or frozenset(),
            ids={plain(key): ids.text(key, True, None) if ids.data[key] is not None else None for key in ids.data},
            sched_cpus=item.cpus("sched_cpus", True), disagreements=item.texts("disagreements"))
        named += sum(map(len, (domain.cpus, domain.nodes, domain.packages, domain.dies, domain.sched_cpus or ())))
        if named > NAMED:
            raise Bad(f"{item.where}: its lists, and those of the domains before it, name more than a machine has")
        domain.parts = _parts(item, domain)
        if domain.number in numbers:
            raise Bad(f"{item.where}: domain {domain.number} is there twice")
        numbers.add(domain.number)
        if not domain.cpus or not domain.online <= domain.cpus:
            raise Bad(f"{item.where}: online CPUs '{list_of(domain.online)}' of '{list_of(domain.cpus)}'")
        for cpu in domain.cpus:
            if seen.setdefault(cpu, domain.number) != domain.number:
                raise Bad(f"{item.where}: CPU {cpu} is in domain {seen[cpu]} and in {domain.number}")
        found.domains.append(domain)
    if lost := found.online - set(seen) - found.no_domain:
        raise Bad(f"{where}: CPUs {list_of(lost)} are online, and in no domain nor in no_domain")
    return found


@dataclasses.dataclass
class Verdict:
    """Where a process is, or would be, gathered: @preferred is a domain's number, or None for @reason.

    @part: of that domain, where the scheduler splits it
    """
    preferred: int | None = None
    part: str | None = None
    reason: str | None = None
    footprint_kib: int | None = None
    running_avg: float | None = None
    epoch: int | None = None

    @property
    def where(self) -> str | None:
        """The part, or the domain, as text; None where it is not gathered."""
        return self.part or (None if self.preferred is None else str(self.preferred))


@dataclasses.dataclass
class Process:
    """One that has several threads, and where it ran.

    @share: {domain: permille} of its run time lately
    @parts: {part: permille}, where the scheduler splits a domain
    @wakeups: {"same_cpu", "within", "across"}, @moves: {"within", "across"}
    """
    pid: int
    comm: str
    threads: int
    runtime_ns: int = 0
    share: dict[int, int] = dataclasses.field(default_factory=dict)
    parts: dict[str, int] = dataclasses.field(default_factory=dict)
    scheduler: Verdict | None = None
    predicted: Verdict | None = None
    wakeups: dict[str, int] = dataclasses.field(default_factory=dict)
    moves: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def verdict(self) -> Verdict | None:
        """The scheduler's word where there is one, else the prediction."""
        return self.scheduler or self.predicted

    @property
    def places(self) -> dict[str, int]:
        """{part, or domain where there are none, as text: permille}."""
        return self.parts or {str(domain): permille for domain, permille in self.share.items()}


@dataclasses.dataclass
class Processes:
    """processes.json."""
    tracking: bool = False
    source: str = "none"
    tracked: int = 0
    dropped: int = 0
    epoch_ms: float | None = None
    tolerance: int | None = None
    list: List[Process] = dataclasses.field(default_factory=list)


def _verdict(fields: Fields | None) -> Verdict | None:
    if fields is None:
        return None
    reason = fields.get("reason", (str, type(None)))
    return Verdict(preferred=fields.number("preferred", True), part=fields.text("part", True, None) if
                   fields.data.get("part") is not None else None, reason=None if reason is None else plain(reason),
                   footprint_kib=fields.number("footprint_kib", True), running_avg=fields.measure("running_avg"),
                   epoch=fields.number("epoch", True))


def _shares_of_parts(item: Fields) -> dict[str, int]:
    if item.data.get("parts") is None:
        return {}
    return {part.text("part"): part.number("permille") for part in item.objects("parts")}


def processes(text: str, where: str) -> Processes:
    """The Processes of a processes.json."""
    fields = document(text, where)
    found = Processes(tracking=fields.flag("tracking"), source=fields.text("source"),
                      tracked=fields.number("tracked", True) or 0, dropped=fields.number("dropped", True) or 0,
                      epoch_ms=fields.measure("epoch_ms"),
                      tolerance=fields.number("tolerance", True))
    for item in fields.objects("processes"):
        share = {}
        for part in item.objects("share"):
            share[part.number("domain")] = part.number("permille")
        counts = {}
        for key, names in (("wakeups", ("same_cpu", "within", "across")), ("moves", ("within", "across"))):
            of = item.part_if_any(key)
            counts[key] = {name: of.number(name) for name in names} if of else {}
        found.list.append(Process(
            pid=item.number("pid"), comm=item.text("comm"), threads=item.number("threads"),
            runtime_ns=item.number("runtime_ns", True) or 0, share=share, parts=_shares_of_parts(item),
            scheduler=_verdict(item.part_if_any("scheduler")), predicted=_verdict(item.part_if_any("predicted")),
            **counts))
    return found


@dataclasses.dataclass
class Migrations:
    """migrations.json: @pairs[from][to] counts moves between @domains."""
    tracking: bool = False
    wakeups: dict[str, int] = dataclasses.field(default_factory=dict)
    moves: dict[str, int] = dataclasses.field(default_factory=dict)
    domains: list[str] = dataclasses.field(default_factory=list)
    pairs: list[list[int]] = dataclasses.field(default_factory=list)


def migrations(text: str, where: str) -> Migrations:
    """The Migrations of a migrations.json."""
    fields = document(text, where)
    wakeups, moves = fields.part("wakeups"), fields.part("moves")
    found = Migrations(tracking=fields.flag("tracking"),
                       wakeups={key: wakeups.number(key) for key in ("same_cpu", "within", "across")},
                       moves={key: moves.number(key) for key in ("within", "across")},
                       domains=fields.texts("domains"), pairs=fields.get("pairs", (list,)))
    width = len(found.domains)
    if len(found.pairs) != width or not all(
            isinstance(row, list) and len(row) == width
            and all(isinstance(count, int) and not isinstance(count, bool) and 0 <= count < COUNT for count in row)
            for row in found.pairs):
        raise Bad(f"{where}: 'pairs' is not a table of {width} x {width} counts")
    return found
