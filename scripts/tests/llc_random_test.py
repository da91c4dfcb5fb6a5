# SPDX-License-Identifier: GPL-2.0-only
"""The inspector's domains, parts and remarks, and those of the module's core, against brute force on random machines.

RANDOM_ROUNDS=10000 is the long form: so many machines without a fault, and so many with one. RANDOM_SEED begins elsewhere.
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import llc_random	# noqa: E402
from upliftlib.base import paths	# noqa: E402
from upliftlib.inspector import layout, model, source	# noqa: E402

ROUNDS = int(os.environ.get("RANDOM_ROUNDS", "100"))
SEED = int(os.environ.get("RANDOM_SEED", "1"))


class Script(unittest.TestCase):
    """What `uplift llc --from` makes of the machines, as files."""

    def setUp(self):
        # hundreds of small files each
        temp = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(temp.cleanup)
        self.root = pathlib.Path(temp.name) / "root"

    def machine(self, tree, masks):
        shutil.rmtree(self.root, ignore_errors=True)
        llc_random.write(tree, self.root, masks)
        return source.gather(source.Snapshot(self.root))[0]

    def held(self, tree, seed):
        found = self.machine(tree, seed % 4 == 0)
        self.assertEqual({domain.online for domain in found.domains}, llc_random.domains(tree), seed)
        for domain in found.domains if tree.sched else ():
            balanced, alone = llc_random.parts(tree, domain.online)
            if domain.parts:
                self.assertEqual({part.cpus for part in domain.parts if not part.alone}, balanced, seed)
                self.assertEqual({cpu for part in domain.parts if part.alone for cpu in part.cpus}, alone, seed)
        said = llc_random.said(layout.problems(found))
        self.assertEqual(said, llc_random.findings(tree), seed)
        return said

    def test_without_a_fault(self):
        for seed in range(SEED, SEED + ROUNDS):
            self.assertEqual(self.held(llc_random.made(random.Random(seed)), seed), set(), seed)

    def test_with_one(self):
        met = set()
        for seed in range(SEED, SEED + ROUNDS):
            tree, name, wanted = llc_random.faulty(random.Random(seed))
            said = self.held(tree, seed)
            self.assertTrue({finding[0] for finding in said} & set(wanted), (seed, name, said))
            met.add(name)
        self.assertEqual(met, {fault.__name__ for fault in llc_random.FAULTS})


# Headers of the kernel that the core includes, and the macros that it takes from them.
HEADERS = ("bitmap", "compiler", "errno", "kernel", "mm", "slab", "sort", "stdarg", "string", "types")
MACROS = """
#define __printf(string, first) __attribute__((format(printf, string, first)))
#define min_t(type, a, b) ({ type _a = (a), _b = (b); _a < _b ? _a : _b; })
#define max_t(type, a, b) ({ type _a = (a), _b = (b); _a > _b ? _a : _b; })
#define for_each_set_bit(bit, bits, nr) \\
    for ((bit) = find_first_bit(bits, nr); (bit) < (nr); (bit) = find_next_bit(bits, nr, (bit) + 1))
"""


@unittest.skipUnless(shutil.which("gcc"), "no gcc here")
class Core(unittest.TestCase):
    """What llc_core.c makes of them: it is pure logic, and runs in user space as it does in the kernel."""

    @classmethod
    def setUpClass(cls):
        temp = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temp.cleanup)
        directory = pathlib.Path(temp.name)
        (directory / "linux").mkdir()
        for name in HEADERS:
            (directory / f"linux/{name}.h").touch()
        (directory / "macros.h").write_text(MACROS)
        tests, llc = paths.TOP / "scripts/tests", paths.TOP / "modules/llc"
        cls.program = directory / "core"
        subprocess.run(["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Werror", "-fsanitize=address,undefined",
                        "-include", directory / "macros.h", "-include", tests / "llc_core_host.h", "-idirafter", directory, f"-I{tests}", f"-I{llc}", "-o", cls.program,
                        tests / "llc_core_host.c", llc / "llc_core.c", llc / "llc_text.c"], check=True)

    def held(self, trees):
        """Each tree's findings."""
        done = subprocess.run([self.program], input="".join(map(llc_random.fed, trees)), stdout=subprocess.PIPE, text=True,
                              check=True)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), len(trees))
        for seed, (tree, line) in enumerate(zip(trees, lines), SEED):
            found = model.machine(line, "the core")
            self.assertEqual({domain.online for domain in found.domains}, llc_random.domains(tree), seed)
            for domain in (domain for domain in found.domains if domain.parts):
                balanced, alone = llc_random.parts(tree, domain.online)
                self.assertEqual({part.cpus for part in domain.parts if not part.alone}, balanced, seed)
                self.assertEqual({cpu for part in domain.parts if part.alone for cpu in part.cpus}, alone, seed)
            # of which CPUs there are none is another field there
            said = llc_random.said(layout.problems(found))
            said = {finding for finding in said if finding[0] != "no cache"}
            truth = {finding for finding in llc_random.findings(tree) if finding[0] != "no cache"}
            self.assertEqual(said, truth, seed)
            self.assertEqual(found.no_domain, tree.online - frozenset().union(*llc_random.domains(tree)), seed)
            yield said

    def test_without_a_fault(self):
        trees = [llc_random.made(random.Random(seed)) for seed in range(SEED, SEED + ROUNDS)]
        self.assertEqual(set().union(*self.held(trees)), set())

    def test_with_one(self):
        given = [llc_random.faulty(random.Random(seed)) for seed in range(SEED, SEED + ROUNDS)]
        for said, (_, name, wanted) in zip(self.held([tree for tree, _, _ in given]), given):
            if wanted != ("no cache",):
                self.assertTrue({finding[0] for finding in said} & set(wanted), (name, said))

    def test_same_words(self):
        """As the script's, which reads them on the same machines as files, up to what only one of them can know."""
        trees = [llc_random.faulty(random.Random(seed))[0] for seed in range(SEED, SEED + 60)]
        done = subprocess.run([self.program], input="".join(map(llc_random.fed, trees)), stdout=subprocess.PIPE, text=True,
                              check=True)
        for tree, line in zip(trees, done.stdout.splitlines(), strict=True):
            with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as temp:
                llc_random.write(tree, pathlib.Path(temp))
                found = source.gather(source.Snapshot(temp))[0]
            told = model.machine(line, "the core")
            self.assertEqual(sorted(told.disagreements), sorted(found.disagreements))
            self.assertEqual([domain.disagreements for domain in told.domains],
                             [domain.disagreements for domain in found.domains])
            self.assertEqual([domain.parts for domain in told.domains], [domain.parts for domain in found.domains])


if __name__ == "__main__":
    unittest.main()
