# SPDX-License-Identifier: GPL-2.0-only
"""One file of a source tree, preprocessed with a configuration, and its functions with what they inline.

The compiler decides each #if; macros stay as they are written, so that a function differs where its own text does, and not
where a macro of all files is built otherwise.
"""

from __future__ import annotations

import collections
import hashlib
import os
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypedDict

from ..base import errors, paths
from ..generator.compiling import SourceTree
from . import cfile, folding
from .config import Configuration

Run = Callable[[list[str]], tuple[int, str]]
DEPTH = 4		# of functions that are inlined into each other
MOST_STUBS = 40		# headers that a build would make, of one file

_MARKER = re.compile(r'^# \d+ "([^"\n]*)"[^\n]*\n', re.MULTILINE)
_MISSING = re.compile(r"fatal error: ([^:\s]+): No such file")
_INCLUDED = re.compile(r"-I ?\$\((?:src|srctree)\)/?(\S*)")
_CALLED = re.compile(r"^[A-Za-z_]\w*$")
_DEFINES = ("-D__KERNEL__", "-DCC_USING_FENTRY", "-DCC_USING_NOP_MCOUNT", '-DKBUILD_MODNAME="x"', '-DKBUILD_BASENAME="x"',
            "-DKBUILD_MODFILE=\"x\"", "-std=gnu11", "-m64", "-O2", "-fno-pie", "-mcmodel=kernel", "-mno-sse")
# What Makefile of the kernel takes for errors, and what its code counts upon.
_AS_KBUILD = ("-fno-strict-aliasing", "-fshort-wchar", "-fms-extensions", "-Wno-all", "-Werror=implicit-function-declaration",
              "-Werror=implicit-int", "-Werror=return-type", "-Werror=incompatible-pointer-types", "-Werror=int-conversion")
# Macros that come to nothing, or to what only the compiler checks.
_EMPTY_MACRO = re.compile(r"^(?:|\(?\(void\)\s*(?:0|\(?\w+\)?|sizeof.*)\)?|do\s*\{\s*(?:\(void\)\s*\(?\w+\)?\s*;?\s*)*\}\s*while\s*\(0\)|"
                          r"\(\{\s*\}\)|BUILD_BUG_ON_INVALID\(.*\)|static_assert\(.*\)|__cond_lock\(.*\))$", re.DOTALL)
_ALWAYS_EMPTY = {"BUILD_BUG_ON", "BUILD_BUG_ON_MSG", "BUILD_BUG", "static_assert", "BUILD_BUG_ON_INVALID", "typecheck", "__chk_user_ptr"}
KEYWORDS = {"if", "while", "for", "switch", "return", "sizeof", "typeof", "else", "do", "case", "goto", "__typeof__", "offsetof"}


class Text(TypedDict):
    """A function in one tree. own, inlined: statements; before: what stands in front of its name; places: the files of what it inlines"""
    file: str
    before: str
    own: list[str]
    inlined: dict[str, list[str]]
    places: dict[str, str]


class Found(TypedDict):
    """functions: those wanted; others: those of the file that the other tree's has not; depends: [path, size, time] of what was read"""
    functions: dict[str, Text]
    others: dict[str, Text]
    depends: list[tuple[str, int, int]]


