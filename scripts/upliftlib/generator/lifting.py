# SPDX-License-Identifier: GPL-2.0-only
"""Generate the bodies of a change from the target kernel's own source.

From the kernel's file the function is lifted, with the static helpers and the private types that it needs, in the
file's order and under the file's #if conditions. A semantic patch makes the changed body. Nothing of it is kept in
the project: the result lies beside the objects.

A name that a module cannot link to is bound when the module loads. Before the headers are included, `#define` gives
it another name: a function that of a static call's trampoline, so that every call of it, those in headers included, is
a direct call that is patched in; an object becomes what a pointer of ours points to, so that a static object is never
duplicated.
"""

from __future__ import annotations

import difflib
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from ..base.errors import Problem
from . import csource
from .manifests import Counts, Manifest, Trace

# What says how a function is stored and inlined; the body and its helpers get words of ours.
_INLINING = r"\b(?:static|inline|__always_inline|noinline)\b\s*"
# The types of objects that a macro defines.
_MADE = {"DEFINE_MUTEX": "struct mutex", "DEFINE_SPINLOCK": "spinlock_t", "LIST_HEAD": "struct list_head",
         "HLIST_HEAD": "struct hlist_head", "DEFINE_RWLOCK": "rwlock_t"}


class Functions(Protocol):
    """What knows the functions that stand by themselves in a kernel."""
    functions: set[str]


class Layouts(Protocol):
    """What knows the structs of a kernel: btf.Btf."""

    def layout(self, tag: str) -> tuple[int, Iterable[tuple[str, int]]]:
        """(size, ((member, offset), ...)) of struct tag."""


class Lift:
    """What one function needs of its file.

    bind: names that are bound at load instead of lifted, functions that the file defines as static left out, as they
    are on some kernels; bind_via: {function of a header: object that it uses}, bound
    where that function is called; copy: functions that are lifted although others of the kernel call them, too; needs:
    names that are lifted as well; replace: {function: what is called instead}.
    """

    def __init__(self, source: csource.Source, function: str, change: str, *, bind: Iterable[str] = (),
                 copy: Iterable[str] = (), needs: Iterable[str] = (), replace: Mapping[str, str] | None = None,
                 bind_via: Mapping[str, str] | None = None) -> None:
        self.source, self.function, self.change = source, function, change
        self.copy = set(copy)
        self.bind, self.needs, self.replace = set(bind), tuple(needs), dict(replace or {})
        self.bound: set[str] = set()
        self._chosen: set[int] = set()		# indexes of items
        if not source.named(function, "function"):
            raise Problem(f"{source.path}: no function {function}()")
        for name in self.needs:
            if not source.named(name):
                raise Problem(f"{source.path}: no {name}, which {change} needs")
        self._take(False, function)
        for name in self.needs:
            self._take(False, name)
        for name in self.replace:
            if not any(name in item.names for item in self.items()):
                raise Problem(f"{source.path}: {function}() does not call {name}(), which {change} replaces")
        # used by what a header defines: not seen in the file
        self.via = {name for user, name in (bind_via or {}).items() if self.uses(user)}
        self.bound |= self.via

    def _take(self, tag: bool, name: str) -> None:
        """Choose what defines a name, and all that it uses."""
        if not tag and name in self.bind and not any(item.static for item in self.source.named(name, "function")):
            self.bound.add(name)
            return
        for index, item in enumerate(self.source.items):
            if index in self._chosen or not item.defines(tag, name):
                continue
            if not tag and name in self.replace:
                self._chosen.add(index)		# marks the place; its text is not used, nor what it calls
                continue
            if item.kind == "object":
                raise Problem(f"{self.source.path}:{item.line}: {self.function}() uses the object {name}, which must "
                              f"not be duplicated: list it under 'bind_objects' in the manifest of {self.change}")
            if item.kind in ("function", "prototype") and not item.static and name != self.function and (
                    name not in self.copy):
                continue		# the kernel's own is called
            self._chosen.add(index)
            for used in sorted(item.used):
                if not item.defines(*used):
                    self._take(*used)

    def items(self) -> list[csource.Item]:
        """The chosen items, in the file's order."""
        return [self.source.items[index] for index in sorted(self._chosen)]

    def uses(self, name: str) -> bool:
        """Does a name stand in what is lifted?"""
        return any(re.search(rf"\b{name}\b", item.masked) for item in self.items())

    def copies(self) -> list[str]:
        """The functions that have to be renamed, as a header declares the kernel's own."""
        return [item.names[0] for item in self.items()
                if item.kind == "function" and not item.static and item.names[0] in self.copy]

    def lonely(self, item: csource.Item) -> bool:
        """Does a helper have fewer callers here than in the kernel's file? Then it might be inlined only here."""
        if item.kind != "function" or re.search(r"\binline\b", item.head()):
            return False
        name = item.names[0]
        here = sum(len(csource.calls(name, other.masked)) for other in self.items()) + (name in self.needs)
        return here < sum(len(csource.calls(name, other.masked)) for other in self.source.items)

    def structs(self) -> list[str]:
        """The tags of the structs that are lifted."""
        return list(dict.fromkeys(tag for item in self.items() if item.kind == "type"
                                  for tag in csource.struct_tags(item)))

    def signature(self) -> tuple[str, str, list[str]]:
        """(return type, parameter list, argument names) of the function."""
        item = self.source.named(self.function, "function")[0]
        match = re.match(rf"(.*?)\b{self.function}\s*\((.*)\)[^)]*$", item.head(), re.DOTALL)
        if not match:
            raise Problem(f"{self.source.path}:{item.line}: the head of {self.function}() is not understood")
        result = " ".join(re.sub(_INLINING + r"|\bnotrace\b", "", match[1]).split())
        parameters = " ".join(match[2].split())
        names = []
        for parameter in parameters.split(",") if parameters != "void" else ():
            name = re.fullmatch(r"[^()]*?(\w+)\s*(?:\[[^]]*\])?", parameter)
            if not name:
                raise Problem(f"{self.source.path}:{item.line}: a parameter of {self.function}() is not understood: "
                              f"{parameter.strip()}")
            names.append(name[1])
        if result == "void":
            raise Problem(f"{self.source.path}:{item.line}: {self.function}() returns nothing: not provided for")
        return result, parameters, names


