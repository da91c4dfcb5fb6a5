# SPDX-License-Identifier: GPL-2.0-only
"""Put back what was changed on a live machine, however this process ends.

    with undo.Undo() as back:
        kos.load(path)
        back.add("unload", "uplift")

A child waits on a pipe and undoes, last first, when the pipe closes: at the end of the block, and just so when this
process is killed.
"""

import ctypes
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Self

_libc = ctypes.CDLL(None, use_errno=True)
O_NONBLOCK = os.O_NONBLOCK
_DELETE_MODULE = {"x86_64": 176, "aarch64": 106}


class Failed(Exception):
    """Something could not be undone; the text says what."""


def _call(function: Callable[..., int], *args: object) -> None:
    if function(*args):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _patiently(act: Callable[[], object], seconds: float, gone: tuple[type[OSError], ...] = (FileNotFoundError,)) -> None:
    """Until it works, or is there no more."""
    end = time.monotonic() + seconds
    while True:
        try:
            act()
            return
        except gone:
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def unload(name: str, seconds: float = 30) -> None:
    """Unload a module; waits until its last user has left."""
    number = _DELETE_MODULE.get(os.uname().machine)
    if number is None:
        raise OSError(f"do not know how to unload on {os.uname().machine}")
    _patiently(lambda: _call(_libc.syscall, number, name.encode(), O_NONBLOCK), seconds)


def umount(path: str, seconds: float = 10) -> None:
    """Unmount."""
    _patiently(lambda: _call(_libc.umount2, os.fsencode(path), 0), seconds)


def write(path: pathlib.Path | str, text: str) -> None:
    """Write a file of the kernel's, if it is there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except FileNotFoundError:
        pass


def _remove(path: str) -> None:
    _patiently(lambda: os.rmdir(path) if os.path.isdir(path) else os.unlink(path), 1)


def end(group: str, seconds: float = 10) -> None:
    """End a process group that we started; wait until nobody is left of it, or only what nobody has waited for."""
    def act() -> None:
        os.killpg(int(group), signal.SIGKILL)
        raise BlockingIOError
    try:
        _patiently(act, seconds, (ProcessLookupError,))
    except BlockingIOError:
        pass


ACTIONS: dict[str, Callable[..., None]] = {"end": end, "unload": unload, "umount": umount, "write": write, "remove": _remove}


def _watch(pipe: int) -> None:
    """The child: collect until the pipe closes, then undo."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.setsid()		# a Ctrl-C of the terminal, or the end of its session, is not for us
    failed = 0
    with os.fdopen(pipe, "r") as file:
        actions = [json.loads(line) for line in file if line.endswith("\n")]
    for kind, *words in reversed(actions):
        try:
            ACTIONS[kind](*words)
        except OSError as problem:
            failed = 1
            os.write(2, f"uplift: could not undo: {kind} {words[0]}: {problem.strerror or problem}\n".encode())
    os._exit(failed)


class Undo:
    """A block at whose end everything added is undone."""

    def __init__(self) -> None:
        self.ok = True

    def __enter__(self) -> Self:
        read, self._pipe = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._child = os.fork()
        if not self._child:
            try:
                # no other process shall wait for us because we hold its pipe
                os.closerange(3, read)
                os.closerange(read + 1, 4096)
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, 0)
                os.dup2(null, 1)
                _watch(read)
            finally:
                os._exit(1)
        os.close(read)
        return self

    def add(self, kind: str, *words: object) -> None:
        """Undo this at the end: a word of ACTIONS and what it takes."""
        if kind not in ACTIONS:
            raise ValueError(kind)
        os.write(self._pipe, (json.dumps([kind, *map(str, words)]) + "\n").encode())

    def __exit__(self, *_: object) -> None:
        os.close(self._pipe)
        while True:
            try:
                status = os.waitpid(self._child, 0)[1]
                break
            except KeyboardInterrupt:
                continue	# what is being undone is soon undone
        self.ok = status == 0
