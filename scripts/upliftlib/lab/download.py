# SPDX-License-Identifier: GPL-2.0-only
"""Bring files of the archive into the cache, each verified by SHA256.

For what no signed index lists, the sum of what came first is kept beside it: the file cannot change unseen after that,
and what is in it is held against the signed image when it is unpacked (imagecheck.py).
"""

import concurrent.futures
import dataclasses
import glob
import hashlib
import os
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable

from ..base import console, errors, paths, signals
from . import apt
from .archive import File

AT_ONCE = 4
SPARE = 500_000_000	# bytes that are left free for what is unpacked
MOST = 180_000_000	# what no file of a kernel's is larger than: for those of which nothing tells the size


class Gone(errors.Skip):
    """A file that the mirror does not have."""

    def __init__(self, file: File) -> None:
        super().__init__(f"{file.name} is {'gone from the mirror' if file.vouched else 'in no index, and not in the pool'} "
                         f"({file.uri})")
        self.file = file


def sha256_of(path: pathlib.Path) -> str:
    """A file's sum."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: pathlib.Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _note(file: File) -> pathlib.Path:
    """Where the sum of a file is kept that no index has one of."""
    return file.path.with_name(f"{file.name}.sha256")


def _wanted(file: File) -> str:
    """The sum that a file in the cache must have; "" where it was never here."""
    if file.sha256:
        return file.sha256
    try:
        return _note(file).read_text().strip()
    except FileNotFoundError:
        return ""


def described(file: File) -> dict[str, str | int]:
    """What is known of a file that is here, for a report."""
    return dataclasses.asdict(file) | {"size": _size(file.path), "sha256": _wanted(file)}


def whole(path: pathlib.Path, file: File) -> bool:
    """Is that the file? By size, if it is known, and by its sum."""
    return (not file.size or _size(path) == file.size) and sha256_of(path) == _wanted(file)


def _missing(files: Iterable[File]) -> list[File]:
    """Those that are not in the cache, each once; what is there and damaged is removed."""
    found = []
    for file in dict.fromkeys(files):	# a source is wanted whole and in slices
        if file.path.exists():
            if not _wanted(file):	# it came while an index still listed it, and was verified then
                paths.write(_note(file), sha256_of(file.path) + "\n")
            if whole(file.path, file):
                continue
            console.warn(f"{file.name} in the cache is damaged; getting it again")
            file.path.unlink()
        found.append(file)
    return found


class _Job:
    """Downloads files, a few at a time; partial ones stay when it is stopped, and the next attempt resumes them."""

    def __init__(self, files: list[File]):
        self.files = files
        self.partial = paths.ensure(paths.CACHE / "partial")
        self.total = sum(file.size for file in files) if all(file.size for file in files) else 0
        self.start = time.monotonic()
        self.stopped = threading.Event()
        self.processes: dict[File, subprocess.Popen[str]] = {}

    def _fetch(self, file: File, target: pathlib.Path) -> str | None:
        """What apt said when it failed; "" when it did not, None when we were stopped."""
        argv, environment = apt.download_command(file.uri, target, file.sha256)
        if self.stopped.is_set():
            return None
        process = subprocess.Popen([*signals.WITH_US, *argv], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        self.processes[file] = process
        said = process.communicate()[0]
        if self.stopped.is_set():
            return None
        return said.strip() or "no message" if process.returncode else ""

    def get(self, file: File) -> None:
        """Download one file, and verify it."""
        target = self.partial / file.name
        if not file.size or _size(target) > file.size:
            target.unlink(missing_ok=True)	# a part can only be resumed where a sum tells that it fits
        said = self._fetch(file, target)
        if said is None:
            return
        if said:
            for left in glob.glob(glob.escape(str(target)) + ".FAILED*"):
                os.unlink(left)
            raise Gone(file) if apt.is_gone(said) else \
                errors.Problem(f"cannot download {file.uri}: {apt.last_word(said)}")
        if not _wanted(file):
            paths.write(_note(file), sha256_of(target) + "\n")
        # apt has checked it too; this is what the word `verified` rests on
        if not whole(target, file):
            target.unlink()
            raise errors.Problem(f"{file.name} has not the SHA256 that it must have "
                                 f"({file.origin if file.vouched else 'it had another before'}): thrown away")
        os.replace(target, file.path)

    def progress(self) -> str:
        """How much is here."""
        here = sum(_size(file.path) or _size(self.partial / file.name) for file in self.files)
        of = f" of {console.size(self.total)}" if self.total else ""
        return f"{console.size(here)}{of}, {console.size(here / max(time.monotonic() - self.start, 0.1))}/s"

    def stop(self) -> None:
        """End what runs."""
        self.stopped.set()
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()

    def run(self) -> None:
        """All of them; the first that fails ends the others."""
        shown = console.Progress("downloading")
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            pending = {pool.submit(self.get, file) for file in self.files}
            try:
                while pending:
                    finished, pending = concurrent.futures.wait(pending, timeout=0.5,
                                                                return_when=concurrent.futures.FIRST_EXCEPTION)
                    for job in finished:
                        job.result()
                    shown.show(self.progress())
            except BaseException:
                for job in pending:
                    job.cancel()
                self.stop()
                raise


def _room(files: list[File]) -> None:
    need = sum(file.size or MOST for file in files) + SPARE
    if shutil.disk_usage(paths.ensure(paths.CACHE)).free < need:
        raise errors.Problem(f"no room below {paths.BUILD}: {console.size(need)} are needed")


def download(files: Iterable[File]) -> None:
    """Bring files into the cache, a few at a time, each verified. What is there already is verified again."""
    wanted = list(files)
    if not _missing(wanted):
        return
    # the sources of a target are wanted by several commands: two at once would write to one place
    with paths.lock("downloads"):
        missing = _missing(wanted)
        if not missing:
            return
        _room(missing)
        what = missing[0].name if len(missing) == 1 else f"{len(missing)} files"
        job = _Job(missing)
        known = f", {console.size(job.total)}" if job.total else ""
        with console.doing(f"downloading {what}{known}") as doing:
            job.run()
            size = sum(_size(file.path) for file in missing)
            doing.result = f"{console.size(size / max(time.monotonic() - job.start, 0.1))}/s, verified"
