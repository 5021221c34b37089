"""What a policy means, and what is a mistake in it: shape, references, and both at once."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.core.policy import FrozenBaseline, Threshold
from controller.policy_file.check import zone
from controller.policy_file.check.problem import place_text
from tests.support.cases import cases
from tests.support.core import Policy, PolicyProblems, parse

PLAIN: dict[str, Any] = {
    "version": 1,
    "name": "checkout",
    "target": {"kind": "lambda-env", "function": "handler", "percentage": "PERCENT"},
    "metrics": {
        "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
        "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
        "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
        "direct": {"namespace": "Shop", "name": "Direct", "statistic": "p95", "unit": "ms"},
    },
    "criteria": {
        "works": {
            "kind": "success_rate",
            "judge": "threshold",
            "total": "requests",
            "failures": ["errors"],
            "min": "99.9%",
        },
        "fast": {
            "kind": "latency_increase",
            "judge": "threshold",
            "metric": "latency",
            "max_increase": "5%",
            "baseline": {"frozen": "direct", "over": "24h"},
        },
    },
    "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "24h"}],
}

COUNT = {"kind": "threshold", "judge": "threshold", "metric": "errors"}

_REMOVED = object()


def changed(**changes: Any) -> dict[str, Any]:
    """Return the plain policy with values set by dotted path (`steps__0__weight=5`)."""
    data = deepcopy(PLAIN)
    for path, value in changes.items():
        *way, last = [int(part) if part.isdigit() else part for part in path.split("__")]
        inner: Any = data
        for part in way:
            inner = inner[part]
        if value is _REMOVED:
            del inner[last]
        else:
            inner[last] = value
    return data


def mistakes(data: object) -> list[str]:
    """Return what is wrong with `data`, each as `path: problem`."""
    with pytest.raises(PolicyProblems) as caught:
        parse(data)
    return [f"{place_text(one.place)}: {one.message}" for one in caught.value.problems]


def test_a_plain_policy_has_no_mistakes() -> None:
    policy = parse(PLAIN)
    assert policy.steps_text() == "10 % for 1h, 100 % for 24h"


@cases("changes, line", {
    "one variable for both":
        ({"target__boolean": "PERCENT"},
         "target.boolean: must be another variable than `percentage`"),
    "a variable that Lambda owns":
        ({"target__percentage": "AWS_REGION"},
         "target.percentage: AWS_REGION is reserved by AWS Lambda"),
    "a version cannot change":
        ({"target__function": "handler:live"},
         "target.function: expected the name or ARN of a function, without version or alias, "
         "not 'handler:live'"),
    "weights that stand still":
        ({"steps__1__weight": 10, "steps": [{"weight": 10, "bake": "1h"}] * 2},
         "steps[1].weight: weights must climb, but 10 follows 10"),
    "no steps": ({"steps": []}, "steps: needs at least one step"),
    "a metric that does not exist":
        ({"criteria__works__total": "request"},
         "criteria.works.total: no metric is called 'request'; did you mean 'requests'?"),
    "failures that count double":
        ({"criteria__works__failures": ["errors", "errors"]},
         "criteria.works.failures[1]: errors is named twice"),
    "a failure that is no name":
        ({"criteria__works__failures": [5]}, "criteria.works.failures[0]: expected text, not 5"),
    "a metric that no criterion uses":
        ({"metrics__spare": {"namespace": "Shop", "name": "X", "statistic": "Sum"}},
         "metrics.spare: no criterion uses this metric"),
    "an average of errors is no count":
        ({"metrics__errors__statistic": "Average"},
         "criteria.works.failures[0]: needs a count (Sum), but errors has statistic Average"),
    "p95 against p50":
        ({"metrics__direct__statistic": "p50"},
         "criteria.fast.baseline.frozen: compares p95 with p50 of direct"),
    "milliseconds against seconds":
        ({"metrics__direct__unit": "s"},
         "criteria.fast.baseline.frozen: compares ms with s of direct"),
    "no control at 100":
        ({"criteria__fast__baseline": {"concurrent": "direct"}},
         "steps[1].weight: fast compares with a concurrent control, which has no traffic at "
         "100; give this step its own list of criteria"),
    "a frozen baseline without a window":
        ({"criteria__fast__baseline": {"frozen": "direct"}},
         "criteria.fast.baseline: needs either `over`, or `from` and `to`"),
    "a baseline that is a number":
        ({"criteria__fast__baseline": 300}, "criteria.fast.baseline: expected a mapping, not 300"),
    "nothing is 5 % above zero":
        ({"criteria__fast__baseline": {"fixed": 0}},
         "criteria.fast.baseline.fixed: must be above 0, not 0"),
    "a bake in which nothing can fail":
        ({"criteria__works__over": "1h"},
         "steps[0].bake: works fails after 3 windows of 1h in a row, more than a bake of 1h "
         "holds: at least 3h"),
    "a bake without a whole window":
        ({"criteria__works__over": "2h", "criteria__works__failure_limit": 1},
         "steps[0].bake: works judges windows of 2h, more than a bake of 1h holds: at least 2h"),
    "a bake without a whole window of latency":
        ({"criteria__fast__over": "2h"},
         "steps[0].bake: fast judges windows of 2h, more than a bake of 1h holds: at least 2h"),
    "an approval of the start":
        ({"steps__0__approval": "required"},
         "steps[0].approval: the first step takes none: whoever starts the rollout approves it "
         "by that"),
    "a version in decimals": ({"version": 1.0}, "version: expected 1, not 1.0"),
    "true is no version": ({"version": True}, "version: expected 1, not true"),
    "a count that is always too high":
        ({"criteria__few": {**COUNT, "max": -1}},
         "criteria.few.max: a count is never below 0: must be at least 0, not -1"),
    "a count that is never too low":
        ({"criteria__few": {**COUNT, "min": -1}},
         "criteria.few.min: a count is never below 0: must be at least 0, not -1"),
    "samples required of a metric that is absent in health":
        ({"criteria__few": {**COUNT, "max": 1}, "metrics__errors__missing": "zero"},
         "criteria.few.min_samples: must be 0, said in so many words: errors is `missing: "
         "zero`, so while all is well there are no samples to count, and silence has to pass"),
    "a window that CloudWatch does not cut":
        ({"criteria__works__over": "7m"},
         "criteria.works.over: must be whole minutes that divide a day, like 1m, 5m or 1h, "
         "not 7m"),
    "a criterion that does not exist":
        ({"steps__0__criteria": ["work"]},
         "steps[0].criteria[0]: no criterion is called 'work'; did you mean 'works'?"),
    "a gate of nothing":
        ({"steps__0__criteria": []},
         "steps[0].criteria: a step without a criterion would pass unseen; name at least one"),
    "a criterion twice in a gate":
        ({"steps__0__criteria": ["works", "works"]}, "steps[0].criteria[1]: works is named twice"),
    "a criterion that never gates":
        ({"steps__0__criteria": ["works"], "steps__1__criteria": ["works"]},
         "criteria.fast: no step has this criterion"),
    "an unknown kind":
        ({"criteria__works__kind": "succes_rate"},
         "criteria.works.kind: no kind of criterion is called 'succes_rate'; "
         "did you mean 'success_rate'?"),
    "no kind":
        ({"criteria__works__kind": _REMOVED},
         "criteria.works.kind: is required; one of success_rate, latency_increase, threshold, "
         "traffic, share, burn_rate, alarm, log_events, attestation"),
    "no judge": ({"criteria__works__judge": _REMOVED}, "criteria.works.judge: is required"),
    "true is no number":
        ({"criteria__works__min_samples": True},
         "criteria.works.min_samples: expected a whole number, not true"),
    "a key of another tool":
        ({"criteria__works__minimum": "99%"},
         "criteria.works.minimum: unknown key; did you mean 'min'?"),
    "a key that resembles none":
        ({"target__region": "eu-west-1"},
         "target.region: unknown key; known: kind, function, percentage, boolean"),
    "a format from the future": ({"version": 2}, "version: expected 1, not 2"),
    "a default is not written as nothing":
        ({"settle": None},
         "settle: expected a number and a unit, like 90s, 10m, 1h or 2d, not nothing"),
    "a list": ({"criteria": [1]}, "criteria: expected a mapping, not a list"),
    "a number where text is meant": ({"summary": 5}, "summary: expected text, not 5"),
})  # fmt: skip
def test_a_mistake_is_reported_at_its_place(changes: dict[str, Any], line: str) -> None:
    assert line in mistakes(changed(**changes))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"criteria__works__min": 99.9}, "criteria.works.min: expected a percent"),
        ({"criteria__works__failures": [5]}, "criteria.works.failures[0]: expected text"),
        ({"criteria__works__failures": []}, "criteria.works.failures: needs at least one metric"),
        ({"metrics__latency__statistic": "P95"}, "metrics.latency.statistic: expected Sum"),
        ({"criteria__works__kind": "no"}, "criteria.works.kind: no kind of criterion"),
        ({"criteria__fast__baseline": 300}, "criteria.fast.baseline: expected a mapping"),
        ({"steps__0__weight": 0}, "steps[0].weight: must be at least 1"),
        ({"steps__1__weight": 101}, "steps[1].weight: must be at most 100"),
        ({"criteria": {}}, "criteria: needs at least one: a step without any would pass unseen"),
        ({"steps": _REMOVED}, "steps: is required"),
        ({"metrics": _REMOVED}, "metrics: is required"),
        ({"metrics": []}, "metrics: expected a mapping, not a list"),
        ({"criteria": None}, "criteria: expected a mapping, not nothing"),
        ({"steps__0__approval": "maybe"}, "steps[0].approval: expected 'required', not 'maybe'"),
        ({"steps__1__approval": True}, "steps[1].approval: expected 'required', not true"),
        ({"steps__1__aproval": "required"}, "steps[1].aproval: unknown key; did you mean 'approv"),
    ],
)
def test_one_mistake_is_one_line(changes: dict[str, Any], line: str) -> None:
    """What only follows from a mistake is not reported as another one."""
    lines = mistakes(changed(**changes))
    assert len(lines) == 1
    assert lines[0].startswith(line)


WEEKEND = {"from": "fri 16:00", "to": "mon 08:00"}


EVENTS = {"absent": '{ $.event = "gateway" }', "present": '{ $.event = "direct" }'}
NO_PATTERN = (
    'expected { $.event = "name" }, "words in quotes" or one word of letters, digits and _, not '
)


@cases("verify, line", {
    "no mapping": (5, ": expected a mapping, not 5"),
    "no positive control": ({"absent": "gateway"}, ".present: is required"),
    "nothing to be absent": ({"present": "direct"}, ".absent: is required"),
    "an unknown key":
        ({**EVENTS, "loggroup": "x"}, ".loggroup: unknown key; did you mean 'log_group'?"),
    "an ARN's end on a log group":
        ({**EVENTS, "log_group": "/aws/lambda/handler:*"},
         ".log_group: expected the name of a log group (letters, digits, _ - / . #; at most "
         "512), not '/aws/lambda/handler:*'"),
    "every event": ({**EVENTS, "absent": ""}, ".absent: must not be empty"),
    "every event, in blanks": ({**EVENTS, "absent": "   "}, f".absent: {NO_PATTERN}'   '"),
    "two words, which CloudWatch would find apart":
        ({**EVENTS, "absent": "gateway call"}, f".absent: {NO_PATTERN}'gateway call'"),
    "a word that may be there":
        ({**EVENTS, "present": "?direct"}, f".present: {NO_PATTERN}'?direct'"),
    "no field": ({**EVENTS, "present": "{}"}, f".present: {NO_PATTERN}'{{}}'"),
    "no words": ({**EVENTS, "present": '""'}, f".present: {NO_PATTERN}'\"\"'"),
    "one event for both":
        ({**EVENTS, "present": EVENTS["absent"]}, ".present: must be another event than `absent`"),
})  # fmt: skip
def test_a_mistake_in_what_verifies_a_rollback_is_one_line(verify: Any, line: str) -> None:
    lines = mistakes(changed(verify_rollback=verify))
    assert lines == [f"verify_rollback{line}"]


@pytest.mark.parametrize(
    ("function", "group"),
    [
        ("handler", "/aws/lambda/handler"),
        ("arn:aws:lambda:eu-central-1:123456789012:function:handler", "/aws/lambda/handler"),
    ],
    ids=["a name", "an ARN"],
)
def test_a_function_logs_where_lambda_puts_it(function: str, group: str) -> None:
    policy = parse(changed(verify_rollback=EVENTS, target__function=function))
    assert policy.verify_rollback is not None
    assert policy.log_group_of(policy.verify_rollback) == group


@cases("freeze, line", {
    "no mapping": (5, ": expected a mapping, not 5"),
    "no zone": ({"weekly": [WEEKEND], "zone": _REMOVED}, ".zone: is required"),
    "no window": ({}, ": needs at least one window: weekly, daily or dates"),
    "a list without a window":
        ({"weekly": []},
         ".weekly: needs at least one window; leave the key out where there is none"),
    "more windows than anybody means":
        ({"weekly": [WEEKEND] * 51}, ".weekly: has 51 entries, at most 50 are allowed"),
    "a key": ({"weekli": [WEEKEND]}, ".weekli: unknown key; did you mean 'weekly'?"),
    "a key of a window":
        ({"weekly": [{**WEEKEND, "til": "sun"}]}, ".weekly[0].til: unknown key; known: from, to"),
    "no end": ({"dates": [{"from": "2026-12-23"}]}, ".dates[0].to: is required"),
    "an unknown weekday":
        ({"weekly": [{"from": "fry 16:00", "to": "mon 08:00"}]},
         ".weekly[0].from: no weekday is called 'fry'; known: mon, tue, wed, thu, fri, sat, sun"),
    "a time that no clock shows":
        ({"weekly": [{"from": "fri 16:00", "to": "mon 24:00"}]},
         ".weekly[0].to: expected a weekday and a time, like fri 16:00, not 'mon 24:00'"),
    "a week without length":
        ({"weekly": [{"from": "fri 16:00", "to": "fri 16:00"}]},
         ".weekly[0]: a window of no length: it begins and ends at fri 16:00"),
    "a day without length":
        ({"daily": [{"from": "22:00", "to": "22:00"}]},
         ".daily[0]: a window of no length: it begins and ends at 22:00"),
    "minutes in place of a time":
        ({"daily": [{"from": "22:00", "to": 360}]},
         ".daily[0].to: expected a time from 00:00 to 23:59, like 22:00, not 360"),
    "a date without length":
        ({"dates": [{"from": "2026-12-23T12:00", "to": "2026-12-23T12:00"}]},
         ".dates[0]: a window of no length: it begins and ends at 2026-12-23T12:00"),
    "dates the wrong way round":
        ({"dates": [{"from": "2026-12-23", "to": "2026-12-22"}]},
         ".dates[0]: `from` must be before `to`"),
    "a moment after the last day":
        ({"dates": [{"from": "2026-12-23T12:00", "to": "2026-12-22"}]},
         ".dates[0]: `from` must be before `to`"),
    "a day that is none":
        ({"dates": [{"from": "2026-02-30", "to": "2026-03-01"}]},
         ".dates[0].from: the calendar has no 2026-02-30"),
    "a moment of another zone":
        ({"dates": [{"from": "2026-11-27T12:00Z", "to": "2026-12-01"}]},
         ".dates[0].from: expected a day or a local moment without a zone, like 2026-12-23 or "
         "2026-11-27T12:00, not '2026-11-27T12:00Z'"),
    "a week without a free minute":
        ({"weekly": [WEEKEND, {"from": "mon 07:00", "to": "fri 16:00"}]},
         ": its windows cover the whole week: nothing could ever advance"),
    "two halves of a week":
        (
         {"weekly": [{"from": "mon 00:00", "to": "thu 12:00"}, {"from": "thu 12:00",
          "to": "mon 00:00"}]},
         ": its windows cover the whole week: nothing could ever advance"),
    "days without a free minute":
        ({"daily": [{"from": "10:00", "to": "09:00"}, {"from": "08:00", "to": "10:00"}]},
         ": its windows cover the whole week: nothing could ever advance"),
    "a week and its days without a free minute":
        (
         {"weekly": [{"from": "mon 10:00", "to": "mon 09:00"}], "daily": [{"from": "08:30",
          "to": "10:30"}]},
         ": its windows cover the whole week: nothing could ever advance"),
    "a zone in small letters, which only some machines would take":
        ({"weekly": [WEEKEND], "zone": "europe/berlin"},
         ".zone: no time zone is called 'europe/berlin'; did you mean 'Europe/Berlin'?"),
    "a city for a zone":
        ({"weekly": [WEEKEND], "zone": "New York"},
         ".zone: no time zone is called 'New York'; did you mean 'America/New_York'?"),
    "an abbreviation, of which the nearest is hours away":
        ({"weekly": [WEEKEND], "zone": "CEST"},
         ".zone: no time zone is called 'CEST'; IANA names are like Europe/Berlin"),
    "a zone that is another on each machine":
        ({"weekly": [WEEKEND], "zone": "localtime"},
         ".zone: no time zone is called 'localtime'; IANA names are like Europe/Berlin"),
    "a path":
        ({"weekly": [WEEKEND], "zone": "../../etc/passwd"},
         ".zone: no time zone is called '../../etc/passwd'; IANA names are like Europe/Berlin"),
    "no name": ({"weekly": [WEEKEND], "zone": ""}, ".zone: must not be empty"),
    "+1": ({"weekly": [WEEKEND], "zone": 1}, ".zone: expected text, not 1"),
})  # fmt: skip
def test_a_mistake_in_a_freeze_is_one_line(freeze: Any, line: str) -> None:
    if isinstance(freeze, dict):
        freeze = {"zone": "Europe/Berlin", **freeze}
        freeze = {key: value for key, value in freeze.items() if value is not _REMOVED}
    assert mistakes(changed(freeze=freeze)) == [f"freeze{line}"]


def test_a_machine_without_time_zones_is_not_taken_for_a_wrong_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zone, "available_timezones", set)
    assert mistakes(changed(freeze={"zone": "Europe/Berlin", "weekly": [WEEKEND]})) == [
        "freeze.zone: this machine has no database of time zones: install the tzdata package"
    ]


@cases("changes, lines", {
    "a wrong window hides no wrong zone":
        ({"freeze": {"zone": "Berlin", "weekly": [{"from": "fri", "to": "mon 08:00"}]}},
         ["freeze.weekly[0].from: expected a weekday and a time, like fri 16:00, not 'fri'",
          "freeze.zone: no time zone is called 'Berlin'; did you mean 'Europe/Berlin'?"]),
    "a wrong bake hides no wrong approval":
        ({"steps__0__approval": "required", "steps__0__bake": 5},
         ["steps[0].bake: expected a number and a unit, like 90s, 10m, 1h or 2d, not 5",
          "steps[0].approval: the first step takes none: whoever starts the rollout "
         "approves it by that"]),
    "a wrong bound hides no wrong name":
        ({"criteria__works__min": 99, "criteria__works__failures": ["errors", "erors"]},
         ["criteria.works.min: expected a percent with its sign, like 99.9%, not 99",
          "criteria.works.failures[1]: no metric is called 'erors'; did you mean 'errors'?"]),
    "a wrong judge hides no wrong baseline":
        ({"criteria__fast__judge": "x", "criteria__fast__baseline__frozen": "dirct"},
         ["criteria.fast.judge: expected 'threshold' or 'sequential', not 'x'",
          "criteria.fast.baseline.frozen: no metric is called 'dirct'; "
         "did you mean 'direct'?"]),
    "a wrong bake hides neither weight nor gate":
        ({"steps__1__bake": 5, "steps__1__weight": 10, "steps__1__criteria": ["work"]},
         ["steps[1].bake: expected a number and a unit, like 90s, 10m, 1h or 2d, not 5",
          "steps[1].weight: weights must climb, but 10 follows 10",
          "steps[1].weight: the last step must have weight 100, not 10",
          "steps[1].criteria[0]: no criterion is called 'work'; did you mean 'works'?"]),
})  # fmt: skip
def test_one_mistake_in_a_part_hides_no_other(changes: dict[str, Any], lines: list[str]) -> None:
    assert mistakes(changed(**changes)) == lines


def test_a_bad_step_hides_no_bad_criterion() -> None:
    data = changed(
        steps__0__weight="10",
        steps__1__weight=99,
        criteria__works__total="nothing-like-it",
        criteria__fast__max_increase=5,
    )
    assert mistakes(data) == [
        "criteria.fast.max_increase: expected a percent with its sign, like 99.9%, not 5",
        "steps[0].weight: expected a whole number, not '10'",
        "steps[1].weight: the last step must have weight 100, not 99",
        "criteria.works.total: no metric is called 'nothing-like-it'; "
        "known: requests, errors, latency, direct",
    ]


@pytest.mark.parametrize(
    "data", [None, 5, "text", [], {}, {1: 2}, {None: {}}, {"metrics": {1: {}}, "steps": [None]}]
)
def test_data_of_any_shape_is_refused_without_a_crash(data: object) -> None:
    assert mistakes(data)


FROM_P50 = "the sequential judge needs a percentile from p50 to below p100"
OF_LATENCY = {**COUNT, "metric": "latency", "max": 500}


@pytest.mark.parametrize(
    ("criterion", "statistic", "mistake"),
    [
        pytest.param(
            {**PLAIN["criteria"]["works"], "min": "50%"}, "p95",
            "criteria.c: the sequential judge needs a `min` from 80% to below 100%",
            id="half of all requests may fail",
        ),
        pytest.param(
            {**COUNT, "max": 10, "over": "1d"}, "p95",
            "criteria.c: the sequential judge reads minutes: `over` is for a count, and at most 1h",
            id="a count in a day",
        ),
        pytest.param(
            {**OF_LATENCY, "max": 0}, "p95",
            "criteria.c.max: no request is faster than that: must be above 0, not 0",
            id="a limit of no time at all",
        ),
        pytest.param(
            {**OF_LATENCY, "max": -5}, "p95",
            "criteria.c.max: no request is faster than that: must be above 0, not -5",
            id="a limit before the request",
        ),
        *(
            pytest.param(
                OF_LATENCY, statistic,
                f"criteria.c.metric: {FROM_P50}, or a count, but latency has statistic {statistic}",
                id=f"a limit of {statistic}",
            )
            for statistic in ("p0", "p0.1", "p49.9", "p100")
        ),
        *(
            pytest.param(
                PLAIN["criteria"]["fast"], statistic,
                f"criteria.c.metric: {FROM_P50}, but latency has statistic {statistic}",
                id=f"an increase of {statistic}",
            )
            for statistic in ("p1", "p100", "Average")
        ),
    ],
)  # fmt: skip
def test_the_sequential_judge_refuses_what_it_cannot_weigh(
    criterion: dict[str, Any], statistic: str, mistake: str
) -> None:
    data = changed(
        metrics__latency__statistic=statistic,
        metrics__direct__statistic=statistic,
        criteria__c={**criterion, "judge": "sequential"},
    )
    assert mistake in mistakes(data)


@cases("criterion, statistic", {
    "four of five": ({**PLAIN["criteria"]["works"], "min": "80%"}, "p95"),
    "a count in an hour": ({**COUNT, "max": 10, "over": "1h"}, "p95"),
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


@pytest.mark.parametrize(
    ("bound", "problem"),
    [
        ({"max": 10}, None),
        ({"max": 0.5}, None),
        ({"min": 0}, None),
        ({"max": "5%"}, "criteria.c.max: expected a number in the unit of the metric, not '5%'"),
        ({"max": "5"}, "criteria.c.max: expected a number in the unit of the metric, not '5'"),
        ({"max": True}, "criteria.c.max: expected a number in the unit of the metric, not true"),
        ({"per": "requests", "max": "5%"}, None),
        (
            {"per": "requests", "max": 5},
            "criteria.c.max: expected a percent with its sign, like 99.9%, not 5",
        ),
        ({"per": 5, "max": "5%"}, "criteria.c.per: expected text, not 5"),
        ({}, "criteria.c: needs either `max` or `min`"),
        ({"max": 1, "min": 1}, "criteria.c: needs either `max` or `min`"),
    ],
)
def test_a_threshold_has_one_bound_in_the_unit_of_what_it_measures(
    bound: dict[str, Any], problem: str | None
) -> None:
    criterion = {"kind": "threshold", "judge": "threshold", "metric": "errors", **bound}
    data = changed(criteria__c=criterion)
    if problem is None:
        assert "c" in parse(data).criteria
    else:
        assert mistakes(data) == [problem]


def test_a_ratio_needs_counts_on_both_sides() -> None:
    criterion = {"kind": "threshold", "judge": "threshold", "metric": "latency", "max": "5%"}
    data = changed(criteria__c={**criterion, "per": "requests"})
    assert mistakes(data) == [
        "criteria.c.metric: a ratio needs counts (Sum), but latency has statistic p95"
    ]


@cases("changes", {
    "only one metric says its unit": {"metrics__direct__unit": _REMOVED},
    "a bake of one window of a minute":
        {"criteria__works__over": "1m", "criteria__works__failure_limit": 1,
         "criteria__fast__over": "1m", "steps__0__bake": "1m"},
    "a bake of as many windows as fail": {"criteria__works__over": "20m"},
    "silence that may pass":
        {"criteria__few": {**COUNT, "max": 1, "min_samples": 0},
         "metrics__errors__missing": "zero"},
    "silence that is too little":
        {"criteria__some": {**COUNT, "min": 1}, "metrics__errors__missing": "zero"},
    "what is no count may be below 0, and a share has samples of its own":
        {"criteria__cold": {**COUNT, "metric": "latency", "min": -1}, "criteria__share": {**COUNT,
         "per": "requests", "max": "1%"}, "metrics__errors__missing": "zero"},
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


def test_a_metric_may_be_compared_with_its_own_past() -> None:
    data = changed(
        criteria__fast__baseline={"frozen": "latency", "over": "24h"}, metrics__direct=_REMOVED
    )
    assert parse(data).criteria["fast"].window == timedelta(minutes=5)


def test_a_frozen_baseline_ends_where_data_are_settled() -> None:
    now, settle = datetime(2026, 11, 24, 12, tzinfo=UTC), timedelta(minutes=3)
    relative = FrozenBaseline.model_validate({"frozen": "direct", "over": "1h"})
    assert relative.window(now, settle) == (
        datetime(2026, 11, 24, 10, 57, tzinfo=UTC),
        datetime(2026, 11, 24, 11, 57, tzinfo=UTC),
    )
    absolute = FrozenBaseline.model_validate(
        {"frozen": "direct", "from": "2026-11-20T01:00:00+01:00", "to": "2026-11-21T00:00:00Z"}
    )
    assert absolute.window(now, settle) == (
        datetime(2026, 11, 20, tzinfo=UTC),
        datetime(2026, 11, 21, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("baseline", "problem"),
    [
        ({"from": "2026-11-20", "to": "2026-11-21T00:00:00Z"}, "expected a moment with its time"),
        ({"from": "2026-11-20T00:00:00", "to": "2026-11-21T00:00:00Z"}, "expected a moment"),
        ({"from": 1763596800, "to": "2026-11-21T00:00:00Z"}, "expected a moment"),
        ({"from": "2026-11-21T00:00:00Z", "to": "2026-11-20T00:00:00Z"}, "`from` must be before"),
        ({"from": "2026-11-21T00:00:00Z", "to": "2026-11-21T01:00:00+01:00"}, "`from` must be"),
        ({"from": "2026-11-21T00:00:00Z"}, "needs both `from` and `to`"),
        ({"from": "2026-11-21T00:00:00Z", "over": "1h"}, "needs either `over`, or"),
    ],
)
def test_a_frozen_window_is_given_in_one_form(baseline: dict[str, Any], problem: str) -> None:
    lines = mistakes(changed(criteria__fast__baseline={"frozen": "direct", **baseline}))
    assert len(lines) == 1
    assert problem in lines[0]


def test_a_step_without_a_list_has_every_criterion_and_the_policys_warmup() -> None:
    policy = parse(changed(steps__0__criteria=["works"], steps__0__warmup="0s", warmup="5m"))
    assert [list(policy.gate(step)) for step in (0, 1)] == [["works"], ["works", "fast"]]
    assert [policy.warmup_of(step) for step in (0, 1)] == [timedelta(0), timedelta(minutes=5)]


def test_a_gate_holds_twice_the_bake_unless_the_policy_says_otherwise() -> None:
    assert parse(PLAIN).max_hold_of(0) == timedelta(hours=2)
    assert parse(changed(max_hold="0s")).max_hold_of(0) == timedelta(0)


def test_an_approval_is_needed_where_it_is_required() -> None:
    policy = parse(changed(steps__1__approval="required"))
    assert [policy.needs_approval(step) for step in (0, 1)] == [False, True]


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


def test_a_freeze_is_stored_as_it_was_written() -> None:
    freeze = {
        "zone": "Europe/Berlin",
        "weekly": [WEEKEND],
        "daily": [{"from": "22:00", "to": "06:00"}],
        "dates": [{"from": "2026-12-23", "to": "2027-01-02T08:00"}],
    }
    assert json.loads(parse(changed(freeze=freeze)).snapshot())["freeze"] == freeze


def test_the_digest_of_a_policy_outlives_new_fields_that_it_does_not_use() -> None:
    """A rollout that started with it would be refused its own policy otherwise."""
    digest = "abfd4bd859c3b393bcf88f5f74c686e3e31905e6b0175276e269962490990f56"
    assert parse(PLAIN).digest() == digest


def test_the_digest_follows_the_meaning_not_the_spelling() -> None:
    same = parse(changed(steps__0__bake="60m", settle="180s", criteria__works__min="99.90 %"))
    other = parse(changed(steps__0__bake="61m"))
    assert same.digest() == parse(PLAIN).digest()
    assert parse(changed(metrics=dict(reversed(PLAIN["metrics"].items())))).digest() == (
        parse(PLAIN).digest()
    )
    assert other.digest() != parse(PLAIN).digest()


def test_every_criterion_names_the_metrics_that_it_reads() -> None:
    policy = parse(
        changed(
            criteria__reached={
                "kind": "traffic",
                "judge": "threshold",
                "metric": "requests",
                "control": "errors",
            },
            criteria__few={
                "kind": "threshold",
                "judge": "threshold",
                "metric": "errors",
                "per": "requests",
                "max": "1%",
            },
        )
    )
    assert {name: dict(one.references()) for name, one in policy.criteria.items()} == {
        "works": {("total",): "requests", ("failures", 0): "errors"},
        "fast": {("metric",): "latency", ("baseline", "frozen"): "direct"},
        "reached": {("metric",): "requests", ("control",): "errors"},
        "few": {("metric",): "errors", ("per",): "requests"},
    }


def test_a_threshold_knows_its_bound() -> None:
    facts = {"kind": "threshold", "judge": "threshold", "metric": "m"}
    assert Threshold.model_validate({**facts, "max": 5}).bound == 5
    assert Threshold.model_validate({**facts, "min": 0}).bound == 0
    assert Threshold.model_validate({**facts, "per": "n", "max": "5%"}).bound == 0.05


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((), ""),
        (("steps", 1, "weight"), "steps[1].weight"),
        (("criteria", "SC-004", "min"), "criteria.SC-004.min"),
        (("metrics", "a\nb"), "metrics.'a\\nb'"),
    ],
)
def test_a_place_is_written_on_one_line(place: tuple[str | int, ...], text: str) -> None:
    assert place_text(place) == text


# --- Channels -------------------------------------------------------------------------------------

_TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
_HIDDEN = "https://hooks.slack.com/services/hunter2"
_INLINE_SECRET = (
    "notify[0].webhook: a webhook URL, or any other secret, never stands in a policy: keep it in "
    "Secrets Manager and write {secret: NAME}, or in an environment variable and write "
    "{environment: NAME}"
)
_ONE_PLACE = "notify[0].webhook: names one place: either `secret` or `environment`"


@cases("channel, line", {
    "a URL": ({"kind": "slack", "webhook": _HIDDEN}, _INLINE_SECRET),
    "a secret": ({"kind": "slack", "webhook": "hunter2"}, _INLINE_SECRET),
    "a URL as a name": ({"kind": "slack", "webhook": {"environment": _HIDDEN}}, _INLINE_SECRET),
    "a URL under another key": ({"kind": "slack", "webhook": {"url": _HIDDEN}}, _INLINE_SECRET),
    "two places": ({"kind": "slack", "webhook": {"environment": "A", "secret": "b"}}, _ONE_PLACE),
    "no place": ({"kind": "slack", "webhook": {}}, _ONE_PLACE),
    "a key in the wrong place":
        ({"kind": "slack", "webhook": {"environment": "A", "hosts": "b"}},
         "notify[0].webhook.hosts: unknown key; known: secret, environment"),
    "a host that is none":
        ({"kind": "slack", "webhook": {"environment": "A"}, "hosts": ["https://x"]},
         "notify[0].hosts[0]: expected the name of a host in small letters, without a scheme, a "
         "port or a path, not 'https://x'"),
    "an unknown kind":
        ({"kind": "mail"},
         "notify[0].kind: no kind of channel is called 'mail'; known: sns, slack, eventbridge"),
    "no kind": ({"topic": _TOPIC}, "notify[0].kind: is required; one of sns, slack, eventbridge"),
    "a topic by its name":
        ({"kind": "sns", "topic": "rollouts"},
         "notify[0].topic: expected the ARN of an SNS topic, not 'rollouts'"),
    "a mistyped key":
        ({"kind": "sns", "topic": _TOPIC, "tpoic": 1},
         "notify[0].tpoic: unknown key; did you mean 'topic'?"),
    "a severity that is none":
        ({"kind": "eventbridge", "least": "loud"},
         "notify[0].least: expected 'info', 'warning' or 'critical', not 'loud'"),
})  # fmt: skip
def test_a_mistake_in_a_channel_is_reported_at_its_place_without_the_secret(
    channel: Any, line: str
) -> None:
    assert mistakes(changed(notify=[channel])) == [line]
    assert "hunter2" not in line


def test_a_list_of_channels_is_not_empty() -> None:
    assert mistakes(changed(notify=[])) == [
        "notify: needs at least one channel; leave the key out where there is none"
    ]


@cases("changes, every", {
    "no channel": ({}, None),
    "a period without a channel": ({"summary_every": "1h"}, None),
    "an hour": ({"notify": [{"kind": "eventbridge"}]}, timedelta(hours=1)),
    "as it says":
        ({"notify": [{"kind": "eventbridge"}], "summary_every": "6h"}, timedelta(hours=6)),
    "never": ({"notify": [{"kind": "eventbridge"}], "summary_every": "0s"}, None),
})  # fmt: skip
def test_a_bake_at_100_is_summed_up_where_there_is_a_channel(
    changes: dict[str, Any], every: timedelta | None
) -> None:
    assert parse(changed(**changes)).summary_period == every
