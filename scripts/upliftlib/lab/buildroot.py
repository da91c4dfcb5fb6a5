# SPDX-License-Identifier: GPL-2.0-only
"""The build root: a small Debian 13 below build/root/trixie that has every tool the lab uses.

One root serves all targets: Debian 13's kbuild packages need its C library, it has gcc-12 for 6.1 beside gcc-14, and
QEMU 10. Commands enter it with private mount and process namespaces: nothing that they mount or leave running
outlives them, and no mount shows outside. The project's tree and build/ have the same path inside.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TextIO

from ..base import architectures, console, errors, paths, signals, targets
from ..base.architectures import Architecture
from . import apt, compilers

SUITE = "trixie"

# What one `make run` needs: kept small, it is waited for on the first run. Perl and Python: W=1 runs kernel-doc, and
# the bodies are generated. Coccinelle wants libpython's .so.
RUN = f"""
    gcc {targets.COMPILER} libc6-dev make binutils pahole libelf1t64 libssl3t64 kmod cpio xz-utils zstd
    perl python3 coccinelle libpython3-dev qemu-system-x86 busybox-static e2fsprogs mount
    """.split()

# {name: what has to be there} of the compilers that Debian built the targets with. Of the kernel of another Debian it is that
# Debian's own release: "gcc-12/bookworm", in front of this Debian's, see compilers.py.
COMPILERS = {spec.compiler: [spec.compiler] + [f"{spec.compiler}/{spec.suites[-1]}"] * (
    not any(suite.partition("-")[0] == SUITE for suite in spec.suites)) for spec in targets.TABLE.values()}

# What makes and exercises the file systems that direct reads are tried on.
IO = ["fio", "xfsprogs", "fsverity"]

# sched/: the BPF part, its skeleton, and the library that loads it.
SCHED = ["clang", "llvm", "bpftool", "libbpf-dev", "libelf-dev", "zlib1g-dev", "libzstd-dev"]
# Workloads that users know, beside fio; sed and ls, which are linked with libselinux, any Debian has.
LOADS = ["linux-perf", "rt-tests"]

# The compilers that layout.h supports.
LAYOUT = ["gcc-12", "gcc-13", "gcc-14", "clang"]

# Secure Boot in a guest.
EFI = ["ovmf", "python3-virt-firmware", "openssl"]

# A kernel from source (KUnit on UML and x86), static checks, and the programs that guests run.
TEST = RUN + sum(COMPILERS.values(), []) + IO + """
    bc bison flex libelf-dev libssl-dev dpkg-dev patch rsync
    sparse shellcheck codespell mandoc mypy pyflakes3
    stress-ng procps
    """.split()

# Kernels of another architecture: cross compilers, its C library for programs that guests run, its QEMU.
_OTHERS = sorted({spec.compiler for spec in targets.TABLE.values() if not spec.x86_64_only})
CROSS = {arch.name: [*(f"{name}-{arch.triplet}" for name in _OTHERS), f"gcc-{arch.triplet}", f"binutils-{arch.triplet}",
                     f"libc6-dev-{arch.debian}-cross", "qemu-system-arm"] for arch in architectures.OTHERS}

SETS = COMPILERS | {"run": RUN, "io": RUN + IO, "loads": RUN + IO + LOADS, "efi": RUN + EFI, "sched": RUN + SCHED,
        "layout": RUN + LAYOUT + ["sparse"], "test": TEST}
SETS["all"] = sorted(set().union(*SETS.values()))	# what `make test` takes in all
# Another architecture's; servers that users know, and their clients, for `uplift lab find`.
SETS |= CROSS | {"web": RUN + ["nginx-light", "wrk"], "database": RUN + ["postgresql"]}

_MARK = "etc/uplift-packages"

# In the namespaces, before chroot: $1 root, $2 cwd, then pairs "source target" up to "--", then the command.
_ENTER = r"""
set -e
root=$1 dir=$2
shift 2
# a mount point of its own, so that commands inside can make mount namespaces too
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys" 2>/dev/null || mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
while [ "$1" != -- ]; do
	if [ -d "$1" ]; then
		mkdir -p "$root$2"
	else
		mkdir -p "$(dirname "$root$2")"
		[ -e "$root$2" ] || : >"$root$2"
	fi
	mount --rbind "$1" "$root$2"
	shift 2
