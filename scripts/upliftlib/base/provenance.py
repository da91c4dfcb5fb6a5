# SPDX-License-Identifier: GPL-2.0-only
"""Which uplift this is: its version, and the commit that it was made of."""

import functools
import re
import subprocess

from . import paths

CHANGED = "with changes that are not committed"


@functools.cache
def version() -> str:
    """The version; "unknown" in a guest, to which only the package is taken."""
    try:
        return (paths.TOP / "VERSION").read_text().strip()
    except OSError:
        return "unknown"


def _git(*words: str) -> str:
    """What git says of our tree; "" where that is no clone, or git is not there."""
    # A tree of another user's is read all the same: nothing in it is run.
    command = ["git", "-C", str(paths.TOP), "-c", f"safe.directory={paths.TOP}", "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@functools.cache
def commit() -> str:
    """The commit's id; "" where it is not known. What scripts/install installs has it in a file."""
    try:
        kept = (paths.TOP / "commit").read_text().strip()
    except OSError:
        kept = ""
    if kept:
        return kept
    if not (paths.TOP / ".git").exists():
        return ""	# a tarball below some other repository
    found = _git("rev-parse", "HEAD")
    return f"{found}, {CHANGED}" if found and _git("status", "--porcelain", "--untracked-files=no") else found


def short() -> str:
    """Version and commit, in a line."""
    found = re.sub(r"^([0-9a-f]{12})[0-9a-f]+", r"\1", commit())
    return f"{version()} (commit {found})" if found else f"{version()} (commit not known: no git clone)"


def as_data() -> dict[str, str]:
    """As reports have it."""
    return {"version": version(), "commit": commit()}
