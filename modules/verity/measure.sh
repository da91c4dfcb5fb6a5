#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In a guest that counts instructions: reading files with and without verity, on a stock XFS, on one that is given
# verity, and on ext4; see [measure] in about.toml.

mounts=/sys/kernel/debug/uplift/verity/mounts

# bench ARM FILE
bench()
{
	/selftests/verity_bench --rounds 2 --batches 20 --batch-size 4 --arm "$1" --file "$2" >>/out/bench || exit
}

modprobe brd rd_nr=2 rd_size=327680 || exit
mkfs.xfs -q /dev/ram0 && mkfs.ext4 -q -b 4096 -O verity /dev/ram1 && mkdir -p /mnt/xfs /mnt/ext4 || exit
mount -t xfs /dev/ram0 /mnt/xfs && mount -t ext4 /dev/ram1 /mnt/ext4 || exit
head -c 8388608 /dev/urandom >/tmp/file || exit
for file in xfs/plain xfs/verity ext4/plain ext4/verity; do
	cp /tmp/file /mnt/$file || exit
done
rm /tmp/file
sync
# what the boot put off is done by then; sleeping costs nothing, as an idle guest's clock jumps
sleep 10
bench off /mnt/xfs/plain
if ! insmod /modules/uplift.ko || ! insmod /modules/uplift_verity.ko; then
	dmesg | sed -n 's/.*\] uplift_verity: //p' | tail -n 1 >/out/verdict
	rm /out/bench
	exit 0
fi
cat /sys/kernel/debug/uplift/verity/verdict >/out/verdict
echo /mnt/xfs >$mounts || exit
fsverity enable /mnt/xfs/verity && fsverity enable /mnt/ext4/verity || exit
sync
sleep 2
bench plain /mnt/xfs/plain
bench ext4_plain /mnt/ext4/plain
bench ext4 /mnt/ext4/verity
bench new /mnt/xfs/verity
rmmod uplift_verity || exit
sleep 2
bench off_again /mnt/xfs/plain
