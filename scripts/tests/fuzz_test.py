#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Files from somewhere, spoiled at random: they are taken, or refused in one line; nothing else may happen.

Manifests, snapshots of cache domains, trees of other programs, XML of hwloc, recordings, reports of bench and of evaluations, KTAP. What is spoiled is a good one, mostly
one value of its structure, else some of its bytes. FUZZ_ROUNDS=N takes N of each (40), FUZZ_SEED=N begins elsewhere (1);
a failure says which seed does it again.
"""

import argparse
import contextlib
import copy
import io
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from upliftlib.base import changes, errors, ktap	# noqa: E402
from upliftlib.generator import manifests	# noqa: E402
from upliftlib.report import command as report_command	# noqa: E402
from upliftlib.inspector import command, record, source, svg, text, timeline, timeline_svg, trace	# noqa: E402
from upliftlib.scheduler import tables	# noqa: E402
from tests import dossier_data	# noqa: E402
sys.path.insert(0, str(TOP / "scripts/tests"))
import llc_machines	# noqa: E402
import llc_sources_test	# noqa: E402

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "40"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
FIXTURES = TOP / "selftests/fixtures" / changes.inspector().name

ODD = (None, True, False, 0, 1, -1, 2 ** 31, 2 ** 64, -2 ** 63, 10 ** 400, 0.5, float("nan"), float("inf"), "", "0", "0-3,8",
       "0-", "-", "3-1", "0-99999999999", "\0", "\x1b[2J", "\ud800", "<b>&|`", "a" * 5000, "../../etc/passwd", [], {}, [[]],
       [None], {"": None}, [[[[[[]]]]]])


def places(value, path=()):
    """The path of every value in a structure."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def spoil(value, rng):
    """The same structure with one to three things wrong."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        all_of_them = [path for path in places(value) if path]
        if not all_of_them:
            return value
        *path, last = rng.choice(all_of_them)
        inside = value
        for key in path:
            inside = inside[key]
        how = rng.randrange(5)
        if how == 0:
            del inside[last]
        elif how == 1 and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[last]))
        elif how == 2 and isinstance(inside, dict):
            inside[rng.choice(("", "format", "extra", "\n"))] = inside.pop(last)
        elif how == 3:
            there = value
            for key in rng.choice(all_of_them):
                there = there[key]
            inside[last] = copy.deepcopy(there)
        else:
            inside[last] = copy.deepcopy(rng.choice(ODD))
    return value


def spoil_bytes(data, rng):
    """The same bytes with some of them wrong, gone, or there again."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 2, 8))):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(5)
        if how == 0:
            del data[at:]
        elif how == 1:
            del data[at:at + rng.randrange(1, 40)]
        elif how == 2:
            data[at:at] = data[at:at + rng.randrange(1, 40)]
        elif how == 3 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at:at + 1] = rng.choice((b"\0", b"\xff", b"\n", b"9" * 30, b'"', b"[", b"-", b"[" * 3000))
    return bytes(data)


