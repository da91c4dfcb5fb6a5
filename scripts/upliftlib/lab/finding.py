# SPDX-License-Identifier: GPL-2.0-only
"""`uplift find`, and `uplift lab find`: of a workload's hot functions, those that differ in a newer kernel.

A profile says what is hot; both source trees are preprocessed with the target's configuration and compared function by
function; what is hot and differs is listed in order, with a reason each and the command that tries it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
from collections.abc import Collection
from typing import Any

from ..base import console, errors, paths, targets
from ..find import commits, config, picture, profile, ranking, show, unit
from ..report import history
from . import buildroot, commands, fetch, findtries, foreseen, kernels, kmod, runscript, traced, tries, trial
from .kernelcode import KernelCode

OUT = traced.OUT
SCRATCH = paths.BUILD / "cache" / "find" / "trees"


# ---------------------------------------------------------------------- the two trees

def _source(option: str, word: str) -> pathlib.Path:
    """A whole source tree, by its directory or as a target's that is here."""
    for place in (pathlib.Path(word), paths.SRC / word):
        if (place / "MAINTAINERS").exists() and (place / "Kconfig").exists():
            return place.resolve()
    raise errors.Problem(f"{option} {word}: no whole source of a kernel there (uplift lab fetch --source TARGET unpacks a target's)",
                         errors.USAGE)


def _headers(option: str, word: str | None, tree: pathlib.Path) -> pathlib.Path | None:
    """The headers of a kernel, given or of the target that a tree is of."""
    if word:
        return pathlib.Path(word)
    if paths.SRC.resolve() == tree.parent and (found := fetch.on_disk(tree.name)) and found["release"]:
        headers = paths.TARGETS / tree.name / "headers/usr/src" / f"linux-headers-{found['release']}"
        return headers if headers.is_dir() else None
    return None


def _symbols(file: str | None, tree: pathlib.Path, release: str) -> frozenset[str]:
    """The names of the functions that stand by themselves in the target's kernel; none where that cannot be known."""
    if file:
        try:
            return traced.functions_of(pathlib.Path(file).read_text(errors="replace").splitlines())
        except (OSError, IndexError):
            raise errors.Problem(f"--symbols {file}: no System.map or kallsyms", errors.USAGE) from None
    running = pathlib.Path("/proc/sys/kernel/osrelease").read_text().strip()
    places = [pathlib.Path(f"/boot/System.map-{release or running}")] + ([pathlib.Path("/proc/kallsyms")] if release in ("", running) else [])
    known = OUT / f"{tree.name}.symbols"
    if known.exists() and paths.SRC.resolve() == tree.parent:
        return frozenset(known.read_text().split())
    for place in places:
        if place.exists() and (found := traced.functions_of(place.read_text(errors="replace").splitlines())):
            return found
    console.warn("the target's symbols are not known: what is inlined is guessed from the profile; --symbols FILE takes its System.map")
    return frozenset()


def _trees(args: argparse.Namespace, old: pathlib.Path, new: pathlib.Path, run: unit.Run, gcc: str) -> tuple[unit.Tree, unit.Tree]:
    here = _headers("--kdir", args.kdir, old)
    if here is None:
        raise errors.Problem(f"--kdir DIR: which configuration? The headers or the build directory of {old}'s kernel are needed "
                             "(/lib/modules/RELEASE/build)", errors.USAGE)
    there = _headers("--new-kdir", args.new_kdir, new)
    target = config.read(here)
    newer = config.for_newer(target, old, new, config.read(there) if there else None)
    return unit.Tree(old, here, target, SCRATCH, gcc, run), unit.Tree(new, there or here, newer, SCRATCH, gcc, run)


# ---------------------------------------------------------------------- what is said

