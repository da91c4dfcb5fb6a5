# SPDX-License-Identifier: GPL-2.0-only
"""The documents against the source: every command in uplift(8), every parameter and node in docs/ABI/testing."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from upliftlib.base import changes	# noqa: E402


def commands(*words):
    """The commands that `uplift words... --help` lists."""
    said = subprocess.run([sys.executable, "-B", TOP / "scripts/uplift", *words, "--help"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout
    return set(re.findall(r"^    ([a-z][a-z-]*)(?: .*)?$", said.partition("positional arguments:")[2].partition("\n\n")[0],
                          re.MULTILINE))


class Version(unittest.TestCase):
    def test_says_which_it_is(self):
        said = subprocess.run([sys.executable, "-B", TOP / "scripts/uplift", "--version"], text=True, check=True,
                              stdout=subprocess.PIPE).stdout
        self.assertTrue(said.startswith(f"uplift {(TOP / 'VERSION').read_text().strip()} (commit "), said)
        if shutil.which("git") and (TOP / ".git").exists():
            head = subprocess.run(["git", "-C", TOP, "-c", f"safe.directory={TOP}", "rev-parse", "HEAD"], text=True,
                                  check=True, stdout=subprocess.PIPE).stdout
            self.assertIn(f"(commit {head[:12]}", said)
        else:
            self.assertIn("not known", said)


class Ci(unittest.TestCase):
    def test_runs_make_test(self):
        with tempfile.TemporaryDirectory() as directory:
            make = pathlib.Path(directory, "make")
            make.write_text('#!/bin/sh\necho "$PWD" "$@"\n')
            make.chmod(0o755)
            said = subprocess.run(["sh", TOP / ".ci/run"], text=True, check=True, cwd="/", stdout=subprocess.PIPE,
                                  env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}).stdout
        self.assertEqual(said, f"{TOP} test\n")


class Manual(unittest.TestCase):
    text = (TOP / "packaging/uplift.8").read_text()

    def test_commands(self):
        # two may have one name: the inspector's command stood for that of the lab
        pages, outer = {}, self.text
        for name in ("sched", "layout", "lab"):
            before, heading, rest = outer.partition(f"\n.It Cm {name}\n")
            pages[(name,)], _, rest = rest.partition("\n.El\n")
            outer = before + heading + rest
        pages[()] = outer
        for words, page in pages.items():
            found = commands(*words)
            self.assertGreater(len(found), 0)
            self.assertEqual(found, set(re.findall(r"^\.It Cm ([a-z-]+)$", page, re.MULTILINE)), "packaging/uplift.8")

    def test_verdicts(self):
        for kind in changes.KINDS:
            self.assertRegex(self.text, rf"(?m)^\.Cm {kind}( ,)?$")

    def test_report_options(self):
        synopsis = self.text.partition("\n.Cm report\n")[2].partition("\n.Nm\n")[0]
        said = subprocess.run([sys.executable, "-B", TOP / "scripts/uplift", "report", "--help"], text=True, check=True,
                              stdout=subprocess.PIPE).stdout
        self.assertEqual(set(re.findall(r"Fl -(\w+)", synopsis)) | {"help"}, set(re.findall(r"^  (?:-h, )?--(\w+)", said, re.MULTILINE)))

    def test_changes(self):
        described = self.text.partition("The changes are")[2].partition("Each is a module")[0]
        names = {path.parent.name for path in (TOP / "modules").rglob("about.toml")}
        self.assertEqual(names - set(re.findall(r"^\.Cm (\w+)$", described, re.MULTILINE)), set(), "not in packaging/uplift.8")

    def test_environment(self):
        used = set()
        for path in sorted((TOP / "scripts").rglob("*.py")):
            if path.parent.name != "tests":
                used |= set(re.findall(r'environ(?:\.get\(|\[)"(UPLIFT_\w+)"', path.read_text()))
        self.assertGreater(len(used), 3)
        self.assertEqual(used - set(re.findall(r"UPLIFT_\w+", self.text)), set(), "not in packaging/uplift.8")


class Abi(unittest.TestCase):
    """What can be seen in the source; selftests/abi.sh asks the running modules."""

    entries = {}
    for file in sorted((TOP / "docs/ABI/testing").iterdir()):
        for entry in re.split(r"\n\n(?=What:)", file.read_text()):
            for what in re.findall(r"^What:\s+(\S+)$", entry, re.MULTILINE):
                entries[what] = entry

    @staticmethod
    def sources(module):
        return {path: path.read_text() for path in sorted((TOP / "modules" / module).glob("*.c"))}

    def test_parameters(self):
        documented = {what for what in self.entries if what.startswith("/sys/module/")}
        found = set()
        for directory in sorted((TOP / "modules").iterdir()):
            name = "uplift" if directory.name == "core" else f"uplift_{directory.name}"
            for text in self.sources(directory.name).values():
                for match in re.finditer(r"^module_param(?:_named)?\((\w+),[^;]*?(0\d+)\);", text, re.MULTILINE):
                    path = f"/sys/module/{name}/parameters/{match[1]}"
                    found.add(path)
                    self.assertIn(path, self.entries, "not in docs/ABI/testing")
                    mode = "(RO" if int(match[2], 8) & 0o222 == 0 else "(RW"
                    self.assertIn(mode, self.entries[path])
        self.assertEqual(documented - found, set(), "documented, and in no module")

    def test_form(self):
        for what, entry in self.entries.items():
            for field in ("Date:", "KernelVersion:", "Description:"):
                self.assertIn(field, entry, what)
            if not what.endswith("/"):
                self.assertRegex(entry, r"Description:\s+\((RO|RW)(, 0\d{3})?\) ", what)

    def test_nodes(self):
        for path, text in ((path, text) for directory in sorted((TOP / "modules").iterdir())
                           for path, text in self.sources(directory.name).items()):
            for name in re.findall(r'debugfs_create_file\("(\w+)"', text):
                self.assertTrue(any(what.endswith(f"/{name}") for what in self.entries),
                                f"{path}: {name} is not in docs/ABI/testing")

    def test_every_change(self):
        # abi.sh asks the changes that are documented: one that is not would not be missed
        wanted = {f"/sys/kernel/debug/uplift/{change.name}/{node}" for change in changes.load().values()
                  for node in ("verdict", *(("stats", "arm") if change.generated else ()))}
        self.assertEqual(wanted - set(self.entries), set(), "not in docs/ABI/testing")


if __name__ == "__main__":
    unittest.main()
