# SPDX-License-Identifier: GPL-2.0-only
"""Every command in the documents is typed by a test, or run by one that is named; and is one that is understood."""

import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TOP = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import changes, paths, targets	# noqa: E402
from upliftlib.lab import documented, testplan	# noqa: E402

INSPECTOR = changes.inspector().name


def program(name):
    """A program of scripts/ as a module."""
    loader = importlib.machinery.SourceFileLoader(f"{name}_command", str(SCRIPTS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def command():
    """scripts/uplift as a module."""
    return program("uplift")


class Recorder:
    """In the place of what runs a step's command: notes the words, and runs nothing."""

    def __init__(self):
        self.argv = []

    def command(self, *argv, **_):
        self.argv = [str(word).removeprefix(f"{TOP}/") for word in argv]
        return 1, ""


class Ran:
    """Of each kind of entry in documented.RUN: "" where what it names exists and runs the command, else what is wrong."""

    def __init__(self):
        self.names = list(targets.TABLE)
        self.steps = {}
        for step in program("test").plan(self.names):
            recorder = Recorder()
            step.run(recorder)
            self.steps[step.name] = recorder.argv

    def step(self, name, words):
        """A step whose command begins as this one does; of make's, as what its target runs."""
        argvs = [argv for known, argv in self.steps.items() if re.fullmatch(rf"{name}([-_].*)?", known)]
        wanted = words.split()
        if wanted[0] == "make":
            recipe = subprocess.run(["make", "-s", "-n", "-C", TOP, *wanted[1:2]], text=True, check=True,
                                    stdout=subprocess.PIPE).stdout
            lines = [shlex.split(line) for line in recipe.splitlines() if line.startswith("scripts/")]
            wanted = next((line for line in lines if line[0] != "scripts/setup"), wanted)
        if wanted[0] == "scripts/setup":	# what make starts before any step
            return "" if "scripts/setup" in (TOP / "Makefile").read_text() else "make does not run it"
        wanted = [("scripts/" if word == "uplift" else "") + word for word in wanted]
        length = 3 if wanted[0] == "scripts/uplift" else 1
        return "" if any(argv[:length] == wanted[:length] for argv in argvs) else f"step {name} runs {argvs}, not {wanted}"

    def script(self, name, _):
        """A script of selftests/ that a step runs."""
        return "" if any(name in scripts for scripts in testplan.in_test(self.names).values()) else "no step runs it"

    def test(self, name, _):
        """A unit test."""
        file, method = name.split()
        found = importlib.import_module(f"tests.{file}")
        for part in method.split("."):
            found = getattr(found, part, None)
        return "" if callable(found) else "no such test"

    def function(self, name, _):
        """A function of documented.py."""
        return "" if callable(getattr(documented, name, None)) else "no such function"

    def host(self, what, _):
        """A command of HOST."""
        return self._among(what, documented.HOST)

    def long(self, what, _):
        """A command of LONG."""
        return self._among(what, documented.LONG)

    @staticmethod
    def _among(what, commands):
        words = what.split()
        return "" if any(list(argv[:len(words)]) == words for argv in commands) else f"none of {commands} begins so"

    def hours(self, what, words):
        """Nothing runs it; that it is understood is another test's."""
        return what


class Commands(unittest.TestCase):
    all = [(name, *found) for name in (*documented.DOCUMENTS, *documented.GUIDES) for found in documented.found(name)
           if name in documented.DOCUMENTS or found[2]]

    def test_found(self):
        self.assertGreater(len(self.all), 50)
        for name in (*documented.DOCUMENTS, *documented.GUIDES):
            self.assertTrue([one for one in self.all if one[0] == name], name)

    def test_each_is_run(self):
        for name, line, words, block in self.all:
            if documented.typed(words) and block and name in documented.DOCUMENTS:
                continue
            words = words.removeprefix("sudo ")
            if re.fullmatch(r"(insmod|rmmod|modprobe|make|uplift [a-z]+|rmmod( uplift\w*)+|scripts/uplift lab|make .*\.\.\.)",
                            words):
                continue		# a word for the thing, in a sentence
            with self.subTest(f"{name}:{line}: {words}"):
                self.assertTrue([pattern for pattern, _ in documented.RUN if re.fullmatch(pattern, words)],
                                "no test runs it: scripts/upliftlib/lab/documented.py, RUN")

    def test_what_runs_it_is_there(self):
        ran = Ran()
        for pattern, by in documented.RUN:
            kind, _, what = by.partition(" ")
            for words in {words.removeprefix("sudo ") for _, _, words, _ in self.all}:
                if re.fullmatch(pattern, words):
                    with self.subTest(words, by=by):
                        self.assertEqual(getattr(ran, kind)(what, words), "")

    def test_nothing_is_out_of_date(self):
        words = [words.removeprefix("sudo ") for _, _, words, _ in self.all]
        for pattern, _ in documented.RUN:
            self.assertTrue([one for one in words if re.fullmatch(pattern, one)], f"in no document: {pattern}")

    def test_understood(self):
        uplift = command()
        for name, line, words, _ in self.all:
            match = re.match(r"(?:sudo )?(?:scripts/)?uplift ((?:probe|doctor|bench|report|lab|find|layout|" + INSPECTOR + r").*)", words)
            if not match or re.search(r"\.\.\.|\[|OLD|\$\(", words) or match[1] in ("lab", "find", "layout"):
                continue
            argv = shlex.split(match[1].partition(" | ")[0])
            with self.subTest(f"{name}:{line}: {words}"), contextlib.redirect_stderr(io.StringIO()) as said, \
                    contextlib.redirect_stdout(io.StringIO()):
                try:
                    uplift.commands_of(argv).parse_args(argv)
                except SystemExit as left:
                    self.assertEqual(left.code, 0, said.getvalue())

    def test_make(self):
        text = (TOP / "Makefile").read_text()
        for name, line, words, _ in self.all:
            match = re.match(r"make ([a-z_]+)", words)
            if match:
                self.assertRegex(text, rf"(?m)^{match[1]}:", f"{name}:{line}")

    def test_what_is_typed_is_a_script(self):
        text = documented.script()
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)
        around = [line for change in changes.load().values() for words in change.about.get("documented", {}).values()
                  for line in (*words["before"], *words["after"])]
        self.assertTrue(around)
        for words in ("scripts/uplift probe --yes", *around):
            self.assertIn(words, text)
        self.assertNotIn("sudo", text)

    def test_results_can_be_had_again(self):
        # each is a command of the lab or of make, as the page says
        for words in re.findall(r"`((?:uplift lab|make) [^`]*)`", (TOP / "docs/results.md").read_text()):
            words = words.replace("=...", "=6.12").replace("TARGET", "6.12") if "make" not in words else words
            if words.startswith("make"):
                self.assertRegex((TOP / "Makefile").read_text(), rf"(?m)^{words.split()[1]}:")
                continue
            argv = shlex.split(words)[1:]
            command().commands_of(argv).parse_args(argv)


class AtOnce(unittest.TestCase):
    def test_one_copy_of_the_tree_at_a_time(self):
        """Two of them removed each other's."""
        inside, most = [], []

        def make(target, tree):
            inside.append(target)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(target)

        with tempfile.TemporaryDirectory() as build, mock.patch.object(paths, "BUILD", pathlib.Path(build)), \
                mock.patch.object(documented, "_make_modules", make), contextlib.redirect_stderr(io.StringIO()):
            both = [threading.Thread(target=documented.make_modules, args=(name,)) for name in ("9.8", "9.9")]
            for one in both:
                one.start()
            for one in both:
                one.join()
        self.assertEqual(most, [1, 1])


if __name__ == "__main__":
    unittest.main()
