# SPDX-License-Identifier: GPL-2.0-only
"""What the lab says to the person who waits: progress, errors, sizes.

All of it goes to stderr, so that stdout stays free for results (--json).
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import threading
import time

OK, FAIL, USAGE, SKIP = 0, 1, 2, 4

_start = time.monotonic()
_lock = threading.RLock()
_live = False		# is there an unfinished progress line on the terminal?


class Problem(Exception):
    """Something a person has to know or do; printed as one line, never a traceback."""

    def __init__(self, message, code=FAIL):
        super().__init__(message)
        self.code = code


class Skip(Problem):
    """Cannot be had here, and nobody's fault: said, and the work goes on."""

    def __init__(self, message):
        super().__init__(message, SKIP)


def _line(text):
    global _live
    with _lock:
        if _live:
            sys.stderr.write("\r\033[K")
            _live = False
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def stamp():
    return f"[{time.monotonic() - _start:5.0f} s]"


def note(text):
    """A line of information."""
    _line(f"{stamp()} {text}")


def warn(text):
    _line(f"{stamp()} warning: {text}")


def error(text):
    _line(f"uplift: {text}")


class doing:
    """with say.doing("text"): ... - a step that is ended whatever happens. Steps nest, and threads have their own."""

    def __init__(self, text):
        self.text = text
        self.result = "done"
        self.start = 0.0

    def __enter__(self):
        self.start = time.monotonic()
        note(f"{self.text} ...")
        return self

    def __exit__(self, kind, value, trace):
        result = self.result if kind is None else "stopped" if kind is KeyboardInterrupt else "failed"
        note(f"{self.text}: {result}, {time.monotonic() - self.start:.1f} s")


def size(count):
    """1234567 -> '1.2 MB'"""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


class Progress:
    """How far long work is: rewritten in place on a terminal, a line every 10 s elsewhere."""

    def __init__(self, label):
        self.label = label
        self.tty = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.next = time.monotonic() + (0 if self.tty else 10)

    def show(self, text):
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


def of_os(problem):
    """One line for an OSError."""
    return f"{problem.strerror or problem}" + (f": {problem.filename}" if problem.filename else "")


def _terminated(*_):
    # whoever started us may send it again, on the way out itself: what is being ended is not disturbed
    signal.signal(signal.SIGTERM, lambda *_: None)
    # what has just been started may not be known yet to the code that would end it
    for file in pathlib.Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):	# a thread that ended meanwhile
            for child in file.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGTERM)
    raise KeyboardInterrupt


def end_on_sigterm():
    """SIGTERM is like Ctrl-C from here on, and children get it as well: temporary things go, no guest stays behind."""
    signal.signal(signal.SIGTERM, _terminated)


def run_main(main, *args):
    """Run a command's main(); Problems and Ctrl-C become one line and an exit code."""
    try:
        code = main(*args)
        sys.stdout.flush()
        sys.exit(OK if code is None else code)
    except Problem as problem:
        error(str(problem))
        sys.exit(problem.code)
    except BrokenPipeError:
        # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as problem:
        # a full disk, a build directory that cannot be written to
        error(of_os(problem))
        sys.exit(FAIL)
    except KeyboardInterrupt:
        error("stopped by Ctrl-C; what was finished is kept, type the same again to go on")
        sys.exit(130)
