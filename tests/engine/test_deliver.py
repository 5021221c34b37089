"""Delivery: a failure stops no other message, and what did not arrive is tried again."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs

from controller.core.message import DELIVERY_TIMEOUT
from controller.core.policy import Channel
from controller.engine.outbox import log_notice
from controller.engine.time_limits import DELIVERY_LIMIT, LEASE_DURATION
from controller.errors import DeliveryError, MessageRefusedError, StoreError
from controller.operations.start import StartRequest, start
from controller.tools.rehearse.rehearsal import ScriptedHooks
from tests.support.core import (
    Command,
    Entry,
    Label,
    Live,
    Message,
    Notice,
    Phase,
    Reason,
    Rollout,
    Severity,
    Verb,
    replay,
)
from tests.support.rollouts import a_rollout
from tests.support.stage import (
    ReadOnlyStore,
    Stage,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.worlds import MINUTE, POLICY, scenario

TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
CHANNELS = [{"kind": "sns", "topic": TOPIC}, {"kind": "eventbridge"}]


class DiedError(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class RecordingNotifier:
    """A channel notifier that records what it delivered.

    failing: the kinds of channels that fail. refusing: those that will never take a message.
    threaded: those that keep a thread per rollout. threads: what each message found there.
    before_delivery, slow: called before each delivery.
    """

    failing: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    threaded: set[str] = field(default_factory=set)
    threads: list[tuple[str, str | None]] = field(default_factory=list)
    delivered: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    before_delivery: Callable[[], object] = lambda: None
    slow: Callable[[Channel], object] = lambda _: None

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> str | None:
        self.before_delivery()
        self.slow(channel)
        if channel.kind in self.failing:
            raise DeliveryError(f"{channel.display_name} is down")
        if channel.kind in self.refusing:
            raise MessageRefusedError(f"{channel.display_name} will never take it")
        self.delivered.append((channel.kind, message.kind))
        self.keys.append(message.key)
        self.runs.append(message.run)
        if channel.kind not in self.threaded:
            return None
        known = rollout.threads.get(channel.display_name)
        self.threads.append((message.kind, known))
        return known or f"thread of {message.kind}"

    def kinds(self, channel: str) -> list[str]:
        """Return the kinds of the messages that arrived at one kind of channel."""
        return [kind for name, kind in self.delivered if name == channel]


@pytest.fixture
def post() -> RecordingNotifier:
    return RecordingNotifier()


@pytest.fixture
def stage(tmp_path: Path, post: RecordingNotifier) -> Iterator[Stage]:
    with open_stage(tmp_path, policy=short_policy(notify=CHANNELS)) as stage:
        stage.rewire(channel_notifier=post)
        yield stage


def sick(folder: Path, post: RecordingNotifier) -> Any:
    """Return a stage whose canary fails from the start."""
    failing = scenario(
        function=function_with(), events=[{"kind": "errors", "server_errors": "50%"}]
    )
    return open_stage(folder, failing, short_policy(notify=CHANNELS))


@pytest.mark.parametrize("severity", list(Severity))
def test_a_notice_is_logged_at_a_level_of_its_severity(severity: Severity) -> None:
    with capture_logs() as logs:
        log_notice(a_rollout(), Notice(severity, "10% is applied."))
    assert logs == [
        {
            "event": "notice_sent",
            "log_level": str(severity),
            "rollout": "checkout#1",
            "severity": str(severity),
            "notice": "10% is applied.",
        }
    ]


def completed(logs: list[Any]) -> list[tuple[int, int]]:
    """Return how many messages each tick sent, and how many failed."""
    events = [one for one in logs if one["event"] == "tick_completed"]
    return [(event["messages_sent"], event["messages_failed"]) for event in events]


def test_a_channel_that_fails_delays_no_other_and_gets_its_message_later(
    stage: Stage, post: RecordingNotifier
) -> None:
    post.failing.add("sns")
    with capture_logs() as logs:
        stage.start()
        stage.tick()
        post.failing.clear()
        stage.tick()
    assert post.delivered == [("eventbridge", "started"), ("sns", "started")]
    assert completed(logs) == [(0, 1), (1, 0)]
    failed = [one for one in logs if one["event"] == "message_failed"]
    assert [one["problem"] for one in failed] == ["sns rollouts is down"] * 2
    assert stage.rollout.outbox == ()


def test_a_message_that_is_refused_for_good_is_given_up_at_once(
    stage: Stage, post: RecordingNotifier
) -> None:
    post.refusing.add("sns")
    with capture_logs() as logs:
        stage.start()
    assert post.delivered == [("eventbridge", "started")]
    assert stage.rollout.outbox == ()
    (given_up,) = [one for one in logs if one["event"] == "message_given_up"]
    assert given_up["missed"] == ["notify[0]"]
    post.refusing.clear()
    stage.tick()
    assert post.kinds("sns") == []


def test_the_first_message_starts_a_thread_that_later_ones_find(
    tmp_path: Path, post: RecordingNotifier
) -> None:
    post.threaded.add("sns")
    with sick(tmp_path, post) as stage:
        stage.rewire(channel_notifier=post)
        stage.start()
        assert stage.rollout.threads == {"sns rollouts": "thread of started"}
        while not stage.rollout.final:
            stage.tick()
    assert post.threads[0] == ("started", None)
    assert {"rolling_back", "rolled_back"} <= {kind for kind, _ in post.threads[1:]}
    assert {known for _, known in post.threads[1:]} == {"thread of started"}


def test_each_message_is_sent_by_itself_in_a_store_of_the_format_before_there_were_threads(
    stage: Stage, post: RecordingNotifier
) -> None:
    post.threaded.add("sns")
    stage.store.set_format(1)
    stage.start()
    assert post.threads == [("started", None)]
    assert stage.rollout.threads == {}


def test_a_message_names_the_run_that_decided_it_whichever_run_sends_it(
    stage: Stage, post: RecordingNotifier
) -> None:
    post.failing |= {"sns", "eventbridge"}
    with bound_contextvars(run="first"):
        stage.start()
    post.failing.clear()
    with bound_contextvars(run="second"):
        stage.tick()
    assert post.runs == ["first", "first"]
    (entry, *_) = stage.store.history(stage.rollout.id)
    assert entry.body["run"] == "first"


class OutboxLockedStore:
    """A store that saves every decision, and fails at the save of an empty outbox."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.failing = True

    def save(self, rollout: Rollout, entries: Sequence[Entry], **options: Any) -> Rollout:
        if self.failing and not rollout.outbox:
            raise StoreError("the disk is full")
        saved: Rollout = self._store.save(rollout, entries, **options)
        return saved

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_message_that_could_not_be_removed_from_the_outbox_is_sent_again_under_the_same_key(
    stage: Stage, post: RecordingNotifier
) -> None:
    store = OutboxLockedStore(stage.store)
    stage.use_store(store)
    with capture_logs() as logs:
        stage.start()
    assert "outbox_kept" in [one["event"] for one in logs]
    store.failing = False
    stage.tick()
    assert post.kinds("sns") == ["started", "started"]
    assert len(set(post.keys)) == 1


