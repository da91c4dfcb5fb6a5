# SPDX-License-Identifier: GPL-2.0-only
"""Random structs in C, and the truth about them by brute force: fill, write, copy, compare, as the compiler has them.

Nothing here knows BTF, or how the checker comes to its word.
"""

import dataclasses
import pathlib
import random
import subprocess

MOST_LEAVES = 150		# of a type, arrays taken apart

PRELUDE = """
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "layout.h"
typedef unsigned char u8; typedef signed char s8; typedef unsigned short u16; typedef short s16;
typedef unsigned int u32; typedef int s32; typedef unsigned long long u64; typedef long long s64;
typedef u16 __be16; typedef u32 __be32; typedef u64 __be64; typedef u16 __le16; typedef u32 __le32; typedef u64 __le64;
enum few { FEW_A, FEW_B = 5, FEW_C = 6 };
enum minus { MINUS_A = -2, MINUS_B, MINUS_C = 1 };
enum wide { WIDE_A, WIDE_B = 0x100000000ULL };
enum tiny { TINY_A, TINY_B, TINY_C, TINY_D } __attribute__((packed));
enum all { %s } __attribute__((packed));
static unsigned char pattern[1 << 16];
static unsigned seed = 1;
static void fill(void *to, size_t size, int round)
{
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		((u8 *)to)[i] = round < 256 ? round : seed >> 16;
	}
}
""" % ", ".join(f"ALL_{value}" for value in range(256))

ROUNDS = 300

# type -> the values it has, as an expression on v; "" for all; the byte order of one that is wider than a byte
SCALARS = {
    **{f"{sign}{bits}": ("", "" if bits == 8 else "native") for sign in "us" for bits in (8, 16, 32, 64)},
    "char": ("", ""), "float": ("", "native"), "double": ("", "native"), "unsigned long": ("", "native"),
    "_Bool": ("b", ""),
    "enum few": ("v == FEW_A || v == FEW_B || v == FEW_C", "native"),
    "enum minus": ("v == MINUS_A || v == MINUS_B || v == MINUS_C", "native"),
    "enum wide": ("v == WIDE_A || v == WIDE_B", "native"),
    "enum tiny": ("v == TINY_A || v == TINY_B || v == TINY_C || v == TINY_D", ""),
    "enum all": ("", ""),
    "void *": ("!v", "native"), "int (*)(void)": ("!v", "native"),
    **{f"__{order}{bits}": ("", word) for order, word in (("be", "big"), ("le", "little")) for bits in (16, 32, 64)},
    **{f"struct layout_{order}{bits}": ("", word) for order, word in (("be", "big"), ("le", "little")) for bits in (16, 32, 64)},
}
# what a bit-field can be, and how wide
FIELDS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "s32": 32, "_Bool": 1, "enum few": 32, "enum minus": 32, "enum tiny": 8}
_INTEGERS = [name for name, (values, _) in SCALARS.items() if not values and "struct" not in name]
_OTHERS = [name for name in SCALARS if name not in _INTEGERS]


@dataclasses.dataclass
class Member:
    """A member: a scalar, a bit-field, an earlier type, or a struct or union without a name."""
    name: str
    type: str = ""			# of a scalar or a bit-field
    bits: int = 0
    dims: tuple[int, ...] = ()
    nested: "Type | None" = None	# an earlier type, or one without a name
    aligned: int = 0

    def text(self) -> str:
        """Its declaration."""
        array = "".join(f"[{dim}]" for dim in self.dims)
        attribute = f" __attribute__((aligned({self.aligned})))" if self.aligned else ""
        if self.nested is not None and not self.name:
            return f"{self.nested.body()}{attribute};"
        spelled = self.nested.tag if self.nested is not None else self.type
        if "(*)" in spelled:
            return f"{spelled.replace('(*)', f'(*{self.name}{array})')}{attribute};"
        return f"{spelled} {self.name}{array}{f':{self.bits}' if self.bits else ''}{attribute};"


