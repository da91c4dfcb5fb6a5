# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab tries`: patches tried on a target, one after the other, and a table of what became of them.

The patches are made from the source packages: functions of the target's files are given the text that they have in a later
kernel. The list names functions; --draw takes others at random from all that differ, by a seed that is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import random
import re
from collections.abc import Iterator
from typing import Any

from ..base import console, errors, paths, targets
from ..generator import headers
from . import fetch, functiondiff, trial
from .kernelcode import KernelCode

# What the compiler says of things that the later file has too, or otherwise.
_MISSES = re.compile(r"implicit declaration of function '(\w+)'|'(\w+)' undeclared|'struct (\w+)' has no member|"
                     r"too (?:many|few) arguments to function '(\w+)'|storage size of '(\w+)' isn't known|"
                     r"undefined type 'struct (\w+)'")
DRAWN_FROM = ("block", "fs", "kernel", "mm", "net")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Functions of a file that are to have a later kernel's text; those that neither kernel has are left out."""
    label: str
    file: str
    names: tuple[str, ...]


LIST = (
    Wanted("anon_pipe_write", "fs/pipe.c", ("anon_pipe_get_page", "anon_pipe_put_page", "anon_pipe_write")),
    Wanted("pipe_read", "fs/pipe.c", ("pipe_read",)),
    Wanted("pipe_poll", "fs/pipe.c", ("pipe_poll",)),
    Wanted("netif_schedule", "net/core/dev.c", ("__netif_reschedule", "__netif_schedule")),
    Wanted("enqueue_to_backlog", "net/core/dev.c", ("enqueue_to_backlog",)),
    Wanted("filemap_map_pages", "mm/filemap.c", ("filemap_map_pages",)),
    Wanted("alloc_fd", "fs/file.c", ("find_next_fd", "alloc_fd")),
    Wanted("release_task", "kernel/exit.c", ("release_task",)),
    Wanted("rwsem_spin", "kernel/locking/rwsem.c", ("rwsem_owner_state", "rwsem_spin_on_owner", "rwsem_optimistic_spin")),
    Wanted("readdir", "fs/readdir.c", ("filldir", "filldir64", "iterate_dir")),
    Wanted("accept", "net/ipv4/inet_connection_sock.c", ("inet_csk_accept",)),
    Wanted("misfit", "kernel/sched/fair.c", ("update_sg_lb_stats", "update_sd_lb_stats")),
    Wanted("vfree", "mm/vmalloc.c", ("vfree",)),
    Wanted("do_swap_page", "mm/memory.c", ("do_swap_page",)),
    Wanted("mincore", "mm/mincore.c", ("sys_mincore",)),
    Wanted("ext4_lookup", "fs/ext4/namei.c", ("ext4_lookup",)),
    Wanted("ext4_write_begin", "fs/ext4/inode.c", ("ext4_da_write_begin", "ext4_write_begin")),
    Wanted("xfs_create", "fs/xfs/xfs_inode.c", ("xfs_create",)),
    Wanted("xfs_file_read_iter", "fs/xfs/xfs_file.c", ("xfs_file_dio_read", "xfs_file_buffered_read", "xfs_file_read_iter")),
    Wanted("sk_mem_uncharge", "include/net/sock.h", ("sk_mem_uncharge",)),
    Wanted("memcg_charge_batch", "include/linux/memcontrol.h", ("define MEMCG_CHARGE_BATCH",)),
)


class Trees:
    """The target's source, and those of later kernels that are here."""

    def __init__(self, name: str, newer: str | None) -> None:
        later = list(targets.TABLE)[list(targets.TABLE).index(name) + 1:] if name in targets.TABLE else []
        self.older = paths.SRC / name
        self.newer = [other for other in ([newer] if newer else later) if (paths.SRC / other / "MAINTAINERS").exists()]
        if not self.newer:
            raise errors.Problem(f"no source of a kernel later than {name} is here: uplift lab fetch --source does it",
                                 errors.USAGE)

    def patch(self, wanted: Wanted) -> tuple[str, str]:
        """(the later kernel, the patch): the first in which the functions are others. ("", why not) if in none."""
        why = "the same in " + " ".join(self.newer)
        for newer in self.newer:
            try:
                text = self.diff(newer, wanted)
            except (OSError, ValueError) as problem:
                why = f"{newer}: {problem.strerror if isinstance(problem, OSError) else problem}"
                continue
            if text:
                return newer, text
        return "", why

    def with_one(self, newer: str, wanted: Wanted, name: str) -> Wanted | None:
        """The same with something more of the later file, in front; None if it has no such thing, or the same."""
        older, later = ((tree / wanted.file).read_text(errors="replace") for tree in (self.older, paths.SRC / newer))
        for word in (name, f"define {name}", f"struct {name}", *_structs(later, wanted, name)):
            here, there = functiondiff.span(older, word), functiondiff.span(later, word)
            if word not in wanted.names and there and not (here and older[slice(*here)] == later[slice(*there)]):
                names = sorted((word, *wanted.names), key=lambda each: not each.startswith(("struct ", "define ")))
                return dataclasses.replace(wanted, names=tuple(names))
        return None

    def diff(self, newer: str, wanted: Wanted) -> str:
        text = (paths.SRC / newer / wanted.file).read_text(errors="replace")
        names = [name for name in wanted.names if functiondiff.span(text, name)]
        return functiondiff.diff(self.older, paths.SRC / newer, wanted.file, names) if names else ""

    def drawn(self, count: int, seed: int, symbols: dict[str, list[int]]) -> list[Wanted]:
        """Functions at random of those that differ from the next kernel's and that the image has standing by itself."""
        found = sorted(self._differing(symbols))
        if count > len(found):
            raise errors.Problem(f"--draw: only {len(found)} functions differ", errors.USAGE)
        return [Wanted(f"{name}_{number}", file, (name,)) for number, (file, name) in
                enumerate(random.Random(seed).sample(found, count), 1)]

    def _differing(self, symbols: dict[str, list[int]]) -> Iterator[tuple[str, str]]:
        later = paths.SRC / self.newer[0]
        for directory in DRAWN_FROM:
            for path in sorted((self.older / directory).rglob("*.c")):
                file = str(path.relative_to(self.older))
                if not (later / file).exists():
                    continue
                before, after = path.read_text(errors="replace"), (later / file).read_text(errors="replace")
                if before == after:
                    continue
                for name in sorted(headers.functions_of(before) & symbols.keys()):
                    here, there = functiondiff.span(before, name), functiondiff.span(after, name)
                    if here and there and before[slice(*here)] != after[slice(*there)]:
                        yield file, name


