"""The page of a verb: paragraphs and tables, laid out as lines for a pipe or for a terminal.

In a pipe each paragraph and each row is one line, whatever its length: programs read it. On a
terminal lines end at words. A word is never broken, nor is a number, a time, or a value and its
unit; one that is wider than the terminal has a line of its own.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from controller.immutable import Immutable
from controller.safe_text import printable, width_of

# Where a line may end: at spaces that are not inside a number (`8 214`), a value with its unit
# (`10%`, `≤ 500 ms`), a length (`1d 2h 15m`) or a time (`2026-11-24 14:05 UTC`), and not before an
# option, nor between `rolloutctl` and its verb.
_BREAK: Final = re.compile(
    r"(?<![0-9≤≥±×<>])(?<!rolloutctl) +(?![0-9]{1,2}[hm]\b|--[a-z])"
    r"|(?<=[0-9]) +(?![0-9]{3}(?![0-9])|%|ms\b|s\b|x\b|[0-9]{2}:[0-9]{2}|UTC)"
)
_GAP: Final = 2  # spaces between columns
_NO_VALUE: Final = "–"  # a cell that a paragraph leaves out
_LAST_COLUMN: Final = 24  # a last column of sentences is this wide at least
_MIN_WIDTH: Final = 20  # a narrower terminal is laid out as if it had these columns


class Tone(StrEnum):
    """What a text means; a terminal shows it as a colour or a weight, beside the words."""

    PLAIN = ""
    TITLE = "title"
    ACTIVE = "active"
    QUIET = "quiet"
    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"


class TextSpan(NamedTuple):
    """A text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


class Paragraph(Immutable):
    """One line of a pipe. indent, hang: spaces before the first line, and before those after it.

    verbatim: never wrapped, such as a line of a template.
    """

    spans: Sequence[TextSpan]
    indent: int = 0
    hang: int = 2
    verbatim: bool = False


class PageTable(Immutable):
    """Rows with aligned columns. right: the columns that end on the right.

    titles: the first row; empty for a table without one. Where the columns do not fit, a row
    becomes a paragraph with the titles in it. least: the smallest widths of the first columns, so
    that tables that are printed one by one are aligned.
    """

    rows: Sequence[Sequence[str | TextSpan]]
    titles: Sequence[str] = ()
    right: Collection[int] = ()
    indent: int = 0
    least: Sequence[int] = ()


Block: TypeAlias = Paragraph | PageTable
Page: TypeAlias = Sequence[Block]
Line: TypeAlias = list[TextSpan]


def paragraph(
    text: str, tone: Tone = Tone.PLAIN, *, indent: int = 0, hang: int | None = None
) -> Paragraph:
    """Return `text` as a paragraph; its further lines are indented by two more, or by `hang`."""
    return Paragraph([TextSpan(text, tone)], indent, indent + 2 if hang is None else hang)


def lines_page(lines: Iterable[str]) -> Page:
    """Return each of `lines` as a paragraph, indented as the line is."""
    texts = [(line, line.lstrip(" ")) for line in lines]
    return [paragraph(text, indent=len(line) - len(text)) for line, text in texts]


EMPTY_LINE: Final = paragraph("")


def plain_text(page: Page) -> str:
    """Return `page` as the lines of a pipe, each of them printable."""
    return "\n".join(map(line_text, layout(page)))


def line_text(line: Iterable[TextSpan]) -> str:
    """Return the characters of a line."""
    return "".join(span.text for span in line)


def layout(page: Page, width: int | None = None) -> list[Line]:
    """Return the lines of `page`, at most `width` columns wide where words allow it.

    width: None for a pipe, where nothing is wrapped.
    """
    columns = None if width is None else max(width, _MIN_WIDTH)
    return [line for block in page for line in _block_lines(block, columns)]


def _block_lines(block: Block, width: int | None) -> list[Line]:
    if isinstance(block, PageTable):
        return _table_lines(block, width)
    spans = [TextSpan(printable(span.text), span.tone) for span in block.spans]
    if width is None or block.verbatim:
        return [_stripped([TextSpan(" " * block.indent), *spans])]
    first = width - block.indent
    lines = list(_wrap(spans, first, width - block.hang))
    indents = [block.indent, *[block.hang] * (len(lines) - 1)]
    return [
        _stripped([TextSpan(" " * indent), *line])
        for indent, line in zip(indents, lines, strict=True)
    ]


def _wrap(spans: Sequence[TextSpan], first: int, width: int) -> Iterator[Line]:
    """Yield `spans` in lines: the first has `first` columns, each further one `width`."""
    line, used, room = list[TextSpan](), 0, first
    for gap, chunk in _chunks(spans):
        columns = sum(width_of(span.text) for span in chunk)
        if line and used + gap + columns > room:
            yield line
            line, used, room, gap = [], 0, width, 0
        line += [TextSpan(" " * gap, chunk[0].tone if chunk else Tone.PLAIN), *chunk]
        used += gap + columns
    yield line


def _chunks(spans: Sequence[TextSpan]) -> Iterator[tuple[int, Line]]:
    """Yield what stays together, with the number of spaces before it."""
    text, start, gap = line_text(spans), 0, 0
    for match in _BREAK.finditer(text):
        if match.start() > start:
            yield gap, _cut(spans, start, match.start())
            gap = 0
        gap, start = gap + match.end() - match.start(), match.end()
    yield gap, _cut(spans, start, len(text))


def _cut(spans: Sequence[TextSpan], start: int, end: int) -> Line:
    """Return the characters from `start` to `end` of `spans`, with their tones."""
    cut, begin = list[TextSpan](), 0
    for span in spans:
        part = span.text[max(0, start - begin) : max(0, end - begin)]
        if part:
            cut.append(TextSpan(part, span.tone))
        begin += len(span.text)
    return cut


