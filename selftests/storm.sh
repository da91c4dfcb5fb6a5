#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Everything at once, for a set time: arms are switched under loads and file I/O
# that check what they get, modules and file systems come and go, CPUs too,
# processes, memory pressure, ftrace, kprobes, and a livepatch. No job may notice
# another. Run it with panic_on_warn. Needs root; takes over /dev/ram0 to
# /dev/ram2.
#
# usage: storm.sh [SECONDS]
#
# Environment:
#   TORTURE        1, or everything is skipped
#   STORM_SECONDS  as the argument (60)
#   UPLIFT_KO_DIR  where the modules are (see find_ko)
#   STORM_JOBS     which jobs, by name (all that can run here)
#   STORM_WITHOUT  which jobs not
#   STORM_BARE     1: none of our modules is loaded, to see what the kernel warns of by itself
#
# A change brings jobs of its own (STORM in lib.sh), a backport one of its name:
# what programs see must be the same while its arm changes.
#
# Prints how many rounds each job did. Exit: 0 pass, 1 fail, 4 skip. Output is
# KTAP.

CHANGE=storm
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "storm.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

SECONDS_WANTED=${1:-${STORM_SECONDS:-60}}
TRACING=/sys/kernel/tracing
CHANGES=$(all_changes)
JOBS="fio_xfs fio_ext4 filesystems hotplug churn memory tracer probes readers"
TESTS="storm quiet_end"
RUNNING=

# goes MODULE SAID: unload it; a reader of one of its files holds it for as long as that takes (EAGAIN).
goes()
{
	loop_until 3000 unload_once "$1" "$2" || { echo "$1 stays: $(cat "$2")"; return 1; }
}

unload_once()
{
	"$DIR/module_call" unload "$1" >"$2"
}

# storm_of NAME: of_change, without a module where none is to be loaded, or the kernel refuses it
storm_of()
{
	of_change "$1"
	[ "${STORM_BARE:-}" != 1 ] && [ ! -e "$TMP/refused.$1" ] || CHANGE_KO=
}

# The function of a job, job_JOB, does one round of it and is given a path that begins the names of its own files. It
# returns 0, or prints a line and returns 1; if it cannot be done here it ends with $KSFT_SKIP at once. Lines in the file
# .sums are printed at the end. ROUND counts. Jobs of a change have that one's facts.

# fio_round FS DISK NAME
fio_round()
{
	command -v fio >/dev/null || return "$KSFT_SKIP"
	mnt=$TMP/mnt.$1
	if ! grep -q " $mnt " /proc/mounts; then
		modprobe "$1" 2>/dev/null
		[ -b "$2" ] && command -v "mkfs.$1" >/dev/null || return "$KSFT_SKIP"
		mkdir -p "$mnt"
		case $1 in
		ext4)	mkfs.ext4 -q -F -b 4096 "$2" ;;
		xfs)	mkfs.xfs -q -f "$2" ;;
		esac >"$3.txt" 2>&1
		mount -t "$1" "$2" "$mnt" || { tail -n 1 "$3.txt"; return 1; }
	fi
	if ! fio --directory="$mnt" --size=4m --verify=crc32c --verify_fatal=1 --do_verify=1 --thread --group_reporting \
		--ioengine=psync --fallocate=none --output="$3.txt" \
		--name=direct --rw=randwrite --bs=4k --direct=1 \
		--name=buffered --rw=randwrite --bs=1k-9k --bs_unaligned=1 --fsync=32 \
		--name=unwritten --rw=write --bs=16k --direct=1 --fallocate=native >"$3.err" 2>&1 ||
	   grep -q "verify:.*bad\|verify failed" "$3.txt" "$3.err"; then
		grep -hE "verify|error|fio:" "$3.txt" "$3.err" | head -n 3
		return 1
	fi
}

job_fio_xfs() { fio_round xfs /dev/ram0 "$1"; }
job_fio_ext4() { fio_round ext4 /dev/ram1 "$1"; }

