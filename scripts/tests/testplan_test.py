# SPDX-License-Identifier: GPL-2.0-only
"""Which selftests run where: `make test` and `make torture` together leave nothing out, and docs/tests.md says which is
which."""

import argparse
import importlib.machinery
import importlib.util
import pathlib
import re
import sys
import unittest
from unittest import mock

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = TOP / "scripts"
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import changes, targets	# noqa: E402
from upliftlib.lab import selftests, testplan, verdicts	# noqa: E402
from tests import roles	# noqa: E402

NAMES = list(targets.TABLE)


def torture() -> list[tuple[str, str, str]]:
    """The steps of `make torture` where no target is named."""
    loader = importlib.machinery.SourceFileLoader("uplift_torture", str(SCRIPTS / "torture"))
    spec = importlib.util.spec_from_loader("uplift_torture", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return list(module.steps(argparse.Namespace(targets=list(targets.use("run")[:1]), named=False)))


class Plan(unittest.TestCase):
    def test_nothing_is_left_out(self) -> None:
        """Each script runs on each target in one of the two."""
        here = {(name, script) for name, scripts in testplan.in_test(NAMES).items() for script in scripts}
        there = {(name, script) for name, kind, script in torture() if kind == "rest"}
        self.assertEqual(here | there, {(name, script) for name in NAMES for script in selftests.SCRIPTS})
        self.assertFalse(here & there)

    def test_ends_and_the_usual_one_are_whole(self) -> None:
        self.assertEqual(testplan.whole(NAMES), [name for name in NAMES if name in (NAMES[0], targets.use("run")[0], NAMES[-1])])
        for name in testplan.whole(NAMES):
            self.assertEqual(testplan.in_test(NAMES)[name], list(selftests.SCRIPTS))

    def test_every_script_runs_where_a_verdict_begins(self) -> None:
        """No kernel is the first with a verdict and goes without that change's script."""
        for change in changes.load().values():
            said = [verdicts.expected(name, change.name) for name in NAMES]
            for before, name, one, other in zip(NAMES, NAMES[1:], said, said[1:]):
                if one != other:
                    self.assertIn(testplan.script_of(change), testplan.in_test(NAMES)[name], (before, name, change.name))

    def test_from_the_verdicts_alone(self) -> None:
        """Another verdict on one kernel, and its script runs there."""
        one = NAMES[1]
        other = changes.load()[next(name for name in roles.names(roles.redirects) if name not in testplan.in_test(NAMES)[one])]
        told = verdicts.expected(one, other.name)
        self.assertNotIn(other.name, testplan.in_test(NAMES)[one])
        with mock.patch.object(verdicts, "expected", lambda target, change: "native" if (target, change) == (one, other.name)
                               else told):
            self.assertEqual(testplan.in_test(NAMES)[one], [other.name])

    def test_targets_that_are_named(self) -> None:
        """`make test TARGETS=...` with one or two: all that there is."""
        for names in ([NAMES[1]], NAMES[1:3]):
            self.assertEqual(testplan.in_test(names), {name: list(selftests.SCRIPTS) for name in names})


class Elsewhere(unittest.TestCase):
    """Kernels of other architectures."""

    def test_some_in_test_and_all_in_torture(self) -> None:
        here = testplan.elsewhere_in_test(NAMES)
        there: dict[str, set[str]] = {}
        for name, kind, script in torture():
            if kind == "arch":
                there.setdefault(name, set()).add(script)
        self.assertEqual(set(here), set(there))
        for name, scripts in here.items():
            self.assertFalse(targets.spec(name).arch.native)
            self.assertTrue(0 < len(scripts) < len(selftests.SCRIPTS))
            self.assertLessEqual({*selftests.SCRIPTS, *scripts}, there[name])

    def test_in_test_nothing_else_has_to_be_fetched(self) -> None:
        for scripts in testplan.elsewhere_in_test(NAMES).values():
            self.assertFalse([name for name in scripts if selftests.SCRIPTS[name].programs or selftests.SCRIPTS[name].packages])

    def test_other_targets(self) -> None:
        """`make test TARGETS=...` of others has none of it."""
        others = [name for name in NAMES if name not in targets.use("elsewhere")]
        self.assertEqual(testplan.elsewhere_in_test(others), {})


class Document(unittest.TestCase):
    """docs/tests.md has the table."""

    def test_table(self) -> None:
        text = (TOP / "docs/tests.md").read_text()
        cells = re.findall(r"(?m)^\| (\d[\w.]+) \|([\w ,]*)\|([\w ,]*)\|$", text)
        rows, moved = ({name: row[at].strip() for name, *row in cells} for at in (0, 1))
        here, there = testplan.in_test(NAMES), testplan.in_torture()
        for name in NAMES:
            self.assertEqual(rows.get(name), ", ".join(here[name]) if there[name] else "all", f"docs/tests.md, {name}: run scripts/update-tables")
            self.assertEqual(moved.get(name), ", ".join(there[name]), f"docs/tests.md, {name}")
        self.assertEqual(set(rows), set(NAMES))


if __name__ == "__main__":
    unittest.main()
