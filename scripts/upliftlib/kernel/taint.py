# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel's taint says."""

NAMES = {0: "proprietary", 1: "forced load", 4: "machine check", 5: "bad page", 7: "oops", 9: "warning",
         12: "out of tree", 13: "unsigned", 14: "soft lockup", 15: "livepatch"}


def words(value: int | None) -> str:
    """12288 -> '12288 (out of tree, unsigned)'"""
    if value is None:
        return "not known"
    bits = [NAMES.get(bit, f"bit {bit}") for bit in range(32) if value >> bit & 1]
    return f"{value} ({', '.join(bits) or 'none'})"
