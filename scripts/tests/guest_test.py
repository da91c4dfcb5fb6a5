# SPDX-License-Identifier: GPL-2.0-only
"""What can be known of guests without booting one."""

import contextlib
import hashlib
import io
import lzma
import os
import pathlib
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import types
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import console as console_, errors, parallel, paths	# noqa: E402
from upliftlib.kernel import elf, log	# noqa: E402
from upliftlib.lab import guest, initramfs, signed	# noqa: E402
from upliftlib.lab.guest import accelerator, booting, command, emulation, kernelargs, limits, modules, programs	# noqa: E402
from upliftlib.lab.guest import stream, topology, watcher	# noqa: E402

class Same(unittest.TestCase):
    def test_nobody_answers_in_his_own_time(self):
        # QEMU's other thread did: counts of two boots differed by a quarter of an instruction, or by some
        for same in (True, False):
            words = stream.channel(pathlib.Path("/x/a,b"), same)
            self.assertEqual([word for word in words if word.startswith("virtio-serial-pci")],
                             ["virtio-serial-pci" + ",ioeventfd=off" * same])
            self.assertIn("file,id=result,path=/x/a,,b", words)


class Firmware(unittest.TestCase):
    def test_which(self):
        self.assertEqual(command.firmware(None), ["-bios", "qboot.rom"])
        words = command.firmware((pathlib.Path("/a,b/code"), pathlib.Path("/vars")))
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


class KernelArguments(unittest.TestCase):
    def of(self, **options):
        return " ".join(kernelargs.of(guest.Guest(types.SimpleNamespace(name="6.12", release="6.12", vmlinuz=None),
                                                   "true", **options)))

    def test_plain(self):
        counted = ("console=ttyS0,115200 panic=-1 printk.time=1 loglevel=5 no_timer_check unknown_nmi_panic net.ifnames=0 "
                   "oops=panic")
        self.assertEqual(self.of(), f"{counted} nopti")
        self.assertEqual(self.of(plugins=["x.so"]), counted)

    def test_counting(self):
        for options in ({"icount": True}, {"repeatable": True}):
            self.assertTrue(self.of(**options).endswith(" oops=panic nokaslr cryptomgr.notests"))

    def test_the_caller_has_the_last_word(self):
        self.assertTrue(self.of(append=" loglevel=7  foo", warn_panic=True, oops_panic=False).endswith(
            "net.ifnames=0 panic_on_warn=1 nopti loglevel=7 foo"))


class CommandLine(unittest.TestCase):
    """QEMU's arguments decide what is counted: they are as they have always been."""
    TARGET = types.SimpleNamespace(name="6.12", release="6.12.1", vmlinuz=pathlib.Path("/k/vmlinuz"))
    QEMU = types.SimpleNamespace(argv=["qemu"], major=10)
    REST = "-nodefaults -no-user-config -display none -no-reboot -bios qboot.rom -kernel /k/vmlinuz " \
           "-initrd /run/initramfs.cpio -append"
    KERNEL = "console=ttyS0,115200 panic=-1 printk.time=1 loglevel=5 no_timer_check unknown_nmi_panic net.ifnames=0 oops=panic"
    BACK = "-chardev file,id=result,path=/run/result -device virtserialport,chardev=result,name=uplift.result"

    def line(self, megabytes=1024, **options):
        described = guest.Guest(self.TARGET, "true", accel="tcg", **options)
        chosen = accelerator.choose(described, self.QEMU, self.fail)
        return command.line(described, self.QEMU, chosen, megabytes, pathlib.Path("/run"))

    def test_counting(self):
        self.assertEqual(self.line(icount=True), [
            *"qemu -smp 1,sockets=1,dies=1,cores=1 -cpu qemu64,-rdrand,-rdseed -machine q35,usb=off,vmport=off "
            "-accel tcg,thread=single -icount shift=0,align=off,sleep=off -rtc base=2026-01-01,clock=vm -seed 1 -m 1024M"
            .split(), *self.REST.split(), f"{self.KERNEL} nokaslr cryptomgr.notests",
            *f"-serial file:/run/console -monitor stdio -device virtio-serial-pci,ioeventfd=off {self.BACK}".split()])

    def test_several_nodes(self):
        self.assertEqual(self.line(2048, topology="numa", append="foo bar", plugins=["/x.so,out=/y"]), [
            *"qemu -smp 8,sockets=2,dies=2,cores=2 -cpu Icelake-Server,level=0x1f -machine q35,usb=off,vmport=off "
            "-object memory-backend-ram,id=node0,size=1024M -numa node,nodeid=0,cpus=0-3,memdev=node0 "
            "-object memory-backend-ram,id=node1,size=1024M -numa node,nodeid=1,cpus=4-7,memdev=node1 "
            "-accel tcg,thread=multi -m 2048M".split(), *self.REST.split(), f"{self.KERNEL} foo bar",
            *f"-serial file:/run/console -monitor stdio -device virtio-serial-pci {self.BACK} -plugin /x.so,out=/y".split()])

    def test_a_shell(self):
        self.assertEqual(self.line(interactive=True)[-8:], f"-serial mon:stdio -device virtio-serial-pci {self.BACK}".split())

    def test_threads(self):
        self.assertIn("tcg,thread=single", self.line(smp=2, thread="single"))
        with mock.patch.object(self.QEMU, "major", 7):
            self.assertIn("tcg,thread=single", self.line(smp=2))
        for options in ({"thread": "two"}, {"icount": True, "smp": 2}):
            with self.assertRaises(errors.Problem):
                self.line(**options)


