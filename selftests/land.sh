#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_land, the scheduler of sched/, on the running kernel: it loads and is
# refused as it should be, keeps processes in one cache, starves no task, stays when
# CPUs come and go; the kernel takes over when its daemon is stopped or killed; and
# nothing is left of it. Needs root and a kernel with sched_ext; takes a CPU offline and puts it back.
#
# usage: land.sh [short|long]
#
# Environment:
#   FORM              short or long, as the argument (short)
#   SCHED             where uplift_land and the examples are (/sched, or where make -C sched puts them)
#   HOTPLUG           CPU hotplug operations under load (short 20; long 100)
#   REPEATABLE        1: this guest's clock counts its instructions, so that the time
#                     that tasks wait can be checked, too
#   LIMIT_MS          the longest that a task may wait in a storm of forks (100)
#   OFFLINE_MS        the longest that a CPU may take to go offline (1000), with REPEATABLE
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
short)	: "${HOTPLUG:=20}"; MS=200; LONG=400; STORM=8 ;;
long)	: "${HOTPLUG:=100}"; MS=1000; LONG=3000; STORM=32 ;;
*)	echo "usage: land.sh [short|long]" >&2; exit 2 ;;
esac
: "${LIMIT_MS:=100}" "${OFFLINE_MS:=1000}"

SCX=/sys/kernel/sched_ext
CPU=/sys/devices/system/cpu
TESTS="options load load_twice schedules gathers storm bound allowed fifo hotplug hotplug_unknown hotplug_loading"
TESTS="$TESTS shares groups limits masked kernel_threads"
TESTS="$TESTS killed stopped unloads full_ring switching examples unloaded kernel_log"

cleanup_more()
{
	[ -z "$LOAD" ] || kill "$LOAD" 2>/dev/null
	[ -z "$BOUND" ] || kill "$BOUND" 2>/dev/null
	[ -z "$DAEMON" ] || kill -CONT "$DAEMON" 2>/dev/null
	[ -z "$DAEMON" ] || kill "$DAEMON" 2>/dev/null
	[ -z "$TAKEN" ] || echo 1 >"$CPU/cpu$TAKEN/online" 2>/dev/null
	for group in "$GROUPS_DIR"/upliftl-*/in "$GROUPS_DIR"/upliftl-*; do
		[ ! -d "$group" ] || rmdir "$group"
	done
	rest_ksmd
}
GROUPS_DIR=/sys/fs/cgroup; KSM_DIR=/sys/kernel/mm/ksm; KSM=
LOAD=; BOUND=; DAEMON=; TAKEN=; ALLOWED=

# Leftovers of a failed test must not fail the next one.
after_failure()
{
	cleanup_more
	for pid in $LOAD $BOUND $DAEMON; do
		wait "$pid" 2>/dev/null
	done
	LOAD=; BOUND=; DAEMON=; TAKEN=; ALLOWED=
}

state()
{
	cat $SCX/state
}

is_state()
{
	[ "$(state)" = "$1" ]
}

# It is loaded, or its daemon has ended.
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

# ended STATUS: waits for the scheduler to end with that status; the kernel's own is back
ended()
{
	wait "$DAEMON" 2>/dev/null
	status=$?
	DAEMON=
	[ $status = "$1" ] || complain "it ended with status $status, not $1: $(tail -n 1 "$TMP/said")" || return
	loop_until 100 is_state disabled || complain "the state is $(state) after it ended"
}

# end: ends it by a signal that was not tried yet; one each time, as a load takes seconds
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
	${ALLOWED:+taskset "$ALLOWED"} "$DIR/sched_load" -t "$MS" -w "${WARM:-100}" "$1" >"$TMP/work" ||
		complain "sched_load $1 ended with status $?"
}

