# SPDX-License-Identifier: GPL-2.0-only
"""What can be known of guests without booting one."""

import hashlib
import io
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import types
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import console as console_, errors, paths	# noqa: E402
from upliftlib.lab import guest, initramfs, selftests, signed	# noqa: E402

DEP = """\
kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz kernel/fs/netfs.ko.xz
kernel/fs/netfs.ko.xz: kernel/lib/libcrc32c.ko.xz
kernel/lib/libcrc32c.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/fs/a.ko.xz: kernel/fs/b.ko.xz
kernel/fs/b.ko.xz: kernel/fs/a.ko.xz
kernel/fs/broken.ko.xz: kernel/fs/gone.ko.xz
kernel/fs/minix/minix.ko.xz:
"""


class Same(unittest.TestCase):
    def test_nobody_answers_in_his_own_time(self):
        # QEMU's other thread did: counts of two boots differed by a quarter of an instruction, or by some
        for same in (True, False):
            words = guest._channel(pathlib.Path("/x/a,b"), same)
            self.assertEqual([word for word in words if word.startswith("virtio-serial-pci")],
                             ["virtio-serial-pci" + ",ioeventfd=off" * same])
            self.assertIn("file,id=result,path=/x/a,,b", words)


class Firmware(unittest.TestCase):
    def test_which(self):
        self.assertEqual(guest._firmware(None), ["-bios", "qboot.rom"])
        words = guest._firmware((pathlib.Path("/a,b/code"), pathlib.Path("/vars")))
        self.assertIn("if=pflash,unit=0,format=raw,readonly=on,file=/a,,b/code", words)
        # the next boot finds the variables as they were
        self.assertIn("if=pflash,unit=1,format=raw,snapshot=on,file=/vars", words)

    def image(self, size, magic=0x20b):
        pe, at = 0x80, 0x200
        image = bytearray(at + size)
        image[0x3c:0x40] = pe.to_bytes(4, "little")
        image[pe:pe + 4] = b"PE\0\0"
        image[pe + 24:pe + 26] = magic.to_bytes(2, "little")
        table = pe + 24 + (112 if magic == 0x20b else 96) + 32
        image[table:table + 8] = (at if size else 0).to_bytes(4, "little") + size.to_bytes(4, "little")
        if size:
            image[at:at + 8] = size.to_bytes(4, "little") + b"\0\2\2\0"
            image[at + 8:] = b"m" * (size - 8)
        return bytes(image)

    def test_signature(self):
        for magic in (0x10b, 0x20b):
            self.assertEqual(signed.signature(self.image(24, magic)), b"m" * 16)
            self.assertIsNone(signed.signature(self.image(0, magic)))
        for bad in (b"", b"MZ" + bytes(100), self.image(24)[:0x90], self.image(24, 7)):
            with self.assertRaises(errors.Problem):
                signed.signature(bad)


class Names(unittest.TestCase):
    """A guest's directory is replaced, so its name must stay below build/guest."""

    def test_leads_nowhere_else(self):
        for name in ("/etc", "..", "../..", "a/b", "", ".", ".lock-x", "a\nb", "~"):
            with self.assertRaises(errors.Problem, msg=name) as problem:
                guest.check_name(name)
            self.assertEqual(problem.exception.code, errors.USAGE)

    def test_plain_names(self):
        for name in ("6.12-run", "6.12+own.2", "a_b"):
            guest.check_name(name)


