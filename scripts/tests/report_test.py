# SPDX-License-Identifier: GPL-2.0-only
"""The report's words and figures."""

import copy
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import report	# noqa: E402
from upliftlib.lab import proclist	# noqa: E402


def arm(pread, whole, second=None):
    return {"pread_open_fd": {"instructions": pread, "rounds": [float(pread), float(second or pread)]},
            "open_read_close": {"instructions": whole, "rounds": [float(whole), float(whole)]}}


DATA = {
    "format": report.FORMAT, "change": "fslist",
    "target": {"name": "6.12", "release": "6.12.1-amd64", "version": "6.12.1-1", "kernel": "Linux version 6.12.1",
               "config": {"CONFIG_KPROBES": "y"}, "provenance": []},
    "verdict": {"kind": "applicable", "evidence": ["show: filesystems_proc_show"]},
    "correctness": {"ok": True, "skipped": None, "summary": "2 tests: 1 passed, 1 skipped", "problems": [],
                    "counts": {}, "taint": 12288, "cpus": 2, "accel": "TCG", "qemu": "10.0.1",
                    "tests": [{"name": "a", "outcome": "pass", "reason": ""},
                              {"name": "b", "outcome": "skip", "reason": "not here"}],
                    "console": "/c", "output": "/o", "seconds": 42.5},
    "measurement": {"list": {"bytes": 297, "entries": 25}, "taint": 12288, "accel": "TCG, counting", "qemu": "10.0.1",
                    "arms": {"off": arm(19086, 27309), "off_again": arm(19086, 27309), "cached": arm(1081, 7830)},
                    "seconds": 12.25},
    "reproduce": "make run TARGET=6.12", "sections": [{"title": "Shared cache lines", "lines": ["none"]}],
    "seconds": 99.75,
}


class Report(unittest.TestCase):
    def test_says_what_matters(self):
        text = report.render(DATA)
        for wanted in ("Verdict: applicable", "show: filesystems_proc_show", "Correctness: passed",
                       "skipped b: not here",
                       "19,086", "1,081 17.7x less", "7,830 3.5x less", "19,086 same", "25 entries, 297 bytes",
                       "Counted twice: identical", "KPROBES=y", "12288 (out of tree, unsigned)",
                       "make run TARGET=6.12", "Shared cache lines\n    none"):
            self.assertIn(wanted, " ".join(text.split()) if "\n" not in wanted else text)

    def test_no_time(self):
        text = report.render(DATA)
        for seconds in ("42.5", "12.25", "99.75", "seconds"):
            self.assertNotIn(seconds, text)

    def test_width(self):
        for line in report.render(DATA).splitlines():
            self.assertLessEqual(len(line), report.WIDTH, line)

    def test_not_identical(self):
        data = copy.deepcopy(DATA)
        data["measurement"]["arms"]["cached"] = arm(1081, 7830, 1092)
        self.assertIn("not identical, the least is shown: they differ by up to 10,176 parts per million "
                      "(filesystems_cached, pread)", " ".join(report.render(data).split()))

    def test_failed(self):
        data = copy.deepcopy(DATA)
        data["correctness"].update(ok=False, problems=["failed: a"])
        text = report.render(data)
        self.assertIn("Correctness: FAILED", text)
        self.assertIn("failed: a", text)
        self.assertIn("console: /c", text)

    def test_unsupported_has_no_gain(self):
        data = copy.deepcopy(DATA)
        data["verdict"] = {"kind": "unsupported", "evidence": ["no function x() in this kernel"]}
        data["measurement"]["arms"] = {"off": arm(19086, 27309)}
        text = report.render(data)
        self.assertIn("cannot work here", " ".join(text.split()))
        self.assertNotIn("Gain:", text)

    def test_nothing_measured(self):
        data = copy.deepcopy(DATA)
        data["measurement"]["arms"] = {}
        self.assertNotIn("instructions per", report.render(data))

    def test_other_format(self):
        with self.assertRaisesRegex(ValueError, "format"):
            report.render(dict(DATA, format="uplift-evaluation/99"))

    def test_ratio(self):
        for value, base, wanted in ((100, 100, "same"), (100, 1000, "10.0x less"), (110, 100, "10.0% more"),
                                    (90, 100, "10.0% less"), (100001, 100000, "same"), (5, 0, "-"),
                                    (1500, 100, "15.0x more")):
            self.assertEqual(report.ratio(value, base), wanted)

    def test_arms_from_samples(self):
        samples = [{"arm": "cached", "round": 1, "op": "pread_open_fd", "best": 1081.004},
                   {"arm": "cached", "round": 2, "op": "pread_open_fd", "best": 1080.6},
                   {"arm": "off", "round": 1, "op": "pread_open_fd", "best": 19086.0},
                   {"arm": "off", "round": 1, "op": "getppid", "best": 332.0}]
        self.assertEqual(proclist.arms(samples), {
            "off": {"pread_open_fd": {"instructions": 19086, "rounds": [19086.0]}},
            "cached": {"pread_open_fd": {"instructions": 1081, "rounds": [1081.0, 1080.6]}}})
        self.assertEqual(list(proclist.arms(samples)), ["off", "cached"])


if __name__ == "__main__":
    unittest.main()
