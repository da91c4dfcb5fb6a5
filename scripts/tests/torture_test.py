#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The torture: which of its steps are meant?"""

import argparse
import importlib.machinery
import importlib.util
import pathlib
import sys
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from lab import say		# noqa: E402


def load():
    """The script as a module: its name has no .py."""
    loader = importlib.machinery.SourceFileLoader("uplift_torture", str(SCRIPTS / "torture"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("uplift_torture", loader))
    loader.exec_module(module)
    return module


TORTURE = load()
EVERY = list(TORTURE.steps(argparse.Namespace(targets=["6.12", "6.18"])))


class Wanted(unittest.TestCase):
    def test_all(self):
        self.assertEqual(TORTURE.wanted(EVERY, None), EVERY)

    def test_one_step(self):
        self.assertEqual(TORTURE.wanted(EVERY, "6.18-stock-storm"), [("6.18", "stock", "storm")])

    def test_kind_and_script(self):
        self.assertEqual({kind for _, kind, _ in TORTURE.wanted(EVERY, "kcsan")}, {"kcsan"})
        self.assertEqual({script for _, _, script in TORTURE.wanted(EVERY, "fail")}, {"fail"})

    def test_several_in_their_order_each_once(self):
        chosen = TORTURE.wanted(EVERY, "6.18-debug-storm 6.18-debug-epoll epoll")
        self.assertEqual(chosen, [step for step in EVERY if step in chosen])
        self.assertEqual(len(chosen), 6)	# epoll of two kinds on two targets and of PREEMPT_RT, and a storm

    def test_odd_kernels_belong_to_their_series(self):
        self.assertIn(("6.12-rt", "odd", "refusals"), EVERY)
        self.assertEqual([step for step in TORTURE.steps(argparse.Namespace(targets=["6.18"])) if step[1] == "odd"], [])

    def test_no_such_step(self):
        """A word misspelt ran nothing, and the run was a skip."""
        with self.assertRaises(say.Problem) as caught:
            TORTURE.wanted(EVERY, "6.18-stock-strom")
        self.assertEqual(caught.exception.code, say.USAGE)


class Fingerprint(unittest.TestCase):
    """What makes a step that has passed run again."""

    def test_scripts_of_other_steps_do_not(self):
        self.assertEqual(TORTURE.fingerprint("stock", "refusals_no_mount"),
                         TORTURE.fingerprint("stock", "refusals_no_debugfs"))
        self.assertNotEqual(TORTURE.fingerprint("debug", "fslist"), TORTURE.fingerprint("debug", "epoll"))

    def test_what_the_kernel_was_built_with(self):
        """KCSAN had been off, and what had passed so was not run again with it on."""
        self.assertNotEqual(TORTURE.fingerprint("kcsan", "fslist"), TORTURE.fingerprint("debug", "fslist"))

    def test_the_scripts_themselves(self):
        self.assertNotEqual(TORTURE.fingerprint("scripts", "fuzz"), TORTURE.fingerprint("stock", "fuzz"))
        self.assertNotEqual(TORTURE.fingerprint("stock", "others"), TORTURE.fingerprint("stock", "none"))


if __name__ == "__main__":
    unittest.main()
