# SPDX-License-Identifier: GPL-2.0-only
"""Get a target: download, verify, unpack. Nothing is installed; the host's packages are not touched.

Every file is verified by SHA256: the signed index's, or, for what only the pool still has, the one pinned in
scripts/targets.toml. Headers are then held against the signed image (verify_against_image()).
"""

import concurrent.futures
import dataclasses
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from typing import Any

from ..base import console, errors, paths, targets
from ..kernel import bzimage
from ..generator import manifests
from . import apt, kernels

WANT = ("image", "modules", "headers", "slice", "source")
# What building and running our modules takes; "slice" is the part of the source that they are generated from.
USUAL = ("image", "modules", "headers", "slice")


@dataclasses.dataclass(frozen=True)
class File:
    """One file of the archive."""
    package: str
    version: str
    uri: str
    size: int
    sha256: str
    origin: str		# who vouches for it

    @property
    def name(self):
        return self.uri.rsplit("/", 1)[1]

    @property
    def path(self):
        return paths.CACHE / self.name


@dataclasses.dataclass
class Plan:
    """What a target consists of today."""
    spec: targets.Spec
    release: str
    version: str
    parts: dict		# "image" -> [File]; modules come with the image up to 6.18


# ------------------------------------------------------------------ planning

def _image_rank(package):
    """The signed kernel is the one that machines run; -unsigned where there is no other."""
    return 0 if "-unsigned-" in package else 1


def plan(spec, suite=apt.suite, site=apt.site):
    """Where each of a target's files is. Skip when it cannot be had."""
    reasons = []
    for name in spec.suites:
        try:
            index = suite(name)
        except errors.Problem as problem:
            reasons.append(str(problem))
            continue
        found, reason = _plan_from(spec, name, index, site(name))
        if found:
            return found
        reasons.append(reason)
    if spec.pool:
        # not even the image is listed any more; the pins stand alone
        found, reason = _plan_from(spec, spec.suites[-1], {"packages": []}, site(spec.suites[-1]))
        if found:
            return found
        reasons.append(reason)
    raise errors.Skip(f"target {spec.name} cannot be had: " + "; ".join(reasons))


def _plan_from(spec, suite, index, uri):
    """(Plan, None) or (None, why not) from one suite's index."""
    known = {}
    for package in index["packages"]:
        known.setdefault(package["Package"], {})[package["Version"]] = package
    image = re.compile(rf"linux-(?:image|binary|binary-unsigned)-({spec.release})")
    candidates = []
    for name, versions in known.items():
        match = image.fullmatch(name)
        for version, package in versions.items() if match else ():
            # the 2 kB linux-image of split kernels only depends on the others
            if int(package["Size"]) > 1_000_000 and spec.version in ("", version):
                candidates.append((apt.version_key(version), _image_rank(name), name, match[1], version))
    for name in spec.pool:
        match = image.fullmatch(name)
        if match and not candidates:
            candidates.append((apt.version_key(spec.version), 1, name, match[1], spec.version))
    if not candidates:
        return None, f"{suite} has no such kernel"

    reason = None
    for _, _, name, release, version in sorted(candidates, reverse=True):
        try:
            return _plan_release(spec, suite, index, uri, known, name, release, version), None
        except LookupError as error:
            reason = reason or f"{suite} has {name} but not its {error.args[0]}"
    return None, reason


