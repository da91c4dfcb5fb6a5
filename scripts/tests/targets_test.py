# SPDX-License-Identifier: GPL-2.0-only
"""The table of targets, and what is made of an index."""

import argparse
import dataclasses
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import changes, errors, targets	# noqa: E402
from upliftlib.lab import apt, archive, pool, sourcetree, verdicts	# noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]


def script(name):
    """A script without a suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(TOP / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


UPDATE = script("update-tables")


def package(name, version, size=2_000_000, depends=""):
    return {"Package": name, "Version": version, "Filename": f"pool/{name}.deb", "Size": str(size), "SHA256": "0" * 64,
            "Depends": depends}


def complete(release, version):
    base = release.removesuffix("-amd64")
    return [package(f"linux-image-{release}", version), package(f"linux-headers-{release}", version),
            package(f"linux-headers-{base}-common", version), package(f"linux-kbuild-{base}", version)]


def planned(name, **suites):
    """The Plan from indexes given by suite; a suite not given cannot be read."""
    def suite(wanted):
        try:
            return {"packages": suites[wanted.replace("-", "_")]}
        except KeyError:
            raise errors.Problem(f"cannot read {wanted}") from None
    return archive.plan(targets.spec(name), suite=suite, site=lambda suite: "http://m.example/debian")


class Table(unittest.TestCase):
    def test_broken_is_one_line_in_each_entry_point(self):
        """It was a traceback where the table was read before main(): in scripts/check, scripts/test and others."""
        with tempfile.TemporaryDirectory() as place:
            for name in ("scripts", "modules", "VERSION"):
                (shutil.copytree if (TOP / name).is_dir() else shutil.copy2)(TOP / name, f"{place}/{name}")
            table = pathlib.Path(place, "scripts/targets.toml")
            table.write_text("x = [\n")
            refused = set()
            for path in sorted(pathlib.Path(place, "scripts").iterdir()):
                if not (path.is_file() and b"run_main" in path.read_bytes()):
                    continue
                done = subprocess.run([sys.executable, "-B", path, "--help"], text=True, check=False, capture_output=True)
                if done.returncode:
                    refused.add(path.name)
                    self.assertRegex(done.stderr, rf"\A{path.name}: {re.escape(str(table))}: TOMLDecodeError: [^\n]*\n\Z")
            self.assertLessEqual({"check", "test", "uplift", "update-tables"}, refused)

    def test_oldest_first(self):
        """Limits and tables are made of the first and the last."""
        self.assertEqual(list(targets.TABLE), sorted(targets.TABLE, key=apt.version_key))

    def test_bad_name(self):
        for name in ("nonsense", "6", "6.12-huge", "6.12.3.4", "", "../x", "6.12.118-cloud-rt", "next"):
            with self.assertRaisesRegex(errors.Problem, f"no target '{re.escape(name)}'; there are: 6.1 6.12") as caught:
                targets.spec(name)
            self.assertEqual(caught.exception.code, errors.USAGE)

    def test_pins(self):
        for spec in targets.TABLE.values():
            self.assertEqual(bool(spec.pool), bool(spec.version))
            for name, file in spec.pool.items():
                self.assertRegex(file.sha256, r"^[0-9a-f]{64}$")
                self.assertGreater(file.size, 1000)
                self.assertEqual(file.path.rsplit("/", 1)[1].split("_")[:2], [name, spec.version])
            self.assertTrue(not spec.pool or f"linux-source-{spec.name}" in spec.pool)
            for name, file in spec.pool.items():	# only the signed image is of another source package
                signed = re.match(r"linux-(?:image|binary)-(?!unsigned).*-(amd64|arm64)$", name)
                source = f"linux-signed-{signed[1]}" if signed else "linux"
                self.assertEqual(file.path.rsplit("/", 1)[0], f"pool/main/l/{source}")
            self.assertEqual(len({file.sha256 for file in spec.pool.values()}), len(spec.pool))

    def test_variants_are_taken_when_named(self):
        for name, spec in targets.VARIANTS.items():
            self.assertNotIn(name, targets.TABLE)
            self.assertIs(targets.spec(name), spec)
            self.assertIn(spec.series, targets.TABLE)
            self.assertEqual(spec.suites, targets.TABLE[spec.series].suites)

    def test_verdicts_are_known_of_the_table_only(self):
        """`lab verdicts 6.12-rt` was a traceback after its guest."""
        for name in ("6.12-rt", "7.0.13"):
            with self.assertRaisesRegex(errors.Problem, f"nothing is known of what verdicts are right on {name}") as caught:
                verdicts._verdicts(argparse.Namespace(targets=["6.12", name]))
            self.assertEqual(caught.exception.code, errors.USAGE)

    def test_real_time_is_another_kernel(self):
        """Debian names its packages by the release, but for the common headers and the source."""
        release = "6.12.117+deb13-rt-amd64"
        index = [package(name, "6.12.117-1") for name in (
            f"linux-image-{release}", f"linux-headers-{release}", "linux-headers-6.12.117+deb13-common-rt",
            "linux-kbuild-6.12.117+deb13", "linux-source-6.12")] + complete("6.12.117+deb13-amd64", "6.12.117-1")
        plan = planned("6.12-rt", trixie_security=index)
        self.assertEqual((plan.release, [file.package for file in plan.parts["headers"]]),
                         (release, [f"linux-headers-{release}", "linux-headers-6.12.117+deb13-common-rt",
                                    "linux-kbuild-6.12.117+deb13"]))
        self.assertEqual([file.package for file in plan.parts["slice"]], ["linux-source-6.12"])
        self.assertEqual(planned("6.12", trixie_security=index).release, "6.12.117+deb13-amd64")

    def test_releases_are_of_their_series(self):
        for name, spec in targets.TABLE.items():
            for other in targets.TABLE:
                self.assertEqual(bool(re.match(spec.release.replace(r"\d+", "15"), f"{other}.15+deb13-amd64")
                                      or other == "6.1" and re.match(spec.release, "6.1.0-15-amd64")),
                                 name == other and not (spec.version and ".15" not in spec.version), (name, other))


class Form(unittest.TestCase):
    """What is wrong in the table is said with the file's name, not by a traceback."""

    GOOD = """
[by_version]
suites = ["sid", "forky"]
[use]
run = ["8.1"]
[target."8.1"]
why = "new"
suites = ["sid"]
release = '8\\.1\\.\\d+-amd64'
[variant."8.1-rt"]
of = "8.1"
why = "real time"
release = '8\\.1\\.\\d+-rt-amd64'
"""

    def test_good(self):
        found = targets.read(self.GOOD)
        self.assertEqual((list(found.targets), list(found.variants), found.uses, found.suites),
                         (["8.1"], ["8.1-rt"], {"run": ("8.1",)}, ("sid", "forky")))
        variant = found.variants["8.1-rt"]
        self.assertEqual((variant.suites, variant.series), (("sid",), "8.1"))
        self.assertTrue(found.targets["8.1"].fits("8.1.3-amd64", "8.1.3-1"))
        self.assertFalse(found.targets["8.1"].fits("8.1.3-rt-amd64", "8.1.3-1"))

    def test_bad(self):
        for wrong in (self.GOOD + "x", self.GOOD.replace("why = \"new\"", ""), self.GOOD + "colour = 1\n",
                      self.GOOD.replace('of = "8.1"', 'of = "8.2"'), self.GOOD.replace('["8.1"]', '["8.3"]'),
                      self.GOOD.replace('["8.1"]', "[]"), "", "[use]\n[target]\nx = 1\n", self.GOOD.replace("[by_version]", "[other]")):
            with self.subTest(wrong), self.assertRaisesRegex(errors.Problem, r"targets\.toml: "):
                targets.read(wrong)


