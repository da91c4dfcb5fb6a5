# SPDX-License-Identifier: GPL-2.0-only
"""Counts per arm, and which selftests --only names."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors	# noqa: E402
from upliftlib.lab import arms, selftests	# noqa: E402

RUNS = [{"op": "epoll_wait", "ready": 16, "arm": "off", "ops": 3},
        {"op": "epoll_wait", "ready": 16, "arm": "new", "ops": 2}]
LINES = ["op 1 32 32 0 126", "op 1 33 33 1 180", "op 1 32 32 0 126", "op 2 16 16 0 94", "op 2 16 16 0 95", "end"]


class Counted(unittest.TestCase):
    def test_least_of_the_operations(self):
        table = arms.counted(RUNS, LINES, "6.18")
        self.assertEqual(table["epoll_wait 16"]["off"], {"stac": 32, "clac": 32, "lfence": 0, "call": 126})
        self.assertEqual(table["epoll_wait 16"]["new"]["call"], 94)

    def test_cut_off(self):
        for lines in (LINES[:-1], LINES[:2] + ["end"], [], ["end"], LINES[:-1] + ["lost"]):
            with self.assertRaises(errors.Problem):
                arms.counted(RUNS, lines, "6.18")

    def test_no_smap(self):
        with self.assertRaises(errors.Problem):
            arms.counted(RUNS, [line.replace(" 16 16 ", " 0 0 ") for line in LINES], "6.18")

    def test_render(self):
        found = {"verdicts": {"epoll": "applicable\nfunction: x", "iomap": ""},
                 "table": {"epoll_wait 16": {"off": 100.0, "new": 90.0}},
                 "counts": arms.counted(RUNS, LINES, "6.18")}
        text = arms.render(found)
        self.assertIn("epoll: applicable\n", text)
        self.assertRegex(text, r"epoll_wait 16 +100\.0 +90\.0")
        self.assertIn("off: 2.00 per event", text)


class Chosen(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.install = pathlib.Path(self.dir.name)
        for name, needs in (selftests.SCRIPTS | selftests.NAMED).items():
            script = needs.get("script", name)
            (self.install / f"{script}.sh").write_text(f'TESTS="load {script}_one"\nTESTS="$TESTS unloaded"\n')

    def tearDown(self):
        self.dir.cleanup()

    def test_words(self):
        chosen = lambda words: selftests.chosen(words, self.install)	# noqa: E731
        for none in (None, "", " "):	# a blank ran nothing, and was a skip
            self.assertEqual(chosen(none), dict.fromkeys(selftests.SCRIPTS))
        self.assertEqual(chosen("epoll"), {"epoll": None})
        self.assertEqual(chosen("epoll:load iomap_one"), {"epoll": ["load"], "iomap": ["iomap_one"]})
        self.assertEqual(chosen("epoll epoll:load"), {"epoll": None})
        self.assertEqual(chosen("unloaded"), {name: ["unloaded"] for name in selftests.SCRIPTS | selftests.NAMED
                                              if not name.startswith("refusals_no_")})
        # one module's cycles, not those of all six
        self.assertEqual(chosen("core"), {"cycles_core": ["core"]})
        self.assertEqual(chosen("cycles_llc"), {"cycles_llc": None})
        for word in ("nothing", "epoll:nothing", "cycles_core:llc", "epoll:iomap_one", "other:load"):
            with self.assertRaises(errors.Problem):
                chosen(word)


if __name__ == "__main__":
    unittest.main()
