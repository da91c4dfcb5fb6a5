# SPDX-License-Identifier: GPL-2.0-only
"""Kernels side by side: what stands in the table, what is taken again, and that one that fails hides no other."""

import contextlib
import copy
import io
import json
import pathlib
import sys
import tempfile
import types
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import architectures, errors, paths, targets	# noqa: E402
from upliftlib.report import command, comparison, forms, kcidb	# noqa: E402
from upliftlib.lab import matrix	# noqa: E402
from tests import dossier_data	# noqa: E402


def whole():
    """Two kernels, one failed, one that cannot be had."""
    data = comparison.new("make matrix") | {"created": "2026-11-21T08:00:00+00:00"}	# not now: made twice, it is the same
    data["targets"] = {
        "6.12": {"reference": False, "release": "6.12.1", "version": "6.12.1-1",
                 "report": dossier_data.counted()},
        "7.1": {"reference": False, "failed": "the guest <died> & left"},
        "7.2": {"reference": True, "release": "7.2.1", "version": "7.2.1-1", "report": native()},
        "7.3": {"reference": True, "skipped": "the mirror has none"}}
    data["ok"] = False
    return data


def native():
    evaluation = dossier_data.evaluation()
    evaluation["verdict"]["kind"] = "native"
    return dossier_data.read(evaluation)


def cells(text, label):
    """The cells of a row of text, which are two blanks apart."""
    line = next(line for line in text.splitlines() if line.strip().startswith(label))
    return [cell for cell in line.strip().split("  ") if cell]


class Rendered(unittest.TestCase):
    def test_text(self):
        text = comparison.text(whole())
        self.assertEqual([cell.strip() for cell in cells(text, "verdict")], ["verdict", "6.12", "7.1", "7.2*", "7.3*"])
        self.assertEqual([cell.strip() for cell in cells(text[text.index("\nverdict "):], "carp")],
                         ["carp", "applicable", "FAILED", "native", "skipped"])
        self.assertEqual([cell.strip() for cell in cells(text, "trout")], ["trout", "worth it", "FAILED", "worth it", "skipped"])
        self.assertEqual([cell.strip() for cell in cells(text, "pread, instr.")],
                         ["pread, instr.", "19,086", "-", "19,086", "-"])
        self.assertIn("the guest <died> & left", text)
        self.assertIn("the mirror has none", text)

    def test_what_to_ship_by_kernel(self):
        text = " ".join(comparison.text(whole()).split())
        self.assertIn("To ship it: 6.12: ca0000000000 with prerequisite ca1111111111 and a later fix", text)
        self.assertIn("To ship it: 6.12, 7.2: 120000000000; nothing that was found", text)
        alone = whole()
        del alone["targets"]["6.12"]
        self.assertNotIn("ca0000000000 with", " ".join(comparison.text(alone).split()))

    def test_the_inspector(self):
        text = comparison.text(whole())
        for label, wanted in (("domains", "2 of 4 CPUs"), ("cache-aware scheduling", "absent"),
                              ("switch, threads, instr.", "5,631"), ("tracking costs", "70.5")):
            self.assertEqual([cell.strip() for cell in cells(text, label)], [label, wanted, "-", wanted, "-"])

    def test_rounds_that_do_not_agree(self):
        # one cheap round of off made 1,284 instructions of 73
        evaluation = dossier_data.evaluation()
        evaluation["sections"][1]["rounds"]["switch, threads"]["off"] = [5249.5, 6461.0]
        data = whole()
        data["targets"]["6.12"]["report"] = dossier_data.read(evaluation)
        self.assertEqual([cell.strip() for cell in cells(comparison.text(data), "tracking costs")],
                         ["tracking costs", "unclear", "-", "70.5", "-"])

    def test_all_forms_say_the_same(self):
        for render in (comparison.text, comparison.markdown):
            text = render(whole())
            for word in ("6.12", "19,086", "877", "95.4%", "no measurable gain", "make matrix"):
                self.assertIn(word, " ".join(text.split()), render)
        page = comparison.page(whole())
        self.assertIn("the guest &lt;died&gt; &amp; left", page)
        for word in ("<script", "http://", "https://"):
            self.assertNotIn(word, page)

    def test_markdown_table(self):
        lines = [line for line in comparison.markdown(whole()).splitlines() if line.startswith("|")]
        self.assertEqual({line.count(" | ") for line in lines[:5]}, {4})

    def test_nothing_but_failures(self):
        data = comparison.new("make matrix")
        data["targets"] = {"6.1": {"reference": False, "failed": "x"}}
        for render in (comparison.text, comparison.markdown, comparison.page):
            self.assertIn("6.1", render(data))

    def test_wide_enough_for_six(self):
        data = comparison.new("make matrix")
        for name in list(targets.TABLE)[:6]:
            data["targets"][name] = {"reference": False, "release": name, "version": name,
                                     "report": dossier_data.counted()}
        for head in ("decision", "verdict"):
            self.assertEqual(len(cells(comparison.text(data), head)), 7, "the table was turned round")


