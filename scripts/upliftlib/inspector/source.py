# SPDX-License-Identifier: GPL-2.0-only
"""Where the map comes from: this machine, a snapshot of one, or what other programs copy; and making a snapshot.

A snapshot is a directory: format (1), uname, about, sys/devices/system/{cpu,node}/ (the small text files), llc/ (what
uplift_llc.ko says, if it was there), proc/schedstat and sys/kernel/debug/sched/domains (the scheduler's domains),
lscpu.json. It holds no host name, and no names of processes unless they were asked for.
"""

import codecs
import errno
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Iterable
from typing import Any

from ..base import console, errors, paths
from ..host import loader, machine
from ..kernel import elf
from . import about, grouping, hwloc, model, sched, sysfs


LLC = pathlib.Path("/sys/kernel/debug/uplift/llc")
DEBUGFS = pathlib.Path("/sys/kernel/debug")
FORMAT = "1"
MODULES = ("uplift", "uplift_llc")	# in the order of loading
FILES = ("verdict", "domains", "domains.json", "cpus", "cas", "processes", "processes.json", "migrations",
         "migrations.json", "track")
MOST = 64 << 20		# bytes of a file that is read at all
NAMES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)	# this machine's, not the tar file's fault
MOST_HEADERS = 1 << 20	# bytes of all that is said of a file in a tar file
MOST_NAME = 65536	# bytes of a name in a tar file, and of what else is said about a file


def read(path: pathlib.Path) -> str:
    """A file's text; Bad when it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise model.Bad(f"{path} is no file")
        with open(path, "rb") as file:
            data = b""
            while len(data) <= MOST and (part := file.read(1 << 20)):
                data += part
    except FileNotFoundError:
        raise model.Bad(f"no {path}") from None
    except OSError as error:
        raise model.Bad(errors.of_os(error)) from None
    if len(data) > MOST:
        raise model.Bad(f"{path}: more than {console.size(MOST)}: that is not ours")
    return data.decode(errors="replace")


class Live:
    """This machine."""

    def __init__(self, llc: pathlib.Path = LLC, root: pathlib.Path | str = "/") -> None:
        self.llc, self.root = pathlib.Path(llc), pathlib.Path(root)
        self.kernel = os.uname().release
        self.skipped: list[str] = []

    def missing(self) -> str:
        """Why the module's files cannot be read, and what to type; '' if they can."""
        return missing(self.llc, self.root)

    def system(self) -> model.Machine:
        """The Machine as sysfs has it."""
        return _of_tree(self.root / "sys", self.kernel, self.root)


def _of_tree(sys: pathlib.Path, kernel: str, root: pathlib.Path | None) -> model.Machine:
    """The Machine of a /sys below a root directory, or alone (@root is None)."""
    given = sysfs.read(sys, kernel, root)
    if root is not None:
        given.about = about.read(root)
    return grouping.machine(given)


class Member(tarfile.TarInfo):
    """A member of a tar file, but one with a name or the like so long that it is meant to fill the memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Where tarfile goes on from a header; it says that a subclass may override this."""
        if self.type in NAMES and self.size > MOST_NAME:
            raise model.Bad("a name in it is too large: that is no snapshot")
        member: tarfile.TarInfo = getattr(super(), "_proc_member")(archive)	# which typeshed does not list
        return member


class Limited:
    """What a decompressor makes of a file, to an end: tarfile reads the map of a sparse file whole, however long it is.

    @left: bytes that may be read until the next member is there
    """

    def __init__(self, file: Any) -> None:
        self.file, self.left = file, MOST_HEADERS

    def read(self, *size: int) -> Any:
        data = self.file.read(*size)
        self.left -= len(data)
        if self.left < 0:
            raise model.Bad("a header in it is too large: that is no snapshot")
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class Archive(tarfile.TarFile):
    """A tar file whose members have headers of a size that makes sense."""

    def __init__(self, name: Any = None, mode: Any = "r", fileobj: Any = None, **more: Any) -> None:
        super().__init__(name, mode, fileobj and Limited(fileobj), **more)


