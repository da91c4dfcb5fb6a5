#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_land, the scheduler of sched/, on the running kernel: that it
# loads and is refused as it should be, keeps processes in one cache, starves
# nobody, and that the kernel takes over when its user-space half is stopped or
# killed; that it stays when CPUs come and go; that nothing is left of it. Needs
# root and a kernel with sched_ext; takes a CPU offline and puts it back.
#
# usage: land.sh [short|long]
#
# Environment:
#   FORM              short or long, as the argument (short)
#   SCHED             where uplift_land and the examples are (/sched, or where make -C sched puts them)
#   HOTPLUG           CPU hotplug operations under load (short 4; long 100)
#   REPEATABLE        1: time in this guest is that of its own instructions, and
#                     how long tasks wait is checked, too
#   LIMIT_MS          that nobody may wait longer in a storm of forks (100)
#   ONLY              names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=land
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "land.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${HOTPLUG:=4}"; MS=300; STORM=8 ;;
long)	: "${HOTPLUG:=100}"; MS=1000; STORM=32 ;;
*)	echo "usage: land.sh [short|long]" >&2; exit 2 ;;
esac
: "${LIMIT_MS:=100}"

SCX=/sys/kernel/sched_ext
CPU=/sys/devices/system/cpu
TESTS="options load load_twice schedules gathers storm hotplug hotplug_unknown killed stopped unloads examples"
TESTS="$TESTS unloaded kernel_log"

cleanup_more()
{
	[ -z "$LOAD" ] || kill "$LOAD" 2>/dev/null
	[ -z "$DAEMON" ] || kill -CONT "$DAEMON" 2>/dev/null
	[ -z "$DAEMON" ] || kill "$DAEMON" 2>/dev/null
	[ -z "$TAKEN" ] || echo 1 >"$CPU/cpu$TAKEN/online" 2>/dev/null
}
LOAD=; DAEMON=; TAKEN=

state()
{
	cat $SCX/state
}

is_state()
{
	[ "$(state)" = "$1" ]
}

# It is there, or has ended with a reason.
up_or_gone()
{
	is_state enabled || ! kill -0 "$DAEMON" 2>/dev/null
}

# run PROGRAM [OPTION...]: start a scheduler; it is loaded when this returns 0
run()
{
	is_state disabled || complain "another scheduler is loaded: $(cat $SCX/root/ops)" || return
	program=$SCHED/$1
	shift
	STALL=0
	"$program" "$@" >"$TMP/said" 2>&1 &
	DAEMON=$!
	loop_until 600 up_or_gone
	is_state enabled || complain "it does not load: $(tail -n 1 "$TMP/said")"
}

# ended STATUS: wait for the scheduler to end, with that status and the kernel's own back
ended()
{
	wait "$DAEMON" 2>/dev/null
	status=$?
	DAEMON=
	[ $status = "$1" ] || complain "it ended with status $status, not $1: $(tail -n 1 "$TMP/said")" || return
	loop_until 100 is_state disabled || complain "the state is $(state) after it ended"
}

