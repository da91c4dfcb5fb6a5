# SPDX-License-Identifier: GPL-2.0-only
"""Kernel images, and whether headers and modules belong to one.

The strongest fact: the type information (BTF) that the headers bring for building modules is, byte for byte, the one
inside the image. 6.1's headers bring none; there the modules' symbol CRCs are held against Module.symvers.
"""

import dataclasses
import pathlib
import re
import struct
import subprocess
from typing import NoReturn

from ..base import errors
from ..kernel import image
from . import kernels

SAMPLE = 25	# modules that are looked at, from all over the tree; what modprobe says of each is cheap

# Debian's headers package has these in .config though the signed build did without.
_CONFIG_OF_SIGNING = re.compile(r"CONFIG_(?:BUILD_SALT|MODULE_SIG_ALL|MODULE_SIG_KEY|SYSTEM_TRUSTED_KEYS)\b")


def vmlinux_of(path: pathlib.Path) -> bytes:
    """The ELF image inside a kernel's image."""
    try:
        return image.unpack(pathlib.Path(path).read_bytes())
    except ValueError as problem:
        raise errors.Problem(f"{path} {problem}", errors.USAGE) from None


def section_of(elf: bytes, wanted: str) -> bytes | None:
    """A section's bytes of a 64-bit little-endian ELF file, or None."""
    if elf[:6] != b"\x7fELF\x02\x01":
        return None
    table, = struct.unpack_from("<Q", elf, 0x28)
    entry, count, names = struct.unpack_from("<HHH", elf, 0x3a)
    header = [struct.unpack_from("<IIQQQQIIQQ", elf, table + i * entry) for i in range(count)]
    for section in header:
        start = header[names][4] + section[0]
        if elf[start:elf.index(b"\0", start)] == wanted.encode():
            return elf[section[4]:section[4] + section[5]]
    return None


def config_lines(path: pathlib.Path) -> set[str]:
    """The lines of a configuration that say what the kernel is, not how it was signed."""
    return {line for line in path.read_text().splitlines()
            if re.match(r"(# )?CONFIG_", line) and not _CONFIG_OF_SIGNING.search(line)}


def symvers(path: pathlib.Path) -> dict[str, int]:
    """{symbol: CRC} of Module.symvers; empty where the kernel was built without CRCs."""
    with open(path) as file:
        rows = [line.split("\t") for line in file]
    return {row[1]: int(row[0], 16) for row in rows if int(row[0], 16)}


def _modinfo(module: pathlib.Path, field: str) -> str:
    return subprocess.run(["modinfo", "-F", field, str(module)], text=True, stdout=subprocess.PIPE).stdout.strip()


@dataclasses.dataclass
class _Check:
    """Holds headers, configuration and modules of a target against its image; every method says what it found."""
    target: kernels.Target
    vmlinuz: pathlib.Path
    kdir: pathlib.Path

    def differ(self, what: str) -> NoReturn:
        raise errors.Problem(f"{self.kdir.name} does not belong to {self.vmlinuz}: {what}")

    def release(self) -> list[str]:
        release = image.release_of(self.vmlinuz)
        if release != self.target.release:
            self.differ(f"the image calls itself {release}")
        if f'"{release}"' not in (self.kdir / "include/generated/utsrelease.h").read_text():
            self.differ("another release in utsrelease.h")
        return ["release"]

    def configuration(self) -> list[str]:
        config = self.target.config
        if not config or config.parent == self.kdir:
            return []
        differing = config_lines(config) ^ config_lines(self.kdir / ".config")
        if differing:
            self.differ(f"configurations differ: {sorted(differing)[0]}")
        return ["configuration identical"]

    def types(self, elf: bytes) -> list[str]:
        theirs = self.kdir / "vmlinux"
        if not theirs.exists():
            return []
        ours = section_of(elf, ".BTF")
        if not ours or ours != section_of(theirs.read_bytes(), ".BTF"):
            self.differ("type information (BTF) differs from the image's")
        return [f"type information (BTF, {len(ours)} bytes) identical"]

    def modules(self, elf: bytes) -> list[str]:
        tree = self.target.moddir and self.target.moddir / "lib/modules" / self.target.release / "kernel"
        every = sorted(tree.rglob("*.ko*")) if tree else []
        some = every[::max(1, len(every) // SAMPLE)]
        if not some:
            return []
        crcs = symvers(self.kdir / "Module.symvers")
        compared = sum(self._module(module, crcs) for module in some)
        found = [f"{len(some)} modules of this release"]
        if compared:
            found.append(f"{compared} symbol CRCs of modules agree with Module.symvers")
        if all(_signed_by(module, elf) for module in some):
            found.append("modules signed with a key that is in the image")
        return found

    def _module(self, module: pathlib.Path, crcs: dict[str, int]) -> int:
        """How many of a module's symbol CRCs were compared, and agree."""
        built_for = _modinfo(module, "vermagic")
        if built_for.split()[:1] != [self.target.release]:
            self.differ(f"{module.name} was built for {built_for or 'nothing'}")
        said = subprocess.run(["modprobe", "--dump-modversions", str(module)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
        wanted = [(symbol, crc) for crc, symbol in (line.split() for line in said.splitlines()) if symbol in crcs]
        for symbol, crc in wanted:
            if int(crc, 16) != crcs[symbol]:
                self.differ(f"{module.name} wants {symbol} with CRC {crc}, Module.symvers has {crcs[symbol]:#010x}")
        return len(wanted)


def _signed_by(module: pathlib.Path, elf: bytes) -> bool:
    """Debian signs with a key made for this one build; is its certificate in the image?"""
    key = _modinfo(module, "sig_key").replace(":", "")
    return bool(key) and bytes.fromhex(key) in elf


def verify(target: kernels.Target) -> list[str]:
    """Do these headers describe this image? Returns what was checked, raises Problem on the first difference."""
    if not target.vmlinuz or not target.kdir:
        return []
    check = _Check(target, target.vmlinuz, target.kdir)
    found = check.release() + check.configuration()
    elf = vmlinux_of(target.vmlinuz)
    return found + check.types(elf) + check.modules(elf)
