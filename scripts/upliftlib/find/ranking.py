# SPDX-License-Identifier: GPL-2.0-only
"""Which of a workload's hot functions are worth a look, in order.

A function stands high if much of the kernel's work is in it and much of it differs: share times difference, where a
difference of ENOUGH tokens is taken for whole; what cannot be tried stands lower. What many hot functions inline is divided among them: it is a change of its own.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import multiprocessing
import os
import pathlib
import re
from collections.abc import Callable, Collection
from typing import Any

from ..base import errors, paths
from . import cfile, config, differ, folding, unit, where
from .profile import Profile
from .unit import Found, Text, Tree

ENOUGH = 40		# tokens
FEW = 3			# hot functions that share an inline: it is still theirs
LEAST = 0.2		# percent
IN_THE_WAY = 0.3	# what a function counts that cannot be tried: to be read, all the same
MOST_JUDGED = 60	# rows, from the first
_CANNOT = re.compile(r"\b(notrace|noinstr|__init|__always_inline|__cpuidle|__noinstr\w*|noinline_for_\w+_only)\b")
_CODE = (cfile, config, differ, folding, unit, where)


@dataclasses.dataclass
class Row:
    """A hot function that differs.

    own: statements gone and come; inlined: {name: [gone, come]}, the largest difference first; places: where these are
    obstacle: why it cannot be tried, "" if it can; lacks: members of structs that this kernel has not, so that its whole text
    cannot be tried, though a commit of several may; needs: what only the newer tree has and comes along; refusal: what a try
    would say, where that was asked
    """
    name: str
    share: float
    score: float
    file: str
    new_file: str
    new_name: str
    own: tuple[int, int]
    inlined: dict[str, tuple[int, int]]
    places: dict[str, str]
    tokens: int
    obstacle: str = ""
    lacks: list[str] = dataclasses.field(default_factory=list)
    needs: list[str] = dataclasses.field(default_factory=list)
    refusal: str = ""
    why: str = ""
    command: str = ""
    commits: list[str] = dataclasses.field(default_factory=list)

    @property
    def no(self) -> str:
        """Why it cannot be tried, in words; "" if it can."""
        if self.obstacle or self.refusal or not self.lacks:
            return self.obstacle or self.refusal
        return f"it uses {', '.join(self.lacks[:3])}, which no struct of this kernel has"

    @property
    def gone(self) -> bool:
        return not self.new_file


@dataclasses.dataclass
class Ranking:
    """rows: in order; shares, in percent of the kernel's work: of what differs, of what is the same, of assembly, and unknown"""
    profile: Profile
    rows: list[Row]
    differs: float
    same: float
    unknown: float
    unknown_names: list[str]

    def as_json(self) -> dict[str, Any]:
        rows = [dataclasses.asdict(row) | {"rank": rank} for rank, row in enumerate(self.rows, 1)]
        return {"format": 1, "workload": self.profile.workload, "unit": self.profile.unit, "release": self.profile.release,
                "differs": round(self.differs, 2), "same": round(self.same, 2), "unknown": round(self.unknown, 2), "functions": rows}


@dataclasses.dataclass(frozen=True)
class Task:
    """A file of a tree, and what is wanted of it."""
    file: str
    names: tuple[str, ...]
    theirs: tuple[str, ...]


# ---------------------------------------------------------------------- both trees, each in a process of its own

def _code() -> bytes:
    return hashlib.sha256(b"".join(pathlib.Path(str(module.__file__)).read_bytes() for module in _CODE)).digest()


def _kept(tree: Tree, task: Task, symbols: frozenset[str]) -> pathlib.Path:
    key = hashlib.sha256(repr((_code(), str(tree.source), str(tree.kdir), tree.config.digest(), tree.gcc, task)).encode())
    key.update(hashlib.sha256("\n".join(sorted(symbols)).encode()).digest())
    return paths.ensure(paths.CACHE / "find") / f"{key.hexdigest()[:24]}.json"


def _still(depends: list[list[Any]], seen: dict[str, tuple[int, int]]) -> bool:
    """Are the files that were read as they were?"""
    for name, size, time in depends:
        if name not in seen:
            try:
                stat = os.stat(name)
            except OSError:
                return False
            seen[name] = (stat.st_size, stat.st_mtime_ns)
        if seen[name] != (size, time):
            return False
    return True


