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
from ..generator.identity import Placement, doubtful_callers
from ..generator.objectbody import Arm, New, Old
from ..generator.objects import FUNC, GLOBAL, OBJECT, UNDEF, Object, Refused, Symbol
from ..generator.references import Unit
from ..generator.trymodule import Module, name_of
from ..report import dossier, history, record
from . import abi, buildroot, commands, fetch, guest, kernels, kmod, sharedstructs, testprograms
from .kernelcode import KernelCode

STEPS = ("apply", "build", "load", "measure")
ARMED, REFUSED, NATIVE = "armed", "refused", "native"
MOST_BYTES = 64 << 20	# of a patch
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHERS = re.compile(r"arch/(?!x86/)[^/]+/")	# code of other machines
MOST_FILES = 48		# that are compiled for one patch
REACHED = 4		# calls in eight runs of an operation: it comes to the change

_GUEST = r"""
dir=/sys/kernel/debug/uplift/@NAME@
mkdir -p /tmp
cat /proc/version >/out/version
for module in @STOCK@; do modprobe $module || exit 10; done
@FILES@
insmod /modules/uplift.ko || exit 11
insmod /modules/uplift_@NAME@.ko || exit 12
cat $dir/verdict >/out/verdict
for arm in null new off new null off; do echo $arm >$dir/arm || exit 13; done
[ @LOAD@ = 1 ] && exit 0
@WORKLOAD@
for arm in off null new; do
	echo $arm >$dir/arm || exit 13
	for seed in 1 2 3; do /selftests/syscall_bench --transcript $seed --calls 4000 || exit 14; done >/out/seen.$arm
done
echo null >$dir/arm || exit 13
/selftests/panel_bench --dir @DIR@ --change @NAME@ --reach >/out/reach || exit 15
cat $dir/stats >/out/stats
reached=$(sed -n 's/.*"op":"\([^"]*\)","calls":\([0-9]*\),.*/\2 \1/p' /out/reach |
	while read -r calls op; do [ $calls -lt @REACHED@ ] || printf '%s,' $op; done)
others=$(sed -n 's/.*"op":"\([^"]*\)","calls":\([0-9]*\),.*/\2 \1/p' /out/reach |
	while read -r calls op; do [ $calls -ge @REACHED@ ] || printf '%s,' $op; done)
sleep 5
[ -z "$reached" ] || /selftests/panel_bench --dir @DIR@ --change @NAME@ --op ${reached%,} --rounds @ROUNDS@ >/out/bench || exit 16
[ -z "$others" ] || /selftests/panel_bench --dir @DIR@ --change @NAME@ --op ${others%,} --rounds 2 --batches 10 >/out/panel || exit 17
echo off >$dir/arm
rmmod uplift_@NAME@ || exit 18
"""

# A file system of its own for what is a part of one.
_FILES = r"""
modprobe brd rd_nr=1 rd_size=327680 && mkfs.@FS@ -q /dev/ram0 && mkdir -p /mnt && mount -t @FS@ /dev/ram0 /mnt || exit 10
"""

