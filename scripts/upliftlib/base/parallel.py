# SPDX-License-Identifier: GPL-2.0-only
"""Several guests at once: functions that boot some, in threads, and an end to all of them if one fails."""

import argparse
import concurrent.futures
import contextlib
import contextvars
import os
import subprocess
import threading

from . import errors

_group = contextvars.ContextVar("group", default=None)
_lock = threading.Lock()
_running = {}		# process of a guest: the Group that it belongs to, or None


class Group:
    """Guests that are ended together. Groups nest: those within end with it."""

    def __init__(self, parent):
        self.parent = parent
        self.stopped = False

    def chain(self):
        """This group, and those around it."""
        group = self
        while group:
            yield group
            group = group.parent

    def stop(self):
        """End its guests; it gets no others."""
        with _lock:
            self.stopped = True
            for process, group in _running.items():
                if group and self in group.chain():
                    process.kill()


def _ended(group):
    return group is not None and any(around.stopped for around in group.chain())


class Ended(errors.Problem):
    """The caller's group has ended: no result, and nothing more to do."""

    def __init__(self):
        super().__init__("not started: another guest's failure, or Ctrl-C, ended those that ran beside it")


def check():
    """For who has one job behind the other: Ended if the caller's group has."""
    with _lock:
        if _ended(_group.get()):
            raise Ended()


def start(argv, **how):
    """A guest's process, as subprocess.Popen() makes it; Ended if the caller's group has."""
    group = _group.get()
    with _lock:
        if _ended(group):
            raise Ended()
        process = subprocess.Popen(argv, **how)
        _running[process] = group
    return process


def remove(process):
    """A guest has ended."""
    with _lock:
        _running.pop(process, None)


class Pool:
    """Threads whose guests are of one group."""

    def __init__(self, executor, group):
        self.executor = executor
        self.group = group

    def submit(self, function, *args, **named):
        """The Future of a call."""
        return self.executor.submit(self._call, function, args, named)

    def _call(self, function, args, named):
        _group.set(self.group)		# a thread has a context of its own
        return function(*args, **named)


@contextlib.contextmanager
def pool(limit):
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


def run(jobs, limit, done=None):
    """{key: result} of `jobs`, {key: function}, `limit` of them at once; done(key, result) is called here as each ends."""
    results = {}
    with pool(limit) as threads:
        futures = {threads.submit(function): key for key, function in jobs.items()}
        for future in concurrent.futures.as_completed(futures):
            key = futures[future]
            results[key] = future.result()
            if done:
                done(key, results[key])
    return results


def _number(text):
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 up")
    return int(text)


def add_option(parser):
    """Give a command that goes through targets the option --jobs."""
    parser.add_argument("--jobs", type=_number, default=min(os.cpu_count() or 1, 4), metavar="N",
                        help="targets at once (default: %(default)s)")
