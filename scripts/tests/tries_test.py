# SPDX-License-Identifier: GPL-2.0-only
"""Patches that `uplift lab tries` makes of two trees, and its table."""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, paths, targets	# noqa: E402
from upliftlib.generator import patch	# noqa: E402
from upliftlib.lab import derived, functiondiff, loading, tries	# noqa: E402
from upliftlib.lab.guest import result as guest_result	# noqa: E402

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
        self.trees = derived.Trees(self.names[0], None)

    def applied(self, text: str) -> str:
        return patch.apply(patch.parse(text, "x"), lambda path: OLD)["fs/pond.c"]

    def test_the_first_kernel_in_which_it_differs(self) -> None:
        self.assertEqual(self.trees.patch(derived.Wanted("one", "fs/pond.c", ("one",)))[0], self.names[1])
        newer, text = self.trees.patch(derived.Wanted("two", "fs/pond.c", ("two",)))
        self.assertEqual(newer, self.names[2])
        self.assertIn("return help(one(x, 1)) + box.b;", self.applied(text))
        self.assertNotIn("static int help", self.applied(text))

    def test_where_it_is_the_same(self) -> None:
        self.assertEqual(self.trees.patch(derived.Wanted("post", "fs/pond.c", ("none",))),
                         ("", f"{self.names[2]}: no function none() in fs/pond.c"))
        self.assertEqual(self.trees.patch(derived.Wanted("two", "fs/pond.c", ("two",)))[0], self.names[2])
        self.assertEqual(derived.Trees(self.names[0], self.names[1]).patch(derived.Wanted("two", "fs/pond.c", ("two",))),
                         ("", f"the same in {self.names[1]}"))
        self.assertRegex(self.trees.patch(derived.Wanted("x", "fs/lake.c", ("x",)))[1], "No such file")

    def test_no_later_kernel(self) -> None:
        with self.assertRaisesRegex(errors.Problem, "no source of a kernel later than") as caught:
            derived.Trees(self.names[2], None)
        self.assertEqual(caught.exception.code, errors.USAGE)

    def test_what_the_compiler_misses_comes_along(self) -> None:
        wanted: derived.Wanted | None = derived.Wanted("two", "fs/pond.c", ("two",))
        said = ("x.c: error: storage size of 'box' isn't known", "x.c:1:1: error: implicit declaration of function 'help'",
                "x.c: error: too many arguments to function 'one'")
        for line in said:
            match = derived._MISSES.search(line)
            assert match and wanted
            wanted = self.trees.with_one(self.names[2], wanted, next(filter(None, match.groups())))
        assert wanted
        self.assertEqual(wanted.names, ("struct post", "one", "help", "two"))
        self.assertIsNone(self.trees.with_one(self.names[2], wanted, "help"))
        self.assertIsNone(self.trees.with_one(self.names[2], wanted, "nothing"))
        self.assertEqual(self.applied(self.trees.diff(self.names[2], wanted)), NEW)

    LOG = ("  CC x.o\nfs/pond.c: In function 'two':\nfs/pond.c:9:2: error: implicit declaration of function 'help'; did you mean 'x'?\n"
           "fs/pond.c:9:2: warning: unused\nfs/pond.c:9:2: error: implicit declaration of function 'help'\n"
           "fs/pond.c: In function 'other':\nfs/pond.c:30:9: error: too few arguments to function 'one'\n"
           "fs/pond.c:31:9: error: passing argument 2 of 'far' makes pointer from integer without a cast\n")

    def test_what_a_compiler_complains_of(self) -> None:
        self.assertEqual([(one.name, one.where) for one in derived.complaints(self.LOG)],
                         [("help", "two"), ("one", "other"), ("far", "other")])

    def test_callers_of_what_has_other_arguments(self) -> None:
        """The first time the function comes along, and then those that call it as it was."""
        wanted = derived.Wanted("one", "fs/pond.c", ("one",))
        missing = [derived.Missing("one", "two")]
        more = self.trees.with_missing(self.names[2], wanted, missing)
        assert more
        self.assertEqual(more.names, ("one", "two"))
        self.assertIsNone(self.trees.with_missing(self.names[2], wanted, missing * (derived.MOST_MISSING + 1)))
        self.assertIsNone(self.trees.with_missing(self.names[2], more, [derived.Missing("one", "two"), derived.Missing("gone", "")]))

    def test_what_only_a_later_header_has(self) -> None:
        text = "#ifndef POND_H\n#define POND_H\n\nstatic inline int was(void)\n{\n\treturn 1;\n}\n\n#endif\n"
        more = text.replace("return 1", "return 3").replace("#endif", "#define HELP(x) (x)\n\nstatic inline int help(int x)\n{\n\treturn HELP(x);\n}\n\n#endif")
        for name, header in zip(self.names, (text, text, more)):
            (self.src / name / "include/linux").mkdir(parents=True)
            (self.src / name / "include/linux/pond.h").write_text(header)
        wanted = derived.Wanted("two", "fs/pond.c", ("struct post", "one", "two"))
        missing = [derived.Missing("help", "two"), derived.Missing("was", "two")]
        with mock.patch.object(self.trees, "with_one", return_value=None):
            found = self.trees.with_missing(self.names[2], wanted, [*missing, derived.Missing("HELP", "")])
        assert found
        self.assertEqual(found.beside, (("include/linux/pond.h", "help"), ("include/linux/pond.h", "define HELP")))
        header = patch.apply(patch.parse(self.trees.diff(self.names[2], found), "x"),
                             lambda path: text if path.endswith(".h") else OLD)["include/linux/pond.h"]
        self.assertEqual(header, text.replace("\n#endif", "\n\n#define HELP(x) (x)\n\nstatic inline int help(int x)\n{\n\treturn HELP(x);\n}\n\n#endif"))

    def test_changes_that_are_not_meant(self) -> None:
        self.assertEqual(functiondiff.without("a\nb\nc\nd\n", "a\nB(x)\nc\nD(y)\n", ("D",)), "a\nB(x)\nc\nd\n")
        self.assertEqual(functiondiff.without("a\nb\n", "a\nBD\n", ("D",)), "a\nBD\n")
        wanted = derived.Wanted("two", "fs/pond.c", ("two",), leave=("help",))
        self.assertNotIn("help", self.trees.patch(wanted)[1])

    def test_changes_that_are_meant(self) -> None:
        self.assertEqual(functiondiff.without("a\nb\nc\nd\n", "a\nB(x)\nc\nD(y)\n", (), ("D",)), "a\nb\nc\nD(y)\n")
        self.assertEqual(functiondiff.without("a\nb\nc\nd\n", "a\nB(x)\nc\nD(y)\n", ("B",), ("B", "D")), "a\nb\nc\nD(y)\n")
        text = self.trees.patch(derived.Wanted("two", "fs/pond.c", ("one", "two"), take=("y",)))[1]
        self.assertIn("return x + y;", self.applied(text))
        self.assertNotIn("box", self.applied(text))

    def test_a_form_for_this_kernel_s_function(self) -> None:
        last = derived.Wanted("two", "fs/pond.c", ("two",))
        renamed = derived.Wanted("two", "fs/pond.c", ("pair=two",))
        when = derived.Wanted("two", "fs/pond.c", ("one", "two"), when="one(x)")
        self.assertIs(self.trees.form([renamed, when, last]), when)
        self.assertIs(self.trees.form([derived.Wanted("two", "fs/pond.c", ("two",), when="help("), last]), last)
        self.assertIs(self.trees.form([derived.Wanted("x", "fs/lake.c", ("two",)), renamed]), renamed)

    def outcome(self, *reasons: str) -> tuple[str, int]:
        """(the reason that is told, the number of patches) where these are given one after the other."""
        code = types.SimpleNamespace(directory=self.src, said=lambda root: self.LOG)
        given = iter(reasons)
        tried: list[str] = []

        def once(code: object, newer: str, text: str, wanted: derived.Wanted, only: str) -> tuple[object, dict[str, str]]:
            tried.append(text)
            return types.SimpleNamespace(outcome=types.SimpleNamespace(name="two")), {"reason": next(given)}

        with mock.patch.object(tries, "_once", once):
            row = tries.tried(code, self.trees, derived.Wanted("two", "fs/pond.c", ("two",)), "build")[1]	# type: ignore[arg-type]
        return row["reason"], len(set(tried))

    def test_the_reason_is_the_patch_s_own(self) -> None:
        lacks = "x.c does not compile with the patch: one"
        self.assertEqual(self.outcome(lacks, ""), ("", 2))
        self.assertEqual(self.outcome(lacks, "the layout of struct post changes"), ("the layout of struct post changes", 2))
        self.assertEqual(self.outcome(lacks, "x.c does not compile with the patch: two"), (lacks, 2))
        self.assertEqual(self.outcome("assembly"), ("assembly", 1))

    def test_a_function_that_is_called_otherwise_later(self) -> None:
        later = self.src / self.names[2] / "fs/pond.c"
        later.write_text(NEW.replace("int two(", "int pair(").replace("help(one", "help(pair"))
        text = self.trees.patch(derived.Wanted("two", "fs/pond.c", ("two=pair",)))[1]
        self.assertIn("int two(int x)\n{\n\tstruct post box = { x };\n\n\treturn help(two(x, 1))", self.applied(text))

    def test_by_hand(self) -> None:
        newer, text = self.trees.patch(derived.Wanted("one", "fs/pond.c", ("one",), put=(("return x;", "return x | 8;"),)))
        self.assertEqual((newer, self.applied(text)), (derived.BY_HAND, OLD.replace("return x;", "return x | 8;")))
        self.assertEqual(self.trees.patch(derived.Wanted("one", "fs/pond.c", ("one",), put=(("return y;", ""),))),
                         ("", "one is otherwise here"))

    def test_what_a_later_text_needs_besides(self) -> None:
        newer, text = self.trees.patch(derived.Wanted("two", "fs/pond.c", ("two",), put=(("box.b", "box.c"),)))
        self.assertEqual(newer, self.names[2])
        self.assertIn("+ box.c;", self.applied(text))

    def test_drawn_by_a_seed(self) -> None:
        symbols = {"one": [1], "two": [2]}
        self.assertEqual([(one.file, one.names) for one in self.trees.drawn(1, 5, symbols)], [("fs/pond.c", ("one",))])
        with self.assertRaisesRegex(errors.Problem, "only 1 functions differ"):
            self.trees.drawn(2, 5, symbols)

    def test_only_some(self) -> None:
        code = types.SimpleNamespace(kernel=lambda: types.SimpleNamespace(symbols={"one": [1], "two": [2]}))

        def labels(draw: int | None, *names: str) -> list[str]:
            args = argparse.Namespace(draw=draw, seed=3, patch=list(names))
            with contextlib.redirect_stderr(io.StringIO()):
                return [one.label for one in tries._wanted(args, code, self.trees)]	# type: ignore[arg-type]

        self.assertEqual(labels(None), list(dict.fromkeys(one.label for one in tries.LIST)))
        self.assertEqual(labels(None, "mincore", "pipe_poll"), ["pipe_poll", "mincore"])
        self.assertEqual(labels(1), ["one_1"])
        self.assertEqual(labels(1, "one_1"), ["one_1"])
        with self.assertRaisesRegex(errors.Problem, "no such patch 'mincore'; there are: one_1"):
            labels(1, "mincore")

    def test_the_table(self) -> None:
        rows = [{"patch": "one", "from": "7.1", "outcome": "built", "reason": "", "functions": {"f": "", "g": ""}, "seconds": {"all": 8.5}},
                {"patch": "two", "from": "", "outcome": "no patch", "reason": "the same in 7.1"}]
        self.assertEqual(tries.table(rows).splitlines()[2:], ["| one | 7.1 | built | f, g | 8.5 |",
                                                             "| two |  | no patch | the same in 7.1 |  |", "", "1 built, 1 no patch"])


