"""The exit status of every command, from one mapping.

Each function maps one kind of outcome to a status (that of checks is in `operations/checks.py`),
and a command ends with the most urgent status that applies. `VERBS` lists the statuses of each
command: the table in docs/commands.md is made from it, and a process test runs each row.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from controller.core.decision import Alert
from controller.core.notice_rules import ConditionKind
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.rollout import Phase, Reason, Rollout
from controller.engine.execute import TickOutcome
from controller.errors import Exit

# The most urgent first: a command ends with the first status that applies.
MEANING: Final[Mapping[Exit, str]] = {
    Exit.UNCONFIRMED: "0% is not confirmed: a write of 0% failed (from the first tick on), "
    "`rollback_timeout` is over, or requests still reach the canary; of `run`, `status` and "
    "`rollback`: 0% was not read back. Act at once",
    Exit.INTERNAL: "a rollout, the store or the account could not be read or written, and the "
    "message names it; the tick visited every other rollout. Or the result could not be "
    "written to stdout; what was done stays done",
    Exit.DRIFT: "drift: the weight was changed outside rolloutctl",
    Exit.ROLLED_BACK: "rolled back; `start` of a revision that was rolled back, or set to 0% "
    "after its success",
    Exit.CHECK_FAILED: "a check failed",
    Exit.UNDECIDED: "of `run`, `rehearse`, `status --exit-code`, `status --wait`, `status "
    "--watch` and `plan --exit-code`: not decided yet, but in progress, on hold or paused; of "
    "`set-weight`: written, and not applied yet",
    Exit.USAGE: "the command or the policy is wrong or not allowed now, or there is no store at "
    "that place; nothing was changed",
    Exit.BUSY: "lock held or write conflict: another run has the rollout or saved first; nothing "
    "was changed, safe to retry",
    Exit.DONE: "the command is done: a `tick` also where rollouts are in progress, on hold or "
    "paused; of `run`, `rehearse`, `status --exit-code`, `status --wait` and `plan --exit-code`: "
    "succeeded, or ended as `--expect` or `--until` names",
}
SIGNAL_STATUSES: Final = (
    "130: Ctrl-C. 143: SIGTERM. Stopped at a safe point, within 20 s, with the lease released; "
    "the next tick goes on"
)

# `tick --scheduled` ends with 0 for these: two overlapping ticks are normal.
DONE_WHEN_SCHEDULED: Final = frozenset({Exit.BUSY})

_READ_ONLY: Final = (Exit.DONE, Exit.INTERNAL, Exit.USAGE)
_ROLLOUT_STATES: Final = (Exit.UNDECIDED, Exit.ROLLED_BACK, Exit.UNCONFIRMED, Exit.DRIFT)
_WRITES: Final = (Exit.DONE, Exit.INTERNAL, Exit.USAGE, Exit.BUSY)
# Every command may also end with 2 for a wrong command line, with 1 for a fault of rolloutctl, and
# with 130 or 143 after a signal.
VERBS: Final[Mapping[str, tuple[Exit, ...]]] = {
    "init": _READ_ONLY,
    "validate": _READ_ONLY,  # with --store
    "schema": (Exit.DONE, Exit.USAGE),
    "explain": (Exit.DONE, Exit.USAGE),
    "plan": (Exit.DONE, Exit.USAGE),
    "plan --live --exit-code": (*_READ_ONLY, *_ROLLOUT_STATES),
    "rehearse": (
        Exit.DONE,
        Exit.USAGE,
        Exit.UNDECIDED,
        Exit.ROLLED_BACK,
        Exit.CHECK_FAILED,
    ),
    "backtest": (Exit.DONE, Exit.INTERNAL, Exit.USAGE, Exit.CHECK_FAILED),
    "start": (*_WRITES, Exit.ROLLED_BACK),
    "tick": (*_WRITES, Exit.UNCONFIRMED, Exit.DRIFT),
    "tick --scheduled": (*_READ_ONLY, Exit.UNCONFIRMED, Exit.DRIFT),
    "tick --every": (Exit.USAGE,),  # else a signal ends it
    "run": (*_READ_ONLY, *_ROLLOUT_STATES),
    "status": _READ_ONLY,
    "status --exit-code": (*_READ_ONLY, *_ROLLOUT_STATES),
    "history": _READ_ONLY,
    "report": _READ_ONLY,
    "dashboard": _READ_ONLY,
    "replay": (*_READ_ONLY, Exit.CHECK_FAILED),
    "pause": _WRITES,
    "resume": _WRITES,
    "promote": _WRITES,
    "ack": _WRITES,
    "approve": _WRITES,
    "attest": _WRITES,
    "retry": _WRITES,
    "rollback": (*_READ_ONLY, Exit.UNCONFIRMED),
    "set-weight": (*_READ_ONLY, Exit.UNDECIDED, Exit.DRIFT),
    "metrics": _READ_ONLY,
    "logs": _READ_ONLY,
    "verify": (*_READ_ONLY, Exit.CHECK_FAILED),
    "doctor": (Exit.DONE, Exit.USAGE, Exit.CHECK_FAILED),
    "monitoring": _READ_ONLY,
    "permanent": _READ_ONLY,
    "store": (*_READ_ONLY, Exit.BUSY),
    "iam": (Exit.DONE, Exit.USAGE),
    "record": (Exit.DONE, Exit.INTERNAL, Exit.USAGE),
    "completion": (Exit.DONE, Exit.USAGE),
}


def worst(statuses: Iterable[Exit]) -> Exit:
    """Return the most urgent of `statuses`; 0 without any."""
    return min(statuses, key=list(MEANING).index, default=Exit.DONE)


def of_tick(visit: TickOutcome) -> Exit:
    """Return the status of one visit of a tick: what is new in it and needs an operator."""
    if Alert.ROLLBACK_UNCONFIRMED in visit.alerts:
        return Exit.UNCONFIRMED
    if visit.problem:
        return Exit.INTERNAL
    if Alert.DRIFT in visit.alerts:
        return Exit.DRIFT
    return Exit.BUSY if visit.busy else Exit.DONE


def of_rollout(rollout: Rollout) -> Exit:
    """Return the status that reports the phase of a rollout."""
    match rollout.phase:
        case Phase.SUCCEEDED:
            return Exit.DONE
        case Phase.ROLLED_BACK:
            unconfirmed = ConditionKind.UNCONFIRMED in rollout.conditions
            is_live = rollout.seen_weight != 0
            return Exit.UNCONFIRMED if unconfirmed and is_live else Exit.ROLLED_BACK
        case Phase.ROLLING_BACK:
            return Exit.UNCONFIRMED
        case Phase.PAUSED if rollout.reason is Reason.DRIFTED:
            return Exit.DRIFT
        case Phase.PROGRESSING | Phase.PAUSED:
            return Exit.UNDECIDED


def of_run(last: TickOutcome) -> Exit:
    """Return the status of `run`: that of its rollout, and of the problems of its last visit."""
    status = of_rollout(last.rollout)
    if status is Exit.UNDECIDED:
        return worst((status, of_tick(last)))
    return worst((status, Exit.INTERNAL)) if last.problem else status


def of_rollback(visit: TickOutcome) -> Exit:
    """Return the status of a manual rollback: whether 0% was read back as applied."""
    rolled_back = visit.rollout.phase is Phase.ROLLED_BACK
    unconfirmed = Alert.ROLLBACK_UNCONFIRMED in visit.alerts
    return Exit.DONE if rolled_back and not unconfirmed else Exit.UNCONFIRMED


def of_weight(weight: int, before: TargetReading, live: TargetReading) -> Exit:
    """Return the status of `set-weight`: whether `weight` is applied, in progress, or another one.

    before, live: the readings of the target before the write and after it.
    """
    if live.has_applied(weight):
        return Exit.DONE
    if live.weight == weight:
        return Exit.UNDECIDED if live.update is UpdateStatus.IN_PROGRESS else Exit.INTERNAL
    return Exit.INTERNAL if live.weight == before.weight else Exit.DRIFT


def of_rehearsal(outcome: str, expected: str | None) -> Exit:
    """Return the status of a rehearsal. expected: the outcome that `--expect` names, or None."""
    if expected is not None:
        return Exit.DONE if outcome == expected else Exit.CHECK_FAILED
    statuses = {Phase.SUCCEEDED: Exit.DONE, Phase.ROLLED_BACK: Exit.ROLLED_BACK}
    return {str(phase): status for phase, status in statuses.items()}.get(outcome, Exit.UNDECIDED)
