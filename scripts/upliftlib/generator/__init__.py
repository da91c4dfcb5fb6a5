# SPDX-License-Identifier: GPL-2.0-only
"""Bodies of functions, generated from the kernel's own source. Standard library only: DKMS runs it."""