def _plan_release(spec, suite, index, uri, known, image, release, version):
    """The Plan of one release; LookupError names the package that is nowhere."""
    def get(package, loose=False):
        versions = known.get(package, {})
        entry = versions.get(version)
        if not entry and loose and versions:
            # linux-kbuild-6.1 (>= version): the newest serves
            entry = versions[max(versions, key=apt.version_key)]
        if entry:
            return File(package, entry["Version"], f"{uri}/{entry['Filename']}", int(entry["Size"]), entry["SHA256"],
                        f"signed index of {suite}")
        if package in spec.pool:
            pin = spec.pool[package]
            return File(package, version, f"{uri}/{pin.path}", pin.size, pin.sha256, "pinned in scripts/targets.toml")
        raise LookupError(package)

    base = release.removesuffix("-amd64").removesuffix("-rt")
    common = f"linux-headers-{base}-common" + ("-rt" if "-rt-" in release else "")
    headers = get(f"linux-headers-{release}")
    depends = known.get(headers.package, {}).get(version, {}).get("Depends", "")
    kbuild = re.search(r"linux-kbuild-[\w.+]+", depends)
    parts = {
        "image": [get(image)],
        "modules": [],
        "headers": [headers, get(common),
                    get(kbuild[0] if kbuild else f"linux-kbuild-{base}", loose=True)],
        "source": [],
        "slice": [],
    }
    if not image.startswith("linux-image-"):
        parts["image"].append(get(f"linux-base-{release}"))
        parts["modules"].append(get(f"linux-modules-{release}"))
    try:
        parts["source"] = parts["slice"] = [get(f"linux-source-{spec.series}")]
    except LookupError:
        pass		# only said when somebody wants it
    return Plan(spec, release, version, parts)


# --------------------------------------------------------------- downloading

def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(files):
    """Bring files into the cache, a few at a time, each verified. What is there already is verified again."""
    missing = []
    for file in dict.fromkeys(files):	# a source is wanted whole and in slices: two at once would write to one place
        if file.path.exists():
            if file.path.stat().st_size == file.size and sha256_of(file.path) == file.sha256:
                continue
            console.warn(f"{file.name} in the cache is damaged; getting it again")
            file.path.unlink()
        missing.append(file)
    if not missing:
        return
    partial = paths.ensure(paths.CACHE / "partial")
    total = sum(file.size for file in missing)
    need = total + 500_000_000
    if shutil.disk_usage(partial).free < need:
        raise errors.Problem(f"no room below {paths.BUILD}: {console.size(need)} are needed")
    what = missing[0].name if len(missing) == 1 else f"{len(missing)} files"
    progress = console.Progress("downloading")
    start = time.monotonic()
    processes = {}
    stop = threading.Event()

    def get(file):
        target = partial / file.name
        if target.exists() and target.stat().st_size > file.size:
            target.unlink()
        argv, environment = apt.download_command(file.uri, target, file.sha256)
        if stop.is_set():
            return
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        processes[file] = process
        text = process.communicate()[0]
        if stop.is_set():
            return
        if process.returncode:
            for left in glob.glob(glob.escape(str(target)) + ".FAILED*"):
                os.unlink(left)
            if re.search(r"\b(404|410)\b", text) or "File not found" in text:
                raise errors.Skip(f"{file.name} is gone from the mirror ({file.uri})")
            raise errors.Problem(f"cannot download {file.uri}: {apt.last_word(text)}")
        # apt has checked it too; this is what the word `verified` rests on
        if target.stat().st_size != file.size or sha256_of(target) != file.sha256:
            target.unlink()
            raise errors.Problem(f"{file.name} has not the SHA256 that it must have ({file.origin}): thrown away")
        os.replace(target, file.path)

    with console.doing(f"downloading {what}, {console.size(total)}") as doing:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(get, file) for file in missing]
            try:
                pending = set(jobs)
                while pending:
                    finished, pending = concurrent.futures.wait(pending, timeout=0.5,
                                                                return_when=concurrent.futures.FIRST_EXCEPTION)
                    for job in finished:
                        job.result()
                    here = sum(_size(file.path) or _size(partial / file.name) for file in missing)
                    rate = here / max(time.monotonic() - start, 0.1)
                    progress.show(f"{console.size(here)} of {console.size(total)}, {console.size(rate)}/s")
            except BaseException:
                # partial files stay: the next attempt goes on from there
                stop.set()
                for job in jobs:
                    job.cancel()
                for process in processes.values():
                    if process.poll() is None:
                        process.terminate()
                raise
        doing.result = f"{console.size(total / max(time.monotonic() - start, 0.1))}/s, verified"


def _size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


# ---------------------------------------------------------------- unpacking

