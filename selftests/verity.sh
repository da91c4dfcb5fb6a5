#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests uplift_verity.ko on the running kernel: files of an XFS get the digests that
# fsverity and ext4 give, a flipped bit is seen by every way of reading, what would
# change a file is refused, power may be lost at any moment, and the module and the
# filesystem come and go. Needs root; takes over the RAM disks /dev/ram0 to /dev/ram2.
#
# usage: verity.sh [short|long]
#
# Environment:
#   FORM           short or long, as the argument (short)
#   FILES          files whose digests are compared (short 12; long 1000)
#   FLIPS          bits that are flipped (short 7; long 1000)
#   CUTS           moments at which power is lost (short 4; long 200)
#   CHURN          seconds for which files are created, enabled, changed and removed (short 1; long 60)
#   LOADS          loads and unloads under readers (short 3; long 1000)
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
short)	: "${CHURN:=1}" "${FILES:=12}" "${FLIPS:=7}" "${CUTS:=4}" "${LOADS:=3}"; BITS=18 ;;
long)	: "${CHURN:=60}" "${FILES:=1000}" "${FLIPS:=1000}" "${CUTS:=200}" "${LOADS:=1000}"; BITS=26 ;;
*)	echo "usage: verity.sh [short|long]" >&2; exit 2 ;;
esac

DISK=/dev/ram0
OTHER=/dev/ram1
THIRD=/dev/ram2
MOUNTS=$DEBUG/uplift/verity/mounts
SIDE=.uplift-verity
FILE=$DIR/verity_file
CUT=$DIR/verity_cut
TESTS="load naming not_named digests metadata refused attributes flips opened_before evicted remounted"
TESTS="$TESTS other_users quota frozen realtime dax any_case full_disk killed churn spoiled_attribute"
TESTS="$TESTS small_blocks reflinked power_cuts lost_writes left_over copied_attribute several gone_with_file"
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
OPTIONS=; OUR_DISK=; MOUNTED=; READERS=; OLD_FTRACE=; RECORDING=
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
	[ -z "$RECORDING" ] || "$CUT" stop
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
	modprobe brd rd_nr=3 rd_size=327680 2>/dev/null || skip_all "no RAM disks: brd"
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

# new_xfs [OPTION...]: a new XFS at $MNT, mounted with $OPTIONS
new_xfs()
{
	unmount_all || complain "something stays mounted" || return
	mkfs.xfs -q -f "$@" $DISK >"$TMP/mkfs" 2>&1 || complain "mkfs.xfs: $(tail -n 1 "$TMP/mkfs")" || return
	mount -t xfs ${OPTIONS:+-o "$OPTIONS"} $DISK "$MNT" || complain "XFS cannot be mounted"
}

# with_xfs [OPTION...]: the same, named
with_xfs()
{
	ensure_loaded && new_xfs "$@" || return
	echo "$MNT" >$MOUNTS || complain "the filesystem cannot be named"
}

# Unmounted and mounted, so that nothing is in any cache, and named again.
again()
{
	umount "$MNT" || complain "it cannot be unmounted" || return
	mount -t xfs ${OPTIONS:+-o "$OPTIONS"} $DISK "$MNT" || complain "it cannot be mounted again" || return
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

# What statx() says of a file on an XFS of this kernel, without the module: no, or nothing.
stock_says()
{
	new_xfs || return
	echo >"$MNT/file"
	STOCK=$("$FILE" attribute "$MNT/file")
	[ "$STOCK" = no ] || [ "$STOCK" = unknown ] || complain "without the module statx() says $STOCK" || return
	unmount_all
}

# as_stock FILE
as_stock()
{
	said=$("$FILE" attribute "$1")
	[ "$said" = "$STOCK" ] || complain "statx() says $said, and $STOCK without the module"
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
	as_stock "$MNT2/plain" || return
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

# size_of NUMBER: of a file. What is at an edge of the tree first, then any; the larger the fewer
size_of()
{
	case $1 in
	0)	echo 0 ;;
	1)	echo 1 ;;
	2)	echo 4096 ;;
	3)	echo 524288 ;;
	4)	echo 524289 ;;
	5)	echo $((1 << BITS)) ;;
	*)	bits=$(number $BITS) other=$(number $BITS)
		[ "$bits" -lt "$other" ] || bits=$other
		echo $(((1 << bits) + $(number $((1 << bits))))) ;;
	esac
}

