# SPDX-License-Identifier: GPL-2.0-only
"""Our modules on the running kernel: find, load, ask and unload them."""

import contextlib
import ctypes
import errno
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from ..base import console, errors, paths
from ..kernel import elf
from ..report import record
from . import undo


DEBUG = pathlib.Path("/sys/kernel/debug")
UPLIFT = DEBUG / "uplift"
CORE = "uplift"
_INIT_MODULE = {"x86_64": 175, "aarch64": 105}
_FINIT_MODULE = {"x86_64": 313, "aarch64": 273}
KINDS = {errno.EEXIST: "native", errno.ENODEV: "unaffected"}

_libc = ctypes.CDLL(None, use_errno=True)


def read(path: pathlib.Path | str, default: str = "") -> str:
    """A small file's text, stripped; the default where it cannot be read."""
    try:
        return pathlib.Path(path).read_text(errors="replace").strip()
    except OSError:
        return default


class Refused(Exception):
    """The kernel did not take a module: errno, and what the module said in the log."""

    def __init__(self, number: int, lines: list[str]) -> None:
        self.number, self.lines = number, lines
        super().__init__(f"{errno.errorcode.get(number, number)}: {lines[-1] if lines else os.strerror(number)}")


def places(release: str) -> list[pathlib.Path]:
    """Where a module may be: what was built, then what was installed; a guest of the lab has them in /modules."""
    own = os.environ.get("UPLIFT_KO_DIR")
    found = [pathlib.Path(own)] if own else []
    found += sorted((paths.TOP / "modules").glob("*/"))
    found += sorted((paths.MODULES / release / "modules").glob("*/"))
    tree = pathlib.Path("/lib/modules") / release
    found += [tree / name for name in ("updates", "updates/dkms", "updates/uplift", "extra")]
    return [*found, pathlib.Path("/modules")]


def find(module: str, release: str | None = None) -> tuple[pathlib.Path | None, list[str]]:
    """(path of the module built for this kernel or None, [those that are there and built for another])."""
    release = release or os.uname().release
    others: list[str] = []
    for place in places(release):
        for path in sorted(place.glob(f"{module}.ko*")):
            if not re.fullmatch(rf"{module}\.ko(\.(xz|gz|zst))?", path.name):
                continue
            built_for = elf.built_for(elf.module(path))
            if built_for == release:
                return path, others
            others.append(f"{path} (for {built_for or 'an unknown kernel'})")
    return None, others


def loaded(module: str) -> bool:
    """Is it?"""
    return re.search(rf"(?m)^{module} ", read("/proc/modules")) is not None


def load(path: pathlib.Path, parameters: str = "") -> None:
    """Load a module file; Refused with its words if the kernel does not take it."""
    machine = os.uname().machine
    if machine not in _INIT_MODULE:
        raise errors.Problem(f"do not know how to load a module on {machine}")
    name = path.name.partition(".")[0]
    with _log() as log:
        if path.suffix == ".ko":
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            failed = _libc.syscall(_FINIT_MODULE[machine], fd, parameters.encode(), 0)
            number = ctypes.get_errno()
            os.close(fd)
        else:
            data = elf.module(path)
            failed = _libc.syscall(_INIT_MODULE[machine], data, ctypes.c_ulong(len(data)), parameters.encode())
            number = ctypes.get_errno()
        if failed:
            raise Refused(number, log(name))


@contextlib.contextmanager
def _log() -> Iterator[Callable[[str], list[str]]]:
    """Yields a function: what a module has logged since."""
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        yield lambda name: []
        return
    os.lseek(fd, 0, os.SEEK_END)

    def said(name: str) -> list[str]:
        lines: list[str] = []
        while True:
            try:
                entry = os.read(fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return lines
            except BrokenPipeError:
                continue	# the log has overtaken us
            text = entry.partition(";")[2].partition("\n")[0]
            if text.startswith(f"{name}: "):
                lines.append(text.removeprefix(f"{name}: "))

    try:
        yield said
    finally:
        os.close(fd)


def debugfs(back: undo.Undo) -> None:
    """Mount debugfs for the time being if it is not."""
    if re.search(r"(?m)^\S+ /sys/kernel/debug debugfs ", read("/proc/self/mounts")):
        return
    back.add("umount", DEBUG)
    if _libc.mount(b"debugfs", str(DEBUG).encode(), b"debugfs", 0, None):
        console.warn(f"debugfs cannot be mounted: {os.strerror(ctypes.get_errno())}")


def ensure(module: str, back: undo.Undo, parameters: str = "", release: str | None = None) -> None:
    """Load a module if it is not; unloaded when `back` ends. Raises Refused, or FileNotFoundError without one."""
    if loaded(module):
        return
    path, others = find(module, release)
    if path is None:
        raise FileNotFoundError(errno.ENOENT, f"no {module}.ko for this kernel"
                                + (f"; there is {others[0]}" if others else ""), f"{module}.ko")
    back.add("unload", module)
    load(path, parameters)


def stats(change: str) -> dict[str, str]:
    """{key: value} of a redirected change's file stats."""
    found = {}
    for line in read(UPLIFT / change / "stats").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found[key.strip()] = value.strip()
    return found


def verdict(change: str) -> record.Verdict | None:
    """{"kind", "evidence"} as a loaded module says it; None where it says nothing."""
    lines = read(UPLIFT / change / "verdict").splitlines()
    return {"kind": lines[0], "evidence": lines[1:], "from": "module"} if lines else None


def of_refusal(refused: Refused) -> record.Verdict:
    """The verdict that a refusal to load is."""
    said = refused.lines[-1] if refused.lines else ""
    word, colon, rest = said.partition(": ")
    name = errno.errorcode.get(refused.number, str(refused.number))
    if colon and word in ("native", "unaffected", "unsupported"):
        return {"kind": word, "evidence": [rest], "from": "module", "errno": name}
    return {"kind": KINDS.get(refused.number, "unsupported"),
            "evidence": [said or os.strerror(refused.number)], "from": "module", "errno": name}


def could_not(names: str) -> bool:
    """Refusals that are not a verdict of ours: signatures, lockdown, another kernel's module."""
    return names in ("EKEYREJECTED", "EPERM", "ENOKEY", "EBADMSG", "EACCES")


def unload(*names: str) -> None:
    """At once, for callers that need to know that it worked."""
    for name in names:
        undo.unload(name)
