# SPDX-License-Identifier: GPL-2.0-only
"""Tests of `uplift sched`: what it shows, compares and traces, what it refuses; and the unit tests of sched/."""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TOP = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, paths	# noqa: E402
from upliftlib.inspector import model	# noqa: E402
from upliftlib.scheduler import command, tables	# noqa: E402
from upliftlib.lab import schedulers	# noqa: E402


def status(runs=10, pid=7, latency=None):
    latency = latency or [0] * 32
    return {"format": 1, "name": "uplift_land", "pid": pid, "running": True, "pending": 2, "gap_ns": 0, "gap_any_ns": 0,
            "stats": {"same_cpu": 3, "sibling": 0, "same_domain": 1, "other_domain": 1, "passed_up": 8, "wakes": 1},
            "domains": [{"cpus": [0, 1, 2, 8], "online": 4, "idle": 1, "queued": 5, "in": 2, "out": 1, "runs": runs,
                         "latency": latency}]}


def sample(arm, load, *works, moves=0, late=None):
    return {"arm": arm, "load": load, "ops": 1234, "ns": 10**9, "longest_ns": 0, "latency_ns": late or {"count": 0},
            "processes": [{"pid": 1, "threads": 2, "moves": moves, "work": list(work)} for work in works]}


class Figures(unittest.TestCase):
    def test_percentile(self):
        counts = [0] * 32
        self.assertIsNone(tables.percentile(counts, 0.5))
        counts[3], counts[10] = 99, 1
        self.assertEqual(tables.percentile(counts, 0.5), 16)
        self.assertEqual(tables.percentile(counts, 0.99), 16)
        self.assertEqual(tables.percentile(counts, 1), 2048)

    def test_placement(self):
        found = tables.placement(sample("land", "2x2", [90, 10, 0], [0, 100, 0], moves=3))
        self.assertEqual(found, {"top": 95.0, "least": 90.0, "moves": 6})
        self.assertIsNone(tables.placement(sample("land", "2x2", [0, 0])))

    def test_of_ns(self):
        self.assertEqual([tables.of_ns(ns) for ns in (None, 7, 1500, 2_345_678, 10**11)],
                         ["-", "7 ns", "1.5 us", "2.3 ms", "100 s"])

    def test_cpu_list(self):
        self.assertEqual(model.list_of([8, 0, 2, 1]), "0-2,8")


class Tables(unittest.TestCase):
    def test_live(self):
        text = tables.live(status())
        self.assertRegex(text, r"(?m)^0 +0-2,8 +5 +3 +10 +2 +1 +- ")
        self.assertIn("passed up: 8, with 1 wakeups", text)

    def test_live_since(self):
        was, now = status(runs=10), status(runs=25, latency=[0, 0, 4] + [0] * 29)
        now["stats"]["passed_up"] = 20
        text = tables.live(now, was)
        self.assertRegex(text, r"(?m)^0 +0-2,8 +5 +3 +15 +0 +0 +8 ns ")
        self.assertIn("passed up: 12,", text)

    def test_live_of_another_run(self):
        # counts began anew with another process: what they were says nothing
        self.assertIn(" 25 ", tables.live(status(runs=25), status(runs=10, pid=8)))

    def test_checked(self):
        tables.checked(status(), "x")
        for bad in ({}, [], {**status(), "format": 2}, {**status(), "domains": [{}]}, {**status(), "pid": "7"},
                    {**status(), "pid": 0}, {**status(), "pid": -1}, {**status(), "name": ""}):
            with self.assertRaises(errors.Problem):
                tables.checked(bad, "x")

    def test_cut_status(self):
        # as it is while somebody else writes it, or the disk is full
        whole = json.dumps(status())
        with tempfile.TemporaryDirectory() as temp, unittest.mock.patch.object(command, "STATUS", pathlib.Path(temp) / "s"):
            self.assertIsNone(command.status())
            for cut in range(0, len(whole), 7):
                command.STATUS.write_text(whole[:cut])
                with self.assertRaisesRegex(errors.Problem, "cannot be read|no status"):
                    command.status()
            command.STATUS.write_text(whole)
            self.assertEqual(command.status()["pid"], 7)

    def test_other_domains(self):
        # it started again, and learnt of a cache
        was, now = status(runs=10), status(runs=25)
        now["domains"].append(now["domains"][0])
        self.assertEqual(tables.live(now, was).count(" 25 "), 2)

    def test_comparison(self):
        text = tables.comparison([sample("eevdf", "2x2", [40, 60]), sample("land", "2x2", [100, 0]),
                                    sample("land", "messages:2x8", [1, 1], late={"count": 1, "p50": 1000, "p99": 2000,
                                                                                 "max": 3000})], "instructions")
        self.assertRegex(text, r"2 processes x 2 threads +EEVDF +60\.0%")
        self.assertRegex(text, r"2 processes x 2 threads +uplift_land +100\.0%")
        self.assertRegex(text, r"1,000 +2,000 +3,000")

    def test_gaps(self):
        state = {"gap_ns": 1000, "gap_any_ns": 2500, "stats": {"passed_up": 5, "wakes": 1}}
        self.assertEqual(schedulers.gaps({"land": state}), "uplift_land: CPUs idle while tasks waited that went up: 1,000 "
                         "instructions, any task: 2,500; 5 tasks passed up, 1 wakeups\n")


