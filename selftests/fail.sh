#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every allocation of every path fails once, in turn: loading each module, switching
# each arm, reading each file; see fail_nth.c. For a kernel with fault injection
# (scripts/uplift lab debug makes one). Needs root.
#
# usage: fail.sh
#
# Environment:
#   TORTURE        1, or everything is skipped
#   FAIL_STEP      every N-th only (1)
#   EXCUSED        a pattern: reports of the kernel's own about missing memory
#   UPLIFT_KO_DIR  where the modules are (/modules)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 4 skip. Output is KTAP.

CHANGE=fail
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "fail.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

CHANGES=$(all_changes)
TESTS=load_core
for name in $CHANGES; do
	eval "test_load_$name() { loading $name; }"
	eval "test_switch_$name() { switching $name; }"
	TESTS="$TESTS load_$name switch_$name"
done
TESTS="$TESTS switch_livepatch read_files leaks kernel_log"

# need_injection: with nothing loaded but the core
need_injection()
{
	[ -e /proc/self/fail-nth ] || skip "no /proc/self/fail-nth: CONFIG_FAULT_INJECTION, CONFIG_FAILSLAB" || return
	[ -n "$CORE_KO" ] || skip "no uplift.ko here" || return
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
	ensure_core
}

test_load_core()
{
	need_injection && rmmod uplift && "$DIR/fail_nth" load "$CORE_KO" "" $DEBUG/uplift
}

# loading NAME
loading()
{
	need_injection && need_change "$1" && unload_change || return
	# shellcheck disable=SC2086 # paths
	"$DIR/fail_nth" load "$CHANGE_KO" "$LOADED_WITH" "$UPLIFT" $FILES
}

# switching NAME [PARAMETER...]: from each arm to each other one; what has no arms, on and off
switching()
{
	need_injection && need_change "$@" || return
	[ -n "$SWITCH" ] || skip "$1 has no switch" || return
	words=$(offered)
	tried=0
	for from in $words; do
		for to in $words; do
			[ "$from" != "$to" ] || continue
			echo "$from" >"$UPLIFT/$SWITCH" || return
			"$DIR/fail_nth" switch "$UPLIFT/$SWITCH" "$from" "$to" || return
			tried=$((tried + 1))
		done
	done
	[ $tried -gt 1 ] || complain "$1 takes nothing but: $words" || return
	unload_change
}

# offered: the words that the change's switch takes
offered()
{
	for word in $([ -n "$REDIRECTS" ] && echo off null new batch || echo "$OFF $ON"); do
		! echo "$word" 2>/dev/null >"$UPLIFT/$SWITCH" || echo "$word"
	done
}

# Where a change can redirect by livepatch, the same once more.
test_switch_livepatch()
{
	outcome=$KSFT_SKIP
	for name in $CHANGES; do
		of_change "$name"
		[ -n "$LIVEPATCH" ] || continue
		need_injection && ensure_livepatch || return
		of_change "$name"
		switching "$name" "$LIVEPATCH"
		case $? in
		"$KSFT_SKIP") ;;
		0)	[ "$outcome" = 1 ] || outcome=0 ;;
		*)	outcome=1 ;;
		esac
	done
	return "$outcome"
}

# All of them loaded, and turned on.
test_read_files()
{
	need_injection || return
	extra=
	for name in $CHANGES; do
		need_change "$name" || continue
		turn on || complain "$name cannot be turned on" || return
		extra="$extra $FILES"
	done
	# shellcheck disable=SC2086 # paths
	"$DIR/fail_nth" read $DEBUG/uplift $extra || return
	for name in $CHANGES; do
		of_change "$name"
		unload_change || return
	done
}

test_leaks()
{
	no_leaks
}

[ "${TORTURE:-}" = 1 ] || {
	ktap_print_header
	skip_all "TORTURE=1 tests this; not on a machine that is used for anything else"
}
cleanup_more()
{
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
}

begin
# What was there before is not ours.
[ ! -w $DEBUG/kmemleak ] || echo clear >$DEBUG/kmemleak
run_tests
