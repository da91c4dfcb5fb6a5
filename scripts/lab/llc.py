# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab llc`: the inspector in guests. Is what it predicts what 7.2's scheduler does? And snapshots of guests."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import concurrent.futures	# noqa: E402

from . import buildroot, commands, fetch, fslist, guest, kmod, paths, say, selftests, targets	# noqa: E402
from llc import source	# noqa: E402

# A guest has no Python: it sends what `uplift llc capture` would read, and the snapshot is made of it here.
CAPTURE = r"""
cd /sys/devices/system
grep -rs "" cpu/possible cpu/present cpu/online cpu/offline cpu/isolated cpu/smt cpu/cpu[0-9]*/online \
	cpu/cpu[0-9]*/topology cpu/cpu[0-9]*/cache node/online node/possible node/node*/cpulist node/node*/distance \
	>/out/system
mkdir /out/llc
cp /sys/kernel/debug/uplift/llc/* /out/llc/ 2>/dev/null
echo "$(uname -s) $(uname -r) $(uname -v) $(uname -m)" >/out/uname
/usr/bin/lscpu -J -C >/out/lscpu.json
"""

LOAD = r"""
insmod /modules/uplift.ko && insmod /modules/uplift_llc.ko || exit
"""


def snapshot(result, directory):
    """Make a snapshot of what a guest that ran CAPTURE sent."""
    out = result.outdir
    with paths.fresh_dir(pathlib.Path(directory).absolute()) as temp:
        paths.write(temp / "format", source.FORMAT + "\n")
        for name in ("uname", "lscpu.json"):
            paths.write(temp / name, (out / name).read_text())
        for line in (out / "system").read_text().splitlines():
            name, _, text = line.partition(":")
            path = temp / "sys/devices/system" / name
            # "/power" and "uevent" are in every device's directory
            if any(path.match(f"system/{pattern}") for pattern in source.SYSTEM) and path.name != "uevent":
                paths.write(path, (path.read_text() if path.exists() else "") + text + "\n")
        names = {}
        for name in source.FILES:
            if (out / "llc" / name).is_file():
                paths.write(temp / "llc" / name, source.anonymous(name, (out / "llc" / name).read_text(), names))


def capture(target, kos, topology, where, *, before="", smp=None, module=True, append="", timeout=300):
    """Boot a layout, and make a snapshot of it."""
    script = (LOAD if module else "") + before + CAPTURE
    result = guest.boot(target, script, kos=kos if module else (), programs=["/usr/bin/lscpu"], smp=smp,
                        topology=topology, append=append, timeout=timeout, name=f"{target.name}-llc-{topology}", quiet=True,
                        thread="single")
    if not result.ok:
        raise say.Problem(f"capturing {topology} on {target.name} failed: {result.problem()} ({result.console})")
    snapshot(result, where)


# selftests/llc.sh in every layout.

# Layout -> vCPUs (None: what it has), and whether hardware, ids and scheduler disagree there.
LAYOUTS = {
    "smt": (None, "none"), "llc4": (8, "none"), "llc1": (None, "none"), "llc2": (None, "none"),
    "uneven": (None, "none"), "nol3": (None, "none"), "numa": (None, "none"), "module": (None, "none"),
    "epyc": (None, "some"), "snc": (None, "some"),
}
# The short form runs all tests in the first layout, with SMT, and in the others what depends on the layout.
EVERYWHERE = ["load", "domains", "lscpu", "one_cpu", "unloaded", "kernel_log"]
AT_ONCE = 2	# guests, of one emulation thread each


def layout_test(target, kos, install, layout, form, env, only):
    """What llc.sh found in a guest of a layout."""
    smp, disagree = LAYOUTS[layout]
    _, cpus = guest.topology_args(layout, smp)
    topology = guest.TOPOLOGIES[layout]
    environment = {"DISAGREE": disagree, "DOMAINS": str(topology.domains)} | env | ({"ONLY": " ".join(only)} if only else {})
    result = guest.boot(target, f"exec /selftests/llc.sh {form}", files={"/selftests": install}, kos=kos, smp=smp,
                        topology=layout, env=environment, programs=["/usr/bin/lscpu"], thread="single",
                        timeout=300 if form == "short" else 1800, name=f"{target.name}-llc-{layout}", quiet=True)
    return fslist.judge(result, cpus)


def layouts_test(target, kos, install, form="short", env=None, only=None, layouts=None):
    """llc.sh in the layouts: one report of all, with a problem's layout in front of it."""
    layouts = layouts or list(LAYOUTS)

    def wanted(layout):
        if form == "long" or layout == layouts[0]:
            return only
        return [name for name in EVERYWHERE if not only or name in only]

    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    try:
        jobs = {layout: pool.submit(layout_test, target, kos, install, layout, form, env or {}, wanted(layout))
                for layout in layouts if wanted(layout) != []}
        rows = {layout: job.result() for layout, job in jobs.items()}
    except BaseException:
        guest.stop_all()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
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
