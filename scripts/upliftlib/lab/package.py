# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab package`: the Debian package, built, installed, used and removed in a root of its own.

The root is a Debian 13 with debhelper and DKMS, in build/package/root; the build root is not touched. What is
installed into it for a run is what a machine would have: the target's headers, its image in /boot, and the packages
built from this tree. What is left when they are purged is compared with what was there before.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base import changes, console, errors, paths, targets
from ..kernel import elf
from . import buildroot, fetch, guest, kernels, kmod, schedprograms, sourcetree, testprograms

PACKAGES = """
    dpkg-dev debhelper dh-dkms dkms lintian fakeroot man-db mandoc bash-completion autopkgtest
    build-essential gcc-12 gcc-14 gcc-14-for-host libc6-dev linux-base pahole kmod xz-utils zstd
    python3 coccinelle libpython3-dev openssl rsync make
    """.split()

Snapshot = dict[str, list[object]]	# {path: mode, owner, and what it holds or leads to}

BASE = paths.BUILD / "package"
ROOT = BASE / "root"
SOURCE = BASE / "src"

# What purging a package may leave: logs, what dpkg and apt write down of themselves, and the key that DKMS makes for
# itself when it first signs something.
_NOISE = re.compile(r"(var/(lib/(dpkg|apt|dkms/mok\.(key|pub))|log|cache/(apt|debconf|ldconfig|man))|tmp|proc|sys|dev|run|"
                    r"root/\.\w+|etc/ld\.so\.cache)(/|$)")


def ensure() -> pathlib.Path:
    """The root's path."""
    with paths.lock("package"):
        listing = ROOT / "etc/uplift-packages"
        wanted = "\n".join(PACKAGES) + "\n"
        if not listing.exists() or listing.read_text() != wanted:
            buildroot.bootstrap(ROOT, PACKAGES, manuals=True)
            paths.write(listing, wanted)
    return ROOT


def inside(argv: Sequence[buildroot.Word], what: str, *, cwd: pathlib.Path | str = "/", env: Mapping[str, str] | None = None,
           codes: Sequence[int] = (0,), binds: Iterable[pathlib.Path] = ()) -> str:
    """The output of a command in the root; a failure is a Problem with its last lines."""
    code, text = buildroot.output(argv, cwd=cwd, root=ROOT, binds=binds,
                                  env={"DEBIAN_FRONTEND": "noninteractive", **(env or {})})
    with open(BASE / "log", "a") as file:
        file.write(f"$ {' '.join(str(word) for word in argv)}\n{text}[status {code}]\n")
    if code not in codes:
        tail = "\n".join("    " + line for line in text.splitlines()[-25:])
        raise errors.Problem(f"{what}: status {code} ({BASE / 'log'}):\n{tail}")
    return text


def copy_tree(directory: pathlib.Path) -> pathlib.Path:
    """The tree's files, as they are here: what a source package is made of."""
    paths.remove(directory)
    for name in sourcetree.files(paths.TOP):
        paths.ensure((directory / name).parent)
        shutil.copy2(paths.TOP / name, directory / name)
    return directory


def build() -> tuple[dict[str, pathlib.Path], list[str]]:
    """{package: path of its .deb}, built from this tree by dpkg-buildpackage, and free of lintian's errors."""
    version = (paths.TOP / "VERSION").read_text().strip()
    source = copy_tree(SOURCE / f"uplift-{version}")
    for old in SOURCE.glob("*.deb"):
        old.unlink()
    with console.doing("building the package"):
        inside(["dpkg-buildpackage", "-us", "-uc"], "dpkg-buildpackage", cwd=source)
    debs = {path.name.split("_")[0]: path for path in sorted(SOURCE.glob("*.deb"))}
    said = inside(["sh", "-c", "exec lintian --allow-root --fail-on none *.changes"], "lintian", cwd=SOURCE)
    bad = [line for line in said.splitlines() if re.match(r"[EW]: ", line)]
    for line in bad:
        console.note(f"lintian: {line}")
    if any(line.startswith("E: ") for line in bad):
        raise errors.Problem("lintian finds errors in the package")
    return debs, bad


