# SPDX-License-Identifier: GPL-2.0-only
"""Build the modules for a target, in the build root, with the compiler that its kernel was built with.

The sources are copied to build/modules/<release>/ (their times kept, so that a second build is a short one) and
built there by the kernel's own build system with W=1. Any warning of the compiler, modpost, objtool or make is an error.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterable

from ..base import architectures, builds, console, errors, paths, targets
from ..kernel import elf
from . import buildroot, compilers, imagecheck, kernels

# What belongs to the modules; everything else of the tree does not change what is built.
PARTS = ("Kbuild", "VERSION", "modules", "scripts/generate-bodies", "scripts/upliftlib/__init__.py", "scripts/upliftlib/base",
         "scripts/upliftlib/kernel", "scripts/upliftlib/generator")
_BUILT = re.compile(r".*\.(?:o|ko|mod|mod\.c|cmd|d|a|tmp|order|pyc)$|.*_gen\.h$|Module\.symvers$|\..*")

# Said of any module that is built from a headers package without vmlinux (6.1); not of what was built.
_HARMLESS = re.compile(r"Skipping BTF generation|warning: the compiler differs from the one used to build the kernel")
_KEPT = (".sources", ".clang-format", builds.MARK)	# what cleaning leaves
_WARNING = re.compile(r"\bwarning\b|\bWARNING\b|clock skew|\berror:", re.IGNORECASE)

COMPILERS = tuple(sorted({spec.compiler for spec in targets.TABLE.values()}))	# in the build root


def sources() -> list[pathlib.Path]:
    """The modules' sources, relative to the top."""
    found: list[pathlib.Path] = []
    for part in PARTS:
        path = paths.TOP / part
        if path.is_file():
            found.append(pathlib.Path(part))
        for directory, _, names in sorted(os.walk(path)):
            if pathlib.Path(directory).name in ("gen", "__pycache__"):
                continue
            found += [pathlib.Path(directory, name).relative_to(paths.TOP) for name in sorted(names)
                      if not _BUILT.fullmatch(name)]
    if not found or not (paths.TOP / "Kbuild").exists():
        raise errors.Problem(f"no Kbuild in {paths.TOP}: nothing to build")
    return found


def sync(directory: pathlib.Path) -> None:
    """Bring a copy of the sources up to date; what is no longer in the tree goes from the copy."""
    now = sources()
    listing = paths.ensure(directory) / ".sources"
    try:
        before = listing.read_text().splitlines()
    except FileNotFoundError:
        before = []
    for path in now:
        source, copy = paths.TOP / path, directory / path
        there = copy.stat() if copy.exists() else None
        here = source.stat()
        if not there or (there.st_size, there.st_mtime_ns) != (here.st_size, here.st_mtime_ns):
            paths.ensure(copy.parent)
            shutil.copy2(source, copy)
    gone = set(before) - {str(path) for path in now}
    for name in gone:
        (directory / name).unlink(missing_ok=True)
    if gone:
        clean(directory)	# objects of a source that went would still be linked
    paths.write(listing, "\n".join(str(path) for path in now) + "\n")


def clean(directory: pathlib.Path) -> None:
    """Remove what was built, so that the next build compiles (and warns about) everything again."""
    for base, _, names in os.walk(directory):
        for name in names:
            if _BUILT.fullmatch(name) and name not in _KEPT:
                pathlib.Path(base, name).unlink()


def compiler(kdir: paths.Path) -> str:
    """The compiler's name in the build root for the kernel at kdir; "" when the headers choose it themselves."""
    kdir = pathlib.Path(kdir)
    chosen = kdir / ".kernelvariables"		# Debian's headers
    text = chosen.read_text() if chosen.exists() else ""
    match = re.search(r"^CC\b.*\b(gcc-\d+)$", text, re.MULTILINE)
    if match:
        if match[1] in COMPILERS:
            return ""
        console.warn(f"{kdir.name} wants {match[1]}, which the build root has not: taking {targets.COMPILER}")
        return targets.COMPILER
    config = kdir / ".config"
    text = config.read_text() if config.exists() else ""
    if "CONFIG_CC_IS_CLANG=y" in text:
        raise errors.Problem(f"the kernel of {kdir} was built with clang, which the build root has not: "
                          f"make modules KDIR={kdir} LLVM=1 with your own, then load them yourself")
    version = re.search(r"^CONFIG_GCC_VERSION=(\d+)\d{4}$", text, re.MULTILINE)
    return f"gcc-{version[1]}" if version and f"gcc-{version[1]}" in COMPILERS else targets.COMPILER