class Trace(unittest.TestCase):
    TEXT = """# tracer: nop
#
          <idle>-0       [001] d..2.    10.000100: sched_switch: prev_comm=swapper/1 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=a b next_pid=42 next_prio=120
             a b-42      [001] d..2.    10.000350: sched_switch: prev_comm=a b prev_pid=42 prev_prio=120 prev_state=S ==> next_comm=swapper/1 next_pid=0 next_prio=120
          <idle>-0       [001] d..2.    11.000000: sched_switch: prev_comm=swapper/1 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=c next_pid=43 next_prio=120
"""

    def test_turns(self):
        found = tables.trace(self.TEXT, {0: 0, 1: 1})
        turns = [event for event in found["traceEvents"] if event["ph"] == "X"]
        self.assertEqual(turns, [{"ph": "X", "name": "a b 42", "pid": 2, "tid": 2, "ts": 10000100, "dur": 250,
                                  "args": {"pid": 42}}])
        names = {event["args"]["name"] for event in found["traceEvents"] if event["ph"] == "M"}
        self.assertEqual(names, {"CPU 0", "CPU 1", "domain 0", "domain 1"})
        self.assertEqual(schedulers.trace_problems(json.loads(json.dumps(found))), [])

    def test_lost_events(self):
        # a turn that began before them has no known end
        lines = self.TEXT.splitlines()
        found = tables.trace("\n".join([*lines[:3], "CPU:1 [LOST 12 EVENTS]", *lines[3:]]), {0: 0, 1: 1})
        self.assertEqual([event for event in found["traceEvents"] if event["ph"] == "X"], [])

    def test_format(self):
        good = tables.trace(self.TEXT, {0: 0, 1: 1})
        turn = next(event for event in good["traceEvents"] if event["ph"] == "X")
        for bad in ([], {}, {"traceEvents": []}, {**good, "displayTimeUnit": "s"},
                    {**good, "traceEvents": [turn]},
                    {**good, "traceEvents": [*good["traceEvents"], turn]},
                    {**good, "traceEvents": [*good["traceEvents"], {"ph": "B"}]},
                    *({**good, "traceEvents": [*good["traceEvents"][:-1], {**turn, key: value}]}
                      for key, value in (("ts", "1"), ("dur", -1), ("tid", None), ("name", 3), ("pid", 9)))):
            with self.subTest(bad):
                self.assertTrue(schedulers.trace_problems(bad))


class Command(unittest.TestCase):
    def run_it(self, *words):
        return subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", "sched", *words], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def test_bad_words(self):
        for words in ([], ["nonsense"], ["trace"], ["compare", "--length", "x"], ["show", "--every", "x"]):
            with self.subTest(words):
                self.assertEqual(self.run_it(*words).returncode, 2)

    @unittest.skipIf(os.path.isdir("/sys/kernel/sched_ext"), "this kernel has sched_ext")
    def test_no_sched_ext(self):
        for words in (["load", "--yes"], ["show"], ["unload"], ["compare", "--yes"]):
            with self.subTest(words):
                found = self.run_it(*words)
                self.assertEqual(found.returncode, 4)
                self.assertIn("no sched_ext", found.stderr)


