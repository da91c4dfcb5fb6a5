# SPDX-License-Identifier: GPL-2.0-only
"""The compiler of an older Debian beside the build root's own, from the suite whose kernel was built with it.

Another release of the same compiler makes other code of some functions, and what is not the kernel's own code to the byte is
not used. The packages are unpacked, not installed: the programs find their parts from where they are, and the
libraries that they need are those of the root's compiler of the same name.
"""

from __future__ import annotations

import os
import pathlib

from ..base import console, errors, paths
from . import apt, archive, download, unpack

_PLACE, _BIN = "usr/local/lib/uplift", "usr/local/bin"


def parts(compiler: str) -> list[str]:
    """The packages that a compiler consists of, its own first."""
    number = compiler.rpartition("-")[2]
    return [compiler, f"cpp-{number}", f"libgcc-{number}-dev"]


def files(compiler: str, suite: str) -> list[archive.File]:
    """Its files in a suite's index, all of one release."""
    index = archive.Index(suite, apt.suite(suite)["packages"], apt.site(suite))
    first = index.newest(compiler)
    found = [index.file(package, first.version) for package in parts(compiler)] if first else [None]
    missing = [package for package, file in zip(parts(compiler), found) if not file]
    if missing:
        raise errors.Problem(f"{suite} has no {missing[0]}")
    return [file for file in found if file]


def install(root: pathlib.Path, compiler: str, suite: str) -> None:
    """Put a suite's compiler in front of the root's own of this name. Where it cannot be had, the latter serves."""
    try:
        wanted = files(compiler, suite)
        download.download(wanted)
    except errors.Problem as problem:
        console.warn(f"{problem}; {suite}'s kernels are compiled with another release of {compiler}")
        return
    place = root / _PLACE / f"{compiler}_{wanted[0].version}"
    if not place.exists():
        with paths.fresh_dir(place) as temp:
            for file in wanted:
                unpack.deb(file, temp)
    link = paths.ensure(root / _BIN) / compiler
    new = link.with_name(f".{compiler}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.relpath(place / "usr/bin" / compiler, link.parent))
    os.replace(new, link)


def release(root: pathlib.Path, compiler: str) -> str:
    """What tells it from another release: "" for the root's own."""
    link = root / _BIN / compiler
    return os.readlink(link) if link.is_symlink() else ""