def _texts(tree: Tree, tasks: list[Task], symbols: frozenset[str]) -> dict[str, Found | str]:
    """{file: what was found, or why it cannot be read}"""
    out: dict[str, Found | str] = {}
    seen: dict[str, tuple[int, int]] = {}
    for task in tasks:
        kept = _kept(tree, task, symbols)
        try:
            found: Found = json.loads(kept.read_text())
            if _still([list(one) for one in found["depends"]], seen):
                out[task.file] = found
                continue
        except (OSError, ValueError, KeyError):
            pass
        try:
            out[task.file] = found = unit.Unit(tree, task.file).found(task.names, task.theirs, symbols)
            paths.write(kept, json.dumps(found))
        except errors.Problem as problem:
            out[task.file] = str(problem)
    return out


def _known_words(tree: Tree, wanted: dict[str, list[str]]) -> dict[str, list[str]]:
    """{file: those of some words that it or what it includes has}"""
    found = {}
    for file, words in wanted.items():
        text = tree.preprocessed(file)
        # most are nowhere in it, which is told ten times as fast
        found[file] = [word for word in words if word in text and re.search(rf"\b{re.escape(word)}\b", text)]
    return found


def _both(pool: concurrent.futures.Executor, call: Callable[..., Any], *arguments: tuple[Any, ...]) -> list[Any]:
    return [future.result() for future in [pool.submit(call, *one) for one in arguments]]


# ---------------------------------------------------------------------- the ranking

class Ranker:
    """@symbols: of the target's kernel; what is not among them is inlined"""

    def __init__(self, old: Tree, new: Tree, symbols: Collection[str]) -> None:
        self.old, self.new, self.symbols = old, new, frozenset(symbols)

    def rank(self, profile: Profile, least: float = LEAST) -> Ranking:
        hot = profile.hot(least)
        with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
            here, there = _both(pool, where.index, (self.old.source,), (self.new.source,))
            files = {name: here.best(name, self.symbols) for name in hot}
            targets = {name: self._newer(name, file, there) for name, file in files.items() if file}
            before, after = _both(pool, _texts, (self.old, self._old_tasks(files), self.symbols),
                                  (self.new, self._new_tasks(files, targets, here), self.symbols))
            rows, same, unknown = self._rows(profile, hot, files, targets, before, after)
            self._judge(pool, rows, before, after)
        for row in rows:
            row.score = round(row.score * (IN_THE_WAY if row.obstacle else 1), 6)
            row.why = _why(row)
        rows.sort(key=lambda row: (-row.score, -row.share, row.name))
        return Ranking(profile, rows, sum(row.share for row in rows), same,
                       sum(profile.share(name) for name in unknown), unknown)

    def _newer(self, name: str, file: str, there: where.Index) -> str:
        """Where the newer tree has a function, or may have it under another name."""
        if name in there.files.get(file, []) or not (other := there.best(name, self.symbols)):
            return file if file in there.files else ""
        return other

    def _old_tasks(self, files: dict[str, str]) -> list[Task]:
        by_file: dict[str, list[str]] = collections.defaultdict(list)
        for name, file in files.items():
            if file:
                by_file[file].append(name)
        return [Task(file, tuple(sorted(names)), ()) for file, names in sorted(by_file.items())]

    def _new_tasks(self, files: dict[str, str], targets: dict[str, str], here: where.Index) -> list[Task]:
        by_file: dict[str, list[str]] = collections.defaultdict(list)
        for name, target in targets.items():
            if target:
                by_file[target].append(name)
        return [Task(file, tuple(sorted(names)), tuple(sorted(here.files.get(file, [])))) for file, names in sorted(by_file.items())]

    def _rows(self, profile: Profile, hot: list[str], files: dict[str, str], targets: dict[str, str],
              before: dict[str, Found | str], after: dict[str, Found | str]) -> tuple[list[Row], float, list[str]]:
        found: dict[str, differ.Difference] = {}
        rows: list[Row] = []
        unknown: list[str] = []
        same = 0.0
        for name in hot:
            old, new = before.get(files[name]), after.get(targets.get(name, ""))
            if old is None or isinstance(old, str) or name not in old["functions"] or isinstance(new, str):
                unknown.append(name)
                continue
            text = old["functions"][name]
            other = name if new and name in new["functions"] else differ.renamed(text, new["others"]) if new else ""
            if not new or not other:
                rows.append(Row(name, profile.share(name), 0, files[name], "", "", (len(text["own"]), 0), {}, {}, ENOUGH))
                continue
            one = differ.difference(name, text, (new["functions"].get(other) or new["others"][other]), other)
            if one:
                found[name] = one
            else:
                same += profile.share(name)
        rows += self._scored(profile, found)
        return sorted(rows, key=lambda row: (-row.score, -row.share, row.name)), same, unknown

    def _scored(self, profile: Profile, found: dict[str, differ.Difference]) -> list[Row]:
        """What differs in an inline that many share is divided among them."""
        sharing = collections.Counter(word for one in found.values() for word in one.inlined)
        common = {word for word, count in sharing.items() if count > FEW}
        rows = []
        for name, one in found.items():
            tokens = differ.flat(one.old, one.new, common) + one.own.tokens // 2
            tokens += round(sum(change.tokens / sharing[word] for word, change in one.inlined.items() if word in common))
            share = profile.share(name)
            largest = sorted(one.inlined, key=lambda word: (sharing[word] > FEW, -one.inlined[word].tokens, word))
            rows.append(Row(name, share, share * min(1.0, tokens / ENOUGH), one.old["file"], one.new["file"], one.new_name,
                            (one.own.gone, one.own.come), {word: (one.inlined[word].gone, one.inlined[word].come) for word in largest},
                            {word: one.new["places"].get(word) or one.old["places"].get(word, "") for word in largest if word not in common}, tokens))
        return rows

    def _judge(self, pool: concurrent.futures.Executor, rows: list[Row], before: dict[str, Found | str],
               after: dict[str, Found | str]) -> None:
        """Which can be tried, and what would come along."""
        texts: dict[str, tuple[Text, Text]] = {}
        wanted: dict[str, set[str]] = collections.defaultdict(set)
        for row in rows[:MOST_JUDGED]:
            old, new = before[row.file], after.get(row.new_file)
            row.obstacle = _obstacle(row, old["functions"][row.name]["before"] if not isinstance(old, str) else "", self.symbols)
            if new and not isinstance(new, str) and not isinstance(old, str) and row.new_name:
                two = new["functions"].get(row.new_name) or new["others"][row.new_name]
                texts[row.name] = old["functions"][row.name], two
                wanted[row.file] |= differ.added_words(*texts[row.name])
        halves = [{file: sorted(words) for file, words in list(sorted(wanted.items()))[half::2]} for half in (0, 1)]
        one, two = _both(pool, _known_words, (self.old, halves[0]), (self.old, halves[1]))
        known = {file: set(words) for file, words in (one | two).items()}
        for row in rows[:MOST_JUDGED]:
            if row.name in texts:
                lacks = differ.added_words(*texts[row.name]) - known[row.file]
                _needs(row, texts[row.name][1], lacks)


