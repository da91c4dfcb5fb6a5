# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that runs guests."""

import os
import pathlib
import re
import shutil
import subprocess

from ...base import errors, paths

# What names another QEMU than the build root's, by the program in whose place it is.
_VARIABLES = {"qemu-system-aarch64": "UPLIFT_QEMU_ARM64"}


class Qemu:
    """A QEMU: the build root's, run by the build root's own loader so that no chroot is needed, or another.

    @argv, @env: how its command line and its environment begin
    @system: the program of the build root
    """

    def __init__(self, program: str | None = None, system: str = "qemu-system-x86_64") -> None:
        program = program or os.environ.get(_VARIABLES.get(system, "UPLIFT_QEMU"))
        self.argv, self.env = _other(program) if program else _of_root(paths.ROOT, system)
        self.version = self._ask()
        self.major = int(self.version.partition(".")[0])

    def environment(self) -> dict[str, str]:
        """The whole environment that it runs in."""
        return {**os.environ, **self.env}

    def _ask(self) -> str:
        try:
            text = subprocess.run(self.argv + ["--version"], env=self.environment(), check=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "output", "") or str(error)).strip().splitlines()
            raise errors.Problem(f"QEMU does not start: {said[-1] if said else error}") from None
        match = re.search(r"version (\d+\.\d+\.?\d*)", text)
        if not match:
            raise errors.Problem(f"'{self.argv[-1]}' does not say that it is QEMU")
        return match[1]


def _other(program: str) -> tuple[list[str], dict[str, str]]:
    found = shutil.which(program)
    if not found:
        raise errors.Problem(f"no QEMU '{program}'", errors.USAGE)
    return [found], {}


def _of_root(root: pathlib.Path, system: str) -> tuple[list[str], dict[str, str]]:
    loader = root / "lib64/ld-linux-x86-64.so.2"
    binary = root / "usr/bin" / system
    if not loader.exists() or not binary.exists():
        raise errors.Problem(f"no {system} in the build root: scripts/uplift lab root")
    argv = [str(loader), "--inhibit-cache", "--library-path",
            f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib", str(binary),
            "-L", f"{root}/usr/share/qemu", "-L", f"{root}/usr/share/seabios"]
    return argv, {"QEMU_MODULE_DIR": f"{root}/usr/lib/x86_64-linux-gnu/qemu"}
