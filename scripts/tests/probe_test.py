# SPDX-License-Identifier: GPL-2.0-only
"""probe and doctor without a kernel to try them on: what is found, what is concluded, what is said."""

import errno
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import changes, console, errors, paths, prompt	# noqa: E402
from upliftlib.kernel import taint	# noqa: E402
from upliftlib.report import reading, record	# noqa: E402
from upliftlib.host import bench, doctor, loader, machine, probe, programs, selftest, testfiles	# noqa: E402
from tests import pond	# noqa: E402

FULL = {"CONFIG_MODULES": "y", "CONFIG_KPROBES": "y", "CONFIG_KALLSYMS": "y", "CONFIG_DYNAMIC_FTRACE": "y",
        "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS": "y", "CONFIG_TROUT": "y", "CONFIG_DEBUG_FS": "y"}


class Types:
    """A kernel's types, as a set of words."""
    why = "no types"

    def __init__(self, *words):
        self.words = words

    def has(self, what):
        return None if self.words == (None,) else what in self.words


class Changes(unittest.TestCase):
    def setUp(self):
        self.found = changes.load()

    def test_every_module_directory_has_its_words(self):
        there = {path.parent.name for pattern in ("*/Kbuild", "backports/*/manifest.toml")
                 for path in (paths.TOP / "modules").glob(pattern)} - {"core", "backports"}
        self.assertEqual(set(self.found), there)

    def test_words_are_whole(self):
        known = {"title", "order", "requires", "excludes", "static", "risk", "by_hand", "upstream", "bench", "workloads",
                 "elsewhere", "own", "perf_bench", "documented", "expect", "tests", "measure", "shows", "cachelines", "guest", "torture", "checked",
                 "inspector", "kunit", "stress", "explains"}
        of_upstream = {"linux", "title", "author", "commit", "link", "series", "looked_up", "differs", "instead", "claims", "abi", "with"}
        for name, change in self.found.items():
            self.assertLessEqual(set(change.about), known, name)
            self.assertTrue(change.title and change.about["by_hand"] and change.about["risk"], name)
            self.assertTrue(change.upstream()["linux"], name)
            self.assertLessEqual(set(change.upstream()), of_upstream, name)
            for words in change.about.get("explains", {}).values():
                self.assertRegex(words, r"^[^.]{5,70}$")	# stands in brackets behind the operation
            for rule in change.about.get("static", ()):
                self.assertEqual(len({"has", "lacks"} & set(rule)), 1, rule)
                self.assertIn(rule["verdict"], changes.KINDS)
                self.assertTrue(rule["says"])

    def test_benches_can_be_run(self):
        for name, change in self.found.items():
            how = change.about.get("bench")
            if how is None:
                continue
            self.assertTrue((programs.BENCH / f"{how['program']}.c").exists(),
                            f"[bench] of {name}/about.toml names a program that selftests/bench does not have")
            self.assertLessEqual(set(how), {"program", "arguments", "operation", "arms", "calls", "files", "operations"})
            if isinstance(how.get("files"), dict):
                self.assertEqual(set(how["files"]), {"off", "off_again", "null", "new"})
                self.assertEqual(how["files"]["off"], how["files"]["off_again"])
            else:
                self.assertIn("{", how["operation"])

    def test_chosen(self):
        names = [change.name for change in changes.chosen([], pond.TOP)]
        self.assertEqual(names, ["carp", "pike", "trout", "heron", "perch"])
        # in their order, whatever was typed
        self.assertEqual([change.name for change in changes.chosen(["trout", "carp"], pond.TOP)], ["carp", "trout"])
        with self.assertRaises(errors.Problem) as caught:
            changes.chosen(["nothing"])
        self.assertEqual(caught.exception.code, errors.USAGE)

    def test_lacks(self):
        trout, carp = pond.CHANGES["trout"], pond.CHANGES["carp"]
        self.assertEqual(trout.lacks(FULL), [])
        self.assertEqual(trout.lacks({}), [])	# not known is not lacking
        self.assertEqual(trout.lacks(FULL | {"CONFIG_KPROBES": "n"}), ["CONFIG_KPROBES is not set"])
        self.assertEqual(carp.lacks(FULL | {"CONFIG_PREEMPT_RT": "y"}), ["CONFIG_PREEMPT_RT is set"])

    def test_a_fifth_change_is_a_directory(self):
        with tempfile.TemporaryDirectory() as top:
            place = pathlib.Path(top) / "pond"
            place.mkdir()
            (place / "about.toml").write_text('title = "a pond"\n')
            (place / "pond_new.cocci").write_text("@@@@\n")
            found = changes.load(pathlib.Path(top))["pond"]
            self.assertEqual((found.module, list(found.patches())), ("uplift_pond", ["modules/pond/pond_new.cocci"]))
            (place / "about.toml").write_text("title =")
            with self.assertRaises(errors.Problem):
                changes.load(pathlib.Path(top))


