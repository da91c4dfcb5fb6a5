# SPDX-License-Identifier: GPL-2.0-only
"""`make quick`: which files have changed, and what could be broken by them."""

import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = TOP / "scripts"
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, steps, targets	# noqa: E402
from upliftlib.lab import sourcetree, touched	# noqa: E402
from tests import roles	# noqa: E402

ONE, OTHER, *_ = roles.names(roles.redirects)
BACKPORT, INSPECTOR = next(roles.names(roles.backport)), next(roles.names(roles.inspector))


class Git(unittest.TestCase):
    def setUp(self) -> None:
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(touched.paths, "TOP", self.top))

    def git(self, *words: str) -> str:
        if not shutil.which("git"):
            self.skipTest("no git here")
        env = {"PATH": os.environ["PATH"], "HOME": str(self.top), "GIT_CONFIG_NOSYSTEM": "1"}
        for who in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{who}_NAME": "x", f"GIT_{who}_EMAIL": "x@example.org"}
        return subprocess.run(["git", "-C", self.top, *words], check=True, text=True, stdout=subprocess.PIPE, env=env).stdout

    def commit(self, *names: str) -> str:
        for name in names:
            (self.top / name).write_text(f"{name} {len(list(self.top.iterdir()))}")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", " ".join(names))
        return self.git("rev-parse", "HEAD").strip()

    def changed(self) -> list[str]:
        return [str(path) for path in touched.changed(touched.base())]

    def test_a_branch(self) -> None:
        """All since it left main: committed, staged, changed, new and removed."""
        self.git("init", "-q", "-b", "main")
        self.commit("old", "gone", "staged", "edited")
        self.git("checkout", "-q", "-b", "mine")
        self.commit("mine", ".gitignore")
        (self.top / ".gitignore").write_text("ignored\n")
        for name in ("staged", "edited", "new", "ignored"):
            (self.top / name).write_text("x")
        (self.top / "gone").unlink()
        self.git("add", "staged")
        self.assertEqual(self.changed(), [".gitignore", "edited", "gone", "mine", "new", "staged"])

    def test_main(self) -> None:
        """What is not committed; the last commit where nothing is."""
        self.git("init", "-q", "-b", "main")
        first = self.commit("one")
        self.assertEqual(self.changed(), [])
        self.commit("two")
        self.assertEqual(self.changed(), ["two"])
        (self.top / "three").write_text("")
        self.assertEqual(self.changed(), ["three"])
        self.assertEqual(touched.base(first[:10]), first)
        with self.assertRaisesRegex(errors.Problem, "no commit 'nonsense'"):
            touched.base("nonsense")

    def test_no_git(self) -> None:
        """Neither a checkout nor, where PATH has none, the program."""
        with mock.patch.dict(os.environ, PATH=str(self.top)), self.assertRaisesRegex(errors.Problem, "no git checkout"):
            touched.base()
        with self.assertRaisesRegex(errors.Problem, "no git checkout"):
            touched.base()


class What(unittest.TestCase):
    """On this tree."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.tree = sourcetree.Tree()	# takes a second to read

    def of(self, *names: str) -> touched.Touched:
        return touched.touched([pathlib.Path(name) for name in names], self.tree)

    def test_a_change(self) -> None:
        found = self.of(f"modules/{ONE}/{ONE}_main.c")
        self.assertTrue(found.modules)
        self.assertEqual((found.suites, found.scripts), (f"uplift_{ONE}", [ONE]))
        self.assertIn("checkpatch", found.checks)
        self.assertEqual(self.of(f"modules/backports/{BACKPORT}/{BACKPORT}.cocci").scripts, ["backports"])

    def test_what_all_changes_use(self) -> None:
        found = self.of("modules/core/core.c")
        self.assertEqual((found.suites, found.scripts), ("*", [touched.SMOKE]))

    def test_two_changes(self) -> None:
        found = self.of(f"modules/{ONE}/{ONE}_main.c", f"modules/{OTHER}/{OTHER}_main.c")
        self.assertEqual((found.suites, set(found.scripts)), ("*", {ONE, OTHER}))

    def test_a_suite(self) -> None:
        found = self.of(f"kunit/{INSPECTOR}_kunit.c")
        self.assertEqual((found.modules, found.suites, found.scripts), (False, f"uplift_{INSPECTOR}", []))

    def test_selftests(self) -> None:
        self.assertEqual(self.of("selftests/refusals.sh").scripts, ["refusals"])
        self.assertEqual(self.of(f"selftests/{ONE}_io.c").scripts, [ONE])
        self.assertEqual(self.of("selftests/lib.sh").scripts, [touched.SMOKE])

    def test_python(self) -> None:
        found = self.of("scripts/upliftlib/report/stats.py")
        self.assertLessEqual({"stats", "dossier"}, set(found.unit))
        self.assertFalse({"apt", "ktap", "parallel"} & set(found.unit))
        self.assertFalse(found.modules)
        everywhere = self.of("scripts/upliftlib/base/errors.py")
        self.assertTrue(everywhere.modules)		# the generator reads it
        self.assertEqual(everywhere.scripts, [touched.SMOKE])

    def test_entry_points(self) -> None:
        self.assertEqual({"fleet"} - set(self.of("scripts/fleet").unit), set())
        self.assertEqual({"unit"} - set(self.of("scripts/unit").unit), set())
        self.assertIn("torture", self.of("scripts/torture").unit)

    def test_documents(self) -> None:
        for name in ("README.md", "docs/design.md"):
            found = self.of(name)
            self.assertIn("documented", found.unit, name)
            self.assertEqual((found.modules, found.suites, found.scripts), (False, "", []))

    def test_one_that_is_gone(self) -> None:
        self.assertIn("shape", self.of("scripts/upliftlib/lab/gone.py", "modules/gone/gone.c").checks)

    def test_the_checks_are_there(self) -> None:
        there = (SCRIPTS / "check").read_text()
        for names in touched.CHECKS.values():
            for name in names:
                self.assertIn(f"def check_{name}(", there)


class Plan(unittest.TestCase):
    """scripts/quick makes steps of it."""

    def test_steps(self) -> None:
        loader = importlib.machinery.SourceFileLoader("uplift_quick", str(SCRIPTS / "quick"))
        spec = importlib.util.spec_from_loader("uplift_quick", loader)
        assert spec
        quick = importlib.util.module_from_spec(spec)
        loader.exec_module(quick)
        test = quick.of_make_test()
        found = touched.Touched(["stats"], ["shape"], True, f"uplift_{ONE}", [ONE])
        every = quick.plan(found, list(targets.TABLE)[0], test)
        steps.check(every)
        self.assertEqual([step.name for step in every], ["unit", "modules", "selftests", "kunit", "check"])
        runner = mock.Mock(**{"command.return_value": (2, "")})
        for step in every:
            self.assertTrue(step.run(runner).failed, step.name)
        said = [" ".join(str(word) for word in call.args) for call in runner.command.call_args_list]
        for words in ("unit stats", f"lab build --json {list(targets.TABLE)[0]}", f"--only {ONE}",
                      f"kunit.py --arch um --filter uplift_{ONE}", "check shape"):
            self.assertTrue(any(words in line for line in said), words)
        self.assertEqual(quick.plan(touched.Touched(), list(targets.TABLE)[0], test), [])


if __name__ == "__main__":
    unittest.main()