def run_here(argv: list[str]) -> tuple[int, str]:
    """With the host's compiler."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", env=dict(os.environ, LC_ALL="C"), check=False)
    except FileNotFoundError:
        raise errors.Problem(f"no '{argv[0]}' here, which both source trees are read with: apt-get install gcc", errors.USAGE) from None
    return done.returncode, done.stdout


def _reason(said: str) -> str:
    lines = said.strip().splitlines()
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "gcc gave no reason")


class Tree:
    """A source tree, its headers that a build has made, and the configuration that it is read with."""

    def __init__(self, source: pathlib.Path, kdir: pathlib.Path, config: Configuration, scratch: pathlib.Path,
                 gcc: str = "gcc", run: Run = run_here) -> None:
        self.source, self.kdir, self.config, self.gcc, self.run = source.resolve(), kdir.resolve(), config, gcc, run
        self.made = paths.ensure(scratch / hashlib.sha256(f"{self.source} {self.kdir} {config.digest()}".encode()).hexdigest()[:16])
        paths.ensure(self.made / "generated")
        (self.made / "generated/autoconf.h").write_text(config.header())
        self._parsed: dict[str, cfile.Parsed] = {}

    def _command(self, path: str, out: str) -> list[str]:
        return [self.gcc, "-E", "-fdirectives-only", "-nostdinc", "-w", *_DEFINES, *self._places(path), str(self.source / path), "-o", out]

    def _places(self, path: str, first: Iterable[pathlib.Path] = ()) -> list[str]:
        """Where headers are, and those that every file has. @first: looked into before all others"""
        source, kdir = self.source, self.kdir
        places = [*first, self.made, source / "arch/x86/include", kdir / "arch/x86/include/generated", source / "include", kdir / "include",
                  source / "arch/x86/include/uapi", kdir / "arch/x86/include/generated/uapi", source / "include/uapi",
                  kdir / "include/generated/uapi", *self._own(path)]
        always = [word for name in ("compiler-version.h", "kconfig.h", "compiler_types.h")
                  if (source / "include/linux" / name).exists() for word in ("-include", str(source / "include/linux" / name))]
        return [*(f"-I{place}" for place in places), *always]

    def _own(self, path: str) -> list[pathlib.Path]:
        """Where a file's directory says that its headers are."""
        found = [self.source / pathlib.Path(path).parent]
        for parent in list(pathlib.Path(path).parents)[:2]:
            makefile = self.source / parent / "Makefile"
            if makefile.is_file():
                for match in _INCLUDED.finditer(makefile.read_text(errors="replace")):
                    found += [self.source / parent / match[1], self.source / match[1]]
        return [place for place in dict.fromkeys(found) if place.is_dir()]

    def preprocessed(self, path: str) -> str:
        """A file with all that it includes. A header that neither tree nor build has is taken for its generic form."""
        with tempfile.NamedTemporaryFile(dir=self.made, suffix=".i") as out:
            for _ in range(MOST_STUBS):
                code, said = self.run(self._command(path, out.name))
                missing = _MISSING.search(said)
                if not missing or ".." in pathlib.PurePath(missing[1]).parts or missing[1].startswith("/"):
                    break
                self._stub(missing[1])
            if code:
                pathlib.Path(out.name).touch()	# gcc has removed it
                raise errors.Problem(f"{path} cannot be preprocessed: {_reason(said)}")
            return pathlib.Path(out.name).read_text(errors="replace")

    def complaint(self, path: str, changed: Mapping[str, str]) -> str:
        """What the compiler says of a file of a tree in which some files have other texts; "" if it takes it. No code is made."""
        with tempfile.TemporaryDirectory(dir=self.made) as name:
            top = pathlib.Path(name)
            SourceTree(self.source).overlay(top, dict(changed), [path])
            first = [top / "arch/x86/include", top / "include", *(top / place.relative_to(self.source) for place in self._own(path))]
            argv = [self.gcc, "-fsyntax-only", "-nostdinc", *_DEFINES, *_AS_KBUILD, *self._places(path, first), str(top / path)]
            code, said = self.run(argv)
        return said.replace(f"{top}/", "").replace(f"{self.source}/", "") if code else ""

    def _stub(self, name: str) -> None:
        generic = pathlib.PurePath("include", "asm-generic", pathlib.PurePath(name).name)
        text = f"#include <asm-generic/{generic.name}>\n" if name.startswith("asm/") and (self.source / generic).exists() else ""
        paths.ensure((self.made / name).parent)
        (self.made / name).write_text(text)

    def parsed(self, text: str) -> cfile.Parsed:
        """What many files include is read once."""
        key = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
        if key not in self._parsed:
            self._parsed[key] = cfile.parse(text)
        return self._parsed[key]


