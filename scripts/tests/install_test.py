# SPDX-License-Identifier: GPL-2.0-only
"""Tests of scripts/install, scripts/sign, scripts/dkms-bodies, and of what the packages say of themselves."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
VERSION = (TOP / "VERSION").read_text().strip()


def run(*argv, cwd=TOP, **env):
    """(status, output) of a command."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"} | {key: str(env[key]) for key in env}
    done = subprocess.run([str(word) for word in argv], cwd=cwd, text=True, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def listing(top):
    """{path: (mode, content)} of everything below a directory."""
    return {str(path.relative_to(top)): (path.lstat().st_mode, os.readlink(path) if path.is_symlink()
                                         else path.read_bytes() if path.is_file() else None)
            for path in sorted(top.rglob("*"))}


class Scratch(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.top = pathlib.Path(self.dir.name)

    def tearDown(self):
        self.dir.cleanup()


class Install(Scratch):
    def install(self, what, **env):
        code, text = run(TOP / "scripts/install", what, DESTDIR=self.top, **env)
        self.assertEqual((code, text), (0, ""))

    def test_twice_is_once_and_removed_is_nothing(self):
        for env in ({}, {"prefix": "/usr"}, {"prefix": "/opt/x y", "sysconfdir": "/opt/etc"}):
            self.install("install", **env)
            once = listing(self.top)
            self.assertGreater(len(once), 100)
            self.install("install", **env)
            self.assertEqual(listing(self.top), once)
            self.install("uninstall", **env)
            self.assertEqual(listing(self.top), {})
            self.install("uninstall", **env)

    def test_paths_as_people_write_them(self):
        for env in ({"prefix": "/usr/"}, {"prefix": "//usr//", "srcdir": "/src//x/"}, {"prefix": "/"}):
            self.install("install", **env)
            self.assertGreater(len(listing(self.top)), 100)
            self.install("uninstall", **env)
            self.assertEqual(listing(self.top), {})
        for name in ("prefix", "srcdir"):
            code, text = run(TOP / "scripts/install", "install", DESTDIR=self.top, **{name: "usr"})
            self.assertEqual((code, text), (1, f"install: {name}=usr: a path from / on is wanted\n"))
        self.assertEqual(listing(self.top), {})

    def test_destdir_from_here_and_with_a_quote(self):
        (self.top / "it's here").mkdir()
        for command in ((TOP / "scripts/install",), ("make", "-s", "-f", TOP / "Makefile", "-C", TOP)):
            where = "it's here" if len(command) == 1 else self.top / "it's here"
            env = {"DESTDIR": where} if len(command) == 1 else {}
            words = [] if env else [f"DESTDIR={where}"]
            self.assertEqual(run(*command, "install", *words, cwd=self.top, **env), (0, ""))
            self.assertGreater(len(listing(self.top)), 100)
            self.assertEqual(run(*command, "uninstall", *words, cwd=self.top, **env), (0, ""))
            self.assertEqual(list(listing(self.top)), ["it's here"])

    def test_stopped_half_way_can_be_removed(self):
        tools = self.top / "tools"
        tools.mkdir()
        for what, tool, count in (("install", "mkdir", 2), ("install", "xargs", 1), ("install", "ln", 1),
                                  ("again", "xargs", 2), ("again", "cp", 5), ("uninstall", "rmdir", 3)):
            with self.subTest(what=what, tool=tool, count=count):
                root = self.top / f"{what}-{tool}"
                if what != "install":
                    self.assertEqual(run(TOP / "scripts/install", "install", DESTDIR=root), (0, ""))
                # Ended while the tool runs for the so many-th time; not by INT, which jobs in the background ignore
                (tools / tool).write_text(f"""#!/bin/sh
echo >>"{tools}/count"
[ "$(wc -l <"{tools}/count")" -ne {count} ] || {{ kill -TERM $PPID; exit 1; }}
PATH=/usr/bin:/bin exec {tool} "$@"
""")
                (tools / tool).chmod(0o755)
                code, text = run(TOP / "scripts/install", what.replace("again", "install"), DESTDIR=root,
                                 PATH=f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin")
                (tools / tool).unlink()
                (tools / "count").unlink()
                self.assertNotEqual(code, 0, text)
                self.assertEqual(run(TOP / "scripts/install", "uninstall", DESTDIR=root), (0, ""))
                self.assertEqual(list(listing(root)), [])

    def test_what_others_have_stays(self):
        for name in ("usr/local/sbin/other", "usr/src/linux/Makefile", "etc/other.conf"):
            (self.top / name).parent.mkdir(parents=True, exist_ok=True)
            (self.top / name).write_text("theirs")
        before = listing(self.top)
        self.install("install")
        (self.top / "usr/local/share/man/man8/theirs.8").write_text("came later")
        self.install("uninstall")
        (self.top / "usr/local/share/man/man8/theirs.8").unlink()
        for name in ("usr/local/share/man/man8", "usr/local/share/man", "usr/local/share"):
            (self.top / name).rmdir()
        self.assertEqual(listing(self.top), before)

    def test_configuration_is_kept(self):
        self.install("install")
        conf = self.top / "etc/uplift.conf"
        conf.write_text("KSRC=/here\n")
        self.install("install")
        self.assertEqual(conf.read_text(), "KSRC=/here\n")
        self.install("uninstall")
        self.assertEqual(listing(self.top), {})

    def test_what_a_newer_version_lacks_goes(self):
        self.install("install")
        once = listing(self.top)
        old = self.top / "usr/local/lib/uplift/modules/gone.c"
        old.write_text("of a former version")
        with open(self.top / "usr/local/lib/uplift/installed", "a") as file:
            file.write("f /usr/local/lib/uplift/modules/gone.c\n")
        self.install("install")
        self.assertEqual(listing(self.top), once)

    def test_installed_command_works(self):
        self.install("install")
        command = self.top / "usr/local/lib/uplift/scripts/uplift"
        code, text = run(sys.executable, command, "lab", "list", "--json")
        self.assertEqual((code, text[:1]), (0, "["), text)
        code, text = run(sys.executable, "-B", "-c", "import sys; sys.path.insert(0, sys.argv[1])\n"
                         "from upliftlib.base import paths; print(paths.BUILD)", command.parent)
        self.assertEqual(text.strip(), "/var/cache/uplift")
        # it leaves nothing of its own beside what was installed
        self.install("uninstall")
        self.assertEqual(listing(self.top), {})

    def test_link_and_modes(self):
        self.install("install", prefix="/usr")
        self.assertEqual(os.readlink(self.top / "usr/sbin/uplift"), "/usr/lib/uplift/scripts/uplift")
        self.assertEqual((self.top / "usr/lib/uplift/scripts/uplift").stat().st_mode & 0o777, 0o755)
        self.assertEqual((self.top / "usr/share/man/man8/uplift.8").stat().st_mode & 0o777, 0o644)
        self.assertFalse([path for path in listing(self.top) if re.search(r"\.(ko|o|pyc|mod\.c)$|/gen/", path)])

    @unittest.skipUnless(shutil.which("make") and shutil.which("cc"), "no make, or no compiler")
    def test_scheduler_can_be_built_from_it(self):
        self.install("install")
        sched = self.top / "usr/local/lib/uplift/sched"
        code, text = run("make", "-s", "-C", sched, "check", f"O={self.top}/out")
        self.assertEqual((code, "not ok" in text), (0, False), text)
        # what is missing is said in one line
        for words, says in (((f"BTF={sched}/Makefile", "CLANG=/no/clang"), r"not here: clang.*: apt-get install "),
                            (("BTF=/no/btf",), r"no type information of a kernel in /no/btf: ")):
            code, text = run("make", "-s", "-C", sched, f"O={self.top}/out", *words)
            self.assertEqual(code, 2)
            self.assertRegex(text.splitlines()[0], r"make -C sched: " + says)
            self.assertFalse([line for line in text.splitlines()[1:] if not line.startswith("make: ")], text)
        # where `uplift sched` looks
        code, text = run("make", "-s", "-C", sched, "--eval=where: ; @echo $(OUT)", "where")
        self.assertEqual((code, text), (0, f"/var/cache/uplift/sched/{os.uname().release}\n"))

    def test_modules_need_building(self):
        code, text = run(TOP / "scripts/install", "nonsense")
        self.assertEqual(code, 2)
        self.assertIn("usage", text)

    def test_dkms_sources_have_the_version(self):
        self.install("install")
        for name in ("uplift", "uplift-bodies"):
            where = self.top / f"usr/src/{name}-{VERSION}"
            text = (where / "dkms.conf").read_text()
            self.assertIn(f'PACKAGE_NAME="{name}"', text)
            self.assertIn(f'PACKAGE_VERSION="{VERSION}"', text)
            self.assertTrue((where / "Kbuild").is_file() and (where / "modules/core/core_main.c").is_file())


class Said(unittest.TestCase):
    """One version, one list of modules."""

    def test_changelog(self):
        first = (TOP / "debian/changelog").read_text().splitlines()[0]
        self.assertTrue(first.startswith(f"uplift ({VERSION})"), f"VERSION is {VERSION}, debian/changelog says {first}")

    @staticmethod
    def listed(conf):
        text = (TOP / conf).read_text()
        return dict(zip(re.findall(r'^BUILT_MODULE_LOCATION\[\d+\]="(.*)"', text, re.MULTILINE),
                        re.findall(r'^BUILT_MODULE_NAME\[\d+\]="(.*)"', text, re.MULTILINE)))

    @staticmethod
    def built(ksrc=""):
        """The directories that the top Kbuild builds."""
        code, text = run("make", "-s", "-f", "Kbuild", f"src={TOP}", f"KSRC={ksrc}",
                         "--eval", "print: ; @echo $(obj-m)", "print")
        assert not code, text
        return {path.rstrip("/") for path in text.split()}

    def test_dkms_lists_what_is_built(self):
        base, whole = self.built(), self.built("/usr/src/linux")
        # each directory is one or the other, and the core is no less than that
        self.assertEqual(whole, {f"modules/{path.parent.name}" for path in TOP.glob("modules/*/Kbuild")})
        self.assertIn("modules/core", base)
        for wanted, conf in ((base, "dkms.conf"), (whole - base | {"modules/core"}, "packaging/dkms-bodies.conf")):
            self.assertEqual(set(self.listed(conf)), wanted,
                             f"{conf} does not list what Kbuild builds: add BUILT_MODULE_NAME and _LOCATION")

    def test_bodies_need_the_source(self):
        # a manifest is what they are made from
        made = {path.parts[-2 if path.stem != "manifest" else -3] for path in TOP.glob("modules/**/*.toml")
                if path.name in ("manifest.toml", f"{path.parent.name}.toml")}
        self.assertEqual({path.partition("/")[2] for path in self.built("/usr/src/linux") - self.built()}, made)

    def test_dkms_lists_the_backports(self):
        text = (TOP / "packaging/dkms-bodies.conf").read_text()
        listed = dict(zip(re.findall(r'^BUILT_MODULE_NAME\[\d+\]="(.*)"', text, re.MULTILINE),
                          re.findall(r'^BUILT_MODULE_LOCATION\[\d+\]="(.*)"', text, re.MULTILINE)))
        self.assertEqual({name for name, place in listed.items() if place == "modules/backports"},
                         {f"uplift_{path.parent.name}" for path in (TOP / "modules/backports").glob("*/manifest.toml")},
                         "packaging/dkms-bodies.conf does not list the backports: add BUILT_MODULE_NAME and _LOCATION")

    def test_dkms_numbers(self):
        for conf in ("dkms.conf", "packaging/dkms-bodies.conf"):
            numbers = {}
            for key, number in re.findall(r"^(\w+)\[(\d+)\]=", (TOP / conf).read_text(), re.MULTILINE):
                numbers.setdefault(key, []).append(int(number))
            for key in ("BUILT_MODULE_NAME", "BUILT_MODULE_LOCATION", "DEST_MODULE_LOCATION"):
                self.assertEqual(numbers[key], list(range(len(numbers["BUILT_MODULE_NAME"]))), f"{conf}: {key}")


class Bodies(Scratch):
    """dkms-bodies check: the source of this very kernel, or none."""

    def setUp(self):
        super().setUp()
        header = self.top / "kdir/include/generated/uapi/linux/version.h"
        header.parent.mkdir(parents=True)
        header.write_text("#define LINUX_VERSION_CODE 396288\n#define LINUX_VERSION_MAJOR 6\n"
                          "#define LINUX_VERSION_PATCHLEVEL 12\n#define LINUX_VERSION_SUBLEVEL 117\n")
        self.conf = self.top / "uplift.conf"

    def source(self, name, sublevel):
        directory = self.top / name
        (directory / "drivers").mkdir(parents=True)
        (directory / "Makefile").write_text(f"VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = {sublevel}\n")
        (directory / "drivers/Makefile").write_text("VERSION = 1\n")
        return directory

    def check(self, conf):
        self.conf.write_text(conf)
        return run(TOP / "scripts/dkms-bodies", "check", "6.12.117-x", self.top / "kdir", UPLIFT_CONF=self.conf)

    def test_directory(self):
        self.source("linux-source-6.12", 117)
        self.assertEqual(self.check(f"KSRC={self.top}/linux-source-$series\n"), (0, ""))

    def test_tar(self):
        self.source("linux-source-6.12", 117)
        run("tar", "-cJf", "s.tar.xz", "linux-source-6.12/drivers", "linux-source-6.12/Makefile", cwd=self.top)
        self.assertEqual(self.check(f"KSRC={self.top}/s.tar.xz\n"), (0, ""))

    def test_other_version(self):
        self.source("a", 116)
        code, text = self.check(f"KSRC={self.top}/a\n")
        self.assertEqual(code, 1)
        self.assertIn("no source of 6.12.117", text)
        self.assertIn("is 6.12.116", text)
        self.source("b", 117)
        self.assertEqual(self.check(f'KSRC="{self.top}/none {self.top}/a {self.top}/b"\n'), (0, ""))

    def test_none(self):
        code, text = self.check(f"KSRC={self.top}/none\n")
        self.assertEqual(code, 1)
        self.assertEqual(len(text.splitlines()), 1, text)

    def test_not_headers(self):
        code, text = run(TOP / "scripts/dkms-bodies", "check", "x", self.top)
        self.assertEqual(code, 1)
        self.assertIn("are these headers?", text)
        self.assertEqual(run(TOP / "scripts/dkms-bodies", "nonsense")[0], 2)


class Sign(Scratch):
    def test_says_what_is_missing(self):
        ko = self.top / "x.ko"
        ko.write_bytes(b"\x7fELF")
        code, text = run(TOP / "scripts/sign", "--key", self.top / "no.key", "--cert", "x", ko)
        self.assertEqual(code, 1)
        self.assertIn("cannot read", text)
        self.assertEqual(run(TOP / "scripts/sign", "--nonsense")[0], 2)
        self.assertEqual(run(TOP / "scripts/sign", "--key")[0], 2)
        code, text = run(TOP / "scripts/sign", "--key", ko, ko)
        self.assertIn("--key goes with --cert", text)


if __name__ == "__main__":
    unittest.main()
