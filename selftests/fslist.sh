#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_fslist.ko on the running kernel: no reader can tell
# /proc/filesystems_cached from /proc/filesystems, and loading, refusing and
# unloading do what they say. Needs root; loads and unloads modules of
# rarely used filesystems; leaves everything as it was, also when interrupted.
#
# usage: fslist.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   CHANGES        changes of the list under load (100; long 10000)
#   CYCLES         loads and unloads under readers (short 5; long 1000)
#   UPLIFT_KO_DIR  where uplift.ko and uplift_fslist.ko are (see find_ko)
#   EXPECT         the verdict that this kernel must get: applicable, native or unsupported
#   PERMANENT      1: test permanent=1 too, last; the module then stays until
#                  the next boot, so only in a machine made for tests
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Runs under any POSIX shell, busybox included. Exit: 0 pass, 1 fail, 2 usage,
# 4 skip. Output is KTAP; the programs' own results are nested in it.

CHANGE=fslist
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/lib.sh" ]; then
	echo "fslist.sh: no lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/lib.sh
. "$DIR/lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${CHANGES:=100}" "${CYCLES:=5}"; EVERY=4; SHARED=$((CHANGES / 2)) ;;
long)	: "${CHANGES:=10000}" "${CYCLES:=1000}"; EVERY=16; SHARED=$((CHANGES / 10)) ;;
*)	echo "usage: fslist.sh [short|long]" >&2; exit 2 ;;
esac

NATIVE_FILE=/proc/filesystems
CACHED=/proc/filesystems_cached
UNCACHED=/proc/filesystems_uncached
KPROBES=$DEBUG/kprobes/enabled
EXPEDITED=/sys/kernel/rcu_expedited
# Small, without dependencies, one line in the list each; every kernel has some of
# them as modules.
FS_MODULES="minix bfs qnx4 qnx6 hpfs adfs befs ufs efs freevxfs"

TESTS="load load_twice core_in_use read_cached read_uncached list_changes"
TESTS="$TESTS list_changes_shared_file list_changes_uncached ftrace_off"
TESTS="$TESTS kprobes_off unload_held_open loads_while_list_changes"
TESTS="$TESTS missing_symbol foreign_symbol native_refused cycles unloaded kernel_log permanent"

# Before anything is changed.

ktap_print_header
[ "$(id -u)" = 0 ] || skip_all "loading modules needs root"
[ -r /proc/modules ] || skip_all "this kernel has no modules"
for module in uplift_fslist uplift; do
	! is_loaded $module || skip_all "$module is loaded already: rmmod uplift_fslist uplift"
done
TMP=$(mktemp -d) || exit 1
FOLLOWER=''; CHANGER=''; MOUNTED=''; OLD_FTRACE=''; OLD_KPROBES=''; OLD_EXPEDITED=''

