# SPDX-License-Identifier: GPL-2.0-only
"""`uplift try` on the running kernel, without a kernel of ours: what it says when something is missing, what is built again
and what is not, and that nothing stays loaded or switched on however it ends."""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest
from typing import Any
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from tests.trial_test import is_running	# noqa: E402
from upliftlib.base import errors, paths	# noqa: E402
from upliftlib.kernel import notes	# noqa: E402
from upliftlib.lab import buildroot, kernelcode, kernels, kerneltests, trial, trybuilt, tryhere, tryscript	# noqa: E402


class Scratch(unittest.TestCase):
    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)
        for name in ("BUILD", "SRC"):
            self.patch(paths, name, self.dir / name.lower())

    def patch(self, where: object, name: str, value: object) -> None:
        patcher = mock.patch.object(where, name, value)
        patcher.start()
        self.addCleanup(patcher.stop)


def note(kind: int, owner: bytes, text: bytes) -> bytes:
    words = b"".join(number.to_bytes(4, "little") for number in (len(owner) + 1, len(text), kind))
    return words + (owner + b"\0").ljust(-(-(len(owner) + 1) // 4) * 4, b"\0") + text.ljust(-(-len(text) // 4) * 4, b"\0")


class RunningKernelTest(Scratch):
    """What it is built of is looked for, and what is missing told with what to type."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(buildroot, "need_root", lambda: None)
        self.patch(buildroot, "ensure", lambda *_: None)
        self.patch(tryhere, "release", lambda: "6.18.15+deb13-amd64")
        for name in ("BOOT", "USR", "MODULES"):
            self.patch(tryhere, name, self.dir / name)
        self.patch(tryhere, "NOTES", self.file("notes", note(6, b"Xen", b"12345") + note(3, b"GNU", bytes(range(20)))))

    def file(self, name: str, data: bytes = b"") -> pathlib.Path:
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def said(self, what: str, **words: str) -> str:
        with self.assertRaises(errors.Problem) as caught:
            getattr(tryhere.HereCode(**words), what)
        self.assertEqual(caught.exception.code, errors.USAGE)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_no_headers(self) -> None:
        self.assertIn("apt-get install linux-headers-6.18.15+deb13-amd64, or give --kdir DIR; --target tries it on another "
                      "kernel, in a guest", self.said("kdir"))

    def test_no_source(self) -> None:
        self.assertIn("apt-get install linux-source-6.18, unpack /usr/src/linux-source-6.18.tar.xz and give --ksrc DIR",
                      self.said("ksrc"))
        self.assertIn("no whole source of a kernel there", self.said("ksrc", ksrc=str(self.dir)))

    def test_where_no_target_is_named(self) -> None:
        words = {"target": None, "kernel": None, "modules": None, "kdir": None, "ksrc": None}
        self.assertIsInstance(trial.code_of(argparse.Namespace(**words)), tryhere.HereCode)
        with mock.patch.object(trial, "_target") as target, mock.patch.object(trial, "KernelCode") as code:
            for word in ("target", "kernel", "modules"):
                self.assertIs(trial.code_of(argparse.Namespace(**words | {word: "x"})), code(target()))

    def test_a_source_that_is_here(self) -> None:
        for name in ("MAINTAINERS", "Makefile"):
            self.file(f"USR/linux-source-6.18/{name}")
        self.assertEqual(tryhere.HereCode().ksrc, (self.dir / "USR/linux-source-6.18").resolve())

    def test_a_module_that_is_not_loaded(self) -> None:
        with self.assertRaisesRegex(errors.Problem, "the module pond, whose functions it changes, is not loaded here: modprobe pond"):
            tryhere.need_loaded(["pond"])
        tryhere.need_loaded([])

    def test_clang_built_it(self) -> None:
        """It is refused, and nothing is a failure; the same for a kernel of one's own in a guest."""
        kdir = self.file("MODULES/6.18.15+deb13-amd64/build/Makefile").parent
        self.file(f"{kdir.relative_to(self.dir)}/.config", b"CONFIG_CC_IS_CLANG=y\n")
        self.file("src/MAINTAINERS")
        target = kernels.Target("own", "6.18.15+deb13-amd64", "6.18.15", self.dir / "vmlinuz", self.dir, kdir=kdir, ksrc=self.dir / "src")
        for of_a_kernel in (lambda: tryhere.HereCode().kdir, lambda: kernelcode.KernelCode(target)):
            with self.assertRaisesRegex(errors.Skip, "^the kernel of .*/build was built with clang: .*gcc") as caught:
                of_a_kernel()
            self.assertEqual(caught.exception.code, errors.SKIP)

    def test_no_image(self) -> None:
        self.file("MODULES/6.18.15+deb13-amd64/build/Makefile")
        self.assertIn("BOOT/vmlinuz-6.18.15+deb13-amd64", self.said("kdir"))

    def test_a_kernel_that_is_installed_and_does_not_run(self) -> None:
        """An update without a boot: the image on disk is another one."""
        code = tryhere.HereCode()
        for built_for, works in ((bytes(range(20)), True), (bytes(20), False)):
            kernel = types.SimpleNamespace(build_id=lambda found=built_for: found)
            with self.subTest(works), mock.patch.object(kernelcode.KernelCode, "kernel", lambda self: kernel):
                if works:
                    self.assertIs(code.kernel(), kernel)
                    continue
                with self.assertRaisesRegex(errors.Problem, "is not the kernel that runs .build id 000000000000, and "
                                                            "000102030405 runs.: boot it, or give --target"):
                    code.kernel()

    def test_build_ids(self) -> None:
        self.assertEqual(tryhere.running_build_id(), bytes(range(20)))
        self.assertEqual(notes.build_id(note(1, b"GNU", b"x") + note(3, b"Go", b"x" * 20)), b"")
        whole = note(3, b"GNU", bytes(range(20)))
        for cut in range(len(whole) - 20):
            self.assertEqual(notes.build_id(whole[:cut]), b"")

    def test_symbols_of_a_kernel_that_was_moved(self) -> None:
        text = ("0000000000000000 A fixed_percpu_data\n000000000002a000 A cpu_info\nffffffff9c000000 T _text\n"
                "ffffffff9c001230 t look\nffffffffc0400000 t late\t[pond]\n")
        self.assertEqual(tryhere.moved(text, 0xffffffff81000000).splitlines(), [
            "0000000000000000 A fixed_percpu_data", "000000000002a000 A cpu_info", "ffffffff81000000 T _text",
            "ffffffff81001230 t look"])
        with self.assertRaisesRegex(errors.Problem, "shows no addresses"):
            tryhere.moved(text.replace("ffffffff9c000000", "0000000000000000"), 0xffffffff81000000)


class BuiltBeforeTest(Scratch):
    def test_the_same_again(self) -> None:
        key = trybuilt.key("a patch", "6.18 1", "")
        for other in (("another", "6.18 1", ""), ("a patch", "6.18 2", ""), ("a patch", "6.18 1", "/src"), ("a pat", "ch6.18 1", "")):
            self.assertNotEqual(trybuilt.key(*other), key)
        self.assertEqual(trybuilt.key("a patch", "6.18 1", ""), key)
        directory = paths.ensure(self.dir / "x")
        self.assertIsNone(trybuilt.kept(directory, key))
        trybuilt.remember(directory, key, {"stock": ["ext4"]})
        self.assertIsNone(trybuilt.kept(directory, key))	# no module
        (directory / "uplift_x.ko").write_text("")
        found = trybuilt.kept(directory, key)
        assert found
        self.assertEqual(found["stock"], ["ext4"])
        self.assertIsNone(trybuilt.kept(directory, trybuilt.key("another", "6.18 1", "")))
        (directory / "built.json").write_text('{"key": "')
        self.assertIsNone(trybuilt.kept(directory, key))


    def test_a_trial_takes_it_and_compiles_nothing(self) -> None:
        code = types.SimpleNamespace(target=types.SimpleNamespace(name="9.1"), directory=self.dir / "try",
                                     kernel_id=lambda: "9.1 abc", own_source=lambda: "")
        given, options = trial.Given(pathlib.Path("x.patch"), "a patch"), argparse.Namespace(only="build", keep=None)
        first = trial.Trial(code, given, options)	# type: ignore[arg-type]
        first.outcome.functions, first.outcome.identical, first.stock = {"look": "fs/pond.c: its code changes"}, "1 of 1", ["pond"]
        module = paths.ensure(self.dir / "try/modules/x")
        (module / "uplift_x.ko").write_text("")
        self.assertFalse(first._again())
        first._remember()
        self.assertFalse(first._again())		# without uplift.ko there is nothing to load it upon
        (paths.ensure(self.dir / "try/uplift/modules/core") / "uplift.ko").write_text("")
        again = trial.Trial(code, given, options)	# type: ignore[arg-type]
        with mock.patch.object(trial.Trial, "_apply", side_effect=AssertionError("applied again")), \
             contextlib.redirect_stderr(io.StringIO()):
            out = again.run()
        self.assertEqual((out.outcome, out.functions, out.identical), ("built", first.outcome.functions, "1 of 1"))
        self.assertEqual((again.stock, again.ko, again.kos), (["pond"], module / "uplift_x.ko",
                                                              [self.dir / "try/uplift/modules/core/uplift.ko"]))


CHILD = """
import os, pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)	# ignored in what a shell has started in the background
sys.path.insert(0, {scripts!r})
from unittest import mock
from upliftlib.base import signals
from upliftlib.host import loader, undo
from upliftlib.lab import tryhere
here = pathlib.Path({here!r})
def say(*words):
    with open(here / "log", "a") as log:
        log.write(" ".join(map(str, words)) + "\\n")
def unload(name):
    say("unload", name, (here / "pond/arm").read_text().strip())
undo.ACTIONS["unload"] = unload
loader.UPLIFT = here
loader.loaded = lambda name: False
loader.debugfs = lambda back: None
def load(path):
    say("load", path.stem)
    if {fails!r} == path.stem:
        raise loader.Refused(8, ["made for another kernel"])
loader.load = load
signals.end_on_sigterm()
def main():
    status = tryhere.run({script!r}, "pond", [here / "uplift.ko"], here / "uplift_pond.ko")
    say("status", status)
    return status
signals.run_main(main)
"""


class LeavesNothingTest(Scratch):
    """A real process, with a directory in place of the kernel's."""

    def start(self, script: str, fails: str = "") -> "subprocess.Popen[str]":
        (self.dir / "pond").mkdir()
        (self.dir / "pond/arm").write_text("off\n")
        text = CHILD.format(scripts=str(SCRIPTS), here=str(self.dir), script=f"cd {self.dir}\n{script}", fails=fails)
        return subprocess.Popen([sys.executable, "-B", "-c", text], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def log(self) -> list[str]:
        return (self.dir / "log").read_text().splitlines() if (self.dir / "log").exists() else []

    def until(self, done: Any) -> None:
        end = time.monotonic() + 60
        while not done():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    GONE = ["unload uplift_pond off", "unload uplift off"]

    def test_one_that_ends(self) -> None:
        child = self.start("echo new >pond/arm; exit 17")
        child.communicate(timeout=60)
        self.assertEqual(child.returncode, 17)
        self.assertEqual(self.log(), ["load uplift", "load uplift_pond", *self.GONE, "status 17"])

    def test_a_module_that_is_refused(self) -> None:
        child = self.start("exit 0", fails="uplift_pond")
        said = child.communicate(timeout=60)[1]
        self.assertEqual(child.returncode, errors.FAIL)
        self.assertIn("the running kernel does not take the modules: ENOEXEC: made for another kernel", said)
        self.assertEqual(self.log(), ["load uplift", "load uplift_pond", *self.GONE])

    # One of its programs switches arms itself, and goes on when the shell is gone.
    LOOP = "sh -c 'echo $$ >inner; while :; do echo new >pond/arm; done' & echo $$ >outer; wait"

    def test_stopped(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number.name):
                for path in (self.dir / "pond/arm", self.dir / "log", self.dir / "inner", self.dir / "outer"):
                    path.unlink(missing_ok=True)
                if (self.dir / "pond").exists():
                    (self.dir / "pond").rmdir()
                child = self.start(self.LOOP)
                self.until(lambda: (self.dir / "inner").exists() and (self.dir / "outer").exists()
                           and (self.dir / "inner").read_text() and (self.dir / "pond/arm").read_text() == "new\n")
                child.send_signal(number)
                child.communicate(timeout=60)
                self.assertEqual(child.returncode, -9 if number == signal.SIGKILL else 130)
                self.until(lambda: len(self.log()) == 4)
                self.assertEqual(self.log()[2:], self.GONE)
                time.sleep(0.1)
                self.assertEqual((self.dir / "pond/arm").read_text(), "off")
                self.assertFalse(any(is_running((self.dir / name).read_text().strip()) for name in ("inner", "outer")))


class KernelTestsTest(Scratch):
    """The kernel's own tests: the same with the change on and off, or an error."""

    def compare(self, **arms: str) -> kerneltests.Compared:
        for arm in tryscript.ARMS:
            (self.dir / f"kernel-tests.{arm}").write_text(arms.get(arm, arms["off"]))
        return kerneltests.compare(self.dir)

    ONE = "uplift-test one\nTAP version 13\n1..2\nok 1 pond.deep\nnot ok 2 pond.wide\nuplift-status 1\n"
    TWO = "uplift-test two\n# no TAP at all\nuplift-status 0\n"

    def test_the_same(self) -> None:
        found = self.compare(off=self.ONE + self.TWO)
        self.assertEqual((found.same, found.unsteady, found.null, found.new), (["one", "two"], [], [], []))

    def test_a_result(self) -> None:
        found = self.compare(off=self.ONE + self.TWO, new=self.ONE.replace("ok 1", "not ok 1") + self.TWO)
        self.assertEqual((found.same, found.new, found.null), (["two"], ["one: test 1 (pond.deep): not ok, not ok"], []))

    def test_a_status(self) -> None:
        found = self.compare(off=self.ONE + self.TWO, null=self.ONE + self.TWO.replace("status 0", "status 139"))
        self.assertEqual((found.null, found.new), (["two: its status is 139, not 0"], []))

    def test_one_that_does_not_come_to_its_end(self) -> None:
        found = self.compare(off=self.ONE, new="uplift-test one\nok 1 pond.deep\nuplift-status 124\n")
        self.assertEqual(found.new, ["one: test 2 (pond.wide): nothing, not not ok"])

    def test_a_skip_is_no_pass(self) -> None:
        found = self.compare(off=self.ONE, new=self.ONE.replace("ok 1 pond.deep", "ok 1 pond.deep # SKIP no root"))
        self.assertEqual(found.new, ["one: test 1 (pond.deep): skip, not ok"])

    def test_one_that_varies_by_itself(self) -> None:
        found = self.compare(off=self.ONE, off_again=self.ONE.replace("not ok 2", "ok 2"), new=self.ONE.replace("ok 1", "not ok 1"))
        self.assertEqual((found.unsteady, found.new), (["one"], []))

    def test_one_that_does_not_end_with_the_change_off(self) -> None:
        """It is not run in the other arms, whose time it would take as well; in them it counts."""
        for name, text in (("one", "echo ok 1 deep"), ("never", "exec sleep 60"), ("later", "! grep -qx new pond/arm || exec sleep 60")):
            (self.dir / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.dir / name).chmod(0o755)
        (self.dir / "pond").mkdir()
        run = tryscript.Run("pond", ".", str(self.dir), str(self.dir), str(self.dir), 3, ("one", "never", "later"), limit=1)
        text = run.text()
        begin, end = text.index("ended="), text.index("echo null >$dir/arm || exit 13\n$PROGRAMS/panel_bench")
        subprocess.run(["sh", "-c", f"{run._variables()}dir={self.dir}/pond\n{text[begin:end]}"], check=True, cwd=self.dir)
        found = kerneltests.compare(self.dir)
        self.assertEqual((found.same, found.unsteady, found.null), (["one"], ["never"], []))
        self.assertRegex(found.new[0], r"^later: its status is \d+, not 0$")
        self.assertNotIn("never", (self.dir / "kernel-tests.new").read_text())

    def test_random_programs_that_differ_run_again(self) -> None:
        """What null sees the first time only is chance; the programs are made up, the script is not."""
        (self.dir / "pond").mkdir()
        count = self.dir / "count"
        body = {"syscall_bench": f'case $(cat {self.dir}/pond/arm)$(cat {count} 2>/dev/null) in null*1) ;; null*) echo 1 >>{count}; '
                                 'echo "pipe 1"; exit ;; esac\necho "pipe 0"', "random_calls": 'echo "files 7"'}
        for name, text in body.items():
            (self.dir / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.dir / name).chmod(0o755)
        run = tryscript.Run("pond", str(self.dir), "/t", str(self.dir), str(self.dir), 3)
        text = run.text()
        begin, end = text.index("seen() {"), text.index("echo null >$dir/arm || exit 13\n$PROGRAMS/panel_bench")
        subprocess.run(["sh", "-c", f"{run._variables()}dir={self.dir}/pond\n{text[begin:end]}"], check=True, cwd=self.dir)
        self.assertNotEqual((self.dir / "seen.null").read_text(), (self.dir / "seen.off").read_text())
        self.assertEqual((self.dir / "seen.null.twice").read_text(), (self.dir / "seen.off").read_text())
        self.assertFalse((self.dir / "seen.new.twice").exists())
        self.assertEqual((tryscript.differing(self.dir, "null"), tryscript.differing(self.dir, "new")), ([], []))

    def test_which_are_for_a_file(self) -> None:
        """The longest begin counts; nothing for what none is known of."""
        self.assertEqual(kerneltests.of(["mm/mincore.c"]), ["mincore/mincore_selftest.c"])
        self.assertIn("mm/map_populate.c", kerneltests.of(["mm/rmap.c"]))
        self.assertEqual(kerneltests.of(["drivers/pond/pond.c"]), [])
        found = kerneltests.of(["mm/mincore.c", "mm/rmap.c"])
        self.assertEqual(len(found), len(set(found)))

    def test_the_script_is_one_for_a_shell(self) -> None:
        run = tryscript.Run("pond", "/p", "/t", "/o", "/w it's", 3, ("one",), "echo 'x y' # a comment")
        for text in (run.text(), tryscript.Run("pond", "/p", "/t", "/o", "/w", 3, load_only=True).text()):
            self.assertEqual(subprocess.run(["sh", "-n", "-c", text], capture_output=True, text=True).stderr, "")
            self.assertNotRegex(text, r"@[A-Z]+@")
        self.assertNotIn("panel", tryscript.Run("pond", "/p", "/t", "/o", "/w", 3, load_only=True).text())


if __name__ == "__main__":
    unittest.main()
