# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own selftests for what a patch changes, of the target's source: run in every arm, and compared.

Which tests there are for which part of the tree is in selftests/kerneltests.toml. What a test says of itself does not count:
many need what a guest does not have. What counts is that it says the same with the change as without.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import re
import tomllib
from collections.abc import Iterable

from ..base import console, paths
from . import buildroot, kernels, tryscript

TABLE = paths.TOP / "selftests/kerneltests.toml"
_TREE = "tools/testing/selftests"
_RESULT = re.compile(r"^\s*(ok|not ok) (\d+)(.*)$", re.MULTILINE)
_SKIPPED = re.compile(r"#\s*SKIP", re.IGNORECASE)
_MOST = 6		# of one part are run, so that a patch has its answer in time


@functools.cache
def _parts() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(begin of paths, tests), the longest first."""
    with open(TABLE, "rb") as file:
        table = tomllib.load(file)["part"]
    found = [(path, tuple(part["tests"])) for part in table for path in part["files"]]
    return tuple(sorted(found, key=lambda entry: -len(entry[0])))


def of(files: Iterable[str]) -> list[str]:
    """The tests for files of the kernel, as paths of their sources below tools/testing/selftests."""
    found: list[str] = []
    for file in files:
        tests = next((tests for path, tests in _parts() if file.startswith(path)), ())
        found += [test for test in tests[:_MOST] if test not in found]
    return found


def build(target: kernels.Target, sources: Iterable[str]) -> tuple[pathlib.Path, list[str]]:
    """(a directory, the programs in it): those tests that this kernel's source has, and that can be built static."""
    out = paths.ensure(paths.BUILD / "selftests/kernel" / target.release)
    if not target.ksrc:
        return out, []
    tree = target.ksrc.resolve()
    with paths.lock("kerneltests"):
        return out, [name for source in sources if (name := _built(tree, out, source))]


def _built(tree: pathlib.Path, out: pathlib.Path, source: str) -> str:
    """The name of a program; "" if it is not there, or needs more than a compiler."""
    file, name = tree / _TREE / source, source.removesuffix(".c").replace("/", "-")
    program, failed = out / name, out / f".{name}.failed"
    if not file.exists() or (failed.exists() and failed.stat().st_mtime > file.stat().st_mtime):
        return ""
    if not program.exists() or program.stat().st_mtime < file.stat().st_mtime:
        new = out / f".{name}.new"
        code, text = buildroot.output(["gcc-14", "-O2", "-w", "-static", "-D_GNU_SOURCE=", f"-I{file.parent}", f"-I{tree / _TREE}",
                                       f"-I{tree}/tools/include", f"-I{tree}/tools/testing/selftests/kselftest", "-o", new,
                                       file, "-lpthread", "-lrt"], binds=[tree])
        if code:
            console.note(f"{source} is left out: it does not build here")
            paths.write(failed, text)
            return ""
        os.replace(new, program)
    return name


# ---------------------------------------------------------------------- what they said

@dataclasses.dataclass
class Said:
    """What a test said in one arm: its exit status, and its results by number."""
    status: int
    results: dict[int, tuple[str, str]]

    def differs(self, other: Said) -> str:
        """In what another arm's differs from this; "" if in nothing."""
        for number in sorted(self.results.keys() | other.results.keys()):
            mine, theirs = self.results.get(number, ("nothing", ""))[0], other.results.get(number, ("nothing", ""))[0]
            if mine != theirs:
                name = (self.results.get(number) or other.results[number])[1]
                return f"test {number}{f' ({name})' if name else ''}: {theirs}, not {mine}"
        return "" if self.status == other.status else f"its status is {other.status}, not {self.status}"


def read(text: str) -> dict[str, Said]:
    """{program: what it said} of a file that tryscript's script wrote."""
    found = {}
    for part in text.split("uplift-test ")[1:]:
        name, _, rest = part.partition("\n")
        said, _, status = rest.rpartition("uplift-status ")
        results = {int(number): ("skip" if _SKIPPED.search(about) else word, about.split("#")[0].strip(" -"))
                   for word, number, about in _RESULT.findall(said)}
        found[name] = Said(int(status), results)
    return found


@dataclasses.dataclass
class Compared:
    """What the arms say of the kernel's tests.

    @same: tests that say the same in all
    @unsteady: that say one thing and another with the change off, or do not end: nothing is concluded
    @null, new: lines of what differs from off
    """
    same: list[str] = dataclasses.field(default_factory=list)
    unsteady: list[str] = dataclasses.field(default_factory=list)
    null: list[str] = dataclasses.field(default_factory=list)
    new: list[str] = dataclasses.field(default_factory=list)


def compare(directory: pathlib.Path) -> Compared:
    """Of the files in a directory, one for each arm."""
    off, null, new, again = (read((directory / f"kernel-tests.{arm}").read_text(errors="replace")) for arm in tryscript.ARMS)
    found = Compared()
    for name, said in off.items():
        if name not in again or said.differs(again[name]):
            found.unsteady.append(name)
            continue
        of_null, of_new = said.differs(null[name]), said.differs(new[name])
        found.null += [f"{name}: {of_null}"] if of_null else []
        found.new += [f"{name}: {of_new}"] if of_new else []
        found.same += [] if of_null or of_new else [name]
    return found
