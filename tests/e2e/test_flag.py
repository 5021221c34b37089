"""The flag in a real function: rolloutctl sets it, and judges the metrics that it logs."""

from collections.abc import Collection
from typing import Final

import pytest

from controller.core.units import floor_to, from_unix
from controller.flag import Flag
from tests.e2e import flag_function
from tests.e2e.account import BOOLEAN, FUNCTION, PERCENTAGE
from tests.e2e.flag_function import FAILED
from tests.e2e.on_call import MINUTE, Desk

pytestmark = pytest.mark.ministack

ROLLOUT: Final = "flagged"
POLICY: Final = f"""\
version: 1
name: {ROLLOUT}
target: {{kind: lambda-env, function: {FUNCTION}, percentage: {PERCENTAGE}, boolean: {BOOLEAN}}}
metrics:
  calls: {{namespace: rolloutctl, name: Requests, statistic: Sum, dimensions: &canary {{Flag: {FUNCTION}, Path: canary}}}}
  failures: {{namespace: rolloutctl, name: Failures, statistic: Sum, dimensions: *canary}}
  duration: {{namespace: rolloutctl, name: Duration, statistic: p95, unit: ms, dimensions: *canary}}
  direct_calls: {{namespace: rolloutctl, name: Requests, statistic: Sum, dimensions: &stable {{Flag: {FUNCTION}, Path: stable}}}}
  direct_duration: {{namespace: rolloutctl, name: Duration, statistic: p95, unit: ms, dimensions: *stable}}
criteria:
  SC-003:
    {{kind: latency_increase, judge: threshold, metric: duration, max_increase: 5%, min_samples: 10,
     baseline: {{concurrent: direct_duration}}}}
  SC-004:
    {{kind: success_rate, judge: threshold, total: calls, failures: [failures], min: 99.9%, failure_limit: 1,
     min_samples: 10}}
  traffic: {{kind: traffic, judge: threshold, metric: calls, window: 5m, control: direct_calls}}
steps:
  - {{weight: 50, bake: 5m}}
  - {{weight: 100, bake: 5m, criteria: [SC-004, traffic]}}
warmup: 0s
evaluation_delay: 2m
"""  # noqa: E501 - YAML

USERS: Final = [f"user-{number}" for number in range(40)]
_AT_50: Final = Flag(PERCENTAGE, environ={PERCENTAGE: "50"})
CANARY: Final = [user for user in USERS if _AT_50.chosen(user)]
STABLE: Final = [user for user in USERS if user not in CANARY]


def serve(desk: Desk, failing: Collection[str] = ()) -> dict[str, list[str]]:
    """Call the function for each user in one window, and wait until its data are complete.

    Returns the users by the path that answered, or by `failed`.
    """
    begin = from_unix(floor_to(desk.now, 5 * 60)) + 5 * MINUTE
    desk.move_clock(begin + MINUTE - desk.now)
    calls = flag_function.call(desk.account, USERS, failing)
    flag_function.publish(desk.account, [call.line for call in calls], desk.now)
    desk.move_clock(begin + 8 * MINUTE - desk.now)
    users_by_path: dict[str, list[str]] = {}
    for user, invocation in zip(USERS, calls, strict=True):
        users_by_path.setdefault(invocation.answer, []).append(user)
    return users_by_path


def test_the_program_sets_the_flag_of_a_function_and_judges_what_it_measured(desk: Desk) -> None:
    flag_function.deploy(desk.account)
    policy = desk.folder / "flagged.yaml"
    policy.write_text(POLICY)
    assert serve(desk) == {"stable": USERS}

    desk.start(policy)
    assert serve(desk, failing=STABLE[:2]) == {
        "canary": CANARY, "stable": STABLE[2:], FAILED: STABLE[:2],
    }  # fmt: skip
    assert desk.tick().status == 0
    assert desk.account.pair() == ("100", "true")
    (advanced,) = (one for one in desk.history(ROLLOUT) if one["kind"] == "advanced")
    findings = {one["criterion"]: one for one in advanced["findings"]}
    assert {finding["samples"] for finding in findings.values()} == {len(CANARY)}
    assert findings["SC-003"]["measured"] == pytest.approx(0.02)  # 204 ms against 200 ms
    assert findings["SC-004"]["measured"] == 1.0  # the failures were on the stable path

    assert serve(desk, failing=USERS[:3]) == {"canary": USERS[3:], FAILED: USERS[:3]}
    assert desk.tick().status == 0
    assert desk.account.pair() == ("0", "false")
    assert "; 3 failures in 40 requests since" in desk.status(ROLLOUT)["sentence"]

    assert serve(desk) == {"stable": USERS}
    assert desk.tick().status == 0
    assert (
        "; metric direct_calls counted 40 requests."
        in desk.status(ROLLOUT)["leak_check"]["sentence"]
    )
