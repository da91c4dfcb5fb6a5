# SPDX-License-Identifier: GPL-2.0-only
"""A target's own code: its files compiled as its kernel's were, its image, and the addresses of its symbols.

How files are compiled is in generator/compiling.py; here make runs in the build root.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil

from ..base import console, errors, paths
from ..generator import compiling
from ..generator.identity import Kernel, read_symbols
from ..generator.modulecode import ModuleCode, read_exporters
from ..generator.objectbody import Exports, read_exports
from ..generator.objects import Object, Refused
from ..kernel import elf, kallsyms
from . import abi, buildroot, guest, imagecheck, kernels, kmod

_SYMBOLS = "cat /proc/kallsyms >/out/kallsyms"
_LOG = ".uplift.log"
_INCLUDES = ("arch/{}/include", "include", "arch/{}/include/uapi", "include/uapi")


@dataclasses.dataclass
class Built:
    """A file of the kernel, and what it was compiled to; or why it was not."""
    path: str
    obj: pathlib.Path
    error: str = ""


class KernelCode:
    """The code of one target."""

    def __init__(self, target: kernels.Target) -> None:
        if not target.kdir or not target.ksrc or not (target.ksrc / "MAINTAINERS").exists():
            raise errors.Problem(f"{target.name}: headers and the whole source of the kernel are needed", errors.USAGE)
        need_gcc(target.kdir)
        self.target, self.ksrc, self.kdir = target, target.ksrc, target.kdir
        self.release = kmod.release_of(self.kdir)
        self.directory = paths.ensure(paths.BUILD / "try" / self.release)
        buildroot.ensure(*kmod.tools(self.kdir))

    def kernel_id(self) -> str:
        """What tells this kernel from all others."""
        return f"{self.release} {self.kernel().build_id().hex()}"

    def own_source(self) -> str:
        """Where the source is that a user brought; "" where it is a package's."""
        return str(self.ksrc) if self.target.name == "own" else ""

    # ------------------------------------------------------------------ image and symbols

    def kernel(self) -> Kernel:
        """The image and its symbols."""
        image, symbols = self.directory / "vmlinux", self.directory / "kallsyms"
        vmlinuz = guest.image_of(self.target)
        stamp, stat = self.directory / "image.of", vmlinuz.stat()
        now = f"{self.target.version} {stat.st_size} {stat.st_mtime_ns}\n"
        with paths.lock(f"try-{self.release}"):
            if not stamp.exists() or stamp.read_text() != now:
                stamp.unlink(missing_ok=True)
                image.write_bytes(imagecheck.vmlinux_of(vmlinuz))
                self._write_symbols(image, symbols)
                paths.write(stamp, now)
        with open(symbols, encoding="ascii") as lines:
            return Kernel(image, read_symbols(line for line in lines if "[" not in line))

    def _write_symbols(self, image: pathlib.Path, symbols: pathlib.Path) -> None:
        """The image's own list; where its form is not known, as in 6.1, a guest is asked."""
        try:
            symbols.write_text(_listed(image), encoding="ascii")
            return
        except kallsyms.NotFound as why:
            console.note(f"{self.target.name}: the list of symbols cannot be read out of the image ({why})")
        with console.doing(f"asking a guest of {self.target.name} for its symbols"):
            result = guest.boot(self.target, _SYMBOLS, append="nokaslr", name=f"{self.target.name}-symbols", quiet=True)
        if not result.ok:
            raise errors.Problem(f"a guest of {self.target.name} failed: {result.problem()} ({result.console})")
        shutil.copy(result.outdir / "kallsyms", symbols)

    def module_of(self, path: str) -> str:
        """The module that an unchanged file is a part of, as it was compiled; "" for one of the image."""
        kept = self._kept(path).with_suffix(".module")
        return kept.read_text().strip() if kept.exists() else ""

    def crcs(self, path: str) -> abi.Crcs:
        """The CRCs of what an unchanged file exports."""
        found: abi.Crcs = json.loads(self._kept(path).with_suffix(".crcs").read_text())
        return found

    def kernel_of(self, path: str) -> Kernel:
        """What a file's unchanged object is to be held against."""
        name = self.module_of(path)
        if not name:
            return self.kernel()
        assert self.target.moddir
        tree = self.target.moddir / "lib/modules" / self.release
        found = [file for file in tree.rglob("*.ko*") if elf.module_name(file) == name]
        if not found:
            raise Refused(f"{path} is of the module {name}, which this kernel does not come with")
        ko = paths.ensure(self.directory / "kos") / f"{name}.ko"
        _replace(ko, elf.module(found[0]))
        return ModuleCode(self.kernel(), ko, name, read_exporters((self.kdir / "Module.symvers").read_text()))

    def exports(self) -> Exports:
        return read_exports((self.kdir / "Module.symvers").read_text())

    def read(self, path: str) -> str | None:
        """A file of the pristine source."""
        file = self.ksrc / path
        return file.read_text(errors="surrogateescape") if file.is_file() else None

    # ------------------------------------------------------------------ compiling

    @property
    def _tree(self) -> compiling.SourceTree:
        return compiling.SourceTree(self.ksrc)

    def overlay(self, root: pathlib.Path, changed: dict[str, str], files: list[str]) -> None:
        """A tree of links to the source, see SourceTree."""
        self._tree.overlay(root, changed, files)

    def whole(self, path: str) -> str:
        """The file that is compiled for one that may only be included, as kernel/sched/rt.c is."""
        try:
            self._tree.made_in(path)
            return path
        except Refused:
            wanted = re.compile(rf'^#\s*include\s+"(?:[\w./-]*/)?{re.escape(pathlib.PurePath(path).name)}"', re.MULTILINE)
            for other in sorted((self.ksrc / path).parent.glob("*.c")):
                if wanted.search(other.read_text(errors="replace")):
                    return str(other.relative_to(self.ksrc))
            raise

    def compile(self, root: pathlib.Path, files: list[str], includes: bool = False) -> list[Built]:
        """Objects of files in a tree that overlay() made."""
        by_directory: dict[pathlib.Path, list[str]] = {}
        for path in files:
            by_directory.setdefault(self._tree.made_in(path), []).append(path)
        built = []
        for directory, found in sorted(by_directory.items()):
            built += self._make(root, directory, found, includes)
        return built

    def _sources(self) -> list[pathlib.Path]:
        """Where the headers lie, which the kernel's own build names from its top."""
        found = re.search(r"^include .*?([^/\s]+)/Makefile$", (self.kdir / "Makefile").read_text(), re.MULTILINE)
        common = self.kdir.parent / found[1] if found else self.kdir
        return [common if common.is_dir() else self.kdir, self.ksrc]

    def shown(self, text: str, tree: pathlib.Path) -> str:
        """What the compiler said, with paths from the top of the source."""
        for path in (tree, *self._sources()):
            text = text.replace(f"{path}/", "")
        return text

    def _make(self, root: pathlib.Path, directory: pathlib.Path, files: list[str], includes: bool) -> list[Built]:
        objects = compiling.objects_of(files, directory)
        cc = kmod.compiler(self.kdir)
        argv = ["make", *kmod.make_words(self.kdir), f"M={root / directory}", "-k", f"-j{os.cpu_count() or 1}",
                f"KCFLAGS={compiling.flags(files, directory, (*self._sources(), root), self.target.arch)}", abi.MODVERSIONS,
                *([f"CC={cc}"] if cc else [])]
        if includes:
            argv.append("NOSTDINC_FLAGS=-nostdinc " + " ".join(
                f"-I{root / path.format(self.target.arch.directory)}" for path in _INCLUDES))
        for name in objects:
            (root / directory / name).unlink(missing_ok=True)
        binds = [path for path in (self.ksrc, *kmod._binds(self.kdir)) if paths.BUILD not in path.parents]
        code, text = buildroot.output([*argv, *objects], cwd=root / directory, binds=binds)
        (root / directory / _LOG).write_text(text)
        found = []
        for path, name in zip(files, objects):
            obj = root / directory / name
            found.append(Built(path, obj, "" if obj.exists() else compiling.reason(text, path)))
        return found

    def said(self, root: pathlib.Path) -> str:
        """All that the compiler said when files of a tree were compiled."""
        return "".join((pathlib.Path(at) / _LOG).read_text(errors="replace") for at, _, files in os.walk(root) if _LOG in files)

    def _kept(self, path: str) -> pathlib.Path:
        """Where the object of an unchanged file is kept."""
        key = f"{compiling.FLAGS} whole __FILE__ {self.target.version} {self._sources()} {self.kdir} {self.ksrc} " \
              f"{kmod.compiler(self.kdir)}{kmod.compiler_release(self.kdir)}"
        kept = paths.ensure(self.directory / "objects" / hashlib.sha256(key.encode()).hexdigest()[:16])
        return kept / path.replace("/", "+").replace(".c", ".o")

    def unchanged(self, files: list[str]) -> list[pathlib.Path]:
        """Objects of the pristine source, kept for the next patch."""
        root = self.directory / "base"
        wanted = {path: self._kept(path) for path in files}
        todo = [path for path, obj in wanted.items() if not obj.exists() or not obj.with_suffix(".crcs").exists()]
        if todo:
            with paths.lock(f"try-{self.release}"):
                self.overlay(root, {}, todo)
                for built in self.compile(root, todo):
                    if built.error:
                        raise Refused(f"{built.path} does not compile as it is for this kernel: {self.shown(built.error, root)}")
                    shutil.copy(built.obj, wanted[built.path].with_suffix(".new"))
                    wanted[built.path].with_suffix(".module").write_text(_module_name(built.obj))
                    wanted[built.path].with_suffix(".crcs").write_text(json.dumps(abi.crcs(built.obj)))
                    os.replace(wanted[built.path].with_suffix(".new"), wanted[built.path])
        return [wanted[path] for path in files]

    # ------------------------------------------------------------------ the module

    def core(self) -> pathlib.Path:
        """The tree that uplift.ko was built in, and nothing else of ours: no other change can stand in the way."""
        tree = self.directory / "uplift"
        stamp = tree / "built"
        top = paths.TOP / "modules"
        sources = [path for part in ("core", "compat") for path in sorted((top / part).rglob("*")) if _is_source(path)]
        now = hashlib.sha256(b"\0".join([str(self.kdir).encode(), *(path.read_bytes() for path in sources)])).hexdigest()
        with paths.lock(f"try-{self.release}"):
            if not stamp.exists() or stamp.read_text() != now:
                # anew: an object that was half written when a build was killed is taken for whole by make
                paths.remove(tree)
                for source in sources:
                    shutil.copy(source, paths.ensure((tree / "modules" / source.relative_to(top)).parent))
                self._modules(tree / "modules/core", [])
                paths.write(stamp, now)
        return tree

    def module(self, directory: pathlib.Path, tree: pathlib.Path) -> pathlib.Path:
        """The .ko of sources that stand upon uplift.ko, which was built in `tree`."""
        self._modules(directory, [f"UPLIFT={tree}", f"KBUILD_EXTRA_SYMBOLS={tree / 'modules/core/Module.symvers'}"])
        return next(directory.glob("uplift_*.ko"))

    def _modules(self, directory: pathlib.Path, words: list[str]) -> None:
        cc = kmod.compiler(self.kdir)
        argv = ["make", *kmod.make_words(self.kdir), f"M={directory}", f"-j{os.cpu_count() or 1}", *words,
                *([f"CC={cc}"] if cc else []), "modules"]
        binds = [path for path in kmod._binds(self.kdir) if paths.BUILD not in path.parents]
        code, text = buildroot.output(argv, cwd=directory, binds=binds)
        (directory / "build.log").write_text(text)
        said = [line for line in text.splitlines() if kmod._WARNING.search(line) and not kmod._HARMLESS.search(line)]
        if code or said:
            tail = "\n".join("    " + line for line in (said or text.splitlines())[-12:])
            raise errors.Problem(f"the module does not build without a warning ({directory / 'build.log'}):\n{tail}")