done
shift
set +e
# not exec: this shell is the namespace's init, and reaps what the command leaves behind
chroot "$root" /bin/sh -c 'cd "$1" || exit 125; shift; exec "$@"' sh "$dir" "$@"
exit $?
"""


Word = str | os.PathLike[str]
Bind = paths.Path | tuple[paths.Path, paths.Path]	# a path of the host, or that and its path inside

_propagation: str | None = None


def _unshare() -> list[str]:
    """The start of a command line that enters a mount namespace which no mount leaves."""
    global _propagation
    if _propagation is None:
        _propagation = "private" if not _try(["unshare", "--mount", "true"]) else _unchanged()
    return ["unshare", "--mount", "--propagation", _propagation]


def _unchanged() -> str:
    """The propagation of a chroot whose root is no mount point, where it cannot be set. That is fine where mounts do not
    propagate anyway, which is tried: a mount made inside must not be seen here."""
    probe = paths.ensure(paths.BUILD / "root" / "probe")
    said = _try(["unshare", "--mount", "--propagation", "unchanged", "mount", "-t", "tmpfs", "none", str(probe)])
    if said:
        raise errors.Problem(f"no mount namespace can be made here ({said}): the lab needs a machine, a virtual "
                             "machine, or a container that may mount")
    if str(probe) in paths.mounted_below(probe):
        _try(["umount", str(probe)])
        raise errors.Problem("this is a chroot that shares its mounts with the system around it; there, before "
                             "entering: mount --bind DIR DIR && mount --make-private DIR")
    return "unchanged"


def _try(argv: list[str]) -> str:
    """"" when a command of the host succeeds, else what it said."""
    try:
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True)
    except FileNotFoundError:
        raise errors.Problem(f"no '{argv[0]}' here: run scripts/setup") from None
    return "" if result.returncode == 0 else result.stderr.strip() or f"exit status {result.returncode}"


def need_root() -> None:
    """A Problem unless we are root: said before anything is downloaded."""
    if os.geteuid() != 0:
        raise errors.Problem("the lab must run as root (chroot and mounts in a private namespace): "
                          "try again as root, or with sudo", errors.USAGE)


def _have() -> set[str]:
    try:
        return set((paths.ROOT / _MARK).read_text().split())
    except FileNotFoundError:
        return set()


def ensure(*sets: str) -> pathlib.Path:
    """The root's path, with these sets of packages in it: names of SETS; default: "run"."""
    need_root()
    paths.check()
    want: set[str] = set()
    for name in sets or ("run",):
        want.update(SETS[name])
    if want <= _have():
        return paths.ROOT
    with paths.lock("root"):
        have = _have()		# another command may have done it while we waited
        packages = {name for name in want - have if "/" not in name}
        if not have:
            bootstrap(paths.ROOT, sorted(packages))
        elif packages:
            _install(sorted(packages))
        for name in sorted(want - have - packages):
            compilers.install(paths.ROOT, *name.split("/"))
        paths.write(paths.ROOT / _MARK, "\n".join(sorted(want | have)) + "\n")
    return paths.ROOT


# Where the programs come from that guests run. Those of another architecture are unpacked, and nothing of them runs here.
_GUESTS = {"run": ["busybox-static"], "programs": ["busybox-static", *IO, "e2fsprogs", "mount", "stress-ng", "procps", "fsverity",
                                                 "util-linux"]}


def foreign(arch: Architecture) -> pathlib.Path:
    """Where the programs of an architecture's guests lie: the build root, or a directory beside it."""
    return paths.ROOT if arch.native else paths.ROOT.parent / arch.name


def ensure_foreign(arch: Architecture, *sets: str) -> pathlib.Path:
    """foreign(), with these sets of programs in it: names of _GUESTS; default: "run"."""
    root = foreign(arch)
    if arch.native:
        return root
    want = {package for name in sets or ("run",) for package in _GUESTS[name]}
    with paths.lock(f"root-{arch.name}"):
        mark = root / _MARK
        have = set(mark.read_text().split()) if mark.exists() else set()
        if not want <= have:
            bootstrap(root, sorted(want | have), arch=arch)
            paths.write(mark, "\n".join(sorted(want | have)) + "\n")
    return root


