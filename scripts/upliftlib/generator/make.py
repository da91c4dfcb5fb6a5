# SPDX-License-Identifier: GPL-2.0-only
"""Generate the bodies of one change for one kernel; called by modules/<change>/Kbuild and modules/backports/Kbuild.

Reads the manifest <change>.toml (a backport has manifest.toml, see docs/backport-guide.md), writes <change>_<arm>.c and
<change>_gen.h, and prints the names of the objects to link. Files that would not change are not touched, so that nothing
is compiled again. Anything that does not fit exactly ends with status 1 and one line on standard error; where a semantic
patch makes another difference than it must, the difference follows.

--btf none checks nothing against a built kernel: it is for bodies that are compiled into the tree that they are lifted
from, where layouts cannot differ. --function then names the function of the manifest to lift.

A backport gets the whole module: <change>_main.c is made from ../main.c.in, with the verdict that the rules ([[static]])
in about.toml give, and module.mk tells Kbuild which objects it links.

usage: generate-bodies --change DIR --ksrc DIR --kdir DIR --btf FILE --out DIR
       generate-bodies --change DIR --ksrc DIR --btf none --function NAME --out DIR
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..base.errors import Problem
from ..kernel import btf
from . import csource, lifting, manifests

Version = tuple[int, ...]


class Verdict(NamedTuple):
    """What the rules of a backport make of a kernel."""
    kind: str
    says: str		# the reason
    asked: str		# "types" or "source": what the rule looked at


def _version(path: pathlib.Path, pattern: str, words: Sequence[str]) -> Version | None:
    """A version of three numbers in a file: (7, 1, 13); None if it is not there."""
    try:
        text = path.read_text()
    except OSError:
        return None
    found = [re.search(pattern % word, text, re.MULTILINE) for word in words]
    return tuple(int(match[1]) for match in found if match) if all(found) else None


def _extraversion(directory: pathlib.Path, depth: int = 3) -> str | None:
    """EXTRAVERSION as a tree's Makefile sets it ("", "-rc4"); None where there is none to be read.

    The Makefile of a build directory, and of a distribution's headers, may only include that of another directory.
    """
    try:
        text = (directory / "Makefile").read_text()
    except (OSError, ValueError):
        return None
    found = re.search(r"^EXTRAVERSION[ \t]*[:?]?=([^#\n]*)", text, re.MULTILINE)
    if found:
        return found[1].strip() if "$" not in found[1] else None
    included = re.search(r"^include[ \t]+([^\s$]+)/Makefile[ \t]*$", text, re.MULTILINE)
    return _extraversion(directory / included[1], depth - 1) if included and depth else None


def version_of_source(ksrc: pathlib.Path) -> tuple[Version, str | None]:
    """The version of a source tree: ((7, 1, 13), "")."""
    version = _version(ksrc / "Makefile", r"^%s = (\d+)$", ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    if not version:
        raise Problem(f"KSRC={ksrc} is no kernel source tree")
    return version, _extraversion(ksrc)


def version_of_headers(kdir: pathlib.Path) -> tuple[Version, str | None]:
    """The version that the headers are of, as version_of_source()."""
    version = _version(kdir / "include/generated/uapi/linux/version.h", r"^#define LINUX_VERSION_%s (\d+)$",
                       ("MAJOR", "PATCHLEVEL", "SUBLEVEL"))
    if not version:
        raise Problem(f"KDIR={kdir} is not configured: no version in include/generated/uapi/linux/version.h")
    return version, _extraversion(kdir)


def find_btf(given: str, kdir: pathlib.Path) -> pathlib.Path:
    """The file that has the target's BTF."""
    running = pathlib.Path("/sys/kernel/btf/vmlinux")
    if given:
        path = pathlib.Path(given)
        if not path.is_file():
            raise Problem(f"BTF={given}: no such file")
        return path
    if (kdir / "vmlinux").is_file():
        return kdir / "vmlinux"
    release = pathlib.Path("/proc/sys/kernel/osrelease").read_text().strip()
    built = kdir / "include/generated/utsrelease.h"
    of = re.search(r'UTS_RELEASE "([^"]+)"', built.read_text()) if built.is_file() else None
    if running.is_file() and of and of[1] == release:
        return running
    # one that is installed, and not running yet
    if of and os.access(image := pathlib.Path("/boot/vmlinuz-" + of[1]), os.R_OK):
        return image
    raise Problem("the target's BTF is needed, to check private layouts against: BTF=FILE, a vmlinux, its .BTF "
                  "section or a bzImage (on a machine that runs it: /sys/kernel/btf/vmlinux)")


