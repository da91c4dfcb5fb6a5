# SPDX-License-Identifier: GPL-2.0-only
"""Where people fell: words that were typed in good faith, and what came of them."""

import contextlib
import errno
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import types
import unittest
from unittest import mock

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from upliftlib.base import arguments, changes, console, errors, packages, paths	# noqa: E402
from upliftlib.host import bench	# noqa: E402
from upliftlib.kernel import bzimage	# noqa: E402
from upliftlib.lab import fetch, kernelcode, needs	# noqa: E402
from tests import dossier_data	# noqa: E402


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def make(self, *words: str, top: pathlib.Path = TOP) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["make", "-s", "-C", str(top), *words], text=True, check=False, capture_output=True)


class WrongWords(Case):
    def uplift(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-B", TOP / "scripts/uplift", *map(str, words)], text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)

    def said(self, *words: str) -> str:
        """What a parser with one subcommand says of wrong words, which is all that it says."""
        parser = arguments.Parser(prog="top")
        sub = parser.add_subparsers(metavar="COMMAND", required=True).add_parser("sub")
        sub.add_argument("number", type=int)
        sub.add_argument("--how", choices=("one", "two"))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), self.assertRaises(SystemExit) as ended:
            parser.parse_args(words)
        self.assertEqual((ended.exception.code, out.getvalue()), (errors.USAGE, ""))
        return err.getvalue()

    def test_wrong_words_are_one_line_of_the_command(self) -> None:
        for words, begins in (((), "top: the following arguments are required: COMMAND"), (("nothing",), "top: argument COMMAND"),
                              (("sub",), "top sub: the following arguments are required: number"),
                              (("sub", "1", "--what"), "top sub: unrecognized arguments: --what"),
                              (("sub", "x"), "top sub: argument number: invalid int value: 'x'"),
                              (("sub", "1", "--how", "no"), "top sub: argument --how: invalid choice: 'no'")):
            line = self.said(*words)
            self.assertRegex(line, r"\A[^\n]*; see --help\n\Z")
            self.assertTrue(line.startswith(begins), line)

    def test_every_program_says_it_so(self) -> None:
        programs = [path for path in (TOP / "scripts").iterdir() if path.is_file()]
        self.assertGreater(sum("arguments.Parser(" in path.read_text() for path in programs), 5)
        self.assertEqual([path.name for path in programs if "ArgumentParser(" in path.read_text()], [])

    def test_what_is_no_command_is_told_all_that_there_are(self) -> None:
        listed = self.uplift("--help").stdout.partition("positional arguments:")[2].partition("\n\n")[0]
        there = re.findall(r"(?m)^    ([a-z][a-z-]*)(?: .*)?$", listed)
        said = self.uplift("nothing").stderr
        self.assertIn("try", there)
        choices = said.partition("choose from")[2].partition(")")[0]	# Python 3.13 has them without quotes
        self.assertEqual(re.findall(r"[\w-]+", choices), there)

    def test_what_is_no_report(self) -> None:
        for text, why in (("", "it is empty"), ("# A title\n", "not JSON (")):
            file = self.place / "report.json"
            file.write_text(text)
            done = self.uplift("report", file)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (errors.USAGE, 1), done.stderr)
            self.assertIn(f"report.json: no report of ours: {why}", done.stderr)

    def test_words_for_a_form_that_is_not_asked_for(self) -> None:
        for words in (("--change", "trout"), ("--bug", "1"), ("--change", "trout", "--html", "-")):
            done = self.uplift("report", *words, self.place / "report.json")
            self.assertEqual((done.returncode, done.stdout), (errors.USAGE, ""))
            self.assertIn(f"uplift: {words[0]} goes with one of: --sru ", done.stderr)


class FullDisk(Case):
    def test_what_was_measured_is_kept_elsewhere(self) -> None:
        real = paths.write

        def full(path: paths.Path, text: str) -> None:
            if str(path).startswith(str(self.place / "full")):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            real(path, text)

        said = io.StringIO()
        with mock.patch.object(bench.paths, "write", full), contextlib.redirect_stderr(said), \
                mock.patch.object(bench.tempfile, "gettempdir", lambda: str(self.place)):
            where = bench._keep(self.place / "full" / "out.json", "measured\n")
        self.assertEqual((where.read_text(), where.name), ("measured\n", "out.json"))
        self.assertIn("No space left on device", said.getvalue())

    def test_the_last_resort(self) -> None:
        said = io.StringIO()
        with mock.patch.object(bench.paths, "write", side_effect=OSError(errno.ENOSPC, "full")), \
                contextlib.redirect_stderr(said):
            bench._keep(self.place / "out.json", "measured\n")
        self.assertTrue(said.getvalue().endswith("measured\n"))


