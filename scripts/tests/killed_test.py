# SPDX-License-Identifier: GPL-2.0-only
"""What is killed leaves nothing that is taken for finished, and two that do the same work do not collide."""

import hashlib
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import unittest
from typing import Any
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import paths, targets	# noqa: E402
from upliftlib.lab import apt, archive, buildroot, debugkernel, download, fetch, imagecheck, kernels, kmod, unpack	# noqa: E402

SPEC = targets.Spec("9.1", ("sid",), r"9\.1\.\d+-amd64", "a kernel that there is not")
PARTS = ("image", "modules", "headers", "slice", "source")
# What a program does to files, or by other programs: the moments at which it is killed here.
MOMENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "subprocess.Popen", "tempfile.mkstemp")
KILLS = 12	# of each scenario, spread over all moments


def tree(version: str) -> bytes:
    """A kernel source as linux-source has it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        _, _, sublevel = version.split("-")[0].split(".")
        for name, text in (("Makefile", f"VERSION = 9\nPATCHLEVEL = 1\nSUBLEVEL = {sublevel}\nEXTRAVERSION =\n"),
                           ("fs/pipe.c", f"int of_{sublevel};\n")):
            info = tarfile.TarInfo(f"linux-source-9.1/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


def files_of(version: str) -> dict[str, dict[str, bytes]]:
    """{package: {path: content}} of a kernel as Debian packs it."""
    release = f"{version.split('-')[0]}-amd64"
    base = release.removesuffix("-amd64")
    text = version.encode() * 5000
    headers = f"usr/src/linux-headers-{release}"
    return {
        f"linux-image-{release}": {f"boot/vmlinuz-{release}": text, f"boot/config-{release}": b"CONFIG_X=y\n",
                                   f"lib/modules/{release}/kernel/fs/x.ko": text,
                                   f"lib/modules/{release}/modules.builtin": text},
        f"linux-headers-{release}": {f"{headers}/Makefile": f"include /usr/src/linux-headers-{base}-common/Makefile\n".encode(),
                                     f"{headers}/scripts": b"-> ../../lib/kbuild", f"{headers}/tools": b"-> ../../lib/kbuild"},
        f"linux-headers-{base}-common": {f"usr/src/linux-headers-{base}-common/Makefile": text},
        f"linux-kbuild-{base}": {"usr/lib/kbuild/modpost": text},
        "linux-source-9.1": {"usr/src/linux-source-9.1.tar.xz": tree(version)},
    }


class Archive:
    """A suite with one kernel, of which packages are made."""

    def __init__(self, where: pathlib.Path) -> None:
        self.where = where
        self.version = ""

    def publish(self, version: str) -> None:
        """Make the packages of a version; the suite has that one then."""
        self.version = version
        for package, files in files_of(version).items():
            top = self.where / "made"
            shutil.rmtree(top, ignore_errors=True)
            for path, content in files.items():
                place = top / path
                place.parent.mkdir(parents=True, exist_ok=True)
                if content.startswith(b"-> "):
                    place.symlink_to(content[3:].decode())
                else:
                    place.write_bytes(content)
            (top / "DEBIAN").mkdir()
            (top / "DEBIAN/control").write_text(f"Package: {package}\nVersion: {version}\nArchitecture: amd64\n"
                                                "Maintainer: x <x@example.org>\nDescription: x\n")
            subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", top, self.path(package)], check=True,
                           stdout=subprocess.DEVNULL)

    def path(self, package: str) -> pathlib.Path:
        """The package's file."""
        return self.where / f"{package}_{self.version}_amd64.deb"

    def suite(self, _: str) -> dict[str, Any]:
        """The index."""
        return {"packages": [{"Package": package, "Version": self.version, "Filename": self.path(package).name,
                              "Size": str(self.path(package).stat().st_size),
                              "SHA256": hashlib.sha256(self.path(package).read_bytes()).hexdigest()}
                             for package in files_of(self.version)]}


def content(path: pathlib.Path) -> dict[str, str]:
    """What is in a file or a directory."""
    if path.is_file():
        return {"": hashlib.sha256(path.read_bytes()).hexdigest()}
    return {str(file.relative_to(path)): os.readlink(file) if file.is_symlink() else
            hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(path.rglob("*")) if file.is_symlink() or file.is_file()}


