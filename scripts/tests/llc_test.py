# SPDX-License-Identifier: GPL-2.0-only
"""The pictures of `uplift llc`, from the snapshots of selftests/fixtures/llc.

NAME/ (made by hand) or NAME.tar.xz (captured in a guest), and NAME.txt, the text that it has to be drawn as. After a
change that is meant, look at what differs, and then: UPLIFT_WRITE=1 python3 -B -m unittest scripts/tests/llc_test.py
"""

import argparse
import contextlib
import copy
import errno
import functools
import io
import json
import lzma
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import console, errors, paths, signals	# noqa: E402
from upliftlib.host import loader	# noqa: E402
from upliftlib.inspector import command, layout, model, sched, source, svg, sysfs, text	# noqa: E402
from upliftlib.lab import prediction	# noqa: E402

FIXTURES = paths.TOP / "selftests/fixtures/llc"
SNAPSHOTS = sorted([path for path in FIXTURES.iterdir() if path.is_dir()] + list(FIXTURES.glob("*.tar.xz")))
SVG = "{http://www.w3.org/2000/svg}"


def named(path):
    return path.name.removesuffix(".tar.xz")


@functools.cache
def _gathered(path):
    return source.gather(source.Snapshot(path))


def gathered(path):
    """What is drawn of a fixture: (machine, processes, migrations), to be changed at will."""
    return copy.deepcopy(_gathered(path))


def snapshot(name):
    for path in (FIXTURES / name, FIXTURES / f"{name}.tar.xz"):
        if path.exists():
            return source.Snapshot(path)
    raise AssertionError(f"no fixture {name}")


def uplift(*words):
    """(status, stdout, stderr) of the command, run in here."""
    parser = argparse.ArgumentParser(prog="uplift")
    command.register(parser.add_subparsers(required=True))

    def main():
        args = parser.parse_args(["llc", *map(str, words)])
        return args.func(args)

    out, err, code = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
            mock.patch.object(console, "error", lambda line: print(f"uplift: {line}", file=sys.stderr)):
        try:
            signals.run_main(main)
        except SystemExit as status:
            code = status.code
    return code, out.getvalue(), err.getvalue()


