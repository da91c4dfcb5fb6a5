# SPDX-License-Identifier: GPL-2.0-only
"""What a document is made of, and each of these as text, as Markdown, and as HTML: one file, no script, nothing from
elsewhere."""

import dataclasses
import html
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence

from . import stats, style

WIDTH = 79

# A figure, with its interval; or what a gain is in a matrix.
_FIGURE = re.compile(r"-?[\d,.]+( \[.*\]|%( MORE)?)?")
_WORDS = ("applicable", "unsupported", "unknown", "passed", "FAILED", "ERROR", "PROBLEM", "MORE", "HARMFUL")


def _wrap(text: str, first: str = "", later: str | None = None) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=first if later is None else later,
                         break_long_words=False, break_on_hyphens=False) or [first.rstrip()]


def _escape(value: str) -> str:
    """For Markdown."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", value)


def _class(cell: str) -> str:
    """The class of HTML that a cell's words have."""
    for word in _WORDS:
        if re.search(rf"\b{word}\b", cell):
            return word
    if stats.NONE in cell:
        return "none"
    return "less" if re.search(r"% (fewer|less)|% \(95%", cell) else ""


class Block:
    """A part of a document: lines of text and of Markdown, and HTML."""

    def text(self, wide: int) -> list[str]:
        """Lines of text; tables may be `wide`."""
        raise NotImplementedError

    def markdown(self) -> list[str]:
        """Lines of Markdown."""
        raise NotImplementedError

    def html(self) -> str:
        """HTML."""
        raise NotImplementedError


@dataclasses.dataclass
class Title(Block):
    """The document's title."""
    words: str

    def text(self, wide: int) -> list[str]:
        return [*_wrap(self.words), ""]

    def markdown(self) -> list[str]:
        return [f"# {_escape(self.words)}"]

    def html(self) -> str:
        return f"<h1>{html.escape(self.words)}</h1>"


@dataclasses.dataclass
class Head(Block):
    """The title of a section."""
    words: str

    def text(self, wide: int) -> list[str]:
        return ["", *_wrap(self.words), "-" * min(len(self.words), WIDTH)]

    def markdown(self) -> list[str]:
        return [f"## {_escape(self.words)}"]

    def html(self) -> str:
        return f"<h2>{html.escape(self.words)}</h2>"


@dataclasses.dataclass
class Text(Block):
    """A paragraph."""
    words: str

    def text(self, wide: int) -> list[str]:
        return [*_wrap(self.words), ""]

    def markdown(self) -> list[str]:
        return [_escape(self.words)]

    def html(self) -> str:
        kind = _class(self.words) if re.match("PROBLEM|FAILED", self.words) else ""
        return f'<p class="{kind}">{html.escape(self.words)}</p>'


@dataclasses.dataclass
class Facts(Block):
    """Names with their values; a name that comes again is not repeated."""
    rows: Sequence[tuple[str, str]]

    def new(self) -> Iterable[tuple[str, str, bool]]:
        """The rows, and whether each has another name than the one before."""
        before = None
        for name, value in self.rows:
            yield name, value, name != before
            before = name

    def text(self, wide: int) -> list[str]:
        width = max(len(name) for name, _ in self.rows) + 1
        lines = []
        for name, value, new in self.new():
            label = f"{name}:" if new else ""
            lines += _wrap(value, f"{label:{width}} ", " " * (width + 1))
        return [*lines, ""]

    def markdown(self) -> list[str]:
        return [f"- **{_escape(name)}**: {_escape(value)}" for name, value in self.rows]

    def html(self) -> str:
        rows = []
        for name, value, new in self.new():
            kind = _class(value.partition(" ")[0].rstrip(":")) if name in ("Verdict", "Tests") else ""
            rows.append(f"<dt>{html.escape(name) if new else ''}</dt><dd class=\"{kind}\">{html.escape(value)}</dd>")
        return f"<dl>{''.join(rows)}</dl>"


