# SPDX-License-Identifier: GPL-2.0-only
"""How a function differs between two trees, itself and in what it inlines."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import re

from .unit import Text

ALIKE = 0.5		# of its statements: a function of another name is the same one
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclasses.dataclass(frozen=True)
class Change:
    """gone, come: statements; tokens: how much of these is not the same"""
    gone: int
    come: int
    tokens: int

    def __str__(self) -> str:
        return f"-{self.gone} +{self.come}"


def change(old: list[str], new: list[str]) -> Change:
    """Of two texts. What has moved counts, too."""
    gone = come = tokens = 0
    for tag, one, two, three, four in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            before = collections.Counter(word for line in old[one:two] for word in line.split())
            after = collections.Counter(word for line in new[three:four] for word in line.split())
            gone, come = gone + two - one, come + four - three
            tokens += sum(((before - after) + (after - before)).values())
    return Change(gone, come, tokens)


def added_words(old: Text, new: Text) -> set[str]:
    """Names that the newer form has, and the older one nowhere."""
    def words(text: Text) -> set[str]:
        return {word for lines in (text["own"], *text["inlined"].values()) for line in lines for word in _WORD.findall(line)}
    return words(new) - words(old)


def members(new: Text) -> set[str]:
    """Names that are members of structs in a function's text."""
    lines = [line for part in (new["own"], *new["inlined"].values()) for line in part]
    return {word for line in lines for word in re.findall(r"(?:->|\.) ([A-Za-z_]\w*)(?! \()", line)}


def renamed(old: Text, others: dict[str, Text]) -> str:
    """Which of the functions that only the newer file has is this one under another name; "" if none is alike."""
    best, found = ALIKE, ""
    for name, text in sorted(others.items()):
        if min(len(old["own"]), len(text["own"])) < 4:
            continue
        ratio = difflib.SequenceMatcher(None, old["own"], text["own"], autojunk=False).ratio()
        if ratio > best:
            best, found = ratio, name
    return found


@dataclasses.dataclass
class Difference:
    """of: a hot function; inlined: {name: how it differs}; of what only one tree inlines all of it counts"""
    name: str
    old: Text
    new: Text
    new_name: str
    own: Change
    inlined: dict[str, Change]

    def __bool__(self) -> bool:
        return bool(self.own.gone or self.own.come or self.inlined)


def difference(name: str, old: Text, new: Text, new_name: str) -> Difference:
    """Of a function in both trees. A name that it changed to is the same word."""
    own = [re.sub(rf"\b{re.escape(new_name)}\b", name, line) for line in new["own"]] if new_name != name else new["own"]
    inlined = {}
    for word in sorted(old["inlined"].keys() | new["inlined"].keys()):
        found = change(old["inlined"].get(word, []), new["inlined"].get(word, []))
        # what one tree alone calls, both may have: how it is called is of the function's own text
        if found.gone or found.come:
            inlined[word] = found
    return Difference(name, old, new, new_name, change(old["own"], own), inlined)


def flat(old: Text, new: Text, without: set[str]) -> int:
    """Tokens of statements that only one of them has, wherever in it: what has moved into a helper is not counted."""
    def lines(text: Text) -> collections.Counter[str]:
        return collections.Counter(line for part in (text["own"], *(lines for name, lines in text["inlined"].items() if name not in without))
                                   for line in part if len(line.split()) > 2)
    before, after = lines(old), lines(new)
    return sum(len(line.split()) * count for line, count in ((before - after) + (after - before)).items())
