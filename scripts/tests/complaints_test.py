# SPDX-License-Identifier: GPL-2.0-only
"""One list of what kernels complain of, and three that read it: guests, selftests and KUnit have to agree.

Every line here is as a kernel has printed it, or as its source prints it.
"""

import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import kunit	# noqa: E402
from upliftlib.base import ktap, paths	# noqa: E402
from upliftlib.kernel import log	# noqa: E402
from tests import races_data as races	# noqa: E402
COMPLAINTS = """\
------------[ cut here ]------------
Call Trace:
Call trace:
BUG: kernel NULL pointer dereference, address: 0000000000000000
BUG: unable to handle page fault for address: ffffffffc0a01000
BUG: KASAN: slab-use-after-free in proc_reg_read+0x1/0x2
BUG: KCSAN: data-race in ep_poll_callback / ep_send_events
BUG: KFENCE: use-after-free read in f+0x1/0x2
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:283
BUG: scheduling while atomic: swapper/0/1/0x00000002
BUG: Bad page state in process rmmod  pfn:03a5c
BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 37s!
BUG: spinlock bad magic on CPU#0, swapper/0/1
BUG kmalloc-64 (Tainted: G           OE     ): Redzone overwritten
BUG at mm/usercopy.c:102!
kernel BUG at fs/inode.c:611!
[ BUG: Invalid wait context ]
[ INFO: suspicious RCU usage. ]
WARNING: CPU: 1 PID: 2 at fs/x.c:3 f+0x1/0x2 [uplift]
WARNING: fs/x.c:3 at f+0x1/0x2, CPU#1: insmod/91
WARNING: possible circular locking dependency detected
WARNING: suspicious RCU usage
INFO: task rmmod:91 blocked for more than 120 seconds.
INFO: rcu_preempt detected stalls on CPUs/tasks:
INFO: possible recursive locking detected
INFO: trying to register non-static key.
INFO: lockdep is turned off.
INFO: Slab 0xffffea0000e8d200 objects=32 used=32 fp=0x0000000000000000 flags=0x100000000000200
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_sched self-detected stall on CPU
DEBUG_LOCKS_WARN_ON(lock->magic != lock)
Oops: 0002 [#1] PREEMPT SMP NOPTI
Oops: Oops: 0002 [#1] SMP
Oops: int3: 0000 [#1] SMP KASAN NOPTI
Oops: general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b6b6b: 0000 [#1] SMP
Internal error: Oops: 0000000096000004 [#1] SMP
Kernel panic - not syncing: Fatal exception
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
unable to handle kernel paging request at ffffc90000a01000
general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP
double fault: 0000 [#1] SMP
traps: PANIC: double fault, error_code: 0x0
PANIC: double fault, error_code: 0x0
stack segment: 0000 [#1] SMP
invalid opcode: 0000 [#1] PREEMPT SMP
divide error: 0000 [#1] SMP
int3: 0000 [#1] SMP
segment not present: 0000 [#1]
unchecked MSR access error: RDMSR from 0x611 at rIP: 0xffffffff8106a8b4 (native_read_msr+0x4/0x20)
UBSAN: array-index-out-of-bounds in fs/x.c:3:4
KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]
KFENCE: invalid free in f+0x1/0x2
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [insmod:91]
NMI watchdog: Watchdog detected hard LOCKUP on cpu 1
watchdog: Watchdog detected hard LOCKUP on cpu 1
watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 2
refcount_t: underflow; use-after-free.
list_add corruption. next->prev should be prev (ffff8880), but was ffff8881. (next=ffff8882).
list_del corruption. prev->next should be ffff8880, but was dead000000000122
Bad page map in process x  pte:8000000012345067 pmd:12346067
page_owner tracks the page as allocated
Out of memory: Killed process 91 (fill) total-vm:1048576kB, anon-rss:524288kB, file-rss:0kB, shmem-rss:0kB
uplift: module verification failed: signature invalid
==================================================================
""".splitlines()

INNOCENT = """\
Linux version 6.18.15+deb13-amd64 (debian-kernel@lists.debian.org) (x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0)
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
NMI watchdog: Perf NMI watchdog permanently disabled
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.234 msecs
uplift: loading out-of-tree module taints kernel.
uplift: module verification failed: signature and/or required key missing - tainting kernel
kasan: KernelAddressSanitizer initialized (generic)
kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)-0x(____ptrval____)
kcsan: enabled early
rcu: Preemptible hierarchical RCU implementation.
rcu: RCU restricting CPUs from NR_CPUS=8192 to nr_cpu_ids=2.
Lockdep: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
uplift_trout: unsupported: no BUG: line here, and no WARNING: either
x[91]: segfault at 0 ip 0000000000401136 sp 00007ffd5b0e4f50 error 6 in x[401000+1000]
traps: x[91] general protection fault ip:401136 sp:7ffd5b0e4f50 error:0 in x[401136,401000+1000]
 ? __warn+0x81/0x130
RIP: 0010:report_bug+0x1/0x2
audit: type=1400 audit(1767225600.000:2): apparmor="STATUS" operation="profile_load"
input: Power Button as /devices/LNXSYSTM:00/LNXPWRBN:00/input/input0
    ok 1 oops_is_no_oops
# case: EXPECTATION FAILED at drivers/uplift/kunit/core_kunit.c:12
=====
reboot: Power down
""".splitlines()

