# SPDX-License-Identifier: GPL-2.0-only
"""Patches as they come: unified diffs and git's mails, of one or several commits, applied to a kernel's source.

Context has to be there as the patch has it: a hunk may have moved in the file, nothing else. What does not apply is named
with what stands there; what is in the source already is told from what is not.
"""

from __future__ import annotations

import base64
import dataclasses
import difflib
import email.header
import itertools
import pathlib
import quopri
import re
from collections.abc import Callable

from .objects import Refused

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)")
_NEXT = re.compile(r"--- |--$|-- $|diff |From |commit |Index: |Subject: ")	# what may stand between two files
_SUBJECT = re.compile(r"^Subject: (?:\[[^\]]*\] ?)?(.*(?:\n[ \t].*)*)", re.MULTILINE)
_COMMIT = re.compile(r"^(?:From|commit) ([0-9a-f]{12,40})\b", re.MULTILINE)

# Where a mail begins in several, and how its text is encoded.
_MAIL = re.compile(r"^(?=From \S+ .*\d{4}$)", re.MULTILINE)
_ENCODED = re.compile(r"^Content-Transfer-Encoding:\s*(quoted-printable|base64)\s*$", re.MULTILINE | re.IGNORECASE)

# git's header of a file that gets another name; there is no hunk where its text stays as it is.
_RENAMED = re.compile(r"^diff --git .*\n(?:(?:old|new|similarity|dissimilarity) .*\n)*(?:rename|copy) from (.*)", re.MULTILINE)

# Not compiled into a kernel.
_ASIDE = ("Documentation/", "tools/", "samples/", "scripts/", "MAINTAINERS", "CREDITS", ".mailmap", "LICENSES/", "rust/")
_BESIDE = re.compile(r"(?:^|/)(?:\.[^/]*|README[^/]*|.*\.rst)$")
_CONFIGURES = re.compile(r"(?:^|/)(?:Kconfig[^/]*|Makefile|Kbuild|.*\.lds\.S|.*_defconfig)$")


class DoesNotApply(Refused):
    """A hunk whose lines are not in the source."""


class NotAPatch(Refused):
    """A text that no patch can be read out of: whole lines are missing, or all of them."""


class Native(Refused):
    """The source has the change already."""


@dataclasses.dataclass
class Hunk:
    number: int
    start: int		# line in the old file
    where: str		# what diff says behind the second @@
    old: list[str]
    new: list[str]


@dataclasses.dataclass
class FilePatch:
    path: str
    hunks: list[Hunk]
    created: bool = False
    deleted: bool = False


@dataclasses.dataclass
class Patch:
    """All of a patch: its title, the commits that it names, and its files in order."""
    title: str
    commits: list[str]
    files: list[FilePatch]

    def code(self) -> list[FilePatch]:
        """The files of which a kernel is made."""
        return [file for file in self.files if not file.path.startswith(_ASIDE) and not _BESIDE.search(file.path)]


def _path(word: str) -> str:
    word = word.split("\t")[0].strip()
    if word == "/dev/null":
        return ""
    return word.split("/", 1)[1] if re.match(r"^[a-z]/", word) or "/" in word and _is_top(word.split("/")[0]) else word


def _is_top(word: str) -> bool:
    """Directories that people diff between: linux-6.18/fs/pipe.c."""
    return bool(re.match(r"(?:linux|old|new|orig)\b", word)) or "linux" in word


def _plain(mail: str) -> str:
    """A mail with its text as it was written, where it was encoded on its way."""
    head, blank, body = mail.partition("\n\n")
    encoded = _ENCODED.search(head)
    if not encoded:
        return mail
    data = body.encode(errors="surrogateescape")
    try:
        data = quopri.decodestring(data) if encoded[1].lower() == "quoted-printable" else base64.b64decode(data)
    except ValueError as why:
        raise NotAPatch(f"the mail says that it is in base64, and is not: {why}") from None
    return head + blank + data.decode(errors="surrogateescape").replace("\r\n", "\n")


def _title(subject: str) -> str:
    """A mail's subject, in one line, without what mails make of letters that are not ASCII."""
    title = re.sub(r"\s+", " ", subject).strip()
    try:
        title = str(email.header.make_header(email.header.decode_header(title)))
    except (ValueError, LookupError):
        pass		# shown as it came
    return re.sub(r"^\[[^\]]*\] ?", "", title)


