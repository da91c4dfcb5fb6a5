#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_llc.ko on the running kernel: its domains are those of sysfs, lscpu
# and the scheduler, also right after CPU hotplug; only root reads its files;
# processes may start and exit while they are listed; and it can be unloaded at any
# time. Needs root; takes CPUs offline and puts them back.
#
# usage: llc.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   HOTPLUG        CPU hotplug operations under load (short 12; long 200)
#   PROCESSES      that are listed at a time (short 100; long 600)
#   SWITCHES       of tracking (short 30; long 1000)
#   DISAGREE       none or some: disagreements that this machine has (not known)
#   DOMAINS        how many domains it has (not known)
#   UPLIFT_KO_DIR  where uplift.ko and uplift_llc.ko are (see find_ko)
#   PARAMETERS     for uplift_llc.ko
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Compares with lscpu if there is one. Exit: 0 pass, 1 fail, 2 usage, 4 skip.
# Output is KTAP.

CHANGE=llc
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "llc.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${HOTPLUG:=12}" "${PROCESSES:=100}" "${SWITCHES:=30}"; STORM=0.5; LOADS="1x2 1x2p" ;;
long)	: "${HOTPLUG:=200}" "${PROCESSES:=600}" "${SWITCHES:=1000}"; STORM=10; LOADS="2x3 2x2p" ;;
*)	echo "usage: llc.sh [short|long]" >&2; exit 2 ;;
esac

CPU=/sys/devices/system/cpu
GROUP=/sys/fs/cgroup
TESTS="load load_twice domains lscpu hotplug smt_off one_cpu partition processes table_full parameters tracked"
TESTS="$TESTS parts tracking_is_free unload_held_open unload_while_read unload_while_tracking unload_while_asked"
TESTS="$TESTS unloaded kernel_log"

field()
{
	sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" "$2" | head -n 1
}

cleanup_more()
{
	[ -z "$READER" ] || kill "$READER" 2>/dev/null
	[ -z "$LOAD" ] || kill "$LOAD" 2>/dev/null
	[ -z "$PARTITION" ] || remove_partition
	[ -z "$OLD_SMT" ] || echo "$OLD_SMT" >$CPU/smt/control 2>/dev/null
	for cpu in $TAKEN; do
		echo 1 >$CPU/cpu"$cpu"/online 2>/dev/null
	done
}
READER=; LOAD=; PARTITION=; OLD_SMT=; TAKEN=

test_load()
{
	need_module || return
	verdict=$(head -n 1 "$UPLIFT/verdict")
	ktap_print_msg "verdict: $verdict"
	case $verdict in
	native)	grep -q . "$UPLIFT/cas" || complain "native, and cas says nothing" || return ;;
	applicable) ;;
	*)	complain "neither applicable nor native" || return ;;
	esac
	log_line "uplift selftest $$ loaded"
	lines=$(log_since "uplift selftest $$ load" | grep -c "^uplift_llc: ")
	[ "$lines" = 1 ] || complain "$lines lines in the log, one was expected" || return
	[ "$(cat "$UPLIFT/track")" = 0 ] || complain "tracking is on after loading" || return
	tainted_by_us
}

test_load_twice()
{
	need_module || return
	refused EEXIST "$CHANGE_KO" || return
	! rmmod uplift 2>/dev/null || complain "uplift.ko went while uplift_llc.ko uses it" || return
	nested "$DIR/llc_domains"
}

test_domains()
{
	need_module || return
	nested "$DIR/llc_domains" ${DISAGREE:+-d "$DISAGREE"} || return
	found=$(grep -c '^[0-9]' "$UPLIFT/domains")
	ktap_print_msg "$found domains"
	[ "${DOMAINS:-$found}" = "$found" ] || complain "this machine has $DOMAINS"
}

