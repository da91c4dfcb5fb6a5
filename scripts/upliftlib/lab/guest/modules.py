# SPDX-License-Identifier: GPL-2.0-only
"""Kernel modules for a guest: stock ones with what they need, as kmod's modprobe says, and ours beside them."""

import pathlib
import subprocess
import tempfile
from collections.abc import Iterable, Sequence

from ...base import errors, paths
from ...kernel import elf
from ..initramfs import Archive

# What busybox's modprobe reads; the rest of what depmod writes is for kmod.
_TABLES = ("modules.dep", "modules.alias", "modules.symbols", "modules.builtin")


def _kmod(*argv: paths.Path) -> "subprocess.CompletedProcess[str]":
    """A program of kmod's, which shall know of no configuration but the kernel's own tables."""
    try:
        return subprocess.run([argv[0], "-C", "/dev/null", *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True)
    except FileNotFoundError:
        raise errors.Problem(f"no '{argv[0]}' here: run scripts/setup") from None


class StockModules:
    """The modules of one kernel. @base: holds lib/modules/RELEASE, as depmod -b takes it"""

    def __init__(self, base: pathlib.Path, release: str) -> None:
        self.base, self.release = base, release
        self.tree = base / "lib/modules" / release
        if not (self.tree / "modules.dep.bin").is_file():
            raise errors.Problem(f"no modules.dep in {self.tree}: depmod -b {base} {release} makes it")

    def names(self) -> set[str]:
        """Of all that there are as files."""
        return {elf.module_name(line.partition(":")[0]) for line in (self.tree / "modules.dep").read_text().splitlines()}

    def has(self, name: str) -> bool:
        """Is there such a module file?"""
        return elf.module_name(name) in self.names()

    def files(self, wanted: Sequence[str]) -> list[pathlib.Path]:
        """Files in loading order, with all that they need; a built-in module has none."""
        if not wanted:
            return []
        done = _kmod("modprobe", "-d", self.base.absolute(), "-S", self.release, "--show-depends", "-a", *wanted)
        if done.returncode:
            raise self._missing(wanted, done.stderr)
        lines = (line.split() for line in done.stdout.splitlines())
        return list(dict.fromkeys(pathlib.Path(words[1]) for words in lines if words[:1] == ["insmod"]))

    def plain(self, file: pathlib.Path) -> pathlib.Path:
        """Where a module's file is in the tree once it is decompressed."""
        path = pathlib.Path(str(file).partition(f"/lib/modules/{self.release}/")[2])
        return path.with_name(path.name.partition(".ko")[0] + ".ko")

    def _missing(self, wanted: Iterable[str], said: str) -> errors.Problem:
        names = self.names()
        for name in wanted:
            if f"Module {name} not found" in said:
                like = sorted(other for other in names if name[:4] in other)[:6] if len(name) > 3 else []
                return errors.Problem(f"{self.release} has no module '{name}'"
                                      + (f" (there are: {' '.join(like)})" if like else ""), errors.USAGE)
        return errors.Problem(f"modprobe does not tell what {' '.join(wanted)} of {self.release} need: {said.strip()}")


def _own(kos: Sequence[paths.Path], release: str) -> dict[str, bytes]:
    """{name: contents} of our modules, if they are for this kernel."""
    own = {}
    for ko in kos:
        own[elf.module_name(ko)] = data = elf.module(ko)
        built_for = elf.built_for(data)
        if built_for and built_for != release:
            raise errors.Problem(f"{pathlib.Path(ko).name} was built for {built_for}, the guest runs {release}")
    return own


def _needs(own: dict[str, bytes]) -> list[str]:
    """Stock modules that ours need."""
    needs = [need for data in own.values() for need in ",".join(elf.modinfo(data, "depends")).split(",") if need]
    return [need for need in dict.fromkeys(needs) if need not in own]


def _depmod(base: pathlib.Path, release: str) -> None:
    done = _kmod("depmod", "-b", base, release)
    if done.returncode:
        raise errors.Problem(f"depmod fails for the guest's modules: {done.stderr.strip()}")


def add_modules(archive: Archive, stock: StockModules, wanted: Sequence[str], kos: Sequence[paths.Path]) -> None:
    """Put stock modules and ours into an archive, so that modprobe finds both.

    Stock modules lie where the distribution has them, decompressed. Ours lie in updates/, and in /modules for insmod.
    """
    own = _own(kos, stock.release)
    where = f"lib/modules/{stock.release}"
    modules = {stock.plain(file): elf.module(file) for file in stock.files([*wanted, *_needs(own)])}
    modules |= {pathlib.Path(f"updates/{name}.ko"): data for name, data in own.items()}
    builtin = stock.tree / "modules.builtin"
    with tempfile.TemporaryDirectory(prefix="uplift-modules-") as base:
        tree = paths.ensure(pathlib.Path(base) / where)
        # Debian's 7.1 and later have it elsewhere
        (tree / "modules.builtin").write_bytes(builtin.read_bytes() if builtin.exists() else b"")
        (tree / "modules.order").touch()
        for path, data in modules.items():
            paths.ensure((tree / path).parent)
            (tree / path).write_bytes(data)
            archive.text(f"{where}/{path}", data)
        _depmod(pathlib.Path(base), stock.release)
        for name in _TABLES:
            archive.text(f"{where}/{name}", (tree / name).read_bytes())
    archive.dir("modules")
    for name in own:
        archive.link(f"modules/{name}.ko", f"/{where}/updates/{name}.ko")
