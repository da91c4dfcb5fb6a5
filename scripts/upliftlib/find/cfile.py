# SPDX-License-Identifier: GPL-2.0-only
"""The functions and macros of C text in which #if has been decided and macros are not expanded (gcc -E -fdirectives-only)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

STRIP = re.compile(r"//(?:\\\n|[^\n])*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:\\\n|/\*.*?\*/|[^\n])*",
                    re.DOTALL | re.MULTILINE)
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(\([^)\n]*\))?[ \t]*((?:\\\n|[^\n])*)", re.MULTILINE)
_MARK = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|[{}();=]")
_SYSCALL = re.compile(r"^(?:COMPAT_)?SYSCALL_DEFINE\d$")
# What has brackets of its own behind a function's parameters.
_ATTRIBUTE = re.compile(r"^__(?:attribute__|must_hold\w*|acquires\w*|releases\w*|cond_\w+|section|aligned|printf|scanf|no_\w+|"
                        r"guarded_by|context_\w+|malloc|alloc_size\w*|realloc_size|assume_aligned|nonnull\w*|diagnose_as|asm|asm__)$|^asm$")


class Function(NamedTuple):
    """before: what stands in front of its name (static inline ...); body: parameters and braces, without comments"""
    name: str
    before: str
    body: str


class Macro(NamedTuple):
    """parameters: None for one without brackets"""
    parameters: tuple[str, ...] | None
    body: str


@dataclasses.dataclass
class Parsed:
    functions: dict[str, Function]
    macros: dict[str, Macro]


def _blank(match: re.Match[str]) -> str:
    text = match[0]
    return text if text[0] in "\"'" else " " + "\n" * text.count("\n")


def _opened(head: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of the bracketed groups of a head, the last first."""
    depth, end = 0, 0
    for at in range(len(head) - 1, -1, -1):
        if head[at] == ")":
            depth += 1
            if depth == 1:
                end = at + 1
        elif head[at] == "(":
            depth -= 1
            if depth == 0:
                yield at, end


def _named(head: str) -> tuple[str, str, str] | None:
    """(name, what stands before, parameters) of the head of a definition; None if it is no function's."""
    for begin, end in _opened(head):
        word = re.search(r"(\w+)\s*$", head[:begin])
        if not word:
            return None
        if _ATTRIBUTE.match(word[1]):
            continue
        before, name, parameters = head[:word.start()], word[1], head[begin:end]
        if _SYSCALL.match(name):
            first, _, rest = parameters[1:].partition(",")
            name, parameters = f"__x64_sys_{first.rstrip(')').strip()}", f"({rest}"
        # macros without a semicolon may stand in front: DEFINE_FREE(...)
        return name, before[before.rfind(")") + 1:].strip(), parameters
    return None


def _braced(text: str) -> Iterator[tuple[str, str]]:
    """(head, body with braces) of what has braces at the top."""
    depth = brackets = 0
    start = begin = 0
    values = False		# behind a =, as an initialiser is
    for mark in _MARK.finditer(text):
        what, at = mark[0], mark.start()
        if what[0] in "\"'":
            continue
        if what == "{":
            if not depth:
                begin = at
            depth += 1
        elif what == "}":
            depth = max(depth - 1, 0)
            if not depth and not brackets and not values:
                head = text[start:begin]
                yield head, text[begin:at + 1]
                if head.rstrip().endswith(")") or "(" in head:
                    start = at + 1
        elif depth:
            continue
        elif what == "(":
            brackets += 1
        elif what == ")":
            brackets = max(brackets - 1, 0)
        elif what == "=":
            values = values or not brackets
        elif not brackets:
            start, values = at + 1, False


def functions(text: str) -> dict[str, Function]:
    """By name; of two forms the last."""
    found = {}
    for head, body in _braced(STRIP.sub(_blank, text)):
        named = _named(head)
        if named and not re.match(r"\s*(?:typedef|struct|union|enum)\s+\w*\s*$", head):
            name, before, parameters = named
            found[name] = Function(name, before, f"{parameters} {body}")
    return found


def macros(text: str) -> dict[str, Macro]:
    """By name, as they are defined last."""
    found = {}
    for match in _DEFINE.finditer(text):
        parameters = tuple(word.strip() for word in match[2][1:-1].split(",")) if match[2] else None
        found[match[1]] = Macro(parameters, match[3].replace("\\\n", " "))
    return found


def parse(text: str) -> Parsed:
    return Parsed(functions(text), macros(text))
