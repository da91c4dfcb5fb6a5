#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_verity.ko on the running kernel: files of an XFS get the digests that
# fsverity and ext4 give, a flipped bit is seen by every way of reading, what would
# change a file is refused, power may be lost at any moment, and the module and the
# filesystem come and go. Needs root; takes over the RAM disks /dev/ram0 and /dev/ram1.
#
# usage: verity.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   FILES          files whose digests are compared (short 12; long 1000)
#   FLIPS          bits that are flipped (short 6; long 1000)
#   CUTS           moments at which power is lost (short 6; long 200)
#   LOADS          loads and unloads under readers (short 4; long 1000)
#   UPLIFT_KO_DIR  where uplift.ko and uplift_verity.ko are (see find_ko)
#   ONLY           names of the tests to run, as KTAP prints them (all)
#
# Uses brd, xfs and ext4, fsverity, mkfs.xfs, mkfs.ext4, xfs_io, xfs_repair and lsattr;
# tests of a missing one are skipped. Exit: 0 pass, 1 fail, 2 usage, 4 skip. Output is
# KTAP.

CHANGE=verity
DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ ! -r "$DIR/lib.sh" ]; then
	echo "verity.sh: no lib.sh beside it: install the selftests, and run it there" >&2
	exit 2
fi
# shellcheck source=selftests/lib.sh
. "$DIR/lib.sh"

FORM=${1:-${FORM:-short}}
case $FORM in
short)	: "${FILES:=12}" "${FLIPS:=6}" "${CUTS:=6}" "${LOADS:=4}"; MOST=300000 ;;
long)	: "${FILES:=1000}" "${FLIPS:=1000}" "${CUTS:=200}" "${LOADS:=1000}"; MOST=67108864 ;;
*)	echo "usage: verity.sh [short|long]" >&2; exit 2 ;;
esac

DISK=/dev/ram0
OTHER=/dev/ram1
MOUNTS=$DEBUG/uplift/verity/mounts
SIDE=.uplift-verity
FILE=$DIR/verity_file
TESTS="load naming not_named digests refused attributes flips opened_before evicted remounted"
TESTS="$TESTS small_blocks reflinked power_cuts left_over copied_attribute several gone_with_file"
TESTS="$TESTS unload_open loads_under_readers ftrace_off overlay repaired unloaded kernel_log"

ktap_print_header
[ "$(id -u)" = 0 ] || skip_all "loading modules needs root"
[ -r /proc/modules ] || skip_all "this kernel has no modules"
for module in uplift_verity uplift; do
	! is_loaded $module || skip_all "$module is loaded already: rmmod uplift_verity uplift"
done
TMP=$(mktemp -d) || exit 1
MNT=$TMP/xfs
MNT2=$TMP/other
OUR_DISK=; MOUNTED=; READERS=; OLD_FTRACE=
mkdir "$MNT" "$MNT2" "$TMP/overlay"

unmount_all()
{
	for place in "$TMP/overlay" "$MNT" "$MNT2"; do
		! grep -q " $place " /proc/mounts || umount "$place" || return
	done
}

