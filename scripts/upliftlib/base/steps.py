# SPDX-License-Identifier: GPL-2.0-only
"""Steps of a long test run, side by side as far as they do not need each other, and the end of all of them.

A step is a function that runs commands through its Runner. Each line of a command's output appears behind the step's
name as it comes, and all of a step's lines are in a log of its own. A step that fails does not stop the others: `needs`
says what has to have ended before, not what has to have passed. Ctrl-C and SIGTERM end every command that runs, and no
other is started.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import IO

from . import console, errors, paths

PATIENCE = 30.0		# seconds that a command has to end after SIGTERM: it may have a guest to end


@dataclasses.dataclass
class Count:
    """What a step found."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    def __iadd__(self, other: "Count") -> "Count":
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.problems += other.problems
        return self

    def fail(self, problem: str) -> None:
        """One failure more, in one line."""
        self.failed += 1
        self.problems.append(problem)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclasses.dataclass(frozen=True)
class Step:
    """One step.

    @needs: names of steps that have to have ended before; those that are not part of the run are ignored
    @weight: how much of the run's room it takes, a CPU each
    @tests: False where it only prepares, so that an empty Count is no failure
    """
    name: str
    about: str
    run: "Callable[[Runner], Count]"
    needs: tuple[str, ...] = ()
    weight: int = 1
    tests: bool = True


@dataclasses.dataclass
class Row:
    """What became of a step."""
    count: Count
    seconds: float
    cpu: float


class Stopped(errors.Problem):
    """The run is being stopped: no command is started any more."""

    def __init__(self) -> None:
        super().__init__("not started: the run was stopped")


class _Commands:
    """The processes of all steps, so that one call ends them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: set[int] = set()
        self.stopped = False

    def start(self, argv: list[str], env: Mapping[str, str] | None) -> subprocess.Popen[str]:
        with self.lock:
            if self.stopped:
                raise Stopped()
            process = subprocess.Popen(argv, cwd=paths.TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, errors="replace",
                                       env=dict(os.environ, **(env or {})))
            self.running.add(process.pid)
            return process

    def wait(self, process: subprocess.Popen[str]) -> float:
        """Seconds of CPU time that it took, with all that it started and waited for."""
        # Reaped under the lock: stop() must not signal the next process with the same number.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self.lock:
            _, status, usage = os.wait4(process.pid, 0)
            self.running.discard(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        return float(usage.ru_utime + usage.ru_stime)

    def kill(self, number: int) -> bool:
        """Send a signal to those that run; were there any?"""
        with self.lock:
            for pid in self.running:
                os.kill(pid, number)
            return bool(self.running)

    def stop(self) -> None:
        """End all: politely first, as a command of ours ends what it has started."""
        with self.lock:
            self.stopped = True
        self.kill(signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while self.running and time.monotonic() < until:
            time.sleep(0.05)
        self.kill(signal.SIGKILL)


class Runner:
    """What a step runs its commands with."""
    _print = threading.Lock()

    def __init__(self, name: str, log: pathlib.Path, commands: _Commands, width: int = 0) -> None:
        self.name = name
        self.cpu = 0.0
        self._prefix = f"{name:{width}} | "
        self._commands = commands
        self._log = open(paths.ensure(log.parent) / log.name, "w", encoding="utf-8")

    def close(self) -> None:
        """No more lines."""
        self._log.close()

    def line(self, text: str) -> None:
        """A line of the step's output."""
        with self._print:
            sys.stdout.write(f"{self._prefix}{text}\n")
            sys.stdout.flush()
            self._log.write(text + "\n")
            self._log.flush()

    def _show(self, stream: IO[str], text: list[str], show: bool) -> None:
        for line in stream:
            text.append(line)
            if show:
                self.line(line.rstrip("\n"))

    def command(self, *argv: str | os.PathLike[str], env: Mapping[str, str] | None = None,
                show: bool = True) -> tuple[int, str]:
        """(exit status, standard output) of a command, run at the top of the tree.

        @show: do its lines appear? Those on its standard error always do.
        """
        process = self._commands.start([str(word) for word in argv], env)
        assert process.stdout and process.stderr
        said: list[str] = []
        errors_ = threading.Thread(target=self._show, args=(process.stderr, [], True), daemon=True)
        errors_.start()
        with process.stdout, process.stderr:
            self._show(process.stdout, said, show)
            errors_.join()
            self.cpu += self._commands.wait(process)
        return process.returncode, "".join(said)


