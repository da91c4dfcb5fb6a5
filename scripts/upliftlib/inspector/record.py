# SPDX-License-Identifier: GPL-2.0-only
"""Where threads ran, over time: `uplift llc record`, and reading what it wrote.

A recording is a text file, a JSON object in each line: first what was recorded ("format", "record", "places": the domains,
or their parts, and their CPUs), then samples:

    {"ms": 40.1, "threads": [[pid, tid, cpu, ran_ms], ...], "processes": [{"pid": ..., "where": "0a", "reason": ...}, ...]}

and {"names": {"pid": "name"}} before the first sample of a process. Threads that did not run since the sample before are
not in it. "processes" is what the module says, if it is there.
"""

import collections.abc
import dataclasses
import json
import os
import pathlib
import re
import time
import typing

from . import model

MOST_LINES = 1 << 20
MOST_BYTES = 256 << 20
MOST_THREADS = 4096		# in a sample; the rest is counted
RECORD = 1


@dataclasses.dataclass
class Gathered:
    """What was said of a process: where it is gathered, or why not."""
    pid: int
    where: str | None
    reason: str | None


@dataclasses.dataclass
class Sample:
    """A moment. @threads: (pid, tid, CPU, milliseconds that it ran since the sample before)."""
    ms: float
    threads: list[tuple[int, int, int, float]] = dataclasses.field(default_factory=list)
    processes: list[Gathered] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Recording:
    """All of it. @places: name -> CPUs, in the order of domains."""
    kernel: str
    interval_ms: float
    places: dict[str, frozenset[int]]
    samples: list[Sample] = dataclasses.field(default_factory=list)
    names: dict[int, str] = dataclasses.field(default_factory=dict)
    whole: bool = True		# no line was cut short

    def place_of(self) -> dict[int, str]:
        """By CPU."""
        return {cpu: name for name, cpus in self.places.items() for cpu in cpus}


# Recording.

def places(machine: model.Machine) -> dict[str, str]:
    """The domains of a machine, or their parts, by name."""
    found: dict[str, str] = {}
    for domain in machine.domains:
        if domain.parts:
            found |= {part.name: model.list_of(part.cpus) for part in domain.parts}
        else:
            found[str(domain.number)] = model.list_of(domain.cpus)
    return found


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""	# it has ended


def _stat(text: str) -> tuple[str, int, int, int] | None:
    """(name, ticks that it ran, CPU, threads) of a /proc/PID/stat."""
    # a name may have blanks and parentheses
    match = re.fullmatch(r"\d+ \((.*)\) (.*)", text.strip(), re.DOTALL)
    fields = match[2].split() if match else []
    if match is None or len(fields) < 37:
        return None
    try:
        return match[1], int(fields[11]) + int(fields[12]), int(fields[36]), int(fields[17])
    except ValueError:
        return None


class Watcher:
    """Looks at /proc again and again."""

    def __init__(self, proc: pathlib.Path = pathlib.Path("/proc"), pids: collections.abc.Iterable[int] = (),
                 tick_ms: float | None = None) -> None:
        self.proc, self.pids = proc, frozenset(pids)
        self.tick_ms = tick_ms or 1000 / os.sysconf("SC_CLK_TCK")
        self.ran: dict[tuple[int, int], int] = {}
        self.of_process: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.left_out = 0

    def _candidates(self) -> collections.abc.Iterator[int]:
        """The processes that are asked for, or have several threads; of these only those that ran."""
        for path in self.proc.iterdir():
            if not path.name.isdecimal() or self.pids and int(path.name) not in self.pids:
                continue
            pid, found = int(path.name), _stat(_read(path / "stat"))
            if found is None or found[3] < 2 and not self.pids:
                continue
            name, ran, _, _ = found
            if self.of_process.get(pid) != ran:
                self.of_process[pid] = ran
                self.names[pid] = model.plain(name)
                yield pid

    def threads(self) -> list[tuple[int, int, int, float]]:
        """Those that ran since the last call, and where they are; of the first call nothing is known."""
        found = []
        for pid in self._candidates():
            for path in sorted((self.proc / str(pid) / "task").glob("[0-9]*")):
                thread = _stat(_read(path / "stat"))
                if thread is None:
                    continue
                key, (_, ran, cpu, _) = (pid, int(path.name)), thread
                before = self.ran.get(key)
                self.ran[key] = ran
                if before is not None and ran > before:
                    found.append((*key, cpu, (ran - before) * self.tick_ms))
        found.sort(key=lambda item: -item[3])
        self.left_out += max(0, len(found) - MOST_THREADS)
        return sorted(found[:MOST_THREADS])


def begin(machine: model.Machine, interval_ms: float) -> dict[str, typing.Any]:
    """The first line."""
    return {"format": model.FORMAT, "record": RECORD, "kernel": machine.kernel, "interval_ms": interval_ms,
            "places": places(machine)}


