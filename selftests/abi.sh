#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compares docs/ABI/testing with the running modules: every file, node and
# parameter that is documented exists with the mode that is documented, and
# every one that exists is documented. One test for each module that is here;
# one that refuses to load on this kernel is skipped. Needs root.
#
# usage: abi.sh
#
# The mode is in the parentheses that a description begins with: "(RO, 0444)".
# Without one: in debugfs 0400 (RO) or 0600 (RW), elsewhere 0444 or 0644. A
# path that ends in / is a directory, which has 0755; <name> stands for any.
#
# Environment:
#   UPLIFT_KO_DIR  where the modules are (see find_ko in lib.sh)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is KTAP.

CHANGE=abi
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/redirect_lib.sh" ]; then
	echo "abi.sh: no redirect_lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/redirect_lib.sh
. "$DIR/redirect_lib.sh"
# shellcheck disable=SC2034 # printed by run_tests
FORM=abi

# Beside this script where it is installed.
DOCS=$(grep -ls '^What:' "$DIR"/../docs/ABI/testing/* "$DIR"/*fs-uplift*)

# documented: lines "path mode" of all entries
documented()
{
	# shellcheck disable=SC2086 # files without blanks
	awk '
	function flush(i)
	{
		for (i = 1; i <= count; i++) {
			if (paths[i] ~ /\/$/)
				mode = "755"
			else if (match(text, /^\(R[OW], 0[0-7][0-7][0-7]\)/))
				mode = substr(text, 7, 3)
			else if (text ~ /^\(R[OW]/) {
				mode = (text ~ /^\(RO/) ? "4" : "6"
				mode = mode ((paths[i] ~ /^\/sys\/kernel\/debug\//) ? "00" : "44")
			} else
				mode = "none"
			print paths[i], mode
		}
		count = 0
		text = ""
	}
	/^What:/ { if (text != "") flush(); paths[++count] = $2; inside = 0; next }
	/^Description:/ { inside = 1; sub(/^Description:[ \t]*/, "") }
	inside && text == "" { sub(/^[ \t]*/, ""); text = $0 }
	END { flush() }' $DOCS
}

# Of one change, or of the core alone: the rest is other modules'.
of_change()
{
	case $CHANGE in
	core)	grep -E '^(/sys/kernel/debug/uplift/ |/sys/module/uplift/)' ;;
	*)	grep -E "^(/sys/kernel/debug/uplift/$CHANGE/|/sys/module/$MODULE/|/proc/${PROC:-none})" ;;
	esac
}

# existing: lines "path mode" of what is there
existing()
{
	{
		case $CHANGE in
		core)	echo /sys/kernel/debug/uplift ;;
		*)	find "$UPLIFT" ;;
		esac
		find "/sys/module/$MODULE/parameters" -type f 2>/dev/null
		printf '%s\n' /proc/[!0-9]* | grep -vxFf "$TMP/proc"
	} | while read -r path; do
		mode=$(stat -c %a "$path")
		[ ! -d "$path" ] || path=$path/
		echo "$path $mode"
	done
}

# Which change a node in /proc is of is said nowhere but in its description.
proc_of()
{
	# shellcheck disable=SC2086 # files without blanks
	awk -v module="$MODULE.ko" '
	/^What:/ { path = $2 }
	/^KernelVersion:/ && index($0, module) && path ~ /^\/proc\// { print substr(path, 7) }' $DOCS |
		tr '\n' '|' | sed 's/|$//; s/.*/(&)( |$)/'
}

compare()
{
	documented | of_change | sort >"$TMP/documented"
	existing | sort >"$TMP/existing"
	[ -s "$TMP/existing" ] || complain "nothing is there" || return
	awk '
	NR == FNR {
		pattern = $1
		gsub(/[.]/, "[.]", pattern)
		gsub(/<[^>]*>/, "[^/]+", pattern)
		patterns[$1] = "^" pattern "$"
		modes[$1] = $2
		next
	}
	{
		known = ""
		for (path in patterns)
			if ($1 ~ patterns[path]) {
				known = path
				seen[path] = 1
			}
		# a directory of a change needs no entry of its own
		if (known == "" && $1 ~ /\/$/) {
			if ($2 != "755") { print "# " $1 " has mode " $2 ", not 755"; bad = 1 }
		} else if (known == "") {
			print "# " $1 " is not documented"; bad = 1
		} else if (modes[known] != $2) {
			print "# " $1 " has mode " $2 ", documented is " modes[known]; bad = 1
		}
	}
	END {
		for (path in patterns)
			if (!(path in seen)) { print "# " path " is documented and not there"; bad = 1 }
		exit bad
	}' "$TMP/documented" "$TMP/existing" || return
	ktap_print_msg "$(wc -l <"$TMP/documented") entries, $(wc -l <"$TMP/existing") files and directories"
}

