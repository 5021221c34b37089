"""Drafted policies: each is valid, its steps fit the traffic, and its rehearsal ends well."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from controller.core.policy import Attestation, LatencyIncrease, Metric, SuccessRate, TargetSpec
from controller.core.policy.metric import RequestSource
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.policy_file.loader import load, loads
from controller.testing import rehearse
from controller.tools.init.draft import (
    LATENCY,
    REFUSED,
    SIGN_OFF,
    SUCCESS,
    Draft,
    policy_of,
    policy_text,
    with_steps,
    yaml_text,
)
from controller.tools.init.survey import CountedPaths, Survey
from controller.tools.plan.power import power_of
from tests.support.core import Policy
from tests.support.deep_rows import deep_after
from tests.tools.init.accounts import FLAG, ITSELF, SHOP, URL, named

MINUTES = timedelta(minutes=10)
HOUR = timedelta(hours=1)
ALB = named("load-balancer", "app/a/1,targetgroup/b/2")
PAIR = LambdaEnv(kind="lambda-env", function="checkout", percentage="NEW_PERCENTAGE", boolean="NEW")
ALIAS = LambdaAlias(kind="lambda-alias", function="checkout", alias="live")
RULE = load(Path("policies/alb-weights.yaml")).target


def drafted(
    source: RequestSource | None = None,
    counts: CountedPaths = CountedPaths.CANARY,
    per_minute: float | None = 60.0,
    days: int = 7,
    weight: int = 0,
    target: TargetSpec = PAIR,
) -> Draft:
    """Return a draft with its steps; source: by default that of the target itself."""
    survey = Survey(counts, 20, per_minute, days)
    source = source or target.counted_by
    assert source is not None
    draft = Draft("shop", target, source, survey, weight)
    return with_steps(draft)


# A baseline of a week is drawn minute by minute, for seconds: a case that is played by default has
# metrics of a day.
CASES: Final[Mapping[str, Callable[[], Draft]]] = {
    "api in front": lambda: drafted(SHOP, CountedPaths.BOTH, per_minute=600.0, days=1),
    "flag": lambda: drafted(FLAG),  # by default in tests/e2e/test_first_hour.py
    "no traffic": lambda: drafted(ITSELF, CountedPaths.BOTH, None, 0),
    "flag, quiet": lambda: drafted(named("flag", "checkout"), per_minute=0.2),
    "api of the canary": lambda: drafted(SHOP),
    "load balancer in front": lambda: drafted(ALB, CountedPaths.BOTH),
    "load balancer of the canary": lambda: drafted(ALB),
    "function url": lambda: drafted(URL, CountedPaths.BOTH),
    "one request an hour": lambda: drafted(SHOP, per_minute=1 / 60),
    "alias": lambda: drafted(target=ALIAS, days=1),
    "alias, quiet": lambda: drafted(target=ALIAS, per_minute=0.2),
    "target groups": lambda: drafted(target=RULE, days=1),
    "target groups, quiet": lambda: drafted(target=RULE, per_minute=0.2),
}


@cache
def draft_of(name: str) -> Draft:
    """Return the draft of a case; its steps take a power analysis."""
    return CASES[name]()


def signed(scenario: str, folder: Path) -> str:
    """Return a file with a shipped scenario, in which an operator signs whatever is asked."""
    text = Path(f"controller/tools/simulation/scenarios/{scenario}.yaml").read_text()
    events = "" if "events:" in text else "\nevents:"
    file = folder / "signed.yaml"
    file.write_text(f"{text.rstrip()}{events}\n  - {{kind: attestation, at: {{after: 10m}}}}\n")
    return str(file)


@pytest.mark.parametrize("name", deep_after(1, CASES))
def test_a_draft_rehearses_to_the_end(name: str, tmp_path: Path) -> None:
    rehearsed = rehearse(policy_text(draft_of(name)), signed("healthy", tmp_path), every=MINUTES)
    assert (rehearsed.phase, rehearsed.weight) == ("succeeded", 100)


def test_where_no_metric_shows_the_canary_an_operator_signs_below_100() -> None:
    policy = policy_of(draft_of("function url"))
    signs = [isinstance(criterion, Attestation) for criterion in policy.criteria.values()]
    assert signs.count(True) == 1
    assert [SIGN_OFF in policy.gate(step) for step in range(3)] == [True, True, False]
    rehearsed = rehearse(policy_text(draft_of("api in front")), every=MINUTES)
    assert (rehearsed.phase, rehearsed.weight) == ("paused", 10)


@pytest.mark.parametrize(
    "name",
    deep_after(3, ["api in front", "alias", "target groups", "flag", "api of the canary"]),
)
def test_a_draft_takes_a_failing_canary_back(name: str, tmp_path: Path) -> None:
    burst = signed("error-burst", tmp_path)
    rehearsed = rehearse(policy_text(draft_of(name)), burst, every=MINUTES / 2)
    assert (rehearsed.phase, rehearsed.weight) == ("rolled_back", 0)
    leak_check = rehearsed.outcome.rollout.leak_check
    expected = "unobservable" if name == "api in front" else "confirmed"
    assert (leak_check and leak_check.label) == expected


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_minute", "weights", "bake"),
    deep_after(
        4,
        [
            pytest.param(None, [10, 50, 100], 1),
            pytest.param(600.0, [10, 50, 100], 1),
            pytest.param(20.0, [10, 50, 100], 4),
            pytest.param(0.5, [50, 100], 24),
            pytest.param(3.0, [10, 50, 100], 24),
            pytest.param(1.0, [25, 50, 100], 24),
        ],
    ),
)
def test_the_steps_decide_the_success_rate_at_the_rate(
    per_minute: float | None, weights: list[int], bake: int
) -> None:
    draft = drafted(SHOP, per_minute=per_minute)
    policy = policy_of(draft)
    assert [step.weight for step in policy.steps] == weights
    assert [step.bake / HOUR for step in policy.steps] == [bake] * (len(weights) - 1) + [24]
    if per_minute is not None:
        powers = [criterion for step in power_of(policy, per_minute) for criterion in step.criteria]
        assert not [power for power in powers if power.shortfalls]


def test_a_quiet_service_compares_windows_and_asks_for_no_more_than_it_has() -> None:
    policy = policy_of(draft_of("one request an hour"))
    success = policy.criteria[SUCCESS]
    assert isinstance(success, SuccessRate)
    assert (success.judge, success.min_samples) == ("threshold", 1)
    assert policy.max_hold == 48 * HOUR


# --- latency --------------------------------------------------------------------------------------


def test_with_the_flag_latency_is_compared_with_the_other_path_below_100() -> None:
    policy = policy_of(draft_of("flag"))
    metrics = {
        name: set(criterion.metric_names)
        for name, criterion in policy.criteria.items()
        if isinstance(criterion, LatencyIncrease)
    }
    both = {"duration", "stable_duration"}
    assert metrics == {"latency": both, "latency-at-100": both}
    assert [LATENCY in policy.gate(step) for step in range(3)] == [True, True, False]


def test_at_100_an_alias_is_judged_by_the_metrics_of_the_alias_itself() -> None:
    policy = policy_of(draft_of("alias"))
    whole = ({"ExecutedVersion" in one.dimensions for one in judged(policy, n)} for n in (1, 2))
    assert list(whole) == [{True}, {False}]


def judged(policy: Policy, step: int) -> list[Metric]:
    """Return the metrics of the criteria of a step."""
    criteria = [one for name, one in policy.gate(step).items() if name != REFUSED]
    return [policy.metrics[name] for criterion in criteria for name in criterion.metric_names]


@pytest.mark.parametrize(
    ("name", "gates"),
    [("target groups", False), ("load balancer in front", True), ("alias", True)],
)
def test_refused_requests_gate_where_the_success_rate_has_none_of_them(
    name: str, gates: bool
) -> None:
    policy = policy_of(draft_of(name))
    success, refused = (policy.criteria[one] for one in (SUCCESS, REFUSED))
    assert refused.gating is gates
    assert (isinstance(success, SuccessRate) and success.successes is not None) is not gates


@pytest.mark.parametrize("known", [{"days": 0}, {"weight": 100}, {"per_minute": 0.2}])
def test_without_a_stable_path_to_compare_with_there_is_no_latency(known: dict[str, Any]) -> None:
    draft = drafted(SHOP, **known)
    policy, text = policy_of(draft), policy_text(draft)
    assert not [
        criterion
        for criterion in policy.criteria.values()
        if isinstance(criterion, LatencyIncrease)
    ]
    assert "# No latency: " in text


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["Shop API", 'Odd: "api" #1', "true", "1.5", "~", "a: b", "x, y}", "café", "- a", "'q'", "{a}"],
)
def test_a_name_is_read_back_whatever_it_is(name: str) -> None:
    policy = policy_of(drafted(named("rest-api", name.replace(",", ";")), per_minute=None))
    assert policy.metrics["requests"].dimensions == {"ApiName": name.replace(",", ";")}
    assert yaml_text("Shop API") == "Shop API"


@pytest.mark.parametrize(
    ("source", "per_minute", "proposed"),
    [
        pytest.param(FLAG, 600.0, True, id="twelve requests a minute would be left"),
        pytest.param(FLAG, 400.0, False, id="eight would be left"),
        pytest.param(SHOP, 600.0, False, id="the stable path is not measured"),
    ],
)
def test_a_long_step_beside_the_stable_path_is_proposed_with_its_price(
    source: RequestSource, per_minute: float, proposed: bool
) -> None:
    text = policy_text(drafted(source, per_minute=per_minute))
    assert ("keeps 12 requests a minute on the stable path" in " ".join(text.split())) is proposed
    assert ("# - {weight: 98, bake: 24h, criteria: [" in text) is proposed
    if proposed:  # its steps are valid, in place of the last one
        steps = text.replace("  - {weight: 100,", "  # {weight: 100,").replace("  # - {", "  - {")
        assert [step.weight for step in loads(steps, "draft.yaml").steps][-2:] == [98, 100]
