# SPDX-License-Identifier: GPL-2.0-only
"""What `uplift llc --from` takes: /sys, root directories, trees and tars as lscpu's tests and hwloc-gather-topology make
them, XML of hwloc; and that a capture holds what such a tree has.

The machines are those of llc_machines.py; the XML is written here, by what hwloc's manual says of its format.
"""

import contextlib
import os
import pathlib
import shutil
import sys
import tarfile
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from unittest import mock
from xml.sax.saxutils import quoteattr

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import llc_machines	# noqa: E402
from llc_random import hexmask	# noqa: E402
from tests.llc_test import uplift	# noqa: E402
from upliftlib.base import errors	# noqa: E402
from upliftlib.inspector import command, hwloc, layout, model, source, text	# noqa: E402


def masks(machine):
    return [(model.list_of(domain.online), domain.level, domain.size_kib) for domain in machine.domains]


class Kept(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)

    def root(self, name, where="root"):
        llc_machines.write(llc_machines.MACHINES[name], self.dir / where)
        return self.dir / where

    def drawn(self, path):
        return source.gather(source.Snapshot(path))[0]


class Trees(Kept):
    def test_all_ways(self):
        root = self.root("epyc-hotplug-ids", "deep/er/root")
        wanted = self.drawn(root)
        self.assertEqual(wanted.kernel, "6.12.0-made")
        # /sys alone, and directories above
        for path in (root / "sys", self.dir / "deep/er", self.dir / "deep"):
            with self.subTest(path=path):
                found = self.drawn(path)
                self.assertEqual((masks(found), layout.problems(found)), (masks(wanted), layout.problems(wanted)))
                self.assertEqual(found.kernel, "kernel unknown" if path.name == "sys" else "6.12.0-made")
        for kind in ("", "gz", "bz2", "xz"):
            for base in ("", "name/", "./a/b/"):
                path = self.dir / "x.tar"
                with tarfile.open(path, f"w:{kind}") as tar:
                    tar.add(root, base.rstrip("/") or ".")
                with self.subTest(kind=kind, base=base):
                    self.assertEqual(masks(self.drawn(path)), masks(wanted))

    def test_as_hwloc_gather_topology_makes_them(self):
        """A directory in a tar file, masks and no lists, and a host's name, which is not shown."""
        root = self.root("masks-only", "gather/some-host")
        (root / "proc/sys/kernel").mkdir(parents=True)
        (root / "proc/hwloc-nofile-info").write_text("HostName: some-host\n")
        with tarfile.open(self.dir / "some-host.tar.bz2", "w:bz2") as tar:
            tar.add(root, "some-host")
        found = self.drawn(self.dir / "some-host.tar.bz2")
        self.assertEqual(masks(found), [("0-3", 3, 16384), ("4-7", 3, 16384)])
        self.assertEqual([domain.nodes for domain in found.domains], [{0}, {1}])

    def test_as_lscpu_has_them(self):
        """Without the lists of CPUs that later kernels have."""
        root = self.root("masks-only")
        base = root / "sys/devices/system/cpu"
        for name in ("possible", "online"):
            (base / name).unlink()
        for cpu in range(1, 8):
            (base / f"cpu{cpu}/online").write_text("1\n")
        (base / "cpu7/online").write_text("0\n")
        found = self.drawn(root)
        self.assertEqual((found.online, found.possible), (frozenset(range(7)), frozenset(range(8))))

    def test_other_architectures(self):
        for name, word in (("s390", "IBM/S390 machine 3931"), ("power9", "POWER9, altivec supported"),
                           ("riscv", "sifive,u74-mc"), ("two-packages", "Virtual, virtual"), ("epyc-rome", "AMD EPYC 7742")):
            with self.subTest(machine=name):
                self.assertIn(word, text.render(self.drawn(self.root(name, name))))

    def test_no_tree(self):
        (self.dir / "a/b").mkdir(parents=True)
        with self.assertRaisesRegex(model.Bad, "no file 'format'.*no sys/devices/system/cpu"):
            source.Snapshot(self.dir)

    def test_a_directory_that_cannot_be_read(self):
        """It stopped at the first one, such as the lost+found of a copied disk, with the tree beside it."""
        self.root("two-packages", "copy/machine")
        os.chmod(self.dir, 0o755)
        for name in ("a-closed", "lost+found"):
            (self.dir / "copy" / name).mkdir(mode=0)
        (self.dir / "none/closed").mkdir(mode=0, parents=True)
        with contextlib.ExitStack() as back:
            if not os.geteuid():	# root reads everything
                os.seteuid(65534)
                back.callback(os.seteuid, 0)
            snapshot = source.Snapshot(self.dir / "copy")
            found = source.gather(snapshot)[0]
            with self.assertRaisesRegex(model.Bad, r"no sys/devices/system/cpu \(.*none/closed: Permission denied\)"):
                source.Snapshot(self.dir / "none")
        self.assertEqual(masks(found), masks(self.drawn(self.dir / "copy/machine")))
        self.assertEqual([note for note in found.notes if "left out" in note],
                         [f"left out: {self.dir}/copy/{name}: Permission denied" for name in ("a-closed", "lost+found")])

    def test_a_mask_that_is_none(self):
        root = self.root("masks-only")
        path = root / "sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_map"
        for words in ("zz", "1,", "ffffffffff", "0x3", "1," * 4000 + "1"):
            path.write_text(words + "\n")
            with self.subTest(words=words[:10]), self.assertRaisesRegex(model.Bad, "a mask like"):
                self.drawn(root)


