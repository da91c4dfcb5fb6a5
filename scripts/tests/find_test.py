# SPDX-License-Identifier: GPL-2.0-only
"""`uplift find`: profiles of other tools, the functions of C files, and what differs between two trees."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, paths, targets	# noqa: E402
from upliftlib.find import cfile, commits, config, differ, folding, picture, profile, ranking, show, unit	# noqa: E402
from upliftlib.lab import derived, finding, ownpatch, traced	# noqa: E402
from upliftlib.lab.cachelines import Symbols	# noqa: E402
from upliftlib.report.history import Repository	# noqa: E402

RECORDED = paths.TOP / "selftests/fixtures/profiles"


class ProfileTest(unittest.TestCase):
    """Recorded by perf 6.1 of dd, writing to ext4, on 6.18."""

    def test_script_and_report_of_one_recording_agree(self) -> None:
        script, report = (profile.read(RECORDED / name) for name in ("perf-script.txt", "perf-report.txt"))
        self.assertEqual(script.hot(0), sorted(report.functions, key=lambda name: (-script.functions[name], name)))
        for name in script.functions:
            self.assertAlmostEqual(script.share(name), report.share(name), delta=0.2)

    def test_stacks_count_for_the_innermost(self) -> None:
        text = (RECORDED / "perf-script-stacks.txt").read_text()
        found = profile.parse(text, "it")
        counts: dict[str, int] = {}
        for sample in filter(None, text.split("\n\n")):
            first = sample.strip("\n").split("\n")[1]
            if "[kernel.kallsyms]" in first:
                name = profile.base(first.split()[1].rpartition("+")[0])
                counts[name] = counts.get(name, 0) + 2500000
        self.assertEqual(found.functions, counts)

    def test_of_two_columns_the_own_share_counts(self) -> None:
        found = profile.read(RECORDED / "perf-report-children.txt")
        self.assertIn("ksys_write", (RECORDED / "perf-report-children.txt").read_text())	# calls, and was in no sample itself
        stacks = profile.read(RECORDED / "perf-script-stacks.txt")
        self.assertEqual({name for name in found.functions if found.functions[name]}, set(stacks.functions))
        for name in stacks.functions:
            self.assertAlmostEqual(stacks.share(name), found.share(name), delta=0.3)

    def test_bpftrace(self) -> None:
        text = ("Attaching 1 probe...\n\n@[vfs_read]: 30\n@hits[vfs_write+12]: 10\n@[\n    ep_send_events+40\n    do_epoll_wait+3\n"
                "]: 60\n@stacks[\n    vfs_read+1\n    ksys_read+2\n, dd]: 20\n")
        self.assertEqual(profile.parse(text, "it").functions, {"vfs_read": 50, "vfs_write": 10, "ep_send_events": 60})

    def test_ours_comes_back(self) -> None:
        given = profile.Profile("it", "instructions", {"a": 3.0, "b": 1.0}, "a load", "6.18")
        found = profile.parse(json.dumps(given.as_json()), "it")
        self.assertEqual((found.functions, found.unit, found.workload, found.release), (given.functions, "instructions", "a load", "6.18"))

    def test_names_as_in_the_source(self) -> None:
        for symbol, name in (("a.isra.0", "a"), ("a.constprop.0.cold", "a"), ("__do_sys_read", "__x64_sys_read"),
                             ("__se_sys_read", "__x64_sys_read"), ("a_part", "a_part")):
            self.assertEqual(profile.base(symbol), name)

    def test_idle_is_no_work(self) -> None:
        self.assertEqual(profile.parse("@[pv_native_safe_halt]: 90\n@[vfs_read]: 10\n", "it").functions, {"vfs_read": 10})

    def test_what_is_none_is_told(self) -> None:
        user = "dd 1 12.5: 1 cycles: 7f00aa11 main+0x1 (/usr/bin/dd)\n"
        for text, words in (("hello\n", "no profile that is known"), ("{}", "no profile of ours"), (user, "no function of the kernel")):
            with self.assertRaises(errors.Problem) as caught:
                profile.parse(text, "it")
            self.assertIn(words, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))

    def test_perf_data_goes_through_perf(self) -> None:
        cat = shutil.which("cat")
        with tempfile.TemporaryDirectory() as directory:
            data = pathlib.Path(directory, "perf.data")
            data.write_bytes(b"PERFILE2" + bytes(64))
            with mock.patch.dict(os.environ, PATH=directory):
                with self.assertRaisesRegex(errors.Problem, "perf is not here"):
                    profile.read(data)
                perf = pathlib.Path(directory, "perf")
                perf.write_text(f"#!/bin/sh\nexec {cat} {RECORDED / 'perf-script.txt'}\n")
                perf.chmod(0o755)
                self.assertEqual(profile.read(data).functions, profile.read(RECORDED / "perf-script.txt").functions)

    def test_counted_blocks(self) -> None:
        symbols = Symbols(["ffffffff81000000 T one", "ffffffff81000100 t two", "ffffffffa0000000 t three\t[xfs]"])
        lines = ["block ffffffff81000000 5 10 1", "block ffffffff81000080 1 10 0", "block ffffffffa0000004 2 3 1", "end"]
        self.assertEqual(traced.counted(lines, symbols), {"one": 60, "three": 6})
        with self.assertRaisesRegex(errors.Problem, "cut off"):
            traced.counted(lines[:-1], symbols)


STRANGE = r"""
typedef int (*call_t)(int);
struct shape { int a; call_t call; } one = { .a = 1 }, *two;
static const char text[] = "} not /* a */ { brace";
static int table[] = { 1, 2, 3 };
enum { RED, GREEN };
union both { int i; long l; };
int declared(int a);
extern void also(void) __attribute__((noreturn));
static inline int short_one(int a) { return a; }
int
on_two_lines(int a,
	     int b)
{
	struct shape s = { .a = '{' };
	return a + b + s.a; /* } */
}
__attribute__((noinline)) static int in_front(int a)
{
	if (a) { return 1; } else { return 2; }
}
static int behind(int a) __attribute__((unused));
static int behind(int a)
{
#define INSIDE(x) do { (x)++; } while (0)
	INSIDE(a);
	return ({ int b = a; b; }); // }
}
static call_t gives(int a) { return 0 ? in_front : behind; }
static int (*pointed)(int) = behind;
static int takes(int (*f)(int), char c[static 3]) { return f(c[0]) + GREEN; }
struct shape *pointer(void) { return two ? two : &one; }
void asm_label(void) { asm volatile("nop # { }"); }
int *array(void) { static int kept[] = { 1 }; return kept; }
"""


def by_compiler(argv: list[str], file: str) -> set[str]:
    """The functions that a compiler sees defined in a file, by name."""
    with tempfile.NamedTemporaryFile() as listed:
        subprocess.run([*argv, "-w", "-fsyntax-only", "-aux-info", listed.name], check=True, capture_output=True)
        text = pathlib.Path(listed.name).read_text()
    return set(re.findall(rf"^/\* {re.escape(file)}:\d+:NF \*/.*?\b(\w+) \((?!\*)", text, re.MULTILINE))


@unittest.skipUnless(shutil.which("gcc"), "no gcc")
class CFileTest(unittest.TestCase):
    """The compiler's own list of functions is what the parser is held against."""

    def test_made_up(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory, "strange.c")
            file.write_text(STRANGE)
            self.assertEqual(set(cfile.functions(STRANGE)), by_compiler(["gcc", str(file)], str(file)))

    def test_kernel_files(self) -> None:
        name = next((path.name for path in sorted(paths.SRC.glob("[0-9]*")) if (path / "MAINTAINERS").exists()
                     and list((paths.TARGETS / path.name).glob("headers/usr/src/linux-headers-*-amd64"))), None)
        if not name:
            self.skipTest("no source of a kernel with its headers here")
        kdir = next((paths.TARGETS / name).glob("headers/usr/src/linux-headers-*-amd64"))
        with tempfile.TemporaryDirectory() as directory:
            tree = unit.Tree(paths.SRC / name, kdir, config.read(kdir), pathlib.Path(directory))
            for file in ("fs/eventpoll.c", "mm/memory.c"):
                argv = [word for word in tree._command(file, "/dev/null")[:-2] if word not in ("-E", "-fdirectives-only")]
                argv += ["-mno-red-zone", "-fno-strict-aliasing", "-fshort-wchar"]
                seen = by_compiler(argv, str(tree.source / file))
                found = cfile.functions((tree.source / file).read_text())
                written = {name for name in seen if re.search(rf"\b{name}\s*\(", (tree.source / file).read_text())}
                main = unit.Unit(tree, file).main.functions
                ours = {name for name in main if not name.startswith("__x64_sys_")}
                self.assertGreater(len(seen), 50)
                self.assertEqual(ours, written, file)
                self.assertLessEqual(ours, set(found))

    def test_system_calls_and_macros_in_front(self) -> None:
        text = ("DEFINE_FREE(put, struct a *, if (_T) put_a(_T))\nstatic noinline int first(void)\n{\n}\n"
                "SYSCALL_DEFINE2(read_it, int, fd, char *, buf)\n{\n\treturn 0;\n}\nSYSCALL_DEFINE0(nothing)\n{\n\treturn 1;\n}\n"
                "static int last(void)\n\t__releases(&lock) __must_hold(&other)\n{\n}\n")
        found = cfile.functions(text)
        self.assertEqual(set(found), {"first", "__x64_sys_read_it", "__x64_sys_nothing", "last"})
        self.assertEqual(found["first"].before, "static noinline int")

    def test_macros(self) -> None:
        found = cfile.macros("#define A 1\n#define B(x, y) \\\n\tdo { x; } \\\n\twhile (0)\n")
        self.assertEqual((found["A"].parameters, found["B"].parameters), (None, ("x", "y")))
        self.assertIn("while (0)", found["B"].body)


