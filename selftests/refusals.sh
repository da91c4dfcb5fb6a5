#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every way in which a module and a kernel may not fit each other is tried: each is
# refused with the right error and one line that says why, and the kernel is as it
# was before. Kernels that are not at hand are simulated by writing into a copy of
# the module: see module_edit.c. Refusals that only one change has are in its own
# test, lockdown is in lockdown.sh, lack of memory in fail.sh. Needs root.
#
# usage: refusals.sh
#
# Environment:
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   DEBUGFS        what this machine was booted with: debugfs=off or debugfs=no-mount
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=refusals
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

CHANGES=$(all_changes)

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

# leaves_alone COMMAND [ARGUMENT...]: it succeeds, and the kernel is as it was before
leaves_alone()
{
	state >"$TMP/before"
	"$@" || return
	state >"$TMP/after"
	diff "$TMP/before" "$TMP/after" >"$TMP/changed" ||
		complain "the kernel changed: $(grep '^[-+][^-+]' "$TMP/changed" | tr '\n' ' ')"
}

# says_once ERRNO[|ERRNO] WORDS CALL [ARGUMENT...]: a call of module_call fails with that, and one line in the log says
# why, with WORDS in it and no address
says_once()
{
	errno=$1 words=$2
	shift 2
	NUMBER=$((NUMBER + 1))
	log_line "uplift selftest $$ refusing $NUMBER"
	! "$DIR/module_call" "$@" >"$TMP/errno" || complain "$* succeeds" || return
	grep -qxE "$errno" "$TMP/errno" || complain "$* is refused with $(cat "$TMP/errno"), not $errno" || return
	log_line "uplift selftest $$ refused $NUMBER"
	log_since "uplift selftest $$ refusing $NUMBER" | grep "^uplift[a-z_]*: " >"$TMP/lines"
	ktap_print_msg "$(cat "$TMP/errno"): $(cat "$TMP/lines")"
	[ "$(wc -l <"$TMP/lines")" = 1 ] || complain "not one line in the log" || return
	grep -q -- "$words" "$TMP/lines" || complain "the log does not say '$words'" || return
	! grep -E '(^|[^0-9a-f])(0x)?ffff[0-9a-f]{12}([^0-9a-f]|$)' "$TMP/lines" || complain "it shows an address"
}

# refuses ERRNO[|ERRNO] WORDS FILE [PARAMETER...]: a module is not loaded, and the kernel is as it was
refuses()
{
	errno=$1 words=$2
	shift 2
	leaves_alone says_once "$errno" "$words" load "$@"
}

# edit NAME OLD NEW: leaves the path in $EDITED; skips where there is no such module
edit()
{
	ko=$(find_ko "$1")
	[ -n "$ko" ] || skip "no $1.ko here" || return
	EDITED=$TMP/$1.ko
	"$DIR/module_edit" "$ko" "$EDITED" "$2" "$3" 2>"$TMP/error" || complain "$(cat "$TMP/error")"
}

# need_core: so that its taint is there before anything is compared
need_core()
{
	[ -n "$CORE_KO" ] || skip "no uplift.ko here: make modules, or set UPLIFT_KO_DIR" || return
	ensure_core
}

# no_core: uplift.ko was loaded, and is not
no_core()
{
	need_core && rmmod uplift
}

# those WORDS...: the changes whose module is here, for which the words are a test that succeeds
those()
{
	for name in $CHANGES; do
		of_change "$name"
		[ -z "$CHANGE_KO" ] || ! "$@" || echo "$name"
	done
}

redirects()
{
	[ -n "$REDIRECTS" ]
}

# need_redirect: the core is loaded, and the change that is looked at is one that redirects FUNCTION and loads here
need_redirect()
{
	need_core || return
	for name in $SAMPLE $(those redirects); do
		need_change "$name" || continue
		SAMPLE=$name
		FUNCTION=$(stat_of function)
		unload_change
		return
	done
	skip "no module that redirects a function, and loads here"
}

# The kernel says this itself, for the core as for each change. Where it has checksums of symbols
# (CONFIG_MODVERSIONS) it goes by these, and not by its release.
test_other_kernel()
{
	no_core || return
	made_for_another uplift || return
	ensure_core || return
	for name in $(those true); do
		made_for_another "uplift_$name" || return
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
	no_core || return
	release=$(uname -r)
	edit uplift "vermagic=$release SMP preempt " "vermagic=$release SMP PREEMPT " || return
	refuses ENOEXEC "version magic" "$EDITED"
}

