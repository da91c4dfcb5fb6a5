# SPDX-License-Identifier: GPL-2.0-only
"""What is known of the cached list of filesystems."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tests import about_case	# noqa: E402

SHOW = "function filesystems_proc_show"


class Fslist(about_case.About):
    NAME = "fslist"
    GOES_WITH = ("36b3306779ea", "dc651e25a6d2", "912289ee831d", "locking of regen_filesystems_string")
    CARD = ("Worth it", "pread (reads all of /proc/filesystems, held open) takes 900 instructions instead of 1,000",
            "Ship 36b3306779ea with prerequisites dc651e25a6d2, 912289ee831d and a later fix whose id was not found (a plain cherry-pick may deadlock).",
            "Tests passed (1).", "upstream's lines were not",
            "Upstream's commits CHANGE the kernel's ABI (struct file_system_type).")
    OPERATION = "pread"
    TYPES = {(SHOW,): "applicable", (SHOW, "struct file_systems_string"): "native", (): "unsupported"}
    TARGETS = {"6.1": "applicable", "6.12": "applicable", "6.18": "applicable", "7.1": "applicable", "7.2": "native",
               "7.3": "native"}


if __name__ == "__main__":
    unittest.main()
