# SPDX-License-Identifier: GPL-2.0-only
"""What is known of cache-aware scheduling."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tests import about_case	# noqa: E402


class Llc(about_case.About):
    NAME = "llc"
    GOES_WITH = ("df0d98475954", "28f9c0e0a0b9", "b636fef85bda", "3cb0243767fd", "65efcccddc83", "asym packing")
    CARD = ("Cannot be told here", "Why the module only shows", "Takes the series that begins with df0d98475954",
            "28.3 s instead of 50.9 s")
    TYPES = {("struct sched_cache_group",): "native", (): "applicable"}
    TARGETS = {"6.1": "applicable", "6.18": "applicable", "7.1": "applicable", "7.2": "native", "7.3": "native"}
    TITLE = "llc"


if __name__ == "__main__":
    unittest.main()
