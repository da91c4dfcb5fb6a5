# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts and differences as text: a struct is shown in C with offsets and sizes, as pahole shows it."""

from collections.abc import Iterator

from ..kernel.btf_types import Kind, Member
from .diff import Change, Diff, Field
from .judge import Fault, Judge, Verdict

MOST = 8		# faults that are told of one member
_TABS = 8


def line(verdict: Verdict, width: int) -> str:
    """A row of the table."""
    return (f"{verdict.name:{width}} {verdict.size:7}  {_yes(verdict.from_bytes):4}  {_yes(verdict.into_bytes):4}  "
            f"{verdict.unaligned:9}  {verdict.order}")


def heading(width: int) -> str:
    """What stands over the columns."""
    return f"{'':{width}} {'size':>7}  from  into  unaligned  order"


def _yes(word: bool) -> str:
    return "yes" if word else "no"


def struct(judge: Judge, index: int, verdict: Verdict) -> str:
    """A struct in C, what is wrong with a member behind it; and the word."""
    lines = [f"{verdict.name} {{"]
    lines += _body(judge, index, 0, 1, tuple(fault for fault in verdict.faults if fault.of != "order"))
    lines += [f"}};{'':{_TABS * 6 - 2}}/* size: {verdict.size} */", _word(verdict), *_orders(verdict)]
    return "\n".join(lines)


def _orders(verdict: Verdict) -> list[str]:
    """Which fields are of another byte order: beside a field it would be said of each pointer in the kernel's own structs."""
    found = [fault for fault in verdict.faults if fault.of == "order"]
    more = f"; and {len(found) - MOST} more (--json has all)" if len(found) > MOST else ""
    return [f"    {'; '.join(f'{fault.path}: {fault.text}' for fault in found[:MOST])}{more}"] if found else []


def _word(verdict: Verdict) -> str:
    unaligned = {"yes": "yes", "likely": "yes, if not declared __aligned, which BTF does not keep",
                 "unknown": "BTF does not tell: its members lie as with __packed or __aligned", "no": "no, if not declared __packed"}[verdict.unaligned]
    return (f"from bytes: {_yes(verdict.from_bytes)}; into bytes: {_yes(verdict.into_bytes)}; unaligned: {unaligned}; "
            f"byte order: {verdict.order}")


def _body(judge: Judge, index: int, base: int, depth: int, faults: tuple[Fault, ...]) -> Iterator[str]:
    """The members of a struct; those without a name are written out."""
    types = judge.types
    indent = "\t" * depth
    members = types.members(index)
    yield from (f"{indent}/* not {_OF[fault.of]}: {fault.text}{f', at {_at(fault.bit)}' if members == () else ''} */"
                for fault in faults if not fault.path and (not members or fault.rule == "unknown" and depth == 1))
    for member in members:
        inner = types.strip(member.type)[0]
        if not member.name and types.kind(inner) in (Kind.STRUCT, Kind.UNION):
            yield f"{indent}{'struct' if types.kind(inner) == Kind.STRUCT else 'union'} {{"
            yield from _body(judge, inner, base + member.bit, depth + 1, faults)
            yield _columns(f"{indent}}};", base + member.bit, 8 * types.size(inner), 0)
        else:
            colon = f":{member.bits}" if member.bits else ""
            yield _columns(f"{indent}{types.spell(member.type, member.name)}{colon};", base + member.bit,
                           member.bits or 8 * types.size(member.type), member.bits)
            yield from _member_lines(member, faults, base, types.size(member.type), indent)
        yield from _gap_lines(faults, member.name, members, base, indent)


def _columns(text: str, bit: int, bits: int, field: int) -> str:
    """Offset and size in pahole's columns."""
    width = len(text.expandtabs(_TABS))
    place = f"{bit // 8:6}{f':{bit % 8:2}' if field else '   '} {field if field else bits // 8:5}"
    return f"{text}{'':{max(1, 48 - width)}}/* {place} */"


def _member_lines(member: Member, faults: tuple[Fault, ...], base: int, size: int, indent: str) -> Iterator[str]:
    """What is wrong with a member, or inside of it."""
    start = base + member.bit
    inside = [fault for fault in faults if fault.rule not in ("hole", "tail", "union") or fault.path != member.name]
    inside = [fault for fault in inside if _head(fault.path) == member.name and start <= fault.bit < start + max(8 * size, member.bits, 1)]
    for fault in inside[:MOST]:
        where = fault.path if fault.path != member.name else ""
        yield f"{indent}/* not {_OF[fault.of]}: {f'{where} at {_at(fault.bit)}: ' if where else ''}{fault.text} */"
    if len(inside) > MOST:
        yield f"{indent}/* and {len(inside) - MOST} more in {member.name} (--json has all) */"


def _head(path: str) -> str:
    """The member that a path begins with."""
    return path.partition(".")[0].partition("[")[0]


def _gap_lines(faults: tuple[Fault, ...], name: str, members: tuple[Member, ...], base: int, indent: str) -> Iterator[str]:
    """Gaps behind a member."""
    for fault in faults:
        if fault.rule in ("hole", "tail", "union") and fault.path == name and name and _follows(fault, name, members, base):
            yield f"{indent}/* not into bytes: {fault.text}, at {_at(fault.bit)} */"


def _follows(fault: Fault, name: str, members: tuple[Member, ...], base: int) -> bool:
    return any(member.name == name and base + member.bit <= fault.bit for member in members)


def _at(bit: int) -> str:
    return f"{bit // 8}" if bit % 8 == 0 else f"{bit // 8}:{bit % 8}"


_OF = {"from": "from bytes", "into": "into bytes", "order": "of one byte order"}


def reasons(verdict: Verdict, wanted: tuple[str, ...]) -> Iterator[str]:
    """One line for each fault of the properties that are wanted."""
    for fault in verdict.faults:
        if fault.of in wanted:
            after = fault.rule in ("hole", "tail")
            where = f"{'after ' if after and fault.path else ''}{fault.path}" if fault.path else "in itself"
            yield f"{verdict.name}: not {_OF[fault.of]}: {where}, at {_at(fault.bit)}: {fault.text}"


def difference(change: Change, header: str) -> Iterator[str]:
    """A struct that changed, and which of its fields."""
    size = f"size {change.old_size} -> {change.new_size}" if change.resized else f"size {change.new_size}, as before"
    doubt = "  (one of several of that name)" if change.doubtful else ""
    yield f"{change.name}: {size}{f'  {header}' if header else ''}{doubt}"
    for old, new in change.fields:
        yield f"    {_field(old, new)}"


def _field(old: Field | None, new: Field | None) -> str:
    if old and new:
        return f"{new.name or '(no name)'}: {old.place()} -> {new.place()}"
    only = new or old
    return f"{'new ' if new else 'gone'} {only.name or '(no name)'}: {only.place()}  {only.type}" if only else ""


def summary(found: Diff) -> str:
    """The last line of a difference."""
    resized = sum(change.resized for change in found.changes)
    return (f"{len(found.changes)} changed ({resized} of them their size), {len(found.gone)} gone, {len(found.new)} new, "
            f"{found.same} as before")
