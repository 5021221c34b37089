"""What a policy means: defaults, gates, baselines, its snapshot and its digest."""

from datetime import UTC, datetime, timedelta
from typing import Any

from controller.core.policy import FrozenBaseline
from tests.support.cases import cases
from tests.support.core import Policy, parse
from tests.support.policies import COUNT, PLAIN, REMOVED
from tests.support.policies import changed as changed

WEEKEND = {"from": "fri 16:00", "to": "mon 08:00"}
EVENTS = {"absent": '{ $.event = "gateway" }', "present": '{ $.event = "direct" }'}
OF_LATENCY = {**COUNT, "metric": "latency", "max": 500}


def test_a_plain_policy_has_no_mistakes() -> None:
    assert [step.weight for step in parse(PLAIN).steps] == [10, 100]


@cases("function", {
    "a name": "handler",
    "an ARN": "arn:aws:lambda:eu-central-1:123456789012:function:handler",
})  # fmt: skip
def test_a_function_logs_where_lambda_puts_it(function: str) -> None:
    policy = parse(changed(verify_rollback=EVENTS, target__function=function))
    assert policy.verify_rollback is not None
    assert policy.log_group_of(policy.verify_rollback) == "/aws/lambda/handler"


@cases("criterion, statistic", {
    "four of five": ({**PLAIN["criteria"]["works"], "min": "80%"}, "p95"),
    "a count in an hour": ({**COUNT, "max": 10, "window": "1h"}, "p95"),
    "a count of none": ({**COUNT, "max": 0}, "p95"),
    "the half that is slower": ({**OF_LATENCY, "max": 0.5}, "p50"),
    "one in a thousand": (PLAIN["criteria"]["fast"], "p99.9"),
})  # fmt: skip
def test_the_sequential_judge_takes(criterion: dict[str, Any], statistic: str) -> None:
    data = changed(
        metrics__latency__statistic=statistic,
        metrics__direct__statistic=statistic,
        criteria__c={**criterion, "judge": "sequential"},
    )
    assert parse(data).criteria["c"].sequential


@cases("criterion, judge", {
    "a rate": (PLAIN["criteria"]["works"], "sequential"),
    "a latency": (PLAIN["criteria"]["fast"], "sequential"),
    "a count": ({**COUNT, "max": 10, "window": "5m"}, "sequential"),
    "requests": ({"kind": "traffic", "metric": "requests"}, "threshold"),
})  # fmt: skip
def test_a_criterion_that_names_no_judge_means_the_same_as_with(
    criterion: dict[str, Any], judge: str
) -> None:
    named = {**criterion, "judge": judge}
    unnamed = changed(criteria__c=named, criteria__c__judge=REMOVED)
    assert parse(unnamed) == parse(changed(criteria__c=named))


@cases("changes", {
    "only one metric says its unit": {"metrics__direct__unit": REMOVED},
    "a bake of one window of a minute":
        {"criteria__works__window": "1m", "criteria__works__failure_limit": 1,
         "criteria__fast__window": "1m", "steps__0__bake": "1m"},
    "a bake of as many windows as fail": {"criteria__works__window": "20m"},
    "silence that may pass":
        {"criteria__few": {**COUNT, "max": 1, "min_samples": 0},
         "metrics__errors__missing": "zero"},
    "silence that is too little":
        {"criteria__some": {**COUNT, "min": 1}, "metrics__errors__missing": "zero"},
    "a share has samples of its own":
        {"criteria__share": {**COUNT, "per": "requests", "max": "1%"},
         "metrics__errors__missing": "zero"},
    "a control below 100 alone":
        {"criteria__fast__baseline": {"concurrent": "direct"}, "steps__1__criteria": ["works"]},
    "a criterion per step": {"steps__0__criteria": ["works"], "steps__1__criteria": ["fast"]},
    "nothing, where it may be":
        {"target__boolean": None, "max_hold": None, "freeze": None, "steps__0__approval": None},
    "windows that overlap": {"freeze": {"zone": "UTC", "weekly": [WEEKEND, WEEKEND]}},
    "a free minute in a week":
        {"freeze": {"zone": "Europe/Berlin", "weekly": [{"from": "mon 10:00", "to": "mon 09:59"}],
         "daily": [{"from": "00:00", "to": "09:59"}, {"from": "10:00", "to": "23:59"}]}},
    "a single day":
        {"freeze": {"zone": "Europe/Berlin", "dates": [{"from": "2026-12-24",
         "to": "2026-12-24"}]}},
})  # fmt: skip
def test_what_makes_sense_is_no_mistake(changes: dict[str, Any]) -> None:
    assert parse(changed(**changes)).name == "checkout"