class LoadedTest(unittest.TestCase):
    """What is made of what a guest with many modules has left."""

    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.result = guest_result.in_directory(pathlib.Path(temp.name))
        self.result.rc = 0
        self.result.outdir.mkdir()
        self.leave("done", "a\nb\n")
        for name in ("off", "off_again", "a.null", "a.new", "b.null", "b.new"):
            self.leave(f"seen.{name}", self.SAME)
        for name in "ab":
            self.leave(f"stats.{name}", "function: f\narm: null\ncalls_null: 40\ncalls_new: 2\ninside: 7\n")

    SAME = "pipe 3000 calls 00ff\nmemory 2000 calls 1234\n"

    def leave(self, name: str, text: str) -> None:
        (self.result.outdir / name).write_text(text)

    def test_all_is_well(self) -> None:
        self.assertEqual(loading.judged("a", self.result), loading.Loaded(calls=42))

    def test_null_is_not_off(self) -> None:
        self.leave("seen.a.null", self.SAME.replace("1234", "1235"))
        self.assertIn("null behave unlike off (memory)", loading.judged("a", self.result).problem)
        self.assertEqual(loading.judged("b", self.result).problem, "")

    def test_new_is_not_off(self) -> None:
        self.leave("seen.a.new", self.SAME.replace("00ff", "00fe"))
        found = loading.judged("a", self.result)
        self.assertEqual((found.problem, len(found.notes)), ("", 1))

    def test_what_varies_by_itself(self) -> None:
        self.leave("seen.off_again", self.SAME.replace("00ff", "00fd"))
        self.leave("seen.a.null", self.SAME.replace("00ff", "00fe"))
        self.assertEqual(loading.judged("a", self.result), loading.Loaded(calls=42))
        self.leave("seen.a.null", "pipe 3000 calls 00ff\n")
        self.assertIn("null behave unlike off", loading.judged("a", self.result).problem)

    def test_what_differs_by_chance(self) -> None:
        """It is run again: only what differs both times is a difference."""
        self.leave("seen.a.null", self.SAME.replace("00ff", "00fe"))
        self.leave("seen.a.null.twice", self.SAME)
        self.assertEqual(loading.judged("a", self.result), loading.Loaded(calls=42))
        self.leave("seen.a.null.twice", self.SAME.replace("1234", "1235"))
        self.assertEqual(loading.judged("a", self.result), loading.Loaded(calls=42))
        self.leave("seen.a.null.twice", self.SAME.replace("1234", "1235").replace("00ff", "00fc"))
        self.assertIn("null behave unlike off (pipe)", loading.judged("a", self.result).problem)
        self.leave("seen.a.null.twice", "pipe 3000 calls 00ff\n")
        self.assertIn("null behave unlike off (another number of them)", loading.judged("a", self.result).problem)

    def test_one_that_is_not_through(self) -> None:
        self.leave("done", "b\n")
        self.assertIn("cannot be loaded, switched or unloaded", loading.judged("a", self.result).problem)

    def test_a_module_that_is_not_pinned(self) -> None:
        self.leave("gone", "b ext4\n")
        self.assertIn("ext4 could be unloaded", loading.judged("b", self.result).problem)
        self.assertEqual(loading.judged("a", self.result).problem, "")

    def test_a_guest_that_fails(self) -> None:
        self.result.oops.append("BUG: all is lost")
        self.assertIn("BUG: all is lost", loading.judged("a", self.result).problem)

    def test_the_script_is_a_shell_s(self) -> None:
        one = types.SimpleNamespace(stock=["ext4"], outcome=types.SimpleNamespace(name="a"))
        text = loading.script([one, one])	# type: ignore[list-item]
        self.assertEqual(subprocess.run(["sh", "-n"], input=text, text=True).returncode, 0)
        self.assertEqual(text.splitlines().count("each a 'ext4'"), 2)
        self.assertIn("for module in ext4; do", text)


if __name__ == "__main__":
    unittest.main()
