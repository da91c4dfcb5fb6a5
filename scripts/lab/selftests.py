# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab selftests`: selftests/ in guests of stock kernels, each leaving its KTAP in build/guest/."""

import json
import os
import shutil

from . import buildroot, fetch, guest, kmod, ktap, paths, say, targets

OUT = paths.BUILD / "selftests"

# The rules and helpers of kselftest come from one source package for all targets: older ones lack some.
KSELFTEST = "7.2"

# Small filesystems that come and go while the list is read.
MODULES = "minix bfs qnx4 qnx6 hpfs adfs befs ufs efs freevxfs".split()


def build():
    """The directory with the tests, ready to be copied into a guest."""
    tools = fetch.tools(KSELFTEST)
    buildroot.ensure("run")
    install = OUT / "install"
    with paths.lock("selftests"):
        paths.ensure(OUT / "obj")
        code, text = buildroot.output(["make", "-C", paths.TOP / "selftests", f"KSFT={tools}/tools/testing/selftests",
                                       f"O={OUT}/obj", f"INSTALL_PATH={install}", "install"])
        paths.write(OUT / "build.log", text)
        said = [line for line in text.splitlines() if "warning:" in line or "error:" in line]
        if code or said:
            if said:
                shutil.rmtree(OUT / "obj")	# or the next build would be silent about them
            tail = "\n".join("    " + line for line in (said or text.splitlines())[-25:])
            raise say.Problem(f"selftests/ do not build without a warning ({OUT}/build.log):\n{tail}")
    return install


def run(target, form="short", smp=2, only=None):
    """(Count, directory of the guest's results) of selftests/ on one target."""
    install = build()
    kos = kmod.build(target)
    there = {path.name.split(".")[0] for path in (target.moddir / "lib/modules" / target.release).rglob("*.ko*")}
    script = """
    cd /selftests || exit 1
    status=0
    for test in *.sh; do
        case $test in run_kselftest.sh | ktap_helpers.sh) continue ;; esac
        sh "./$test" >"/out/${test%.sh}.ktap" || { code=$?; [ $code = 4 ] || status=1; }
    done
    exit $status
    """
    env = {"FORM": form, "UPLIFT_KO_DIR": "/modules", "PERMANENT": "1"}
    env |= {"ONLY": only} if only else {}
    expected = targets.TABLE[target.name].expect if target.name in targets.TABLE else ""
    env |= {"EXPECT": expected} if expected else {}
    with say.doing(f"selftests on {target.release}, {smp} CPUs") as doing:
        result = guest.boot(target, script, files={"/selftests": install}, kos=list(kos.values()),
                            modules=[name for name in MODULES if name in there], smp=smp, env=env,
                            timeout=300 if form == "short" else 3000, name=f"{target.name}-selftests")
        counted = ktap.Count()
        texts = sorted(result.outdir.glob("*.ktap"))
        for path in texts:
            counted += ktap.count(path.read_text(errors="replace"))
        wanted = {path.stem for path in install.glob("*.sh")} - {"run_kselftest", "ktap_helpers"}
        for name in sorted(wanted - {path.stem for path in texts}):
            counted.fail(f"{name}.sh left no result")
        for line in result.oops:
            counted.fail(f"the kernel complained: {line}")
        if result.rc is None:
            counted.fail(result.why or "the guest ended without a result")
        elif result.rc and not counted.failed:
            counted.fail(f"the tests ended with status {result.rc}, though none reported a failure")
        doing.result = f"{counted.passed} passed, {counted.failed} failed, {counted.skipped} skipped"
    return counted, result.outdir


def _selftests(args):
    for name in args.targets:
        targets.spec(name)
    total, report, code = ktap.Count(), {}, say.OK
    for name in args.targets or list(targets.TABLE):
        try:
            counted, where = run(fetch.fetch(name), args.form, args.smp, args.only)
            report[name] = {"passed": counted.passed, "failed": counted.failed, "skipped": counted.skipped,
                            "problems": counted.problems, "results": str(where)}
        except say.Skip as reason:
            counted = ktap.Count(skipped=1)
            report[name] = {"passed": 0, "failed": 0, "skipped": 1, "reason": str(reason)}
            say.warn(f"skipped: {reason}")
        except say.Problem as problem:
            counted = ktap.Count()
            counted.fail(str(problem))
            report[name] = {"passed": 0, "failed": 1, "skipped": 0, "problems": [str(problem)]}
        for problem in counted.problems:
            print(f"FAIL {name}: {problem}", flush=True)
        print(f"selftests {name}: {counted.passed} passed, {counted.failed} failed, {counted.skipped} skipped"
              + (f" ({report[name]['results']})" if "results" in report[name] else ""), flush=True)
        total += counted
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    if total.failed:
        code = say.FAIL
    elif not total.passed:
        code = say.SKIP
    return code


def register(commands):
    """Add `uplift lab selftests`."""
    parser = commands.add_parser("selftests", help="run selftests/ on stock kernels, in guests",
                                 description="Run selftests/ on stock kernels, in guests.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--form", choices=("short", "long"), default="short", help="how long (default: short)")
    parser.add_argument("--smp", type=int, default=min(os.cpu_count() or 1, 4), metavar="N", help="CPUs of the guest")
    parser.add_argument("--only", metavar="NAMES", help="names of tests, blanks between")
    parser.add_argument("--json", metavar="FILE", help="write the counts there")
    parser.set_defaults(func=_selftests)
