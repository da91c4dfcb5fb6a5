# SPDX-License-Identifier: GPL-2.0-only
"""The dossier in its forms: the same words in each, and each is what it says it is."""

import contextlib
import copy
import html.parser
import io
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import types
import unittest
import xml.etree.ElementTree

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors	# noqa: E402
from upliftlib.report import blocks, command, decision, dossier, figures, forms, plots, reading, record, stats	# noqa: E402
from tests import dossier_data	# noqa: E402

DATA = dossier_data.bench()


def plain(text):
    return " ".join(text.split())


class Page(html.parser.HTMLParser):
    """What a browser would see: words, tags in balance, and what it would fetch."""
    VOID = {"meta", "br", "img", "link", "line", "circle", "rect"}

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.tags, self.fetched = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action", "xlink:href") or name.startswith("on"):
                self.fetched.append((tag, name, value))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)


class Words(unittest.TestCase):
    WANTED = ("6.18.15-amd64", "no measurable gain", "MORE", "the interval touches null", "trout_wait 256, new",
              "native - the kernel has the change", "unknown - cannot be told without the module", "an event",
              "function: trout_wait", "governor performance, turbo off, SMT off", "spectre_v2: Mitigation: IBRS",
              "12288 (out of tree, unsigned)", "PROBLEM: the machine is on fire", "uplift bench", "A. Trout",
              "A CPU <of> 3 GHz & more", "put_trout(revents, data, uevent)", "30 rounds", "KPROBES=y")

    def test_in_every_form(self):
        unescaped = re.sub(r"\\([\\`*_<>|\[\]])", r"\1", dossier.markdown(DATA))
        for name, text in (("text", dossier.text(DATA)), ("markdown", unescaped),
                           ("html", " ".join(Page(dossier.page(DATA)).words))):
            for wanted in self.WANTED:
                self.assertIn(wanted, plain(text), name)

    def test_claims_are_those_of_the_statistics(self):
        found = {(operation["name"], arm): gain["claim"] for operation, arm, gain in decision.gains(DATA["changes"][2])}
        self.assertEqual(found, {("trout_wait 1", "new"): "gain", ("trout_wait 1", "batch"): "gain",
                                 ("trout_wait 16", "new"): "none", ("trout_wait 256", "new"): "loss"})
        self.assertEqual(dossier.text(DATA).count(stats.NONE), 2)	# the operation, and how to read it

    def test_a_loss_is_not_hidden_by_a_gain(self):
        self.assertIn("MORE", dossier.text({**DATA, "changes": DATA["changes"][2:]}))

    def test_native_has_nothing_to_ship(self):
        text = dossier.text({**DATA, "changes": DATA["changes"][:1]})
        self.assertNotIn("To check by hand", text)

    def test_no_path_of_this_machine(self):
        for text in (dossier.text(DATA), dossier.markdown(DATA), dossier.page(DATA)):
            self.assertNotIn(str(SCRIPTS.parent), text)


class Text(unittest.TestCase):
    def test_width(self):
        for data in (DATA, dossier_data.counted()):
            for line in dossier.text(data).splitlines():
                if not line.startswith("    "):	# code is as it is
                    self.assertLessEqual(len(line), blocks.WIDTH, line)
                self.assertEqual(line, line.rstrip())

    def test_numbers(self):
        for value, said in ((12345.6, "12,346"), (0, "0"), (732.0, "732"), (12.34, "12.3"), (1.234, "1.23"),
                            (-0.0, "0"), (-1.5, "-1.50"), (999.98, "1,000"), (-999.96, "-1,000"), (9.996, "10.0"),
                            (999.5, "999.5")):
            self.assertEqual(figures.number(value), said)
        for value, said in ((3.14159, "3.1%"), (-95.84, "95.8%"), (0.671, "0.67%"), (0.0, "0.0%")):
            self.assertEqual(figures.percent(value), said)


class Markdown(unittest.TestCase):
    def test_tables_are_even(self):
        width = None
        for line in dossier.markdown(DATA).splitlines():
            bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
            if bars and width:
                self.assertEqual(bars, width, line)
            width = bars

    def test_escapes(self):
        text = dossier.markdown(DATA)
        self.assertIn(r"an event \<lost\> \| gone", text)
        self.assertIn(r"trout\_wait 1", text)


