# SPDX-License-Identifier: GPL-2.0-only
"""The cache domains as /sys/devices/system has them: the hardware's view, without the scheduler's.

A CPU's last level is the topmost that its cache/ shows and that holds data. CPUs are grouped by the mask that they
share, never by an id: ids differ from source to source, and on some machines from CPU to CPU of one cache.
"""

import collections
import pathlib
import re

from . import model


def small(path):
    """The text of a small file; None where there is none, or it does not answer."""
    try:
        # a pipe in a snapshot would never answer
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            return file.read(16384).decode(errors="replace")
    except OSError:
        return None


def _word(path):
    text = small(path)
    return None if text is None else model.plain(text.strip()[:32])


def _number(path):
    word = _word(path)
    return int(word) if word is not None and re.fullmatch(r"-?\d{1,18}", word) else None


def _kib(path):
    """"16384K" -> 16384."""
    match = re.fullmatch(r"(\d{1,15})([KMG]?)", _word(path) or "")
    return int(match[1]) * {"K": 1, "M": 1 << 10, "G": 1 << 20, "": 1}[match[2]] if match else None


def _cpus(path, optional=False):
    text = small(path)
    if text is None:
        if optional:
            return frozenset()
        raise model.Bad(f"no {path}: is /sys mounted, is the snapshot whole?")
    return model.cpus_of(text, str(path))


def _last_level(cpu):
    """The directory of a CPU's last-level cache, and its level; (None, 0) where it has none."""
    best, top = None, 0
    for index in sorted(cpu.glob("cache/index*")):
        level = _number(index / "level")
        if level and level > top and _word(index / "type") in ("Unified", "Data"):
            best, top = index, level
    return best, top


def machine(base, kernel):
    """The Machine of a devices/system directory."""
    base = pathlib.Path(base)
    possible, online = _cpus(base / "cpu/possible"), _cpus(base / "cpu/online")
    if not online:
        raise model.Bad(f"{base}/cpu/online: no CPU is")
    if not online <= possible:
        raise model.Bad(f"{base}/cpu: online is '{model.list_of(online)}', possible '{model.list_of(possible)}'")
    found = model.Machine(kernel=kernel, possible=possible, online=online, source="sysfs")
    nodes = {}
    for path in sorted(base.glob("node/node[0-9]*")):
        if re.fullmatch(r"node\d{1,9}", path.name):
            nodes |= dict.fromkeys(_cpus(path / "cpulist", optional=True), int(path.name[4:]))
    groups, caches = {}, {}
    dies = {}
    for cpu in sorted(online):
        path = base / f"cpu/cpu{cpu}"
        if not path.is_dir():
            raise model.Bad(f"{base}/cpu: CPU {cpu} is online, and there is no cpu{cpu}: is the snapshot whole?")
        topology = path / "topology"
        siblings = _cpus(topology / "thread_siblings_list", optional=True) & online
        found.cores[cpu] = siblings | {cpu}
        found.places[cpu] = (_number(topology / "physical_package_id"), nodes.get(cpu))
        dies[cpu] = _number(topology / "die_id")
        index, level = _last_level(path)
        if index is None:
            continue
        shared = _cpus(index / "shared_cpu_list", optional=True) or frozenset({cpu})
        groups.setdefault((level, shared), []).append(cpu)
        caches[cpu] = index
    found.smt = any(len(core) > 1 for core in found.cores.values())
    found.no_domain = online - set(caches)
    for number, ((level, shared), cpus) in enumerate(sorted(groups.items(), key=lambda item: item[1][0])):
        index = caches[cpus[0]]
        ids = {_word(caches[cpu] / "id") for cpu in cpus} - {None}
        domain = model.Domain(
            number=number, cpus=frozenset(cpus), online=frozenset(cpus), level=level,
            type=(_word(index / "type") or "").lower(), size_kib=_kib(index / "size"),
            ways=_number(index / "ways_of_associativity") or None, line=_number(index / "coherency_line_size") or None,
            nodes=_known(nodes.get(cpu) for cpu in cpus), packages=_known(found.places[cpu][0] for cpu in cpus),
            dies=_known(dies[cpu] for cpu in cpus),
            ids={"cacheinfo": ",".join(sorted(ids, key=lambda word: (len(word), word))) or None})
        if shared & online != domain.cpus:
            domain.disagreements.append(f"cacheinfo: these CPUs name {model.list_of(shared & online)} as sharing the "
                                        "cache, not all of which agree")
        if len(ids) > 1:
            domain.disagreements.append(f"cacheinfo ids differ within one mask: {domain.ids['cacheinfo']}")
        sizes = {_kib(caches[cpu] / "size") for cpu in cpus}
        if len(sizes) > 1:
            domain.disagreements.append("cacheinfo sizes differ within one mask: "
                                        + ", ".join(sorted(model.size_of(size) for size in sizes)))
        found.domains.append(domain)
    one_id = collections.defaultdict(list)
    for domain in found.domains:
        if domain.ids["cacheinfo"] and "," not in domain.ids["cacheinfo"]:
            one_id[domain.level, domain.ids["cacheinfo"]].append(domain)
    for (level, name), domains in one_id.items():
        if len(domains) > 1:
            found.disagreements.append(f"cacheinfo: id {name} of level {level} stands for several masks: "
                                       + "; ".join(model.list_of(domain.cpus) for domain in domains))
    return found


def _known(values):
    return frozenset(value for value in values if value is not None and value >= 0)


def compare(told, seen):
    """How the module's domains differ from sysfs's, a line each."""
    if told.online != seen.online:
        return [f"online CPUs: uplift_llc has {model.list_of(told.online)}, sysfs {model.list_of(seen.online)}"]
    ours = {domain.online for domain in told.domains if domain.online}
    theirs = {domain.online for domain in seen.domains}
    if ours == theirs:
        return []
    return ["masks: uplift_llc has " + "; ".join(sorted(map(model.list_of, ours - theirs))) + ", sysfs "
            + "; ".join(sorted(map(model.list_of, theirs - ours)))]
