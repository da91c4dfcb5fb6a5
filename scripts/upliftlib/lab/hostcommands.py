# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab live`: this very command on a stock kernel, in a guest that has Python.

    scripts/uplift lab live 6.18 -- probe
    scripts/uplift lab live 6.18 --count -- bench

What `uplift probe`, `doctor` and `bench` do on a live machine they do there: nothing of the lab is in the guest but the
scripts, the modules and the programs, as they would be installed. With --count the guest counts instructions, and bench
is told so.
"""

import argparse
import hashlib
import pathlib
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from ..base import console, errors, paths
from ..kernel import log
from . import buildroot, commands, guest, kmod, runscript, testprograms

PYTHON = "usr/lib/python3.13"
# Files that no code imports still take memory and time.
LEFT_OUT = {"test", "idlelib", "ensurepip", "pydoc_data", "turtledemo", "lib-dynload", "venv", "sqlite3", "tkinter",
            "distutils", "lib2to3", "dist-packages", "site-packages"}
LIBRARIES = ("_ctypes", "_contextvars", "_decimal", "_lzma", "_bz2", "_hashlib", "_queue", "resource", "mmap", "termios")
TREE = "/opt/uplift"
PROGRAMS = ("/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.xfs")
WORKLOADS = ("/usr/bin/fio", "/usr/bin/perf", "/usr/bin/hackbench", "/usr/bin/sed")
STOCK = ("brd", "ext4", "xfs")
TIMEOUT = 900.0	# seconds


def _compiled(directory: pathlib.Path) -> None:
    """With code that is not held against its source's time, which an initramfs does not keep."""
    code, text = buildroot.output(["python3", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash",
                                   directory])
    if code:
        raise errors.Problem(f"compiling {directory}:\n{text.rstrip()}")


def _library() -> pathlib.Path:
    """What of Python's library is carried, made once: compiling it takes a guest half a minute, each time."""
    source = paths.ROOT / PYTHON
    if not source.is_dir():
        raise errors.Problem(f"no {PYTHON} in the build root: another Python than expected? scripts/uplift lab root")
    library = paths.BUILD / "live" / "library"
    with paths.lock("live"):
        if not library.exists():
            paths.ensure(library.parent)
            with console.doing("preparing Python for guests"), paths.fresh_dir(library) as temp:
                for path in source.iterdir():
                    if path.name in LEFT_OUT or path.name.startswith("config-") or path.is_symlink():
                        continue
                    if path.is_dir():
                        shutil.copytree(path, temp / path.name, ignore=shutil.ignore_patterns("__pycache__", "test*"))
                    elif path.suffix == ".py":
                        shutil.copy(path, temp)
                _compiled(temp)
    return library


def _tree() -> pathlib.Path:
    """Our own tree, as far as the commands take it; one per state of the sources, as guests may run side by side."""
    top = paths.TOP
    wanted = [top / "scripts" / name for name in ("uplift", "targets.toml")] + [log.COMPLAINTS]
    wanted += sorted((top / "scripts/upliftlib").rglob("*.py"))
    wanted += sorted(path for pattern in ("about.toml", "*.cocci") for place in ("*", "backports/*")
                     for path in (top / "modules").glob(f"{place}/{pattern}"))
    state = hashlib.sha256(b"\0".join(str(path).encode() + path.read_bytes() for path in wanted)).hexdigest()[:12]
    tree = paths.BUILD / "live" / f"tree-{state}"
    with paths.lock("live"):
        if not tree.exists():
            with paths.fresh_dir(tree) as temp:
                for path in wanted:
                    shutil.copy(path, paths.ensure(temp / path.relative_to(top).parent))
                _compiled(temp)
    return tree


def carried() -> tuple[dict[str, paths.Path], list[str]]:
    """({path in the guest: file here}, [programs]): Python and our tree."""
    library = paths.ROOT / PYTHON
    files: dict[str, paths.Path] = {f"/{PYTHON}": _library(), TREE: _tree()}
    programs = [f"/usr/bin/{pathlib.Path(PYTHON).name}"]
    for name in LIBRARIES:
        programs += [f"/{PYTHON}/lib-dynload/{path.name}"
                     for path in sorted((library / "lib-dynload").glob(f"{name}.cpython-*.so"))]
    return files, programs