class Programs(Case):
    def test_a_program_that_is_not_here_has_a_package(self) -> None:
        with mock.patch.object(packages, "_family", lambda: 0):
            try:
                subprocess.run(["depmod"], env={"PATH": str(self.place)}, check=False)
                self.fail("depmod was found in an empty directory")
            except FileNotFoundError as problem:
                self.assertEqual(errors.of_os(problem), "no program 'depmod' here: apt-get install kmod")

    def test_a_file_that_is_not_there_is_none(self) -> None:
        self.assertEqual(errors.of_os(FileNotFoundError(2, "No such file or directory", "/x/depmod")),
                         "No such file or directory: /x/depmod")

    def test_names_of_other_distributions(self) -> None:
        for family, wanted in ((0, "apt-get install xz-utils"), (1, "dnf install xz"), (2, "zypper install xz")):
            with mock.patch.object(packages, "_family", lambda family=family: family):
                self.assertEqual(packages.install(["xz"]), wanted)

    def test_an_image_without_zstd(self) -> None:
        image = bytearray(0x1000)
        image[0x202:0x206] = b"HdrS"
        image[0x1f1] = 1
        image[0x248:0x250] = (0).to_bytes(4, "little") + (64).to_bytes(4, "little")
        image[0x400:0x404] = b"\x28\xb5\x2f\xfd"
        with mock.patch.object(bzimage.shutil, "which", lambda _: None), self.assertRaisesRegex(errors.Problem, "zstd"):
            bzimage.unpack(bytes(image))

    def test_the_lab_says_what_it_takes(self) -> None:
        def fetching() -> None:
            pass

        self.assertIn("depmod", needs.programs())
        with mock.patch.object(needs.shutil, "which", lambda name: None if name in ("zstd", "apt-get") else f"/bin/{name}"), \
                mock.patch.object(packages, "_family", lambda: 1):
            with self.assertRaisesRegex(errors.Problem, "zstd: dnf install zstd; it wants a Debian"):
                needs.check(fetching)
        with mock.patch.object(needs.shutil, "which", lambda name: f"/bin/{name}"):
            needs.check(fetching)

    def test_the_lab_installs_it_as_root(self) -> None:
        def fetching() -> None:
            pass

        with mock.patch.object(needs.shutil, "which", lambda name: None if name == "zstd" else f"/bin/{name}"), \
                mock.patch.object(needs.os, "geteuid", lambda: 0), contextlib.redirect_stderr(io.StringIO()), \
                mock.patch.object(needs.subprocess, "run", return_value=types.SimpleNamespace(returncode=0)) as run:
            needs.check(fetching)
        self.assertEqual(run.call_args[0][0], [str(TOP / "scripts/setup")])


class Words(Case):
    def test_an_archive_for_a_source_tree(self) -> None:
        archive = self.place / "linux-source-6.12.tar.xz"
        archive.write_bytes(b"")
        with self.assertRaisesRegex(errors.Problem, "unpack it first"):
            fetch.unpacked("KSRC", archive)
        fetch.unpacked("KSRC", self.place)
        (self.place / "Makefile").write_text("")
        done = self.make("modules", f"KDIR={self.place}", f"KSRC={archive}")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("unpack it first (tar -xf", done.stderr)

    def test_a_blank_in_the_path(self) -> None:
        top = self.place / "my tree"
        top.mkdir()
        for name in ("Makefile", "scripts"):
            (top / name).symlink_to(TOP / name)
        kdir = self.place / "kdir"
        kdir.mkdir()
        (kdir / "Makefile").write_text("")
        done = self.make("modules", f"KDIR={kdir}", top=top)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("has a blank", done.stderr)

    def test_what_only_reads_takes_such_a_path(self) -> None:
        top = self.place / "my tree"
        shutil.copytree(TOP / "scripts", top / "scripts", ignore=shutil.ignore_patterns("tests", "__pycache__"))
        (top / "modules").symlink_to(TOP / "modules")
        (top / "report.json").write_text(json.dumps(dossier_data.counted()))
        for words, status, said in ((("report", "report.json"), 0, ""), (("layout", "check", "report.json"), 1, "report.json is neither"),
                                    (("lab", "fetch"), 2, f"the path '{top}' has characters that the kernel's build system "
                                     "cannot take (blank, colon, quote ...): move the tree")):
            done = subprocess.run([sys.executable, "-B", top / "scripts/uplift", *words], text=True, check=False, cwd=top,
                                  capture_output=True, env={**os.environ, "UPLIFT_BUILD": str(self.place)})
            self.assertEqual(done.returncode, status, (words, done.stderr))
            self.assertIn(said, done.stderr)
            self.assertEqual("characters" in done.stderr, words[0] == "lab", words)

    def test_no_warnings_are_forced_on_users(self) -> None:
        kdir = self.place / "kdir"
        kdir.mkdir()
        (kdir / "Makefile").write_text("modules:\n\t@echo W=$(W)\n")
        self.assertEqual(self.make("modules", f"KDIR={kdir}").stdout.split()[-1:], ["W="])
        self.assertEqual(self.make("modules", f"KDIR={kdir}", "W=1").stdout.split()[-1:], ["W=1"])


