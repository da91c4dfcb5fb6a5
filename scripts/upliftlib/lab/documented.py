# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab documented`: are the commands in the documents such as work?

What a user is told to type on a machine of their own is typed, as it stands there, in a guest. For every other command RUN
says what runs it: a step of make test, a unit test, or this command on the host. A unit test checks that nothing is left
over, and that what is named there exists and runs that command.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from ..base import changes, console, errors, paths, targets
from . import buildroot, commands, hostcommands, kernels, kmod, package, testprograms

MINIMAL = ("python3", "make", "procps")	# of the root in which the running kernel's commands are typed
INSPECTOR = changes.inspector().name

DOCUMENTS = ("README.md", "docs/backport-guide.md", "docs/design.md", "packaging/uplift.8")
# Guides of one subject: their blocks are for machines, files and sources that the reader has, and run with ours by what RUN names.
OF_CHANGES = {f"docs/{name}.md": name for name in changes.load() if (paths.TOP / "docs" / f"{name}.md").exists()}
GUIDES = ("docs/find.md", "docs/layout.md", *OF_CHANGES)

# What a line of a block or a text between backticks begins with to be a command.
_BLOCK = re.compile(r"    ((?:sudo )?(?:scripts/|make|insmod|rmmod|modprobe|cmp|cat|echo|mount|umount|dkms|mokutil|"
                    r"sysctl|uplift|apt-get)\b.*)")
_INLINE = re.compile(r"`((?:sudo )?(?:scripts/(?:uplift|fleet|setup|sign|install|dkms-bodies)|make|uplift(?= [a-z])|"
                     r"insmod|rmmod|modprobe)(?: [^`]*)?)`")
_MAN = re.compile(r"(?:\.Dl )?((?:uplift|modprobe|cat|echo) .*)")

# Typed in a guest: what a machine of one's own is told to do.
TYPED = re.compile(rf"(sudo )?((scripts/)?uplift (probe|doctor|bench|report|{INSPECTOR}(?! --watch))\b|insmod |rmmod |modprobe |"
                   r"cmp |cat /|echo |mount |umount )")

