# SPDX-License-Identifier: GPL-2.0-only
"""Which header a struct is defined in: BTF does not tell."""

import os
import pathlib
import re
from collections.abc import Iterator

from ..base.errors import Problem

_ATTRIBUTES = r"(?:(?:__attribute__\s*\(\(.*?\)\)|__packed|__aligned\(\w+\))\s*)*"
_DEFINED = re.compile(rf"^[ \t]*(?:typedef\s+)?(struct|union)\s+{_ATTRIBUTES}(\w+)\s*{_ATTRIBUTES}\{{", re.MULTILINE)
_GROUPED = re.compile(r"\b__struct_group(?:_tagged)?\(\s*(\w+)\s*,")
_BEHIND = re.compile(rf"^\}}\s*{_ATTRIBUTES}(\w+)\s*{_ATTRIBUTES};", re.MULTILINE)
_UNNAMED = re.compile(rf"^typedef\s+(?:struct|union)\s*{_ATTRIBUTES}\{{", re.MULTILINE)
_KERNELS = ("asm-generic", "drm", "linux", "misc", "mtd", "rdma", "scsi", "sound", "video", "xen")
_INCLUDE = re.compile(r"^include (/\S+)/Makefile", re.MULTILINE)


def defined(directory: pathlib.Path) -> dict[str, str]:
    """{"struct foo": header, relative to the directory} of all that headers below it define."""
    found: dict[str, str] = {}
    for path in sorted(path for part in _parts(directory) for path in part.rglob("*.h")):
        text = path.read_text(errors="replace")
        for name in _names(text):
            found.setdefault(name, str(path.relative_to(directory)))
    return found


def _parts(directory: pathlib.Path) -> list[pathlib.Path]:
    """What of a directory is the kernel's: of /usr/include only some is."""
    if (directory / "stdio.h").exists():
        return [path for name in _KERNELS for path in (directory / name,) if path.is_dir()]
    return [directory]


def _names(text: str) -> Iterator[str]:
    for match in _DEFINED.finditer(text):
        yield f"{match[1]} {match[2]}"
    for match in _GROUPED.finditer(text):
        yield f"struct {match[1]}"
    if _UNNAMED.search(text):
        for match in _BEHIND.finditer(text):
            yield match[1]


def uapi(directory: pathlib.Path) -> pathlib.Path:
    """The UAPI headers of a kernel's headers or source, or of what /usr/include has; a Problem where there are none."""
    for name in ("include/uapi", "uapi", "."):
        candidate = directory / name
        if (candidate / "linux/types.h").is_file() and (name != "." or directory.name != "include" or not (directory / "uapi").exists()):
            return candidate
    raise Problem(f"no UAPI headers in {directory}: a kernel's headers or source is wanted (it has include/uapi/linux), "
                  "or /usr/include")


def of_release(release: str) -> pathlib.Path | None:
    """The headers of a kernel where distributions put them: with UAPI, so that of Debian's two directories the common one."""
    for path in (pathlib.Path(f"/lib/modules/{release}/source"), pathlib.Path(f"/lib/modules/{release}/build"),
                 pathlib.Path(f"/usr/src/linux-headers-{release}"), pathlib.Path(f"/usr/src/kernels/{release}")):
        for directory in (path, *_elsewhere(path)):
            if (directory / "include/uapi/linux/types.h").is_file():
                return directory
    return None


def _elsewhere(path: pathlib.Path) -> Iterator[pathlib.Path]:
    makefile = path / "Makefile"
    if os.access(makefile, os.R_OK):
        for match in _INCLUDE.findall(makefile.read_text(errors="replace")):
            yield pathlib.Path(match)


def found(releases: list[str], given: list[pathlib.Path]) -> list[pathlib.Path]:
    """Directories of headers: those given, or else the kernels' own, or else /usr/include; a Problem for none."""
    if given:
        return given
    own = [directory for directory in map(of_release, filter(None, releases)) if directory]
    if own:
        return own
    if pathlib.Path("/usr/include/linux/types.h").is_file():
        return [pathlib.Path("/usr/include")]
    raise Problem("no headers of these kernels here, which tell what is UAPI: --headers DIR names a kernel's headers or source")
