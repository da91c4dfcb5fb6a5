#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In a guest that a plugin watches: two readers of each file; see [cachelines] in about.toml. The kernel's own file and the
# node that can be unloaded are read, too, so that the instrument is seen to see.

insmod /modules/uplift.ko || exit 1
insmod /modules/uplift_fslist.ko 2>/dev/null || insmod /modules/uplift_fslist.ko native=1 || exit 1
bench="/selftests/fslist_bench --op pread_open_fd --readers 2 --ops {reads} --only-all --file"
$bench /proc/filesystems || exit
$bench /proc/filesystems_uncached || exit
$bench /proc/filesystems_cached || exit
rmmod uplift_fslist || exit
insmod /modules/uplift_fslist.ko permanent=1 2>/dev/null ||
	insmod /modules/uplift_fslist.ko permanent=1 native=1 || exit
$bench /proc/filesystems_cached || exit
cat /sys/kernel/debug/uplift/fslist/verdict >/out/verdict
