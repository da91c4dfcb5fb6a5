# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab tries`: patches tried on a target, one after the other, and a table of what became of them.

The patches are made from the source packages: functions of the target's files are given the text that they have in a later
kernel. The list names functions; --draw takes others at random from all that differ, by a seed that is printed. With
--only load all that were built are loaded in one guest, one after the other.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

from ..base import console, errors, targets
from . import fetch, loading, trial
from .derived import BY_HAND, DRAWN_FROM, Trees, Wanted, complaints
from .kernelcode import KernelCode

MOST_ROUNDS = 8	# of looking for what the compiler misses

# Some have several forms, for kernels whose function is another: the text between has changes of other commits in it.
LIST = (
    Wanted("anon_pipe_write", "fs/pipe.c",
           ("define PIPE_PREALLOC_MAX", "struct anon_pipe_prealloc", "anon_pipe_get_page_prealloc", "anon_pipe_prealloc_pop",
            "anon_pipe_free_pages", "pipe_write=anon_pipe_write"),
           take=("anon_pipe_prealloc", "anon_pipe_get_page_prealloc", "anon_pipe_free_pages"),
           put=(("page = alloc_page(", "page = anon_pipe_prealloc_pop(&prealloc) ?: alloc_page("),)),
    Wanted("anon_pipe_write", "fs/pipe.c", ("anon_pipe_get_page", "anon_pipe_put_page", "anon_pipe_write")),
    Wanted("pipe_read", "fs/pipe.c", ("pipe_read=anon_pipe_read",), leave=("mask", "pipe_buf", "pipe_is_empty", "file_accessed", "EFAULT"),
           put=(("if (unlikely(was_full))", "if (unlikely(wake_writer))"),
                ("wake_next_reader = true;\n\t\tmutex_lock", "wake_next_reader = true;\n\t\twake_writer = false;\n\t\tmutex_lock"))),
    Wanted("pipe_poll", "fs/pipe.c", ("pipe_poll",)),
    Wanted("netif_schedule", "net/core/dev.c", ("__netif_reschedule", "__netif_schedule")),
    Wanted("enqueue_to_backlog", "net/core/dev.c", ("enqueue_to_backlog",), leave=("numa_drop_add",)),
    Wanted("filemap_map_pages", "mm/filemap.c", ("filemap_map_pages",)),
    Wanted("alloc_fd", "fs/file.c", ("find_next_fd", "alloc_fd"), leave=("VFS_BUG_ON",)),
    Wanted("release_task", "kernel/exit.c", ("release_task",), when="get_pid(", take=("task_pid",),
           put=(("\tthread_pid = get_pid(p->thread_pid);\n", ""), ("= task_pid(p)", "= get_pid(task_pid(p))"))),
    Wanted("release_task", "kernel/exit.c", ("release_task",),
           leave=("cgroup_release", "cgroup_task_release", "exit_cred_namespaces", "pidfs_exit")),
    Wanted("rwsem_spin", "kernel/locking/rwsem.c", ("rwsem_owner_state", "rwsem_spin_on_owner", "rwsem_optimistic_spin")),
    Wanted("readdir", "fs/readdir.c", ("filldir", "filldir64", "iterate_dir"),
           beside=(("include/linux/fs.h", "define FILLDIR_FLAG_NOINTR"), ("include/linux/fs.h", "struct dir_context"))),
    Wanted("accept", "net/ipv4/inet_connection_sock.c", ("inet_csk_accept",),
           leave=("mem_cgroup_charge_skmem",)),
    Wanted("misfit", "kernel/sched/fair.c", ("update_sg_lb_stats", "update_sd_lb_stats")),
    Wanted("vfree", "mm/vmalloc.c", ("vfree",)),
    Wanted("do_swap_page", "mm/memory.c", ("do_swap_page",), when="page_swap_entry", take=("PageHWPoison", "folio_file_page"),
           leave=("swap_update_readahead",)),
    Wanted("do_swap_page", "mm/memory.c", ("do_swap_page",)),
    Wanted("mincore", "mm/mincore.c", ("sys_mincore",)),
    Wanted("ext4_lookup", "fs/ext4/namei.c", ("ext4_lookup",)),
    Wanted("ext4_write_begin", "fs/ext4/inode.c", ("ext4_da_write_begin", "ext4_write_begin")),
    Wanted("xfs_create", "fs/xfs/xfs_inode.c", ("xfs_create",)),
    Wanted("xfs_file_read_iter", "fs/xfs/xfs_file.c", ("xfs_file_dio_read", "xfs_file_buffered_read", "xfs_file_read_iter")),
    Wanted("sk_mem_uncharge", "include/net/sock.h", ("sk_mem_uncharge",),
           put=(("sk_mem_reclaim(sk);", "if (sk->sk_forward_alloc >= 4 * PAGE_SIZE)\n\t\tsk_mem_reclaim(sk);"),)),
    Wanted("memcg_charge_batch", "include/linux/memcontrol.h", ("define MEMCG_CHARGE_BATCH",), put=(("64U", "32U"),)),
)


