# SPDX-License-Identifier: GPL-2.0-only
"""`uplift layout` and modules/core/layout.h against compilers, brute force, and files that are broken."""

import argparse
import contextlib
import io
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TOP = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS))
sys.path.insert(0, str(SCRIPTS / "tests"))

import layout_random	# noqa: E402
from upliftlib import layout	# noqa: E402
from upliftlib.base import signals	# noqa: E402
from upliftlib.base.errors import Problem	# noqa: E402
from upliftlib.kernel import btf_types	# noqa: E402
from upliftlib.layout import command, headers, modules	# noqa: E402

INCLUDE = TOP / "modules/core"
# by what they are: gcc is one of the others
COMPILERS = list({os.path.realpath(shutil.which(name)): name for name in ("gcc", "gcc-12", "gcc-13", "gcc-14", "clang")
                  if shutil.which(name)}.values())
# gcc writes BTF by itself; with pahole it is DWARF's, which clang has as well
TYPES = ["gcc", "-g"] if shutil.which("pahole") else ["gcc", "-gbtf"]
# How many random structs: `uplift lab layout` takes 10,000
STRUCTS = int(os.environ.get("UPLIFT_LAYOUT_STRUCTS") or 300)
SEED = int(os.environ.get("UPLIFT_LAYOUT_SEED") or 1)
BATCH = 250

TYPEDEFS = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef u16 __be16; typedef u32 __be32; typedef u16 __le16; typedef u32 __le32;
#include "layout.h"
enum e { ONE, TWO };
struct holed { u8 a; u32 b; };
struct fine { u32 a; u32 b; };
LAYOUT_BYTES(struct fine, a, b);
"""

# (kind of fault, code that must not compile, what the compiler says, the rule that the checker finds in struct or union t)
FAULTS = (
    ("hole", "struct t { u8 a; u32 b; }; LAYOUT_INTO_BYTES(struct t, a, b);", "struct t.b: hole", "hole"),
    ("tail", "struct t { u32 a; u8 b; }; LAYOUT_INTO_BYTES(struct t, a, b);", "struct t.b: tail padding", "tail"),
    ("nested hole", "struct t { struct holed in; }; LAYOUT_INTO_BYTES(struct t, LAYOUT_TYPE(in, struct holed));",
     "LAYOUT_INTO_BYTES_struct_holed.? (?:undeclared|was not declared)|undeclared identifier .LAYOUT_INTO_BYTES_struct_holed", "hole"),
    ("nested hole", "struct t { struct holed in[2]; }; LAYOUT_INTO_BYTES(struct t, in);", "struct t.in: nested type", "hole"),
    ("pointer", "struct t { void *p; }; LAYOUT_FROM_BYTES(struct t, p);", "struct t.p: pointer", "pointer"),
    ("pointer", "struct t { int (*p[2])(void); }; LAYOUT_FROM_BYTES(struct t, p);", "struct t.p: pointer", "pointer"),
    ("bool", "struct t { _Bool b; }; LAYOUT_FROM_BYTES(struct t, b);", "struct t.b: bool", "bool"),
    ("bool", "struct t { _Bool b[2][2]; }; LAYOUT_FROM_BYTES(struct t, b);", "struct t.b: bool", "bool"),
    ("enum", "struct t { enum e e; }; LAYOUT_FROM_BYTES(struct t, e);", "struct t.e: enum", "enum"),
    ("enum", "struct t { enum { A = -1, B } e[3]; }; LAYOUT_FROM_BYTES(struct t, e);", "struct t.e: enum", "enum"),
    ("enum", "enum p { P } __attribute__((packed)); struct t { enum p e; }; LAYOUT_FROM_BYTES(struct t, e);", "struct t.e: enum", "enum"),
    ("enum", "struct t { enum { A = 0x100000000 } e; }; LAYOUT_FROM_BYTES(struct t, e);", "struct t.e: enum", "enum"),
    ("enum", "struct t { enum { A = -1, B = 0x100000000 } e; }; LAYOUT_FROM_BYTES(struct t, e);", "struct t.e: enum", "enum"),
    ("bit-field", "struct t { u32 f:3; }; LAYOUT_FROM_BYTES(struct t, f);", "bit-field", None),
    ("bit-field", "struct t { enum e f:3; u32 g:29; }; LAYOUT_FROM_BYTES(struct t, f, g);", "bit-field", "bit-field"),
    ("bit-field", "struct t { u32 f:3; }; LAYOUT_INTO_BYTES(struct t, f);", "bit-field", "tail"),
    ("uneven union", "union t { u32 a; u8 b[3]; }; LAYOUT_INTO_BYTES(union t, a, b);", "union t.b: uneven union", "union"),
    ("uneven union", "struct t { union { u32 a; u8 b[3]; }; }; LAYOUT_INTO_BYTES(struct t, LAYOUT_EITHER(a, b));",
     "struct t.a: uneven union", "union"),
    ("forgotten member", "struct t { u32 a; u32 b; u32 c; }; LAYOUT_INTO_BYTES(struct t, a, c);", "struct t.c: hole .*not listed", None),
    ("forgotten member", "struct t { u32 a; u32 b; }; LAYOUT_INTO_BYTES(struct t, a);", "struct t.a: .*not listed", None),
    ("forgotten member", "struct t { u32 a; void *p; u32 c; }; LAYOUT_FROM_BYTES(struct t, a, c);",
     "struct t.c: a member in front of it is not listed", "pointer"),
    ("forgotten member", "struct t { u32 a; enum e b; }; LAYOUT_FROM_BYTES(struct t, a);",
     "struct t.a: a member behind it is not listed", "enum"),
    ("forgotten member", "struct t { u32 a; }; LAYOUT_FROM_BYTES(struct t);", "struct t: list its members", None),
    # and what is no fault of the type's
    ("order", "struct t { u32 a; u32 b; }; LAYOUT_INTO_BYTES(struct t, b, a);", "struct t.b: hole", None),
    ("too many", f"struct t {{ u8 {', '.join(f'm{i}' for i in range(65))}; }}; LAYOUT_FROM_BYTES(struct t, "
     f"{', '.join(f'm{i}' for i in range(65))});", "more than 64 members", None),
    ("dimensions", "struct t { u32 a[2][2][2]; }; LAYOUT_FROM_BYTES(struct t, a);", "up to two dimensions", None),
    ("long double", "struct t { long double a; }; LAYOUT_INTO_BYTES(struct t, a);", "struct t.a: no number", "float"),
    ("pointer", "struct t { void *p; }; LAYOUT_INTO_BYTES(struct t, p);", "struct t.p: pointer", None),
    ("other type", "struct t { struct holed in; }; LAYOUT_FROM_BYTES(struct t, LAYOUT_TYPE(in, struct fine));",
     "struct t.in: is no struct fine", None),
    ("rest", "struct t { u32 a; u32 b; }; LAYOUT_FROM_BYTES(struct t, a, LAYOUT_REST(b));", "LAYOUT_REST is for arrays", None),
    ("rest", "struct t { u32 a; enum e b[]; }; LAYOUT_FROM_BYTES(struct t, a, LAYOUT_REST(b));", "struct t.b: enum", "enum"),
    ("unaligned", "LAYOUT_UNALIGNED(struct fine);", "struct fine: wants to be aligned", None),
    ("view", "const void *f(void *p) { return layout_view(struct holed, p, 8); }", "LAYOUT_FROM_BYTES_struct_holed", None),
    ("view", "LAYOUT_FROM_BYTES(struct holed, a, b); void *f(void *p) { return layout_view_mut(struct holed, p, 8); }",
     "LAYOUT_INTO_BYTES_struct_holed", None),
    ("bytes", "const void *f(struct holed *p) { return layout_bytes(struct holed, p); }", "LAYOUT_INTO_BYTES_struct_holed", None),
    ("bytes", "const void *f(struct holed *p) { return layout_bytes(struct fine, p); }", "incompatible", None),
)
NINE = {"hole", "tail", "nested hole", "pointer", "bool", "enum", "bit-field", "uneven union", "forgotten member"}

# Compiles, with nothing said, and runs.
GOOD = TYPEDEFS + """
#include <stdio.h>
#include <stdlib.h>
struct head { u32 kind; u32 length; struct layout_be64 when; };
LAYOUT_BYTES(struct head, kind, length, when);
struct all {
	struct head head[2];
	union { u32 number; u8 byte[4]; };
	u8 grid[2][4];
	u32 last;
	unsigned long l;
	long long ll;
	const volatile u32 c[4];
	unsigned __int128 wide;
	u8 rest[];
};
LAYOUT_BYTES(struct all, LAYOUT_TYPE(head, struct head), LAYOUT_EITHER(number, byte), grid, last, l, ll, c, wide, LAYOUT_REST(rest));
union either { u32 a; u8 b[4]; };
LAYOUT_BYTES(union either, a, b);
typedef struct { u8 a; u32 b; } padded_t;
LAYOUT_FROM_BYTES(padded_t, a, b);
struct odd { u8 a; u32 b; } __attribute__((packed));
LAYOUT_BYTES(struct odd, a, b);
LAYOUT_UNALIGNED(struct odd);
struct wire { __be16 a; __be16 b; struct layout_be32 c; u8 d[4]; };
LAYOUT_BYTES(struct wire, a, b, c, d);
LAYOUT_BIG_ENDIAN(struct wire);
struct flags { _Bool on; u8 pad[3]; enum e e; };
LAYOUT_INTO_BYTES(struct flags, on, pad, e);