class FoldingTest(unittest.TestCase):
    CONFIG = config.Configuration({"CONFIG_ON": "1", "CONFIG_PART_MODULE": "1"})

    def folded(self, text: str, **known: str) -> str:
        return " ".join(folding.fold(folding.tokens(text), self.CONFIG, known.get))

    def test_what_is_switched_off_goes(self) -> None:
        for text, want in (
                ("{ if (IS_ENABLED(CONFIG_OFF)) a(); b(); }", "{ b ( ) ; }"),
                ("{ if (IS_ENABLED(CONFIG_ON)) a(); b(); }", "{ a ( ) ; b ( ) ; }"),
                ("{ if (IS_BUILTIN(CONFIG_PART)) a(); else b(); }", "{ b ( ) ; }"),
                ("{ if (IS_ENABLED(CONFIG_PART) && x) a(); }", "{ if ( x ) a ( ) ; }"),
                ("{ if (x || IS_ENABLED(CONFIG_OFF)) a(); }", "{ if ( x ) a ( ) ; }"),
                ("{ if (x) a(); else if (IS_ENABLED(CONFIG_OFF)) b(); else c(); }", "{ if ( x ) a ( ) ; else c ( ) ; }"),
                ("{ if (!IS_ENABLED(CONFIG_OFF)) { a(); } }", "{ { a ( ) ; } }"),
                ("{ if (unlikely(IS_ENABLED(CONFIG_OFF) && y)) { a(); b(); } c(); }", "{ c ( ) ; }"),
                ("{ nothing(x, f(y)); a(); }", "{ a ( ) ; }"),
                ("{ if (x) nothing(); else a(); }", "{ if ( x ) ; else a ( ) ; }"),
                ("{ if (never(x)) a(); return never(y); }", "{ return 0 ; }"),
                ("{ p->nothing(x); }", "{ p -> nothing ( x ) ; }")):
            self.assertEqual(self.folded(text, nothing="", never="0"), want, text)

    def test_statements(self) -> None:
        self.assertEqual(folding.statements(folding.tokens("(int a) { for (i = 0; i < 3; i++) b(); }")),
                         ["( int a ) {", "for ( i = 0 ; i < 3 ; i ++ ) b ( ) ;", "}"])


