# SPDX-License-Identifier: GPL-2.0-only
"""What a body may not do without being told: have a second object beside the kernel's, leave an address that outlives the
module, miss a caller. Each with the small file that brings it about."""

from __future__ import annotations

import pathlib
import sys
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.generator import compare, copies, headers, identity	# noqa: E402
from upliftlib.generator.objects import Refused	# noqa: E402
from tests.objects_test import FLAGS, Bodies	# noqa: E402

HEAD = "extern int outside(int), keep(int (*f)(int));\n"


class OneObjectTest(Bodies):
    """A static object of the kernel's stays the only one."""

    def owned(self, before: str, after: str) -> list[str]:
        return [name.split(".")[0] for name in self.arms(HEAD + before, HEAD + after)[2].copied]

    def refused(self, before: str, after: str) -> str:
        with self.assertRaises(Refused) as caught:
            self.arms(HEAD + before, HEAD + after)
        return str(caught.exception)

    def test_of_a_file(self) -> None:
        before = "static int seen;\nint look(int x) { return outside(x) + seen++; }\n"
        self.assertEqual(self.owned(before, before.replace("seen++", "seen--")), [])

    def test_of_a_function(self) -> None:
        before = "int look(int x) { static int seen; return outside(x) + seen++; }\n"
        self.assertEqual(self.owned(before, before.replace("seen++", "seen--")), [])

    INLINED = ("static {} int count(int x) {{ static int seen; return outside(seen += x) + outside(x) * seen; }}\n"
               "int look(int x) {{ return count(x){}; }}\n")

    def test_of_a_helper_that_is_no_longer_inlined(self) -> None:
        """The static local is then a new function's, by another number, and still the kernel's."""
        before = self.INLINED.format("__attribute__((always_inline)) inline", "")
        after = self.INLINED.format("__attribute__((noinline))", " + 1")
        self.assertIn("static object seen", self.refused(before, after))

    def test_that_moves_into_a_function(self) -> None:
        before = "static int seen;\nint look(int x) { return outside(x) + seen++; }\n"
        after = "int look(int x) { static int seen; return outside(x) + seen--; }\n"
        self.assertIn("static object seen", self.refused(before, after))

    def test_that_moves_to_another_function(self) -> None:
        before = ("int look(int x) { static int seen; return outside(x) + seen++; }\nint see(int x) { return outside(x); }\n")
        after = ("int look(int x) { return outside(x); }\nint see(int x) { static int seen; return outside(x) + seen++; }\n")
        self.assertIn("static object seen", self.refused(before, after))

    def test_that_is_constant_and_known_by_its_address(self) -> None:
        before = ("struct ops { int (*f)(int); };\nextern int own(const struct ops *);\nextern const struct ops *current_ops;\n"
                  "int look(int x) { static const struct ops ops = { outside }; return own(&ops) + (current_ops == &ops) + x; }\n")
        self.REST += "int own(const void *x) { return 1; }\nconst void *current_ops;\n"
        self.assertEqual(self.owned(before, before.replace("+ x;", "- x;")), [])

    def test_a_new_one_is_the_module_s(self) -> None:
        before = "int look(int x) { static int seen; return outside(x) + seen++; }\n"
        after = "int look(int x) { static int seen, more; return outside(x) + seen++ + more++; }\n"
        self.assertEqual(self.owned(before, after), ["more"])

    def test_of_the_name_of_members_and_locals(self) -> None:
        """A name that is an object's, a member's and a local variable's: each is what the compiler took it for."""
        before = ("struct pond { int depth, wide; };\nint depth = 3;\n"
                  "int look(struct pond *p) { return outside(p->depth + p->wide); }\n"
                  "int deep(int x) { int depth = outside(x); return depth * depth + x; }\n"
                  "int global(int x) { return outside(x) + depth; }\n")
        after = before.replace("p->wide)", "p->wide * 2)").replace("depth + x;", "depth - x;").replace("+ depth;", "- depth;")
        comparison, null, new = self.arms(HEAD + before, HEAD + after)
        for arm in (null, new):
            self.assertEqual(len([name for _, name, _ in arm.symbols if name == "depth"]), 1)
            users = {label.split("+")[0] for label, _, _, symbol, _ in arm.fixes
                     if list(arm.symbols)[symbol][1] == "depth"}
            self.assertEqual(len(users), 1)		# global() only
            self.assembled(arm)
        self.assertEqual(sorted(compare.plan(comparison, comparison.difference()).entries), ["deep", "global", "look"])