# end: by a signal that it was not ended by yet, as each load takes seconds
end()
{
	signal=${UNTRIED%% *}
	UNTRIED=${UNTRIED#"$signal "}
	kill "-${signal:-TERM}" "$DAEMON" || complain "it is not there any more: $(tail -n 1 "$TMP/said")" || return
	ended 0 || return
	[ "$STALL" = 0 ] || grep -q '"running": false' "$TMP/status" || complain "the status says that it runs"
}
UNTRIED="INT HUP TERM "

# work LOAD: a line of JSON in $TMP/work
work()
{
	"$DIR/sched_load" -t $MS -w "${WARM:-100}" "$1" >"$TMP/work" ||
		complain "sched_load $1 ended with status $?"
}

value()
{
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$TMP/work"
}

# need_daemon [STALL_MS]: on a busy host a guest that is emulated stalls by itself, so it is given time
need_daemon()
{
	if [ -n "$DAEMON" ] && is_state enabled; then
		[ "${1:-$STALL}" != "$STALL" ] || return 0
		end || return
	fi
	rm -f "$TMP/status"
	run uplift_land --status "$TMP/status" --stall-ms "${1:-10000}" || return
	STALL=${1:-10000}
}

test_options()
{
	for bad in --tolerance=x --tolerance=101 --slice-us=0 --stall-ms=5 --nonsense word; do
		"$SCHED/uplift_land" $bad >"$TMP/said" 2>&1
		status=$?
		[ $status = 2 ] || complain "$bad: status $status, not 2" || return
		[ "$(wc -l <"$TMP/said")" -le 2 ] || complain "$bad: many words: $(cat "$TMP/said")" || return
	done
	is_state disabled || complain "the state is $(state)"
}

test_load()
{
	need_daemon || return
	[ "$(cat $SCX/root/ops)" = uplift_land ] || complain "$(cat $SCX/root/ops) is loaded" || return
	# all of its memory is locked
	locked=$(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$DAEMON/status")
	[ "${locked:-0}" -gt 1000 ] || complain "$locked kB are locked"
}

test_load_twice()
{
	need_daemon || return
	"$SCHED/uplift_land" >"$TMP/twice" 2>&1
	status=$?
	[ $status = 1 ] || complain "the second ended with status $status" || return
	grep -q "another scheduler is loaded: uplift_land" "$TMP/twice" || complain "it says: $(cat "$TMP/twice")" ||
		return
	is_state enabled || complain "the first is not loaded any more"
}

# More threads than CPUs: they have to go through the user-space half, and it must not be woken for each.
test_schedules()
{
	need_daemon || return
	cpus=$(grep -c ^processor /proc/cpuinfo)
	work "4x${cpus}" || return
	[ "$(value ops)" -gt 0 ] || complain "nothing was done" || return
	loop_until 100 grep -q '"passed_up": [1-9]' "$TMP/status" || complain "no task was passed up" || return
	up=$(sed -n 's/.*"passed_up": \([0-9]*\).*/\1/p' "$TMP/status")
	wakes=$(sed -n 's/.*"wakes": \([0-9]*\).*/\1/p' "$TMP/status")
	ktap_print_msg "$up tasks passed up, $wakes wakeups"
	[ "$wakes" -le $((up / 2)) ] || complain "$wakes wakeups for $up tasks"
}

# Of each process that fits, nearly all of its work is done in one cache.
test_gathers()
{
	need_daemon || return
	[ "$(grep -c '"cpus"' "$TMP/status")" -gt 1 ] || skip "one cache only" || return
	for load in 1x2p 2x2; do
		work $load || return
		sed 's/"pid"/\n&/g' "$TMP/work" | awk -F '[][]' '/^"pid"/ {
			n = split($2, part, ", "); sum = top = 0
			for (i = 1; i <= n; i++) { sum += part[i]; if (part[i] > top) top = part[i] }
			if (!sum || top < 0.9 * sum) { print $2; exit 1 }
		}' >"$TMP/spread" || complain "$load: work by cache is $(cat "$TMP/spread")" || return
	done
}

# Processes that come and go as fast as they can beside a thread per CPU that computes.
test_storm()
{
	need_daemon || return
	work storm:$STORM || return
	forks=$(value ops)
	longest=$(($(value longest_ns) / 1000000))
	ktap_print_msg "$forks forks; the longest wait was $longest ms"
	[ "$forks" -gt 0 ] || complain "nothing was forked" || return
	is_state enabled || complain "it ended: $(tail -n 1 "$TMP/said")" || return
	[ "${REPEATABLE:-0}" != 1 ] || [ $longest -le "$LIMIT_MS" ] || complain "that is more than $LIMIT_MS ms"
}

last_cpu()
{
	TAKEN=
	for cpu in "$CPU"/cpu[1-9]*; do
		[ -w "$cpu/online" ] && TAKEN=${cpu##*cpu}
	done
	[ -n "$TAKEN" ] || skip "no CPU here can be taken offline"
}

test_hotplug()
{
	last_cpu || return
	need_daemon || return
	"$DIR/sched_load" -t 600000 3x3 >/dev/null &
	LOAD=$!
	ret=0
	for round in $(seq $((HOTPLUG / 2))); do
		echo 0 >$CPU/cpu"$TAKEN"/online || ret=1
		sleep 0.1
		echo 1 >$CPU/cpu"$TAKEN"/online || ret=1
		sleep 0.1
		is_state enabled || { complain "round $round: it ended: $(tail -n 1 "$TMP/said")"; ret=1; }
		[ $ret = 0 ] || break
	done
	kill $LOAD
	wait $LOAD 2>/dev/null
	LOAD=
	TAKEN=
	return $ret
}

restarted()
{
	[ "$(cat $SCX/enable_seq)" -gt "$1" ] && is_state enabled
}

# A CPU whose caches nobody knew: it starts again, to learn of them.
test_hotplug_unknown()
{
	last_cpu || return
	[ -z "$DAEMON" ] || end || return
	echo 0 >$CPU/cpu"$TAKEN"/online || return
	need_daemon || return
	seq=$(cat $SCX/enable_seq)
	echo 1 >$CPU/cpu"$TAKEN"/online || return
	loop_until 600 restarted "$seq" || complain "it did not start again; the state is $(state)" || return
	work 2x2 || return
	# the status has each CPU in a domain
	loop_until 50 grep -q "[^0-9]${TAKEN}[],]" "$TMP/status" || complain "CPU $TAKEN is in no domain"
	TAKEN=
}

# busy: more threads than CPUs, so that tasks wait for decisions
busy()
{
	cpus=$(grep -c ^processor /proc/cpuinfo)
	"$DIR/sched_load" -t 600000 "2x$cpus" >/dev/null &
	LOAD=$!
	sleep 0.3
}

idle()
{
	kill "$LOAD"
	wait "$LOAD" 2>/dev/null
	LOAD=
}

test_killed()
{
	need_daemon || return
	busy
	kill -9 "$DAEMON"
	ended 137
	ret=$?
	work 2x2 || ret=1
	idle
	[ $ret = 0 ] || return
	# nothing of it is in the way of another, which the next test has use for
	need_daemon 1000
}

# The watchdog and the BPF part's own look are both set to a second.
test_stopped()
{
	need_daemon 1000 || return
	busy
	kill -STOP "$DAEMON"
	loop_until 100 is_state disabled
	ret=$?
	kill -CONT "$DAEMON"
	idle
	[ $ret = 0 ] || complain "the state is $(state) 10 s after it was stopped" || return
	ended 1 || return
	ktap_print_msg "$(tail -n 1 "$TMP/said")"
	grep -q "the kernel ended it: " "$TMP/said" || complain "it does not say why: $(cat "$TMP/said")"
}

test_unloads()
{
	while [ -n "$UNTRIED" ]; do
		need_daemon && end || return
	done
}

test_examples()
{
	[ -z "$DAEMON" ] || end || return
	cpus=$(grep -c ^processor /proc/cpuinfo)
	for example in example_fifo example_llc; do
		run $example || return
		[ "$(cat $SCX/root/ops)" = $example ] || complain "$(cat $SCX/root/ops) is loaded" || return
		work "2x$cpus" || return
		[ "$(value ops)" -gt 0 ] || complain "$example: nothing was done" || return
		is_state enabled || complain "$example ended: $(tail -n 1 "$TMP/said")" || return
		end || return
		ktap_print_msg "$example: $(tail -n 1 "$TMP/said")"
	done
}

test_unloaded()
{
	[ -z "$DAEMON" ] || end || return
	is_state disabled || complain "the state is $(state)" || return
	work 2x2 || return
	[ "$(value ops)" -gt 0 ] || complain "nothing was done"
}

if [ ! -d $SCX ]; then
	ktap_print_header
	skip_all "this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)"
fi
release=$(uname -r)
for place in ${SCHED:+"$SCHED"} /sched "$DIR/../build/sched/$release" "/var/cache/uplift/sched/$release"; do
	[ -x "$place/uplift_land" ] && break
done
SCHED=$place
if [ ! -x "$SCHED/uplift_land" ]; then
	ktap_print_header
	skip_all "no uplift_land: make -C sched, or set SCHED=DIR to where it is"
fi
begin
run_tests
