# SPDX-License-Identifier: GPL-2.0-only
"""Unpack Debian's kernel packages: image, modules, headers, and the source tree or a slice of it.

Every function fills a directory that is not in its place yet (paths.fresh_dir()), so that interrupted work leaves
nothing that looks finished.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from ..base import errors, paths, signals
from .archive import File

_TAR = ["tar", "-x", "--no-same-owner"]


def pipe(what: str, *commands: list[str]) -> None:
    """A pipeline of commands, without a shell; any member's failure is a Problem."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for argv in commands:
            processes.append(_started(argv, processes[-1] if processes else None, last=argv is commands[-1]))
        # last to first: the last one ends the others; their few words fit a pipe
        words = [process.stderr.read() for process in reversed(processes) if process.stderr]
        codes = [process.wait() for process in processes]
    except BaseException:
        for process in processes:
            process.kill()
        raise
    if any(codes):
        said = b"".join(words).decode(errors="replace").strip()
        raise errors.Problem(f"unpacking {what} failed: {said.splitlines()[-1] if said else codes}")


def _started(argv: list[str], before: "subprocess.Popen[bytes] | None", last: bool) -> "subprocess.Popen[bytes]":
    """A member of a pipeline, which reads what the one before it writes."""
    source = before.stdout if before else None
    if not shutil.which(argv[0]):
        raise errors.Problem(f"no '{argv[0]}' here: run scripts/setup")
    process = subprocess.Popen([*signals.WITH_US, *argv], stdin=source or subprocess.DEVNULL, stdout=None if last else subprocess.PIPE,
                               stderr=subprocess.PIPE, env=dict(os.environ, LC_ALL="C.UTF-8"))
    if source:
        source.close()	# or the one before would not learn that its reader has ended
    return process


def deb(file: File, directory: pathlib.Path) -> None:
    """A binary package's files, without documentation."""
    pipe(file.name, ["dpkg-deb", "--fsys-tarfile", str(file.path)],
         [*_TAR, "-C", str(directory), "--exclude=./usr/share"])


# ------------------------------------------------------------------ image and modules

def kernel(files: list[File], directory: pathlib.Path, release: str) -> None:
    """vmlinuz, config and modules/ from image, base and modules packages, as far as they are in `files`."""
    for file in files:
        deb(file, directory)
    tree = directory / "modules" / "lib" / "modules"
    for name in ("lib/modules", "usr/lib/modules"):
        if (source := directory / name / release).is_dir():
            paths.ensure(tree)
            source.rename(tree / release)
    for pattern, name in (("boot/vmlinuz-*", "vmlinuz"), (f"modules/lib/modules/{release}/vmlinuz*", "vmlinuz"),
                          ("boot/config-*", "config"), (f"modules/lib/modules/{release}/config", "config")):
        for path in directory.glob(pattern):
            path.rename(directory / name)
    for name in ("boot", "usr", "lib", "etc"):
        paths.remove(directory / name)
    for name in ("build", "source"):
        (tree / release / name).unlink(missing_ok=True)	# they point to where the host would have the headers


def depmod(moddir: pathlib.Path, release: str) -> None:
    """Make modules.dep of moddir/lib/modules/RELEASE."""
    result = subprocess.run(["depmod", "-b", str(moddir), release], text=True, stderr=subprocess.PIPE)
    if result.returncode:
        raise errors.Problem(f"depmod failed for {release}: {result.stderr.strip()}")
    if not (moddir / "lib/modules" / release / "modules.dep").stat().st_size:
        raise errors.Problem(f"no module found below {moddir}/lib/modules/{release}")


# ------------------------------------------------------------------ headers

# The directory that a Makefile of ours lies in, as it says so itself.
_HERE = "$(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))"


def relocate(kdir: pathlib.Path) -> None:
    """Debian's headers know themselves and -common by absolute paths: make them relative, so that they work in any place."""
    makefile = kdir / "Makefile"
    before = makefile.read_text()
    after = re.sub(r"(?m)^KBUILD_OUTPUT=(?:/\S*)?/usr/src/[^/\s]+$", f"KBUILD_OUTPUT := {_HERE}", before)
    after = re.sub(r"(?m)^include (?:/\S*)?/usr/src/([^/\s]+)/Makefile$", rf"include {_HERE}/../\1/Makefile", after)
    if after != before:
        paths.write(makefile, after)


def headers(files: list[File], directory: pathlib.Path, release: str) -> None:
    """Debian's headers, usable where they lie."""
    for file in files:
        deb(file, directory)
    kdir = directory / "usr/src" / f"linux-headers-{release}"
    if not (kdir / "Makefile").exists():
        raise errors.Problem(f"{files[0].name} has no usr/src/{kdir.name}/Makefile: packed in a new way?")
    relocate(kdir)
    for link in ("scripts", "tools"):
        if not (kdir / link).exists():
            raise errors.Problem(f"{kdir.name}/{link} leads nowhere: {files[-1].name} is not the kbuild package it wants")


# ------------------------------------------------------------------ source

def _tree(file: File, tar: list[str]) -> None:
    """Unpack the kernel tree in a linux-source package with the given tar command."""
    pipe(file.name, ["dpkg-deb", "--fsys-tarfile", str(file.path)],
         ["tar", "-xO", f"./usr/src/{file.package}.tar.xz"], ["xz", "-dc", "-T0"], tar)


# tar's complaints about patterns that a version lacks are dropped, and what it says else is kept
_SLICE = ('dir=$1 said=$2; shift 2; tar -x -C "$dir" --strip-components=1 --no-same-owner --wildcards '
          '--no-wildcards-match-slash "$@" 2>"$said" || '
          '! grep -v -e "Not found in archive" -e "Exiting with failure" "$said" >&2')


def some(file: File, directory: pathlib.Path, patterns: list[str]) -> None:
    """Only the files of a kernel tree that match; patterns that a version lacks are no error."""
    with tempfile.NamedTemporaryFile() as said:
        _tree(file, ["sh", "-c", _SLICE, "slice", str(directory), said.name,
                     *("linux-source-*/" + item for item in patterns)])


def _version(makefile: pathlib.Path) -> str:
    """"6.12.117", or "7.3~rc7" as Debian writes it, of a tree's Makefile."""
    text = makefile.read_text() if makefile.exists() else ""
    numbers = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) =[ \t]*(\S*)$", text, re.MULTILINE))
    if candidate := re.fullmatch(r"-(rc\d+)", numbers.get("EXTRAVERSION", "")):
        return f"{numbers.get('VERSION')}.{numbers.get('PATCHLEVEL')}~{candidate[1]}"
    return ".".join(numbers.get(key, "?") for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))


def check_source(file: File, directory: pathlib.Path) -> None:
    """Is that tree of the version that the package says? Raises Problem if not."""
    version = _version(directory / "Makefile")
    if file.version.split("-")[0] not in (version, version.removesuffix(".0")):	# the first of a series is 7.3 in both
        raise errors.Problem(f"{file.name} holds the source of '{version}', not of {file.version}: packed in a new way?")


def whole(file: File, directory: pathlib.Path) -> None:
    """The tree that Debian builds from: upstream's with Debian's patches."""
    _tree(file, ["tar", "-x", "-C", str(directory), "--strip-components=1", "--no-same-owner"])
    check_source(file, directory)