class CallbackTest(Bodies):
    """No address of the module's code stays with anybody."""

    def refused(self, before: str, after: str) -> str:
        with self.assertRaises(Refused) as caught:
            self.arms(HEAD + before, HEAD + after)
        return str(caught.exception)

    LOOK = "int look(int x) { return outside(x); }\n"

    def test_the_address_of_a_changed_function_is_the_kernel_s(self) -> None:
        """As restart_block has it: who comes back later comes by way of the hook, or to the kernel's function."""
        before = ("int again(int x) { return outside(x) * 3; }\n"
                  "int look(int x) { return keep(again) + outside(x); }\n")
        _, null, new = self.arms(HEAD + before, HEAD + before.replace("* 3", "* 5").replace("+ outside(x); }", "- outside(x); }"))
        for arm in (null, new):
            self.assertIn("again", {name for _, name, _ in arm.symbols})
            self.assertEqual(arm.copied, [])

    def test_handed_over(self) -> None:
        late = "__attribute__((noinline)) static int late(int x) { return outside(x) - 1; }\n"
        self.REST += "int (*volatile fn)(int);\n"
        for how in ("return keep(late);", "extern int (*volatile fn)(int); fn = late; return x;",
                    "struct { int (*f)(int); } volatile *p = (void *)(long)x; p->f = late; return x;"):
            with self.subTest(how):
                self.assertIn("the address of late() would be kept", self.refused(self.LOOK, late + f"int look(int x) {{ {how} }}\n"))

    def test_by_the_function_itself(self) -> None:
        """It is called, and hands over its own address."""
        after = ("__attribute__((noinline)) static int late(int x) { return outside(x) + keep(late) + outside(x + 1); }\n"
                 "int look(int x) { return late(x) + late(x + 2); }\n")
        self.assertIn("the address of late() would be kept", self.refused(self.LOOK, after))

    def test_in_an_object_of_the_module_s(self) -> None:
        """As a timer or a work that is new: the object and its function go with the module."""
        for what in ("static int late(int x) { return outside(x) - 1; }\nstatic struct { int n; int (*f)(int); } work = { 1, late };\n",
                     "static struct { int n; int (*f)(int); } work = { 1, outside };\n"):
            after = what + "extern int queue(void *);\nint look(int x) { return queue(&work); }\n"
            self.REST = Bodies.REST + "int queue(void *x) { return 1; }\n"
            with self.subTest(what):
                self.assertRegex(self.refused(self.LOOK, after), r"(late\(\)|work).* could outlive the module")


class CallersTest(Bodies):
    """Who has a changed function inlined is changed, too."""

    BEFORE = ("static inline __attribute__((always_inline)) int in(int x) { return outside(x) * 3; }\n"
              "int one(int x) { return in(x) + 1; }\nint two(int x) { return in(x) + in(x + 1); }\n"
              "int three(int x) { return outside(x); }\n")

    def test_each_of_them(self) -> None:
        comparison, _, _ = self.arms(HEAD + self.BEFORE, HEAD + self.BEFORE.replace("* 3", "* 5"))
        self.assertEqual(list(compare.plan(comparison, comparison.difference()).entries), ["one", "two"])

    def test_a_file_of_nothing_but_system_calls_is_known_to_be_in_the_image(self) -> None:
        """Its other functions are inlined: it is told by these, or what it has of a changed header would be missed."""
        text = ("static int deep(int x)\n{\n\treturn x;\n}\n\nSYSCALL_DEFINE1(pond, int, depth)\n{\n\treturn deep(depth);\n}\n"
                "COMPAT_SYSCALL_DEFINE1(lake, int, depth)\n{\n\treturn deep(depth);\n}\n")
        self.assertLessEqual({"deep", "__x64_sys_pond", "__ia32_compat_sys_lake"}, headers.functions_of(text))

    def test_one_that_the_kernel_has_otherwise(self) -> None:
        """Where the kernel's caller is other code, it may have the function inlined: then the change would miss it."""
        before = ("{} int in(int x) {{ return outside(x) * 3 + outside(x + 1); }}\n"
                  "int one(int x) {{ return in(x) + 1; }}\nint two(int (*f)(int)) {{ return keep(in) + outside(1); }}\n")
        built = HEAD + before.format("__attribute__((noinline)) static")
        kernel = self.kernel(HEAD + before.format("static inline __attribute__((always_inline))"))
        placement = identity.Placement(self.unit(built, "before"), kernel)
        self.assertTrue(placement.identical("in"))
        self.assertIn("one", identity.doubtful_callers(placement, "in"))
        self.assertEqual(identity.doubtful_callers(identity.Placement(self.unit(built, "before"), self.kernel(built)), "in"), [])


