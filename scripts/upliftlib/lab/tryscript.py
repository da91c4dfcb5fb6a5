# SPDX-License-Identifier: GPL-2.0-only
"""What is done with a patch's module once it is loaded, in a guest or on the running kernel: one script for both.

The arms are switched; a random program, the kernel's own tests and the workload run; the panel says which operations come
to the change, and counts. It leaves files in $OUT. Its status says what went wrong.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shlex

REACHED = 4		# calls in eight runs of an operation: it comes to the change
# Seconds of one of the kernel's tests; those of a guest that counts are 10^9 instructions each.
LIMIT, LIMIT_COUNTED = 60, 5
ARMS = ("off", "null", "new", "off_again")	# in which the kernel's own tests run
_NOT_ALL = "another number of them"

_ARMS = r"""
dir=/sys/kernel/debug/uplift/$NAME
cat $dir/verdict >$OUT/verdict
for arm in off null new off null new off; do echo $arm >$dir/arm || exit 13; done
"""

_WORKLOAD = r"""
echo new >$dir/arm || exit 13
( @WORKLOAD@
) || exit 19
"""

# What differs is run again: by chance it does not do so twice.
_SEEN = r"""
seen() {
	echo ${1%_again} >$dir/arm || exit 13
	for seed in 1 2 3; do $PROGRAMS/syscall_bench --transcript $seed --calls 4000 || exit 14; done >$OUT/seen.$2
	$PROGRAMS/random_calls --seed 1 --calls 800 --dir $WORK >>$OUT/seen.$2 || exit 14
}
for arm in @ARMS@; do seen $arm $arm; done
for arm in null new; do cmp -s $OUT/seen.off $OUT/seen.$arm || seen $arm $arm.twice; done
"""

# Whatever becomes of one of the kernel's tests: it is compared with what became of it in the other arms. One that does not end
# by itself with the change off is not run in them: it would take as long in each.
_KERNEL_TESTS = r"""
ended=
for arm in @ARMS@; do
	echo ${arm%_again} >$dir/arm || exit 13
	for test in $KERNEL_TESTS; do
		echo "uplift-test $test"
		( cd $WORK && timeout @LIMIT@ $TESTS/$test </dev/null 2>&1 )
		status=$?
		echo "uplift-status $status"
		[ $status -ge 124 ] || ended="$ended $test"
	done >$OUT/kernel-tests.$arm
	[ $arm != off ] || KERNEL_TESTS=$ended
done
"""

_PANEL = r"""
echo null >$dir/arm || exit 13
$PROGRAMS/panel_bench --dir $WORK --change $NAME --reach >$OUT/reach || exit 15
reached=$(sed -n 's/.*"op":"\([^"]*\)","calls":\([0-9]*\),.*/\2 \1/p' $OUT/reach |
	while read -r calls op; do [ $calls -lt @REACHED@ ] || printf '%s,' $op; done)
others=$(sed -n 's/.*"op":"\([^"]*\)","calls":\([0-9]*\),.*/\2 \1/p' $OUT/reach |
	while read -r calls op; do [ $calls -ge @REACHED@ ] || printf '%s,' $op; done)
sleep 5
[ -z "$reached" ] || $PROGRAMS/panel_bench --dir $WORK --change $NAME --op ${reached%,} --rounds $ROUNDS >$OUT/bench || exit 16
[ -z "$others" ] || $PROGRAMS/panel_bench --dir $WORK --change $NAME --op ${others%,} --rounds 2 --batches 10 >$OUT/panel || exit 17
"""

# In "new", where something may be without effect.
_LAST = r"""
echo new >$dir/arm || exit 13
cat $dir/stats >$OUT/stats
echo off >$dir/arm || exit 13
"""

SAID = {10: "the kernel's own modules do not load, or a file system cannot be made", 11: "uplift.ko does not load",
        12: "the module does not load", 13: "an arm cannot be switched to", 14: "the random program failed",
        15: "the panel failed", 16: "measuring failed", 17: "measuring the panel failed",
        18: "the module cannot be unloaded", 19: "the workload failed",
        20: "the kernel's module could be unloaded while functions of it had bodies elsewhere",
        21: "the kernel's module cannot be unloaded although none of its functions has a body elsewhere any more"}


def unlike(off: str, again: str, other: str) -> list[str]:
    """In which families of random programs another arm does not what off does. One that varies with the change off says nothing."""
    lines = [text.splitlines() for text in (off, again, other)]
    if len({len(one) for one in lines}) != 1:
        return [_NOT_ALL]
    return sorted({one.split()[0] for one, two, three in zip(*lines) if one == two != three})


def differing(out: pathlib.Path, arm: str) -> list[str]:
    """unlike() of what runs have left: where an arm was run a second time, in which families it differs both times."""
    off, again = (out / "seen.off").read_text(), (out / "seen.off_again").read_text()
    found, twice = unlike(off, again, (out / f"seen.{arm}").read_text()), out / f"seen.{arm}.twice"
    if not found or not twice.exists():
        return found
    second = unlike(off, again, twice.read_text())
    return [_NOT_ALL] if _NOT_ALL in found + second else [family for family in found if family in second]


@dataclasses.dataclass(frozen=True)
class Run:
    """What is to be done, and where.

    @programs: directory with ours
    @tests: directory with the kernel's own
    @work: where files are made
    @limit: seconds of one of the kernel's tests
    """
    name: str
    programs: str
    tests: str
    out: str
    work: str
    rounds: int
    kernel_tests: tuple[str, ...] = ()
    workload: str = ""
    load_only: bool = False
    limit: int = LIMIT

    def _variables(self) -> str:
        given = {"NAME": self.name, "PROGRAMS": self.programs, "TESTS": self.tests, "OUT": self.out, "WORK": self.work,
                 "ROUNDS": str(self.rounds), "KERNEL_TESTS": " ".join(self.kernel_tests)}
        return "\n".join(f"{name}={shlex.quote(value)}" for name, value in given.items()) + "\n"

    def text(self) -> str:
        """The script, for a POSIX shell. The module is loaded, and stays so."""
        parts = [self._variables(), _ARMS]
        if not self.load_only:
            parts += [_WORKLOAD.replace("@WORKLOAD@", self.workload)] if self.workload else []
            parts += [_SEEN.replace("@ARMS@", " ".join(ARMS))]
            parts += [_KERNEL_TESTS.replace("@ARMS@", " ".join(ARMS)).replace("@LIMIT@", str(self.limit))] if self.kernel_tests else []
            parts.append(_PANEL.replace("@REACHED@", str(REACHED)))
        return "".join([*parts, _LAST])
