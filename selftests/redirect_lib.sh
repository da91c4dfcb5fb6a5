# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the scripts of one change each share, beside lib.sh; sourced with CHANGE
# and DIR set. Loads uplift.ko and uplift_CHANGE.ko, goes through the arms, and
# leaves everything as it was. Without these modules there is the arm "off", the
# kernel as it stands, and tests of the others are skipped.

# shellcheck source=selftests/lib.sh
. "$DIR/lib.sh"

UPLIFT=$DEBUG/uplift/$CHANGE
MODULE=uplift_$CHANGE

stat_of()
{
	sed -n "s/^$1: *//p" "$UPLIFT/stats"
}

# Why there is no arm but off here, or nothing: asked once, by loading.
WHY_NOT=unknown

ensure_loaded()
{
	[ -z "$WHY_NOT" ] || [ "$WHY_NOT" = unknown ] || return "$KSFT_SKIP"
	! is_loaded "$MODULE" || return 0
	if [ -z "$CORE_KO" ] || [ -z "$CHANGE_KO" ]; then
		WHY_NOT="no uplift.ko and $MODULE.ko: make modules, or set UPLIFT_KO_DIR"
		return "$KSFT_SKIP"
	fi
	ensure_core || return
	case $PARAMETERS in
	*method=livepatch*) ensure_livepatch || return ;;
	esac
	log_line "uplift selftest $$ load"
	# shellcheck disable=SC2086 # empty or words
	if load "$CHANGE_KO" $PARAMETERS; then
		WHY_NOT=
		return 0
	fi
	errno=$(cat "$TMP/errno")
	log_line "uplift selftest $$ not loaded"
	log_since "uplift selftest $$ load" | sed -n "s/^$MODULE: //p" >"$TMP/lines"
	case $errno in
	EEXIST|EBUSY|ENODEV|EOPNOTSUPP)
		WHY_NOT="$MODULE refuses with $errno: $(head -n 1 "$TMP/lines")"
		[ "$(wc -l <"$TMP/lines")" = 1 ] || complain "not one line in the log says why: $errno" || return
		return "$KSFT_SKIP" ;;
	esac
	complain "$MODULE.ko does not load: $errno: $(head -n 1 "$TMP/lines")"
}

ensure_livepatch()
{
	! is_loaded uplift_livepatch || return 0
	[ -n "$LIVEPATCH_KO" ] || skip "no uplift_livepatch.ko beside uplift.ko" || return
	[ -d /sys/kernel/livepatch ] || skip "this kernel has no livepatch" || return
	load "$LIVEPATCH_KO" || complain "uplift_livepatch.ko: $(cat "$TMP/errno")" || return
	# The kernel marks itself as live-patched.
	TAINT=$((TAINT | 32768))
}

# need_module: loads it, or skips the test with the reason
need_module()
{
	ensure_loaded
	ret=$?
	[ $ret != "$KSFT_SKIP" ] || ktap_print_msg "$WHY_NOT"
	return $ret
}

# into_arm NAME: switches; skips the test where it is not offered
into_arm()
{
	if [ "$1" = off ]; then
		ensure_loaded
		[ ! -e "$UPLIFT/arm" ] || echo off >"$UPLIFT/arm"
		return
	fi
	need_module || return
	if ! echo "$1" 2>"$TMP/error" >"$UPLIFT/arm"; then
		grep -qi "invalid" "$TMP/error" || complain "switching to $1: $(cat "$TMP/error")" || return
		skip "the arm $1 is not offered here: verdict $(head -n 1 "$UPLIFT/verdict")"
	fi
}

# Tests that every change has.

test_load()
{
	need_module || return
	ktap_print_msg "verdict: $(head -n 1 "$UPLIFT/verdict"), $(stat_of function) by $(stat_of method)"
	[ "$(cat "$UPLIFT/arm")" = off ] || complain "an arm is on after loading" || return
	[ "$(stat_of inside)" = 0 ] || complain "tasks inside: $(stat_of inside)" || return
	tainted_by_us
}

test_load_twice()
{
	need_module || return
	refused EEXIST "$CHANGE_KO" || return
	refused EEXIST "$CORE_KO" || return
	echo null >"$UPLIFT/arm" || return
	refused EEXIST "$CHANGE_KO" || return
	! rmmod "$MODULE" 2>/dev/null || complain "unloaded while an arm is on" || return
	[ "$(lsmod | awk -v m="$MODULE" '$1 == m { print $3 }')" -ge 1 ] ||
		complain "lsmod shows no user while an arm is on" || return
	echo off >"$UPLIFT/arm"
}

