# SPDX-License-Identifier: GPL-2.0-only
"""Which selftests --only names."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors	# noqa: E402
from upliftlib.lab import selftests	# noqa: E402
from tests import roles	# noqa: E402

ONE, OTHER, *_ = roles.names(roles.redirects)


class Chosen(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.install = pathlib.Path(self.dir.name)
        for script in selftests.EVERY.values():
            (self.install / f"{script.file}.sh").write_text(f'TESTS="load {script.file}_one"\nTESTS="$TESTS unloaded"\n')

    def tearDown(self):
        self.dir.cleanup()

    def test_words(self):
        chosen = lambda words: selftests.chosen(words, self.install)	# noqa: E731
        for none in (None, "", " "):	# a blank ran nothing, and was a skip
            self.assertEqual(chosen(none), dict.fromkeys(selftests.SCRIPTS))
        self.assertEqual(chosen(ONE), {ONE: None})
        self.assertEqual(chosen(f"{ONE}:load {OTHER}_one"), {ONE: ["load"], OTHER: [f"{OTHER}_one"]})
        self.assertEqual(chosen(f"{ONE} {ONE}:load"), {ONE: None})
        self.assertEqual(chosen("unloaded"), {name: ["unloaded"] for name in selftests.EVERY
                                              if not name.startswith("refusals_no_")})
        # one module's cycles, not those of all six
        self.assertEqual(chosen("core"), {"cycles_core": ["core"]})
        self.assertEqual(chosen(f"cycles_{ONE}"), {f"cycles_{ONE}": None})
        for word in ("nothing", f"{ONE}:nothing", f"cycles_core:{ONE}", f"{ONE}:{OTHER}_one", "other:load"):
            with self.assertRaises(errors.Problem):
                chosen(word)


if __name__ == "__main__":
    unittest.main()
