# SPDX-License-Identifier: GPL-2.0-only
"""`uplift try PATCH`: an upstream change, as it comes, on a stock kernel: armed and measured, or refused with the reason.

The patch is applied to the target's source; what it touches is compiled before and after with the kernel's own flags and
compared; the functions that differ are the bodies, once their unchanged form has been shown to be the kernel's own code.
The module is loaded into a guest of the stock kernel, where a panel of operations says which of them come to these
functions; those are counted in all arms, the others as a sample of what must not change.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from ..base import console, errors, paths, targets
from ..generator import patch as patches
from ..generator import copies, headers
from ..generator.compare import Comparison, Difference, Plan, plan
from ..generator.identity import Kernel, Placement, doubtful_callers
from ..generator.modulecode import ModuleCode
from ..generator.objectbody import Arm, New, Old
from ..generator.objects import FUNC, GLOBAL, OBJECT, UNDEF, Object, Refused, Symbol
from ..generator.references import Unit
from ..generator.trymodule import Module, name_of
from ..report import dossier, history, record
from ..host import machine
from . import (abi, buildroot, commands, fetch, guest, kernels, kerneltests, kmod, sharedstructs, testprograms, trybuilt,
               tryhere, tryscript)
from .kernelcode import KernelCode

STEPS = ("apply", "build", "load", "measure")
ARMED, REFUSED, NATIVE = "armed", "refused", "native"
MOST_CRCS = 5		# that a refusal names
MOST_BYTES = 64 << 20	# of a patch
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_ARCH = re.compile(r"arch/([^/]+)/")
MOST_FILES = 48		# that are compiled for one patch

# Around the script that runs on the running kernel, too.
_GUEST = r"""
mkdir -p /tmp
cat /proc/version >/out/version
for module in @STOCK@; do modprobe $module || exit 10; done
@FILES@
insmod /modules/uplift.ko || exit 11
insmod /modules/uplift_@NAME@.ko || exit 12
@PINNED@
cat >/tmp/try.sh <<'END-OF-TRY'
@SCRIPT@
END-OF-TRY
sh /tmp/try.sh || exit
rmmod uplift_@NAME@ || exit 18
@FREED@
"""

# The kernel's module may not go while functions of it have bodies elsewhere, and may once they have none. Where a file system of it
# is mounted it could not go anyway.
_PINNED = 'for module in @STOCK@; do ! rmmod $module 2>/dev/null || exit 20; done'
_FREED = 'for module in @STOCK@; do rmmod $module || exit 21; done'

# A file system of its own for what is a part of one.
_FILES = r"""
modprobe brd rd_nr=1 rd_size=327680 && mkfs.@FS@ -q /dev/ram0 && mkdir -p /mnt && mount -t @FS@ /dev/ram0 /mnt || exit 10
"""


@dataclasses.dataclass
class Outcome:
    """What became of a patch."""
    patch: str
    title: str = ""
    target: str = ""
    outcome: str = ""
    reason: str = ""
    name: str = ""
    commits: list[str] = dataclasses.field(default_factory=list)
    functions: dict[str, str] = dataclasses.field(default_factory=dict)
    identical: str = ""
    copied: list[str] = dataclasses.field(default_factory=list)
    unmoved: dict[str, int] = dataclasses.field(default_factory=dict)	# structs of a file that stay as they are
    reached: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    kernel_tests: list[str] = dataclasses.field(default_factory=list)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass
class Piece:
    """One file of the kernel, before and after."""
    path: str
    old: Unit
    new: Unit
    comparison: Comparison
    difference: Difference
    plan: Plan


def given_to_others(piece: Piece, pieces: list[Piece]) -> list[Symbol]:
    """What a file of the change adds and another of its files uses."""
    wanted = {symbol.name for other in pieces if other is not piece for symbol in other.new.obj.symbols
              if symbol.section == UNDEF}
    added = {symbol.name: symbol for symbol in piece.new.obj.symbols
             if symbol.defined and symbol.bind == GLOBAL and symbol.type in (FUNC, OBJECT) and symbol.name in wanted and
             symbol.name not in piece.old.obj.by_name}
    return list(added.values())


@dataclasses.dataclass(frozen=True)
class Given:
    """A patch as it was given: read once, as it may come out of a pipe."""
    path: pathlib.Path
    text: str

    @property
    def name(self) -> str:
        return name_of(self.path.name.removesuffix(".patch").removesuffix(".diff"))


def is_kept(name: str) -> bool:
    """Does a file of the module's directory go to --keep?"""
    return name.endswith((".c", ".S", ".ko")) and not name.endswith(".mod.c") or name == "Kbuild"


