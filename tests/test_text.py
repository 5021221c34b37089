"""Printable text: which characters stay, which are escaped, and that no CI command remains."""

import json
import sys

import pytest

from controller.safe_text import (
    columns,
    escaped,
    first_unprintable,
    printable,
    printable_block,
    truncate,
)
from tests.support.hostile import HARMLESS_TEXTS, HOSTILE_TEXTS, unsafe_parts

ALL_CHARACTERS = "".join(map(chr, range(sys.maxunicode + 1)))


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_printable_text_has_no_effect_on_a_terminal(text: str) -> None:
    shown = printable(text)
    assert list(unsafe_parts(shown)) == []
    assert "pwned" in shown


@pytest.mark.parametrize(
    "text",
    [
        *(pytest.param(text, id=name) for name, text in HOSTILE_TEXTS.items()),
        pytest.param(ALL_CHARACTERS, marks=pytest.mark.deep, id="every character"),  # seconds
    ],
)
def test_printable_text_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == escaped(shown) == shown
    assert first_unprintable(shown) == ""


def test_no_character_of_unicode_has_an_effect_once_printable() -> None:
    assert list(unsafe_parts(printable(ALL_CHARACTERS))) == []


@pytest.mark.parametrize("text", HARMLESS_TEXTS)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert first_unprintable(text) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\r\nb\tc\nd", "a b c d", id="breaks and tabs are spaces"),
        pytest.param("\x1b[2J\x7f", r"\u001b[2J\u007f", id="controls are visible"),
        pytest.param("a\u202eb", r"a\u202eb", id="a change of text direction is visible"),
        pytest.param("\U000e0041", r"\udb40\udc41", id="beyond U+FFFF as JSON writes it"),
        pytest.param("::error::x", r"\u003a:error::x", id="a command"),
        pytest.param("  ::error::x", r"  \u003a:error::x", id="a command behind spaces"),
        pytest.param("a ::error::x", "a ::error::x", id="no command within a line"),
        pytest.param("a ##[error]x", r"a ##\u005berror]x", id="an old command"),
    ],
)
def test_an_escape_is_visible_and_short(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_a_string_of_json_stays_the_same_string(text: str) -> None:
    written = escaped(json.dumps(text, ensure_ascii=False))
    assert list(unsafe_parts(written)) == []
    assert json.loads(written) == text


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("\u115f", id="Hangul choseong filler"),
        pytest.param("\u1160", id="Hangul jungseong filler"),
        pytest.param("\u2800", id="Braille pattern blank"),
        pytest.param("\u3164", id="Hangul filler"),
        pytest.param("\uffa0", id="halfwidth Hangul filler"),
        pytest.param("\U00013441", id="Egyptian hieroglyph full blank"),  # since Unicode 15
        pytest.param("\U00013442", id="Egyptian hieroglyph half blank"),
        pytest.param("\U00016fe4", id="Khitan small script filler"),
        pytest.param("\U0001d159", id="musical symbol null notehead"),
    ],
)
def test_a_character_that_shows_nothing_is_not_printable(character: str) -> None:
    assert first_unprintable(f"a{character}b") == character
    assert printable(f"a{character}b") == f"a{json.dumps(character)[1:-1]}b"


def test_a_block_has_as_many_lines_as_it_was_given() -> None:
    assert printable_block(HOSTILE_TEXTS.values()).count("\n") == len(HOSTILE_TEXTS) - 1


@pytest.mark.parametrize(
    ("line", "columns", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("日本語", 6, "日本語"),
        ("日本語x", 6, "日本…"),
        ("e\u0301tude", 5, "e\u0301tude"),
        ("", 3, ""),
    ],
)
def test_a_row_is_cut_where_a_terminal_ends(line: str, columns: int, shown: str) -> None:
    assert truncate(line, columns) == shown


def test_columns_are_as_wide_as_their_widest_cell_and_end_no_line_with_spaces() -> None:
    rows = [("", "value", "since"), ("errors", "12", "noon"), ("latency", "1,412", "")]
    assert columns(rows, right={1}) == [
        "         value  since",
        "errors      12  noon",
        "latency  1,412",
    ]
    assert columns([]) == []
