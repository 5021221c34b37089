"""Freezes: edges of windows, windows that join, and days on which the clock changes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.core.policy import Freeze
from tests.support.cases import cases
from tests.support.core import Policy, parse
from tests.support.policies import changed

BERLIN = "Europe/Berlin"
LORD_HOWE = "Australia/Lord_Howe"

WEEKEND: dict[str, Any] = {"weekly": [{"from": "fri 16:00", "to": "mon 08:00"}]}
NIGHTS: dict[str, Any] = {"daily": [{"from": "22:00", "to": "06:00"}]}
HOLIDAYS: dict[str, Any] = {"dates": [{"from": "2026-12-23", "to": "2027-01-02"}]}


def freeze(zone: str = BERLIN, **windows: Any) -> Freeze:
    return Freeze.model_validate({"zone": zone, **windows})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(frozen: Freeze, now: str) -> str:
    """Return the end of the frozen period that `now` lies in, as text; empty without one."""
    period = frozen.at(moment(now))
    return f"{period.until:%Y-%m-%d %H:%M:%S}" if period else ""


@pytest.fixture
def _far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own clock shows another day."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_far_away")
def test_the_zone_of_the_machine_has_no_part_in_it() -> None:
    ends = [until(freeze(**NIGHTS), f"2026-11-25T{hour}:30:00") for hour in ("02", "12", "21")]
    assert ends == ["2026-11-25 05:00:00", "", "2026-11-26 05:00:00"]
    coming = freeze(**NIGHTS).next_period(moment("2026-11-25T12:30:00"))
    assert coming is not None
    assert f"{coming[0]:%Y-%m-%d %H:%M:%S}" == "2026-11-25 21:00:00"


@cases("windows, now, end", {
    "before a window": (WEEKEND, "2026-11-27T14:59:59", ""),
    "its begin": (WEEKEND, "2026-11-27T15:00:00", "2026-11-30 07:00:00"),
    "its last second": (WEEKEND, "2026-11-30T06:59:59", "2026-11-30 07:00:00"),
    "its end is free": (WEEKEND, "2026-11-30T07:00:00", ""),
    "the free hour of a window of almost a week":
        ({"weekly": [{"from": "tue 10:00", "to": "tue 09:00"}]}, "2026-12-01T08:30:00", ""),
    "the begin of a window of almost a week":
        ({"weekly": [{"from": "tue 10:00", "to": "tue 09:00"}]}, "2026-12-01T09:00:00",
         "2026-12-08 08:00:00"),
    "the last second of a window of almost a week":
        ({"weekly": [{"from": "tue 10:00", "to": "tue 09:00"}]}, "2026-12-08T07:59:59",
         "2026-12-08 08:00:00"),
    "an hour of a day":
        ({"weekly": [{"from": "tue 09:00", "to": "tue 10:00"}]}, "2026-12-01T08:59:59",
         "2026-12-01 09:00:00"),
    "before a night": (NIGHTS, "2026-11-25T20:59:59", ""),
    "before midnight": (NIGHTS, "2026-11-25T21:00:00", "2026-11-26 05:00:00"),
    "after midnight": (NIGHTS, "2026-11-26T04:59:59", "2026-11-26 05:00:00"),
    "the end of a night": (NIGHTS, "2026-11-26T05:00:00", ""),
    "a night in two years": (NIGHTS, "2026-12-31T23:30:00", "2027-01-01 05:00:00"),
    "within a day":
        ({"daily": [{"from": "11:00", "to": "13:00"}]}, "2026-11-26T11:59:00",
         "2026-11-26 12:00:00"),
    "before the first day": (HOLIDAYS, "2026-12-22T22:59:59", ""),
    "the first day": (HOLIDAYS, "2026-12-22T23:00:00", "2027-01-02 23:00:00"),
    "the last day": (HOLIDAYS, "2027-01-02T22:59:59", "2027-01-02 23:00:00"),
    "after the last day": (HOLIDAYS, "2027-01-02T23:00:00", ""),
    "a single day":
        ({"dates": [{"from": "2026-12-24", "to": "2026-12-24"}]}, "2026-12-24T22:59:59",
         "2026-12-24 23:00:00"),
    "from one moment to another":
        ({"dates": [{"from": "2026-11-27T12:00", "to": "2026-11-30T08:00"}]}, "2026-11-27T11:00:00",
         "2026-11-30 07:00:00"),
    "from a moment to the end of a day":
        ({"dates": [{"from": "2026-11-27T12:00", "to": "2026-11-30"}]}, "2026-11-30T22:59:59",
         "2026-11-30 23:00:00"),
    "holidays that end on a weekend end with it":
        (WEEKEND | HOLIDAYS, "2026-12-25T12:00:00", "2027-01-04 07:00:00"),
    "windows that touch are one period":
        ({"dates": [{"from": "2026-12-07", "to": "2026-12-11T16:00"}]} | WEEKEND,
         "2026-12-07T12:00:00", "2026-12-14 07:00:00"),
    "a free minute parts two periods":
        ({"dates": [{"from": "2026-12-07", "to": "2026-12-11T15:59"}]} | WEEKEND,
         "2026-12-07T12:00:00", "2026-12-11 14:59:00"),
    "the night before a weekend": (WEEKEND | NIGHTS, "2026-11-26T22:00:00", "2026-11-27 05:00:00"),
    "a night within a weekend": (WEEKEND | NIGHTS, "2026-11-27T22:00:00", "2026-11-30 07:00:00"),
})  # fmt: skip
def test_a_period_ends_where_the_last_of_its_windows_does(
    windows: dict[str, Any], now: str, end: str
) -> None:
    assert until(freeze(**windows), now) == end


SPRING, AUTUMN = "2027-03-28", "2026-10-25"  # the clock jumps, or is set back, at 01:00 UTC


@cases("day, begin, end, periods", {
    "whose begin is skipped": (SPRING, "02:30", "12:00", "01:00-10:00"),
    "whose end is skipped": (SPRING, "00:30", "02:30", "23:30-01:00"),
    "that is the skipped hour": (SPRING, "02:00", "03:00", ""),
    "within the skipped hour": (SPRING, "02:15", "02:45", ""),
    "around the skipped hour": (SPRING, "01:59", "03:01", "00:59-01:01"),
    "that begins with the jump": (SPRING, "03:00", "12:00", "01:00-10:00"),
    "of a night of 7 hours": (SPRING, "22:00", "06:00", "22:00-04:00"),
    "whose begin comes twice": (AUTUMN, "02:30", "12:00", "00:30-01:00 01:30-11:00"),
    "whose end comes twice": (AUTUMN, "00:30", "02:30", "22:30-00:30 01:00-01:30"),
    "within the repeated hour": (AUTUMN, "02:15", "02:45", "00:15-00:45 01:15-01:45"),
    "that is the repeated hour": (AUTUMN, "02:00", "03:00", "00:00-02:00"),
    "around the repeated hour": (AUTUMN, "01:59", "03:01", "23:59-02:01"),
    "after the repeated hour": (AUTUMN, "03:00", "12:00", "02:00-11:00"),
    "of a night of 9 hours": (AUTUMN, "22:00", "06:00", "22:00-05:00"),
})  # fmt: skip
def test_on_a_day_on_which_the_clock_changes_its_reading_decides_for_a_window(
    day: str, begin: str, end: str, periods: str
) -> None:
    """Each minute from 22:00 UTC on the day before to 12:00 UTC."""
    frozen = freeze(daily=[{"from": begin, "to": end}])
    midnight = moment(day)
    minutes = [midnight + timedelta(minutes=minute) for minute in range(-120, 12 * 60)]
    frozen_periods = [
        "-".join(f"{edge:%H:%M}" for edge in period)
        for period in frozen_periods_of(frozen, minutes)
    ]
    assert " ".join(frozen_periods) == periods


def frozen_periods_of(
    frozen: Freeze, minutes: list[datetime]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of each frozen period in `minutes`."""
    for is_frozen, group in groupby(minutes, key=lambda minute: frozen.at(minute) is not None):
        period = list(group)
        if is_frozen:
            yield period[0], period[-1] + timedelta(minutes=1)


