# SPDX-License-Identifier: GPL-2.0-only
"""Patches as they come: read, applied, and refused with what stands there instead; held against diff and patch."""

import base64
import difflib
import pathlib
import quopri
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from upliftlib.generator import headers, patch	# noqa: E402
from upliftlib.generator.objects import Refused	# noqa: E402
from upliftlib.lab import functiondiff	# noqa: E402

SOURCE = "".join(f"line {number}\n" for number in range(1, 60))


def diff(before: str, after: str, path: str = "fs/pond.c", context: int = 3) -> str:
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
                   for line in difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}",
                                                    n=context))


def applied(text: str, source: str | None, path: str = "fs/pond.c") -> str:
    return patch.apply(patch.parse(text, "x.patch"), lambda name: source if name == path else None)[path]


class LinesTest(unittest.TestCase):
    """Of what a change leaves as it is, each __LINE__ is what it was; the preprocessor is asked."""

    def lines(self, text: str) -> dict[str, int]:
        gcc = shutil.which("gcc")
        if not gcc:
            self.skipTest("no gcc here")
        out = subprocess.run([gcc, "-E", "-P", "-"], input=text, capture_output=True, text=True, check=True).stdout
        return {name: int(line) for name, line in re.findall(r"int (\w+)\(void\)\s*\{[^}]*return (\d+);", out)}

    def test_only_what_changes_has_other_lines(self) -> None:
        rng = random.Random(5)
        for _ in range(20):
            functions = [f"/* {number} */\nint f{number}(void)\n{{\n\treturn __LINE__;\n}}\n" for number in range(8)]
            before = "int x;\n" + "\n".join(functions)
            chosen = rng.sample(range(8), 3)
            for number in chosen:
                functions[number] = functions[number].replace("\treturn", "\t;\n" * rng.randrange(1, 4) + "\treturn")
            functions[chosen[0]] += "\nint added(void)\n{\n\treturn __LINE__;\n}\n"
            after = "int x;\n" + "\n".join(functions)
            was, plain, kept = self.lines(before), self.lines(after), self.lines(patch.lines_kept(before, after))
            self.assertEqual(kept, {name: (plain if name == "added" or int(name[1:]) in chosen else was)[name]
                                    for name in plain})

    def test_the_same_text(self) -> None:
        self.assertEqual(patch.lines_kept(SOURCE, SOURCE), SOURCE)
        self.assertEqual(patch.lines_kept("", SOURCE), SOURCE)


