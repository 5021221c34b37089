"""What `init` makes of an account: the target, the source of metrics, and whose requests it has."""

from pathlib import Path

import pytest

from controller.core.policy import TargetSpec
from controller.core.policy.metric import RequestSource
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.errors import UsageError
from controller.policy_file.loader import load
from controller.ports.target import FoundTarget
from controller.tools.init.drafting import Given, live_draft, offline_draft, policy_name
from controller.tools.init.survey import FAMILIES, CountedPaths, SourceKind, find_sources
from tests.tools.init.accounts import (
    FLAG,
    FUNCTION,
    ITSELF,
    REFUSED,
    SHOP,
    STABLE,
    URL,
    FakeAccount,
    NoTerminal,
    Picks,
    named,
)

GIVEN = Given({"function": FUNCTION})
PAIR = {"function": FUNCTION, "percentage": "P_PERCENTAGE"}


# --- the target -----------------------------------------------------------------------------------


def test_a_percentage_comes_with_the_boolean_of_the_same_subject() -> None:
    account = FakeAccount(
        percentages={"USE_API_PERCENTAGE": "0", "RETRIES": "3", "TIMEOUT_S": "30"},
        booleans={"USE_API": "false", "USE_API_CACHE": "true", "DEBUG": "false"},
    )
    draft = live_draft(account.view, GIVEN, NoTerminal()).draft
    assert list(draft.target.settings(0)) == ["USE_API_PERCENTAGE", "USE_API"]


@pytest.mark.parametrize(("name", "value"), [("NEW_PATH", "true"), ("NEW_PATH_ENABLED", "false")])
def test_a_switch_that_may_be_no_boolean_of_the_weight_is_left_alone(name: str, value: str) -> None:
    drafted = live_draft(FakeAccount(booleans={name: value}).view, GIVEN, NoTerminal())
    assert list(drafted.draft.target.settings(0)) == ["NEW_PATH_PERCENTAGE"]
    assert drafted.notes[0].startswith(f"{name} is {value} and left alone; ")
    assert drafted.notes[0].endswith(f"--boolean {name}")


def test_a_boolean_alone_is_the_whole_weight_until_there_is_a_percentage() -> None:
    account = FakeAccount(percentages={}, booleans={"USE_API": "true"}, weight=100)
    given = Given({"function": FUNCTION, "percentage": "USE_API_PERCENTAGE"})
    target = live_draft(account.view, given, NoTerminal()).draft.target
    assert list(target.settings(0)) == ["USE_API_PERCENTAGE", "USE_API"]


def test_without_a_candidate_the_names_of_variables_are_told_and_no_value() -> None:
    account = FakeAccount(percentages={"RETRIES": "3"})
    with pytest.raises(UsageError, match=r"it has API_KEY, RETRIES.*--percentage"):
        live_draft(account.view, GIVEN, NoTerminal())


def test_without_a_function_one_of_the_account_is_picked() -> None:
    account = FakeAccount(names=("a", "b"))
    assert live_draft(account.view, Given(), Picks(1)).draft.target.name == "b"
    with pytest.raises(UsageError, match="the account has no function"):
        live_draft(FakeAccount(names=()).view, Given(), NoTerminal())


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("Checkout_Handler-898FE80E", "checkout-handler-898fe80e"),
        ("arn:aws:lambda:eu-central-1:123456789012:function:shop", "shop"),
        ("2nd__try_", "rollout-2nd-try"),
        ("_", "rollout"),
        ("x" * 140, "x" * 63),
    ],
)
def test_a_policy_is_named_after_its_function(function: str, name: str) -> None:
    assert policy_name(function) == name


# --- the source of metrics ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "weight", "counts"),
    [
        (2, 0, CountedPaths.CANARY),  # somebody has tried it
        (20, 0, CountedPaths.BOTH),  # it serves others
        (20, 10, CountedPaths.CANARY),  # of the canary, for all that is known
    ],
)
def test_traffic_at_0_percent_is_not_the_canary(
    hours: int, weight: int, counts: CountedPaths
) -> None:
    account = FakeAccount(weight=weight, traffic=[(SHOP, 60, hours), (ITSELF, 120, 50)])
    survey = live_draft(account.view, GIVEN, NoTerminal()).draft.survey
    assert (survey.counts, survey.steady_hours) == (counts, hours)


