# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab verdicts`: does `uplift probe` give the right verdict for each change on each target?"""

import argparse
import functools
import json
from collections.abc import Mapping
from typing import Any

from ..base import changes, console, errors, parallel, paths, targets
from . import fetch, hostcommands, kmod


Asked = dict[str, Any] | errors.Problem		# what probe said of a target, or why it said nothing


def expected(target: str, change: str) -> str | None:
    """The verdict that a change must get on a target; None if nothing is known of it."""
    found = changes.load().get(change)
    return found.expected(target) or None if found else None


def judge(target: str, data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """[(change, verdict, problem or '')] of what probe said."""
    found = []
    for part in data["changes"]:
        name, verdict = part["name"], part["verdict"]
        wanted = expected(target, name)
        if wanted is None:
            problem = f"nothing is known of what it should be: [expect] in its about.toml begins after {target}"
        elif verdict["kind"] != wanted:
            problem = f"should be {wanted}; evidence: {'; '.join(verdict['evidence'])}"
        elif verdict["from"] != "module":
            problem = f"the module was not asked: {'; '.join(verdict['evidence'])}"
        else:
            problem = "" if verdict["evidence"] else "no evidence"
        found.append((name, verdict["kind"], problem))
    return found


def probe(name: str, accel: str | None = None) -> dict[str, Any]:
    """What `uplift probe --json` says in a guest of a target."""
    target = fetch.fetch(name, {"image", "modules", "headers", "slice"})
    result = hostcommands.boot(target, ["probe", "--yes", "--json"], kos=list(kmod.build(target).values()), accel=accel,
                       name=f"{name}-probe")
    text = result.output.read_text(errors="replace") if result.output.exists() else ""
    if not result.ok or "{" not in text:
        raise errors.Problem(f"probe on {name}: {result.problem() or 'no JSON'} ({result.console})")
    found: dict[str, Any] = json.loads(text[text.index("{\n"):])
    return found


def _verdicts(args: argparse.Namespace) -> int:
    passed = failed = skipped = 0
    report = {}
    for name in args.targets or list(targets.TABLE):
        targets.listed(name)

    def one(name: str) -> Asked:
        try:
            return probe(name, args.accel)
        except errors.Problem as problem:
            return problem

    def ended(name: str, result: Asked) -> None:
        nonlocal passed, failed, skipped
        if isinstance(result, errors.Skip):
            console.warn(f"skipped: {result}")
            skipped += 1
        elif isinstance(result, errors.Problem):
            print(f"FAIL {name}: {result}", flush=True)
            failed += 1
        else:
            report[name] = result
            for change, kind, wrong in judge(name, result):
                print(f"{'FAIL' if wrong else 'ok  '} {name:5} {change:8} {kind}" + (f": {wrong}" if wrong else ""),
                      flush=True)
                passed, failed = passed + (not wrong), failed + bool(wrong)

    names = args.targets or list(targets.TABLE)
    parallel.run({name: functools.partial(one, name) for name in names}, args.jobs, ended)
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    print(f"verdicts: {passed} passed, {failed} failed, {skipped} skipped")
    return errors.FAIL if failed else errors.OK if passed else errors.SKIP


def register(commands_: Any) -> None:
    """Add `uplift lab verdicts`."""
    parser = commands_.add_parser("verdicts", help="is what uplift probe says of every target right?",
                                  description="Run `uplift probe` in a guest of every target, and hold the verdicts "
                                              "against what is known of these kernels.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parallel.add_option(parser)
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), help="KVM or emulation (auto: KVM if a guest boots)")
    parser.add_argument("--json", metavar="FILE", help="write what probe said there")
    parser.set_defaults(func=_verdicts)
