# SPDX-License-Identifier: GPL-2.0
"""Tests of the KUnit driver that need no kernel: python3 -m unittest scripts/tests/kunit_test.py"""

import errno
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kunit            # noqa: E402
from upliftlib.base import console, errors, ktap, paths	# noqa: E402

CASE_A = "static struct kunit_case cases[] = {\n\tKUNIT_CASE(a),\n\tKUNIT_CASE_SLOW(b),\n\t{}\n};\n"
SUITE = 'static struct kunit_suite suite = {\n\t.name = "uplift_x",\n};\n'

LOG = """\
Linux version 6.12
KTAP version 1
1..2
    KTAP version 1
    # Subtest: uplift_x
    # module: uplift_x_kunit
    1..2
    ok 1 a
    # b: 12 ns
    ok 2 b
# uplift_x: pass:2 fail:0 skip:0 total:2
# Totals: pass:2 fail:0 skip:0 total:2
ok 1 uplift_x
    KTAP version 1
    # Subtest: uplift_y
    1..1
    not ok 1 c
not ok 2 uplift_y
reboot: Restarting system
"""


def console_of(**suites):
    """A console: console_of(uplift_x={"a": "ok"})"""
    text = f"KTAP version 1\n1..{len(suites)}\n"
    for number, (suite, cases) in enumerate(suites.items(), 1):
        text += f"    KTAP version 1\n    # Subtest: {suite}\n    1..{len(cases)}\n"
        for index, (case, said) in enumerate(cases.items(), 1):
            word, _, rest = said.partition(" #")
            text += f"    {word} {index} {case}{' #' + rest if rest else ''}\n"
        bad = any(said.startswith("not") for said in cases.values())
        text += f"{'not ok' if bad else 'ok'} {number} {suite}\n"
    return text


