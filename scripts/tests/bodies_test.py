# SPDX-License-Identifier: GPL-2.0-only
"""The generator of bodies for the changes below modules/, on C written for the purpose."""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "tests")]

import objects_test	# noqa: E402

from upliftlib.kernel import btf	# noqa: E402
from upliftlib.generator import bodies, functions, manifests, objectbody, semantic, target	# noqa: E402
from upliftlib.generator.compare import Comparison	# noqa: E402
from upliftlib.generator.objects import Object, Refused	# noqa: E402
from upliftlib.generator.references import Unit	# noqa: E402
from upliftlib.base.errors import Problem	# noqa: E402

POND = """\
// SPDX-License-Identifier: GPL-2.0-only
struct pond {
	int depth;
	struct fish *first;
};

extern int duck_count(struct pond *pond);
extern int wait_for(int n);

static int feeds;

/* called from two places, so that it stands by itself */
static noinline int bank(struct pond *pond, int n)
{
	feeds++;
	return duck_count(pond) + n; /* not bank(n) */
}

/* a comment in front
 */
__printf(1, 2) noinline int pond_look(struct pond *pond,
	      int n)
{
	if (n)
		return bank(pond, n - 1) + pond->depth;
	return wait_for(n) * 3;
}

int pond_feed(struct pond *pond)
{
	return bank(pond, 4) + 7;
}

int pond_visit(struct pond *pond)
{
	int sum = 0, i;

	for (i = 0; i < pond_feed(pond); i++)
		sum += pond_look(pond, i) + pond_look(pond, wait_for(i));
	return sum;
}
"""

LAYOUT = {"pond": (16, [("depth", 0), ("first", 8)])}

MANIFEST = """
source = "fs/pond.c"
functions = ["pond_look_fast", "pond_look"]

[arms.null]

[arms.new]
patch = { file = "pond_new.cocci", places = 1, removes = 1, adds = 1 }
"""

COCCI = "@@\nexpression n;\n@@\n\n- bank(n)\n+ better_bank(n)\n"


