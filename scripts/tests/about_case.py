# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a change, held against its about.toml: <change>_about_test.py says what that is, and has these tests."""

import pathlib
import sys
import unittest
from typing import ClassVar
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import changes, paths	# noqa: E402
from upliftlib.host import machine, probe	# noqa: E402
from upliftlib.report import blocks, companions, dossier, legacy, record	# noqa: E402
from tests import decision_test, dossier_data	# noqa: E402

Words = tuple[str, ...]
# Kernels of Debian's for which what goes with a change was looked up.
RELEASES = ("6.1.0-57-amd64", "6.12.118+deb13-amd64", "6.18.15+deb13-amd64", "7.2.12+deb13-amd64")


class Types:
    """A kernel's types, as a set of words."""
    why = ""

    def __init__(self, words: Words) -> None:
        self.words = words

    def has(self, what: str) -> bool:
        return what in self.words


class About(unittest.TestCase):
    """The tests."""
    NAME: ClassVar[str]
    # Its commit, prerequisites and later fixes; words where there is no id. As known on 30 November 2026.
    GOES_WITH: ClassVar[Words]
    # What the first screen says of it, on 6.18 and where OPERATION took 900 instructions instead of 1,000.
    CARD: ClassVar[Words]
    OPERATION: ClassVar[str] = ""
    # What a kernel has: the verdict that this tells without the module.
    TYPES: ClassVar[dict[Words, str]]
    # The same of targets, as the module says in guests of these; "unknown" where only the module tells.
    TARGETS: ClassVar[dict[str, str]] = {}
    # Its section's title in reports of before.
    TITLE: ClassVar[str] = ""

    def part(self) -> record.Part:
        return record.entry(changes.load()[self.NAME], {"kind": "applicable", "evidence": [], "from": "module"})

    def told(self, types: object) -> str:
        with mock.patch.object(machine, "config", return_value=({}, "")):
            return str(probe.static(changes.load()[self.NAME], types, "not asked")["kind"])

    def test_the_dossier_names_what_goes_with_it(self) -> None:
        text = " ".join(blocks.text(dossier._change(self.part(), {"release": RELEASES[-1], "config": {}})).split())
        for words in (*self.GOES_WITH, f"Looked up: on {self.part()['upstream']['looked_up']}"):
            self.assertIn(words, text)

    def test_its_card(self) -> None:
        data = dossier_data.counted()
        data["machine"] = decision_test.GUEST | {"kernel": "Linux version 6.18.15", "taint": 0}
        found = self.part()
        found["correctness"] = decision_test.PASSED
        if self.OPERATION:
            found["operations"] = [decision_test.counted(self.OPERATION, 1000, new=900)]
        else:
            found["shows"] = [{"name": "domains", "short": "2", "text": "2"}]
        data["changes"] = [found]
        card = dossier_data.cards(data)[self.NAME]
        for words in self.CARD:
            self.assertIn(words, card)

    def test_each_has_a_state_or_was_not_looked_up(self) -> None:
        for release in RELEASES:
            for one in companions.of(self.part(), release):
                self.assertRegex(one.state, "^(needed|present|omitted: .+|if its tests are shipped)$", one)
        for one in companions.of(self.part(), "5.4.0-42"):
            self.assertIn(one.state, (companions.UNKNOWN, "if its tests are shipped"))

    def test_what_types_tell(self) -> None:
        for words, kind in self.TYPES.items():
            self.assertEqual(self.told(Types(words)), kind, words)

    def test_real_kernels(self) -> None:
        there = {target: kind for target, kind in self.TARGETS.items() if (paths.TARGETS / target / "btf").exists()}
        if not there:
            self.skipTest("no target's types here")
        for target, kind in there.items():
            self.assertEqual(self.told(probe.Types(paths.TARGETS / target / "btf")), kind, target)

    def test_reports_of_before(self) -> None:
        """Its title has stayed, or the oldest reports lose it."""
        if not self.TITLE:
            self.skipTest("it is in no report of before")
        found = legacy._change({"title": self.TITLE}, changes.load())
        self.assertEqual(found and found.name, self.NAME)
