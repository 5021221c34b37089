"""Planted bugs in the adapters of an alias and of a listener rule."""

from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.adapters.aws.clients import AWS_ERRORS
from controller.adapters.targets import alb_weights, appconfig_configuration, appconfig_document
from controller.adapters.targets.alb_weights import AlbWeightsTarget, RuleActions
from controller.adapters.targets.lambda_alias import (
    AliasState,
    LambdaAliasResource,
    LambdaAliasTarget,
    Routing,
    Versions,
)
from controller.core.policy.targets.alb_weights import AlbWeights
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.engine.execute import Executor
from tests.chaos.fault_plan import ActorAction, CallFault, InjectionPoint, Timing
from tests.chaos.faults import RESPONSE_LOST
from tests.chaos.invariants.raises import NoStaleRaise, OneRaisePerAdvance
from tests.chaos.invariants.target import FailureRollsBack, OtherSettingsUnchanged
from tests.chaos.planted_bug import breaks
from tests.chaos.sample_plans import (
    ALIAS_READ,
    ALIAS_WRITE,
    CANARY_ERRORS,
    DEPLOY,
    MEASURE,
    RULE_READ,
    RULE_WRITE,
    alias_plan,
    flag_plan,
    interleaving,
    rule_plan,
)

SECOND = timedelta(seconds=1)


# --- an alias -------------------------------------------------------------------------------------


@breaks(
    NoStaleRaise,
    "an operator rolls back just before the write of the first raise",
    lambda: alias_plan(interleaving(0, ALIAS_WRITE, ActorAction.ROLLBACK)),
)
def omits_revision_id(patch: pytest.MonkeyPatch) -> None:
    """A write of an alias names no RevisionId."""
    write = LambdaAliasResource.write

    def write_unconditionally(self: Any, snapshot: AliasState, weight: int) -> None:
        update = self._client.update_alias

        class Client:
            def update_alias(self, **request: Any) -> Any:
                return update(**{key: one for key, one in request.items() if key != "RevisionId"})

        patched = LambdaAliasResource(Client(), self._target)
        write(patched, snapshot, weight)

    patch.setattr(LambdaAliasResource, "write", write_unconditionally)


@breaks(
    NoStaleRaise,
    "an operator rolls back between the save of the first raise and its write",
    lambda: alias_plan(interleaving(0, ALIAS_READ, ActorAction.ROLLBACK, number=2)),
)
def accepts_any_revision_id(patch: pytest.MonkeyPatch) -> None:
    """A raise of an alias uses the newest RevisionId instead of the one that its decision saw."""
    patch.setattr(LambdaAliasTarget, "_check_token", lambda *_: None)


@breaks(
    OneRaisePerAdvance,
    "two ticks write one raise, and 5% is set outside between them",
    lambda: alias_plan(
        interleaving(5, ALIAS_READ, ActorAction.TICK, number=1, waits=130),
        interleaving(5, ALIAS_READ, ActorAction.SET_WEIGHT, number=1, weight=5),
    ),
)
def retries_raise(patch: pytest.MonkeyPatch) -> None:
    """A raise of an alias is retried with a new RevisionId after a conflict."""

    def shift_until_shown(self: Any, weight: int, token: str) -> None:
        while (state := self._alias.read()).reading.weight != weight:
            with suppress(*AWS_ERRORS):
                self._alias.write(state, weight)
            self._clock.sleep(SECOND)

    patch.setattr(LambdaAliasTarget, "shift_to", shift_until_shown)


@breaks(
    FailureRollsBack,
    "the canary fails at 10%",
    lambda: alias_plan(events=[{**CANARY_ERRORS, "at": {"after": "30s"}}]),
)
def leaves_weights(patch: pytest.MonkeyPatch) -> None:
    """0% leaves the weight of the canary in the routing of an alias."""
    routing = Versions.routing

    def keep_weights(self: Versions, weight: int, current: Routing) -> Routing:
        return routing(self, weight, current) if weight else Routing("1", current.others)

    patch.setattr(Versions, "routing", keep_weights)


@breaks(
    OtherSettingsUnchanged,
    "a third version gets 90% of the requests while 10% bakes, and an operator rolls back",
    lambda: alias_plan(
        interleaving(2, MEASURE, ActorAction.CONTRADICT, when=Timing.AFTER),
        interleaving(4, MEASURE, ActorAction.ROLLBACK, when=Timing.AFTER),
    ),
)
def takes_back_other_version(patch: pytest.MonkeyPatch) -> None:
    """0% takes an alias back from a version that was deployed meanwhile."""
    routing = Versions.routing

    def write_stable(self: Versions, weight: int, current: Routing) -> Routing:
        return routing(self, weight, current) if weight else Routing("1")

    patch.setattr(Versions, "routing", write_stable)


@breaks(
    OtherSettingsUnchanged,
    "a third version gets 20% of the requests at 100%, and an operator rolls back",
    lambda: alias_plan(
        interleaving(5, MEASURE, ActorAction.CONTRADICT, when=Timing.AFTER),
        interleaving(7, MEASURE, ActorAction.ROLLBACK, when=Timing.AFTER),
    ),
)
def drops_third_version(patch: pytest.MonkeyPatch) -> None:
    """0% over the version of the canary drops the weight of a third version."""
    routing = Versions.routing

    def drop_weights(self: Versions, weight: int, current: Routing) -> Routing:
        after = routing(self, weight, current)
        return Routing(after.version) if current.version == self.canary else after

    patch.setattr(Versions, "routing", drop_weights)