def unpack(path: pathlib.Path, temp: pathlib.Path | str) -> None:
    """The regular files of a tar file, into a directory."""
    left = MOST
    try:
        with Archive.open(path, tarinfo=Member) as tar:
            for member in tar:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                left -= member.size + 512
                if isinstance(tar.fileobj, Limited):
                    tar.fileobj.left = member.size + MOST_HEADERS
                # the file is untrusted
                if ".." in parts or member.size < 0 or left < 0:
                    raise model.Bad(f"{path}: {'too large' if left < 0 else 'leads elsewhere'}: that is no snapshot")
                inside = tar.extractfile(member) if member.isfile() and parts else None
                if inside is None:
                    continue
                to = pathlib.Path(temp, *parts)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(inside.read())
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno in OURS:
            raise
        raise model.Bad(f"{path}: neither a directory nor a whole tar file of one") from None


def unpacked(given: object, path: pathlib.Path) -> pathlib.Path:
    """A tar file's directory, which goes when @given does."""
    temp = tempfile.mkdtemp(prefix="uplift-llc-")
    weakref.finalize(given, shutil.rmtree, temp, ignore_errors=True)
    unpack(path, temp)
    return pathlib.Path(temp)


def tree(root: pathlib.Path, skipped: list[str], depth: int = 3) -> tuple[pathlib.Path | None, pathlib.Path | None]:
    """(/sys, root directory or None) of what others copy: /sys itself, a root directory, or one of these further down.

    @skipped: gets a line for each directory that could not be read
    """
    try:
        if (root / "sys/devices/system/cpu").is_dir():
            return root / "sys", root
        if (root / "devices/system/cpu").is_dir():
            return root, None
        inside = sorted(path for path in root.iterdir() if path.is_dir()) if depth else []
    except OSError as error:
        skipped.append(model.plain(f"{root}: {error.strerror}"))
        return None, None
    for path in inside[:20]:
        if (found := tree(path, skipped, depth - 1)) != (None, None):
            return found
    return None, None


class Snapshot:
    """What somebody has of a machine: a snapshot of ours, /sys, a root directory, what lscpu's tests and
    hwloc-gather-topology copy, a tar file of any of these; or an XML file of hwloc."""

    def __init__(self, given: pathlib.Path | str) -> None:
        self.root = pathlib.Path(given)
        self.xml: str | None = None
        self.sys: pathlib.Path | None = None
        self.proc: pathlib.Path | None = None
        self.foreign = ""	# what it is, if not ours
        self.skipped: list[str] = []	# what could not be read, and was not needed
        if self.root.is_file():
            with open(self.root, "rb") as file:
                start = file.read(200).removeprefix(codecs.BOM_UTF8).lstrip()
            if start.startswith((b"<?xml", b"<!DOCTYPE topology", b"<topology")):
                self._take_xml(given)
                return
            self.root = unpacked(self, self.root)
            inside = list(self.root.iterdir())
            if len(inside) == 1 and inside[0].is_dir() and not (self.root / "sys").exists():
                self.root = inside[0]
        if not self.root.is_dir():
            raise model.Bad(f"no snapshot '{given}'")
        if (self.root / "format").is_file():
            self._check(given)
        else:
            self._take_tree(given)

    def _take_xml(self, given: pathlib.Path | str) -> None:
        self.xml, self.kernel = read(self.root).removeprefix("\ufeff"), "kernel unknown"
        self.foreign = f"{model.plain(given)} is hwloc's"

    def _take_tree(self, given: pathlib.Path | str) -> None:
        self.sys, self.proc = tree(self.root, self.skipped)
        if self.sys is None:
            raise model.Bad(f"{given} is no snapshot: it has no file 'format' (uplift llc capture DIR makes one), and no "
                            "sys/devices/system/cpu" + (f" ({'; '.join(self.skipped[:3])})" if self.skipped else ""))
        self.kernel = about.kernel(self.proc or self.root)
        self.foreign = f"{model.plain(given)} is a copy of /sys"

    def _check(self, given: pathlib.Path | str) -> None:
        version = read(self.root / "format").strip()
        if version != FORMAT:
            raise model.Bad(f"{given}/format: '{version:.20}', this uplift knows {FORMAT}: take the uplift that it "
                            "was made with, or a later one")
        self.sys, self.proc = self.root / "sys", self.root
        words = read(self.root / "uname").split()
        if len(words) < 2:
            raise model.Bad(f"{given}/uname: 'Linux RELEASE ...' is wanted")
        self.kernel = model.plain(words[1])

    @property
    def llc(self) -> pathlib.Path:
        """What the module says, if it was there."""
        return self.root / "llc"

    def missing(self) -> str:
        if not self.foreign and (self.llc / "domains.json").is_file():
            return ""
        return (f"{self.foreign}: the scheduler's view is missing" if self.foreign else
                "it was captured without uplift_llc: the scheduler's view is missing")

    def system(self) -> model.Machine | None:
        """The Machine as its sysfs has it; None where a snapshot with the module's files has none."""
        if self.xml is not None:
            return grouping.machine(hwloc.read(self.xml, str(self.root)))
        if not self.missing() and not (self.root / "sys").exists():
            return None
        return _of_tree(self.sys or self.root / "sys", self.kernel, self.proc)


