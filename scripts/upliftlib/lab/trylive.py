# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab trylive`: `uplift try` on the running kernel, in a guest where that is a target's stock kernel.

The module is built here; in the guest it is taken as one that was built before. The command is stopped at many moments by
Ctrl-C, SIGTERM and SIGKILL, and after each nothing of ours may be left; then it runs to its end.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from ..base import console, errors, paths, targets
from . import buildroot, fetch, guest, hostcommands, kernels, safetytries, testprograms
from .hostcommands import TREE

_SCRIPT = r"""
mkdir -p /out/try && cp -a /built/* /out/try/
patch=/patches/@NAME@.patch
PYTHON=/usr/bin/@PYTHON@
# a shell has its children ignore Ctrl-C
begin() { $PYTHON -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' $UPLIFT try $patch --rounds 2 >/dev/null 2>&1 & }
clean() { ! grep -q '^uplift' /proc/modules && [ ! -e /sys/kernel/debug/uplift ]; }
soon() { tries=300; until clean; do tries=$((tries - 1)); [ $tries -gt 0 ] || return; sleep 0.1; done; }
for delay in @DELAYS@; do
	for signal in INT TERM KILL; do
		begin
		sleep $delay
		arm=$(cat /sys/kernel/debug/uplift/@NAME@/arm 2>/dev/null)
		kill -$signal $!
		wait $! 2>/dev/null && { echo "it ended before $delay s"; continue; }
		soon || { echo "SIG$signal after $delay s leaves something: $(grep ^uplift /proc/modules)"; exit 1; }
		echo "SIG$signal after $delay s, arm ${arm:-not there}: nothing left"
	done
done
$UPLIFT try $patch --rounds 2 --json --workload 'exit 3' >/dev/null 2>&1
[ $? = 1 ] || { echo "a workload that fails is no failure"; exit 1; }
clean || { echo "a failure leaves something"; exit 1; }
$UPLIFT try $patch --rounds 2 --json --workload true >/out/found || exit
clean || { echo "something is left"; exit 1; }
$UPLIFT try /patches/other.patch --only build
[ $? = 2 ] || { echo "without headers and source it is not told what is missing"; exit 1; }
"""
DELAYS = "0.5 1 2 3 4 5 6 7 8 10 12 15"


def _script(name: str) -> str:
    found = _SCRIPT
    for word, value in (("NAME", name), ("PYTHON", pathlib.Path(hostcommands.PYTHON).name), ("DELAYS", DELAYS)):
        found = found.replace(f"@{word}@", value)
    return found


def _files(target: kernels.Target, name: str, patch: pathlib.Path) -> dict[str, paths.Path]:
    """{path in the guest: file here}: what was built, and what of our tree says that it is up to date."""
    built = paths.BUILD / "try" / target.release
    files: dict[str, paths.Path] = {
        f"/built/{target.release}/{path.relative_to(built)}": path for path in (
            built / "modules" / name / "built.json", built / "modules" / name / f"uplift_{name}.ko",
            built / "uplift/modules/core/uplift.ko")}
    for part in ("modules/core", "modules/compat"):
        files |= {f"{TREE}/{part}/{path.name}": path for path in (paths.TOP / part).iterdir()
                  if path.suffix in (".c", ".h", ".mk", ".sh") or path.name == "Kbuild"}
    files[f"{TREE}/selftests/kerneltests.toml"] = paths.TOP / "selftests/kerneltests.toml"
    files[f"/patches/{name}.patch"] = patch
    other = patch.with_name("other.patch")
    other.write_text(patch.read_text().replace('"nop"', '"nop; nop"'))
    files["/patches/other.patch"] = other
    return files


def run(name: str) -> guest.Result:
    """On a target by its name."""
    target = fetch.fetch(name, {*fetch.USUAL, "source"} - {"slice"})
    one = safetytries.LIST[0]
    patch = paths.ensure(paths.BUILD / "live") / f"{one.name}.patch"
    safetytries.built(target, one, patch)
    return hostcommands.boot(target, [], tests=testprograms.build(), script=_script(one.name), smp=2,
                             more=_files(target, one.name, patch), timeout=1800, name=f"{target.name}-trylive")


def _trylive(args: argparse.Namespace) -> int:
    buildroot.need_root()
    for name in args.targets or targets.use("tries"):
        result = run(name)
        print(result.output.read_text(errors="replace") if result.output.exists() else "", end="", flush=True)
        console.note(f"{name}: {result.problem() or 'nothing was left at any moment'}")
        if not result.ok:
            return errors.FAIL
    return errors.OK


def register(commands: Any) -> None:
    parser = commands.add_parser("trylive", help="uplift try on the running kernel, stopped at many moments, in a guest",
                                 description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="(" + " ".join(targets.use("tries")) + ")")
    parser.set_defaults(func=_trylive)
