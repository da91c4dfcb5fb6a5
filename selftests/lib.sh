# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What all scripts here share; sourced with CHANGE and DIR set. Runs under any
# POSIX shell, busybox included. A test is a function test_NAME that prints what
# is wrong and returns a status: 0 pass, $KSFT_SKIP skip, anything else fail.
#
# Changes
#
# A script that tests every change (abi, privilege, fuzz, cycles, refusals,
# lockdown, fail, storm) names none. all_changes finds them; of_change NAME makes
# NAME the one that is looked at, and reads its facts from NAME_change.sh beside
# this library. A change without such a file has what no_facts sets; a backport
# (modules/backports) needs none. So a new change comes with its own files only.
#
# What NAME_change.sh may set, words with blanks between:
#
#   REDIRECTS       1: it redirects a function, and so has arms and checks the kernel's BTF
#   QUICK           parameters that make loading quick
#   IF_NATIVE       parameters that make it load where the kernel has the change
#   LIVEPATCH       parameters that make it redirect by a livepatch
#   BAD_PARAMETERS  each is refused with EINVAL and a line in the log that has the word
#   SWITCH ON OFF   the file in its debugfs directory that turns it on, what to write
#                   to do so, and what to write to turn it off (arm null off)
#   FILES           its files outside of debugfs and /sys/module
#   STEADY          files whose text does not change while they are fuzzed
#   TAKES_PATH      its file in debugfs to which paths are written
#   SYMBOLS         functions without which it refuses a kernel, beside one that it redirects
#   NO_DEBUGFS      works or refuses, where there is no debugfs (refuses)
#   REALTIME        what PREEMPT_RT refuses: load, switch, or nothing
#   STORM           jobs of storm.sh: functions job_JOB, see there
#   STORM_LOADED    1: storm.sh loads the module before these jobs begin
#
# and functions, each of which prints what is wrong, or skips, as a test does:
#
#   works           is what it does right? (nothing is known)
#   writes          does it write to user memory what it has to, and no more? (nothing is known)
#   switch_load     switches its arms under load, SWITCHES times (skips)
#
# They are called with CHANGE, MODULE, UPLIFT (its directory in debugfs) and
# CHANGE_KO (its module's file, empty if there is none) set.

for helpers in "$DIR/ktap_helpers.sh" "$DIR/../kselftest/ktap_helpers.sh"; do
	[ -r "$helpers" ] && break
done
if [ ! -r "$helpers" ]; then
	echo "$CHANGE.sh: no ktap_helpers.sh beside it: make -C selftests KSFT=DIR INSTALL_PATH=DIR install, and run it there" >&2
	exit 2
fi
# shellcheck source=/dev/null
. "$helpers"

# shellcheck disable=SC2034 # used by the scripts that source this
DEBUG=/sys/kernel/debug
# shellcheck disable=SC2034
FTRACE=/proc/sys/kernel/ftrace_enabled

skip_all()
{
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
}

is_loaded()
{
	grep -q "^$1 " /proc/modules
}

is_realtime()
{
	uname -v | grep -q PREEMPT_RT
}

# unpack FILE: a plain module of it, for insmod programs that cannot
unpack()
{
	plain=$TMP/${1##*/}
	plain=${plain%.[xgz][zs]*}
	case $1 in
	*.ko)	echo "$1" ;;
	*.xz)	xz -dc "$1" >"$plain" && echo "$plain" ;;
	*.gz)	gzip -dc "$1" >"$plain" && echo "$plain" ;;
	*.zst)	zstd -qdc "$1" >"$plain" && echo "$plain" ;;
	esac
}

# find_ko NAME: where NAME.ko is; a guest of the lab has it in /modules. What DKMS packed is unpacked.
find_ko()
{
	release=$(uname -r)
	for place in ${UPLIFT_KO_DIR:+"$UPLIFT_KO_DIR"} "$DIR" /modules \
		     "$DIR/../modules/core" "$DIR/../modules/$CHANGE" "$DIR/../modules/backports" \
		     "/lib/modules/$release/updates" "/lib/modules/$release/updates/dkms" \
		     "/lib/modules/$release/updates/uplift" "/lib/modules/$release/extra"; do
		for ko in "$place/$1.ko" "$place/$1.ko.xz" "$place/$1.ko.zst" "$place/$1.ko.gz"; do
			[ -r "$ko" ] || continue
			unpack "$ko"
			return
		done
	done
}

# What a test says.

complain()
{
	ktap_print_msg "$*"
	return 1
}

skip()
{
	ktap_print_msg "$*"
	return "$KSFT_SKIP"
}