def guest_of(target: guest.Kernel, words: Sequence[str], *, tests: paths.Path | None = None, script: str | None = None,
             more: Mapping[str, paths.Path] | None = None, **options: Any) -> guest.Guest:
    """A guest that runs our command: what it prints is in the result's output, what it writes in /out.

    @tests: the installed selftests, for /selftests
    @script: to run in place of `uplift WORDS`, with the command in $UPLIFT
    @more: {path in the guest: file here}, beside our tree
    @options: of Guest
    """
    loads = "--workloads" in words
    buildroot.ensure("loads" if loads else "io")
    files, programs = carried()
    files |= more or {}
    if tests:
        files["/selftests"] = tests
    if target.config:
        files[f"/boot/config-{target.release}"] = target.config
    command = f"/usr/bin/{pathlib.Path(PYTHON).name} {TREE}/scripts/uplift"
    counting = options.get("icount", False)
    env = {"UPLIFT_BUILD": "/out", "PYTHONHOME": "/usr", "UPLIFT": command,
           "UPLIFT_BENCH_DIR": "/selftests", "UPLIFT_SCHED_DIR": "/sched", "UPLIFT_COUNTING": str(int(counting)),
           "UPLIFT_EMULATED": str(int(guest.emulated(target, options.get("accel"), counting)))}
    given: dict[str, Any] = {"name": f"{target.name}-live", "timeout": TIMEOUT} | options
    return guest.Guest(target, script if script is not None else f"exec {command} {shlex.join(words)}", files=files,
                       modules=STOCK, programs=[*programs, *PROGRAMS, *(WORKLOADS if loads else ())], mem="2G",
                       env=env, quiet=True, **given)


def boot(target: guest.Kernel, words: Sequence[str], **options: Any) -> guest.Result:
    """Run our command in a guest. @options: of guest_of() and of Guest"""
    return guest.run(guest_of(target, words, **options))


def _live(args: argparse.Namespace) -> int:
    words = args.words
    if not words and not args.script:
        raise errors.Problem("what to run? scripts/uplift lab live TARGET -- probe", errors.USAGE)
    if words and words[0] in ("probe", "bench") and "--yes" not in words:
        words = [words[0], "--yes", *words[1:]]
    runscript.check_script(args.script)
    guest.topology_args(args.topology, args.smp, args.count)
    commands.check(args)
    buildroot.ensure()
    target = commands.chosen(args, {"image", "modules", "headers", "slice"})
    kos = [] if args.no_kos else list(kmod.build(target).values())
    script = pathlib.Path(args.script).read_text() if args.script else None
    if script is not None:
        script = re.sub(r"^#!.*\n", "", script)
    console.note(f"{target.release}: running {'the script' if script else 'uplift ' + shlex.join(words)} in a guest; what it "
                 "prints comes at its end")
    tests = None if args.no_kos else testprograms.build(target.arch)
    with console.waiting("the guest"):
        result = boot(target, words, kos=kos, tests=tests, icount=args.count, smp=args.smp, topology=args.topology,
                      timeout=args.timeout, accel=args.accel, script=script)
    if result.output.exists():
        print(result.output.read_text(errors="replace"), end="", flush=True)
    console.note(f"{target.release}: {result.accel}, {result.seconds:.1f} s, "
             + (result.why if result.rc is None else f"status {result.rc}, taint {result.taint}")
             + f"; what it left: {result.outdir}")
    for line in result.oops:
        console.error(f"the kernel complained: {line}")
    return errors.FAIL if result.rc is None or result.oops else result.rc


def register(commands_: Any) -> None:
    """Add `uplift lab live`."""
    parser = commands_.add_parser(
        "live", help="uplift probe, doctor or bench on a stock kernel, in a guest",
        usage="uplift lab live [options] TARGET -- COMMAND...",
        description="Run `uplift COMMAND...` in a guest of a stock kernel, with the modules, the measuring programs "
                    "and Python in it. What it prints is printed; what it writes is brought back.")
    commands.add_kernel_options(parser)
    runscript.split_at_dashes(parser)
    parser.add_argument("--count", action="store_true", help="count instructions; one vCPU")
    parser.add_argument("--script", metavar="FILE", help="run this sh script instead; $UPLIFT is the command")
    parser.add_argument("--no-kos", action="store_true", help="without our modules")
    parser.add_argument("--smp", type=guest.vcpus, metavar="N", help="vCPUs (1)")
    parser.add_argument("--topology", metavar="NAME", help="layout of CPUs and caches: " + " ".join(guest.TOPOLOGIES))
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), help="KVM or emulation (auto: KVM if a guest boots)")
    parser.add_argument("--timeout", type=float, default=1200, metavar="SECONDS", help="end it after that (1200)")
    parser.set_defaults(func=_live)