def _ranked(args: argparse.Namespace, found: profile.Profile, old: unit.Tree, new: unit.Tree, symbols: Collection[str],
            target: str) -> ranking.Ranking:
    with console.doing(f"comparing {len(found.hot(args.least))} hot functions in {old.source} and {new.source}") as doing:
        ranked = ranking.Ranker(old, new, symbols or found.functions).rank(found, args.least)
        doing.result = f"{len(ranked.rows)} differ"
    with console.doing(f"asking the compiler which of the first {min(args.top, len(ranked.rows))} a try would refuse"):
        texts = foreseen.judge(ranked.rows[:args.top], old, new.source)
    out = OUT / "patches" / f"{old.source.name}-{new.source.name}"
    for row in ranked.rows[:args.top]:
        if not row.no:
            file = paths.ensure(out) / f"{row.name}.patch"
            paths.write(file, texts[row.name])
            row.command = f"scripts/uplift try {_short(file)}{f' --target {target}' if target else ''}"
    if args.git:
        commits.add(ranked.rows[:args.top], history.Repository(args.git), old.source, new.source)
    return ranked


def _short(path: pathlib.Path) -> str:
    return str(path.relative_to(paths.TOP)) if paths.TOP in path.parents else str(path)


def _say(args: argparse.Namespace, ranked: ranking.Ranking, tried: list[dict[str, Any]]) -> int:
    if args.svg:
        try:
            paths.write(args.svg, picture.svg(ranked))
        except OSError as problem:
            raise errors.Problem(f"--svg {args.svg}: {problem.strerror}", errors.USAGE) from None
    if args.json:
        print(json.dumps(ranked.as_json() | ({"tried": tried} if tried else {}), indent=1))
    else:
        print(show.text(ranked, args.top))
        if tried:
            print("\n" + tries.table(tried))
    return errors.FAIL if any(row["outcome"] == "failed" for row in tried) else errors.OK


def _check(args: argparse.Namespace) -> None:
    if args.least <= 0 or args.least > 100:
        raise errors.Problem("--least: a share in percent, above 0", errors.USAGE)
    if args.git:
        history.Repository(args.git)


# ---------------------------------------------------------------------- the commands

def _find(args: argparse.Namespace) -> int:
    _check(args)
    found = profile.read(pathlib.Path(args.profile))
    old, new = _source("--old", args.old), _source("--new", args.new)
    trees = _trees(args, old, new, unit.run_here, args.cc)
    target = args.target or (old.name if paths.SRC.resolve() == old.parent else "")
    ranked = _ranked(args, found, *trees, _symbols(args.symbols, old, found.release), target)
    tried = []
    if args.attempt:
        options = argparse.Namespace(target=target or None, kernel=None, modules=None, kdir=None if target else args.kdir,
                                     ksrc=None if target else str(old))
        tried = findtries.run(trial.code_of(options), ranked, trees[0], new, args.attempt, args.only)
    return _say(args, ranked, tried)


def _workload(args: argparse.Namespace) -> tuple[str, traced.Workload]:
    if args.words and args.load:
        raise errors.Problem("either --load NAME or -- COMMAND, not both", errors.USAGE)
    if args.words:
        return re.sub(r"\W+", "-", pathlib.PurePath(args.words[0]).name), traced.own(args.words)
    if args.load not in traced.LOADS:
        raise errors.Problem(f"--load {args.load}: there are: {' '.join(traced.LOADS)}; or -- COMMAND of your own" if args.load else
                             f"which workload? -- COMMAND, or --load with one of: {' '.join(traced.LOADS)}", errors.USAGE)
    return args.load, traced.LOADS[args.load]


def _with_source(name: str) -> kernels.Target:
    return fetch.fetch(name, {*fetch.USUAL, "source"} - {"slice"})


