# SPDX-License-Identifier: GPL-2.0-only
"""scripts/check's `lint` and `types`: trees made bad on purpose are refused, and nothing but tests is left out."""

import contextlib
import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import paths	# noqa: E402

TOOLS = ("mypy", "pyflakes3")
GOOD = '"""A module."""\n\n\ndef length(text: str) -> int:\n    """Its length."""\n    return len(text)\n'
ENTRY = f"#!/usr/bin/env python3\n{GOOD}"


def load() -> types.ModuleType:
    loader = importlib.machinery.SourceFileLoader("uplift_check", str(SCRIPTS / "check"))
    spec = importlib.util.spec_from_loader("uplift_check", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def on_host(argv: list[str], cwd: pathlib.Path) -> tuple[int, str]:
    done = subprocess.run([str(word) for word in argv], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


class Files(unittest.TestCase):
    def test_all_python_is_found(self) -> None:
        check = load()
        check.sort_files()
        git = [str(path) for path in check.ALL]
        for path in ("scripts/check", "scripts/kunit.py", "scripts/uplift", "scripts/upliftlib/lab/guest/booting.py"):
            self.assertIn(path, check.PYTHON)
        self.assertEqual([path for path in git if path.endswith(".py") and path not in check.PYTHON], [])


class BadTrees(unittest.TestCase):
    def setUp(self) -> None:
        self.check = load()
        here = all(map(shutil.which, TOOLS))
        if not here and (os.geteuid() or not all((paths.ROOT / "usr/bin" / tool).exists() for tool in TOOLS)):
            self.skipTest(f"{' and '.join(TOOLS)} are neither here nor in a build root")
        # in the build root it sees what is below build/
        temp = tempfile.TemporaryDirectory(dir=None if here else paths.ensure(paths.BUILD))
        self.addCleanup(temp.cleanup)
        self.tree = pathlib.Path(temp.name)
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(self.check, "TREE", self.tree))
            if here:
                stack.enter_context(mock.patch.object(self.check.buildroot, "output", on_host))
            self.addCleanup(stack.pop_all().close)
        for name in ("scripts/upliftlib/__init__.py", "scripts/upliftlib/base/__init__.py"):
            self.write(name, '"""A package."""\n')
        self.write("scripts/upliftlib/base/words.py", GOOD)
        self.write("scripts/tool", ENTRY)

    def write(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def found(self, name: str) -> list[str]:
        self.check.sort_files()
        found: list[str] = getattr(self.check, f"check_{name}")()
        return found

    def test_a_good_one(self) -> None:
        self.assertEqual((self.found("types"), self.found("lint")), ([], []))

    def test_a_function_without_annotations(self) -> None:
        bad = {"modules/x/shows.py": GOOD, "scripts/more": ENTRY, "scripts/upliftlib/base/more.py": GOOD, "scripts/tests/x_test.py": GOOD}
        for name, text in bad.items():
            self.write(name, text.replace("(text: str) -> int", "(text)"))
        found = sorted(self.found("types"))
        self.assertEqual([line.partition(":")[0] for line in found], [name for name in bad if "test" not in name])
        for line in found:
            self.assertIn("error: Function is missing a type annotation", line)

    def test_a_type_that_is_wrong(self) -> None:
        self.write("scripts/upliftlib/base/words.py", GOOD.replace("len(text)", "text"))
        line, = self.found("types")
        self.assertIn("words.py:6: error: Incompatible return value type", line)

    def test_an_import_that_nothing_uses(self) -> None:
        bad = {"scripts/more": ENTRY, "scripts/tests/x_test.py": GOOD, "scripts/upliftlib/base/more.py": GOOD}
        for name, text in bad.items():
            self.write(name, text.replace("\n\n\ndef", "\nimport os\n\n\ndef"))
        found = sorted(self.found("lint"))
        self.assertEqual([line.partition(":")[0] for line in found], list(bad))
        for line in found:
            self.assertIn("'os' imported but unused", line)

    def test_a_name_that_is_not_there(self) -> None:
        self.write("scripts/tool", ENTRY.replace("len(text)", "lent(text)"))
        line, = self.found("lint")
        self.assertIn("undefined name 'lent'", line)


if __name__ == "__main__":
    unittest.main()
