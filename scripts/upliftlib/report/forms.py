# SPDX-License-Identifier: GPL-2.0-only
"""A report in the words that distributions ask for, a text for each change: Ubuntu's justification of a stable update, the
header of a patch of SUSE's, a CentOS merge request, a Debian bug, a mail. What a person has to add stands in <>."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

from ..base import errors
from . import companions, decision, dossier, figures, record

WIDTH = 72
PATCH = "\n---\n"
BREAK = "\n" + "-" * WIDTH + "\n\n"
_COUNTED = {"instructions": "instructions that an emulator counted, not time", "ns": "nanoseconds of that machine"}


def _wrap(text: str, first: str = "", later: str | None = None) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=first if later is None else later,
                         break_long_words=False, break_on_hyphens=False)


def _items(lines: Sequence[str]) -> str:
    return "\n".join(_wrap(line, "- ", "  ") for line in lines)


def _title(part: record.Part) -> str:
    return str((part.get("upstream") or {}).get("title") or part["title"])


def _commit(part: record.Part) -> str:
    return str((part.get("upstream") or {}).get("commit") or "<commit id>")


def _source(part: record.Part, data: record.Report) -> str:
    """What uplift is, and where the figures come from: a reader of the text may know neither."""
    units = dict.fromkeys(_COUNTED[operation["unit"]] for operation in part["operations"])
    what = "Tests and figures" if units else "Tests"
    how = f"; the figures are {' and '.join(units)}" if units else ""
    return _wrap(f"{what} come from uplift {dossier.made_by(data)}: it loads the change as modules into the distribution's kernel "
                 f"as it is, and compares it with the kernel's own code, here {decision.on(data['machine'])}{how}.")


def _judged(part: record.Part, data: record.Report) -> str:
    """The decision, and where it comes from."""
    return f"{_wrap(decision.decide(part, data['machine']).sentence)}\n\n{_source(part, data)}"


def _impact(part: record.Part, data: record.Report) -> str:
    """What it is for, and what it gains."""
    return f"{_wrap(part['title'][0].upper() + part['title'][1:] + '.')}\n\n{_judged(part, data)}"


def _gains(part: record.Part) -> str:
    """Every operation in every arm against null."""
    words = {"new": "", decision.BEYOND: f", {decision.BEYOND} (goes beyond upstream)"}
    lines = [f"{operation['name']}{words.get(arm, f', {arm}')}: {figures.claim(gain, figures.LONG[operation['unit']])}"
             for operation, arm, gain in decision.gains(part)]
    return _items(lines or ["nothing was measured"])


def _goes_with_it(part: record.Part, data: record.Report) -> str:
    release = data["machine"]["release"]
    return _items([*companions.lines(part, release), f"looked up: {companions.source(part, release)}"])


def _tested(part: record.Part, data: record.Report) -> str:
    return _items([f"tests: {dossier.correct(part)}", f"kernel: {data['machine']['release']}, package "
                   f"{data['machine'].get('version') or 'not known'}, build id {data['machine'].get('build_id') or 'not recorded'}",
                   f"again: {data.get('reproduce') or data.get('command', '')}"])


def _risk(part: record.Part) -> str:
    return _items(part.get("risk") or ["none is recorded"])


def _by_hand(part: record.Part) -> str:
    return _items(part.get("by_hand") or ["nothing is recorded"])


def _abi(part: record.Part) -> str:
    return _items([f"ABI: {line}" for line in dossier.abi(part)])


def sru(part: record.Part, data: record.Report, bug: str) -> str:
    """Ubuntu: the justification of a stable release update of the kernel."""
    link = f"https://bugs.launchpad.net/bugs/{bug}" if bug else "<https://bugs.launchpad.net/bugs/NUMBER>"
    return "\n".join((
        f"BugLink: {link}", "", "SRU Justification:", "", "[Impact]", "", _impact(part, data), "", "[Fix]", "",
        _wrap(f"{_commit(part)} (\"{_title(part)}\"), Linux {(part.get('upstream') or {}).get('linux', 'version not recorded')}."),
        "", _goes_with_it(part, data), "", _abi(part), "", "[Test Plan]", "", _tested(part, data), "", _by_hand(part), "",
        "[Where problems could occur]", "", _risk(part), "", "[Other Info]", "", _gains(part)))


def _diffs(part: record.Part) -> list[str]:
    """The patch as it was applied, where it stands by itself: one that takes a header of ours is none to ship."""
    patches = part.get("patches") or {}
    diffs = [text for name, text in patches.items() if not name.endswith((".cocci", ".h"))]
    if diffs and not any(name.endswith(".h") for name in patches):
        return diffs
    return [f"<the output of: git format-patch -1 --stdout {companions.short(_commit(part))}>"]


def suse(part: record.Part, data: record.Report, bug: str) -> str:
    """SUSE: the header of a patch in kernel-source; the patch itself comes behind it."""
    upstream, history = part.get("upstream") or {}, part.get("history") or record.NO_HISTORY
    author = history.get("author") or f"{upstream.get('author') or '<name>'} <address>"
    # The release candidate, which SUSE's own sorting wants, is only told by a clone.
    lines = [f"From: {author}", *([f"Date: {history['date']}"] if history.get("date") else []), f"Subject: {_title(part)}",
             f"Patch-mainline: {history.get('tag') or 'v' + str(upstream.get('linux') or '<version>')}",
             f"Git-commit: {_commit(part)}", f"References: {f'bsc#{bug}' if bug else '<bsc#NUMBER>'}"]
    return "\n".join((*lines, "", _judged(part, data), "", _goes_with_it(part, data), "",
                      _abi(part), "", "Acked-by: <name and address>")) + PATCH + "".join(_diffs(part))


def _one_of(one: companions.Companion) -> str:
    """A commit of a merge request."""
    return f"commit {one.commit or '<id>'}\n    {one.title}" + (f"\n    {one.link}" if one.link and not one.commit else "")


def centos(part: record.Part, data: record.Report, bug: str) -> str:
    """CentOS Stream: the description of a merge request."""
    found = companions.of(part, data["machine"]["release"])
    omitted = [f"Omitted-fix: {companions.short(one.commit)} (\"{one.title}\"): {one.state.partition(': ')[2]}" for one in found
               if one.kind == "fix" and one.commit and one.state.startswith(companions.OMITTED)]
    needed = [one for one in found if one.state == companions.NEEDED]
    series = [*(_one_of(one) for one in needed if one.kind == "prerequisite"), f"commit {_commit(part)}\n    {_title(part)}",
              *(_one_of(one) for one in needed if one.kind in ("fix", "revert"))]
    return "\n".join((
        f"JIRA: https://issues.redhat.com/browse/RHEL-{bug}" if bug else "JIRA: <https://issues.redhat.com/browse/RHEL-NUMBER>",
        "Upstream Status: linux.git", *omitted, "", _judged(part, data), "",
        f"Commits, in this order ({'the change alone' if len(series) == 1 else 'those that the kernel lacks'}):", "",
        *series, "", _abi(part), "", "Tested:", _tested(part, data), "", _gains(part), "", "Risk:", _risk(part), "",
        "Signed-off-by: <name and address>"))


def debian(part: record.Part, data: record.Report, bug: str) -> str:
    """Debian: a bug against the kernel, as reportbug or a mail to submit@bugs.debian.org takes it."""
    head = ["Source: linux", f"Version: {data['machine'].get('version') or '<version>'}", "Severity: wishlist",
            "Tags: upstream fixed-upstream"]
    return "\n".join((
        f"To: {f'{bug}@' if bug else 'submit@'}bugs.debian.org", f"Subject: linux: please apply \"{_title(part)}\"", "", *head, "",
        _impact(part, data), "", _wrap(f"Upstream: {dossier.upstream(part)}."), "", _goes_with_it(part, data), "", _abi(part), "",
        _gains(part), "", _tested(part, data), "", "Risk:", "", _risk(part)))


def mail(part: record.Part, data: record.Report, bug: str) -> str:
    """A mail to a list."""
    found = decision.decide(part, data["machine"])
    return "\n".join((
        f"Subject: \"{_title(part)}\" on {data['machine']['release']}: {found.kind}", "", _impact(part, data), "",
        _wrap(f"Upstream: {dossier.upstream(part)}." + (f" Bug: {bug}." if bug else "")), "", _goes_with_it(part, data), "",
        _abi(part), "", _gains(part), "", _tested(part, data), "", "Risk:", "", _risk(part), "", "To check by hand:", "",
        _by_hand(part)))


FORMS: dict[str, tuple[Callable[[record.Part, record.Report, str], str], str]] = {
    "sru": (sru, "Ubuntu's justification of a stable update"), "suse": (suse, "the header of a patch of SUSE's"),
    "centos": (centos, "the text of a CentOS merge request"), "debian": (debian, "a Debian bug"),
    "mail": (mail, "a mail to a list")}


def left_out(form: str, data: record.Report, part: record.Part) -> bool:
    """Is a change none that a form asks to ship? Only a mail may say of one that it is harmful or not worth it."""
    return form != "mail" and decision.decide(part, data["machine"]).kind in (decision.HARMFUL, decision.NOT_WORTH_IT)


def _chosen(form: str, data: record.Report, names: Sequence[str]) -> Iterator[record.Part]:
    """The changes that are named, else those that could be shipped."""
    there = [part["name"] for part in data["changes"]]
    for name in names:
        if name not in there:
            raise errors.Problem(f"--change {name}: the report has {' '.join(there) or 'no change'}", errors.USAGE)
    for part in data["changes"]:
        if part["name"] in names or not names and part["verdict"]["kind"] in ("applicable", "unknown") and \
                not part.get("shows") and not left_out(form, data, part):
            yield part


def _tidy(text: str) -> str:
    """Without blanks at the ends of lines, but for a patch behind "---": an empty line of its context is a blank."""
    words, mark, diff = text.partition(PATCH)
    words = "\n".join(line.rstrip() for line in words.rstrip().splitlines())
    return words + (mark + diff.rstrip("\n") if mark else "") + "\n"


def render(name: str, data: record.Report, changes: Sequence[str], bug: str) -> str:
    """A form, for each change that is wanted."""
    texts = [_tidy(FORMS[name][0](part, data, bug)) for part in _chosen(name, data, changes)]
    if not texts:
        raise errors.Problem("the report has no change that is to be shipped; --change NAME takes one all the same",
                             errors.USAGE)
    return BREAK.join(texts)
