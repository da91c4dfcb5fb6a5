#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Random operations on every file and parameter of every change, see fuzz.c; then
# everything must still work, and unload. Needs root.
#
# usage: fuzz.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   FUZZ_SEED      a seed that was printed, to do the same again
#   FUZZ_OPS       operations of each thread (short 3000; long 500000)
#   FUZZ_THREADS   how many (4); with 1 a run repeats itself exactly
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=fuzz
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "fuzz.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${FUZZ_OPS:=3000}" ;;
long)	: "${FUZZ_OPS:=500000}" ;;
*)	echo "usage: fuzz.sh [short|long]" >&2; exit 2 ;;
esac
: "${FUZZ_THREADS:=4}" "${FUZZ_SEED:=}"

CHANGES=$(all_changes)
TESTS="$CHANGES together kernel_log"

# Turned on and off again, whatever was written; all files can be read; and it unloads. What it refuses on PREEMPT_RT
# refusals.sh tests.
unload_one()
{
	of_change "$1"
	is_realtime || turn on || complain "$1 cannot be turned on" || return
	turn off || complain "$1 cannot be turned off" || return
	find "$UPLIFT" -type f >"$TMP/files"
	while read -r file; do
		cat "$file" >/dev/null || complain "$file cannot be read" || return
	done <"$TMP/files"
	works || return
	unload_change
}

# files_of: options and paths for fuzz
files_of()
{
	for path in $STEADY; do
		echo "-u $path"
	done
	[ -z "$TAKES_PATH" ] || echo "-p $UPLIFT/$TAKES_PATH"
	for path in $FILES "$UPLIFT" "/sys/module/$MODULE/parameters"; do
		case " $STEADY " in
		*" $path "*) ;;
		*) [ ! -e "$path" ] || echo "$path" ;;
		esac
	done
}

# fuzz [OPTION|PATH]...
fuzz()
{
	"$DIR/fuzz" ${FUZZ_SEED:+-s "$FUZZ_SEED"} -n "$FUZZ_OPS" -t "$FUZZ_THREADS" "$@" ||
		complain "see above; FUZZ_SEED=seed repeats it"
}

one()
{
	need_change "$1" || return
	# shellcheck disable=SC2046 # paths without blanks
	fuzz $(files_of)
	ret=$?
	unload_one "$1" || ret=1
	return $ret
}

for name in $CHANGES; do
	eval "test_$name() { one $name; }"
done

# All of them at once.
test_together()
{
	paths='' ret=0 there=''
	for name in $CHANGES; do
		need_change "$name" || continue
		there="$there $name"
		paths="$paths $(files_of)"
	done
	[ -n "$there" ] || skip "no module here" || return
	# shellcheck disable=SC2086 # paths without blanks
	fuzz $paths || ret=1
	for name in $there; do
		unload_one "$name" || ret=1
	done
	! is_loaded uplift || rmmod uplift || complain "uplift stays" || ret=1
	return $ret
}

cleanup_more()
{
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
}

begin
run_tests
