# SPDX-License-Identifier: GPL-2.0-only
"""The host's commands that make the build root."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors	# noqa: E402
from upliftlib.lab import buildroot	# noqa: E402


class Logged(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.log = pathlib.Path(temp.name) / "log"

    def test_ends_before_it_reads(self):
        """Not a word was said: a pipe that nobody reads was taken for `| head`."""
        with self.assertRaisesRegex(errors.Problem, r"(?s)it failed .*the reason"):
            # more than a pipe holds
            buildroot._logged(["sh", "-c", "exec <&-; echo the reason; exit 1"], self.log, "it", stdin="x" * (1 << 20))

    def test_reads(self):
        buildroot._logged(["sh", "-c", "cat"], self.log, "it", stdin="read\n")
        self.assertEqual(self.log.read_text(), "read\n")

    def test_what_is_not_there(self):
        for unshare in (False, True):
            with self.assertRaisesRegex(errors.Problem, "no 'no-such-tool' here: run scripts/setup"):
                buildroot._logged(["no-such-tool"], self.log, "it", unshare=unshare)


if __name__ == "__main__":
    unittest.main()
