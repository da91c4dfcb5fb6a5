# SPDX-License-Identifier: GPL-2.0-only
"""A report as a submission to KernelCI's database: KCIDB's I/O schema, version 5.

One checkout (the distribution's kernel: not a commit of git that we know, so no hash is claimed), one build of it, and
a test for each verdict, each test of ours that ran, and each figure:

    uplift.<change>.verdict                     PASS applicable; SKIP native, unaffected, unsupported; MISS not known
    uplift.<change>.tests.<test>                PASS, FAIL, SKIP
    uplift.<change>.<operation>.<arm>           DONE, the figure as number, with its unit
    uplift.<change>.<operation>.<arm>_saves     DONE, against null; the comment is what may be said of it
    uplift.<change>.<operation>.<what>_costs    DONE, what the redirect, or tracking, costs a call
    uplift.<change>.<operation>.<event>.<arm>   DONE, how often something happened in an operation
    uplift.<change>.shows.<what>                DONE, the comment is what a change shows that only looks
    uplift.<change>                             ERROR where something went wrong in measuring
"""

import dataclasses
import datetime
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, TypedDict

from ..base import errors
from . import comparison, dossier, record

VERSION = {"major": 5, "minor": 0}	# nothing that later minor versions added is used
VERDICTS = {"applicable": "PASS", "native": "SKIP", "unaffected": "SKIP", "unsupported": "SKIP", "unknown": "MISS"}
OUTCOMES = {"pass": "PASS", "fail": "FAIL", "skip": "SKIP", "xfail": "PASS", "xpass": "FAIL"}
EXCERPT = 16384
# What is told of a machine beside the CPU.
ASIDE = ("cpu", "pinned", "governor", "turbo", "smt", "online", "smap", "mitigations", "hypervisor", "cmdline", "lockdown",
         "taint", "taint_after")
Item = dict[str, Any]		# a checkout, a build or a test


class Submission(TypedDict):
    """What is submitted."""
    version: dict[str, int]
    checkouts: list[Item]
    builds: list[Item]
    tests: list[Item]


def word(text: str) -> str:
    """A word of a test's path: letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_") or "_"


def _time(text: str) -> str:
    """RFC 3339, with a zone."""
    found = datetime.datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)).isoformat()


@dataclasses.dataclass
class _Tests:
    """The tests of a submission."""
    origin: str
    build: str
    run: str
    common: Mapping[str, Any]
    found: list[Item] = dataclasses.field(default_factory=list)

    def add(self, *path: str, status: str, **more: Any) -> None:
        """A test; what is None is left out."""
        words = ".".join(["uplift", *map(word, path)])
        self.found.append({"id": f"{self.origin}:{self.run}:{words}", "build_id": self.build, "origin": self.origin,
                           "path": words, "status": status, **self.common,
                           **{key: value for key, value in more.items() if value is not None}})

    def figure(self, *path: str, value: float, unit: str, **more: Any) -> None:
        """A test that is a figure."""
        self.add(*path, status="DONE", number={"value": value, "unit": unit}, **more)


def _change(tests: _Tests, part: record.Part) -> None:
    """All that there is of a change."""
    verdict = part["verdict"]
    tests.add(part["name"], "verdict", status=VERDICTS.get(verdict["kind"], "MISS"),
              comment=f"{verdict['kind']}: {part['title']}",
              log_excerpt="\n".join(verdict["evidence"])[:EXCERPT] or None,
              misc={"verdict": verdict["kind"], "upstream": part.get("upstream") or {}})
    correct = part.get("correctness")
    if correct:
        _correctness(tests, part["name"], correct)
    for operation in part["operations"]:
        _operation(tests, part["name"], operation)
    for event in part.get("events") or ():
        for arm, count in event["arms"].items():
            tests.figure(part["name"], event["operation"], event["name"], arm, value=count, unit=event["name"])
    for item in part.get("shows", ()):
        tests.add(part["name"], "shows", item["name"], status="DONE", comment=item["text"])


def _correctness(tests: _Tests, name: str, correct: record.Correctness) -> None:
    for test in correct["tests"]:
        tests.add(name, "tests", test["name"], status=OUTCOMES.get(test["outcome"], "ERROR"),
                  comment=test.get("reason") or None)
    if not correct["tests"] or (not correct["ok"] and all(test["outcome"] != "fail" for test in correct["tests"])):
        # what is wrong was seen beside the tests: a warning of the kernel, a stream that ended short
        tests.add(name, "tests", status="PASS" if correct["ok"] else "FAIL", comment=correct["summary"],
                  log_excerpt="\n".join(correct["problems"])[:EXCERPT] or None)


def _operation(tests: _Tests, name: str, operation: record.Operation) -> None:
    unit, of = operation["unit"], operation["name"]
    for arm, found in operation["summary"].items():
        tests.figure(name, of, arm, value=found["median"], unit=unit,
                     misc={"low": found["low"], "high": found["high"], "rounds": operation["rounds"]})
    for arm, gain in operation["gains"].items():
        tests.figure(name, of, f"{arm}_saves", value=gain["saves"]["median"], unit=unit,
                     comment=dossier.claim(gain, unit) + (f": {gain['why']}" if gain["why"] else ""),
                     misc={"saves": gain["saves"], "percent": gain["percent"], "claim": gain["claim"]})
    for what, cost in (("redirect", operation.get("redirect")), ("tracking", operation.get("tracking"))):
        if cost:
            tests.figure(name, of, f"{what}_costs", value=cost["median"], unit=f"{unit}/call",
                         comment=None if cost["claim"] else "not measurable")


def _checkout(data: record.Report, origin: str, kernel: str) -> Item:
    """The distribution's kernel."""
    here = data["machine"]
    checkout = {"id": kernel, "origin": origin, "valid": True, "comment": here["kernel"] or here["release"]}
    return checkout | ({"misc": {"packages": here["packages"]}} if here.get("packages") else {})


