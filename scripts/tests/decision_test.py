# SPDX-License-Identifier: GPL-2.0-only
"""The sentence that a dossier begins with."""

import copy
import pathlib
import sys
import tempfile
import unittest
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import changes, paths	# noqa: E402
from upliftlib.report import blocks, companions, decision, dossier, record	# noqa: E402
from tests import dossier_data, pond	# noqa: E402

GUEST = {"release": "6.18.15+deb13-amd64", "hypervisor": "QEMU 10.0.13; correctness: TCG", "config": {}, "kernel": ""}
PASSED: record.Correctness = {"ok": True, "summary": "1 test: 1 passed", "problems": [],
                              "tests": [{"name": "events", "outcome": "pass", "reason": ""}]}


def part(*operations: record.Operation, name: str = "trout", kind: str = "applicable",
         correctness: record.Correctness | None = PASSED) -> record.Part:
    found = record.entry(pond.CHANGES[name], {"kind": kind, "evidence": ["function: x"], "from": "module"})
    found["operations"], found["correctness"] = list(operations), copy.deepcopy(correctness)
    return found


def counted(name: str, null: float, **arms: float) -> record.Operation:
    return record.operation(name, {"off": [null - 8] * 2, "off_again": [null - 8] * 2, "null": [null] * 2}
                            | {arm: [value] * 2 for arm, value in arms.items()}, "instructions")


def decided(found: record.Part, machine: dict[str, Any] = GUEST) -> decision.Decision:
    return decision.decide(found, machine)


def several() -> record.Report:
    """A report of made-up changes, of which the last only shows."""
    data = dossier_data.counted()
    data["machine"] = GUEST | {"kernel": "Linux version 6.18.15", "taint": 0}
    data["changes"] = [part(counted(name, 1000, new=900), name=change) for name, change in
                       (("pread", "carp"), ("read", "pike"), ("wait", "trout"), ("poll", "perch"))]
    data["changes"].append(part(name="heron"))
    data["changes"][-1]["shows"] = [{"name": "domains", "short": "2", "text": "2"}]
    return data


def shipped() -> record.Report:
    """The same of the changes of upstream's that are here: with as many words as they have."""
    data = several()
    data["changes"] = []
    for change in changes.load().values():
        if not change.upstream():
            continue
        found = record.entry(change, {"kind": "applicable", "evidence": ["function: x"], "from": "module"})
        found["correctness"] = copy.deepcopy(PASSED)
        if change.about.get("inspector"):
            found["shows"] = [{"name": "domains", "short": "2", "text": "2"}]
        else:
            found["operations"] = [counted("wait", 1000, new=900)]
        data["changes"].append(found)
    return data


