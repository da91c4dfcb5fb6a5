# SPDX-License-Identifier: GPL-2.0-only
"""What `uplift lab verdicts` takes for right."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import changes, targets	# noqa: E402
from upliftlib.lab import verdicts	# noqa: E402


def said(**kinds):
    return {"changes": [{"name": name, "verdict": {"kind": kind, "evidence": ["x: y"], "from": "module"}}
                        for name, kind in kinds.items()]}


class Verdicts(unittest.TestCase):
    def test_every_target(self):
        for name, change in changes.load().items():
            where = f"[expect] in {change.directory}/about.toml"
            self.assertLessEqual(set(targets.TABLE), set(change.expect), f"{where} lacks a target")
            self.assertLessEqual(set(change.expect), {*targets.TABLE, *targets.VARIANTS}, f"{where} has no target of that name")
            self.assertLessEqual(set(change.expect.values()), set(changes.KINDS) - {"unknown"}, where)

    def test_right(self):
        found = verdicts.judge("6.18", said(fslist="applicable", iomap="applicable", epoll="applicable"))
        self.assertEqual([problem for _, _, problem in found], ["", "", ""])

    def test_wrong(self):
        for data in (said(fslist="native"), said(iomap="unknown"), said(other="applicable")):
            (_, _, problem), = verdicts.judge("6.18", data)
            self.assertTrue(problem)

    def test_unknown_target_says_where_to_add_it(self):
        ((_, _, problem),) = verdicts.judge("9.9", said(fslist="applicable"))
        self.assertRegex(problem, r'nothing is known .* add "9\.9" to \[expect\]')

    def test_right_by_guessing_is_wrong(self):
        data = said(fslist="applicable")
        data["changes"][0]["verdict"]["from"] = "btf"
        self.assertIn("not asked", verdicts.judge("6.18", data)[0][2])


if __name__ == "__main__":
    unittest.main()
