#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make test`: are the results of its steps found, and counted?"""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, steps, targets	# noqa: E402
from upliftlib.lab import testplan	# noqa: E402


def program():
    """scripts/test as a module."""
    loader = importlib.machinery.SourceFileLoader("uplift_test", str(SCRIPTS / "test"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("uplift_test", loader))
    sys.modules["uplift_test"] = module		# dataclasses look there
    loader.exec_module(module)
    return module


class Kunit(unittest.TestCase):
    KTAP = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n    ok 1 a\n    ok 2 b # SKIP why\nok 1 s\n"

    def run_with(self, line, code=0, ktap=KTAP):
        test = program()
        with tempfile.TemporaryDirectory() as top:
            results = pathlib.Path(top, "build/kunit/6.18-um/results")
            results.mkdir(parents=True)
            if ktap:
                (results / "s.ktap").write_text(ktap)
            runner = mock.Mock(**{"command.return_value": (code, f"something\n{line}\n")})
            with mock.patch.object(test.paths, "TOP", pathlib.Path(top)):
                return test.kunit("um", (), runner)

    def test_results_are_found(self):
        for name in ("6.18 um", "6.18 x86_64", "6.18 x86_64 debug", "linux-next um"):
            count = self.run_with(f"kunit {name}: 1 of 2 cases passed, 1 skipped, 0 complaints; built in 2 s, ran in 3 s; "
                                  "results in build/kunit/6.18-um/results")
            self.assertEqual((count.passed, count.failed, count.skipped), (1, 0, 1), name)

    def test_kunit_py_prints_such_a_line(self):
        self.assertRegex((SCRIPTS / "kunit.py").read_text(), r'print\(f"kunit \{name\}[\s\S]*?; results in ')

    def test_no_results(self):
        for line, code, ktap in (("kunit 6.18 um: x; results in build/kunit/6.18-um/results", 0, ""), ("", 0, self.KTAP),
                                 ("kunit 6.18 um: x; results in build/kunit/6.18-um/results", 1, self.KTAP)):
            self.assertEqual(self.run_with(line, code, ktap).failed, 1, (line, code))


class Summary(unittest.TestCase):
    def count(self, code, text):
        return program().counted(code, text, "check")

    def test_last_line_counts(self):
        count = self.count(1, "check: 9 passed, 0 failed, 0 skipped\n  FAIL check x: y\ncheck: 3 passed, 1 failed, 2 skipped\n")
        self.assertEqual((count.passed, count.failed, count.skipped, count.problems), (3, 1, 2, ["FAIL check x: y"]))

    def test_what_is_no_pass(self):
        for code, text in ((0, ""), (0, "unit: 3 passed, 0 failed, 0 skipped\n"), (2, "check: 3 passed, 0 failed, 0 skipped\n"),
                           (0, "check: 3 passed, 1 failed, 0 skipped\n"), (1, "check: 3 passed, 0 failed, 0 skipped\n"),
                           (-15, "check: 3 passed, 0 failed, 0 skipped\n")):
            with self.subTest((code, text)):
                self.assertTrue(self.count(code, text).failed)


class Plan(unittest.TestCase):
    """The steps of `make test`."""

    def test_needs_are_steps(self):
        for names in (list(targets.TABLE), [list(targets.TABLE)[0]], [list(targets.TABLE)[-1]]):
            every = program().plan(names)
            steps.check(every)
            known = {step.name for step in every}
            for step in every:
                self.assertLessEqual(set(step.needs), known, step.name)

    def test_every_target_is_built_and_probed(self):
        every = {step.name: step for step in program().plan(list(targets.TABLE))}
        for name in targets.TABLE:
            self.assertIn(f"modules-{name}", every)
            self.assertIn(f"modules-{name}", every["verdicts"].needs)

    def test_chosen(self):
        test = program()
        every = test.plan(list(targets.TABLE))
        whole = [f"selftests-{name}" for name in testplan.whole(list(targets.TABLE))]
        found = [step.name for step in test.chosen(every, ["selftests", "unit"])]
        self.assertLessEqual({"unit", *whole}, set(found))
        self.assertEqual([name for name in found if not name.startswith("selftests-")], ["unit"])
        self.assertEqual([step.name for step in test.chosen(every, whole[:1])], whole[:1])
        with self.assertRaisesRegex(errors.Problem, "no step 'nonsense'"):
            test.chosen(every, ["nonsense"])

    def test_what_was_found_ends_the_output(self):
        test = program()

        def passing(runner):
            runner.command("sh", "-c", "echo said; echo complained >&2")
            return steps.Count(passed=2, skipped=1)

        def failing(_):
            raise errors.Problem("broken")

        every = [steps.Step("one", "first", passing), steps.Step("two", "second", failing, ("one",))]
        with tempfile.TemporaryDirectory() as report, contextlib.redirect_stdout(io.StringIO()) as out, \
                mock.patch.object(test, "REPORT", pathlib.Path(report)):
            self.assertEqual(test.tested(every, 2), errors.FAIL)
            kept = json.loads(pathlib.Path(report, "test.json").read_text())
            self.assertEqual(pathlib.Path(report, "one.log").read_text().splitlines()[0], "== first")
        lines = out.getvalue().splitlines()
        self.assertEqual(lines[-1], "2 passed, 1 failed, 1 skipped")
        self.assertIn("one | said", lines)
        self.assertIn("one | complained", lines)
        self.assertIn("FAIL two: broken", lines)
        table = lines[-6:-2]
        self.assertEqual([line.split()[0] for line in table], ["step", "one", "two", "all"])
        self.assertEqual([line.split()[-3:] for line in table[1:]], [["2", "0", "1"], ["0", "1", "0"], ["2", "1", "1"]])
        self.assertEqual((kept["one"]["passed"], kept["two"]["problems"]), (2, ["broken"]))


if __name__ == "__main__":
    unittest.main()