class Signals(Case):
    def ended_by(self, number: int) -> tuple[int, str]:
        script = textwrap.dedent(f"""
            import signal, sys, time
            sys.path.insert(0, {str(TOP / 'scripts')!r})
            from upliftlib.base import signals
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signals.end_on_sigterm()
            def main():
                print("ready", flush=True)
                time.sleep(60)
            signals.run_main(main)
            """)
        child = subprocess.Popen([sys.executable, "-B", "-c", script], text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        assert child.stdout
        child.stdout.readline()
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
        return child.returncode, said

    def test_each_by_its_name(self) -> None:
        for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")):
            code, said = self.ended_by(number)
            self.assertEqual(code, 130)
            self.assertIn(f"stopped by {name};", said)


class Terminal(Case):
    def test_a_locale_without_boxes(self) -> None:
        for environment, wanted in (({"LC_ALL": "C"}, False), ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, False),
                                    ({"LANG": "C"}, False), ({"LC_ALL": "C.UTF-8"}, True), ({"LANG": "de_DE.UTF-8"}, True)):
            with mock.patch.dict(os.environ, environment, clear=True), \
                    mock.patch.object(console.sys, "stdout", types.SimpleNamespace(encoding="utf-8")):
                self.assertEqual(console.draws(), wanted, environment)

    def test_the_inspector_in_it(self) -> None:
        for name, boxes in (("C", False), ("C.UTF-8", True)):
            done = subprocess.run([sys.executable, "-B", str(TOP / "scripts/uplift"), changes.inspector().name], check=False, capture_output=True,
                                  env={"PATH": os.environ["PATH"], "LC_ALL": name})
            if not done.stdout:
                self.skipTest("no caches can be seen on this machine")
            self.assertEqual(all(byte < 128 for byte in done.stdout), not boxes, name)

    def test_long_work_is_seen_to_go_on(self) -> None:
        said = io.StringIO()
        with mock.patch.object(console.waiting, "EVERY", 0.01), contextlib.redirect_stderr(said):
            with console.waiting("the guest") as one:
                for _ in range(1000):
                    if said.getvalue():
                        break
                    one.over.wait(0.01)
        self.assertIn("the guest: still under way", said.getvalue())


class Moved(Case):
    def test_links_to_where_the_tree_was_are_made_anew(self) -> None:
        old, new = self.place / "old", self.place / "new"
        for top in (old, new):
            (top / "fs").mkdir(parents=True)
            (top / "fs/x.c").write_text("x\n")
            (top / "fs/y.h").write_text("y\n")
        code = kernelcode.KernelCode.__new__(kernelcode.KernelCode)
        code.ksrc = old
        code.overlay(self.place / "root", {}, ["fs/x.c"])
        self.assertTrue((self.place / "root/fs/y.h").exists())
        (old / "fs/y.h").unlink()
        code.ksrc = new
        self.assertFalse((self.place / "root/fs/y.h").exists())
        code.overlay(self.place / "root", {}, ["fs/x.c"])
        self.assertEqual((self.place / "root/fs/y.h").read_text(), "y\n")


if __name__ == "__main__":
    unittest.main()