# busy_with LOAD: the load gets work done; on a busy host, where time says little, within ten times as long
busy_with()
{
	work "$1" || return
	[ "$(value ops)" = 0 ] || return 0
	if [ "${REPEATABLE:-0}" != 1 ]; then
		MS=${MS}0
		work "$1"
		ret=$?
		MS=${MS%0}
		[ $ret = 0 ] || return
	fi
	[ "$(value ops)" -gt 0 ] || complain "$1: nothing was done"
}

value()
{
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$TMP/work"
}

# need_daemon [STALL_MS]: with a long limit, as an emulated guest on a busy host stalls by itself
need_daemon()
{
	if [ -n "$DAEMON" ] && is_state enabled; then
		[ "${1:-$STALL}" != "$STALL" ] || return 0
		end || return
	fi
	rm -f "$TMP/status"
	run uplift_land --status "$TMP/status" --stall-ms "${1:-30000}" || return
	STALL=${1:-30000}
}

test_options()
{
	mkfifo "$TMP/pipe" || return
	for bad in --tolerance=x --tolerance=101 --slice-us=0 --stall-ms=5 --imbalance=-1 --ring-kb=2 --ring-kb=5 \
		   --status=/no/such/status --status="$TMP" --status="$TMP/pipe" --nonsense word; do
		"$SCHED/uplift_land" "$bad" >"$TMP/said" 2>&1
		status=$?
		[ $status = 2 ] || complain "$bad: status $status, not 2" || return
		[ "$(wc -l <"$TMP/said")" -le 2 ] || complain "$bad: many words: $(cat "$TMP/said")" || return
	done
	[ -p "$TMP/pipe" ] || complain "a pipe was replaced by the status" || return
	is_state disabled || complain "the state is $(state)" || return
	refused 2 "must run as root" start-stop-daemon -S -c 65534:65534 -x "$SCHED/uplift_land" || return
	# as a kernel without CONFIG_DEBUG_INFO_BTF shows itself
	mount -t tmpfs tmpfs /sys/kernel/btf 2>/dev/null || return 0
	refused 4 "no type information" "$SCHED/uplift_land"
	ret=$?
	umount /sys/kernel/btf
	return $ret
}

# refused STATUS TEXT COMMAND...: in one line
refused()
{
	wanted=$1
	text=$2
	shift 2
	"$@" >"$TMP/refused" 2>&1
	status=$?
	[ $status = "$wanted" ] || complain "$*: status $status, not $wanted: $(cat "$TMP/refused")" || return
	grep -q "$text" "$TMP/refused" || complain "$* says: $(cat "$TMP/refused")" || return
	[ "$(wc -l <"$TMP/refused")" = 1 ] || complain "$*: many words: $(cat "$TMP/refused")"
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
	refused 1 "another scheduler is loaded: uplift_land" "$SCHED/uplift_land" || return
	is_state enabled || complain "the first is not loaded any more"
}

# More threads than CPUs: they have to go through the user-space half, and it must not be woken for each.
test_schedules()
{
	cpus=$(grep -c ^processor /proc/cpuinfo)
	[ "$cpus" -gt 1 ] || skip "one CPU only: every task is bound to it" || return
	need_daemon || return
	busy_with "4x${cpus}" || return
	loop_until 100 grep -q '"passed_up": [1-9]' "$TMP/status" || complain "no task was passed up" || return
	up=$(sed -n 's/.*"passed_up": \([0-9]*\).*/\1/p' "$TMP/status")
	wakes=$(sed -n 's/.*"wakes": \([0-9]*\).*/\1/p' "$TMP/status")
	ktap_print_msg "$up tasks passed up, $wakes wakeups"
	[ "$wakes" -le $((up / 2)) ] || complain "$wakes wakeups for $up tasks"
}

