"""What is a mistake in a policy: of shape, of reference, and several at once."""

from collections.abc import Mapping
from itertools import chain
from typing import Any, TypeAlias

import pytest

from controller.policy_file import crosscheck
from tests.support.cases import cases
from tests.support.core import parse
from tests.support.policies import COUNT, PLAIN, REMOVED, changed, mistakes, places

WORKS, FAST = PLAIN["criteria"]["works"], PLAIN["criteria"]["fast"]
SEQUENTIAL = {"judge": "sequential"}
GOOD = {"namespace": "Shop", "name": "Good", "statistic": "Sum"}
OF_LATENCY = {**COUNT, "metric": "latency", "max": 500}
SHARE = {"kind": "share", "metric": "requests", "control": "others"}
OTHERS = {"namespace": "Shop", "name": "Others", "statistic": "Sum"}
BURN = {"kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99.9%"}
ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ABSENT = {"kind": "log_events", "absent": "fallback", "control": "check"}
EVENTS = {"absent": '{ $.event = "gateway" }', "present": '{ $.event = "direct" }'}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
HIDDEN = "https://hooks.slack.com/services/hunter2"
ZONE = {"zone": "Europe/Berlin"}


def span(begin: object, end: object) -> dict[str, Any]:
    return {"from": begin, "to": end}


WEEKEND = span("fri 16:00", "mon 08:00")


def pair(factor: int, long: str, short: str) -> dict[str, Any]:
    return {"factor": factor, "long": long, "short": short}


def percentile(statistic: str) -> dict[str, Any]:
    """Return the change that gives both latencies this statistic."""
    return {f"metrics__{name}__statistic": statistic for name in ("latency", "direct")}


def baseline(**window: Any) -> dict[str, Any]:
    return {"criteria__fast__baseline": {"frozen": "direct", **window}}


# By claim: the changes of a plain policy, and the places of the mistakes that are reported.
Rows: TypeAlias = Mapping[str, tuple[dict[str, Any], list[str]]]

