# SPDX-License-Identifier: GPL-2.0-only
"""`uplift doctor`: what is missing on this machine, and what to type for it."""

import argparse
import json
import os
import pathlib
import re
import shutil
from typing import Any

from ..base import changes, errors, packages, prompt
from ..kernel import taint
from . import loader, machine, programs, testfiles


OK, NOTE, MISSING = "ok", "note", "missing"
Found = tuple[str, str, str]	# state, what there is, what to type


def check_root() -> Found:
    """loading modules takes root"""
    return OK if not os.geteuid() else MISSING, f"uid {os.geteuid()}", "sudo uplift doctor"


def check_config() -> Found:
    """options of the kernel's configuration that every module takes"""
    values, where = machine.config()
    if not values:
        return NOTE, "the kernel's configuration cannot be found", "modprobe configs"
    lacks = [name for name in changes.REQUIRED if values.get(name, "n") == "n"]
    return (MISSING, f"{where}: {', '.join(lacks)} not set", "another kernel: this one cannot load the modules") \
        if lacks else (OK, f"{where}: {', '.join(name.removeprefix('CONFIG_') for name in changes.REQUIRED)}", "")


def check_changes() -> Found:
    """options that a change takes"""
    values, _ = machine.config()
    found = [f"{change.name}: {', '.join(change.lacks(values))}" for change in changes.load().values()
             if set(change.lacks(values)) - {f"{name} is not set" for name in changes.REQUIRED}]
    return (NOTE, "; ".join(found), "uplift probe: the others can be tried") if found else (OK, "all that they take", "")


def check_modules() -> Found:
    """our modules, built for this kernel"""
    missing = [name for name in (loader.CORE, *(change.module for change in changes.load().values()))
               if not loader.find(name)[0]]
    core = loader.find(loader.CORE)[0]
    if core and not missing:
        return OK, str(core.parent), ""
    source = any(change.patches() and change.module in missing for change in changes.load().values())
    if not machine.takes_modules():
        return MISSING, f"not there: {', '.join(missing)}", "another kernel"
    return MISSING, f"not there: {', '.join(missing)}", "make modules" + (" KSRC=/path/to/the/kernel's/source"
                                                                          if source else "")


def check_headers() -> Found:
    """the kernel's headers, to build modules with"""
    release = os.uname().release
    where = pathlib.Path("/lib/modules") / release / "build"
    if (where / "Makefile").exists():
        return OK, str(where), ""
    return _unless_built(f"no {where}", packages.headers(release))


def check_compiler() -> Found:
    """make and a compiler"""
    missing = [name for name in ("make", "gcc") if not shutil.which(name)]
    return (OK, "make, gcc", "") if not missing else _unless_built(
        f"not there: {', '.join(missing)}", f"{packages.install(['make', 'gcc'])} {packages.libc()}")


def check_source() -> Found:
    """the kernel's source, from which bodies of redirected functions are made"""
    match = re.match(r"\d+\.\d+", os.uname().release)
    series = match[0] if match else os.uname().release
    found = [path for path in (*pathlib.Path("/usr/src").glob(f"linux-source-{series}*"),
                               pathlib.Path(f"/lib/modules/{os.uname().release}/source"))
             if (path / "Makefile").exists() or path.name.endswith((".tar.xz", ".tar.gz"))]
    if found:
        return OK, str(found[0]), ""
    return _unless_built(f"no /usr/src/linux-source-{series}", packages.source(series, os.uname().release) +
                         ", unpack it, make modules KSRC=...", bodies=True)


def check_coccinelle() -> Found:
    """spatch, which makes the changed bodies"""
    found = shutil.which("spatch")
    return (OK, found, "") if found else _unless_built("no spatch", packages.install(["spatch"]), bodies=True)


