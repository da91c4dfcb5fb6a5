#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""`make test`: are the results of its steps found, and counted?"""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))


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
            with mock.patch.object(test, "command", return_value=(code, f"something\n{line}\n")), \
                    mock.patch.object(test.paths, "TOP", pathlib.Path(top)):
                return test.kunit("um")

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


if __name__ == "__main__":
    unittest.main()
