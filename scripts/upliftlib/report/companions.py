# SPDX-License-Identifier: GPL-2.0-only
"""What has to go with a change: prerequisites, later fixes, reverts, tests. From what its about.toml says, which is of a
date, and from a clone of the kernel's repository where one was given (history.py)."""

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from . import record

KINDS = {"prerequisite": "prerequisite", "fix": "later fix", "revert": "revert", "test": "test"}
NEEDED, PRESENT, OMITTED, UNKNOWN = "needed", "present", "omitted", "not looked up for this kernel"
GIVE = "uplift report FILE --git DIR looks it up in a clone of the kernel's repository"


@dataclasses.dataclass(frozen=True)
class Companion:
    """A commit that goes with a change."""
    kind: str
    commit: str			# "" where no id was found
    title: str
    linux: str			# where it is, as far as known
    state: str			# needed, present, omitted: why, or UNKNOWN
    why: str
    link: str = ""
    without: str = ""		# what happens without it, in a few words

    @property
    def line(self) -> str:
        """In a line."""
        words = f'{KINDS.get(self.kind, self.kind)} {short(self.commit) or "without an id"} "{self.title}"'
        words += f" ({self.linux})" if self.linux else ""
        return f"{words}: {self.state}" + (f"; {self.why}" if self.why else "") + (f"; {self.link}" if self.link else "")


def short(commit: str) -> str:
    """An id as kernel people write it."""
    return commit[:12]


def of_source(entry: Mapping[str, Any], ksrc: pathlib.Path) -> str:
    """The state of an entry of about.toml by a kernel's source; "" where that does not tell."""
    seen = entry.get("seen")
    if not seen:
        return ""
    try:
        text = (ksrc / seen["file"]).read_text(errors="replace")
    except OSError:
        return ""
    if seen["has"] in text:
        return PRESENT
    return f"{OMITTED}: its {seen['file']} has no {seen['only']}" if "only" in seen and seen["only"] not in text else NEEDED


def with_source(part: record.Part, release: str, ksrc: pathlib.Path) -> None:
    """What goes with a change on a kernel that about.toml does not know, by its source."""
    for entry in (part.get("upstream") or {}).get("with", ()):
        if series(release) not in entry.get("kernels", {}) and (state := of_source(entry, ksrc)):
            entry["kernels"] = entry.get("kernels", {}) | {series(release): state}


def series(release: str) -> str:
    """6.18.15+deb13-amd64 -> 6.18"""
    found = re.match(r"\d+\.\d+", release)
    return found[0] if found else ""


def _known(part: record.Part, release: str) -> Iterator[Companion]:
    """What about.toml says."""
    for entry in (part.get("upstream") or {}).get("with", ()):
        kernels = entry.get("kernels", {})
        state = str(kernels.get(series(release), UNKNOWN if kernels else "if its tests are shipped"))
        yield Companion(entry["kind"], entry.get("commit", ""), entry["title"], entry.get("linux", ""), state,
                        entry.get("why", ""), entry.get("link", ""), entry.get("without", ""))


def _found(part: record.Part) -> Iterator[Companion]:
    """What the repository has."""
    history = part.get("history")
    for entry in history["commits"] if history else ():
        yield Companion(entry["kind"], entry["commit"], entry["title"], "", entry["state"], entry["why"])


def of(part: record.Part, release: str) -> list[Companion]:
    """All of them, each once: what about.toml knows comes first, and takes what the repository says of its presence."""
    known = list(_known(part, release))
    found = {one.commit: one for one in _found(part)}
    merged = []
    for one in known:
        same = next((other for commit, other in found.items() if one.commit and commit.startswith(short(one.commit))), None)
        if same:
            del found[same.commit]
            if same.state in (NEEDED, PRESENT) and not one.state.startswith(OMITTED):
                one = dataclasses.replace(one, state=same.state, linux=one.linux or same.linux)
        merged.append(one)
    return sorted([*merged, *found.values()], key=lambda one: list(KINDS).index(one.kind) if one.kind in KINDS else 9)


def source(part: record.Part, release: str) -> str:
    """Where that comes from, and what was not looked at."""
    upstream: dict[str, Any] = part.get("upstream") or {}
    history = part.get("history")
    words = []
    if upstream.get("looked_up"):
        words.append(f"on {upstream['looked_up']}, in public sources and in Debian's source packages")
    if history:
        words.append(f"in a clone at {short(history['head'])}" + (f" for {history['base']}" if history.get("base") else "")
                     + (f": {history['problem']}" if history.get("problem") else ""))
    if not words:
        return f"no: about.toml has nothing, and no repository was given; {GIVE}"
    if not history:
        words.append(f"later commits are not covered; {GIVE}")
    return "; ".join(words)


def lines(part: record.Part, release: str) -> list[str]:
    """A line for each; one that says that there is none."""
    found = [one.line for one in of(part, release)]
    return found or (["nothing that was found"] if looked_up(part) else [])


def looked_up(part: record.Part) -> bool:
    """Did anybody look what goes with it?"""
    history = part.get("history")
    return bool((part.get("upstream") or {}).get("looked_up") or history and not history.get("problem"))
