# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Facts of this change for the tests that all changes share: see "Changes" in lib.sh.

SWITCH=
# Filesystems can be named in a parameter; those of debugfs are then not listed.
NO_DEBUGFS=works
TAKES_PATH=mounts
STORM="verity"

# A filesystem of its own, made in the first round. The module comes and goes, what was enabled stays right.
job_verity()
{
	[ -n "$CHANGE_KO" ] && [ -b /dev/ram2 ] && command -v mkfs.xfs >/dev/null || return "$KSFT_SKIP"
	mnt=$1.mnt
	mkdir -p "$mnt"
	if [ "$ROUND" = 0 ]; then
		mkfs.xfs -q -f /dev/ram2 >"$1.txt" 2>&1 || { tail -n 1 "$1.txt"; return 1; }
	fi
	mount -t xfs /dev/ram2 "$mnt" || return
	verity_round "$1"
	ret=$?
	umount "$mnt" && return $ret
}

# verity_round NAME: files are enabled, and read by several ways while others are
verity_round()
{
	"$DIR/module_call" load "$CHANGE_KO" "mounts=$1.mnt" >"$1.errno" || {
		! grep -qx ENOMEM "$1.errno" || return 0
		# Where the kernel cannot have it.
		[ "$ROUND" != 0 ] || ! grep -qxE "EEXIST|EBUSY|ENODEV|ENOEXEC|EOPNOTSUPP" "$1.errno" || return "$KSFT_SKIP"
		echo "$MODULE.ko: $(cat "$1.errno")"
		return 1
	}
	for file in 1 2 3; do
		if [ ! -e "$1.mnt/$file" ]; then
			head -c 600000 /dev/urandom >"$1.$file" && cp "$1.$file" "$1.mnt/$file" || return
			"$DIR/verity_file" enable "$1.mnt/$file" || return
		fi
		"$DIR/verity_file" ways "$1.mnt/$file" "$1.$file" >"$1.ways" || return
		! grep -v "eio: differs:$" "$1.ways" || return
	done
	rm "$1.mnt/$((1 + ROUND % 3))"
	goes "$MODULE" "$1.errno"
}
