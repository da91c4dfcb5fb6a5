# SPDX-License-Identifier: GPL-2.0-only
"""What is in a guest's initramfs: busybox, the init, the script, modules, programs and files."""

import pathlib
import shlex
import subprocess

from ...base import errors, paths
from ...base.architectures import Architecture
from .. import buildroot
from ..initramfs import Archive
from . import limits, machines, modules, programs, stream
from .description import Guest, modules_of

UP = "uplift-guest: up"		# what the init says; nothing of ours has run before
INIT = pathlib.Path(__file__).with_name("init.sh")
_CHANNEL = ("virtio_pci", "virtio_console")	# modules for the way back, where they are not built in


def is_up(console: pathlib.Path) -> bool:
    """Was init reached?"""
    return UP.encode() in console.read_bytes()


def init() -> str:
    """The init's text."""
    text = INIT.read_text(encoding="utf-8")
    for name, value in (("OUTSIZE", limits.OUT), ("UP", UP), ("PORT", stream.PORT)):
        text = text.replace(f"@{name}@", value)
    return text


def archive_of(guest: Guest) -> Archive:
    """The initramfs of a guest."""
    archive = Archive()
    arch = machines.arch_of(guest.target)
    _add_busybox(archive, arch)
    if guest.programs:
        buildroot.ensure_foreign(arch, "programs")
    for name in ("dev", "proc", "sys", "root", "uplift", "run", "etc"):
        archive.dir(name)
    archive.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    archive.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    archive.text("init", init(), 0o755)
    if guest.interactive:
        archive.text("uplift/interactive", "")
    _add_script(archive, guest.script)
    archive.text("uplift/env",
                 "".join(f"export {key}={shlex.quote(str(value))}\n" for key, value in guest.env.items()))
    stock = modules.StockModules(modules_of(guest.target), guest.target.release)
    channel = [name for name in _CHANNEL if stock.has(name)]
    modules.add_modules(archive, stock, [*guest.modules, *channel], guest.kos)
    programs.add_programs(archive, guest.programs, arch)
    for where, source in guest.files.items():
        archive.copy(where, source)
    return archive


def _busybox() -> pathlib.Path:
    """The build root's, which is static."""
    path = next((path for path in (paths.ROOT / "usr/bin/busybox", paths.ROOT / "bin/busybox") if path.exists()), None)
    if path is None:
        raise errors.Problem("no busybox in the build root: scripts/uplift lab root")
    if not programs.is_static(path):
        raise errors.Problem("the build root's busybox is not static (busybox-static wanted): scripts/uplift lab root")
    return path


def _add_busybox(archive: Archive, arch: Architecture) -> None:
    """A static busybox, and links of the names that it answers to: the build root's tells, which runs here."""
    path = _busybox()
    archive.copy("bin/busybox", path if arch.native else buildroot.ensure_foreign(arch) / "usr/bin/busybox")
    names = subprocess.run([path, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    for name in names:
        if name != "busybox":
            archive.link(f"bin/{name}", "busybox")
    for name in ("sbin", "usr/bin", "usr/sbin"):
        archive.link(name, "/bin")


def _add_script(archive: Archive, script: str | pathlib.Path) -> None:
    if isinstance(script, pathlib.Path):
        archive.copy("uplift/script", script)
        archive.executable("uplift/script")
        return
    text = script if script.startswith("#!") else "#!/bin/sh\n" + script
    archive.text("uplift/script", text if text.endswith("\n") else text + "\n", 0o755)
