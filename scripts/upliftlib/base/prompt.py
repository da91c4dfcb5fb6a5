# SPDX-License-Identifier: GPL-2.0-only
"""What is asked and shown on a terminal: one question before anything is loaded, and colours."""

import os
import sys

from . import console

COLOURS = {"applicable": 32, "native": 36, "unaffected": 36, "unsupported": 33, "unknown": 33, "gain": 32, "loss": 31,
           "ok": 32, "missing": 31, "note": 33}


def coloured(text, kind, stream=None):
    """The text in its kind's colour, on a terminal that may have colours."""
    stream = stream or sys.stdout
    if kind not in COLOURS or not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{COLOURS[kind]}m{text}\033[m"


def agreed(lines, yes):
    """Say what will be done to this machine; True if that is all right. Without a terminal only --yes agrees."""
    for line in lines:
        console.note(line)
    if yes:
        return True
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
