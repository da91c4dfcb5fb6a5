# SPDX-License-Identifier: GPL-2.0-only
"""Changes of this tree for tests that take one, whichever it is: the first that is as they want it."""

from collections.abc import Callable, Iterator

from upliftlib.base import changes

Wanted = Callable[[changes.Change], bool]


def redirects(change: changes.Change) -> bool:
    """It has arms, a script and a directory of its own."""
    return not change.backport and "kunit" in change.about


def backport(change: changes.Change) -> bool:
    """All of its code is generated."""
    return change.backport


def inspector(change: changes.Change) -> bool:
    """It only shows."""
    return bool(change.about.get("inspector"))


def names(wanted: Wanted) -> Iterator[str]:
    """Their names; a test that there is none for fails."""
    found = [change.name for change in changes.load().values() if wanted(change)]
    assert found, f"no change {wanted.__doc__}"
    return iter(found)