class Static(unittest.TestCase):
    def verdict(self, name, *words, config=None):
        with mock.patch.object(machine, "config", return_value=(FULL if config is None else config, "x")):
            return probe.static(pond.CHANGES[name], Types(*words), "because")

    def test_what_types_tell(self):
        show = "function carp_show"
        for name, words, kind in (
                ("carp", (show,), "applicable"), ("carp", (show, "struct carp_text"), "native"), ("carp", (), "unsupported"),
                ("trout", ("function trout_wait",), "unknown"), ("trout", (), "unsupported"), ("perch", (), "unknown")):
            self.assertEqual(self.verdict(name, *words)["kind"], kind, (name, words))

    def test_never_without_a_reason(self):
        found = self.verdict("trout", None)
        self.assertEqual((found["kind"], found["from"]), ("unknown", "btf"))
        self.assertEqual(found["evidence"], ["not asked: because", "types: no types"])

    def test_configuration(self):
        found = self.verdict("carp", "function carp_show", config=FULL | {"CONFIG_PREEMPT_RT": "y"})
        self.assertEqual((found["kind"], found["evidence"][-1]), ("unsupported", "configuration: CONFIG_PREEMPT_RT is set"))


class Refusals(unittest.TestCase):
    def test_the_module_says_why(self):
        found = loader.of_refusal(loader.Refused(errno.ENODEV, ["unaffected: this kernel's iterators never had the fault"]))
        self.assertEqual((found["kind"], found["evidence"]), ("unaffected", ["this kernel's iterators never had the fault"]))

    def test_errno_alone(self):
        for number, kind in ((errno.EEXIST, "native"), (errno.ENODEV, "unaffected"), (errno.EOPNOTSUPP, "unsupported"),
                             (errno.ENOEXEC, "unsupported")):
            found = loader.of_refusal(loader.Refused(number, []))
            self.assertEqual((found["kind"], found["errno"]), (kind, errno.errorcode[number]))
            self.assertTrue(found["evidence"][0])

    def test_7_x_keeps_eexist_for_itself(self):
        found = loader.of_refusal(loader.Refused(errno.EBUSY, ["native: this kernel caches the text of the list already"]))
        self.assertEqual(found["kind"], "native")

    def test_no_verdict_of_ours(self):
        with mock.patch.object(loader, "ensure", side_effect=loader.Refused(errno.EKEYREJECTED, [])), \
                mock.patch.object(loader, "debugfs"), mock.patch.object(machine, "config", return_value=(FULL, "x")):
            found = probe.ask_module(pond.CHANGES["trout"], Types("function trout_wait"))
        self.assertEqual((found["kind"], found["from"]), ("unknown", "btf"))
        self.assertIn("EKEYREJECTED", found["evidence"][0])


def module(release, name="uplift"):
    """As much of a module as is looked at."""
    return (b"\x7fELF" + struct.pack("<60x") + b"\0vermagic=" + release.encode() + b" SMP preempt mod_unload \0depends="
            b"\0name=" + name.encode() + b"\0")