class Derived(unittest.TestCase):
    """What is written out elsewhere of the table."""

    def test_up_to_date(self):
        known = changes.load()
        of = {name: change.expect for name, change in known.items()}
        rules = UPDATE.rules(list(targets.TABLE), of) + UPDATE.of_changes(list(known.values()))
        self.assertEqual({str(path) for path in UPDATE.stale(TOP, rules)}, set(), "run scripts/update-tables")

    def test_a_new_target_is_found_everywhere(self):
        """As if 9.9 were added to the table: each file that names the targets is one that update-tables writes."""
        last = list(targets.TABLE)[-1]
        self.enterContext(mock.patch.dict(targets.TABLE, {"9.9": dataclasses.replace(targets.TABLE[last], name="9.9")}))
        of = {name: change.expect for name, change in changes.load().items()}
        rules = UPDATE.rules(list(targets.TABLE), of)
        found = {path.relative_to(TOP): text for path, text in UPDATE.stale(TOP, rules).items()}
        self.assertEqual({str(path) for path in found},
                         {"README.md", "docs/tests.md", "dkms.conf", "packaging/dkms-bodies.conf", "debian/control"})
        self.assertIn(f"| {last} | 9.9 |", found[pathlib.Path("README.md")])
        self.assertIn(f" {last} and 9.9;", found[pathlib.Path("README.md")])
        self.assertIn("| 9.9 | all | |", found[pathlib.Path("docs/tests.md")])
        for name, expect in of.items():
            self.assertRegex(found[pathlib.Path("README.md")], rf"(?m)^\| {name} \| .* \| {expect[last]} \| {expect[last]} \|$")
        self.assertIn('KERNEL_MAX="9.9.9999"', found[pathlib.Path("dkms.conf")])
        for path, text in found.items():	# done once, there is nothing left to do
            self.assertEqual(UPDATE.updated(text, str(path), rules), text)

    def test_a_new_change(self):
        """It gets a row in README, which a person may reword, and its place in every list; one that is gone loses them."""
        known = list(changes.load().values())
        about = {"title": "trout in ponds", "upstream": {"linux": "9.9"}}
        gone, known[1] = known[1], changes.Change("trout", TOP / "modules/trout", about)
        rules = UPDATE.of_changes(known)
        found = {str(path.relative_to(TOP)): text for path, text in UPDATE.stale(TOP, rules).items()}
        self.assertEqual(set(found), {"README.md", "packaging/uplift.8", "dkms.conf", "packaging/dkms-bodies.conf"})
        for name, place in (("README.md", f"| `{gone.module}.ko` |"), ("packaging/uplift.8", f".Cm {gone.name}\n.Pq"),
                            ("packaging/dkms-bodies.conf", f'"{gone.module}"')):
            self.assertNotIn(place, found[name], name)
        self.assertIn('BUILT_MODULE_NAME[2]="uplift_trout"\nBUILT_MODULE_LOCATION[2]="modules/trout"\n', found["dkms.conf"])
        readme, manual = found["README.md"], found["packaging/uplift.8"]
        self.assertIn("| trout | trout in ponds | 9.9 | `uplift_trout.ko` |\n", readme)
        self.assertIn(f"\n.Cm {known[0].name}\n", manual)
        self.assertIn("\n.Cm trout\n.Pq trout in ponds ,\n", manual)
        self.assertIn(f" uplift_trout uplift_{known[0].name} uplift_livepatch uplift`", readme)
        self.assertRegex(readme, rf"module_blacklist=uplift,uplift_{known[0].name},uplift_trout,.*,uplift_livepatch\b")
        worded = readme.replace("| trout in ponds |", "| `trout` in *ponds* |")
        self.assertEqual(UPDATE.updated(worded, "README.md", rules), worded)
        self.assertEqual(UPDATE.updated(manual, "packaging/uplift.8", rules), manual)

    def test_a_file_that_lost_its_place_is_told(self):
        with self.assertRaisesRegex(errors.Problem, "dkms.conf: nothing there is like"):
            UPDATE.updated("", "dkms.conf", UPDATE.rules(list(targets.TABLE), {}))

    def test_make_help(self):
        """It reads the table with sed, as a machine that has make only may have no Python."""
        said = subprocess.run(["make", "-C", TOP, "--no-print-directory", "help"], text=True, check=True,
                              stdout=subprocess.PIPE).stdout
        self.assertIn(f"Targets: {' '.join(targets.TABLE)}.", said)
        self.assertIn(f"another than the default, {targets.use('run')[0]}", said)

    def test_make_takes_one(self):
        """`make run TARGETS=6.12` evaluated the default, in silence."""
        for goal in ("run", "kunit"):
            result = subprocess.run(["make", "-C", TOP, goal, "TARGETS=6.12 7.1"], text=True, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
            self.assertEqual(result.returncode, errors.USAGE)
            self.assertIn(f"make {goal} takes one kernel: make {goal} TARGET=6.12\n", result.stderr)
            self.assertEqual(result.stdout.strip().count("\n"), 1)	# make's two lines about the directory

    def test_nothing_else_names_them(self):
        """The commands' help and defaults come of the table: no code has a target's name in quotes."""
        names = "|".join(map(re.escape, [*targets.TABLE, *targets.VARIANTS]))
        files = [TOP / "Makefile", *(TOP / "scripts").glob("upliftlib/*/*.py"),
                 *(path for path in (TOP / "scripts").iterdir() if path.is_file() and path.suffix != ".toml")]
        found = [f"{path.relative_to(TOP)}: {line.strip()}" for path in files
                 for line in path.read_text(errors="replace").splitlines() if re.search(rf"""["']({names})["']""", line)]
        self.assertEqual(found, [])


class NewTarget(unittest.TestCase):
    """Adding a target is one place: an entry in a copy of the tree's table, and all that reads the table knows it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tree = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "tree"
        for name in sourcetree.files():
            (cls.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, cls.tree / name)
        table = cls.tree / "scripts/targets.toml"
        entry = '[target."9.8"]\nwhy = "made up"\nsuites = ["sid"]\nrelease = \'9\\.8\\.\\d+\\+deb13-amd64\'\n\n'
        before, variant, after = table.read_text().partition("\n[variant.")
        table.write_text(before + "\n" + entry + variant + after)
        cls.run_in("scripts/update-tables")

    @classmethod
    def run_in(cls, *argv, ok=True):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UPLIFT_")}
        done = subprocess.run(argv, cwd=cls.tree, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        if ok and done.returncode:
            raise AssertionError(f"{argv}: status {done.returncode}\n{done.stdout[-4000:]}")
        return done.stdout

    def test_the_tables(self):
        self.assertEqual(self.run_in("scripts/update-tables", "--check"), "")
        self.assertIn("9.8", self.run_in("scripts/uplift", "lab", "list"))
        self.assertRegex(self.run_in("make", "--no-print-directory", "help"), r"Targets: [\d. ]* 9\.8\.")

    def test_the_unit_tests_of_what_reads_it(self):
        """The table's own, verdicts, what runs where, and what holds documents against it."""
        self.run_in(sys.executable, "-B", "-m", "unittest", "-k", "Table", "-k", "Derived", "-k", "Verdicts", "-k", "Plan", "-k",
                    "Document", *(f"scripts/tests/{name}_test.py" for name in ("targets", "verdicts", "testplan")))

    def test_the_shape(self):
        self.run_in(sys.executable, "-B", "-c", "import sys; sys.path.insert(0, 'scripts'); from upliftlib.lab import shape; "
                    "sys.exit('\\n'.join(shape.findings()) or None)")

    def test_what_runs_there(self):
        said = self.run_in("scripts/torture", "9.8", "--list")
        self.assertIn("9.8-stock-storm", said)


class ByVersion(unittest.TestCase):
    """Any other kernel of Debian's is named by its version."""

    OLD = "7.0.13+deb13-amd64", "7.0.13-1~bpo13+1"

    def index(self):
        """An index as trixie-backports has it: all of one kernel, and of older ones the signed images only."""
        release, version = self.OLD
        old = [package(f"linux-binary-{release}", version), package(f"linux-image-{release}", version, size=1900),
               package("linux-binary-7.0.13+deb13-rt-amd64", version), package("linux-binary-7.0.12+deb13-amd64", "7.0.12-2~bpo13+1"),
               package("linux-image-6.17.13+deb13-cloud-amd64", "6.17.13-1~bpo13+1")]
        for entry in old:
            entry["Filename"] = f"pool/main/l/linux-signed-amd64/{entry['Package']}_{entry['Version']}_amd64.deb"
        return complete("7.2.12+deb13-amd64", "7.2.12-1~bpo13+1") + old

    def plan(self, name, **more):
        others = {suite.replace("-", "_"): [] for suite in targets.spec(name).suites}
        return planned(name, **(others | {"trixie_backports": self.index()} | more))

    def test_names(self):
        for name, release, version, fits in (
                ("7.0.13", *self.OLD, True), ("7.0", *self.OLD, True), ("7.0.1", *self.OLD, False),
                ("7.0.13-rt", *self.OLD, False), ("7.0.13+deb13-amd64", *self.OLD, True),
                ("6.12.118-cloud", "6.12.118+deb13-cloud-amd64", "6.12.118-1", True),
                ("6.12.118", "6.12.118+deb13-cloud-amd64", "6.12.118-1", False),
                ("6.1.192", "6.1.0-57-amd64", "6.1.192-3", True), ("6.1.0-57-amd64", "6.1.0-57-amd64", "6.1.192-3", True),
                ("6.1.0-56-amd64", "6.1.0-57-amd64", "6.1.192-3", False),
                ("7.3-rc7", "7.3-amd64", "7.3~rc7-1~exp1", True), ("7.3~rc7-rt", "7.3-rt-amd64", "7.3~rc7-1~exp1", True),
                ("9.9", "9.9-amd64", "9.9~rc1-1~exp1", False), ("6.12.115", "6.12.115+deb13.1-amd64", "6.12.115-2", True)):
            with self.subTest(name, release=release):
                spec = targets.spec(name)
                self.assertEqual((spec.fits(release, version), spec.by_version), (fits, True))
                self.assertNotIn("~", spec.name)	# a directory's name, which make has to take
        self.assertEqual(targets.spec("6.12.118-cloud").series, "6.12")

    def test_the_table_wins(self):
        self.assertFalse(any(targets.spec(name).by_version for name in (*targets.TABLE, *targets.VARIANTS)))

    def test_what_no_index_lists_is_in_the_pool(self):
        """As tried on the archive in November 2026, where every one of these names was there."""
        release, version = self.OLD
        found = self.plan("7.0.13")
        self.assertEqual((found.release, found.version), self.OLD)
        image, base = found.parts["image"]
        self.assertEqual((image.origin, image.vouched), ("signed index of trixie-backports", True))
        unlisted = [base, *found.parts["modules"], *found.parts["headers"], *found.parts["source"]]
        self.assertEqual([file.uri for file in unlisted], [f"http://m.example/debian/pool/main/l/linux/{name}" for name in (
            f"linux-base-{release}_{version}_amd64.deb", f"linux-modules-{release}_{version}_amd64.deb",
            f"linux-headers-{release}_{version}_amd64.deb", f"linux-headers-7.0.13+deb13-common_{version}_all.deb",
            f"linux-kbuild-7.0.13+deb13_{version}_amd64.deb", f"linux-source-7.0_{version}_all.deb")])
        self.assertEqual({(file.vouched, file.origin) for file in unlisted}, {(False, pool.ORIGIN)})

    def test_a_flavour(self):
        found = self.plan("6.17.13-cloud")
        self.assertEqual([file.package for file in found.parts["image"] + found.parts["modules"]],
                         ["linux-image-6.17.13+deb13-cloud-amd64"])
        self.assertEqual([file.package for file in found.parts["headers"]],
                         ["linux-headers-6.17.13+deb13-cloud-amd64", "linux-headers-6.17.13+deb13-common",
                          "linux-kbuild-6.17.13+deb13"])

    def test_real_time(self):
        """Up to 6.12 it has common headers of its own."""
        self.assertEqual(self.plan("7.0.13-rt").parts["headers"][1].package, "linux-headers-7.0.13+deb13-common")
        self.assertEqual(pool.Names("6.12.118+deb13-rt-amd64").common, "linux-headers-6.12.118+deb13-common-rt")
        self.assertEqual(pool.Names("6.1.0-57-rt-amd64").kbuild, "linux-kbuild-6.1")

    def test_an_index_is_worth_more_than_the_pool(self):
        """What is signed in a later suite is taken before what an earlier one knows the image of only."""
        found = self.plan("7.0.13", sid=complete("7.0.13+deb14-amd64", "7.0.13-1"))
        self.assertEqual(found.release, "7.0.13+deb14-amd64")
        self.assertTrue(all(file.vouched for part in found.parts.values() for file in part))

    def test_not_to_be_had(self):
        for name, wanted in (("7.0.14", "7.0.14 is in none of the suites .*; the versions nearest to it: 7.0.12 7.0.13 7.2.12$"),
                             ("6.17.13-rt", "nearest to it: 7.0.13$"), ("5.10", "nearest to it: 7.0.12 7.0.13 7.2.12$")):
            with self.subTest(name), self.assertRaisesRegex(errors.Skip, wanted):
                self.plan(name)
        with self.assertRaisesRegex(errors.Skip, "6.17.13 is in none .*; cannot read trixie-security;"):
            planned("6.17.13", trixie_backports=[])

    def test_no_pool_for_the_table(self):
        """A target of the table is what the index, or a pin, vouches for."""
        with self.assertRaisesRegex(errors.Skip, "not its linux-headers"):
            planned("7.2", trixie_backports=[package("linux-binary-7.2.12+deb13-amd64", "7.2.12-1~bpo13+1"),
                                             package("linux-base-7.2.12+deb13-amd64", "7.2.12-1~bpo13+1"),
                                             package("linux-modules-7.2.12+deb13-amd64", "7.2.12-1~bpo13+1")])


class Versions(unittest.TestCase):
    def test_order(self):
        ordered = ["6.1.9-1", "6.1.192-1", "6.1.192-2", "6.12.9-1", "6.12.117-1~deb12u1", "6.12.117-1", "6.12.117-1.1",
                   "7.2.12-1~bpo13+1", "7.2.12-1"]
        self.assertEqual(sorted(ordered, key=apt.version_key), ordered)


class Plan(unittest.TestCase):
    def test_newest_wins(self):
        plan = planned("6.12", trixie_security=complete("6.12.99+deb13-amd64", "6.12.99-1")
                       + complete("6.12.117+deb13-amd64", "6.12.117-1") + complete("6.12.118+deb12-amd64", "6.12.118-1"))
        self.assertEqual((plan.release, plan.version), ("6.12.117+deb13-amd64", "6.12.117-1"))
        self.assertEqual([file.package for file in plan.parts["headers"]],
                         ["linux-headers-6.12.117+deb13-amd64", "linux-headers-6.12.117+deb13-common",
                          "linux-kbuild-6.12.117+deb13"])
        self.assertEqual(plan.parts["modules"], [])

    def test_second_suite_when_security_is_unreachable(self):
        self.assertEqual(planned("6.12", trixie=complete("6.12.9+deb13-amd64", "6.12.9-1")).version, "6.12.9-1")

    def test_newest_that_is_complete(self):
        index = complete("6.12.9+deb13-amd64", "6.12.9-1") + [package("linux-image-6.12.10+deb13-amd64", "6.12.10-1")]
        self.assertEqual(planned("6.12", trixie_security=index).version, "6.12.9-1")

    def test_incomplete_names_what_lacks(self):
        index = [package("linux-image-6.12.10+deb13-amd64", "6.12.10-1")]
        with self.assertRaisesRegex(errors.Skip, "not its linux-headers-6.12.10.deb13-amd64"):
            planned("6.12", trixie_security=index, trixie=[])

    def test_split_kernel(self):
        release, version = "7.3.4+deb13-amd64", "7.3.4-1~bpo13+1"
        index = complete(release, version)[1:] + [
            package(f"linux-image-{release}", version, size=1896), package(f"linux-binary-unsigned-{release}", version),
            package(f"linux-base-{release}", version), package(f"linux-modules-{release}", version)]
        plan = planned("7.3", trixie_backports=index)
        self.assertEqual([file.package for file in plan.parts["image"]],
                         [f"linux-binary-unsigned-{release}", f"linux-base-{release}"])
        self.assertEqual([file.package for file in plan.parts["modules"]], [f"linux-modules-{release}"])
        plan = planned("7.3", trixie_backports=index + [package(f"linux-binary-{release}", version)])
        self.assertEqual(plan.parts["image"][0].package, f"linux-binary-{release}")

    def test_kbuild_by_dependency(self):
        release, version = "6.1.0-56-amd64", "6.1.192-2"
        index = [package(f"linux-image-{release}", version),
                 package(f"linux-headers-{release}", version, depends="linux-kbuild-6.1 (>= 6.1.192-2), x"),
                 package("linux-headers-6.1.0-56-common", version),
                 package("linux-kbuild-6.1", "6.1.192-3"), package("linux-kbuild-6.1", "6.1.9-1")]
        plan = planned("6.1", bookworm_security=index)
        self.assertEqual((plan.parts["headers"][2].package, plan.parts["headers"][2].version),
                         ("linux-kbuild-6.1", "6.1.192-3"))

    def test_pinned_takes_the_index_where_it_can(self):
        spec = targets.spec("6.18")
        image = "linux-image-6.18.15+deb13-amd64"
        plan = planned("6.18", trixie_backports=[package(image, spec.version),
                                                 package("linux-image-6.18.16+deb13-amd64", "6.18.16-1~bpo13+1")])
        self.assertEqual(plan.parts["image"][0].origin, "signed index of trixie-backports")
        self.assertTrue(all(file.origin.startswith("pinned") for file in plan.parts["headers"]))

    def test_pins_alone(self):
        plan = planned("7.1", trixie_backports=[])
        self.assertEqual(len(plan.parts["image"]), 2)
        self.assertTrue(all(file.origin.startswith("pinned") for part in plan.parts.values() for file in part))

    def test_nothing(self):
        with self.assertRaisesRegex(errors.Skip, "target 7.2 cannot be had: trixie-backports has no such kernel"):
            planned("7.2", trixie_backports=[])
        with self.assertRaisesRegex(errors.Skip, "cannot read trixie-backports"):
            planned("7.2")


if __name__ == "__main__":
    unittest.main()
