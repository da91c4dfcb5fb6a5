# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel says of itself: its image, its types, its log."""
