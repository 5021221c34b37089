"""A rehearsal: a whole policy through the real runner, adapters and store, in virtual time."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from controller.core.commands import ALLOWED_PHASES, Command, Verb
from controller.core.history import Entry
from controller.core.next_action import REMIND_EVERY
from controller.core.policy import Attestation, Policy
from controller.core.rollout import Phase, Reason, Rollout
from controller.engine.loop import run_ticks
from controller.engine.tick import Runner
from controller.errors import TargetTakenError, UsageError
from controller.operations.start.start import StartRequest, start
from controller.ports.clock import Clock

# A pause is looked at a little longer: does anything move the weight behind a person's back?
AFTER_PAUSE = timedelta(hours=1)
# The ladder, its holds, and this much more is all the time that a rehearsal gives.
EXTRA_TIME = timedelta(days=1)
# Frozen time comes on top of that, up to here.
MAX_FROZEN = timedelta(days=14)

# Waits for somebody, or something, outside.
_WAITING_REASONS = frozenset({Reason.AWAITING_APPROVAL, Reason.AWAITING_HOOK})


class AttestationInput(Protocol):
    """What somebody says of attestations: of one criterion, or of all of them."""

    @property
    def criterion(self) -> str | None: ...

    @property
    def refuse(self) -> bool: ...

    @property
    def note(self) -> str: ...


class World(Protocol):
    """What a rehearsal looks at besides the rollout itself."""

    @property
    def calls(self) -> Counter[tuple[str, str]]: ...

    def weight_now(self) -> int: ...

    def take_starts(self) -> int: ...

    def take_attestations(self) -> Sequence[AttestationInput]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rehearsal ended.

    weights: every weight that was in force on purpose, in order; final_weight: the share of traffic
    that takes the canary at the end, whatever the target shows. ticks: how often the rollout was
    visited. calls: AWS calls by service and operation. refused: what second starts were told;
    accepted: the rollouts of those that were not refused, which nobody ticked.
    """

    rollout: Rollout
    weights: tuple[int, ...]
    final_weight: int
    ticks: int
    started: datetime
    ended: datetime
    entries: Sequence[Entry]
    calls: Mapping[str, int]
    rejected_starts: tuple[str, ...] = ()
    accepted_starts: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """`succeeded`, `rolled_back` or `paused`; another phase when time ran out."""
        return str(self.rollout.phase)


def rehearse(
    runner: Runner,
    world: World,
    policy: Policy,
    *,
    every: timedelta,
    on_tick: Callable[[Rollout], None],
    adopt: bool = False,
    approve: bool = False,
) -> Outcome:
    """Play `policy` from its start until it ends, and a while longer when it pauses or goes back.

    What a rollback left behind is known when its drain is, or when its watch is over. A rollout
    that waits for an approval which nobody gives is left after a day, with its first reminder.

    adopt: begin at the weight that is live. approve: somebody approves as soon as it is asked for.

    Raises what `start` raises when the world does not let the rollout start.
    """
    begin = runner.clock.now()
    rollout = start(runner, StartRequest(policy, adopt=adopt)).rollout
    patience = _TimeLimit(runner.clock, begin + _max_duration(policy) + EXTRA_TIME)
    beside = _SecondStarts()
    ticks = 0
    until = patience.limit + (MAX_FROZEN if policy.freeze else timedelta())
    for visit in run_ticks(runner, rollout, every=every, until=until, done=patience.over):
        ticks += 1
        rollout = visit.rollout
        on_tick(rollout)
        for _ in range(world.take_starts()):
            beside.start(runner, policy)
        for word in world.take_attestations():
            rollout = _attest(runner, rollout, word)
        if approve and rollout.reason is Reason.AWAITING_APPROVAL:
            rollout = runner.run_command(rollout.id, Command(Verb.APPROVE, "rehearsed")).rollout
    entries = runner.store.history(rollout.id)
    return Outcome(
        rollout=rollout,
        weights=tuple(entry.body["weight_to"] for entry in entries if _is_applied(entry)),
        final_weight=world.weight_now(),
        ticks=ticks,
        started=begin,
        ended=runner.clock.now(),
        entries=entries,
        calls={f"{service}:{operation}": n for (service, operation), n in world.calls.items()},
        rejected_starts=tuple(beside.rejected),
        accepted_starts=tuple(beside.accepted),
    )


def _attest(runner: Runner, rollout: Rollout, attestation: AttestationInput) -> Rollout:
    """Return the rollout once somebody has said `attestation` of it; too late, it changes nothing."""
    named = [
        name
        for name, one in rollout.policy.criteria.items()
        if isinstance(one, Attestation) and attestation.criterion in (None, name)
    ]
    for name in named if rollout.phase in ALLOWED_PHASES[Verb.ATTEST] else ():
        ask = Command(Verb.ATTEST, attestation.note, criterion=name, refuse=attestation.refuse)
        rollout = runner.run_command(rollout.id, ask).rollout
    return rollout


def _is_applied(entry: Entry) -> bool:
    """Tell whether the weight of `entry` was read back: a step's, or one that was adopted."""
    adopted = entry.body["weight_from"] == entry.body["weight_to"]
    return entry.kind == "settled" or (entry.kind == "started" and adopted)


def _max_duration(policy: Policy) -> timedelta:
    parts = (
        step.bake + policy.warmup_of(index) + policy.max_hold_of(index) + policy.shift_timeout
        for index, step in enumerate(policy.steps)
    )
    return sum(parts, timedelta())


@dataclass(slots=True)
class _TimeLimit:
    """How long a rehearsal goes on looking.

    limit: moment at which it stops in any case; frozen time moves it. asked: since when nobody
    gives the approval, or no hook the consent, that the rollout waits for.
    """

    clock: Clock
    limit: datetime
    waiting_since: datetime | None = None
    _last_check: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._last_check = self.clock.now()

    def over(self, rollout: Rollout) -> bool:
        """Tell whether nothing more is worth waiting for, now that it stands like this."""
        now = self.clock.now()
        passed, self._last_check = now - self._last_check, now
        if rollout.reason is Reason.FROZEN:
            self.limit += passed
        self.waiting_since = (
            (self.waiting_since or now) if rollout.reason in _WAITING_REASONS else None
        )
        if now > self.limit or (
            self.waiting_since is not None and now - self.waiting_since >= REMIND_EVERY
        ):
            return True
        match rollout.phase:
            case Phase.ROLLED_BACK:
                watched = rollout.watch_until is not None and now < rollout.watch_until
                return rollout.drain is not None or not watched
            case Phase.PAUSED:
                return now - rollout.since >= AFTER_PAUSE
            case _:
                return rollout.final


@dataclass(slots=True)
class _SecondStarts:
    """Somebody who starts the same policy under another name, while the first runs."""

    rejected: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)

    def start(self, runner: Runner, policy: Policy) -> None:
        """Start it and keep what came of it."""
        other = policy.model_copy(update={"name": f"{policy.name[:56]}-beside"})
        try:
            self.accepted.append(start(runner, StartRequest(other)).rollout.id)
        except (UsageError, TargetTakenError) as error:
            self.rejected.append(str(error))