class ReadingTest(unittest.TestCase):
    MAIL = ("From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\n"
            "Subject: [PATCH v2 1/3] pond: look at ponds\n twice\n\nWhy.\n\nSigned-off-by: A <a@b>\n---\n"
            " fs/pond.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\n")

    def test_a_git_mail(self) -> None:
        text = self.MAIL + "diff --git a/fs/pond.c b/fs/pond.c\nindex 1..2 100644\n" + \
            diff(SOURCE, SOURCE.replace("line 7\n", "LINE 7\n")) + "-- \n2.47.0\n\n"
        found = patch.parse(text, "x.patch")
        self.assertEqual(found.title, "pond: look at ponds twice")
        self.assertEqual(found.commits, ["0123456789abcdef0123456789abcdef01234567"])
        self.assertEqual([file.path for file in found.files], ["fs/pond.c"])
        self.assertEqual(len(found.files[0].hunks), 1)

    def test_a_line_of_dashes_that_is_removed(self) -> None:
        """'-- ' and '--- ' in a hunk are lines of the file."""
        before = "a\n-- sql\n++ c\nb\n"
        self.assertEqual(applied(diff(before, "a\nb\n"), before), "a\nb\n")

    def test_several_commits_on_one_file(self) -> None:
        once = SOURCE.replace("line 7\n", "LINE 7\n")
        twice = once.replace("LINE 7\n", "LINE SEVEN\n").replace("line 50\n", "")
        self.assertEqual(applied(self.MAIL + diff(SOURCE, once) + self.MAIL + diff(once, twice), SOURCE), twice)

    def test_directories_that_people_diff_between(self) -> None:
        text = diff(SOURCE, SOURCE + "more\n").replace("a/fs", "linux-6.18/fs").replace("b/fs", "linux-6.18.new/fs")
        self.assertEqual(applied(text, SOURCE), SOURCE + "more\n")

    def test_what_is_no_patch(self) -> None:
        for text in ("", "hello\n", "--- a/x\n+++ b/x\n"):
            with self.assertRaisesRegex(Refused, "no unified diff in it"):
                patch.parse(text, "x.patch")
        with self.assertRaisesRegex(Refused, "hunk 1 is cut off"):
            patch.parse("\n".join(diff(SOURCE, SOURCE.replace("line 7\n", "")).splitlines()[:5]), "x.patch")

    def test_a_hunk_with_more_lines_than_it_says(self) -> None:
        """As one that was edited by hand: what is too much, and the hunks behind it, must not be left out unseen."""
        text = diff(SOURCE, SOURCE.replace("line 7\n", "LINE 7\n").replace("line 50\n", "LINE 50\n"))
        for more in ("+added\n", "-line 11\n", " line 11\n"):
            with self.subTest(more=more), self.assertRaisesRegex(patch.NotAPatch, "hunk 1 has more lines than its @@ line says"):
                patch.parse(text.replace(" line 10\n", " line 10\n" + more, 1), "x.patch")
        self.assertEqual(len(patch.parse(text + "\n-- \n2.47.0\n", "x.patch").files[0].hunks), 2)

    def test_a_file_that_gets_another_name(self) -> None:
        """git says it without a hunk, and it would be left out unseen."""
        change = diff(SOURCE, SOURCE + "more\n")
        for verb in ("rename", "copy"):
            moved = f"diff --git a/fs/a.c b/fs/b.c\nold mode 100644\nnew mode 100755\nsimilarity index 100%\n{verb} from fs/a.c\n{verb} to fs/b.c\n"
            for text in (moved + change, change + moved, (change + moved).replace("\n", "\r\n"), moved):
                with self.assertRaisesRegex(Refused, "fs/a.c is renamed or copied"):
                    patch.parse(text, "x.patch")
            self.assertEqual(applied(moved.replace("fs/", "Documentation/") + change, SOURCE), SOURCE + "more\n")
        # a mail may speak of it
        self.assertEqual(applied(self.MAIL.replace("Why.", "rename from fs/a.c") + change, SOURCE), SOURCE + "more\n")

    def test_a_hunk_that_is_damaged(self) -> None:
        text = diff(SOURCE, SOURCE.replace("line 7\n", "LINE 7\n"))
        at_line = re.compile("^@@ .* @@$", re.MULTILINE)
        for broken, why in ((text.replace("+LINE 7", "+LINE\n7"), "hunk 1 is damaged: '7' begins with none of"),
                            (text.replace(" line 10\n", "diff --git a/x b/x\n"), "hunk 1 is cut off"),
                            (at_line.sub("@@ -0,0 +0,0 @@", text), "hunk 1 is empty"),
                            (at_line.sub("@@ -4,2 +4,2 @@", text), "hunk 1 has more lines than its @@ line says: 'line 6'|' line 6'"),
                            (at_line.sub(f"@@ -{'9' * 5000},7 +4,7 @@", text), "is no line of a unified diff")):
            with self.subTest(why), self.assertRaisesRegex(patch.NotAPatch, why):
                patch.parse(broken, "x.patch")
        # one that a mailer ended with a line of blanks is whole
        self.assertEqual(applied(text + " \n\n-- \n2.47.0\n", SOURCE), SOURCE.replace("line 7\n", "LINE 7\n"))

    def test_a_mail_that_was_encoded(self) -> None:
        """As mailers send what is not ASCII, or has long lines."""
        before, after = SOURCE + "a = 1\n", SOURCE + "a = 1;\t/* \u00fc */\n"
        head = "From: A <a@b>\nSubject: =?UTF-8?q?[PATCH]_pond:_=C3=BC?=\nContent-Transfer-Encoding: {}\n\n"
        body = ("Why.\n---\n" + diff(before, after) + "-- \n2.47.0\n").encode()
        mails = [head.format("8bit") + body.decode(), head.format("quoted-printable") + quopri.encodestring(body).decode(),
                 head.format("Base64") + base64.encodebytes(body).decode(),
                 (head.format("base64") + base64.encodebytes(body.replace(b"\n", b"\r\n")).decode()).replace("\n", "\r\n")]
        for mail in mails:
            self.assertEqual(applied(mail, before), after)
            self.assertEqual(patch.parse(mail, "x.patch").title, "pond: \u00fc")
        from_line = "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n"
        again = head.format("quoted-printable") + quopri.encodestring(diff(after, before).encode()).decode()
        self.assertEqual(applied(from_line + mails[1] + from_line + again, before), before)
        with self.assertRaisesRegex(patch.NotAPatch, "says that it is in base64, and is not"):
            patch.parse(head.format("base64") + "x", "x.patch")

    def test_no_line_is_changed(self) -> None:
        """git has no hunk for a mode, nor for a file without text."""
        for about in ("old mode 100644\nnew mode 100755\n", "new file mode 100644\nindex 0000000..e69de29\n"):
            with self.assertRaisesRegex(Refused, "changes nothing that a kernel is made of") as caught:
                patch.parse(f"diff --git a/fs/pond.c b/fs/pond.c\n{about}", "x.patch")
            self.assertNotIsInstance(caught.exception, patch.NotAPatch)

    def test_a_merge(self) -> None:
        merge = "diff --cc fs/pond.c\n--- a/fs/pond.c\n+++ b/fs/pond.c\n@@@ -1,1 -1,1 +1,2 @@@\n  a\n++b\n"
        for text in (merge, diff(SOURCE, SOURCE + "more\n") + merge):
            with self.assertRaisesRegex(patch.NotAPatch, "@@@.*a merge's has three @"):
                patch.parse(text, "x.patch")