# Each process that fits into one cache does nearly all of its work there.
test_gathers()
{
	need_daemon || return
	domains=$(grep -c '"cpus"' "$TMP/status")
	[ "$domains" -gt 1 ] || skip "one cache only" || return
	# two computing threads fit where four fifths of a cache's CPUs (cores, with SMT) are more than two
	cpus=$(grep -c ^processor /proc/cpuinfo)
	[ "$(cat $CPU/smt/active 2>/dev/null)" != 1 ] || cpus=$((cpus / 2))
	for load in 1x2p $([ $((cpus * 4)) -le $((2 * 5 * domains)) ] || echo 2x2); do
		gathered "$load" && continue
		[ "${REPEATABLE:-0}" != 1 ] || return
		# on a busy host, where time says little, the daemon may have been held up
		WARM=2000
		gathered "$load"
		ret=$?
		WARM=
		[ $ret = 0 ] || return
	done
}

# gathered LOAD: of each of its processes, nine tenths of the work
gathered()
{
	work "$1" || return
	sed 's/"pid"/\n&/g' "$TMP/work" | awk -F '[][]' '/^"pid"/ {
		n = split($2, part, ", "); sum = top = 0
		for (i = 1; i <= n; i++) { sum += part[i]; if (part[i] > top) top = part[i] }
		if (!sum || top < 0.9 * sum) { print $2; exit 1 }
	}' >"$TMP/spread" || complain "$1: work by cache is $(cat "$TMP/spread")"
}

# Short processes, forked as fast as possible, beside one computing thread per CPU.
test_storm()
{
	need_daemon || return
	busy_with storm:$STORM || return
	forks=$(value ops)
	longest=$(($(value longest_ns) / 1000000))
	ktap_print_msg "$forks forks; the longest wait was $longest ms"
	is_state enabled || complain "it ended: $(tail -n 1 "$TMP/said")" || return
	[ "${REPEATABLE:-0}" != 1 ] || [ $longest -le "$LIMIT_MS" ] || complain "that is more than $LIMIT_MS ms"
}

# waited LOAD MS: no thread waited longer than that; checked where REPEATABLE says that time counts
waited()
{
	short=$MS
	MS=$LONG
	work "$1"
	ret=$?
	MS=$short
	[ $ret = 0 ] || return
	longest=$(($(value longest_ns) / 1000000))
	ktap_print_msg "$1: the longest wait was $longest ms"
	[ $longest -gt 0 ] || [ "$(value longest_ns)" -gt 0 ] || complain "no thread was watched" || return
	is_state enabled || complain "it ended: $(tail -n 1 "$TMP/said")" || return
	[ "${REPEATABLE:-0}" != 1 ] || [ $longest -le "$2" ] || complain "that is more than $2 ms"
}

# A thread that always computes, on a CPU that others never leave idle: it was set back by all that it had computed.
test_bound()
{
	need_daemon || return
	waited bound:2 60
}

# A real-time task takes a CPU for 300 ms: tasks that were queued there run elsewhere.
test_fifo()
{
	[ "$(grep -c ^processor /proc/cpuinfo)" -gt 1 ] || skip "one CPU only" || return
	need_daemon || return
	waited fifo:1 "$LIMIT_MS"
}

# Tasks that are bound to some of the CPUs, as by a cpuset or taskset.
test_allowed()
{
	cpus=$(grep -c ^processor /proc/cpuinfo)
	[ "$cpus" -gt 3 ] || skip "$cpus CPUs only" || return
	need_daemon || return
	for ALLOWED in 1 6 e; do
		busy_with 2x4 || complain "on CPUs $ALLOWED" || return
		is_state enabled || complain "CPUs $ALLOWED: it ended: $(tail -n 1 "$TMP/said")" || return
	done
	ALLOWED=
}

