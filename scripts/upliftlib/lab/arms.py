# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab arms`: what an operation costs in every arm that the modules offer, in counted instructions; see measure.py."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from ..base import changes, console, errors, paths, targets
from ..report import record
from . import fetch, kmod, measure, testprograms

LABEL, CELL = 28, 11	# columns


def _row(label: str, cells: list[str]) -> str:
    return f"{label:{LABEL}}" + "".join(f"{cell:>{CELL}}" for cell in cells)


def _shown(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Of what the plugin counts: clac is always as often as stac."""
    return [what for what in next(iter(counts.values())) if what != "clac"]


def render(found: Mapping[str, measure.Found]) -> str:
    """Text for people."""
    there = {arm for one in found.values() for row in one.rounds.values() for arm in row}
    arms = [arm for arm in record.ARMS if arm in there]
    out = [f"{name}: {one.verdict.splitlines()[0] if one.verdict else 'no module, the stock kernel alone'}"
           for name, one in found.items()]
    out.append(_row("instructions", arms))
    for one in found.values():
        for operation, row in measure.least(one.rounds).items():
            out.append(_row(operation, [f"{row[arm]:.1f}" if arm in row else "-" for arm in arms]))
        for operation, counts in one.counts.items():
            for what in _shown(counts):
                out.append(_row(f"{operation} {what}", [str(counts[arm][what]) if arm in counts else "-" for arm in arms]))
    return "\n".join(out)


def _data(found: Mapping[str, measure.Found]) -> dict[str, Any]:
    """The same for --json, by operation."""
    return {"verdicts": {name: one.verdict for name, one in found.items()},
            "rounds": {name: row for one in found.values() for name, row in one.rounds.items()},
            "table": {name: row for one in found.values() for name, row in measure.least(one.rounds).items()},
            "counts": {name: row for one in found.values() for name, row in one.counts.items()}}


def _on(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """What a target gives, printed."""
    target = fetch.fetch(name, {"image", "modules"} | (set() if args.no_kos else {"headers", "slice"}))
    kos = [] if args.no_kos else list(kmod.build(target).values())
    tests = testprograms.build(target.arch)
    with console.doing(f"counting instructions in every arm on {target.release}"):
        found, _ = measure.all_together(changes.load().values(), target, kos, tests, args.rounds, always=True)
    print(f"\n{target.release}\n{render(found)}", flush=True)
    return _data(found)


def _arms(args: argparse.Namespace) -> int:
    names = args.targets or list(targets.TABLE)
    report, code = {}, errors.OK
    for name in names:
        targets.spec(name)
    for name in names:
        try:
            report[name] = _on(name, args)
        except errors.Skip as reason:
            console.warn(f"skipped: {reason}")
        except errors.Problem as problem:
            console.error(str(problem))
            code = errors.FAIL
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    return code if report or code else errors.SKIP


def register(commands_: Any) -> None:
    """Add `uplift lab arms`."""
    parser = commands_.add_parser("arms", help="instructions per operation, in every arm",
                                  description="Count instructions per operation in every arm that the modules offer, and "
                                              "user-memory accesses, fences and calls where a change's about.toml asks for them.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="through all arms (default: 3)")
    parser.add_argument("--no-kos", action="store_true", help="without our modules: the stock kernel")
    parser.add_argument("--json", metavar="FILE", help="write the samples there")
    parser.set_defaults(func=_arms)