class Captured(Kept):
    """What a capture keeps of a tree, and what it does not."""

    def capture(self, name):
        root = self.root(name)
        # what only root can read is there on this "machine"
        for cpu in range(4):
            for number, (level, flags) in enumerate((("MC", "SD_SHARE_LLC SD_BALANCE_NEWIDLE"), ("PKG", "SD_BALANCE_NEWIDLE"))):
                path = root / f"sys/kernel/debug/sched/domains/cpu{cpu}/domain{number}"
                path.mkdir(parents=True)
                (path / "name").write_text(level + "\n")
                (path / "flags").write_text(flags + "\n")
        source.capture(self.dir / "new", llc=root / "llc", root=root)
        return root, self.dir / "new"

    def test_same_picture(self):
        for name in ("isolcpus", "meteor-lake", "big-little", "power9", "snc"):
            root, kept = self.capture(name)
            one, other = self.drawn(root), self.drawn(kept)
            # the release is this machine's
            with self.subTest(machine=name):
                self.assertEqual(text.render(one).splitlines()[1:-1], text.render(other).splitlines()[1:-1])
                self.assertEqual([domain.parts for domain in one.domains], [domain.parts for domain in other.domains])
                self.assertTrue((kept / "sys/kernel/debug/sched/domains/cpu0/domain0/flags").exists())
            shutil.rmtree(root)
            shutil.rmtree(kept)

    def test_command_line(self):
        """Only what concerns CPUs: it has identifiers of disks, and may have secrets."""
        _, kept = self.capture("isolcpus")
        self.assertIn("command line: isolcpus=4-7 nohz_full=4-7\n", (kept / "about").read_text())
        everything = "".join(path.read_text() for path in kept.rglob("*") if path.is_file())
        self.assertNotIn("secret", everything)
        self.assertFalse((kept / "proc/cmdline").exists())


# XML of hwloc.

def _cpuset(cpus):
    return quoteattr(",".join(f"0x{word}" for word in hexmask(frozenset(cpus)).split(",")))


def _cache(version, name, size, cpus, inside):
    level, kind = name[1], {"d": 1, "i": 2}.get(name[-1], 0)
    what = f'type="L{level}{"i" if kind == 2 else ""}Cache"' if version == 2 else 'type="Cache"'
    return (f'<object {what} cpuset={_cpuset(cpus)} cache_size="{int(size.rstrip("K")) << 10}" depth="{level}" '
            f'cache_linesize="64" cache_associativity="16" cache_type="{kind}">{inside}</object>')