class Html(unittest.TestCase):
    def test_stands_by_itself(self):
        text = dossier.page(DATA)
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertEqual(page.fetched, [])
        self.assertNotIn("script", page.tags)
        for word in ("url(", "@import", "<link"):
            self.assertNotIn(word, text)
        # an address is a word to be read, and nothing that is fetched
        self.assertNotRegex(re.sub(r">[^<]*<", "><", text), "https?:")

    def test_no_empty_headers(self):
        for data in (DATA, dossier_data.counted()):
            self.assertNotRegex(dossier.page(data), r"<th[^>]*></th>")

    def test_bars_have_intervals_only_where_there_are_some(self):
        self.assertIn("95% interval", dossier.page(DATA))
        self.assertIn("<s style", dossier.page(DATA))
        self.assertNotIn("interval", dossier.page(dossier_data.counted()))
        self.assertNotIn("<s style", dossier.page(dossier_data.counted()))

    def test_a_bar_lies_within_its_track(self):
        for data in (DATA, dossier_data.counted()):
            found = re.findall(r"<[is] [^>]*left:([\d.-]+)%;width:([\d.]+)%", dossier.page(data))
            self.assertGreater(len(found), 2)
            for left, width in found:
                self.assertTrue(0 <= float(left) <= 100 and float(left) + float(width) <= 100.5, (left, width))

    def test_detail_is_folded(self):
        self.assertGreaterEqual(Page(dossier.page(DATA)).tags.count("details"), 5)

    def test_plots(self):
        found = re.findall(r"<svg.*?</svg>", dossier.page(DATA), re.DOTALL)
        self.assertEqual(len(found), 3)		# one for each operation
        for svg in found:
            root = xml.etree.ElementTree.fromstring(svg)
            width, height = map(float, root.attrib["viewBox"].split()[2:])
            for node in root.iter():
                for key, limit in (("cx", width), ("x1", width), ("x2", width), ("cy", height), ("y2", height)):
                    if key in node.attrib:
                        self.assertTrue(-0.5 <= float(node.attrib[key]) <= limit + 0.5, (key, node.attrib))

    def test_every_round_is_a_dot(self):
        operation = DATA["changes"][2]["operations"][0]
        svg = plots.rounds(operation)
        self.assertEqual(svg.count("<circle"), 5 * 30)
        far = copy.deepcopy(operation)
        far["arms"]["new"][0] = 1e9
        svg = plots.rounds(far)
        self.assertEqual(svg.count("<circle"), 5 * 30 - 1)
        self.assertIn("new (+1 out)", svg)

    def test_flat_samples(self):
        operation = record.operation("x", {arm: [5.0] * 30 for arm in ("off", "off_again", "null", "new")})
        xml.etree.ElementTree.fromstring(plots.rounds(operation))
        self.assertIn("no measurable gain", " ".join(block.html() for block in dossier._bars(
            {"name": "x", "operations": [operation]})))

    def test_ticks(self):
        for low, high in ((0, 1), (-3, 7), (999.1, 999.2), (0, 123456), (5, 5)):
            found = plots.ticks(low, high)
            self.assertTrue(1 <= len(found) <= 8 and all(low - 1e-6 <= tick <= high + 1e-6 for tick in found),
                            (low, high, found))


class Evaluation(unittest.TestCase):
    def setUp(self):
        self.data = dossier_data.counted()

    def test_all_changes(self):
        self.assertEqual([(part["name"], part["verdict"]["kind"]) for part in self.data["changes"]],
                         [("carp", "applicable"), ("trout", "applicable"), ("heron", "applicable"), ("pike", "unaffected")])
        self.assertEqual(self.data["changes"][3]["operations"], [])
        self.assertEqual(self.data["changes"][1]["correctness"]["summary"], "7 tests: 7 passed")

    def test_figures(self):
        text = plain(dossier.text(self.data))
        for wanted in ("18,212 instr. less, 95.4%", "15 instr. less, 2.0%", "31 instr. less, 4.2%", "8 instr. a call",
                       "make run TARGET=6.12", "never had the fault"):
            self.assertIn(wanted, text)

    def test_the_inspector(self):
        text = plain(dossier.text(self.data))
        for wanted in ("Domains: 2, of CPUs 0-1; 2-3", "Cache-aware scheduling: absent; it is predicted",
                       "switch, threads 5,631 5,631 5,701", "switch, threads: 70.5 instr. a call", "passed: domains"):
            self.assertIn(wanted, text)

    def test_no_time(self):
        for seconds in ("42.5", "12.25", "99.75"):
            self.assertNotIn(seconds, dossier.page(self.data))

    def test_one_of_before_has_no_second_round(self):
        old = dossier_data.evaluation()
        for section in old["sections"]:
            section.pop("rounds", None)
            section.pop("change", None)
        part = dossier_data.read(old)["changes"][1]
        self.assertEqual(part["operations"][0]["gains"]["new"]["why"], "no second round confirms it")


