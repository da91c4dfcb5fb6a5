# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the completion: what bash offers for what is typed."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import tomllib
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
CHANGES = [path.parent.name for path in (TOP / "modules").rglob("about.toml")]
INSPECTOR = next(path.parent.name for path in (TOP / "modules").rglob("about.toml")
                 if tomllib.loads(path.read_text()).get("inspector"))
TARGETS = tomllib.loads((TOP / "scripts/targets.toml").read_text())["target"]

# What bash does when somebody types a line and presses Tab.
ASK = r"""
. "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMPREPLY=()
_uplift
printf '%s\n' "${COMPREPLY[@]}"
"""


class Completion(unittest.TestCase):
    """bash"""

    @classmethod
    def setUpClass(cls):
        # by the name that people type
        cls.bin = tempfile.TemporaryDirectory()
        os.symlink(TOP / "scripts/uplift", pathlib.Path(cls.bin.name) / "uplift")

    @classmethod
    def tearDownClass(cls):
        cls.bin.cleanup()

    def offered(self, *words):
        """What is offered for the last word of a line."""
        found = subprocess.run(["bash", "--norc", "-c", ASK, "bash", TOP / "packaging/uplift.bash", "uplift", *words],
                               cwd=TOP, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                               env=dict(os.environ, PATH=f"{self.bin.name}:{os.environ['PATH']}"))
        self.assertEqual(found.stderr, "")
        return set(found.stdout.split())

    def test_commands(self):
        self.assertIn("lab", self.offered(""))
        self.assertEqual(self.offered("la"), {"lab", "layout"})
        self.assertEqual(self.offered("lab", "sel"), {"selftests"})
        self.assertLessEqual({"list", "fetch", "run", "cachelines"}, self.offered("lab", ""))

    def test_nothing_is_made_up(self):
        self.assertEqual(self.offered("lab", "nonsense"), set())
        self.assertEqual(self.offered("lab", "run", "6.12", "--", "cat", ""), set())

    def test_options(self):
        self.assertLessEqual({"--script", "--shell", "--help", "-h", "--panic-on-warn"}, self.offered("lab", "run", "-"))
        self.assertEqual(self.offered("lab", "run", "6.12", "--pa"), {"--panic-on-warn"})
        self.assertEqual(self.offered("lab", "build", "-v"), {"-v"})

    def test_words_of_a_command(self):
        self.assertEqual(self.offered(INSPECTOR, "track", ""), {"on", "off"})
        self.assertEqual(self.offered(INSPECTOR, "track", "of"), {"off"})

    def test_values(self):
        self.assertEqual(self.offered("lab", "run", "--accel", ""), {"auto", "kvm", "tcg"})
        self.assertEqual(self.offered("lab", "selftests", "--form", "l"), {"long"})
        self.assertIn("smt", self.offered("lab", "run", "--topology", ""))

    def test_targets(self):
        for words, typed in ((("lab", "run"), "6.1"), (("lab", "fetch", "6.12"), "7")):
            offered = {name for name in TARGETS if name.startswith(typed)}
            self.assertGreater(len(offered), 1)
            self.assertEqual(self.offered(*words, typed), offered)

    def test_changes(self):
        for name in CHANGES:
            self.assertEqual(self.offered("probe", name[:2]), {one for one in CHANGES if one.startswith(name[:2])})
        self.assertLessEqual(set(CHANGES), self.offered("bench", "--placebo", ""))

    def test_files(self):
        self.assertEqual(self.offered("lab", "run", "--script", "READ"), {"README.md"})


class Others(unittest.TestCase):
    """fish, asked for what it would offer, and zsh, whose completion takes a terminal: its syntax."""

    @unittest.skipUnless(shutil.which("fish"), "no fish here")
    def test_fish(self):
        with tempfile.TemporaryDirectory() as place:
            os.symlink(TOP / "scripts/uplift", pathlib.Path(place, "uplift"))
            for line, wanted in (("uplift la", {"lab", "layout"}), (f"uplift {INSPECTOR} track ", {"on", "off"}),
                                 ("uplift lab sel", {"selftests"}), ("uplift lab build -", {"-v", "--verbose", "-h"})):
                found = subprocess.run(["fish", "-N", "-c", f"source {TOP}/packaging/uplift.fish; complete -C '{line}'"],
                                       cwd=TOP, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                                       env=dict(os.environ, HOME=place, PATH=f"{place}:{os.environ['PATH']}"))
                self.assertEqual(found.stderr, "")
                self.assertLessEqual(wanted, set(found.stdout.split()), line)

    @unittest.skipUnless(shutil.which("zsh"), "no zsh here")
    def test_zsh(self):
        subprocess.run(["zsh", "-n", TOP / "packaging/uplift.zsh"], check=True)

    def test_installed(self):
        text = (TOP / "scripts/install").read_text()
        for name in ("bash", "zsh", "fish"):
            self.assertIn(f"packaging/uplift.{name}", text)


if __name__ == "__main__":
    unittest.main()
