# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab selftests`: selftests/ on stock kernels, in guests."""

import json
import os

from . import fetch, fslist, kmod, paths, say, selftests, targets


def run(name, form="short", smp=2, env=None):
    """What fslist.correctness() found on a target, with counts of every result at the bottom of the KTAP."""
    target = fetch.fetch(name)
    kos = list(kmod.build(target).values())
    environment = {"EXPECT": targets.TABLE[name].expect, "PERMANENT": "1"} | (env or {})
    with say.doing(f"selftests on {target.release}, {smp} CPUs") as doing:
        found = fslist.correctness(target, kos, selftests.build(), smp=smp, env=environment, form=form,
                                   timeout=900 if form == "short" else 3600)
        doing.result = found["summary"]
    return found


def _selftests(args):
    names = args.targets or list(targets.TABLE)
    for name in names:
        targets.spec(name)
    env = {"ONLY": args.only} if args.only else {}
    report = {}
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for name in names:
        try:
            found = run(name, args.form, args.smp, env)
        except say.Skip as reason:
            found = {"ok": True, "skipped": str(reason), "problems": [], "counts": {}}
        except say.Problem as problem:
            found = {"ok": False, "skipped": None, "problems": [str(problem)], "counts": {}}
        counts = found["counts"]
        row = {"passed": counts.get("pass", 0), "failed": counts.get("fail", 0),
               "skipped": counts.get("skip", 0) + bool(found["skipped"])}
        if not found["ok"] and not row["failed"]:
            row["failed"] = 1	# no test failed, and still something is wrong: a splat, a short stream
        for problem in found["problems"]:
            print(f"FAIL {name}: {problem}", flush=True)
        why = f" ({found['skipped']})" if found["skipped"] else ""
        print(f"selftests {name}: {row['passed']} passed, {row['failed']} failed, {row['skipped']} skipped{why}",
              flush=True)
        report[name] = found | row
        total = {key: total[key] + row[key] for key in total}
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    if total["failed"]:
        return say.FAIL
    return say.OK if total["passed"] else say.SKIP


def register(commands):
    """Add `uplift lab selftests`."""
    parser = commands.add_parser("selftests", help="run selftests/ on stock kernels, in guests",
                                 description="Run selftests/ on stock kernels, in guests.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--form", choices=("short", "long"), default="short", help="how long (default: short)")
    parser.add_argument("--smp", type=int, default=min(os.cpu_count() or 1, 4), metavar="N", help="CPUs of the guest")
    parser.add_argument("--only", metavar="NAMES", help="names of tests, blanks between")
    parser.add_argument("--json", metavar="FILE", help="write what was found there")
    parser.set_defaults(func=_selftests)
