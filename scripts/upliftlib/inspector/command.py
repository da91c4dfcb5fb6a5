# SPDX-License-Identifier: GPL-2.0-only
"""`uplift llc`: draw the cache domains; capture them; turn tracking on and off; record placement, and draw it over time."""

import argparse
import json
import pathlib
import shutil
import sys
import time
from typing import Any

from ..base import console, errors, paths
from . import history, layout, model, record, source, svg, text, timeline, timeline_svg, together, trace


PROC = pathlib.Path("/proc")


def _plain(args: argparse.Namespace) -> bool:
    """Are box-drawing characters out of the question?"""
    try:
        "┌◄…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return args.ascii or not console.draws()


def _columns() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def as_json(machine: model.Machine, processes: model.Processes | None, migrations: model.Migrations | None) -> dict[str, Any]:
    """All that was drawn, for programs."""
    def verdict(given: model.Verdict | None) -> dict[str, Any] | None:
        return None if given is None else vars(given)

    def parts(domain: model.Domain) -> list[dict[str, Any]]:
        return [{"part": part.name, "cpus": model.list_of(part.cpus), "alone": part.alone} for part in domain.parts]

    data: dict[str, Any] = {
        "format": model.FORMAT, "source": machine.source, "kernel": machine.kernel, "cas": machine.cas,
        "smt": machine.smt, "possible": model.list_of(machine.possible), "online": model.list_of(machine.online),
        "no_domain": model.list_of(machine.no_domain),
        "domains": [{
            "domain": domain.number, "cpus": model.list_of(domain.cpus), "online": model.list_of(domain.online),
            "level": domain.level, "type": domain.type, "size_kib": domain.size_kib, "ways": domain.ways,
            "line": domain.line, "nodes": model.list_of(domain.nodes), "packages": model.list_of(domain.packages),
            "dies": model.list_of(domain.dies), "ids": domain.ids,
            "sched_cpus": None if domain.sched_cpus is None else model.list_of(domain.sched_cpus),
            "parts": parts(domain), "disagreements": domain.disagreements} for domain in machine.domains],
        "unknown": model.list_of(machine.unknown), "about": vars(machine.about), "caches": [
            {"level": kind.level, "type": kind.type, "size_kib": kind.size_kib, "number": kind.number}
            for kind in machine.caches],
        "cores": [{"kind": machine.kinds.get(cpu), "capacity": machine.capacities.get(cpu), "cpu": cpu}
                  for cpu in sorted(machine.online) if machine.kinds or machine.capacities],
        "memory_kib": {str(node): kib for node, kib in sorted(machine.memory_kib.items())},
        "disagreements": layout.problems(machine), "notes": machine.notes}
    if processes:
        data["processes"] = {
            "tracking": processes.tracking, "source": processes.source, "tracked": processes.tracked,
            "dropped": processes.dropped, "epoch_ms": processes.epoch_ms, "tolerance": processes.tolerance,
            "processes": [{
                "pid": item.pid, "comm": item.comm, "threads": item.threads, "runtime_ns": item.runtime_ns,
                "share": [{"domain": domain, "permille": permille} for domain, permille in sorted(item.share.items())],
                "parts": [{"part": part, "permille": permille} for part, permille in item.parts.items()],
                "scheduler": verdict(item.scheduler), "predicted": verdict(item.predicted),
                "wakeups": item.wakeups, "moves": item.moves} for item in processes.list]}
    if migrations:
        data["migrations"] = vars(migrations)
    return data


def _draw(args: argparse.Namespace, given: source.Live | source.Snapshot, before: history.History | None = None) -> str:
    """One picture, as text for stdout ('' when it went into a file); @before: the History of the pictures before it."""
    found = source.gather(given)
    if before is not None:
        before.add(found[1])
    if args.svg:
        picture = svg.render(*found, every=args.all)
        if args.svg == "-":
            return picture
        paths.write(_target("--svg", args.svg, args.given), picture)
        for note in found[0].notes:
            console.note(note)
        return ""
    if args.json:
        return json.dumps(as_json(*found), indent=None if args.watch is not None else 1) + "\n"
    return text.render(*found, columns=_columns(), every=args.all, plain=_plain(args), before=before)


def _watch(args: argparse.Namespace, given: source.Live | source.Snapshot) -> int:
    """Draw again and again, until Ctrl-C."""
    screen = sys.stdout.isatty() and not args.json and not args.svg
    before = history.History()
    try:
        while True:
            drawn = _draw(args, given, before)
            if screen:
                # home, each line cleared to its end, and what was below: no flicker
                size = shutil.get_terminal_size()
                sys.stdout.write("\033[H" + "".join(f"{line[:size.columns - 1]}\033[K\n"
                                                    for line in drawn.splitlines()[:size.lines - 1]) + "\033[J")
            elif drawn:
                sys.stdout.write(drawn if args.json or args.svg else f"{time.strftime('%H:%M:%S')}\n{drawn}\n")
            sys.stdout.flush()
            time.sleep(args.watch)
    except KeyboardInterrupt:
        if screen:
            print()
        return errors.OK


