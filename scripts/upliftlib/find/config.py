# SPDX-License-Identifier: GPL-2.0-only
"""The target's configuration, as both source trees are preprocessed with it.

What the target's kernel knows is as it has it. What only the newer tree knows is off if a user would have to choose it; what
follows from the architecture and the compiler is as the newer kernel's headers have it, where these are here.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re

from ..base import errors

_DEFINED = re.compile(r"^#define (CONFIG_\w+) (.*)$", re.MULTILINE)
_OPTION = re.compile(r"^[ \t]*(?:menu)?config[ \t]+(\w+)", re.MULTILINE)
_PROMPT = re.compile(r"^[ \t]+(?:(?:bool|tristate|int|hex|string)[ \t]+[\"']|prompt[ \t])", re.MULTILINE)


class Configuration:
    """values: {CONFIG_X or CONFIG_X_MODULE: its text in autoconf.h}"""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def built_in(self, name: str) -> bool:
        return self.values.get(name) == "1"

    def module(self, name: str) -> bool:
        return self.values.get(f"{name}_MODULE") == "1"

    def header(self) -> str:
        """As include/generated/autoconf.h."""
        return "".join(f"#define {name} {value}\n" for name, value in sorted(self.values.items()))

    def digest(self) -> str:
        return hashlib.sha256(self.header().encode()).hexdigest()[:16]


def read(kdir: pathlib.Path) -> Configuration:
    """Of a build directory or headers."""
    path = kdir / "include/generated/autoconf.h"
    try:
        text = path.read_text()
    except OSError:
        raise errors.Problem(f"{kdir} is no configured kernel: no include/generated/autoconf.h (linux-headers-RELEASE has it; "
                             "--kdir names it)", errors.USAGE) from None
    return Configuration(dict(_DEFINED.findall(text)))


def options(tree: pathlib.Path) -> dict[str, bool]:
    """{CONFIG_X: would a user have to choose it?} of a source tree."""
    found: dict[str, bool] = {}
    for at, directories, files in os.walk(tree):
        directories[:] = sorted(name for name in directories if name not in ("Documentation", "tools", "samples", ".git")
                                and not (at.endswith("/arch") and name != "x86"))
        for file in sorted(files):
            if file.startswith("Kconfig"):
                text = pathlib.Path(at, file).read_text(errors="replace")
                pieces = _OPTION.split(text)
                for name, body in zip(pieces[1::2], pieces[2::2]):
                    option = f"CONFIG_{name}"
                    found[option] = found.get(option, False) or bool(_PROMPT.search(body))
    return found


def for_newer(target: Configuration, old: pathlib.Path, new: pathlib.Path, newer: Configuration | None) -> Configuration:
    """The target's, with what only the newer tree has and no user chooses."""
    if newer is None:
        return target
    known, wanted = options(old), options(new)
    values = dict(target.values)
    for name, value in newer.values.items():
        option = name.removesuffix("_MODULE")
        if name not in values and option not in known and wanted.get(option) is False:
            values[name] = value
    return Configuration(values)
