#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Other people's tests: what the guest wrote, and what of it is a difference."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors, paths	# noqa: E402
from upliftlib.lab import buildroot, others	# noqa: E402

TEXT = """\
0 said proc.read ok 1 one
0 said proc.read not ok 2 - two
0 status proc.read 1
1 said proc.read ok 1 one
1 said proc.read not ok 2 - two
1 status proc.read 1
2 said proc.read ok 1 one # SKIP no reason
2 said proc.read not ok 2 - two
2 status proc.read 1
0 said ftrace.basic1.tc [1] Basic trace file check	[PASS]
0 status ftrace.basic1.tc 0
1 said ftrace.basic1.tc [1] Basic trace file check	[UNRESOLVED]
1 status ftrace.basic1.tc 0
2 said ftrace.basic1.tc [1] Basic trace file check	[PASS]
2 status ftrace.basic1.tc 0
0 status stress-ng.vm 0
1 status stress-ng.vm 0
2 status stress-ng.vm 137
0 status gone 4
1 status gone 4
"""


class Words(unittest.TestCase):
    def test_words(self):
        self.assertEqual(others.words_of("timers fio.xfs"), ["timers", "fio.xfs"])
        for none in (None, "", "  "):
            self.assertIsNone(others.words_of(none))

    def test_no_such_test(self):
        """Beside another word it was passed over; alone it was told after minutes of unpacking."""
        for words in ("nosuch", "timers nosuch", "fio.xfs fio.nosuch", "ftrac"):
            with self.assertRaisesRegex(errors.Problem, "no test of others '.*'; there are: proc.fd-001-lookup ") as caught:
                others.words_of(words)
            self.assertEqual(caught.exception.code, errors.USAGE)


class Compare(unittest.TestCase):
    def test_what_differs(self):
        turns = others.results(TEXT)
        differ, wavering, same = others.compare(turns)
        self.assertEqual(differ, [("proc.read: one", "pass", "pass", "skip"), ("stress-ng.vm", "pass", "pass", "no end"),
                                  ("gone", "skip", "skip", "absent")])
        self.assertEqual(wavering, [("ftrace.basic1.tc: Basic trace file check", "pass", "unresolved", "pass")])
        self.assertEqual(same, ["proc.read: two", "proc.read", "ftrace.basic1.tc"])

    def test_what_is_meant_to_differ(self):
        """An armed hook is permanent: the test that turns ftrace off skips, and that is told."""
        def found(*outcomes):
            turns = others.results("".join(f"{turn} status livepatch.ftrace {outcome}\n"
                                           for turn, outcome in enumerate(outcomes)))
            differ, wavering, same = others.compare(turns)
            return {"turns": turns, "differ": differ, "wavering": wavering, "same": same, "without": {}, "refused": []}

        self.assertEqual(found(0, 0, 4)["same"], ["livepatch.ftrace"])
        self.assertIn("livepatch.ftrace: skip with the arms on, as it must be: it sets kernel.ftrace_enabled",
                      others.table(found(0, 0, 4)))
        self.assertEqual(found(0, 0, 1)["differ"], [("livepatch.ftrace", "pass", "pass", "status 1")])
        self.assertEqual(len(found(0, 1, 4)["differ"]), 1)
        for outcome in (0, 4):
            self.assertEqual(found(*[outcome] * 3)["same"], ["livepatch.ftrace"])
            self.assertNotIn("as it must be", others.table(found(*[outcome] * 3)))

    def test_time_is_no_condition(self):
        """A sleep that was 62 ms late once, on a host with all CPUs taken, was held against the arms."""
        text = "".join(f"{turn} status timers.nsleep-lat {status}\n{turn} status proc.read {status}\n"
                       for turn, status in enumerate((0, 0, 1)))
        text += "".join(f"{turn} said timers.nsleep-lat ok 1 CLOCK_REALTIME\n" for turn in (0, 1))
        differ, wavering, _ = others.compare(others.results(text))
        self.assertEqual(differ, [("proc.read", "pass", "pass", "status 1")])
        self.assertEqual(wavering, [("timers.nsleep-lat", "pass", "pass", "status 1"),
                                    ("timers.nsleep-lat: CLOCK_REALTIME", "pass", "pass", "absent")])

    def test_table_names_every_difference(self):
        turns = others.results(TEXT)
        differ, wavering, _ = others.compare(turns)
        text = others.table({"turns": turns, "differ": differ, "wavering": wavering, "without": {"x": "not there"},
                             "refused": ["uplift_pike: unaffected"]})
        for word in ("stress-ng.vm: pass, pass, no end", "now this and now that: ftrace", "left out: x: not there",
                     "not loaded: uplift_pike: unaffected"):
            self.assertIn(word, text)


class Sums(unittest.TestCase):
    def test_what_skips_in_every_turn_did_not_pass(self):
        """All of livepatch's tests skipped, wanting a directory to compile modules in, and counted as passed."""
        turns = others.results("".join(f"{turn} status livepatch.state 4\n{turn} status fio.xfs 0\n"
                                       for turn in range(3)))
        differ, wavering, same = others.compare(turns)
        found = {"turns": turns, "differ": differ, "wavering": wavering, "same": same, "without": {"x": "not there"},
                 "problems": []}
        self.assertEqual(others.sums(found), (1, 0, 2))


class Meant(unittest.TestCase):
    def test_groups_and_names(self):
        self.assertTrue(others.meant("pond.wakeup_test", None))
        self.assertTrue(others.meant("pond.wakeup_test", ["proc", "pond"]))
        self.assertTrue(others.meant("stress-ng.pond", ["stress-ng.pond"]))
        self.assertFalse(others.meant("stress-ng.pond", ["pond"]))


class Room(unittest.TestCase):
    def test_for_every_stressor(self):
        """iomix' first instance took all that was free, and the second could not begin: "No space left on device"."""
        disk, sizes = 320 << 20, 0
        for name, command in others.commands().items():
            taken = re.search(r"stress-ng --(iomix|hdd|readahead|fallocate) (\d+) .* --(\w+)-bytes (\d+)M$", command)
            if taken:
                self.assertEqual(taken[1], taken[3], name)
                self.assertLess(int(taken[2]) * int(taken[4]) << 20, disk // 2, name)
                sizes += 1
        self.assertEqual(sizes, 4)


class Programs(unittest.TestCase):
    @unittest.skipUnless(set(buildroot.TEST) <= buildroot._have(), "no build root with all that tests take")
    def test_the_build_root_has_them(self):
        """sysctl was there for another package's sake only, which a fresh machine had not."""
        self.assertEqual([path for path in others.PROGRAMS if not (paths.ROOT / path.lstrip("/")).exists()], [])


if __name__ == "__main__":
    unittest.main()