class ApplyingTest(unittest.TestCase):
    def test_as_patch_does(self) -> None:
        """Random edits, applied to a file that has moved: GNU patch without fuzz agrees."""
        if not shutil.which("patch"):
            self.skipTest("no patch here")
        seed = random.Random(17)
        with tempfile.TemporaryDirectory() as temp:
            path = pathlib.Path(temp, "pond.c")
            for _ in range(60):
                lines = [f"{seed.choice('abc')} {seed.randrange(20)}\n" for _ in range(80)]
                after = list(lines)
                for _ in range(seed.randrange(1, 5)):
                    at = seed.randrange(len(after))
                    after[at:at + seed.randrange(3)] = [f"new {seed.randrange(99)}\n" for _ in range(seed.randrange(3))]
                text = diff("".join(lines), "".join(after))
                if not text:
                    continue
                there = [f"in front {n}\n" for n in range(seed.randrange(6))] + lines
                path.write_text("".join(there))
                done = subprocess.run(["patch", "-F0", "-s", "-p2", path], input=text, text=True, capture_output=True)
                if not done.returncode:
                    self.assertEqual(applied(text, "".join(there)), path.read_text())

    def test_what_stands_there_instead(self) -> None:
        text = diff(SOURCE, SOURCE.replace("line 7\n", "LINE 7\n"))
        with self.assertRaisesRegex(patch.DoesNotApply, "hunk 1 does not apply: line 7 is 'other', not 'line 7'"):
            applied(text, SOURCE.replace("line 7\n", "other\n"))
        with self.assertRaisesRegex(patch.DoesNotApply, "does not have this file"):
            applied(text, None)

    def test_only_white_space_is_another(self) -> None:
        """Both would look the same in the message."""
        text = diff("\ta\n\tb\n", "\ta\n\tc\n").replace("\t", "        ")
        with self.assertRaisesRegex(patch.DoesNotApply, "line 1, 'a', has other white space"):
            applied(text, "\ta\n\tb\n")

    def test_names_from_elsewhere(self) -> None:
        """As with another number of directories in front: what the file is called here is told."""
        change = diff(SOURCE, SOURCE + "more\n")
        for names, why in (("x/src/", "src/fs/pond.c: this kernel does not have this file, but fs/pond.c: .* one directory in front"),
                           ("my.tree/", "my.tree/fs/pond.c: this kernel does not have this file, but fs/pond.c")):
            with self.subTest(names), self.assertRaisesRegex(patch.DoesNotApply, why):
                applied(change.replace("a/", names).replace("b/", names), SOURCE)
        with self.assertRaisesRegex(patch.DoesNotApply, "pond.c: this kernel does not have this file: .* from the top of the source"):
            applied(change.replace("fs/", ""), SOURCE)
        self.assertEqual(applied(change.replace("a/", "").replace("b/", ""), SOURCE), SOURCE + "more\n")

    def test_the_second_hunk_is_named(self) -> None:
        text = diff(SOURCE, SOURCE.replace("line 7\n", "LINE 7\n").replace("line 40\n", "LINE 40\n"))
        with self.assertRaisesRegex(patch.DoesNotApply, "hunk 2 does not apply: line 41 "):
            applied(text, SOURCE.replace("line 41\n", ""))

    def test_context_is_needed(self) -> None:
        text = diff(SOURCE, SOURCE.replace("line 7\n", "LINE 7\n"))
        with self.assertRaises(patch.DoesNotApply):
            applied(text, SOURCE.replace("line 4\n", "line four\n"))

    def test_native(self) -> None:
        for after in (SOURCE.replace("line 7\n", "LINE 7\n"), SOURCE.replace("line 7\n", "line 7\nand more\n"),
                      SOURCE.replace("line 7\n", "")):
            with self.assertRaises(patch.Native):
                applied(diff(SOURCE, after), after)

    def test_there_in_part(self) -> None:
        one = SOURCE.replace("line 7\n", "LINE 7\n")
        text = diff(SOURCE, one.replace("line 40\n", "LINE 40\n"))
        with self.assertRaisesRegex(patch.DoesNotApply, "1 of 2 hunks are in the source already"):
            applied(text, one)

    def test_what_is_refused_by_its_name(self) -> None:
        for path, why in (("fs/Kconfig", "configured"), ("fs/Makefile", "configured"), ("arch/x86/lib/copy.S", "assembly"),
                          ("arch/x86/kernel/vmlinux.lds.S", "configured")):
            with self.assertRaisesRegex(Refused, f"^{path} is changed: .*{why}"):
                applied(diff(SOURCE, SOURCE + "x\n", path), SOURCE, path)

    def test_what_else_a_kernel_is_made_of(self) -> None:
        """Left out, a system call's table would be without effect, and the rest of the patch measured."""
        for path in ("arch/x86/entry/syscalls/syscall_64.tbl", "arch/x86/lib/x86-opcode-map.txt", "arch/x86/Makefile.um"):
            text = diff(SOURCE, SOURCE + "more\n") + diff(SOURCE, SOURCE + "x\n", path)
            with self.assertRaisesRegex(Refused, f"^{path} is changed: neither a C source nor a header"):
                patch.apply(patch.parse(text, "x.patch"), lambda name: SOURCE)
        for path in (".gitignore", "fs/.gitignore", "fs/README", "fs/pond.rst"):
            text = diff(SOURCE, SOURCE + "more\n") + diff(SOURCE, SOURCE + "x\n", path)
            self.assertEqual(set(patch.apply(patch.parse(text, "x.patch"), lambda name: SOURCE)), {"fs/pond.c"})

    def test_documentation_is_no_code(self) -> None:
        with self.assertRaisesRegex(Refused, "changes nothing that a kernel is made of"):
            applied(diff(SOURCE, SOURCE + "x\n", "Documentation/pond.rst"), SOURCE)

    def test_a_new_header(self) -> None:
        text = diff("", "int pond;\n", "include/linux/pond.h").replace("--- a/include/linux/pond.h", "--- /dev/null")
        self.assertEqual(patch.apply(patch.parse(text, "x"), lambda name: None), {"include/linux/pond.h": "int pond;\n"})


