# SPDX-License-Identifier: GPL-2.0-only
"""`uplift llc record`, `timeline` and `groups`, and what --watch remembers."""

import contextlib
import io
import json
import mmap
import os
import pathlib
import random
import signal
import socket
import sys
import tempfile
import threading
import unittest
import xml.etree.ElementTree as ElementTree
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from tests.llc_test import uplift	# noqa: E402
from upliftlib.base import errors	# noqa: E402
from upliftlib.inspector import history, model, record, text, timeline, timeline_svg, together, trace	# noqa: E402

PLACES = {"0a": "0-3", "0b": "4-7", "1": "8-15"}
CPU = {"0a": 0, "0b": 4, "1": 8, "-": 20}


def recording(*moments, said=None, step=100):
    """A Recording of process 7 with a thread for each letter's place: "0a 0a", "0a 1", "" ..."""
    lines = [{"format": 1, "record": 1, "kernel": "made", "interval_ms": step, "places": PLACES},
             {"names": {"7": "work"}}]
    for number, places in enumerate(moments, 1):
        threads = [[7, 70 + at, CPU[place], 50] for at, place in enumerate(places.split())]
        of = (said or {}).get(number)
        lines.append({"ms": number * step, "threads": threads,
                      "processes": [{"pid": 7, "where": None if of in model.REASONS else of,
                                     "reason": of if of in model.REASONS else None}] if of else []})
    return written(lines)


def written(lines):
    with tempfile.TemporaryDirectory() as temp:
        path = pathlib.Path(temp) / "r"
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return record.read(path)


class Told(unittest.TestCase):
    def told(self, *moments):
        given = recording(*moments)
        (line,) = timeline.lines(given)
        return timeline.told(line, timeline.end_of(given))

    def test_all_the_time(self):
        self.assertEqual(self.told(*["0a 0a"] * 10), "together in 0a all the time")
        # the halves of one cache are two places
        self.assertEqual(self.told(*["0a 0b"] * 10), "apart from the beginning, for good")

    def test_split(self):
        self.assertEqual(self.told(*["0a 0a"] * 2, *["0a 1"] * 18), "split early, at 0.3 s, for good")
        self.assertEqual(self.told(*["0a 0a"] * 12, *["0a 1"] * 8), "split at 1.3 s, for good")

    def test_gathered(self):
        self.assertEqual(self.told(*["0a 1"] * 4, *["1 1"] * 6), "apart at first, together in 1 from 0.5 s")

    def test_back_and_forth(self):
        self.assertEqual(self.told(*(["0a 0a"] * 3 + ["0a 1"] * 3) * 3),
                         "back and forth between together and apart, 5 times")
        self.assertEqual(self.told(*["0a 0a"] * 3, *["0a 1"] * 3, *["1 1"] * 3), "apart for a while, together again in 1 from 0.7 s")
        self.assertEqual(self.told(*["0a 1"] * 3, *["1 1"] * 3, *["0a 1"] * 3), "together for a while, apart again from 0.7 s")

    def test_moved(self):
        self.assertEqual(self.told(*["0a 0a"] * 3, *["0b 0b"] * 3), "together all the time, moved to 0b at 0.4 s")

    def test_one_sample_is_no_change(self):
        self.assertEqual(self.told(*["0a 0a"] * 5, "0a 1", *["0a 0a"] * 5), "together in 0a all the time")

    def test_idle_is_no_change(self):
        self.assertEqual(self.told("0a 0a", "0a 0a", "", "", "0a 0a"), "together in 0a all the time")
        self.assertEqual(self.told("0a"), "ran too little to tell")

    def test_mostly_is_together(self):
        self.assertEqual(self.told(*["0a 0a 0a 0a 1"] * 5), "together in 0a all the time")
        self.assertEqual(self.told(*["0a 0a 0a 1"] * 5), "apart from the beginning, for good")


