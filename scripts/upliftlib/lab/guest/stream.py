# SPDX-License-Identifier: GPL-2.0-only
"""The way back: init.sh packs /out and its logs into a tar, sends it through a virtio-serial port, and a line with the
checksum behind it. A stream without that line, or with another checksum, is no result."""

import dataclasses
import hashlib
import pathlib
import re
import tarfile
from typing import Any

from ...base import console, paths

PORT = "uplift.result"
_LAST = re.compile(rb"uplift-result 1 ([0-9a-f]{64}) rc=(\d+) taint=(\d+) tar=(\d+)\n\Z")


@dataclasses.dataclass(frozen=True)
class Sent:
    """What a guest has sent. @rc: the script's exit status; None where the stream is not whole, and @why"""
    rc: int | None = None
    taint: int | None = None
    why: str = ""


def comma(path: paths.Path) -> str:
    """A path inside a QEMU option: a comma is written twice."""
    return str(path).replace(",", ",,")


def channel(stream: paths.Path, same: bool) -> list[str]:
    """QEMU arguments for the way back. With an eventfd another thread of QEMU answers the guest's driver, some
    instructions sooner or later: from there on no two boots would be the @same."""
    return ["-device", "virtio-serial-pci" + (",ioeventfd=off" if same else ""),
            "-chardev", f"file,id=result,path={comma(stream)}",
            "-device", f"virtserialport,chardev=result,name={PORT}"]


def _digest(stream: pathlib.Path, length: int) -> str:
    digest = hashlib.sha256()
    with open(stream, "rb") as file:
        while length:
            data = file.read(min(length, 1 << 20))
            digest.update(data)
            length -= len(data)
    return digest.hexdigest()


def _check(stream: pathlib.Path) -> Sent:
    try:
        size = stream.stat().st_size
    except FileNotFoundError:
        size = 0
    if not size:
        return Sent(why="nothing was sent")
    with open(stream, "rb") as file:
        file.seek(max(0, size - 4096))
        last = _LAST.search(file.read())
    if not last:
        return Sent(why=f"its stream ends after {console.size(size)}")
    if _digest(stream, size - len(last[0])) != last[1].decode():
        return Sent(why="its stream does not have the checksum that the guest computed")
    if int(last[4]):
        return Sent(why="its tar could not read all of /out")
    return Sent(int(last[2]), int(last[3]))


def unpack(stream: pathlib.Path, directory: pathlib.Path) -> Sent:
    """Check a stream; a whole one is unpacked into out/ and log/ of a directory."""
    sent = _check(stream)
    if sent.rc is None:
        return sent
    paths.remove(directory / "out")
    with tarfile.open(stream) as tar:
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(directory, **safely)
    (directory / "uplift/log").rename(directory / "log")
    (directory / "uplift").rmdir()
    return sent
