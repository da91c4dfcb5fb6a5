# SPDX-License-Identifier: GPL-2.0-only
"""Counting KTAP: what must not pass."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lab import ktap		# noqa: E402


def count(text, **options):
    result = ktap.count(text, **options)
    return result.passed, result.failed, result.skipped


class Count(unittest.TestCase):
    def test_flat(self):
        self.assertEqual(count("KTAP version 1\n1..3\nok 1 a\nnot ok 2 b\nok 3 c # SKIP no disk\n"), (1, 1, 1))

    def test_leaves_are_counted(self):
        text = ("KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n    ok 1 a\n    ok 2 - b\n"
                "# s: pass:2\nok 1 s\n")
        self.assertEqual(count(text), (2, 0, 0))
        self.assertEqual(count(text.replace("ok 2 - b", "not ok 2 b").replace("ok 1 s", "not ok 1 s")), (1, 1, 0))

    def test_parent_fails_alone(self):
        self.assertEqual(count("KTAP version 1\n1..1\n  1..1\n  ok 1 a\nnot ok 1 s\n"), (1, 1, 0))

    def test_parent_hides_a_failure(self):
        self.assertEqual(count("KTAP version 1\n1..1\n  1..1\n  not ok 1 a\nok 1 s\n")[1], 2)

    def test_missing_results(self):
        self.assertEqual(count("KTAP version 1\n1..3\nok 1 a\n"), (1, 1, 0))
        self.assertEqual(count("KTAP version 1\n1..1\n  1..3\n  ok 1 a\nok 1 s\n")[1], 2)

    def test_bad_numbers(self):
        self.assertEqual(count("KTAP version 1\n1..2\nok 1 a\nok 3 b\n")[1], 1)

    def test_xfail_is_a_failure(self):
        self.assertEqual(count("KTAP version 1\n1..1\nok 1 a # XFAIL maybe\n"), (0, 1, 0))
        self.assertEqual(count("KTAP version 1\n1..1\nnot ok 1 a # TODO later\n"), (0, 1, 0))

    def test_empty_and_truncated(self):
        self.assertEqual(count("")[1], 1)
        self.assertEqual(count("KTAP version 1\n1..0\n")[1], 1)
        self.assertEqual(count("KTAP version 1\n1..2\nok 1 a\nBail out! lost\n")[1], 2)

    def test_expected_names(self):
        self.assertEqual(count("KTAP version 1\n1..1\nok 1 a\n", expect=["a", "b"])[1], 1)

    def test_skip_all(self):
        self.assertEqual(count("TAP version 13\n1..0 # SKIP needs root\n")[1], 1)

    def test_console_prefix_free_carriage_returns(self):
        self.assertEqual(count("KTAP version 1\r\n1..1\r\nok 1 a\r\n"), (1, 0, 0))


if __name__ == "__main__":
    unittest.main()
