# SPDX-License-Identifier: GPL-2.0-only
"""Should a change be shipped? One sentence for each change: what to do, why, how much in which unit, on what machine, and
how sure that is. Everything below it in a dossier is what it rests on.

    worth it       it gains, its tests passed here, and no operation loses as much
    not worth it   nothing measurable, or less than WORTH of an operation
    harmful        a test failed, or it gains nothing and loses WORTH of an operation or more
    cannot be told what would decide was not done here, or which operation counts is for the reader to say
    nothing to do  the kernel has it, or never had the problem
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from . import companions, figures, record, stats

WORTH_IT, NOT_WORTH_IT, HARMFUL, UNTOLD, NOTHING = ("worth it", "not worth it", "harmful", "cannot be told here",
                                                    "nothing to do")
KINDS = (WORTH_IT, NOT_WORTH_IT, HARMFUL, UNTOLD, NOTHING)
WORTH = 1.0		# per cent of an operation: what saves less is not worth a patch to carry
MOST_CRCS = 3		# symbols that a sentence names
BEYOND = "batch"	# the arm that goes beyond upstream

SHOWS = "the module only shows what the change would do; what the change gains is only known from a kernel that has it"

# What tests came to.
PASSED, FAILED, ERROR, SKIPPED, NOT_RUN = "passed", "FAILED", "ERROR", "skipped", "not run"


@dataclasses.dataclass(frozen=True)
class Decision:
    """What to do about a change, and the parts of the reason: a sentence has them in a row, a page one below the other."""
    kind: str
    said: str				# what it gains and loses, or why that is not known
    sure: str = ""			# on what machine that is, and how sure
    more: tuple[str, ...] = ()		# what else has to be known of it
    tested: str = ""
    takes: str = ""			# the commits that have to be shipped

    @property
    def reason(self) -> str:
        """The parts in a row."""
        takes = f"{'ship' if self.kind == WORTH_IT else 'it would take'} {self.takes}" if self.takes else ""
        said = f"{self.said} ({self.sure})" if self.sure else self.said
        return "; ".join(part for part in (said, *self.more, self.tested, takes) if part)

    @property
    def sentence(self) -> str:
        """In one sentence."""
        return f"{self.kind[0].upper()}{self.kind[1:]}: {self.reason}."


def tests(found: record.Correctness | None) -> str:
    """What the tests came to. One that could not be run at all has found no fault: that is an error of the run."""
    if not found:
        return NOT_RUN
    if found["ok"]:
        return SKIPPED if found.get("skipped") else PASSED
    return ERROR if found.get("error") or not found["tests"] else FAILED


def gains(part: record.Part) -> list[figures.Gained]:
    """[(operation, arm, gain)] of a change."""
    return [(operation, arm, gain) for operation in part["operations"] for arm, gain in operation["gains"].items()]


def upstreams(part: record.Part) -> list[figures.Gained]:
    """Those of the arm that does what upstream does; of all arms where there is none of that name."""
    return [row for row in gains(part) if row[1] == "new"] or gains(part)


def decide(part: record.Part, machine: dict[str, Any]) -> Decision:
    """What to do about a change, from its part of a report."""
    return _by_verdict(part) or _by_tests(part) or _by_figures(part, machine)


def _by_verdict(part: record.Part) -> Decision | None:
    """Where there is nothing to measure."""
    verdict = part["verdict"]
    why = next(iter(verdict["evidence"]), "no reason was given").rstrip(".")
    if verdict["kind"] == "native":
        return Decision(NOTHING, "this kernel has the change")
    if verdict["kind"] == "unaffected":
        return Decision(NOTHING, "this kernel never had the problem")
    if verdict["kind"] == "unsupported":
        return Decision(UNTOLD, f"the kernel lacks the change, and it cannot be tried here ({why})")
    if verdict["kind"] != "applicable":
        return Decision(UNTOLD, f"whether it applies is not known ({why})")
    return None


def _by_tests(part: record.Part) -> Decision | None:
    """Where a test failed; where it is not known whether one would."""
    found = part.get("correctness")
    if tests(found) != FAILED or not found:
        return None
    failed = [test["name"] for test in found["tests"] if test["outcome"] in ("fail", "xpass")]
    return Decision(HARMFUL, f"do not ship it, {_several(failed, 'test')} failed ({', '.join(failed)})" if failed else
                    f"do not ship it, its tests ended badly ({'; '.join(found['problems'][:1]) or found['summary']})")


def _several(items: list[str], what: str) -> str:
    return f"a {what}" if len(items) == 1 else f"{len(items)} {what}s"


def _by_figures(part: record.Part, machine: dict[str, Any]) -> Decision:
    found = upstreams(part)
    state = tests(part.get("correctness"))
    if not found:
        return _only_shows(part, machine, state) if part.get("shows") else Decision(UNTOLD, _unmeasured(part))
    kind, said = _weighed(found, part.get("explains") or {})
    if kind == WORTH_IT and state != PASSED:
        kind = UNTOLD
    return Decision(kind, said, _sure(found, machine), (*_upstreams_own(part), *_beyond(part)), _tested(part, state),
                    _takes(part, machine) if kind != HARMFUL else "")


def _only_shows(part: record.Part, machine: dict[str, Any], state: str) -> Decision:
    tested = _tested(part, state).replace("its tests", "the module's tests")
    return Decision(UNTOLD, SHOWS, more=tuple(_upstreams_own(part)), tested=tested, takes=_takes(part, machine))


def _takes(part: record.Part, machine: dict[str, Any]) -> str:
    """The commits that have to be shipped; that nothing has to go with the change is said, too."""
    upstream: dict[str, Any] = part.get("upstream") or {}
    change = companions.short(upstream.get("commit") or "") or "it"
    if upstream.get("series"):
        change = f"the series that begins with {change}"
    known = companions.of(part, machine["release"])
    needed = [one for one in known if one.state == companions.NEEDED]
    if needed:
        kinds = [group for kind in companions.KINDS if (group := [one for one in needed if one.kind == kind])]
        return f"{change} with {_and([words for group in kinds for words in _named(group)])}"
    if not companions.looked_up(part) or any(one.state == companions.UNKNOWN for one in known):
        return f"{change}; what has to go with it was not looked up for this kernel"
    return f"{change}; nothing that was found has to go with it"


def _named(group: list[companions.Companion]) -> Iterator[str]:
    """Commits of one kind: those with an id in a row, each without one with a reason to look for it."""
    what = companions.KINDS[group[0].kind]
    if ids := [companions.short(one.commit) for one in group if one.commit]:
        plural = "" if len(ids) == 1 else "es" if what.endswith("x") else "s"
        yield f"{what}{plural} {', '.join(ids)}"
    for one in group:
        if not one.commit:
            yield f"a {what} whose id was not found" + (f" ({one.without})" if one.without else "")


def _and(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def crcs_that_change(part: record.Part) -> list[str]:
    """The exported symbols whose CRCs are others with the change as it was applied."""
    found = part.get("abi")
    return sorted(name for name, (before, after) in found["symbols"].items() if before != after) if found else []


def upstreams_abi(part: record.Part) -> dict[str, str]:
    """{struct: what upstream's commits, prerequisites among them, do to it}."""
    return (part.get("upstream") or {}).get("abi") or {}


def _upstreams_own(part: record.Part) -> Iterator[str]:
    """Where something else than the commit's own lines was measured, and what upstream itself says of the gain."""
    upstream: dict[str, Any] = part.get("upstream") or {}
    if upstream.get("instead"):
        yield str(upstream["instead"])
    if changed := crcs_that_change(part):
        more = f" and {len(changed) - MOST_CRCS} more" if len(changed) > MOST_CRCS else ""
        yield f"it CHANGES the CRCs of exported symbols ({', '.join(changed[:MOST_CRCS])}{more})"
    if structs := upstreams_abi(part):
        yield f"upstream's commits CHANGE the kernel's ABI ({', '.join(structs)})"
    if upstream.get("claims"):
        yield f"upstream's own figure: {upstream['claims']}"


def _unmeasured(part: record.Part) -> str:
    return next((note for note in part.get("notes", ()) if note.startswith("not measured")), "it was not measured")


def _tested(part: record.Part, state: str) -> str:
    """What the tests came to, in words."""
    found = part.get("correctness")
    if not found or state == NOT_RUN:
        return "correctness is open: its tests were not run here"
    if state == SKIPPED:
        return f"correctness is open: its tests were skipped ({found.get('skipped')})"
    if state == ERROR:
        why = found.get("error") or next(iter(found["problems"]), found["summary"])
        return f"correctness is open: its tests could not be run ({why})"
    passed, skipped = (sum(test["outcome"] == outcome for test in found["tests"]) for outcome in ("pass", "skip"))
    return f"its tests passed ({passed}{f', {skipped} skipped' if skipped else ''})" if found["tests"] else \
        f"its tests passed ({found['summary']})"


def _weighed(found: list[figures.Gained], explains: Mapping[str, str]) -> tuple[str, str]:
    """What gains and losses come to, each with its largest operation."""
    best, worst = _largest(found, "gain"), _largest(found, "loss")
    if not best and not worst:
        why = sorted({gain["why"] for *_, gain in found if gain["why"]})
        return NOT_WORTH_IT, stats.NONE + (f" ({'; '.join(why)})" if why else "")
    if not best:
        return (HARMFUL if _percent(worst) >= WORTH else NOT_WORTH_IT), _said(worst, found, "loss", explains)
    gained = _percent(best) >= WORTH
    said = _said(best, found, "gain", explains)
    if not worst:
        return (WORTH_IT, said) if gained else (NOT_WORTH_IT, f"{said}, but a patch to carry has to save {WORTH:.0f}%")
    both = f"{said}, but {_said(worst, found, 'loss', explains)}"
    if _percent(worst) >= WORTH:
        return UNTOLD, f"{both}: it depends on which of them your load does"
    return (WORTH_IT if gained else NOT_WORTH_IT), both


def largest(part: record.Part) -> str:
    """The largest gain of a change, and the largest loss where that is no smaller than WORTH or the only one, in per cent."""
    found = upstreams(part)
    best, worst = _largest(found, "gain"), _largest(found, "loss")
    words = [f"{figures.percent(_percent(best))} less"] if best else []
    words += [f"{figures.percent(_percent(worst))} MORE"] if worst and (not best or _percent(worst) >= WORTH) else []
    return ", ".join(words)


def _percent(row: figures.Gained | None) -> float:
    return abs(row[2]["percent"]["median"]) if row else 0.0


def _largest(found: list[figures.Gained], claim: str) -> figures.Gained | None:
    rows = [row for row in found if row[2]["claim"] == claim]
    return max(rows, key=_percent) if rows else None


def _said(row: figures.Gained | None, found: list[figures.Gained], claim: str, explains: Mapping[str, str]) -> str:
    """A gain or loss: what an operation took, what it takes, and how many operations have one."""
    assert row
    operation, arm, gain = row
    count = sum(one[2]["claim"] == claim for one in found)
    before = operation["summary"]["null"]["median"]
    what = f" ({explains[operation['name']]})" if operation["name"] in explains else ""
    words = (f"{operation['name']}{what} takes {figures.number(before - gain['saves']['median'])} {figures.LONG[operation['unit']]}"
             f" instead of {figures.number(before)}" + (f" with {arm}" if arm != "new" else "")
             + f" ({figures.percent(gain['percent']['median'])} {'less' if claim == 'gain' else 'MORE'})")
    return words + (f", {count} of {len(found)} operations {'gain' if claim == 'gain' else 'lose'}" if count > 1 else "")


def _sure(found: list[figures.Gained], machine: dict[str, Any]) -> str:
    """On what machine, and how sure it is."""
    operation, _, gain = max([row for row in found if row[2]["claim"] != "none"] or found, key=_percent)
    if operation["unit"] == "instructions":
        return f"exact counts {on(machine)}, not time"
    part = gain["percent"]
    low, high = sorted((abs(part["low"]), abs(part["high"])))
    sure = f", 95% interval {figures.percent(low)} to {figures.percent(high)}" if gain["claim"] != "none" else ""
    return f"{operation['rounds']} rounds{sure}, {on(machine)}"


def on(machine: dict[str, Any]) -> str:
    """The machine, in a few words."""
    release = machine["release"]
    if machine.get("cpu"):
        return f"on {machine['cpu']} with {release}" + (f", a guest of {machine['hypervisor']}" if machine.get("hypervisor")
                                                        else "")
    return f"in a {str(machine.get('hypervisor') or 'virtual').split()[0]} guest of {release}"


def _beyond(part: record.Part) -> Iterator[str]:
    """Where the arm beyond upstream gains less than upstream's change, that is said."""
    lost = [(operation, operation["gains"]["new"], operation["gains"][BEYOND]) for operation in part["operations"]
            if {"new", BEYOND} <= set(operation["gains"]) and
            operation["gains"][BEYOND]["saves"]["high"] < operation["gains"]["new"]["saves"]["low"]]
    if lost:
        operation, new, beyond = max(lost, key=lambda row: row[1]["saves"]["median"] - row[2]["saves"]["median"])
        of = sum({"new", BEYOND} <= set(one["gains"]) for one in part["operations"])
        unit = figures.LONG[operation["unit"]]
        yield (f"what goes beyond upstream ({BEYOND}) saves less than upstream's change in {len(lost)} of {of} operations "
               f"({operation['name']}: "
               f"{figures.number(beyond['saves']['median'])} {unit}, upstream's "
               f"{figures.number(new['saves']['median'])})")
