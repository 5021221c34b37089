"""Criteria of every other kind on the real adapters: judged, shown and recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.core.policy.criteria import CRITERIA
from controller.immutable import fields_of
from controller.operations.start import StartRequest, start
from controller.process import logging
from controller.render.page import plain_text
from controller.render.rollout_data import rollout_data
from controller.render.rollout_page import rollout_page
from controller.testing import installed
from controller.tools.rehearse.rehearsal import RehearsalOutcome, rehearse
from controller.tools.rehearse.verb import outcome_data, outcome_page
from controller.tools.replay.verb import replay_lines
from controller.tools.simulation.fakes.errors import apply_outage
from tests.support.core import (
    Command,
    Label,
    Phase,
    Policy,
    Reason,
    Severity,
    UsageError,
    Verb,
    Verdict,
    replay,
    sentence_of,
)
from tests.support.stage import SHORT_POLICY, PatchedStore, function_with, open_stage, short_policy
from tests.tools.simulation.service_model import hold_to_model
from tests.tools.simulation.worlds import MINUTE, POLICY, scenario

CHECK = '{ $.event = "check" }'
KINDS: Mapping[str, Mapping[str, Any]] = {
    "share": {"kind": "share", "metric": "requests", "control": "direct_requests"},
    "budget": {
        "kind": "burn_rate", "total": "requests", "failures": ["server_errors"], "slo": "99%",
        "window": "1m", "min_samples": 50, "windows": [{"factor": 5, "long": "10m", "short": "1m"}],
    },
    "red": {"kind": "alarm", "alarm": "auth-failures"},
    "fallback": {"kind": "log_events", "absent": "fallback", "control": CHECK},
    "signed": {"kind": "attestation", "statement": "It looks right."},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


def policy_with(*kinds: str, **others: Mapping[str, Any]) -> Policy:
    """Return the short policy with its own criteria, those of these kinds, and `others`."""
    metrics = {**SHORT_POLICY["metrics"], "direct_requests": POLICY["metrics"]["direct_requests"]}
    if "share" not in kinds:
        metrics = SHORT_POLICY["metrics"]
    more = {name: KINDS[name] for name in kinds}
    return short_policy(metrics=metrics, criteria={**SHORT_POLICY["criteria"], **more, **others})


def with_first_bake(policy: Policy, bake: str) -> Policy:
    """Return `policy` with so long a bake of its first step."""
    written = policy.model_dump(mode="json", exclude_none=True)
    first, *others = written["steps"]
    return Policy.model_validate({**written, "steps": [{**first, "bake": bake}, *others]})


def world_of(*events: Mapping[str, Any]) -> Any:
    return scenario(function=function_with(), events=list(events))


def rehearse_consistently(
    tmp_path: Path, policy: Policy, *events: Mapping[str, Any]
) -> RehearsalOutcome:
    """Return the outcome of a rehearsal, after a check that its history replays consistently."""
    with open_stage(tmp_path, world_of(*events), policy) as stage:
        stage.world.interceptors.append(hold_to_model)
        outcome = rehearse(
            stage.runner, stage.world, policy, every=MINUTE, on_tick=lambda rollout: None
        )
    replayed = replay(outcome.rollout, outcome.entries)
    assert replayed.consistent, "\n".join(replay_lines(replayed))
    return outcome


def test_every_kind_is_rehearsed_here_or_by_the_policy_of_all_rehearsals() -> None:
    played = [*KINDS.values(), *SHORT_POLICY["criteria"].values(), *POLICY["criteria"].values()]
    missing = set(CRITERIA.built_in) - {one["kind"] for one in played}
    assert not missing, f"add one of each to KINDS, and to the tables below: {sorted(missing)}"


SIGN = {"kind": "attestation", "at": {"step": 1}, "note": "no tickets"}


def test_every_kind_passes_in_a_healthy_world(tmp_path: Path) -> None:
    outcome = rehearse_consistently(tmp_path, policy_with(*KINDS), SIGN)
    rollout = outcome.rollout
    assert (outcome.status, outcome.final_weight, rollout.evidence.label) == (
        "succeeded",
        100,
        "no regression detected",
    )
    assert {finding.criterion: finding.label for finding in rollout.evidence.findings} == {
        "works": Label.NO_REGRESSION, "share": Label.NO_REGRESSION, "budget": Label.NO_REGRESSION,
        "red": Label.NO_REGRESSION, "fallback": Label.NO_REGRESSION, "signed": Label.ATTESTED,
    }  # fmt: skip
    kinds = [entry.kind for entry in outcome.entries]
    assert kinds.count("attested") == 1
    (attested,) = [entry for entry in outcome.entries if entry.kind == "attested"]
    assert attested.body["cause"]["by"] == "tester"


IN_STEP_2 = {"step": 2, "after": "1m"}


@pytest.mark.parametrize(
    ("kind", "event", "sentence"),
    [
        pytest.param(
            "red", {"kind": "alarm", "at": IN_STEP_2},
            "criterion red fails: alarm auth-failures is in ALARM since",
            id="an alarm changes to ALARM",
        ),
        pytest.param(
            "fallback", {"kind": "log_event", "at": IN_STEP_2, "message": "fallback to direct"},
            "criterion fallback fails: event fallback was logged at least 1 time in "
            "/aws/lambda/handler since",
            id="an event is logged that must not be",
        ),
        pytest.param(
            "signed", {"kind": "attestation", "at": IN_STEP_2, "refuse": True, "note": "tickets"},
            "criterion signed fails: refused by tester", id="an operator refuses",
        ),
        pytest.param(
            "budget", {"kind": "errors", "at": IN_STEP_2, "server_errors": "80%"},
            "criterion budget fails: burn rate ", id="a budget burns",
        ),
    ],
)  # fmt: skip
def test_each_kind_that_fails_rolls_back(
    tmp_path: Path, kind: str, event: Mapping[str, Any], sentence: str
) -> None:
    criteria = {"criteria": {**SHORT_POLICY["criteria"], kind: KINDS[kind]}}
    if kind == "budget":  # another criterion would fail first
        criteria = {"criteria": {kind: KINDS[kind]}}
    policy = short_policy(
        **criteria,
        metrics={
            name: SHORT_POLICY["metrics"][name]
            for name in SHORT_POLICY["metrics"]
            if kind != "budget" or name != "client_errors"
        },
        steps=[SHORT_POLICY["steps"][0], {"weight": 100, "bake": "10m"}],
    )
    outcome = rehearse_consistently(tmp_path, policy, *([SIGN] if kind == "signed" else []), event)
    assert (outcome.status, outcome.final_weight) == ("rolled_back", 0)
    assert outcome.rollout.reason is Reason.GATE_FAILED
    assert sentence in outcome.rollout.sentence


# --- before a start -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("alarm", "alarm of red: auth-failures is in ALARM since 2026-01-05 09:00"),
        ("missing", "alarm of red: there is no alarm auth-failures in this account and region"),
    ],
)
def test_nothing_starts_under_an_alarm_that_is_in_alarm_or_missing(
    tmp_path: Path, state: str, message: str
) -> None:
    with open_stage(
        tmp_path, world_of({"kind": "alarm", "state": state}), policy_with("red")
    ) as stage:
        with pytest.raises(UsageError, match="was not started; nothing was changed") as caught:
            stage.start()
        assert message in str(caught.value)
        assert stage.writes == 0


def test_a_live_weight_is_not_taken_over_under_an_alarm_that_is_in_alarm(tmp_path: Path) -> None:
    live = function_with(PERCENTAGE="10", ENABLED="false")
    world = scenario(function=live, events=[{"kind": "alarm", "state": "alarm"}])
    with (
        open_stage(tmp_path, world, policy_with("red")) as stage,
        pytest.raises(UsageError, match="auth-failures is in ALARM"),
    ):
        start(stage.runner, StartRequest(stage.policy, adopt=True))


def test_an_alarm_that_may_not_be_read_starts_nothing(tmp_path: Path) -> None:
    with open_stage(tmp_path, world_of(), policy_with("red")) as stage:
        stage.world.interceptors.append(
            lambda service, operation, request, proceed: (
                apply_outage(service, operation, "denied", proceed)
                if operation == "DescribeAlarms"
                else proceed()
            )
        )
        with pytest.raises(UsageError, match=r"cloudwatch:DescribeAlarms.*grant the action"):
            stage.start()


def test_an_alarm_without_data_is_a_warning_and_so_is_one_in_alarm_that_only_reports(
    tmp_path: Path,
) -> None:
    report = policy_with(red={**KINDS["red"], "gates": False})
    for number, (policy, state) in enumerate(
        [(policy_with("red"), "insufficient_data"), (report, "alarm")]
    ):
        place = tmp_path / str(number)
        place.mkdir()
        world = world_of({"kind": "alarm", "state": state})
        with open_stage(place, world, policy) as stage:
            _cold_starts, warning = start(stage.runner, StartRequest(policy)).warnings
            assert warning.startswith("alarm of red: auth-failures ")


# --- reads of a tick ----------------------------------------------------------------------------


def test_a_rollout_without_log_criteria_does_not_wait_for_a_log_search(tmp_path: Path) -> None:
    """The rollback of one rollout is not delayed by the log search of another one."""
    with open_stage(tmp_path, world_of(), policy_with("fallback")) as stage:
        stage.start()
        order: list[str] = []
        plain = short_policy(name="plain", target={**SHORT_POLICY["target"], "function": "plain"})
        stage.world.add_function("plain", {"PERCENTAGE": "0", "ENABLED": "false"})
        start(stage.runner, StartRequest(plain))
        stage.ticks(3)
        save = stage.store.save

        def record_search(service: str, operation: str, request: Any, proceed: Any) -> Any:
            if operation == "FilterLogEvents":
                order.append("search")
            return proceed()

        def record_save(rollout: Any, *rest: Any, **more: Any) -> Any:
            order.append(rollout.id)
            return save(rollout, *rest, **more)

        stage.world.interceptors.append(record_search)
        stage.use_store(PatchedStore(stage.store, save=record_save))
        stage.tick("orders#1", "plain#1")
        assert order == ["plain#1", "search", "search", "orders#1"]


def test_promote_is_refused_under_an_alarm_that_is_in_alarm(tmp_path: Path) -> None:
    event = {"kind": "alarm", "at": {"step": 1, "after": "90s"}}
    with open_stage(tmp_path, world_of(event), policy_with("red")) as stage:
        rollout = stage.start()
        stage.tick()
        stage.world.clock.advance(MINUTE)
        with pytest.raises(
            UsageError,
            match=r"a criterion fails, and the next tick rolls back.*auth-failures is in ALARM",
        ):
            stage.runner.run_command(rollout.id, Command(Verb.PROMOTE, "it is late"))


# --- scorecard ----------------------------------------------------------------------------------

SCORECARD = [
    "criterion  target            measured  samples  evidence",
    "budget     burn ≤ 5x in 10m",
    "fallback   ≤ 0 events",
    "red        OK",
    "share      100% ± 2%",
    "signed     signed",
    "works      ≥ 99%",
]


def test_the_scorecard_is_in_status_in_a_rehearsal_and_in_the_last_notice(tmp_path: Path) -> None:
    policy = policy_with(*{**KINDS, "signed": 0}, signed={**KINDS["signed"], "gates": False})
    with open_stage(tmp_path, world_of(), policy) as stage:
        outcome = rehearse(
            stage.runner, stage.world, policy, every=MINUTE, on_tick=lambda rollout: None
        )
        texts = {
            "status": plain_text(rollout_page(outcome.rollout)),
            "rehearsal": plain_text(outcome_page(outcome, "healthy", 1)),
            "notice": stage.notices[-1].text,
        }
    assert stage.notices[-1].severity is Severity.INFO
    for where, text in texts.items():
        lines = [line.strip() for line in text.splitlines()]
        begin = next(n for n, line in enumerate(lines) if line.startswith("criterion  target"))
        for number, row in enumerate(SCORECARD):
            line = lines[begin + number].removeprefix("pass  ").removeprefix("n/a   ")
            assert line.startswith(row), where
    data = rollout_data(outcome.rollout).criteria
    assert data == outcome_data(outcome, "healthy", 1).criteria
    assert [one.criterion for one in data] == sorted(policy.criteria)
    assert fields_of(data[-2]) == {
        "criterion": "signed", "kind": "attestation", "role": "report", "target": "signed",
        "measured": "–", "samples": 0, "verdict": "inconclusive", "label": "not attested",
        "towards_fail": None, "towards_pass": None,
    }  # fmt: skip


# --- a kind of another package that is judged in its own way ------------------------------------


def test_a_kind_of_another_package_judges_in_its_own_way(tmp_path: Path) -> None:
    own = {"kind": "datapoints", "metric": "requests", "min": 3}
    with installed(CRITERIA.group, {"datapoints": "tests.support.own_kind:EnoughDatapoints"}):
        outcome = rehearse_consistently(tmp_path, policy_with(enough=own))
    assert outcome.rollout.phase is Phase.SUCCEEDED
    (finding,) = [one for one in outcome.rollout.evidence.findings if one.criterion == "enough"]
    assert (finding.verdict, finding.reason, finding.kind) == (Verdict.PASS, "enough", "datapoints")
    assert sentence_of(finding) == f"enough has {finding.samples} datapoints."


@pytest.mark.parametrize("method", ["measure", "conclude"])
def test_a_fault_of_a_judge_stops_no_other_criterion(tmp_path: Path, method: str) -> None:
    own = {"kind": "datapoints", "metric": "requests", "min": 3, "fault": method}
    errors = {"kind": "errors", "at": IN_STEP_2, "server_errors": "80%"}
    held_in, failed_in = tmp_path / "held", tmp_path / "failed"
    held_in.mkdir()
    failed_in.mkdir()
    with installed(CRITERIA.group, {"datapoints": "tests.support.own_kind:EnoughDatapoints"}):
        held = rehearse_consistently(held_in, policy_with(enough=own))
        reported = policy_with("budget", enough={**own, "gates": False})
        hourly = with_first_bake(reported, "65m")
        failed = rehearse_consistently(failed_in, hourly, errors)
    (finding,) = [one for one in held.rollout.evidence.findings if one.criterion == "enough"]
    assert (finding.verdict, finding.facts["error"]) == (Verdict.INCONCLUSIVE, "ZeroDivisionError")
    assert (held.rollout.phase, held.rollout.reason) == (Phase.PAUSED, Reason.INCONCLUSIVE)
    assert (failed.rollout.phase, failed.final_weight) == (Phase.ROLLED_BACK, 0)
    assert [entry.kind for entry in failed.entries].count("evidence") == 1  # of the others, hourly