@dataclasses.dataclass
class Type:
    """A struct or union."""
    tag: str				# "struct t12"; "struct" of one without a name
    members: list[Member]
    packed: bool = False
    aligned: int = 0

    @property
    def union(self) -> bool:
        """Is it one?"""
        return self.tag.startswith("union")

    def body(self) -> str:
        """Its definition."""
        attributes = ["packed"] * self.packed + [f"aligned({self.aligned})"] * bool(self.aligned)
        return (f"{self.tag} {{ {' '.join(member.text() for member in self.members)} }}"
                + (f" __attribute__(({', '.join(attributes)}))" if attributes else ""))

    def loosened(self) -> bool:
        """Is it, or something in it, declared packed or aligned, so that its members do not tell its alignment?"""
        return self.packed or any(member.nested is not None and member.nested.loosened() for member in self.members)

    def tightened(self) -> bool:
        """The same of aligned()."""
        return bool(self.aligned) or any(member.aligned or (member.nested is not None and member.nested.tightened())
                                         for member in self.members)

    def writes(self, path: str) -> list[list[tuple[str, Member]]]:
        """Ways to write it, by what is chosen of its unions: together they have every choice; each a list of its leaves."""
        ways = [self._of(member, path) for member in self.members if member.name or member.nested]
        ways = [way for way in ways if way and any(way)]
        if self.union:
            return [leaves for way in ways for leaves in way] or [[]]
        return [[leaf for way in ways for leaf in way[index % len(way)]]
                for index in range(max((len(way) for way in ways), default=1))]

    @staticmethod
    def _of(member: Member, path: str) -> list[list[tuple[str, Member]]]:
        inner = f"{path}.{member.name}" if member.name else path
        paths = [inner]
        for dim in member.dims:
            paths = [f"{one}[{index}]" for one in paths for index in range(dim)]
        if member.nested is None:
            return [[(one, member) for one in paths]]
        each = [member.nested.writes(one) for one in paths]
        return [[leaf for way in each for leaf in way[index]] for index in range(len(each[0]) if each else 0)]

    def orders(self) -> set[str]:
        """Of its fields that are wider than a byte; a bit-field is nobody's order."""
        found: set[str] = set()
        for member in self.members:
            if member.nested is not None:
                found |= member.nested.orders()
            elif member.bits:
                found |= {"native"} if member.name else set()
            elif member.name and SCALARS[member.type][1]:
                found.add(SCALARS[member.type][1])
        return found

    # --- layout.h ---

    def listed(self) -> list[str] | None:
        """Its members as layout.h wants them; None where it has no words for one."""
        words = []
        for member in self.members:
            if not member.name:
                union = member.nested
                # nothing can be asked about a union without a name: not which alignment it was declared with
                pair = union.members if union and union.union and not (member.aligned or union.aligned) else []
                if len(pair) != 2 or any(one.nested or one.bits or one.aligned or not one.name for one in pair):
                    return None
                words.append(f"LAYOUT_EITHER({pair[0].name}, {pair[1].name})")
            elif member.dims and 0 in member.dims or len(member.dims) > 2:
                return None
            else:
                words.append(f"LAYOUT_TYPE({member.name}, {member.nested.tag})" if member.nested else member.name)
        return words


