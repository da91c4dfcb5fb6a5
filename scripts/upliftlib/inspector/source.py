# SPDX-License-Identifier: GPL-2.0-only
"""Where the map comes from: this machine, or a snapshot of one; and making a snapshot.

A snapshot is a directory: format (1), uname, sys/devices/system/{cpu,node}/ (the small text files), llc/ (what
uplift_llc.ko says, if it was there), lscpu.json. It holds no host name, and no names of processes unless they were
asked for.
"""

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

from ..base import console, errors, paths
from ..host import loader, machine
from ..kernel import elf
from . import model, sysfs


LLC = pathlib.Path("/sys/kernel/debug/uplift/llc")
DEBUGFS = pathlib.Path("/sys/kernel/debug")
FORMAT = "1"
MODULES = ("uplift", "uplift_llc")	# in the order of loading
FILES = ("verdict", "domains", "domains.json", "cpus", "cas", "processes", "processes.json", "migrations",
         "migrations.json", "track")
MOST = 64 << 20		# bytes of a file that is read at all
NAMES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
MOST_NAME = 65536	# bytes of a name in a tar file, and of what else is said about a file


def read(path: pathlib.Path):
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

    def __init__(self, llc=LLC, root: str = "/") -> None:
        self.llc, self.root = pathlib.Path(llc), pathlib.Path(root)
        self.kernel = os.uname().release

    def missing(self):
        """Why the module's files cannot be read, and what to type; '' if they can."""
        return missing(self.llc, self.root)

    def system(self):
        """The Machine as sysfs has it."""
        return sysfs.machine(self.root / "sys/devices/system", self.kernel)


class Member(tarfile.TarInfo):
    """A member of a tar file, but one with a name or the like so long that it is meant to fill the memory."""

    def _proc_member(self, archive):
        """Where tarfile goes on from a header; it says that a subclass may override this."""
        if self.type in NAMES and self.size > MOST_NAME:
            raise model.Bad("a name in it is too large: that is no snapshot")
        return super()._proc_member(archive)


def unpack(path: pathlib.Path, temp) -> None:
    """The regular files of a tar file, into a directory."""
    left = MOST
    try:
        with tarfile.open(path, tarinfo=Member) as tar:
            for member in tar:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                left -= member.size + 512
                # the file is untrusted
                if ".." in parts or member.size < 0 or left < 0:
                    raise model.Bad(f"{path}: {'too large' if left < 0 else 'leads elsewhere'}: that is no snapshot")
                if not member.isfile() or not parts:
                    continue
                to = pathlib.Path(temp, *parts)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(tar.extractfile(member).read())
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError):
        raise model.Bad(f"{path}: neither a directory nor a whole tar file of one") from None


class Snapshot:
    """A captured one: a directory, or a tar file of it."""

    def __init__(self, given) -> None:
        self.root = pathlib.Path(given)
        if self.root.is_file():
            temp = tempfile.mkdtemp(prefix="uplift-llc-")
            weakref.finalize(self, shutil.rmtree, temp, ignore_errors=True)
            unpack(self.root, temp)
            self.root = pathlib.Path(temp)
            inside = list(self.root.iterdir())
            if len(inside) == 1 and inside[0].is_dir():
                self.root = inside[0]
        if not self.root.is_dir():
            raise model.Bad(f"no snapshot '{given}'")
        self._check(given)

    def _check(self, given) -> None:
        if not (self.root / "format").is_file():
            raise model.Bad(f"{given} is no snapshot: it has no file 'format' (uplift llc capture DIR makes one)")
        version = read(self.root / "format").strip()
        if version != FORMAT:
            raise model.Bad(f"{given}/format: '{version:.20}', this uplift knows {FORMAT}: take the uplift that it "
                            "was made with, or a later one")
        self.llc = self.root / "llc"
        words = read(self.root / "uname").split()
        if len(words) < 2:
            raise model.Bad(f"{given}/uname: 'Linux RELEASE ...' is wanted")
        self.kernel = model.plain(words[1])

    def missing(self):
        if (self.llc / "domains.json").is_file():
            return ""
        return "it was captured without uplift_llc: the scheduler's view is missing"

    def system(self):
        """The Machine as its sysfs has it; None where a snapshot with the module's files has none."""
        if not self.missing() and not (self.root / "sys").exists():
            return None
        return sysfs.machine(self.root / "sys/devices/system", self.kernel)


