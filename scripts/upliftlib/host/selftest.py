# SPDX-License-Identifier: GPL-2.0-only
"""The change's own tests on the running kernel, for the dossier: selftests/<change>.sh, installed somewhere."""

import os
import pathlib
import subprocess

from ..base import changes, console, ktap
from ..report import record
from . import loader



def judge(text: str, status: int) -> record.Correctness:
    """What a script's KTAP and its exit status are worth, as a report has it."""
    found = ktap.parse(text)
    problems = list(found.problems)
    if status not in (0, 4) and not problems:
        problems.append(f"the script ended with status {status}")
    return {"ok": not problems, "summary": found.summary(), "problems": problems,
            "tests": [{"name": test.name, "outcome": test.outcome,
                       "reason": test.reason or (test.notes[-1] if test.outcome == "skip" and test.notes else "")}
                      for test in found.tests]}


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
        done = subprocess.run([str(script)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", env=environment)
        found = judge(done.stdout, done.returncode)
        doing.result = found["summary"]
    return found
