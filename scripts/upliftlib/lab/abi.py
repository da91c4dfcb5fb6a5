# SPDX-License-Identifier: GPL-2.0-only
"""What a change does to the kernel's ABI: the CRCs of the symbols that its files export, before and after, by the tool of the
target's kbuild, genksyms or gendwarfksyms. A kernel without CONFIG_MODVERSIONS carries no CRCs: they are computed all the
same, to compare."""

import difflib
import hashlib
import json
import pathlib
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import cast

from ..base import changes, errors, paths
from ..generator import bodies, manifests
from ..report import record
from . import buildroot, kernels, kmod

# For make: with it kbuild calls its tool for CRCs and writes what that says behind an object's command; the code stays as it is.
MODVERSIONS = "CONFIG_MODVERSIONS=y"
_EXPORTED = re.compile(r"^\s*EXPORT_(?:SYMBOL|STATIC_CALL|TRACEPOINT)\w*\s*\(", re.MULTILINE)
_CRC = re.compile(r"^#SYMVER (\S+) (0x[0-9a-f]+)", re.MULTILINE)
_STRUCT = re.compile(r"\b(struct|union)\s+(\w+)\s*\{")
_NONE = "0x00000000"	# where the kernel was built without

Crcs = dict[str, str]


def crcs(obj: pathlib.Path) -> Crcs:
    """{exported symbol: its CRC}, as kbuild left it beside an object that was compiled with MODVERSIONS."""
    return dict(_CRC.findall((obj.parent / f".{obj.name}.cmd").read_text(errors="replace")))


def of_kernel(kdir: pathlib.Path) -> Crcs:
    """Those of the kernel itself."""
    try:
        lines = (kdir / "Module.symvers").read_text().splitlines()
    except OSError:
        return {}
    return {fields[1]: fields[0] for line in lines if len(fields := line.split("\t")) > 1}


def tool(kdir: pathlib.Path) -> str:
    """What computes CRCs there."""
    try:
        config = (kdir / "include/config/auto.conf").read_text()
    except OSError:
        config = ""
    return "gendwarfksyms" if re.search(r"^CONFIG_GENDWARFKSYMS=y$", config, re.MULTILINE) else "genksyms"


def compared(files: Iterable[str], before: Mapping[str, str], after: Mapping[str, str],
             kernel: Mapping[str, str], made_by: str = "genksyms") -> record.Abi:
    """What a report has of it. @made_by: the tool()"""
    there = {name: crc for name in before if (crc := kernel.get(name, _NONE)) != _NONE}
    same = sum(int(before[name], 16) == int(crc, 16) for name, crc in there.items())
    how = (f"{same} of {len(there)} as in its Module.symvers" if there else
           "the kernel itself carries none" if before else "none to compare")
    return {"method": f"{made_by} of its kbuild; {how}", "files": sorted(files), "layouts": [],
            "symbols": {name: [before.get(name, ""), after.get(name, "")] for name in sorted({*before, *after})}}


def structs(text: str) -> dict[str, str]:
    """{"struct NAME" or "union NAME": its definition without blanks} of a file of C."""
    found = {}
    for match in _STRUCT.finditer(text):
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        found[f"{match[1]} {match[2]}"] = "".join(text[match.end():at].split())
    return found


def moved(before: str, after: str) -> list[str]:
    """What a patch of a file does to the structs that the file defines. No header is patched: no other can change, and of
    these no other file knows what is in them, genksyms neither."""
    old, new = structs(before), structs(after)
    return [f"{name}, which only that file knows, is defined otherwise" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]


def _not_looked_at(why: str) -> record.Abi:
    return {"method": "", "files": [], "symbols": {}, "layouts": [], "problem": why}


def of_change(change: changes.Change, target: kernels.Target) -> tuple[record.Abi, dict[str, str]]:
    """The same of a change that ships with us: its arm new, against the file as it is; and that as {file.patch: a unified diff}."""
    if not change.generated:
        return _not_looked_at("the module stands beside the kernel's code and does not change it; upstream's patch was not "
                              "applied"), {}
    if not target.ksrc or not target.kdir:
        return _not_looked_at("the kernel's source is not here"), {}
    name = "manifest.toml" if change.backport else f"{change.name}.toml"
    manifest = manifests.read(change.directory / name)
    diff: dict[str, str] = {}
    try:
        text = (target.ksrc / manifest["source"]).read_text()
        after = _patched(change, manifest, target.ksrc, text)
        diff = {f"{manifest['source']}.patch": _diff(manifest["source"], text, after)}
        if header := manifest["arms"]["new"].get("header"):
            diff[f"modules/{change.name}/{header}"] = change.text(header)
        found = compared([manifest["source"]], {}, {}, {})
        if _EXPORTED.search(text) or _EXPORTED.search(after):
            found = _kept(change, manifest, target, text, after)
        found["layouts"] = moved(text, after)
        return found, diff
    except (OSError, errors.Problem) as problem:
        return _not_looked_at(str(problem).splitlines()[0]), diff


