# SPDX-License-Identifier: GPL-2.0-only
"""What the measuring programs of selftests/bench make of their command lines."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "selftests/bench"
PROGRAM = r"""
#include "bench_common.h"

static void die_usage(int status)
{
	exit(status);
}

int main(int argc, char **argv)
{
	printf("%ld\n", bench_number(argv[1], 1, 100, die_usage));
	return 0;
}
"""


@unittest.skipUnless(shutil.which("cc"), "no compiler here")
class Numbers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.program = pathlib.Path(cls.dir.name) / "numbers"
        source = cls.program.with_suffix(".c")
        source.write_text(PROGRAM)
        subprocess.run(["cc", "-Wall", "-Werror", f"-I{BENCH}", "-o", cls.program, source], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def of(self, text):
        return subprocess.run([self.program, text], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def test_numbers(self):
        for text, number in (("1", "1"), ("100", "100"), ("007", "7"), (" 5", "5")):
            done = self.of(text)
            self.assertEqual((done.returncode, done.stdout), (0, f"{number}\n"), text)

    def test_no_numbers(self):
        """fslist_bench took "10x" for 10, and "many" for 0."""
        for text in ("", "x", "10x", "0", "-1", "101", "1.5", "99999999999999999999"):
            done = self.of(text)
            self.assertEqual((done.returncode, done.stderr), (2, f"'{text}' is no number from 1 to 100\n"), text)

    def test_all_programs_use_it(self):
        for path in BENCH.glob("*_bench.c"):
            self.assertIsNone(re.search(r"\b(atoi|atol|strtol|strtoul|sscanf)\(", path.read_text()), path.name)


if __name__ == "__main__":
    unittest.main()