class Fuzz(unittest.TestCase):
    """rounds() gives a source of chance for each round; what is raised inside names its seed."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = pathlib.Path(temp.name)

    def each(self, function):
        for seed in range(SEED, SEED + ROUNDS):
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    function(random.Random(f"{function.__name__} {seed}"))
            except errors.Problem as problem:
                said = str(problem)
                self.assertTrue(said.strip(), f"FUZZ_SEED={seed} FUZZ_ROUNDS=1: refused without a word")
                self.assertNotIn("\n", said.strip(), f"FUZZ_SEED={seed} FUZZ_ROUNDS=1: refused in several lines")
            except Exception as error:
                raise AssertionError(f"FUZZ_SEED={seed} FUZZ_ROUNDS=1: {type(error).__name__}: {error}") from error

    def test_manifests(self):
        good = sorted([*(TOP / "modules").glob("*/*.toml"), *(TOP / "modules/backports").glob("*/*.toml")])
        self.assertTrue(good)

        def manifest(rng):
            path = rng.choice(good)
            place = self.dir / path.parent.name
            if not place.exists():
                shutil.copytree(path.parent, place, ignore=shutil.ignore_patterns("gen", "*.o", "*.ko", "*.cmd"))
            copied = place / path.name
            copied.write_bytes(spoil_toml(path.read_text(), rng))
            try:
                (manifests.about if path.name == "about.toml" else manifests.read)(copied)
            finally:
                copied.write_bytes(path.read_bytes())

        self.each(manifest)

    def snapshot(self, rng):
        """A good snapshot, copied."""
        good = rng.choice(sorted(path for path in FIXTURES.iterdir() if path.suffix != ".txt"))
        place = self.dir / f"snapshot{rng.random()}"
        if good.is_dir():
            shutil.copytree(good, place)
        else:
            place.mkdir()
            source.unpack(good, place)
            inside = list(place.iterdir())
            if len(inside) == 1 and inside[0].is_dir():
                place = inside[0]
        return place

    def drawn(self, given):
        """All that is made of a snapshot."""
        found = source.gather(source.Snapshot(given))
        json.dumps(command.as_json(*found))
        svg.render(*found, every=True)
        for columns in (20, 80, 300):
            text.render(*found, columns=columns, every=True, plain=columns == 80)

    def test_snapshots(self):
        def snapshot(rng):
            place = self.snapshot(rng)
            for _ in range(rng.choice((1, 1, 3))):
                path = rng.choice(sorted(path for path in place.rglob("*") if path.is_file()))
                if path.suffix == ".json" and rng.randrange(4):
                    try:
                        path.write_text(json.dumps(spoil(json.loads(path.read_text()), rng)), errors="surrogatepass")
                    except ValueError:
                        pass	# spoiled before
                elif rng.randrange(4) == 0:
                    path.unlink()
                elif path.stat().st_size < 100 and rng.randrange(2):
                    path.write_text(str(rng.choice(ODD)) + "\n", errors="surrogatepass")
                else:
                    path.write_bytes(spoil_bytes(path.read_bytes(), rng))
            self.drawn(place)

        self.each(snapshot)

    def test_trees(self):
        def tree(rng):
            place = self.dir / f"tree{rng.random()}"
            llc_machines.write(llc_machines.MACHINES[rng.choice(("snc", "isolcpus", "masks-only", "meteor-lake", "s390"))], place)
            files = sorted(path for path in place.rglob("*") if path.is_file())
            for path in rng.sample(files, 3):
                path.write_bytes(spoil_bytes(path.read_bytes(), rng))
            if rng.random() < 0.2:
                rng.choice(files).unlink()
            self.drawn(place)

        self.each(tree)

    def test_hwloc(self):
        good = [llc_sources_test.xml(llc_machines.MACHINES[name], version).encode() for name in ("snc", "neoverse-big-ids")
                for version in (1, 2)]

        def xml(rng):
            path = self.dir / "x.xml"
            path.write_bytes(spoil_bytes(rng.choice(good), rng))
            self.drawn(path)

        self.each(xml)

    def test_recordings(self):
        good = [{"format": 1, "record": 1, "kernel": "made", "interval_ms": 100, "places": {"0a": "0-3", "0b": "4-7"}},
                {"names": {"7": "work"}}]
        good += [{"ms": at * 100.0, "threads": [[7, 7, at % 8, 10.0], [7, 8, at * 3 % 8, 90.0]],
                  "processes": [{"pid": 7, "where": "0a", "reason": None}, {"pid": 8, "where": None, "reason": "footprint"}]}
                 for at in range(1, 9)]

        def recording(rng):
            path = self.dir / "r"
            lines = "".join(json.dumps(line) + "\n" for line in (spoil(good, rng) if rng.random() < 0.7 else good))
            path.write_bytes(lines.encode("utf-8", "replace") if rng.random() < 0.7 else spoil_bytes(lines.encode(), rng))
            found = record.read(path)
            timeline.render(found)
            timeline_svg.render(found)
            trace.render(found)

        self.each(recording)

    def test_packed_snapshots(self):
        good = sorted(FIXTURES.glob("*.tar.xz"))
        self.assertTrue(good)

        def packed(rng):
            path = self.dir / "packed.tar.xz"
            path.write_bytes(spoil_bytes(rng.choice(good).read_bytes(), rng))
            self.drawn(path)

        self.each(packed)

    def test_reports(self):
        good = (dossier_data.bench(), dossier_data.evaluation())
        forms = ("text", "md", "html", "json", "kcidb", "sru", "suse", "centos", "debian", "mail")

        def bench(rng):
            path = self.dir / "report.json"
            if rng.randrange(5):
                path.write_text(json.dumps(spoil(rng.choice(good), rng)))
            else:
                path.write_bytes(spoil_bytes(json.dumps(rng.choice(good)).encode(), rng))
            report_command._report(argparse.Namespace(files=[str(path)], origin="uplift", git=None, base="", bug="",
                                                      change=[], **dict.fromkeys(forms, os.devnull)))

        self.each(bench)

    def test_statuses(self):
        domain = {"cpus": [0, 1], "online": 2, "idle": 1, "queued": 0, "in": 1, "out": 2, "runs": 30, "latency": [0, 5, 1]}
        good = {"format": 1, "name": "uplift_land", "pid": 7, "running": True, "pending": 0, "gap_ns": 0, "gap_any_ns": 0,
                "stats": {"same_cpu": 3, "passed_up": 1}, "domains": [domain, domain]}

        def status(rng):
            text = json.dumps(spoil(good, rng)) if rng.randrange(3) else spoil_bytes(
                json.dumps(good).encode(), rng).decode(errors="replace")
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                return	# as `uplift sched show` says
            found = tables.checked(found, "status")
            tables.live(found)
            tables.live(found, good)

        self.each(status)

    def test_ktap(self):
        good = ("KTAP version 1\n1..2\n# 6.18, short\n  KTAP version 1\n  1..2\n  ok 1 one\n  not ok 2 two # SKIP why\n"
                "ok 1 first\nok 2 second # SKIP not here\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:1 error:0\n")

        def stream(rng):
            report = ktap.parse(spoil_bytes(good.encode(), rng).decode(errors="replace"))
            report.summary()
            counts = report.counts()
            self.assertGreaterEqual(min(counts.values()), 0)

        self.each(stream)


def spoil_toml(good, rng):
    """A manifest with lines and values of it changed."""
    if not rng.randrange(3):
        return spoil_bytes(good.encode(), rng)
    lines = good.splitlines()
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(lines))
        how = rng.randrange(4)
        if how == 0:
            del lines[at]
        elif how == 1:
            lines.insert(at, rng.choice(lines))
        else:
            odd = rng.choice(('""', "[]", "{}", "0", "-1", "1e400", "true", "nan", '"../.."', '["", 1]', "[{}]", '"a\\nb"',
                              "1979-05-27", "[[[]]]", "99999999999999999999999"))
            lines[at] = re.sub(r"=.*", lambda match: f"= {odd}", lines[at]) if "=" in lines[at] else odd
        if not lines:
            break
    return "\n".join(lines).encode()


if __name__ == "__main__":
    unittest.main()