# random_file FILE NUMBER: ones with holes and with blocks that were never written to among them
random_file()
{
	size=$(size_of "$2")
	if [ $(($2 % 3)) != 2 ] || [ "$size" -le 20000 ]; then
		new_file "$1" "$size"
		return
	fi
	# A hole in front of data, one behind it, and one in the middle of a block.
	truncate -s "$size" "$1" || return
	if [ $(($2 % 2)) = 1 ] && command -v xfs_io >/dev/null; then
		xfs_io -c "falloc 0 $size" "$1" || return
	fi
	new_file "$TMP/part" 6000 || return
	dd if="$TMP/part" of="$1" bs=1 seek=$((size / 2)) count=6000 conv=notrunc 2>/dev/null
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
		for mode in "falloc 0 4096" "falloc -k 0 4096" "fpunch 0 4096" "fzero 0 4096" "fcollapse 0 4096" \
			    "finsert 0 4096" "funshare 0 4096" "resvsp 0 4096" "unresvsp 0 4096" "allocsp 0 4096" \
			    "pwrite 0 1" "mmap 0 4096" "mwrite 0 1" "swapext $MNT/donor" "exchangerange $MNT/donor"; do
			cp "$TMP/plain" "$MNT/donor"
			xfs_io -c "$mode" "$MNT/file" >/dev/null 2>&1
			xfs_io -r -c "$mode" "$MNT/file" >/dev/null 2>&1
		done
		for mode in swapext exchangerange reflink dedupe; do
			xfs_io -c "$mode $MNT/file" "$MNT/donor" >/dev/null 2>&1
		done
		rm "$MNT/donor"
		cmp -s "$MNT/file" "$TMP/plain" || complain "one of xfs_io's commands changed it" || return
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

# A file in which a bit is flipped each time has its own plain one beside it, in which the same bit is: that shows that it is seen.
DATA_FILES="1 2 3 4"
PAGES=16	# of such a file
MANY=132	# of the one with a tree of two levels: hashes of 128 pages are in a block

# flip_later POSITION BIT: on the disk, once it is unmounted; a second time takes it back
flip_later()
{
	echo "$1 $2" >>"$TMP/flips"
}

flip_now()
{
	while read -r position bit; do
		"$FILE" flip_at $DISK "$position" "$bit" || return
	done <"$TMP/flips"
}

# Chooses a bit of each: of files' data, of a tree, of a descriptor, and of an inode where that is kept.
choose_flips()
{
	: >"$TMP/flips"
	for file in $DATA_FILES; do
		page=$(number $PAGES) bit=$(number 8) offset=$((page * 4096 + $(number 4096)))
		eval "page_$file=$page"
		for copy in data plain; do
			at=$("$FILE" where "$MNT/$copy.$file" $offset) || complain "where is $copy.$file?" || return
			flip_later "$at" "$bit"
		done
	done
	# Of the root, or of one of the two blocks with hashes of pages behind it.
	block=$(number 3)
	at=$("$FILE" where "$(tree_of "$MNT/many")" $((block * 4096 + $(number 4096)))) || complain "where is the tree?" || return
	flip_later "$at" "$(number 8)"
	value=$(number 100000)
	"$FILE" flip_value trusted.uplift.verity "$value" "$MNT/described" || return
	# shellcheck disable=SC2046 # numbers
	set -- $("$FILE" inode "$MNT/inode" $DISK)
	flip_later $(($1 + $(number "$2"))) "$(number 8)"
}

# The pages that have hashes in a block of the tree, and no others.
tree_is_seen()
{
	case $block in
	0)	wrong=$(seq -s " " 0 $((MANY - 1))) ;;
	1)	wrong=$(seq -s " " 0 127) ;;
	2)	wrong=$(seq -s " " 128 $((MANY - 1))) ;;
	esac
	ways "$MNT/many" "$TMP/many" "$wrong" ""
}

flips_are_seen()
{
	for file in $DATA_FILES; do
		eval "page=\$page_$file"
		ways "$MNT/data.$file" "$TMP/data" "$page" "" && ways "$MNT/plain.$file" "$TMP/data" "" "$page" || return
	done
	tree_is_seen || return
	for file in described inode; do
		fails cat "$MNT/$file" || return
		fails fsverity measure "$MNT/$file" || return
	done
}

nothing_is_flipped()
{
	for file in $DATA_FILES; do
		ways "$MNT/data.$file" "$TMP/data" "" "" || return
	done
	ways "$MNT/many" "$TMP/many" "" "" || return
	for file in described inode; do
		has_verity "$MNT/$file" "$digest" && ways "$MNT/$file" "$TMP/data" "" "" || return
	done
}

