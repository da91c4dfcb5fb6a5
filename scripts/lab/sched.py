# SPDX-License-Identifier: GPL-2.0-only
"""uplift_land in guests: build sched/ against a target's type information, carry it, compare schedulers."""

import hashlib
import os

from . import buildroot, fslist, guest, initramfs, kmod, paths, say, targets

SCHED = paths.TOP / "sched"
PROGRAMS = ("uplift_land", "example_fifo", "example_llc")
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64")


def supported(target):
    """Has the kernel sched_ext? Else a Skip with the reason."""
    if targets.config_of(target).get("CONFIG_SCHED_CLASS_EXT") != "y":
        raise say.Skip(f"{target.name}: this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)")


def build(target):
    """The directory with uplift_land and the examples for a target."""
    supported(target)
    buildroot.ensure("sched")
    out = paths.ensure(paths.BUILD / "sched" / target.release)
    with paths.lock(f"sched-{target.release}"), say.doing(f"building sched/ for {target.release}"):
        btf = kmod.btf_of(target)
        argv = ["make", "-C", SCHED, f"BTF={btf}", f"O={out}", f"-j{os.cpu_count() or 1}", "all"]
        code, text = buildroot.output(argv)
        paths.write(out / "build.log", text)
        if code or "warning:" in text:
            tail = "\n".join("    " + line for line in text.splitlines()[-20:])
            raise say.Problem(f"sched/ does not build ({out / 'build.log'}):\n{tail}")
    return out


def carried(directory, where="/sched"):
    """{path in the guest: file here}: the programs, and the libraries of the build root that they need."""
    files, todo = {}, [directory / name for name in PROGRAMS]
    for path in list(todo):
        files[f"{where}/{path.name}"] = path
    folders = [paths.ROOT / name for name in LIBRARIES]
    while todo:
        interpreter, names, _ = initramfs.needed(todo.pop())
        if interpreter:
            files[interpreter] = paths.ROOT / interpreter.lstrip("/")
        for name in names:
            if f"/lib/x86_64-linux-gnu/{name}" in files:
                continue
            library = next((folder / name for folder in folders if (folder / name).exists()), None)
            if library is None:
                raise say.Problem(f"uplift_land needs {name}, which the build root lacks")
            files[f"/lib/x86_64-linux-gnu/{name}"] = library
            todo.append(library)
    return files


# selftests/land.sh, in guests of 1, 2 and 4 caches; the short form in one of 2.

LAYOUTS = {"llc2": 4, "llc1": 4, "llc4": 16, "smt": 8}


def layout_test(target, install, layout, form="short", env=None, only=None):
    """What land.sh found in a guest of a layout. The long form's guests have a clock of their own instructions."""
    files = carried(build(target)) | {"/selftests": install}
    environment = (env or {}) | ({"ONLY": " ".join(only)} if only else {})
    environment |= {"REPEATABLE": "1"} if form == "long" else {}
    result = guest.boot(target, f"exec /selftests/land.sh {form}", files=files, topology=layout, smp=LAYOUTS[layout],
                        env=environment, repeatable=form == "long", timeout=300 if form == "short" else 3600,
                        name=f"{target.name}-land-{layout}", quiet=True)
    return fslist.judge(result, LAYOUTS[layout])


def layouts_test(target, install, form="short", env=None, only=None):
    """land.sh in the layouts: one report of all, with a problem's layout in front of it."""
    supported(target)
    rows = {layout: layout_test(target, install, layout, form, env, only)
            for layout in (LAYOUTS if form == "long" else ["llc2"])}
    total = {}
    for row in rows.values():
        for kind, number in row["counts"].items():
            total[kind] = total.get(kind, 0) + number
    skips = [row["skipped"] for row in rows.values()]
    return {"ok": all(row["ok"] for row in rows.values()), "skipped": skips[0] if all(skips) else None,
            "problems": [f"{layout}: {problem}" for layout, row in rows.items() for problem in row["problems"]],
            "counts": total, "layouts": rows,
            "summary": ", ".join(f"{number} {kind}" for kind, number in total.items() if number)
            + f" in {len(rows)} layouts"}