class Reported(unittest.TestCase):
    """uplift report takes it, too."""

    def report(self, *words, data=None):
        with tempfile.TemporaryDirectory() as where:
            path = pathlib.Path(where) / "m.json"
            path.write_text(json.dumps(data or whole()))
            args = types.SimpleNamespace(files=[str(path)], text=None, md=None, html=None, kcidb=None, json=None,
                                         origin="uplift", git=None, base="", bug="", change=[],
                                         **dict.fromkeys(forms.FORMS))
            for word in words:
                setattr(args, word, "-")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = command._report(args)
            return code, out.getvalue()

    def test_forms(self):
        self.assertEqual(self.report(), (errors.FAIL, comparison.text(whole())))
        self.assertEqual(self.report("md")[1], comparison.markdown(whole()))
        self.assertEqual(json.loads(self.report("json")[1])["format"], comparison.FORMAT)

    def test_kcidb(self):
        found = json.loads(self.report("kcidb")[1])
        self.assertEqual(found["version"], kcidb.VERSION)
        self.assertEqual(len(found["builds"]), len({build["id"] for build in found["builds"]}))
        self.assertGreaterEqual(len(found["builds"]), 1)
        self.assertEqual(len(found["tests"]), len({test["id"] for test in found["tests"]}))

    def test_garbage(self):
        for data in ({"format": comparison.FORMAT}, {"format": comparison.FORMAT, "targets": {}},
                     {"format": comparison.FORMAT, "targets": {"6.1": {}}}, {"format": comparison.FORMAT, "targets": [1]},
                     {"format": comparison.FORMAT, "targets": {"6.1": {"report": {"format": "x"}}}}):
            with self.assertRaises(errors.Problem) as caught:
                self.report(data=data)
            self.assertEqual(len(str(caught.exception).splitlines()), 1)


class Resumed(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.where = pathlib.Path(temp.name) / "matrix"
        self.where.mkdir()
        self.evaluated = []
        self.fails = set()

        def evaluate(target, accel=None):
            self.evaluated.append(target.name)
            if target.name in self.fails:
                raise errors.Problem(f"{target.name} fell over")
            if target.name == "7.1":
                raise OSError(5, "I/O error")
            return dossier_data.counted()

        def fetch(name, want=()):
            if name == "7.3":
                raise errors.Skip("gone from the archive")
            return types.SimpleNamespace(name=name, release=f"{name}.1", version=f"{name}.1-1", arch=architectures.X86_64)
        for where, name, what in ((matrix.fetch, "fetch", fetch), (matrix.kmod, "build", lambda _: {}),
                                  (matrix.testprograms, "build", lambda _: self.where),
                                  (matrix.evaluate, "evaluate", evaluate),
                                  (matrix.buildroot, "ensure", lambda: None),
                                  (matrix, "state", lambda target, kos, tests: self.state),
                                  (paths, "REPORT", self.where.parent)):
            patch = mock.patch.object(where, name, what)
            patch.start()
            self.addCleanup(patch.stop)
        self.state = "one"

    def run_it(self, *names, again=False):
        self.evaluated.clear()
        args = types.SimpleNamespace(targets=list(names), accel=None, again=again, json=False)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = matrix._matrix(args)
        return code, out.getvalue()

    def test_taken_again(self):
        self.assertEqual(self.run_it("6.1", "6.12")[0], errors.OK)
        self.assertEqual(self.evaluated, ["6.1", "6.12"])
        code, text = self.run_it("6.1", "6.12", "6.18")
        self.assertEqual((code, self.evaluated), (errors.OK, ["6.18"]))
        self.assertIn("6.12", text)
        self.state = "another"
        self.run_it("6.1")
        self.assertEqual(self.evaluated, ["6.1"])
        self.run_it("6.1", again=True)
        self.assertEqual(self.evaluated, ["6.1"])

    def test_one_that_fails(self):
        self.fails = {"6.12"}
        code, text = self.run_it("6.1", "6.12", "7.1", "7.3", "6.18")
        self.assertEqual(self.evaluated, ["6.1", "6.12", "7.1", "6.18"])
        self.assertEqual(code, errors.FAIL)
        self.assertEqual([cell.strip() for cell in cells(text[text.index("\nverdict "):], "carp")],
                         ["carp", "applicable", "FAILED", "FAILED", "skipped", "applicable"])
        # what failed is tried anew, what passed is kept
        self.fails = set()
        self.run_it("6.1", "6.12", "6.18")
        self.assertEqual(self.evaluated, ["6.12"])

    def test_stopped(self):
        with mock.patch.object(matrix.evaluate, "evaluate", side_effect=[dossier_data.counted(),
                                                                             KeyboardInterrupt]):
            with self.assertRaises(KeyboardInterrupt):
                self.run_it("6.1", "6.12")
        # what there was is in the table already, and kept
        self.assertIn("6.1", (self.where.parent / "matrix.txt").read_text())
        self.run_it("6.1", "6.12")
        self.assertEqual(self.evaluated, ["6.12"])

    def test_kept_is_broken(self):
        self.run_it("6.1")
        for text in ("", "{", "[]", '{"state": "one"}', '{"state": "one", "report": {"ok": true}}', "null",
                     '{"state": "one", "report": {"ok": true, "format": "uplift-dossier/1"}}'):
            (self.where / "6.1.json").write_text(text)
            self.run_it("6.1")
            self.assertEqual(self.evaluated, ["6.1"], text)

    def test_all_files(self):
        self.run_it("6.1")
        for suffix in ("txt", "md", "html", "json"):
            self.assertTrue((self.where.parent / f"matrix.{suffix}").stat().st_size, suffix)
        data = json.loads((self.where.parent / "matrix.json").read_text())
        self.assertEqual(comparison.check(copy.deepcopy(data))["ok"], True)

    def test_no_such_target(self):
        with self.assertRaises(errors.Problem) as caught:
            self.run_it("6.1", "nonsense")
        self.assertEqual(caught.exception.code if hasattr(caught.exception, "code") else errors.USAGE, errors.USAGE)
        self.assertEqual(self.evaluated, [])

    def test_nothing_to_be_had(self):
        self.assertEqual(self.run_it("7.3")[0], errors.SKIP)


if __name__ == "__main__":
    unittest.main()
