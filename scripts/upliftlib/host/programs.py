# SPDX-License-Identifier: GPL-2.0-only
"""The programs that measure (selftests/bench/), found or built, and one sample of one of them."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from ..base import errors, paths

BENCH = paths.TOP / "selftests/bench"
BUILT = paths.BUILD / "bench"

# All that they take of the kernel's kselftest.h, so that a machine without a kernel source can build them.
KSELFTEST = """/* made by uplift bench: what selftests/bench takes of the kernel's kselftest.h */
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#ifndef __noreturn
#define __noreturn __attribute__((__noreturn__))
#endif
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
"""


def find(name: str) -> pathlib.Path:
    """The program, built if there is a compiler and it is not there; Problem says what to type."""
    own = os.environ.get("UPLIFT_BENCH_DIR")
    for place in ([pathlib.Path(own)] if own else []) + [paths.TOP / "libexec", pathlib.Path("/usr/libexec/uplift"),
                                                         pathlib.Path("/usr/local/libexec/uplift")]:
        if os.access(place / name, os.X_OK):
            return place / name
    source, program = BENCH / f"{name}.c", BUILT / name
    sources = [source, *BENCH.glob("*.h"), *BENCH.parent.glob("*.h")]
    if program.exists() and all(program.stat().st_mtime >= path.stat().st_mtime for path in sources if path.exists()):
        return program
    if not source.exists():
        raise errors.Problem(f"no {name} here: set UPLIFT_BENCH_DIR to where it is")
    compiler = next((found for found in map(shutil.which, ("cc", "gcc", "clang")) if found), None)
    if not compiler:
        raise errors.Problem(f"no {name} and no compiler to build it with: apt-get install gcc libc6-dev")
    try:
        paths.write(BUILT / "include/kselftest.h", KSELFTEST)
    except OSError as problem:
        raise errors.Problem(f"{name} cannot be built: {errors.of_os(problem)}; set UPLIFT_BUILD to a directory that can be "
                          "written to, or UPLIFT_BENCH_DIR to where the programs are") from None
    done = subprocess.run([compiler, "-O2", "-w", "-std=gnu11", "-D_GNU_SOURCE=", f"-I{BUILT / 'include'}",
                           f"-I{BENCH.parent}", "-o", f"{program}.new", str(source), "-lpthread"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise errors.Problem(f"{source} does not build:\n{done.stdout.rstrip()}")
    os.replace(f"{program}.new", program)
    return program


def _child(cpu: int | None) -> Callable[[], None]:
    """Before it starts: on its CPU, and not outliving us."""
    def prepare() -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)	# PR_SET_PDEATHSIG
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
    return prepare


def samples(argv: Sequence[object], cpu: int | None = None, warnings: set[str] | None = None) -> list[dict[str, Any]]:
    """Run a program on a CPU; the JSON lines that it printed. What else it said goes to a set of warnings."""
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, preexec_fn=_child(cpu))
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise errors.Problem(f"{pathlib.Path(str(argv[0])).name} ended with status {done.returncode}"
                          + (f": {said[-1]}" if said else ""))
    if warnings is not None:
        warnings.update(line.strip() for line in done.stderr.splitlines() if line.strip())
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