class Programs(unittest.TestCase):
    """The build root's loader, on the build root."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() or not (paths.ROOT / "usr/bin/qemu-system-x86_64").exists():
            raise unittest.SkipTest("no build root here, or not root")

    def test_libraries(self):
        found = programs.libraries(["/usr/bin/xz", "/usr/bin/ldd"])
        self.assertLessEqual({"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6",
                              "/lib/x86_64-linux-gnu/liblzma.so.5"}, set(found))
        self.assertTrue(all(path.is_file() for path in found.values()))
        self.assertEqual(programs.libraries(["/usr/bin/ldd", "/usr/bin/busybox"]), {})	# a script, and a static one

    def test_static(self):
        self.assertTrue(programs.is_static(paths.ROOT / "usr/bin/busybox"))
        self.assertFalse(programs.is_static(paths.ROOT / "usr/bin/xz"))

    def test_lacking(self):
        source, name = paths.ROOT / "usr/bin/xz", b"liblzma.so.5\0"
        with tempfile.TemporaryDirectory(dir=paths.ensure(paths.BUILD / "guest")) as directory:
            program = pathlib.Path(directory) / "program"
            self.assertIn(name, source.read_bytes())
            program.write_bytes(source.read_bytes().replace(name, b"libgone.so.5\0"))
            program.chmod(0o755)
            with self.assertRaisesRegex(errors.Problem, "program needs libgone.so.5, which the build root lacks"):
                programs.libraries([program])


class Memory(unittest.TestCase):
    def test_what_the_files_need(self):
        self.assertEqual(limits.memory(None, 0), 1024)
        self.assertEqual(limits.memory(None, 301 << 20), 1136)
        self.assertEqual(limits.memory("2G", 301 << 20), 2048)
        self.assertEqual(limits.memory("1501M", 0), 1502)

    def test_bad(self):
        for mem, carried in (("12T", 0), ("", 0), ("-1M", 0), ("512M", 400 << 20)):
            with self.subTest(mem=mem), self.assertRaises(errors.Problem) as caught:
                limits.memory(mem, carried)
            self.assertEqual(caught.exception.code, errors.USAGE)


class Modules(unittest.TestCase):
    """kmod itself, on a tree of a few modules that depmod has described."""
    RELEASE = "6.12.1"
    # name: (what it needs, more of its .modinfo)
    FILES = {"kernel/fs/xfs/xfs": ("libcrc32c,netfs", b"alias=fs-xfs\0softdep=pre: crc32c absent post: minix\0"),
             "kernel/fs/netfs": ("libcrc32c", b""), "kernel/lib/libcrc32c": ("", b""),
             "kernel/arch/x86/crypto/crc32c-intel": ("", b"alias=crc32c\0"), "kernel/fs/minix/minix": ("", b"")}

    @staticmethod
    def module(name, needs, more=b"", release=RELEASE):
        """An ELF file with nothing in it but a .modinfo and a symbol table, which says what it needs and has."""
        exports = [f"{name}_symbol"]
        wanted = [f"{need}_symbol" for need in needs.split(",") if need]
        modinfo = b"name=" + name.encode() + b"\0depends=" + needs.encode() + b"\0vermagic=" + release.encode() \
            + b" SMP \0" + more
        return elf_file(modinfo, exports, wanted)

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.base = pathlib.Path(temp.name)
        self.tree = self.base / "lib/modules" / self.RELEASE
        for path, (needs, more) in self.FILES.items():
            file = self.tree / f"{path}.ko.xz"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(lzma.compress(self.module(elf.module_name(path), needs, more)))
        (self.tree / "modules.builtin").write_text("kernel/fs/ext-one.ko\n")
        (self.tree / "modules.order").touch()
        subprocess.run(["depmod", "-b", self.base, self.RELEASE], check=True, stderr=subprocess.DEVNULL)

    def names(self, *wanted):
        return [elf.module_name(path) for path in modules.StockModules(self.base, self.RELEASE).files(wanted)]

    def test_order(self):
        order = self.names("xfs")
        self.assertEqual(set(order), {"crc32c_intel", "libcrc32c", "netfs", "xfs", "minix"})
        self.assertLess(order.index("libcrc32c"), order.index("netfs"))
        self.assertLess(order.index("netfs"), order.index("xfs"))

    def test_each_once(self):
        order = self.names("xfs", "netfs", "xfs", "minix")
        self.assertEqual(sorted(set(order)), sorted(order))

    def test_names(self):
        self.assertEqual(self.names("crc32c-intel"), ["crc32c_intel"])
        self.assertEqual(elf.module_name("kernel/x/snd-hda-intel.ko.zst"), "snd_hda_intel")
        stock = modules.StockModules(self.base, self.RELEASE)
        self.assertTrue(stock.has("crc32c-intel"))
        self.assertFalse(stock.has("ext-one"))

    def test_builtin_needs_nothing(self):
        self.assertEqual(self.names("ext-one"), [])
        self.assertEqual(self.names(), [])

    def test_missing(self):
        with self.assertRaisesRegex(errors.Problem, "^6.12.1 has no module 'minx'$") as caught:
            self.names("xfs", "minx")
        self.assertEqual(caught.exception.code, errors.USAGE)
        with self.assertRaisesRegex(errors.Problem, "there are: minix"):
            self.names("minixfs")

    def test_no_depmod(self):
        (self.tree / "modules.dep.bin").unlink()
        with self.assertRaisesRegex(errors.Problem, "depmod -b"):
            self.names("xfs")

    def carried(self, *kos, wanted=("netfs",)):
        archive = initramfs.Archive()
        files = []
        for name, needs, release in kos:
            files.append(self.base / f"{name}.ko")
            files[-1].write_bytes(self.module(name, needs, release=release))
        modules.add_modules(archive, modules.StockModules(self.base, self.RELEASE), wanted, files)
        return archive

    def test_in_a_guest(self):
        archive = self.carried(("uplift_a", "uplift,xfs", self.RELEASE), ("uplift", "", self.RELEASE))
        where = f"lib/modules/{self.RELEASE}"
        dep = dict(line.split(":") for line in archive.entries[f"{where}/modules.dep"][1].decode().splitlines())
        self.assertEqual(set(dep["updates/uplift_a.ko"].split()),
                         {"updates/uplift.ko", "kernel/fs/xfs/xfs.ko", "kernel/fs/netfs.ko", "kernel/lib/libcrc32c.ko"})
        self.assertEqual(dep["updates/uplift.ko"], "")
        self.assertEqual(archive.entries["modules/uplift.ko"][1], f"/{where}/updates/uplift.ko".encode())
        self.assertEqual(archive.entries[f"{where}/kernel/fs/netfs.ko"][1], self.module("netfs", "libcrc32c"))
        self.assertIn(b"alias fs-xfs xfs", archive.entries[f"{where}/modules.alias"][1])
        self.assertEqual(archive.entries[f"{where}/modules.builtin"][1], b"kernel/fs/ext-one.ko\n")

    def test_of_another_kernel(self):
        with self.assertRaisesRegex(errors.Problem, "uplift.ko was built for 6.1.0, the guest runs 6.12.1"):
            self.carried(("uplift", "", "6.1.0"))


def elf_file(modinfo, exports, wanted):
    """A relocatable x86-64 ELF file with a .modinfo; depmod reads what it needs from symbols, and has from __ksymtab_*."""
    strings = b"\0"
    symbols = bytes(24)
    for name, section in [(f"__ksymtab_{name}", 1) for name in exports] + [(name, 0) for name in wanted]:
        symbols += struct.pack("<IBBHQQ", len(strings), 0x10, 0, section, 0, 0)
        strings += name.encode() + b"\0"
    names = b"\0.modinfo\0.symtab\0.strtab\0.shstrtab\0__ksymtab_strings\0"
    exported = b"".join(name.encode() + b"\0" for name in exports)
    bodies = [(b".modinfo", 1, b"\0" + modinfo, 0, 0), (b".symtab", 2, symbols, 3, 24), (b".strtab", 3, strings, 0, 0),
              (b".shstrtab", 3, names, 0, 0), (b"__ksymtab_strings", 1, exported, 0, 0)]
    data, headers = bytearray(64), bytes(64)
    for name, kind, body, link, size in bodies:
        data += bytes(-len(data) % 8)
        headers += struct.pack("<IIQQQQIIQQ", names.index(b"\0" + name + b"\0") + 1, kind, 0, 0, len(data), len(body),
                               link, 1 if kind == 2 else 0, 8, size)
        data += body
    data += bytes(-len(data) % 8)
    data[:64] = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 1, 62, 1, 0, 0, len(data), 0, 64, 0, 0, 64,
                            len(bodies) + 1, 4)
    return bytes(data) + headers


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
        self.assertEqual(topology.node_args(None, 2, 1024), [])
        self.assertEqual(topology.node_args("llc4", 16, 1024), [])
        words = topology.node_args("numa", 8, 1024)
        self.assertEqual(words[1::2], [
            "memory-backend-ram,id=node0,size=512M", "node,nodeid=0,cpus=0-3,memdev=node0",
            "memory-backend-ram,id=node1,size=512M", "node,nodeid=1,cpus=4-7,memdev=node1"])
        with self.assertRaises(errors.Problem):
            topology.node_args("snc", 7, 1024)

    def test_bad(self):
        for name, smp in (("llc4", 6), ("smt", 6), ("uneven", 8), ("blah", 1), (None, 0), (None, 256), ("llc2", 3)):
            with self.subTest(name=name, smp=smp), self.assertRaises(errors.Problem) as caught:
                guest.topology_args(name, smp)
            self.assertEqual(caught.exception.code, errors.USAGE)


class Console(unittest.TestCase):
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
        self.assertEqual(log.complaints(log.without(self.LOG, "vmalloc error|Failed to arm .*-12")), [])

    def test_only_what_is_meant_is_excused(self):
        other = "[    3.000000] ------------[ cut here ]------------\n[    3.000001] WARNING: at ours+0x1/0x2 [uplift]\n"
        for more in (other, other + "[    3.000002] ---[ end trace 0000000000000000 ]---\n", "[    3.000000] Call Trace:\n"):
            self.assertTrue(log.complaints(log.without(self.LOG + more, "vmalloc error|Failed to arm .*-12")), more)
        self.assertIn("WARNING: CPU: 1 PID: 82 at arm_kprobe+0x301/0x390",
                      log.complaints(log.without(self.LOG, "vmalloc error")))

    def test_each_once(self):
        self.assertEqual(len(log.complaints("[    1.000000] BUG: x\n[    1.000000] BUG: x\n")), 1)


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
        return stream.unpack(self.dir / "result", self.dir)

    def trailer(self, rc=3, taint=12288, tar=0):
        return f"uplift-result 1 {hashlib.sha256(self.tar).hexdigest()} rc={rc} taint={taint} tar={tar}\n".encode()

    def test_whole(self):
        self.assertEqual(self.unpack(self.tar + self.trailer()), stream.Sent(3, 12288))
        self.assertEqual((self.dir / "out/x").read_text(), "result")
        self.assertEqual((self.dir / "log/output").read_text(), "said")

    def test_not_whole(self):
        for data, why in ((b"", "nothing"), (self.tar, "ends after"), (self.tar[1:] + self.trailer(), "checksum"),
                          (self.tar + self.trailer()[:-1], "ends after"), (self.tar + self.trailer(tar=1), "tar")):
            with self.subTest(why=why):
                sent = self.unpack(data)
                self.assertIsNone(sent.rc)
                self.assertIn(why, sent.why)
        self.assertFalse((self.dir / "out").exists())


class EndedWithOthers(unittest.TestCase):
    def test_no_word_of_a_guest_that_was_killed(self):
        """Behind the failure of one stood the last lines of the others' consoles."""
        booted, killed, said = threading.Event(), threading.Event(), []
        result = mock.Mock(rc=None, outdir=mock.Mock())
        result.show_end.side_effect = lambda: said.append("its console")

        def run(*_):
            booted.set()
            killed.wait(20)
            return watcher.Ending(), -9

        with tempfile.TemporaryDirectory() as build, contextlib.ExitStack() as patches:
            for module, name, value in (
                    (booting, "_check_release", mock.Mock()), (booting, "_prepared", lambda *_: result), (booting, "_run", run),
                    (booting.result, "judge", mock.Mock()), (booting.command, "machine", mock.Mock()),
                    (booting.command, "line", lambda *_: ["qemu"]), (booting.accelerator, "choose", mock.Mock()),
                    (booting.limits, "memory", mock.Mock()), (paths, "BUILD", pathlib.Path(build)),
                    (booting.contents, "archive_of", lambda _: mock.Mock(write=lambda path: path.touch()))):
                patches.enter_context(mock.patch.object(module, name, value))
            given = guest.Guest(types.SimpleNamespace(release="6.12", name="6.12", vmlinuz=None), "true",
                                qemu=mock.Mock(spec=guest.Qemu))
            with self.assertRaises(errors.Problem), parallel.pool(1) as pool:
                job = pool.submit(booting.once, given)
                booted.wait(20)
                pool.group.stop()
                killed.set()
                raise errors.Problem("another failed")
        self.assertIsInstance(job.exception(), parallel.Ended)
        self.assertEqual(said, [])