_SAID = {10: "the kernel's own modules do not load, or a file system cannot be made", 11: "uplift.ko does not load", 12: "the module does not load", 13: "an arm cannot be switched to",
         14: "the random program failed", 15: "the panel failed", 16: "measuring failed", 17: "measuring the panel failed",
         18: "the module cannot be unloaded", 19: "the workload failed"}


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
        self.after: dict[str, pathlib.Path] = {}	# the objects of files with the patch
        self.ko = pathlib.Path()
        self.kos: list[pathlib.Path] = []	# that it stands upon
        self.stock: list[str] = []		# modules of the kernel that it changes

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
            self.outcome.outcome, self.outcome.reason = REFUSED, str(why)
        self.outcome.seconds["all"] = round(time.monotonic() - start, 1)
        return self.outcome

    def _run(self) -> None:
        patch, texts = self._apply()
        if self.options.only == "apply":
            self.outcome.outcome = "applies"
            return
        pieces = self._compare(texts)
        self.ko = self._build(patch, pieces)
        if self.options.only == "build":
            self.outcome.outcome = "built"
            return
        self._try(self.ko)
        self.outcome.outcome = ARMED

    # ------------------------------------------------------------------ the patch

    def _apply(self) -> tuple[patches.Patch, dict[str, str]]:
        with self._step("apply", "applying it"):
            patch = patches.parse(self.text, self.path.name)
            self.outcome.title, self.outcome.commits = patch.title, patch.commits
            patch.files = [file for file in patch.files if not _OTHERS.match(file.path)]
            return patch, patches.apply(patch, self.code.read)

    # ------------------------------------------------------------------ before and after

    def _files(self, texts: dict[str, str]) -> list[str]:
        """The files to compile: those that are changed, and those that include a changed header."""
        found = [self.code.whole(path) for path in texts if path.endswith(".c")]
        if any(path.endswith(".h") for path in texts):
            with self._step("users", "finding the files that use what changes in headers"):
                for header in (path for path in texts if path.endswith(".h")):
                    found += self._users(header, texts[header])
        found = list(dict.fromkeys(found))
        if len(found) > MOST_FILES:
            raise Refused(f"{len(found)} files would have to be compiled for its headers, more than {MOST_FILES}")
        if not found:
            raise Refused("it changes headers only, and no file of this kernel uses what changes in them")
        return found

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
            includes = any(path.startswith(("include/", "arch/x86/include/")) for path in texts)
            built = self.code.compile(tree, files, includes)
        for one in built:
            if one.error:
                raise Refused(f"{one.path} does not compile with the patch: {self.code.shown(one.error, tree)}")
        after = {one.path: one.obj for one in built}
        self.after = after
        with self._step("compare", "comparing"):
            pieces = [self._piece(path, old, after[path]) for path, old in zip(files, before)]
        if not any(piece.difference.changed or piece.difference.added or piece.difference.values for piece in pieces):
            raise Refused("it changes nothing here: the compiler makes the same code of it")
        if not any(piece.plan.entries for piece in pieces):
            raise Refused("it only adds functions that nothing in this kernel calls")
        return [piece for piece in pieces if piece.plan.entries or given_to_others(piece, pieces)]

    def _abi(self) -> record.Abi:
        """The CRCs of what the files export; a struct that changes its layout was refused."""
        before = {name: crc for path in self.after for name, crc in self.code.crcs(path).items()}
        after = {name: crc for obj in self.after.values() for name, crc in abi.crcs(obj).items()}
        return abi.compared(self.after, before, after, abi.of_kernel(self.code.kdir))

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
            directory = self.code.directory / "modules" / self.outcome.name
            paths.remove(directory)	# an object that is half written is taken for whole by make
            paths.ensure(directory)
            self.outcome.copied = sorted(set(new.copied))
            Module(self.outcome.name, patch.title, functions, self.outcome.identical, kernel.build_id(),
                   self._copies(pieces)).write(directory, null, new)
            tree = self.code.core()
            self.kos = [tree / "modules/core/uplift.ko"]
            ko = self.code.module(directory, tree)
        if self.options.keep:
            self._keep(directory)
        return ko

    def _identical(self, pieces: list[Piece], placements: dict[str, Placement]) -> None:
        same = count = 0
        for piece in pieces:
            placement = placements[piece.path]
            if piece.plan.entries and not any(name in placement.kernel.symbols for name in piece.old.functions):
                raise Refused(f"this kernel is configured without {piece.path}: it has none of its functions")
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

    # ------------------------------------------------------------------ the guest

    def _try(self, ko: pathlib.Path) -> None:
        tests = testprograms.build()
        script = _GUEST
        workload = f"echo new >$dir/arm; ( {self.options.workload} ) || exit 19" if self.options.workload else ""
        filesystem = next((name for name in ("ext4", "xfs") if name in self.stock), "")
        script = script.replace("@FILES@", _FILES.replace("@FS@", filesystem) if filesystem else "")
        for word, value in (("STOCK", " ".join(self.stock)), ("DIR", "/mnt" if filesystem else "/tmp"), ("NAME", self.outcome.name), ("LOAD", "1" if self.options.only == "load" else "0"),
                            ("WORKLOAD", workload), ("REACHED", str(REACHED)), ("ROUNDS", str(self.options.rounds))):
            script = script.replace(f"@{word}@", value)
        buildroot.ensure("io" if filesystem else "run")
        with self._step("guest", "in a guest"):
            result = guest.boot(self.code.target, script, files={"/selftests": tests}, kos=kmod.stripped([*self.kos, ko]),
                                modules=[*self.stock, *(["brd"] if filesystem else [])],
                                programs=[f"/usr/sbin/mkfs.{filesystem}"] if filesystem else [], icount=True, append="nokaslr", mem="1500M", timeout=560,
                                name=f"{self.code.target.name}-try-{self.outcome.name}", quiet=True)
        if not result.ok:
            why = _SAID.get(result.rc or 0, "")
            raise errors.Problem(f"{self.path.name}: {why or 'the guest failed'}: {result.problem()} ({result.console})")
        if self.options.only == "load":
            return
        self._seen(result)
        self._report(result)

    def _seen(self, result: guest.Result) -> None:
        """null has to do what off does; where new does not, a person is told."""
        seen = {arm: (result.outdir / f"seen.{arm}").read_text() for arm in ("off", "null", "new")}
        if seen["null"] != seen["off"]:
            raise errors.Problem(f"{self.path.name}: a random program sees null behave unlike off")
        if seen["new"] != seen["off"]:
            self.outcome.notes.append("a random program sees new behave unlike off: is that the change?")

    def _report(self, result: guest.Result) -> None:
        for line in (result.outdir / "reach").read_text().splitlines():
            sample = json.loads(line)
            if sample.get("calls", 0) >= REACHED:
                self.outcome.reached[sample["op"]] = sample["calls"] // sample["runs"]
        operations: list[record.Operation] = []
        for name, calls in (("bench", 1), ("panel", 0)):
            path = result.outdir / name
            if not path.exists():
                continue
            rounds: dict[str, dict[str, list[float]]] = {}
            for line in path.read_text().splitlines():
                sample = json.loads(line)
                rounds.setdefault(sample["op"], {}).setdefault(sample["arm"], []).append(sample["best"])
            operations += [record.operation(op, arms, "instructions", self.outcome.reached.get(op, 0) if calls else 0,
                                            "" if calls else _void(arms)) for op, arms in rounds.items()]
        if not self.outcome.reached:
            self.outcome.notes.append("no operation of the panel comes to these functions: give one with --workload")
        self.report = self._dossier(result, operations)

    def _dossier(self, result: guest.Result, operations: list[record.Operation]) -> record.Report:
        target, out = self.code.target, self.outcome
        machine = {"release": target.release, "version": target.version, "kernel": _banner(result), "arch": "x86_64",
                   "config": kernels.config_of(target), "taint": 0, "taint_after": result.taint,
                   "hypervisor": f"QEMU {result.qemu}; {result.accel}", "packages": target.provenance,
                   "build_id": self.code.kernel().build_id().hex()}
        report = record.new(machine, _again(self.path, self.options, target.name))
        evidence = [f"functions: {', '.join(out.functions)}", f"identical with the kernel's own code: {out.identical}",
                    f"structs that it moves: none of {', '.join(f'{count} in {path}' for path, count in out.unmoved.items())}"]
        if out.copied:
            evidence.append(f"the module brings: {', '.join(out.copied)}")
        ok: record.Correctness = {"ok": True, "summary": "a random program sees null do what off does", "problems": [],
                                  "tests": []}
        report["changes"].append({
            "name": out.name, "title": out.title, "upstream": _upstream(out), "patches": {self.path.name: self.text}, "risk": [], "by_hand": [],
            "verdict": {"kind": "applicable", "evidence": evidence, "from": "module"}, "correctness": ok,
            "redirect": {"function": ", ".join(out.functions), "method": "ftrace-direct"}, "operations": operations,
            "shows": [], "notes": out.notes})
        report["changes"][0]["abi"] = self._abi()
        return report