class NoBtf:
    """In place of a kernel's BTF where there is no kernel yet."""

    path, size, crc = "--btf none", 0, 0

    def __init__(self, function: str) -> None:
        self.functions = {function}

    def has(self, what: str) -> bool:
        """btf.Btf.has(): there are no types to ask."""
        raise Problem(f"--btf none: a [[static]] rule asks for '{what}' of the kernel's types")


Kernel = btf.Btf | NoBtf


def target(ksrc: pathlib.Path, kdir: pathlib.Path, btf_file: str) -> btf.Btf:
    """The BTF of the kernel that KSRC and KDIR are of."""
    (source_version, source_extra), (headers_version, headers_extra) = version_of_source(ksrc), version_of_headers(kdir)
    if source_version != headers_version:
        raise Problem("KSRC={} is the source of {}.{}.{}, and KDIR={} is for {}.{}.{}".format(
            ksrc, *source_version, kdir, *headers_version))
    if None not in (source_extra, headers_extra) and source_extra != headers_extra:
        raise Problem("KSRC={} is the source of {}.{}.{} with EXTRAVERSION '{}', and KDIR={} is for one with '{}'"
                      .format(ksrc, *source_version, source_extra, kdir, headers_extra))
    return btf.Btf(find_btf(btf_file, kdir))


def reused(ksrc: pathlib.Path, reuse: manifests.Reuse) -> str | None:
    """The function that calls again with an iterator that is finished, or None."""
    for pattern in reuse["files"]:
        files = sorted(ksrc.glob(pattern))
        if not files:
            raise Problem(f"KSRC={ksrc} has no {pattern}, where calls of {reuse['function']}() are looked for")
        for path in files:
            for item in csource.Source(path).items:
                if item.kind != "function" or reuse["function"] in item.names:
                    continue
                # called in two places with the same first argument
                first = [item.masked[match.end():].partition("(")[2].partition(",")[0].strip()
                         for match in csource.calls(reuse["function"], item.masked)]
                if len(first) != len(set(first)):
                    return item.names[0]
    return None


def write(path: pathlib.Path, text: str) -> None:
    """Write a file unless it is so already: a file that is not touched is not compiled again."""
    try:
        if path.read_text() == text:
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def verdict(change_dir: pathlib.Path, source: csource.Source, manifest: manifests.Manifest, kernel: Kernel) -> Verdict:
    """What the rules in a backport's about.toml make of a kernel."""
    about = manifests.about(change_dir / "about.toml")
    for rule in about["static"]:
        wanted = "has" in rule
        what = rule["has"] if wanted else rule["lacks"]
        asked, _, words = what.partition(" ")
        if asked == "source":
            there = any(" ".join(words.split()) in " ".join(item.text.split())
                        for name in manifest["functions"] for item in source.named(name, "function"))
        else:
            asked, there = "types", kernel.has(what)
        if there == wanted:
            return Verdict(rule["verdict"], rule["says"], asked)
    raise Problem(f"{change_dir / 'about.toml'}: no [[static]] rule holds for {kernel.path}")


def _c_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def module(change_dir: pathlib.Path, manifest: manifests.Manifest, of: str, out: pathlib.Path, objects: Sequence[str],
           function: str, said: Verdict) -> None:
    """Write what a backport's module is made of beside the bodies."""
    change = change_dir.name
    words = {"NAME": change, "MACRO": change.upper(), "FUNCTION": function, "KIND": said.kind.upper(),
             "ASKED": said.asked, "SAYS": _c_string(said.says),
             "DESCRIPTION": _c_string("uplift: " + manifests.about(change_dir / "about.toml")["title"])}
    template = change_dir.parent / "main.c.in"
    text = re.sub(r"@([A-Z]+)@", lambda match: words[match[1]], template.read_text())
    write(out / f"{change}_main.c", text)
    where = f"{change}/{out.name}"
    write(out / "module.mk", "\n".join([
        f"# Generated by scripts/generate-bodies for {of}. Do not keep.", f"obj-m += uplift_{change}.o",
        f"uplift_{change}-y := " + " ".join(f"{where}/{name}" for name in (f"{change}_main.o", *objects)),
        f"CFLAGS_{where}/{change}_main.o := -I$(uplift-modules)/backports/{where}",
        # the file's own directory, for what lies beside it
        *(f"CFLAGS_{where}/{name} := -I$(uplift-modules)/backports/{change} "
          f"-I$(KSRC)/{pathlib.Path(manifest['source']).parent}" for name in objects), ""]))


def one_of(text: str, change_dir: pathlib.Path, forms: Iterable[manifests.Patch], of: str) -> str:
    """text under the first semantic patch that makes the difference it must; where none does, what each says."""
    said = []
    for form in forms:
        try:
            return lifting.patched(text, change_dir / form["file"], form, of)
        except Problem as problem:
            said.append(str(problem))
    raise Problem("\n".join(said))