def _diff(path: str, before: str, after: str) -> str:
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}"))


def _patched(change: changes.Change, manifest: manifests.Manifest, ksrc: pathlib.Path, text: str) -> str:
    """The file with the arm new's semantic patch, and with the header that this takes."""
    arm = manifest["arms"]["new"]
    forms = arm.get("patch", [])
    if "reuse" in manifest and bodies.reused(ksrc, manifest["reuse"]):
        forms = arm.get("reuse_patch", forms)
    where = paths.ensure(paths.BUILD / "try" / "abi") / f"{change.name}.c"
    for form in forms if isinstance(forms, list) else [forms]:
        where.write_text(text)
        buildroot.output(["spatch", "--very-quiet", "--no-includes", "--sp-file", change.directory / form["file"],
                          "--in-place", where])
        if (found := where.read_text()) != text:
            return _with_header(found, arm.get("header"))
    raise errors.Problem(f"no semantic patch of the arm new fits {manifest['source']}")


def _with_header(text: str, header: str | None) -> str:
    """The header behind the last of the includes at the top, before any code and condition."""
    if not header:
        return text
    lines = text.split("\n")
    code = next((at for at, line in enumerate(lines) if re.match(r"#\s*(if|define)|[a-z]", line)), len(lines))
    last = max((at for at, line in enumerate(lines[:code]) if re.match(r"#\s*include\b", line)), default=code - 1)
    return "\n".join([*lines[:last + 1], f'#include "{header}"', *lines[last + 1:]])


def _kept(change: changes.Change, manifest: manifests.Manifest, target: kernels.Target, text: str, after: str) -> record.Abi:
    """The comparison, kept for the next time."""
    key = hashlib.sha256("\0".join((target.version, str(target.kdir), text, after)).encode()).hexdigest()[:16]
    kept = paths.ensure(paths.BUILD / "try" / "abi" / target.release) / f"{change.name}-{key}.json"
    if kept.exists():
        return cast(record.Abi, json.loads(kept.read_text()))
    kdir = cast(pathlib.Path, target.kdir)
    found = compared([manifest["source"]], _compiled(change, manifest, target, text, "before"),
                     _compiled(change, manifest, target, after, "after"), of_kernel(kdir), tool(kdir))
    paths.write(kept, json.dumps(found, indent=1) + "\n")
    return found


def _compiled(change: changes.Change, manifest: manifests.Manifest, target: kernels.Target, text: str, when: str) -> Crcs:
    """The CRCs of a file, compiled as a part of the kernel's image."""
    assert target.ksrc and target.kdir
    source = pathlib.Path(manifest["source"])
    where = paths.BUILD / "try" / "abi" / target.release / change.name / when
    paths.remove(where)
    paths.ensure(where)
    (where / source.name).write_text(text)
    for path in change.directory.glob("*.h"):
        shutil.copy2(path, where / path.name)
    obj = source.with_suffix(".o").name
    (where / "Kbuild").write_text(f"obj-y := {obj}\nccflags-y := -I{target.ksrc / source.parent} -I{where}\n")
    cc = kmod.compiler(target.kdir)
    binds = [path for path in (target.ksrc, *kmod._binds(target.kdir)) if paths.BUILD not in path.parents]
    code, said = buildroot.output(["make", *kmod.make_words(target.kdir), f"M={where}", MODVERSIONS,
                                   *([f"CC={cc}"] if cc else []), obj], cwd=where, binds=binds)
    if code or not (where / obj).exists():
        line = next((line for line in said.splitlines() if re.search(r"\berror\b|\*\*\*", line)), "make gave no reason")
        raise errors.Problem(f"{manifest['source']} does not compile by itself {when} the change: {line}")
    return crcs(where / obj)