# The module: is it there, and what would bring it?

def loaded(root: str = "/"):
    return (pathlib.Path(root) / "sys/module/uplift_llc").is_dir()


def built(release: str = None, places=None):
    """{name: path} of the modules that are built for this kernel, and the releases of those built for others."""
    release = release or os.uname().release
    found, others = {}, set()
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


def how_to_load():
    """What to type."""
    found, others = built()
    if not machine.takes_modules():
        return "this kernel takes no modules (CONFIG_MODULES)"
    if len(found) == len(MODULES):
        return ("to load it, as root: " + " && ".join(f"insmod {found[name]}" for name in MODULES)
                + "; or: uplift llc --load")
    other = f" (it is for {', '.join(sorted(others))})" if others else ""
    return f"it is not built for {os.uname().release}{other}: make modules; then, as root: uplift llc --load"


def missing(llc=LLC, root: str = "/"):
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


def track(on) -> None:
    """Turn tracking on or off."""
    cannot = f"cannot turn tracking {'on' if on else 'off'}: "
    if why := missing(LLC):
        raise errors.Problem(cannot + why)
    try:
        (LLC / "track").write_text("1\n" if on else "0\n")
    except OSError as error:
        raise errors.Problem(f"{cannot}{error.strerror} (the kernel's log says why)") from None


# Both together.

def gather(source):
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
    machine.notes.insert(0, why)
    return machine, None, None


def _told(source):
    """What gather() returns, where the module is there."""
    for attempt in range(5):
        before = source.system()
        machine = model.machine(read(source.llc / "domains.json"), f"{source.llc}/domains.json")
        if before is None or before.online == machine.online:
            break	# else a CPU came or went between the two
    if before is None:
        machine.notes.append("the snapshot has nothing of sysfs: which CPUs are one core is not known")
    else:
        machine.cores, machine.places = before.cores, before.places
        machine.smt = before.smt if machine.smt is None else machine.smt
        machine.disagreements += sysfs.compare(machine, before)
    processes = migrations = None
    # a module that is older than this program may lack them
    if (source.llc / "processes.json").is_file():
        processes = model.processes(read(source.llc / "processes.json"), f"{source.llc}/processes.json")
    if (source.llc / "migrations.json").is_file():
        migrations = model.migrations(read(source.llc / "migrations.json"), f"{source.llc}/migrations.json")
    if processes and not processes.tracking and machine.cas != "on":
        machine.notes.append("tracking is off, so nothing is known of where processes run: uplift llc track on")
    return machine, processes, migrations


# Capturing.

SYSTEM = (
    "cpu/possible", "cpu/present", "cpu/online", "cpu/offline", "cpu/isolated", "cpu/smt/active", "cpu/smt/control",
    "cpu/cpu[0-9]*/online", "cpu/cpu[0-9]*/topology/*_id", "cpu/cpu[0-9]*/topology/*_list",
    *(f"cpu/cpu[0-9]*/cache/index*/{name}" for name in (
        "id", "level", "type", "size", "ways_of_associativity", "coherency_line_size", "shared_cpu_list")),
    "node/online", "node/possible", "node/node[0-9]*/cpulist", "node/node[0-9]*/distance")


def _nobody(member):
    """A tar member without whose it is and when it was."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def pack(directory: pathlib.Path, path: pathlib.Path) -> None:
    """A tar file of a snapshot, compressed as its name says."""
    kind = re.search(r"\.tar\.?(\w*)$", path.name)[1]
    whole = path.with_name(f".{path.name}.new")
    try:
        with tarfile.open(whole, f"w:{kind}", format=tarfile.USTAR_FORMAT) as tar:
            tar.add(directory, directory.name, filter=_nobody)
        whole.rename(path)
    finally:
        whole.unlink(missing_ok=True)


def capture(directory: pathlib.Path, with_names: bool = False, llc=LLC, root: str = "/"):
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
                    paths.write(temp / path.relative_to(root), text)
        if not why:
            names = None if with_names else {}
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