# The kinds of tasks of a scene, for sched_share: those that nothing is said of may run everywhere.
scene()
{
	case $1 in
	nice)		echo "1x0,mask=1 1x19,mask=1" ;;
	high)		echo "1x-20,mask=1 1x0,mask=1" ;;
	idle)		echo "1x0,mask=1 8xidle,mask=1" ;;
	batch)		echo "1x0,mask=1 1xbatch,mask=1" ;;
	sleeps)		echo "1x0,mask=1 1x0,mask=1,sleep=3" ;;
	bound)		echo "2x0,mask=1 ${CPUS}x0" ;;
	mixed)		echo "${CPUS}x0 $((CPUS * 4))x19" ;;
	weights)	echo "1x0,mask=1,$(in_group light) 1x0,mask=1,$(in_group heavy)" ;;
	nested)		echo "1x0,mask=1,$(in_group one) 7x0,mask=1,$(in_group seven/in)" ;;
	limited)	echo "2x0,$(in_group limited) 1x0,mask=1" ;;
	masked)		echo "2x0,mask=1 6x0,mask=3 6x0,mask=6 6x0" ;;
	ksmd)		echo "1x0,mask=2,merge=8" ;;
	esac
}
CPUS=$(grep -c ^processor /proc/cpuinfo)

# share ARM SCENE: what kinds of tasks get, side by side, into $TMP/share.ARM.SCENE
share()
{
	case $2 in
	limited)	length=1000 ;;
	*)		length=$((MS * 2)) ;;
	esac
	# shellcheck disable=SC2046
	"$DIR/sched_share" -t $length $(scene "$2") >"$TMP/share.$1.$2" || complain "sched_share $(scene "$2")"
}

# The kernel's own scheduler once, in all scenes: loading another takes longer than most of them.
all_under_eevdf()
{
	[ -z "$DAEMON" ] || end || return
	for name in nice high idle batch sleeps bound mixed masked; do
		share eevdf $name || return
	done
	if need_groups; then
		for name in weights nested; do
			share eevdf $name || return
		done
	fi
	if need_ksmd; then
		share eevdf ksmd || return
	fi
	rest_ksmd
}

# beside_eevdf SCENE: both schedulers' shares
beside_eevdf()
{
	[ "${REPEATABLE:-0}" = 1 ] || skip "shares are compared where the clock counts instructions" || return
	[ -s "$TMP/share.eevdf.nice" ] || all_under_eevdf || return
	need_daemon || return
	share land "$1" || return
	is_state enabled || complain "$1: it ended: $(tail -n 1 "$TMP/said")"
}

# near SCENE [SHARE]: each kind's share is within 5 points of EEVDF's; the first kind's may also be between that and @SHARE,
# tenths of a percent, which its weight says: in a short time EEVDF does not always get there.
near()
{
	beside_eevdf "$1" || return
	paste -d ' ' "$TMP/share.eevdf.$1" "$TMP/share.land.$1" >"$TMP/share"
	exact=${2:-}
	while read -r eevdf _ _ _ land _ _ kind; do
		ktap_print_msg "$kind: $((land / 10)).$((land % 10))%, under EEVDF $((eevdf / 10)).$((eevdf % 10))%"
		low=$eevdf
		high=$eevdf
		[ -z "$exact" ] || [ "$exact" -ge "$low" ] || low=$exact
		[ -z "$exact" ] || [ "$exact" -le "$high" ] || high=$exact
		[ "$land" -ge $((low - 50)) ] && [ "$land" -le $((high + 50)) ] ||
			complain "$1: $kind: $land and $eevdf per mille" || return
		exact=${exact:+$((1000 - exact))}
	done <"$TMP/share"
}

test_shares()
{
	for name in nice high idle batch bound; do
		near $name || return
	done
	near mixed 945 || return
	# none is lost by sleeping
	beside_eevdf sleeps || return
	paste -d ' ' "$TMP/share.eevdf.sleeps" "$TMP/share.land.sleeps" | tail -n 1 >"$TMP/share"
	read -r eevdf _ _ _ land _ <"$TMP/share"
	ktap_print_msg "a task that sleeps: $land per mille, under EEVDF $eevdf"
	[ "$land" -ge $((eevdf - 50)) ] || complain "that is less than under EEVDF"
}