SHAPES: Rows = {
    "one variable for both": ({"target__boolean": "PERCENT"}, ["target.boolean"]),
    "a variable that Lambda owns": ({"target__percentage": "AWS_REGION"}, ["target.percentage"]),
    "a version cannot change": ({"target__function": "handler:live"}, ["target.function"]),
    "weights that stand still":
        ({"steps__1__weight": 10, "steps": [{"weight": 10, "bake": "1h"}] * 2},
         ["steps.1.weight"]),
    "no steps": ({"steps": []}, ["steps"]),
    "a metric that does not exist":
        ({"criteria__works__total": "request"}, ["criteria.works.total"]),
    "failures that count double":
        ({"criteria__works__failures": ["errors", "errors"]}, ["criteria.works.failures.1"]),
    "a metric that no criterion uses":
        ({"metrics__spare": {"namespace": "Shop", "name": "X", "statistic": "Sum"}},
         ["metrics.spare"]),
    "an average of errors is no count":
        ({"metrics__errors__statistic": "Average"}, ["criteria.works.failures.0"]),
    "p95 against p50": ({"metrics__direct__statistic": "p50"}, ["criteria.fast.baseline.frozen"]),
    "milliseconds against seconds":
        ({"metrics__direct__unit": "s"}, ["criteria.fast.baseline.frozen"]),
    "no control at 100":
        ({"criteria__fast__baseline": {"concurrent": "direct"}}, ["steps.1.weight"]),
    "a frozen baseline without a window":
        ({"criteria__fast__baseline": {"frozen": "direct"}}, ["criteria.fast.baseline"]),
    "the same hours of one day":
        (baseline(window="24h", same_hours=True), ["criteria.fast.baseline"]),
    "a baseline that is a number": ({"criteria__fast__baseline": 300}, ["criteria.fast.baseline"]),
    "nothing is 5% above zero":
        ({"criteria__fast__baseline": {"fixed": 0}}, ["criteria.fast.baseline.fixed"]),
    "a bake in which nothing can fail": ({"criteria__works__window": "1h"}, ["steps.0.bake"]),
    "a bake without a whole window":
        ({"criteria__works__window": "2h", "criteria__works__failure_limit": 1}, ["steps.0.bake"]),
    "an approval of the start": ({"steps__0__approval": "required"}, ["steps.0.approval"]),
    "a count that is always too high":
        ({"criteria__few": {**COUNT, "max": -1}}, ["criteria.few.max"]),
    "a count that is never too low":
        ({"criteria__few": {**COUNT, "min": 0}}, ["criteria.few.min"]),
    "a share that is never too low": ({"criteria__works__min": "0%"}, ["criteria.works.min"]),
    "samples required of a metric that is absent in health":
        ({"criteria__few": {**COUNT, "max": 1}, "metrics__errors__missing": "zero"},
         ["criteria.few.min_samples"]),
    "a window that CloudWatch does not cut":
        ({"criteria__works__window": "7m"}, ["criteria.works.window"]),
    "a criterion that does not exist": ({"steps__0__criteria": ["work"]}, ["steps.0.criteria.0"]),
    "a gate of nothing": ({"steps__0__criteria": []}, ["steps.0.criteria", "steps.0.weight"]),
    "a criterion twice in a gate":
        ({"steps__0__criteria": ["works", "works"]}, ["steps.0.criteria.1"]),
    "a criterion that never gates":
        ({"steps__0__criteria": ["works"], "steps__1__criteria": ["works"]}, ["criteria.fast"]),
    "an unknown kind": ({"criteria__works__kind": "succes_rate"}, ["criteria.works.kind"]),
    "no kind": ({"criteria__works__kind": REMOVED}, ["criteria.works.kind"]),
    "windows without a judge":
        ({"criteria__works__judge": REMOVED, "criteria__works__window": "5m"}, ["criteria.works"]),
    "breaches without a judge":
        ({"criteria__works__judge": REMOVED, "criteria__works__failure_limit": 1},
         ["criteria.works.failure_limit"]),
    "a key of another tool": ({"criteria__works__minimum": "99%"}, ["criteria.works.minimum"]),
    "a format from the future": ({"version": 2}, ["version"]),
    "a default is not written as nothing": ({"evaluation_delay": None}, ["evaluation_delay"]),
    "a number where text is meant": ({"summary": 5}, ["summary"]),
    "a bound without its sign": ({"criteria__works__min": 99.9}, ["criteria.works.min"]),
    "no failures": ({"criteria__works__failures": []}, ["criteria.works.failures"]),
    "a percentile in capitals":
        ({"metrics__latency__statistic": "P95"}, ["metrics.latency.statistic"]),
    "a first weight of 0": ({"steps__0__weight": 0}, ["steps.0.weight"]),
    "no criteria": ({"criteria": {}}, ["criteria"]),
    "an approval that is none": ({"steps__0__approval": "maybe"}, ["steps.0.approval"]),
    "no channel in the list": ({"notify": []}, ["notify"]),
    "no bad request at all": ({"max_bad_requests": 0}, ["max_bad_requests"]),
    "an exposure of the start": ({"steps__0__max_bad_requests": 5}, ["steps.0.max_bad_requests"]),
    "an exposure without a count of failures":
        ({"max_bad_requests": 5, "steps__1__criteria": ["fast"]}, ["max_bad_requests"]),
    "an exposure of a step whose traffic is not counted before it":
        ({"steps__1__max_bad_requests": 5, "steps__0__criteria": ["fast"]},
         ["steps.1.max_bad_requests"]),
}  # fmt: skip

