import time
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from controller.adapters.clock import SystemClock


def test_now_is_the_systems_moment_in_utc() -> None:
    with freeze_time("2026-01-05 13:00:00"):
        assert SystemClock().now() == datetime(2026, 1, 5, 13, tzinfo=UTC)


@pytest.mark.parametrize(("length_s", "least_s"), [(0.05, 0.05), (0, 0), (-5, 0)])
def test_a_sleep_lasts_as_long_as_asked_and_a_negative_one_not_at_all(
    length_s: float, least_s: float
) -> None:
    begin = time.monotonic()
    SystemClock().sleep(timedelta(seconds=length_s))
    assert least_s <= time.monotonic() - begin < least_s + 3