def keep_in(option: str, name: str) -> pathlib.Path:
    """The directory that --keep means. A Problem if files of somebody else's would go with what is replaced there."""
    keep = pathlib.Path(option) / name
    try:
        paths.writable(keep.with_name(f".{name}.probe"))
        strange = sorted(path.name for path in keep.iterdir() if not is_kept(path.name)) if keep.exists() else []
    except OSError as problem:
        raise errors.Problem(f"--keep {option}: {problem.strerror}", errors.USAGE) from None
    if strange:
        raise errors.Problem(f"--keep: {keep} has files that are not of a former try ({strange[0]}): name another directory",
                             errors.USAGE)
    return keep


class Trial:
    """One patch on one target."""

    def __init__(self, code: KernelCode, given: Given, options: argparse.Namespace) -> None:
        self.code, self.path, self.text, self.options = code, given.path, given.text, options
        self.outcome = Outcome(str(given.path), target=code.target.name, name=given.name)
        self.report: record.Report | None = None
        self.seen = "a random program sees off, null and new do the same"
        self.after: dict[str, pathlib.Path] = {}	# the objects of files with the patch
        self.abi: record.Abi | None = None
        self.ko = pathlib.Path()
        self.kos: list[pathlib.Path] = []	# that it stands upon
        self.stock: list[str] = []		# modules of the kernel that it changes
        self.problems: list[str] = []		# in what the kernel's own tests say

    @contextlib.contextmanager
    def _step(self, name: str, what: str) -> Iterator[None]:
        start = time.monotonic()
        with console.doing(f"{self.path.name}: {what}"):
            yield
        self.outcome.seconds[name] = round(time.monotonic() - start, 1)

    def run(self) -> Outcome:
        start = time.monotonic()
        try:
            # what is made for it has its name
            with paths.lock(f"try-{self.code.target.name}-{self.outcome.name}"):
                self._run()
        except patches.Native as why:
            self.outcome.outcome, self.outcome.reason = NATIVE, str(why)
        except Refused as why:
            self.outcome.outcome, self.outcome.reason = REFUSED, f"{why}{self._crcs_that_change()}"
        self.outcome.seconds["all"] = round(time.monotonic() - start, 1)
        return self.outcome

    def _run(self) -> None:
        if self.options.only != "apply" and self._again():
            self._on()
            return
        patch, texts = self._apply()
        if self.options.only == "apply":
            self.outcome.outcome = "applies"
            return
        pieces = self._compare(texts)
        self.ko = self._build(patch, pieces)
        self.abi = self._abi()
        self._remember()
        self._on()

    def _on(self) -> None:
        """With a module that is built."""
        if self.options.keep:
            self._keep(self.ko.parent)
        if self.options.only == "build":
            self.outcome.outcome = "built"
            return
        self._try(self.ko)
        self.outcome.outcome = ARMED

    # ------------------------------------------------------------------ built before

    def _directory(self) -> pathlib.Path:
        return self.code.directory / "modules" / self.outcome.name

    def _key(self) -> str:
        return trybuilt.key(self.text, self.code.kernel_id(), self.code.own_source())

    def _again(self) -> bool:
        """Has a module been built of this patch for this kernel? Then all that is known of it is taken again."""
        core = self.code.directory / "uplift/modules/core/uplift.ko"
        found = trybuilt.kept(self._directory(), self._key())
        if not found or not core.exists():
            return False
        for name, value in found["outcome"].items():
            setattr(self.outcome, name, value)
        self.stock, self.abi = found["stock"], found["abi"]
        self.ko = self._directory() / f"uplift_{self.outcome.name}.ko"
        self.kos = [core]
        console.note(f"{self.path.name}: built before")
        return True

    def _remember(self) -> None:
        known = {name: getattr(self.outcome, name) for name in ("title", "commits", "functions", "identical", "copied", "unmoved", "notes")}
        trybuilt.remember(self._directory(), self._key(), {"outcome": known, "stock": self.stock, "abi": self.abi})

    # ------------------------------------------------------------------ the patch

    def _of_another(self, path: str) -> bool:
        """Is a file code of another architecture's?"""
        match = _ARCH.match(path)
        return match is not None and match[1] != self.code.target.arch.directory

    def _apply(self) -> tuple[patches.Patch, dict[str, str]]:
        with self._step("apply", "applying it"):
            patch = patches.parse(self.text, self.path.name)
            self.outcome.title, self.outcome.commits = patch.title, patch.commits
            others = [file for file in patch.code() if self._of_another(file.path)]
            patch.files = [file for file in patch.files if file not in others]
            if others and not patch.code():
                raise Refused(f"{others[0].path} is changed: code of another architecture only, and this kernel is for "
                              f"{self.code.target.arch.name}")
            return patch, patches.apply(patch, self.code.read)

    # ------------------------------------------------------------------ before and after

    def _files(self, texts: dict[str, str]) -> list[str]:
        """The files to compile: those that are changed, and those that include a changed header."""
        found = [self.code.whole(path) for path in texts if path.endswith(".c")]
        if any(path.endswith(".h") for path in texts):
            with self._step("users", "finding the files that use what changes in headers"):
                for header in (path for path in texts if path.endswith(".h")):
                    self._unmoved(header, texts)
                    found += self._users(header, texts[header])
        found = list(dict.fromkeys(found))
        if len(found) > MOST_FILES:
            raise Refused(f"{len(found)} files would have to be compiled for its headers, more than {MOST_FILES}")
        if not found:
            raise Refused("it changes headers only, and no file of this kernel uses what changes in them")
        return found

    def _unmoved(self, header: str, texts: dict[str, str]) -> None:
        """Refused if a header moves members of a struct: one file that includes it tells, before all that use it are looked for."""
        before = self.code.read(header)
        if before is None or not headers.changed_structs(before, texts[header]):
            return
        symbols = self.code.kernel().symbols
        file = next((path for path in headers.includers(self.code.ksrc, header)
                     if any(name in symbols for name in headers.functions_of(self.code.read(path) or ""))), None)
        if file is None:
            return
        tree = self.code.directory / "trees" / self.outcome.name
        paths.remove(tree)
        self.code.overlay(tree, {path: text for path, text in texts.items() if path.endswith(".h")}, [file])
        built, = self.code.compile(tree, [file], True)
        if not built.error:		# with an error the whole patch may still be compiled, or has it as its reason
            sharedstructs.unmoved(self.code.unchanged([file])[0], built.obj)

    def _users(self, header: str, text: str) -> list[str]:
        """The files of this kernel's image that use what changes in a header."""
        before = self.code.read(header)
        names = headers.changed_names(before, text) if before is not None else set()
        if not names:
            return []
        found, _ = headers.users(self.code.ksrc, names)
        symbols = self.code.kernel().symbols
        image: list[str] = []
        elsewhere: list[str] = []
        for path in found:
            here = headers.functions_of(self.code.read(path) or "")
            (image if any(name in symbols for name in here) else elsewhere).append(path)
        if elsewhere:
            self.outcome.notes.append(f"{len(elsewhere)} other files mention what changes in {header} and are not in the "
                                      "image: modules keep what they were built with")
        return [self.code.whole(path) for path in image]

    def _compare(self, texts: dict[str, str]) -> list[Piece]:
        files = self._files(texts)
        with self._step("before", "compiling it as it is"):
            before = self.code.unchanged(files)
        tree = self.code.directory / "trees" / self.outcome.name
        with self._step("after", "compiling it with the patch"):
            paths.remove(tree)
            self.code.overlay(tree, {path: patches.lines_kept(self.code.read(path) or "", text)
                                     for path, text in texts.items()}, files)
            includes = any(path.startswith(("include/", f"arch/{self.code.target.arch.directory}/include/")) for path in texts)
            built = self.code.compile(tree, files, includes)
        for one in built:
            if one.error:
                raise Refused(f"{one.path} does not compile with the patch: {self.code.shown(one.error, tree)}")
        after = {one.path: one.obj for one in built}
        self.after = after
        with self._step("compare", "comparing"):
            pieces = [self._piece(path, old, after[path]) for path, old in zip(files, before)]
        if not any(piece.difference.changed or piece.difference.added or piece.difference.values for piece in pieces):
            for piece in pieces:
                if piece.path in texts:
                    self._configured(piece, self.code.kernel_of(piece.path))
            raise Refused("it changes nothing here: the compiler makes the same code of it")
        if not any(piece.plan.entries for piece in pieces):
            raise Refused("it only adds functions that nothing in this kernel calls")
        return [piece for piece in pieces if piece.plan.entries or given_to_others(piece, pieces)]

    @staticmethod
    def _configured(piece: Piece, kernel: Kernel) -> None:
        """Is a file a part of the kernel, or of one of its modules?"""
        if piece.old.functions and not any(name in kernel.symbols for name in piece.old.functions):
            raise Refused(f"this kernel is configured without {piece.path}: it has none of its functions")

    def _abi(self) -> record.Abi:
        """The CRCs of what the files export; a struct that changes its layout was refused."""
        before = {name: crc for path in self.after for name, crc in self.code.crcs(path).items()}
        after = {name: crc for obj in self.after.values() for name, crc in abi.crcs(obj).items()}
        return abi.compared(self.after, before, after, abi.of_kernel(self.code.kdir), abi.tool(self.code.kdir))

    def _crcs_that_change(self) -> str:
        """The same of a patch that is refused, in words, where it was compiled: a reader of the refusal has to know that as well."""
        found = self._abi()["symbols"] if self.after else {}
        changed = [name for name, (before, after) in found.items() if before != after]
        more = f" and {len(changed) - MOST_CRCS} more" if len(changed) > MOST_CRCS else ""
        return f"; the CRCs of exported symbols change: {', '.join(changed[:MOST_CRCS])}{more}" if changed else ""

    def _piece(self, path: str, before: pathlib.Path, after: pathlib.Path) -> Piece:
        self.outcome.unmoved[path] = sharedstructs.unmoved(before, after)
        one, two = Unit(Object(before)), Unit(Object(after))
        comparison = Comparison(one, two)
        difference = comparison.difference()
        return Piece(path, one, two, comparison, difference, plan(comparison, difference))

    # ------------------------------------------------------------------ the module

    def _build(self, patch: patches.Patch, pieces: list[Piece]) -> pathlib.Path:
        with self._step("identity", "comparing with the kernel's own code"):
            kernel = self.code.kernel()
            placements = {piece.path: Placement(piece.old, self.code.kernel_of(piece.path)) for piece in pieces}
            self._identical(pieces, placements)
        with self._step("build", "building the module"):
            null, new, functions = self._arms(pieces, placements)
            self.stock = sorted({name for piece in pieces if (name := self.code.module_of(piece.path))})
            directory = self._directory()
            paths.remove(directory)	# an object that is half written is taken for whole by make
            paths.ensure(directory)
            self.outcome.copied = sorted(set(new.copied))
            Module(self.outcome.name, patch.title, functions, self.outcome.identical, kernel.build_id(),
                   self._copies(pieces), self._module_ids(placements)).write(directory, null, new)
            tree = self.code.core()
            self.kos = [tree / "modules/core/uplift.ko"]
            ko = self.code.module(directory, tree)
        return ko

    def _identical(self, pieces: list[Piece], placements: dict[str, Placement]) -> None:
        same = count = 0
        for piece in pieces:
            placement = placements[piece.path]
            if piece.plan.entries:
                self._configured(piece, placement.kernel)
            for name, why in piece.plan.entries.items():
                self.outcome.functions[name] = f"{piece.path}: {why}"
                for part in (name, f"{name}.cold"):
                    if part not in piece.old.functions:
                        continue
                    count += part == name
                    if not placement.identical(part):
                        raise Refused(f"{part}() of the source is not what the kernel runs: {placement.why[part]}")
                    same += part == name
                if doubtful := doubtful_callers(placement, name):
                    raise Refused(f"{doubtful[0]}() of the source, which calls {name}(), is not what the kernel runs: there "
                                  f"{name}() may be inlined, and the change would miss it")
        self.outcome.identical = f"{same} of {count} functions"

    def _arms(self, pieces: list[Piece], placements: dict[str, Placement]) -> tuple[Arm, Arm, list[str]]:
        exports, name = self.code.exports(), self.outcome.name
        null, new = Arm(name, "null", 1, exports), Arm(name, "new", 2, exports)
        functions: list[str] = []
        others = {symbol.name: (new.label(number, symbol), symbol) for number, piece in enumerate(pieces, 1)
                  for symbol in given_to_others(piece, pieces)}
        for piece in pieces:
            numbers = {entry: len(functions) + at for at, entry in enumerate(piece.plan.entries)}
            placement = placements[piece.path]
            module = f"{placement.kernel.name}:" if placement.kernel.name else ""
            functions += [f"{module}{entry}" for entry in numbers]
            null.add(Old(placement), numbers)
            new.add(New(piece.comparison, placement, set(numbers), others), numbers, given_to_others(piece, pieces))
        return null, new, functions

    def _module_ids(self, placements: dict[str, Placement]) -> dict[str, bytes]:
        """Of the kernel's modules that functions of are redirected, the build ids: their code is where it was in that build."""
        found = {}
        for placement in placements.values():
            if isinstance(placement.kernel, ModuleCode):
                found[placement.kernel.name] = placement.kernel.module_build_id()
                if len(found[placement.kernel.name]) != 20:
                    raise Refused(f"the module {placement.kernel.name} has no build id, by which it could be told from another build")
        return found

    def _copies(self, pieces: list[Piece]) -> list[str]:
        brought = [name.removesuffix("()") for name in self.outcome.copied]
        words = copies.words_added(self.text)
        return sorted({name for piece in pieces
                       for name in copies.of(piece.old, piece.new, piece.plan.entries, brought, words)})

    def _keep(self, directory: pathlib.Path) -> None:
        with paths.fresh_dir(keep_in(self.options.keep, self.outcome.name)) as keep:
            for path in directory.iterdir():
                if is_kept(path.name):
                    shutil.copy2(path, keep / path.name)

    # ------------------------------------------------------------------ the run

    def _try(self, ko: pathlib.Path) -> None:
        ran = self._here(ko) if isinstance(self.code, tryhere.HereCode) else self._guest(ko)
        if self._load_only:
            return
        self._seen(ran.out)
        self._kernel_tests(ran.out)
        self._stats(ran.out)
        self._report(ran)

    def _script(self, programs: object, tests: object, out: object, work: object, names: list[str]) -> str:
        limit = tryscript.LIMIT if isinstance(self.code, tryhere.HereCode) else tryscript.LIMIT_COUNTED
        return tryscript.Run(self.outcome.name, str(programs), str(tests), str(out), str(work), self.options.rounds,
                             tuple(names), self.options.workload or "", self._load_only, limit).text()

    @property
    def _load_only(self) -> bool:
        return bool(self.options.only == "load")

    def _in_guest(self, filesystem: str, script: str) -> str:
        """What a guest does around a script."""
        words = {"FILES": _FILES.replace("@FS@", filesystem) if filesystem else "", "PINNED": _PINNED if self._load_only else "",
                 "FREED": _FREED if self._load_only else ""}
        found = _GUEST
        for word, text in (*words.items(), ("STOCK", " ".join(self.stock)), ("NAME", self.outcome.name), ("SCRIPT", script)):
            found = found.replace(f"@{word}@", text)
        return found

    def _tests(self) -> tuple[pathlib.Path, list[str]]:
        """The kernel's own for what is changed, built."""
        if self._load_only:
            return paths.BUILD, []
        files = [about.partition(": ")[0] for about in self.outcome.functions.values()]
        return kerneltests.build(self.code.target, kerneltests.of(files))

    def _guest(self, ko: pathlib.Path) -> Ran:
        programs, (tests, names) = testprograms.build(self.code.target.arch), self._tests()
        filesystem = "" if self._load_only else next((name for name in ("ext4", "xfs") if name in self.stock), "")
        script = self._in_guest(filesystem, self._script("/selftests", "/kernel-tests", "/out", "/mnt" if filesystem else "/tmp", names))
        buildroot.ensure("io" if filesystem else "run")
        with self._step("guest", "in a guest"):
            result = guest.boot(self.code.target, script,
                                files={"/selftests": programs} | {f"/kernel-tests/{name}": tests / name for name in names},
                                kos=kmod.stripped([*self.kos, ko]),
                                modules=[*self.stock, *(["brd"] if filesystem else [])],
                                programs=[f"/usr/sbin/mkfs.{filesystem}"] if filesystem else [], icount=True, append="nokaslr", mem="1500M", timeout=560,
                                name=f"{self.code.target.name}-try-{self.outcome.name}", quiet=True)
        if not result.ok:
            why = tryscript.SAID.get(result.rc or 0, "")
            raise errors.Problem(f"{self.path.name}: {why or 'the guest failed'}: {result.problem()} ({result.console})")
        target = self.code.target
        return Ran(result.outdir, "instructions", {
            "release": target.release, "version": target.version, "kernel": _banner(result.outdir), "arch": target.arch.name,
            "config": machine.that_matters(kernels.config_of(target)), "taint": 0, "taint_after": result.taint,
            "hypervisor": f"QEMU {result.qemu}; {result.accel}", "packages": target.provenance,
            "build_id": self.code.kernel().build_id().hex()})

    def _here(self, ko: pathlib.Path) -> Ran:
        tryhere.need_loaded(self.stock)
        programs, (tests, names) = tryhere.where_programs_are(), self._tests()
        about = machine.describe()
        out = paths.BUILD / "try" / self.code.target.release / "out" / self.outcome.name
        paths.remove(out)
        work = paths.ensure(out / "work")
        with self._step("here", "on the running kernel"):
            status = tryhere.run(self._script(programs, tests, out, work, names), self.outcome.name, self.kos, ko)
        if status:
            raise errors.Problem(f"{self.path.name}: {tryscript.SAID.get(status, f'the run ended with status {status}')} ({out})")
        return Ran(out, "ns", about | {"taint_after": machine.tainted()})

    def _seen(self, out: pathlib.Path) -> None:
        """null has to do what off does; where new does not, a person is told."""
        if where := tryscript.differing(out, "null"):
            raise errors.Problem(f"{self.path.name}: a random program sees null behave unlike off ({', '.join(where)})")
        if where := tryscript.differing(out, "new"):
            self.outcome.notes.append(f"a random program sees new behave unlike off ({', '.join(where)}): is that the change?")
            self.seen = "a random program sees null do what off does, and new behave otherwise"

    def _kernel_tests(self, out: pathlib.Path) -> None:
        """null has to do what off does in them, too; where new does not, it is an error of the change."""
        if not (out / f"kernel-tests.{tryscript.ARMS[0]}").exists():
            return
        found = kerneltests.compare(out)
        if found.null:
            raise errors.Problem(f"{self.path.name}: the kernel's own tests see null behave unlike off: {found.null[0]}")
        self.outcome.kernel_tests, self.problems = found.same, found.new
        if found.unsteady:
            self.outcome.notes.append(f"the kernel's own tests of which nothing is concluded, as they vary or do not end with the "
                                      f"change off: {', '.join(found.unsteady)}")

    def _stats(self, out: pathlib.Path) -> None:
        """What has no effect while the change is on."""
        lines = (out / "stats").read_text().splitlines()
        self.outcome.notes += [f"without effect while the change is on: {line.partition(': ')[2]}" for line in lines
                               if line.startswith("bypassed: ")]

    def _report(self, ran: Ran) -> None:
        for line in (ran.out / "reach").read_text().splitlines():
            sample = json.loads(line)
            if sample.get("calls", 0) >= tryscript.REACHED:
                self.outcome.reached[sample["op"]] = sample["calls"] // sample["runs"]
        operations: list[record.Operation] = []
        for name, calls in (("bench", 1), ("panel", 0)):
            path = ran.out / name
            if not path.exists():
                continue
            rounds: dict[str, dict[str, list[float]]] = {}
            for line in path.read_text().splitlines():
                sample = json.loads(line)
                rounds.setdefault(sample["op"], {}).setdefault(sample["arm"], []).append(sample[ran.figure])
            operations += [record.operation(op, arms, ran.unit, self.outcome.reached.get(op, 0) if calls else 0,
                                            "" if calls else ran.void(arms)) for op, arms in rounds.items()]
        if not self.outcome.reached:
            self.outcome.notes.append("no operation of the panel comes to these functions: give one with --workload")
        self.report = self._dossier(ran, operations)

    def _dossier(self, ran: Ran, operations: list[record.Operation]) -> record.Report:
        out = self.outcome
        report = record.new(ran.machine, _again(self.path, self.options, "" if ran.unit == "ns" else self.code.target.name))
        evidence = [f"functions: {', '.join(out.functions)}", f"identical with the kernel's own code: {out.identical}",
                    f"structs that it moves: none of {', '.join(f'{count} in {path}' for path, count in out.unmoved.items())}"]
        if out.copied:
            evidence.append(f"the module brings: {', '.join(out.copied)}")
        if out.kernel_tests:
            evidence.append(f"the kernel's own tests that say the same in off, null and new: {', '.join(out.kernel_tests)}")
        problems = [f"with the change on, a test of the kernel's says otherwise: {line}" for line in self.problems]
        tests: list[record.Test] = [{"name": name, "outcome": "pass", "reason": ""} for name in out.kernel_tests]
        tests += [{"name": line, "outcome": "fail", "reason": "it says otherwise with the change on"} for line in self.problems]
        ok: record.Correctness = {"ok": not problems, "problems": problems, "tests": tests,
                                  "summary": self.seen
                                  + (f", as do {len(out.kernel_tests)} of the kernel's own tests" if out.kernel_tests
                                     else "; no test of the kernel's was run")}
        report["changes"].append({
            "name": out.name, "title": out.title, "upstream": _upstream(out), "patches": {self.path.name: self.text}, "risk": [], "by_hand": [],
            "verdict": {"kind": "applicable", "evidence": evidence, "from": "module"}, "correctness": ok,
            "redirect": {"function": ", ".join(out.functions), "method": "ftrace-direct"}, "operations": operations,
            "shows": [], "notes": out.notes})
        if self.abi is not None:
            report["changes"][0]["abi"] = self.abi
        return report


