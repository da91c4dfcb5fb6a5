# SPDX-License-Identifier: GPL-2.0-only
"""Reports that an older `make run` left: everything that they said is in the report of today."""

import copy
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.report import dossier, legacy, reading	# noqa: E402
from tests import dossier_data, pond	# noqa: E402

LINES = ["Verdict: applicable", "    function: trout_wait", "    delivers: an event in two user accesses, a call each",
         "Equality: passed - 7 tests: 7 passed (207 checks)", "",
         "instructions per              off       null        new      batch  off again",
         "trout_wait 1                732.0      740.0      725.0      709.0      732.0",
         "trout_wait 16             3,552.0    3,560.0    3,350.0    3,468.0    3,552.0",
         "stac/clac pairs, 1 ready          2          2          1          1          2",
         "calls, 1 ready                 21         22         20          -         21",
         "stac/clac pairs, 16 ready         32         32         16          2         32",
         "trout_wait 1: redirect costs 8.0 a call; saved against null: new +15.0, batch +31.0"]


def arm(pread, whole):
    return {"pread_open_fd": {"instructions": pread, "rounds": [float(pread)] * 3},
            "open_read_close": {"instructions": whole, "rounds": [float(whole)] * 3}}


def old():
    """With all that an evaluation could have."""
    data = dossier_data.evaluation()
    data["measurement"]["arms"] |= {"stock": arm(19087, 27310), "permanent": arm(854, 6965)}
    data["sections"][0]["lines"] = LINES
    data["sections"][0]["rounds"]["trout_wait 16"] = {
        "off": [3552.0] * 2, "null": [3560.0] * 2, "new": [3350.0] * 2, "batch": [3468.0] * 2, "off_again": [3552.0] * 2}
    return data


class Legacy(pond.Case):
    def setUp(self):
        super().setUp()
        self.parts = {part["name"]: part for part in reading.check(old())["changes"]}

    def test_arms_that_are_files(self):
        part = self.parts["carp"]
        rounds = {found["name"]: found["arms"] for found in part["operations"]}
        self.assertEqual(rounds["pread"], {"off": [19086.0] * 3, "off_again": [19086.0] * 3, "null": [19089.0] * 3,
                                           "new": [877.0] * 3, "loaded": [19087.0] * 3, "permanent": [854.0] * 3})
        self.assertEqual(set(part["arms"]), {"loaded", "permanent"})
        self.assertEqual(part["notes"], ["the list has 25 entries, 297 bytes"])
        self.assertEqual(part["correctness"]["cpus"], 2)
        text = " ".join(dossier.text(reading.check(old())).split())
        self.assertIn("new, with permanent=1 854 6,965", text)

    def test_what_was_counted_beside_instructions(self):
        events = {(event["name"], event["operation"]): event["arms"] for event in self.parts["trout"]["events"]}
        self.assertEqual(events, {
            ("stac/clac pairs", "trout_wait 1"): {"off": 2, "null": 2, "new": 1, "batch": 1, "off_again": 2},
            ("calls", "trout_wait 1"): {"off": 21, "null": 22, "new": 20, "off_again": 21},
            ("stac/clac pairs", "trout_wait 16"): {"off": 32, "null": 32, "new": 16, "batch": 2, "off_again": 32}})

    def test_verdicts(self):
        self.assertEqual(self.parts["trout"]["verdict"]["evidence"],
                         ["function: trout_wait", "delivers: an event in two user accesses, a call each"])
        data = old()
        data["sections"][0]["lines"] = ["Verdict: not built (no source for it)"]
        data["sections"][0]["verdict"] = "not built (no source for it)"
        part = reading.check(data)["changes"][1]
        self.assertEqual((part["verdict"]["kind"], part["verdict"]["evidence"]),
                         ("unknown", ["not built (no source for it)"]))

    def test_sections_of_nothing_known_are_left_out(self):
        data = old()
        data["sections"].append({"title": "Shared cache lines", "lines": ["none"]})
        self.assertEqual(len(reading.check(data)["changes"]), len(self.parts))

    def test_titles_tell_where_names_are_missing(self):
        data = old()
        for section, title in zip(data["sections"], ("trout_wait() with fewer user-access scopes (Linux 7.0)", "heron",
                                                     "pike_iter() without clearing what nobody reads (Linux 7.2)")):
            section.pop("change", None)
            section["title"] = title
        self.assertEqual([part["name"] for part in reading.check(data)["changes"]], ["carp", "trout", "heron", "pike"])

    def test_tests_that_failed(self):
        data = old()
        data["correctness"].update(ok=False, problems=["failed: a"])
        data["ok"] = False
        report = reading.check(data)
        self.assertFalse(report["ok"])
        self.assertIn("FAILED: failed: a", dossier.text(report))

    def test_not_whole(self):
        for key in ("target", "measurement", "correctness", "reproduce", "verdict"):
            data = copy.deepcopy(old())
            del data[key]
            with self.assertRaisesRegex(ValueError, "not whole: KeyError"):
                reading.check(data)
        with self.assertRaisesRegex(ValueError, "format"):
            reading.check(old() | {"format": "uplift-evaluation/99"})

    def test_read_once(self):
        # what was converted is a report of today, and not converted again
        report = reading.check(old())
        self.assertNotEqual(report["format"], legacy.FORMAT)
        self.assertIs(reading.check(report), report)


if __name__ == "__main__":
    unittest.main()
