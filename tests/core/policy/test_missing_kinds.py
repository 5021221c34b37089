"""A stored policy whose kinds are not installed here: read, kept as it is, and only lowered."""

from dataclasses import replace
from typing import Literal

import pytest

from controller.adapters.stores.codec import dump, load
from controller.core.policy import Channel
from controller.core.policy.kinds import STORED
from controller.policy_file.schema import policy_schema
from controller.testing import installed
from tests.support.core import (
    Command,
    Commanded,
    Lower,
    Observation,
    Observed,
    Phase,
    Policy,
    PolicyProblems,
    Reason,
    Rollout,
    Shift,
    UsageError,
    Verb,
    decide,
    parse,
)
from tests.support.rollouts import MINUTE, NOON, POLICY, a_reading, a_rollout

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
    (problem,) = again.missing_kinds
    assert "no installed package has the" in problem


@pytest.mark.parametrize("name", MISSING)
def test_a_file_with_such_a_kind_is_refused(name: str) -> None:
    with pytest.raises(PolicyProblems) as caught:
        parse(MISSING[name])
    assert "no kind of" in str(caught.value)


def stored(rollout: Rollout, policy: Policy) -> Rollout:
    """Return the rollout as a store returns it that has this policy."""
    before = replace(rollout, policy=policy, digest=policy.digest())
    return load(before.id, dump(before), policy.snapshot())


def test_no_step_is_taken_whatever_the_gate_says(policy: Policy) -> None:
    rollout = stored(a_rollout(settled=NOON), policy)
    command = Command(Verb.PROMOTE, "now")
    with pytest.raises(UsageError, match="no installed package"):
        decide(rollout, Commanded(Observation(a_reading(10)), command), NOON + MINUTE)


def test_a_raise_that_was_decided_before_is_not_written(policy: Policy) -> None:
    rollout = stored(a_rollout(), policy)
    decision = decide(rollout, Observed(Observation(a_reading(0))), NOON + MINUTE)
    assert decision.move is None
    assert decision.rollout.reason is Reason.KIND_MISSING


def test_it_is_rolled_back_as_any_other(policy: Policy) -> None:
    rollout = stored(a_rollout(settled=NOON), policy)
    command = Command(Verb.ROLLBACK, "looks bad")
    decision = decide(rollout, Commanded(Observation(a_reading(10)), command), NOON + MINUTE)
    assert decision.rollout.phase is Phase.ROLLING_BACK
    assert isinstance(decision.move, Lower)


def test_an_operator_lowers_its_weight_and_does_not_raise_it(policy: Policy) -> None:
    rollout = stored(a_rollout(settled=NOON), policy)
    observation = Observation(a_reading(10))
    raised = Command(Verb.SET_WEIGHT, "more", weight=50)
    with pytest.raises(UsageError, match="no installed package"):
        decide(rollout, Commanded(observation, raised), NOON + MINUTE)
    lowered = Command(Verb.SET_WEIGHT, "less", weight=5)
    decision = decide(rollout, Commanded(observation, lowered), NOON + MINUTE)
    assert isinstance(decision.move, Shift)
    assert decision.move.weight == 5


def test_a_delayed_raise_names_no_time_after_which_it_would_be_rolled_back(policy: Policy) -> None:
    rollout = stored(a_rollout(), policy)
    decision = decide(rollout, Observed(Observation(a_reading(0))), NOON + MINUTE)
    assert "rolls back" not in decision.rollout.next
    assert decision.rollout.next_at is None


class Narrow(Channel):
    """A kind whose installed version takes no field of the stored one."""

    kind: Literal["pager"]


def test_a_stored_value_that_the_installed_package_refuses_is_kept_too() -> None:
    with installed("rolloutctl.notifiers", {"pager": f"{__name__}:Narrow"}):
        policy = Policy.model_validate(MISSING["a channel"], context=STORED)
    (problem,) = policy.missing_kinds
    assert "the installed channel kind 'pager' does not take" in problem
    assert policy.model_dump(mode="json", exclude_none=True)["notify"] == [PAGER]


def test_a_package_that_cannot_be_imported_is_an_error_with_its_kind() -> None:
    with (
        installed("rolloutctl.notifiers", {"pager": "no_such_module:Pager"}),
        pytest.raises(UsageError, match=r"channel kind 'pager' .* cannot be loaded"),
    ):
        policy_schema()