class Command(unittest.TestCase):
    def run_(self, *words):
        return subprocess.run([sys.executable, "-B", str(SCRIPTS / "uplift"), "report", *words], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_all_forms(self):
        with tempfile.TemporaryDirectory() as directory:
            place = pathlib.Path(directory)
            source = place / "in.json"
            source.write_text(json.dumps(dossier_data.of_this_tree()))
            done = self.run_(str(source), *(word for name in ("text", "md", "html", "json", "kcidb")
                                            for word in (f"--{name}", str(place / name))))
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            again = reading.load(place / "json")
            # made again from what it made: not a word differs
            self.assertEqual(dossier.page(again), (place / "html").read_text())
            self.assertEqual(dossier.text(again), (place / "text").read_text())
            self.assertEqual(json.loads((place / "kcidb").read_text())["version"]["major"], 5)

    def test_status_and_stdout(self):
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory) / "in.json"
            source.write_text(json.dumps(DATA))
            done = self.run_(str(source))
            self.assertEqual((done.returncode, done.stdout), (1, dossier.text(DATA)))
            self.assertTrue(self.run_(str(source), "--md", "-").stdout.startswith("# uplift: "))

    def test_directories_are_not_made(self):
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory) / "in.json"
            source.write_text(json.dumps(DATA))
            done = self.run_(str(source), "--md", directory + "/a.md", "--html", directory + "/new/a.html")
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (errors.USAGE, "", 1))
            self.assertIn("no such directory", done.stderr)
            self.assertEqual(list(pathlib.Path(directory).iterdir()), [source])

    def test_what_is_no_report(self):
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory) / "in.json"
            for text in ("", "[]", "{}", '{"format": "uplift-dossier/9"}', '{"format": "uplift-dossier/1"}',
                         '{"format": "uplift-evaluation/1"}'):
                source.write_text(text)
                done = self.run_(str(source))
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (errors.USAGE, "", 1), text)
            self.assertEqual(self.run_(str(source) + ".not").returncode, errors.USAGE)


class Garbage(unittest.TestCase):
    """Whatever stands in a file: a report, or one line that says what is wrong."""
    JUNK = (None, True, -1, 0, 1e308, float("inf"), float("nan"), "", "x", "\ud800", "\0\033[2J", [], {}, [1], {"a": 1},
            "\u00e9" * 300)

    def paths(self, data, path=()):
        yield path
        for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
            yield from self.paths(data[key], path + (key,))

    def report(self, text, where):
        file = where / "report.json"
        file.write_text(text)
        args = types.SimpleNamespace(files=[str(file)], origin="uplift", git=None, base="", bug="", change=[], **{
            name: str(where / name) for name in ("text", "md", "html", "kcidb", "json")}, **dict.fromkeys(forms.FORMS))
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                return command._report(args)
            except errors.Problem as problem:
                self.assertEqual(len(str(problem).splitlines()), 1, problem)
                return None

    def test_mutated(self):
        rng = random.Random(5)
        whole = [dossier_data.bench(), dossier_data.evaluation()]
        good = 0
        with tempfile.TemporaryDirectory() as where:
            where = pathlib.Path(where)
            for _ in range(150):
                data = copy.deepcopy(rng.choice(whole))
                path = rng.choice(list(self.paths(data)))
                junk = rng.choice(self.JUNK)
                at = data
                for key in path[:-1]:
                    at = at[key]
                if path:
                    at[path[-1]] = junk
                else:
                    data = junk
                if self.report(json.dumps(data), where) is not None:
                    good += 1
                    for name in ("text", "md", "html"):
                        self.assertNotRegex((where / name).read_text(encoding="utf-8"), "[\0\033]")
        self.assertGreater(good, 10)

    def test_no_report_at_all(self):
        with tempfile.TemporaryDirectory() as where:
            for text in ("", "{", "[]", "null", "1", '"x"', "{}", '{"format": 1}', '{"format": null}', "[" * 100000):
                self.assertIsNone(self.report(text, pathlib.Path(where)), text[:20])

    def test_bytes(self):
        with tempfile.TemporaryDirectory() as where:
            path = pathlib.Path(where) / "x.json"
            path.write_bytes(b"\xff\xfe{}")
            for name in (path, path.parent, path.parent / "none"):
                done = subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", "report", name], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual((done.returncode, len(done.stdout.splitlines())), (2, 1), done.stdout)

    def test_terminal_of_another_encoding(self):
        with tempfile.TemporaryDirectory() as where:
            path = pathlib.Path(where) / "x.json"
            data = copy.deepcopy(DATA)
            data["problems"] = ["a \u00fc \u2192"]
            path.write_text(json.dumps(data))
            done = subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", "report", path], text=True, encoding="ascii",
                                  env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "ascii"},
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(r"a \xfc \u2192", done.stdout)


if __name__ == "__main__":
    unittest.main()
