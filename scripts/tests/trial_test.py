# SPDX-License-Identifier: GPL-2.0-only
"""`uplift try` as a user meets it: bad words, patches that are refused, output that cannot be written, interruptions.

No kernel is compiled here: what stands for the target's code makes objects with the compiler at hand, or none.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import difflib
import gzip
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
from typing import Any
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import architectures, errors, paths	# noqa: E402
from upliftlib.generator import compiling	# noqa: E402
from upliftlib.generator.objects import Refused	# noqa: E402
from upliftlib.lab import kernelcode, trial	# noqa: E402
from tests import objects_test	# noqa: E402

SOURCE = "".join(f"line {number}\n" for number in range(1, 40))


def diff(before: str, after: str, path: str = "fs/pond.c") -> str:
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}"))


GOOD = diff(SOURCE, SOURCE.replace("line 7\n", "LINE 7\n"))


class Code:
    """Stands for a target's code: one file, of which nothing can be compiled."""

    target = types.SimpleNamespace(name="9.1", arch=architectures.X86_64)

    def __init__(self, *_: object) -> None:
        self.directory = paths.BUILD / "try"

    def read(self, path: str) -> str | None:
        return SOURCE if path == "fs/pond.c" else None


class Scratch(unittest.TestCase):
    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)
        patcher = mock.patch.object(paths, "BUILD", self.dir / "build")
        patcher.start()
        self.addCleanup(patcher.stop)

    def file(self, data: str | bytes, name: str = "x.patch") -> pathlib.Path:
        path = self.dir / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path