def _lab(args: argparse.Namespace) -> int:
    _check(args)
    name, load = _workload(args)
    files = runscript.pairs(args.file)
    buildroot.need_root()
    commands.known(args.target)
    commands.known(args.new)
    buildroot.ensure("run")
    target, newer = _with_source(args.target), _with_source(args.new)
    found, symbols = traced.trace(target, load, name, files, args.program)
    paths.write(OUT / f"{args.target}-{name}.json", json.dumps(found.as_json(), indent=1) + "\n")
    paths.write(OUT / f"{args.target}.symbols", "\n".join(sorted(symbols)) + "\n")
    args.kdir, args.new_kdir = str(target.part("kdir")), str(newer.part("kdir"))
    compiler = kmod.compiler(target.part("kdir")) or "gcc-14"
    trees = _trees(args, target.part("ksrc").resolve(), newer.part("ksrc").resolve(), buildroot.output, compiler)
    ranked = _ranked(args, found, *trees, symbols, args.target)
    console.note(f"the profile is in {OUT / f'{args.target}-{name}.json'}")
    tried = findtries.run(KernelCode(target), ranked, trees[0], trees[1].source, args.attempt, args.only) if args.attempt else []
    return _say(args, ranked, tried)


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 up")
    return int(text)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--git", metavar="DIR", help="a clone of the kernel's repository: the commits that touched each function")
    parser.add_argument("--top", type=_number, default=20, metavar="N", help="how many are shown (20)")
    parser.add_argument("--least", type=float, default=ranking.LEAST, metavar="PERCENT",
                        help=f"leave out functions with less of the work ({ranking.LEAST})")
    parser.add_argument("--try", dest="attempt", type=_number, default=0, metavar="N", help="make the patches of the first N, and try them")
    parser.add_argument("--only", choices=trial.STEPS, default="measure", help="stop trying after this step")
    parser.add_argument("--svg", metavar="FILE", help="a picture: share of the work against the size of the difference")
    parser.add_argument("--json", action="store_true", help="as JSON")


def register_find(groups: Any) -> None:
    """Add `uplift find`."""
    parser = groups.add_parser("find", help="of a workload's hot functions, those that differ in a newer kernel",
                               description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("--profile", required=True, metavar="FILE",
                        help="what is hot: perf script, perf report --stdio, perf.data, bpftrace's maps, or what uplift lab find wrote")
    parser.add_argument("--old", required=True, metavar="KSRC", help="the source of the kernel that it was recorded on")
    parser.add_argument("--new", required=True, metavar="KSRC", help="the source of the newer kernel")
    parser.add_argument("--kdir", metavar="DIR", help="headers or build directory of the old one: its configuration counts")
    parser.add_argument("--new-kdir", metavar="DIR", help="headers or build directory of the newer one, if there are any")
    parser.add_argument("--symbols", metavar="FILE", help="System.map or kallsyms of the old one")
    parser.add_argument("--cc", default="gcc", metavar="GCC", help="the compiler that preprocesses both (gcc)")
    parser.add_argument("--target", metavar="TARGET", help="try in a guest of: " + " ".join(targets.TABLE) + " (of --old, else the running kernel)")
    _options(parser)
    parser.set_defaults(func=_find)


def register(commands_: Any) -> None:
    """Add `uplift lab find`."""
    parser = commands_.add_parser(
        "find", help="run a workload in a guest, and find what of it differs in a newer kernel",
        usage="uplift lab find [options] TARGET --new TARGET (--load NAME | -- COMMAND...)",
        description="Count the instructions that each function of a stock kernel executes under a workload, and list those "
                    "functions that are hot and differ in a newer kernel.")
    runscript.split_at_dashes(parser)
    parser.add_argument("target", metavar="TARGET", help="one of: " + " ".join(targets.TABLE) + commands.ANY)
    parser.add_argument("--new", required=True, metavar="TARGET", help="the newer kernel")
    parser.add_argument("--load", metavar="NAME", help="; ".join(f"{name}: {load.about}" for name, load in traced.LOADS.items()))
    parser.add_argument("--file", action="append", default=[], metavar="FILE[:PATH]", help="a file or directory for the guest")
    parser.add_argument("--program", action="append", default=[], metavar="PATH", help="a program of the build root, with its libraries")
    _options(parser)
    parser.set_defaults(func=_lab)
