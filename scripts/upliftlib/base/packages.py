# SPDX-License-Identifier: GPL-2.0-only
"""Which package has a program, by the names of Debian, of Fedora and RHEL, and of SUSE: what to type when it is missing."""

import re
from collections.abc import Iterable

# {program: package of Debian's, of Fedora's and RHEL's, of SUSE's}
NAMES = {
    "gcc": ("gcc", "gcc", "gcc"), "make": ("make", "make", "make"), "git": ("git", "git", "git"),
    "spatch": ("coccinelle", "coccinelle", "coccinelle"), "python3": ("python3", "python3", "python311"),
    "depmod": ("kmod", "kmod", "kmod"), "modinfo": ("kmod", "kmod", "kmod"), "modprobe": ("kmod", "kmod", "kmod"),
    "insmod": ("kmod", "kmod", "kmod"), "xz": ("xz-utils", "xz", "xz"), "zstd": ("zstd", "zstd", "zstd"),
    "gzip": ("gzip", "gzip", "gzip"), "tar": ("tar", "tar", "tar"), "cpio": ("cpio", "cpio", "cpio"),
    "openssl": ("openssl", "openssl", "openssl"), "unshare": ("util-linux", "util-linux", "util-linux"),
    "setpriv": ("util-linux", "util-linux", "util-linux"), "mount": ("mount", "util-linux", "util-linux"),
    "mkfs.ext4": ("e2fsprogs", "e2fsprogs", "e2fsprogs"), "mkfs.xfs": ("xfsprogs", "xfsprogs", "xfsprogs"),
    "mmdebstrap": ("mmdebstrap", "mmdebstrap", ""), "dpkg-deb": ("dpkg", "dpkg", ""), "apt-get": ("apt", "apt", ""),
    "objdump": ("binutils", "binutils", "binutils"),
    "bash": ("bash", "bash", "bash"), "sh": ("dash", "bash", "bash"),
}
_INSTALL = ("apt-get install", "dnf install", "zypper install")
_HEADERS = ("linux-headers-{}", "kernel-devel-{}", "kernel-default-devel")


def _family() -> int:
    """Which of the columns are this machine's, by /etc/os-release."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            said = " ".join(re.findall(r'^(?:ID|ID_LIKE)="?([^"\n]*)', file.read(), re.MULTILINE)).split()
    except OSError:
        return 0
    if {"fedora", "rhel", "centos"} & set(said):
        return 1
    return 2 if any(word.startswith(("suse", "sles", "opensuse")) for word in said) else 0


def install(programs: Iterable[str]) -> str:
    """What to type to have programs; "" where no package of them is known here."""
    family = _family()
    names = dict.fromkeys(name for program in programs if (name := NAMES.get(program, ("", "", ""))[family]))
    return f"{_INSTALL[family]} {' '.join(names)}" if names else ""


def headers(release: str) -> str:
    """What to type to have a kernel's headers."""
    family = _family()
    return f"{_INSTALL[family]} {_HEADERS[family].format(release)}"


def libc() -> str:
    """The package with the C library's headers."""
    return ("libc6-dev", "glibc-devel", "glibc-devel")[_family()]


def source(series: str, release: str) -> str:
    """What to type to have a kernel's source."""
    return (f"apt-get install linux-source-{series}", f"dnf download --source kernel-{release}",
            "zypper install kernel-source")[_family()]


def missing(program: str) -> str:
    """A line about a program that is not here."""
    words = install([program])
    return f"no program '{program}' here" + (f": {words}" if words else "")
