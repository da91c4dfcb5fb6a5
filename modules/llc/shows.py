# SPDX-License-Identifier: GPL-2.0-only
"""What a report says of the inspector, from what show.sh left: the domains, whether their sources agree, and gathering."""

import pathlib

from upliftlib.base import errors
from upliftlib.inspector import model

GATHERING = {"absent": "absent; what it would do is predicted", "off": "there, and off",
             "on": "on; what it does is the scheduler's word"}
TUNABLES = (("aggr_tolerance", "tolerance"), ("epoch_period_ms", "epoch of ms"))


def shows(out: pathlib.Path, guest: str) -> list[dict[str, str]]:
    """[{"name", "short", "text"}]; nothing where the module refused."""
    if not (out / "domains.json").exists():
        return []
    try:
        machine = model.machine((out / "domains.json").read_text(), "domains.json")
    except model.Bad as problem:
        raise errors.Problem(f"the inspector: {problem}") from None
    tunables = dict(line.split(" ", 1) for line in (out / "cas").read_text().splitlines() if " " in line)
    gathering = machine.cas or "absent"
    return [_domains(machine, guest), _agreement(machine),
            {"name": "cache-aware scheduling", "short": gathering, "text": GATHERING[gathering]
             + "".join(f", {words} {tunables[key]}" for key, words in TUNABLES if key in tunables)}]


def _domains(machine: model.Machine, guest: str) -> dict[str, str]:
    first = machine.domains[0] if machine.domains else None
    masks = "; ".join(model.list_of(domain.cpus) for domain in machine.domains)
    return {"name": "domains", "short": f"{len(machine.domains)} of {len(machine.online)} CPUs",
            "text": f"{len(machine.domains)}, of CPUs {masks}"
            + (f"; L{first.level} {first.type}, {model.size_of(first.size_kib)}, {first.ways} ways"
               if first and first.size_kib and first.ways else "") + f" (a guest's: {guest})"}


def _agreement(machine: model.Machine) -> dict[str, str]:
    wrong = machine.disagreements + [text for domain in machine.domains for text in domain.disagreements]
    return {"name": "hardware and scheduler", "short": "disagree" if wrong else "agree",
            "text": "; ".join(wrong) or "agree about them"}
