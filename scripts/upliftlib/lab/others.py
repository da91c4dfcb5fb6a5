# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab others`: other people's tests on the untouched kernel, and with our arms on, side by side.

The kernel's own selftests (proc, timers, ftrace, livepatch, and those that a change names) from the target's source package, stress-ng's
stressors that touch the paths, and fio on XFS and ext4. In one guest, three times: nothing loaded; nothing loaded once
more, which shows the tests that give now this and now that; every module loaded, its arm at "new". Nothing is asked of
a test but that it says the same.
"""

import argparse
import collections
import pathlib
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base import changes, console, errors, paths, targets
from . import buildroot, fetch, guest, kernels, kmod

Turn = dict[str, str]				# {test: outcome}
Row = tuple[str, str, str, str]			# test; untouched, again, new
SELFTESTS = "tools/testing/selftests"
PROC = ("fd-001-lookup fd-002-posix-eq fd-003-kthread proc-2-is-kthread proc-loadavg-001 proc-maps-race proc-net-dev-lseek "
        "proc-empty-vm proc-pid-vm proc-self-map-files-001 proc-self-map-files-002 proc-self-isnt-kthread proc-self-syscall "
        "proc-self-wchan proc-subset-pid proc-tid0 proc-uptime-001 proc-uptime-002 read self setns-dcache setns-sysvipc "
        "thread-self proc-multiple-procfs proc-fsconfig-hidepid proc-pidns").split()
# Those that do not set the machine's time.
TIMERS = "posix_timers nanosleep nsleep-lat set-timer-lat mqueue-lat inconsistency-check threadtest".split()
FTRACE = ("00basic/basic1.tc 00basic/basic2.tc 00basic/basic3.tc 00basic/basic4.tc 00basic/trace_pipe.tc "
          "direct/kprobe-direct.tc ftrace/func-filter-glob.tc ftrace/func-filter-pid.tc ftrace/func-filter-stacktrace.tc "
          "ftrace/func_set_ftrace_file.tc ftrace/func_profiler.tc ftrace/fgraph-filter.tc "
          "kprobe/add_and_remove.tc kprobe/busy_check.tc kprobe/kprobe_ftrace.tc kprobe/kprobe_module.tc "
          "kprobe/kretprobe_args.tc dynevent/add_remove_kprobe.tc dynevent/add_remove_fprobe.tc").split()
LIVEPATCH = "livepatch callbacks shadow-vars state ftrace sysfs syscall kprobe".split()
STRESS = {"eventfd": 2, "poll": 2, "procfs": 2, "sysfs": 1, "pipe": 2, "iomix": 2, "hdd": 2, "readahead": 1,
          "fallocate": 2, "vm": 1, "mmap": 1, "timerfd": 2, "clone": 2}
STRESS_SECONDS = 4
# These take 1 GB each, or all that is free, and the next one finds nothing to begin with.
STRESS_FILES, STRESS_BYTES = ("iomix", "hdd", "readahead", "fallocate"), "48M"
# What has to be another with the arms on: {test: (outcome, why)}.
MEANT_TO_DIFFER = {
    "livepatch.ftrace": ("skip", "it sets kernel.ftrace_enabled to 0, which is refused while an arm is on, as beside a "
                                 "live patch"),
}
# These fail where they are woken 40 ms late, as on a host with other things to do: told, and not held against the arms.
TIMED = ("timers.nsleep-lat", "timers.set-timer-lat", "timers.mqueue-lat")
# livepatch's tests want what busybox's own do not say or know: insmod's words, date --rfc-3339, diff --label.
PROGRAMS = ["/usr/bin/bash", "/usr/sbin/sysctl", "/usr/sbin/insmod", "/usr/sbin/rmmod", "/usr/sbin/modinfo", "/usr/bin/date",
            "/usr/bin/diff", "/usr/bin/stat", "/usr/bin/getconf", "/usr/bin/stress-ng", "/usr/bin/fio",
            "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.ext4"]

GUEST = r"""
cd /others
n=0
# one NAME COMMAND: its status, and its own tests, if it tells of any
one()
{
	name=$1
	shift
	timeout -s KILL 240 "$@" >/tmp/said 2>&1 </dev/null
	status=$?
	echo "$n status $name $status" >>/out/results
	grep -E '^(not )?ok [0-9]+ |\[(PASS|FAIL|UNRESOLVED|UNTESTED|UNSUPPORTED|XFAIL)\]$' /tmp/said |
		sed "s|^|$n said $name |" >>/out/results
	mkdir -p /out/said.$n
	tail -c 3000 /tmp/said >/out/said.$n/$name
}

