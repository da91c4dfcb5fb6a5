# SPDX-License-Identifier: GPL-2.0-only
"""Submissions to KernelCI's database, held against the form that its documentation gives.

FORM says in our words what KCIDB's I/O schema 5.0 (kernelci/kcidb-io) and its submitter guide ask for: which members an
object may have, which it must have, and what a value looks like. 5.3 accepts all that 5.0 does.
"""

import copy
import datetime
import json
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors	# noqa: E402
from upliftlib.report import kcidb	# noqa: E402
from tests import dossier_data	# noqa: E402


def matches(pattern):
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def time(value):
    try:
        return datetime.datetime.fromisoformat(value).tzinfo is not None and value[10] == "T"
    except (TypeError, ValueError):
        return False


def status(value):
    return value in ("FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP")


def mapping(value):
    return isinstance(value, dict)


def boolean(value):
    return isinstance(value, bool)


def figure(value):
    return isinstance(value, dict) and set(value) <= {"value", "unit", "prefix"} and number(value.get("value")) and (
        "unit" not in value or text(value["unit"])) and value.get("prefix", "metric") in ("metric", "binary")


def environment(value):
    return isinstance(value, dict) and set(value) <= {"compatible", "comment", "misc"} and (
        text(value.get("comment", ""))) and mapping(value.get("misc", {}))


def excerpt(value):
    return text(value) and len(value) <= 16384


text = matches(r"[^\0]*")
identifier = matches(r"[a-z0-9_]+:[^\0]*")
origin = matches(r"[a-z0-9_]+")

# member -> what its value has to be; the rest of what the schema allows is not used here
FORM = {
    "checkouts": ({"id", "origin"}, {
        "id": identifier, "origin": origin, "tree_name": text, "git_repository_url": matches(r"https://[^\0]*"),
        "git_commit_hash": matches("[0-9a-f]{40}"), "git_commit_name": text, "comment": text, "start_time": time,
        "valid": boolean, "misc": mapping}),
    "builds": ({"id", "origin", "checkout_id"}, {
        "id": identifier, "origin": origin, "checkout_id": identifier, "comment": text, "start_time": time,
        "architecture": matches("[a-z0-9_]*"), "compiler": text, "config_name": text, "status": status, "misc": mapping}),
    "tests": ({"id", "origin", "build_id"}, {
        "id": identifier, "origin": origin, "build_id": identifier, "environment": environment,
        "path": matches(r"([a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*)?"), "comment": text, "log_excerpt": excerpt,
        "status": status, "number": figure, "start_time": time, "duration": number, "misc": mapping}),
}


def problems(data):
    """What is wrong with a submission."""
    found = []
    version = data.get("version", {})
    if version.get("major") != 5 or not isinstance(version.get("minor", 0), int) or set(version) - {"major", "minor"}:
        found.append(f"version {version}")
    found += [f"member {name}" for name in set(data) - {"version", *FORM}]
    for kind, (required, members) in FORM.items():
        for item in data.get(kind, ()):
            found += [f"{kind}: no {name}" for name in required - set(item)]
            found += [f"{kind}: {name} is not known" for name in set(item) - set(members)]
            found += [f"{kind}: {name} is {value!r}" for name, value in item.items()
                      if name in members and not members[name](value)]
            if not item.get("id", "").startswith(item.get("origin", "") + ":"):
                found.append(f"{kind}: {item.get('id')} is not of its origin")
    for kind, parent, key in (("builds", "checkouts", "checkout_id"), ("tests", "builds", "build_id")):
        there = {item["id"] for item in data.get(parent, ())}
        found += [f"{kind}: {key} {item.get(key)} leads nowhere" for item in data.get(kind, ())
                  if item.get(key) not in there]
    for kind in FORM:
        ids = [item.get("id") for item in data.get(kind, ())]
        if len(ids) != len(set(ids)):
            found.append(f"{kind}: an id twice")
    return found


def none_in(value):
    """The schema has no null anywhere but below misc."""
    if isinstance(value, dict):
        return any(none_in(item) for key, item in value.items() if key != "misc")
    return any(map(none_in, value)) if isinstance(value, list) else value is None