NOISE = 0.001


def _banner(result: guest.Result) -> str:
    """What the kernel that ran says it is."""
    path = result.outdir / "version"
    return path.read_text(errors="replace").strip() if path.exists() else ""


def _again(path: pathlib.Path, options: argparse.Namespace, target: str) -> str:
    """What to type to have the same again."""
    places = [word for name in ("kernel", "modules", "kdir", "ksrc") if (where := getattr(options, name, None))
              for word in (f"--{name}", str(pathlib.Path(where).resolve()))]
    words = ["scripts/uplift", "try", str(path.resolve()), *(places or ["--target", target]), "--rounds", str(options.rounds)]
    return shlex.join(words + (["--workload", options.workload] if options.workload else []))


def _upstream(out: Outcome) -> dict[str, Any]:
    """What the patch says of its commits: git's mail names them."""
    return {"title": out.title} | ({"commit": out.commits[0]} if len(out.commits) == 1 else {})


def _void(arms: dict[str, list[float]]) -> str:
    """Why nothing is concluded of an operation that does not come to the change."""
    same = [min(arms[arm]) for arm in ("off", "off_again", "null") if arms.get(arm)]
    if same and max(same) - min(same) > NOISE * min(same):
        return "it differs by itself: off, off again and null are the same code here"
    return ""


