# SPDX-License-Identifier: GPL-2.0-only
"""Guests at once: ended together, and none but those that belong together."""

import argparse
import pathlib
import sys
import threading
import time
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.base import errors, parallel	# noqa: E402


def guest(seconds="60"):
    """A guest's process, up to its end; its exit status."""
    process = parallel.start(["sleep", seconds])
    try:
        return process.wait()
    finally:
        parallel.remove(process)


class Run(unittest.TestCase):
    def test_results_and_limit(self):
        now, most, lock, seen = [0], [0], threading.Lock(), []

        def job(number):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.01)
            with lock:
                now[0] -= 1
            return number * number

        found = parallel.run({n: (lambda n=n: job(n)) for n in range(8)}, 3, lambda key, result: seen.append((key, result)))
        self.assertEqual(found, {n: n * n for n in range(8)})
        self.assertEqual(sorted(seen), sorted(found.items()))
        self.assertLessEqual(most[0], 3)
        self.assertGreater(most[0], 1)

    def test_a_failure_within_is_no_end_for_those_beside(self):
        failed = threading.Event()

        def fails():
            try:
                parallel.run({"x": lambda: 1 / 0}, 1)
            except ZeroDivisionError:
                failed.set()
            return "went on"

        def lives():
            failed.wait(20)
            return guest("0.05")

        self.assertEqual(parallel.run({"fails": fails, "lives": lives}, 2), {"fails": "went on", "lives": 0})

    def test_ctrl_c_ends_all_levels(self):
        begin, up, ended = time.monotonic(), threading.Semaphore(0), []

        def inner():
            up.release()
            ended.append(guest())

        def stops():
            up.acquire()
            up.acquire()
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            parallel.run({"guests": lambda: parallel.run({1: inner, 2: inner}, 2), "person": stops}, 2)
        self.assertLess(time.monotonic() - begin, 30)
        self.assertLessEqual(set(ended), {-9})


class Pool(unittest.TestCase):
    """What ends the block ends all that was to come."""

    def stopped(self, end):
        """What was started of six jobs of two guests each, two at once, where end() is called while the first run."""
        started, lock, running = [], threading.Lock(), threading.Event()

        def job(number):
            for one in range(2):
                process = parallel.start(["sleep", "60"])
                with lock:
                    started.append((number, one))
                    if len(started) == 2:
                        running.set()
                process.wait()
                parallel.remove(process)

        begin = time.monotonic()
        with self.assertRaises((KeyboardInterrupt, errors.Problem)), parallel.pool(2) as pool:
            jobs = [pool.submit(job, number) for number in range(6)]
            running.wait(20)
            end()
            for one in jobs:
                one.result()
        self.assertLess(time.monotonic() - begin, 30)
        return started

    def test_ctrl_c_starts_no_other_guest(self):
        # make run, stopped, ended the guests that ran and then started those that were still to come
        def ctrl_c():
            raise KeyboardInterrupt
        self.assertEqual(sorted(self.stopped(ctrl_c)), [(0, 0), (1, 0)])

    def test_ctrl_c_ends_what_has_one_job_behind_the_other(self):
        """Selftests of a target went on with the next script, and built for it, minutes after Ctrl-C."""
        running = threading.Event()

        def scripts():
            for _ in range(1000):
                parallel.check()
                running.set()
                time.sleep(0.02)

        with self.assertRaises(KeyboardInterrupt), parallel.pool(1) as pool:
            job = pool.submit(scripts)
            running.wait(20)
            raise KeyboardInterrupt
        self.assertIsInstance(job.exception(), parallel.Ended)

    def test_the_next_may_start(self):
        # a target that fails does not stop the others of a matrix
        def fail():
            raise errors.Problem("broken")
        self.stopped(fail)
        with parallel.pool(2) as pool:
            self.assertEqual(pool.submit(guest, "0").result(), 0)


class Option(unittest.TestCase):
    def test_jobs_is_a_number(self):
        parser = argparse.ArgumentParser()
        parallel.add_option(parser)
        self.assertEqual(parser.parse_args(["--jobs", "3"]).jobs, 3)
        for bad in ("0", "-1", "x", "1.5", ""):
            with self.assertRaises(SystemExit), unittest.mock.patch("sys.stderr"):
                parser.parse_args([f"--jobs={bad}"])


if __name__ == "__main__":
    unittest.main()
