# SPDX-License-Identifier: GPL-2.0-only
"""How a command begins and ends: its exit status, Ctrl-C and SIGTERM."""

import contextlib
import os
import pathlib
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from . import console, errors

# Before the words of a command: it is killed when we end, in whatever way that is, so that it does not work on unseen.
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


_terminated_by = "Ctrl-C"


def _terminated(*_: object) -> None:
    global _terminated_by
    _terminated_by = "SIGTERM"
    # a parent that ends may send it again; cleaning up must not be interrupted by the second one
    signal.signal(signal.SIGTERM, lambda *_: None)
    # a child that was started a moment ago may not be recorded yet by the code that would end it
    for file in pathlib.Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):	# a thread that ended meanwhile
            for child in file.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGTERM)
    raise KeyboardInterrupt


def end_on_sigterm() -> None:
    """Treat SIGTERM as Ctrl-C and pass it to children: temporary files are removed, and no guest stays behind."""
    signal.signal(signal.SIGTERM, _terminated)


def _leave_stdout() -> None:
    """What could not be written to it is not tried again when the interpreter ends: that would be another exit status."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_main(main: Callable[..., int | None], *args: object) -> NoReturn:
    """Run a command's main() and exit. Problems, OS errors and Ctrl-C become one line and an exit status."""
    try:
        code = main(*args)
        sys.stdout.flush()
        sys.exit(errors.OK if code is None else code)
    except errors.Problem as problem:
        console.error(str(problem))
        sys.exit(problem.code)
    except BrokenPipeError:
        # the reader of our output went away, as `| head` does
        _leave_stdout()
        sys.exit(141)
    except OSError as problem:
        # a full disk, a build directory that cannot be written to
        console.error(errors.of_os(problem))
        _leave_stdout()
        sys.exit(errors.FAIL)
    except MemoryError:
        console.error("out of memory: is what was given what it should be?")
        sys.exit(errors.FAIL)
    except KeyboardInterrupt:
        console.error(f"stopped by {_terminated_by}; what was finished is kept, type the same again to go on")
        sys.exit(130)
