# SPDX-License-Identifier: GPL-2.0-only
"""The types of a file: raw BTF, an image, a module, an object; DWARF goes through pahole.

A module's BTF stands on its kernel's. Where that is not given it is looked for where distributions put it.
"""

import dataclasses
import lzma
import mmap
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Iterator

from ..base import errors
from ..base.errors import Problem
from ..kernel import btf_types, bzimage
from ..kernel.btf_types import Types
from ..kernel.sections import Data, Elf, is_elf

RUNNING = pathlib.Path("/sys/kernel/btf/vmlinux")
_MOST = 1 << 31		# bytes: what a compressed file may become
_MAP = 1 << 26		# bytes: a vmlinux with DWARF is not read as a whole
_TIMEOUT = 600		# seconds for pahole: a vmlinux with DWARF takes a minute

# What layout.h leaves in a symbol table: the rule, and the type in C's words.
DECLARED = re.compile(r"LAYOUT_(FROM_BYTES|INTO_BYTES|UNALIGNED|BIG_ENDIAN|LITTLE_ENDIAN)_(?:(struct|union)_)?(\w+?)(?:\.\w+)*")


@dataclasses.dataclass(frozen=True)
class Source:
    """A file with types, and what else it says."""
    path: pathlib.Path
    types: Types
    declared: frozenset[tuple[str, str]]	# (rule of layout.h, "struct foo")
    undefined: frozenset[str]			# symbols that others have to have
    release: str				# of the kernel; "" where it does not say
    dwarf: bool					# its types were made of DWARF, all that it knows

    def own(self) -> range:
        """The numbers of the types that are not a base's."""
        return range(self.types.first, self.types.count)


@dataclasses.dataclass(frozen=True)
class _File:
    """A file's contents, unpacked."""
    path: pathlib.Path
    data: Data
    elf: Elf | None
    release: str


def load(path: pathlib.Path | str, base: "pathlib.Path | str | Types | None" = None) -> Source:
    """The types of a file; base: those of the kernel that a module is for. A Problem says what is not there."""
    file = _read(pathlib.Path(path))
    raw = _btf_of(file)
    if raw is None:
        return _from_dwarf(file)
    stripped = file.elf.section(".BTF.base") if file.elf else None
    types = _types(file, raw, stripped, base) if btf_types.is_split(raw) or stripped else Types(raw, str(path))
    return _source(file, types, False)


def declared_in(path: pathlib.Path | str) -> frozenset[tuple[str, str]]:
    """What an object declares; its types are not read for that."""
    return _declared(_read(pathlib.Path(path)))


def _declared(file: _File) -> frozenset[tuple[str, str]]:
    found = (DECLARED.fullmatch(symbol.name) for symbol in file.elf.symbols() if symbol.section) if file.elf else ()
    return frozenset((match[1], f"{match[2]} {match[3]}" if match[2] else match[3]) for match in found if match)


def _source(file: _File, types: Types, dwarf: bool) -> Source:
    undefined = frozenset(symbol.name for symbol in file.elf.symbols() if not symbol.section) if file.elf else frozenset()
    return Source(file.path, types, _declared(file), undefined, file.release, dwarf)


# --- the file ---

def _read(path: pathlib.Path) -> _File:
    data = _contents(path)
    data = _unpacked(data, path)
    elf = Elf(data, str(path)) if is_elf(data) else None
    release = _release(path, data, elf)
    return _File(path, data, elf, release)


def _contents(path: pathlib.Path) -> Data:
    """A regular file's bytes: a pipe or a device would be waited for, or never end."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise Problem(errors.of_os(problem), errors.USAGE) from None
    try:
        mode = os.fstat(fd)
        if not stat.S_ISREG(mode.st_mode):
            what = "a directory" if stat.S_ISDIR(mode.st_mode) else "no regular file"
            raise Problem(f"{path} is {what}: a module, a kernel's image or raw BTF is wanted", errors.USAGE)
        if mode.st_size > _MAP:
            return mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        with open(fd, "rb", closefd=False) as file:
            return file.read(_MAP + 1)
    finally:
        os.close(fd)


def _unpacked(data: Data, path: pathlib.Path) -> Data:
    if bzimage.is_image(data[:0x206]):
        return _image(data, path)
    if data[:6] == b"\xfd7zXZ\0" or data[:2] == b"\x1f\x8b":
        return _inflated(data, path)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return _zstd(data, path)
    return data


def _image(data: Data, path: pathlib.Path) -> bytes:
    try:
        unpacked: bytes = bzimage.unpack(data[:])
    except FileNotFoundError:
        raise Problem(f"{path} is compressed with zstd, and there is no zstd here: apt-get install zstd") from None
    except (ValueError, lzma.LZMAError, zlib.error, OSError) as problem:
        raise Problem(f"{path}: an image that cannot be unpacked ({problem})") from None
    if not unpacked:
        raise Problem(f"{path}: an image that is cut off")
    return unpacked


def _inflated(data: Data, path: pathlib.Path) -> bytes:
    try:
        if data[:2] == b"\x1f\x8b":
            stream = zlib.decompressobj(wbits=31)
            out = stream.decompress(data[:], _MOST)
            done = stream.eof
        else:
            unpacker = lzma.LZMADecompressor()
            out = unpacker.decompress(data[:], _MOST)
            done = unpacker.eof
    except (zlib.error, lzma.LZMAError) as problem:
        raise Problem(f"{path}: cannot be unpacked ({problem})") from None
    if not done:
        raise Problem(f"{path}: cannot be unpacked: cut off" if len(out) < _MOST else f"{path}: larger than 2 GiB unpacked")
    return out


def _zstd(data: Data, path: pathlib.Path) -> bytes:
    if not shutil.which("zstd"):
        raise Problem(f"{path} is compressed with zstd, and there is no zstd here: apt-get install zstd")
    result = subprocess.run(["zstd", "-dcq"], input=data[:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if result.returncode:
        raise Problem(f"{path}: cannot be unpacked ({result.stderr.decode(errors='replace').strip() or 'zstd failed'})")
    return result.stdout


def _release(path: pathlib.Path, data: Data, elf: Elf | None) -> str:
    """The kernel's, as a module's vermagic or an image's banner tells it."""
    info = elf.section(".modinfo") if elf else None
    if info:
        match = re.search(rb"(?:^|\0)vermagic=(\S+)", info)
        if match:
            return match[1].decode(errors="replace")
    if elf and elf.section(".BTF") and elf.section(".rodata"):
        match = re.search(rb"Linux version (\S+) \(", elf.section(".rodata") or b"")
        return match[1].decode(errors="replace") if match else ""
    if path == RUNNING or path.parent == RUNNING.parent:
        return os.uname().release
    return ""