CRITERIA: Rows = {
    "a percent of a number": ({"criteria__c": {**COUNT, "max": "5%"}}, ["criteria.c.max"]),
    "a number where a ratio has percents":
        ({"criteria__c": {**COUNT, "per": "requests", "max": 5}}, ["criteria.c.max"]),
    "no bound": ({"criteria__c": COUNT}, ["criteria.c"]),
    "two bounds": ({"criteria__c": {**COUNT, "max": 1, "min": 1}}, ["criteria.c"]),
    "failures and successes":
        ({"criteria__works__successes": ["good"], "metrics__good": GOOD}, ["criteria.works"]),
    "neither failures nor successes":
        ({"criteria__works__failures": REMOVED, "metrics__errors": REMOVED}, ["criteria.works"]),
    "a ratio of a percentile":
        ({"criteria__c": {**COUNT, "metric": "latency", "per": "requests", "max": "5%"}},
         ["criteria.c.metric"]),
    "half of all requests may fail":
        ({"criteria__c": {**WORKS, "min": "50%", **SEQUENTIAL}}, ["criteria.c"]),
    "a count in a day":
        ({"criteria__c": {**COUNT, "max": 10, "window": "1d", **SEQUENTIAL}}, ["criteria.c"]),
    "a limit of no time at all":
        ({"criteria__c": {**OF_LATENCY, "max": 0, **SEQUENTIAL}}, ["criteria.c.max"]),
    "a limit of p49.9":
        ({**percentile("p49.9"), "criteria__c": {**OF_LATENCY, **SEQUENTIAL}},
         ["criteria.c.metric"]),
    "an increase of p1":
        ({**percentile("p1"), "criteria__c": {**FAST, **SEQUENTIAL}},
         ["criteria.c.metric", "criteria.c.baseline.frozen"]),
    "a day where a moment is meant":
        (baseline(**span("2026-11-20", "2026-11-21T00:00:00Z")), ["criteria.fast.baseline.from"]),
    "a moment without its zone":
        (baseline(**span("2026-11-20T00:00:00", "2026-11-21T00:00:00Z")),
         ["criteria.fast.baseline.from"]),
    "a baseline that ends before it begins":
        (baseline(**span("2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z")),
         ["criteria.fast.baseline"]),
    "a baseline without an end":
        (baseline(**{"from": "2026-11-21T00:00:00Z"}), ["criteria.fast.baseline"]),
    "a baseline in two forms":
        (baseline(**{"from": "2026-11-21T00:00:00Z", "window": "1h"}), ["criteria.fast.baseline"]),
    "a share of a percentile":
        ({"criteria__c": {**SHARE, "metric": "latency"}, "metrics__others": OTHERS},
         ["criteria.c.metric"]),
    "a share of itself":
        ({"criteria__c": {**SHARE, "control": "requests"}}, ["criteria.c.control"]),
    "a share that is certain":
        ({"criteria__c": {**SHARE, "confidence": "100%"}, "metrics__others": OTHERS},
         ["criteria.c.confidence"]),
    "a burn rate of a percentile":
        ({"criteria__c": {**BURN, "failures": ["latency"]}}, ["criteria.c.failures.0"]),
    "an objective without a budget": ({"criteria__c": {**BURN, "slo": "100%"}}, ["criteria.c.slo"]),
    "no pair of windows": ({"criteria__c": {**BURN, "windows": []}}, ["criteria.c"]),
    "windows of one length":
        ({"criteria__c": {**BURN, "windows": [pair(2, "1h", "1h")]}}, ["criteria.c"]),
    "a window between two periods":
        ({"criteria__c": {**BURN, "windows": [pair(2, "1h", "7m")]}}, ["criteria.c"]),
    "one long window twice":
        ({"criteria__c": {**BURN, "windows": [pair(2, "1h", "5m")] * 2}}, ["criteria.c"]),
    "a factor that burns nothing":
        ({"criteria__c": {**BURN, "windows": [pair(1, "1h", "5m")]}},
         ["criteria.c.windows.0.factor"]),
    "the ARN of something else": ({"criteria__c": {**ALARM, "alarm": TOPIC}}, ["criteria.c.alarm"]),
    "a name that no alarm has":
        ({"criteria__c": {**ALARM, "alarm": "a" * 256}}, ["criteria.c.alarm"]),
    "a judge of an alarm": ({"criteria__c": {**ALARM, "judge": "threshold"}}, ["criteria.c.judge"]),
    "no event": ({"criteria__c": {"kind": "log_events", "control": "check"}}, ["criteria.c"]),
    "two events": ({"criteria__c": {**ABSENT, "present": "gateway"}}, ["criteria.c"]),
    "a minimum of what is absent": ({"criteria__c": {**ABSENT, "min": 1}}, ["criteria.c"]),
    "an event that proves itself":
        ({"criteria__c": {**ABSENT, "control": "fallback"}}, ["criteria.c"]),
    "a signature of nothing": ({"criteria__c": {"kind": "attestation"}}, ["criteria.c.statement"]),
    "a sequential judge of what only reports":
        ({"criteria__c": {**WORKS, "judge": "sequential", "gates": False}}, ["criteria.c"]),
    "criteria that only report":
        ({"criteria__works__gates": False, "criteria__fast__gates": False},
         ["steps.0.weight", "steps.1.weight"]),
    "a step of a criterion that only reports":
        ({"criteria__fast__gates": False, "steps__1__criteria": ["fast"]}, ["steps.1.criteria"]),
}  # fmt: skip

