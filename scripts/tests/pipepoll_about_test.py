# SPDX-License-Identifier: GPL-2.0-only
"""What is known of the pipe's change, and that docs/backport-guide.md shows it as it is."""

import pathlib
import re
import sys
import tomllib
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from tests import about_case	# noqa: E402

POLL, STRUCT = "function pipe_poll", "struct pipe_inode_info"


class Pipepoll(about_case.About):
    NAME = "pipepoll"
    GOES_WITH = ("f1cebdec9739", "7dc6acb3d56b", "ab018b7733bd")
    CARD = ("a byte into a pipe that epoll_wait() has reported", "with prerequisite 7dc6acb3d56b.",
            "ABI (struct pipe_inode_info)")
    OPERATION = "pipe_epoll"
    TYPES = {(POLL, f"{STRUCT}.pseudo_edgetrigger"): "native", (POLL, f"{STRUCT}.poll_usage"): "applicable",
             (POLL,): "unaffected", (): "unsupported"}


class Guide(unittest.TestCase):
    """What docs/backport-guide.md shows is what is there."""

    blocks = re.findall(r"(?ms)^```(\w*)\n(.*?)^```", (TOP / "docs/backport-guide.md").read_text())
    directory = TOP / "modules/backports/pipepoll"

    def test_toml(self):
        found = [tomllib.loads(text) for kind, text in self.blocks if kind == "toml"]
        self.assertEqual(len(found), 3)
        manifest = tomllib.loads((self.directory / "manifest.toml").read_text())
        about = tomllib.loads((self.directory / "about.toml").read_text())
        forms = found[0]["arms"]["new"].pop("patch")
        self.assertIn(forms[0], manifest["arms"]["new"].pop("patch"))
        self.assertEqual(found[0], manifest)
        self.assertEqual(found[1]["title"], about["title"])
        for rule in found[1]["static"]:
            self.assertIn(rule, about["static"])
        self.assertEqual(found[2]["bench"], about["bench"])

    def test_patch(self):
        (text,) = [text for kind, text in self.blocks if not kind]
        self.assertIn(text, (self.directory / "pipepoll.cocci").read_text())


if __name__ == "__main__":
    unittest.main()