def xml(machine, version=2):
    """A machine's XML: packages of nodes of last-level caches of cores, where these nest so."""
    found = f'<?xml version="1.0"?><!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology version="{version}.0">'
    found += (f'<object type="Machine" os_index="0" cpuset={_cpuset(machine.online)} complete_cpuset={_cpuset(machine.possible)}>'
              '<info name="OSRelease" value="5.10.0-made"/><info name="HostName" value="secret-host"/>')
    last = list(machine.caches)[-1]
    for package, cpus in enumerate(llc_machines.sets(machine.packages) or [machine.possible]):
        inner = ""
        nodes = [node & cpus for node in llc_machines.sets(machine.nodes) or [machine.possible]]
        for number, node in enumerate(nodes):
            if version == 2 and node:
                inner += (f'<object type="NUMANode" os_index="{number}" cpuset={_cpuset(node)} '
                          f'local_memory="{4 << 30}"/>')
        for shared in (cache & cpus for cache in llc_machines.sets(machine.caches[last])):
            if shared:
                inner += _cache(version, *last.split(), shared, "".join(_cores(machine, shared, version)))
        if version == 1:
            inner = f'<object type="NUMANode" os_index="{package}" cpuset={_cpuset(cpus)} local_memory="{4 << 30}">{inner}</object>'
        found += (f'<object type="{"Package" if version == 2 else "Socket"}" os_index="{package}" cpuset={_cpuset(cpus)}>'
                  f'<info name="CPUModel" value="Made 9000"/>{inner}</object>')
    return found + "</object></topology>"


def _cores(machine, shared, version):
    of = {cpu: core for core in llc_machines.sets(machine.threads) for cpu in core}
    for core in sorted({of.get(cpu) or frozenset({cpu}) for cpu in shared & machine.online}, key=min):
        pus = "".join(f'<object type="PU" os_index="{cpu}" cpuset={_cpuset({cpu})}/>' for cpu in sorted(core & machine.online))
        inner = f'<object type="Core" os_index="{min(core)}" cpuset={_cpuset(core)}>{pus}</object>'
        for what in machine.caches:
            if machine.caches[what] == "*":
                inner = _cache(version, *what.split(), core, inner)
        yield inner


