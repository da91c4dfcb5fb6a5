# SPDX-License-Identifier: GPL-2.0-only
"""The generator of bodies, on C written for the purpose."""

import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.kernel import btf	# noqa: E402
from upliftlib.generator import csource, lifting, make, manifests	# noqa: E402
from upliftlib.base.errors import Problem	# noqa: E402

POND = """\
// SPDX-License-Identifier: GPL-2.0-only
#include <linux/types.h>
#ifdef CONFIG_DUCKS
#include <linux/ducks.h>
#endif

#define POND_MAX	(POND_BASE + 1)
#define POND_BASE 2 /* as many as
		     * ever */
#define UNUSED 7

struct pond {
	int depth;
	struct fish *first;
};

struct bank {
	int reeds;
};

struct fish {
	int weight;
};

enum weather { POND_SUNNY, POND_RAIN };

static int levels[POND_MAX];
static const struct warden keeper = { .feed = 1 };
static DEFINE_MUTEX(pond_lock);

/* a } and a " in a comment */
static const char *pond_word(void)
{
	return "a { in a string, and \\" too";
}

#ifdef CONFIG_DUCKS
static int ducks(struct pond *pond)
{
	return duck_count(pond) + '{';
}
#else
static inline int ducks(struct pond *pond) { return 0; }
#endif

static int bank(int depth)
{
	return depth > POND_MAX ? POND_RAIN : POND_SUNNY;
}

int pond_public(int depth)
{
	return depth;
}

static int feed(struct pond *pond)
{
	if (!keeper_awake())
		return -1;
	return call_keeper(&keeper);
}

static int locked(struct pond *pond)
{
	mutex_lock(&pond_lock);
	return levels[0];
}

static int inner(struct pond *pond, int n)
{
	return bank(n) + ducks(pond) + pond->bank;
}

int pond_look(struct pond *pond,
	      int n)
{
	if (n)
		return inner(pond, n - 1) + pond_public(n);
	return pond->ops->inner(pond);
}

static int caller(struct pond *pond)
{
	return inner(pond, 1) + feed(pond) + locked(pond);
}

SYSCALL_DEFINE1(pond, int, n)
{
	return caller(0);
}
"""

# One struct "pond" as a 64-bit compiler lays it out.
LAYOUT = {"pond": (16, [("depth", 0), ("first", 8)])}

