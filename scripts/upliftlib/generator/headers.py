# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a kernel a change in a header can come to: by the names that are defined where it changes.

A changed inline function or macro is in the code of all that use it, also by way of other inlines. So names are followed
through the headers until nothing new is found, and every file that mentions one of them is a candidate: compiled before and
after, it shows whether its code differs.
"""

from __future__ import annotations

import difflib
import pathlib
import re
import subprocess

from .objects import Refused

MOST_NAMES = 120
DIRECTORIES = ("arch/x86", "block", "crypto", "drivers", "fs", "init", "io_uring", "ipc", "kernel", "lib", "mm", "net",
               "security", "virt")

_DEFINE = re.compile(r"#\s*define\s+(\w+)")
_TAG = re.compile(r"(?:typedef\s+)?(?:struct|union|enum)\s+(\w+)\s*\{?\s*$")
_FUNCTION = re.compile(r"(?!#|/|\*|\s)[^;{}=]*?\b(\w+)\s*\(")
_NOT_NAMES = {"if", "for", "while", "switch", "return", "sizeof", "defined", "__attribute__", "__printf", "__must_check",
              "__aligned", "__acquires", "__releases", "static_assert", "DECLARE_PER_CPU"}


def definitions(text: str) -> list[str]:
    """For each line of a header the name that it belongs to; "" for one that belongs to none."""
    found, name, in_define = [], "", False
    for line in text.split("\n"):
        if match := _DEFINE.match(line):
            name, in_define = match[1], True
        elif not in_define and line[:1] not in ("", " ", "\t", "}", "{", "#", "/", "*"):
            if match := _TAG.match(line) or _FUNCTION.match(line):
                name = match[1] if match[1] not in _NOT_NAMES else name
        found.append(name)
        if in_define and not line.endswith("\\"):
            in_define, name = False, ""
        elif line.startswith("}") or (line.endswith(";") and not line[:1].isspace()):
            name = ""
    return found


def changed_names(before: str, after: str) -> set[str]:
    """The names of what differs between two texts of a header."""
    old, new = before.split("\n"), after.split("\n")
    mine, theirs = definitions(before), definitions(after)
    names: set[str] = set()
    for tag, one, two, three, four in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            lines = [*zip(old[one:two], mine[one:two]), *zip(new[three:four], theirs[three:four])]
            names |= {name for line, name in lines if name and line.strip()}
    return names


def mention(source: pathlib.Path, names: set[str], suffix: str, directories: tuple[str, ...]) -> list[str]:
    """Files that mention a name, as a word."""
    there = [name for name in directories if (source / name).is_dir()]
    if not there:
        return []
    argv = ["grep", "-rlwF", f"--include=*.{suffix}", *(f"-e{name}" for name in sorted(names)), *there]
    done = subprocess.run(argv, cwd=source, capture_output=True, text=True, errors="replace", check=False)
    return sorted(done.stdout.split("\n")[:-1])


def users(source: pathlib.Path, names: set[str]) -> tuple[list[str], set[str]]:
    """(the .c files that mention one of the names, directly or by other headers; all the names)."""
    known = followed(source, names)
    return mention(source, known, "c", DIRECTORIES), known


def followed(source: pathlib.Path, names: set[str]) -> set[str]:
    """Names, and all of headers that use them, directly or by others. Refused where these are too many."""
    known, todo = set(names), set(names)
    while todo:
        found: set[str] = set()
        for header in mention(source, todo, "h", ("include", *DIRECTORIES)):
            text = (source / header).read_text(errors="replace")
            where = definitions(text)
            word = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(todo)))})\b")
            found |= {name for name, line in zip(where, text.split("\n")) if name and word.search(line)}
        todo = found - known
        known |= todo
        if len(known) > MOST_NAMES:
            raise Refused(f"{', '.join(sorted(names)[:3])}: used by more than {MOST_NAMES} inlines and macros of headers")
    return known


def changed_structs(before: str, after: str) -> set[str]:
    """Those of the changed names that are structs or unions."""
    return {name for name in changed_names(before, after)
            if re.search(rf"\b(?:struct|union)\s+{re.escape(name)}\b[^;()=]*\{{", after)}


def includers(source: pathlib.Path, header: str) -> list[str]:
    """The .c files that include a header by name."""
    return mention(source, {header.rpartition("include/")[2]}, "c", DIRECTORIES)


_DEFINED = re.compile(r"^(?:[A-Za-z_][^\n;{}=#]*[ \t*])?(\w+)\([^;]*?\)\s*\n?\{", re.MULTILINE)


_SYSCALL = re.compile(r"^(COMPAT_)?SYSCALL_DEFINE\d\((\w+)", re.MULTILINE)


def functions_of(text: str) -> set[str]:
    """Names of functions that a file seems to define, and of its system calls as the image has them."""
    found = set(_DEFINED.findall(text))
    for compat, name in _SYSCALL.findall(text):
        found |= {f"__ia32_compat_sys_{name}", f"__x64_compat_sys_{name}"} if compat else {f"__x64_sys_{name}"}
    return found
