# SPDX-License-Identifier: GPL-2.0-only
"""uplift: the package behind scripts/uplift. Each part imports only parts that stand above it here.

    base	errors, console, paths, signals, parallel work; the changes and the targets, as data
    kernel	what a kernel says of itself: image, BTF, its log
    generator	bodies of functions, of the object code of the kernel's own source; DKMS runs it
    report	one form of what was found, and its renderings
    host	probe, doctor, bench: the machine that it runs on
    inspector	caches, and which process runs where
    scheduler	`uplift sched`
    layout	`uplift layout`: structs, byte by byte
    find	`uplift find`: of a workload's hot functions, those that differ in a newer kernel
    lab		stock kernels, a tool chain, and guests to run them in
"""
