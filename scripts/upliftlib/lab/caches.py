# SPDX-License-Identifier: GPL-2.0-only
"""What `make run` says of the inspector of last-level caches: what it shows, whether it is right, what tracking costs."""

from ..base import errors
from ..inspector import model
from . import guest, prediction, proclist

TITLE = "last-level caches, and what cache-aware scheduling does or would do (Linux 7.2)"
LAYOUT, CPUS = "smt", 4		# two caches, two threads per core
ROUNDS = 2
# Enough to see a fault, few enough to wait for; `make selftests` has all of it.
SHORT = {"ONLY": "load domains lscpu hotplug partition processes tracked tracking_is_free unloaded kernel_log",
         "HOTPLUG": "4", "PROCESSES": "20", "SWITCHES": "5"}
LABELS = {"off": "off", "track": "tracking", "off_again": "off again"}
OPERATIONS = {"processes": "switch, processes", "threads": "switch, threads"}

# The machine's own files, then the selftest, which loads the module itself.
SHOW = r"""
dir=/sys/kernel/debug/uplift/llc
if insmod /modules/uplift.ko && insmod /modules/uplift_llc.ko; then
	for file in verdict domains.json cas; do
		cat $dir/$file >/out/$file || exit
	done
	rmmod uplift_llc uplift || exit
else
	dmesg | sed -n 's/.*\] uplift_llc: //p' | tail -n 1 >/out/verdict
	rmmod uplift 2>/dev/null
fi
exec /selftests/llc.sh short
"""


def evaluate(target, kos, tests, accel=None):
    """{"verdict": lines, "domains": JSON's text, "cas": {key: value}, "correctness", "rounds": {op: {arm: [figure]}}}"""
    if not any(path.name == "uplift_llc.ko" for path in kos):
        return {"verdict": [], "domains": "", "cas": {}, "correctness": None, "rounds": {}}
    result = guest.boot(target, SHOW, files={"/selftests": tests}, kos=kos, smp=CPUS, topology=LAYOUT, accel=accel,
                        env=SHORT | {"DISAGREE": "none", "DOMAINS": str(guest.TOPOLOGIES[LAYOUT].domains)},
                        programs=["/usr/bin/lscpu"], thread="single", name=f"{target.name}-inspector", quiet=True)

    def left(name):
        path = result.outdir / name
        return path.read_text(errors="replace") if path.exists() else ""

    found = {"verdict": left("verdict").splitlines(), "domains": left("domains.json"),
             "cas": dict(line.split(" ", 1) for line in left("cas").splitlines() if " " in line),
             "correctness": proclist.judge(result, CPUS), "rounds": {}}
    if found["domains"]:
        found["rounds"] = prediction.switches(target, kos, tests, ROUNDS, event=False)
    return found


def shows(found):
    """[{"name", "short", "text"}]: what it shows; short is for a column."""
    out = []
    try:
        machine = model.machine(found["domains"], "domains.json") if found["domains"] else None
    except model.Bad as problem:
        raise errors.Problem(f"the inspector: {problem}") from None
    if machine:
        first = machine.domains[0] if machine.domains else None
        masks = "; ".join(model.list_of(domain.cpus) for domain in machine.domains)
        out.append({"name": "domains", "short": f"{len(machine.domains)} of {len(machine.online)} CPUs",
                    "text": f"{len(machine.domains)}, of CPUs {masks}"
                    + (f"; L{first.level} {first.type}, {model.size_of(first.size_kib)}, {first.ways} ways"
                       if first and first.size_kib and first.ways else "")
                    + f" (a guest's: {guest.TOPOLOGIES[LAYOUT].about})"})
        wrong = machine.disagreements + [text for domain in machine.domains for text in domain.disagreements]
        out.append({"name": "hardware and scheduler", "short": "disagree" if wrong else "agree",
                    "text": "; ".join(wrong) or "agree about them"})
        cas = found["cas"]
        out.append({"name": "cache-aware scheduling", "short": machine.cas,
                    "text": {"absent": "absent; what it would do is predicted", "off": "there, and off",
                             "on": "on; what it does is the scheduler's word"}[machine.cas]
                    + "".join(f", {words} {cas[key]}" for key, words in (
                        ("aggr_tolerance", "tolerance"), ("epoch_period_ms", "epoch of ms")) if key in cas)})
    return out


def _row(label, cells):
    return f"{label:22}" + "".join(f"{cell:>11}" for cell in cells)


def section(found):
    """A section of the report, as redirects.py has them."""
    lines = found["verdict"] or ["not built"]
    correct = found["correctness"]
    shown = shows(found)
    out = [f"Verdict: {lines[0]}"] + [f"    {line}" for line in lines[1:]]
    if correct:
        state = "FAILED" if not correct["ok"] else "skipped" if correct["skipped"] else "passed"
        out.append(f"Tests: {state} - {correct['summary']}; {correct['cpus']} CPUs")
        out += [f"    {problem}" for problem in correct["problems"]]
    out += [f"{item['name'][0].upper()}{item['name'][1:]}: {item['text']}" for item in shown]
    rounds = {OPERATIONS.get(name, name): row for name, row in found["rounds"].items()}
    there = [arm for arm in LABELS if any(arm in row for row in rounds.values())]
    if rounds:
        out += ["", _row("instructions per", [LABELS[arm] for arm in there])]
        for name, row in rounds.items():
            out.append(_row(name, [f"{min(row[arm]):,.1f}" if arm in row else "-" for arm in there]))
        out += [f"{name}: tracking costs {min(row['track']) - min(row['off']):.1f}" for name, row in rounds.items()]
    kept = ("ok", "skipped", "problems", "summary", "tests")
    return {"title": TITLE, "change": "llc", "lines": out, "verdict": lines[0].split(":")[0], "shows": shown,
            "table": {name: {arm: min(values) for arm, values in row.items()} for name, row in rounds.items()},
            "rounds": rounds} | ({"correctness": {key: correct[key] for key in kept}} if correct else {})
