# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that bodies are made for: its headers, its source, its types, and its image where that can be read."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import zlib
from collections.abc import Sequence

from ..base.errors import Problem
from ..kernel import btf, elf, image, kallsyms
from . import compiling
from .identity import Kernel, read_symbols
from .objectbody import Exports, read_exports
from .objects import NOBITS, Object, Refused

Version = tuple[int, ...]


def _version(path: pathlib.Path, pattern: str, words: Sequence[str]) -> Version | None:
    """A version of three numbers in a file: (7, 1, 13); None if it is not there."""
    try:
        text = path.read_text()
    except OSError:
        return None
    found = [re.search(pattern % word, text, re.MULTILINE) for word in words]
    return tuple(int(match[1]) for match in found if match) if all(found) else None


def _extraversion(directory: pathlib.Path, depth: int = 3) -> str | None:
    """EXTRAVERSION as a tree's Makefile sets it ("", "-rc4"); None where there is none to be read.

    The Makefile of a build directory, and of a distribution's headers, may only include that of another directory.
    """
    try:
        text = (directory / "Makefile").read_text()
    except (OSError, ValueError):
        return None
    found = re.search(r"^EXTRAVERSION[ \t]*[:?]?=([^#\n]*)", text, re.MULTILINE)
    if found:
        return found[1].strip() if "$" not in found[1] else None
    included = re.search(r"^include[ \t]+([^\s$]+)/Makefile[ \t]*$", text, re.MULTILINE)
    return _extraversion(directory / included[1], depth - 1) if included and depth else None


