# SPDX-License-Identifier: GPL-2.0-only
"""What guests are told to measure and to test, made of the changes' about.toml, and what is made of what they leave."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import architectures, changes, errors, paths	# noqa: E402
from upliftlib.lab import arms, evaluate, measure, verify	# noqa: E402
from upliftlib.report import dossier	# noqa: E402

ABOUT = """
title = "a pond"
[bench]
program = "pond_bench"
arguments = ["--depth", "1,2"]
operation = "{op} {depth}"
arms = ["null", "new"]
calls = 3
"""
RUNS = [("pond", "look 2", {"op": "look", "depth": 2, "arm": "off", "ops": 3}),
        ("pond", "look 2", {"op": "look", "depth": 2, "arm": "new", "ops": 2})]
LINES = ["op 1 32 32 0 126", "op 1 33 33 1 180", "op 1 32 32 0 126", "op 2 16 16 0 94", "op 2 16 16 0 95", "end"]


class Fixture(unittest.TestCase):
    """A tree with changes of its own."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)

    def change(self, about=ABOUT, name="pond", **files):
        directory = self.top / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "about.toml").write_text(about)
        for file, text in files.items():
            (directory / file.replace("_", ".")).write_text(text)
        return changes.load(self.top)[pathlib.Path(name).name]


class Tables(Fixture):
    def test_measure_is_bench_and_more(self):
        how = self.change(ABOUT + '[measure]\nfigure = "median"\nper = 2\n').measure()
        self.assertEqual((how.program, how.calls, how.figure, how.per), ("pond_bench", 3, "median", 2))
        self.assertEqual(how.name({"op": "look", "depth": 2}), "look 2")

    def test_operations_by_name(self):
        how = self.change('title = "a"\n[measure]\nscript = "m.sh"\noperations = { a = "one", b = "two" }\n').measure()
        self.assertEqual([how.name({"op": op}) for op in ("b", "other")], ["two", None])

    def test_nothing_to_measure_or_to_test(self):
        change = self.change('title = "a"\n')
        for found in (change.measure(), change.tests(), change.shows(), change.cachelines()):
            self.assertIsNone(found)

    def test_backports_share_a_script(self):
        tests = self.change('title = "a"\n', "backports/pond").tests()
        self.assertEqual((tests.script, tests.prefix), ("backports.sh", "pond_"))

    def test_unknown_members(self):
        for table in ("tests", "measure", "shows", "cachelines"):
            change = self.change(f'title = "a"\n[{table}]\npounds = 3\n')
            with self.assertRaisesRegex(errors.Problem, f"about.toml: .{table}. has no 'pounds'; it may have: "):
                getattr(change, table)()

    def test_file_that_is_not_there(self):
        with self.assertRaisesRegex(errors.Problem, "pond/about.toml names m.sh: No such file"):
            self.change().text("m.sh")


class Scripts(Fixture):
    def test_order(self):
        # those that read files after those that do not, backports last
        for name, more in (("a", 'order = 1\n'), ("b", "order = 2\n"), ("backports/c", "order = 0\n")):
            self.change(more + ABOUT + ('files = "direct"\n' if name == "a" else ""), name)
        found = measure.together(changes.load(self.top).values())
        self.assertEqual([change.name for change in found], ["b", "a", "c"])
        text = measure.script(found, 2)
        self.assertIn("/selftests/pond_bench --depth 1,2 --rounds 2 >/out/bench.b || exit\n", text)
        self.assertIn("--rounds 2 /mnt/ext4/file /mnt/xfs/file >/out/bench.a || exit\n", text)
        self.assertIn("for module in uplift uplift_b uplift_a uplift_c; do", text)
        self.assertLess(text.index("insmod"), text.index("sleep 10"))
        self.assertEqual(subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode, 0)

    def test_files_are_made_for_those_that_read_them(self):
        self.assertNotIn("mkfs", measure.script([self.change()], 2))

    def test_one_with_a_script_is_alone(self):
        change = self.change('title = "a"\n[measure]\nscript = "m.sh"\n')
        self.assertTrue(measure.alone(change))
        self.assertEqual(measure.together([change]), [])

    def test_marked(self):
        self.assertNotIn("--marked", measure.marked([self.change()]))
        self.assertIn("/selftests/pond_bench --depth 1,2 --marked 200 >/out/bench.pond",
                      measure.marked([self.change(ABOUT + '[measure]\nevents = { call = "calls" }\n')]))


