#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compares docs/ABI/testing with the running modules: every file, node and
# parameter that is documented exists with the mode that is documented, and
# every one that exists is documented. One test for each documented change; one
# whose module is missing, or refuses this kernel, is skipped. Needs root.
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

# entries: those of CHANGE, or of the core alone, among lines that begin with a path
entries()
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

# proc_of: a pattern of the nodes in /proc that are CHANGE's, which only their descriptions tell
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
	documented | entries | sort >"$TMP/documented"
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

# change NAME: what is there of it, compared, and gone when it is unloaded
change()
{
	printf '%s\n' /proc/[!0-9]* >"$TMP/proc"
	if [ "$1" = core ]; then
		CHANGE=core MODULE=uplift
		[ -n "$CORE_KO" ] || skip "no uplift.ko here" || return
		ensure_core
	else
		need_change "$1"
	fi || return
	PROC=$(proc_of)
	compare
	ret=$?
	ensure_unloaded || complain "$MODULE stays" || return
	! is_loaded uplift || rmmod uplift || complain "uplift stays" || return
	printf '%s\n' /proc/[!0-9]* | grep -vxFf "$TMP/proc" >"$TMP/left"
	[ ! -e "$DEBUG/uplift" ] && [ ! -s "$TMP/left" ] ||
		complain "stays: $(cat "$TMP/left")" || return
	return $ret
}

# An entry that none of the tests looks at, or without a mode, is a mistake.
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
		entries <"$TMP/all"
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
