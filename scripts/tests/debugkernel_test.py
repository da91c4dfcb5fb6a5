#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Kernels with checkers: is what was asked for in the configuration that came out?"""

import pathlib
import re
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.lab import debugkernel	# noqa: E402


class Lacking(unittest.TestCase):
    WANTED = {"CONFIG_KASAN": "y", "CONFIG_XFS_FS": "m", "CONFIG_AUTO": "n", "CONFIG_NEWER": "y"}
    KNOWN = {"KASAN", "XFS_FS", "AUTO"}

    def test_all_there(self):
        config = "CONFIG_KASAN=y\nCONFIG_XFS_FS=m\n# CONFIG_AUTO is not set\n"
        self.assertEqual(debugkernel.lacking(self.WANTED, config, self.KNOWN), (["CONFIG_NEWER"], []))

    def test_not_taken(self):
        unknown, bad = debugkernel.lacking(self.WANTED, "CONFIG_XFS_FS=y\nCONFIG_AUTO=y\n", self.KNOWN)
        self.assertEqual(unknown, ["CONFIG_NEWER"])
        self.assertEqual(bad, ["CONFIG_KASAN=n, not y", "CONFIG_XFS_FS=y, not m", "CONFIG_AUTO=y, not n"])


class Symbols(unittest.TestCase):
    def test_of_a_tree(self):
        with tempfile.TemporaryDirectory() as name:
            tree = pathlib.Path(name)
            (tree / "fs").mkdir()
            (tree / "fs/Kconfig").write_text("config XFS_FS\n\ttristate\nmenuconfig MISC\n\tbool\n")
            (tree / "Kconfig.debug").write_text("if KASAN\n\tconfig KASAN_VMALLOC\nendif\n")
            self.assertEqual(debugkernel.known_symbols(tree), {"XFS_FS", "MISC", "KASAN_VMALLOC"})


class Fragments(unittest.TestCase):
    """What the torture looks for has to be asked for."""

    def test_kinds(self):
        for kind in debugkernel.KINDS:
            values = debugkernel.wanted(kind)
            self.assertEqual(values["CONFIG_MODULES"], "y")
            self.assertNotEqual(values.get("CONFIG_KASAN") == "y", values.get("CONFIG_KCSAN") == "y", kind)
        debug = debugkernel.wanted("debug")
        for symbol in ("PROVE_LOCKING", "PROVE_RCU", "DEBUG_ATOMIC_SLEEP", "DEBUG_OBJECTS", "DEBUG_KMEMLEAK",
                       "FAILSLAB", "FAULT_INJECTION"):
            self.assertEqual(debug[f"CONFIG_{symbol}"], "y", symbol)

    def test_kcsan_looks_from_the_start(self):
        """It was built in and waited to be switched on: nothing was found in any run."""
        kcsan = debugkernel.wanted("kcsan")
        self.assertEqual((kcsan["CONFIG_KCSAN_EARLY_ENABLE"], kcsan["CONFIG_KCSAN_SELFTEST"]), ("y", "y"))

    def test_kernels_of_a_target_have_names_of_their_own(self):
        """Modules are kept by release: those for one checker were taken for the other's."""
        names = {debugkernel.wanted(kind)["CONFIG_LOCALVERSION"] for kind in debugkernel.KINDS}
        self.assertEqual(len(names), len(debugkernel.KINDS))

    def test_lines_are_of_the_form_that_is_read(self):
        for path in debugkernel.CONFIG.glob("*.config"):
            for line in path.read_text().splitlines():
                self.assertTrue(re.fullmatch(r"|#.*|CONFIG_\w+=(?:[ymn]|\d+|\"[^\"]*\")", line), f"{path.name}: {line}")


if __name__ == "__main__":
    unittest.main()