def _unless_built(says: str, type_: str, bodies: bool = False) -> Found:
    """What is only needed to build is no fault where everything is built."""
    if not machine.takes_modules():
        return MISSING, says, "another kernel"
    wanted = [change.module for change in changes.load().values() if change.patches() or not bodies]
    built = all(loader.find(name)[0] for name in wanted + ([] if bodies else [loader.CORE]))
    return (OK, f"{says}; not needed, the modules are built", "") if built else (MISSING, says, type_)


def check_btf() -> Found:
    """the kernel's type information, against which layouts are checked"""
    path = pathlib.Path("/sys/kernel/btf/vmlinux")
    return (OK, str(path), "") if os.access(path, os.R_OK) else \
        (MISSING, f"no {path}", "a kernel with CONFIG_DEBUG_INFO_BTF=y")


def check_debugfs() -> Found:
    """debugfs, where verdicts and arms are"""
    if re.search(r" debugfs (?:\S*,)?rw", loader.read("/proc/self/mounts")):
        return OK, "mounted", ""
    if "debugfs" not in loader.read("/proc/filesystems"):
        return MISSING, "the kernel has none", "a kernel with CONFIG_DEBUG_FS=y and without debugfs=off"
    return NOTE, "not mounted; probe and bench mount it for their time", "mount -t debugfs debugfs /sys/kernel/debug"


def check_tracefs() -> Found:
    """tracefs, to see which user hooks which function"""
    there = "tracefs" in loader.read("/proc/self/mounts") or pathlib.Path("/sys/kernel/debug/tracing").exists()
    return (OK, "mounted", "") if there else (NOTE, "not mounted; only for looking at conflicts",
                                              "mount -t tracefs tracefs /sys/kernel/tracing")


def check_ftrace() -> Found:
    """ftrace, through which functions are redirected and watched"""
    value = loader.read("/proc/sys/kernel/ftrace_enabled")
    if not value:
        return MISSING, "no /proc/sys/kernel/ftrace_enabled", "a kernel with CONFIG_DYNAMIC_FTRACE=y"
    return (OK, "enabled", "") if value == "1" else (MISSING, "switched off", "sysctl kernel.ftrace_enabled=1")


def check_kprobes() -> Found:
    """kprobes, by which symbols are found"""
    value = loader.read("/sys/kernel/debug/kprobes/enabled")
    return (OK, "not switched off", "") if value != "0" else \
        (NOTE, "switched off: modules wait out what return probes would show them", "echo 1 >/sys/kernel/debug/kprobes/enabled")


def check_rt() -> Found:
    """PREEMPT_RT, on which some modules refuse to load"""
    if loader.read("/sys/kernel/realtime") != "1":
        return OK, "not PREEMPT_RT", ""
    known = changes.load().values()
    refuse = [change.name for change in known if "CONFIG_PREEMPT_RT" in change.about.get("excludes", ())]
    return (NOTE, f"this is PREEMPT_RT, which {', '.join(refuse) or 'no module'} refuses",
            " ".join(["uplift probe", *(change.name for change in known if change.name not in refuse)]))


def check_loading() -> Found:
    """may modules be loaded at all?"""
    if not machine.takes_modules():
        return MISSING, "this kernel takes no modules (CONFIG_MODULES)", "another kernel"
    if loader.read("/proc/sys/kernel/modules_disabled") == "1":
        return MISSING, "loading of modules is switched off until reboot", "reboot, without kernel.modules_disabled=1"
    if "nomodule" in loader.read("/proc/cmdline").split():
        return MISSING, "booted with nomodule", "reboot without nomodule"
    return OK, "modules can be loaded", ""


def check_lockdown() -> Found:
    """lockdown, which forbids unsigned modules, and kprobes"""
    mode = machine.lockdown()
    if mode in ("", "none"):
        return OK, mode or "the kernel has none", ""
    return MISSING, f"lockdown is {mode}: no unsigned module, no access to debugfs", \
        "boot with Secure Boot off, or without lockdown= (a locked-down kernel has no debugfs to set arms in)"