def counters(change: str, arms: Iterable[str]) -> list[str]:
    """Lines of C: the numbers of the arms that a change has beside null and new, and the counters of all arms."""
    own = [arm for arm in arms if arm not in ("null", "new")]
    if "off" in own:
        raise Problem(f"{change}: 'off' is the kernel's own function, and no arm of a manifest")
    return [*(f"#define UPLIFT_ARM_{arm.upper()} (UPLIFT_ARM_FIRST_OWN + {index})" for index, arm in enumerate(own)),
            f"#define UPLIFT_{change.upper()}_ARMS (UPLIFT_ARM_FIRST_OWN + {len(own)})",
            f"DECLARE_PER_CPU(struct uplift_count[UPLIFT_{change.upper()}_ARMS], uplift_{change}_count);", ""]


def _guarded(item: csource.Item, text: str) -> str:
    """text under the conditions that the item has in the kernel's file."""
    for condition in reversed(item.conditions):
        text = f"#if {condition}\n{text}\n#endif"
    return text


def _renamed(text: str, old: str, new: str) -> str:
    """A piece of C with the function old called, declared and defined as new."""
    for match in reversed(csource.calls(old, csource.mask(text))):
        text = text[:match.start()] + new + text[match.end():]
    return text


def _inlined(text: str, words: str) -> str:
    """The definition of a function, with other words about its storage and inlining."""
    head, brace, rest = text.partition("{")
    return f"{words} {re.sub(_INLINING, '', head)}{brace}{rest}"


def _object_type(source: csource.Source, name: str) -> str | None:
    """The type of an object that the file itself defines; None if a header declares it."""
    for item in source.named(name, "object"):
        made = re.match(r"(?:static\s+)?(\w+)\s*\(", item.masked)
        if made and made[1] in _MADE:
            return _MADE[made[1]]
        match = re.match(rf"(?:(?:static|extern)\s+)*([\w\s*]+)\b{name}\b(?!\s*\[)", item.masked)
        if made or not match:
            raise Problem(f"{source.path}:{item.line}: the object {name} is of a type that cannot be bound")
        return " ".join(match[1].split())
    return None


