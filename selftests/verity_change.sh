# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# Facts of this change for the tests that all changes share: see "Changes" in lib.sh.

SWITCH=
# Filesystems can be named in a parameter; those of debugfs are then not listed.
NO_DEBUGFS=works
TAKES_PATH=mounts