def test_what_counts_the_function_counts_both_paths() -> None:
    account = FakeAccount(traffic=[(URL, 120, 50)])
    survey = live_draft(account.view, GIVEN, NoTerminal()).draft.survey
    assert (survey.counts, survey.per_minute, survey.baseline_days) == (
        CountedPaths.BOTH,
        2.0,
        2,
    )  # of the third day two hours


def test_of_two_apis_nobody_guesses_and_an_option_decides() -> None:
    other = named("http-api", "a1b2c3")
    account = FakeAccount(traffic=[(SHOP, 60, 5), (other, 60, 5), (URL, 60, 5)])
    with pytest.raises(UsageError, match=r"--metrics KIND --resource NAME: .*Shop, .*a1b2c3$"):
        live_draft(account.view, GIVEN, NoTerminal())
    given = Given({"function": FUNCTION}, SourceKind.HTTP_API)
    assert live_draft(account.view, given, NoTerminal()).draft.source == other


def test_the_flag_of_another_function_is_no_source_unless_it_is_named() -> None:
    other = named("flag", "search")
    account = FakeAccount(traffic=[(other, 60, 5), (ITSELF, 120, 50)])
    assert live_draft(account.view, GIVEN, NoTerminal()).draft.source == ITSELF
    by_default = Given({"function": FUNCTION}, SourceKind.FLAG)
    assert live_draft(account.view, by_default, NoTerminal()).draft.source == FLAG
    by_name = Given({"function": FUNCTION}, SourceKind.FLAG, "search")
    assert live_draft(account.view, by_name, NoTerminal()).draft.source == other


def test_of_the_flags_of_an_account_that_of_the_function_is_the_source() -> None:
    account = FakeAccount(traffic=[(named("flag", "search"), 60, 5), (FLAG, 60, 5), (SHOP, 60, 5)])
    draft = live_draft(account.view, GIVEN, NoTerminal()).draft
    assert draft.source == FLAG
    assert draft.source.dimensions == {"Flag": FUNCTION, "Path": "canary"}
    assert draft.source.stable == {"Flag": FUNCTION, "Path": "stable"}


def test_without_any_metric_the_function_itself_is_counted() -> None:
    drafted = live_draft(FakeAccount().view, GIVEN, NoTerminal())
    assert drafted.draft.source == ITSELF
    assert (drafted.draft.survey.per_minute, drafted.draft.survey.baseline_days) == (None, 0)


def test_without_the_right_to_list_metrics_the_function_is_measured_and_that_is_told() -> None:
    account = FakeAccount(lists=False, traffic=[(ITSELF, 600, 30)])
    drafted = live_draft(account.view, GIVEN, NoTerminal())
    assert (drafted.draft.source, drafted.draft.survey.per_minute) == (ITSELF, 10.0)
    assert drafted.notes == (REFUSED,)


def test_without_the_right_to_read_metrics_there_are_no_figures_and_that_is_told() -> None:
    account = FakeAccount(reads=False, traffic=[(SHOP, 60, 5)])
    drafted = live_draft(account.view, GIVEN, NoTerminal())
    assert (drafted.draft.source, drafted.draft.survey.per_minute) == (SHOP, None)
    assert drafted.notes == ("requests cannot be counted: not allowed",)


def test_finer_metrics_and_names_that_no_file_may_hold_are_no_source() -> None:
    odd = [
        RequestSource(FAMILIES[SourceKind.REST_API], {"ApiName": "Shop", "Stage": "prod"}),
        RequestSource(FAMILIES[SourceKind.REST_API], {"ApiName": "turned \u202e around"}),
        RequestSource(FAMILIES[SourceKind.REST_API], {"ApiName": "::error::boo"}),
        RequestSource(FAMILIES[SourceKind.FLAG], {"Path": "canary"}),
        RequestSource(FAMILIES[SourceKind.FLAG], {**FLAG.dimensions, "Region": "eu"}),
        named("load-balancer", "app/a/1,targetgroup/b/2"),
        RequestSource(FAMILIES[SourceKind.LOAD_BALANCER], {"LoadBalancer": "app/a/1"}),
    ]
    account = FakeAccount(traffic=[(one, 1, 1) for one in (*odd, SHOP)])
    assert find_sources(account, FUNCTION).sources == (SHOP, odd[5])