def test_a_message_that_does_not_arrive_within_an_hour_is_given_up_and_logged(
    stage: Stage, post: RecordingNotifier
) -> None:
    post.failing.add("sns")
    with capture_logs() as logs:
        stage.start()
        stage.tick(after=DELIVERY_TIMEOUT - MINUTE)
        started = [one for one in stage.rollout.outbox if one.kind == "started"]
        assert [one.recipients for one in started] == [("notify[0]",)]
        stage.tick(after=2 * MINUTE)
    given_up = [one for one in logs if one["event"] == "message_given_up"]
    assert [(one["message"], one["missed"]) for one in given_up] == [
        (started[0].key, ["notify[0]"])
    ]
    assert started[0].key not in [one.key for one in stage.rollout.outbox]


def test_a_message_that_no_run_has_tried_yet_is_never_too_old(
    stage: Stage, post: RecordingNotifier
) -> None:
    runner = stage.runner
    stage.runner = dataclasses.replace(runner, channel_notifier=None)
    stage.start()
    stage.runner = runner
    stage.tick(after=3 * DELIVERY_TIMEOUT)
    assert post.kinds("sns")[0] == "started"


def test_slow_channels_have_one_limit_together_and_the_rest_waits(
    stage: Stage, post: RecordingNotifier
) -> None:
    def wait() -> None:
        stage.world.clock.sleep(DELIVERY_LIMIT)

    post.before_delivery = wait
    begin = stage.world.clock.now()
    stage.start()
    assert stage.world.clock.now() - begin < DELIVERY_LIMIT + timedelta(seconds=15)
    assert post.delivered == [("sns", "started")]
    post.before_delivery = lambda: None
    stage.tick()
    assert post.delivered == [("sns", "started"), ("eventbridge", "started")]


