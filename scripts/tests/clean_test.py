# SPDX-License-Identifier: GPL-2.0-only
"""All that is made below build/ goes with `make distclean` and with `uplift lab clean --all`."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = TOP / "scripts"


def named():
    """What the scripts' own text has below BUILD, by the first part of its name."""
    programs = [path for path in SCRIPTS.rglob("*") if path.is_file() and "tests" not in path.parts
                and (path.suffix == ".py" or path.read_text(errors="replace").startswith("#!/usr/bin/env python3"))]
    return {name for path in programs for name in re.findall(r'\bBUILD\)? / "([\w.-]+)"', path.read_text())}


class Clean(unittest.TestCase):
    def setUp(self):
        self.build = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "build"
        self.names = named()
        self.assertLess({"targets", "debug", "signed", "spatch.log"}, self.names)
        for name in self.names:
            (self.build / name / "deep").mkdir(parents=True)
            (self.build / name / "deep" / "file").touch()

    def left(self):
        return sorted(path.name for path in self.build.iterdir()) if self.build.exists() else []

    def test_distclean(self):
        """It left the tests' signed modules, snapshots of topologies, a copy of the tree."""
        said = subprocess.run(["make", "-C", TOP, "-n", "distclean", f"UPLIFT_BUILD={self.build}"], text=True, check=True,
                              stdout=subprocess.PIPE).stdout
        # its other lines are for the tree
        lines = [line for line in said.splitlines() if line.startswith("rm -rf ") and str(self.build) in line]
        self.assertGreater(len(lines), 1)
        for line in lines:
            subprocess.run(["sh", "-c", line], check=True)
        self.assertEqual(self.left(), [])

    def test_lab_clean(self):
        """`clean --all` left what `make distclean` took."""
        subprocess.run([sys.executable, "-B", SCRIPTS / "uplift", "lab", "clean", "--all"], check=True,
                       stderr=subprocess.DEVNULL, env=os.environ | {"UPLIFT_BUILD": str(self.build)})
        self.assertEqual(self.left(), [])


if __name__ == "__main__":
    unittest.main()
