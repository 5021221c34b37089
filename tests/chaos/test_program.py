"""Stories in which others are told and asked, and fail: every invariant holds in them, too."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from controller.core.hook_call import HookCall
from controller.core.message import Message
from controller.core.observation import Consent, HookAnswer
from controller.core.outbox import DELIVERY_TIMEOUT
from controller.core.policy import Channel, Hook, Policy
from controller.core.rollout import Rollout
from controller.errors import DeliveryError
from controller.ports.store import Store
from controller.process import logging
from tests.chaos.process import NOTIFIER, Process
from tests.chaos.program import ProcessEnvironment
from tests.chaos.random_plan import draw
from tests.chaos.run import RunnerProgram, SqliteStores
from tests.chaos.simulator import simulate

GATE = {"kind": "lambda", "function": "gate"}
NOTIFY_AND_HOOKS = {
    "notify": [
        {"kind": "sns", "topic": "arn:aws:sns:eu-central-1:123456789012:rollouts"},
        {"kind": "eventbridge"},
    ],
    "hooks": {"before_advance": [GATE], "after_advance": [GATE], "after_rollback": [GATE]},
}


@dataclass(slots=True)
class UnreliableReceivers:
    """Whoever is told and asked, in one process: each call is a step in which it may crash.

    arrived: what was told, by where it was told and its key.
    """

    process: Process
    chance: Random
    arrived: list[tuple[str, str]] = field(default_factory=list)

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        self._cross("deliver")
        self._fail(0.2)
        self.arrived.append((channel.display_name, message.key))

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        self._cross("ask")
        consents = (Consent.GIVEN, Consent.GIVEN, Consent.REFUSED, Consent.FAILED)
        return HookAnswer(self.chance.choice(consents), "so it was drawn")

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        self._cross("tell")
        self._fail(0.3)

    def _cross(self, operation: str) -> None:
        self.process.call(NOTIFIER, operation, lambda: None)

    def _fail(self, share: float) -> None:
        if self.chance.random() < share:
            raise DeliveryError("so it was drawn")


@pytest.mark.parametrize("seed", range(8))
def test_crashes_between_a_decision_and_its_messages_break_nothing(
    tmp_path: Path, seed: int
) -> None:
    logging.disable()
    plot = draw(seed)
    said: dict[str, Any] = plot.policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    plot = replace(plot, policy=Policy.model_validate({**said, **NOTIFY_AND_HOOKS}))
    chance, arrived = Random(seed), list[tuple[str, str]]()

    def program(outside: ProcessEnvironment, policy: Policy, store: Store) -> RunnerProgram:
        made = RunnerProgram(outside, policy, store)
        others = UnreliableReceivers(outside.notifier._process, chance, arrived)  # type: ignore[attr-defined]
        made._runner = replace(made._runner, channel_notifier=others, hooks=others)
        return made

    stores = SqliteStores(tmp_path / "chaos.db")
    story = simulate(plot, stores, program)
    assert not story.violations
    with stores.fault_free() as store:
        for rollout in map(store.load, store.all()):
            waiting = [
                one for one in rollout.outbox if rollout.updated - one.at > 2 * DELIVERY_TIMEOUT
            ]
            assert not waiting
            keys = {key for _, key in arrived if key.startswith(f"{rollout.id}:")}
            assert keys or rollout.outbox