loop_until()
{
	tries=$1
	shift
	while ! "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# nested PROGRAM [ARGUMENT...]: its results one level down, each line at once (sed keeps them back), its status kept
nested()
{
	{
		"$@" 2>&1
		echo $? >"$TMP/status"
	} | while IFS= read -r line || [ -n "$line" ]; do
		printf '  %s\n' "$line"
	done
	read -r status <"$TMP/status"
	return "$status"
}

# The kernel's log.

# follow_log: keeps what the kernel logs from here on, as its log may turn over in a long run
follow_log()
{
	MARK="uplift selftest $$ begins"
	echo "$MARK" >/dev/kmsg
	cat /dev/kmsg >"$TMP/kmsg" 2>/dev/null &
	FOLLOWER=$!
}

# log_line TEXT: writes a line into the log and waits until it has arrived
log_line()
{
	echo "$1" >/dev/kmsg
	loop_until 50 grep -q ";$1\$" "$TMP/kmsg"
}

# log_since LINE: what the kernel logged after it, without stamps
log_since()
{
	sed -e "1,/;$1\$/d" -e 's/^[^;]*;//' "$TMP/kmsg"
}

# A log without the reports that EXCUSED, a pattern, is found in: what a test means to bring about.
unexcused()
{
	awk -v excused="${EXCUSED:-}" '
	excused == ""			{ print; next }
	/\[ cut here \]/		{ inside = bad = 1; report = "" }
	inside {
		report = report $0 "\n"
		if ($0 ~ excused)
			bad = 0
		if (/\[ end trace|---\[ end/) {
			inside = 0
			if (bad)
				printf "%s", report
		}
		next
	}
	$0 ~ excused			{ alone = 1 }
	alone && /^Call Trace:/		{ alone = 0; next }
					{ print }
	END				{ if (inside && bad) printf "%s", report }'
}

# What the kernel says when something is wrong: one extended regular expression of all lines of the list.
for list in "$DIR/complaints" "$DIR/../scripts/upliftlib/kernel/complaints"; do
	[ -r "$list" ] && break
done
if [ ! -r "$list" ]; then
	echo "$CHANGE.sh: no complaints beside it: install the selftests, and run it there" >&2
	exit 2
fi
FAULTS="^ *($(awk '!/^#/ && NF { printf "%s%s", between, $0; between = "|" }' "$list"))"

# A log without KCSAN's reports: the lab judges them, from the whole console (scripts/upliftlib/kernel/log.py), as a
# kernel has data races of its own. A report with another complaint between its lines stays.
without_races()
{
	FAULTS=$FAULTS awk '
	!inside && /^=+$/ && length == 66 {
		inside = 1
		race = other = 0
		report = $0
		next
	}
	!inside {
		print
		next
	}
	{
		report = report "\n" $0
		if (/BUG: KCSAN: /)
			race = 1
		else if (!/^=+$/ && $0 ~ ENVIRON["FAULTS"])
			other = 1
	}
	/^=+$/ && length == 66 {
		inside = 0
		if (!race || other)
			print report
	}
	END {
		if (inside)
			print report
	}'
}

# faults: the lines of a log, without stamps, that tell of a fault
faults()
{
	grep -E "$FAULTS"
}

# no_faults: nothing in the log since it is followed tells of a fault
no_faults()
{
	kill -0 "$FOLLOWER" 2>/dev/null || complain "the log outran us: nothing known of it" || return
	log_line "uplift selftest $$ log" || complain "the log does not come round" || return
	log_since "$MARK" >"$TMP/said"
	races=$(grep -c '^BUG: KCSAN: ' "$TMP/said")
	[ "$races" = 0 ] || ktap_print_msg "data races that KCSAN reports, left to the lab: $races"
	without_races <"$TMP/said" | unexcused >"$TMP/log"
	! faults <"$TMP/log" >"$TMP/faults" ||
		{ sed 's/^/# /' "$TMP/faults" | head -n 20; return 1; }
}

# tainted_by_us: the taint is what it was when TAINT was read, and what an unsigned module from outside the tree adds
tainted_by_us()
{
	ours=4096
	# A kernel that knows no signatures (CONFIG_MODULE_SIG) does not miss one.
	[ ! -e /sys/module/module/parameters/sig_enforce ] || ours=$((ours | 8192))
	is=$(cat /proc/sys/kernel/tainted)
	[ "$is" = $((TAINT | ours)) ] ||
		complain "tainted is $is, was $TAINT: not what out of tree (4096) and unsigned (8192) make of it"
}

# Modules.

# load FILE [PARAMETER...]: leaves the errno's name in $TMP/errno
load()
{
	"$DIR/module_call" load "$@" >"$TMP/errno"
}

# refused ERRNO[|ERRNO] FILE [PARAMETER...]: loading must fail, with that
refused()
{
	errno=$1
	shift
	! load "$@" || complain "${1##*/} loaded" || return
	grep -qxE "$errno" "$TMP/errno" ||
		complain "${1##*/} refused with $(cat "$TMP/errno"), not $errno"
}

# Replaced where there is something to clean up after a test that failed.
after_failure()
{
	:
}

# ensure_core: loads uplift.ko
ensure_core()
{
	is_loaded uplift || load "$CORE_KO" || complain "uplift.ko: $(cat "$TMP/errno")"
}

# Changes, see above.

# all_changes: their names
all_changes()
{
	{
		for file in "$DIR"/*_change.sh; do
			[ ! -r "$file" ] || basename "$file" _change.sh
		done
		all_backports
	} | sort -u | tr '\n' ' '
}

# all_backports: names of those in modules/backports, which selftests/Makefile lists where it installs
all_backports()
{
	if [ -r "$DIR/backports" ]; then
		cat "$DIR/backports"
	else
		for file in "$DIR"/../modules/backports/*/manifest.toml; do
			[ ! -r "$file" ] || basename "$(dirname "$file")"
		done
	fi
}

# What holds for a change that says nothing else.
# shellcheck disable=SC2034,SC2317 # used by the scripts that source this
no_facts()
{
	REDIRECTS='' QUICK='' IF_NATIVE='' LIVEPATCH='' BAD_PARAMETERS='' FILES='' STEADY='' TAKES_PATH='' SYMBOLS=''
	REALTIME='' NO_DEBUGFS=refuses STORM='' STORM_LOADED=''
	SWITCH=arm ON=null OFF=off
	works() { :; }
	writes() { :; }
	switch_load() { skip "$CHANGE has no load to switch under"; }
}

# of_change NAME: the one that is looked at from here on, with its facts
of_change()
{
	CHANGE=$1
	MODULE=uplift_$1
	UPLIFT=$DEBUG/uplift/$1
	CHANGE_KO=$(find_ko "$MODULE")
	no_facts
	# shellcheck disable=SC2034 # used by the scripts that source this
	! all_backports | grep -qx "$1" || { REDIRECTS=1; STORM=$1; }
	# shellcheck source=/dev/null
	[ ! -r "$DIR/$1_change.sh" ] || . "$DIR/$1_change.sh"
}

# load_change [PARAMETER...]: its module, quickly; where the kernel has the change with the parameters that this takes.
# Leaves the parameters in LOADED_WITH.
load_change()
{
	LOADED_WITH="$QUICK $*"
	# shellcheck disable=SC2086 # words
	! load "$CHANGE_KO" $LOADED_WITH || return 0
	# Newer kernels keep EEXIST for themselves and make a module's own EBUSY.
	[ -n "$IF_NATIVE" ] && grep -qxE "EEXIST|EBUSY" "$TMP/errno" || return
	LOADED_WITH="$LOADED_WITH $IF_NATIVE"
	# shellcheck disable=SC2086
	load "$CHANGE_KO" $LOADED_WITH
}

# need_change NAME [PARAMETER...]: loads its module and the core; skips the test where there is no such module, or where
# it refuses this kernel, with the errno and what the log says
need_change()
{
	of_change "$1"
	shift
	[ -n "$CORE_KO" ] && [ -n "$CHANGE_KO" ] || skip "no uplift.ko and $MODULE.ko here" || return
	ensure_core || return
	log_line "uplift selftest $$ load $CHANGE"
	! load_change "$@" || return 0
	errno=$(cat "$TMP/errno")
	log_line "uplift selftest $$ not loaded $CHANGE"
	why=$(log_since "uplift selftest $$ load $CHANGE" | sed -n "s/^$MODULE: //p" | head -n 1)
	case $errno in
	EEXIST|EBUSY|ENODEV|EOPNOTSUPP) skip "$MODULE refuses with $errno: $why" ;;
	*)	complain "$MODULE.ko does not load: $errno: $why" ;;
	esac
}

# turn on|off: what SWITCH is; a change without it is on while it is loaded
turn()
{
	[ -n "$SWITCH" ] || return 0
	case $1 in
	on)	echo "$ON" ;;
	off)	echo "$OFF" ;;
	esac >"$UPLIFT/$SWITCH"
}

