"""Every kind of criterion and of target is on every surface, or is named there as left out."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from controller.core.judge.criterion_judge import judge_of
from controller.core.policy.comparison import Comparison
from controller.core.policy.criteria import CRITERIA
from controller.core.policy.judge_settings import Criterion, MeasuredCriterion
from controller.core.policy.kind_registry import STORED, Registry
from controller.core.policy.metric_uses import MetricName, StableLatencyMetric
from controller.core.policy.notify import CHANNELS
from controller.core.policy.sources import SOURCES
from controller.core.policy.targets import TARGETS
from controller.core.units import PercentUpTo
from controller.errors import PolicyError, UsageError
from controller.operations.recorded.exposure import exposure_of
from controller.operations.recorded.series import WeightSpan
from controller.policy_file.crosscheck import crosscheck
from controller.policy_file.partial_policy import parse_partial
from controller.policy_file.rules import RequiredCriterion
from controller.render.page import plain_text
from controller.testing import installed
from controller.tools.backtest.faults import parse_fault
from controller.tools.metrics.expected import metric_views, span_of
from controller.tools.metrics.gauges import gauges
from controller.tools.monitoring.wanted_stack import desired_monitoring
from controller.tools.permanent import permanent_data
from controller.tools.plan.detection_page import power_page
from controller.tools.plan.power import power_of
from controller.tools.report import RolloutHistory, criteria_reports, make_report
from controller.tools.report.html import report_html
from controller.tools.simulation.scenario.metric_roles import Identity, roles_of
from tests.examples.latency_spread import LatencySpread
from tests.support.core import Policy, Series
from tests.support.rollouts import LADDER, NOON, a_rollout

HOUR = timedelta(hours=1)
METRICS: Mapping[str, Any] = {
    "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
    "direct": {"namespace": "Shop", "name": "Direct", "statistic": "Sum"},
    "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum", "missing": "zero"},
    "failed": {"namespace": "Shop", "name": "Failed", "statistic": "Sum", "missing": "zero"},
    "retries": {"namespace": "Shop", "name": "Retries", "statistic": "Sum", "missing": "zero"},
    "p99": {"namespace": "Shop", "name": "Latency", "statistic": "p99", "unit": "ms"},
    "p50": {"namespace": "Shop", "name": "Latency", "statistic": "p50", "unit": "ms"},
    "stable": {"namespace": "Shop", "name": "Stable", "statistic": "p99", "unit": "ms"},
}
STABLE_PATH = {"direct", "failed", "stable"}
SPREAD = {"metric": "p99", "usual": "p50", "max": 3}
CASES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "success_rate": (
        {"total": "requests", "failures": ["errors"], "min": "99.9%"},
        {"total": "requests", "successes": ["errors"], "min": "99.9%", "judge": "threshold"},
        {
            "total": "requests", "failures": ["errors"], "min": "99.9%",
            "control": {"total": "direct", "failures": ["failed"]},
        },
    ),
    "latency_increase": tuple(
        {"metric": "p99", "max_increase": "5%", "baseline": one, "judge": "threshold"}
        for one in (
            {"concurrent": "stable"}, {"frozen": "stable", "window": "24h"}, {"fixed": 200.0},
        )
    ),
    "threshold": (
        {"metric": "p99", "max": 500, "judge": "threshold"},
        {"metric": "errors", "max": 9, "min_samples": 0},
        {"metric": "errors", "per": "requests", "max": "1%"},
    ),
    "traffic": ({"metric": "requests", "control": "direct"},),
    "share": ({"metric": "requests", "control": "direct"},),
    "burn_rate": ({"total": "requests", "failures": ["errors"], "slo": "99.9%"},),
    "alarm": ({"alarm": "errors"},),
    "log_events": ({"absent": "fallback", "control": "request"},),
    "attestation": ({"statement": "It was tried."},),
    "latency_spread": (SPREAD,),
    "computed": (SPREAD,),
    "own_latency": ({"metric": "p99"},),
    "two_paths": ({"metric": "p99", "stable": "stable"},),
    "retried": ({"retries": "retries", "total": "requests", "max": "5%"},),
    "retried_by_evidence": (
        {"metric": "retries", "per": "requests", "max": "5%"},
        {"metric": "retries", "per": "requests", "max": "5%", "judge": "threshold"},
    ),
    "own_judge": ({},),
    "not_installed": ({},),
}  # fmt: skip


class ComputedSpread(LatencySpread):
    """A kind of another package that says only how its value is computed."""

    kind: Literal["computed"]  # type: ignore[assignment] # another kind, on purpose

    def compares(self) -> tuple[Comparison, ...]:
        return MeasuredCriterion.compares(self)


class OwnLatency(MeasuredCriterion):
    """A kind of another package that leaves the unit to its metric."""

    kind: Literal["own_latency"]
    metric: MetricName

    @property
    def bound(self) -> float:
        return 500.0

    @property
    def subject(self) -> str:
        return self.metric

    def value(self, points: Mapping[str, float]) -> tuple[float, float] | None:
        found = points.get(self.metric)
        return None if found is None else (found, 1.0)


class TwoPaths(OwnLatency):
    """A kind of another package that compares the canary with the stable path."""

    kind: Literal["two_paths"]  # type: ignore[assignment] # another kind, on purpose
    stable: StableLatencyMetric


class OwnJudge(Criterion):
    """A kind of another package that says nothing of what it compares."""

    judged_by: ClassVar[str] = "controller.core.judge.criterion_judge:CriterionJudge"

    kind: Literal["own_judge"]


@pytest.fixture(autouse=True)
def packages() -> Iterator[None]:
    kinds = {
        "latency_spread": "tests.examples.latency_spread:LatencySpread",
        "computed": f"{__name__}:ComputedSpread",
        "own_judge": f"{__name__}:OwnJudge",
        "retried": "tests.support.retried:Retried",
        "retried_by_evidence": "tests.support.retried:RetriedByEvidence",
        "own_latency": f"{__name__}:OwnLatency",
        "two_paths": f"{__name__}:TwoPaths",
    }
    with (
        installed("rolloutctl.criteria", kinds),
        installed(
            "rolloutctl.targets", {"dynamodb-flag": "tests.examples.dynamodb_flag:DynamoDbFlag"}
        ),
    ):
        yield


def policy_with(criterion: Mapping[str, Any], **parts: Any) -> Policy:
    """Return a policy whose only criterion, `it`, is this one."""
    metrics = {name: metric for name, metric in METRICS.items() if f"'{name}'" in str(criterion)}
    whole = {**LADDER, "metrics": metrics, "criteria": {"it": criterion}, **parts}
    return Policy.model_validate(whole, context=STORED)


every_criterion = pytest.mark.parametrize(
    "criterion",
    [
        pytest.param({"kind": kind, **one}, id=f"{kind}-{index}")
        for kind, listed in CASES.items()
        for index, one in enumerate(listed)
    ],
)


def test_each_kind_is_among_the_cases() -> None:
    missing = set(CRITERIA.names()) - set(CASES)
    assert not missing, f"add a criterion of each to CASES: {sorted(missing)}"


@every_criterion
def test_what_it_compares_with_counts_the_stable_path(criterion: Mapping[str, Any]) -> None:
    paths = {name: "stable" if name in STABLE_PATH else "canary" for name in METRICS}
    counts = policy_with(criterion).counts
    assert counts == {name: paths[name] for name in counts}


@every_criterion
def test_what_counts_requests_has_to_be_a_count(criterion: Mapping[str, Any]) -> None:
    policy = policy_with(criterion)
    it = policy.criteria["it"]
    averages = {
        name: metric.model_copy(update={"statistic": "Average"})
        for name, metric in policy.metrics.items()
    }
    refused = {place for place, _ in it.metric_problems(averages)}
    assert refused >= {one.place for one in it.references if one.use.is_count}


@every_criterion
def test_a_rehearsal_publishes_its_metrics_or_names_them(criterion: Mapping[str, Any]) -> None:
    policy = policy_with(criterion)
    known = {one.metric for one in policy.criteria["it"].references if one.use.measures}
    try:
        assert roles_of(policy, {}).keys() == set(map(Identity.of, policy.metrics.values()))
    except PolicyError as error:
        named = [one for one in policy.metrics if f"metrics.{one}: it is unknown" in str(error)]
        assert named
        assert known.isdisjoint(named)


@every_criterion
def test_the_owner_of_a_store_can_bound_what_is_a_percent(criterion: Mapping[str, Any]) -> None:
    it = policy_with(criterion).criteria["it"]
    for field in {one.field for one in it.comparisons} - {""}:
        is_percent = any(
            isinstance(mark, PercentUpTo) for mark in type(it).model_fields[field].metadata
        )
        rule: dict[str, Any] = {"kind": it.kind, field: "50%"}
        if is_percent:
            assert RequiredCriterion.model_validate(rule).bounds == {field: 0.5}
        else:
            with pytest.raises(ValidationError, match=f"`{field}` is no bound of {it.kind}"):
                RequiredCriterion.model_validate(rule)


@every_criterion
def test_a_backtest_can_add_a_fault_to_what_it_judges(criterion: Mapping[str, Any]) -> None:
    arrives = {"kind": "traffic", "metric": "requests"}
    metrics = {name: metric for name, metric in METRICS.items() if f"'{name}'" in str(criterion)}
    policy = policy_with(
        criterion,
        criteria={"it": criterion, "arrives": arrives},
        metrics={**metrics, "requests": METRICS["requests"]},
    )
    for named in policy.criteria["it"].judged:
        is_count = policy.metrics[named.metric].is_count
        text = f"{named.metric}=5%@10" if is_count else "latency=+20%@10"
        assert parse_fault(text, policy).size > 0


@every_criterion
def test_a_mistake_in_it_hides_no_metric_that_is_not_there(criterion: Mapping[str, Any]) -> None:
    policy = policy_with(criterion)
    written = {**policy.model_dump(mode="json", by_alias=True), "metrics": {}}
    written["criteria"]["it"] = {**criterion, "colour": "red"}
    named = {problem.message for problem in crosscheck(parse_partial(written))}
    for metric in policy.criteria["it"].metric_names:
        assert any(text.startswith(f"no metric is called '{metric}'") for text in named)


def test_a_value_of_both_paths_is_refused_where_the_stable_path_has_no_traffic() -> None:
    control = {"kind": "two_paths", "metric": "p99", "stable": "stable"}
    policy = policy_with(control, steps=[{"weight": 10, "bake": "1h"}])
    steps = [{"weight": weight, "bake": "1h"} for weight in (10, 100)]
    written = {**policy.model_dump(mode="json", by_alias=True, exclude_none=True), "steps": steps}
    (problem,) = crosscheck(parse_partial(written))
    assert problem.place == ("steps", 1, "weight")
    assert "compares with a concurrent control, which has no traffic at 100" in problem.message


@every_criterion
def test_a_start_as_a_fix_takes_its_worst_value_for_its_bound(criterion: Mapping[str, Any]) -> None:
    policy = policy_with(criterion)
    judge, it = judge_of("it", policy.criteria["it"], policy), policy.criteria["it"]
    minutes = range(int((NOON - HOUR).timestamp()), int(NOON.timestamp()), 60)
    series = {key: Series(dict.fromkeys(minutes, 90.0)) for key in judge.queries}
    worst = judge.worst_value(series, minutes[:: max(1, judge.period_s // 60)])
    takes_one = any(it.with_bound(bound) != it for bound in (0.0, 1e6))
    assert takes_one is (worst is not None)


@pytest.mark.parametrize("kind", CRITERIA.built_in)
def test_the_page_of_judges_describes_it(kind: str) -> None:
    page = Path("docs/contributors/judging.md").read_text()
    assert f"\n### {kind}\n" in page, f"docs/contributors/judging.md needs a section ### {kind}"
    assert f"[{kind}](#{kind})" in page, f"the list at its top needs a link [{kind}](#{kind})"


@every_criterion
def test_metrics_has_a_row_for_it(criterion: Mapping[str, Any]) -> None:
    policy = policy_with(criterion)
    span = span_of(policy, 5, NOON)
    minutes = range(span.start, span.end, 60)
    series = {
        view.query: Series(dict.fromkeys(minutes, 10.0 * index))
        for index, view in enumerate(metric_views(policy), 1)
    }
    shown = [
        row
        for row in gauges(policy, series, span, 5, {})
        if row.title == "it" or any(one.criterion == "it" for one in row.expected)
    ]
    assert shown
    assert all(row.value is not None or row.note for row in shown)


@every_criterion
def test_monitoring_has_its_alarm_or_says_why_there_is_none(criterion: Mapping[str, Any]) -> None:
    made = desired_monitoring(policy_with(criterion))
    assert len(made.alarms) + len(made.notes) == 1
    assert all(note.startswith("criterion it ") for note in made.notes)


@every_criterion
def test_the_dashboard_draws_it_or_says_why_it_does_not(criterion: Mapping[str, Any]) -> None:
    dashboard = desired_monitoring(policy_with(criterion)).dashboard
    assert bool(dashboard.widgets) is not ("Not in these graphs: it: " in dashboard.text)


@every_criterion
def test_the_report_draws_it_or_says_why_it_does_not(criterion: Mapping[str, Any]) -> None:
    policy = policy_with(criterion)
    rollout = a_rollout(policy=policy)
    minutes = range(int((NOON - HOUR).timestamp()), int(NOON.timestamp()), 60)
    judge = judge_of("it", policy.criteria["it"], policy)
    series = {
        key: Series(dict.fromkeys(minutes, 900.0 if one.statistic == "SampleCount" else 90 / index))
        for index, (key, one) in enumerate(judge.queries.items(), 1)
    }
    (shown,) = criteria_reports(rollout, {}, series, [WeightSpan(0, 10, NOON - HOUR, NOON)])
    assert (shown.trace is None) is bool(shown.why)


def test_the_report_says_that_counts_contradict_each_other() -> None:
    counted = {"kind": "success_rate", "total": "requests", "failures": ["errors"]}
    policy = policy_with({**counted, "min": "99.9%", "judge": "threshold"})
    minutes = range(int((NOON - HOUR).timestamp()), int(NOON.timestamp()), 60)
    series = {
        key: Series(dict.fromkeys(minutes, 9.0 if one.name == "Errors" else 3.0))
        for key, one in judge_of("it", policy.criteria["it"], policy).queries.items()
    }
    spans = [WeightSpan(0, 10, NOON - HOUR, NOON)]
    (shown,) = criteria_reports(a_rollout(policy=policy), {}, series, spans)
    assert shown.trace is None
    assert shown.why == "its counts contradict each other in every window"


def test_the_page_of_a_report_gives_the_reason_where_nothing_is_drawn() -> None:
    rollout = a_rollout(policy=policy_with({"kind": "attestation", "statement": "It was tried."}))
    page = report_html(make_report(RolloutHistory(rollout, []), NOON))
    assert "There is no measurement over time of this criterion: an operator signs it off." in page


def test_answers_that_are_counted_later_than_their_requests_are_no_less_than_no_failure() -> None:
    successes = CASES["success_rate"][1]
    policy = policy_with({"kind": "success_rate", **successes})
    minutes = range(int((NOON - HOUR).timestamp()), int(NOON.timestamp()), 60)
    series = {
        key: Series(dict.fromkeys(minutes, 100.0 if one.name == "Count" else 103.0))
        for key, one in judge_of("it", policy.criteria["it"], policy).queries.items()
    }
    cost = exposure_of(a_rollout(policy=policy), series, [WeightSpan(0, 10, NOON - HOUR, NOON)])
    assert cost.requests > 0
    assert cost.failures == 0


UNITS: Mapping[str, str] = {
    "latency_increase": "ms",
    "threshold": "ms",
    "latency_spread": "times",
    "computed": "times",
    "own_latency": "ms",
}


@pytest.mark.parametrize("kind", UNITS)
def test_its_unit_is_that_of_its_metric_or_that_which_it_names(kind: str) -> None:
    policy = policy_with({"kind": kind, **CASES[kind][0]})
    judge, unit = judge_of("it", policy.criteria["it"], policy), UNITS[kind]
    assert judge.criterion.value_unit(policy.metrics) == unit
    minutes = range(int((NOON - HOUR).timestamp()), int(NOON.timestamp()), 60)
    series = {key: Series(dict.fromkeys(minutes, 90.0)) for key in judge.queries}
    weight_spans = [WeightSpan(0, 10, NOON - HOUR, NOON)]
    (shown,) = criteria_reports(a_rollout(policy=policy), {}, series, weight_spans)
    assert shown.trace is not None
    assert shown.trace.unit == unit
    if kind != "latency_increase":  # its bound is a percent
        assert judge.demand_text().partition(";")[0].endswith(f" {unit}")
        assert judge.bound_text(500.0).endswith(f" {unit}")
        assert judge.value_text(90.0, 500.0).endswith(f" {unit}")
    span = span_of(policy, 5, NOON)
    read = {
        view.query: Series(dict.fromkeys(range(span.start, span.end, 60), 90.0))
        for view in metric_views(policy)
    }
    gauge_texts = [
        expected.text
        for row in gauges(policy, read, span, 5, {})
        for expected in row.expected
        if expected.criterion == "it"
    ]
    assert gauge_texts
    assert kind == "latency_spread" or all(unit in text for text in gauge_texts)


@every_criterion
def test_the_plan_estimates_it_or_says_why_it_does_not(criterion: Mapping[str, Any]) -> None:
    policy = policy_with(criterion)
    steps = power_of(policy, 600.0)
    reason = judge_of("it", policy.criteria["it"], policy).no_estimate
    for step in steps:
        assert [*(one.criterion for one in step.criteria), *step.without_estimate] == ["it"]
        assert step.without_estimate in ({}, {"it": reason})
    lines = plain_text(power_page(policy, 600.0, "given", steps)).splitlines()
    has_row = any(re.match(r" *\d+% +it ", line) for line in lines)
    assert has_row is not (f"  without an estimate: it: {reason}" in lines)


@pytest.mark.parametrize(
    "registry", [CRITERIA, CHANNELS, TARGETS, SOURCES], ids=lambda one: one.group
)
def test_a_package_with_the_name_of_a_built_in_kind_is_named(registry: Registry[Any]) -> None:
    kind = next(iter(registry.built_in))
    reader = TypeAdapter(Annotated[Any, registry])
    with installed(registry.group, {kind: f"{__name__}:OwnJudge"}):
        with pytest.raises(ValidationError) as refused:
            reader.validate_python({registry.key or kind: kind})
        assert registry.model(kind).__module__.startswith("controller.")  # as stored rollouts mean
    (mistake,) = refused.value.errors()
    assert mistake["ctx"]["problem"] == (
        f"rolloutctl has a {registry.family} kind {kind!r}, and so has a package: give that one "
        "another name, or uninstall it"
    )


TARGETS_BY_KIND: Mapping[str, Mapping[str, Any]] = {
    "lambda-env": {"function": "shop", "percentage": "PERCENT"},
    "lambda-alias": {"function": "shop", "alias": "live"},
    "alb-weights": {
        "rule": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/shop/"
        "50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee",
        "stable": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/blue/"
        "0123456789abcdef",
        "canary": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/green/"
        "fedcba9876543210",
    },
    "appconfig": {
        "environment": "arn:aws:appconfig:eu-central-1:123456789012:application/abc1234/"
        "environment/def5678",
        "profile": "ghi9012",
        "flag": "checkout",
        "strategy": "jkl3456",
    },
    "dynamodb-flag": {"table": "flags", "flag": "new-checkout"},
}


def test_each_kind_of_target_is_among_the_cases() -> None:
    assert set(TARGETS.names()) == set(TARGETS_BY_KIND)


@pytest.mark.parametrize("kind", TARGETS_BY_KIND)
def test_a_target_is_named_by_its_resource_wherever_it_is_shown(kind: str) -> None:
    target = {"kind": kind, **TARGETS_BY_KIND[kind]}
    policy = policy_with({"kind": "traffic", "metric": "requests"}, target=target)
    assert policy.target.name in desired_monitoring(policy).dashboard.text
    if not policy.target.permanent_by:
        with pytest.raises(UsageError, match=f"100% of a {kind} target permanent is not known"):
            permanent_data(policy, None, ("cdk",))
        return
    data = permanent_data(policy, None, ("cdk",))
    assert data.resource in policy.target.name or policy.target.name in data.resource
    assert all(data.values.values())
