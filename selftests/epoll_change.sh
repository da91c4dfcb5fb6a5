# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Facts of this change for the tests that all changes share: see "Changes" in lib.sh.

REDIRECTS=1
STORM=epoll
STORM_LOADED=1

writes()
{
	"$DIR/poison" events
}

switch_load()
{
	nested "$DIR/epoll_switch" -t switched_under_load
}

# The load of epoll_wait() on all CPUs, while the arm changes.
job_epoll()
{
	SWITCHES=60 SWITCH_SECONDS=60 "$DIR/epoll_switch" -t switched_under_load >"$1.txt" 2>&1 || {
		grep '^#' "$1.txt" | grep -v "RUN\|Starting\|Totals" | tail -n 5
		return 1
	}
	sed -n 's/.*switched_under_load:\([0-9]*\) switches among.* \([0-9]*\) events on.*/\1 switches \2 events/p' "$1.txt" >>"$1.sums"
}