# other_btf SYMBOL WORDS: with a core for which the image's BTF begins at SYMBOL, changes refuse, with WORDS
other_btf()
{
	no_core || return
	edit uplift __start_BTF "$1" || return
	load "$EDITED" || complain "the edited uplift.ko: $(cat "$TMP/errno")" || return
	ret=0
	for name in $(those redirects); do
		refuses ENOEXEC "$2" "$(find_ko "uplift_$name")" || ret=1
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
	no_core || return
	for name in $(those true); do
		leaves_alone refused ENOENT "$(find_ko "uplift_$name")" || return
	done
}

test_no_kallsyms()
{
	no_core || return
	edit uplift kallsyms_on_each_match_symbol kallsyms_on_each_match_symboX || return
	refuses EOPNOTSUPP "CONFIG_KALLSYMS" "$EDITED"
}

# Of a redirected function, and of those that other changes need. Where modules import such a function, too, the kernel
# itself refuses.
test_missing_symbol()
{
	need_redirect || return
	edit "$MODULE" "$FUNCTION" "${FUNCTION%?}0" &&
		refuses ENOEXEC "no symbol ${FUNCTION%?}0" "$EDITED" || return
	for name in $(those needs_symbols); do
		of_change "$name"
		for symbol in $SYMBOLS; do
			edit "$MODULE" "$symbol" "${symbol%?}0" || return
			refuses "ENOEXEC|ENOENT" " ${symbol%?}0" "$EDITED" "$IF_NATIVE" || return
		done
	done
}

# A change that PREEMPT_RT refuses does not come as far as its symbols there.
needs_symbols()
{
	[ -n "$SYMBOLS" ] || return
	! is_realtime || [ "$REALTIME" != load ]
}

