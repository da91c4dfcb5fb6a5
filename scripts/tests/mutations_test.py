# SPDX-License-Identifier: GPL-2.0-only
"""scripts/mutations: each of its faults is one in the file as it is, and what a suite says of it counts."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, paths	# noqa: E402

_loader = importlib.machinery.SourceFileLoader("mutations", str(SCRIPTS / "mutations"))
_spec = importlib.util.spec_from_loader("mutations", _loader)
assert _spec
MUTATIONS = importlib.util.module_from_spec(_spec)
_loader.exec_module(MUTATIONS)


class MutationsTest(unittest.TestCase):
    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.tree = pathlib.Path(temp.name)
        self.text = (paths.TOP / MUTATIONS.FILE).read_text()
        (self.tree / MUTATIONS.FILE).parent.mkdir(parents=True)
        (self.tree / MUTATIONS.FILE).write_text(self.text)
        (self.tree / "scripts").mkdir()

    def kunit(self, text: str) -> None:
        script = self.tree / "scripts/kunit.py"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)

    def test_each_is_one_fault(self) -> None:
        for mutation in MUTATIONS.MUTATIONS:
            after = MUTATIONS.mutated(self.text, mutation)
            self.assertNotEqual(after, self.text)
            self.assertEqual(after.count("{"), after.count("}"), mutation.name)
        with self.assertRaisesRegex(errors.Problem, "has 0 places for the fault 'x'"):
            MUTATIONS.mutated(self.text, MUTATIONS.Mutation("x", "nowhere()", ""))

    def test_noticed_or_not(self) -> None:
        """By a suite that knows one fault only; the file is as it was afterwards."""
        one, other = MUTATIONS.MUTATIONS[0], MUTATIONS.MUTATIONS[4]
        self.kunit(f"grep -q 'inside && !redirect->pins' {MUTATIONS.FILE} || exit 0; echo 'not ok 3 drain'; exit 1")
        self.assertEqual(MUTATIONS.suite(self.tree, []), ("", ""))
        self.assertTrue(MUTATIONS.check(self.tree, one, []))
        self.assertFalse(MUTATIONS.check(self.tree, other, []))
        self.assertEqual((self.tree / MUTATIONS.FILE).read_text(), self.text)

    def test_a_fault_that_hangs_the_kernel(self) -> None:
        """It is waited for as long as a run without a fault tells, not for kunit.py's usual time."""
        self.kunit(f"echo \"$*\" >>args\ngrep -q 'inside && !redirect->pins' {MUTATIONS.FILE} && echo 'not ok 9 drain' && exit 1\n"
                   "echo 'kunit 6.18 x86_64: 28 of 28 cases passed; built in 3 s, ran in 40 s; results in x'")
        why, said = MUTATIONS.suite(self.tree, [])
        self.assertEqual((why, MUTATIONS.patience(said)), ("", ["--timeout", "120"]))
        self.assertEqual(MUTATIONS.patience("ran in 2 s"), ["--timeout", "60"])
        self.assertEqual(MUTATIONS.patience("nothing"), [])
        self.assertTrue(MUTATIONS.check(self.tree, MUTATIONS.MUTATIONS[0], MUTATIONS.patience(said)))
        first, second = (self.tree / "args").read_text().splitlines()
        self.assertEqual((first.count("--timeout"), second.count("--timeout 120")), (0, 1))

    def test_what_does_not_build_is_not_noticed(self) -> None:
        self.kunit("echo 'redirect.c:3:1: error: what is this'; exit 1")
        with self.assertRaisesRegex(errors.Problem, "it does not build: redirect.c:3:1"):
            MUTATIONS.check(self.tree, MUTATIONS.MUTATIONS[0], [])
        self.assertEqual((self.tree / MUTATIONS.FILE).read_text(), self.text)


if __name__ == "__main__":
    unittest.main()