# What is not typed in a guest: (command, what runs it). That is
#   step NAME               a step of make test (scripts/test), which runs this command with more words; or the program that
#                           the target of the Makefile runs
#   script NAME             a script of selftests/ that a step runs, and that types it in a guest
#   test FILE CLASS.METHOD  a unit test
#   host, long WORDS        this command, with more words: HOST, or LONG with --long; WORDS is what runs it, or does its work
#   function NAME           a function below
#   hours                   nothing that ends in an hour: for people to start
RUN = (
    (r"make test", "test docs_test Ci.test_runs_make_test"),
    (r"make check", "step check"),
    (r"make unit", "step unit"),
    (r"make quick", "test touched_test Plan.test_steps"),
    (r"make kunit( ARCH=\S+)?", "step kunit"),
    (r"make selftests", "step selftests"),
    (r"make modules( KSRC=\S+)?( KDIR=\S+)?( BTF=\S+)?", "function make_modules"),
    (r"scripts/uplift lab build", "step modules"),
    (r"scripts/uplift lab selftests --only backports", "step selftests"),
    (rf"(scripts/)?uplift {INSPECTOR}( capture DIR)?", f"test {INSPECTOR}_test Capture.test_there_and_back"),
    (rf"scripts/uplift {INSPECTOR} --watch", f"test {INSPECTOR}_test Command.test_watch_ends"),
    (rf"(scripts/)?uplift lab {INSPECTOR}( --cost)?", f"long scripts/uplift lab {INSPECTOR}"),
    (r"make -C (sched|/usr/lib/uplift/sched)", "test install_test Install.test_scheduler_can_be_built_from_it"),
    (r"(scripts/)?uplift sched (\.\.\.|load|show --every|unload|compare|trace trace\.json)", "script land"),
    (r"(scripts/)?uplift layout check .*", "test layout_test Checker.test_require"),
    (r"(scripts/)?uplift layout diff .*", "test layout_test Difference.test_command"),
    (r"scripts/uplift lab layout", "step layout"),
    (r"scripts/uplift lab sched( --naive)?", "hours"),
    (r"(scripts/)?uplift lab signed( \S+)?", "step signed"),
    (r"scripts/uplift lab verdicts", "step verdicts"),
    (r"(scripts/)?uplift lab live \S+ (--count )?-- (probe|bench)", "host scripts/uplift lab live"),
    (r"uplift lab live", "host scripts/uplift lab live"),
    (r"(scripts/)?uplift lab( --help)?", "test docs_test Manual.test_commands"),
    (r"(scripts/)?uplift lab run \S+ -- cat /proc/version", "host scripts/uplift lab run"),
    (r"scripts/fleet", "test fleet_test Fleet.test_pass"),
    (r"scripts/setup", "step root"),
    (r"scripts/install", "test install_test Install.test_twice_is_once_and_removed_is_nothing"),
    (r"scripts/dkms-bodies check", "test install_test Bodies.test_directory"),
    (r"make (install|uninstall)", "test install_test Install.test_twice_is_once_and_removed_is_nothing"),
    (r"make modules_install", "test install_test Install.test_modules_need_building"),
    (r"make sign.*", "test install_test Sign.test_says_what_is_missing"),
    (r"(dkms install|mokutil|modprobe uplift_\w+).*", "long make package"),
    (r"make torture", "hours"),
    (r"scripts/uplift lab (debug|others) \S+", "hours"),
    (r"scripts/uplift lab trylive", "hours"),
    (r"scripts/uplift lab selftests 6\.12-rt", "hours"),
    (r"make run( TARGET=\S+)?( KERNEL=\S+ MODULES=\S+ KDIR=\S+)?", "long make run"),
    (r"make matrix", "long make matrix"),
    (r"make package", "long make package"),
    (r"(scripts/)?uplift lab evaluate \S+", "long make run"),
    (r"scripts/uplift lab find \S+ --new \S+ (--load \S+|--file .* -- .*)( --try \d+)?( --only build)?", "long scripts/uplift lab find"),
    (r"scripts/uplift find --profile .*", "test find_test TreesTest.test_twice_the_same_and_the_second_from_what_was_kept"),
    *((rf"((insmod|rmmod) .*{name}.*|insmod modules/core/uplift\.ko|(cat|echo) .*/{name}/.*)", f"script {name}")
      for name in OF_CHANGES.values()),
    (r"scripts/uplift lab cachelines \S+", "long scripts/uplift lab cachelines"),
)
# On the host, each in a guest of its own: seconds.
HOST = (("scripts/uplift", "lab", "run", "{target}", "--", "cat", "/proc/version"),
        ("scripts/uplift", "lab", "live", "{target}", "--", "probe"))
# The same, minutes each. DKMS and mokutil are typed by the test of the packages.
LONG = (("make", "run", "TARGET={target}"), ("make", "matrix", "TARGETS={target}"),
        ("scripts/uplift", "lab", "cachelines", "{target}"), ("make", "package"),
        ("scripts/uplift", "lab", "find", "{target}", "--new", targets.use("prediction")[0], "--load", "server"),
        ("scripts/uplift", "lab", INSPECTOR, targets.use("prediction")[0]),
        ("scripts/uplift", "lab", INSPECTOR, "--cost", "{target}"))


# What README promises of a bench that is killed: arms off, modules gone.
KILLED = """
change=@CHANGE@
echo '== a bench that is killed leaves nothing on'
rmmod uplift 2>/dev/null		# a modprobe -r may leave it
scripts/uplift bench --yes --rounds 500 $change >/dev/null 2>&1 &
bench=$!
armed=/sys/kernel/debug/uplift/$change/arm
for _ in $(seq 600); do grep -qE 'null|new|batch' $armed 2>/dev/null && break; sleep 0.05; done
was=$(cat $armed)
kill -9 $bench
for _ in $(seq 300); do grep -q '^uplift' /proc/modules || break; sleep 0.1; done
if grep '^uplift' /proc/modules || [ -z "$was" ]; then
	echo "FAIL a bench that is killed leaves nothing on: the arm was '$was', is '$(cat $armed 2>&1)'"
	failed=1
fi
"""

