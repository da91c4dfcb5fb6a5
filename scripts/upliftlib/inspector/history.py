# SPDX-License-Identifier: GPL-2.0-only
"""What `uplift llc --watch` remembers of the pictures before: where each process was together, and what was refused."""

import collections

from . import model

KEPT = 20		# pictures
TOGETHER = 800		# permille in one place from which on a process is together there
APART, IDLE = "*", "."


class History:
    """Of each process, a character for each of the last pictures: its place's last one, "*" for apart, "." for idle."""

    def __init__(self) -> None:
        self.of: dict[int, collections.deque[str]] = {}
        self.places: dict[int, str | None] = {}
        self.left: collections.Counter[int] = collections.Counter()
        self.refused: dict[int, collections.Counter[str]] = {}
        self.rounds = 0

    def add(self, processes: model.Processes | None) -> None:
        """One picture more."""
        self.rounds += 1
        here = {item.pid: item for item in processes.list} if processes else {}
        for pid in [pid for pid in self.of if pid not in here]:
            self.of.pop(pid)
            self.places.pop(pid, None)
            self.refused.pop(pid, None)
            del self.left[pid]
        for item in here.values():
            self._process(item)

    def _process(self, item: model.Process) -> None:
        strip = self.of.setdefault(item.pid, collections.deque(maxlen=KEPT))
        place, most = max(item.places.items(), key=lambda pair: int(pair[1]), default=("", 0))
        strip.append(place[-1] if most >= TOGETHER else APART if most else IDLE)
        verdict = item.verdict
        if verdict is None:
            return
        before = self.places.get(item.pid)
        self.left[item.pid] += before is not None and verdict.where != before
        if verdict.where is None and (verdict.reason or "unknown") != "off" and (before is not None or item.pid not in self.places):
            self.refused.setdefault(item.pid, collections.Counter())[verdict.reason or "unknown"] += 1
        self.places[item.pid] = verdict.where

    def strip(self, pid: int) -> str:
        """The characters of a process, the latest last."""
        return "".join(self.of.get(pid, ()))

    def words(self, pid: int) -> str:
        """How often it left where it was gathered, and what was refused."""
        out = [f"left {self.left[pid]} times"] if self.left[pid] else []
        out += [f"{reason} x {number}" for reason, number in self.refused.get(pid, collections.Counter()).most_common(2)]
        return ", ".join(out) or "-"
