# SPDX-License-Identifier: GPL-2.0-only
"""The filesystem list in guests: is it correct here, and how many instructions does a read take?"""

import json

from ..base import errors, ktap
from . import guest
from .guest.modules import StockModules

# Small modules without dependencies that put one line each into the list; those that the target has are carried.
FILESYSTEMS = "minix bfs qnx4 qnx6 hpfs adfs befs ufs efs freevxfs".split()

OPERATIONS = {"pread_open_fd": "pread, open file", "open_read_close": "open+read+close"}
ARMS = {
    "off": "/proc/filesystems, nothing loaded",
    "stock": "/proc/filesystems, module loaded",
    "uncached": "/proc/filesystems_uncached (control)",
    "cached": "/proc/filesystems_cached",
    "off_again": "/proc/filesystems, module unloaded",
    "permanent": "/proc/filesystems_cached, permanent=1",
}

# Three rounds per arm: where the allocator happens to stand can cost an open a few per cent all through a round (6.1).
# The least counts.
MEASURE = r"""
dir=/sys/kernel/debug/uplift/fslist
bench()
{
	for round in 1 2 3; do
		/selftests/fslist_bench --file "$2" >/tmp/bench || exit
		sed "s/^{/{\"arm\":\"$1\",\"round\":$round,/" /tmp/bench >>/out/bench
	done
}

# a list as long as a real machine's
modprobe ext4 && modprobe xfs || exit
# what the boot put off is done by then; sleeping costs nothing, as an idle guest's clock jumps
sleep 5
cp /proc/filesystems /out/list
cat /proc/version >/out/version
bench off /proc/filesystems
insmod /modules/uplift.ko || exit
option=
if ! insmod /modules/uplift_fslist.ko 2>/out/refused; then
	option=native=1
	if ! insmod /modules/uplift_fslist.ko $option 2>>/out/refused; then
		dmesg | sed -n 's/.*\] uplift_fslist: //p' | tail -n 1 >/out/verdict
		exit 0
	fi
fi
cat $dir/verdict >/out/verdict
cat /proc/sys/kernel/tainted >/out/taint
cmp /proc/filesystems /proc/filesystems_cached || exit
cmp /proc/filesystems /proc/filesystems_uncached || exit
# the cache is not used until the change that its own loading might have raced with is over
sleep 1
bench stock /proc/filesystems
bench uncached /proc/filesystems_uncached
bench cached /proc/filesystems_cached
cat $dir/stats >/out/stats
rmmod uplift_fslist || exit
bench off_again /proc/filesystems
insmod /modules/uplift_fslist.ko permanent=1 $option || exit
cat /proc/filesystems_cached >/dev/null
sleep 1
bench permanent /proc/filesystems_cached
cmp /proc/filesystems /proc/filesystems_cached
"""


def carried(target):
    """The filesystem modules that this target has."""
    names = StockModules(target.moddir, target.release).names()
    return [name for name in FILESYSTEMS if name in names]


def correctness(target, kos, selftests, *, smp=2, env=None, timeout=600, accel=None, form="short", echo=None, **how):
    """Run fslist.sh in a guest: {"ok", "summary", "problems", "tests", ...}. @how: more for guest.boot()."""
    result = guest.boot(target, f"exec /selftests/fslist.sh {form}", files={"/selftests": selftests}, kos=kos,
                        modules=carried(target), smp=smp, env=env or {}, timeout=timeout, accel=accel, echo=echo,
                        name=f"{target.name}-fslist", quiet=True, **how)
    return judge(result, smp)