NOISE = 0.001


def _banner(out: pathlib.Path) -> str:
    """What the kernel that ran says it is."""
    path = out / "version"
    return path.read_text(errors="replace").strip() if path.exists() else ""


def _again(path: pathlib.Path, options: argparse.Namespace, target: str) -> str:
    """What to type to have the same again. @target: "" for the running kernel"""
    places = [word for name in ("kernel", "modules", "kdir", "ksrc") if (where := getattr(options, name, None))
              for word in (f"--{name}", str(pathlib.Path(where).resolve()))]
    words = ["scripts/uplift", "try", str(path.resolve()), *(places or (["--target", target] if target else [])), "--rounds", str(options.rounds)]
    return shlex.join(words + (["--workload", options.workload] if options.workload else []))


def _upstream(out: Outcome) -> dict[str, Any]:
    """What the patch says of its commits: git's mail names them."""
    return {"title": out.title} | ({"commit": out.commits[0]} if len(out.commits) == 1 else {})


@dataclasses.dataclass
class Ran:
    """A run, in a guest or here: where its files are, in what is counted, and on what machine."""
    out: pathlib.Path
    unit: str
    machine: dict[str, Any]

    @property
    def figure(self) -> str:
        """Of a sample: counts have a least one, times a median."""
        return "median" if self.unit == "ns" else "best"

    def void(self, arms: dict[str, list[float]]) -> str:
        """Why nothing is concluded of an operation that does not come to the change."""
        same = [min(arms[arm]) for arm in ("off", "off_again", "null") if arms.get(arm)]
        if self.unit != "ns" and same and max(same) - min(same) > NOISE * min(same):
            return "it differs by itself: off, off again and null are the same code here"
        return ""