MANIFEST = """
source = "fs/pond.c"
functions = ["pond_look_fast", "pond_look"]
declares = ["linux/pond.h"]

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

    def source(self, text=POND):
        return csource.Source(self.file("pond.c", text))

    def lift(self, function="pond_look", text=POND, **options):
        return lifting.Lift(self.source(text), function, "fishing", **options)

    def kernel(self, structs=None, functions=("pond_look",)):
        return btf.Btf(self.file("btf", btf_blob(LAYOUT if structs is None else structs, functions)))

    def body(self, lift, **manifest):
        return lifting.Body(lift, "null", {"arms": {"null": {}}, **manifest}, self.kernel()).text("pond.c")


class Split(Fixture):
    """A file's items."""

    def one(self, text):
        items = self.source(text).items
        self.assertEqual(len(items), 1, [item.text for item in items])
        return items[0]

    def test_kinds(self):
        for text, kind, names in (
                ("int f(int a)\n{\n}\n", "function", ("f",)),
                ("static int f(int a, void (*done)(int))\n{ if (a) { } }\n", "function", ("f",)),
                ("static struct fish *f(void) __must_hold(&lock)\n{\n}\n", "function", ("f",)),
                ("static __printf(1, 2) int f(const char *format, ...)\n{\n}\n", "function", ("f",)),
                ("struct fish f(void)\n{\n}\n", "function", ("f",)),
                ("static int f(int a);\n", "prototype", ("f",)),
                ("int f(int a) __cold;\n", "prototype", ("f",)),
                ("typedef int number;", "type", ("number",)),
                ("typedef int (*call)(int);", "type", ("call",)),
                ("typedef struct { int a; } pair;", "type", ("pair",)),
                ("enum { RED = 1, GREEN };", "type", ("RED", "GREEN")),
                ("static int a = 1, *b;", "object", ("a", "b")),
                ("static int table[] = { 1, F(2) };", "object", ("table",)),
                ("static struct fish *f __read_mostly;", "object", ("f",)),
                ("static int x __aligned(8);", "object", ("x",)),
                ("static struct fish f = FISH_INIT(f);", "object", ("f",)),
                ("static int (*call)(int) = f;", "object", ("call",)),
                ("static struct { int a; } one;", "object", ("one",)),
                ("struct fish { int a; } one;", "object", ("one",)),
                ("static LIST_HEAD(all);", "object", ("all",)),
                ("static DEFINE_PER_CPU(int, count);", "object", ("count",)),
                ("fs_initcall(start);", "other", ()),
                ("SYSCALL_DEFINE1(f, int, a)\n{\n}\n", "other", ())):
            with self.subTest(text):
                item = self.one(text)
                self.assertEqual((item.kind, item.names), (kind, names))

    def test_tags(self):
        for text, names, tags in (("struct fish { int a; } __packed __aligned(4);", (), ("fish",)),
                                  ("struct fish;", (), ("fish",)),
                                  ("typedef struct fish { int a; } fish_t;", ("fish_t",), ("fish",)),
                                  ("enum colour { RED, GREEN };", ("RED", "GREEN"), ("colour",))):
            item = self.one(text)
            self.assertEqual((item.kind, item.names, item.tags), ("type", names, tags), text)

    def test_brackets_in_comments_and_strings(self):
        names = [item.names for item in self.source().items if item.kind == "function"]
        self.assertEqual(names, [("pond_word",), ("ducks",), ("ducks",), ("bank",), ("pond_public",), ("feed",),
                                 ("locked",), ("inner",), ("pond_look",), ("caller",)])
        item = self.source().named("pond_word")[0]
        self.assertIn("a { in a string", item.text)
        self.assertNotIn("string", item.masked)

    def test_conditions(self):
        source = self.source("""\
            #if A(1)
            int a;
            #elif defined(B)
            #ifndef C
            int b;
            #endif
            #else
            int c;
            #endif
            int d;
            """)
        self.assertEqual([item.conditions for item in source.items],
                         [("A(1)",), ("!(A(1))", "defined(B)", "!defined(C)"), ("!(A(1))", "!(defined(B))"), ()])

    def test_condition_inside_stays(self):
        item = self.one("struct fish {\n#ifdef A\n\tint a;\n#endif\n};\n")
        self.assertIn("#ifdef A", item.text)

    def test_macros(self):
        source = self.source("#define TWO(a, b) do { \\\n\ta; \\\n} while (b)\n"
                             "#define ONE 1 /* long\n comment */\nint x;\n")
        self.assertEqual([(item.kind, item.names) for item in source.items],
                         [("macro", ("TWO",)), ("macro", ("ONE",)), ("object", ("x",))])
        self.assertTrue(source.items[1].text.endswith("comment */"))
        self.assertIn((False, "POND_BASE"), self.source().named("POND_MAX")[0].used)

    def test_macro_alone_on_its_line(self):
        source = self.source("ALLOW_ERRORS(f, ERRNO)\n\nstatic int f(void)\n{\n}\n")
        self.assertEqual([(item.kind, item.names) for item in source.items], [("other", ()), ("function", ("f",))])

    def test_lines(self):
        self.assertEqual(self.source("\n\n/* a\n */ int a;\nint b;\n").named("b")[0].line, 5)

    def test_what_does_not_fit(self):
        for text, said in (("int a;\n#endif\n", r"pond\.c:2: #endif without an #if"),
                           ("#if A\nint a;\n", "an #if without its #endif"),
                           ("int a;\n}\n", r"pond\.c:2: unmatched '}'"),
                           ("int a;\nint b", r"pond\.c:2: no end: 'int b'"),
                           ("int a;\n#define\n", r"pond\.c:2: a #define without a name"),
                           ("#import a\n", r"pond\.c:1: directive not understood: #import a")):
            with self.subTest(text), self.assertRaisesRegex(Problem, said):
                self.source(text)

    def test_calls(self):
        text = "f(1) + p->f(2) + o.f(3) > f(4) + of(5) + f"
        self.assertEqual([text[match.end():match.end() + 3] for match in csource.calls("f", text)], ["(1)", "(4)"])


