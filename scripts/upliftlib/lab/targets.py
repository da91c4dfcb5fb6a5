# SPDX-License-Identifier: GPL-2.0-only
"""The stock kernels that the lab knows, and where each comes from.

How Debian packs a kernel (release R = 6.12.117+deb13-amd64, or 6.1.0-56-amd64):

  up to 6.18   linux-image-R has vmlinuz, config and all modules
  from 6.19    linux-image-R is 2 kB; linux-binary-R (signed) or linux-binary-unsigned-R has vmlinuz and config,
               linux-modules-R the modules
  always       linux-headers-R, linux-headers-<R without the flavour>-common, linux-kbuild-<...> for modules;
               linux-source-X.Y has the patched source

The newest version in the suites' index is taken. A backports index keeps the images of series that it has left
behind, but not their headers and source: those lie on in the archive's pool (of the source package itself, .dsc and
patches are gone; the binary package linux-source-X.Y has the patched tree). Such a target is pinned: one release, and the
SHA256 of every file that no signed index vouches for. fetch.py checks them against the signed image as well.
"""

import dataclasses
import json
import pathlib
import re

from ..base import errors, paths


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
    expect: str = "applicable"	# the filesystem list's verdict: applicable, native (the kernel has the change), unsupported

    @property
    def series(self):
        """"6.12", of 6.12-rt too: as Debian names the source."""
        return self.name.partition("-")[0]


_DEB13 = r"\+deb13(?:\.\d+)?-amd64"
_LINUX = "pool/main/l/linux/"
_SIGNED = "pool/main/l/linux-signed-amd64/"

# What the pinned targets need; used for each file that the index does not list. The sums were taken from the
# archive in November 2026, after the checks that fetch.py makes (verify_against_image) had passed.
_POOL = {
    "6.18.15": {
        "linux-image-6.18.15+deb13-amd64":
            Pool(_SIGNED + "linux-image-6.18.15+deb13-amd64_6.18.15-1~bpo13+1_amd64.deb",
                 167422112, "d38a7af6260782a47cd615ad717347a528b45f076245b4deabb3f1ecf8459186"),
        "linux-headers-6.18.15+deb13-amd64":
            Pool(_LINUX + "linux-headers-6.18.15+deb13-amd64_6.18.15-1~bpo13+1_amd64.deb",
                 1718032, "1b19c975adf29e89c4cb2680e862db89b787fc5144a638b001854b075b4cc255"),
        "linux-headers-6.18.15+deb13-common":
            Pool(_LINUX + "linux-headers-6.18.15+deb13-common_6.18.15-1~bpo13+1_all.deb",
                 10756508, "a54ed9b3be5247fe2e003423e067cb8e8b06e4a44a09459b85cfec0afbcbd5ef"),
        "linux-source-6.18":
            Pool(_LINUX + "linux-source-6.18_6.18.15-1~bpo13+1_all.deb",
                 158400124, "1638c9e5f4307c722231d8000e30cd2fa2fb71f55e081ff9eecfd0a756955c18"),
        "linux-kbuild-6.18.15+deb13":
            Pool(_LINUX + "linux-kbuild-6.18.15+deb13_6.18.15-1~bpo13+1_amd64.deb",
                 1419108, "5e64129020cdb5effd6ed3895ca89608ef17bcf643eedfc8013dad89bab70a02"),
    },
    "7.1.13": {
        "linux-binary-7.1.13+deb13-amd64":
            Pool(_SIGNED + "linux-binary-7.1.13+deb13-amd64_7.1.13-1~bpo13+1_amd64.deb",
                 13787416, "454df41f72dbc25c02c7941055d1c8d2a0deb891b8d962241423e8ca4ab81d1e"),
        "linux-base-7.1.13+deb13-amd64":
            Pool(_LINUX + "linux-base-7.1.13+deb13-amd64_7.1.13-1~bpo13+1_amd64.deb",
                 1133372, "7676c768de8ac2e8936e402f72c577adff64080c099a5dea246112c7ae7710b2"),
        "linux-modules-7.1.13+deb13-amd64":
            Pool(_LINUX + "linux-modules-7.1.13+deb13-amd64_7.1.13-1~bpo13+1_amd64.deb",
                 158434164, "613b3e774eec036688ea3b3693d33de4ccb8d721ae10ab8697eb2854a99aadc8"),
        "linux-headers-7.1.13+deb13-amd64":
            Pool(_LINUX + "linux-headers-7.1.13+deb13-amd64_7.1.13-1~bpo13+1_amd64.deb",
                 1760312, "bd2d714da582917fa369e96a72dfaa8c724ea466e63c6e0cae79427b270c34f0"),
        "linux-headers-7.1.13+deb13-common":
            Pool(_LINUX + "linux-headers-7.1.13+deb13-common_7.1.13-1~bpo13+1_all.deb",
                 11092324, "99ee0b9248757cb9fc34e808f864296fce49fb66db5c37ee8b828babcc704572"),
        "linux-source-7.1":
            Pool(_LINUX + "linux-source-7.1_7.1.13-1~bpo13+1_all.deb",
                 162700552, "50166eae1af0dd300ad3f74e7829bb4bbff71038eb4934625c713d021eb03258"),
        "linux-kbuild-7.1.13+deb13":
            Pool(_LINUX + "linux-kbuild-7.1.13+deb13_7.1.13-1~bpo13+1_amd64.deb",
                 1492572, "85338bfdeb9c173262c65b0cb2f9e7d82f544aefbbdda4643b4a473cb22fbb74"),
    },
}