# An ordinary user gets what does not take root, and is told what does.
NOBODY = f"""
nobody()
{{
	status=$1
	shift
	echo "== an ordinary user: $*"
	python3 -c 'import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execvp(sys.argv[1], sys.argv[1:])' \\
		"$@" </dev/null >/out/typed 2>&1
	was=$?
	if [ $was != $status ] || ! grep -q 'root' /out/typed || grep -q Traceback /out/typed; then
		echo "FAIL an ordinary user: $*: status $was"
		tail -n 5 /out/typed
		failed=1
	fi
}}
nobody 0 scripts/uplift probe
nobody 0 scripts/uplift {INSPECTOR}
nobody 1 scripts/uplift doctor
nobody 2 scripts/uplift bench --yes
"""


def found(name: str) -> list[tuple[int, str, bool]]:
    """[(line, command, whether it stands in a block)] of a document."""
    text, out, fence = (paths.TOP / name).read_text(), [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fence = not fence
        if fence:
            continue
        match = (_MAN if name.endswith(".8") else _BLOCK).fullmatch(line)
        if match:
            words = re.sub(r"\s+#.*", "", match[1]).replace("\\-", "-")
            out.append((number, words, True))
            continue
        out += [(number, match[1], False) for match in _INLINE.finditer(line) if not name.endswith(".8")]
    return out


def typed(command: str) -> bool:
    """Is it typed in a guest? In words that stand for others, as "rmmod" alone, there is nothing to type."""
    return bool(TYPED.match(command))


def redirecting() -> str:
    """The first change with arms."""
    return next(change.name for change in changes.load().values() if "arms" in change.about.get("bench", {}))


def script() -> str:
    """What is typed, as a script that says what failed."""
    known = changes.load().values()
    places = " ".join(sorted({"core", "backports", *(change.name for change in known if not change.backport)}))
    around = {start: words for change in known for start, words in change.about.get("documented", {}).items()}
    lines = [
        "failed=0", "mkdir -p modules/core modules/backports && ln -s /usr/bin/python3.13 /usr/bin/python3",
        "for ko in /modules/*.ko; do",
        f"\tfor place in {places}; do ln -sf $ko modules/$place/; done",
        "done", "depmod 2>/dev/null", "ln -s $PWD/scripts/uplift /usr/bin/uplift",
        "export PATH=$PATH:/usr/sbin:/sbin", "ln -s /out build"]
    last = 0
    for name in DOCUMENTS:
        after: Sequence[str] = ()
        for number, command, block in found(name):
            if not block or not typed(command):
                continue
            command = command.removeprefix("sudo ")
            if number != last + 1 and after:
                lines += [f"{words} || failed=1" for words in after]
                after = ()
            last = number
            for start, words in around.items():
                if command.startswith(start):
                    lines += [f"{one} || failed=1" for one in words["before"]]
                    after = words["after"]
            if re.match(r"(scripts/)?uplift (probe|bench)", command):
                # a person says yes; a few batches show that it works
                command += " --yes" * ("--yes" not in command)
                command += " --batches 3 --batch-size 5 --rounds 2" * (" bench" in command)
            # doctor: 1 is that something is missing, which in a guest there is
            fine = "[ $? -le 1 ]" if " doctor" in command else "false"
            quoted = command.replace("'", "'\\''")
            lines += [f"echo '== {name}:{number}: {quoted}'", f"( {command} ) >/out/typed 2>&1 || {fine} ||",
                      f"\t{{ echo 'FAIL {name}:{number}: {quoted}'; tail -n 5 /out/typed; failed=1; }}"]
        lines += [f"{words} || failed=1" for words in after]
    return "\n".join(["cd " + hostcommands.TREE, *lines, NOBODY, KILLED.replace("@CHANGE@", redirecting()), "cat /proc/version", "exit $failed", ""])


# What an ordinary user may be answered: doctor finds something missing there, bench takes root.
FINE = {"doctor": (0, 1), "bench": (errors.USAGE,)}


def minimal_script() -> str:
    """The commands for the running kernel, as an ordinary user of a Debian with python3 and make and nothing else types them;
    probe's data stand in for what a bench left."""
    lines = ["failed=0", "mkdir -p build/report", "ln -sf $PWD/scripts/uplift /tmp/uplift", "export PATH=/tmp:$PATH"]
    lines += [f"scripts/uplift probe --json >build/report/bench-{number}.json || failed=1" for number in (1, 2)]
    for name in DOCUMENTS:
        for number, command, block in found(name):
            match = re.match(rf"(?:sudo )?(?:scripts/)?uplift (probe|doctor|bench|report|{INSPECTOR} (?:capture|--from|--svg))", command)
            if not block or not match:
                continue
            fine = " ".join(map(str, FINE.get(match[1], (0,))))
            quoted = command.replace("'", "'\\''")
            lines += [f"echo '== {name}:{number}: {quoted}'", f"( {command.removeprefix('sudo ')} ) </dev/null >/tmp/typed 2>&1; was=$?",
                      f"case ' {fine} ' in *\" $was \"*) ! grep -q 'Traceback\\|Errno' /tmp/typed ;; *) false ;; esac ||",
                      f"\t{{ echo 'FAIL {name}:{number}: {quoted}: status '$was; tail -n 5 /tmp/typed; failed=1; }}"]
    return "\n".join([*lines, "exit $failed", ""])


def minimal() -> str:
    """What typing that in a root of its own printed: without the lab's build root, and without what that has."""
    base = paths.BUILD / "minimal"
    root = base / "root"
    with paths.lock("minimal"):
        if not root.exists():
            buildroot.bootstrap(root, MINIMAL)
        package.copy_tree(root / "opt/uplift")
        paths.write(root / "opt/uplift/typed", minimal_script())
        subprocess.run(["chown", "-R", "65534:65534", root / "opt/uplift"], check=True)
        _, text = buildroot.output(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "typed"],
                                   cwd="/opt/uplift", root=root, timeout=600)
    return text


