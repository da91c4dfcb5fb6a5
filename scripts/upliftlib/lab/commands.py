# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab list|fetch|build|root|clean`"""

import argparse
import json
import pathlib
import sys
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..base import console, errors, paths, targets
from . import archive, buildroot, fetch, kernels, kmod

Row = dict[str, Any]
ANY = "; or any other that Debian has, by its version: 7.0.13, 6.12.118-cloud"


def add_kernel_options(parser: argparse.ArgumentParser) -> None:
    """Options that name a kernel: a target, or one's own. See chosen()."""
    parser.add_argument("target", nargs="?", metavar="TARGET", help="one of: " + " ".join(targets.TABLE) + ANY)
    own = parser.add_argument_group("a kernel of your own")
    own.add_argument("--kernel", metavar="BZIMAGE", help="its image")
    own.add_argument("--modules", metavar="DIR", help="where its modules are (lib/modules/RELEASE, or what holds it)")
    own.add_argument("--kdir", metavar="DIR", help="its headers or build directory, to build our modules with")
    own.add_argument("--ksrc", metavar="DIR", help="its source tree")


def check(args: argparse.Namespace) -> None:
    """What is wrong with the options that name a kernel, before anything is downloaded or built; that we are root."""
    buildroot.need_root()
    if args.kernel or args.modules:
        if args.target:
            raise errors.Problem("either a target or --kernel and --modules, not both", errors.USAGE)
        if not (args.kernel and args.modules):
            raise errors.Problem("--kernel and --modules belong together", errors.USAGE)
        fetch.own_parts(args.kernel, args.modules, args.kdir, args.ksrc)
    elif args.kdir or args.ksrc:
        raise errors.Problem("--kdir and --ksrc go with --kernel and --modules", errors.USAGE)
    elif args.target:
        known(args.target)


def known(name: str) -> None:
    """A Problem if there is no such target; a Skip if it is a version that Debian does not have."""
    spec = targets.spec(name)
    if spec.by_version and not fetch.on_disk(spec.name):
        archive.plan(spec)


def chosen(args: argparse.Namespace, want: Collection[str] = fetch.USUAL) -> kernels.Target:
    """The Target that the options name; the best that can be had when they name none."""
    check(args)
    if args.kernel:
        return fetch.own(args.kernel, args.modules, args.kdir, args.ksrc)
    return fetch.fetch(args.target, want) if args.target else fetch.best(want)


def _each(names: Iterable[str], job: Callable[[str], Row]) -> tuple[dict[str, Row], int]:
    """Run job(name) for every target; {name: result}. What cannot be had is said and skipped."""
    results: dict[str, Row] = {}
    code = errors.OK
    for name in names:
        targets.spec(name)
    for name in names:
        try:
            results[name] = job(name)
        except errors.Skip as reason:
            console.warn(f"skipped: {reason}")
            results[name] = {"skipped": str(reason)}
        except errors.Problem as problem:
            console.error(str(problem))
            results[name] = {"failed": str(problem)}
            code = errors.FAIL
    if code == errors.OK and results and all("skipped" in result for result in results.values()):
        code = errors.SKIP
    return results, code


def _names() -> list[str]:
    """The targets of the table, and those that are here beside them."""
    here = sorted(path.parent.name for path in paths.TARGETS.glob("[0-9]*/info.json"))
    return [*targets.TABLE, *(name for name in here if name not in targets.TABLE)]


def _row(name: str, archive_too: bool) -> Row:
    """What is known of a target."""
    spec = targets.spec(name)
    info = fetch.on_disk(name)
    row = {"target": name, "why": spec.why, "here": sorted(info["parts"], key=fetch.WANT.index) if info else [],
           "release": info["release"] if info else None, "version": info["version"] if info else None}
    return row | _in_archive(spec) if archive_too else row


def _in_archive(spec: targets.Spec) -> Row:
    """What the archive has of a target today."""
    try:
        now = archive.plan(spec)
    except errors.Problem as problem:
        return {"archive": None, "reason": str(problem)}
    files = {file for part in now.parts.values() for file in part}
    return {"archive": now.version, "size": sum(file.size for file in now.files(("image", "modules", "headers"))),
            "pinned": sorted(file.package for file in files if file.origin == archive.PINNED),
            "unlisted": sorted(file.package for file in files if not file.vouched)}


def _list(args: argparse.Namespace) -> int:
    rows = [_row(name, args.archive) for name in _names()]
    if args.json:
        print(json.dumps(rows, indent=1))
        return errors.OK
    for row in rows:
        here = f"{row['version']}: {' '.join(row['here'])}" if row["here"] else "not here"
        print(f"{row['target']:5} {row['why']:48} {here}")
        if args.archive:
            print("      " + _archive_line(row))
    return errors.OK


def _archive_line(row: Row) -> str:
    """What the archive has, for people."""
    if not row["archive"]:
        return str(row["reason"])
    pool = [f"{len(row[key])} files from the pool, {what}"
            for key, what in (("pinned", "pinned"), ("unlisted", "no index lists them")) if row[key]]
    size = [] if row["unlisted"] else [console.size(row["size"])]
    return "; ".join([", ".join([f"in the archive: {row['archive']}", *size]), *pool])