COMMON = """
#define unused(x) do { } while (0)
static inline void stub(void) { }
"""
POND = """#include "../fs/pond.h"
#ifdef CONFIG_OFF
static void extra(void) { }
#endif
int same(int a)
{
	return a + 1;
}
int shrinks(int a)
{
	memset(&a, 0, sizeof(a));
	memset(&a, 1, sizeof(a));
	return a + 2;
}
int grows(int a)
{
	return a + 3;
}
int inlines(int a)
{
	return shared(a) + own(a);
}
int renamed(int a)
{
	int b = a * 7;

	b += other(b);
	b -= another(a, b);
	return b;
}
int moved(int a)
{
	return a + 5;
}
int configured(int a)
{
	return a + 6;
}
int gone(int a)
{
	return a + 7;
}
noinstr int untraced(int a)
{
	return a + 8;
}
"""
NEWER = POND.replace("\tmemset(&a, 1, sizeof(a));\n", "").replace(
    "return a + 3;", "int i;\n\n\tfor (i = 0; i < a; i++)\n\t\tif (check(i) && i > a - 4)\n\t\t\treturn fresh(i);\n\treturn a + 3;").replace(
    "int renamed(", "int called_otherwise(").replace("int moved(int a)\n{\n\treturn a + 5;\n}\n", "").replace(
    "return a + 6;", "if (IS_ENABLED(CONFIG_OFF))\n\t\ta++;\n#ifdef CONFIG_OFF\n\ta++;\n#endif\n\tstub();\n\tunused(a);\n\treturn a + 6;").replace(
    "int gone(int a)\n{\n\treturn a + 7;\n}\n", "").replace("a + 8", "a + 9 + a->member")
