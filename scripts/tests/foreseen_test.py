# SPDX-License-Identifier: GPL-2.0-only
"""What a try of a function would be refused for, against what is known of two small trees."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import paths	# noqa: E402
from upliftlib.find import config, profile, ranking, unit	# noqa: E402
from upliftlib.lab import foreseen	# noqa: E402

OLD = """#include "pond.h"
int shrinks(struct pond *pond)
{
	pond->fish++;
	pond->fish++;
	return pond->fish;
}
int helped(struct pond *pond)
{
	pond->fish += 2;
	return 1;
}
int lost(struct pond *pond)
{
	pond->fish += 3;
	return 2;
}
int member(struct pond *pond)
{
	pond->fish += 4;
	return 3;
}
int argument(struct pond *pond)
{
	feed(pond);
	return 4;
}
"""
NEW = (OLD.replace("\tpond->fish++;\n", "", 1).replace("return 1;", "return helper(pond);").replace("return 2;", "return of_nobody(pond);")
       .replace("return 3;", "return pond->frogs;").replace("feed(pond)", "feed(pond, 2)").replace("int helped(", """static int helper(struct pond *pond)
{
	return pond->fish * 7;
}
int helped("""))
HEADER = "#ifndef POND_H\n#define POND_H\nstruct pond {\n\tint fish;\n};\nint feed(struct pond *pond);\n#endif\n"
NEWER_HEADER = HEADER.replace("\tint fish;\n", "\tint fish;\n\tint frogs;\n").replace("pond *pond);", "pond *pond, int times);")
NAMES = ("shrinks", "helped", "lost", "member", "argument")


@unittest.skipUnless(shutil.which("gcc"), "no gcc")
class ForeseenTest(unittest.TestCase):
    """The header of the older tree stays as it is, unless something only the newer has is missed."""

    def setUp(self) -> None:
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)
        patcher = mock.patch.object(paths, "CACHE", self.top / "cache")
        patcher.start()
        self.addCleanup(patcher.stop)
        self.write("kdir", {"include/generated/autoconf.h": ""})
        for name, text, header in (("old", OLD, HEADER), ("new", NEW, NEWER_HEADER)):
            self.write(name, {"MAINTAINERS": "", "Kconfig": "", "Makefile": "VERSION = 7\n", "fs/pond.c": text, "fs/pond.h": header,
                              "include/linux/kconfig.h": "#include <generated/autoconf.h>\n"})

    def write(self, top: str, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.top / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def rows(self) -> tuple[dict[str, ranking.Row], dict[str, str]]:
        known = config.read(self.top / "kdir")
        old, new = (unit.Tree(self.top / name, self.top / "kdir", known, self.top / "scratch") for name in ("old", "new"))
        found = ranking.Ranker(old, new, set(NAMES) | {"feed"}).rank(profile.Profile("it", "samples", dict.fromkeys(NAMES, 1), "a pond"))
        patches = foreseen.judge(found.rows, old, self.top / "new")
        return {row.name: row for row in found.rows}, patches

    def test_what_compiles_can_be_tried_and_has_its_patch(self) -> None:
        rows, patches = self.rows()
        self.assertEqual(set(rows), set(NAMES))
        self.assertEqual({name for name in NAMES if not rows[name].no}, {"shrinks", "helped"})
        self.assertEqual(set(patches), {"shrinks", "helped"})
        self.assertIn("+static int helper(", patches["helped"])
        self.assertNotIn("helper", patches["shrinks"])

    def test_the_reason_is_the_compilers(self) -> None:
        rows, _ = self.rows()
        self.assertIn("'of_nobody'", rows["lost"].no)
        self.assertIn("'frogs'", rows["member"].no)
        self.assertIn("too many arguments to function 'feed'", rows["argument"].no)

    def test_a_file_that_does_not_compile_as_it_is_tells_nothing(self) -> None:
        for name in ("old", "new"):
            path = self.top / name / "fs/pond.h"
            path.write_text(path.read_text().replace("int fish", "unknown_t fish"))
        rows, _ = self.rows()
        self.assertEqual({name: rows[name].refusal for name in NAMES}, dict.fromkeys(NAMES, ""))
        self.assertEqual(rows["member"].lacks, ["frogs"])		# what the texts tell is left

    def test_a_struct_with_other_members_is_told(self) -> None:
        self.assertEqual(foreseen.other_layout(HEADER, NEWER_HEADER), "struct pond")
        self.assertEqual(foreseen.other_layout(HEADER, HEADER.replace("int fish;", "/* many */\n\tint fish;")), "")
        self.assertEqual(foreseen.other_layout("", HEADER), "")


if __name__ == "__main__":
    unittest.main()
