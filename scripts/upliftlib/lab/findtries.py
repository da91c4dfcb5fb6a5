# SPDX-License-Identifier: GPL-2.0-only
"""`uplift find --try N`: the first functions' own patches, made of the two trees, and what became of each."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from ..base import console, errors
from ..find import ranking, show, unit
from . import foreseen, tries, trial
from .derived import Trees
from .kernelcode import KernelCode


def _one(code: KernelCode, row: ranking.Row, found: ranking.Ranking, tree: unit.Tree, newer: pathlib.Path, only: str) -> dict[str, Any]:
    """The form that the compiler takes; where it takes none, the newer tree's whole form, once: the kernel's own build has the last word."""
    form = foreseen.form(row, tree, newer)
    if not form.wanted:
        return {"patch": row.name, "from": "", "outcome": "no patch", "reason": form.why, "foreseen": form.why}
    rounds = 0 if form.why else tries.MOST_ROUNDS
    tried, outcome = tries.tried(code, Trees(str(tree.source), str(form.newer)), form.wanted, only, rounds)
    if tried and tried.report:
        tried.report["changes"][0]["found"] = [show.place(found, row)]
        trial.show(argparse.Namespace(json=True), tried, tried.outcome)
    return outcome | {"from": form.newer.name, "foreseen": form.why}


def run(code: KernelCode, found: ranking.Ranking, tree: unit.Tree, newer: pathlib.Path, count: int, only: str) -> list[dict[str, Any]]:
    """A row for each of the first functions; one that fails does not end the others."""
    rows = []
    for rank, row in enumerate(found.rows[:count], 1):
        with console.doing(f"{rank} of {min(count, len(found.rows))}: {row.name}()") as doing:
            try:
                outcome = _one(code, row, found, tree, newer, only)
            except errors.Problem as problem:
                outcome = {"patch": row.name, "from": newer.name, "outcome": "failed", "reason": str(problem).splitlines()[0]}
            doing.result = f"{outcome['outcome']}{': ' if outcome['reason'] else ''}{outcome['reason']}"
        rows.append(outcome | {"rank": rank, "share": round(row.share, 2)})
    return rows
