#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_epoll.ko on the running kernel: no program can tell one arm from
# another except by time, and switching, refusing and unloading do what they say.
# Without the module the same tests run on the kernel as it is. Needs root.
#
# usage: epoll.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   SWITCHES       switches of the arm under load (short 24; long 1000)
#   EPOLL_OPS      random operations in each arm (short 6000; long 500000)
#   UPLIFT_KO_DIR  where uplift.ko and uplift_epoll.ko are (see find_ko)
#   PARAMETERS     for uplift_epoll.ko, which has none so far
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# upstream_* run epoll_wakeup_test of the kernel's own kselftests, if it is beside
# this script; the short form leaves out tests that wait for a second or more.
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=epoll
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "epoll.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${SWITCHES:=24}" "${EPOLL_OPS:=6000}" ;;
long)	: "${SWITCHES:=1000}" "${EPOLL_OPS:=500000}" ;;
*)	echo "usage: epoll.sh [short|long]" >&2; exit 2 ;;
esac
export SWITCHES EPOLL_OPS
# Upstream's 64 tests without those that wait for a second or more.
QUICK="epoll1 epoll2 epoll3 epoll6 epoll7 epoll9 epoll13 epoll17 epoll63 epoll64"

TESTS="load load_twice events_off events_null events_new events_batch switch_arms ftrace_off"
TESTS="$TESTS upstream_off upstream_null upstream_new upstream_batch unloaded kernel_log"

events()
{
	into_arm "$1" || return
	nested "$DIR/epoll_events"
}

test_events_off() { events off; }
test_events_null() { events null; }
test_events_new() { events new; }
test_events_batch() { events batch; }

# The load runs without the module, too: it must be right before it can accuse.
test_switch_arms()
{
	into_arm off
	nested "$DIR/epoll_switch"
	ret=$?
	[ -e "$UPLIFT/arm" ] || return $ret
	# unload_refused is asked above, with a task asleep inside.
	UPLIFT_CHANGE=$CHANGE nested "$DIR/arm_switch" -t bad_words -t other_users -t concurrent_writers && return $ret
}

# upstream_run LIST [OPTION...]: its results without their numbers, to LIST
upstream_run()
{
	list=$1
	shift
	"$DIR/epoll_wakeup_test" "$@" >"$TMP/upstream.txt" 2>&1
	grep -E '^(not )?ok ' "$TMP/upstream.txt" | sed 's/^\(.*ok\) [0-9]* */\1 /' | sort >"$list"
}

# upstream_late: names of the tests that ran into the harness's limit of 30 s
upstream_late()
{
	sed -n 's/^# \([a-z0-9]*\): Test terminated by timeout.*/\1/p' "$TMP/upstream.txt"
}

# slow ARM TEST: a test ran out of time in an arm. Three tests spin on all CPUs,
# which is too much for emulated CPUs on a busy host, also with the stock kernel.
# Unless that is seen in the arm off as well, the arm is to blame.
slow()
{
	case " $SLOW " in
	*" $2 "*) return ;;
	esac
	if ! grep -q -- '-t|-T' "$DIR/epoll_wakeup_test"; then
		[ "$1" = off ] || complain "$2 runs out of time, but not in off" || return
		SLOW="$SLOW $2"
		return
	fi
	cp "$TMP/upstream.$1" "$TMP/upstream.whole"
	upstream_run "$TMP/upstream.once" -t "$2"
	if [ -z "$(upstream_late)" ]; then
		sed -i "/ok global\.$2\$/d" "$TMP/upstream.whole"
		cat "$TMP/upstream.once" >>"$TMP/upstream.whole"
		sort "$TMP/upstream.whole" >"$TMP/upstream.$1"
		return
	fi
	if [ "$1" != off ]; then
		into_arm off
		upstream_run "$TMP/upstream.once" -t "$2"
		into_arm "$1"
		[ -n "$(upstream_late)" ] || complain "$2 runs out of time, but not in off" || return
	fi
	SLOW="$SLOW $2"
}
SLOW=

# upstream ARM: upstream's results, compared with those in off
upstream()
{
	[ -x "$DIR/epoll_wakeup_test" ] ||
		skip "no epoll_wakeup_test beside this script: it is in the kernel's source" || return
	into_arm "$1" || return
	wanted=
	if [ "$FORM" = short ]; then
		grep -q -- '-t|-T' "$DIR/epoll_wakeup_test" ||
			skip "this kernel's harness cannot choose tests: it is in the long form" || return
		for name in $QUICK; do
			wanted="$wanted -t $name"
		done
	fi
	# shellcheck disable=SC2086 # options
	upstream_run "$TMP/upstream.$1" $wanted
	for name in $(upstream_late); do
		slow "$1" "$name" || return
	done
	for list in "$TMP/upstream.off" "$TMP/upstream.$1"; do
		for name in $SLOW; do
			[ ! -e "$list" ] || sed -i "/ok global\.$name\$/d" "$list"
		done
	done
	[ -z "$SLOW" ] || ktap_print_msg "run out of time in off, too, and are not compared:$SLOW"
	bad=$(grep -c '^not ok' "$TMP/upstream.$1")
	ktap_print_msg "$(wc -l <"$TMP/upstream.$1") tests, $bad failed"
	[ -s "$TMP/upstream.$1" ] || complain "$(tail -n 1 "$TMP/upstream.txt")" || return
	if [ "$1" != off ] && [ -s "$TMP/upstream.off" ]; then
		cmp -s "$TMP/upstream.off" "$TMP/upstream.$1" ||
			complain "other results than off: $(diff "$TMP/upstream.off" "$TMP/upstream.$1" |
							    grep '^[<>]' | tr '\n' ' ')"
		return
	fi
	[ "$bad" = 0 ] || complain "$(grep '^not ok' "$TMP/upstream.$1" | tr '\n' ' ')"
}

test_upstream_off() { upstream off; }
test_upstream_null() { upstream null; }
test_upstream_new() { upstream new; }
test_upstream_batch() { upstream batch; }

begin
run_tests