class WordsTest(Scratch):
    """What is wrong with the words is said in one line, with status 2, before anything is done."""

    def said(self, *words: object) -> str:
        parser = argparse.ArgumentParser()
        trial.register(parser.add_subparsers())
        args = parser.parse_args(["try", *map(str, words)])
        with self.assertRaises(errors.Problem) as caught:
            args.func(args)
        self.assertEqual(caught.exception.code, errors.USAGE)
        said = str(caught.exception)
        self.assertNotIn("\n", said)
        self.assertFalse((self.dir / "build").exists())
        return said

    def test_as_a_command(self) -> None:
        done = subprocess.run([sys.executable, "-B", str(SCRIPTS / "uplift"), "try", str(self.file("hello\n"))], text=True,
                              capture_output=True, env=dict(os.environ, UPLIFT_BUILD=str(self.dir / "build")), timeout=120)
        self.assertEqual((done.returncode, done.stdout), (errors.USAGE, ""), done.stderr)
        self.assertEqual(done.stderr, "uplift: x.patch: no unified diff in it: git format-patch, git diff or diff -u make one\n")

    def test_no_such_file(self) -> None:
        self.assertEqual(self.said(self.dir / "none.patch"), f"{self.dir}/none.patch: No such file or directory")

    def test_a_directory(self) -> None:
        self.assertIn(": Is a directory", self.said(self.dir))

    def test_nothing_in_it(self) -> None:
        for data in ("", "\n \n"):
            self.assertIn("x.patch: empty", self.said(self.file(data)))

    def test_another_text(self) -> None:
        self.assertIn("no unified diff in it: git format-patch, git diff or diff -u make one", self.said(self.file("hello\n")))

    def test_a_patch_that_ends_too_early(self) -> None:
        self.assertIn("fs/pond.c: hunk 1 is cut off", self.said(self.file("\n".join(GOOD.splitlines()[:6]))))

    def test_compressed(self) -> None:
        self.assertIn("unpack it first (gzip -d)", self.said(self.file(gzip.compress(GOOD.encode()))))
        self.assertIn("unpack it first (bzip2 -d)", self.said(self.file(bz2.compress(GOOD.encode()))))

    def test_bytes(self) -> None:
        self.assertIn("no text, so no patch", self.said(self.file(b"\x7fELF\2\1\1\0\0")))

    def test_files_outside_of_the_source(self) -> None:
        for path in ("/etc/pond.h", "../../etc/pond.h"):
            text = GOOD.replace("a/fs/pond.c", "/dev/null").replace("b/fs/pond.c", path)
            self.assertIn("names its files from the top of the source", self.said(self.file(text)))

    def test_a_bad_one_among_good_ones(self) -> None:
        self.assertIn("y.patch: empty", self.said(self.file(GOOD), self.file("", "y.patch")))

    def test_two_of_one_name(self) -> None:
        (self.dir / "other").mkdir()
        self.assertIn("would both be called x: give one of them another name",
                      self.said(self.file(GOOD), self.file(GOOD, "other/x.diff")))

    def test_an_unknown_target(self) -> None:
        if os.geteuid():
            self.skipTest("needs root")
        self.assertIn("no target 'pond'; there are: 6.1", self.said(self.file(GOOD), "--target", "pond"))

    def test_rounds(self) -> None:
        self.assertIn("--rounds: two at least", self.said(self.file(GOOD), "--rounds", 1))

    def test_a_base_without_a_clone(self) -> None:
        self.assertEqual(self.said(self.file(GOOD), "--base", "v6.18"), "--base goes with --git")

    def test_a_word_that_is_empty(self) -> None:
        """"$TARGET", where it is not set, is not the running kernel."""
        for option in ("--target", "--kernel", "--modules", "--kdir", "--ksrc", "--workload", "--keep", "--git"):
            for word in ("", " "):
                self.assertEqual(self.said(self.file(GOOD), option, word), f"{option}: a word is wanted, not '{word}'")
        self.assertEqual(self.said(""), "PATCH: a word is wanted, not ''")

    def test_words_that_no_report_could_repeat(self) -> None:
        word = os.fsdecode(b"x\xff")
        self.assertIn("it is not UTF-8", self.said(self.file(GOOD, f"{word}.patch")))
        for option in ("--workload", "--keep"):
            self.assertRegex(self.said(self.file(GOOD), option, word), f"^{option} .*: it is not UTF-8")

    def test_a_workload_that_no_shell_reads(self) -> None:
        for command in ("echo 'x", "true )", "if true"):
            self.assertIn("--workload: no command of a shell", self.said(self.file(GOOD), "--workload", command))

    def test_a_source_whose_path_make_cannot_take(self) -> None:
        self.assertIn("characters that the kernel's build system cannot take", self.said(self.file(GOOD), "--ksrc", "/a b"))

    def test_keep_where_a_file_is(self) -> None:
        self.assertIn(f"--keep {self.dir}/y: ", self.said(self.file(GOOD), "--keep", self.file("", "y")))

    def test_keep_does_not_replace_what_is_not_its_own(self) -> None:
        (self.dir / "kept/x").mkdir(parents=True)
        self.file("mine", "kept/x/thesis.tex")
        self.assertIn("has files that are not of a former try (thesis.tex)",
                      self.said(self.file(GOOD), "--keep", self.dir / "kept"))
        self.assertEqual((self.dir / "kept/x/thesis.tex").read_text(), "mine")

    def test_keep_where_nothing_may_be_written(self) -> None:
        if not pathlib.Path("/proc/self").exists():
            self.skipTest("no /proc")
        self.assertIn("--keep /proc/self: ", self.said(self.file(GOOD), "--keep", "/proc/self"))


class Tried(Scratch):
    """Patches on a target that stands for one."""

    def args(self, *files: pathlib.Path, **more: Any) -> argparse.Namespace:
        given: dict[str, Any] = {"patch": [str(file) for file in files], "only": "apply", "json": True, "keep": None,
                                 "rounds": 3, "workload": None, "kdir": None, "ksrc": None}
        return argparse.Namespace(**(given | more))

    def tried(self, *files: pathlib.Path, **more: Any) -> tuple[int, Any]:
        out = io.StringIO()
        with mock.patch.object(trial, "code_of", return_value=Code()), \
             contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            status = trial._try(self.args(*files, **more))
        return status, json.loads(out.getvalue())

    def refused(self, text: str) -> str:
        status, found = self.tried(self.file(text))
        self.assertEqual((status, found["outcome"]), (errors.SKIP, "refused"), found)
        self.assertNotIn("\n", found["reason"])
        return str(found["reason"])


