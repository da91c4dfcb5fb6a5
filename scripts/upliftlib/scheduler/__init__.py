# SPDX-License-Identifier: GPL-2.0-only
"""`uplift sched`: load the scheduler, watch it, compare it with the kernel's."""
