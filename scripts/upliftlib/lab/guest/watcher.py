# SPDX-License-Identifier: GPL-2.0-only
"""Wait for a guest's end, pass its console on, and end it when it takes too long, says too much, or cannot go on."""

import dataclasses
import pathlib
import subprocess
import time
from collections.abc import Callable

from ...base import console as console_
from ...kernel import log
from . import contents, limits


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a guest ended. @why: '' if by itself"""
    why: str = ""
    timed_out: bool = False


def waited(pid: int) -> float:
    """Seconds for which a process was ready to run and had no CPU: the most that one of its threads was."""
    most = 0
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            most = max(most, int(file.read_text().split()[1]))
        except (OSError, IndexError, ValueError):
            pass	# it ended, or this kernel does not count
    return most / 1e9


class Watcher:
    """Of one guest. The time until its init is up has a limit of its own, as a kernel that hangs does so at boot.

    @hopeless: finds in a piece of the console the line that tells that waiting is of no use; '' where there is none
    """

    def __init__(self, process: "subprocess.Popen[bytes]", console: pathlib.Path, timeout: float,
                 echo: Callable[[str], object] | None = None, patience: float = limits.PATIENCE,
                 hopeless: Callable[[str], str] | None = None) -> None:
        self.process, self.console, self.timeout, self.echo, self.patience = process, console, timeout, echo, patience
        self.hopeless, self.read = hopeless, 0		# bytes of the console that it has seen
        self.start = time.monotonic()
        self.limit = limits.up_within(timeout)
        self.up = False
        self.shown, self.rest = 0, ""	# bytes of the console that were passed on, and the beginning of a line
        self.ending = Ending()
        self.kill_at: float | None = None

    def wait(self) -> Ending:
        """Until the guest has ended."""
        while True:
            ended = self._ended()
            size = self._size()
            self._pass_on(size)
            if ended:
                return self.ending
            self._check(size)

    def _ended(self) -> bool:
        try:
            self.process.wait(0.05)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _size(self) -> int:
        try:
            return self.console.stat().st_size
        except FileNotFoundError:
            return 0

    def _pass_on(self, size: int) -> None:
        """Whole lines of the console."""
        if not self.echo or size <= self.shown:
            return
        with open(self.console, "rb") as file:
            file.seek(self.shown)
            data = file.read(1 << 20)
        self.shown += len(data)
        *lines, self.rest = (self.rest + data.decode(errors="replace")).split("\n")
        for line in lines:
            self.echo(log.clean(line))

    def _check(self, size: int) -> None:
        now = time.monotonic()
        if self.kill_at is not None:
            if now > self.kill_at:
                self.process.kill()
        elif size > limits.CONSOLE:
            self._end_now(f"the console was flooded: more than {console_.size(limits.CONSOLE)}")
        elif said := self._lost(size):
            self._end_now(f"ended early, it cannot recover: {said}")
        elif not self.up and size and contents.is_up(self.console):
            self.up, self.limit = True, self.timeout
        elif now - self.start > self.limit:
            self._late(now - self.start)

    def _end_now(self, why: str) -> None:
        self.ending = Ending(why)
        self.process.kill()
        self.kill_at = time.monotonic() + self.patience

    def _lost(self, size: int) -> str:
        """Has the console's new part, and a little before it, a line that makes waiting useless?"""
        if not self.hopeless or size <= self.read:
            return ""
        with open(self.console, "rb") as file:
            file.seek(max(0, self.read - limits.REPORT))
            data = file.read(size - file.tell())
        self.read = size
        return self.hopeless(data.decode(errors="replace"))

    def _late(self, seconds: float) -> None:
        """A limit has passed. Time in which QEMU had no CPU does not count for that of its init."""
        within = limits.up_within(self.timeout)
        idle = 0.0 if self.up else waited(self.process.pid)
        if seconds < self.timeout and seconds - idle < within:
            self.limit = min(self.timeout, within + idle)
            return
        why = f"no end within {self.timeout:g} s" if self.up else \
            f"the kernel did not reach its init within {within:g} s"
        if idle > within:
            why += f", and {idle:.0f} s more in which QEMU had no CPU: this host has too much else to do"
        self.ending = Ending(why, timed_out=True)
        self.kill_at = time.monotonic() + self.patience
        self._nmi()

    def _nmi(self) -> None:
        """With unknown_nmi_panic the console then tells where each CPU was."""
        assert self.process.stdin
        try:
            self.process.stdin.write(b"nmi\n")
            self.process.stdin.flush()
        except OSError:
            pass
