# SPDX-License-Identifier: GPL-2.0-only
"""`make unit`: is what unittest says of each file counted right?"""

import contextlib
import importlib.machinery
import importlib.util
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

from upliftlib.base import errors	# noqa: E402

LOADER = importlib.machinery.SourceFileLoader("uplift_unit", str(SCRIPTS / "unit"))
UNIT = importlib.util.module_from_spec(importlib.util.spec_from_loader("uplift_unit", LOADER))	# type: ignore[arg-type]
sys.modules["uplift_unit"] = UNIT
LOADER.exec_module(UNIT)

HEAD = "import os, signal, time, unittest\nclass T(unittest.TestCase):\n"
PASS = HEAD + "    def test_a(self): pass\n    def test_b(self): pass\n"
FAIL = HEAD + "    def test_a(self): pass\n    def test_b(self): self.fail('because')\n"
SKIP = HEAD + "    def test_a(self): pass\n    @unittest.skip('why')\n    def test_b(self): pass\n"
ERROR = HEAD + "    def test_a(self): raise OSError\n    def test_b(self):\n        with self.subTest(1): self.fail()\n"
SURPRISE = HEAD + "    @unittest.expectedFailure\n    def test_a(self): pass\n"
NONE = "import unittest\n"
BROKEN = "import nonsense_that_is_nowhere\n"
DIES = HEAD + "    def test_a(self): os._exit(0)\n"
KILLED = HEAD + "    def test_a(self): os.kill(os.getpid(), signal.SIGKILL)\n"


class Unit(unittest.TestCase):
    def setUp(self) -> None:
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.top / "tests").mkdir()
        self.enterContext(mock.patch.object(UNIT, "TESTS", self.top / "tests"))
        self.enterContext(mock.patch.object(UNIT.paths, "TOP", self.top))
        self.enterContext(mock.patch.object(UNIT, "TIMES", self.top / "times.json"))

    def run_files(self, words: tuple[str, ...] = (), **files: str) -> tuple[int, list[str]]:
        for name, text in files.items():
            (self.top / "tests" / f"{name}_test.py").write_text(text)
        with mock.patch.object(sys, "argv", ["unit", *words]), contextlib.redirect_stdout(io.StringIO()) as out:
            code = UNIT.main()
        return code, out.getvalue().splitlines()

    def test_sum(self) -> None:
        code, lines = self.run_files(one=PASS, two=SKIP)
        self.assertEqual((code, lines), (0, ["unit: 3 passed, 0 failed, 1 skipped"]))

    def test_failures(self) -> None:
        for text, bad, word in ((FAIL, 1, "test_b"), (ERROR, 2, "test_a"), (SURPRISE, 1, "test_a"), (NONE, 1, ""),
                                (BROKEN, 1, "nonsense_that_is_nowhere"), (DIES, 1, ""), (KILLED, 1, "")):
            with self.subTest(text):
                code, lines = self.run_files(one=PASS, two=text)
                self.assertEqual(code, errors.FAIL)
                self.assertRegex(lines[-1], rf"^unit: \d+ passed, {bad} failed, 0 skipped$")
                self.assertIn(word, "\n".join(lines[:-1]))

    def test_chosen(self) -> None:
        for words in (("two",), ("two_test.py",), ("scripts/tests/two_test.py",)):
            code, lines = self.run_files(words, one=FAIL, two=PASS)
            self.assertEqual((code, lines[-1]), (0, "unit: 2 passed, 0 failed, 0 skipped"))
        with self.assertRaisesRegex(errors.Problem, "no unit test 'three'; there are: one two"):
            self.run_files(("three",))

    def test_long_ones_first(self) -> None:
        self.run_files(a=PASS, b=PASS)
        (self.top / "times.json").write_text('{"a_test.py": 1, "b_test.py": 2}')
        (self.top / "tests/c_test.py").write_text(PASS)
        self.assertEqual([path.name for path in UNIT.chosen([])], ["c_test.py", "b_test.py", "a_test.py"])
        for text in ("", "[]", "{", '{"a_test.py": "x"}'):
            (self.top / "times.json").write_text(text)
            self.assertEqual(len(UNIT.chosen([])), 3, text)

    def test_sigterm(self) -> None:
        """The files' processes end with it."""
        name = self.top / "tests/slow_test.py"
        name.write_text(HEAD + f"    def test_a(self):\n        print(os.getpid(), file=open({str(self.top / 'pid')!r}, 'w'), "
                        "flush=True)\n        time.sleep(600)\n")
        program = ("import sys\n" f"sys.path.insert(0, {str(SCRIPTS)!r})\nimport importlib.machinery, importlib.util, pathlib\n"
                   f"loader = importlib.machinery.SourceFileLoader('u', {str(SCRIPTS / 'unit')!r})\n"
                   "u = importlib.util.module_from_spec(importlib.util.spec_from_loader('u', loader))\nsys.modules['u'] = u\n"
                   f"loader.exec_module(u)\nu.TESTS = pathlib.Path({str(self.top / 'tests')!r})\n"
                   f"u.paths.TOP = pathlib.Path({str(self.top)!r})\nu.TIMES = u.paths.TOP / 'times'\nsys.argv = ['unit']\n"
                   "u.signals.end_on_sigterm()\nu.signals.run_main(u.main)\n")
        with subprocess.Popen([sys.executable, "-B", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as process:
            pid = self.top / "pid"
            while process.poll() is None and not (pid.exists() and pid.read_text().endswith("\n")):
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 130, said)
        self.assertFalse(os.path.exists(f"/proc/{pid.read_text().strip()}"))


if __name__ == "__main__":
    unittest.main()