class OutcomesTest(Tried):
    def test_one_that_applies(self) -> None:
        status, found = self.tried(self.file(GOOD))
        self.assertEqual((status, found["outcome"], found["target"], found["name"]), (0, "applies", "9.1", "x"))

    def test_lines_that_end_as_on_other_systems(self) -> None:
        self.assertEqual(self.tried(self.file(GOOD.replace("\n", "\r\n")))[1]["outcome"], "applies")

    def test_a_path_with_blanks(self) -> None:
        status, found = self.tried(self.file(GOOD, "my first patch.patch"))
        self.assertEqual((status, found["outcome"], found["name"]), (0, "applies", "my_first_patch"))

    def test_out_of_a_pipe(self) -> None:
        """<(git show ...): it can be read once only."""
        reader, writer = os.pipe()
        with open(writer, "w") as file:
            file.write(GOOD)
        with open(reader, "rb"):
            self.assertEqual(self.tried(pathlib.Path(f"/dev/fd/{reader}"))[1]["outcome"], "applies")

    def test_a_title_in_another_encoding(self) -> None:
        text = b"Subject: [PATCH] pond: f\xfcr B\xe4ume\n\n" + GOOD.encode()
        found = self.tried(self.file(text))[1]
        self.assertEqual(found["outcome"], "applies")
        found["title"].encode()

    def test_a_file_that_the_target_lacks(self) -> None:
        self.assertEqual(self.refused(GOOD.replace("fs/pond.c", "fs/lake.c")), "fs/lake.c: this kernel does not have this file")

    def test_a_hunk_that_does_not_apply(self) -> None:
        self.assertEqual(self.refused(GOOD.replace("-line 7", "-line seven")),
                         "fs/pond.c: hunk 1 does not apply: line 7 is 'line 7', not 'line seven'")

    def test_a_binary_file(self) -> None:
        self.assertRegex(self.refused(GOOD + "diff --git a/x b/x\nGIT binary patch\nliteral 3\nKcma\n"), "a binary file is changed")

    def test_code_of_another_machine(self) -> None:
        text = GOOD.replace("fs/pond.c", "arch/arm64/kernel/pond.c")
        self.assertEqual(self.refused(text), "arch/arm64/kernel/pond.c is changed: code of another architecture only, and this "
                                             "kernel is for x86_64")
        self.assertEqual(self.tried(self.file(text + GOOD))[1]["outcome"], "applies")

    def test_native(self) -> None:
        status, found = self.tried(self.file(diff(SOURCE.replace("line 7\n", "LINE 7\n"), SOURCE)))
        self.assertEqual((status, found["outcome"]), (errors.SKIP, "native"))

    def test_one_that_is_refused_stops_no_other(self) -> None:
        status, found = self.tried(self.file(GOOD.replace("fs/", "no/"), "a.patch"), self.file(GOOD, "b.patch"))
        self.assertEqual((status, [one["outcome"] for one in found]), (errors.SKIP, ["refused", "applies"]))

    def test_one_that_fails_stops_no_other(self) -> None:
        def run(self: trial.Trial) -> None:
            if self.path.name == "a.patch":
                raise errors.Problem("make is broken\nits log")
            self.outcome.outcome = trial.ARMED

        with mock.patch.object(trial.Trial, "_run", run):
            status, found = self.tried(self.file(GOOD, "a.patch"), self.file(GOOD, "b.patch"))
        self.assertEqual((status, [one["outcome"] for one in found]), (errors.FAIL, ["failed", "armed"]))
        self.assertEqual(found[0]["reason"], "make is broken")


CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)	# ignored in what a shell has started in the background
sys.path.insert(0, {scripts!r})
from tests import trial_test
from unittest import mock
from upliftlib.base import signals
from upliftlib.lab import trial
import argparse, pathlib, subprocess
signals.end_on_sigterm()
class Code(trial_test.Code):
    def read(self, path):
        {reading}
        return super().read(path)
