# SPDX-License-Identifier: GPL-2.0-only
"""Guests: a stock kernel, a handmade initramfs, a script, and what it left in /out.

    boot(target, script, modules=["xfs"], smp=2) -> Result

The guest has busybox, the modules asked for and the files given, nothing else: it is up in a few seconds under
emulation. The console (ttyS0) is for people and for kernel messages. Results come back over a virtio-serial port as
one tar stream with a SHA-256 behind it, so that a result is whole or is none. The host's clock decides about time
limits; a guest that runs into one is sent an NMI first, so that the console tells where it hung.
"""

import argparse
import collections
import ctypes
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import time

from ..base import console, errors, parallel, paths
from . import initramfs

CONSOLE_LIMIT = 16 << 20	# bytes; a guest that writes more is out of control
CPU = "Icelake-Server"		# has CPUID leaf 0x1f (dies), SMAP and SMEP
# For counting: emulation counts each byte of a `rep movsb` or `rep stosb`, so a CPU that claims fast ones (ERMS, FSRM)
# gets every copy and every cleared page counted byte by byte; and Icelake-Server is page-table isolated under TCG.
COUNTING_CPU = "qemu64,-rdrand,-rdseed"
UP = "uplift-guest: up"		# what its init says; nothing of ours has run before


@dataclasses.dataclass
class Result:
    """What became of a guest.

    @rc: the script's exit status; None if the guest ended without a result
    @oops: lines of the console and the log in which the kernel complained
    @races: titles of data races, found by KCSAN, in which none of our code is: the kernel's own, no complaint
    @why: one line, when there is no result: what happened instead
    """
    rc: int = None
    seconds: float = 0.0
    console: pathlib.Path = None
    outdir: pathlib.Path = None
    output: pathlib.Path = None		# the script's stdout and stderr
    dmesg: pathlib.Path = None
    taint: int = None
    timed_out: bool = False
    up: bool = False			# its init was reached
    oops: list = dataclasses.field(default_factory=list)
    races: list = dataclasses.field(default_factory=list)
    why: str = ""
    accel: str = ""
    qemu: str = ""
    argv: list = dataclasses.field(default_factory=list)

    @property
    def ok(self):
        """The script said 0 and the kernel did not complain."""
        return self.rc == 0 and not self.oops

    def problem(self):
        """One line about what went wrong, '' if nothing did."""
        if self.oops:
            return f"the kernel complained: {self.oops[0]}" + (f" (status {self.rc})" if self.rc else "")
        if self.rc is None:
            return self.why
        return f"the script ended with status {self.rc}" if self.rc else ""

    def tail(self, lines=15):
        """The last lines of the console."""
        text = self.console.read_bytes()[-16384:].decode(errors="replace")
        return [_clean(line) for line in text.splitlines() if line.strip()][-lines:]

    def show_end(self):
        """Tell how a guest without a result ended."""
        console.warn(f"guest {self.console.parent.name}: {self.why}; the console's last lines ({self.console}):")
        for text in self.tail():
            console.note(f"    | {text}")


# Processors.

@dataclasses.dataclass(frozen=True)
class Topology:
    """A layout of CPUs and caches. `smp` holds {n} for the vCPUs and {per} for those of one domain."""
    about: str
    cpus: int		# unless asked otherwise
    domains: int	# last-level caches
    smp: str
    cpu: str = CPU + ",level=0x1f"
    machine: str = ""
    fixed: bool = False	# the number of vCPUs is part of it
    step: int = 1	# vCPUs come in multiples of domains x step
    nodes: int = 1	# memory nodes, with as many of the vCPUs each


TOPOLOGIES = {
    "llc1": Topology("one last-level cache", 4, 1, "{n},sockets=1,dies=1,cores={per}"),
    "llc2": Topology("two last-level caches (dies)", 4, 2, "{n},sockets=1,dies=2,cores={per}"),
    "llc4": Topology("four last-level caches (dies)", 16, 4, "{n},sockets=1,dies=4,cores={per}"),
    "smt": Topology("two last-level caches, two threads per core", 8, 2,
                    "{n},sockets=1,dies=2,cores={half},threads=2", step=2),
    "uneven": Topology("two last-level caches of 4 and 3 CPUs", 7, 2, "7,maxcpus=8,sockets=1,dies=2,cores=4",
                       fixed=True),
    "nol3": Topology("no level 3: level 2 is the last, one per core", 4, 4, "{n},sockets=1,cores={n}",
                     cpu=CPU + ",l3-cache=off"),
    "epyc": Topology("EPYC model: cache ids that disagree with the masks", 8, 1, "{n},sockets=1,cores={n}",
                     cpu="EPYC-Genoa,-svm"),
    "numa": Topology("two sockets, a node each, two last-level caches in each", 8, 4,
                     "{n},sockets=2,dies=2,cores={per}", nodes=2),
    "snc": Topology("one last-level cache across two nodes", 8, 1, "{n},sockets=1,dies=1,cores={n}", nodes=2),
    "module": Topology("level 3 shared by modules of two CPUs (QEMU 10)", 8, 4,
                       "{n},sockets=1,dies=1,modules={domains},cores={per}",
                       machine=",smp-cache.0.cache=l3,smp-cache.0.topology=module"),
}


