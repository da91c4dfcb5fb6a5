# SPDX-License-Identifier: GPL-2.0-only
"""Several guests at once: functions that boot some, in threads, and an end to all of them if one fails."""

import argparse
import concurrent.futures
import contextvars
import os
import threading

from . import say

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


def check():
    """Ends the caller, if his group has ended: before a guest is made."""
    group = _group.get()
    if group and any(around.stopped for around in group.chain()):
        raise say.Problem("not booted: another guest's failure, or Ctrl-C, ended those that ran beside it")


def add(process):
    """A guest runs now."""
    group = _group.get()
    with _lock:
        _running[process] = group
        if group and any(around.stopped for around in group.chain()):
            process.kill()


def remove(process):
    """A guest has ended."""
    with _lock:
        _running.pop(process, None)


def stop_all():
    """End every guest of this process, whichever thread waits for it."""
    with _lock:
        for process in _running:
            process.kill()


def run(jobs, limit, done=None):
    """{key: result} of `jobs`, {key: function}, `limit` of them at once.

    done(key, result) is called here as each ends. If one raises, or on Ctrl-C, guests of the others are ended, and what
    was raised goes on.
    """
    group = Group(_group.get())

    def one(function):
        _group.set(group)		# a thread has a context of its own
        return function()

    results = {}
    with concurrent.futures.ThreadPoolExecutor(limit) as pool:
        try:
            futures = {pool.submit(one, function): key for key, function in jobs.items()}
            for future in concurrent.futures.as_completed(futures):
                key = futures[future]
                results[key] = future.result()
                if done:
                    done(key, results[key])
        except BaseException:
            group.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def _number(text):
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 up")
    return int(text)


def add_option(parser):
    """Give a command that goes through targets the option --jobs."""
    parser.add_argument("--jobs", type=_number, default=min(os.cpu_count() or 1, 4), metavar="N",
                        help="targets at once (default: %(default)s)")
