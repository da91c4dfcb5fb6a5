# SPDX-License-Identifier: GPL-2.0-only
"""What is arm64's own: targets and their packages, the kernel's image, and instructions as objdump showed them."""

import math
import pathlib
import struct
import sys
import tempfile
import unittest
from typing import Any

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from tests import kallsyms_test	# noqa: E402
from upliftlib.base import architectures, changes, errors, targets	# noqa: E402
from upliftlib.generator import a64	# noqa: E402
from upliftlib.generator.objects import Object	# noqa: E402
from upliftlib.kernel import arm64image, elf, image	# noqa: E402
from upliftlib.lab import archive, fetch	# noqa: E402
from upliftlib.lab.guest import description, devicetree, kernelargs, machines, topology	# noqa: E402

# (address, instruction, what objdump says of it): of pipe.o of 6.18, but for the tbz and the ldr
BRANCHES = ((0x1558, 0x97fffd8c, (a64.CALL26, 0xb88)), (0x1564, 0x540000ec, (a64.CONDBR19, 0x1580)),
            (0x1770, 0x54000280, (a64.CONDBR19, 0x17c0)), (0x1780, 0x350000e1, (a64.CONDBR19, 0x179c)),
            (0x2000, 0x17ffffff, (a64.JUMP26, 0x1ffc)), (0x2000, 0x3707ffe0, (a64.TSTBR14, 0x1ffc)))
OTHERS = (0xd503201f, 0xa9bd7bfd, 0xaa0003f4, 0xd65f03c0, 0xd61f0020, 0xb9406c01, 0x90000000)


class Instructions(unittest.TestCase):
    def test_branches(self) -> None:
        for at, word, (kind, to) in BRANCHES:
            found = a64.branch(word)
            assert found is not None
            self.assertEqual((found[0], at + found[1]), (kind, to), hex(word))
            self.assertEqual(a64.value(struct.pack("<I", word), 0, kind, at), to)
        for word in OTHERS:
            self.assertIsNone(a64.branch(word), hex(word))

    def test_what_leaves(self) -> None:
        self.assertEqual([word for word in OTHERS if a64.returns(word)], [0xd65f03c0])
        self.assertEqual([word for word in OTHERS if a64.goes_by_register(word)], [0xd61f0020])
        self.assertTrue(a64.goes_by_register(0xd65f0bff))	# retaa

    def test_addresses_of_two_halves(self) -> None:
        """adrp x0, 0x2000, at 0x1ffc; add x0, x0, #0x12c; ldr w1, [x0, #300]; ldr x1, [x16, #296]"""
        for word, kind, at, wanted in ((0xb0000000, a64.ADR_PAGE, 0x1ffc, 0x2000),
                                       (0x9104b000, a64.ADD_LO12, 0, 0x12c), (0xb9412c01, a64.LDST32_LO12, 0, 0x12c),
                                       (0xf9409601, a64.LDST64_LO12, 0, 0x128)):
            self.assertEqual(a64.value(struct.pack("<I", word), 0, kind, at), wanted, hex(word))

    def test_only_what_refers_is_blank(self) -> None:
        """The register and the operation stay: two functions that differ in these are not the same."""
        for word, kind, wanted in ((0x97fffd8c, a64.CALL26, 0x94000000), (0xb0ffffe3, a64.ADR_PAGE, 0x90000003),
                                   (0x9104b041, a64.ADD_LO12, 0x91000041), (0x350000e1, a64.CONDBR19, 0x35000001)):
            data = bytearray(struct.pack("<I", word))
            a64.blank(data, 0, kind)
            self.assertEqual(struct.unpack("<I", data)[0], wanted)

    def test_places_beside_code(self) -> None:
        self.assertEqual(a64.near(0x10000080), 16)		# adr x0, .+16
        self.assertEqual(a64.near(0x58ffffe1), -4)		# ldr x1, .-4
        self.assertIsNone(a64.near(0xd503201f))


