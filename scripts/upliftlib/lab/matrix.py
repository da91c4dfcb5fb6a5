# SPDX-License-Identifier: GPL-2.0-only
"""`make matrix`: evaluate every target in guests, and put them side by side.

The report of a target is kept, and reused as long as kernel, modules, tests and measuring code are the same, so that
`make matrix` resumes after any interruption. A target that fails is shown as failed, and evaluated again the next time.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shlex
from collections.abc import Collection
from typing import Any

from ..base import console, errors, paths, targets
from ..report import comparison, reading, record
from . import buildroot, evaluate, fetch, kernels, kmod, testprograms


def _decides() -> list[pathlib.Path]:
    """The files that decide what is found, beside kernel, modules and tests: what measures and concludes, and what the
    changes' directories say of that."""
    package = paths.TOP / "scripts/upliftlib"
    return [*sorted(path for part in ("kernel", "lab", "report") for path in package.glob(f"{part}/**/*")
                    if path.is_file() and path.suffix != ".pyc"),
            *sorted(path for kind in ("about.toml", "*.sh", "*.py") for path in paths.TOP.glob(f"modules/**/{kind}"))]


def state(target: kernels.Target, kos: Collection[pathlib.Path], tests: pathlib.Path) -> str:
    """What an evaluation depends on, as one word."""
    total = hashlib.sha256(f"{target.release} {target.version}".encode())
    for path in (*sorted(kos), *sorted(path for path in tests.rglob("*") if path.is_file()), *_decides()):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def kept(path: pathlib.Path, wanted: str) -> record.Report | None:
    """The report that is there, if it is of this state, whole, and passed."""
    try:
        found = json.loads(path.read_text())
        if found["state"] == wanted and found["report"]["ok"]:
            return reading.check(found["report"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _evaluated(target: kernels.Target, path: pathlib.Path, accel: str | None, again: bool) -> record.Report:
    """A target's report, which is kept in a file; the one that is there already, if it may be taken."""
    now = state(target, kmod.build(target).values(), testprograms.build(target.arch))
    report = None if again else kept(path, now)
    if report:
        console.note(f"{target.name}: evaluated already, {report['created']}")
        return report
    report = evaluate.evaluate(target, accel)
    paths.write(path, json.dumps({"state": now, "report": report}, indent=1) + "\n")
    return report


def one(name: str, where: pathlib.Path, accel: str | None = None, again: bool = False) -> comparison.Target:
    """The matrix's entry for a target."""
    entry: comparison.Target = {"reference": targets.spec(name).reference}
    try:
        target = fetch.fetch(name)
        entry["release"], entry["version"] = target.release, target.version
        entry["report"] = _evaluated(target, where / f"{name}.json", accel, again)
    except errors.Skip as reason:
        console.warn(f"skipped: {reason}")
        entry["skipped"] = str(reason)
    except errors.Problem as problem:
        console.error(str(problem))
        entry["failed"] = str(problem)
    except (OSError, ValueError, KeyError) as problem:
        # whatever is wrong with this one, the others are still to come
        entry["failed"] = f"{type(problem).__name__}: {problem}"
        console.error(f"{name}: {entry['failed']}")
    return entry


def _write(data: comparison.Comparison, where: pathlib.Path) -> None:
    for suffix, text in (("json", json.dumps(data, indent=1) + "\n"), ("txt", comparison.text(data)),
                         ("md", comparison.markdown(data)), ("html", comparison.page(data))):
        paths.write(where.parent / f"matrix.{suffix}", text)


def _passed(target: comparison.Target) -> bool:
    """Was nothing wrong with it, as far as it could be had?"""
    return target["report"]["ok"] if "report" in target else "failed" not in target


def _matrix(args: argparse.Namespace) -> int:
    names = args.targets or list(targets.TABLE)
    for name in names:
        targets.spec(name)
    buildroot.ensure()
    where = paths.ensure(paths.REPORT / "matrix")
    data = comparison.new("make matrix" if not args.targets else f"make matrix TARGETS={shlex.quote(' '.join(names))}")
    for name in names:
        data["targets"][name] = one(name, where, args.accel, args.again)
        data["ok"] = all(map(_passed, data["targets"].values()))
        _write(data, where)	# what there is so far
    print(json.dumps(data, indent=1) if args.json else comparison.text(data), end="\n" if args.json else "")
    console.note(f"this table: {os.path.relpath(where.parent)}/matrix.txt, .md, .html and .json")
    if not any("report" in target for target in data["targets"].values()) and data["ok"]:
        return errors.SKIP
    return errors.OK if data["ok"] else errors.FAIL


def register(commands_parser: Any) -> None:
    """Add `uplift lab matrix`."""
    parser = commands_parser.add_parser("matrix", help="all targets side by side: what `make matrix` does",
                                        description="Evaluate targets in guests, one after the other, and render one "
                                                    "table. What was evaluated before is not evaluated again. "
                                                    "Status 1: one of them failed; 4: no target to be had.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--again", action="store_true", help="evaluate again what was evaluated before")
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), help="for the correctness guests (auto)")
    parser.add_argument("--json", action="store_true", help="print the data, not the text")
    parser.set_defaults(func=_matrix)
