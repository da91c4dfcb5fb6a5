#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loads and unloads every module again and again, see module_cycle.c, and switches
# arms under load. Needs root.
#
# usage: cycles.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   CYCLES         of each module (short 20; long 10000)
#   SWITCHES       of an arm under load (short 20; long 10000)
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=cycles
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

CHANGES=$(all_changes)
TESTS="core $CHANGES switches unloaded kernel_log"

# reads: options of module_cycle for the files that the change has beside its verdict
reads()
{
	for file in $FILES; do
		echo "-r $file"
	done
}

# cycle CHANGE
cycle()
{
	need_change "$1" && unload_change || return
	# shellcheck disable=SC2046,SC2086 # words
	nested "$DIR/module_cycle" $(reads) "$CYCLES" "$CHANGE_KO" "$CHANGE" $LOADED_WITH
}

for name in $CHANGES; do
	eval "test_$name() { cycle $name; }"
done

test_core()
{
	[ -n "$CORE_KO" ] || skip "no uplift.ko here" || return
	nested "$DIR/module_cycle" "$CYCLES" "$CORE_KO" core
}

# Those that have a load for it.
test_switches()
{
	outcome=$KSFT_SKIP
	for name in $CHANGES; do
		need_change "$name" || continue
		switch_load
		case $? in
		"$KSFT_SKIP") ;;
		0)	[ "$outcome" = 1 ] || outcome=0 ;;
		*)	outcome=1 ;;
		esac
		unload_change || outcome=1
	done
	return "$outcome"
}

test_unloaded()
{
	[ -n "$CORE_KO" ] || skip "no uplift.ko here" || return
	for name in $CHANGES; do
		of_change "$name"
		unload_change || return
	done
	unload_core
}

cleanup_more()
{
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
}

begin
run_tests
