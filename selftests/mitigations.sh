#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every change that redirects, in each of its arms, on a kernel whose mitigations are not the usual ones: with call
# depth tracking each call has to be accounted for, without mitigations returns are patched otherwise. What programs see
# must be the same in off and null. For a guest that is booted for that; see uplift lab selftests. Needs root.
#
# usage: mitigations.sh [short|long]
#
# Environment:
#   MITIGATION     FILE:WORDS: what must be in force, of /sys/devices/system/cpu/vulnerabilities; without it
#                  everything is skipped
#   CALLS          random calls of each family (short 1000; long 20000)
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=mitigations
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "mitigations.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${CALLS:=1000}" ;;
long)	: "${CALLS:=20000}" ;;
*)	echo "usage: mitigations.sh [short|long]" >&2; exit 2 ;;
esac

CHANGES=$(all_changes)
TESTS="in_force $CHANGES kernel_log"

test_in_force()
{
	file=/sys/devices/system/cpu/vulnerabilities/${MITIGATION%%:*}
	grep -q "${MITIGATION#*:}" "$file" || complain "$file: $(cat "$file"), not ${MITIGATION#*:}"
}

# seen ARM [AGAIN]: what random programs see in it, a line for each family of calls
seen()
{
	echo "$1" >"$UPLIFT/arm" 2>/dev/null || return
	"$DIR/syscall_bench" --transcript 1 --calls "$CALLS" >"$TMP/seen.$1${2:-}" &&
		"$DIR/random_calls" --seed 1 --calls "$CALLS" --dir "$TMP" >>"$TMP/seen.$1${2:-}" || exit 1
}

# unlike_off ARM: the families in which it does not do what off does. One that varies with the change off says nothing,
# and what differs by chance does not do so twice.
unlike_off()
{
	! cmp -s "$TMP/seen.off" "$TMP/seen.$1" || return 0
	seen off .again && seen "$1" .again || exit 1
	# two files of off, then two of the arm
	awk 'FNR == 1 { file++ }
	     { said[file, $1] = $0; names[$1] }
	     END { for (name in names)
			if (said[1, name] == said[2, name] && said[3, name] != said[1, name] && said[4, name] != said[1, name])
				printf " %s", name }' \
		"$TMP/seen.off" "$TMP/seen.off.again" "$TMP/seen.$1" "$TMP/seen.$1.again"
}

arms_of()
{
	need_change "$1" || return
	[ -n "$REDIRECTS" ] || skip "$1 redirects nothing" || return
	seen off
	ret=0
	for arm in null new batch; do
		seen $arm || continue
		ktap_print_msg "$1, $arm: $(stat_of calls_$arm) calls"
		works || ret=1
		[ $arm = null ] || continue
		families=$(unlike_off null) || exit 1
		[ -z "$families" ] || complain "null does not do what off does, in:$families" || ret=1
	done
	unload_change || ret=1
	return $ret
}

for name in $CHANGES; do
	eval "test_$name() { arms_of $name; }"
done

cleanup_more()
{
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
}

begin
[ -n "${MITIGATION:-}" ] || skip_all "MITIGATION is not set: this is for a kernel that was booted for it"
run_tests
