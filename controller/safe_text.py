"""Makes text from outside printable, and sets text in columns.

Control characters and CI commands become visible escapes. Such text comes from policy files,
options, AWS, log events, hooks and stores; a terminal, a page or a CI runner would obey it
otherwise.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from typing import Final

_BREAKS: Final = re.compile("\r\n|[\t-\r\x85\u2028\u2029]")
# `str.isprintable` refuses every space but U+0020; these have a width and no other effect.
_SPACES: Final = frozenset("\xa0\u1680\u202f\u205f\u3000") | {
    chr(one) for one in range(0x2000, 0x200B)
}
# Letters, marks and signs for Python, but invisible on a screen: Unicode's
# Default_Ignorable_Code_Point, and the blanks of some scripts. U+FE0F stays: keyboards add it to
# many emoji.
_IGNORABLE: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
_BLANKS: Final = "\u2800\U00013441\U00013442\U00016fe4\U0001d159"
_INVISIBLE: Final = frozenset(_IGNORABLE + _BLANKS) | {
    chr(one) for one in (*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0))
}
# A command for a GitHub Actions runner: `::name::` at the start of a line, `##[name]` anywhere. The
# runner compares text linguistically, so it ignores a U+FE0F in between.
_WORKFLOW_COMMAND: Final = re.compile(
    "(?P<start>^[\\s\ufe0f]*):(?=\ufe0f*:)|(?P<hashes>#\ufe0f*#\ufe0f*)\\["
)


def printable(text: str) -> str:
    """Return `text` as one printable line; a line that is printable already stays as it is.

    A line break or a tab becomes a space. A control character, a character without a width, one
    that changes the text direction, a lone surrogate, and one that is private or unassigned becomes
    a JSON escape: `\\u001b`. So does a character that would start a GitHub Actions command.
    """
    if text.isascii() and text.isprintable() and not _may_hold_command(text):
        return text
    return escaped(_BREAKS.sub(" ", text))


def escaped(text: str) -> str:
    """Return `text` as `printable` does, with its line breaks written as escapes, too.

    JSON text keeps its meaning: its strings stay the same strings.
    """
    return _without_command(_visible(text, set(text)))


def escaped_lines(text: str) -> str:
    """Return `text` with each of its lines `escaped`; its line breaks stay."""
    text = _visible(text, set(text) - {"\n"})
    if not _may_hold_command(text):
        return text
    return "\n".join(map(_without_command, text.split("\n")))


def _visible(text: str, characters: Iterable[str]) -> str:
    """Return `text` with escapes for those of its `characters` that are not printable."""
    escapes = {ord(one): _escape(one) for one in characters if not is_printable(one)}
    return text.translate(escapes) if escapes else text


def _without_command(line: str) -> str:
    return _WORKFLOW_COMMAND.sub(_break_command, line) if _may_hold_command(line) else line


def printable_block(lines: Iterable[str]) -> str:
    """Return `lines` joined by line breaks, each made `printable`."""
    return "\n".join(map(printable, lines))


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return `rows` as lines with aligned columns. right: the columns that end on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def width_of(line: str) -> int:
    """Return how many columns of a terminal the printable `line` takes."""
    return len(line) if line.isascii() else sum(map(_character_width, line))


def truncate(line: str, columns: int) -> str:
    """Return the printable `line` in at most `columns` of a terminal, with an ellipsis if cut."""
    if width_of(line) <= columns:
        return line
    ends = accumulate(map(_character_width, line))  # the column behind each character
    return line[: sum(end < columns for end in ends)] + "…"


def _character_width(character: str) -> int:
    if character.isascii():
        return 1
    from unicodedata import combining, east_asian_width  # for other alphabets alone

    return 2 if east_asian_width(character) in "WF" else int(not combining(character))


def is_printable(character: str) -> bool:
    """Tell whether a terminal shows `character`, or it is a space."""
    return character in _SPACES if not character.isprintable() else character not in _INVISIBLE


def first_unprintable(text: str) -> str:
    """Return the first character of `text` that is not printable; empty where all are."""
    if text.isascii() and text.isprintable():
        return ""
    return next((one for one in text if not is_printable(one)), "")


def has_workflow_command(text: str) -> bool:
    """Tell whether GitHub Actions would run a command in the line `text`."""
    return _WORKFLOW_COMMAND.search(text) is not None


def _may_hold_command(text: str) -> bool:
    return "::" in text or "##[" in text or "\ufe0f" in text


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _break_command(match: re.Match[str]) -> str:
    if match["hashes"] is not None:
        return f"{match['hashes']}\\u005b"
    return f"{match['start']}\\u003a"