def test_slow_channels_of_one_rollout_keep_no_other_from_its_own_for_long(
    stage: Stage, post: RecordingNotifier
) -> None:
    without_channels = dataclasses.replace(stage.runner, channel_notifier=None)
    stage.runner, with_channels = without_channels, stage.runner
    stage.start()
    stage.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": "payments"}
    bus = {"kind": "eventbridge"}
    start(
        without_channels, StartRequest(short_policy(name="payments", target=target, notify=[bus]))
    )

    def hang(channel: Channel) -> None:
        if channel.kind == "sns":
            stage.world.clock.sleep(DELIVERY_LIMIT)

    post.failing.add("sns")
    post.slow = hang
    for _ in range(2):
        stage.world.clock.advance(MINUTE)
        with_channels.tick(["orders#1", "payments#1"])
    assert any(key.startswith("payments#1:started") for key in post.keys)


def test_a_rollback_that_cannot_be_saved_is_delivered_all_the_same(
    tmp_path: Path, post: RecordingNotifier
) -> None:
    with sick(tmp_path, post) as stage:
        stage.start()
        stage.tick()
        stage.rewire(channel_notifier=post)
        stage.use_store(ReadOnlyStore(stage.store))
        for _ in range(20):
            if not stage.tick().saved and "rolling_back" in post.kinds("sns"):
                break
        assert stage.variables["PERCENTAGE"] == "0"
    assert "rolling_back" in post.kinds("sns")


