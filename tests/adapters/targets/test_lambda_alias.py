"""What an alias shows beside the two versions of a rollout, and what Lambda answers with faults."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from controller.adapters.targets.lambda_alias import LambdaAliasTarget
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.errors import (
    TargetError,
    UsageError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.tools.simulation.fakes.errors import Proceed, read_timeout
from controller.tools.simulation.lambda_alias import SimulatedLambdaAlias
from controller.tools.simulation.world import World
from tests.adapters.contracts.routing_benches import ALIAS
from tests.adapters.targets.odd_lambda import (
    MINUTE,
    PRECONDITION,
    answered,
    fails,
    happens_but,
    meets,
)
from tests.support.core import UpdateStatus
from tests.tools.simulation.service_model import hold_to_model

ROLLOUT = ALIAS.with_versions("2", "1")
UPDATE = "UpdateAlias"


class Account:
    """An account with the alias `live`, on version 1 of three."""

    def __init__(self) -> None:
        self.world = World()
        self.alias = SimulatedLambdaAlias(ROLLOUT, self.world)
        self.world.interceptors.append(hold_to_model)
        vars(self.world)["_target"] = self.alias
        self.alias.begin(0, adopted=False)
        self.alias.publish("3")

    def open(self, target: LambdaAlias = ROLLOUT) -> LambdaAliasTarget:
        """Return the alias as a target."""
        return LambdaAliasTarget(self.world.client("lambda"), target, self.world.clock)

    def routed(self, version: str, **weights: float) -> "Account":
        """Route the alias as somebody else does: `v3=0.1` gives version 3 a tenth."""
        self.world.client("lambda").update_alias(
            FunctionName="handler",
            Name="live",
            FunctionVersion=version,
            RoutingConfig={
                "AdditionalVersionWeights": {name[1:]: weight for name, weight in weights.items()}
            },
        )
        return self

    def routing(self) -> tuple[str, Mapping[str, float]]:
        """Return the version of the alias, and the weights of others."""
        return self.alias.version, self.alias.weights


@pytest.fixture
def account() -> Account:
    return Account()


# --- what an alias shows --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "weights", "weight", "may_be_full"),
    [
        pytest.param("1", {"v2": 0.07}, 7, False, id="a binary fraction of a whole percent"),
        pytest.param("2", {"v1": 0.9}, 10, False, id="the same split, the other way round"),
        pytest.param("1", {"v2": 0.125}, None, False, id="no whole percent"),
        pytest.param("1", {"v2": 0.001}, None, False, id="less than a percent is not 0"),
        pytest.param("3", {}, 0, False, id="a version that was deployed meanwhile"),
        pytest.param("1", {"v3": 0.5}, 0, False, id="a canary of somebody else"),
        pytest.param("3", {"v2": 0.5}, None, False, id="another stable version"),
        pytest.param("2", {"v3": 0.1}, None, True, id="the canary, beside another version"),
    ],
)
def test_a_weight_is_the_share_of_the_canary_beside_its_stable_version(
    account: Account,
    version: str,
    weights: dict[str, float],
    weight: int | None,
    may_be_full: bool,
) -> None:
    reading = account.routed(version, **weights).open().read()
    assert (reading.weight, reading.may_be_full) == (weight, may_be_full)
    assert f"version {version}" in reading.variables


@pytest.mark.parametrize(
    ("version", "weights", "after"),
    [
        pytest.param("3", {"v2": 0.5}, ("3", {}), id="the canary beside a newer version"),
        pytest.param("2", {"v3": 0.1}, ("1", {"3": 0.1}), id="the canary before another version"),
        pytest.param("2", {"v1": 0.9}, ("1", {}), id="the canary before its stable version"),
        pytest.param("1", {"v2": 0.125}, ("1", {}), id="no whole percent"),
        pytest.param("3", {}, ("3", {}), id="a newer version alone"),
        pytest.param("1", {"v3": 0.5}, ("1", {"3": 0.5}), id="a canary of somebody else"),
    ],
)
def test_lowering_takes_the_canary_out_and_takes_back_no_other_version(
    account: Account,
    version: str,
    weights: dict[str, float],
    after: tuple[str, dict[str, float]],
) -> None:
    target = account.routed(version, **weights).open()
    target.lower_to_zero(MINUTE)
    assert account.routing() == after
    target.lower_to_zero(
        MINUTE, outdated_token=target.read().token
    )  # and writes the same once more
    assert account.routing() == after


def test_a_raise_over_a_version_that_was_deployed_meanwhile_is_refused(account: Account) -> None:
    target = account.routed("3").open()
    with pytest.raises(WriteRefusedError, match=r"has version 3, and the rollout moves .* 1 to 2"):
        target.shift_to(10, target.read().token)
    assert account.routing() == ("3", {})


def test_weights_that_lambda_sets_for_provisioned_concurrency_are_no_drift(
    account: Account,
) -> None:
    account.routed("2", v1=1.0)
    account.alias.provisioned = "IN_PROGRESS"
    moving = account.open().read()
    assert (moving.weight, moving.update) == (100, UpdateStatus.IN_PROGRESS)
    account.alias.provisioned = "READY"
    assert account.open().read().has_applied(0)


def test_where_provisioned_concurrency_may_not_be_read_the_weights_count(account: Account) -> None:
    operation = "GetProvisionedConcurrencyConfig"
    meets(account.world, operation, fails(answered("AccessDeniedException", operation)))
    assert account.routed("1", v2=0.1).open().read().has_applied(10)


@pytest.mark.parametrize("lowers", [False, True])
def test_a_change_between_reading_and_writing_is_not_written_over(
    account: Account, lowers: bool
) -> None:
    account.routed("1", v2=0.5)
    target = account.open()
    token = target.read().token

    def somebody_is_faster(proceed: Proceed) -> dict[str, Any]:
        account.alias.operations["lambda", UPDATE](
            {"Name": "live", "FunctionVersion": "3", "RoutingConfig": {}}
        )
        return proceed()

    meets(account.world, UPDATE, somebody_is_faster, times=1)
    if lowers:
        target.lower_to_zero(MINUTE)  # reads again, and takes out what is left of the canary
        assert account.routing() == ("3", {})
    else:
        with pytest.raises(WriteConflictError):
            target.shift_to(100, token)
        assert account.routing() == ("3", {"2": 0.5})


# --- what a start finds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "weights", "named", "earlier", "found"),
    [
        pytest.param("1", {}, {}, None, ("3", "1"), id="the newest"),
        pytest.param("1", {}, {"canary": "2"}, None, ("2", "1"), id="the named one"),
        pytest.param("1", {"v2": 0.1}, {}, None, ("2", "1"), id="the one that has a weight"),
        pytest.param("3", {}, {"stable": "2"}, None, ("3", "2"), id="at 100%, by the policy"),
        pytest.param("3", {}, {}, ("3", "2"), ("3", "2"), id="at 100%, by the last rollout"),
        pytest.param("2", {}, {}, ("2", "1"), ("3", "2"), id="the one after the last rollout"),
        pytest.param("3", {}, {"canary": "2"}, None, ("2", "3"), id="back to an older one"),
    ],
)
def test_a_start_finds_the_versions_that_the_policy_leaves_out(
    account: Account,
    version: str,
    weights: dict[str, float],
    named: dict[str, str],
    earlier: tuple[str, str] | None,
    found: tuple[str, str],
) -> None:
    account.routed(version, **weights)
    target = account.open(ALIAS.with_versions(named.get("canary"), named.get("stable")))
    resolved = target.resolved(earlier and ALIAS.with_versions(*earlier))
    assert resolved == ALIAS.with_versions(*found)


@pytest.mark.parametrize(
    ("version", "earlier", "words"),
    [
        pytest.param("3", None, "has version 3, and no newer one is published", id="nothing newer"),
        pytest.param("3", ("2", "1"), "no newer one is published", id="another last rollout"),
        pytest.param("$LATEST", None, "has .LATEST, and Lambda splits", id="nothing published"),
    ],
)
def test_a_start_without_two_published_versions_is_refused(
    account: Account, version: str, earlier: tuple[str, str] | None, words: str
) -> None:
    account.routed(version)
    with pytest.raises(UsageError, match=words):
        account.open(ALIAS).resolved(earlier and ALIAS.with_versions(*earlier))


def test_a_rollback_without_the_stable_version_says_how_to_name_it(account: Account) -> None:
    account.routed("3")
    command = f"rolloutctl rollback --function {ALIAS.function} --alias live --stable VERSION"
    with pytest.raises(WriteRefusedError, match=command):
        account.open(ALIAS).lower_to_zero(MINUTE)
    account.alias.publish("4")  # newer, and not what the alias has
    account.open(ALIAS.with_versions(None, "2")).lower_to_zero(MINUTE)
    assert account.routing() == ("2", {})
    assert account.open(ALIAS.with_versions(None, "2")).read().has_applied(0)


# --- before a start -------------------------------------------------------------------------------


def _differs(**configuration: Any) -> Callable[[Account], None]:
    return lambda account: account.alias.publish("2", **configuration)


def _is_provisioned(account: Account) -> None:
    account.alias.provisioned = "READY"


QUEUE = {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:failed"}


def test_where_the_stable_version_is_gone_there_is_nothing_to_split(account: Account) -> None:
    account.routed("3")
    assert account.open(ALIAS).obstacles() == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (_differs(Role="arn:aws:iam::123456789012:role/other"), "have another role"),
        (_differs(DeadLetterConfig=QUEUE), "have another dead-letter queue"),
        (_differs(State="Pending"), "version 2 of handler is Pending"),
        (_is_provisioned, "has provisioned concurrency"),
    ],
)
def test_what_keeps_lambda_from_splitting_an_alias_is_fatal(
    account: Account, given: Callable[[Account], None], words: str
) -> None:
    given(account)
    (found,) = account.open().obstacles()
    assert found.fatal
    assert words in found.text


@pytest.mark.parametrize(
    "operation", ["GetProvisionedConcurrencyConfig", "GetFunctionConfiguration"]
)
def test_a_check_that_was_not_made_names_the_action(account: Account, operation: str) -> None:
    meets(account.world, operation, fails(answered("AccessDeniedException", operation)))
    (found,) = account.open().obstacles()
    assert (found.fatal, found.unread) == (False, True)
    assert f"(lambda:{operation})" in found.text


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(read_timeout("lambda"), id="the answer is lost"),
        pytest.param(answered(PRECONDITION, UPDATE), id="412 of a repeated call"),
    ],
)
def test_a_raise_that_happened_after_all_is_done(account: Account, error: Exception) -> None:
    meets(account.world, UPDATE, happens_but(error))
    target = account.open()
    target.shift_to(50, target.read().token)
    assert account.routing() == ("1", {"2": 0.5})


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        pytest.param(read_timeout("lambda"), WriteUncertainError, id="no answer"),
        pytest.param(answered(PRECONDITION, UPDATE), WriteConflictError, id="412"),
        pytest.param(answered("AccessDeniedException", UPDATE), WriteRefusedError, id="denied"),
    ],
)
def test_a_raise_is_tried_once(account: Account, error: Exception, raised: type[Exception]) -> None:
    meets(account.world, UPDATE, fails(error))
    target = account.open()
    with pytest.raises(raised):
        target.shift_to(50, target.read().token)
    assert account.world.calls["lambda", UPDATE] == 1
    assert account.routing() == ("1", {})


def test_lowering_goes_on_through_throttling_and_conflicts(account: Account) -> None:
    account.routed("1", v2=0.5)
    meets(account.world, UPDATE, fails(answered("TooManyRequestsException", UPDATE)), times=3)
    meets(account.world, UPDATE, fails(answered(PRECONDITION, UPDATE)), times=2)
    account.open().lower_to_zero(MINUTE)
    assert account.routing() == ("1", {})


def test_a_lowering_in_vain_says_what_to_do_by_hand(account: Account) -> None:
    account.routed("1", v2=0.5)
    meets(account.world, UPDATE, fails(answered("ServiceException", UPDATE)))
    with pytest.raises(TargetError, match=r"or aws lambda update-alias .* --function-version 1 "):
        account.open().lower_to_zero(MINUTE)