ROLLBACKS: Rows = {
    "no positive control":
        ({"verify_rollback": {"absent": "gateway"}}, ["verify_rollback.present"]),
    "nothing to be absent":
        ({"verify_rollback": {"present": "direct"}}, ["verify_rollback.absent"]),
    "an ARN's end on a log group":
        ({"verify_rollback": {**EVENTS, "log_group": "/aws/lambda/handler:*"}},
         ["verify_rollback.log_group"]),
    "every event": ({"verify_rollback": {**EVENTS, "absent": ""}}, ["verify_rollback.absent"]),
    "every event, in blanks":
        ({"verify_rollback": {**EVENTS, "absent": "   "}}, ["verify_rollback.absent"]),
    "two words, which CloudWatch would find apart":
        ({"verify_rollback": {**EVENTS, "absent": "gateway call"}}, ["verify_rollback.absent"]),
    "a word that may be there":
        ({"verify_rollback": {**EVENTS, "present": "?direct"}}, ["verify_rollback.present"]),
    "no field": ({"verify_rollback": {**EVENTS, "present": "{}"}}, ["verify_rollback.present"]),
    "no words": ({"verify_rollback": {**EVENTS, "present": '""'}}, ["verify_rollback.present"]),
    "one event for both":
        ({"verify_rollback": {**EVENTS, "present": EVENTS["absent"]}}, ["verify_rollback.present"]),
}  # fmt: skip

FREEZES: Rows = {
    "no zone": ({"freeze": {**ZONE, "weekly": [WEEKEND], "zone": REMOVED}}, ["freeze.zone"]),
    "no window": ({"freeze": ZONE}, ["freeze"]),
    "more windows than anybody means":
        ({"freeze": {**ZONE, "weekly": [WEEKEND] * 51}}, ["freeze.weekly"]),
    "no end": ({"freeze": {**ZONE, "dates": [{"from": "2026-12-23"}]}}, ["freeze.dates.0.to"]),
    "an unknown weekday":
        ({"freeze": {**ZONE, "weekly": [span("fry 16:00", "mon 08:00")]}},
         ["freeze.weekly.0.from"]),
    "a time that no clock shows":
        ({"freeze": {**ZONE, "weekly": [span("fri 16:00", "mon 24:00")]}}, ["freeze.weekly.0.to"]),
    "a week without length":
        ({"freeze": {**ZONE, "weekly": [span("fri 16:00", "fri 16:00")]}}, ["freeze.weekly.0"]),
    "a day without length":
        ({"freeze": {**ZONE, "daily": [span("22:00", "22:00")]}}, ["freeze.daily.0"]),
    "a date without length":
        ({"freeze": {**ZONE, "dates": [span("2026-12-23T12:00", "2026-12-23T12:00")]}},
         ["freeze.dates.0"]),
    "dates the wrong way round":
        ({"freeze": {**ZONE, "dates": [span("2026-12-23", "2026-12-22")]}}, ["freeze.dates.0"]),
    "a day that is none":
        ({"freeze": {**ZONE, "dates": [span("2026-02-30", "2026-03-01")]}},
         ["freeze.dates.0.from"]),
    "a moment of another zone":
        ({"freeze": {**ZONE, "dates": [span("2026-11-27T12:00Z", "2026-12-01")]}},
         ["freeze.dates.0.from"]),
    "a week without a free minute":
        ({"freeze": {**ZONE, "weekly": [WEEKEND, span("mon 07:00", "fri 16:00")]}}, ["freeze"]),
    "days without a free minute":
        ({"freeze": {**ZONE, "daily": [span("10:00", "09:00"), span("08:00", "10:00")]}},
         ["freeze"]),
    "a week and its days without a free minute":
        ({"freeze": {**ZONE, "weekly": [span("mon 10:00", "mon 09:00")], "daily": [span("08:30",
          "10:30")]}},
         ["freeze"]),
    "a zone in small letters, which only some machines would take":
        ({"freeze": {**ZONE, "weekly": [WEEKEND], "zone": "europe/berlin"}}, ["freeze.zone"]),
    "an abbreviation, of which the nearest is hours away":
        ({"freeze": {**ZONE, "weekly": [WEEKEND], "zone": "CEST"}}, ["freeze.zone"]),
    "a zone that is another on each machine":
        ({"freeze": {**ZONE, "weekly": [WEEKEND], "zone": "localtime"}}, ["freeze.zone"]),
    "a path":
        ({"freeze": {**ZONE, "weekly": [WEEKEND], "zone": "../../etc/passwd"}}, ["freeze.zone"]),
}  # fmt: skip

