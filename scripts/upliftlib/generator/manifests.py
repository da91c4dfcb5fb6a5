# SPDX-License-Identifier: GPL-2.0-only
"""Read the manifest of a change; what may stand there is in docs/design.md, "The manifest".

What is missing, unknown or of another kind than it must be is a Problem: one line that names the file and the key.
"""

import json
import re
import sys

from ..base.errors import Problem

try:
    import tomllib
except ImportError:
    sys.exit("make.py: Python 3.11 or newer is needed (tomllib)")

# Kinds of values: (what it must be, does a value fit?).


def _text(what, pattern):
    return what, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value, re.ASCII))


def _list(what, kind, least=0):
    return what, lambda value: isinstance(value, list) and len(value) >= least and all(map(kind[1], value))


_NAME = _text("a name", r"[A-Za-z_]\w*")
_NAMES = _list("a list of names", _NAME)
_SOME_NAMES = _list("a list of names, with one at least", _NAME, 1)
_MAP = ("a table, { name = \"name\" }",
        lambda value: isinstance(value, dict) and all(_NAME[1](word) for pair in value.items() for word in pair))
_PATH = _text("the path of a file", r"[\w.+-]+(/[\w.+-]+)*")
_PATHS = _list("a list of paths", _PATH)
# '**' is left to those who understand it in all of its forms
_PATTERNS = _list("a list of paths, with one at least, in which '*' and '?' may stand",
                  _text("", r"([\w.+?-]|\*(?!\*))+(/([\w.+?-]|\*(?!\*))+)*"), 1)
# True is an int, too
_COUNT = ("a number", lambda value: type(value) is int and value >= 0)
_SOME = ("a number, 1 at least", lambda value: type(value) is int and value >= 1)

# Tables: (the keys that it must have, those that it may have). "arms" is looked at by itself.
_MANIFEST = ({"source": _PATH, "functions": _SOME_NAMES, "declares": _PATHS, "arms": None},
             {"types": _NAMES, "bind": _NAMES, "bind_objects": _NAMES, "bind_via": _MAP, "bind_if": _MAP,
              "copy": _NAMES, "trace": None, "reuse": None})
_TRACE = ({"header": _PATH, "points": _SOME_NAMES}, {})
_REUSE = ({"function": _NAME, "files": _PATTERNS}, {})
_ARM = ({}, {"when": _NAME, "header": _PATH, "replace": _MAP, "needs": _NAMES, "patch": None, "reuse_patch": None})
# A semantic patch, and exactly what it must change.
_PATCH = ({"file": _PATH, "places": _SOME, "removes": _COUNT, "adds": _COUNT}, {})


class _Reader:
    """What is said of one file."""

    def __init__(self, path):
        self.path = path

    def must(self, key, what, value):
        """Say that a key is of another kind than it must be."""
        # as the file would have it, and in one line
        raise Problem(f"{self.path}: '{key}' must be {what}, not {json.dumps(value, default=str)}")

    def table(self, key, value, kinds):
        """Look at a table and its keys; `key` is "" for the file itself."""
        required, optional = kinds
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
            if kind and name in value and not kind[1](value[name]):
                self.must(prefix + name, kind[0], value[name])

    def there(self, key, name):
        """A file of ours, beside the manifest."""
        if not (self.path.parent / name).is_file():
            raise Problem(f"{self.path}: '{key}' is {name}: no such file in {self.path.parent}")

    def arm(self, name, arm, manifest):
        """Look at one arm."""
        key = f"arms.{name}"
        if not _NAME[1](name):
            raise Problem(f"{self.path}: '{key}' is no name")
        self.table(key, arm, _ARM)
        for one, other in (("replace", "header"), ("reuse_patch", "patch")):
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


def read(path):
    """The manifest of a change."""
    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:		# TOML that does not parse, bytes that are no UTF-8
        raise Problem(f"{path}: {error}") from None
    reader = _Reader(path)
    reader.table("", manifest, _MANIFEST)
    for key, kinds in (("trace", _TRACE), ("reuse", _REUSE)):
        if key in manifest:
            reader.table(key, manifest[key], kinds)
    arms = manifest["arms"]
    if not isinstance(arms, dict) or not arms:
        reader.must("arms", "a table of arms, with one at least", arms)
    for name, arm in arms.items():
        reader.arm(name, arm, manifest)
    return manifest


_VERDICTS = ("applicable", "native", "unaffected", "unsupported")
_WORDS = ("a text in one line", lambda value: isinstance(value, str) and bool(value.strip()) and value.isprintable())


def about(path):
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
    if not _WORDS[1](found["title"]):
        reader.must("title", _WORDS[0], found["title"])
    if not isinstance(found["static"], list) or not found["static"]:
        reader.must("static", "a list of rules, [[static]]", found["static"])
    for rule in found["static"]:
        if not isinstance(rule, dict) or len({"has", "lacks"} & set(rule)) != 1:
            reader.must("static", "rules with either 'has' or 'lacks'", rule)
        key = "has" if "has" in rule else "lacks"
        reader.table("static", rule, ({key: _WORDS, "verdict": _WORDS, "says": _WORDS}, {}))
        if rule["verdict"] not in _VERDICTS:
            reader.must("static.verdict", "one of " + ", ".join(_VERDICTS), rule["verdict"])
        if not re.fullmatch(r"(function|struct) \w+|struct \w+\.\w+|source \S.*", rule[key]):
            reader.must(f"static.{key}", "'function NAME', 'struct NAME[.MEMBER]' or 'source WORDS OF THE FUNCTION'",
                        rule[key])
    return found


def slice_of(top):
    """Patterns of the files of a kernel's source that the manifests below modules/ take, for who unpacks only these."""
    found = {"Makefile"}
    for path in sorted([*(top / "modules").glob("*/*.toml"), *(top / "modules/backports").glob("*/manifest.toml")]):
        if path.name == "about.toml":
            continue
        manifest = read(path)
        found |= {manifest["source"], *manifest.get("reuse", {}).get("files", ())}
        # what lies beside it and is included
        found.add(f"{manifest['source'].rpartition('/')[0]}/*.h")
    return sorted(found)