# --- a listener rule ------------------------------------------------------------------------------


@breaks(
    NoStaleRaise,
    "an operator rolls back between the save of the first raise and its write",
    lambda: rule_plan(interleaving(0, RULE_READ, ActorAction.ROLLBACK, number=3)),
)
def compares_no_token(patch: pytest.MonkeyPatch) -> None:
    """A raise of a rule does not compare the actions with those of its decision."""

    def shift_anyway(self: AlbWeightsTarget, weight: int, token: str) -> None:
        self._rule.write(self._rule.read(), weight)

    patch.setattr(AlbWeightsTarget, "shift_to", shift_anyway)


@breaks(
    NoStaleRaise,
    "5% is set outside just before the write of the first raise",
    lambda: rule_plan(interleaving(0, RULE_WRITE, ActorAction.SET_WEIGHT, weight=5)),
)
def reads_once(patch: pytest.MonkeyPatch) -> None:
    """A raise of a rule is written without a reading after its save."""
    read = alb_weights.ListenerRule.read
    last: list[RuleActions] = []

    def read_and_keep(self: Any) -> RuleActions:
        last.append(read(self))
        return last[-1]

    def shift_as_read(self: AlbWeightsTarget, weight: int, token: str) -> None:
        self._rule.write(last[-1], weight)

    patch.setattr(alb_weights.ListenerRule, "read", read_and_keep)
    patch.setattr(AlbWeightsTarget, "shift_to", shift_as_read)


@breaks(
    OneRaisePerAdvance,
    "the answer of the first raise is lost, and an operator rolls back",
    lambda: rule_plan(
        CallFault(InjectionPoint(0, RULE_WRITE), RESPONSE_LOST),
        interleaving(0, RULE_WRITE, ActorAction.ROLLBACK, number=1),
    ),
)
def repeats_raise(patch: pytest.MonkeyPatch) -> None:
    """A raise of a rule is sent again when its answer is lost."""
    write_by = alb_weights.ListenerRule.write_by

    def send_twice(self: Any, client: Any, snapshot: RuleActions, weight: int) -> None:
        try:
            write_by(self, client, snapshot, weight)
        except AWS_ERRORS:
            write_by(self, client, snapshot, weight)

    patch.setattr(alb_weights.ListenerRule, "write_by", send_twice)


@breaks(OtherSettingsUnchanged, "a healthy rollout", rule_plan)
def writes_forward_alone(patch: pytest.MonkeyPatch) -> None:
    """A write of a rule drops its other actions."""
    write_by = alb_weights.ListenerRule.write_by

    def drop_others(self: Any, client: Any, snapshot: RuleActions, weight: int) -> None:
        forward = [action for action in snapshot.actions if action is snapshot.forward]
        write_by(self, client, RuleActions(snapshot.reading, forward), weight)

    patch.setattr(alb_weights.ListenerRule, "write_by", drop_others)


@breaks(FailureRollsBack, "the canary fails", lambda: rule_plan(events=[CANARY_ERRORS]))
def leaves_one_percent(patch: pytest.MonkeyPatch) -> None:
    """0% leaves the canary a weight of 1 in a rule."""
    with_weight = alb_weights.with_weight

    def keep_one(forward: Any, target: AlbWeights, weight: int) -> dict[str, Any]:
        return with_weight(forward, target, max(1, weight))

    patch.setattr(alb_weights, "with_weight", keep_one)


@breaks(
    FailureRollsBack,
    "an operator rolls back just before the write of the first raise of a rule",
    lambda: rule_plan(interleaving(0, RULE_WRITE, ActorAction.ROLLBACK)),
)
def keeps_late_raise(patch: pytest.MonkeyPatch) -> None:
    """A process does not look whether another one rolled back while it raised."""
    patch.setattr(Executor, "_undo_late_raise", lambda *_: None)


# --- a configuration of AppConfig -----------------------------------------------------------------


@breaks(
    NoStaleRaise,
    "an operator rolls back just before the first raise is deployed",
    lambda: flag_plan(interleaving(0, DEPLOY, ActorAction.ROLLBACK)),
)
def deploys_after_any(patch: pytest.MonkeyPatch) -> None:
    """A raise does not name the latest deployment that it saw."""
    write = appconfig_configuration.HostedConfiguration.write

    def write_anyway(
        self: Any, snapshot: appconfig_configuration.ConfigurationState, weight: int
    ) -> None:
        client = self._client

        def start(*, LatestDeploymentNumber: int, **request: Any) -> Any:
            return client.start_deployment(**request)

        self._client = SimpleNamespace(
            create_hosted_configuration_version=client.create_hosted_configuration_version,
            start_deployment=start,
        )
        try:
            write(self, snapshot, weight)
        finally:
            self._client = client

    patch.setattr(appconfig_configuration.HostedConfiguration, "write", write_anyway)


@breaks(OtherSettingsUnchanged, "a healthy rollout", flag_plan)
def deploys_own_flag_alone(patch: pytest.MonkeyPatch) -> None:
    """A write of a profile drops its other flags."""
    with_weight = appconfig_document.with_weight

    def keep_own(document: Any, target: AppConfigFlag, weight: int) -> dict[str, Any]:
        changed = with_weight(document, target, weight)
        return {**changed, "values": {target.flag: changed["values"][target.flag]}}

    patch.setattr(appconfig_configuration, "with_weight", keep_own)