HEADER = COMMON + "static inline int own(int a)\n{\n\treturn a;\n}\nstatic inline int shared(int a)\n{\n\treturn a;\n}\n"
HOT = {"same": 30, "shrinks": 20, "grows": 15, "inlines": 10, "renamed": 8, "moved": 6, "configured": 5, "gone": 3, "untraced": 2,
       "assembly": 1}


@unittest.skipUnless(shutil.which("gcc"), "no gcc")
class TreesTest(unittest.TestCase):
    """Two small trees, of which it is known how they differ."""

    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)
        patcher = mock.patch.object(paths, "CACHE", self.top / "cache")
        patcher.start()
        self.addCleanup(patcher.stop)
        self.write("kdir", {"include/generated/autoconf.h": "#define CONFIG_ON 1\n"})
        common = {"MAINTAINERS": "", "include/linux/kconfig.h": "#include <generated/autoconf.h>\n"}
        self.write("old", common | {"Makefile": "VERSION = 6\nPATCHLEVEL = 18\nSUBLEVEL = 2\n", "Kconfig": "config OFF\n\tbool \"off\"\n",
                                    "fs/pond.c": POND, "fs/pond.h": HEADER, "fs/lake.c": "int lake(int a)\n{\n\treturn a;\n}\n"})
        self.write("new", common | {"Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\n", "fs/pond.c": NEWER,
                                    "fs/pond.h": HEADER.replace("int own(int a)\n{\n\treturn a;", "int own(int a)\n{\n\treturn a ? a + 1 : 2;"),
                                    "fs/lake.c": "int lake(int a)\n{\n\treturn a;\n}\nint moved(int a)\n{\n\treturn a + 5 + lake(a);\n}\n",
                                    "Kconfig": "config OFF\n\tbool \"off\"\nconfig CHOSEN\n\tbool \"a choice\"\nconfig FOLLOWS\n\tdef_bool y\n"})

    def write(self, top: str, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.top / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def ranked(self) -> ranking.Ranking:
        known = config.read(self.top / "kdir")
        trees = [unit.Tree(self.top / name, self.top / "kdir", known, self.top / "scratch") for name in ("old", "new")]
        symbols = HOT.keys() | {"memset", "other", "another"}
        return ranking.Ranker(*trees, symbols).rank(profile.Profile("it", "samples", dict(HOT), "a pond"))

    def test_what_differs_is_listed_with_the_reason(self) -> None:
        found = self.ranked()
        rows = {row.name: row for row in found.rows}
        self.assertEqual(set(rows), {"shrinks", "grows", "inlines", "moved", "gone", "untraced"})
        self.assertEqual((rows["shrinks"].own, rows["shrinks"].no), ((1, 0), ""))
        self.assertEqual(rows["grows"].own[0], 0)
        self.assertEqual(rows["grows"].needs, ["check", "fresh"])
        self.assertEqual((rows["inlines"].own, rows["inlines"].inlined, rows["inlines"].places),
                         ((0, 0), {"own": (1, 1)}, {"own": "fs/pond.h"}))
        self.assertIn("moved to fs/lake.c", rows["moved"].no)
        self.assertTrue(rows["gone"].gone)
        self.assertIn("noinstr", rows["untraced"].no)
        self.assertEqual(found.unknown_names, ["assembly"])
        self.assertAlmostEqual(found.same, 30 + 5 + 8)		# the renamed one is the same by text

    def test_a_renamed_one_is_followed(self) -> None:
        self.write("new", {"fs/pond.c": NEWER.replace("b -= another(a, b);", "b -= another(b, a);")})
        row = next(row for row in self.ranked().rows if row.name == "renamed")
        self.assertEqual((row.new_name, row.own), ("called_otherwise", (1, 1)))
        self.assertIn("called called_otherwise() now", row.why)

    def test_twice_the_same_and_the_second_from_what_was_kept(self) -> None:
        first = self.ranked().as_json()
        with mock.patch.object(unit.Tree, "preprocessed", side_effect=unit.Tree.preprocessed, autospec=True):
            self.assertEqual(self.ranked().as_json(), first)
        # what an included header says now is seen
        self.write("new", {"fs/pond.h": HEADER})
        self.assertNotIn("inlines", [row.name for row in self.ranked().rows])

    def test_renderings(self) -> None:
        found = self.ranked()
        found.rows[0].command = "uplift try it.patch"
        text = show.text(found, 3)
        self.assertIn("uplift try it.patch", text)
        self.assertIn(f"{len(found.rows) - 3} more", text)
        document = xml.dom.minidom.parseString(picture.svg(found))
        self.assertEqual(len(document.getElementsByTagName("circle")), len(found.rows) + 2)	# two of the legend
        self.assertIn("1 of 6", show.place(found, found.rows[0]))

    def test_patches_are_made(self) -> None:
        rows = {row.name: row for row in self.ranked().rows}
        old, new = self.top / "old", self.top / "new"

        def patch(name: str) -> str:
            return derived.Trees(str(old), str(new)).patch(ownpatch.wanted(rows[name], old, new))[1]
        self.assertIn("-\tmemset(&a, 1, sizeof(a));", patch("shrinks"))
        self.assertIn("+++ b/fs/pond.h", patch("inlines"))
        for name in ("moved", "gone"):
            with self.assertRaisesRegex(ValueError, "moved" if name == "moved" else "no function"):
                patch(name)

    def test_commits(self) -> None:
        repository = self.top / "git"
        repository.mkdir()

        def git(*words: str) -> None:
            subprocess.run(["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)
        git("init", "-q")
        for tree, tag, says in (("old", "v6.18", "the pond"), ("new", "v7.3", "pond: one memset() is enough")):
            (repository / "fs").mkdir(exist_ok=True)
            shutil.copy(self.top / tree / "fs/pond.c", repository / "fs/pond.c")
            git("add", "-A")
            git("commit", "-qm", says)
            git("tag", tag)
        rows = [row for row in self.ranked().rows if row.name == "shrinks"]
        commits.add(rows, Repository(str(repository)), self.top / "old", self.top / "new")
        self.assertEqual([line.partition(" ")[2] for line in rows[0].commits], ["pond: one memset() is enough"])

    def test_configuration_of_the_newer_tree(self) -> None:
        newer = config.Configuration({"CONFIG_OFF": "1", "CONFIG_CHOSEN": "1", "CONFIG_FOLLOWS": "1"})
        found = config.for_newer(config.read(self.top / "kdir"), self.top / "old", self.top / "new", newer)
        self.assertEqual(found.values, {"CONFIG_ON": "1", "CONFIG_FOLLOWS": "1"})


class CommandTest(unittest.TestCase):
    """What is wrong with the words is told before anything is downloaded or built."""

    def told(self, *words: str) -> str:
        done = subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", *words], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, errors.USAGE, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr

    def test_words(self) -> None:
        profile_ = str(RECORDED / "perf-script.txt")
        for words, said in (
                (("--profile", "/nothing/there", "--old", "/tmp", "--new", "/tmp"), "/nothing/there: No such file"),
                (("--profile", profile_, "--old", "/tmp", "--new", "/tmp"), "--old /tmp: no whole source"),
                (("--profile", profile_, "--old", "/tmp", "--new", "/tmp", "--least", "0"), "--least"),
                (("--profile", profile_, "--old", "/tmp", "--new", "/tmp", "--git", "/nothing"), "--git /nothing")):
            self.assertIn(said, self.told("find", *words))

    def test_loads(self) -> None:
        with self.assertRaisesRegex(errors.Problem, "which workload"):
            finding._workload(argparse.Namespace(words=[], load=None))
        with self.assertRaisesRegex(errors.Problem, "there are: .*pipe"):
            finding._workload(argparse.Namespace(words=[], load="nothing"))
        name, load = finding._workload(argparse.Namespace(words=["/bin/my-server", "a b"], load=None))
        self.assertEqual((name, load.script), ("my-server", "exec /selftests/workload -- /bin/my-server 'a b'"))

    def test_loads_are_of_the_program(self) -> None:
        """Each load's script names one that the program has."""
        known = set(re.findall(r'^\t\{ "(\w+)", "', (paths.TOP / "selftests/bench/workload.c").read_text(), re.MULTILINE))
        for name, load in traced.LOADS.items():
            if not load.made:
                self.assertIn(load.script.split()[-2], known, name)

    def test_kernels_in_between(self) -> None:
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(paths, "SRC", pathlib.Path(directory).resolve()):
            names = list(targets.TABLE)[-4:]
            for name in (names[0], names[2], names[3]):
                (paths.SRC / name).mkdir()
                (paths.SRC / name / "MAINTAINERS").touch()
            found = ownpatch.between(paths.SRC / names[0], paths.SRC / names[3])
            self.assertEqual([path.name for path in found], [names[3], names[2]])
            self.assertEqual(ownpatch.between(pathlib.Path("/elsewhere"), paths.SRC / names[3]), [paths.SRC / names[3]])


class DifferTest(unittest.TestCase):
    def test_what_has_moved_counts(self) -> None:
        found = differ.change(["a ;", "b ;", "c ;"], ["b ;", "c ;", "a ;"])
        self.assertEqual((found.gone, found.come), (1, 1))
        self.assertEqual(found.tokens, 4)


if __name__ == "__main__":
    unittest.main()