def check_signatures() -> Found:
    """Secure Boot and enforced signatures"""
    enforced = loader.read("/sys/module/module/parameters/sig_enforce") == "Y"
    boot = machine.secure_boot()
    if enforced:
        return MISSING, "only signed modules load", "make sign, with a key that the kernel trusts (see README)"
    return OK, "signatures are not enforced" + ("; Secure Boot is on" if boot else ""), ""


def check_taint() -> Found:
    """what the kernel is tainted by already"""
    value = machine.tainted()
    odd = value & ~(1 << 12 | 1 << 13 | 1 << 0)
    return (NOTE, taint.words(value), "reboot before you measure, or know why") if odd else \
        (OK, taint.words(value), "")


def check_programs() -> Found:
    """the measuring programs, or a compiler for them"""
    names = {change.about["bench"]["program"] for change in changes.load().values() if "bench" in change.about}
    try:
        return OK, str(programs.find(sorted(names)[0]).parent), ""
    except errors.Problem as problem:
        return MISSING, str(problem).partition(":")[0], str(problem).partition(": ")[2].splitlines()[0] \
            if ": " in str(problem) else ""


def check_files() -> Found:
    """file systems to read directly"""
    why = testfiles.ramdisk_lacks()
    return (NOTE, why, "uplift bench --dir DIR, on XFS or ext4") if why else (OK, "RAM disks can be made", "")


def check_noise() -> Found:
    """does the clock stay where it is?"""
    cpu = sorted(os.sched_getaffinity(0))[-1]
    says = (f"CPU {cpu}: governor {machine.governor(cpu)}, turbo {machine.turbo()}, "
            f"SMT {loader.read(machine.CPU / 'smt/control', 'unknown')}"
            + (f"; guest: {machine.hypervisor()}" if machine.hypervisor() else ""))
    if machine.governor(cpu) in ("performance", "none visible") and machine.turbo() != "on":
        return OK, says, ""
    return NOTE, says, "cpupower frequency-set -g performance; bench measures noise either way"


CHECKS = (check_root, check_loading, check_config, check_changes, check_lockdown, check_signatures, check_ftrace,
          check_kprobes, check_rt, check_debugfs, check_tracefs, check_btf, check_modules, check_headers,
          check_compiler, check_source, check_coccinelle, check_programs, check_files, check_noise, check_taint)


def rows() -> list[dict[str, str]]:
    """What every check found."""
    found = []
    for check in CHECKS:
        try:
            state, says, type_ = check()
        except (OSError, errors.Problem) as problem:
            state, says, type_ = MISSING, str(problem), ""
        found.append({"check": check.__name__.removeprefix("check_"), "about": check.__doc__ or "", "state": state,
                      "says": says, "type": type_ if state != OK else ""})
    return found


def _doctor(args: argparse.Namespace) -> int:
    found = rows()
    missing = [row for row in found if row["state"] == MISSING]
    if args.json:
        print(json.dumps({"ok": not missing, "checks": found}, indent=1))
        return errors.FAIL if missing else errors.OK
    for row in found:
        print(f"{prompt.coloured(row['state'].ljust(8), row['state'])}{row['check']:12} {row['says']}")
        if row["type"]:
            print(f"{'':20} -> {row['type']}")
    print("All is well." if not missing else f"{len(missing)} missing: " + ", ".join(row["check"] for row in missing))
    return errors.FAIL if missing else errors.OK


def register(commands: Any) -> None:
    """Add `uplift doctor`."""
    parser = commands.add_parser(
        "doctor", help="what is missing on this machine, and what to type",
        description="Look for everything that probe and bench take, changing nothing. Status 1: something is missing; "
                    "notes are not. Checks: " + "; ".join(f"{check.__name__.removeprefix('check_')}: {check.__doc__}"
                                                          for check in CHECKS) + ".")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(func=_doctor)
