# SPDX-License-Identifier: GPL-2.0-only
"""Which mirror, and what its indexes say."""

import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.lab import apt	# noqa: E402


def lines(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


class PickMirrors(unittest.TestCase):
    def test_one_line_and_security(self):
        text = lines(("Packages", "bookworm", "main", "http://mirror.example/debian"),
                     ("Translations", "bookworm", "main", "http://mirror.example/debian"),
                     ("Packages", "bookworm-updates", "main", "http://mirror.example/debian"),
                     ("Packages", "bookworm-security", "main", "http://security.example/debian-security/"))
        self.assertEqual(apt.pick_mirrors(text), ("http://mirror.example/debian", "http://security.example/debian-security"))

    def test_debootstrap_has_no_security(self):
        self.assertEqual(apt.pick_mirrors(lines(("Packages", "trixie", "main", "https://m.example/debian"))),
                         ("https://m.example/debian", None))

    def test_other_repositories_do_not_count(self):
        text = lines(("Packages", "nodistro", "main", "https://node.example/x"),
                     ("Packages", "stable", "contrib", "https://tool.example/apt"),
                     ("Packages", "cloud-sdk-bookworm", "main", "https://cloud.example/apt"),
                     ("Sources", "trixie", "main", "http://src.example/debian"))
        self.assertEqual(apt.pick_mirrors(text), (None, None))

    def test_backports_elsewhere_does_not_win(self):
        text = lines(("Packages", "bookworm-backports", "main", "http://backports.example/debian"),
                     ("Packages", "bookworm", "main", "http://main.example/debian"))
        self.assertEqual(apt.pick_mirrors(text)[0], "http://main.example/debian")

    def test_suite_names_of_stable(self):
        self.assertEqual(apt.pick_mirrors(lines(("Packages", "stable", "main", "file:/srv/debian")))[0], "file:/srv/debian")

    def test_mirror_list(self):
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write("# ours\n\nhttp://first.example/debian\tpriority:1\nhttp://second.example/debian\n")
            file.flush()
            text = lines(("Packages", "trixie", "main", f"mirror+file:{file.name}"))
            self.assertEqual(apt.pick_mirrors(text)[0], "http://first.example/debian")
        self.assertEqual(apt.pick_mirrors(text)[0], None)

    def test_nonsense(self):
        self.assertEqual(apt.pick_mirrors("\n\nPackages\nx\ty\n"), (None, None))


class Mirrors(unittest.TestCase):
    def setUp(self):
        self.saved = dict(os.environ), apt._mirrors
        apt._mirrors = None

    def tearDown(self):
        os.environ.clear()
        os.environ.update(self.saved[0])
        apt._mirrors = self.saved[1]

    def test_override(self):
        os.environ["UPLIFT_MIRROR"] = "http://a.example/debian/"
        os.environ["UPLIFT_SECURITY_MIRROR"] = "http://b.example/sec"
        self.assertEqual(apt.mirrors(), ("http://a.example/debian", "http://b.example/sec"))
        self.assertEqual(apt.site("trixie-security"), "http://b.example/sec")
        self.assertEqual(apt.site("trixie-backports"), "http://a.example/debian")


class Indexes(unittest.TestCase):
    def test_packages(self):
        text = ("Package: bash\nVersion: 5\n\n"
                "Package: linux-image-6.1.0-56-amd64\nVersion: 6.1.192-2\nDepends: kmod,\n linux-base\n"
                "Filename: pool/x.deb\nSize: 12\nSHA256: ab\nTag: a::b,\n c::d\n\n"
                "Package: linux-doc\nVersion: 1\n\nPackage: gcc-12\nVersion: 12.2.0-14+deb12u1\n\nPackage: gccgo-12\nVersion: 2\n")
        self.assertEqual(apt.parse_packages(text), [
            {"Package": "linux-image-6.1.0-56-amd64", "Version": "6.1.192-2", "Filename": "pool/x.deb", "Size": "12",
             "SHA256": "ab", "Depends": "kmod,\nlinux-base"},
            {"Package": "linux-doc", "Version": "1"}, {"Package": "gcc-12", "Version": "12.2.0-14+deb12u1"}])


class Downloads(unittest.TestCase):
    def test_gone(self):
        """As apt-helper says it of a mirror by HTTP, and of one that is a directory."""
        for said in ("E: Failed to fetch http://m.example/x.deb  404  Not Found [IP: 192.0.2.1 80]",
                     "E: Failed to fetch http://m.example/x.deb  410  Gone",
                     "E: Failed to fetch file:/srv/x.deb  File not found - /srv/x.deb (2: No such file or directory)"):
            self.assertTrue(apt.is_gone(said), said)
        for said in ("E: Failed to fetch http://m.example/x_6.1.404.deb  503  Service Unavailable", "E: Connection timed out",
                     ""):
            self.assertFalse(apt.is_gone(said), said)


if __name__ == "__main__":
    unittest.main()
