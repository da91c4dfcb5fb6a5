#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest's init: mounts, runs /uplift/script, sends /out and the log to the host, powers off. contents.py fills in
# what stands between @.
#
# shellcheck shell=busybox
# shellcheck disable=SC1091 # /uplift/env is the guest's
export PATH=/sbin:/bin HOME=/root TERM=linux LC_ALL=C TMPDIR=/tmp
mount -t proc -o nosuid proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /tmp /run /out /root /uplift/log
mount -t devpts pts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
[ -d /sys/kernel/tracing ] && mount -t tracefs tracefs /sys/kernel/tracing
mount -t tmpfs -o mode=1777,size=50% tmp /tmp
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o size=@OUTSIZE@ out /out
ln -s /proc/self/fd /dev/fd
ip link set lo up
hostname guest
exec </dev/null >/dev/console 2>&1
echo "@UP@"
. /uplift/env
cd /root || poweroff -f
if [ -e /uplift/interactive ]; then
	echo "uplift-guest: a shell; what is in /out when it ends is kept"
	setsid cttyhack sh
	rc=$?
else
	mkfifo /uplift/pipe
	# stdin is closed to what runs here, or tee would wait for a daemon that the script left behind
	tee /uplift/log/output </uplift/pipe &
	tee=$!
	/uplift/script >/uplift/pipe 2>&1
	rc=$?
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 $tee 2>/dev/null || break
		sleep 0.1
	done
	kill $tee 2>/dev/null
fi
echo "uplift-guest: the script ended, status $rc"
cd /
# not "read": it takes single bytes, and a sysctl answers only the first of them
taint=$(cat /proc/sys/kernel/tainted)
dmesg >/uplift/log/dmesg 2>/dev/null
cat /proc/modules >/uplift/log/modules
modprobe -q virtio_pci
modprobe -q virtio_console
port=
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	for dir in /sys/class/virtio-ports/*; do
		read -r name <"$dir/name" && [ "$name" = @PORT@ ] && port=/dev/${dir##*/}
	done 2>/dev/null
	[ -c "$port" ] && break
	sleep 0.1
done
if [ -c "$port" ]; then
	# read twice, as tee is slow; no process is left that could change it. The sum goes last: a stream without it is
	# no result.
	kill -9 -1
	pack()
	{
		tar -c -f - out uplift/log
		echo $? >/uplift/tar
	}
	sum=$(pack | sha256sum)
	pack >"$port"
	read -r tar </uplift/tar
	echo "uplift-result 1 ${sum%% *} rc=$rc taint=$taint tar=$tar" >"$port"
	echo "uplift-guest: sent"
else
	echo "uplift-guest: no port to send the result to"
fi
poweroff -f
