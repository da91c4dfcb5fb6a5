# SPDX-License-Identifier: GPL-2.0-only
"""What a guest is: its kernel, what is in it, its machine, and how it runs."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ...base import errors, paths
from . import limits
from .qemu import Qemu


class Kernel(Protocol):
    """What a guest needs of a target. @moddir: holds lib/modules/RELEASE; @config: its configuration, if known"""
    @property
    def name(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def vmlinuz(self) -> pathlib.Path | None: ...
    @property
    def moddir(self) -> pathlib.Path | None: ...
    @property
    def config(self) -> pathlib.Path | None: ...


def image_of(kernel: Kernel) -> pathlib.Path:
    """The image of a target; a Problem where the target has none."""
    if kernel.vmlinuz is None:
        raise errors.Problem(f"{kernel.name}: no image of {kernel.release} to boot")
    return kernel.vmlinuz


def modules_of(kernel: Kernel) -> pathlib.Path:
    """The directory of a target's modules; a Problem where the target has none."""
    if kernel.moddir is None:
        raise errors.Problem(f"{kernel.name}: no modules of {kernel.release}")
    return kernel.moddir


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest that has not been booted; dataclasses.replace() makes another like it.

    What is in it:
    @script: text, or the Path of an executable
    @files: {path in the guest: file or directory here}
    @modules: stock modules that modprobe shall find, with what they need; none is loaded
    @kos: our modules: in /modules for insmod, and found by modprobe
    @programs: programs of the build root, by path, with their libraries; one that busybox has too (xz) runs by its
        path only, as busybox's shell prefers its own
    @env: variables for the script

    Its machine:
    @smp, @topology: vCPUs and their layout (topology.py)
    @mem: '1G'; by default 1 GiB, or what the files need
    @efi: (code, variables) of a firmware for Secure Boot; what it does to the variables is not kept
    @plugins: QEMU plugins (path,arguments)
    @accel: 'kvm', 'tcg' or 'auto'
    @thread: of TCG: 'multi', a thread for each vCPU, or 'single'; by default what works
    @qemu: a QEMU, or the program of another than the build root's
    @icount: one guest nanosecond is one instruction, and two boots are the same; one vCPU only
    @repeatable: the same for several vCPUs, which take turns: nothing can be counted, as the time is the sum of the
        instructions of all of them, but two boots do the same at the same times

    Its kernel (kernelargs.py):
    @append: more kernel arguments
    @oops_panic, @warn_panic: end the guest at the first oops, or warning

    How it runs:
    @timeout: seconds of the host's clock, from the start of QEMU (limits.py)
    @name: of its directory in build/guest
    @excused: a pattern; a report of the kernel's in which it is found is what the script means to bring about
    @interactive: a shell on this terminal, in place of the script
    @echo: called with each line of the console as it comes
    @quiet: do not show how a guest without a result ended
    @keep: do not delete the initramfs
    """
    target: Kernel
    script: str | pathlib.Path
    files: Mapping[str, paths.Path] = dataclasses.field(default_factory=dict)
    modules: Sequence[str] = ()
    kos: Sequence[paths.Path] = ()
    programs: Sequence[str] = ()
    env: Mapping[str, object] = dataclasses.field(default_factory=dict)

    smp: int | None = None
    topology: str | None = None
    mem: str | None = None
    efi: tuple[paths.Path, paths.Path] | None = None
    plugins: Sequence[str] = ()
    accel: str | None = None
    thread: str | None = None
    qemu: Qemu | str | None = None
    icount: bool = False
    repeatable: bool = False

    append: str = ""
    oops_panic: bool = True
    warn_panic: bool = False

    timeout: float = limits.TIMEOUT
    name: str | None = None
    excused: str | None = None
    interactive: bool = False
    echo: Callable[[str], object] | None = None
    quiet: bool = False
    keep: bool = False

    @property
    def same(self) -> bool:
        """Do two boots of it do the same, instruction by instruction?"""
        return self.icount or self.repeatable

    @property
    def directory(self) -> str:
        """The name of its directory in build/guest."""
        return self.name or f"{self.target.name}-run"

    @property
    def wanted_accel(self) -> str:
        return self.accel or os.environ.get("UPLIFT_ACCEL") or "auto"
