# SPDX-License-Identifier: GPL-2.0-only
"""Which selftests --only names."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors	# noqa: E402
from upliftlib.lab import selftests	# noqa: E402


class Chosen(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.install = pathlib.Path(self.dir.name)
        for script in selftests.EVERY.values():
            (self.install / f"{script.file}.sh").write_text(f'TESTS="load {script.file}_one"\nTESTS="$TESTS unloaded"\n')

    def tearDown(self):
        self.dir.cleanup()

    def test_words(self):
        chosen = lambda words: selftests.chosen(words, self.install)	# noqa: E731
        for none in (None, "", " "):	# a blank ran nothing, and was a skip
            self.assertEqual(chosen(none), dict.fromkeys(selftests.SCRIPTS))
        self.assertEqual(chosen("epoll"), {"epoll": None})
        self.assertEqual(chosen("epoll:load iomap_one"), {"epoll": ["load"], "iomap": ["iomap_one"]})
        self.assertEqual(chosen("epoll epoll:load"), {"epoll": None})
        self.assertEqual(chosen("unloaded"), {name: ["unloaded"] for name in selftests.EVERY
                                              if not name.startswith("refusals_no_")})
        # one module's cycles, not those of all six
        self.assertEqual(chosen("core"), {"cycles_core": ["core"]})
        self.assertEqual(chosen("cycles_llc"), {"cycles_llc": None})
        for word in ("nothing", "epoll:nothing", "cycles_core:llc", "epoll:iomap_one", "other:load"):
            with self.assertRaises(errors.Problem):
                chosen(word)


if __name__ == "__main__":
    unittest.main()
