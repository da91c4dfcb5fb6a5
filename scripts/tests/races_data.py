# SPDX-License-Identifier: GPL-2.0-only
"""Logs with reports of KCSAN's: the kernel's own races, ours, and what comes between."""

BAR = "=" * 66
OWN = [BAR, "BUG: KCSAN: data-race in ep_poll_callback / ep_send_events", "",
       "write to 0xffff88800423e0b0 of 8 bytes by interrupt on cpu 0:", " ep_poll_callback+0x15/0x480", "",
       "read to 0xffff88800423e0b0 of 8 bytes by task 91 on cpu 1:", " ep_send_events+0x69/0x5e0", "",
       "Reported by Kernel Concurrency Sanitizer on:", "CPU: 1 UID: 0 PID: 91 Comm: uplift_test Tainted: G O", BAR]
OURS = [line.replace("ep_send_events+0x69/0x5e0", "trout_new+0x69/0x5e0 [uplift_trout]") for line in OWN]
BACK = [line.replace("ep_send_events+0x69/0x5e0", "xfs_count+0x1/0x2 [xfs]") for line in OWN]
BACK = BACK[:8] + [" pike_new+0x1/0x2 [uplift_pike]"] + BACK[8:]
FIRST = OWN[:4] + BACK[7:9]		# an access of that kind
ELSE = [line.replace("ep_poll_callback+0x15", "ep_poll_callback+0x77") for line in OURS]
BOTH = [line.replace("ep_poll_callback+0x15/0x480", "trout_new+0x15/0x5e0 [uplift_trout]") for line in OURS]
KASAN = [BAR, "BUG: KASAN: slab-use-after-free in proc_reg_read+0x1/0x2", "Call Trace:", BAR]
LOCKDEP = ["=" * 54, "WARNING: possible circular locking dependency detected", "-" * 54, "stack backtrace:"]
QUIET = ["Some line", "=== not a bar ==="]

# (what it is, a log, what of it is left once the kernel's own races are out, what a selftest leaves, which judges none;
# None: all of it)
LOGS = (
    ("own", QUIET + OWN + QUIET, QUIET + QUIET, QUIET + QUIET),
    ("twice", OWN + QUIET + OWN, QUIET, QUIET),
    ("ours", QUIET + OURS, QUIET + OURS, QUIET),
    ("another module's, called by ours", BACK + QUIET, QUIET, QUIET),
    ("that, and the other access is ours", FIRST + [""] + OURS[6:], None, []),
    ("that, and where ours begins is lost", FIRST + [""] + OURS[7:], None, []),
    ("the kernel's own body, compiled again", [line.replace("trout_new", "uplift_trout_null") for line in OURS], [], []),
    ("ours, and the kernel's own function has it, too", OWN + OURS + OWN, [], []),
    ("the same, told later", OURS + QUIET + OWN, QUIET, QUIET),
    ("own, and ours of another kind", OWN + ELSE + OWN, ELSE, []),
    ("ours with itself, and one that is inherited", OWN + BOTH, BOTH, []),
    ("KASAN's between", OWN + KASAN + QUIET + OWN, KASAN + QUIET, KASAN + QUIET),
    ("lockdep's between", OWN + LOCKDEP + OWN + QUIET, LOCKDEP + QUIET, LOCKDEP + QUIET),
    ("cut short", QUIET + OWN[:5], None, None),
    ("ours, with what some kernels add to a module's name",
     [line.replace("[uplift_trout]", "[uplift_trout(OE) 1a2b3c4d]") for line in OURS], None, []),
    ("another CPU's oops between the lines", OWN[:5] + ["BUG: unable to handle page fault: 8"] + OWN[5:], None, None),
    ("another CPU's warning", OWN[:5] + ["------------[ cut here ]------------", "WARNING: CPU: 0 at kernel/x.c:1"]
     + OWN[5:], None, None),
    ("its end lost, and a warning behind it", OWN[:-1] + ["WARNING: CPU: 0 at kernel/x.c:1"] + OWN, None, None),
    ("a complaint within", OWN[:4] + ["WARNING: CPU: 0 at kernel/x.c:1 f+0x1/0x2 [uplift]"] + OWN[4:], None, None),
)
