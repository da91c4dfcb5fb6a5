# SPDX-License-Identifier: GPL-2.0-only
"""A workload in a guest of a stock kernel, and how many instructions it has each function of the kernel execute."""

from __future__ import annotations

import collections
import dataclasses
import shlex
from collections.abc import Callable, Iterable, Mapping

from ..base import console, errors, paths
from ..find import profile
from . import buildroot, guest, kernels, plugins, servers, testprograms
from .cachelines import Symbols

OUT = paths.BUILD / "find"
TIMEOUT = 900.0
_DIR = "/tmp"


@dataclasses.dataclass(frozen=True)
class Workload:
    """script: for the guest's shell, with `workload` counting; disk: on a file system of its own; packages: a set of the build root's

    made: of a server: gives its script, programs and files, once the packages are there
    """
    about: str
    script: str = ""
    disk: str = ""
    packages: str = "run"
    made: Callable[[], tuple[str, list[str], dict[str, paths.Path]]] | None = None


def _load(name: str, times: int, where: str = _DIR) -> str:
    return f"exec /selftests/workload --dir {where} {name} {times}"


LOADS: Mapping[str, Workload] = {
    "server": Workload("a server that waits for 64 descriptors", _load("server", 300)),
    "direct": Workload("direct reads of 4 KiB, XFS", _load("direct", 2000, "/mnt"), disk="xfs", packages="io"),
    "buffered": Workload("reads out of the page cache, ext4", _load("buffered", 5000, "/mnt"), disk="ext4", packages="io"),
    "create": Workload("files made, written and removed, ext4", _load("create", 500, "/mnt"), disk="ext4", packages="io"),
    "fork": Workload("fork, exit and wait", _load("fork", 200)),
    "exec": Workload("vfork, execve, exit and wait", _load("exec", 100)),
    "tcp": Workload("4 KiB through TCP over loopback", _load("tcp", 1000)),
    "pipe": Workload("bytes through a pipe that is polled", _load("pipe", 4000)),
    "filesystems": Workload("/proc/filesystems is read", _load("filesystems", 800)),
    "web": Workload("nginx, asked by wrk for a page of 4 KiB", packages="web", made=servers.web),
    "database": Workload("PostgreSQL on ext4, asked by pgbench", disk="ext4", packages="database", made=servers.database),
}

_DISK = r"""
modprobe brd rd_nr=1 rd_size=327680 && mkfs.@FS@ -q /dev/ram0 && mkdir -p /mnt && mount -t @FS@ /dev/ram0 /mnt || exit 10
"""
_AROUND = r"""
mkdir -p /tmp
ip link set lo up 2>/dev/null
@DISK@
( @SCRIPT@
)
status=$?
cat /proc/kallsyms >/out/kallsyms
exit $status
"""


def counted(lines: Iterable[str], symbols: Symbols) -> dict[str, float]:
    """{function: instructions} of the plugin's text."""
    found: dict[str, float] = collections.defaultdict(float)
    whole = False
    for line in lines:
        kind, *words = line.split()
        if kind == "block":
            name = symbols.name(int(words[0], 16), True)
            if name:
                found[name.partition(" ")[0].removeprefix("__pfx_")] += int(words[1]) * int(words[2])
        whole = whole or kind == "end"
    if not whole:
        raise errors.Problem("the plugin's record is cut off: did the guest crash?")
    if not found:
        raise errors.Problem("nothing was counted: did the workload run at all?")
    return found


def own(words: list[str]) -> Workload:
    """A command of the user's, counted whole."""
    return Workload(shlex.join(words), f"exec /selftests/workload -- {shlex.join(words)}")


def trace(target: kernels.Target, load: Workload, name: str, files: Mapping[str, paths.Path] | None = None,
          programs: Iterable[str] = ()) -> tuple[profile.Profile, frozenset[str]]:
    """(what was counted, the names of the kernel's functions) of a workload. The same in two boots."""
    buildroot.ensure(*{"run", load.packages})
    tests, plugin = testprograms.build(guest.arch_of(target)), plugins.build("blocks")
    record = paths.ensure(OUT) / f"{target.name}-{name}.blocks"
    record.unlink(missing_ok=True)
    asked, tools, more = load.made() if load.made else (load.script, [], {})
    disk = _DISK.replace("@FS@", load.disk) if load.disk else ""
    script = _AROUND.replace("@DISK@", disk).replace("@SCRIPT@", asked)
    tools += [f"/usr/sbin/mkfs.{load.disk}"] if load.disk else []
    with console.doing(f"counting instructions of {name} on {target.release}"):
        result = guest.boot(target, script, files={"/selftests/workload": tests / "workload", **more, **(files or {})},
                            modules=["brd", load.disk] if load.disk else [],
                            programs=[*tools, *programs], icount=True, mem="2G" if load.disk else None,
                            append="nokaslr cryptomgr.notests", plugins=[f"{plugin},out={record}"], timeout=TIMEOUT,
                            name=f"{target.name}-find-{name}")
    if not result.ok:
        raise errors.Problem(f"{target.name}: {name}: {result.problem()} ({result.console})")
    lines = (result.outdir / "kallsyms").read_text().splitlines()
    with open(record, encoding="ascii") as file:
        counts = counted(file, Symbols(lines))
    record.unlink()
    found = profile.made(name, "instructions", counts)
    found.workload, found.release = load.about, target.release
    return found, functions_of(lines)


def functions_of(lines: Iterable[str]) -> frozenset[str]:
    """The names of functions in /proc/kallsyms."""
    return frozenset(profile.base(words[2]) for words in map(str.split, lines) if words[1] in "tTwW")