# ftrace cannot be turned off beneath a hook, and there is no hook without it.
test_ftrace_off()
{
	need_module || return
	[ -w $FTRACE ] || skip "no $FTRACE" || return
	into_arm null || return
	stat_of state | grep -q '^live' || complain "state: $(stat_of state)" || return
	OLD_FTRACE=$(cat $FTRACE)
	! echo 0 2>/dev/null >$FTRACE || complain "ftrace can be turned off beneath a hook" || return
	stat_of state | grep -q '^live' || complain "state: $(stat_of state)" || return
	echo off >"$UPLIFT/arm"
	echo 0 2>/dev/null >$FTRACE || skip "ftrace has another user" || return
	log_line "uplift selftest $$ no ftrace"
	! echo null 2>/dev/null >"$UPLIFT/arm" || complain "an arm without ftrace" || return
	log_line "uplift selftest $$ ftrace again"
	log_since "uplift selftest $$ no ftrace" | grep -q 'kernel.ftrace_enabled=1' ||
		complain "the log does not say what to type" || return
	[ "$(cat "$UPLIFT/arm")" = off ] || complain "the arm is $(cat "$UPLIFT/arm")" || return
	echo "$OLD_FTRACE" >$FTRACE
	OLD_FTRACE=
	into_arm null && echo off >"$UPLIFT/arm"
}

test_unloaded()
{
	need_module || return
	echo off >"$UPLIFT/arm" || return
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays" || return
	unload_core
}

# unload_core: the modules that all changes stand on; nothing is left of any
unload_core()
{
	for module in uplift_livepatch uplift; do
		! is_loaded $module || loop_until 100 rmmod $module 2>/dev/null || complain "$module stays" || return
	done
	[ ! -e "$DEBUG/uplift" ] || complain "$DEBUG/uplift stays"
}

test_kernel_log()
{
	no_faults
}

# Memory that was allocated and that nothing points to, where the kernel has kmemleak.
no_leaks()
{
	if [ ! -w $DEBUG/kmemleak ]; then
		ktap_print_msg "this kernel does not look for leaks"
		return 0
	fi
	# A pointer to a young object may not be stored yet: scan twice.
	echo scan >$DEBUG/kmemleak
	sleep 6
	echo scan >$DEBUG/kmemleak
	leaks=$(grep -c "^unreferenced object" $DEBUG/kmemleak)
	ktap_print_msg "kmemleak: $leaks unreferenced objects"
	[ "$leaks" != 0 ] || return 0
	grep -v "^    [0-9a-f][0-9a-f] " $DEBUG/kmemleak | head -n 40 | sed 's/^/# /'
	return 1
}

# Replaced where there is something to take down.
cleanup_more()
{
	:
}

cleanup()
{
	trap '' INT TERM HUP
	[ -z "$OLD_FTRACE" ] || echo "$OLD_FTRACE" >$FTRACE 2>/dev/null
	[ ! -e "$UPLIFT/arm" ] || echo off >"$UPLIFT/arm" 2>/dev/null
	cleanup_more
	! is_loaded "$MODULE" || rmmod "$MODULE" 2>/dev/null
	! is_loaded uplift_livepatch || rmmod uplift_livepatch 2>/dev/null
	! is_loaded uplift || rmmod uplift 2>/dev/null
	[ -z "$FOLLOWER" ] || kill "$FOLLOWER" 2>/dev/null
	[ -z "$MOUNTED" ] || umount $DEBUG 2>/dev/null
	rm -rf "$TMP"
}

# begin: everything before the first test
begin()
{
	ktap_print_header
	[ "$(id -u)" = 0 ] || skip_all "loading modules needs root"
	for module in "$MODULE" uplift_livepatch uplift; do
		! is_loaded "$module" || skip_all "$module is loaded already: rmmod $module"
	done
	MOUNTED=''; FOLLOWER=''; OLD_FTRACE=''
	TMP=$(mktemp -d) || exit 1
	CORE_KO=$(find_ko uplift)
	CHANGE_KO=$(find_ko "$MODULE")
	LIVEPATCH_KO=$(find_ko uplift_livepatch)
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	if ! grep -q " $DEBUG debugfs" /proc/mounts; then
		mount -t debugfs debugfs $DEBUG 2>/dev/null && MOUNTED=1
	fi
	follow_log
	TAINT=$(cat /proc/sys/kernel/tainted)
}

