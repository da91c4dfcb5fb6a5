# SPDX-License-Identifier: GPL-2.0-only
"""Patches that `uplift lab tries` makes of two trees, and its table."""

from __future__ import annotations

import pathlib
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, paths, targets	# noqa: E402
from upliftlib.generator import patch	# noqa: E402
from upliftlib.lab import tries	# noqa: E402

OLD = "struct post {\n\tint a;\n};\n\nint one(int x)\n{\n\treturn x;\n}\n\nint two(int x)\n{\n\treturn one(x);\n}\n"
NEW = ("struct post {\n\tint a;\n\tint b;\n};\n\nint one(int x, int y)\n{\n\treturn x + y;\n}\n\nstatic int help(int x)\n{\n"
       "\treturn -x;\n}\n\nint two(int x)\n{\n\tstruct post box = { x };\n\n\treturn help(one(x, 1)) + box.b;\n}\n")


class MadeTest(unittest.TestCase):
    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.src = pathlib.Path(temp.name)
        patcher = mock.patch.object(paths, "SRC", self.src)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.names = list(targets.TABLE)[-3:]
        for name, text in zip(self.names, (OLD, OLD.replace("return x;", "return x + 0;"), NEW)):
            for path, data in (("MAINTAINERS", ""), ("fs/pond.c", text)):
                (self.src / name / path).parent.mkdir(parents=True, exist_ok=True)
                (self.src / name / path).write_text(data)
        self.trees = tries.Trees(self.names[0], None)

    def applied(self, text: str) -> str:
        return patch.apply(patch.parse(text, "x"), lambda path: OLD)["fs/pond.c"]

    def test_the_first_kernel_in_which_it_differs(self) -> None:
        self.assertEqual(self.trees.patch(tries.Wanted("one", "fs/pond.c", ("one",)))[0], self.names[1])
        newer, text = self.trees.patch(tries.Wanted("two", "fs/pond.c", ("two",)))
        self.assertEqual(newer, self.names[2])
        self.assertIn("return help(one(x, 1)) + box.b;", self.applied(text))
        self.assertNotIn("static int help", self.applied(text))

    def test_where_it_is_the_same(self) -> None:
        self.assertEqual(self.trees.patch(tries.Wanted("post", "fs/pond.c", ("none",))),
                         ("", f"the same in {self.names[1]} {self.names[2]}"))
        self.assertRegex(self.trees.patch(tries.Wanted("x", "fs/lake.c", ("x",)))[1], "No such file")

    def test_no_later_kernel(self) -> None:
        with self.assertRaisesRegex(errors.Problem, "no source of a kernel later than") as caught:
            tries.Trees(self.names[2], None)
        self.assertEqual(caught.exception.code, errors.USAGE)

    def test_what_the_compiler_misses_comes_along(self) -> None:
        wanted: tries.Wanted | None = tries.Wanted("two", "fs/pond.c", ("two",))
        said = ("x.c: error: storage size of 'box' isn't known", "x.c:1:1: error: implicit declaration of function 'help'",
                "x.c: error: too many arguments to function 'one'")
        for line in said:
            match = tries._MISSES.search(line)
            assert match and wanted
            wanted = self.trees.with_one(self.names[2], wanted, next(filter(None, match.groups())))
        assert wanted
        self.assertEqual(wanted.names, ("struct post", "one", "help", "two"))
        self.assertIsNone(self.trees.with_one(self.names[2], wanted, "help"))
        self.assertIsNone(self.trees.with_one(self.names[2], wanted, "nothing"))
        self.assertEqual(self.applied(self.trees.diff(self.names[2], wanted)), NEW)

    def test_drawn_by_a_seed(self) -> None:
        symbols = {"one": [1], "two": [2]}
        self.assertEqual([(one.file, one.names) for one in self.trees.drawn(1, 5, symbols)], [("fs/pond.c", ("one",))])
        with self.assertRaisesRegex(errors.Problem, "only 1 functions differ"):
            self.trees.drawn(2, 5, symbols)

    def test_the_table(self) -> None:
        rows = [{"patch": "one", "from": "7.1", "outcome": "built", "reason": "", "functions": {"f": "", "g": ""}, "seconds": {"all": 8.5}},
                {"patch": "two", "from": "", "outcome": "no patch", "reason": "the same in 7.1"}]
        self.assertEqual(tries.table(rows).splitlines()[2:], ["| one | 7.1 | built | f, g | 8.5 |",
                                                             "| two |  | no patch | the same in 7.1 |  |", "", "1 built, 1 no patch"])


if __name__ == "__main__":
    unittest.main()