trial.code_of = lambda args: Code()
args = argparse.Namespace(patch=[{patch!r}], only="apply", json=True, keep=None, rounds=3, workload=None, kdir=None, ksrc=None)
signals.run_main(trial._try, args)
"""


def is_running(pid: str) -> bool:
    """It may have ended and not been waited for: its parent is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class StreamsTest(Scratch):
    """A real process: its streams, its signals."""

    def start(self, stdout: Any, reading: str = "pass") -> "subprocess.Popen[str]":
        program = CHILD.format(scripts=str(SCRIPTS), patch=str(self.file(GOOD)), reading=reading)
        return subprocess.Popen([sys.executable, "-B", "-c", program], stdout=stdout, stderr=subprocess.PIPE, text=True,
                                start_new_session=True, env=dict(os.environ, UPLIFT_BUILD=str(self.dir / "build")))

    def last(self, child: "subprocess.Popen[str]") -> tuple[int, str]:
        said = child.communicate(timeout=60)[1]
        self.assertNotIn("Traceback", said)
        return child.returncode, (said.splitlines() or [""])[-1]

    def left(self, pids: list[str]) -> list[str]:
        """Those that do not end. One that was killed closes its files, which is seen, before it counts as dead."""
        end = time.monotonic() + 30
        while (running := [one for one in pids if is_running(one)]) and time.monotonic() < end:
            time.sleep(0.02)
        return running

    def test_a_reader_that_went_away(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as closed:
            self.assertEqual(self.last(self.start(closed))[0], 141)

    def test_a_full_disk(self) -> None:
        if not pathlib.Path("/dev/full").exists():
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            status, line = self.last(self.start(full))
        self.assertEqual(status, errors.FAIL)
        self.assertIn("No space left on device", line)

    def test_stopped(self) -> None:
        """In the middle of work, which a child of ours does: it goes with us."""
        for number, send in ((signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)):	# a terminal sends it to all
            child = self.start(subprocess.DEVNULL, "subprocess.run(['sleep', '417'])")
            with self.subTest(number.name):
                own = pathlib.Path(f"/proc/{child.pid}/task/{child.pid}/children")
                end = time.monotonic() + 30
                while not own.read_text() and time.monotonic() < end:
                    time.sleep(0.02)
                below = own.read_text().split()
                self.assertTrue(below)
                send(child.pid, number)
                self.assertEqual(self.last(child), (130, "uplift: stopped by "
                                                    f"{'SIGTERM' if number == signal.SIGTERM else 'Ctrl-C'}; what was "
                                                    "finished is kept, type the same again to go on"))
                self.assertEqual(self.left(below), [])


class TogetherTest(Tried):
    """Two at once."""

    def run_two(self, one: str, two: str) -> list[str]:
        seen: list[str] = []
        both = threading.Barrier(2)

        def run(self: trial.Trial) -> None:
            seen.append(f"begin {self.path.name}")
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(timeout=1)
            seen.append(f"end {self.path.name}")

        with mock.patch.object(trial.Trial, "_run", run), contextlib.redirect_stderr(io.StringIO()):
            threads = [threading.Thread(target=trial.Trial(Code(), trial.Given(pathlib.Path(name), GOOD), self.args()).run)	# type: ignore[arg-type]
                       for name in (one, two)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return [line.split()[0] for line in seen]

    def test_of_one_name_one_after_the_other(self) -> None:
        self.assertEqual(self.run_two("x.patch", "x.diff"), ["begin", "end", "begin", "end"])

    def test_of_two_names_at_once(self) -> None:
        self.assertEqual(self.run_two("x.patch", "y.patch"), ["begin", "begin", "end", "end"])


class Stop(Exception):
    """Stands for Ctrl-C."""


class LeftTest(Scratch):
    """What an interruption leaves is not taken for finished."""

    def code(self) -> kernelcode.KernelCode:
        code = kernelcode.KernelCode.__new__(kernelcode.KernelCode)
        code.release, code.directory = "9.1-amd64", paths.ensure(self.dir / "build/try/9.1-amd64")
        code.kdir = code.ksrc = self.dir
        code.target = types.SimpleNamespace(name="9.1", arch=architectures.X86_64, version="9.1-1", vmlinuz=self.dir / "vmlinuz")	# type: ignore[assignment]
        return code

    def test_uplift_ko(self) -> None:
        code, built = self.code(), []

        def stopped(directory: pathlib.Path, words: list[str]) -> None:
            (directory / "bind.o").write_text("half")
            raise Stop

        def whole(directory: pathlib.Path, words: list[str]) -> None:
            self.assertFalse((directory / "bind.o").exists())
            self.assertEqual((directory / "bind.c").read_bytes(), (paths.TOP / "modules/core/bind.c").read_bytes())
            built.append(directory)

        with mock.patch.object(code, "_modules", whole):
            code.core()
            code.core()
            self.assertEqual(len(built), 1)
        (code.directory / "uplift/built").write_text("of other sources")
        with mock.patch.object(code, "_modules", stopped), self.assertRaises(Stop):
            code.core()
        with mock.patch.object(code, "_modules", whole):
            code.core()
            self.assertEqual(len(built), 2)

    def test_objects_of_the_unchanged_source(self) -> None:
        code = self.code()
        (self.dir / "fs").mkdir()
        for path in ("fs/pond.c", "Kbuild"):
            self.file("", path)
        root = code.directory / "base"

        def compile(tree: pathlib.Path, files: list[str], fails: str = "") -> list[kernelcode.Built]:
            obj = tree / "fs/pond.o"
            obj.write_text("half" if fails else "whole")
            (obj.parent / ".pond.o.cmd").write_text("gcc -DKBUILD_MODNAME='\"pond\"' -DMODULE")
            if fails:
                raise Stop
            return [kernelcode.Built("fs/pond.c", obj)]

        with mock.patch.object(kernelcode.kmod, "compiler", return_value="gcc"), mock.patch.object(code, "_sources", return_value=[]):
            with mock.patch.object(code, "compile", lambda tree, files: compile(tree, files, "yes")), self.assertRaises(Stop):
                code.unchanged(["fs/pond.c"])
            self.assertTrue((root / "fs/pond.o").exists())
            with mock.patch.object(code, "compile", compile), \
                 mock.patch.object(kernelcode.shutil, "copy", side_effect=Stop), self.assertRaises(Stop):
                code.unchanged(["fs/pond.c"])
            with mock.patch.object(code, "compile", compile):
                found, = code.unchanged(["fs/pond.c"])
            self.assertEqual(found.read_text(), "whole")
            self.assertEqual(code.module_of("fs/pond.c"), "pond")
            with mock.patch.object(code, "compile", side_effect=AssertionError("compiled again")):
                self.assertEqual(code.unchanged(["fs/pond.c"]), [found])

    def test_the_kernel_s_own_file_names(self) -> None:
        """__FILE__ does not name the tree that a file happens to be compiled in, wherever make starts the compiler."""
        code, said = self.code(), []

        def output(argv: list[str], **_: object) -> tuple[int, str]:
            said.extend(argv)
            return 0, ""

        root = self.dir / "trees/x"
        paths.ensure(root / "fs")
        self.file("", "Makefile")
        with mock.patch.object(kernelcode.buildroot, "output", output), \
             mock.patch.object(kernelcode.kmod, "compiler", return_value="gcc"), \
             mock.patch.object(kernelcode.kmod, "make_words", return_value=[]), mock.patch.object(kernelcode.kmod, "_binds", return_value=[]):
            code._make(root, pathlib.Path("fs"), ["fs/pond.c"], False)
        flags = next(word for word in said if word.startswith("KCFLAGS=")).removeprefix("KCFLAGS=").split()
        flags = [flag for flag in flags if flag.startswith("-fmacro-prefix-map=")]
        for name in (f"{root}/fs/pond.c", "pond.c"):
            done = subprocess.run([objects_test.compiler(), "-E", "-P", *flags, "-x", "c", "-"], capture_output=True, text=True,
                                  input=f'#line 1 "{name}"\n__FILE__\n', check=True)
            self.assertEqual(done.stdout.strip(), '"fs/pond.c"')

    def test_paths_in_what_the_compiler_said(self) -> None:
        code = self.code()
        with mock.patch.object(code, "_sources", return_value=[pathlib.Path("/usr/src/common"), pathlib.Path("/src")]):
            self.assertEqual(code.shown("/tmp/tree/fs/a.c:1:2: error: x (/usr/src/common/include/b.h, /src/c.h)",
                                        pathlib.Path("/tmp/tree")), "fs/a.c:1:2: error: x (include/b.h, c.h)")

    def test_symbols(self) -> None:
        code = self.code()
        self.file("one", "vmlinuz")
        text = "ffffffff81000000 T _text\n"
        with mock.patch.object(kernelcode, "Kernel", lambda image, symbols: symbols), \
             mock.patch.object(kernelcode.imagecheck, "vmlinux_of", return_value=b"elf"):
            with mock.patch.object(kernelcode, "_listed", return_value=text):
                self.assertEqual(code.kernel(), {"_text": [0xffffffff81000000]})
            self.file("two of them", "vmlinuz")
            for _ in range(2):	# the former kernel's are not taken for the new one's
                with mock.patch.object(kernelcode, "_listed", side_effect=Stop), self.assertRaises(Stop):
                    code.kernel()
            with mock.patch.object(kernelcode, "_listed", return_value=text.replace("81", "82")):
                self.assertEqual(code.kernel(), {"_text": [0xffffffff82000000]})

    def test_keep(self) -> None:
        """At whichever file it is stopped: there is the former one, or the new one, and nothing beside it."""
        made = self.dir / "made"
        made.mkdir()
        names = {"main.c", "null.S", "Kbuild", "uplift_x.ko"}
        for name in (*names, "uplift_x.mod.c", "main.o"):
            self.file("new", f"made/{name}")
        options = argparse.Namespace(keep=str(self.dir / "kept"))
        one = trial.Trial(Code(), trial.Given(pathlib.Path("x.patch"), GOOD), options)	# type: ignore[arg-type]
        kept = self.dir / "kept/x"
        for former in (False, True):
            for number in range(len(names)):
                effects: list[Any] = [mock.DEFAULT] * number + [Stop]
                with mock.patch.object(trial.shutil, "copy2", side_effect=effects), self.assertRaises(Stop):
                    one._keep(made)
                self.assertEqual(kept.exists(), former)
                self.assertEqual([path.name for path in kept.parent.iterdir()], ["x"] if former else [])
            one._keep(made)
            self.assertEqual({path.name for path in kept.iterdir()}, names)


class Compiled(Code):
    """Stands for a target's code that the compiler at hand makes objects of."""

    SOURCES = {
        "include/linux/pond.h": "struct pond { int depth; char *name; };\nstatic inline int twice(int x) { return 2 * x; }\n",
        "fs/pond.c": "#include <linux/pond.h>\nextern int out(int);\nint deepest = 3;\n"
                     "int look(struct pond *pond) { return out(pond->depth) + deepest; }\n"
                     "int pair(int x) { return twice(out(x)); }\n"
                     "__attribute__((no_instrument_function)) int quiet(int x) { return out(x) + 4; }\n"
                     "__attribute__((section(\".init.text\"))) int begin(int x) { return out(x) + 5; }\n",
        "fs/lake.c": "#include <linux/pond.h>\nextern int out(int);\nint lake(int x) { return out(x) + 1; }\n",
    }

    def read(self, path: str) -> str | None:
        return self.SOURCES.get(path)

    def whole(self, path: str) -> str:
        return path

    def unchanged(self, files: list[str]) -> list[pathlib.Path]:
        root = self.directory / "base"
        self.overlay(root, {}, files)
        return [built.obj for built in self.compile(root, files)]

    def overlay(self, root: pathlib.Path, changed: dict[str, str], files: list[str]) -> None:
        for path, text in (self.SOURCES | changed).items():
            paths.ensure((root / path).parent)
            (root / path).write_text(text)

    def shown(self, text: str, tree: pathlib.Path) -> str:
        return text.replace(f"{tree}/", "")

    def kernel_of(self, path: str) -> types.SimpleNamespace:
        """It is configured without fs/lake.c."""
        return self.kernel()

    @staticmethod
    def kernel() -> types.SimpleNamespace:
        return types.SimpleNamespace(symbols={"look": [1], "pair": [2], "begin": [3]})

    @property
    def ksrc(self) -> pathlib.Path:
        return self.directory / "source"

    def compile(self, root: pathlib.Path, files: list[str], includes: bool = False) -> list[kernelcode.Built]:
        found = []
        for path in files:
            obj = (root / path).with_suffix(".o")
            done = subprocess.run(["gcc", *objects_test.FLAGS, "-gbtf", f"-I{root}/include", "-c", "-o", obj, root / path],
                                  capture_output=True, text=True)
            said = [line for line in done.stderr.splitlines() if " error: " in line]
            found.append(kernelcode.Built(path, obj, said[0] if said else ""))
        return found


class RefusedTest(Tried):
    """Each reason in one line that names the symbol, from the patch on."""

    def setUp(self) -> None:
        super().setUp()
        objects_test.compiler()

    def pieces(self, *changes: tuple[str, str, str]) -> list[trial.Piece]:
        text = "".join(diff(Compiled.SOURCES[path], Compiled.SOURCES[path].replace(before, after), path)
                       for path, before, after in changes)
        one = trial.Trial(Compiled(), trial.Given(pathlib.Path("x.patch"), text), argparse.Namespace())	# type: ignore[arg-type]
        with contextlib.redirect_stderr(io.StringIO()), \
             mock.patch.object(one, "_users", lambda header, text: ["fs/pond.c", "fs/lake.c"]):
            return one._compare(one._apply()[1])

    def why(self, before: str, after: str, path: str = "fs/pond.c") -> str:
        with self.assertRaises(Refused) as caught:
            self.pieces((path, before, after))
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_no_other_code(self) -> None:
        wanted = "it changes nothing here: the compiler makes the same code of it"
        self.assertEqual(self.why("int pair", "/* two */\nint pair"), wanted)
        self.assertEqual(self.why("out(x) + 4", "4 + out(x)"), wanted)
        self.assertEqual(self.why("2 * x", "x * 2", "include/linux/pond.h"), wanted)

    def test_a_file_that_the_kernel_is_configured_without(self) -> None:
        """More than that the compiler makes the same of it, as all in it may be behind #ifdef."""
        self.assertEqual(self.why("out(x) + 1", "1 + out(x)", "fs/lake.c"),
                         "this kernel is configured without fs/lake.c: it has none of its functions")

    def test_nothing_calls_it(self) -> None:
        self.assertEqual(self.why("int pair", "int three(int x) { return out(x) * 3; }\nint pair"),
                         "it only adds functions that nothing in this kernel calls")

    def test_the_layout_of_a_struct(self) -> None:
        for before, after, member in (("char *name;", "char *name; int wide;", "wide"), ("int depth", "short depth", "depth")):
            self.assertEqual(self.why(before, after, "include/linux/pond.h"),
                             f"the layout of struct pond changes (member {member})")

    def test_the_layout_of_a_struct_that_all_headers_use(self) -> None:
        """It is the reason, and not that so much uses the struct."""
        code, header = Compiled(), "include/linux/pond.h"
        lines = code.SOURCES[header].replace("{ int depth; char *name; }", "{\n\tint depth;\n\tchar *name;\n}")
        self.enterContext(mock.patch.dict(Compiled.SOURCES, {header: lines}))
        for path in ("fs/lake.c", "fs/pond.c"):
            paths.ensure((code.ksrc / path).parent)
            (code.ksrc / path).write_text(code.SOURCES[path])
        for before, after, why in (("char *name;", "char *name; int wide;", r"the layout of struct pond changes \(member wide\)"),
                                   ("int depth", "int  depth", "too many"), ("2 * x", "3 * x", "too many")):
            text = diff(code.SOURCES[header], code.SOURCES[header].replace(before, after), header)
            one = trial.Trial(code, trial.Given(pathlib.Path("x.patch"), text), argparse.Namespace())	# type: ignore[arg-type]
            with self.subTest(after), mock.patch.object(one, "_users", side_effect=Refused("too many")), \
                 contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(Refused, f"^{why}$"):
                one._compare(one._apply()[1])

    def test_an_initial_value(self) -> None:
        self.assertIn("it changes the initial value of deepest", self.why("deepest = 3", "deepest = 4"))

    def test_init_code(self) -> None:
        self.assertEqual(self.why("out(x) + 5", "out(x) + 6"), "begin() changes, which is init code and has run already")

    def test_code_that_is_not_traced(self) -> None:
        self.assertEqual(self.why("out(x) + 4", "out(x) + 6"),
                         "quiet() changes, which cannot be traced (notrace, or too early)")

    def test_lines_that_shift_are_no_change(self) -> None:
        more = "\nint where(int x)\n{\n\treturn out(__LINE__);\n}\n"
        with mock.patch.dict(Compiled.SOURCES, {"fs/pond.c": Compiled.SOURCES["fs/pond.c"] + "void gap(void)\n{\n}\n" + more}):
            pieces = self.pieces(("fs/pond.c", "{ return out(pond->depth)", "{\n\n\treturn 1 + out(pond->depth)"))
        self.assertEqual([list(piece.plan.entries) for piece in pieces], [["look"]])

    def test_a_prerequisite_that_is_missing(self) -> None:
        why = self.why("out(pond->depth)", "out(pond->width)")
        self.assertIn("fs/pond.c does not compile with the patch: ", why)
        self.assertIn("has no member named", why)
        self.assertNotIn(str(self.dir), why)

    def test_a_header_is_its_users(self) -> None:
        pieces = self.pieces(("include/linux/pond.h", "2 * x", "3 * x"))
        self.assertEqual([(piece.path, list(piece.plan.entries)) for piece in pieces], [("fs/pond.c", ["pair"])])

    def test_a_function_of_one_file_that_another_calls(self) -> None:
        pieces = self.pieces(("fs/pond.c", "int pair", "int deep(int x) { return out(x) * 3; }\nint pair"),
                             ("fs/lake.c", "int lake(int x) { return out(x) + 1", "int deep(int x);\nint lake(int x) { return deep(x) + 1"))
        self.assertEqual([(piece.path, list(piece.plan.entries)) for piece in pieces],
                         [("fs/pond.c", []), ("fs/lake.c", ["lake"])])
        self.assertEqual([symbol.name for symbol in trial.given_to_others(pieces[0], pieces)], ["deep"])
        self.assertEqual(trial.given_to_others(pieces[1], pieces), [])


class MakeTest(Scratch):
    """Which Makefile makes an object, and what is told of one that is not made."""

    def test_where_a_file_is_made(self) -> None:
        for path, text in (("fs/Makefile", "obj-y += pond.o deep/lake.o\n"), ("fs/deep/notes", ""),
                           ("arch/x86/kernel/Makefile", "obj-y := process_$(BITS).o head$(BITS).o other.o\n")):
            paths.ensure((self.dir / path).parent)
            self.file(text, path)
        tree = compiling.SourceTree(self.dir)
        for file, where in (("fs/pond.c", "fs"), ("fs/deep/lake.c", "fs"), ("arch/x86/kernel/process_64.c", "arch/x86/kernel"),
                            ("arch/x86/kernel/head64.c", "arch/x86/kernel")):
            self.assertEqual(tree.made_in(file), pathlib.Path(where))
        for file in ("fs/and.c", "arch/x86/kernel/process_32.c", "arch/x86/kernel/64.c"):
            with self.assertRaisesRegex(Refused, f"^{file}: no Makefile of its directories makes an object of it$"):
                tree.made_in(file)

    def test_why_it_is_not_made(self) -> None:
        make = "make[2]: *** No rule to make target '/k/lib/Makefile'.\nmake[1]: *** [/k/Makefile:8: fs] Error 2\nmake: *** [x] Error 2\n"
        self.assertEqual(compiling.reason(f"make: Entering directory '/k'\n{make}make: Leaving directory '/k'\n", "fs/pond.c"),
                         "No rule to make target '/k/lib/Makefile'.")
        self.assertEqual(compiling.reason(f"fs/pond.c:3:4: error: no\n{make}", "fs/pond.c"), "fs/pond.c:3:4: error: no")
        self.assertEqual(compiling.reason("", "fs/pond.c"), "make gave no reason")


class FilesTest(Scratch):
    """Which of a target's files are compiled."""

    def test_too_many_for_a_header(self) -> None:
        one = trial.Trial(Code(), trial.Given(pathlib.Path("x.patch"), GOOD), argparse.Namespace())	# type: ignore[arg-type]
        with mock.patch.object(one, "_users", return_value=[f"fs/{number}.c" for number in range(99)]), \
             self.assertRaisesRegex(Refused, "99 files would have to be compiled for its headers, more than 48"):
            one._files({"include/linux/pond.h": ""})

    def test_nothing_uses_it(self) -> None:
        one = trial.Trial(Code(), trial.Given(pathlib.Path("x.patch"), GOOD), argparse.Namespace())	# type: ignore[arg-type]
        with mock.patch.object(one, "_users", return_value=[]), \
             self.assertRaisesRegex(Refused, "no file of this kernel uses what changes in them"):
            one._files({"include/linux/pond.h": ""})


if __name__ == "__main__":
    unittest.main()
