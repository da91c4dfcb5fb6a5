# SPDX-License-Identifier: GPL-2.0-only
"""Initramfs images and what goes into them: kernel modules in order, programs with their libraries.

The archive is written here (cpio "newc", which is all the kernel reads) and not by a program, so that it needs no
root and no scratch directory, and comes out the same, byte for byte, for the same contents.
"""

import collections
import lzma
import os
import pathlib
import re
import shutil
import stat
import struct
import subprocess
import zlib

from ..base import console, errors

_MAX = 0xffffffff		# newc has eight hex digits for a size


class Archive:
    """A tree for the guest. A path that is added twice is what it was added as last."""

    def __init__(self):
        self.entries = {}	# path without the leading slash -> (mode, bytes | Path | None)

    @staticmethod
    def _name(path):
        parts = [part for part in str(path).split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            raise errors.Problem(f"'{path}' is not a path that a file can have in the guest", errors.USAGE)
        return "/".join(parts)

    def _follow(self, name):
        """The name with its parents' links to directories followed, as /usr/bin -> /bin."""
        for _ in range(40):
            for parent in reversed(pathlib.PurePosixPath(name).parents[:-1]):
                mode, data = self.entries.get(str(parent), (0, None))
                if stat.S_ISLNK(mode):
                    to = pathlib.PurePosixPath("/", parent.parent, os.fsdecode(data))
                    name = self._name(os.path.normpath(to / pathlib.PurePosixPath(name).relative_to(parent)))
                    break
            else:
                return name
        raise errors.Problem(f"'/{name}' leads in circles in the guest", errors.USAGE)

    def _add(self, path, mode, data):
        name = self._follow(self._name(path))
        for parent in pathlib.PurePosixPath(name).parents:
            if str(parent) != ".":
                entry = self.entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, None))
                if not stat.S_ISDIR(entry[0]):
                    raise errors.Problem(f"'/{name}' cannot be in the guest: '/{parent}' is no directory there",
                                      errors.USAGE)
        self.entries[name] = (mode, data)

    def dir(self, path, mode=0o755):
        """A directory."""
        self._add(path, stat.S_IFDIR | mode, None)

    def link(self, path, to):
        """A symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, os.fsencode(str(to)))

    def text(self, path, text, mode=0o644):
        """A file with this text."""
        self._add(path, stat.S_IFREG | mode, text if isinstance(text, bytes) else text.encode())

    def copy(self, path, source):
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

    def __contains__(self, path):
        return self._follow(self._name(path)) in self.entries

    def size(self):
        """Bytes that the contents will take in the guest's memory."""
        return sum(data.stat().st_size if isinstance(data, pathlib.Path) else len(data)
                   for _, data in self.entries.values() if data is not None)

    def write(self, path):
        """Write the archive."""
        with open(path, "wb") as file:
            for number, name in enumerate(sorted(self.entries), 1):
                mode, data = self.entries[name]
                if isinstance(data, pathlib.Path):
                    data = data.read_bytes()
                self._member(file, number, name, mode, data or b"")
            self._member(file, 0, "TRAILER!!!", 0, b"")

    @staticmethod
    def _member(file, number, name, mode, data):
        name = os.fsencode(name) + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        file.write(head + bytes(-len(head) % 4))
        file.write(data + bytes(-len(data) % 4))


# Kernel modules.

def plain(name):
    """A module's name as the kernel has it: 'crc32c-intel' and 'crc32c_intel.ko.xz' are the same one."""
    return re.sub(r"\.ko(\.\w+)?$", "", pathlib.PurePosixPath(name).name).replace("-", "_")


def decompress(path):
    """A module's bytes. Debian's are plain (6.1) or xz (later)."""
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise errors.Problem(f"cannot read the module {path}: {error.strerror}", errors.USAGE) from None
    try:
        if data[:6] == b"\xfd7zXZ\0":
            return lzma.decompress(data)
        if data[:2] == b"\x1f\x8b":
            return zlib.decompress(data, wbits=31)
        if data[:4] == b"\x28\xb5\x2f\xfd":
            if not shutil.which("zstd"):
                raise errors.Problem(f"{path.name} is compressed with zstd: apt-get install zstd")
            return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    except (lzma.LZMAError, zlib.error, subprocess.CalledProcessError) as error:
        raise errors.Problem(f"{path} does not decompress: {error}") from None
    if data[:4] != b"\x7fELF":
        raise errors.Problem(f"{path} is no kernel module")
    return data


