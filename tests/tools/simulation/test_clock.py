from datetime import UTC, datetime, timedelta

from controller.tools.simulation.clock import VirtualClock

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_what_is_due_happens_in_order_and_at_its_own_moment() -> None:
    clock = VirtualClock(START)
    actions: list[tuple[str, datetime]] = []
    for name, second in (("later", 50), ("sooner", 10), ("too late", 61)):
        clock.at(after(second), lambda name=name: actions.append((name, clock.now())))  # type: ignore[misc]
    clock.advance(timedelta(minutes=1))
    assert actions == [("sooner", after(10)), ("later", after(50))]
    assert clock.now() == after(60)


def test_time_never_goes_back() -> None:
    clock = VirtualClock(START)
    clock.advance(timedelta(seconds=-5))
    assert clock.now() == START