def version_of_source(ksrc: pathlib.Path) -> tuple[Version, str | None]:
    """The version of a source tree: ((7, 1, 13), "")."""
    version = _version(ksrc / "Makefile", r"^%s = (\d+)$", ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    if not version:
        raise Problem(f"KSRC={ksrc} is no kernel source tree")
    return version, _extraversion(ksrc)


def version_of_headers(kdir: pathlib.Path) -> tuple[Version, str | None]:
    """The version that the headers are of, as version_of_source()."""
    version = _version(kdir / "include/generated/uapi/linux/version.h", r"^#define LINUX_VERSION_%s (\d+)$",
                       ("MAJOR", "PATCHLEVEL", "SUBLEVEL"))
    if not version:
        raise Problem(f"KDIR={kdir} is not configured: no version in include/generated/uapi/linux/version.h")
    return version, _extraversion(kdir)


def check_versions(ksrc: pathlib.Path, kdir: pathlib.Path) -> None:
    """Are source and headers of one version?"""
    (source_version, source_extra), (headers_version, headers_extra) = version_of_source(ksrc), version_of_headers(kdir)
    if source_version != headers_version:
        raise Problem("KSRC={} is the source of {}.{}.{}, and KDIR={} is for {}.{}.{}".format(
            ksrc, *source_version, kdir, *headers_version))
    if None not in (source_extra, headers_extra) and source_extra != headers_extra:
        raise Problem("KSRC={} is the source of {}.{}.{} with EXTRAVERSION '{}', and KDIR={} is for one with '{}'"
                      .format(ksrc, *source_version, source_extra, kdir, headers_extra))


def release_of(kdir: pathlib.Path) -> str:
    """The release that the headers are for; "" if they do not say."""
    built = kdir / "include/generated/utsrelease.h"
    of = re.search(r'UTS_RELEASE "([^"]+)"', built.read_text()) if built.is_file() else None
    return of[1] if of else ""


def find_btf(given: str, kdir: pathlib.Path) -> pathlib.Path:
    """The file that has the target's BTF."""
    running = pathlib.Path("/sys/kernel/btf/vmlinux")
    if given:
        path = pathlib.Path(given)
        if not path.is_file():
            raise Problem(f"BTF={given}: no such file")
        return path
    if (kdir / "vmlinux").is_file():
        return kdir / "vmlinux"
    of = release_of(kdir)
    if running.is_file() and of and of == pathlib.Path("/proc/sys/kernel/osrelease").read_text().strip():
        return running
    # one that is installed, and not running yet
    if of and os.access(image := pathlib.Path("/boot/vmlinuz-" + of), os.R_OK):
        return image
    raise Problem("the target's BTF is needed, to check private layouts against: BTF=FILE, a vmlinux, its .BTF "
                  "section or a bzImage (on a machine that runs it: /sys/kernel/btf/vmlinux)")


class NoBtf:
    """In place of a kernel's BTF where there is no kernel yet."""

    path, size, crc = "--btf none", 0, 0

    def __init__(self, function: str) -> None:
        self.functions = {function}

    def has(self, what: str) -> bool:
        """btf.Btf.has(): there are no types to ask."""
        raise Problem(f"--btf none: a [[static]] rule asks for '{what}' of the kernel's types")


Types = btf.Btf | NoBtf


def _unpacked(path: pathlib.Path, directory: pathlib.Path) -> pathlib.Path:
    """The ELF file of an image: itself, or what a bzImage has in it."""
    with open(path, "rb") as file:
        if not image.is_image(file.read(0x10000)):
            return path
    try:
        data = image.unpack(path.read_bytes())
    except ValueError as problem:
        raise Problem(f"{path} {problem}") from None
    found = directory / "vmlinux"
    found.write_bytes(data)
    return found


def image_in(path: pathlib.Path) -> Kernel | None:
    """The kernel's code and symbols, out of a vmlinux; None where a file has only types, as those of headers packages."""
    try:
        image = Object(path)
        code, data = image.section(".text"), image.section(".rodata")
        if not code or code.type == NOBITS or not data:
            return None
        return Kernel(path, _symbols(image))
    except Refused:
        return None


def _symbols(image: Object) -> dict[str, list[int]]:
    """The image's own list of symbols; or what a vmlinux that is not stripped has beside it."""
    code, data = image.section(".text"), image.section(".rodata")
    assert code and data
    try:
        found = kallsyms.symbols(image.bytes(data), data.address, code.address)
        return read_symbols(f"{address:x} {kind} {name}" for address, kind, name in found)
    except kallsyms.NotFound:
        return read_symbols(f"{symbol.value:x} t {symbol.name}" for symbol in image.symbols if symbol.defined and symbol.name)


class Target:
    """A kernel, and how a file of its source is compiled.

    make: what make needs beside its targets to build in the headers: -C, O=, CC= ...
    directory: for what is made on the way
    """

    def __init__(self, ksrc: pathlib.Path, kdir: pathlib.Path, btf_file: str, make: list[str],
                 directory: pathlib.Path) -> None:
        check_versions(ksrc, kdir)
        if why := compiling.not_gcc(kdir):
            raise Problem(why)
        self.ksrc, self.kdir, self.make, self.directory = ksrc, kdir, make, directory
        self.of = kdir.name
        self.tree, self.arch = compiling.SourceTree(ksrc), compiling.arch_of(kdir)
        found = find_btf(btf_file, kdir)
        vmlinux = _unpacked(found, directory)
        self.types: Types = btf.Btf(vmlinux)
        self.image = image_in(vmlinux) or (None if btf_file else self._installed())
        self.linked = False

    def _installed(self) -> Kernel | None:
        """The image in /boot, if it is the one that the types are of."""
        path = pathlib.Path(f"/boot/vmlinuz-{release_of(self.kdir)}")
        if not os.access(path, os.R_OK):
            return None
        vmlinux = _unpacked(path, self.directory)
        types = elf.section(vmlinux.read_bytes(), b".BTF") or b""
        return image_in(vmlinux) if (len(types), zlib.crc32(types)) == (self.types.size, self.types.crc) else None

    def exports(self) -> Exports:
        """What modules may link to."""
        listed = self.kdir / "Module.symvers"
        return read_exports(listed.read_text() if listed.is_file() else "")

    def compile(self, root: pathlib.Path, path: str, changed: dict[str, str]) -> Object:
        """The object of a file, `changed` in a tree of its own at `root`."""
        self.tree.overlay(root, changed, [path])
        directory = self.tree.made_in(path)
        name = compiling.objects_of([path], directory)[0]
        obj = root / directory / name
        obj.unlink(missing_ok=True)
        argv = ["make", *self.make, f"M={root / directory}",
                f"KCFLAGS={compiling.flags([path], directory, (*self._sources(), root), compiling.arch_of(self.kdir))}", name]
        environment = {word: os.environ[word] for word in ("PATH", "HOME", "TMPDIR") if word in os.environ}
        done = subprocess.run(argv, cwd=root / directory, env={**environment, "LC_ALL": "C"}, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        (root / ".uplift.log").write_text(done.stdout)
        if not obj.exists():
            raise Problem(f"{path} does not compile: {self._shown(compiling.reason(done.stdout, path), root)}")
        return Object(obj)

    def _sources(self) -> list[pathlib.Path]:
        """Where the kernel's own headers lie."""
        at = self.make.index("-C") + 1 if "-C" in self.make else 0
        return [pathlib.Path(self.make[at]) if at else self.kdir, self.ksrc]

    def _shown(self, text: str, root: pathlib.Path) -> str:
        for path in (root, *self._sources()):
            text = text.replace(f"{path}/", "")
        return text


class Linked(Target):
    """A kernel that is being built from the source, with the bodies in it: there is no image yet."""

    def __init__(self, ksrc: pathlib.Path, kdir: pathlib.Path, function: str, make: list[str],
                 directory: pathlib.Path) -> None:
        self.ksrc, self.kdir, self.make, self.directory = ksrc, kdir, make, directory
        self.of, self.tree, self.arch = ksrc.name, compiling.SourceTree(ksrc), compiling.arch_of(kdir)
        self.types, self.image, self.linked = NoBtf(function), None, True