class Body:
    """The C file of one arm, before a semantic patch."""

    def __init__(self, lift: Lift, arm: str, manifest: Manifest, kernel: Functions) -> None:
        self.lift, self.arm, self.manifest, self.kernel = lift, arm, manifest, kernel
        self.prefix = f"uplift_{lift.change}_{arm}"
        self.header = manifest["arms"][arm].get("header")
        objects = set(manifest.get("bind_objects", ())) | lift.via
        self.trace: Trace = manifest.get("trace", {"header": "", "points": []})
        points = [point for point in self.trace["points"] if lift.uses(f"trace_{point}")]
        self.calls = sorted(lift.bound - objects) + [f"__traceiter_{point}" for point in points]
        # those that a header declares are renamed before it is included, the file's own behind
        own = {name for name in lift.bound & objects if _object_type(lift.source, name)}
        self.declared = sorted(lift.bound & objects - own) + [f"__tracepoint_{point}" for point in points]
        self.own = sorted(own)
        self.traced = bool(points)
        if points and not any(self._is_trace(item) for item in lift.source.items):
            raise Problem(f"{lift.source.path} does not include {self.trace['header']}, the 'trace.header' in "
                          f"the manifest of {lift.change}")
        self.only_if = dict(manifest.get("bind_if", {}))
        # Without tracepoints the functions of a trace header do nothing.
        self.only_if |= {f"{kind}_{point}": "CONFIG_TRACEPOINTS" for kind in ("__traceiter", "__tracepoint")
                         for point in points}

    def text(self, of: str) -> str:
        """All of it; `of` says of what it was made."""
        return "\n".join([f"/* Generated by scripts/generate-bodies from {of}: the kernel's own code, GPL-2.0. Do not keep. */",
                          "", *self._renames(), *self._includes(), *self._pointers(),
                          *self._definitions(), *self._entry(), *self._bind()])

    def _if_built(self, name: str, *lines: str) -> tuple[str, ...]:
        """The lines, for those kernels only that have the symbol."""
        return (f"#ifdef {self.only_if[name]}", *lines, "#endif") if name in self.only_if else lines

    def _is_trace(self, item: csource.Item) -> bool:
        """Does an item include the trace header?"""
        header = re.escape(self.trace["header"])
        return item.kind == "include" and bool(re.search(rf"[<\"]{header}[>\"]", item.text))

    def _renames(self) -> Iterator[str]:
        yield from ("#include <linux/static_call.h>", '#include "body.h"', '#include "uplift.h"', "")
        for name in self.calls:
            yield from self._if_built(name, f"#define {name} __SCT__{self.prefix}_{name}")
        for name in self.declared:
            yield from self._if_built(name, f"#define {name} (*{self.prefix}_{name})")
        if self.traced:
            yield "#include <linux/tracepoint.h>"
        yield ""

    def _includes(self) -> Iterator[str]:
        for item in self.lift.source.items:
            if item.kind != "include":
                continue
            if self.traced and self._is_trace(item):
                # The key is read instead of patched; what is called is the same, under the same protection.
                yield "#ifdef CONFIG_TRACEPOINTS"
                yield "#undef static_branch_unlikely"
                yield "#define static_branch_unlikely(x) uplift_key_enabled(&(x)->key)"
                yield "#undef __DO_TRACE_CALL"
                yield "#define __DO_TRACE_CALL(name, args) __traceiter_##name(NULL, args)"
                yield "#endif"
            yield _guarded(item, item.text)
        if self.header and not self.lift.replace:
            yield f'#include "{self.header}"'
        yield ""

    def _pointers(self) -> Iterator[str]:
        for name in self.calls:
            yield from self._if_built(
                name, f"DEFINE_STATIC_CALL_NULL({self.prefix}_{name}, __SCT__{self.prefix}_{name});")
        for name in self.declared:
            # the header's declaration of the object has become one of this pointer
            yield from self._if_built(name, f"typeof({self.prefix}_{name}) {self.prefix}_{name};")
        for name in self.own:
            yield f"static {_object_type(self.lift.source, name)} *{self.prefix}_{name};"
            yield f"#define {name} (*{self.prefix}_{name})"
        yield ""

    def _names(self) -> Iterator[str]:
        """Other names for the helpers: a second function of a name makes it ambiguous for who wants to probe it."""
        lift = self.lift
        for name in sorted({item.names[0] for item in lift.items() if item.kind == "function"}):
            if name != lift.function and name not in lift.replace and name not in lift.copies():
                yield f"#define {name} {self.prefix}_{name}"
        yield ""

    def _definitions(self) -> Iterator[str]:
        lift, placed = self.lift, False
        yield from self._names()
        for item in lift.items():
            name = item.names[0] if item.kind in ("function", "prototype") else None
            if name in lift.replace:
                # what takes its place comes where all that it uses has been defined
                if item.kind == "function" and not placed:
                    yield f'#include "{self.header}"'
                    placed = True
                continue
            text = item.text
            for old, new in lift.replace.items():
                text = _renamed(text, old, new)
            for old in lift.copies():
                text = _renamed(text, old, f"copy_{old}")
            if name == lift.function:
                text = _inlined(_renamed(text, name, f"body_{name}"), "static __always_inline")
            elif name in lift.copies():
                # in its own file the kernel inlines it where it pays
                text = _inlined(text, "static")
            elif item.kind == "function":
                # inlined or not, as in the kernel: what it costs must not depend on where the code is
                if name in self.kernel.functions:
                    text = _inlined(text, "static noinline")
                elif lift.lonely(item):
                    text += f"\n__ADDRESSABLE({name})"
            yield _guarded(item, text)
            yield ""

    def _entry(self) -> Iterator[str]:
        change, arm, function = self.lift.change, self.arm.upper(), self.lift.function
        result, parameters, names = self.lift.signature()
        inner = self.lift.replace.get(function, f"body_{function}")
        yield from (*counters(change, self.manifest["arms"]),
                    f"{result} {self.prefix}({parameters});",
                    f"notrace noinline {result} {self.prefix}({parameters})", "{",
                    f"\t{result} ret;", "",
                    f"\tUPLIFT_BODY_ENTER({change}, {arm});",
                    f"\tret = {inner}({', '.join(names)});",
                    f"\tUPLIFT_BODY_LEAVE({change}, {arm});",
                    "\treturn ret;", "}", "")

    def _bind(self) -> Iterator[str]:
        bound = [*self.calls, *self.declared, *self.own]
        yield from (f"int {self.prefix}_bind(void);", f"int {self.prefix}_bind(void)", "{")
        if bound:
            unused = "" if set(bound) - set(self.only_if) else "__maybe_unused "
            yield from (f"\tunsigned long {unused}addr;", f"\tint {unused}err;", "")
        for name in bound:
            keep = (f"\tstatic_call_update({self.prefix}_{name}, (void *)addr);" if name in self.calls else
                    f"\t{self.prefix}_{name} = (void *)addr;")
            yield from self._if_built(name, f'\terr = uplift_bind("{self.lift.change}", "{name}", &addr);', "\tif (err)",
                                      "\t\treturn err;", keep)
        yield from ("\treturn 0;", "}", "")


