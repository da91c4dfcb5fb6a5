#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In a guest that counts instructions: a read of the list in every arm; see [measure] in about.toml.

dir=/sys/kernel/debug/uplift/fslist

# Three rounds per arm: where the allocator happens to stand can cost an open a few per cent all through a round (6.1).
bench()
{
	for round in 1 2 3; do
		/selftests/fslist_bench --file "$2" >/tmp/bench || exit
		sed "s/^{/{\"arm\":\"$1\",\"round\":$round,/" /tmp/bench >>/out/bench
	done
}

# a list as long as a real machine's
modprobe ext4 && modprobe xfs || exit
# what the boot put off is done by then; sleeping costs nothing, as an idle guest's clock jumps
sleep 5
cp /proc/filesystems /out/list
bench off /proc/filesystems
insmod /modules/uplift.ko || exit
option=
if ! insmod /modules/uplift_fslist.ko 2>/out/refused; then
	option=native=1
	if ! insmod /modules/uplift_fslist.ko $option 2>>/out/refused; then
		dmesg | sed -n 's/.*\] uplift_fslist: //p' | tail -n 1 >/out/verdict
		exit 0
	fi
fi
cat $dir/verdict >/out/verdict
cmp /proc/filesystems /proc/filesystems_cached || exit
cmp /proc/filesystems /proc/filesystems_uncached || exit
# the cache is not used until the change that its own loading might have raced with is over
sleep 1
bench loaded /proc/filesystems
bench null /proc/filesystems_uncached
bench new /proc/filesystems_cached
cat $dir/stats >/out/stats
rmmod uplift_fslist || exit
bench off_again /proc/filesystems
insmod /modules/uplift_fslist.ko permanent=1 $option || exit
cat /proc/filesystems_cached >/dev/null
sleep 1
bench permanent /proc/filesystems_cached
cmp /proc/filesystems /proc/filesystems_cached || exit
echo "the list has $(wc -l </out/list) entries, $(wc -c </out/list) bytes" >/out/notes
