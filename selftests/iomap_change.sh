# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Facts of this change for the tests that all changes share: see "Changes" in lib.sh.

REDIRECTS=1
QUICK="scripts=10"
LIVEPATCH="method=livepatch"
BAD_PARAMETERS="method=kprobe scripts=0"
STORM="iomap_arms iomap_module"
STORM_LOADED=1

# The module may be gone for a moment, or on its way in or out.
job_iomap_arms()
{
	[ -n "$CHANGE_KO" ] || return "$KSFT_SKIP"
	for arm in null new off; do
		echo $arm 2>/dev/null >"$UPLIFT/arm"
		# Other jobs that switch an arm wait for the same lock.
		sleep 0.1
	done
	return 0
}

# Unloading with tasks inside fails, and the module stays; each second time it works by livepatch.
job_iomap_module()
{
	[ -n "$CHANGE_KO" ] || return "$KSFT_SKIP"
	sleep 2
	echo off 2>/dev/null >"$UPLIFT/arm"
	rmmod "$MODULE" 2>/dev/null || return 0
	method=method=ftrace-direct
	[ $((ROUND % 2)) = 0 ] || [ -z "$LIVEPATCH_KO" ] || method=$LIVEPATCH
	"$DIR/module_call" load "$CHANGE_KO" $QUICK $method >"$1.errno" ||
		{ echo "$MODULE.ko: $(cat "$1.errno")"; return 1; }
}
