# SPDX-License-Identifier: GPL-2.0-only
"""Booting a guest: everything in its order."""

import ctypes
import dataclasses
import pathlib
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...base import console, errors, parallel
from ...kernel import image
from . import accelerator, command, contents, devicetree, emulation, limits, machines, result, topology
from .accelerator import Accelerator
from .description import Guest, Kernel, image_of
from .qemu import Qemu
from .result import Result
from .rundir import rundir
from .watcher import Ending, Watcher


def boot(target: Kernel, script: str | pathlib.Path, **options: Any) -> Result:
    """Boot a target's kernel, run a script in it, bring back what it left in /out. @options: of Guest"""
    return run(Guest(target, script, **options))


def run(guest: Guest) -> Result:
    """Boot a guest. One that fails by what the emulator did to it (emulation.py) is booted once more."""
    found = once(guest)
    fault = emulation.fault(found, guest)
    if fault:
        first = found.console.parent
        console.warn(f"{guest.target.release}: '{fault.said}' is what emulation can do to a guest by itself ({first}): "
                     "once more")
        found = once(dataclasses.replace(guest, thread=fault.thread or guest.thread, name=f"{first.name}-again"))
    return found


def emulated(target: Kernel, accel: str | None = None, icount: bool = False) -> bool:
    """Are guests of a target emulated here? To know that, a guest may have to be booted, once per host."""
    qemu = Qemu(system=machines.of(target).qemu)
    return accelerator.choose(Guest(target, "true", accel=accel, icount=icount), qemu, once).emulates


def once(guest: Guest) -> Result:
    """One boot."""
    qemu = guest.qemu if isinstance(guest.qemu, Qemu) else Qemu(guest.qemu, machines.of(guest.target).qemu)
    command.machine(guest, 0)	# complains before anything is made
    _check_release(guest.target)
    chosen = accelerator.choose(guest, qemu, once)
    archive = contents.archive_of(guest)
    megabytes = limits.memory(guest.mem, archive.size())
    with rundir(guest.directory) as directory:
        found = _prepared(guest, qemu, chosen, directory)
        found.argv = command.line(guest, qemu, chosen, megabytes, directory)
        archive.write(directory / "initramfs.cpio")
        wanted = topology.caches(guest.topology, guest.smp, machines.of(guest.target))
        if wanted:
            found.argv = devicetree.with_caches(found.argv, qemu.environment(), wanted, directory)
        (directory / "command").write_text(shlex.join(found.argv) + "\n")
        start = time.monotonic()
        ending, status = _run(guest, qemu, found)
        found.seconds = time.monotonic() - start
        result.judge(found, ending, status, guest.excused)
        if not guest.keep:
            (directory / "initramfs.cpio").unlink()
    parallel.check()	# killed as another guest failed: it tells nothing of this one
    if found.rc is None and not guest.quiet:
        found.show_end()
    return found


def _check_release(target: Kernel) -> None:
    release = image.release_of(image_of(target))
    if release != target.release:
        raise errors.Problem(f"the image is {release}, the modules are for {target.release}: they do not belong together",
                             errors.USAGE)


def _prepared(guest: Guest, qemu: Qemu, chosen: Accelerator, directory: pathlib.Path) -> Result:
    found = result.in_directory(directory)
    found.accel, found.qemu = chosen.name, qemu.version
    found.outdir.mkdir()
    return found


def _run(guest: Guest, qemu: Qemu, found: Result) -> tuple[Ending, int]:
    """(how the guest ended, QEMU's exit status)"""
    if guest.interactive:
        found.console.write_bytes(b"")
        with _ended(subprocess.Popen(found.argv, env=qemu.environment(), preexec_fn=_die_with_parent)) as process:
            return Ending(), process.wait()
    with open(found.console.parent / "qemu.log", "wb") as log:
        started = parallel.start(found.argv, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                                 env=qemu.environment(), preexec_fn=_die_with_parent, start_new_session=True)
    hopeless = emulation.unfed if emulation.of_threads(found.accel, guest.thread) else None
    with _ended(started) as process:
        return Watcher(process, found.console, guest.timeout, guest.echo, hopeless=hopeless).wait(), process.returncode


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """QEMU does not outlive the block."""
    try:
        yield process
    finally:
        parallel.remove(process)
        if process.poll() is None:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    """In the child: QEMU shall not outlive us, however we end."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)	# PR_SET_PDEATHSIG
