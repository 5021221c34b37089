"""An alarm criterion: no start while it is in ALARM, and a rollback when it fires."""

import re
import time
from typing import Any

import pytest

from controller.errors import Exit
from tests.e2e.account import FUNCTION
from tests.e2e.on_call import MINUTE, Desk
from tests.e2e.role_walks import FIXED

pytestmark = pytest.mark.ministack

NAME = "backend-errors"
WITH_ALARM = {
    "# The flag has an effect.": f"# It is quiet.\n  quiet: {{kind: alarm, alarm: {NAME}}}\n  #",
    "p95-integration, traffic]": "p95-integration, traffic, quiet]",
}


def alarm(desk: Desk, state: str) -> None:
    """Set the state of the alarm, and create it if needed."""
    client: Any = desk.account.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName=NAME, Namespace="Shop", MetricName="Errors", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )  # fmt: skip
    client.set_alarm_state(AlarmName=NAME, StateValue=state, StateReason="said by a test")


def test_nothing_starts_in_alarm_and_a_rollout_that_fires_the_alarm_is_rolled_back(
    desk: Desk,
) -> None:
    policy = desk.another_policy(**FIXED, **WITH_ALARM)
    desk.account.client("logs").create_log_group(logGroupName=f"/aws/lambda/{FUNCTION}")
    missing = desk.run("start", policy)
    assert missing.status == Exit.USAGE
    assert f"alarm of quiet: there is no alarm {NAME} in this account and region" in missing.err

    alarm(desk, "ALARM")
    red = desk.run("start", policy)
    assert red.status == Exit.USAGE
    assert f"alarm of quiet: {NAME} is in ALARM since " in red.err
    assert desk.account.pair()[0] == "0"

    alarm(desk, "OK")
    desk.start(policy)
    desk.serve(6 * MINUTE)
    assert desk.tick().status == Exit.DONE
    assert desk.account.pair()[0] == "10"
    shown = desk.run("status", "execution-api").out
    assert re.search(r"^ +pass  quiet +OK +OK ", shown, re.MULTILINE)

    time.sleep(
        1.1
    )  # the emulator has the real clock: the alarm must not change in the second of the start
    alarm(desk, "ALARM")
    desk.serve(MINUTE)
    desk.tick()
    assert desk.account.pair()[0] == "0"
    assert (
        f"criterion quiet fails: alarm {NAME} is in ALARM since "
        in desk.run("status", "execution-api").out
    )
    assert desk.run("replay", "execution-api").status == Exit.DONE