all()
{
	n=$1
@TESTS@
}

modprobe brd rd_nr=2 rd_size=327680 && modprobe ext4 && modprobe xfs || exit
mkfs.ext4 -q -b 4096 /dev/ram0 && mkfs.xfs -q /dev/ram1 && mkdir -p /mnt/ext4 /mnt/xfs || exit
mount -t ext4 /dev/ram0 /mnt/ext4 && mount -t xfs /dev/ram1 /mnt/xfs || exit
ln -s /bin/bash /usr/bin/bash 2>/dev/null
all 0
all 1
dir=/sys/kernel/debug/uplift
for module in @MODULES@; do
	if insmod /modules/$module.ko 2>/dev/null; then
		echo "$module" >>/out/loaded
	else
		echo "$module: $(dmesg | sed -n "s/.*\] $module: //p" | tail -n 1)" >>/out/refused
	fi
done
for arm in $dir/*/arm; do
	[ ! -e $arm ] || echo new >$arm || echo batch >$arm || exit
done
for track in $dir/*/track; do
	[ ! -e $track ] || echo 1 >$track || exit
done
all 2
for arm in $dir/*/arm; do
	[ -e $arm ] || continue
	change=${arm%/arm}
	sed "s/^/${change##*/} /" $change/stats >>/out/stats
	echo off >$arm || exit
done
sleep 2
for module in @MODULES_BACKWARDS@; do
	[ ! -d /sys/module/$module ] || rmmod $module || exit
