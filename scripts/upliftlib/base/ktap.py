# SPDX-License-Identifier: GPL-2.0-only
"""Read KTAP, and believe it only if it is whole.

A stream that stops early, counts wrong or hides a failure below a passing parent is a failure, whatever its "ok"
lines say: test programs die, and what they had printed until then looks fine.
"""

import dataclasses
import re
from collections.abc import Collection, Iterator, Sequence

_RESULT = re.compile(r"(not )?ok\b(?:\s+(\d+))?\s*(?:-\s*)?(.*)$")
_PLAN = re.compile(r"1\.\.(\d+)\s*(?:#\s*(.*))?$")
_VERSION = re.compile(r"K?TAP version \d+$")
# KUnit has no plan for the parameters of a case, but their sum behind them.
_TOTAL = re.compile(r"(\S+): pass:\d+ fail:\d+ skip:\d+ total:(\d+)")
# Of a nested stream; it tells nothing of the test that comes next.
_HEADER = re.compile(r"# (?:Subtest|module): ")
_DIRECTIVE = re.compile(r"(?:^|\s)#\s*(SKIP|XFAIL|XPASS|TODO|TIMEOUT|ERROR)\b:?\s*(.*)$", re.IGNORECASE)


@dataclasses.dataclass
class Test:
    """A result line and the results nested above it."""
    number: int | None
    name: str
    ok: bool
    directive: str = ""
    reason: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)
    children: list["Test"] = dataclasses.field(default_factory=list)

    @property
    def outcome(self) -> str:
        """pass, fail, skip, or xfail"""
        if self.directive == "SKIP" and self.ok:
            return "skip"
        if self.directive == "XFAIL":
            return "xfail"
        return "pass" if self.ok and self.directive in ("", "TODO") else "fail"


@dataclasses.dataclass
class Report:
    """All of a stream.

    @tests: the top level
    @problems: what is wrong with the stream or with a test, a line each; none means passed
    """
    tests: list[Test] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    skipped_all: str | None = None

    @property
    def ok(self) -> bool:
        return not self.problems

    def leaves(self) -> list[Test]:
        """The results that have no results of their own."""
        def walk(tests: list[Test]) -> Iterator[Test]:
            for test in tests:
                if test.children:
                    yield from walk(test.children)
                else:
                    yield test
        return list(walk(self.tests))

    def counts(self, leaves: bool = False) -> dict[str, int]:
        """{'pass': n, 'fail': n, 'skip': n, 'xfail': n}"""
        total = {"pass": 0, "fail": 0, "skip": 0, "xfail": 0}
        for test in self.leaves() if leaves else self.tests:
            total[test.outcome] += 1
        return total

    def summary(self) -> str:
        """'18 tests: 16 passed, 2 skipped (64 checks)'"""
        if self.skipped_all is not None:
            return f"skipped: {self.skipped_all}"
        words = {"pass": "passed", "fail": "failed", "skip": "skipped", "xfail": "expected to fail"}
        counts = self.counts()
        text = ", ".join(f"{count} {words[key]}" for key, count in counts.items() if count)
        checks = len(self.leaves())
        more = f" ({checks} checks)" if checks > len(self.tests) else ""
        return f"{len(self.tests)} tests: {text}{more}" if self.tests else "no tests"


class _Level:
    """One stream: the top one, or one nested in it."""

    def __init__(self, indent: int) -> None:
        self.indent = indent
        self.tests: list[Test] = []
        self.plan: int | None = None
        self.plan_skip = ""
        self.notes: list[str] = []
        self.earlier: list[_Level] = []	# streams that ended where this one began: a test may run several programs


