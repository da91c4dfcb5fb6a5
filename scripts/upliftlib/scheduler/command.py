# SPDX-License-Identifier: GPL-2.0-only
"""`uplift sched`: load uplift_land on this machine, watch it, unload it, compare it with the kernel's own scheduler."""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..base import errors, paths, prompt
from ..host import programs
from . import tables


RUN = pathlib.Path("/run/uplift")
STATUS = RUN / "sched.json"
LOG = RUN / "sched.log"
SCX = pathlib.Path("/sys/kernel/sched_ext")
CAS = pathlib.Path("/sys/kernel/debug/sched/llc_balancing/enabled")
TRACING = pathlib.Path("/sys/kernel/tracing")


def _read(path: pathlib.Path | str) -> str:
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""


def loaded() -> str:
    """The name of the sched_ext scheduler that is loaded, or ""."""
    return _read(SCX / "root/ops") if _read(SCX / "state") in ("enabled", "enabling") else ""


def _need(root: bool = True) -> None:
    if not SCX.is_dir():
        raise errors.Skip("this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT): Debian's have it from 6.18 on")
    if root and os.geteuid():
        raise errors.Problem("that takes root", errors.USAGE)


def program() -> pathlib.Path:
    """uplift_land, built for the running kernel."""
    own = os.environ.get("UPLIFT_SCHED_DIR")
    release = os.uname().release
    for place in [pathlib.Path(own)] if own else [paths.BUILD / "sched" / release]:
        if os.access(place / "uplift_land", os.X_OK):
            return place / "uplift_land"
    if own:
        raise errors.Problem(f"no uplift_land in {own}, which UPLIFT_SCHED_DIR names", errors.USAGE)
    raise errors.Problem(f"uplift_land is not built for {release}: make -C {paths.TOP / 'sched'} (it takes gcc, clang, bpftool, "
                      "libbpf-dev, libelf-dev and zlib1g-dev), or set UPLIFT_SCHED_DIR to where it is")


def status() -> tables.Status | None:
    """What uplift_land says of itself; None where it does not run and left nothing."""
    try:
        return tables.checked(json.loads(STATUS.read_text()), STATUS)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as problem:
        raise errors.Problem(f"{STATUS} cannot be read: {problem}") from None


def _is_there(found: tables.Status | None) -> bool:
    """Does the daemon that wrote this status still run? Its process id may have been reused."""
    return bool(found and found["running"] and _read(f"/proc/{found['pid']}/comm") == found["name"])


