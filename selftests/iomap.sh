#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_iomap.ko on the running kernel: in every arm files hold what was
# written and the kernel traces the same events, and switching under I/O, refusing
# and unloading do what they say. Without the module the same tests run on the
# kernel as it is. Needs root; takes over the RAM disk /dev/ram0.
#
# usage: iomap.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   SWITCHES       switches of the arm under I/O (short 12; long 1000)
#   IOMAP_OPS      random operations in each arm (short 500; long 100000)
#   UPLIFT_KO_DIR  where uplift.ko and uplift_iomap.ko are (see find_ko)
#   PARAMETERS     for uplift_iomap.ko: method=livepatch
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Uses brd, ext4 and xfs, mkfs.ext4, mkfs.xfs and fio; tests of a missing one are
# skipped. Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=iomap
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "iomap.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${SWITCHES:=12}" "${IOMAP_OPS:=500}"; FIO_SIZE=1m ;;
long)	: "${SWITCHES:=1000}" "${IOMAP_OPS:=100000}"; FIO_SIZE=24m ;;
*)	echo "usage: iomap.sh [short|long]" >&2; exit 2 ;;
esac
export SWITCHES IOMAP_OPS

DISK=/dev/ram0
TRACING=/sys/kernel/tracing
TESTS="load load_twice contents_xfs_off fio_xfs_off contents_ext4_off fio_ext4_off"
TESTS="$TESTS contents_xfs_null fio_xfs_null contents_ext4_null fio_ext4_null"
TESTS="$TESTS contents_xfs_new fio_xfs_new contents_ext4_new fio_ext4_new"
TESTS="$TESTS reflink_off reflink_null reflink_new trace_off trace_off_again trace_null trace_new"
TESTS="$TESTS switch_xfs switch_ext4 switch_errors ftrace_off bad_parameters livepatch livepatch_by_hand livepatch_without_sysfs unloaded kernel_log"

MNT=

unmount()
{
	[ -z "$MNT" ] || ! grep -q " $MNT " /proc/mounts || umount "$MNT"
}

cleanup_more()
{
	[ -z "$FIO" ] || kill "$FIO" 2>/dev/null
	[ -z "$FIO" ] || wait "$FIO" 2>/dev/null
	[ ! -e $TRACING/events/iomap/enable ] || echo 0 >$TRACING/events/iomap/enable
	unmount
	[ -z "$OUR_DISK" ] || rmmod brd 2>/dev/null
}
FIO=; OUR_DISK=

# mounted FS: a new file system on the RAM disk, at $MNT
mounted()
{
	MNT=$TMP/mnt
	mkdir -p "$MNT"
	unmount || return
	if [ ! -b $DISK ]; then
		modprobe brd rd_nr=1 rd_size=327680 2>/dev/null || skip "no RAM disk: brd" || return
		OUR_DISK=1
	fi
	modprobe "$1" 2>/dev/null
	grep -qw "$1" /proc/filesystems || skip "this kernel has no $1" || return
	command -v "mkfs.$1" >/dev/null || skip "no mkfs.$1" || return
	case $1 in
	ext4)	mkfs.ext4 -q -F -b 4096 $DISK ;;
	xfs)	mkfs.xfs -q -f $DISK ;;
	esac >"$TMP/mkfs" 2>&1 || complain "mkfs.$1: $(tail -n 1 "$TMP/mkfs")" || return
	mount -t "$1" $DISK "$MNT" || complain "$1 cannot be mounted"
}

# contents FS ARM [OPERATIONS]
contents()
{
	into_arm "$2" || return
	mounted "$1" || return
	IOMAP_DIR=$MNT IOMAP_OPS=${3:-$IOMAP_OPS} nested "$DIR/iomap_io" || return
	unmount
}

# Jobs that write, and read what they wrote: direct and buffered, with holes
# (random parts only), into preallocated blocks, and through mappings.
fio_jobs()
{
	cat <<-END
	[global]
	directory=$MNT
	size=$FIO_SIZE
	verify=crc32c
	verify_fatal=1
	do_verify=1
	randrepeat=1
	fallocate=none
	group_reporting=1
	thread
	[direct]
	rw=randwrite
	bs=4k
	direct=1
	ioengine=psync
	[buffered]
	rw=randwrite
	bs=1k-9k
	bs_unaligned=1
	ioengine=psync
	fsync=32
	[holes]
	rw=randwrite
	bs=4k
	ioengine=psync
	direct=1
	io_size=$FIO_SIZE
	filesize=64m
	[unwritten]
	rw=write
	bs=16k
	direct=1
	fallocate=native
	ioengine=psync
	[mapped]
	rw=randwrite
	bs=4k
	ioengine=mmap
	END
}

run_fio()
{
	command -v fio >/dev/null || skip "no fio" || return
	fio_jobs >"$TMP/jobs"
	fio --output="$TMP/fio.txt" "$TMP/jobs" >"$TMP/fio.err" 2>&1 &&
		! grep -q "verify:.*bad\|verify failed" "$TMP/fio.txt" "$TMP/fio.err"
}

