# SPDX-License-Identifier: GPL-2.0-only
"""What the lab takes of the host: scripts/setup has the list, and installs it; here it is done, or said, before a command
that was typed first on a fresh machine begins its work."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from ..base import console, errors, packages, paths

SETUP = paths.TOP / "scripts/setup"
WITHOUT = ("_list", "_clean")	# functions of commands that take nothing of it


def programs() -> list[str]:
    """What scripts/setup installs, by its programs."""
    try:
        found = re.search(r"^NEEDS='([^']*)'", SETUP.read_text(), re.MULTILINE)
    except OSError:
        return []
    return [need.partition(":")[0] for need in found[1].split()] if found else []


def check(func: Callable[..., Any]) -> None:
    """Nothing where all is there; else it is installed, as make does, or a Problem says what to type."""
    if func.__name__ in WITHOUT:
        return
    missing = [program for program in programs() if not shutil.which(program)]
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        console.note(f"not here yet: {' '.join(missing)}")
        if subprocess.run([str(SETUP)], stdin=subprocess.DEVNULL, check=False).returncode == 0:
            return
        raise errors.Problem("scripts/setup could not install what the lab takes, see above")
    words = packages.install(missing)
    raise errors.Problem(f"the lab takes {', '.join(missing)}: " + (f"{words}; " if words else "") + (
        "as root, scripts/setup installs it" if shutil.which("apt-get") else
        "it wants a Debian 12 or 13, which a container can be, see README, \"Without Debian\""), errors.USAGE)