def layouts(tags: Iterable[str], kernel: Layouts) -> str:
    """Assertions that the compiler sees the structs as the running kernel has them."""
    out = ["/* As the target's BTF has them. */"]
    for tag in tags:
        size, members = kernel.layout(tag)
        out.append(f'static_assert(sizeof(struct {tag}) == {size}, "struct {tag} has another size in the kernel");')
        for member, offset in members:
            out.append(f'static_assert(offsetof(struct {tag}, {member}) == {offset}, '
                       f'"{member} of struct {tag} lies elsewhere in the kernel");')
    return "\n".join(out) + "\n"


class Difference:
    """What a semantic patch has changed: in how many places, and lines removed and added in them all.

    Blank lines do not count, nor does white space in others. The count of lines is what tells two changes side by side,
    which are one place, from one change.
    """

    def __init__(self, before: str, after: str) -> None:
        # (as compared, as it is)
        sides = [[(" ".join(line.split()), line) for line in text.splitlines() if line.strip()]
                 for text in (before, after)]
        old, new = ([compared for compared, _ in side] for side in sides)
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        changed = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
        self.lines: list[str] = []		# as diff shows them
        for _, start, end, new_start, new_end in changed:
            self.lines += ["@@", *(f"-{line}" for _, line in sides[0][start:end]),
                           *(f"+{line}" for _, line in sides[1][new_start:new_end])]
        self.counts: Counts = {"places": len(changed), "removes": sum(codes[2] - codes[1] for codes in changed),
                       "adds": sum(codes[4] - codes[3] for codes in changed)}


def _counted(counts: Counts) -> str:
    """Counts in words."""
    lines = "line" if counts["removes"] == 1 else "lines"
    return (f"{counts['places']} place{'' if counts['places'] == 1 else 's'}, {counts['removes']} {lines} removed and "
            f"{counts['adds']} added")


def patched(text: str, cocci: pathlib.Path, expected: Counts, of: str) -> str:
    """text under a semantic patch, which must change exactly what is expected; `of` is where it is from."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "body.c")
        path.write_text(text)
        try:
            run = subprocess.run(["spatch", "--very-quiet", "--no-includes", "--sp-file", cocci, "--in-place", path],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        except FileNotFoundError:
            raise Problem("no spatch here, which makes the changed bodies: apt-get install coccinelle") from None
        if run.returncode:
            raise Problem(f"{cocci}: spatch failed:\n{run.stdout.strip()}")
        result = path.read_text()
    found = Difference(text, result)
    wanted: Counts = {"places": expected["places"], "removes": expected["removes"], "adds": expected["adds"]}
    if not found.lines:
        raise Problem(f"{cocci} matches nowhere in {of}, and must make a difference of {_counted(wanted)}: the "
                      "function has another form there")
    if found.counts != wanted:
        raise Problem(f"{cocci} makes a difference of {_counted(found.counts)} in {of}, and must make one of "
                      f"{_counted(wanted)}: the function has another form there\n" + "\n".join(found.lines))
    return result
