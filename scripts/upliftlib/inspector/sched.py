# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler's view without the module: domains of /proc/schedstat, their names and flags of debugfs.

    domain0 SMT 00000003 ...	/proc/schedstat since version 17
    domain0 00000003 ...	and before

The last-level domain of a CPU is the topmost that shares a last-level cache: with flags those that have it, else those
of a name that always does. Without either nothing is known.
"""

import functools
import pathlib
import re

from . import facts, model

FLAGS = re.compile(r"\bSD_SHARE_(LLC|PKG_RESOURCES)\b")
SHARING = ("SMT", "CLS", "MC")		# topology levels that share a last-level cache
NAMES = (*SHARING, "BOOK", "DRAWER", "PKG", "DIE", "NODE", "NUMA", "CACHE", "PERF")


@functools.lru_cache(maxsize=4096)
def _mask(word: str) -> frozenset[int]:
    """The CPUs of a mask, of which each CPU of a domain has the same."""
    if word.count(",") >= model.MOST // 32:
        raise model.Bad(f"schedstat: a mask of more than {model.MOST} CPUs")
    value = int(word.replace(",", ""), 16)
    return frozenset(number for number, bit in enumerate(reversed(f"{value:b}")) if bit == "1")


def domains(text: str) -> dict[int, list[tuple[str, frozenset[int]]]]:
    """By CPU: (name or "", span) of each domain, the smallest first."""
    found: dict[int, list[tuple[str, frozenset[int]]]] = {}
    at: list[tuple[str, frozenset[int]]] = []
    for line in text.splitlines():
        if match := re.match(r"cpu(\d{1,5})\b", line):
            at = found.setdefault(int(match[1]), [])
        elif match := re.match(r"domain\d+ (?:([A-Z]\w*) )?([0-9a-f]{1,8}(?:,[0-9a-f]{1,8})*)\b", line):
            at.append((match[1] or "", _mask(match[2])))
    return found


def trimmed(text: str) -> str:
    """/proc/schedstat without what it counts."""
    kept = [match[0] for line in text.splitlines()
            if (match := re.match(r"version \d+|cpu\d+|domain\d+ (?:[A-Z]\w* )?[0-9a-f,]+", line))]
    return "\n".join(kept) + "\n"


def _shares(name: str, flags: str) -> bool | None:
    """Does a domain share a last-level cache? None where that is not known."""
    if flags:
        return bool(FLAGS.search(flags))
    return name in SHARING if name in NAMES else None


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(errors="replace")[:4096].strip() if path.is_file() else ""
    except OSError:
        return ""


def _span(cpu: int, levels: list[tuple[str, frozenset[int]]], debugfs: pathlib.Path) -> frozenset[int] | None:
    """The span of a CPU's last-level domain; None where it is not known which that is."""
    span: frozenset[int] = frozenset()
    for number, (name, cpus) in enumerate(levels):
        directory = debugfs / f"cpu{cpu}/domain{number}"
        shares = _shares(_text(directory / "name") or name, _text(directory / "flags"))
        if shares is None:
            return None
        span = cpus if shares else span
    return span


def view(found: facts.Facts, schedstat: str | None, debugfs: pathlib.Path) -> None:
    """Fill in what the scheduler takes for each CPU's domain, where that is known of all."""
    by_cpu = domains(schedstat or "")
    if not found.online <= set(by_cpu) or not any(by_cpu.values()):
        return
    spans = {}
    for cpu in found.online:
        span = _span(cpu, by_cpu[cpu], debugfs)
        if span is None or not span <= found.possible:
            return
        spans[cpu] = span
    for cpu, span in spans.items():
        found.cpu[cpu].span = span
    found.sched = True


def names(found: dict[int, list[tuple[str, frozenset[int]]]]) -> list[str]:
    """The names of the levels that CPUs have, in a list for people."""
    return sorted({model.plain(" < ".join(name for name, _ in levels)) for levels in found.values() if levels})