# again_with COMMAND: runs it while nothing is mounted
again_with()
{
	umount "$MNT" && "$1" && mount -t xfs $DISK "$MNT" || complain "it cannot be mounted again" || return
	name "$MNT" || complain "it cannot be named again"
}

test_flips()
{
	with_xfs || return
	new_file "$TMP/data" $((PAGES * 4096)) && new_file "$TMP/many" $((MANY * 4096)) || return
	for file in $DATA_FILES; do
		cp "$TMP/data" "$MNT/data.$file" && cp "$TMP/data" "$MNT/plain.$file" && with_verity "$MNT/data.$file" || return
	done
	cp "$TMP/many" "$MNT/many" && with_verity "$MNT/many" || return
	for file in described inode; do
		cp "$TMP/data" "$MNT/$file" && with_verity "$MNT/$file" || return
	done
	digest=$(digest_of "$MNT/inode")
	again && nothing_is_flipped || return
	ktap_print_msg "ways of reading: $(sed 's/ .*//' "$TMP/ways" | tr '\n' ' ')"
	flip=0
	while [ $flip -lt "$FLIPS" ]; do
		choose_flips && again_with flip_now && flips_are_seen || complain "$flip flips before" || return
		"$FILE" flip_value trusted.uplift.verity "$value" "$MNT/described" && again_with flip_now || return
		flip=$((flip + 7))
	done
	nothing_is_flipped || return
	ktap_print_msg "$flip bits, of seven each four of data, one of a tree, a descriptor, and an inode that has one"
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

# What fs/verity gives of it is what fsverity makes of the same file.
test_metadata()
{
	with_xfs || return
	new_file "$MNT/file" 700000 || return
	fsverity digest --block-size=1024 --salt=77 --out-merkle-tree="$TMP/tree" --out-descriptor="$TMP/descriptor" \
		"$MNT/file" >"$TMP/said" || skip "fsverity does not write metadata" || return
	with_verity "$MNT/file" --block-size=1024 --salt=77 || return
	again || return
	for kind in merkle_tree:tree descriptor:descriptor; do
		fsverity dump_metadata ${kind%:*} "$MNT/file" >"$TMP/found" || complain "no ${kind%:*}" || return
		cmp -s "$TMP/found" "$TMP/${kind#*:}" || complain "${kind%:*} is another" || return
	done
	# The tree that is kept is the same, too.
	cmp -s "$(tree_of "$MNT/file")" "$TMP/tree" || complain "the tree that is kept is another"
}

# tree_begun FILE: it is being enabled
tree_begun()
{
	[ -n "$(tree_of "$1")" ]
}

# Who may write to a file may enable it; its tree is root's all the same.
test_other_users()
{
	with_xfs || return
	chmod 755 "$TMP" && chmod 777 "$MNT" || return
	new_file "$MNT/file" 70000 && new_file "$MNT/others" 70000 || return
	chown 1000 "$MNT/file" && chmod 644 "$MNT/file" "$MNT/others" || return
	fails "$FILE" enable "$MNT/others" 1000 || return
	no_trees || complain "an attempt that failed leaves a tree" || return
	"$FILE" enable "$MNT/file" 1000 || complain "its owner cannot enable it" || return
	has_verity "$MNT/file" "$(fsverity digest "$MNT/file" | cut -d' ' -f1)" || return
	[ "$(stat -c %u:%a "$(tree_of "$MNT/file")")" = 0:400 ] || complain "the tree is not root's alone" || return
	# Whoever is the first to open it after it was named.
	for user in 1000 2000; do
		sync
		echo 3 >/proc/sys/vm/drop_caches
		"$FILE" read "$MNT/file" $user || complain "user $user cannot read it" || return
		again || return
		echo 3 >/proc/sys/vm/drop_caches
		"$FILE" read "$MNT/file" $user || complain "user $user cannot read it once it was mounted again" || return
	done
}

# A tree is root's for quota as well. The attribute is not, and may take a block.
test_quota()
{
	command -v xfs_quota >/dev/null || skip "no xfs_quota" || return
	OPTIONS=uquota
	with_xfs
	ret=$?
	OPTIONS=
	[ $ret = 0 ] || return
	# Its tree has 9 blocks.
	new_file "$MNT/file" 4194304 && chown 1000 "$MNT/file" && chmod 755 "$TMP" "$MNT" && sync || return
	xfs_quota -x -c "limit -u bhard=4096k 1000" "$MNT" || skip "no quota" || return
	before=$(xfs_quota -x -c "report -u -b -n -N" "$MNT" | awk '$1 == "#1000" { print $2 }')
	[ "$before" = 4096 ] || complain "$before KiB are counted of 4096" || return
	"$FILE" enable "$MNT/file" 1000 || complain "its owner, whose quota is full, cannot enable it" || return
	sync
	after=$(xfs_quota -x -c "report -u -b -n -N" "$MNT" | awk '$1 == "#1000" { print $2 }')
	[ "$after" -le $((before + 4)) ] || complain "$before KiB are the owner's, and $after when it is enabled" || return
	has_verity "$MNT/file"
}

# While it is frozen: it is read, is not enabled, and neither module nor thawing waits for the other.
test_frozen()
{
	with_xfs || return
	command -v xfs_io >/dev/null || skip "no xfs_io" || return
	new_file "$TMP/reference" 70000 && cp "$TMP/reference" "$MNT/file" && cp "$TMP/reference" "$MNT/plain" || return
	with_verity "$MNT/file" && new_file "$MNT/gone" 70000 && with_verity "$MNT/gone" || return
	exec 7<"$MNT/gone"
	rm "$MNT/gone" && sync || return
	xfs_io -x -c freeze "$MNT" || complain "it cannot be frozen" || return
	exec 7<&-
	ways "$MNT/file" "$TMP/reference" "" "" || { xfs_io -x -c thaw "$MNT"; return 1; }
	"$FILE" enable "$MNT/plain" 2>/dev/null &
	enabling=$!
	sleep 1
	rmmod uplift_verity &
	unloading=$!
	sleep 1
	kill -0 $enabling 2>/dev/null || complain "a frozen filesystem is written to"
	frozen=$?
	xfs_io -x -c thaw "$MNT" || complain "it cannot be thawed" || return
	wait $unloading || complain "the module stays" || return
	wait $enabling
	[ $frozen = 0 ] && load "$VERITY_KO" "mounts=$MNT" || return
	has_verity "$MNT/file" || return
	loop_until 50 trees_fit || complain "$(trees) trees"
}

# trees_are COUNT
trees_are()
{
	[ "$(trees)" = "$1" ]
}

# As many as there are files with verity.
trees_fit()
{
	have=0
	for file in "$MNT"/*; do
		[ -z "$(digest_of "$file")" ] || have=$((have + 1))
	done
	[ "$(trees)" = $have ]
}

# Data that is on a device of its own.
test_realtime()
{
	OPTIONS=rtdev=$OTHER
	with_xfs -r rtdev=$OTHER -d rtinherit=1 || { OPTIONS=; skip "no realtime device"; return; }
	new_file "$TMP/reference" 300000 && cp "$TMP/reference" "$MNT/file" && with_verity "$MNT/file" &&
		"$FILE" flip "$MNT/file" 50000 2 $OTHER && again && ways "$MNT/file" "$TMP/reference" 12 ""
	ret=$?
	if [ $ret = 0 ]; then
		xfs_io -r -c "lsattr" "$MNT/file" | grep -q r || complain "it is not on the realtime device"
		ret=$?
	fi
	unmount_all
	OPTIONS=
	return $ret
}

# Names in which case does not matter are looked up by another function.
test_any_case()
{
	mkfs.xfs -q -f -n version=ci $DISK >/dev/null 2>&1 && mount -t xfs $DISK "$MNT" 2>/dev/null ||
		skip "no names in which case does not matter" || return
	with_xfs -n version=ci || return
	new_file "$TMP/reference" 70000 && cp "$TMP/reference" "$MNT/File" && with_verity "$MNT/fILE" || return
	sync
	echo 3 >/proc/sys/vm/drop_caches
	fails sh -c "echo >>'$MNT/FILE'" || return
	"$FILE" flip "$MNT/file" 5000 1 $DISK && again || return
	[ "$("$FILE" attribute "$MNT/fiLe")" = yes ] || complain "statx() does not say so" || return
	ways "$MNT/FILE" "$TMP/reference" 1 ""
}

# What is read past the page cache cannot be checked. Such a device takes a kernel that was given memory for it:
# memmap=512M!1G.
test_dax()
{
	ensure_loaded || return
	unmount_all || return
	grep -q memmap= /proc/cmdline || skip "no memmap= on the kernel's command line" || return
	modprobe nd_e820 2>/dev/null
	modprobe nd_pmem 2>/dev/null
	loop_until 20 [ -b /dev/pmem0 ] || skip "no /dev/pmem0" || return
	mkfs.xfs -q -f /dev/pmem0 && mount -t xfs -o dax=always /dev/pmem0 "$MNT" || skip "no DAX" || return
	name "$MNT" || complain "it cannot be named" || return
	new_file "$MNT/file" 70000 || return
	log_line "uplift selftest $$ dax"
	fails fsverity enable "$MNT/file" || return
	log_line "uplift selftest $$ refused"
	log_since "uplift selftest $$ dax" | grep -q "^uplift_verity: pmem0: .*(DAX)" || complain "the log does not say why" || return
	no_trees || complain "an attempt that failed leaves a tree" || return
	echo >>"$MNT/file" || complain "it cannot be written to after that"
}

# No room for the tree, or for what describes it.
test_full_disk()
{
	with_xfs || return
	new_file "$MNT/file" 2000000 && cp "$MNT/file" "$TMP/reference" || return
	# Files of one block that are taken away one by one until it works.
	dd if=/dev/zero of="$MNT/filler" bs=1M 2>/dev/null
	dd if=/dev/zero of="$MNT/more" bs=4k 2>/dev/null
	sync
	fails fsverity enable "$MNT/file" || return
	no_trees || complain "an attempt that failed leaves a tree" || return
	fails fsverity measure "$MNT/file" || return
	echo >>"$MNT/file" || complain "it cannot be written to after that" || return
	truncate -s 2000000 "$MNT/file"
	rm "$MNT/more" "$MNT/filler"
	with_verity "$MNT/file" || return
	cmp -s "$MNT/file" "$TMP/reference" || complain "it is read wrongly"
}

# A large file takes long: whoever enables it can be stopped.
test_killed()
{
	with_xfs || return
	truncate -s 200G "$MNT/file" || return
	fsverity enable "$MNT/file" 2>/dev/null &
	enabling=$!
	loop_until 50 tree_begun "$MNT/file" || complain "it does not begin" || return
	fails fsverity enable "$MNT/file" || return
	kill -9 $enabling
	wait $enabling
	no_trees || complain "a tree is left" || return
	fails fsverity measure "$MNT/file" || return
	truncate -s 5000 "$MNT/file" || complain "it cannot be truncated after that" || return
	with_verity "$MNT/file" || return
	# Nor is unloading in the way of it, or waits for its end.
	truncate -s 200G "$MNT/large" || return
	fsverity enable "$MNT/large" 2>/dev/null &
	enabling=$!
	loop_until 50 tree_begun "$MNT/large" || complain "it does not begin" || return
	rmmod uplift_verity || complain "what enables a file keeps the module" || return
	! wait $enabling || complain "it is enabled without the module" || return
	load "$VERITY_KO" "mounts=$MNT" || return
	[ "$(trees)" = 1 ] || complain "$(trees) trees of one file"
}

# Everything at once.
test_churn()
{
	with_xfs || return
	mkdir "$MNT/dir" || return
	began=$(cut -d. -f1 /proc/uptime)
	jobs=
	for seed in 1 2 3; do
		"$FILE" churn "$MNT/dir" "$CHURN" $seed >"$TMP/churn.$seed" 2>&1 &
		jobs="$jobs $!"
	done
	ret=0
	for job in $jobs; do
		wait "$job" || ret=1
	done
	ktap_print_msg "$(cat "$TMP"/churn.* | tr '\n' ' ')in $(($(cut -d. -f1 /proc/uptime) - began)) s"
	[ $ret = 0 ] || complain "what must not be was seen" || return
	for round in before after; do
		have=0
		for file in "$MNT/dir"/*; do
			measured=$(digest_of "$file")
			[ -n "$measured" ] || continue
			have=$((have + 1))
			[ "$measured" = "$(fsverity digest "$file" | cut -d' ' -f1)" ] || complain "$file: another digest" || return
		done
		loop_until 50 trees_are $have || complain "$(trees) trees, $have files that are enabled" || return
		again || return
	done
}

# Attributes that root made, or that a disk spoiled: such a file is not opened.
test_spoiled_attribute()
{
	with_xfs || return
	new_file "$MNT/file" 70000 && new_file "$MNT/plain" 70000 && with_verity "$MNT/file" || return
	for value in short "$(head -c 3000 /dev/zero | tr '\0' x)"; do
		"$FILE" set trusted.uplift.verity "$value" "$MNT/plain" || return
		cat "$MNT/plain" >/dev/null || complain "a plain file with an attribute and no tree is not read" || return
		"$FILE" set trusted.uplift.verity "$value" "$MNT/file" || return
		again || return
		fails cat "$MNT/file" || return
		fails fsverity measure "$MNT/file" || return
		fails sh -c "echo >>'$MNT/file'" || return
		[ "$(trees)" = 1 ] || complain "a tree whose attribute is damaged went" || return
		cat "$MNT/plain" >/dev/null || complain "a plain file with an attribute and no tree is not read" || return
	done
	rm "$MNT/file"
	loop_until 50 no_trees || complain "the tree of a file that is gone stays"
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

# After power was lost: each of three files is as it was, enabled or not, and those of $TMP/enabled are;
# there is no tree more.
cut_is_right()
{
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
	again && cut_is_right || return
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
	cuts_show
}

cuts_show()
{
	ktap_print_msg "of 3 files enabled: none $cuts_0, one $cuts_1, two $cuts_2, all $cuts_3 times"
	[ $((cuts_1 + cuts_2 + cuts_3)) -gt 0 ] || complain "no cut came late enough"
}

# Three files are enabled; what is written to the disk meanwhile is recorded on $OTHER.
record_enabling()
{
	with_xfs || return
	new_file "$TMP/reference" "$(number 600000)" || return
	want=$(fsverity digest "$TMP/reference" | cut -d' ' -f1)
	for file in 1 2 3; do
		cp "$TMP/reference" "$MNT/$file" || return
	done
	umount "$MNT" && "$CUT" save $DISK "$TMP/before" || complain "the disk cannot be kept" || return
	device=$("$CUT" record $DISK $OTHER) || complain "nothing can be recorded" || return
	RECORDING=1
	loop_until 50 [ -b "$device" ] && mount -t xfs "$device" "$MNT" && name "$MNT" ||
		complain "$device cannot be mounted" || return
	for file in 1 2 3; do
		with_verity "$MNT/$file" && "$CUT" mark $file || return
	done
	umount "$MNT" && "$CUT" stop || return
	RECORDING=
}

# lose_writes ENTRY SEED: what was not flushed is lost, or not, by chance
lose_writes()
{
	"$CUT" lose "$TMP/before" $OTHER $THIRD "$1" "$2" >"$TMP/enabled" || complain "nothing is lost" || return
	mount -t xfs $THIRD "$MNT" || complain "it cannot be mounted" || return
	name "$MNT" || complain "it cannot be named" || return
	cut_is_right && umount "$MNT" || return
	[ $(($2 % 10)) != 0 ] || xfs_repair -n $THIRD >"$TMP/repair" 2>&1 || complain "$(tail -n 3 "$TMP/repair")"
}

# The disk has a cache that forgets: of what was written since the last flush any part is there.
test_lost_writes()
{
	ensure_loaded || return
	[ -b $THIRD ] || skip "no $THIRD" || return
	modprobe dm-log-writes 2>/dev/null
	[ -c /dev/mapper/control ] && [ -d /sys/module/dm_log_writes ] || skip "no dm-log-writes" || return
	cuts_0=0 cuts_1=0 cuts_2=0 cuts_3=0
	round=0
	while [ $round -lt "$CUTS" ]; do
		if [ $((round % 20)) = 0 ]; then
			record_enabling || complain "recording before cut $round" || return
			entries=$("$CUT" count $OTHER)
		fi
		entry=$(number $((entries + 1)))
		lose_writes "$entry" $round || complain "cut $round, entry $entry of $entries" || return
		round=$((round + 1))
	done
	rm -f "$TMP/enabled" "$TMP/before"
	cuts_show
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
	as_stock "$MNT/file" || return
	! lsattr "$MNT/file" 2>/dev/null | grep -q "^[^ ]*V" || complain "lsattr still says so" || return
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
				"$FILE" follow "$MNT/file" "$TMP/reference" 2 || { echo bad >>"$TMP/bad"; break; }
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
	[ -s "$TMP/reads" ] || complain "nothing was read meanwhile" || return
	ktap_print_msg "$LOADS loads, $(awk '{ reads += $1 } END { print reads }' "$TMP/reads") reads meanwhile"
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
	[ -z "$RECORDING" ] || "$CUT" stop
	RECORDING=
	OPTIONS=
}

check_only
skip_unsupported
stock_says || exit 1
run_tests ": $FILES files, $FLIPS flips, $CUTS cuts, $LOADS loads"
