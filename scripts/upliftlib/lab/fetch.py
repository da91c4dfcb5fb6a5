# SPDX-License-Identifier: GPL-2.0-only
"""Get a target: download, verify, unpack. Nothing is installed; the host's packages are not touched.

archive.py knows where the files are, download.py brings them, unpack.py unpacks them, and imagecheck.py holds the
headers against the signed image. info.json in the target's directory says what is there: it is written last, and the
directory loses its name before anything in it is removed, so that an interruption leaves nothing that is taken for finished.
"""

import json
import pathlib
import shutil
from collections.abc import Collection
from typing import Any

from ..base import changes, console, errors, paths, targets
from ..generator import manifests
from ..kernel import image as kernel_image
from . import archive, download, imagecheck, kernels, unpack

WANT = ("image", "modules", "headers", "slice", "source")
# What building and running our modules takes; "slice" is the part of the source that they are generated from.
USUAL = ("image", "modules", "headers", "slice")

# What every slice of a kernel's source has: unpacking all takes longer, and 1.7 GB.
_SLICE = ("tools/testing/selftests/kselftest*.h", "tools/testing/selftests/kselftest/*")

# What the static checks use of a kernel's source.
_TOOLS = ("tools/lib/python/*", "tools/docs/*", "scripts/checkpatch.pl", "scripts/spelling.txt",
          "scripts/const_structs.checkpatch", "scripts/kernel-doc*", "scripts/lib/*", "scripts/coccinelle/*")

Info = dict[str, Any]	# what info.json holds


def slice_patterns() -> list[str]:
    """_SLICE, what bodies are generated from, and upstream's tests of the changes."""
    tests = {f"{pathlib.PurePath(change.guest().upstream).parent}/*" for change in changes.load().values()
             if change.guest().upstream}
    return sorted({*_SLICE, *tests, *manifests.slice_of(paths.TOP)})


# ------------------------------------------------------------------ what is on disk

def _info_path(name: str) -> pathlib.Path:
    return paths.TARGETS / name / "info.json"


def saved(name: str) -> Info | None:
    """What was noted about a target that is on disk, or None."""
    try:
        found = json.loads(_info_path(name).read_text())
        return found if isinstance(found, dict) else None
    except (FileNotFoundError, ValueError):
        return None


def _place(name: str, part: str) -> pathlib.Path:
    """Where a part of a target lies."""
    return paths.SRC / name if part == "source" else paths.TARGETS / name / ("vmlinuz" if part == "image" else part)


def on_disk(name: str) -> Info | None:
    """The saved info of a target, without the parts that are no longer there."""
    info = saved(name)
    if not info:
        return None
    info["parts"] = {part: version for part, version in info["parts"].items() if _place(name, part).exists()}
    if "slice" in info["parts"] and set(slice_patterns()) - set(info.get("sliced", ())):
        del info["parts"]["slice"]	# a change that came since takes more of the source
    return info


def _target(info: Info) -> kernels.Target:
    """The Target that an info describes."""
    name, release, parts = info["name"], info["release"], info["parts"]
    kdir = paths.TARGETS / name / "headers/usr/src" / f"linux-headers-{release}"
    config = paths.TARGETS / name / "config"
    source = next((_place(name, part) for part in ("source", "slice") if part in parts), None)
    return kernels.Target(
        name=name, release=release, version=info["version"],
        vmlinuz=_place(name, "image") if "image" in parts else None,
        moddir=_place(name, "modules") if "modules" in parts else None,
        kdir=kdir if "headers" in parts else None,
        ksrc=source,
        config=config if config.exists() else kdir / ".config" if "headers" in parts else None,
        provenance=info["provenance"])


# ------------------------------------------------------------------ a target of the archive

def fetch(name: str, want: Collection[str] = USUAL) -> kernels.Target:
    """The Target, with the wanted parts on disk. Skip when the archive does not have it."""
    spec = targets.spec(name)
    if spec.x86_64_only and not spec.arch.native:
        raise errors.Skip(f"{spec.name}: not for {spec.arch.name}: {spec.x86_64_only}")
    paths.check()
    wanted = set(want)
    if unknown := wanted - set(WANT):
        raise errors.Problem(f"no part '{sorted(unknown)[0]}'; there are: {' '.join(WANT)}", errors.USAGE)
    with paths.lock(f"target-{spec.name}"):
        info = on_disk(spec.name)
        if info and "headers" in info["parts"]:
            unpack.relocate(_kdir(info))	# unpacked by a former version, and the tree was moved since
        try:
            now = archive.plan(spec)
        except errors.Problem as problem:
            if info and wanted - {"slice"} <= set(info["parts"]):
                console.warn(f"{problem}; going on with {info['version']} from build/")
                return _target(info)
            raise
        return _target(_brought(now, info, wanted))