# lscpu lists caches by CPU (-p) and by level (-C). It adds caches of a level up by id: where ids are wrong the sum is,
# too, and the module has to say so.
test_lscpu()
{
	need_module || return
	lscpu=$(command -v lscpu || ls /usr/bin/lscpu 2>/dev/null)
	[ -n "$lscpu" ] || skip "no lscpu here" || return
	$lscpu -B -C=LEVEL,ONE-SIZE,ALL-SIZE,WAYS,COHERENCY-SIZE | awk 'NR > 1 && $1 >= top { top = $1; line = $0 }
		END { print line }' >"$TMP/lscpu"
	read -r level one all ways line <"$TMP/lscpu"
	grep -q '"size_kib": '$((one / 1024))',' "$UPLIFT/domains.json" ||
		complain "lscpu has caches of $((one / 1024)) KiB" || return
	grep -q "\"level\": $level,.*\"ways\": $ways, \"line\": $line," "$UPLIFT/domains.json" ||
		complain "lscpu has level $level, $ways ways, lines of $line" || return
	count=$(grep -c '^[0-9]' "$UPLIFT/domains")
	if [ $((all / one)) != "$count" ]; then
		grep -q "cacheinfo ids differ within one mask" "$UPLIFT/domains" ||
			complain "lscpu counts $((all / one)) caches, there are $count domains, and none disagrees" ||
			return
		ktap_print_msg "lscpu counts $((all / one)) caches, by their ids; the module says that these are wrong"
	fi
	# for each pair of CPUs: do they share a cache? names do not matter
	$lscpu -p=CPU,CACHE | sed -n 's/^\([0-9]*\),.*:\([^:]*\)$/\1 \2/p' >"$TMP/shared"
	awk 'NR == FNR { a[$1] = $2; next }
		{ b[$1] = $2 }
		END { for (i in a) for (j in a) if ((a[i] == a[j]) != (b[i] == b[j])) { print i, j; exit 1 } }' \
		"$TMP/shared" "$UPLIFT/cpus" >"$TMP/differ" ||
		complain "lscpu has it otherwise for CPUs $(cat "$TMP/differ")"
}

# PREEMPT_RT refuses tracking, see refusals.sh; on all other kernels it has to work.
need_tracking()
{
	need_module || return
	! is_realtime || skip "no tracking on PREEMPT_RT"
}

# With tracking on, so that CPUs come and go under its hooks.
test_hotplug()
{
	need_module || return
	is_realtime || echo 1 >"$UPLIFT/track" || return
	nested "$DIR/llc_domains" -n "$HOTPLUG"
	ret=$?
	echo 0 >"$UPLIFT/track" || return
	return $ret
}

test_smt_off()
{
	need_module || return
	[ "$(cat $CPU/smt/active 2>/dev/null)" = 1 ] || skip "no SMT here" || return
	grep -q '"smt": true' "$UPLIFT/domains.json" || complain "domains.json does not say SMT" || return
	OLD_SMT=$(cat $CPU/smt/control)
	echo off >$CPU/smt/control || complain "SMT cannot be turned off" || return
	nested "$DIR/llc_domains"
	ret=$?
	grep -q '"smt": false' "$UPLIFT/domains.json" || ret=1
	echo "$OLD_SMT" >$CPU/smt/control
	OLD_SMT=
	[ $ret = 0 ] || complain "wrong with SMT off" || return
	nested "$DIR/llc_domains"
}

