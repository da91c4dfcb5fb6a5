# SPDX-License-Identifier: GPL-2.0-only
"""A module that has been built of a patch is taken again for the same patch, kernel and generator."""

from __future__ import annotations

import functools
import hashlib
import json
import pathlib
from typing import Any

from ..base import paths

_STAMP = "built.json"
_OURS = ("scripts/upliftlib/generator", "scripts/upliftlib/kernel", "modules/core", "modules/compat")
_HERE = ("trial.py", "kernelcode.py", "kmod.py")


@functools.cache
def _generator() -> bytes:
    """All of ours that has a part in what a module is made of."""
    files = [path for top in _OURS for path in sorted((paths.TOP / top).iterdir())
             if path.suffix in (".py", ".c", ".h", ".mk", ".sh") and not path.name.endswith(".mod.c") or path.name == "Kbuild"]
    files += [pathlib.Path(__file__).with_name(name) for name in _HERE]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).digest()


def key(text: str, version: str, source: str) -> str:
    """Of a patch's text, the kernel's version (a build id, where there is one), and where its source is ("": as packaged)."""
    found = hashlib.sha256(_generator())
    for word in (text.encode(errors="surrogateescape"), version.encode(), source.encode()):
        found.update(hashlib.sha256(word).digest())
    return found.hexdigest()


def kept(directory: pathlib.Path, wanted: str) -> dict[str, Any] | None:
    """What remember() was given for the same key; None if the directory has another module, or an unfinished one."""
    try:
        found = json.loads((directory / _STAMP).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("key") != wanted or not list(directory.glob("uplift_*.ko")):
        return None
    return found


def remember(directory: pathlib.Path, wanted: str, facts: dict[str, Any]) -> None:
    """A module is finished: its last file is written."""
    paths.write(directory / _STAMP, json.dumps(facts | {"key": wanted}, indent=1) + "\n")