class FaultOfEmulation(unittest.TestCase):
    """What the emulator does to a guest is looked at again; nothing else is."""

    OOPS = "Oops: int3: 0000 [#1] SMP KASAN NOPTI"
    CLOCK = "[    0.020000] tsc: PIT calibration deviates from HPET: {} 2596181\n"

    def boot(self, *results, console="", **options):
        """(what boot() returns, the options of each boot) when the boots end like this."""
        given, left = [], list(results)

        def once(asked):
            given.append({"smp": asked.smp, "thread": asked.thread, "name": asked.name})
            accel, oops, *hung = left.pop(0)
            return guest.Result(console=path, outdir=None, output=None, dmesg=None, accel=accel, oops=oops,
                                rc=None if hung else 0, timed_out=bool(hung) and "panic" not in hung,
                                up="up" in hung, why="".join(hung))

        with tempfile.TemporaryDirectory() as directory, mock.patch.object(booting, "once", once), \
                mock.patch.object(console_, "_line"):
            path = pathlib.Path(directory) / "6.12-x/console"
            path.parent.mkdir()
            path.write_text(console)
            return guest.boot(types.SimpleNamespace(release="6.12", name="6.12", vmlinuz=None), "true", smp=2, **options), given

    FIRST = {"smp": 2, "thread": None, "name": None}
    AGAIN = {"smp": 2, "thread": None, "name": "6.12-x-again"}
    SINGLE = {"smp": 2, "thread": "single", "name": "6.12-x-again"}

    def test_passes_on_one_thread(self):
        result, given = self.boot(("TCG, multi-threaded", ["BUG: x", self.OOPS]), ("TCG, single-threaded", []))
        self.assertTrue(result.ok)
        self.assertEqual(given, [self.FIRST, self.SINGLE])

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
        self.assertEqual(given[1], self.SINGLE)

    LOST = ("[   23.332247] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\r\n"
            "[   23.332904] rcu: \t1-...!: (0 ticks this GP) idle=5800/0/0x0 softirq=62/62 fqs=0 (false positive?)\r\n"
            "[   23.333185] rcu: \t(detected by 0, t=5252 jiffies, g=-1031, q=3034 ncpus=2)\r\n")

    def test_lost_timer_is_not_waited_for(self):
        """A guest of `make run` stood still for its 300 s: CPU 1 slept without a timer."""
        early = "[    1.000000] rcu: \t0-...0: (5230 ticks this GP) idle=1\r\n[    1.1] rcu: \t(detected by 1, t=5252 jiffies)\r\n"
        for before in ("", early, "x" * 70000 + "\r\n"):
            for cut in (len(self.LOST) // 2, len(self.LOST)):	# a report that comes in two pieces
                ending, seconds = self.ended_early(before + self.LOST[:cut], self.LOST[cut:])
                self.assertIn("1-...!: (0 ticks this GP)", ending.why)
                self.assertFalse(ending.timed_out)
                self.assertLess(seconds, 30)
        for console in (early, self.LOST.replace("(0 ticks", "(4000 ticks")):
            self.assertTrue(self.ended_early(console, "", timeout=0.5)[0].timed_out)

    def ended_early(self, first, then, timeout=60):
        """(the Ending, seconds) of a process that hangs, with a console that gets its text in two pieces."""
        with tempfile.TemporaryDirectory() as directory:
            console = pathlib.Path(directory) / "console"
            console.write_text(guest.UP + "\r\n" + first, newline="")
            start = time.monotonic()
            with subprocess.Popen(["sh", "-c", 'sleep 0.2; cat >>"$1"; exec sleep 70', "sh", str(console)],
                                  stdin=subprocess.PIPE) as process:
                process.stdin.write(then.encode())
                process.stdin.close()
                process.stdin = io.BytesIO()
                ending = watcher.Watcher(process, console, timeout, patience=0, hopeless=emulation.unfed).wait()
            return ending, time.monotonic() - start

    def test_only_guests_that_are_booted_again_are_ended_early(self):
        self.assertTrue(emulation.of_threads("TCG, multi-threaded", None))
        for accel, thread in (("TCG, multi-threaded", "multi"), ("TCG, single-threaded", None), ("KVM", None)):
            self.assertFalse(emulation.of_threads(accel, thread))

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
        self.assertEqual(given, [self.FIRST, self.AGAIN])

    EARLY = "[    0.010855] BUG: KASAN: wild-memory-access in do_raw_spin_lock+0x11e/0x270\n"

    def test_complaint_before_init(self):
        """A run with KASAN failed by an interrupt in the kernel's first milliseconds, and all its tests had passed."""
        early, later = "BUG: KASAN: wild-memory-access in do_raw_spin_lock+0x11e/0x270", "BUG: KASAN: x in f+0x1/0x2"
        booted = f"{self.EARLY}{guest.UP}\n"
        result, given = self.boot(("TCG, single-threaded", [early]), ("TCG, single-threaded", []), console=booted)
        self.assertTrue(result.ok)
        self.assertEqual(given, [self.FIRST, self.AGAIN])
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
        self.assertEqual(given[1], self.SINGLE)
        result, given = self.boot(("TCG, single-threaded", [], "hung"), ("TCG, single-threaded", [], "hung"))
        self.assertIsNone(result.rc)
        self.assertEqual(len(given), 2)

    def test_dead_before_init(self):
        # a kernel with KASAN died of an interrupt 4 ms after its start; all tests of a change were failed for it
        died = ["BUG: KASAN: wild-memory-access in do_raw_spin_lock+0x11e/0x270"]
        result, given = self.boot(("TCG, single-threaded", died, "panic"), ("TCG, single-threaded", []))
        self.assertTrue(result.ok)
        self.assertEqual(given[1], self.AGAIN)
        result, given = self.boot(("KVM", died, "panic"))
        self.assertEqual((result.oops, len(given)), (died, 1))

    def test_hung_later(self):
        for accel, why in (("TCG, multi-threaded", "up"), ("KVM", "hung")):
            result, given = self.boot((accel, [], why))
            self.assertEqual((result.rc, len(given)), (None, 1))

    def watched(self, *lines, timeout):
        """(why, seconds) of a process that writes lines to its console and hangs."""
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(limits, "up_within", lambda _: 0.3):
            console = pathlib.Path(directory) / "console"
            console.write_text("".join(f"{line}\r\n" for line in lines))
            start = time.monotonic()
            with subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE) as process:
                ending = watcher.Watcher(process, console, timeout, patience=0).wait()
            self.assertTrue(ending.timed_out)
            return ending.why, time.monotonic() - start

    def test_time_to_init_is_limited(self):
        why, seconds = self.watched("[    0.1] Linux version", timeout=40)
        self.assertIn("did not reach its init within 0.3 s", why)
        self.assertLess(seconds, 20)
        # time in which QEMU had no CPU is not the guest's: `make run` had failed by it on a busy host
        with mock.patch.object(watcher, "waited", lambda pid: 2.0):
            why, seconds = self.watched("[    0.1] Linux version", timeout=40)
        self.assertGreater(seconds, 2)
        self.assertIn("did not reach its init within 0.3 s, and 2 s more in which QEMU had no CPU: this host", why)
        self.assertEqual(watcher.waited(2 ** 22 + 1), 0)
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
