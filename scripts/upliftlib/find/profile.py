# SPDX-License-Identifier: GPL-2.0-only
"""What a workload spends in each function of the kernel, out of what other tools print."""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

from ..base import errors

FORMAT = "uplift profile 1"
_PERF_DATA = b"PERFILE2"
_SUFFIX = re.compile(r"\.(?:isra|part|constprop|cold|llvm|lto_priv)\b.*")
_SYSCALL = re.compile(r"^(?:__se_sys_|__do_sys_|__ia32_sys_)")
_OFFSET = re.compile(r"\+0x[0-9a-f]+$|\+\d+$")
# "program 123 [000] 12.345678:   1000 cycles:P:  ffffffff81000000 symbol+0x1 ([kernel.kallsyms])"; stacks have the rest below
_SAMPLE = re.compile(r"^\s*\S.*?\s\d+(?:/\d+)?\s.*?:\s+(?:(?P<period>\d+)\s+)?(?P<event>[\w/:=,.-]+):[\w:]*\s*(?P<frame>[0-9a-f]{6,16} .*)?$")
_FRAME = re.compile(r"^\s*(?P<address>[0-9a-f]+)\s+(?P<symbol>\S+)(?:\s+\((?P<object>.*)\))?\s*$")
_KERNEL = re.compile(r"^\[(?!vdso|heap|stack|unknown|anon)[\w.]+\](?:_.*)?$|(?:^|/)vmlinux|\.ko(?:\.\w+)?$")
_REPORTED = re.compile(r"^\s*(?:\d+\.\d+%\s+)?(?P<share>\d+\.\d+)%\s.*\[k\]\s+(?P<symbol>\S+)")
_COUNTED = re.compile(r"^@\w*\[(?P<key>[^\[\]\n]*)\]:\s*(?P<count>\d+)\s*$")
_STACK = re.compile(r"^@\w*\[\s*$")
_STACK_END = re.compile(r"^(?:,?\s*[^\]]*)?\]:\s*(?P<count>\d+)\s*$")
_IDLE = re.compile(r"^(?:default_idle|pv_native_safe_halt|native_safe_halt|do_idle|cpuidle_\w+|intel_idle\w*|acpi_idle\w*|acpi_safe_halt|"
                   r"poll_idle|mwait_idle\w*|default_idle_call)$")


def base(symbol: str) -> str:
    """A function's name in the source: without what the compiler adds; the one name of a system call's three forms."""
    return _SYSCALL.sub("__x64_sys_", _SUFFIX.sub("", symbol))


@dataclasses.dataclass
class Profile:
    """functions: {name: its own share of the unit}; what idle CPUs do is left out"""
    source: str
    unit: str
    functions: dict[str, float]
    workload: str = ""
    release: str = ""

    @property
    def total(self) -> float:
        return sum(self.functions.values())

    def share(self, name: str) -> float:
        """In percent of the kernel's work."""
        return 100 * self.functions[name] / self.total

    def hot(self, least: float) -> list[str]:
        """Functions of at least that many percent, the hottest first."""
        found = [name for name in self.functions if self.share(name) >= least]
        return sorted(found, key=lambda name: (-self.functions[name], name))

    def as_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "unit": self.unit, "workload": self.workload, "release": self.release,
                "functions": dict(sorted(self.functions.items()))}


def made(source: str, unit: str, counts: dict[str, float]) -> Profile:
    found: dict[str, float] = collections.defaultdict(float)
    for symbol, count in counts.items():
        name = base(_OFFSET.sub("", symbol))
        if not _IDLE.match(name) and re.match(r"[A-Za-z_]", name):
            found[name] += count
    if not sum(found.values()):
        raise errors.Problem(f"{source}: no function of the kernel in it: was it recorded as root, with the kernel's symbols "
                             "(sysctl kernel.kptr_restrict=0)?")
    return Profile(source, unit, dict(found))


# ---------------------------------------------------------------------- perf

def _is_kernel(frame: re.Match[str]) -> bool:
    return len(frame["address"]) == 16 and frame["address"] >= "8" if frame["object"] is None else bool(_KERNEL.search(frame["object"]))