class Fetching(unittest.TestCase):
    def setUp(self) -> None:
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.archive = Archive(paths.ensure(self.top / "archive"))
        build = self.top / "build"
        for name, path in (("BUILD", build), ("TARGETS", build / "targets"), ("SRC", build / "src"), ("CACHE", build / "cache")):
            self.enterContext(mock.patch.object(paths, name, path))
        self.enterContext(mock.patch.object(targets, "spec", lambda name: SPEC))
        self.enterContext(mock.patch.object(archive.plan, "__defaults__", (self.archive.suite, lambda suite: f"file:{self.top}")))
        # images, and what is in modules, are other tests'
        self.enterContext(mock.patch.object(imagecheck, "verify", lambda target: ["nothing"]))
        self.enterContext(mock.patch.object(archive, "BIG", 100))
        self.enterContext(mock.patch.object(unpack, "depmod", lambda moddir, release: (
            moddir / "lib/modules" / release / "modules.dep").write_text("x.ko:\n")))
        self.enterContext(mock.patch.object(apt, "download_command", self.command))

    def command(self, uri: str, path: pathlib.Path, _: str) -> tuple[list[str], None]:
        """Downloads slowly: two that write to one file would be seen."""
        source = self.archive.where / uri.rsplit("/", 1)[1]
        return ["sh", "-c", 'echo got >>"$3"; head -c 100 "$1" >"$2"; sleep 0.02; tail -c +101 "$1" >>"$2"', "sh", str(source),
                str(path), str(self.top / "got")], None

    def fetched(self, kill_at: int = 0) -> int:
        """How a process ends that fetches all parts, and is killed at that moment; 0 if it comes to its end."""
        child = os.fork()
        if not child:
            try:
                self.child(kill_at)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def child(self, kill_at: int) -> None:
        """Fetch; write how many moments there were."""
        moment = 0

        def watch(event: str, _: object) -> None:
            nonlocal moment
            moment += event in MOMENTS
            if event in MOMENTS and moment == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if kill_at >= 0:
            sys.addaudithook(watch)
        fetch.fetch("9.1", PARTS)
        if not kill_at:
            (self.top / "moments").write_text(str(moment))

    def whole(self) -> dict[str, dict[str, str]]:
        """{part: what is in it} of what is taken for finished."""
        info = fetch.on_disk("9.1")
        return {part: {"version": info["parts"][part]} | content(fetch._place("9.1", part)) for part in info["parts"]} \
            if info else {}

    def reset(self, before: pathlib.Path | None) -> None:
        shutil.rmtree(paths.BUILD, ignore_errors=True)
        if before:
            shutil.copytree(before, paths.BUILD, symlinks=True)

    def scenario(self, before: pathlib.Path | None, good: list[dict[str, dict[str, str]]]) -> None:
        """Kill at moments from the first to the last: what is taken for finished is whole, and fetching again mends all."""
        moments = int((self.top / "moments").read_text())
        self.assertGreater(moments, 40)
        for number, at in enumerate(range(1, moments + 1, max(1, moments // KILLS))):
            self.reset(before)
            with self.subTest(moment=at, of=moments):
                self.assertEqual(self.fetched(at), -signal.SIGKILL)
                for part, found in self.whole().items():
                    self.assertIn(found, [whole.get(part) for whole in good], part)
                if number % 4 == 0:
                    self.assertEqual(self.fetched(-1), 0)
                    self.assertEqual(self.whole(), good[-1])
                    self.assertEqual([path.name for path in paths.TARGETS.glob(".*") if path.name != ".9.1.gone"], [])

    def test_killed(self) -> None:
        """First from nothing, then while a newer version takes the place of what is there."""
        self.archive.publish("9.1.3-1")
        self.assertEqual(self.fetched(), 0)
        first = self.whole()
        self.assertEqual(set(first), set(PARTS))
        before = self.top / "before"
        shutil.copytree(paths.BUILD, before, symlinks=True)
        self.scenario(None, [first])

        self.reset(before)
        self.archive.publish("9.1.4-1")
        self.assertEqual(self.fetched(), 0)
        second = self.whole()
        for part in PARTS:
            self.assertNotEqual(first[part], second[part])
        self.scenario(before, [first, second])

    def test_two_at_once(self) -> None:
        """Every file is downloaded once, and both have all of it."""
        self.archive.publish("9.1.3-1")
        children = []
        for _ in range(3):
            child = os.fork()
            if not child:
                os._exit(1 if self.quietly() else 0)
            children.append(child)
        self.assertEqual([os.waitpid(child, 0)[1] for child in children], [0, 0, 0])
        self.assertEqual(set(self.whole()), set(PARTS))
        self.assertEqual((self.top / "got").read_text().count("got"), len(files_of(self.archive.version)))

    def quietly(self) -> bool:
        """Did fetching fail?"""
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            fetch.fetch("9.1", PARTS)
            return False
        except BaseException:
            return True

    def test_one_file_for_two(self) -> None:
        """A source that two targets are made of: their locks are not the same."""
        self.archive.publish("9.1.3-1")
        file, = archive.plan(SPEC).parts["source"]
        children = []
        for _ in range(3):
            child = os.fork()
            if not child:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                try:
                    download.download([file])
                    os._exit(0)
                except BaseException:
                    os._exit(1)
            children.append(child)
        self.assertEqual([os.waitpid(child, 0)[1] for child in children], [0, 0, 0])
        self.assertEqual((self.top / "got").read_text().count("got"), 1)


class WithUs(unittest.TestCase):
    def test_programs_end_with_the_one_that_started_them(self) -> None:
        """tar went on unpacking into what the next attempt had begun anew."""
        with tempfile.TemporaryDirectory() as name:
            note = pathlib.Path(name) / "pid"
            child = os.fork()
            if not child:
                unpack.pipe("it", ["sh", "-c", f"echo $$ >{note}.new; mv {note}.new {note}; exec sleep 60"], ["cat"])
                os._exit(1)
            while not note.exists():
                time.sleep(0.01)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            sleeper = pathlib.Path("/proc") / note.read_text().strip()
            for _ in range(1000):
                if not sleeper.exists() or ") Z " in (sleeper / "stat").read_text():
                    return
                time.sleep(0.01)
            self.fail("it is still there")


class Modules(unittest.TestCase):
    """make takes an object for finished whose time is right, also one that the compiler was writing when it was killed."""

    def setUp(self) -> None:
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, path in (("BUILD", self.top), ("MODULES", self.top / "modules")):
            self.enterContext(mock.patch.object(paths, name, path))
        self.kdir = self.top / "kdir"
        (self.kdir / "include/config").mkdir(parents=True)
        (self.kdir / "include/config/kernel.release").write_text("9.1.3-own\n")
        (self.kdir / "Makefile").write_text("all:\n")
        self.enterContext(mock.patch.object(buildroot, "ensure"))
        self.enterContext(mock.patch.object(kmod, "wanted_compiler", lambda kdir: "gcc-14"))
        self.enterContext(mock.patch.object(buildroot, "output", self.make))
        self.seen: list[list[str]] = []
        self.ends: BaseException | None = None

    def make(self, argv: list[str], cwd: pathlib.Path, **_: object) -> tuple[int, str]:
        """make: what objects were there, and how it ends."""
        self.seen.append(sorted(path.name for path in cwd.rglob("*.o")))
        (cwd / "half.o").write_text("ha")
        if self.ends:
            raise self.ends
        (cwd / "x.ko").write_text("x")
        return 0, ""

    def test_after_a_kill(self) -> None:
        kmod.build(self.kdir)
        kmod.build(self.kdir)
        self.assertEqual(self.seen, [[], ["half.o"]])	# nothing is made twice without need
        self.ends = KeyboardInterrupt()
        with self.assertRaises(KeyboardInterrupt):
            kmod.build(self.kdir)
        self.ends = None
        self.seen.clear()
        kmod.build(self.kdir)
        kmod.build(self.kdir)
        self.assertEqual(self.seen, [[], ["half.o"]])

    def test_stripped_and_types(self) -> None:
        """Copies that were cut short had a time later than what they were made of."""
        ko = self.top / "x.ko"
        ko.write_text("long")

        def strip(argv: list[Any], **_: object) -> tuple[int, str]:
            pathlib.Path(argv[3]).write_text("lo")
            raise KeyboardInterrupt

        with mock.patch.object(buildroot, "output", strip), self.assertRaises(KeyboardInterrupt):
            kmod.stripped([ko])
        self.assertFalse((self.top / ".stripped/x.ko").exists())

        image = self.top / "vmlinuz"
        image.write_text("image")
        target = kernels.Target("9.1", "9.1.3-amd64", "9.1.3-1", vmlinuz=image)
        with mock.patch.object(paths, "TARGETS", self.top / "targets"), \
                mock.patch.object(imagecheck, "vmlinux_of", lambda path: b"elf"), \
                mock.patch.object(imagecheck, "section_of", lambda elf, name: b"types"):
            with mock.patch.object(pathlib.Path, "replace", side_effect=KeyboardInterrupt), \
                    self.assertRaises(KeyboardInterrupt):
                kmod.btf_of(target)
            self.assertFalse((self.top / "targets/9.1/btf").exists())
            found = kmod.btf_of(target)
            self.assertEqual(found and found.read_bytes(), b"types")


class DebugKernel(unittest.TestCase):
    def test_half_made(self) -> None:
        """make notes an object once it is there: what is later than its note, or has none, may be a part."""
        with tempfile.TemporaryDirectory() as name:
            obj = pathlib.Path(name)
            for file, made, noted in (("done.o", 10, 11), ("again.o", 20, 11), ("new.o", 10, 0), ("lib.a", 12, 13)):
                (obj / file).touch()
                os.utime(obj / file, (made, made))
                if noted:
                    (obj / f".{file}.cmd").touch()
                    os.utime(obj / f".{file}.cmd", (noted, noted))
            self.assertEqual(sorted(path.name for path in debugkernel.half_made(obj)), ["again.o", "new.o"])


if __name__ == "__main__":
    unittest.main()
