# SPDX-License-Identifier: GPL-2.0-only
"""A command's words. What is wrong with them is one line that names the command, in place of a usage of many."""

import argparse
from typing import Any, NoReturn

from . import errors


class Parser(argparse.ArgumentParser):
    """As argparse's; the parsers of its subcommands are of this kind, too."""

    def error(self, message: str) -> NoReturn:
        self.exit(errors.USAGE, f"{self.prog}: {message}; see --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left over: the parser of a subcommand says itself which of its options it does not know."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error("unrecognized arguments: " + " ".join(left))
        return found, left