def test_a_day_that_a_zone_skips_never_begins() -> None:
    skipped = freeze("Pacific/Apia", dates=[{"from": "2011-12-30", "to": "2011-12-30"}])
    assert skipped.next_period(moment("2011-12-01")) is None


@cases("windows, now, begin", {
    "tonight": (NIGHTS, "2026-11-25T20:59:59", "2026-11-25T21:00"),
    "not what begins now": (NIGHTS, "2026-11-25T21:00", "2026-11-26T21:00"),
    "in a week": (WEEKEND, "2026-11-27T15:00", "2026-12-04T15:00"),
    "the first of several": (WEEKEND | HOLIDAYS, "2026-12-20", "2026-12-22T23:00"),
    "not the day on which it is skipped":
        ({"daily": [{"from": "02:15", "to": "02:45"}]}, "2027-03-27T12:00", "2027-03-29T00:15"),
    "not the week in which it is skipped":
        ({"weekly": [{"from": "sun 02:15", "to": "sun 02:45"}]}, "2027-03-21T12:00",
         "2027-04-04T00:15"),
})  # fmt: skip
def test_the_next_window_is_the_first_that_begins(
    windows: dict[str, Any], now: str, begin: str
) -> None:
    coming = freeze(**windows).next_period(moment(now))
    assert coming is not None
    assert coming[0] == moment(begin)


# By claim: windows, a moment in them, and the end of the frozen period.
REASONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a window": (WEEKEND, "2026-11-28", "2026-11-30T07:00"),
    "a night": (NIGHTS, "2026-11-25T23:00", "2026-11-26T05:00"),
    "two windows that overlap": (WEEKEND | HOLIDAYS, "2026-12-25", "2027-01-04T07:00"),
    "only the windows that lead to the end are named":
        ({"dates": [{"from": "2026-12-01T12:00", "to": "2026-12-31"}]} | NIGHTS,
         "2026-12-30T23:00", "2027-01-01T05:00"),
    "of many windows the first are named":
        ({"dates": [{"from": f"2026-12-01T0{one}:00", "to": f"2026-12-01T0{one + 1}:00"}
                    for one in range(5)]}, "2026-11-30T23:00", "2026-12-01T04:00"),
}  # fmt: skip


