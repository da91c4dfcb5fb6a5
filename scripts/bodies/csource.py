# SPDX-License-Identifier: GPL-2.0-only
"""Take a C file of the kernel apart into its top-level definitions.

Not a C parser: kernel code is regular enough at the top level for counting brackets. What does not fit raises
Problem, with the line. Comments and the contents of strings are blanked first, in place, so that brackets in them
do not count; the text that is handed out is the original one.
"""

import dataclasses
import re


class Problem(Exception):
    """Something in the source, the manifest or the target does not fit exactly."""


@dataclasses.dataclass
class Item:
    """One top-level definition, declaration or directive."""
    kind: str		# include, macro, function, prototype, type, object, other
    names: tuple	# what it defines
    text: str		# as in the file
    masked: str		# the same, comments and strings blanked
    conditions: tuple	# the #if, #ifdef ... lines that enclose it, as "#if" expressions
    line: int
    static: bool = False
    used: set = dataclasses.field(default_factory=set)	# identifiers in it that may be names of this file


_IDENTIFIER = re.compile(r"(?<![\w.])(?:(struct|union|enum)\s+)?([A-Za-z_]\w*)")
_MAKES_OBJECT = re.compile(r"(?:static\s+)?(?:DEFINE_\w+|LIST_HEAD|HLIST_HEAD)\s*\(\s*(\w+)")
_NOT_A_NAME = {"__attribute__", "__aligned", "__printf", "__acquires", "__releases", "__must_hold", "__section",
               "__cold", "typeof", "__typeof__", "if", "while", "for", "switch", "sizeof", "return"}