# What programs see is the same while the arm of a backport changes.
job_backport()
{
	[ -n "$CHANGE_KO" ] || return "$KSFT_SKIP"
	"$DIR/module_call" load "$CHANGE_KO" >"$1.errno" || {
		# Where the kernel has the change, or cannot have it.
		grep -qxE "EEXIST|EBUSY|ENODEV|EOPNOTSUPP" "$1.errno" && return "$KSFT_SKIP"
		echo "$MODULE.ko: $(cat "$1.errno")"
		return 1
	}
	"$DIR/syscall_bench" --transcript "$ROUND" --calls 2000 >"$1.off" || { echo "no end in off"; return 1; }
	for arm in null new off null new; do
		echo $arm 2>/dev/null >"$UPLIFT/arm"
		sleep 0.2
	done &
	"$DIR/syscall_bench" --transcript "$ROUND" --calls 2000 >"$1.switched" || { echo "no end"; return 1; }
	wait $!
	cmp -s "$1.off" "$1.switched" || { echo "not the same to programs in sequence $ROUND"; return 1; }
	echo off >"$UPLIFT/arm" || return
	goes "$MODULE" "$1.errno"
}

job_filesystems()
{
	for fs in minix bfs adfs qnx4; do
		modprobe -q $fs 2>/dev/null && FOUND=1
	done
	[ -n "$FOUND" ] || return "$KSFT_SKIP"
	for fs in minix bfs adfs qnx4; do
		rmmod $fs 2>/dev/null
	done
	return 0
}

job_hotplug()
{
	cpu=/sys/devices/system/cpu/cpu1/online
	[ -w $cpu ] || return "$KSFT_SKIP"
	echo 0 2>/dev/null >$cpu
	sleep 0.3
	echo 1 2>/dev/null >$cpu
	sleep 0.7
}

job_churn()
{
	for _ in 1 2 3 4 5 6 7 8; do
		sh -c 'echo $$ | cat | cat' >/dev/null &
	done
	wait
}

# What is free is used up, and given back: reclaim and failing allocations.
job_memory()
{
	command -v stress-ng >/dev/null || return "$KSFT_SKIP"
	stress-ng --quiet --vm 1 --vm-bytes 60% --vm-hang 1 --timeout 5 >"$1.txt" 2>&1
	sleep 1
}