#define CHECK(x) do { if (!(x)) { printf("wrong: %s\\n", #x); return 1; } } while (0)

int main(void)
{
	unsigned char *buf = aligned_alloc(16, 256);
	const struct head *head = layout_view(struct head, buf, 256);
	struct head *to = layout_view_mut(struct head, buf, 16);
	unsigned long long i;

	for (i = 0; i < 256; i++)
		buf[i] = i;
	CHECK((const void *)head == buf && (void *)to == buf);
	CHECK(!layout_view(struct head, buf, 15));
	CHECK(!layout_view(struct head, buf + 2, 200));
	CHECK(!layout_view(struct head, NULL, 200));
	CHECK(!layout_view(struct head, buf, -1));
	CHECK(layout_view(struct odd, buf + 3, 5));
	CHECK(!layout_view(struct odd, buf + 3, 4));
	CHECK(layout_view_array(struct head, buf, 256, 16));
	CHECK(!layout_view_array(struct head, buf, 255, 16));
	CHECK(!layout_view_array(struct head, buf, 256, ((size_t)-1) / sizeof(struct head) + 2));
	CHECK(layout_get_be64(head->when) == 0x08090a0b0c0d0e0f);
	CHECK(layout_get_le32(*layout_view(struct layout_le32, buf + 1, 4)) == 0x04030201);
	CHECK(layout_get_be16(*layout_view(struct layout_be16, buf + 1, 4)) == 0x0102);
	to->when = layout_put_be64(5);
	CHECK(layout_bytes(struct head, to)[15] == 5 && layout_bytes(struct head, to)[8] == 0);
	CHECK(layout_get_le16(layout_put_le16(0xabcd)) == 0xabcd && layout_put_le16(0xabcd).byte[0] == 0xcd);
	CHECK(layout_put_be32(0x01020304).byte[0] == 1 && layout_put_le64(7).byte[0] == 7);
	CHECK(sizeof(LAYOUT_FROM_BYTES_struct_head) == 0);
	free(buf);
	return 0;
}
"""
GOOD = GOOD.replace("struct head *to = l", "struct head *to = l").replace(
    "#define CHECK", "LAYOUT_FROM_BYTES(struct layout_le32, byte);\nLAYOUT_FROM_BYTES(struct layout_be16, byte);\n\n#define CHECK")


def compiled(code, *options, compiler="gcc", out="/dev/null", directory=None):
    """(exit status, what the compiler said)"""
    result = subprocess.run([compiler, "-std=gnu11", *options, f"-I{INCLUDE}", "-x", "c", "-o", out, "-"], input=code, text=True,
                            cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ, LC_ALL="C"))
    return result.returncode, result.stdout


class Directory(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)

    def types(self, code, name="types.o"):
        """An object with the types of code."""
        path = self.directory / name
        code = "".join(f"{line}\n" for line in code.splitlines())
        status, said = compiled(code, *TYPES[1:], "-O0", "-w", "-c", out=path)
        self.assertEqual(status, 0, said)
        return path

    def write(self, name, data):
        """A file."""
        path = self.directory / name
        path.write_bytes(data)
        return path

    def uplift(self, *words):
        """`uplift layout WORDS`, as the command runs it, but in this process: 60 interpreters take their time."""
        parser = argparse.ArgumentParser()
        command.register(parser.add_subparsers())
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err, \
                self.assertRaises(SystemExit) as left:
            args = parser.parse_args(["layout", *map(str, words)])
            signals.run_main(args.func, args)
        return subprocess.CompletedProcess(words, left.exception.code, out.getvalue(), err.getvalue())


@unittest.skipUnless(COMPILERS, "no compiler here: apt-get install gcc")
class Header(Directory):
    """layout.h refuses each fault in words, and lets through what is good."""

    def test_nine_kinds(self):
        self.assertLessEqual(NINE, {kind for kind, *_ in FAULTS})

    def test_refused(self):
        for compiler in COMPILERS:
            for kind, code, said, _ in FAULTS:
                with self.subTest(compiler=compiler, kind=kind, code=code):
                    status, text = compiled(TYPEDEFS + code, "-Werror", "-c", compiler=compiler)
                    self.assertNotEqual(status, 0)
                    self.assertRegex(text, said)
                    self.assertLess(len(text), 100000, "nobody reads that much")

    def test_good(self):
        for compiler in COMPILERS:
            for options in (("-O0",), ("-O2", "-fno-strict-aliasing"), ("-O2", "-fshort-enums")):
                with self.subTest(compiler=compiler, options=options):
                    program = self.directory / "good"
                    self.assertEqual(compiled(GOOD, "-Wall", "-Wextra", "-Werror", *options, compiler=compiler, out=program), (0, ""))
                    self.assertEqual(subprocess.run([program], stdout=subprocess.PIPE, text=True).stdout, "")

    @unittest.skipUnless(shutil.which("sparse"), "no sparse here: apt-get install sparse")
    def test_sparse(self):
        code = GOOD.replace("#include <stdio.h>\n#include <stdlib.h>\n", "int printf(const char *, ...); void *aligned_alloc(unsigned long, "
                            "unsigned long); void free(void *);\n#define NULL ((void *)0)\n#define size_t unsigned long\n")
        (self.directory / "good.c").write_text(code.replace("CHECK(sizeof(LAYOUT_FROM_BYTES_struct_head) == 0);", ""))
        found = subprocess.run(["sparse", "-std=gnu11", f"-I{INCLUDE}", "good.c"], cwd=self.directory, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual((found.returncode, found.stdout), (0, ""))

    def test_unused_costs_nothing(self):
        for compiler in COMPILERS:
            with self.subTest(compiler=compiler):
                declared, plain = self.directory / "declared.o", self.directory / "plain.o"
                compiled(TYPEDEFS.replace("holed", "other"), "-O2", "-c", compiler=compiler, out=declared)
                compiled("", "-O2", "-c", compiler=compiler, out=plain)
                sizes = [subprocess.run(["size", path], stdout=subprocess.PIPE, text=True).stdout.splitlines()[1].split()[:3]
                         for path in (declared, plain)]
                # clang gives a marker its alignment in .bss
                self.assertEqual(sizes[0][:2], sizes[1][:2])
                self.assertLessEqual(int(sizes[0][2]) - int(sizes[1][2]), 8 if compiler == "clang" else 0)


@unittest.skipUnless(shutil.which("gcc"), "no gcc here: apt-get install gcc")
class Checker(Directory):
    """The checker finds each fault in the types of an object, and holds declarations against them."""

    def test_faults(self):
        for kind, code, _, rule in FAULTS:
            if rule is None:
                continue
            with self.subTest(kind=kind, code=code):
                types = code.partition("LAYOUT_")[0]
                path = self.types(TYPEDEFS + f"{types} {'union' if 'union t' in types else 'struct'} t *user;")
                verdict = layout.Judge(layout.load(path).types).verdict("t")
                self.assertIn(rule, [fault.rule for fault in verdict.faults])
                self.assertFalse(verdict.from_bytes and verdict.into_bytes)

    def test_declared(self):
        path = self.types(GOOD)
        self.assertIn(("FROM_BYTES", "padded_t"), layout.load(path).declared)
        found = self.uplift("check", "--declared", path)
        self.assertEqual((found.returncode, found.stderr), (0, ""))
        self.assertRegex(found.stdout, r"\b18 declarations hold")
        self.assertEqual(self.uplift("check", "--declared", "--quiet", path).stdout, "")

    def test_forgotten_in_padding(self):
        # the compiler takes the bool for padding in front of b
        path = self.types(TYPEDEFS + "struct t { u8 a; _Bool hidden; u32 b; }; LAYOUT_FROM_BYTES(struct t, a, b);")
        found = self.uplift("check", "--declared", path)
        self.assertEqual(found.returncode, 1)
        self.assertIn("FAIL struct t: not from bytes: hidden, at 1: bool: only 0 and 1 are values\n", found.stdout)

    def test_forgotten_in_union(self):
        path = self.types(TYPEDEFS + "union t { u64 a; void *hidden; }; LAYOUT_FROM_BYTES(union t, a);")
        self.assertIn("hidden, at 0: pointer", self.uplift("check", "--declared", path).stdout)

    def test_order(self):
        path = self.types(TYPEDEFS + "struct t { __be32 a; u32 b; __le16 c; u8 d[2]; }; LAYOUT_BIG_ENDIAN(struct t);"
                          "struct l { __le32 a; struct layout_le16 b; }; LAYOUT_LITTLE_ENDIAN(struct l);"
                          "struct n { u32 a; }; LAYOUT_BIG_ENDIAN(struct n);")
        lines = self.uplift("check", "--declared", path).stdout.splitlines()
        self.assertEqual(lines, ["FAIL struct n: declared big-endian, and its fields are native",
                                 "FAIL struct t: not of one byte order: b, at 4: names no byte order, beside big-endian fields",
                                 "FAIL struct t: not of one byte order: c, at 8: little-endian, beside big-endian fields"])

    def test_nothing_declared(self):
        path = self.types("struct s { int a; } *s;")
        self.assertEqual(self.uplift("check", "--declared", "--quiet", path).returncode, 0)
        found = self.uplift("check", "--declared", path)
        self.assertEqual((found.returncode, found.stdout), (1, ""))
        self.assertIn("declares nothing", found.stderr)

    def test_types_elsewhere(self):
        path = self.types(TYPEDEFS)
        other = self.types("struct fine { int a; _Bool b; int c; } *fine;", "other.o")
        self.assertIn("struct fine: not from bytes", self.uplift("check", "--declared", path, "--types", other).stdout)
        empty = self.types("struct holed { int a; } *holed;", "empty.o")
        found = self.uplift("check", "--declared", path, "--types", empty)
        self.assertEqual(found.returncode, 1)
        self.assertIn("struct fine: declared", found.stdout)

    def test_require(self):
        path = self.types("struct good { int a; } *good; struct bad { char a; int b; } *bad; struct p { void *p; } *p;")
        self.assertEqual(self.uplift("check", path, "--struct", "good", "--require", "from,into").returncode, 0)
        found = self.uplift("check", path, "--require", "into,from")
        self.assertEqual(found.returncode, 1)
        self.assertEqual(found.stdout.splitlines(), ["FAIL struct bad: not into bytes: after a, at 1: hole: 3 bytes",
                                                     "FAIL struct p: not from bytes: p, at 0: pointer: bytes are no address"])
        found = self.uplift("check", path, "--require", "sideways")
        self.assertEqual(found.returncode, 2)
        self.assertIn("from, into, unaligned, big, little", found.stderr)

    def test_options_that_do_not_fit(self):
        for words in (("--declared", "--json"), ("--declared", "--struct", "t"), ("--quiet",), ("--types", "x")):
            found = self.uplift("check", self.directory / "none", *words)
            self.assertEqual((found.returncode, found.stdout), (2, ""), words)
            self.assertRegex(found.stderr, r"^uplift: .* go(es)? with(out)? .*\n$")

    def test_struct_in_c(self):
        path = self.types(TYPEDEFS + "struct t { u8 a; struct { u8 x; u32 y:3; } in; union { u16 u; u8 v; }; enum e *p; int (*f)(void); "
                          "u8 tail; } *t;")
        text = self.uplift("check", path, "--struct", "t").stdout
        for line in (r"\tu8 a; +/\* +0 +1 \*/", r"\t/\* not into bytes: hole: 3 bytes, at 1 \*/", r"\tstruct \{\.\.\.\} in; +/\* +4 +4 \*/",
                     r"\t/\* not into bytes: in\.y at \d+:3: tail padding: 21 bits \*/", r"\t\tu16 u; +/\* +8 +2 \*/",
                     r"\t\t/\* not into bytes: uneven union: v leaves 1 byte unwritten, at 9 \*/", r"\tint \(\*f\)\(void\); +/\* +24 +8 \*/",
                     r"\t/\* not into bytes: tail padding: 7 bytes, at 33 \*/", r"\};  +/\* size: 40 \*/"):
            self.assertRegex(text, f"(?m)^{line}$")

    def test_json(self):
        path = self.types("struct t { char a; int b; } *t;")
        data = json.loads(self.uplift("check", path, "--struct", "t", "--json").stdout)
        self.assertEqual(data["structs"][0]["faults"], [{"of": "into", "rule": "hole", "path": "a", "bit": 8, "bits": 24,
                                                         "text": "hole: 3 bytes"}])
        self.assertNotIn("faults", json.loads(self.uplift("check", path, "--json").stdout)["structs"][0])

    def test_unaligned(self):
        packed = "__attribute__((packed))"
        for code, word in ((f"struct t {{ int a; long long b; }} {packed}", "unknown"),
                           (f"struct in {{ int a; long long b; }} {packed}; struct t {{ struct in in; }}", "unknown"),
                           (f"struct in {{ int a; long long b; }} {packed}; struct t {{ struct in in; int c; }}", "no"),
                           (f"struct t {{ char a[4]; int b:12; int c:24; char d; char e[3]; }} {packed}", "yes"),
                           (f"struct t {{ char a; short b; }} {packed}", "yes"), (f"struct t {{ char a; short b; char c; }} {packed}", "likely"),
                           ("struct t { char a[6]; }", "likely"), ("struct t { short a; }", "no"),
                           ("struct t { char a; char b __attribute__((aligned(4))); }", "unknown"), ("struct t { char a; } ", "yes")):
            path = self.types(f"{code}; struct t *t;")
            self.assertEqual(layout.Judge(layout.load(path).types).verdict("t").unaligned, word, code)

    def test_unaligned_declared(self):
        """The compiler has asserted it: that BTF does not tell ends no build."""
        packed = "__attribute__((packed))"
        path = self.types(f"{TYPEDEFS} struct t {{ u32 a, b; }} {packed}; LAYOUT_UNALIGNED(struct t);"
                          f"struct s {{ u32 a; u64 b; }} {packed}; LAYOUT_UNALIGNED(struct s);")
        found = self.uplift("check", "--declared", path)
        self.assertEqual((found.returncode, found.stderr), (0, ""), found.stdout)

    def test_names_that_are_none(self):
        path = self.types("struct pond_life { int a; } *a; struct pond { int a; } *b; struct other { int a; } *c;")
        self.assertIn("there are: struct pond, struct pond_life\n", self.uplift("check", path, "--struct", "pon").stderr)
        self.assertIn("no pattern, as struct pond, struct pond_life\n", self.uplift("check", path, "--struct", "po*").stderr)
        self.assertIn("no pattern\n", self.uplift("check", path, "--struct", "x*").stderr)
        self.assertEqual(self.uplift("check", path, "--struct", " struct  pond").returncode, 0)

    def test_bit_field_far_behind(self):
        path = self.types("struct t { char far[100000]; unsigned a:3; unsigned b:29; } *t;")
        text = self.uplift("check", path, "--struct", "t").stdout
        self.assertRegex(text, r"(?m)^\tunsigned int b:29; +/\* +100000: 3 +29 \*/$")
        self.assertIn("into bytes: yes", text)

    def test_no_member_with_a_name(self):
        path = self.types("struct t { unsigned long long :64; } *t;")
        verdict = layout.Judge(layout.load(path).types).verdict("t")
        self.assertEqual((verdict.from_bytes, verdict.into_bytes, [fault.rule for fault in verdict.faults]), (True, False, ["tail"]))
        self.assertIn("tail padding: 8 bytes, at 0", self.uplift("check", path, "--struct", "t").stdout)
        path = self.types("union t { unsigned :32; char none[0]; } *t;", "union.o")
        verdict = layout.Judge(layout.load(path).types).verdict("t")
        self.assertEqual((verdict.into_bytes, [fault.rule for fault in verdict.faults]), (False, ["tail"]))

    def test_several_of_a_name(self):
        one = self.types("struct t { int a; } *one;", "one.o")
        self.assertEqual(len(layout.Judge(layout.load(one).types).numbers("t")), 1)


@unittest.skipUnless(shutil.which("gcc"), "no gcc here: apt-get install gcc")
class RandomStructs(Directory):
    """The checker's word, and layout.h's, on random structs, against brute force."""

    def test_words(self):
        seen, judged = set(), 0
        for batch in range((STRUCTS + BATCH - 1) // BATCH):
            # gcc 12 to 14 write a wrong offset behind a bit-field without a name that begins a struct, in their own BTF
            generator = layout_random.Generator(SEED + batch, nameless=bool(shutil.which("pahole")))
            types = generator.make(min(BATCH, STRUCTS - judged))
            compiler = self._compiler(batch)
            truth = layout_random.truths(layout_random.build(types, self.directory, compiler, INCLUDE), len(types))
            judge = layout.Judge(layout.load(self.directory / "types.o").types)
            for made, true in zip(types, truth):
                with self.subTest(seed=SEED + batch, compiler=compiler, code=made.body()):
                    self._compare(made, true, judge)
                seen.add((true.from_bytes, true.into_bytes))
            self._header(types, truth, SEED + batch, COMPILERS[batch % len(COMPILERS)])
            judged += len(types)
        self.assertEqual(judged, STRUCTS)
        self.assertEqual(len(seen), 4, "not every word was met")

    @staticmethod
    def _compiler(batch):
        """Each in turn, where pahole reads its debugging data; but then gcc writes BTF as well."""
        if not shutil.which("pahole"):
            return TYPES
        return [[name, "-g"] for name in COMPILERS][batch % len(COMPILERS)]

    def _compare(self, made, true, judge):
        verdict = judge.verdict(made.tag)
        self.assertEqual((verdict.size, verdict.from_bytes, verdict.into_bytes), (true.size, true.from_bytes, true.into_bytes))
        self.assertEqual(verdict.from_bytes, not [fault for fault in verdict.faults if fault.of == "from"])
        self.assertEqual(verdict.into_bytes, not [fault for fault in verdict.faults if fault.of == "into"])
        orders = made.orders()
        self.assertEqual(verdict.order, "bytes" if not orders else min(orders) if len(orders) == 1 else "mixed")
        if true.align == 1:
            self.assertTrue(verdict.unaligned != "no" or made.loosened(), verdict)
        else:
            self.assertTrue(verdict.unaligned in ("no", "unknown") or verdict.unaligned == "likely" and made.tightened(), verdict)
        self._offsets(made, true, judge)

    def _offsets(self, made, true, judge):
        index, = judge.numbers(made.tag)
        places = {member.name: (member.bit // 8, judge.types.size(member.type)) for member in judge.types.members(index)
                  if member.name and not member.bits}
        self.assertEqual(places, true.offsets)

    def _header(self, types, truth, seed, compiler):
        """Which declarations the compiler lets through."""
        for rule in ("LAYOUT_FROM_BYTES", "LAYOUT_INTO_BYTES"):
            wanted = layout_random.good(types, rule, truth)
            code, where = layout_random.declarations(types, rule, wanted)
            refused = self._refused(code, compiler)
            self.assertLessEqual(refused, where.keys())
            for line, made in where.items():
                with self.subTest(seed=seed, compiler=compiler, rule=rule, code=made.body()):
                    self.assertEqual(line not in refused, wanted[made.tag])

    def _refused(self, code, compiler):
        """The lines that a compiler complains of."""
        limits = ["-ferror-limit=0"] if compiler == "clang" else ["-ftrack-macro-expansion=0", "-fno-diagnostics-show-caret"]
        (self.directory / "declared.c").write_text(code)
        result = subprocess.run([compiler, "-std=gnu11", "-w", "-fsyntax-only", *limits, f"-I{INCLUDE}", "declared.c"],
                                cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace", check=False)
        return {int(number) for number in re.findall(r"(?m)^declared\.c:(\d+):\d+: error:", result.stdout)}


@unittest.skipUnless(shutil.which("gcc"), "no gcc here: apt-get install gcc")
class Difference(Directory):
    """What changed between two kernels, here two objects."""

    OLD = "struct same { int a; } *s; struct grown { int a; int b; } *g; struct moved { char a; char b; int c; } *m; struct gone { int a; } *o;" \
          "struct outer { struct { int x; union { int y; char z; }; }; int end; } *out;"
    NEW = "struct same { int a; } *s; struct grown { int a; int b; long c; } *g; struct moved { char b; char a; int c; } *m; struct fresh { int a; } *o;" \
          "struct outer { struct { int w; int x; union { int y; char z; }; }; int end; } *out;"

    def setUp(self):
        super().setUp()
        self.old, self.new = self.types(self.OLD, "old.o"), self.types(self.NEW, "new.o")

    def test_api(self):
        found = layout.diff(layout.load(self.old).types, layout.load(self.new).types)
        self.assertEqual([change.name for change in found.changes], ["struct grown", "struct moved", "struct outer"])
        self.assertEqual((found.gone, found.new, found.same), (("struct gone",), ("struct fresh",), 1))
        grown, moved, outer = found.changes
        self.assertTrue(grown.resized and not moved.resized)
        self.assertEqual([(old and old.place(), new and new.place()) for old, new in grown.fields], [(None, "8 8")])
        self.assertEqual({new.name: (old.place(), new.place()) for old, new in moved.fields}, {"a": ("0 1", "1 1"), "b": ("1 1", "0 1")})
        self.assertEqual([new.name for _, new in outer.fields], ["w", "x", "y", "z", "end"])

    def test_types_without_a_name(self):
        """What moves inside of a member is found though nothing can be asked for by that type's name."""
        text = "typedef struct { int c; } count; struct pond { int a; struct { int x; int y; } at; count c; struct { char d, e; } s[2]; } *p;"
        old = layout.load(self.types(text, "one.o")).types
        new = layout.load(self.types(text.replace("int x; int y", "int y; int x").replace("d, e", "e, d"), "two.o")).types
        change, = layout.diff(old, new).changes
        self.assertEqual({new.name: (old.place(), new.place()) for old, new in change.fields},
                         {"at.y": ("8 4", "4 4"), "at.x": ("4 4", "8 4"), "s[].e": ("17 1", "16 1"), "s[].d": ("16 1", "17 1")})
        self.assertFalse(layout.diff(old, layout.load(self.types(text.replace("int a;", "float a;"), "three.o")).types))

    def test_names(self):
        old, new = layout.load(self.old).types, layout.load(self.new).types
        self.assertFalse(layout.diff(old, new, ["same"]))
        found = layout.diff(old, new, ["grown", "struct gone", "nonsense"])
        self.assertEqual(([change.name for change in found.changes], found.gone, found.missing),
                         (["struct grown"], ("struct gone",), ("nonsense",)))

    def test_command(self):
        found = self.uplift("diff", self.old, self.new)
        self.assertEqual(found.returncode, 1)
        self.assertIn("struct grown: size 8 -> 16\n    new  c: 8 8  long int\n", found.stdout)
        self.assertIn("struct moved: size 8, as before\n    b: 1 1 -> 0 1\n    a: 0 1 -> 1 1\n", found.stdout)
        self.assertTrue(found.stdout.endswith("3 changed (2 of them their size), 1 gone, 1 new, 1 as before\n"), found.stdout)
        self.assertEqual(self.uplift("diff", self.old, self.old).returncode, 0)
        self.assertEqual(self.uplift("diff", self.old, self.new, "--struct", "same").returncode, 0)
        found = self.uplift("diff", self.old, self.new, "--struct", "nonsense")
        self.assertEqual((found.returncode, found.stdout), (1, ""))
        self.assertIn("no struct or union 'nonsense'", found.stderr)

    def test_uapi(self):
        uapi = self.directory / "tree/include/uapi/linux"
        uapi.mkdir(parents=True)
        (uapi / "types.h").write_text("/* none */\n")
        (uapi / "x.h").write_text("struct grown {\n\tint a;\n};\nstruct same { int a; };\n")
        found = self.uplift("diff", self.old, self.new, "--uapi", "--headers", self.directory / "tree")
        self.assertEqual(found.stdout.splitlines()[0], "struct grown: size 8 -> 16  linux/x.h")
        self.assertTrue(found.stdout.endswith("1 changed (1 of them their size), 0 gone, 0 new, 1 as before\n"))
        found = self.uplift("diff", self.old, self.new, "--uapi", "--headers", self.directory)
        self.assertEqual(found.returncode, 1)
        self.assertIn("no UAPI headers in", found.stderr)
        data = json.loads(self.uplift("diff", self.old, self.new, "--uapi", "--headers", self.directory / "tree", "--json").stdout)
        self.assertEqual(data["changes"][0]["header"], "linux/x.h")

    def test_headers(self):
        uapi = self.directory / "uapi"
        (uapi / "linux").mkdir(parents=True)
        (uapi / "linux/types.h").write_text("typedef struct {\n\tint val[2];\n} __kernel_fsid_t;\n")
        (uapi / "linux/y.h").write_text("struct one\n{\n\tstruct two {\n\t\tint a;\n\t} b;\n};\nunion three __attribute__((packed)) { int a; };\n"
                                        "struct only_declared;\nstruct f *g(void) {\n}\n__struct_group(group_hdr, hdr, , int a; );\n")
        self.assertEqual(headers.defined(headers.uapi(self.directory)),
                         {"struct one": "linux/y.h", "struct two": "linux/y.h", "union three": "linux/y.h", "struct group_hdr": "linux/y.h",
                          "__kernel_fsid_t": "linux/types.h"})


