"""Durations and percents: what is read, what is refused, and that writing reads back."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from controller.core.units import (
    DurationRange,
    clock_text,
    format_duration,
    format_percent,
    measured_text,
    number_text,
    parse_duration,
    parse_percent,
    quote_value,
)
from tests.support.cases import cases


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("10m", 600), ("1h", 3_600), ("24h", 86_400), ("2d", 172_800)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "5", 5, None, True, "5 m", "5min", "m5", "-5m", "1.5h", "1h30m", "5M", "\u0665m", "5m\n"],
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=re.escape(quote_value(text))):
        parse_duration(text)


@cases("seconds, text", {
    "nothing": (0, "0s"),
    "no whole minutes": (90, "90s"),
    "no whole hours": (5_400, "90m"),
    "a day reads as hours": (86_400, "24h"),
    "two days read as hours": (172_800, "48h"),
    "from three days on days": (259_200, "3d"),
})  # fmt: skip
def test_a_duration_is_written_in_its_largest_unit(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("text", "fraction"),
    [("0%", 0.0), ("5%", 0.05), ("5 %", 0.05), ("99.9%", 0.999), ("100%", 1.0), ("0.001%", 1e-5)],
)
def test_a_percent_is_a_fraction(text: str, fraction: float) -> None:
    assert parse_percent(text) == fraction


@pytest.mark.parametrize(
    "text", ["", "99.9", 99.9, 0.999, True, None, "-5%", "5%%", "5\n%", "%", ".5%", "5.%", "1e2%"]
)
def test_a_percent_without_its_sign_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=re.escape(quote_value(text))):
        parse_percent(text)


def test_a_percent_is_written_without_noise() -> None:
    assert [format_percent(one) for one in (0.999, 0.05, 1.0, 0.1 + 0.2)] == [
        "99.9%",
        "5%",
        "100%",
        "30%",
    ]


def test_a_range_includes_both_ends() -> None:
    hours = DurationRange("1h", "2h")
    assert [hours.read(text) for text in ("1h", "120m")] == [
        timedelta(hours=1),
        timedelta(hours=2),
    ]
    for outside in ("59m", "7201s"):
        with pytest.raises(ValueError, match=r"1h .* 2h"):
            hours.read(outside)


def test_texts_have_times_in_utc_and_numbers_in_groups() -> None:
    assert clock_text(datetime(2026, 11, 24, 14, 5, 59, tzinfo=UTC)) == "2026-11-24 14:05 UTC"
    assert [number_text(one) for one in (8_214, 412.5, 0.12345)] == ["8,214", "412.5", "0.1235"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.24567, "0.246"), (3.14159, "3.14"), (245.678, "245.7"), (-0.5, "-0.5"), (4_321.9, "4,322")],
)
def test_a_latency_in_seconds_has_as_many_digits_as_one_in_milliseconds(
    value: float, text: str
) -> None:
    assert measured_text(value) == text


@cases("value, text", {
    "null": (None, "nothing"),
    "as YAML says it": (True, "true"),
    "a mapping is not spelled out": ({"a": 1}, "a mapping"),
    "nor is a list": ([1, 2], "a list"),
    "one line": ("two\nlines", "'two\\nlines'"),
    "without the password of a URL": ("https://u:hunter2@x.com/", "'https://...@x.com/'"),
    "whatever is in it": ("https://u:a/b?c@d#e@x.com", "'https://...@x.com'"),
    "also where the value is cut": (f"//u:{'x' * 80}@x.com", "'//...@x.com'"),
    "cut": ("x" * 1_000, "'" + "x" * 59),
})  # fmt: skip
def test_a_message_quotes_a_value_in_a_few_words(value: object, text: str) -> None:
    assert quote_value(value) == text