def snapshot() -> Snapshot:
    """{path: what it is} of everything in the root but _NOISE."""
    found = {}
    for directory, names, files in os.walk(ROOT):
        base = pathlib.Path(directory).relative_to(ROOT)
        names[:] = [name for name in names if not _NOISE.match(str(base / name))]
        for name in names + files:
            path = base / name
            if _NOISE.match(str(path)):
                continue
            state = (ROOT / path).lstat()
            what = [stat.filemode(state.st_mode), state.st_uid, state.st_gid]
            if stat.S_ISLNK(state.st_mode):
                what.append(os.readlink(ROOT / path))
            elif stat.S_ISREG(state.st_mode):
                what.append(hashlib.sha256((ROOT / path).read_bytes()).hexdigest())
            found[str(path)] = what
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Lines that say what of two snapshots is not the same."""
    return ([f"left behind: {path}" for path in sorted(set(after) - set(before))]
            + [f"gone: {path}" for path in sorted(set(before) - set(after))]
            + [f"changed: {path}" for path in sorted(set(before) & set(after)) if before[path] != after[path]])


def install_kernel(target: kernels.Target) -> list[str]:
    """The target's headers and image in the root, as its packages put them there."""
    headers = [entry for entry in target.provenance if entry["part"] == "headers"]
    debs = [paths.CACHE.resolve() / entry["uri"].rsplit("/", 1)[1] for entry in headers]
    inside(["dpkg", "--force-depends", "-i", *debs], "installing the kernel's headers", binds=[paths.CACHE.resolve()])
    modules = ROOT / "lib/modules" / target.release
    paths.ensure(modules / "kernel")
    shutil.copy2(target.part("vmlinuz"), ROOT / "boot" / f"vmlinuz-{target.release}")
    shutil.copy2(target.part("config"), ROOT / "boot" / f"config-{target.release}")
    # which modules a distribution compresses is seen by one of its own
    one = next((target.part("moddir") / "lib/modules" / target.release / "kernel/fs").rglob("minix.ko*"))
    shutil.copy2(one, modules / "kernel" / one.name)
    inside(["depmod", target.release], "depmod")
    return [entry["package"] for entry in headers]


def remove_kernel(target: kernels.Target, packages: Iterable[str]) -> None:
    inside(["dpkg", "--force-depends", "-P", *packages], "removing the kernel's headers")
    for path in ROOT.glob(f"boot/*-{target.release}"):
        path.unlink()
    paths.remove(ROOT / "lib/modules" / target.release)


def modules_of(target: kernels.Target) -> dict[str, pathlib.Path]:
    """{name: path} of the modules that DKMS has installed for a target."""
    directory = ROOT / "lib/modules" / target.release / "updates/dkms"
    return {path.name.split(".")[0]: path for path in sorted(directory.glob("uplift*.ko*"))}


def status() -> list[str]:
    """What `dkms status` says, as lines."""
    return inside(["dkms", "status"], "dkms status").splitlines()


def modules_built(generated: bool) -> set[str]:
    """Names of the modules of one of the two DKMS packages: those with generated bodies, or the others."""
    found = {change.module for change in changes.load().values() if change.generated == generated}
    return found | ({"uplift_livepatch"} if generated else {"uplift"})


BASE_MODULES, BODIES = modules_built(False), modules_built(True)


_counts = {"passed": 0, "skipped": 0}


def check(condition: object, text: str, why: Iterable[str] = ()) -> None:
    """A step's outcome, in one line; a Problem with the reasons if it is not so."""
    if not condition:
        raise errors.Problem("\n    ".join([f"not so: {text}", *list(why)[:20]]))
    _counts["passed"] += 1
    print(f"ok {text}", flush=True)