class CopiesTest(Bodies):
    """Functions of the kernel's of which the changed bodies have a copy: a live patch of these has no effect there."""

    BEFORE = ("static {how} int in(int x) {{ return outside(x) * 3 + outside(x + 1); }}\n"
              "int look(int x) {{ return {look}; }}\nint see(int (*f)(int)) {{ return keep(in); }}\n")
    CALLED, INLINED = "__attribute__((noinline))", "inline __attribute__((always_inline))"

    def copies(self, before: tuple[str, str], after: tuple[str, str]) -> list[str]:
        old, new = (HEAD + self.BEFORE.format(how=how, look=look) for how, look in (before, after))
        comparison, _, arm = self.arms(old, new)
        entries = compare.plan(comparison, comparison.difference()).entries
        self.assertIn("look", entries)
        return copies.of(comparison.old, comparison.new, entries, [name.removesuffix("()") for name in arm.copied],
                         copies.words_added(f"+\treturn {after[1]};\n"))

    def test_what_is_called_is_none(self) -> None:
        self.assertEqual(self.copies((self.CALLED, "in(x) - 2"), (self.CALLED, "in(x) + 1")), [])

    def test_what_was_called_and_is_inlined(self) -> None:
        self.assertEqual(self.copies((self.CALLED, "in(x) - 2"), (self.INLINED, "in(x) + 1")), ["in"])

    def test_what_the_patch_calls_and_is_inlined(self) -> None:
        self.assertEqual(self.copies((self.CALLED, "outside(x)"), (self.INLINED, "in(x) + 1")), ["in"])

    def test_what_is_not_mentioned(self) -> None:
        self.assertEqual(self.copies((self.CALLED, "outside(x)"), (self.CALLED, "outside(x) + 1")), [])


class ConfigurationTest(Bodies):
    """Kernels that are configured otherwise: the compiler's flags are theirs, and what comes of it fits, or is refused."""

    # Static functions whose address nobody takes have no landing pad, whatever the configuration.
    TEXT = HEAD + ("__attribute__((noinline)) static int in(int x) { return outside(x) * 3 + outside(x + 1); }\n"
                   "int look(int x) { return in(x) + in(x + 1) + 1; }\nint see(int (*f)(int), int x) { return f(x); }\n")

    def with_flags(self, *instead: str) -> None:
        """FLAGS with others in the place of those that begin alike."""
        begins = tuple(flag.partition("=")[0] + "=" for flag in instead)
        self.flags = (*(flag for flag in FLAGS if not flag.startswith(begins)), *instead)

    def body(self, before: str, name: str, after: str) -> tuple[bytes, bytes]:
        """(what the compiler has behind the ftrace site, the body), without what is bound."""
        comparison, null, new = self.arms(self.TEXT, self.TEXT.replace(before, after))
        self.assembled(new)
        made, function = self.assembled(null), comparison.old.functions[name]
        body = made.functions()[f"uplift_t_null_1_{name}"]
        found = bytearray(made.bytes(made.sections[body.section])[body.value:body.value + body.size])
        skip = function.size - body.size
        code = comparison.old.obj.bytes(comparison.old.obj.sections[function.section])
        wanted = bytearray(code[function.value + skip:function.value + function.size])
        for reference in comparison.old.of_function(function):
            at = reference.offset - function.value - skip
            if at >= 0:
                wanted[at:at + reference.width] = found[at:at + reference.width] = bytes(reference.width)
        self.assertIn(skip, (5, 9))
        return bytes(wanted), bytes(found)

    def test_with_and_without_landing_pads(self) -> None:
        for protection, pads in (("branch", True), ("none", False)):
            self.with_flags(f"-fcf-protection={protection}")
            for name, before, after, has_pad in (("look", "+ 1;", "+ 2;", pads), ("in", "* 3", "* 5", False)):
                with self.subTest(protection=protection, function=name):
                    wanted, found = self.body(before, name, after)
                    self.assertEqual(found, wanted)
                    self.assertFalse(found.startswith(b"\xf3\x0f\x1e\xfa"))
                    unit = self.unit(self.TEXT)
                    function = unit.functions[name]
                    code = unit.obj.bytes(unit.obj.sections[function.section])[function.value:]
                    self.assertEqual(code.startswith(b"\xf3\x0f\x1e\xfa"), has_pad)

    def test_without_return_thunks(self) -> None:
        """There is no room for a jump to where leaving is counted."""
        self.with_flags("-mfunction-return=keep")
        with self.assertRaisesRegex(Refused, r"look\(\) returns by a plain instruction: the kernel is built without rethunk"):
            self.arms(self.TEXT, self.TEXT.replace("+ 1;", "+ 2;"))

    def test_without_retpolines(self) -> None:
        """A function that is left by an indirect jump."""
        self.with_flags("-mindirect-branch=keep")
        self.flags = tuple(flag for flag in self.flags if flag != "-mindirect-branch-register")
        with self.assertRaisesRegex(Refused, r"see\(\) returns by a plain instruction"):
            self.arms(self.TEXT, self.TEXT.replace("return f(x);", "return f(x + 1);"))

    def test_with_padding_in_front_of_functions(self) -> None:
        """As call depth tracking has it: what is in the padding is no part of the body."""
        self.flags = (*FLAGS, "-fpatchable-function-entry=16,16")
        wanted, found = self.body("+ 1;", "look", "+ 2;")
        self.assertEqual(found, wanted)

    def test_another_configuration_than_the_kernel_s(self) -> None:
        """The same source with other flags is other code: it is not used."""
        kernel = self.kernel(self.TEXT)
        self.with_flags("-mfunction-return=keep")
        self.assertIn("look", identity.Placement(self.unit(self.TEXT), kernel).why)


if __name__ == "__main__":
    unittest.main()
