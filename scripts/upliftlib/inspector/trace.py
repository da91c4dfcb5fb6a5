# SPDX-License-Identifier: GPL-2.0-only
"""A recording as a trace that opens in Perfetto (ui.perfetto.dev) and chrome://tracing: the JSON of trace events.

Threads are slices named after where they are; a process has a counter of its run time in each place, and an instant event
where its preferred domain changes, or is refused.
"""

import json
import typing

from . import record, timeline

Event = dict[str, typing.Any]


def _meta(kind: str, pid: int, tid: int, name: str) -> Event:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}


def _slices(recording: record.Recording) -> list[Event]:
    """What a thread did between two samples is one slice; samples in a row in one place are one."""
    of_cpu = recording.place_of()
    found: list[Event] = []
    last: dict[tuple[int, int], Event] = {}
    before = 0.0
    for sample in recording.samples:
        begin, end = round(before * 1000), round(sample.ms * 1000)
        for pid, tid, cpu, ran in sample.threads:
            name = f"domain {of_cpu[cpu]}" if cpu in of_cpu else "no domain"
            event = last.get((pid, tid))
            if event and event["name"] == name and event["ts"] + event["dur"] == begin:
                event["dur"] = end - event["ts"]
                event["args"]["ran_ms"] += ran
                continue
            last[pid, tid] = {"ph": "X", "cat": "placement", "name": name, "pid": pid, "tid": tid, "ts": begin,
                              "dur": end - begin, "args": {"cpu": cpu, "ran_ms": ran}}
            found.append(last[pid, tid])
        before = sample.ms
    return found


def _of_process(recording: record.Recording, line: timeline.Line) -> list[Event]:
    found: list[Event] = [_meta("process_name", line.pid, line.pid, line.name)]
    places = timeline.places_of(recording, line)
    for moment in line.moments:
        found.append({"ph": "C", "name": "run time, ms", "pid": line.pid, "tid": line.pid, "ts": round(moment.ms * 1000),
                      "args": {place: round(moment.ran.get(place, 0.0), 3) for place in places}})
    for event in line.events:
        found.append({"ph": "i", "s": "p", "cat": "gathering", "name": event.words(), "pid": line.pid, "tid": line.pid,
                      "ts": round(event.ms * 1000)})
    before = None
    for moment in line.moments:
        reason = moment.gathered.reason if moment.gathered and not moment.gathered.where else None
        if reason and reason != before:
            found.append({"ph": "i", "s": "p", "cat": "refused", "name": f"refused: {reason}", "pid": line.pid,
                          "tid": line.pid, "ts": round(moment.ms * 1000)})
        before = reason if moment.gathered else before
    return found


def render(recording: record.Recording) -> str:
    """The trace's text."""
    events = _slices(recording)
    for line in timeline.lines(recording):
        events += _of_process(recording, line)
    events.sort(key=lambda event: (event.get("ts", -1), event["pid"], event["tid"]))
    about = {"kernel": recording.kernel, **{f"domain {name}": ",".join(map(str, sorted(cpus)))
                                            for name, cpus in recording.places.items()}}
    return json.dumps({"displayTimeUnit": "ms", "otherData": about, "traceEvents": events}) + "\n"
