# SPDX-License-Identifier: GPL-2.0-only
"""Our command as guests get it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import paths	# noqa: E402
from upliftlib.lab import hostcommands	# noqa: E402

# Each module of the tree on its own, as far as nothing but the tree has to be there for it.
IMPORT = """
import importlib, pathlib, sys
scripts = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(scripts))
for path in sorted(scripts.rglob("*.py")):
    names = path.relative_to(scripts).with_suffix("").parts
    importlib.import_module(".".join(names))
    print(".".join(names))
"""


class Tree(unittest.TestCase):
    def test_nothing_is_missing_in_it(self):
        # a user without root typed "uplift probe", which reads the kernel's types: no module named bzimage
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(paths, "BUILD", pathlib.Path(directory)), \
                mock.patch.object(hostcommands, "_compiled"):
            tree = hostcommands._tree()
            done = subprocess.run([sys.executable, "-B", "-I", "-c", IMPORT, tree / "scripts"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("upliftlib.host.probe\n", done.stdout)
        self.assertIn("upliftlib.kernel.btf\n", done.stdout)


if __name__ == "__main__":
    unittest.main()