def _samples(lines: Iterable[str]) -> Iterator[tuple[float, re.Match[str] | None]]:
    """(weight, the innermost frame) of each sample."""
    period: float | None = None
    for line in lines:
        sample = _SAMPLE.match(line)
        if sample:
            period = float(sample["period"] or 1)
            frame = _FRAME.match(sample["frame"]) if sample["frame"] else None
            if frame:
                yield period, frame
                period = None
        elif period is not None and line.strip():
            yield period, _FRAME.match(line)
            period = None
        elif not line.strip():
            period = None


def perf_script(text: str, source: str) -> Profile:
    """Each sample counts for the function that it was in, with its period."""
    counts: dict[str, float] = collections.defaultdict(float)
    for weight, frame in _samples(text.splitlines()):
        if frame and _is_kernel(frame):
            counts[frame["symbol"]] += weight
    return made(source, "samples", counts)


def perf_report(text: str, source: str) -> Profile:
    """`perf report --stdio`: of two columns, the second is the function's own share."""
    counts: dict[str, float] = collections.defaultdict(float)
    for line in text.splitlines():
        if found := _REPORTED.match(line):
            counts[found["symbol"]] += float(found["share"])
    return made(source, "samples", counts)


def _perf_data(path: pathlib.Path) -> Profile:
    if not shutil.which("perf"):
        raise errors.Problem(f"{path} is perf's own file, and perf is not here: perf script -i {path} >FILE where it was "
                             "recorded makes one that is read", errors.USAGE)
    done = subprocess.run(["perf", "script", "-F", "comm,pid,time,period,event,ip,sym,symoff,dso", "-i", str(path)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise errors.Problem(f"perf script cannot read {path}: {said[-1]}")
    return perf_script(done.stdout, str(path))


# ---------------------------------------------------------------------- bpftrace, and ours

def bpftrace(text: str, source: str) -> Profile:
    """Maps with functions or stacks (kstack) as keys: @[func]: 12"""
    counts: dict[str, float] = collections.defaultdict(float)
    innermost: str | None = None
    inside = False
    for line in text.splitlines():
        if found := _COUNTED.match(line):
            counts[_OFFSET.sub("", found["key"].split(",")[0].strip())] += int(found["count"])
        elif _STACK.match(line):
            inside, innermost = True, None
        elif inside and (found := _STACK_END.match(line)):
            if innermost:
                counts[innermost] += int(found["count"])
            inside = False
        elif inside and innermost is None and line.strip():
            innermost = line.strip().split()[0]
    return made(source, "samples", counts)


def _ours(text: str, source: str) -> Profile:
    try:
        found = json.loads(text)
        if found["format"] != FORMAT:
            raise ValueError(found["format"])
        functions = {str(name): float(count) for name, count in found["functions"].items()}
        profile = made(source, str(found["unit"]), functions)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise errors.Problem(f"{source}: JSON, but no profile of ours ('{FORMAT}')", errors.USAGE) from None
    profile.workload, profile.release = str(found.get("workload", "")), str(found.get("release", ""))
    return profile


def parse(text: str, source: str) -> Profile:
    """By what the text looks like."""
    if text.lstrip().startswith("{"):
        return _ours(text, source)
    lines = text.splitlines()
    if any(_COUNTED.match(line) or _STACK.match(line) for line in lines):
        return bpftrace(text, source)
    if any(map(_REPORTED.match, lines)):
        return perf_report(text, source)
    if any(map(_SAMPLE.match, lines)):
        return perf_script(text, source)
    raise errors.Problem(f"{source}: no profile that is known here: perf script, perf report --stdio, perf.data, a map of bpftrace's "
                         "with functions or kstack, or what uplift lab find wrote", errors.USAGE)


def read(path: pathlib.Path) -> Profile:
    """A profile out of a file of any known form."""
    try:
        with open(path, "rb") as file:
            data = file.read(8)
            if data == _PERF_DATA:
                return _perf_data(path)
            data += file.read()
    except OSError as problem:
        raise errors.Problem(f"{path}: {problem.strerror}", errors.USAGE) from None
    return parse(data.decode(errors="replace"), str(path))
