# SPDX-License-Identifier: GPL-2.0-only
"""How figures are written."""

import re

from . import record, stats

UNITS = {"ns": "ns", "instructions": "instr."}
LONG = {"ns": "ns", "instructions": "instructions"}
# In a kernel's banner.
COMPILER = re.compile(r"\(((?:\S*gcc|clang)[^()]*(?:\([^()]*\))?[^,()]*)")
Gained = tuple[record.Operation, str, stats.Gain]


def number(value: float) -> str:
    """12345.678 -> '12,346'; with as many decimals as three digits take."""
    value = value + 0.0 if value else 0.0
    if value == int(value):
        return f"{value:,.0f}"
    # by what it would be rounded to: 999.98 is 1,000, and not 1000.0
    if abs(round(value, 1)) >= 1000:
        return f"{value:,.0f}"
    if abs(round(value, 2)) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def percent(value: float) -> str:
    """3.14159 -> '3.1%'; more decimals where there is nothing before them."""
    value = abs(value)
    return f"{value:.1f}%" if value >= 1 or not value else f"{value:.2f}%"


def claim(gain: stats.Gain, unit: str) -> str:
    """What may be said of an arm against null."""
    if gain["claim"] == "none":
        return stats.NONE
    sign = 1 if gain["claim"] == "gain" else -1
    saves, part = gain["saves"], gain["percent"]
    word = "less" if sign > 0 else "MORE"
    if saves["low"] == saves["high"]:
        return f"{number(abs(saves['median']))} {unit} {word}, {percent(part['median'])}"
    low, high = sorted((sign * part["low"], sign * part["high"]))
    return (f"{number(abs(saves['median']))} {unit} {word}, {percent(part['median'])} (95%: {percent(low)} to "
            f"{percent(high)})")


def cell(found: stats.Interval) -> str:
    """A figure with its interval."""
    if found["low"] == found["high"]:
        return number(found["median"])
    return f"{number(found['median'])} [{number(found['low'])}, {number(found['high'])}]"


def cost(found: record.Cost, unit: str) -> str:
    """What an arm costs, in words."""
    if not found["claim"]:
        return "not measurable"
    if found["low"] == found["high"]:
        return f"{number(found['median'])} {unit} a call"
    return f"{number(found['median'])} {unit} a call (95%: {number(found['low'])} to {number(found['high'])})"