class Kinds(unittest.TestCase):
    def test_a_gain_with_tests_that_passed(self) -> None:
        found = decided(part(counted("wait", 1000, new=900)))
        self.assertEqual(found.kind, decision.WORTH_IT)
        for words in ("wait takes 900 instructions instead of 1,000", "(10.0% less)", "exact counts", "not time",
                      "QEMU guest of 6.18.15+deb13-amd64", "its tests passed (1)"):
            self.assertIn(words, found.sentence)

    def test_without_tests_it_is_open(self) -> None:
        for correctness, words in ((None, "not run here"), (PASSED | {"skipped": "no root"}, "skipped (no root)"),
                                   (PASSED | {"ok": False, "error": "no shell"}, "could not be run (no shell)")):
            found = decided(part(counted("wait", 1000, new=900), correctness=correctness))	# type: ignore[arg-type]
            self.assertEqual(found.kind, decision.UNTOLD)
            self.assertIn("900 instructions", found.reason)
            self.assertIn(words, found.reason)

    def test_a_failed_test_is_harmful_whatever_is_gained(self) -> None:
        failed = PASSED | {"ok": False, "tests": [{"name": "events", "outcome": "fail", "reason": "lost"}]}
        found = decided(part(counted("wait", 1000, new=500), correctness=failed))	# type: ignore[arg-type]
        self.assertEqual(found.kind, decision.HARMFUL)
        self.assertIn("a test failed (events)", found.reason)

    def test_an_error_is_no_failure(self) -> None:
        nothing = PASSED | {"ok": False, "tests": [], "problems": ["the guest did not start"]}
        found = part(counted("wait", 1000, new=900), correctness=nothing)		# type: ignore[arg-type]
        self.assertEqual(decision.tests(found["correctness"]), decision.ERROR)
        self.assertEqual(decided(found).kind, decision.UNTOLD)
        self.assertTrue(dossier.correct(found).startswith("ERROR: could not be run"))

    def test_too_little(self) -> None:
        found = decided(part(counted("wait", 10000, new=9950)))
        self.assertEqual(found.kind, decision.NOT_WORTH_IT)
        self.assertIn("0.50%", found.reason)

    def test_nothing_measurable(self) -> None:
        self.assertEqual(decided(part(counted("wait", 1000, new=1000))).kind, decision.NOT_WORTH_IT)

    def test_only_losses(self) -> None:
        found = decided(part(counted("wait", 1000, new=1100)))
        self.assertEqual(found.kind, decision.HARMFUL)
        self.assertIn("10.0% MORE", found.reason)

    def test_a_small_loss_alone(self) -> None:
        found = decided(part(counted("wait", 1000, new=1003)))
        self.assertEqual(found.kind, decision.NOT_WORTH_IT)
        self.assertIn("0.30% MORE", found.reason)

    def test_a_small_loss_is_said(self) -> None:
        found = decided(part(counted("wait", 1000, new=900), counted("poll", 1000, new=1004)))
        self.assertEqual(found.kind, decision.WORTH_IT)
        self.assertIn("poll takes 1,004 instructions instead of 1,000 (0.40% MORE)", found.reason)

    def test_a_large_loss_is_for_the_reader_to_weigh(self) -> None:
        found = decided(part(counted("wait", 1000, new=900), counted("poll", 1000, new=1100)))
        self.assertEqual(found.kind, decision.UNTOLD)
        self.assertIn("which of them your load does", found.reason)

    def test_batch_that_loses_to_new(self) -> None:
        words = "(batch) saves less than upstream's change in 1 of 2 operations (wait 16: 50 instructions, upstream's 100)"
        self.assertIn(words, decided(part(counted("wait 1", 1000, new=900, batch=800),
                                          counted("wait 16", 1000, new=900, batch=950))).reason)
        self.assertNotIn("batch", decided(part(counted("wait", 1000, new=900, batch=800))).reason)

    def test_tests_that_were_skipped_are_counted(self) -> None:
        two = copy.deepcopy(PASSED)
        two["tests"].append({"name": "native", "outcome": "skip", "reason": "not native"})
        self.assertIn("its tests passed (1, 1 skipped)", decided(part(counted("wait", 1000, new=900), correctness=two)).reason)

    def test_verdicts(self) -> None:
        for kind, wanted in (("native", decision.NOTHING), ("unaffected", decision.NOTHING),
                             ("unsupported", decision.UNTOLD), ("unknown", decision.UNTOLD)):
            self.assertEqual(decided(part(kind=kind)).kind, wanted)

    def test_time_has_its_interval_and_machine(self) -> None:
        found = decided(part(record.operation("wait", dossier_data.samples(40))), dossier_data.MACHINE)
        self.assertEqual(found.kind, decision.WORTH_IT)
        self.assertRegex(found.reason, r"\d ns instead of [\d,.]+ \(\d\.\d% less\) \(30 rounds, 95% interval \d\.\d% to \d\.\d%, "
                                       "on A CPU <of> 3 GHz & more with 6.18.15-amd64")

    def test_every_kind_is_known(self) -> None:
        for found in (dossier_data.bench(), dossier_data.counted()):
            for one in found["changes"]:
                self.assertIn(decided(one, found["machine"]).kind, decision.KINDS)


class FirstScreen(unittest.TestCase):
    """Of each change: what to do, what it gains, in which unit, on what, and what goes with it."""

    def test_above_all(self) -> None:
        self.assertIn("Worth it: carp (10.0% less), pike (10.0% less), trout (10.0% less), perch (10.0% less). Cannot be told "
                      "here: heron. All figures are exact counts of instructions in a QEMU guest of 6.18.15+deb13-amd64, not time",
                      dossier_data.cards(several())[""])

    def test_the_largest_loss(self) -> None:
        for values, said in (((900, 1004), "10.0% less"), ((900, 1100), "10.0% less, 10.0% MORE"), ((1000, 1004), "0.40% MORE"),
                             ((1000, 1000), "")):
            self.assertEqual(decision.largest(part(*(counted(str(value), 1000, new=value) for value in values))), said)

    def test_each_change(self) -> None:
        cards = dossier_data.cards(several())
        for name, words in (("carp", ("Worth it", "takes 900 instructions instead of 1,000", "Tests passed (1).",
                                      "Ship ca0000000000 with prerequisite ca1111111111 and a later fix whose id was not found")),
                            ("perch", ("nothing that was found has to go with it.",)),
                            ("heron", ("Cannot be told here", "Why the module only shows"))):
            for one in words:
                self.assertIn(one, cards[name], name)

    def test_the_abi_in_short(self) -> None:
        found = part()
        for symbols, layouts, said in (({}, [], "no exported symbol changes"), ({"a": ["0x1", "0x1"]}, [], "no exported symbol changes"),
                                       ({"a": ["0x1", "0x2"], "b": ["0x1", "0x1"]}, ["struct x"], "1 struct of its own is defined otherwise")):
            found["abi"] = {"method": "", "files": ["x.c"], "symbols": symbols, "layouts": layouts}
            self.assertEqual(dossier.abi_in_short(found), said)
        found = part(counted("wait", 1000, new=900))
        for count, said in ((0, ""), (2, "it CHANGES the CRCs of exported symbols (a0, a1)"),
                            (5, "it CHANGES the CRCs of exported symbols (a0, a1, a2 and 2 more)")):
            found["abi"] = {"method": "", "files": ["x.c"], "layouts": [], "symbols": {
                f"a{number}": ["0x1", "0x2" if number < count else "0x1"] for number in range(6)}}
            self.assertIn(said, decided(found).sentence)
            self.assertEqual("CRCs" in decided(found).sentence, count > 0)
        self.assertEqual(dossier.abi_in_short(part()), "its ABI was not looked at")

    def test_its_words_are_explained(self) -> None:
        data = dossier_data.bench()
        text = " ".join(dossier.text(data).split("\n\n\n")[0].split())
        for one in data["changes"]:
            self.assertIn(f"- {one['name']} ({one['title']}): ", text)
            self.assertIn(f"{one['verdict']['kind']}: {changes.VERDICTS[one['verdict']['kind']]}.", text)
        for words in ("7.0 120000000000", "operation: what is measured", '"instead of": what the kernel\'s own code takes'):
            self.assertIn(words, text)


