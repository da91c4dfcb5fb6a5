# SPDX-License-Identifier: GPL-2.0-only
"""Reading kernel images, keeping files whole, finding compilers."""

import gzip
import hashlib
import lzma
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import console, errors, paths	# noqa: E402
from upliftlib.lab import apt, archive, download, fetch, imagecheck, kmod, unpack	# noqa: E402


def elf(name, content):
    """The smallest ELF file with one section."""
    names = b"\0" + name.encode() + b"\0.shstrtab\0"
    start = 64
    data = content + names
    table = start + len(data)
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", head, 0x28, table)
    struct.pack_into("<HHH", head, 0x3a, 64, 3, 2)
    def section(name, offset, size):
        return struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, offset, size, 0, 0, 1, 0)
    return bytes(head) + data + section(0, 0, 0) + section(1, start, len(content)) + \
        section(2 + len(name), start + len(content), len(names))


def bzimage(payload, release):
    data = bytearray(1024 * 4)
    data[0x1f1] = 3
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x20e, 0x400)
    text = f"{release} (someone) #1 SMP\0".encode()
    data[0x600:0x600 + len(text)] = text
    struct.pack_into("<II", data, 0x248, 2048, len(payload))
    return bytes(data) + payload


class Image(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.dir.name) / "bzImage"

    def tearDown(self):
        self.dir.cleanup()

    def test_section_inside_image(self):
        inner = elf(".BTF", b"types" * 100)
        self.path.write_bytes(bzimage(lzma.compress(inner) + struct.pack("<I", len(inner)), "6.1.0-1-amd64"))
        self.assertEqual(imagecheck.section_of(imagecheck.vmlinux_of(self.path), ".BTF"), b"types" * 100)
        self.assertIsNone(imagecheck.section_of(inner, ".other"))
        self.assertEqual(imagecheck.release_of(self.path), "6.1.0-1-amd64")

    def test_image_of_a_kernel_that_was_built_by_oneself_was_unknown(self):
        """gzip is what CONFIG_KERNEL_* has for who chooses nothing."""
        inner = elf(".BTF", b"types" * 100)
        self.path.write_bytes(bzimage(gzip.compress(inner) + struct.pack("<I", len(inner)), "6.18.15"))
        self.assertEqual(imagecheck.section_of(imagecheck.vmlinux_of(self.path), ".BTF"), b"types" * 100)

    def test_no_image(self):
        self.path.write_bytes(b"hello" * 1000)
        for read in (imagecheck.vmlinux_of, imagecheck.release_of):
            with self.assertRaisesRegex(errors.Problem, "is no x86 kernel image") as caught:
                read(self.path)
            self.assertEqual(caught.exception.code, errors.USAGE)

    def test_unknown_compression(self):
        self.path.write_bytes(bzimage(b"BZh9" + bytes(100), "6.1"))
        with self.assertRaisesRegex(errors.Problem, "compressed in a way"):
            imagecheck.vmlinux_of(self.path)