def need_gcc(kdir: pathlib.Path) -> None:
    """A Skip for a kernel whose functions cannot be compiled as they were."""
    if why := compiling.not_gcc(kdir):
        raise errors.Skip(why)


def _is_source(path: pathlib.Path) -> bool:
    """Is it a source of ours, not something that a build has left beside it?"""
    return path.suffix in (".c", ".h", ".S", ".sh", ".mk") and not path.name.endswith(".mod.c") or path.name == "Kbuild"


def _listed(image: pathlib.Path) -> str:
    """The symbols that an image lists, as /proc/kallsyms has them."""
    elf_file = Object(image)
    data, code = elf_file.section(".rodata"), elf_file.section(".text")
    if not data or not code:
        raise kallsyms.NotFound("no .rodata or no .text")
    return "".join(f"{address:016x} {kind} {name}\n" for address, kind, name in
                   kallsyms.symbols(elf_file.bytes(data), data.address, code.address))


def _replace(path: pathlib.Path, data: bytes) -> None:
    """Write a file in one go: another that reads it has the old one or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(data)
    os.replace(new, path)


def _module_name(obj: pathlib.Path) -> str:
    """The module that an object was compiled for, as its command line says; "" for one of the image."""
    command = (obj.parent / f".{obj.name}.cmd").read_text(errors="replace")
    name = re.search(r"""-DKBUILD_MODNAME='?"?"?([\w-]+)""", command.replace("\\", ""))
    return name[1] if name and re.search(r"(?<!\S)-DMODULE(?!\S)", command) else ""
