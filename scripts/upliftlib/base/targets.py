# SPDX-License-Identifier: GPL-2.0-only
"""The stock kernels that the lab knows: scripts/targets.toml, which says what its entries mean.

    TABLE      targets, oldest first
    VARIANTS   other flavours of them, on which some module must refuse: taken when they are named
    use()      which targets a part of the lab takes when none is named, best first
    spec()     the entry for a name; made up for any other kernel of Debian's that is named by its version
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from . import architectures, errors, paths
from .architectures import Architecture

FILE = paths.TOP / "scripts" / "targets.toml"
COMPILER = "gcc-14"	# what Debian 13 builds its kernels with

# How a kernel is named by its version: 7.0.13, 7.0 (the newest of these), 6.12.118-cloud, 6.12-rt, 7.3-rc7 ...
BY_VERSION = re.compile(r"(?P<series>\d+\.\d+)(?P<rest>\.\d+|[-~]rc\d+)?(?:-(?P<flavour>cloud|rt))?")
# ... or by what `uname -r` says there.
BY_RELEASE = re.compile(r"\d+\.\d+[\w.+-]*-(?:amd64|arm64)")
# What `uname -r` says of a flavour, "" for the one that machines run.
_RELEASE = r"\d[\w.+]*(?:-\d+)?{}-amd64"


@dataclasses.dataclass(frozen=True)
class PoolFile:
    """A file of the archive's pool that no index lists any more."""
    path: str
    size: int
    sha256: str

    @property
    def package(self) -> str:
        """The package's name, which a file's name begins with."""
        return self.path.rsplit("/", 1)[1].partition("_")[0]


@dataclasses.dataclass(frozen=True)
class Spec:
    """One entry of the table, or another kernel of Debian's."""
    name: str
    suites: tuple[str, ...]	# looked at in this order; the first that has the series wins
    release: str		# what `uname -r` says, as a pattern
    why: str
    version: str = ""		# only this package version (pinned targets)
    pool: Mapping[str, PoolFile] = dataclasses.field(default_factory=dict)	# package name -> file
    compiler: str = COMPILER
    reference: bool = False	# has the changes: shown to compare with
    variant_of: str = ""
    storm_without: str = ""	# jobs of the storm, see the table
    x86_64_only: str = ""	# why it is not taken for another architecture
    upstream: str = ""		# of one that is named by its version: "7.0.13", or "7.0" for the newest of these
    by_version: bool = False	# it is not in the table
    arch: Architecture = architectures.X86_64

    @property
    def series(self) -> str:
        """The two numbers, of a variant too: as Debian names the source."""
        return ".".join(re.findall(r"\d+", self.name)[:2])

    def fits(self, release: str, version: str) -> bool:
        """Is the package of this version, with a kernel of this release, what the entry stands for?"""
        upstream = version.partition("-")[0]
        return bool(re.fullmatch(self.release, release)) and self.version in ("", version) \
            and (not self.upstream or upstream == self.upstream or upstream.startswith(f"{self.upstream}."))


def _spec(name: str, entry: Mapping[str, Any], **more: Any) -> Spec:
    files = [PoolFile(**file) for file in entry.get("pool", ())]
    fields: dict[str, Any] = {**entry, **more}
    fields["suites"] = tuple(fields["suites"])
    fields["pool"] = {file.package: file for file in files}
    return Spec(name, **fields)


def _variant(name: str, entry: Mapping[str, Any], of: Spec) -> Spec:
    return _spec(name, {key: value for key, value in entry.items() if key != "of"}, suites=of.suites,
                 compiler=of.compiler, variant_of=of.name)


@dataclasses.dataclass(frozen=True)
class Table:
    """What the file says."""
    targets: dict[str, Spec]
    variants: dict[str, Spec]
    uses: dict[str, tuple[str, ...]]
    suites: tuple[str, ...]	# where kernels are looked for that are named by their version


def read(text: str) -> Table:
    """The Table of a file's text; Problem where it is not of that form."""
    try:
        data = tomllib.loads(text)
        table = {name: _spec(name, entry) for name, entry in data["target"].items()}
        variants = {name: _variant(name, entry, table[entry["of"]]) for name, entry in data.get("variant", {}).items()}
        uses = {key: tuple(names) for key, names in data["use"].items()}
        suites = tuple(data["by_version"]["suites"])
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise errors.Problem(f"{FILE}: {type(problem).__name__}: {problem}") from None
    for key, names in uses.items():
        if not names or set(names) - set(table):
            raise errors.Problem(f"{FILE}: [use] {key} names no target, or one that is not in the table")
    return Table(table, variants, uses, suites)


def _load() -> Table:
    try:
        return read(FILE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise errors.Problem(f"no {FILE}: is the tree whole?") from None


_FILE = _load()
TABLE, VARIANTS = _FILE.targets, _FILE.variants


def use(what: str) -> tuple[str, ...]:
    """The targets that a part of the lab takes when none is named, best first."""
    return _FILE.uses[what]


def of_arch(spec: Spec, arch: Architecture) -> Spec:
    """The same kernel for another architecture: its packages have the same names but for that."""
    if arch.native:
        return spec
    return dataclasses.replace(spec, name=f"{spec.name}-{arch.name}", release=spec.release.replace("amd64", arch.debian),
                               why=f"{spec.why}; {arch.name}", arch=arch)


def _by_version(name: str) -> Spec | None:
    """The Spec of a kernel that is named by its version or release; None if that is no such name."""
    if BY_RELEASE.fullmatch(name):
        return Spec(name, _FILE.suites, re.escape(name), "by its release", by_version=True,
                    arch=architectures.of_release(name))
    if match := BY_VERSION.fullmatch(name):
        flavour = f"-{match['flavour']}" if match["flavour"] else ""
        upstream = match["series"] + (match["rest"] or "").replace("-", "~")	# Debian's ~rc7 sorts before the release
        return Spec(name.replace("~", "-"), _FILE.suites, _RELEASE.format(flavour), "by its version", upstream=upstream,
                    by_version=True)
    return None


def spec(name: str) -> Spec:
    """The table's entry for a name, or a kernel of that version; a bad name says which are good."""
    base, arch = architectures.split(name)
    found = (TABLE | VARIANTS).get(base)
    if not found and BY_VERSION.fullmatch(base):
        found = _by_version(base)
    if found:
        return of_arch(found, arch)
    if found := _by_version(name):		# a release, which has the architecture in it
        return found
    raise errors.Problem(f"no target '{name}'; there are: {' '.join(TABLE)}, any other kernel of Debian's by its "
                         "version (7.0.13, 6.12.118-cloud), each for arm64 as well (6.18-arm64), and your own by "
                         "--kernel bzImage --modules DIR", errors.USAGE)


def listed(name: str) -> Spec:
    """The same, of a target of which is known what is to be expected there."""
    if architectures.split(name)[0] not in TABLE:
        raise errors.Problem(f"nothing is known of what verdicts are right on {name}; there are: {' '.join(TABLE)}",
                             errors.USAGE)
    return spec(name)