class Events(unittest.TestCase):
    def test_gathering(self):
        given = recording(*["0a 0a"] * 6, said={1: "young", 2: "0a", 3: "0a", 4: "1", 5: "footprint", 6: "too-many-threads"})
        (line,) = timeline.lines(given)
        self.assertEqual([(event.ms, event.before, event.after) for event in line.events],
                         [(200, "", "0a"), (400, "0a", "1"), (500, "1", "")])
        self.assertEqual(line.refused, {"young": (1, 1), "footprint": (1, 1), "too-many-threads": (1, 1)})
        said = timeline.render(given)
        for words in ("gathered in 0a\n", "gathered in 1, before in 0a", "no longer gathered in 1: footprint",
                      "uses more memory than the cache holds (footprint), 1 times, 1 samples"):
            self.assertIn(words, said)

    def test_refused_again(self):
        given = recording(*["0a 0a"] * 6, said={1: "footprint", 2: "footprint", 3: "0a", 4: "footprint", 5: "0a", 6: "0a"})
        self.assertEqual(timeline.lines(given)[0].refused, {"footprint": (2, 3)})

    def test_moves(self):
        given = recording("0a 1", "0a 1", "0a 0a", "1 0a", "1 0b", "- -", said={1: "0a", 2: "0a", 3: "0a", 4: "0a", 5: "0b"})
        # to 0a; away from it; then 0a to 0b, and at last elsewhere from 1 and away from 0b
        self.assertEqual(timeline.lines(given)[0].moves, {"to": 1, "away": 3, "elsewhere": 1})

    def test_moves_by_brute_force(self):
        for seed in range(50):
            rng = random.Random(seed)
            places = [[rng.choice(list(PLACES)) for _ in range(3)] for _ in range(20)]
            said = {at: rng.choice([*PLACES, "footprint"]) for at in range(1, 21)}
            wanted = {"to": 0, "away": 0, "elsewhere": 0}
            for at in range(1, 20):
                for one, other in zip(places[at - 1], places[at]):
                    if one != other:
                        # where it was gathered in the sample before
                        wanted["to" if said[at] == other else "away" if said[at] == one else "elsewhere"] += 1
            given = recording(*[" ".join(row) for row in places], said=said)
            self.assertEqual(timeline.lines(given)[0].moves, wanted, seed)


