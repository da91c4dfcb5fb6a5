#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Everything at once, for a set time: arms are switched under epoll and file I/O
# that check what they get, modules and file systems come and go, CPUs too,
# processes, memory pressure, ftrace, kprobes, and a live patch. Nobody may
# notice anything. Run it with panic_on_warn. Needs root; takes over /dev/ram0
# and /dev/ram1.
#
# usage: storm.sh [SECONDS]
#
# Environment:
#   TORTURE        1, or everything is skipped
#   STORM_SECONDS  as the argument (60)
#   UPLIFT_KO_DIR  where the modules are (see find_ko)
#   STORM_JOBS     which of them, by name (all that can run here)
#   STORM_WITHOUT  which of them not
#   STORM_BARE     1: nothing of ours is loaded, to see what the kernel warns of by itself
#
# Prints how often each of them did what it does. Exit: 0 pass, 1 fail, 4 skip.
# Output is KTAP.

CHANGE=epoll
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "storm.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

SECONDS_WANTED=${1:-${STORM_SECONDS:-60}}
TRACING=/sys/kernel/tracing
JOBS="epoll fio_xfs fio_ext4 iomap_arms iomap_module pipepoll fslist llc filesystems hotplug churn memory tracer probes"
JOBS="$JOBS readers"
TESTS="storm quiet_end"
RUNNING=

# goes MODULE SAID: unload it; who reads one of its files holds it for as long as that takes (EAGAIN).
goes()
{
	loop_until 3000 unload_once "$1" "$2" || { echo "$1 stays: $(cat "$2")"; return 1; }
}

unload_once()
{
	"$DIR/module_call" unload "$1" >"$2"
}

# A job's function does one round of what it does: 0, or a line and 1; what
# cannot be done here ends it with $KSFT_SKIP at once.

job_epoll()
{
	SWITCHES=60 SWITCH_SECONDS=60 UPLIFT_CHANGE=epoll "$DIR/redirect_switch" -t switched_under_load >"$1.txt" 2>&1 || {
		grep '^#' "$1.txt" | grep -v "RUN\|Starting\|Totals" | tail -n 5
		return 1
	}
	sed -n 's/.*switched_under_load:\([0-9]*\) switches among.* \([0-9]*\) events on.*/\1 \2/p' "$1.txt" >>"$TMP/switched"
}

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

# The module may be gone for a moment, or on its way in or out.
job_iomap_arms()
{
	[ -n "$IOMAP_KO" ] || return "$KSFT_SKIP"
	for arm in null new off; do
		echo $arm 2>/dev/null >$DEBUG/uplift/iomap/arm
		# Who else switches waits for the same lock.
		sleep 0.1
	done
	return 0
}

# Unloaded with tasks inside it stays; each second time it works by livepatch.
job_iomap_module()
{
	[ -n "$IOMAP_KO" ] || return "$KSFT_SKIP"
	sleep 2
	echo off 2>/dev/null >$DEBUG/uplift/iomap/arm
	rmmod uplift_iomap 2>/dev/null || return 0
	method=ftrace-direct
	[ $((ROUND % 2)) = 0 ] || [ -z "$LIVEPATCH_KO" ] || method=livepatch
	"$DIR/module_call" load "$IOMAP_KO" scripts=50 method=$method >"$1.errno" ||
		{ echo "uplift_iomap.ko: $(cat "$1.errno")"; return 1; }
}

# What a program sees of pipes is the same while the arm changes under it.
job_pipepoll()
{
	[ -n "$PIPEPOLL_KO" ] || return "$KSFT_SKIP"
	"$DIR/module_call" load "$PIPEPOLL_KO" >"$1.errno" || {
		# Where the kernel has the change, or cannot have it.
		grep -qxE "EEXIST|ENODEV|EOPNOTSUPP" "$1.errno" && return "$KSFT_SKIP"
		echo "uplift_pipepoll.ko: $(cat "$1.errno")"
		return 1
	}
	"$DIR/syscall_bench" --transcript "$ROUND" --calls 2000 >"$1.off" || { echo "no end in off"; return 1; }
	for arm in null new off null new; do
		echo $arm 2>/dev/null >$DEBUG/uplift/pipepoll/arm
		sleep 0.2
	done &
	"$DIR/syscall_bench" --transcript "$ROUND" --calls 2000 >"$1.switched" || { echo "no end"; return 1; }
	wait $!
	cmp -s "$1.off" "$1.switched" || { echo "not the same to programs in sequence $ROUND"; return 1; }
	echo off >$DEBUG/uplift/pipepoll/arm || return
	goes uplift_pipepoll "$1.errno"
}

