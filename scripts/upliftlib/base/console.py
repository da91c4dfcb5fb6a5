# SPDX-License-Identifier: GPL-2.0-only
"""Progress, warnings and errors for the user, and how sizes are written.

All of it goes to stderr, so that stdout stays free for results (--json).
"""

import os
import shutil
import sys
import threading
import time

_start = time.monotonic()
_lock = threading.RLock()
_live = False		# is there an unfinished progress line on the terminal?


def _line(text: str) -> None:
    global _live
    with _lock:
        if _live:
            sys.stderr.write("\r\033[K")
            _live = False
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def stamp() -> str:
    """The time since the start, as progress lines begin with it."""
    return f"[{time.monotonic() - _start:5.0f} s]"


def note(text: str) -> None:
    """A line of information."""
    _line(f"{stamp()} {text}")


def warn(text: str) -> None:
    """A warning: the work continues."""
    _line(f"{stamp()} warning: {text}")


def error(text: str) -> None:
    """The line that a command ends with when it fails."""
    _line(f"uplift: {text}")


class doing:
    """with console.doing("text"): ... - a step with a line at its start and one at its end, however it ends. Steps nest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.result = "done"
        self.start = 0.0

    def __enter__(self) -> "doing":
        self.start = time.monotonic()
        note(f"{self.text} ...")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        result = self.result if kind is None else "stopped" if kind is KeyboardInterrupt else "failed"
        note(f"{self.text}: {result}, {time.monotonic() - self.start:.1f} s")


def draws() -> bool:
    """Does the terminal's locale have box-drawing characters? Python itself writes UTF-8 in the locale C."""
    name = next((value for key in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(key))), "")
    return name not in ("C", "POSIX") and "utf" in (sys.stdout.encoding or "").lower()


def size(count: float) -> str:
    """1234567 -> '1.2 MB'"""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


class waiting:
    """with console.waiting("text"): ... - a line now and then, so that long work that says nothing is seen to go on."""
    EVERY = 30.0		# seconds

    def __init__(self, text: str) -> None:
        self.text = text
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._say, daemon=True)

    def _say(self) -> None:
        while not self.over.wait(self.EVERY):
            note(f"{self.text}: still under way")

    def __enter__(self) -> "waiting":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


class Progress:
    """Progress of long work: rewritten in place on a terminal, a line every 10 s elsewhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.tty = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.next = time.monotonic() + (0.0 if self.tty else 10.0)

    def show(self, text: str) -> None:
        """Show the state, unless it was shown a moment ago."""
        global _live
        now = time.monotonic()
        if now < self.next:
            return
        if self.tty:
            with _lock:
                # a line that wraps could not be rewritten
                width = max(shutil.get_terminal_size().columns - 1, 20)
                sys.stderr.write("\r\033[K" + f"{stamp()} {self.label}: {text}"[:width])
                sys.stderr.flush()
                _live = True
            self.next = now + 0.5
        else:
            note(f"{self.label}: {text}")
            self.next = now + 10
