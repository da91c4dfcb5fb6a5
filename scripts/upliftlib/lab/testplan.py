# SPDX-License-Identifier: GPL-2.0-only
"""Which scripts of selftests/ run on which target: in `make test`, and of the rest in `make torture`.

All of them run on the oldest target, the newest, and the one that `make run` takes. Kernels between those are alike, but
where a change's verdict is another than on the target before: there `make test` runs that change's script. What that leaves
out is part of `make torture`. The verdicts are those that the changes' own files say; modules of all changes are built for,
and asked for their verdict on, every target in any case.
"""

from collections.abc import Sequence

from ..base import architectures, changes, targets
from . import selftests, verdicts

BACKPORTS = "backports"		# the script that tests all modules/backports


def whole(names: Sequence[str]) -> list[str]:
    """Those of the targets on which everything runs."""
    best = next((name for name in targets.use("run") if name in names), names[0])
    return [name for name in names if name in (names[0], best, names[-1])]


def script_of(change: changes.Change) -> str:
    """The script of selftests/ that tests a change."""
    return BACKPORTS if change.backport else change.name


def differing(names: Sequence[str], name: str) -> list[str]:
    """Scripts of the changes that have another verdict on a target than on the one before it."""
    before = names[names.index(name) - 1]
    found = [script_of(change) for change in changes.load().values()
             if verdicts.expected(name, change.name) != verdicts.expected(before, change.name)]
    return [script for script in selftests.SCRIPTS if script in found]


def in_test(names: Sequence[str]) -> dict[str, list[str]]:
    """{target: scripts that `make test` runs there}, for these targets, in the order of versions."""
    names = [name for name in targets.TABLE if name in names] or list(names)
    everywhere = whole(names)
    return {name: list(selftests.SCRIPTS) if name in everywhere else differing(names, name) for name in names}


def in_torture() -> dict[str, list[str]]:
    """{target: scripts that `make test` leaves out there}."""
    return {name: [script for script in selftests.SCRIPTS if script not in scripts]
            for name, scripts in in_test(list(targets.TABLE)).items()}


def _elsewhere(names: Sequence[str], scripts: Sequence[str]) -> dict[str, list[str]]:
    """{target of another architecture: these scripts}, of those among the targets that are tested so."""
    return {f"{name}-{arch.name}": list(scripts) for arch in architectures.OTHERS for name in targets.use("elsewhere") if name in names}


def elsewhere_in_test(names: Sequence[str]) -> dict[str, list[str]]:
    """{target of another architecture: scripts that `make test` runs there}."""
    redirecting = {script_of(change) for change in changes.load().values() if change.measure()}
    return _elsewhere(names, [name for name, script in selftests.SCRIPTS.items()
                              if name in redirecting and not script.programs and not script.layouts])


def elsewhere_in_torture() -> dict[str, list[str]]:
    """{target of another architecture: scripts that `make torture` runs there}."""
    return _elsewhere(list(targets.TABLE), [*selftests.SCRIPTS, *(
        name for name in selftests.NAMED if name.startswith("poison"))])