class Closure(Fixture):
    """What a function needs of its file."""

    def names(self, lift):
        return [name for item in lift.items() for name in item.names or item.tags]

    def test_helpers_types_and_macros(self):
        self.assertEqual(self.names(self.lift()),
                         ["POND_MAX", "POND_BASE", "pond", "fish", "POND_SUNNY", "POND_RAIN",
                          "ducks", "ducks", "bank", "inner", "pond_look"])

    def test_tag_of_the_same_name(self):
        # bank() is called, struct bank is not used; nor is the member of that name anything of the file's
        self.assertEqual(self.lift().structs(), ["pond", "fish"])
        text = POND.replace("int reeds;", "int reeds; struct bank *next;").replace("int weight;", "struct bank at;")
        self.assertEqual(self.lift(text=text).structs(), ["pond", "bank", "fish"])

    def test_missing_function(self):
        with self.assertRaisesRegex(Problem, r"pond\.c: no function pond_swim\(\)"):
            self.lift("pond_swim")

    def test_missing_need(self):
        self.assertIn("pond_word", self.names(self.lift(needs=["pond_word"])))
        with self.assertRaisesRegex(Problem, r"pond\.c: no pond_song, which fishing needs"):
            self.lift(needs=["pond_song"])

    def test_unlisted_object(self):
        line = POND[:POND.index("static const struct warden")].count("\n") + 1
        with self.assertRaisesRegex(Problem, rf"pond\.c:{line}: feed\(\) uses the object keeper, .* of fishing"):
            self.lift("feed")

    def test_object_of_a_type_in_place(self):
        with self.assertRaisesRegex(Problem, r"pond\.c:1: f\(\) uses the object one"):
            self.lift("f", "struct fish { int a; } one;\nint f(void)\n{\n\treturn one.a;\n}\n")

    def test_static_bound_function_is_lifted(self):
        self.assertIn("bank", self.names(self.lift(bind=["bank"])))
        self.assertEqual(self.lift(bind=["pond_public"]).bound, {"pond_public"})

    def test_copied_function_is_lifted(self):
        self.assertNotIn("pond_public", self.names(self.lift()))
        lift = self.lift(copy=["pond_public", "bank"])
        self.assertIn("pond_public", self.names(lift))
        # what is static needs no other name
        self.assertEqual(lift.copies(), ["pond_public"])
        text = self.body(lift)
        self.assertIn("static int copy_pond_public(int depth)", text)
        self.assertIn("+ copy_pond_public(n)", text)
        self.assertIsNone(re.search(r"(?<!copy_)pond_public", text))

    def test_bind_via(self):
        via = {"call_keeper": "keeper_hat", "nobody": "ghost"}
        self.assertEqual(self.lift("feed", bind=["keeper"], bind_via=via).bound, {"keeper", "keeper_hat"})

    def test_replaced(self):
        lift = self.lift(replace={"inner": "our_inner"})
        self.assertEqual(self.names(lift), ["pond", "fish", "inner", "pond_look"])
        with self.assertRaisesRegex(Problem, r"pond\.c: pond_look\(\) does not call caller\(\), which fishing"):
            self.lift(replace={"caller": "our_caller"})

    def test_signature(self):
        self.assertEqual(self.lift().signature(), ("int", "struct pond *pond, int n", ["pond", "n"]))
        self.assertEqual(self.lift("f", "static noinline int *f(void)\n{\n}\n").signature(), ("int *", "void", []))
        self.assertEqual(self.lift("f", "int f(int a[2], char *b)\n{\n}\n").signature()[2], ["a", "b"])
        with self.assertRaisesRegex(Problem, r"pond\.c:1: f\(\) returns nothing"):
            self.lift("f", "void f(int a)\n{\n}\n").signature()
        with self.assertRaisesRegex(Problem, r"pond\.c:1: a parameter of f\(\) is not understood: void \(\*done\)"):
            self.lift("f", "int f(void (*done)(int))\n{\n}\n").signature()

    def test_lonely(self):
        # called by caller() as well
        lift = self.lift()
        self.assertEqual([item.names[0] for item in lift.items() if lift.lonely(item)], ["inner"])


