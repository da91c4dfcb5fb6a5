# SPDX-License-Identifier: GPL-2.0-only
"""What `uplift sched` shows: the live table, the comparison of schedulers, a trace. No side effects."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..base import errors
from ..inspector import model

FORMAT = 1
Status = dict[str, Any]		# as sched/uplift_land.c writes it, see checked()

# Loads for selftests/sched_load. The first are those that cache-aware scheduling takes (docs/sched.md).
PLACEMENT = {
    "2x2": "2 processes x 2 threads",
    "3x3": "3 processes x 3 threads",
    "1x2p": "pipe ping-pong, 2 threads",
}
LOADS = PLACEMENT | {
    "messages:2x8": "2 threads wake 8 each (schbench)",
    "groups:2": "2 groups of 10 and 10 (hackbench)",
    "server:4x16": "4 threads serve 16 clients, each an event loop",
    "build:16": "16 jobs at a time (make)",
}
ARMS = {"eevdf": "EEVDF", "cas": "EEVDF + CAS", "land": "uplift_land"}


def percentile(counts: Sequence[int], share: float) -> int | None:
    """Of a histogram by powers of two: the upper end of the bucket in which that share is reached; None if empty."""
    total, below = sum(counts), 0
    if not total:
        return None
    for power, count in enumerate(counts):
        below += count
        if below >= share * total:
            return 2 << power
    return None


def of_ns(ns: int | None) -> str:
    """1234567 -> "1.2 ms"; "-" for None."""
    if ns is None:
        return "-"
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if ns >= size:
            return f"{ns / size:.{0 if ns >= 100 * size else 1}f} {unit}"
    return f"{ns} ns"


def _number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2 ** 64


def checked(data: Any, where: object) -> Status:
    """A status file's contents, if it is one."""
    try:
        ok = data["format"] == FORMAT and all(map(_number, (data["pid"], data["pending"]))) \
            and data["pid"] > 0 and isinstance(data["name"], str) and data["name"] and data["name"].isprintable() \
            and isinstance(data["running"], bool) \
            and isinstance(data["stats"], dict) and all(map(_number, data["stats"].values())) \
            and isinstance(data["domains"], list) and data["domains"] and all(
                all(_number(domain[key]) for key in ("online", "idle", "queued", "in", "out", "runs"))
                and all(isinstance(domain[key], list) and all(map(_number, domain[key])) for key in ("cpus", "latency"))
                and domain["latency"] for domain in data["domains"])
    except (KeyError, TypeError):
        ok = False
    if not ok:
        raise errors.Problem(f"{where} is no status of uplift_land, or of another version")
    status: Status = data
    return status


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells, in columns; the first to the left."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) if not at else cell.rjust(width)
                      for at, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]


def live(now: Status, before: Status | None = None) -> str:
    """The table of a status; with an earlier one, what happened between the two."""
    if before and (before["pid"] != now["pid"] or len(before["domains"]) != len(now["domains"])):
        before = None

    def since(domain: Status, key: str, at: int) -> Any:
        old = before["domains"][at][key] if before else \
            [0] * len(domain[key]) if isinstance(domain[key], list) else 0
        return [new - was for new, was in zip(domain[key], old)] if isinstance(old, list) else domain[key] - old

    rows = [("domain", "CPUs", "queued", "running", "turns", "in", "out", "p50", "p99", "longest")]
    for at, domain in enumerate(now["domains"]):
        latency = since(domain, "latency", at)
        rows.append((str(at), model.list_of(domain["cpus"]), str(domain["queued"]),
                     str(max(domain["online"] - domain["idle"], 0)), str(since(domain, "runs", at)),
                     str(since(domain, "in", at)), str(since(domain, "out", at)), of_ns(percentile(latency, 0.5)),
                     of_ns(percentile(latency, 0.99)), of_ns(percentile(latency, 1))))
    stats = now["stats"]
    if before:
        stats = {key: value - before["stats"].get(key, 0) for key, value in stats.items()}
    near = sum(stats.get(key, 0) for key in ("same_cpu", "sibling", "same_domain", "other_domain"))
    out = [f"{now['name']} {now['pid']}" + ("" if now["running"] else " (ended)") + f": {now['pending']} tasks wait for"
           " a decision"]
    out += columns(rows)
    out.append(f"placed at once: {near} (same CPU {stats.get('same_cpu', 0)}, sibling {stats.get('sibling', 0)}, same "
               f"domain {stats.get('same_domain', 0)}, elsewhere {stats.get('other_domain', 0)}); passed up: "
               f"{stats.get('passed_up', 0)}, with {stats.get('wakes', 0)} wakeups; gathered {stats.get('gathered', 0)}, "
               f"stolen {stats.get('stolen', 0)}")
    return "\n".join(out) + "\n"