class Unit:
    """A file of a tree with all that it includes."""

    def __init__(self, tree: Tree, path: str) -> None:
        self.tree, self.path, self.text = tree, path, tree.preprocessed(path)
        parts: dict[str, list[str]] = collections.defaultdict(list)
        pieces = _MARKER.split(self.text)
        for name, text in zip(pieces[1::2], pieces[2::2]):
            parts[name].append(text)
        main = str(tree.source / path)
        self.files = [name for name in parts if not name.startswith("<")]
        self.main = tree.parsed("\n".join(parts.pop(main, [])))
        self._all = collections.ChainMap(self.main.functions)
        self._macros = collections.ChainMap(self.main.macros)
        self._headers = list(parts)
        for name in parts:
            found = tree.parsed("\n".join(parts[name]))
            self._all.maps.append(found.functions)
            self._macros.maps.append(found.macros)
        self._known: dict[str, str | None] = {}
        self._folded: dict[str, list[str]] = {}

    def known(self, name: str) -> str | None:
        """Of what a call of a name comes to: see folding.Known."""
        if name not in self._known:
            self._known[name] = None		# of one that calls itself
            self._known[name] = self._told(name)
        return self._known[name]

    def _told(self, name: str) -> str | None:
        if name in _ALWAYS_EMPTY:
            return folding.NOTHING
        macro = self._macros.get(name)
        if macro and macro.parameters is not None:
            return self._of_macro(macro.body.strip())
        function = self._all.get(name)
        if not function or "inline" not in function.before or len(function.body) > 2000:
            return None
        body = self.folded(name)
        inside = body[folding.closing(body, 0) + 2:-1]
        if not inside or inside == ["return", ";"]:
            return folding.NOTHING
        if inside[0] == "return" and len(inside) == 3 and inside[1] in ("0", "1", "true", "false", "NULL"):
            return inside[1]
        return None

    def _of_macro(self, body: str) -> str | None:
        body = cfile.STRIP.sub(" ", body).strip() if '"' not in body else body
        if _EMPTY_MACRO.match(body):
            return folding.NOTHING
        if body in ("0", "1", "(0)", "(1)", "false", "true", "(false)", "(true)"):
            return body.strip("()")
        # another name for a function or a macro, or a check in the form of an expression
        found = re.fullmatch(r"(?:do\s*\{\s*)?(\w+)\(.*\);?(?:\s*\}\s*while\s*\(0\))?", body, re.DOTALL)
        return self.known(found[1]) if found and found[1] not in KEYWORDS else None

    def folded(self, name: str) -> list[str]:
        """The tokens of a function as far as they count here."""
        if name not in self._folded:
            self._folded[name] = []
            self._folded[name] = folding.fold(folding.tokens(self._all[name].body), self.tree.config, self.known)
        return self._folded[name]

    def inlined(self, name: str, symbols: Collection[str]) -> dict[str, list[str]]:
        """What a function calls that does not stand by itself, and what that calls; and the macros of its own file."""
        found: dict[str, list[str]] = {}
        todo = [(name, 0)]
        while todo:
            now, depth = todo.pop()
            for word in self._calls(now):
                if word in found or word == name or word in symbols:
                    continue
                if word in self._all:
                    found[word] = folding.statements(self.folded(word))
                    todo += [(word, depth + 1)] if depth + 1 < DEPTH else []
                elif word in self.main.macros and self.main.macros[word].parameters is not None:
                    found[word] = folding.statements(folding.tokens(self.main.macros[word].body))
        return found

    def _calls(self, name: str) -> list[str]:
        words = self.folded(name) if name in self._all else []
        called = {word for word, after in zip(words, words[1:]) if after == "(" and _CALLED.match(word) and word not in KEYWORDS}
        return sorted(called)

    def function(self, name: str, symbols: Collection[str]) -> Text:
        function, inlined = self._all[name], self.inlined(name, symbols)
        return {"file": self.path, "before": function.before, "own": folding.statements(self.folded(name)),
                "inlined": inlined, "places": {word: self._place(word) for word in inlined}}

    def _place(self, name: str) -> str:
        """The file that defines something, from the tree's top."""
        for file, functions in zip((self.path, *self._headers), self._all.maps):
            if name in functions:
                return os.path.normpath(file).removeprefix(f"{self.tree.source}/")
        return self.path

    def depends(self) -> list[tuple[str, int, int]]:
        """Of all files that were read, size and time."""
        found = []
        for name in sorted(set(self.files)):
            stat = os.stat(name)
            found.append((name, stat.st_size, stat.st_mtime_ns))
        return found

    def found(self, names: Iterable[str], theirs: Collection[str], symbols: Collection[str]) -> Found:
        """Functions of the file by name, and what the other tree's file (with the functions `theirs`) has not."""
        functions = self.main.functions
        return {"functions": {name: self.function(name, symbols) for name in names if name in functions},
                "others": {name: self.function(name, symbols) for name in sorted(functions) if theirs and name not in theirs},
                "depends": self.depends()}
