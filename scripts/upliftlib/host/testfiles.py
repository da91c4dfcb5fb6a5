# SPDX-License-Identifier: GPL-2.0-only
"""Files to read directly: on RAM disks of our own, or where the user says. All of it goes away again."""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from ..base import errors
from . import loader, undo


SIZE = 32 << 20
RAMDISK_KB = 327680	# the smallest that mkfs.xfs takes is 300 MB; memory is taken as it is written
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"

_libc = ctypes.CDLL(None, use_errno=True)


def _tool(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + PATH)


def _names() -> list[str]:
    return re.findall(r"(?m)^(\S+) ", loader.read("/proc/modules"))


def ramdisk_lacks() -> str:
    """Why there can be no RAM disks of ours; '' if there can."""
    if not pathlib.Path("/proc/modules").exists():
        return "modules cannot be loaded"
    if loader.loaded("brd") or pathlib.Path("/dev/ram0").exists():
        return "RAM disks (brd) are in use here"
    if not _tool("modprobe"):
        return "no modprobe"
    if not any(_tool(f"mkfs.{name}") for name in ("ext4", "xfs")):
        return "neither mkfs.ext4 nor mkfs.xfs (apt-get install e2fsprogs xfsprogs)"
    return ""


def _run(*argv: object) -> None:
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        said = done.stdout.strip().splitlines()
        raise errors.Problem(f"{pathlib.Path(str(argv[0])).name} failed: {said[-1] if said else done.returncode}")


def _fill(path: pathlib.Path) -> None:
    """Written through, and out of the page cache: a direct read of what is cached looks for dirty pages first."""
    with open(path, "wb", buffering=0) as file:
        for _ in range(SIZE >> 20):
            file.write(bytes(1 << 20))
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def on_ramdisks(back: undo.Undo) -> list[pathlib.Path]:
    """A file on each of ext4 and xfs that can be made, on RAM disks."""
    before = _names()
    wanted = [name for name in ("ext4", "xfs") if _tool(f"mkfs.{name}")]
    back.add("unload", "brd")
    _run(_tool("modprobe"), "brd", f"rd_nr={len(wanted)}", f"rd_size={RAMDISK_KB}")
    for name in wanted:
        subprocess.run([_tool("modprobe") or "modprobe", "-q", name], check=False)
    # the file systems' own modules, as far as they have come now; the last comes first
    for name in reversed(_names()):
        if name not in before and name != "brd":
            back.add("unload", name)
    found = []
    for number, name in enumerate(wanted):
        device = f"/dev/ram{number}"
        # mkfs takes smaller blocks than a page for an ext4 of this size
        _run(_tool(f"mkfs.{name}"), "-q", *(["-b", "4096"] if name == "ext4" else ["-f"]), device)
        where = tempfile.mkdtemp(prefix="uplift-")
        back.add("remove", where)
        back.add("umount", where)
        if _libc.mount(device.encode(), where.encode(), name.encode(), 0, None):
            raise errors.Problem(f"mounting {name} on {device}: {os.strerror(ctypes.get_errno())}")
        path = pathlib.Path(where) / "file"
        _fill(path)
        found.append(path)
    return found


def in_directory(directory: str, back: undo.Undo) -> list[pathlib.Path]:
    """A file in a directory of the user's."""
    handle, path = tempfile.mkstemp(prefix=".uplift-", dir=directory)
    os.close(handle)
    back.add("remove", path)
    _fill(pathlib.Path(path))
    return [pathlib.Path(path)]
