# SPDX-License-Identifier: GPL-2.0-only
"""What became of a guest, and what fails it.

A guest fails when

  - its kernel complained, on the console or in its log: kernel/complaints is the list. Left out are reports that the
    script means to bring about (Guest.excused), KCSAN's reports of races of the kernel's own (kernel/log.py), and what
    the kernel says of the NMI that ends a guest;
  - its script ended with another status than 0;
  - there is no result: it was ended by a limit (watcher.py, limits.py), its kernel panicked, QEMU failed, init was not
    reached, or what it sent is not whole (stream.py).

A caller may look further: at what the script printed (verify.judge() reads KTAP), or at the taint.
"""

import dataclasses
import pathlib
import re

from ...base import console
from ...kernel import log
from . import contents, stream
from .watcher import Ending


@dataclasses.dataclass
class Result:
    """What became of a guest.

    @rc: the script's exit status; None if the guest ended without a result
    @up: its init was reached
    @output: the script's stdout and stderr
    @oops: lines of the console and the log in which the kernel complained
    @races: titles of data races, found by KCSAN, in which none of our code is: the kernel's own, no complaint
    @why: one line, when there is no result: what happened instead
    """
    console: pathlib.Path
    outdir: pathlib.Path
    output: pathlib.Path
    dmesg: pathlib.Path
    accel: str = ""
    qemu: str = ""
    argv: list[str] = dataclasses.field(default_factory=list)
    rc: int | None = None
    seconds: float = 0.0
    taint: int | None = None
    timed_out: bool = False
    up: bool = False
    oops: list[str] = dataclasses.field(default_factory=list)
    races: list[str] = dataclasses.field(default_factory=list)
    why: str = ""

    @property
    def ok(self) -> bool:
        """The script said 0 and the kernel did not complain."""
        return self.rc == 0 and not self.oops

    def problem(self) -> str:
        """One line about what went wrong, '' if nothing did."""
        if self.oops:
            return f"the kernel complained: {self.oops[0]}" + (f" (status {self.rc})" if self.rc else "")
        if self.rc is None:
            return self.why
        return f"the script ended with status {self.rc}" if self.rc else ""

    def tail(self, lines: int = 15) -> list[str]:
        """The last lines of the console."""
        text = self.console.read_bytes()[-16384:].decode(errors="replace")
        return [log.clean(line) for line in text.splitlines() if line.strip()][-lines:]

    def show_end(self) -> None:
        """Tell how a guest without a result ended."""
        console.warn(f"guest {self.console.parent.name}: {self.why}; the console's last lines ({self.console}):")
        for text in self.tail():
            console.note(f"    | {text}")


def in_directory(directory: pathlib.Path) -> Result:
    """The Result of a guest that runs in a directory, without anything found yet."""
    return Result(console=directory / "console", outdir=directory / "out", output=directory / "log/output",
                  dmesg=directory / "log/dmesg")


def judge(result: Result, ending: Ending, status: int, excused: str | None) -> None:
    """Fill in a result from what a guest left in its directory. @status: QEMU's"""
    if not result.console.exists():
        result.console.write_bytes(b"")
    directory = result.console.parent
    result.up = contents.is_up(result.console)
    result.timed_out, result.why = ending.timed_out, ending.why
    sent = stream.unpack(directory / "result", directory)
    result.taint = sent.taint
    said = _said(result)
    _complaints(result, said, excused)
    if sent.rc is None:
        result.why = result.why or _without_result(result, said, status, sent.why)
    elif not result.why:
        result.rc = sent.rc
        (directory / "result").unlink()


def _said(result: Result) -> str:
    """Console and log, without the kernel's own races, whose titles go to the result."""
    text, result.races = log.without_own_races(result.console.read_bytes().decode(errors="replace"))
    if result.dmesg.exists():
        more, races = log.without_own_races(result.dmesg.read_text(errors="replace"))
        text += "\n" + more
        result.races = list(dict.fromkeys(result.races + races))
    return text


def _complaints(result: Result, text: str, excused: str | None) -> None:
    found = log.complaints(log.without(text, excused) if excused else text)
    if result.timed_out:
        # what the NMI made it say is no fault of its own
        cut = next((number for number, line in enumerate(found)
                    if re.search(r"NMI: Not continuing|unknown_nmi|NMI", line)), len(found))
        found = found[:cut]
    result.oops = found


def _without_result(result: Result, text: str, status: int, why: str) -> str:
    panic = log.panic(text)
    if panic is not None:
        return f"the guest's kernel panicked: {panic}"
    if status:
        said = _qemu_said(result.console.parent / "qemu.log")
        return f"QEMU ended with status {status}: {said[-1] if said else 'it said nothing'}"
    if not result.up:
        return "the guest ended before its init was up"
    return f"the guest ended without a result ({why})"


def _qemu_said(path: pathlib.Path) -> list[str]:
    """QEMU's errors; not its warnings, nor its monitor's prompt."""
    if not path.exists():
        return []
    return [line for line in path.read_text(errors="replace").splitlines()
            if line.strip() and "warning:" not in line and not line.startswith(("(qemu)", "QEMU "))]
