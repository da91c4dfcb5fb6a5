#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What may not happen while a body takes the place of one of the kernel's functions,
# each brought about: a second object beside the kernel's, a callback that comes
# back after the module has gone, a probe or a live patch that is without effect and
# nobody told. With modules that the lab makes of small edits of the kernel's source
# (scripts/upliftlib/lab/safetytries.py), and a live patch of its own
# (fixtures/testpatch). Needs root.
#
# usage: safety.sh
#
# Environment:
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=safety_plain
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "safety.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"
# shellcheck disable=SC2034 # printed by run_tests
FORM=safety

TESTS="load names one_object callback helper_probe helper_livepatch patch_before patch_after"
TESTS="$TESTS copy_patch_before copy_patch_after probe_inside other_kernel module_function other_module unloaded kernel_log"

PATCH=uplift_testpatch
TRACING=/sys/kernel/tracing

# use NAME: the module that the tests below look at
use()
{
	[ "$CHANGE" != "$1" ] || return 0
	echo off 2>/dev/null >"$UPLIFT/arm"
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays" || return
	CHANGE=$1
	MODULE=uplift_$1
	UPLIFT=$DEBUG/uplift/$1
	CHANGE_KO=$(find_ko "$MODULE")
	WHY_NOT=unknown
}

# arms COMMAND...: in each arm and again in off
in_each_arm()
{
	for arm in off null new off; do
		into_arm $arm || return
		"$@" || complain "in the arm $arm" || return
	done
}

# nap: one call of the functions that the edits are in, and of their helper
nap()
{
	usleep 1000
}

# --- the live patch ---

# patch FUNCTION: a live patch of it; leaves the errno's name in $TMP/errno
patch()
{
	load "$(find_ko $PATCH)" "function=$1" || return
	# the kernel marks itself as live-patched, also where it refuses the patch
	loop_until 300 patch_settled
}

patch_settled()
{
	[ "$(cat /sys/kernel/livepatch/$PATCH/transition)" = 0 ]
}

unpatch()
{
	is_loaded $PATCH || return 0
	[ ! -e /sys/kernel/livepatch/$PATCH/enabled ] || echo 0 >/sys/kernel/livepatch/$PATCH/enabled
	loop_until 300 rmmod $PATCH 2>/dev/null || complain "$PATCH stays"
}

need_patch()
{
	[ -n "$(find_ko $PATCH)" ] || skip "no $PATCH.ko here" || return
	[ -d /sys/kernel/livepatch ] || skip "a kernel without livepatch"
}

hits()
{
	cat /sys/module/$PATCH/parameters/hits
}

naps_are_hit()
{
	before=$(hits)
	nap
	[ "$(hits)" -gt "$before" ] || complain "the live patch is without effect"
}

# --- probes ---

PROBED=

# probe WHERE: a kprobe of that name or place
probe()
{
	echo "p:uplift_safety $1" 2>"$TMP/error" >>$TRACING/kprobe_events || complain "kprobe at $1: $(cat "$TMP/error")" || return
	PROBED=1
	echo 1 >$TRACING/events/kprobes/uplift_safety/enable
}

unprobe()
{
	[ -n "$PROBED" ] || return 0
	echo 0 >$TRACING/events/kprobes/uplift_safety/enable
	echo "-:uplift_safety" >>$TRACING/kprobe_events
	PROBED=
}

probe_hits()
{
	awk '$1 == "uplift_safety" { print $2 }' $TRACING/kprobe_profile
}

naps_are_probed()
{
	before=$(probe_hits)
	nap
	[ "$(probe_hits)" -gt "$before" ] || complain "the probe is without effect"
}

cleanup_more()
{
	[ -z "${SLEEPER:-}" ] || kill -9 "$SLEEPER" 2>/dev/null
	unprobe
	unpatch
}

after_failure()
{
	cleanup_more >/dev/null 2>&1
}

# --- tests ---