def _kdir(info: Info) -> pathlib.Path:
    kdir = _target(info).kdir
    assert kdir
    return kdir


def _brought(now: archive.Plan, info: Info | None, wanted: set[str]) -> Info:
    """The info of a target once these parts of it are here as well."""
    name = now.spec.name
    if info and info["version"] != now.version:
        console.note(f"{name}: {now.version} takes the place of {info['version']}")
        wanted = wanted | set(info["parts"])	# what was wanted before is wanted again
        info = None
    todo = _without_source(now, wanted - set(info["parts"] if info else ()))
    if todo:
        todo = _download(now, todo)
    info = info or _begun(now)
    if todo:
        with console.doing(f"unpacking {name}: {', '.join(part for part in WANT if part in todo)}"):
            _Unpacking(now, todo, info).run()
    return info


def _without_source(now: archive.Plan, todo: set[str], reason: str = "the mirror has no source for it") -> set[str]:
    """What can be had of these parts when there is no source: all changes but those that are generated from it."""
    if now.parts["source"]:
        return todo
    if "source" in todo:
        raise errors.Skip(f"target {now.spec.name} ({now.version}): {reason}")
    if "slice" in todo:
        console.warn(f"target {now.spec.name} ({now.version}): {reason}, so that only the changes are built that do "
                     "without it")
    return todo - {"slice"}


def _download(now: archive.Plan, todo: set[str]) -> set[str]:
    """Download what these parts take; the parts that were to be had."""
    files = now.files(todo)
    unvouched = [file.package for file in files if not file.vouched]
    if unvouched:
        console.note(f"{now.spec.name}: no index lists {' '.join(unvouched)} any more: taken from the archive's pool "
                     "without a signed sum, and held against the signed image")
    try:
        download.download(files)
        return todo
    except download.Gone as gone:
        if gone.file in now.parts["source"]:
            now.parts["source"], now.parts["slice"] = [], []
            return _download(now, _without_source(now, todo, str(gone)))
        raise errors.Skip(f"target {now.spec.name} ({now.version}) cannot be had: {gone}"
                          + (archive.nearest(now.spec) if now.spec.by_version else "")) from None


def _begun(now: archive.Plan) -> Info:
    """The info of a target of which nothing is here yet."""
    paths.remove(paths.TARGETS / now.spec.name)
    return {"name": now.spec.name, "release": now.release, "version": now.version, "parts": {}, "provenance": [],
            "checks": []}


class _Unpacking:
    """Unpacks parts of a target, and notes them in its info."""

    def __init__(self, now: archive.Plan, todo: set[str], info: Info) -> None:
        self.now, self.todo, self.info = now, todo, info
        self.base = paths.ensure(paths.TARGETS / now.spec.name)

    def run(self) -> None:
        """All of them."""
        if self.todo & {"image", "modules"}:
            self.kernel()
        if "headers" in self.todo:
            with paths.fresh_dir(self.base / "headers") as temp:
                unpack.headers(self.now.parts["headers"], temp, self.now.release)
        if "source" in self.todo:
            with paths.fresh_dir(paths.SRC / self.now.spec.name) as temp:
                unpack.whole(self.now.parts["source"][0], temp)
        if "slice" in self.todo:
            self.slice()
        self.info["parts"] |= {part: self.now.version for part in self.todo}
        self.verify()
        self.info["provenance"] = [dict(download.described(file), part=part) for part in WANT
                                   if part in self.info["parts"] for file in self.now.parts[part]
                                   if file.path.exists()]
        paths.write(_info_path(self.now.spec.name), json.dumps(self.info, indent=1) + "\n")

    def kernel(self) -> None:
        """Image and modules, which are packed together up to 6.18."""
        together = not self.now.parts["modules"]
        if together:
            self.todo |= {"image", "modules"}
        files = self.now.parts["image"] + (self.now.parts["modules"] if "modules" in self.todo else [])
        with paths.fresh_dir(self.base / "unpacked") as temp:
            unpack.kernel(files, temp, self.now.release)
            if not (temp / "vmlinuz").exists():
                raise errors.Problem(f"no vmlinuz in {files[0].name}: packed in a new way?")
            if "modules" in self.todo:
                unpack.depmod(temp / "modules", self.now.release)
        for item in sorted((self.base / "unpacked").iterdir()):
            if item.name != "modules" or "modules" in self.todo:
                paths.remove(self.base / item.name)
                item.rename(self.base / item.name)
        paths.remove(self.base / "unpacked")

    def slice(self) -> None:
        """What of the source the changes are generated from."""
        file, = self.now.parts["slice"]
        with paths.fresh_dir(self.base / "slice") as temp:
            unpack.some(file, temp, slice_patterns())
            unpack.check_source(file, temp)
        self.info["sliced"] = slice_patterns()

    def verify(self) -> None:
        """Do headers and modules belong to the image?"""
        if {"image", "headers"} <= set(self.info["parts"]) and self.todo & {"image", "headers", "modules"}:
            self.info["checks"] = imagecheck.verify(_target(self.info))
            console.note(f"{self.now.spec.name}: headers belong to the image: " + ", ".join(self.info["checks"]))


