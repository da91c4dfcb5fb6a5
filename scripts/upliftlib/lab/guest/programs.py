# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the build root, and the libraries that they need, as the build root's own loader says."""

import pathlib
import re
import subprocess
from collections.abc import Sequence

from ...base import architectures, errors, paths
from ...base.architectures import Architecture
from ...kernel import elf
from .. import buildroot
from ..initramfs import Archive

LOADER = "/lib64/ld-linux-x86-64.so.2"
# Where a guest has all libraries, private ones (of Debian's fio) too: its loader looks there in the end.
LIBRARIES = "/lib/x86_64-linux-gnu"

# What is no dynamic program (a script, a static one) needs nothing; --verify says 0 or 2 of others.
_LIST = f"""
for program; do
	{LOADER} --verify "$program" >/dev/null 2>&1
	case $? in
	0 | 2)	{LOADER} --list "$program" || exit ;;
	esac
done
"""


def is_static(program: pathlib.Path) -> bool:
    """Does a program run without the loader?"""
    return subprocess.run([paths.ROOT / LOADER.lstrip("/"), "--verify", program], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode not in (0, 2)


def libraries(programs: Sequence[paths.Path], arch: Architecture = architectures.X86_64) -> dict[str, pathlib.Path]:
    """{path in the guest: file here} of the loader and the libraries; programs by their paths in the build root."""
    if not programs:
        return {}
    if not arch.native:
        return _foreign_libraries(programs, arch)
    code, text = buildroot.output(["sh", "-c", _LIST, "libraries", *programs])
    lacking = re.search(r"^(\S+): error while loading shared libraries: ([^:\s]+): cannot open", text, re.MULTILINE)
    if lacking:
        raise errors.Problem(f"{lacking[1]} needs {lacking[2]}, which the build root lacks")
    if code:
        raise errors.Problem(f"the build root's loader fails: {text.strip()}")
    found = {f"{LIBRARIES}/{name}": paths.ROOT / path.lstrip("/")
             for name, path in re.findall(r"^\t(\S+) => (/\S+) \(0x", text, re.MULTILINE)}
    return found | ({LOADER: paths.ROOT / LOADER.lstrip("/")} if found else {})


def _foreign_libraries(programs: Sequence[paths.Path], arch: Architecture) -> dict[str, pathlib.Path]:
    """The same where the loader cannot run here: by what the files say that they need."""
    root = buildroot.foreign(arch)
    where, found = f"lib/{arch.triplet}", {}
    todo = [root / str(program).lstrip("/") for program in programs]
    while todo:
        file = todo.pop()
        for name in elf.needed(file.read_bytes()):
            if f"/{where}/{name}" in found or name == pathlib.PurePath(arch.loader).name:
                continue
            path = next((path for path in (root / "usr" / where, root / where) for path in [path / name] if path.exists()),
                        None) or next((root / "usr" / where).rglob(name), None)
            if path is None:
                raise errors.Problem(f"{file} needs {name}, which {root} lacks")
            found[f"/{where}/{name}"] = path
            todo.append(path)
    return found | ({arch.loader: root / "usr" / arch.loader.lstrip("/")} if found else {})


def add_programs(archive: Archive, programs: Sequence[str], arch: Architecture = architectures.X86_64) -> None:
    """Put programs of the build root into an archive, with all that they need."""
    for program in programs:
        archive.copy(program, buildroot.foreign(arch) / program.lstrip("/"))
    for where, source in libraries(programs, arch).items():
        archive.copy(where, source)
