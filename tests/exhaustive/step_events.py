"""The events of each step of a process, for the invariants."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from controller.errors import RolloutError
from tests.chaos import event_log
from tests.chaos.process import NOTIFIER, ExternalCall
from tests.exhaustive.actors import SentNotice
from tests.exhaustive.monitor_state import KeyedEvent
from tests.exhaustive.replayable_process import CallResult, ProcessState, ReplayableProcess
from tests.exhaustive.small_world import SharedState, SmallWorld
from tests.exhaustive.state_changes import change_events, failing_verdicts
from tests.support.rollouts import lambda_env

LocalEvents: TypeAlias = tuple[KeyedEvent, ...]
"""Events that are passed on with the next visible event of their process, or at its end."""

_NOT_A_PROCESS: Final = frozenset({event_log.PERSON, event_log.DEPLOY, event_log.TIME})


class Step(NamedTuple):
    """One step of a process: its answer, and the shared state after it.

    visible: the events that others could observe. local: those that they could not.
    """

    answer: CallResult
    after: SharedState
    visible: LocalEvents
    local: LocalEvents


def start_events(program: ReplayableProcess, now: datetime) -> list[KeyedEvent]:
    """Return the events of the start of a process, with its operator command."""
    if program.kind in _NOT_A_PROCESS:
        return []
    name = program.name
    events: list[KeyedEvent] = [(f"{name} began {now}", event_log.ProcessStart(now, name))]
    if program.verb:
        events.append((f"{name} asked", event_log.OperatorCommand(now, name, program.verb)))
    return events


def observe_step(
    world: SmallWorld,
    program: ReplayableProcess,
    call: ExternalCall,
    before: SharedState,
    after: SharedState,
    answer: CallResult,
) -> Step:
    """Return the step that led from `before` to `after`; the world is in the state `after`."""
    name, operation = program.name, call.operation
    visible = [*change_events(before, after, name, operation, lambda_env(world.policy))]
    if call.service == "cloudwatch" and not answer.failed:
        visible += failing_verdicts(world, after, name)
    return Step(answer, after, tuple(visible), _local_events(program, call, after, answer))


def _local_events(
    program: ReplayableProcess, call: ExternalCall, after: SharedState, answer: CallResult
) -> LocalEvents:
    now, name = after.now, program.name
    if call.service == "lambda":
        sound = not answer.failed and after.cloud.status != "Failed"
        key = f"{name} {call.operation} {sound} {now}"
        return ((key, event_log.TargetResponse(now, name, call.operation, sound)),)
    if call.service == NOTIFIER and isinstance(answer.value, SentNotice):
        key = f"{name} told {answer.value.notice} {now}"
        return ((key, event_log.Notification(now, name, *answer.value)),)
    return ()


def end_events(
    program: ReplayableProcess,
    now: datetime,
    local_events: LocalEvents,
    end_state: ProcessState | None,
) -> list[KeyedEvent]:
    """Return the events of the end of a process. end_state: None when it crashed."""
    if program.kind in _NOT_A_PROCESS:
        return list(local_events)
    status = None if end_state is None else _status(end_state.outcome)
    key = f"{program.name} ended {status} {now}"
    return [*local_events, (key, event_log.ProcessEnd(now, program.name, status))]


def _status(outcome: object) -> int:
    return int(outcome.exit_status) if isinstance(outcome, RolloutError) else 0


def unexpected_outcome(end_state: ProcessState) -> Sequence[str]:
    """Return a violation when a process ended with an error that is no RolloutError."""
    outcome = end_state.outcome
    unexpected = isinstance(outcome, Exception) and not isinstance(outcome, RolloutError)
    return [f"a process ended with {outcome!r}"] if unexpected else []
