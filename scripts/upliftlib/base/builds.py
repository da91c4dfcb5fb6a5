# SPDX-License-Identifier: GPL-2.0-only
"""Builds that go on from what is there, as make does, and that may be interrupted at any moment.

A compiler that is killed leaves half an object, newer than its source, which make then takes for finished. So a mark lies
in the directory while a build is under way; where one is found, all files as new as it are removed first.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from . import console, errors, paths

MARK = ".unfinished"


def _since(directory: pathlib.Path, moment: int) -> list[pathlib.Path]:
    """Files below a directory that were written at that moment (nanoseconds) or later."""
    found = []
    for base, _, names in os.walk(directory):
        for name in names:
            path = pathlib.Path(base, name)
            if name != MARK and path.lstat().st_mtime_ns >= moment:
                found.append(path)
    return found


def forget_unfinished(directory: pathlib.Path) -> None:
    """Remove what an interrupted build has written."""
    mark = directory / MARK
    if not mark.exists():
        return
    left = _since(directory, mark.stat().st_mtime_ns)
    console.note(f"a build was interrupted in {directory}: removing the {len(left)} files that it had written")
    for path in left:
        path.unlink()
    mark.unlink()	# last: this may be interrupted as well


@contextlib.contextmanager
def unbroken(directory: pathlib.Path) -> Iterator[None]:
    """Around a build in a directory; the caller holds a lock on it.

    A Problem is an end of the build like any other: make has removed what failed. Only a build that was killed, or ended
    by Ctrl-C, leaves the mark.
    """
    forget_unfinished(paths.ensure(directory))
    mark = directory / MARK
    mark.touch()
    try:
        yield
    except errors.Problem:
        mark.unlink(missing_ok=True)
        raise
    mark.unlink(missing_ok=True)	# `lab clean`, or a build that began anew, may have removed it