class Generator:
    """Makes types that build on each other."""

    def __init__(self, seed: int, nameless: bool = True) -> None:
        """nameless: with bit-fields that have no name."""
        self._random, self._nameless = random.Random(seed), nameless
        self.types: list[Type] = []
        self._names = 0

    def _name(self) -> str:
        self._names += 1
        return f"m{self._names}"

    def make(self, count: int) -> list[Type]:
        """So many more."""
        while count:
            made = self._type(f"{self._random.choice(['struct'] * 5 + ['union'])} t{len(self.types)}", 0)
            ways = made.writes("x")
            if sum(map(len, ways)) <= MOST_LEAVES and any(ways):
                self.types.append(made)
                count -= 1
        return self.types

    def _type(self, tag: str, depth: int) -> Type:
        pick = self._random
        # half of them with integers alone: otherwise hardly one would be good
        plain = pick.random() < 0.5
        count = pick.choice((1, 2, 2, 3, 3, 4, 5, 7))
        members = [self._member(tag, plain, depth) for _ in range(count)]
        if all(not member.name and member.nested is None for member in members):
            members.append(Member(self._name(), "u8"))
        return Type(tag, members, packed=pick.random() < 0.2, aligned=pick.choice((2, 4, 16)) if pick.random() < 0.07 else 0)

    def _member(self, tag: str, plain: bool, depth: int) -> Member:
        pick, what = self._random, self._random.random()
        aligned = pick.choice((2, 4, 8)) if pick.random() < 0.04 else 0
        if what < 0.12 and self.types:
            return Member(self._name(), dims=self._dims(), nested=pick.choice(self.types[-40:]), aligned=aligned)
        if what < 0.22 and depth < 2:
            kind = pick.choice(("struct", "union"))
            return Member("", nested=self._type(kind, depth + 1), aligned=aligned)
        if what < 0.35 and not plain:
            return self._field(tag)
        return Member(self._name(), pick.choice(_INTEGERS if plain or pick.random() < 0.6 else _OTHERS), dims=self._dims(), aligned=aligned)

    def _field(self, tag: str) -> Member:
        pick = self._random
        kind = pick.choice(list(FIELDS))
        bits = pick.choice((FIELDS[kind], pick.randint(1, FIELDS[kind]), pick.randint(1, min(8, FIELDS[kind])), min(2, FIELDS[kind])))
        nameless = pick.random() < 0.15 and self._nameless and not tag.startswith("union") and "enum" not in kind
        return Member("" if nameless else self._name(), kind, bits=bits)

    def _dims(self) -> tuple[int, ...]:
        return self._random.choice(((),) * 6 + ((2,), (3,), (4,), (2, 3)))


def program(types: list[Type]) -> str:
    """A program that says of each type: "number size alignment from into", and "number.member offset size"."""
    lines = [PRELUDE]
    for number, made in enumerate(types):
        lines += [f"{made.body()};", *_judge(number, made)]
    lines += ["int main(void) {", *(f"\tjudge{number}();" for number in range(len(types))), "\treturn 0; }", ""]
    return "\n".join(lines)


def _judge(number: int, made: Type) -> list[str]:
    """Writes a type all ways over zeros and over ones: what differs then, no member has written."""
    lines = []
    ways = made.writes("(*x)")
    for index, leaves in enumerate(ways):
        lines += [f"static void write{number}_{index}(volatile {made.tag} *x) {{"] + [f"\t{_write(*leaf)}" for leaf in leaves] + ["}"]
    leaves = list({path: (path, member) for way in ways for path, member in way}.values())
    lines += [f"static int good{number}(volatile {made.tag} *x) {{", "\t(void)x;"] + [line for leaf in leaves for line in _good(*leaf)]
    lines += ["\treturn 1; }", f"static void judge{number}(void) {{", f"\tstatic {made.tag} one, two;", "\tint from = 1, into = 1;",
              f"\tfor (int round = 0; round < {ROUNDS}; round++) {{ fill(&one, sizeof(one), round); from &= good{number}(&one); }}"]
    for index in range(len(ways)):
        lines += [f"\tmemset(&one, 0, sizeof(one)); memset(&two, 255, sizeof(two)); write{number}_{index}(&one); "
                  f"write{number}_{index}(&two); into &= !memcmp(&one, &two, sizeof(one));"]
    lines += [f'\tprintf("{number} %zu %zu %d %d\\n", sizeof(one), __alignof__({made.tag}), from, into);']
    lines += [f'\tprintf("{number}.{member.name} %zu %zu\\n", offsetof({made.tag}, {member.name}), sizeof(one.{member.name}));'
              for member in made.members if member.name and not member.bits]
    return [*lines, "}"]


def _write(path: str, member: Member) -> str:
    if "struct layout_" in member.type:
        return f"for (unsigned i = 0; i < sizeof({path}); i++) {path}.byte[i] = i;"
    return f"{path} = ({member.type})1;" if "*" in member.type else f"{path} = 1;"


