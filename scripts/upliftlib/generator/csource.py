# SPDX-License-Identifier: GPL-2.0-only
"""Take a C file of the kernel apart into its top-level definitions.

Not a C parser: kernel code is regular enough at the top level for counting brackets. What does not fit raises
Problem, with the line. Comments and the contents of strings are blanked first, in place, so that brackets in them
do not count; the text that is handed out is the original one.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import NoReturn

from ..base.errors import Problem


Name = tuple[bool, str]	# is it a tag, and the name
Names = tuple[str, ...]
_Conditions = list[list[str]]	# per nested #if the expressions tried so far; the last one holds


@dataclasses.dataclass
class Item:
    """One top-level definition, declaration or directive."""
    kind: str		# include, macro, function, prototype, type, object, other
    names: Names	# ordinary names that it defines: functions, objects, typedefs, enumerators, macros
    text: str		# as in the file
    masked: str		# the same, comments and strings blanked
    conditions: Names = ()	# what has to hold for it, as "#if" expressions, outermost first
    line: int = 0
    static: bool = False
    tags: Names = ()	# struct, union and enum tags: names of their own, apart from the others
    used: set[Name] = dataclasses.field(default_factory=set)	# what it uses, perhaps of this file

    def defines(self, tag: bool, name: str) -> bool:
        """Is it where a tag, or an ordinary name, is defined or declared?"""
        return name in (self.tags if tag else self.names)

    def head(self) -> str:
        """What stands before the body of a function or type, masked."""
        return self.masked.partition("{")[0]


_IDENTIFIER = re.compile(r"(?<![\w.])(?:(struct|union|enum)\s+)?([A-Za-z_]\w*)")
_PER_CPU = re.compile(r"(?:static\s+)?DEFINE_PER_CPU\w*\s*\([^,]+,\s*(\w+)")
_MAKES_OBJECT = re.compile(r"(?:static\s+)?(?:DEFINE_\w+|LIST_HEAD|HLIST_HEAD)\s*\(\s*(\w+)")
# Attributes that stand behind the name of an object.
_ATTRIBUTES = re.compile(r"\b_{2,4}(?:attribute__|read_mostly|ro_after_init|initdata|initconst|exitdata|refdata|used|"
                         r"maybe_unused|aligned|section|cacheline_\w+)\b(?:\s*\(\))?")
# What looks like a call in the head of a function without being its name.
_NOT_A_NAME = {"__attribute__", "__aligned", "__printf", "__scanf", "__acquires", "__releases", "__must_hold",
               "__section", "__no_sanitize", "__alloc_size", "typeof", "__typeof__"}


def mask(text: str) -> str:
    """text with comments and the contents of string and character literals blanked, of the same length.

    Line ends in them are blanked as well: a directive goes on behind a comment of several lines.
    """
    def blank(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[-1]
        return " " * len(found)
    return re.sub(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", blank, text, flags=re.DOTALL)


def identifiers(masked: str) -> set[Name]:
    """{(tag?, name)} used in a piece of C; members (after '.' and '->') are not names of the file's own."""
    text = re.sub(r"(?:->|\.)\s*[A-Za-z_]\w*", " ", re.sub(r"\.\.\.", " ", masked))
    return {(bool(match[1]), match[2]) for match in _IDENTIFIER.finditer(text)}


def calls(name: str, masked: str) -> list[re.Match[str]]:
    """Where a function is called, declared or defined, as matches of its name; a member of that name is another."""
    return list(re.finditer(rf"(?<![\w.])(?<!->){re.escape(name)}(?=\s*\()", masked))


def struct_tags(item: Item) -> list[str]:
    """The tags of the structs that an item defines at the top."""
    match = re.match(r"(?:typedef\s+)?struct\s+(\w+)\s*\{", item.masked)
    return [match[1]] if match else []


def _emptied(masked: str, brackets: str) -> str:
    """A piece of C without what stands in brackets of one kind."""
    opening, closing = (re.escape(bracket) for bracket in brackets)
    while True:
        # marked, so that an emptied pair is not found again
        text = re.sub(rf"{opening}[^{opening}{closing}]*{closing}", "\0", masked)
        if text == masked:
            return text.replace("\0", brackets)
        masked = text


