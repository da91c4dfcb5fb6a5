# SPDX-License-Identifier: GPL-2.0-only
"""The front door: what `uplift probe`, `doctor`, `bench` and `report` do on the machine that they stand on."""