def parse(text: str, name: str) -> Patch:
    """A patch out of a file's text."""
    text = "".join(map(_plain, _MAIL.split(text.replace("\r\n", "\n"))))
    if moved := next((path for path in _RENAMED.findall(text) if not path.startswith(_ASIDE)), ""):
        raise Refused(f"{moved} is renamed or copied: the files of a kernel that is built stay what they are")
    lines = text.split("\n")
    files: list[FilePatch] = []
    at = 0
    while at < len(lines):
        if lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            file, at = _file(lines, at)
            files.append(file)
            _rest(lines, at, file)
        else:
            if lines[at].startswith("GIT binary patch") or lines[at].startswith("Binary files "):
                raise Refused(f"{name}: a binary file is changed: {lines[at]}")
            at += 1
    if not any(file.hunks for file in files):
        if re.search("^diff --git ", text, re.MULTILINE) and not files:
            raise Refused("it changes nothing that a kernel is made of: no line of a file, but a mode, or a file without text")
        raise NotAPatch(f"{name}: no unified diff in it: git format-patch, git diff or diff -u make one")
    subject = _SUBJECT.search(text)
    title = _title(subject[1]) if subject else pathlib.PurePath(name).stem
    title = title.encode("utf-8", "replace").decode()	# it goes into sources and reports
    return Patch(title, list(dict.fromkeys(_COMMIT.findall(text))), files)


def _file(lines: list[str], at: int) -> tuple[FilePatch, int]:
    old, new = _path(lines[at][4:]), _path(lines[at + 1][4:])
    file = FilePatch(new or old, [], created=not old, deleted=not new)
    if pathlib.PurePath(file.path).is_absolute() or ".." in pathlib.PurePath(file.path).parts:
        raise NotAPatch(f"{file.path}: a patch of a kernel's source names its files from the top of the source")
    at += 2
    while at < len(lines) and (match := _HUNK.match(lines[at])):
        hunk, at = _hunk(lines, at, match, len(file.hunks) + 1, file.path)
        file.hunks.append(hunk)
    return file, at


def _rest(lines: list[str], at: int, file: FilePatch) -> None:
    """What follows a file's hunks must not be more of them: it would be left out unseen, with each hunk behind it."""
    line = lines[at] if at < len(lines) else ""
    if line.startswith("@@"):
        raise NotAPatch(f"{file.path}: '{line:.60}' is no line of a unified diff (a merge's has three @, and cannot be applied)")
    # "-- " begins a mail's signature, "--- " the next file
    end = next((end for end in range(at, len(lines)) if _NEXT.match(lines[end])), len(lines))
    if file.hunks and (line.startswith(("+", "-", " ")) and line.strip() and not line.startswith("--")
                       or any(map(_HUNK.match, lines[at:end]))):
        raise NotAPatch(f"{file.path}: hunk {len(file.hunks)} has more lines than its @@ line says: '{line.rstrip():.60}'")


def _hunk(lines: list[str], at: int, match: re.Match[str], number: int, path: str) -> tuple[Hunk, int]:
    want_old, want_new = int(match[2] or 1), int(match[4] or 1)
    hunk = Hunk(number, int(match[1]), match[5], [], [])
    at += 1
    while len(hunk.old) < want_old or len(hunk.new) < want_new:
        line = lines[at] if at < len(lines) else None
        if line is None or _NEXT.match(line) and line[:1] not in (" ", "-", "+"):
            raise NotAPatch(f"{path}: hunk {number} is cut off: it has fewer lines than its @@ line says")
        if line[:1] not in (" ", "-", "+", "\\", ""):
            raise NotAPatch(f"{path}: hunk {number} is damaged: '{line:.60}' begins with none of blank, + and -; did a mailer wrap it?")
        if line[:1] in (" ", "-", ""):
            hunk.old.append(line[1:])
        if line[:1] in (" ", "+", ""):
            hunk.new.append(line[1:])
        at += 1
    while at < len(lines) and lines[at].startswith("\\"):
        at += 1
    if not hunk.old and not hunk.new:
        raise NotAPatch(f"{path}: hunk {number} is empty, as its @@ line says")
    return hunk, at


# ---------------------------------------------------------------------- applying

def _find(source: list[str], wanted: list[str], near: int) -> int | None:
    """Where lines stand in a file: the place that is nearest to a line."""
    if not wanted:
        return near
    places = [at for at in range(len(source) - len(wanted) + 1)
              if source[at] == wanted[0] and source[at:at + len(wanted)] == wanted]
    return min(places, key=lambda at: abs(at - near)) if places else None


