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
from . import comparison, dossier, forms, history, kcidb, reading

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


def _for_a_distribution(name: str, changes: list[str], bug: str, data: Any) -> str:
    if several(data):
        raise errors.Problem(f"--{name} takes the report of one kernel, not of several side by side", errors.USAGE)
    text = forms.render(name, data, changes, bug)
    if out := [part["name"] for part in data["changes"] if not changes and forms.left_out(name, data, part)]:
        console.note(f"--{name}: without {', '.join(out)}: harmful or not worth it; --change NAME takes one all the same")
    return text


def _forms(data: Any, args: argparse.Namespace) -> dict[str, Render]:
    """{option: what renders that form}"""
    look = comparison if several(data) else dossier
    found = {"text": look.text, "md": look.markdown, "html": look.page, "json": _json,
             "kcidb": functools.partial(_kcidb, args.origin)}
    return found | {name: functools.partial(_for_a_distribution, name, args.change, args.bug) for name in forms.FORMS}


def _together(files: list[str]) -> Any:
    """The report of the one file, or those of several side by side."""
    if files.count("-") > 1:
        raise errors.Problem("standard input can be read once", errors.USAGE)
    found = [reading.load(file, check) for file in files]
    return found[0] if len(found) == 1 else comparison.of(found)


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
    try:
        paths.write(pathlib.Path(where), text)
    except OSError as problem:
        # a full disk names no file
        raise errors.Problem(f"--{name} {where}: {problem.strerror or problem}") from None
    console.note(f"{name}: {os.path.relpath(where)}")


def _looked_up(data: Any, directory: str | None, base: str) -> None:
    """Put what a clone of the kernel's repository says into a report."""
    if directory is None:
        if base:
            raise errors.Problem("--base goes with --git", errors.USAGE)
        return
    repository = history.Repository(directory)
    reports = [target["report"] for target in data["targets"].values() if "report" in target] if several(data) else [data]
    for report in reports:
        for part in report["changes"]:
            part["history"] = history.look(part, repository, base, report["machine"]["release"])


def _check(args: argparse.Namespace) -> None:
    """Words that no form asked for would take."""
    if (args.change or args.bug) and all(getattr(args, name) is None for name in forms.FORMS):
        raise errors.Problem(f"--{'change' if args.change else 'bug'} goes with one of: "
                             + " ".join(f"--{name}" for name in forms.FORMS), errors.USAGE)


    if args.bug and not re.fullmatch("[0-9]+", args.bug):
        raise errors.Problem(f"--bug takes a number alone, not '{args.bug}'", errors.USAGE)


def _one_each(wanted: dict[str, str]) -> None:
    """Two forms to the same place: one would follow the other, or replace it."""
    for name, where in wanted.items():
        same = [f"--{other}" for other, there in wanted.items() if there == where]
        if len(same) > 1 and not (where != "-" and paths.special(pathlib.Path(where))):
            raise errors.Problem(f"{' '.join(same)}: each takes a file of its own, not all '{where}'", errors.USAGE)


def _report(args: argparse.Namespace) -> int:
    _check(args)
    data = _together(args.files)
    _looked_up(data, args.git, args.base)
    renders = _forms(data, args)
    wanted = {name: where for name in renders if (where := getattr(args, name)) is not None} or {"text": "-"}
    _one_each(wanted)
    for name, where in wanted.items():
        if where != "-" and not pathlib.Path(where).absolute().parent.is_dir():
            raise errors.Problem(f"--{name} {where}: there is no such directory", errors.USAGE)
    for name, where in wanted.items():
        _write(name, where, _rendered(renders[name], data, args.files[0]))
    return errors.OK if data["ok"] else errors.FAIL


def register(commands: Any) -> None:
    """Add `uplift report`."""
    parser = commands.add_parser(
        "report", help="the dossier: text, Markdown, HTML, JSON, KernelCI",
        description="Render what `uplift bench --out`, `uplift probe --json`, `make run` or `make matrix` "
                    "(build/report/*.json) left. "
                    "Without an option: text, to standard output. The FILE of an option may be - for standard output. "
                    "Status 1: what is reported has failed.")
    parser.add_argument("files", nargs="+", metavar="FILE.json",
                        help="what was measured; several kernels' are put side by side; - for standard input")
    for name, about in (("text", "text, for a mailing list"), ("md", "Markdown"),
                        ("html", "one HTML file with plots, which needs nothing else"),
                        ("kcidb", "a submission to KernelCI's database (KCIDB, version 5)"),
                        ("json", "the data, in the one form that the others are made from")):
        parser.add_argument(f"--{name}", metavar="FILE", help=about)
    for name, (_, about) in forms.FORMS.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=about)
    parser.add_argument("--change", metavar="NAME", action="append", default=[],
                        help=f"of --{' --'.join(forms.FORMS)}: this change only (those that could be shipped; "
                             "--mail: also those that are harmful or not worth it); may be given again")
    parser.add_argument("--bug", metavar="NUMBER", default="", help="of the same: the number of the bug, without a prefix")
    parser.add_argument("--git", metavar="DIR", help="a clone of the kernel's repository: what fixes or reverts the commits, "
                                                     "what they need, and which stable branches have them")
    parser.add_argument("--base", metavar="COMMIT", default="", help="where the kernel is in that clone (the tag vX.Y.Z of "
                                                                     "its version)")
    parser.add_argument("--origin", default="uplift", metavar="NAME",
                        help="the submitter's name, as agreed with KernelCI: small letters, digits, _ (uplift)")
    parser.set_defaults(func=_report)
