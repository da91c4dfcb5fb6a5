# SPDX-License-Identifier: GPL-2.0-only
"""`uplift report`: a file of probe, bench or the lab's evaluation as text, Markdown, HTML, JSON and for KernelCI."""

import json
import os
import pathlib
import re
import sys

from ..base import console, errors, paths
from . import comparison, dossier, kcidb, record



def _check(data):
    """A report, or several side by side."""
    if isinstance(data, dict) and data.get("format") == comparison.FORMAT:
        return comparison.check(data)
    return record.check(data)


def _submission(data, origin):
    """What KernelCI gets; of several kernels everything in one."""
    if data["format"] != comparison.FORMAT:
        return kcidb.submission(data, origin)
    whole = {"version": dict(kcidb.VERSION), "checkouts": [], "builds": [], "tests": []}
    for target in data["targets"].values():
        for key, found in (kcidb.submission(target["report"], origin) if "report" in target else {}).items():
            if key != "version":
                known = {one["id"] for one in whole[key]}
                whole[key] += [one for one in found if one["id"] not in known]
    return whole


def _rendered(render, data, name):
    """A form of the report; what is no report after all is said to be none."""
    try:
        # what came from somewhere may not speak to the terminal, and has to be writable
        return re.sub("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", render(data))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, ArithmeticError, RecursionError) as problem:
        raise errors.Problem(f"{os.path.relpath(name)}: not a whole report: {type(problem).__name__}: "
                          + " ".join(str(problem).split()), errors.USAGE) from None


def _report(args):
    data = record.load(args.file, _check)
    look = comparison if data["format"] == comparison.FORMAT else dossier
    forms = {"text": look.text, "md": look.markdown, "html": look.page,
             "json": lambda found: json.dumps(found, indent=1) + "\n",
             "kcidb": lambda found: json.dumps(_submission(found, args.origin), indent=1) + "\n"}
    for name in forms:
        where = getattr(args, name)
        if where not in (None, "-") and not pathlib.Path(where).absolute().parent.is_dir():
            raise errors.Problem(f"--{name} {where}: there is no such directory", errors.USAGE)
    wrote = False
    for name, render in forms.items():
        where = getattr(args, name)
        if where is None:
            continue
        text = _rendered(render, data, args.file)
        if where == "-":
            sys.stdout.write(text)
        else:
            paths.write(where, text)
            console.note(f"{name}: {os.path.relpath(where)}")
        wrote = True
    if not wrote:
        sys.stdout.write(_rendered(look.text, data, args.file))
    return errors.OK if data["ok"] else errors.FAIL


def register(commands):
    """Add `uplift report`."""
    parser = commands.add_parser(
        "report", help="the dossier: text, Markdown, HTML, JSON, KernelCI",
        description="Render what `uplift bench --out`, `uplift probe --json`, `make run` or `make matrix` "
                    "(build/report/*.json) left. "
                    "Without an option: text, to standard output. FILE may be - for standard output. "
                    "Status 1: what is reported has failed.")
    parser.add_argument("file", metavar="FILE.json", help="what was measured")
    for name, about in (("text", "text, for a mailing list"), ("md", "Markdown"),
                        ("html", "one HTML file with plots, which needs nothing else"),
                        ("kcidb", "a submission to KernelCI's database (KCIDB, version 5)"),
                        ("json", "the data, in the one form that the others are made from")):
        parser.add_argument(f"--{name}", metavar="FILE", help=about)
    parser.add_argument("--origin", default="uplift", metavar="NAME",
                        help="who submits, as agreed with KernelCI: small letters, digits, _ (uplift)")
    parser.set_defaults(func=_report)