def _instead(source: list[str], hunk: Hunk, near: int) -> str:
    """What stands in the source where the hunk's first line that is missing should."""
    best, length = near, 0
    for at in range(len(source)):
        same = 0
        while same < len(hunk.old) and at + same < len(source) and source[at + same] == hunk.old[same]:
            same += 1
        if same > length:
            best, length = at, same
    wants = hunk.old[length] if length < len(hunk.old) else ""
    stands = source[best + length] if best + length < len(source) else "the end of the file"
    if stands.split() == wants.split():
        return f"line {best + length + 1}, '{stands.strip()}', has other white space: were tabs replaced when the patch was copied?"
    return f"line {best + length + 1} is '{stands.strip()}', not '{wants.strip()}'"


def apply_file(file: FilePatch, text: str) -> tuple[str, int]:
    """(the changed text, the number of hunks that were there already)."""
    source = text.split("\n")
    shift, there = 0, 0
    for hunk in file.hunks:
        near = max(hunk.start - 1 + shift, 0)
        at = _find(source, hunk.old, near)
        done = _find(source, hunk.new, near)
        if at is None and done is not None or \
           at is not None and done is not None and len(hunk.new) > len(hunk.old) and _covers(at, hunk.old, done, hunk.new):
            there += 1
            continue
        if at is None:
            where = f" in {hunk.where.strip()}" if hunk.where.strip() else ""
            raise DoesNotApply(f"{file.path}: hunk {hunk.number}{where} does not apply: {_instead(source, hunk, near)}")
        source[at:at + len(hunk.old)] = hunk.new
        shift = at - (hunk.start - 1) + len(hunk.new) - len(hunk.old)
    return "\n".join(source), there


def _covers(at: int, old: list[str], done: int, new: list[str]) -> bool:
    """Do the lines of before stand inside of those of after?"""
    return done <= at and at + len(old) <= done + len(new)


def _pieces(text: str) -> list[str]:
    """A text cut behind each brace that stands alone at the begin of a line: where functions end."""
    found = re.split(r"(?<=\n}\n)", text)
    return found if found[-1] else found[:-1]


def lines_kept(before: str, after: str) -> str:
    """A changed text that says of what is not changed the lines that it had: else each __LINE__ behind a change differs."""
    old, new = _pieces(before), _pieces(after)
    line = [*itertools.accumulate((piece.count("\n") for piece in old), initial=1)]
    there = [*itertools.accumulate((piece.count("\n") for piece in new), initial=1)]
    out: list[str] = []
    for tag, one, two, three, four in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if out and three < four:
            out.append(f"#line {line[one] if tag == 'equal' else there[three]}\n")
        out += new[three:four]
    return "".join(out)


def _missing(path: str, read: Callable[[str], str | None]) -> str:
    """What to say of a file that the source does not have: is it there by another name?"""
    parts = path.split("/")
    other = next((name for at in range(1, len(parts)) if read(name := "/".join(parts[at:])) is not None), "")
    if other:
        return f"{path}: this kernel does not have this file, but {other}: a patch has one directory in front of names, as git diff writes them"
    where = "" if "/" in path else ": a patch names its files from the top of the source"
    return f"{path}: this kernel does not have this file{where}"


def apply(patch: Patch, read: Callable[[str], str | None]) -> dict[str, str]:
    """{path: changed text}. Native if all of it is in the source already."""
    texts: dict[str, str] = {}
    hunks = there = 0
    first_there = ""
    for file in patch.code():
        if _CONFIGURES.search(file.path):
            raise Refused(f"{file.path} is changed: how the kernel is configured and linked cannot be tried")
        if file.path.endswith((".S", ".s")):
            raise Refused(f"{file.path} is changed: assembly")
        if not file.path.endswith((".c", ".h")):
            raise Refused(f"{file.path} is changed: neither a C source nor a header, and only these can be compiled and compared")
        text = texts.get(file.path, read(file.path))
        if file.deleted:
            raise Refused(f"{file.path} is deleted: what is in the kernel stays there")
        if text is None and not file.created:
            raise DoesNotApply(_missing(file.path, read))
        if file.created:
            if text is not None:
                raise DoesNotApply(f"{file.path} is new in the patch, and there already")
            if not file.path.endswith(".h"):
                raise Refused(f"{file.path} is a new file: only headers can be added")
            texts[file.path] = "\n".join(line for hunk in file.hunks for line in hunk.new) + "\n"
            hunks += len(file.hunks)
            continue
        assert text is not None
        texts[file.path], found = apply_file(file, text)
        hunks, there = hunks + len(file.hunks), there + found
        if found and not first_there:
            first_there = file.path
    if not hunks:
        raise Refused("it changes nothing that a kernel is made of")
    if there == hunks:
        raise Native("the source has it already")
    if there:
        raise DoesNotApply(f"{there} of {hunks} hunks are in the source already, the first in {first_there}: "
                           "it is there in part, or in another form")
    return texts
