# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab debug`: a target's kernel built again to find mistakes, from its own source package.

config/guest.config has what a guest needs, config/KIND.config what is looked for. A symbol that a fragment names
and this kernel does not know is said; one that it knows and did not take is an error, since a checker that is not
there finds nothing.
"""

import argparse
import hashlib
import os
import pathlib
import re
import threading
from collections.abc import Collection, Mapping
from typing import Any

from ..base import console, errors, paths, targets
from . import buildroot, fetch, kernels

CONFIG = pathlib.Path(__file__).resolve().parent / "config"
KINDS = {
    "debug": "KASAN, lockdep, PROVE_RCU, debug objects, kmemleak, fault injection",
    "kcsan": "KCSAN, data races",
}
DEBUG = paths.BUILD / "debug"


def wanted(kind: str) -> dict[str, str]:
    """{symbol: value} of a kind's fragments."""
    values = {}
    for name in ("guest", kind):
        for line in (CONFIG / f"{name}.config").read_text().splitlines():
            match = re.fullmatch(r"(CONFIG_\w+)=(\S+)", line)
            if match:
                values[match[1]] = match[2]
    return values


def lacking(values: Mapping[str, str], config: str, known: Collection[str]) -> tuple[list[str], list[str]]:
    """What of the wanted values a configuration has not: (symbols that the kernel does not know, lines about others)."""
    has = dict(re.findall(r"^(CONFIG_\w+)=(\S+)$", config, re.MULTILINE))
    unknown, bad = [], []
    for symbol, value in values.items():
        if has.get(symbol, "n") == value:
            continue
        if symbol.removeprefix("CONFIG_") not in known:
            unknown.append(symbol)
        else:
            bad.append(f"{symbol}={has.get(symbol, 'n')}, not {value}")
    return unknown, bad


def known_symbols(tree: pathlib.Path) -> set[str]:
    """The names that a kernel tree's Kconfig files define."""
    found: set[str] = set()
    for path in pathlib.Path(tree).rglob("Kconfig*"):
        if path.is_file():
            found.update(re.findall(r"^\s*(?:menu)?config\s+(\w+)", path.read_text(errors="replace"), re.MULTILINE))
    return found


def _configure(tree: pathlib.Path, obj: pathlib.Path, kind: str) -> None:
    values = wanted(kind)
    fragment = obj / "wanted.config"
    paths.write(fragment, "".join(f"{key}={value}\n" for key, value in values.items()))
    code, text = buildroot.output(["make", "-C", tree, f"O={obj}", "ARCH=x86_64", "CC=gcc-14",
                                   f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"])
    if code:
        raise errors.Problem(f"the debug kernel cannot be configured:\n{text.rstrip()}")
    unknown, bad = lacking(values, (obj / ".config").read_text(), known_symbols(tree))
    if bad:
        raise errors.Problem(f"the configuration of {tree} does not come out as wanted: {'; '.join(bad)}")
    if unknown:
        console.note(f"not known to this kernel: {' '.join(unknown)}")


def _make(tree: pathlib.Path, obj: pathlib.Path, goals: list[str], what: str) -> None:
    """make, with the number of files compiled so far now and then."""
    log = obj / "build.log"
    over = threading.Event()

    def beat() -> None:
        while not over.wait(30):
            done = sum(1 for _ in open(log, errors="replace")) if log.exists() else 0
            console.note(f"{what}: {done} steps")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        buildroot.run(["make", "-C", tree, f"O={obj}", "ARCH=x86_64", "CC=gcc-14", "KBUILD_BUILD_HOST=uplift",
                       "KBUILD_BUILD_USER=uplift", f"-j{os.cpu_count() or 1}", *goals], log=log, check=True)
    finally:
        over.set()
        thread.join()


def half_made(obj: pathlib.Path) -> list[pathlib.Path]:
    """What a build that was killed may have been writing, by make's own notes: they are written after it (or before the
    object is worked on again; what was finished and looks so is only made once more)."""
    found = []
    for path in obj.rglob("*.[oa]"):
        note = path.with_name(f".{path.name}.cmd")
        if path.is_file() and (not note.exists() or note.stat().st_mtime_ns < path.stat().st_mtime_ns):
            found.append(path)
    return found


def _begun(place: pathlib.Path, digest: str) -> None:
    """An interrupted build goes on, but not one of another source: what it has left is of no use."""
    note = place / "begun"
    if not note.exists() or note.read_text() != digest:
        paths.remove(place / "obj")
        paths.write(note, digest)


def _built(tree: pathlib.Path, place: pathlib.Path, what: str, kind: str) -> int:
    """Build the kernel and its modules below a directory; the image's size."""
    obj = paths.ensure(place / "obj")
    for path in half_made(obj):
        path.unlink()
    _configure(tree, obj, kind)
    _make(tree, obj, ["bzImage", "modules"], what)
    paths.remove(place / "modules")
    _make(tree, obj, [f"INSTALL_MOD_PATH={place / 'modules'}", "modules_install"], what)
    return (obj / "arch/x86/boot/bzImage").stat().st_size


def build(name: str, kind: str) -> kernels.Target:
    """The Target, built if it is not there: {name}-{kind}, with headers, modules and source."""
    stock = fetch.fetch(name, {*fetch.USUAL, "source"})
    if not stock.ksrc:
        raise errors.Skip(f"target {name}: no source")
    tree, what = stock.ksrc.resolve(), f"{name}-{kind}"
    place = paths.ensure(DEBUG / what)
    obj, stamp = place / "obj", place / "stamp"
    text = "".join((CONFIG / f"{part}.config").read_text() for part in ("guest", kind))
    # what is built names the directories in which it was built
    digest = hashlib.sha256(f"{stock.version}\n{tree}\n{obj}\n{text}".encode()).hexdigest()
    buildroot.ensure("test")
    with paths.lock(f"debug-{what}"):
        if not stamp.exists() or stamp.read_text() != digest:
            stamp.unlink(missing_ok=True)	# it is of what is built over now
            _begun(place, digest)
            with console.doing(f"building {name}'s kernel with {KINDS[kind]}") as doing:
                doing.result = f"{_built(tree, place, what, kind) >> 20} MiB"
            paths.write(stamp, digest)
    release = (obj / "include/config/kernel.release").read_text().strip()
    return kernels.Target(name=what, release=release, version=f"{stock.version} ({kind})",
                          vmlinuz=obj / "arch/x86/boot/bzImage", moddir=place / "modules", kdir=obj, ksrc=tree,
                          config=obj / ".config", provenance=stock.provenance)


def _debug(args: argparse.Namespace) -> int:
    target = build(args.target, args.kind)
    print(f"--kernel {target.vmlinuz} --modules {target.moddir} --kdir {target.kdir} --ksrc {target.ksrc}")
    return errors.OK


def register(commands: Any) -> None:
    """Add `uplift lab debug`."""
    parser = commands.add_parser("debug", help="build a target's kernel with checkers, from its source package",
                                 description="Build a target's kernel with what finds mistakes, from its source "
                                             "package, and print the options with which the lab takes it.")
    parser.add_argument("target", metavar="TARGET", choices=list(targets.TABLE))
    parser.add_argument("--kind", choices=KINDS, default="debug",
                        help="; ".join(f"{kind}: {what}" for kind, what in KINDS.items()) + " (default: debug)")
    parser.set_defaults(func=_debug)
