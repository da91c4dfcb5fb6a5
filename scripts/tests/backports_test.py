# SPDX-License-Identifier: GPL-2.0-only
"""A backport without C: what is made of its directory, and what is said where it does not fit."""

import pathlib
import re
import shutil
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TOP = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import changes	# noqa: E402
from upliftlib.generator import bodies, manifests, semantic	# noqa: E402
from upliftlib.lab import measure	# noqa: E402
from upliftlib.base.errors import Problem	# noqa: E402

SOURCE = """\
#include <linux/types.h>
#include "internal.h"

struct pond { int depth; };

static int pond_look(struct pond *pond, int how)
{
	pond->depth = 1;
	return pond->depth + how;
}
"""

ABOUT = """\
title = "ponds are looked at \\"once\\""
[[static]]
has = "struct pond.clear"
verdict = "native"
says = "struct pond has \\"clear\\""
[[static]]
has = "source pond->depth  =  1;"
verdict = "applicable"
says = "looking makes it shallow"
[[static]]
lacks = "struct lake"
verdict = "unaffected"
says = "there is nothing to look at"
"""

MANIFEST = """\
source = "fs/pond.c"
functions = ["pond_look"]
[arms.null]
[arms.new]
patch = { file = "pond.cocci", places = 1, removes = 1, adds = 1 }
"""

COCCI = "@@\nidentifier p;\n@@\n- p->depth = 1;\n+ p->depth = 2;\n"


class Kernel:
    """Types as a set of words, as btf.Btf answers."""
    path, size, crc = "a kernel", 77, 0x1234

    def __init__(self, *words, functions=("pond_look",)):
        self.words, self.functions = words, set(functions)

    def has(self, what):
        return what in self.words

    def layout(self, tag):
        return 4, [("depth", 0)]


class Fixture(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)
        self.change = self.top / "backports/pond"
        self.out = self.change / "gen"
        for name, text in (("ksrc/fs/pond.c", SOURCE), ("backports/pond/manifest.toml", MANIFEST),
                           ("backports/pond/about.toml", ABOUT), ("backports/pond/pond.cocci", COCCI)):
            self.file(name, text)
        shutil.copy(TOP / "modules/backports/main.c.in", self.top / "backports")

    def file(self, name, text):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def generate(self, *words, **kernel):
        return bodies.generate(bodies.Change(self.change), self.target(*words, **kernel), self.out)

    def target(self, *words, **kernel):
        return mock.Mock(ksrc=self.top / "ksrc", types=Kernel(*words, **kernel), of="6.0", linked=False, image=None)

    def said(self, act=None):
        with self.assertRaises(Problem) as caught:
            (act or self.generate)()
        return str(caught.exception)


class Made(Fixture):
    def test_native(self):
        # nothing is compiled, so that no semantic patch has to fit
        self.assertEqual(self.generate("struct pond.clear"), [])
        text = (self.out / "pond_main.c").read_text()
        self.assertIn("verdict->kind = UPLIFT_NATIVE;", text)
        self.assertIn(r'verdict->why = "struct pond has \"clear\"";', text)
        self.assertIn('uplift_verdict_add(verdict, "types", "%s", verdict->why);', text)
        self.assertNotIn("@", text.replace("@NAME@", "@"))
        self.assertRegex((self.out / "module.mk").read_text(), r"(?m)^uplift_pond-y := pond/gen/pond_main.o$")
        self.assertNotIn("UPLIFT_POND_NEW", (self.out / "pond_gen.h").read_text())

    def test_applicable(self):
        made = bodies.Made({"null": mock.Mock(**{"text.return_value": "null"}), "new": mock.Mock(**{"text.return_value": "new"})},
                           ["pond_look"], "1 of 1 function", {})
        seen = {}

        def make(change, target, text, texts, function):
            seen.update(texts)
            return made
        with mock.patch.object(bodies, "make", make), \
                mock.patch.object(semantic, "patched", lambda text, *_: text.replace("depth = 1", "depth = 2")):
            self.assertEqual(self.generate(), [f"pond_{name}.o" for name in ("first", "null", "new", "last")])
        self.assertEqual(seen, {"null": SOURCE, "new": SOURCE.replace("depth = 1", "depth = 2")})
        text = (self.out / "pond_main.c").read_text()
        self.assertIn("UPLIFT_APPLICABLE", text)
        self.assertIn('verdict->why = "looking makes it shallow";', text)
        self.assertIn('uplift_verdict_add(verdict, "source", "%s", verdict->why);', text)
        self.assertEqual((self.out / "pond_new.S").read_text(), "new")
        self.assertRegex((self.out / "module.mk").read_text(), r"(?m)^uplift_pond-y := pond/gen/pond_main.o "
                         r"pond/gen/pond_first.o pond/gen/pond_null.o pond/gen/pond_new.o pond/gen/pond_last.o$")

    def test_code_that_is_not_the_kernels(self):
        """One backport that does not fit stops nothing else: its module says why, and does not load."""
        why = bodies.NotIdentical("pond_look() of the source is not what the kernel runs: its code differs at +0x9")
        with mock.patch.object(bodies, "make", side_effect=why), mock.patch.object(semantic, "patched", lambda text, *_: text):
            self.assertEqual(self.generate(), [])
        text = (self.out / "pond_main.c").read_text()
        self.assertIn("verdict->kind = UPLIFT_UNSUPPORTED;", text)
        self.assertIn('verdict->why = "pond_look() of the source is not what the kernel runs: its code differs at +0x9', text)
        self.assertIn('uplift_verdict_add(verdict, "code", "%s", verdict->why);', text)
        self.assertNotIn("UPLIFT_POND_NEW", (self.out / "pond_gen.h").read_text())

    def test_without_the_function(self):
        # not a function of its own in this kernel, and nothing to do there
        self.assertEqual(self.generate("struct pond.clear", functions=()), [])
        self.assertIn("none of pond_look is a function of its own", self.said(lambda: self.generate(functions=())))

    def test_rules(self):
        def verdict(*words):
            text = (self.top / "ksrc/fs/pond.c").read_text()
            return bodies.verdict(self.change, text, ["pond_look"], self.target(*words))
        self.assertEqual(verdict("struct pond.clear"), ("native", 'struct pond has "clear"', "types"))
        self.assertEqual(verdict(), ("applicable", "looking makes it shallow", "source"))
        (self.top / "ksrc/fs/pond.c").write_text(SOURCE.replace("= 1", "= 3"))
        self.assertEqual(verdict()[0], "unaffected")
        self.assertIn("no [[static]] rule holds", self.said(lambda: verdict("struct lake")))

    def test_forms(self):
        tried = []

        def patched(text, cocci, form, of):
            tried.append(cocci.name)
            if cocci.name == "b":
                return "changed"
            raise Problem(f"{cocci.name} matches nowhere")
        changing = mock.patch.object(semantic, "patched", patched)
        changing.start()
        self.addCleanup(changing.stop)
        self.assertEqual(semantic.one_of("", self.change, [{"file": "a"}, {"file": "b"}, {"file": "c"}], ""), "changed")
        self.assertEqual(tried, ["a", "b"])
        self.assertEqual(self.said(lambda: semantic.one_of("", self.change, [{"file": "a"}, {"file": "c"}], "")),
                         "a matches nowhere\nc matches nowhere")

    def test_names(self):
        self.change = self.change.rename(self.top / "backports/Pond-2")
        self.out = self.change / "gen"
        self.assertIn("small letters and digits", self.said())

    def test_arms(self):
        self.file("backports/pond/manifest.toml", MANIFEST + "[arms.deep]\n")
        self.assertIn("the arms null and new", self.said())


