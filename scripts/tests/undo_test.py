# SPDX-License-Identifier: GPL-2.0-only
"""Whatever ends a process, what it changed is put back: last first, and by nobody but it."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.host import undo	# noqa: E402

CHILD = """
import signal, sys, time
sys.path.insert(0, {scripts!r})
from upliftlib.host import undo
# nohup, or a shell that starts it in the background, has them ignored
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
with undo.Undo() as back:
    back.add("write", {file!r}, "off")
    open({file!r}, "w").write("new")
    back.add("write", {file!r} + ".gone", "not made")
    print("armed", flush=True)
    {end}
"""


class Undo(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.file = os.path.join(self.dir.name, "arm")
        pathlib.Path(self.file).write_text("off")

    def tearDown(self):
        self.dir.cleanup()

    def child(self, end):
        return subprocess.Popen([sys.executable, "-B", "-c", CHILD.format(scripts=str(SCRIPTS), file=self.file, end=end)],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def restored(self):
        end = time.monotonic() + 60
        while pathlib.Path(self.file).read_text() != "off" and time.monotonic() < end:
            time.sleep(0.02)
        return pathlib.Path(self.file).read_text()

    def test_whatever_ends_it(self):
        for end in ("pass", "sys.exit(3)", "raise ValueError", "import os; os._exit(1)", "import os; os.abort()"):
            with self.child(end) as process:
                self.assertEqual(process.stdout.readline(), "armed\n")
                process.wait()
                self.assertEqual(self.restored(), "off", end)

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
            with self.child("time.sleep(600)") as process:
                self.assertEqual(process.stdout.readline(), "armed\n")
                self.assertEqual(pathlib.Path(self.file).read_text(), "new")
                process.send_signal(number)
                process.wait()
                self.assertEqual(self.restored(), "off", number)

    def test_last_first(self):
        with undo.Undo() as back:
            for word in ("first", "second", "third"):
                back.add("write", self.file, word)
        self.assertEqual(pathlib.Path(self.file).read_text(), "first")
        self.assertTrue(back.ok)

    def test_done_when_the_block_ends(self):
        directory = os.path.join(self.dir.name, "mount point")
        os.mkdir(directory)
        with undo.Undo() as back:
            back.add("remove", directory)
            back.add("write", os.path.join(self.dir.name, "no such file"), "off")
        self.assertFalse(os.path.exists(directory))
        # what was not there must not be made
        self.assertEqual(os.listdir(self.dir.name), ["arm"])

    def test_what_fails_is_said_and_does_not_stop_the_rest(self):
        full = os.path.join(self.dir.name, "full")
        os.mkdir(full)
        pathlib.Path(full, "file").touch()
        null = os.open(os.devnull, os.O_WRONLY)
        keep = os.dup(2)
        os.dup2(null, 2)
        try:
            with undo.Undo() as back:
                back.add("write", self.file, "restored")
                back.add("remove", full)
        finally:
            os.dup2(keep, 2)
            os.close(keep)
            os.close(null)
        self.assertEqual(pathlib.Path(self.file).read_text(), "restored")
        self.assertFalse(back.ok)

    def test_unknown(self):
        with undo.Undo() as back, self.assertRaises(ValueError):
            back.add("format", "/dev/sda")


if __name__ == "__main__":
    unittest.main()
