"""Every shipped policy in every shipped scenario: how it ends, and how often it writes."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalOutcome, rehearsal, rehearse
from controller.tools.replay import replay
from controller.tools.replay.verb import replay_lines
from controller.tools.simulation.fakes.cloudwatch import FinalPeriods
from controller.tools.simulation.scenario.scenario import load_scenario
from controller.tools.simulation.world import World
from tests.support.cases import cases
from tests.support.core import Label, Notice, Policy, Rollout, Severity
from tests.support.deep_rows import deep_after
from tests.support.shipped import POLICIES, fitting_scenarios

# Fewer ticks: a day of bake in a second or two, and no gate is judged differently.
EVERY = {
    "alb-weights": timedelta(minutes=10),
    "appconfig": timedelta(minutes=10),
    "checkout": timedelta(minutes=10),
    "execution-api": timedelta(minutes=10),
    "gateway-metrics-only": timedelta(minutes=10),
    "lambda-alias": timedelta(minutes=5),
    "quiet-service": timedelta(minutes=15),
}


class End(NamedTuple):
    """How a rehearsal ends. writes: how often the controller wrote the weight."""

    status: str
    reason: str
    final_weight: int
    weights: tuple[int, ...]
    writes: int


WRITES = (
    "lambda:UpdateFunctionConfiguration",
    "lambda:UpdateAlias",
    "elbv2:ModifyRule",
    "appconfig:StartDeployment",
)

PROVEN = End("succeeded", "completed", 100, (10, 50, 100), 3)
SICK = End("rolled_back", "gate_failed", 0, (10, 50), 3)
DRIFTED = End("paused", "drifted", 10, (10,), 1)
WAITS = End("paused", "inconclusive", 10, (10,), 1)

ENDS: Mapping[str, End] = {
    "alias-reset": WAITS._replace(final_weight=0),
    "cdk-reset": End("rolled_back", "found_at_zero", 0, (10, 50), 2),
    "console-up": DRIFTED._replace(final_weight=100),
    "contradiction": DRIFTED,
    "error-burst": SICK,
    "healthy": PROVEN,
    "latency-creep": SICK,
    "meddling-human": DRIFTED._replace(final_weight=75),
    "metrics-outage": PROVEN,
    "quiet": WAITS,
    "second-owner": PROVEN,
    "silent": WAITS,
    "slow-lambda": PROVEN,
}
# Where a policy differs, it does so on purpose.
EXPECTED: Mapping[str, Mapping[str, End]] = {
    "alb-weights": {
        name: end for name, end in ENDS.items() if name not in ("alias-reset", "contradiction")
    },
    "appconfig": {
        name: end for name, end in ENDS.items() if name not in ("alias-reset", "contradiction")
    },
    "checkout": {
        **{name: end for name, end in ENDS.items() if name != "contradiction"},
        "alias-reset": SICK._replace(weights=(10,), writes=2),
    },
    # Calls on the stable path show that a gateway without requests is no lack of traffic.
    "execution-api": {**ENDS, "alias-reset": SICK._replace(weights=(10,), writes=2)},
    "gateway-metrics-only": ENDS,
    # A template and a pipeline move the alias itself, back to its old version.
    "lambda-alias": {
        **{name: end for name, end in ENDS.items() if name != "contradiction"},
        "alias-reset": End("rolled_back", "found_at_zero", 0, (10,), 1),
    },
    "quiet-service": {**ENDS, "quiet": PROVEN},
}


# The week before the start is without any event of a scenario.
MEASURED_BEFORE: dict[Hashable, dict[Any, FinalPeriods]] = {}


def scenario_without_events(scenario: str) -> str:
    """Return the scenario as JSON without its events."""
    return load_scenario(scenario).model_dump_json(exclude={"name", "summary", "events"})


@contextmanager
def shared_history(world: World, key: Hashable) -> Iterator[None]:
    """Let worlds of the same `key` share the datapoints before their start."""
    final = vars(vars(world)["_cloudwatch"])["_final"]
    begin = int(world.clock.now().timestamp())
    final |= {series: one.until(begin) for series, one in MEASURED_BEFORE.get(key, {}).items()}
    yield
    MEASURED_BEFORE[key] = {series: one.until(begin) for series, one in final.items()}


@pytest.fixture(autouse=True)
def _silence() -> None:
    logging.disable()


def run_rehearsal(
    policy: str | Policy,
    scenario: str,
    seed: int = 1,
    *,
    adopt: bool = False,
    notices: list[Notice] | None = None,
    every: timedelta | None = None,
) -> RehearsalOutcome:
    """Return how a rehearsal ends; its notices go to `notices`, and its history replays equally."""

    def listen(rollout: Rollout, notice: Notice) -> None:
        if notices is not None:
            notices.append(notice)

    loaded = load(POLICIES[policy]) if isinstance(policy, str) else policy
    with (
        rehearsal(loaded, scenario, seed, adopt=adopt) as stage,
        shared_history(stage.world, (loaded.name, seed, adopt, scenario_without_events(scenario))),
    ):
        runner = replace(stage.runner, announce=listen)
        outcome = rehearse(
            runner,
            stage.world,
            loaded,
            every=every or EVERY[loaded.name],
            on_tick=lambda rollout: None,
            adopt=adopt,
        )
    replayed = replay(outcome.rollout, outcome.entries)
    assert replayed.consistent, "\n".join(replay_lines(replayed))
    return outcome


def end_of(outcome: RehearsalOutcome) -> End:
    return End(
        outcome.status,
        str(outcome.rollout.reason),
        outcome.final_weight,
        outcome.weights,
        sum(outcome.calls.get(operation, 0) for operation in WRITES),
    )


def test_every_policy_is_proven_in_every_scenario() -> None:
    assert set(POLICIES) == set(EXPECTED)
    assert {name: sorted(ends) for name, ends in EXPECTED.items()} == {
        name: fitting_scenarios(name) for name in EXPECTED
    }


# What happens to the target itself, so that its code makes a difference.
OF_THE_TARGET = ("cdk-reset", "error-burst", "healthy", "meddling-human", "slow-lambda")


def in_sample(policy: str, scenario: str) -> bool:
    """Tell whether `make test` plays it: each scenario with one policy.

    And those of the target with an alias as well, and all that is special.
    """
    return (
        policy == "gateway-metrics-only"
        or (policy == "lambda-alias" and scenario in OF_THE_TARGET)
        or (policy, scenario) in (("alb-weights", "error-burst"), ("appconfig", "cdk-reset"))
        or EXPECTED[policy][scenario] != ENDS[scenario]
    )


@pytest.mark.parametrize(
    ("policy", "scenario"),
    [
        pytest.param(
            policy,
            scenario,
            marks=() if in_sample(policy, scenario) else pytest.mark.deep,
            id=f"{policy}, {scenario}",
        )
        for policy, ends in EXPECTED.items()
        for scenario in ends
    ],
)
def test_a_policy_ends_as_expected_in_a_scenario(policy: str, scenario: str) -> None:
    outcome = run_rehearsal(policy, scenario)
    assert end_of(outcome) == EXPECTED[policy][scenario]
    if outcome.status == "succeeded":
        assert outcome.rollout.evidence.label == "no regression detected"


@pytest.mark.deep  # 1,500 ticks
def test_a_whole_day_with_a_tick_a_minute_ends_like_one_with_fewer_ticks() -> None:
    often = run_rehearsal("gateway-metrics-only", "healthy", every=timedelta(minutes=1))
    assert end_of(often) == PROVEN
    assert often.ticks > 24 * 60


# --- failures that no metric of errors counts -----------------------------------------------------


def minutes_until_rollback(folder: Path, policy: str, ends: str) -> float:
    """Return how long requests of the canary end like this before a rollback; ends: `died: 10%`."""
    path = folder / "sick.yaml"
    path.write_text(
        "name: sick\nsummary: Some requests fail.\ntraffic: {requests_per_minute: 3000}\n"
        "stable: {median_ms: 150, server_errors: 0.006%}\n"
        "canary: {median_ms: 144, server_errors: 0.006%}\nevents:\n"
        f"  - {{kind: errors, at: {{step: 2, after: 20m}}, path: canary, {ends}}}\n"
    )
    outcome = run_rehearsal(policy, str(path), every=timedelta(minutes=1))
    assert outcome.rollout.reason == "gate_failed"
    _, applied = (entry.at for entry in outcome.entries[:-1] if entry.kind == "applied")
    back = next(entry.at for entry in outcome.entries if entry.kind == "rolling_back")
    return (back - applied - timedelta(minutes=20)) / timedelta(minutes=1)


@cases("policy, ends, error", {
    "a target that dies on each tenth request": ("alb-weights", "died: 10%", "server_errors: 10%"),
    "a target that hangs on one in a hundred": ("alb-weights", "hung: 1%", "server_errors: 1%"),
    "a Lambda target that raises": ("alb-weights", "raised: 5%", "server_errors: 5%"),
    "a version that raises": ("lambda-alias", "raised: 5%", "server_errors: 5%"),
})  # fmt: skip
def test_a_request_without_an_answer_is_found_as_soon_as_an_error(
    tmp_path: Path, policy: str, ends: str, error: str
) -> None:
    found = minutes_until_rollback(tmp_path, policy, ends)
    assert found == pytest.approx(minutes_until_rollback(tmp_path, policy, error), abs=1)
    assert found <= 15


def test_a_version_that_is_throttled_is_rolled_back(tmp_path: Path) -> None:
    assert minutes_until_rollback(tmp_path, "lambda-alias", "throttled: 5%") <= 10


# --- an alias in the way ------------------------------------------------------------------------


def test_callers_of_an_alias_are_missing_data_and_never_health() -> None:
    rollout = run_rehearsal("gateway-metrics-only", "alias-reset").rollout
    assert {finding.label for finding in rollout.evidence.findings} == {Label.NO_DATA}
    assert "no data (SC-002, SC-003, SC-004," in rollout.sentence


def test_a_control_distinguishes_callers_of_an_alias_from_no_traffic_at_all() -> None:
    rollout = run_rehearsal("execution-api", "alias-reset").rollout
    assert rollout.sentence.startswith("criterion traffic fails: no request reached the canary")


# --- silence at 100% ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", deep_after(1, dict.fromkeys(["lambda-alias", *EVERY])))
def test_requests_that_end_at_100_are_told_within_ten_minutes(policy: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone.yaml"
    gone.write_text(
        "name: gone\nsummary: Requests end at 100%.\ntraffic: {requests_per_minute: 600}\n"
        "stable: {median_ms: 150}\ncanary: {median_ms: 144}\nevents:\n"
        "  - {kind: traffic, times: 0, at: {step: 3, after: 30s}}\n"
    )
    notices: list[Notice] = []
    outcome = run_rehearsal(policy, str(gone), notices=notices, every=timedelta(minutes=2))
    (silent,) = [entry for entry in outcome.entries if entry.kind == "silent"]
    (applied,) = [
        entry for entry in outcome.entries
        if entry.kind == "applied" and entry.body["weight_to"] == 100
    ]  # fmt: skip
    delay = load(POLICIES[policy]).evaluation_delay
    assert silent.at - applied.at <= timedelta(minutes=10) + delay
    assert [notice.severity for notice in notices if notice.kind == "silent"] == [Severity.CRITICAL]
    assert (outcome.status, outcome.final_weight) == ("paused", 100)


# --- the quiet service --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", deep_after(1, range(1, 6)))
def test_a_quiet_service_adopts_100_and_is_watched_for_a_day(seed: int) -> None:
    outcome = run_rehearsal("quiet-service", "quiet", seed, adopt=True)
    assert end_of(outcome) == End("succeeded", "completed", 100, (100,), 0)
    assert timedelta(hours=24) < outcome.ended - outcome.started < timedelta(hours=28)
    assert outcome.rollout.evidence.label == "no regression detected"


def broken(folder: Path, share: str, lasting: str) -> str:
    """Return a scenario of one request in five minutes of which, 10 hours in, some fail."""
    path = folder / "broken.yaml"
    path.write_text(
        "name: broken\nsummary: Some requests fail.\ntraffic: {requests_per_minute: 0.2}\n"
        "stable: {median_ms: 150}\ncanary: {median_ms: 144}\nevents:\n"
        f"  - {{kind: errors, at: {{step: 3, after: 10h}}, server_errors: {share}{lasting}}}\n"
    )
    return str(path)


# In these seeds, one request comes in these six minutes.
@pytest.mark.parametrize("seed", deep_after(1, [2, 3, 5]))
def test_one_failure_in_a_day_does_not_take_a_quiet_service_back(tmp_path: Path, seed: int) -> None:
    outcome = run_rehearsal(
        "quiet-service", broken(tmp_path, "100%", ", lasting: 6m"), seed, adopt=True
    )
    (rate,) = [
        finding for finding in outcome.rollout.evidence.findings if finding.criterion == "SC-004"
    ]
    assert (outcome.status, outcome.final_weight) == ("succeeded", 100)
    assert rate.facts["failures"] == 1


@cases("share, within", {
    "broken: three requests in a row": ("100%", timedelta(hours=1)),
    "sick: failures in three windows in a row": ("10%", timedelta(hours=24)),
})  # fmt: skip
@pytest.mark.parametrize("seed", deep_after(1, range(1, 4)))
def test_a_quiet_canary_that_fails_is_rolled_back(
    tmp_path: Path, share: str, within: timedelta, seed: int
) -> None:
    outcome = run_rehearsal("quiet-service", broken(tmp_path, share, ""), seed, adopt=True)
    back = next(entry.at for entry in outcome.entries if entry.kind == "rolling_back")
    assert end_of(outcome) == End("rolled_back", "gate_failed", 0, (100,), 1)
    assert back - outcome.started - timedelta(hours=10) < within
