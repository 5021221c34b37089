"""The contract of every alarm source. A test module subclasses it for each implementation."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from controller.adapters.metrics.cloudwatch import CloudWatchAlarms
from controller.immutable import Immutable
from controller.ports.clock import Clock
from tests.support.core import AlarmReading, AlarmState


class AlarmsBench(Immutable):
    """A service of alarms.

    put: makes metric alarms in these states. combine: makes a composite alarm that is OK.
    """

    client: Callable[[], Any]
    clock: Clock
    put: Callable[[Mapping[str, str]], None]
    combine: Callable[[str], None]


def read(bench: AlarmsBench, *alarms: str) -> Mapping[str, AlarmReading]:
    return CloudWatchAlarms(bench.client).states(alarms)


class AlarmsContract:
    """Promises of an `AlarmSource` on CloudWatch.

    CANNOT: promises that this implementation cannot keep, and why; each is expected to fail.
    """

    CANNOT: ClassVar[Mapping[str, str]] = {}

    @pytest.mark.parametrize("state", ["OK", "ALARM", "INSUFFICIENT_DATA"])
    def test_an_alarm_is_in_one_of_three_states(self, bench: AlarmsBench, state: str) -> None:
        bench.put({"errors": state, "other": "OK"})
        assert read(bench, "errors")["errors"].state == AlarmState(state.lower())

    def test_it_says_since_when_and_why(self, bench: AlarmsBench) -> None:
        bench.put({"errors": "ALARM"})
        readings = read(bench, "errors")["errors"]
        assert abs(readings.since - bench.clock.now().timestamp()) < 60
        assert readings.reason

    def test_an_alarm_that_does_not_exist_is_missing(self, bench: AlarmsBench) -> None:
        bench.put({"errors": "OK"})
        readings = read(bench, "errors", "erorrs")
        assert readings["errors"].state is AlarmState.OK
        assert readings["erorrs"] == AlarmReading(AlarmState.MISSING)

    def test_an_alarm_is_found_by_its_arn_and_by_no_other(self, bench: AlarmsBench) -> None:
        bench.put({"errors": "ALARM"})
        (described,) = bench.client().describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
        own = described["AlarmArn"]
        other = own.replace(own.split(":")[4], "999999999999")
        readings = read(bench, own, other)
        assert (readings[own].state, readings[other].state) == (
            AlarmState.ALARM,
            AlarmState.MISSING,
        )

    def test_a_composite_alarm_is_read_too(self, bench: AlarmsBench) -> None:
        bench.combine("all")
        assert read(bench, "all")["all"].state in (AlarmState.OK, AlarmState.INSUFFICIENT_DATA)

    def test_more_alarms_than_a_call_or_a_page_takes_are_all_read(self, bench: AlarmsBench) -> None:
        names = [f"alarm-{number}" for number in range(103)]
        bench.put(dict.fromkeys(names, "OK"))
        readings = read(bench, *names)
        assert {reading.state for reading in readings.values()} == {AlarmState.OK}
        assert list(readings) == names