def make_modules(target: kernels.Target) -> None:
    """`make modules` for a target's headers, in a copy of the tree; a Problem where it does not work."""
    with paths.lock("documented"):
        _make_modules(target, paths.BUILD / "documented")


def _make_modules(target: kernels.Target, tree: pathlib.Path) -> None:
    paths.remove(tree)
    kmod.sync(tree)
    for name in ("Makefile", "scripts/kdir"):
        shutil.copy(paths.TOP / name, tree / name)
    kdir = target.part("kdir")
    compiler = kmod.compiler(kdir)
    code, text = buildroot.output(["make", "modules", f"KDIR={kdir}", *([f"CC={compiler}"] if compiler else [])],
                                  cwd=tree)
    made = all((tree / "modules" / change.name / f"{change.module}.ko").exists()
               for change in changes.load().values() if not change.generated)
    if code or not made:
        tail = "\n".join("    " + line for line in text.splitlines()[-15:])
        raise errors.Problem(f"make modules KDIR={kdir}: status {code}\n{tail}")
    paths.remove(tree)


def _documented(args: argparse.Namespace) -> int:
    target = commands.chosen(args)
    kos = list(kmod.build(target).values())
    with console.doing(f"typing what the documents say, on {target.release}"):
        result = hostcommands.boot(target, [], kos=kos, tests=testprograms.build(target.arch), icount=True, name=f"{target.name}-documented",
                           timeout=900, script=script())
    with console.doing("make modules"):
        make_modules(target)
    with console.doing("typing it in a Debian that has nothing else"):
        without = minimal()
    text = result.output.read_text(errors="replace") if result.output.exists() else ""
    text += without
    passed = 1 + len(re.findall(r"(?m)^== ", text))
    bad = re.findall(r"(?m)^FAIL .*", text)
    print(text, end="")
    if not result.ok and not bad:
        print(f"FAIL {result.problem()} ({result.console})")
        bad.append("")
        passed = max(passed, len(bad))
    for words in HOST + (LONG if args.long else ()):
        argv = [word.format(target=target.name) for word in words]
        code = subprocess.run(argv, cwd=paths.TOP).returncode
        print(f"{'ok  ' if code == errors.OK else 'FAIL'} {' '.join(argv)}", flush=True)
        passed += 1
        bad += [""] * (code != errors.OK)
    print(f"documented: {passed - len(bad)} passed, {len(bad)} failed, 0 skipped")
    return errors.FAIL if bad else errors.OK


def register(commands_: Any) -> None:
    """Add `uplift lab documented`."""
    parser = commands_.add_parser("documented", help="type what the documents say, in a guest",
                                  description="Type the commands that README, guide and manual give for a machine of "
                                              "one's own in a guest, as they stand there.")
    commands.add_kernel_options(parser)
    parser.add_argument("--long", action="store_true", help="also those that take minutes, on this machine: "
                        + ", ".join(" ".join(words).replace("{target}", "TARGET") for words in LONG))
    parser.set_defaults(func=_documented)