# The module: is it there, and what would bring it?

def loaded(root: pathlib.Path | str = "/") -> bool:
    return (pathlib.Path(root) / "sys/module/uplift_llc").is_dir()


def built(release: str | None = None,
          places: Iterable[pathlib.Path] | None = None) -> tuple[dict[str, pathlib.Path], set[str]]:
    """{name: path} of the modules that are built for this kernel, and the releases of those built for others."""
    release = release or os.uname().release
    found: dict[str, pathlib.Path] = {}
    others = set()
    for name in MODULES:
        for path in (place / f"{name}.ko{packed}" for place in places or loader.places(release)
                     for packed in ("", ".xz", ".gz", ".zst")):
            try:
                built_for = elf.built_for(elf.module(path))
            except errors.Problem:
                continue
            if built_for == release:
                found.setdefault(name, path)
            elif built_for:
                others.add(built_for)
    return found, others


def how_to_load() -> str:
    """What to type."""
    found, others = built()
    if not machine.takes_modules():
        return "this kernel takes no modules (CONFIG_MODULES)"
    if len(found) == len(MODULES):
        return ("to load it, as root: " + " && ".join(f"insmod {found[name]}" for name in MODULES)
                + "; or: uplift llc --load")
    other = f" (it is for {', '.join(sorted(others))})" if others else ""
    return f"it is not built for {os.uname().release}{other}: make modules; then, as root: uplift llc --load"


def missing(llc: pathlib.Path = LLC, root: pathlib.Path | str = "/") -> str:
    """Why the module's files cannot be read, and what to type; '' if they can."""
    if os.access(llc / "domains.json", os.R_OK):
        return ""
    if not loaded(root):
        return "uplift_llc is not loaded, so the scheduler's view is missing; " + how_to_load()
    if os.geteuid():
        return "the files of uplift_llc, and so the scheduler's view, are for root only: run this as root"
    if not os.path.ismount(DEBUGFS):
        return f"debugfs is not mounted, so the scheduler's view is missing: mount -t debugfs debugfs {DEBUGFS}"
    return f"uplift_llc is loaded, and still {llc}/domains.json cannot be read (is the kernel locked down?)"


