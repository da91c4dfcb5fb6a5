# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab documented`: are the commands in the documents such as work?

What a person is told to type on a machine of theirs is typed, as it stands there, in a guest. The rest is run by
something else: RUN says by what, and a unit test that nothing is left over and nothing is out of date.
"""

import re
import shutil
import subprocess

from ..base import console, errors, paths, targets
from . import buildroot, commands, hostcommands, kmod, testprograms

DOCUMENTS = ("README.md", "docs/backport-guide.md", "docs/design.md", "packaging/uplift.8")

# What a line of a block or a text between backticks begins with to be a command.
_BLOCK = re.compile(r"    ((?:sudo )?(?:scripts/|make|insmod|rmmod|modprobe|cmp|cat|echo|mount|umount|dkms|mokutil|"
                    r"sysctl|uplift|apt-get)\b.*)")
_INLINE = re.compile(r"`((?:sudo )?(?:scripts/(?:uplift|fleet|setup|sign|install|dkms-bodies)|make|uplift(?= [a-z])|"
                     r"insmod|rmmod|modprobe)(?: [^`]*)?)`")
_MAN = re.compile(r"(?:\.Dl )?((?:uplift|modprobe|cat|echo) .*)")

# Typed in a guest: what a machine of one's own is told to do.
TYPED = re.compile(r"(sudo )?((scripts/)?uplift (probe|doctor|bench|report|llc(?! --watch))\b|insmod |rmmod |modprobe |cmp |cat /|echo |mount |"
                   r"umount )")
# Before a block's first command, what the text takes for done; behind its last, back again.
FSLIST = ("insmod modules/core/uplift.ko", "insmod modules/fslist/uplift_fslist.ko")
AROUND = {"mount --bind": (FSLIST, ("rmmod uplift_fslist uplift",))}

# What is not typed in a guest: (command, file, what is found there and runs it).
RUN = (
    (r"make test", ".ci/run", r"make test"),
    (r"make check", "scripts/test", r'SCRIPTS / "check"'),
    (r"make unit", "scripts/test", r'SCRIPTS / "unit"'),
    (r"make quick", "scripts/tests/touched_test.py", r"quick\.plan"),
    (r"make kunit( ARCH=\S+)?", "scripts/test", r'kunit, "x86_64"'),
    (r"make selftests", "scripts/test", r'"lab", "selftests"'),
    (r"make modules( KSRC=\S+)?( KDIR=\S+)?( BTF=\S+)?", "scripts/upliftlib/lab/documented.py", r'"make", "modules"'),
    (r"scripts/uplift lab build", "scripts/test", r'"lab", "build"'),
    (r"scripts/uplift lab selftests --only backports", "scripts/upliftlib/lab/selftests.py", r'"backports": Script'),
    (r"(scripts/)?uplift llc( capture DIR)?", "scripts/tests/llc_test.py", r"source\.capture"),
    (r"scripts/uplift llc --watch", "scripts/tests/llc_test.py", r"def test_watch_ends"),
    (r"(scripts/)?uplift lab llc( --cost)?", "scripts/upliftlib/lab/documented.py", r'"lab", "llc"'),
    (r"make -C sched", "scripts/upliftlib/lab/schedulers.py", r'"make", "-C", SCHED'),
    (r"make -C /usr/lib/uplift/sched", "scripts/upliftlib/lab/package.py", r"usr/lib/uplift/sched"),
    (r"uplift sched \.\.\.", "scripts/upliftlib/lab/schedulers.py", r"\$UPLIFT sched"),
    (r"scripts/uplift sched (load|show --every|unload|compare|trace trace\.json)", "scripts/upliftlib/lab/schedulers.py",
     r"\$UPLIFT sched trace"),
    (r"scripts/uplift layout (check|diff) .*", "scripts/tests/layout_test.py", r"def test_diff_of_what_it_uses"),
    (r"scripts/uplift lab layout", "scripts/test", r'"lab", "layout"'),
    (r"scripts/uplift lab sched( --naive)?", "scripts/upliftlib/lab/schedulers.py", r"def _sched"),
    (r"(scripts/)?uplift lab signed( 6\.12)?", "scripts/test", r'"lab", "signed"'),
    (r"scripts/uplift lab verdicts", "scripts/test", r'"lab", "verdicts"'),
    (r"(scripts/)?uplift lab live \S+ (--count )?-- (probe|bench)", "scripts/upliftlib/lab/documented.py", r"hostcommands\.boot\("),
    (r"uplift lab live", "scripts/upliftlib/lab/documented.py", r"hostcommands\.boot\("),
    (r"(scripts/)?uplift lab( --help)?", "scripts/tests/docs_test.py", r'"lab"'),
    (r"(scripts/)?uplift lab run 6\.12 -- cat /proc/version", "scripts/upliftlib/lab/documented.py", r"cat /proc/version"),
    (r"scripts/fleet", "scripts/tests/fleet_test.py", r"class Fleet"),
    (r"scripts/setup", "Makefile", r"SETUP := scripts/setup"),
    (r"scripts/install", "scripts/tests/install_test.py", r"scripts/install"),
    (r"scripts/dkms-bodies check", "scripts/tests/install_test.py", r'"scripts/dkms-bodies", "check"'),
    (r"make (install|uninstall|modules_install|sign.*)", "scripts/tests/install_test.py", r"scripts/(install|sign)"),
    (r"(dkms install|mokutil|modprobe uplift_fslist).*", "scripts/upliftlib/lab/package.py", r"dkms"),
    # hours: for people to start
    (r"make torture", "scripts/torture", r"def steps"),
    (r"scripts/uplift lab debug \S+", "scripts/torture", r"debugkernel\.\w+\("),
    (r"scripts/uplift lab others \S+", "scripts/torture", r'"lab", "others"'),
    (r"scripts/uplift lab selftests 6\.12-rt", "scripts/torture", r'kind == "odd"'),
    # minutes each: `uplift lab documented --long`
    (r"make run( TARGET=\S+)?( KERNEL=\S+ MODULES=\S+ KDIR=\S+)?", "scripts/upliftlib/lab/documented.py", r'"make", "run"'),
    (r"make matrix", "scripts/upliftlib/lab/documented.py", r'"make", "matrix"'),
    (r"make package", "scripts/upliftlib/lab/documented.py", r'"make", "package"'),
    (r"(scripts/)?uplift lab evaluate \S+", "scripts/upliftlib/lab/documented.py", r'"make", "run"'),
    (r"scripts/uplift lab cachelines 6\.12", "scripts/upliftlib/lab/documented.py", r'"cachelines"'),
)
LONG = (("make", "run", "TARGET={target}"), ("make", "matrix", "TARGETS={target}"),
        ("scripts/uplift", "lab", "cachelines", "{target}"), ("make", "package"),
        ("scripts/uplift", "lab", "llc", targets.use("prediction")[0]), ("scripts/uplift", "lab", "llc", "--cost", "{target}"))


# What README promises of a bench that is killed: arms off, modules gone.
KILLED = """
echo '== a bench that is killed leaves nothing on'
rmmod uplift 2>/dev/null		# a modprobe -r may leave it
scripts/uplift bench --yes --rounds 500 epoll >/dev/null 2>&1 &
bench=$!
armed=/sys/kernel/debug/uplift/epoll/arm
for _ in $(seq 600); do grep -qE 'null|new|batch' $armed 2>/dev/null && break; sleep 0.05; done
was=$(cat $armed)
kill -9 $bench
for _ in $(seq 300); do grep -q '^uplift' /proc/modules || break; sleep 0.1; done
if grep '^uplift' /proc/modules || [ -z "$was" ]; then
	echo "FAIL a bench that is killed leaves nothing on: the arm was '$was', is '$(cat $armed 2>&1)'"
	failed=1
