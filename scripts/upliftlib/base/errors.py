# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong, and the exit status that tells it."""

OK, FAIL, USAGE, SKIP = 0, 1, 2, 4


class Problem(Exception):
    """Something a person has to know or do; printed as one line, never a traceback."""

    def __init__(self, message, code=FAIL):
        super().__init__(message)
        self.code = code


class Skip(Problem):
    """Cannot be had here, and nobody's fault: said, and the work goes on."""

    def __init__(self, message):
        super().__init__(message, SKIP)


def of_os(problem):
    """One line for an OSError."""
    return f"{problem.strerror or problem}" + (f": {problem.filename}" if problem.filename else "")