# --- BTF made by hand ---

def btf(types, strings, order="<", version=1):
    """BTF of encoded types, and the names that they refer to."""
    body = b"".join(types)
    return struct.pack(order + "HBBIIIII", 0xeb9f, version, 0, 24, 0, len(body), len(body), len(strings)) + body + strings


class Maker:
    """Encodes types; names are collected."""

    def __init__(self, order="<", base=b"", first=1):
        self.order, self.strings, self.base, self.types, self.next = order, b"" if base else b"\0", base, [], first

    def name(self, text):
        """The offset of a name."""
        if not text:
            return 0
        found = (b"\0" + self.base).find(b"\0" + text.encode() + b"\0") if self.base else -1
        if found >= 0:
            return found
        at = len(self.base) + len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def add(self, kind, name, size, count=0, flag=0, words=()):
        """A type's number."""
        self.types.append(struct.pack(f"{self.order}III{len(words)}I", self.name(name), flag << 31 | kind << 24 | count, size, *words))
        self.next += 1
        return self.next - 1

    def integer(self, name, size, encoding=0):
        """An integer's number."""
        return self.add(btf_types.Kind.INT, name, size, words=[encoding << 24 | 8 * size])

    def struct(self, name, size, *members, kind=btf_types.Kind.STRUCT):
        """A struct's number; members are (name, type, bit)."""
        words = [word for member, index, bit in members for word in (self.name(member), index, bit)]
        return self.add(kind, name, size, len(members), words=words)

    def data(self):
        """The BTF."""
        return btf(self.types, self.strings, self.order)


