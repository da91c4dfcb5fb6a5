# SPDX-License-Identifier: GPL-2.0-only
"""The stock kernels that the lab knows: scripts/targets.toml, which says what its entries mean.

    TABLE      targets, oldest first
    VARIANTS   other flavours of them, on which some module must refuse: taken when they are named, never evaluated
    use()      which targets a part of the lab takes when none is named, best first
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from typing import Any

from . import errors, paths

FILE = paths.TOP / "scripts" / "targets.toml"
COMPILER = "gcc-14"	# what Debian 13 builds its kernels with


@dataclasses.dataclass(frozen=True)
class PoolFile:
    """A file of the archive's pool that no index lists any more."""
    path: str
    size: int
    sha256: str

    @property
    def package(self) -> str:
        """The package's name, which a file's name begins with."""
        return self.path.rsplit("/", 1)[1].partition("_")[0]


@dataclasses.dataclass(frozen=True)
class Spec:
    """One entry of the table."""
    name: str
    suites: tuple[str, ...]	# looked at in this order; the first that has the series wins
    release: str		# what `uname -r` says, as a pattern
    why: str
    version: str = ""		# only this package version (pinned targets)
    pool: Mapping[str, PoolFile] = dataclasses.field(default_factory=dict)	# package name -> file
    compiler: str = COMPILER
    reference: bool = False	# has the changes: shown to compare with
    variant_of: str = ""
    storm_without: str = ""	# jobs of the storm, see the table

    @property
    def series(self) -> str:
        """The two numbers, of a variant too: as Debian names the source."""
        return self.name.partition("-")[0]


def _spec(name: str, entry: Mapping[str, Any], **more: Any) -> Spec:
    files = [PoolFile(**file) for file in entry.get("pool", ())]
    fields: dict[str, Any] = {**entry, **more}
    fields["suites"] = tuple(fields["suites"])
    fields["pool"] = {file.package: file for file in files}
    return Spec(name, **fields)


def _variant(name: str, entry: Mapping[str, Any], of: Spec) -> Spec:
    return _spec(name, {key: value for key, value in entry.items() if key != "of"}, suites=of.suites,
                 compiler=of.compiler, variant_of=of.name)


def read(text: str) -> tuple[dict[str, Spec], dict[str, Spec], dict[str, tuple[str, ...]]]:
    """(targets, variants, uses) of the table's text; Problem where it is not of that form."""
    try:
        data = tomllib.loads(text)
        table = {name: _spec(name, entry) for name, entry in data["target"].items()}
        variants = {name: _variant(name, entry, table[entry["of"]]) for name, entry in data.get("variant", {}).items()}
        uses = {key: tuple(names) for key, names in data["use"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise errors.Problem(f"{FILE}: {type(problem).__name__}: {problem}") from None
    for key, names in uses.items():
        if not names or set(names) - set(table):
            raise errors.Problem(f"{FILE}: [use] {key} names no target, or one that is not in the table")
    return table, variants, uses


def _load() -> tuple[dict[str, Spec], dict[str, Spec], dict[str, tuple[str, ...]]]:
    try:
        return read(FILE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise errors.Problem(f"no {FILE}: is the tree whole?") from None


TABLE, VARIANTS, _USES = _load()


def use(what: str) -> tuple[str, ...]:
    """The targets that a part of the lab takes when none is named, best first."""
    return _USES[what]


def spec(name: str) -> Spec:
    """The table's entry for a name; a bad name says which are good."""
    try:
        return (TABLE | VARIANTS)[name]
    except KeyError:
        raise errors.Problem(f"no target '{name}'; there are: {' '.join(TABLE)}, and to see it refuse "
                             f"{' '.join(VARIANTS)} (another kernel: --kernel bzImage --modules DIR)",
                             errors.USAGE) from None


def evaluated(name: str) -> Spec:
    """The same, of a kernel that can be evaluated."""
    if name in VARIANTS:
        raise errors.Problem(f"nothing is evaluated on {name}, which is there to see what refuses: scripts/uplift lab "
                             f"selftests {name}; to evaluate there are: {' '.join(TABLE)}", errors.USAGE)
    return spec(name)