class Generated(Fixture):
    """The text of an arm."""

    def test_body_and_entry(self):
        text = self.body(self.lift())
        self.assertIn("static __always_inline int body_pond_look(struct pond *pond,\n", text)
        self.assertIn("ret = body_pond_look(pond, n);", text)
        self.assertIn("UPLIFT_BODY_ENTER(fishing, NULL);", text)
        self.assertIn("pond->ops->inner(pond)", text)
        self.assertNotIn("caller", text)
        # nothing is bound
        self.assertTrue(text.endswith("int uplift_fishing_null_bind(void)\n{\n\treturn 0;\n}\n"), text)

    def test_conditions(self):
        text = self.body(self.lift())
        self.assertIn("#if defined(CONFIG_DUCKS)\n#include <linux/ducks.h>\n#endif", text)
        self.assertIn("#if !(defined(CONFIG_DUCKS))\nstatic inline int ducks(", text)

    def test_inlined_as_in_the_kernel(self):
        lift = self.lift()
        text = lifting.Body(lift, "null", {"arms": {"null": {}}}, self.kernel(functions=["bank"])).text("pond.c")
        self.assertIn("static noinline int bank(", text)
        self.assertIn("}\n__ADDRESSABLE(inner)\n", text)

    def test_bound(self):
        text = self.body(self.lift("feed", bind=["keeper", "keeper_awake"]), bind_objects=["keeper"])
        define, include = "#define keeper_awake __SCT__uplift_fishing_null_keeper_awake\n", "#include <linux/types.h>"
        self.assertLess(text.index(define), text.index(include))
        self.assertIn("DEFINE_STATIC_CALL_NULL(uplift_fishing_null_keeper_awake, __SCT__", text)
        self.assertIn("static_call_update(uplift_fishing_null_keeper_awake, (void *)addr);", text)
        self.assertIn("static const struct warden *uplift_fishing_null_keeper;\n"
                      "#define keeper (*uplift_fishing_null_keeper)\n", text)
        self.assertIn('uplift_bind("fishing", "keeper", &addr)', text)

    def test_bound_objects_of_other_kinds(self):
        lift = self.lift("locked", bind=["pond_lock", "levels"])
        with self.assertRaisesRegex(Problem, r"pond\.c:\d+: the object levels is of a type that cannot be bound"):
            self.body(lift, bind_objects=["pond_lock", "levels"])
        self.assertEqual(lifting._object_type(lift.source, "pond_lock"), "struct mutex")
        # of a header: the header's own declaration becomes that of the pointer
        text = self.body(self.lift("feed", bind=["keeper"], bind_via={"call_keeper": "keeper_hat"}),
                         bind_objects=["keeper"])
        self.assertLess(text.index("#define keeper_hat (*uplift_fishing_null_keeper_hat)"),
                        text.index("#include <linux/types.h>"))

    def test_traced(self):
        text = POND.replace("#include <linux/types.h>", '#include <linux/types.h>\n#include "trace.h"')
        text = text.replace("if (n)", "trace_look(n);\n\tif (n)")
        made = self.body(self.lift(text=text), trace={"header": "trace.h", "points": ["look", "splash"]})
        self.assertLess(made.index("#define __DO_TRACE_CALL"), made.index('#include "trace.h"'))
        self.assertIn('uplift_bind("fishing", "__tracepoint_look", &addr)', made)
        self.assertNotIn("splash", made)
        with self.assertRaisesRegex(Problem, r"pond\.c does not include traces\.h, the 'trace\.header' in the "
                                             "manifest of fishing"):
            self.body(self.lift(text=text), trace={"header": "traces.h", "points": ["look"]})

    def test_replaced_helper(self):
        manifest = {"arms": {"batch": {"header": "ours.h"}}}
        lift = self.lift(replace={"inner": "our_inner"}, needs=["bank"])
        text = lifting.Body(lift, "batch", manifest, self.kernel()).text("pond.c")
        self.assertLess(text.index("static int bank("), text.index('#include "ours.h"'))
        self.assertLess(text.index('#include "ours.h"'), text.index("return our_inner(pond, n - 1)"))
        self.assertNotIn("static int inner", text)
        self.assertIn("pond->ops->inner(pond)", text)

    def test_arms_of_its_own_are_numbered_in_the_manifests_order(self):
        arms = {"null": {}, "calm": {}, "new": {}, "deep": {}}
        for arm in arms:
            text = lifting.Body(self.lift(), arm, {"arms": arms}, self.kernel()).text("pond.c")
            for line in ("#define UPLIFT_ARM_CALM (UPLIFT_ARM_FIRST_OWN + 0)",
                         "#define UPLIFT_ARM_DEEP (UPLIFT_ARM_FIRST_OWN + 1)",
                         "#define UPLIFT_FISHING_ARMS (UPLIFT_ARM_FIRST_OWN + 2)",
                         "DECLARE_PER_CPU(struct uplift_count[UPLIFT_FISHING_ARMS], uplift_fishing_count);",
                         f"\tUPLIFT_BODY_ENTER(fishing, {arm.upper()});"):
                self.assertIn(line + "\n", text)
        with self.assertRaisesRegex(Problem, "fishing: 'off' is the kernel's own function"):
            lifting.Body(self.lift(), "off", {"arms": {"off": {}}}, self.kernel()).text("pond.c")

    def test_replaced_itself(self):
        manifest = {"arms": {"batch": {"header": "ours.h"}}}
        lift = self.lift(replace={"pond_look": "our_look"})
        text = lifting.Body(lift, "batch", manifest, self.kernel()).text("pond.c")
        self.assertIn("ret = our_look(pond, n);", text)
        self.assertNotIn("body_pond_look", text)

    def test_header_of_an_arm(self):
        text = lifting.Body(self.lift(), "new", {"arms": {"new": {"header": "ours.h"}}}, self.kernel()).text("pond.c")
        self.assertLess(text.index("#include <linux/types.h>"), text.index('#include "ours.h"'))
        self.assertLess(text.index('#include "ours.h"'), text.index("#define POND_MAX"))


