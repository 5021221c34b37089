"""A start as a fix through processes: in red it starts and goes on, and what gets worse ends it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from tests.e2e.account import FUNCTION
from tests.e2e.on_call import MINUTE as DESK_MINUTE
from tests.e2e.on_call import Desk
from tests.e2e.role_walks import FIXED
from tests.e2e.routed import KINDS, MINUTE, ROLLOUT, Routed
from tests.e2e.test_alarm import WITH_ALARM, alarm
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack

FIX = ("--fix", "--reason", "the release of noon fails")
ALARM = "shop-errors"
SECOND = timedelta(seconds=1)
RED = f"""\
  all: {{namespace: Shop, name: Requests, statistic: Sum, counts: both}}
  failed: {{namespace: Shop, name: Failures, statistic: Sum, missing: zero, counts: both}}
criteria:
  quiet: {{kind: alarm, alarm: {ALARM}}}
  service: {{kind: threshold, metric: failed, per: all, max: 1%}}
"""


@pytest.fixture(params=KINDS)
def routed(
    request: pytest.FixtureRequest, ministack: Emulator, account: str, tmp_path: Path
) -> Routed:
    """A target of which both paths have failed 5% of their requests for an hour."""
    made = Routed(KINDS[request.param], ministack, account, tmp_path)
    text = made.policy.read_text().replace("criteria:\n", RED).replace("bake: 2m", "bake: 10m")
    text = text.replace("criteria: [", "criteria: [quiet, service, ")
    made.policy.write_text(text)
    fail(made, 0.05, begin=-90, minutes=90)
    set_alarm(made, "ALARM")
    made.now = datetime.now(UTC) + SECOND  # the emulator has the real clock
    return made


def fail(routed: Routed, share: float, *, begin: int = 0, minutes: int) -> None:
    """Let both paths together fail this share of 600 requests a minute."""
    first = routed.now.replace(second=0, microsecond=0)
    data = [
        {"MetricName": name, "Timestamp": first + at * MINUTE, "Value": value}
        for at in range(begin, begin + minutes)
        for name, value in (("Requests", 600.0), ("Failures", 600 * share))
    ]
    cloudwatch = routed.emulator.client("cloudwatch", routed.number)
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=data)


def set_alarm(routed: Routed, state: str) -> None:
    client: Any = routed.emulator.client("cloudwatch", routed.number)
    client.put_metric_alarm(
        AlarmName=ALARM, Namespace="Shop", MetricName="Errors", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )  # fmt: skip
    client.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="said by a test")


def start_fix(routed: Routed) -> None:
    refused = routed.try_start()
    assert refused.status == Exit.USAGE
    assert f"alarm of quiet: {ALARM} is in ALARM" in refused.err
    assert "criterion service fails" in refused.err
    plan = routed.run("plan", routed.policy, "--live", *FIX[:1])
    assert "50% is still judged by works" in plan.out
    routed.start(*FIX)


def test_a_fix_goes_on_in_red(routed: Routed) -> None:
    start_fix(routed)
    fail(routed, 0.045, minutes=120)
    assert routed.finish() == [10, 50, 100], routed.status()["sentence"]
    status = routed.status()
    assert (status["phase"], status["fix"]["not_green"]) == ("succeeded", ["quiet", "service"])
    assert status["fix"]["text"] in routed.run("status", ROLLOUT).out
    assert routed.run("replay", ROLLOUT).status == Exit.DONE


def test_an_alarm_that_is_green_and_red_again_rolls_back(routed: Routed) -> None:
    start_fix(routed)
    fail(routed, 0.0, minutes=120)
    set_alarm(routed, "OK")
    assert routed.tick().status == Exit.DONE
    assert routed.tick().status == Exit.DONE
    assert routed.status()["fix"]["green"] == ["quiet"]
    time.sleep(2.1)  # not in the second of the start
    set_alarm(routed, "ALARM")
    assert routed.finish()[-1] == 0
    assert "criterion quiet fails" in routed.status()["sentence"]


def test_what_gets_worse_rolls_back(routed: Routed) -> None:
    start_fix(routed)
    fail(routed, 0.3, minutes=120)
    assert routed.finish() == [10, 0]
    status = routed.status()
    assert (status["phase"], status["reason"]) == ("rolled_back", "gate_failed")
    assert "It failed before the start, and is worse now" in status["sentence"]


def test_a_variable_of_a_function_goes_on_in_red_and_back_with_the_alarm(desk: Desk) -> None:
    policy = desk.another_policy(**FIXED, **WITH_ALARM)
    desk.account.client("logs").create_log_group(logGroupName=f"/aws/lambda/{FUNCTION}")
    alarm(desk, "ALARM")
    assert desk.run("start", policy).status == Exit.USAGE
    started = desk.start(policy, *FIX)
    assert started["fix"]["not_green"] == ["quiet"]
    desk.serve(72 * DESK_MINUTE)
    assert desk.tick().status == Exit.DONE
    assert desk.account.pair()[0] == "50"
    alarm(desk, "OK")
    desk.serve(3 * DESK_MINUTE)
    assert desk.tick().status == Exit.DONE
    time.sleep(1.1)  # as above
    alarm(desk, "ALARM")
    desk.serve(DESK_MINUTE)
    desk.tick()
    assert desk.account.pair()[0] == "0"
    assert "criterion quiet fails" in desk.status()["sentence"]
    assert desk.run("replay", "execution-api").status == Exit.DONE
