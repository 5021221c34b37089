"""Hooks of a rollout: when each is called, what is recorded, and what never waits for one."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.core.message import DELIVERY_TIMEOUT
from controller.core.policy import Channel, Hook
from controller.engine.time_limits import CONSENT_LIMIT
from controller.errors import DeliveryError, UsageError
from controller.operations.start import StartRequest, start
from controller.ports.notify import HookCall
from controller.process import logging
from controller.tools.rehearse.rehearsal import rehearsal, rehearse
from tests.support.core import (
    Command,
    Consent,
    HookAnswer,
    Message,
    Phase,
    Reason,
    Rollout,
    Verb,
    replay,
    waits_for,
)
from tests.support.stage import Stage, function_with, open_stage, short_policy
from tests.tools.simulation.worlds import MINUTE, POLICY, START, scenario

GATE = {"kind": "lambda", "function": "gate"}
TEXT = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
YES = HookAnswer(Consent.GIVEN)
NO = HookAnswer(Consent.REFUSED, "a release is under way")


@dataclass(slots=True)
class RecordingHooks:
    """A hook caller that records its calls.

    answer: that of every consent hook. unreachable: calls after an event fail. takes: the length of
    each call. before_answer: called before each answer.
    """

    answer: HookAnswer | Exception = YES
    unreachable: bool = False
    takes: timedelta = timedelta()
    stage: Stage | None = None
    before_answer: Callable[[], object] = lambda: None
    consent_calls: list[HookCall] = field(default_factory=list)
    event_calls: list[HookCall] = field(default_factory=list)
    limits: list[timedelta] = field(default_factory=list)

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        self.consent_calls.append(call)
        self.limits.append(within)
        self.before_answer()
        if self.stage is not None:
            self.stage.world.clock.advance(min(self.takes, within))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        if self.unreachable:
            raise DeliveryError("nobody is there")
        if self.stage is not None:
            self.stage.world.clock.advance(min(self.takes, within))
        self.event_calls.append(call)


@dataclass(slots=True)
class HangingHooks(RecordingHooks):
    """Consents to everything; but for `orders` it does not answer within its timeout."""

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        if "orders" not in call.delivery:
            return YES
        self.before_answer()
        if self.stage is not None:
            self.stage.world.clock.advance(within)
        return HookAnswer(Consent.FAILED, "nothing was said")


class FailingNotifier:
    """A channel notifier whose every delivery fails."""

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        raise DeliveryError("nobody is there")


@pytest.fixture
def outside() -> RecordingHooks:
    return RecordingHooks()


def open_stage_with(
    folder: Path, outside: RecordingHooks, hooks: dict[str, Any], **parts: Any
) -> Any:
    world = scenario(function=function_with(), **parts)
    return open_stage(folder, world, short_policy(hooks=hooks))


@pytest.fixture
def stage(tmp_path: Path, outside: RecordingHooks) -> Iterator[Stage]:
    hooks = {"before_start": [GATE], "before_advance": [GATE]}
    with open_stage_with(tmp_path, outside, hooks) as stage:
        stage.rewire(hooks=outside)
        outside.stage = stage
        yield stage


def triggers(calls: list[HookCall]) -> list[str]:
    return [call.trigger for call in calls]


# --- hooks before a start or step ---------------------------------------------------------------


def test_a_start_without_consent_changes_nothing(stage: Stage, outside: RecordingHooks) -> None:
    outside.answer = NO
    with pytest.raises(UsageError) as caught:
        stage.start()
    assert str(caught.value) == (
        "orders was not started; nothing was changed:\n"
        "  before_start: lambda gate refuses: a release is under way"
    )
    assert not stage.store.all()
    assert stage.writes == 0


def test_a_step_waits_for_its_hook_however_long_and_goes_on_with_it(
    stage: Stage, outside: RecordingHooks
) -> None:
    stage.start()
    outside.answer = NO
    held = stage.ticks(30)[-1].rollout
    assert (held.phase, held.weight, held.reason) == (
        Phase.PROGRESSING, 10, Reason.AWAITING_HOOK,
    )  # fmt: skip
    outside.answer = YES
    assert stage.tick().rollout.weight == 100
    kinds = [entry.kind for entry in stage.store.history("orders#1")]
    assert kinds == ["started", "applied", "blocked", "advanced", "applied"]


def test_the_answers_of_hooks_are_recorded_and_replayed(
    stage: Stage, outside: RecordingHooks
) -> None:
    stage.start()
    outside.answer = NO
    stage.ticks(8)
    outside.answer = YES
    stage.ticks(8)
    history = stage.store.history("orders#1")
    answers = {entry.kind: entry.body["observation"].get("hooks") for entry in history}
    yes, no = ({"consent": one.consent, "message": one.message} for one in (YES, NO))
    assert answers["started"] == {"before_start[0]": yes}
    assert answers["blocked"] == {"before_advance[0]": no}
    assert answers["advanced"] == {"before_advance[0]": yes}
    assert replay(stage.rollout, history).consistent


def test_a_hook_that_raises_any_exception_is_no_consent_and_no_error(
    stage: Stage, outside: RecordingHooks
) -> None:
    stage.start()
    outside.answer = RuntimeError("hunter2")
    held = stage.ticks(8)[-1].rollout
    assert waits_for(held) == "before_advance: lambda gate did not answer: RuntimeError"


def test_a_run_that_can_call_no_hook_holds(stage: Stage) -> None:
    stage.start()
    stage.rewire(hooks=None)
    held = stage.ticks(8)[-1].rollout
    assert waits_for(held).endswith("did not answer: no hook can be called from here")


def test_hooks_of_a_tick_have_a_minute_together(tmp_path: Path, outside: RecordingHooks) -> None:
    slow = {**GATE, "timeout": "40s"}
    with open_stage_with(tmp_path, outside, {"before_advance": [slow] * 3}) as stage:
        stage.rewire(hooks=outside)
        stage.start()
        outside.stage, outside.takes = stage, timedelta(minutes=5)
        stage.ticks(8)
    assert outside.limits[:2] == [timedelta(seconds=40), CONSENT_LIMIT - timedelta(seconds=40)]
    assert len({call.delivery for call in outside.consent_calls[:2]}) == 2
    assert "before_advance[2]" not in [
        consent_call.delivery.split(":")[2] for consent_call in outside.consent_calls[:2]
    ]


def test_a_hook_does_not_prolong_the_lease_of_another_rollout_with_messages(
    stage: Stage, outside: RecordingHooks
) -> None:
    """A lease that is kept for messages would block the next tick, which may have to roll back."""
    stage.start()
    stage.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": "payments"}
    bus = {"kind": "eventbridge"}
    start(stage.runner, StartRequest(short_policy(name="payments", target=target, notify=[bus])))
    stage.rewire(channel_notifier=FailingNotifier())
    busy: list[bool] = []
    outside.before_answer = lambda: busy.append(stage.another_runner().visit("payments#1").busy)
    while not busy:
        stage.world.clock.advance(MINUTE)
        stage.runner.tick(["payments#1", "orders#1"])
    assert stage.store.load("payments#1").outbox
    assert busy == [False]


def test_a_hook_that_hangs_delays_its_own_rollout_for_a_minute_and_no_rollback(
    tmp_path: Path,
) -> None:
    with open_stage_with(
        tmp_path, RecordingHooks(), {"before_advance": [{**GATE, "timeout": "60s"}] * 3}
    ) as stage:
        stage.start()
        hanging = HangingHooks(stage=stage)
        stage.rewire(hooks=hanging)
        busy: list[bool] = []
        hanging.before_answer = lambda: busy.append(stage.another_runner().visit("orders#1").busy)
        started_at = stage.world.clock.now()
        while not busy and started_at < START + 8 * MINUTE:
            started_at = stage.world.clock.now() + MINUTE
            stage.tick()
        assert busy == [True]
        assert stage.world.clock.now() - started_at <= CONSENT_LIMIT + timedelta(seconds=1)
        assert not stage.another_runner().visit("orders#1").busy
        hanging.before_answer = lambda: stage.another_runner().roll_back("orders#1", "enough")
        stage.tick()
        assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_a_promotion_calls_hooks_as_a_tick_does(stage: Stage, outside: RecordingHooks) -> None:
    stage.start()
    stage.tick()
    outside.answer = NO
    with pytest.raises(UsageError, match="lambda gate refuses: a release is under way"):
        stage.runner.run_command("orders#1", Command(Verb.PROMOTE, "now"))
    outside.answer = YES
    assert stage.runner.run_command("orders#1", Command(Verb.PROMOTE, "now")).rollout.weight == 100
    assert replay(stage.rollout, stage.store.history("orders#1")).consistent


# --- hooks after an event -----------------------------------------------------------------------


AFTER = {moment: [GATE] for moment in ("after_start", "after_advance", "after_success")}


def test_after_hooks_are_called_once_each_and_the_history_says_so(
    tmp_path: Path, outside: RecordingHooks
) -> None:
    with open_stage_with(tmp_path, outside, AFTER) as stage:
        stage.rewire(hooks=outside)
        stage.start()
        stage.ticks(15)
        assert triggers(outside.event_calls) == ["after_start", "after_advance", "after_success"]
        history = stage.store.history("orders#1")
        sentences = [one.body["sentence"] for one in history if one.kind == "hooked"]
        assert sentences == [f"{moment}[0] was called" for moment in AFTER]
        assert replay(stage.rollout, history).consistent
        assert stage.rollout.outbox == ()


def test_hooks_after_a_rollback_and_a_pause_are_called_too(
    tmp_path: Path, outside: RecordingHooks
) -> None:
    hooks = {"after_rollback": [GATE], "after_pause": [GATE]}
    with open_stage_with(tmp_path, outside, hooks) as stage:
        stage.rewire(hooks=outside)
        stage.start()
        stage.tick()
        stage.runner.run_command("orders#1", Command(Verb.PAUSE))
        stage.runner.roll_back("orders#1", "enough")
    assert triggers(outside.event_calls) == ["after_pause", "after_rollback"]


def test_a_hook_that_is_not_reached_is_tried_for_an_hour_and_that_is_recorded(
    tmp_path: Path, outside: RecordingHooks
) -> None:
    outside.unreachable = True
    with open_stage_with(tmp_path, outside, {"after_start": [GATE]}) as stage:
        stage.rewire(hooks=outside)
        stage.start()
        stage.tick()
        assert [one.recipients for one in stage.rollout.outbox] == [("after_start[0]",)]
        stage.tick(after=DELIVERY_TIMEOUT)
        (entry,) = (one for one in stage.store.history("orders#1") if one.kind == "hooked")
        assert entry.body["sentence"] == "after_start[0] was not reached and is given up"
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


# --- request bodies -----------------------------------------------------------------------------


def test_every_field_of_a_call_is_documented(tmp_path: Path, outside: RecordingHooks) -> None:
    hooks = {"before_start": [GATE], "before_advance": [GATE], **AFTER}
    with open_stage_with(tmp_path, outside, hooks) as stage:
        stage.rewire(hooks=outside)
        stage.start()
        stage.ticks(8)
    rows = dict(re.findall(r"^\| `(\w+)` \| (all|before) \|", TEXT, re.MULTILINE))
    for call in outside.consent_calls:
        assert list(json.loads(call.body)) == list(rows)
    fields_of_all = {name for name, hooks_of in rows.items() if hooks_of == "all"}
    for call in outside.event_calls:
        assert fields_of_all <= set(json.loads(call.body))
    start, advance = (json.loads(consent_call.body) for consent_call in outside.consent_calls)
    assert (start["rollout"], start["weight_percent"], start["to_weight_percent"]) == (None, 0, 10)
    assert (advance["weight_percent"], advance["to_weight_percent"]) == (10, 100)
    assert [one["criterion"] for one in advance["findings"]] == ["works"]


# --- rehearsals ---------------------------------------------------------------------------------


def test_a_scenario_lets_hooks_refuse_for_a_while(tmp_path: Path) -> None:
    logging.disable()
    file = tmp_path / "gated.yaml"
    file.write_text(
        "name: gated\nsummary: A hook refuses for 20 minutes.\n"
        "traffic: {requests_per_minute: 600}\n"
        "stable: {median_ms: 100}\ncanary: {median_ms: 100}\n"
        "events: [{kind: hooks_refuse, at: {after: 3m}, lasting: 20m, how: failed}]\n"
    )
    channels = [{"kind": "eventbridge"}]
    policy = short_policy(
        hooks={"before_advance": [GATE], "after_success": [GATE]}, notify=channels
    )
    with rehearsal(policy, str(file), 1) as simulated:
        outcome = rehearse(
            simulated.runner, simulated.world, policy, every=MINUTE, on_tick=lambda _rollout: None
        )
    assert outcome.status == "succeeded"
    assert outcome.ended - outcome.started > timedelta(minutes=20)
    kinds = [message.kind for _, message in simulated.inbox.sent]
    assert kinds == ["started", "blocked", "advanced", "succeeded"]
    assert triggers(simulated.hooks.calls)[-1] == "after_success"
    assert len(simulated.hooks.calls) > 15  # called in every tick