cleanup()
{
	trap '' INT TERM HUP
	# shellcheck disable=SC2086 # numbers
	[ -z "$READERS" ] || kill $READERS 2>/dev/null
	[ -z "$READERS" ] || wait
	exec 7<&- 8<&- 9<&-
	[ -z "$OLD_FTRACE" ] || echo "$OLD_FTRACE" >$FTRACE 2>/dev/null
	unmount_all
	! is_loaded uplift_verity || rmmod uplift_verity 2>/dev/null
	! is_loaded uplift || rmmod uplift 2>/dev/null
	[ -z "$OUR_DISK" ] || rmmod brd 2>/dev/null
	[ -z "$FOLLOWER" ] || kill "$FOLLOWER" 2>/dev/null
	[ -z "$MOUNTED" ] || umount $DEBUG 2>/dev/null
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

CORE_KO=$(find_ko uplift)
VERITY_KO=$(find_ko uplift_verity)
if [ -z "$CORE_KO" ] || [ -z "$VERITY_KO" ]; then
	skip_all "no uplift.ko and uplift_verity.ko: make modules, or set UPLIFT_KO_DIR"
fi
modprobe xfs 2>/dev/null
grep -qw xfs /proc/filesystems || skip_all "this kernel has no xfs"
for program in fsverity mkfs.xfs; do
	command -v $program >/dev/null || skip_all "no $program"
done
if [ ! -b $OTHER ]; then
	modprobe brd rd_nr=2 rd_size=327680 2>/dev/null || skip_all "no RAM disks: brd"
	OUR_DISK=1
fi
if ! grep -q " $DEBUG debugfs" /proc/mounts; then
	mount -t debugfs debugfs $DEBUG 2>/dev/null || skip_all "no debugfs, where filesystems are named"
	MOUNTED=1
fi

follow_log
TAINT=$(cat /proc/sys/kernel/tainted)

# Helpers of the tests.

# Skips all tests on a kernel that the module refuses.
skip_unsupported()
{
	load "$CORE_KO" || return 0
	log_line "uplift selftest $$ trying"
	if load "$VERITY_KO"; then
		rmmod uplift_verity
		return
	fi
	log_line "uplift selftest $$ tried"
	why=$(log_since "uplift selftest $$ trying" | sed -n 's/^uplift_verity: //p' | head -n 1)
	[ "$EXPECT" = applicable ] || skip_all "$why"
}

ensure_loaded()
{
	is_loaded uplift_verity && return
	ensure_core || return
	load "$VERITY_KO" || complain "not loaded: $(cat "$TMP/errno")"
}

# with_xfs [OPTION...]: a new XFS at $MNT, named
with_xfs()
{
	ensure_loaded || return
	unmount_all || complain "something stays mounted" || return
	mkfs.xfs -q -f "$@" $DISK >"$TMP/mkfs" 2>&1 || complain "mkfs.xfs: $(tail -n 1 "$TMP/mkfs")" || return
	mount -t xfs $DISK "$MNT" || complain "XFS cannot be mounted" || return
	echo "$MNT" >$MOUNTS || complain "the filesystem cannot be named"
}

# Unmounted and mounted, so that nothing is in any cache, and named again.
again()
{
	umount "$MNT" || complain "it cannot be unmounted" || return
	mount -t xfs $DISK "$MNT" || complain "it cannot be mounted again" || return
	echo "$MNT" >$MOUNTS || complain "it cannot be named again"
}

# new_file FILE BYTES: random ones
new_file()
{
	head -c "$2" /dev/urandom >"$1" || complain "cannot write $1"
}

# number LIMIT: at random, below it
number()
{
	echo $((0x$(od -An -N4 -tx4 /dev/urandom | tr -d ' ') % $1))
}

# digest_of FILE: what the kernel measures
digest_of()
{
	fsverity measure "$1" 2>/dev/null | cut -d' ' -f1
}

# has_verity FILE [DIGEST]
has_verity()
{
	measured=$(digest_of "$1")
	[ -n "$measured" ] || complain "${1##*/} has no verity" || return
	[ "$measured" = "${2:-$measured}" ] || complain "${1##*/}: $measured, not $2"
}

# with_verity FILE [OPTION...]
with_verity()
{
	fsverity enable "$@" 2>"$TMP/said" || complain "$(cat "$TMP/said")"
}

# fails COMMAND...: it must
fails()
{
	! "$@" >/dev/null 2>&1 || complain "not refused: $*"
}

trees()
{
	find "$MNT/$SIDE" -type f 2>/dev/null | wc -l
}

no_trees()
{
	[ "$(trees)" = 0 ]
}

tree_of()
{
	find "$MNT/$SIDE" -name "$(stat -c %i "$1").*"
}

# The tests.

test_load()
{
	ensure_core || return
	log_line "uplift selftest $$ load"
	load "$VERITY_KO" || complain "not loaded: $(cat "$TMP/errno")" || return
	log_line "uplift selftest $$ loaded"
	[ "$(log_since "uplift selftest $$ load" | grep -c '^uplift_verity: ')" = 1 ] ||
		complain "not one line in the log" || return
	read -r verdict <$DEBUG/uplift/verity/verdict
	[ "${EXPECT:-$verdict}" = "$verdict" ] || complain "verdict $verdict, $EXPECT was expected" || return
	refused "EEXIST" "$VERITY_KO" || return
	[ -z "$(cat $MOUNTS)" ] || complain "a filesystem is named that was not"
}

# name PATH: tells how it went
name()
{
	echo "$1" 2>"$TMP/said" >$MOUNTS
}

test_naming()
{
	with_xfs || return
	fails name "$MNT" || return
	fails name "$TMP/nowhere" || return
	fails name /sys || return
	grep -q "^ram0 files 0 awake 0$" $MOUNTS || complain "listed wrongly: $(cat $MOUNTS)" || return
	echo "-$MNT" >$MOUNTS || complain "it cannot be given up" || return
	fails name "-$MNT" || return
	[ -z "$(cat $MOUNTS)" ] || complain "listed after it was given up" || return
	mkfs.xfs -q -f -m crc=0 $OTHER >/dev/null 2>&1 && mount -t xfs $OTHER "$MNT2" 2>/dev/null || return 0
	fails name "$MNT2" || return
	log_line "uplift selftest $$ old format"
	umount "$MNT2"
}

# A filesystem that is not named is as it is without the module.
test_not_named()
{
	with_xfs || return
	mkfs.xfs -q -f $OTHER && mount -t xfs $OTHER "$MNT2" || complain "no second XFS" || return
	new_file "$MNT2/plain" 100000 || return
	fails fsverity enable "$MNT2/plain" || return
	[ "$("$FILE" attribute "$MNT2/plain")" != yes ] || complain "statx() says so there" || return
	[ ! -e "$MNT2/$SIDE" ] || complain "a directory was made there" || return
	umount "$MNT2"
}

# options_of NUMBER: of fsverity
options_of()
{
	case $(($1 % 6)) in
	0)	echo "" ;;
	1)	echo "--block-size=1024" ;;
	2)	echo "--salt=00ff$(printf %02x "$(($1 % 256))")" ;;
	3)	echo "--hash-alg=sha512" ;;
	4)	echo "--hash-alg=sha512 --block-size=1024 --salt=aa" ;;
	5)	echo "--block-size=2048" ;;
	esac
}

