# SPDX-License-Identifier: GPL-2.0-only
"""The archive of an initramfs.

It is written here (cpio "newc", which is all the kernel reads) and not by a program, so that it needs no root and no
scratch directory, and comes out the same, byte for byte, for the same contents.
"""

import os
import pathlib
import stat
from typing import BinaryIO

from ..base import console, errors, paths

Path = paths.Path
Data = bytes | pathlib.Path | None	# a file's or a link's contents; where they are; None of a directory

_MAX = 0xffffffff		# newc has eight hex digits for a size


class Archive:
    """A tree for the guest. A path that is added twice is what it was added as last."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, Data]] = {}	# path without the leading slash -> (mode, contents)

    @staticmethod
    def _name(path: Path) -> str:
        parts = [part for part in str(path).split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            raise errors.Problem(f"'{path}' is not a path that a file can have in the guest", errors.USAGE)
        return "/".join(parts)

    def _follow(self, name: str) -> str:
        """The name with its parents' links to directories followed, as /usr/bin -> /bin."""
        for _ in range(40):
            for parent in reversed(pathlib.PurePosixPath(name).parents[:-1]):
                mode, data = self.entries.get(str(parent), (0, None))
                if stat.S_ISLNK(mode) and isinstance(data, bytes):
                    to = pathlib.PurePosixPath("/", parent.parent, os.fsdecode(data))
                    name = self._name(os.path.normpath(to / pathlib.PurePosixPath(name).relative_to(parent)))
                    break
            else:
                return name
        raise errors.Problem(f"'/{name}' leads in circles in the guest", errors.USAGE)

    def _add(self, path: Path, mode: int, data: Data) -> None:
        name = self._follow(self._name(path))
        for parent in pathlib.PurePosixPath(name).parents:
            if str(parent) != ".":
                entry = self.entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, None))
                if not stat.S_ISDIR(entry[0]):
                    raise errors.Problem(f"'/{name}' cannot be in the guest: '/{parent}' is no directory there",
                                      errors.USAGE)
        self.entries[name] = (mode, data)

    def dir(self, path: Path, mode: int = 0o755) -> None:
        """A directory."""
        self._add(path, stat.S_IFDIR | mode, None)

    def link(self, path: Path, to: Path) -> None:
        """A symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, os.fsencode(str(to)))

    def text(self, path: Path, text: str | bytes, mode: int = 0o644) -> None:
        """A file with this text."""
        self._add(path, stat.S_IFREG | mode, text if isinstance(text, bytes) else text.encode())

    def copy(self, path: Path, source: Path) -> None:
        """A file, a link or a whole directory of this machine."""
        source = pathlib.Path(source)
        try:
            info = source.stat()
        except OSError as error:
            raise errors.Problem(f"cannot carry '{source}' into the guest: {error.strerror}", errors.USAGE) from None
        if stat.S_ISDIR(info.st_mode):
            self.dir(path)
            for child in sorted(source.iterdir()):
                if child.is_symlink():
                    self.link(f"{path}/{child.name}", os.readlink(child))
                elif child.is_dir() or child.is_file():
                    self.copy(f"{path}/{child.name}", child)
        elif stat.S_ISREG(info.st_mode):
            if info.st_size > _MAX:
                raise errors.Problem(f"'{source}' is too large for an initramfs ({console.size(info.st_size)})", errors.USAGE)
            self._add(path, info.st_mode, source)
        else:
            raise errors.Problem(f"cannot carry '{source}' into the guest: neither file nor directory", errors.USAGE)

    def executable(self, path: Path) -> None:
        """Whatever may read a file may run it, too."""
        name = self._follow(self._name(path))
        mode, data = self.entries[name]
        self.entries[name] = (mode | 0o111, data)

    def __contains__(self, path: Path) -> bool:
        return self._follow(self._name(path)) in self.entries

    def size(self) -> int:
        """Bytes that the contents will take in the guest's memory."""
        return sum(data.stat().st_size if isinstance(data, pathlib.Path) else len(data)
                   for _, data in self.entries.values() if data is not None)

    def write(self, path: Path) -> None:
        """Write the archive."""
        with open(path, "wb") as file:
            for number, name in enumerate(sorted(self.entries), 1):
                mode, data = self.entries[name]
                if isinstance(data, pathlib.Path):
                    data = data.read_bytes()
                self._member(file, number, name, mode, data or b"")
            self._member(file, 0, "TRAILER!!!", 0, b"")

    @staticmethod
    def _member(file: BinaryIO, number: int, path: str, mode: int, data: bytes) -> None:
        name = os.fsencode(path) + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        file.write(head + bytes(-len(head) % 4))
        file.write(data + bytes(-len(data) % 4))
