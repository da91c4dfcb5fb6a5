# SPDX-License-Identifier: GPL-2.0-only
"""What every other part stands on; it imports nothing of the package."""
