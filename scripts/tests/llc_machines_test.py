# SPDX-License-Identifier: GPL-2.0-only
"""The machines of llc_machines.py: the right picture, the right remarks, and none too many.

The pictures are selftests/fixtures/llc-machines/NAME.txt. After a change that is meant, look at what differs, and then:
UPLIFT_WRITE=1 python3 -B -m unittest scripts/tests/llc_machines_test.py
"""

import os
import pathlib
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import llc_machines	# noqa: E402
from upliftlib.base import paths	# noqa: E402
from upliftlib.inspector import layout, source, svg, text	# noqa: E402

PICTURES = paths.TOP / "selftests/fixtures/llc-machines"


class Machines(unittest.TestCase):
    maxDiff = None
    found = {}

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as temp:
            for name, machine in llc_machines.MACHINES.items():
                llc_machines.write(machine, pathlib.Path(temp) / name)
                cls.found[name] = source.gather(source.Snapshot(pathlib.Path(temp) / name))[0]
        for machine in cls.found.values():
            machine.notes = [note.replace(temp, "DIR") for note in machine.notes]

    def test_there_are_enough(self):
        self.assertGreaterEqual(len(self.found), 40)

    def test_pictures(self):
        for name, machine in self.found.items():
            with self.subTest(machine=name):
                drawn = text.render(machine, columns=100)
                path = PICTURES / f"{name}.txt"
                if os.environ.get("UPLIFT_WRITE"):
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(drawn)
                self.assertEqual(drawn, path.read_text())

    def test_remarks(self):
        for name, machine in self.found.items():
            wanted = llc_machines.MACHINES[name].remarks
            said = layout.problems(machine)
            with self.subTest(machine=name):
                for pattern in wanted:
                    self.assertEqual(len([line for line in said if re.search(pattern, line)]), 1, (pattern, said))
                self.assertEqual([line for line in said if not any(re.search(pattern, line) for pattern in wanted)], [])

    def test_every_cpu_is_in_the_picture(self):
        """Folded or not, in the text and in the drawing."""
        for name, machine in self.found.items():
            with self.subTest(machine=name):
                groups = layout.groups(machine)
                folded = layout.folded(machine, groups)
                for found in (groups, folded):
                    cpus = [cpu for group in found for one in (group, *group.like) for cpu in one.cpus]
                    self.assertEqual(sorted(cpus), sorted(machine.online | frozenset().union(
                        *(domain.cpus for domain in machine.domains))))
                root = ElementTree.fromstring(svg.render(machine, every=True))
                titles = {(item.text or "").split(",")[0].split("\n")[0] for item in root.iter() if item.tag.endswith("title")}
                if machine.domains:
                    self.assertEqual({f"CPU {cpu}" for cpu in machine.online} - titles, set())

    def test_drawing_nests(self):
        """Each CPU is within a box, and none covers another."""
        for name, machine in self.found.items():
            root = ElementTree.fromstring(svg.render(machine))
            rects = {kind: [] for kind in ("cpu", "off", "domain", "alone", "part", "cluster", "core")}
            for item in root.iter():
                if item.tag.endswith("rect") and (kind := item.get("class").split()[0]) in rects:
                    x, y, width, height = (float(item.get(key)) for key in ("x", "y", "width", "height"))
                    rects[kind].append((x, y, x + width, y + height))
            boxes = rects["domain"] + rects["alone"]
            with self.subTest(machine=name):
                for kind in ("cpu", "off", "part", "cluster", "core"):
                    for x, y, right, low in rects[kind]:
                        self.assertEqual(len([1 for box in boxes if box[0] <= x and box[1] <= y and box[2] >= right
                                              and box[3] >= low]), 1, (kind, x, y))
                cpus = sorted(rects["cpu"] + rects["off"])
                for one, other in zip(cpus, cpus[1:]):
                    self.assertTrue(other[0] >= one[2] or other[1] >= one[3] or one[1] >= other[3], (one, other))

    def test_is_short(self):
        for name in ("altra", "altra-2p", "nothing", "nothing-many", "epyc-2x384"):
            with self.subTest(machine=name):
                self.assertLess(len(text.render(self.found[name]).splitlines()), 30)
                self.assertGreater(len(text.render(self.found["epyc-2x384"], every=True).splitlines()), 30)


if __name__ == "__main__":
    unittest.main()