def wanted_compiler(kdir: paths.Path) -> str:
    """The compiler's name in the build root, be it make's choice or ours."""
    name = compiler(kdir)
    if name:
        return name
    found = re.search(r"\bgcc-\d+\b", (pathlib.Path(kdir) / ".kernelvariables").read_text())
    return found[0] if found else targets.COMPILER


def compiler_release(kdir: paths.Path) -> str:
    """The release of that compiler, where it is not the build root's own."""
    return compilers.release(paths.ROOT, wanted_compiler(kdir))


def tools(kdir: pathlib.Path) -> list[str]:
    """The sets of packages that the build root needs to build for these headers."""
    arch = architectures.of_release(release_of(kdir))
    return ["run", arch.name if not arch.native else wanted_compiler(kdir)]


def make_words(kdir: pathlib.Path) -> list[str]:
    """What make has to be told to build with these headers; a Problem where they cannot serve: scripts/kdir knows."""
    result = subprocess.run([paths.TOP / "scripts/kdir", kdir], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if result.returncode:
        raise errors.Problem(result.stderr.strip(), errors.USAGE)
    return result.stdout.split()


def _binds(kdir: pathlib.Path) -> list[pathlib.Path]:
    """What has to be seen in the build root for a KDIR that lies elsewhere: itself, and where its files lead."""
    trees = {kdir, *(pathlib.Path(word.removeprefix("O=")) for word in make_words(kdir)[1:])}
    trees |= {pathlib.Path(path) for path in re.findall(r"^include (/\S+)/Makefile", (kdir / "Makefile").read_text(),
                                                        re.MULTILINE)}
    found = set(trees)
    for link in (tree / name for tree in trees for name in ("scripts", "tools", "source")):
        if link.is_symlink():
            # where it leads may be reached by links as well
            found |= {link.resolve().parent, pathlib.Path(os.path.normpath(link.parent / link.readlink())).parent}
    ours = (paths.TOP, paths.BUILD)
    return [path for path in sorted(found) if path.exists()
            and not any(path == base or base in path.parents for base in ours)]


def release_of(kdir: paths.Path) -> str:
    """The release that modules built in kdir are for."""
    # in this order: kernel.release of Debian's 6.1 headers has another name than the kernel
    for name in ("include/generated/utsrelease.h", "include/config/kernel.release"):
        path = pathlib.Path(kdir) / name
        if path.exists():
            match = re.search(r'"([^"]+)"|^(\S+)$', path.read_text(), re.MULTILINE)
            if match:
                return str(match[1] or match[2])
    raise errors.Problem(f"KDIR={kdir}: not a directory that modules can be built in "
                      "(no include/config/kernel.release): kernel headers, or a tree after `make modules_prepare`",
                      errors.USAGE)


def _out_of_image(target: kernels.Target, name: str, found_in: Callable[[pathlib.Path], bytes]) -> pathlib.Path:
    """A file beside a Target's headers with what is found in its image, kept until the image is another."""
    assert target.vmlinuz
    path = paths.ensure(paths.TARGETS / target.name) / name
    stamp = path.with_suffix(".of")
    image = target.vmlinuz.stat()
    now = f"{target.version} {image.st_size} {image.st_mtime_ns}\n"	# a kernel of one's own keeps its version
    with paths.lock(f"{name}-{target.name}"):
        if not stamp.exists() or stamp.read_text() != now:
            new = path.with_suffix(".new")
            new.write_bytes(found_in(target.vmlinuz))
            new.replace(path)
            paths.write(stamp, now)
    return path


def btf_of(target: kernels.Target) -> pathlib.Path | None:
    """A file with the BTF of a Target's image, beside its headers; None if the image has none."""
    path = _out_of_image(target, "btf", lambda image: imagecheck.section_of(imagecheck.vmlinux_of(image), ".BTF") or b"")
    return path if path.stat().st_size else None


def image_of(target: kernels.Target) -> pathlib.Path | None:
    """A Target's image as an ELF file, likewise: what bodies are held against; None if it has no BTF."""
    return _out_of_image(target, "vmlinux", imagecheck.vmlinux_of) if btf_of(target) else None


@dataclasses.dataclass
class _Build:
    """One build of the modules."""
    kdir: pathlib.Path
    ksrc: pathlib.Path | None	# the kernel's source, which some modules' bodies are generated from
    btf: pathlib.Path | None	# its image, or a file with its BTF, which that takes as well
    verbose: bool
    strict: bool		# a warning is an error

    def __post_init__(self) -> None:
        self.release = release_of(self.kdir)
        self.directory = paths.MODULES / self.release

    def run(self) -> dict[str, pathlib.Path]:
        """{module name: path of its .ko}"""
        words = make_words(self.kdir)
        buildroot.ensure(*tools(self.kdir))
        with paths.lock(f"modules-{self.release}"), builds.unbroken(self.directory):
            sync(self.directory)
            self.prepare()
            with console.doing(f"building the modules for {self.release}"):
                code, text = buildroot.output(self.command(words), cwd=self.directory, binds=self.binds())
                self.judge(code, text)
            return self.built()

    def prepare(self) -> None:
        """Remove objects of another KDIR of this release, whose headers may be older than they are, or of another compiler."""
        stamp, now = self.directory / ".kdir", f"{self.kdir}\n{compiler_release(self.kdir)}"
        if not stamp.exists() or stamp.read_text() != now:
            clean(self.directory)
            paths.write(stamp, now)

    def command(self, words: list[str]) -> list[str]:
        """make's."""
        chosen = compiler(self.kdir)
        more = {"CC": chosen, "KSRC": self.ksrc, "BTF": self.btf, "V": "1" if self.verbose else ""}
        return ["make", *words, f"M={self.directory}", "W=1", f"-j{os.cpu_count() or 1}",
                *(f"{name}={value}" for name, value in more.items() if value), "modules"]

    def binds(self) -> list[pathlib.Path]:
        """What has to be seen in the build root."""
        return _binds(self.kdir) + [path for path in (self.ksrc, self.btf) if path and paths.BUILD not in path.parents]

    def judge(self, code: int, text: str) -> None:
        """A Problem with what make said, unless all is well."""
        log = self.directory / "build.log"
        paths.write(log, text)
        if self.verbose:
            console.note("make said:\n" + text.rstrip())
        said = [line for line in text.splitlines() if _WARNING.search(line) and not _HARMLESS.search(line)]
        if code:
            raise errors.Problem(f"the modules do not build for {self.release} ({log}):\n"
                                 + _indented((said or text.splitlines())[-25:]))
        if said and self.strict:
            clean(self.directory)	# or the next build would be silent about them
            raise errors.Problem(f"{len(said)} warnings in building for {self.release}:\n" + _indented(said[:25]))

    def built(self) -> dict[str, pathlib.Path]:
        """What there is then."""
        found = {path.stem.replace("-", "_"): path for path in sorted(self.directory.rglob("*.ko"))
                 if path.parent.name != ".stripped"}
        if not found:
            raise errors.Problem(f"the build for {self.release} made no module ({self.directory}/build.log)")
        return found


def _indented(lines: Iterable[str]) -> str:
    return "\n".join("    " + line for line in lines)


def build(target: kernels.Target | paths.Path, *, ksrc: paths.Path | None = None, btf: paths.Path | None = None,
          verbose: bool = False, warnings: str = "error") -> dict[str, pathlib.Path]:
    """{module name: path of its .ko}, built for a Target or for the kernel whose build directory is given.

    ksrc: its source, which some modules' bodies are generated from; btf: a file with its BTF, which that takes as well.
    warnings="error" makes any warning a Problem that shows it.
    """
    if isinstance(target, kernels.Target):
        if not target.kdir:
            raise errors.Problem(f"{target.name}: no headers of {target.release} to build modules with (KDIR=...)",
                                 errors.USAGE)
        kdir, ksrc = target.kdir, ksrc or target.ksrc
        btf = btf or (image_of(target) if ksrc and target.vmlinuz else None)
    else:
        kdir = pathlib.Path(target).resolve()
    source, types = (pathlib.Path(path).resolve() if path else None for path in (ksrc, btf))
    return _Build(kdir, source, types, verbose, warnings == "error").run()


def stripped(kos: Collection[pathlib.Path]) -> list[pathlib.Path]:
    """Copies of modules without what debuggers read, a tenth of the size, for those that are loaded again and again."""
    return [_stripped(ko) for ko in kos]


def _stripped(ko: pathlib.Path) -> pathlib.Path:
    copy = paths.ensure(ko.parent / ".stripped") / ko.name
    if not copy.exists() or copy.stat().st_mtime < ko.stat().st_mtime:
        new = copy.with_suffix(f".{os.getpid()}")
        arch = architectures.of_release(elf.built_for(ko.read_bytes()))
        code, text = buildroot.output([arch.tool("strip"), "--strip-debug", "-o", new, ko])
        if code:
            raise errors.Problem(f"strip {ko.name}: {text.strip()}")
        new.replace(copy)
    return copy