# The fewest CPUs that a machine can have.
test_one_cpu()
{
	need_module || return
	ret=0
	for path in "$CPU"/cpu[1-9]*/online; do
		[ -e "$path" ] || skip "no CPU can go offline here" || return
		[ "$(cat "$path")" = 1 ] || continue
		cpu=${path#"$CPU"/cpu}
		cpu=${cpu%/online}
		TAKEN="$TAKEN $cpu"
		echo 0 >"$path" || ret=1
	done
	[ $ret = 0 ] || complain "a CPU does not go offline" || return
	nested "$DIR/llc_domains" || ret=1
	[ "$(grep -c '^[0-9]' "$UPLIFT/domains")" = 1 ] || ret=1
	for cpu in $TAKEN; do
		echo 1 >$CPU/cpu"$cpu"/online || ret=1
	done
	TAKEN=
	[ $ret = 0 ] || complain "wrong with one CPU" || return
	nested "$DIR/llc_domains" ${DISAGREE:+-d "$DISAGREE"}
}

remove_partition()
{
	rmdir "$PARTITION" 2>/dev/null
	[ -z "$OUR_GROUPS" ] || umount $GROUP 2>/dev/null
	PARTITION=
}

# The scheduler's domains end at the border of a partition, those of the hardware do not: the files have to show it.
test_partition()
{
	need_module || return
	OUR_GROUPS=
	if [ ! -e $GROUP/cgroup.controllers ]; then
		mount -t cgroup2 cgroup2 $GROUP 2>/dev/null || skip "no cgroup2" || return
		OUR_GROUPS=1
	fi
	PARTITION=$GROUP/uplift-llc-test
	grep -qw cpuset $GROUP/cgroup.controllers && echo +cpuset 2>/dev/null >$GROUP/cgroup.subtree_control &&
		mkdir -p "$PARTITION" ||
		{ remove_partition; skip "no cpuset controller"; } || return
	mask=$(awk 'NR > 1 && $2 ~ /[-,]/ { print $2; exit }' "$UPLIFT/domains")
	[ -n "$mask" ] || { remove_partition; skip "no domain of several CPUs"; } || return
	# its last CPU, as CPU 0 should stay in the root group
	one=${mask##*[-,]}
	before=$(grep '^disagreement: ' "$UPLIFT/domains")
	echo "$one" >"$PARTITION/cpuset.cpus" && echo root >"$PARTITION/cpuset.cpus.partition"
	state=$(cat "$PARTITION/cpuset.cpus.partition")
	if [ "$state" != root ]; then
		remove_partition
		skip "no partition can be made: $state" || return
	fi
	nested "$DIR/llc_domains" -d some
	ret=$?
	with=$(grep '^disagreement: ' "$UPLIFT/domains")
	echo "$with" | sed 's/^/# /'
	# not the number of disagreements: a node may have split the domain before
	[ -n "$with" ] && [ "$with" != "$before" ] || ret=1
	echo member >"$PARTITION/cpuset.cpus.partition"
	remove_partition
	[ $ret = 0 ] || complain "CPU $one of $mask is a partition: not right, or not shown" || return
	nested "$DIR/llc_domains" ${DISAGREE:+-d "$DISAGREE"}
}

test_processes()
{
	need_tracking || return
	nested "$DIR/llc_storm" -p "$PROCESSES" -s $STORM -n "$SWITCHES"
}

test_table_full()
{
	need_tracking || return
	ensure_unloaded || return
	load "$CHANGE_KO" max_processes=8 || complain "max_processes=8: $(cat "$TMP/errno")" || return
	nested "$DIR/llc_storm" -f -p 40
	ret=$?
	rmmod "$MODULE" || return
	ensure_loaded || return
	return $ret
}

# Senseless values do no harm; a word that is no number is refused.
test_parameters()
{
	ensure_unloaded || return
	need_tracking || return
	rmmod "$MODULE" || return
	refused EINVAL "$CHANGE_KO" max_processes=many || return
	most=4294967295
	for words in "max_processes=0 llc_aggr_tolerance=0 llc_epoch_period=0 llc_epoch_affinity_timeout=0" \
		"max_processes=$most llc_aggr_tolerance=$most llc_epoch_period=$most llc_epoch_affinity_timeout=$most"; do
		# shellcheck disable=SC2086 # words
		load "$CHANGE_KO" $words || complain "$words: $(cat "$TMP/errno")" || return
		echo 1 >"$UPLIFT/track" || complain "$words: tracking is refused" || return
		"$DIR/llc_load" -t 200 1x2 >/dev/null || return
		for file in processes.json migrations.json cas; do
			cat "$UPLIFT/$file" >"$TMP/$file" || complain "$words: $file" || return
		done
		tail -n 1 "$TMP/processes.json" | grep -q '}$' || complain "$words: processes.json" || return
		rmmod "$MODULE" || return
	done
	ensure_loaded
}

# A running process of two threads is listed with its time, and the shares of its domains add up.
test_tracked()
{
	need_tracking || return
	echo 1 >"$UPLIFT/track" || return
	# until it has been seen, however slow the machine is
	"$DIR/llc_load" -t 600000 1x2 >/dev/null 2>&1 &
	LOAD=$!
	ret=1
	for round in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.2
		grep -A 4 '"comm": "1x2"' "$UPLIFT/processes.json" >"$TMP/row" 2>/dev/null || continue
		runtime=$(sed -n 's/.*"runtime_ns": \([0-9]*\).*/\1/p' "$TMP/row")
		sum=$(grep -o '"permille": [0-9]*' "$TMP/row" | awk '{ sum += $2 } END { print sum + 0 }')
		[ "${runtime:-0}" -gt 0 ] && [ "$sum" -ge 990 ] && [ "$sum" -le 1010 ] && ret=0 && break
	done
	kill $LOAD
	wait $LOAD 2>/dev/null
	LOAD=
	echo 0 >"$UPLIFT/track"
	[ $ret = 0 ] || complain "after $round rounds: $(cat "$TMP/row")"
}

# A cache across nodes: its parts are the nodes' CPUs, and a process that computes in two of them is shown in both.
test_parts()
{
	need_tracking || return
	grep -o '"part": "[0-9]*[a-z]*", "cpus": "[^"]*"' "$UPLIFT/domains.json" | cut -d '"' -f 8 >"$TMP/parts"
	[ "$(wc -l <"$TMP/parts")" -gt 1 ] || skip "the scheduler splits no domain" || return
	mask=0
	while read -r part; do
		grep -qx "$part" /sys/devices/system/node/node*/cpulist || complain "$part are no node's CPUs" || return
		mask=$((mask | 1 << ${part%%[-,]*}))
	done <"$TMP/parts"
	echo 1 >"$UPLIFT/track" || return
	taskset "$(printf %x $mask)" "$DIR/llc_load" -t 600000 1x2 >/dev/null 2>&1 &
	LOAD=$!
	ret=1
	for round in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.2
		grep -A 4 '"comm": "1x2"' "$UPLIFT/processes.json" >"$TMP/row" 2>/dev/null || continue
		grep -o '"part": "[0-9]*[a-z]*", "permille": [0-9]*' "$TMP/row" >"$TMP/shares"
		[ "$(awk '$NF >= 250' "$TMP/shares" | wc -l)" = 2 ] && ret=0 && break
	done
	kill $LOAD
	wait $LOAD 2>/dev/null
	LOAD=
	echo 0 >"$UPLIFT/track"
	[ $ret = 0 ] || complain "after $round rounds: $(cat "$TMP/row")" || return
	ktap_print_msg "$(tr '\n' ' ' <"$TMP/shares")"
}

# With tracking off nothing is attached to the kernel.
test_tracking_is_free()
{
	need_module || return
	echo 0 >"$UPLIFT/track" || return
	! grep -q uplift_llc $DEBUG/kprobes/list 2>/dev/null || complain "a probe is attached" || return
	[ "$(lsmod | awk '$1 == "uplift_llc" { print $3 }')" = 0 ] || complain "the module has a user"
}

test_unload_held_open()
{
	need_module || return
	exec 8<"$UPLIFT/processes.json" 9<"$UPLIFT/domains.json"
	dd bs=7 count=3 <&9 >"$TMP/begin" 2>/dev/null
	if rmmod "$MODULE" 2>/dev/null; then
		# then the files must be dead, not dangling
		! cat <&9 >/dev/null 2>&1 || complain "unloaded, and a file still answers" || return
		exec 8<&- 9<&-
		ensure_loaded
		return
	fi
	cat "$TMP/begin" - <&9 >"$TMP/whole" || complain "a file does not answer after a refused rmmod" || return
	tail -n 1 "$TMP/whole" | grep -q '}$' || complain "it is cut short" || return
	cat <&8 >/dev/null || complain "the other does not answer" || return
	exec 8<&- 9<&-
	rmmod "$MODULE" || complain "$MODULE stays after its files were closed" || return
	ensure_loaded
}

read_on()
{
	trap 'exit 0' TERM
	while :; do
		for file in processes processes.json domains migrations.json cpus; do
			cat "$UPLIFT/$file" >/dev/null
		done
	done 2>/dev/null
}

# Readers hold the module only while they read: it can go between two reads, and a read under way ends well.
test_unload_while_read()
{
	for round in 1 2 3; do
		need_module || return
		is_realtime || echo 1 >"$UPLIFT/track"
		read_on &
		READER=$!
		sleep 0.3
		ret=0
		loop_until 200 rmmod "$MODULE" 2>/dev/null || ret=1
		kill $READER
		wait $READER 2>/dev/null
		READER=
		[ $ret = 0 ] || complain "round $round: does not unload while it is read now and then" || return
	done
	ensure_loaded
}

# With the hook busy on every CPU.
test_unload_while_tracking()
{
	need_tracking || return
	# shellcheck disable=SC2086 # words
	"$DIR/llc_load" -t 600000 $LOADS >/dev/null 2>&1 &
	LOAD=$!
	ret=0
	for round in 1 2 3; do
		need_module || return
		echo 1 >"$UPLIFT/track" || ret=1
		sleep 0.1
		rmmod "$MODULE" || { complain "round $round: does not unload while tracking"; ret=1; break; }
	done
	kill $LOAD
	wait $LOAD 2>/dev/null
	LOAD=
	[ $ret = 0 ] || return 1
	ensure_loaded
}

# asleep NAME COUNT: there are so many threads of that name, and all of them sleep
asleep()
{
	cat /proc/[0-9]*/task/*/stat 2>/dev/null | sed -n "s/.* ($1) \(.\) .*/\1/p" >"$TMP/states"
	[ "$(grep -c S "$TMP/states")" = "$2" ] && ! grep -qv S "$TMP/states"
}

# Threads that a tick finds in a system call are asked to compare when that returns, here after a long sleep: they come
# back to user space, or exit, when the module is gone.
test_unload_while_asked()
{
	for round in 1 2 3; do
		need_tracking || return
		echo 1 >"$UPLIFT/track" || return
		"$DIR/llc_load" -t 600000 2x4s >/dev/null 2>&1 &
		LOAD=$!
		ret=0
		loop_until 300 asleep 2x4s 8 || ret=1
		[ $ret = 1 ] || rmmod "$MODULE" || ret=2
		kill $LOAD
		wait $LOAD 2>/dev/null
		LOAD=
		case $ret in
		1) complain "round $round: no 8 threads that sleep: $(tr '\n' ' ' <"$TMP/states")" || return ;;
		2) complain "round $round: does not unload while a thread that was asked sleeps" || return ;;
		esac
		loop_until 100 asleep 2x4s 0
	done
	ensure_loaded
}

test_unloaded()
{
	need_module || return
	ensure_unloaded || complain "$MODULE stays" || return
	! is_loaded uplift || rmmod uplift || complain "uplift stays" || return
	[ ! -e "$DEBUG/uplift" ] || complain "$DEBUG/uplift stays"
}

begin
run_tests