def _sources() -> list[str]:
    """Lines of the root's sources.list. Security updates if the mirror has them where we think."""
    lines = [apt.source_line(SUITE)]
    try:
        apt.suite(SUITE + "-security")
        lines.append(apt.source_line(SUITE + "-security"))
    except errors.Problem as problem:
        console.warn(f"{problem}; the build root goes without security updates")
    return lines


def _tail(path: paths.Path, count: int = 15) -> str:
    try:
        lines = pathlib.Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join("    " + line for line in lines[-count:])


def bootstrap(root: pathlib.Path, packages: Collection[str], *, manuals: bool = False,
              arch: Architecture = architectures.X86_64) -> None:
    """Make a Debian 13 in a directory; manuals: with /usr/share/man and doc, as an installed system has them.

    One of another architecture is unpacked only: none of its programs runs here.
    """
    log = paths.ensure(root.parent) / f"mmdebstrap{'' if arch.native else f'-{arch.name}'}.log"
    options = root.parent / f"apt{'' if arch.native else f'-{arch.name}'}.conf"
    variant = ["--variant=apt"] if arch.native else ["--variant=extract", "--skip=check/qemu"]
    paths.write(options, apt.host_options() + 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n'
                'Acquire::Retries "3";\nAPT::Sandbox::User "root";\n')
    sources = _sources()
    lean = [] if manuals else [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]
    of = "" if arch.native else f" for {arch.name}"
    with console.doing(f"making a root of Debian 13{of} ({len(packages)} packages and what they need)"):
        with paths.fresh_dir(root) as temp:
            argv = ["mmdebstrap", "--mode=root", *variant, f"--architectures={arch.debian}", "--format=directory",
                    f"--aptopt={options}", f"--keyring={apt.keyring()}",
                    "--dpkgopt=force-unsafe-io", *lean,
                    # the lists stay: more packages are installed from them later
                    "--skip=cleanup/apt/lists", "--include=" + ",".join(packages),
                    SUITE, str(temp), "-"]
            _logged(argv, log, "mmdebstrap", stdin="\n".join(sources) + "\n", unshare=True)
            for name in ("proc", "sys", "dev", "tmp"):
                paths.ensure(temp / name)


def _install(packages: Collection[str]) -> None:
    """More packages: downloaded by the host's apt (it knows proxies, certificates, passwords), installed inside."""
    root = paths.ROOT
    log = paths.BUILD / "root" / "install.log"
    with console.doing(f"adding {len(packages)} packages to the build root"):
        # what an interrupted installation left half done
        if run(["dpkg", "--configure", "-a"], log=log):
            raise errors.Problem(f"dpkg --configure -a failed in the build root:\n{_tail(log)}")
        host = ["apt-get", "-q", "-y", "-o", f"Dir={root}", "-o", f"Dir::State::status={root}/var/lib/dpkg/status",
                "-o", "Dir::Bin::methods=/usr/lib/apt/methods", "-o", "APT::Architecture=amd64",
                "-o", "APT::Architectures=amd64", "-o", "APT::Sandbox::User=root",
                "-o", "APT::Install-Recommends=false", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
                "-o", "DPkg::Post-Invoke=", "-o", "DPkg::Pre-Install-Pkgs="]
        install = ["install", "--download-only", *packages]
        try:
            _logged(host + install, log, "apt-get")
        except errors.Problem:
            # the lists may be older than the mirror's pool
            _logged(host + ["update", "--error-on=any"], log, "apt-get update")
            _logged(host + install, log, "apt-get")
        if run(["apt-get", "-q", "-y", "--no-download", "-o", "APT::Install-Recommends=false", "install", *packages],
               env={"DEBIAN_FRONTEND": "noninteractive"}, log=log):
            raise errors.Problem(f"installing into the build root failed:\n{_tail(log)}")
        run(["apt-get", "clean"], log=log)


def _logged(argv: list[str], log: pathlib.Path, what: str, stdin: str | None = None, unshare: bool = False) -> None:
    """A command of the host, its output to a log file; a failure shows the log's end."""
    if not shutil.which(argv[0]):
        raise errors.Problem(f"no '{argv[0]}' here: run scripts/setup")
    if unshare:
        # what mmdebstrap mounts goes with it, even if it is killed
        argv = [*_unshare(), "--", *argv]
    with open(log, "w") as file:
        process = subprocess.Popen([*signals.WITH_US, *argv], stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                   stdout=file, stderr=file, text=True, env=dict(os.environ, LC_ALL="C.UTF-8"))
        try:
            code = _watched(process, log, what, stdin)
        except BaseException:
            _ended(process)
            raise
    if code:
        raise errors.Problem(f"{what} failed ({log}):\n{_tail(log)}")


