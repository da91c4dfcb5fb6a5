# SPDX-License-Identifier: GPL-2.0-only
"""What emulation does to guests by itself, which says nothing of what they run: such a guest is booted once more."""

import dataclasses
import re

from ...kernel import log
from .contents import UP
from .description import Guest
from .result import Result


@dataclasses.dataclass(frozen=True)
class Fault:
    """@said: by the kernel; @thread: of the Guest that is booted again, where it has to be another"""
    said: str
    thread: str | None = None


def unfed(console: str) -> str:
    """RCU's line on a CPU that had less than one tick in ten: the host did not run its thread, or its timer was lost.
    '' where there is none."""
    for line, ticks, jiffies in re.findall(r"(rcu: \t\d+-\S+ \((\d+) ticks this GP\)[^\r\n]*).*?t=(\d+) jiffies", console,
                                           re.DOTALL):
        if 10 * int(ticks) < int(jiffies):
            return str(line).replace("\t", "")
    return ""


def _early(result: Result, console: str) -> str | None:
    """A failure before init was reached, where nothing of ours has run yet.

    A kernel hung, and one died of an interrupt in its first milliseconds, each seen once, on a loaded host. With KASAN
    it complains of that interrupt (handle_edge_irq() on a descriptor that is none, after 11 ms) and goes on; then all
    that it complains of is from before its init.
    """
    before, up, _ = console.partition(UP)
    if up and result.oops and set(result.oops) <= set(log.complaints(log.without_own_races(before)[0])):
        return f"{result.oops[0]} before its init"
    if result.rc is None and not result.up and (result.timed_out or result.oops):
        return (result.oops or [result.why])[0]
    return None


def _of_threads(result: Result, console: str) -> str | None:
    """A failure of multi-threaded TCG.

    A breakpoint that the guest has not set: the kernel patches code by way of int3. When a vCPU translates code while another
    writes it, multi-threaded TCG can keep the int3 for good; seen with QEMU 7.2 and 10.0, on loaded hosts. With one
    thread vCPUs take turns, and a kernel or module that is at fault itself fails there again.

    A CPU that had no ticks for as long as RCU waits: its thread was not run, on a host with many others, or its timer was
    lost, and it sleeps for good. One that spins with interrupts off looks the same, and spins again. The watcher ends such
    a guest at once (watcher.py): it would fail by RCU's report anyway, and one without a timer takes its whole time.
    """
    said = next((line for line in result.oops if re.match(r"(?:Oops: )?int3: ", line)), None)
    return said or ("rcu: a CPU without ticks" if unfed(console) else None)


def of_threads(accel: str, thread: str | None) -> bool:
    """Is a guest booted again on one thread where several can be to blame? Not if the caller asked for a number."""
    return "multi-threaded" in accel and not thread


def _clock(console: str) -> str | None:
    """A clock that was calibrated while the host was busy elsewhere: it runs at a multiple of its speed (ten times was
    seen), and minutes pass between two instructions."""
    clock = re.search(r"tsc: PIT calibration deviates from \w+: (\d+) (\d+)", console)
    return clock[0] if clock and not 0.8 < int(clock[1]) / int(clock[2]) < 1.25 else None


def fault(result: Result, guest: Guest) -> Fault | None:
    """Why the emulator can be to blame for a guest's failure; None if it cannot."""
    if result.ok or not result.accel.startswith("TCG"):
        return None
    console = result.console.read_text(errors="replace")
    threads = of_threads(result.accel, guest.thread)
    said = _early(result, console) or (_of_threads(result, console) if threads else None)
    if said:
        return Fault(said, "single" if threads else None)
    said = _clock(console)
    return Fault(said) if said else None