def kernel(order="<", extra=()):
    """A little kernel's BTF: int, struct file { int a; int b; }, struct inode { struct file f; }"""
    maker = Maker(order)
    for name in extra:
        maker.integer(name, 8)
    number = maker.integer("int", 4, 1)
    file = maker.struct("file", 8, ("a", number, 0), ("b", number, 32))
    maker.struct("inode", 8, ("f", file, 0))
    maker.struct("unused", 4, ("u", number, 0))
    return maker, number, file


class Files(Directory):
    """Files that are not what they should be get one line."""

    def refused(self, said, *words, code=1):
        """What a command refuses, in one line."""
        found = self.uplift(*words)
        self.assertEqual(found.returncode, code, found.stdout + found.stderr)
        self.assertEqual(found.stdout, "")
        self.assertEqual(found.stderr.count("\n"), 1, found.stderr)
        self.assertRegex(found.stderr, said)

    def test_no_file(self):
        # as report and try have it: what was typed is wrong, not what the file holds
        self.refused("No such file", "check", self.directory / "none", code=2)
        self.refused("is a directory", "check", self.directory, code=2)
        self.refused("is no regular file", "check", "/dev/zero", code=2)
        self.refused("is empty", "check", self.write("empty", b""))
        self.refused("is neither a module", "check", self.write("text", b"hello\n" * 100))
        self.refused("No such file", "diff", self.directory / "none", self.directory / "none", code=2)

    def test_fifo(self):
        os.mkfifo(self.directory / "fifo")
        self.refused("is no regular file", "check", self.directory / "fifo", code=2)

    def test_huge(self):
        with open(self.directory / "huge", "wb") as file:
            file.truncate(1 << 36)
        self.refused("is neither a module", "check", self.directory / "huge")

    def test_elf(self):
        header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 1 << 40, 0, 64, 0, 0, 64, 5, 4)
        self.refused("cut off", "check", self.write("cut.ko", header))
        self.refused("no ELF file", "check", self.write("short", b"\x7fELF\x02\x01"))
        empty = header[:40] + bytes(24)
        self.refused("neither BTF nor DWARF", "check", self.write("empty.ko", empty))

    def test_packed(self):
        self.refused("cannot be unpacked", "check", self.write("a.ko.xz", b"\xfd7zXZ\0" + bytes(100)))
        self.refused("cannot be unpacked", "check", self.write("a.ko.gz", b"\x1f\x8b\x08" + bytes(100)))
        self.refused("cannot be unpacked|apt-get install zstd", "check", self.write("a.ko.zst", b"\x28\xb5\x2f\xfd" + bytes(100)))
        image = bytearray(0x400)
        image[0x202:0x206] = b"HdrS"
        self.refused("vmlinuz", "check", self.write("vmlinuz", bytes(image)))

    def test_cut(self):
        data = kernel()[0].data()
        for length in range(2, len(data)):
            with self.subTest(length):
                with self.assertRaisesRegex(Problem, "cut off|neither a module"):
                    layout.load(self.write("cut", data[:length]))

    def test_damaged(self):
        """Whatever a byte becomes, it is a Problem or an answer."""
        data = kernel()[0].data()
        chance = random.Random(1)
        broken = 0
        for _ in range(3000):
            damaged = bytearray(data)
            for _ in range(chance.choice((1, 1, 2, 4))):
                damaged[chance.randrange(len(data))] = chance.choice((0, 1, 2, 255, chance.randrange(256)))
            try:
                types = btf_types.Types(bytes(damaged), "damaged")
                judge = layout.Judge(types)
                for verdict in judge.verdicts():
                    list(judge.numbers(verdict.name))
                    judge.verdict(verdict.name)
                layout.diff(types, types)
            except Problem:
                broken += 1
        self.assertGreater(broken, 100)

    def test_contains_itself(self):
        maker = Maker()
        maker.struct("me", 8, ("self", 1, 0))
        maker.add(btf_types.Kind.TYPEDEF, "loop", 2)
        maker.struct("looped", 8, ("l", 2, 0))
        path = self.write("loop", maker.data())
        self.refused("contradicts itself", "check", path, "--struct", "me")
        self.refused("contradicts itself", "check", path, "--struct", "looped")

    def test_members_that_do_not_fit(self):
        """Offsets are of 32 bits: what lies from 512 MiB on is said to lie elsewhere."""
        maker = Maker()
        number = maker.integer("int", 4, 1)
        maker.struct("over", 8, ("a", number, 0), ("b", number, 0))
        maker.struct("behind", 8, ("a", number, 0), ("b", number, 48))
        nothing = maker.add(btf_types.Kind.FWD, "elsewhere", 0)
        maker.struct("declared", 4, ("a", nothing, 0))
        maker.struct("outer", 8, ("in", maker.next - 3, 0))
        # so BTF has release_pages_arg, a transparent union of pointers
        maker.struct("transparent", 8, kind=btf_types.Kind.UNION)
        path = self.write("over", maker.data())
        judge = layout.Judge(layout.load(path).types)
        for name in ("over", "behind", "declared", "outer", "transparent"):
            verdict = judge.verdict(name)
            self.assertFalse(verdict.from_bytes or verdict.into_bytes, name)
            self.assertLessEqual({("from", "unknown"), ("into", "unknown")}, {(fault.of, fault.rule) for fault in verdict.faults}, name)
            self.assertEqual((verdict.unaligned, verdict.order), ("unknown", "native"), name)
        self.assertIn("/* not into bytes: its members lie upon", self.uplift("check", path, "--struct", "over").stdout)

    def test_in_any_order(self):
        maker = Maker()
        number = maker.integer("int", 4, 1)
        maker.struct("t", 8, ("b", number, 32), ("a", number, 0))
        self.assertTrue(layout.Judge(btf_types.Types(maker.data(), "t")).verdict("t").into_bytes)

    def test_doubled(self):
        """A struct in which each union has the one before twice would take ages."""
        for name in ("", "u"):
            maker = Maker()
            inner = maker.add(btf_types.Kind.PTR, "", 0)
            for number in range(40):
                inner = maker.struct(name and f"u{number}", 8, (name and "a", inner, 0), (name and "b", inner, 0), kind=btf_types.Kind.UNION)
            maker.struct("t", 8, ("x", inner, 0))
            path = self.write("doubled", maker.data())
            self.refused("contradicts itself: union .* has more than", "check", path, "--struct", "t")
            if not name:
                self.refused("contradicts itself: struct t has more than", "diff", path, path)

    def test_control_characters(self):
        maker = Maker()
        maker.struct("red\x1b[31m", 0)
        self.refused("control characters", "check", self.write("red", maker.data()))

    def test_unknown_kind(self):
        maker = Maker()
        maker.types.append(bytes(12))
        self.refused("no kind for", "check", self.write("none", maker.data()))
        maker = Maker()
        maker.add(25, "new", 0)
        self.refused("not known here: 25", "check", self.write("new", maker.data()))

    def test_byte_order(self):
        big = btf_types.Types(kernel(">")[0].data(), "big")
        little = btf_types.Types(kernel()[0].data(), "little")
        self.assertFalse(layout.diff(big, little))
        self.assertEqual(layout.Judge(big).verdict("inode"), layout.Judge(little).verdict("inode"))

    def test_closed_stdout(self):
        path = self.write("btf", kernel()[0].data())
        read, write = os.pipe()
        os.close(read)
        found = subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", "layout", "check", path], stdout=write, stderr=subprocess.PIPE,
                               text=True, check=False)
        os.close(write)
        self.assertEqual((found.returncode, found.stderr), (141, ""))
        found = subprocess.run(f"{sys.executable} -B {SCRIPTS}/uplift layout check {path} >&-", shell=True, stderr=subprocess.PIPE,
                               text=True, check=False)
        self.assertNotIn("Traceback", found.stderr)

    def test_no_pahole(self):
        gcc = shutil.which("gcc")
        if not gcc:
            self.skipTest("no gcc here: apt-get install gcc")
        status, said = compiled(TYPEDEFS + "struct fine *f;", "-g", "-c", out=self.directory / "dwarf.o")
        self.assertEqual(status, 0, said)
        with unittest.mock.patch.dict(os.environ, PATH=str(self.directory)):
            found = self.uplift("check", self.directory / "dwarf.o")
        self.assertEqual(found.returncode, 1)
        self.assertRegex(found.stderr, "^uplift: .*takes pahole: apt-get install pahole\n$")


