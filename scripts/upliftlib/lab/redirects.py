# SPDX-License-Identifier: GPL-2.0-only
"""What `make run` says of the changes that redirect a function: epoll, iomap and the backports."""

from . import arms, selftests

TITLES = {"epoll": "epoll_wait() with fewer user-access scopes (Linux 7.0)",
          "iomap": "iomap_iter() without clearing what nobody reads (Linux 7.2)"}
ARMS = ("off", "null", "new", "batch", "off_again")
LABELS = {"off": "off", "null": "null", "new": "new", "batch": "batch", "off_again": "off again"}
# Every arm through the same tests; enough to see a fault, few enough to wait for.
CORRECT = "load events_off events_null events_new events_batch unloaded kernel_log"
CORRECT_OPS = "5000"

# The redirected function is called once per wait, and twice per read: for the mapping, and to finish.
CALLS = {"epoll_wait": 1, "read": 2}


def evaluate(target, kos, tests):
    """{"verdicts", "table", "counts", "correctness": {"epoll": ...}}, from two guests that count."""
    found = arms.measure(target, kos, tests, rounds=2)
    if any(text.startswith(("applicable", "native")) for text in found["verdicts"].values()):
        found["counts"] = arms.count(target, kos, tests)
    del found["samples"]
    return found


def correctness(target, kos, tests, accel=None, smp=2):
    """epoll.sh in every arm that there is."""
    found = selftests.boot(target, kos, tests, "epoll", smp=smp, accel=accel,
                           env={"ONLY": CORRECT, "EPOLL_OPS": CORRECT_OPS})
    return {key: found[key] for key in ("ok", "skipped", "problems", "summary", "tests")}


def backports(target, kos, tests, accel=None, smp=2):
    """backports.sh: every backport, in every arm."""
    found = selftests.boot(target, kos, tests, "backports", smp=smp, accel=accel)
    return {key: found[key] for key in ("ok", "skipped", "problems", "summary", "tests")}


def _of(found, name):
    """Of backports.sh's results those of one."""
    tests = [test | {"name": test["name"].removeprefix(f"{name}_")} for test in found["tests"]
             if test["name"].startswith(f"{name}_") or test["name"] == "kernel_log"]
    counts = {word: sum(test["outcome"] == word for test in tests) for word in ("pass", "fail", "skip")}
    # what is wrong with the whole is wrong with each
    return found | {"tests": tests, "summary": f"{len(tests)} tests: {counts['pass']} passed, {counts['fail']} failed, "
                    f"{counts['skip']} skipped"}


def _row(label, cells):
    return f"{label:22}" + "".join(f"{cell:>11}" for cell in cells)


def _figures(found, prefix, there):
    lines = [_row("instructions per", [LABELS[arm] for arm in there])]
    for operation, row in found["table"].items():
        if operation.startswith(prefix):
            lines.append(_row(operation, [f"{row[arm]:,.1f}" if arm in row else "-" for arm in there]))
    return lines


def _differences(found, prefix):
    """What the hook costs a call, and what an arm gains against null."""
    lines = []
    for operation, row in found["table"].items():
        if not operation.startswith(prefix) or "null" not in row:
            continue
        calls = CALLS[operation.split()[0]]
        gains = ", ".join(f"{arm} {row['null'] - row[arm]:+,.1f}" for arm in ("new", "batch") if arm in row)
        cost = (row["null"] - row["off"]) / calls
        lines.append(f"{operation}: redirect costs {cost:.1f} a call; saved against null: {gains}")
    return lines


def _counts(found, there):
    lines = []
    for operation, row in found.get("counts", {}).items():
        events = int(operation.split()[-1])
        for what, label in (("stac", "stac/clac pairs"), ("call", "calls")):
            lines.append(_row(f"{label}, {events} ready", [row[arm][what] if arm in row else "-" for arm in there]))
    return lines


def _verdict_lines(found, change):
    verdict = found["verdicts"].get(change, "") or "not built (no source for it)"
    return verdict, [f"Verdict: {verdict.splitlines()[0]}"] + [f"    {line}" for line in verdict.splitlines()[1:]]


def of_backports(found, correct):
    """Sections of the backports."""
    for change in arms.backports():
        rounds = found.get("backports", {}).get(change.name, {})
        table = arms.least(rounds)
        verdict, lines = _verdict_lines(found, change.name)
        equal = _of(correct, change.name)
        there = [arm for arm in ARMS if any(arm in row for row in table.values())]
        lines += [f"Equality: {'passed' if equal['ok'] else 'FAILED'} - {equal['summary']}",
                  *(f"    {problem}" for problem in equal["problems"]), "",
                  _row("instructions per", [LABELS[arm] for arm in there])]
        for operation, row in table.items():
            lines.append(_row(operation, [f"{row[arm]:,.1f}" if arm in row else "-" for arm in there]))
        lines += [f"{operation}: saved against null: {row['null'] - row['new']:+,.1f}"
                  for operation, row in table.items() if {"null", "new"} <= set(row)]
        yield {"title": change.title, "change": change.name, "lines": lines,
               "verdict": verdict.split(":")[0].split("\n")[0], "table": table, "rounds": rounds, "correctness": equal}


def sections(found, correct):
    """Sections of the report: {"title", "lines"}."""
    out = []
    for change, prefix in (("epoll", "epoll_wait"), ("iomap", "read")):
        verdict, lines = _verdict_lines(found, change)
        rows = [row for operation, row in found["table"].items() if operation.startswith(prefix)]
        there = [arm for arm in ARMS if any(arm in row for row in rows)]
        if change == "epoll" and correct:
            lines.append(f"Equality: {'passed' if correct['ok'] else 'FAILED'} - {correct['summary']}")
            lines += [f"    {problem}" for problem in correct["problems"]]
        lines += ["", *_figures(found, prefix, there)]
        if change == "epoll":
            lines += _counts(found, there)
        lines += _differences(found, prefix)
        ours = {key: {operation: row for operation, row in found.get(key, {}).items() if operation.startswith(prefix)}
                for key in ("table", "rounds")}
        out.append({"title": TITLES[change], "change": change, "lines": lines,
                    "verdict": verdict.split(":")[0].split("\n")[0], **ours}
                   | ({"correctness": correct} if change == "epoll" and correct else {}))
    return out