def said(processes: model.Processes | None) -> list[dict[str, typing.Any]]:
    """What the module says, as a sample has it."""
    found = []
    for item in processes.list if processes else ():
        verdict = item.verdict
        if verdict is not None:
            found.append({"pid": item.pid, "where": verdict.where, "reason": verdict.reason})
    return found


class Writer:
    """Writes lines, and names of processes before they are first met."""

    def __init__(self, file: typing.TextIO, with_names: bool) -> None:
        self.file, self.with_names = file, with_names
        self.named: dict[int, str] = {}

    def line(self, data: dict[str, typing.Any]) -> None:
        self.file.write(json.dumps(data, separators=(",", ":")) + "\n")
        self.file.flush()

    def sample(self, ms: float, threads: list[tuple[int, int, int, float]], processes: list[dict[str, typing.Any]],
               names: dict[int, str]) -> None:
        pids = {thread[0] for thread in threads}
        if new := sorted(pids - set(self.named)):
            for pid in new:
                self.named[pid] = names.get(pid, "?") if self.with_names else f"process-{len(self.named) + 1}"
            self.line({"names": {str(pid): self.named[pid] for pid in new}})
        # of processes that never ran nothing is kept
        self.line({"ms": round(ms, 1), "threads": threads, "processes": [item for item in processes if item["pid"] in self.named]})


def run(writer: Writer, watcher: Watcher, machine: model.Machine, look: collections.abc.Callable[[], model.Processes | None],
        interval_ms: float, seconds: float | None) -> int:
    """Record until Ctrl-C or for so long; how many samples there are."""
    writer.line(begin(machine, interval_ms))
    watcher.threads()
    started, count = time.monotonic(), 0
    try:
        while seconds is None or time.monotonic() - started < seconds:
            # not so long after the one before, but in step
            wait = started + (count + 1) * interval_ms / 1000 - time.monotonic()
            time.sleep(max(wait, 0.001))
            writer.sample((time.monotonic() - started) * 1000, watcher.threads(), said(look()), watcher.names)
            count += 1
    except KeyboardInterrupt:
        pass
    return count


# Reading.

def _sample(fields: model.Fields, places_: dict[str, frozenset[int]]) -> Sample:
    found = Sample(fields.measure("ms") or 0.0)
    for item in fields.get("threads", (list,)):
        if (not isinstance(item, list) or len(item) != 4 or not all(isinstance(value, (int, float)) and not isinstance(
                value, bool) and 0 <= value < model.COUNT for value in item)):
            raise model.Bad(f"{fields.where}: 'threads' is not a list of [pid, tid, cpu, ms]")
        found.threads.append((int(item[0]), int(item[1]), int(item[2]), float(item[3])))
    for part in fields.objects("processes"):
        where = None if part.data.get("where") is None else part.text("where")
        if where is not None and where not in places_:
            raise model.Bad(f"{part.where}: 'where' is {where!r:.40}, which is no place")
        reason = part.data.get("reason")
        found.processes.append(Gathered(part.number("pid"), where, None if reason is None else part.text("reason")))
    return found


def _head(line: str, where: str) -> Recording:
    fields = model.document(line, where)
    if fields.number("record") != RECORD:
        raise model.Bad(f"{where}: a recording of version {fields.data['record']}, this uplift knows {RECORD}")
    named = fields.part("places")
    found: dict[str, frozenset[int]] = {}
    seen: set[int] = set()
    for name in named.data:
        cpus = found[model.plain(name)] = named.cpus(name)
        if twice := seen & cpus:
            raise model.Bad(f"{named.where}: CPU {min(twice)} is in {name} and in another")
        seen |= cpus
    return Recording(fields.text("kernel"), fields.measure("interval_ms") or 0.0, found)


def read(path: pathlib.Path) -> Recording:
    """A Recording; one that was cut short is taken as far as it goes."""
    try:
        if not path.is_file():
            raise model.Bad(f"no recording '{path}' (uplift llc record FILE makes one)")
        if path.stat().st_size > MOST_BYTES:
            raise model.Bad(f"{path}: more than {MOST_BYTES >> 20} MiB: that is not ours")
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise model.Bad(f"{path}: {error.strerror}") from None
    if not lines:
        raise model.Bad(f"{path}: empty")
    found = _head(lines[0], f"{path}, line 1")
    for number, line in enumerate(lines[1:MOST_LINES], 2):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            if number == len(lines):	# it was killed while it wrote
                found.whole = False
                break
            raise model.Bad(f"{path}, line {number}: not JSON") from None
        _take(found, model.Fields(data, f"{path}, line {number}"))
    return found


def _take(found: Recording, fields: model.Fields) -> None:
    if "names" in fields.data:
        names = fields.part("names")
        found.names |= {int(pid): names.text(pid) for pid in names.data if re.fullmatch(r"\d{1,9}", pid)}
        return
    sample = _sample(fields, found.places)
    if found.samples and sample.ms < found.samples[-1].ms:
        raise model.Bad(f"{fields.where}: it is before the one above")
    found.samples.append(sample)
