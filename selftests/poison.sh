#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# No byte that the kernel has not written reaches a program by way of a change, in
# any arm: memory that nothing was written to has a pattern, and what programs get
# is searched for it. KMSAN finds the same and more, where an architecture and a
# kernel have it; this takes a stock kernel, booted with
#
#	init_on_alloc=0 init_on_free=0 slub_debug=P page_poison=1
#
# One test for each change: all that can be read of its files, and what else its
# facts (NAME_change.sh) say that it writes to user memory. Needs root.
#
# usage: poison.sh
#
# Environment:
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=poison
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "poison.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"
# shellcheck disable=SC2034 # printed by run_tests
FORM=poison

# The kernel says at boot what it does to memory; the slab says it of each cache.
test_filled()
{
	dmesg | grep "mem auto-init:" | grep "heap alloc:off, heap free:off" >"$TMP/init" ||
		complain "memory is cleared: $(dmesg | grep "mem auto-init:")" || return
	for cache in kmalloc-64 kmalloc-4k; do
		[ "$(cat /sys/kernel/slab/$cache/poison)" = 1 ] || complain "$cache is not filled" || return
	done
}

# What is searched for is found.
test_found()
{
	echo "text of a kind that is skkkkked through" >"$TMP/text"
	"$DIR/poison" files "$TMP/text" || complain "text is taken for a pattern" || return
	for pattern in kkkkkkkk ZZZZZZZZ '\0252' '\0245' '\0247' '\0000'; do
		printf "text%b\n" "$pattern" >"$TMP/text"
		! "$DIR/poison" files "$TMP/text" 2>/dev/null || complain "$pattern is not found" || return
	done
}

# arms: those that the change offers, or a blank name where it has none
arms()
{
	[ -e "$UPLIFT/arm" ] || { echo on; return; }
	for arm in off null new batch; do
		! echo $arm 2>/dev/null >"$UPLIFT/arm" || echo $arm
	done
}

# files_of: the files of the module, all of them
files_of()
{
	for path in "/sys/module/$MODULE/parameters" "$UPLIFT"; do
		[ ! -e "$path" ] || find "$path" -type f
	done
	printf '%s\n' /proc/[!0-9]* | grep -vxFf "$TMP/proc"
}

change()
{
	printf '%s\n' /proc/[!0-9]* >"$TMP/proc"
	need_change "$1" || return
	ret=0
	for arm in $(arms); do
		case $arm in
		on)	turn on ;;
		*)	echo "$arm" >"$UPLIFT/arm" ;;
		esac || return
		files_of >"$TMP/files"
		# shellcheck disable=SC2046 # paths without blanks
		"$DIR/poison" files $(cat "$TMP/files") 2>"$TMP/said" && writes 2>>"$TMP/said" || ret=1
		sed "s/^/# $arm: /" "$TMP/said"
		ktap_print_msg "$arm: $(wc -l <"$TMP/files") files"
		[ -s "$TMP/files" ] || complain "no file of $MODULE" || ret=1
	done
	turn off && unload_change || return
	return $ret
}

CHANGES=$(all_changes)
for name in $CHANGES; do
	eval "test_$name() { change $name; }"
done
TESTS="filled found $CHANGES kernel_log"

cleanup_more()
{
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
}

begin
grep -qw page_poison=1 /proc/cmdline || skip_all "memory has no pattern: boot with init_on_alloc=0 init_on_free=0 slub_debug=P page_poison=1"
run_tests
