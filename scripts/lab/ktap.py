# SPDX-License-Identifier: GPL-2.0-only
"""Count what a KTAP text says. Strict: what is missing or contradicts itself is a failure.

Counted are the leaves: a test with subtests stands for itself only when it fails although none of them did.
"""

import dataclasses
import re

_RESULT = re.compile(r"^(\s*)(not ok|ok) (\d+)(?:\s+-)?\s*([^#]*?)\s*(?:#\s*(\w+).*)?$")
_PLAN = re.compile(r"^(\s*)1\.\.(\d+)\s*(?:#\s*SKIP.*)?$", re.IGNORECASE)


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: list = dataclasses.field(default_factory=list)	# a line per failure

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.problems += other.problems
        return self

    def fail(self, problem):
        self.failed += 1
        self.problems.append(problem)


@dataclasses.dataclass
class _Level:
    indent: int
    plan: int = None
    seen: int = 0
    leaves: int = 0	# counted below the current test
    failed: int = 0	# of these, failures


def count(text, expect=None):
    """Count of a KTAP text. expect: names that must be among the outermost results."""
    result = Count()
    levels = []
    names = set()
    started = False

    def close(level):
        if level.plan is not None and level.seen != level.plan:
            result.fail(f"{level.plan} tests planned, {level.seen} reported")
            return 1
        return 0

    for line in text.splitlines():
        line = line.rstrip("\r").expandtabs(2)
        if re.match(r"\s*(KTAP|TAP) version \d+", line):
            started = True
            continue
        if re.match(r"\s*Bail out!", line):
            result.fail(line.strip())
            continue
        plan, test = _PLAN.match(line), _RESULT.match(line)
        if not (plan or test):
            continue
        indent = len((plan or test)[1])
        leaves = failed = 0
        while levels and levels[-1].indent > indent:
            inner = levels.pop()
            short = close(inner)
            leaves += inner.leaves + short
            failed += inner.failed + short
        if not levels or levels[-1].indent < indent:
            levels.append(_Level(indent))
        level = levels[-1]
        if plan:
            if level.plan is not None and not level.seen:
                result.fail(f"two plans: {line.strip()}")
            level.plan = int(plan[2])
            continue
        level.seen += 1
        good, number, name, directive = test[2] == "ok", int(test[3]), test[4], (test[5] or "").upper()
        if level is levels[0]:
            names.add(name)
        if number != level.seen:
            result.fail(f"test {name or '?'} has number {number}, expected {level.seen}")
            level.failed += 1
        if directive == "SKIP":
            if not leaves:
                result.skipped += 1
                leaves = 1
        elif not good or directive in ("XFAIL", "TODO", "TIMEOUT", "ERROR"):
            # an expected failure is nothing that we have a list of
            if not failed:
                result.fail(f"{name or number}{' (' + directive + ')' if directive else ''}")
                failed = leaves = 1
        elif not leaves:
            result.passed += 1
            leaves = 1
        elif failed:
            result.fail(f"{name} says ok, though a subtest failed")
        level.leaves += leaves
        level.failed += failed
    while levels:
        close(levels.pop())
    if not started:
        result.fail("no KTAP at all")
    elif not (result.passed or result.failed or result.skipped):
        result.fail("not one test reported")
    for name in sorted(set(expect or ()) - names):
        result.fail(f"{name} did not report")
    return result