# need_groups: cgroups to set weights and limits of
need_groups()
{
	[ -e $GROUPS_DIR/cgroup.controllers ] || mount -t cgroup2 cgroup2 $GROUPS_DIR || skip "no cgroup2 here" || return
	grep -qw cpu $GROUPS_DIR/cgroup.controllers || skip "no cpu controller in $GROUPS_DIR" || return
	echo +cpu >$GROUPS_DIR/cgroup.subtree_control || return
	for name in light heavy one seven limited; do
		mkdir -p $GROUPS_DIR/upliftl-$name || return
	done
	echo +cpu >$GROUPS_DIR/upliftl-seven/cgroup.subtree_control && mkdir -p $GROUPS_DIR/upliftl-seven/in || return
	echo 10 >$GROUPS_DIR/upliftl-light/cpu.weight
	echo 1000 >$GROUPS_DIR/upliftl-heavy/cpu.weight
}

in_group()
{
	echo "group=$GROUPS_DIR/upliftl-$1"
}

test_groups()
{
	need_groups || return
	near weights && near nested 500 || return
	# weights that change while the scheduler is loaded
	echo 100 >$GROUPS_DIR/upliftl-light/cpu.weight
	echo 100 >$GROUPS_DIR/upliftl-heavy/cpu.weight
	share land weights || return
	read -r share _ <"$TMP/share.land.weights"
	if [ "$share" -lt 450 ] || [ "$share" -gt 550 ]; then
		complain "of two cgroups that now weigh the same one got $share per mille"
	fi
}

# Two tasks of a cgroup that may run for a tenth of the time.
test_limits()
{
	[ "${REPEATABLE:-0}" = 1 ] || skip "where the clock counts instructions only" || return
	need_groups && need_daemon || return
	echo "10000 100000" >$GROUPS_DIR/upliftl-limited/cpu.max
	share land limited || return
	read -r _ ran _ <"$TMP/share.land.limited"
	ktap_print_msg "of 100 ms, two tasks of a limited cgroup ran $((ran / 1000)) ms"
	[ "$ran" -ge 90000 ] && [ "$ran" -le 110000 ] || complain "they ran $ran us of 100000" || return
	is_state enabled || complain "it ended: $(tail -n 1 "$TMP/said")" || return
	echo "max 100000" >$GROUPS_DIR/upliftl-limited/cpu.max
	share land limited || return
	read -r _ ran _ <"$TMP/share.land.limited"
	[ "$ran" -ge 900000 ] || complain "without a limit they ran $ran us of 1000000"
}

# Tasks that are bound, that may run on part of a cache, and that are free: how long they wait.
test_masked()
{
	[ "$CPUS" -gt 3 ] || skip "fewer than four CPUs" || return
	beside_eevdf masked || return
	eevdf=$(sort -rnk 3 "$TMP/share.eevdf.masked" | awk '{ print $3; exit }')
	land=$(sort -rnk 3 "$TMP/share.land.masked" | awk '{ print $3; exit }')
	ktap_print_msg "the longest wait was $((land / 1000)) ms, under EEVDF $((eevdf / 1000)) ms"
	[ "$land" -le $((2 * eevdf)) ] || complain "that is more than twice EEVDF's"
}

# need_ksmd: a kernel thread that has something to do all the time, bound to the second CPU
need_ksmd()
{
	[ -w $KSM_DIR/run ] || skip "this kernel has no ksmd (CONFIG_KSM)" || return
	[ "$CPUS" -gt 1 ] || skip "one CPU only" || return
	KSMD=$(pidof ksmd) && ALL=$(taskset -p "$KSMD" | sed 's/.*: //') || return
	KSM=$(cat $KSM_DIR/sleep_millisecs)
	renice -n 0 "$KSMD" >/dev/null
	echo 0 >$KSM_DIR/sleep_millisecs
	echo 1 >$KSM_DIR/run
	taskset -p 2 "$KSMD" >/dev/null
}

