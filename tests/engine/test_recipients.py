"""Messages and calls go only where the list of recipients in the store allows, on both stores.

A forged record names other channels and hooks, and nothing is sent to these.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from controller.core.message import DELIVERY_TIMEOUT, RecipientList
from controller.engine.slices import TickResult
from controller.errors import Exit, StoreError, UsageError
from controller.ports.store import Store
from controller.tools.rehearse.rehearsal import FakeInbox, ScriptedHooks
from tests.support.core import Command, Reason, Verb
from tests.support.deep_rows import FILE_AND_TABLE
from tests.support.stage import (
    PatchedStore,
    Stage,
    failing,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.worlds import MINUTE, scenario

TOPIC: Final = "arn:aws:sns:eu-central-1:123456789012:rollouts"
GATE: Final = {"kind": "lambda", "function": "gate"}
POLICY: Final = short_policy(
    notify=[{"kind": "sns", "topic": TOPIC}, {"kind": "eventbridge"}],
    hooks={"before_advance": [GATE], "after_advance": [GATE], "after_rollback": [GATE]},
)
USED: Final = (TOPIC, "events:event-bus/default", "lambda:function:gate")
FOREIGN: Final = RecipientList({"orders": (f"{TOPIC}-2",), "order": USED, "orders-2": USED})
SICK: Final[list[dict[str, Any]]] = [
    {"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}
]  # fmt: skip


@dataclass(slots=True)
class Outside:
    """What was sent and called."""

    inbox: FakeInbox = field(default_factory=FakeInbox)
    hooks: ScriptedHooks = field(default_factory=lambda: ScriptedHooks(lambda: None))

    @property
    def sent(self) -> set[str]:
        """The channels that got a message, and the hooks that were called."""
        return {name for name, _ in self.inbox.sent} | {call.trigger for call in self.hooks.calls}

    @property
    def number(self) -> int:
        """How often something was sent or called."""
        return len(self.inbox.sent) + len(self.hooks.calls)


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def stage(
    request: pytest.FixtureRequest, tmp_path: Path, empty_store: Store, outside: Outside
) -> Iterator[Stage]:
    """Yield a stage at 10% in `store`: the next minutes raise a healthy canary, or lower it."""
    played = scenario(function=function_with(), events=getattr(request, "param", []))
    with open_stage(tmp_path, played, POLICY) as stage:
        stage.rewire(channel_notifier=FakeInbox(), hooks=ScriptedHooks(lambda: None))
        stage.start()
        stage.tick_until(10)
        entries = stage.store.history(stage.rollout.id)
        empty_store.receive(stage.rollout, entries, stage.rollout.locks)
        stage.use_store(empty_store)
        stage.rewire(channel_notifier=outside.inbox, hooks=outside.hooks)
        yield stage


def tick(stage: Stage, minutes: int) -> TickResult:
    """Tick every minute; return the result of the last tick."""
    results = list[TickResult]()
    for _ in range(minutes):
        stage.world.clock.advance(MINUTE)
        results.append(stage.runner.tick_active(early=True))
    return results[-1]


def until_told(stage: Stage) -> str:
    """Tick until a visit has a problem; return it."""
    for _ in range(10):
        if problem := tick(stage, 1).visits[0].problem:
            return problem
    raise AssertionError("no visit had a problem")


@pytest.mark.parametrize("listed", [None, {"orders": USED}, {"*": USED[:2], "orders": USED[2:]}])
def test_what_the_list_gives_and_without_one_everything_is_used(
    stage: Stage, empty_store: Store, outside: Outside, listed: dict[str, tuple[str, ...]] | None
) -> None:
    empty_store.set_recipients(None if listed is None else RecipientList(listed))
    assert tick(stage, 10).status == Exit.DONE
    assert stage.variables["PERCENTAGE"] == "100"
    used = {"sns rollouts", "eventbridge default", "before_advance", "after_advance"}
    assert outside.sent == used


@pytest.mark.parametrize("empty_store", FILE_AND_TABLE, indirect=True)
def test_a_hook_that_is_not_listed_is_not_called_holds_and_is_named(
    stage: Stage, empty_store: Store, outside: Outside
) -> None:
    empty_store.set_recipients(FOREIGN)
    assert "does not give orders the use of lambda:function:gate" in until_told(stage)
    result = tick(stage, 1)
    assert (result.status, stage.variables["PERCENTAGE"]) == (Exit.INTERNAL, "10")
    rollout = result.visits[0].rollout
    assert rollout.reason is Reason.AWAITING_HOOK
    assert "lambda:function:gate" in rollout.sentence
    assert outside.sent == set()


@pytest.mark.parametrize("stage", [SICK], indirect=True)
def test_a_rollback_is_written_and_its_messages_go_nowhere_that_is_not_listed(
    stage: Stage, empty_store: Store, outside: Outside
) -> None:
    empty_store.set_recipients(FOREIGN)
    problem = until_told(stage)
    assert stage.variables["PERCENTAGE"] == "0"
    assert TOPIC in problem
    assert "events:event-bus/default" in problem
    tick(stage, 5)
    assert outside.sent == set()


@pytest.mark.parametrize("stage", [SICK], indirect=True)
def test_messages_wait_an_hour_for_the_list_to_be_corrected(
    stage: Stage, empty_store: Store, outside: Outside
) -> None:
    empty_store.set_recipients(FOREIGN)
    until_told(stage)
    empty_store.set_recipients(RecipientList({"orders": USED[:1]}))
    assert "events:event-bus/default" in tick(stage, 1).visits[0].problem
    assert outside.sent == {"sns rollouts"}
    stage.world.clock.advance(DELIVERY_TIMEOUT)
    tick(stage, 2)
    assert empty_store.load("orders#1").outbox == ()


@pytest.mark.parametrize("stage", [SICK], indirect=True)
def test_a_list_that_cannot_be_read_delays_messages_and_no_rollback(
    stage: Stage, empty_store: Store, outside: Outside
) -> None:
    stage.use_store(PatchedStore(empty_store, recipients=failing(StoreError("throttled"))))
    assert until_told(stage) == "nothing was sent: throttled"
    assert stage.variables["PERCENTAGE"] == "0"
    assert empty_store.load("orders#1").outbox
    assert outside.sent == set()
    stage.use_store(empty_store)
    assert tick(stage, 1).status == Exit.DONE
    assert {"sns rollouts", "eventbridge default"} <= outside.sent


def test_a_list_that_cannot_be_read_holds_before_the_next_step(
    stage: Stage, empty_store: Store, outside: Outside
) -> None:
    stage.use_store(PatchedStore(empty_store, recipients=failing(StoreError("throttled"))))
    assert until_told(stage) == "nothing was sent: throttled"
    assert tick(stage, 3).visits[0].rollout.reason is Reason.AWAITING_HOOK
    assert (stage.variables["PERCENTAGE"], outside.sent) == ("10", set())


def test_a_person_rolls_back_whatever_the_list_says(stage: Stage, empty_store: Store) -> None:
    stage.use_store(PatchedStore(empty_store, recipients=failing(StoreError("throttled"))))
    visit = stage.runner.run_command("orders#1", Command(Verb.ROLLBACK, "a complaint"))
    assert (stage.variables["PERCENTAGE"], visit.problem) == ("0", "nothing was sent: throttled")


def test_the_list_is_read_once_in_a_tick_that_sends_and_never_in_another(
    stage: Stage, empty_store: Store, outside: Outside
) -> None:
    reads = list[None]()

    def recipients() -> RecipientList:
        reads.append(None)
        return RecipientList({"orders": USED})

    stage.use_store(PatchedStore(empty_store, recipients=recipients))
    for _ in range(10):
        before = len(reads), outside.number
        tick(stage, 1)
        assert len(reads) - before[0] == (outside.number > before[1])
    assert reads


def test_a_start_calls_no_hook_that_is_not_listed(tmp_path: Path, outside: Outside) -> None:
    policy = short_policy(hooks={"before_start": [GATE]})
    with open_stage(tmp_path, policy=policy) as stage:
        stage.rewire(hooks=outside.hooks)
        stage.store.set_recipients(FOREIGN)
        with pytest.raises(UsageError) as raised:
            stage.start()
        assert "lambda:function:gate" in str(raised.value)
        assert outside.sent == set()
