# SPDX-License-Identifier: GPL-2.0-only
"""Workloads that users know, in the arms of a change, through tools that are there: `uplift bench --workloads`.

A change's about.toml names them: workloads = ["fio"]. Each gives nanoseconds an operation, which are judged as those of
the measuring programs are.
"""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from ..base import changes, errors
from . import loader


LOADS = pathlib.Path(__file__).resolve().parent / "loads.py"
LIST = "/proc/filesystems"
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
Measured = Callable[[int | None, str | None], float]	# of an operation: on a CPU, with a node; nanoseconds
_libc = ctypes.CDLL(None, use_errno=True)


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"


def _tool(name: str) -> str | None:
    return shutil.which(name, path=_path())


def _tools(name: str) -> list[str]:
    """All that there are of a name: the first may be another's, as busybox's."""
    found = (shutil.which(name, path=directory) for directory in _path().split(":") if directory)
    return list(dict.fromkeys(path for path in found if path))


def _prepare(cpu: int | None, node: str | None) -> Callable[[], None]:
    """Before the tool starts: on its CPU, not outliving us; and reading a node of ours as LIST, which no other process does.

    A mount in a name space of its own goes with the process, whatever ends it.
    """
    def prepare() -> None:
        _libc.prctl(1, signal.SIGKILL)	# PR_SET_PDEATHSIG
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        if node and (_libc.unshare(_CLONE_NEWNS)
                     or _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None)
                     or _libc.mount(os.fsencode(node), LIST.encode(), None, _MS_BIND, None)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return prepare


def _run(argv: Sequence[object], cpu: int | None, node: str | None = None, timeout: float = 300) -> str:
    """What a tool printed."""
    try:
        done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, preexec_fn=_prepare(cpu, node), timeout=timeout)
    except subprocess.TimeoutExpired:
        raise errors.Problem(f"{pathlib.Path(str(argv[0])).name} did not end in {timeout} s") from None
    except subprocess.SubprocessError:
        raise errors.Problem(f"{pathlib.Path(str(argv[0])).name} could not be started: {node} cannot be mounted over "
                          f"{LIST}?") from None
    text, error = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    if done.returncode:
        said = (error.strip() or text.strip()).splitlines()
        raise errors.Problem(f"{pathlib.Path(str(argv[0])).name} ended with status {done.returncode}"
                          + (f": {said[-1]}" if said else ""))
    return text


def _number(pattern: str, text: str, tool: str) -> float:
    match = re.search(pattern, text)
    try:
        value = float(match[1].replace(",", "")) if match else 0
    except ValueError:
        value = 0
    if value <= 0:
        raise errors.Problem(f"{tool} printed no figure: another version? {text.strip()[:200]!r}")
    return value


class Workload:
    """One of them. files: it takes files to read directly; nodes: its arms are nodes, not the change's file arm."""
    name, files, nodes = "", False, False

    def lacks(self) -> str:
        """Why it cannot be run here; '' if it can."""
        raise NotImplementedError

    def operations(self, paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, Measured]]:
        """[(operation's name, function(cpu, node) that gives nanoseconds)]"""
        raise NotImplementedError


class Fio(Workload):
    """Direct random reads of 4 KiB, by io_uring where it is to be had, polled where the device can."""
    name, files = "fio", True

    def lacks(self) -> str:
        return "" if _tool("fio") else "no fio (apt-get install fio)"

    @staticmethod
    def _argv(path: pathlib.Path, *more: str) -> list[object]:
        return [_tool("fio"), "--name=uplift", f"--filename={path}", "--rw=randread", "--bs=4k", "--direct=1",
                "--size=32m", "--thread", "--randrepeat=1", "--output-format=json", *more]

    def _engine(self, path: pathlib.Path) -> tuple[tuple[str, ...], str]:
        """The best that works on this file: how fio is to read it, and what that is called."""
        for words, called in ((("--ioengine=io_uring", "--hipri"), "io_uring polled"),
                              (("--ioengine=io_uring",), "io_uring"), (("--ioengine=psync",), "psync")):
            try:
                self._figure(_run(self._argv(path, *words, "--number_ios=64"), None))
                return words, called
            except errors.Problem as problem:
                why = problem
        raise errors.Problem(str(why))

    @staticmethod
    def _figure(text: str) -> float:
        try:
            # it may say something before
            job = json.loads(text[text.index("{"):])["jobs"][0]
            if job["error"]:
                raise errors.Problem(f"fio: {os.strerror(job['error'])}")
            return 1e9 / float(job["read"]["iops"])
        except (ValueError, KeyError, IndexError, TypeError, ZeroDivisionError):
            raise errors.Problem(f"fio printed no figure: another version? {text.strip()[:200]!r}") from None

    def operations(self, paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, Measured]]:
        for path in paths:
            words, called = self._engine(path)

            def run(cpu: int | None, _: str | None, path: pathlib.Path = path, words: tuple[str, ...] = words) -> float:
                return self._figure(_run(self._argv(path, *words, "--time_based", "--runtime=1"), cpu))
            where = "" if len(paths) == 1 else f" {_filesystem(path)}"
            yield f"fio {called}{where}", run