# random_file FILE NUMBER: of any length, empty ones and ones with holes among them
random_file()
{
	case $2 in
	0)	size=0 ;;
	1)	size=1 ;;
	2)	size=4096 ;;
	3)	size=524288 ;;
	*)	size=$(number $MOST) ;;
	esac
	if [ $(($2 % 3)) = 2 ] && [ "$size" -gt 20000 ]; then
		# A hole in front of data, one behind it, and one in the middle of a block.
		truncate -s "$size" "$1" || return
		new_file "$TMP/part" 6000 || return
		dd if="$TMP/part" of="$1" bs=1 seek=$((size / 2)) count=6000 conv=notrunc 2>/dev/null
	else
		new_file "$1" "$size"
	fi
}

digest_is_right()
{
	random_file "$MNT/file" "$1" || return
	options=$(options_of "$1")
	# shellcheck disable=SC2086 # words
	want=$(fsverity digest $options "$MNT/file" | cut -d' ' -f1)
	cp "$MNT/file" "$TMP/plain" || return
	# shellcheck disable=SC2086
	with_verity "$MNT/file" $options || return
	has_verity "$MNT/file" "$want" || return
	if [ -n "$EXT4" ]; then
		cp "$TMP/plain" "$MNT2/file" || return
		# shellcheck disable=SC2086
		with_verity "$MNT2/file" $options || return
		has_verity "$MNT2/file" "$want" || return
	fi
	cmp -s "$MNT/file" "$TMP/plain" || complain "file $1 is read wrongly" || return
	rm -f "$MNT/file" "$MNT2/file" "$TMP/plain"
}

test_digests()
{
	with_xfs || return
	EXT4=
	modprobe ext4 2>/dev/null
	if mkfs.ext4 -q -F -O verity -b 4096 $OTHER 2>/dev/null && mount -t ext4 $OTHER "$MNT2" 2>/dev/null; then
		EXT4=1
	else
		ktap_print_msg "without ext4 to compare with"
	fi
	number=0
	while [ $number -lt "$FILES" ]; do
		digest_is_right $number || complain "file $number, $size bytes, $options" || return
		number=$((number + 1))
	done
	unmount_all
}

