"""Figures as the sentences of a finding show them: moments, stretches, values by a bound."""

from controller.core.units import at, clock_text, format_percent, number_text

_DIGITS = 9


def moment(second: int) -> str:
    """Return a unix second as a person reads it: `2026-11-24 12:00 UTC`."""
    return clock_text(at(second))


def stretch(start: int, end: int) -> str:
    """Return a stretch of time, within a day as `2026-11-24 12:00 to 12:15 UTC`."""
    begin, until = moment(start), moment(end)
    day = begin[: len("2026-11-24 ")]
    if not until.startswith(day):
        return f"{begin} to {until}"
    return f"{begin.removesuffix(' UTC')} to {until.removeprefix(day)}"


def percent(value: float, bound: float, digits: int) -> str:
    """Return `value` with decimals enough to tell it from `bound`, and `bound` itself in full."""
    if value == bound:
        return format_percent(bound, _DIGITS)
    text = format_percent(value, digits)
    same = text == format_percent(bound, digits)
    return percent(value, bound, digits + 1) if same and digits < _DIGITS else text


def number(value: float, bound: float) -> str:
    """Return `value` with digits enough to tell it from `bound`, and `bound` itself in full."""
    text = number_text(value)
    rounded = not (float(value).is_integer() or float(f"{value:.4g}") == value)
    blurred = rounded if value == bound else text == number_text(bound)
    return f"{value:.{_DIGITS}g}" if blurred else text