class Program(unittest.TestCase):
    """Where uplift_land is looked for, and what is said where it is not."""

    def test_not_built(self):
        with tempfile.TemporaryDirectory() as temp, unittest.mock.patch.object(paths, "BUILD", pathlib.Path(temp)), \
                unittest.mock.patch.dict(os.environ):
            os.environ.pop("UPLIFT_SCHED_DIR", None)
            with self.assertRaisesRegex(errors.Problem, rf"not built for \S+: make -C {TOP}/sched "):
                command.program()
            land = pathlib.Path(temp) / "sched" / os.uname().release / "uplift_land"
            land.parent.mkdir(parents=True)
            land.write_text("#!/bin/sh\n")
            land.chmod(0o755)
            self.assertEqual(command.program(), land)

    def test_where_it_was_said_to_be(self):
        with unittest.mock.patch.dict(os.environ, {"UPLIFT_SCHED_DIR": "/no/such"}):
            with self.assertRaisesRegex(errors.Problem, "no uplift_land in /no/such"):
                command.program()


class Daemon(unittest.TestCase):
    """Starting, showing and ending it, with a program that only seems to be it."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.temp = pathlib.Path(temp.name)
        self.land = self.temp / "uplift_land"
        (self.temp / "scx/root").mkdir(parents=True)
        self.is_loaded("uplift_land", "disabled")
        for name, value in {"RUN": self.temp, "STATUS": self.temp / "status", "LOG": self.temp / "log",
                            "SCX": self.temp / "scx"}.items():
            patch = unittest.mock.patch.object(command, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = unittest.mock.patch.dict(os.environ, {"UPLIFT_SCHED_DIR": str(self.temp)})
        patch.start()
        self.addCleanup(patch.stop)

    def is_loaded(self, name, state="enabled"):
        (self.temp / "scx/state").write_text(state)
        (self.temp / "scx/root/ops").write_text(name)

    def does(self, script):
        self.land.write_text("#!/bin/sh\n" + script)
        self.land.chmod(0o755)

    def show(self, every=None):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = command._show(unittest.mock.Mock(every=every, json=False))
        return code, said.getvalue()

    def own(self, **more):
        return {**status(pid=os.getpid()), "name": pathlib.Path("/proc/self/comm").read_text().strip(), **more}

    def test_show(self):
        self.is_loaded("uplift_land")
        command.STATUS.write_text(json.dumps(self.own()))
        self.assertEqual(self.show()[0], 0)

    def test_show_what_another_left(self):
        # it ended, or was killed, and another scheduler is loaded since
        self.is_loaded("other")
        for left in (self.own(running=False), {**status(pid=2 ** 22 + 1)}, self.own(name="uplift_land")):
            command.STATUS.write_text(json.dumps(left))
            self.assertEqual(self.show(), (1, "other is loaded, not by this command\n"))

    def test_show_while_it_is_loaded_anew(self):
        self.is_loaded("uplift_land")
        command.STATUS.write_text(json.dumps(self.own()))
        steps = [command.STATUS.unlink, lambda: None, lambda: self.is_loaded("", "disabled")]
        with unittest.mock.patch.object(command.time, "sleep", lambda _: steps.pop(0)()):
            self.assertEqual(self.show(every=1)[0], 0)

    def test_two_at_once(self):
        # the other's status and its being loaded are not ours
        self.does("sleep 0.5\necho another scheduler is loaded >&2\nexit 1\n")
        with unittest.mock.patch.object(command, "loaded", side_effect=["", *["uplift_land"] * 600]), \
                unittest.mock.patch.object(command, "status", return_value=self.own()), \
                self.assertRaisesRegex(errors.Problem, "another scheduler is loaded"):
            command.STATUS.write_text("{}")
            with unittest.mock.patch.object(pathlib.Path, "unlink"):
                command.start([])

    def test_stopped_while_it_loads(self):
        self.does(f"echo $$ >{self.temp}/pid\nexec sleep 60\n")

        def interrupt(_):
            if (self.temp / "pid").exists() and (self.temp / "pid").read_text():
                raise KeyboardInterrupt

        with unittest.mock.patch.object(command.time, "sleep", interrupt), self.assertRaises(KeyboardInterrupt):
            command.start([])
        self.assertFalse(pathlib.Path("/proc", (self.temp / "pid").read_text().strip()).exists())

    def test_status_is_ours(self):
        self.does("exit 0\n")
        for words in (["--status", "/tmp/x"], ["--stat=/tmp/x"]):
            with self.assertRaisesRegex(errors.Problem, "--status is what this command gives"):
                command.start(words)

    def test_what_the_kernel_does_not_tell(self):
        for said, missing in (("cpu.weight cpu.max", None), ("cpu.weight", "of cpu.max of"), ("", "of cpu.weight and cpu.max of")):
            self.does(f'[ "$1" = --honours ] && echo "{said}"\n')
            lines = command._not_honoured()
            self.assertEqual(len(lines), missing is not None)
            self.assertIn(missing or "", " ".join(lines))
        self.does("exit 2\n")
        with self.assertRaisesRegex(errors.Problem, "build it anew"):
            command._not_honoured()

    def test_help(self):
        self.does("[ \"$*\" = --help ]\n")
        self.assertEqual(command._load(unittest.mock.Mock(options=["--help"])), 0)


class Source(unittest.TestCase):
    """What of sched/ needs neither BPF nor a kernel."""

    @unittest.skipUnless(shutil.which("cc") and shutil.which("make"), "no compiler here")
    def test_policy(self):
        with tempfile.TemporaryDirectory() as temp:
            found = subprocess.run(["make", "-s", "-C", TOP / "sched", "check", f"O={temp}"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(found.returncode, 0, found.stdout)
            self.assertNotIn("not ok", found.stdout)
            self.assertRegex(found.stdout, r"ok \d+ \S+\.stream")

    def test_examples_are_short(self):
        for name in ("example_fifo", "example_llc"):
            self.assertLess(len((TOP / f"sched/examples/{name}.c").read_text().splitlines()), 100)

    def test_stats_are_named(self):
        names = re.findall(r"^\tLAND_([A-Z_]+),", (TOP / "sched/shared.h").read_text(), re.MULTILINE)
        self.assertGreater(len(names), 8)
        text = (TOP / "sched/lib.c").read_text()
        for name in set(names) - {"NR_STATS"}:
            self.assertIn(f"[LAND_{name}] = ", text)

    def test_kfuncs_are_found(self):
        raw = ("[1] FUNC 'scx_bpf_kick_cpu' type_id=9 linkage=static\n[2] FUNC 'scx_bpf_now' type_id=9 linkage=static\n"
               "[3] DECL_TAG 'bpf_kfunc' type_id=2 component_idx=-1\n[4] DECL_TAG 'other' type_id=1 component_idx=-1\n")
        said = subprocess.run(["awk", "-f", TOP / "sched/have.awk"], input=raw, text=True, stdout=subprocess.PIPE,
                              check=True).stdout
        # one that is listed without the tag cannot be called
        self.assertEqual(said, "#define HAVE_scx_bpf_now 1\n")

    def test_operations_are_found(self):
        raw = ("[1] STRUCT 'sched_ext_ops' size=8 vlen=2\n\t'init' type_id=2 bits_offset=0\n\t'cgroup_init' type_id=2 bits_offset=64\n"
               "[2] STRUCT 'other' size=8 vlen=1\n\t'cgroup_exit' type_id=2 bits_offset=0\n")
        said = subprocess.run(["awk", "-f", TOP / "sched/have.awk"], input=raw, text=True, stdout=subprocess.PIPE,
                              check=True).stdout
        self.assertEqual(said, "#define HAVE_OPS_cgroup_init 1\n")


if __name__ == "__main__":
    unittest.main()
