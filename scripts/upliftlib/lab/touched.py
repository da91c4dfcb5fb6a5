# SPDX-License-Identifier: GPL-2.0-only
"""What a change of the tree could have broken: from the files that changed, what is worth running for `make quick`."""

import dataclasses
import pathlib
import re
import subprocess

from ..base import changes, errors, paths
from . import kmod, selftests, sourcetree, testplan

SMOKE = "abi"		# the script that loads everything: for what all scripts have in common
ALL_SUITES = "*"
TRUNKS = ("@{upstream}", "origin/main", "main", "origin/master", "master")


def _git(*words: str) -> str | None:
    """What git says; None where it fails, or is not there."""
    try:
        done = subprocess.run(["git", "-C", paths.TOP, *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def base(wanted: str | None = None) -> str:
    """The commit to compare with: that of the user's, or where this branch left the trunk; on the trunk the last commit, or
    the one before it where nothing is changed since."""
    if wanted:
        found = _git("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")
        if not found:
            raise errors.Problem(f"no commit '{wanted}'", errors.USAGE)
        return found.strip()
    head = _git("rev-parse", "HEAD")
    if not head:
        raise errors.Problem("make quick asks git what has changed, and this is no git checkout with a commit: make test",
                             errors.USAGE)
    for trunk in TRUNKS:
        left = _git("merge-base", "HEAD", trunk)
        if left and left != head:
            return left.strip()
    before = _git("rev-parse", "--verify", "--quiet", "HEAD^")
    return head.strip() if changed(head.strip()) or not before else before.strip()


def changed(since: str) -> list[pathlib.Path]:
    """Files that differ from a commit's, or are not in it; those that are gone as well."""
    listing = (_git("diff", "--name-only", "-z", "--no-renames", since) or "") + (
        _git("ls-files", "-z", "--others", "--exclude-standard") or "")
    return sorted({pathlib.Path(name) for name in listing.split("\0") if name})


@dataclasses.dataclass
class Touched:
    """What to run.

    @unit: names of unit tests
    @checks: names of scripts/check's
    @modules: build the modules?
    @suites: a glob of KUnit suites; "" for none
    @scripts: of selftests/
    """
    unit: list[str] = dataclasses.field(default_factory=list)
    checks: list[str] = dataclasses.field(default_factory=list)
    modules: bool = False
    suites: str = ""
    scripts: list[str] = dataclasses.field(default_factory=list)


def _mentions(words: frozenset[str], path: pathlib.Path) -> bool:
    """Does a test that has these string constants read that file? It names it, or a directory that it is in."""
    return bool(words & {str(path), path.name, *path.parts[:-1], *(str(parent) for parent in path.parents[:-1])})


def _entry_point(tree: sourcetree.Tree, path: pathlib.Path) -> set[pathlib.Path]:
    """What an entry point takes in; the command's parts are imported by their names."""
    found = tree.reached(path)
    names = {word.replace(".", "/") for word in tree.strings(path) if re.fullmatch(r"[a-z.]+", word)}
    for module in tree.package():
        inside = str(module.relative_to(sourcetree.PACKAGE).with_suffix(""))
        if inside in names or inside.partition("/")[2] in names and inside.startswith("lab/"):
            found |= tree.reached(module)
    return found


def unit(tree: sourcetree.Tree, files: list[pathlib.Path]) -> list[str]:
    """Unit tests of these files: those that import one, that load an entry point which does, or that name one."""
    entries = {path.name: _entry_point(tree, path) for path in tree.python if not path.suffix}
    found = []
    for test in tree.python:
        if not test.match("scripts/tests/*_test.py"):
            continue
        words, reached = tree.strings(test), set(tree.reached(test))
        for word in words:
            reached |= entries.get(pathlib.PurePath(word).name, set()) if word else set()
        # the lists of documents and the like are constants of what is tested
        if reached & set(files) or any(
                _mentions(words, path) or any(str(path) in tree.strings(module) for module in tree.imports(test))
                for path in files if path not in tree.python):
            found.append(test.name.removesuffix("_test.py"))
    return found


# Checks of a kind of file, by the file's name, that take seconds.
CHECKS = {
    r".*": ("spdx", "whitespace", "local", "codespell", "shape"),
    r".*\.[ch]": ("checkpatch", "kernel_doc"),
    r".*\.sh": ("shellcheck",),
    r"scripts/.*": ("python", "lint", "types", "shellcheck"),
    r".*\.8": ("manual",),
    r"modules/.*\.(cocci|toml)": ("bodies",),
}


def checks(files: list[pathlib.Path]) -> list[str]:
    """Names of the static checks that look at such files."""
    return list(dict.fromkeys(name for pattern, names in CHECKS.items() for name in names
                              if any(re.fullmatch(pattern, str(path)) for path in files)))


def _change_of(path: pathlib.Path, known: dict[str, changes.Change]) -> changes.Change | None:
    """The change that a file belongs to, by its directory or its name."""
    stem = re.sub(r"(_kunit|_change)?\.\w+$", "", path.name)
    for word in (*path.parts[:-1], stem):
        if word in known:
            return known[word]
    return None


def suites(files: list[pathlib.Path], known: dict[str, changes.Change]) -> str:
    """A glob of the KUnit suites of these files; "" for none."""
    found = set()
    for path in files:
        if path.parts[0] not in ("modules", "kunit") or path.suffix == ".toml":
            continue
        change = _change_of(path, known)
        found.add(f"uplift_{change.name}" if change and (paths.TOP / f"kunit/{change.name}_kunit.c").exists() else
                  "" if change else ALL_SUITES)
    found.discard("")
    return found.pop() if len(found) == 1 else ALL_SUITES if found else ""


def _of_program(path: pathlib.Path) -> list[str]:
    """Scripts of selftests/ that run a program."""
    return [script for script in selftests.SCRIPTS
            if re.search(rf"\b{re.escape(path.stem)}\b", (paths.TOP / f"selftests/{script}.sh").read_text())]


def scripts(files: list[pathlib.Path], known: dict[str, changes.Change], used: set[pathlib.Path]) -> list[str]:
    """Scripts of selftests/ that test these files. @used: the Python with which they are run."""
    found: set[str] = set()
    for path in files:
        change = _change_of(path, known)
        if path.parts[0] == "selftests" and path.stem in selftests.SCRIPTS and path.suffix == ".sh":
            found.add(path.stem)
        elif path.parts[0] in ("modules", "selftests") and change:
            found.add(testplan.script_of(change))
        elif path.parts[0] == "selftests" and path.suffix == ".c":
            found.update(_of_program(path) or [SMOKE])
        elif path.parts[0] in ("modules", "selftests") or str(path) == "Kbuild" or path in used:
            found.add(SMOKE)
    return [script for script in selftests.SCRIPTS if script in found]


def touched(files: list[pathlib.Path], tree: sourcetree.Tree | None = None) -> Touched:
    """What to run after these files have changed."""
    tree, known = tree or sourcetree.Tree(), changes.load()
    used = tree.reached(pathlib.Path(sourcetree.PACKAGE / "lab/selftests.py"))
    parts = [pathlib.PurePath(part) for part in kmod.PARTS]
    return Touched(unit(tree, files), checks(files),
                   any(part == path or part in path.parents for part in parts for path in files),
                   suites(files, known), scripts(files, known, used))
