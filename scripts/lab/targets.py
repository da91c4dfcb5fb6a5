# SPDX-License-Identifier: GPL-2.0-only
"""The stock kernels that the lab knows, and where each comes from.

How Debian packs a kernel (release R = 6.12.117+deb13-amd64, or 6.1.0-56-amd64):

  up to 6.18   linux-image-R has vmlinuz, config and all modules
  from 6.19    linux-image-R is 2 kB; linux-binary-R (signed) or linux-binary-unsigned-R has vmlinuz and config,
               linux-modules-R the modules
  always       linux-headers-R, linux-headers-<R without the flavour>-common, linux-kbuild-<...> for modules;
               linux-source-X.Y has the patched source

The newest version in the suites' index is taken. A backports index keeps the images of series that it has left
behind, but not their headers: those lie on in the archive's pool. Such a target is pinned: one release, and the
SHA256 of every file that no signed index vouches for. fetch.py checks them against the signed image as well.
"""

import dataclasses
import json
import pathlib
import re

from . import paths, say


@dataclasses.dataclass(frozen=True)
class Pool:
    """A file of the archive's pool that no index lists any more."""
    path: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Spec:
    """One line of the table."""
    name: str
    suites: tuple		# looked at in this order; the first that has the series wins
    release: str		# what `uname -r` says, as a pattern
    version: str = ""		# only this package version (pinned targets)
    pool: dict = dataclasses.field(default_factory=dict)	# package name -> Pool
    why: str = ""


_DEB13 = r"\+deb13(?:\.\d+)?-amd64"
_LINUX = "pool/main/l/linux/"

TABLE = {spec.name: spec for spec in (
    Spec("6.1", ("bookworm-security", "bookworm"), r"6\.1\.0-\d+-amd64",
         why="Debian 12"),
    Spec("6.12", ("trixie-security", "trixie"), r"6\.12\.\d+" + _DEB13,
         why="Debian 13; long-term"),
    Spec("6.18", ("trixie-backports",), r"6\.18\.15\+deb13-amd64", version="6.18.15-1~bpo13+1",
         why="long-term; all code changes apply"),
    Spec("7.1", ("trixie-backports",), r"7\.1\.13\+deb13-amd64", version="7.1.13-1~bpo13+1",
         why="the last before the filesystem list and iomap changes"),
    Spec("7.2", ("trixie-backports",), r"7\.2\.\d+" + _DEB13,
         why="reference: has the changes"),
    Spec("7.3", ("trixie-backports",), r"7\.3\.\d+" + _DEB13,
         why="reference: has the changes"),
)}

# What `make run` takes, best first, when nobody says which.
PREFERRED = ("6.18", "6.12", "7.1", "6.1")


def spec(name):
    """The table's line for a name; a bad name says which are good."""
    try:
        return TABLE[name]
    except KeyError:
        raise say.Problem(f"no target '{name}'; there are: {' '.join(TABLE)} "
                          "(another kernel: --kernel bzImage --modules DIR)", say.USAGE) from None


@dataclasses.dataclass
class Target:
    """A kernel on disk, ready to build for and to boot."""
    name: str			# "6.12"; "own" for a kernel that the user brought
    release: str		# "6.12.117+deb13-amd64"
    version: str		# the package's version
    vmlinuz: pathlib.Path = None
    moddir: pathlib.Path = None	# holds lib/modules/<release>, as `depmod -b` wants it
    kdir: pathlib.Path = None	# headers; the same path in the build root
    ksrc: pathlib.Path = None	# pristine source tree
    config: pathlib.Path = None
    provenance: list = dataclasses.field(default_factory=list)	# a dict per package

    _paths = ("vmlinuz", "moddir", "kdir", "ksrc", "config")

    def to_json(self):
        data = dataclasses.asdict(self)
        for key in self._paths:
            data[key] = str(data[key]) if data[key] else None
        return data

    @classmethod
    def from_json(cls, data):
        data = dict(data)
        for key in cls._paths:
            data[key] = pathlib.Path(data[key]) if data.get(key) else None
        return cls(**data)


def config_of(target):
    """The target's configuration: {"CONFIG_X": "y", ...}"""
    values = {}
    for line in target.config.read_text().splitlines():
        match = re.match(r"(CONFIG_\w+)=(.*)", line)
        if match:
            values[match[1]] = match[2].strip('"')
    return values


def version_key(version):
    """Sort key for Debian's kernel versions (dpkg's order: digits count, '~' comes before all)."""
    key = []
    for text, number in re.findall(r"(\D*)(\d*)", version):
        order = tuple(-1 if char == "~" else ord(char) + (0 if char.isalpha() else 256) for char in text)
        # a terminating 0 makes the end of the text sort after '~' and before everything else
        key.append((order + (0,), int(number or 0)))
    return key


def saved(name):
    """What fetch.py noted about a target that is on disk, or None."""
    try:
        return json.loads((paths.TARGETS / name / "info.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