unload_filesystems()
{
	for fs_ko in $FS_KOS; do
		fs_name=${fs_ko##*/}
		fs_name=${fs_name%%.*}
		! is_loaded "$fs_name" || rmmod "$fs_name" 2>/dev/null
	done
}

cleanup()
{
	trap '' INT TERM HUP
	# The programs end by themselves when their readers' parent does.
	[ -z "$CHANGER" ] || kill "$CHANGER" 2>/dev/null
	[ -z "$OLD_FTRACE" ] || echo "$OLD_FTRACE" >$FTRACE 2>/dev/null
	[ -z "$OLD_KPROBES" ] || echo "$OLD_KPROBES" >$KPROBES 2>/dev/null
	[ -z "$OLD_EXPEDITED" ] || echo "$OLD_EXPEDITED" >$EXPEDITED 2>/dev/null
	exec 8<&- 9<&-
	unload_filesystems
	! is_loaded uplift_fslist || rmmod uplift_fslist 2>/dev/null
	! is_loaded uplift || rmmod uplift 2>/dev/null
	[ -z "$FOLLOWER" ] || kill "$FOLLOWER" 2>/dev/null
	[ -z "$MOUNTED" ] || umount $DEBUG 2>/dev/null
	rm -rf "$TMP"
}
FS_KOS=
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

CORE_KO=$(find_ko uplift)
FSLIST_KO_FILE=$(find_ko uplift_fslist)
if [ -z "$CORE_KO" ] || [ -z "$FSLIST_KO_FILE" ]; then
	skip_all "no uplift.ko and uplift_fslist.ko: make modules, or set UPLIFT_KO_DIR"
fi

if [ ! -d $DEBUG/kprobes ] && ! grep -q " $DEBUG debugfs" /proc/mounts; then
	if mount -t debugfs debugfs $DEBUG 2>/dev/null; then
		MOUNTED=1
	else
		skip_all "no debugfs: the counters that show what was tested are there"
	fi
fi

for module in $FS_MODULES; do
	! is_loaded "$module" || continue
	ko=$(find "/lib/modules/$(uname -r)/" -name "$module.ko" -o -name "$module.ko.*" | head -n 1)
	[ -z "$ko" ] || FS_KOS="$FS_KOS $(unpack "$ko")"
done
# shellcheck disable=SC2086 # a list of files without blanks
set -- $FS_KOS
[ $# -ge 2 ] || skip_all "fewer than two of the modules $FS_MODULES are here and not in use"
ONE_FS=$1
ONE_FS_NAME=${ONE_FS##*/}
ONE_FS_NAME=${ONE_FS_NAME%.ko}

follow_log
TAINT=$(cat /proc/sys/kernel/tainted)

# Helpers of the tests.

same_text()
{
	cmp -s $CACHED $NATIVE_FILE
}

counter()
{
	sed -n "s/^$1 //p" $DEBUG/uplift/fslist/stats
}

# load_fslist [PARAMETER...]: with native=1 where that is needed
load_fslist()
{
	is_loaded uplift || load "$CORE_KO" || return
	# shellcheck disable=SC2086 # empty or one word
	load "$FSLIST_KO_FILE" $NATIVE "$@" || complain "not loaded: $(cat "$TMP/errno")"
}

ensure_loaded()
{
	is_loaded uplift_fslist || load_fslist
}

ensure_unloaded()
{
	! is_loaded uplift_fslist || rmmod uplift_fslist
}

# The tests.

NATIVE=
VERDICT=

test_load()
{
	load "$CORE_KO" || complain "uplift.ko does not load: $(cat "$TMP/errno")" || return
	log_line "uplift selftest $$ load"
	if ! load "$FSLIST_KO_FILE"; then
		log_line "uplift selftest $$ not loaded"
		log_since "uplift selftest $$ load" | grep -q "^uplift_fslist: native: " ||
			complain "refused, not as native: $(cat "$TMP/errno")" || return
		[ "$EXPECT" != applicable ] ||
			complain "refused as native, applicable was expected" || return
		NATIVE=native=1
		load_fslist || complain "native=1 does not load" || return
	fi
	read -r VERDICT <$DEBUG/uplift/fslist/verdict
	ktap_print_msg "verdict: $VERDICT"
	[ "${EXPECT:-$VERDICT}" = "$VERDICT" ] || complain "expected $EXPECT" || return
	log_line "uplift selftest $$ loaded"
	lines=$(log_since "uplift selftest $$ load" | grep -c "^uplift_fslist: ")
	[ "$lines" = $((${#NATIVE} ? 2 : 1)) ] ||
		complain "$lines lines in the log, one per load was expected" || return
	same_text || complain "the texts differ" || return
	tainted_by_us
}

test_load_twice()
{
	ensure_loaded || return
	refused EEXIST "$FSLIST_KO_FILE" || return
	refused EEXIST "$CORE_KO" || return
	same_text || complain "the texts differ afterwards"
}

test_core_in_use()
{
	ensure_loaded || return
	! rmmod uplift 2>/dev/null ||
		complain "uplift.ko went while uplift_fslist.ko uses it" || return
	same_text || complain "the texts differ afterwards"
}

test_read_cached()
{
	ensure_loaded || return
	FSLIST_FILE=$CACHED FSLIST_KO=$ONE_FS nested "$DIR/fslist_read"
}

test_read_uncached()
{
	ensure_loaded || return
	FSLIST_FILE=$UNCACHED FSLIST_KO=$ONE_FS nested "$DIR/fslist_read"
}

test_list_changes()
{
	ensure_loaded || return
	# shellcheck disable=SC2086
	nested "$DIR/fslist_stress" -n "$CHANGES" -q $EVERY $FS_KOS
}

test_list_changes_shared_file()
{
	ensure_loaded || return
	# shellcheck disable=SC2086
	nested "$DIR/fslist_stress" -t -n $SHARED -q $EVERY $FS_KOS
}

test_list_changes_uncached()
{
	ensure_loaded || return
	# shellcheck disable=SC2086
	nested "$DIR/fslist_stress" -x -c $UNCACHED -n $((SHARED / 5)) -q $EVERY $FS_KOS
}

# The list changes five times, the text cached before each change.
changes_are_seen()
{
	for round in 1 2 3 4 5; do
		cat $CACHED $CACHED >/dev/null
		insmod "$ONE_FS" || return
		grep -q "$ONE_FS_NAME" $NATIVE_FILE ||
			complain "$ONE_FS_NAME registers nothing of that name" || return
		same_text || complain "stale after loading, round $round" || return
		cat $CACHED $CACHED >/dev/null
		rmmod "$ONE_FS_NAME" || return
		same_text || complain "stale after unloading, round $round" || return
	done
}

# Reads are served from the cache: many reads make few texts, and none is uncached.
cache_works()
{
	cat $CACHED >/dev/null
	loop_until 50 cache_answers
}

cache_answers()
{
	cat $CACHED >/dev/null
	before=$(counter uncached) made=$(counter rebuilds)
	for round in 1 2 3 4 5; do
		cat $CACHED >/dev/null
	done
	[ "$(counter uncached)" = "$before" ] && [ "$(counter rebuilds)" = "$made" ]
}

test_ftrace_off()
{
	ensure_loaded || return
	[ -w $FTRACE ] || { complain "no $FTRACE"; return "$KSFT_SKIP"; }
	cache_works || complain "nothing is cached before" || return
	OLD_FTRACE=$(cat $FTRACE)
	if echo 0 2>/dev/null >$FTRACE; then
		echo "$OLD_FTRACE" >$FTRACE
		OLD_FTRACE=
		complain "ftrace could be turned off while the list is watched" || return
	fi
	OLD_FTRACE=
	changes_are_seen || return
	cache_works || complain "nothing is cached afterwards"
}

more_untracked()
{
	cat $CACHED >/dev/null
	[ "$(counter untracked)" -gt "$before" ]
}

test_kprobes_off()
{
	ensure_loaded || return
	[ -w $KPROBES ] || { complain "no $KPROBES"; return "$KSFT_SKIP"; }
	cache_works || complain "nothing is cached before" || return
	OLD_KPROBES=$(cat $KPROBES)
	before=$(counter untracked)
	echo 0 >$KPROBES || return
	changes_are_seen
	ret=$?
	loop_until 50 more_untracked || ret=1
	echo "$OLD_KPROBES" >$KPROBES
	OLD_KPROBES=
	[ $ret = 0 ] || complain "with kprobes off the text is wrong, or the ends of changes were still seen" || return
	changes_are_seen || return
	cache_works || complain "nothing is cached afterwards"
}

test_unload_held_open()
{
	ensure_loaded || return
	exec 8<$CACHED 9<$UNCACHED
	dd bs=7 count=3 <&8 >/dev/null 2>&1
	dd bs=7 count=3 <&9 >/dev/null 2>&1
	rmmod uplift_fslist || complain "open files keep the module" || return
	! cat <&8 >/dev/null 2>&1 || complain "$CACHED still answers" || return
	! cat <&9 >/dev/null 2>&1 || complain "$UNCACHED still answers" || return
	exec 8<&- 9<&-
	[ ! -e $CACHED ] && [ ! -e $UNCACHED ] || complain "a file stays in /proc" || return
	load_fslist || return
	same_text || complain "the texts differ after loading again"
}

test_loads_while_list_changes()
{
	ensure_unloaded || return
	(
		trap 'exit 0' TERM
		while :; do
			insmod "$ONE_FS" && rmmod "$ONE_FS_NAME" && echo >>"$TMP/changed"
		done 2>/dev/null
	) &
	CHANGER=$!
	ret=0
	for round in 1 2 3; do
		load_fslist || { ret=1; break; }
		cat $CACHED >/dev/null || ret=1
		[ "$round" = 3 ] || rmmod uplift_fslist || ret=1
	done
	kill $CHANGER
	wait $CHANGER 2>/dev/null
	CHANGER=
	unload_filesystems
	[ $ret = 0 ] || complain "loading, reading or unloading failed" || return
	[ "$(wc -l <"$TMP/changed")" -gt 3 ] || complain "the list hardly changed meanwhile" || return
	same_text || complain "the texts differ" || return
	changes_are_seen
}

# refused_by_name ERRNO NAME PARAMETER: a load is refused, one line in the log names NAME, and nothing stays
refused_by_name()
{
	ensure_unloaded || return
	is_loaded uplift || load "$CORE_KO" || return
	log_line "uplift selftest $$ refusing $2"
	# shellcheck disable=SC2086 # empty or one word
	refused "$1" "$FSLIST_KO_FILE" "$3" $NATIVE || return
	log_line "uplift selftest $$ refused"
	log_since "uplift selftest $$ refusing $2" | grep "^uplift_fslist: " >"$TMP/lines"
	ktap_print_msg "$(cat "$TMP/lines")"
	[ "$(wc -l <"$TMP/lines")" = 1 ] || complain "not one line in the log" || return
	grep -q "$2" "$TMP/lines" || complain "the log does not name it" || return
	[ ! -e $CACHED ] && [ ! -e $UNCACHED ] || complain "a file stays in /proc" || return
	rmmod uplift || complain "the refused module still holds uplift.ko"
}

test_missing_symbol()
{
	refused_by_name ENOEXEC filesystems_proc_show.llvm.0 show_symbol=filesystems_proc_show.llvm.0
}

# A function that is no show callback must never be called as one.
test_foreign_symbol()
{
	refused_by_name EINVAL schedule show_symbol=schedule
}

test_native_refused()
{
	if [ -z "$NATIVE" ]; then
		complain "this kernel lacks the change: verdict $VERDICT"
		return "$KSFT_SKIP"
	fi
	ensure_unloaded || return
	is_loaded uplift || load "$CORE_KO" || return
	log_line "uplift selftest $$ native"
	# Newer kernels keep EEXIST for themselves and make a module's own EBUSY.
	refused "EEXIST|EBUSY" "$FSLIST_KO_FILE" || return
	log_line "uplift selftest $$ native refused"
	log_since "uplift selftest $$ native" | grep "^uplift_fslist: " >"$TMP/lines"
	ktap_print_msg "$(cat "$TMP/lines")"
	[ "$(grep -c native "$TMP/lines")" = 1 ] && [ "$(wc -l <"$TMP/lines")" = 1 ] ||
		complain "not one line in the log that says native" || return
	load_fslist || complain "native=1 does not load"
}

test_cycles()
{
	ensure_unloaded || return
	is_loaded uplift || load "$CORE_KO" || return
	nested "$DIR/fslist_cycle" -n "$CYCLES" -a "$NATIVE" "$FSLIST_KO_FILE"
}

test_unloaded()
{
	ensure_unloaded && { ! is_loaded uplift || rmmod uplift; } ||
		complain "a module stays" || return
	for trace in $CACHED $UNCACHED $DEBUG/uplift; do
		[ ! -e "$trace" ] || complain "$trace stays" || return
	done
}

test_kernel_log()
{
	tainted_by_us && no_faults
}

test_permanent()
{
	if [ "$PERMANENT" != 1 ]; then
		complain "PERMANENT=1 tests this; the module then stays until the next boot"
		return "$KSFT_SKIP"
	fi
	ensure_unloaded || return
	load_fslist permanent=1 || return
	! rmmod uplift_fslist 2>/dev/null || complain "a permanent entry's module went" || return
	[ -e $CACHED ] || complain "$CACHED went" || return
	cache_works || complain "nothing is cached" || return
	changes_are_seen || return
	FSLIST_FILE=$CACHED FSLIST_KO=$ONE_FS nested "$DIR/fslist_read" || return
	# shellcheck disable=SC2086
	nested "$DIR/fslist_stress" -n $((SHARED / 5)) -q $EVERY $FS_KOS
}

# Run them.

# Skips all tests on a kernel that the module refuses, for example with PREEMPT_RT, unless EXPECT says that it loads.
skip_unsupported()
{
	load "$CORE_KO" || return 0
	log_line "uplift selftest $$ trying"
	load "$FSLIST_KO_FILE"
	ret=$?
	[ $ret != 0 ] || rmmod uplift_fslist
	rmmod uplift
	[ $ret != 0 ] && log_line "uplift selftest $$ tried" || return 0
	why=$(log_since "uplift selftest $$ trying" | sed -n 's/^uplift_fslist: unsupported: //p')
	case $EXPECT in
	applicable|native) ;;
	*)	[ -z "$why" ] || skip_all "unsupported: $why" ;;
	esac
}

after_failure()
{
	unload_filesystems
}

check_only
skip_unsupported
if [ -w $EXPEDITED ]; then
	# Unloading a module waits for grace periods: shorter ones, more changes.
	OLD_EXPEDITED=$(cat $EXPEDITED)
	echo 1 >$EXPEDITED
fi
run_tests ": $CHANGES changes, $CYCLES cycles, modules: $(echo "$FS_KOS" | sed 's,[^ ]*/,,g')"
