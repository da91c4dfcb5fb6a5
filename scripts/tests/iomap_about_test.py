# SPDX-License-Identifier: GPL-2.0-only
"""What is known of iomap's change."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.kernel import log	# noqa: E402
from upliftlib.lab import selftests	# noqa: E402
from tests import about_case	# noqa: E402

ITER = "function iomap_iter"


class Iomap(about_case.About):
    NAME = "iomap"
    GOES_WITH = ("bd6a1379a41a", "31e3d833d522")
    CARD = ("Ship bd6a1379a41a; nothing that was found has to go with it.", "about 5% more IOPS")
    OPERATION = "read ext4"
    TYPES = {(ITER,): "unaffected", (ITER, "struct iomap_iter.status"): "unknown", (): "unsupported"}
    TARGETS = {"6.1": "unaffected", "6.12": "unaffected", "6.18": "unknown", "7.1": "unknown", "7.2": "unknown",
               "7.3": "unknown"}
    TITLE = "iomap_iter() without clearing what nobody reads (Linux 7.2)"


class Torture(unittest.TestCase):
    def test_timer_of_a_deadline_server(self):
        """10,000 switches under fio ended at a warning that the scheduler makes, of a timer of its own."""
        text = """\
[  504.733355] ------------[ cut here ]------------
[  504.733727] WARNING: CPU: 0 PID: 181 at kernel/time/hrtimer.c:1045 hrtimer_forward+0x7b/0xc0
[  504.733900] Modules linked in: uplift_iomap(OE) uplift(OE) xfs brd
[  504.758667] Call Trace:
[  504.759554]  <IRQ>
[  504.759723]  dl_task_timer+0x360/0x8b0
[  504.772716] ---[ end trace 0000000000000000 ]---
"""
        pattern = selftests.NAMED["switches_iomap"].excused
        self.assertEqual(log.complaints(log.without(text, pattern)), [])
        for other in (text.replace("hrtimer_forward+0x7b/0xc0", "iomap_new+0x1/0x2 [uplift_iomap]"),
                      text.replace("time/hrtimer.c:1045", "time/timer.c:1045")):
            self.assertIn("Call Trace:", log.complaints(log.without(other, pattern)))


if __name__ == "__main__":
    unittest.main()
