# SPDX-License-Identifier: GPL-2.0-only
"""What is inside of an x86 kernel image, /boot/vmlinuz-*."""

import lzma
import struct
import subprocess
import zlib


def is_image(data):
    """Does a file that begins like this call itself a bzImage?"""
    return data[0x202:0x206] == b"HdrS"


def unpack(data):
    """The ELF image inside a bzImage; ValueError says why there is none to be had."""
    if not is_image(data):
        raise ValueError("is no x86 kernel image (bzImage)")
    start = (data[0x1f1] or 4) * 512 + 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[start + offset:start + offset + length]
    if payload[:6] == b"\xfd7zXZ\0":
        # the last four bytes are the kernel's own note of the size
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        result = subprocess.run(["zstd", "-dcq"], input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return result.stdout	# zstd, too, stumbles over the size at the end, after all is out
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(wbits=31).decompress(payload)
    raise ValueError(f"is compressed in a way that uplift does not know ({payload[:4].hex()})")
