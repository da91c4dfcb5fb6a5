# SPDX-License-Identifier: GPL-2.0-only
"""`uplift probe`: does each change apply to the running kernel, and how do we know? Nothing that it does stays.

The modules answer, as they ask the kernel itself. Without them, or without root, some of it can be told from the
kernel's type information.
"""

import argparse
import errno
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from ..base import changes, errors, prompt
from ..kernel import btf
from ..report import record
from . import loader, machine, undo


BTF = pathlib.Path("/sys/kernel/btf/vmlinux")


class Types:
    """What is asked of a kernel's BTF: "struct X", "struct X.member", "function f"; read when first asked."""

    def __init__(self, path: pathlib.Path = BTF) -> None:
        self.path, self.why = path, ""
        self._btf: btf.Btf | None = None

    def _read(self) -> btf.Btf | None:
        if self._btf is None and not self.why:
            try:
                self._btf = btf.Btf(self.path)
            except FileNotFoundError:
                self.why = f"no {self.path}: a kernel without CONFIG_DEBUG_INFO_BTF"
            except OSError as problem:
                self.why = errors.of_os(problem)
            except errors.Problem as problem:
                self.why = str(problem)
        return self._btf

    def has(self, what: str) -> bool | None:
        """True or False; None where there is no BTF."""
        types = self._read()
        if types is None:
            return None
        try:
            return types.has(what)
        except ValueError as problem:
            raise errors.Problem(f"about.toml: {problem}") from None


def static(change: changes.Change, types: Types, why: str) -> record.Verdict:
    """A verdict without the module, and what to type for one with it."""
    evidence = [f"not asked: {why}"]
    kind = "unknown"
    for rule in change.about.get("static", ()):
        wanted = "has" in rule
        what = rule["has" if wanted else "lacks"]
        if what.startswith("source "):
            break	# not here; its module knows what it was built from
        answer = types.has(what)
        if answer is None:
            evidence.append(f"types: {types.why}")
            break
        if answer == wanted:
            kind = rule["verdict"]
            evidence.append(f"types: {rule['says']}")
            break
    lacks = change.lacks(machine.config()[0])
    if lacks and kind in ("applicable", "unknown"):
        kind = "unsupported" if kind == "applicable" else kind
        evidence.append(f"configuration: {', '.join(lacks)}")
    return {"kind": kind, "evidence": evidence, "from": "btf"}


def what_to_type(change: changes.Change | None, problem: OSError) -> str:
    """The command that gets further."""
    release = os.uname().release
    if not machine.takes_modules():
        return "nothing here, for this kernel takes no modules (CONFIG_MODULES)"
    if isinstance(problem, FileNotFoundError):
        source = " KSRC=/path/to/its/source" if change is None or change.patches() else ""
        return f"make modules{source}" + ("" if pathlib.Path(f"/lib/modules/{release}/build").exists() else
                                          f"  (first: apt-get install linux-headers-{release})")
    return "uplift doctor"


def ask_module(change: changes.Change, types: Types, parameters: str = "") -> record.Verdict:
    """The verdict of a change's module, which is loaded for it if need be and unloaded again."""
    with undo.Undo() as back:
        try:
            loader.debugfs(back)
            loader.ensure(loader.CORE, back)
            loader.ensure(change.module, back, parameters)
            found = loader.verdict(change.name)
            if found is None:
                return static(change, types, "the module is loaded, but debugfs does not show its verdict")
            verdict = found
            more = loader.stats(change.name)
            if more.get("method"):
                verdict["evidence"].append(f"method: {more['method']}")
        except loader.Refused as refused:
            name = errno.errorcode.get(refused.number, "")
            if loader.could_not(name):
                return static(change, types, f"the kernel does not take the module ({name}); type: uplift doctor")
            verdict = loader.of_refusal(refused)
        except FileNotFoundError as problem:
            return static(change, types, f"{problem.strerror}; type: {what_to_type(change, problem)}")
    if not back.ok:
        verdict["evidence"].append("the module could not be unloaded again: see lsmod and the kernel's log")
    return verdict


def plan(wanted: Sequence[changes.Change]) -> tuple[list[str], list[str]]:
    """What asking the modules would load, as lines for a person."""
    names = [name for name in (loader.CORE, *(change.module for change in wanted)) if not loader.loaded(name)]
    there = [name for name in names if loader.find(name)[0]]
    if loader.CORE in names and loader.CORE not in there:
        return [], []
    if not there:
        return [], names
    lines = [f"This loads {', '.join(f'{name}.ko' for name in there)} into the running kernel, "
             f"{os.uname().release}, and unloads them again."]
    new = 4096 | 8192
    if machine.tainted() & new != new:
        lines.append("What stays until it is rebooted is its taint: out of tree (O), and unsigned (E) unless you sign.")
    return lines, there


def verdicts(wanted: Sequence[changes.Change], yes: bool) -> dict[str, record.Verdict]:
    """{name: verdict} of the changes, from the modules where that may be."""
    types = Types()
    if os.geteuid():
        return {change.name: static(change, types, "loading a module takes root; type: sudo uplift probe")
                for change in wanted}
    lines, _ = plan(wanted)
    if lines and not prompt.agreed(lines, yes):
        return {change.name: static(change, types, "not agreed to; type: uplift probe --yes") for change in wanted}
    return {change.name: ask_module(change, types) for change in wanted}


def text(data: record.Report) -> str:
    """For people, short."""
    lines = [f"uplift: {data['machine']['release']}" + (f" ({data['machine']['version']})"
                                                        if data["machine"]["version"] else "")]
    for part in data["changes"]:
        kind = part["verdict"]["kind"]
        lines.append(f"{part['name']:8} {prompt.coloured(kind, kind)}: {changes.VERDICTS[kind]}"
                     + (", by its types" if part["verdict"].get("from") == "btf" and kind != "unknown" else ""))
        lines += [f"         {line}" for line in part["verdict"]["evidence"]]
    return "\n".join(lines)


def _probe(args: argparse.Namespace) -> int:
    wanted = changes.chosen(args.changes)
    before = machine.tainted()
    found = verdicts(wanted, args.yes)
    data = record.new(machine.describe() | {"taint": before, "taint_after": machine.tainted()},
                    "uplift probe" + "".join(f" {name}" for name in args.changes))
    data["changes"] = [record.entry(change, found[change.name]) for change in wanted]
    print(json.dumps(data, indent=1) if args.json else text(data))
    return errors.SKIP if all(verdict["kind"] == "unknown" for verdict in found.values()) else errors.OK


def register(commands: Any) -> None:
    """Add `uplift probe`."""
    parser = commands.add_parser(
        "probe", help="which changes apply to the running kernel, and why",
        description="Say for each change whether it applies to the running kernel, and how that is known. The modules "
                    "are loaded for it, asked and unloaded; without root or modules, or without your consent, what the "
                    "kernel's type information tells. Status 4: nothing could be told.")
    parser.add_argument("changes", nargs="*", metavar="CHANGE", help=changes.names())
    parser.add_argument("--yes", action="store_true", help="do not ask before loading")
    parser.add_argument("--json", action="store_true", help="as JSON, for uplift report")
    parser.set_defaults(func=_probe)
