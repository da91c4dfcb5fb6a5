# SPDX-License-Identifier: GPL-2.0-only
"""A report as a submission to KernelCI's database: KCIDB's I/O schema, version 5.

One checkout (the distribution's kernel: not a commit of git that we know, so no hash is claimed), one build of it, and
a test for each verdict, each test of ours that ran, and each figure:

    uplift.<change>.verdict                     PASS applicable; SKIP native, unaffected, unsupported; MISS not known
    uplift.<change>.tests.<test>                PASS, FAIL, SKIP
    uplift.<change>.<operation>.<arm>           DONE, the figure as number, with its unit
    uplift.<change>.<operation>.<arm>_saves     DONE, against null; the comment is what may be said of it
    uplift.<change>.<operation>.<what>_costs    DONE, what the redirect, or tracking, costs a call
    uplift.<change>.shows.<what>                DONE, the comment is what a change shows that only looks
    uplift.<change>                             ERROR where something went wrong in measuring
"""

import datetime
import hashlib
import json
import re

from ..base import errors
from . import dossier


VERSION = {"major": 5, "minor": 0}	# nothing that later minor versions added is used
VERDICTS = {"applicable": "PASS", "native": "SKIP", "unaffected": "SKIP", "unsupported": "SKIP", "unknown": "MISS"}
OUTCOMES = {"pass": "PASS", "fail": "FAIL", "skip": "SKIP", "xfail": "PASS", "xpass": "FAIL"}
EXCERPT = 16384


def word(text):
    """A word of a test's path: letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_") or "_"


def _time(text):
    """RFC 3339, with a zone."""
    found = datetime.datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)).isoformat()


class _Tests:
    def __init__(self, origin, build, run, common):
        self.origin, self.build, self.run, self.common, self.found = origin, build, run, common, []

    def add(self, *path, status, **more):
        """A test; what is None is left out."""
        path = ".".join(["uplift", *map(word, path)])
        self.found.append({"id": f"{self.origin}:{self.run}:{path}", "build_id": self.build, "origin": self.origin,
                           "path": path, "status": status, **self.common,
                           **{key: value for key, value in more.items() if value is not None}})


def _changes(tests, part):
    name = part["name"]
    verdict = part["verdict"]
    evidence = "\n".join(verdict["evidence"])[:EXCERPT]
    tests.add(name, "verdict", status=VERDICTS.get(verdict["kind"], "MISS"),
              comment=f"{verdict['kind']}: {part['title']}", log_excerpt=evidence or None, misc={"verdict": verdict["kind"], "upstream": part.get("upstream") or {}})
    correct = part.get("correctness")
    if correct:
        for test in correct["tests"]:
            tests.add(name, "tests", test["name"], status=OUTCOMES.get(test["outcome"], "ERROR"),
                      comment=test.get("reason") or None)
        if not correct["tests"] or (not correct["ok"] and all(test["outcome"] != "fail" for test in correct["tests"])):
            # what is wrong was seen beside the tests: a warning of the kernel, a stream that ended short
            tests.add(name, "tests", status="PASS" if correct["ok"] else "FAIL", comment=correct["summary"],
                      log_excerpt="\n".join(correct["problems"])[:EXCERPT] or None)
    for operation in part["operations"]:
        unit = operation["unit"]
        for arm, found in operation["summary"].items():
            tests.add(name, operation["name"], arm, status="DONE", number={"value": found["median"], "unit": unit},
                      misc={"low": found["low"], "high": found["high"], "rounds": operation["rounds"]})
        for arm, gain in operation["gains"].items():
            tests.add(name, operation["name"], f"{arm}_saves", status="DONE",
                      number={"value": gain["saves"]["median"], "unit": unit},
                      comment=dossier.claim(gain, unit) + (f": {gain['why']}" if gain["why"] else ""),
                      misc={"saves": gain["saves"], "percent": gain["percent"], "claim": gain["claim"]})
        for what in dossier.COSTS:
            if operation.get(what):
                tests.add(name, operation["name"], f"{what}_costs", status="DONE",
                          number={"value": operation[what]["median"], "unit": f"{unit}/call"},
                          comment=None if operation[what]["claim"] else "not measurable")
    for item in part.get("shows", ()):
        tests.add(name, "shows", item["name"], status="DONE", comment=item["text"])


def submission(data, origin="uplift"):
    """The submission, as what json.dumps() takes."""
    if not re.fullmatch("[a-z0-9_]+", origin):
        raise errors.Problem(f"an origin is small letters, digits and _, not '{origin}'", errors.USAGE)
    here = data["machine"]
    run = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    kernel = f"{here['release']}:{here.get('version') or 'unknown'}"
    time = _time(data["created"])
    checkout = {"id": f"{origin}:{kernel}", "origin": origin, "valid": True,
                "comment": here["kernel"] or here["release"]}
    if here.get("packages"):
        checkout["misc"] = {"packages": here["packages"]}
    build = {"id": f"{origin}:{kernel}", "checkout_id": checkout["id"], "origin": origin, "status": "PASS",
             "architecture": re.sub("[^a-z0-9_]", "_", here["arch"].lower()), "comment": "as the distribution built it",
             "misc": {"config": here["config"]}}
    compiler = re.search(r"\(((?:\S*gcc|clang)[^()]*(?:\([^()]*\))?[^,()]*)", here["kernel"])
    if compiler:
        build["compiler"] = compiler[1].strip()
    aside = {key: here[key] for key in ("cpu", "pinned", "governor", "turbo", "smt", "online", "smap", "mitigations",
                                        "hypervisor", "cmdline", "lockdown", "taint", "taint_after") if key in here}
    common = {"start_time": time, "environment": {"comment": here.get("cpu") or here.get("hypervisor") or "unknown",
                                                  "misc": aside}}
    tests = _Tests(origin, build["id"], run, common)
    for part in data["changes"]:
        _changes(tests, part)
    for problem in data["problems"]:
        name, colon, rest = problem.partition(": ")
        known = colon and any(part["name"] == name for part in data["changes"])
        tests.add(*([name] if known else []), status="ERROR", comment=rest if known else problem)
    return {"version": dict(VERSION), "checkouts": [checkout], "builds": [build], "tests": tests.found}
