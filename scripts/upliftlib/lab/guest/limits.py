# SPDX-License-Identifier: GPL-2.0-only
"""How long a guest may take, how much it may say, and how large it is. Times are of the host's clock."""

import re

from ...base import errors

TIMEOUT = 300.0			# seconds from the start of QEMU to the guest's end, unless the caller knows better
PATIENCE = 5.0			# seconds for its end after that: it is sent an NMI first, and the console tells where it hung
KVM_PROBE = 15.0		# seconds for a guest that shows whether KVM works: it takes 2
CONSOLE = 16 << 20		# bytes; a guest that writes more is out of control
REPORT = 4096			# bytes: the lines of a report that belong together lie closer than this
OUT = "25%"			# of the guest's memory, for /out

_SMALLEST = 1024		# MiB of memory
_KERNEL = 384			# MiB without any files


def up_within(timeout: float) -> float:
    """Seconds in which init has to be reached: it takes 4, or 60 beside a dozen others."""
    return min(timeout, max(180, timeout / 5))


def _megabytes(mem: str) -> int:
    match = re.fullmatch(r"(\d+)([MmGg]?)", str(mem))
    if not match:
        raise errors.Problem(f"memory is given as 512M or 2G, not '{mem}'", errors.USAGE)
    return int(match[1]) * (1024 if match[2] in ("G", "g") else 1)


def memory(mem: str | None, carried: int) -> int:
    """MiB of memory for a guest that carries so many bytes of files; @mem: what the caller wants, if anything."""
    carried >>= 20
    # while it unpacks, the image and the files are both there
    enough = _KERNEL + 5 * carried // 2
    if mem is None:
        found = max(_SMALLEST, enough)
    else:
        found = _megabytes(mem)
        if found < enough - 200:
            raise errors.Problem(f"the guest carries {carried} MB of files: it needs --mem {enough}M at least, "
                                 f"not {found}M", errors.USAGE)
    return found + found % 2	# halves are whole, too
