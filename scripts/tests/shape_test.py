# SPDX-License-Identifier: GPL-2.0-only
"""scripts/check's `shape`: each rule finds what it is there for, in trees made bad on purpose."""

import pathlib
import sys
import tempfile
import unittest
from unittest import mock

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from upliftlib.lab import shape, sourcetree	# noqa: E402

GOOD = {
    "scripts/upliftlib/__init__.py": '"""A package.\n\n    base\tall that\n    lab\t\tothers need\n"""\n',
    "scripts/upliftlib/base/__init__.py": "",
    "scripts/upliftlib/base/errors.py": '"""See sys.path for 9.9."""\nimport sys\n',
    "scripts/upliftlib/base/paths.py": "from . import errors\nfrom .errors import x\n",
    "scripts/upliftlib/lab/__init__.py": "",
    "scripts/upliftlib/lab/guest.py": "# of 9.9 and trout_wait\nfrom ..base import errors, paths\nfrom ..base.errors import x\n",
    "scripts/uplift": "#!/usr/bin/env python3\nimport sys\nsys.path.insert(0, 'x')\nfrom upliftlib.lab import guest\n",
    "scripts/tests/guest_test.py": "import sys\nsys.path.insert(0, 'x')\nfrom upliftlib.lab import guest\n",
    "modules/trout/about.toml": "",
    "modules/backports/perch/about.toml": "",
    "modules/trout/Kbuild": "obj-m += trout.o\n",
    "Makefile": "# nothing\n",
}
OF = {"cycle": shape.cycle, "upward": shape.upward, "path": shape.path}


