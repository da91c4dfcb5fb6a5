# SPDX-License-Identifier: GPL-2.0-only
"""ELF notes, as a kernel's image and /sys/kernel/notes have them."""

import struct

_GNU_BUILD_ID = 3


def build_id(notes: bytes) -> bytes:
    """The build id among notes; empty where there is none."""
    at = 0
    while at + 12 <= len(notes):
        names, length, kind = struct.unpack_from("<III", notes, at)
        value = at + 12 + (names + 3 & ~3)
        if kind == _GNU_BUILD_ID and notes[at + 12:at + 12 + names] == b"GNU\0" and value + length <= len(notes):
            return notes[value:value + length]
        at = value + (length + 3 & ~3)
    return b""