def mask(text):
    """text with comments and the contents of string and character literals blanked, of the same length."""
    def blank(match):
        found = match[0]
        if found[0] in "\"'":
            return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]
        return re.sub(r"[^\n]", " ", found)
    return re.sub(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", blank, text, flags=re.DOTALL)


def identifiers(masked):
    """{(tag?, name)} used in a piece of C; members (after '.' and '->') are not names of the file's own."""
    text = re.sub(r"(?:->|\.)\s*[A-Za-z_]\w*", " ", re.sub(r"\.\.\.", " ", masked))
    return {(bool(match[1]), match[2]) for match in _IDENTIFIER.finditer(text)}


class Source:
    """The top-level items of a C file, in order."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text()
        self.masked = mask(self.text)
        self.items = []
        self._split()

    def named(self, name, *kinds):
        """The items that define a name; several when they are alternatives of an #if."""
        return [item for item in self.items if name in item.names and (not kinds or item.kind in kinds)]

    def _fail(self, offset, what):
        raise Problem(f"{self.path}:{self.text.count(chr(10), 0, offset) + 1}: {what}")

    def _split(self):
        conditions = []		# a list of the expressions tried so far, per nested #if; the last one holds
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

    def _line_end(self, offset):
        """The end of a directive, continuation lines included."""
        while True:
            newline = self.masked.find("\n", offset)
            if newline < 0:
                return len(self.text)
            if self.masked[newline - 1] != "\\":
                return newline
            offset = newline + 1

    def _holding(self, conditions):
        holding = []
        for tried in conditions:
            holding += [f"!({expression})" for expression in tried[:-1]] + [tried[-1]]
        return tuple(holding)

    def _directive(self, offset, conditions):
        end = self._line_end(offset)
        text, masked = self.text[offset:end], self.masked[offset:end]
        match = re.match(r"#\s*(\w+)\s*((?:.|\n)*)", masked)
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
                conditions[-1].append(rest if word == "elif" else "1")
        elif word == "include":
            self._add("include", (), offset, end, conditions)
        elif word == "define":
            name = re.match(r"\w+", rest)
            self._add("macro", (name[0],), offset, end, conditions)
            self.items[-1].used = {use for use in identifiers(masked.split(name[0], 1)[1]) if use[1] != name[0]}
        elif word not in ("undef", "pragma", "error", "warning"):
            self._fail(offset, f"directive not understood: {text.splitlines()[0]}")
        return end

    def _definition(self, offset, conditions):
        """One declaration or definition that begins at offset; returns where it ends."""
        depth, at, body = 0, offset, None
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
                if char == "}" and depth == 0 and self._is_function(self.masked[offset:body]):
                    at += 1
                    break
                if char == ")" and depth == 0 and self._is_invocation(offset, at):
                    at += 1
                    break
            elif char == ";" and depth == 0:
                at += 1
                break
            at += 1
        else:
            self._fail(offset, f"no end: {self.text[offset:offset + 60].splitlines()[0]!r}")
        self._classify(offset, at, body, conditions)
        return at

    @staticmethod
    def _is_function(head):
        """Does the text before a top-level '{' end a parameter list, attributes aside?"""
        while True:
            rest = re.sub(r"\b__\w+(?:\s*\([^()]*\))?\s*$", "", head.rstrip()).rstrip()
            if rest == head or not rest.endswith(")"):
                return head.rstrip().endswith(")") and "=" not in head
            head = rest

    def _is_invocation(self, offset, close):
        """A macro invocation without ';' that stands alone: MODULE_X(...) at a line's end, before a new definition."""
        if not re.match(r"[A-Z_]+\s*\(", self.masked[offset:close]):
            return False
        rest = self.masked[close + 1:close + 3]
        return rest.startswith("\n\n")

    def _classify(self, offset, end, body, conditions):
        masked = self.masked[offset:end]
        head = masked[:body - offset] if body is not None else masked
        static = bool(re.match(r"(?:\w+\s+)*?static\b", masked))
        makes = _MAKES_OBJECT.match(masked)
        if makes:
            return self._add("object", (makes[1],), offset, end, conditions, static)
        tag = re.match(r"(typedef\s+)?(struct|union|enum)\s+(\w+)?\s*$", head)
        if body is not None and tag and not static:
            names = {tag[3]} if tag[3] else set()
            if tag[2] == "enum":
                names |= set(re.findall(r"[{,]\s*(\w+)", masked[body - offset:]))
            tail = re.search(r"}\s*(?:__\w+(?:\([^)]*\))?\s*)*(\w+)?\s*;$", masked)
            if tag[1] and tail and tail[1]:
                names.add(tail[1])
            return self._add("type", tuple(names), offset, end, conditions)
        if masked.startswith("typedef"):
            name = re.search(r"\(\s*\*\s*(\w+)\s*\)|(\w+)\s*(?:\[[^]]*\])?\s*;$", masked)
            return self._add("type", (name[1] or name[2],) if name else (), offset, end, conditions)
        if body is not None and self._is_function(head) or body is None and re.search(r"\)\s*(?:__\w+\s*)*;$", masked):
            for match in re.finditer(r"(\w+)\s*\(", head):
                if match[1] not in _NOT_A_NAME:
                    known = re.match(r"\s*[\w*]+[\s*]", head[:match.start()] + " ")
                    kind = "other" if not known else "function" if body is not None else "prototype"
                    return self._add(kind, (match[1],), offset, end, conditions, static)
        name = re.match(r"[\w\s*]*?(\w+)\s*(?:\[[^]]*\]\s*)*(?:__\w+(?:\([^)]*\))?\s*)*(?:=|;)", masked)
        if name and not re.match(r"(?:struct|union|enum)\s+\w+\s*;", masked):
            return self._add("object", (name[1],), offset, end, conditions, static)
        return self._add("other", (), offset, end, conditions)

    def _add(self, kind, names, offset, end, conditions, static=False):
        masked = self.masked[offset:end]
        self.items.append(Item(kind, names, self.text[offset:end], masked, self._holding(conditions),
                               self.text.count("\n", 0, offset) + 1, static, identifiers(masked)))


def struct_tags(item):
    """The tags of the structs that a type item defines at the top."""
    match = re.match(r"(?:typedef\s+)?struct\s+(\w+)\s*\{", item.masked)
    return [match[1]] if match else []
