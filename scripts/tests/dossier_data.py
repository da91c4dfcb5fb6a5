# SPDX-License-Identifier: GPL-2.0-only
"""Reports on the changes of pond.py: one as bench gives it, with noise from a fixed seed, one as `make run` does, and one as it
did."""

import copy
import html
import random
import re

from upliftlib.base import changes
from upliftlib.report import dossier, reading, record
from tests import pond

MACHINE = {"release": "6.18.15-amd64", "version": "6.18.15-1", "arch": "x86_64", "config_from": "/boot/config",
           "kernel": "Linux version 6.18.15-amd64 (build@host) (x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0, GNU ld "
                     "(GNU Binutils) 2.44) #1 SMP", "config": {"CONFIG_KPROBES": "y", "CONFIG_LIVEPATCH": "n"},
           "cpu": "A CPU <of> 3 GHz & more", "pinned": 3, "governor": "performance", "turbo": "off", "smt": "off",
           "online": "0-3", "siblings": "3", "smap": True, "mitigations": {"spectre_v2": "Mitigation: IBRS"},
           "hypervisor": "", "cmdline": "mitigations=auto", "lockdown": "none", "taint": 0, "taint_after": 12288}


def samples(gain, rounds=30, noise=2.0, seed=1, arms=("off", "off_again", "null", "new"), base=1000.0):
    """Figures of every arm, of which new saves `gain`."""
    rng = random.Random(seed)
    true = {"off": base - 8, "off_again": base - 8, "null": base, "new": base - gain, "batch": base - 2 * gain}
    return {arm: [round(true[arm] + rng.gauss(0, noise), 2) for _ in range(rounds)] for arm in arms}


def bench():
    """A gain, a loss, nothing measurable; one change that is native."""
    known = pond.CHANGES
    data = record.new(copy.deepcopy(MACHINE), "uplift bench") | {"created": "2026-11-21T08:00:00+00:00"}
    trout = record.entry(known["trout"], {"kind": "applicable", "from": "module", "evidence": ["function: trout_wait"]})
    trout["operations"] = [
        record.operation("trout_wait 1", samples(40, arms=("off", "off_again", "null", "new", "batch"))),
        record.operation("trout_wait 16", samples(0.0, seed=4)), record.operation("trout_wait 256", samples(-60, seed=3))]
    trout["correctness"] = {"ok": False, "summary": "3 tests: 1 passed, 1 failed, 1 skipped", "problems": ["it broke"],
                            "tests": [{"name": "events_off", "outcome": "pass", "reason": ""},
                                      {"name": "events_new", "outcome": "fail", "reason": "an event <lost> | gone"},
                                      {"name": "upstream", "outcome": "skip", "reason": "not built"}]}
    carp = record.entry(known["carp"], {"kind": "native", "from": "module", "evidence": ["renders: a ready text"],
                                        "errno": "EEXIST"})
    pike = record.entry(known["pike"], {"kind": "unknown", "from": "btf", "evidence": ["not asked: no root"]})
    data["changes"] = [carp, pike, trout]
    data["problems"] = ["trout: no call went to the arm batch", "the machine is on fire"]
    data["ok"] = False
    return data


def counted():
    """As `make run` leaves it."""
    return read(evaluation())


def read(data):
    """The report that `data` is, where there are the changes of pond.py only."""
    with pond.alone():
        return reading.check(data)


def of_this_tree():
    """evaluation() of the changes that there are: what a process that is started knows."""
    data = evaluation() | {"change": next(iter(changes.load()))}
    data["sections"] = [section | {"change": changes.inspector().name} for section in data["sections"] if "shows" in section]
    return data


def evaluation():
    """As `make run` left it before it left a report."""
    def arm(pread, whole):
        return {"pread_open_fd": {"instructions": pread, "rounds": [float(pread)] * 3},
                "open_read_close": {"instructions": whole, "rounds": [float(whole)] * 3}}

    rounds = {"trout_wait 1": {"off": [732.0, 732.0], "null": [740.0, 740.0], "new": [725.0, 725.0],
                               "batch": [709.0, 709.0], "off_again": [732.0, 732.0]}}
    return {
        "format": "uplift-evaluation/1", "change": "carp", "created": "2026-11-21T08:00:00+00:00",
        "target": {"name": "6.12", "release": "6.12.1-amd64", "version": "6.12.1-1", "kernel": "Linux version 6.12.1",
                   "config": {"CONFIG_KPROBES": "y"}, "provenance": []},
        "verdict": {"kind": "applicable", "evidence": ["show: carp_show"]},
        "correctness": {"ok": True, "skipped": None, "summary": "1 test: 1 passed", "problems": [], "counts": {},
                        "taint": 12288, "cpus": 2, "accel": "TCG", "qemu": "10.0.1",
                        "tests": [{"name": "load", "outcome": "pass", "reason": ""}],
                        "console": "/c", "output": "/o", "seconds": 42.5},
        "measurement": {"list": {"bytes": 297, "entries": 25}, "taint": 12288, "accel": "TCG, counting",
                        "qemu": "10.0.1", "arms": {"off": arm(19086, 27309), "off_again": arm(19086, 27309),
                                                   "uncached": arm(19089, 27355), "cached": arm(877, 7618)},
                        "seconds": 12.25},
        "reproduce": "make run TARGET=6.12", "seconds": 99.75, "ok": True,
        "sections": [
            {"title": "trout", "change": "trout", "verdict": "applicable",
             "lines": ["Verdict: applicable", "    function: trout_wait", "Equality: passed - 7 tests: 7 passed", ""],
             "table": {name: {key: min(values) for key, values in row.items()} for name, row in rounds.items()},
             "rounds": rounds},
            {"title": "caches", "change": "heron", "verdict": "applicable",
             "lines": ["Verdict: applicable", "    cas: absent", "Tests: passed - 2 tests: 2 passed; 4 CPUs", ""],
             "shows": [{"name": "domains", "short": "2 of 4 CPUs", "text": "2, of CPUs 0-1; 2-3"},
                       {"name": "cache-aware scheduling", "short": "absent", "text": "absent; it is predicted"}],
             "correctness": {"ok": True, "skipped": None, "summary": "2 tests: 2 passed", "problems": [],
                             "tests": [{"name": "domains", "outcome": "pass", "reason": ""}]},
             "rounds": {"switch, threads": {"off": [5630.9, 5630.9], "track": [5701.4, 5701.4],
                                            "off_again": [5630.9, 5630.9], "event": [6697.0, 6697.0]}}},
            {"title": "pike", "verdict": "unaffected", "table": {"read xfs": {"off": 10.0, "off_again": 10.0}},
             "lines": ["Verdict: unaffected: this kernel's iterators never had the fault", ""]}]}


def cards(data):
    """{change: the words of its card on a page's first screen}, and those above them by the name ''."""
    page = dossier.page(data)
    above, *found = re.split("<li class=", page[page.index("<h1>"):page.index("</ul>")])
    plain = [" ".join(re.sub("<[^>]*>", " ", html.unescape(text)).split()) for text in (above, *found)]
    return {"": plain[0]} | {change["name"]: text.partition(" ")[2] for change, text in zip(data["changes"], plain[1:])}