TABLE = {spec.name: spec for spec in (
    Spec("6.1", ("bookworm-security", "bookworm"), r"6\.1\.0-\d+-amd64",
         why="Debian 12"),
    Spec("6.12", ("trixie-security", "trixie"), r"6\.12\.\d+" + _DEB13,
         why="Debian 13; long-term"),
    Spec("6.18", ("trixie-backports",), r"6\.18\.15\+deb13-amd64", version="6.18.15-1~bpo13+1",
         pool=_POOL["6.18.15"],
         why="long-term; all code changes apply"),
    Spec("7.1", ("trixie-backports",), r"7\.1\.13\+deb13-amd64", version="7.1.13-1~bpo13+1",
         pool=_POOL["7.1.13"],
         why="the last without the changes"),
    Spec("7.2", ("trixie-backports",), r"7\.2\.\d+" + _DEB13,
         why="reference: has the changes", expect="native"),
    Spec("7.3", ("trixie-backports",), r"7\.3\.\d+" + _DEB13,
         why="reference: has the changes", expect="native"),
)}

# Kernels on which something of ours has to refuse. The lab takes them when they are named, and evaluates nothing there.
ODD = {spec.name: spec for spec in (
    Spec("6.12-rt", ("trixie-security", "trixie"), r"6\.12\.\d+\+deb13(?:\.\d+)?-rt-amd64",
         why="Debian 13's PREEMPT_RT", expect="unsupported"),
)}

# What `make run` takes, best first, when nobody says which.
PREFERRED = ("6.18", "6.12", "7.1", "6.1")


def spec(name):
    """The table's line for a name; a bad name says which are good."""
    try:
        return (TABLE | ODD)[name]
    except KeyError:
        raise errors.Problem(f"no target '{name}'; there are: {' '.join(TABLE)}, and to see it refuse {' '.join(ODD)} "
                          "(another kernel: --kernel bzImage --modules DIR)", errors.USAGE) from None


def evaluated(name):
    """The same, of a kernel that can be evaluated."""
    if name in ODD:
        raise errors.Problem(f"nothing is evaluated on {name}, which is there to see what refuses: scripts/uplift lab "
                          f"selftests {name}; to evaluate there are: {' '.join(TABLE)}", errors.USAGE)
    return spec(name)


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
