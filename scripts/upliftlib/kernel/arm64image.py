# SPDX-License-Identifier: GPL-2.0-only
"""The arm64 kernel image, /boot/vmlinuz-*: its release, and an ELF file made of it.

The image is the kernel's bytes from _text on, without sections or symbols (Documentation/arch/arm64/booting.rst). Where it
is linked to follows from the size of its address space; what is where in it, from its own list of symbols.
"""

import pathlib
import re
import struct
import zlib

from ..base import errors
from . import kallsyms

# KIMAGE_VADDR with 48 bits of addresses and above: since 6.5 modules have 2 GiB below it, before 128 MiB.
_TEXT = (0xffff800080000000, 0xffff800008000000)
_PROGBITS, _STRTAB, _NOTE = 1, 3, 7
_ALLOC, _WRITE, _EXEC = 2, 1, 4
_MACHINE = 183


def is_image(data: bytes) -> bool:
    """Does a file that begins like this call itself an arm64 image?"""
    return data[0x38:0x3c] == b"ARM\x64"


def begins(data: bytes) -> bool:
    """The same of one that may be compressed, of which this is the beginning."""
    if data[:2] != b"\x1f\x8b":
        return is_image(data)
    try:
        return is_image(zlib.decompressobj(wbits=31).decompress(data, 64))
    except zlib.error:
        return False


def plain(data: bytes) -> bytes:
    """The image, decompressed if need be: a distribution may have it in gzip."""
    return zlib.decompressobj(wbits=31).decompress(data) if data[:2] == b"\x1f\x8b" else data


def release_of(vmlinuz: pathlib.Path) -> str:
    """The release that an image says it is: the first word of the kernel's banner behind its name."""
    found = re.search(rb"Linux version (\d\S*) \(", plain(vmlinuz.read_bytes()))
    if not found:
        raise errors.Problem(f"{vmlinuz} does not say which kernel it is", errors.USAGE)
    return found[1].decode()


def _listed(data: bytes) -> tuple[int, dict[str, int]]:
    """(where _text is, {name: address} of the symbols that bound sections)."""
    for text in _TEXT:
        try:
            found = list(kallsyms.symbols(data, text, text))
        except (kallsyms.NotFound, ValueError):
            continue
        return text, {name: address for address, _, name in found if name in _BOUNDS}
    raise ValueError("has no list of symbols in a form that is known")


_BOUNDS = ("_etext", "_sinittext", "_einittext", "__start_BTF", "__stop_BTF", "__start_notes", "__stop_notes", "_sdata",
           "_edata")


def unpack(data: bytes) -> bytes:
    """An ELF file of the image's bytes, with the sections that code, constants, types and notes are looked for in."""
    data = plain(data)
    if not is_image(data):
        raise ValueError("is no arm64 kernel image")
    text, at = _listed(data)
    end = text + len(data)
    rows = [(".text", _PROGBITS, _ALLOC | _EXEC, text, at["_etext"]),
            (".rodata", _PROGBITS, _ALLOC, at["_etext"], at["_sinittext"]),
            (".init.text", _PROGBITS, _ALLOC | _EXEC, at["_sinittext"], at["_einittext"]),
            (".data", _PROGBITS, _ALLOC | _WRITE, at["_einittext"], end)]
    for name, kind in (("notes", _NOTE), ("BTF", _PROGBITS)):
        if f"__start_{name}" in at:
            rows.append((f".{name}", kind, 0, at[f"__start_{name}"], at[f"__stop_{name}"]))
    return _elf(data, text, rows)


def _elf(data: bytes, text: int, rows: list[tuple[str, int, int, int, int]]) -> bytes:
    names = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in rows) + b".shstrtab\0"
    head = 64
    strings = head + len(data)
    table = strings + len(names) + 7 & ~7
    sections = [bytes(64)]
    for name, kind, flags, start, stop in rows:
        sections.append(struct.pack("<IIQQQQIIQQ", names.index(name.encode() + b"\0"), kind, flags, start,
                                    head + start - text, stop - start, 0, 0, 4, 0))
    sections.append(struct.pack("<IIQQQQIIQQ", names.index(b".shstrtab\0"), _STRTAB, 0, 0, strings, len(names), 0, 0, 1, 0))
    begin = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, _MACHINE, 1, text, 0, table, 0, 64, 0, 0, 64,
                                                      len(sections), len(sections) - 1)
    return (begin + data + names).ljust(table, b"\0") + b"".join(sections)