class ModulesDep(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.addCleanup(self.temp.cleanup)
        self.tree = pathlib.Path(self.temp.name) / "6.12.1"
        self.tree.mkdir()
        (self.tree / "modules.dep").write_text(DEP)
        (self.tree / "modules.builtin").write_text("kernel/fs/ext-one.ko\n")
        (self.tree / "modules.softdep").write_text("# a comment\nsoftdep libcrc32c pre: crc32c absent post: minix\n")
        (self.tree / "modules.alias").write_text("alias crc32c crc32c_intel\nalias fs-xfs xfs\nalias cpu:* xfs\n")
        self.modules = initramfs.Modules(self.tree)

    def test_order(self):
        self.assertEqual(self.modules.resolve(["xfs"]), ["crc32c_intel", "libcrc32c", "netfs", "xfs"])

    def test_each_once(self):
        order = self.modules.resolve(["xfs", "netfs", "xfs", "minix"])
        self.assertEqual(sorted(set(order)), sorted(order))

    def test_names(self):
        self.assertEqual(self.modules.resolve(["crc32c-intel"]), ["crc32c_intel"])
        self.assertEqual(initramfs.plain("kernel/x/snd-hda-intel.ko.zst"), "snd_hda_intel")

    def test_builtin_needs_nothing(self):
        self.assertEqual(self.modules.resolve(["ext-one"]), [])

    def test_missing(self):
        with self.assertRaisesRegex(errors.Problem, "no module 'minx'"):
            self.modules.resolve(["minx"])
        with self.assertRaisesRegex(errors.Problem, "there are: minix"):
            self.modules.resolve(["minixfs"])
        with self.assertRaisesRegex(errors.Problem, "'broken' needs 'gone'"):
            self.modules.resolve(["broken"])

    def test_circle(self):
        with self.assertRaisesRegex(errors.Problem, "circle"):
            self.modules.resolve(["a"])

    def test_aliases(self):
        self.assertEqual(self.modules.aliases(["xfs"]), ["alias fs-xfs xfs", "alias cpu:* xfs"])

    def test_no_depmod(self):
        (self.tree / "modules.dep").unlink()
        with self.assertRaisesRegex(errors.Problem, "depmod"):
            initramfs.Modules(self.tree)


class Archive(unittest.TestCase):
    def test_cpio_reads_it(self):
        archive = initramfs.Archive()
        archive.text("init", "#!/bin/sh\n", 0o755)
        archive.text("/a/b/c", b"\0\1\2")
        archive.link("bin", "usr/bin")
        with tempfile.TemporaryDirectory() as temp:
            image = pathlib.Path(temp) / "image"
            archive.write(image)
            try:
                found = subprocess.run(["cpio", "-it", "--quiet"], input=image.read_bytes(), stdout=subprocess.PIPE,
                                       check=True).stdout.decode().split()
            except FileNotFoundError:
                self.skipTest("no cpio here")
            self.assertEqual(found, ["a", "a/b", "a/b/c", "bin", "init"])
            before = image.read_bytes()
            archive.write(image)
            self.assertEqual(before, image.read_bytes())

    def test_links_are_followed(self):
        archive = initramfs.Archive()
        archive.dir("bin")
        archive.link("usr/bin", "/bin")
        archive.link("usr/sbin", "../bin")
        archive.text("usr/bin/x", "")
        archive.text("usr/sbin/y", "")
        archive.link("bin/x", "y")	# the last component is replaced, not followed
        self.assertEqual(sorted(archive.entries), ["bin", "bin/x", "bin/y", "usr", "usr/bin", "usr/sbin"])
        self.assertIn("usr/bin/y", archive)
        archive.link("one", "/two")
        archive.link("two", "/one")
        with self.assertRaisesRegex(errors.Problem, "circles"):
            archive.text("one/x", "")

    def test_bad_paths(self):
        archive = initramfs.Archive()
        for path in ("/", "../x", "a/../../x", ""):
            with self.assertRaises(errors.Problem):
                archive.text(path, "")
        archive.text("a", "")
        with self.assertRaisesRegex(errors.Problem, "no directory"):
            archive.text("a/b", "")
        with self.assertRaisesRegex(errors.Problem, "cannot carry"):
            archive.copy("x", "/nonexistent")
        with self.assertRaisesRegex(errors.Problem, "neither"):
            archive.copy("x", "/dev/null")


class Topology(unittest.TestCase):
    def args(self, *args):
        words, cpus = guest.topology_args(*args)
        return dict(zip(words[::2], words[1::2])), cpus

    def test_plain(self):
        words, cpus = self.args(None, None)
        self.assertEqual((words["-smp"], cpus), ("1,sockets=1,dies=1,cores=1", 1))
        self.assertEqual(self.args(None, 6)[0]["-smp"], "6,sockets=1,dies=1,cores=6")

    def test_counting(self):
        words, _ = self.args(None, 1, True)
        self.assertTrue(words["-cpu"].startswith("qemu64"))
        self.assertIn("-rdrand", self.args("llc1", 1, True)[0]["-cpu"])

    def test_every_product_is_the_number_of_cpus(self):
        for name, item in guest.TOPOLOGIES.items():
            with self.subTest(topology=name):
                words, cpus = self.args(name)
                self.assertEqual(cpus, item.cpus)
                first, *parts = words["-smp"].split(",")
                values = dict(part.split("=") for part in parts)
                product = 1
                for key in ("sockets", "dies", "modules", "cores", "threads"):
                    product *= int(values.get(key, 1))
                self.assertEqual(int(values.get("maxcpus", first)), product)

    def test_scaled(self):
        self.assertEqual(self.args("llc4", 8)[0]["-smp"], "8,sockets=1,dies=4,cores=2")
        self.assertEqual(self.args("smt", 4)[0]["-smp"], "4,sockets=1,dies=2,cores=1,threads=2")

    def test_nodes(self):
        self.assertEqual(guest.node_args(None, 2, 1024), [])
        self.assertEqual(guest.node_args("llc4", 16, 1024), [])
        words = guest.node_args("numa", 8, 1024)
        self.assertEqual(words[1::2], [
            "memory-backend-ram,id=node0,size=512M", "node,nodeid=0,cpus=0-3,memdev=node0",
            "memory-backend-ram,id=node1,size=512M", "node,nodeid=1,cpus=4-7,memdev=node1"])
        with self.assertRaises(errors.Problem):
            guest.node_args("snc", 7, 1024)

    def test_bad(self):
        for name, smp in (("llc4", 6), ("smt", 6), ("uneven", 8), ("blah", 1), (None, 0), (None, 256), ("llc2", 3)):
            with self.subTest(name=name, smp=smp), self.assertRaises(errors.Problem) as caught:
                guest.topology_args(name, smp)
            self.assertEqual(caught.exception.code, errors.USAGE)


class Console(unittest.TestCase):
    def test_complaints(self):
        for line in ("WARNING: CPU: 1 PID: 2 at fs/x.c:3 f+0x1/0x2", "BUG: kernel NULL pointer dereference",
                     "Oops: Oops: 0002 [#1] SMP", "Kernel panic - not syncing: x", "WARNING: fs/x.c:3 at f+0x1",
                     "INFO: task x:1 blocked for more than 120 seconds.", "rcu: INFO: rcu_preempt detected stalls",
                     "watchdog: BUG: soft lockup - CPU#0 stuck", "WARNING: possible circular locking dependency",
                     "general protection fault, probably", "------------[ cut here ]------------",
                     "refcount_t: underflow; use-after-free.", "list_del corruption. prev->next"):
            with self.subTest(line=line):
                self.assertEqual(guest.complaints(f"x\n[    1.234567] {line}\n"), [line])
                self.assertEqual(guest.complaints(f"half a line[   12.234567][  T123] {line}\r\n"), [line])

    LOG = """\
[    1.000000] fail_nth: vmalloc error: size 4096, vm_struct allocation failed
[    1.000001] Call Trace:
[    2.000000] ------------[ cut here ]------------
[    2.000001] Failed to arm kprobe-ftrace at f+0x4/0x10 (error -12)
[    2.000002] WARNING: CPU: 1 PID: 82 at arm_kprobe+0x301/0x390
[    2.000003] Call Trace:
[    2.000004] ---[ end trace 0000000000000000 ]---
"""

    def test_what_is_meant_is_no_complaint(self):
        self.assertEqual(guest.complaints(guest.without(self.LOG, "vmalloc error|Failed to arm .*-12")), [])

    def test_only_what_is_meant_is_excused(self):
        other = "[    3.000000] ------------[ cut here ]------------\n[    3.000001] WARNING: at ours+0x1/0x2 [uplift]\n"
        for more in (other, other + "[    3.000002] ---[ end trace 0000000000000000 ]---\n", "[    3.000000] Call Trace:\n"):
            self.assertTrue(guest.complaints(guest.without(self.LOG + more, "vmalloc error|Failed to arm .*-12")), more)
        self.assertIn("WARNING: CPU: 1 PID: 82 at arm_kprobe+0x301/0x390",
                      guest.complaints(guest.without(self.LOG, "vmalloc error")))

    def test_timer_of_a_deadline_server(self):
        """10,000 switches under fio ended at a warning that the scheduler makes, of a timer of its own."""
        log = """\
[  504.733355] ------------[ cut here ]------------
[  504.733727] WARNING: CPU: 0 PID: 181 at kernel/time/hrtimer.c:1045 hrtimer_forward+0x7b/0xc0
[  504.733900] Modules linked in: uplift_iomap(OE) uplift(OE) xfs brd
[  504.758667] Call Trace:
[  504.759554]  <IRQ>
[  504.759723]  dl_task_timer+0x360/0x8b0
[  504.772716] ---[ end trace 0000000000000000 ]---
"""
        pattern = selftests.NAMED["switches_iomap"]["excused"]
        self.assertEqual(guest.complaints(guest.without(log, pattern)), [])
        for other in (log.replace("hrtimer_forward+0x7b/0xc0", "iomap_new+0x1/0x2 [uplift_iomap]"),
                      log.replace("time/hrtimer.c:1045", "time/timer.c:1045")):
            self.assertIn("Call Trace:", guest.complaints(guest.without(other, pattern)))

    def test_no_complaints(self):
        for line in ("[    0.1] WARNING: no", "WARNING: said by a script",
                     "[    0.123456] Spectre V2 : WARNING: Unprivileged eBPF is enabled",
                     "[    0.123456] NMI watchdog: Perf NMI watchdog permanently disabled",
                     "[    0.123456] uplift: loading out-of-tree module taints kernel."):
            with self.subTest(line=line):
                self.assertEqual(guest.complaints(line), [])

    def test_each_once(self):
        self.assertEqual(len(guest.complaints("[    1.000000] BUG: x\n[    1.000000] BUG: x\n")), 1)


class OwnRaces(unittest.TestCase):
    """KCSAN's reports: the kernel's own are no complaint, one in which code of ours is is one."""
    BAR = "=" * 66
    OWN = [BAR, "BUG: KCSAN: data-race in ep_poll_callback / ep_send_events", "",
           "write to 0xffff88800423e0b0 of 8 bytes by interrupt on cpu 0:", " ep_poll_callback+0x15/0x480", "",
           "read to 0xffff88800423e0b0 of 8 bytes by task 91 on cpu 1:", " ep_send_events+0x69/0x5e0", "",
           "Reported by Kernel Concurrency Sanitizer on:", "CPU: 1 UID: 0 PID: 91 Comm: uplift_test Tainted: G O", BAR]
    OURS = [line.replace("ep_send_events+0x69/0x5e0", "epoll_new+0x69/0x5e0 [uplift_epoll]") for line in OWN]
    BACK = [line.replace("ep_send_events+0x69/0x5e0", "xfs_count+0x1/0x2 [xfs]") for line in OWN]
    BACK = BACK[:8] + [" iomap_new+0x1/0x2 [uplift_iomap]"] + BACK[8:]
    FIRST = OWN[:4] + BACK[7:9]		# an access of that kind
    ELSE = [line.replace("ep_poll_callback+0x15", "ep_poll_callback+0x77") for line in OURS]
    BOTH = [line.replace("ep_poll_callback+0x15/0x480", "epoll_new+0x15/0x5e0 [uplift_epoll]") for line in OURS]
    KASAN = [BAR, "BUG: KASAN: slab-use-after-free in proc_reg_read+0x1/0x2", "Call Trace:", BAR]
    LOCKDEP = ["=" * 54, "WARNING: possible circular locking dependency detected", "-" * 54, "stack backtrace:"]
    QUIET = ["Some line", "=== not a bar ==="]

    LOGS = (
        ("own", QUIET + OWN + QUIET, QUIET + QUIET),
        ("twice", OWN + QUIET + OWN, QUIET),
        ("ours", QUIET + OURS, QUIET + OURS),
        ("another module's, called by ours", BACK + QUIET, QUIET),
        ("that, and the other access is ours", FIRST + [""] + OURS[6:], None),
        ("that, and where ours begins is lost", FIRST + [""] + OURS[7:], None),
        ("the kernel's own body, compiled again", [line.replace("epoll_new", "uplift_epoll_null") for line in OURS], []),
        ("ours, and the kernel's own function has it, too", OWN + OURS + OWN, []),
        ("the same, told later", OURS + QUIET + OWN, QUIET),
        ("own, and ours of another kind", OWN + ELSE + OWN, ELSE),
        ("ours with itself, and one that is inherited", OWN + BOTH, BOTH),
        ("KASAN's between", OWN + KASAN + QUIET + OWN, KASAN + QUIET),
        ("lockdep's between", OWN + LOCKDEP + OWN + QUIET, LOCKDEP + QUIET),
        ("cut short", QUIET + OWN[:5], QUIET + OWN[:5]),
        ("ours, with what some kernels add to a module's name",
         [line.replace("[uplift_epoll]", "[uplift_epoll(OE) 1a2b3c4d]") for line in OURS], None),
        ("another CPU's oops between the lines", OWN[:5] + ["BUG: unable to handle page fault: 8"] + OWN[5:],
         None),
        ("another CPU's warning", OWN[:5] + ["------------[ cut here ]------------", "WARNING: CPU: 0 at kernel/x.c:1"]
         + OWN[5:], None),
        ("its end lost, and a warning behind it", OWN[:-1] + ["WARNING: CPU: 0 at kernel/x.c:1"] + OWN, None),
        ("a complaint within", OWN[:4] + ["WARNING: CPU: 0 at kernel/x.c:1 f+0x1/0x2 [uplift]"] + OWN[4:], None),
    )

    def kept(self, lines, stamp=""):
        text, titles = guest.without_own_races("\n".join(stamp + line for line in lines))
        return [line.removeprefix(stamp) for line in text.splitlines()], titles

    def test_on_the_host(self):
        for stamp in ("", "[   12.345678] ", "[   12.345678][   T91] "):
            for name, log, left in self.LOGS:
                with self.subTest(name, stamp=stamp):
                    self.assertEqual(self.kept(log, stamp)[0], log if left is None else left)
        self.assertEqual(self.kept(self.OWN + self.OWN)[1], ["data-race in ep_poll_callback / ep_send_events"])

    def test_of_a_console(self):
        text = "\r\n".join(f"[    1.000000] {line}" for line in self.OWN + self.QUIET)
        self.assertEqual(guest.complaints(guest.without_own_races(text)[0]), [])
        text = "\r\n".join(f"[    1.000000] {line}" for line in self.OURS)
        self.assertIn("BUG: KCSAN: data-race in ep_poll_callback / ep_send_events",
                      guest.complaints(guest.without_own_races(text)[0]))

    def test_in_the_guest(self):
        """The selftests' own look at the log is of the same mind."""
        library = paths.TOP / "selftests/lib.sh"
        text = library.read_text()
        function = re.search(r"^FAULTS=.*\n", text, re.M)[0]
        function += re.search(r"^without_own_races\(\)\n\{\n.*?^\}\n", text, re.M | re.S)[0]
        for name, log, left in self.LOGS:
            with self.subTest(name):
                text = "".join(f"{line}\n" for line in log)
                done = subprocess.run(["sh", "-c", f"{function}without_own_races"], input=text, text=True, check=True,
                                      stdout=subprocess.PIPE)
                self.assertEqual(done.stdout.splitlines(), log if left is None else left)


class Stream(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.addCleanup(self.temp.cleanup)
        self.dir = pathlib.Path(self.temp.name)
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for name, text in (("out/x", b"result"), ("uplift/log/output", b"said")):
                info = tarfile.TarInfo(name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
        self.tar = data.getvalue()

    def unpack(self, data):
        (self.dir / "result").write_bytes(data)
        return guest._unpack(self.dir / "result", self.dir)

    def trailer(self, rc=3, taint=12288, tar=0):
        return f"uplift-result 1 {hashlib.sha256(self.tar).hexdigest()} rc={rc} taint={taint} tar={tar}\n".encode()

    def test_whole(self):
        self.assertEqual(self.unpack(self.tar + self.trailer()), (3, 12288, ""))
        self.assertEqual((self.dir / "out/x").read_text(), "result")
        self.assertEqual((self.dir / "log/output").read_text(), "said")

    def test_not_whole(self):
        for data, why in ((b"", "nothing"), (self.tar, "ends after"), (self.tar[1:] + self.trailer(), "checksum"),
                          (self.tar + self.trailer()[:-1], "ends after"), (self.tar + self.trailer(tar=1), "tar")):
            with self.subTest(why=why):
                rc, taint, reason = self.unpack(data)
                self.assertIsNone(rc)
                self.assertIn(why, reason)
        self.assertFalse((self.dir / "out").exists())


class FaultOfEmulation(unittest.TestCase):
    """What the emulator does to a guest is looked at again; nothing else is."""

    OOPS = "Oops: int3: 0000 [#1] SMP KASAN NOPTI"
    CLOCK = "[    0.020000] tsc: PIT calibration deviates from HPET: {} 2596181\n"

    def boot(self, *results, console="", **options):
        """(what boot() returns, the options of each boot) when the boots end like this."""
        given, left = [], list(results)

        def once(_target, _script, **options):
            given.append(options)
            accel, oops, *hung = left.pop(0)
            return guest.Result(console=path, outdir=None, output=None, dmesg=None, accel=accel, oops=oops,
                                rc=None if hung else 0, timed_out=bool(hung) and "panic" not in hung,
                                up="up" in hung, why="".join(hung))

        with tempfile.TemporaryDirectory() as directory, mock.patch.object(guest, "_boot", once), \
                mock.patch.object(console_, "_line"):
            path = pathlib.Path(directory) / "6.12-x/console"
            path.parent.mkdir()
            path.write_text(console)
            return guest.boot(types.SimpleNamespace(release="6.12"), "true", smp=2, **options), given

    def test_passes_on_one_thread(self):
        result, given = self.boot(("TCG, multi-threaded", ["BUG: x", self.OOPS]), ("TCG, single-threaded", []))
        self.assertTrue(result.ok)
        self.assertEqual(given, [{"smp": 2}, {"smp": 2, "thread": "single", "name": "6.12-x-again"}])

    def test_fails_on_one_thread_too(self):
        result, given = self.boot(("TCG, multi-threaded", ["int3: 0000 [#1]"]), ("TCG, single-threaded", [self.OOPS]))
        self.assertFalse(result.ok)
        self.assertEqual(len(given), 2)

    def test_threads_that_the_caller_needs(self):
        _, given = self.boot(("TCG, multi-threaded", [self.OOPS]), thread="multi")
        self.assertEqual(len(given), 1)

    STALLED = ("[   68.05] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n"
               "[   68.05] rcu: \t1-...0: ({} ticks this GP) idle=fe4c/1/0x4000000000000000 softirq=606/608 fqs=1634\n"
               "[   68.05] rcu: \t(detected by 3, t=5252 jiffies, g=225, q=80 ncpus=4)\n")

    def test_cpu_whose_thread_was_not_run(self):
        stall = ["rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"]
        result, given = self.boot(("TCG, multi-threaded", stall), ("TCG, single-threaded", []), console=self.STALLED.format(6))
        self.assertTrue(result.ok)
        self.assertEqual(given[1], {"smp": 2, "thread": "single", "name": "6.12-x-again"})

    def test_cpu_that_stalls_by_itself(self):
        stall = ["rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"]
        result, given = self.boot(("TCG, multi-threaded", stall), console=self.STALLED.format(5230))
        self.assertFalse(result.ok)
        self.assertEqual(len(given), 1)

    def test_clock_at_ten_times_its_speed(self):
        stall = ["rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"]
        result, given = self.boot(("TCG, multi-threaded", stall), ("TCG, multi-threaded", []),
                                  console=self.CLOCK.format(238118))
        self.assertTrue(result.ok)
        self.assertEqual(given, [{"smp": 2}, {"smp": 2, "name": "6.12-x-again"}])

    EARLY = "[    0.010855] BUG: KASAN: wild-memory-access in do_raw_spin_lock+0x11e/0x270\n"

    def test_complaint_before_init(self):
        """A run with KASAN failed by an interrupt in the kernel's first milliseconds, and all its tests had passed."""
        early, later = "BUG: KASAN: wild-memory-access in do_raw_spin_lock+0x11e/0x270", "BUG: KASAN: x in f+0x1/0x2"
        booted = f"{self.EARLY}{guest.UP}\n"
        result, given = self.boot(("TCG, single-threaded", [early]), ("TCG, single-threaded", []), console=booted)
        self.assertTrue(result.ok)
        self.assertEqual(given, [{"smp": 2}, {"smp": 2, "name": "6.12-x-again"}])
        for console, oops in ((booted + f"[   10.000000] {later}\n", [early, later]),
                              (booted + f"[   10.000000] {later}\n", [later]),
                              (f"{guest.UP}\n{self.EARLY}", [early])):
            result, given = self.boot(("TCG, single-threaded", oops), console=console)
            self.assertFalse(result.ok)
            self.assertEqual(len(given), 1)

    def test_hung_before_init(self):
        # CI: a stock kernel hung at its boot; the test that it was to run was failed for it, after 900 s
        result, given = self.boot(("TCG, multi-threaded", [], "hung"), ("TCG, single-threaded", []))
        self.assertTrue(result.ok)
        self.assertEqual(given[1], {"smp": 2, "thread": "single", "name": "6.12-x-again"})
        result, given = self.boot(("TCG, single-threaded", [], "hung"), ("TCG, single-threaded", [], "hung"))
        self.assertIsNone(result.rc)
        self.assertEqual(len(given), 2)

    def test_dead_before_init(self):
        # a kernel with KASAN died of an interrupt 4 ms after its start; all tests of iomap were failed for it
        died = ["BUG: KASAN: wild-memory-access in do_raw_spin_lock+0x11e/0x270"]
        result, given = self.boot(("TCG, single-threaded", died, "panic"), ("TCG, single-threaded", []))
        self.assertTrue(result.ok)
        self.assertEqual(given[1], {"smp": 2, "name": "6.12-x-again"})
        result, given = self.boot(("KVM", died, "panic"))
        self.assertEqual((result.oops, len(given)), (died, 1))

    def test_hung_later(self):
        for accel, why in (("TCG, multi-threaded", "up"), ("KVM", "hung")):
            result, given = self.boot((accel, [], why))
            self.assertEqual((result.rc, len(given)), (None, 1))

    def watched(self, *lines, timeout):
        """(why, seconds) of a process that writes lines to its console and hangs."""
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(guest, "_up_within", lambda _: 0.3):
            console = pathlib.Path(directory) / "console"
            console.write_text("".join(f"{line}\r\n" for line in lines))
            result = guest.Result(console=console)
            start = time.monotonic()
            with subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE) as process:
                guest._watch(process, result, timeout, start, None, patience=0)
            return result.why, time.monotonic() - start

    def test_time_to_init_is_limited(self):
        why, seconds = self.watched("[    0.1] Linux version", timeout=40)
        self.assertIn("did not reach its init within 0.3 s", why)
        self.assertLess(seconds, 20)
        # time in which QEMU had no CPU is not the guest's: `make run` had failed by it on a busy host
        with mock.patch.object(guest, "_waited", lambda pid: 2.0):
            why, seconds = self.watched("[    0.1] Linux version", timeout=40)
        self.assertGreater(seconds, 2)
        self.assertIn("did not reach its init within 0.3 s, and 2 s more in which QEMU had no CPU: this host", why)
        self.assertEqual(guest._waited(2 ** 22 + 1), 0)
        why, seconds = self.watched("[    0.1] Linux version", guest.UP, timeout=1)
        self.assertEqual(why, "no end within 1 s")

    def test_anything_else_counts(self):
        for accel, oops, console in (
                ("TCG, multi-threaded", ["BUG: kernel NULL pointer"], self.CLOCK.format(2590000)),
                ("TCG, single-threaded", [self.OOPS], ""),
                ("KVM", [self.OOPS], self.CLOCK.format(238118)),
                ("TCG, multi-threaded", ["WARNING: says int3: 0"], ""),
                ("TCG, multi-threaded", [], self.CLOCK.format(238118))):
            result, given = self.boot((accel, oops), console=console)
            self.assertEqual((result.oops, len(given)), (oops, 1))


if __name__ == "__main__":
    unittest.main()
