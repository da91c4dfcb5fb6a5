# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's log: which lines are complaints, and which of KCSAN's data races are the kernel's own.

The list of complaints is data, the file `complaints` beside this one; selftests/lib.sh reads the same file. Data races
are judged here only.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Iterable

COMPLAINTS = pathlib.Path(__file__).with_name("complaints")

# With CONFIG_PRINTK_CALLER a thread or a CPU follows the time.
STAMP = r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? *"
_PANIC = re.compile(STAMP + r"Kernel panic - not syncing: (.*)")


def patterns(text: str) -> list[str]:
    """The regular expressions of a list of complaints."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@functools.lru_cache(maxsize=None)
def _list() -> str:
    return "|".join(patterns(COMPLAINTS.read_text(encoding="utf-8")))


@functools.lru_cache(maxsize=None)
def _matchers() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(a complaint behind a stamp anywhere in a line, a complaint at the beginning of a message)"""
    return re.compile(f"{STAMP}(?:{_list()})"), re.compile(f" *(?:{_list()})")


def clean(line: str) -> str:
    """A line of a console without what moves a terminal's cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|[\x00-\x08\x0b-\x1f]", "", line)


def _message(line: str, stamped: bool) -> str | None:
    """The message of a line that is a complaint, without its stamp; else None."""
    behind_stamp, bare = _matchers()
    found = behind_stamp.search(line)
    if found:
        return re.sub(STAMP, "", clean(line[found.start():])).strip()
    if not stamped and bare.match(clean(line)):
        return clean(line).strip()
    return None


def complaints(text: str, stamped: bool = True) -> list[str]:
    """The complaints in a kernel's log or console, each once, without stamps: a console and a log have the same lines.

    @stamped: lines without a stamp are not the kernel's, but the output of programs; False for a log without stamps
    """
    found = (_message(line, stamped) for line in text.splitlines())
    return list(dict.fromkeys(message for message in found if message is not None))


def panic(text: str) -> str | None:
    """Why the kernel panicked; None if it did not."""
    found = _PANIC.search(text)
    return found[1].strip() if found else None


def without(text: str, excused: str) -> str:
    """A kernel log without reports in which a pattern is found: from "cut here" to "end trace", or a lone call trace."""
    kept: list[str] = []
    block: list[str] | None = None
    lone = False
    for line in text.splitlines():
        if "[ cut here ]" in line:
            block = []
        if block is not None:
            block.append(line)
            if "[ end trace " in line:
                kept += [] if any(re.search(excused, said) for said in block) else block
                block = None
            continue
        if re.search(excused, line):
            lone = True
        elif lone and "Call Trace:" in line:
            lone = False
            continue
        kept.append(line)
    return "\n".join(kept + (block or []))


# Data races.

_BAR = re.compile(r"(?<!=)={66}$")	# above and below a report of KASAN's or KCSAN's; lockdep's are shorter
_RACE = re.compile(r"BUG: KCSAN: (.*)")
# A function, and the module that it is in: "[xfs]", "[xfs(E)]", "[xfs 1a2b3c]".
_FRAME = re.compile(r"(\S+\+0x[0-9a-f]+/0x[0-9a-f]+)(?: \[([^] ]*))?")


@functools.lru_cache(maxsize=None)
def _no_part_of_a_race() -> re.Pattern[str]:
    """A complaint that is no part of a report of KCSAN's."""
    return re.compile(rf"(?:.*?{STAMP})?(?!BUG: KCSAN: |=+$)(?:{_list()})")


@dataclasses.dataclass
class _Access:
    """Where one of the two accesses of a race is made. @ours: by code of ours, or by what it called."""
    place: str
    ours: bool = False


@dataclasses.dataclass
class _Part:
    """Some lines of a log. @title: of the race that they report; None where they are no report of a race alone"""
    lines: list[str]
    title: str | None = None
    accesses: list[_Access] = dataclasses.field(default_factory=list)

    def ours(self) -> bool:
        return any(access.ours for access in self.accesses)

    def inherited(self, known: set[str]) -> bool:
        """Does code of ours race only with what is `known` to race with the kernel's own code, too?

        Bodies are made from the kernel's functions, with the races that these have.
        """
        others = [access.place for access in self.accesses if not access.ours]
        return bool(others) and known.issuperset(others)


def _accesses(report: Iterable[str]) -> list[_Access]:
    """The accesses of a race.

    What another module does is its own: our code only calls it back. The body of the arm "null" is the kernel's own.
    """
    found: list[_Access] = []
    stack = elsewhere = False
    for line in report:
        frame = _FRAME.search(line)
        if not frame:
            stack = elsewhere = False	# another access, another stack, the innermost function first
            continue
        if not stack:
            stack = True
            found.append(_Access(frame[1]))
        module = frame[2] or ""
        if module and not module.startswith("uplift"):
            elsewhere = True
        elif module and not elsewhere and "_null+" not in frame[1]:
            found[-1].ours = True
    return found


def _report(block: list[str]) -> _Part:
    """What stands between two bars, as a part: a report of a race, or something else."""
    cleaned = [clean(line).rstrip() for line in block]
    title = next((race[1] for race in map(_RACE.search, cleaned) if race), None)
    # a complaint of another CPU between the lines of this one; or behind a report whose end was lost
    if title is None or any(_no_part_of_a_race().match(line) for line in cleaned[1:]):
        return _Part(block)
    return _Part(block, title, _accesses(cleaned))


def _parts(text: str) -> list[_Part]:
    """A log in parts: lines, and what stands between bars. A report that the log's end cuts off is a part like any line."""
    parts: list[_Part] = []
    block: list[str] = []
    for line in text.splitlines():
        bar = _BAR.search(clean(line).rstrip())
        if not block and not bar:
            parts.append(_Part([line]))
            continue
        block.append(line)
        if bar and len(block) > 1:
            parts.append(_report(block))
            block = []
    return parts + ([_Part(block)] if block else [])


def without_own_races(text: str) -> tuple[str, list[str]]:
    """(a kernel log without those of KCSAN's reports in which no code of ours is, their titles each once).

    A kernel has data races of its own, and one that runs finds some with nothing of ours loaded. A file system's
    counters, say, race whichever function called its iomap_begin().
    """
    parts = _parts(text)
    known = {access.place for part in parts if part.title is not None and not part.ours() for access in part.accesses}
    kept: list[str] = []
    titles: dict[str, None] = {}
    for part in parts:
        if part.title is not None and not part.ours():
            titles[part.title] = None
        elif part.title is not None and part.inherited(known):
            titles[f"{part.title}, which the kernel's own function has, too"] = None
        else:
            kept += part.lines
    return "\n".join(kept), list(titles)