class Names(unittest.TestCase):
    def test_a_target_s_name_tells(self) -> None:
        spec = targets.spec("6.18-arm64")
        self.assertIs(spec.arch, architectures.ARM64)
        self.assertTrue(spec.fits("6.18.15+deb13-arm64", "6.18.15-1~bpo13+1"))
        self.assertFalse(spec.fits("6.18.15+deb13-amd64", "6.18.15-1~bpo13+1"))
        self.assertIs(targets.spec("6.18").arch, architectures.X86_64)
        self.assertEqual(targets.spec("7.0.13-arm64").upstream, "7.0.13")
        self.assertIs(targets.spec("7.0.13+deb13-arm64").arch, architectures.ARM64)
        with self.assertRaisesRegex(errors.Problem, "no target '9-arm64'"):
            targets.spec("9-arm64")

    def test_programs(self) -> None:
        self.assertEqual(architectures.X86_64.make, [])
        self.assertEqual(architectures.ARM64.make, ["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"])
        self.assertEqual(architectures.ARM64.tool("strip"), "aarch64-linux-gnu-strip")
        self.assertIs(architectures.named("aarch64"), architectures.ARM64)
        with self.assertRaisesRegex(errors.Problem, "no architecture 'riscv'"):
            architectures.named("riscv")

    def test_packages(self) -> None:
        """kbuild's programs run here; all else is the target's, of its own index."""
        release, version = "6.12.9+deb13", "6.12.9-1"

        def package(name: str, arch: str) -> dict[str, str]:
            return {"Package": name, "Version": version, "Size": "2000000", "SHA256": arch * 8,
                    "Filename": f"pool/{name}_{version}_{arch}.deb"}
        indexes = {arch: [package(name, arch) for name in (
            f"linux-image-{release}-{arch}", f"linux-headers-{release}-{arch}", f"linux-headers-{release}-common",
            f"linux-kbuild-{release}", "linux-source-6.12")] for arch in ("amd64", "arm64")}

        def suite(name: str, arch: str = "amd64") -> dict[str, Any]:
            return {"packages": indexes[arch] if name == "trixie" else []}
        plan = archive.plan(targets.spec("6.12-arm64"), suite=suite, site=lambda name: "http://m.example")
        self.assertEqual(plan.release, f"{release}-arm64")
        self.assertEqual([file.uri.rsplit("_", 1)[1] for file in plan.parts["image"] + plan.parts["headers"]],
                         ["arm64.deb", "arm64.deb", "arm64.deb", "amd64.deb"])
        self.assertEqual(archive.plan(targets.spec("6.12"), suite=suite, site=lambda name: "").release, f"{release}-amd64")

    def test_a_kernel_that_is_not_taken(self) -> None:
        with self.assertRaisesRegex(errors.Skip, "^6.1-arm64: not for arm64: functions are redirected by ftrace's direct calls"):
            fetch.fetch("6.1-arm64")

    def test_verdicts_may_differ(self) -> None:
        change = changes.Change("x", pathlib.Path("/x"), {"expect": {"6.1": "applicable", "7.0": "native",
                                                                     "arm64": {"6.1": "unsupported", "6.12": "applicable"}}})
        self.assertEqual([change.expected(name) for name in ("6.1", "6.1-arm64", "6.12-arm64", "7.1-arm64", "9.9-arm64")],
                         ["applicable", "unsupported", "applicable", "native", ""])
        self.assertNotIn("6.1-arm64", change.expect)


