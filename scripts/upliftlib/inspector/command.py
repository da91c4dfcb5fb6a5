# SPDX-License-Identifier: GPL-2.0-only
"""`uplift llc`: draw the cache domains; capture them; turn tracking on and off."""

import json
import pathlib
import shutil
import sys
import time

from ..base import console, errors, paths
from . import layout, model, source, svg, text



def _plain(args):
    """Are box-drawing characters out of the question?"""
    try:
        "┌◄…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return args.ascii or not console.draws()


def _columns():
    return shutil.get_terminal_size((100, 24)).columns


def as_json(machine, processes, migrations):
    """All that was drawn, for programs."""
    def verdict(given):
        return None if given is None else vars(given)

    data = {
        "format": model.FORMAT, "source": machine.source, "kernel": machine.kernel, "cas": machine.cas,
        "smt": machine.smt, "possible": model.list_of(machine.possible), "online": model.list_of(machine.online),
        "no_domain": model.list_of(machine.no_domain),
        "domains": [{
            "domain": domain.number, "cpus": model.list_of(domain.cpus), "online": model.list_of(domain.online),
            "level": domain.level, "type": domain.type, "size_kib": domain.size_kib, "ways": domain.ways,
            "line": domain.line, "nodes": model.list_of(domain.nodes), "packages": model.list_of(domain.packages),
            "dies": model.list_of(domain.dies), "ids": domain.ids,
            "sched_cpus": None if domain.sched_cpus is None else model.list_of(domain.sched_cpus),
            "disagreements": domain.disagreements} for domain in machine.domains],
        "disagreements": layout.problems(machine), "notes": machine.notes}
    if processes:
        data["processes"] = {
            "tracking": processes.tracking, "source": processes.source, "tracked": processes.tracked,
            "dropped": processes.dropped, "epoch_ms": processes.epoch_ms, "tolerance": processes.tolerance,
            "processes": [{
                "pid": item.pid, "comm": item.comm, "threads": item.threads, "runtime_ns": item.runtime_ns,
                "share": [{"domain": domain, "permille": permille} for domain, permille in sorted(item.share.items())],
                "scheduler": verdict(item.scheduler), "predicted": verdict(item.predicted),
                "wakeups": item.wakeups, "moves": item.moves} for item in processes.list]}
    if migrations:
        data["migrations"] = vars(migrations)
    return data


def _draw(args, given):
    """One picture, as text for stdout ('' when it went into a file)."""
    found = source.gather(given)
    if args.svg:
        picture = svg.render(*found, every=args.all)
        if args.svg == "-":
            return picture
        target = pathlib.Path(args.svg)
        if target.is_dir() or not target.absolute().parent.is_dir():
            raise model.Bad(f"--svg {target}: not a file that can be written")
        paths.write(target.absolute(), picture)
        for note in found[0].notes:
            console.note(note)
        return ""
    if args.json:
        return json.dumps(as_json(*found), indent=None if args.watch is not None else 1) + "\n"
    return text.render(*found, columns=_columns(), every=args.all, plain=_plain(args))


def _watch(args, given):
    """Draw again and again, until Ctrl-C."""
    screen = sys.stdout.isatty() and not args.json and not args.svg
    try:
        while True:
            drawn = _draw(args, given)
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


def _map(args):
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
    given = source.Snapshot(args.given) if args.given else source.Live()
    if args.watch is not None:
        return _watch(args, given)
    sys.stdout.write(_draw(args, given))
    return errors.OK


def _of_here(args, name):
    """A command for this machine: options that draw are refused, and so is a snapshot in its place."""
    given = [option for option, value in (("--from", args.given), ("--svg", args.svg), ("--json", args.json or None),
                                          ("--watch", args.watch), ("--all", args.all or None),
                                          ("--ascii", args.ascii or None)) if value is not None]
    if given:
        raise model.Bad(f"{name} is done on this machine, and draws nothing: not with {' '.join(given)}")
    if args.load:
        source.load()


def _capture(args):
    _of_here(args, "capture")
    why = source.capture(args.directory, args.with_names)
    if why:
        console.warn(f"the snapshot has no more than sysfs: {why}")
    print(f"captured to {args.directory}; look: uplift llc --from {args.directory}")
    if not why and not args.with_names:
        print("Names of processes were left out.")
    return errors.OK


def _track(args):
    _of_here(args, "track")
    source.track(args.state == "on")
    return errors.OK


def register(groups):
    """Add `uplift llc`."""
    parser = groups.add_parser(
        "llc", help="draw the last-level cache domains, and where processes run",
        description="Draw the last-level cache domains of this machine, or of a captured snapshot: sockets, nodes, "
                    "domains, CPUs, sizes, and where hardware and scheduler disagree; with tracking on, where each "
                    "process runs and where cache-aware scheduling gathers it, or would. Without uplift_llc.ko it "
                    "draws what sysfs has, and says what is missing.")
    parser.add_argument("--load", action="store_true", help="load uplift_llc.ko first, if it is built")
    parser.add_argument("--from", dest="given", metavar="DIR",
                        help="draw a captured snapshot: a directory, or a tar file of it")
    parser.add_argument("--svg", metavar="FILE", help="write an SVG picture there (-: to stdout)")
    parser.add_argument("--json", action="store_true", help="print what would be drawn as JSON")
    parser.add_argument("--watch", type=float, nargs="?", const=2.0, metavar="SECONDS",
                        help="draw again and again (every 2 seconds) until Ctrl-C")
    parser.add_argument("--all", action="store_true", help="all processes, not only the busiest")
    parser.add_argument("--ascii", action="store_true", help="no box-drawing characters")
    parser.set_defaults(func=_map)
    commands = parser.add_subparsers(metavar="COMMAND")

    # a default of its own would undo a --load in front of the command
    sub = commands.add_parser("capture", help="make a snapshot, to be drawn elsewhere",
                              description="Make a snapshot of this machine: topology, caches and what uplift_llc.ko "
                                          "says, in small text files. It holds neither the host's name nor names of "
                                          "processes.")
    sub.add_argument("directory", metavar="DIR", help="a new directory, or a file NAME.tar.xz (.tar, .tar.gz)")
    sub.add_argument("--with-names", action="store_true", help="keep the names of processes")
    sub.set_defaults(func=_capture)

    sub = commands.add_parser("track", help="turn tracking of processes on or off",
                              description="Turn tracking of processes on or off. It costs something at every context "
                                          "switch while it is on, and nothing while it is off.")
    sub.add_argument("state", choices=("on", "off"), help="what it shall be")
    sub.set_defaults(func=_track)
