# SPDX-License-Identifier: GPL-2.0-only
"""What a clone of the kernel's repository says of a commit: what fixes or reverts it, what has to be there before it, and
which stable branches have it. The repository is only read."""

import collections
import dataclasses
import functools
import os
import re
import subprocess
from collections.abc import Iterable, Iterator

from ..base import errors
from . import companions, record

# A stable branch, as kernel.org and distributions name it.
STABLE = re.compile(r"(?:.*/)?(?:linux-)?\d+\.\d+(?:\.\d+)?\.y")
_ID = r"([0-9a-f]{7,40})\b"
SURE = 8		# digits of an id that stand for one commit alone; a shorter one needs the title beside it
# As people write it: with and without colon, commit, brackets.
_FIXES = re.compile(rf"""^\s*Fixes(?::|\s+commit|:\s*commit)?\s*[("<]*{_ID}""", re.MULTILINE | re.IGNORECASE)
_REVERTS = re.compile(rf"\breverts\s+(?:upstream\s+)?commit\s+{_ID}", re.IGNORECASE)
# How a stable branch, or a distribution, says of which commit one of its own is a copy.
_COPY = re.compile(rf"^\s*(?:\[ )?(?:upstream commit {_ID}|commit {_ID} upstream)|\(cherry picked from commit {_ID}",
                   re.MULTILINE | re.IGNORECASE)
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_CALL = re.compile(r"\b([A-Za-z_]\w{3,})\s*\(")
MOST_NAMES = 40		# that are looked for in a commit's added lines


@dataclasses.dataclass(frozen=True)
class Commit:
    """A commit of the repository."""
    id: str
    title: str
    message: str

    def names(self, pattern: re.Pattern[str], other: str, title: str = "") -> bool:
        """Does its message name another by the pattern? An id may be cut short."""
        enough = SURE if not title or " ".join(title.split()) not in " ".join(self.message.split()) else 7
        return any(len(found) >= enough and other.startswith(found.lower()) for groups in pattern.findall(self.message)
                   for found in ([groups] if isinstance(groups, str) else groups) if found)


