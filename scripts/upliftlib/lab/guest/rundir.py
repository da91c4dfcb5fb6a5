# SPDX-License-Identifier: GPL-2.0-only
"""The directory of a guest, build/guest/NAME: console, command, qemu.log, log/, out/."""

import contextlib
import fcntl
import pathlib
import re
from collections.abc import Iterator

from ...base import errors, paths

_MOST = 1000	# guests of one name that run at once


def check_name(name: str) -> None:
    """A guest's directory is replaced: its name must not lead anywhere else."""
    if not re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*", name):
        raise errors.Problem(f"a guest's name is letters, digits and . _ + -, not '{name}'", errors.USAGE)


@contextlib.contextmanager
def rundir(name: str) -> Iterator[pathlib.Path]:
    """A directory that no other boot uses meanwhile; one that is finished is replaced."""
    check_name(name)
    paths.ensure(paths.GUEST)
    for number in range(1, _MOST):
        path = paths.GUEST / (name if number == 1 else f"{name}.{number}")
        with open(paths.GUEST / f".lock-{path.name}", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            paths.remove(path)
            path.mkdir()
            yield path
            return
    raise errors.Problem(f"a thousand guests named '{name}' run already")
