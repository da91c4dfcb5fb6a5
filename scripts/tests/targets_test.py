# SPDX-License-Identifier: GPL-2.0-only
"""The table of targets, and what is made of an index."""

import argparse
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors	# noqa: E402
from upliftlib.lab import evaluate, fetch, matrix, targets, verdicts	# noqa: E402


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
    return fetch.plan(targets.spec(name), suite=suite, site=lambda suite: "http://m.example/debian")


class Table(unittest.TestCase):
    def test_names(self):
        self.assertEqual(list(targets.TABLE), ["6.1", "6.12", "6.18", "7.1", "7.2", "7.3"])
        self.assertTrue(set(targets.PREFERRED) <= set(targets.TABLE))

    def test_bad_name(self):
        with self.assertRaisesRegex(errors.Problem, "no target '6.13'; there are: 6.1 6.12") as caught:
            targets.spec("6.13")
        self.assertEqual(caught.exception.code, errors.USAGE)

    def test_pins(self):
        for spec in targets.TABLE.values():
            self.assertEqual(bool(spec.pool), bool(spec.version))
            for name, pool in spec.pool.items():
                self.assertRegex(pool.sha256, r"^[0-9a-f]{64}$")
                self.assertGreater(pool.size, 1000)
                self.assertEqual(pool.path.rsplit("/", 1)[1].split("_")[:2], [name, spec.version])
            self.assertTrue(not spec.pool or f"linux-source-{spec.name}" in spec.pool)
            self.assertEqual(len({pool.sha256 for pool in spec.pool.values()}), len(spec.pool))

    def test_odd_ones_are_taken_when_named(self):
        for name, spec in targets.ODD.items():
            self.assertNotIn(name, targets.TABLE)
            self.assertIs(targets.spec(name), spec)
            self.assertIn(spec.series, targets.TABLE)
            self.assertEqual(spec.suites, targets.TABLE[spec.series].suites)

    def test_odd_ones_are_not_evaluated(self):
        """`lab matrix 6.12-rt` was a traceback, and so was `lab verdicts 6.12-rt`, after its guest."""
        args = argparse.Namespace(target="6.12-rt", targets=["6.12", "6.12-rt"])
        for command in (matrix._matrix, verdicts._verdicts, evaluate._evaluate):
            with self.assertRaisesRegex(errors.Problem, "nothing is evaluated on 6.12-rt.*lab selftests 6.12-rt") as caught:
                command(args)
            self.assertEqual(caught.exception.code, errors.USAGE)
        self.assertEqual(targets.evaluated("6.12").name, "6.12")

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


class Versions(unittest.TestCase):
    def test_order(self):
        ordered = ["6.1.9-1", "6.1.192-1", "6.1.192-2", "6.12.9-1", "6.12.117-1~deb12u1", "6.12.117-1", "6.12.117-1.1",
                   "7.2.12-1~bpo13+1", "7.2.12-1"]
        self.assertEqual(sorted(ordered, key=targets.version_key), ordered)


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
