# SPDX-License-Identifier: GPL-2.0-only
"""Packages beside Debian's: the rpm, where rpmbuild is here; licences; what a package's header has to say."""

import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.lab import sourcetree	# noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
VERSION = (TOP / "VERSION").read_text().strip()


class Headers(unittest.TestCase):
    def test_the_spec_has_the_version(self) -> None:
        text = (TOP / "packaging/rpm/uplift.spec").read_text()
        self.assertEqual(re.findall(r"^Version:\s+(.*)$", text, re.MULTILINE), [VERSION])
        self.assertRegex(text, rf"(?m)^\* .* - {re.escape(VERSION)}-1$")

    def test_debians_control(self) -> None:
        text = (TOP / "debian/control").read_text()
        for name in ("Homepage", "Vcs-Git", "Vcs-Browser"):
            self.assertRegex(text, rf"(?m)^{name}: https://")

    def test_the_licence(self) -> None:
        self.assertEqual((TOP / "LICENSES/GPL-2.0-only.txt").read_bytes(), (TOP / "COPYING").read_bytes())
        self.assertIn('SPDX-License-Identifier = "GPL-2.0-only"', (TOP / "REUSE.toml").read_text())

    @unittest.skipUnless(shutil.which("reuse"), "no reuse here: apt-get install reuse")
    def test_reuse(self) -> None:
        done = subprocess.run(["reuse", "--root", TOP, "lint"], text=True, check=False, stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])


@unittest.skipUnless(shutil.which("rpmbuild"), "no rpmbuild here: apt-get install rpm")
class Rpm(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        with tarfile.open(self.place / f"uplift-{VERSION}.tar.gz", "w:gz") as archive:
            for name in sourcetree.files():
                archive.add(TOP / name, f"uplift-{VERSION}/{name}")

    def build(self, *words: str) -> dict[str, pathlib.Path]:
        """{package: its file}"""
        done = subprocess.run(
            ["rpmbuild", "-bb", "--nodeps", TOP / "packaging/rpm/uplift.spec", "--define", f"_sourcedir {self.place}",
             "--define", f"_topdir {self.place}/top", *words], text=True, check=False, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])
        return {path.name.partition(f"-{VERSION}")[0]: path for path in self.place.glob("top/RPMS/*/*.rpm")}

    @staticmethod
    def asked(what: str, path: pathlib.Path) -> set[str]:
        """What rpm says of a package, line by line."""
        return set(subprocess.run(["rpm", "-qp", what, path], text=True, check=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL).stdout.splitlines())

    def test_what_is_in_it(self) -> None:
        built = self.build()
        self.assertEqual(set(built), {"uplift", "uplift-dkms"})
        listed = {name: self.asked("--list", path) for name, path in built.items()}
        self.assertLessEqual({"/usr/sbin/uplift", "/usr/lib/uplift/scripts/uplift", "/usr/share/man/man8/uplift.8",
                              "/usr/share/zsh/site-functions/_uplift"}, listed["uplift"])
        self.assertLessEqual({"/etc/uplift.conf", f"/usr/src/uplift-{VERSION}/dkms.conf",
                              f"/usr/src/uplift-bodies-{VERSION}/dkms.conf"}, listed["uplift-dkms"])
        for names in listed.values():
            self.assertFalse([name for name in names if name.endswith((".o", ".ko", ".pyc"))])
        # rpm takes the interpreter of each script for a requirement: that of a guest's init is in no package of theirs
        self.assertEqual({line for line in self.asked("--requires", built["uplift"]) if line.startswith("/")},
                         {"/bin/sh", "/usr/bin/env"})

    def test_modules_for_one_kernel(self) -> None:
        """With a stand-in for kernel-devel, whose make makes files of the right names."""
        made = ("core/uplift.ko", "core/core_main.o")
        kdir = self.place / "devel"
        kdir.mkdir()
        (kdir / "Makefile").write_text("modules:\n" + "".join(f"\techo $@ >$(M)/modules/{name}\n" for name in made))
        built = self.build("--with", "kmod", "--define", "kver 6.18.5-200.fc43.x86_64", "--define", f"kdir {kdir}")
        self.assertEqual(set(built), {"uplift", "uplift-dkms", "kmod-uplift"})
        where = "/lib/modules/6.18.5-200.fc43.x86_64/extra/uplift"
        self.assertEqual(self.asked("--list", built["kmod-uplift"]), {where, f"{where}/uplift.ko"})
        self.assertIn("kernel-uname-r = 6.18.5-200.fc43.x86_64", self.asked("--requires", built["kmod-uplift"]))
        self.assertIn("depmod 6.18.5-200.fc43.x86_64 || :", self.asked("--scripts", built["kmod-uplift"]))
        for name in ("uplift", "uplift-dkms"):
            self.assertFalse([line for line in self.asked("--list", built[name]) if line.endswith((".o", ".ko"))])


if __name__ == "__main__":
    unittest.main()
