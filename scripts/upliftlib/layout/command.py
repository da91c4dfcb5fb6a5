# SPDX-License-Identifier: GPL-2.0-only
"""`uplift layout`: check structs, and tell two kernels' apart."""

import argparse
import collections
import dataclasses
import fnmatch
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from ..base import errors
from . import headers, text
from .diff import Diff, diff
from .judge import Judge, Verdict
from .modules import depends
from .source import Source, declared_in, load

# What can be asked for, and when a verdict has it.
NEEDS = ("from", "into", "unaligned", "big", "little")
# The same in the words of layout.h.
_DECLARED = {"FROM_BYTES": "from", "INTO_BYTES": "into", "UNALIGNED": "unaligned", "BIG_ENDIAN": "big", "LITTLE_ENDIAN": "little"}


def lacks(verdict: Verdict, need: str) -> bool:
    """Is a verdict not what is asked for? Where BTF does not tell an alignment, the compiler has."""
    if need in ("big", "little"):
        return verdict.order not in (need, "bytes")
    return {"from": not verdict.from_bytes, "into": not verdict.into_bytes, "unaligned": verdict.unaligned not in ("yes", "likely")}[need]


# --- check ---

def _check(args: argparse.Namespace) -> int:
    _fit(args)
    if args.declared:
        return _check_declared(args)
    source = load(args.file, args.base)
    judge = Judge(source.types)
    needs = tuple(dict.fromkeys(word for words in args.require for word in words))
    chosen = list(_chosen(source, judge, args.struct))
    broken = [verdict for verdict in chosen if any(lacks(verdict, need) for need in needs)]
    false = list(_false(source, judge))
    if args.json:
        print(json.dumps(_as_json(source, judge, chosen, false, bool(args.struct)), indent=1))
    elif args.struct and not needs:
        print("\n\n".join(text.struct(judge, index, verdict) for verdict, index in zip(chosen, _numbers(judge, args.struct))))
    elif needs:
        _print_broken(judge, broken, needs, bool(args.struct))
    else:
        _print_table(chosen)
    _print_false(false)
    return errors.FAIL if broken or false else errors.OK


def _fit(args: argparse.Namespace) -> None:
    """A Problem for options that do not go together."""
    if args.declared and (args.struct or args.require or args.json):
        raise errors.Problem("--declared goes without --struct, --require and --json", errors.USAGE)
    if not args.declared and (args.types or args.quiet):
        raise errors.Problem("--types and --quiet go with --declared", errors.USAGE)


def _numbers(judge: Judge, names: list[str]) -> list[int]:
    """The types of these names; a Problem for one that is none."""
    found: list[int] = []
    for name in (" ".join(name.split()) for name in names):
        numbers = judge.numbers(name)
        if not numbers:
            raise errors.Problem(f"no struct or union '{name}' in {judge.types.where}" + _alike(judge, name))
        found += numbers
    return list(dict.fromkeys(found))


def _alike(judge: Judge, name: str) -> str:
    """What there is instead: of names that have this one in them the shortest, or those that a pattern means."""
    word = name.rpartition(" ")[2].lower()
    pattern = bool(re.search(r"[*?[]", word))
    alike = [known for known in sorted(judge.types.structs(), key=lambda known: (len(known), known))
             if (fnmatch.fnmatchcase(known.lower().rpartition(" ")[2], word) if pattern else word and word in known.lower())]
    if pattern:
        return f": a name is wanted, no pattern{', as ' + ', '.join(alike[:5]) if alike else ''}"
    return f"; there are: {', '.join(alike[:5])}{', ...' if len(alike) > 5 else ''}" if alike else ""


def _chosen(source: Source, judge: Judge, names: list[str]) -> Iterator[Verdict]:
    """Verdicts: with reasons on the structs named, else without on all that are not the base's."""
    if names:
        for index in _numbers(judge, names):
            yield judge.verdict_of(index, judge.types.tag(index) or names[0])
        return
    own = source.own()
    for name, numbers in sorted(source.types.structs().items()):
        for index in dict.fromkeys(numbers):
            if index in own:
                yield judge.verdict_of(index, name, faults=False)