def uplift_program(*words, env=None):
    """The same of the program."""
    done = subprocess.run([sys.executable, "-B", paths.TOP / "scripts/uplift", "llc", *map(str, words)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8", **(env or {})})
    return done.returncode, done.stdout, done.stderr


class Lists(unittest.TestCase):
    def test_both_ways(self):
        for words, cpus in (("", set()), ("0", {0}), ("0-3,8", {0, 1, 2, 3, 8}), ("5,7-8", {5, 7, 8})):
            self.assertEqual(model.cpus_of(words, "x"), cpus)
            self.assertEqual(model.list_of(cpus), words)
        self.assertEqual(model.cpus_of("0-1\n", "x"), {0, 1})
        self.assertEqual(model.list_of(range(4096)), "0-4095")

    def test_bad(self):
        for words in ("x", "1-", "-1", "3-1", "1,,2", "0-99999999", "1 2", "0x3", "0-3:1/2", 5, None, ["0"]):
            with self.subTest(words=words), self.assertRaises(model.Bad) as caught:
                model.cpus_of(words, "where")
            self.assertEqual(caught.exception.code, errors.USAGE)
            self.assertTrue(str(caught.exception).startswith("where: "))

    def test_sizes(self):
        self.assertEqual([model.size_of(kib) for kib in (None, 0, 512, 1024, 2560, 36864, 1 << 20)],
                         ["size unknown", "0 KiB", "512 KiB", "1 MiB", "2.5 MiB", "36 MiB", "1024 MiB"])


class Golden(unittest.TestCase):
    maxDiff = None

    def test_text(self):
        self.assertGreater(len(SNAPSHOTS), 10)
        for path in SNAPSHOTS:
            with self.subTest(snapshot=path.name):
                drawn = text.render(*gathered(path), columns=100)
                wanted = FIXTURES / f"{named(path)}.txt"
                if os.environ.get("UPLIFT_WRITE"):
                    wanted.write_text(drawn)
                self.assertEqual(drawn, wanted.read_text())

    def test_no_line_is_longer_than_asked(self):
        for path in SNAPSHOTS:
            found = gathered(path)
            for columns in (40, 72, 200):
                with self.subTest(snapshot=path.name, columns=columns):
                    for line in text.render(*found, columns=columns).splitlines():
                        if line.strip() and line.strip()[0] in "┌│└":
                            self.assertLessEqual(len(line), columns)

    def test_ascii(self):
        for path in SNAPSHOTS:
            drawn = text.render(*gathered(path), plain=True)
            self.assertTrue(drawn.isascii(), path)

    def test_every_cpu_is_drawn_once(self):
        for path in SNAPSHOTS:
            with self.subTest(snapshot=path.name):
                machine, processes, _ = gathered(path)
                drawn = sorted(cpu for group in layout.groups(machine, processes) for box in group.boxes
                               for core in box.cores for cpu in core)
                self.assertEqual(len(drawn), len(set(drawn)))
                self.assertEqual(set(drawn) | layout.offline(machine), set(machine.possible))


class Picture(unittest.TestCase):
    def test_is_xml_and_whole(self):
        for path in SNAPSHOTS:
            with self.subTest(snapshot=path.name):
                found = gathered(path)
                root = ElementTree.fromstring(svg.render(*found).encode())
                self.assertEqual(root.tag, SVG + "svg")
                width, height = float(root.get("width")), float(root.get("height"))
                for rect in root.iter(SVG + "rect"):
                    self.assertLessEqual(float(rect.get("x")) + float(rect.get("width")), width)
                    self.assertLessEqual(float(rect.get("y")) + float(rect.get("height")), height)
                    self.assertGreaterEqual(min(float(rect.get(key)) for key in ("x", "y", "width", "height")), 0)
                for item in root.iter(SVG + "text"):
                    self.assertLess(float(item.get("y")), height)
                    words = "".join(part for part in item.itertext())
                    if item.get("text-anchor") is None and item.find(SVG + "title") is None:
                        size = 14 if item.get("class") == "head" else 11
                        self.assertLess(float(item.get("x")) + 0.6 * size * len(words), width, words)
                titles = {(item.text or "").partition(",")[0] for item in root.iter(SVG + "title")}
                for cpu in found[0].online if found[0].domains else ():
                    self.assertIn(f"CPU {cpu}", titles)

    def test_needs_nothing_else(self):
        drawn = svg.render(*source.gather(snapshot("made-processes")))
        for word in ("<script", "href", "url(", "@import", "<image", "<foreignObject"):
            self.assertNotIn(word, drawn)
        self.assertNotIn("http", drawn.replace("http://www.w3.org/2000/svg", ""))

    def test_a_process_may_call_itself_anything(self):
        found = source.gather(snapshot("made-processes"))
        found[1].list[0].comm = model.plain("</text><script>\x00\x1b\ud800￾")
        root = ElementTree.fromstring(svg.render(*found).encode())
        self.assertEqual([item for item in root.iter() if item.tag.endswith("script")], [])

    def test_same_input_same_picture(self):
        self.assertEqual(svg.render(*source.gather(snapshot("made-processes"))),
                         svg.render(*source.gather(snapshot("made-processes"))))

    def test_boxes_of_a_row_do_not_overlap(self):
        for path in SNAPSHOTS:
            root = ElementTree.fromstring(svg.render(*gathered(path)).encode())
            boxes = [[float(rect.get(key)) for key in ("x", "y", "width", "height")] for rect in root.iter(SVG + "rect")
                     if rect.get("class").split()[0] in ("domain", "alone")]
            for number, (x, y, width, height) in enumerate(boxes):
                for left, top, wide, high in boxes[:number]:
                    self.assertTrue(x >= left + wide or left >= x + width or y >= top + high or top >= y + height, path)


class Large(unittest.TestCase):
    """4,096 CPUs in 512 domains, on 8 sockets."""

    def setUp(self):
        domains = [{"domain": n, "cpus": f"{8 * n}-{8 * n + 7}", "online": f"{8 * n}-{8 * n + 7}", "level": 3,
                    "type": "unified", "size_kib": 32768, "ways": 16, "line": 64, "nodes": str(n // 64),
                    "packages": str(n // 64), "dies": str(n), "ids": {"cacheinfo": str(n)},
                    "sched_cpus": f"{8 * n}-{8 * n + 7}", "disagreements": []} for n in range(512)]
        self.machine = model.machine(json.dumps({
            "format": 1, "kernel": "x", "possible": "0-4095", "online": "0-4095", "smt": False, "cas": "on",
            "domains": domains, "no_domain": "", "disagreements": []}), "made")

    def test_is_drawn_in_time(self):
        begin = time.process_time()
        lines = text.render(self.machine, every=True).splitlines()
        root = ElementTree.fromstring(svg.render(self.machine, every=True).encode())
        self.assertLess(time.process_time() - begin, 20)	# about 0.2 s; not quadratic
        self.assertEqual(sum(line.count("domain ") for line in lines if "┌" in line), 512)
        self.assertGreater(len(list(root.iter(SVG + "rect"))), 4096)

    def test_is_folded(self):
        lines = text.render(self.machine).splitlines()
        self.assertLess(len(lines), 15)
        self.assertIn("  domains 0-63: 64 x L3 32 MiB, 8 CPUs in 8 cores each: CPUs 0-511", lines)
        self.assertIn("Socket 1, node 1 to socket 7, node 7: 7 more of the same: domains 64-511, CPUs 512-4095", lines)
        self.assertLess(len(svg.render(self.machine)), 20000)

    def test_what_differs_is_not_folded(self):
        self.machine.domains[70].size_kib = 16384
        self.machine.domains[80].disagreements.append("caches differ")
        self.machine.domains[80].sched_cpus = frozenset({640})
        lines = text.render(self.machine).splitlines()
        self.assertTrue([line for line in lines if "domain 70: L3 16 MiB" in line])
        self.assertTrue([line for line in lines if "domain 80: L3 32 MiB" in line])
        self.assertTrue([line for line in lines if "62 x L3 32 MiB" in line])


class Sysfs(unittest.TestCase):
    """Trees made here, as no machine has them."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.base = pathlib.Path(temp.name) / "devices/system"
        self.put("cpu/possible", "0-3")
        self.put("cpu/online", "0-3")

    def put(self, name, value):
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")

    def cpu(self, number, shared, *, level=3, size="16384K", ident=0, kind="Unified", siblings=None, package=0):
        self.put(f"cpu/cpu{number}/topology/physical_package_id", package)
        self.put(f"cpu/cpu{number}/topology/thread_siblings_list", siblings or number)
        caches = ((1, number, "Data"), (1, number, "Instruction"), (level, shared, kind))
        for index, (own, of, what) in enumerate(caches):
            base = f"cpu/cpu{number}/cache/index{index}"
            self.put(f"{base}/level", own)
            self.put(f"{base}/type", what)
            self.put(f"{base}/shared_cpu_list", of)
            self.put(f"{base}/size", size)
            self.put(f"{base}/id", ident)

    def machine(self):
        return sysfs.machine(self.base.parents[1], "x")

    def masks(self):
        return [model.list_of(domain.cpus) for domain in self.machine().domains]

    def test_plain(self):
        for cpu in range(4):
            self.cpu(cpu, "0-1" if cpu < 2 else "2-3", ident=cpu // 2)
        self.assertEqual(self.masks(), ["0-1", "2-3"])
        self.assertEqual(layout.problems(self.machine()), [])

    def test_ids_do_not_decide(self):
        for cpu in range(4):
            self.cpu(cpu, "0-1" if cpu < 2 else "2-3", ident=cpu % 2)
        self.assertEqual(self.masks(), ["0-1", "2-3"])
        self.assertEqual([len(domain.disagreements) for domain in self.machine().domains], [1, 1])

    def test_one_id_for_two_masks(self):
        for cpu in range(4):
            self.cpu(cpu, "0-1" if cpu < 2 else "2-3", ident=7)
        self.assertEqual(layout.problems(self.machine()), ["cacheinfo id 7 names several domains: 0,1"])

    def test_masks_that_do_not_agree(self):
        for cpu, shared in enumerate(("0-3", "1-2", "1-2", "0-3")):
            self.cpu(cpu, shared)
        self.assertEqual(self.masks(), ["0,3", "1-2"])
        self.assertEqual(self.machine().domains[0].disagreements, ["the mask 0-3 has CPUs with other masks: 1-2"])

    def test_last_level_is_the_topmost_that_holds_data(self):
        for cpu in range(4):
            self.cpu(cpu, cpu, level=2)
            self.put(f"cpu/cpu{cpu}/cache/index3/level", 4)
            self.put(f"cpu/cpu{cpu}/cache/index3/type", "Instruction")
        self.assertEqual([domain.level for domain in self.machine().domains], [2] * 4)

    def test_offline_cpu_in_a_mask(self):
        self.put("cpu/online", "1-3")
        for cpu in range(1, 4):
            self.cpu(cpu, "0-3")
        self.assertEqual(self.masks(), ["0-3"])
        self.assertEqual(self.machine().domains[0].online, {1, 2, 3})
        self.assertEqual(layout.problems(self.machine()), ["domain 0 (0-3): the mask has offline CPUs: 0"])

    def list_that_is_wrong(self, cpu, text):
        path = self.base / f"cpu/cpu{cpu}/cache/index2/shared_cpu_list"
        path.unlink() if text is None else path.write_text(text)

    def test_no_list_of_sharers(self):
        """It was taken for a private cache, silently."""
        for text_ in (None, "", "\n"):
            for cpu in range(4):
                self.cpu(cpu, "0-3")
            self.list_that_is_wrong(2, text_)
            with self.subTest(list=text_):
                machine = self.machine()
                self.assertEqual((self.masks(), machine.no_domain, machine.unknown), (["0-1,3"], {2}, {2}))
                self.assertIn("no list of the CPUs that share the last-level cache of CPUs 2", layout.problems(machine))

    def test_no_list_but_a_mask(self):
        for cpu in range(4):
            self.cpu(cpu, "0-3")
            self.list_that_is_wrong(cpu, None)
            self.put(f"cpu/cpu{cpu}/cache/index2/shared_cpu_map", "00000000,0000000f")
        self.assertEqual((self.masks(), layout.problems(self.machine())), (["0-3"], []))

    def test_package_not_known(self):
        for cpu in range(4):
            self.cpu(cpu, "0-3", package=-1)
        self.assertEqual(layout.problems(self.machine()), ["package not known (id -1) of CPUs 0-3"])
        self.assertIn("Socket unknown", text.render(self.machine()))

    def test_siblings_in_different_caches(self):
        for cpu in range(4):
            self.cpu(cpu, "0-1" if cpu < 2 else "2-3", ident=cpu // 2, siblings="0,2" if cpu % 2 == 0 else "1,3")
        self.assertEqual(layout.problems(self.machine()), ["SMT siblings in different last-level caches: CPUs 0,2; 1,3"])

    def test_scheduler_from_schedstat(self):
        """By names since version 17; before by the flags in debugfs, and not at all without either."""
        for cpu in range(4):
            self.cpu(cpu, "0-3")
        root = self.base.parents[1] / "root"
        (root / "proc").mkdir(parents=True)
        mask = {0: "3", 1: "3", 2: "c", 3: "c"}

        def schedstat(word):
            (root / "proc/schedstat").write_text("version 17\ntimestamp 5\n" + "".join(
                f"cpu{cpu} 0 0 0\ndomain0 {word}{mask[cpu]} 1 2 3\ndomain1 {word and 'PKG '}f 1 2 3\n" for cpu in range(4)))
        schedstat("MC ")
        machine = sysfs.machine(self.base.parents[1], "x", root)
        self.assertEqual([(part.name, part.cpus) for part in machine.domains[0].parts], [("0a", {0, 1}), ("0b", {2, 3})])
        self.assertIn("the scheduler splits the mask (partition): 0a 0-1, 0b 2-3", machine.domains[0].disagreements)
        schedstat("")
        self.assertIsNone(sysfs.machine(self.base.parents[1], "x", root).domains[0].sched_cpus)
        for cpu in range(4):
            for number, flags in ((0, "SD_BALANCE_NEWIDLE SD_SHARE_PKG_RESOURCES"), (1, "SD_BALANCE_NEWIDLE")):
                path = self.base.parents[1] / f"kernel/debug/sched/domains/cpu{cpu}/domain{number}/flags"
                path.parent.mkdir(parents=True)
                path.write_text(flags + "\n")
        self.assertEqual(len(sysfs.machine(self.base.parents[1], "x", root).domains[0].parts), 2)

    def test_a_mask_of_schedstat_that_is_too_large(self):
        self.assertEqual(sched.domains("cpu0 0\ndomain0 MC ff,00000001\n"), {0: [("MC", frozenset({0, *range(32, 40)}))]})
        words = ",".join(["ffffffff"] * (model.MOST // 32 + 1))
        with self.assertRaisesRegex(model.Bad, "a mask of more than 65536 CPUs"):
            sched.domains(f"cpu0 0\ndomain0 MC {words}\n")

    def test_no_cache_at_all(self):
        for cpu in range(4):
            (self.base / f"cpu/cpu{cpu}").mkdir()
        self.assertEqual((self.masks(), self.machine().no_domain), ([], {0, 1, 2, 3}))

    def test_sizes_that_differ(self):
        for cpu in range(4):
            self.cpu(cpu, "0-3", size="16384K" if cpu else "8192K")
        self.assertEqual(self.machine().domains[0].disagreements,
                         ["caches differ within one mask: that of CPU 0 is another than those of CPUs 1-3"])

    def test_nonsense_is_not_believed(self):
        for cpu in range(4):
            self.cpu(cpu, "0-3", size="much", ident="many")
        domain = self.machine().domains[0]
        self.assertIsNone(domain.size_kib)
        text.render(self.machine())

    def test_broken(self):
        for name, value, why in (("cpu/online", "none", "a list like"), ("cpu/online", "", "no CPU is"),
                                 ("cpu/online", "0-9", "possible"), ("cpu/possible", "0-99999999", "a list like"),
                                 ("cpu/online", "0-2", "no cpu0")):
            with self.subTest(name=name, value=value):
                before = (self.base / name).read_text()
                self.put(name, value)
                with self.assertRaisesRegex(model.Bad, why):
                    self.machine()
                (self.base / name).write_text(before)
        (self.base / "cpu/possible").unlink()
        (self.base / "cpu/online").unlink()
        with self.assertRaisesRegex(model.Bad, "no .*possible"):
            self.machine()

    def test_an_id_that_moves_the_cursor(self):
        for cpu in range(4):
            self.cpu(cpu, "0-3", ident=f"\x1b[31m{cpu}")
        said = text.render(self.machine())
        self.assertTrue(said.replace("\n", "").isprintable(), said)
        ElementTree.fromstring(svg.render(self.machine()).encode())

    def test_a_directory_that_is_no_node(self):
        for cpu in range(4):
            self.cpu(cpu, "0-3")
        self.put("node/node0x/cpulist", "0-3")
        self.put("node/node1/cpulist", "0-3")
        self.assertEqual(self.machine().domains[0].nodes, {1})

    def test_a_pipe_does_not_hold_it_up(self):
        for cpu in range(4):
            self.cpu(cpu, "0-3")
        (self.base / "cpu/cpu0/cache/index2/size").unlink()
        os.mkfifo(self.base / "cpu/cpu0/cache/index2/size")
        self.assertIsNone(self.machine().domains[0].size_kib)
        os.mkfifo(self.base / "uname")
        with self.assertRaisesRegex(model.Bad, "is no file"):
            source.read(self.base / "uname")

    def test_module_and_sysfs_are_compared(self):
        for cpu in range(4):
            self.cpu(cpu, "0-1" if cpu < 2 else "2-3")
        other = self.machine()
        self.assertEqual(sysfs.compare(other, self.machine()), [])
        other.domains[0].online = frozenset({0})
        self.assertIn("uplift_llc has 0, sysfs 0-1", sysfs.compare(other, self.machine())[0])


class Malformed(unittest.TestCase):
    """Whatever is wrong with a snapshot: one line that names it, status 2, no traceback."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name) / "made"
        shutil.copytree(FIXTURES / "made-processes", self.dir)

    def refused(self, why):
        with self.assertRaisesRegex(model.Bad, why) as caught:
            found = source.gather(source.Snapshot(self.dir))
            text.render(*found)
        self.assertEqual(caught.exception.code, errors.USAGE)
        self.assertNotIn("\n", str(caught.exception))

    def change(self, name, function):
        path = self.dir / "llc" / name
        data = json.loads(path.read_text())
        data = function(data) or data
        path.write_text(json.dumps(data))

    def test_not_a_snapshot(self):
        (self.dir / "format").unlink()
        self.refused("no file 'format'")

    def test_future_snapshot(self):
        (self.dir / "format").write_text("2\n")
        self.refused("format: '2', this uplift knows 1")

    def test_future_json(self):
        for name in ("domains.json", "processes.json", "migrations.json"):
            with self.subTest(name=name):
                before = (self.dir / "llc" / name).read_text()
                self.change(name, lambda data: data.update(format=2))
                self.refused(f"{name}: format 2, this uplift knows 1")
                (self.dir / "llc" / name).write_text(before)

    def test_later_fields_are_left_alone(self):
        for name in ("domains.json", "processes.json", "migrations.json"):
            self.change(name, lambda data: data.update(later=[{"a": None}]))
        self.change("domains.json", lambda data: data["domains"][0].update(later=1))
        source.gather(source.Snapshot(self.dir))

    def test_cut_short_anywhere(self):
        for name in ("domains.json", "processes.json", "migrations.json"):
            path = self.dir / "llc" / name
            whole = path.read_bytes()
            for length in range(0, len(whole.rstrip()), max(1, len(whole) // 60)):
                with self.subTest(name=name, length=length):
                    path.write_bytes(whole[:length])
                    self.refused(f"{name}: not JSON|{name}: no ")
            path.write_bytes(whole)

    def test_not_json(self):
        for words in (b"", b"\0" * 100, b"\xff\xfe{}", b"[1]", b"null", b"{}", b"[" * 100000, b"NaN",
                      b'{"format": "1"}', b'{"format": true}', b'{"format": 1e0}', b'{"format": 1}'):
            with self.subTest(words=words[:20]):
                (self.dir / "llc/domains.json").write_bytes(words)
                self.refused("domains.json: ")

    def test_fields_that_make_no_sense(self):
        def first(key, value):
            return lambda data: data["domains"][0].update({key: value})
        changes = [first("cpus", 5), first("cpus", "0-"), first("cpus", ""), first("online", "0-4"),
                   first("level", -3), first("level", None), first("size_kib", "16M"), first("size_kib", -1),
                   first("disagreements", "none"), first("disagreements", [1]), first("ids", []), first("domain", 1),
                   first("cpus", "0-4"), first("sched_cpus", 7), first("nodes", None), first("ids", {"x": 3}),
                   lambda data: data.update(cas="maybe"), lambda data: data.update(domains={}),
                   lambda data: data.update(domains=[1]), lambda data: data.update(online="0-16"),
                   lambda data: data.update(smt=1), lambda data: data.update(disagreements=None),
                   lambda data: data["domains"].pop(), lambda data: data.pop("no_domain"),
                   lambda data: data.update(online="", domains=[]),
                   first("size_kib", 10**400), first("domain", 10**400), first("level", 1 << 64)]
        before = (self.dir / "llc/domains.json").read_text()
        for number, change in enumerate(changes):
            with self.subTest(change=number):
                self.change("domains.json", change)
                self.refused("domains.json: ")
                (self.dir / "llc/domains.json").write_text(before)

    def test_lists_that_fill_the_memory(self):
        """Each of thousands of domains may name thousands of nodes in a few bytes."""
        data = json.loads((FIXTURES / "made-ids/llc/domains.json").read_text())
        data["domains"][0]["nodes"] = "0-2000"
        model.machine(json.dumps(data), "x")
        with mock.patch.object(model, "NAMED", 1000), self.assertRaisesRegex(model.Bad, "name more than a machine has"):
            model.machine(json.dumps(data), "x")

    def test_processes_that_make_no_sense(self):
        def first(key, value):
            return lambda data: data["processes"][0].update({key: value})
        changes = [first("pid", "x"), first("pid", None), first("comm", 7), first("share", {}), first("share", [{}]),
                   first("share", [{"domain": 0, "permille": -1}]), first("scheduler", 3), first("scheduler", {}),
                   first("scheduler", {"preferred": "0", "reason": None}), first("wakeups", {"within": 1}),
                   first("share", [{"domain": 0, "permille": 10**400}]), first("runtime_ns", 10**400),
                   *(first("predicted", {"preferred": None, "reason": "off", "running_avg": number})
                     for number in (float("nan"), float("inf"), -1, 10**400)),
                   lambda data: data.update(epoch_ms=float("inf")),
                   lambda data: data.update(tracking=None), lambda data: data.update(processes=None)]
        before = (self.dir / "llc/processes.json").read_text()
        for number, change in enumerate(changes):
            with self.subTest(change=number):
                self.change("processes.json", change)
                self.refused("processes.json: ")
                (self.dir / "llc/processes.json").write_text(before)

    def test_migrations_that_make_no_sense(self):
        for pairs in ([], [[0]], [[0, 1, 2, 3]] * 3, [[0, 1, 2, "3"]] * 4, [[0, 1, 2, -3]] * 4, [0] * 4,
                      [[0, 1, 2, 10**400]] * 4, None):
            with self.subTest(pairs=pairs):
                before = (self.dir / "llc/migrations.json").read_text()
                self.change("migrations.json", lambda data: data.update(pairs=pairs))
                self.refused("migrations.json: ")
                (self.dir / "llc/migrations.json").write_text(before)

    def test_what_moves_the_cursor_is_not_repeated(self):
        """Neither on the terminal nor in the picture, which would not be XML."""
        for key in ("online", "cas", "kernel"):
            before = (self.dir / "llc/domains.json").read_text()
            self.change("domains.json", lambda data: data.update({key: "\x1b]0;title\x07"}))
            try:
                said = text.render(*source.gather(source.Snapshot(self.dir)))
            except model.Bad as problem:
                said = str(problem)
            self.assertTrue(said.replace("\n", "").isprintable(), said)
            (self.dir / "llc/domains.json").write_text(before)
        self.change("domains.json", lambda data: data["domains"][0]["ids"].update({"\x01<": "3"}))
        ElementTree.fromstring(svg.render(*source.gather(source.Snapshot(self.dir))).encode())
        (self.dir / "format").write_text("\x1b[31m\n")
        self.refused(r"'\?\[31m'")

    def test_garbled(self):
        """Random damage is refused or drawn, never a traceback."""
        rng = random.Random(4)
        names = ("domains.json", "processes.json", "migrations.json")
        whole = {name: (self.dir / "llc" / name).read_bytes() for name in names}
        for _ in range(400):
            name = rng.choice(names)
            data = bytearray(whole[name])
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(data))
                data[at:at + rng.randint(0, 3)] = bytes(rng.choice(b'0123456789-,"{}[]:.e nul\xff\0') for _ in
                                                        range(rng.randint(0, 3)))
            (self.dir / "llc" / name).write_bytes(data)
            try:
                found = source.gather(source.Snapshot(self.dir))
                text.render(*found)
                ElementTree.fromstring(svg.render(*found).encode())
                json.dumps(command.as_json(*found))
            except model.Bad as problem:
                self.assertIn(".json", str(problem))
            (self.dir / "llc" / name).write_bytes(whole[name])

    def test_without_the_module(self):
        # neither it nor sysfs: nothing to draw
        shutil.rmtree(self.dir / "llc")
        self.refused("no .*possible")

    def test_uname(self):
        (self.dir / "uname").write_text("")
        self.refused("uname")


class Tar(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)

    def pack(self, *members):
        path = self.dir / "x.tar"
        with tarfile.open(path, "w") as tar:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    def test_with_and_without_a_directory(self):
        for base in ("", "./", "some/"):
            path = self.dir / "s.tar.xz"
            with tarfile.open(path, "w:xz") as tar:
                tar.add(FIXTURES / "made-ids", base.rstrip("/") or ".")
            self.assertEqual(source.Snapshot(path).kernel, "6.12.0-made")

    def test_leads_elsewhere(self):
        for name in ("../x", "a/../../x", "a/.."):
            with self.subTest(name=name), self.assertRaisesRegex(model.Bad, "leads elsewhere"):
                source.Snapshot(self.pack((name, b"1\n")))
        # an absolute one is taken below
        path = self.pack(("/format", b"1\n"), ("/uname", b"Linux x\n"))
        self.assertEqual(source.Snapshot(path).kernel, "x")
        self.assertFalse(pathlib.Path("/format").exists())

    def test_links_are_left_out(self):
        path = self.dir / "l.tar"
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo("format")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
        with self.assertRaisesRegex(model.Bad, "no file 'format'"):
            source.Snapshot(path)

    def test_broken(self):
        whole = self.pack(("format", b"1\n" * 4000)).read_bytes()
        for data in (b"", b"x" * 1000, whole[:600], whole[:1500]):
            path = self.dir / "b.tar"
            path.write_bytes(data)
            with self.subTest(length=len(data)), self.assertRaises(model.Bad):
                source.Snapshot(path)
        import lzma
        path.write_bytes(lzma.compress(whole)[:-20])
        with self.assertRaises(model.Bad):
            source.Snapshot(path)

    def test_a_full_disk(self):
        """Is this machine's, and not said to be the file's."""
        path = self.pack(("format", b"1\n"))
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x")
        with mock.patch.object(pathlib.Path, "write_bytes", side_effect=full), self.assertRaises(OSError) as caught:
            source.Snapshot(path)
        self.assertIs(caught.exception, full)

    def test_too_large(self):
        with mock.patch.object(source, "MOST", 2000), self.assertRaisesRegex(model.Bad, "too large"):
            source.Snapshot(self.pack(("format", b"1\n"), ("x", b"x" * 2000)))


    def extended(self, **headers):
        path = self.dir / "p.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo("x")
            info.pax_headers = headers
            tar.addfile(info)
        return path

    def test_name_with_a_zero(self):
        with self.assertRaisesRegex(model.Bad, "nor a whole tar file"):
            source.Snapshot(self.extended(path="a\0b"))

    def test_name_that_fills_the_memory(self):
        """tarfile reads the whole of it, and a few kilobytes of xz are gigabytes of it."""
        with self.assertRaisesRegex(model.Bad, "a name in it is too large"):
            source.Snapshot(self.extended(path="a/" * 40000))
        path = self.dir / "q.tar"
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
            tar.addfile(tarfile.TarInfo("a/" * 40000))
        with self.assertRaisesRegex(model.Bad, "a name in it is too large"):
            source.Snapshot(path)

    def test_a_map_of_holes_without_an_end(self):
        """A few kilobytes of xz; it is read before there is a member whose size could be looked at."""
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo("x")
            info.size = 512
            info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1"}
            tar.addfile(info, io.BytesIO(b"999999999\n" + b"0\n" * 251))
        start = plain.getvalue()[:plain.getvalue().index(b"999999999\n")]
        path = self.dir / "h.tar.xz"
        path.write_bytes(lzma.compress(start + b"999999999\n" + b"0\n" * 40000))
        with mock.patch.object(source, "MOST_HEADERS", 20000), self.assertRaisesRegex(model.Bad, "a header in it is too large"):
            source.Snapshot(path)

    def test_headers_of_headers(self):
        """tarfile calls itself for each."""
        name = tarfile.TarInfo("././@LongLink")
        name.type, name.size = tarfile.GNUTYPE_LONGNAME, 2
        path = self.dir / "n.tar"
        path.write_bytes((name.tobuf(tarfile.GNU_FORMAT) + b"x\0".ljust(512, b"\0")) * 2000)
        with self.assertRaisesRegex(model.Bad, "nor a whole tar file"):
            source.Snapshot(path)

    def test_too_large_and_no_file(self):
        """What is left out has to be read, too."""
        path = self.dir / "d.tar"
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo("x")
            info.type, info.size = b"V", 1 << 40
            tar.addfile(info)
        with self.assertRaisesRegex(model.Bad, "too large"):
            source.Snapshot(path)


class Capture(unittest.TestCase):
    """A snapshot of a machine that is a snapshot."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)
        self.root = self.dir / "root"
        shutil.copytree(FIXTURES / "made-processes", self.root)
        base = self.root / "sys/devices/system/cpu"
        for cpu in range(16):
            (base / f"cpu{cpu}/cache/index3").mkdir(parents=True)
            for name, value in (("level", 3), ("type", "Unified"), ("size", "16384K"), ("uevent", "no"),
                                ("shared_cpu_list", f"{cpu // 4 * 4}-{cpu // 4 * 4 + 3}")):
                (base / f"cpu{cpu}/cache/index3/{name}").write_text(f"{value}\n")
        (base / "possible").write_text("0-15\n")
        (base / "online").write_text("0-15\n")
        (self.root / "sys/kernel/secret").parent.mkdir()
        (self.root / "sys/kernel/secret").write_text("no\n")

    def capture(self, name="new", **more):
        return source.capture(self.dir / name, llc=self.root / "llc", root=self.root, **more)

    def test_there_and_back(self):
        for name in ("new", "new.tar", "new.tar.gz", "new.tar.xz"):
            with self.subTest(name=name):
                self.assertEqual(self.capture(name, with_names=True), "")
                machine, processes, _ = source.gather(source.Snapshot(self.dir / name))
                self.assertEqual(len(machine.domains), 4)
                self.assertEqual(machine.disagreements, [])
                self.assertEqual(processes.list[0].comm, "pingpong")

    def test_no_names(self):
        (self.root / "llc/processes").write_text("pid comm\n900 pingpong\n")
        self.capture()
        everything = "".join(path.read_text() for path in (self.dir / "new").rglob("*") if path.is_file())
        for secret in ("pingpong", "two words", os.uname().nodename + " ", "secret"):
            self.assertNotIn(secret, everything)
        self.assertIn("process-1", everything)
        self.assertFalse((self.dir / "new/sys/kernel").exists())

    def test_will_not_overwrite(self):
        (self.dir / "new").mkdir()
        self.capture()
        for name in ("new", "x.tar"):
            (self.dir / "x.tar").write_text("precious")
            with self.assertRaisesRegex(model.Bad, "there already"):
                self.capture(name)
        self.assertEqual((self.dir / "x.tar").read_text(), "precious")
        with self.assertRaisesRegex(model.Bad, "no directory"):
            self.capture("no/such/place")

    def test_packs_in_no_other_way(self):
        """capture x.zip made a directory of that name."""
        for name in ("x.zip", "x.tgz", "x.tar.zst", "x.gz"):
            with self.assertRaisesRegex(model.Bad, r"packed in a way that is not known here: name it \.tar"):
                self.capture(name)
            self.assertFalse((self.dir / name).exists())

    def test_not_where_it_runs(self):
        """The directory was replaced, and the shell in it was left in one that is gone."""
        (self.dir / "here").mkdir()
        with contextlib.chdir(self.dir / "here"), self.assertRaisesRegex(model.Bad, "name a new directory"):
            self.capture("here")
        self.assertEqual(list((self.dir / "here").iterdir()), [])

    def test_without_the_module(self):
        shutil.rmtree(self.root / "llc")
        self.assertIn("not loaded", self.capture())
        machine, processes, _ = source.gather(source.Snapshot(self.dir / "new"))
        self.assertEqual((len(machine.domains), processes), (4, None))
        self.assertIn("scheduler's view is missing", machine.notes[0])

    def test_unreadable_processes(self):
        (self.root / "llc/processes.json").write_text("{")
        with self.assertRaises(model.Bad):
            self.capture()
        self.assertFalse((self.dir / "new").exists())


class Module(unittest.TestCase):
    """What is said when it is not there."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)

    def ko(self, name, release):
        (self.dir / f"{name}.ko").write_bytes(b"\x7fELF\0vermagic=" + release.encode() + b" SMP mod_unload \0")

    def test_found_for_this_kernel_only(self):
        self.assertEqual(source.built("1.0", [self.dir]), ({}, set()))
        for name in source.MODULES:
            self.ko(name, "1.0")
        self.assertEqual(set(source.built("1.0", [self.dir])[0]), set(source.MODULES))
        self.ko("uplift_llc", "1.0.1")
        found, others = source.built("1.0", [self.dir])
        self.assertEqual((set(found), others), ({"uplift"}, {"1.0.1"}))
        (self.dir / "uplift_llc.ko").write_bytes(b"")
        self.assertEqual(set(source.built("1.0", [self.dir])[0]), {"uplift"})

    def test_found_where_probe_finds_them(self):
        """`llc --load` said "make modules" of what DKMS had built, and compressed, and of UPLIFT_KO_DIR."""
        for name in source.MODULES:
            self.ko(name, "1.0")
            path = self.dir / f"{name}.ko"
            path.with_suffix(".ko.xz").write_bytes(lzma.compress(path.read_bytes()))
            path.unlink()
        with mock.patch.dict(os.environ, {"UPLIFT_KO_DIR": str(self.dir)}):
            self.assertEqual(source.built("1.0"), ({name: self.dir / f"{name}.ko.xz" for name in source.MODULES}, set()))
            self.assertEqual(source.built("1.0")[0], {name: loader.find(name, "1.0")[0] for name in source.MODULES})

    def test_says_what_to_type(self):
        here = {name: f"/x/{name}.ko" for name in source.MODULES}
        with mock.patch.object(source.machine, "takes_modules", return_value=False):
            self.assertIn("takes no modules", source.missing(self.dir, self.dir))
        self.enterContext(mock.patch.object(source.machine, "takes_modules", return_value=True))
        with mock.patch.object(source, "built", return_value=(here, set())):
            self.assertIn("insmod /x/uplift.ko && insmod /x/uplift_llc.ko", source.missing(self.dir, self.dir))
        with mock.patch.object(source, "built", return_value=({}, {"6.1"})):
            said = source.missing(self.dir, self.dir)
            self.assertIn("make modules", said)
            self.assertIn("6.1", said)

    def test_loaded_and_not_readable(self):
        (self.dir / "sys/module/uplift_llc").mkdir(parents=True)
        with mock.patch.object(os, "geteuid", return_value=1000):
            self.assertIn("root", source.missing(self.dir / "llc", self.dir))
        with mock.patch.object(os, "geteuid", return_value=0), \
                mock.patch.object(os.path, "ismount", return_value=False):
            self.assertIn("mount -t debugfs", source.missing(self.dir / "llc", self.dir))

    def test_tracking_is_refused(self):
        """It said "Operation not supported", and no more."""
        (self.dir / "domains.json").touch()
        (self.dir / "track").symlink_to("/dev/full")
        with mock.patch.object(source, "LLC", self.dir), \
                self.assertRaisesRegex(errors.Problem, r"cannot turn tracking on: No space .*log says why"):
            source.track(True)

    def test_a_cpu_that_comes_meanwhile(self):
        given = snapshot("made-ids")
        before = model.machine((given.llc / "domains.json").read_text(), "x")
        before.online -= {7}
        views = [before, before, None]
        with mock.patch.object(given, "system", side_effect=lambda: views.pop(0)):
            source.gather(given)
        self.assertEqual(views, [])


    def test_unloaded_while_it_is_drawn(self):
        """`--watch` goes on with what sysfs has."""
        given = snapshot("snc")
        views = ["", "it is gone"]
        with mock.patch.object(given, "missing", side_effect=lambda: views.pop(0) if len(views) > 1 else views[0]), \
                mock.patch.object(source, "read", side_effect=model.Bad("no domains.json")):
            found, processes, migrations = source.gather(given)
        self.assertEqual((found.source, processes, migrations), ("sysfs", None, None))
        self.assertIn("it is gone", found.notes)
        # what is there and makes no sense is not taken for that
        with mock.patch.object(source, "read", side_effect=model.Bad("cut short")), \
                self.assertRaisesRegex(model.Bad, "cut short"):
            source.gather(given)


class Command(unittest.TestCase):
    def test_usage(self):
        for words in (["--nonsense"], ["--from"], ["--from", "/nonexistent"],
                      ["--from", FIXTURES / "made-ids", "--load"],
                      ["--from", FIXTURES / "made-ids", "--watch"], ["--svg", "x", "--json"], ["--watch", "0"],
                      ["--watch", "-1"], ["--watch", "nan"], ["--watch", "much"], ["track"], ["track", "maybe"],
                      ["capture"], ["capture", "/nonexistent/x"], ["capture", "/etc"], ["--from", "/etc"], ["--from", "/etc/passwd"],
                      ["--from", FIXTURES / "made-ids", "--svg", "/nonexistent/x.svg"],
                      ["--from", FIXTURES / "made-ids", "--svg", "/etc"], ["nonsense"], ["--watch", "1", "--svg", "-"],
                      ["--from", ""], ["--svg", ""], ["--from", FIXTURES / "made-ids", "track", "on"],
                      ["--from", FIXTURES / "made-ids", "capture", "x"], ["--json", "capture", "x"],
                      ["--svg", "x.svg", "track", "off"], ["--watch", "1", "capture", "x"]):
            with self.subTest(words=words):
                code, out, err = uplift(*words)
                self.assertEqual((code, out), (2, ""), err)
                self.assertNotIn("Traceback", err)
                self.assertIn("uplift", err.strip().splitlines()[-1])

    def test_draws(self):
        self.enterContext(mock.patch.dict(os.environ, LC_ALL="C.UTF-8"))
        code, out, err = uplift_program("--from", FIXTURES / "made-processes")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out, (FIXTURES / "made-processes.txt").read_text())
        code, out, _ = uplift("--from", FIXTURES / "made-processes", "--ascii")
        self.assertTrue(code == 0 and out.isascii())
        code, out, _ = uplift_program("--from", FIXTURES / "made-processes", env={"PYTHONIOENCODING": "ascii"})
        self.assertTrue(code == 0 and out.isascii())

    def test_svg(self):
        with tempfile.TemporaryDirectory() as temp:
            path = pathlib.Path(temp) / "x.svg"
            code, out, _ = uplift("--from", FIXTURES / "made-processes", "--svg", path)
            self.assertEqual((code, out), (0, ""))
            code, out, _ = uplift("--from", FIXTURES / "made-processes", "--svg", "-")
            self.assertEqual(out, path.read_text())

    def test_what_is_drawn_is_not_replaced(self):
        with tempfile.TemporaryDirectory() as temp:
            path = pathlib.Path(temp) / "s.tar.xz"
            shutil.copy(FIXTURES / "snc.tar.xz", path)
            for name in (path, f"{temp}/./s.tar.xz"):
                self.assertEqual(uplift("--from", path, "--svg", name)[:2], (2, ""))
            self.assertEqual(path.read_bytes(), (FIXTURES / "snc.tar.xz").read_bytes())

    def test_out_of_memory(self):
        with mock.patch.object(source, "Snapshot", side_effect=MemoryError):
            self.assertEqual(uplift("--from", "x"), (1, "", "uplift: out of memory: is what was given what it should be?\n"))

    def test_json(self):
        for path in (FIXTURES / "made-processes", FIXTURES / "made-nocache", FIXTURES / "snc.tar.xz"):
            with self.subTest(snapshot=path.name):
                code, out, _ = uplift("--from", path, "--json")
                self.assertEqual(code, 0)
                data = json.loads(out)
                self.assertEqual(data["format"], 1)
                self.assertEqual(len(data["domains"]), len(gathered(path)[0].domains))

    def test_this_machine(self):
        if not pathlib.Path("/sys/devices/system/cpu/online").exists():
            self.skipTest("no sysfs here")
        code, out, err = uplift_program()
        self.assertEqual(code, 0, err)
        self.assertIn(os.uname().release, out)

    def test_program(self):
        code, out, err = uplift_program("--from", "/nonexistent")
        self.assertEqual((code, out), (2, ""))
        self.assertEqual(err, "uplift: no snapshot '/nonexistent'\n")

    def test_watch_ends(self):
        rounds = []

        def nap(seconds):
            rounds.append(seconds)
            if len(rounds) == 3:
                raise KeyboardInterrupt
        out = io.StringIO()
        args = mock.Mock(watch=0.5, json=True, svg=None, all=False, ascii=False)
        with mock.patch.object(command.time, "sleep", nap), contextlib.redirect_stdout(out):
            self.assertEqual(command._watch(args, snapshot("made-ids")), errors.OK)
        self.assertEqual(len([json.loads(line) for line in out.getvalue().splitlines()]), 3)


    def test_watch_keeps_within_the_screen(self):
        """A line that wraps would move what is below off the screen, again and again."""
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        out = Terminal()
        args = mock.Mock(watch=0.5, json=False, svg=None, all=False, ascii=False)
        with mock.patch.object(command.time, "sleep", side_effect=KeyboardInterrupt), \
                mock.patch.object(command.shutil, "get_terminal_size", return_value=os.terminal_size((60, 12))), \
                contextlib.redirect_stdout(out):
            command._watch(args, snapshot("made-processes"))
        lines = out.getvalue().partition("\033[H")[2].partition("\033[J")[0].split("\033[K\n")
        self.assertEqual(len(lines), 12)
        self.assertLess(max(map(len, lines)), 60)


class Validation(unittest.TestCase):
    """Counting in what the prediction and the scheduler agree."""

    def look(self, ms, *verdicts):
        """A sample as llc_load writes it: a process for each (scheduler, predicted)."""
        def one(word):
            return word and {"preferred": word if isinstance(word, int) else None,
                             "reason": None if isinstance(word, int) else word}
        data = {"format": 1, "tracking": True, "source": "scheduler", "processes": [
            {"pid": pid, "comm": "x", "threads": 2, "share": [], "scheduler": is_ if is_ is None else one(is_),
             "predicted": told if told is None else one(told)} for pid, (is_, told) in enumerate(verdicts, 1)]}
        text_ = json.dumps(data).encode()
        return b"@ %.1f %d\n" % (ms, len(text_)) + text_

    def rows(self, *looks, pids=(1,)):
        return prediction.compared([(prediction.samples(b"".join(looks)), set(pids))])

    def test_same(self):
        row = self.rows(self.look(120, (1, 1)), self.look(140, ("young", "young")))
        keys = ("samples", "same", "gathered", "none", "reason", "missing")
        self.assertEqual([row[key] for key in keys], [2, 2, 1, 1, 1, 0])
        self.assertTrue(prediction.agrees(row))

    def test_differ(self):
        row = self.rows(self.look(120, (1, 2)), self.look(140, (1, "young")), self.look(160, ("stale", 1)))
        self.assertEqual((row["samples"], row["same"], len(row["differ"])), (3, 0, 3))
        self.assertIn("scheduler domain 1, predicted domain 2", row["differ"][0])
        self.assertFalse(prediction.agrees(row))

    def test_reasons_differ(self):
        row = self.rows(*(self.look(120 + n, ("footprint", "unknown")) for n in range(9)))
        self.assertEqual((row["same"], row["reason"]), (9, 0))
        self.assertFalse(prediction.agrees(row))

    def test_missing_is_no_agreement(self):
        for verdicts in ((), ((None, 1),), ((1, None),)):
            row = self.rows(self.look(120, *verdicts))
            self.assertEqual((row["samples"], row["same"], row["missing"]), (1, 0, 1))

    def test_what_comes_early_and_who_is_not_ours(self):
        row = self.rows(self.look(99, (1, 2)), self.look(100, (1, 1), (1, 2)))
        self.assertEqual((row["samples"], row["same"]), (1, 1))

    def test_nothing_is_no_agreement(self):
        self.assertFalse(prediction.agrees(self.rows()))

    def test_95_percent(self):
        for bad, good in ((1, 19), (0, 20)):
            looks = [self.look(120 + n, (1, 2 if n < bad else 1)) for n in range(bad + good)]
            self.assertTrue(prediction.agrees(self.rows(*looks)))
        looks = [self.look(120 + n, (1, 2 if n < 2 else 1)) for n in range(20)]
        self.assertFalse(prediction.agrees(self.rows(*looks)))

    def test_cut_short(self):
        whole = self.look(120, (1, 1))
        for data in (whole[:-5], whole + b"@ 1 5\nab", whole + b"x 1 1\na"):
            with self.assertRaises((errors.Problem, ValueError)):
                prediction.samples(data)

    def test_who_complained(self):
        stall = "[   52.592646] rcu: INFO: rcu_preempt self-detected stall on CPU\n"
        ours = "[   60.042320] uplift: loading out-of-tree module taints kernel.\n"
        self.assertTrue(prediction.complained_by_itself(stall + ours))
        self.assertTrue(prediction.complained_by_itself(stall))
        self.assertFalse(prediction.complained_by_itself(ours + stall))
        self.assertFalse(prediction.complained_by_itself("[    1.0] fine\n" + ours))

    def test_cost(self):
        lines = [{"op": "processes", "arm": arm, "best": 1000, "median": median} for arm, median in
                 (("off", 2000), ("off", 1990), ("track", 2130), ("off_again", 1990.8), ("event", 4200))]
        row = prediction.costs(prediction.by_arm(lines))["processes"]
        self.assertEqual(row, {"off": 995, "track": 1065, "off_again": 995.4, "event": 2100})
        self.assertTrue(prediction.cheap(row))
        self.assertFalse(prediction.cheap(row | {"track": 1076}))
        self.assertFalse(prediction.cheap(row | {"off_again": 1002}))
        self.assertIn("70.0", prediction.cost_table({"processes": row}))
        for missing in (lines[:2], [], lines[2:]):
            with self.assertRaises(errors.Problem):
                prediction.by_arm(missing)

    def test_table(self):
        row = self.rows(self.look(120, ("too-many-threads", "too-many-threads")))
        drawn = prediction.table({load.name: row for load in prediction.WORKLOADS})
        self.assertEqual(len(drawn.splitlines()), len(prediction.WORKLOADS) + 1)
        self.assertIn("too-many-threads / too-many-threads: 1", drawn)


if __name__ == "__main__":
    unittest.main()