rest_ksmd()
{
	[ -n "$KSM" ] || return 0
	echo 2 >$KSM_DIR/run
	echo "$KSM" >$KSM_DIR/sleep_millisecs
	taskset -p "$ALL" "$KSMD" >/dev/null
	KSM=
}

# Bound to a CPU it shares it with a task; if it is not, it leaves it to the task.
test_kernel_threads()
{
	[ "${REPEATABLE:-0}" = 1 ] || skip "where the clock counts instructions only" || return
	[ -s "$TMP/share.eevdf.nice" ] || all_under_eevdf || return
	need_ksmd && beside_eevdf ksmd || return
	read -r _ eevdf _ <"$TMP/share.eevdf.ksmd"
	read -r _ land longest _ <"$TMP/share.land.ksmd"
	ktap_print_msg "beside ksmd a task on its CPU ran $((land / 1000)) ms, under EEVDF $((eevdf / 1000)); it waited $((longest / 1000)) ms"
	[ $((land - eevdf)) -le $((MS * 100)) ] && [ $((eevdf - land)) -le $((MS * 100)) ] || complain "of $((MS * 2)) ms" || return
	taskset -p "$ALL" "$KSMD" >/dev/null
	share land ksmd || return
	read -r _ land _ <"$TMP/share.land.ksmd"
	ktap_print_msg "ksmd free to go: the task ran $((land / 1000)) of $((MS * 2)) ms"
	[ "$land" -ge $((MS * 1800)) ] || complain "ksmd stays where the task runs, with CPUs idle" || return
	rest_ksmd
}

while_stopped()
{
	kill -STOP "$DAEMON"
	"$@"
	ret=$?
	kill -CONT "$DAEMON"
	return $ret
}

# More tasks at once than the rings hold: the BPF part queues those that do not fit in the ring to the daemon, and the
# daemon keeps those that do not fit in the ring back.
test_full_ring()
{
	[ "$(grep -c ^processor /proc/cpuinfo)" -gt 1 ] || skip "one CPU only: no task goes up" || return
	[ -z "$DAEMON" ] || end || return
	run uplift_land --status "$TMP/status" --stall-ms 30000 --ring-kb 4 || return
	STALL=30000
	# a daemon that keeps up never has a full ring; while it is stopped tasks pile up
	for load in "busy_with messages:2x60" "busy_with storm:$STORM" "while_stopped busy_with messages:2x60"; do
		$load || return
		is_state enabled || complain "$load: it ended: $(tail -n 1 "$TMP/said")" || return
		# a wakeup between two reads of the clock once counted as 25 days late
		max=$(value max)
		[ "${max:-0}" -lt 600000000000 ] || complain "$load: a task waited $max ns" || return
	done
	end || return
	ktap_print_msg "$(grep -o '"passed_up": [0-9]*' "$TMP/status"), $(grep -o '"no_room": [0-9]*' "$TMP/status")"
	grep -q '"no_room": [1-9]' "$TMP/status" || complain "the ring was never full"
}

# A task that was put into another CPU's queue before its own CPU had switched away from it ended the scheduler: "cannot
# move migration disabled".
test_switching()
{
	[ "$(grep -c ^processor /proc/cpuinfo)" -gt 1 ] || skip "one CPU only: there is no other" || return
	[ -z "$DAEMON" ] || end || return
	run uplift_land --status "$TMP/status" --stall-ms 30000 --linger-us 1000 --slice-us 100 || return
	STALL=30000
	for load in "busy_with messages:2x60" "busy_with groups:2" "busy_with 3x4p" "busy_with storm:$STORM"; do
		$load || return
		is_state enabled || complain "$load: it ended: $(tail -n 1 "$TMP/said")" || return
	done
	end
}