def test_a_frozen_baseline_ends_where_data_are_settled() -> None:
    now, delay = datetime(2026, 11, 24, 12, tzinfo=UTC), timedelta(minutes=3)
    relative = FrozenBaseline.model_validate({"frozen": "direct", "window": "1h"})
    assert relative.span(now, delay) == (
        datetime(2026, 11, 24, 10, 57, tzinfo=UTC),
        datetime(2026, 11, 24, 11, 57, tzinfo=UTC),
    )
    absolute = FrozenBaseline.model_validate(
        {"frozen": "direct", "from": "2026-11-20T01:00:00+01:00", "to": "2026-11-21T00:00:00Z"}
    )
    assert absolute.span(now, delay) == (
        datetime(2026, 11, 20, tzinfo=UTC),
        datetime(2026, 11, 21, tzinfo=UTC),
    )


def test_a_snapshot_reads_back_as_the_same_policy() -> None:
    data = changed(
        freeze={
            "zone": "Europe/Berlin",
            "weekly": [WEEKEND],
            "daily": [{"from": "22:00", "to": "06:00"}],
            "dates": [
                {"from": "2026-12-23", "to": "2027-01-02"},
                {"from": "2026-11-27T12:00", "to": "2026-11-30"},
            ],
        },
        steps__1__approval="required",
        criteria__fast__baseline={
            "frozen": "direct",
            "from": "2026-11-20T00:00:00Z",
            "to": "2026-11-21T00:00:00Z",
        },
        criteria__ratio={
            "kind": "threshold",
            "judge": "threshold",
            "metric": "errors",
            "per": "requests",
            "max": "0.1%",
        },
        max_hold="90m",
    )
    policy = parse(data)
    again = Policy.model_validate_json(policy.snapshot())
    assert again == policy
    assert again.digest() == policy.digest()


def test_the_digest_of_a_policy_outlives_new_fields_that_it_does_not_use() -> None:
    """A rollout that started with it would be refused its own policy otherwise."""
    digest = "3a1eb0d6e771dc140c1b6920c2469e092a33bf622b3645f1dac191500e88e3de"
    assert parse(PLAIN).digest() == digest


def test_the_digest_follows_the_meaning_not_the_spelling() -> None:
    same = parse(
        changed(steps__0__bake="60m", evaluation_delay="180s", criteria__works__min="99.90%")
    )
    other = parse(changed(steps__0__bake="61m"))
    assert same.digest() == parse(PLAIN).digest()
    assert parse(changed(metrics=dict(reversed(PLAIN["metrics"].items())))).digest() == (
        parse(PLAIN).digest()
    )
    assert other.digest() != parse(PLAIN).digest()


def test_the_shortest_duration_has_the_warm_up_bake_and_delay_of_each_step() -> None:
    steps = [
        {"weight": 10, "bake": "1h"},
        {"weight": 50, "bake": "2h", "warmup": "5m"},
        {"weight": 100, "bake": "24h"},
    ]
    policy = parse(changed(steps=steps, warmup="2m", evaluation_delay="3m"))
    assert [policy.planned_time_of(step) for step in range(3)] == [
        timedelta(hours=1, minutes=2),
        timedelta(hours=2, minutes=5),
        timedelta(hours=24, minutes=2),
    ]
    assert policy.shortest_duration == timedelta(hours=27, minutes=2 + 5 + 2 + 3 * 3)
