"""The writes of a recording to a rule of a load balancer, on moto."""

from collections.abc import Iterator
from typing import Any

import pytest
from boto3.session import Session
from moto import mock_aws

from controller.adapters.clock import SystemClock
from controller.adapters.recorder import Recorder
from controller.adapters.recorder.calls import record_rule_writes
from tests.adapters.contracts import alb_benches
from tests.adapters.contracts.alb_benches import RULE
from tests.adapters.contracts.alb_weights import LOGIN, AlbBench, forward
from tests.aws_facts import recordings
from tests.support.emulator import REGION


@pytest.fixture
def bench() -> Iterator[AlbBench]:
    """A rule that forwards to two groups, with all requests on the stable one."""
    with mock_aws():
        session = Session(region_name=REGION)
        yield alb_benches.on_moto(session.client("ec2"), session.client("elbv2"), RULE)


def weights(call: Any) -> list[int]:
    """Return the weights that a recorded answer of a rule has."""
    (rule,) = call["answer"]["Rules"]
    return [one["Weight"] for one in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]]


def test_a_rule_is_moved_and_written_back(bench: AlbBench) -> None:
    before, recorder = bench.actions(), Recorder(lambda _service: bench.client, SystemClock())
    assert list(record_rule_writes(recorder, bench.target.rule)) == [
        f"{bench.target.rule}: as before"
    ]
    assert bench.actions() == before
    calls = [call.document for call in recorder.calls]
    writes = [weights(call) for call in calls if call["operation"] == "ModifyRule"]
    assert writes == [[99, 1], [100, 0], [100, 0]]
    assert not any(recordings.refused_by_product("elbv2", call) for call in calls)
    health = [call["answer"] for call in calls if call["operation"] == "DescribeTargetHealth"]
    assert [len(one["TargetHealthDescriptions"]) for one in health] == [1, 1]


def test_a_rule_with_a_login_is_left_alone(bench: AlbBench) -> None:
    """Its secret cannot be read, so it could not be written back."""
    groups = {bench.target.stable: 100, bench.target.canary: 0}
    bench.write([LOGIN, {**forward(groups), "Order": 2}])
    recorder = Recorder(lambda _service: bench.client, SystemClock())
    (left,) = record_rule_writes(recorder, bench.target.rule)
    assert "not written" in left
    assert [call.operation for call in recorder.calls] == ["DescribeRules"]
