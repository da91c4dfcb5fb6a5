# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab run`: a script, a command or a shell in a guest of a target."""

import argparse
import pathlib
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from ..base import console, errors
from . import buildroot, commands, guest, kmod, schedprograms


def pairs(values: Iterable[str]) -> dict[str, str]:
    """--file SRC:DST"""
    files = {}
    for value in values:
        source, colon, where = value.partition(":")
        if not colon:
            where = "/" + pathlib.PurePath(source).name
        if not source or not where.startswith("/"):
            raise errors.Problem(f"--file takes FILE or FILE:/PATH/IN/GUEST, not '{value}'", errors.USAGE)
        files[where] = source
    return files


def check_script(name: str | None) -> None:
    """A Problem if --script names no file; None is fine."""
    if name and not pathlib.Path(name).is_file():
        raise errors.Problem(f"no script '{name}'", errors.USAGE)


def _script(name: str | None, words: Sequence[str]) -> pathlib.Path | str:
    """What the guest runs: a program, or a script's text."""
    if not name:
        return "exec " + shlex.join(words) if words else "true"
    path = pathlib.Path(name)
    return path if path.read_bytes().startswith(b"#!") else path.read_text()


def _run(args: argparse.Namespace) -> int:
    words = args.words
    if bool(words) + bool(args.script) + args.shell != 1:
        raise errors.Problem("one of these is wanted: --script FILE, --shell, or -- COMMAND...", errors.USAGE)
    if args.name is not None:
        guest.check_name(args.name)
    files = pairs(args.file)
    for what, source in [("file", name) for name in files.values()] + [("plugin", name.partition(",")[0])
                                                                       for name in args.plugin]:
        if not pathlib.Path(source).exists():
            raise errors.Problem(f"no {what} '{source}'", errors.USAGE)
    guest.topology_args(args.topology, args.smp, args.icount)	# complains before anything is built
    if args.timeout <= 0:
        raise errors.Problem("--timeout is a number of seconds above 0", errors.USAGE)
    check_script(args.script)
    want = {"image", "modules"} | (set() if args.no_kos else {"headers", "slice"})
    commands.check(args)
    buildroot.ensure()
    target = commands.chosen(args, want)
    kos: list[pathlib.Path] = []
    if not args.no_kos:
        if not target.kdir:
            raise errors.Problem(f"no headers for {target.release}, so our modules cannot be built: give --kdir, "
                              "or --no-kos to go without them", errors.USAGE)
        kos = list(kmod.build(target).values())
    carried: dict[str, pathlib.Path | str] = dict(files)
    if args.sched:
        # --file wins, so that a part can be replaced
        carried = {**schedprograms.carried(schedprograms.build(target)), **files}
    result = guest.boot(
        target, _script(args.script, words), files=carried, kos=kos, modules=args.module, programs=args.program, smp=args.smp,
        icount=args.icount, topology=args.topology, append=args.append, timeout=args.timeout, thread=args.thread,
        mem=args.mem, plugins=args.plugin, accel=args.accel, qemu=args.qemu, name=args.name, interactive=args.shell,
        warn_panic=args.panic_on_warn, keep=args.keep, echo=None if args.quiet or args.shell else print)
    console.note(f"{target.release}: {result.accel}, {result.seconds:.1f} s, "
             + ("no result" if result.rc is None else f"status {result.rc}, taint {result.taint}"))
    if result.oops:
        for line in result.oops:
            console.error(f"the kernel complained: {line}")
    console.note(f"results in {result.outdir}, output and log in {result.output.parent}, console in {result.console}")
    if result.rc is None or result.oops:
        return errors.FAIL
    return result.rc


def split_at_dashes(parser: argparse.ArgumentParser) -> None:
    """Keep what follows "--" out of argparse, which mixes it up with an optional TARGET; it goes to args.words."""
    inner = parser.parse_known_args

    def outer(args: Sequence[str] | None = None,
              namespace: argparse.Namespace | None = None) -> tuple[argparse.Namespace, list[str]]:
        words = list(args or ())
        at = words.index("--") if "--" in words else len(words)
        found, extra = inner(words[:at], namespace)
        found.words = words[at + 1:]
        return found, extra

    setattr(parser, "parse_known_args", outer)


def register(commands_parser: Any) -> None:
    """Add `uplift lab run`."""
    parser = commands_parser.add_parser(
        "run", help="run a script, a command or a shell in a guest",
        usage="uplift lab run [options] TARGET (--script FILE | --shell | -- COMMAND...)",
        description="Boot a stock kernel and run something in it. What it leaves in /out is brought back to "
                    "build/guest/NAME/out. Our modules are in /modules of the guest, stock ones given by --module "
                    "are found by modprobe; none is loaded. With --sched uplift_land is in /sched. The status is the script's, or 1 when the kernel "
                    "complained or the guest ended without a result.")
    commands.add_kernel_options(parser)
    split_at_dashes(parser)
    parser.add_argument("--script", metavar="FILE", help="run this script")
    parser.add_argument("--shell", action="store_true", help="a shell on this terminal (Ctrl-A X ends QEMU)")
    group = parser.add_argument_group("what the guest has")
    group.add_argument("--module", action="append", default=[], metavar="NAME", help="a stock module for modprobe")
    group.add_argument("--file", action="append", default=[], metavar="FILE[:PATH]", help="a file or directory")
    group.add_argument("--program", action="append", default=[], metavar="PATH",
                       help="a program of the build root, with its libraries (/usr/bin/fio)")
    group.add_argument("--sched", action="store_true", help="uplift_land and the example schedulers, in /sched")
    group.add_argument("--no-kos", action="store_true", help="without our modules (nothing is built)")
    group = parser.add_argument_group("the machine")
    group.add_argument("--smp", type=guest.vcpus, metavar="N", help="vCPUs (1, or what the topology has)")
    group.add_argument("--topology", metavar="NAME", help="CPUs and caches: " + "; ".join(
        f"{name}: {item.about}" for name, item in guest.TOPOLOGIES.items()))
    group.add_argument("--icount", action="store_true", help="a nanosecond is an instruction; one vCPU")
    group.add_argument("--mem", metavar="SIZE", help="memory: 2G (default: 1G, or what the files need)")
    group.add_argument("--append", default="", metavar="ARGS", help="more kernel arguments (loglevel=7 shows all)")
    group.add_argument("--accel", choices=("auto", "kvm", "tcg"), help="KVM or emulation (auto: KVM if a guest boots)")
    group.add_argument("--thread", choices=("single", "multi"), help="emulation of several vCPUs")
    group.add_argument("--plugin", action="append", default=[], metavar="FILE[,ARGS]", help="a QEMU plugin")
    group.add_argument("--qemu", metavar="PROGRAM", help="another QEMU than the build root's (UPLIFT_QEMU)")
    group = parser.add_argument_group("how it runs")
    group.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="end it after that (300)")
    group.add_argument("--name", metavar="NAME", help="of the directory in build/guest (TARGET-run)")
    group.add_argument("--panic-on-warn", action="store_true", help="end it at the first warning of the kernel")
    group.add_argument("--keep", action="store_true", help="keep the initramfs")
    group.add_argument("--quiet", action="store_true", help="do not show the console")
    parser.set_defaults(func=_run)
