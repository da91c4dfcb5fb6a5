# SPDX-License-Identifier: GPL-2.0-only
"""`uplift report`: a file of probe, bench or the lab's guests as text, Markdown, HTML, JSON and for KernelCI."""

import argparse
import functools
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any

from ..base import console, errors, paths
from . import comparison, dossier, kcidb, reading

Render = Callable[[Any], str]
# What came from somewhere may not speak to the terminal, and has to be writable.
UNFIT = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
NOT_WHOLE = (KeyError, TypeError, AttributeError, IndexError, ValueError, ArithmeticError, RecursionError)


def several(data: Any) -> bool:
    """Is it several kernels side by side?"""
    return isinstance(data, dict) and data.get("format") == comparison.FORMAT


def check(data: Any) -> Any:
    """A report, or several side by side."""
    return comparison.check(data) if several(data) else reading.check(data)


def _json(data: Any) -> str:
    return json.dumps(data, indent=1) + "\n"


def _kcidb(origin: str, data: Any) -> str:
    return _json(kcidb.of_several(data, origin) if several(data) else kcidb.submission(data, origin))


def _forms(data: Any, origin: str) -> dict[str, Render]:
    """{option: what renders that form}"""
    look = comparison if several(data) else dossier
    return {"text": look.text, "md": look.markdown, "html": look.page, "json": _json,
            "kcidb": functools.partial(_kcidb, origin)}


def _rendered(render: Render, data: Any, name: str) -> str:
    """A form of the report; what is no report after all is said to be none."""
    try:
        return UNFIT.sub("\ufffd", render(data))
    except NOT_WHOLE as problem:
        raise errors.Problem(f"{os.path.relpath(name)}: not a whole report: {type(problem).__name__}: "
                             + " ".join(str(problem).split()), errors.USAGE) from None


def _write(name: str, where: str, text: str) -> None:
    """A form to a file, or to standard output."""
    if where == "-":
        sys.stdout.write(text)
        return
    paths.write(pathlib.Path(where), text)
    console.note(f"{name}: {os.path.relpath(where)}")


def _report(args: argparse.Namespace) -> int:
    data = reading.load(args.file, check)
    forms = _forms(data, args.origin)
    wanted = {name: where for name in forms if (where := getattr(args, name)) is not None} or {"text": "-"}
    for name, where in wanted.items():
        if where != "-" and not pathlib.Path(where).absolute().parent.is_dir():
            raise errors.Problem(f"--{name} {where}: there is no such directory", errors.USAGE)
    for name, where in wanted.items():
        _write(name, where, _rendered(forms[name], data, args.file))
    return errors.OK if data["ok"] else errors.FAIL


def register(commands: Any) -> None:
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
                        help="the submitter's name, as agreed with KernelCI: small letters, digits, _ (uplift)")
    parser.set_defaults(func=_report)
