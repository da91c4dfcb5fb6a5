# SPDX-License-Identifier: GPL-2.0-only
"""Where a report comes from: which uplift, which kernel, and what to type again."""

import argparse
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from upliftlib.base import provenance	# noqa: E402
from upliftlib.host import bench, selftest	# noqa: E402
from upliftlib.kernel import notes	# noqa: E402
from upliftlib.lab import evaluate, kernels, trial	# noqa: E402
from upliftlib.report import decision, dossier, record	# noqa: E402
from tests import dossier_data	# noqa: E402

WHO = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b",
       "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


class Uplift(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(provenance.paths, "TOP", self.place))
        for one in (provenance.version, provenance.commit):
            one.cache_clear()
            self.addCleanup(one.cache_clear)
        (self.place / "VERSION").write_text("9.8.7\n")

    def git(self, *words: str) -> str:
        return subprocess.run(["git", "-C", str(self.place), *words], check=True, text=True, capture_output=True,
                              env={**os.environ, **WHO}).stdout.strip()

    @unittest.skipUnless(shutil.which("git"), "no git here")
    def test_a_clone(self) -> None:
        self.git("init", "-q")
        self.git("add", "VERSION")
        self.git("commit", "-q", "-m", "x")
        head = self.git("rev-parse", "HEAD")
        self.assertEqual(provenance.as_data(), {"version": "9.8.7", "commit": head})
        self.assertEqual(provenance.short(), f"9.8.7 (commit {head[:12]})")
        (self.place / "VERSION").write_text("9.8.8\n")
        provenance.commit.cache_clear()
        self.assertEqual(provenance.commit(), f"{head}, {provenance.CHANGED}")

    def test_an_installed_one(self) -> None:
        (self.place / "commit").write_text("0123456789abcdef\n")
        self.assertEqual(provenance.commit(), "0123456789abcdef")

    def test_a_tarball(self) -> None:
        self.assertEqual(provenance.commit(), "")
        self.assertIn("not known", provenance.short())

    def test_a_guest(self) -> None:
        (self.place / "VERSION").unlink()
        self.assertEqual(provenance.version(), "unknown")

    def test_in_a_report(self) -> None:
        (self.place / "commit").write_text("0123456789abcdef\n")
        report = record.new(dict(dossier_data.MACHINE), "uplift bench")
        self.assertIn("By: uplift 9.8.7, commit 0123456789abcdef", " ".join(dossier.text(report).split()))


class Kernel(unittest.TestCase):
    @staticmethod
    def note(name: bytes, kind: int, value: bytes) -> bytes:
        pad = (lambda data: data + b"\0" * (-len(data) % 4))
        return struct.pack("<III", len(name), len(value), kind) + pad(name) + pad(value)

    def test_build_id(self) -> None:
        wanted = bytes(range(20))
        data = self.note(b"Linux\0", 257, b"xyz") + self.note(b"GNU\0", 1, b"1234") + self.note(b"GNU\0", 3, wanted)
        self.assertEqual(notes.build_id(data), wanted)

    def test_none(self) -> None:
        for data in (b"", b"\1", self.note(b"Linux\0", 3, b"1234"), self.note(b"GNU\0", 3, bytes(20))[:-8]):
            self.assertEqual(notes.build_id(data), b"")

    def test_in_the_dossier(self) -> None:
        data = dossier_data.bench()
        data["machine"]["build_id"] = "18349a80333ba7cd"
        text = " ".join(dossier.text(data).split())
        self.assertIn("Build id: 18349a80333ba7cd", text)
        self.assertIn("Compiler: x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0", text)


class Again(unittest.TestCase):
    def test_a_target(self) -> None:
        target = kernels.Target("6.18", "6.18.15", "6.18.15-1")
        args = argparse.Namespace(kernel=None, accel=None)
        self.assertEqual(evaluate._again(args, target), "make run TARGET=6.18")
        args.accel = "tcg"
        self.assertEqual(evaluate._again(args, target), "scripts/uplift lab evaluate 6.18 --accel tcg")

    def test_a_kernel_of_ones_own(self) -> None:
        args = argparse.Namespace(kernel="/boot/my image", modules="/m", kdir="/k", ksrc=None, accel=None)
        self.assertEqual(evaluate._again(args, kernels.Target("own", "1", "1")),
                         "scripts/uplift lab evaluate --kernel '/boot/my image' --modules /m --kdir /k")

    def test_a_bench(self) -> None:
        args = argparse.Namespace(changes=["trout"], counting=False, placebo=True, workloads=False, rounds=30, batches=50,
                                  batch_size=20, cpu=3, dir=None, tests="/t")
        self.assertEqual(bench._command(args), "uplift bench trout --placebo --rounds 30 --batches 50 --batch-size 20 --cpu 3 "
                                               "--tests /t")

    def test_a_try(self) -> None:
        args = argparse.Namespace(rounds=3, workload="ls /", kernel=None, modules=None, kdir=None, ksrc=None)
        self.assertEqual(trial._again(pathlib.Path("/x/a.patch"), args, "6.18"),
                         "scripts/uplift try /x/a.patch --target 6.18 --rounds 3 --workload 'ls /'")


class Tests(unittest.TestCase):
    def test_one_that_cannot_be_run_is_an_error(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            script = pathlib.Path(place, "trout.sh")
            change = types.SimpleNamespace(name="trout", module="uplift_trout")
            for text, mode in (("#!/nonexistent/shell\n", 0o755), ("#!/bin/sh\n", 0o644), ("#!/bin/sh\nexit 127\n", 0o755)):
                script.write_text(text)
                script.chmod(mode)
                with mock.patch("sys.stderr"):
                    found = selftest.run(change, place)	# type: ignore[arg-type]
                self.assertEqual(decision.tests(found), decision.ERROR, text)
            script.write_text("#!/bin/sh\necho TAP version 13\necho 1..1\necho not ok 1 x\nexit 1\n")
            script.chmod(0o755)
            with mock.patch("sys.stderr"):
                self.assertEqual(decision.tests(selftest.run(change, place)), decision.FAILED)	# type: ignore[arg-type]


if __name__ == "__main__":
    unittest.main()
