#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loads and unloads every module again and again, see module_cycle.c, and turns
# epoll's arm under load. Needs root.
#
# usage: cycles.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   CYCLES         of each module (short 20; long 10000)
#   SWITCHES       of the arm under load (short 20; long 10000)
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=epoll
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "cycles.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${CYCLES:=20}" "${SWITCHES:=20}" ;;
long)	: "${CYCLES:=10000}" "${SWITCHES:=10000}" ;;
*)	echo "usage: cycles.sh [short|long]" >&2; exit 2 ;;
esac
export SWITCHES

CHANGES="epoll iomap llc fslist pipepoll"
TESTS="core $CHANGES switches unloaded kernel_log"

# cycle CHANGE [PARAMETER...]
cycle()
{
	ko=$(find_ko "uplift_$1")
	[ -n "$ko" ] || skip "no uplift_$1.ko here" || return
	is_loaded uplift || load "$CORE_KO" || complain "uplift.ko: $(cat "$TMP/errno")" || return
	change=$1
	shift
	if ! load "$ko" "$@"; then
		[ "$change" = fslist ] && load "$ko" native=1 && set -- native=1 ||
			skip "uplift_$change refuses with $(cat "$TMP/errno")" || return
	fi
	rmmod "uplift_$change" && nested "$DIR/module_cycle" "$CYCLES" "$ko" "$change" "$@"
}

test_core()
{
	[ -n "$CORE_KO" ] || skip "no uplift.ko here" || return
	nested "$DIR/module_cycle" "$CYCLES" "$CORE_KO" core
}

test_epoll() { cycle epoll; }
test_iomap() { cycle iomap scripts=10; }
test_llc() { cycle llc; }
test_fslist() { cycle fslist; }
test_pipepoll() { cycle pipepoll; }

test_switches()
{
	need_module || return
	nested "$DIR/redirect_switch" -t switched_under_load
}

cleanup_more()
{
	for name in $CHANGES; do
		! is_loaded "uplift_$name" || rmmod "uplift_$name" 2>/dev/null
	done
}

begin
run_tests