def generate(change_dir: pathlib.Path, ksrc: pathlib.Path, kernel: Kernel, of: str, out: pathlib.Path) -> list[str]:
    """Write the files; returns the names of the objects."""
    change = change_dir.name
    path = change_dir / f"{change}.toml"
    backport = not path.exists() and (change_dir / "manifest.toml").exists()
    if backport:
        path = change_dir / "manifest.toml"
        if not re.fullmatch(r"[a-z][a-z0-9]*", change):
            raise Problem(f"{change_dir}: the name of a backport is small letters and digits, as it becomes one in C")
    manifest = manifests.read(path)
    if backport and set(manifest["arms"]) != {"null", "new"}:
        raise Problem(f"{path}: a backport has the arms null and new")
    if not (ksrc / manifest["source"]).is_file():
        raise Problem(f"KSRC={ksrc} has no {manifest['source']}, the 'source' in {path.name}")
    source = csource.Source(ksrc / manifest["source"])
    said = verdict(change_dir, source, manifest, kernel) if backport else None
    function = next((name for name in manifest["functions"] if name in kernel.functions), None)
    if not function and said and said.kind != "applicable":
        function = manifest["functions"][0]
    if not function:
        raise Problem(f"{kernel.path}: none of {', '.join(manifest['functions'])} is a function of its own in this "
                      "kernel")
    reuser = reused(ksrc, manifest["reuse"]) if "reuse" in manifest else None

    macro = f"UPLIFT_{change.upper()}"
    header = [f"/* Generated by scripts/generate-bodies for {of}. Do not keep. */",
              f"#ifndef _{macro}_GEN_H", f"#define _{macro}_GEN_H", "",
              "#include <linux/percpu.h>", *(f"#include <{name}>" for name in manifest["declares"]), "",
              '#include "body.h"', "", *lifting.counters(change, manifest["arms"]),
              f'#define {macro}_FUNCTION "{function}"',
              f"#define {macro}_BTF_SIZE {kernel.size}", f"#define {macro}_BTF_CRC {kernel.crc:#x}"]
    if reuser:
        header.append(f'#define {macro}_REUSE "{reuser}"')

    objects: list[str] = []
    arms = manifest["arms"] if not said or said.kind == "applicable" else {}
    for arm, options in arms.items():
        if "when" in options and not source.named(options["when"]):
            continue
        lift = lifting.Lift(source, function, change, needs=options.get("needs", ()), replace=options.get("replace"),
                           bind=[*manifest.get("bind", ()), *manifest.get("bind_objects", ())],
                           bind_via=manifest.get("bind_via"), copy=manifest.get("copy", ()))
        text = lifting.Body(lift, arm, manifest, kernel).text(f"{manifest['source']} of {of}")
        if not isinstance(kernel, NoBtf):
            text += "\n" + lifting.layouts([*lift.structs(), *manifest.get("types", ())], kernel)
        patch = options.get("patch")
        if reuser:
            patch = options.get("reuse_patch", patch)
        if patch:
            forms = patch if isinstance(patch, list) else [patch]
            text = one_of(text, change_dir, forms, f"{function}() of {source.path}")
        name = f"{change}_{arm}"
        write(out / f"{name}.c", text)
        objects.append(f"{name}.o")
        result, parameters, _ = lift.signature()
        header += ["", *(f"struct {tag};" for tag in re.findall(r"struct (\w+)", parameters)),
                   f"#define {macro}_{arm.upper()}", f"{result} uplift_{name}({parameters});",
                   f"int uplift_{name}_bind(void);"]
    header += ["", f"#endif /* _{macro}_GEN_H */", ""]
    write(out / f"{change}_gen.h", "\n".join(header))
    if said:
        module(change_dir, manifest, of, out, objects, function, said)
    return objects


def main() -> None:
    """The command, see above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("change", "ksrc", "kdir", "out"):
        parser.add_argument(f"--{option}", type=lambda text: pathlib.Path(text).resolve(), required=option != "kdir")
    parser.add_argument("--btf", default="")
    parser.add_argument("--function")
    args = parser.parse_args()
    if (args.btf == "none") != bool(args.function) or (args.btf == "none") == bool(args.kdir):
        parser.error("either --kdir, or --btf none with --function")
    try:
        kernel: Kernel = NoBtf(args.function) if args.function else target(args.ksrc, args.kdir, args.btf)
        objects = generate(args.change, args.ksrc, kernel, (args.kdir or args.ksrc).name, args.out)
    except (Problem, OSError) as problem:
        sys.exit(f"{args.change.name}: {problem}")
    print(*objects)
