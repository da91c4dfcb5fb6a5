# SPDX-License-Identifier: GPL-2.0-only
"""QEMU plugins of scripts/lab/plugin/, built in the build root."""

from . import buildroot, paths, say

OUT = paths.BUILD / "cachelines"


def build(name):
    """The path of a plugin's shared object, newer than its source."""
    paths.ensure(OUT)
    source = paths.TOP / f"scripts/lab/plugin/{name}.c"
    plugin = OUT / f"{name}.so"
    with paths.lock("cachelines"):
        if not plugin.exists() or plugin.stat().st_mtime < source.stat().st_mtime:
            code, text = buildroot.output(["gcc-14", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
                                           "-shared", "-fPIC", "-o", f"{plugin}.new", source])
            if code:
                raise say.Problem(f"the plugin {name} does not build:\n{text.rstrip()}")
            plugin.with_name(f"{name}.so.new").rename(plugin)
    return plugin