def _one(step: Step, runner: Runner) -> Row:
    """Run a step; whatever goes wrong in it is a failure of it."""
    start = time.monotonic()
    try:
        count = step.run(runner)
    except Stopped:
        raise
    except errors.Skip as reason:
        runner.line(f"skipped: {reason}")
        count = Count(skipped=1)
    except errors.Problem as problem:
        count = Count()
        count.fail(str(problem))
    except OSError as problem:
        count = Count()
        count.fail(errors.of_os(problem))
    if step.tests and not (count.passed or count.failed or count.skipped):
        count.fail("nothing was tested")
    return Row(count, time.monotonic() - start, runner.cpu)


def ready(waiting: Iterable[Step], unfinished: Iterable[str], room: int, empty: bool) -> Step | None:
    """The first step that can begin.

    @unfinished: names of all that wait or run
    @room: how much is left
    @empty: nothing runs, so that even a step which takes more than there is may begin
    """
    names = set(unfinished)
    for step in waiting:
        if not names & set(step.needs) and (step.weight <= room or empty):
            return step
    return None


def check(steps: Iterable[Step]) -> None:
    """A Problem where steps need each other in a circle, or two have one name."""
    waiting = list(steps)
    names = [step.name for step in waiting]
    if len(set(names)) != len(names):
        raise errors.Problem(f"two steps have one name: {' '.join(sorted(names))}")
    while waiting:
        step = ready(waiting, [step.name for step in waiting], 0, True)
        if not step:
            raise errors.Problem("these steps need each other: " + " ".join(step.name for step in waiting))
        waiting.remove(step)


def run(steps: list[Step], room: int, logs: pathlib.Path, done: Callable[[Step, Row], None]) -> dict[str, Row]:
    """{step's name: Row}, in the order of the steps.

    @room: the sum of the weights that run at a time
    @logs: the directory for each step's output
    @done: called in this thread as each ends
    """
    check(steps)
    commands, waiting, rows = _Commands(), list(steps), {}
    width = max((len(step.name) for step in steps), default=0)
    running: dict[concurrent.futures.Future[Row], Step] = {}
    with concurrent.futures.ThreadPoolExecutor(max(len(steps), 1)) as executor:
        try:
            while waiting or running:
                unfinished = [step.name for step in (*waiting, *running.values())]
                left = room - sum(step.weight for step in running.values())
                step = ready(waiting, unfinished, left, not running)
                if step:
                    waiting.remove(step)
                    runner = Runner(step.name, logs / f"{step.name}.log", commands, width)
                    runner.line(f"== {step.about}")
                    future = executor.submit(_one, step, runner)
                    future.add_done_callback(lambda _, runner=runner: runner.close())	# type: ignore[misc]
                    running[future] = step
                    continue
                for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                    step = running.pop(future)
                    rows[step.name] = future.result()
                    done(step, rows[step.name])
        except BaseException:
            console.note("ending " + (", ".join(step.name for step in running.values()) or "the run"))
            commands.stop()
            raise
    return {step.name: rows[step.name] for step in steps}


def table(rows: Mapping[str, Row]) -> str:
    """What each step took, as text."""
    width = max(len(name) for name in (*rows, "all steps"))
    lines = [f"{'step':{width}}  {'wall':>7}  {'CPU':>7}  {'passed':>6}  {'failed':>6}  {'skipped':>7}"]
    total = Row(Count(), 0.0, 0.0)
    for name, row in rows.items():
        lines.append(_table_line(f"{name:{width}}  {row.seconds:5.0f} s", row))
        total.count += row.count
        total.cpu += row.cpu
    # the sum of what steps took side by side says nothing
    lines.append(_table_line(f"{'all steps':{width}}  {'':>7}", total))
    return "\n".join(lines)


def _table_line(start: str, row: Row) -> str:
    count = row.count
    return f"{start}  {row.cpu:5.0f} s  {count.passed:>6}  {count.failed:>6}  {count.skipped:>7}"