class Companions(unittest.TestCase):
    def test_the_dossier_names_them(self) -> None:
        for name, change in pond.CHANGES.items():
            text = " ".join(blocks.text(dossier._change(part(name=name), GUEST)).split())
            for entry in change.upstream()["with"]:
                self.assertIn(entry["commit"][:12] if "commit" in entry else entry["title"], text, name)
            self.assertIn("Looked up: on 2026-11-30", text)

    def test_each_has_a_state_or_says_that_it_was_not_looked_up(self) -> None:
        for name in pond.CHANGES:
            for release in ("6.18.15+deb13-amd64", "7.2.12+deb13-amd64"):
                for one in companions.of(part(name=name), release):
                    self.assertRegex(one.state, "^(needed|present|omitted: .+|if its tests are shipped)$", (name, one))
            for one in companions.of(part(name=name), "5.4.0-42"):
                self.assertIn(one.state, (companions.UNKNOWN, "if its tests are shipped"))

    def test_what_is_needed_is_in_the_sentence(self) -> None:
        found = part(counted("wait", 1000, new=900), name="carp")
        self.assertIn("ship ca0000000000 with prerequisite ca1111111111 and a later fix whose id was not found", decided(found).reason)

    def test_what_is_not_to_be_shipped_is_not_said_to_be(self) -> None:
        self.assertIn("it would take ca0000000000 with prerequisite ca1111111111",
                      decided(part(counted("wait", 1000, new=999), name="carp")).reason)
        self.assertNotIn("ca0000000000", decided(part(counted("wait", 1000, new=1100), name="carp")).reason)

    def test_what_only_shows_says_what_it_would_need(self) -> None:
        found = part(name="heron")
        found["shows"] = [{"name": "domains", "short": "2", "text": "2"}]
        self.assertRegex(decided(found).reason, r"only shows .*; the module's tests passed \(1\); it would take .* with later fix 4e1111111111")

    def test_that_nothing_is_needed_is_said(self) -> None:
        found = part(counted("wait", 1000, new=900), name="perch")
        self.assertIn("nothing that was found has to go with it", decided(found).reason)
        self.assertIn("not looked up for this kernel", decided(part(counted("wait", 1000, new=900)),
                                                               GUEST | {"release": "5.4.0-42"}).reason)
        found["upstream"] = {}
        self.assertIn("not looked up for this kernel", decided(found).reason)

    def test_the_table_is_what_the_sources_say(self) -> None:
        """Of the kernels whose source is here; that is how it was made."""
        looked = 0
        for tree in sorted(path for path in paths.SRC.glob("[0-9]*") if (path / "MAINTAINERS").exists()):
            for name, change in changes.load().items():
                for entry in change.upstream().get("with", ()):
                    wanted, found = entry.get("kernels", {}).get(tree.name), companions.of_source(entry, tree)
                    if wanted and found:
                        looked += 1
                        self.assertEqual(found.partition(":")[0], wanted.partition(":")[0], (tree.name, name, entry["title"]))
        if not looked:
            self.skipTest("no kernel source here: scripts/uplift lab fetch --source")

    def test_of_a_source(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            tree = pathlib.Path(place)
            entry = {"seen": {"file": "a.c", "has": "mended()", "only": "batch"}}
            self.assertEqual(companions.of_source(entry, tree), "")
            for text, state in (("batch; mended();", "present"), ("batch;", "needed"), ("x", "omitted: its a.c has no batch")):
                (tree / "a.c").write_text(text)
                self.assertEqual(companions.of_source(entry, tree), state)
            self.assertEqual(companions.of_source({}, tree), "")

    def test_a_kernel_that_is_not_in_the_table(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            source = pathlib.Path(place, "fs/pike/iter.c")
            source.parent.mkdir(parents=True)
            source.write_text("batch\n")
            found = part(name="pike")
            companions.with_source(found, "6.17.3-own", pathlib.Path(place))
            self.assertEqual([one.state for one in companions.of(found, "6.17.3-own")], ["needed"])

    def test_nothing_known_is_said(self) -> None:
        found = part()
        found["upstream"] = {}
        self.assertIn("no repository was given", companions.source(found, GUEST["release"]))
        self.assertEqual(companions.lines(found, GUEST["release"]), [])


if __name__ == "__main__":
    unittest.main()