class Paths(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.top = pathlib.Path(self.dir.name)

    def tearDown(self):
        self.dir.cleanup()

    def test_what_has_no_end_is_not_read(self):
        """`uplift report /dev/zero` read until memory was full."""
        with self.assertRaisesRegex(ValueError, "larger than any file of ours"):
            paths.read("/dev/zero", most=1000)
        (self.top / "x").write_text("x" * 1000)
        self.assertEqual(paths.read(self.top / "x", most=1000), "x" * 1000)

    def test_no_right_to_lock(self):
        """Who is not root saw 'Permission denied', and the name of a lock."""
        with mock.patch("builtins.open", side_effect=PermissionError(13, "Permission denied")), \
                self.assertRaisesRegex(errors.Problem, "no right to write in .*: run this as root, or set UPLIFT_BUILD"):
            with paths.lock("x"):
                self.fail("locked")

    def test_fresh_dir_is_all_or_nothing(self):
        target = self.top / "x"
        with paths.fresh_dir(target) as temp:
            (temp / "a").touch()
        with self.assertRaises(KeyboardInterrupt):
            with paths.fresh_dir(target) as temp:
                (temp / "b").touch()
                raise KeyboardInterrupt
        self.assertEqual(os.listdir(self.top), ["x"])
        self.assertEqual(os.listdir(target), ["a"])

    def test_write_replaces(self):
        paths.write(self.top / "f", "one")
        paths.write(self.top / "f", "two")
        self.assertEqual((self.top / "f").read_text(), "two")
        self.assertEqual(os.listdir(self.top), ["f"])

    def test_sizes(self):
        self.assertEqual([console.size(count) for count in (7, 1500, 167_422_112, 2_500_000_000)],
                         ["7 B", "1.5 kB", "167 MB", "2.5 GB"])


class Download(unittest.TestCase):
    RIGHT = b"the right one"

    def download(self, content, times=1):
        """How often the helper, which brings this content, was called for a file that is wanted so many times."""
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            file = archive.File("p", "1", "file:/nowhere/p_1.deb", len(self.RIGHT),
                              hashlib.sha256(self.RIGHT).hexdigest(), "an index")
            helper = 'printf x >>"$2"; printf %s "$1" >"$0"'
            with mock.patch.object(paths, "CACHE", directory / "cache"), \
                    mock.patch.object(paths, "BUILD", directory), \
                    mock.patch.object(apt, "download_command", lambda uri, path, digest: (
                        ["sh", "-c", helper, str(path), content.decode(), str(directory / "calls")], None)):
                try:
                    download.download([file] * times)
                finally:
                    self.assertEqual(list((directory / "cache/partial").iterdir()), [])
                self.assertEqual(file.path.read_bytes(), self.RIGHT)
            return (directory / "calls").stat().st_size

    def test_twice_wanted_is_got_once(self):
        """Two helpers wrote to one file: a source wanted whole and in slices came damaged, on a fresh machine only."""
        self.assertEqual(self.download(self.RIGHT, times=2), 1)

    def test_wrong_content_is_not_kept(self):
        for wrong in (b"another one..", b"the right", b"the right one and more", b""):
            with self.assertRaisesRegex(errors.Problem, r"p_1\.deb has not the SHA256 .*\(an index\)"):
                self.download(wrong)


class Slice(unittest.TestCase):
    """A change that comes later takes more of the source: what was unpacked before is not enough then."""

    def on_disk(self, **more):
        with tempfile.TemporaryDirectory() as where:
            base = pathlib.Path(where)
            (base / "6.12/slice").mkdir(parents=True)
            (base / "6.12/vmlinuz").write_text("")
            info = {"name": "6.12", "parts": {"slice": "1", "image": "1"}} | more
            with mock.patch.object(paths, "TARGETS", base), mock.patch.object(fetch, "saved", lambda name: info):
                return set(fetch.on_disk("6.12")["parts"])

    def test_whole(self):
        self.assertEqual(self.on_disk(sliced=fetch.slice_patterns()), {"slice", "image"})
        self.assertEqual(self.on_disk(sliced=[*fetch.slice_patterns(), "more/*"]), {"slice", "image"})

    def test_of_before(self):
        self.assertEqual(self.on_disk(), {"image"})
        self.assertEqual(self.on_disk(sliced=["Makefile"]), {"image"})

    def test_every_source(self):
        self.assertLessEqual({"Makefile", "fs/pipe.c", "fs/*.h", "fs/eventpoll.c", "fs/iomap/*.c"},
                             set(fetch.slice_patterns()))


class Headers(unittest.TestCase):
    """Headers held the absolute path that they were unpacked to: a tree that was moved unpacked all of them again."""

    DEBIAN = ("include /usr/src/linux-headers-6.1.0-57-common/Makefile\n",
              "KBUILD_OUTPUT=/usr/src/linux-headers-7.1.13-amd64\ninclude /usr/src/linux-headers-7.1.13-common/Makefile\n")

    def made(self, text):
        """What a Makefile of headers says when make reads it in a tree that was moved since: (output, file included)."""
        with tempfile.TemporaryDirectory() as name:
            top = pathlib.Path(name).resolve()
            common = re.search(r"[^/]+-common", text)[0]
            for directory in (common, "kdir"):
                (top / "old/usr/src" / directory).mkdir(parents=True)
            (top / "old/usr/src" / common / "Makefile").write_text(
                "all:\n\t@echo $(KBUILD_OUTPUT) $(realpath $(lastword $(MAKEFILE_LIST)))\n")
            makefile = top / "old/usr/src/kdir/Makefile"
            makefile.write_text(text)
            unpack.relocate(makefile.parent)
            (top / "old").rename(top / "new")
            said = subprocess.run(["make", "-s", "-C", top / "new/usr/src/kdir"], text=True, check=True,
                                  stdout=subprocess.PIPE).stdout.split()
            return [word.removeprefix(f"{top}/new/usr/src/") for word in said]

    def test_of_debian(self):
        self.assertEqual(self.made(self.DEBIAN[0]), ["linux-headers-6.1.0-57-common/Makefile"])
        self.assertEqual(self.made(self.DEBIAN[1]), ["kdir", "linux-headers-7.1.13-common/Makefile"])

    def test_of_a_former_version(self):
        for text in self.DEBIAN:
            self.assertEqual(self.made(text.replace("/usr/src", "/srv/uplift/build/targets/x/headers/usr/src")), self.made(text))

    def test_done_once(self):
        with tempfile.TemporaryDirectory() as name:
            makefile = pathlib.Path(name) / "Makefile"
            makefile.write_text(self.DEBIAN[1])
            unpack.relocate(makefile.parent)
            once = makefile.read_text()
            unpack.relocate(makefile.parent)
            self.assertEqual(makefile.read_text(), once)
            self.assertNotIn(" /", once)


class Compiler(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.kdir = pathlib.Path(self.dir.name)

    def tearDown(self):
        self.dir.cleanup()

    def test_debian_headers_choose(self):
        (self.kdir / ".kernelvariables").write_text("CC = $(if $(X),$(CCACHE)) $(CROSS_COMPILE)gcc-12\n")
        self.assertEqual(kmod.compiler(self.kdir), "")
        self.assertEqual(kmod.wanted_compiler(self.kdir), "gcc-12")

    def test_own_build_directory(self):
        (self.kdir / ".config").write_text("CONFIG_GCC_VERSION=120400\n")
        self.assertEqual(kmod.compiler(self.kdir), "gcc-12")
        (self.kdir / ".config").write_text("CONFIG_GCC_VERSION=150100\n")
        self.assertEqual(kmod.compiler(self.kdir), "gcc-14")
        (self.kdir / ".config").write_text("CONFIG_CC_IS_CLANG=y\n")
        with self.assertRaisesRegex(errors.Problem, "clang"):
            kmod.compiler(self.kdir)

    def test_release(self):
        with self.assertRaisesRegex(errors.Problem, "not a directory that modules can be built in"):
            kmod.release_of(self.kdir)
        (self.kdir / "include/config").mkdir(parents=True)
        (self.kdir / "include/config/kernel.release").write_text("6.9.1-own\n")
        self.assertEqual(kmod.release_of(self.kdir), "6.9.1-own")
        (self.kdir / "include/generated").mkdir()
        (self.kdir / "include/generated/utsrelease.h").write_text('#define UTS_RELEASE "6.1.0-56-amd64"\n')
        self.assertEqual(kmod.release_of(self.kdir), "6.1.0-56-amd64")


class Warnings(unittest.TestCase):
    def test_what_counts(self):
        for line in ("x.c:1:2: warning: unused", "WARNING: modpost: missing MODULE_DESCRIPTION()",
                     "x.o: warning: objtool: f(): unreachable", "make: warning:  Clock skew detected"):
            self.assertTrue(kmod._WARNING.search(line) and not kmod._HARMLESS.search(line), line)
        for line in ("  CC [M]  modules/fslist/fslist_main.o", "Skipping BTF generation for x.ko due to unavailability of vmlinux",
                     "warning: the compiler differs from the one used to build the kernel"):
            self.assertFalse(kmod._WARNING.search(line) and not kmod._HARMLESS.search(line), line)


if __name__ == "__main__":
    unittest.main()