def judge(result, cpus, xfail=(), livepatch=False, warned=False):
    """What a guest that ran a KTAP script is worth. The kernel's word counts more than the script's.

    @livepatch: the script loads uplift_livepatch.ko, which taints
    @warned: so does a warning of the kernel's that was excused
    """
    text = result.output.read_text(errors="replace") if result.output.exists() else ""
    if result.rc is None:
        result.show_end()
        # the console has what was printed until the end
        text = result.console.read_text(errors="replace")
    report = ktap.parse(text, xfail)
    problems = [f"the kernel complained: {line}" for line in result.oops]
    if result.rc is None:
        problems.insert(0, result.why)
    elif result.rc == 4 and report.skipped_all is None:
        problems.append("the script says that it was skipped, but not why")
    elif result.rc not in (0, 4):
        problems.append(f"the script ended with status {result.rc}")
    problems += report.problems
    allowed = 4096 | 8192 | (32768 if livepatch else 0) | (512 if warned else 0)
    if result.taint is not None and result.taint & ~allowed:
        problems.append(f"the kernel is tainted {result.taint}: more than out of tree (4096) and unsigned (8192)"
                        + (" and live-patched (32768)" if livepatch else ""))
    return {
        "ok": not problems, "skipped": report.skipped_all, "summary": report.summary(), "counts": report.counts(),
        "problems": problems, "races": result.races, "taint": result.taint, "cpus": cpus, "accel": result.accel, "qemu": result.qemu,
        "tests": [{"name": test.name, "outcome": test.outcome,
                   "reason": test.reason or (test.notes[-1] if test.outcome == "skip" and test.notes else "")}
                  for test in report.tests],
        "console": str(result.console), "output": str(result.output), "seconds": round(result.seconds, 1)}


def of_layouts(rows):
    """What judge() found in several layouts of CPUs, {layout: found}, as one, with a problem's layout in front of it."""
    total = {}
    for row in rows.values():
        for kind, number in row["counts"].items():
            total[kind] = total.get(kind, 0) + number
    skips = [row["skipped"] for row in rows.values()]
    return {"ok": all(row["ok"] for row in rows.values()), "skipped": skips[0] if all(skips) else None,
            "problems": [f"{layout}: {problem}" for layout, row in rows.items() for problem in row["problems"]],
            "counts": total, "layouts": rows,
            "summary": ", ".join(f"{number} {kind}" for kind, number in total.items() if number)
            + f" in {len(rows)} layouts"}


def measure(target, kos, selftests, *, timeout=420, echo=None):
    """Count instructions in a guest: {"verdict", "arms", "list", ...}."""
    result = guest.boot(target, MEASURE, files={"/selftests": selftests}, kos=kos, icount=True,
                        modules=["ext4", "xfs"], timeout=timeout,
                        name=f"{target.name}-icount", quiet=True, echo=echo)
    said = result.output.read_text(errors="replace").strip().splitlines() if result.output.exists() else []
    if not result.ok:
        raise errors.Problem(f"measuring on {target.name} failed: {result.problem()}"
                          + (f": {said[-1]}" if result.rc and said else "") + f" ({result.console})")

    def left(name):
        path = result.outdir / name
        return path.read_text(errors="replace") if path.exists() else ""

    lines = left("verdict").splitlines()
    if not lines:
        raise errors.Problem(f"measuring on {target.name} gave no verdict ({result.console})")
    kind, _, rest = lines[0].partition(":")
    evidence = [line for line in [rest.strip()] + lines[1:] if line.strip()]
    samples = [json.loads(line) for line in left("bench").splitlines()]
    text = left("list")
    return {
        "verdict": {"kind": kind.strip(), "evidence": evidence},
        "list": {"bytes": len(text), "entries": len(text.splitlines())},
        "kernel": left("version").strip(),
        "taint": int(left("taint") or result.taint),
        "stats": dict(line.split() for line in left("stats").splitlines() if len(line.split()) == 2),
        "accel": result.accel, "qemu": result.qemu, "samples": samples, "arms": arms(samples),
        "console": str(result.console), "seconds": round(result.seconds, 1)}


def arms(samples):
    """{arm: {operation: {"instructions", "rounds"}}} in the order of ARMS; the least of the rounds is the figure."""
    found = {}
    for arm in ARMS:
        for operation in OPERATIONS:
            rounds = [sample["best"] for sample in samples
                      if sample["arm"] == arm and sample["op"] == operation]
            if rounds:
                found.setdefault(arm, {})[operation] = {"instructions": round(min(rounds)),
                                                        "rounds": [round(value, 2) for value in rounds]}
    return found
