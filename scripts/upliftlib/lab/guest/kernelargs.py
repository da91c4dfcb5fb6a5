# SPDX-License-Identifier: GPL-2.0-only
"""The kernel arguments of every guest."""

from . import machines
from .description import Guest

ALWAYS = (
    "panic=-1",			# reboot at once, which ends QEMU (-no-reboot)
    "printk.time=1",		# a line with a stamp is the kernel's, see kernel/log.py
    "loglevel=5",
)
# An emulated Icelake does not say that it needs no page-table isolation, as the real one does: each system call then flushes
# the emulator's TLB twice, which is half of the CPU time of a test that makes many. What counts stays as it is.
PLAIN = ("nopti",)
# Without the second every other tick is stolen for a while after boot, and counts double.
SAME = ("nokaslr", "cryptomgr.notests")


def of(guest: Guest) -> list[str]:
    """The kernel arguments of a guest, in order; of two that contradict each other the later counts."""
    machine = machines.of(guest.target)
    words = [f"console={machine.console}", *ALWAYS, *machine.append, "net.ifnames=0"]
    words += ["oops=panic"] if guest.oops_panic else []
    words += ["panic_on_warn=1"] if guest.warn_panic else []
    words += SAME if guest.same else () if guest.plugins else PLAIN
    return words + guest.append.split()
