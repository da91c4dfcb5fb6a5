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
import tomllib
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TOP = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS))

from upliftlib.lab import documented	# noqa: E402


def command():
    """scripts/uplift as a module."""
    loader = importlib.machinery.SourceFileLoader("uplift_command", str(SCRIPTS / "uplift"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("uplift_command", loader))
    loader.exec_module(module)
    return module


class Commands(unittest.TestCase):
    all = [(name, *found) for name in documented.DOCUMENTS for found in documented.found(name)]

    def test_found(self):
        self.assertGreater(len(self.all), 50)
        for name in documented.DOCUMENTS:
            self.assertTrue([one for one in self.all if one[0] == name], name)

    def test_each_is_run(self):
        for name, line, words, block in self.all:
            if documented.typed(words) and block:
                continue
            words = words.removeprefix("sudo ")
            if re.fullmatch(r"(insmod|rmmod|modprobe|make|uplift [a-z]+|rmmod( uplift\w*)+|scripts/uplift lab|make .*\.\.\.)",
                            words):
                continue		# a word for the thing, in a sentence
            with self.subTest(f"{name}:{line}: {words}"):
                self.assertTrue([pattern for pattern, _, _ in documented.RUN if re.fullmatch(pattern, words)],
                                "no test runs it: scripts/upliftlib/lab/documented.py, RUN")

    def test_what_runs_it_is_there(self):
        for pattern, file, what in documented.RUN:
            # RUN itself says all of these words
            text = re.sub(r"(?ms)^RUN = \(.*?^\)\n", "", (TOP / file).read_text())
            self.assertRegex(text, what, pattern)

    def test_nothing_is_out_of_date(self):
        words = [words.removeprefix("sudo ") for _, _, words, _ in self.all]
        for pattern, _, _ in documented.RUN:
            self.assertTrue([one for one in words if re.fullmatch(pattern, one)], f"in no document: {pattern}")

    def test_understood(self):
        program = command()
        for name, line, words, _ in self.all:
            match = re.match(r"(?:sudo )?(?:scripts/)?uplift ((?:probe|doctor|bench|report|llc|lab).*)", words)
            if not match or "..." in words or match[1] == "lab":
                continue
            argv = shlex.split(match[1])
            with self.subTest(f"{name}:{line}: {words}"), contextlib.redirect_stderr(io.StringIO()) as said, \
                    contextlib.redirect_stdout(io.StringIO()):
                try:
                    program.commands_of(argv).parse_args(argv)
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
        for words in ("insmod modules/epoll/uplift_epoll.ko", "scripts/uplift probe --yes", "mount --bind", "rmmod uplift_fslist"):
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


class Guide(unittest.TestCase):
    """What docs/backport-guide.md shows of pipepoll is what is there."""

    blocks = re.findall(r"(?ms)^```(\w*)\n(.*?)^```", (TOP / "docs/backport-guide.md").read_text())
    directory = TOP / "modules/backports/pipepoll"

    def test_toml(self):
        found = [tomllib.loads(text) for kind, text in self.blocks if kind == "toml"]
        self.assertEqual(len(found), 3)
        manifest = tomllib.loads((self.directory / "manifest.toml").read_text())
        about = tomllib.loads((self.directory / "about.toml").read_text())
        forms = found[0]["arms"]["new"].pop("patch")
        self.assertIn(forms[0], manifest["arms"]["new"].pop("patch"))
        self.assertEqual(found[0], manifest)
        self.assertEqual(found[1]["title"], about["title"])
        for rule in found[1]["static"]:
            self.assertIn(rule, about["static"])
        self.assertEqual(found[2]["bench"], about["bench"])

    def test_patch(self):
        (text,) = [text for kind, text in self.blocks if not kind]
        self.assertIn(text, (self.directory / "pipepoll.cocci").read_text())


if __name__ == "__main__":
    unittest.main()
