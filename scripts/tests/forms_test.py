# SPDX-License-Identifier: GPL-2.0-only
"""A report in the words of distributions; several side by side; from standard input."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors	# noqa: E402
from upliftlib.report import comparison, forms, record	# noqa: E402
from tests import dossier_data	# noqa: E402

# What each distribution's own description of its form asks for, in its order.
WANTED = {
    "sru": ("BugLink: https://bugs.launchpad.net/bugs/77", "SRU Justification:", "[Impact]", "[Fix]", "[Test Plan]",
            "[Where problems could occur]", "[Other Info]"),
    "suse": ("From: A. Trout", "Subject: trout: Convert", "Patch-mainline: v7.0",
             "Git-commit: 1200000000000000000000000000000000000000", "References: bsc#77", "---"),
    "centos": ("JIRA: https://issues.redhat.com/browse/RHEL-77", "Upstream Status: linux.git\n",
               "commit 1200000000000000000000000000000000000000", "commit 1211111111111111111111111111111111111111", "Tested:", "Signed-off-by:"),
    "debian": ("To: 77@bugs.debian.org", "Subject: linux: please apply", "Source: linux", "Version: 6.18.15-1",
               "Severity: wishlist", "Tags: upstream fixed-upstream"),
    "mail": ('Subject: "trout: Convert put_trout() to scoped user access" on 6.18.15-amd64: harmful', "Bug: 77", "Risk:", "To check by hand:")}


class Forms(unittest.TestCase):
    def test_each_has_what_is_asked_for(self) -> None:
        for name, wanted in WANTED.items():
            text = forms.render(name, dossier_data.bench(), ["trout"], "77")
            at = 0
            for words in wanted:
                self.assertIn(words, text[at:], name)
                at = text.index(words, at)

    def test_each_says_what_goes_with_it_and_the_decision(self) -> None:
        for name in forms.FORMS:
            text = " ".join(forms.render(name, dossier_data.bench(), ["trout"], "77").split())
            self.assertIn("121111111111", text, name)
            self.assertIn("do not ship it, a test failed (events_new)" if name != "mail" else "harmful", text, name)

    def test_each_says_what_uplift_is_and_where_the_figures_come_from(self) -> None:
        for data, on, unit in ((dossier_data.bench(), "on A CPU <of> 3 GHz & more", "nanoseconds of that machine"),
                               (dossier_data.counted(), "in a QEMU guest of 6.12.1-amd64", "instructions that an emulator counted")):
            data["uplift"] = {"version": "0.7", "commit": "abc"}
            for name in forms.FORMS:
                text = " ".join(forms.render(name, data, ["trout"], "").split())
                said = re.search(r"Tests and figures come from uplift 0\.7, commit abc: it loads the change as modules (.*)", text)
                self.assertTrue(said, (name, text))
                self.assertRegex(said[1], f"{re.escape(on)}[^;]*; the figures are {unit}")
            for part in data["changes"]:
                part["operations"] = []
            for name in forms.FORMS:
                text = " ".join(forms.render(name, data, ["trout"], "").split())
                self.assertIn("Tests come from uplift 0.7, commit abc", text)

    def test_a_patch_of_suses_has_the_patch(self) -> None:
        data = dossier_data.bench()
        data["changes"][2]["patches"]["fs/x.c.patch"] = "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1 +1 @@\n-old\n+new\n"
        text = forms.render("suse", data, ["trout"], "")
        self.assertTrue(text.endswith("---\n--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1 +1 @@\n-old\n+new\n"), text[-200:])
        self.assertNotIn("expression revents", text)	# the semantic patch
        data["changes"][2]["patches"]["modules/trout/trout_put.h"] = "/* ours */\n"	# which it would not compile without
        text = forms.render("suse", data, ["trout"], "")
        self.assertTrue(text.endswith("---\n<the output of: git format-patch -1 --stdout 120000000000>\n"), text[-200:])

    @unittest.skipUnless(shutil.which("git"), "no git here")
    def test_git_takes_the_patch(self) -> None:
        """Also where the last line of its context is empty, which in a patch is a blank."""
        data, place = dossier_data.bench(), pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        data["changes"][2]["patches"] = {"fs/x.c.patch": "--- a/x.c\n+++ b/x.c\n@@ -1,4 +1,4 @@\n \n-old\n+new\n \n \n"}
        text = forms.render("suse", data, ["trout"], "77")
        self.assertTrue(text.endswith("+new\n \n \n"))
        (place / "x.c").write_text("\nold\n\n\n")
        for words in (("init", "-q"), ("add", "x.c"), ("commit", "-qm", "x"), ("am", "-q", "-")):
            done = subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@b", *words], cwd=place, input=text, text=True,
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, (words, done.stderr))
        self.assertEqual((place / "x.c").read_text(), "\nnew\n\n\n")
        subject = subprocess.run(["git", "log", "-1", "--format=%s%n%ae"], cwd=place, capture_output=True, text=True, check=True).stdout
        self.assertIn("trout: Convert put_trout() to scoped user access", subject)

    def test_the_header_of_suse(self) -> None:
        """By the rules that its kernel-source checks a header with: which tags have to be there, and of what form."""
        rules = {"From": ".+", "Subject": r"\S+", "Patch-mainline": r"v?(\d+\.)+\d+(-rc\d+)?\s*$", "Git-commit": "[0-9a-fA-F]{40}$",
                 "References": r"\S+", "Acked-by": r".*@(suse\.(com|de|cz)|novell.com)"}
        data = dossier_data.bench()
        for history in ({}, {"author": "Eric Dumazet <e@example.org>", "date": "Sat, 28 Feb 2026 00:00:00 +0000", "tag": "v7.0-rc4"}):
            data["changes"][2]["history"] = record.NO_HISTORY | history		# type: ignore[typeddict-item]
            text = forms.render("suse", data, ["trout"], "77").replace("<name and address>", "A <a@suse.com>")
            header = text.partition("\n---\n")[0]
            tags = [line.split(": ", 1) for line in header.splitlines() if re.match(r"[\w-]+: ", line)]
            for name, rule in rules.items():
                found = [value for tag, value in tags if tag == name]
                self.assertEqual(len(found), 1, (name, header))
                self.assertRegex(found[0], f"^{rule}")
            for value in history.values():
                self.assertIn(f": {value}\n", header)

    def test_an_omitted_fix_has_its_reason(self) -> None:
        data = dossier_data.bench()
        self.assertIn('Omitted-fix: b11111111111 ("pike: release the batch on failures"): its iterator has no batch', forms.render("centos", data, ["pike"], ""))

    def test_without_a_number_there_is_a_place_for_it(self) -> None:
        for name, place in (("sru", "<https://bugs.launchpad.net/bugs/NUMBER>"), ("suse", "<bsc#NUMBER>"),
                            ("centos", "RHEL-NUMBER>"), ("debian", "To: submit@bugs.debian.org")):
            self.assertIn(place, forms.render(name, dossier_data.bench(), ["trout"], ""))

    def test_all_that_could_be_shipped(self) -> None:
        text = forms.render("mail", dossier_data.bench(), [], "")
        self.assertEqual(re.findall('^Subject: "([a-z]+): ', text, re.MULTILINE), ["pike", "trout"])	# carp is native

    def test_what_is_not_worth_it_is_asked_for_by_name_only(self) -> None:
        data = dossier_data.bench()
        for name in forms.FORMS:
            subjects = forms.render(name, data, [], "")
            self.assertEqual("do not ship it" in " ".join(subjects.split()), name == "mail", name)
            self.assertIn("do not ship it", " ".join(forms.render(name, data, ["trout"], "").split()), name)

    def test_tests_that_were_not_run_are_counted_side_by_side(self) -> None:
        data = dossier_data.counted()
        passed = {"ok": True, "summary": "1 test: 1 passed", "problems": [], "tests": []}
        for part in data["changes"]:
            part["verdict"]["kind"], part["correctness"] = "applicable", passed
        self.assertRegex(comparison.text(comparison.of([data])), "(?m)^tests +passed$")
        data["changes"][0]["correctness"] = None
        self.assertRegex(comparison.text(comparison.of([data])), "(?m)^tests +passed, 1 not run$")

    def test_lines_fit_a_mail(self) -> None:
        for name in forms.FORMS:
            for line in forms.render(name, dossier_data.bench(), [], "").partition(forms.PATCH)[0].splitlines():
                self.assertTrue(len(line) <= 72 or re.search(r"https?://|^(Subject|Upstream Status|Omitted-fix): |^    ", line),
                                (name, line))
                self.assertEqual(line, line.rstrip())

    def test_a_change_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(errors.Problem, "--change x: the report has carp pike trout"):
            forms.render("sru", dossier_data.bench(), ["x"], "")


class Command(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.data = [dossier_data.bench(), dossier_data.counted()]
        self.files = [str(self.place / f"bench-{number}.json") for number in range(2)]
        for file, data in zip(self.files, self.data):
            pathlib.Path(file).write_text(json.dumps(data))

    def report(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-B", str(SCRIPTS / "uplift"), "report", *words], text=True, check=False,
                              capture_output=True, input=given)

    def test_two_files_as_a_shell_gives_them(self) -> None:
        page = self.place / "dossier.html"
        done = self.report(*self.files, "--html", str(page))
        self.assertEqual((done.returncode, done.stdout), (errors.FAIL, ""), done.stderr)	# one of them has failed
        for data in self.data:
            self.assertIn(data["machine"]["release"], page.read_text())

    def test_side_by_side(self) -> None:
        done = self.report(*self.files, self.files[1], "--json", "-")
        found = comparison.check(json.loads(done.stdout))
        self.assertEqual(list(found["targets"]), ["6.18.15-amd64", "6.12.1-amd64", "6.12.1-amd64 (2)"])
        again = self.place / "both.json"
        again.write_text(done.stdout)
        self.assertEqual(list(json.loads(self.report(str(again), self.files[0], "--json", "-").stdout)["targets"]),
                         ["6.18.15-amd64", "6.12.1-amd64", "6.12.1-amd64 (2)", "6.18.15-amd64 (2)"])

    def test_standard_input(self) -> None:
        done = self.report("-", given=json.dumps(self.data[1]))
        self.assertEqual((done.returncode, done.stdout), (0, self.report(self.files[1]).stdout))
        for words, given, said in ((("-", "-"), "{}", "can be read once"), (("-",), "no json", "standard input: "),
                                   (("-",), "{}", "standard input: no report of ours")):
            done = self.report(*words, given=given)
            self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (errors.USAGE, "", 1), words)
            self.assertIn(said, done.stderr)

    def test_a_form_of_several(self) -> None:
        done = self.report(*self.files, "--sru", "-")
        self.assertEqual(done.returncode, errors.USAGE)
        self.assertIn("--sru takes the report of one kernel", done.stderr)

    def test_wrong_words_are_one_line(self) -> None:
        one, page = self.files[0], str(self.place / "x")
        for name, content in (("empty", b""), ("binary", b"\x1f\x8b\xff")):
            (self.place / name).write_bytes(content)
        for words, said in (((str(self.place / "empty"),), "no report of ours: it is empty"),
                            ((str(self.place / "binary"),), "no report of ours: not text"),
                            ((one, "--sru", "-", "--html", "-"), "--html --sru: each takes a file of its own"),
                            ((one, "--md", page, "--html", page), "each takes a file of its own"),
                            ((one, "--suse", "-", "--bug", "bsc#7"), "--bug takes a number alone, not 'bsc#7'"),
                            ((one, "--html", str(self.place)), f"--html {self.place}: Is a directory"),
                            ((one, "--html", "/dev/full"), "--html /dev/full: No space left on device")):
            done = self.report(*words)
            self.assertEqual((done.stdout, len(done.stderr.splitlines())), ("", 1), (words, done.stderr))
            self.assertIn(said, done.stderr)
            self.assertIn(done.returncode, (errors.FAIL, errors.USAGE))

    def test_what_a_form_leaves_out_is_said(self) -> None:
        self.assertIn("--debian: without trout", self.report(self.files[0], "--debian", "-").stderr)

    def test_a_form(self) -> None:
        done = self.report(self.files[0], "--centos", "-", "--change", "trout")
        self.assertIn("Upstream Status: linux.git", done.stdout)


if __name__ == "__main__":
    unittest.main()
