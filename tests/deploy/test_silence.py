"""How long ticks may stop until the stack pages, minute by minute, by AWS's table of alarms."""

from collections.abc import Iterable
from itertools import accumulate, repeat
from typing import Any, Final

import pytest

from tests.deploy.stack import DEPLOYMENT, README, resources, template
from tests.deploy.switch import states

PAGES: Final = README + DEPLOYMENT
EVERY: Final[dict[int, dict[str, Any]]] = {
    int(minutes): every for minutes, every in template()["Mappings"]["Every"].items()
}
MISSED: Final = range(5)
LATE_S: Final = 60  # a tick may end so much later after its start than the one before


def column(row: str) -> dict[int, str]:
    """Return a row of the tables of intervals, by the interval in minutes."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGES.splitlines()
        if line.startswith(("| a tick every", "| period of the alarm", "| pages so", "| missed"))
    ]
    by_name = {name: cells for name, *cells in rows if len(cells) == len(EVERY)}
    (title,) = [name for name in by_name if name.startswith(row)]
    intervals = [int(cell.removesuffix(" min")) for cell in by_name["a tick every"]]
    return dict(zip(intervals, by_name[title], strict=True))


def alarmed_at(ticks_s: Iterable[int], slot_s: int, until_s: int) -> list[int]:
    """Return the ends of the periods, in seconds, after which the switch is in ALARM."""
    ticked = {one // slot_s for one in ticks_s}
    sums = [1.0 if slot in ticked else None for slot in range(until_s // slot_s)]
    found = states(resources("AWS::CloudWatch::Alarm")["DeadMansSwitch"], sums)
    return [(slot + 1) * slot_s for slot, one in enumerate(found) if one == "ALARM"]


def first_alarm_s(interval: int, slot_s: int, phase_s: int) -> int:
    """Return how many seconds after the last of ten ticks the switch is in ALARM."""
    ticks = [phase_s + 60 * interval * one for one in range(10)]
    until_s = ticks[-1] + 7 * slot_s
    return min(at for at in alarmed_at(ticks, slot_s, until_s) if at > ticks[-1]) - ticks[-1]


@pytest.mark.parametrize("interval", EVERY)
def test_it_pages_as_long_after_the_last_tick_as_the_pages_say(interval: int) -> None:
    every = EVERY[interval]
    slot_s = every["Slot"]
    assert column("period of the alarm")[interval] == str(slot_s // 60)
    found = [first_alarm_s(interval, slot_s, phase) for phase in range(0, slot_s, 10)]
    at_once, in_all = (int(one) for one in column("pages so")[interval].split(" to "))
    assert 60 * at_once <= min(found) < max(found) <= 60 * in_all
    assert max(found) - min(found) >= slot_s - 10
    assert every["Silence"] == f"{at_once} to {in_all} minutes"


@pytest.mark.parametrize("interval", EVERY)
def test_it_does_not_page_for_as_many_missed_ticks_as_the_page_says(interval: int) -> None:
    slot_s, length_s = EVERY[interval]["Slot"], 60 * interval
    pages: dict[int, bool] = {}
    for missed in MISSED:
        gap_s = (missed + 1) * length_s + LATE_S
        pages[missed] = any(
            alarmed_at(_ticks(phase, length_s, gap_s), slot_s, phase + 9 * length_s + gap_s)
            for phase in range(5 * slot_s, 6 * slot_s, 10)
        )
    assert pages[max(MISSED)]
    never = max(missed for missed in MISSED if not any(pages[one] for one in range(missed + 1)))
    assert column("missed ticks")[interval] == str(never)


def _ticks(phase_s: int, length_s: int, gap_s: int) -> list[int]:
    """Return the ends of nine ticks: before the first, every period has one; in the middle, a gap.

    phase_s: of the first tick whose place among the periods matters.
    """
    before = range(0, phase_s, 60)
    return [
        *before,
        *accumulate([*repeat(length_s, 4), gap_s, *repeat(length_s, 3)], initial=phase_s),
    ]


@pytest.mark.parametrize("interval", EVERY)
def test_five_of_its_periods_are_three_intervals_and_not_less_than_five_minutes(
    interval: int,
) -> None:
    assert EVERY[interval]["Slot"] == 60 * max(1, round(interval * 3 / 5))


def test_the_drill_and_the_message_name_the_time_of_the_table() -> None:
    assert "off for as long as [the table](#when-ticks-stop)" in README
    assert f"({column('pages so')[1].split(' to ')[1]} minutes with a tick every minute)" in README
    text, names = resources("AWS::CloudWatch::Alarm")["DeadMansSwitch"]["AlarmDescription"][
        "Fn::Sub"
    ]
    assert "${Silence}" in text
    assert names == {"Silence": {"Fn::FindInMap": ["Every", {"Ref": "EveryMinutes"}, "Silence"]}}
