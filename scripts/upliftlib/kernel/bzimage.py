# SPDX-License-Identifier: GPL-2.0-only
"""The x86 kernel image, /boot/vmlinuz-*: its release, and the ELF file inside."""

import lzma
import pathlib
import shutil
import struct
import subprocess
import zlib

from ..base import errors, packages


def is_image(data: bytes) -> bool:
    """Does a file that begins like this call itself a bzImage?"""
    return data[0x202:0x206] == b"HdrS"


def release_of(vmlinuz: pathlib.Path) -> str:
    """The release that a bzImage says it is (Documentation/arch/x86/boot.rst: kernel_version)."""
    with open(vmlinuz, "rb") as file:
        head = file.read(0x10000)
    if len(head) < 0x210 or not is_image(head):
        raise errors.Problem(f"{vmlinuz} is no bzImage", errors.USAGE)
    offset: int = struct.unpack_from("<H", head, 0x20e)[0] + 0x200
    return head[offset:head.index(b"\0", offset)].split()[0].decode()


def unpack(data: bytes) -> bytes:
    """The ELF image inside a bzImage; ValueError says why there is none."""
    if not is_image(data):
        raise ValueError("is no x86 kernel image (bzImage)")
    start = (data[0x1f1] or 4) * 512 + 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[start + offset:start + offset + length]
    if payload[:6] == b"\xfd7zXZ\0":
        # the last four bytes are the kernel's own note of the size
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        if not shutil.which("zstd"):
            raise errors.Problem(f"the kernel's image is compressed with zstd: {packages.missing('zstd')}")
        result = subprocess.run(["zstd", "-dcq"], input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return result.stdout	# zstd, too, fails at the size at the end, after it has written everything
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(wbits=31).decompress(payload)
    raise ValueError(f"is compressed in a way that uplift does not know ({payload[:4].hex()})")