def an_image() -> bytes:
    """An arm64 kernel's: code, the list of symbols, notes and types, from _text on."""
    text = 0xffff800080000000
    head = bytearray(0x1000)
    head[0x38:0x3c] = b"ARM\x64"
    head[0x100:0x140] = b"Linux version 6.18.15+deb13-arm64 (debian)".ljust(64, b"\0")
    at = {"_text": 0, "_etext": 0x1000, "__start_notes": 0x7000, "__stop_notes": 0x7010, "__start_BTF": 0x7010,
          "__stop_BTF": 0x7020, "_sinittext": 0x8000, "_einittext": 0x8100}
    known = [(text + offset, "T", name) for name, offset in at.items()]
    tables = kallsyms_test.tables([*known, *((text + 0x200 + number, "t", f"f{number}") for number in range(600))],
                                  "from base", b"", b"first")
    data = bytes(head) + tables
    data = data.ljust(0x7000, b"\0") + b"note" * 4 + b"\x9f\xeb" + b"t" * 14
    return data.ljust(0x9000, b"\1")


class Image(unittest.TestCase):
    def setUp(self) -> None:
        saved = kallsyms_test.TEXT, kallsyms_test.ADDRESS
        kallsyms_test.TEXT = kallsyms_test.ADDRESS = 0xffff800080000000
        try:
            self.data = an_image()
        finally:
            kallsyms_test.TEXT, kallsyms_test.ADDRESS = saved

    def test_an_elf_file_of_it(self) -> None:
        self.assertIs(image.arch_of(self.data), architectures.ARM64)
        made = image.unpack(self.data)
        self.assertEqual(elf.section(made, b".BTF"), b"\x9f\xeb" + b"t" * 14)
        with tempfile.NamedTemporaryFile() as file:
            file.write(made)
            file.flush()
            found = Object(pathlib.Path(file.name))
        code = found.section(".text")
        assert code
        self.assertEqual((found.machine, code.address, code.size), (a64.MACHINE, 0xffff800080000000, 0x1000))
        self.assertEqual(found.bytes(code), self.data[:0x1000])

    def test_its_release(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "vmlinuz")
            path.write_bytes(self.data)
            self.assertEqual(image.release_of(path), "6.18.15+deb13-arm64")
            self.assertIs(image.arch_of_kernel("6.18.15", path), architectures.ARM64)

    def test_without_a_list_of_symbols(self) -> None:
        with self.assertRaisesRegex(ValueError, "no list of symbols"):
            arm64image.unpack(self.data[:0x1000])


class Guests(unittest.TestCase):
    def test_machine(self) -> None:
        class Kernel:
            name, release, vmlinuz, moddir, config = "6.18-arm64", "6.18.15+deb13-arm64", None, None, None
        guest = description.Guest(Kernel(), "true", icount=True)
        words = kernelargs.of(guest)
        self.assertEqual(words[0], "console=ttyAMA0")
        self.assertNotIn("unknown_nmi_panic", words)
        args, cpus = topology.topology_args(None, 1, True, machines.of(guest.target))
        self.assertEqual((args[args.index("-cpu") + 1].partition(",")[0], cpus), ("neoverse-n1", 1))

    def test_layouts(self) -> None:
        """Clusters in place of dies; and what no device tree can say is refused."""
        args, cpus = topology.topology_args("llc4", 8, False, machines.ARM64)
        self.assertEqual((args[args.index("-smp") + 1], cpus), ("8,sockets=1,clusters=4,cores=2", 8))
        self.assertEqual(topology.caches("llc4", 8, machines.ARM64), devicetree.Caches(2))
        self.assertEqual(topology.caches("smt", None, machines.ARM64), devicetree.Caches(4, 2))
        self.assertEqual(topology.caches("uneven", None, machines.ARM64), devicetree.Caches(4))
        self.assertEqual(topology.caches("nol3", None, machines.ARM64), devicetree.Caches(0))
        self.assertIsNone(topology.caches("llc4", 8, machines.X86_64))
        self.assertIsNone(topology.caches(None, 2, machines.ARM64))
        with self.assertRaisesRegex(errors.Problem, "topology 'epyc' is one of x86-64 machines"):
            topology.topology_args("epyc", None, False, machines.ARM64)

    def test_every_product_is_the_number_of_cpus(self) -> None:
        for name, item in topology.TOPOLOGIES.items():
            if not item.clusters:
                continue
            with self.subTest(topology=name):
                args, cpus = topology.topology_args(name, None, False, machines.ARM64)
                first, *parts = args[1].split(",")
                values = dict(part.split("=") for part in parts)
                whole = int(values.pop("maxcpus", first))
                self.assertEqual((cpus, whole), (item.cpus, math.prod(map(int, values.values()))))


