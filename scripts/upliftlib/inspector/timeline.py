# SPDX-License-Identifier: GPL-2.0-only
"""What a recording tells: where each process ran over time, whether it split early, for good or back and forth, how often
its threads came to the preferred domain and left it, and what was refused, and why. As text; svg and trace draw the same.
"""

import collections
import dataclasses

from . import model, record

TOGETHER = 0.8		# of a process's run time in one place: it is together there
LASTING = 2		# samples that a change has to last
BACK_AND_FORTH = 3	# changes between together and apart from which on it is that
BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN = " .:-=+*#@"
LATE = 0.2		# of the time: a split before that is early
NOTHING = "no process ran: without --pid, record writes those with several threads"


@dataclasses.dataclass
class Moment:
    """A process in one sample: milliseconds by place, and where it is gathered."""
    ms: float
    ran: dict[str, float]
    gathered: record.Gathered | None = None

    @property
    def total(self) -> float:
        return sum(self.ran.values())

    @property
    def at(self) -> str | None:
        """Where it is together; "" if it is apart, None if it did not run."""
        if not self.total:
            return None
        place, most = max(self.ran.items(), key=lambda item: item[1])
        return place if most >= TOGETHER * self.total else ""


@dataclasses.dataclass
class Event:
    """A change in where a process is gathered: from a place to another, "" for none, and the reason then."""
    ms: float
    before: str
    after: str
    reason: str | None = None

    def words(self) -> str:
        if not self.after:
            return f"no longer gathered in {self.before}: {self.reason or 'unknown'}"
        return f"gathered in {self.after}" + (f", before in {self.before}" if self.before else "")


@dataclasses.dataclass
class Line:
    """A process over time.

    @events: changes of where it is gathered
    @refused: reason -> (how often it began, in how many samples)
    @moves: threads that came to the preferred place, left it, or moved elsewhere, from one sample to the next
    """
    pid: int
    name: str
    moments: list[Moment]
    events: list[Event] = dataclasses.field(default_factory=list)
    refused: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    moves: dict[str, int] = dataclasses.field(default_factory=lambda: {"to": 0, "away": 0, "elsewhere": 0})

    @property
    def ran(self) -> float:
        return sum(moment.total for moment in self.moments)


def lines(recording: record.Recording) -> list[Line]:
    """The processes, the busiest first."""
    of_cpu = recording.place_of()
    found: dict[int, Line] = {}
    for sample in recording.samples:
        by_pid: dict[int, dict[str, float]] = {}
        for pid, _, cpu, ran in sample.threads:
            places = by_pid.setdefault(pid, {})
            places[of_cpu.get(cpu, "none")] = places.get(of_cpu.get(cpu, "none"), 0) + ran
        said = {item.pid: item for item in sample.processes}
        for pid in set(by_pid) - set(found):
            found[pid] = Line(pid, recording.names.get(pid, "?"), [])
        for pid, line in found.items():
            line.moments.append(Moment(sample.ms, by_pid.get(pid, {}), said.get(pid)))
    for line in found.values():
        _gathered(line)
    _moves(recording, of_cpu, found)
    return sorted(found.values(), key=lambda line: (-line.ran, line.pid))


def _gathered(line: Line) -> None:
    """Fill in events and refusals."""
    before: record.Gathered | None = None
    counts: collections.Counter[str] = collections.Counter()
    begun: collections.Counter[str] = collections.Counter()
    for moment in line.moments:
        now = moment.gathered
        if now is None:
            continue
        was = before.where if before and before.where else ""
        if (now.where or "") != was:
            line.events.append(Event(moment.ms, was, now.where or "", now.reason))
        if not now.where and now.reason:
            counts[now.reason] += 1
            begun[now.reason] += before is None or before.reason != now.reason
        before = now
    line.refused = {reason: (begun[reason], number) for reason, number in counts.items()}


def _moves(recording: record.Recording, of_cpu: dict[int, str], found: dict[int, Line]) -> None:
    """Count threads that were elsewhere when they were last seen."""
    at: dict[tuple[int, int], str] = {}
    preferred: dict[int, str] = {}
    for sample in recording.samples:
        # where it was gathered when they moved
        for pid, tid, cpu, _ in sample.threads:
            now = of_cpu.get(cpu, "none")
            was = at.get((pid, tid), now)
            at[pid, tid] = now
            if was == now:
                continue
            wanted = preferred.get(pid)
            kind = "elsewhere" if wanted not in (was, now) else "to" if wanted == now else "away"
            found[pid].moves[kind] += 1
        preferred |= {item.pid: item.where or "" for item in sample.processes}


# In words.