def modinfo(data, key):
    """The values of a key in a module's .modinfo."""
    return [value.decode(errors="replace") for value in re.findall(rb"\0" + key.encode() + rb"=([^\0]*)", data)]


def release_of(vmlinuz):
    """The release that a bzImage says it is (Documentation/arch/x86/boot.rst: kernel_version)."""
    with open(vmlinuz, "rb") as file:
        head = file.read(0x10000)
    if len(head) < 0x210 or head[0x202:0x206] != b"HdrS":
        raise errors.Problem(f"{vmlinuz} is no bzImage", errors.USAGE)
    offset = struct.unpack_from("<H", head, 0x20e)[0] + 0x200
    return head[offset:head.index(b"\0", offset)].split()[0].decode()


class Modules:
    """The modules of one kernel, as depmod described them.

    @tree: lib/modules/<release>
    """

    def __init__(self, tree):
        self.tree = pathlib.Path(tree)
        self.path = {}		# name -> path below tree
        self.needs = {}		# name -> names, as modules.dep lists them: nearest first
        self.soft = {}		# name -> names wanted before it, if there
        self.builtin = set()
        if not (self.tree / "modules.dep").is_file():
            raise errors.Problem(f"no modules.dep in {self.tree}: run depmod -b on that tree")
        for line in self._lines("modules.dep"):
            path, _, needs = line.partition(":")
            self.path[plain(path)] = path
            self.needs[plain(path)] = [plain(need) for need in needs.split()]
        for line in self._lines("modules.builtin"):
            self.builtin.add(plain(line))
        for line in self._lines("modules.softdep"):
            words = line.split()
            if words[:1] == ["softdep"] and len(words) > 2:
                self.soft[plain(words[1])] = self._before(words[2:])
        self.alias = collections.defaultdict(list)	# those without wildcards, as soft dependencies use them
        for line in self._lines("modules.alias"):
            words = line.split()
            if len(words) == 3 and not set("*?[") & set(words[1]):
                self.alias[words[1]].append(plain(words[2]))

    def _lines(self, name):
        try:
            return (self.tree / name).read_text().splitlines()
        except FileNotFoundError:
            return []

    @staticmethod
    def _before(words):
        names, take = [], False
        for word in words:
            if word in ("pre:", "post:"):
                take = word == "pre:"
            elif take:
                names.append(word)
        return names

    def resolve(self, wanted):
        """Names in loading order, everything that they need included; a built-in one needs nothing.

        Without modules.builtin (Debian's 7.1 and later have it elsewhere) an unknown name may be built in; the
        caller's script finds out.
        """
        order, under_way = [], []

        def visit(name, why):
            if name in order:
                return
            if name in under_way:
                raise errors.Problem(f"modules need each other in a circle: {' -> '.join(under_way + [name])}")
            if name not in self.path:
                if why is None and name not in self.builtin:
                    raise errors.Problem(f"{self.tree.name} has no module '{name}'"
                                      + self._like(name), errors.USAGE)
                return
            under_way.append(name)
            for need in reversed(self.needs[name]):
                if need not in self.path and need not in self.builtin:
                    raise errors.Problem(f"'{name}' needs '{need}', which {self.tree} lacks")
                visit(need, name)
            # soft dependencies are often drivers of hardware that a guest lacks: take those that are there
            for word in self.soft.get(name, []):
                for need in [plain(word)] if plain(word) in self.path else self.alias.get(word, []):
                    if need not in under_way:
                        visit(need, name)
            under_way.pop()
            order.append(name)

        for name in wanted:
            visit(plain(name), None)
        return order

    def _like(self, name):
        like = [other for other in self.path if name[:4] in other][:6]
        return f" (there are: {' '.join(sorted(like))})" if len(name) > 3 and like else ""

    def has(self, name):
        """Is there such a module file?"""
        return plain(name) in self.path

    def aliases(self, names):
        """The lines of modules.alias and modules.symbols that lead to these modules."""
        names = set(names)
        lines = []
        for file in ("modules.alias", "modules.symbols"):
            for line in self._lines(file):
                words = line.split()
                if len(words) == 3 and words[0] == "alias" and plain(words[2]) in names:
                    lines.append(line)
        return lines


