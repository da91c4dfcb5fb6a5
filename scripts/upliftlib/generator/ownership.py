# SPDX-License-Identifier: GPL-2.0-only
"""What a module may bring of its own beside functions: objects that the change adds, if they are new and nothing keeps them.

An object that the kernel has, too, would be there twice: two locks, two counters. One that holds the address of a function
is one that somebody is given: a timer, a work, a table of operations. It would be used after the module has gone.
"""

from __future__ import annotations

from .compare import SPARE, Comparison
from .identity import Placement
from .objects import FUNC, OBJECT, Refused, Symbol
from .references import Kind, Reference, base_name


def check(comparison: Comparison, placement: Placement, symbol: Symbol) -> None:
    """Refused, with the symbol, unless an object of the changed file can be the module's."""
    if base_name(symbol.name) in SPARE:
        return
    _is_new(comparison, symbol)
    _keeps_no_function(comparison, placement, symbol)


def _is_new(comparison: Comparison, symbol: Symbol) -> None:
    """The unchanged file has no object of this name that is left without a counterpart: it could be this one."""
    if not comparison.new.writable(symbol.section):
        return
    name, old = base_name(symbol.name), comparison.old
    if any(other.type == OBJECT and other.defined and base_name(other.name) == name and old.writable(other.section)
           for other in comparison.unpaired()):
        raise Refused(f"the static object {name}: whether it is the one that the kernel has or a new one cannot be told")


def _keeps_no_function(comparison: Comparison, placement: Placement, symbol: Symbol) -> None:
    for reference in comparison.new.references(symbol.section, symbol.value, symbol.size):
        if _is_function(placement, reference):
            raise Refused(f"it adds {base_name(symbol.name)}, which has the address of {reference.name}(): "
                          "it may be kept, and could outlive the module")


def _is_function(placement: Placement, reference: Reference) -> bool:
    if reference.kind is Kind.EXTERN:
        place = placement.external(reference.name)
        return place is not None and placement.kernel.is_code(place.address)
    return reference.symbol is not None and reference.symbol.type == FUNC and reference.delta == 0
