#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The machine's own files, for shows.py; the selftest that runs next loads the module itself.

dir=/sys/kernel/debug/uplift/llc
if insmod /modules/uplift.ko && insmod /modules/uplift_llc.ko; then
	for file in verdict domains.json cas; do
		cat $dir/$file >/out/$file || exit
	done
	rmmod uplift_llc uplift || exit
else
	dmesg | sed -n 's/.*\] uplift_llc: //p' | tail -n 1 >/out/verdict
	rmmod uplift 2>/dev/null
fi