def lost_zone() -> Policy:
    """Return a stored policy with a freeze in a time zone that this machine does not know."""
    snapshot = parse(changed(freeze={"zone": BERLIN, **WEEKEND})).snapshot()
    return Policy.model_validate_json(snapshot.replace(BERLIN, "Europe/Atlantis"))


def texts() -> dict[str, str]:
    """Return the reason that each freeze gives."""
    periods = {
        claim: freeze(**windows).at(moment(now)) for claim, (windows, now, _) in REASONS.items()
    }
    periods["a zone that the machine lost"] = lost_zone().freeze_at(moment("2026-11-25T12:00"))
    return {claim: period.text for claim, period in periods.items() if period}


@cases("windows, now, end", REASONS)
def test_the_reason_of_a_freeze_is_one_line(windows: dict[str, Any], now: str, end: str) -> None:
    frozen = freeze(**windows).at(moment(now))
    assert frozen is not None
    assert (frozen.until, frozen.text.isprintable()) == (moment(end), True)


def test_a_zone_that_the_machine_lost_freezes_and_spoils_no_stored_policy() -> None:
    now = moment("2026-11-25T12:00")
    frozen = lost_zone().freeze_at(now)
    assert frozen is not None
    assert frozen.until == now + timedelta(minutes=15)


def test_a_policy_is_frozen_when_its_freeze_is() -> None:
    policy = parse(changed(freeze={"zone": BERLIN, **WEEKEND}))
    frozen = policy.freeze_at(moment("2026-11-28"))
    assert frozen is not None
    assert frozen.until == moment("2026-11-30T07:00")
    assert policy.freeze_at(moment("2026-11-26")) is None


# --- Properties -----------------------------------------------------------------------------------

# By name: where the clock jumps by an hour, by half of one, at odd minutes, back for a month a
# year, and never.
ZONES = [BERLIN, LORD_HOWE, "Pacific/Chatham", "Africa/Casablanca", "Asia/Kathmandu"]
BEGIN = moment("2026-09-01")
MINUTES = 14 * 30 * 24 * 60
CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
WEEKDAYS = st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
DAYS = st.dates(BEGIN.date(), BEGIN.date() + timedelta(days=420)).map(str)
PERIODS = {
    "weekly": st.builds("{} {}".format, WEEKDAYS, CLOCKS),
    "daily": CLOCKS,
    "dates": DAYS | st.builds("{}T{}".format, DAYS, CLOCKS),
}
# Every change of a clock in that time lies within a day of one of these, for the zones above.
CHANGES = [
    moment(day)
    for day in (
        "2026-09-26", "2026-10-03", "2026-10-25", "2027-02-07", "2027-03-14", "2027-03-28",
        "2027-04-03",
    )
]  # fmt: skip
MOMENTS = st.one_of(
    st.integers(0, MINUTES).map(lambda minutes: BEGIN + timedelta(minutes=minutes)),
    st.builds(
        lambda day, minutes: day + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-24 * 60, 48 * 60),
    ),
)


@st.composite
def freezes(draw: st.DrawFn) -> Freeze:
    windows: dict[str, Any] = {}
    for period in draw(st.lists(st.sampled_from(list(PERIODS)), min_size=1, unique=True)):
        ends = st.lists(PERIODS[period], min_size=2, max_size=2, unique=True)
        if period == "dates":
            ends = ends.map(sorted)
        spans = draw(st.lists(ends, min_size=1, max_size=3))
        windows[period] = [{"from": begin, "to": end} for begin, end in spans]
    try:
        return freeze(draw(st.sampled_from(ZONES)), **windows)
    except ValidationError:  # together they leave no time of the week
        assume(False)
        raise


@given(freezes(), MOMENTS)
def test_it_is_frozen_exactly_when_the_clock_on_the_wall_shows_a_time_of_a_window(
    frozen: Freeze, now: datetime
) -> None:
    wall = now.astimezone(ZoneInfo(frozen.zone))
    assert (frozen.at(now) is not None) == any(matching_windows(wall, frozen))


def matching_windows(wall: datetime, frozen: Freeze) -> Iterator[bool]:
    """Yield for each window whether it holds this reading of the clock, by what a policy says."""
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    clock, day = f"{wall:%H:%M}", str(wall.date())
    written = frozen.model_dump(mode="json", by_alias=True, exclude={"zone"}, exclude_none=True)
    for period, windows in written.items():
        for begin, end in ((window["from"], window["to"]) for window in windows):
            now: Any = clock
            ends: list[Any] = [begin, end]
            if period == "weekly":
                now = (wall.weekday(), clock)
                ends = [(days.index(one[:3]), one[4:]) for one in (begin, end)]
            elif period == "dates":
                now = f"{day}T{clock}"
                ends[1] += "" if "T" in end else "~"  # a whole day ends after all its times
            first, last = ends
            yield first <= now < last if first < last else now >= first or now < last
