# SPDX-License-Identifier: GPL-2.0-only
"""Of which functions of the kernel's do the changed bodies have a copy? A live patch or a probe of these is without effect.

Rather one too many: what comes of it is that a live patch of such a function is told, and no arm switched to. Functions
that the compiler has inlined in the unchanged code, too, are left out: who patches these patches the caller.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from .references import Unit, parent


def referred(unit: Unit, entries: Iterable[str]) -> set[str]:
    """Names of the functions that functions refer to, with their cold parts."""
    found = set()
    for name in entries:
        for part in (name, f"{name}.cold"):
            if part in unit.functions:
                found |= {parent(reference.name) for reference in unit.of_function(unit.functions[part])}
    return found


def words_added(patch: str) -> set[str]:
    """What stands in the lines that a patch adds."""
    return {word for line in patch.splitlines() if line.startswith("+") and not line.startswith("+++")
            for word in re.findall(r"[A-Za-z_]\w*", line)}


def of(old: Unit, new: Unit, entries: Collection[str], brought: Iterable[str], words: Collection[str]) -> list[str]:
    """Those of a file. @brought: functions that came along with the bodies; @words: of the patch's added lines"""
    before, after = referred(old, entries), referred(new, entries)
    inlined = {name for name in old.functions if name not in after and (name in before or name in words)}
    came = {name for name in brought if name in old.functions}
    return sorted(name for name in inlined | came if name not in entries and parent(name) == name)