class Drawn(unittest.TestCase):
    given = staticmethod(lambda: recording(*["0a 0a"] * 4, *["0a 1"] * 4, "", said={2: "0a", 5: "footprint"}))

    def test_text(self):
        said = timeline.render(self.given(), columns=60)
        self.assertIn("work 7: split at 0.5 s, for good\n", said)
        self.assertIn("  0a: CPUs 0-3\n", said)
        self.assertTrue(timeline.render(self.given(), plain=True).isascii())
        self.assertLessEqual(max(map(len, said.splitlines())), 110)

    def test_svg(self):
        root = ElementTree.fromstring(timeline_svg.render(self.given()))
        width, height = float(root.get("width")), float(root.get("height"))
        kinds = []
        for item in root.iter():
            if item.tag.endswith("rect"):
                kinds.append(item.get("class"))
                self.assertLessEqual(float(item.get("x")) + float(item.get("width")), width)
                self.assertLessEqual(float(item.get("y")) + float(item.get("height")), height)
        # 0a alone in four columns, with 1 in four; and one in the legend for each
        self.assertEqual((kinds.count("p0"), kinds.count("p2"), kinds.count("mark")), (1 + 8, 1 + 4, 2))

    def documented(self, text):
        """The events of a trace, held against what the description of the trace event format asks of each kind."""
        def no_number(word):
            raise AssertionError(f"{word} is no JSON")

        data = json.loads(text, parse_constant=no_number)
        self.assertLessEqual(set(data), {"traceEvents", "displayTimeUnit", "otherData"})
        self.assertIn(data["displayTimeUnit"], ("ms", "ns"))
        self.assertTrue(all(isinstance(value, str) for value in data["otherData"].values()))
        number = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)	# noqa: E731
        # kind: the members it needs, those it may have
        kinds = {"M": ({"args"}, set()), "X": ({"ts", "dur"}, {"cat", "args"}), "C": ({"ts", "args"}, set()),
                 "i": ({"ts", "s"}, {"cat"})}
        named, ends = set(), {}
        for event in data["traceEvents"]:
            needs, may = kinds[event["ph"]]
            self.assertLessEqual({"ph", "name", "pid", "tid"} | needs, set(event))
            self.assertLessEqual(set(event), {"ph", "name", "pid", "tid"} | needs | may)
            self.assertTrue(isinstance(event["name"], str) and event["name"])
            self.assertTrue(all(type(event[name]) is int and event[name] > 0 for name in ("pid", "tid")))
            self.assertTrue(all(number(event[name]) and event[name] >= 0 for name in {"ts", "dur"} & set(event)))
            self.assertIn(event.get("s", "p"), ("g", "p", "t"))
            if event["ph"] == "M":
                self.assertIn(event["name"], ("process_name", "thread_name", "process_sort_index", "thread_sort_index"))
                self.assertIsInstance(event["args"]["name"], str)
                named.add(event["pid"])
            if event["ph"] == "C":
                self.assertTrue(event["args"] and all(map(number, event["args"].values())))
            if event["ph"] == "X":	# slices of a thread nest, or follow each other
                self.assertGreaterEqual(event["ts"], ends.get((event["pid"], event["tid"]), 0))
                self.assertGreater(event["dur"], 0)
                ends[event["pid"], event["tid"]] = event["ts"] + event["dur"]
        self.assertLessEqual({event["pid"] for event in data["traceEvents"]}, named)
        return data["traceEvents"]

    def test_trace(self):
        events = self.documented(trace.render(self.given()))
        self.assertEqual([event.get("ts", -1) for event in events], sorted(event.get("ts", -1) for event in events))
        slices = {}
        for event in events:
            if event["ph"] == "X":
                slices.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"], event["name"]))
        self.assertEqual(slices[70], [(0, 800000, "domain 0a")])
        self.assertEqual(slices[71], [(0, 400000, "domain 0a"), (400000, 800000, "domain 1")])
        self.assertEqual([event["name"] for event in events if event["ph"] == "i"],
                         ["gathered in 0a", "no longer gathered in 0a: footprint", "refused: footprint"])

    def test_random_traces_nest(self):
        for seed in range(30):
            rng = random.Random(seed)
            given = recording(*[" ".join(rng.choice([*PLACES, "-"]) for _ in range(rng.randint(0, 4))) for _ in range(30)])
            self.documented(trace.render(given))

    def test_commands(self):
        with tempfile.TemporaryDirectory() as temp:
            path = pathlib.Path(temp) / "r"
            path.write_text(json.dumps({"format": 1, "record": 1, "kernel": "made", "interval_ms": 9, "places": PLACES}) + "\n")
            for words, code in ((["timeline", path], 0), (["timeline", path, "--svg", "-"], 0),
                                (["timeline", path, "--trace", f"{temp}/t"], 0), (["timeline", f"{temp}/none"], 2),
                                (["timeline", path, "--trace", "/nonexistent/x"], 2), (["timeline", path, "--svg", ""], 2),
                                (["--from", "x", "timeline", path], 2), (["--watch", "1", "timeline", path], 2),
                                (["record", path], 2), (["record", "/nonexistent/x"], 2), (["record", ""], 2),
                                (["record", f"{temp}/x", "--interval", "1"], 2), (["record", f"{temp}/x", "--seconds", "-1"], 2),
                                (["record", f"{temp}/x", "--pid", "a"], 2), (["--json", "record", f"{temp}/x"], 2),
                                (["groups", "--pid", "0"], 2), (["--svg", "x", "groups"], 2)):
                with self.subTest(words=words):
                    found, _, err = uplift(*words)
                    self.assertEqual(found, code, err)
                    self.assertNotIn("Traceback", err)
            self.assertEqual(json.loads(pathlib.Path(f"{temp}/t").read_text())["displayTimeUnit"], "ms")


    def test_options_behind_the_command(self):
        """A line of the drawing says to type --all: behind the command it is what it is in front of it."""
        lines = [Read.head, {"ms": 100, "threads": [[pid, pid, 0, 9] for pid in range(1, 13)], "processes": []}]
        with tempfile.TemporaryDirectory() as temp:
            path = pathlib.Path(temp) / "r"
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            few, every = uplift("timeline", path, "--ascii"), uplift("timeline", path, "--all", "--ascii")
            self.assertIn("and 2 processes more: --all", few[1])
            self.assertEqual((every[0], every[1].count("\n? ")), (0, 12))
            self.assertEqual(every, uplift("--all", "--ascii", "timeline", path))
        groups = [[pid, pid + 1] for pid in range(0, 24, 2)]
        with mock.patch.object(together, "look", return_value=together.Found(groups, {}, {}, {})):
            self.assertIn("and 2 groups more: --all", uplift("groups")[1])
            self.assertIn("group 12: ", uplift("groups", "--all")[1])

    def test_files_that_would_be_lost(self):
        with tempfile.TemporaryDirectory() as temp:
            path = pathlib.Path(temp) / "r"
            path.write_text(json.dumps(Read.head) + "\n")
            before = path.read_text()
            for words in (["--svg", path], ["--trace", path], ["--svg", "-", "--trace", "-"],
                          ["--svg", f"{temp}/x", "--trace", f"{temp}/./x"]):
                with self.subTest(words=words):
                    self.assertEqual(uplift("timeline", path, *words)[:2], (2, ""))
            self.assertEqual((path.read_text(), os.listdir(temp)), (before, ["r"]))
            self.assertEqual(uplift("timeline", path, "--svg", f"{temp}/x", "--trace", f"{temp}/y")[0], 0)
            ElementTree.parse(f"{temp}/x")
            json.loads(pathlib.Path(f"{temp}/y").read_text())

    def test_nothing_ran(self):
        found = written([Read.head, {"ms": 1, "threads": [], "processes": []}])
        self.assertIn("\nno process ran: ", timeline.render(found))
        self.assertIn("no process ran: ", timeline_svg.render(found))

    def test_a_process_that_is_not_here(self):
        """A number that was mistyped is no machine on which nothing runs; and a thread is no process."""
        with tempfile.TemporaryDirectory() as temp:
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait)
            thread.start()
            try:
                for pid in (4194303, thread.native_id):
                    for words in (["record", f"{temp}/x", "--seconds", "0.01"], ["groups"]):
                        code, out, err = uplift(*words, "--pid", f"{os.getpid()},{pid}")
                        self.assertEqual((code, out, err), (2, "", f"uplift: --pid: no process {pid} is here\n"))
            finally:
                stop.set()
                thread.join()
            self.assertEqual(os.listdir(temp), [])


