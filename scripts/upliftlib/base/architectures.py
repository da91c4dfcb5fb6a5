# SPDX-License-Identifier: GPL-2.0-only
"""The architectures of kernels: what each is called, and what builds and boots its kernels.

All that differs between architectures is here, in generator/a64.py and objectbody.py (object code), in lab/guest/machines.py
(QEMU) and in modules/compat/<arch>/; docs/design.md, "Architectures", has the list. A target of an architecture other than x86-64 has it in its name: 6.18-arm64.
"""

import dataclasses

from . import errors


@dataclasses.dataclass(frozen=True)
class Architecture:
    """@name: in a target's name, and of make's ARCH=
    @debian: as Debian's packages have it
    @kernel: the kernel's own ARCH=
    @directory: below arch/ of the kernel's source
    @uname: what `uname -m` says
    @triplet: of the GNU tools
    @machine: e_machine of an ELF file
    @image: what its build makes of a kernel, below the build directory
    @loader: of its dynamic programs
    """
    name: str
    debian: str
    kernel: str
    directory: str
    uname: str
    triplet: str
    machine: int
    image: str
    loader: str

    @property
    def native(self) -> bool:
        """Do its kernels need nothing named when they are built here?"""
        return self is X86_64

    @property
    def make(self) -> list[str]:
        """What the kernel's make has to be told to build for it on another machine."""
        return [] if self.native else [f"ARCH={self.kernel}", f"CROSS_COMPILE={self.triplet}-"]

    def tool(self, name: str) -> str:
        """A compiler or one of binutils' programs for it, as it is called in the build root."""
        return name if self.native else f"{self.triplet}-{name}"


X86_64 = Architecture("x86_64", "amd64", "x86_64", "x86", "x86_64", "x86_64-linux-gnu", 62, "arch/x86/boot/bzImage",
                      "/lib64/ld-linux-x86-64.so.2")
ARM64 = Architecture("arm64", "arm64", "arm64", "arm64", "aarch64", "aarch64-linux-gnu", 183, "arch/arm64/boot/Image",
                     "/lib/ld-linux-aarch64.so.1")
ALL = {arch.name: arch for arch in (X86_64, ARM64)}
OTHERS = tuple(arch for arch in ALL.values() if not arch.native)	# which a target's name tells


def named(name: str) -> Architecture:
    """The architecture of a name that the user gave."""
    for arch in ALL.values():
        if name in (arch.name, arch.debian, arch.uname):
            return arch
    raise errors.Problem(f"no architecture '{name}'; there are: {' '.join(ALL)}", errors.USAGE)


def of_release(release: str) -> Architecture:
    """That of a kernel, by what Debian's `uname -r` says; x86-64 where it does not say."""
    return next((arch for arch in OTHERS if release.endswith(f"-{arch.debian}")), X86_64)


def of_uname(machine: str) -> str:
    """The name of what `uname -m` says; that itself where uplift does not know it."""
    return next((arch.name for arch in ALL.values() if arch.uname == machine), machine)


def of_machine(machine: int) -> Architecture | None:
    """That of an ELF file, by its e_machine; None for one that uplift does not know."""
    return next((arch for arch in ALL.values() if arch.machine == machine), None)


def split(name: str) -> tuple[str, Architecture]:
    """(name of a target without its architecture, the architecture): 6.18-arm64."""
    for arch in OTHERS:
        if name.endswith(f"-{arch.name}"):
            return name.removesuffix(f"-{arch.name}"), arch
    return name, X86_64
