# SPDX-License-Identifier: GPL-2.0-only
"""Several kernels side by side: what each change is on each of them, and what it gains there.

    {"format": "uplift-matrix/1", "created", "reproduce", "ok", "targets": {name: {
        "reference": true where the kernel has changes of its own, "release", "version",
        "report": what form.py describes, or "failed": why, or "skipped": why}}}
"""

from ..base import changes
from . import dossier, record, stats

FORMAT = "uplift-matrix/1"
WIDE = 110		# columns that a table may take as text
LABELS = {"off": "kernel", "null": "null", "new": "new", "batch": "batch", "track": "tracking"}


def new(reproduce):
    """A matrix with nothing in it."""
    return {"format": FORMAT, "created": record.now(), "reproduce": reproduce, "ok": True, "targets": {}}


def check(data):
    """Is it whole? Raises ValueError."""
    if not isinstance(data.get("targets"), dict) or not data["targets"]:
        raise ValueError("a matrix without targets")
    for name, target in data["targets"].items():
        if not isinstance(target, dict) or len({"report", "failed", "skipped"} & set(target)) != 1:
            raise ValueError(f"targets.{name}: neither a report, nor why there is none")
        if "report" in target:
            target["report"] = record.check(target["report"])
    for key, default in (("created", ""), ("reproduce", ""), ("ok", False)):
        data.setdefault(key, default)
    return data


def _parts(data):
    """{change: {target: its part of the report}}, in the changes' order."""
    found = {}
    for name, target in data["targets"].items():
        for part in target.get("report", {}).get("changes", ()):
            found.setdefault(part["name"], {})[name] = part
    known = list(changes.load())
    return {name: found[name] for name in sorted(found, key=lambda name: (known.index(name) if name in known else 99,
                                                                         name))}


def _state(target):
    """What stands where a target has no report."""
    return "FAILED" if "failed" in target else "skipped"


def _saved(operation, arm):
    """What an arm saves against null, as short as a column is."""
    gain = operation["gains"].get(arm)
    if not gain:
        return "-"
    if gain["claim"] == "none":
        return "none"
    words = dossier.percent(gain["percent"]["median"])
    return words if gain["claim"] == "gain" else f"{words} MORE"


def _operation(data, parts, name):
    """The rows of one operation: each arm's figure, and what it saves."""
    per = {target: next((found for found in part["operations"] if found["name"] == name), None)
           for target, part in parts.items()}
    arms = [arm for arm in LABELS if any(found and arm in found["summary"] for found in per.values())]
    unit = next(dossier.UNITS[found["unit"]] for found in per.values() if found)

    def row(label, cell):
        return [label] + [cell(per[target]) if per.get(target) else "-" for target in data["targets"]]

    yield row(f"{name}, {unit}", lambda found: dossier.number(found["summary"]["off"]["median"])
              if "off" in found["summary"] else "-")
    for arm in arms:
        if arm != "off":
            yield row(f"  {LABELS[arm]}", lambda found, arm=arm: dossier.number(found["summary"][arm]["median"])
                      if arm in found["summary"] else "-")
    for arm in ("new", "batch"):
        if any(found and arm in found["gains"] for found in per.values()):
            yield row(f"  {arm} saves", lambda found, arm=arm: _saved(found, arm))
    if any(found and found.get("tracking") for found in per.values()):
        yield row("  tracking costs", lambda found: "-" if not found.get("tracking") else
                  dossier.number(found["tracking"]["median"]) if found["tracking"]["claim"] else "unclear")


def _shown(data, parts):
    """The rows of what a change shows, where it changes nothing."""
    for name in dict.fromkeys(item["name"] for part in parts.values() for item in part.get("shows", ())):
        yield [name] + [next((item["short"] for item in parts.get(target, {}).get("shows", ())
                              if item["name"] == name), "-") for target in data["targets"]]


def blocks(data):
    """The matrix, as dossier.py has blocks."""
    names = list(data["targets"])
    parts = _parts(data)
    yield "title", "uplift: upstream's fast-path changes on " + (
        f"{len(names)} kernels" if len(names) != 1 else "one kernel")
    head = ["change", *(name + ("*" if data["targets"][name].get("reference") else "") for name in names)]
    rows = [[change, *(parts[change][name]["verdict"]["kind"] if name in parts[change]
                       else _state(data["targets"][name]) if "report" not in data["targets"][name] else "-"
                       for name in names)] for change in parts]
    rows.append(["tests", *(_tests(data["targets"][name]) for name in names)])
    yield "table", head, rows
    if any(target.get("reference") for target in data["targets"].values()):
        yield "text", ("* has changes of its own: the reference. What the others come to with a change, in the arm new, is to "
                       "be compared with this kernel as it is, in the first line of an operation.")
    for name, target in data["targets"].items():
        for key in ("failed", "skipped"):
            if key in target:
                yield "text", f"{'FAILED' if key == 'failed' else 'Skipped'}: {name}: {target[key]}"
        for problem in target.get("report", {}).get("problems", ()):
            yield "text", f"PROBLEM: {name}: {problem}"
        for part in target.get("report", {}).get("changes", ()):
            correct = part.get("correctness") or {"ok": True}
            if not correct["ok"]:
                yield "text", f"FAILED: {name}, {part['name']}: {'; '.join(correct['problems'][:3]) or correct['summary']}"
    for change, per in parts.items():
        operations = list(dict.fromkeys(found["name"] for part in per.values() for found in part["operations"]))
        title = next(iter(per.values()))["title"]
        yield "head", f"{change}: {title}"
        shown = list(_shown(data, per))
        if shown:
            yield "table", ["in a guest", *head[1:]], shown
        if operations:
            yield "table", ["per operation", *head[1:]], [row for name in operations
                                                          for row in _operation(data, per, name)]
        elif not shown:
            yield "text", "Nothing was measured."
    yield "head", "The kernels"
    yield "facts", [(name, f"{target['release']}, {target['version']}" if target.get("release") else "not had")
                    for name, target in data["targets"].items()]
    yield "head", "How to read it"
    yield "text", ("First line of an operation: the kernel as it is. null: its own code behind the hook, or in a node of "
                   "the same making. new: the change. Savings are those against null; \"none\" stands for "
                   f"{stats.NONE}, \"unclear\" where rounds do not agree, - for what there is not.")
    if any(found["unit"] == "instructions" for per in parts.values() for part in per.values()
           for found in part["operations"]):
        yield "text", ("Instructions: counted by an emulator, exact and the same on any host; a second round has to "
                       "confirm them. They are not time: emulation counts each byte of a string copy, and no cache miss.")
    yield "facts", [("Measured", data["created"]), ("Again", data["reproduce"])]


def _tests(target):
    report = target.get("report")
    if not report:
        return "-"
    found = [part["correctness"] for part in report["changes"] if part.get("correctness")]
    if not found:
        return "not run"
    return "passed" if all(one["ok"] for one in found) else "FAILED"


def text(data):
    """As text; as wide as its columns."""
    return dossier.as_text(blocks(data), WIDE)


def markdown(data):
    """As Markdown."""
    return dossier.as_markdown(blocks(data))


def page(data):
    """As HTML."""
    return dossier.as_page(blocks(data))