def _btf_of(file: _File) -> bytes | None:
    """Raw BTF; None for an ELF file without."""
    if file.elf:
        return file.elf.section(".BTF") or None
    if btf_types.is_btf(file.data[:2]):
        return file.data[:]
    if not file.data:
        raise Problem(f"{file.path} is empty")
    raise Problem(f"{file.path} is neither a module, an object or an image of a kernel (ELF, bzImage) nor raw BTF")


# --- a module's base ---

def _types(file: _File, raw: bytes, stripped: bytes | None, base: "pathlib.Path | str | Types | None") -> Types:
    if isinstance(base, Types):
        return Types(raw, str(file.path), base, stripped)
    where = pathlib.Path(base) if base else base_of(file.path, file.release)
    if where is None:
        if stripped:
            # enough for all but the kernel's own types inside of the module's
            return Types(raw, str(file.path), Types(stripped, f"{file.path} (.BTF.base)", names_only=True))
        raise Problem(f"the types of {file.path} stand on those of its kernel{file.release and ' ' + file.release}, which is "
                      "not here: --base FILE names its vmlinux, vmlinuz or BTF")
    below = _read(where)
    if file.release and below.release and file.release != below.release:
        raise Problem(f"{file.path} was built for {file.release}, and {where} is of {below.release}: --base FILE names the "
                      "kernel that it is for")
    kernel = _btf_of(below)
    if kernel is None:
        raise Problem(f"{where} has no BTF: the types of {file.path} stand on it")
    return Types(raw, str(file.path), Types(kernel, str(where)), stripped)


def base_of(path: pathlib.Path, release: str) -> pathlib.Path | None:
    """Where the kernel of a module is: beside the module, or where distributions put it."""
    for candidate in _bases(path, release):
        if os.access(candidate, os.R_OK):
            return candidate
    return None


def _bases(path: pathlib.Path, release: str) -> Iterator[pathlib.Path]:
    if path.parent == RUNNING.parent:
        yield RUNNING
    if not release:
        return
    if release == os.uname().release:
        yield RUNNING
    # a tree of modules, wherever it lies: DIR/lib/modules/RELEASE/kernel/...
    for above in path.absolute().parents:
        if above.name == release and above.parent.name == "modules":
            yield from (above / "vmlinuz", above / "build/vmlinux")
            root = above.parent.parent.parent
            root = root.parent if above.parent.parent.parent.name == "usr" else root
            yield from (root / f"boot/vmlinuz-{release}", root / f"usr/lib/debug/boot/vmlinux-{release}",
                        root / f"usr/src/linux-headers-{release}/vmlinux")
    yield from (pathlib.Path(f"/boot/vmlinuz-{release}"), pathlib.Path(f"/lib/modules/{release}/vmlinuz"),
                pathlib.Path(f"/lib/modules/{release}/build/vmlinux"), pathlib.Path(f"/usr/lib/debug/boot/vmlinux-{release}"),
                pathlib.Path(f"/usr/lib/debug/lib/modules/{release}/vmlinux"))


# --- DWARF ---

def _from_dwarf(file: _File) -> Source:
    """BTF that pahole makes of DWARF; such a module's stands by itself."""
    elf = file.elf
    if elf is None or not any(section.name in (".debug_info", ".zdebug_info") for section in elf.sections):
        raise Problem(f"{file.path} has neither BTF nor DWARF: CONFIG_DEBUG_INFO_BTF is off, or it was stripped; an object "
                      "has types when it is compiled with -g")
    if not shutil.which("pahole"):
        raise Problem(f"{file.path} has no BTF, only DWARF, which takes pahole: apt-get install pahole")
    with tempfile.TemporaryDirectory(prefix="uplift-layout-") as directory:
        given, made = pathlib.Path(directory, "object"), pathlib.Path(directory, "btf")
        # pahole knows no compression
        given.write_bytes(file.data[:]) if file.data[:4] != _head(file.path) else given.symlink_to(file.path.absolute())
        raw = _pahole(file.path, given, made)
    return _source(file, Types(raw, str(file.path)), True)


def _head(path: pathlib.Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4)


def _pahole(path: pathlib.Path, given: pathlib.Path, made: pathlib.Path) -> bytes:
    argv = ["pahole", "--btf_gen_floats", f"--btf_encode_detached={made}", str(given)]
    try:
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise Problem(f"{path}: pahole took longer than {_TIMEOUT} s to read its DWARF") from None
    if result.returncode or not made.exists() or not made.stat().st_size:
        said = result.stdout.decode(errors="replace").strip().splitlines()
        raise Problem(f"{path}: pahole could make no BTF of its DWARF ({said[-1] if said else f'status {result.returncode}'})")
    return made.read_bytes()