def placement(sample: Mapping[str, Any]) -> dict[str, float] | None:
    """Of one run of sched_load: the share of its work that each process did in its top domain, in percent (all
    processes together, and the least of any), and how often threads changed their domain."""
    works = [process["work"] for process in sample["processes"] if sum(process["work"])]
    if not works:
        return None
    return {"top": 100 * sum(map(max, works)) / sum(map(sum, works)),
            "least": min(100 * max(work) / sum(work) for work in works),
            "moves": sum(process["moves"] for process in sample["processes"])}


def comparison(samples: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Text: a line per load and arm of [{"arm", "load", ...}]; @unit: of the times, "ns" or "instructions"."""
    rows = [("load", "scheduler", "in top domain", "least", "moves", "operations", "p50", "p99", "longest")]
    for load in dict.fromkeys(sample["load"] for sample in samples):
        for sample in samples:
            if sample["load"] != load:
                continue
            where, late = placement(sample), sample["latency_ns"]
            show = of_ns if unit == "ns" else lambda value: "-" if value is None else f"{value:,}"
            rows.append((LOADS.get(load, load), ARMS.get(sample["arm"], sample["arm"]),
                         f"{where['top']:.1f}%" if where else "-", f"{where['least']:.1f}%" if where else "-",
                         str(where["moves"]) if where else "-", f"{sample['ops']:,}",
                         show(late.get("p50")), show(late.get("p99")), show(late.get("max"))))
    note = "" if unit == "ns" else ("p50, p99, longest: instructions that all CPUs together executed from waking to running"
                                    " (message loads) or for an answer (server)\n")
    return "\n".join(columns(rows)) + "\n" + note


# A trace that Perfetto opens: its JSON form, a process per domain and a thread per CPU.

_SWITCH = re.compile(r"\s(?:\S.*)-\d+\s+\[(\d+)\]\s.*?\s(\d+)\.(\d+): sched_switch: prev_comm=.* prev_pid=\d+ .* ==> "
                     r"next_comm=(.*) next_pid=(\d+) next_prio")


_LOST = re.compile(r"CPU:(\d+) \[LOST \d+ EVENTS\]")


def trace(text: str, domain_of: Mapping[int, int]) -> dict[str, Any]:
    """Chrome's trace events of tracefs' text with sched_switch in it; @domain_of: {cpu: domain}."""
    events: list[dict[str, Any]] = []
    since: dict[int, tuple[int, str, int]] = {}	# {CPU: when, task, its number}
    for cpu in sorted(domain_of):
        events.append({"ph": "M", "name": "thread_name", "pid": domain_of[cpu] + 1, "tid": cpu + 1,
                       "args": {"name": f"CPU {cpu}"}})
    for domain in sorted(set(domain_of.values())):
        events.append({"ph": "M", "name": "process_name", "pid": domain + 1, "args": {"name": f"domain {domain}"}})
    for line in text.splitlines():
        match = _SWITCH.search(" " + line)
        if not match:
            if lost := _LOST.match(line):
                since.pop(int(lost[1]), None)	# which task ran meanwhile is not known
            continue
        cpu, at = int(match[1]), int(match[2]) * 10**6 + int(match[3].ljust(6, "0")[:6])
        if cpu in since:
            began, comm, pid = since[cpu]
            if pid:		# not the idle task
                events.append({"ph": "X", "name": f"{comm} {pid}", "pid": domain_of.get(cpu, 0) + 1, "tid": cpu + 1,
                               "ts": began, "dur": max(at - began, 0), "args": {"pid": pid}})
        since[cpu] = (at, match[4], int(match[5]))
    return {"traceEvents": events, "displayTimeUnit": "ns"}