def load() -> None:
    """Load the modules; a Problem says why not."""
    if loaded():
        return
    if os.geteuid():
        raise errors.Problem("loading a module takes root")
    found, _ = built()
    if len(found) < len(MODULES):
        raise errors.Problem("uplift_llc cannot be loaded: " + how_to_load())
    for name in MODULES:
        if (pathlib.Path("/sys/module") / name).is_dir():
            continue
        try:
            done = subprocess.run(["insmod", found[name]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        except FileNotFoundError:
            raise errors.Problem("no insmod here (Debian: kmod)") from None
        if done.returncode:
            raise errors.Problem(f"insmod {found[name]}: {done.stdout.strip() or 'failed'} (the kernel's log says why)")
        console.note(f"loaded {found[name]}; rmmod uplift_llc uplift unloads")


def track(on: bool) -> None:
    """Turn tracking on or off."""
    cannot = f"cannot turn tracking {'on' if on else 'off'}: "
    if why := missing(LLC):
        raise errors.Problem(cannot + why)
    try:
        (LLC / "track").write_text("1\n" if on else "0\n")
    except OSError as error:
        raise errors.Problem(f"{cannot}{error.strerror} (the kernel's log says why)") from None


# Both together.

Found = tuple[model.Machine, model.Processes | None, model.Migrations | None]


def gather(source: Live | Snapshot) -> Found:
    """(Machine, Processes or None, Migrations or None): the module's word, placed by sysfs; or sysfs alone."""
    why = source.missing()
    if not why:
        try:
            return _told(source)
        except model.Bad:
            # it may have been unloaded meanwhile
            why = source.missing()
            if not why:
                raise
    machine = source.system()
    assert machine is not None	# there is always one where the module's files are missing
    if any(domain.sched_cpus is not None for domain in machine.domains):
        # what it has split is in /proc/schedstat; what it gathers is not
        why = why.replace("the scheduler's view is missing", "where processes run and are gathered is missing")
    machine.notes.insert(0, why)
    machine.notes += [f"left out: {line}" for line in source.skipped]
    return machine, None, None


def _told(source: Live | Snapshot) -> Found:
    """What gather() returns, where the module is there."""
    for attempt in range(5):
        before = source.system()
        machine = model.machine(read(source.llc / "domains.json"), f"{source.llc}/domains.json")
        if before is None or before.online == machine.online:
            break	# else a CPU came or went between the two
    if before is None:
        machine.notes.append("the snapshot has nothing of sysfs: which CPUs are one core is not known")
    else:
        for name in ("cores", "places", "caches", "clusters", "kinds", "capacities", "memory_kib", "about"):
            setattr(machine, name, getattr(before, name))
        _more(machine, before)
        machine.smt = before.smt if machine.smt is None else machine.smt
        machine.disagreements += sysfs.compare(machine, before)
    given, migrations = processes(source), None
    # a module that is older than this program may lack them
    if (source.llc / "migrations.json").is_file():
        migrations = model.migrations(read(source.llc / "migrations.json"), f"{source.llc}/migrations.json")
    if given and not given.tracking and machine.cas != "on":
        machine.notes.append("tracking is off, so nothing is known of where processes run: uplift llc track on")
    return machine, given, migrations


def processes(source: Live | Snapshot) -> model.Processes | None:
    """The Processes; None where a module of an earlier version has none."""
    path = source.llc / "processes.json"
    return model.processes(read(path), str(path)) if path.is_file() else None


def _more(machine: model.Machine, seen: model.Machine) -> None:
    """What sysfs shows and a module of an earlier version does not say: remarks, and what the scheduler splits."""
    said = " ".join(machine.disagreements)
    machine.unknown = seen.unknown & machine.no_domain
    machine.disagreements += [line for line in seen.disagreements if line.partition(":")[0] not in said]
    by_cpus = {domain.cpus: domain for domain in seen.domains}
    for domain in machine.domains:
        if not domain.parts and domain.cpus in by_cpus:
            domain.parts = [model.Part(f"{domain.number}{part.name.lstrip('0123456789')}", part.cpus, part.alone)
                            for part in by_cpus[domain.cpus].parts]


# Capturing.

SYSTEM = (
    "cpu/possible", "cpu/present", "cpu/online", "cpu/offline", "cpu/isolated", "cpu/smt/active", "cpu/smt/control",
    "cpu/cpu[0-9]*/online", "cpu/cpu[0-9]*/topology/*_id", "cpu/cpu[0-9]*/topology/*_list",
    *(f"cpu/cpu[0-9]*/cache/index*/{name}" for name in (
        "id", "level", "type", "size", "ways_of_associativity", "coherency_line_size", "shared_cpu_list",
        "shared_cpu_map")),
    "cpu/cpu[0-9]*/cpu_capacity", "cpu/cpu[0-9]*/regs/identification/midr_el1",
    "node/online", "node/possible", "node/node[0-9]*/cpulist", "node/node[0-9]*/distance",
    "node/node[0-9]*/meminfo")
# And beside these, from the root directory.
MORE = (*(f"sys/devices/{name}/cpus" for name in sysfs.HYBRID), "sys/hypervisor/type",
        "sys/kernel/debug/sched/domains/cpu[0-9]*/domain[0-9]*/name",
        "sys/kernel/debug/sched/domains/cpu[0-9]*/domain[0-9]*/flags")


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A tar member without whose it is and when it was."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _packer(path: pathlib.Path, kind: str) -> tarfile.TarFile:
    if kind == "xz":
        return tarfile.open(path, "w:xz", format=tarfile.USTAR_FORMAT)
    if kind == "gz":
        return tarfile.open(path, "w:gz", format=tarfile.USTAR_FORMAT)
    return tarfile.open(path, "w:", format=tarfile.USTAR_FORMAT)


def pack(directory: pathlib.Path, path: pathlib.Path) -> None:
    """A tar file of a snapshot, compressed as its name says."""
    match = re.search(r"\.tar\.?(\w*)$", path.name)
    assert match is not None, path
    kind = match[1]
    whole = path.with_name(f".{path.name}.new")
    try:
        with _packer(whole, kind) as tar:
            tar.add(directory, directory.name, filter=_nobody)
        whole.rename(path)
    finally:
        whole.unlink(missing_ok=True)


def capture(directory: pathlib.Path | str, with_names: bool = False, llc: pathlib.Path = LLC,
            root: pathlib.Path | str = "/") -> str:
    """Make a snapshot of this machine; returns what is missing from it, '' if nothing."""
    directory = pathlib.Path(directory)
    packed = re.search(r"\.tar(\.gz|\.xz)?$", directory.name)
    if not packed and re.search(r"\.(zip|7z|t[gx]z|tar\.\w+|gz|xz|zst)$", directory.name):
        raise model.Bad(f"{directory} would be packed in a way that is not known here: name it .tar, .tar.gz or .tar.xz")
    if packed and directory.exists():
        raise model.Bad(f"{directory} is there already: name a new file")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise model.Bad(f"{directory} is there already, and not empty: name a new directory")
    if directory.exists() and directory.samefile(os.curdir):
        # it would be replaced, and a shell in it be left in a deleted directory
        raise model.Bad(f"{directory} is where this runs: name a new directory")
    if not directory.absolute().parent.is_dir():
        raise model.Bad(f"no directory {directory.absolute().parent}")
    if packed:
        with tempfile.TemporaryDirectory(prefix=".uplift-llc-", dir=directory.absolute().parent) as temp:
            inner = pathlib.Path(temp) / directory.name[:packed.start()]
            why = capture(inner, with_names, llc, root)
            pack(inner, directory)
        return why
    why = missing(llc, root)
    uname = os.uname()
    with paths.fresh_dir(directory.absolute()) as temp:
        paths.write(temp / "format", FORMAT + "\n")
        # not the host's name
        paths.write(temp / "uname", f"{uname.sysname} {uname.release} {uname.version} {uname.machine}\n")
        base = pathlib.Path(root) / "sys/devices/system"
        for pattern in SYSTEM:
            for path in sorted(base.glob(pattern)):
                text = sysfs.small(path)
                if text is not None:
                    paths.write(temp / path.relative_to(root), kept(path, text))
        _capture_more(pathlib.Path(root), temp)
        if not why:
            names: dict[str, str] | None = None if with_names else {}
            for name in FILES:
                if (llc / name).is_file():
                    paths.write(temp / "llc" / name, anonymous(name, read(llc / name), names))
        try:
            done = subprocess.run(["lscpu", "-J", "-C"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if not done.returncode:
                paths.write(temp / "lscpu.json", done.stdout)
        except OSError:
            pass
    return why


def kept(path: pathlib.Path, text: str) -> str:
    """What a snapshot keeps of a file: of a node's memory how much there is, not what is used."""
    if path.name != "meminfo":
        return text
    return "".join(line + "\n" for line in text.splitlines() if "MemTotal" in line)


def _capture_more(root: pathlib.Path, temp: pathlib.Path) -> None:
    """The scheduler's domains, kinds of cores, and what machine it is."""
    for pattern in MORE:
        for path in sorted(root.glob(pattern)):
            text = sysfs.small(path)
            if text is not None:
                paths.write(temp / path.relative_to(root), text)
    schedstat = sysfs.small(root / "proc/schedstat", MOST)
    if schedstat:
        paths.write(temp / "proc/schedstat", sched.trimmed(schedstat))
    paths.write(temp / "about", about.text(about.read(root)))


def anonymous(name: str, text: str, names: dict[str, str] | None) -> str:
    """A file of the module with every process called process-N; @names, None to keep them, maps names to these."""
    if names is None or name not in ("processes", "processes.json"):
        return text
    if name == "processes":
        # names may have blanks, columns do not: what the file has is in processes.json, too
        return "left out: it has the names of processes (uplift llc capture --with-names); see processes.json\n"
    try:
        data = json.loads(text)
        for item in data["processes"]:
            item["comm"] = names.setdefault(item["pid"], f"process-{len(names) + 1}")
    except (ValueError, KeyError, TypeError) as error:
        raise model.Bad(f"processes.json: not as described ({error!r:.60})") from None
    return json.dumps(data, indent=1) + "\n"
