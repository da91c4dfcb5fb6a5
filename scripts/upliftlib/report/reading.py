# SPDX-License-Identifier: GPL-2.0-only
"""Reports from files: whole ones of the form of today, and old ones, which become that."""

import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from ..base import changes, errors, paths
from . import legacy, record


def check(data: Any) -> record.Report:
    """A report read from somewhere: is it whole? Raises ValueError with what is wrong."""
    if not isinstance(data, dict) or "format" not in data:
        raise ValueError("no report of ours: it names no format")
    if data["format"] == legacy.FORMAT:
        data = legacy.report(data)
    if data["format"] != record.FORMAT:
        raise ValueError(f"format '{data['format']}', this program reads {record.FORMAT} and {legacy.FORMAT}")
    for key in ("created", "machine", "changes", "ok", "problems"):
        if key not in data:
            raise ValueError(f"'{key}' is missing")
    if not isinstance(data["machine"], dict) or not isinstance(data["changes"], list):
        raise ValueError("'machine' or 'changes' is of another kind than in a report")
    for part in data["changes"]:
        for key in ("name", "title", "verdict", "operations"):
            if not isinstance(part, dict) or key not in part:
                raise ValueError(f"a change without '{key}'")
        _with_upstream(part)
    whole: record.Report = data
    return whole


def _with_upstream(part: dict[str, Any]) -> None:
    """A report of before has no commit ids: those of the change of that name, with the date of their own."""
    known = part.setdefault("upstream", {})
    if isinstance(known, dict) and not known.get("commit") and isinstance(part["name"], str):
        try:
            change = changes.load().get(part["name"])
        except errors.Problem:
            return	# in a guest there are no changes' directories
        if change and known.get("linux") == change.upstream().get("linux"):
            part["upstream"] = change.upstream()
            part.setdefault("explains", change.about.get("explains", {}))


def _named(path: str | pathlib.Path) -> str:
    return "standard input" if path == "-" else os.path.relpath(path)


def load(path: str | pathlib.Path, reads: Callable[[Any], Any] = check) -> Any:
    """The report in a file; `reads` checks what is in it."""
    try:
        text = sys.stdin.read() if path == "-" else paths.read(path)
        if not text.strip():
            raise ValueError("no report of ours: it is empty")
        return reads(json.loads(text))
    except OSError as problem:
        raise errors.Problem(errors.of_os(problem), errors.USAGE) from None
    except json.JSONDecodeError as problem:
        raise errors.Problem(f"{_named(path)}: no report of ours: not JSON ({problem})", errors.USAGE) from None
    except UnicodeDecodeError:
        raise errors.Problem(f"{_named(path)}: no report of ours: not text", errors.USAGE) from None
    except RecursionError:
        raise errors.Problem(f"{_named(path)}: no report of ours: nested too deeply", errors.USAGE) from None
    except (ValueError, KeyError) as problem:
        raise errors.Problem(f"{_named(path)}: {problem}", errors.USAGE) from None