def btf_blob(structs, functions):
    """A minimal BTF: structs as LAYOUT has them, their members all of type int, and functions."""
    strings, types = b"\0", b""

    def word(text):
        nonlocal strings
        at = len(strings)
        strings += text.encode() + b"\0"
        return at

    types += struct.pack("<IIII", word("int"), 1 << 24, 4, 32)
    types += struct.pack("<III", 0, 13 << 24, 1)		# int ()
    for name in functions:
        types += struct.pack("<III", word(name), 12 << 24, 2)
    for tag, (size, members) in structs.items():
        types += struct.pack("<III", word(tag), 4 << 24 | len(members), size)
        for name, offset in members:
            types += struct.pack("<III", word(name), 1, 8 * offset)
    return struct.pack("<HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


class Fixture(unittest.TestCase):
    """Files in a temporary directory."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top = pathlib.Path(directory.name)

    def file(self, name, text):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(textwrap.dedent(text))
        return path

    def kernel(self, structs=None, functions=("pond_look",)):
        return btf.Btf(self.file("btf", btf_blob(LAYOUT if structs is None else structs, functions)))


class Functions(Fixture):
    """A file's functions, found by the kernel's style."""

    def test_names_and_texts(self):
        found = functions.functions(POND)
        self.assertEqual(list(found), ["bank", "pond_look", "pond_feed", "pond_visit"])
        for function in found.values():
            self.assertEqual(POND[function.start:function.start + len(function.text)], function.text)
            self.assertTrue(function.text.endswith("\n}"))
        self.assertTrue(found["pond_look"].text.startswith("__printf(1, 2) noinline int pond_look(struct pond *pond,"))

    def test_what_is_none(self):
        for text in ("struct pond f = {\n};\n", "int f(void);\n\nstruct a\n{\n\tint b;\n};\n", "#define F(a) \\\n{\n}\n"):
            self.assertEqual(functions.functions(text), {}, text)

    def test_changed(self):
        self.assertEqual(functions.changed(POND, POND.replace("n - 1", "n - 2").replace("+ 7", "+ 8")), ["pond_look", "pond_feed"])
        self.assertEqual(functions.changed(POND, POND.replace("int pond_feed", "int pond_fed")), ["pond_feed"])
        self.assertEqual(functions.changed(POND, "/* new */\n" + POND), [])

    def test_reaching(self):
        self.assertEqual(functions.reaching(POND, ["bank"]), {"bank", "pond_look", "pond_feed", "pond_visit"})
        self.assertEqual(functions.reaching(POND, ["pond_feed"]), {"pond_feed", "pond_visit"})
        self.assertEqual(functions.reaching(POND, []), set())

    def test_apart(self):
        text = functions.apart(POND.replace("static noinline int", "static int"), ["bank", "pond_feed"])
        self.assertIn("\nstatic noinline int bank(", text)
        self.assertIn("\nnoinline int pond_feed(", text)
        self.assertEqual(functions.apart("static inline int f(void)\n{\n}\n", ["f"]), "static inline int f(void)\n{\n}\n")

    def test_digest(self):
        one = functions.functions(POND)["bank"].text
        for same in (one.replace("/* not bank(n) */", ""), one.replace("\t", "    "), one.replace("int n)", "int n)   /* n */")):
            self.assertEqual(functions.digest(same), functions.digest(one))
        for other in (one.replace("+ n", "- n"), one.replace("feeds++;", ""), one.replace("duck_count", "duckcount")):
            self.assertNotEqual(functions.digest(other), functions.digest(one))

    def test_first_arguments(self):
        text = "f(a, 1); g(f(b)); p->f(c); o.f(d); of(e); /* f(x) */ f(a)"
        self.assertEqual(functions.first_arguments("f", text), ["a", "b", "a"])


class Types(Fixture):
    """The target's BTF."""

    def test_functions_and_sum(self):
        kernel = self.kernel(functions=["pond_look", "inner"])
        self.assertEqual(kernel.functions, {"pond_look", "inner"})
        self.assertEqual(kernel.size, (self.top / "btf").stat().st_size)

    def test_no_btf(self):
        with self.assertRaisesRegex(Problem, "image has no BTF"):
            btf.Btf(self.file("image", b"hello" * 100))

    def test_cut_off(self):
        """At every byte, as a copy or a download may end: said in one line, not a traceback."""
        blob = btf_blob(LAYOUT, ["pond_look"])
        for length in range(len(blob)):
            with self.assertRaisesRegex(Problem, "BTF that is cut off|has no BTF"):
                btf.Btf(self.file("btf", blob[:length]))
        image = bytearray(b"\x7fELF" + bytes(0x3c))
        struct.pack_into("<Q", image, 0x28, 0x1000)
        struct.pack_into("<HHH", image, 0x3a, 0x40, 3, 2)
        for length in (4, 0x3f, 0x40):
            with self.assertRaisesRegex(Problem, "image has no BTF"):
                btf.Btf(self.file("image", bytes(image[:length])))

    def test_unknown_kind(self):
        blob = bytearray(btf_blob({}, ["f"]))
        blob[24 + 7] = 31
        with self.assertRaisesRegex(Problem, "BTF of a kind that is not known here: 31"):
            btf.Btf(self.file("btf", bytes(blob)))


class Patch(Fixture):
    """Semantic patches."""

    def patched(self, text, places=1, removes=1, adds=1, cocci=COCCI):
        expected = {"file": "new.cocci", "places": places, "removes": removes, "adds": adds}
        return semantic.patched(text, self.file("new.cocci", cocci), expected, "f() of pond.c")

    def test_no_spatch(self):
        with mock.patch.dict(os.environ, {"PATH": str(self.top)}):
            with self.assertRaisesRegex(Problem, "no spatch here.*apt-get install coccinelle"):
                self.patched("")

    @unittest.skipUnless(shutil.which("spatch"), "no spatch")
    def test_once(self):
        self.assertEqual(self.patched("int f(int n)\n{\n\treturn bank(n);\n}\n"),
                         "int f(int n)\n{\n\treturn better_bank(n);\n}\n")

    @unittest.skipUnless(shutil.which("spatch"), "no spatch")
    def test_nowhere_and_twice(self):
        with self.assertRaisesRegex(Problem, r"new\.cocci matches nowhere in f\(\) of pond\.c, and must make a "
                                             r"difference of 1 place, 1 line removed and 1 added: the .* there$"):
            self.patched("int f(int n)\n{\n\treturn n;\n}\n")
        twice = "int f(int n)\n{\n\tif (bank(n))\n\t\treturn n;\n\treturn bank(n + 1);\n}\n"
        with self.assertRaisesRegex(Problem, r"new\.cocci makes a difference of 2 places, 2 lines removed and 2 added "
                                             r"in f\(\) of pond\.c, and must make one of 1 place, 1 line removed and "):
            self.patched(twice)
        self.assertEqual(self.patched(twice, 2, 2, 2).count("better_bank"), 2)

    @unittest.skipUnless(shutil.which("spatch"), "no spatch")
    def test_twice_side_by_side(self):
        """One place all the same; the lines tell, and the difference is shown."""
        twice = "int f(int n)\n{\n\tn += bank(n);\n\tn += bank(3);\n\treturn n;\n}\n"
        with self.assertRaises(Problem) as caught:
            self.patched(twice)
        first, *rest = str(caught.exception).splitlines()
        self.assertIn("a difference of 1 place, 2 lines removed and 2 added in", first)
        self.assertEqual(rest, ["@@", "-\tn += bank(n);", "-\tn += bank(3);", "+\tn += better_bank(n);",
                                "+\tn += better_bank(3);"])
        self.patched(twice, 1, 2, 2)

    @unittest.skipUnless(shutil.which("spatch"), "no spatch")
    def test_half_of_the_rules(self):
        """Two places, as is expected; but both are of the rule that removes."""
        cocci = "@@\n@@\n\n- wade();\n\n@@\n@@\n\n  swim();\n+ wade();\n"
        whole = "int f(int n)\n{\n\twade();\n\tif (n)\n\t\tn++;\n\tswim();\n\treturn n;\n}\n"
        half = whole.replace("swim", "dive").replace("\treturn", "\twade();\n\treturn")
        self.assertIn("swim();\n\twade();", self.patched(whole, 2, 1, 1, cocci=cocci))
        with self.assertRaisesRegex(Problem, "a difference of 2 places, 2 lines removed and 0 added in"):
            self.patched(half, 2, 1, 1, cocci=cocci)

    @unittest.skipUnless(shutil.which("spatch"), "no spatch")
    def test_broken(self):
        with self.assertRaisesRegex(Problem, "new.cocci: spatch failed:"):
            self.patched("int a;\n", cocci="@@\n@@\n- (\n")

    def test_difference(self):
        for before, after, counts, lines in (
                ("a\nb\nc\n", "a\nB\nc\n", (1, 1, 1), ["@@", "-b", "+B"]),
                ("a\nb\nc\n", "A\nb\nc\nd\n", (2, 1, 2), ["@@", "-a", "+A", "@@", "+d"]),
                ("a\nb\n", "a\n\nb\n", (0, 0, 0), []),
                ("\ta  b\n", "a b\n\n", (0, 0, 0), []),
                ("a\n\nb\n", "a\n", (1, 1, 0), ["@@", "-b"]),
                ("a\n\nb\n", "A\n\n\tB\n", (1, 2, 2), ["@@", "-a", "-b", "+A", "+\tB"])):
            with self.subTest(before=before, after=after):
                difference = semantic.Difference(before, after)
                self.assertEqual(tuple(difference.counts[key] for key in ("places", "removes", "adds")), counts)
                self.assertEqual(difference.lines, lines)


@unittest.skipUnless(shutil.which("gcc"), "no gcc")
class Make(Fixture):
    """From the manifest to the files; the compiler at hand stands for a kernel's build."""

    class Target(target.Target):
        """Compiles with the compiler at hand, and has no image."""

        compiled: list = []

        def compile(self, root, path, changed):
            source = root / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text("#define noinline __attribute__((noinline))\n#define __printf(a, b)\n#line 1\n" +
                              (changed.get(path) or (self.ksrc / path).read_text()))
            obj = source.with_suffix(".o")
            done = subprocess.run(["gcc", *objects_test.FLAGS, "-gbtf", "-w", "-c", "-o", obj, source], text=True, check=False,
                                  capture_output=True)
            if done.returncode:
                raise Problem(f"{path} does not compile: {done.stderr.splitlines()[0]}")
            self.compiled.append(root.name)
            return Object(obj)

    def setUp(self):
        super().setUp()
        self.file("change/pond/pond.toml", MANIFEST)
        self.file("change/pond/pond_new.cocci", COCCI)
        self.file("src/fs/pond.c", POND)
        self.version("src", 6, 18, 15)
        self.headers(6, 18, 15)
        self.file("btf", btf_blob(LAYOUT, ["pond_look"]))
        self.edits = {"pond_new.cocci": ("n - 1", "n - 2")}
        self.Target.compiled = []

    def version(self, directory, *numbers):
        self.file(f"{directory}/Makefile", "VERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = {}\n".format(*numbers))

    def headers(self, *numbers):
        self.file("linux-headers/include/generated/uapi/linux/version.h", "".join(
            f"#define LINUX_VERSION_{word} {number}\n" for word, number in zip(("MAJOR", "PATCHLEVEL", "SUBLEVEL"),
                                                                                numbers)))

    def patched(self, text, cocci, *_):
        """In place of spatch."""
        before, after = self.edits[cocci.name]
        self.assertIn(before, text)
        return text.replace(before, after)

    def target(self, btf_file="btf"):
        return self.Target(self.top / "src", self.top / "linux-headers", btf_file and str(self.top / btf_file), [],
                           self.top / "work")

    def generate(self, manifest=None, btf_file="btf"):
        if manifest:
            self.file("change/pond/pond.toml", manifest)
        with mock.patch.object(semantic, "patched", side_effect=self.patched):
            return bodies.generate(bodies.Change(self.top / "change/pond"), self.target(btf_file), self.top / "out")

    def link(self):
        """As generate(), for a kernel that the bodies become a part of."""
        class Linked(self.Target, target.Linked):
            __init__ = target.Linked.__init__

        made = Linked(self.top / "src", self.top / "linux-headers", "pond_look", [], self.top / "work")
        with mock.patch.object(semantic, "patched", side_effect=self.patched):
            bodies.generate(bodies.Change(self.top / "change/pond"), made, self.top / "out", "pond_look")

    def out(self, name):
        return (self.top / "out" / name).read_text()

    FILES = ["pond_first.o", "pond_null.o", "pond_new.o", "pond_last.o"]

    def test_files(self):
        self.assertEqual(self.generate(), self.FILES)
        header = self.out("pond_gen.h")
        for line in ('#define UPLIFT_POND_FUNCTION "pond_look"', '#define UPLIFT_POND_FUNCTIONS { .name = "pond_look" }',
                     "enum { UPLIFT_POND_ARMS = UPLIFT_ARM_FIRST_OWN };", "void uplift_pond_new_jump_0(void);",
                     "DECLARE_PER_CPU(struct uplift_count[UPLIFT_POND_ARMS], uplift_pond_count);",
                     f"#define UPLIFT_POND_BTF_SIZE {(self.top / 'btf').stat().st_size}"):
            self.assertIn(line + "\n", header)
        self.assertIn('UPLIFT_POND_IDENTICAL "not shown: ', header)
        self.assertIn("\t.byte " + ", ".join(["0x00"] * 20) + "\n", self.out("pond_first.S"))
        self.assertEqual(sorted(os.listdir(self.top / "out")), ["pond_first.S", "pond_gen.h", "pond_last.S", "pond_new.S",
                                                                "pond_null.S"])

    @staticmethod
    def bytes_of(text):
        """The bytes of code that an arm's assembly has."""
        return [line for line in text.splitlines() if line.startswith("\t.byte 0x")]

    def test_arms_are_the_compilers_own_code(self):
        self.generate()
        null, new = self.out("pond_null.S"), self.out("pond_new.S")
        unit = self.target().compile(self.top / "again", "fs/pond.c", {})
        function = unit.functions()["pond_look"]
        code = unit.bytes(unit.sections[function.section])[function.value:function.value + function.size]
        made = [int(word, 16) for line in self.bytes_of(null) for word in line.split()[1].split(",")]
        relocated = {at for r in Unit(unit).of_function(function)
                     for at in range(r.offset - function.value, r.offset - function.value + r.width)}
        # but for the landing pad and the ftrace site
        self.assertEqual([byte for at, byte in enumerate(code) if at >= 9 and at not in relocated],
                         [byte for at, byte in enumerate(made[:len(code) - 9], 9) if at not in relocated])
        self.assertNotEqual(self.bytes_of(null), self.bytes_of(new))
        # what they refer to is the kernel's
        for text in (null, new):
            self.assertNotIn("uplift_pond_null_1_bank", text)
            self.assertNotIn("uplift_pond_new_1_bank", text)
            self.assertIn('.asciz "bank"', text)

    def test_what_calls_it_stays(self):
        """pond_visit() is compiled anew beside a changed pond_look(), aligned or inlined otherwise: the kernel's serves."""
        self.edits = {"pond_new.cocci": ("wait_for(n) * 3", "wait_for(n) * 3 + wait_for(n + 1) * 5")}
        self.generate()
        self.assertIn('UPLIFT_POND_FUNCTIONS { .name = "pond_look" }\n', self.out("pond_gen.h"))

    def test_lines_are_kept(self):
        """Lockdep's reports and KASAN's tables have lines of the source: with them all that stands behind a change differed."""
        self.file("src/fs/pond.c", POND.replace("bank(pond, 4) + 7", "bank(pond, 4) + __LINE__"))
        self.edits = {"pond_new.cocci": ("n - 1", "n -\n\t\t2")}
        self.generate()
        null, new = (Unit(Object(self.top / f"work/{arm}/fs/pond.o")) for arm in ("null", "new"))
        self.assertEqual(set(Comparison(null, new).why), {"pond_look"})

    def test_where_it_is_inlined(self):
        """Then what calls it has the change in it, and would have to be redirected as well."""
        self.file("src/fs/pond.c", POND.replace("noinline int pond_look", "int pond_look"))
        with self.assertRaisesRegex(Problem, r"^pond_visit\(\) would have to be redirected"):
            self.generate()

    def test_a_function_that_is_not_listed(self):
        self.edits = {"pond_new.cocci": ("+ 7", "+ 8")}
        with self.assertRaisesRegex(Problem, r"^pond_feed\(\) would have to be redirected \(its code changes\), and is not one "
                                             r"of the 'functions' in pond\.toml$"):
            self.generate()

    def test_it_changes_nothing(self):
        self.edits = {"pond_new.cocci": ("n - 1", "n + -1")}
        with self.assertRaisesRegex(Problem, "it changes nothing here"):
            self.generate()

    def test_it_does_not_compile(self):
        self.edits = {"pond_new.cocci": ("n - 1", "m - 1")}
        with self.assertRaisesRegex(Problem, "fs/pond.c does not compile: "):
            self.generate()

    def test_a_layout_that_changes(self):
        self.edits = {"pond_new.cocci": ("int depth;", "int depth, width;")}
        with self.assertRaisesRegex(Problem, "^the layout of struct pond changes$"):
            self.generate()

    BATCH = MANIFEST + """
[arms.batch]
header = "ours.h"
patch = { file = "pond_batch.cocci", places = 1, removes = 1, adds = 1 }
"""

    def batch(self, reviewed=()):
        self.file("change/pond/pond_batch.cocci", COCCI)
        self.file("change/pond/ours.h", "static inline int ours(struct pond *pond)\n{\n\treturn bank(pond, 99) + 1;\n}\n")
        self.edits["pond_batch.cocci"] = ("return wait_for(n) * 3", "return ours(pond)")
        return self.generate(self.BATCH + (f"reviewed = [{', '.join(map(repr, reviewed))}]\n" if reviewed else ""))

    def test_an_arm_of_its_own(self):
        """Its header stands behind all that the changed function uses."""
        self.assertEqual(self.batch(), [*self.FILES[:3], "pond_batch.o", "pond_last.o"])
        header = self.out("pond_gen.h")
        self.assertIn("enum { UPLIFT_ARM_BATCH = UPLIFT_ARM_FIRST_OWN, UPLIFT_POND_ARMS };\n", header)
        self.assertIn("#define UPLIFT_POND_BATCH_LEFT_OUT NULL\n", header)
        self.assertIn("uplift_pond_count+48(%rip)", self.out("pond_batch.S"))
        self.assertIn("0x63", "".join(self.bytes_of(self.out("pond_batch.S"))))

    def test_code_that_it_was_not_reviewed_against(self):
        """What the replaced function has been mended in would be missing: the arm is left out, and says so."""
        known = functions.digest(functions.functions(POND)["pond_look"].text)
        self.assertIn("pond_batch.o", self.batch([known]))
        self.file("src/fs/pond.c", POND.replace("if (n)", "if (n > 0)"))
        self.assertEqual(self.batch([known]), self.FILES)
        header = self.out("pond_gen.h")
        self.assertRegex(header, r'UPLIFT_POND_BATCH_LEFT_OUT "pond_look\(\) of this kernel \([0-9a-f]{16}\) is not among')
        self.assertIn("#define UPLIFT_POND_BATCH NULL\n", header)

    def test_linked_into_the_kernel(self):
        """As the KUnit kernel has them: global names are the linker's, static ones are bound, and tables have names of their own."""
        self.link()
        null = self.out("pond_null.S")
        self.assertRegex(null, r"\.reloc \S+, R_X86_64_PLT32, wait_for[-+]")
        self.assertNotIn('.asciz "wait_for"', null)
        self.assertIn('.asciz "bank"', null)
        self.assertIn("uplift_pond_bodies:", self.out("pond_first.S"))
        self.assertIn("uplift_pond_bodies_end:", self.out("pond_last.S"))
        for name in ("first", "null", "last"):
            self.assertIn('.section .rodata.uplift_bodies, "a"', self.out(f"pond_{name}.S"))

    def test_a_warning_s_flag(self):
        """Of a kernel that is linked only later nobody knows which is which: the bodies of its tests have their own."""
        self.file("src/fs/pond.c", POND.replace("	if (n)\n", "	static _Bool __warned;\n	__warned |= n;\n	if (n + __warned)\n"))
        with mock.patch.object(semantic, "patched", side_effect=self.patched):
            with self.assertRaisesRegex((Refused, Problem), r"__warned\.\d+ is one of several"):
                self.generate()
        self.link()
        for arm in ("null", "new"):
            self.assertRegex(self.out(f"pond_{arm}.S"), r"\.zero 1\n")

    def test_what_cannot_be_told_by_name(self):
        """Without an image: of several static objects of a name the compiler numbers, kallsyms does not know which is which."""
        self.file("src/fs/pond.c", POND.replace("\tif (n)\n", "\tstatic int times;\n\n\tif (n + times++)\n"))
        with self.assertRaisesRegex(Refused, r"^times\.\d+ is one of several of its name: the kernel's image is needed"):
            self.generate()

    def test_an_image(self):
        """Held against the kernel's own code: shown where it is the same, and not used where it is not."""
        image = mock.Mock(symbols={"pond_look": [0x1000]}, text=0)
        image.build_id.return_value = bytes(range(20))
        placed = objectbody.Place(0xffffffff81001000, "")
        for why, said in (({}, None), ({"pond_look": "its code differs from the kernel's at +0x9"}, "is not what the kernel runs")):
            placement = mock.MagicMock(why=why, kernel=mock.Mock(text=0xffffffff81000000, anchor=lambda at: None), linked=False)
            placement.identical = lambda name, why=why: name not in why
            for method in ("place", "of_symbol", "external"):
                getattr(placement, method).return_value = placed
            def placement_of(unit, kernel, placement=placement):
                placement.unit = unit
                return placement
            with mock.patch.object(target, "image_in", return_value=image), \
                    mock.patch.object(bodies, "Placement", placement_of):
                if said:
                    # the module says so when it is loaded, and does not keep others from being built
                    self.assertEqual(self.generate(), [])
                    self.assertRegex(self.out("pond_gen.h"), r'UPLIFT_POND_UNUSABLE "pond_look\(\) of the source is not what the '
                                                             r'kernel runs: its code differs from the kernel\'s at \+0x9: was it')
                    self.assertNotIn("UPLIFT_POND_NEW", self.out("pond_gen.h"))
                else:
                    self.assertEqual(self.generate(), self.FILES)
                    self.assertIn('UPLIFT_POND_IDENTICAL "1 of 1 function"\n', self.out("pond_gen.h"))
                    self.assertIn("UPLIFT_POND_UNUSABLE NULL\n", self.out("pond_gen.h"))
                    self.assertIn("0x00, 0x01, 0x02", self.out("pond_first.S"))

    def test_an_image_without_code(self):
        """Headers packages have a vmlinux that is types and nothing else."""
        self.assertIsNone(target.image_in(self.file("vmlinux", b"no ELF at all")))
        source = self.file("x.c", "int a;\n")
        subprocess.run(["gcc", "-c", "-o", self.top / "x.o", source], check=True)
        self.assertIsNone(target.image_in(self.top / "x.o"))

    def test_nothing_is_done_twice(self):
        argv = ["generate-bodies", "--change", str(self.top / "change/pond"), "--ksrc", str(self.top / "src"), "--kdir",
                str(self.top / "linux-headers"), "--btf", str(self.top / "btf"), "--out", str(self.top / "out")]
        with mock.patch.object(semantic, "patched", side_effect=self.patched), mock.patch.object(bodies, "Target", self.Target), \
                mock.patch.object(sys, "argv", argv), mock.patch("builtins.print") as said:
            bodies.main()
            count = len(self.Target.compiled)
            bodies.main()
            self.assertEqual(len(self.Target.compiled), count)
            self.assertEqual(said.call_args_list, [mock.call(*self.FILES)] * 2)
            self.file("src/fs/pond.c", POND + "\n")
            self.file("out/pond_null.c", "of a version that made C\n")
            bodies.main()
            self.assertGreater(len(self.Target.compiled), count)
            self.assertFalse(list((self.top / "out").glob("*.c")), "Kbuild would take it")

    def test_no_such_source(self):
        with self.assertRaisesRegex(Problem, r"KSRC=\S+/src has no fs/lake\.c, the 'source' in pond\.toml$"):
            self.generate(MANIFEST.replace("fs/pond.c", "fs/lake.c"))

    def test_unchanged_files_keep_their_time(self):
        self.generate()
        os.utime(self.top / "out/pond_null.S", (1, 1))
        self.generate()
        self.assertEqual((self.top / "out/pond_null.S").stat().st_mtime, 1)

    def test_other_version(self):
        self.version("src", 6, 18, 14)
        with self.assertRaisesRegex(Problem, r"KSRC=\S+ is the source of 6.18.14, and KDIR=\S+ is for 6.18.15"):
            self.generate()

    def test_a_kernel_that_clang_built(self):
        """Its compiler is told before it is run: gcc's options would be refused in its own words."""
        self.file("linux-headers/.config", "CONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=190107\n")
        with self.assertRaisesRegex(Problem, r"^the kernel of \S+linux-headers was built with clang: .*gcc.*$"):
            self.generate()
        self.file("linux-headers/.config", "# CONFIG_CC_IS_CLANG is not set\nCONFIG_CC_IS_GCC=y\n")
        self.generate()

    def extra(self, source, headers):
        """Generate with these lines in the Makefiles; headers' may have no others."""
        self.version("src", 6, 18, 15)
        with open(self.top / "src/Makefile", "a") as file:
            file.write(source)
        self.file("linux-headers/Makefile", headers)
        return self.generate()

    def test_other_extraversion(self):
        plain = "EXTRAVERSION =\nNAME = Heron\n"
        self.file("common/Makefile", "EXTRAVERSION = -rc4\nNAME = Heron\n")
        include = f"export KBUILD_OUTPUT = .\ninclude {self.top}/common/Makefile\n"
        for source, headers, said in (
                ("EXTRAVERSION = -rc3\n", "EXTRAVERSION = -rc4\n", ("-rc3", "-rc4")),
                (plain, "EXTRAVERSION = -rc4\n", ("", "-rc4")), ("EXTRAVERSION = -rc4\n", plain, ("-rc4", "")),
                (plain, include, ("", "-rc4")), (plain, "include ../common/Makefile\n", ("", "-rc4"))):
            with self.subTest(source=source, headers=headers), self.assertRaisesRegex(
                    Problem, rf"KSRC=\S+ is the source of 6.18.15 with EXTRAVERSION '{said[0]}', "
                             rf"and KDIR=\S+ is for one with '{said[1]}'"):
                self.extra(source, headers)
        # the same, or nothing that can be read
        for source, headers in (("EXTRAVERSION = -rc4\n", include), ("EXTRAVERSION = -rc4 # the fourth\n", include),
                                (plain, plain), ("", "EXTRAVERSION = -rc4\n"), ("EXTRAVERSION = -rc4\n", ""),
                                (plain, "include gone/Makefile\n"), (plain, "include ./Makefile\n"),
                                (plain, "include $(srctree)/Makefile\n"), (plain, "EXTRAVERSION = $(OURS)\n")):
            with self.subTest(source=source, headers=headers):
                self.assertEqual(self.extra(source, headers), self.FILES)

    def test_no_source_or_headers(self):
        (self.top / "src/Makefile").write_text("all:\n")
        with self.assertRaisesRegex(Problem, r"KSRC=\S+/src is no kernel source tree"):
            self.generate()
        self.version("src", 6, 18, 15)
        self.headers()
        with self.assertRaisesRegex(Problem, r"KDIR=\S+/linux-headers is not configured"):
            self.generate()

    def test_no_btf(self):
        with self.assertRaisesRegex(Problem, r"BTF=\S+/gone: no such file"):
            self.generate(btf_file="gone")
        with self.assertRaisesRegex(Problem, "the target's BTF is needed.*BTF=FILE"):
            self.generate(btf_file="")

    def test_not_a_function_of_its_own(self):
        self.file("btf", btf_blob(LAYOUT, ["inner"]))
        with self.assertRaisesRegex(Problem, "btf: none of pond_look_fast, pond_look is a function of its own"):
            self.generate()

    def test_reuse(self):
        reuse = '[reuse]\nfunction = "pond_look"\nfiles = ["fs/pond/*.c"]\n'
        self.file("change/pond/pond_reuse.cocci", COCCI)
        self.edits["pond_reuse.cocci"] = ("n - 1", "n - 77")
        manifest = MANIFEST + 'reuse_patch = { file = "pond_reuse.cocci", places = 1, removes = 1, adds = 3 }\n' + reuse
        loop = "int {}(void)\n{{\n\twhile (pond_look(&a, 1))\n\t\t;\n\treturn pond_look({}, 2);\n}}\n"
        with self.assertRaisesRegex(Problem, r"KSRC=\S+ has no fs/pond/\*\.c, where calls of pond_look\(\)"):
            self.generate(manifest)
        self.file("src/fs/pond/a.c", loop.format("two_of_them", "&b"))
        self.generate()
        self.assertNotIn("REUSE", self.out("pond_gen.h"))
        self.assertNotIn("0x4d", self.out("pond_new.S"))
        self.file("src/fs/pond/b.c", loop.format("goes_on", "&a"))
        self.generate()
        self.assertIn('#define UPLIFT_POND_REUSE "goes_on"\n', self.out("pond_gen.h"))
        self.assertIn("0x4d", self.out("pond_new.S"))

    def test_one_line_and_a_status(self):
        self.version("src", 6, 1, 1)
        said = subprocess.run([sys.executable, "-B", SCRIPTS / "generate-bodies", "--change", self.top / "change/pond",
                               "--ksrc", self.top / "src", "--kdir", self.top / "linux-headers", "--btf",
                               self.top / "btf", "--out", self.top / "out"], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((said.returncode, said.stdout, said.stderr.count("\n")), (1, "", 1))
        self.assertTrue(said.stderr.startswith("pond: KSRC="), said.stderr)

    def test_arm_that_does_not_apply(self):
        """Where no arm does, the header says so, and there is nothing to link."""
        manifest = MANIFEST.replace("[arms.null]", '[arms.null]\nwhen = "pond_song"') + 'when = "pond_song"\n'
        self.assertEqual(self.generate(manifest), [])
        header = self.out("pond_gen.h")
        self.assertNotIn("UPLIFT_POND_NEW", header)
        self.assertIn("#define UPLIFT_POND_IDENTICAL NULL\n", header)

class Manifest(Fixture):
    """What may stand in a manifest; everything else is one line that names the file and the key."""

    ARMS = "[arms.null]\n"
    TOP = 'source = "fs/pond.c"\nfunctions = ["pond_look"]\n'
    REUSE = "[reuse]\nfunction = 'a'\nfiles = ['b']\n"

    def read(self, text):
        self.file("pond_new.cocci", COCCI)
        self.file("ours.h", "")
        return manifests.read(self.file("pond.toml", text))

    def said(self, text):
        with self.assertRaises(Problem) as caught:
            self.read(text)
        said = str(caught.exception)
        self.assertTrue(said.startswith(f"{self.top}/pond.toml: "), said)
        self.assertEqual(len(said.splitlines()), 1, said)
        return said.partition("pond.toml: ")[2]

    def patch(self, without=None, name="patch", **other):
        """The line of a semantic patch."""
        keys = {"file": "'pond_new.cocci'", "places": 1, "removes": 1, "adds": 1, **other}
        return f"{name} = {{ {', '.join(f'{key} = {value}' for key, value in keys.items() if key != without)} }}\n"

    def test_all_of_it(self):
        text = self.TOP + """\
            [reuse]
            function = "pond_look"
            files = ["fs/pond/*.c", "fs/d?x.c"]
            [arms.null]
            when = "inner"
            [arms.new]
            patch = { file = "pond_new.cocci", places = 1, removes = 0, adds = 1 }
            reuse_patch = { file = "pond_new.cocci", places = 2, removes = 2, adds = 0 }
            [arms.batch]
            header = "ours.h"
            reviewed = ["0123456789abcdef"]
            patch = { file = "pond_new.cocci", places = 1, removes = 0, adds = 1 }
            """
        self.assertEqual(self.read(text)["arms"]["batch"]["reviewed"], ["0123456789abcdef"])

    def test_missing(self):
        top = self.TOP + self.ARMS
        for text, key in ((top.replace('source = "fs/pond.c"', ""), "source"), (top.replace('functions = ["pond_look"]', ""), "functions"),
                          (self.TOP, "arms"),
                          (top + "[reuse]\nfunction = 'f'\n", "reuse.files"),
                          (top + "[reuse]\nfiles = ['f.c']\n", "reuse.function"),
                          *((top + self.patch(key), f"arms.null.patch.{key}")
                            for key in ("file", "places", "removes", "adds")),
                          (top + self.patch() + self.patch("adds", "reuse_patch") + self.REUSE,
                           "arms.null.reuse_patch.adds")):
            with self.subTest(key):
                self.assertEqual(self.said(text), f"no '{key}'")

    def test_unknown(self):
        for text, said in (('binds = ["a"]\n' + self.TOP + self.ARMS, "binds"),
                           (self.TOP + self.ARMS + "place = 1\nneed = 1\n", "arms.null.need, arms.null.place"),
                           (self.TOP + self.ARMS + "patch = 'pond_new.cocci'\nplaces = 1\n", "arms.null.places"),
                           (self.TOP + self.ARMS + self.patch(place=1), "arms.null.patch.place"),
                           (self.TOP + self.ARMS + self.REUSE + "file = 1\n", "reuse.file")):
            with self.subTest(said):
                self.assertEqual(self.said(text), f"unknown: {said}")

    def test_of_another_kind(self):
        name, path = "a name", "the path of a file"
        counts = ("places", "removes", "adds")
        names = "a list of names"
        for key, value, what in (
                ("source", "1", path), ("source", '""', path), ("source", '"/etc/passwd"', path),
                ("functions", '"pond_look"', names + ", with one at least"),
                ("functions", "[]", names + ", with one at least"),
                ("functions", '["pond look"]', names + ", with one at least"),
                ("reuse", "3", "a table"), ("reuse.function", "[]", name),
                *(("reuse.files", files, "a list of paths, with one at least, in which '*' and '?' may stand")
                  for files in ('"fs/*.c"', "[]", '["/etc/*"]', '["fs/**.c"]', '[""]')),
                *(("arms", value, "a table of arms, with one at least") for value in ("3", "{}")),
                ("arms.null", "3", "a table"), ("arms.null.when", "1", name), ("arms.null.header", "[]", path),
                *(("arms.null.reviewed", value, "a list of digests, with one at least")
                  for value in ('"0123456789abcdef"', "[]", '["0123"]')),
                ("arms.null.patch", '"pond_new.cocci"', "a table"), ("arms.null.patch.file", "1", path),
                *(("arms.null.patch.places", value, "a number, 1 at least") for value in ('"1"', "0", "true", "1.0")),
                *((f"arms.null.patch.{key}", value, "a number")
                  for key in counts[1:] for value in ('"1"', "-1", "true", "1.0"))):
            whole = {"source": '"fs/pond.c"', "functions": '["pond_look"]', "arms.null": "{}",
                     "reuse.function": '"a"', "reuse.files": '["b"]',
                     **({"arms.null.patch.file": '"a"', **{f"arms.null.patch.{other}": "1" for other in counts}}
                        if key.startswith("arms.null.patch.") else {})}
            lines = [f"{key} = {value}" for key, value in {
                **{other: value for other, value in whole.items()
                   if not other.startswith(key + ".") and not key.startswith(other + ".")},
                key: value.replace('": ', '"= ')}.items()]
            with self.subTest(key=key, value=value):
                self.assertEqual(self.said("\n".join(lines) + "\n"), f"'{key}' must be {what}, not {value}")

    def test_arms(self):
        for arm, said in ((self.patch(name="reuse_patch"), "arms.null has 'reuse_patch' and no 'patch'"),
                          ("header = 'ours.h'", "arms.null has 'header' and no 'patch'"),
                          ("reviewed = ['0123456789abcdef']", "arms.null has 'reviewed' and no 'patch'"),
                          (self.patch(), "no arm 'null' that is the kernel's own code: [arms.null], without a patch"),
                          ("[arms.off]", "'arms.off': 'off' is the kernel's own function"),
                          (self.patch() + self.patch(name="reuse_patch"),
                           "arms.null has 'reuse_patch', and there is no [reuse]"),
                          ("header = 'gone.h'\n" + self.patch(), f"'arms.null.header' is gone.h: no such file in {self.top}"),
                          (self.patch(file="'gone.cocci'"),
                           f"'arms.null.patch.file' is gone.cocci: no such file in {self.top}"),
                          ("[arms.'a b']", "'arms.a b' is no name")):
            with self.subTest(said):
                self.assertEqual(self.said(self.TOP + self.ARMS + arm + "\n"), said)

    def test_no_toml(self):
        self.assertRegex(self.said("source = \n"), "line 1")
        self.assertRegex(self.said(b"source = '\xff'\n"), "utf-8")

    def test_own_manifests(self):
        found = sorted(path for path in (SCRIPTS.parent / "modules").glob("*/*.toml") if path.stem == path.parent.name)
        self.assertTrue(found)
        for path in found:
            manifests.read(path)


if __name__ == "__main__":
    unittest.main()
