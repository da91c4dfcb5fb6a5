# SPDX-License-Identifier: GPL-2.0-only
"""Many modules of patches in one guest, one after the other: loaded, switched, and unloaded again.

The kernel's module whose functions have bodies in ours must not go meanwhile. In `null` and `new` random programs run on two CPUs,
on an ext4 and an XFS, whose every result has to be what it was in `off` before (for `new`: or a person is told), and a panel
of operations, for the count of calls that came to the functions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..base import console
from . import buildroot, guest, kmod, testprograms, tryscript
from .kernelcode import KernelCode
from .trial import Trial

MOST = 8	# modules of one guest: its time is limited

_DISKS = ("ext4", "xfs")

# Disks are mounted for the programs only, so that nothing else holds the modules of their file systems.
_BEGIN = r"""
mkdir -p /tmp /mnt
for module in @STOCK@; do modprobe $module || exit 10; done
modprobe brd rd_nr=2 rd_size=327680 && mkfs.ext4 -q /dev/ram0 && mkfs.xfs -q /dev/ram1 || exit 10
insmod /modules/uplift.ko || exit 11
on() { mount -t $1 $2 /mnt && shift 2 && "$@" && umount /mnt || exit 14; }
seen() {
	for seed in 1 2; do /selftests/syscall_bench --transcript $seed --calls 3000 || exit 14; done >/out/seen.$1
	on ext4 /dev/ram0 /selftests/random_calls --seed 1 --calls 1000 --dir /mnt --look >>/out/seen.$1
	on xfs /dev/ram1 /selftests/random_calls --seed 2 --calls 1000 --dir /mnt >>/out/seen.$1
}
each() {
	dir=/sys/kernel/debug/uplift/$1
	echo "uplift try: $1" >/dev/kmsg
	insmod /modules/uplift_$1.ko || return
	for module in $2; do rmmod $module 2>/dev/null && echo $1 $module >>/out/gone; done
	for arm in null new; do
		echo $arm >$dir/arm || return
		seen $1.$arm
		# what differs by chance does not do so twice
		cmp -s /out/seen.off /out/seen.$1.$arm || seen $1.$arm.twice
		on ext4 /dev/ram0 /selftests/panel_bench --dir /mnt --change $1 --reach >/out/reach.$1.$arm || return
	done
	cat $dir/stats >/out/stats.$1
	for arm in off null new null off; do echo $arm >$dir/arm || return; done
	rmmod uplift_$1 && echo $1 >>/out/done
}
seen off
seen off_again
"""


@dataclasses.dataclass
class Loaded:
    """What became of a module in a guest."""
    problem: str = ""
    calls: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)


def script(trials: list[Trial]) -> str:
    """What the guest does."""
    stock = sorted({name for one in trials for name in one.stock})
    return _BEGIN.replace("@STOCK@", " ".join(stock)) + "".join(
        f"each {one.outcome.name} '{' '.join(one.stock)}'\n" for one in trials) + "exit 0\n"


def all_of(code: KernelCode, trials: list[Trial]) -> dict[str, Loaded]:
    """{name of the change: what became of it}."""
    return dict(found for at in range(0, len(trials), MOST) for found in _guest(code, trials[at:at + MOST]))


def _guest(code: KernelCode, trials: list[Trial]) -> Iterator[tuple[str, Loaded]]:
    tests = testprograms.build(code.target.arch)
    buildroot.ensure("io")
    name = f"{code.target.name}-tries"
    with console.doing(f"{len(trials)} modules in a guest"):
        result = guest.boot(code.target, script(trials), files={"/selftests": tests},
                            kos=kmod.stripped([*trials[0].kos, *(one.ko for one in trials)]),
                            modules=sorted({*_DISKS, "brd", *(name for one in trials for name in one.stock)}), append="nokaslr",
                            programs=[f"/usr/sbin/mkfs.{name}" for name in _DISKS], smp=2, mem="1500M", timeout=560, name=name,
                            quiet=True)
    for one in trials:
        yield one.outcome.name, judged(one.outcome.name, result)


def judged(name: str, result: guest.Result) -> Loaded:
    """What a guest left of a module."""
    out = result.outdir
    done = (out / "done").read_text().split() if (out / "done").exists() else []
    if not result.ok:
        return Loaded(f"the guest failed: {result.problem()} ({result.console})")
    gone = [line.split() for line in (out / "gone").read_text().splitlines()] if (out / "gone").exists() else []
    for _, module in (words for words in gone if words[0] == name):
        return Loaded(f"{module} could be unloaded while functions of it had bodies elsewhere")
    if name not in done:
        return Loaded(f"it cannot be loaded, switched or unloaded ({result.console})")
    null, new = ([] if not where else [f"a random program sees {arm} behave unlike off ({', '.join(where)})"]
                 for arm in ("null", "new") for where in [tryscript.differing(out, f"{name}.{arm}")])
    if null:
        return Loaded(null[0])
    return Loaded(calls=_calls((out / f"stats.{name}").read_text()), notes=[f"{note}: is that the change?" for note in new])


def _calls(stats: str) -> int:
    """The calls that came to a change, of what debugfs says."""
    return sum(int(line.split()[-1]) for line in stats.splitlines() if line.startswith("calls"))
