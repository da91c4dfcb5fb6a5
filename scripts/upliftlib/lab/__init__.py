# SPDX-License-Identifier: GPL-2.0-only
"""The lab: stock kernels, a tool chain for them, and guests to run them in."""
