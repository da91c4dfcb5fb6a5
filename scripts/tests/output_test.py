# SPDX-License-Identifier: GPL-2.0-only
"""Where output goes, as a shell may have it: devices and links as files, streams that are closed, a full disk."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import types
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, paths	# noqa: E402
from upliftlib.host import bench	# noqa: E402
from tests import dossier_data	# noqa: E402


class Files(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)

    def test_what_is_no_file_is_not_replaced(self):
        # `uplift report FILE --html /dev/full`, as root, made a file of the device
        fifo = self.top / "fifo"
        os.mkfifo(fifo)
        got = []
        reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
        reader.start()
        paths.write(fifo, "text")
        reader.join(10)
        self.assertEqual(got, ["text"])
        self.assertTrue(stat.S_ISFIFO(fifo.stat().st_mode))
        paths.writable(fifo)
        self.assertTrue(stat.S_ISFIFO(fifo.stat().st_mode))

    def test_a_link_stays_one(self):
        (self.top / "file").write_text("old")
        (self.top / "link").symlink_to("file")
        paths.write(self.top / "link", "new")
        self.assertTrue((self.top / "link").is_symlink())
        self.assertEqual((self.top / "file").read_text(), "new")

    def test_looking_whether_it_can_be_written_changes_nothing(self):
        # bench emptied and removed what an earlier one had left, minutes before it had anything new
        out = self.top / "bench.json"
        out.write_text("earlier")
        self.assertEqual(bench._out(str(out), "release"), out)
        self.assertEqual(out.read_text(), "earlier")
        self.assertEqual(list(self.top.iterdir()), [out])

    def test_what_cannot_be_written_is_named(self):
        for path in (self.top, pathlib.Path("/proc/uplift.html")):
            with self.assertRaises(OSError) as caught:
                paths.write(path, "x")
            self.assertEqual(caught.exception.filename, str(path))
        with self.assertRaises(errors.Problem) as caught:
            bench._out("/proc/none/x", "release")
        self.assertEqual(caught.exception.code, errors.USAGE)


class Streams(unittest.TestCase):
    def run_closed(self, fds, *words):
        """Of a command that is started without these."""
        def close():
            for fd in fds:
                os.close(fd)
        streams = types.SimpleNamespace(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", *words], preexec_fn=close,
                              **vars(streams)).returncode

    def test_closed(self):
        # cron and daemons do that; there was a traceback, and the next file that was opened got what was said
        with tempfile.TemporaryDirectory() as where:
            source = pathlib.Path(where) / "in.json"
            source.write_text(json.dumps(dossier_data.of_this_tree()))
            for fds in ((0,), (1,), (2,), (1, 2), (0, 1, 2)):
                html = pathlib.Path(where) / "out.html"
                self.assertEqual(self.run_closed(fds, "report", str(source), "--html", str(html)), errors.OK, fds)
                self.assertTrue(html.read_text().endswith("</html>\n"), fds)
                self.assertEqual(self.run_closed(fds, "report", str(source) + ".none"), errors.USAGE, fds)

    def test_full(self):
        with tempfile.TemporaryDirectory() as where:
            source = pathlib.Path(where) / "in.json"
            source.write_text(json.dumps(dossier_data.of_this_tree()))
            with open("/dev/full", "w") as full:
                done = subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", "report", str(source)], stdout=full,
                                      stderr=subprocess.PIPE, text=True)
            self.assertEqual((done.returncode, done.stderr), (errors.FAIL, "uplift: No space left on device\n"))


class Ended(unittest.TestCase):
    def test_what_has_just_been_started(self):
        """Ended by its id a command left behind a child that it did not know of yet."""
        program = ("import subprocess, sys, time\n"
                   "sys.path.insert(0, sys.argv[1])\n"
                   "from upliftlib.base import signals\n"
                   "def main():\n"
                   "    signals.end_on_sigterm()\n"
                   "    print(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
                   "    time.sleep(600)\n"
                   "signals.run_main(main)\n")
        parent = subprocess.Popen([sys.executable, "-B", "-c", program, str(SCRIPTS)], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGTERM)
        try:
            self.assertIn("stopped", parent.communicate(timeout=60)[1])	# not before the child has closed its stderr
            self.assertEqual(parent.returncode, 130)
        finally:
            if parent.poll() is None:
                parent.kill()
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def test_twice(self):
        """`make test` passed SIGTERM on, and sent it again on its way out: what a command was clearing away stayed."""
        program = ("import sys, time\n"
                   "sys.path.insert(0, sys.argv[1])\n"
                   "from upliftlib.base import signals\n"
                   "def main():\n"
                   "    signals.end_on_sigterm()\n"
                   "    try:\n"
                   "        print('begun', flush=True)\n"
                   "        time.sleep(600)\n"
                   "    finally:\n"
                   "        print('clearing', flush=True)\n"
                   "        time.sleep(0.5)\n"
                   "        print('cleared', flush=True)\n"
                   "signals.run_main(main)\n")
        with subprocess.Popen([sys.executable, "-B", "-c", program, str(SCRIPTS)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as ended:
            for said in ("begun\n", "clearing\n"):
                self.assertEqual(ended.stdout.readline(), said)
                ended.send_signal(signal.SIGTERM)
            self.assertEqual(ended.communicate(timeout=60)[0], "cleared\n")
            self.assertEqual(ended.returncode, 130)


if __name__ == "__main__":
    unittest.main()
