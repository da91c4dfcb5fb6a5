# SPDX-License-Identifier: GPL-2.0-only
"""The commits between two kernels that touched a function, out of a clone of the kernel's repository."""

from __future__ import annotations

import pathlib
import subprocess

from ..base import errors
from ..generator.target import version_of_source
from ..report.history import Repository
from .ranking import Row


def tag(tree: pathlib.Path) -> str:
    """Of the release that a source tree begins with: v6.18 also for 6.18.15, whose fixes are in no line of the newer."""
    version, _ = version_of_source(tree)
    return f"v{version[0]}.{version[1]}"


def add(rows: list[Row], repository: Repository, old: pathlib.Path, new: pathlib.Path) -> None:
    """git's own eyes: which commits changed the lines between a function's first and last."""
    span = f"{tag(old)}..{tag(new)}"
    for end in (tag(old), tag(new)):
        if not repository.commit(end):
            raise errors.Problem(f"--git {repository.directory}: no {end} there: git fetch --tags", errors.USAGE)
    for row in rows:
        if row.gone:
            continue
        name = row.new_name.removeprefix("__x64_sys_")
        try:
            text = repository.git("log", "--no-merges", "--no-patch", "--format=%h %s", f"-L:{name}:{row.new_file}", span)
        except subprocess.CalledProcessError:
            continue		# git does not find where the function begins
        row.commits = text.splitlines()