class _Parser:
    """Takes a stream line by line.

    @levels: the stream, and those nested in it that have not ended
    @pending: nested streams that have ended, until their parent's result comes
    """

    def __init__(self) -> None:
        self.report = Report()
        self.levels = [_Level(0)]
        self.pending: list[_Level] = []

    def problem(self, text: str) -> None:
        self.report.problems.append(text)

    def line(self, line: str) -> None:
        line = line.rstrip()
        body = line.lstrip(" ")
        indent = len(line) - len(body)
        result, plan, version = _RESULT.match(body), _PLAN.match(body), _VERSION.match(body)
        if body.startswith("Bail out!"):
            self.problem(f"bailed out: {body[9:].strip() or 'no reason given'}")
        elif not (result or plan or version):
            self._note(body, indent)
        else:
            self._enter(indent)
            if version:
                self._version()
            elif plan:
                self._plan(plan)
            elif result:
                self._result(result)

    def _note(self, body: str, indent: int) -> None:
        if body.startswith("#") and not _HEADER.match(body):
            level = next((level for level in reversed(self.levels) if level.indent <= indent), self.levels[0])
            level.notes.append(body.lstrip("# "))

    def _enter(self, indent: int) -> None:
        """Make the last level the one of this indentation."""
        while indent < self.levels[-1].indent:
            level = self.levels.pop()
            if indent > self.levels[-1].indent:
                # its first lines were indented more than the rest
                level.indent = indent
                self.levels.append(level)
                break
            if self.pending:
                self.problem(f"the results after '{_last(self.pending)}' belong to no test")
            self.pending = level.earlier + [level]
        if indent > self.levels[-1].indent:
            self.levels.append(_Level(indent))

    def _version(self) -> None:
        level = self.levels[-1]
        if not level.tests and level.plan is None:
            return
        if len(self.levels) == 1:
            self.problem(f"a second stream begins after '{_last([level])}'")
        else:
            self.levels[-1] = _Level(level.indent)
            self.levels[-1].earlier = level.earlier + [level]

    def _plan(self, plan: re.Match[str]) -> None:
        level = self.levels[-1]
        if level.plan is not None:
            self.problem("two plans in one stream")
        level.plan = int(plan[1])
        skip = re.match(r"SKIP\b:?\s*(.*)", plan[2] or "", re.IGNORECASE)
        level.plan_skip = (skip[1] or "no reason given") if skip else ""

    def _result(self, result: re.Match[str]) -> None:
        level = self.levels[-1]
        directive = _DIRECTIVE.search(result[3])
        name = (result[3][:directive.start()] if directive else result[3]).strip()
        word, reason = (directive[1].upper(), directive[2].strip()) if directive else ("", "")
        test = Test(int(result[2]) if result[2] else None, name or reason, not result[1], word, reason, level.notes)
        level.notes = []
        for stream in self.pending:
            test.children += stream.tests
            self._close(stream, test.name, test.notes)
        self.pending = []
        level.tests.append(test)

    def _close(self, level: _Level, path: str, notes: Sequence[str] = ()) -> None:
        """Hold a stream that has ended against its plan."""
        where = path or "the stream"
        for total in map(_TOTAL.fullmatch, notes):
            if level.plan is None and total and total[1] == path:
                level.plan = int(total[2])
        if level.plan is None:
            if level.tests or not path:
                self.problem(f"{where}: no plan")
        elif level.plan != len(level.tests):
            self.problem(f"{where}: {level.plan} tests were planned, {len(level.tests)} reported")
        for expected, test in enumerate(level.tests, 1):
            if test.number != expected:
                got = "no number" if test.number is None else f"number {test.number}"
                self.problem(f"{where}: '{test.name}' has {got}, {expected} was due")
                break

    def end(self, xfail: set[str]) -> Report:
        """The stream has ended."""
        while len(self.levels) > 1:
            level = self.levels.pop()
            last = f" after '{level.tests[-1].name}'" if level.tests else ""
            self.problem(f"the stream ends inside a nested one{last}")
        if self.pending:
            self.problem(f"the stream ends before the result of the test that '{_last(self.pending)}' is a part of")
        top = self.levels[0]
        self.report.tests = top.tests
        if top.plan == 0 and top.plan_skip and not top.tests:
            self.report.skipped_all = top.plan_skip
        elif not top.tests and top.plan is None:
            self.problem("no results at all")
        else:
            if top.plan == 0:
                self.problem("the plan is empty and says no reason")
            self._close(top, "")
            _judge(self.report, top.tests, "", xfail)
        return self.report


def parse(text: str, xfail: Collection[str] = ()) -> Report:
    """The Report of a stream. `xfail` lists names (a, or parent/a) that may fail as expected."""
    parser = _Parser()
    for line in text.splitlines():
        parser.line(line)
    return parser.end(set(xfail))


def _last(streams: list[_Level]) -> str:
    """The name of the last result."""
    names = [test.name for stream in streams for test in stream.tests]
    return names[-1] if names else "the beginning"


def _judge(report: Report, tests: list[Test], path: str, xfail: set[str]) -> None:
    for test in tests:
        name = f"{path}{test.name}" if test.name else f"{path}{test.number}"
        _judge(report, test.children, f"{name}/", xfail)
        if test.outcome == "fail":
            why = test.reason or (test.notes[-1] if test.notes and not test.children else "")
            report.problems.append(f"failed: {name}" + (f": {why}" if why else ""))
        elif test.outcome == "xfail" and not {name, test.name} & xfail:
            report.problems.append(f"failed: {name}: XFAIL, which nobody listed")
        elif test.outcome == "skip" and not (test.reason or test.notes):
            report.problems.append(f"skipped without a reason: {name}")
        elif test.outcome == "pass" and any(child.outcome == "fail" for child in test.children):
            report.problems.append(f"'{name}' says ok although a part of it failed")
