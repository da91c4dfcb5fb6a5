# SPDX-License-Identifier: GPL-2.0-only
"""The change's own tests on the running kernel, for the dossier: selftests/<change>.sh, installed somewhere."""

import os
import pathlib
import subprocess

from ..base import changes, console, errors, ktap
from ..report import record
from . import loader



def judge(text: str, status: int) -> record.Correctness:
    """What a script's KTAP and its exit status are worth, as a report has it."""
    found = ktap.parse(text)
    problems = list(found.problems)
    if status not in (0, 4) and not problems:
        problems.append(f"the script ended with status {status}")
    if status in (126, 127) and not found.tests:
        return not_run(f"the script ended with status {status}: {(text.strip().splitlines() or ['no word'])[-1]}")
    return {"ok": not problems, "summary": found.summary(), "problems": problems,
            "tests": [{"name": test.name, "outcome": test.outcome,
                       "reason": test.reason or (test.notes[-1] if test.outcome == "skip" and test.notes else "")}
                      for test in found.tests]}


def not_run(why: str) -> record.Correctness:
    """What is reported of tests that could not be run: an error, and no failure."""
    return {"ok": False, "summary": "not run", "problems": [why], "tests": [], "error": why}


def run(change: changes.Change, directory: str) -> record.Correctness | None:
    """Run a change's script; None if it has none."""
    script = pathlib.Path(directory) / f"{change.name}.sh"
    if not script.exists():
        return None
    environment = dict(os.environ)
    where = {found.parent for found in (loader.find(name)[0] for name in (loader.CORE, change.module)) if found}
    if len(where) == 1:
        environment["UPLIFT_KO_DIR"] = str(where.pop())
    with console.doing(f"{change.name}: selftests") as doing:
        try:
            done = subprocess.run([str(script)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", env=environment)
            found = judge(done.stdout, done.returncode)
        except OSError as problem:
            found = not_run(errors.of_os(problem))
        doing.result = found["summary"]
    return found