def runs(line: Line) -> list[tuple[str, float]]:
    """(where it is together, or "" for apart; since when): what lasted, as changes."""
    found: list[tuple[str, float]] = []
    candidate: tuple[str, float, int] | None = None
    for moment in line.moments:
        at = moment.at
        if at is None:
            continue
        if not candidate or candidate[0] != at:
            candidate = (at, moment.ms, 0)
        candidate = (*candidate[:2], candidate[2] + 1)
        if candidate[2] >= LASTING and (not found or found[-1][0] != at):
            found.append((at, candidate[1]))
    return found


def told(line: Line, end: float) -> str:
    """How it was, in a sentence."""
    found = runs(line)
    if not found:
        return "ran too little to tell"
    changes = [(at, ms) for (before, _), (at, ms) in zip(found, found[1:]) if bool(before) != bool(at)]
    moved = [(at, ms) for (before, _), (at, ms) in zip(found, found[1:]) if before and at]
    if len(changes) >= BACK_AND_FORTH:
        return f"back and forth between together and apart, {len(changes)} times"
    if not changes:
        return _never(found, moved)
    at, ms = changes[-1]
    if len(changes) == 2:
        return (f"apart for a while, together again in {at} from {ms / 1000:.1f} s" if at else
                f"together for a while, apart again from {ms / 1000:.1f} s")
    if at:
        return f"apart at first, together in {at} from {ms / 1000:.1f} s"
    early = "early, " if ms <= LATE * end else ""
    return f"split {early}at {ms / 1000:.1f} s, for good"


def _never(found: list[tuple[str, float]], moved: list[tuple[str, float]]) -> str:
    """Of a process that was always together, or never."""
    if not found[0][0]:
        return "apart from the beginning, for good"
    if not moved:
        return f"together in {found[0][0]} all the time"
    return "together all the time, moved " + ", ".join(f"to {at} at {ms / 1000:.1f} s" for at, ms in moved[:4]) + (
        f" and {len(moved) - 4} times more" if len(moved) > 4 else "")


def strip(line: Line, place: str, end: float, width: int, blocks: str = BLOCKS) -> str:
    """A place's share of a process's run time, in @width columns."""
    ran, total = [0.0] * width, [0.0] * width
    for moment in line.moments:
        at = min(int(moment.ms / end * width), width - 1) if end else 0
        ran[at] += moment.ran.get(place, 0)
        total[at] += moment.total
    return "".join(blocks[min(int(one / all_ * (len(blocks) - 1) + 0.5), len(blocks) - 1)] if all_ else " "
                   for one, all_ in zip(ran, total))


def places_of(recording: record.Recording, line: Line) -> list[str]:
    """Where a process ran at all, in the order of domains."""
    ran = {place for moment in line.moments for place in moment.ran}
    return [place for place in (*recording.places, "none") if place in ran]


def counts(line: Line) -> list[str]:
    """Moves and refusals, in lines."""
    out = []
    if any(line.moves.values()):
        out.append(f"moves of threads: {line.moves['to']} to where it is gathered, {line.moves['away']} away from there, "
                   f"{line.moves['elsewhere']} elsewhere")
    for reason, (times, samples) in sorted(line.refused.items(), key=lambda item: (-item[1][1], item[0])):
        out.append(f"not gathered: {model.REASONS.get(reason, reason)} ({reason}), {times} times, {samples} samples")
    return out


def end_of(recording: record.Recording) -> float:
    return recording.samples[-1].ms if recording.samples else 0.0


def headline(recording: record.Recording) -> str:
    end = end_of(recording)
    return (f"{recording.kernel}: {len(recording.samples)} samples in {end / 1000:.1f} s, every "
            f"{recording.interval_ms:g} ms" + ("" if recording.whole else "; the last one was cut short"))


def render(recording: record.Recording, columns: int = 100, every: bool = False, plain: bool = False) -> str:
    """All of it as text."""
    end, found = end_of(recording), lines(recording)
    out = [headline(recording)]
    out += [f"  {name}: CPUs {model.list_of(cpus)}" for name, cpus in list(recording.places.items())[:16]]
    out += [f"  and {len(recording.places) - 16} more"] if len(recording.places) > 16 else []
    out += [] if found else ["", NOTHING]
    label = max(map(len, (*recording.places, "none")))
    most = len(found) if every else 10
    for line in found[:most]:
        out += ["", f"{line.name} {line.pid}: {told(line, end)}"]
        out += [f"  {place:>{label}} |{strip(line, place, end, max(20, min(columns, 110) - label - 6), PLAIN if plain else BLOCKS)}|"
                for place in places_of(recording, line)[:None if every else 8]]
        out += [f"  {event.ms / 1000:7.1f} s  {event.words()}" for event in line.events[:None if every else 8]]
        out += [f"  and {len(line.events) - 8} changes more: --all"] if len(line.events) > 8 and not every else []
        out += [f"  {text}" for text in counts(line)]
    out += ["", f"and {len(found) - most} processes more: --all"] if len(found) > most else []
    text = "\n".join(line.rstrip() for line in out) + "\n"
    return text.encode("ascii", "replace").decode() if plain else text
