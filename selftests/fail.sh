#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every allocation of every path fails once, in turn: see fail_nth.c. For a
# kernel with fault injection (scripts/uplift lab debug makes one). Needs root.
#
# usage: fail.sh
#
# Environment:
#   TORTURE        1, or everything is skipped
#   FAIL_STEP      every N-th only (1)
#   FAIL_OPTIONS   of fail_nth: -t TEST for one of its tests, -l lists them
#   EXCUSED        a pattern: reports of the kernel's own about missing memory
#   UPLIFT_KO_DIR  where the modules are (/modules)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 4 skip. Output is KTAP.

CHANGE=epoll
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "fail.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

: "${FAIL_OPTIONS:=}"
TESTS="failures leaks kernel_log"

test_failures()
{
	[ -e /proc/self/fail-nth ] || skip "no /proc/self/fail-nth: CONFIG_FAULT_INJECTION, CONFIG_FAILSLAB" || return
	! is_loaded "$MODULE" || rmmod "$MODULE"
	# shellcheck disable=SC2086 # empty, or options
	nested "$DIR/fail_nth" $FAIL_OPTIONS
}

test_leaks()
{
	no_leaks
}

[ "${TORTURE:-}" = 1 ] || {
	ktap_print_header
	skip_all "TORTURE=1 tests this; not on a machine that is used for anything else"
}
begin
# What was there before is not ours.
[ ! -w $DEBUG/kmemleak ] || echo clear >$DEBUG/kmemleak
run_tests