class Counted(unittest.TestCase):
    def test_least_of_the_operations(self):
        table = measure.counted(RUNS, LINES, "6.18")["pond"]
        self.assertEqual(table["look 2"]["off"], {"stac": 32, "clac": 32, "lfence": 0, "call": 126})
        self.assertEqual(table["look 2"]["new"]["call"], 94)

    def test_cut_off(self):
        for lines in (LINES[:-1], LINES[:2] + ["end"], [], ["end"], LINES[:-1] + ["lost"]):
            with self.assertRaises(errors.Problem):
                measure.counted(RUNS, lines, "6.18")

    def test_no_smap(self):
        with self.assertRaises(errors.Problem):
            measure.counted(RUNS, [line.replace(" 16 16 ", " 0 0 ") for line in LINES], "6.18")

    def test_other_architectures(self):
        """Stores in place of scopes, and none of them is a fault of the plugin's."""
        table = measure.counted(RUNS, [line.replace(" 16 16 ", " 16 0 ") for line in LINES], "6.18-arm64", architectures.ARM64)
        self.assertEqual(set(table["pond"]["look 2"]["off"]), {"sttr", "ldtr", "csdb", "call"})
        with self.assertRaises(errors.Problem):
            measure.counted(RUNS, [line.replace(" 16 16 ", " 0 16 ") for line in LINES], "6.18-arm64", architectures.ARM64)

    def test_only_what_is_counted_is_asked_for(self):
        columns = {name for names in measure.COUNTED.values() for name in names}
        for change in changes.load().values():
            how = change.measure()
            self.assertLessEqual(set(how.events) if how else set(), columns, change.name)

    def test_render(self):
        found = {"pond": measure.Found("applicable\nfunction: x", {"look 2": {"off": [100.0, 101.0], "new": [90.0]}},
                                       measure.counted(RUNS, LINES, "6.18")["pond"]), "lake": measure.Found()}
        text = arms.render(found)
        self.assertIn("pond: applicable\n", text)
        self.assertIn("lake: no module, the stock kernel alone\n", text)
        self.assertRegex(text, r"look 2 +100\.0 +90\.0")
        self.assertRegex(text, r"look 2 stac +32 +16")


class Samples(Fixture):
    def test_figures(self):
        how = self.change(ABOUT + '[measure]\nfigure = "median"\nper = 2\n').measure()
        samples = [{"op": "look", "depth": 1, "arm": "off", "best": 3.0, "median": value} for value in (8.0, 10.0)]
        self.assertEqual(measure.rounds_of(how, samples), {"look 1": {"off": [4.0, 5.0]}})

    def test_part(self):
        change = self.change(ABOUT + '[measure]\narms = { deep = "new, deep" }\nevents = { stac = "scopes" }\n')
        rounds = {"look 1": {"off": [10.0] * 2, "off_again": [10.0] * 2, "null": [13.0] * 2, "new": [9.0] * 2,
                             "deep": [7.0] * 2}}
        counts = {"look 1": {"off": {"stac": 2, "clac": 2, "lfence": 0, "call": 9}}}
        found = measure.Found("applicable\nfunction: look", rounds, counts, ["the pond is deep"])
        part = evaluate._part(change, None, found)
        self.assertEqual(part["operations"][0]["gains"]["new"]["saves"]["median"], 4.0)
        self.assertEqual(part["operations"][0]["redirect"]["median"], 1.0)	# three calls
        self.assertEqual(part["operations"][0]["summary"]["deep"]["median"], 7.0)
        self.assertEqual(part["events"], [{"name": "scopes", "operation": "look 1", "arms": {"off": 2}}])
        self.assertEqual(part["notes"], ["the pond is deep"])
        blocks = " ".join(str(block) for block in dossier._change(part, {"release": "9.9"}))
        for word in ("new, deep", "scopes, look 1", "The pond is deep."):
            self.assertIn(word, blocks)

    def test_stock_kernel_alone(self):
        found = measure.Found("unaffected: never had it", {"look 1": {"off": [10.0] * 2, "off_again": [10.0] * 2}})
        for verdict, count in (("unaffected: never", 0), ("", 0), ("native: it has", 1)):
            part = evaluate._part(self.change(), None, measure.Found(verdict, found.rounds))
            self.assertEqual(len(part["operations"]), count, verdict)


