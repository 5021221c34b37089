"""The target `appconfig` when calls fail, and when others deploy."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from controller.adapters.targets import appconfig_configuration
from controller.adapters.targets.appconfig import AppConfigTarget, find_target
from controller.core.observation import UpdateStatus
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.errors import (
    TargetError,
    UsageError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.tools.simulation.appconfig import OTHER_PROFILE, SimulatedAppConfig
from controller.tools.simulation.world import World
from tests.adapters.contracts import appconfig_benches
from tests.adapters.contracts.appconfig_benches import DOCUMENT, a_target
from tests.adapters.targets.odd_lambda import MINUTE, Odd, answered, fails, happens_but, meets
from tests.support.accounts import OneClientAccount
from tests.tools.init.accounts import NoTerminal

TIMEOUT = ReadTimeoutError(endpoint_url="https://appconfig.invalid")
CREATE, START, STOP = "CreateHostedConfigurationVersion", "StartDeployment", "StopDeployment"
GET = "GetHostedConfigurationVersion"
DENIED = answered("AccessDeniedException", START)
CONFLICT = answered("ConflictException", START)
BAD_START = answered("BadRequestException", START, "value hunter2 is no number")
INVALID = answered("BadRequestException", CREATE, "value hunter2 is no number")
TEN = timedelta(seconds=10)
HALF_AN_HOUR = timedelta(minutes=30)


@dataclass
class Opened:
    """A configuration in a simulated account, and its adapter."""

    world: World
    target: AppConfigFlag
    account: OneClientAccount
    adapter: AppConfigTarget

    @property
    def twin(self) -> SimulatedAppConfig:
        twin = self.world.simulated_target
        assert isinstance(twin, SimulatedAppConfig)
        return twin

    def raise_to(self, weight: int) -> None:
        self.adapter.shift_to(weight, self.adapter.read().token)

    def calls(self, operation: str) -> int:
        return self.world.calls["appconfig", operation]


@pytest.fixture
def opened() -> Opened:
    target = a_target()
    world = World(target=target)
    account = OneClientAccount(lambda: world.client("appconfig"), clock=world.clock)
    return Opened(world, target, account, AppConfigTarget(target, account))


@pytest.mark.parametrize(
    ("operation", "odd", "error", "weight"),
    [
        pytest.param(START, happens_but(TIMEOUT), None, 10, id="deployed, and the answer lost"),
        pytest.param(START, fails(TIMEOUT), WriteUncertainError, 0, id="not deployed"),
        pytest.param(START, fails(CONFLICT), WriteConflictError, 0, id="another one was first"),
        pytest.param(START, fails(DENIED), WriteRefusedError, 0, id="denied"),
        pytest.param(START, fails(BAD_START), WriteRefusedError, 0, id="refused at deployment"),
        pytest.param(CREATE, fails(TIMEOUT), WriteUncertainError, 0, id="not saved"),
        pytest.param(CREATE, happens_but(TIMEOUT), WriteUncertainError, 0, id="saved alone"),
        pytest.param(CREATE, fails(INVALID), WriteRefusedError, 0, id="refused by a validator"),
    ],
)
def test_a_raise_that_fails_is_read_back_and_never_made_again(
    opened: Opened, operation: str, odd: Odd, error: type[Exception] | None, weight: int
) -> None:
    meets(opened.world, operation, odd)
    if error is None:
        opened.raise_to(10)
    else:
        with pytest.raises(error, match=r"was not set to 10% \(appconfig:") as caught:
            opened.raise_to(10)
        assert "hunter2" not in str(caught.value)
    assert opened.adapter.read().weight == weight
    assert opened.calls(START) <= 1


def test_lowering_deploys_until_it_is_accepted_and_saves_one_version(opened: Opened) -> None:
    opened.raise_to(50)
    meets(opened.world, START, fails(TIMEOUT), times=3)
    opened.adapter.lower_to_zero(MINUTE)
    assert opened.adapter.read().weight == 0
    assert (opened.calls(CREATE), opened.calls(START)) == (2, 1 + 4)


def test_lowering_that_is_never_accepted_says_what_to_do_by_hand(opened: Opened) -> None:
    opened.raise_to(50)
    meets(opened.world, START, fails(TIMEOUT))
    with pytest.raises(TargetError, match=r"save a version of profile ghi9012 with checkout\.perc"):
        opened.adapter.lower_to_zero(TEN)


# --- deployments of others ------------------------------------------------------------------------


def test_what_is_deployed_between_the_reading_and_the_raise_is_not_replaced(
    opened: Opened,
) -> None:
    def meanwhile(proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        opened.twin.set_weight(30)
        return proceed()

    meets(opened.world, START, meanwhile, times=1)
    with pytest.raises(WriteConflictError):
        opened.raise_to(10)
    assert opened.adapter.read().weight == 30


def test_a_deployment_of_another_profile_meanwhile_only_delays_a_raise(opened: Opened) -> None:
    token = opened.adapter.read().token
    opened.twin.deploy(1, profile=OTHER_PROFILE)
    opened.adapter.shift_to(10, token)
    assert opened.adapter.read().weight == 10
    (doubt,) = opened.adapter.obstacles()
    assert not doubt.fatal
    assert f"profile {OTHER_PROFILE} is deployed to the same environment" in doubt.text


@pytest.mark.parametrize(("earlier", "stopped"), [(0, True), (50, True), (100, False)])
def test_a_bake_is_stopped_by_lowering_only_where_that_raises_nothing(
    opened: Opened, earlier: int, stopped: bool
) -> None:
    opened.twin.set_weight(earlier)
    opened.twin.set_weight(70, bakes=HALF_AN_HOUR)
    assert opened.adapter.read().update is UpdateStatus.IN_PROGRESS
    if stopped:
        opened.adapter.lower_to_zero(TEN)
        assert opened.adapter.read().has_applied(0)
    else:
        with pytest.raises(TargetError, match="stopping it would bring 100% back"):
            opened.adapter.lower_to_zero(TEN)
        assert opened.twin.weight == 70
        opened.world.clock.advance(HALF_AN_HOUR)
        opened.adapter.lower_to_zero(TEN)
    assert opened.twin.weight == 0
    assert opened.calls(STOP) == stopped


def test_a_stop_that_is_denied_is_named_and_tried_again(opened: Opened) -> None:
    opened.twin.set_weight(50, grows=HALF_AN_HOUR)
    meets(opened.world, STOP, fails(answered("AccessDeniedException", STOP)), times=2)
    opened.adapter.lower_to_zero(MINUTE)
    assert opened.twin.weight == 0
    opened.twin.set_weight(50, grows=HALF_AN_HOUR)
    meets(opened.world, STOP, fails(answered("AccessDeniedException", STOP)))
    with pytest.raises(TargetError, match=r"was not stopped \(appconfig:StopDeployment\)"):
        opened.adapter.lower_to_zero(TEN)


def test_a_deployment_to_0_that_grows_is_never_stopped(opened: Opened) -> None:
    """Each tick would stop it and bring 50% back to all."""
    opened.twin.set_weight(50)
    opened.twin.set_weight(0, grows=HALF_AN_HOUR)
    with pytest.raises(TargetError, match="it brings 0%"):
        opened.adapter.lower_to_zero(TEN)
    assert opened.calls(STOP) == 0
    opened.world.clock.advance(HALF_AN_HOUR)
    assert opened.adapter.read().has_applied(0)


def test_a_deployment_to_0_is_waited_for(opened: Opened) -> None:
    opened.twin.set_weight(50)
    opened.twin.set_weight(0, bakes=timedelta(seconds=5))
    token = opened.adapter.read().token
    opened.adapter.lower_to_zero(MINUTE, outdated_token=token)
    assert opened.adapter.read().has_applied(0)
    assert opened.adapter.read().token != token
    assert opened.calls(STOP) == 0


def test_many_deployments_of_others_hide_nothing(opened: Opened) -> None:
    opened.twin.set_weight(20)
    for _ in range(120):
        opened.twin.deploy(1, profile=OTHER_PROFILE)
    assert opened.adapter.read().has_applied(20)
    opened.adapter.lower_to_zero(TEN)
    assert opened.twin.weight == 0


def test_a_profile_that_is_not_among_the_newest_deployments_is_not_called_undeployed(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appconfig_configuration, "PAGES", 1)
    for _ in range(appconfig_configuration.PAGE + 1):
        opened.twin.deploy(1, profile=OTHER_PROFILE)
    with pytest.raises(TargetError, match="older ones are not looked at") as caught:
        opened.adapter.read()
    assert not isinstance(caught.value, WriteRefusedError)


@pytest.mark.parametrize("constraint", [{"minimum": 1}, {"type": "string"}], ids=str)
def test_a_raise_is_refused_where_the_flag_could_not_take_0(
    opened: Opened, constraint: dict[str, Any]
) -> None:
    (flag,) = (one for name, one in opened.twin.versions[1]["flags"].items() if name == "checkout")
    flag["attributes"]["percentage"]["constraints"] = {"type": "number", **constraint}
    with pytest.raises(WriteRefusedError, match="refuse 0, so a rollback could not be saved"):
        opened.raise_to(10)
    assert [one.fatal for one in opened.adapter.obstacles()] == [True]


@pytest.mark.parametrize("flags", [[], {"checkout": None}], ids=str)
def test_definitions_that_cannot_be_read_hinder_no_rollback(opened: Opened, flags: object) -> None:
    opened.twin.set_weight(50)
    opened.twin.document["flags"] = flags
    assert any(one.fatal for one in opened.adapter.obstacles())
    opened.adapter.lower_to_zero(TEN)
    assert opened.twin.weight == 0


def test_alarms_of_the_environment_are_named(opened: Opened) -> None:
    opened.twin.monitors.append("arn:aws:cloudwatch:us-east-1:123456789012:alarm:red")
    (doubt,) = opened.adapter.obstacles()
    assert "takes it back, also one with 0%" in doubt.text


# --- versions that are used up --------------------------------------------------------------------


def use_up(opened: Opened) -> None:
    """Let the profile take no further version."""
    opened.twin.most_versions = len(opened.twin.versions)


def with_search(opened: Opened, enabled: bool) -> Any:
    """Return the deployed document, in which another team has switched another flag."""
    document = deepcopy(opened.twin.document)
    document["values"]["search"]["enabled"] = enabled
    return document


def test_without_a_version_left_a_rollback_deploys_the_one_with_0_again(opened: Opened) -> None:
    before = opened.twin.document
    for weight in (10, 50):
        opened.raise_to(weight)
    use_up(opened)
    opened.adapter.lower_to_zero(TEN)
    assert opened.twin.weight == 0
    assert opened.twin.document == before
    assert opened.twin.deployments[-1].version == 1


def test_a_raise_is_not_made_without_a_version_left(opened: Opened) -> None:
    opened.raise_to(10)
    use_up(opened)
    with pytest.raises(WriteRefusedError, match="a quota of the account is used up"):
        opened.raise_to(50)
    assert opened.twin.weight == 10


def test_the_times_that_appconfig_notes_make_no_other_document(opened: Opened) -> None:
    opened.raise_to(50)
    for document, minute in zip(opened.twin.versions.values(), (1, 2), strict=True):
        times = {"_createdAt": "2026-12-01T10:00:00Z", "_updatedAt": f"2026-12-01T10:0{minute}:00Z"}
        document["flags"]["checkout"].update(times)
        document["values"]["checkout"].update(times)
    use_up(opened)
    opened.adapter.lower_to_zero(TEN)
    assert opened.twin.deployments[-1].version == 1


def test_a_version_that_only_switches_the_flag_off_is_not_deployed_for_0(opened: Opened) -> None:
    """Who switches the flag on again would have its percentage at once."""
    off = opened.twin.with_weight(70)
    off["values"]["checkout"]["enabled"] = False
    opened.twin.versions[1] = off
    opened.twin.set_weight(50)
    use_up(opened)
    with pytest.raises(WriteRefusedError):
        opened.adapter.lower_to_zero(TEN)


def test_what_another_team_changed_before_a_raise_is_kept_by_its_rollback(opened: Opened) -> None:
    opened.raise_to(10)
    opened.twin.deploy(opened.twin.save(with_search(opened, enabled=True)))
    opened.raise_to(50)
    use_up(opened)
    opened.adapter.lower_to_zero(TEN)
    assert opened.twin.weight == 0
    assert opened.twin.document["values"]["search"] == {"enabled": True}


def test_a_raise_saves_no_second_version_with_0(opened: Opened) -> None:
    opened.twin.deploy(opened.twin.save(opened.twin.with_weight(10)))
    opened.raise_to(50)
    assert opened.calls(CREATE) == 1, "version 1 has 0%"
    opened.twin.deploy(opened.twin.save(with_search(opened, enabled=True)))
    opened.raise_to(70)
    assert opened.calls(CREATE) == 3
    opened.raise_to(100)
    assert opened.calls(CREATE) == 4


def test_no_version_with_other_settings_is_deployed_for_0(opened: Opened) -> None:
    opened.raise_to(50)
    opened.twin.deploy(opened.twin.save(with_search(opened, enabled=True)))
    use_up(opened)
    with pytest.raises(
        WriteRefusedError, match="delete versions of the profile that are not deployed"
    ):
        opened.adapter.lower_to_zero(TEN)
    assert opened.twin.weight == 50
    del opened.twin.versions[1]
    opened.adapter.lower_to_zero(TEN)
    assert opened.twin.weight == 0
    assert opened.twin.document["values"]["search"] == {"enabled": True}


def test_where_saving_is_denied_a_rollback_deploys_a_version_again(opened: Opened) -> None:
    opened.raise_to(50)
    meets(opened.world, CREATE, fails(answered("AccessDeniedException", CREATE)))
    opened.adapter.lower_to_zero(TEN)
    assert opened.twin.deployments[-1].version == 1


@pytest.mark.parametrize("operation", ["ListHostedConfigurationVersions", GET])
def test_versions_that_cannot_be_looked_through_leave_the_first_refusal(
    opened: Opened, operation: str
) -> None:
    opened.raise_to(50)
    use_up(opened)
    reads = opened.calls(operation)
    denied = fails(answered("AccessDeniedException", operation))

    def after_the_reading(proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        is_of_the_search = opened.calls(operation) > reads + (operation == GET)
        return denied(proceed) if is_of_the_search else proceed()

    meets(opened.world, operation, after_the_reading)
    with pytest.raises(WriteRefusedError, match="ServiceQuotaExceededException"):
        opened.adapter.lower_to_zero(TEN)


def test_a_search_that_gets_no_answer_is_made_again(opened: Opened) -> None:
    opened.raise_to(50)
    use_up(opened)
    meets(opened.world, "ListHostedConfigurationVersions", fails(TIMEOUT), times=2)
    opened.adapter.lower_to_zero(MINUTE)
    assert opened.twin.weight == 0


# --- the profile ----------------------------------------------------------------------------------

PROFILE = "GetConfigurationProfile"
FREEFORM, FLAGS = "AWS.Freeform", "AWS.AppConfig.FeatureFlags"


@pytest.mark.parametrize("document", [None, {"percentage": 0}, [1]], ids=str)
def test_a_flag_in_a_profile_of_another_type_is_in_the_way(
    opened: Opened, document: object
) -> None:
    """Functions get the document of such a profile as it is, and find no flag in it."""
    if document is not None:
        opened.twin.deploy(opened.twin.save(document))
    opened.twin.kind = FREEFORM
    first, *others = opened.adapter.obstacles()
    assert first.fatal
    assert f"of type {FREEFORM}, so no function reads flag checkout" in first.text
    assert not any(one.fatal for one in others), "one cause is one obstacle"


def test_an_attribute_without_a_flag_in_a_profile_of_flags_is_in_the_way() -> None:
    bench = appconfig_benches.simulated(DOCUMENT)
    bench.client._world.simulated_target.kind = FLAGS
    (obstacle,) = bench.open(bench.target).obstacles()
    assert obstacle.fatal
    assert f"of type {FLAGS}, and its document takes no attribute percentage" in obstacle.text


def test_a_profile_whose_content_is_elsewhere_is_in_the_way(opened: Opened) -> None:
    opened.twin.location = "ssm-parameter://flags"
    (obstacle,) = opened.adapter.obstacles()
    assert obstacle.fatal
    assert "keeps its content in ssm-parameter://flags" in obstacle.text


def test_where_the_type_of_a_profile_cannot_be_read_the_rest_is_looked_at(opened: Opened) -> None:
    meets(opened.world, PROFILE, fails(answered("AccessDeniedException", PROFILE)))
    opened.twin.strategies[opened.target.strategy] = (30, 10)
    strategy, profile = opened.adapter.obstacles()
    assert (strategy.fatal, profile.unread) == (True, True)
    assert "appconfig:GetConfigurationProfile" in profile.text


# --- what init finds ----------------------------------------------------------------------------


def test_init_finds_the_profile_the_flag_and_a_strategy_that_deploys_at_once(
    opened: Opened,
) -> None:
    names = {"environment": opened.target.environment, "function": "checkout"}
    opened.twin.versions[1]["flags"] = {"checkout": opened.twin.versions[1]["flags"]["checkout"]}
    found = find_target(opened.account, names, NoTerminal())
    assert found.target == opened.target.model_copy(update={"function": "checkout"})
    assert (found.weight, found.notes) == (0, [])


def test_init_says_how_a_strategy_is_made(opened: Opened) -> None:
    opened.twin.strategies = {"slow999": (30, 10)}
    names = {"environment": opened.target.environment, "function": "checkout"}
    with pytest.raises(UsageError, match="aws appconfig create-deployment-strategy"):
        find_target(opened.account, names, NoTerminal())


@pytest.mark.parametrize("missing", ["environment", "function"])
def test_init_needs_the_environment_and_the_function(opened: Opened, missing: str) -> None:
    names = {"environment": opened.target.environment, "function": "checkout"}
    del names[missing]
    with pytest.raises(UsageError, match=f"name the {missing} with --{missing}"):
        find_target(opened.account, names, NoTerminal())
