# SPDX-License-Identifier: GPL-2.0-only
"""What `uplift lab verdicts` takes for right."""

import dataclasses
import pathlib
import sys
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import changes, errors, targets	# noqa: E402
from upliftlib.lab import verdicts	# noqa: E402
from tests import pond	# noqa: E402


def said(**kinds):
    return {"changes": [{"name": name, "verdict": {"kind": kind, "evidence": ["x: y"], "from": "module"}}
                        for name, kind in kinds.items()]}


class Verdicts(unittest.TestCase):
    def test_every_target(self):
        for name, change in changes.load().items():
            where = f"[expect] in {change.directory}/about.toml"
            self.assertEqual(set(targets.TABLE) - set(change.expect), set(), f"{where} begins too late")
            self.assertLessEqual(set(change.expect.values()), set(changes.KINDS) - {"unknown"}, where)

    def expect(self, **given):
        """What is expected of a change on a table of these targets; 6_12 stands for 6.12."""
        names = ("6.1", "6.12", "6.18", "7.1")
        table = {name: dataclasses.replace(next(iter(targets.TABLE.values())), name=name) for name in names}
        variant = {"6.12-rt": next(iter(targets.VARIANTS.values()))}
        about = {"expect": {key.strip("v").replace("_", "."): kind for key, kind in given.items()}}
        with mock.patch.object(targets, "TABLE", table), mock.patch.object(targets, "VARIANTS", variant):
            return changes.Change("trout", pathlib.Path("modules/trout"), about).expect

    def test_from_a_kernel_on(self):
        """What [expect] says of a version holds until it says another, whether that kernel is a target or not."""
        self.assertEqual(self.expect(v6_1="unaffected", v7_0="native", v6_12="applicable"),
                         {"6.1": "unaffected", "6.12": "applicable", "6.18": "applicable", "7.1": "native"})
        self.assertEqual(self.expect(v5_10="applicable"), dict.fromkeys(("6.1", "6.12", "6.18", "7.1"), "applicable"))

    def test_before_the_first_nothing_is_known(self):
        self.assertEqual(self.expect(v6_18="native"), {"6.18": "native", "7.1": "native"})
        self.assertEqual(self.expect(), {})

    def test_variants_are_named(self):
        found = self.expect(**{"v6_1": "applicable", "6_12-rt": "unsupported"})
        self.assertEqual((found["6.12-rt"], found["6.12"], found["6.18"]), ("unsupported", "applicable", "applicable"))

    def test_no_version(self):
        for name in ("6_12-huge", "next", "7_1_3"):
            with self.assertRaisesRegex(errors.Problem, r"modules/trout/about.toml: \[expect\] has '.*'; a kernel's version, X.Y,") as caught:
                self.expect(**{name: "native"})
            self.assertEqual(caught.exception.code, errors.USAGE)

    def judged(self, target, data):
        """On a table of two changes, of which the carp is applicable from 6.1 on, the trout from 6.18 on."""
        expect = {"carp": {"6.1": "applicable"}, "trout": {"6.1": "unaffected", "6.18": "applicable"}}
        known = {name: dataclasses.replace(pond.CHANGES[name], about={"expect": table}) for name, table in expect.items()}
        with mock.patch.object(changes, "load", lambda top=None: known):
            return verdicts.judge(target, data)

    def test_right(self):
        found = self.judged("6.18", said(carp="applicable", trout="applicable"))
        self.assertEqual([problem for _, _, problem in found], ["", ""])

    def test_wrong(self):
        for data in (said(carp="native"), said(trout="unknown"), said(other="applicable")):
            (_, _, problem), = self.judged("6.18", data)
            self.assertTrue(problem)

    def test_unknown_target(self):
        ((_, _, problem),) = self.judged("5.9", said(carp="applicable"))
        self.assertRegex(problem, r'nothing is known .* \[expect\] in its about.toml begins after 5\.9')

    def test_right_by_guessing_is_wrong(self):
        data = said(carp="applicable")
        data["changes"][0]["verdict"]["from"] = "btf"
        self.assertIn("not asked", self.judged("6.18", data)[0][2])


if __name__ == "__main__":
    unittest.main()