fi
"""

# Whoever is not root gets what can be had so, and is told what takes root.
NOBODY = """
nobody()
{
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
}
nobody 0 scripts/uplift probe
nobody 0 scripts/uplift llc
nobody 1 scripts/uplift doctor
nobody 2 scripts/uplift bench --yes
"""


def found(name):
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


def typed(command):
    """Is it typed in a guest? In words that stand for others, as "rmmod" alone, there is nothing to type."""
    return bool(TYPED.match(command))


def script():
    """What is typed, as a script that says what failed."""
    lines = [
        "failed=0", "mkdir -p modules/core modules/backports && ln -s /usr/bin/python3.13 /usr/bin/python3",
        "for ko in /modules/*.ko; do",
        "\tfor place in core fslist iomap epoll llc backports; do ln -sf $ko modules/$place/; done",
        "done", "depmod 2>/dev/null", "ln -s $PWD/scripts/uplift /usr/bin/uplift",
        "export PATH=$PATH:/usr/sbin:/sbin", "ln -s /out build"]
    last = 0
    for name in DOCUMENTS:
        after = ()
        for number, command, block in found(name):
            if not block or not typed(command):
                continue
            command = command.removeprefix("sudo ")
            if number != last + 1 and after:
                lines += [f"{words} || failed=1" for words in after]
                after = ()
            last = number
            for start, (before, behind) in AROUND.items():
                if command.startswith(start):
                    lines += [f"{words} || failed=1" for words in before]
                    after = behind
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
    return "\n".join(["cd " + hostcommands.TREE, *lines, NOBODY, KILLED, "cat /proc/version", "exit $failed", ""])


def make_modules(target):
    """`make modules` for a target's headers, in a copy of the tree; a Problem where it does not work."""
    tree = paths.BUILD / "documented"
    paths.remove(tree)
    kmod.sync(tree)
    shutil.copy(paths.TOP / "Makefile", tree)
    compiler = kmod.compiler(target.kdir)
    code, text = buildroot.output(["make", "modules", f"KDIR={target.kdir}", *([f"CC={compiler}"] if compiler else [])],
                                  cwd=tree)
    if code or not (tree / "modules/fslist/uplift_fslist.ko").exists():
        tail = "\n".join("    " + line for line in text.splitlines()[-15:])
        raise errors.Problem(f"make modules KDIR={target.kdir}: status {code}\n{tail}")
    paths.remove(tree)