# ---------------------------------------------------------------------- the command

def _line(out: Outcome) -> str:
    what = {ARMED: "armed", NATIVE: "native", REFUSED: "refused"}.get(out.outcome, out.outcome)
    where = "the running kernel" if out.target == tryhere.NAME else out.target
    text = f"{pathlib.Path(out.patch).name} on {where}: {what}"
    if out.reason:
        text += f": {out.reason}"
    if out.functions and out.outcome not in (REFUSED, NATIVE):
        text += f": {', '.join(out.functions)}; identical: {out.identical}"
    return f"{text} ({out.seconds.get('all', 0):.0f} s)"


def _target(args: argparse.Namespace) -> kernels.Target:
    want = {*fetch.USUAL, "source"} - {"slice"}
    return commands.chosen(args, want)


def code_of(args: argparse.Namespace) -> KernelCode:
    """Of the kernel that is named; of the one that runs where none is."""
    return KernelCode(_target(args)) if args.target or args.kernel or args.modules else tryhere.HereCode(args.kdir, args.ksrc)


def _text(path: pathlib.Path) -> str:
    """The text of a patch. What is none is a mistake in the words, told before anything is downloaded or built."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise errors.Problem(f"{path}: {problem.strerror}", errors.USAGE) from None
    for magic, program in _PACKED.items():
        if data.startswith(magic):
            raise errors.Problem(f"{path}: compressed: unpack it first ({program} -d)", errors.USAGE)
    if not data.strip():
        raise errors.Problem(f"{path}: empty", errors.USAGE)
    if len(data) > MOST_BYTES or b"\0" in data:
        raise errors.Problem(f"{path}: no text, so no patch", errors.USAGE)
    text = data.decode(errors="surrogateescape")
    try:
        patches.parse(text, path.name)
    except patches.NotAPatch as why:
        raise errors.Problem(str(why), errors.USAGE) from None
    except Refused:
        pass		# its outcome
    return text


def _given(args: argparse.Namespace) -> list[Given]:
    found = [Given(pathlib.Path(path), _text(pathlib.Path(path))) for path in args.patch]
    by_name: dict[str, Given] = {}
    for one in found:
        other = by_name.setdefault(one.name, one)
        if other is not one:
            raise errors.Problem(f"{other.path} and {one.path} would both be called {one.name}: give one of them another name",
                                 errors.USAGE)
    return found


def _words(args: argparse.Namespace) -> None:
    """Words that say nothing, as "$TARGET" does where it is not set, or that no report could repeat."""
    options = ("target", "kernel", "modules", "kdir", "ksrc", "workload", "keep", "git")
    words = [("PATCH", path) for path in args.patch] + [(f"--{name}", getattr(args, name, None)) for name in options]
    for option, word in words:
        if word is not None and not word.strip():
            raise errors.Problem(f"{option}: a word is wanted, not '{word}'", errors.USAGE)
        # Python has bytes that are no UTF-8 as surrogates
        if word and re.search("[\ud800-\udfff]", word):
            raise errors.Problem(f"{option} {ascii(word)}: it is not UTF-8, and goes into a report that is: take another name",
                                 errors.USAGE)


def _check(args: argparse.Namespace) -> list[Given]:
    """What is wrong with the words, before anything is downloaded or built."""
    _words(args)
    given = _given(args)
    if args.rounds is None:
        args.rounds = 3 if args.target or args.kernel else 10
    if args.rounds < 2:
        raise errors.Problem("--rounds: two at least, as a second one has to confirm the first", errors.USAGE)
    for option, path in (("--kdir", args.kdir), ("--ksrc", args.ksrc)):
        if path and not re.fullmatch(r"[A-Za-z0-9_./+,@-]+", str(pathlib.Path(path).resolve())):
            raise errors.Problem(f"{option} {path}: the path has characters that the kernel's build system cannot take",
                                 errors.USAGE)
    if args.workload and subprocess.run(["sh", "-n", "-c", f"( {args.workload}\n)"], capture_output=True).returncode:
        raise errors.Problem(f"--workload: no command of a shell: {args.workload}", errors.USAGE)
    if getattr(args, "git", None) is not None:
        history.Repository(args.git)
    elif getattr(args, "base", ""):
        raise errors.Problem("--base goes with --git", errors.USAGE)
    if args.keep:
        for one in given:
            keep_in(args.keep, one.name)
    return given


def _try(args: argparse.Namespace) -> int:
    given = _check(args)
    code = code_of(args)
    results, status = [], errors.OK
    for one in given:
        trial = Trial(code, one, args)
        try:
            out = trial.run()
        except errors.Problem as problem:
            if len(given) == 1:
                raise
            console.error(str(problem))
            trial.outcome.outcome, trial.outcome.reason = "failed", str(problem).splitlines()[0]
            out, status = trial.outcome, errors.FAIL
        results.append(out.as_json() | ({"report": trial.report} if trial.report else {}))
        if out.outcome in (REFUSED, NATIVE) and status == errors.OK:
            status = errors.SKIP
        show(args, trial, out)
    if args.json:
        json.dump(results if len(results) > 1 else results[0], sys.stdout, indent=1)
        print()
    return status


def show(args: argparse.Namespace, trial: Trial, out: Outcome) -> None:
    if trial.report:
        if getattr(args, "git", None) is not None:
            trial.report["changes"][0]["history"] = history.look(
                trial.report["changes"][0], history.Repository(args.git), args.base, trial.report["machine"]["release"])
        directory = paths.ensure(paths.REPORT / "try" / out.target)
        paths.write(directory / f"{out.name}.json", json.dumps(trial.report, indent=1) + "\n")
        paths.write(directory / f"{out.name}.txt", dossier.text(trial.report) + "\n")
        paths.write(directory / f"{out.name}.html", dossier.page(trial.report))
    if not args.json:
        if trial.report:
            print(dossier.text(trial.report))
        print(_line(out), flush=True)


def register(groups: Any) -> None:
    parser = groups.add_parser("try", help="any upstream patch, on a stock kernel: armed and measured, or why not",
                               description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("patch", nargs="+", metavar="PATCH", help="a unified diff, or git's mail of one or more commits")
    parser.add_argument("--target", metavar="TARGET",
                        help="in a guest, on one of: " + " ".join(targets.TABLE) + " (on the running kernel)")
    parser.add_argument("--kernel", metavar="BZIMAGE", help="a kernel of your own: its image")
    parser.add_argument("--modules", metavar="DIR", help="its modules")
    parser.add_argument("--kdir", metavar="DIR", help="its headers or build directory")
    parser.add_argument("--ksrc", metavar="DIR", help="its source tree")
    parser.add_argument("--workload", metavar="COMMAND", help="run this with the change on")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of measuring (3 in a guest, which counts instructions; 10)")
    parser.add_argument("--keep", metavar="DIR", help="copy the module's source and .ko there")
    parser.add_argument("--git", metavar="DIR", help="a clone of the kernel's repository: what fixes or reverts the commit, "
                                                     "what it needs, and which stable branches have it")
    parser.add_argument("--base", metavar="COMMIT", default="", help="where the kernel is in that clone (the tag vX.Y.Z of "
                                                                     "its version)")
    parser.add_argument("--json", action="store_true", help="what was found, as JSON")
    parser.add_argument("--only", choices=STEPS, help="stop after this step")
    parser.set_defaults(func=_try)
