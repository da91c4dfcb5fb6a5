#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compares docs/privileges.md with the running modules: which users can read and
# write each of their files, tried as root, as nobody, and as root of a user
# namespace; and that none of them, nor the log, shows an address of the kernel.
# One test for each change; one whose module is missing, or refuses this kernel,
# is skipped. Needs root.
#
# usage: privilege.sh
#
# Environment:
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=privilege
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "privilege.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"
# shellcheck disable=SC2034 # printed by run_tests
FORM=privilege
KPTR=/proc/sys/kernel/kptr_restrict

# Beside this script where it is installed.
for TABLE in "$DIR/privileges.md" "$DIR/../docs/privileges.md"; do
	[ ! -r "$TABLE" ] || break
done

# table: lines "path mode root others" of the document
table()
{
	# shellcheck disable=SC2016 # backquotes of the document
	sed -n 's/^| `\([^`]*\)` | \([0-7]*\) | \([rw-]*\) | \([rw-]*\) |$/\1 \2 \3 \4/p' "$TABLE"
}

# compare FOUND: what privilege found, with the table
compare()
{
	awk '
	NR == FNR {
		pattern = $1
		gsub(/[.]/, "[.]", pattern)
		gsub(/<[^>]*>/, "[^/]+", pattern)
		modes["^" pattern "$"] = $2
		roots["^" pattern "$"] = $3
		others["^" pattern "$"] = $4
		next
	}
	{
		known = ""
		for (pattern in modes)
			if ($1 ~ pattern)
				known = pattern
		if (known == "") { print "# " $1 ": not in the table"; bad = 1; next }
		if ($2 != modes[known]) { print "# " $1 ": mode " $2 ", not " modes[known]; bad = 1 }
		if ($3 != "0:0") { print "# " $1 ": belongs to " $3; bad = 1 }
		if ($4 != roots[known]) { print "# " $1 ": root may " $4 ", not " roots[known]; bad = 1 }
		for (i = 5; i <= 6; i++)
			if ($i != others[known]) { print "# " $1 ": others may " $i ", not " others[known]; bad = 1 }
		n++
	}
	END { print "# " n + 0 " files"; exit bad || !n }' "$TMP/table" "$1"
}

# files_of: the files of the module, all of them
files_of()
{
	for path in "/sys/module/$MODULE/parameters" "$UPLIFT"; do
		[ ! -e "$path" ] || echo "$path"
	done
	printf '%s\n' /proc/[!0-9]* | grep -vxFf "$TMP/proc"
}

tell_nothing()
{
	log_line "uplift selftest $$ $CHANGE was looked at"
	log_since "uplift selftest $$ look at $CHANGE" | grep '^uplift' >"$TMP/lines"
	! grep -E '(^|[^0-9a-f])(0x)?ffff[0-9a-f]{12}([^0-9a-f]|$)' "$TMP/lines" ||
		complain "an address in the log" || return
	# The kernel's own files: only root may read where the module is.
	for file in kallsyms modules; do
		! "$DIR/privilege" "/proc/$file" 2>&1 | grep "nobody reads\|namespace reads" ||
			complain "/proc/$file tells with kptr_restrict=1" || return
	done
}

# change NAME
change()
{
	[ -s "$TMP/table" ] || complain "no table in $TABLE" || return
	printf '%s\n' /proc/[!0-9]* >"$TMP/proc"
	log_line "uplift selftest $$ look at $1"
	need_change "$1" || return
	# Turned on it may have more to show.
	turn on 2>/dev/null
	# shellcheck disable=SC2046 # paths without blanks
	"$DIR/privilege" $(files_of) >"$TMP/found" 2>"$TMP/addresses"
	ret=$?
	sed 's/^/# /' "$TMP/addresses"
	compare "$TMP/found" && tell_nothing || ret=1
	unload_change || return
	[ $ret != 0 ] || cp "$TMP/found" "$TMP/seen.$1"
	return $ret
}

test_core()
{
	[ -n "$CORE_KO" ] || skip "no uplift.ko here" || return
	ensure_core || return
	[ "$(stat -c '%a %u:%g' $DEBUG/uplift)" = "755 0:0" ] || complain "$DEBUG/uplift: $(stat -c '%a %u:%g' $DEBUG/uplift)" ||
		return
	[ ! -e /sys/module/uplift/parameters ] || complain "uplift.ko has parameters, which are not in the table"
}

# Every line of the table is about a file that was seen. A change that was not looked at may have had any of them.
test_table()
{
	for name in $CHANGES; do
		grep -q "uplift[/_]$name/" "$TMP/table" || continue
		[ -s "$TMP/seen.$name" ] || skip "uplift_$name was not looked at: nothing can be said of its lines" || return
	done
	while read -r path _; do
		pattern=$(echo "$path" | sed 's/[.]/[.]/g; s/<[^>]*>/[^\/]*/g')
		cat "$TMP"/seen.* | grep -q "^$pattern " || complain "no file is $path" || return
	done <"$TMP/table"
}

CHANGES=$(all_changes)
for name in $CHANGES; do
	eval "test_$name() { change $name; }"
done
TESTS="core $CHANGES table kernel_log"

cleanup_more()
{
	[ -z "$OLD_KPTR" ] || echo "$OLD_KPTR" >$KPTR
	[ -z "$OLD_MODE" ] || chmod "$OLD_MODE" $DEBUG
	# shellcheck disable=SC2086 # names
	unload_changes $CHANGES
}

OLD_KPTR='' OLD_MODE=''
begin
table >"$TMP/table"
OLD_KPTR=$(cat $KPTR)
echo 1 >$KPTR
# Otherwise only root enters debugfs, whatever the modes of the files.
OLD_MODE=$(stat -c %a $DEBUG)
chmod 755 $DEBUG
run_tests
