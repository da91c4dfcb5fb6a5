# SPDX-License-Identifier: GPL-2.0-only
"""Reading kernel images, keeping files whole, finding compilers."""

import gzip
import hashlib
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import console, errors, paths, targets	# noqa: E402
from upliftlib.kernel import image	# noqa: E402
from upliftlib.lab import apt, archive, download, fetch, imagecheck, kmod, pool, unpack	# noqa: E402


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
        self.assertEqual(image.release_of(self.path), "6.1.0-1-amd64")

    def test_image_of_a_kernel_that_was_built_by_oneself_was_unknown(self):
        """gzip is what CONFIG_KERNEL_* has for who chooses nothing."""
        inner = elf(".BTF", b"types" * 100)
        self.path.write_bytes(bzimage(gzip.compress(inner) + struct.pack("<I", len(inner)), "6.18.15"))
        self.assertEqual(imagecheck.section_of(imagecheck.vmlinux_of(self.path), ".BTF"), b"types" * 100)

    def test_no_image(self):
        self.path.write_bytes(b"hello" * 1000)
        for read in (imagecheck.vmlinux_of, image.release_of):
            with self.assertRaisesRegex(errors.Problem, "is no kernel image") as caught:
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


class Unlisted(unittest.TestCase):
    """Files of the pool of which no index tells a sum."""

    def setUp(self):
        top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, path in (("BUILD", top), ("CACHE", top / "cache"), ("TARGETS", top / "targets"), ("SRC", top / "src")):
            self.enterContext(mock.patch.object(paths, name, path))
        self.enterContext(mock.patch.object(apt, "download_command", self.command))
        self.has = {}

    def command(self, uri, path, digest):
        """A mirror that has these files only."""
        self.assertEqual(digest, "")
        text = self.has.get(uri.rsplit("/", 1)[1].partition("_")[0])
        return ["sh", "-c", f"printf %s {text} >{path}" if text else "echo 'E: Failed to fetch it  404  Not Found'; exit 100"], None

    def file(self, package):
        return archive.File(package, "9.1.3-1", f"http://m.example/pool/main/l/linux/{package}_9.1.3-1_all.deb", 0, "", pool.ORIGIN)

    def plan(self):
        spec = targets.spec("9.1.3")
        source = [self.file("linux-source-9.1")]
        return archive.Plan(spec, "9.1.3-amd64", "9.1.3-1", {
            "image": [], "modules": [], "headers": [self.file("linux-headers-9.1.3-amd64")], "source": source, "slice": source})

    def test_cannot_change_unseen(self):
        """What came first is what it has to be from then on."""
        file = self.file("x")
        self.has["x"] = "first"
        download.download([file])
        self.assertEqual(file.path.read_text(), "first")
        self.assertEqual(download.described(file)["sha256"], hashlib.sha256(b"first").hexdigest())
        download.download([file])
        self.has["x"] = "other"
        file.path.write_text("spoilt")
        with self.assertRaisesRegex(errors.Problem, "x_.* has not the SHA256 that it must have .it had another before"):
            download.download([file])
        self.assertFalse(file.path.exists())
        self.has["x"] = "first"
        download.download([file])
        self.assertEqual(file.path.read_text(), "first")

    def test_listed_before(self):
        """An index vouched for it when it came."""
        file = self.file("x")
        paths.ensure(paths.CACHE)
        file.path.write_text("verified")
        download.download([file])
        self.assertEqual(file.path.read_text(), "verified")

    def test_no_source_in_the_pool(self):
        """Without it the changes are built that are not generated from it."""
        self.has["linux-headers-9.1.3-amd64"] = "headers"
        now = self.plan()
        self.assertEqual(fetch._download(now, {"headers", "slice"}), {"headers"})
        with self.assertRaisesRegex(errors.Skip, "target 9.1.3 .*linux-source-9.1_9.1.3-1_all.deb is in no index, and not in"):
            fetch._download(self.plan(), {"headers", "source"})

    def test_no_headers_in_the_pool(self):
        index = {"packages": [{"Package": f"linux-image-{version}-amd64", "Version": f"{version}-1", "Filename": "x",
                               "Size": "20000000", "SHA256": "0"} for version in ("9.1.2", "9.1.3", "9.1.5")]}
        with mock.patch.object(archive.nearest, "__defaults__", (lambda suite: index, lambda suite: "")), \
                self.assertRaisesRegex(errors.Skip, r"9\.1\.3 \(9\.1\.3-1\) cannot be had: linux-headers-9\.1\.3-amd64_.* is in no "
                                                    r"index.*; the versions nearest to it: 9\.1\.2 9\.1\.5$"):
            fetch._download(self.plan(), {"headers"})


