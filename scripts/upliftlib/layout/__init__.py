# SPDX-License-Identifier: GPL-2.0-only
"""`uplift layout`: which structs may be made of bytes and turned into bytes, and what differs between two kernels.

For other parts of the package:

    types = layout.load(path, base=None)
    layout.Judge(types).verdict("struct foo")	-> judge.Verdict
    layout.diff(old, new, names=None)		-> diff.Diff
    layout.used_by(path, base)			-> names of the structs that a module depends on
"""

from .diff import Change, Diff, diff
from .judge import Fault, Judge, Verdict
from .modules import used_by
from .source import Source, load

__all__ = ("Change", "Diff", "Fault", "Judge", "Source", "Verdict", "diff", "load", "used_by")
