#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""functiondiff.py OLDER NEWER FILE NAME...: a patch that gives functions of an older kernel's file the newer one's text

The trees are sources of two kernels (build/src/6.18, build/src/7.1). A NAME is a function's, or a struct's as
"struct NAME", or a macro's as "define NAME", or OLD=NEW where the newer kernel calls it otherwise; what only the newer file has goes in front of the next of the others. What is
printed is a unified diff, as `uplift try` takes it: patches to try, without a copy of the kernel's code in this tree.
"""

from __future__ import annotations

import difflib
import pathlib
import re
import sys


def span(text: str, name: str) -> tuple[int, int] | None:
    """(begin, end) of a definition in a file: from its first line to the brace that ends it."""
    if name.startswith("struct "):
        found = re.search(rf"^{re.escape(name)} \{{\n.*?^\}}[^\n]*;\n", text, re.MULTILINE | re.DOTALL)
        return found.span() if found else None
    if name.startswith("define "):
        found = re.search(rf"^#{re.escape(name)}\b(?:[^\n]*\\\n)*[^\n]*\n", text, re.MULTILINE)
        return found.span() if found else None
    bare = re.sub(r"^sys_", "", name)
    head = re.compile(rf"^(?:[A-Za-z_][^\n;{{}}#]*\n)?(?:[A-Za-z_][^\n;{{}}=#]*[ \t*])?{re.escape(name)}\(|"
                      rf"^SYSCALL_DEFINE\d\({re.escape(bare)}\b", re.MULTILINE)
    for match in head.finditer(text):
        brace = text.find("{", match.end())
        stop = text.find(";", match.end())
        if brace < 0 or 0 <= stop < brace:
            continue		# a declaration
        end = text.find("\n}\n", brace)
        if end < 0:
            continue
        first = text.rfind("\n\n", 0, match.end()) + 2
        begin = max(match.start(), first) if first <= match.end() else match.start()
        return begin, end + 3
    return None


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b")


def without(older: str, newer: str, leave: tuple[str, ...], take: tuple[str, ...] = ()) -> str:
    """The newer text without the changes that are not meant: those with a word of `leave`, and those without a word of `take`
    if it has any. These stay as the older text has them."""
    before, after = older.splitlines(True), newer.splitlines(True)
    out = []
    for _, one, two, three, four in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        change = "".join(before[one:two] + after[three:four])
        keep = (leave and _any_of(leave).search(change)) or (take and not _any_of(take).search(change))
        out += before[one:two] if keep else after[three:four]
    return "".join(out)


def _at_the_end(header: str, added: str) -> str:
    """A header with something more in front of the line that ends its guard."""
    end = header.rstrip().rfind("\n#endif")
    if end < 0:
        raise ValueError("a header without a guard")
    return f"{header[:end + 1]}\n{added}{header[end + 1:]}"


def changed(older: str, newer: str, names: list[str], leave: tuple[str, ...] = (), header: bool = False,
            take: tuple[str, ...] = ()) -> str:
    """The older text with the newer one's functions in it. ValueError if one is in neither place."""
    text, added, behind = older, "", 0
    for word in names:
        name, _, other = word.partition("=")
        there, here = span(newer, other or name), span(text, name)
        if not there:
            raise ValueError(f"no function {other or name}() in the newer file")
        body = newer[there[0]:there[1]]
        body = re.sub(rf"\b{re.escape(other)}\b", name, body) if other else body
        if here:
            body = added + without(text[slice(*here)], body, leave, take)
            text, added, behind = text[:here[0]] + body + text[here[1]:], "", here[0] + len(body)
        else:
            added += body + "\n"
    if added and header:
        return _at_the_end(text, added)
    if added and not behind:
        raise ValueError(f"only new functions: nothing of the older file is changed by {', '.join(names)}")
    return f"{text[:behind]}\n{added.rstrip()}\n{text[behind:]}" if added else text


def diff(older: pathlib.Path, newer: pathlib.Path, file: str, names: list[str], leave: tuple[str, ...] = ()) -> str:
    """A patch between two trees; empty if the functions are the same."""
    before, after = ((tree / file).read_text(errors="replace") for tree in (older, newer))
    return unified(file, before, changed(before, after, names, leave, file.endswith(".h")))


def unified(file: str, before: str, after: str) -> str:
    """The patch of a file."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{file}", f"b/{file}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def main() -> int:
    if len(sys.argv) < 5:
        print(__doc__, file=sys.stderr)
        return 2
    older, newer, file, *names = sys.argv[1:]
    try:
        sys.stdout.write(diff(pathlib.Path(older), pathlib.Path(newer), file, names))
    except (OSError, ValueError) as why:
        print(f"functiondiff.py: {file}: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
