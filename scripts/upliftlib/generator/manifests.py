# SPDX-License-Identifier: GPL-2.0-only
"""Read the manifest of a change; what may stand there is in docs/design.md, "The manifest".

What is missing, unknown or of another kind than it must be is a Problem: one line that names the file and the key.
"""

from __future__ import annotations

import json
import pathlib
import re
import tomllib
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, NotRequired, TypedDict, cast

from ..base import architectures
from ..base.errors import Problem



class Counts(TypedDict):
    """What a semantic patch must change: places, and lines in them all."""
    places: int
    removes: int
    adds: int


class Patch(Counts):
    """A semantic patch, and exactly what it must change."""
    file: str


class Arm(TypedDict):
    """An arm of a change: [arms.NAME]."""
    when: NotRequired[str]
    header: NotRequired[str]
    reviewed: NotRequired[list[str]]
    arch: NotRequired[list[str]]
    patch: NotRequired[Patch | list[Patch]]
    reuse_patch: NotRequired[Patch | list[Patch]]


class Reuse(TypedDict):
    """Where calls that reuse a finished iterator are looked for: [reuse]."""
    function: str
    files: list[str]


class Manifest(TypedDict):
    """The manifest of a change."""
    source: str
    functions: list[str]
    arms: dict[str, Arm]
    reuse: NotRequired[Reuse]


class Rule(TypedDict):
    """A rule that gives the verdict: [[static]]; it has one of `has` and `lacks`."""
    has: NotRequired[str]
    lacks: NotRequired[str]
    verdict: str
    says: str


class About(TypedDict):
    """The part of a backport's about.toml that the generator reads."""
    title: str
    static: list[Rule]


class _Kind(NamedTuple):
    """A kind of values."""
    what: str		# what the value must be
    fits: Callable[[object], bool]


class _Keys(NamedTuple):
    """The keys of a table, and the kinds of their values; None: checked elsewhere."""
    required: dict[str, _Kind | None]
    optional: dict[str, _Kind | None]


_Table = dict[str, Any]		# as TOML has it, not checked yet


def _text(what: str, pattern: str) -> _Kind:
    return _Kind(what, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value, re.ASCII)))


def _list(what: str, kind: _Kind, least: int = 0) -> _Kind:
    return _Kind(what, lambda value: isinstance(value, list) and len(value) >= least and all(map(kind.fits, value)))


_NAME = _text("a name", r"[A-Za-z_]\w*")
_SOME_NAMES = _list("a list of names, with one at least", _NAME, 1)
_PATH = _text("the path of a file", r"[\w.+-]+(/[\w.+-]+)*")
# '**' is left to those who understand it in all of its forms
_PATTERNS = _list("a list of paths, with one at least, in which '*' and '?' may stand",
                  _text("", r"([\w.+?-]|\*(?!\*))+(/([\w.+?-]|\*(?!\*))+)*"), 1)
# True is an int, too
_COUNT = _Kind("a number", lambda value: type(value) is int and value >= 0)
_SOME = _Kind("a number, 1 at least", lambda value: type(value) is int and value >= 1)

_MANIFEST = _Keys({"source": _PATH, "functions": _SOME_NAMES, "arms": None}, {"reuse": None})
_REUSE = _Keys({"function": _NAME, "files": _PATTERNS}, {})
_DIGESTS = _list("a list of digests, with one at least", _text("", r"[0-9a-f]{16}"), 1)
_ARCHES = _Kind("a list of architectures, with one at least",
                lambda value: isinstance(value, list) and bool(value) and all(name in architectures.ALL for name in value))
_ARM = _Keys({}, {"when": _NAME, "header": _PATH, "reviewed": _DIGESTS, "arch": _ARCHES, "patch": None, "reuse_patch": None})
_PATCH = _Keys({"file": _PATH, "places": _SOME, "removes": _COUNT, "adds": _COUNT}, {})


