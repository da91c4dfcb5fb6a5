#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every way in which a module may not be for this kernel, or this kernel not for
# it, is tried: each is refused with the right error and one line that says why,
# and the kernel is as it was before. Kernels that are not at hand are brought
# about by writing into a copy of the module: see module_edit.c. What each
# change has of its own is in its own test, locking down in lockdown.sh, lack of
# memory in fail.sh. Needs root.
#
# usage: refusals.sh
#
# Environment:
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   DEBUGFS        what this machine was booted with: debugfs=off or debugfs=no-mount
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=epoll
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "refusals.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"
# shellcheck disable=SC2034 # printed by run_tests
FORM=refusals
TRACING=/sys/kernel/tracing

TESTS="other_kernel other_configuration other_layout no_btf no_core no_kallsyms missing_symbol ambiguous_symbol"
TESTS="$TESTS untraceable hooked_by_us hooked_by_livepatch wrong_words realtime no_debugfs kernel_log"

# What a refusal must leave alone.
state()
{
	cut -d' ' -f1,3,4 /proc/modules
	cat /proc/sys/kernel/tainted /proc/sys/kernel/ftrace_enabled
	[ ! -d $DEBUG/uplift ] || find $DEBUG/uplift
	[ ! -r $DEBUG/kprobes/list ] || sed 's/^[0-9a-f]* *//' $DEBUG/kprobes/list
	[ ! -r $TRACING/enabled_functions ] || sed 's/(.*//' $TRACING/enabled_functions
	printf '%s\n' /proc/[!0-9]* /sys/kernel/livepatch/*
	grep -c . /proc/filesystems
}

# refuses ERRNO[|ERRNO] WORDS FILE [PARAMETER...]: one line, with WORDS in it, and an unchanged kernel
refuses()
{
	errno=$1 words=$2 file=$3
	shift 3
	state >"$TMP/before"
	NUMBER=$((NUMBER + 1))
	log_line "uplift selftest $$ refusing $NUMBER"
	refused "$errno" "$file" "$@" || return
	log_line "uplift selftest $$ refused $NUMBER"
	log_since "uplift selftest $$ refusing $NUMBER" | grep "^uplift[a-z_]*: " >"$TMP/lines"
	ktap_print_msg "$(cat "$TMP/errno"): $(cat "$TMP/lines")"
	[ "$(wc -l <"$TMP/lines")" = 1 ] || complain "not one line in the log" || return
	grep -q -- "$words" "$TMP/lines" || complain "the log does not say '$words'" || return
	no_address "$TMP/lines" || return
	state >"$TMP/after"
	diff "$TMP/before" "$TMP/after" >"$TMP/changed" ||
		complain "the kernel changed: $(grep '^[-+][^-+]' "$TMP/changed" | tr '\n' ' ')"
}

no_address()
{
	! grep -E '(^|[^0-9a-f])(0x)?ffff[0-9a-f]{12}([^0-9a-f]|$)' "$1" || complain "it tells an address"
}

# edit NAME OLD NEW: leaves the path in $EDITED; skips where the module is not here, or has no such words
edit()
{
	ko=$(find_ko "$1")
	[ -n "$ko" ] || skip "no $1.ko here" || return
	EDITED=$TMP/$1.ko
	"$DIR/module_edit" "$ko" "$EDITED" "$2" "$3" 2>"$TMP/error" || complain "$(cat "$TMP/error")"
}

# Taints are there before anything is compared; the core is, or is not.
core()
{
	is_loaded uplift || load "$CORE_KO" || complain "uplift.ko: $(cat "$TMP/errno")"
}

no_core()
{
	ensure_unloaded
	core && rmmod uplift
}

need_modules()
{
	[ -n "$CORE_KO" ] && [ -n "$CHANGE_KO" ] ||
		skip "no uplift.ko and $MODULE.ko: make modules, or set UPLIFT_KO_DIR" || return
	ensure_unloaded
}

# each NAME...: of the modules that are here
each()
{
	for name; do
		[ -z "$(find_ko "$name")" ] || echo "$name"
	done
}

# The kernel says this itself, for the core as for each change. Where it has checksums of symbols
# (CONFIG_MODVERSIONS) it goes by these, and not by its release.
test_other_kernel()
{
	need_modules && no_core || return
	made_for_another uplift || return
	core || return
	for name in $(each uplift_epoll uplift_fslist uplift_iomap uplift_llc); do
		made_for_another "$name" || return
	done
}

made_for_another()
{
	release=$(uname -r)
	if grep -qa "vermagic=$release .*modversions" "$CORE_KO"; then
		EDITED=$TMP/$1.ko
		"$DIR/module_edit" -c "$(find_ko "$1")" "$EDITED" module_layout 2>"$TMP/error" ||
			complain "$(cat "$TMP/error")" || return
		refuses ENOEXEC "disagrees about version of symbol module_layout" "$EDITED"
	else
		edit "$1" "vermagic=$release" "vermagic=9${release#?}" || return
		refuses ENOEXEC "version magic" "$EDITED"
	fi
}

# A kernel of the same release that was configured otherwise, as -rt kernels are.
test_other_configuration()
{
	need_modules && no_core || return
	release=$(uname -r)
	edit uplift "vermagic=$release SMP preempt " "vermagic=$release SMP PREEMPT " || return
	refuses ENOEXEC "version magic" "$EDITED"
}

# other_btf SYMBOL WORDS: with a core for which the image's BTF begins at SYMBOL, changes refuse, with WORDS
other_btf()
{
	need_modules && no_core || return
	edit uplift __start_BTF "$1" || return
	load "$EDITED" || complain "the edited uplift.ko: $(cat "$TMP/errno")" || return
	ret=0
	for name in $(each uplift_epoll uplift_iomap); do
		refuses ENOEXEC "$2" "$(find_ko "$name")" || ret=1
	done
	rmmod uplift
	return $ret
}

# The image's BTF is then not that of the build.
test_other_layout()
{
	other_btf __stop_BTF "built for another kernel"
}

test_no_btf()
{
	other_btf __start_BTG "no BTF"
}

# The kernel has a line for each symbol that it does not find.
test_no_core()
{
	need_modules && no_core || return
	state >"$TMP/before"
	refused ENOENT "$CHANGE_KO" || return
	state >"$TMP/after"
	cmp "$TMP/before" "$TMP/after" || complain "the kernel changed"
}

test_no_kallsyms()
{
	need_modules && no_core || return
	edit uplift kallsyms_on_each_match_symbol kallsyms_on_each_match_symboX || return
	refuses EOPNOTSUPP "CONFIG_KALLSYMS" "$EDITED"
}

# Of a redirected function, and of what the other changes cannot do without.
test_missing_symbol()
{
	need_modules && core || return
	function=$(function_of_epoll) || return
	edit uplift_epoll "$function" "${function%?}0" && refuses ENOEXEC "no symbol ${function%?}0" "$EDITED" || return
	! is_realtime || skip "the rest on a kernel that the list does not refuse before" || return
	edit uplift_fslist filesystems_proc_show filesystems_proc_shov &&
		refuses ENOEXEC "no function filesystems_proc_shov" "$EDITED" || return
	edit uplift_fslist unregister_filesystem unregister_filesysten
	ret=$?
	[ $ret = 0 ] || return $ret
	# Said by the kernel where the symbol is one that modules import, too.
	state >"$TMP/before"
	refused "ENOEXEC|ENOENT" "$EDITED" native=1 || return
	state >"$TMP/after"
	cmp "$TMP/before" "$TMP/after" || complain "the kernel changed"
}

# What the module on hand redirects: it depends on the compiler which one there is.
function_of_epoll()
{
	for function in ep_send_events do_epoll_wait; do
		if "$DIR/module_edit" "$CHANGE_KO" "$TMP/try.ko" $function $function 2>/dev/null &&
		   grep -q " [tT] $function\$" /proc/kallsyms; then
			echo $function
			return
		fi
	done
	complain "which function does $MODULE redirect?"
}

# Of the function's name's length, or less, and there twice.
test_ambiguous_symbol()
{
	need_modules && core || return
	function=$(function_of_epoll) || return
	twice=$(awk -v most=${#function} '$4 == "" && $2 ~ /[tT]/ && $3 !~ /[.]/ && length($3) <= most { n[$3]++ }
		END { for (name in n) if (n[name] > 1) print name }' /proc/kallsyms | sort | head -n 1)
	[ -n "$twice" ] || skip "no name is short enough and there twice" || return
	edit uplift_epoll "$function" "$twice" || return
	refuses ENOEXEC "more than one symbol $twice" "$EDITED"
}

# What may not be traced cannot be redirected.
test_untraceable()
{
	need_modules && core || return
	function=$(function_of_epoll) || return
	for name in do_syscall_64 exc_debug; do
		grep -q " [tT] $name\$" /proc/kallsyms && [ ${#name} -le ${#function} ] && break
		name=
	done
	[ -n "$name" ] || skip "no function here that is known not to be traceable" || return
	! grep -qx "$name" $TRACING/available_filter_functions || skip "$name can be traced here" || return
	edit uplift_epoll "$function" "$name" || return
	refuses ENOEXEC "cannot be traced" "$EDITED"
}

# arm_refused ARM FILE WORDS: EBUSY, one line, the arm stays off
arm_refused()
{
	NUMBER=$((NUMBER + 1))
	log_line "uplift selftest $$ arm $NUMBER"
	! "$DIR/module_call" write "$2" "$1" >"$TMP/errno" || complain "the arm $1 is taken" || return
	grep -qx EBUSY "$TMP/errno" || complain "the arm is refused with $(cat "$TMP/errno"), not EBUSY" || return
	log_line "uplift selftest $$ arm refused $NUMBER"
	log_since "uplift selftest $$ arm $NUMBER" | grep "^uplift: " >"$TMP/lines"
	ktap_print_msg "$(cat "$TMP/lines")"
	[ "$(wc -l <"$TMP/lines")" = 1 ] && grep -q "$3" "$TMP/lines" ||
		complain "not one line in the log that says '$3'" || return
	no_address "$TMP/lines" || return
	[ "$(cat "$2")" = off ] || complain "the arm is $(cat "$2")"
}

# second CHANGE NAME: a module of another name that does the same; leaves its path in $SECOND
second()
{
	edit "uplift_$1" "uplift_$1" "uplift_$2" || return
	SECOND=$TMP/uplift_$2.ko
	"$DIR/module_edit" -w "$EDITED" "$SECOND" "$1" "$2"
}

# either_refuses ARM WORDS OTHER WORDS: while one of two arms of a function is on, the other is refused, saying who is there
either_refuses()
{
	echo null >"$1" || return
	ret=0
	arm_refused null "$3" "hooked by somebody else: $2" || ret=1
	echo off >"$1" || ret=1
	echo null >"$3" || ret=1
	arm_refused null "$1" "hooked by somebody else: $4" || ret=1
	echo off >"$3" || ret=1
	return $ret
}

# A second module that redirects the same function, as somebody else's would.
test_hooked_by_us()
{
	need_modules && core || return
	second epoll epolk || return
	load "$SECOND" || complain "the second module: $(cat "$TMP/errno")" || return
	load "$CHANGE_KO" || complain "$MODULE: $(cat "$TMP/errno")" || return
	ret=0
	either_refuses "$DEBUG/uplift/epolk/arm" "ftrace-direct user (uplift_epolk" \
		       "$UPLIFT/arm" "ftrace-direct user (uplift_epoll" || ret=1
	loop_until 50 rmmod uplift_epolk 2>/dev/null || complain "the second module stays"
	loop_until 50 ensure_unloaded 2>/dev/null
	return $ret
}

test_hooked_by_livepatch()
{
	need_modules && core || return
	iomap=$(find_ko uplift_iomap)
	[ -n "$iomap" ] && [ -n "$LIVEPATCH_KO" ] || skip "no uplift_iomap.ko and uplift_livepatch.ko here" || return
	second iomap iomak || return
	ensure_livepatch || return
	load "$iomap" method=livepatch scripts=100 || skip "uplift_iomap refuses: $(cat "$TMP/errno")" || return
	load "$SECOND" scripts=100 || complain "the second module: $(cat "$TMP/errno")" || return
	ret=0
	either_refuses "$DEBUG/uplift/iomap/arm" "live patch uplift_livepatch" \
		       "$DEBUG/uplift/iomak/arm" "ftrace-direct user (uplift_iomak" || ret=1
	for module in uplift_iomak uplift_iomap uplift_livepatch; do
		loop_until 100 rmmod $module 2>/dev/null || complain "$module stays" || ret=1
	done
	return $ret
}

# Parameters that mean nothing.
test_wrong_words()
{
	need_modules && core || return
	if [ -n "$(find_ko uplift_iomap)" ] && load "$(find_ko uplift_iomap)" scripts=100; then
		rmmod uplift_iomap
		refuses EINVAL "method=kprobe" "$(find_ko uplift_iomap)" method=kprobe || return
		refuses EINVAL "scripts=0" "$(find_ko uplift_iomap)" scripts=0 || return
	fi
	[ -z "$(find_ko uplift_fslist)" ] || refuses EINVAL "show_symbol=schedule" "$(find_ko uplift_fslist)" show_symbol=schedule
}

# PREEMPT_RT: what lives on spinning locks that do not sleep, or on the tick, refuses there.
test_realtime()
{
	is_realtime || skip "not a PREEMPT_RT kernel" || return
	need_modules && core || return
	for parameter in "" native=1; do
		# shellcheck disable=SC2086 # empty or one word
		refuses EOPNOTSUPP "unsupported: PREEMPT_RT" "$(find_ko uplift_fslist)" $parameter || return
	done
	load "$(find_ko uplift_llc)" || complain "uplift_llc: $(cat "$TMP/errno")" || return
	state >"$TMP/before"
	log_line "uplift selftest $$ tracking"
	ret=0
	"$DIR/module_call" write "$DEBUG/uplift/llc/track" 1 >"$TMP/errno" && ret=1
	log_line "uplift selftest $$ not tracking"
	log_since "uplift selftest $$ tracking" | grep "^uplift[a-z_]*: " >"$TMP/lines"
	ktap_print_msg "$(cat "$TMP/errno"): $(cat "$TMP/lines")"
	state >"$TMP/after"
	[ $ret = 0 ] && grep -qx EOPNOTSUPP "$TMP/errno" && [ "$(cat "$DEBUG/uplift/llc/track")" = 0 ] ||
		complain "tracking is not refused" || ret=1
	[ "$(wc -l <"$TMP/lines")" = 1 ] && grep -q "unsupported: PREEMPT_RT" "$TMP/lines" ||
		complain "not one line in the log that says why" || ret=1
	cmp "$TMP/before" "$TMP/after" || complain "the kernel changed" || ret=1
	rmmod uplift_llc
	return $ret
}

# Where nothing can be shown or switched, what is shown and switched there refuses; the list goes without.
test_no_debugfs()
{
	[ -n "$DEBUGFS" ] || skip "booted with debugfs" || return
	need_modules && core || return
	for name in $(each uplift_epoll uplift_iomap uplift_llc); do
		refuses EOPNOTSUPP "no debugfs" "$(find_ko "$name")" || return
	done
	[ -n "$(find_ko uplift_fslist)" ] || return 0
	load "$(find_ko uplift_fslist)" || load "$(find_ko uplift_fslist)" native=1 ||
		complain "uplift_fslist: $(cat "$TMP/errno")" || return
	cmp /proc/filesystems /proc/filesystems_cached || complain "the list differs" || return
	rmmod uplift_fslist
}

: "${DEBUGFS:=}"
NUMBER=0
begin
run_tests
