# SPDX-License-Identifier: GPL-2.0-only
"""A report as a submission to KernelCI's database: KCIDB's I/O schema, version 5.

One checkout (the distribution's kernel: not a commit of git that we know, so no hash is claimed), one build of it, and
a test for each verdict and each test of ours that ran. Figures are values of one more test of their change. Checkout and
build name uplift's commit, a verdict that of the change.

    uplift.<change>.verdict                     PASS applicable; SKIP native, unaffected, unsupported; MISS not known
    uplift.<change>.tests.<test>                PASS, FAIL, SKIP
    uplift.<change>.figures                     DONE, the largest gain or loss as number, the decision as comment; misc has
                                                every operation's arms, gains, costs and counts, as values
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
from . import comparison, decision, dossier, record

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


def _change(tests: _Tests, part: record.Part, machine: dict[str, Any]) -> None:
    """All that there is of a change."""
    verdict = part["verdict"]
    tests.add(part["name"], "verdict", status=VERDICTS.get(verdict["kind"], "MISS"),
              comment=f"{verdict['kind']}: {part['title']}",
              log_excerpt="\n".join(verdict["evidence"])[:EXCERPT] or None,
              misc={"verdict": verdict["kind"], "upstream": _upstream(part),
                    **({"shows": {item["name"]: item["text"] for item in part["shows"]}} if part.get("shows") else {})})
    correct = part.get("correctness")
    if correct:
        _correctness(tests, part["name"], correct)
    _figures(tests, part, machine)


def _correctness(tests: _Tests, name: str, correct: record.Correctness) -> None:
    for test in correct["tests"]:
        tests.add(name, "tests", test["name"], status=OUTCOMES.get(test["outcome"], "ERROR"),
                  comment=test.get("reason") or None)
    if not correct["tests"] or (not correct["ok"] and all(test["outcome"] != "fail" for test in correct["tests"])):
        # what is wrong was seen beside the tests: a warning of the kernel, a stream that ended short
        status = "PASS" if correct["ok"] else "ERROR" if decision.tests(correct) == decision.ERROR else "FAIL"
        tests.add(name, "tests", status=status, comment=correct["summary"],
                  log_excerpt="\n".join(correct["problems"])[:EXCERPT] or None)


def _upstream(part: record.Part) -> Item:
    """The change's commit; what goes with it stands in the dossier."""
    return {key: value for key, value in (part.get("upstream") or {}).items() if isinstance(value, str)}


def _figures(tests: _Tests, part: record.Part, machine: dict[str, Any]) -> None:
    """All that was measured of a change, as values of one test."""
    if not part["operations"]:
        return
    found = [row for row in decision.upstreams(part) if row[2]["claim"] != "none"]
    values = {operation["name"]: _values(operation) for operation in part["operations"]}
    for event in part.get("events") or ():
        values.setdefault(event["operation"], {}).setdefault("counted", {})[event["name"]] = event["arms"]
    number = None
    if found:
        operation, _, gain = max(found, key=lambda row: abs(row[2]["percent"]["median"]))
        number = {"value": gain["saves"]["median"], "unit": operation["unit"]}
    tests.add(part["name"], "figures", status="DONE", number=number, comment=decision.decide(part, machine).sentence,
              misc={"operations": values})


def _values(operation: record.Operation) -> Item:
    """An operation's figures."""
    costs = {key: cost["median"] for key, cost in (("redirect", operation["redirect"]), ("tracking", operation["tracking"]))
             if cost and cost["claim"]}
    return {"unit": operation["unit"], "rounds": operation["rounds"],
            "arms": {arm: [found["median"], found["low"], found["high"]] for arm, found in operation["summary"].items()},
            "saves": {arm: {"claim": gain["claim"], "percent": gain["percent"]["median"], "value": gain["saves"]["median"]}
                      for arm, gain in operation["gains"].items()}, **({"costs_a_call": costs} if costs else {})}


def _checkout(data: record.Report, origin: str, kernel: str) -> Item:
    """The distribution's kernel."""
    here = data["machine"]
    checkout = {"id": kernel, "origin": origin, "valid": True, "comment": here["kernel"] or here["release"]}
    misc = {"packages": here.get("packages"), "build_id": here.get("build_id"), "uplift": data.get("uplift")}
    return checkout | {"misc": {key: value for key, value in misc.items() if value}}


def _build(data: record.Report, origin: str, kernel: str) -> Item:
    """The one build of it."""
    here = data["machine"]
    build = {"id": kernel, "checkout_id": kernel, "origin": origin, "status": "PASS",
             "architecture": re.sub("[^a-z0-9_]", "_", here["arch"].lower()), "comment": "as the distribution built it",
             "misc": {"config": here["config"], "uplift": data.get("uplift") or {}}}
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
        _change(tests, part, here)
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