class About(Fixture):
    def about(self, text):
        path = self.file("backports/pond/about.toml", text)
        said = self.said(lambda: manifests.about(path))
        self.assertTrue(said.startswith(str(path)))
        self.assertEqual(len(said.splitlines()), 1, said)
        return said

    def test_what_does_not_fit(self):
        rule = '[[static]]\nhas = "struct a"\nverdict = "native"\nsays = "x"\n'
        for text, word in (("", "no 'title'"), ('title = "x"\n', "no 'static'"), ('title = 3\n' + rule, "title"),
                           ('title = "a\\nb"\n' + rule, "one line"), ('title = "x"\nstatic = []\n', "list of rules"),
                           ('title = "x"\n' + rule.replace("has", "hat"), "'has' or 'lacks'"),
                           ('title = "x"\n' + rule + 'lacks = "struct b"\n', "'has' or 'lacks'"),
                           ('title = "x"\n' + rule.replace("native", "good"), "one of applicable"),
                           ('title = "x"\n' + rule.replace("struct a", "member a"), "function NAME"),
                           ('title = "x"\n' + rule.replace("struct a", "function a.b"), "function NAME"),
                           ("title = ", "about.toml")):
            self.assertIn(word, self.about(text), text)
        (self.change / "about.toml").unlink()
        self.assertIn("no such file", self.said(lambda: manifests.about(self.change / "about.toml")))

    def test_patch_lists(self):
        one = '[[arms.new.patch]]\nfile = "pond.cocci"\nplaces = 1\nremoves = 1\nadds = 1\n'
        base = MANIFEST.partition("[arms.new]")[0]
        manifests.read(self.file("backports/pond/manifest.toml", base + one + one))
        for text, word in (("[arms.new]\npatch = []\n", "a list of them"), (one + one.replace("pond.", "none."), "none."),
                           (one.replace("places = 1\n", ""), "no 'arms.new.patch.places'")):
            path = self.file("backports/pond/manifest.toml", base + text)
            self.assertIn(word, self.said(lambda path=path: manifests.read(path)))


class Own(unittest.TestCase):
    """Those that are here."""

    found = {name: change for name, change in changes.load().items() if change.backport}

    def test_there_is_one(self):
        self.assertTrue(self.found)

    def test_no_c(self):
        for change in self.found.values():
            self.assertEqual({path.suffix for path in change.directory.iterdir() if path.name != "gen"},
                             {".toml", ".cocci"})

    def test_whole(self):
        for name, change in self.found.items():
            manifests.about(change.directory / "about.toml")
            manifest = manifests.read(change.directory / "manifest.toml")
            self.assertIn(manifest["source"], manifests.slice_of(TOP))
            self.assertTrue(all(path.startswith(f"modules/backports/{name}/") for path in change.patches()))
            self.assertTrue(change.patches())

    def test_measured_with_what_there_is(self):
        text = (TOP / "selftests/bench/syscall_bench.c").read_text()
        operations = set(re.findall(r'\{ \{ "syscall", "(\w+)"', text))
        self.assertGreater(len(operations), 10)
        for name, change in self.found.items():
            words = change.about["bench"]["arguments"]
            self.assertEqual(words[words.index("--change") + 1], name)
            self.assertLessEqual(set(words[words.index("--op") + 1].split(",")), operations)

    def test_scripts_of_the_lab(self):
        text = measure.script(measure.together(self.found.values()), 2)
        self.assertNotRegex(text, "@[A-Z]+@")
        for name, change in self.found.items():
            self.assertIn(change.module, text)
            self.assertIn(f"--rounds 2 >/out/bench.{name}", text)


if __name__ == "__main__":
    unittest.main()
