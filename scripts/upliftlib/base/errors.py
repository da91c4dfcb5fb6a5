# SPDX-License-Identifier: GPL-2.0-only
"""Errors that a command reports in one line, and the exit statuses."""

import os
import sys
import types

from . import packages

OK, FAIL, USAGE, SKIP = 0, 1, 2, 4


class Problem(Exception):
    """An error for the user: what is wrong and what to do; printed as one line, never as a traceback."""

    def __init__(self, message: str, code: int = FAIL) -> None:
        super().__init__(message)
        self.code = code


class Skip(Problem):
    """Not available here, which is no failure: reported, and the work continues without it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, SKIP)


def _while_importing(kind: type[BaseException], problem: BaseException, trace: types.TracebackType | None) -> None:
    """signals.run_main() has one line for a Problem; this has it for one that a file of ours, read while an entry point is
    still being imported, gives rise to."""
    if isinstance(problem, Problem):
        print(f"{os.path.basename(sys.argv[0])}: {problem}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, problem, trace)


sys.excepthook = _while_importing


def of_os(problem: OSError) -> str:
    """One line for an OSError. A program that is not here has a package."""
    if isinstance(problem, FileNotFoundError) and isinstance(problem.filename, str) and "/" not in problem.filename and \
            problem.filename in packages.NAMES:
        return packages.missing(problem.filename)
    return f"{problem.strerror or problem}" + (f": {problem.filename}" if problem.filename else "")