def test_a_process_delivers_nothing_after_a_stop_signal(
    stage: Stage, post: RecordingNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.process.signals.stop_requested", lambda: True)
    stage.start()
    assert post.delivered == []
    assert [one.kind for one in stage.rollout.outbox] == ["started"]


def test_a_run_that_only_calls_hooks_leaves_messages_to_another(
    tmp_path: Path, post: RecordingNotifier
) -> None:
    with open_stage(tmp_path, policy=short_policy(notify=CHANNELS)) as stage:
        stage.rewire(hooks=ScriptedHooks(lambda: None))
        stage.start()
        assert [one.recipients for one in stage.rollout.outbox] == [("notify[0]", "notify[1]")]
        stage.rewire(channel_notifier=post)
        stage.tick()
    assert post.kinds("sns") == ["started"]


# --- the saves of an advance ---------------------------------------------------------------------


def advance(stage: Stage) -> Rollout:
    """Tick until 100% was decided; return the rollout as it was stored before that tick."""
    while True:
        before = stage.rollout
        if stage.tick().rollout.weight == 100:
            return before


def test_a_slow_channel_delays_neither_the_write_nor_the_begin_of_the_bake(
    stage: Stage, post: RecordingNotifier
) -> None:
    stage.start()
    weights = list[int | None]()

    def send_slowly() -> None:
        weights.append(stage.world.weight_now())
        stage.world.clock.advance(timedelta(seconds=15))

    post.before_delivery = send_slowly
    advance(stage)
    assert weights == [100, 100]
    assert isinstance(stage.rollout.position, Live)
    assert stage.world.clock.now() - stage.rollout.position.since >= timedelta(seconds=30)


def test_a_run_that_dies_while_it_sends_leaves_the_read_back_and_the_messages_to_the_next(
    stage: Stage, post: RecordingNotifier
) -> None:
    def die() -> None:
        raise DiedError

    stage.start()
    post.before_delivery = die
    with pytest.raises(DiedError):
        advance(stage)
    assert (stage.rollout.pending is None, stage.world.weight_now()) == (False, 100)
    post.before_delivery = lambda: None
    stage.tick(after=3 * MINUTE)  # the lease of the first run must be over
    assert (stage.rollout.reason, stage.rollout.outbox) == (Reason.APPLIED, ())
    assert post.kinds("sns") == ["started", "advanced"]


def test_a_read_back_that_another_run_records_while_messages_are_sent_is_no_problem(
    stage: Stage, post: RecordingNotifier
) -> None:
    stage.start()
    rival, acted = stage.another_runner(), list[bool]()

    def tick_elsewhere() -> None:
        if not acted:
            stage.world.clock.advance(LEASE_DURATION)
            acted.append(rival.visit("orders#1").busy)

    post.before_delivery = tick_elsewhere
    advance(stage)
    assert acted == [False]
    kinds = [entry.kind for entry in stage.store.history("orders#1")]
    assert kinds == ["started", "applied", "advanced", "applied"]


def test_a_rollback_while_messages_of_a_raise_are_sent_stays(
    stage: Stage, post: RecordingNotifier
) -> None:
    stage.start()
    rival, acted = stage.another_runner(), list[Phase]()

    def roll_back_elsewhere() -> None:
        if not acted:
            acted.append(rival.roll_back("orders#1", "stop!").rollout.phase)

    post.before_delivery = roll_back_elsewhere
    advance_or_end = [stage.tick() for _ in range(6)]
    assert acted == [Phase.ROLLED_BACK]
    assert not any(visit.problem for visit in advance_or_end)
    assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_requests_that_stay_after_a_rollback_are_repeated_by_scheduled_ticks_until_acknowledged(
    tmp_path: Path, post: RecordingNotifier
) -> None:
    """The watch of a rollback is over after 15 minutes; an unacknowledged alert is not."""
    verify = {"absent": '{ $.event = "gateway_call" }', "present": '{ $.event = "direct_call" }'}
    policy = short_policy(notify=CHANNELS, verify_rollback=verify)
    failing = scenario(
        function=function_with(), events=[{"kind": "errors", "server_errors": "50%"}]
    )
    with open_stage(tmp_path, failing, policy) as stage:
        stage.rewire(channel_notifier=post)
        stage.start()
        while stage.rollout.phase is not Phase.ROLLED_BACK:
            stage.tick()
        moment = stage.world.clock.now() + 3 * MINUTE
        stage.world.add_log_event("/aws/lambda/handler", moment, '{"event": "gateway_call"}')
        stage.ticks(15)
        leak_check = stage.rollout.leak_check
        assert leak_check is not None
        assert leak_check.label is Label.LEAK_CHECK_FAILED
        begin = stage.world.clock.now()
        while stage.world.clock.now() - begin < timedelta(hours=1):
            stage.world.clock.advance(5 * MINUTE)
            stage.runner.tick_active()
        assert post.kinds("sns").count("repeated") >= 4
        assert stage.variables["PERCENTAGE"] == "0"
        stage.runner.run_command("orders#1", Command(Verb.ACK, "I know"))
        assert stage.store.active(stage.world.clock.now()) == ()
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


def test_a_message_of_a_rollback_is_tried_again_by_scheduled_ticks_for_an_hour(
    tmp_path: Path, post: RecordingNotifier
) -> None:
    """The watch of a rollback is over after 15 minutes; the delivery of its messages is not."""
    with sick(tmp_path, post) as stage, capture_logs() as logs:
        stage.rewire(channel_notifier=post)
        stage.start()
        post.failing.add("sns")
        stage.ticks(20)
        assert stage.rollout.phase is Phase.ROLLED_BACK
        for _ in range(8):
            stage.world.clock.advance(5 * MINUTE)
            stage.runner.tick_active()
        post.failing.clear()
        stage.world.clock.advance(MINUTE)
        stage.runner.tick_active()
        assert post.kinds("sns") == ["started", "rolling_back", "rolled_back", "leak_checked"]
        assert stage.store.active(stage.world.clock.now()) == ()
        assert "message_given_up" not in [one["event"] for one in logs]


def test_a_newer_rollout_of_the_target_does_not_stop_the_messages_of_the_old_one(
    tmp_path: Path, post: RecordingNotifier
) -> None:
    with sick(tmp_path, post) as stage:
        stage.rewire(channel_notifier=post)
        stage.start()
        post.failing.add("sns")
        stage.ticks(20)
        assert stage.rollout.phase is Phase.ROLLED_BACK
        start(stage.runner, StartRequest(stage.policy, retry_reason="mended"))
        assert stage.rollout.id == "orders#2"
        post.failing.clear()
        stage.world.clock.advance(MINUTE)
        stage.runner.tick_active()
        kinds = {key.split(":")[1] for key in post.keys if key.startswith("orders#1")}
        assert kinds == {"started", "rolling_back", "rolled_back", "leak_checked"}
        assert (stage.store.load("orders#1").outbox, stage.variables["PERCENTAGE"]) == ((), "10")
        assert stage.store.active(stage.world.clock.now()) == ("orders#2",)