# A name that one of our modules shares with the kernel could no longer be probed.
test_names()
{
	loaded=
	ret=0
	for name in $(all_changes) safety_inline; do
		of_change "$name"
		[ -z "$CHANGE_KO" ] || ! load_change 2>/dev/null || loaded="$loaded $name"
	done
	use safety_plain
	need_module || return
	awk '$3 ~ /^(__pfx_|init_module$|cleanup_module$)/ || $2 !~ /^[tTwW]$/ { next }
		$4 ~ /^\[uplift/ { ours[$3] = $4; next }
		{ theirs[$3] = 1 }
		END { for (name in ours) { count++; if (name in theirs) print ours[name], name }
		      print count > "/dev/stderr" }' /proc/kallsyms >"$TMP/names" 2>"$TMP/count"
	ktap_print_msg "$(cat "$TMP/count") functions of ours in:$loaded safety_plain"
	[ "$(cat "$TMP/count")" -gt 100 ] || complain "their symbols cannot be read" || ret=1
	[ ! -s "$TMP/names" ] || complain "names that the kernel has, too: $(tr '\n' ' ' <"$TMP/names")" || ret=1
	for name in $loaded; do
		of_change "$name"
		unload_change || ret=1
	done
	CHANGE=none
	use safety_plain
	return $ret
}

# get_next_ino() has a static local, from which each CPU takes 1024 numbers at a time.
test_one_object()
{
	use safety_plain || return
	need_module || return
	: >"$TMP/inos"
	in_each_arm some_inos || return
	ktap_print_msg "$(wc -l <"$TMP/inos") inode numbers"
	[ -z "$(sort "$TMP/inos" | uniq -d | head -n 1)" ] || complain "numbers that were given twice: two counters"
}

some_inos()
{
	calls=$(stat_of "calls_$arm")
	"$DIR/ino_seen" 1500 >>"$TMP/inos" || return
	[ "$arm" = off ] || [ "$(stat_of "calls_$arm")" -ge $((calls + 1500)) ] || complain "not by way of the body"
}

# A sleeper that is stopped and goes on is called back at an address that the body has left in its restart block.
test_callback()
{
	use safety_plain || return
	for arm in null new; do
		into_arm $arm || return
		calls=$(stat_of "calls_$arm")
		sleep 2 &
		SLEEPER=$!
		loop_until 100 sleeps $SLEEPER || complain "no sleeper" || return
		[ "$(stat_of "calls_$arm")" -gt "$calls" ] || complain "not by way of the body" || return
		kill -STOP $SLEEPER
		loop_until 100 is_stopped $SLEEPER || complain "the sleeper does not stop" || return
		echo off >"$UPLIFT/arm" || return
		loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays" || return
		kill -CONT $SLEEPER
		wait $SLEEPER || complain "the sleeper ended with $?" || return
		SLEEPER=
	done
}

state_of()
{
	sed 's/.*) //; s/ .*//' "/proc/$1/stat"
}

sleeps()
{
	[ "$(state_of "$1")" = S ]
}

is_stopped()
{
	[ "$(state_of "$1")" = T ]
}

test_helper_probe()
{
	use safety_plain || return
	need_module || return
	[ -w $TRACING/kprobe_events ] || skip "no kprobe events" || return
	probe do_nanosleep || return
	in_each_arm naps_are_probed || return
	unprobe
}

test_helper_livepatch()
{
	use safety_plain || return
	need_patch || return
	need_module || return
	patch do_nanosleep || complain "$PATCH: $(cat "$TMP/errno")" || return
	in_each_arm naps_are_hit || return
	unpatch
}

# refuses_arm ARM WORDS: EBUSY, a line with the words, and the arm stays off
refuses_arm()
{
	log_line "uplift selftest $$ arm $1 $CHANGE $2"
	! "$DIR/module_call" write "$UPLIFT/arm" "$1" >"$TMP/errno" || complain "the arm $1 is switched to" || return
	[ "$(cat "$TMP/errno")" = EBUSY ] || complain "$(cat "$TMP/errno"), not EBUSY" || return
	log_line "uplift selftest $$ refused $1 $CHANGE $2"
	log_since "uplift selftest $$ arm $1 $CHANGE $2" | grep -q "$2" || complain "the log does not say '$2'" || return
	[ "$(cat "$UPLIFT/arm")" = off ] || complain "the arm is $(cat "$UPLIFT/arm")"
}

test_patch_before()
{
	use safety_plain || return
	need_patch || return
	into_arm off
	patch hrtimer_nanosleep || complain "$PATCH: $(cat "$TMP/errno")" || return
	naps_are_hit || return
	refuses_arm null "hrtimer_nanosleep: hooked already: live patch $PATCH" || return
	unpatch || return
	into_arm null
}

# The kernel lets one of the two have the function, and says so to who comes later.
test_patch_after()
{
	use safety_plain || return
	need_patch || return
	into_arm new || return
	! patch hrtimer_nanosleep || complain "the function has two owners" || return
	[ "$(cat "$TMP/errno")" = EBUSY ] || complain "$PATCH: $(cat "$TMP/errno"), not EBUSY" || return
	stat_of state | grep -q '^live' || complain "state: $(stat_of state)" || return
	calls=$(stat_of calls_new)
	nap
	[ "$(stat_of calls_new)" -gt "$calls" ] || complain "the arm is without effect"
}

test_copy_patch_before()
{
	use safety_inline || return
	need_patch || return
	into_arm off
	need_module || return
	patch do_nanosleep || complain "$PATCH: $(cat "$TMP/errno")" || return
	refuses_arm new "do_nanosleep, of which the bodies have a copy: live patch $PATCH" || return
	# null calls it, as the kernel does
	into_arm null || return
	naps_are_hit || return
	[ -z "$(stat_of bypassed)" ] || complain "bypassed in null: $(stat_of bypassed)" || return
	into_arm off
	unpatch
}

test_copy_patch_after()
{
	use safety_inline || return
	need_patch || return
	into_arm new || return
	log_line "uplift selftest $$ patch comes"
	patch do_nanosleep || complain "$PATCH: $(cat "$TMP/errno")" || return
	log_line "uplift selftest $$ patch came"
	log_since "uplift selftest $$ patch comes" |
		grep -q "without effect while the arm new is on: do_nanosleep, .*: live patch $PATCH" ||
		complain "the log does not tell" || return
	stat_of bypassed | grep -qx "do_nanosleep, live patch $PATCH" || complain "bypassed: $(stat_of bypassed)" || return
	into_arm off
	naps_are_hit || return
	[ -z "$(stat_of bypassed)" ] || complain "bypassed in off: $(stat_of bypassed)" || return
	unpatch
}

# In the middle of a function that is redirected: it is hit in off only.
test_probe_inside()
{
	use safety_plain || return
	[ -w $TRACING/kprobe_events ] || skip "no kprobe events" || return
	into_arm off
	need_module || return
	probe hrtimer_nanosleep+9 || probe hrtimer_nanosleep+5 || return
	naps_are_probed || return
	[ -z "$(stat_of bypassed)" ] || complain "bypassed in off: $(stat_of bypassed)" || return
	into_arm null || return
	stat_of bypassed | grep -q '^hrtimer_nanosleep, kprobe at hrtimer_nanosleep+0x[59]/' ||
		complain "bypassed: $(stat_of bypassed)" || return
	before=$(probe_hits)
	nap
	[ "$(probe_hits)" = "$before" ] || complain "it is hit, and said to be bypassed" || return
	into_arm off
	unprobe
}

# A module whose note of the kernel's build id is another's.
test_other_kernel()
{
	use safety_plain || return
	ensure_unloaded
	ensure_core || return
	other=$(find_ko uplift_safety_other)
	[ -n "$other" ] || skip "no uplift_safety_other.ko" || return
	log_line "uplift selftest $$ other kernel"
	refused ENOEXEC "$other" || return
	log_line "uplift selftest $$ not loaded"
	log_since "uplift selftest $$ other kernel" | grep -q "made for another kernel, with build id" ||
		complain "the log does not say why"
}

# A module is not unloaded while there are bodies for its functions.
test_module_function()
{
	use safety_module || return
	! is_loaded brd || rmmod brd || return
	ensure_core || return
	refused ENOENT "$CHANGE_KO" || return
	modprobe brd rd_nr=1 rd_size=1024 || skip "no brd here" || return
	for arm in null new; do
		into_arm $arm || return
		calls=$(stat_of "calls_$arm")
		dd if=/dev/ram0 of=/dev/null bs=4k count=8 iflag=direct 2>/dev/null || dd if=/dev/ram0 of=/dev/null bs=4k count=8 2>/dev/null
		[ "$(stat_of "calls_$arm")" -gt "$calls" ] || complain "no call in $arm" || return
		! rmmod brd 2>/dev/null || complain "brd is gone, and its bodies are there" || return
	done
	into_arm off
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays" || return
	rmmod brd || complain "brd is still held"
}

# A module of the kernel's that is another build.
test_other_module()
{
	use safety_module || return
	ensure_core || return
	other=$(find_ko uplift_safety_stranger)
	[ -n "$other" ] || skip "no uplift_safety_stranger.ko" || return
	is_loaded brd || modprobe brd rd_nr=1 rd_size=1024 || skip "no brd here" || return
	log_line "uplift selftest $$ other module"
	refused ENOEXEC "$other" || return
	log_line "uplift selftest $$ not loaded either"
	log_since "uplift selftest $$ other module" | grep -q "made for another module brd, with build id" ||
		complain "the log does not say why" || return
	rmmod brd || complain "brd is still held"
}

test_unloaded()
{
	use safety_plain || return
	need_module || return
	unload_change && unload_core
}

begin
[ -n "$CHANGE_KO" ] || skip_all "no uplift_safety_plain.ko: uplift lab selftests makes it, for one kernel"
run_tests
