# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's image of whatever architecture: its release, and the ELF file inside."""

import pathlib

from ..base import architectures, errors
from ..base.architectures import Architecture
from . import arm64image, bzimage

_HEAD = 0x10000
_NONE = "is no kernel image (x86's bzImage, or arm64's Image)"


def head(path: pathlib.Path) -> bytes:
    """As much of a file as arch_of() looks at."""
    with open(path, "rb") as file:
        return file.read(_HEAD)


def arch_of(begin: bytes) -> Architecture | None:
    """That of an image that begins like this; None for what is none."""
    if bzimage.is_image(begin):
        return architectures.X86_64
    if arm64image.begins(begin):
        return architectures.ARM64
    return None


def arch_of_kernel(release: str, vmlinuz: pathlib.Path | None) -> Architecture:
    """That of a kernel: its release tells if it is Debian's, else its image."""
    arch = architectures.of_release(release)
    if arch.native and not release.endswith(f"-{arch.debian}") and vmlinuz is not None and vmlinuz.is_file():
        return arch_of(head(vmlinuz)) or arch
    return arch


def is_image(begin: bytes) -> bool:
    """Does a file that begins like this call itself a kernel's image?"""
    return arch_of(begin) is not None


def release_of(vmlinuz: pathlib.Path) -> str:
    """The release that an image says it is."""
    arch = arch_of(head(vmlinuz))
    if arch is None:
        raise errors.Problem(f"{vmlinuz} {_NONE}", errors.USAGE)
    return arm64image.release_of(vmlinuz) if arch is architectures.ARM64 else bzimage.release_of(vmlinuz)


def unpack(data: bytes) -> bytes:
    """The ELF image inside an image; ValueError says why there is none."""
    arch = arch_of(data[:_HEAD])
    if arch is None:
        raise ValueError(_NONE)
    return arm64image.unpack(data) if arch is architectures.ARM64 else bzimage.unpack(data)
