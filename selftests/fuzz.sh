#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Random operations on every file and parameter of every module, see fuzz.c; then
# everything must still work, and go. Needs root.
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

CHANGE=epoll
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

CHANGES="fslist llc epoll iomap pipepoll"
TESTS="$CHANGES together kernel_log"

# load_one NAME: or skips
load_one()
{
	ko=$(find_ko "uplift_$1")
	[ -n "$ko" ] || skip "no uplift_$1.ko here" || return
	is_loaded uplift || load "$CORE_KO" || complain "uplift.ko: $(cat "$TMP/errno")" || return
	case $1 in
	iomap)	load "$ko" scripts=100 ;;
	fslist) load "$ko" || load "$ko" native=1 ;;
	*)	load "$ko" ;;
	esac || skip "uplift_$1 refuses with $(cat "$TMP/errno")"
}

# Off again, whatever was written; all can be read; and it goes.
unload_one()
{
	for arm in null off; do
		[ ! -e "$DEBUG/uplift/$1/arm" ] || echo $arm >"$DEBUG/uplift/$1/arm" || complain "$1: no arm $arm" || return
	done
	[ ! -e "$DEBUG/uplift/$1/track" ] || echo 0 >"$DEBUG/uplift/$1/track" || complain "tracking stays" || return
	find "$DEBUG/uplift/$1" -type f >"$TMP/files"
	while read -r file; do
		cat "$file" >/dev/null || complain "$file cannot be read" || return
	done <"$TMP/files"
	loop_until 100 rmmod "uplift_$1" 2>/dev/null || complain "uplift_$1 stays"
}

files_of()
{
	case $1 in
	fslist)	echo /proc/filesystems_cached /proc/filesystems_uncached /proc/filesystems ;;
	esac
	for path in "$DEBUG/uplift/$1" "/sys/module/uplift_$1/parameters"; do
		[ ! -e "$path" ] || echo "$path"
	done
}

# fuzz PATH...
fuzz()
{
	"$DIR/fuzz" ${FUZZ_SEED:+-s "$FUZZ_SEED"} -n "$FUZZ_OPS" -t "$FUZZ_THREADS" "$@" ||
		complain "see above; FUZZ_SEED=seed repeats it"
}

one()
{
	load_one "$1" || return
	# shellcheck disable=SC2046 # paths without blanks
	fuzz $(files_of "$1")
	ret=$?
	unload_one "$1" || ret=1
	return $ret
}

for name in $CHANGES; do
	eval "test_$name() { one $name; }"
done

# All of them at once, with their directories.
test_together()
{
	paths='' ret=0 there=''
	for name in $CHANGES; do
		load_one "$name" || continue
		there="$there $name"
		paths="$paths $(files_of "$name")"
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
	for name in $CHANGES; do
		[ ! -e "$DEBUG/uplift/$name/arm" ] || echo off >"$DEBUG/uplift/$name/arm" 2>/dev/null
		! is_loaded "uplift_$name" || rmmod "uplift_$name" 2>/dev/null
	done
}

begin
run_tests