class Repository:
    """A clone, by git's own programs."""

    def __init__(self, directory: str) -> None:
        self.directory = os.path.abspath(directory)
        if not os.path.isdir(self.directory):
            raise errors.Problem(f"--git {directory}: no such directory", errors.USAGE)
        try:
            self.git("rev-parse", "--git-dir")
        except FileNotFoundError:
            raise errors.Problem("--git takes git: apt-get install git", errors.USAGE) from None
        except subprocess.CalledProcessError as problem:
            why = (problem.stderr or "").strip().splitlines()[:1]
            raise errors.Problem(f"--git {directory}: no git repository" + (f" ({why[0]})" if why else ""),
                                 errors.USAGE) from None

    def git(self, *words: str, fine: Iterable[int] = (0,)) -> str:
        """What git says; CalledProcessError at a status that is not fine."""
        done = subprocess.run(
            ["git", "--no-pager", "--no-optional-locks", "-C", self.directory, "-c", "core.fsmonitor=false",
             "-c", f"safe.directory={self.directory}", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            env={**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"})
        if done.returncode not in fine:
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return done.stdout

    def commit(self, name: str) -> str:
        """The whole id of what is named so; "" where there is no such commit."""
        if name.startswith("-"):
            return ""
        return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}",
                        fine=(0, 1, 128)).strip()

    def log(self, *words: str) -> list[Commit]:
        """Commits, newest first."""
        text = self.git("log", "--no-merges", "--format=%H%x00%s%x00%B%x01", *words)
        found = []
        for entry in text.split("\1"):
            if entry.strip():
                name, title, message = entry.lstrip("\n").split("\0", 2)
                found.append(Commit(name, title, message))
        return found

    def one(self, name: str) -> Commit:
        """A commit that is there."""
        (found,) = self.log("-1", "--end-of-options", name) or [Commit(name, "", "")]
        return found

    def has(self, tip: str, commit: str) -> bool:
        """Is a commit in the history of another?"""
        try:
            self.git("merge-base", "--is-ancestor", commit, tip)
            return True
        except subprocess.CalledProcessError:
            return False

    @functools.cache
    def mentioned(self, *wanted: str, after: str = "") -> list[Commit]:
        """The commits whose messages have one of these texts; with @after none that is in its history. A look through all
        messages of the kernel takes most of a minute, at a change of last year's seconds."""
        return self.log("--fixed-strings", "--regexp-ignore-case", *(f"--grep={text}" for text in wanted), "--all",
                        *(("--not", after) if after else ()))

    def later(self, commit: str) -> list[Commit]:
        """The commits whose messages have the first digits of an id, or which are called a revert of it."""
        return self.mentioned(commit[:7], f'Revert "{self.one(commit).title}"', after=commit)


def look(part: record.Part, repository: Repository, base: str, release: str) -> record.History:
    """What the repository says of a change; `base`: the kernel's place in it, where that was named."""
    head = repository.commit("HEAD")
    place = _place(repository, base, release)
    found: record.History = {"head": head, "base": place[0], "commits": [], "stable": []}
    known = part.get("upstream") or {}
    wanted = str(known.get("commit") or "")
    commit = repository.commit(wanted) if wanted else _by_title(repository, str(known.get("title") or ""))
    if not commit:
        found["problem"] = (f"the clone has no commit {companions.short(wanted)}: fetch the tree of Linus Torvalds" if wanted
                            else "the change names no commit, and none of its title is there")
        return found
    found["author"], found["date"] = repository.git("log", "-1", "--format=%an <%ae>%x00%aD", commit, "--").strip().split("\0")
    if tag := _first_release(repository, commit):
        found["tag"] = tag
    found["commits"] = [*_prerequisites(repository, commit, place[1]), *_later(repository, commit, place[1])]
    found["stable"] = list(_stable(repository, commit))
    if distance := _distance(part, repository, commit):
        found["distance"] = distance
    return found


def _place(repository: Repository, base: str, release: str) -> tuple[str, str]:
    """(name, id) of the kernel's place: what was named, or the tag of the release's version."""
    if base:
        found = repository.commit(base)
        if not found:
            raise errors.Problem(f"--base {base}: the clone has no such commit", errors.USAGE)
        return base, found
    version = re.match(r"\d+\.\d+(\.\d+)?", release)
    for name in (f"v{version[0]}", f"v{version[0].removesuffix('.0')}") if version else ():
        if found := repository.commit(name):
            return name, found
    return "", ""


def _first_release(repository: Repository, commit: str) -> str:
    """The first of Linus Torvalds' releases that has a commit; "" where the clone has no such tag."""
    text = repository.git("describe", "--contains", "--match=v[0-9]*", commit, fine=(0, 128)).strip()
    return re.split("[~^]", text)[0]


def _by_title(repository: Repository, title: str) -> str:
    """The one commit of a title, copies of it aside."""
    found = [one.id for one in repository.mentioned(title) if one.title == title and not _COPY.search(one.message)] \
        if title else []
    return found[0] if len(found) == 1 else ""


def _copies(repository: Repository, commit: str) -> list[Commit]:
    """The commits that say that they are copies of one."""
    return [one for one in repository.later(commit) if one.names(_COPY, commit)]


def _state(repository: Repository, commit: str, base: str) -> str:
    """Does the kernel have it, itself or a copy?"""
    if not base:
        return f"{companions.UNKNOWN}: give --base, its commit or tag in the clone"
    there = repository.has(base, commit) or any(repository.has(base, one.id) for one in _copies(repository, commit))
    return companions.PRESENT if there else companions.NEEDED


def _later(repository: Repository, commit: str, base: str) -> Iterator[record.Later]:
    """What fixes or reverts a commit; a copy of one that is there is no other."""
    title = repository.one(commit).title
    ours = {commit, *(one.id for one in _copies(repository, commit))}
    seen = {one.id: one for one in repository.later(commit) if one.id not in ours}
    for one in reversed(seen.values()):
        kind = _kind(repository, one, commit, title)
        if kind and not any(other != one.id and one.names(_COPY, other) for other in seen):
            yield {"kind": kind, "commit": one.id, "title": one.title, "state": _state(repository, one.id, base),
                   "why": "its Fixes: names the change" if kind == "fix" else "it takes the change back"}


def _kind(repository: Repository, one: Commit, commit: str, title: str) -> str:
    """fix, revert, or nothing of the kind. A title alone counts where the message names no other commit that is there: two
    commits may have one title, and what was merged another id than what the revert was made of."""
    if one.names(_REVERTS, commit, title):
        return "revert"
    if one.title == f'Revert "{title}"' and not any(map(repository.commit, _REVERTS.findall(one.message))):
        return "revert"
    return "fix" if one.names(_FIXES, commit, title) else ""


def _prerequisites(repository: Repository, commit: str, base: str) -> Iterator[record.Later]:
    """Commits that the kernel lacks and that made the lines that the change touches, or what its new lines call."""
    if not base or repository.has(base, commit) or not repository.commit(f"{commit}^"):
        return
    needed: dict[str, str] = {}
    for path, start, count in _touched(repository, commit):
        for one in _blamed(repository, f"{commit}^", path, start, count):
            needed.setdefault(one, f"it made lines of {path} that the change touches")
    for name in _called(repository, commit):
        if one := _introduced(repository, name, commit, base):
            needed.setdefault(one, f"it brings {name}(), which the change calls")
    for one, why in needed.items():
        if _state(repository, one, base) == companions.NEEDED:
            yield {"kind": "prerequisite", "commit": one, "title": repository.one(one).title, "state": companions.NEEDED,
                   "why": why}


def _diff(repository: Repository, commit: str) -> list[str]:
    return repository.git("diff", "--no-ext-diff", "--no-textconv", "--no-renames", "-U1", f"{commit}^", commit,
                          "--").splitlines()


def _touched(repository: Repository, commit: str) -> Iterator[tuple[str, int, int]]:
    """(file, first line, how many) that a commit's hunks change, with a line around them, in what was there before."""
    path = ""
    for line in _diff(repository, commit):
        if line.startswith("--- "):
            path = line[6:] if line.startswith("--- a/") else ""
        elif (hunk := _HUNK.match(line)) and path and (count := int(hunk[2] or 1)):
            yield path, int(hunk[1]), count


def _blamed(repository: Repository, tip: str, path: str, start: int, count: int) -> set[str]:
    """The commits that some lines are from."""
    text = repository.git("blame", "--porcelain", "-w", "-L", f"{start},+{count}", tip, "--", path)
    return set(re.findall(r"^([0-9a-f]{40}) \d+ \d+", text, re.MULTILINE))


def _called(repository: Repository, commit: str) -> list[str]:
    """What a commit's new lines call."""
    found = dict.fromkeys(name for line in _diff(repository, commit) if line.startswith("+") and not line.startswith("+++")
                          for name in _CALL.findall(re.sub(r'"[^"]*"|//.*|/\*.*', "", line)))
    return list(found)[:MOST_NAMES]


def _introduced(repository: Repository, name: str, commit: str, base: str) -> str:
    """The commit that brought what is called so, where the kernel has nothing of that name; "" else."""
    def files(tip: str) -> list[str]:
        text = repository.git("grep", "--no-textconv", "-l", "-w", "-F", "-e", name, tip, "--", "*.c", "*.h", fine=(0, 1))
        return [line.partition(":")[2] for line in text.splitlines()]

    there = files(f"{commit}^")
    if not there or len(there) > 50 or files(base):
        return ""	# the change itself brings it, or the kernel has it
    found = repository.git("log", "--reverse", "--format=%H", f"-S{name}", f"{commit}^", f"^{base}", "--", *there).split()
    return found[0] if found else ""


def _stable(repository: Repository, commit: str) -> Iterator[str]:
    """The branches that have a change, or a copy of it."""
    for one in (commit, *(copy.id for copy in _copies(repository, commit))):
        text = repository.git("for-each-ref", "--format=%(refname:short)", f"--contains={one}", "refs/heads", "refs/remotes")
        for name in text.split():
            if STABLE.fullmatch(name):
                yield name if one == commit else f"{name} (as {companions.short(one)})"


def _changed(lines: Iterable[str]) -> collections.Counter[str]:
    """The lines that a diff adds and removes, without their blanks."""
    return collections.Counter(line[0] + "".join(line[1:].split()) for line in lines
                               if re.match(r"[+-](?!--|\+\+)", line) and line[1:].strip() and line != "-- ")


def _distance(part: record.Part, repository: Repository, commit: str) -> str:
    """How far the patch as it was applied is from the commit."""
    applied = [text for name, text in (part.get("patches") or {}).items() if not name.endswith((".cocci", ".h"))]
    if not applied:
        return ""
    ours, theirs = _changed(line for text in applied for line in text.splitlines()), _changed(_diff(repository, commit))
    if ours == theirs:
        return f"the same changed lines as {companions.short(commit)}"
    same = (ours & theirs).total()
    return (f"{same} of its {ours.total()} changed lines are those of {companions.short(commit)}; that has "
            f"{(theirs - ours).total()} others")
