# SPDX-License-Identifier: GPL-2.0-only
"""The changes that there are: every modules/<change>/about.toml, and modules/backports/<change>/about.toml, says what the
change is, how it is tested and how it is measured. Nothing outside of that directory names a change.

    title      in a few words
    order      where it stands in reports
    static     what the type information of a kernel (BTF) tells without a module: in turn, until one holds,
               { has | lacks = "struct NAME" or "struct NAME.MEMBER" or "function NAME", verdict, says }; a backport's
               module says the same, where also "source WORDS OF THE FUNCTION" may stand
    risk       what may go wrong when it is shipped
    by_hand    what only a person can check before it is shipped
    requires   options of the kernel's configuration that it takes, beside REQUIRED
    excludes   options that must not be set
    expect     the verdict that it has to get, as reading kernels' sources tells: { "the first kernel with it, X.Y" = verdict },
               which holds on all later targets until another is given; beside these, variants by their names, and for another
               architecture a table of its own with what differs there: arm64 = { "X.Y" = verdict }
    upstream   { linux, title, author, commit, link, series }, as far as known; looked_up: the date at which what goes with
               it was looked up; differs: what is applied here, beside the commit; instead: what was measured,
               where that is not the commit's own lines; claims: upstream's own figure, and of what; abi: { struct:
               what upstream's commits, prerequisites among them, do to it } where that differs from what is applied here;
               with: see WITH
    workloads  what it is measured by that users know: names of workloads.py
    perf_bench "COLLECTION TEST" of perf bench, the workload perf_COLLECTION
    elsewhere  of one that has no bench: why, and what to do instead
    explains   { operation: what it is, in a few words }, where its name does not say
    bench      how it is measured, see host/bench.py: { program, arguments, operation, arms, calls | files, operations }
    tests      what `make run` takes for its correctness, see Tests
    measure    how guests that count instructions measure it, beyond what bench says, see Measure
    shows      of one that only looks, how a report gets at what it shows, see Shows
    cachelines what `uplift lab cachelines` watches, see CacheLines
    inspector  true: it is the one that `uplift <change>` shows
    own        files and directories elsewhere in the tree that belong to the change alone
    guest      what the guest of all of its script needs, beside what `tests` has, see Guest
    torture    { NAME = a run of that script of its own in `make torture`, see Torture }
    checked    what is different on kernels with checkers, see Checked
    kunit      { function }: the function whose bodies its KUnit suite has
    documented { what a block of commands begins with = { before, after } }, what is typed around it
    stress     { a stressor of stress-ng that reaches it = how many of it }

Files that these tables name stand beside about.toml.
"""

import dataclasses
import importlib.util
import pathlib
import re
import tomllib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

from . import architectures, errors, paths, targets

KINDS = ("applicable", "native", "unaffected", "unsupported", "unknown")
VERDICTS = {
    "applicable": "the kernel lacks the change, and it can be tried here",
    "native": "the kernel has the change",
    "unaffected": "the kernel never had the problem that the change solves",
    "unsupported": "the kernel lacks the change, and it cannot be tried here",
    "unknown": "cannot be told without the module",
}

# What [[upstream.with]] may say of a commit that goes with a change.
WITH = {
    "kind": "prerequisite, fix, revert or test",
    "commit": "its id in Linus Torvalds' tree; left out where none was found",
    "title": "its first line",
    "linux": "the version that has it",
    "why": "why it goes with the change",
    "without": "what happens without it, in a few words for the first screen",
    "link": "where it was reported, or posted",
    "seen": "{ file, has }: a text in a file of the kernel's source that tells that it is there; only: one without which it is "
            "of no use",
    "kernels": '{ series = "needed", "present" or "omitted: why" }: read in the source of Debian\'s kernel',
}


# What every module takes.
REQUIRED = ("CONFIG_MODULES", "CONFIG_KPROBES", "CONFIG_KALLSYMS")