done
"""

FIO = ("fio --directory=/mnt/{fs} --size=4m --verify=crc32c --verify_fatal=1 --do_verify=1 --thread --ioengine=psync "
       "--fallocate=none --name=direct --rw=randrw --bs=4k --direct=1 --name=buffered --rw=randwrite --bs=1k-9k "
       "--bs_unaligned=1 --fsync=32")


def meant(name: str, only: Iterable[str] | None) -> bool:
    """Is a test one of those: "proc" are all whose name begins with "proc."; None are all?"""
    return not only or any(name == word or name.startswith(f"{word}.") for word in only)


def of_changes() -> list[tuple[pathlib.PurePath, str]]:
    """(directory below the kernel's selftests, name) of tests that the changes name."""
    found = [pathlib.PurePath(change.guest().upstream) for change in changes.load().values() if change.guest().upstream]
    return [(path.relative_to(SELFTESTS).parent, path.stem) for path in found]


def stressors() -> dict[str, int]:
    """{stress-ng's stressor: how many}"""
    return STRESS | {name: count for change in changes.load().values() for name, count in change.about.get("stress", {}).items()}


def guest_script(lines: str) -> str:
    """What the guest runs. @lines: a command for each test."""
    modules = ["uplift", *(change.module for change in changes.load().values())]
    return (GUEST.replace("@TESTS@", lines).replace("@MODULES@", " ".join(modules))
            .replace("@MODULES_BACKWARDS@", " ".join(reversed(modules))))


def names() -> list[str]:
    """All the tests' names, wherever they can be had."""
    return ([f"proc.{name}" for name in PROC] + [f"timers.{name}" for name in TIMERS]
            + [f"{directory.name}.{name}" for directory, name in of_changes()]
            + [f"ftrace.{name.replace('/', '.')}" for name in FTRACE] + [f"livepatch.{name}" for name in LIVEPATCH]
            + list(commands()))


def words_of(only: str | None) -> list[str] | None:
    """--only's words; None if it has none."""
    words = (only or "").split()
    for word in words:
        if not any(meant(name, [word]) for name in names()):
            raise errors.Problem(f"no test of others '{word}'; there are: {' '.join(names())}; or, of several: "
                              + " ".join(dict.fromkeys(name.partition('.')[0] for name in names())), errors.USAGE)
    return words or None


def programs(target: kernels.Target, out: pathlib.Path,
             only: Sequence[str] | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Build the kernel's own programs and modules into out; {name: command in the guest}, {name: why it is left out}."""
    tree, kdir = target.part("ksrc").resolve(), target.part("kdir")
    tests, without = {}, {}
    wanted = [("proc", name) for name in PROC] + [("timers", name) for name in TIMERS]
    wanted += [(str(directory), name) for directory, name in of_changes()]
    for directory, name in wanted:
        sourcefile = tree / SELFTESTS / directory / f"{name}.c"
        label = f"{directory.rpartition('/')[2]}.{name}"
        if not meant(label, only):
            continue
        if not sourcefile.exists():
            without[label] = "not in this kernel's source"
            continue
        code, text = buildroot.output(
            ["gcc-14", "-O2", "-w", "-static", "-D_GNU_SOURCE", "-include", "fcntl.h", f"-I{tree}/{SELFTESTS}",
             f"-I{tree}/tools/include", f"-I{tree}/tools/include/uapi", f"-I{tree}", "-o", out / label, sourcefile, "-lpthread", "-lrt", "-lm"],
            binds=[tree])
        if code:
            without[label] = "does not build out of its tree: " + next(
                (line.partition("error: ")[2] for line in text.splitlines() if "error: " in line), "see the compiler")
        else:
            tests[label] = f"/others/{label}"
    for name in ("ftrace", "livepatch"):
        shutil.copytree(tree / SELFTESTS / name, out / name, symlinks=True)
    for name in FTRACE:
        if not meant(f"ftrace.{name.replace('/', '.')}", only):
            continue
        if (out / "ftrace/test.d" / name).exists():
            tests[f"ftrace.{name.replace('/', '.')}"] = f"sh -c 'cd ftrace && sh ./ftracetest -l /tmp/ftrace test.d/{name}'"
        else:
            without[f"ftrace.{name}"] = "not in this kernel's source"
    modules = out / "livepatch/test_modules"
    chosen = [name for name in LIVEPATCH if meant(f"livepatch.{name}", only)]
    if not chosen:
        return tests, without
    if modules.is_dir():
        code, text = buildroot.output(["make", "-C", kdir, f"M={modules}", "modules"], binds=kmod._binds(kdir))
        failed = code and "the test modules do not build: " + text.strip().splitlines()[-1]
    else:
        failed = "this kernel's test modules are part of its build"
    for name in chosen:
        if failed or not (out / f"livepatch/test-{name}.sh").exists():
            without[f"livepatch.{name}"] = failed or "not in this kernel's source"
        else:
            # where modules could be compiled must be somewhere, or they skip; ours are compiled
            tests[f"livepatch.{name}"] = f"bash -c 'cd livepatch && KDIR=/ bash ./test-{name}.sh'"
    return tests, without


def commands() -> dict[str, str]:
    """{name: command} of the packaged ones."""
    found = {f"stress-ng.{name}": f"stress-ng --{name} {count} --timeout {STRESS_SECONDS} --verify --temp-path /mnt/"
             f"{('ext4', 'xfs')[number % 2]}"
             + (f" --{name}-bytes {STRESS_BYTES}" if name in STRESS_FILES else "")
             for number, (name, count) in enumerate(stressors().items())}
    return found | {f"fio.{fs}": FIO.format(fs=fs) for fs in ("ext4", "xfs")}


def results(text: str) -> list[Turn]:
    """[{test: outcome}] of the three turns, from what the guest wrote: statuses, and what tests told of their own."""
    turns: list[Turn] = [{} for _ in range(3)]
    for line in text.splitlines():
        number, kind, name, rest = line.split(" ", 3)
        turn = turns[int(number)]
        if kind == "status":
            turn[name] = {"0": "pass", "4": "skip", "137": "no end"}.get(rest, f"status {rest}")
            continue
        ktap = re.match(r"(not )?ok \d+ (?:- )?(.*?)(?: # (SKIP|XFAIL).*)?$", rest)
        words = re.match(r"(?:\[\d+\] )?(.*?)\s*\[(\w+)\]$", rest)
        if ktap:
            outcome = "skip" if ktap[3] == "SKIP" else "fail" if ktap[1] else "pass"
            turn[f"{name}: {ktap[2].strip()}"] = outcome
        elif words:
            turn[f"{name}: {words[1].strip()}"] = words[2].lower()
    return turns


def compare(turns: Sequence[Turn]) -> tuple[list[Row], list[Row], list[str]]:
    """Rows (test, untouched, again, new) of what differs, and of what wavers; names of what is the same, or meant to differ.

    What wavers differs between the untouched turns, or measures how late it is woken.
    """
    names = list(dict.fromkeys(name for turn in turns for name in turn))
    differ: list[Row] = []
    wavering: list[Row] = []
    same: list[str] = []
    for name in names:
        untouched, again, new = (turn.get(name, "absent") for turn in turns)
        row = name, untouched, again, new
        if untouched == again and new in (untouched, MEANT_TO_DIFFER.get(name, (untouched, ""))[0]):
            same.append(name)
        elif new in (untouched, again) or name.partition(": ")[0] in TIMED:
            wavering.append(row)
        else:
            differ.append(row)
    return differ, wavering, same


def run(target: kernels.Target, only: Sequence[str] | None = None) -> dict[str, Any]:
    """What other people's tests say on a target; @only: names of tests or of their groups."""
    kos = list(kmod.build(target).values())
    buildroot.ensure("test")
    out = paths.BUILD / "selftests" / "others" / target.name
    paths.remove(out)
    paths.ensure(out)
    with console.doing(f"building the tests of {target.name}'s own source"):
        tests, without = programs(target, out, only)
    tests |= {name: command for name, command in commands().items() if meant(name, only)}
    if not tests:
        raise errors.Problem(f"no test of others is meant by '{' '.join(only or ())}'", errors.USAGE)
    lines = "".join(f"\tone {shlex.quote(name)} {command}\n" for name, command in tests.items())
    with console.doing(f"{len(tests)} tests of others on {target.release}, three times each"):
        result = guest.boot(target, guest_script(lines), files={"/others": out}, kos=kos, smp=2, mem="3G",
                            modules=["brd", "ext4", "xfs"], timeout=4 * 3600, name=f"{target.name}-others", quiet=True,
                            programs=PROGRAMS)

    def left(name: str) -> str:
        path = result.outdir / name
        return path.read_text(errors="replace") if path.exists() else ""

    turns = results(left("results"))
    differ, wavering, same = compare(turns)
    problems = [result.problem()] if not result.ok else []
    problems += [f"{name}: {row[2]} with the arms on, {row[0]} without" for name, *row in differ]
    if not turns[2]:
        problems.append("no test was run with the arms on")
    return {"ok": not problems, "problems": problems, "differ": differ, "wavering": wavering, "same": same,
            "turns": turns, "without": without, "loaded": left("loaded").split(), "refused": left("refused").splitlines(),
            "stats": left("stats").splitlines(), "console": str(result.console)}


def table(found: Mapping[str, Any]) -> str:
    """The comparison, as text."""
    tally = [collections.Counter(turn.values()) for turn in found["turns"]]
    outcomes = sorted(set().union(*tally), key=lambda word: (word != "pass", word))
    lines = [f"{'':42} {'untouched':>10} {'again':>10} {'new':>10}"]
    lines += [f"{outcome:42} " + " ".join(f"{counter[outcome]:10}" for counter in tally) for outcome in outcomes]
    lines += [f"{name:.60}: " + ", ".join(row) for name, *row in found["differ"]]
    lines += [f"now this and now that: {name:.60}: " + ", ".join(row) for name, *row in found["wavering"]]
    lines += [f"{name}: {outcome} with the arms on, as it must be: {why}" for name, (outcome, why) in MEANT_TO_DIFFER.items()
              if found["turns"][2].get(name) == outcome != found["turns"][0].get(name)]
    lines += [f"left out: {name}: {why}" for name, why in found["without"].items()]
    lines += [f"not loaded: {line}" for line in found["refused"]]
    return "\n".join(lines)


def sums(found: Mapping[str, Any]) -> tuple[int, int, int]:
    """(passed, failed, skipped); what skips in every turn told nothing."""
    skipped = sum(found["turns"][0][name] == "skip" for name in found["same"])
    return (len(found["same"]) + len(found["wavering"]) - skipped, len(found["problems"]),
            len(found["without"]) + skipped)


def _others(args: argparse.Namespace) -> int:
    only = words_of(args.only)	# before minutes of unpacking
    target = fetch.fetch(args.target, {*fetch.USUAL, "source"})
    if not target.ksrc:
        raise errors.Skip(f"target {args.target}: no source")
    found = run(target, only)
    print(table(found))
    for problem in found["problems"]:
        print(f"FAIL {args.target}: {problem}")
    print("others: {} passed, {} failed, {} skipped".format(*sums(found)))
    return errors.OK if found["ok"] else errors.FAIL


def register(commands_: Any) -> None:
    """Add `uplift lab others`."""
    parser = commands_.add_parser("others", help="other people's tests, without and with the arms on",
                                  description="Run the kernel's own selftests, stress-ng and fio on a stock kernel, twice "
                                              "untouched and once with every module loaded and every arm at new, and "
                                              "compare.")
    parser.add_argument("target", metavar="TARGET", choices=list(targets.TABLE))
    parser.add_argument("--only", metavar="NAMES", help="tests or groups of them, blanks between: proc livepatch fio.xfs; or "
                                                        "of " + " ".join(dict.fromkeys(name.partition(".")[0] for name in names())))
    parser.set_defaults(func=_others)
