"""A start puts the versions of an alias into the policy, and its rollout keeps them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from controller.core.judge.leak_check import leak_check_query_plan
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.errors import RolledBackError, UsageError
from controller.operations.start import StartRequest, retry, start
from controller.operations.start.baselines import baseline_requests
from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalSetup, rehearsal
from controller.tools.simulation.lambda_alias import SimulatedLambdaAlias
from tests.support.core import Phase, Rollout
from tests.support.shipped import POLICIES

POLICY = load(POLICIES["lambda-alias"])


@pytest.fixture
def account() -> Iterator[RehearsalSetup]:
    """An account in which the alias has version 1, and 2 is the newest one."""
    logging.disable()
    with rehearsal(POLICY, "healthy", 1) as setup:
        yield setup


def alias(account: RehearsalSetup) -> SimulatedLambdaAlias:
    simulated = vars(account.world)["_target"]
    assert isinstance(simulated, SimulatedLambdaAlias)
    return simulated


def started(account: RehearsalSetup, version: str | None = None) -> Rollout:
    """Start the policy file, with `--version` where a version is given."""
    policy = POLICY
    if version is not None:
        policy = POLICY.resolved(POLICY.target.with_version(version))
    return start(account.runner, StartRequest(policy)).rollout


def versions(rollout: Rollout) -> tuple[str | None, str | None]:
    target = rollout.policy.target
    assert isinstance(target, LambdaAlias)
    return target.canary, target.stable


def test_the_stored_policy_has_the_versions_and_their_metrics(account: RehearsalSetup) -> None:
    rollout = account.runner.store.load(started(account).id)
    assert (rollout.revision, versions(rollout)) == ("2", ("2", "1"))
    measured = {
        name: metric.dimensions["ExecutedVersion"]
        for name, metric in rollout.policy.metrics.items()
        if "ExecutedVersion" in metric.dimensions
    }
    assert measured == {
        "requests": "2", "errors": "2", "duration": "2",
        "stable_requests": "1", "stable_errors": "1", "stable_duration": "1",
    }  # fmt: skip


def test_a_baseline_needs_no_metric_that_exists_only_while_the_alias_has_a_weight(
    account: RehearsalSetup,
) -> None:
    policy = POLICY.resolved(POLICY.target.rehearsed())
    requests = list(baseline_requests(policy, account.runner.clock.now()))
    assert {request.criterion for request in requests} == {"fast", "fast-alone"}
    names = {
        name for request in requests for each in request.queries for name, _ in each.dimensions
    }
    assert names == {"FunctionName", "Resource"}


def test_a_version_that_is_published_meanwhile_is_another_rollout(account: RehearsalSetup) -> None:
    first = started(account)
    alias(account).publish("3")
    assert started(account).id == first.id  # the alias shows which version has the weight
    with pytest.raises(UsageError, match="roll it back or let it finish before 3 is started"):
        started(account, "3")
    account.runner.roll_back(first.id, "enough")
    assert versions(started(account)) == ("3", "1")


def test_a_retry_by_the_policy_file_keeps_the_version(account: RehearsalSetup) -> None:
    first = started(account)
    account.runner.roll_back(first.id, "enough")
    alias(account).publish("3")
    again = retry(account.runner, first.id, "fixed", POLICY).rollout
    assert (again.revision, versions(again)) == ("2", ("2", "1"))


def test_a_retry_by_a_policy_of_another_version_is_refused(account: RehearsalSetup) -> None:
    first = started(account)
    account.runner.roll_back(first.id, "enough")
    alias(account).publish("3")
    other = POLICY.resolved(POLICY.target.with_version("3"))
    with pytest.raises(UsageError, match="the policy names canary=3, stable=1; that is a new"):
        retry(account.runner, first.id, "fixed", other)


def test_a_version_that_was_rolled_back_is_blocked(account: RehearsalSetup) -> None:
    first = started(account)
    account.runner.roll_back(first.id, "enough")
    with pytest.raises(RolledBackError, match="revision 2 was rolled back"):
        started(account)


def test_after_100_percent_the_same_start_changes_nothing(account: RehearsalSetup) -> None:
    rollout = first = started(account)
    for _ in range(3):
        account.world.clock.advance(POLICY.steps[-1].bake * 2)
        rollout = account.runner.visit(first.id).rollout
    assert rollout.phase is Phase.SUCCEEDED
    assert alias(account).version == "2"
    assert started(account).id == first.id
    account.runner.roll_back(first.id, "late trouble")
    assert alias(account).version == "1"


def test_after_a_rollback_the_alias_counts_what_the_stable_version_gets(
    account: RehearsalSetup,
) -> None:
    rollout = started(account)
    account.runner.roll_back(rollout.id, "enough")
    rolled_back = account.runner.store.load(rollout.id)
    assert rolled_back.phase is Phase.ROLLED_BACK
    now = account.runner.clock.now() + timedelta(minutes=8)
    queries = leak_check_query_plan(rolled_back, now).queries.values()
    versions = {dict(query.dimensions).get("ExecutedVersion") for query in queries}
    assert versions == {"2", None}