# The functions that are redirected are traced as well.
job_tracer()
{
	[ -w $TRACING/set_ftrace_filter ] || return "$KSFT_SKIP"
	sed -n 's/^function: *//p' $DEBUG/uplift/*/stats 2>/dev/null | while read -r function; do
		echo "$function" 2>/dev/null >>$TRACING/set_ftrace_filter
	done
	echo function >$TRACING/current_tracer || return
	sleep 0.5
	echo nop >$TRACING/current_tracer
	echo >$TRACING/set_ftrace_filter
	echo >$TRACING/trace
}

job_probes()
{
	[ -w $TRACING/kprobe_events ] || return "$KSFT_SKIP"
	echo 'p:uplift_storm vfs_read' 2>/dev/null >>$TRACING/kprobe_events || return 0
	echo 1 2>/dev/null >$TRACING/events/kprobes/uplift_storm/enable
	sleep 0.2
	echo 0 2>/dev/null >$TRACING/events/kprobes/uplift_storm/enable
	echo '-:uplift_storm' 2>/dev/null >>$TRACING/kprobe_events
	return 0
}

# Files that may go while they are read.
job_readers()
{
	find $DEBUG/uplift -type f 2>/dev/null | while read -r file; do
		cat "$file" >/dev/null 2>&1
	done
	for file in $ALL_FILES; do
		cat "$file" >/dev/null 2>&1
	done
	sleep 0.1
}

# add_jobs: the changes' own, with whose they are in OWNERS, and their files in ALL_FILES
add_jobs()
{
	for name in $CHANGES; do
		of_change "$name"
		for job in $STORM; do
			JOBS="$JOBS $job"
			OWNERS="$OWNERS $job:$name"
		done
		ALL_FILES="$ALL_FILES $FILES"
	done
}
OWNERS='' ALL_FILES=''

# job NAME: rounds until the time is up or a round fails
job()
{
	function=job_$1
	owner=${OWNERS##* "$1:"}
	if [ "$owner" != "$OWNERS" ]; then
		storm_of "${owner%% *}"
		! all_backports | grep -qx "$1" || function=job_backport
	fi
	ROUND=0
	while [ ! -e "$TMP/stop" ]; do
		"$function" "$TMP/$1" >"$TMP/$1.said" 2>&1
		case $? in
		0)	;;
		"$KSFT_SKIP") echo skipped >"$TMP/$1.rounds"; return ;;
		*)	cat "$TMP/$1.said" >"$TMP/$1.failed"; : >"$TMP/stop"; return ;;
		esac
		ROUND=$((ROUND + 1))
		echo $ROUND >"$TMP/$1.rounds"
	done
}

chosen()
{
	for name in ${STORM_JOBS:-$JOBS}; do
		case " ${STORM_WITHOUT:-} " in
		*" $name "*) ;;
		*) echo "$name" ;;
		esac
	done
}

# load_first: the modules that are there before the jobs begin; one that refuses this kernel is left out
load_first()
{
	if [ "${STORM_BARE:-}" = 1 ]; then
		LIVEPATCH_KO=
		return
	fi
	[ -n "$CORE_KO" ] || skip "no uplift.ko: make modules, or set UPLIFT_KO_DIR" || return
	ensure_core || return
	if [ -n "$LIVEPATCH_KO" ] && [ -d /sys/kernel/livepatch ]; then
		ensure_livepatch || return
	fi
	for name in $CHANGES; do
		of_change "$name"
		[ -n "$STORM_LOADED" ] || continue
		need_change "$name"
		case $? in
		0)	;;
		"$KSFT_SKIP") : >"$TMP/refused.$name" ;;
		*)	return 1 ;;
		esac
	done
}

test_storm()
{
	load_first || return
	add_jobs
	modprobe brd rd_nr=3 rd_size=327680 2>/dev/null
	for name in $(chosen); do
		job "$name" &
		RUNNING="$RUNNING $!"
	done
	start=$(date +%s)
	while [ ! -e "$TMP/stop" ] && [ $(($(date +%s) - start)) -lt "$SECONDS_WANTED" ]; do
		sleep 1
	done
	: >"$TMP/stop"
	# shellcheck disable=SC2086 # numbers
	wait $RUNNING
	RUNNING=
	ktap_print_msg "$(($(date +%s) - start)) s"
	for name in $(chosen); do
		ktap_print_msg "$name: $(cat "$TMP/$name.rounds" 2>/dev/null || echo 0)"
	done
	for file in "$TMP"/*.sums; do
		[ ! -e "$file" ] || ktap_print_msg "$(basename "$file" .sums): $(sums <"$file")"
	done
	bad=0
	for file in "$TMP"/*.failed; do
		[ -e "$file" ] || continue
		name=${file##*/}
		complain "${name%.failed}: $(tr '\n' ' ' <"$file")"
		bad=1
	done
	return $bad
}

# sums: of lines of numbers, each with a word behind it, one such line
sums()
{
	awk '{ for (i = 1; i < NF; i += 2) sum[i] += $i; line = $0 }
		END { n = split(line, word); for (i = 1; i < n; i += 2) printf "%.0f %s ", sum[i], word[i + 1] }'
}

# Everything can be taken away again, and nothing has leaked.
test_quiet_end()
{
	for name in $CHANGES; do
		of_change "$name"
		! is_loaded "$MODULE" || turn off || complain "$MODULE cannot be turned off" || return
		loop_until 300 ensure_unloaded 2>/dev/null || complain "$MODULE stays" || return
	done
	unload_core || return
	for fs in xfs ext4; do
		! grep -q " $TMP/mnt.$fs " /proc/mounts || umount "$TMP/mnt.$fs" || complain "$fs stays mounted" || return
	done
	no_leaks && test_kernel_log
}

cleanup_more()
{
	: >"$TMP/stop"
	# shellcheck disable=SC2086 # numbers
	[ -z "$RUNNING" ] || { kill $RUNNING; wait $RUNNING; } 2>/dev/null
	echo 1 2>/dev/null >/sys/devices/system/cpu/cpu1/online
	[ ! -w $TRACING/current_tracer ] || echo nop >$TRACING/current_tracer
	for fs in xfs ext4; do
		! grep -q " $TMP/mnt.$fs " /proc/mounts || umount "$TMP/mnt.$fs"
	done
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
}

[ "${TORTURE:-}" = 1 ] || {
	ktap_print_header
	skip_all "TORTURE=1 tests this; not on a machine that is used for anything else"
}
begin
run_tests