# --- targets that count each path -----------------------------------------------------------------

ALIAS = LambdaAlias(kind="lambda-alias", function=FUNCTION, alias="live")
RULE = load(Path("policies/alb-weights.yaml")).target
OF_RULE = Given({"rule": "arn"})


def counts_of(target: TargetSpec, path: str) -> RequestSource:
    """Return where the requests of a path of `target` are counted, with its names put in."""
    source = target.counted_by
    assert source is not None
    metric = source.count("Any", getattr(source, path)).resolved(target.values)
    return RequestSource(source.metrics, metric.dimensions)


@pytest.mark.parametrize(("weight", "days"), [(0, 3), (10, 0)])
def test_an_alias_is_measured_by_its_own_metrics(weight: int, days: int) -> None:
    traffic = [(counts_of(ALIAS, "whole"), 600, 3 * 24)]
    account = FakeAccount(found=FoundTarget(ALIAS, weight), traffic=traffic)
    given = Given({"function": FUNCTION, "alias": "live"})
    draft = live_draft(account.view, given, NoTerminal()).draft
    assert (draft.survey.per_minute, draft.survey.baseline_days) == (10.0, days)
    assert draft.survey.counts is CountedPaths.CANARY


@pytest.mark.parametrize(("hours", "told"), [(0, False), (2, False), (20, True)])
def test_target_groups_are_measured_each_and_a_canary_in_use_at_0_is_told(
    hours: int, told: bool
) -> None:
    blue, green = (counts_of(RULE, path) for path in ("stable", "dimensions"))
    account = FakeAccount(found=FoundTarget(RULE, 0), traffic=[(blue, 60, 48), (green, 60, hours)])
    drafted = live_draft(account.view, OF_RULE, NoTerminal())
    survey = drafted.draft.survey
    assert (survey.per_minute, survey.baseline_days) == (round(1 + hours / 24, 1), 2)
    assert any("count other callers" in note for note in drafted.notes) == told


# --- without the account --------------------------------------------------------------------------


def test_offline_takes_what_is_given_and_assumes_a_day_of_the_stable_path() -> None:
    given = Given(PAIR, SourceKind.REST_API, "Shop", 60.0)
    draft = offline_draft(given).draft
    assert (draft.source, draft.survey.counts) == (SHOP, CountedPaths.CANARY)
    assert (draft.survey.per_minute, draft.survey.baseline_days, draft.weight) == (60.0, 1, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Given(), "--offline reads no account: --function: is required; --percentage: is required"),
        (Given({**PAIR, "alias": "live"}), "no kind of target is named by --function and --perc"),
        (Given({"alias": "live"}), "--function: is required"),
        (Given(PAIR), "--offline reads no account: give --metrics"),
        (Given(PAIR, SourceKind.REST_API), "--resource APINAME"),
        (
            Given(PAIR, SourceKind.LOAD_BALANCER, "app/a/1"),
            "--resource LOADBALANCER,TARGETGROUP",
        ),
        (
            Given({"function": FUNCTION, "alias": "live"}, SourceKind.FLAG),
            "has metrics of its own",
        ),
    ],
)
def test_offline_says_what_is_missing(given: Given, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        offline_draft(given)


def test_a_latency_that_nobody_measures_gates_nothing() -> None:
    """The flag of another language counts requests, and has no Duration."""
    traffic = [(FLAG, 0, 0), (STABLE, 36_000, 48)]
    measured, unmeasured = (
        live_draft(FakeAccount(traffic=traffic, times=one).view, GIVEN, NoTerminal()).draft
        for one in (True, False)
    )
    assert (measured.survey.baseline_days, unmeasured.survey.baseline_days) == (2, 0)
    assert (measured.compares_latency, unmeasured.compares_latency) == (True, False)
