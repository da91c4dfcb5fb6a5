# SPDX-License-Identifier: GPL-2.0-only
"""QEMU plugins of scripts/upliftlib/lab/plugin/, built in the build root."""

import pathlib

from ..base import errors, paths
from . import buildroot

OUT = paths.BUILD / "cachelines"
SOURCES = paths.TOP / "scripts/upliftlib/lab/plugin"


def build(name: str) -> pathlib.Path:
    """The path of a plugin's shared object, newer than its source and the headers."""
    paths.ensure(OUT)
    source = SOURCES / f"{name}.c"
    plugin = OUT / f"{name}.so"
    with paths.lock("cachelines"):
        newest = max(path.stat().st_mtime for path in (source, *SOURCES.glob("*.h")))
        if not plugin.exists() or plugin.stat().st_mtime < newest:
            code, text = buildroot.output(["gcc-14", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
                                           "-shared", "-fPIC", "-o", f"{plugin}.new", source])
            if code:
                raise errors.Problem(f"the plugin {name} does not build:\n{text.rstrip()}")
            plugin.with_name(f"{name}.so.new").rename(plugin)
    return plugin