def _declared(source: Source, judge: Judge) -> Iterator[tuple[Verdict | str, str]]:
    """What layout.h was told in this object: (verdict, need); of a type that its debugging data has not, the name."""
    for rule, name in sorted(source.declared):
        numbers = judge.numbers(name)
        for index in numbers:
            yield judge.verdict_of(index, judge.types.tag(index) or name), _DECLARED[rule]
        if not numbers:
            yield name, _DECLARED[rule]


def _false(source: Source, judge: Judge) -> Iterator[str]:
    """A line for each fault in what is declared."""
    for verdict, need in _declared(source, judge):
        if isinstance(verdict, str):
            yield f"{verdict}: declared in layout.h's words, and not among the types of {source.path}: it cannot be checked"
        elif need != "unaligned" and lacks(verdict, need):
            # an alignment the compiler has asserted, and BTF does not keep
            of = "order" if need in ("big", "little") else need
            yield from text.reasons(verdict, (of,))
            if of == "order" and verdict.order != "mixed":
                yield f"{verdict.name}: declared {need}-endian, and its fields are {verdict.order}"


def _check_declared(args: argparse.Namespace) -> int:
    """For builds: --quiet says nothing of what is right."""
    declared = declared_in(args.file)
    if not declared:
        if args.quiet:
            return errors.OK
        raise errors.Problem(f"{args.file} declares nothing: no LAYOUT_FROM_BYTES() or other rule of layout.h is in its code, "
                             "or its symbols were stripped")
    source = load(args.types or args.file, args.base)
    false = list(_false(dataclasses.replace(source, declared=declared), Judge(source.types)))
    _print_false(false)
    if not args.quiet and not false:
        print(f"{args.file}: {len(declared)} declarations hold")
    return errors.FAIL if false else errors.OK


def _print_false(false: list[str]) -> None:
    for words in dict.fromkeys(false):
        print(f"FAIL {words}")


def _print_broken(judge: Judge, broken: list[Verdict], needs: tuple[str, ...], full: bool) -> None:
    of = tuple("order" if need in ("big", "little") else need for need in needs)
    for verdict in broken:
        if not full:
            index = judge.numbers(verdict.name)[0]
            verdict = judge.verdict_of(index, verdict.name)
        said = list(text.reasons(verdict, of))
        for line in said[:text.MOST] or [f"{verdict.name}: is not {', '.join(need for need in needs if lacks(verdict, need))}"]:
            print(f"FAIL {line}")
        if len(said) > text.MOST:
            print(f"     and {len(said) - text.MOST} more in {verdict.name} (--json has all)")


def _print_table(chosen: list[Verdict]) -> None:
    width = max((len(verdict.name) for verdict in chosen), default=0)
    print(text.heading(width))
    for verdict in chosen:
        print(text.line(verdict, width))
    count = collections.Counter((verdict.from_bytes, verdict.into_bytes) for verdict in chosen)
    print(f"{len(chosen)} structs and unions: {sum(count[key] for key in count if key[0])} from bytes, "
          f"{sum(count[key] for key in count if key[1])} into bytes, {count[True, True]} both")


def _as_json(source: Source, judge: Judge, chosen: list[Verdict], false: list[str], full: bool) -> dict[str, Any]:
    structs = []
    for verdict in chosen:
        entry = dataclasses.asdict(verdict)
        if not full:
            del entry["faults"]
        structs.append(entry)
    return {"format": 1, "file": str(source.path), "base": judge.types.base.where if judge.types.base else None,
            "release": source.release, "structs": structs, "declared_false": false}


# --- diff ---

def _diff(args: argparse.Namespace) -> int:
    old, new = load(args.old), load(args.new)
    names, where = _asked(args, old, new)
    found = diff(old.types, new.types, names)
    if args.struct and found.missing:
        raise errors.Problem(f"no struct or union '{found.missing[0]}' in {args.old} or {args.new}")
    if args.json:
        print(json.dumps(_diff_json(found, where), indent=1))
    else:
        _print_diff(found, where)
    return errors.FAIL if found else errors.OK


def _asked(args: argparse.Namespace, old: Source, new: Source) -> tuple[list[str] | None, dict[str, str]]:
    """The names that are asked for, None for all; and where headers define them."""
    if args.module:
        return sorted(depends(load(args.module, old.types)) & old.types.structs().keys()), _where(args, old, new, False)
    if args.uapi:
        where = _where(args, old, new, True)
        return sorted(where.keys() & (old.types.structs().keys() | new.types.structs().keys())), where
    return args.struct or None, _where(args, old, new, False)


