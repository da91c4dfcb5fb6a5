# SPDX-License-Identifier: GPL-2.0-only
"""Workloads: what the tools print, what is missing, and that figures go to the arm that was on."""

import contextlib
import io
import os
import pathlib
import sys
import tempfile
import types
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import changes, errors	# noqa: E402
from upliftlib.report import record, stats	# noqa: E402
from upliftlib.host import bench, programs, workloads	# noqa: E402
from tests import pond	# noqa: E402

FIO = '''note: something first
{"fio version": "fio-3.39", "jobs": [{"error": %d, "read": {"iops": %s}}]}'''


class Fixture(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.top = pathlib.Path(temp.name)
        patch = mock.patch.object(workloads, "_path", lambda: str(self.top))
        patch.start()
        self.addCleanup(patch.stop)

    def stub(self, name, script):
        path = self.top / name
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def figures(self, load, paths=()):
        return {name: run(None, None) for name, run in load.operations(list(paths))}


class Tools(Fixture):
    def test_missing(self):
        for load in (workloads.KNOWN["fio"], workloads.PerfBench("pond wait"), workloads.KNOWN["messaging"]):
            self.assertTrue(load.lacks(), load.name)
        self.assertIn("none of", workloads.KNOWN["exec"].lacks())
        self.assertEqual(workloads.KNOWN["echo"].lacks(), "")

    def test_fio(self):
        # an engine that is not there, as io_uring where it is forbidden
        self.stub("fio", "case \"$*\" in *io_uring*) echo 'fio: engine io_uring not loadable' >&2; exit 1;; esac\n"
                         "cat <<'X'\n" + FIO % (0, "250000.5") + "\nX\n")
        (name, value), = self.figures(workloads.KNOWN["fio"], ["/x/file"]).items()
        self.assertEqual(name, "fio psync")
        self.assertAlmostEqual(value, 1e9 / 250000.5)

    def test_fio_polls_where_it_can(self):
        self.stub("fio", "cat <<'X'\n" + FIO % (0, "10") + "\nX\n")
        self.assertEqual(list(self.figures(workloads.KNOWN["fio"], ["/x/a"])), ["fio io_uring polled"])
        self.stub("fio", "case \"$*\" in *hipri*) err=95;; *) err=0;; esac\n"
                         "printf '{\"jobs\": [{\"error\": %d, \"read\": {\"iops\": 10}}]}' $err\n")
        self.assertEqual(list(self.figures(workloads.KNOWN["fio"], ["/x/a"])), ["fio io_uring"])

    def test_fio_says_nothing(self):
        for text in ("", "nonsense", "{}", '{"jobs": []}', FIO % (0, "0"), FIO % (5, "1"), '{"jobs": [1]}'):
            self.stub("fio", f"cat <<'X'\n{text}\nX\n")
            with self.assertRaises(errors.Problem) as caught:
                self.figures(workloads.KNOWN["fio"], ["/x/a"])
            self.assertEqual(len(str(caught.exception).splitlines()), 1)

    def test_perf(self):
        self.stub("perf", "echo '# Running pond/wait'; echo 'Averaged 200,000 operations/sec (+- 1.20%), total secs = 1'\n")
        self.assertEqual(self.figures(workloads.PerfBench("pond wait")), {"perf bench pond wait": 5000.0})
        self.stub("perf", "echo 'Total time: 0.008 [sec]'\n")
        (value,) = self.figures(workloads.KNOWN["messaging"]).values()
        self.assertAlmostEqual(value, 1000.0)
        self.stub("perf", "printf '\\377\\376 no figure'\n")
        for load in (workloads.PerfBench("pond wait"), workloads.KNOWN["messaging"]):
            with self.assertRaises(errors.Problem):
                self.figures(load)

    def test_hackbench_first(self):
        self.stub("perf", "exit 1\n")
        self.stub("hackbench", "echo 'Running in process mode'; echo 'Time: 0.080'\n")
        self.assertEqual([round(value) for value in self.figures(workloads.KNOWN["messaging"]).values()], [10000])

    def test_dies(self):
        self.stub("hackbench", "echo 'no memory' >&2; exit 3\n")
        with self.assertRaises(errors.Problem) as caught:
            self.figures(workloads.KNOWN["messaging"])
        self.assertEqual(str(caught.exception), "hackbench ended with status 3: no memory")

    def test_hangs(self):
        self.stub("hackbench", "exec sleep 60\n")
        with self.assertRaises(errors.Problem) as caught:
            workloads._run([self.top / "hackbench"], None, timeout=0.2)
        self.assertIn("did not end", str(caught.exception))

    def test_exec(self):
        self.stub("sed", "exit 0 # libselinux.so.1\n")
        self.assertEqual(list(self.figures(workloads.KNOWN["exec"])), ["starting sed"])
        self.stub("sed", "exit 1 # libselinux.so.1\n")
        with self.assertRaises(errors.Problem):
            self.figures(workloads.KNOWN["exec"])

    def test_exec_looks_behind_busybox(self):
        # a guest's first sed is busybox, which reads no list; the next one does
        for name, words in (("first", "no library here"), ("second", "libselinux.so.1")):
            (self.top / name).mkdir()
            self.stub(f"{name}/sed", f"exit 0 # {words}\n")
        with mock.patch.object(workloads, "_path", lambda: f"{self.top}/first:{self.top}/second"):
            self.assertEqual(workloads.KNOWN["exec"]._argv()[0], f"{self.top}/second/sed")

    def test_echo(self):
        (value,) = self.figures(workloads.KNOWN["echo"]).values()
        self.assertGreater(value, 0)

    @unittest.skipIf(os.geteuid(), "mounting takes root")
    def test_node_is_read_by_nobody_else(self):
        before = pathlib.Path(workloads.LIST).read_text()
        node = self.top / "node"
        node.write_text("nodev\tours\n")
        try:
            text = workloads._run(["/bin/cat", workloads.LIST], None, node=str(node))
        except errors.Problem as problem:
            self.skipTest(str(problem))
        self.assertEqual(text, "nodev\tours\n")
        self.assertEqual(pathlib.Path(workloads.LIST).read_text(), before)
        self.assertNotIn(str(self.top), pathlib.Path("/proc/self/mountinfo").read_text())

    def test_node_that_is_not_there(self):
        with self.assertRaises(errors.Problem) as caught:
            workloads._run(["/bin/cat", workloads.LIST], None, node=str(self.top / "none"))
        self.assertIn("cannot be mounted", str(caught.exception))


class Arms(Fixture):
    """A change whose arm is a plain file here."""

    def setUp(self):
        super().setUp()
        directory = self.top / "debug/trout"
        directory.mkdir(parents=True)
        self.arm = directory / "arm"
        self.arm.write_text("off")
        (directory / "stats").write_text("calls_null: 1\ncalls_new: 1\n")
        self.seen = []

        class Load(workloads.Workload):
            name = "stub"
            why = ""

            def lacks(self):
                return self.why

            def operations(load, _):
                def run(cpu, node):
                    self.seen.append((self.arm.read_text(), node))
                    return {"off": 100.0, "null": 110.0, "new": 90.0}[self.arm.read_text()]
                yield "work", run
        self.load = Load()
        for where, name, what in ((workloads, "of", lambda change: [self.load]),
                                  (bench.loader, "UPLIFT", self.top / "debug")):
            patch = mock.patch.object(where, name, what)
            patch.start()
            self.addCleanup(patch.stop)
        self.options = types.SimpleNamespace(rounds=30, cpu=None, placebo=False)

    def measure(self, name="trout"):
        notes = []
        found = bench._by_workload(pond.CHANGES[name], self.options, lambda: [], notes)
        return found, notes

    def test_each_in_its_arm(self):
        found, _ = self.measure()
        self.assertEqual({arm: set(values) for arm, values in found["work"].items()},
                         {"off": {100.0}, "off_again": {100.0}, "null": {110.0}, "new": {90.0}})
        self.assertEqual({len(values) for values in found["work"].values()}, {30})
        self.assertEqual(self.arm.read_text(), "off")
        gain = record.operation("work", found["work"])["gains"]["new"]
        self.assertEqual(gain["claim"], "gain")

    def test_placebo(self):
        self.options.placebo = True
        found, _ = self.measure()
        self.assertEqual(set(found["work"]["new"]), {110.0})
        self.assertEqual(record.operation("work", found["work"])["gains"]["new"]["claim"], "none")

    def test_what_is_missing_is_noted(self):
        self.load.why = "no such tool"
        self.assertEqual(self.measure(), ({}, ["workload stub was not run: no such tool"]))

    def test_nodes(self):
        found, _ = self.measure("carp")
        self.assertEqual({node for _, node in self.seen}, {None, "/proc/carp_uncached", "/proc/carp_cached"})
        self.assertEqual(self.seen.count(("off", None)), 60)
        self.assertEqual(set(found["work"]), {"off", "off_again", "null", "new"})


class Kept(unittest.TestCase):
    """Where bench keeps its data is looked at first."""

    def test_default_that_cannot_be_written(self):
        with tempfile.TemporaryDirectory() as where:
            blocked = pathlib.Path(where) / "file"
            blocked.write_text("")
            with mock.patch.object(bench.paths, "REPORT", blocked / "report"), \
                    contextlib.redirect_stderr(io.StringIO()) as said:
                out = bench._out(None, "6.18")
            self.assertIn(str(out), said.getvalue())
            out.write_text("x")
            self.assertEqual(out.name, "bench-6.18.json")
            out.unlink()
            out.parent.rmdir()

    def test_named_that_cannot_be_written(self):
        for name in ("/proc/none/x.json", "/dev/null/x.json"):
            with self.assertRaises(errors.Problem) as caught:
                bench._out(name, "6.18")
            self.assertEqual(caught.exception.code, errors.USAGE)

    def test_programs_in_a_tree_that_cannot_be_written(self):
        with mock.patch.object(programs, "BUILT", pathlib.Path("/proc/none/bench")), \
                mock.patch.object(programs.shutil, "which", lambda name: "/bin/false"), \
                self.assertRaises(errors.Problem) as caught:
            programs.find("epoll_bench")
        self.assertIn("UPLIFT_BUILD", str(caught.exception))


class Named(unittest.TestCase):
    def test_every_change_names_what_there_is(self):
        for change in changes.load().values():
            self.assertIsInstance(workloads.of(change), list)
        change = types.SimpleNamespace(name="x", about={"workloads": ["nonsense"]})
        with self.assertRaises(errors.Problem):
            workloads.of(change)

    def test_rounds_are_those_of_a_claim(self):
        self.assertEqual(stats.ROUNDS, 30)


if __name__ == "__main__":
    unittest.main()
