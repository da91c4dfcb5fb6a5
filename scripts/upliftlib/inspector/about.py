# SPDX-License-Identifier: GPL-2.0-only
"""What machine it is: model, hypervisor, and of the kernel's command line what concerns CPUs and the scheduler.

Of a command line nothing else is taken: it may have names, serial numbers and keys.
"""

import pathlib
import re

from . import model, sysfs

# Parameters that change which CPUs, caches or scheduling domains there are.
PARAMETERS = re.compile(r"(isolcpus|nohz_full|rcu_nocbs|maxcpus|nr_cpus|possible_cpus|nosmt|nosmp|smt|numa|numa_balancing|"
                        r"mitigations|sched_verbose|sched_proxy_exec|relax_domain_level|cpu0_hotplug|irqaffinity|"
                        r"housekeeping|acpi|maxnodes|cgroup_disable|preempt|threadirqs|noapic|x2apic_phys|"
                        r"nox2apic|hugepages|movable_node)(=[\w,.:+/-]*)?")
MODELS = ("model name", "Model", "cpu model", "cpu", "uarch", "machine", "Hardware", "vendor_id")


def words(command_line: str) -> str:
    """The parameters that may be passed on."""
    return " ".join(word for word in command_line.split() if PARAMETERS.fullmatch(word))


def _of_cpuinfo(text: str) -> tuple[str, str]:
    """(model, hypervisor) as /proc/cpuinfo has them on several architectures."""
    lines: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            lines.setdefault(key.strip(), value.strip())
    # on s390 each CPU has a line of several words: "processor 0: version = FF, machine = 3931"
    machine = re.search(r"machine = (\w{1,16})", text)
    named = next((lines[key] for key in MODELS if lines.get(key)), "")
    if machine:
        named = f"{named} machine {machine[1]}".strip()
    return named, "yes" if "hypervisor" in lines.get("flags", "").split() else ""


def _kept(text: str) -> model.About:
    """From a capture's own file."""
    found = model.About()
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        name = key.replace(" ", "_")
        if name in ("model", "hypervisor", "command_line"):
            setattr(found, name, model.plain(value.strip()[:400]))
    return found


def read(root: pathlib.Path) -> model.About:
    """What machine a root directory, or a capture, is of."""
    kept = sysfs.small(root / "about")
    if kept is not None:
        return _kept(kept)
    named, hypervisor = _of_cpuinfo(sysfs.small(root / "proc/cpuinfo") or "")
    kind = (sysfs.small(root / "sys/hypervisor/type") or "").strip()
    line = words(sysfs.small(root / "proc/cmdline") or "")
    return model.About(model.plain(named[:200]), model.plain(kind[:40]) or hypervisor, model.plain(line[:400]))


def text(found: model.About) -> str:
    """For a capture."""
    return f"model: {found.model}\nhypervisor: {found.hypervisor}\ncommand line: {found.command_line}\n"


def kernel(root: pathlib.Path) -> str:
    """The release of a tree's kernel."""
    for name, pattern in (("uname", r"Linux (\S+)"), ("proc/version", r"Linux version (\S+)"),
                          ("proc/sys/kernel/osrelease", r"(\S+)")):
        if match := re.match(pattern, sysfs.small(root / name) or ""):
            return str(model.plain(match[1][:64]))
    return "kernel unknown"