test_refused()
{
	with_xfs || return
	new_file "$MNT/file" 100000 && cp "$MNT/file" "$TMP/plain" || return
	exec 9>>"$MNT/file"
	fails fsverity enable "$MNT/file" || return
	exec 9>&-
	[ "$(trees)" = 0 ] || complain "an attempt that failed leaves a tree" || return
	fails fsverity enable --block-size=8192 "$MNT/file" || return
	fails fsverity enable "$MNT" || return
	fails fsverity measure "$MNT/file" || return
	with_verity "$MNT/file" || return
	fails fsverity enable "$MNT/file" || return
	fails sh -c "echo more >>'$MNT/file'" || return
	fails sh -c "echo >'$MNT/file'" || return
	fails truncate -s 10 "$MNT/file" || return
	fails fsverity enable "$(tree_of "$MNT/file")" || return
	fails sh -c "echo >>'$(tree_of "$MNT/file")'" || return
	if command -v xfs_io >/dev/null; then
		fails xfs_io -c "falloc 0 4096" "$MNT/file" || return
		fails xfs_io -c "reflink $TMP/plain" "$MNT/file" || return
		# From one that has verity: the copy has none.
		cp --reflink=always "$MNT/file" "$MNT/copy" 2>/dev/null || cp "$MNT/file" "$MNT/copy"
		fails fsverity measure "$MNT/copy" || return
	fi
	mv "$MNT/file" "$MNT/renamed" && ln "$MNT/renamed" "$MNT/link" && chmod 400 "$MNT/link" ||
		complain "it cannot be renamed, linked or given a mode" || return
	has_verity "$MNT/link" || return
	cmp -s "$MNT/renamed" "$TMP/plain" || complain "it is read wrongly"
}

test_attributes()
{
	with_xfs || return
	new_file "$MNT/file" 5000 && new_file "$MNT/plain" 5000 && with_verity "$MNT/file" || return
	for round in open closed; do
		[ "$("$FILE" attribute "$MNT/file")" = yes ] || complain "$round: statx() does not say so" || return
		[ "$("$FILE" attribute "$MNT/plain")" = no ] || complain "$round: statx() says so of a plain file" || return
		again || return
	done
	command -v lsattr >/dev/null && command -v chattr >/dev/null || return 0
	lsattr "$MNT/file" | grep -q "^[^ ]*V" || complain "lsattr does not say so" || return
	chattr +d "$MNT/file" || complain "chattr fails" || return
	lsattr "$MNT/file" | grep -q "^[^ ]*d[^ ]*V\|^[^ ]*V[^ ]*d" || complain "chattr lost a flag: $(lsattr "$MNT/file")"
}

# ways FILE REFERENCE EIO DIFFERS: that is what every way of reading has to give
ways()
{
	"$FILE" ways "$1" "$2" >"$TMP/ways" || complain "not read: $1" || return
	[ -s "$TMP/ways" ] || complain "nothing was read" || return
	sed 's/^[a-z_]* //' "$TMP/ways" | sort -u >"$TMP/seen"
	echo "eio:${3:+ $3} differs:${4:+ $4}" >"$TMP/right"
	cmp -s "$TMP/seen" "$TMP/right" && return
	sed 's/^/# /' "$TMP/ways"
	complain "${1##*/}: $(cat "$TMP/right") was expected"
}

# A bit of a random page of data: EIO for that page and no other; a plain file shows that bits are flipped.
flip_data()
{
	page=$(number 64) bit=$(number 8) offset=$((page * 4096 + $(number 4096)))
	for file in file plain; do
		"$FILE" flip "$MNT/$file" $offset "$bit" $DISK || complain "cannot flip a bit of $file" || return
	done
	again || return
	ways "$MNT/file" "$TMP/reference" "$page" "" && ways "$MNT/plain" "$TMP/reference" "" "$page" || return
	for file in file plain; do
		"$FILE" flip "$MNT/$file" $offset "$bit" $DISK || return
	done
}

# Of the tree: its first block is that of the root, behind it are the hashes of 128 pages each.
flip_tree()
{
	offset=$(number 2048) bit=$(number 8) tree=$(tree_of "$MNT/large")
	"$FILE" flip "$tree" $((4096 + offset)) "$bit" $DISK || complain "cannot flip a bit of the tree" || return
	again || return
	"$FILE" ways "$MNT/large" "$TMP/large" >"$TMP/ways" || complain "not read" || return
	# The block of hashes is wrong as a whole: all 128 pages below it, and no others.
	awk -v right="$(seq 0 127 | tr '\n' ' ')" '
		{ sub(/^[a-z_]* eio: /, ""); if ($0 != right "differs:") { print "# " substr($0, 1, 200); bad = 1 } }
		END { exit bad || !NR }' "$TMP/ways" || complain "not the pages that the block of the tree is for" || return
	"$FILE" flip "$tree" $((4096 + offset)) "$bit" $DISK
}

