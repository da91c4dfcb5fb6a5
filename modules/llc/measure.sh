#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In a guest that counts instructions: what tracking adds to a context switch; see [measure] in about.toml.

if ! insmod /modules/uplift.ko || ! insmod /modules/uplift_llc.ko; then
	dmesg | sed -n 's/.*\] uplift_llc: //p' | tail -n 1 >/out/verdict
	exit 0
fi
dir=/sys/kernel/debug/uplift/llc
cat $dir/verdict >/out/verdict
sleep 10
if ! /selftests/llc_bench --no-event 2 >/out/bench; then
	# Where tracking is refused, as on PREEMPT_RT, there is nothing to count.
	echo 1 2>/dev/null >$dir/track && exit 1
	rm -f /out/bench
	echo "not measured: $(dmesg | sed -n 's/.*\] uplift_llc: //p' | tail -n 1)" >/out/notes
fi