def vcpus(text):
    """An option's number of vCPUs."""
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= 255:
        raise argparse.ArgumentTypeError(f"a guest has 1 to 255 vCPUs, not '{text}'")
    return int(text)


def topology_args(name, smp=None, icount=False):
    """(QEMU arguments, number of vCPUs) for a layout; None is a plain one of `smp` CPUs."""
    if name is None:
        topology = TOPOLOGIES["llc1"]
        cpus = 1 if smp is None else smp
        cpu = COUNTING_CPU if icount else CPU
    else:
        if name not in TOPOLOGIES:
            raise errors.Problem(f"no topology '{name}'; there are: "
                              + ", ".join(f"{key} ({item.about})" for key, item in TOPOLOGIES.items()), errors.USAGE)
        topology = TOPOLOGIES[name]
        cpus = topology.cpus if smp is None else smp
        cpu = topology.cpu
    if cpus < 1 or cpus > 255:
        raise errors.Problem(f"a guest has 1 to 255 vCPUs, not {cpus}", errors.USAGE)
    if topology.fixed and cpus != topology.cpus:
        raise errors.Problem(f"topology '{name}' has {topology.cpus} vCPUs, not {cpus}", errors.USAGE)
    unit = (topology.domains if "{per}" in topology.smp or "{half}" in topology.smp else 1) * topology.step
    if not topology.fixed and cpus % unit:
        raise errors.Problem(f"topology '{name}' needs a multiple of {unit} vCPUs, not {cpus}", errors.USAGE)
    if icount and name is not None:
        cpu += ",-rdrand,-rdseed"
    per = cpus // topology.domains if cpus >= topology.domains else 1
    text = topology.smp.format(n=cpus, per=per, half=max(per // 2, 1), domains=topology.domains)
    return ["-smp", text, "-cpu", cpu, "-machine", f"q35,usb=off,vmport=off{topology.machine}"], cpus


def node_args(name, cpus, megabytes):
    """QEMU arguments for the memory nodes of a layout; none where there is one node."""
    nodes = TOPOLOGIES[name].nodes if name else 1
    if nodes == 1:
        return []
    if cpus % nodes:
        raise errors.Problem(f"topology '{name}' needs a multiple of {nodes} vCPUs, not {cpus}", errors.USAGE)
    per, words = cpus // nodes, []
    for node in range(nodes):
        words += ["-object", f"memory-backend-ram,id=node{node},size={megabytes // nodes}M",
                  "-numa", f"node,nodeid={node},cpus={node * per}-{node * per + per - 1},memdev=node{node}"]
    return words


# QEMU and how it runs.

class Qemu:
    """A QEMU: the build root's, run by the build root's own loader so that no chroot is needed, or another."""

    def __init__(self, program=None):
        program = program or os.environ.get("UPLIFT_QEMU")
        if program:
            found = shutil.which(program)
            if not found:
                raise errors.Problem(f"no QEMU '{program}'", errors.USAGE)
            self.argv, self.env = [found], {}
        else:
            root = paths.ROOT
            loader = root / "lib64/ld-linux-x86-64.so.2"
            binary = root / "usr/bin/qemu-system-x86_64"
            if not loader.exists() or not binary.exists():
                raise errors.Problem("no QEMU in the build root: scripts/uplift lab root")
            self.argv = [str(loader), "--inhibit-cache", "--library-path",
                         f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib", str(binary),
                         "-L", f"{root}/usr/share/qemu", "-L", f"{root}/usr/share/seabios"]
            self.env = {"QEMU_MODULE_DIR": f"{root}/usr/lib/x86_64-linux-gnu/qemu"}
        try:
            text = subprocess.run(self.argv + ["--version"], env={**os.environ, **self.env}, check=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "output", "") or str(error)).strip().splitlines()
            raise errors.Problem(f"QEMU does not start: {said[-1] if said else error}") from None
        match = re.search(r"version (\d+)\.(\d+)\.?(\d*)", text)
        if not match:
            raise errors.Problem(f"'{self.argv[-1]}' does not say that it is QEMU")
        self.version = match[0].split()[1]
        self.major = int(match[1])


def _host():
    """What decides whether KVM works here."""
    model = ""
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{os.uname().release} {os.uname().version} {model}"


def kvm_works(target, qemu):
    """Does a stock guest boot under KVM? /dev/kvm may open, create a machine, and still hang: so boot one.

    The answer is kept below build/ for this host kernel, CPU and QEMU.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    note = paths.GUEST / "kvm.json"
    key = f"{_host()} qemu {qemu.version}"
    with paths.lock("kvm"):
        try:
            known = json.loads(note.read_text())
            if known["host"] == key:
                return known["works"]
        except (OSError, ValueError, KeyError):
            pass
        with console.doing("KVM: trying to boot a guest (once)") as doing:
            result = boot(target, "true", accel="kvm", timeout=15, name="kvm-probe", qemu=qemu, quiet=True)
            works = result.ok
            doing.result = "works" if works else f"does not work, emulation (TCG) will be used: {result.problem()}"
        paths.write(note, json.dumps({"host": key, "works": works, "why": result.problem()}) + "\n")
    return works


def choose_accel(target, qemu, icount, thread, want=None, repeatable=False):
    """(name for people, QEMU arguments). Counting instructions needs TCG, on one thread."""
    want = want or os.environ.get("UPLIFT_ACCEL") or "auto"
    if want not in ("auto", "kvm", "tcg"):
        raise errors.Problem(f"no accelerator '{want}'; there are: auto kvm tcg", errors.USAGE)
    if icount or repeatable:
        return (f"TCG, counting instructions (CPU model {COUNTING_CPU.partition(',')[0]})" if icount
                else "TCG, every instruction of any vCPU a nanosecond",
                ["-accel", "tcg,thread=single", "-icount", "shift=0,align=off,sleep=off",
                 "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"])
    if want == "kvm" or want == "auto" and kvm_works(target, qemu):
        return "KVM", ["-accel", "kvm"]
    # Before QEMU 10 (7.2 was seen) multi-threaded TCG can crash a guest that patches code on several CPUs.
    thread = thread or ("multi" if qemu.major >= 10 else "single")
    if thread not in ("single", "multi"):
        raise errors.Problem(f"TCG threads are 'single' or 'multi', not '{thread}'", errors.USAGE)
    return f"TCG, {thread}-threaded", ["-accel", f"tcg,thread={thread}"]


# The guest's side.

INIT = r"""#!/bin/busybox sh
# Made by scripts/upliftlib/lab/guest.py: mounts, runs /uplift/script, sends /out and the log to the host, powers off.
export PATH=/sbin:/bin HOME=/root TERM=linux LC_ALL=C TMPDIR=/tmp
mount -t proc -o nosuid proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /tmp /run /out /root /uplift/log
mount -t devpts pts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
[ -d /sys/kernel/tracing ] && mount -t tracefs tracefs /sys/kernel/tracing
mount -t tmpfs -o mode=1777,size=50% tmp /tmp
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o size=@OUTSIZE@ out /out
ln -s /proc/self/fd /dev/fd
ip link set lo up
hostname guest
exec </dev/null >/dev/console 2>&1
echo "@UP@"
. /uplift/env
cd /root
if [ -e /uplift/interactive ]; then
	echo "uplift-guest: a shell; what is in /out when it ends is kept"
	setsid cttyhack sh
	rc=$?
else
	mkfifo /uplift/pipe
	# stdin is closed to what runs here, or tee would wait for a daemon that the script left behind
	tee /uplift/log/output </uplift/pipe &
	tee=$!
	/uplift/script >/uplift/pipe 2>&1
	rc=$?
	for i in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 $tee 2>/dev/null || break
		sleep 0.1
	done
	kill $tee 2>/dev/null
fi
echo "uplift-guest: the script ended, status $rc"
cd /
# not "read": it takes single bytes, and a sysctl answers only the first of them
taint=$(cat /proc/sys/kernel/tainted)
dmesg >/uplift/log/dmesg 2>/dev/null
cat /proc/modules >/uplift/log/modules
modprobe -q virtio_pci
modprobe -q virtio_console
port=
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	for dir in /sys/class/virtio-ports/*; do
		read -r name <$dir/name && [ "$name" = uplift.result ] && port=/dev/${dir##*/}
	done 2>/dev/null
	[ -c "$port" ] && break
	sleep 0.1