def skip(text: str) -> None:
    """A step that cannot be taken here."""
    _counts["skipped"] += 1
    print(f"skip {text}", flush=True)


def cycle(target: kernels.Target, debs: Mapping[str, pathlib.Path], boot: bool = True) -> None:
    """Install, use, purge; install again, purge: nothing stays."""
    kernel = install_kernel(target)
    try:
        before = snapshot()
        for round_ in (1, 2):
            # without the kernel's source: the base alone, and no failure
            inside(["dpkg", "-i", debs["uplift"], debs["uplift-dkms"], debs["uplift-bodies-dkms"]], "installing")
            built = modules_of(target)
            check(BASE_MODULES <= set(built) and not BODIES & set(built),
                  f"{target.name} round {round_}: DKMS builds {' '.join(sorted(built))} without the kernel's source")
            if round_ == 1:
                bodies(target)
                run_installed()
                scheduler(target)
                modules_test()
                if boot:
                    in_guest(target)
            inside(["dpkg", "-P", "uplift-bodies-dkms", "uplift-dkms", "uplift"], "purging")
            left = differences(before, snapshot())
            check(not left, f"{target.name} round {round_}: purged, nothing left behind", left)
    finally:
        remove_kernel(target, kernel)


def bodies(target: kernels.Target) -> None:
    """Where uplift.conf names the source, DKMS builds the rest, and removes it when the source is gone again."""
    version = (paths.TOP / "VERSION").read_text().strip()
    if not target.ksrc:
        skip(f"{target.name}: no source, so no generated modules")
        return
    there = ROOT / f"usr/src/linux-source-{target.name}"
    shutil.copytree(target.ksrc, there, symlinks=True)
    try:
        inside(["dkms", "autoinstall", "-k", target.release], "dkms autoinstall")
        built = modules_of(target)
        check(BODIES <= set(built), f"{target.name}: with the source DKMS builds {' '.join(sorted(BODIES & set(built)))}")
    finally:
        paths.remove(there)
    save = paths.ensure(BASE / "modules" / target.name)
    for path in modules_of(target).values():
        shutil.copy2(path, save / path.name)
    inside(["dkms", "remove", f"uplift-bodies/{version}", "--all"], "dkms remove, the source gone")
    check(not BODIES & set(modules_of(target)), f"{target.name}: removed though the source is gone")
    inside(["dkms", "add", f"uplift-bodies/{version}"], "dkms add")


def run_installed() -> None:
    """The command and its page, where they were installed."""
    said = inside(["uplift", "lab", "list", "--json"], "the installed command", env={"UPLIFT_BUILD": ""})
    check(len(json.loads(said[said.index("["):])) == len(targets.TABLE), "the installed command lists the targets")
    page = inside(["man", "-P", "cat", "8", "uplift"], "man 8 uplift")
    check("SYNOPSIS" in page, "man 8 uplift")
    said = inside(["bash", "-c", ". /usr/share/bash-completion/bash_completion && _comp_load uplift && complete -p uplift"],
                  "completion")
    check("_uplift" in said, "bash-completion loads uplift's")


def scheduler(target: kernels.Target) -> None:
    """uplift_land is built from what was installed, by the build root's compiler: the root has the files only."""
    try:
        schedprograms.supported(target)
    except errors.Skip as reason:
        skip(str(reason))
        return
    buildroot.ensure("sched")
    out = BASE / "sched"
    paths.remove(out)
    code, text = buildroot.output(["make", "-C", ROOT / "usr/lib/uplift/sched", f"BTF={kmod.btf_of(target)}", f"O={out}"])
    check(not code and all((out / name).exists() for name in schedprograms.PROGRAMS),
          f"{target.name}: make -C /usr/lib/uplift/sched", text.splitlines()[-20:])
    paths.remove(out)