class ByHand(unittest.TestCase):
    """Headers that were unpacked by hand: make said 'No rule to make target /usr/src/...-common/Makefile'."""

    BASE, RELEASE = "9.1.3+deb99", "9.1.3+deb99-amd64"

    def setUp(self):
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.kdir = self.unpacked(self.top, "headers", "common", "kbuild")

    def unpacked(self, top, *packages, output=True):
        """The KDIR that has what these packages of Debian's hold."""
        source, kbuild = paths.ensure(top / "usr/src"), top / f"usr/lib/linux-kbuild-{self.BASE}"
        kdir, common = source / f"linux-headers-{self.RELEASE}", source / f"linux-headers-{self.BASE}-common"
        for name, directory in (("headers", kdir), ("common", common)):
            if name in packages:
                for link in ("scripts", "tools"):
                    (paths.ensure(directory) / link).symlink_to(f"../../lib/{kbuild.name}/{link}")
        if "headers" in packages:
            (kdir / "Makefile").write_text((f"KBUILD_OUTPUT=/usr/src/{kdir.name}\n" if output else "")
                                           + f"include /usr/src/{common.name}/Makefile\n")
        if "common" in packages:	# as the kernel's own takes O=
            (common / "Makefile").write_text("modules:\n\t@echo $(CURDIR) $(O) $(M)\n")
        if "kbuild" in packages:
            for link in ("scripts", "tools"):
                paths.ensure(kbuild / link)
        return kdir

    def refused(self, kdir):
        with self.assertRaises(errors.Problem) as caught:
            kmod.make_words(kdir)
        self.assertEqual(caught.exception.code, errors.USAGE)
        return str(caught.exception)

    def test_all_in_one_place(self):
        for output in (True, False):	# before and after 6.13
            (self.kdir / "Makefile").unlink()
            shutil.rmtree(self.top / "usr")
            kdir = self.unpacked(self.top, "headers", "common", "kbuild", output=output)
            words = kmod.make_words(kdir)
            said = subprocess.run(["make", "-s", "--no-print-directory", *words, "M=/m", "modules"], text=True, check=True,
                                  stdout=subprocess.PIPE).stdout.split()
            self.assertEqual(said, [str(kdir.with_name(f"linux-headers-{self.BASE}-common")), str(kdir), "/m"])

    def test_what_the_build_root_has_to_show(self):
        found = kmod._binds(self.kdir)
        self.assertLessEqual({self.kdir, self.kdir.with_name(f"linux-headers-{self.BASE}-common"),
                              self.top / f"usr/lib/linux-kbuild-{self.BASE}"}, set(found))

    def test_a_package_is_missing(self):
        for packages, missing in ((("headers",), f"linux-headers-{self.BASE}-common"),
                                  (("headers", "common"), f"linux-kbuild-{self.BASE}"),
                                  (("headers", "kbuild"), f"linux-headers-{self.BASE}-common")):
            with self.subTest(packages):
                top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
                said = self.refused(self.unpacked(top, *packages))
                self.assertIn(f"{missing} is missing: unpack it into the same directory, dpkg-deb -x {missing}_*.deb {top}", said)
                self.assertNotIn("\n", said)

    def test_make_modules_says_the_same(self):
        (self.top / f"usr/lib/linux-kbuild-{self.BASE}").rename(self.top / "elsewhere")
        result = subprocess.run(["make", "-C", paths.TOP, "modules", f"KDIR={self.kdir}"], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, errors.USAGE)
        self.assertIn(self.refused(self.kdir), result.stderr)

    def test_others_are_taken_as_they_are(self):
        """A build directory of one's own, headers that lie where they belong, and those that we made relocatable."""
        for text in ("all:\n", "include $(realpath x)/../common/Makefile\n", f"include {self.top}/common/Makefile\n"):
            kdir = paths.ensure(self.top / "own")
            (kdir / "Makefile").write_text(text)
            (paths.ensure(self.top / "common") / "Makefile").touch()
            self.assertEqual(kmod.make_words(kdir), ["-C", str(kdir)])
        self.assertIn("no kernel headers there", self.refused(self.top))


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
        found = {tomllib.loads(path.read_text())["source"] for path in (paths.TOP / "modules").rglob("*.toml")
                 if path.name != "about.toml"}
        self.assertTrue(found)
        self.assertLessEqual({"Makefile", *(f"{pathlib.PurePath(source).parent}/*.h" for source in found)},
                             set(fetch.slice_patterns()))
        for source in found:
            self.assertTrue([pattern for pattern in fetch.slice_patterns() if pathlib.PurePath(source).match(pattern)], source)


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
        for line in ("  CC [M]  modules/carp/carp_main.o", "Skipping BTF generation for x.ko due to unavailability of vmlinux",
                     "warning: the compiler differs from the one used to build the kernel"):
            self.assertFalse(kmod._WARNING.search(line) and not kmod._HARMLESS.search(line), line)


if __name__ == "__main__":
    unittest.main()
