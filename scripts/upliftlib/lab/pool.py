# SPDX-License-Identifier: GPL-2.0-only
"""Files that no index lists any more, in the archive's pool: what they are called, and where they lie.

An index keeps the images of versions that it has left behind, but not their headers, modules and source. Those lie on
in the pool, under names that follow from the image's. A mirror need not list its directories, so each is asked for by
its exact name.
"""

import re

from ..base import architectures
from ..base.architectures import Architecture

ORIGIN = "the archive's pool; no signed index lists it"
IMAGE = re.compile(r"linux-(?:image|binary|binary-unsigned)-(?P<release>\d[\w.+]*(?:-\d+)?(?:-cloud|-rt)?-(?:amd64|arm64))")
LAST_WITH_OWN_RT = (6, 12)	# later real-time kernels share the common headers


class Names:
    """What the packages of a release are called: 6.12.117+deb13-rt-amd64, or 6.1.0-56-amd64."""

    def __init__(self, release: str, depends: str = "") -> None:
        """@depends: what linux-headers-RELEASE depends on, where an index says it"""
        self.arch = architectures.of_release(release)
        flavoured = release.removesuffix(f"-{self.arch.debian}")
        self.release, self.depends = release, depends
        self.real_time = flavoured.endswith("-rt")
        self.base = flavoured.removesuffix("-rt").removesuffix("-cloud")
        self.series = [int(number) for number in re.findall(r"\d+", release)[:2]]

    @property
    def headers(self) -> str:
        """What is the release's own."""
        return f"linux-headers-{self.release}"

    @property
    def common(self) -> str:
        """What its flavours share."""
        if found := re.search(r"linux-headers-[\w.+-]+-common(?:-rt)?\b", self.depends):
            return found[0]
        own = self.real_time and tuple(self.series) <= LAST_WITH_OWN_RT
        return f"linux-headers-{self.base}-common" + ("-rt" if own else "")

    @property
    def kbuild(self) -> str:
        """The programs that build modules."""
        if found := re.search(r"linux-kbuild-[\w.+]+", self.depends):
            return found[0]
        # up to 6.1 one of them served all releases of a series
        return "linux-kbuild-" + re.sub(r"^(\d+\.\d+)\.0-\d+$", r"\1", self.base)

    @property
    def source(self) -> str:
        """The patched tree."""
        return f"linux-source-{'.'.join(map(str, self.series))}"


def _arch(package: str, arch: Architecture) -> str:
    """kbuild's programs are the build root's: they run here, whatever they build for."""
    if package.startswith("linux-kbuild-"):
        return architectures.X86_64.debian
    return "all" if re.search(r"-common(-rt)?$|^linux-source-", package) else arch.debian


def beside(image: str, package: str, version: str, arch: Architecture = architectures.X86_64) -> str | None:
    """Where a package lies that was built with the image at this URI; None where that is no directory of a pool's.

    The signed image is of the source package linux-signed-amd64, all others of linux.
    """
    match = re.fullmatch(r"(.*/pool/.*/l/)linux(?:-signed-\w+)?/[^/]+", image)
    return f"{match[1]}linux/{package}_{version}_{_arch(package, arch)}.deb" if match else None
