# SPDX-License-Identifier: GPL-2.0-only
"""Where things are, and writing them safely. Everything that the lab makes is below BUILD."""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

from . import console, errors

Path = str | os.PathLike[str]

TOP = pathlib.Path(__file__).resolve().parents[3]
# Written by scripts/install; then what is made goes where such things go on a machine, and uninstalling removes it.
INSTALLED = (TOP / "installed").exists()
BUILD = pathlib.Path(os.environ.get("UPLIFT_BUILD") or ("/var/cache/uplift" if INSTALLED else TOP / "build")).absolute()

APT = BUILD / "apt"
CACHE = BUILD / "cache"
ROOT = BUILD / "root" / "trixie"
TARGETS = BUILD / "targets"
SRC = BUILD / "src"
MODULES = BUILD / "modules"
GUEST = BUILD / "guest"
KUNIT = BUILD / "kunit"
REPORT = BUILD / "report"


def check() -> None:
    """Refuse a path with blanks, colons and the like, which make cannot work in, before any work is done."""
    for path in (TOP, BUILD):
        if not re.fullmatch(r"[A-Za-z0-9_./+,@-]+", str(path)):
            raise errors.Problem(f"the path '{path}' has characters that the kernel's build system cannot take "
                              f"(blank, colon, quote ...): {'move the tree' if path == TOP else 'set UPLIFT_BUILD to another'}",
                              errors.USAGE)


def ensure(path: Path) -> pathlib.Path:
    """The directory, made if need be."""
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """One at a time across processes; released by the kernel if the holder dies."""
    try:
        file = open(ensure(BUILD) / f".lock-{name}", "w")
    except PermissionError:
        raise errors.Problem(f"no right to write in {BUILD}, where all of the lab's work goes: run this as root, or set "
                          "UPLIFT_BUILD to a directory of your own", errors.USAGE) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.note(f"waiting for another uplift that works on '{name}' (Ctrl-C to give up)")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(path: Path, most: int = 64 << 20) -> str:
    """A file's text; ValueError when it is larger than any file of ours: a device, for one, has no end."""
    with open(path, encoding="utf-8") as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise ValueError(f"larger than any file of ours ({console.size(most)})")
    return text


def special(path: pathlib.Path) -> bool:
    """Is it a device, a pipe or the like? Such a file is written to, never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def writable(path: Path) -> None:
    """Could write() write there? Raises OSError; what is there stays as it is."""
    path = pathlib.Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if special(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    try:
        with tempfile.TemporaryFile(dir=ensure(path.resolve().parent)):
            pass
    except OSError as problem:
        # name the file that the caller asked for, not the temporary one
        raise OSError(problem.errno, problem.strerror, str(path)) from None


def write(path: Path, text: str) -> None:
    """Replace a file's text in one go. A link stays one, and so does a device."""
    path = pathlib.Path(path)
    writable(path)
    if special(path):
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()
    fd, temp = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temp, 0o644)
        os.replace(temp, path)
    except BaseException:
        pathlib.Path(temp).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def fresh_dir(path: Path) -> Iterator[pathlib.Path]:
    """A temporary directory that becomes `path` when the block is left without an error.

    A former `path` is replaced. Interrupted work leaves nothing that looks finished.
    """
    path = pathlib.Path(path)
    temp = path.with_name(f".{path.name}.new")
    remove(temp)
    ensure(temp)
    try:
        yield temp
    except BaseException:
        remove(temp)
        raise
    if path.exists():
        old = path.with_name(f".{path.name}.old")
        remove(old)
        path.rename(old)
        temp.rename(path)
        remove(old)
    else:
        temp.rename(path)


def mounted_below(path: Path) -> list[str]:
    """Mount points below a directory: what must not be deleted through."""
    top = str(pathlib.Path(path).absolute())
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            point = line.split()[4].encode().decode("unicode_escape")
            if point == top or point.startswith(top + "/"):
                found.append(point)
    return found


def remove(path: Path) -> None:
    """rm -rf that refuses to go through a mount point. A directory gets another name first: what is left when that is
    interrupted is not taken for whole, and goes with the next of that name."""
    path = pathlib.Path(path)
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    gone = path.with_name(f".{path.name}.gone")
    for directory in (gone, path):
        if mounts := mounted_below(directory) if directory.exists() else []:
            raise errors.Problem(f"will not delete {directory}: {mounts[0]} is mounted in it; unmount it first")
    if gone.exists():
        shutil.rmtree(gone)
    if path.exists():
        path.rename(gone)
        shutil.rmtree(gone)
