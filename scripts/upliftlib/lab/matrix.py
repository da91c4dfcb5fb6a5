# SPDX-License-Identifier: GPL-2.0-only
"""`make matrix`: evaluate every target in guests, and put them side by side.

What a target gave is kept, and taken again as long as kernel, modules, tests and what measures are the same; so that
whatever ends it, it goes on where it was. A target that fails is shown as failed, and evaluated again the next time.
"""

import hashlib
import json
import os
import pathlib
import shlex


from ..base import console, errors, paths, targets
from ..report import comparison, record
from . import buildroot, commands, evaluate, kmod, testprograms

# What decides what is found, beside kernel, modules and tests.
MEASURES = ("arms.py", "caches.py", "evaluate.py", "guest/*", "initramfs.py", "prediction.py", "proclist.py",
            "redirects.py", "selftests.py", "../kernel/log.py", "../kernel/complaints")


def state(target, kos, tests):
    """What an evaluation depends on, as one word."""
    lab = pathlib.Path(__file__).parent
    sum_ = hashlib.sha256(f"{target.release} {target.version}".encode())
    for path in (*sorted(kos), *sorted(path for path in tests.rglob("*") if path.is_file()),
                 *(path for name in MEASURES for path in sorted(lab.glob(name)) if path.is_file()),
                 *sorted(paths.TOP.glob("modules/**/about.toml"))):
        sum_.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return sum_.hexdigest()


def kept(path, wanted):
    """The evaluation that is there, if it is of this state, whole, and passed."""
    try:
        found = json.loads(path.read_text())
        if found["state"] == wanted and found["evaluation"]["ok"]:
            record.check(found["evaluation"])
            return found["evaluation"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def one(name, where, accel=None, again=False):
    """The matrix's entry for a target."""
    entry = {"reference": targets.TABLE[name].reference}
    try:
        target = commands.fetch.fetch(name)
        entry |= {"release": target.release, "version": target.version}
        now = state(target, kmod.build(target).values(), testprograms.build())
        path = where / f"{name}.json"
        data = None if again else kept(path, now)
        if data:
            console.note(f"{name}: evaluated already, {data['created']}")
        else:
            data = evaluate.evaluate(target, accel)
            paths.write(path, json.dumps({"state": now, "evaluation": data}, indent=1) + "\n")
        return entry | {"report": record.check(data)}
    except errors.Skip as reason:
        console.warn(f"skipped: {reason}")
        return entry | {"skipped": str(reason)}
    except errors.Problem as problem:
        console.error(str(problem))
        return entry | {"failed": str(problem)}
    except (OSError, ValueError, KeyError) as problem:
        # whatever is wrong with this one, the others are still to come
        console.error(f"{name}: {type(problem).__name__}: {problem}")
        return entry | {"failed": f"{type(problem).__name__}: {problem}"}


def _write(data, where):
    for suffix, text in (("json", json.dumps(data, indent=1) + "\n"), ("txt", comparison.text(data)),
                         ("md", comparison.markdown(data)), ("html", comparison.page(data))):
        paths.write(where.parent / f"matrix.{suffix}", text)


def _matrix(args):
    names = args.targets or list(targets.TABLE)
    for name in names:
        targets.evaluated(name)
    buildroot.ensure()
    where = paths.ensure(paths.REPORT / "matrix")
    data = comparison.new("make matrix" if not args.targets else f"make matrix TARGETS={shlex.quote(' '.join(names))}")
    for name in names:
        data["targets"][name] = one(name, where, args.accel, args.again)
        found = data["targets"].values()
        data["ok"] = all("report" not in target or target["report"]["ok"] for target in found) and not any(
            "failed" in target for target in found)
        _write(data, where)	# what there is so far
    print(json.dumps(data, indent=1) if args.json else comparison.text(data), end="\n" if args.json else "")
    console.note(f"this table: {os.path.relpath(where.parent)}/matrix.txt, .md, .html and .json")
    if not any("report" in target for target in data["targets"].values()) and data["ok"]:
        return errors.SKIP
    return errors.OK if data["ok"] else errors.FAIL


def register(commands_parser):
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
