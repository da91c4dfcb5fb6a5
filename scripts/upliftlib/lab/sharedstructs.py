# SPDX-License-Identifier: GPL-2.0-only
"""Which structs a patch moves, asked of the types in an object compiled before and after it (-gbtf).

Code that stays shares its structs with code that is replaced, and objects of them are in memory already. So a new size, a
member at another place and a member that holds something else are refused, whoever uses the struct. A new name is no change.
"""

import pathlib

from .. import layout
from ..generator.objects import Refused
from ..kernel.btf_types import Types
from ..kernel.sections import Elf

_MOST = 3	# structs that a refusal names


def unmoved(before: pathlib.Path, after: pathlib.Path) -> int:
    """How many structs and unions both objects know, none of which moves. Refused if one does."""
    found = layout.diff(_types(before), _types(after), contents=True)
    moved = [(change.name, what) for change in found.changes if (what := _what(change))]
    if moved:
        more = "".join(f", of {name} ({what})" for name, what in moved[1:_MOST])
        more += f", and of {len(moved) - _MOST} more" if len(moved) > _MOST else ""
        raise Refused(f"the layout of {moved[0][0]} changes ({moved[0][1]}){more}")
    return found.same + len(found.changes)


def _types(path: pathlib.Path) -> Types:
    data = Elf(path.read_bytes(), str(path)).section(".BTF")
    if not data:
        raise Refused(f"{path.name}: compiled without types (-gbtf)")
    return Types(data, path.name)


def _what(change: layout.Change) -> str:
    """The first member that differs; "" if nothing but names does."""
    gone = [old for old, new in change.fields if old and not new]
    for old, new in change.fields:
        if new and old:
            return f"member {new.name}"
        if new:
            former = next((one for one in gone if one.memory == new.memory), None)
            if former is None:
                return f"member {new.name or 'without a name'}"
            gone.remove(former)
    if gone:
        return f"member {gone[0].name or 'without a name'}"
    return f"its size, {change.old_size} and {change.new_size} bytes" if change.resized else ""
