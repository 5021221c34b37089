"""Start, adoption and retry of a rollout, and their preflight checks."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.core.units import clock_text
from controller.engine.direct_write import lower_and_confirm
from controller.errors import (
    RolledBackError,
    StateConflictError,
    TargetTakenError,
    UsageError,
)
from controller.operations.start import StartRequest, check_start, retry, start
from controller.tools.simulation.fakes.lambda_ import code_digest
from tests.support.cases import cases
from tests.support.core import Live, Phase, Policy, Reason, Rollout, next_action
from tests.support.rollouts import lambda_env
from tests.support.stage import (
    READ,
    SHORT_POLICY,
    WRITE,
    ActBefore,
    FailingCall,
    ReadOnlyStore,
    Stage,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.worlds import FUNCTION, HOUR, MINUTE, POLICY, START, scenario

# Adds a latency to the short policy, compared with the stable path of the last hour.
FROZEN: dict[str, Any] = {
    "metrics": {
        **SHORT_POLICY["metrics"],
        **{name: POLICY["metrics"][name] for name in ("latency", "direct")},
    },
    "criteria": {
        **SHORT_POLICY["criteria"],
        "fast": {**POLICY["criteria"]["fast"], "baseline": {"frozen": "direct", "window": "1h"}},
    },
}
# Adds a latency that always fails: no request is answered within a millisecond.
HOPELESS: dict[str, Any] = {
    "metrics": {
        **SHORT_POLICY["metrics"],
        "direct": {**POLICY["metrics"]["direct"], "counts": "stable"},
    },
    "criteria": {
        **SHORT_POLICY["criteria"],
        "quick": {"kind": "threshold", "judge": "threshold", "metric": "direct", "max": 1},
    },
}


def frozen_window(begin: str, end: str) -> dict[str, Any]:
    """Return the criteria of FROZEN with a baseline of another window."""
    baseline = {"frozen": "direct", "from": begin, "to": end}
    return {**FROZEN["criteria"], "fast": {**POLICY["criteria"]["fast"], "baseline": baseline}}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path) as stage:
        yield stage


def function_says(**values: str) -> Callable[[Stage], None]:
    def prepare(stage: Stage) -> None:
        function = stage.world.function(FUNCTION)
        for name, value in values.items():
            if name.isupper():
                function.variables[name] = value
            else:
                setattr(function, name, value)

    return prepare


def an_update_in_progress(stage: Stage) -> None:
    stage.world.set_variables(FUNCTION, {"LOG_LEVEL": "DEBUG"})


def a_version_serves(stage: Stage) -> None:
    stage.world.function(FUNCTION).provisioned.append(
        {"FunctionArn": f"{stage.world.function(FUNCTION).arn}:7", "Status": "READY"}
    )


NOTHING = function_says()
SILENT = [{"kind": "traffic", "times": 0}]
BLIND = [{"kind": "metrics_outage", "how": "error"}]
FORBIDDEN = [{"kind": "metrics_outage", "how": "forbidden"}]


@cases("prepare, overrides, world_changes, refusal", {
    "the two variables contradict each other": (
        function_says(ENABLED="true"), {}, {},
        "no clear weight is live (PERCENTAGE=0, ENABLED=true)",
    ),
    "an update is in progress":
        (an_update_in_progress, {}, {}, "update: an update is in progress"),
    "the last update failed": (
        function_says(status="Failed", reason="no such subnet"), {}, {},
        "update: the last update failed: no such subnet",
    ),
    "callers use a snapshot":
        (function_says(snap_start="PublishedVersions"), {}, {}, "handler has SnapStart"),
    "callers use a published version":
        (a_version_serves, {}, {}, "handler has provisioned concurrency"),
    "the baseline has too few samples": (
        NOTHING, FROZEN, {"traffic": {"requests_per_minute": 1}},
        "200 needed; take a longer window, or give a known value: baseline: {fixed: ...}",
    ),
    "the metrics do not answer":
        (NOTHING, FROZEN, {"events": BLIND}, "metrics: metrics could not be read"),
    "the window of the baseline is not settled": (
        NOTHING, FROZEN | {"criteria": frozen_window("2026-01-05T08:00Z", "2026-01-05T09:00Z")}, {},
        f"fast: direct (p95): its window ends at {clock_text(START)}, and measurements are "
        f"settled only until {clock_text(START - 2 * MINUTE)}; name an earlier `to`, or a known "
        "value",
    ),
    "a metric may not be read":
        (NOTHING, FROZEN, {"events": FORBIDDEN}, "metric requests: cannot be read: Forbidden"),
    "the environment has no room for the weight": (
        NOTHING, {}, {"function": function_with(LONG="x" * 4_060)},
        "bytes as JSON with the weight in it, and Lambda takes 4096: make room",
    ),
    "a criterion fails before the start":
        (NOTHING, HOPELESS, {}, "fails already, before the start: criterion quick fails:"),
})  # fmt: skip
def test_a_start_is_refused_and_touches_nothing_when(
    tmp_path: Path,
    prepare: Callable[[Stage], None],
    overrides: dict[str, Any],
    world_changes: dict[str, Any],
    refusal: str,
) -> None:
    world = scenario(**{"function": function_with(), **world_changes})
    with open_stage(tmp_path, world, short_policy(**overrides)) as stage:
        prepare(stage)
        with pytest.raises(UsageError) as refused:
            stage.start()
        assert refusal in str(refused.value)
        assert str(refused.value).startswith("orders was not started; nothing was changed:\n")
        assert stage.world.calls[WRITE] == 0
        assert stage.store.of_name("orders") == ()
        assert check_start(stage.runner, stage.policy).refusals == tuple(
            line.strip() for line in str(refused.value).splitlines() if line.startswith("  ")
        )


def test_every_refusal_is_listed_at_once(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(events=BLIND)) as stage:
        function_says(PERCENTAGE="50", snap_start="PublishedVersions")(stage)
        findings = check_start(stage.runner, stage.policy)
        assert len(findings.refusals) == 3


def test_an_environment_that_cannot_be_decrypted_is_refused(tmp_path: Path) -> None:
    denied = [{"kind": "kms_denied"}]
    with (
        open_stage(tmp_path, scenario(function=function_with(), events=denied)) as stage,
        pytest.raises(UsageError, match="nothing was changed: the environment of handler"),
    ):
        stage.start()


def test_traffic_that_was_bad_long_ago_does_not_keep_a_start_from_happening(
    tmp_path: Path,
) -> None:
    bad = {"kind": "latency", "path": "stable", "times": 50, "lasting": "1h"}
    quick = {**HOPELESS["criteria"]["quick"], "max": 1_000}
    criteria = {**SHORT_POLICY["criteria"], "quick": quick}
    with open_stage(
        tmp_path, scenario(events=[bad]), short_policy(**HOPELESS | {"criteria": criteria})
    ) as (stage):
        stage.world.clock.advance(HOUR)
        assert check_start(stage.runner, stage.policy).refusals
        stage.world.clock.advance(HOUR + 5 * MINUTE)
        assert stage.start().phase is Phase.PROGRESSING


def test_a_threshold_of_long_windows_is_read_back_until_it_could_fail(tmp_path: Path) -> None:
    quick = {**HOPELESS["criteria"]["quick"], "window": "1h", "failure_limit": 2}
    steps = [{"weight": 10, "bake": "3h"}]
    criteria = {**SHORT_POLICY["criteria"], "quick": quick}
    policy = short_policy(**HOPELESS | {"criteria": criteria, "steps": steps})
    with open_stage(tmp_path, policy=policy) as stage:
        (refusal,) = check_start(stage.runner, stage.policy).refusals
        assert refusal.startswith("fails already, before the start: criterion quick fails:")


def test_an_unobserved_change_to_zero_leaves_all_time_since_the_start_in_doubt(
    tmp_path: Path,
) -> None:
    loose = {**FROZEN["criteria"]["fast"], "max_increase": "90%"}
    overrides = {**FROZEN, "criteria": {"fast": loose}, "steps": [{"weight": 100, "bake": "20m"}]}
    with open_stage(tmp_path, policy=short_policy(**overrides)) as stage:
        succeeded(stage)
        stage.world.clock.advance(timedelta(days=20))
        stage.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
        stage.world.clock.advance(HOUR)
        with pytest.raises(UsageError) as refused:
            start(stage.runner, StartRequest(stage.policy, "two"))
        assert (
            "fast: direct (p95): its window overlaps orders#1, which had weight above 0 from "
            f"{clock_text(START)} on, and when that ended is unknown; name a window before that "
            "with `from` and `to`, or a known value: baseline: {fixed: ...}"
        ) in str(refused.value)
        criteria = frozen_window("2026-01-05T07:00Z", "2026-01-05T08:30Z")
        policy = short_policy(**{**overrides, "criteria": {"fast": criteria["fast"]}})
        assert start(stage.runner, StartRequest(policy, "two")).created


def test_the_baseline_is_read_once_and_kept_with_the_rollout(tmp_path: Path) -> None:
    with open_stage(tmp_path, policy=short_policy(**FROZEN)) as stage:
        stage.start()
        frozen = stage.rollout.evidence.baselines["fast"]
        assert frozen.value == pytest.approx(100 * 1.638, rel=0.02)  # p95 of 100 ms and sigma 0.3
        assert frozen.samples == pytest.approx(600 * 60, rel=0.01)


# --- repeated starts ------------------------------------------------------------------------------


def test_the_revision_is_the_digest_of_the_code_unless_it_is_named(stage: Stage) -> None:
    assert stage.start().revision == stage.world.function(FUNCTION).code_sha256
    named = short_policy(name="named", target={**POLICY["target"], "function": "other"})
    stage.world.add_function("other", {})
    assert start(stage.runner, StartRequest(named, "v1.4.2")).rollout.revision == "v1.4.2"


@cases("request_, refusal", {
    "another revision":
        (StartRequest(short_policy(), "another"), "orders#1 is progressing with revision one"),
    "another version of the policy": (
        StartRequest(short_policy(warmup="1m"), "one"),
        "runs revision one with another version of the",
    ),
})  # fmt: skip
def test_a_running_rollout_is_not_replaced_by(
    stage: Stage, request_: StartRequest, refusal: str
) -> None:
    start(stage.runner, StartRequest(stage.policy, "one"))
    with pytest.raises(UsageError, match=refusal):
        start(stage.runner, request_)
    assert stage.store.of_name("orders") == ("orders#1",)


def rolled_back(stage: Stage, policy: Policy | None = None) -> None:
    start(stage.runner, StartRequest(policy or stage.policy, "one"))
    stage.runner.roll_back("orders#1", "support is paged")


def test_a_start_that_read_the_store_before_a_rollback_does_not_start_the_revision_again(
    stage: Stage,
) -> None:
    late = stage.another_runner()
    stage.world.interceptors.append(
        ActBefore(("lambda", "ListAliases"), lambda: rolled_back(stage))
    )
    with pytest.raises(StateConflictError):
        start(late, StartRequest(stage.policy, "one"))
    assert stage.store.all() == ("orders#1",)


def test_a_revision_that_was_rolled_back_is_remembered_past_newer_ones(stage: Stage) -> None:
    rolled_back(stage)
    start(stage.runner, StartRequest(stage.policy, "two"))
    stage.runner.roll_back("orders#2", "that one, too")
    with pytest.raises(RolledBackError, match="orders#1"):
        start(stage.runner, StartRequest(stage.policy, "one"))


def succeeded(stage: Stage) -> None:
    start(stage.runner, StartRequest(stage.policy, "one"))
    for _ in range(60):
        if stage.tick().rollout.phase is Phase.SUCCEEDED:
            return
    raise AssertionError(f"no success: {stage.rollout.sentence}")


def test_a_revision_that_succeeded_and_is_still_applied_is_not_started_again(
    stage: Stage,
) -> None:
    succeeded(stage)
    again = start(stage.runner, StartRequest(stage.policy, "one"))
    assert (again.created, again.rollout.id) == (False, "orders#1")


def test_a_success_under_another_version_of_the_policy_is_refused(stage: Stage) -> None:
    succeeded(stage)
    with pytest.raises(UsageError, match="orders#1 brought revision one to 100% with another"):
        start(stage.runner, StartRequest(short_policy(warmup="1m"), "one"))


def taken_back(stage: Stage) -> None:
    """Roll a success back by setting the variables, without the rollout."""
    succeeded(stage)
    lower_and_confirm(stage.runner.observer.targets(stage.policy.target), stage.world.clock)


@pytest.mark.parametrize("seen", [0, 1], ids=["before any tick", "after a tick"])
def test_a_success_that_was_taken_back_is_not_raised_again_by_the_next_start(
    stage: Stage, seen: int
) -> None:
    taken_back(stage)
    stage.ticks(seen)
    for adopt in (False, True):
        with pytest.raises(RolledBackError) as refused:
            start(stage.runner, StartRequest(stage.policy, "one", adopt=adopt))
        assert str(refused.value) == (
            "revision one succeeded with orders#1, and its weight was set to 0% after that "
            "(PERCENTAGE=0, ENABLED=false). The revision is blocked; to try it again: rolloutctl "
            f"retry orders#1{' --adopt' if adopt else ''} --reason TEXT. Another revision needs no "
            "retry"
        )
    assert stage.world.weight_now() == 0


def test_another_revision_starts_where_a_success_was_taken_back(stage: Stage) -> None:
    taken_back(stage)
    assert start(stage.runner, StartRequest(stage.policy, "two")).created


# --- other rollouts -----------------------------------------------------------------------------


def test_a_running_owner_keeps_its_target_while_the_weight_drifted_to_0(stage: Stage) -> None:
    stage.start()
    stage.world.set_variables(FUNCTION, {"PERCENTAGE": "0"})
    stage.world.clock.advance(MINUTE)
    with pytest.raises(TargetTakenError, match="orders#1"):
        start(stage.runner, StartRequest(short_policy(name="rival")))
    assert stage.store.of_name("rival") == ()


def test_a_retry_is_possible_from_the_moment_on_that_its_refusal_names(tmp_path: Path) -> None:
    with open_stage(tmp_path, policy=short_policy(**FROZEN)) as stage:
        rolled_back(stage)
        stage.world.clock.advance(30 * MINUTE)
        with pytest.raises(RolledBackError, match=r" from .* on, .*: rolloutctl retry orders#1"):
            start(stage.runner, StartRequest(stage.policy, "one"))
        with pytest.raises(UsageError) as refused:
            retry(stage.runner, "orders#1", "mended")
        assert "with a changed policy file: rolloutctl retry FILE" in str(refused.value)
        (named,) = re.findall(r"the same command from (\S+ \S+) \S+ on", str(refused.value))
        possible = datetime.fromisoformat(f"{named}Z")
        stage.world.clock.advance(possible - MINUTE - stage.world.clock.now())
        with pytest.raises(UsageError):
            retry(stage.runner, "orders#1", "mended")
        stage.world.clock.advance(MINUTE)
        with pytest.raises(RolledBackError, match="try it again: rolloutctl retry orders#1"):
            start(stage.runner, StartRequest(stage.policy, "one"))
        assert retry(stage.runner, "orders#1", "mended").created


@pytest.mark.parametrize("revision", ["one", "two"])
def test_the_window_that_the_refusal_of_a_blocked_revision_names_lets_it_start_at_once(
    tmp_path: Path, revision: str
) -> None:
    with open_stage(tmp_path, policy=short_policy(**FROZEN)) as stage:
        rolled_back(stage)
        stage.world.clock.advance(30 * MINUTE)
        with pytest.raises(RolledBackError) as refused:
            start(stage.runner, StartRequest(stage.policy, "one"))
        assert "Another revision needs no retry, and starts from then on" in str(refused.value)
        named = re.search(
            r"`criteria\.fast\.baseline` `from` (\S+Z) and `to` (\S+Z)", str(refused.value)
        )
        assert named is not None
        criteria = frozen_window(*named.groups())
        policy = short_policy(**{**FROZEN, "criteria": criteria})
        if revision == "one":
            assert retry(stage.runner, "orders#1", "mended", policy).created
        else:
            assert start(stage.runner, StartRequest(policy, revision)).created


# --- adopting the live weight -------------------------------------------------------------------

DAY = short_policy(steps=[{"weight": 10, "bake": "2m"}, {"weight": 100, "bake": "24h"}])
TWO_STEPS = "10% for 2m, 100% for 2m"


def set_live_variables(stage: Stage, **values: str | None) -> None:
    """Set these variables of the function an hour ago; None removes one."""
    variables = stage.world.function(FUNCTION).variables
    for name in [name for name, value in values.items() if value is None]:
        del variables[name]
    stage.world.set_variables(FUNCTION, {name: one for name, one in values.items() if one})
    stage.world.clock.advance(HOUR)


def adopt(stage: Stage, **overrides: Any) -> Rollout:
    return start(stage.runner, StartRequest(stage.policy, **{"adopt": True, **overrides})).rollout


def at_live(**values: str | None) -> Callable[[Stage], None]:
    return lambda stage: set_live_variables(stage, **values)


@cases("values, step", {
    "at a middle step": ({"PERCENTAGE": "10", "ENABLED": "false"}, 0),
    "without the boolean": ({"PERCENTAGE": "10", "ENABLED": None}, 0),
    "at the last step": ({"PERCENTAGE": "100", "ENABLED": "true"}, 1),
    "100 by the boolean alone": ({"PERCENTAGE": None, "ENABLED": "true"}, 1),
})  # fmt: skip
def test_a_weight_that_is_live_is_adopted_and_nothing_is_written(
    stage: Stage, values: dict[str, str | None], step: int
) -> None:
    set_live_variables(stage, **values)
    now, variables_before = stage.world.clock.now(), dict(stage.variables)
    rollout = adopt(stage)
    live = Live(step, rollout.weight, now)
    assert (rollout.position, rollout.reason, rollout.created) == (live, Reason.ADOPTED, now)
    assert "if every criterion of this step passes" in next_action(rollout).text
    assert (stage.writes, stage.variables) == (0, variables_before)
    started = stage.store.history("orders#1")[0].body
    assert started["cause"]["adopted"] == step
    assert started["weight_from"] == started["weight_to"] == rollout.weight
    assert f"taking over the existing weight of {rollout.weight}%" in stage.notices[0].text


def test_an_adopted_100_without_traffic_is_no_success(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(events=SILENT), DAY) as stage:
        set_live_variables(stage, PERCENTAGE="100", ENABLED="true")
        adopt(stage)
        visits = [stage.tick(after=HOUR) for _ in range(100)]
        assert visits[-1].rollout.reason is Reason.INCONCLUSIVE


@cases("prepare, overrides, world_changes, refusal", {
    "nothing is live":
        (NOTHING, {}, {}, "there is no weight to take over: the canary has 0% (PERCENTAGE=0"),
    "no step has the live weight": (
        at_live(PERCENTAGE="50"), {}, {},
        "the canary has 50% (PERCENTAGE=50, ENABLED=false), which is no step of the policy: "
        f"{TWO_STEPS}",
    ),
    "the variables contradict each other": (
        at_live(PERCENTAGE="10", ENABLED="true"), {}, {},
        "no clear weight is live (PERCENTAGE=10, ENABLED=true)",
    ),
    "the live weight is not in force yet": (
        lambda stage: stage.world.set_variables(FUNCTION, {"PERCENTAGE": "10"}), {}, {},
        "update: an update is in progress",
    ),
    "a baseline of the time just before": (
        at_live(PERCENTAGE="10"), FROZEN, {},
        "fast: a baseline window of 1h before the start would be measured while the canary "
        "has traffic; name a window before that with `from` and `to`, or a known value",
    ),
    "a criterion fails already": (
        at_live(PERCENTAGE="100", ENABLED="true"), {},
        {"events": [{"kind": "errors", "server_errors": "20%"}]},
        "fails already, so roll back the live 100% (rolloutctl rollback POLICY): "
        "criterion works fails",
    ),
})  # fmt: skip
def test_an_adoption_is_refused_and_touches_nothing_when(
    tmp_path: Path,
    prepare: Callable[[Stage], None],
    overrides: dict[str, Any],
    world_changes: dict[str, Any],
    refusal: str,
) -> None:
    world = scenario(**{"function": function_with(), **world_changes})
    with open_stage(tmp_path, world, short_policy(**overrides)) as stage:
        prepare(stage)
        with pytest.raises(UsageError) as refused:
            adopt(stage)
        assert refusal in str(refused.value)
        assert str(refused.value).startswith("orders was not started; nothing was changed:\n")
        assert (stage.writes, stage.store.of_name("orders")) == (0, ())
        assert check_start(stage.runner, stage.policy, adopt=True).refusals == tuple(
            line.strip() for line in str(refused.value).splitlines() if line.startswith("  ")
        )


def test_a_baseline_of_a_named_window_before_the_canary_had_traffic_is_adopted_with(
    tmp_path: Path,
) -> None:
    criteria = frozen_window("2026-01-05T08:00Z", "2026-01-05T08:50Z")
    with open_stage(tmp_path, policy=short_policy(**FROZEN | {"criteria": criteria})) as stage:
        set_live_variables(stage, PERCENTAGE="10")
        assert adopt(stage).evidence.baselines["fast"].samples > 200


def test_an_adopted_weight_survives_an_outage_right_after_it(tmp_path: Path) -> None:
    """Nothing was written, so an unreadable target is not rolled back."""
    with open_stage(tmp_path, scenario(function=function_with()), DAY) as stage:
        set_live_variables(stage, PERCENTAGE="100", ENABLED="true")
        adopt(stage)
        stage.world.interceptors.append(FailingCall(READ))
        stage.ticks(14)
        assert (stage.rollout.reason, stage.writes) == (Reason.TARGET_UNREADABLE, 0)


@pytest.mark.parametrize("status", ["Failed", "InProgress"])
def test_an_adopted_weight_survives_a_deployment_right_after_it(
    tmp_path: Path, status: str
) -> None:
    with open_stage(tmp_path, scenario(function=function_with()), DAY) as stage:
        set_live_variables(stage, PERCENTAGE="100", ENABLED="true")
        adopt(stage)
        function_says(status=status, reason="no such subnet")(stage)
        stage.ticks(14)
        assert (stage.rollout.reason, stage.writes) == (Reason.BAKING, 0)


def test_adopting_twice_changes_nothing(stage: Stage) -> None:
    set_live_variables(stage, PERCENTAGE="10")
    first = adopt(stage)
    again = start(stage.runner, StartRequest(stage.policy, adopt=True))
    assert (again.created, again.rollout) == (False, first)


def test_a_revision_that_was_rolled_back_is_not_adopted_without_a_retry(stage: Stage) -> None:
    rolled_back(stage)
    stage.world.clock.advance(HOUR)
    set_live_variables(stage, PERCENTAGE="10")
    with pytest.raises(RolledBackError, match="was rolled back by orders#1"):
        adopt(stage, revision="one")
    assert adopt(stage, revision="one", retry_reason="it was the network").id == "orders#2"


def test_what_another_rollout_owns_is_not_adopted(stage: Stage) -> None:
    stage.start()
    with pytest.raises(TargetTakenError, match="orders#1"):
        start(stage.runner, StartRequest(short_policy(name="rival"), adopt=True))
    assert stage.store.of_name("rival") == ()


# --- freezes ------------------------------------------------------------------------------------

FREEZE: dict[str, Any] = {"freeze": {"zone": "UTC", "daily": [{"from": "08:00", "to": "18:00"}]}}


def test_nothing_starts_in_a_freeze_but_what_is_live_is_adopted(tmp_path: Path) -> None:
    with open_stage(tmp_path, policy=short_policy(**FREEZE)) as stage:
        with pytest.raises(UsageError) as refused:
            stage.start()
        assert (
            f"frozen until {clock_text(START + 9 * HOUR)} (daily 08:00 to 18:00, UTC); "
            "start after that"
        ) in str(refused.value)
        set_live_variables(stage, PERCENTAGE="10")
        assert adopt(stage).phase is Phase.PROGRESSING


def test_a_retry_starts_the_same_revision_by_the_policy_it_had(stage: Stage) -> None:
    rolled_back(stage, short_policy(warmup="1m"))
    again = retry(stage.runner, "orders#1", "the gateway was down")
    assert (again.created, again.rollout.id, again.rollout.revision) == (True, "orders#2", "one")
    assert again.rollout.policy == short_policy(warmup="1m")
    assert stage.world.weight_now() == 10


# --- retry ----------------------------------------------------------------------------------------


def test_what_the_last_attempt_showed_does_not_keep_the_next_one_from_starting(
    tmp_path: Path,
) -> None:
    sick = {"kind": "errors", "server_errors": "20%", "lasting": "9m"}
    with open_stage(tmp_path, scenario(events=[sick])) as stage:
        start(stage.runner, StartRequest(stage.policy, "one"))
        while stage.rollout.phase is not Phase.ROLLED_BACK:
            stage.world.clock.advance(MINUTE)
            stage.tick()
        stage.world.clock.advance(5 * MINUTE)
        assert check_start(stage.runner, stage.policy).refusals == ()
        assert retry(stage.runner, "orders#1", "the gateway was down").created


def test_a_retry_of_code_that_was_replaced_is_refused(stage: Stage) -> None:
    first = stage.start()
    stage.runner.roll_back("orders#1", "looks odd")
    function = stage.world.function(FUNCTION)
    function.code_sha256 = code_digest("the next release")
    with pytest.raises(UsageError) as refused:
        retry(stage.runner, "orders#1", "it was the network")
    assert str(refused.value) == (
        f"retry was refused, and orders#1 is unchanged: its revision was the code "
        f"{first.revision}, and the "
        f"function has {function.code_sha256} now; that is a new revision: rolloutctl start POLICY"
    )


def rolled_back_and_raised(stage: Stage) -> None:
    rolled_back(stage)
    set_live_variables(stage, PERCENTAGE="10")


@cases("prepare, why, refusal", {
    "it runs": (lambda stage: stage.start(), "try", "the rollout is progressing; only one that"),
    "it succeeded and is live": (
        lambda stage: succeeded(stage), "try",
        "the rollout is succeeded; only one that was rolled back, or set to 0%",
    ),
    "no reason": (rolled_back, "", "--reason is empty"),
    "the checks of a start": (rolled_back_and_raised, "try", "the canary has 10% already"),
})  # fmt: skip
def test_a_retry_changes_nothing_where(
    stage: Stage, prepare: Callable[[Stage], object], why: str, refusal: str
) -> None:
    prepare(stage)
    with pytest.raises(UsageError, match=refusal):
        retry(stage.runner, "orders#1", why)
    assert stage.store.of_name("orders") == ("orders#1",)


def test_a_retry_of_what_was_tried_again_already_changes_nothing(stage: Stage) -> None:
    rolled_back(stage)
    second = retry(stage.runner, "orders#1", "once").rollout
    again = retry(stage.runner, "orders#1", "twice")
    assert (again.created, again.rollout) == (False, second)


def test_a_start_that_cannot_be_saved_any_more_says_so(tmp_path: Path) -> None:
    """Otherwise only the next tick would notice a role that may create and not update."""
    with open_stage(tmp_path) as stage:
        stage.use_store(ReadOnlyStore(stage.store))
        started = start(stage.runner, StartRequest(stage.policy))
        assert "created, but then could not be saved: the disk is full" in started.warnings[-1]
        assert stage.variables[lambda_env(stage.policy).percentage] == "10"
