# SPDX-License-Identifier: GPL-2.0-only
"""Build the modules for a target, in the build root, with the compiler that its kernel was built with.

The sources are copied to build/modules/<release>/ (their times kept, so that a second build is a short one) and
built there by the kernel's own build system with W=1. Any warning is an error, whoever utters it: compiler, modpost,
objtool or make.
"""

import os
import pathlib
import re
import shutil
import subprocess

from ..base import builds, console, errors, paths, targets
from . import buildroot, imagecheck, kernels

# What belongs to the modules; everything else of the tree does not change what is built.
PARTS = ("Kbuild", "modules", "scripts/generate-bodies", "scripts/upliftlib/__init__.py", "scripts/upliftlib/base",
         "scripts/upliftlib/kernel", "scripts/upliftlib/generator")
_BUILT = re.compile(r".*\.(?:o|ko|mod|mod\.c|cmd|d|a|tmp|order|pyc)$|.*_gen\.h$|Module\.symvers$|\..*")

# Said of any module that is built from a headers package without vmlinux (6.1); not of what was built.
_HARMLESS = re.compile(r"Skipping BTF generation|warning: the compiler differs from the one used to build the kernel")
_WARNING = re.compile(r"\bwarning\b|\bWARNING\b|clock skew|\berror:", re.IGNORECASE)

COMPILERS = tuple(sorted({spec.compiler for spec in targets.TABLE.values()}))	# in the build root


def sources():
    """The modules' sources, relative to the top."""
    found = []
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


def sync(directory):
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
    for path in gone:
        (directory / path).unlink(missing_ok=True)
    if gone:
        clean(directory)	# objects of a source that went would still be linked
    paths.write(listing, "\n".join(str(path) for path in now) + "\n")


def clean(directory):
    """Remove what was built, so that the next build compiles (and warns about) everything again."""
    for base, _, names in os.walk(directory):
        for name in names:
            if _BUILT.fullmatch(name) and name not in (".sources", ".clang-format", builds.MARK):
                pathlib.Path(base, name).unlink()


def compiler(kdir):
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


def wanted_compiler(kdir: pathlib.Path) -> str:
    """The compiler's name in the build root, whoever chooses it."""
    name = compiler(kdir)
    if name:
        return name
    found = re.search(r"\bgcc-\d+\b", (pathlib.Path(kdir) / ".kernelvariables").read_text())
    return found[0] if found else targets.COMPILER


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


def release_of(kdir):
    """The release that modules built in kdir are for."""
    # in this order: kernel.release of Debian's 6.1 headers has another name than the kernel
    for name in ("include/generated/utsrelease.h", "include/config/kernel.release"):
        path = pathlib.Path(kdir) / name
        if path.exists():
            match = re.search(r'"([^"]+)"|^(\S+)$', path.read_text(), re.MULTILINE)
            if match:
                return match[1] or match[2]
    raise errors.Problem(f"KDIR={kdir}: not a directory that modules can be built in "
                      "(no include/config/kernel.release): kernel headers, or a tree after `make modules_prepare`",
                      errors.USAGE)


def btf_of(target):
    """A file with the BTF of a Target's image, beside its headers; None if the image has none."""
    path = paths.ensure(paths.TARGETS / target.name) / "btf"
    stamp = path.with_suffix(".of")
    image = target.vmlinuz.stat()
    now = f"{target.version} {image.st_size} {image.st_mtime_ns}\n"	# a kernel of one's own keeps its version
    if not stamp.exists() or stamp.read_text() != now:
        data = imagecheck.section_of(imagecheck.vmlinux_of(target.vmlinuz), ".BTF")
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(data or b"")
        new.rename(path)
        paths.write(stamp, now)
    return path if path.stat().st_size else None


def build(target, *, ksrc=None, btf=None, verbose=False, warnings="error"):
    """{module name: path of its .ko}, built for a Target or for the kernel whose build directory is given.

    ksrc: its source, which some modules' bodies are generated from; btf: a file with its BTF, which that takes as well.
    warnings="error" makes any warning a Problem that shows it.
    """
    if isinstance(target, kernels.Target):
        if not target.kdir:
            raise errors.Problem(f"{target.name}: no headers of {target.release} to build modules with (KDIR=...)",
                              errors.USAGE)
        kdir, ksrc = target.kdir, ksrc or target.ksrc
        btf = btf or (btf_of(target) if ksrc and target.vmlinuz else None)
    else:
        kdir = pathlib.Path(target).resolve()
    ksrc, btf = (pathlib.Path(path).resolve() if path else None for path in (ksrc, btf))
    release = release_of(kdir)
    buildroot.ensure("run", wanted_compiler(kdir))
    directory = paths.MODULES / release
    with paths.lock(f"modules-{release}"), builds.unbroken(directory):
        sync(directory)
        stamp = directory / ".kdir"
        if not stamp.exists() or stamp.read_text() != f"{kdir}\n":
            clean(directory)	# another KDIR of the same release: its headers may be older than our objects
            paths.write(stamp, f"{kdir}\n")
        argv = ["make", *make_words(kdir), f"M={directory}", "W=1", f"-j{os.cpu_count() or 1}"]
        argv += [f"CC={compiler(kdir)}"] if compiler(kdir) else []
        argv += [f"KSRC={ksrc}"] if ksrc else []
        argv += [f"BTF={btf}"] if btf else []
        argv += ["V=1"] if verbose else []
        binds = _binds(kdir) + [path for path in (ksrc, btf) if path and paths.BUILD not in path.parents]
        with console.doing(f"building the modules for {release}"):
            code, text = buildroot.output([*argv, "modules"], cwd=directory, binds=binds)
            paths.write(directory / "build.log", text)
            if verbose:
                console.note("make said:\n" + text.rstrip())
            said = [line for line in text.splitlines() if _WARNING.search(line) and not _HARMLESS.search(line)]
            if code:
                tail = "\n".join("    " + line for line in (said or text.splitlines())[-25:])
                raise errors.Problem(f"the modules do not build for {release} ({directory}/build.log):\n{tail}")
            if said and warnings == "error":
                clean(directory)	# or the next build would be silent about them
                tail = "\n".join("    " + line for line in said[:25])
                raise errors.Problem(f"{len(said)} warnings in building for {release}:\n{tail}")
        found = {path.stem.replace("-", "_"): path for path in sorted(directory.rglob("*.ko"))
                 if path.parent.name != ".stripped"}
        if not found:
            raise errors.Problem(f"the build for {release} made no module ({directory}/build.log)")
    return found


def stripped(kos):
    """Copies of modules without what debuggers read, a tenth of the size, for who loads them again and again."""
    copies = []
    for ko in kos:
        copy = paths.ensure(ko.parent / ".stripped") / ko.name
        if not copy.exists() or copy.stat().st_mtime < ko.stat().st_mtime:
            new = copy.with_name(f".{copy.name}.{os.getpid()}")		# another uplift may strip it at the same time
            code, text = buildroot.output(["strip", "--strip-debug", "-o", new, ko])
            if code:
                raise errors.Problem(f"strip {ko.name}: {text.strip()}")
            new.rename(copy)
        copies.append(copy)
    return copies
