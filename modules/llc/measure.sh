#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In a guest that counts instructions: what tracking adds to a context switch; see [measure] in about.toml.

if ! insmod /modules/uplift.ko || ! insmod /modules/uplift_llc.ko; then
	dmesg | sed -n 's/.*\] uplift_llc: //p' | tail -n 1 >/out/verdict
	exit 0
fi
cat /sys/kernel/debug/uplift/llc/verdict >/out/verdict
sleep 10
/selftests/llc_bench --no-event 2 >/out/bench