@dataclasses.dataclass
class Items(Block):
    """A list."""
    items: Sequence[str]

    def text(self, wide: int) -> list[str]:
        return [line for item in self.items for line in _wrap(item, "- ", "  ")] + [""]

    def markdown(self) -> list[str]:
        return [f"- {_escape(item)}" for item in self.items]

    def html(self) -> str:
        return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in self.items) + "</ul>"


@dataclasses.dataclass
class Table(Block):
    """A table. Columns of figures stand to the right."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def _numeric(self) -> list[bool]:
        """Which columns hold figures."""
        def figures(column: int) -> bool:
            cells = [row[column] for row in self.rows]
            return all(_FIGURE.fullmatch(cell) or cell in ("-", "none", "unclear") for cell in cells) and any(
                _FIGURE.fullmatch(cell) for cell in cells)
        return [column > 0 and figures(column) for column in range(len(self.head))]

    def text(self, wide: int) -> list[str]:
        widths = [max(len(row[column]) for row in (self.head, *self.rows)) for column in range(len(self.head))]
        if sum(widths) + 2 * (len(widths) - 1) > wide:
            return [*self._turned(), ""]
        lines = []
        for row in ([self.head] if any(self.head[1:]) else []) + list(self.rows):
            lines.append("  ".join(cell.rjust(width) if to_right else cell.ljust(width)
                                   for cell, width, to_right in zip(row, widths, self._numeric())).rstrip())
        return [*lines, ""]

    def _turned(self) -> Iterable[str]:
        """A line per cell."""
        width = max(len(name) for name in self.head[1:])
        if any(self.head[1:]):
            yield f"{self.head[0]}:"
        for row in self.rows:
            yield f"{row[0]}"
            for name, cell in zip(self.head[1:], row[1:]):
                if cell:
                    yield from _wrap(cell, f"    {name:{width}} " if width else "    ", " " * (5 + width))

    def markdown(self) -> list[str]:
        lines = [[_escape(cell) for cell in row] for row in (self.head, *self.rows)]
        lines.insert(1, ["---:" if to_right else "---" for to_right in self._numeric()])
        for cells in lines:
            # what belongs to the row above it
            cells[0] = re.sub("^ +", lambda found: "&nbsp;" * len(found[0]), cells[0])
        return ["| " + " | ".join(cells) + " |" for cells in lines]

    def html(self) -> str:
        numeric = self._numeric()
        head = "".join(f"<th{' class=n' if to_right else ''}>{html.escape(cell)}</th>"
                       for cell, to_right in zip(self.head, numeric))
        body = "".join("<tr>" + "".join(map(self._cell, row, numeric)) + "</tr>" for row in self.rows)
        return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'

    @staticmethod
    def _cell(cell: str, to_right: bool) -> str:
        kind = "n" if to_right else "of" if cell.startswith(" ") else _class(cell)
        return f'<td class="{kind}">{html.escape(cell)}</td>'


@dataclasses.dataclass
class Code(Block):
    """A file, as it is."""
    name: str
    code: str

    def text(self, wide: int) -> list[str]:
        return [f"{self.name}:", *(f"    {line}".rstrip() for line in self.code.splitlines()), ""]

    def markdown(self) -> list[str]:
        return [f"`{self.name}`:", "", "```", *self.code.rstrip("\n").splitlines(), "```"]

    def html(self) -> str:
        return f"<p><code>{html.escape(self.name)}</code></p><pre>{html.escape(self.code)}</pre>"


@dataclasses.dataclass
class Decided:
    """What to do about a change: a sentence, and its parts by what they answer, which a page shows instead."""
    kind: str
    name: str
    title: str
    sentence: str
    parts: Sequence[tuple[str, str]]


@dataclasses.dataclass
class Decisions(Block):
    """What to do, for each change."""
    rows: Sequence[Decided]

    def text(self, wide: int) -> list[str]:
        return [line for row in self.rows for line in _wrap(f"{row.name} ({row.title}): {row.sentence}", "- ", "  ")] + [""]

    def markdown(self) -> list[str]:
        return [f"- **{_escape(row.name)}** ({_escape(row.title)}): {_escape(row.sentence)}" for row in self.rows]

    def html(self) -> str:
        return '<ul class="decisions">' + "".join(map(self._row, self.rows)) + "</ul>"

    @staticmethod
    def _row(row: Decided) -> str:
        parts = "".join(f"<dt>{html.escape(name) if new else ''}</dt><dd>{html.escape(words)}</dd>"
                        for name, words, new in Facts(row.parts).new())
        return (f'<li class="{row.kind.split()[0]}"><b>{html.escape(row.name)}</b> '
                f"<strong>{html.escape(row.kind[0].upper() + row.kind[1:])}</strong> <span>{html.escape(row.title)}</span>"
                f"<dl>{parts}</dl></li>")


@dataclasses.dataclass
class Fold(Block):
    """Detail: in HTML folded below its title, elsewhere in its place."""
    title: str
    blocks: Sequence[Block]

    def text(self, wide: int) -> list[str]:
        return [line for block in self.blocks for line in block.text(wide)]

    def markdown(self) -> list[str]:
        return [line for block in self.blocks if (found := block.markdown()) for line in (*found, "")]

    def html(self) -> str:
        return (f"<details><summary>{html.escape(self.title)}</summary>" + "\n".join(block.html() for block in self.blocks)
                + "</details>")


@dataclasses.dataclass
class Bars(Block):
    """Bars, which only HTML has: (label, low, median, high, words, class), in per cent. What is exact has no interval."""
    caption: str
    rows: Sequence[tuple[str, float, float, float, str, str]]

    def text(self, wide: int) -> list[str]:
        return []

    def markdown(self) -> list[str]:
        return []

    def html(self) -> str:
        ends = [0.0, *(end for _, low, _, high, *_ in self.rows for end in (low, high))]
        low, span = min(ends), max(max(ends) - min(ends), 1e-9)

        def at(value: float) -> float:
            return 100 * (value - low) / span

        rows = "".join(self._row(row, at) for row in self.rows)
        return f'<figure class="bars"><figcaption>{html.escape(self.caption)}</figcaption>{rows}</figure>'

    @staticmethod
    def _row(row: tuple[str, float, float, float, str, str], at: Callable[[float], float]) -> str:
        label, low, median, high, words, kind = row
        left, right = sorted((at(0), at(median)))
        bar = f'<i class="{kind}" style="left:{left:.2f}%;width:{max(right - left, 0.4):.2f}%"></i>'
        if low != high:
            bar += f'<s style="left:{at(low):.2f}%;width:{max(at(high) - at(low), 0.4):.2f}%"></s>'
        return (f'<div class="label"><span>{html.escape(label)}</span><span class="{kind}">{html.escape(words)}</span></div>'
                f'<div class="track"><u style="left:{at(0):.2f}%"></u>{bar}</div>')


@dataclasses.dataclass
class Plot(Block):
    """A plot, which only HTML has."""
    svg: Callable[[], str]

    def text(self, wide: int) -> list[str]:
        return []

    def markdown(self) -> list[str]:
        return []

    def html(self) -> str:
        return f'<figure class="wide">{self.svg()}</figure>'


def text(blocks: Iterable[Block], wide: int = WIDTH) -> str:
    """A document as text, 79 columns wide; tables may be wider."""
    return "\n".join(line for block in blocks for line in block.text(wide)).rstrip() + "\n"


def markdown(blocks: Iterable[Block]) -> str:
    """A document as Markdown."""
    lines = [line for block in blocks if (found := block.markdown()) for line in (*found, "")]
    return "\n".join(lines).rstrip() + "\n"


def page(blocks: Iterable[Block]) -> str:
    """A document as one HTML file."""
    blocks = list(blocks)
    title = next((block.words for block in blocks if isinstance(block, Title)), "")
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">' f"<title>{html.escape(title)}</title>"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{style.SHEET}</style></head>\n<body>\n" + "\n".join(block.html() for block in blocks)
            + "\n</body></html>\n")
