# SPDX-License-Identifier: GPL-2.0-only
"""The changes that there are: every modules/<change>/about.toml, and modules/backports/<change>/about.toml, says what the
change is and how it is measured.

    title      in a few words
    order      where it stands in reports
    static     what the type information of a kernel (BTF) tells without a module: in turn, until one holds,
               { has | lacks = "struct NAME" or "struct NAME.MEMBER" or "function NAME", verdict, says }; a backport's
               module says the same, where also "source WORDS OF THE FUNCTION" may stand
    risk       what may go wrong when it is shipped
    by_hand    what nobody but a person can check before it is shipped
    requires   options of the kernel's configuration that it takes, beside REQUIRED
    excludes   options that must not be set
    expect     the verdict that it has to get on each target, as reading that kernel's source tells
    upstream   { linux, title, author, commit, link }, as far as known
    workloads  what it is measured by that users know: names of workloads.py
    elsewhere  of one that has no bench: why, and what to do instead
    bench      how it is measured, see bench.py: { program, arguments, operation, arms, calls | files, operations }
"""

import dataclasses
import pathlib
import tomllib

from . import errors, paths

KINDS = ("applicable", "native", "unaffected", "unsupported", "unknown")
VERDICTS = {
    "applicable": "the kernel lacks the change, and it can be tried here",
    "native": "the kernel has the change",
    "unaffected": "the kernel never had what the change mends",
    "unsupported": "the kernel lacks the change, and it cannot be tried here",
    "unknown": "cannot be told without the module",
}


# What every module takes.
REQUIRED = ("CONFIG_MODULES", "CONFIG_KPROBES", "CONFIG_KALLSYMS")


@dataclasses.dataclass
class Change:
    """One change."""
    name: str
    directory: pathlib.Path
    about: dict

    @property
    def module(self):
        """The module's name."""
        return f"uplift_{self.name}"

    @property
    def title(self):
        """In a few words."""
        return self.about["title"]

    @property
    def expect(self) -> dict[str, str]:
        """{target: the verdict that it has to get there}"""
        return dict(self.about.get("expect", {}))

    @property
    def backport(self):
        """Is all of its code generated, from a directory in modules/backports?"""
        return self.directory.parent.name == "backports"

    def lacks(self, config):
        """What of a configuration is not as it takes; nothing where the configuration is not known."""
        wanted = [*REQUIRED, *self.about.get("requires", ())]
        found = [f"{name} is not set" for name in wanted if config and config.get(name, "n") == "n"]
        return found + [f"{name} is set" for name in self.about.get("excludes", ()) if config.get(name, "n") != "n"]

    def upstream(self):
        """What is known of the commit."""
        return dict(self.about.get("upstream", {}))

    def patches(self):
        """{file name: text} of the semantic patches."""
        return {"/".join(("modules", *self.directory.parts[-1 - self.backport:], path.name)): path.read_text()
                for path in sorted(self.directory.glob("*.cocci"))}


def load(top=None):
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


def names():
    """What CHANGE may be, for a command's help: completion reads it there."""
    try:
        return "of: " + " ".join(load()) + "; all when none is named"
    except errors.Problem:
        return "all when none is named"


def chosen(wanted, top=None):
    """The Changes of these names, all when there is none."""
    found = load(top)
    for name in wanted:
        if name not in found:
            raise errors.Problem(f"no change '{name}'; there are: {' '.join(found)}", errors.USAGE)
    return [found[name] for name in found if not wanted or name in wanted]