class Source:
    """The top-level items of a C file, in order."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.text = path.read_text()
        self.masked = mask(self.text)
        self.items: list[Item] = []
        self._split()

    def named(self, name: str, *kinds: str) -> list[Item]:
        """The items that define an ordinary name; several when they are alternatives of an #if."""
        return [item for item in self.items if name in item.names and (not kinds or item.kind in kinds)]

    def _fail(self, offset: int, what: str) -> NoReturn:
        raise Problem(f"{self.path}:{self.text.count(chr(10), 0, offset) + 1}: {what}")

    def _split(self) -> None:
        conditions: _Conditions = []
        offset, end = 0, len(self.text)
        while offset < end:
            if self.masked[offset].isspace():
                offset += 1
                continue
            if self.masked[offset] == "#":
                offset = self._directive(offset, conditions)
            else:
                offset = self._definition(offset, conditions)
        if conditions:
            self._fail(end, "an #if without its #endif")

    def _line_end(self, offset: int) -> int:
        """The end of a directive, continuation lines included."""
        while True:
            newline = self.masked.find("\n", offset)
            if newline < 0:
                return len(self.text)
            if self.masked[newline - 1] != "\\":
                return newline
            offset = newline + 1

    @staticmethod
    def _holding(conditions: _Conditions) -> Names:
        holding: list[str] = []
        for tried in conditions:
            holding += [f"!({expression})" for expression in tried[:-1]]
            holding += [tried[-1]] if tried[-1] else []		# "" is that of an #else
        return tuple(holding)

    def _directive(self, offset: int, conditions: _Conditions) -> int:
        """A directive at offset: an item, or a change of the conditions; returns where it ends."""
        end = self._line_end(offset)
        masked = self.masked[offset:end]
        match = re.match(r"#\s*(\w+)\s*(.*)", masked, re.DOTALL)
        word, rest = (match[1], " ".join(match[2].replace("\\\n", " ").split())) if match else ("", "")
        if word == "if":
            conditions.append([rest])
        elif word == "ifdef":
            conditions.append([f"defined({rest})"])
        elif word == "ifndef":
            conditions.append([f"!defined({rest})"])
        elif word in ("elif", "else", "endif"):
            if not conditions:
                self._fail(offset, f"#{word} without an #if")
            if word == "endif":
                conditions.pop()
            else:
                conditions[-1].append(rest if word == "elif" else "")
        elif word == "include":
            self._add("include", offset, end, conditions)
        elif word == "define":
            name = (re.match(r"\w+", rest) or self._fail(offset, "a #define without a name"))[0]
            used = identifiers(masked.split(name, 1)[1]) - {(False, name)}
            self._add("macro", offset, end, conditions, names=(name,), used=used)
        elif word not in ("undef", "pragma", "error", "warning"):
            self._fail(offset, f"directive not understood: {self.text[offset:end].splitlines()[0]}")
        return end

    def _definition(self, offset: int, conditions: _Conditions) -> int:
        """One declaration or definition that begins at offset; returns where it ends."""
        depth, at = 0, offset
        body: int | None = None
        while at < len(self.masked):
            char = self.masked[at]
            if char == "#" and self.masked[self.masked.rfind("\n", 0, at) + 1:at].strip() == "":
                at = self._line_end(at)	# an #if inside of a definition stays as it is
                continue
            if char in "({[":
                if char == "{" and depth == 0:
                    body = at
                depth += 1
            elif char in ")}]":
                depth -= 1
                if depth < 0:
                    self._fail(at, f"unmatched '{char}'")
                if depth == 0 and (char == "}" and self._is_function(self.masked[offset:body])
                                   or char == ")" and self._stands_alone(offset, at)):
                    at += 1
                    break
            elif char == ";" and depth == 0:
                at += 1
                break
            at += 1
        else:
            self._fail(offset, f"no end: {self.text[offset:offset + 60].splitlines()[0]!r}")
        self._classify(offset, at, conditions)
        return at

    @staticmethod
    def _is_function(head: str) -> bool:
        """Does the text before a top-level '{' end in a parameter list, attributes aside?"""
        while True:
            rest = re.sub(r"\b__\w+(?:\s*\([^()]*\))?\s*$", "", head.rstrip()).rstrip()
            if rest == head or not rest.endswith(")"):
                return head.rstrip().endswith(")") and "=" not in head
            head = rest

    def _stands_alone(self, offset: int, close: int) -> bool:
        """Is this an invocation of a macro, NAME(...), that is neither a function's head nor ended by a ';'?"""
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*\s*", self.masked[offset:close].partition("(")[0]):
            return False
        return self.masked[close + 1:].lstrip()[:1] not in (";", "{", "=", "[", ",")

    def _classify(self, offset: int, end: int, conditions: _Conditions) -> None:
        masked = self.masked[offset:end]
        static = bool(re.match(r"(?:\w+\s+)*?static\b", masked))

        def add(kind: str, names: Names = (), tags: Names = ()) -> None:
            self._add(kind, offset, end, conditions, names=names, tags=tags, static=static)

        made = _PER_CPU.match(masked) or _MAKES_OBJECT.match(masked)
        if made:
            return add("object", (made[1],))
        flat = _emptied(masked, "{}")
        braced = flat.rstrip(";").rstrip().endswith("{}")
        declared = flat.partition("=")[0]		# without what it is initialized with

        tag = re.match(r"(typedef\s+)?(struct|union|enum)\s+(\w+)?\s*(\{\})?\s*([^;=]*)", flat)
        if tag and tag[4] and not static:
            enumerators = re.findall(r"[{,]\s*(\w+)", masked) if tag[2] == "enum" else []
            behind = [word for word in re.findall(r"\w+", _emptied(tag[5], "()")) if not word.startswith("__")]
            # a type that is defined together with an object would make a second such object
            return add("object" if behind and not tag[1] else "type", (*enumerators, *behind[-1:]), (tag[3] or "",))
        if tag and tag[3] and not tag[5]:
            return add("type", (), (tag[3],))		# declared only
        if masked.startswith("typedef"):
            name = re.search(r"\(\s*\*\s*(\w+)\s*\)|(\w+)\s*(?:\[[^]]*\]|\([^()]*\))?\s*;$", flat)
            return add("type", (name[1] or name[2],) if name else ())

        pointer = re.match(r"[\w\s*]+\(\s*\*\s*(?:const\s+)?(\w+)\s*(?:\[[^]]*\])?\s*\)\s*\(", declared)
        if pointer:
            return add("object", (pointer[1],))
        if declared == flat and (braced and self._is_function(flat.rpartition("{}")[0])
                                 or re.search(r"\)\s*(?:__\w+\s*)*;$", flat)):
            for match in re.finditer(r"(\w+)\s*\(", flat):
                if match[1] in _NOT_A_NAME:
                    continue
                if not flat[:match.start()].strip():
                    return add("other")		# SYSCALL_DEFINE1(...) {...}, fs_initcall(...);
                return add("function" if braced else "prototype", (match[1],))
        return add(*self._classify_object(flat))

    @staticmethod
    def _classify_object(flat: str) -> tuple[str, Names]:
        """The kind and the names of what is no type and no function: objects, unless no type stands before them."""
        names: list[str] = []
        for part in _emptied(flat, "()").rstrip(";").split(","):
            part = re.sub(r"\[[^]]*\]", "", _ATTRIBUTES.sub("", part.partition("=")[0]))
            words = re.findall(r"\w+", part)
            if not words or not names and len(words) < 2:
                return "other", ()
            names.append(words[-1])
        return "object", tuple(names)

    def _add(self, kind: str, offset: int, end: int, conditions: _Conditions, *, names: Names = (), tags: Names = (),
             static: bool = False, used: set[Name] | None = None) -> None:
        masked = self.masked[offset:end]
        self.items.append(Item(kind, names, self.text[offset:end], masked, self._holding(conditions),
                               self.text.count("\n", 0, offset) + 1, static, tuple(tag for tag in tags if tag),
                               identifiers(masked) if used is None else used))