# unload_change: turned off, its module goes
unload_change()
{
	! is_loaded "$MODULE" || turn off || complain "$MODULE cannot be turned off" || return
	loop_until 100 ensure_unloaded 2>/dev/null || complain "$MODULE stays"
}

ensure_unloaded()
{
	! is_loaded "$MODULE" || rmmod "$MODULE"
}

# unload_changes NAME...: when a script ends, whatever happened to it
unload_changes()
{
	for name; do
		of_change "$name"
		! is_loaded "$MODULE" || turn off
		ensure_unloaded
	done 2>/dev/null
}

# check_only: ONLY names tests that there are
check_only()
{
	for test in ${ONLY:-$TESTS}; do
		case " $TESTS " in
		*" $test "*) ;;
		*) echo "$CHANGE.sh: no test '$test'; there are: $TESTS" >&2; exit 2 ;;
		esac
	done
}

# run_tests [WORD...]: those of ONLY, or TESTS; the words tell what this run is like
run_tests()
{
	check_only
	about="$(uname -r), $FORM$*"
	# shellcheck disable=SC2086 # names without blanks
	set -- ${ONLY:-$TESTS}
	ktap_set_plan $#
	ktap_print_msg "$about"
	for test; do
		"test_$test"
		case $? in
		0)	ktap_test_pass "$test" ;;
		"$KSFT_SKIP") ktap_test_skip "$test" ;;
		*)	ktap_test_fail "$test"
			after_failure ;;
		esac
	done
	ktap_finished
}