class Xml(Kept):
    def put(self, words, name="x.xml"):
        (self.dir / name).write_text(words)
        return self.dir / name

    def test_as_sysfs(self):
        for name in ("epyc-rome", "masks-only", "altra-2p", "snc", "neoverse-big-ids", "holes"):
            machine = llc_machines.MACHINES[name]
            if list(machine.caches)[-1].startswith("L2"):
                machine = llc_machines.Machine(machine.about, machine.cpus, {"L1d 64K": "*", "L2 1024K": llc_machines.every(0, 160, 1)},
                                               packages=machine.packages, nodes=machine.nodes)
            wanted = self.drawn(self.root(name, name))
            for version in (1, 2):
                with self.subTest(machine=name, version=version):
                    found = self.drawn(self.put(xml(machine, version)))
                    self.assertEqual(masks(found), masks(wanted))
                    self.assertEqual(found.kernel, "5.10.0-made")
                    self.assertEqual(found.about.model, "Made 9000")
                    self.assertEqual([domain.packages for domain in found.domains],
                                     [domain.packages for domain in self.drawn(self.dir / name).domains]
                                     if "36" not in machine.package_ids else [{0}, {1}])
                    self.assertEqual(set(found.memory_kib.values()), {4 << 20})
                    if version == 2:
                        self.assertEqual([domain.nodes for domain in found.domains], [domain.nodes for domain in wanted.domains])
                    self.assertNotIn("secret-host", text.render(found))

    def test_offline(self):
        machine = llc_machines.MACHINES["power9"]
        found = self.drawn(self.put(xml(machine)))
        self.assertEqual((found.online, found.possible), (machine.online, machine.possible))

    def test_kinds(self):
        words = xml(llc_machines.MACHINES["alder-lake"]).replace("</topology>", "".join(
            f'<cpukind cpuset={_cpuset(cpus)}><info name="CoreType" value="{kind}"/></cpukind>'
            for kind, cpus in (("IntelCore", range(16)), ("IntelAtom", range(16, 24)))) + "</topology>")
        self.assertEqual(self.drawn(self.put(words)).kinds, dict.fromkeys(range(16), "P-core") | dict.fromkeys(range(16, 24), "E-core"))

    def test_package_not_known(self):
        words = xml(llc_machines.MACHINES["masks-only"]).replace('"Package" os_index="1"', '"Package" os_index="4294967295"')
        self.assertIn("package not known (id -1) of CPUs 4-7", layout.problems(self.drawn(self.put(words))))

    def test_drawn(self):
        path = self.put(xml(llc_machines.MACHINES["epyc-rome"]))
        found = self.drawn(path)
        self.assertIn("is hwloc's: the scheduler's view is missing", text.render(found))
        command.as_json(found, None, None)

    def test_bad(self):
        whole = xml(llc_machines.MACHINES["snc"])
        pu = '<object type="PU" os_index="0" cpuset="0x1"/>'
        for words, why in ((whole[:-40], "not XML"), ("<?xml version='1.0'?><html/>", "no topology of hwloc"),
                           ("<topology><object type='Bridge'/></topology>", "no topology of hwloc"),
                           ("<topology><object type='Machine'/></topology>", "no CPU"),
                           (whole.replace("<topology", '<!DOCTYPE x [<!ENTITY a "b">]><topology', 1), "entities"),
                           (f"<topology><object type='Machine'>{pu}{pu}</object></topology>", "PU"),
                           ("<topology><object type='Machine'><object type='PU' os_index='99999999'/></object></topology>", "PU"),
                           (whole.replace('cpuset="0x', 'cpuset="0y'), "a set like"),
                           ("<topology><object type='Machine'>" + "<object>" * 3000 + "</object>" * 3000
                            + "</object></topology>", "nested too deep|no CPU|not XML")):
            with self.subTest(why=why), self.assertRaisesRegex(model.Bad, why) as caught:
                self.drawn(self.put(words))
            self.assertEqual(caught.exception.code, errors.USAGE)
            self.assertNotIn("\n", str(caught.exception))

    MACHINE = "<topology><object type='Machine'>{}</object></topology>"

    def test_memory_beside_cpus_is_counted(self):
        """Nodes without children are objects, too, and are not searched for each other child again."""
        pu = "<object type='PU' os_index='0' cpuset='0x1'/>"
        with mock.patch.object(hwloc, "MOST_OBJECTS", 20), self.assertRaisesRegex(model.Bad, "more than 20 objects"):
            self.drawn(self.put(self.MACHINE.format(pu + "<object type='NUMANode' os_index='0'/>" * 20)))

    def test_a_core_of_thousands(self):
        """One set for it, not one for each of its CPUs: those were gigabytes of a file of a few hundred kilobytes."""
        pus = "".join(f"<object type='PU' os_index='{cpu}'/>" for cpu in range(512))
        core = f"<object type='Core' cpuset='{','.join(['0xffffffff'] * 16)}'>{pus}</object>"
        found = self.drawn(self.put(self.MACHINE.format(core)))
        self.assertEqual(found.cores[7], frozenset(range(512)))
        self.assertEqual(len({id(cpus) for cpus in found.cores.values()}), 1)

    def test_a_byte_order_mark(self):
        words = xml(llc_machines.MACHINES["snc"])
        self.assertEqual(self.drawn(self.put("\ufeff" + words)), self.drawn(self.put(words)))

    def test_names_that_move_the_cursor_or_are_no_text(self):
        """A picture is UTF-8, and what is written on a terminal prints."""
        for name in (os.fsdecode(b"bad\xff.xml"), "bad\x1b[2J.xml"):
            path = self.put(xml(llc_machines.MACHINES["snc"]), name)
            self.assertTrue("".join(self.drawn(path).notes).isprintable())
            args = ["--from", str(path), "--svg", f"{self.dir}/x.svg"]
            self.assertEqual(uplift(*args)[0], 0)
            ElementTree.parse(self.dir / "x.svg")


if __name__ == "__main__":
    unittest.main()
