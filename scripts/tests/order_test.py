# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the words on a command line is said before anything is fetched or built."""

import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import sys
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

import kunit	# noqa: E402
from upliftlib.base import errors	# noqa: E402
from upliftlib.lab import apt, archive, buildroot	# noqa: E402

WRONG = (
    ("evaluate", "--kernel", "/nonexistent", "--modules", "/nonexistent"),
    ("evaluate", "--kernel", "/nonexistent"),
    ("evaluate", "--kdir", "/nonexistent"),
    ("evaluate", "6.12", "--kernel", "/nonexistent", "--modules", "/nonexistent"),
    ("selftests", "6.12", "--only", "nonsense"),
    ("selftests", "6.12", "--only", "abi:nonsense"),
    ("selftests", "nonsense"),
    ("run", "6.12", "--script", "/nonexistent"),
    ("run", "6.12", "--topology", "nonsense", "--", "true"),
    ("run", "nonsense", "--", "true"),
    ("run", "6.12"),
    ("live", "6.12", "--script", "/nonexistent"),
    ("live", "6.12", "--topology", "nonsense", "--", "probe"),
    ("live", "nonsense", "--", "probe"),
    ("signed", "nonsense"),
    ("package", "nonsense"),
)


LOADER = importlib.machinery.SourceFileLoader("uplift_ordered", str(SCRIPTS / "uplift"))
UPLIFT = importlib.util.module_from_spec(importlib.util.spec_from_loader("uplift_ordered", LOADER))
LOADER.exec_module(UPLIFT)


def work(*_, **__):
    raise AssertionError("work was begun")


class Order(unittest.TestCase):
    def setUp(self):
        for module, name in ((buildroot, "ensure"), (apt, "suite")):
            self.enterContext(mock.patch.object(module, name, work))
        self.root = self.enterContext(mock.patch.object(buildroot.os, "geteuid", return_value=0))

    def said(self, words):
        """The Problem of a command of the lab's."""
        with self.assertRaises(errors.Problem) as raised:
            args = UPLIFT.commands_of(["lab", *words]).parse_args(["lab", *words])
            args.func(args)
        return raised.exception

    def test_wrong_words(self):
        """A root of Debian was made, and 165 MB were downloaded, for minutes, before a misspelt name was refused."""
        for words in WRONG:
            with self.subTest(words):
                self.assertEqual(self.said(words).code, errors.USAGE)

    def test_a_version_that_debian_lacks(self):
        """Only indexes are read for it."""
        listed = {"Package": "linux-image-9.1.3-amd64", "Version": "9.1.3-1", "Filename": "pool/x", "Size": "20000000",
                  "SHA256": "0"}
        with mock.patch.object(archive.plan, "__defaults__", (lambda suite: {"packages": [listed]}, lambda suite: "")):
            for words in (("evaluate", "9.0.77"), ("run", "9.0.77", "--", "true"),
                          ("live", "9.0.77", "--", "probe")):
                with self.subTest(words):
                    problem = self.said(words)
                    self.assertEqual(problem.code, errors.SKIP)
                    self.assertRegex(str(problem), "9.0.77 is in none of the suites .* nearest to it: 9.1.3$")

    def test_not_root(self):
        """110 MB were there before it said that it must be root, or it said something else."""
        self.root.return_value = 65534
        for words in (("selftests", "6.12"), ("package", "6.12"), ("evaluate", "6.12"), ("run", "6.12", "--", "true"),
                      ("live", "6.12", "--", "probe")):
            with self.subTest(words):
                self.assertRegex(str(self.said(words)), "must run as root")
        with self.assertRaisesRegex(errors.Problem, "must run as root"):
            kunit.main([])

    def test_kunit(self):
        for words in (["--ksrc", "/nonexistent"], ["--ksrc", "/etc"], ["--jobs", "0"], ["--timeout", "-1"],
                      ["--coverage", "--arch", "x86_64"]):
            with self.subTest(words), contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as ended:
                kunit.main(words)
            self.assertEqual(ended.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