def _forms() -> dict[str, list[Wanted]]:
    """{label: the forms of a patch}."""
    found: dict[str, list[Wanted]] = {}
    for one in LIST:
        found.setdefault(one.label, []).append(one)
    return found


def _options(only: str) -> argparse.Namespace:
    return argparse.Namespace(only=None if only == "measure" else only, keep=None, workload=None, rounds=3)


def tried(code: KernelCode, trees: Trees, wanted: Wanted, only: str,
          rounds: int = MOST_ROUNDS) -> tuple[trial.Trial | None, dict[str, Any]]:
    """What became of a patch. What the later file defines and the compiler misses comes along."""
    newer, text = trees.patch(wanted)
    if not newer:
        return None, {"patch": wanted.label, "file": wanted.file, "from": "", "outcome": "no patch", "reason": text}
    first = one, row = _once(code, newer, text, wanted, only)
    for _ in range(rounds if newer != BY_HAND else 0):
        missing = complaints(code.said(code.directory / "trees" / one.outcome.name)) if "does not compile" in row["reason"] else []
        more = trees.with_missing(newer, wanted, missing)
        if not more:
            break
        wanted = more
        try:
            text = trees.diff(newer, wanted)
        except ValueError:
            break
        one, row = _once(code, newer, text, wanted, only)
    # what was brought along is no patch either: what the first one lacked is the reason
    return first if "does not compile" in row["reason"] or "inlines and macros of headers" in row["reason"] else (one, row)


def _once(code: KernelCode, newer: str, text: str, wanted: Wanted, only: str) -> tuple[trial.Trial, dict[str, Any]]:
    one = trial.Trial(code, trial.Given(pathlib.Path(f"{wanted.label}.patch"), text), _options(only))
    try:
        out = one.run()
    except errors.Problem as problem:
        out = one.outcome
        out.outcome, out.reason = "failed", str(problem).splitlines()[0]
    return one, _row(one, wanted, newer)


def _row(one: trial.Trial, wanted: Wanted, newer: str) -> dict[str, Any]:
    brought = [*wanted.names, *(name for _, name in wanted.beside)]
    row = {"patch": wanted.label, "file": wanted.file, "from": newer, "of": brought} | {
        key: value for key, value in one.outcome.as_json().items() if key != "patch"}
    return row | ({"operations": one.report["changes"][0]["operations"]} if one.report else {})


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


def _loaded(code: KernelCode, built: list[trial.Trial], rows: list[dict[str, Any]]) -> None:
    """Load what was built, and say in the rows what became of it."""
    by_name = {one.outcome.name: one for one in built}
    for name, loaded in loading.all_of(code, built).items():
        row = next(row for row in rows if row.get("name") == name)
        row["outcome"], row["reason"] = ("failed", loaded.problem) if loaded.problem else ("loaded", "")
        row["calls"], row["notes"] = loaded.calls, [*by_name[name].outcome.notes, *loaded.notes]


def _wanted(args: argparse.Namespace, code: KernelCode, trees: Trees) -> list[Wanted]:
    """The list, or what is drawn, or those of it that are named."""
    found = [trees.form(forms) for forms in _forms().values()]
    if args.draw:
        console.note(f"{args.draw} functions of {' '.join(DRAWN_FROM)}, seed {args.seed}")
        found = trees.drawn(args.draw, args.seed, code.kernel().symbols)
    if unknown := sorted(set(args.patch) - {one.label for one in found}):
        raise errors.Problem(f"no such patch '{unknown[0]}'; there are: {' '.join(one.label for one in found)}", errors.USAGE)
    return [one for one in found if not args.patch or one.label in args.patch]


def _tries(args: argparse.Namespace) -> int:
    code = KernelCode(fetch.fetch(args.target, {*fetch.USUAL, "source"} - {"slice"}))
    trees = Trees(args.target, args.newer)
    wanted = _wanted(args, code, trees)
    rows, built = [], []
    for one in wanted:
        made, row = tried(code, trees, one, "build" if args.only == "load" else args.only)
        rows.append(row)
        if made and row["outcome"] == "built":
            built.append(made)
        console.note(f"{one.label}: {row['outcome']}{': ' if row['reason'] else ''}{row['reason']}")
    if args.only == "load":
        _loaded(code, built, rows)
    print(json.dumps(rows, indent=1) if args.json else table(rows))
    return errors.FAIL if any(row["outcome"] == "failed" for row in rows) else errors.OK


def register(groups: Any) -> None:
    parser = groups.add_parser("tries", help="patches made of two kernels' sources, tried one after the other",
                               description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("target", metavar="TARGET", help="one of: " + " ".join(targets.TABLE))
    parser.add_argument("patch", nargs="*", metavar="PATCH",
                        help="only these, of what is drawn or of the list: " + " ".join(_forms()))
    parser.add_argument("--newer", metavar="TARGET", help="the kernel whose text is taken (the next in which it differs)")
    parser.add_argument("--only", choices=trial.STEPS, default="build",
                        help="how far to go (build; load and measure boot guests)")
    parser.add_argument("--draw", type=int, metavar="N",
                        help="instead of the list, N functions at random of those that differ")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of --draw (1)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(func=_tries)