def _where(args: argparse.Namespace, old: Source, new: Source, uapi: bool) -> dict[str, str]:
    """{struct: its header}, of UAPI alone where that is asked for; nothing where there are no headers and none are needed."""
    if not uapi and not args.headers and not any(map(headers.of_release, filter(None, (old.release, new.release)))):
        return {}
    out: dict[str, str] = {}
    for directory in headers.found([new.release, old.release], args.headers):
        for name, header in headers.defined(headers.uapi(directory)).items():
            out.setdefault(name, header)
        if not uapi and (directory / "include/linux").is_dir():
            for name, header in headers.defined(directory / "include").items():
                out.setdefault(name, header)
    return out


def _print_diff(found: Diff, where: dict[str, str]) -> None:
    for change in found.changes:
        for line in text.difference(change, where.get(change.name, "")):
            print(line)
    for word, names in (("gone", found.gone), ("new", found.new)):
        for name in names:
            print(f"{name}: {word}{'  ' + where[name] if name in where else ''}")
    print(text.summary(found))


def _diff_json(found: Diff, where: dict[str, str]) -> dict[str, Any]:
    entry = dataclasses.asdict(found)
    for change in entry["changes"]:
        change["header"] = where.get(change["name"])
    return {"format": 1, **entry}


# --- the words ---

def _needs(words: str) -> list[str]:
    found = words.split(",")
    for word in found:
        if word not in NEEDS:
            raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(NEEDS)}")
    return found


def register(groups: Any) -> None:
    """Add `uplift layout`."""
    parser = groups.add_parser("layout", help="check which structs may be made of bytes; tell two kernels' layouts apart",
                               description="What a kernel's or a module's own types (BTF) say of its structs.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _register_check(commands)
    _register_diff(commands)


def _register_check(commands: Any) -> None:
    parser = commands.add_parser(
        "check", help="may a struct be made of any bytes, and be turned into bytes?",
        description="For each struct: can it be made of any bytes (from), be turned into bytes without padding among them "
                    "(into), lie anywhere (unaligned), and which byte order do its fields name. What an object declares with "
                    "layout.h is held against its types. Padding is no leak until something is in it: none is looked for.",
        epilog="exit status: 1 where something is declared or required that does not hold")
    parser.add_argument("file", type=pathlib.Path, metavar="FILE",
                        help="a module or object, a kernel's vmlinux or vmlinuz, or raw BTF as in /sys/kernel/btf")
    parser.add_argument("--struct", action="append", default=[], metavar="NAME", help="only this one, with the reasons; may be repeated")
    parser.add_argument("--base", type=pathlib.Path, metavar="FILE", help="the kernel that a module is for, where it is not found")
    parser.add_argument("--require", action="append", default=[], type=_needs, metavar="WORD,...",
                        help=f"fail for each struct that is not so: {', '.join(NEEDS)}")
    parser.add_argument("--declared", action="store_true", help="only what the object declares with layout.h")
    parser.add_argument("--types", type=pathlib.Path, metavar="FILE",
                        help="with --declared: the types are in this file, not in the object")
    parser.add_argument("--quiet", action="store_true", help="with --declared: be silent if all is well, or nothing is declared")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(func=_check)


def _register_diff(commands: Any) -> None:
    parser = commands.add_parser(
        "diff", help="which structs changed size, or have fields that moved?",
        description="Structs whose size, or the size or offset of a field of theirs, is not the same in two kernels.",
        epilog="exit status: 0 nothing differs, 1 something does")
    parser.add_argument("old", type=pathlib.Path, metavar="OLD", help="vmlinux, vmlinuz or raw BTF")
    parser.add_argument("new", type=pathlib.Path, metavar="NEW", help="the same")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--uapi", action="store_true", help="only what UAPI headers define")
    which.add_argument("--struct", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    which.add_argument("--module", type=pathlib.Path, metavar="X.ko", help="only what this module, built for OLD, depends on")
    parser.add_argument("--headers", action="append", default=[], type=pathlib.Path, metavar="DIR",
                        help="a kernel's headers or source: tells what is UAPI, and which header a struct is in; may be repeated")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(func=_diff)