LIBRARY = (paths.TOP / "selftests/lib.sh").read_text()
BUSYBOX = next((path for path in (paths.ROOT / "usr/bin/busybox", pathlib.Path("/bin/busybox")) if path.exists()), None)
SHELLS = [["sh", "-c"]] + ([[str(BUSYBOX), "sh", "-c"]] if BUSYBOX else [])


def selftests(call, lines, shell):
    """What a function of lib.sh makes of a log without stamps."""
    begin, end = LIBRARY.index("for list in"), LIBRARY.index("# no_faults:")
    text = f"DIR={paths.TOP}/selftests\n" + LIBRARY[begin:end] + f"\n{call}\n"
    # busybox's shell runs its own awk and grep
    done = subprocess.run([*shell, text], input="".join(f"{line}\n" for line in lines), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"})
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


def of_kunit(lines):
    """What a KUnit run makes of its console."""
    report = ktap.Report()
    said = kunit.judge({}, report, "".join(f"{line}\n" for line in lines))[2]
    return [line.removeprefix("console: ") for line in said]


class Readers(unittest.TestCase):
    STAMPS = ("[    1.234567] ", "half a line[   12.234567][  T123] ", "[    0.000000][    T0] ", "[   12.234567][   C1]  ")

    def test_of_guests(self):
        for stamp in self.STAMPS:
            self.assertEqual(log.complaints("".join(f"{stamp}{line}\r\n" for line in COMPLAINTS)), COMPLAINTS)
            self.assertEqual(log.complaints("".join(f"{stamp}{line}\r\n" for line in INNOCENT)), [])

    def test_of_programs_in_guests(self):
        """A line without a stamp is not the kernel's."""
        self.assertEqual(log.complaints("\n".join(COMPLAINTS)), [])
        self.assertEqual(log.complaints("[    0.1] WARNING: no"), [])

    def test_of_selftests(self):
        for shell in SHELLS:
            with self.subTest(shell=shell[0]):
                self.assertEqual(selftests("faults", COMPLAINTS, shell), COMPLAINTS)
                self.assertEqual(selftests("faults", INNOCENT, shell), [])

    def test_of_kunit(self):
        for stamp in ("", *self.STAMPS):
            for line in COMPLAINTS:
                self.assertEqual(of_kunit([f"{stamp}{line}"]), [line])
            self.assertEqual(of_kunit(stamp + line for line in INNOCENT), [])

    def test_each_once(self):
        self.assertEqual(log.complaints("[    1.000000] BUG: x\n[    1.000001] BUG: x\n"), ["BUG: x"])


class TheList(unittest.TestCase):
    def test_each_pattern_is_needed(self):
        """None that no line here shows, or that others make superfluous for all lines here."""
        patterns = log.patterns(log.COMPLAINTS.read_text())
        for pattern in patterns:
            self.assertTrue(any(re.match(pattern, line) for line in COMPLAINTS), f"'{pattern}' has no example")
        self.assertEqual(len(patterns), len(set(patterns)))

    def test_one_dialect(self):
        """What Python, awk and grep -E do not read alike does not come."""
        for pattern in log.patterns(log.COMPLAINTS.read_text()):
            self.assertEqual(re.sub(r"\\[][]", "", pattern).count("\\"), 0, pattern)
            self.assertNotRegex(pattern, r"\(\?|[*+?]\?|^[\^]|^\s|\s$|\{")


class Races(unittest.TestCase):
    """KCSAN's reports: the kernel's own are no complaint, one in which code of ours is, is one."""

    def kept(self, lines, stamp=""):
        text, titles = log.without_own_races("\n".join(stamp + line for line in lines))
        return [line.removeprefix(stamp) for line in text.splitlines()], titles

    def test_judged(self):
        for stamp in ("", "[   12.345678] ", "[   12.345678][   T91] "):
            for name, lines, left, _ in races.LOGS:
                with self.subTest(name, stamp=stamp):
                    self.assertEqual(self.kept(lines, stamp)[0], lines if left is None else left)
        self.assertEqual(self.kept(races.OWN + races.OWN)[1], ["data-race in ep_poll_callback / ep_send_events"])

    def test_of_a_console(self):
        text = "\r\n".join(f"[    1.000000] {line}" for line in races.OWN + races.QUIET)
        self.assertEqual(log.complaints(log.without_own_races(text)[0]), [])
        text = "\r\n".join(f"[    1.000000] {line}" for line in races.OURS)
        self.assertIn("BUG: KCSAN: data-race in ep_poll_callback / ep_send_events",
                      log.complaints(log.without_own_races(text)[0]))

    def test_left_to_the_lab(self):
        """In the guest a selftest judges no race; what it leaves out is a race's report and nothing else."""
        for shell in SHELLS:
            for name, lines, _, left in races.LOGS:
                with self.subTest(name, shell=shell[0]):
                    self.assertEqual(selftests("without_races", lines, shell), lines if left is None else left)


if __name__ == "__main__":
    unittest.main()