def start(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start uplift_land; it is loaded when this returns."""
    if name := loaded():
        raise errors.Problem(f"a scheduler is loaded already: {name}")
    # getopt takes the beginning of an option for it
    if any(word.startswith("--stat") for word in words):
        raise errors.Problem(f"--status is what this command gives it: {STATUS}", errors.USAGE)
    land = program()
    paths.ensure(RUN)
    STATUS.unlink(missing_ok=True)
    with open(LOG, "w") as log:
        daemon = subprocess.Popen([land, "--status", STATUS, *words], stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            if daemon.poll() is not None:
                said = LOG.read_text().strip().splitlines()
                raise errors.Problem(said[-1] if said else f"uplift_land ended with status {daemon.returncode}",
                                  daemon.returncode if daemon.returncode in (errors.USAGE, errors.SKIP) else errors.FAIL)
            # another that is loaded at the same time writes there, too
            if loaded() and (found := status()) and found["pid"] == daemon.pid:
                return daemon
            time.sleep(0.1)
        raise errors.Problem("uplift_land was not up within a minute, and was ended")
    except BaseException:
        # by Ctrl-C, too: it would be loaded by itself later
        daemon.kill()
        daemon.wait()
        raise


def stop() -> None:
    """End it; the kernel's scheduler is back when this returns."""
    found = status()
    if not found or not loaded():
        raise errors.Problem("uplift_land is not loaded" + (f"; {loaded()} is, by somebody else" if loaded() else ""))
    if not _is_there(found):
        raise errors.Problem(f"process {found['pid']}, which wrote {STATUS}, is not there any more; {loaded()} is loaded")
    os.kill(found["pid"], signal.SIGTERM)
    for _ in range(100):
        if not loaded():
            return
        time.sleep(0.1)
    raise errors.Problem(f"process {found['pid']} does not end: kill -9 it, and the kernel takes over")


def _not_honoured() -> list[str]:
    """A line where this kernel tells schedulers nothing of cgroups' weights or limits."""
    done = subprocess.run([program(), "--honours"], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise errors.Problem(f"{program()} does not say what it honours: build it anew")
    missing = [name for name in ("cpu.weight", "cpu.max") if name not in done.stdout.split()]
    if not missing:
        return []
    return [f"This kernel does not tell schedulers of {' and '.join(missing)} of cgroups (CONFIG_EXT_GROUP_SCHED, Linux 6.17): "
            "they have no effect on normal tasks while uplift_land is loaded."]


def _load(args: argparse.Namespace) -> int:
    if {"-h", "--help"} & set(args.options):
        return subprocess.run([program(), "--help"]).returncode
    _need()
    lines = ["uplift_land will schedule all normal tasks of this machine, until `uplift sched unload`.",
             *_not_honoured()]
    if not prompt.agreed(lines, args.yes):
        raise errors.Problem("nothing was loaded: --yes agrees without being asked", errors.USAGE)
    start(args.options)
    print(f"{loaded()} is loaded; uplift sched unload brings the kernel's scheduler back")
    return errors.OK


def _unload(args: argparse.Namespace) -> int:
    _need()
    stop()
    print("unloaded: the kernel's own scheduler is back")
    return errors.OK


def _show(args: argparse.Namespace) -> int:
    _need(root=False)
    if args.every is not None and not 0.1 <= args.every <= 3600:
        raise errors.Problem(f"--every takes seconds, 0.1 to 3600, not {args.every:g}", errors.USAGE)
    now, before = status(), None
    if now is None or not loaded() or not _is_there(now):
        print("not loaded" if not loaded() else f"{loaded()} is loaded, not by this command")
        return errors.FAIL
    while True:
        if args.json:
            print(json.dumps(now))
        else:
            if before and sys.stdout.isatty():
                sys.stdout.write("\033[H\033[J")
            sys.stdout.write(tables.live(now, before))
        if args.every is None:
            return errors.OK
        sys.stdout.flush()
        time.sleep(args.every)
        if not loaded():
            said = _read(LOG).splitlines()
            print(said[-1] if said else "unloaded")
            return errors.OK
        before, now = now, status() or now	# it may be gone while another is being loaded


@contextlib.contextmanager
def _arm(name: str, words: Sequence[str]) -> Iterator[None]:
    """The machine with one of the schedulers; as it was afterwards."""
    was = _read(CAS)
    daemon = None
    try:
        if was and name in ("eevdf", "cas"):
            CAS.write_text("1" if name == "cas" else "0")
        if name == "land":
            daemon = start(words)
        yield
    finally:
        if daemon:
            daemon.terminate()
            daemon.wait()
        if was:
            CAS.write_text("1" if was in ("1", "Y", "enabled") else "0")


def _compare(args: argparse.Namespace) -> int:
    _need()
    if name := loaded():
        raise errors.Problem(f"a scheduler is loaded: {name}; unload it first")
    arms = [name for name in tables.ARMS if name != "cas" or CAS.exists()]
    loads = args.loads or list(tables.LOADS)
    if args.length < 100 or args.rounds < 1:
        raise errors.Problem("--length 100 and --rounds 1 at least", errors.USAGE)
    lines = [f"{', '.join(tables.ARMS[arm] for arm in arms)} will schedule this machine by turns, under load, for about "
             f"{len(arms) * len(loads) * args.rounds * (args.length + 200) / 1000:.0f} s."]
    if not prompt.agreed(lines, args.yes):
        raise errors.Problem("nothing was run: --yes agrees without being asked", errors.USAGE)
    load_program = programs.find("sched_load")
    samples = []
    for _ in range(args.rounds):
        for arm in arms:
            with _arm(arm, args.options):
                for load in loads:
                    done = subprocess.run([load_program, "-t", str(args.length), load], stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE, text=True)
                    if done.returncode:
                        said = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
                        raise errors.Problem(f"sched_load {load}: {said[-1]}")
                    samples.append({"arm": arm} | json.loads(done.stdout))
                if arm == "land" and not loaded():
                    raise errors.Problem(f"uplift_land ended under load: {_read(LOG).splitlines()[-1:]}")
    print(json.dumps(samples, indent=1) if args.json else tables.comparison(samples, "ns"), end="")
    return errors.OK


def _domains() -> dict[int, int]:
    """{cpu: domain} as sysfs has it, numbered in the order of their first CPUs."""
    masks = {}
    for cpu in pathlib.Path("/sys/devices/system/cpu").glob("cpu[0-9]*"):
        leaves = sorted(cpu.glob("cache/index*/shared_cpu_list"))
        masks[int(cpu.name[3:])] = _read(leaves[-1]) if leaves else ""
    numbers: dict[str, int] = {}
    return {cpu: numbers.setdefault(mask, len(numbers)) for cpu, mask in sorted(masks.items())}


def _trace(args: argparse.Namespace) -> int:
    if os.geteuid():
        raise errors.Problem("that takes root", errors.USAGE)
    if not 0.1 <= args.seconds <= 60:
        raise errors.Problem(f"--seconds takes 0.1 to 60, not {args.seconds:g}", errors.USAGE)
    target = pathlib.Path(args.file)
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise errors.Problem(f"{target}: not a file that can be written", errors.USAGE)
    if not (TRACING / "instances").is_dir():
        raise errors.Skip("no tracefs at /sys/kernel/tracing: mount -t tracefs tracefs /sys/kernel/tracing")
    # an instance of our own, which leaves other tracing alone
    own = TRACING / "instances" / f"uplift-{os.getpid()}"
    own.mkdir()
    try:
        (own / "buffer_size_kb").write_text("8192")
        (own / "trace_clock").write_text("mono")
        (own / "events/sched/sched_switch/enable").write_text("1")
        time.sleep(args.seconds)
        (own / "events/sched/sched_switch/enable").write_text("0")
        text = (own / "trace").read_text(errors="replace")
    finally:
        own.rmdir()
    found = tables.trace(text, _domains())
    turns = sum(event["ph"] == "X" for event in found["traceEvents"])
    paths.write(target.absolute(), json.dumps(found) + "\n")
    print(f"{turns} turns in {target}: open it in ui.perfetto.dev, which sends it nowhere")
    return errors.OK if turns else errors.FAIL


def register(groups: Any) -> None:
    """Add `uplift sched`."""
    parser = groups.add_parser(
        "sched", help="schedule this machine with uplift_land: a queue per cache",
        description="Load uplift_land, a scheduler that keeps each process in one last-level cache, on a kernel that has "
                    "sched_ext; watch it, unload it, and compare it with the kernel's own. If it fails or is ended, the "
                    "kernel's scheduler takes over.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    sub = commands.add_parser("load", help="load it", description="Load uplift_land. Asks once.")
    sub.add_argument("--yes", action="store_true", help="do not ask")
    sub.add_argument("options", nargs="*", metavar="OPTION", help="for uplift_land, after --: see uplift_land --help")
    sub.set_defaults(func=_load)

    sub = commands.add_parser("show", help="what it does: a line per cache",
                              description="Per last-level cache: tasks queued and running, turns, threads that came from "
                                          "and went to others, and how long tasks waited from waking to running.")
    sub.add_argument("--every", type=float, nargs="?", const=1.0, metavar="SECONDS",
                     help="again and again (1), each time what happened since; until Ctrl-C")
    sub.add_argument("--json", action="store_true", help="as JSON")
    sub.set_defaults(func=_show)

    sub = commands.add_parser("unload", help="bring the kernel's own scheduler back",
                              description="End uplift_land; the kernel's own scheduler is back when this returns.")
    sub.set_defaults(func=_unload)

    sub = commands.add_parser(
        "compare", help="EEVDF, cache-aware scheduling where the kernel has it, uplift_land: the same loads",
        description="Run loads under each scheduler in turn, and show where they ran, how much they did, and how long "
                    "tasks waited.")
    sub.add_argument("loads", nargs="*", metavar="LOAD", help="of sched_load (default: " + " ".join(tables.LOADS) + ")")
    sub.add_argument("--length", type=int, default=1000, metavar="MS", help="of a load (1000)")
    sub.add_argument("--rounds", type=int, default=1, metavar="N", help="of all of them (1)")
    sub.add_argument("--option", dest="options", action="append", default=[], metavar="OPTION",
                     help="for uplift_land: --option=--tolerance=3")
    sub.add_argument("--json", action="store_true", help="the samples as JSON")
    sub.add_argument("--yes", action="store_true", help="do not ask")
    sub.set_defaults(func=_compare)

    sub = commands.add_parser("trace", help="which task ran where, for Perfetto",
                              description="Record which task runs on which CPU, under any scheduler, into a file that "
                                          "Perfetto opens: a group per last-level cache.")
    sub.add_argument("file", metavar="FILE", help="where to write it")
    sub.add_argument("--seconds", type=float, default=1.0, metavar="N", help="how long (1)")
    sub.set_defaults(func=_trace)
