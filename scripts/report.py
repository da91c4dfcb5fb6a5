#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Render an evaluation (build/report/<release>.json) as text.

    scripts/report.py FILE.json...
"""

import json
import re
import sys
import textwrap

from upliftlib.base import paths

FORMAT = "uplift-evaluation/1"

WIDTH = 79
LABEL, FIGURE, AGAINST = 34, 8, 13	# columns of the table

VERDICTS = {
    "applicable": "the kernel lacks the change, and the module works here",
    "native": "the kernel has the change; the module was loaded beside it for comparison",
    "unaffected": "the kernel never had what the change mends",
    "unsupported": "the kernel lacks the change, and the module cannot work here",
}
ARMS = {
    "off": "/proc/filesystems",
    "stock": "  the same, module loaded",
    "off_again": "  the same, module unloaded again",
    "uncached": "filesystems_uncached (control)",
    "cached": "filesystems_cached",
    "permanent": "filesystems_cached, permanent=1",
}
OPERATIONS = {"pread_open_fd": "pread", "open_read_close": "open+read+close"}


def number(value):
    """12345 -> '12,345'"""
    return f"{value:,}"


def ratio(value, base):
    """Against the base: '15.2x less', '3.0% more', 'same'."""
    if value == base:
        return "same"
    if not value or not base:
        return "-"
    if value * 1.5 <= base:
        return f"{base / value:.1f}x less"
    if value >= base * 1.5:
        return f"{value / base:.1f}x more"
    percent = 100 * (value - base) / base
    if abs(percent) < 0.05:
        return "same"
    return f"{abs(percent):.1f}% {'more' if percent > 0 else 'less'}"


def _wrap(text, indent):
    # a paragraph's later lines stand under its first word, a "Label:    text" under its text
    later = indent + ("          " if re.match(r"\w+:  +", text) else "  ")
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=later,
                         break_long_words=False, break_on_hyphens=False) or [indent.rstrip()]


def repeatability(arms):
    """A line about how far two rounds of the same agree, and 'off' with itself after unloading."""
    worst, where = 0.0, ""
    for arm, operations in arms.items():
        for operation, value in operations.items():
            rounds = value["rounds"]
            spread = (max(rounds) - min(rounds)) / min(rounds) if min(rounds) else 0
            if spread > worst:
                worst, where = spread, f"{ARMS.get(arm, arm).strip()}, {OPERATIONS.get(operation, operation)}"
    if not arms:
        return ""
    rounds = {len(value["rounds"]) for operations in arms.values() for value in operations.values()}
    times = "Counted twice" if rounds == {2} else f"Counted {min(rounds)} times"
    return f"{times}: identical." if not worst else \
        (f"{times}; not identical, the least is shown: they differ by up to {worst * 1e6:,.0f} parts per million "
         f"({where}).")


def table(arms):
    """Lines: instructions per operation, and against the kernel's own file with nothing loaded."""
    head = f"{'instructions per':{LABEL}}" + "".join(f"{name:>{FIGURE}}{'':{AGAINST}}" for name in OPERATIONS.values())
    lines = [head.rstrip()]
    for arm, label in ARMS.items():
        if arm not in arms:
            continue
        line = f"{label:{LABEL}}"
        for operation in OPERATIONS:
            value = arms[arm].get(operation)
            base = arms.get("off", {}).get(operation)
            line += f"{number(value['instructions']) if value else '-':>{FIGURE}}"
            against = ratio(value["instructions"], base["instructions"]) if value and base and arm != "off" else ""
            line += f"  {against:{AGAINST - 2}}"
        lines.append(line.rstrip())
    return lines


def gain(data):
    """A sentence: what the cached file saves against the kernel's own."""
    arms = data["measurement"].get("arms", {})
    if "off" not in arms or "cached" not in arms:
        return ""
    parts = []
    for operation, label in OPERATIONS.items():
        off = arms["off"][operation]["instructions"]
        new = arms["cached"][operation]["instructions"]
        parts.append(f"{label} {number(off)} -> {number(new)} instructions ({ratio(new, off)})")
    return "; ".join(parts) + "."


def render(data):
    """The report's text."""
    if data.get("format") != FORMAT:
        raise ValueError(f"format '{data.get('format')}', this program reads {FORMAT}")
    target, verdict = data["target"], data["verdict"]
    correct, measured = data["correctness"], data["measurement"]
    lines = [f"uplift: upstream's fast-path changes on {target['release']}", "",
             "/proc/filesystems from a cached text (Linux 7.2)", ""]

    lines += _wrap(f"Verdict: {verdict['kind']} - {VERDICTS.get(verdict['kind'], 'not a verdict this report knows')}.",
                   "")
    for evidence in verdict["evidence"]:
        lines += _wrap(evidence, "    ")
    state = "skipped" if correct["ok"] and correct.get("skipped") else "passed" if correct["ok"] else "FAILED"
    lines += _wrap(f"Correctness: {state} - {correct['summary']}; {correct['cpus']} CPUs.", "")
    for problem in correct["problems"]:
        lines += _wrap(problem, "    ")
    for test in correct["tests"]:
        if test["outcome"] == "skip":
            lines += _wrap(f"skipped {test['name']}: {test['reason']}", "    ")
    if not correct["ok"]:
        lines += [f"    console: {correct['console']}", f"    output:  {correct['output']}"]
    if gain(data):
        what = "Beside the kernel's own" if verdict["kind"] == "native" else "Gain"
        lines += _wrap(f"{what}: {gain(data)}", "")
    lines.append("")

    arms = measured.get("arms", {})
    if arms:
        lines += table(arms)
        lines.append("")
        size = measured["list"]
        lines += _wrap(f"The list has {size['entries']} entries, {number(size['bytes'])} bytes. " + repeatability(arms)
                       + " Instructions are exact and the same on any host; they are not time: emulation counts each "
                         "byte of a string copy, and no cache miss.", "")
    for section in data.get("sections", ()):
        lines += ["", section["title"]]
        lines += [f"    {line}" for line in section["lines"]]

    lines += ["", *_wrap(f"Kernel:   {target['kernel']}", ""), f"Package:  {target['version']}"]
    config = target.get("config") or {}
    if config:
        lines += _wrap("Config:   " + " ".join(f"{key.removeprefix('CONFIG_')}={value}"
                                               for key, value in config.items()), "")
    lines.append(f"Taint:    {taint(measured['taint'])}")
    lines += _wrap(f"Guests:   QEMU {measured['qemu']}; correctness: {correct['accel']}; counts: {measured['accel']}",
                   "")
    lines.append(f"Again:    {data['reproduce']}")
    return "\n".join(lines) + "\n"


def taint(value):
    """12288 -> '12288 (out of tree, unsigned)'"""
    names = {0: "proprietary", 1: "forced load", 4: "machine check", 5: "bad page", 7: "oops", 9: "warning",
             12: "out of tree", 13: "unsigned", 14: "soft lockup", 15: "livepatch"}
    if value is None:
        return "not known"
    bits = [names.get(bit, f"bit {bit}") for bit in range(32) if value >> bit & 1]
    return f"{value} ({', '.join(bits) or 'none'})"


def main(argv):
    """Print the text of each file."""
    if len(argv) < 2 or argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(argv) > 1 else 2
    for name in argv[1:]:
        try:
            sys.stdout.write(render(json.loads(paths.read(name))))
        except OSError as error:
            print(f"report: {name}: {error.strerror}", file=sys.stderr)
            return 1
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
            print(f"report: {name}: no whole evaluation: {type(error).__name__}: {' '.join(str(error).split())}",
                  file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
