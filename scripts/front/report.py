# SPDX-License-Identifier: GPL-2.0-only
"""`uplift report`: a file of probe, bench or the lab's evaluation as text, Markdown, HTML, JSON and for KernelCI."""

import json
import os
import sys

from lab import paths, say

from . import dossier, form, kcidb


def _report(args):
    data = form.load(args.file)
    forms = {"text": dossier.text, "md": dossier.markdown, "html": dossier.page,
             "json": lambda found: json.dumps(found, indent=1) + "\n",
             "kcidb": lambda found: json.dumps(kcidb.submission(found, args.origin), indent=1) + "\n"}
    wrote = False
    for name, render in forms.items():
        where = getattr(args, name)
        if where is None:
            continue
        text = render(data)
        if where == "-":
            sys.stdout.write(text)
        else:
            paths.write(where, text)
            say.note(f"{name}: {os.path.relpath(where)}")
        wrote = True
    if not wrote:
        sys.stdout.write(dossier.text(data))
    return say.OK if data["ok"] else say.FAIL


def register(commands):
    """Add `uplift report`."""
    parser = commands.add_parser(
        "report", help="the dossier: text, Markdown, HTML, JSON, KernelCI",
        description="Render what `uplift bench --out`, `uplift probe --json` or `make run` (build/report/*.json) left. "
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