class Verified(Fixture):
    def correctness(self, *names):
        return {"ok": True, "skipped": None, "problems": [], "summary": "", "cpus": 2,
                "tests": [{"name": name, "outcome": "pass", "reason": ""} for name in names]}

    def test_verdicts(self):
        for text, kind, evidence in (("applicable\nfunction: x\n", "applicable", ["function: x"]),
                                     ("native: it has it", "native", ["it has it"]),
                                     ("", "unknown", ["not built (no source for it)"]),
                                     ("what: ever", "unknown", ["ever"])):
            found = verify.of_module(text)
            self.assertEqual((found["kind"], found["evidence"]), (kind, evidence))

    def test_part_of_a_script_for_several(self):
        found = verify.Found(self.correctness("pond_load", "lake_load", "kernel_log"), "TCG", "/c")
        part = verify.part_of(found, "pond_").correctness
        self.assertEqual([test["name"] for test in part["tests"]], ["load", "kernel_log"])
        self.assertEqual(part["summary"], "2 tests: 2 passed, 0 failed, 0 skipped")

    def test_which_tests(self):
        (self.top / "pond.sh").write_text('TESTS="one two"\nTESTS="$TESTS three"\n')
        for table, only in (('left_out = ["two"]', "one three"), ('only = ["three", "one"]', "three one")):
            tests = self.change(f'title = "a"\n[tests]\n{table}\nenv = {{ N = "3" }}\n').tests()
            self.assertEqual(verify._environment(tests, self.top), {"N": "3", "ONLY": only})
        tests = self.change('title = "a"\n[tests]\nonly = ["four"]\n').tests()
        with self.assertRaisesRegex(errors.Problem, "pond.sh has no test four"):
            verify._environment(tests, self.top)

    def test_what_is_shown(self):
        change = self.change('title = "a"\n[tests]\n[shows]\nscript = "show.sh"\nreads = "shows.py"\n',
                             show_sh="#!/bin/sh\necho hello >/out/verdict\n",
                             shows_py='def shows(out, guest):\n    return [{"name": "depth", "short": "1", '
                                      '"text": (out / "depth").read_text() + guest}]\n')
        (self.top / "verdict").write_text("applicable\ndeep: yes\n")
        (self.top / "depth").write_text("one, ")
        booted = types.SimpleNamespace(outdir=self.top, accel="TCG", console="/c")
        target = types.SimpleNamespace(name="6.18", release="6.18", vmlinuz=None)
        with (mock.patch.object(verify.guest, "boot", return_value=booted) as boot,
              mock.patch.object(verify, "carried", return_value=[]),
              mock.patch.object(verify, "judge", return_value=self.correctness("load"))):
            found = verify.run(change, target, [self.top / "uplift_pond.ko"], self.top)
            self.assertIsNone(verify.run(change, target, [], self.top), "there is no module")
        self.assertEqual(boot.call_args[0][1], "#!/bin/sh\necho hello >/out/verdict\nexec /selftests/pond.sh short")
        self.assertEqual(found.shows, [{"name": "depth", "short": "1", "text": "one, 2 CPUs"}])
        self.assertEqual(found.verdict["kind"], "applicable")


class Own(unittest.TestCase):
    """The changes that are here."""

    known = changes.load()

    def test_tables(self):
        measured = [name for name, change in self.known.items() if change.measure()]
        tested = [name for name, change in self.known.items() if change.tests()]
        self.assertGreater(len(measured), 3)
        self.assertGreater(len(tested), 3)

    def test_tests_exist(self):
        for change in self.known.values():
            tests = change.tests()
            if tests:
                self.assertTrue((paths.TOP / "selftests" / tests.script).exists(),
                                f"[tests] of {change.name}/about.toml takes selftests/{tests.script}, which is not there")
                verify._environment(tests, paths.TOP / "selftests")

    def test_programs_exist(self):
        for change in self.known.values():
            how = change.measure()
            if how and how.program:
                self.assertTrue((paths.TOP / f"selftests/bench/{how.program}.c").exists(),
                                f"{change.name}/about.toml names a program that selftests/bench does not have: {how.program}")

    def test_files_exist(self):
        for change in self.known.values():
            for table in (change.measure(), change.shows(), change.cachelines()):
                if table and table.script:
                    text = change.text(table.script)
                    self.assertEqual(subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode, 0)
            if change.shows():
                self.assertTrue(callable(change.python(change.shows().reads).shows))

    def test_scripts_leave_arms_that_reports_know(self):
        for change in self.known.values():
            how = change.measure()
            if how and how.script:
                found = set(re.findall(r"(?m)^bench (\w+) ", change.text(how.script)))
                self.assertLessEqual(found, {"off", "off_again", "null", "new", "batch", "track", *how.arms})

    @unittest.skipUnless(shutil.which("git"), "no git")
    def test_no_change_is_named_outside_of_its_directory(self):
        names = re.compile(rf"\b({'|'.join(self.known)})\b")
        lab = [SCRIPTS / "upliftlib/lab" / f"{name}.py"
               for name in ("evaluate", "measure", "verify", "arms", "matrix", "cachelines")]
        for path in [*lab, *(SCRIPTS / "upliftlib/report").glob("*.py"), SCRIPTS / "upliftlib/base/changes.py",
                     SCRIPTS / "upliftlib/host/loads.py", SCRIPTS / "upliftlib/host/bench.py"]:
            self.assertIsNone(names.search(path.read_text()), path)


if __name__ == "__main__":
    unittest.main()
