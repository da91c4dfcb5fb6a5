# SPDX-License-Identifier: GPL-2.0-only
"""The one question before anything is loaded, and colours on a terminal."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from . import console

COLOURS = {"applicable": 32, "native": 36, "unaffected": 36, "unsupported": 33, "unknown": 33, "gain": 32, "loss": 31,
           "ok": 32, "missing": 31, "note": 33}


def coloured(text: str, kind: str, stream: TextIO | None = None) -> str:
    """The text in the colour of its kind, where the stream is a terminal with colours."""
    stream = stream or sys.stdout
    if kind not in COLOURS or not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{COLOURS[kind]}m{text}\033[m"


def agreed(lines: Iterable[str], yes: bool) -> bool:
    """Say what will be done to this machine and ask; True to go on. Without a terminal only --yes agrees."""
    for line in lines:
        console.note(line)
    if yes:
        return True
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
