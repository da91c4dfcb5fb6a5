# SPDX-License-Identifier: GPL-2.0-only
"""What an interrupted build leaves is not taken for finished. With make and sleeps for a compiler; the real builds are
killed by scripts/interrupted."""

import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import builds, errors	# noqa: E402
from upliftlib.lab import testprograms	# noqa: E402

MAKEFILE = """
all: one two
one: one.src
\techo half >$@; sleep 0.02; echo whole >$@
two: two.src one
\techo half >$@; [ -z "$(SLOW)" ] || { echo >begun; sleep 60; }; echo whole >$@
"""
# What a Python that is killed leaves running is killed with it, as buildroot does it.
PROGRAM = """
import pathlib, subprocess, sys
sys.path.insert(0, {scripts!r})
from upliftlib.base import builds, signals
signals.end_on_sigterm()
def main():
    with builds.unbroken(pathlib.Path({top!r})):
        subprocess.run(["setpriv", "--pdeathsig", "KILL", "sh", "-c", "exec make -s SLOW=1"], cwd={top!r}, check=True)
signals.run_main(main)
"""


class Unbroken(unittest.TestCase):
    def setUp(self) -> None:
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(contextlib.redirect_stderr(io.StringIO()))
        (self.top / "Makefile").write_text(MAKEFILE)
        for name in ("one", "two"):
            (self.top / f"{name}.src").write_text("")
        for path in self.top.iterdir():
            os.utime(path, (0, 0))	# sources that lie beside what is made are older, or put there by the build itself

    def build(self) -> None:
        with builds.unbroken(self.top):
            subprocess.run(["make", "-s"], cwd=self.top, check=True)

    def texts(self) -> list[str]:
        return [(self.top / name).read_text() for name in ("one", "two")]

    def test_whole(self) -> None:
        self.build()
        self.assertEqual(self.texts(), ["whole\n"] * 2)
        self.assertFalse((self.top / builds.MARK).exists())

    def test_killed(self) -> None:
        """make alone would take the half file for finished, which is what is shown first."""
        program = PROGRAM.format(scripts=str(SCRIPTS), top=str(self.top))
        with subprocess.Popen([sys.executable, "-B", "-c", program], start_new_session=True) as process:
            while not (self.top / "begun").exists() and process.poll() is None:
                time.sleep(0.02)
            process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)	# the sleep, which nobody waits for
        subprocess.run(["make", "-s"], cwd=self.top, check=True)
        self.assertEqual(self.texts(), ["whole\n", "half\n"])
        self.build()
        self.assertEqual(self.texts(), ["whole\n"] * 2)

    def test_only_what_the_interrupted_build_wrote_goes(self) -> None:
        self.build()
        before = (self.top / "one").stat().st_mtime_ns
        time.sleep(0.02)
        with self.assertRaises(KeyboardInterrupt), builds.unbroken(self.top):
            (self.top / "two").write_text("half\n")
            raise KeyboardInterrupt
        self.build()
        self.assertEqual(self.texts(), ["whole\n"] * 2)
        self.assertEqual((self.top / "one").stat().st_mtime_ns, before)

    def test_interrupted_twice(self) -> None:
        """Also while it removes what the first time had left."""
        for name in ("one", "two"):
            with self.assertRaises(KeyboardInterrupt), builds.unbroken(self.top):
                (self.top / name).write_text("half\n")
                raise KeyboardInterrupt
        with mock.patch.object(pathlib.Path, "unlink", side_effect=KeyboardInterrupt), \
                self.assertRaises(KeyboardInterrupt), builds.unbroken(self.top):
            pass
        self.build()
        self.assertEqual(self.texts(), ["whole\n"] * 2)

    def test_a_failure_is_an_end(self) -> None:
        """make removes what failed; what is finished stays."""
        with self.assertRaises(errors.Problem), builds.unbroken(self.top):
            (self.top / "one").write_text("whole\n")
            raise errors.Problem("two does not build")
        with builds.unbroken(self.top):
            self.assertTrue((self.top / "one").exists())


class Same(unittest.TestCase):
    """The selftests are put in place anew only if they differ."""

    def test_same(self) -> None:
        top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("a", "b"):
            (top / name / "bench").mkdir(parents=True)
            (top / name / "bench/x").write_text("text")
        one, other = top / "a", top / "b"
        self.assertTrue(testprograms._same(one, other))
        for change in (lambda: (other / "bench/x").write_text("tex1"), lambda: (other / "bench/x").chmod(0o755),
                       lambda: (other / "y").write_text(""), lambda: (other / "y").unlink() or (other / "z").mkdir()):
            change()
            self.assertFalse(testprograms._same(one, other))
            self.assertFalse(testprograms._same(other, one))


if __name__ == "__main__":
    unittest.main()