class HeadersTest(unittest.TestCase):
    HEADER = ("#ifndef _POND_H\n#define _POND_H\n#define DEEP 3\n#define WIDE(x) \\\n\t((x) * 2)\n"
              "struct pond {\n\tint depth;\n};\n\nstatic inline int pond_look(struct pond *pond)\n{\n\treturn DEEP;\n}\n\n"
              "static inline int\npond_twice(struct pond *pond)\n{\n\treturn 2 * pond_look(pond);\n}\nextern int far(int x);\n#endif\n")

    def names(self, before: str, after: str) -> set[str]:
        return headers.changed_names(self.HEADER, self.HEADER.replace(before, after))

    def test_what_a_line_belongs_to(self) -> None:
        self.assertEqual(self.names("return DEEP", "return DEEP + 1"), {"pond_look"})
        self.assertEqual(self.names("return 2 *", "return 3 *"), {"pond_twice"})
        self.assertEqual(self.names("DEEP 3", "DEEP 4"), {"DEEP"})
        self.assertEqual(self.names("(x) * 2", "(x) * 3"), {"WIDE"})
        self.assertEqual(self.names("int depth;", "long depth;"), {"pond"})

    def test_a_blank_line_is_no_change(self) -> None:
        """In front of something new it would be taken for the end of what has no semicolon."""
        for before, after in (("#endif", "DEFINE_FREE(pond, void *, drain(_T))\n\n#endif"), ("{\n\treturn DEEP", "{\n\n\treturn DEEP")):
            old = self.HEADER.replace(before, after) if before == "#endif" else self.HEADER
            new = old.replace("#endif", "#define NEW 1\n\n#endif") if before == "#endif" else old.replace(before, after)
            self.assertEqual(headers.changed_names(old, new), {"NEW"} if before == "#endif" else set())

    def test_users_by_way_of_other_inlines(self) -> None:
        with tempfile.TemporaryDirectory() as temp:
            top = pathlib.Path(temp)
            for name, text in (("include/linux/pond.h", self.HEADER), ("fs/a.c", "int a(void) { return pond_twice(0); }\n"),
                               ("fs/b.c", "int b; /* DEEPER */\n"), ("fs/c.c", "int c = DEEP;\n")):
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (top / name).write_text(text)
            self.assertEqual(headers.users(top, {"pond_look"}), (["fs/a.c"], {"pond_look", "pond_twice"}))
            self.assertEqual(headers.users(top, {"DEEP"})[0], ["fs/a.c", "fs/c.c"])


