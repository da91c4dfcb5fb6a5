# SPDX-License-Identifier: GPL-2.0-only
"""`uplift llc`: the last-level caches of a machine, what the scheduler takes for them, and where processes run.

    model.py	what is drawn: a machine, its domains, its processes; read from the module's JSON
    sysfs.py	the same, as far as it goes, from /sys/devices/system
    source.py	where it comes from: this machine, or a captured snapshot; and making one
    text.py, svg.py	the pictures
    command.py	the command
"""
