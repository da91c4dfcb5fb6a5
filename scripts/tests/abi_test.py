# SPDX-License-Identifier: GPL-2.0-only
"""What a change does to exported symbols: kbuild's own words for CRCs, and what is said of them."""

import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors, paths	# noqa: E402
from upliftlib.lab import abi, kernels, trial	# noqa: E402
from upliftlib.report import dossier, record	# noqa: E402
from tests import pond	# noqa: E402

COMMAND = """savedcmd_fs/pipe.o := gcc -c -o fs/pipe.o fs/pipe.c

deps_fs/pipe.o := \\
  include/linux/fs.h \\

fs/pipe.o: $(deps_fs/pipe.o)
#SYMVER pipe_lock 0xc8ee1c35
#SYMVER pipe_unlock 0x1fad5291
"""
FILE = '#include <linux/fs.h>\n\nint pipe(void)\n{\n\treturn 1;\n}\nEXPORT_SYMBOL(pipe);\n'


def said(found: record.Abi) -> list[str]:
    part = record.entry(pond.CHANGES["perch"], {"kind": "applicable", "evidence": [], "from": "module"})
    part["abi"], part["upstream"] = found, {}
    return list(dossier.abi(part))


class Crcs(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_of_an_object(self) -> None:
        (self.place / ".pipe.o.cmd").write_text(COMMAND)
        self.assertEqual(abi.crcs(self.place / "pipe.o"), {"pipe_lock": "0xc8ee1c35", "pipe_unlock": "0x1fad5291"})

    def test_of_a_kernel(self) -> None:
        (self.place / "Module.symvers").write_text("0xc8ee1c35\tpipe_lock\tvmlinux\tEXPORT_SYMBOL\t\n")
        self.assertEqual(abi.of_kernel(self.place), {"pipe_lock": "0xc8ee1c35"})
        self.assertEqual(abi.of_kernel(self.place / "none"), {})

    def test_which_tool(self) -> None:
        self.assertEqual(abi.tool(self.place), "genksyms")
        (self.place / "include/config").mkdir(parents=True)
        for config, name in (("CONFIG_GENKSYMS=y\n", "genksyms"), ("CONFIG_MODVERSIONS=y\nCONFIG_GENDWARFKSYMS=y\n", "gendwarfksyms")):
            (self.place / "include/config/auto.conf").write_text(config)
            self.assertEqual(abi.tool(self.place), name)
        self.assertIn("gendwarfksyms of its kbuild", abi.compared(["x"], {"a": "0x1"}, {"a": "0x1"}, {}, name)["method"])

    def test_no_change(self) -> None:
        same = {"a": "0x00000001", "b": "0x00000002"}
        lines = said(abi.compared(["fs/x.c"], same, same, {"a": "0x1", "b": "0x2"}))
        self.assertEqual(lines, ["no exported symbol changes (2 of fs/x.c; genksyms of its kbuild; 2 of 2 as in its "
                                 "Module.symvers)", "no struct changes its layout"])

    def test_a_change(self) -> None:
        lines = said(abi.compared(["fs/x.c"], {"a": "0x01", "b": "0x02", "c": "0x03"}, {"a": "0x01", "b": "0x05", "d": "0x04"}, {}))
        self.assertEqual(lines[:3], ["b: CRC 0x02 before, 0x05 after", "c: CRC 0x03 before, none after",
                                     "d: CRC none before, 0x04 after"])
        self.assertNotIn("no exported symbol changes", " ".join(lines))

    def test_the_kernels_own_differ(self) -> None:
        self.assertIn("0 of 1 as in", abi.compared(["x"], {"a": "0x1"}, {"a": "0x1"}, {"a": "0x2"})["method"])

    def test_a_kernel_without(self) -> None:
        self.assertIn("carries none", abi.compared(["x"], {"a": "0x1"}, {"a": "0x1"}, {"a": "0x00000000"})["method"])

    def test_nothing_exported(self) -> None:
        self.assertEqual(said(abi.compared(["fs/x.c"], {}, {}, {}))[0], "no exported symbol changes: fs/x.c has none")


# As the preprocessor leaves it: where a definition stands decides whether exported symbols show it.
POND = """# 1 "fs/pond.c"
# 1 "include/linux/pond.h" 1
struct pond { int deep; };
int fish(struct pond *pond);
int frog(struct reed *reed);
# 2 "fs/pond.c" 2
struct reed { int high; };
static inline int depth(struct pond *pond) { return pond->deep; }
int fish(struct pond *pond) { return depth(pond); }
int frog(struct reed *reed) { return reed->high; }
int lake(int wide) { return wide; }
__GENKSYMS_EXPORT_SYMBOL(fish);
__GENKSYMS_EXPORT_SYMBOL(frog);
__GENKSYMS_EXPORT_SYMBOL(lake);
"""


def runs(program: pathlib.Path) -> bool:
    """Does it on this machine? One may be of another architecture, or want a newer libc."""
    try:
        return subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0
    except OSError:
        return False


# Of every kernel that is here; they are the kbuild's own program.
GENKSYMS = sorted(filter(runs, paths.TARGETS.glob("*/headers/usr/src/linux-kbuild-*/scripts/genksyms/genksyms")))


def symvers(genksyms: pathlib.Path, text: str) -> abi.Crcs:
    """What a target's own program computes of a file."""
    done = subprocess.run([genksyms], input=text, text=True, stdout=subprocess.PIPE, check=True)
    return dict(abi._CRC.findall(done.stdout))


@unittest.skipUnless(GENKSYMS, "no kernel's headers here: scripts/uplift lab fetch")
class OfTheKernelsProgram(unittest.TestCase):
    """CRCs that differ because a patch changes a struct that an exported function takes."""

    def said(self, genksyms: pathlib.Path, after: str) -> list[str]:
        before = symvers(genksyms, POND)
        self.assertEqual(sorted(before), ["fish", "frog", "lake"], genksyms)
        found = abi.compared(["fs/pond.c"], before, symvers(genksyms, after), before)
        found["layouts"] = abi.moved(*(text.partition("# 2 ")[2] for text in (POND, after)))
        return said(found)

    def test_a_struct_that_an_exported_function_takes(self) -> None:
        for genksyms in GENKSYMS:
            for new in ("int deep; int wide;", "int depth_of;", "long deep;"):
                lines = self.said(genksyms, POND.replace("int deep;", new).replace("pond->deep", "0"))
                self.assertRegex(lines[0], "^fish: CRC 0x[0-9a-f]{8} before, 0x[0-9a-f]{8} after$", new)
                self.assertEqual(lines[1:], ["no struct changes its layout"], new)	# of the file itself; the header is another

    def test_a_struct_that_only_the_file_knows(self) -> None:
        for genksyms in GENKSYMS:
            lines = self.said(genksyms, POND.replace("int high;", "int high; int old;"))
            self.assertRegex(lines[0], r"^no exported symbol changes \(3 of ")
            self.assertEqual(lines[1:], ["layout: struct reed, which only that file knows, is defined otherwise"])

    def test_a_body(self) -> None:
        for genksyms in GENKSYMS:
            lines = self.said(genksyms, POND.replace("return pond->deep", "return 2 * pond->deep"))
            self.assertRegex(lines[0], r"^no exported symbol changes \(3 of fs/pond.c; .* 3 of 3 as in its Module.symvers\)$")
            self.assertEqual(lines[1:], ["no struct changes its layout"])


class OfARefusal(unittest.TestCase):
    """A patch that moves a struct is not tried; which exported symbols it changes is said all the same."""

    def test_they_are_named(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        one = trial.Trial.__new__(trial.Trial)
        one.code = types.SimpleNamespace(kdir=place, crcs=lambda _: {name: "0x1" for name in "abcdefgh"})	# type: ignore[assignment]
        one.after = {}
        self.assertEqual(one._crcs_that_change(), "")	# nothing was compiled
        one.after = {"fs/pond.c": place / "pond.o"}
        for changed, said in (("", ""), ("ac", "; the CRCs of exported symbols change: a, c"),
                              ("abcdefg", "; the CRCs of exported symbols change: a, b, c, d, e and 2 more")):
            (place / ".pond.o.cmd").write_text("".join(f"#SYMVER {name} 0x{1 + (name in changed)}\n" for name in "abcdefgh"))
            self.assertEqual(one._crcs_that_change(), said)


class Structs(unittest.TestCase):
    OLD = "struct a { int x; };\nunion b { struct { int y; } c; long z; };\nint f(struct a *a) { return a->x; }\n"

    def test_a_definition_that_changes(self) -> None:
        self.assertEqual(abi.moved(self.OLD, self.OLD.replace("int y;", "int y, w;")), ["union b, which only that file knows, is defined otherwise"])
        self.assertEqual(abi.moved(self.OLD, self.OLD.replace("return a->x", "return 2").replace("int x;", "int  x;")), [])
        self.assertEqual(abi.moved(self.OLD, "struct n { int q; };\n" + self.OLD), [])


class OfChanges(unittest.TestCase):
    """The arm new of a change; spatch and the compiler are played."""

    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(abi.paths, "BUILD", self.place / "build"))
        self.target = kernels.Target("6.12", "6.12.1-amd64", "6.12.1-1", kdir=self.place / "kdir", ksrc=self.place / "ksrc")
        (self.place / "ksrc/fs").mkdir(parents=True)
        (self.place / "kdir").mkdir()

    def look(self, name: str, text: str) -> record.Abi:
        change = pond.CHANGES[name]
        for source in ("fs/perch.c", "fs/trout.c"):
            (self.place / "ksrc" / source).write_text(text)

        def played(argv: list[object], **_: object) -> tuple[int, str]:
            if argv[0] == "spatch":
                where = pathlib.Path(str(argv[-1]))
                where.write_text(where.read_text().replace("return 1", "return 2"))
                return 0, ""
            where = pathlib.Path(next(str(word)[2:] for word in argv if str(word).startswith("M=")))
            crc = "0x2" if "long pipe" in (where / "perch.c").read_text() else "0x1"
            (where / "perch.o").write_text("")
            (where / ".perch.o.cmd").write_text(f"#SYMVER pipe {crc}\n")
            return 0, ""

        with mock.patch.object(abi.buildroot, "output", played), mock.patch.object(abi.kmod, "make_words", lambda _: []), \
                mock.patch.object(abi.kmod, "compiler", lambda _: ""), mock.patch.object(abi.kmod, "_binds", lambda _: []):
            found, self.diff = abi.of_change(change, self.target)
            return found

    def test_a_file_with_exports(self) -> None:
        found = self.look("perch", FILE)
        self.assertEqual((found["symbols"], found["files"]), ({"pipe": ["0x1", "0x1"]}, ["fs/perch.c"]))
        lines = self.diff["fs/perch.c.patch"].splitlines()
        self.assertEqual(lines[:2], ["--- a/fs/perch.c", "+++ b/fs/perch.c"])
        self.assertEqual([line for line in lines[2:] if line[0] in "+-"], ["-\treturn 1;", "+\treturn 2;"])

    def test_a_file_without(self) -> None:
        self.assertIn("has none", said(self.look("trout", FILE.replace("EXPORT_SYMBOL(pipe);\n", "")))[0])

    def test_a_header_goes_behind_the_includes(self) -> None:
        for text, line in ((FILE, 1), (f"// x\n/*\n * y\n */\n#include <a>\n\n#include <b>\n\n#ifdef C\n{FILE}#endif\n", 7)):
            self.assertEqual(abi._with_header(text, "x.h").splitlines()[line], '#include "x.h"')

    def test_what_cannot_be_looked_at_is_said(self) -> None:
        self.assertIn("no semantic patch", self.look("perch", "int other;\n").get("problem", ""))
        self.assertIn("beside the kernel's code", abi.of_change(pond.CHANGES["carp"], self.target)[0].get("problem", ""))
        self.target.ksrc = None
        self.assertIn("source is not here", abi.of_change(pond.CHANGES["perch"], self.target)[0].get("problem", ""))

    def test_a_compiler_that_fails(self) -> None:
        with mock.patch.object(abi, "_compiled", side_effect=errors.Problem("fs/pipe.c does not compile: x\nmore")):
            self.assertEqual(said(self.look("perch", FILE)), ["not looked at: fs/pipe.c does not compile: x"])


if __name__ == "__main__":
    unittest.main()
