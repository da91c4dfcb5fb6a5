# SPDX-License-Identifier: GPL-2.0-only
"""Steps side by side: order, room, what they say, and that all of them end."""

import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.base import errors, steps	# noqa: E402
from upliftlib.base.steps import Count, Row, Step	# noqa: E402


def passing(_: steps.Runner) -> Count:
    return Count(passed=1)


class Order(unittest.TestCase):
    def setUp(self) -> None:
        self.logs = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.out = self.enterContext(contextlib.redirect_stdout(io.StringIO()))

    def run_all(self, every: list[Step], room: int) -> dict[str, Row]:
        return steps.run(every, room, self.logs, lambda *_: None)

    def test_needs(self) -> None:
        """A step begins when those that it needs have ended, failed ones too."""
        ended: list[str] = []

        def step(name: str, needs: tuple[str, ...] = (), bad: bool = False) -> Step:
            def work(_: steps.Runner) -> Count:
                self.assertLessEqual(set(needs) - {"elsewhere"}, set(ended))
                ended.append(name)
                if bad:
                    raise errors.Problem("no")
                return Count(passed=1)
            return Step(name, name, work, needs)

        every = [step("d", ("b", "c")), step("b", ("a",)), step("c", ("a", "elsewhere")), step("a", bad=True)]
        rows = self.run_all(every, 3)
        self.assertEqual(list(rows), ["d", "b", "c", "a"])
        self.assertEqual([row.count.failed for row in rows.values()], [0, 0, 0, 1])

    def test_room(self) -> None:
        """The weights of what runs at a time never exceed the room; it is used, though."""
        lock, running, most = threading.Lock(), [0], [0]
        together = threading.Barrier(2)

        def step(name: str, weight: int) -> Step:
            def work(_: steps.Runner) -> Count:
                with lock:
                    running[0] += weight
                    most[0] = max(most[0], running[0])
                if weight == 1:
                    together.wait(20)	# breaks unless two of them run at once
                with lock:
                    running[0] -= weight
                return Count(passed=1)
            return Step(name, name, work, weight=weight)

        rows = self.run_all([step("a", 1), step("wide", 2), step("b", 1), step("c", 1), step("d", 1)], 2)
        self.assertEqual([row.count.failed for row in rows.values()], [0] * 5)
        self.assertEqual(most[0], 2)

    def test_a_step_that_takes_more_than_there_is(self) -> None:
        self.assertEqual(self.run_all([Step("wide", "", passing, weight=4)], 1)["wide"].count.passed, 1)

    def test_circles_and_twins(self) -> None:
        for every in ([Step("a", "", passing, ("b",)), Step("b", "", passing, ("a",))],
                      [Step("a", "", passing), Step("a", "", passing)], [Step("a", "", passing, ("a",))]):
            with self.assertRaises(errors.Problem):
                self.run_all(every, 2)

    def test_what_fails(self) -> None:
        def nothing(_: steps.Runner) -> Count:
            return Count()

        def skip(_: steps.Runner) -> Count:
            raise errors.Skip("not here")

        def disk(_: steps.Runner) -> Count:
            raise OSError(28, "No space left on device", "/x")

        rows = self.run_all([Step("nothing", "", nothing), Step("prepares", "", nothing, tests=False),
                             Step("skip", "", skip), Step("disk", "", disk)], 1)
        self.assertEqual(rows["nothing"].count.problems, ["nothing was tested"])
        self.assertEqual(rows["disk"].count.problems, ["No space left on device: /x"])
        self.assertEqual([(row.count.failed, row.count.skipped) for row in rows.values()], [(1, 0), (0, 0), (0, 1), (1, 0)])


class Commands(unittest.TestCase):
    def setUp(self) -> None:
        self.logs = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_output(self) -> None:
        """Lines stand behind the step's name and in its log; standard output comes back, and the status."""
        got: list[tuple[int, str]] = []

        def work(runner: steps.Runner) -> Count:
            got.append(runner.command("sh", "-c", 'echo "$WORD"; echo wrong >&2; exit 3', env={"WORD": "right"}))
            got.append(runner.command("echo", "hidden", show=False))
            return Count(passed=1)

        with contextlib.redirect_stdout(io.StringIO()) as out:
            steps.run([Step("short", "about", passing), Step("longer", "", work)], 1, self.logs, lambda *_: None)
        self.assertEqual(got, [(3, "right\n"), (0, "hidden\n")])
        lines = out.getvalue().splitlines()
        self.assertEqual(lines[:2], ["short  | == about", "longer | == "])
        self.assertEqual(sorted(lines[2:]), ["longer | right", "longer | wrong"])
        self.assertEqual(sorted((self.logs / "longer.log").read_text().splitlines()), ["== ", "right", "wrong"])

    def test_cpu_time(self) -> None:
        """What a command's own children took is counted: that is where a build's time goes."""
        def work(runner: steps.Runner) -> Count:
            runner.command("sh", "-c", "python3 -c 'sum(range(10 ** 7))'; :")
            return Count(passed=1)

        with contextlib.redirect_stdout(io.StringIO()):
            rows = steps.run([Step("busy", "", work), Step("idle", "", passing)], 1, self.logs, lambda *_: None)
        self.assertGreater(rows["busy"].cpu, 0.02)
        self.assertEqual(rows["idle"].cpu, 0)

    PROGRAM = """
import pathlib, sys
sys.path.insert(0, {scripts!r})
from upliftlib.base import signals, steps
def work(runner):
    runner.command("sh", "-c", "trap 'echo ended >{logs}/$$.ended; exit 1' TERM; echo $$ >{logs}/$$.pid;"
                   "echo begun; while :; do sleep 0.05; done")
    runner.command("touch", "{logs}/begun.after")
    return steps.Count(passed=1)
def main():
    steps.run([steps.Step(name, "", work) for name in ("a", "b", "waits")], 2, pathlib.Path({logs!r}), lambda *_: None)
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)	# ignored in what a shell has started in the background
signals.end_on_sigterm()
signals.run_main(main)
"""

    def test_a_signal_ends_every_command(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number), tempfile.TemporaryDirectory() as logs:
                program = self.PROGRAM.format(scripts=str(SCRIPTS), logs=logs)
                with subprocess.Popen([sys.executable, "-B", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, start_new_session=True) as process:
                    assert process.stdout
                    begun = 0
                    while begun < 2:
                        begun += "begun" in process.stdout.readline()
                    os.kill(process.pid, number)
                    said = process.communicate(timeout=60)[1]
                self.assertEqual(process.returncode, 130, said)
                there = sorted(path.name for path in pathlib.Path(logs).iterdir() if path.suffix != ".log")
                pids = [name.removesuffix(".pid") for name in there if name.endswith(".pid")]
                self.assertEqual(there, sorted(f"{pid}.{kind}" for pid in pids for kind in ("pid", "ended")))
                self.assertEqual(len(pids), 2)
                for pid in pids:
                    self.assertFalse(pathlib.Path("/proc", pid).exists())

    def test_one_that_does_not_listen(self) -> None:
        """A command that ignores SIGTERM is killed."""
        commands = steps._Commands()
        process = commands.start(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"], None)
        assert process.stdout and process.stderr
        process.stdout.readline()
        waiting = threading.Thread(target=commands.wait, args=(process,))
        waiting.start()
        with unittest.mock.patch.object(steps, "PATIENCE", 0.2):
            commands.stop()
        waiting.join(20)
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(process.returncode, -signal.SIGKILL)
        with self.assertRaises(steps.Stopped):
            commands.start(["true"], None)


if __name__ == "__main__":
    unittest.main()