def _obstacle(row: Row, before: str, symbols: Collection[str]) -> str:
    """Why a function cannot be redirected, as far as its own text and the kernel's symbols tell."""
    if row.gone:
        return "the newer tree has no function of this name or text"
    if word := _CANNOT.search(before):
        return f"it is {word[1]}: the kernel cannot trace it"
    if symbols and row.name not in symbols:
        return "it does not stand by itself in this kernel"
    if row.file != row.new_file:
        return f"it has moved to {row.new_file}: its patch would be of two files"
    return ""


def _needs(row: Row, new: Text, lacks: set[str]) -> None:
    """What of the newer form's names this kernel has nowhere: members of structs are in the way, functions come along."""
    in_text = {word for part in (new["own"], *(lines for name, lines in new["inlined"].items() if name in row.places))
               for line in part for word in line.split()}
    row.lacks = sorted(differ.members(new) & lacks & in_text)
    calls = {word for part in (new["own"], *new["inlined"].values()) for line in part for word, after in _pairs(line)
             if after == "(" and word not in unit.KEYWORDS}
    row.needs = sorted(lacks & in_text & calls)


def _pairs(line: str) -> list[tuple[str, str]]:
    words = line.split()
    return list(zip(words, words[1:]))


def _why(row: Row) -> str:
    """One line: why a function stands where it does."""
    said = f"{row.share:.1f}% of the work"
    if row.gone:
        return f"{said}, and the newer tree has nothing like it: look there by hand"
    parts = []
    if any(row.own):
        parts.append(f"{sum(row.own)} statements of its own differ")
    if row.places:
        names = list(row.places)
        parts.append(f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}, which it inlines, differ{'s' if len(names) == 1 else ''}")
    elif row.inlined:
        parts.append(f"only what many functions inline differs ({', '.join(list(row.inlined)[:2])})")
    if row.tokens < ENOUGH:
        parts.append(f"a small difference ({row.tokens} tokens)")
    if row.new_name != row.name:
        parts.append(f"it is called {row.new_name}() now")
    return f"{said}; {'; '.join(parts)}"
