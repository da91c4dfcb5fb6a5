# SPDX-License-Identifier: GPL-2.0-only
"""`uplift try PATCH` on the running kernel: what it is built of, and the run, after which nothing is left of it."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import re
import subprocess
from collections.abc import Iterator

from ..base import errors, paths
from ..generator import identity
from ..host import loader, programs, undo
from ..kernel import kallsyms, notes
from . import buildroot, fetch, kernels, kmod, testprograms
from .kernelcode import KernelCode, _listed, need_gcc

BOOT, USR = pathlib.Path("/boot"), pathlib.Path("/usr/src")
MODULES = pathlib.Path("/lib/modules")
NOTES, KALLSYMS = pathlib.Path("/sys/kernel/notes"), pathlib.Path("/proc/kallsyms")
NAME = "here"


def release() -> str:
    return os.uname().release


def running_build_id() -> bytes:
    """Of the running kernel, as it says itself."""
    try:
        return notes.build_id(NOTES.read_bytes())
    except OSError:
        return b""


class HereCode(KernelCode):
    """The code of the running kernel. What it takes is looked for when it is needed: a module that has been built for a
    patch needs none of it."""

    def __init__(self, kdir: str | None = None, ksrc: str | None = None) -> None:
        buildroot.need_root()
        self._kdir, self._ksrc = kdir, ksrc
        self.release = release()
        self.directory = paths.ensure(paths.BUILD / "try" / self.release)
        config = BOOT / f"config-{self.release}"
        self.target = kernels.Target(NAME, self.release, _version(), BOOT / f"vmlinuz-{self.release}", pathlib.Path("/"),
                                     config=config if config.exists() else None)

    # A KernelCode has these from the beginning.
    @functools.cached_property
    def kdir(self) -> pathlib.Path:	# type: ignore[override]
        found = pathlib.Path(self._kdir) if self._kdir else MODULES / self.release / "build"
        if not (found / "Makefile").exists():
            raise errors.Problem(f"no headers of the running kernel in {found}: apt-get install linux-headers-{self.release}, or "
                                 "give --kdir DIR; --target tries it on another kernel, in a guest", errors.USAGE)
        need_gcc(found)
        self._is_running()
        self.target.kdir = found.resolve()
        buildroot.ensure("run", kmod.wanted_compiler(self.target.kdir))
        return self.target.kdir

    @functools.cached_property
    def ksrc(self) -> pathlib.Path:	# type: ignore[override]
        for place in ([pathlib.Path(self._ksrc)] if self._ksrc else self._places()):
            if (place / "MAINTAINERS").exists() and (place / "Makefile").exists():
                self.target.ksrc = place.resolve()
                return self.target.ksrc
        if self._ksrc:
            raise errors.Problem(f"--ksrc {self._ksrc}: no whole source of a kernel there", errors.USAGE)
        series = ".".join(self.release.split(".")[:2])
        raise errors.Problem(f"no source of the running kernel is here: apt-get install linux-source-{series}, unpack "
                             f"/usr/src/linux-source-{series}.tar.xz and give --ksrc DIR; --target tries it on another kernel, "
                             "in a guest", errors.USAGE)

    def _places(self) -> Iterator[pathlib.Path]:
        """Where the source of the running kernel may be."""
        yield MODULES / self.release / "source"
        series = ".".join(self.release.split(".")[:2])
        yield USR / f"linux-source-{series}"
        for name in sorted(path.name for path in paths.SRC.glob("*")):
            if (fetch.on_disk(name) or {}).get("release") == self.release:
                yield paths.SRC / name

    def kernel_id(self) -> str:
        """The running kernel says it itself."""
        return f"{self.release} {running_build_id().hex()}"

    def own_source(self) -> str:
        return self._ksrc or ""

    def _is_running(self) -> None:
        """Is the image on disk the one that runs? After an update it is not, until the machine is booted anew."""
        image = self.target.vmlinuz
        assert image
        if not image.exists():
            raise errors.Problem(f"no {image}: the running kernel's code is compared with its image", errors.USAGE)

    def kernel(self) -> identity.Kernel:
        found = super().kernel()
        running = running_build_id()
        if running and found.build_id() != running:
            raise errors.Problem(f"{self.target.vmlinuz} is not the kernel that runs (build id {found.build_id().hex()[:12]}, and "
                                 f"{running.hex()[:12]} runs): boot it, or give --target", errors.USAGE)
        return found

    def _write_symbols(self, image: pathlib.Path, symbols: pathlib.Path) -> None:
        """The image's own list, or the running kernel's, moved to where the image is linked to."""
        try:
            symbols.write_text(_listed(image), encoding="ascii")
        except kallsyms.NotFound:
            symbols.write_text(moved(KALLSYMS.read_text(), identity.IMAGE + 0x1000000), encoding="ascii")


def moved(text: str, to: int) -> str:
    """Lines of /proc/kallsyms with _text at `to`; addresses of per-CPU data stay, and modules are left out."""
    start = re.search(r"^([0-9a-f]+) \w _text$", text, re.MULTILINE)
    if not start or not int(start[1], 16):
        raise errors.Problem("/proc/kallsyms shows no addresses: this needs root, and kernel.kptr_restrict below 2")
    by = to - int(start[1], 16)
    lines = []
    for line in text.splitlines():
        address, _, rest = line.partition(" ")
        if "[" not in rest:
            value = int(address, 16)
            lines.append(f"{value + by if value >= int(start[1], 16) else value:016x} {rest}\n")
    return "".join(lines)


def _version() -> str:
    """What the kernel says of its package: "6.18.15-1~bpo13+1"."""
    found = re.search(r"Debian (\S+)", loader.read("/proc/version"))
    return found[1] if found else release()


# ---------------------------------------------------------------------- the run

def need_loaded(modules: list[str]) -> None:
    """The kernel's modules whose functions a change replaces: loading them is not ours."""
    for name in modules:
        if not loader.loaded(name):
            raise errors.Problem(f"the module {name}, whose functions it changes, is not loaded here: modprobe {name}", errors.USAGE)