class Layout(Fixture):
    """Structs of the target's BTF."""

    def test_assertions(self):
        self.assertEqual(lifting.layouts(["pond"], self.kernel()).splitlines()[1:], [
            'static_assert(sizeof(struct pond) == 16, "struct pond has another size in the kernel");',
            'static_assert(offsetof(struct pond, depth) == 0, "depth of struct pond lies elsewhere in the kernel");',
            'static_assert(offsetof(struct pond, first) == 8, "first of struct pond lies elsewhere in the kernel");'])

    @unittest.skipUnless(shutil.which("gcc"), "no gcc")
    def test_compiler_says_what_differs(self):
        def compiled(structs):
            text = lifting.layouts(["pond"], self.kernel(structs))
            path = self.file("a.c", "#include <assert.h>\n#include <stddef.h>\n"
                                    "struct fish;\nstruct pond {\n\tint depth;\n\tstruct fish *first;\n};\n" + text)
            return subprocess.run(["gcc", "-fsyntax-only", path], env={**os.environ, "LC_ALL": "C"}, text=True,
                                  check=False, stderr=subprocess.PIPE).stderr
        self.assertEqual(compiled(LAYOUT), "")
        self.assertIn("first of struct pond lies elsewhere", compiled({"pond": (16, [("depth", 0), ("first", 4)])}))
        self.assertIn("struct pond has another size", compiled({"pond": (24, [("depth", 0), ("first", 8)])}))
        self.assertIn("tail", compiled({"pond": (16, [("depth", 0), ("first", 8), ("tail", 12)])}))

    def test_unknown_struct(self):
        with self.assertRaisesRegex(Problem, "btf: no struct bank in the kernel's BTF"):
            lifting.layouts(["bank"], self.kernel())

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
        return lifting.patched(text, self.file("new.cocci", cocci), expected, "f() of pond.c")

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
                difference = lifting.Difference(before, after)
                self.assertEqual(tuple(difference.counts[key] for key in ("places", "removes", "adds")), counts)
                self.assertEqual(difference.lines, lines)


