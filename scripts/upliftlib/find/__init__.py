# SPDX-License-Identifier: GPL-2.0-only
"""`uplift find`: of a workload's hot functions, those that differ in a newer kernel.

    profile	what a workload spends in each function: perf, bpftrace, and the lab's own counts
    cfile	the functions and macros of C text
    folding	statements without what the configuration switches off
    config	the target's configuration, for both source trees
    unit	one file preprocessed, and what its functions inline
    where	which file of a tree has a function
    differ	one function in both trees
    ranking	all of it, in order
    show, picture	renderings
"""
