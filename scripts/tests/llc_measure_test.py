# SPDX-License-Identifier: GPL-2.0-only
"""modules/llc/measure.sh where tracking is refused, where it is not, and where the measuring program fails."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "modules/llc/measure.sh"
SAID = "uplift_llc: tracking: not on PREEMPT_RT"


class MeasureScript(unittest.TestCase):
    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)
        self.debug, self.out = self.top / "debug/uplift/llc", self.top / "out"
        for path in (self.debug, self.out, self.top / "bin", self.top / "selftests"):
            path.mkdir(parents=True)
        (self.debug / "verdict").write_text("applicable\n")
        (self.debug / "track").write_text("0\n")
        self.stub("bin/insmod", "exit 0")
        self.stub("bin/sleep", "exit 0")
        self.stub("bin/dmesg", f"echo '[    3.1] {SAID}'")

    def stub(self, name: str, text: str) -> None:
        path = self.top / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run_it(self) -> int:
        text = SCRIPT.read_text()
        for word, place in (("/sys/kernel/debug", "debug"), ("/out/", "out/"), ("/selftests/", "selftests/")):
            self.assertIn(word, text)
            text = text.replace(word, f"{self.top}/{place}")
        return subprocess.run(["sh", "-c", text], env={"PATH": f"{self.top}/bin:{os.environ['PATH']}"}, check=False).returncode

    def left(self, name: str) -> str | None:
        path = self.out / name
        return path.read_text() if path.exists() else None

    def test_measured(self) -> None:
        self.stub("selftests/llc_bench", "echo sample")
        self.assertEqual((self.run_it(), self.left("bench"), self.left("notes")), (0, "sample\n", None))

    def test_tracking_is_refused(self) -> None:
        """`make run TARGET=6.12-rt` ended there, with no report of any change."""
        self.stub("selftests/llc_bench", "echo sample; exit 1")
        (self.debug / "track").unlink()
        (self.debug / "track").mkdir()
        self.assertEqual((self.run_it(), self.left("bench")), (0, None))
        self.assertEqual((self.left("verdict"), self.left("notes")),
                         ("applicable\n", f"not measured: {SAID.partition(': ')[2]}\n"))

    def test_the_program_fails(self) -> None:
        """With tracking on it has nothing to do: a failure."""
        self.stub("selftests/llc_bench", "exit 1")
        self.assertEqual(self.run_it(), 1)


if __name__ == "__main__":
    unittest.main()
