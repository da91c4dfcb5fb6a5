# SPDX-License-Identifier: GPL-2.0-only
"""KTAP is believed only if it is whole."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import ktap	# noqa: E402

NESTED = """\
KTAP version 1
1..2
    KTAP version 1
    # Subtest: uplift_carp
    1..2
    ok 1 build_empty_list
    ok 2 build_long_names
ok 1 uplift_carp
ok 2 - other
"""

PARAMETERS = """\
KTAP version 1
1..1
    KTAP version 1
    # Subtest: uplift_pike
    1..1
        KTAP version 1
        # Subtest: mistake_is_found
    # mistake_is_found: seed=5
        ok 1 leaves_status
        ok 2 leaves_batch # SKIP there is none
    # mistake_is_found: pass:1 fail:0 skip:1 total:2
    ok 1 mistake_is_found
ok 1 uplift_pike
"""

TWO_PROGRAMS = """\
TAP version 13
1..1
  TAP version 13
  1..1
  ok 1 a
  TAP version 13
  1..2
  ok 1 b
  ok 2 c
ok 1 both
"""


def problems(text, **options):
    return ktap.parse(text, **options).problems


class Tap(unittest.TestCase):
    def has(self, text, wanted, **options):
        found = problems(text, **options)
        self.assertTrue(any(wanted in problem for problem in found), f"'{wanted}' not in {found}")

    def test_whole(self):
        report = ktap.parse("TAP version 13\n1..2\nok 1 a\nok 2 - b # SKIP no module\n")
        self.assertEqual(report.problems, [])
        self.assertEqual(report.counts(), {"pass": 1, "fail": 0, "skip": 1, "xfail": 0})
        self.assertEqual(report.tests[1].reason, "no module")
        self.assertEqual(report.summary(), "2 tests: 1 passed, 1 skipped")

    def test_plan_last(self):
        self.assertEqual(problems("ok 1 a\nok 2 b\n1..2\n"), [])

    def test_nested(self):
        report = ktap.parse(NESTED)
        self.assertEqual(report.problems, [])
        self.assertEqual([test.name for test in report.leaves()], ["build_empty_list", "build_long_names", "other"])
        self.assertEqual([len(test.children) for test in report.tests], [2, 0])

    def test_parameters_of_a_kunit_case(self):
        report = ktap.parse(PARAMETERS)
        self.assertEqual(report.problems, [])
        self.assertEqual(report.counts(leaves=True), {"pass": 1, "fail": 0, "skip": 1, "xfail": 0})
        self.has(PARAMETERS.replace("        ok 2 leaves_batch # SKIP there is none\n", ""),
                 "mistake_is_found: 2 tests were planned, 1 reported")
        self.has(PARAMETERS.replace("    # mistake_is_found: pass", "    # other: pass"), "mistake_is_found: no plan")
        self.has(PARAMETERS.replace("        ok 1", "        not ok 1"), "mistake_is_found")

    def test_two_programs_in_one_test(self):
        report = ktap.parse(TWO_PROGRAMS)
        self.assertEqual(report.problems, [])
        self.assertEqual([test.name for test in report.tests[0].children], ["a", "b", "c"])
        self.has(TWO_PROGRAMS.replace("  ok 2 c\n", ""), "both: 2 tests were planned, 1 reported")
        self.has(TWO_PROGRAMS.replace("  1..1\n", "  1..3\n"), "both: 3 tests were planned, 1 reported")

    def test_failure(self):
        self.has("1..1\n# it broke\nnot ok 1 a\n", "failed: a: it broke")
        self.assertFalse(ktap.parse("1..1\nnot ok 1 a # SKIP whatever\n").ok)

    def test_header_is_no_reason(self):
        text = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    # module: m\n    1..1\n    not ok 1 a\nnot ok 1 s\n"
        self.assertEqual(problems(text), ["failed: s/a", "failed: s"])

    def test_failure_below_an_ok(self):
        text = NESTED.replace("    ok 2 build_long", "    not ok 2 build_long")
        self.has(text, "failed: uplift_carp/build_long_names")
        self.has(text, "'uplift_carp' says ok although a part of it failed")

    def test_numbers(self):
        self.has("1..2\nok 1 a\nok 3 b\n", "'b' has number 3, 2 was due")
        self.has("1..2\nok 2 a\nok 1 b\n", "'a' has number 2, 1 was due")
        self.has("1..2\nok 1 a\nok 1 a\n", "number 1, 2 was due")
        self.has("1..1\nok a\n", "no number")

    def test_plan(self):
        self.has("1..3\nok 1 a\nok 2 b\n", "3 tests were planned, 2 reported")
        self.has("1..1\nok 1 a\nok 2 b\n", "1 tests were planned, 2 reported")
        self.has("ok 1 a\n", "no plan")
        self.has("1..1\n1..1\nok 1 a\n", "two plans")
        self.has(NESTED.replace("    1..2", "    1..3"), "uplift_carp: 3 tests were planned, 2 reported")

    def test_truncated_anywhere(self):
        lines = NESTED.splitlines(keepends=True)
        for count in range(len(lines)):
            with self.subTest(lines=count):
                self.assertFalse(ktap.parse("".join(lines[:count])).ok)
        self.has("".join(lines[:6]), "ends inside a nested one after 'build_empty_list'")

    def test_nested_without_parent(self):
        self.has("1..1\n    1..1\n    ok 1 a\n", "ends inside a nested one")

    def test_nothing(self):
        self.has("", "no results at all")
        self.has("hello\n", "no results at all")
        self.has("1..0\n", "says no reason")

    def test_skip_all(self):
        report = ktap.parse("TAP version 13\n1..0 # SKIP needs root\n")
        self.assertTrue(report.ok)
        self.assertEqual(report.skipped_all, "needs root")

    def test_skip_wants_a_reason(self):
        self.has("1..1\nok 1 a # SKIP\n", "skipped without a reason: a")
        self.assertEqual(problems("1..1\n# no such file system\nok 1 a # SKIP\n"), [])

    def test_xfail(self):
        text = "1..1\nok 1 a # XFAIL known\n"
        self.has(text, "XFAIL, which nobody listed")
        self.assertEqual(problems(text, xfail=["a"]), [])
        self.assertEqual(problems("1..1\nnot ok 1 a # XFAIL known\n", xfail=["a"]), [])
        self.assertFalse(ktap.parse("1..1\nok 1 a # XPASS\n").ok)

    def test_bail_out(self):
        self.has("1..2\nok 1 a\nBail out! no memory\n", "bailed out: no memory")
        self.has("1..1\n  1..2\n  ok 1 a\n  Bail out!\n", "bailed out")

    def test_second_stream(self):
        self.has("TAP version 13\n1..1\nok 1 a\nTAP version 13\n1..1\nok 1 b\n", "a second stream begins after 'a'")

    def test_noise_is_no_result(self):
        self.assertEqual(problems("1..1\nokay then\n[    1.0] usb: ok 1\nok 1 a\n"), [])


if __name__ == "__main__":
    unittest.main()
