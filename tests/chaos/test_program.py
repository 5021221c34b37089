"""Runs with channels and hooks that fail: every invariant holds in them as well."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from controller.core.message import DELIVERY_TIMEOUT
from controller.core.policy import Channel, Hook
from controller.errors import DeliveryError
from controller.immutable import replace
from controller.ports.notify import HookCall
from controller.ports.store import Store
from controller.process import logging
from tests.chaos.process import NOTIFIER, Process
from tests.chaos.program import ProcessEnvironment, Program
from tests.chaos.random_plan import draw
from tests.chaos.run import SqliteStores
from tests.chaos.simulator import simulate
from tests.support.core import Consent, HookAnswer, Message, Policy, Rollout

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
    """Channels and hooks of one process that fail at random; each is an external call.

    arrived: the channel and the key of each delivered message.
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
    plan = draw(seed)
    document: dict[str, Any] = plan.policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    plan = replace(plan, policy=Policy.model_validate({**document, **NOTIFY_AND_HOOKS}))
    chance, arrived = Random(seed), list[tuple[str, str]]()

    def open_program(environment: ProcessEnvironment, policy: Policy, store: Store) -> Program:
        program = Program(environment, policy, store)
        receivers = UnreliableReceivers(environment.process, chance, arrived)
        program._runner = dataclasses.replace(
            program._runner, channel_notifier=receivers, hooks=receivers
        )
        return program

    stores = SqliteStores(tmp_path / "chaos.db")
    trace = simulate(plan, stores, open_program)
    assert not trace.violations
    with stores.fault_free() as store:
        for rollout in map(store.load, store.all()):
            undelivered = [
                one for one in rollout.outbox if rollout.updated - one.at > 2 * DELIVERY_TIMEOUT
            ]
            assert not undelivered
            keys = {key for _, key in arrived if key.startswith(f"{rollout.id}:")}
            assert keys or rollout.outbox