def _stripped(line: Line) -> Line:
    """Return `line` without spaces at its end, and without empty spans."""
    while line and not line[-1].text.rstrip(" "):
        line = line[:-1]
    if line:
        line = [*line[:-1], TextSpan(line[-1].text.rstrip(" "), line[-1].tone)]
    return [span for span in line if span.text]


# --- Tables -------------------------------------------------------------------------------------


def _table_lines(table: PageTable, width: int | None) -> list[Line]:
    titles = [[TextSpan(title, Tone.QUIET) for title in table.titles]] if table.titles else []
    rows = [*titles, *([_span(cell) for cell in row] for row in table.rows)]
    if not rows:
        return []
    least = [*table.least, *[0] * (len(rows[0]) - len(table.least))]
    widths = [
        max(width, *(width_of(cell.text) for cell in column))
        for width, column in zip(least, zip(*rows, strict=True), strict=True)
    ]
    if width is not None:
        room, is_labelled = width - table.indent, not table.titles
        fitted = _fit(widths, rows, least, room, is_labelled=is_labelled)
        if fitted is None:
            return _stacked_lines(table, rows[len(titles) :], width)
        widths = fitted
    return [line for row in rows for line in _row_lines(row, widths, table)]


def _span(cell: str | TextSpan) -> TextSpan:
    span = TextSpan(cell) if isinstance(cell, str) else cell
    return TextSpan(printable(span.text), span.tone)


def _fit(
    widths: Sequence[int],
    rows: Sequence[Line],
    least: Sequence[int],
    room: int,
    *,
    is_labelled: bool,
) -> list[int] | None:
    """Return widths of columns that fit into `room`; None where some word is too long for that.

    Of the columns that can be narrower, the one is chosen that adds the fewest lines. is_labelled:
    it is the last one, while it has room, because the others are its labels.
    """
    columns = list(zip(*rows, strict=True))
    smallest = [
        max(width, *map(_widest_chunk, column))
        for width, column in zip(least, columns, strict=True)
    ]
    smallest[-1] = min(smallest[-1], _LAST_COLUMN)
    fitted = list(widths)
    while sum(fitted) + _GAP * (len(fitted) - 1) > room:
        wide = [index for index, width in enumerate(fitted) if width > smallest[index]]
        if not wide:
            return None
        if is_labelled and fitted[-1] > smallest[-1]:
            wide = wide[-1:]
        choices = [
            [*fitted[:index], _narrower(columns[index], fitted[index]), *fitted[index + 1 :]]
            for index in wide
        ]
        fitted = min(choices, key=lambda choice: (_height(rows, choice), -sum(choice)))
    return fitted


def _widest_chunk(cell: TextSpan) -> int:
    return max(width_of(line_text(chunk)) for _, chunk in _chunks([cell]))


def _narrower(column: Iterable[TextSpan], width: int) -> int:
    """Return the next width below `width` at which the cells of a column end at other words."""
    lines = (line_text(line) for cell in column for line in _wrap([cell], width - 1, width - 1))
    return min(width - 1, max(map(width_of, lines)))


def _height(rows: Sequence[Line], widths: Sequence[int]) -> int:
    """Return the number of lines of a table whose columns have these widths."""
    return sum(
        max(len(list(_wrap([cell], width, width))) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _row_lines(row: Line, widths: Sequence[int], table: PageTable) -> Iterator[Line]:
    """Yield the lines of a row; a cell that is too long for its column continues below it."""
    cells = [list(_wrap([span], width, width)) for span, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        line = [TextSpan(" " * table.indent)]
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            spans = cell[number] if number < len(cell) else []
            space = TextSpan(" " * max(0, width - width_of(line_text(spans))))
            line += [space, *spans] if column in table.right else [*spans, space]
            line.append(TextSpan(" " * _GAP))
        yield _stripped(line)


def _stacked_lines(table: PageTable, rows: Sequence[Line], width: int) -> list[Line]:
    """Return the rows as paragraphs: the first cells, and the others below with their titles."""
    titles = table.titles or [""] * len(rows[0])
    heads = 1 if titles[0] else 2
    lines = list[Line]()
    for row in rows:
        cells = [TextSpan(cell.text.strip(), cell.tone) for cell in row]
        head = [span for cell in cells[:heads] if cell.text for span in (cell, TextSpan(" "))]
        lines += _block_lines(Paragraph(head, table.indent, table.indent + 2), width)
        rest = [
            f"{title} {cell.text}".strip()
            for title, cell in zip(titles[heads:], cells[heads:], strict=True)
            if cell.text.strip(_NO_VALUE)
        ]
        indent = table.indent + 4
        for text in _packed(rest, width - indent):
            lines += _block_lines(paragraph(text, indent=indent, hang=indent), width)
    return lines


def _packed(parts: Iterable[str], width: int) -> list[str]:
    """Return `parts` joined by semicolons, as many in a line as fit."""
    lines: list[str] = []
    for part in parts:
        if lines and width_of(lines[-1]) + width_of(part) + len("; ;") <= width:
            lines[-1] += f"; {part}"
        else:
            lines = [*(f"{line};" if line is lines[-1] else line for line in lines), part]
    return lines


_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_NO_POINT: Final = "·"  # missing data


def sparkline(points: Sequence[float | None]) -> str:
    """Return a character for each of `points`, scaled from the lowest to the highest of them.

    Equal points are all at the bottom: the height shows differences, not amounts.
    """
    known = [point for point in points if point is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def height(point: float) -> str:
        share = (point - low) / (high - low) if high > low else 0.0
        return _HEIGHTS[min(int(share * len(_HEIGHTS)), len(_HEIGHTS) - 1)]

    return "".join(_NO_POINT if point is None else height(point) for point in points)