def _pipe(what, *commands):
    """A shell pipeline without a shell; any member's failure is a Problem."""
    processes = []
    source = subprocess.DEVNULL
    try:
        for argv in commands:
            last = argv is commands[-1]
            process = subprocess.Popen(argv, stdin=source, stdout=None if last else subprocess.PIPE,
                                       stderr=subprocess.PIPE, env=dict(os.environ, LC_ALL="C.UTF-8"))
            if source not in (subprocess.DEVNULL, None):
                source.close()
            source = process.stdout
            processes.append(process)
        # last to first: the last one ends the others; their few words fit a pipe
        words = [process.communicate()[1] for process in reversed(processes) if process.stdout is None] + \
                [process.stderr.read() for process in processes if process.stdout is not None]
        codes = [process.wait() for process in processes]
    except FileNotFoundError as error:
        raise errors.Problem(f"no '{error.filename}' here: run scripts/setup") from None
    except BaseException:
        for process in processes:
            process.kill()
        raise
    if any(codes):
        text = b"".join(words).decode(errors="replace").strip()
        raise errors.Problem(f"unpacking {what} failed: {text.splitlines()[-1] if text else codes}")


def _unpack_deb(file, directory):
    _pipe(file.name, ["dpkg-deb", "--fsys-tarfile", str(file.path)],
          ["tar", "-x", "-C", str(directory), "--no-same-owner", "--exclude=./usr/share"])


def _unpack_kernel(files, directory, release):
    """vmlinuz, config and modules/ from image, base and modules packages, as far as they are in `files`."""
    for file in files:
        _unpack_deb(file, directory)
    tree = directory / "modules" / "lib" / "modules"
    for name in ("lib/modules", "usr/lib/modules"):
        source = directory / name / release
        if source.is_dir():
            paths.ensure(tree)
            source.rename(tree / release)
    for pattern, name in (("boot/vmlinuz-*", "vmlinuz"), (f"modules/lib/modules/{release}/vmlinuz*", "vmlinuz"),
                          ("boot/config-*", "config"), (f"modules/lib/modules/{release}/config", "config")):
        for path in directory.glob(pattern):
            path.rename(directory / name)
    for name in ("boot", "usr", "lib", "etc"):
        paths.remove(directory / name)
    for name in ("build", "source"):
        (tree / release / name).unlink(missing_ok=True)	# they point to where the host would have the headers


def _depmod(moddir, release):
    result = subprocess.run(["depmod", "-b", str(moddir), release], text=True, stderr=subprocess.PIPE)
    if result.returncode:
        raise errors.Problem(f"depmod failed for {release}: {result.stderr.strip()}")
    if not (moddir / "lib/modules" / release / "modules.dep").stat().st_size:
        raise errors.Problem(f"no module found below {moddir}/lib/modules/{release}")


# The directory that a Makefile of ours lies in, as it says so itself.
_HERE = "$(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))"


def relocate(kdir: pathlib.Path) -> None:
    """Debian's headers know themselves and -common by absolute paths: make them relative, so that they work in any place."""
    makefile = kdir / "Makefile"
    before = makefile.read_text()
    after = re.sub(r"(?m)^KBUILD_OUTPUT=(?:/\S*)?/usr/src/[^/\s]+$", f"KBUILD_OUTPUT := {_HERE}", before)
    after = re.sub(r"(?m)^include (?:/\S*)?/usr/src/([^/\s]+)/Makefile$", rf"include {_HERE}/../\1/Makefile", after)
    if after != before:
        paths.write(makefile, after)


def _unpack_headers(files, temp, release):
    """Debian's headers, usable where they lie."""
    for file in files:
        _unpack_deb(file, temp)
    kdir = temp / "usr/src" / f"linux-headers-{release}"
    makefile = kdir / "Makefile"
    if not makefile.exists():
        raise errors.Problem(f"{files[0].name} has no usr/src/{kdir.name}/Makefile: packed in a new way?")
    relocate(kdir)
    for link in ("scripts", "tools"):
        if not (kdir / link).exists():
            raise errors.Problem(f"{kdir.name}/{link} leads nowhere: {files[-1].name} is not the kbuild package it wants")


def _unpack_tree(file, series, tar):
    """Unpack the kernel tree in a linux-source package with the given tar command."""
    _pipe(file.name, ["dpkg-deb", "--fsys-tarfile", str(file.path)],
          ["tar", "-xO", f"./usr/src/linux-source-{series}.tar.xz"], ["xz", "-dc", "-T0"], tar)