def contents(tree):
    """Everything of a tree that must not change: type, text, mode, time."""
    seen = {}
    for path in sorted(Path(tree).rglob("*")):
        st = path.lstat()
        text = (os.readlink(path) if path.is_symlink()
                else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        seen[str(path)] = (text, st.st_mode, st.st_mtime_ns)
    return seen


class Declared(unittest.TestCase):
    def write(self, **files):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        for name, text in files.items():
            (Path(temp.name) / f"{name}_kunit.c").write_text(text)
        return sorted(Path(temp.name).iterdir())

    def test_cases_of_a_suite(self):
        self.assertEqual(kunit.declared_cases(self.write(x=CASE_A + SUITE)),
                         {"uplift_x": ["a", "b"]})

    def test_no_source_is_an_error(self):
        with self.assertRaises(errors.Problem):
            kunit.declared_cases(self.write())

    def test_suite_without_cases_is_an_error(self):
        with self.assertRaises(errors.Problem):
            kunit.declared_cases(self.write(x=SUITE))

    def test_case_listed_twice_is_an_error(self):
        with self.assertRaises(errors.Problem):
            kunit.declared_cases(self.write(x=CASE_A.replace("(b)", "(a)") + SUITE))

    def test_every_case_of_ours_is_listed(self):
        for path in (paths.TOP / "kunit").glob("*_kunit.c"):
            with self.subTest(path=path.name):
                listed = sum(kunit.declared_cases([path]).values(), [])
                text = path.read_text()
                functions = re.findall(r"^static void (\w+)\(struct kunit \*test\)$", text, re.M)
                # one that others call is a part of theirs
                functions = [name for name in functions
                             if not name.endswith("_exit") and not re.search(rf"\b{name}\(test\);", text)]
                self.assertEqual(sorted(functions), sorted(listed))

    def test_every_suite_of_ours_is_configured(self):
        configured = {path for arch in kunit.ARCHES
                      for path in kunit.enabled(paths.TOP / "kunit", arch)}
        self.assertEqual(configured, set((paths.TOP / "kunit").glob("*_kunit.c")))

    def test_configured_suites(self):
        with tempfile.TemporaryDirectory() as temp:
            for name, text in ((".kunitconfig", "CONFIG_UPLIFT_X_KUNIT_TEST=y\n"),
                               ("um.config", "# CONFIG_UPLIFT_Y_KUNIT_TEST is not set\n"),
                               ("x86_64.config", "CONFIG_A=y\nCONFIG_UPLIFT_Y_KUNIT_TEST=y\n")):
                (Path(temp) / name).write_text(text)
            self.assertEqual(kunit.enabled(temp, "um"), [Path(temp) / "x_kunit.c"])
            self.assertEqual(kunit.enabled(temp, "x86_64"),
                             [Path(temp) / "x_kunit.c", Path(temp) / "y_kunit.c"])

    def test_filter(self):
        suites = {"uplift_x": ["read_a", "read_b", "build"], "uplift_y": ["c"]}
        self.assertEqual(kunit.filtered(suites, "uplift_x.read_*"),
                         {"uplift_x": ["read_a", "read_b"]})
        self.assertEqual(kunit.filtered(suites, "*_y"), {"uplift_y": ["c"]})
        self.assertEqual(kunit.filtered(suites, None), suites)
        with self.assertRaises(errors.Problem):
            kunit.filtered(suites, "uplift_x.nothing")


class Tree(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        base = Path(temp.name)
        self.pristine, self.tree, self.top = base / "src", base / "work/tree", base / "top"
        for name, text in {
                "Makefile": "VERSION = 6\nPATCHLEVEL = 12\n",
                "tools/testing/kunit/kunit.py": "",
                "drivers/Kconfig": 'menu "Device Drivers"\n\nsource "drivers/a/Kconfig"\n\nendmenu\n',
                "drivers/Makefile": "obj-y += a/\n",
                "init/main.c": "int main;\n"}.items():
            path = self.pristine / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.pristine / "link").symlink_to("init")
        self.top.mkdir()
        mock.patch.object(console, "note").start()
        self.addCleanup(mock.patch.stopall)

    def make(self):
        return kunit.make_tree(self.pristine, self.tree, self.top)

    def test_pristine_tree_is_unchanged(self):
        before = contents(self.pristine)
        self.make()
        self.make()
        self.assertEqual(contents(self.pristine), before)
        self.assertEqual(kunit.fingerprint(self.pristine), self.make())

    def test_only_two_files_differ(self):
        self.make()
        same = (self.tree / "init/main.c").stat().st_ino
        self.assertEqual(same, (self.pristine / "init/main.c").stat().st_ino)
        self.assertEqual((self.tree / "drivers/Kconfig").read_text().split("\n")[-4:],
                         ['source "drivers/uplift/kunit/Kconfig"', "", "endmenu", ""])
        self.assertTrue((self.tree / "drivers/Makefile").read_text().endswith(
            "\nobj-$(CONFIG_KUNIT)\t\t+= uplift/kunit/\n"))
        self.assertEqual(os.readlink(self.tree / "drivers/uplift/kunit"),
                         str(self.top / "kunit"))

    def test_copied_where_it_cannot_be_linked(self):
        """Across a bind mount, where both have the same device number, cp -al ended in a traceback."""
        before = contents(self.pristine)
        refused = OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        with mock.patch.object(kunit.os, "link", side_effect=refused):
            self.make()
        self.assertNotEqual((self.tree / "init/main.c").stat().st_ino, (self.pristine / "init/main.c").stat().st_ino)
        self.assertEqual((self.tree / "init/main.c").read_text(), (self.pristine / "init/main.c").read_text())
        self.assertEqual(contents(self.pristine), before)

    def test_kept_when_nothing_changed(self):
        self.make()
        (self.tree / "mark").touch()
        self.make()
        self.assertTrue((self.tree / "mark").exists())

    def test_redone_for_another_pristine_tree(self):
        self.make()
        (self.tree / "mark").touch()
        (self.pristine / "init/new.c").write_text("")
        self.make()
        self.assertFalse((self.tree / "mark").exists())
        self.assertTrue((self.tree / "init/new.c").exists())

    def test_interrupted_half_way_is_redone(self):
        with mock.patch.object(kunit, "add_obj_line", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                self.make()
        self.assertFalse(self.tree.exists())
        self.make()
        self.assertIn("uplift", (self.tree / "drivers/Makefile").read_text())
        self.assertNotIn("uplift", (self.pristine / "drivers/Makefile").read_text())

    def test_write_through_a_hard_link_is_noticed(self):
        before = self.make()
        with open(self.tree / "init/main.c", "a") as file:
            file.write("oops\n")
        self.assertNotEqual(kunit.fingerprint(self.pristine), before)

    def test_not_a_kernel_tree(self):
        (self.pristine / "tools/testing/kunit/kunit.py").unlink()
        mock.patch.stopall()
        with self.assertRaises(errors.Problem):
            self.make()


class Results(unittest.TestCase):
    expected = {"uplift_x": ["a", "b"]}
    PASSED = {"a": "ok", "b": "ok # SKIP no SMP"}

    def judge(self, more="", **suites):
        log = console_of(**suites) + more
        return kunit.judge(self.expected, ktap.parse(kunit.ktap_of(log)), log)

    def test_all_passed(self):
        self.assertEqual(self.judge(uplift_x=self.PASSED), (1, 1, []))

    def test_failed(self):
        passed, skipped, complaints = self.judge(uplift_x={"a": "ok", "b": "not ok"})
        self.assertEqual((passed, skipped), (1, 0))
        self.assertIn("failed: uplift_x/b", complaints)

    def test_crashed(self):
        """The kernel ended in the middle of a suite."""
        log = console_of(uplift_x=self.PASSED)
        for end in ("    ok 2 b", "ok 1 uplift_x"):
            cut = log[:log.index(end)]
            self.assertTrue(kunit.judge(self.expected, ktap.parse(kunit.ktap_of(cut)), cut)[2], end)
        self.assertTrue(kunit.judge(self.expected, ktap.parse(kunit.ktap_of("Linux version 6.12\n")), "")[2])

    def test_case_that_vanished(self):
        self.assertEqual(self.judge(uplift_x={"a": "ok"}), (1, 0, ["uplift_x.b: absent"]))

    def test_suite_that_vanished(self):
        self.assertIn("did not run", self.judge(uplift_y={"c": "ok"})[2][0])

    def test_undeclared(self):
        self.assertTrue(self.judge(uplift_x=self.PASSED | {"c": "ok"})[2])
        self.assertTrue(self.judge(uplift_x=self.PASSED, y={"c": "ok"})[2])

    def test_splat_with_all_passed(self):
        for line in ("BUG: KASAN: slab-use-after-free in f+0x1", "[    1.200000] WARNING: CPU: 0 PID: 1",
                     "WARNING: possible circular locking dependency detected",
                     "BUG: sleeping function called from invalid context at x.c:1",
                     "Kernel panic - not syncing: x"):
            self.assertTrue(self.judge(line + "\n", uplift_x=self.PASSED)[2], line)
        report = ktap.parse(kunit.ktap_of(LOG))
        self.assertEqual(kunit.judge({"uplift_x": ["a", "b"], "uplift_y": ["c"]}, report, LOG),
                         (2, 0, ["failed: uplift_y/c", "failed: uplift_y"]))

    def test_with_stamps(self):
        for prefix in ("", "[    0.123456] "):
            log = "".join(prefix + line + "\r\n" for line in LOG.splitlines())
            text = kunit.ktap_of(log)
            self.assertEqual(text, LOG[LOG.index("KTAP"):])
            self.assertEqual(list(kunit.figures(ktap.parse(text))), ["b: 12 ns"])

    def test_why_it_was_skipped(self):
        report = ktap.parse(console_of(uplift_x=self.PASSED))
        self.assertEqual(list(kunit.figures(report)), ["b: skipped, no SMP"])


class Qemu(unittest.TestCase):
    """kunit.py's QEMU gets the accelerator that is right here, whichever ones kunit.py asks for."""

    WRAPPER = paths.TOP / "kunit/qemu/qemu-system-x86_64"

    def given(self, *words):
        with tempfile.TemporaryDirectory() as directory:
            real = Path(directory) / "qemu-system-x86_64"
            real.write_text("#!/bin/sh\nfor word; do echo \"<$word>\"; done\n")
            real.chmod(0o755)
            wrapper = Path(directory) / "wrapper/qemu-system-x86_64"
            wrapper.parent.mkdir()
            wrapper.write_text(self.WRAPPER.read_text().replace("PATH=/usr/sbin", f"PATH={directory}:/usr/sbin"))
            wrapper.chmod(0o755)
            done = subprocess.run([wrapper, *words], text=True, capture_output=True, check=True)
        return re.findall(r"<(.*)>", done.stdout)

    def test_only_one_accelerator(self):
        words = ["-nodefaults", "-append", "a b  'c'", "-accel", "kvm", "-accel", "hvf", "-accel", "tcg", "-smp", "2"]
        self.assertEqual(self.given(*words), ["-accel", "tcg,thread=single", "-nodefaults", "-append", "a b  'c'",
                                              "-smp", "2"])

    def test_found_first(self):
        seen = {}
        args = kunit.parse_args(["--arch", "x86_64"])
        args.lacking = []
        with mock.patch.object(kunit.buildroot, "run", lambda argv, **given: seen.update(given) or 0), \
                mock.patch.object(kunit, "version_of", lambda tree: (6, 18)), \
                mock.patch.object(kunit, "Heartbeat", mock.MagicMock()):
            kunit.run_kunit("exec", args, Path("/obj"), Path("/tree"))
        first = seen["env"]["PATH"].split(":")[0]
        self.assertEqual(Path(first), self.WRAPPER.parent)
        self.assertTrue(os.access(self.WRAPPER, os.X_OK))


class Coverage(unittest.TestCase):
    """What gcov says of one file in two kernels' objects, and what is none of ours."""

    @staticmethod
    def report(name, *lines):
        return {"current_working_directory": "/obj", "files": [{"file": name, "lines": [
            {"line_number": number, "count": count, "branches": [{"count": taken} for taken in branches]}
            for number, count, branches in lines]}]}

    def test_sums(self):
        ours = "../tree/drivers/uplift/kunit/../modules/x/x_core.c"
        reports = [self.report(ours, (1, 0, []), (2, 3, [3, 0])), self.report(ours, (1, 1, []), (2, 0, [0, 0])),
                   self.report("../tree/include/linux/list.h", (1, 5, [])),
                   self.report("../tree/drivers/uplift/kunit/x_kunit.c", (1, 5, [])),
                   self.report("drivers/uplift/modules/x/gen/x_null.c", (1, 5, []))]
        self.assertEqual(kunit.covered(reports, Path("/top")), {"modules/x/x_core.c": [2, 2, 2, 1]})

    def test_too_little_is_a_complaint(self):
        found = {"modules/x/x_core.c": [100, 89, 10, 8], "modules/x/x_text.c": [10, 1, 10, 1]}
        with tempfile.TemporaryDirectory() as directory, mock.patch("builtins.print"), \
                mock.patch.object(kunit, "gcov", lambda *_: []), mock.patch.object(kunit, "covered", lambda *_: found):
            said = kunit.coverage(Path("/obj"), Path(directory))
        self.assertEqual(said, ["coverage: modules/x/x_core.c: 89.0% of its lines ran, 90% at least are wanted"])


if __name__ == "__main__":
    unittest.main()
