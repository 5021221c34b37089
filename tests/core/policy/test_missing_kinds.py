"""A stored policy whose kinds are not installed here: read, kept as it is, and only lowered."""

import re
from typing import Literal

import pytest

from controller.core.policy import Channel
from controller.core.policy.kind_registry import STORED
from controller.immutable import replace
from controller.policy_file.schema import policy_schema
from controller.testing import installed
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Decision,
    Phase,
    Policy,
    Reason,
    Rollout,
    SetWeight,
    SetZero,
    UsageError,
    Verb,
    codec,
    next_action,
)
from tests.support.policies import places
from tests.support.rollouts import POLICY, a_reading, a_rollout, a_state
from tests.support.three_steps import decide_command, decide_tick

QUEUE = {"kind": "queue_age", "queue": "orders", "limits": {"most": "5m", "steps": [1, 2]}}
PAGER = {"kind": "pager", "service": "orders"}


def written(**changes: object) -> dict[str, object]:
    return {**POLICY.model_dump(mode="json", by_alias=True, exclude_none=True), **changes}


MISSING = {
    "a criterion": written(
        criteria={**written()["criteria"], "queue": QUEUE}  # type: ignore[dict-item]
    ),
    "a channel": written(notify=[PAGER]),
    "a target": written(target={"kind": "mesh", "route": "checkout"}),
}


@pytest.fixture(params=MISSING)
def policy(request: pytest.FixtureRequest) -> Policy:
    return Policy.model_validate(MISSING[request.param], context=STORED)


def test_it_keeps_its_text_and_its_digest(policy: Policy) -> None:
    again = Policy.model_validate_json(policy.snapshot(), context=STORED)
    assert again.snapshot() == policy.snapshot()
    assert again.digest() == policy.digest()
    assert len(again.missing_kinds) == 1


@cases("name, place", {
    "a criterion": ("a criterion", "criteria.queue.kind"),
    "a channel": ("a channel", "notify.0.kind"),
    "a target": ("a target", "target.kind"),
})  # fmt: skip
def test_a_file_with_such_a_kind_is_refused(name: str, place: str) -> None:
    assert place in places(MISSING[name])


def stored(rollout: Rollout, policy: Policy) -> Rollout:
    """Return the rollout as a store returns it that has this policy."""
    before = replace(rollout, policy=policy, digest=policy.digest())
    return codec.load(before.id, codec.dump(before), policy.snapshot())


def decide_at_10(policy: Policy, verb: Verb, weight: int | None = None) -> Decision:
    """Return the decision on a command, a minute after 10% was applied."""
    rollout = stored(a_rollout(state=a_state(applied=True)), policy)
    return decide_command(rollout, verb, a_reading(10), weight=weight, minute=1)


def test_no_step_is_taken_whatever_the_gate_says(policy: Policy) -> None:
    with pytest.raises(UsageError, match=re.escape(policy.missing_kinds[0])):
        decide_at_10(policy, Verb.PROMOTE)


def test_a_raise_that_was_decided_before_is_not_written(policy: Policy) -> None:
    decision = decide_tick(stored(a_rollout(), policy), a_reading(0), 1, {})
    assert decision.move is None
    assert decision.rollout.reason is Reason.KIND_MISSING
    assert next_action(decision.rollout).at is None


def test_it_is_rolled_back_as_any_other(policy: Policy) -> None:
    decision = decide_at_10(policy, Verb.ROLLBACK)
    assert decision.rollout.phase is Phase.ROLLING_BACK
    assert isinstance(decision.move, SetZero)


def test_an_operator_lowers_its_weight_and_does_not_raise_it(policy: Policy) -> None:
    with pytest.raises(UsageError, match=re.escape(policy.missing_kinds[0])):
        decide_at_10(policy, Verb.SET_WEIGHT, weight=50)
    assert decide_at_10(policy, Verb.SET_WEIGHT, weight=5).move == SetWeight(5, "token-1")


class Narrow(Channel):
    """A kind whose installed version takes no field of the stored one."""

    kind: Literal["pager"]

    def deliver(self, account: object, rollout: object, message: object) -> None:
        """Deliver nothing."""


class Silent(Channel):
    """A kind that cannot deliver."""

    kind: Literal["pager"]


def test_a_stored_value_that_the_installed_package_refuses_is_kept_too() -> None:
    with installed("rolloutctl.notifiers", {"pager": f"{__name__}:Narrow"}):
        policy = Policy.model_validate(MISSING["a channel"], context=STORED)
    (problem,) = policy.missing_kinds
    assert "'pager'" in problem
    assert policy.model_dump(mode="json", exclude_none=True)["notify"] == [PAGER]


def test_a_package_that_cannot_be_imported_is_an_error_with_its_kind() -> None:
    with (
        installed("rolloutctl.notifiers", {"pager": "no_such_module:Pager"}),
        pytest.raises(UsageError, match="pager"),
    ):
        policy_schema()


def test_a_channel_without_a_delivery_is_refused_with_its_package_and_the_method() -> None:
    with installed("rolloutctl.notifiers", {"pager": f"{__name__}:Silent"}):
        assert "notify.0.kind" in places(written(notify=[{"kind": "pager"}]))
        policy = Policy.model_validate(MISSING["a channel"], context=STORED)
    (problem,) = policy.missing_kinds
    assert f"{__name__}:Silent of a package has no method 'deliver'" in problem


def texts() -> dict[str, str]:
    """Return what is wrong with each policy, and what its rollout waits for."""
    policies = {
        name: Policy.model_validate(written, context=STORED) for name, written in MISSING.items()
    }
    problems = {name: "\n".join(one.missing_kinds) for name, one in policies.items()}
    waits = decide_tick(stored(a_rollout(), policies["a channel"]), a_reading(0), 1, {})
    return {**problems, "a raise that waits for a package": decision_text(waits)}