class Submission(unittest.TestCase):
    def setUp(self):
        self.bench = dossier_data.bench()
        self.made = {"bench": kcidb.submission(self.bench),
                     "evaluation": kcidb.submission(dossier_data.counted())}

    def by_path(self, name="bench"):
        return {test["path"]: test for test in self.made[name]["tests"]}

    def test_form(self):
        for name, data in self.made.items():
            data = json.loads(json.dumps(data, allow_nan=False))
            self.assertEqual(problems(data), [], name)
            self.assertFalse(none_in(data), name)

    def test_the_check_sees(self):
        # a check that never complains is none
        good = self.made["bench"]
        for break_ in (lambda data: data["tests"][0].update(status="FAILED"),
                       lambda data: data["tests"][0].update(id="Uplift:x"),
                       lambda data: data["tests"][0].update(path="a..b"),
                       lambda data: data["tests"][0].update(waived=True),
                       lambda data: data["tests"][0].update(build_id="uplift:other"),
                       lambda data: data["tests"][0].update(start_time="2026-11-21 08:00"),
                       lambda data: data["tests"][1].update(id=data["tests"][0]["id"]),
                       lambda data: data["tests"][0].update(number={"unit": "ns"}),
                       lambda data: data["tests"][0].update(number={"value": "3"}),
                       lambda data: data["builds"][0].pop("checkout_id"),
                       lambda data: data["builds"][0].update(architecture="x86-64"),
                       lambda data: data["checkouts"][0].update(git_commit_hash="6.18"),
                       lambda data: data.update(revisions=[]), lambda data: data["version"].update(major=4)):
            data = copy.deepcopy(good)
            break_(data)
            self.assertNotEqual(problems(data), [])

    def test_statuses(self):
        found = {path: test["status"] for path, test in self.by_path().items()}
        for path, wanted in (("uplift.carp.verdict", "SKIP"), ("uplift.pike.verdict", "MISS"),
                             ("uplift.trout.verdict", "PASS"), ("uplift.trout.tests.events_off", "PASS"),
                             ("uplift.trout.tests.events_new", "FAIL"), ("uplift.trout.tests.upstream", "SKIP"),
                             ("uplift.trout.figures", "DONE"), ("uplift.trout", "ERROR"), ("uplift", "ERROR")):
            self.assertEqual(found.get(path), wanted, path)

    def test_figures(self):
        found = self.by_path()["uplift.trout.figures"]
        operation = self.bench["changes"][2]["operations"][0]
        there = found["misc"]["operations"]
        self.assertEqual(there["trout_wait 1"]["arms"]["null"][0], operation["summary"]["null"]["median"])
        self.assertEqual(there["trout_wait 16"]["saves"]["new"]["claim"], "none")
        self.assertEqual(found["number"]["unit"], "ns")
        self.assertEqual(found["number"]["value"],	# the largest is the loss
                         self.bench["changes"][2]["operations"][2]["gains"]["new"]["saves"]["median"])
        counted = self.by_path("evaluation")["uplift.trout.figures"]["misc"]["operations"]["trout_wait 1"]
        self.assertEqual((counted["unit"], counted["arms"]["new"]), ("instructions", [725.0, 725.0, 725.0]))
        self.assertEqual(counted["costs_a_call"], {"redirect": 8.0})
        # a figure stands only where a test has executed
        for test in self.made["bench"]["tests"]:
            self.assertTrue("number" not in test or test["status"] in ("FAIL", "ERROR", "PASS", "DONE"))

    def test_small(self):
        # no test is named for a number: a change has its verdict, its tests, its figures, and what went wrong
        for test in self.made["evaluation"]["tests"]:
            self.assertRegex(test["path"], r"^uplift\.\w+\.(verdict|figures|tests(\.\w+)?)$")

    def test_commits(self):
        self.assertRegex(self.by_path()["uplift.trout.verdict"]["misc"]["upstream"]["commit"], "^[0-9a-f]{40}$")
        for kind in ("checkouts", "builds"):
            self.assertEqual(self.made["bench"][kind][0]["misc"]["uplift"], self.bench["uplift"])

    def test_what_could_not_be_run_is_an_error(self):
        data = dossier_data.counted()
        data["changes"][0]["correctness"] = {"ok": False, "summary": "not run", "problems": ["no shell"], "tests": [],
                                             "error": "no shell"}
        self.assertEqual({test["path"]: test for test in kcidb.submission(data)["tests"]}["uplift.carp.tests"]["status"],
                         "ERROR")

    def test_faults_beside_the_tests_fail(self):
        data = dossier_data.counted()
        data["changes"][0]["correctness"] |= {"ok": False, "problems": ["the kernel complained: BUG: x"]}
        found = {test["path"]: test for test in kcidb.submission(data)["tests"]}
        self.assertEqual(found["uplift.carp.tests"]["status"], "FAIL")
        self.assertIn("BUG: x", found["uplift.carp.tests"]["log_excerpt"])

    def test_same_again(self):
        self.assertEqual(self.made["bench"], kcidb.submission(dossier_data.bench()))
        other = dossier_data.bench() | {"created": "2026-11-22T08:00:00+00:00"}
        self.assertNotEqual(kcidb.submission(other)["tests"][0]["id"], self.made["bench"]["tests"][0]["id"])
        self.assertEqual(kcidb.submission(other)["builds"], self.made["bench"]["builds"])

    def test_compiler(self):
        self.assertEqual(self.made["bench"]["builds"][0]["compiler"], "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0")

    def test_origin(self):
        made = kcidb.submission(self.bench, "my_lab")
        self.assertEqual(problems(made), [])
        for bad in ("My Lab", "", "lab:1", "lab-1"):
            with self.assertRaises(errors.Problem):
                kcidb.submission(self.bench, bad)


if __name__ == "__main__":
    unittest.main()
