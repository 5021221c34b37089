"""The contract of an alarm source, on the simulation and on ministack."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from controller.adapters.clock import SystemClock
from tests.adapters.contracts.alarms import AlarmsBench, AlarmsContract
from tests.support.emulator import Emulator
from tests.tools.simulation.worlds import empty_world, scenario


class TestOnTheSimulation(AlarmsContract):
    CANNOT: ClassVar = {"test_a_composite_alarm_is_read_too": "it has metric alarms alone"}

    @pytest.fixture
    def bench(self) -> AlarmsBench:
        worlds = [empty_world()]

        def put(states: Mapping[str, str]) -> None:
            events = [
                {"kind": "alarm", "alarm": name, "state": state.lower()}
                for name, state in states.items()
                if state != "OK"
            ]
            worlds[0] = empty_world(scenario(events=events, traffic={"requests_per_minute": 0}))
            for name in states:
                worlds[0].add_alarm(name)

        def combine(_name: str) -> None:
            return

        return AlarmsBench(lambda: worlds[0].client("cloudwatch"), worlds[0].clock, put, combine)


class TestOnMinistack(AlarmsContract):
    @pytest.fixture
    def bench(self, ministack: Emulator, account: str) -> AlarmsBench:
        return _emulated(ministack.client("cloudwatch", account))


def _emulated(client: Any) -> AlarmsBench:
    def put(states: Mapping[str, str]) -> None:
        for name, state in states.items():
            client.put_metric_alarm(
                AlarmName=name,
                Namespace="Shop",
                MetricName="Errors",
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=10,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="ignore",
            )
            client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="for a test")

    def combine(name: str) -> None:
        put({"part": "OK"})
        client.put_composite_alarm(AlarmName=name, AlarmRule='ALARM("part")')

    return AlarmsBench(lambda: client, SystemClock(), put, combine)
