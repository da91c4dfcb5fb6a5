# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab arms`: what an epoll_wait and a direct read cost in every arm, in counted instructions.

One boot, one vCPU, arms in turn (selftests/bench/). Without the modules the two arms "off" are left: the stock kernel.
A second boot, with a plugin of QEMU, counts how often the kernel opens user memory (stac, clac), fences and calls per
epoll_wait; its CPU model has SMAP, which the counting one has not.
"""

import collections
import json
import shlex


from ..base import changes, console, errors, paths, targets
from . import buildroot, commands, guest, kmod, plugins, testprograms

ARMS = ("off", "null", "new", "batch", "off_again")
READY = (1, 16, 256)
MARKED = 200		# operations of each kind for the plugin

# The file is written through the page cache, which must be empty again: a direct read of a file that has cached pages
# looks for dirty ones among them. Blocks of 4 KiB: mkfs would take smaller ones for a file system of this size.
FILES = r"""
modprobe brd rd_nr=2 rd_size=327680 && modprobe ext4 && modprobe xfs || exit
mkfs.ext4 -q -b 4096 /dev/ram0 && mkfs.xfs -q /dev/ram1 && mkdir -p /mnt/ext4 /mnt/xfs || exit
mount -t ext4 /dev/ram0 /mnt/ext4 && mount -t xfs /dev/ram1 /mnt/xfs || exit
for fs in ext4 xfs; do
	dd if=/dev/zero of=/mnt/$fs/file bs=1M count=32 conv=fsync 2>/dev/null || exit
done
sync
echo 1 >/proc/sys/vm/drop_caches
"""

LOAD = r"""
dir=/sys/kernel/debug/uplift
for module in uplift uplift_epoll uplift_iomap {backports}; do
	[ ! -e /modules/$module.ko ] || insmod /modules/$module.ko 2>>/out/refused
done
for change in epoll iomap {changes}; do
	if [ -e $dir/$change/verdict ]; then
		cat $dir/$change/verdict >/out/verdict.$change
	else
		dmesg | sed -n "s/.*\] uplift_$change: //p" | tail -n 1 >/out/verdict.$change
	fi
