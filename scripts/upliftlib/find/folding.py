# SPDX-License-Identifier: GPL-2.0-only
"""A function's statements, without what the target's configuration switches off.

#if is decided before. Here IS_ENABLED() becomes a number, an inline that does nothing or gives a constant is taken for
that, and an if that is never true goes, with what it would do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .config import Configuration

_TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[A-Za-z_]\w*|\d[\w.]*|->|\+\+|--|<<=?|>>=?|[<>=!+\-*/%&|^]=|&&|\|\||\.\.\.|##|\S")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_CONFIGURED = {"IS_ENABLED": (True, True), "IS_BUILTIN": (True, False), "IS_MODULE": (False, True), "IS_REACHABLE": (True, True)}
_FALSE, _TRUE = {"0", "false", "NULL", "0UL", "0L"}, {"1", "true"}

NOTHING = ""		# what a call of something that does nothing comes to
Known = Callable[[str], str | None]	# of a name that is called: its constant, NOTHING, or None


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(_COMMENT.sub(" ", text))


def closing(words: list[str], at: int) -> int:
    """Where the bracket that opens at a place closes; the end where none does."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    one, other, depth = words[at], pairs[words[at]], 0
    for here in range(at, len(words)):
        depth += (words[here] == one) - (words[here] == other)
        if not depth:
            return here
    return len(words) - 1


def _configured(words: list[str], config: Configuration) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(words):
        if words[at] in _CONFIGURED and words[at + 1:at + 2] == ["("] and words[at + 3:at + 4] == [")"]:
            built, module = _CONFIGURED[words[at]]
            name = words[at + 2]
            out.append("1" if built and config.built_in(name) or module and config.module(name) else "0")
            at += 4
        else:
            out.append(words[at])
            at += 1
    return out


def _calls(words: list[str], known: Known) -> list[str]:
    """Without calls of what does nothing here; with the constant in place of others."""
    out: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        if words[at + 1:at + 2] != ["("] or not (word[0].isalpha() or word[0] == "_") or out[-1:] in (["->"], ["."]):
            out.append(word)
            at += 1
            continue
        value, end = known(word), closing(words, at + 1)
        statement = not out or out[-1] in (";", "{", "}", ")", "else", ":")
        if value is None or value == NOTHING and not (statement and words[end + 1:end + 2] == [";"]):
            out.append(word)
            at += 1
        else:
            out += [value] if value != NOTHING else []
            at = end + 1
    return out


def _split(words: list[str], by: str) -> list[list[str]]:
    """At an operator outside of brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word in ("(", "[", "{")) - (word in (")", "]", "}"))
        if word == by and not depth:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _joined(parts: list[list[str]], by: str) -> list[str]:
    return [word for number, part in enumerate(parts) for word in ([by] if number else []) + part]


def condition(words: list[str]) -> list[str]:
    """A condition without what is constant in it: ["0"] or ["1"] if all of it is."""
    if "?" in words or "," in _split(words, ",")[0]:
        return words
    ways = []
    for way in _split(words, "||"):
        terms = [term for term in map(_term, _split(way, "&&")) if term not in (["1"],)]
        if ["0"] in terms:
            continue
        if not terms:
            return ["1"]
        ways.append(_joined(terms, "&&"))
    return _joined(ways, "||") if ways else ["0"]


def _term(words: list[str]) -> list[str]:
    if words and words[0] in ("likely", "unlikely") and words[1:2] == ["("] and closing(words, 1) == len(words) - 1:
        inner = condition(words[2:-1])
        return inner if inner in (["0"], ["1"]) else [words[0], "(", *inner, ")"]
    if words and words[0] == "!" and len(words) > 1:
        inner = _term(words[1:])
        return ["1"] if inner == ["0"] else ["0"] if inner == ["1"] else ["!", *inner]
    if words and words[0] == "(" and closing(words, 0) == len(words) - 1:
        inner = condition(words[1:-1])
        return inner if inner in (["0"], ["1"]) else ["(", *inner, ")"]
    if len(words) == 1 and words[0] in _FALSE | _TRUE:
        return ["0"] if words[0] in _FALSE else ["1"]
    return words


def _statement_end(words: list[str], at: int) -> int:
    """Behind the statement that begins at a place."""
    if at >= len(words):
        return at
    if words[at] == "{":
        return closing(words, at) + 1
    if words[at] in ("if", "while", "for", "switch") and words[at + 1:at + 2] == ["("]:
        end = _statement_end(words, closing(words, at + 1) + 1)
        if words[at] == "if" and words[end:end + 1] == ["else"]:
            end = _statement_end(words, end + 1)
        return end
    while at < len(words) and words[at] not in (";", "}"):
        at = closing(words, at) + 1 if words[at] in ("(", "{", "[") else at + 1
    return at + 1


def _ifs(words: list[str]) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(words):
        if words[at] != "if" or words[at + 1:at + 2] != ["("]:
            out.append(words[at])
            at += 1
            continue
        end = closing(words, at + 1)
        told = condition(words[at + 2:end])
        then = _statement_end(words, end + 1)
        has_else = words[then:then + 1] == ["else"]
        last = _statement_end(words, then + 1) if has_else else then
        if told == ["0"]:
            # an else-if chain stays one
            kept = _ifs(words[then + 1:last]) if has_else else []
            if out[-1:] == ["else"]:
                out = out[:-1] if not kept else out
            out += kept
        elif told == ["1"]:
            out += _ifs(words[end + 1:then])
        else:
            out += ["if", "(", *_ifs(told), ")", *_ifs(words[end + 1:then])]
            rest = _ifs(words[then + 1:last]) if has_else else []
            out += ["else", *rest] if rest and rest not in ([";"], ["{", "}"]) else []
        at = last
    return out


def _without_empty(words: list[str]) -> list[str]:
    out: list[str] = []
    for word in words:
        if word == ";" and out[-1:] and out[-1] in (";", "{", "}"):
            continue
        out.append(word)
    return out


def fold(words: list[str], config: Configuration, known: Known) -> list[str]:
    """The tokens of a function's body as far as they count."""
    return _without_empty(_ifs(_calls(_configured(words, config), known)))


def statements(words: list[str]) -> list[str]:
    """One line per statement or brace, for comparing and for counting lines."""
    lines: list[str] = []
    now: list[str] = []
    depth = 0
    for word in words:
        now.append(word)
        depth += (word in ("(", "[")) - (word in (")", "]"))
        if not depth and word in (";", "{", "}") or word == ":" and now[0] in ("case", "default"):
            lines.append(" ".join(now))
            now = []
    return lines + ([" ".join(now)] if now else [])
