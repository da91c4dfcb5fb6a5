# SPDX-License-Identifier: GPL-2.0-only
"""What a figure depends on, read from the machine that it was taken on."""

import gzip
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from ..base import architectures
from ..kernel import notes
from .loader import read

# What of a kernel's configuration decides whether and how the modules work, and what is measured.
CONFIG = ("CONFIG_MODULES", "CONFIG_KPROBES", "CONFIG_KALLSYMS_ALL", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
          "CONFIG_DYNAMIC_FTRACE_WITH_JMP", "CONFIG_LIVEPATCH", "CONFIG_DEBUG_INFO_BTF", "CONFIG_DEBUG_FS",
          "CONFIG_PREEMPT_RT", "CONFIG_PREEMPT_RCU", "CONFIG_PREEMPT_DYNAMIC", "CONFIG_PREEMPT_LAZY",
          "CONFIG_HARDENED_USERCOPY", "CONFIG_X86_KERNEL_IBT", "CONFIG_MITIGATION_RETPOLINE", "CONFIG_RETPOLINE",
          "CONFIG_INIT_ON_ALLOC_DEFAULT_ON", "CONFIG_MEMCG", "CONFIG_MODULE_SIG_FORCE", "CONFIG_FS_IOMAP")
CPU = pathlib.Path("/sys/devices/system/cpu")


def config(release: str | None = None) -> tuple[dict[str, str], str]:
    """{"CONFIG_X": "y", ...} of the running kernel, and where it was found; ({}, "") where it is not to be had."""
    release = release or os.uname().release
    for path in ("/proc/config.gz", f"/boot/config-{release}", f"/lib/modules/{release}/config",
                 f"/lib/modules/{release}/build/.config"):
        try:
            data = pathlib.Path(path).read_bytes()
        except OSError:
            continue
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode(errors="replace")
        return {key: value.strip('"') for key, value in re.findall(r"(?m)^(CONFIG_\w+)=(.*)$", text)}, path
    return {}, ""


def takes_modules() -> bool:
    """Was the kernel built with loadable modules (CONFIG_MODULES)?"""
    return os.path.exists("/proc/modules") or not os.path.exists("/proc/version")


def that_matters(values: Mapping[str, str]) -> dict[str, str]:
    """CONFIG's lines of a configuration."""
    if not values:
        return {}
    found = {key: values.get(key, "n") for key in CONFIG}
    # the name changed in 6.9
    del found["CONFIG_RETPOLINE" if "CONFIG_MITIGATION_RETPOLINE" in values else "CONFIG_MITIGATION_RETPOLINE"]
    return found


def build_id() -> str:
    """The running kernel's build id; '' where it has none, or it may not be read."""
    try:
        return notes.build_id(pathlib.Path("/sys/kernel/notes").read_bytes()).hex()
    except OSError:
        return ""


def tainted() -> int:
    """The number in /proc/sys/kernel/tainted."""
    return int(read("/proc/sys/kernel/tainted", "0") or 0)


def turbo() -> str:
    """on, off, or unknown: may the clock exceed its nominal rate?"""
    no_turbo = read(CPU / "intel_pstate/no_turbo")
    if no_turbo:
        return "off" if no_turbo == "1" else "on"
    boost = read(CPU / "cpufreq/boost")
    return {"0": "off", "1": "on"}.get(boost, "unknown")


def governor(cpu: int) -> str:
    """The frequency governor of a CPU; what hides it from a guest is its host's."""
    return read(CPU / f"cpu{cpu}/cpufreq/scaling_governor", "none visible")


def mitigations() -> dict[str, str]:
    """{vulnerability: how it is mitigated}, without what this CPU is not affected by."""
    found = {}
    try:
        for path in sorted((CPU / "vulnerabilities").iterdir()):
            if read(path) not in ("", "Not affected"):
                found[path.name] = read(path)
    except OSError:
        pass
    return found


def hypervisor() -> str:
    """Whose guest this is; '' on hardware."""
    if "hypervisor" not in read("/proc/cpuinfo"):
        return ""
    name = read("/sys/hypervisor/type") or " ".join(filter(None, (read("/sys/class/dmi/id/sys_vendor"),
                                                                  read("/sys/class/dmi/id/product_name"))))
    return name or "a virtual machine"


def emulated() -> bool:
    """Is this a guest without hardware's help? QEMU says who it is; under KVM there is a clock of KVM's."""
    clocks = read("/sys/devices/system/clocksource/clocksource0/available_clocksource").split()
    return hypervisor().startswith("QEMU") and "kvm-clock" not in clocks


def lockdown() -> str:
    """none, integrity, confidentiality; '' where the kernel has no lockdown."""
    match = re.search(r"\[(\w+)\]", read("/sys/kernel/security/lockdown"))
    return match[1] if match else ""


def secure_boot() -> bool | None:
    """True, False, or None where there is no EFI to ask."""
    try:
        path, = pathlib.Path("/sys/firmware/efi/efivars").glob("SecureBoot-*")
        return path.read_bytes()[-1] == 1
    except (OSError, ValueError, IndexError):
        return None


def package(release: str) -> str:
    """The version of the distribution's kernel, as it puts it into the kernel's banner or its package list."""
    status = read("/var/lib/dpkg/status")
    match = re.search(rf"(?m)^Package: linux-(?:image|binary)-{re.escape(release)}\n(?:.+\n)*?Version: (.+)$", status)
    if match:
        return match[1]
    match = re.search(r"\bDebian (\S+) \(", read("/proc/version"))
    return match[1] if match else ""


# Of the command line only what moves figures: the rest is private to the machine.
ARGUMENTS = re.compile(r"(?:mitigations|nosm[a-z]+|nosmt|nopti|pti|spectre\w*|spec_\w+|retbleed|mds|l1tf|isolcpus"
                       r"|nohz\w*"
                       r"|rcu_nocbs|idle|intel_pstate|amd_pstate|intel_idle\.\w+|processor\.\w+|tsc|clocksource|preempt"
                       r"|threadirqs|transparent_hugepage|init_on_\w+|slab_\w+|nokaslr|cryptomgr\.notests)(?:=\S*)?")


def arguments(line: str) -> str:
    """The kernel's arguments that may move a figure."""
    return " ".join(word for word in line.split() if ARGUMENTS.fullmatch(word))


def describe(cpu: int | None = None) -> dict[str, Any]:
    """Everything above, as the part "machine" of a report."""
    release = os.uname().release
    info = read("/proc/cpuinfo")
    model = re.search(r"(?m)^model name\s*: (.*)$", info)
    values, where = config(release)
    found = {
        "release": release, "version": package(release), "kernel": read("/proc/version"), "arch": architectures.of_uname(os.uname().machine),
        "build_id": build_id(),
        "config": that_matters(values), "config_from": where, "cpu": model[1] if model else "unknown",
        "online": read(CPU / "online"), "smt": read(CPU / "smt/control", "unknown"), "turbo": turbo(),
        "smap": bool(re.search(r"(?m)^flags\s*:.*\bsmap\b", info)),
        "mitigations": mitigations(), "hypervisor": hypervisor(), "cmdline": arguments(read("/proc/cmdline")),
        "lockdown": lockdown(), "taint": tainted(),
    }
    if cpu is not None:
        found |= {"pinned": cpu, "governor": governor(cpu),
                  "siblings": read(CPU / f"cpu{cpu}/topology/thread_siblings_list")}
    return found
