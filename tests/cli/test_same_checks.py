"""The checks of a policy are the same for all commands that can make them, and so are the lines.

`doctor`, `plan --live` and `start --dry-run` make all of them, `backtest --days` those of metrics.
`rehearse`, `backtest --csv` and `validate` read no account: they refuse what a file shows.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.adapters.aws.clients import Clients
from controller.adapters.iam import CallerIdentity, NotSimulatedError
from controller.errors import Exit
from controller.tools.doctor import verb as doctor
from controller.tools.simulation.world import CALLER, World
from tests.adapters.cloudformation.fake_cloudformation import FakeCloudFormation
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY, FailingCall
from tests.tools.simulation.worlds import HOUR, POLICY, START

METRICS: Mapping[str, Any] = SHORT_POLICY["metrics"]
CRITERIA: Mapping[str, Any] = SHORT_POLICY["criteria"]
# What `doctor` checks beside them, which no start waits for.
DOCTORS_OWN = {"caller", "clock", "store", "schedule", "monitoring", "topic", "permissions"}


def with_metric(metric: str, **changes: Any) -> dict[str, Any]:
    return {"metrics": {**METRICS, metric: {**METRICS[metric], **changes}}}


def with_criterion(criterion: Mapping[str, Any], **metrics: Any) -> dict[str, Any]:
    return {
        "criteria": {**CRITERIA, "added": criterion},
        "metrics": {**METRICS, **metrics},
    }


LOG = {"kind": "log_events", "absent": "x", "control": "y", "log_group": "g"}
BOUND = {
    "kind": "threshold", "judge": "threshold", "metric": "duration", "window": "1m",
    "failure_limit": 1,
}  # fmt: skip
# Of the stable path, which has data before a start.
DURATION = {**POLICY["metrics"]["direct"], "counts": "stable"}


@cases("parts, played, failed, warned", {
    "all is right": ({}, {}, "", ""),
    "a misspelt failure metric that may be missing": (
        with_metric("server_errors", name="5xxError", missing="zero"), {},
        "metric server_errors: AWS/ApiGateway has no 5xxError in this account and region; there "
        "is 5XXError: correct the policy", "",
    ),
    "a metric of our own that is not published": (
        with_metric("server_errors", namespace="Shop", name="Failures"), {},
        "metric server_errors: Shop has no Failures", "",
    ),
    "dimensions that exist with other values": (
        with_criterion(
            {**BOUND, "max": 5_000},
            duration={**DURATION, "dimensions": {"FunctionName": "absent"}},
        ), {}, "",
        "AWS/Lambda Duration had no data with {FunctionName: absent}",
    ),
    "metrics of both paths": (
        {}, {"metrics": {name: {"path": "both", "measure": name} for name in METRICS}},
        "while the canary had 0%: other requests are counted too", "",
    ),
    "an alarm that does not exist": (
        with_criterion({"kind": "alarm", "alarm": "missing-alarm"}), {},
        "alarm of added: there is no alarm missing-alarm in this account and region", "",
    ),
    "a log group that does not exist":
        (with_criterion(LOG), {}, "log of added: g could not be searched", ""),
    "a bound in another unit": (
        with_criterion({**BOUND, "max": 500_000}, duration=DURATION), {}, "",
        "ms is far from the p95 of the last 24h, 16",
    ),
    "a sum of latencies": (
        with_criterion({**BOUND, "max": 1e9}, duration={**DURATION, "statistic": "Sum"}), {}, "",
        "metric duration: statistic: Sum of Duration means nothing",
    ),
})  # fmt: skip
def test_what_reads_the_account_refuses_and_warns_with_the_same_lines(
    desk_in: MakeDesk,
    monkeypatch: pytest.MonkeyPatch,
    parts: Mapping[str, Any],
    played: dict[str, Any],
    failed: str,
    warned: str,
) -> None:
    traffic = {"requests_per_minute": 60}
    of_world = with_criterion({**BOUND, "max": 500}, duration=DURATION)
    desk = desk_in({**SHORT_POLICY, **of_world}, traffic=traffic, **played)
    doctor_answers(desk.world, monkeypatch)
    policy = desk.another_policy("orders", **parts)
    desk.world.clock.advance(2 * HOUR)
    fails, warnings = lines_of(desk, policy)
    assert len(fails) == bool(failed)
    assert all(failed in one for one in fails)
    assert len([warning for warning in warnings if warned and warned in warning]) == bool(warned)


def lines_of(desk: CliHarness, policy: str) -> tuple[list[str], list[str]]:
    """Return the lines of failures and of warnings that the commands agree about."""
    before = desk.world.calls.copy()
    shown = desk.run("doctor", policy, "--json").data["checks"]
    live = [one for one in shown if one["what"] not in DOCTORS_OWN]
    by_level = {
        level: [
            "; ".join(filter(None, (f"{one['what']}: {one['seen']}", one["remedy"])))
            for one in live
            if one["level"] == level
        ]
        for level in ("fail", "warn")
    }
    plan = desk.run("plan", policy, "--live", "--json").data["live"]
    assert (by_level["fail"], by_level["warn"]) == (plan["refusals"], plan["warnings"])
    started = desk.run("start", policy, "--dry-run")
    if by_level["fail"]:
        assert started.status == Exit.USAGE
        refusals = [line.strip() for line in started.err.splitlines()[1:]]
        assert refusals[: len(by_level["fail"])] == by_level["fail"]
    else:
        assert started.status == Exit.DONE
        lines = [line.removeprefix("warning: ") for line in started.out.splitlines()]
        assert [one for one in lines if one in by_level["warn"]] == by_level["warn"]
    played = desk.run("backtest", policy, "--days", "1").err.splitlines()
    of_metrics = [one for one in by_level["fail"] if one.startswith("metric ")]
    assert [one.strip() for one in played if one.startswith("  metric ")] == of_metrics
    assert not {operation for _, operation in desk.world.calls - before if "Update" in operation}
    return by_level["fail"], by_level["warn"]


def doctor_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `doctor` a caller, and no monitoring and no simulator of IAM."""

    def not_simulated(*_: object) -> dict[tuple[str, str], str]:
        raise NotSimulatedError("iam:SimulatePrincipalPolicy is not allowed")

    def client(_self: Clients, service: str, **_: object) -> Any:
        if service == "cloudformation":
            return FakeCloudFormation(0, 0)
        found = world.client(service)
        found.meta = type("Meta", (), {"region_name": "eu-central-1"})
        return found

    monkeypatch.setattr(Clients, "get", client)
    caller = CallerIdentity(CALLER["Arn"], START)
    monkeypatch.setattr(doctor, "caller_identity", lambda _: caller)
    monkeypatch.setattr(doctor, "decisions", not_simulated)