# Of the attribute: XFS's own checksum sees it, or ours. The file is not opened.
flip_attribute()
{
	offset=$((4096 - 1 - $(number 200))) bit=$(number 8)
	"$FILE" flip "$MNT/file" $offset "$bit" $DISK attribute 2>/dev/null || return 0
	umount "$MNT" && mount -t xfs $DISK "$MNT" && name "$MNT"
	fails cat "$MNT/file" || return
	fails fsverity measure "$MNT/file" || return
	cmp -s "$MNT/plain" "$TMP/reference" || complain "plain file spoiled" || return
	umount "$MNT"
	mount -t xfs $DISK "$MNT" || return
	"$FILE" flip "$MNT/file" $offset "$bit" $DISK attribute || return
	again
}

test_flips()
{
	with_xfs || return
	new_file "$TMP/reference" 262144 && new_file "$TMP/large" 1048576 || return
	cp "$TMP/reference" "$MNT/file" && cp "$TMP/reference" "$MNT/plain" && cp "$TMP/large" "$MNT/large" || return
	with_verity "$MNT/file" && with_verity "$MNT/large" || return
	sync
	ways "$MNT/file" "$TMP/reference" "" "" || return
	ktap_print_msg "ways of reading: $(sed 's/ .*//' "$TMP/ways" | tr '\n' ' ')"
	flip=0
	while [ $flip -lt "$FLIPS" ]; do
		case $((flip % 4)) in
		2)	flip_tree || return ;;
		3)	flip_attribute || return ;;
		*)	flip_data || return ;;
		esac
		flip=$((flip + 1))
	done
	again || return
	ways "$MNT/file" "$TMP/reference" "" ""
}

# Descriptors that were opened before it was enabled, direct ones among them.
test_opened_before()
{
	with_xfs || return
	new_file "$TMP/reference" 65536 && cp "$TMP/reference" "$MNT/file" || return
	sync
	mkfifo "$TMP/go" || return
	"$FILE" ways "$MNT/file" "$TMP/reference" wait <"$TMP/go" >"$TMP/ways" &
	READERS=$!
	exec 8>"$TMP/go"
	loop_until 100 grep -q ready "$TMP/ways" || complain "it is not opened" || return
	with_verity "$MNT/file" || return
	"$FILE" flip "$MNT/file" 20000 3 $DISK || return
	echo go >&8
	exec 8>&-
	wait $READERS
	ret=$?
	READERS=
	rm "$TMP/go"
	[ $ret = 0 ] || complain "not read" || return
	[ "$(sed -e /ready/d -e 's/^[a-z_]* //' "$TMP/ways" | sort -u)" = "eio: 4 differs:" ] && return
	sed 's/^/# /' "$TMP/ways"
	complain "EIO for page 4 was expected of all"
}

test_evicted()
{
	with_xfs || return
	new_file "$TMP/reference" 40000 || return
	for file in 1 2 3 4 5 6 7 8; do
		cp "$TMP/reference" "$MNT/$file" && with_verity "$MNT/$file" || return
	done
	for round in 1 2 3; do
		sync
		echo 3 >/proc/sys/vm/drop_caches
		for file in 1 2 3 4 5 6 7 8; do
			cmp -s "$MNT/$file" "$TMP/reference" || complain "round $round: $file is read wrongly" || return
			fails sh -c "echo >>'$MNT/$file'" || return
		done
	done
	sync
	echo 3 >/proc/sys/vm/drop_caches
	loop_until 50 grep -q "files 8 awake [0-7]$" $MOUNTS || complain "no inode goes: $(cat $MOUNTS)" || return
	# Without a look at it by name first.
	fails truncate -s 3 "$MNT/1" || return
	[ "$("$FILE" attribute "$MNT/2")" = yes ] || complain "statx() forgot"
}

test_remounted()
{
	with_xfs || return
	new_file "$MNT/file" 40000 && new_file "$MNT/plain" 40000 && with_verity "$MNT/file" || return
	digest=$(digest_of "$MNT/file")
	mount -o remount,ro "$MNT" || complain "not remounted read-only" || return
	fails fsverity enable "$MNT/plain" || return
	has_verity "$MNT/file" "$digest" || return
	umount "$MNT" && mount -t xfs -o ro $DISK "$MNT" && name "$MNT" || complain "cannot be named read-only" || return
	has_verity "$MNT/file" "$digest" || return
	mount -o remount,rw "$MNT" || return
	with_verity "$MNT/plain"
}

