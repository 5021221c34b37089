"""Pages: stable lines in a pipe, and lines that end at words on a terminal."""

import pytest

from controller.render.page import (
    Page,
    PageTable,
    TextSpan,
    Tone,
    layout,
    line_text,
    lines_page,
    paragraph,
    plain_text,
)

NAME = "SlackBedrockStack-SlackEventHandler898FE80E-TJUkrbzJtXGK"
SENTENCE = (
    "SC-004 fails: 926 of 18,528 requests (5%) failed from 2026-11-24 10:28 UTC on, for "
    "1d 2h 05m, at most ≤ 0.1% allowed; latency was 512.4 ms"
)
WHOLE = ("18,528", "5%", "2026-11-24 10:28 UTC", "1d 2h 05m", "≤ 0.1%", "512.4 ms")
TITLES = ("", "criterion", "target", "samples", "evidence")
CRITERIA = PageTable(
    [
        (TextSpan("FAIL", Tone.BAD), "SC-004", "≥ 99.9%", "18,528", "regression detected"),
        (TextSpan("pass", Tone.GOOD), "p95-integration", "≤ 500 ms", "7", "no regression detected"),
    ],
    TITLES,
    right=(3,),
)


def drawn(page: Page, width: int) -> list[str]:
    """Return the lines of `page` on a terminal of `width` columns."""
    return [line_text(line) for line in layout(page, width)]


def test_in_a_pipe_a_paragraph_and_a_row_are_one_line_each() -> None:
    page: Page = [
        paragraph(SENTENCE, indent=2),
        PageTable([("because", SENTENCE), ("next", "50%")]),
    ]
    assert plain_text(page).split("\n") == [
        f"  {SENTENCE}",
        f"because  {SENTENCE}",
        "next     50%",
    ]


@pytest.mark.parametrize("width", [24, 40, 80, 120])
def test_on_a_terminal_no_word_no_number_and_no_value_is_broken(width: int) -> None:
    page: Page = [
        paragraph(SENTENCE),
        PageTable([("target", f"{NAME}: USE"), ("because", SENTENCE)]),
    ]
    lines = drawn(page, width)
    text = "\n".join(lines)
    assert [part for part in (*WHOLE, NAME) if part not in text] == []
    assert [line for line in lines if len(line) > width and NAME not in line] == []
    assert text.split() == plain_text(page).split()


def test_a_table_that_does_not_fit_becomes_a_paragraph_for_each_row() -> None:
    assert drawn([CRITERIA], 80) == [
        "      criterion        target    samples  evidence",
        "FAIL  SC-004           ≥ 99.9%    18,528  regression detected",
        "pass  p95-integration  ≤ 500 ms        7  no regression detected",
    ]
    assert drawn([CRITERIA], 40) == [
        "FAIL SC-004",
        "    target ≥ 99.9%; samples 18,528;",
        "    evidence regression detected",
        "pass p95-integration",
        "    target ≤ 500 ms; samples 7;",
        "    evidence no regression detected",
    ]


def test_text_from_outside_is_made_printable_before_it_is_measured() -> None:
    assert drawn(lines_page(["  a\x1b[2J b"]), 40) == ["  a\\u001b[2J b"]
