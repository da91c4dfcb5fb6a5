# SPDX-License-Identifier: GPL-2.0-only
"""Objects as the generator reads, compares and binds them: made here by the compiler, held against binutils."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.generator import compare, identity, objectbody	# noqa: E402
from upliftlib.generator.objects import Object, Refused	# noqa: E402
from upliftlib.generator.references import Kind, Unit, base_name, is_clone, parent	# noqa: E402

FLAGS = ("-O2", "-mcmodel=kernel", "-fno-pie", "-fno-asynchronous-unwind-tables", "-fdata-sections", "-mfentry", "-pg",
         "-mfunction-return=thunk-extern", "-fcf-protection=branch", "-mno-red-zone", "-fno-jump-tables", "-mno-sse",
         "-fno-stack-protector", "-mindirect-branch=thunk-extern", "-mindirect-branch-register", "-Wno-unused")

SOURCE = """
extern int outside(int), trace(const char *);
extern int table[16];
int shared = 3;
static int counter, own[4];
static int helper(int x) { own[x & 3]++; return outside(x) + own[0]; }
int keep(int (*f)(int));
__attribute__((noinline)) int first(int x) { static int flags; flags += x; return flags + counter; }
__attribute__((noinline)) int second(int x) { static int flags; flags -= x; counter++; return flags + first(x); }
int third(int i) { return table[3] + table[i + 1] + shared + helper(i) + trace("a string"); }
int fourth(int i) { return keep(helper) + (i ? second(i) : 0); }
int fifth(int i) { return outside(i); }
"""


def compiler() -> str:
    found = shutil.which("gcc")
    if not found:
        raise unittest.SkipTest("no gcc here")
    return found


class Made(unittest.TestCase):
    """Compiles texts into a directory of its own."""

    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)

    flags = FLAGS

    def obj(self, text: str, name: str = "x", *flags: str) -> pathlib.Path:
        source, out = self.dir / f"{name}.c", self.dir / f"{name}.o"
        source.write_text(text)
        done = subprocess.run([compiler(), *self.flags, *flags, "-c", "-o", out, source], capture_output=True, text=True)
        if done.returncode and "unrecognized" in done.stderr:
            self.skipTest(done.stderr.splitlines()[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        return out

    def unit(self, text: str, name: str = "x", *flags: str) -> Unit:
        return Unit(Object(self.obj(text, name, *flags)))


class ReadingTest(Made):
    """Against readelf and objdump."""

    def test_symbols_as_readelf_has_them(self) -> None:
        path = self.obj(SOURCE)
        text = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True, check=True).stdout
        wanted = set()
        for line in text.splitlines():
            words = line.split()
            if len(words) == 8 and words[3] in ("FUNC", "OBJECT"):
                wanted.add((words[7], int(words[1], 16), int(words[2], 0), int(words[6])))
        found = {(s.name, s.value, s.size, s.section) for s in Object(path).symbols if s.type in (1, 2)}
        self.assertEqual(found, wanted)
        self.assertGreater(len(found), 9)

    def test_relocations_as_readelf_has_them(self) -> None:
        path = self.obj(SOURCE)
        text = subprocess.run(["readelf", "-rW", path], capture_output=True, text=True, check=True).stdout
        wanted = sorted(int(line.split()[0], 16) for line in text.splitlines() if re.match(r"[0-9a-f]{16} ", line))
        found = sorted(r.offset for relocs in Object(path).relocs.values() for r in relocs)
        self.assertEqual(found, wanted)

    def test_a_damaged_file_is_refused(self) -> None:
        path = self.obj(SOURCE)
        data = path.read_bytes()
        for size in (3, 40, 64, len(data) // 2, len(data) - 70):
            path.write_bytes(data[:size])
            with self.assertRaisesRegex(Refused, "x.o: "):
                Object(path)

    def test_references_mean_the_symbols_of_the_source(self) -> None:
        unit = self.unit(SOURCE)
        third = {r.name: r for r in unit.of_function(unit.functions["third"])}
        self.assertIn("outside", third)
        self.assertIn(12, {r.delta for r in unit.of_function(unit.functions["third"]) if r.name == "table"})
        self.assertEqual(third["shared"].kind, Kind.SYMBOL)
        strings = [r for r in unit.of_function(unit.functions["third"]) if r.kind is Kind.CONSTANT]
        self.assertEqual([unit.constant(r) for r in strings], [b"a string\0"])

    def test_branches_that_gas_has_resolved_are_found(self) -> None:
        """A call of a static function in the same section has no relocation."""
        unit = self.unit("extern void out(void);\n__attribute__((noinline)) static int deep(int x) { out(); return x * 3; }\n"
                         "int calls(int x) { return deep(x) + deep(x + 1); }\n")
        found = [r for r in unit.of_function(unit.functions["calls"]) if r.name.startswith("deep")]
        self.assertEqual(len(found), 2)
        self.assertTrue(all(r.branch and r.delta == 0 for r in found))

    def test_an_array_from_before_its_begin(self) -> None:
        """own[x - 2] is written as own - 8, which is where another object may end."""
        unit = self.unit("static int a[4], own[4];\nint look(long x) { int y; a[x] = own[x]++;\n"
                         "asm(\"movl own-8(,%1,4), %0\" : \"=r\" (y) : \"r\" (x)); return y + a[2]; }\n")
        names = {(r.name, r.delta) for r in unit.of_function(unit.functions["look"]) if r.kind is Kind.SYMBOL}
        self.assertIn(("own", -8), names)

    def test_names_without_numbers(self) -> None:
        self.assertEqual(base_name("__flags.8"), "__flags")
        self.assertEqual(base_name("__flags"), "__flags")
        self.assertEqual(base_name("__UNIQUE_ID_ddebug123.4"), base_name("__UNIQUE_ID_ddebug99.12"))
        self.assertTrue(is_clone("f.isra.0") and is_clone("f.constprop.1") and not is_clone("f.cold"))
        self.assertEqual(parent("f.cold"), "f")


class ComparingTest(Made):
    def compare(self, before: str, after: str) -> compare.Comparison:
        return compare.Comparison(self.unit(before, "before"), self.unit(after, "after"))

    def test_the_same_source_differs_in_nothing(self) -> None:
        difference = self.compare(SOURCE, SOURCE).difference()
        self.assertFalse(difference, difference)

    def test_a_comment_and_shifted_lines_are_no_change(self) -> None:
        self.assertFalse(self.compare(SOURCE, "/* a comment */\n\n\n" + SOURCE).difference())

    def test_one_function(self) -> None:
        difference = self.compare(SOURCE, SOURCE.replace("return outside(i);", "return outside(i) + 1;")).difference()
        self.assertEqual((difference.changed, difference.added, difference.values), (["fifth"], [], []))

    def test_a_change_in_what_is_inlined_is_the_caller_s(self) -> None:
        difference = self.compare(SOURCE, SOURCE.replace("own[x & 3]++", "own[x & 1]++")).difference()
        self.assertIn("third", difference.changed)
        self.assertNotIn("fifth", difference.changed)

    def test_which_of_two_functions_is_called_matters(self) -> None:
        difference = self.compare(SOURCE, SOURCE.replace("(i ? second(i) : 0)", "(i ? first(i) : 0)")).difference()
        self.assertEqual(difference.changed, ["fourth"])

    def test_static_locals_that_are_renumbered(self) -> None:
        """A new one in front of the others shifts their numbers, and binding by name would hit the wrong one."""
        added = SOURCE.replace("int fifth(int i) {", "int fifth(int i) { static int flags; flags++;")
        added = added.replace("int shared = 3;", "int shared = 3;\nint zeroth(int x) { static int flags; return flags += x; }")
        comparison = self.compare(SOURCE, added)
        self.assertEqual(comparison.difference().changed, ["fifth"])
        self.assertEqual(comparison.difference().added, ["zeroth"])
        for name in ("first", "second"):
            mine = self._flags(comparison.new, name)
            theirs = comparison.pair_of(mine)
            self.assertIsNotNone(theirs)
            self.assertEqual(theirs, self._flags(comparison.old, name))
        self.assertIsNone(comparison.pair_of(self._flags(comparison.new, "fifth")))
        self.assertNotEqual({s.name for s in comparison.pairs if s.name.startswith("flags")},
                            {s.name for s in comparison.pairs.values() if s.name.startswith("flags")})

    def _flags(self, unit: Unit, function: str):
        return next(r.symbol for r in unit.of_function(unit.functions[function]) if r.name.startswith("flags"))

    def test_the_changed_function_s_own_static_local(self) -> None:
        comparison = self.compare(SOURCE, SOURCE.replace("flags += x;", "flags += x + 1;"))
        self.assertEqual(comparison.difference().changed, ["first"])
        self.assertEqual(comparison.pair_of(self._flags(comparison.new, "first")), self._flags(comparison.old, "first"))

    def test_one_static_local_of_two_is_refused(self) -> None:
        two = "int f(int x) { { static int n; n += x; } { static int n; n -= x; return n; } }\n"
        one = "int f(int x) { { static int n; n -= x; return n; } }\n"
        with self.assertRaisesRegex(Refused, r"f\(\): 2 static objects n before and 1 after"):
            self.compare(two, one)

    def test_initial_values(self) -> None:
        comparison = self.compare(SOURCE, SOURCE.replace("shared = 3", "shared = 4"))
        self.assertEqual(len(comparison.difference().values), 1)
        with self.assertRaisesRegex(Refused, "initial value of shared"):
            compare.plan(comparison, comparison.difference())

    def test_a_pointer_in_a_table_is_a_value(self) -> None:
        text = "int f(int x) { return x; }\nint g(int x) { return -x; }\nint (*const ops[2])(int) = { f, g };\n"
        comparison = self.compare(text, text.replace("{ f, g }", "{ f, f }"))
        self.assertRegex(comparison.difference().values[0], "^ops ")

    def test_without_a_site_of_ftrace_it_is_refused(self) -> None:
        text = "__attribute__((no_instrument_function)) int quiet(int x) { return x + 1; }\n"
        comparison = self.compare(text, text.replace("+ 1", "+ 2"))
        with self.assertRaisesRegex(Refused, r"quiet\(\) changes, which cannot be traced"):
            compare.plan(comparison, comparison.difference())

    def test_an_inline_that_stands_by_itself_is_its_callers(self) -> None:
        text = ("extern int out(int);\n__attribute__((noinline, no_instrument_function)) static int in(int x) { return out(x) + 1; }\n"
                "int one(int x) { return in(x) * 2; }\nint two(int x) { return x; }\n")
        comparison = self.compare(text, text.replace("+ 1;", "+ 2;"))
        self.assertEqual(list(compare.plan(comparison, comparison.difference()).entries), ["one"])
        text = text.replace("return x; }", "return (int)(long)in; }")
        comparison = self.compare(text, text.replace("+ 1;", "+ 2;"))
        with self.assertRaisesRegex(Refused, r"in\(\) changes, whose address two\(\) takes"):
            compare.plan(comparison, comparison.difference())

    def test_two_functions_that_are_one(self) -> None:
        """The compiler has merged them: what replaces one of them would replace both."""
        text = "extern int out(int);\nint one(int x) { return out(x) + out(x + 2); }\nint two(int x) { return out(x) + out(x + 2); }\n"
        merged = text.replace("int two(int x) { return out(x) + out(x + 2); }",
                              "int two(int x) __attribute__((alias(\"one\")));")
        comparison = self.compare(merged, text.replace("x + 2); }\nint two", "x + 3); }\nint two"))
        with self.assertRaisesRegex(Refused, r"one\(\) changes, which is one with two\(\)"):
            compare.plan(comparison, comparison.difference())
        comparison = self.compare(merged, merged.replace("x + 2", "x + 3"))
        self.assertEqual(len(compare.plan(comparison, comparison.difference()).entries), 1)

    def test_init_code_is_refused(self) -> None:
        text = "__attribute__((section(\".init.text\"))) int begin(int x) { return x + 1; }\n"
        comparison = self.compare(text, text.replace("+ 1", "+ 2"))
        with self.assertRaisesRegex(Refused, r"begin\(\) changes, which is init code"):
            compare.plan(comparison, comparison.difference())

    def test_clones_are_not_redirected_but_their_callers(self) -> None:
        text = ("extern int out(int);\n__attribute__((noinline)) static int work(int a, int unused, int b)\n"
                "{ return out(a) + out(b) * 3 + out(a + b); }\nint one(int x) { return work(x, 1, 2); }\n"
                "int two(int x) { return work(x, 2, x); }\n")
        comparison = self.compare(text, text.replace("* 3", "* 5"))
        changed = comparison.difference().changed
        if not any(is_clone(name) for name in changed):
            self.skipTest(f"this compiler makes no clone here: {changed}")
        self.assertEqual(sorted(compare.plan(comparison, comparison.difference()).entries), ["one", "two"])


class Linked(Made):
    """A kernel in small: SOURCE and what it needs, linked where a kernel is linked to."""

    REST = ("int outside(int x) { return x; }\nint trace(const char *s) { return *s; }\nint table[16];\n"
            "int keep(int (*f)(int)) { return f(1); }\nvoid __fentry__(void) {}\nvoid __x86_return_thunk(void) {}\n"
            "void __x86_indirect_thunk_rax(void) {}\nvoid __x86_indirect_thunk_rdi(void) {}\n")

    def kernel(self, text: str = SOURCE) -> identity.Kernel:
        script = self.dir / "link.ld"
        script.write_text("SECTIONS { . = 0xffffffff81000000; _text = .; .text : { *(.text*) } .rodata : { *(.rodata*) } "
                          ".data : { *(.data*) } .bss : { *(.bss*) } /DISCARD/ : { *(.comment .note* __mcount_loc) } }\n")
        rest, image = self.obj(self.REST, "rest"), self.dir / "vmlinux"
        subprocess.run(["ld", "-T", script, "-o", image, rest, self.obj(text, "linked")], check=True, capture_output=True)
        names = subprocess.run(["nm", image], check=True, capture_output=True, text=True).stdout
        return identity.Kernel(image, identity.read_symbols(names.splitlines()))


class IdentityTest(Linked):
    def test_a_kernel_s_own_code(self) -> None:
        placement = identity.Placement(self.unit(SOURCE), self.kernel())
        self.assertEqual(placement.why, {})
        self.assertTrue(placement.identical("second"))
        kernel = placement.kernel
        for name in ("counter", "own"):
            self.assertEqual(placement.of_symbol(placement.unit.obj.by_name[name][0]).address, kernel.only(name))

    def test_static_locals_lie_where_the_kernel_has_them(self) -> None:
        """Their numbers need not be the kernel's: where its code leads decides."""
        placement = identity.Placement(self.unit(SOURCE), self.kernel())
        for name, symbols in placement.unit.obj.by_name.items():
            if name.startswith("flags."):
                self.assertIn(placement.of_symbol(symbols[0]).address, placement.kernel.symbols[name])

    def test_other_code_is_told(self) -> None:
        kernel = self.kernel(SOURCE.replace("flags -= x", "flags ^= x"))
        placement = identity.Placement(self.unit(SOURCE), kernel)
        self.assertRegex(placement.why["second"], "its code differs from the kernel's at ")
        self.assertTrue(placement.identical("fifth"))

    def test_the_same_bytes_that_lead_elsewhere_are_told(self) -> None:
        """Calls of another function, and another object: the bytes are the same but for where they lead."""
        kernel = self.kernel(SOURCE.replace("int fifth(int i) { return outside(i); }",
                                            "int fifth(int i) { return keep((void *)(long)i); }"))
        placement = identity.Placement(self.unit(SOURCE), kernel)
        self.assertRegex(placement.why["fifth"], "refers to outside|its code differs")
        kernel = self.kernel(SOURCE.replace("+ shared +", "+ table[0] +"))
        self.assertFalse(identity.Placement(self.unit(SOURCE), kernel).identical("third"))

    def test_another_string_is_told(self) -> None:
        kernel = self.kernel(SOURCE.replace("a string", "b string"))
        self.assertRegex(identity.Placement(self.unit(SOURCE), kernel).why["third"], "constant")


