# SPDX-License-Identifier: GPL-2.0-only
"""What a target consists of in Debian's archive today: which files, where each is, and what vouches for it.

A suite's signed index has name, size and SHA256 of what it lists. What it no longer lists lies in the archive's pool:
pinned in scripts/targets.toml, or, for a kernel that is named by its version, found by its name (pool.py).
"""

import bisect
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..base import errors, paths, targets
from ..base.architectures import Architecture
from . import apt, pool

PINNED = "pinned in scripts/targets.toml"
BIG = 1_000_000		# bytes: the linux-image of a split kernel has 2 kB, and only depends on the others
_KBUILD = "linux-kbuild-"
NEAR = 3		# versions that are named on either side of one that cannot be had

Parts = dict[str, list["File"]]


@dataclasses.dataclass(frozen=True)
class File:
    """One file of the archive."""
    package: str
    version: str
    uri: str
    size: int		# 0 and "" where nothing tells them before it is here
    sha256: str
    origin: str		# what vouches for it

    @property
    def name(self) -> str:
        """The file's own name, as the cache has it."""
        return self.uri.rsplit("/", 1)[1]

    @property
    def path(self) -> pathlib.Path:
        """Where it is once it is here."""
        return paths.CACHE / self.name

    @property
    def vouched(self) -> bool:
        """Does a signed index, or a pin, say what is in it?"""
        return bool(self.sha256)


@dataclasses.dataclass
class Plan:
    """What a target consists of today."""
    spec: targets.Spec
    release: str
    version: str
    parts: Parts	# "image" -> files; modules come with the image up to 6.18

    def files(self, parts: Iterable[str]) -> list[File]:
        """What has to be here for these parts, each once."""
        wanted = [part for part in self.parts if part in parts]
        if "modules" in wanted and not self.parts["modules"]:
            wanted.append("image")
        return list(dict.fromkeys(file for part in wanted for file in self.parts[part]))


@dataclasses.dataclass(frozen=True)
class Image:
    """A package with a kernel's image."""
    package: str
    release: str
    version: str

    def rank(self) -> tuple[Any, ...]:
        """The greatest is the one to take: the newest, and of one version the signed one, which machines run."""
        return apt.version_key(self.version), "-unsigned-" not in self.package, self.package

    @property
    def upstream(self) -> str:
        """The version before Debian's revision."""
        return self.version.partition("-")[0]


class Index:
    """The kernel's packages in a suite."""

    def __init__(self, suite: str, packages: list[dict[str, str]], uri: str) -> None:
        self.suite, self.uri = suite, uri
        self.known: dict[str, dict[str, dict[str, str]]] = {}
        for package in packages:
            self.known.setdefault(package["Package"], {})[package["Version"]] = package

    def file(self, package: str, version: str) -> File | None:
        """A package's file; None where the index has no such version of it."""
        entry = self.known.get(package, {}).get(version)
        if not entry:
            return None
        return File(package, version, f"{self.uri}/{entry['Filename']}", int(entry["Size"]), entry["SHA256"],
                    f"signed index of {self.suite}")

    def newest(self, package: str) -> File | None:
        """The file of a package's newest version."""
        versions = self.known.get(package)
        return self.file(package, max(versions, key=apt.version_key)) if versions else None

    def depends(self, package: str, version: str) -> str:
        """What a package says that it depends on."""
        return self.known.get(package, {}).get(version, {}).get("Depends", "")

    def images(self) -> Iterator[Image]:
        """All packages that have a kernel in them."""
        for name, versions in self.known.items():
            if match := pool.IMAGE.fullmatch(name):
                yield from (Image(name, match["release"], version) for version, package in versions.items()
                            if int(package["Size"]) > BIG)


class _Sources:
    """Where the files of one kernel are looked for: an index, the pins, then, if that is allowed, the pool."""

    def __init__(self, spec: targets.Spec, index: Index, image: Image, of_pool: bool) -> None:
        self.spec, self.index, self.image, self.of_pool = spec, index, image, of_pool
        depends = index.depends(f"linux-headers-{image.release}", image.version)
        self.names = pool.Names(image.release, depends)

    def get(self, package: str, loose: bool = False) -> File:
        """A package of the image's version. LookupError names one that is nowhere.

        loose: another version serves as well, as of linux-kbuild-6.1, on which headers depend with >=
        """
        version = self.image.version
        found = self.index.file(package, version) or (self.index.newest(package) if loose else None)
        if not found and (pin := self.spec.pool.get(package)):
            return File(package, version, f"{self.index.uri}/{pin.path}", pin.size, pin.sha256, PINNED)
        if not found and self.of_pool:
            found = self._beside(package)
        if not found:
            raise LookupError(package)
        return found

    def _beside(self, package: str) -> File | None:
        """Beside the image, in the directory of the source package that it is built from."""
        image = self.index.file(self.image.package, self.image.version)
        where = pool.beside(image.uri, package, self.image.version, self.spec.arch) if image else None
        return File(package, self.image.version, where, 0, "", pool.ORIGIN) if where else None

    def optional(self, package: str) -> list[File]:
        """The same, none where there is none."""
        try:
            return [self.get(package)]
        except LookupError:
            return []

    def parts(self) -> Parts:
        """The files of the kernel by what they are for. LookupError names the package that is nowhere."""
        release, package, names = self.image.release, self.image.package, self.names
        split = not package.startswith("linux-image-")
        source = self.optional(names.source)	# where it lacks, that is said when it is wanted
        return {
            "image": [self.get(package)] + ([self.get(f"linux-base-{release}")] if split else []),
            "modules": [self.get(f"linux-modules-{release}")] if split else [],
            "headers": [self.get(names.headers), self.get(names.common), self.get(names.kbuild, loose=True)],
            "source": source,
            "slice": source,
        }


