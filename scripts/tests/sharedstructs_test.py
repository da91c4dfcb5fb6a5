# SPDX-License-Identifier: GPL-2.0-only
"""Structs that a patch moves, and those that it does not: objects made here by the compiler, before and after."""

import pathlib
import sys
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.generator.objects import Refused	# noqa: E402
from upliftlib.lab import sharedstructs	# noqa: E402
from tests import objects_test	# noqa: E402


class SharedStructsTest(objects_test.Made):
    TEXT = ("struct in { int a; char b; }; union either { long l; int i; };\n"
            "struct pond { int depth; unsigned wide : 3, deep : 5; char *name; struct in in; union either e; long more[3];\n"
            "\tstruct { int x, y; } at; struct { int w; union { int u; float f; }; } many[2]; };\n"
            "long use(struct pond *p) { return p->depth + p->wide + p->in.a + p->e.l + p->more[1]; }\n")

    def unmoved(self, before: str, after: str) -> int:
        self.assertIn(before, self.TEXT)
        return sharedstructs.unmoved(self.obj(self.TEXT, "a", "-gbtf"), self.obj(self.TEXT.replace(before, after), "b", "-gbtf"))

    def refused(self, before: str, after: str) -> str:
        with self.assertRaises(Refused) as caught:
            self.unmoved(before, after)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_what_changes_is_named(self) -> None:
        self.assertIn("struct pond changes (member extra)", self.refused("char *name;", "char *name; int extra;"))
        self.assertIn("struct pond changes (member wide)", self.refused("wide : 3", "wide : 4"))
        self.assertEqual("the layout of struct in changes (member b)", self.refused("char b;", "short b;"))
        self.assertIn("struct in changes (member c)", self.refused("char b;", "char b, c;"))	# in a hole
        self.assertIn("union either changes", self.refused("union either { long l; int i; }", "union either { long l; short i; }"))
        self.assertEqual("the layout of struct pond changes (its size, 80 and 128 bytes)",
                         self.refused("many[2]; };", "many[2]; } __attribute__((aligned(64)));"))

    def test_what_moves_with_it_is_named_too(self) -> None:
        self.assertRegex(self.refused("char b;", "char b[8];"), r"struct in changes \(member b\), of struct pond \(member ")

    def test_two_of_a_kind_that_change_places(self) -> None:
        """Sizes and types are what they were, and old code reads one for the other."""
        self.assertIn("struct pond changes (member at.y)", self.refused("int x, y;", "int y, x;"))

    def test_inside_of_what_has_no_name(self) -> None:
        self.assertIn("struct pond changes (member many[].f)", self.refused("float f;", "char f;"))
        self.assertIn("struct pond changes (member many[].u)", self.refused("int w; union { int u; float f; };",
                                                                            "union { int u; float f; }; int w;"))

    def test_what_a_member_holds(self) -> None:
        self.assertIn("struct pond changes (member name)", self.refused("char *name;", "long name;"))
        self.assertIn("struct pond changes (member more)", self.refused("long more[3]", "int more[6]"))
        self.assertIn("struct pond changes (member in)", self.refused("struct in in;", "struct { int a; char b; } in;"))

    def test_a_new_name_and_another_pointer_are_no_change(self) -> None:
        self.assertEqual(self.unmoved("char *name", "void *title"), 3)
        self.assertEqual(self.unmoved("int depth;", "unsigned depth;"), 3)

    def test_code_alone(self) -> None:
        self.assertEqual(self.unmoved("p->in.a", "2 * p->in.a"), 3)

    def test_without_types(self) -> None:
        with self.assertRaisesRegex(Refused, "a.o: compiled without types"):
            sharedstructs.unmoved(self.obj(self.TEXT, "a"), self.obj(self.TEXT, "b", "-gbtf"))


if __name__ == "__main__":
    unittest.main()