# Loads CHANGE's module, on a kernel that has the change with what that takes.
load_change()
{
	[ -n "$CHANGE_KO" ] || skip "no $MODULE.ko here" || return
	printf '%s\n' /proc/[!0-9]* >"$TMP/proc"
	is_loaded uplift || load "$CORE_KO" || complain "uplift.ko: $(cat "$TMP/errno")" || return
	[ "$CHANGE" != core ] || return 0
	log_line "uplift selftest $$ load $CHANGE"
	load "$CHANGE_KO" && return
	if grep -qxE "EEXIST|EBUSY" "$TMP/errno" && [ "$CHANGE" = fslist ]; then
		load "$CHANGE_KO" native=1 && return
	fi
	log_line "uplift selftest $$ not loaded $CHANGE"
	why=$(log_since "uplift selftest $$ load $CHANGE" | sed -n "s/^$MODULE: //p" | head -n 1)
	case $(cat "$TMP/errno") in
	EEXIST|EBUSY|ENODEV|EOPNOTSUPP)
		skip "$MODULE refuses with $(cat "$TMP/errno"): $why" ;;
	*)	complain "$MODULE.ko does not load: $(cat "$TMP/errno"): $why" ;;
	esac
}

# change NAME: what is there of it, compared, and gone when it is unloaded
change()
{
	CHANGE=$1
	MODULE=uplift_$1
	[ "$1" != core ] || MODULE=uplift
	UPLIFT=$DEBUG/uplift/$1
	CHANGE_KO=$(find_ko "$MODULE")
	PROC=$(proc_of)
	load_change || return
	compare
	ret=$?
	! is_loaded "$MODULE" || rmmod "$MODULE" || complain "$MODULE stays" || return
	! is_loaded uplift || rmmod uplift || complain "uplift stays" || return
	printf '%s\n' /proc/[!0-9]* | grep -vxFf "$TMP/proc" >"$TMP/left"
	[ ! -e "$DEBUG/uplift" ] && [ ! -s "$TMP/left" ] ||
		complain "stays: $(cat "$TMP/left")" || return
	return $ret
}

# Entries that no test would look at, or that say no mode, are mistakes.
test_documents()
{
	[ -n "$DOCS" ] || complain "no documents here" || return
	documented >"$TMP/all"
	[ "$(wc -l <"$TMP/all")" -gt 10 ] || complain "hardly anything is documented" || return
	! grep ' none$' "$TMP/all" >"$TMP/bad" ||
		complain "neither (RO) nor (RW): $(cut -d' ' -f1 "$TMP/bad" | tr '\n' ' ')" || return
	sort "$TMP/all" | cut -d' ' -f1 | uniq -d >"$TMP/bad"
	[ ! -s "$TMP/bad" ] || complain "documented twice: $(tr '\n' ' ' <"$TMP/bad")" || return
	for name in $CHANGES; do
		CHANGE=$name
		MODULE=uplift_$name
		PROC=$(proc_of)
		of_change <"$TMP/all"
	done >"$TMP/looked"
	! grep -vxFf "$TMP/looked" "$TMP/all" >"$TMP/bad" ||
		complain "of no module that is known here: $(cut -d' ' -f1 "$TMP/bad" | tr '\n' ' ')"
}

# The changes that are documented: a new one brings its test with it.
# shellcheck disable=SC2086 # files without blanks
CHANGES="core $(sed -n 's,^What:[[:space:]]*/sys/kernel/debug/uplift/\([a-z0-9]*\)/.*,\1,p' $DOCS /dev/null | sort -u |
		tr '\n' ' ')"
CHANGES=${CHANGES% }
for name in $CHANGES; do
	eval "test_$name() { change $name; }"
done
TESTS="documents $CHANGES kernel_log"

begin
run_tests