def _watched(process: subprocess.Popen[str], log: pathlib.Path, what: str, stdin: str | None) -> int:
    """A process's exit status; until then its last line is shown."""
    progress = console.Progress(what)
    if stdin and process.stdin:
        # one that ended before it read has a status, and its reason in the log
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)
    while True:
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            progress.show(_tail(log, 1).strip()[:100])


def _ended(process: subprocess.Popen[str]) -> None:
    """End a process, by force if it takes long."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pair(bind: Bind) -> list[str]:
    """What _ENTER takes for a bind."""
    source, target = (pathlib.Path(path) for path in (bind if isinstance(bind, tuple) else (bind, bind)))
    source = source.absolute()
    if not source.exists():
        raise errors.Problem(f"cannot bind {source} into the build root: no such file")
    if (source, target) == (paths.BUILD, paths.BUILD) and paths.TOP in paths.BUILD.parents:
        return []	# the tree's bind has it already
    return [str(source), str(target)]


def command(argv: Sequence[Word], cwd: paths.Path | None = None, binds: Iterable[Bind] = (),
            env: Mapping[str, str] | None = None, root: paths.Path | None = None) -> tuple[list[str], dict[str, str]]:
    """The host's command line and environment that run `argv` in the root, for those who need a Popen of their own.

    binds: host paths, seen under the same path inside, or (host path, path inside). The tree and build/ always are.
    root: another one than the build root.
    Killing the process kills everything that it started inside.
    """
    pairs = [word for bind in (paths.TOP, paths.BUILD, *binds) for word in _pair(bind)]
    # Not the caller's environment: MAKEFLAGS and friends would leak into the kernel's build.
    inside = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
              "TERM": os.environ.get("TERM", "dumb")}
    inside.update(env or {})
    return ([*signals.WITH_US, *_unshare(), "--pid", "--fork", "--kill-child", "--",
             "/bin/sh", "-c", _ENTER, "enter", str(root or paths.ROOT), str(cwd or paths.TOP), *pairs, "--",
             *(str(word) for word in argv)], inside)


def run(argv: Sequence[Word], cwd: paths.Path | None = None, binds: Iterable[Bind] = (),
        env: Mapping[str, str] | None = None, *, log: paths.Path | None = None, timeout: float | None = None,
        stdin: TextIO | None = None, check: bool = False) -> int:
    """Run a command in the root; its exit status (124 when it ran past `timeout` seconds).

    Output goes to the terminal, or to the file `log`. check: a failure is a Problem.
    """
    result = _popen(argv, cwd, binds, env, timeout, stdin=stdin,
                    stdout=open(log, "a") if log else None, stderr=subprocess.STDOUT if log else None)
    if check and result[0]:
        raise errors.Problem(f"'{argv[0]}' failed in the build root, exit status {result[0]}"
                          + (f" ({log}):\n{_tail(log)}" if log else ""))
    return result[0]


def output(argv: Sequence[Word], cwd: paths.Path | None = None, binds: Iterable[Bind] = (),
           env: Mapping[str, str] | None = None, *, timeout: float | None = None,
           root: paths.Path | None = None) -> tuple[int, str]:
    """(exit status, stdout and stderr together) of a command in the root."""
    return _popen(argv, cwd, binds, env, timeout, root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _popen(argv: Sequence[Word], cwd: paths.Path | None, binds: Iterable[Bind], env: Mapping[str, str] | None,
           timeout: float | None, root: paths.Path | None = None, **streams: Any) -> tuple[int, str]:
    line, environment = command(argv, cwd, binds, env, root)
    if streams.get("stdin") is None:
        streams["stdin"] = subprocess.DEVNULL
    try:
        process = subprocess.Popen(line, env=environment, text=True, errors="replace", **streams)
    finally:
        if hasattr(streams.get("stdout"), "close"):
            streams["stdout"].close()
    try:
        text = process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        text = process.communicate()[0]
        return 124, text or ""
    except BaseException:
        process.kill()		# and with it its process namespace
        process.wait()
        raise
    return process.returncode, text or ""
