# SPDX-License-Identifier: GPL-2.0-only
"""ELF files: a section, and what a kernel module's file says of the module."""

import lzma
import pathlib
import re
import shutil
import struct
import subprocess
import zlib

from ..base import errors, packages, paths

Path = paths.Path

_NEEDED = 1		# DT_NEEDED


def section(elf: bytes, wanted: bytes) -> bytes | None:
    """A section of a 64-bit little-endian ELF file; None if it has none of the name."""
    if len(elf) < 0x40:
        return None
    offset, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3a)
    if len(elf) < offset + size * count or names >= count:
        return None		# cut off, as the headers stand at the end
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + index * size) for index in range(count)]
    strings = headers[names][4]
    for name, _, _, _, start, length in headers:
        if elf[strings + name:elf.index(b"\0", strings + name)] == wanted:
            return elf[start:start + length]
    return None


def needed(elf: bytes) -> list[str]:
    """The libraries that a dynamic program or library names; none of a static one, or of a script."""
    table, strings = section(elf, b".dynamic"), section(elf, b".dynstr")
    if elf[:6] != b"\x7fELF\x02\x01" or not table or not strings:
        return []
    found = []
    for tag, value in struct.iter_unpack("<qQ", table):
        if tag == _NEEDED:
            found.append(strings[value:strings.index(b"\0", value)].decode())
    return found


# Kernel modules.

def module_name(path: Path) -> str:
    """A module's name as the kernel has it: 'crc32c-intel' and 'crc32c_intel.ko.xz' are the same one."""
    return re.sub(r"\.ko(\.\w+)?$", "", pathlib.PurePosixPath(path).name).replace("-", "_")


def module(path: Path) -> bytes:
    """A module's file, decompressed. Debian's are plain (6.1) or xz (later)."""
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise errors.Problem(f"cannot read the module {path}: {error.strerror}", errors.USAGE) from None
    try:
        data = _decompress(path, data)
    except (lzma.LZMAError, zlib.error, subprocess.CalledProcessError) as error:
        raise errors.Problem(f"{path} does not decompress: {error}") from None
    if data[:4] != b"\x7fELF":
        raise errors.Problem(f"{path} is no kernel module")
    return data


def _decompress(path: pathlib.Path, data: bytes) -> bytes:
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.decompress(data)
    if data[:2] == b"\x1f\x8b":
        return zlib.decompress(data, wbits=31)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        if not shutil.which("zstd"):
            raise errors.Problem(f"{path.name} is compressed with zstd: {packages.missing('zstd')}")
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def modinfo(data: bytes, key: str) -> list[str]:
    """The values of a key in a module's .modinfo."""
    return [value.decode(errors="replace") for value in re.findall(rb"\0" + key.encode() + rb"=([^\0]*)", data)]


def built_for(data: bytes) -> str:
    """The kernel release that a module was built for; '' if it does not say."""
    magic = modinfo(data, "vermagic")
    return magic[0].split()[0] if magic and magic[0].split() else ""
