# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Facts of this change for the tests that all changes share: see "Changes" in lib.sh.

IF_NATIVE="native=1"
BAD_PARAMETERS="show_symbol=schedule"
SWITCH=
FILES="/proc/filesystems_cached /proc/filesystems_uncached"
STEADY="$FILES /proc/filesystems"
SYMBOLS="filesystems_proc_show unregister_filesystem"
# Its files are in /proc.
NO_DEBUGFS=works
# The list is locked by a spinning lock, which sleeps there.
REALTIME=load
STORM=fslist

works()
{
	for file in $FILES; do
		cmp /proc/filesystems "$file" || complain "$file is not the kernel's list" || return
	done
}

job_fslist()
{
	[ -n "$CHANGE_KO" ] || return "$KSFT_SKIP"
	"$DIR/module_call" load "$CHANGE_KO" >"$1.errno" || {
		# Where the kernel has the change there is nothing to add.
		grep -qxE "EEXIST|EBUSY" "$1.errno" && return "$KSFT_SKIP"
		echo "$MODULE.ko: $(cat "$1.errno")"
		return 1
	}
	for _ in 1 2 3 4 5; do
		cat "${FILES%% *}" >"$1.cached" || return 1
	done
	goes "$MODULE" "$1.errno"
}