class FunctionDiffTest(unittest.TestCase):
    OLD = ("#define MOST 3\n\nstatic int one(int x)\n{\n\treturn x;\n}\n\nint two(int x);\n\nint two(int x)\n{\n\treturn 2;\n}\n\n"
           "SYSCALL_DEFINE1(pond, int, x)\n{\n\treturn 1;\n}\n")

    def test_one_function_only(self) -> None:
        new = self.OLD.replace("return x;", "return x + 1;").replace("return 2;", "return 3;")
        self.assertEqual(functiondiff.changed(self.OLD, new, ["two"]), self.OLD.replace("return 2;", "return 3;"))

    def test_a_system_call(self) -> None:
        new = self.OLD.replace("return 1;", "return 5;")
        self.assertEqual(functiondiff.changed(self.OLD, new, ["pond"]), new)

    def test_new_ones_go_in_front(self) -> None:
        new = self.OLD.replace("static int one(int x)\n{\n\treturn x;", "static int zero(void)\n{\n\treturn 0;\n}\n\n"
                               "static int one(int x)\n{\n\treturn zero();")
        self.assertEqual(functiondiff.changed(self.OLD, new, ["zero", "one"]), new)

    def test_macros_and_structs(self) -> None:
        self.assertEqual(functiondiff.changed(self.OLD, self.OLD.replace("MOST 3", "MOST 4"), ["define MOST"]),
                         self.OLD.replace("MOST 3", "MOST 4"))

    def test_unknown_names(self) -> None:
        with self.assertRaisesRegex(ValueError, r"no function none\(\)"):
            functiondiff.changed(self.OLD, self.OLD, ["none"])


if __name__ == "__main__":
    unittest.main()
