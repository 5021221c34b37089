"""Hooks on the way of a rollout: who is asked when, what is recorded, and what never waits."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.bootstrap.rehearse import rehearsal
from controller.core.commands import Command, Verb
from controller.core.hook_call import HookCall
from controller.core.message import Message
from controller.core.observation import Consent, HookAnswer
from controller.core.outbox import DELIVERY_TIMEOUT
from controller.core.policy import Channel, Hook
from controller.core.replay.replay import replay
from controller.core.rollout import Phase, Reason, Rollout
from controller.engine.hooks import CONSENT_LIMIT
from controller.errors import DeliveryError, UsageError
from controller.operations.rehearse import rehearse
from controller.operations.start.start import StartRequest, start
from controller.process import logging
from tests.simulation.worlds import MINUTE, POLICY, START, scenario
from tests.support.stage import Stage, function_with, open_stage, short_policy

GATE = {"kind": "lambda", "function": "gate"}
TEXT = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
YES = HookAnswer(Consent.GIVEN)
NO = HookAnswer(Consent.REFUSED, "a release is under way")


@dataclass(slots=True)
class Outside:
    """Whoever is asked and told. says: what he answers; deaf: he is not reached afterwards."""

    says: HookAnswer | Exception = YES
    deaf: bool = False
    takes: timedelta = timedelta()
    stage: Stage | None = None
    meanwhile: Callable[[], object] = lambda: None
    asked: list[HookCall] = field(default_factory=list)
    told: list[HookCall] = field(default_factory=list)
    limits: list[timedelta] = field(default_factory=list)

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        self.asked.append(call)
        self.limits.append(within)
        self.meanwhile()
        if self.stage is not None:
            self.stage.world.clock.advance(min(self.takes, within))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        if self.deaf:
            raise DeliveryError("nobody is there")
        if self.stage is not None:
            self.stage.world.clock.advance(min(self.takes, within))
        self.told.append(call)


@dataclass(slots=True)
class Hanging(Outside):
    """Allows everything; but about orders it says nothing, as long as it is waited for."""

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        if "orders" not in call.delivery:
            return YES
        self.meanwhile()
        if self.stage is not None:
            self.stage.world.clock.advance(within)
        return HookAnswer(Consent.FAILED, "nothing was said")


class Nobody:
    """A courier that reaches nobody."""

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        raise DeliveryError("nobody is there")


@pytest.fixture
def outside() -> Outside:
    return Outside()


def staged(folder: Path, outside: Outside, hooks: dict[str, Any], **played: Any) -> Any:
    told = scenario(function=function_with(), **played)
    return open_stage(folder, told, short_policy(hooks=hooks))


@pytest.fixture
def stage(tmp_path: Path, outside: Outside) -> Iterator[Stage]:
    hooks = {"before_start": [GATE], "before_advance": [GATE]}
    with staged(tmp_path, outside, hooks) as stage:
        stage.runner = replace(stage.runner, hooks=outside)
        outside.stage = stage
        yield stage


def moments(calls: list[HookCall]) -> list[str]:
    return [one.trigger for one in calls]


# --- before -------------------------------------------------------------------------------------


def test_a_rollout_that_everybody_allows_asks_before_its_start_and_before_each_step(
    stage: Stage, outside: Outside
) -> None:
    stage.start()
    stage.ticks(15)
    assert stage.rollout.phase is Phase.SUCCEEDED
    assert moments(outside.asked) == ["before_start", "before_advance"]


def test_a_start_that_is_not_allowed_touches_nothing(stage: Stage, outside: Outside) -> None:
    outside.says = NO
    with pytest.raises(UsageError) as caught:
        stage.start()
    assert str(caught.value) == (
        "orders was not started; nothing was touched:\n"
        "  before_start: lambda gate refuses: a release is under way"
    )
    assert not stage.store.all()
    assert stage.writes == 0


def test_a_step_waits_for_its_hook_however_long_and_goes_on_with_it(
    stage: Stage, outside: Outside
) -> None:
    stage.start()
    outside.says = NO
    held = stage.ticks(30)[-1].rollout
    assert (held.phase, held.weight, held.reason) == (
        Phase.PROGRESSING, 10, Reason.AWAITING_HOOK,
    )  # fmt: skip
    outside.says = YES
    assert stage.tick().rollout.weight == 100
    kinds = [entry.kind for entry in stage.store.history("orders#1")]
    assert kinds == ["started", "settled", "held_up", "advanced", "settled"]


def test_what_hooks_answered_is_kept_and_derived_again(stage: Stage, outside: Outside) -> None:
    stage.start()
    outside.says = NO
    stage.ticks(8)
    outside.says = YES
    stage.ticks(8)
    history = stage.store.history("orders#1")
    answers = {entry.kind: entry.body["seen"].get("hooks") for entry in history}
    yes, no = ({"consent": one.consent, "said": one.said} for one in (YES, NO))
    assert answers["started"] == {"before_start[0]": yes}
    assert answers["held_up"] == {"before_advance[0]": no}
    assert answers["advanced"] == {"before_advance[0]": yes}
    assert replay(stage.rollout, history).consistent


def test_a_changed_answer_in_the_history_is_found(stage: Stage) -> None:
    stage.start()
    stage.ticks(15)
    history = [*stage.store.history("orders#1")]
    at = next(index for index, entry in enumerate(history) if entry.kind == "advanced")
    body = json.loads(json.dumps(history[at].body))
    body["seen"]["hooks"]["before_advance[0]"]["consent"] = "refused"
    history[at] = replace(history[at], body=body)
    assert [one.seq for one in replay(stage.rollout, history).entry_differences] == [at + 1]


def test_a_failing_canary_goes_back_while_a_hook_refuses(tmp_path: Path, outside: Outside) -> None:
    sick = [{"kind": "errors", "server_errors": "50%", "at": {"after": "20m"}}]
    with staged(tmp_path, outside, {"before_advance": [GATE]}, events=sick) as stage:
        stage.runner = replace(stage.runner, hooks=replace(outside, says=NO))
        stage.start()
        stage.ticks(30)
        assert stage.rollout.phase is Phase.ROLLED_BACK


def test_a_hook_that_raises_whatever_is_no_consent_and_no_error(
    stage: Stage, outside: Outside
) -> None:
    stage.start()
    outside.says = RuntimeError("hunter2")
    held = stage.ticks(8)[-1].rollout
    assert held.blocked == "before_advance: lambda gate did not answer: RuntimeError"


def test_a_run_that_can_call_no_hook_holds(stage: Stage) -> None:
    stage.start()
    stage.runner = replace(stage.runner, hooks=None)
    held = stage.ticks(8)[-1].rollout
    assert held.blocked.endswith("did not answer: no hook can be called from here")


def test_hooks_of_a_tick_have_a_minute_together(tmp_path: Path, outside: Outside) -> None:
    slow = {**GATE, "timeout": "40s"}
    with staged(tmp_path, outside, {"before_advance": [slow] * 3}) as stage:
        stage.runner = replace(stage.runner, hooks=outside)
        stage.start()
        outside.stage, outside.takes = stage, timedelta(minutes=5)
        stage.ticks(8)
    assert outside.limits[:2] == [timedelta(seconds=40), CONSENT_LIMIT - timedelta(seconds=40)]
    assert len({call.delivery for call in outside.asked[:2]}) == 2
    assert "before_advance[2]" not in [one.delivery.split(":")[2] for one in outside.asked[:2]]


def test_a_hook_keeps_no_other_rollout_that_still_has_to_tell_somebody(
    stage: Stage, outside: Outside
) -> None:
    """The lease that is kept for messages would keep the next tick out, which may roll back."""
    stage.start()
    stage.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": "payments"}
    bus = {"kind": "eventbridge"}
    start(stage.runner, StartRequest(short_policy(name="payments", target=target, notify=[bus])))
    stage.runner = replace(stage.runner, channel_notifier=Nobody())
    busy: list[bool] = []
    outside.meanwhile = lambda: busy.append(stage.another_runner().visit("payments#1").busy)
    while not busy:
        stage.world.clock.advance(MINUTE)
        stage.runner.tick(["payments#1", "orders#1"])
    assert stage.store.load("payments#1").outbox
    assert busy == [False]


def test_a_hook_that_hangs_keeps_no_other_rollout_from_its_own_for_long(
    tmp_path: Path, outside: Outside
) -> None:
    with staged(tmp_path, outside, {"before_advance": [{**GATE, "timeout": "60s"}]}) as stage:
        stage.runner = replace(stage.runner, hooks=Hanging(stage=stage))
        stage.start()
        stage.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
        target = {**POLICY["target"], "function": "payments"}
        hooks = {"before_advance": [GATE]}
        start(stage.runner, StartRequest(short_policy(name="payments", target=target, hooks=hooks)))
        for _ in range(10):
            stage.world.clock.advance(MINUTE)
            stage.runner.tick(["orders#1", "payments#1"])
        assert stage.store.load("orders#1").weight == 10
        assert stage.store.load("payments#1").weight == 100


def test_a_hook_that_hangs_keeps_its_own_rollout_for_a_minute_and_from_no_rollback(
    tmp_path: Path,
) -> None:
    with staged(tmp_path, Outside(), {"before_advance": [{**GATE, "timeout": "60s"}] * 3}) as stage:
        stage.start()
        hanging = Hanging(stage=stage)
        stage.runner = replace(stage.runner, hooks=hanging)
        busy: list[bool] = []
        hanging.meanwhile = lambda: busy.append(stage.another_runner().visit("orders#1").busy)
        begun = stage.world.clock.now()
        while not busy and begun < START + 8 * MINUTE:
            begun = stage.world.clock.now() + MINUTE
            stage.tick()
        assert busy == [True]
        assert stage.world.clock.now() - begun <= CONSENT_LIMIT + timedelta(seconds=1)
        assert not stage.another_runner().visit("orders#1").busy
        hanging.meanwhile = lambda: stage.another_runner().roll_back("orders#1", "limit")
        stage.tick()
        assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_a_person_who_promotes_asks_as_a_tick_does(stage: Stage, outside: Outside) -> None:
    stage.start()
    stage.tick()
    outside.says = NO
    with pytest.raises(UsageError, match="lambda gate refuses: a release is under way"):
        stage.runner.run_command("orders#1", Command(Verb.PROMOTE, "now"))
    outside.says = YES
    assert stage.runner.run_command("orders#1", Command(Verb.PROMOTE, "now")).rollout.weight == 100
    assert replay(stage.rollout, stage.store.history("orders#1")).consistent


# --- after --------------------------------------------------------------------------------------


AFTER = {moment: [GATE] for moment in ("after_start", "after_advance", "after_success")}


def test_after_hooks_are_called_once_each_and_the_history_says_so(
    tmp_path: Path, outside: Outside
) -> None:
    with staged(tmp_path, outside, AFTER) as stage:
        stage.runner = replace(stage.runner, hooks=outside)
        stage.start()
        stage.ticks(15)
        assert moments(outside.told) == ["after_start", "after_advance", "after_success"]
        history = stage.store.history("orders#1")
        said = [one.body["sentence"] for one in history if one.kind == "hooked"]
        assert said == [f"{moment}[0] was called" for moment in AFTER]
        assert replay(stage.rollout, history).consistent
        assert stage.rollout.outbox == ()


def test_time_never_goes_back_behind_a_hook_that_was_called(
    tmp_path: Path, outside: Outside
) -> None:
    """The next tick may have a slower clock."""
    with staged(tmp_path, outside, AFTER) as stage:
        outside.stage, outside.takes = stage, timedelta(seconds=10)
        stage.runner = replace(stage.runner, hooks=outside)
        stage.start()
        called = stage.store.history("orders#1")[-1]
        assert (called.kind, called.at) == ("hooked", stage.world.clock.now())
        assert stage.rollout.updated == called.at


def test_a_rollback_and_a_pause_are_told_too(tmp_path: Path, outside: Outside) -> None:
    hooks = {"after_rollback": [GATE], "after_pause": [GATE]}
    with staged(tmp_path, outside, hooks) as stage:
        stage.runner = replace(stage.runner, hooks=outside)
        stage.start()
        stage.tick()
        stage.runner.ask("orders#1", Command(Verb.PAUSE))
        stage.runner.roll_back("orders#1", "limit")
    assert moments(outside.told) == ["after_pause", "after_rollback"]


def test_a_hook_that_is_not_reached_is_tried_for_an_hour_and_that_is_recorded(
    tmp_path: Path, outside: Outside
) -> None:
    outside.deaf = True
    with staged(tmp_path, outside, {"after_start": [GATE]}) as stage:
        stage.runner = replace(stage.runner, hooks=outside)
        stage.start()
        stage.tick()
        assert [one.to for one in stage.rollout.outbox] == [("after_start[0]",)]
        stage.tick(after=DELIVERY_TIMEOUT)
        (entry,) = (one for one in stage.store.history("orders#1") if one.kind == "hooked")
        assert entry.body["sentence"] == "after_start[0] was not reached and is given up"
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


# --- what is sent -------------------------------------------------------------------------------


def test_every_field_of_a_call_is_told(tmp_path: Path, outside: Outside) -> None:
    hooks = {"before_start": [GATE], "before_advance": [GATE], **AFTER}
    with staged(tmp_path, outside, hooks) as stage:
        stage.runner = replace(stage.runner, hooks=outside)
        stage.start()
        stage.ticks(8)
    rows = dict(re.findall(r"^\| `(\w+)` \| (all|before) \|", TEXT, re.MULTILINE))
    for call in outside.asked:
        assert list(json.loads(call.body)) == list(rows)
    always = {name for name, where in rows.items() if where == "all"}
    for call in outside.told:
        assert always <= set(json.loads(call.body))
    start, advance = (json.loads(one.body) for one in outside.asked)
    assert (start["rollout"], start["weight_percent"], start["to_weight_percent"]) == (None, 0, 10)
    assert (advance["weight_percent"], advance["to_weight_percent"]) == (10, 100)
    assert [one["criterion"] for one in advance["findings"]] == ["works"]


# --- in a rehearsal -----------------------------------------------------------------------------


def test_a_scenario_lets_hooks_refuse_for_a_while(tmp_path: Path) -> None:
    logging.disable()
    told = tmp_path / "gated.yaml"
    told.write_text(
        "name: gated\nsummary: A hook refuses for an hour.\n"
        "traffic: {requests_per_minute: 600}\n"
        "stable: {median_ms: 100}\ncanary: {median_ms: 100}\n"
        "events: [{kind: hooks_refuse, at: {after: 3m}, lasting: 1h, how: failed}]\n"
    )
    channels = [{"kind": "eventbridge"}]
    policy = short_policy(
        hooks={"before_advance": [GATE], "after_success": [GATE]}, notify=channels
    )
    with rehearsal(policy, str(told), 1) as played:
        outcome = rehearse(
            played.runner, played.world, policy, every=MINUTE, on_tick=lambda _rollout: None
        )
    assert outcome.status == "succeeded"
    assert outcome.ended - outcome.started > timedelta(hours=1)
    kinds = [message.kind for _, message in played.inbox.sent]
    assert kinds == ["started", "held_up", "advanced", "succeeded"]
    assert moments(played.hooks.calls)[-1] == "after_success"
    assert len(played.hooks.calls) > 50  # asked with every tick
