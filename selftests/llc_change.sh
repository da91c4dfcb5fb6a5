# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Facts of this change for the tests that all changes share: see "Changes" in lib.sh.

SWITCH=track ON=1 OFF=0
# Tracking needs timers that expire in the tick.
REALTIME=switch
STORM=llc

job_llc()
{
	[ -n "$CHANGE_KO" ] || return "$KSFT_SKIP"
	"$DIR/module_call" load "$CHANGE_KO" >"$1.errno" || { echo "$MODULE.ko: $(cat "$1.errno")"; return 1; }
	ret=0
	turn on || ret=1
	for file in domains.json processes migrations cas; do
		cat "$UPLIFT/$file" >/dev/null || ret=1
	done
	[ $((ROUND % 2)) = 0 ] || turn off || ret=1
	goes "$MODULE" "$1.errno" || return
	return $ret
}
