# SPDX-License-Identifier: GPL-2.0-only
"""Tests of scripts/fleet, and that autopkgtest, LAVA and tmt call it as it is."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

try:
    import yaml
except ImportError:
    yaml = None

TOP = pathlib.Path(__file__).resolve().parents[2]
FLEET = TOP / "scripts/fleet"
TMT = TOP / "packaging/tmt/tests"
ONE, OTHER, *_ = sorted(path.name.removesuffix("_change.sh") for path in (TOP / "selftests").glob("*_change.sh"))

PASS = "#!/bin/sh\necho 1..2; echo ok 1 one; echo 'ok 2 - two # SKIP no disk'; exit 0\n"
FAIL = "#!/bin/sh\necho 1..1; echo not ok 1 one; exit 1\n"
SKIP = "#!/bin/sh\necho '1..0 # SKIP no module'; exit 4\n"


class Stubs(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.top = pathlib.Path(self.dir.name)
        for name in ("bin", "tests"):
            (self.top / name).mkdir()
        # Everybody may test what it does with results; what loads modules is stubs here.
        self.script("bin/id", "#!/bin/sh\necho 0\n")
        self.script("bin/lava-test-case", f'#!/bin/sh\necho "$@" >>{self.top}/lava\n')
        self.script("tests/lib.sh", "")

    def tearDown(self):
        self.dir.cleanup()

    def script(self, name, text):
        (self.top / name).write_text(text)
        (self.top / name).chmod(0o755)

    def run_fleet(self, *argv, **scripts):
        for name, text in scripts.items():
            self.script(f"tests/{name}.sh", text)
        env = {"PATH": f"{self.top}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "UPLIFT_KO_DIR": str(self.top)}
        done = subprocess.run([FLEET, "--tests", self.top / "tests", "--results", self.top / "out", *argv], env=env,
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout


class Fleet(Stubs):
    def test_pass(self):
        code, text = self.run_fleet(abi=PASS, **{ONE: SKIP})
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"(?m)^1\.\.2$")
        self.assertRegex(text, r"(?m)^ok 1 abi$")
        self.assertRegex(text, rf"(?m)^ok 2 {ONE} # SKIP no module$")
        self.assertIn("1 passed, 0 failed, 1 skipped", text)
        self.assertEqual((self.top / "lava").read_text(), "abi.one --result pass\nabi.two --result skip\n")
        self.assertEqual((self.top / "out/abi.ktap").read_text(), "1..2\nok 1 one\nok 2 - two # SKIP no disk\n")

    def test_fail(self):
        code, text = self.run_fleet(abi=PASS, **{OTHER: FAIL})
        self.assertEqual(code, 1)
        self.assertRegex(text, rf"(?m)^not ok 2 {OTHER} # status 1$")
        self.assertIn(f"{OTHER}.one --result fail\n", (self.top / "lava").read_text())

    def test_died(self):
        code, text = self.run_fleet(abi="#!/bin/sh\nkill -9 $$\n")
        self.assertEqual(code, 1)
        self.assertIn("not ok 1 abi # status 137", text)

    def test_nothing_tested(self):
        self.assertEqual(self.run_fleet(abi=SKIP)[0], 4)
        self.assertEqual(self.run_fleet("--skip", "77", abi=SKIP)[0], 77)

    def test_chosen(self):
        code, text = self.run_fleet(OTHER, abi=FAIL, **{OTHER: PASS})
        self.assertEqual(code, 0, text)
        code, text = self.run_fleet("nonsense", abi=PASS)
        self.assertEqual(code, 2)
        self.assertIn("no script 'nonsense'; there are: abi", text)

    def test_usage(self):
        for words in (("--nonsense",), ("--skip", "x"), ("--form", "middling"), ("--ksrc",)):
            code, text = self.run_fleet(*words)
            self.assertEqual(code, 2)
            self.assertIn("usage: fleet", text)

    def test_help(self):
        """It went on with the whole script, and was a misuse."""
        for word in ("-h", "--help"):
            code, text = self.run_fleet(word)
            self.assertEqual(code, 0)
            self.assertRegex(text, r"(?s)\Ausage: fleet.*\nExit: [^\n]*\n\Z")

    def test_misnamed(self):
        """A source that is not there was passed over for another; what is wrong was a skip where no modules are."""
        for words in (("--ksrc", "/nonexistent"), ("--tests", "/nonexistent")):
            code, text = self.run_fleet(*words, abi=PASS)
            self.assertEqual(code, 2, text)
            self.assertIn(f"fleet: {' '.join(words)}: ", text)

    def test_not_root(self):
        self.script("bin/id", "#!/bin/sh\necho 1000\n")
        code, text = self.run_fleet("--skip", "77", abi=PASS)
        self.assertEqual(code, 77)
        self.assertIn("1..0 # SKIP loading modules needs root", text)


class Tmt(Stubs):
    """The line that tmt runs: its own words are pass, fail and error, and a skip has to be reported."""

    def run_tmt(self, uid, words="abi"):
        text = (TMT / "main.fmf").read_text()
        line = " ".join(re.search(r"(?m)^test: >-\n((?:    .*\n)+)", text)[1].split())
        self.script("bin/id", f"#!/bin/sh\necho {uid}\n")
        self.script("bin/tmt-report-result", f'#!/bin/sh\necho "$@" >>{self.top}/tmt\n')
        env = {"PATH": f"{self.top}/bin:/usr/bin:/bin", "TMT_TEST_DATA": str(self.top / "data"), "TMT_TEST_NAME": "/t",
               "SCRIPT": words}
        done = subprocess.run(["/bin/sh", "-c", line], cwd=TMT, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        reported = (self.top / "tmt").read_text() if (self.top / "tmt").exists() else ""
        return done.returncode, reported, done.stdout

    def test_a_skip_is_no_error(self):
        self.assertEqual(self.run_tmt(1000)[:2], (0, "/t SKIP\n"))

    def test_a_failure_is_one(self):
        code, reported, said = self.run_tmt(0, "--no-such-option")
        self.assertEqual((code, reported), (2, ""), said)


class Engines(unittest.TestCase):
    """All callers name scripts and options that exist."""

    def test_all_scripts_everywhere(self):
        # one came last, and neither tmt's plan nor LAVA's definition knew of it
        told = subprocess.run([FLEET, "nonsense"], text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE).stderr
        scripts = set(re.search(r"there are: (.*)", told)[1].split())
        changes = {path.name.removesuffix("_change.sh") for path in (TOP / "selftests").glob("*_change.sh")}
        self.assertEqual(scripts, changes | {"abi", "backports"}, "each selftests/CHANGE.sh needs a CHANGE_change.sh")
        self.assertGreater(len(changes), 3)
        for name in scripts:
            self.assertTrue((TOP / f"selftests/{name}.sh").exists(), name)
        tests = {path.stem: path.read_text() for path in TMT.glob("*.fmf") if path.stem != "main"}
        self.assertEqual({name: re.search(r"(?m)^    SCRIPT: (\w+)$", text)[1] for name, text in tests.items()},
                         {name: name for name in scripts}, "packaging/tmt/tests needs a NAME.fmf for each selftests/NAME.sh")

    options = set(re.findall(r"^#   (--[a-z]+)", FLEET.read_text(), re.MULTILINE))

    def calls(self, text):
        found = re.findall(r"scripts/fleet([^\n]*)", text)
        self.assertTrue(found)
        for call in found:
            self.assertLessEqual(set(re.findall(r"--[a-z]+", call)), self.options)

    def names(self, text):
        return {name for name in text.split() if name}

    def test_autopkgtest(self):
        stanzas = [dict(re.findall(r"^(\S+):((?:[^\n]|\n )*)", re.sub(r"(?m)^#.*\n", "", stanza), re.MULTILINE))
                   for stanza in (TOP / "debian/tests/control").read_text().split("\n\n")]
        for stanza in stanzas:
            for name in self.names(stanza["Tests"]):
                self.assertTrue(os.access(TOP / "debian/tests" / name, os.X_OK), name)
            packages = set(re.findall(r"^Package: (\S+)$", (TOP / "debian/control").read_text(), re.MULTILINE))
            for name in re.findall(r"\buplift[a-z-]*", stanza["Depends"]):
                self.assertIn(name, packages)
            if "skippable" in stanza["Restrictions"]:
                self.assertRegex((TOP / "debian/tests" / stanza["Tests"].strip()).read_text(), r"\b77\b")
        self.calls((TOP / "debian/tests/selftests").read_text())

    @unittest.skipUnless(yaml, "no python3-yaml here")
    def test_lava(self):
        path = TOP / "packaging/lava.yaml"
        data = yaml.safe_load(path.read_text())
        self.assertEqual(data["metadata"]["format"], "Lava-Test Test Definition 1.0")
        for key in ("name", "description", "os", "scope"):
            self.assertTrue(data["metadata"][key])
        for value in data["params"].values():
            self.assertIsInstance(value, str)	# LAVA makes variables of the shell of them
        steps = "\n".join(data["run"]["steps"])
        self.calls(steps)
        self.assertLessEqual(set(re.findall(r"\$\{?([A-Z_]+)", steps)), set(data["params"]))

    @unittest.skipUnless(yaml, "no python3-yaml here")
    def test_tmt(self):
        self.assertEqual((TOP / ".fmf/version").read_text().strip(), "1")
        tests = yaml.safe_load((TMT / "main.fmf").read_text())
        plan = yaml.safe_load((TOP / "packaging/tmt/plan.fmf").read_text())
        self.assertTrue((TMT / tests["test"].split()[0]).resolve().samefile(FLEET))
        self.calls(tests["test"])
        self.assertEqual(plan["discover"]["how"], "fmf")
        self.assertIn(plan["discover"]["filter"].removeprefix("tag:"), tests["tag"])
        for path in TMT.glob("*.fmf"):
            if path.stem != "main":
                self.assertTrue(yaml.safe_load(path.read_text())["summary"], path)


if __name__ == "__main__":
    unittest.main()
