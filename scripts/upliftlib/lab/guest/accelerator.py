# SPDX-License-Identifier: GPL-2.0-only
"""KVM or emulation (TCG), and how TCG counts. Which one is a matter of the guest, of the host, and of the QEMU."""

import dataclasses
import json
import os
import platform
from collections.abc import Callable

from ...base import console, errors, paths
from . import limits, machines
from .description import Guest
from .qemu import Qemu
from .result import Result

_SAME = ("-accel", "tcg,thread=single", "-icount", "shift=0,align=off,sleep=off",
         "-rtc", "base=2026-01-01,clock=vm", "-seed", "1")


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """@name: for people; @args: for QEMU"""
    name: str
    args: tuple[str, ...]

    @property
    def emulates(self) -> bool:
        return self.name.startswith("TCG")


def choose(guest: Guest, qemu: Qemu, boot: Callable[[Guest], Result]) -> Accelerator:
    """The accelerator for a guest; @boot: boots one, as that is how KVM is tried."""
    want = guest.wanted_accel
    if want not in ("auto", "kvm", "tcg"):
        raise errors.Problem(f"no accelerator '{want}'; there are: auto kvm tcg", errors.USAGE)
    if guest.icount:
        return Accelerator(f"TCG, counting instructions (CPU model {machines.of(guest.target).counting_cpu.partition(',')[0]})", _SAME)
    if guest.repeatable:
        return Accelerator("TCG, every instruction of any vCPU a nanosecond", _SAME)
    emulated = platform.machine() != machines.arch_of(guest.target).uname
    if want == "kvm" or want == "auto" and not emulated and kvm_works(guest, qemu, boot):
        return Accelerator("KVM", ("-accel", "kvm"))
    # Before QEMU 10 (7.2 was seen) multi-threaded TCG can crash a guest that patches code on several CPUs.
    thread = guest.thread or ("multi" if qemu.major >= 10 else "single")
    if thread not in ("single", "multi"):
        raise errors.Problem(f"TCG threads are 'single' or 'multi', not '{thread}'", errors.USAGE)
    return Accelerator(f"TCG, {thread}-threaded", ("-accel", f"tcg,thread={thread}"))


def _host() -> str:
    """What decides whether KVM works here."""
    model = ""
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{os.uname().release} {os.uname().version} {model}"


def _known(key: str) -> bool | None:
    """What was found out before about this host; None if nothing was."""
    try:
        note = json.loads((paths.GUEST / "kvm.json").read_text())
        return bool(note["works"]) if note["host"] == key else None
    except (OSError, ValueError, KeyError):
        return None


def kvm_works(guest: Guest, qemu: Qemu, boot: Callable[[Guest], Result]) -> bool:
    """Does a stock guest boot under KVM? /dev/kvm may open, create a machine, and still hang: so boot one.

    The answer is kept below build/ for this host kernel, CPU and QEMU.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    key = f"{_host()} qemu {qemu.version}"
    with paths.lock("kvm"):
        known = _known(key)
        if known is not None:
            return known
        with console.doing("KVM: trying to boot a guest (once)") as doing:
            result = boot(Guest(guest.target, "true", accel="kvm", timeout=limits.KVM_PROBE, name="kvm-probe",
                                qemu=qemu, quiet=True))
            doing.result = ("works" if result.ok
                            else f"does not work, emulation (TCG) will be used: {result.problem()}")
        paths.write(paths.GUEST / "kvm.json",
                    json.dumps({"host": key, "works": result.ok, "why": result.problem()}) + "\n")
    return result.ok