fio_verify()
{
	into_arm "$2" || return
	mounted "$1" || return
	run_fio
	ret=$?
	[ $ret != 1 ] || grep -hE "verify|error|fio:" "$TMP/fio.txt" "$TMP/fio.err" | head -n 5 | sed 's/^/# /'
	[ $ret = 0 ] || return $ret
	# Also after the cache is gone.
	(cd "$MNT" && sha256sum ./*.0) >"$TMP/sums" || return
	[ "$(wc -l <"$TMP/sums")" = 5 ] || complain "not the files of five jobs" || return
	umount "$MNT" && mount -t "$1" $DISK "$MNT" || return
	(cd "$MNT" && sha256sum -c "$TMP/sums") >"$TMP/sums.txt" 2>&1 ||
		complain "not the same when mounted again: $(grep -v ': OK$' "$TMP/sums.txt" | tr '\n' ' ')" ||
		return
	unmount
}

for arm in off null new; do
	for fs in xfs ext4; do
		eval "test_contents_${fs}_$arm() { contents $fs $arm; }"
		eval "test_fio_${fs}_$arm() { fio_verify $fs $arm; }"
	done
	eval "test_reflink_$arm() { reflink $arm; }"
	eval "test_trace_$arm() { trace $arm; }"
done
# A difference between two runs in one arm would say nothing about another arm.
test_trace_off_again() { trace off_again; }

# A copy shares its blocks until either file is written.
reflink()
{
	into_arm "$1" || return
	mounted xfs || return
	dd if=/dev/urandom of="$MNT/one" bs=64k count=20 2>/dev/null || return
	cp --reflink=always "$MNT/one" "$MNT/two" 2>/dev/null ||
		"$DIR/iomap_io" clone "$MNT/one" "$MNT/two" ||
		complain "no reflink" || return
	cp "$MNT/one" "$TMP/one"
	cp "$MNT/one" "$TMP/two"
	cmp "$MNT/one" "$MNT/two" || complain "a copy differs" || return
	for seek in 3 77 1000; do
		dd if=/dev/urandom of="$TMP/part" bs=1000 count=5 2>/dev/null
		for to in "$MNT/two" "$TMP/two"; do
			dd if="$TMP/part" of="$to" bs=1000 seek=$seek conv=notrunc 2>/dev/null || return
		done
	done
	sync
	echo 1 >/proc/sys/vm/drop_caches
	cmp "$MNT/one" "$TMP/one" || complain "writing the copy changed the original" || return
	cmp "$MNT/two" "$TMP/two" || complain "the copy is not what was written" || return
	rm -f "$TMP/one" "$TMP/two"
	unmount
}

# traced TO: the events that the kernel traces of a fixed sequence of operations
traced()
{
	: >"$1"
	for fs in xfs ext4; do
		mounted $fs || return
		echo >$TRACING/trace
		echo 1 >$TRACING/events/iomap/enable
		IOMAP_DIR=$MNT "$DIR/iomap_io" sequence
		ret=$?
		echo 0 >$TRACING/events/iomap/enable
		[ $ret = 0 ] || complain "the sequence failed" || return
		# Task, CPU, flags and time differ from run to run: left out.
		sed -n "s/^ *iomap_io-[0-9]* .*[0-9]: \(iomap_.*\)/$fs \1/p" $TRACING/trace >>"$1"
		unmount
	done
}

# The kernel's own tracepoints give the same events in every arm, caller included.
# Now and then a busy machine writes back or merges differently, in off as well:
# then both are traced again, as a difference of the arm is there each time.
trace()
{
	[ -d $TRACING/events/iomap ] || skip "no $TRACING/events/iomap" || return
	for try in 1 2 3 4 5; do
		into_arm "${1%_again}" || return
		traced "$TMP/trace.$1" || return
		lines=$(wc -l <"$TMP/trace.$1")
		[ $try -gt 1 ] ||
			ktap_print_msg "$lines events: $(sed 's/^[^ ]* \([a-z_]*\):.*/\1/' "$TMP/trace.$1" |
							 sort | uniq -c |
							 awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }')"
		[ "$lines" -gt 20 ] || complain "hardly anything was traced" || return
		[ "$1" != off ] || return 0
		[ -s "$TMP/trace.off" ] || { into_arm off && traced "$TMP/trace.off"; } || return
		! cmp -s "$TMP/trace.off" "$TMP/trace.$1" || return 0
		ktap_print_msg "try $try: traced differently from off:"
		diff -U0 "$TMP/trace.off" "$TMP/trace.$1" | head -n 8 | sed 's/^/# /'
		rm -f "$TMP/trace.off"
	done
	complain "traced differently from off, each of $try times"
}