def add_modules(archive, modules, wanted, kos):
    """Put stock modules and ours into an archive, so that modprobe finds both; returns our modules' names in order.

    Stock modules lie where the distribution has them, decompressed. Ours lie in /modules as well, for insmod.
    """
    tree = f"lib/modules/{modules.tree.name}"
    own = {}
    for ko in kos:
        data = decompress(ko)
        own[plain(ko)] = (data, [plain(need) for need in ",".join(modinfo(data, "depends")).split(",") if need])
        magic = modinfo(data, "vermagic")
        if magic and magic[0].split()[0] != modules.tree.name:
            raise errors.Problem(f"{pathlib.Path(ko).name} was built for {magic[0].split()[0]}, "
                              f"the guest runs {modules.tree.name}")
    foreign = [need for _, needs in own.values() for need in needs if need not in own]
    stock = modules.resolve(list(wanted) + foreign)
    lines = []
    for name in stock:
        path = re.sub(r"(\.ko)\.\w+$", r"\1", modules.path[name])
        archive.text(f"{tree}/{path}", decompress(modules.tree / modules.path[name]))
        needs = [re.sub(r"(\.ko)\.\w+$", r"\1", modules.path[need])
                 for need in modules.needs[name] if need in modules.path]
        lines.append(f"{path}: {' '.join(needs)}".rstrip())

    order = []

    def visit(name):
        if name in own and name not in order:
            for need in own[name][1]:
                visit(need)
            order.append(name)

    for name in own:
        visit(name)
    for name in order:
        data, needs = own[name]
        archive.text(f"{tree}/updates/{name}.ko", data)
        archive.link(f"modules/{name}.ko", f"/{tree}/updates/{name}.ko")
        closure = [other for other in reversed(order[:order.index(name)]) if other in needs]
        paths = [f"updates/{other}.ko" for other in closure]
        for need in reversed(modules.resolve([need for need in needs if need not in own])):
            paths.append(re.sub(r"(\.ko)\.\w+$", r"\1", modules.path[need]))
        lines.append(f"updates/{name}.ko: {' '.join(paths)}".rstrip())
    archive.text(f"{tree}/modules.dep", "".join(line + "\n" for line in lines))
    archive.text(f"{tree}/modules.alias", "".join(line + "\n" for line in modules.aliases(stock)))
    archive.text(f"{tree}/modules.builtin", "".join(name + ".ko\n" for name in sorted(modules.builtin)))
    archive.dir("modules")
    return order


# Programs.

def needed(path):
    """(interpreter or None, libraries' names, directories that it wants searched first) of an ELF file."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x7fELF\x02\x01":
        return None, [], []
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    interpreter, dynamic, loads = None, None, []
    for index in range(count):
        kind, _, at, addr, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        if kind == 1:
            loads.append((addr, at, length))
        elif kind == 2:
            dynamic = (at, length)
        elif kind == 3:
            interpreter = data[at:data.index(b"\0", at)].decode()
    if not dynamic:
        return interpreter, [], []
    tags = list(struct.iter_unpack("<QQ", data[dynamic[0]:dynamic[0] + dynamic[1]]))
    strings = next((value for tag, value in tags if tag == 5), None)
    for addr, at, length in loads:
        if strings is not None and addr <= strings < addr + length:
            strings = strings - addr + at
            break
    names, directories = [], []
    for tag, value in tags:
        if tag == 0:
            break
        if tag in (1, 15, 29):		# DT_NEEDED, DT_RPATH, DT_RUNPATH
            start = strings + value
            text = data[start:data.index(b"\0", start)].decode()
            if tag == 1:
                names.append(text)
            else:
                directories += text.split(":")
    return interpreter, names, directories


def add_program(archive, root, path, where=None):
    """Put a program of the build root into an archive, with the libraries and the loader that it needs."""
    root = pathlib.Path(root)
    source = root / str(path).lstrip("/")
    libraries = [root / name for name in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "usr/lib64")]
    archive.copy(where or path, source)
    todo, seen = [source], set()
    while todo:
        interpreter, names, directories = needed(todo.pop())
        # a private one (Debian's fio has libraries that have such); found later in the one place where all are put
        libraries += [root / name.lstrip("/") for name in directories if name.startswith("/")]
        if interpreter and interpreter not in archive:
            archive.copy(interpreter, (root / interpreter.lstrip("/")))
        for name in names:
            if name in seen:
                continue
            seen.add(name)
            library = next((folder / name for folder in libraries if (folder / name).exists()), None)
            if library is None:
                raise errors.Problem(f"{path} needs {name}, which the build root lacks")
            archive.copy(f"lib/x86_64-linux-gnu/{name}", library)
            todo.append(library)
