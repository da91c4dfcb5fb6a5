# SPDX-License-Identifier: GPL-2.0-only
"""Guests: a stock kernel, a handmade initramfs, a script, and what it left in /out.

    boot(target, script, modules=["xfs"], smp=2) -> Result

A guest has busybox, the modules asked for and the files given, nothing else: it is up in a few seconds under
emulation. The console (a serial port) is for people and for kernel messages. Results come back over a virtio-serial port as
one tar stream with a SHA-256 behind it, so that a result is whole or is none.

Where to look:

    description.py	Guest: everything that a guest is and has
    machines.py		the machine, by the architecture of the kernel
    kernelargs.py	the arguments of its kernel
    topology.py		layouts of CPUs, caches and memory nodes
    devicetree.py	caches for a machine that its device tree describes
    qemu.py		the QEMU that runs it
    command.py		QEMU's command line
    accelerator.py	KVM or emulation, with instructions counted or not
    limits.py		how long, how much, how large
    contents.py		what is in its initramfs (programs.py, modules.py); init.sh is its init
    stream.py		how results come back
    watcher.py		its end, within the limits
    result.py		what became of it, and what fails a guest
    emulation.py	failures for which the emulator is to blame, after which it is booted again
    rundir.py		its directory in build/guest
    booting.py		all of these, in order
"""

from .booting import boot, emulated, run
from .contents import UP
from .description import Guest, Kernel, image_of, modules_of
from .machines import arch_of
from .qemu import Qemu
from .result import Result
from .rundir import check_name
from .topology import TOPOLOGIES, has_layout, topology_args, vcpus

__all__ = ["Guest", "Kernel", "Qemu", "Result", "TOPOLOGIES", "UP", "arch_of", "boot", "check_name", "emulated", "has_layout",
           "image_of", "modules_of", "run", "topology_args", "vcpus"]
