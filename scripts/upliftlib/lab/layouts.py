# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab layout`: is `uplift layout` right, and does layout.h keep its word?

On each target: sizes, offsets and holes of every struct against pahole's; modules that use layout.h built with the target's
own build system, of which a false one has to end the build. Once: the unit tests in the build root, with every compiler
that layout.h supports, and 10,000 random structs judged by brute force.
"""

import argparse
import functools
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from .. import layout
from ..base import console, errors, paths, targets
from ..kernel.btf_types import Types
from ..layout import headers
from . import buildroot, fetch, kmod, pahole

DIRECTORY = paths.BUILD / "layout"
STRUCTS = 10000

_KBUILD = """# SPDX-License-Identifier: GPL-2.0
obj-m := single.o several.o
several-y := first.o second.o
include {core}/layout.mk
"""

_RECORD = """
#include <linux/module.h>
#include <linux/types.h>
#include "layout.h"
struct record { u32 kind; u8 name[12]; struct layout_be64 when; };
LAYOUT_BYTES(struct record, kind, name, when);
struct wire { __be32 address; __be16 port; u8 pad[2]; };
LAYOUT_BYTES(struct wire, address, port, pad);
LAYOUT_BIG_ENDIAN(struct wire);
"""
_MODULE = _RECORD + """
static int __init made(void)
{
	static u8 buf[64] __aligned(8);
	const struct record *record = layout_view(struct record, buf, sizeof(buf));

	return record ? 0 : -EINVAL;
}
module_init(made);
MODULE_DESCRIPTION("uses layout.h");
MODULE_LICENSE("GPL");
"""

# What the compiler cannot see: (declaration, what the build step says).
FALSE = (
    ("struct f { u8 a; bool hidden; u32 b; }; LAYOUT_FROM_BYTES(struct f, a, b);",
     "FAIL struct f: not from bytes: hidden, at 1: bool"),
    ("union g { u64 a; void *hidden; }; LAYOUT_FROM_BYTES(union g, a);", "FAIL union g: not from bytes: hidden, at 0: pointer"),
    ("struct h { __be32 a; u32 b; }; LAYOUT_BIG_ENDIAN(struct h);", "FAIL struct h: not of one byte order: b, at 4: names no"),
)


class Results:
    """Counts and prints."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def add(self, what: str, wrong: list[str]) -> None:
        """One result, with what is wrong."""
        print(f"{'FAIL' if wrong else 'ok  '} {what}", flush=True)
        for line in wrong[:20]:
            print(f"    {line}")
        self.passed, self.failed = self.passed + (not wrong), self.failed + bool(wrong)

    def run(self, what: str, check: Callable[[], Iterator[tuple[str, list[str]]]]) -> None:
        """The results of a check; a Problem is one as well."""
        try:
            for name, wrong in check():
                self.add(name, wrong)
        except errors.Skip as reason:
            console.warn(f"skipped: {reason}")
            self.skipped += 1
        except errors.Problem as problem:
            self.add(what, [str(problem)])


# --- every struct of a kernel ---

def _structs(name: str) -> Iterator[tuple[str, list[str]]]:
    target = fetch.fetch(name, {"image", "headers"})
    btf = kmod.btf_of(target)
    if btf is None or target.vmlinuz is None:
        raise errors.Skip(f"{name}: its image has no BTF")
    start = time.process_time()
    types = layout.load(target.vmlinuz).types
    words = list(layout.Judge(types).verdicts())
    seconds = time.process_time() - start
    count, wrong = pahole.differences(types, _pahole(btf))
    yield f"{name}: sizes, offsets and holes of {count} structs and unions are pahole's", wrong or ([] if count > 5000 else ["too few"])
    yield _uapi(name, target, types)
    print(f"     {name}: {len(words)} judged in {seconds:.2f} s of CPU time, from the image on", flush=True)


def _pahole(btf: pathlib.Path) -> str:
    """What pahole prints of BTF; its warnings are of tags."""
    code, text = buildroot.output(["sh", "-c", 'pahole -F btf "$1" 2>/dev/null', "pahole", btf], binds=[btf.parent.resolve()])
    if code:
        raise errors.Problem(f"pahole ended with status {code} on {btf}")
    return text


