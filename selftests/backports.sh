#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests every backport of modules/backports on the running kernel. Without knowing
# what a backport does: results that programs can see must not depend on the arm.
# A long random sequence of calls on pipes, sockets and eventfds, epoll_wait() among
# them, has to give the same in off, null and new, alone and while arms are switched.
# Backports without a module here, or that refuse this kernel, are skipped.
#
# usage: backports.sh [short|long]
#
# Environment:
#   SEEDS          how many sequences (short 2; long 30)
#   CALLS          calls of each family in one (short 2000; long 100000)
#   SWITCHES       how often the arm changes under way (short 6; long 2000)
#   BACKPORTS      which (all that there are)
#   UPLIFT_KO_DIR  where uplift.ko and uplift_<backport>.ko are (see find_ko)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "backports.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
if [ -z "${BACKPORTS:-}" ] && [ -r "$DIR/backports" ]; then
	BACKPORTS=$(tr '\n' ' ' <"$DIR/backports")
fi
FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${SEEDS:=2}" "${CALLS:=2000}" "${SWITCHES:=6}" ;;
long)	: "${SEEDS:=30}" "${CALLS:=100000}" "${SWITCHES:=2000}" ;;
*)	echo "usage: backports.sh [short|long]" >&2; exit 2 ;;
esac

CHANGE=backports
TESTS=
for name in $BACKPORTS; do
	for test in load same_null same_new switch_arms unloaded; do
		eval "test_${name}_$test() { of $name $test; }"
		TESTS="$TESTS ${name}_$test"
	done
done
TESTS="$TESTS kernel_log"
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

# of BACKPORT TEST: runs a test of the library for that backport
of()
{
	if [ "$CHANGE" != "$1" ]; then
		CHANGE=$1
		MODULE=uplift_$1
		UPLIFT=$DEBUG/uplift/$1
		CHANGE_KO=$(find_ko "$MODULE")
		WHY_NOT=unknown
	fi
	"test_$2"
}

# transcript ARM: the results that programs see in it, for every seed
transcript()
{
	seed=0
	while [ $seed -lt "$SEEDS" ]; do
		"$DIR/syscall_bench" --transcript $seed --calls "$CALLS" || return
		seed=$((seed + 1))
	done >"$TMP/transcript.$CHANGE.$1"
}

# Both arms against off, the kernel's own function.
same()
{
	[ -x "$DIR/syscall_bench" ] || complain "no syscall_bench beside this script" || return
	into_arm "$1" || return
	before=$(stat_of "calls_$1")
	transcript "$1" || complain "the sequence did not get to its end" || return
	ktap_print_msg "$(wc -l <"$TMP/transcript.$CHANGE.$1") sequences of $CALLS calls, $(($(stat_of "calls_$1") - before)) through $1"
	# calls may be 0: the transcript need not reach the function of every backport
	into_arm off
	transcript off || return
	cmp -s "$TMP/transcript.$CHANGE.off" "$TMP/transcript.$CHANGE.$1" ||
		complain "off and $1 are not the same to programs: $(diff "$TMP/transcript.$CHANGE.off" \
			"$TMP/transcript.$CHANGE.$1" | grep '^[-+<>] *[a-z]' | head -n 4 | tr '\n' ' ')"
}

test_same_null() { same null; }
test_same_new() { same new; }

test_switch_arms()
{
	need_module || return
	into_arm off
	transcript off || return
	(
		while [ ! -e "$TMP/enough" ]; do
			transcript switched || exit
			cmp -s "$TMP/transcript.$CHANGE.off" "$TMP/transcript.$CHANGE.switched" || exit
		done
		: >"$TMP/fine"
	) &
	load=$!
	count=0
	ret=0
	while [ $count -lt "$SWITCHES" ] && [ $ret = 0 ]; do
		for arm in null new off; do
			echo $arm >"$UPLIFT/arm" || ret=1
			count=$((count + 1))
		done
	done
	: >"$TMP/enough"
	wait $load
	[ -e "$TMP/fine" ] || ret=1
	rm -f "$TMP/enough" "$TMP/fine"
	[ $ret = 0 ] || complain "not the same to programs while arms are switched" || return
	ktap_print_msg "$count switches under load"
}

[ -n "$BACKPORTS" ] || BACKPORTS=none
MODULE=uplift_${BACKPORTS%% *}
begin
[ "$BACKPORTS" != none ] || skip_all "no backports in modules/backports"
run_tests