class _Reader:
    """What is said of one file."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def must(self, key: str, what: str, value: object) -> NoReturn:
        """Say that a key is of another kind than it must be."""
        # as the file would have it, and in one line
        raise Problem(f"{self.path}: '{key}' must be {what}, not {json.dumps(value, default=str)}")

    def table(self, key: str, value: object, keys: _Keys) -> None:
        """Look at a table and its keys; `key` is "" for the file itself."""
        required, optional = keys
        if not isinstance(value, dict):
            self.must(key, "a table", value)
        prefix = f"{key}." if key else ""
        missing = [name for name in required if name not in value]
        if missing:
            raise Problem(f"{self.path}: no '{prefix}{missing[0]}'")
        unknown = sorted(set(value) - set(required) - set(optional))
        if unknown:
            raise Problem(f"{self.path}: unknown: {', '.join(prefix + name for name in unknown)}")
        for name, kind in (required | optional).items():
            if kind and name in value and not kind.fits(value[name]):
                self.must(prefix + name, kind.what, value[name])

    def there(self, key: str, name: str) -> None:
        """A file of ours, beside the manifest."""
        if not (self.path.parent / name).is_file():
            raise Problem(f"{self.path}: '{key}' is {name}: no such file in {self.path.parent}")

    def arm(self, name: str, arm: _Table, manifest: _Table) -> None:
        """Look at one arm."""
        key = f"arms.{name}"
        if not _NAME.fits(name):
            raise Problem(f"{self.path}: '{key}' is no name")
        if name == "off":
            raise Problem(f"{self.path}: '{key}': 'off' is the kernel's own function")
        self.table(key, arm, _ARM)
        for one, other in (("header", "patch"), ("reviewed", "patch"), ("reuse_patch", "patch")):
            if one in arm and other not in arm:
                raise Problem(f"{self.path}: {key} has '{one}' and no '{other}'")
        if "reuse_patch" in arm and "reuse" not in manifest:
            raise Problem(f"{self.path}: {key} has 'reuse_patch', and there is no [reuse]")
        if "header" in arm:
            self.there(f"{key}.header", arm["header"])
        for one in ("patch", "reuse_patch"):
            if one not in arm:
                continue
            if arm[one] == []:
                self.must(f"{key}.{one}", "a semantic patch, or a list of them for several forms of the function", [])
            for form in arm[one] if isinstance(arm[one], list) else [arm[one]]:
                self.table(f"{key}.{one}", form, _PATCH)
                self.there(f"{key}.{one}.file", form["file"])


def read(path: pathlib.Path) -> Manifest:
    """The manifest of a change."""
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:		# TOML that does not parse, bytes that are no UTF-8
        raise Problem(f"{path}: {error}") from None
    reader = _Reader(path)
    reader.table("", manifest, _MANIFEST)
    if "reuse" in manifest:
        reader.table("reuse", manifest["reuse"], _REUSE)
    arms = manifest["arms"]
    if not isinstance(arms, dict) or not arms:
        reader.must("arms", "a table of arms, with one at least", arms)
    for name, arm in arms.items():
        reader.arm(name, arm, manifest)
    if "null" not in arms or "patch" in arms["null"]:
        raise Problem(f"{path}: no arm 'null' that is the kernel's own code: [arms.null], without a patch")
    return cast(Manifest, manifest)


_VERDICTS = ("applicable", "native", "unaffected", "unsupported")
_WORDS = _Kind("a text in one line",
               lambda value: isinstance(value, str) and bool(value.strip()) and value.isprintable())


def about(path: pathlib.Path) -> About:
    """What the generator takes of a backport's about.toml: its title, and the rules that give the verdict."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path}: no such file; a backport has one, see docs/backport-guide.md") from None
    except ValueError as error:
        raise Problem(f"{path}: {error}") from None
    reader = _Reader(path)
    for key in ("title", "static"):
        if key not in found:
            raise Problem(f"{path}: no '{key}'")
    if not _WORDS.fits(found["title"]):
        reader.must("title", _WORDS.what, found["title"])
    if not isinstance(found["static"], list) or not found["static"]:
        reader.must("static", "a list of rules, [[static]]", found["static"])
    for rule in found["static"]:
        if not isinstance(rule, dict) or len({"has", "lacks"} & set(rule)) != 1:
            reader.must("static", "rules with either 'has' or 'lacks'", rule)
        key = "has" if "has" in rule else "lacks"
        reader.table("static", rule, _Keys({key: _WORDS, "verdict": _WORDS, "says": _WORDS}, {}))
        if rule["verdict"] not in _VERDICTS:
            reader.must("static.verdict", "one of " + ", ".join(_VERDICTS), rule["verdict"])
        if not re.fullmatch(r"(function|struct) \w+|struct \w+\.\w+|source \S.*", rule[key]):
            reader.must(f"static.{key}", "'function NAME', 'struct NAME[.MEMBER]' or 'source WORDS OF THE FUNCTION'",
                        rule[key])
    return cast(About, found)


def slice_of(top: pathlib.Path) -> list[str]:
    """Patterns of the source files of a kernel that the manifests below modules/ use: only these have to be unpacked."""
    found = {"Makefile"}
    for path in sorted([*(top / "modules").glob("*/*.toml"), *(top / "modules/backports").glob("*/manifest.toml")]):
        if path.name == "about.toml":
            continue
        manifest = read(path)
        found |= {manifest["source"], *manifest.get("reuse", {}).get("files", ())}
        # what compiles it, and what lies beside it and above and is included
        for directory in [str(parent) for parent in pathlib.PurePosixPath(manifest["source"]).parents][:-1]:
            found |= {f"{directory}/Makefile", f"{directory}/*.h"}
    return sorted(found)