def _build(data: record.Report, origin: str, kernel: str) -> Item:
    """The one build of it."""
    here = data["machine"]
    build = {"id": kernel, "checkout_id": kernel, "origin": origin, "status": "PASS",
             "architecture": re.sub("[^a-z0-9_]", "_", here["arch"].lower()), "comment": "as the distribution built it",
             "misc": {"config": here["config"]}}
    compiler = dossier.compiler(here["kernel"])
    return build | ({"compiler": compiler} if compiler else {})


def _common(data: record.Report) -> dict[str, Any]:
    """What all tests say: when, and where."""
    here = data["machine"]
    return {"start_time": _time(data["created"]),
            "environment": {"comment": here.get("cpu") or here.get("hypervisor") or "unknown",
                            "misc": {key: here[key] for key in ASIDE if key in here}}}


def _problem(tests: _Tests, names: Collection[str], problem: str) -> None:
    """Something went wrong in measuring, with one of the changes or with all."""
    name, colon, rest = problem.partition(": ")
    if colon and name in names:
        tests.add(name, status="ERROR", comment=rest)
    else:
        tests.add(status="ERROR", comment=problem)


def submission(data: record.Report, origin: str = "uplift") -> Submission:
    """The submission, as what json.dumps() takes."""
    if not re.fullmatch("[a-z0-9_]+", origin):
        raise errors.Problem(f"an origin is small letters, digits and _, not '{origin}'", errors.USAGE)
    here = data["machine"]
    kernel = f"{origin}:{here['release']}:{here.get('version') or 'unknown'}"
    run = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    tests = _Tests(origin, kernel, run, _common(data))
    for part in data["changes"]:
        _change(tests, part)
    for problem in data["problems"]:
        _problem(tests, {part["name"] for part in data["changes"]}, problem)
    return {"version": dict(VERSION), "checkouts": [_checkout(data, origin, kernel)],
            "builds": [_build(data, origin, kernel)], "tests": tests.found}


def of_several(data: comparison.Comparison, origin: str) -> Submission:
    """What is submitted of several kernels: everything in one."""
    whole: Submission = {"version": dict(VERSION), "checkouts": [], "builds": [], "tests": []}
    for target in data["targets"].values():
        if "report" in target:
            found = submission(target["report"], origin)
            for there, more in ((whole["checkouts"], found["checkouts"]), (whole["builds"], found["builds"]),
                                (whole["tests"], found["tests"])):
                known = {one["id"] for one in there}
                there += [one for one in more if one["id"] not in known]
    return whole
