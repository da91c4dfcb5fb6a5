# SPDX-License-Identifier: GPL-2.0-only
"""arm64's instructions as far as bodies need them: what refers to something, what branches, what returns.

All instructions have four bytes, so that no disassembler is needed. An address is made of two of them, as a rule: adrp has the
page, a later one the place in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

MACHINE = 183

# Relocations (AArch64 ELF); none has a number of x86's.
ABS64, ABS32, PREL64, PREL32 = 257, 258, 260, 261
ADR_LO21, ADR_PAGE, ADR_PAGE_NC, ADD_LO12, LDST8_LO12 = 274, 275, 276, 277, 278
TSTBR14, CONDBR19, JUMP26, CALL26 = 279, 280, 282, 283
LDST16_LO12, LDST32_LO12, LDST64_LO12, LDST128_LO12 = 284, 285, 286, 299

DATA = {ABS64: 8, ABS32: 4, PREL64: 8, PREL32: 4}
PAGES = (ADR_PAGE, ADR_PAGE_NC)
# The place in a page, counted in 1 << this bytes.
LO12 = {ADD_LO12: 0, LDST8_LO12: 0, LDST16_LO12: 1, LDST32_LO12: 2, LDST64_LO12: 3, LDST128_LO12: 4}
BRANCHES = (JUMP26, CALL26, CONDBR19, TSTBR14)
KNOWN = {*DATA, *PAGES, *LO12, *BRANCHES}

# {relocation: (lowest bit, bits) of the fields, from the value's lowest bit on}
_FIELDS = {ADR_PAGE: ((29, 2), (5, 19)), ADR_PAGE_NC: ((29, 2), (5, 19)), JUMP26: ((0, 26),), CALL26: ((0, 26),),
           CONDBR19: ((5, 19),), TSTBR14: ((5, 14),), **{kind: ((10, 12),) for kind in LO12}}

NOP, BTI_C, PACIASP = 0xd503201f, 0xd503245f, 0xd503233f
_RET_MASK, _RET, _BR = 0xfffffc1f, 0xd65f0000, 0xd61f0000
# What returns or goes on by an authenticated register: retaa, retab, braa ...
_AUTHENTICATED = 0xfe9ff800, 0xd61f0800


def blank(data: bytearray, at: int, kind: int) -> None:
    """Remove from an instruction, or from data, what a relocation fills in."""
    if kind in DATA:
        data[at:at + DATA[kind]] = bytes(DATA[kind])
        return
    word, = struct.unpack_from("<I", data, at)
    for low, bits in _FIELDS[kind]:
        word &= ~((1 << bits) - 1 << low)
    struct.pack_into("<I", data, at, word)


def _field(word: int, kind: int) -> int:
    """The value that an instruction's fields have, without a sign."""
    value = shift = 0
    for low, bits in _FIELDS[kind]:
        value |= (word >> low & (1 << bits) - 1) << shift
        shift += bits
    return value


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def value(data: bytes, at: int, kind: int, address: int) -> int:
    """Where a reference leads that stands at `address`; of adrp the page, of what follows it the place in the page."""
    if kind in DATA:
        found = int.from_bytes(data[at:at + DATA[kind]], "little", signed=True)
        return found + (address if kind in (PREL64, PREL32) else 0)
    word, = struct.unpack_from("<I", data, at)
    field = _field(word, kind)
    if kind in PAGES:
        return (address & ~0xfff) + (_signed(field, 21) << 12)
    if kind in LO12:
        return field << LO12[kind]
    return address + 4 * _signed(field, sum(bits for _, bits in _FIELDS[kind]))


def branch(word: int) -> tuple[int, int] | None:
    """(relocation that it would have, distance in bytes) of a branch or call to a place; None for anything else."""
    if word & 0x7c000000 == 0x14000000:
        return (CALL26 if word >> 31 else JUMP26), 4 * _signed(word & 0x3ffffff, 26)
    if word & 0xff000000 == 0x54000000 or word & 0x7e000000 == 0x34000000:
        return CONDBR19, 4 * _signed(word >> 5 & 0x7ffff, 19)
    if word & 0x7e000000 == 0x36000000:
        return TSTBR14, 4 * _signed(word >> 5 & 0x3fff, 14)
    return None


def near(word: int) -> int | None:
    """The distance of an address, or of data, that an instruction has in itself (adr, ldr of a literal); None for others."""
    if word & 0x9f000000 == 0x10000000:
        return _signed((word >> 29 & 3) | (word >> 5 & 0x7ffff) << 2, 21)
    if word & 0x3b000000 == 0x18000000:
        return 4 * _signed(word >> 5 & 0x7ffff, 19)
    return None


def returns(word: int) -> bool:
    return word & _RET_MASK == _RET


def goes_by_register(word: int) -> bool:
    """Does it go on at, or return to, a place that cannot be told from it?"""
    return word & _RET_MASK == _BR or word & _AUTHENTICATED[0] == _AUTHENTICATED[1]


def words(data: bytes, code: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(offset, instruction) of ranges of code."""
    for start, end in code:
        for at in range(start, end - 3, 4):
            yield at, struct.unpack_from("<I", data, at)[0]