def _map(args: argparse.Namespace) -> int:
    if "" in (args.given, args.svg):
        raise model.Bad("a name is wanted, not ''")
    if args.svg and args.json:
        raise model.Bad("--svg and --json: one at a time")
    if args.given and args.load:
        raise model.Bad("--from draws from a snapshot: there is nothing to --load for it")
    if args.given and args.watch is not None:
        raise model.Bad("--from draws from a snapshot: there is nothing to --watch")
    if args.watch is not None and not 0.1 <= args.watch <= 86400:
        raise model.Bad(f"--watch takes seconds, 0.1 to 86400, not {args.watch:g}")
    if args.watch is not None and args.svg == "-":
        raise model.Bad("--watch with --svg takes a file, to be written again and again")
    if args.load:
        source.load()
    given: source.Live | source.Snapshot = source.Snapshot(args.given) if args.given else source.Live()
    if args.watch is not None:
        return _watch(args, given)
    sys.stdout.write(_draw(args, given))
    return errors.OK


def _of_here(args: argparse.Namespace, name: str) -> None:
    """A command for this machine: options that draw are refused, and so is a snapshot in its place."""
    given = [option for option, value in (("--from", args.given), ("--svg", args.svg), ("--json", args.json or None),
                                          ("--watch", args.watch), ("--all", args.all or None),
                                          ("--ascii", args.ascii or None)) if value is not None]
    if given:
        raise model.Bad(f"{name} is done on this machine, and draws nothing: not with {' '.join(given)}")
    if args.load:
        source.load()


def _pids(given: list[str] | None) -> list[int]:
    """The numbers of --pid."""
    words = [word for text in given or () for word in text.split(",")]
    if not all(word.isdecimal() and 0 < int(word) < 1 << 22 for word in words):
        raise model.Bad(f"--pid takes numbers of processes, 1,2,3, not '{','.join(words)}'")
    found = [int(word) for word in words]
    # listed: /proc/TID is there for a thread, too
    here = {path.name for path in PROC.iterdir()} if found else set()
    if gone := [pid for pid in found if str(pid) not in here]:
        raise model.Bad(f"--pid: no process {', '.join(map(str, gone))} is here")
    return found


def _record(args: argparse.Namespace) -> int:
    _of_here(args, "record")
    if not 10 <= args.interval <= 60000:
        raise model.Bad(f"--interval takes milliseconds, 10 to 60000, not {args.interval:g}")
    if args.seconds is not None and not 0 < args.seconds <= 7 * 86400:
        raise model.Bad(f"--seconds takes seconds, up to {7 * 86400}, not {args.seconds:g}")
    path, given = pathlib.Path(args.file), source.Live()
    if path.exists() or not args.file or not path.absolute().parent.is_dir():
        raise model.Bad(f"{args.file or 'a file'}: name a new file in a directory that is there")
    machine, watcher = source.gather(given)[0], record.Watcher(pids=_pids(args.pid))
    for note in machine.notes:
        console.note(note)
    with open(path, "w", encoding="utf-8") as file:
        count = record.run(record.Writer(file, args.with_names), watcher, machine,
                           lambda: None if given.missing() else source.processes(given), args.interval, args.seconds)
    print(f"{layout.count(count, 'sample')} in {path}; look: uplift llc timeline {path}")
    if watcher.left_out:
        console.warn(f"{watcher.left_out} threads were left out: more than {record.MOST_THREADS} ran at a time; --pid")
    return errors.OK


def _target(option: str, path: str, read: str | None) -> pathlib.Path:
    """A file to be written, which is not the one that is @read."""
    target = pathlib.Path(path)
    if not path or target.is_dir() or not target.absolute().parent.is_dir():
        raise model.Bad(f"{option} {path or 'FILE'}: not a file that can be written")
    if read and target.is_file() and target.samefile(read):
        raise model.Bad(f"{option} {path}: that is what is drawn, and it would be replaced: name another file")
    return target.absolute()


def _timeline(args: argparse.Namespace) -> int:
    for option, value in (("--from", args.given), ("--json", args.json or None), ("--watch", args.watch),
                          ("--load", args.load or None)):
        if value is not None:
            raise model.Bad(f"timeline draws a recording: not with {option}")
    wanted = {option: path for option, path in (("--svg", args.svg if args.svg_file is None else args.svg_file),
                                                ("--trace", args.trace)) if path is not None}
    if len({path if path == "-" else str(pathlib.Path(path).resolve()) for path in wanted.values()}) < len(wanted):
        raise model.Bad(f"--svg and --trace: both to {args.trace}: name two files")
    given = record.read(pathlib.Path(args.file))
    targets = {option: None if path == "-" else _target(option, path, args.file) for option, path in wanted.items()}
    for option, target in targets.items():
        words = timeline_svg.render(given, args.all) if option == "--svg" else trace.render(given)
        if target is None:
            sys.stdout.write(words)
        else:
            paths.write(target, words)
    if not wanted:
        sys.stdout.write(timeline.render(given, _columns(), args.all, _plain(args)))
    return errors.OK