def cell(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def machine(cpus: int) -> devicetree.Node:
    """A device tree as QEMU's, as far as CPUs go: the last first, and with handles."""
    nodes = [devicetree.Node(f"cpu@{number:x}", {"phandle": cell(0x8000 + number), "reg": cell(number), "device_type": b"cpu\0"})
             for number in reversed(range(cpus))]
    return devicetree.Node("", {"model": b"board\0"}, [
        devicetree.Node("cpus", {"#address-cells": cell(1)}, [devicetree.Node("cpu-map", {}, []), *nodes]),
        devicetree.Node("intc@8000000", {"phandle": cell(0x9000)})])


def chains(root: devicetree.Node) -> list[list[str]]:
    """For each CPU, in order, the names of its caches, followed by their handles as the kernel does."""
    by_handle = {node.properties["phandle"]: node for node in root.all() if "phandle" in node.properties}
    found = []
    for number in range(sum(node.name.startswith("cpu@") for node in root.all())):
        node = next(node for node in root.all() if node.name == f"cpu@{number:x}")
        found.append([])
        while handle := node.properties.get("next-level-cache"):
            node = by_handle[handle]
            found[-1].append(node.name)
    return found


class DeviceTrees(unittest.TestCase):
    def test_read(self) -> None:
        """{ compatible = "a"; n { }; } as the specification has it, with a word of reserved memory, and a token that says nothing."""
        tokens = (cell(1) + bytes(4) + cell(3, 2, 0) + b"a\0\0\0" + cell(4) + cell(1) + b"n\0\0\0" + cell(2, 2, 9))
        strings = b"compatible\0"
        data = cell(0xd00dfeed, 72 + len(tokens) + len(strings), 72, 72 + len(tokens), 40, 17, 16, 0, len(strings), len(tokens)) \
            + cell(0, 1, 0, 4096) + bytes(16) + tokens + strings
        root = devicetree.read(data)
        self.assertEqual((root.properties, [node.name for node in root.nodes]), ({"compatible": b"a\0"}, ["n"]))
        for cut in range(len(data)):
            with self.subTest(cut=cut), self.assertRaises(ValueError):
                devicetree.read(data[:cut])

    def test_written_and_read(self) -> None:
        root = machine(3)
        data = devicetree.write(root)
        self.assertEqual(devicetree.read(data), root)
        self.assertEqual(int.from_bytes(data[4:8], "big"), len(data))

    def test_caches(self) -> None:
        root = machine(7)
        devicetree.add_caches(root, devicetree.Caches(4, 2))
        self.assertEqual(chains(devicetree.read(devicetree.write(root))), [
            ["l2-cache0", "l3-cache0"], ["l2-cache0", "l3-cache0"], ["l2-cache1", "l3-cache0"], ["l2-cache1", "l3-cache0"],
            ["l2-cache2", "l3-cache1"], ["l2-cache2", "l3-cache1"], ["l2-cache3", "l3-cache1"]])
        handles = [node.properties["phandle"] for node in root.all() if "phandle" in node.properties]
        self.assertEqual(len(handles), len(set(handles)))

    def test_without_level_3(self) -> None:
        root = machine(2)
        devicetree.add_caches(root, devicetree.Caches(0))
        self.assertEqual(chains(root), [["l2-cache0"], ["l2-cache1"]])

    def test_no_cpus(self) -> None:
        with self.assertRaisesRegex(ValueError, "without CPUs"):
            devicetree.add_caches(devicetree.Node(""), devicetree.Caches(1))


if __name__ == "__main__":
    unittest.main()
