# SPDX-License-Identifier: GPL-2.0-only
"""What is known of epoll's change."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tests import about_case	# noqa: E402


class Epoll(about_case.About):
    NAME = "epoll"
    GOES_WITH = ("1954c4f01220", "0c4aefe3c2d0", "eventpoll: Convert epoll_put_uevent() to scoped user access")
    CARD = ("epoll_wait 256 (returns 256 events) takes", "prerequisite e497310b4ffb and later fix 0c4aefe3c2d0.")
    OPERATION = "epoll_wait 256"
    TYPES = {("function do_epoll_wait",): "unknown", (): "unsupported"}
    TITLE = "epoll_wait() with fewer user-access scopes (Linux 7.0)"


if __name__ == "__main__":
    unittest.main()