class Read(unittest.TestCase):
    head = {"format": 1, "record": 1, "kernel": "made", "interval_ms": 100, "places": PLACES}

    def test_cut_short(self):
        found = written([self.head, {"ms": 1, "threads": [], "processes": []}, '{"ms": 2, "thr'])
        self.assertEqual((len(found.samples), found.whole), (1, False))

    def test_bad(self):
        sample = {"ms": 5, "threads": [], "processes": []}
        for lines, why in (([], "empty"), (["x"], "not JSON"), ([self.head | {"record": 9}], "version 9"), ([self.head, "x", sample], "line 2"),
                           ([self.head | {"places": {"0": 3}}], "'0'"), ([self.head | {"places": {"0": "0-3", "1": "3"}}], "CPU 3 is in 1 and in another"), ([self.head, {"ms": -1, "threads": [], "processes": []}], "'ms'"),
                           ([self.head, sample | {"threads": [[1, 2, 3]]}], "threads"), ([self.head, sample, sample | {"ms": 4}], "before"),
                           ([self.head, sample | {"threads": [[1, 2, 3, True]]}], "threads"),
                           ([self.head, sample | {"processes": [{"pid": 1, "where": "9z"}]}], "no place")):
            with self.subTest(why=why), self.assertRaisesRegex(model.Bad, why) as caught:
                written(lines)
            self.assertEqual(caught.exception.code, errors.USAGE)

    def test_names_cannot_move_the_cursor(self):
        found = written([self.head, {"names": {"7": "\x1b[31m"}}, {"ms": 1, "threads": [[7, 7, 0, 1]], "processes": []}])
        self.assertTrue(timeline.render(found).replace("\n", "").isprintable())