def _uapi(name: str, target: Any, types: Types) -> tuple[str, list[str]]:
    """That the structs of UAPI headers are found among the kernel's."""
    common = next(iter(sorted(target.kdir.parent.glob("linux-headers-*-common"))), target.kdir)
    found = headers.defined(headers.uapi(common)).keys() & types.structs().keys()
    padded = [one for one in found if not layout.Judge(types).verdict(one).into_bytes]
    return f"{name}: {len(found)} structs of UAPI headers among them, {len(padded)} with padding", [] if len(found) > 500 else ["too few"]


# --- the build step ---

def _modules(name: str) -> Iterator[tuple[str, list[str]]]:
    target = fetch.fetch(name, {"headers"})
    if target.kdir is None:
        raise errors.Skip(f"{name}: no headers")
    buildroot.ensure(*{"run", kmod.wanted_compiler(target.kdir)})
    directory = DIRECTORY / name
    paths.remove(directory)
    _write(directory, "")
    code, text = _make(target.kdir, directory)
    said = [line for line in text.splitlines() if re.search(r"warning|error", line, re.IGNORECASE) and "BTF" not in line]
    yield f"{name}: modules that use layout.h build without a warning, and are checked", \
        (said or text.splitlines()[-5:]) if code or said or text.count("LAYOUT ") != 2 else []
    _write(directory, "\n".join(declaration for declaration, _ in FALSE))
    code, text = _make(target.kdir, directory)
    for declaration, words in FALSE:
        yield f"{name}: ends the build: {declaration}", [] if code and words in text else text.splitlines()[-10:]
    paths.remove(directory)


def _write(directory: pathlib.Path, declaration: str) -> None:
    paths.ensure(directory)
    (directory / "Kbuild").write_text(_KBUILD.format(core=paths.TOP / "modules/core"))
    (directory / "single.c").write_text(_MODULE)
    (directory / "first.c").write_text(_RECORD + 'MODULE_DESCRIPTION("uses layout.h");\nMODULE_LICENSE("GPL");\n')
    (directory / "second.c").write_text(f"{_RECORD}{declaration}\n")


def _make(kdir: pathlib.Path, directory: pathlib.Path) -> tuple[int, str]:
    compiler = kmod.compiler(kdir)
    argv = ["make", "-C", str(kdir), f"M={directory}", "W=1", *([f"CC={compiler}"] if compiler else []), "modules"]
    return buildroot.output(argv, cwd=directory, binds=kmod._binds(kdir))


# --- once ---

def _unit(count: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """The unit tests where every compiler is, and pahole."""
    buildroot.ensure("layout")
    with console.doing(f"{count} random structs, and what must not compile, with {', '.join(buildroot.LAYOUT)}"):
        code, text = buildroot.output(["python3", "-B", "-m", "unittest", "scripts/tests/layout_test.py"],
                                      env={"UPLIFT_LAYOUT_STRUCTS": str(count), "UPLIFT_LAYOUT_SEED": str(seed)})
    bad = code or not re.search(r"(?m)^Ran [1-9]", text) or "skipped" in text
    yield f"unit tests with {', '.join(buildroot.LAYOUT)}; {count} random structs, from seed {seed} on", text.splitlines()[-30:] if bad else []


def _layout(args: argparse.Namespace) -> int:
    names = args.targets or list(targets.TABLE)
    for name in names:
        targets.spec(name)
    buildroot.ensure()
    results = Results()
    for name in names:
        results.run(f"{name}: structs", functools.partial(_structs, name))
        results.run(f"{name}: modules", functools.partial(_modules, name))
    if args.structs:
        results.run("unit tests", functools.partial(_unit, args.structs, args.seed))
    print(f"layout: {results.passed} passed, {results.failed} failed, {results.skipped} skipped")
    return errors.FAIL if results.failed else errors.OK if results.passed else errors.SKIP


def register(commands: Any) -> None:
    """Add `uplift lab layout`."""
    parser = commands.add_parser("layout", help="is uplift layout right? against pahole, compilers and brute force",
                                 description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--structs", type=int, default=STRUCTS, metavar="N", help=f"random structs ({STRUCTS}); 0: no unit tests either")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="where they begin (1)")
    parser.set_defaults(func=_layout)