def _good(path: str, member: Member) -> list[str]:
    """Lines that return 0 where what a leaf holds is no value of its type."""
    values = SCALARS[member.type][0]
    if not values:
        return []
    if values == "b":
        # a compiler may take any bool for 0 or 1: its byte is looked at; a bit-field's bit is both
        return [] if member.bits else [f"\tif (*(volatile u8 *)&{path} > 1) return 0;"]
    return [f"\t{{ __typeof__({path if not member.bits else f'({member.type})0'}) v = {path}; if (!({values})) return 0; }}"]


@dataclasses.dataclass(frozen=True)
class Truth:
    """What brute force says of a type."""
    size: int
    align: int
    from_bytes: bool
    into_bytes: bool
    offsets: dict[str, tuple[int, int]]


def truths(binary: pathlib.Path, count: int) -> list[Truth]:
    """Runs a program()."""
    said = subprocess.run([binary], check=True, text=True, stdout=subprocess.PIPE).stdout
    found: dict[int, tuple[int, ...]] = {}
    offsets: dict[int, dict[str, tuple[int, int]]] = {number: {} for number in range(count)}
    for line in said.splitlines():
        what, *numbers = line.split()
        number, _, member = what.partition(".")
        if member:
            offsets[int(number)][member] = (int(numbers[0]), int(numbers[1]))
        else:
            found[int(number)] = tuple(map(int, numbers))
    return [Truth(found[number][0], found[number][1], bool(found[number][2]), bool(found[number][3]), offsets[number])
            for number in range(count)]


def build(types: list[Type], directory: pathlib.Path, compiler: list[str], include: pathlib.Path) -> pathlib.Path:
    """Compiles a program(); types are in debugging data of the object beside it, "types.o"."""
    (directory / "types.c").write_text(program(types))
    subprocess.run([*compiler, "-O0", "-w", "-Wno-packed-bitfield-compat", "-std=gnu11", f"-I{include}", "-c", "-o", directory / "types.o", directory / "types.c"],
                   check=True)
    subprocess.run([compiler[0], "-o", directory / "types", directory / "types.o"], check=True)
    return directory / "types"


# --- what layout.h says ---

def good(types: list[Type], rule: str, truth: list[Truth]) -> dict[str, bool]:
    """Which types layout.h has to let through: the truth, but no bit-field, and of what goes into bytes no pointer."""
    out: dict[str, bool] = {}
    for made, true in zip(types, truth):
        word = true.from_bytes if rule == "LAYOUT_FROM_BYTES" else true.into_bytes
        out[made.tag] = word and made.listed() is not None and all(_allowed(member, rule, out) for member in made.members)
    return out


def _allowed(member: Member, rule: str, known: dict[str, bool]) -> bool:
    if member.bits:
        return False
    if member.nested is not None and not member.name:
        return all(_allowed(one, rule, known) for one in member.nested.members)
    if member.nested is not None:
        return known[member.nested.tag]
    if rule == "LAYOUT_INTO_BYTES":
        return "*" not in member.type
    # the compiler does not tell which numbers an enum has
    return "enum" not in member.type


def declarations(types: list[Type], rule: str, let_through: dict[str, bool]) -> tuple[str, dict[int, Type]]:
    """A file that declares what is good, and tries the rule on each that is not; {line: type} of all that it has words for.

    gcc complains once of a name that is not declared: a type that is refused for such a nested one alone is tried once.
    """
    lines, where, tried = PRELUDE.splitlines(), {}, set()
    each = {"LAYOUT_FROM_BYTES": "__layout_from", "LAYOUT_INTO_BYTES": "__layout_into"}[rule]
    for made in types:
        lines.append(f"{made.body()};")
        listed, undeclared = made.listed(), {member.nested.tag for member in made.members
                                             if member.name and member.nested and not let_through[member.nested.tag]}
        if listed is None or undeclared & tried:
            continue
        tried |= undeclared
        members = ", ".join(listed)
        lines.append(f"{rule}({made.tag}, {members});" if let_through[made.tag] else f"__layout_each({each}, {made.tag}, {members})")
        where[len(lines)] = made
    return "\n".join(lines) + "\n", where