class Watched(unittest.TestCase):
    """Against a /proc that is made up, and this process."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.proc = pathlib.Path(temp.name)

    def stat(self, pid, tid, ran, cpu, threads=2, name="a b) (c"):
        words = f"{tid} ({name}) R " + " ".join(["0"] * 10) + f" {ran} 0 " + " ".join(["0"] * 4) + f" {threads} " + " ".join(["0"] * 18)
        fields = words.rsplit(") ", 1)[1].split()
        self.assertEqual((fields[11], fields[17], len(fields)), (str(ran), str(threads), 36))
        for path in ([self.proc / f"{pid}/stat"] if pid == tid else []) + [self.proc / f"{pid}/task/{tid}/stat"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{words} {cpu} 0 0\n")

    def test_what_ran(self):
        self.stat(5, 5, 10, 1)
        self.stat(5, 6, 10, 2)
        self.stat(9, 9, 10, 3, threads=1)
        watcher = record.Watcher(self.proc, tick_ms=10)
        self.assertEqual(watcher.threads(), [])
        self.stat(5, 5, 13, 4)
        self.stat(9, 9, 20, 3, threads=1)
        self.assertEqual(watcher.threads(), [(5, 5, 4, 30)])
        self.assertEqual(watcher.names[5], "a b) (c")
        self.assertEqual(watcher.threads(), [])
        watcher = record.Watcher(self.proc, [9], tick_ms=10)
        watcher.threads()
        self.stat(9, 9, 21, 7, threads=1)
        self.assertEqual(watcher.threads(), [(9, 9, 7, 10)])

    def test_this_process(self):
        watcher = record.Watcher(pids=[os.getpid()])
        watcher.threads()
        found = []
        while not found:	# until it has run a tick
            sum(range(200000))
            found = watcher.threads()
        self.assertEqual({pid for pid, _, _, _ in found}, {os.getpid()})
        self.assertIn(found[0][2], os.sched_getaffinity(0))

    def test_there_and_back(self):
        machine = model.Machine("made", frozenset(range(8)), frozenset(range(8)), domains=[
            model.Domain(0, frozenset(range(4)), frozenset(range(4)), parts=[model.Part("0a", frozenset({0, 1})),
                                                                            model.Part("0b", frozenset({2, 3}))]),
            model.Domain(1, frozenset(range(4, 8)), frozenset(range(4, 8)))])
        out = io.StringIO()
        self.stat(5, 5, 10, 1)
        watcher, ran = record.Watcher(self.proc, tick_ms=10), iter(range(11, 20))

        def look():
            return model.Processes(list=[model.Process(5, "x", 2, scheduler=model.Verdict(preferred=0, part="0a")),
                                         model.Process(6, "y", 2, scheduler=model.Verdict(preferred=1))])

        def nap(_):
            at = next(ran)
            if at == 14:
                raise KeyboardInterrupt
            self.stat(5, 5, at, at % 8)

        with mock.patch.object(record.time, "sleep", nap):
            self.assertEqual(record.run(record.Writer(out, False), watcher, machine, look, 10, None), 3)
        self.assertNotIn("a b", out.getvalue())
        found = written(out.getvalue().splitlines())
        self.assertEqual(found.places, {"0a": {0, 1}, "0b": {2, 3}, "1": {4, 5, 6, 7}})
        self.assertEqual(found.names, {5: "process-1"})
        self.assertEqual([sample.threads for sample in found.samples], [[(5, 5, at % 8, 10.0)] for at in (11, 12, 13)])
        # of a process that never ran nothing is kept
        self.assertEqual([[item.pid for item in sample.processes] for sample in found.samples], [[5]] * 3)


class History(unittest.TestCase):
    def test_remembers(self):
        before = history.History()
        for share, verdict in (({0: 1000}, model.Verdict(0)), ({0: 500, 1: 500}, model.Verdict(1)),
                               ({}, model.Verdict(reason="footprint")), ({1: 900}, model.Verdict(reason="footprint"))):
            processes = model.Processes(True, list=[model.Process(7, "x", 2, share=share, scheduler=verdict)])
            before.add(processes)
        self.assertEqual(before.strip(7), "0*.1")
        self.assertEqual(before.words(7), "left 2 times, footprint x 1")
        machine = model.Machine("made", frozenset({0}), frozenset({0}), cas="on")
        drawn = text.render(machine, processes, before=before)
        self.assertIn("0*.1", drawn)
        self.assertIn("left 2 times, footprint x 1", drawn)
        before.add(model.Processes(True))
        self.assertEqual(before.strip(7), "")

    def test_by_part(self):
        before = history.History()
        before.add(model.Processes(True, list=[model.Process(7, "x", 2, share={0: 1000}, parts={"0a": 100, "0b": 900})]))
        self.assertEqual(before.strip(7), "b")


class Groups(unittest.TestCase):
    """Real processes, connected in each way."""

    def child(self, *keep):
        """A child that has only these open, and waits; and its pid."""
        ready, told = os.pipe()
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.write(told, b"x")
            wanted = {item if isinstance(item, int) else item.fileno() for item in keep}
            for number in range(3, 256):
                if number not in wanted:
                    with contextlib.suppress(OSError):
                        os.close(number)
            # what the tests themselves are connected by
            null = os.open("/dev/null", os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            while True:
                signal.pause()
        os.close(told)
        os.read(ready, 1)
        os.close(ready)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGTERM)
        return pid

    def link(self, one, other):
        """What is found between two; the children close what is not theirs a moment after they are there."""
        key = (min(one, other), max(one, other))
        for _ in range(1000):
            found = together.look(pids=[one, other])
            open_ = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (one, other)]
            if max(open_) <= 6:
                break
        return dict(found.links[key].kinds) if key in found.links else {}, found

    def test_pipe(self):
        read, write = os.pipe()
        one, other, third = self.child(read), self.child(write), self.child(write)
        os.close(read)
        os.close(write)
        kinds, found = self.link(one, other)
        self.assertEqual(kinds, {"pipe": 1})
        self.assertIn(sorted((one, other, third)), found.groups)
        # two that only write to one pipe have nothing in common
        self.assertEqual(self.link(other, third)[0], {})
        self.assertIn(f"{min(one, other)} and {max(one, other)}: 1 pipe\n", together.render(found))

    def test_without_itself(self):
        """`uplift llc groups | less` listed itself and less as a group."""
        read, write = os.pipe()
        self.addCleanup(os.close, write)
        other = self.child(read)
        os.close(read)
        found = together.look()
        self.assertIn(other, found.names)
        self.assertNotIn(os.getpid(), found.names)
        self.assertFalse([pair for pair in found.links if os.getpid() in pair])

    def test_socket(self):
        a, b = socket.socketpair()
        with a, b:
            one, other = self.child(a), self.child(b)
        self.assertEqual(self.link(one, other)[0], {"socket": 1})

    def test_tcp(self):
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as here:
            there, _ = server.accept()
            with there:
                one, other = self.child(here), self.child(there)
        self.assertEqual(self.link(one, other)[0], {"socket": 1})

    def test_memory(self):
        with mmap.mmap(-1, 4096) as _:
            one, other = self.child(), self.child()
            self.assertEqual(self.link(one, other)[0].get("memory"), 1)

    def test_hub(self):
        pids = list(range(1, 14))
        channels = {("memory", pid): {1, pid} for pid in pids[1:]} | {("memory", "x"): {5, 6}}
        found = together.Found([], together.links(channels, {}), {}, {})
        with mock.patch.object(together, "_channels", return_value=channels):
            found = together.look(peers={})
        self.assertEqual((found.hubs, found.groups), ({1: 12}, [[5, 6]]))
        self.assertIn("which is connected to 12 processes", together.render(found))

    def test_both_sides_of_a_connection_once(self):
        channels = {("socket", 10): {1}, ("socket", 11): {2}}
        self.assertEqual({pair: dict(link.kinds) for pair, link in together.links(channels, {10: 11, 11: 10}).items()},
                         {(1, 2): {"socket": 1}})


class Threads(unittest.TestCase):
    def test_record_command(self):
        """The command itself, on this machine: threads of this process."""
        stop = threading.Event()
        threads = [threading.Thread(target=lambda: [sum(range(10000)) for _ in iter(stop.is_set, True)]) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            with tempfile.TemporaryDirectory() as temp:
                code, out, err = uplift("record", f"{temp}/r", "--seconds", "0.5", "--interval", "50", "--pid", os.getpid())
                self.assertEqual(code, 0, err)
                self.assertIn("look: uplift llc timeline", out)
                found = record.read(pathlib.Path(temp) / "r")
                self.assertEqual(set(found.names), {os.getpid()})
                self.assertEqual(uplift("timeline", f"{temp}/r")[0], 0)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    unittest.main()
