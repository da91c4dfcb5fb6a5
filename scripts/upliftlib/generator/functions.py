# SPDX-License-Identifier: GPL-2.0-only
"""The functions of a C file in the kernel's style: their names, their texts, and where they begin.

A function begins in the first column with a letter, and its braces stand alone there. What is not written so is not found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

_FUNCTION = re.compile(r"^(?P<head>[A-Za-z_][^;{}#]*?\([^;{}#]*\)[^;{}#()]*)\n\{\n(?P<body>.*?)^\}", re.MULTILINE | re.DOTALL)
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
# May stand in front of a function's name with brackets of its own.
_ATTRIBUTES = {"__printf", "__scanf", "__attribute__", "__aligned", "__section", "__acquires", "__releases", "__no_sanitize"}
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\w+|\S")


class Function(NamedTuple):
    """A function's text, and where it begins in the file's."""
    text: str
    start: int

    @property
    def body(self) -> str:
        """What stands between its braces."""
        return self.text.partition("\n{\n")[2]


def functions(text: str) -> dict[str, Function]:
    """The functions of a file by name. Of two forms, below an #if, the last is found."""
    found = {}
    for match in _FUNCTION.finditer(text):
        name = next((word for word in _CALLED.findall(_COMMENT.sub("", match["head"])) if word not in _ATTRIBUTES), None)
        if name:
            found[name] = Function(match[0], match.start())
    return found


def changed(before: str, after: str) -> list[str]:
    """The functions of `before` that `after` has in another form, or not at all, in their order."""
    new = functions(after)
    return [name for name, function in functions(before).items() if name not in new or new[name].text != function.text]


def reaching(text: str, names: Iterable[str]) -> set[str]:
    """The functions that mention one of some names, also by way of others of the file; and the names themselves."""
    words = {name: set(re.findall(r"\w+", function.body)) for name, function in functions(text).items()}
    found, todo = set(names), set(names)
    while todo:
        todo = {name for name, used in words.items() if used & todo} - found
        found |= todo
    return found


def apart(text: str, names: Iterable[str]) -> str:
    """The text with functions kept from being inlined: those that stand by themselves in a kernel are to do so anew."""
    for name in names:
        function = functions(text)[name]
        head = function.text.partition("\n{\n")[0]
        if not re.search(r"\b(?:no|__always_)?inline\b", head):
            start = function.start + len("static ") * head.startswith("static ")
            text = f"{text[:start]}noinline {text[start:]}"
    return text


def digest(text: str) -> str:
    """Of C code without comments and white space: equal for what the compiler reads alike."""
    return hashlib.sha256(" ".join(_TOKEN.findall(_COMMENT.sub(" ", text))).encode()).hexdigest()[:16]


def first_arguments(name: str, body: str) -> list[str]:
    """The first argument of each call of a function."""
    code = _COMMENT.sub(" ", body)
    return [code[match.end():].partition(")")[0].partition(",")[0].strip()
            for match in re.finditer(rf"(?<![\w.>])\b{re.escape(name)}\s*\(", code)]
