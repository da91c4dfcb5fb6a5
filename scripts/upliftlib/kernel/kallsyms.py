# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own list of symbols, out of its image: what /proc/kallsyms says without KASLR, and no boot is needed.

scripts/kallsyms.c writes the tables one after the other into .rodata, without symbols. The table of tokens is found by its
ten digits and shown to be it by its index, which follows; the others lie before and behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
_TOKENS, _EACH = 256, 256		# tokens; symbols for each marker
_ZERO = ord("0")
_MOST = 1 << 20				# symbols of a kernel: more is a mistake of ours


class NotFound(ValueError):
    """The image has no such tables, or has them in a form that is not known here."""


def _aligned(at: int) -> int:
    return at + 7 & ~7


def _tokens(data: bytes) -> tuple[int, list[bytes], int]:
    """(where the table of tokens begins, the tokens, where the index ends)."""
    at = data.find(_DIGITS)
    while at >= 0:
        start = at
        for _ in range(_ZERO):
            start = data.rfind(b"\0", 0, start - 1) + 1
        tokens = data[start:start + 16384].split(b"\0", _TOKENS)[:_TOKENS]
        index, place = [], 0
        for token in tokens:
            index.append(place)
            place += len(token) + 1
        found = data.find(struct.pack(f"<{_TOKENS}H", *index), start + place, start + place + 16 + 2 * _TOKENS) \
            if place < 65536 and len(tokens) == _TOKENS else -1
        if found >= 0:
            return start, tokens, found + 2 * _TOKENS
        at = data.find(_DIGITS, at + 1)
    raise NotFound("no table of tokens")


def _markers(data: bytes, end: int) -> tuple[int, list[int]]:
    """(where the markers begin, the markers), of which the last lies before `end`."""
    while end and data[end - 4:end] == bytes(4):
        end -= 4		# up to where the next table is aligned
    found: list[int] = []
    at = end
    while at >= 4:
        at -= 4
        value, = struct.unpack_from("<I", data, at)
        if found and value >= found[-1]:
            break
        found.append(value)
        if not value:
            return at, found[::-1]
    raise NotFound("no markers in front of the tokens")


def _names(data: bytes, start: int, count: int) -> Iterator[tuple[int, bytes]]:
    """(offset, compressed name) of each symbol."""
    at = start
    for _ in range(count):
        begin, length = at, data[at]
        at += 1
        if length & 0x80:
            length = length & 0x7f | data[at] << 7
            at += 1
        yield begin - start, data[at:at + length]
        at += length


def _begin(data: bytes, markers: list[int], end: int) -> tuple[int, int]:
    """(where the names begin, how many they are): the number stands in front of them, aligned to 8 bytes."""
    for start in range(end - markers[-1] - 1 & ~3, max(end - markers[-1] - 65536, 7), -4):
        for place in (start - 4, start - 8):
            count, = struct.unpack_from("<I", data, place)
            if 0 < count < _MOST and (count + _EACH - 1) // _EACH == len(markers) and _fits(data, start, count, markers, end):
                return start, count
    raise NotFound("no names in front of the markers")


def _fits(data: bytes, start: int, count: int, markers: list[int], end: int) -> bool:
    try:
        begins = [offset for offset, _ in _names(data, start, count)]
    except IndexError:
        return False
    return begins[::_EACH] == markers and start + begins[-1] < end


def _behind(data: bytes, address: int, table: int, end: int) -> tuple[int, int, int]:
    """(where the names begin, how many they are, where the offsets are): these follow the index of tokens."""
    at, markers = _markers(data, table)
    start, count = _begin(data, markers, at)
    place = (address + end + 3 & ~3) - address
    # aligned to 8 bytes, or since 7.0 to 4; an offset from itself is never 0, as what is between is
    return start, count, place if any(data[place:place + 4]) else _aligned(address + end) - address


def _in_front(data: bytes, table: int, text: int) -> tuple[int, int, int]:
    """The same where the offsets lie in front, as in 6.1: their base is _text, and the number of names follows."""
    base = struct.pack("<Q", text)
    at = data.find(base, 0, table)
    while at >= 0:
        count, = struct.unpack_from("<I", data, at + 8)
        if 0 < count < min(_MOST, at // 4) and _marked(data, at + 16, count, table):
            return at + 16, count, at - 4 * (count + count % 2)
        at = data.find(base, at + 8, table)
    raise NotFound("no offsets, neither behind the tokens nor in front of the names")


def _marked(data: bytes, start: int, count: int, table: int) -> bool:
    """Are there names, and behind them their markers?"""
    begins, end = [], start
    try:
        for offset, name in _names(data, start, count):
            begins.append(offset)
            end = start + offset + len(name)
            if end > table:
                return False
    except IndexError:
        return False
    wanted = struct.pack(f"<{len(begins[::_EACH])}I", *begins[::_EACH])
    return data.find(wanted, end, end + 16 + len(wanted)) >= 0


def symbols(data: bytes, address: int, text: int) -> Iterator[tuple[int, str, str]]:
    """(address, type, name) of each symbol. data: .rodata, which lies at `address`; text: where _text is."""
    table, tokens, end = _tokens(data)
    try:
        start, count, place = _behind(data, address, table, end)
    except NotFound:
        start, count, place = _in_front(data, table, text)
    names = [b"".join(tokens[byte] for byte in name).decode() for _, name in _names(data, start, count)]
    where = _addresses(data, place, count, address, names.index("T_text"), text)
    for number, name in enumerate(names):
        yield where(number), name[0], name[1:]


def _addresses(data: bytes, place: int, count: int, address: int, known: int, text: int) -> Callable[[int], int]:
    """What the offsets mean has changed twice; where _text is says which it is here."""
    signed: tuple[int, ...] = struct.unpack_from(f"<{count}i", data, place)
    behind = _aligned(address + place + 4 * count) - address
    base: int = struct.unpack_from("<Q", data, behind)[0] if behind + 8 <= len(data) else 0
    # arm64's image is relocated as it boots, and has 0 here until then; its base is _text, and offsets ascend from there
    if not base and signed[0] == 0 and all(one <= two for one, two in zip(signed, signed[1:])):
        base = text

    def from_base(number: int) -> int:		# 6.15
        return base + (signed[number] & 0xffffffff)

    def negative(number: int) -> int:		# before: what is not negative is per-CPU
        return signed[number] if signed[number] >= 0 else base - 1 - signed[number]

    def from_here(number: int) -> int:		# 7.0
        return address + place + 4 * number + signed[number]

    for form in (from_base, negative, from_here):
        if form(known) == text:
            return form
    raise NotFound("offsets in a form that is not known here")
