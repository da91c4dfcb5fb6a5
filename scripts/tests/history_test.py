# SPDX-License-Identifier: GPL-2.0-only
"""What goes with a change, out of small repositories that git itself makes here."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Any

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors	# noqa: E402
from upliftlib.report import companions, dossier, history, record	# noqa: E402
from tests import dossier_data, pond	# noqa: E402

WHO = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b",
       "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
TITLE = "fs: walk faster"


class Made:
    """A repository under way."""

    def __init__(self, where: pathlib.Path) -> None:
        self.where, self.clock = where, 1700000000
        self.git("init", "-q", "-b", "master")

    def git(self, *words: str) -> str:
        self.clock += 60
        stamp = {f"GIT_{name}_DATE": f"{self.clock} +0000" for name in ("AUTHOR", "COMMITTER")}
        return subprocess.run(["git", "-C", str(self.where), *words], check=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={**os.environ, **WHO, **stamp}).stdout.strip()

    def commit(self, message: str, **files: str) -> str:
        for name, text in files.items():
            (self.where / f"{name}.c").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def body(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def part(commit: str = "", title: str = "", patch: str = "") -> record.Part:
    found = record.entry(pond.CHANGES["perch"], {"kind": "applicable", "evidence": [], "from": "module"})
    found["upstream"] = {"commit": commit} if commit else {"title": title}
    found["patches"] = {"x.patch": patch} if patch else {}
    return found


@unittest.skipUnless(shutil.which("git"), "no git here")
class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.made = Made(self.place)

    def look(self, found: record.Part, base: str = "") -> record.History:
        return history.look(found, history.Repository(str(self.place)), base, "6.18.15+deb13-amd64")


class Ten(Case):
    """Ten commits, of which three fix or revert the one in question."""

    def setUp(self) -> None:
        super().setUp()
        self.first = self.made.commit("start", walk=body("int walk(void)", "{", "\treturn 1;", "}"), other="x\n")
        self.made.commit("doc: nothing of it", other="y\n")
        self.change = self.made.commit(TITLE, walk=body("int walk(void)", "{", "\treturn 2;", "}"))
        short = self.change[:12]
        self.fix = self.made.commit(f'fs: unlock\n\nFixes: {short} ("{TITLE}")', walk="1\n")
        self.made.commit(f"fs: after {short}, rename things\n\nSince {short} this can be simpler.", other="z\n")
        self.made.commit('fs: another fault\n\nFixes: 0123456789ab ("start")', other="a\n")
        self.eight = self.made.commit(f"fs: free the right one\n\nFixes: {self.change[:8]} ({TITLE})", walk="2\n")
        self.made.commit(f"fs: like {TITLE}", other="b\n")
        self.revert = self.made.commit(f'Revert "{TITLE}"\n\nThis reverts commit {self.change}.', walk="3\n")
        self.last = self.made.commit(f'Revert "fs: another fault"\n\nThis reverts commit {self.first}.', other="c\n")

    def test_all_three_and_none_else(self) -> None:
        found = self.look(part(self.change[:12]))
        self.assertEqual(self.made.git("rev-list", "--count", "HEAD"), "10")
        self.assertEqual([(one["kind"], one["commit"]) for one in found["commits"]],
                         [("fix", self.fix), ("fix", self.eight), ("revert", self.revert)])

    def test_states(self) -> None:
        for base, wanted in ((self.first, ["needed"] * 3), (self.fix, ["present", "needed", "needed"]),
                             (self.last, ["present"] * 3)):
            self.assertEqual([one["state"] for one in self.look(part(self.change), base)["commits"]], wanted, base)
        for one in self.look(part(self.change))["commits"]:
            self.assertIn("give --base", one["state"])

    def test_the_kernels_tag_is_found(self) -> None:
        self.made.git("tag", "v6.18.15", self.fix)
        found = self.look(part(self.change))
        self.assertEqual((found["base"], found["commits"][0]["state"]), ("v6.18.15", "present"))

    def test_who_when_and_the_first_release(self) -> None:
        self.assertNotIn("tag", self.look(part(self.change)))
        for name, commit in (("v7.0-rc4", self.eight), ("v7.0", self.last), ("other", self.change)):
            self.made.git("tag", name, commit)
        found = self.look(part(self.change))
        self.assertEqual((found["author"], found["tag"]), ("A <a@b>", "v7.0-rc4"))
        self.assertRegex(found["date"], r"^Tue, 14 Nov 2023 \d\d:\d\d:\d\d \+0000$")

    def test_by_title(self) -> None:
        self.assertEqual(len(self.look(part(title=TITLE))["commits"]), 3)

    def test_what_is_not_there_is_said(self) -> None:
        self.assertIn("has no commit 0123456789ab", self.look(part("0123456789ab" * 3))["problem"])
        self.assertIn("names no commit", self.look(part(title="nobody wrote this"))["problem"])

    def test_nothing_in_the_repository_is_changed(self) -> None:
        before = self.made.git("for-each-ref"), self.made.git("status", "--porcelain")
        self.look(part(self.change), self.first)
        self.assertEqual((self.made.git("for-each-ref"), self.made.git("status", "--porcelain")), before)

    def test_in_the_dossier(self) -> None:
        found = part(self.change)
        found["history"] = self.look(found, self.first)
        said = " ".join(companions.lines(found, "6.18.15"))
        for commit in (self.fix, self.eight, self.revert):
            self.assertIn(commit[:12], said)
        self.assertEqual(said.count("needed"), 3)
        self.assertIn(f"a clone at {self.last[:12]} for {self.first}", companions.source(found, "6.18.15"))


class AsPeopleWriteThem(Case):
    """Forms that are in histories of the kernel's kind, beside the one of the kernel's documentation."""

    def test_fixes(self) -> None:
        change = self.made.commit(TITLE, walk="1\n")
        wanted = [self.made.commit(f"fs: fix {number}\n\n{line}", walk=f"{number}\n") for number, line in enumerate((
            f"Fixes commit {change[:16]} (\"{TITLE}\")", f'Fixes: ("{change[:12]} {TITLE}")', f"fixes: commit {change}",
            f'Fixes: {change[:7]} ("{TITLE}")', f'Fixes: {change[:12]} ("fs: walk\n faster")'))]
        for line in (f"Fixes: {change[:7]}", f"Fixes: https://example.org/{change[:12]}", f"Fixes since {change[:12]}:",
                     f"This fixes {change[:12]}", "Fixes: #1188"):
            self.made.commit(f"fs: none\n\n{line}", other=line)
        self.assertEqual([(one["kind"], one["commit"]) for one in self.look(part(change))["commits"]],
                         [("fix", one) for one in wanted])

    def test_two_commits_of_one_title(self) -> None:
        one = self.made.commit(TITLE, walk="1\n")
        first = self.made.commit(f'Revert "{TITLE}"\n\nThis reverts commit {one}.', walk="0\n")
        two = self.made.commit(TITLE, walk="1\n")
        second = self.made.commit(f'Revert "{TITLE}"\n\nThis reverts commit {two}.', walk="0\n")
        for commit, wanted in ((one, first), (two, second)):
            self.assertEqual([found["commit"] for found in self.look(part(commit))["commits"]], [wanted])

    def test_a_revert_of_what_was_merged_by_another_id(self) -> None:
        change = self.made.commit(TITLE, walk="1\n")
        for line in ("Not needed.", f"This reverts commit {'0123456789' * 4}."):
            revert = self.made.commit(f'Revert "{TITLE}"\n\n{line}', walk=f"{line}\n")
            self.assertIn(("revert", revert), [(one["kind"], one["commit"]) for one in self.look(part(change))["commits"]])


class Stable(Case):
    def test_copies_count_as_the_commit(self) -> None:
        first = self.made.commit("start", walk=body("1", "2", "3"))
        change = self.made.commit(TITLE, walk=body("1", "two", "3"))
        fix = self.made.commit(f'fs: mend it\n\nFixes: {change[:12]} ("{TITLE}")', walk=body("1", "two!", "3"))
        self.made.git("checkout", "-q", "-b", "linux-6.18.y", first)
        copy = self.made.commit(f"{TITLE}\n\ncommit {change} upstream.", walk=body("1", "two", "3"))
        self.made.commit(f'fs: mend it\n\n[ Upstream commit {fix} ]\n\nFixes: {change[:12]} ("{TITLE}")',
                         walk=body("1", "two!", "3"))
        self.made.git("checkout", "-q", "-b", "topic", first)
        found = self.look(part(change), "linux-6.18.y")
        self.assertEqual([(one["commit"], one["state"]) for one in found["commits"]], [(fix, "present")])
        self.assertEqual(found["stable"], [f"linux-6.18.y (as {copy[:12]})"])


class Prerequisites(Case):
    def setUp(self) -> None:
        super().setUp()
        self.old = self.made.commit("start", walk=body(*"abcdefgh"), far=body(*"abc"))
        self.far = self.made.commit("far: not of it", far=body(*"abx"))
        self.line = self.made.commit("walk: rework", walk=body(*"abcDefgh"))
        self.helper = self.made.commit("walk: a helper", help="void walk_helper(void)\n{\n}\n")
        self.change = self.made.commit(TITLE, walk=body(*"abc", "\twalk_helper();", *"efgh"))

    def test_what_made_the_lines_and_what_they_call(self) -> None:
        found = self.look(part(self.change), self.old)
        self.assertEqual({one["commit"]: one["kind"] for one in found["commits"]},
                         {self.line: "prerequisite", self.helper: "prerequisite"})
        self.assertIn("walk_helper()", next(one["why"] for one in found["commits"] if one["commit"] == self.helper))

    def test_none_where_the_kernel_has_them(self) -> None:
        self.assertEqual(self.look(part(self.change), self.helper)["commits"], [])
        self.assertEqual(self.look(part(self.change), self.change)["commits"], [])

    def test_distance(self) -> None:
        same = self.made.git("format-patch", "-1", "--stdout", self.change)
        self.assertIn("the same changed lines", self.look(part(self.change, patch=same)).get("distance", ""))
        other = same.replace("+\twalk_helper();", "+\twalk_slowly();")
        self.assertIn("1 of its 2 changed lines", self.look(part(self.change, patch=other)).get("distance", ""))


class Command(Case):
    def report(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-B", str(SCRIPTS / "uplift"), "report", *words], text=True, check=False,
                              capture_output=True)

    def test_report(self) -> None:
        data: dict[str, Any] = json.loads(json.dumps(dossier_data.counted()))
        change = self.made.commit(TITLE, walk="1\n")
        fix = self.made.commit(f"fs: mend it\n\nFixes: {change[:12]}", walk="2\n")
        data["changes"][0]["upstream"] = {"commit": change, "title": TITLE}
        source = self.place / "in.json"
        source.write_text(json.dumps(data))
        done = self.report(str(source), "--git", str(self.place), "--base", change)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f'later fix {fix[:12]} "fs: mend it": needed', " ".join(done.stdout.split()))
        self.assertIn("the clone has no commit", " ".join(done.stdout.split()))	# of the other changes
        self.assertIn(dossier.text(data).splitlines()[0], done.stdout)

    def test_bad_words(self) -> None:
        source = self.place / "in.json"
        source.write_text(json.dumps(dossier_data.counted()))
        with tempfile.TemporaryDirectory() as empty:
            for words, said in ((("--git", empty), "no git repository"), (("--git", f"{empty}/none"), "no such directory"),
                                (("--git", str(self.place), "--base", "nothing"), "has no such commit"),
                                (("--base", "x"), "--base goes with --git")):
                done = self.report(str(source), *words)
                self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (errors.USAGE, "", 1), words)
                self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