class Split(Directory):
    """A module's types on those of its kernel."""

    def module(self, on, number, file):
        """struct mine { struct file f; int x; }, and a function that takes a struct inode *."""
        maker = Maker(base=on.strings, first=on.next)
        mine = maker.struct("mine", 12, ("f", file, 0), ("x", number, 64))
        pointer = maker.add(btf_types.Kind.PTR, "", file + 1)
        proto = maker.add(btf_types.Kind.FUNC_PROTO, "", 0, 1, words=[maker.name("i"), pointer])
        maker.add(btf_types.Kind.FUNC, "my_function", proto)
        return maker, mine

    def test_split(self):
        on, number, file = kernel()
        base, own = self.write("vmlinux", on.data()), self.write("mine", self.module(on, number, file)[0].data())
        source = layout.load(own, base)
        self.assertEqual([name for name, found in source.types.structs().items() if found[0] in source.own()], ["struct mine"])
        verdict = layout.Judge(source.types).verdict("mine")
        self.assertEqual((verdict.size, verdict.from_bytes, verdict.into_bytes), (12, True, True))
        self.assertEqual(modules.depends(source), {"struct file", "struct inode"})
        found = self.uplift("check", own, "--base", base)
        self.assertIn("1 structs and unions", found.stdout)

    def test_diff_of_what_it_uses(self):
        on, number, file = kernel()
        base, own = self.write("old", on.data()), self.write("mine", self.module(on, number, file)[0].data())
        new = Maker()
        number = new.integer("int", 4, 1)
        other = new.struct("file", 12, ("a", number, 0), ("c", number, 32), ("b", number, 64))
        new.struct("inode", 12, ("f", other, 0))
        new.struct("unused", 8, ("u", number, 32))
        found = self.uplift("diff", base, self.write("new", new.data()), "--module", own)
        self.assertEqual(found.returncode, 1)
        self.assertIn("struct file: size 8 -> 12\n", found.stdout)
        self.assertIn("struct inode: size 8 -> 12\n", found.stdout)
        self.assertNotIn("unused", found.stdout)

    def test_no_base(self):
        on, number, file = kernel()
        own = self.write("mine", self.module(on, number, file)[0].data())
        found = self.uplift("check", own)
        self.assertEqual(found.returncode, 1)
        self.assertIn("--base FILE", found.stderr)

    def test_base_of_another_kernel(self):
        on, number, file = kernel()
        own = self.module(on, number, file)[0].data()
        for extra in (("wider",), ("a", "b", "c"), ("some long name",)):
            with self.subTest(extra):
                base = self.write("other", kernel(extra=extra)[0].data())
                with self.assertRaisesRegex(Problem, "another kernel"):
                    layout.load(self.write("mine", own), base)

    def test_base_of_another_order(self):
        on, number, file = kernel()
        with self.assertRaisesRegex(Problem, "byte orders"):
            layout.load(self.write("mine", self.module(on, number, file)[0].data()), self.write("big", kernel(">")[0].data()))

    def stripped(self):
        """A module's types on a .BTF.base, which has names and sizes of what it needs."""
        small = Maker()
        number = small.integer("int", 4, 1)
        file = small.struct("file", 8)
        small.add(btf_types.Kind.FWD, "inode", 0)
        return small, self.module(small, number, file)[0]

    def test_stripped_base(self):
        small, own = self.stripped()
        base = btf_types.Types(kernel(extra=("other", "numbers"))[0].data(), "vmlinux")
        types = btf_types.Types(own.data(), "mine", base, small.data())
        self.assertEqual([(member.name, types.name(member.type)) for member in types.members(types.structs()["struct mine"][0])],
                         [("f", "file"), ("x", "int")])
        self.assertTrue(layout.Judge(types).verdict("mine").into_bytes)

    def test_stripped_base_alone(self):
        small, own = self.stripped()
        types = btf_types.Types(own.data(), "mine", btf_types.Types(small.data(), "base", names_only=True))
        verdict = layout.Judge(types).verdict("mine")
        self.assertFalse(verdict.from_bytes or verdict.into_bytes)
        self.assertEqual({(fault.rule, fault.path) for fault in verdict.faults if fault.of != "order"}, {("unknown", "f")})
        # nothing is known of them that would make them big-endian, or let them lie anywhere
        self.assertEqual((verdict.order, verdict.unaligned), ("native", "no"))

    def test_stripped_base_of_another_size(self):
        small, own = self.stripped()
        other = Maker()
        number = other.integer("int", 4, 1)
        other.struct("file", 16, ("a", number, 0))
        other.struct("inode", 8)
        with self.assertRaisesRegex(Problem, "struct file is another"):
            btf_types.Types(own.data(), "mine", btf_types.Types(other.data(), "vmlinux"), small.data())


if __name__ == "__main__":
    unittest.main()