done
"""

MEASURE = FILES + LOAD + r"""
# what the boot put off is done by then; sleeping costs nothing, as an idle guest's clock jumps
sleep 10
/selftests/epoll_bench --rounds {rounds} >/out/bench || exit
/selftests/iomap_bench --rounds {rounds} /mnt/ext4/file /mnt/xfs/file >>/out/bench || exit
{more}
"""

COUNT = LOAD + r"""
sleep 1
/selftests/epoll_bench --marked {marked} >/out/bench
"""

PROGRAMS = ("/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.xfs")


def _samples(result, what, target):
    if not result.ok:
        raise errors.Problem(f"{what} on {target.name} failed: {result.problem()} ({result.console})")
    return [json.loads(line) for line in (result.outdir / "bench").read_text().splitlines()]


def backports():
    """The backports that bring a program and its arguments: modules/backports/*/about.toml."""
    return [change for change in changes.load().values() if change.backport and "bench" in change.about]


def _script(text, rounds=0):
    """MEASURE or COUNT with the backports in it."""
    more = [f"/selftests/{change.about['bench']['program']} {shlex.join(change.about['bench'].get('arguments', ()))} "
            f"--rounds {rounds} >/out/bench.{change.name} || exit" for change in backports()]
    for word, value in (("{rounds}", str(rounds)), ("{marked}", str(MARKED)), ("{more}", "\n".join(more)),
                        ("{backports}", " ".join(change.module for change in backports())),
                        ("{changes}", " ".join(change.name for change in backports()))):
        text = text.replace(word, value)
    return text


def verdicts(result):
    """{change: what its module said, a line or more}; '' where there is no module."""
    found = {}
    for change in ("epoll", "iomap", *(change.name for change in backports())):
        path = result.outdir / f"verdict.{change}"
        found[change] = path.read_text(errors="replace").strip() if path.exists() else ""
    return found


def measure(target, kos, tests, *, rounds=3, timeout=420):
    """{"verdicts", "samples", "rounds": {operation: {arm: [instructions]}}, "table": the least of the rounds}."""
    buildroot.ensure("io")
    result = guest.boot(target, _script(MEASURE, rounds), files={"/selftests": tests}, kos=kos,
                        icount=True, modules=["brd", "ext4", "xfs"], programs=PROGRAMS, mem="1500M", timeout=timeout,
                        name=f"{target.name}-arms", quiet=True)
    samples = _samples(result, "measuring", target)
    rounds = {}
    for sample in samples:
        operation = f"epoll_wait {sample['ready']}" if sample["bench"] == "epoll" else f"read {sample['fs']}"
        rounds.setdefault(operation, {}).setdefault(sample["arm"], []).append(sample["best"])
    ours = {}
    for change in backports():
        for line in (result.outdir / f"bench.{change.name}").read_text().splitlines():
            sample = json.loads(line)
            operation = change.about["bench"]["operation"].format(**sample)
            ours.setdefault(change.name, {}).setdefault(operation, {}).setdefault(sample["arm"], []).append(
                sample["best"])
    return {"verdicts": verdicts(result), "samples": samples, "rounds": rounds, "table": least(rounds),
            "backports": ours, "seconds": round(result.seconds, 1)}


def least(rounds):
    """{operation: {arm: the least of its rounds}}"""
    return {operation: {arm: min(values) for arm, values in row.items()} for operation, row in rounds.items()}


def count(target, kos, tests, *, timeout=300):
    """{"epoll_wait 16": {arm: {"stac", "clac", "lfence", "call"}}}: the least of MARKED operations."""
    buildroot.ensure()
    plugin = plugins.build("insns")
    record = paths.ensure(plugins.OUT) / f"{target.name}.insns"
    record.unlink(missing_ok=True)
    # Without retpolines an indirect call is one call; with them it is two, and the second calls nothing.
    result = guest.boot(target, _script(COUNT), files={"/selftests": tests}, kos=kos, smp=1,
                        accel="tcg", thread="single", append="nokaslr cryptomgr.notests mitigations=off",
                        plugins=[f"{plugin},out={record}"], timeout=timeout, name=f"{target.name}-insns", quiet=True)
    runs = _samples(result, "counting stac and calls", target)
    return counted(runs, record.read_text().splitlines(), target.name)


def counted(runs, lines, name):
    """The runs that the program says it did, with what the plugin counted."""
    found = collections.defaultdict(list)
    for line in lines[:-1]:
        _, run, *counts = line.split()
        found[int(run)].append([int(value) for value in counts])
    if not lines or lines[-1] != "end" or len(found) != len(runs):
        raise errors.Problem(f"{name}: the plugin counted {len(found)} whole runs, the program did {len(runs)}")
    table = collections.defaultdict(dict)
    for number, run in enumerate(runs, 1):
        if len(found[number]) != run["ops"]:
            raise errors.Problem(f"{name}: {len(found[number])} operations counted of {run['ops']}")
        least = [min(column) for column in zip(*found[number])]
        table[f"{run['op']} {run['ready']}"][run["arm"]] = dict(zip(("stac", "clac", "lfence", "call"), least))
    if not all(counts["stac"] and counts["stac"] == counts["clac"] for row in table.values() for counts in row.values()):
        raise errors.Problem(f"{name}: stac and clac do not pair, or there are none: has the CPU model SMAP?")
    return dict(table)


def render(found):
    """Text for people."""
    arms = [arm for arm in ARMS if any(arm in row for row in found["table"].values())]
    out = []
    for change, text in found["verdicts"].items():
        out.append(f"{change}: {text.splitlines()[0] if text else 'no module, the stock kernel alone'}")
    out.append(f"{'instructions':20}" + "".join(f"{arm:>11}" for arm in arms))
    for operation, row in found["table"].items():
        out.append(f"{operation:20}" + "".join(f"{row[arm]:11.1f}" if arm in row else f"{'-':>11}" for arm in arms))
    for name, rounds in found.get("backports", {}).items():
        out += [f"{name}, {operation}".ljust(28) + " ".join(f"{arm} {row[arm]:.1f}" for arm in arms if arm in row)
                for operation, row in least(rounds).items()]
    for operation, row in found.get("counts", {}).items():
        events = int(operation.split()[-1])
        for what in ("stac", "lfence", "call"):
            out.append(f"{operation + ' ' + what:20}" + "".join(
                f"{row[arm][what]:11d}" if arm in row else f"{'-':>11}" for arm in arms)
                + f"   (off: {row['off'][what] / events:.2f} per event)")
    return "\n".join(out)


def _arms(args):
    names = args.targets or list(targets.TABLE)
    report, code = {}, errors.OK
    for name in names:
        targets.spec(name)
    for name in names:
        try:
            target = commands.fetch.fetch(name, {"image", "modules"} | (set() if args.no_kos else {"headers", "slice"}))
            kos = [] if args.no_kos else list(kmod.build(target).values())
            tests = testprograms.build()
            with console.doing(f"counting instructions in every arm on {target.release}"):
                found = measure(target, kos, tests, rounds=args.rounds)
                found["counts"] = count(target, kos, tests)
        except errors.Skip as reason:
            console.warn(f"skipped: {reason}")
            continue
        except errors.Problem as problem:
            console.error(str(problem))
            code = errors.FAIL
            continue
        report[name] = found
        print(f"\n{target.release}\n{render(found)}", flush=True)
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    return code if report or code else errors.SKIP


def register(commands_):
    """Add `uplift lab arms`."""
    parser = commands_.add_parser("arms", help="instructions per epoll_wait and direct read, in every arm",
                                  description="Count instructions per epoll_wait and per direct read, and stac, lfence "
                                              "and calls per epoll_wait, in every arm that the modules offer.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="through all arms (default: 3)")
    parser.add_argument("--no-kos", action="store_true", help="without our modules: the stock kernel")
    parser.add_argument("--json", metavar="FILE", help="write the samples there")
    parser.set_defaults(func=_arms)
