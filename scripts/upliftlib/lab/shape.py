# SPDX-License-Identifier: GPL-2.0-only
"""What holds the tree in shape, as a check: each rule gives its findings, one line each.

    cycle      no module of the package imports itself, by way of others
    upward     a part of the package imports only itself and parts that stand above it in upliftlib/__init__.py
    path       only entry points and tests edit sys.path
    change     no file names a change but its own, unit tests included: what is known of a change is read from its directory
    target     no file names a target kernel but the table
"""

import ast
import pathlib
import re
import tomllib
from collections.abc import Callable, Iterator

from ..base import paths, targets
from . import sourcetree

TESTS = pathlib.PurePath("scripts/tests")

# Files that may name a change, or a pattern of lines in them: what for. A pattern that matches no line is out of date.
CHANGE_ALLOWED: tuple[tuple[str, str, str], ...] = ()
# The same for target kernels.
TARGET_ALLOWED: tuple[tuple[str, str, str], ...] = (
    ("scripts/tests/*.py", ".*", "examples"),
    ("scripts/upliftlib/scheduler/command.py", "no sched_ext", "which of Debian's kernels have sched_ext"),
)


def order(tree: sourcetree.Tree) -> list[str]:
    """The package's parts, from the one that imports none, as its docstring lists them."""
    text = ast.get_docstring(tree.parsed(pathlib.Path(sourcetree.PACKAGE / "__init__.py")), clean=False) or ""
    return re.findall(r"^    (\w+)\t", text, re.MULTILINE)


def _part(path: pathlib.PurePath) -> str:
    """The part of the package that a module is of; its own __init__.py is of none."""
    inside = path.relative_to(sourcetree.PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else ""


def cycle(tree: sourcetree.Tree) -> Iterator[str]:
    """No module of the package imports itself, by way of others."""
    done: set[pathlib.Path] = set()

    def visit(path: pathlib.Path, way: list[pathlib.Path]) -> Iterator[str]:
        if path in way:
            circle = [*way[way.index(path):], path]
            yield "in a circle: " + " -> ".join(str(one.relative_to(sourcetree.PACKAGE)) for one in circle)
            return
        if path in done:
            return
        for other in sorted(tree.imports(path)):
            yield from visit(other, [*way, path])
        done.add(path)

    for path in tree.package():
        yield from visit(path, [])


def upward(tree: sourcetree.Tree) -> Iterator[str]:
    """A part imports only itself and those above it."""
    parts = order(tree)
    if not parts:
        yield f"{sourcetree.PACKAGE}/__init__.py: its docstring lists no parts"
    for path in tree.package():
        part = _part(path)
        if part and part not in parts:
            yield f"{path}: part '{part}' is not listed in {sourcetree.PACKAGE}/__init__.py"
            continue
        for other in sorted(tree.imports(path)):
            if sourcetree.PACKAGE not in other.parents:
                yield f"{path}: imports {other}, which is outside of the package"
                continue
            theirs = _part(other)
            if part and theirs in parts and parts.index(theirs) > parts.index(part):
                yield f"{path}: imports {theirs}/{other.name}, and {theirs} stands below {part}"


def path(tree: sourcetree.Tree) -> Iterator[str]:
    """Only entry points and tests edit sys.path."""
    for file in tree.package():
        for node in ast.walk(tree.parsed(file)):
            if isinstance(node, ast.Attribute) and node.attr == "path" and isinstance(node.value, ast.Name) \
                    and node.value.id == "sys":
                yield f"{file}:{node.lineno}: sys.path"


def change_names(top: pathlib.Path) -> list[str]:
    """The changes that there are."""
    return sorted(file.parent.name for file in (top / "modules").rglob("about.toml"))


def _own(top: pathlib.Path) -> list[pathlib.PurePath]:
    """Files and directories outside of modules/ that belong to one change alone, as its about.toml says."""
    return [pathlib.PurePath(place) for file in sorted((top / "modules").rglob("about.toml"))
            for place in tomllib.loads(file.read_text()).get("own", ())]


def _lines(tree: sourcetree.Tree, listing: list[pathlib.Path], words: str,
           allowed: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    """Lines of files that have a word which none of the allowed places explains; and such places that are not there."""
    used = set()
    for file in listing:
        text = (tree.top / file).read_text(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            match = re.search(words, line)
            if not match:
                continue
            reasons = [row for row in allowed if file.match(row[0]) and re.search(row[1], line)]
            used.update(reasons)
            if not reasons:
                yield f"{file}:{number}: {match[0]}"
    for row in allowed:
        if row not in used:
            yield f"allowed, and not there: {row[0]}: {row[1]} ({row[2]})"


def _ours(listing: list[pathlib.Path]) -> list[pathlib.Path]:
    """Scripts and makefiles."""
    return [file for file in listing if file.parts[0] == "scripts" or file.name in ("Makefile", "Kbuild")]


def _tested(file: pathlib.Path, names: list[str]) -> str | None:
    """The change that a unit test is of alone: its file is <change>_<what>_test.py, or data for one, <change>_<what>.py."""
    return next((name for name in names if file.parent == TESTS and file.name.startswith(f"{name}_")), None)


def change(tree: sourcetree.Tree, listing: list[pathlib.Path] | None = None) -> Iterator[str]:
    """No script and no makefile names a change, except in that change's own directory, and its own unit tests."""
    names = change_names(tree.top)
    if not names:
        yield "no modules/*/about.toml, so nothing can be looked for"
        return
    listing = _ours(sourcetree.files(tree.top) if listing is None else listing)
    own = _own(tree.top)
    outside = [file for file in listing if not set(file.parts[:-1]) & set(names)
               and not any(file == place or place in file.parents for place in own)]
    general = [file for file in outside if not _tested(file, names)]
    yield from _lines(tree, general, _naming(names), CHANGE_ALLOWED)
    for file in outside:
        if own_name := _tested(file, names):
            yield from _lines(tree, [file], _naming([name for name in names if name != own_name]), ())


def _naming(names: list[str]) -> str:
    """A pattern of a line that names one of these changes, or its module."""
    return rf"\b(?:uplift_)?(?:{'|'.join(names)})\b" if names else "(?!)"


def _code_strings(tree: sourcetree.Tree, file: pathlib.Path) -> Iterator[tuple[int, str]]:
    """(line, text) of string constants that are not documentation."""
    docs = {node.body[0].value for node in ast.walk(tree.parsed(file))
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body
            and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree.parsed(file)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.lineno, node.value


def target(tree: sourcetree.Tree, names: list[str] | None = None) -> Iterator[str]:
    """No code names a target but the table. Comments may: why something is as it is has to do with a kernel."""
    names = [*targets.TABLE, *targets.VARIANTS] if names is None else names
    words = re.compile(rf"(?<![\w.])(?:{'|'.join(re.escape(name) for name in names)})(?![\w-]|\.\d)")
    for file in tree.python:
        # most name none, and a look at each of their strings takes long
        for number, text in _code_strings(tree, file) if words.search((tree.top / file).read_text()) else ():
            match = words.search(text)
            if match and not any(file.match(row[0]) and re.search(row[1], text) for row in TARGET_ALLOWED):
                yield f"{file}:{number}: {match[0]}"


RULES: dict[str, Callable[[sourcetree.Tree], Iterator[str]]] = {
    "cycle": cycle, "upward": upward, "path": path, "change": change, "target": target}


def findings(top: pathlib.Path = paths.TOP) -> list[str]:
    """All findings, each behind its rule's name."""
    tree = sourcetree.Tree(top)
    return [f"{name}: {line}" for name, rule in RULES.items() for line in rule(tree)]