def where_programs_are() -> pathlib.Path:
    """Our measuring programs: installed, or built."""
    own = os.environ.get("UPLIFT_BENCH_DIR")
    if own or (pathlib.Path("/usr/libexec/uplift") / "panel_bench").exists():
        return programs.find("panel_bench").parent
    return testprograms.build()


@contextlib.contextmanager
def loaded(name: str, kos: list[pathlib.Path], ko: pathlib.Path) -> Iterator[undo.Undo]:
    """With the modules loaded: whatever ends the block, or us, the arm is off afterwards and they are gone."""
    module = f"uplift_{name}"
    if loader.loaded(module):
        raise errors.Problem(f"{module} is loaded: another try of this patch runs, or rmmod {module}")
    with undo.Undo() as back:
        loader.debugfs(back)
        try:
            for path in kos:
                if not loader.loaded(path.stem):
                    back.add("unload", path.stem)
                    loader.load(path)
            back.add("unload", module)
            back.add("write", loader.UPLIFT / name / "arm", "off")
            loader.load(ko)
        except loader.Refused as why:
            raise errors.Problem(f"the running kernel does not take the modules: {why}") from None
        yield back
    if not back.ok:
        raise errors.Problem(f"{module} could not be taken away again, see above")


# It begins once it is known whom to end.
_GATE = "read -r go || exit 130\nexec </dev/null\n"


def run(script: str, name: str, kos: list[pathlib.Path], ko: pathlib.Path) -> int:
    """The status of a script that runs on this machine while the modules are loaded. All that it has started ends before
    the arm is switched off: it may switch arms itself."""
    with loaded(name, kos, ko) as back:
        process = subprocess.Popen(["sh", "-c", _GATE + script], stdin=subprocess.PIPE, start_new_session=True)
        back.add("end", process.pid)
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.close()
        return process.wait()
