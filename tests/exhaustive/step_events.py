"""What becomes known of a process with each of its steps, in the words of the invariants."""

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

LocalEvents: TypeAlias = tuple[KeyedEvent, ...]
"""What is told with the next happening of a process that others could see, or at its end."""

_NOT_A_PROCESS: Final = frozenset({event_log.PERSON, event_log.DEPLOY, event_log.TIME})


class Step(NamedTuple):
    """One step of a process: its answer, what is shared after it, what others could see of it.

    quiet: what they could not.
    """

    answer: CallResult
    after: SharedState
    visible: LocalEvents
    local: LocalEvents


def start_events(program: ReplayableProcess, now: datetime) -> list[KeyedEvent]:
    """Tell that a process has begun, and on whose behalf."""
    if program.kind in _NOT_A_PROCESS:
        return []
    name = program.name
    told: list[KeyedEvent] = [(f"{name} began {now}", event_log.ProcessStart(now, name))]
    if program.verb:
        told.append((f"{name} asked", event_log.OperatorCommand(now, name, program.verb)))
    return told


def observe_step(
    world: SmallWorld,
    program: ReplayableProcess,
    call: ExternalCall,
    before: SharedState,
    after: SharedState,
    answer: CallResult,
) -> Step:
    """Tell of one step that has led from one situation to another; the cloud stands there now."""
    name, operation = program.name, call.operation
    seen = [*change_events(before, after, name, operation, world.policy.target)]
    if call.service == "cloudwatch" and not answer.failed:
        seen += failing_verdicts(world, after, name)
    return Step(answer, after, tuple(seen), _local_events(program, call, after, answer))


def _local_events(
    program: ReplayableProcess, call: ExternalCall, after: SharedState, answer: CallResult
) -> LocalEvents:
    now, name = after.now, program.name
    if call.service == "lambda":
        sound = not answer.failed and after.cloud.status != "Failed"
        words = f"{name} {call.operation} {sound} {now}"
        return ((words, event_log.LambdaResponse(now, name, call.operation, sound)),)
    if call.service == NOTIFIER and isinstance(answer.value, SentNotice):
        words = f"{name} told {answer.value.notice} {now}"
        return ((words, event_log.Notification(now, name, *answer.value)),)
    return ()


def end_events(
    program: ReplayableProcess,
    now: datetime,
    local_events: LocalEvents,
    end_state: ProcessState | None,
) -> list[KeyedEvent]:
    """Tell that a process has ended where it stands; None: it is gone."""
    if program.kind in _NOT_A_PROCESS:
        return list(local_events)
    status = None if end_state is None else _status(end_state.outcome)
    words = f"{program.name} ended {status} {now}"
    return [*local_events, (words, event_log.ProcessEnd(now, program.name, status))]


def _status(outcome: object) -> int:
    return int(outcome.exit_status) if isinstance(outcome, RolloutError) else 0


def unexpected_outcome(end_state: ProcessState) -> Sequence[str]:
    """Return what is wrong with how a process has ended by itself."""
    outcome = end_state.outcome
    surprising = isinstance(outcome, Exception) and not isinstance(outcome, RolloutError)
    return [f"a process ended with {outcome!r}"] if surprising else []
