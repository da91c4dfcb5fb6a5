# SPDX-License-Identifier: GPL-2.0-only
"""The module of a patch that is tried: its bodies, and the few lines of C that register them."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re

from .objectbody import Arm

_MAIN = """// SPDX-License-Identifier: GPL-2.0
/* uplift_@NAME@.ko, made by `uplift try`: @TITLE@. Do not keep. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/percpu.h>

#include "change.h"

DEFINE_PER_CPU(struct uplift_count[UPLIFT_ARM_FIRST_OWN], uplift_@NAME@_count);

@DECLARE@

static const struct uplift_body null_bodies[] = {
@NULL@
};

static const struct uplift_body new_bodies[] = {
@NEW@
};

static const struct uplift_arm try_arms[] = {
	[UPLIFT_ARM_NULL]	= { .bodies = null_bodies },
	[UPLIFT_ARM_NEW]	= { .bodies = new_bodies },
};

static struct uplift_function try_functions[] = {
@FUNCTIONS@
};

/* Of functions of the kernel's beside these. */
static const char * const try_copies[] = { @COPIES@ };

static const struct uplift_module_id try_modules[] = { @MODULES@ };

static struct uplift_redirect try_redirect = {
	.functions	= try_functions,
	.nr_functions	= ARRAY_SIZE(try_functions),
	.arms		= try_arms,
	.nr_arms	= ARRAY_SIZE(try_arms),
	.count		= uplift_@NAME@_count,
	.copies		= try_copies,
	.nr_copies	= @COPIED@,
	.modules	= try_modules,
	.nr_modules	= @MODULE_COUNT@,
};

static int try_probe(struct uplift_change *change)
{
	change->verdict.kind = UPLIFT_APPLICABLE;
	uplift_verdict_add(&change->verdict, "functions", "%s", @LIST@);
	uplift_verdict_add(&change->verdict, "identical", "%s", @IDENTICAL@);
	return 0;
}

static struct uplift_change try_change = {
	.name		= "@NAME@",
	.owner		= THIS_MODULE,
	.redirect	= &try_redirect,
	.probe		= try_probe,
};
module_uplift_change(try_change);

MODULE_DESCRIPTION(@DESCRIPTION@);
MODULE_LICENSE("GPL");
"""

_KBUILD = """# SPDX-License-Identifier: GPL-2.0
# UPLIFT=the tree that uplift.ko was built from
include $(UPLIFT)/modules/compat/flags.mk
asflags-y += -I$(UPLIFT)/modules/core
obj-m := uplift_@NAME@.o
uplift_@NAME@-y := first.o main.o null.o new.o last.o
"""

FIRST = """/* SPDX-License-Identifier: GPL-2.0 */
/* Where the tables of references begin: struct uplift_bodies_head in modules/core/bind.h. */
	.section .uplift_bodies, "aw", @progbits
	.balign 8
	.globl uplift_bodies
uplift_bodies:
	.byte @BUILD_ID@
	.long 0
"""

LAST = """/* SPDX-License-Identifier: GPL-2.0 */
/* Where the tables of references end. */
	.section .uplift_bodies, "aw", @progbits
	.globl uplift_bodies_end
uplift_bodies_end:
"""


def name_of(text: str) -> str:
    """A name for a change that can be a module's, out of a file's or a title."""
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    words = re.sub(r"^\d+_", "", words)
    return (words if words[:1].isalpha() else f"try_{words}")[:32].rstrip("_") or "try"


def _quoted(text: str) -> str:
    return json.dumps(text.encode("ascii", "replace").decode())


@dataclasses.dataclass
class Module:
    """What the module says of itself."""
    name: str
    title: str
    functions: list[str]
    identical: str
    build_id: bytes
    copies: list[str] = dataclasses.field(default_factory=list)
    modules: dict[str, bytes] = dataclasses.field(default_factory=dict)	# of the kernel, with their build ids

    def write(self, directory: pathlib.Path, null: Arm, new: Arm) -> None:
        """All its sources, into a directory."""
        files = {"main.c": self._main(), "Kbuild": _KBUILD.replace("@NAME@", self.name),
                 "first.S": FIRST.replace("@BUILD_ID@", ", ".join(f"{byte:#04x}" for byte in self.build_id)),
                 "null.S": null.text(), "new.S": new.text(), "last.S": LAST}
        for name, text in files.items():
            path = directory / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def _entry(self, arm: str, number: int) -> str:
        prefix = f"uplift_{self.name}_{arm}"
        return f"\t{{ .entry = {prefix}_call_{number}, .body = {prefix}_jump_{number} }},"

    def _main(self) -> str:
        numbers = range(len(self.functions))
        declare = [f"void uplift_{self.name}_{arm}_{way}_{number}(void);" for arm in ("null", "new")
                   for number in numbers for way in ("call", "jump")]
        modules = [f'{{ "{name}", {{ {", ".join(map(str, build_id))} }} }}' for name, build_id in self.modules.items()]
        words = {"NAME": self.name, "TITLE": self.title.replace("*", ""), "DECLARE": "\n".join(declare),
                 "NULL": "\n".join(self._entry("null", number) for number in numbers),
                 "NEW": "\n".join(self._entry("new", number) for number in numbers),
                 "FUNCTIONS": "\n".join(f'\t{{ .name = "{name}" }},' for name in self.functions),
                 "COPIES": ", ".join([*map(_quoted, self.copies), "NULL"]), "COPIED": str(len(self.copies)),
                 "MODULES": ", ".join([*modules, "{ }"]), "MODULE_COUNT": str(len(modules)),
                 "LIST": _quoted(" ".join(self.functions)), "IDENTICAL": _quoted(self.identical),
                 "DESCRIPTION": _quoted(f"uplift: {self.title}")}
        text = _MAIN
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        return text
