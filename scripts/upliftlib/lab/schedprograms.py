# SPDX-License-Identifier: GPL-2.0-only
"""uplift_land and the example schedulers for a target: built against its type information, and carried into a guest."""

import os
import pathlib

from ..base import builds, console, errors, paths
from . import buildroot, kernels, kmod
from .guest import programs

SCHED = paths.TOP / "sched"
PROGRAMS = ("uplift_land", "example_fifo", "example_llc")


def supported(target: kernels.Target) -> None:
    """Can the programs be built for the kernel, and has it sched_ext? Else a Skip with the reason."""
    if kernels.config_of(target).get("CONFIG_SCHED_CLASS_EXT") != "y":
        raise errors.Skip(f"{target.name}: this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)")
    if not target.arch.native:
        raise errors.Skip(f"{target.name}: uplift_land is linked with the build root's own libbpf, and not built for {target.arch.name}")


def build(target: kernels.Target) -> pathlib.Path:
    """The directory with uplift_land and the examples for a target."""
    supported(target)
    buildroot.ensure("sched")
    out = paths.ensure(paths.BUILD / "sched" / target.release)
    with paths.lock(f"sched-{target.release}"), console.doing(f"building sched/ for {target.release}"), builds.unbroken(out):
        btf = kmod.btf_of(target)
        argv = ["make", "-C", str(SCHED), f"BTF={btf}", f"O={out}", f"-j{os.cpu_count() or 1}", "all"]
        code, text = buildroot.output(argv)
        paths.write(out / "build.log", text)
        if code or "warning:" in text:
            tail = "\n".join("    " + line for line in text.splitlines()[-20:])
            raise errors.Problem(f"sched/ does not build ({out / 'build.log'}):\n{tail}")
    return out


def carried(directory: pathlib.Path, where: str = "/sched") -> dict[str, pathlib.Path]:
    """{path in the guest: file here}: the programs, and the libraries of the build root that they need."""
    ours = [directory / name for name in PROGRAMS]
    return {f"{where}/{path.name}": path for path in ours} | programs.libraries(ours)