def tools(name: str) -> pathlib.Path:
    """A small slice of a target's source tree that has the checkers; the tree itself if it is here."""
    info = on_disk(name)
    if info and "source" in info["parts"]:
        return paths.SRC / name
    directory = paths.SRC / f"{name}-tools"
    with paths.lock(f"tools-{name}"):
        if directory.exists():
            return directory
        now = archive.plan(targets.spec(name))
        _without_source(now, {"source"})
        file, = now.parts["source"]
        download.download([file])
        with console.doing(f"unpacking the checkers of {name}"), paths.fresh_dir(directory) as temp:
            unpack.some(file, temp, list(_TOOLS))
            if not (temp / "scripts/checkpatch.pl").exists():
                raise errors.Problem(f"{file.name} holds no scripts/checkpatch.pl: packed in a new way?")
    return directory


def best(want: Collection[str] = USUAL, names: Collection[str] = targets.use("run")) -> kernels.Target:
    """The best target that can be had, when none is named."""
    for name in names:
        try:
            return fetch(name, want)
        except errors.Skip as reason:
            console.warn(str(reason))
    raise errors.Skip("none of the targets " + " ".join(names) + " can be had from this mirror")


# ------------------------------------------------------------------ the user's own kernel

def unpacked(option: str, path: paths.Path | None) -> None:
    """A Problem where an archive was given in place of the directory that it holds."""
    if path and pathlib.Path(path).is_file():
        raise errors.Problem(f"{option}={path}: a file, and no directory: unpack it first (tar -xf {path}), and give the "
                             "directory that comes of it", errors.USAGE)


def own_parts(kernel: paths.Path, modules: paths.Path, kdir: paths.Path | None = None,
              ksrc: paths.Path | None = None) -> tuple[pathlib.Path, str, pathlib.Path, pathlib.Path | None]:
    """(image, release, directory with its modules, headers or None) of the user's own kernel; looks, and does nothing."""
    image, where = pathlib.Path(kernel).resolve(), pathlib.Path(modules).resolve()
    if not image.is_file():
        raise errors.Problem(f"--kernel: no file {image}", errors.USAGE)
    release = kernel_image.release_of(image)
    tree = next((tree for tree in (where / "lib/modules" / release, where / release, where)
                 if (tree / "kernel").is_dir()), None)
    if not tree:
        raise errors.Problem(f"--modules: {where} holds no modules of {release} "
                             f"(looked for lib/modules/{release}/kernel in it)", errors.USAGE)
    if kdir is None and (tree / "build" / "Makefile").exists():
        kdir = (tree / "build").resolve()
    for option, path, need in (("KDIR", kdir, "Makefile"), ("KSRC", ksrc, "Kbuild")):
        unpacked(option, path)
        if path and not (pathlib.Path(path) / need).exists():
            raise errors.Problem(f"{option}={path}: no {need} there, so it is not a kernel's directory", errors.USAGE)
    return image, release, tree, pathlib.Path(kdir) if kdir else None


def own(kernel: paths.Path, modules: paths.Path, kdir: paths.Path | None = None,
        ksrc: paths.Path | None = None) -> kernels.Target:
    """A Target from the user's own kernel: a bzImage, and a directory with its modules."""
    image, release, tree, build = own_parts(kernel, modules, kdir, ksrc)
    moddir = paths.TARGETS / "own" / "modules"
    with paths.lock("target-own"), paths.fresh_dir(moddir) as temp:
        inside = paths.ensure(temp / "lib/modules")
        if (tree / "modules.dep").exists():
            (inside / release).symlink_to(tree)
        else:
            # not in the user's directory: they may not even be allowed to write there
            shutil.copytree(tree, inside / release, symlinks=True)
            unpack.depmod(temp, release)
    build = build.resolve() if build else None
    config = next((path for path in (build / ".config" if build else None, image.with_name(f"config-{release}"),
                                     tree / "config") if path and path.exists()), None)
    return kernels.Target(name="own", release=release, version=release, vmlinuz=image, moddir=moddir, kdir=build,
                          ksrc=pathlib.Path(ksrc).resolve() if ksrc else None, config=config,
                          provenance=[{"package": "own", "path": str(image), "sha256": download.sha256_of(image)}])