@dataclasses.dataclass(frozen=True)
class _Table:
    """A table of about.toml with members of known names."""

    @classmethod
    def of(cls, where: pathlib.Path, table: Mapping[str, Any]) -> Self:
        """The table as an object; a Problem where a member is not known."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in table:
            if name not in known:
                raise errors.Problem(f"{where}: [{cls.__name__.lower()}] has no '{name}'; it may have: "
                                     + ", ".join(sorted(known)), errors.USAGE)
        return cls(**table)


_Kind = TypeVar("_Kind", bound=_Table)


@dataclasses.dataclass(frozen=True)
class Tests(_Table):
    """The selftest that a guest runs for a report.

    script     of selftests/; <change>.sh, or of a backport the one for all backports
    prefix     what its tests' names begin with, where the script tests several changes
    only       names of the tests: enough to see a fault, few enough to wait for; all when neither is given
    left_out   names of those that are not run
    env        variables for the script
    modules    of the kernel, for modprobe; those that the target has
    programs   of the build root, by path
    cpus       of the guest
    layout     of its CPUs and caches: a name of TOPOLOGIES
    """
    script: str = ""
    prefix: str = ""
    only: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    cpus: int = 2
    layout: str | None = None


@dataclasses.dataclass(frozen=True)
class Measure(_Table):
    """How guests that count instructions measure a change.

    Without a script the program is run beside those of the other changes, in a guest in which their modules are loaded;
    it takes --rounds, and files where bench has files = "direct". With one, a guest of its own runs that, which has the
    programs of [guest].

    script     sh: loads the module, leaves its verdict in /out/verdict, samples in /out/bench: one line of JSON each, with
               op, arm and what else the operation's name takes; sentences for the report in /out/notes, if it has any
    program    of selftests/bench
    arguments  of the program
    modules    of the kernel, for modprobe
    operation  the operation's name, from a sample's members: "{op} {ready}"
    operations { a sample's op = the operation's name }; samples of another op are not shown
    calls      of the redirected function in an operation
    files      "direct": the program takes files to read directly
    figure     the member of a sample that counts: best, or median where an operation may take a cheaper way by chance
    per        operations that a sample's figure holds
    arms       { arm = what it is }: arms beside those that every change has, which are shown and not compared
    events     { stac | clac | lfence | call = what it is }: what a plugin counts, of arm64 sttr | ldtr | csdb | call; the
               program takes --marked
    """
    script: str = ""
    program: str = ""
    arguments: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    operation: str = "{op}"
    operations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    calls: int = 0
    files: str = ""
    figure: str = "best"
    per: int = 1
    arms: Mapping[str, str] = dataclasses.field(default_factory=dict)
    events: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def name(self, sample: Mapping[str, Any]) -> str | None:
        """The name of a sample's operation; None where it is not shown."""
        return self.operations.get(sample["op"]) if self.operations else self.operation.format(**sample)


@dataclasses.dataclass(frozen=True)
class Shows(_Table):
    """What is shown by a change that changes nothing.

    script     sh: what the guest of its tests runs before them; leaves its verdict in /out/verdict, and what else `reads`
               takes in /out
    reads      Python: shows(out, guest) gives what to report, [{"name", "short", "text"}], from what the script left in
               the directory `out`; `guest` says what kind of guest that was
    """
    script: str = ""
    reads: str = ""


