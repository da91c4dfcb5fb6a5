# SPDX-License-Identifier: GPL-2.0-only
"""The machine that QEMU makes for a guest, by the architecture of its kernel."""

import dataclasses

from ...base import architectures
from ...base.architectures import Architecture
from ...kernel import image
from .description import Kernel


@dataclasses.dataclass(frozen=True)
class Machine:
    """@qemu: the program
    @board: -machine, to which a topology may add
    @counting_cpu: the CPU model that instructions are counted on
    @console: its first serial port
    @append: kernel arguments that only this kernel knows
    @firmware: QEMU arguments for what starts the kernel, where there is something
    @device_tree: is the machine described by one? Then layouts of caches come by it
    """
    qemu: str
    board: str
    counting_cpu: str
    console: str
    append: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    device_tree: bool = False


X86_64 = Machine(
    qemu="qemu-system-x86_64", board="q35,usb=off,vmport=off",
    # Emulation counts each byte of a `rep movsb` or `rep stosb`, so a CPU that claims fast ones (ERMS, FSRM) gets every copy
    # and every cleared page counted byte by byte; and Icelake-Server is page-table isolated under TCG.
    counting_cpu="qemu64,-rdrand,-rdseed", console="ttyS0,115200",
    append=("no_timer_check",		# a busy host delivers the timer's first interrupts late
            "unknown_nmi_panic"),	# a guest that takes too long is sent an NMI, and tells where each CPU was
    firmware=("-bios", "qboot.rom"))	# one that is quick

ARM64 = Machine(
    qemu="qemu-system-aarch64", board="virt,gic-version=3",
    # `max` has memory copy instructions (MOPS), which are one instruction each, however much they copy. The clock of the
    # generic timer would have steps of 16 instructions.
    counting_cpu="neoverse-n1,cntfrq=1000000000", console="ttyAMA0", device_tree=True)

_BY_ARCH = {architectures.X86_64: X86_64, architectures.ARM64: ARM64}


def arch_of(kernel: Kernel) -> Architecture:
    """That of a kernel."""
    return image.arch_of_kernel(kernel.release, kernel.vmlinuz)


def of(kernel: Kernel) -> Machine:
    """The machine for a kernel."""
    return _BY_ARCH[arch_of(kernel)]
