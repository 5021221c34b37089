"""Times and numbers of findings as text."""

from math import ceil

from controller.core.units import clock_text, format_percent, from_unix, number_text

# More digits than a policy can write, so that no bound is rounded to nothing.
MAX_DIGITS = 9
SHARE_DIGITS = 2  # decimals of a share, everywhere the same


def utc_text(second: float) -> str:
    """Return a unix second as text: `2026-11-24 12:00 UTC`."""
    return clock_text(from_unix(int(second)))


def time_range_text(start: float, end: float) -> str:
    """Return a range of unix seconds as text, within a day `2026-11-24 12:00 to 12:15 UTC`."""
    begin, until = utc_text(start), utc_text(end)
    day, clock, _ = begin.split(" ")
    if not until.startswith(day):
        return f"{begin} to {until}"
    return f"{day} {clock} to {until.removeprefix(f'{day} ')}"


def percent(value: float, bound: float, digits: int = SHARE_DIGITS) -> str:
    """Return `value` as a percent, with enough decimals to differ from `bound`.

    `bound` itself is written in full.
    """
    if value == bound:
        return format_percent(bound, MAX_DIGITS)
    text = format_percent(value, digits)
    same = text == format_percent(bound, digits)
    return percent(value, bound, digits + 1) if same and digits < MAX_DIGITS else text


def odds_limit(limit: float) -> int:
    """Return the likelihood ratio that rolls back as a whole number that is no less."""
    return ceil(round(limit, 6))  # 1 / a part of the budget, which is not exact


def number(value: float, bound: float) -> str:
    """Return `value` with enough digits to differ from `bound`; `bound` itself is in full."""
    text = number_text(value)
    rounded = not (float(value).is_integer() or float(f"{value:.4g}") == value)
    blurred = rounded if value == bound else text == number_text(bound)
    return f"{value:.{MAX_DIGITS}g}" if blurred else text