class Make(Fixture):
    """The command, from the manifest to the files."""

    def setUp(self):
        super().setUp()
        self.file("change/pond/pond.toml", MANIFEST)
        self.file("change/pond/pond_new.cocci", COCCI)
        self.file("src/fs/pond.c", POND)
        self.version("src", 6, 18, 15)
        self.headers(6, 18, 15)
        self.file("btf", btf_blob({**LAYOUT, "fish": (4, [("weight", 0)])}, ["pond_look"]))

    def version(self, directory, *numbers):
        self.file(f"{directory}/Makefile", "VERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = {}\n".format(*numbers))

    def headers(self, *numbers):
        self.file("linux-headers/include/generated/uapi/linux/version.h", "".join(
            f"#define LINUX_VERSION_{word} {number}\n" for word, number in zip(("MAJOR", "PATCHLEVEL", "SUBLEVEL"),
                                                                                numbers)))

    def generate(self, manifest=None, btf_file="btf"):
        if manifest:
            self.file("change/pond/pond.toml", manifest)
        with mock.patch.object(lifting, "patched", side_effect=lambda text, cocci, *_: f"{text}/* {cocci.name} */\n"):
            kernel = make.target(self.top / "src", self.top / "linux-headers", btf_file and self.top / btf_file)
            return make.generate(self.top / "change/pond", self.top / "src", kernel, "linux-headers", self.top / "out")

    def test_without_a_built_kernel(self):
        with mock.patch.object(lifting, "patched", side_effect=lambda text, *_: text):
            objects = make.generate(self.top / "change/pond", self.top / "src", make.NoBtf("pond_look"), "src",
                                    self.top / "out")
        self.assertEqual(objects, ["pond_null.o", "pond_new.o"])
        text = (self.top / "out/pond_null.c").read_text()
        self.assertIn("uplift_pond_null(", text)
        self.assertNotIn("static_assert", text)
        with self.assertRaisesRegex(Problem, "none of"):
            make.generate(self.top / "change/pond", self.top / "src", make.NoBtf("other"), "src", self.top / "out")

    def test_files(self):
        self.assertEqual(self.generate(), ["pond_null.o", "pond_new.o"])
        self.assertIn("/* pond_new.cocci */", (self.top / "out/pond_new.c").read_text())
        header = (self.top / "out/pond_gen.h").read_text()
        for line in ('#define UPLIFT_POND_FUNCTION "pond_look"', "#define UPLIFT_POND_NEW", "#include <linux/pond.h>",
                     "int uplift_pond_new(struct pond *pond, int n);", "int uplift_pond_null_bind(void);",
                     "#define UPLIFT_POND_ARMS (UPLIFT_ARM_FIRST_OWN + 0)",
                     "DECLARE_PER_CPU(struct uplift_count[UPLIFT_POND_ARMS], uplift_pond_count);",
                     f"#define UPLIFT_POND_BTF_SIZE {(self.top / 'btf').stat().st_size}"):
            self.assertIn(line + "\n", header)
        self.assertEqual(sorted(os.listdir(self.top / "out")), ["pond_gen.h", "pond_new.c", "pond_null.c"])

    def test_no_such_source(self):
        with self.assertRaisesRegex(Problem, r"KSRC=\S+/src has no fs/lake\.c, the 'source' in pond\.toml$"):
            self.generate(MANIFEST.replace("fs/pond.c", "fs/lake.c"))

    def test_unchanged_files_keep_their_time(self):
        self.generate()
        os.utime(self.top / "out/pond_null.c", (1, 1))
        self.generate()
        self.assertEqual((self.top / "out/pond_null.c").stat().st_mtime, 1)

    def test_arm_that_does_not_apply(self):
        manifest = MANIFEST + 'when = "pond_song"\n'
        self.assertEqual(self.generate(manifest), ["pond_null.o"])
        self.assertNotIn("UPLIFT_POND_NEW", (self.top / "out/pond_gen.h").read_text())

    def test_other_version(self):
        self.version("src", 6, 18, 14)
        with self.assertRaisesRegex(Problem, r"KSRC=\S+ is the source of 6.18.14, and KDIR=\S+ is for 6.18.15"):
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
                self.assertEqual(self.extra(source, headers), ["pond_null.o", "pond_new.o"])

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
        manifest = MANIFEST + 'reuse_patch = { file = "pond_reuse.cocci", places = 1, removes = 1, adds = 3 }\n' + reuse
        loop = "int {}(void)\n{{\n\twhile (pond_look(&a, 1))\n\t\t;\n\treturn pond_look({}, 2);\n}}\n"
        with self.assertRaisesRegex(Problem, r"KSRC=\S+ has no fs/pond/\*\.c, where calls of pond_look\(\)"):
            self.generate(manifest)
        self.file("src/fs/pond/a.c", loop.format("two_of_them", "&b"))
        self.generate()
        self.assertNotIn("REUSE", (self.top / "out/pond_gen.h").read_text())
        self.assertIn("/* pond_new.cocci */", (self.top / "out/pond_new.c").read_text())
        self.file("src/fs/pond/b.c", loop.format("goes_on", "&a"))
        self.generate()
        self.assertIn('#define UPLIFT_POND_REUSE "goes_on"\n', (self.top / "out/pond_gen.h").read_text())
        self.assertIn("/* pond_reuse.cocci */", (self.top / "out/pond_new.c").read_text())

    def test_one_line_and_a_status(self):
        self.version("src", 6, 1, 1)
        said = subprocess.run([sys.executable, "-B", SCRIPTS / "generate-bodies", "--change", self.top / "change/pond",
                               "--ksrc", self.top / "src", "--kdir", self.top / "linux-headers", "--btf",
                               self.top / "btf", "--out", self.top / "out"], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((said.returncode, said.stdout, said.stderr.count("\n")), (1, "", 1))
        self.assertTrue(said.stderr.startswith("pond: KSRC="), said.stderr)


class Manifest(Fixture):
    """What may stand in a manifest; everything else is one line that names the file and the key."""

    ARMS = "[arms.null]\n"
    TOP = 'source = "fs/pond.c"\nfunctions = ["pond_look"]\ndeclares = []\n'
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
            types = ["pond"]
            bind = ["keeper_awake"]
            bind_objects = ["keeper"]
            bind_via = { call_keeper = "keeper_hat" }
            bind_if = { keeper_hat = "CONFIG_HATS" }
            copy = ["bank"]
            [trace]
            header = "trace.h"
            points = ["look"]
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
            replace = { inner = "our_inner" }
            needs = ["bank"]
            """
        self.assertEqual(self.read(text)["arms"]["batch"]["replace"], {"inner": "our_inner"})

    def test_missing(self):
        top = self.TOP + self.ARMS
        for text, key in ((top.replace("source", "types"), "source"), (top.replace("functions", "types"), "functions"),
                          (top.replace("declares", "types"), "declares"), (self.TOP, "arms"),
                          (top + "[reuse]\nfunction = 'f'\n", "reuse.files"),
                          (top + "[reuse]\nfiles = ['f.c']\n", "reuse.function"),
                          (top + "[trace]\nheader = 'trace.h'\n", "trace.points"),
                          (top + "[trace]\npoints = ['look']\n", "trace.header"),
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
                           (self.TOP + self.ARMS + "[trace]\nheader = 'a'\npoints = ['b']\npoint = 1\n",
                            "trace.point"),
                           (self.TOP + self.ARMS + self.REUSE + "file = 1\n", "reuse.file")):
            with self.subTest(said):
                self.assertEqual(self.said(text), f"unknown: {said}")

    def test_of_another_kind(self):
        name, path = "a name", "the path of a file"
        counts = ("places", "removes", "adds")
        names, table = "a list of names", 'a table, { name = "name" }'
        for key, value, what in (
                ("source", "1", path), ("source", '""', path), ("source", '"/etc/passwd"', path),
                ("functions", '"pond_look"', names + ", with one at least"),
                ("functions", "[]", names + ", with one at least"),
                ("functions", '["pond look"]', names + ", with one at least"),
                ("declares", '"linux/pond.h"', "a list of paths"), ("declares", "[1]", "a list of paths"),
                ("types", '"pond"', names), ("bind", '"a"', names), ("bind_objects", "true", names),
                ("copy", "3", names),
                ("bind_via", '"x"', table), ("bind_via", '{"a": 1}', table), ("bind_if", '["a"]', table),
                ("trace", '"trace.h"', "a table"), ("trace.header", "1", path),
                ("trace.points", "[]", names + ", with one at least"),
                ("reuse", "3", "a table"), ("reuse.function", "[]", name),
                *(("reuse.files", files, "a list of paths, with one at least, in which '*' and '?' may stand")
                  for files in ('"fs/*.c"', "[]", '["/etc/*"]', '["fs/**.c"]', '[""]')),
                *(("arms", value, "a table of arms, with one at least") for value in ("3", "{}")),
                ("arms.null", "3", "a table"), ("arms.null.when", "1", name), ("arms.null.header", "[]", path),
                ("arms.null.replace", '"inner"', table), ("arms.null.needs", '"bank"', names),
                ("arms.null.patch", '"pond_new.cocci"', "a table"), ("arms.null.patch.file", "1", path),
                *(("arms.null.patch.places", value, "a number, 1 at least") for value in ('"1"', "0", "true", "1.0")),
                *((f"arms.null.patch.{key}", value, "a number")
                  for key in counts[1:] for value in ('"1"', "-1", "true", "1.0"))):
            whole = {"source": '"fs/pond.c"', "functions": '["pond_look"]', "declares": "[]", "arms.null": "{}",
                     "trace.header": '"a"', "trace.points": '["b"]', "reuse.function": '"a"', "reuse.files": '["b"]',
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
                          ("replace = { a = 'b' }", "arms.null has 'replace' and no 'header'"),
                          (self.patch() + self.patch(name="reuse_patch"),
                           "arms.null has 'reuse_patch', and there is no [reuse]"),
                          ("header = 'gone.h'", f"'arms.null.header' is gone.h: no such file in {self.top}"),
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
