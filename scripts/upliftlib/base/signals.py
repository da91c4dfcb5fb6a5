# SPDX-License-Identifier: GPL-2.0-only
"""How a command begins and ends: its exit status, Ctrl-C and SIGTERM."""

import contextlib
import os
import pathlib
import signal
import sys

from . import console, errors


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
        sys.exit(errors.OK if code is None else code)
    except errors.Problem as problem:
        console.error(str(problem))
        sys.exit(problem.code)
    except BrokenPipeError:
        # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as problem:
        # a full disk, a build directory that cannot be written to
        console.error(errors.of_os(problem))
        sys.exit(errors.FAIL)
    except KeyboardInterrupt:
        console.error("stopped by Ctrl-C; what was finished is kept, type the same again to go on")
        sys.exit(130)