def _filesystem(path: pathlib.Path) -> str:
    """Of which type a file's is."""
    best = ("", "?")
    for line in loader.read("/proc/self/mounts").splitlines():
        words = line.split(" ")
        if len(words) > 2 and (str(path) + "/").startswith(words[1].rstrip("/") + "/") and len(words[1]) >= len(best[0]):
            best = (words[1], words[2])
    return best[1]


class PerfBench(Workload):
    """perf bench COLLECTION TEST, as a change's about.toml names it: perf_bench = "COLLECTION TEST"."""

    def __init__(self, words: str) -> None:
        self.collection, self.test = words.split()
        self.name = f"perf_{self.collection}"

    def lacks(self) -> str:
        if not _tool("perf"):
            return "no perf (apt-get install linux-perf)"
        try:
            tests = _run([_tool("perf"), "bench", self.collection], None)
            return "" if self.test in tests else f"this perf has no bench {self.collection}"
        except errors.Problem as problem:
            return f"perf bench {self.collection}: {problem}"

    def operations(self, paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, Measured]]:
        yield f"perf bench {self.collection} {self.test}", lambda cpu, _: 1e9 / _number(
            r"Averaged ([\d,.]+) operations/sec",
            _run([_tool("perf"), "bench", self.collection, self.test, "-t", "1", "-r", "1"], cpu), "perf")


class Echo(Workload):
    """An event loop with 64 connections, which all ask at once: in Python, whose own cost is most of it."""
    name = "echo"

    def lacks(self) -> str:
        return ""

    def operations(self, paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, Measured]]:
        yield "echo server, 64 ready", lambda cpu, _: _figure(_run([sys.executable, LOADS, "echo", 64, 100], cpu))


def _figure(text: str) -> float:
    try:
        return float(json.loads(text)["ns"])
    except (ValueError, KeyError, TypeError):
        raise errors.Problem(f"no figure in {text.strip()[:200]!r}") from None


class Exec(Workload):
    """Programs that are linked with libselinux, which reads the list of filesystems whenever one of them starts."""
    name, nodes = "exec", True
    PROGRAMS = (("sed", "-n", "q", "/dev/null"), ("ls", "-d", "/"), ("cp", "--version"))

    def _argv(self) -> list[str] | None:
        for argv in self.PROGRAMS:
            for path in _tools(argv[0]):
                try:
                    if b"libselinux.so" in pathlib.Path(path).read_bytes():
                        return [path, *argv[1:]]
                except OSError:
                    pass
        return None

    def lacks(self) -> str:
        if self._argv() is None:
            return "none of " + ", ".join(argv[0] for argv in self.PROGRAMS) + " is linked with libselinux here"
        if pathlib.Path("/sys/fs/selinux/enforce").exists():
            return "SELinux is on: libselinux then does not read the list"
        return ""

    def operations(self, paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, Measured]]:
        words = self._argv()
        if words is None:
            raise errors.Skip(self.lacks())
        argv = [sys.executable, LOADS, "exec", 100, *words]
        yield f"starting {pathlib.Path(words[0]).name}", lambda cpu, node: _figure(_run(argv, cpu, node))


class Messaging(Workload):
    """hackbench over pipes, or the same of perf's: 20 senders, 20 receivers."""
    name, LOOPS = "messaging", 20

    def lacks(self) -> str:
        return "" if _tool("hackbench") or _tool("perf") else "neither hackbench (rt-tests) nor perf (linux-perf)"

    def operations(self, paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, Measured]]:
        messages = 20 * 20 * self.LOOPS
        if _tool("hackbench"):
            yield "hackbench, pipes", lambda cpu, _: 1e9 / messages * _number(
                r"Time: ([\d.]+)", _run([_tool("hackbench"), "--pipe", "-g", 1, "-l", self.LOOPS], cpu), "hackbench")
        else:
            yield "perf bench sched messaging, pipes", lambda cpu, _: 1e9 / messages * _number(
                r"Total time: ([\d.]+)", _run([_tool("perf"), "bench", "sched", "messaging", "-p", "-g", "1", "-l",
                                               self.LOOPS], cpu), "perf")


KNOWN: dict[str, Workload] = {load.name: load for load in (Fio(), Echo(), Exec(), Messaging())}


def of(change: changes.Change) -> list[Workload]:
    """The workloads that a change's about.toml names."""
    names = change.about.get("workloads", ())
    bench = change.about.get("perf_bench")
    known = KNOWN | ({load.name: load for load in (PerfBench(bench),)} if bench else {})
    for name in names:
        if name not in known:
            raise errors.Problem(f"{change.name}/about.toml: no workload '{name}'; there are: {' '.join(known)}")
    return [known[name] for name in names]