def _documented(args):
    target = commands.chosen(args)
    kos = list(kmod.build(target).values())
    with console.doing(f"typing what the documents say, on {target.release}"):
        result = hostcommands.boot(target, [], kos=kos, tests=testprograms.build(), icount=True, name=f"{target.name}-documented",
                           timeout=900, script=script())
    with console.doing("make modules"):
        make_modules(target)
    text = result.output.read_text(errors="replace") if result.output.exists() else ""
    passed = 1 + len(re.findall(r"(?m)^== ", text))
    bad = re.findall(r"(?m)^FAIL .*", text)
    print(text, end="")
    if not result.ok and not bad:
        print(f"FAIL {result.problem()} ({result.console})")
        bad.append("")
        passed = max(passed, len(bad))
    for words in LONG if args.long else ():
        argv = [word.format(target=target.name) for word in words]
        code = subprocess.run(argv, cwd=paths.TOP).returncode
        print(f"{'ok  ' if code == errors.OK else 'FAIL'} {' '.join(argv)}", flush=True)
        passed += 1
        bad += [""] * (code != errors.OK)
    print(f"documented: {passed - len(bad)} passed, {len(bad)} failed, 0 skipped")
    return errors.FAIL if bad else errors.OK


def register(commands_):
    """Add `uplift lab documented`."""
    parser = commands_.add_parser("documented", help="type what the documents say, in a guest",
                                  description="Type the commands that README, guide and manual give for a machine of "
                                              "one's own in a guest, as they stand there.")
    commands.add_kernel_options(parser)
    parser.add_argument("--long", action="store_true", help="also those that take minutes, on this machine: "
                        + ", ".join(" ".join(words).replace("{target}", "TARGET") for words in LONG))
    parser.set_defaults(func=_documented)