class Bodies(Linked):
    """Makes the arms of a change of one file."""

    EXPORTS = objectbody.Exports(frozenset(("outside",)), frozenset())

    def arms(self, before: str, after: str):
        kernel = self.kernel(before)
        comparison = compare.Comparison(self.unit(before, "before"), self.unit(after, "after"))
        plan = compare.plan(comparison, comparison.difference())
        placement = identity.Placement(comparison.old, kernel)
        numbers = {name: at for at, name in enumerate(plan.entries)}
        null = objectbody.Arm("t", "null", 1, self.EXPORTS)
        new = objectbody.Arm("t", "new", 2, self.EXPORTS)
        null.add(objectbody.Old(placement), numbers)
        new.add(objectbody.New(comparison, placement, set(numbers), {}), numbers)
        return comparison, null, new

    def assembled(self, arm: objectbody.Arm) -> Object:
        text = arm.text().replace('#include "body_asm.h"\n', "")
        text = re.sub(r"\bENDBR\b", "endbr64", re.sub(r"\bRET\b", "jmp __x86_return_thunk", text))
        text = re.sub(r"UPLIFT_(?:CALL_DEPTH|SLS)\b", "", text)
        source, out = self.dir / f"{arm.arm}.s", self.dir / f"{arm.arm}.o"
        source.write_text(text)
        done = subprocess.run(["as", "-o", out, source], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return Object(out)


class BodyTest(Bodies):
    """The assembly, assembled again, has the compiler's bytes; all that it needs of the kernel is in the table."""

    def test_null_is_the_compiler_s_code(self) -> None:
        comparison, null, _ = self.arms(SOURCE, SOURCE.replace("flags -= x", "flags -= x + 7"))
        self.assertEqual(null.copied, [])
        made = self.assembled(null)
        function = comparison.old.functions["second"]
        code = comparison.old.obj.bytes(comparison.old.obj.sections[function.section])
        wanted = bytearray(code[function.value + 9:function.value + function.size])	# behind endbr64 and the site
        body = made.functions()["uplift_t_null_1_second"]
        found = bytearray(made.bytes(made.sections[body.section])[body.value:body.value + body.size])
        for reference in comparison.old.of_function(function):
            at = reference.offset - function.value - 9
            if at >= 0:
                wanted[at:at + reference.width] = found[at:at + reference.width] = bytes(reference.width)
        self.assertEqual(found, wanted)

    ENTRY = '".pushsection .altinstructions, \\"a\\"\\n.long 1b - ., %s - ., 0\\n.byte 5, %d\\n.popsection\\n"'
    PLACE = '"1: nop; nop; nop; nop; nop\\n"'
    CODE = '".pushsection .altinstr_replacement, \\"ax\\"\\n%s: mov $%d, %%eax\\n.popsection\\n"'

    def replacements(self, unit: Unit, name: str) -> list[bytes]:
        """What the alternatives of a function put into their places."""
        found = []
        for entry in (one for one in unit.tables.about(unit.functions[name]) if one.table == ".altinstructions"):
            where = unit.references(entry.section, entry.start, entry.size)[1]
            length = unit.obj.bytes(unit.obj.sections[entry.section])[entry.start + entry.size - 1]
            found.append(unit.obj.bytes(unit.obj.sections[where.section])[where.delta:where.delta + length])
        return found

    def test_a_replacement_behind_one_of_no_bytes(self) -> None:
        """static_cpu_has() twice: where the first one's nothing stands, the second one's code begins."""
        one = f"asm volatile({self.PLACE} {self.ENTRY % ('alt_a', 5)} {self.ENTRY % ('alt_a + 5', 0)} {self.CODE % ('alt_a', 7)});"
        two = f"asm volatile({self.PLACE} {self.ENTRY % ('alt_b', 5)} {self.CODE % ('alt_b', 9)});"
        source = SOURCE.replace("return outside(i); }", f"{one} {two} return outside(i); }}")
        comparison, null, _ = self.arms(source, source.replace("return outside(i);", "return outside(i) + 3;"))
        wanted = [bytes([0xb8, number, 0, 0, 0]) if number else b"" for number in (7, 0, 9)]
        self.assertEqual(self.replacements(comparison.old, "fifth"), wanted)
        self.assertEqual(self.replacements(Unit(self.assembled(null)), "uplift_t_null_1_fifth"), wanted)

    def test_everything_of_the_kernel_is_in_the_table_where_it_is(self) -> None:
        comparison, null, new = self.arms(SOURCE, SOURCE.replace("flags -= x", "flags -= x + 7"))
        kernel = self.kernel()
        for arm in (null, new):
            named = {name: value + kernel.text for _, name, value in arm.symbols}
            self.assertIn(next(n for n in named if n.startswith("flags.")), kernel.symbols)
            self.assertEqual(named["counter"], kernel.only("counter"))
            self.assertEqual(named["first"], kernel.only("first"))
        self.assertEqual(set(null.symbols), set(new.symbols))

    def test_new_state_is_the_module_s(self) -> None:
        _, _, new = self.arms(SOURCE, SOURCE.replace("flags -= x;", "static int fresh = 5; fresh++; flags -= x + fresh;"))
        self.assertEqual([re.sub(r"\.\d+", "", name) for name in new.copied], ["fresh"])
        self.assembled(new)

    def test_only_what_is_not_exported_is_weak(self) -> None:
        """6.1's objtool takes no weak function for one that does not return, and modpost misses no other."""
        for exported in (True, False):
            with mock.patch.object(self, "EXPORTS", objectbody.Exports(frozenset(("outside",) if exported else ()), frozenset())):
                _, null, _ = self.arms(SOURCE, SOURCE.replace("return outside(i);", "return outside(i) + 3;"))
            self.assertEqual("outside" in re.findall(r"\.weak (\S+)", null.text()), not exported)

    def test_a_frame_of_kasan_s(self) -> None:
        """A function may write its own address where KASAN has it, in a frame with its mark on the stack, and nowhere else."""
        def after(mark: str) -> str:
            return SOURCE.replace("int fifth(int i) { return outside(i); }",
                                  "__attribute__((noinline)) static int extra(int i) { volatile long frame[3];\n"
                                  f"frame[0] = {mark}; frame[2] = (long)extra; return outside(i) - frame[0]; }}\n"
                                  "int fifth(int i) { return extra(i) + extra(-i); }")

        _, _, new = self.arms(SOURCE, after("0x41b58ab3"))
        self.assembled(new)
        with self.assertRaisesRegex(Refused, r"the address of extra\(\) would be kept, and could outlive the module"):
            self.arms(SOURCE, after("0x41b58ab2"))

    def test_a_new_function_comes_along(self) -> None:
        after = SOURCE.replace("int fifth(int i) { return outside(i); }",
                               "__attribute__((noinline)) static int extra(int i) { return outside(i) - 1; }\n"
                               "int fifth(int i) { return extra(i) + extra(-i); }")
        _, _, new = self.arms(SOURCE, after)
        self.assertEqual(len(new.copied), 1)
        self.assertRegex(new.copied[0], r"^extra")
        self.assembled(new)

    def test_an_address_that_would_be_kept_is_refused(self) -> None:
        """A callback of ours outlives the module."""
        after = SOURCE.replace("int fifth(int i) { return outside(i); }",
                               "__attribute__((noinline)) static int late(int i) { return outside(i) - 1; }\n"
                               "int fifth(int i) { return keep(late); }")
        with self.assertRaisesRegex(Refused, r"the address of late\(\) would be kept"):
            self.arms(SOURCE, after)

    def test_an_address_in_a_new_table_is_refused(self) -> None:
        after = SOURCE.replace("int fifth(int i) { return outside(i); }",
                               "static int late(int i) { return outside(i) - 1; }\n"
                               "static int (*const ops[])(int) = { late, late };\nextern int take(const void *);\n"
                               "int fifth(int i) { return keep(ops[i & 1]); }")
        with self.assertRaisesRegex(Refused, "late"):
            self.arms(SOURCE, after)

    def test_what_the_kernel_does_not_have_is_named(self) -> None:
        with self.assertRaisesRegex(Refused, "it needs missing_here, which this kernel does not have"):
            self.arms(SOURCE, SOURCE.replace("int fifth(int i) { return outside(i); }",
                                             "extern int missing_here(int);\nint fifth(int i) { return missing_here(i); }"))

    def test_a_call_of_itself_goes_through_the_hook(self) -> None:
        """It is counted when it is left, so that it has to be counted when it is entered."""
        text = SOURCE + "extern int more(int);\nint deep(int x) { return x ? more(deep(x - 1)) + deep(x / 2) * 3 : 1; }\n"
        self.REST += "int more(int x) { return x; }\n"
        _, null, new = self.arms(text, text.replace("* 3", "* 5"))
        for arm in (null, new):
            self.assertIn("deep", {name for _, name, _ in arm.symbols})

    def across(self, one: str, two: str, one_after: str, two_after: str) -> objectbody.Arm:
        """The changed arm of two files, of which each may use what the other adds."""
        kernel = self.kernel(one + two)
        units = [(self.unit(one, "one"), self.unit(one_after, "one_after")), (self.unit(two, "two"), self.unit(two_after, "two_after"))]
        new, numbers = objectbody.Arm("t", "new", 2, self.EXPORTS), iter(range(9))
        added = [[symbol for symbol in after.obj.symbols if symbol.defined and symbol.bind == 1 and
                  symbol.type in (1, 2) and symbol.name not in before.obj.by_name] for before, after in units]
        others = {symbol.name: (new.label(unit, symbol), symbol) for unit, found in enumerate(added, 1) for symbol in found}
        for (before, after), found in zip(units, added):
            comparison = compare.Comparison(before, after)
            entries = {name: next(numbers) for name in compare.plan(comparison, comparison.difference()).entries}
            placement = identity.Placement(before, kernel)
            new.add(objectbody.New(comparison, placement, set(entries), others), entries, found)
        return new

    ONE, TWO = ("extern int outside(int);\nint pond(int i) { return outside(i); }\n",
                "extern int keep(int (*f)(int));\nint lake(int i) { return keep((void *)0) + i; }\n")
    ONE_AFTER = ONE + "int depth = 3;\nint deep(int i) { return outside(i) * 3; }\n"

    def test_what_another_file_of_the_change_adds(self) -> None:
        """A call leads to the module's own copy, as does a use of new data; neither is asked of the kernel."""
        new = self.across(self.ONE, self.TWO, self.ONE_AFTER, "extern int deep(int), depth, keep(int (*f)(int));\n"
                          "int lake(int i) { return keep((void *)0) + deep(i) + depth++; }\n")
        self.assertEqual(sorted(new.copied), ["deep()", "depth"])
        self.assertFalse({"deep", "depth"} & {name for _, name, _ in new.symbols})
        made = self.assembled(new)
        self.assertEqual(len(made.functions().keys() & {"uplift_t_new_1_deep", "uplift_t_new_2_lake"}), 2)
        body = made.functions()["uplift_t_new_2_lake"]
        names = {reference.name for reference in Unit(made).of_function(body)}
        self.assertIn("uplift_t_new_1_deep", names)

    def test_the_address_of_another_file_s_is_refused(self) -> None:
        with self.assertRaisesRegex(Refused, r"the address of deep\(\) would be kept"):
            self.across(self.ONE, self.TWO, self.ONE_AFTER, "extern int deep(int), keep(int (*f)(int));\n"
                        "int lake(int i) { return keep(deep) + i; }\n")

    def test_a_plain_return_is_refused(self) -> None:
        self.flags = tuple(flag for flag in FLAGS if "return=thunk" not in flag)
        with self.assertRaisesRegex(Refused, "returns by a plain instruction"):
            self.arms(SOURCE, SOURCE.replace("flags -= x", "flags -= x + 7"))

    def test_who_leaves_is_counted(self) -> None:
        """Each return and each tail call of a body goes to a stub that counts."""
        _, null, _ = self.arms(SOURCE, SOURCE.replace("return outside(i);", "return outside(i + 1);"))
        made = self.assembled(null)
        body = made.functions()["uplift_t_null_1_fifth"]
        leaving = [r for r in Unit(made).of_function(body) if r.name.startswith("uplift_t_null_1_leave")]
        self.assertTrue(leaving)
        self.assertNotIn("__x86_return_thunk", {r.name for r in Unit(made).of_function(body)})


if __name__ == "__main__":
    unittest.main()