def _fetch(args: argparse.Namespace) -> int:
    want = set(args.want.split(",")) if args.want else set(fetch.USUAL)
    if want - set(fetch.WANT):
        raise errors.Problem(f"--want takes {', '.join(fetch.WANT)}, not '{args.want}'", errors.USAGE)
    if args.source:
        want.add("source")
    results, code = _each(args.targets or list(targets.TABLE), lambda name: fetch.fetch(name, want).to_json())
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        for name, result in results.items():
            if "release" in result:
                print(f"{name:5} {result['release']}  {paths.TARGETS / name}")
    return code


def _shown(built: dict[str, pathlib.Path]) -> Row:
    """What was built, as JSON has it."""
    return {module: str(path) for module, path in built.items()}


def _build(args: argparse.Namespace) -> int:
    if args.kdir:
        if args.targets:
            raise errors.Problem("either targets or --kdir, not both", errors.USAGE)
        built = kmod.build(args.kdir, ksrc=args.ksrc, btf=args.btf, verbose=args.verbose)
        results, code = {"own": _shown(built)}, errors.OK
    elif args.ksrc or args.btf:
        raise errors.Problem("--ksrc and --btf go with --kdir", errors.USAGE)
    else:
        results, code = _each(args.targets or list(targets.TABLE), lambda name: _shown(
            kmod.build(fetch.fetch(name, set(fetch.USUAL)), verbose=args.verbose)))
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        for name, result in results.items():
            for module, path in result.items():
                if module not in ("skipped", "failed"):
                    print(f"{name:5} {path}")
    return code


def _root(args: argparse.Namespace) -> int:
    buildroot.ensure(args.set)
    words = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not words:
        print(paths.ROOT)
        return errors.OK
    # a person may want a shell: their terminal is the command's
    return buildroot.run(words, cwd=args.cwd, stdin=sys.stdin)


_CLEAN = {"modules": [paths.MODULES, paths.BUILD / "documented"],
          "guest": [paths.GUEST, *(paths.BUILD / name for name in ("find", "interrupted", "layout", "live", "prediction", "sched", "signed", "try"))],
          "kunit": [paths.KUNIT], "report": [paths.REPORT, paths.BUILD / "spatch.log"],
          "programs": [paths.BUILD / name for name in ("selftests", "kselftest", "bench", "cachelines")],
          "package": [paths.BUILD / "package", paths.BUILD / "minimal"], "debug": [paths.BUILD / "debug"],
          "targets": [paths.TARGETS], "source": [paths.SRC], "root": [paths.ROOT.parent],
          "cache": [paths.CACHE, paths.APT]}


def _clean(args: argparse.Namespace) -> int:
    what = list(_CLEAN) if args.all else args.what or ["modules", "guest", "kunit"]
    for name in what:
        if name not in _CLEAN:
            raise errors.Problem(f"no such thing to clean '{name}'; there are: {' '.join(_CLEAN)}", errors.USAGE)
    for name in what:
        for path in _CLEAN[name]:
            if path.exists():
                console.note(f"removing {path}")
                paths.remove(path)
    return errors.OK


def register(commands: Any) -> None:
    """Add our commands to `uplift lab`."""
    parser = commands.add_parser("list", help="the targets, and what of them is here")
    parser.add_argument("--archive", action="store_true", help="also what the archive has today")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(func=_list)

    parser = commands.add_parser("fetch", help="download, verify and unpack targets",
                                 description="Download targets through apt's mirror, verify and unpack them.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--want", metavar="PART,...", help="of: " + " ".join(fetch.WANT)
                        + " (default: all but source)")
    parser.add_argument("--source", action="store_true", help="the source tree as well")
    parser.add_argument("--json", action="store_true", help="what there is then, as JSON")
    parser.set_defaults(func=_fetch)

    parser = commands.add_parser("build", help="build the modules for targets",
                                 description="Build the modules for targets with W=1; a warning is an error.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--kdir", metavar="DIR", help="build for the kernel of this build directory instead")
    parser.add_argument("--ksrc", metavar="DIR", help="and its source tree")
    parser.add_argument("--btf", metavar="FILE", help="and its vmlinux or BTF, if it is not in the build directory")
    parser.add_argument("--json", action="store_true", help="the modules' paths as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what make says")
    parser.set_defaults(func=_build)

    parser = commands.add_parser("root", help="make the build root; run a command in it",
                                 description="Make the build root and print its path, or run a command in it.")
    parser.add_argument("--set", choices=sorted(buildroot.SETS), default="run", help="which packages (default: run)")
    parser.add_argument("--cwd", metavar="DIR", default=str(paths.TOP), help="directory (default: the tree)")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="[--] COMMAND")
    parser.set_defaults(func=_root)

    parser = commands.add_parser("clean", help="remove what the lab made")
    parser.add_argument("what", nargs="*", metavar="WHAT", help="of: " + " ".join(_CLEAN)
                        + " (default: modules guest kunit)")
    parser.add_argument("--all", action="store_true", help="everything")
    parser.set_defaults(func=_clean)
