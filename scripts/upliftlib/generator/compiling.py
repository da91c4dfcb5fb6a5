# SPDX-License-Identifier: GPL-2.0-only
"""Files of a kernel's source compiled as its kernel's were: by the Makefile of their directory, which gives the flags.

The directory is taken for an external module's, below a tree of links to the pristine source in which only what is
changed is a file. How make is run (here, or in a build root) is left to the caller.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterable

from ..base import architectures
from ..base.architectures import Architecture
from .objects import Refused

# One section for each object (the code stays as it is), and the types for a look at layouts.
FLAGS = "-fdata-sections -gbtf -Wno-error"
# arm64's compiler reaches the objects of a section from one anchor, so that sections of their own would change the code.
_OF_ARCH = {architectures.ARM64: "-gbtf -Wno-error"}
_ERROR = re.compile(r"^(.*?:\d+:\d+: (?:fatal )?error: .*)$", re.MULTILINE)
_MAKE_ERROR = re.compile(r"^make(?:\[\d+\])?: \*\*\* (.*)$", re.MULTILINE)	# the first one is why there are others


class SourceTree:
    """A kernel's source, whole or as much of it as is needed."""

    def __init__(self, ksrc: pathlib.Path) -> None:
        self.ksrc = ksrc

    def overlay(self, root: pathlib.Path, changed: dict[str, str], files: list[str]) -> None:
        """A tree of links to the source, in which what is changed, and what is compiled, has directories of its own."""
        parents = {pathlib.Path(".")}
        for path in (*changed, *files):
            parents |= set(pathlib.Path(path).parents)
        for parent in sorted(parents):
            here = root / parent
            if here.is_symlink():
                here.unlink()
            here.mkdir(parents=True, exist_ok=True)
            for entry in os.scandir(self.ksrc / parent) if (self.ksrc / parent).is_dir() else ():
                link = here / entry.name
                if parent / entry.name in parents or str(parent / entry.name) in changed:
                    continue
                if link.is_symlink() and not link.exists():
                    link.unlink()	# the tree was moved since
                if not link.is_symlink() and not link.exists():
                    link.symlink_to(self.ksrc / parent / entry.name)
        for path, text in changed.items():
            file = root / path
            if file.is_symlink():
                file.unlink()
            if not file.exists() or file.read_text(errors="surrogateescape") != text:
                file.write_text(text, errors="surrogateescape")

    def made_in(self, path: str) -> pathlib.Path:
        """The directory whose Makefile makes a file's object."""
        file = pathlib.Path(path)
        for parent in file.parents:
            makefile = next((self.ksrc / parent / name for name in ("Kbuild", "Makefile")
                             if (self.ksrc / parent / name).is_file()), None)
            if makefile:
                name = re.escape(str(file.relative_to(parent).with_suffix(".o"))).replace("64", r"(?:64|\$\(BITS\))")
                if re.search(rf"(?<![\w/.-]){name}(?!\w)", makefile.read_text(errors="replace")):
                    return parent
        raise Refused(f"{path}: no Makefile of its directories makes an object of it")


def objects_of(files: Iterable[str], directory: pathlib.Path) -> list[str]:
    """What make is asked for, from the directory whose Makefile makes it."""
    return [str(pathlib.Path(path).relative_to(directory).with_suffix(".o")) for path in files]


def _configured(kdir: pathlib.Path, symbol: str) -> bool:
    """Is an option on in the configuration that headers have?"""
    config = kdir / ".config"
    text = config.read_text(errors="replace") if config.is_file() else ""
    return re.search(rf"^{symbol}=y$", text, re.MULTILINE) is not None


def arch_of(kdir: pathlib.Path) -> Architecture:
    """The architecture that the headers of a kernel are for, as their configuration says."""
    return architectures.ARM64 if _configured(kdir, "CONFIG_ARM64") else architectures.X86_64


def not_gcc(kdir: pathlib.Path) -> str:
    """Why no bodies are made for a kernel, if its compiler was another than gcc; "" if it was gcc."""
    if not _configured(kdir, "CONFIG_CC_IS_CLANG"):
        return ""
    return (f"the kernel of {kdir} was built with clang: changed functions are made for kernels built with gcc, as the types of "
            "a file, by which changed layouts are found, are asked of gcc (-gbtf)")


def flags(files: Iterable[str], directory: pathlib.Path, sources: Iterable[pathlib.Path],
          arch: Architecture = architectures.X86_64) -> str:
    """KCFLAGS: files have the names that they have from the top of the source. `sources`: where else headers lie."""
    names = [f"-fmacro-prefix-map={path}/=" for path in sources]
    names += [f"-fmacro-prefix-map={pathlib.Path(path).relative_to(directory)}={path}" for path in files]
    return " ".join([_OF_ARCH.get(arch, FLAGS), *names])


def reason(text: str, path: str) -> str:
    """Why a file was not compiled, in the compiler's own words; `text` is what make said."""
    said = _ERROR.findall(text) or _MAKE_ERROR.findall(text) or text.splitlines()[-3:]
    ours = [line for line in said if pathlib.PurePath(path).name in line] or said
    return (ours or ["make gave no reason"])[0]
