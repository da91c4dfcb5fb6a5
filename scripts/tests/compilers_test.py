# SPDX-License-Identifier: GPL-2.0-only
"""The compiler of an older Debian in the build root, of packages that are made here."""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import console, errors, paths	# noqa: E402
from upliftlib.lab import apt, buildroot, compilers, download	# noqa: E402


class CompilersTest(unittest.TestCase):
    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)
        self.root = self.top / "root"
        self.said: list[str] = []
        self.packages: list[dict[str, str]] = []
        for where, name, value in ((paths, "CACHE", self.top), (apt, "site", lambda suite: "http://m.example/debian"),
                                   (apt, "suite", lambda suite: {"packages": self.packages}), (console, "warn", self.said.append),
                                   (download, "download", lambda files: None)):
            patcher = mock.patch.object(where, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def package(self, name: str, version: str) -> None:
        """A .deb with one file, which names itself, as an index lists it."""
        tree = self.top / "tree"
        for path, text in (("DEBIAN/control", f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x <x@example.org>\n"
                                              "Description: x\n"), (f"usr/bin/{name}", f"#!/bin/sh\necho {name} {version}\n")):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
            (tree / path).chmod(0o755)
        deb = self.top / f"{name}_{version}_amd64.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, deb], check=True, capture_output=True)
        subprocess.run(["rm", "-r", tree], check=True)
        self.packages.append({"Package": name, "Version": version, "Filename": f"pool/{deb.name}", "Size": str(deb.stat().st_size),
                              "SHA256": hashlib.sha256(deb.read_bytes()).hexdigest()})

    def all_of(self, version: str) -> None:
        for name in compilers.parts("gcc-12"):
            self.package(name, version)

    def runs(self) -> str:
        return subprocess.run([self.root / "usr/local/bin/gcc-12"], capture_output=True, text=True, check=True).stdout

    def test_it_stands_in_front_of_the_root_s_own(self) -> None:
        self.assertEqual(compilers.release(self.root, "gcc-12"), "")
        self.all_of("12.2.0-1")
        self.package("gcc-12-base", "12.2.0-1")
        compilers.install(self.root, "gcc-12", "bookworm")
        self.assertEqual(self.runs(), "gcc-12 12.2.0-1\n")
        first = compilers.release(self.root, "gcc-12")
        self.assertIn("12.2.0-1", first)
        self.assertFalse(pathlib.Path(first).is_absolute())
        inside = buildroot.command(["true"])[1]["PATH"].split(":")
        self.assertLess(inside.index("/usr/local/bin"), inside.index("/usr/bin"))
        # a newer one takes its place
        self.all_of("12.2.0-14+deb12u1")
        compilers.install(self.root, "gcc-12", "bookworm")
        self.assertEqual(self.runs(), "gcc-12 12.2.0-14+deb12u1\n")
        self.assertNotEqual(compilers.release(self.root, "gcc-12"), first)
        self.assertEqual(self.said, [])

    def test_one_that_cannot_be_had(self) -> None:
        """The root's own serves; what comes of that is said where code differs."""
        self.package("gcc-12", "12.2.0-1")
        self.package("cpp-12", "12.2.0-2")
        compilers.install(self.root, "gcc-12", "bookworm")
        self.assertIn("bookworm has no cpp-12; bookworm's kernels are compiled with another release of gcc-12", self.said[0])
        self.assertEqual(compilers.release(self.root, "gcc-12"), "")
        with mock.patch.object(apt, "suite", side_effect=errors.Problem("cannot read bookworm")):
            compilers.install(self.root, "gcc-12", "bookworm")
        self.assertIn("cannot read bookworm; ", self.said[1])

    def test_whose_kernels_want_one(self) -> None:
        """Those of an older Debian than the root's; the rest have the root's own."""
        self.assertEqual(buildroot.COMPILERS, {"gcc-12": ["gcc-12", "gcc-12/bookworm"], "gcc-14": ["gcc-14"]})

    def test_it_is_unpacked_and_not_installed(self) -> None:
        with mock.patch.object(buildroot, "need_root"), mock.patch.object(paths, "check"), \
                mock.patch.object(paths, "ROOT", self.root), mock.patch.object(paths, "BUILD", self.top), \
                mock.patch.object(buildroot, "bootstrap") as made, mock.patch.object(buildroot, "_install") as installed, \
                mock.patch.object(compilers, "install") as unpacked:
            (self.root / "etc").mkdir(parents=True)
            buildroot.ensure("gcc-12")
            buildroot.ensure("gcc-12")
            self.assertEqual([call.args[1] for call in made.call_args_list], [["gcc-12"]])
            unpacked.assert_called_once_with(self.root, "gcc-12", "bookworm")
            buildroot.ensure("gcc-14", "gcc-12")
        installed.assert_called_once_with(["gcc-14"])
        unpacked.assert_called_once()


if __name__ == "__main__":
    unittest.main()
