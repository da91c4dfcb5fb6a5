# SPDX-License-Identifier: GPL-2.0-only
"""The kernel arguments of every guest."""

from .description import Guest

ALWAYS = (
    "console=ttyS0,115200",
    "panic=-1",			# reboot at once, which ends QEMU (-no-reboot)
    "printk.time=1",		# a line with a stamp is the kernel's, see kernel/log.py
    "loglevel=5",
    "no_timer_check",		# a busy host delivers the timer's first interrupts late
    "unknown_nmi_panic",	# a guest that takes too long is sent an NMI, and tells where each CPU was
    "net.ifnames=0",
)
# Without the second every other tick is stolen for a while after boot, and counts double.
SAME = ("nokaslr", "cryptomgr.notests")


def of(guest: Guest) -> list[str]:
    """The kernel arguments of a guest, in order; of two that contradict each other the later counts."""
    words = list(ALWAYS)
    words += ["oops=panic"] if guest.oops_panic else []
    words += ["panic_on_warn=1"] if guest.warn_panic else []
    words += SAME if guest.same else ()
    return words + guest.append.split()
