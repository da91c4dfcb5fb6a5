# SPDX-License-Identifier: GPL-2.0-only
"""uplift_land in guests: build sched/ against a target's type information, carry it, compare schedulers."""

import hashlib
import os

from . import buildroot, guest, initramfs, kmod, paths, say, targets

SCHED = paths.TOP / "sched"
PROGRAMS = ("uplift_land", "example_fifo", "example_llc")
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64")


def supported(target):
    """Has the kernel sched_ext? Else a Skip with the reason."""
    if targets.config_of(target).get("CONFIG_SCHED_CLASS_EXT") != "y":
        raise say.Skip(f"{target.name}: this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)")


def build(target):
    """The directory with uplift_land and the examples for a target."""
    supported(target)
    buildroot.ensure("sched")
    out = paths.ensure(paths.BUILD / "sched" / target.release)
    with paths.lock(f"sched-{target.release}"), say.doing(f"building sched/ for {target.release}"):
        btf = kmod.btf_of(target)
        argv = ["make", "-C", SCHED, f"BTF={btf}", f"O={out}", f"-j{os.cpu_count() or 1}", "all"]
        code, text = buildroot.output(argv)
        paths.write(out / "build.log", text)
        if code or "warning:" in text:
            tail = "\n".join("    " + line for line in text.splitlines()[-20:])
            raise say.Problem(f"sched/ does not build ({out / 'build.log'}):\n{tail}")
    return out


def carried(directory, where="/sched"):
    """{path in the guest: file here}: the programs, and the libraries of the build root that they need."""
    files, todo = {}, [directory / name for name in PROGRAMS]
    for path in list(todo):
        files[f"{where}/{path.name}"] = path
    folders = [paths.ROOT / name for name in LIBRARIES]
    while todo:
        interpreter, names, _ = initramfs.needed(todo.pop())
        if interpreter:
            files[interpreter] = paths.ROOT / interpreter.lstrip("/")
        for name in names:
            if f"/lib/x86_64-linux-gnu/{name}" in files:
                continue
            library = next((folder / name for folder in folders if (folder / name).exists()), None)
            if library is None:
                raise say.Problem(f"uplift_land needs {name}, which the build root lacks")
            files[f"/lib/x86_64-linux-gnu/{name}"] = library
            todo.append(library)
    return files