@pytest.mark.parametrize(
    ("call", "parts", "line"),
    [
        (("cloudwatch", "ListMetrics"), {}, "not checked: grant cloudwatch:ListMetrics"),
        (
            ("logs", "FilterLogEvents"),
            with_criterion(LOG),
            "not checked: grant logs:FilterLogEvents on g",
        ),
    ],
)
def test_a_right_that_is_missing_is_named_and_refuses_nothing(
    desk_in: MakeDesk,
    monkeypatch: pytest.MonkeyPatch,
    call: tuple[str, str],
    parts: dict[str, Any],
    line: str,
) -> None:
    desk = desk_in()
    doctor_answers(desk.world, monkeypatch)
    desk.world.interceptors.append(FailingCall(call, "denied"))
    policy = desk.another_policy("orders", **parts)
    fails, warnings = lines_of(desk, policy)
    assert fails == []
    assert [warning for warning in warnings if line in warning]


def test_what_the_file_itself_says_wrong_is_refused_by_every_verb_with_the_same_line(
    desk: CliHarness,
) -> None:
    wrong = with_metric("server_errors", dimensions={"ApiId": "a1b2c3"})
    policy = desk.another_policy("orders", **wrong)
    verbs = (
        ["validate"], ["plan"], ["plan", "--live"], ["doctor"], ["start", "--dry-run"], ["run"],
        ["rehearse"], ["backtest", "--days", "1"],
    )  # fmt: skip
    said = {desk.run(verb, policy, *options).err for verb, *options in verbs}
    (line,) = {one.removeprefix("rolloutctl: ") for one in said}
    assert "metrics.server_errors.dimensions: AWS publishes no 5XXError" in line
    assert not desk.world.calls