class Bad(unittest.TestCase):
    def setUp(self) -> None:
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("CHANGE_ALLOWED", "TARGET_ALLOWED"):
            self.enterContext(mock.patch.object(shape, name, ()))

    def tree(self, files: dict[str, str]) -> sourcetree.Tree:
        for name, text in (GOOD | files).items():
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return sourcetree.Tree(self.top)

    def found(self, rule: str, **files: str) -> list[str]:
        """What a rule finds where the package has these modules: base_paths is base/paths.py."""
        tree = self.tree({f"scripts/upliftlib/{name.replace('_', '/')}.py": text for name, text in files.items()})
        return list(OF[rule](tree))

    def test_good(self) -> None:
        tree = self.tree({})
        for name, rule in OF.items():
            self.assertEqual(list(rule(tree)), [], name)
        self.assertEqual(list(shape.change(tree)), [])
        self.assertEqual(list(shape.target(tree, ["9.9"])), [])

    def test_cycle(self) -> None:
        for text in ("from . import paths\n", "from .paths import x\n", "def late():\n    from . import paths\n",
                     "import upliftlib.base.paths\n", "from upliftlib.base import paths\n", "from ..base import paths\n"):
            found = self.found("cycle", base_errors=text)
            self.assertEqual(len(found), 1, text)
            self.assertRegex(found[0], r"base/(errors|paths)\.py -> base/(errors|paths)\.py -> base/(errors|paths)\.py")

    def test_cycle_of_three(self) -> None:
        (found,) = self.found("cycle", base_errors="from . import three\n", base_three="from . import paths\n")
        self.assertEqual(found.count(" -> "), 3)

    def test_upward(self) -> None:
        for text in ("from ..lab import guest\n", "from ..lab.guest import x\n", "import upliftlib.lab.guest\n",
                     "if 1:\n    from upliftlib.lab import guest\n"):
            self.assertEqual(self.found("upward", base_paths=text),
                             ["scripts/upliftlib/base/paths.py: imports lab/guest.py, and lab stands below base"], text)

    def test_a_part_that_is_not_listed(self) -> None:
        (found,) = self.found("upward", more_x="")
        self.assertIn("part 'more' is not listed", found)
        self.assertIn("lists no parts", "".join(shape.upward(self.tree({"scripts/upliftlib/__init__.py": '"""None."""\n'}))))

    def test_outside_of_the_package(self) -> None:
        tree = self.tree({"scripts/kunit.py": "", "scripts/upliftlib/lab/guest.py": "import kunit\n"})
        self.assertEqual(list(shape.upward(tree)),
                         ["scripts/upliftlib/lab/guest.py: imports scripts/kunit.py, which is outside of the package"])

    def test_path(self) -> None:
        for text in ("import sys\n\nsys.path.insert(0, 'x')\n", "import sys\n\nsys.path += ['x']\n",
                     "import sys\n\nsys.path = []\n"):
            self.assertEqual(self.found("path", lab_guest=text), ["scripts/upliftlib/lab/guest.py:3: sys.path"], text)

    def test_change(self) -> None:
        for name, text, word in (("scripts/upliftlib/lab/guest.py", "\nA = 'trout'\n", "trout"),
                                 ("scripts/upliftlib/lab/guest.py", "\n# of perch.\n", "perch"),
                                 ("scripts/fleet", "#!/bin/sh\ninsmod uplift_trout.ko\n", "uplift_trout"),
                                 ("Makefile", "\nobj-m += trout/\n", "trout"),
                                 ("modules/Kbuild", "\nobj-m += trout/\n", "trout")):
            self.assertEqual(list(shape.change(self.tree({name: text}))), [f"{name}:2: {word}"])
            (self.top / name).unlink()

    def test_change_in_unit_tests(self) -> None:
        """Its own may name it, and no other; general ones none."""
        of = "scripts/tests"
        tree = self.tree({f"{of}/trout_pond_test.py": "# trout\nA = 'uplift_trout'\n", f"{of}/pond_test.py": "# trout\n",
                          f"{of}/trout_data.py": "# trout\n# perch\n", f"{of}/trouts_test.py": "# perch\n",
                          "scripts/trout_test.py": "# trout\n"})
        self.assertEqual(sorted(shape.change(tree)), [f"{of}/pond_test.py:1: trout", f"{of}/trout_data.py:2: perch",
                                                      f"{of}/trouts_test.py:1: perch", "scripts/trout_test.py:1: trout"])

    def test_what_is_allowed(self) -> None:
        tree = self.tree({"Makefile": "a: trout\nb: trout\n"})
        with mock.patch.object(shape, "CHANGE_ALLOWED", (("Makefile", "^a:", "why"), ("Makefile", "^c:", "why not"))):
            self.assertEqual(list(shape.change(tree)), ["Makefile:2: trout", "allowed, and not there: Makefile: ^c: (why not)"])

    def test_no_changes(self) -> None:
        tree = self.tree({})
        for path in self.top.rglob("about.toml"):
            path.unlink()
        self.assertEqual(len(list(shape.change(tree))), 1)

    def test_target(self) -> None:
        for text, count in (("A = '9.9'\n", 1), ("A = 'make run TARGET=9.9'\n", 1), ("A = f'{1} 9.9'\n", 1),
                            ("A = '9.9.1 19.9 9.91 9.9-rt'\n", 0), ("# 9.9\n", 0),
                            ("def a():\n    '''Of 9.9.'''\n    return '9.9'\n", 1)):
            found = list(shape.target(self.tree({"scripts/upliftlib/lab/guest.py": text}), ["9.9"]))
            self.assertEqual(len(found), count, text)


class Tree(unittest.TestCase):
    """What the real tree is read as."""

    def test_it_is_read(self) -> None:
        tree = sourcetree.Tree()
        self.assertGreater(len(tree.package()), 50)
        self.assertEqual(shape.order(tree)[0], "base")
        self.assertEqual(shape.order(tree)[-1], "lab")
        console = pathlib.Path("scripts/upliftlib/base/console.py")
        self.assertIn(console, tree.reached(pathlib.Path("scripts/check")))
        self.assertIn(pathlib.Path("scripts/uplift"), tree.python)
        self.assertGreater(len(shape.change_names(TOP)), 3)


if __name__ == "__main__":
    unittest.main()
