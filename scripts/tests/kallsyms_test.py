# SPDX-License-Identifier: GPL-2.0-only
"""Tables of symbols as scripts/kallsyms.c writes them, made here in its forms, and read back."""

from __future__ import annotations

import pathlib
import random
import struct
import sys
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.kernel import kallsyms	# noqa: E402

TEXT, ADDRESS = 0xffffffff81000000, 0xffffffff82000000
Symbols = list[tuple[int, str, str]]


def symbols(seed: random.Random, count: int) -> Symbols:
    """Names of any length, some beyond 127 bytes, which take two bytes for it."""
    found = [(TEXT, "T", "_text")]
    for number in range(1, count):
        name = f"{seed.choice(('do', 'vfs', 'pipe', '__x64_sys'))}_{number}" + "_long" * seed.choice((0, 1, 3, 40))
        found.append((TEXT + 64 * number + seed.randrange(64), seed.choice("tTdDbBrA"), name))
    return found


def padded(data: bytes, to: int = 8) -> bytes:
    return data + bytes(-len(data) % to)


def tokens() -> list[bytes]:
    """Single characters stand for themselves; others for what is frequent."""
    table = [bytes([code]) for code in range(256)]
    for code, text in ((1, b"_long"), (2, b"pipe"), (200, b"__x64_sys"), (201, b"do_")):
        table[code] = text
    return table


def encoded(name: bytes, table: list[bytes]) -> bytes:
    out = b""
    while name:
        code = max((code for code, text in enumerate(table) if code and name.startswith(text)), key=lambda code: len(table[code]))
        out, name = out + bytes([code]), name[len(table[code]):]
    return (bytes([len(out)]) if len(out) < 128 else bytes([len(out) & 0x7f | 0x80, len(out) >> 7])) + out


def tables(found: Symbols, form: str, before: bytes, first: bytes = b"first") -> bytes:
    """.rodata with the tables somewhere in it."""
    table = tokens()
    table[0] = first
    names, markers = b"", []
    for number, (_, kind, name) in enumerate(found):
        if number % 256 == 0:
            markers.append(len(names))
        names += encoded(f"{kind}{name}".encode(), table)
    index, at = [], 0
    for token in table:
        index.append(at)
        at += len(token) + 1
    data = padded(before) + (offsets(found, "negative", 0) if form == "in front" else b"")
    data += padded(struct.pack("<I", len(found))) + padded(names) + padded(struct.pack(f"<{len(markers)}I", *markers))
    if form == "in front":	# the order of the names, three bytes each
        data += padded(bytes(byte for number in range(len(found)) for byte in (number >> 16, number >> 8 & 255, number & 255)))
    to = 4 if form == "from here" else 8
    data += padded(b"".join(token + b"\0" for token in table), to) + padded(struct.pack("<256H", *index), to)
    if form == "in front":
        return data + b"\xff" * 64
    return data + offsets(found, form, ADDRESS + len(data)) + b"\xff" * 64


def offsets(found: Symbols, form: str, here: int) -> bytes:
    if form == "from here":
        return struct.pack(f"<{len(found)}i", *(address - here - 4 * number for number, (address, _, _) in enumerate(found)))
    base = min(address for address, _, _ in found if address >= TEXT)
    if form == "from base":
        return padded(struct.pack(f"<{len(found)}I", *(address - base for address, _, _ in found))) + struct.pack("<Q", base)
    return padded(struct.pack(f"<{len(found)}i", *(address if address < TEXT else base - 1 - address
                                                   for address, _, _ in found))) + struct.pack("<Q", base)


class ReadingTest(unittest.TestCase):
    def read(self, data: bytes) -> Symbols:
        return list(kallsyms.symbols(data, ADDRESS, TEXT))

    def test_each_form(self) -> None:
        seed = random.Random(3)
        for form in ("from base", "negative", "from here", "in front"):
            for count in (257, 700, 1024):
                found = symbols(seed, count)
                if form in ("negative", "in front"):
                    found.insert(0, (0x1000, "A", "per_cpu_thing"))
                with self.subTest(form=form, count=count):
                    self.assertEqual(self.read(tables(found, form, b"\x01of others" * 9)), found)

    def test_offsets_that_are_not_aligned_to_eight_bytes(self) -> None:
        """As 7.3 has them: four bytes further on every name would get the address of the next."""
        found = symbols(random.Random(6), 300)
        found.insert(1, (TEXT, "T", "_stext"))
        data = tables(found, "from here", b"", b"first of all")
        where = len(data) - 64 - 4 * len(found)
        self.assertEqual(where % 8, 4)
        self.assertEqual(self.read(data), found)

    def test_digits_elsewhere_are_no_tables(self) -> None:
        digits = b"".join(b"%d\0" % digit for digit in range(10))
        found = symbols(random.Random(4), 300)
        self.assertEqual(self.read(tables(found, "from base", b"x\0" * 90 + digits + b"y\0" * 300)), found)

    def test_what_is_not_known(self) -> None:
        good = tables(symbols(random.Random(5), 400), "from base", b"")
        for data, why in ((b"", "no table of tokens"), (bytes(5000), "no table of tokens"),
                          (good.replace(b"first\0", b"other\0\0"), "no table of tokens"),
                          (bytes(100) + good[1200:], "no offsets, neither behind"),
                          (good[:-600] + bytes(600), "offsets in a form")):
            with self.subTest(why), self.assertRaisesRegex(kallsyms.NotFound, why):
                list(kallsyms.symbols(data, ADDRESS, TEXT + 4))


if __name__ == "__main__":
    unittest.main()
