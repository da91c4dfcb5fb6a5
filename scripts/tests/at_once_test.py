# SPDX-License-Identifier: GPL-2.0-only
"""Guests at once: ended together, and none but those that belong together."""

import pathlib
import sys
import threading
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lab import at_once, say	# noqa: E402


class Guest:
    """A process that runs until it is killed."""

    def __init__(self):
        self.killed = threading.Event()

    def kill(self):
        self.killed.set()

    def live(self, seconds=10):
        """True if it was killed."""
        at_once.add(self)
        try:
            return self.killed.wait(seconds)
        finally:
            at_once.remove(self)


class AtOnce(unittest.TestCase):
    def test_results_and_limit(self):
        now, most, lock, seen = [0], [0], threading.Lock(), []

        def job(number):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.01)
            with lock:
                now[0] -= 1
            return number * number

        found = at_once.run({n: (lambda n=n: job(n)) for n in range(8)}, 3, lambda key, result: seen.append((key, result)))
        self.assertEqual(found, {n: n * n for n in range(8)})
        self.assertEqual(sorted(seen), sorted(found.items()))
        self.assertLessEqual(most[0], 3)
        self.assertGreater(most[0], 1)

    def test_a_failure_ends_the_others_and_starts_no_more(self):
        up, later = threading.Event(), []

        def lives():
            up.set()
            self.assertTrue(Guest().live())
            at_once.check()		# as its next boot would
            later.append("booted")

        def fails():
            up.wait(10)
            raise say.Problem("broken")

        with self.assertRaisesRegex(say.Problem, "broken"):
            at_once.run({"lives": lives, "fails": fails, "third": lambda: later.append("third")}, 2)
        self.assertEqual(later, [])

    def test_ctrl_c_ends_all_levels(self):
        guests, up = [Guest(), Guest()], threading.Semaphore(0)

        def inner(guest):
            up.release()
            return guest.live()

        def outer():
            return at_once.run({n: (lambda g=guest: inner(g)) for n, guest in enumerate(guests)}, 2)

        def stops():
            up.acquire()
            up.acquire()
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            at_once.run({"guests": outer, "person": stops}, 2)
        self.assertTrue(all(guest.killed.is_set() for guest in guests))

    def test_a_failure_within_is_no_end_for_those_beside(self):
        beside, failed = Guest(), threading.Event()

        def fails():
            try:
                at_once.run({"x": lambda: 1 / 0}, 1)
            except ZeroDivisionError:
                failed.set()
            return "went on"

        def lives():
            failed.wait(10)
            return beside.live(0.05)

        found = at_once.run({"fails": fails, "lives": lives}, 2)
        self.assertEqual(found, {"fails": "went on", "lives": False})

    def test_jobs_is_a_number(self):
        import argparse
        parser = argparse.ArgumentParser()
        at_once.add_option(parser)
        self.assertEqual(parser.parse_args(["--jobs", "3"]).jobs, 3)
        for bad in ("0", "-1", "x", "1.5", ""):
            with self.assertRaises(SystemExit), unittest.mock.patch("sys.stderr"):
                parser.parse_args([f"--jobs={bad}"])


if __name__ == "__main__":
    unittest.main()