test_small_blocks()
{
	with_xfs -b size=1024 || return
	number=0
	for size in 1000 4096 5000 100000; do
		new_file "$TMP/reference" $size && cp "$TMP/reference" "$MNT/$size" || return
		want=$(fsverity digest --block-size=1024 "$MNT/$size" | cut -d' ' -f1)
		fails fsverity enable --block-size=4096 "$MNT/$size" || return
		with_verity "$MNT/$size" --block-size=1024 || return
		again || return
		has_verity "$MNT/$size" "$want" || return
		ways "$MNT/$size" "$TMP/reference" "" "" || return
	done
	"$FILE" flip "$MNT/100000" 41000 5 $DISK || return
	again || return
	ways "$MNT/100000" "$TMP/reference" "10" ""
}

# Extents that are shared, and pages that are in several.
test_reflinked()
{
	with_xfs -b size=1024 || return
	command -v xfs_io >/dev/null || skip "no xfs_io" || return
	new_file "$TMP/reference" 100000 && cp "$TMP/reference" "$MNT/a" || return
	for at in 1024 7168 9216 50176; do
		dd if="$MNT/a" bs=1024 skip=3 count=1 2>/dev/null |
			dd of="$TMP/reference" bs=1024 seek=$((at / 1024)) conv=notrunc 2>/dev/null || return
	done
	cp "$MNT/a" "$MNT/b" || return
	for at in 1024 7168 9216 50176; do
		xfs_io -c "reflink $MNT/a 3072 $at 1024" "$MNT/b" >/dev/null || complain "no reflink" || return
	done
	with_verity "$MNT/b" --block-size=1024 || return
	again || return
	ways "$MNT/b" "$TMP/reference" "" ""
}

# Power is lost: XFS stops writing at once, its log is not flushed. Mounting recovers what is there.
lose_power()
{
	for file in 1 2 3; do
		cp "$TMP/reference" "$MNT/$file" || return
	done
	sync
	(
		for file in 1 2 3; do
			fsverity enable "$MNT/$file" && echo $file >>"$TMP/enabled"
		done 2>/dev/null
	) &
	usleep "$1" 2>/dev/null || sleep "0.$(printf %06d "$1")"
	xfs_io -x -c shutdown "$MNT" || complain "no shutdown" || return
	wait $!
	again || return
	done=0
	for file in 1 2 3; do
		cmp -s "$MNT/$file" "$TMP/reference" || complain "$file is read wrongly" || return
		measured=$(digest_of "$MNT/$file")
		[ -n "$measured" ] || { ! grep -qsx "$file" "$TMP/enabled" || complain "$file was enabled, and is not" || return; continue; }
		[ "$measured" = "$want" ] || complain "$file has the digest $measured" || return
		done=$((done + 1))
	done
	[ "$(trees)" = $done ] || complain "$(trees) trees, $done files that are enabled" || return
	eval "cuts_$done=\$((cuts_$done + 1))"
	rm -f "$MNT"/[123] "$TMP/enabled"
}

# How long does it take to enable the three files, in microseconds?
enabling_takes()
{
	for file in 1 2 3; do
		cp "$TMP/reference" "$MNT/$file" || return
	done
	sync
	read -r begin rest </proc/uptime
	for file in 1 2 3; do
		with_verity "$MNT/$file" || return
	done
	read -r end rest </proc/uptime
	took=$(echo "$begin $end" | awk '{ print int(($2 - $1) * 1000000) + 20000 }')
	rm -f "$MNT"/[123]
}

test_power_cuts()
{
	with_xfs || return
	command -v xfs_io >/dev/null || skip "no xfs_io" || return
	new_file "$TMP/reference" 600000 || return
	want=$(fsverity digest "$TMP/reference" | cut -d' ' -f1)
	enabling_takes || return
	cuts_0=0 cuts_1=0 cuts_2=0 cuts_3=0
	round=0
	while [ $round -lt "$CUTS" ]; do
		lose_power $((took * round / CUTS)) || complain "cut $round" || return
		round=$((round + 1))
	done
	ktap_print_msg "of 3 files enabled: none $cuts_0, one $cuts_1, two $cuts_2, all $cuts_3 times"
	[ $((cuts_1 + cuts_2 + cuts_3)) -gt 0 ] || complain "no cut came late enough"
}

