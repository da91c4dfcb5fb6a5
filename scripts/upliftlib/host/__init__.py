# SPDX-License-Identifier: GPL-2.0-only
"""`uplift probe`, `doctor` and `bench`: the machine that they run on."""