# ---------------------------------------------------------------------- the command

def _line(out: Outcome) -> str:
    what = {ARMED: "armed", NATIVE: "native", REFUSED: "refused"}.get(out.outcome, out.outcome)
    text = f"{pathlib.Path(out.patch).name} on {out.target}: {what}"
    if out.reason:
        text += f": {out.reason}"
    if out.functions and out.outcome not in (REFUSED, NATIVE):
        text += f": {', '.join(out.functions)}; identical: {out.identical}"
    return f"{text} ({out.seconds.get('all', 0):.0f} s)"


def _target(args: argparse.Namespace) -> kernels.Target:
    want = {*fetch.USUAL, "source"} - {"slice"}
    return commands.chosen(args, want)


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


def _check(args: argparse.Namespace) -> list[Given]:
    """What is wrong with the words, before anything is downloaded or built."""
    given = _given(args)
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
    if args.keep:
        for one in given:
            keep_in(args.keep, one.name)
    return given


def _try(args: argparse.Namespace) -> int:
    given = _check(args)
    code = KernelCode(_target(args))
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
        _show(args, trial, out)
    if args.json:
        json.dump(results if len(results) > 1 else results[0], sys.stdout, indent=1)
        print()
    return status


def _show(args: argparse.Namespace, trial: Trial, out: Outcome) -> None:
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
    parser.add_argument("--target", metavar="TARGET", help="one of: " + " ".join(targets.TABLE))
    parser.add_argument("--kernel", metavar="BZIMAGE", help="a kernel of your own: its image")
    parser.add_argument("--modules", metavar="DIR", help="its modules")
    parser.add_argument("--kdir", metavar="DIR", help="its headers or build directory")
    parser.add_argument("--ksrc", metavar="DIR", help="its source tree")
    parser.add_argument("--workload", metavar="COMMAND", help="run this in the guest with the change on")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of measuring (3)")
    parser.add_argument("--keep", metavar="DIR", help="copy the module's source and .ko there")
    parser.add_argument("--git", metavar="DIR", help="a clone of the kernel's repository: what fixes or reverts the commit, "
                                                     "what it needs, and which stable branches have it")
    parser.add_argument("--base", metavar="COMMIT", default="", help="where the kernel is in that clone (the tag vX.Y.Z of "
                                                                     "its version)")
    parser.add_argument("--json", action="store_true", help="what was found, as JSON")
    parser.add_argument("--only", choices=STEPS, help="stop after this step")
    parser.set_defaults(func=_try)