# Of the function's name's length, or less, and there twice.
test_ambiguous_symbol()
{
	need_redirect || return
	twice=$(awk -v most=${#FUNCTION} '$4 == "" && $2 ~ /[tT]/ && $3 !~ /[.]/ && length($3) <= most { n[$3]++ }
		END { for (name in n) if (n[name] > 1) print name }' /proc/kallsyms | sort | head -n 1)
	[ -n "$twice" ] || skip "no name is short enough and there twice" || return
	edit "$MODULE" "$FUNCTION" "$twice" || return
	refuses ENOEXEC "more than one symbol $twice" "$EDITED"
}

# A function that cannot be traced cannot be redirected.
test_untraceable()
{
	need_redirect || return
	for name in do_syscall_64 exc_debug; do
		grep -q " [tT] $name\$" /proc/kallsyms && [ ${#name} -le ${#FUNCTION} ] && break
		name=
	done
	[ -n "$name" ] || skip "no function here that is known not to be traceable" || return
	! grep -qx "$name" $TRACING/available_filter_functions || skip "$name can be traced here" || return
	edit "$MODULE" "$FUNCTION" "$name" || return
	refuses ENOEXEC "cannot be traced" "$EDITED"
}

# arm_refused ARM FILE WORDS: EBUSY, one line, the arm stays off
arm_refused()
{
	says_once EBUSY "$3" write "$2" "$1" || return
	[ "$(cat "$2")" = off ] || complain "the arm is $(cat "$2")"
}

# twin: a module of another name that does the same as the one that is looked at; leaves the name in $TWIN, its path in
# $TWIN_KO
twin()
{
	TWIN=${CHANGE%?}q
	edit "$MODULE" "$MODULE" "uplift_$TWIN" || return
	TWIN_KO=$TMP/uplift_$TWIN.ko
	"$DIR/module_edit" -w "$EDITED" "$TWIN_KO" "$CHANGE" "$TWIN"
}

# unload_both: the module and its twin
unload_both()
{
	for module in "$MODULE" "uplift_$TWIN"; do
		loop_until 100 rmmod "$module" 2>/dev/null || complain "$module stays" || return
	done
}

# either_refuses WORDS TWIN-WORDS: while one of two arms of a function is on, the other is refused, with the WORDS that
# say which module is there
either_refuses()
{
	ret=0
	arm=$DEBUG/uplift/$TWIN/arm
	echo null >"$UPLIFT/arm" || return
	arm_refused null "$arm" "hooked already: $1" || ret=1
	echo off >"$UPLIFT/arm" || ret=1
	echo null >"$arm" || ret=1
	arm_refused null "$UPLIFT/arm" "hooked already: $2" || ret=1
	echo off >"$arm" || ret=1
	return $ret
}

# By a second module, as other users of ftrace's direct calls do it.
test_hooked_by_us()
{
	need_redirect || return
	twin || return
	# shellcheck disable=SC2086 # empty or words
	load "$TWIN_KO" $QUICK || complain "the second module: $(cat "$TMP/errno")" || return
	load_change || complain "$MODULE: $(cat "$TMP/errno")" || return
	ret=0
	either_refuses "ftrace-direct user ($MODULE" "ftrace-direct user (uplift_$TWIN" || ret=1
	unload_both || ret=1
	return $ret
}

has_livepatch()
{
	[ -n "$LIVEPATCH" ]
}

test_hooked_by_livepatch()
{
	need_core || return
	outcome=$KSFT_SKIP
	for name in $(those has_livepatch); do
		ensure_livepatch || return
		of_change "$name"
		need_change "$name" "$LIVEPATCH" || continue
		outcome=0
		twin || return
		# shellcheck disable=SC2086 # empty or words
		load "$TWIN_KO" $QUICK || complain "the second module: $(cat "$TMP/errno")" || return
		either_refuses "live patch uplift_livepatch" "ftrace-direct user (uplift_$TWIN" || outcome=1
		unload_both || outcome=1
	done
	! is_loaded uplift_livepatch || loop_until 100 rmmod uplift_livepatch 2>/dev/null || complain "uplift_livepatch stays" || return
	[ "$outcome" != "$KSFT_SKIP" ] || skip "no module that redirects by livepatch, and loads here" || return
	return "$outcome"
}

has_bad_parameters()
{
	[ -n "$BAD_PARAMETERS" ]
}

# Parameters that mean nothing, where the module loads without them.
test_wrong_words()
{
	need_core || return
	for name in $(those has_bad_parameters); do
		need_change "$name" || continue
		unload_change || return
		for word in $BAD_PARAMETERS; do
			refuses EINVAL "$word" "$CHANGE_KO" "$word" || return
		done
	done
}

# PREEMPT_RT: a change refuses to load there, or to be turned on.
test_realtime()
{
	is_realtime || skip "not a PREEMPT_RT kernel" || return
	need_core || return
	for name in $(those true); do
		of_change "$name"
		case $REALTIME in
		load)	for parameter in "" $IF_NATIVE; do
				# shellcheck disable=SC2086 # empty or one word
				refuses EOPNOTSUPP "unsupported: PREEMPT_RT" "$CHANGE_KO" $parameter || return
			done ;;
		switch)	not_turned_on || return ;;
		esac
	done
}

not_turned_on()
{
	load_change || complain "$MODULE: $(cat "$TMP/errno")" || return
	leaves_alone says_once EOPNOTSUPP "unsupported: PREEMPT_RT" write "$UPLIFT/$SWITCH" "$ON" || return
	[ "$(cat "$UPLIFT/$SWITCH")" = "$OFF" ] || complain "$SWITCH is $(cat "$UPLIFT/$SWITCH")" || return
	unload_change
}

# Changes that are seen and switched there refuse; others work. One that is not for this kernel may say that first.
test_no_debugfs()
{
	[ -n "$DEBUGFS" ] || skip "booted with debugfs" || return
	need_core || return
	told=0
	for name in $(those true); do
		of_change "$name"
		if [ "$NO_DEBUGFS" = works ]; then
			load_change && works || complain "$MODULE: $(cat "$TMP/errno")" || return
			rmmod "$MODULE" || return
			continue
		fi
		refuses "EOPNOTSUPP|EEXIST|EBUSY|ENODEV" "no debugfs\|: native: \|: unaffected: " "$CHANGE_KO" || return
		! grep -q "no debugfs" "$TMP/lines" || told=$((told + 1))
	done
	[ $told -gt 0 ] || complain "no module says that there is no debugfs"
}

: "${DEBUGFS:=}"
NUMBER=0 SAMPLE=''
begin
run_tests
