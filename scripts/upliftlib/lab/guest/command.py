# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line for a guest."""

import pathlib

from ...base import errors, paths
from . import kernelargs, machines, stream, topology
from .accelerator import Accelerator
from .description import Guest, image_of
from .machines import Machine
from .qemu import Qemu


def firmware(efi: tuple[paths.Path, paths.Path] | None, machine: Machine = machines.X86_64) -> list[str]:
    """QEMU arguments for the firmware: one that is quick, or a given EFI, whose variables only it may write."""
    if efi is None:
        return list(machine.firmware)
    code, variables = map(stream.comma, efi)
    return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
            "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={variables}",
            "-global", "driver=cfi.pflash01,property=secure,value=on"]


def _serial(guest: Guest, directory: pathlib.Path) -> list[str]:
    """The console: a file, with the monitor on stdin for the watcher; or this terminal for both."""
    if guest.interactive:
        return ["-serial", "mon:stdio"]
    return ["-serial", f"file:{directory / 'console'}", "-monitor", "stdio"]


def machine(guest: Guest, megabytes: int) -> list[str]:
    """Processors, caches and memory nodes."""
    words, cpus = topology.topology_args(guest.topology, guest.smp, guest.same, machines.of(guest.target))
    if guest.icount and cpus != 1:
        raise errors.Problem(f"instructions can be counted on one vCPU only, not {cpus}: their counts would mix",
                             errors.USAGE)
    return words + topology.node_args(guest.topology, cpus, megabytes)


def line(guest: Guest, qemu: Qemu, accelerator: Accelerator, megabytes: int, directory: pathlib.Path) -> list[str]:
    """The whole command line for a guest that runs in a directory, with an initramfs there."""
    words = [*qemu.argv, *machine(guest, megabytes), *accelerator.args,
             "-m", f"{megabytes}M", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             *firmware(guest.efi, machines.of(guest.target)), "-kernel", str(image_of(guest.target)), "-initrd", str(directory / "initramfs.cpio"),
             "-append", " ".join(kernelargs.of(guest)), *_serial(guest, directory),
             *stream.channel(directory / "result", guest.same)]
    for plugin in guest.plugins:
        words += ["-plugin", plugin]
    return words