class Find(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.place = pathlib.Path(self.dir.name)
        self.patch = mock.patch.dict(os.environ, {"UPLIFT_KO_DIR": self.dir.name})
        self.patch.start()

    def tearDown(self):
        self.patch.stop()
        self.dir.cleanup()

    def test_this_kernels_only(self):
        path = self.place / "uplift_pond.ko"
        self.assertEqual(loader.find("uplift_pond", "6.18.1"), (None, []))
        path.write_bytes(module("6.18.1"))
        self.assertEqual(loader.find("uplift_pond", "6.18.1"), (path, []))
        found, others = loader.find("uplift_pond", "6.18.15")
        self.assertIsNone(found)
        self.assertIn("for 6.18.1)", others[0])

    def test_packed(self):
        import lzma
        path = self.place / "uplift_pond.ko.xz"
        path.write_bytes(lzma.compress(module("6.18.1")))
        (self.place / "uplift_pond.ko.bak").write_bytes(b"")
        self.assertEqual(loader.find("uplift_pond", "6.18.1")[0], path)

    def test_what_to_type(self):
        known = pond.CHANGES
        gone = FileNotFoundError(errno.ENOENT, "no module")
        with mock.patch.object(machine, "takes_modules", lambda: False):	# it said make modules
            self.assertIn("takes no modules", probe.what_to_type(known["carp"], gone))
            self.assertEqual({doctor.check_loading()[2], doctor.check_headers()[2] or "another kernel"}, {"another kernel"})
        self.enterContext(mock.patch.object(machine, "takes_modules", lambda: True))
        self.assertTrue(probe.what_to_type(known["carp"], gone).startswith("make modules"))
        self.assertNotIn("KSRC", probe.what_to_type(known["carp"], gone))
        self.assertIn("KSRC", probe.what_to_type(known["trout"], gone))


class Doctor(unittest.TestCase):
    def test_rows(self):
        found = doctor.rows()
        self.assertEqual(len(found), len(doctor.CHECKS))
        for row in found:
            self.assertIn(row["state"], (doctor.OK, doctor.NOTE, doctor.MISSING))
            self.assertTrue(row["says"], row)
            # whoever is told that something is missing is told what to type
            self.assertEqual(bool(row["type"]), row["state"] != doctor.OK, row)

    def reading(self, **texts):
        return mock.patch.object(loader, "read", lambda path, default="": texts.get(pathlib.Path(path).name, default))

    def test_a_guest_of_nobody_known(self):
        def reading(**texts):
            return mock.patch.object(machine, "read", lambda path, default="": texts.get(pathlib.Path(path).name, default))

        with reading(cpuinfo="flags\t\t: fpu hypervisor"):
            self.assertRegex(doctor.check_noise()[1], "; guest: a virtual machine$")
        with reading(cpuinfo="flags\t\t: fpu hypervisor", sys_vendor="QEMU", product_name="Standard PC"):
            self.assertRegex(doctor.check_noise()[1], "; guest: QEMU Standard PC$")
            self.assertTrue(machine.emulated())
        with reading(cpuinfo="flags\t\t: fpu"):
            self.assertNotIn("guest", doctor.check_noise()[1])

    def test_found_missing(self):
        for texts, check in (({"ftrace_enabled": "0"}, doctor.check_ftrace), ({}, doctor.check_ftrace),
                             ({"modules_disabled": "1"}, doctor.check_loading),
                             ({"cmdline": "quiet nomodule"}, doctor.check_loading),
                             ({"sig_enforce": "Y"}, doctor.check_signatures),
                             ({"mounts": "", "filesystems": "nodev\tproc"}, doctor.check_debugfs)):
            with self.reading(**texts):
                self.assertEqual(check()[0], doctor.MISSING, check)
        with self.reading(mounts="", filesystems="nodev\tdebugfs"):
            self.assertEqual(doctor.check_debugfs()[0], doctor.NOTE)
        with self.reading(realtime="1"):
            self.assertEqual(doctor.check_rt()[0], doctor.NOTE)
        with mock.patch.object(machine, "lockdown", return_value="integrity"):
            self.assertEqual(doctor.check_lockdown()[0], doctor.MISSING)
        with mock.patch.object(machine, "tainted", return_value=1 << 9):
            self.assertEqual(doctor.check_taint()[0], doctor.NOTE)
        with mock.patch.object(machine, "config", return_value=(FULL | {"CONFIG_KPROBES": "n"}, "x")):
            self.assertEqual(doctor.check_config()[0], doctor.MISSING)
        whole = FULL | {option: "y" for change in changes.load().values() for option in change.about.get("requires", ())}
        with mock.patch.object(machine, "config", return_value=(whole, "x")):
            self.assertEqual((doctor.check_config()[0], doctor.check_changes()[0]), (doctor.OK, doctor.OK))

    def test_what_only_building_takes(self):
        self.enterContext(mock.patch.object(machine, "takes_modules", return_value=True))
        with mock.patch.object(loader, "find", return_value=(pathlib.Path("/x/uplift.ko"), [])), \
                mock.patch("shutil.which", return_value=None):
            for check in (doctor.check_compiler, doctor.check_coccinelle):
                self.assertEqual(check()[0], doctor.OK)
        with mock.patch.object(loader, "find", return_value=(None, [])), mock.patch("shutil.which", return_value=None):
            self.assertEqual(doctor.check_coccinelle()[0], doctor.MISSING)


class Machine(unittest.TestCase):
    def test_arguments(self):
        line = "BOOT_IMAGE=/x root=UUID=5 quiet mitigations=auto,nosmt isolcpus=3 console=ttyS0 nokaslr ip=10.0.0.1"
        self.assertEqual(machine.arguments(line), "mitigations=auto,nosmt isolcpus=3 nokaslr")

    def test_taint(self):
        self.assertEqual(taint.words(12288), "12288 (out of tree, unsigned)")
        self.assertEqual(taint.words(0), "0 (none)")
        self.assertEqual(taint.words(None), "not known")

    def test_describe_is_json(self):
        self.assertEqual(json.loads(json.dumps(machine.describe(0)))["pinned"], 0)

    def test_cpu(self):
        with mock.patch("os.sched_getaffinity", return_value={0, 2, 5}):
            self.assertEqual((bench.pick_cpu(), bench.pick_cpu(2)), (5, 2))
            with self.assertRaises(errors.Problem):
                bench.pick_cpu(3)


class Bench(unittest.TestCase):
    """The rounds, with a program that says what it was asked."""

    def setUp(self):
        self.asked = []
        self.options = types.SimpleNamespace(rounds=4, batches=2, batch_size=3, counting=False, cpu=None, placebo=False,
                                             warnings=set())
        for name, value in (("find", lambda name: name), ("samples", self.samples)):
            patch = mock.patch.object(programs, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def samples(self, argv, cpu=None, warnings=None):
        argv = [str(word) for word in argv]
        self.asked.append(argv)
        if "--file" in argv:
            file = argv[argv.index("--file") + 1]
            return [{"median": len(file), "best": len(file) - 1}]
        arms = argv[argv.index("--arms") + 1].split()
        return [{"op": "wait", "ready": ready, "arm": arm, "median": 10.0 + index, "best": 1.0 * len(arm)}
                for ready in (1, 16) for index, arm in enumerate(arms) if arm != "batch"]

    def test_by_arm(self):
        change = pond.CHANGES["trout"]
        found = bench._by_arm(change, change.about["bench"], self.options, [])
        self.assertEqual(set(found), {"wait 1", "wait 16"})
        # batch is not offered here
        self.assertEqual({arm: len(values) for arm, values in found["wait 1"].items()},
                         {"off": 4, "off_again": 4, "null": 4, "new": 4})
        self.assertEqual({len(argv[argv.index("--arms") + 1].split()) for argv in self.asked}, {5})
        self.assertGreater(len({argv[argv.index("--arms") + 1] for argv in self.asked}), 1)

    def test_counting_takes_the_least_in_one_order(self):
        self.options.counting = True
        change = pond.CHANGES["trout"]
        found = bench._by_arm(change, change.about["bench"], self.options, [])
        self.assertEqual(found["wait 1"]["off_again"], [9.0] * 4)
        self.assertEqual({argv[argv.index("--arms") + 1] for argv in self.asked}, {"off off_again null new batch"})

    def test_placebo(self):
        self.options.placebo = True
        change = pond.CHANGES["trout"]
        found = bench._by_arm(change, change.about["bench"], self.options, [])
        self.assertEqual({arm: len(values) for arm, values in found["wait 16"].items()},
                         {"off": 4, "off_again": 4, "null": 4, "new": 4})
        for argv in self.asked:
            self.assertEqual(sorted(argv[argv.index("--arms") + 1].split()), ["null", "null", "off", "off_again"])

    def test_by_file(self):
        change = pond.CHANGES["carp"]
        found = bench._by_file(change, change.about["bench"], self.options)
        self.assertEqual(found["pread"]["new"], [len("/proc/carp_cached")] * 4)
        self.options.placebo = True
        found = bench._by_file(change, change.about["bench"], self.options)
        self.assertEqual(found["pread"]["new"], found["pread"]["null"])

    def test_silent_arm(self):
        part = {}
        change = pond.CHANGES["trout"]
        stats_ = {"calls_null": "5", "calls_new": "3", "function": "f", "method": "m", "state": "dead"}
        with mock.patch.object(loader, "stats", return_value=stats_):
            said = bench._shown(part, change, ["off", "null", "new"], {"calls_null": "2", "calls_new": "3"})
        self.assertEqual(said, ["trout: no call went to the arm new: dead"])
        self.assertEqual(part["redirect"], {"function": "f", "method": "m"})

    def test_emulated_time_is_void(self):
        with mock.patch.object(machine, "emulated", return_value=True):
            self.assertIn("emulated", bench.void(self.options))
            self.options.counting = True
            self.assertEqual(bench.void(self.options), "")
        samples = {"off": [1.0] * 30, "off_again": [1.0] * 30, "null": [2.0] * 30, "new": [1.0] * 30}
        found = record.operation("x", samples, void="emulated")
        self.assertEqual((found["gains"]["new"]["claim"], found["gains"]["new"]["why"]), ("none", "emulated"))


class Selftest(unittest.TestCase):
    KTAP = "TAP version 13\n1..3\n# a note\nok 1 load\nok 2 native # SKIP this kernel lacks it\n{} 3 events\n"

    def script(self, text, status=0):
        change = pond.CHANGES["trout"]
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "trout.sh"
            path.write_text(f"#!/bin/sh\ncat <<'E'\n{text}E\nexit {status}\n")
            path.chmod(0o755)
            with mock.patch.object(console, "note"):
                return selftest.run(change, directory)

    def test_passed(self):
        found = self.script(self.KTAP.format("ok"))
        self.assertTrue(found["ok"], found)
        self.assertEqual([test["outcome"] for test in found["tests"]], ["pass", "skip", "pass"])
        self.assertEqual(found["tests"][1]["reason"], "this kernel lacks it")

    def test_failed(self):
        for text, status in ((self.KTAP.format("not ok"), 1), (self.KTAP.format("ok"), 1), (self.KTAP.format("ok"), 137),
                             (self.KTAP[:30], 0), ("", 0)):
            self.assertFalse(self.script(text, status)["ok"], (text, status))

    def test_none(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertIsNone(selftest.run(pond.CHANGES["trout"], directory))


class Ask(unittest.TestCase):
    def test_no_terminal_no_consent(self):
        with mock.patch.object(console, "note"), mock.patch("sys.stdin") as stdin:
            stdin.isatty.return_value = False
            self.assertFalse(prompt.agreed(["x"], False))
            self.assertTrue(prompt.agreed(["x"], True))
            stdin.isatty.return_value = True
            for answer, is_yes in (("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False), ("", False)):
                stdin.readline.return_value = answer
                with mock.patch("sys.stderr"):
                    self.assertEqual(prompt.agreed(["x"], False), is_yes, answer)

    def test_colour_only_on_a_terminal(self):
        stream = mock.Mock()
        stream.isatty.return_value = True
        with mock.patch.dict(os.environ, {"TERM": "xterm"}):
            os.environ.pop("NO_COLOR", None)
            self.assertEqual(prompt.coloured("native", "native", stream), "\033[36mnative\033[m")
            os.environ["NO_COLOR"] = "1"
            self.assertEqual(prompt.coloured("native", "native", stream), "native")
        stream.isatty.return_value = False
        self.assertEqual(prompt.coloured("native", "native", stream), "native")


class Files(unittest.TestCase):
    def test_not_over_somebodys_ram_disks(self):
        with mock.patch.object(loader, "loaded", return_value=True), \
                mock.patch.object(pathlib.Path, "exists", return_value=True):
            self.assertIn("in use", testfiles.ramdisk_lacks())

    def test_in_a_directory(self):
        back = mock.Mock()
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(testfiles, "SIZE", 1 << 20):
            path, = testfiles.in_directory(directory, back)
            self.assertEqual(path.stat().st_size, 1 << 20)
            back.add.assert_called_once_with("remove", str(path))


class Command(unittest.TestCase):
    def run_(self, *words, **env):
        return subprocess.run([sys.executable, "-B", str(SCRIPTS / "uplift"), *words], text=True, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, **env})

    def test_help(self):
        for words in ((), ("probe",), ("doctor",), ("bench",), ("report",), ("lab",)):
            done = self.run_(*words, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
            self.assertTrue(done.stdout.startswith("usage: uplift"))

    def test_probe_without_consent(self):
        # no terminal and no --yes: nothing is loaded, and still something is said
        done = self.run_("probe", "--json")
        self.assertIn(done.returncode, (errors.OK, errors.SKIP), done.stderr)
        data = reading.check(json.loads(done.stdout))
        self.assertTrue(all(part["verdict"]["kind"] in changes.KINDS and part["verdict"]["evidence"]
                            for part in data["changes"]))
        self.assertEqual(data["machine"]["taint"], data["machine"]["taint_after"])

    def test_doctor(self):
        done = self.run_("doctor", "--json")
        data = json.loads(done.stdout)
        self.assertEqual(done.returncode, errors.OK if data["ok"] else errors.FAIL)
        self.assertEqual(data["ok"], all(row["state"] != "missing" for row in data["checks"]))

    def test_usage(self):
        for words in (("probe", "nothing"), ("bench", "nothing"), ("bench", "--rounds", "0"), ("report", "/nowhere.json"),
                      ("bench", "--cpu", "99999")):
            done = self.run_(*words)
            self.assertEqual((done.returncode, done.stdout), (errors.USAGE, ""), words)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
