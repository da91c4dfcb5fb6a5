# SPDX-License-Identifier: GPL-2.0-only
"""Changes that do not exist, for tests of what is done with any change: a tree like modules/, and what is there by its role.

    carp    its arms are files; the kernel's types tell its verdict; kernels may have it; a prerequisite, and a fix without id
    pike    its program reads files directly; a fix that some kernels need not have
    trout   arms of generated bodies, and one beyond upstream's; only its module tells its verdict
    heron   the inspector: it shows, and changes nothing
    perch   a backport
"""

import pathlib
import tempfile
import typing
import unittest
from unittest import mock

from upliftlib.base import changes

FILES = {
    "carp/about.toml": """order = 1
title = "a list from a cached text"
workloads = ["exec"]
excludes = ["CONFIG_PREEMPT_RT"]
risk = ["A carp is only permanent with permanent=1."]
by_hand = ["Does anything read the list often?"]
[[static]]
lacks = "function carp_show"
verdict = "unsupported"
says = "no function carp_show() stands by itself in this kernel"
[[static]]
has = "struct carp_text"
verdict = "native"
says = "the kernel has struct carp_text"
[[static]]
lacks = "struct carp_text"
verdict = "applicable"
says = "the kernel has no struct carp_text"
[upstream]
linux = "7.2"
title = "ponds: cache the text of the list"
commit = "ca00000000000000000000000000000000000000"
looked_up = "2026-11-30"
[[upstream.with]]
commit = "ca11111111111111111111111111111111111111"
title = "ponds: RCU-ify the list"
kind = "prerequisite"
linux = "7.2"
why = "the cached text belongs to a list that is read under RCU"
kernels = { "6.12" = "needed", "6.18" = "needed", "7.2" = "present" }
[[upstream.with]]
title = "locking of carp_text: a path leaves without unlocking"
kind = "fix"
linux = "7.2"
why = "reported, its id was not found"
kernels = { "6.12" = "needed", "6.18" = "needed", "7.2" = "present" }
[bench]
program = "carp_bench"
files = { off = "/proc/carp", off_again = "/proc/carp", null = "/proc/carp_uncached", new = "/proc/carp_cached" }
operations = { pread_open_fd = "pread", open_read_close = "open+read+close" }
[measure]
script = "measure.sh"
arms = { loaded = "off, with the module loaded", permanent = "new, with permanent=1" }
""",
    "pike/about.toml": """order = 2
title = "pike_iter() without clearing what nobody reads"
workloads = ["fio"]
risk = ["Code that uses a finished iterator again finds its old mapping."]
by_hand = ["Read every caller of pike_iter() in your tree."]
[upstream]
linux = "7.2"
title = "pike: avoid memset when iter is done"
author = "A. Pike"
commit = "b100000000000000000000000000000000000000"
looked_up = "2026-11-30"
[[upstream.with]]
commit = "b111111111111111111111111111111111111111"
title = "pike: release the batch on failures"
kind = "fix"
linux = "7.2"
why = "a fix in the same function"
seen = { file = "fs/pike/iter.c", has = "pike_clean_batch", only = "batch" }
kernels = { "6.18" = "omitted: its iterator has no batch", "7.1" = "needed", "7.2" = "present" }
[bench]
program = "pike_bench"
files = "direct"
operation = "read {fs}"
calls = 2
""",
    "trout/about.toml": """order = 3
title = "trout_wait() with fewer user-access scopes"
workloads = ["echo"]
requires = ["CONFIG_TROUT"]
risk = ["batch goes beyond upstream: only this project has tried it."]
by_hand = ["Does a server of yours wait for many ready descriptors at once?"]
[[static]]
has = "function trout_wait"
verdict = "unknown"
says = "trout_wait() delivers; in how many user accesses only its code tells"
[[static]]
lacks = "function trout_wait"
verdict = "unsupported"
says = "no function trout_wait() stands by itself in this kernel"
[upstream]
linux = "7.0"
title = "trout: Convert put_trout() to scoped user access"
author = "A. Trout"
commit = "1200000000000000000000000000000000000000"
looked_up = "2026-11-30"
[[upstream.with]]
commit = "1211111111111111111111111111111111111111"
title = "trout: Fix trout_wait() false negative"
kind = "fix"
linux = "7.2"
why = "a fault of older code in the same path"
kernels = { "6.1" = "needed", "6.12" = "present", "6.18" = "needed", "7.2" = "present" }
[[upstream.with]]
commit = "1222222222222222222222222222222222222222"
title = "selftests/trout: Add test for multiple waiters"
kind = "test"
linux = "7.2"
why = "the test of that fix"
[bench]
program = "trout_bench"
arguments = ["--ready", "1,16,256"]
operation = "{op} {ready}"
arms = ["null", "new", "batch"]
calls = 1
[tests]
only = ["load", "events_off"]
[measure]
events = { stac = "stac/clac pairs", call = "calls" }
""",
    "trout/trout.toml": """source = "fs/trout.c"
functions = ["trout_wait"]
[arms.null]
[arms.new]
patch = { file = "trout_new.cocci", places = 1, removes = 1, adds = 1 }
""",
    "trout/trout_new.cocci": "@@\nexpression revents, data, uevent;\n@@\n- old_put(revents, data, uevent)\n"
                             "+ put_trout(revents, data, uevent)\n",
    "heron/about.toml": """order = 4
inspector = true
title = "cache-aware ponds: what would be gathered where"
risk = ["The module shows and predicts, it changes nothing."]
by_hand = ["Do hardware and scheduler agree about the domains?"]
[upstream]
linux = "7.2"
title = "ponds: Introduce infrastructure for herons"
commit = "4e00000000000000000000000000000000000000"
looked_up = "2026-11-30"
[[upstream.with]]
commit = "4e11111111111111111111111111111111111111"
title = "ponds: fix UAF of a heron"
kind = "fix"
linux = "7.2.8"
why = "a use after free"
kernels = { "6.18" = "needed", "7.2" = "present" }
[measure]
script = "measure.sh"
operations = { processes = "switch, processes", threads = "switch, threads" }
figure = "median"
per = 2
[shows]
script = "show.sh"
reads = "shows.py"
""",
    "backports/perch/about.toml": """order = 10
title = "a pipe that was polled once no longer wakes its readers on every write"
risk = ["A pipe that was polled before stays as it was."]
by_hand = ["Which of your programs wait for pipes?"]
[upstream]
linux = "7.3"
title = "pipe: only for those who ask"
commit = "9e00000000000000000000000000000000000000"
looked_up = "2026-11-30"
[[upstream.with]]
commit = "9e11111111111111111111111111111111111111"
title = "selftests: add a regression test"
kind = "test"
linux = "7.3"
why = "upstream's test of the change"
[bench]
program = "syscall_bench"
arguments = ["--change", "perch", "--op", "pipe_polled"]
operation = "{op}"
arms = ["null", "new"]
""",
    "backports/perch/manifest.toml": """source = "fs/perch.c"
functions = ["perch_poll"]
[arms.null]
[arms.new]
patch = { file = "perch.cocci", places = 1, removes = 0, adds = 1 }
""",
    "backports/perch/perch.cocci": "@@\n@@\n- a();\n+ if (x) a();\n",
}

_dir = tempfile.TemporaryDirectory()		# for as long as the tests run
TOP = pathlib.Path(_dir.name)
for _name, _text in FILES.items():
    (TOP / _name).parent.mkdir(parents=True, exist_ok=True)
    (TOP / _name).write_text(_text)

_load = changes.load
CHANGES = _load(TOP)


def alone() -> typing.Any:
    """A patch under which these are all the changes that there are."""
    return mock.patch.object(changes, "load", lambda top=None: _load(top or TOP))


class Case(unittest.TestCase):
    """Tests under that patch."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(alone())