def _structs(text: str, wanted: Wanted, variable: str) -> list[str]:
    """The structs that variables of a name are of in the wanted functions."""
    bodies = "".join(text[slice(*found)] for name in wanted.names if (found := functiondiff.span(text, name)))
    return [f"struct {match[1]}" for match in re.finditer(rf"\bstruct (\w+) {re.escape(variable)}\b", bodies)]


def _options(only: str) -> argparse.Namespace:
    return argparse.Namespace(only=None if only == "measure" else only, keep=None, workload=None, rounds=3)


def _tried(code: KernelCode, trees: Trees, newer: str, text: str, wanted: Wanted, only: str) -> dict[str, Any]:
    """What became of a patch. What the later file defines and the compiler misses comes along."""
    row = _once(code, newer, text, wanted, only)
    while (match := _MISSES.search(row["reason"])) and (more := trees.with_one(newer, wanted, next(filter(None, match.groups())))):
        wanted = more
        try:
            text = trees.diff(newer, wanted)
        except ValueError:
            break
        row = _once(code, newer, text, wanted, only)
    return row


def _once(code: KernelCode, newer: str, text: str, wanted: Wanted, only: str) -> dict[str, Any]:
    one = trial.Trial(code, trial.Given(pathlib.Path(f"{wanted.label}.patch"), text), _options(only))
    try:
        out = one.run()
    except errors.Problem as problem:
        out = one.outcome
        out.outcome, out.reason = "failed", str(problem).splitlines()[0]
    return {"patch": wanted.label, "file": wanted.file, "from": newer} | {
        key: value for key, value in out.as_json().items() if key != "patch"}


def table(rows: list[dict[str, Any]]) -> str:
    """patch, where it comes from, outcome, seconds."""
    lines = ["| patch | from | outcome | functions or reason | seconds |", "|---|---|---|---|---|"]
    for row in rows:
        what = row["reason"] or ", ".join(row.get("functions", {}))
        seconds = row.get("seconds", {}).get("all", "")
        lines.append(f"| {row['patch']} | {row['from']} | {row['outcome']} | {what} | {seconds} |")
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["outcome"]] = counts.get(row["outcome"], 0) + 1
    return "\n".join([*lines, "", ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))])


def _tries(args: argparse.Namespace) -> int:
    code = KernelCode(fetch.fetch(args.target, {*fetch.USUAL, "source"} - {"slice"}))
    trees = Trees(args.target, args.newer)
    wanted = [one for one in LIST if not args.patch or one.label in args.patch]
    if unknown := sorted(set(args.patch) - {one.label for one in LIST}):
        raise errors.Problem(f"no such patch '{unknown[0]}'; there are: {' '.join(one.label for one in LIST)}", errors.USAGE)
    if args.draw:
        console.note(f"{args.draw} functions of {' '.join(DRAWN_FROM)}, seed {args.seed}")
        wanted = trees.drawn(args.draw, args.seed, code.kernel().symbols)
    rows = []
    for one in wanted:
        newer, text = trees.patch(one)
        rows.append(_tried(code, trees, newer, text, one, args.only) if newer else
                    {"patch": one.label, "file": one.file, "from": "", "outcome": "no patch", "reason": text})
        console.note(f"{one.label}: {rows[-1]['outcome']}{': ' if rows[-1]['reason'] else ''}{rows[-1]['reason']}")
    print(json.dumps(rows, indent=1) if args.json else table(rows))
    return errors.FAIL if any(row["outcome"] == "failed" for row in rows) else errors.OK


def register(groups: Any) -> None:
    parser = groups.add_parser("tries", help="patches made of two kernels' sources, tried one after the other",
                               description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("target", metavar="TARGET", help="one of: " + " ".join(targets.TABLE))
    parser.add_argument("patch", nargs="*", metavar="PATCH",
                        help="only these of the list: " + " ".join(one.label for one in LIST))
    parser.add_argument("--newer", metavar="TARGET", help="the kernel whose text is taken (the next in which it differs)")
    parser.add_argument("--only", choices=trial.STEPS, default="build",
                        help="how far to go (build; load and measure boot guests)")
    parser.add_argument("--draw", type=int, metavar="N",
                        help="instead of the list, N functions at random of those that differ")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of --draw (1)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(func=_tries)