def autopkgtest(debs: Mapping[str, pathlib.Path]) -> None:
    """The package's test that needs no kernel, as the engine runs it. It may use apt: before headers are forced in."""
    source = SOURCE / f"uplift-{(paths.TOP / 'VERSION').read_text().strip()}"
    inside(["dpkg", "-i", debs["uplift"]], "installing")
    try:
        said = inside(["autopkgtest", "--test-name=command", "--no-built-binaries", source, "--", "null"], "autopkgtest",
                      codes=(0, 2, 4, 6, 8, 12, 14, 16), cwd=SOURCE)
        results = re.findall(r"^(\S+)\s+(PASS|FAIL|SKIP)", said.partition(" summary")[2], re.MULTILINE)
        check([result for _, result in results] == ["PASS"], "autopkgtest command", said.splitlines()[-20:])
    finally:
        inside(["dpkg", "-P", "uplift"], "purging")


def modules_test() -> None:
    """The package's test that wants headers, by hand: the engine's apt would remove what is forced in."""
    source = SOURCE / f"uplift-{(paths.TOP / 'VERSION').read_text().strip()}"
    inside([source / "debian/tests/modules"], "debian/tests/modules")
    check(True, "debian/tests/modules")


def in_guest(target: kernels.Target) -> None:
    """The very modules that DKMS built do what they should on the target."""
    kos = []
    save = BASE / "modules" / target.name
    unpacked = paths.ensure(save / "plain")
    found = {path.name.split(".")[0]: path for path in sorted(save.glob("uplift*.ko*"))} or modules_of(target)
    for name, path in found.items():
        plain = unpacked / f"{name}.ko"
        plain.write_bytes(elf.module(path))
        kos.append(plain)
    result = guest.boot(target, "exec /selftests/abi.sh", files={"/selftests": testprograms.build()}, kos=kos,
                        name=f"{target.name}-package", quiet=True, smp=2)
    check(result.rc == 0 and not result.oops,
          f"{target.name}: DKMS's modules in a guest: status {result.rc}, {result.output}")


def tidy() -> None:
    """What a run that was cut short has left in the root."""
    said = inside(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n"], "dpkg-query")
    left = [line.split()[0] for line in said.splitlines()
            if re.match(r"(uplift\b|linux-headers-|linux-kbuild-)\S* (?!not-installed)", line)]
    if left:
        inside(["dpkg", "--force-all", "-P", *left], "removing what a former run left")
    for path in ROOT.glob("usr/src/linux-source-*"):
        paths.remove(path)
    for path in ROOT.glob("lib/modules/*"):
        paths.remove(path)


def _package(args: argparse.Namespace) -> int:
    names = args.targets or list(targets.use("package"))
    for name in names:
        targets.spec(name)
    buildroot.need_root()
    ensure()
    (BASE / "log").unlink(missing_ok=True)
    tidy()
    debs, _ = build()
    for path in debs.values():
        console.note(f"built {path}")
    if args.build_only:
        return errors.OK
    autopkgtest(debs)
    failed = 0
    for name in names:
        try:
            cycle(fetch.fetch(name, set(fetch.USUAL)), debs, not args.no_guest)
        except errors.Skip as reason:
            skip(str(reason))
        except errors.Problem as problem:
            failed += 1
            print(f"FAIL package {name}: {problem}", flush=True)
    print(f"package: {_counts['passed']} passed, {failed} failed, {_counts['skipped']} skipped")
    return errors.FAIL if failed else errors.OK


def register(commands: Any) -> None:
    """Add `uplift lab package`."""
    parser = commands.add_parser(
        "package", help="build the Debian package; install, use and purge it in a root of its own",
        description="Build the Debian package, and in a root of its own install it beside the headers of targets, let "
                    "DKMS build, run the result in a guest, purge, and look that nothing stays; twice.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: " + " ".join(targets.use("package")))
    parser.add_argument("--build-only", action="store_true", help="build and look at the package, no more")
    parser.add_argument("--no-guest", action="store_true", help="do not boot what DKMS built")
    parser.set_defaults(func=_package)