# What an interrupted enabling and an unloaded module leave goes when it is named.
test_left_over()
{
	with_xfs || return
	new_file "$MNT/file" 40000 && cp "$MNT/file" "$MNT/gone" && cp "$MNT/file" "$MNT/plain" || return
	with_verity "$MNT/file" && with_verity "$MNT/gone" || return
	echo "-$MNT" >$MOUNTS || return
	plain=$MNT/$SIDE/$(stat -c %i "$MNT/plain").1
	rm "$MNT/gone" && echo >"$plain" && echo >"$MNT/$SIDE/notes" || return
	echo "$MNT" >$MOUNTS || complain "it cannot be named" || return
	has_verity "$MNT/file" || return
	[ ! -e "$plain" ] || complain "the tree of a plain file stays" || return
	[ -e "$MNT/$SIDE/notes" ] || complain "a file that is no tree went" || return
	rm "$MNT/$SIDE/notes"
	[ "$(trees)" = 1 ] || complain "$(trees) trees of one file" || return
	echo "-$MNT" >$MOUNTS || return
	chmod 755 "$MNT/$SIDE" || return
	fails name "$MNT" || return
	chmod 700 "$MNT/$SIDE"
}

# Another file's attribute gives nothing, nor does one's own without the tree.
test_copied_attribute()
{
	with_xfs || return
	new_file "$MNT/file" 40000 && cp "$MNT/file" "$MNT/copy" && with_verity "$MNT/file" || return
	"$FILE" copy trusted.uplift.verity "$MNT/file" "$MNT/copy" || complain "cannot be copied" || return
	again || return
	fails fsverity measure "$MNT/copy" || return
	echo more >>"$MNT/copy" || complain "a plain file cannot be written to" || return
	cp "$MNT/$SIDE/$(stat -c %i "$MNT/file")".* "$MNT/$SIDE/$(stat -c %i "$MNT/copy").7" || return
	again || return
	fails fsverity measure "$MNT/copy" || return
	# A tree that is not the file's own.
	new_file "$TMP/junk" "$(stat -c %s "$(tree_of "$MNT/file")")" || return
	tree=$(tree_of "$MNT/file")
	umount "$MNT" && mount -t xfs $DISK "$MNT" || return
	cat "$TMP/junk" >"$tree" || complain "root cannot write a tree without the module" || return
	name "$MNT"
	fails cat "$MNT/file"
}

test_several()
{
	with_xfs || return
	mkfs.xfs -q -f $OTHER && mount -t xfs $OTHER "$MNT2" && name "$MNT2" || complain "no second XFS" || return
	for place in "$MNT" "$MNT2"; do
		new_file "$place/file" 70000 && with_verity "$place/file" || return
	done
	[ "$(grep -c "files 1 awake 1" $MOUNTS)" = 2 ] || complain "listed wrongly: $(cat $MOUNTS)" || return
	umount "$MNT2" || complain "it cannot be unmounted" || return
	[ "$(cat $MOUNTS)" = "ram0 files 1 awake 1" ] || complain "listed wrongly: $(cat $MOUNTS)" || return
	has_verity "$MNT/file"
}

test_gone_with_file()
{
	with_xfs || return
	new_file "$MNT/file" 70000 && with_verity "$MNT/file" || return
	exec 7<"$MNT/file"
	rm "$MNT/file"
	cat <&7 >"$TMP/read" && [ "$(wc -c <"$TMP/read")" = 70000 ] || complain "not read after it was removed" || return
	exec 7<&-
	loop_until 50 no_trees || complain "the tree stays"
}

# Files that are open stay so, and are said to be checked no longer.
test_unload_open()
{
	with_xfs || return
	new_file "$TMP/reference" 70000 && cp "$TMP/reference" "$MNT/file" && with_verity "$MNT/file" || return
	exec 7<"$MNT/file"
	log_line "uplift selftest $$ unload"
	rmmod uplift_verity || complain "open files keep the module" || return
	log_line "uplift selftest $$ unloaded"
	log_since "uplift selftest $$ unload" | grep -q "^uplift_verity: ram0: .* not checked" ||
		complain "the log does not say that files are not checked any more" || return
	cmp -s - "$TMP/reference" <&7 || complain "the open file is read wrongly" || return
	fails fsverity measure "$MNT/file" || return
	# Kernels differ in whether they know of the attribute without a filesystem that has it.
	[ "$("$FILE" attribute "$MNT/file")" != yes ] || complain "statx() still says so" || return
	"$FILE" flip "$MNT/file" 5000 1 $DISK || return
	# What has been in memory all the time is checked, too, once it is named again.
	load "$VERITY_KO" "mounts=$MNT" || complain "not loaded again: $(cat "$TMP/errno")" || return
	ways "$MNT/file" "$TMP/reference" 1 "" || return
	exec 7<&-
}

