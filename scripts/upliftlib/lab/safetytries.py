# SPDX-License-Identifier: GPL-2.0-only
"""The modules that selftests/safety.sh looks at: small edits of a target's source, made into patches and tried as such,
and a live patch for tests. None of the kernel's code is kept here: an edit is a place in it and what is put there."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import hashlib
import pathlib
import re
import shutil

from ..base import console, errors, paths, targets
from ..generator.modulecode import ModuleCode
from . import fetch, kernels, trial
from .kernelcode import KernelCode

_NOP = 'asm volatile("nop");'


@dataclasses.dataclass(frozen=True)
class Edit:
    """Of a file the first match of a pattern is replaced."""
    file: str
    pattern: str
    by: str


@dataclasses.dataclass(frozen=True)
class Edited:
    """A module: what it is called, and the edits of which it is made."""
    name: str
    edits: tuple[Edit, ...]


# One that changes nothing that can be seen: a function with a static local, and one that leaves the address of another
# behind; one that makes the compiler inline a function that stands by itself; and a function of a module.
LIST = (
    Edited("safety_plain", (Edit("fs/inode.c", r"(?<=\n)(\tres\+\+;)", rf"\t{_NOP}\n\1"),
                            Edit("kernel/time/hrtimer.c", r"(?<=\n)(\tret = do_nanosleep\(&t, mode\);)", rf"\t{_NOP}\n\1"))),
    Edited("safety_inline", (Edit("kernel/time/hrtimer.c", r"\bstatic (int __sched do_nanosleep\()", r"static __always_inline \1"),)),
    Edited("safety_module", (Edit("drivers/block/brd.c", r"(?<=\n)(\tif \(unlikely\(op_is_discard\()", rf"\t{_NOP}\n\1"),)),
)
_FIXTURE = paths.TOP / "selftests/fixtures/testpatch"


def patch_of(read: dict[str, str], edits: tuple[Edit, ...]) -> str:
    """The edits of the texts of files, as a patch. A Problem where there is nothing to edit."""
    found = ""
    for edit in edits:
        after, count = re.subn(edit.pattern, edit.by, read[edit.file], count=1)
        if not count:
            raise errors.Problem(f"{edit.file}: nothing there matches {edit.pattern}")
        found += "".join(difflib.unified_diff(read[edit.file].splitlines(True), after.splitlines(True),
                                              f"a/{edit.file}", f"b/{edit.file}"))
    return found


def _made_of(target: kernels.Target) -> str:
    """What the modules depend on, in short."""
    package = paths.TOP / "scripts/upliftlib"
    files = [path for top in (package / "generator", paths.TOP / "modules/core", paths.TOP / "modules/compat", _FIXTURE)
             for path in sorted(top.iterdir()) if path.suffix in (".py", ".c", ".h", ".S", ".mk", ".sh") or path.name == "Kbuild"]
    files += [pathlib.Path(__file__), package / "lab/trial.py", package / "lab/kernelcode.py"]
    return hashlib.sha256(b"\0".join([target.version.encode(), *(path.read_bytes() for path in files)])).hexdigest()


def build(target: kernels.Target) -> list[pathlib.Path]:
    """Their .ko, with uplift.ko not among them; made when what they depend on has changed. A Skip for most targets."""
    if target.name not in targets.use("tries"):
        raise errors.Skip(f"modules for it are made on {' '.join(targets.use('tries'))} only")
    target = fetch.fetch(target.name, {*fetch.USUAL, "source"} - {"slice"})	# as `uplift try` takes it
    done, now = paths.BUILD / "try" / target.release / "safety", _made_of(target)
    with paths.lock(f"safety-{target.name}"):
        stamp = done / "made.of"
        if not stamp.exists() or stamp.read_text() != now:
            with console.doing(f"making modules of edits for {target.release}"):
                _make(target, done, now)
        return sorted(done.glob("*.ko"))


def _make(target: kernels.Target, done: pathlib.Path, now: str) -> None:
    code = KernelCode(target)
    kos = [_tried(code, edited) for edited in LIST]
    with paths.fresh_dir(done) as temp:
        for ko in (*kos, _testpatch(code)):
            shutil.copy(ko, temp)
        (temp / "uplift_safety_other.ko").write_bytes(_with_another(kos[0], code.kernel().build_id()))
        module = code.kernel_of(LIST[-1].edits[0].file)
        assert isinstance(module, ModuleCode)
        (temp / "uplift_safety_stranger.ko").write_bytes(_with_another(kos[-1], module.module_build_id()))
        paths.write(temp / "made.of", now)


def built(target: kernels.Target, edited: Edited, patch: pathlib.Path) -> pathlib.Path:
    """The .ko of one; its patch is written into a file."""
    code = KernelCode(target)
    patch.write_text(_patch(code, edited))
    return _tried(code, edited)


def _patch(code: KernelCode, edited: Edited) -> str:
    return patch_of({edit.file: code.read(edit.file) or "" for edit in edited.edits}, edited.edits)


def _tried(code: KernelCode, edited: Edited) -> pathlib.Path:
    given = trial.Given(pathlib.Path(f"{edited.name}.patch"), _patch(code, edited))
    out = trial.Trial(code, given, argparse.Namespace(only="build", keep=None, workload=None, rounds=2)).run()
    if out.outcome != "built":
        raise errors.Problem(f"{edited.name}: {out.outcome}: {out.reason}")
    return code.directory / "modules" / out.name / f"uplift_{out.name}.ko"


def _testpatch(code: KernelCode) -> pathlib.Path:
    directory = code.directory / "modules" / _FIXTURE.name
    paths.remove(directory)
    shutil.copytree(_FIXTURE, directory)
    return code.module(directory, code.core())


def _with_another(ko: pathlib.Path, build_id: bytes) -> bytes:
    """The same module with a build id that nothing has."""
    data = ko.read_bytes()
    if data.count(build_id) != 1:
        raise errors.Problem(f"{ko.name} has the build id {data.count(build_id)} times")
    return data.replace(build_id, bytes(byte ^ 0xff for byte in build_id))