job_fslist()
{
	[ -n "$FSLIST_KO" ] || return "$KSFT_SKIP"
	"$DIR/module_call" load "$FSLIST_KO" >"$1.errno" || {
		# Where the kernel has the change it has nothing to add.
		grep -q EEXIST "$1.errno" && return "$KSFT_SKIP"
		echo "uplift_fslist.ko: $(cat "$1.errno")"
		return 1
	}
	for _ in 1 2 3 4 5; do
		cat /proc/filesystems_cached >"$1.cached" || return 1
	done
	goes uplift_fslist "$1.errno"
}

job_llc()
{
	[ -n "$LLC_KO" ] || return "$KSFT_SKIP"
	"$DIR/module_call" load "$LLC_KO" >"$1.errno" || { echo "uplift_llc.ko: $(cat "$1.errno")"; return 1; }
	ret=0
	echo 1 >$DEBUG/uplift/llc/track || ret=1
	for file in domains.json processes migrations cas; do
		cat $DEBUG/uplift/llc/$file >/dev/null || ret=1
	done
	[ $((ROUND % 2)) = 0 ] || echo 0 >$DEBUG/uplift/llc/track || ret=1
	goes uplift_llc "$1.errno" || return
	return $ret
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

job_tracer()
{
	[ -w $TRACING/set_ftrace_filter ] || return "$KSFT_SKIP"
	printf 'iomap_iter\ndo_epoll_wait\nep_send_events\n' | while read -r function; do
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
	cat /proc/filesystems_cached >/dev/null 2>&1
	sleep 0.1
}

# job NAME: rounds until the time is up or a round fails
job()
{
	ROUND=0
	while [ ! -e "$TMP/stop" ]; do
		"job_$1" "$TMP/$1" >"$TMP/$1.said" 2>&1
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

test_storm()
{
	if [ "${STORM_BARE:-}" = 1 ]; then
		LIVEPATCH_KO=
	else
		need_module || return
	fi
	IOMAP_KO=$(find_ko_of uplift_iomap)
	PIPEPOLL_KO=$(find_ko_of uplift_pipepoll)
	FSLIST_KO=$(find_ko_of uplift_fslist)
	LLC_KO=$(find_ko_of uplift_llc)
	modprobe brd rd_nr=2 rd_size=327680 2>/dev/null
	if [ -n "$LIVEPATCH_KO" ] && [ -d /sys/kernel/livepatch ]; then
		ensure_livepatch || return
	fi
	if [ -n "$IOMAP_KO" ] && ! load "$IOMAP_KO" scripts=50; then
		grep -qxE "EEXIST|ENODEV|EOPNOTSUPP|EBUSY" "$TMP/errno" || complain "uplift_iomap.ko: $(cat "$TMP/errno")" || return
		IOMAP_KO=
	fi
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
	[ ! -s "$TMP/switched" ] ||
		ktap_print_msg "epoll's arm: $(awk '{ n += $1; e += $2 } END { printf "%d switches, %.0f events", n, e }' "$TMP/switched")"
	bad=0
	for file in "$TMP"/*.failed; do
		[ -e "$file" ] || continue
		name=${file##*/}
		complain "${name%.failed}: $(tr '\n' ' ' <"$file")"
		bad=1
	done
	return $bad
}

find_ko_of()
{
	[ "${STORM_BARE:-}" != 1 ] || return 0
	(CHANGE=${1#uplift_} && find_ko "$1")
}

# Everything can be taken away again, and nothing has leaked.
test_quiet_end()
{
	[ ! -e "$UPLIFT/arm" ] || echo off >"$UPLIFT/arm"
	for change in iomap pipepoll; do
		[ ! -e $DEBUG/uplift/$change/arm ] || echo off >$DEBUG/uplift/$change/arm
	done
	for module in uplift_iomap uplift_pipepoll uplift_llc uplift_fslist uplift_epoll uplift_livepatch uplift; do
		! is_loaded $module || loop_until 300 rmmod $module 2>/dev/null || complain "$module stays" || return
	done
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
	for change in iomap pipepoll; do
		echo off 2>/dev/null >$DEBUG/uplift/$change/arm
	done
	for module in uplift_iomap uplift_pipepoll uplift_llc uplift_fslist; do
		! is_loaded $module || rmmod $module 2>/dev/null
	done
}

[ "${TORTURE:-}" = 1 ] || {
	ktap_print_header
	skip_all "TORTURE=1 tests this; not on a machine that is used for anything else"
}
begin
run_tests