# The guest's clock, in hundredths of a second.
milliseconds()
{
	read -r uptime _ </proc/uptime
	echo $((${uptime%.*} * 1000 + 1${uptime#*.} * 10 - 1000))
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
	# a task bound to the CPU that goes offline: the kernel then lets it run elsewhere
	taskset "$(printf %x $((1 << TAKEN)))" sh -c 'while :; do :; done' &
	BOUND=$!
	sleep 0.2
	ret=0
	longest=0
	for round in $(seq $((HOTPLUG / 2))); do
		before=$(milliseconds)
		echo 0 >$CPU/cpu"$TAKEN"/online || ret=1
		took=$(($(milliseconds) - before))
		[ $took -le $longest ] || longest=$took
		sleep 0.1
		echo 1 >$CPU/cpu"$TAKEN"/online || ret=1
		sleep 0.1
		is_state enabled || { complain "round $round: it ended: $(tail -n 1 "$TMP/said")"; ret=1; }
		[ $ret = 0 ] || break
	done
	kill $LOAD $BOUND
	wait $LOAD $BOUND 2>/dev/null
	LOAD=
	BOUND=
	TAKEN=
	[ $ret = 0 ] || return
	ktap_print_msg "a CPU was offline after $longest ms at most"
	[ "${REPEATABLE:-0}" != 1 ] || [ $longest -le "$OFFLINE_MS" ] || complain "that is more than $OFFLINE_MS ms"
}

restarted()
{
	[ "$(cat $SCX/enable_seq)" -gt "$1" ] && is_state enabled
}

# A CPU whose caches were not known at the start comes online: the scheduler restarts to learn them.
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

# verifying: its maps are there, which are made before the kernel verifies its programs
verifying()
{
	case $(ls -l "/proc/$DAEMON/fd" 2>/dev/null) in
	*bpf-map*)	is_state disabled ;;
	*)		! kill -0 "$DAEMON" 2>/dev/null ;;
	esac
}

# A CPU that comes online after the caches were read, while the BPF part is still being verified: it is not missed.
test_hotplug_loading()
{
	last_cpu || return
	[ -z "$DAEMON" ] || end || return
	echo 0 >$CPU/cpu"$TAKEN"/online || return
	rm -f "$TMP/status"
	STALL=30000
	"$SCHED/uplift_land" --status "$TMP/status" --stall-ms $STALL >"$TMP/said" 2>&1 &
	DAEMON=$!
	loop_until 100 verifying
	ret=$?
	echo 1 >$CPU/cpu"$TAKEN"/online || return
	[ $ret = 0 ] || skip "it was loaded before a CPU could come" || return
	loop_until 600 grep -q "[^0-9]${TAKEN}[],]" "$TMP/status" 2>/dev/null ||
		complain "CPU $TAKEN is in no domain: $(cat "$TMP/said" "$TMP/status")" || return
	TAKEN=
	is_state enabled || complain "the state is $(state)"
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
	# with a CPU offline, where one can be
	! last_cpu >/dev/null || echo 0 >"$CPU/cpu$TAKEN/online" || TAKEN=
	kill -9 "$DAEMON"
	ended 137
	ret=$?
	[ -z "$TAKEN" ] || echo 1 >"$CPU/cpu$TAKEN/online" || ret=1
	TAKEN=
	work 2x2 || ret=1
	idle
	[ $ret = 0 ] || return
	# it leaves nothing that keeps another scheduler from loading, as the next test does
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
		refused 1 "another scheduler is loaded: $example" "$SCHED/uplift_land" || return
		busy_with "2x$cpus" || return
		is_state enabled || complain "$example ended: $(tail -n 1 "$TMP/said")" || return
		end || return
		ktap_print_msg "$example: $(tail -n 1 "$TMP/said")"
	done
}

test_unloaded()
{
	[ -z "$DAEMON" ] || end || return
	is_state disabled || complain "the state is $(state)" || return
	busy_with 2x2
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
