# SPDX-License-Identifier: GPL-2.0-only
"""Several guests at once: functions that boot some, in threads, and an end to all of them if one fails."""

import argparse
import concurrent.futures
import contextlib
import contextvars
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from . import errors

K = TypeVar("K")
T = TypeVar("T")

_group: contextvars.ContextVar["Group | None"] = contextvars.ContextVar("group", default=None)
_lock = threading.Lock()
_running: dict[subprocess.Popen[Any], "Group | None"] = {}	# guests, and the group that each belongs to


class Group:
    """Guests that are ended together. Groups nest: those within end with it."""

    def __init__(self, parent: "Group | None") -> None:
        self.parent = parent
        self.stopped = False

    def chain(self) -> Iterator["Group"]:
        """This group, and those around it."""
        group: Group | None = self
        while group:
            yield group
            group = group.parent

    def stop(self) -> None:
        """End its guests; it gets no others."""
        with _lock:
            self.stopped = True
            for process, group in _running.items():
                if group and self in group.chain():
                    process.kill()


def _ended(group: Group | None) -> bool:
    return group is not None and any(around.stopped for around in group.chain())


class Ended(errors.Problem):
    """The caller's group has ended: no result, and nothing more to do."""

    def __init__(self) -> None:
        super().__init__("not started: another guest's failure, or Ctrl-C, ended those that ran beside it")


def check() -> None:
    """Between two jobs of one thread: raise Ended if the caller's group has ended."""
    with _lock:
        if _ended(_group.get()):
            raise Ended()


def start(argv: Sequence[str | os.PathLike[str]], **how: Any) -> subprocess.Popen[Any]:
    """A guest's process, as subprocess.Popen() makes it; Ended if the caller's group has."""
    group = _group.get()
    with _lock:
        if _ended(group):
            raise Ended()
        process = subprocess.Popen(argv, **how)
        _running[process] = group
    return process


def remove(process: subprocess.Popen[Any]) -> None:
    """A guest has ended."""
    with _lock:
        _running.pop(process, None)


class Pool:
    """Threads whose guests are of one group."""

    def __init__(self, executor: concurrent.futures.Executor, group: Group) -> None:
        self.executor = executor
        self.group = group

    def submit(self, function: Callable[..., T], *args: Any, **named: Any) -> concurrent.futures.Future[T]:
        """The Future of a call."""
        return self.executor.submit(lambda: self._call(function, args, named))

    def _call(self, function: Callable[..., T], args: tuple[Any, ...], named: dict[str, Any]) -> T:
        _group.set(self.group)		# a thread has a context of its own
        return function(*args, **named)


@contextlib.contextmanager
def pool(limit: int) -> Iterator[Pool]:
    """A Pool of `limit` threads. What ends the block, Ctrl-C or a job's Problem, ends the guests that run, and no other
    is started: neither by jobs that wait, nor by those that have one behind the other."""
    group = Group(_group.get())
    with concurrent.futures.ThreadPoolExecutor(limit) as executor:
        try:
            yield Pool(executor, group)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            group.stop()
            raise


def run(jobs: Mapping[K, Callable[[], T]], limit: int, done: Callable[[K, T], None] | None = None) -> dict[K, T]:
    """{key: result} of `jobs`, {key: function}, `limit` of them at once; done(key, result) is called here as each ends."""
    results: dict[K, T] = {}
    with pool(limit) as threads:
        futures = {threads.submit(function): key for key, function in jobs.items()}
        for future in concurrent.futures.as_completed(futures):
            key = futures[future]
            results[key] = future.result()
            if done:
                done(key, results[key])
    return results


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 up")
    return int(text)


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a command that goes through targets the option --jobs."""
    parser.add_argument("--jobs", type=_number, default=min(os.cpu_count() or 1, 4), metavar="N",
                        help="targets at once (default: %(default)s)")
