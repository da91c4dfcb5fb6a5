# SPDX-License-Identifier: GPL-2.0-only
"""One form of what was found, and its renderings: text, Markdown, HTML, KCIDB."""
