# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own Python: which file imports which, for scripts/check and for `make quick`."""

import ast
import functools
import pathlib
import re
import shutil
import subprocess

from ..base import paths

PACKAGE = pathlib.PurePath("scripts/upliftlib")
_MADE = re.compile(r"\.(o|ko|mod|mod\.c|cmd|pyc)$|Module\.symvers|modules\.order")


def files(top: pathlib.Path = paths.TOP) -> list[pathlib.Path]:
    """Committed files and those about to be, relative to the top."""
    found = None
    if (top / ".git").exists() and shutil.which("git"):
        git = subprocess.run(["git", "-C", top, "-c", f"safe.directory={top}", "ls-files", "-z", "--cached", "--others",
                              "--exclude-standard"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if git.returncode == 0:
            found = [pathlib.Path(name) for name in git.stdout.decode().split("\0") if name]
    if found is None:
        # a machine without git, or a tree from a tarball
        found = [path for path in (path.relative_to(top) for path in top.rglob("*"))
                 if path.parts[0] not in ("build", ".git") and "gen" not in path.parts and not _MADE.search(path.name)]
    return sorted(path for path in set(found) if (top / path).is_file())


def is_python(path: pathlib.Path) -> bool:
    """By its name or its first line."""
    if path.suffix == ".py":
        return True
    if path.suffix:
        return False
    with open(path, "rb") as file:
        return re.match(rb"#!.*python3", file.readline(200)) is not None


class Tree:
    """The Python files below scripts/, parsed. All paths are relative to the top."""

    def __init__(self, top: pathlib.Path = paths.TOP, listing: list[pathlib.Path] | None = None) -> None:
        self.top = top
        listing = files(top) if listing is None else listing
        self.python = [path for path in listing if path.parts[0] == "scripts" and is_python(top / path)]
        self._known = set(self.python)

    def package(self) -> list[pathlib.Path]:
        """The package's modules."""
        return [path for path in self.python if PACKAGE in path.parents]

    @functools.cache
    def parsed(self, path: pathlib.Path) -> ast.Module:
        """A file's syntax tree."""
        return ast.parse((self.top / path).read_text(), str(path))

    def _module(self, base: pathlib.PurePath, name: str) -> pathlib.Path | None:
        """The file of a module, if it is one of the tree's."""
        for path in (base / f"{name}.py", base / name / "__init__.py"):
            if path in self._known:
                return pathlib.Path(path)
        return None

    def _from(self, path: pathlib.Path, node: ast.ImportFrom) -> list[pathlib.Path]:
        base: pathlib.PurePath = pathlib.PurePath("scripts")
        if node.level:
            base = path.parents[node.level - 1]
        words = (node.module or "").split(".") if node.module else []
        base = base.joinpath(*words)
        found = [self._module(base, alias.name) for alias in node.names]
        # `from ..base.errors import Problem` is of the module, not of a part of it
        return [module or self._module(base.parent, base.name) for module in found]	# type: ignore[misc]

    @functools.cache
    def imports(self, path: pathlib.Path) -> frozenset[pathlib.Path]:
        """What of the tree's own a file imports, wherever in it."""
        found: list[pathlib.Path | None] = []
        for node in ast.walk(self.parsed(path)):
            if isinstance(node, ast.ImportFrom):
                found += self._from(path, node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    name = pathlib.PurePath("scripts", *alias.name.split("."))
                    found.append(self._module(name.parent, name.name))
        return frozenset(module for module in found if module and module != path)

    @functools.cache
    def strings(self, path: pathlib.Path) -> frozenset[str]:
        """The string constants of a file, docstrings among them."""
        return frozenset(node.value for node in ast.walk(self.parsed(path))
                         if isinstance(node, ast.Constant) and isinstance(node.value, str))

    def reached(self, path: pathlib.Path) -> set[pathlib.Path]:
        """A file, and all that it imports directly or not."""
        found, todo = set(), [path]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self.imports(one)
        return found