done
if [ -c "$port" ]; then
	# read twice, as tee is slow; nobody is left who could change it. The sum goes last: a stream without it is
	# no result.
	kill -9 -1
	pack()
	{
		tar -c -f - out uplift/log
		echo $? >/uplift/tar
	}
	sum=$(pack | sha256sum)
	pack >$port
	read -r tar </uplift/tar
	echo "uplift-result 1 ${sum%% *} rc=$rc taint=$taint tar=$tar" >$port
	echo "uplift-guest: sent"
else
	echo "uplift-guest: no port to send the result to"
fi
poweroff -f
"""


def _busybox():
    """A static busybox and the names that it answers to."""
    for name in ("usr/bin/busybox", "bin/busybox"):
        path = paths.ROOT / name
        if path.exists():
            break
    else:
        raise errors.Problem("no busybox in the build root: scripts/uplift lab root")
    if initramfs.needed(path)[0]:
        raise errors.Problem("the build root's busybox is not static (busybox-static wanted): scripts/uplift lab root")
    names = subprocess.run([path, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    return path, names


def _image(target, script, files, modules, kos, programs, env, interactive, outsize):
    """The initramfs."""
    archive = initramfs.Archive()
    busybox, names = _busybox()
    archive.copy("bin/busybox", busybox)
    for name in names:
        if name != "busybox":
            archive.link(f"bin/{name}", "busybox")
    for name in ("sbin", "usr/bin", "usr/sbin"):
        archive.link(name, "/bin")
    for name in ("dev", "proc", "sys", "root", "uplift", "run", "etc"):
        archive.dir(name)
    archive.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    archive.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    archive.text("init", INIT.replace("@OUTSIZE@", outsize).replace("@UP@", UP), 0o755)
    if interactive:
        archive.text("uplift/interactive", "")
    if isinstance(script, pathlib.Path):
        archive.copy("uplift/script", script)
        mode, data = archive.entries["uplift/script"]
        archive.entries["uplift/script"] = (mode | 0o111, data)
    else:
        text = script if script.startswith("#!") else "#!/bin/sh\n" + script
        archive.text("uplift/script", text if text.endswith("\n") else text + "\n", 0o755)
    archive.text("uplift/env", "".join(f"export {key}={shlex.quote(str(value))}\n" for key, value in env.items()))
    tree = initramfs.Modules(pathlib.Path(target.moddir) / "lib/modules" / target.release)
    result_path = [name for name in ("virtio_pci", "virtio_console") if tree.has(name)]
    initramfs.add_modules(archive, tree, list(modules) + result_path, kos)
    for program in programs:
        initramfs.add_program(archive, paths.ROOT, program, None)
    for where, source in files.items():
        archive.copy(where, source)
    return archive


# What the kernel says when something is wrong, right after the time stamp. Scripts' own output has none.
_STAMP = r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? *"
_FAULT = (
    r"(?:"
    r"BUG:|BUG at |kernel BUG at|WARNING:|Oops|Kernel panic|general protection fault|"
    r"Call Trace:|------------\[ cut here|UBSAN:|KASAN:|KFENCE:|"
    r"unable to handle|Unable to handle|double fault|traps: PANIC|"
    r"INFO: (?:task|rcu|possible|trying to register|suspicious|inconsistent|lockdep)|"
    r"rcu: INFO:|watchdog: BUG|NMI watchdog: Watchdog|"
    r"DEBUG_LOCKS_WARN_ON|\[ BUG:|======+$|"
    r"stack segment|invalid opcode:|divide error:|int3:|segment not present|"
    r"Out of memory: Killed|.*: module verification failed: signature invalid|"
    r"unchecked MSR access|refcount_t:|list_(?:add|del) corruption|page_owner|Bad page)")
_COMPLAINT = re.compile(_STAMP + _FAULT)
_PANIC = re.compile(_STAMP + r"Kernel panic - not syncing: (.*)")


def without(text, excused):
    """A kernel log without reports in which a pattern is found: from "cut here" to "end trace", or a lone call trace."""
    kept, block, lone = [], None, False
    for line in text.splitlines():
        if "[ cut here ]" in line:
            block = []
        if block is not None:
            block.append(line)
            if "[ end trace " in line:
                kept += [] if any(re.search(excused, said) for said in block) else block
                block = None
            continue
        if re.search(excused, line):
            lone = True
        elif lone and "Call Trace:" in line:
            lone = False
            continue
        kept.append(line)
    return "\n".join(kept + (block or []))


_BAR = re.compile(r"(?<!=)={66}$")	# above and below a report of KASAN's or KCSAN's; lockdep's are shorter
_RACE = re.compile(r"BUG: KCSAN: (.*)")
_OTHER = re.compile(rf"(?:.*?{_STAMP})?(?!BUG: KCSAN: |=+$){_FAULT}")	# a complaint that is no part of KCSAN's
# A function, and the module that it is in: "[xfs]", "[xfs(E)]", "[xfs 1a2b3c]".
_FRAME = re.compile(r"(\S+\+0x[0-9a-f]+/0x[0-9a-f]+)(?: \[([^] ]*))?")


def _accesses(report):
    """[where an access of a race is made, by code of ours or by what it called?]

    What another module does is its own: our code calls it back only. The body of the arm "null" is the kernel's own.
    """
    found, stack = [], False
    for line in report:
        frame = _FRAME.search(line)
        if not frame:
            stack = elsewhere = False	# another access, another stack, the innermost function first
            continue
        if not stack:
            stack = True
            found.append([frame[1], False])
        module = frame[2] or ""
        if module and not module.startswith("uplift"):
            elsewhere = True
        elif module and not elsewhere and "_null+" not in frame[1]:
            found[-1][1] = True
    return found


def _inherited(accesses, known):
    """Does code of ours race with nothing but what is @known to race with the kernel's own, too?

    Bodies are made from the kernel's functions, with the races that these have.
    """
    others = [place for place, ours in accesses if not ours]
    return bool(others) and known.issuperset(others)


def without_own_races(text):
    """(a kernel log without those of KCSAN's reports in which no code of ours is, their titles each once).

    A kernel has data races of its own, and one that is up finds some with nothing of ours loaded. A file system's
    counters, say, race whoever called its iomap_begin().
    """
    parts, block, race, other = [], [], None, False	# (lines, title of a race or None, its accesses)
    for line in text.splitlines():
        clean = _clean(line).rstrip()
        if not block:
            if _BAR.search(clean):
                block.append(line)
            else:
                parts.append(([line], None, []))
            continue
        block.append(line)
        race = race or _RACE.search(clean)
        # of another CPU between the lines of this one; or behind a report whose end was lost
        other = other or _OTHER.match(clean)
        if _BAR.search(clean):
            title = race[1] if race and not other else None
            parts.append((block, title, _accesses(block) if title else []))
            block, race, other = [], None, False
    known = {place for _, title, accesses in parts if title and not any(ours for _, ours in accesses)
             for place, _ in accesses}
    kept, titles = [], collections.OrderedDict()
    for lines, title, accesses in parts:
        if title and not any(ours for _, ours in accesses):
            titles[title] = None
        elif title and _inherited(accesses, known):
            titles[f"{title}, which the kernel's own function has, too"] = None
        else:
            kept += lines
    return "\n".join(kept + block), list(titles)


def complaints(text):
    """The lines of a kernel log or console that tell of a fault, each once."""
    found = collections.OrderedDict()
    for line in text.splitlines():
        match = _COMPLAINT.search(line)
        if match:
            # without the stamp, as the log and the console have the same line
            found[re.sub(_STAMP, "", _clean(line[match.start():])).strip()] = None
    return list(found)


def _clean(line):
    """A line of a console without what moves a terminal's cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|[\x00-\x08\x0b-\x1f]", "", line)


# The host's side.

def check_name(name):
    """A guest's directory is replaced: its name must not lead anywhere else."""
    if not re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*", name):
        raise errors.Problem(f"a guest's name is letters, digits and . _ + -, not '{name}'", errors.USAGE)


def _run_dir(name):
    """A directory for a run that no other boot uses, and the lock that says so; a finished one is replaced."""
    import fcntl
    check_name(name)
    paths.ensure(paths.GUEST)
    for number in range(1, 1000):
        path = paths.GUEST / (name if number == 1 else f"{name}.{number}")
        lock = open(paths.GUEST / f".lock-{path.name}", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        paths.remove(path)
        path.mkdir()
        return path, lock
    raise errors.Problem(f"a thousand guests named '{name}' run already")


def _die_with_parent():
    """In the child: QEMU shall not outlive us, however we end."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)	# PR_SET_PDEATHSIG


def _megabytes(mem):
    match = re.fullmatch(r"(\d+)([MmGg]?)", str(mem))
    if not match:
        raise errors.Problem(f"memory is given as 512M or 2G, not '{mem}'", errors.USAGE)
    return int(match[1]) * (1024 if match[2] in ("G", "g") else 1)


def boot(target, script, **options):
    """Boot a target's kernel, run a script in it, bring back what it left in /out.

    @script: text, or the Path of an executable
    @files: {path in the guest: file or directory here}
    @modules: stock modules that modprobe shall find, with what they need; none is loaded
    @kos: our modules: in /modules for insmod, and found by modprobe
    @programs: programs of the build root, by path, with their libraries; one that busybox has too (xz) is run by its
        path only, as its shell prefers its own
    @smp, @topology: vCPUs and their layout (TOPOLOGIES)
    @icount: one guest nanosecond is one instruction, and two boots are the same; one vCPU only
    @repeatable: the same for several vCPUs, which take turns: nothing can be counted, as it is the sum of all of them
        that makes the time, but two boots do the same at the same times
    @append: more kernel arguments
    @timeout: seconds of the host's clock, from the start of QEMU
    @mem: '1G'; by default 1 GiB, or what the files need
    @plugins: QEMU plugins (path,arguments)
    @env: variables for the script
    @echo: called with each line of the console as it comes
    @excused: a pattern; a report of the kernel's in which it is found is what the script means to bring about
    @oops_panic, @warn_panic: end the guest at the first oops, or warning
    @keep: do not delete the initramfs
    @efi: (code, variables) of a firmware for Secure Boot; what it does to the variables is not kept
    @thread: of TCG: 'multi', a thread for each vCPU, or 'single'; by default what works

    A guest that fails by what the emulator did to it is booted once more: see fault_of_emulation().
    """
    result = _boot(target, script, **options)
    fault, instead = fault_of_emulation(result, options.get("thread"))
    if fault:
        first = result.console.parent
        console.warn(f"{target.release}: '{fault}' is what emulation can do to a guest by itself ({first}): once more")
        result = _boot(target, script, **options | instead | {"name": f"{first.name}-again"})
    return result


def _unfed(console):
    """Does RCU complain of a CPU that had not one tick in ten, which is one whose thread the host did not run?"""
    stalled = re.search(r"rcu: \t\d+-\S+ \((\d+) ticks this GP\).*?t=(\d+) jiffies", console, re.DOTALL)
    return bool(stalled) and 10 * int(stalled[1]) < int(stalled[2])


def fault_of_emulation(result, thread=None):
    """(what the kernel said, other options for boot()) if a guest failed and the emulator can be to blame; else (None, {}).

    A breakpoint that nobody had set: the kernel patches code by way of int3. When a vCPU translates code while another
    writes it, multi-threaded TCG can keep the int3 for good; seen with QEMU 7.2 and 10.0, on loaded hosts. With one
    thread vCPUs take turns, and a kernel or module that is at fault itself fails there again. Not so if the caller asked
    for a number of threads.

    A CPU that had no ticks for as long as RCU waits: its thread was not run, on a host with many others. One that spins
    with interrupts off looks the same, and spins again.

    A clock that was calibrated while the host was busy elsewhere: it runs at a multiple of its speed (ten times was
    seen), and minutes pass between two instructions.

    A kernel that never got to its init, where nothing of ours has run yet: hung, and dead of an interrupt in its first
    milliseconds, each seen once, on a loaded host. With KASAN it complains of that interrupt (handle_edge_irq() on a
    descriptor that is none, after 11 ms) and goes on; then all that it complains of is from before its init.
    """
    if result.ok or not result.accel.startswith("TCG"):
        return None, {}
    console = result.console.read_text(errors="replace")
    single = {"thread": "single"} if "multi-threaded" in result.accel and not thread else {}
    early, up, _ = console.partition(UP)
    if up and result.oops and set(result.oops) <= set(complaints(without_own_races(early)[0])):
        return f"{result.oops[0]} before its init", single
    if result.rc is None and not result.up and (result.timed_out or result.oops):
        return (result.oops or [result.why])[0], single
    if single:
        fault = next((line for line in result.oops if re.match(r"(?:Oops: )?int3: ", line)), None)
        if fault:
            return fault, single
        if _unfed(console):
            return "rcu: a CPU without ticks", single
    clock = re.search(r"tsc: PIT calibration deviates from \w+: (\d+) (\d+)", console)
    if clock and not 0.8 < int(clock[1]) / int(clock[2]) < 1.25:
        return clock[0], {}
    return None, {}


def _boot(target, script, *, files=None, modules=(), kos=(), programs=(), smp=None, icount=False, topology=None,
          repeatable=False, excused=None, append="", timeout=300, thread=None, mem=None, plugins=(), accel=None,
          qemu=None, name=None, env=None, interactive=False, echo=None, oops_panic=True, warn_panic=False, quiet=False,
          keep=False, efi=None):
    """One boot, as boot() says."""
    qemu = qemu if isinstance(qemu, Qemu) else Qemu(qemu)
    layout, cpus = topology_args(topology, smp, icount or repeatable)
    if icount and cpus != 1:
        raise errors.Problem(f"instructions can be counted on one vCPU only, not {cpus}: their counts would mix",
                          errors.USAGE)
    release = initramfs.release_of(target.vmlinuz)
    if release != target.release:
        raise errors.Problem(f"the image is {release}, the modules are for {target.release}: they do not belong together",
                          errors.USAGE)
    accel_name, accel_args = choose_accel(target, qemu, icount, thread, accel, repeatable)

    archive = _image(target, script, files or {}, modules, kos, programs, env or {}, interactive, "25%")
    megabytes = archive.size() >> 20
    # while it unpacks, the image and the files are both there
    enough = 384 + 5 * megabytes // 2
    if mem is None:
        mem = max(1024, enough)
    else:
        mem = _megabytes(mem)
        if mem < enough - 200:
            raise errors.Problem(f"the guest carries {megabytes} MB of files: it needs --mem {enough}M at least, "
                              f"not {mem}M", errors.USAGE)

    mem += mem % 2		# halves are whole, too
    layout = layout + node_args(topology, cpus, mem)
    rundir, lock = _run_dir(name or f"{target.name}-run")
    result = Result(console=rundir / "console", outdir=rundir / "out", output=rundir / "log/output",
                    dmesg=rundir / "log/dmesg", accel=accel_name, qemu=qemu.version)
    process = None
    try:
        result.outdir.mkdir()
        image = rundir / "initramfs.cpio"
        archive.write(image)
        line = ["console=ttyS0,115200", "panic=-1", "printk.time=1", "loglevel=5", "no_timer_check",
                "unknown_nmi_panic", "net.ifnames=0"]
        line += ["oops=panic"] if oops_panic else []
        line += ["panic_on_warn=1"] if warn_panic else []
        line += ["nokaslr", "cryptomgr.notests"] if icount or repeatable else []
        line += append.split()
        serial = ["-serial", "mon:stdio"] if interactive else ["-serial", f"file:{result.console}",
                                                              "-monitor", "stdio"]
        stream = rundir / "result"
        argv = qemu.argv + layout + accel_args + [
            "-m", f"{mem}M", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            *_firmware(efi), "-kernel", str(target.vmlinuz), "-initrd", str(image),
            "-append", " ".join(line), *serial,
            *_channel(stream, icount or repeatable)]
        for plugin in plugins:
            argv += ["-plugin", plugin]
        result.argv = argv
        (rundir / "command").write_text(shlex.join(argv) + "\n")
        start = time.monotonic()
        if interactive:
            result.console.write_bytes(b"")
            process = subprocess.Popen(argv, env={**os.environ, **qemu.env}, preexec_fn=_die_with_parent)
            process.wait()
        else:
            with open(rundir / "qemu.log", "wb") as log:
                process = parallel.start(argv, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                                        env={**os.environ, **qemu.env}, preexec_fn=_die_with_parent,
                                        start_new_session=True)
            _watch(process, result, timeout, start, echo)
        result.seconds = time.monotonic() - start
        _collect(result, rundir, stream, process.returncode, excused)
        if not keep:
            image.unlink()
    finally:
        if process:
            parallel.remove(process)
            if process.poll() is None:
                process.kill()
                process.wait()
        lock.close()
    if result.rc is None and not quiet:
        result.show_end()
    return result


def _comma(path):
    """A path inside a QEMU option: a comma is written twice."""
    return str(path).replace(",", ",,")


def _firmware(efi):
    """QEMU arguments for the firmware: one that is quick, or a given EFI, whose variables only it may write."""
    if efi is None:
        return ["-bios", "qboot.rom"]
    code, variables = map(_comma, efi)
    return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
            "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={variables}",
            "-global", "driver=cfi.pflash01,property=secure,value=on"]


def _channel(stream, same):
    """QEMU arguments for the way back. With an eventfd another thread of QEMU answers the guest's driver, some
    instructions sooner or later: from there on no two boots would be the @same."""
    return ["-device", "virtio-serial-pci" + (",ioeventfd=off" if same else ""),
            "-chardev", f"file,id=result,path={_comma(stream)}",
            "-device", "virtserialport,chardev=result,name=uplift.result"]


def _up_within(timeout):
    """Seconds in which init has to be reached: it takes 4, or 60 beside a dozen others."""
    return min(timeout, max(180, timeout / 5))


def _waited(pid):
    """Seconds for which a process was ready to run and had no CPU: the most that one of its threads was."""
    most = 0
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            most = max(most, int(file.read_text().split()[1]))
        except (OSError, IndexError, ValueError):
            pass	# it ended, or this kernel does not count
    return most / 1e9


def _watch(process, result, timeout, start, echo, patience=5):
    """Wait for QEMU; pass on the console; end it, in `patience` seconds, when it takes too long or says too much."""
    at, rest, ending, up, limit = 0, "", None, False, _up_within(timeout)
    while True:
        try:
            process.wait(0.05)
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
        try:
            size = result.console.stat().st_size
        except FileNotFoundError:
            size = 0
        if echo and size > at:
            with open(result.console, "rb") as file:
                file.seek(at)
                data = file.read(1 << 20)
            at += len(data)
            *lines, rest = (rest + data.decode(errors="replace")).split("\n")
            for line in lines:
                echo(_clean(line))
        if ended:
            return
        now = time.monotonic()
        if ending:
            if now > ending:
                process.kill()
        elif size > CONSOLE_LIMIT:
            result.why = f"the console was flooded: more than {console.size(CONSOLE_LIMIT)}"
            process.kill()
            ending = now + patience
        elif not up and size and _is_up(result.console):
            up, limit = True, timeout
        elif now - start > limit:
            waited = 0 if up else _waited(process.pid)
            if now - start < timeout and now - start - waited < _up_within(timeout):
                limit = min(timeout, _up_within(timeout) + waited)
                continue
            result.timed_out = True
            result.why = f"no end within {timeout:g} s" if up else \
                f"the kernel did not reach its init within {_up_within(timeout):g} s"
            if waited > _up_within(timeout):
                result.why += f", and {waited:.0f} s more in which QEMU had no CPU: this host has too much else to do"
            ending = now + patience
            try:
                # unknown_nmi_panic: the console then tells where each CPU was
                process.stdin.write(b"nmi\n")
                process.stdin.flush()
            except OSError:
                pass


def _is_up(console):
    return UP.encode() in console.read_bytes()


def _collect(result, rundir, stream, code, excused=None):
    """Take the stream apart; read the console."""
    if not result.console.exists():
        result.console.write_bytes(b"")
    result.up = _is_up(result.console)
    rc, taint, why = _unpack(stream, rundir)
    result.taint = taint
    text, result.races = without_own_races(result.console.read_bytes().decode(errors="replace"))
    if result.dmesg.exists():
        said, races = without_own_races(result.dmesg.read_text(errors="replace"))
        text += "\n" + said
        result.races = list(dict.fromkeys(result.races + races))
    found = complaints(without(text, excused) if excused else text)
    if result.timed_out:
        # what the NMI made it say is no fault of its own
        cut = next((number for number, line in enumerate(found)
                    if re.search(r"NMI: Not continuing|unknown_nmi|NMI", line)), len(found))
        result.oops = found[:cut]
    else:
        result.oops = found
    if rc is not None and not result.why:
        result.rc = rc
        stream.unlink()
        return
    if not result.why:
        panic = _PANIC.search(text)
        log = (rundir / "qemu.log")
        said = [line for line in log.read_text(errors="replace").splitlines()
                if line.strip() and "warning:" not in line and not line.startswith("(qemu)")
                and not line.startswith("QEMU ")] if log.exists() else []
        if panic:
            result.why = f"the guest's kernel panicked: {panic[1].strip()}"
        elif code:
            result.why = f"QEMU ended with status {code}: {said[-1] if said else 'it said nothing'}"
        elif not result.up:
            result.why = "the guest ended before its init was up"
        else:
            result.why = f"the guest ended without a result ({why})"


def _unpack(stream, rundir):
    """(rc, taint, '') of a whole result stream, now unpacked; (None, None, reason) of anything else."""
    try:
        size = stream.stat().st_size
    except FileNotFoundError:
        return None, None, "nothing was sent"
    with open(stream, "rb") as file:
        file.seek(max(0, size - 4096))
        tail = file.read()
        match = re.search(rb"uplift-result 1 ([0-9a-f]{64}) rc=(\d+) taint=(\d+) tar=(\d+)\n\Z", tail)
        if not match:
            return None, None, f"its stream ends after {console.size(size)}" if size else "nothing was sent"
        length = size - len(match[0])
        file.seek(0)
        digest, left = hashlib.sha256(), length
        while left:
            data = file.read(min(left, 1 << 20))
            digest.update(data)
            left -= len(data)
        if digest.hexdigest() != match[1].decode():
            return None, None, "its stream does not have the checksum that the guest computed"
        if int(match[4]):
            return None, None, "its tar could not read all of /out"
    paths.remove(rundir / "out")
    with tarfile.open(stream) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(rundir, filter="data")
        else:
            tar.extractall(rundir)
    (rundir / "uplift/log").rename(rundir / "log")
    (rundir / "uplift").rmdir()
    return int(match[2]), int(match[3]), ""