@dataclasses.dataclass(frozen=True)
class CacheLines(_Table):
    """Reads on two CPUs at once, of which a plugin tells what cache lines they share and write.

    script     sh, with {reads} for how often: runs the readers one after the other, leaves the verdict in /out/verdict
    runs       what the script reads, in its order: { name, shared = always | never | lacking }; lacking: where the kernel
               has not the change itself
    """
    script: str = ""
    runs: tuple[Mapping[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Guest(_Table):
    """What the guest of selftests/<change>.sh needs, beside the modules and programs of [tests].

    environment  for the script
    modules      of the kernel, for modprobe, all of which it must have
    programs     of the build root, by path
    packages     the set of its packages that these are of (lab/buildroot.py)
    mem          "2G"
    livepatch    the script loads uplift_livepatch.ko, which taints
    upstream     a test program in the kernel's source, built as it is there, and put beside the script
    layouts      a module of lab/ whose layouts_test() boots guests of several layouts of CPUs
    """
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    packages: str = ""
    mem: str | None = None
    livepatch: bool = False
    upstream: str = ""
    layouts: str = ""


@dataclasses.dataclass(frozen=True)
class Torture(_Table):
    """Tests of selftests/<change>.sh that `make torture` runs in a guest of their own.

    only         names of the tests
    environment  for the script
    append       arguments for the kernel
    excused      a pattern of reports of the kernel that are not held against us, as Python and awk have them
    """
    only: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    append: str = ""
    excused: str = ""


@dataclasses.dataclass(frozen=True)
class Checked(_Table):
    """What is different of selftests/<change>.sh on a kernel with checkers, which is slow.

    environment  for the script
    without      names of tests that are not run
    """
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()


def _version(directory: pathlib.Path, name: str) -> tuple[int, ...]:
    """A kernel's two numbers."""
    if not re.fullmatch(r"\d+\.\d+", name):
        raise errors.Problem(f"{directory}/about.toml: [expect] has '{name}'; a kernel's version, X.Y, is wanted, or one of: "
                             + ", ".join(targets.VARIANTS), errors.USAGE)
    return tuple(map(int, name.split(".")))


@dataclasses.dataclass
class Change:
    """One change."""
    name: str
    directory: pathlib.Path
    about: dict[str, Any]

    @property
    def module(self) -> str:
        """The module's name."""
        return f"uplift_{self.name}"

    @property
    def title(self) -> str:
        """In a few words."""
        return str(self.about["title"])

    @property
    def expect(self) -> dict[str, str]:
        """{target: the verdict that it has to get there}, of those of which it is known."""
        given = {name: verdict for name, verdict in self.about.get("expect", {}).items() if isinstance(verdict, str)}
        return self._since(given) | {name: verdict for name, verdict in given.items() if name in targets.VARIANTS}

    def expected(self, target: str) -> str:
        """The verdict on a target of any architecture; "" where nothing is known of it."""
        base, arch = architectures.split(target)
        if arch.native:
            return self.expect.get(target, "")
        given = self.about.get("expect", {})
        return self._since({**given, **given.get(arch.name, {})}).get(base, "")

    def _since(self, given: Mapping[str, str]) -> dict[str, str]:
        """{target of the table: verdict}, where each of what is given begins with a version."""
        since = sorted((_version(self.directory, name), verdict) for name, verdict in given.items()
                       if name not in targets.VARIANTS and isinstance(verdict, str))
        return {name: verdict for name, spec in targets.TABLE.items() for first, verdict in since
                if first <= _version(self.directory, spec.series)}	# the last of them counts

    @property
    def generated(self) -> bool:
        """Is any of its code made from the kernel's source?"""
        return any((self.directory / name).exists() for name in ("manifest.toml", f"{self.name}.toml"))

    @property
    def backport(self) -> bool:
        """Is all of its code generated, from a directory in modules/backports?"""
        return self.directory.parent.name == "backports"

    def lacks(self, config: Mapping[str, str]) -> list[str]:
        """What of a configuration is not as it takes; nothing where the configuration is not known."""
        wanted = [*REQUIRED, *self.about.get("requires", ())]
        found = [f"{name} is not set" for name in wanted if config and config.get(name, "n") == "n"]
        return found + [f"{name} is set" for name in self.about.get("excludes", ()) if config.get(name, "n") != "n"]

    def upstream(self) -> dict[str, Any]:
        """What is known of the commit, and of what goes with it."""
        known = dict(self.about.get("upstream", {}))
        for entry in known.get("with", ()):
            for name in entry:
                if name not in WITH:
                    raise errors.Problem(f"{self.directory / 'about.toml'}: [[upstream.with]] has no '{name}'; it may have: "
                                         + ", ".join(WITH), errors.USAGE)
        return known

    def patches(self) -> dict[str, str]:
        """{file name: text} of the semantic patches."""
        return {"/".join(("modules", *self.directory.parts[-1 - self.backport:], path.name)): path.read_text()
                for path in sorted(self.directory.glob("*.cocci"))}

    def tests(self) -> Tests | None:
        """What counts as its correctness; None where a report has nothing of the kind."""
        where = self.directory / "about.toml"
        if self.backport:
            common = {"script": "backports.sh", "prefix": f"{self.name}_"}
            return Tests.of(where, common | self.about.get("tests", {}))
        if "tests" not in self.about:
            return None
        return Tests.of(where, {"script": f"{self.name}.sh"} | self.about["tests"])

    def measure(self) -> Measure | None:
        """How guests measure it; None where they do not."""
        bench = self.about.get("bench", {})
        if not bench and "measure" not in self.about:
            return None
        taken = {name: bench[name] for name in ("program", "arguments", "operation", "operations", "calls")
                 if name in bench}
        if isinstance(bench.get("files"), str):
            taken["files"] = bench["files"]
        return Measure.of(self.directory / "about.toml", taken | self.about.get("measure", {}))

    def shows(self) -> Shows | None:
        """How what it shows is had; None of one that changes something."""
        return self._table(Shows)

    def cachelines(self) -> CacheLines | None:
        """What is watched of it; None where nothing is."""
        return self._table(CacheLines)

    def guest(self) -> Guest:
        """What the guest of its script needs."""
        return self._table(Guest) or Guest()

    def torture(self) -> dict[str, Torture]:
        """{name: some tests of its script that run by that name}"""
        where = self.directory / "about.toml"
        return {name: Torture.of(where, table) for name, table in self.about.get("torture", {}).items()}

    def checked(self) -> Checked:
        """What is different on kernels with checkers."""
        return self._table(Checked) or Checked()

    def _table(self, kind: type[_Kind]) -> _Kind | None:
        table = self.about.get(kind.__name__.lower())
        return None if table is None else kind.of(self.directory / "about.toml", table)

    def text(self, name: str) -> str:
        """A file of its directory that about.toml names."""
        try:
            return (self.directory / name).read_text()
        except OSError as problem:
            raise errors.Problem(f"{self.name}/about.toml names {name}: {errors.of_os(problem)}") from None

    def python(self, name: str) -> types.ModuleType:
        """The same, of Python, as a module."""
        spec = importlib.util.spec_from_file_location(f"uplift_{self.name}_{pathlib.Path(name).stem}",
                                                      self.directory / name)
        if spec is None or spec.loader is None:
            raise errors.Problem(f"{self.name}/about.toml names {name}, which is no Python")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def load(top: pathlib.Path | None = None) -> dict[str, Change]:
    """{name: Change}, in their order."""
    found = []
    top = top or paths.TOP / "modules"
    for path in [*top.glob("*/about.toml"), *top.glob("backports/*/about.toml")]:
        try:
            about = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as problem:
            raise errors.Problem(f"{path}: {problem}") from None
        found.append(Change(path.parent.name, path.parent, about))
    if not found:
        raise errors.Problem(f"no modules/*/about.toml below {top}: is the tree whole?")
    return {change.name: change for change in sorted(found, key=lambda change: (change.about.get("order", 99),
                                                                               change.name))}


def inspector() -> Change:
    """The change that the inspector shows: its name is the command's, and that of its directory in debugfs."""
    for change in load().values():
        if change.about.get("inspector"):
            return change
    raise errors.Problem("no modules/*/about.toml has inspector = true")


def names() -> str:
    """What CHANGE may be, for a command's help: completion reads it there."""
    try:
        return "of: " + " ".join(load()) + "; all when none is named"
    except errors.Problem:
        return "all when none is named"


def chosen(wanted: Iterable[str], top: pathlib.Path | None = None) -> list[Change]:
    """The Changes of these names, all when there is none."""
    found, wanted = load(top), list(wanted)
    for name in wanted:
        if name not in found:
            raise errors.Problem(f"no change '{name}'; there are: {' '.join(found)}", errors.USAGE)
    return [found[name] for name in found if not wanted or name in wanted]
