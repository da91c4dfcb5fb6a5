#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The modules on kernels that enforce signatures or are locked down, as README
# says it. Neither can be undone before the next boot, so only in a machine made
# for tests: LOCKDOWN=1 says that this is one. Needs root.
#
# usage: lockdown.sh
#
# Environment:
#   LOCKDOWN       1, or everything is skipped
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=lockdown
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "lockdown.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"
# shellcheck disable=SC2034 # printed by run_tests
FORM=lockdown

LOCK=/sys/kernel/security/lockdown
ENFORCE=/sys/module/module/parameters/sig_enforce
TESTS="lock readable arm_stays unload_off refused_locked confidentiality refused_unsigned"

# two_changes: loads one that redirects a function, which stays the one that is looked at, and another: OTHER
two_changes()
{
	one=
	for name in $(all_changes); do
		need_change "$name" || continue
		if [ -z "$one" ] && [ -n "$REDIRECTS" ]; then
			one=$name
		elif [ -z "$OTHER" ]; then
			OTHER=$name
			OTHER_KO=$CHANGE_KO
		else
			unload_change || return
		fi
	done
	[ -n "$one" ] || skip "no module here that redirects a function" || return
	of_change "$one"
	ktap_print_msg "an arm of $one, and $OTHER"
}

# With an arm on, and another module loaded.
test_lock()
{
	[ -e $LOCK ] || mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
	[ -w $LOCK ] || skip "this kernel has no lockdown: $LOCK" || return
	two_changes || return
	turn on || complain "no arm $ON" || return
	[ "$(sed 's/.*\[\(.*\)\].*/\1/' $LOCK)" != none ] || echo integrity >$LOCK
	LOCKED=1
}

# With the facts of OTHER.
other()
{
	(of_change "$OTHER" && "$@")
}

need_lock()
{
	[ -n "$LOCKED" ] || skip "not locked"
}

test_readable()
{
	need_lock || return
	for file in "$UPLIFT/verdict" "$UPLIFT/stats"; do
		cat "$file" >"$TMP/text" && [ -s "$TMP/text" ] || complain "$file cannot be read" || return
	done
	! is_loaded "uplift_$OTHER" || other works
}

test_arm_stays()
{
	need_lock || return
	! cat "$UPLIFT/arm" >"$TMP/text" 2>&1 || complain "the arm can be read" || return
	! (echo off >"$UPLIFT/arm") 2>"$TMP/text" || complain "the arm can be set" || return
	[ "$(stat_of arm)" = "$ON" ] || complain "the arm is $(stat_of arm)" || return
	! rmmod "$MODULE" 2>/dev/null || complain "$MODULE went while its arm is on"
}

test_unload_off()
{
	need_lock || return
	[ -n "$OTHER" ] || skip "no second module here" || return
	rmmod "uplift_$OTHER"
}

test_refused_locked()
{
	need_lock || return
	[ -n "$OTHER" ] || skip "no second module here" || return
	refused EPERM "$OTHER_KO"
}

# The stricter of the two takes nothing more away.
test_confidentiality()
{
	need_lock || return
	echo confidentiality >$LOCK || return
	[ "$(sed 's/.*\[\(.*\)\].*/\1/' $LOCK)" = confidentiality ] || complain "not locked: $(cat $LOCK)" || return
	test_readable && test_arm_stays && test_refused_locked
}

test_refused_unsigned()
{
	[ -w $ENFORCE ] || skip "no $ENFORCE" || return
	[ -n "$OTHER" ] || skip "no second module here" || return
	echo Y >$ENFORCE
	refused EKEYREJECTED "$OTHER_KO"
}

cleanup_more()
{
	[ -z "$OTHER" ] || rmmod "uplift_$OTHER" 2>/dev/null
}

LOCKED='' OTHER='' OTHER_KO=''
[ "${LOCKDOWN:-}" = 1 ] || {
	ktap_print_header
	skip_all "LOCKDOWN=1 tests this; the machine then stays locked down until the next boot"
}
begin
run_tests