def _groups(args: argparse.Namespace) -> int:
    wanted = args.all
    args.all = False
    _of_here(args, "groups")
    sys.stdout.write(together.render(together.look(pids=_pids(args.pid)), None if wanted else 10))
    return errors.OK


def _capture(args: argparse.Namespace) -> int:
    _of_here(args, "capture")
    why = source.capture(args.directory, args.with_names)
    if why:
        console.warn(f"the snapshot has no more than sysfs: {why}")
    print(f"captured to {args.directory}; look: uplift llc --from {args.directory}")
    if not why and not args.with_names:
        print("Names of processes were left out.")
    return errors.OK


def _track(args: argparse.Namespace) -> int:
    _of_here(args, "track")
    source.track(args.state == "on")
    return errors.OK


def register(groups: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `uplift llc`."""
    parser = groups.add_parser(
        "llc", help="draw the last-level cache domains, and where processes run",
        description="Draw the last-level cache domains of this machine, or of a captured snapshot: sockets, nodes, "
                    "domains, CPUs, sizes, and where hardware and scheduler disagree; with tracking on, where each "
                    "process runs and where cache-aware scheduling gathers it, or would. Without uplift_llc.ko it "
                    "draws what sysfs has, and says what is missing.")
    parser.add_argument("--load", action="store_true", help="load uplift_llc.ko first, if it is built")
    parser.add_argument("--from", dest="given", metavar="DIR",
                        help="draw another machine: a snapshot, /sys or a root directory, what lscpu's tests and "
                             "hwloc-gather-topology copy, or a tar file of one of these; or an XML file of hwloc")
    parser.add_argument("--svg", metavar="FILE", help="write an SVG picture there (-: to stdout)")
    parser.add_argument("--json", action="store_true", help="print what would be drawn as JSON")
    parser.add_argument("--watch", type=float, nargs="?", const=2.0, metavar="SECONDS",
                        help="draw again and again (every 2 seconds) until Ctrl-C")
    parser.add_argument("--all", action="store_true", help="all processes, not only the busiest; all boxes and disagreements of a large machine")
    parser.add_argument("--ascii", action="store_true", help="no box-drawing characters")
    parser.set_defaults(func=_map)
    _add_commands(parser.add_subparsers(metavar="COMMAND"))


def _add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands below it."""
    # a default of its own would undo a --load in front of the command
    sub = commands.add_parser("capture", help="make a snapshot, to be drawn elsewhere",
                              description="Make a snapshot of this machine: topology, caches and what uplift_llc.ko "
                                          "says, in small text files. It holds neither the host's name nor names of "
                                          "processes.")
    sub.add_argument("directory", metavar="DIR", help="a new directory, or a file NAME.tar.xz (.tar, .tar.gz)")
    sub.add_argument("--with-names", action="store_true", help="keep the names of processes")
    sub.set_defaults(func=_capture)

    sub = commands.add_parser("record", help="write where threads run, over time",
                              description="Write where each thread runs, and where its process is gathered or why not, "
                                          "again and again until Ctrl-C. Without --pid: all processes with several threads. "
                                          "Without uplift_llc.ko, or without tracking, only where threads run.")
    sub.add_argument("file", metavar="FILE", help="a new file")
    sub.add_argument("--seconds", type=float, metavar="N", help="end after that time")
    sub.add_argument("--interval", type=float, default=100, metavar="MS", help="milliseconds between samples (100)")
    sub.add_argument("--pid", action="append", metavar="PID,...", help="only these processes, also with one thread")
    sub.add_argument("--with-names", action="store_true", help="keep the names of processes")
    sub.set_defaults(func=_record)

    sub = commands.add_parser("timeline", help="draw a recording",
                              description="Draw what record wrote: where each process ran over time, whether it split early, "
                                          "for good or back and forth, moves to and away from where it is gathered, and "
                                          "what was refused, and why.")
    sub.add_argument("file", metavar="FILE", help="what record wrote")
    sub.add_argument("--svg", dest="svg_file", metavar="FILE", help="write an SVG picture there (-: to stdout)")
    sub.add_argument("--trace", metavar="FILE", help="write a trace there that opens in ui.perfetto.dev (-: to stdout)")
    sub.add_argument("--all", action="store_true", default=argparse.SUPPRESS, help="all processes, places and changes")
    sub.add_argument("--ascii", action="store_true", default=argparse.SUPPRESS, help="no block characters")
    sub.set_defaults(func=_timeline)

    sub = commands.add_parser("groups", help="suggest processes that work together as one group",
                              description="Suggest groups of processes that pipes, sockets or shared memory connect. The "
                                          "scheduler gathers the threads of one process only.")
    sub.add_argument("--pid", action="append", metavar="PID,...", help="only groups with one of these")
    sub.add_argument("--all", action="store_true", default=argparse.SUPPRESS, help="all groups, not only ten")
    sub.set_defaults(func=_groups)

    sub = commands.add_parser("track", help="turn tracking of processes on or off",
                              description="Turn tracking of processes on or off. It costs something at every context "
                                          "switch while it is on, and nothing while it is off.")
    sub.add_argument("state", choices=("on", "off"), help="what it shall be")
    sub.set_defaults(func=_track)
