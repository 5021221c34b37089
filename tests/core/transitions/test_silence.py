"""Silence at 100%: a canary whose requests end when it gets all traffic is a critical message."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import (
    Condition,
    ConditionKind,
    Notice,
    Observation,
    Observed,
    Phase,
    Policy,
    QueryStatus,
    Rollout,
    Series,
    Severity,
    StepInterval,
    decide,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_series, with_facts
from tests.support.three_steps import at_weight

WORKS = {"kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99%"}
# What the canary counted in the half hour before 100% was applied, at noon.
EARLIER = 30
BUSY: Sequence[float | None] = [100] * EARLIER
ONE_IN_FIVE_MINUTES: Sequence[float | None] = [1, None, None, None, None] * (EARLIER // 5)
# Requests of each minute, but most of them in clumps.
CLUMPS: Sequence[float | None] = [300, *[None] * 9] * (EARLIER // 10)


def policy(**works: Any) -> Policy:
    steps = [*LADDER["steps"][:2], {"weight": 100, "bake": "2h"}]
    return a_policy(
        criteria={"works": {**WORKS, **works}}, steps=steps, notify=[{"kind": "eventbridge"}]
    )


def raised(weight: int = 100, **works: Any) -> Rollout:
    """Return a rollout whose `weight` was applied at noon, after half an hour with less."""
    begin = int((NOON - EARLIER * MINUTE).timestamp())
    earlier = StepInterval(1, begin, begin, int(NOON.timestamp()))
    return with_facts(at_weight(weight, policy=policy(**works)), intervals=(earlier,))


def counted(
    requests: Iterable[float | None],
    answer: QueryStatus = QueryStatus.COMPLETE,
    every: int = 1,
) -> Mapping[str, Series]:
    """Return the requests of periods of `every` minutes, from half an hour before noon on."""
    begin, length = NOON - EARLIER * MINUTE, every * MINUTE
    found = a_series([*requests], every=length, start=begin, answer=answer)
    return {
        f"requests:Sum@{every * 60}": found,
        f"errors:Sum@{every * 60}": a_series([], every=length, start=begin),
    }


def ticks(
    rollout: Rollout, series: Mapping[str, Series], minutes: Iterable[int], weight: int = 100
) -> tuple[Rollout, list[tuple[int, Notice]]]:
    """Return `rollout` after ticks at `minutes` after noon, and their critical notices."""
    notices: list[tuple[int, Notice]] = []
    for minute in minutes:
        observed = Observed(Observation(a_reading(weight), series))
        decision = decide(rollout, observed, NOON + minute * MINUTE)
        notices += [
            (minute, notice) for notice in decision.notices if notice.severity is Severity.CRITICAL
        ]
        rollout = decision.rollout
    return rollout, notices


def first_alarm(rollout: Rollout, series: Mapping[str, Series], weight: int = 100) -> int | None:
    """Return at which minute after noon the first critical notice comes, in an hour of ticks."""
    _, notices = ticks(rollout, series, range(1, 61), weight)
    return notices[0][0] if notices else None


# The evaluation delay of the policy.
SETTLED = int(policy().evaluation_delay / MINUTE)


@cases("rollout, series, weight, minute", {
    "steady requests before": (raised(), counted(BUSY), 100, 5 + SETTLED),
    "a request in the first minute": (raised(), counted([*BUSY, 1]), 100, None),
    "zeros are no requests": (raised(), counted([*BUSY, *[0] * 60]), 100, 5 + SETTLED),
    "a request now and then": (raised(), counted([*BUSY, *[None] * 3, 1]), 100, None),
    "one request in five minutes before":
        (raised(), counted(ONE_IN_FIVE_MINUTES), 100, None),
    "many requests in few minutes before": (raised(), counted(CLUMPS), 100, None),
    "no request before": (raised(), counted([]), 100, None),
    "a query without an answer":
        (raised(), counted(BUSY, QueryStatus.PARTIAL), 100, None),
    "less than all traffic": (raised(50), counted(BUSY), 50, None),
    "a weight that an operator lowered": (raised(), counted(BUSY), 50, None),
    "taken over at 100%": (at_weight(100, policy=policy()), counted(BUSY), 100, 5 + SETTLED),
    "windows of five minutes with many requests":
        (raised(judge="threshold", window="5m"), counted([500] * 6, every=5), 100, 5 + SETTLED),
    "windows of five minutes with a request":
        (raised(judge="threshold", window="5m"), counted([1] * 6, every=5), 100, 40 + SETTLED),
    "windows of an hour":
        (raised(judge="threshold", window="1h"), counted([500], every=60), 100, None),
})  # fmt: skip
def test_silence_since_the_raise_to_100_is_critical_where_it_is_unlikely(
    rollout: Rollout, series: Mapping[str, Series], weight: int, minute: int | None
) -> None:
    assert first_alarm(rollout, series, weight) == minute


def test_it_is_repeated_as_a_page_until_it_is_acknowledged_and_rolls_nothing_back() -> None:
    rollout, notices = ticks(raised(), counted(BUSY), range(1, 60))
    first = 5 + SETTLED
    assert [minute for minute, _ in notices] == list(range(first, 60, 15))
    assert (rollout.phase, rollout.weight) == (Phase.PROGRESSING, 100)
    condition = rollout.conditions[ConditionKind.SILENT]
    known = rollout.with_condition(
        ConditionKind.SILENT, Condition(**{**_facts(condition), "acknowledged": True})
    )
    assert ticks(known, counted(BUSY), range(60, 90))[1] == []


def _facts(condition: Condition) -> dict[str, Any]:
    return {name: getattr(condition, name) for name in condition.__struct_fields__}


def test_it_outlasts_the_minutes_before_it_and_ends_with_the_first_request() -> None:
    rollout, _ = ticks(raised(), counted(BUSY), range(1, 20))
    blind, _ = ticks(rollout, counted(BUSY, QueryStatus.ERROR), range(20, 22))
    silent, _ = ticks(blind, counted([]), range(22, 24))
    assert ConditionKind.SILENT in silent.conditions
    heard, _ = ticks(silent, counted([*[None] * (EARLIER + 21), 7]), range(24, 25))
    assert ConditionKind.SILENT not in heard.conditions


# An hour at 50%, then all traffic.
AN_HOUR = 60


def raised_after_an_hour(bake: str = "1h") -> Rollout:
    """Return a rollout whose 100% was applied at noon, after `bake` at 50%."""
    steps = [{"weight": 50, "bake": bake}, {"weight": 100, "bake": "2h"}]
    parts = {"criteria": {"works": WORKS}, "notify": [{"kind": "eventbridge"}]}
    return at_weight(100, policy=a_policy(steps=steps, **parts))


def around_noon(before: Sequence[float], since: Sequence[float]) -> Mapping[str, Series]:
    """Return the requests of the last hour at 50%, and those since 100% was applied."""
    return {
        "requests:Sum@60": a_series([*before, *since], start=NOON - AN_HOUR * MINUTE),
        "errors:Sum@60": a_series([], start=NOON - AN_HOUR * MINUTE),
    }


def falling(first: float, minutes: range, share_lost_an_hour: float) -> list[float]:
    """Return requests that become fewer, by the same share in each hour."""
    return [round(first * (1 - share_lost_an_hour) ** (minute / 60)) for minute in minutes]


STEADY = [100] * AN_HOUR
HOURLY_JOB = [1000 if minute in range(10, 20) else 100 for minute in range(AN_HOUR)]
WAVES = [100 + 40 * (-1) ** (minute // 10) for minute in range(AN_HOUR)]
UNEVEN = [150 if minute // 5 % 2 else 100 for minute in range(AN_HOUR)]
NIGHT = falling(200, range(AN_HOUR), 0.4)


@cases("rollout, before, since, minute", {
    "all of the traffic": (raised_after_an_hour(), STEADY, [200] * 60, None),
    "an eighth is missing": (raised_after_an_hour(), STEADY, [175] * 60, None),
    "a third is missing": (raised_after_an_hour(), STEADY, [133] * 60, 20 + SETTLED),
    "nine in ten are missing": (raised_after_an_hour(), STEADY, [20] * 60, 20 + SETTLED),
    "it begins ten minutes after the raise":
        (raised_after_an_hour(), STEADY, [200] * 10 + [60] * 50, 26 + SETTLED),
    "it begins an hour after the raise":
        (raised_after_an_hour(), STEADY, [200] * 40 + [60] * 50, None),
    "the end of an hourly job": (raised_after_an_hour(), HOURLY_JOB, [200] * 60, None),
    "waves": (raised_after_an_hour(), WAVES, [140] * 60, None),
    "fewer, where blocks vary by a half": (raised_after_an_hour(), UNEVEN, [190] * 60, None),
    "a night": (raised_after_an_hour(), NIGHT, falling(240, range(60), 0.4), None),
    "half is missing in a night":
        (raised_after_an_hour(), NIGHT, falling(120, range(60), 0.4), 20 + SETTLED),
    "half an hour at 50% is too short to say":
        (raised_after_an_hour("30m"), STEADY, [20] * 60, None),
})  # fmt: skip
def test_requests_that_are_missing_since_the_raise_to_100_are_critical(
    rollout: Rollout, before: Sequence[float], since: Sequence[float], minute: int | None
) -> None:
    assert first_alarm(rollout, around_noon(before, since)) == minute


def test_a_query_that_was_answered_in_part_shows_no_loss() -> None:
    series = around_noon(STEADY, [60] * 60)
    partial = {key: replace(one, status=QueryStatus.PARTIAL) for key, one in series.items()}
    assert first_alarm(raised_after_an_hour(), partial) is None


def test_a_loss_stays_until_the_weight_is_lower_and_rolls_nothing_back() -> None:
    series = around_noon(STEADY, [60] * 40 + [200] * 20)
    rollout, notices = ticks(raised_after_an_hour(), series, range(1, 58))
    first = 20 + SETTLED
    assert [minute for minute, _ in notices] == list(range(first, 58, 15))
    assert notices[0][1].kind == "lost_requests"
    assert "counted 1,200 in 20 minutes" in rollout.conditions[ConditionKind.SILENT].text
    assert (rollout.phase, rollout.weight) == (Phase.PROGRESSING, 100)
    lowered, _ = ticks(rollout, series, range(58, 59), weight=50)
    assert ConditionKind.SILENT not in lowered.conditions


@cases("namespace, minute", {
    "a metric of AWS, which ends there": ("AWS/Lambda", None),
    "a metric of the application, which does not": ("Shop", 5 + SETTLED),
})  # fmt: skip
def test_a_metric_that_ends_at_100_by_design_is_not_silent(
    namespace: str, minute: int | None
) -> None:
    """AWS counts no version of an alias by itself once one version has all requests."""
    alias = {"kind": "lambda-alias", "function": "handler", "alias": "live",
             "canary": "2", "stable": "1"}  # fmt: skip
    by_version = {"FunctionName": "handler", "Resource": "handler:live", "ExecutedVersion": "2"}
    metrics = {
        name: {"namespace": namespace, "name": name, "statistic": "Sum",
               "dimensions": by_version, "missing": "zero"}
        for name in ("requests", "errors")
    }  # fmt: skip
    ended = raised()
    parts = {"criteria": {"works": WORKS}, "target": alias, "metrics": metrics}
    by_alias = with_facts(
        at_weight(100, policy=a_policy(**parts)), intervals=ended.evidence.intervals
    )
    assert first_alarm(by_alias, counted(BUSY)) == minute


def _silence() -> str:
    rollout, _ = ticks(raised(), counted(BUSY), range(1, 10))
    return rollout.conditions[ConditionKind.SILENT].text


SENTENCES: Sentences = {"silent since 100%": _silence}
