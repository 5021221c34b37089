from datetime import UTC, datetime, timedelta

import pytest

from controller.simulation.clock import VirtualClock

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_only_waiting_lets_time_pass() -> None:
    clock = VirtualClock(START)
    assert [clock.now(), clock.now()] == [START, START]
    clock.sleep(timedelta(seconds=90))
    assert clock.now() == after(90)


def test_what_is_due_happens_in_order_and_at_its_own_moment() -> None:
    clock = VirtualClock(START)
    actions: list[tuple[str, datetime]] = []
    for name, second in (("later", 50), ("sooner", 10), ("too late", 61)):
        clock.at(after(second), lambda name=name: actions.append((name, clock.now())))  # type: ignore[misc]
    clock.advance(timedelta(minutes=1))
    assert actions == [("sooner", after(10)), ("later", after(50))]
    assert clock.now() == after(60)


def test_what_happens_can_plan_more_within_the_same_wait() -> None:
    clock = VirtualClock(START)
    moments: list[datetime] = []
    clock.at(after(10), lambda: clock.at(after(20), lambda: moments.append(clock.now())))
    clock.advance(timedelta(seconds=30))
    assert moments == [after(20)]


def test_time_never_goes_back() -> None:
    clock = VirtualClock(START)
    clock.advance(timedelta(seconds=-5))
    assert clock.now() == START


def test_a_clock_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(START.replace(tzinfo=None))