test_loads_under_readers()
{
	with_xfs || return
	new_file "$TMP/reference" 2097152 && cp "$TMP/reference" "$MNT/file" && with_verity "$MNT/file" || return
	for _ in 1 2; do
		(
			while [ ! -e "$TMP/stop" ]; do
				"$FILE" follow "$MNT/file" "$TMP/reference" 1 || { echo bad >>"$TMP/bad"; break; }
				cmp -s "$MNT/file" "$TMP/reference" || echo bad >>"$TMP/bad"
			done >>"$TMP/reads"
		) &
		READERS="$READERS $!"
	done
	round=0
	ret=0
	while [ $round -lt "$LOADS" ] && [ $ret = 0 ]; do
		rmmod uplift_verity && load "$VERITY_KO" "mounts=$MNT" && has_verity "$MNT/file" || ret=1
		round=$((round + 1))
	done
	touch "$TMP/stop"
	# shellcheck disable=SC2086 # numbers
	wait $READERS
	READERS=
	rm "$TMP/stop"
	[ $ret = 0 ] || complain "loading or unloading failed: $(cat "$TMP/errno")" || return
	[ ! -e "$TMP/bad" ] || complain "a reader saw something else" || return
	[ -s "$TMP/reads" ] || complain "nothing was read meanwhile"
}

test_ftrace_off()
{
	ensure_loaded || return
	[ -w $FTRACE ] || skip "no $FTRACE" || return
	OLD_FTRACE=$(cat $FTRACE)
	if echo 0 2>/dev/null >$FTRACE; then
		complain "ftrace could be turned off"
		return
	fi
	OLD_FTRACE=
}

test_overlay()
{
	with_xfs || return
	modprobe overlay 2>/dev/null
	grep -qw overlay /proc/filesystems || skip "this kernel has no overlayfs" || return
	mkdir "$MNT/lower" "$MNT/upper" "$MNT/work" || return
	new_file "$MNT/lower/file" 70000 && with_verity "$MNT/lower/file" || return
	over="lowerdir=$MNT/lower,upperdir=$MNT/upper,workdir=$MNT/work,metacopy=on,redirect_dir=on"
	mount -t overlay overlay -o "$over,verity=require" "$TMP/overlay" 2>/dev/null ||
		skip "no verity=require" || return
	cp "$MNT/lower/file" "$TMP/plain" || return
	chmod 600 "$TMP/overlay/file" || complain "no copy of its metadata" || return
	cmp -s "$TMP/overlay/file" "$TMP/plain" || complain "it is read wrongly" || return
	umount "$TMP/overlay" || return
	# As after a long time: nothing of it is in memory, and overlayfs is the first to look.
	sync
	echo 3 >/proc/sys/vm/drop_caches
	loop_until 50 grep -q "awake 0$" $MOUNTS || ktap_print_msg "the inode stays in memory"
	mount -t overlay overlay -o "$over,verity=require" "$TMP/overlay" || return
	cmp -s "$TMP/overlay/file" "$TMP/plain" || complain "it cannot be read once it was forgotten" || return
	umount "$TMP/overlay" || return
	mv "$MNT/lower/file" "$MNT/lower/right" && new_file "$MNT/lower/file" 70000 && with_verity "$MNT/lower/file" || return
	mount -t overlay overlay -o "$over,verity=require" "$TMP/overlay" || return
	fails cat "$TMP/overlay/file" || return
	umount "$TMP/overlay"
}

test_repaired()
{
	command -v xfs_repair >/dev/null || skip "no xfs_repair" || return
	with_xfs || return
	for file in 1 2 3; do
		new_file "$MNT/$file" 70000 && with_verity "$MNT/$file" || return
	done
	rm "$MNT/2"
	digest=$(digest_of "$MNT/1")
	umount "$MNT" || return
	xfs_repair -n $DISK >"$TMP/repair" 2>&1 || complain "$(tail -n 3 "$TMP/repair")" || return
	mount -t xfs $DISK "$MNT" && name "$MNT" || return
	has_verity "$MNT/1" "$digest"
}

test_unloaded()
{
	unmount_all || return
	! is_loaded uplift_verity || rmmod uplift_verity || complain "uplift_verity stays" || return
	! is_loaded uplift || rmmod uplift || complain "uplift stays" || return
	[ ! -e $DEBUG/uplift ] || complain "$DEBUG/uplift stays"
}

test_kernel_log()
{
	tainted_by_us && no_faults
}

after_failure()
{
	exec 7<&- 8<&- 9<&-
	unmount_all
}

check_only
skip_unsupported
run_tests ": $FILES files, $FLIPS flips, $CUTS cuts, $LOADS loads"
