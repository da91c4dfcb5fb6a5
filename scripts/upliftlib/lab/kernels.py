# SPDX-License-Identifier: GPL-2.0-only
"""A kernel on disk, ready to build for and to boot: a target that fetch.py has unpacked, one that debugkernel.py has
built, or one that the user brought."""

import dataclasses
import pathlib
import re
from typing import Any

from ..base import errors
from ..base.architectures import Architecture
from ..kernel import image

_PATHS = {"vmlinuz": "image", "moddir": "modules", "kdir": "headers", "ksrc": "source", "config": "configuration"}


@dataclasses.dataclass
class Target:
    """A kernel on disk."""
    name: str			# of the target; "own" for a kernel that the user brought
    release: str		# "6.12.117+deb13-amd64"
    version: str		# the package's version
    vmlinuz: pathlib.Path | None = None
    moddir: pathlib.Path | None = None	# holds lib/modules/<release>, as `depmod -b` wants it
    kdir: pathlib.Path | None = None	# headers; the same path in the build root
    ksrc: pathlib.Path | None = None	# pristine source tree
    config: pathlib.Path | None = None
    provenance: list[dict[str, Any]] = dataclasses.field(default_factory=list)	# a dict per package

    @property
    def arch(self) -> Architecture:
        """Its architecture."""
        return image.arch_of_kernel(self.release, self.vmlinuz)

    def part(self, name: str) -> pathlib.Path:
        """One of the paths, for what cannot do without; a Problem where it is not there."""
        found: pathlib.Path | None = getattr(self, name)
        if found is None:
            raise errors.Problem(f"{self.name}: no {_PATHS[name]} of {self.release}")
        return found

    def to_json(self) -> dict[str, Any]:
        """As json.dumps() takes it."""
        data = dataclasses.asdict(self)
        return data | {key: str(data[key]) if data[key] else None for key in _PATHS}


def config_of(target: Target) -> dict[str, str]:
    """The target's configuration: {"CONFIG_X": "y", ...}"""
    if not target.config:
        return {}
    found = re.finditer(r"^(CONFIG_\w+)=(.*)$", target.config.read_text(), re.MULTILINE)
    return {match[1]: match[2].strip('"') for match in found}