def _unpack_slice(file, series, directory, patterns):
    """Only the files of a kernel tree that match; patterns that a version lacks are no error."""
    with tempfile.NamedTemporaryFile() as said:
        _unpack_tree(file, series, [
            "sh", "-c", 'dir=$1 said=$2; shift 2; tar -x -C "$dir" --strip-components=1 --no-same-owner --wildcards --no-wildcards-match-slash "$@" '
            '2>"$said" || ! grep -v -e "Not found in archive" -e "Exiting with failure" "$said" >&2',
            "slice", str(directory), said.name, *("linux-source-*/" + item for item in patterns)])


def _check_source(file, directory):
    makefile = directory / "Makefile"
    text = makefile.read_text() if makefile.exists() else ""
    version = ".".join(re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", text, re.MULTILINE))
    if version != file.version.split("-")[0]:
        raise errors.Problem(f"{file.name} holds the source of '{version}', not of {file.version}: packed in a new way?")


def _unpack_source(file, directory, series):
    """The tree that Debian builds from: upstream's with Debian's patches."""
    _unpack_tree(file, series, ["tar", "-x", "-C", str(directory), "--strip-components=1", "--no-same-owner"])
    _check_source(file, directory)


# ------------------------------------------------- headers against the image

def vmlinux_of(path):
    """The ELF image inside a bzImage."""
    try:
        return bzimage.unpack(pathlib.Path(path).read_bytes())
    except ValueError as problem:
        raise errors.Problem(f"{path} {problem}", errors.USAGE) from None


def section_of(elf, wanted):
    """A section's bytes of a 64-bit little-endian ELF file, or None."""
    if elf[:6] != b"\x7fELF\x02\x01":
        return None
    table, = struct.unpack_from("<Q", elf, 0x28)
    entry, count, names = struct.unpack_from("<HHH", elf, 0x3a)
    header = [struct.unpack_from("<IIQQQQIIQQ", elf, table + i * entry) for i in range(count)]
    for section in header:
        start = header[names][4] + section[0]
        if elf[start:elf.index(b"\0", start)] == wanted.encode():
            return elf[section[4]:section[4] + section[5]]
    return None


def release_of(bzimage):
    """What `uname -r` will say, from the bzImage's header."""
    with open(bzimage, "rb") as file:
        data = file.read(65536)
    if data[0x202:0x206] != b"HdrS":
        raise errors.Problem(f"{bzimage} is no x86 kernel image (bzImage)", errors.USAGE)
    start = struct.unpack_from("<H", data, 0x20e)[0] + 0x200
    return data[start:data.index(b"\0", start)].decode(errors="replace").split()[0]


# Debian's headers package has these in .config though the signed build did without.
_CONFIG_OF_SIGNING = re.compile(r"CONFIG_(?:BUILD_SALT|MODULE_SIG_ALL|MODULE_SIG_KEY|SYSTEM_TRUSTED_KEYS)\b")


def _config_lines(path):
    return {line for line in path.read_text().splitlines()
            if re.match(r"(# )?CONFIG_", line) and not _CONFIG_OF_SIGNING.search(line)}


def verify_against_image(target):
    """Do these headers describe this image? Returns what was checked, raises Problem on the first difference.

    The strongest fact: the type information (BTF) that the headers bring for building modules is, byte for byte, the
    one inside the image. 6.1's headers bring none; there the modules' symbol CRCs are held against Module.symvers.
    """
    checked = []
    def differ(what):
        raise errors.Problem(f"{target.kdir.name} does not belong to {target.vmlinuz}: {what}")

    release = release_of(target.vmlinuz)
    if release != target.release:
        differ(f"the image calls itself {release}")
    generated = (target.kdir / "include/generated/utsrelease.h").read_text()
    if f'"{release}"' not in generated:
        differ("another release in utsrelease.h")
    checked.append("release")

    if target.config and target.config.parent != target.kdir:
        odd = _config_lines(target.config) ^ _config_lines(target.kdir / ".config")
        if odd:
            differ(f"configurations differ: {sorted(odd)[0]}")
        checked.append("configuration identical")

    elf = vmlinux_of(target.vmlinuz)
    theirs = target.kdir / "vmlinux"
    if theirs.exists():
        image = section_of(elf, ".BTF")
        if not image or image != section_of(theirs.read_bytes(), ".BTF"):
            differ("type information (BTF) differs from the image's")
        checked.append(f"type information (BTF, {len(image)} bytes) identical")

    modules = sorted((target.moddir / "lib/modules" / release / "kernel").rglob("*.ko*")) if target.moddir else []
    if modules:
        # a few from all over the tree; what modprobe says of each is cheap
        some = modules[::max(1, len(modules) // 25)]
        crcs = _symvers(target.kdir / "Module.symvers")
        compared = keys = 0
        for module in some:
            info = subprocess.run(["modinfo", "-F", "vermagic", str(module)], text=True, stdout=subprocess.PIPE)
            if info.stdout.split()[:1] != [release]:
                differ(f"{module.name} was built for {info.stdout.strip() or 'nothing'}")
            versions = subprocess.run(["modprobe", "--dump-modversions", str(module)], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for line in versions.stdout.splitlines():
                crc, symbol = line.split()
                if symbol in crcs:
                    compared += 1
                    if int(crc, 16) != crcs[symbol]:
                        differ(f"{module.name} wants {symbol} with CRC {crc}, Module.symvers has {crcs[symbol]:#010x}")
            key = subprocess.run(["modinfo", "-F", "sig_key", str(module)], text=True,
                                 stdout=subprocess.PIPE).stdout.strip().replace(":", "")
            # Debian signs with a key made for this one build; its certificate is in the image
            if key and bytes.fromhex(key) in elf:
                keys += 1
        checked.append(f"{len(some)} modules of this release")
        if compared:
            checked.append(f"{compared} symbol CRCs of modules agree with Module.symvers")
        if keys == len(some):
            checked.append("modules signed with a key that is in the image")
    return checked


def _symvers(path):
    """{symbol: CRC} of Module.symvers; empty where the kernel was built without CRCs."""
    found = {}
    with open(path) as file:
        for line in file:
            crc, symbol = line.split("\t")[:2]
            if int(crc, 16):
                found[symbol] = int(crc, 16)
    return found


# ------------------------------------------------------------------ targets

def _info_path(name):
    return paths.TARGETS / name / "info.json"


def saved(name: str) -> dict[str, Any] | None:
    """What was noted about a target that is on disk, or None."""
    try:
        found = json.loads(_info_path(name).read_text())
        return found if isinstance(found, dict) else None
    except (FileNotFoundError, ValueError):
        return None


def _on_disk(name):
    """The saved info of a target, without the parts that are no longer there."""
    info = saved(name)
    if not info:
        return None
    base = paths.TARGETS / name
    there = {"image": base / "vmlinuz", "modules": base / "modules", "headers": base / "headers",
             "source": paths.SRC / name, "slice": base / "slice"}
    info["parts"] = {part: version for part, version in info["parts"].items() if there[part].exists()}
    if "slice" in info["parts"] and set(slice_patterns()) - set(info.get("sliced", ())):
        del info["parts"]["slice"]	# a change that came since takes more of the source
    return info


def _target(info):
    """The Target that an info describes."""
    name, release, parts = info["name"], info["release"], info["parts"]
    base = paths.TARGETS / name
    kdir = base / "headers/usr/src" / f"linux-headers-{release}"
    config = base / "config"
    return kernels.Target(
        name=name, release=release, version=info["version"],
        vmlinuz=base / "vmlinuz" if "image" in parts else None,
        moddir=base / "modules" if "modules" in parts else None,
        kdir=kdir if "headers" in parts else None,
        ksrc=paths.SRC / name if "source" in parts else base / "slice" if "slice" in parts else None,
        config=config if config.exists() else kdir / ".config" if "headers" in parts else None,
        provenance=info["provenance"])


def fetch(name, want=USUAL):
    """The Target, with the wanted parts on disk. Skip when the archive does not have it."""
    spec = targets.spec(name)
    paths.check()
    want = set(want)
    if unknown := want - set(WANT):
        raise errors.Problem(f"no part '{sorted(unknown)[0]}'; there are: {' '.join(WANT)}", errors.USAGE)
    with paths.lock(f"target-{name}"):
        info = _on_disk(name)
        if info and "headers" in info["parts"]:
            relocate(_target(info).kdir)	# unpacked by a former version, and the tree was moved since
        try:
            now = plan(spec)
        except errors.Problem as problem:
            if info and want - {"slice"} <= set(info["parts"]):
                console.warn(f"{problem}; going on with {info['version']} from build/")
                return _target(info)
            raise
        if info and info["version"] != now.version:
            console.note(f"{name}: {now.version} takes the place of {info['version']}")
            want |= set(info["parts"])		# what was wanted before is wanted again
            info = None
        have = set(info["parts"]) if info else set()
        todo = want - have
        if "slice" in todo and not now.parts["slice"]:
            console.warn(f"target {name}: the mirror has no source for {now.version}, so that only the changes are built "
                     "that do without it")
            todo.discard("slice")
        if not todo:
            return _target(info)
        for part in sorted(todo):
            if part == "source" and not now.parts["source"]:
                raise errors.Skip(f"target {name}: the mirror has no source for {now.version}")
        _download_parts(name, now, todo)
        with console.doing(f"unpacking {name}: {', '.join(part for part in WANT if part in todo)}"):
            if not info:
                paths.remove(paths.TARGETS / name)
                info = {"name": name, "release": now.release, "version": now.version, "parts": {}, "provenance": [],
                        "checks": []}
            _unpack(now, todo, info)
        return _target(info)


def _download_parts(name, now, todo):
    files = [file for part in WANT if part in todo for file in now.parts[part]]
    if "modules" in todo and not now.parts["modules"]:
        files += [file for file in now.parts["image"] if file not in files]
    try:
        download(files)
    except errors.Skip as gone:
        raise errors.Skip(f"target {name} cannot be had: {gone}") from None


def _unpack(now, todo, info):
    name, release = now.spec.name, now.release
    base = paths.ensure(paths.TARGETS / name)
    if todo & {"image", "modules"}:
        together = not now.parts["modules"]
        files = (now.parts["image"] if together or "image" in todo else []) + \
                (now.parts["modules"] if "modules" in todo else [])
        if "modules" in todo and not together and "image" not in todo:
            files.insert(0, now.parts["image"][1])	# linux-base has modules.builtin
        with paths.fresh_dir(base / "unpacked") as temp:
            _unpack_kernel(files, temp, release)
            if together or "modules" in todo:
                _depmod(temp / "modules", release)
        unpacked = base / "unpacked"
        for item in list(unpacked.iterdir()):
            if item.name == "modules" and not together and "modules" not in todo:
                continue
            paths.remove(base / item.name)
            item.rename(base / item.name)
        paths.remove(unpacked)
        for part in ("image", "modules"):
            if together or part in todo:
                info["parts"][part] = now.version
        if "image" in info["parts"] and not (base / "vmlinuz").exists():
            raise errors.Problem(f"no vmlinuz in {files[0].name}: packed in a new way?")
    if "headers" in todo:
        with paths.fresh_dir(base / "headers") as temp:
            _unpack_headers(now.parts["headers"], temp, release)
        info["parts"]["headers"] = now.version
    if "source" in todo:
        with paths.fresh_dir(paths.SRC / name) as temp:
            _unpack_source(now.parts["source"][0], temp, now.spec.series)
        info["parts"]["source"] = now.version
    if "slice" in todo:
        with paths.fresh_dir(base / "slice") as temp:
            _unpack_slice(now.parts["slice"][0], now.spec.series, temp, slice_patterns())
            _check_source(now.parts["slice"][0], temp)
        info["parts"]["slice"] = now.version
        info["sliced"] = slice_patterns()
    info["provenance"] = [dict(dataclasses.asdict(file), part=part) for part in WANT if part in info["parts"]
                          for file in now.parts[part]]
    if {"image", "headers"} <= set(info["parts"]) and todo & {"image", "headers", "modules"}:
        info["checks"] = verify_against_image(_target(info))
        console.note(f"{name}: headers belong to the image: " + ", ".join(info["checks"]))
    paths.write(_info_path(name), json.dumps(info, indent=1) + "\n")


# What the modules' bodies are generated from, and upstream's tests of it: unpacking all takes longer and 1.7 GB.
_SLICE = ("tools/testing/selftests/filesystems/epoll/*", "tools/testing/selftests/kselftest*.h",
          "tools/testing/selftests/kselftest/*")


def slice_patterns():
    """_SLICE, and what the manifests of the changes name."""
    return sorted({*_SLICE, *manifests.slice_of(paths.TOP)})

# What the static checks use of a kernel's source.
_TOOLS = ("tools/lib/python/*", "tools/docs/*", "scripts/checkpatch.pl", "scripts/spelling.txt",
          "scripts/const_structs.checkpatch", "scripts/kernel-doc*", "scripts/lib/*", "scripts/coccinelle/*")


def tools(name):
    """A small slice of a target's source tree that has the checkers; the tree itself if it is here."""
    spec = targets.spec(name)
    info = _on_disk(name)
    if info and "source" in info["parts"]:
        return paths.SRC / name
    directory = paths.SRC / f"{name}-tools"
    with paths.lock(f"tools-{name}"):
        if directory.exists():
            return directory
        now = plan(spec)
        if not now.parts["source"]:
            raise errors.Skip(f"target {name}: the mirror has no source for {now.version}")
        file = now.parts["source"][0]
        download([file])
        with console.doing(f"unpacking the checkers of {name}"):
            with paths.fresh_dir(directory) as temp:
                _unpack_slice(file, spec.series, temp, _TOOLS)
                if not (temp / "scripts/checkpatch.pl").exists():
                    raise errors.Problem(f"{file.name} holds no scripts/checkpatch.pl: packed in a new way?")
    return directory


def best(want=USUAL, names=targets.use("run")):
    """The best target that can be had, when nobody said which."""
    for name in names:
        try:
            return fetch(name, want)
        except errors.Skip as reason:
            console.warn(str(reason))
    raise errors.Skip("none of the targets " + " ".join(names) + " can be had from this mirror")


def own_parts(kernel, modules, kdir=None, ksrc=None):
    """(image, release, directory with its modules, headers or None) of the user's own kernel; looks, and does nothing."""
    kernel = pathlib.Path(kernel).resolve()
    modules = pathlib.Path(modules).resolve()
    if not kernel.is_file():
        raise errors.Problem(f"--kernel: no file {kernel}", errors.USAGE)
    release = release_of(kernel)
    for tree in (modules / "lib/modules" / release, modules / release, modules):
        if (tree / "kernel").is_dir():
            break
    else:
        raise errors.Problem(f"--modules: {modules} holds no modules of {release} "
                          f"(looked for lib/modules/{release}/kernel in it)", errors.USAGE)
    if kdir is None and (tree / "build" / "Makefile").exists():
        kdir = (tree / "build").resolve()
    for option, path, need in (("KDIR", kdir, "Makefile"), ("KSRC", ksrc, "Kbuild")):
        if path and not (pathlib.Path(path) / need).exists():
            raise errors.Problem(f"{option}={path}: no {need} there, so it is not a kernel's directory", errors.USAGE)
    return kernel, release, tree, kdir


def own(kernel, modules, kdir=None, ksrc=None):
    """A Target from the user's own kernel: a bzImage, and a directory with its modules."""
    kernel, release, tree, kdir = own_parts(kernel, modules, kdir, ksrc)
    moddir = paths.TARGETS / "own" / "modules"
    with paths.lock("target-own"):
        with paths.fresh_dir(moddir) as temp:
            inside = temp / "lib/modules"
            paths.ensure(inside)
            if (tree / "modules.dep").exists():
                (inside / release).symlink_to(tree)
            else:
                # not in the user's directory: they may not even be allowed to write there
                shutil.copytree(tree, inside / release, symlinks=True)
                _depmod(temp, release)
    kdir = pathlib.Path(kdir).resolve() if kdir else None
    config = next((path for path in (kdir / ".config" if kdir else None, kernel.with_name(f"config-{release}"),
                                     tree / "config") if path and path.exists()), None)
    return kernels.Target(name="own", release=release, version=release, vmlinuz=kernel, moddir=moddir, kdir=kdir,
                          ksrc=pathlib.Path(ksrc).resolve() if ksrc else None, config=config,
                          provenance=[{"package": "own", "path": str(kernel), "sha256": sha256_of(kernel)}])
