# SPDX-License-Identifier: GPL-2.0-only
"""Which file of a source tree has a function: an index of all definitions, made once for a tree."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Collection, Iterator

from ..base import paths

CORE = ("arch/x86", "block", "certs", "crypto", "fs", "init", "io_uring", "ipc", "kernel", "lib", "mm", "net", "security", "virt",
        *(f"drivers/{name}" for name in ("base", "block", "char", "ata", "md", "net", "nvme", "scsi", "tty", "vhost", "virtio")))
_LEFT_OUT = {"tests", "selftests", "net/ethernet", "net/wireless", "net/dsa", "net/phy"}
_HEAD = re.compile(r"^(?:[A-Za-z_][^\n;={}#()]*[ *\t])?(?:__printf\([^)\n]*\) )?([A-Za-z_]\w*)\((?![^\n]*;[ \t]*$)", re.MULTILINE)
_SYSCALL = re.compile(r"^(?:COMPAT_)?SYSCALL_DEFINE\d\((\w+)", re.MULTILINE)
_VERSION = 4		# of the index


def _files(tree: pathlib.Path) -> Iterator[str]:
    for top in CORE:
        for at, directories, files in os.walk(tree / top):
            inside = pathlib.Path(at).relative_to(tree)
            directories[:] = sorted(name for name in directories if name not in _LEFT_OUT
                                    and "/".join((inside / name).parts[-2:]) not in _LEFT_OUT)
            yield from (str(inside / name) for name in sorted(files) if name.endswith(".c"))


def names(text: str) -> list[str]:
    """What may be defined in a file: also what is only called from the first column."""
    return list(dict.fromkeys(_HEAD.findall(text) + [f"__x64_sys_{name}" for name in _SYSCALL.findall(text)]))


class Index:
    """{file: names that it may define}"""

    def __init__(self, files: dict[str, list[str]]) -> None:
        self.files = files
        self.of: dict[str, list[str]] = collections.defaultdict(list)
        for file, found in files.items():
            for name in found:
                self.of[name].append(file)

    def best(self, name: str, symbols: Collection[str]) -> str:
        """The file whose functions are most likely those of this kernel; "" if none has it."""
        files = self.of.get(name, [])
        if len(files) < 2:
            return files[0] if files else ""

        def share(file: str) -> float:
            found = self.files[file]
            return sum(other in symbols for other in found) / len(found)
        return min(files, key=lambda file: (-share(file), file))


def index(tree: pathlib.Path) -> Index:
    """Of a tree; kept for the next time while its Makefile and directories are the same."""
    tree = tree.resolve()
    key = hashlib.sha256(f"{_VERSION} {tree} {(tree / 'Makefile').read_text(errors='replace')}".encode()).hexdigest()[:16]
    kept = paths.ensure(paths.CACHE / "find") / f"index-{key}.json"
    times = {top: (tree / top).stat().st_mtime_ns for top in CORE if (tree / top).is_dir()}
    try:
        found = json.loads(kept.read_text())
        if found["times"] == times:
            return Index(found["files"])
    except (OSError, ValueError, KeyError):
        pass
    files = {file: names((tree / file).read_text(errors="replace")) for file in _files(tree)}
    paths.write(kept, json.dumps({"times": times, "files": files}))
    return Index(files)