# fio with verify, again and again, while the arm changes
switching()
{
	command -v fio >/dev/null || skip "no fio" || return
	need_module || return
	into_arm off
	mounted "$1" || return
	fio_jobs >"$TMP/jobs"
	rm -f "$TMP/enough"
	(
		while :; do
			fio --output="$TMP/fio.txt" "$TMP/jobs" >"$TMP/fio.err" 2>&1 || exit 1
			[ ! -e "$TMP/enough" ] || exit 0
		done
	) &
	FIO=$!
	done=0 ret=0
	while [ $done -lt "$SWITCHES" ] && kill -0 $FIO 2>/dev/null; do
		for arm in null new off; do
			echo $arm >"$UPLIFT/arm" || { ret=1; break 2; }
			done=$((done + 1))
			[ $((done % 1000)) -gt 0 ] || ktap_print_msg "$done switches so far"
		done
	done
	: >"$TMP/enough"
	wait $FIO || ret=1
	FIO=
	[ $ret = 0 ] || {
		grep -hE "verify|error|fio:" "$TMP/fio.txt" "$TMP/fio.err" | head -n 5 | sed 's/^/# /'
		complain "failed after $done switches" || return
	}
	ktap_print_msg "$done switches"
	unmount
}

test_switch_xfs() { switching xfs; }
test_switch_ext4() { switching ext4; }

# Wrong uses of the arm file.
test_switch_errors()
{
	need_module || return
	UPLIFT_CHANGE=$CHANGE nested "$DIR/arm_switch"
}

# The module itself refuses, with one line.
test_bad_parameters()
{
	need_module || return
	into_arm off
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays" || return
	for word in scripts=0 method=kprobe method=; do
		log_line "uplift selftest $$ $word"
		refused EINVAL "$CHANGE_KO" $word || return
		log_line "uplift selftest $$ after $word"
		log_since "uplift selftest $$ $word" | grep "^$MODULE: ${word%%=*}=" >"$TMP/lines"
		[ "$(wc -l <"$TMP/lines")" = 1 ] || complain "not one line in the log about $word" || return
	done
}

# by_livepatch: loads uplift_iomap.ko again, with that method
by_livepatch()
{
	need_module || return
	into_arm off
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays" || return
	load "$CHANGE_KO" method=livepatch || complain "method=livepatch: $(cat "$TMP/errno")" || return
	[ "$(stat_of method)" = livepatch ] || complain "method: $(stat_of method)"
}

# The kernel's livepatch instead of ours: the same files, in the same arms.
test_livepatch()
{
	by_livepatch || return
	if ! is_loaded uplift_livepatch; then
		! echo null 2>/dev/null >"$UPLIFT/arm" || complain "a livepatch without uplift_livepatch.ko" || return
		ensure_livepatch || return
	fi
	for arm in null new; do
		contents xfs $arm 300 || return
		[ "$(stat_of calls_$arm)" -gt 0 ] || complain "$arm was never called" || return
	done
	into_arm off || return
	before=$(stat_of calls_new)
	contents xfs off 300 || return
	[ "$(stat_of calls_new)" = "$before" ] || complain "new is called when the arm is off"
}

# An administrator disables the livepatch: the state says so.
test_livepatch_by_hand()
{
	by_livepatch || return
	ensure_livepatch || return
	patch=/sys/kernel/livepatch/uplift_livepatch
	into_arm null || return
	stat_of state | grep -q '^live' || complain "state: $(stat_of state)" || return
	[ "$(cat $patch/enabled)" = 1 ] || complain "no livepatch is enabled" || return
	! rmmod "$MODULE" 2>/dev/null || complain "unloaded while an arm is on" || return
	echo 0 >$patch/enabled || return
	stat_of state | grep -q '^dead' || complain "disabled by hand, state: $(stat_of state)" || return
	! echo new 2>/dev/null >"$UPLIFT/arm" || complain "a switch that does nothing succeeds" || return
	[ "$(cat "$UPLIFT/arm")" = null ] || complain "the arm is $(cat "$UPLIFT/arm")" || return
	echo off >"$UPLIFT/arm" || return
	loop_until 100 [ ! -e $patch ] || complain "the livepatch stays" || return
	into_arm new || return
	stat_of state | grep -q '^live' || complain "again, state: $(stat_of state)" || return
	into_arm off || return
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays"
}

# Switching off in a mount namespace with another /sys removes the livepatch, too: it was said to be gone, and stayed.
test_livepatch_without_sysfs()
{
	by_livepatch || return
	ensure_livepatch || return
	patch=/sys/kernel/livepatch/uplift_livepatch
	into_arm null || return
	# shellcheck disable=SC2016 # for the inner shell to expand
	unshare -m sh -c 'exec 3>"$1" && mount -t tmpfs none /sys && [ ! -e "$2" ] && echo off >&3' sh "$UPLIFT/arm" "$patch" ||
		complain "cannot switch off without /sys" || return
	[ ! -e "$patch" ] || complain "off, and the livepatch is there: enabled is $(cat "$patch/enabled")" || return
	[ "$(stat_of state)" = off ] || complain "state: $(stat_of state)" || return
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays"
}

begin
run_tests