def _candidates(spec: targets.Spec, index: Index) -> list[Image]:
    """The images of an index that a target may be, best first; a pinned one is there whatever the index says."""
    pinned = [Image(name, match["release"], spec.version) for name in spec.pool if (match := pool.IMAGE.fullmatch(name))]
    for known in (index.images(), pinned):
        if found := [image for image in known if spec.fits(image.release, image.version)]:
            return sorted(found, key=Image.rank, reverse=True)
    return []


def _from(spec: targets.Spec, index: Index, of_pool: bool) -> tuple[Plan | None, str]:
    """(Plan, "") or (None, why not) from one index."""
    reason = ""
    for image in _candidates(spec, index):
        try:
            return Plan(spec, image.release, image.version, _Sources(spec, index, image, of_pool).parts()), ""
        except LookupError as error:
            reason = reason or f"{index.suite} has {image.package} but not its {error.args[0]}"
    return None, reason or f"{index.suite} has no such kernel"


def near(spec: targets.Spec, indexes: Iterable[Index]) -> str:
    """The versions around one that cannot be had, in words; of the same flavour."""
    wanted = spec.upstream or spec.name.partition("+")[0]
    found = {image.upstream for index in indexes for image in index.images()
             if spec.upstream == "" or dataclasses.replace(spec, upstream="").fits(image.release, image.version)}
    known = sorted(found - {wanted}, key=apt.version_key)
    place = bisect.bisect([apt.version_key(version) for version in known], apt.version_key(wanted))
    around = known[max(0, place - NEAR):place + NEAR]
    return f"; the versions nearest to it: {' '.join(around)}" if around else ""


def _packages(suite: Callable[..., dict[str, Any]], name: str, arch: Architecture) -> list[dict[str, str]]:
    """What a suite has for an architecture. The programs that build modules (kbuild) run here, so they are ours."""
    here: list[dict[str, str]] = suite(name)["packages"]
    if arch.native:
        return here
    theirs: list[dict[str, str]] = suite(name, arch.debian)["packages"]
    return [package for package in here if package["Package"].startswith(_KBUILD)] + \
        [package for package in theirs if not package["Package"].startswith(_KBUILD)]


def _indexes(spec: targets.Spec, suite: Callable[..., dict[str, Any]], site: Callable[[str], str],
             reasons: list[str]) -> Iterator[Index]:
    """The indexes that a target is looked for in; why one cannot be read is added to the reasons."""
    for name in spec.suites:
        try:
            yield Index(name, _packages(suite, name, spec.arch), site(name))
        except errors.Problem as problem:
            reasons.append(str(problem))
    if spec.pool:
        # not even the image is listed any more; the pins stand alone
        yield Index(spec.suites[-1], [], site(spec.suites[-1]))


def plan(spec: targets.Spec, suite: Callable[..., dict[str, Any]] = apt.suite,
         site: Callable[[str], str] = apt.site) -> Plan:
    """Where each of a target's files is. Skip when it cannot be had."""
    reasons: list[str] = []
    seen = []
    for index in _indexes(spec, suite, site, reasons):
        found, reason = _from(spec, index, of_pool=False)
        if found:
            return found
        seen.append(index)
        reasons.append(reason)
    if spec.by_version:
        # only now: what an index vouches for in another suite is worth more
        return _of_pool(spec, seen, reasons)
    raise errors.Skip(f"target {spec.name} cannot be had: " + "; ".join(reasons))


def _of_pool(spec: targets.Spec, indexes: list[Index], reasons: list[str]) -> Plan:
    """The Plan of a kernel whose image is still listed, and the rest of which is not."""
    for index in indexes:
        if found := _from(spec, index, of_pool=True)[0]:
            return found
    suites = " ".join(index.suite for index in indexes)
    unread = [f"; {reason}" for reason in reasons if reason.startswith("cannot read")]
    raise errors.Skip(f"{spec.name} is in none of the suites {suites or 'there are'}" + near(spec, indexes) + "".join(unread))


def nearest(spec: targets.Spec, suite: Callable[..., dict[str, Any]] = apt.suite,
            site: Callable[[str], str] = apt.site) -> str:
    """Versions like one of which a file cannot be had, in words."""
    return near(spec, _indexes(spec, suite, site, []))
