# SPDX-License-Identifier: GPL-2.0-only
"""Build selftests/ for guests, with the rules and helpers of the kernel's own kselftest.

Those come from a kernel source package, of which a slice of some 150 kB is enough; one slice serves all targets,
since what it builds is static: a recent one.
"""

import filecmp
import os
import pathlib
import subprocess

from ..base import architectures, builds, console, errors, paths, targets
from ..base.architectures import Architecture
from . import archive, buildroot, download

SOURCES = targets.use("kselftest")
SLICE = ("tools/testing/selftests/lib.mk", "tools/testing/selftests/kselftest*.h",
         "tools/testing/selftests/kselftest/*", "tools/scripts/*", "scripts/Makefile.arch", "scripts/Makefile.include",
         "scripts/subarch.include", "include/linux/compiler_types.h")
KSFT = paths.BUILD / "kselftest"
INSTALLED = paths.BUILD / "selftests" / "install"


def _slice(package: archive.File) -> None:
    """Unpack the slice from a linux-source package."""
    name = package.name.split("_")[0]
    with paths.fresh_dir(KSFT) as temp:
        one = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package.path)], stdout=subprocess.PIPE)
        two = subprocess.Popen(["tar", "-xO", f"./usr/src/{name}.tar.xz"], stdin=one.stdout, stdout=subprocess.PIPE)
        three = subprocess.Popen(["xz", "-dc", "-T0"], stdin=two.stdout, stdout=subprocess.PIPE)
        four = subprocess.Popen(["tar", "-x", "-C", str(temp), "--strip-components=1", "--no-same-owner",
                                 "--wildcards", *(f"*/{pattern}" for pattern in SLICE)],
                                stdin=three.stdout, stderr=subprocess.PIPE)
        for process in (one, two, three):
            if process.stdout:
                process.stdout.close()
        try:
            four.communicate()
        finally:
            for process in (one, two, three, four):
                if process.poll() is None:
                    process.kill()
        # tar complains of a pattern that matches nothing; what is wanted is checked here
        for need in ("lib.mk", "kselftest.h", "kselftest/ktap_helpers.sh"):
            if not (temp / "tools/testing/selftests" / need).exists():
                raise errors.Problem(f"{package.name} holds no tools/testing/selftests/{need}: packed in a new way?")
        paths.write(temp / ".from", f"{package.name}\n")


def kselftest() -> pathlib.Path:
    """The path of tools/testing/selftests of a recent kernel, as far as it is needed."""
    path = KSFT / "tools/testing/selftests"
    if path.exists():
        return path
    with paths.lock("kselftest"):
        if path.exists():
            return path
        for name in SOURCES:
            tree = paths.SRC / name / "tools/testing/selftests"
            if (tree / "kselftest/ktap_helpers.sh").exists():
                return tree
        for name in SOURCES:
            try:
                files = archive.plan(targets.spec(name)).parts["source"]
                if len(files) != 1:
                    continue
                download.download(files)
                with console.doing(f"taking kselftest's rules from {files[0].name}"):
                    _slice(files[0])
                return path
            except errors.Skip as reason:
                console.warn(str(reason))
    raise errors.Skip("no kernel source package with kselftest in it can be had")


def _same(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Do two directories have the same files?"""
    names, others = ({path.relative_to(top): path.stat().st_mode for path in top.rglob("*")} for top in (one, other))
    files = [str(name) for name in names if (one / name).is_file()]
    return names == others and filecmp.cmpfiles(one, other, files, shallow=False)[0] == files


def build(arch: Architecture = architectures.X86_64) -> pathlib.Path:
    """The directory with our selftests for an architecture, built and installed.

    It appears in one go, and stays as it is while nothing has changed: guests of another uplift may be made of it.
    """
    ksft = kselftest()
    buildroot.ensure(*(["run"] if arch.native else ["run", arch.name]))
    out = paths.ensure(INSTALLED.parent if arch.native else INSTALLED.parent / arch.name)
    log, made, final = out / "build.log", out / ".install.made", out / "install"
    of = "" if arch.native else f" for {arch.name}"
    with paths.lock(f"selftests{of.replace(' ', '-')}"), console.doing(f"building the selftests{of}"), builds.unbroken(out / "obj"):
        paths.remove(made)
        binds = [] if paths.BUILD in pathlib.Path(ksft).parents else [ksft.parents[2]]
        argv = ["make", "-C", str(paths.TOP / "selftests"), f"KSFT={ksft}", f"O={out / 'obj'}",
                f"INSTALL_PATH={made}", *arch.make, f"-j{os.cpu_count() or 1}", "install"]
        code, text = buildroot.output(argv, binds=binds)
        paths.write(log, text)
        if code:
            tail = "\n".join("    " + line for line in text.splitlines()[-20:])
            raise errors.Problem(f"the selftests do not build ({log}):\n{tail}")
        if not final.exists() or not _same(made, final):
            with paths.fresh_dir(final) as temp:
                temp.rmdir()
                made.rename(temp)
        paths.remove(made)
    return final