CHANNELS: Rows = {
    "a URL": ({"notify": [{"kind": "slack", "webhook": HIDDEN}]}, ["notify.0.webhook"]),
    "a secret": ({"notify": [{"kind": "slack", "webhook": "hunter2"}]}, ["notify.0.webhook"]),
    "a URL under another key":
        ({"notify": [{"kind": "slack", "webhook": {"url": HIDDEN}}]}, ["notify.0.webhook"]),
    "two places":
        ({"notify": [{"kind": "slack", "webhook": {"environment": "A", "secret": "b"}}]},
         ["notify.0.webhook"]),
    "a key in the wrong place":
        ({"notify": [{"kind": "slack", "webhook": {"environment": "A", "hosts": "b"}}]},
         ["notify.0.webhook.hosts"]),
    "a host that is none":
        ({"notify": [{"kind": "slack", "webhook": {"environment": "A"}, "hosts": ["https://x"]}]},
         ["notify.0.hosts.0"]),
    "a topic by its name": ({"notify": [{"kind": "sns", "topic": "rollouts"}]}, ["notify.0.topic"]),
    "a severity that is none":
        ({"notify": [{"kind": "eventbridge", "min_severity": "loud"}]}, ["notify.0.min_severity"]),
}  # fmt: skip

SEVERAL: Rows = {
    "a wrong window hides no wrong zone":
        ({"freeze": {"zone": "Berlin", "weekly": [span("fri", "mon 08:00")]}},
         ["freeze.weekly.0.from", "freeze.zone"]),
    "a wrong bake hides neither weight nor gate":
        ({"steps__1__bake": 5, "steps__1__weight": 10, "steps__1__criteria": ["work"]},
         ["steps.1.bake", "steps.1.weight", "steps.1.criteria.0"]),
    "a bad step hides no bad criterion":
        ({"steps__0__weight": "10", "steps__1__weight": 99,
          "criteria__works__total": "nothing-like-it", "criteria__fast__max_increase": 5},
         ["criteria.fast.max_increase", "steps.0.weight", "steps.1.weight",
          "criteria.works.total"]),
}  # fmt: skip

PARTS: Mapping[str, Rows] = {
    "shape": SHAPES,
    "criterion": CRITERIA,
    "verify_rollback": ROLLBACKS,
    "freeze": FREEZES,
    "notify": CHANNELS,
    "several": SEVERAL,
}


ALL = dict(chain.from_iterable(
    ((f"{part}: {claim}", row) for claim, row in rows.items()) for part, rows in PARTS.items()
))  # fmt: skip


def texts() -> dict[str, str]:
    """Return the lines that are reported in each case."""
    return {
        claim: "\n".join(f"{place}: {text}" for place, text in mistakes(policy(changes)))
        for claim, (changes, _) in ALL.items()
    }


def policy(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain policy with these changes."""
    data = changed(**changes)
    if isinstance(data.get("freeze"), dict):
        freeze = data["freeze"]
        data["freeze"] = {key: value for key, value in freeze.items() if value is not REMOVED}
    return data


@cases("changes, expected", ALL)
def test_each_mistake_is_reported_once_at_its_place_and_hides_no_other(
    changes: Mapping[str, Any], expected: list[str]
) -> None:
    assert places(policy(changes)) == expected


def test_two_days_are_enough_for_the_same_hours() -> None:
    read = parse(changed(**baseline(window="2d", same_hours=True)))
    assert set(read.criteria) == set(PLAIN["criteria"])


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    for changes, _ in CHANNELS.values():
        assert "hunter2" not in str(mistakes(changed(**changes)))


def test_a_machine_without_time_zones_is_not_taken_for_a_wrong_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crosscheck, "available_timezones", set)
    ((place, text),) = mistakes(changed(freeze={**ZONE, "weekly": [WEEKEND]}))
    assert (place, "tzdata" in text) == ("freeze.zone", True)


@pytest.mark.parametrize(
    "data", [None, 5, "text", [], {}, {1: 2}, {None: {}}, {"metrics": {1: {}}, "steps": [None]}]
)
def test_data_of_any_shape_is_refused_without_a_crash(data: object) -> None:
    assert mistakes(data)
