#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The torture: which of its steps are meant?"""

import argparse
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors	# noqa: E402
from upliftlib.lab import testplan	# noqa: E402
from tests import roles	# noqa: E402


def load():
    """The script as a module: its name has no .py."""
    loader = importlib.machinery.SourceFileLoader("uplift_torture", str(SCRIPTS / "torture"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("uplift_torture", loader))
    loader.exec_module(module)
    return module


TORTURE = load()
ONE, OTHER, *_ = roles.names(roles.redirects)
EVERY = list(TORTURE.steps(argparse.Namespace(targets=["6.12", "6.18"], named=False)))


class Wanted(unittest.TestCase):
    def test_all(self):
        self.assertEqual(TORTURE.wanted(EVERY, None), EVERY)

    def test_one_step(self):
        self.assertEqual(TORTURE.wanted(EVERY, "6.18-stock-storm"), [("6.18", "stock", "storm")])

    def test_kind_and_script(self):
        self.assertEqual({kind for _, kind, _ in TORTURE.wanted(EVERY, "kcsan")}, {"kcsan"})
        self.assertEqual({script for _, _, script in TORTURE.wanted(EVERY, "fail")}, {"fail"})

    def test_several_in_their_order_each_once(self):
        chosen = TORTURE.wanted(EVERY, f"6.18-debug-storm 6.18-debug-{ONE} {ONE}")
        self.assertEqual(chosen, [step for step in EVERY if step in chosen])
        # its script, of two kinds on two targets and of PREEMPT_RT, and a storm; and where make test leaves it out
        self.assertEqual(len([step for step in chosen if step[1] not in ("rest", "arch")]), 6)
        self.assertEqual([step[0] for step in chosen if step[1] == "arch"], list(testplan.elsewhere_in_torture()))
        self.assertEqual([step[0] for step in chosen if step[1] == "rest"],
                         [name for name, scripts in testplan.in_torture().items() if ONE in scripts])

    def test_odd_kernels_belong_to_their_series(self):
        self.assertIn(("6.12-rt", "odd", "refusals"), EVERY)
        self.assertEqual([step for step in TORTURE.steps(argparse.Namespace(targets=["6.18"], named=True)) if step[1] == "odd"], [])

    def test_odd_kernels_by_name(self):
        """`torture 6.12-rt` built its kernel anew, without PREEMPT_RT, and went through no step of its own."""
        named = list(TORTURE.steps(argparse.Namespace(targets=["6.12-rt"], named=True)))
        self.assertEqual(named, [step for step in EVERY if step[0] in ("any", "6.12-rt")])

    def test_named_twice(self):
        self.assertEqual(list(TORTURE.steps(argparse.Namespace(targets=["6.12", "6.12", "6.12-rt", "6.18"], named=False))), EVERY)

    def test_blanks_are_no_words(self):
        """--only " " ran nothing, and the run was a skip; then it ran everything, for hours."""
        for only in ("", " "):
            with self.assertRaises(errors.Problem) as caught:
                TORTURE.wanted(EVERY, only)
            self.assertEqual(caught.exception.code, errors.USAGE)

    def test_no_such_step(self):
        """A word misspelt ran nothing, and the run was a skip."""
        with self.assertRaises(errors.Problem) as caught:
            TORTURE.wanted(EVERY, "6.18-stock-strom")
        self.assertEqual(caught.exception.code, errors.USAGE)


class Fingerprint(unittest.TestCase):
    """What makes a step that has passed run again."""

    def test_scripts_of_other_steps_do_not(self):
        self.assertEqual(TORTURE.fingerprint("stock", "refusals_no_mount"),
                         TORTURE.fingerprint("stock", "refusals_no_debugfs"))
        self.assertNotEqual(TORTURE.fingerprint("debug", ONE), TORTURE.fingerprint("debug", OTHER))

    def test_what_the_kernel_was_built_with(self):
        """KCSAN had been off, and what had passed so was not run again with it on."""
        self.assertNotEqual(TORTURE.fingerprint("kcsan", ONE), TORTURE.fingerprint("debug", ONE))

    def test_the_scripts_themselves(self):
        self.assertNotEqual(TORTURE.fingerprint("scripts", "fuzz"), TORTURE.fingerprint("stock", "fuzz"))
        self.assertNotEqual(TORTURE.fingerprint("stock", "others"), TORTURE.fingerprint("stock", "none"))


class Passed(unittest.TestCase):
    """What is not run again."""
    WHOLE = {"sources": "x", "asked": {"seconds": 600}, "ok": True, "skipped": None, "problems": [],
             "counts": {"pass": 1}}

    def of(self, text, options=None):
        with tempfile.TemporaryDirectory() as temp:
            path = pathlib.Path(temp) / "kept.json"
            path.write_text(text)
            return TORTURE.passed(path, "x", options or {"seconds": 600})

    def test_whole(self):
        self.assertEqual(self.of(json.dumps(self.WHOLE)), self.WHOLE)
        self.assertIsNone(TORTURE.passed(pathlib.Path("/no/such.json"), "x", {}))

    def test_spoiled(self):
        """A list ended the run of hours with a traceback."""
        for text in ("", "{", "[]", "null", "5", '"x"', "[" * 100000, json.dumps(self.WHOLE)[:-9]):
            self.assertIsNone(self.of(text), text[:20])
        for key in self.WHOLE:
            self.assertIsNone(self.of(json.dumps({name: self.WHOLE[name] for name in self.WHOLE if name != key})), key)
            if key not in ("ok", "skipped"):
                for value in (None, 5, ["x"]):
                    self.assertIsNone(self.of(json.dumps(self.WHOLE | {key: value})), f"{key} {value}")

    def test_skipped_is_not_passed(self):
        """What could not be downloaded once was skipped for ever."""
        self.assertIsNone(self.of(json.dumps(self.WHOLE | {"skipped": "target 6.18: no source"})))

    def test_for_as_long_and_as_thoroughly(self):
        """Each 100th allocation had failed, or the storm had lasted 5 s, and with the defaults it was passed before."""
        args = argparse.Namespace(seconds=3600, checked_seconds=600, fail_step=1)
        self.assertEqual(TORTURE.asked("debug", "storm", args), {"seconds": 600})
        self.assertEqual(TORTURE.asked("stock", "storm", args), {"seconds": 3600})
        self.assertEqual(TORTURE.asked("debug", "fail", args), {"fail_step": 1})
        self.assertEqual(TORTURE.asked("kcsan", ONE, args), {})
        self.assertIsNone(self.of(json.dumps(self.WHOLE), {"seconds": 5}))


class CommandLine(unittest.TestCase):
    def test_numbers(self):
        """A storm of -1 s passed; every 0th allocation was every one."""
        for text in ("0", "-1", "1e3", "99999999999999999999", "\u0663", ""):
            with self.assertRaisesRegex(argparse.ArgumentTypeError, f"'{text}' is no number from 1 to"):
                TORTURE.number(text)
        self.assertEqual([TORTURE.number(text) for text in ("1", "3600")], [1, 3600])

    def test_ended(self):
        """Ended by its id it left behind what it had started, a guest for hours perhaps."""
        with tempfile.TemporaryDirectory() as build:
            torture = subprocess.Popen([sys.executable, "-B", SCRIPTS / "torture", "--only", "any-scripts-fuzz"],
                                       stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                                       env=os.environ | {"UPLIFT_BUILD": build})
            children = pathlib.Path(f"/proc/{torture.pid}/task/{torture.pid}/children")
            end = time.monotonic() + 120
            while not children.read_text() and time.monotonic() < end:
                time.sleep(0.05)
            child = pathlib.Path("/proc") / children.read_text().split()[0]
            torture.send_signal(signal.SIGTERM)
            self.assertIn("stopped", torture.communicate()[1])
            self.assertEqual(torture.returncode, 130)
            while child.exists() and time.monotonic() < end:
                time.sleep(0.05)
            self.assertFalse(child.exists(), "its child goes on")


if __name__ == "__main__":
    unittest.main()
