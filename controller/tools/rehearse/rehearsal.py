"""Rehearsal: a whole policy through the real engine, adapters and store, in virtual time.

Ticks that can change nothing but evidence may be left out: the world can be read ahead, as it will
be if the weight stays, and its gate is judged minute by minute until it fails. The fakes of the
ports of channels and hooks let no message leave the process.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any, Final

from controller.adapters.stores.sqlite import SqliteStore
from controller.bootstrap.account import AwsAccount, observer_of, real_account, store_at
from controller.core.commands import ALLOWED_PHASES
from controller.core.due import deadlines, minutes_without_failure, quiet_live
from controller.core.events import Command, Verb
from controller.core.history import Entry
from controller.core.judge.queries import aligned_span, gate_query_plan
from controller.core.judge.silence import silence_read_from
from controller.core.message import Message
from controller.core.notice_rules import DAY
from controller.core.observation import Consent, HookAnswer, QueryStatus, TargetReading
from controller.core.policy import Attestation, Channel, Hook, Policy
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import MINUTE_S, floor_to, from_unix
from controller.engine.execute import TickOutcome
from controller.engine.tick import Runner, run_ticks
from controller.errors import TargetTakenError, UsageError
from controller.immutable import Immutable, replace
from controller.operations.start import StartRequest, start
from controller.ports.clock import Clock
from controller.ports.notify import HookCall
from controller.ports.store import Store
from controller.process.settings import StoreLocation

if TYPE_CHECKING:
    from controller.tools.simulation.scenario.fault_events import AttestationEvent
    from controller.tools.simulation.world import World

# A paused rollout is observed this much longer: its weight must not change without an operator.
AFTER_PAUSE = timedelta(hours=1)
# A rehearsal ends at the latest this long after the steps and their longest holds.
EXTRA_TIME = timedelta(days=1)
# Freezes extend that limit, up to this much.
MAX_FROZEN = timedelta(days=14)
# The revision of a rehearsal whose target names none.
_REVISION = "rehearsal"

# Reasons for which a rollout waits for an operator, a hook, or less traffic.
_WAITING_REASONS = frozenset(
    {Reason.AWAITING_APPROVAL, Reason.AWAITING_HOOK, Reason.OVER_EXPOSURE_BUDGET}
)


# --- The setup: the real runner, adapters and store in a simulated world --------------------------


@dataclasses.dataclass(slots=True)
class FakeInbox:
    """A `ChannelNotifier` that stores each message with its channel, and sends nothing."""

    sent: list[tuple[str, Message]] = dataclasses.field(default_factory=list)

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        self.sent.append((channel.display_name, message))


@dataclasses.dataclass(slots=True)
class ScriptedHooks:
    """A `HookCaller` that stores every call, and consents unless the scenario refuses.

    refusal: how hooks refuse now; None: they do not.
    """

    refusal: Callable[[], str | None]
    calls: list[HookCall] = dataclasses.field(default_factory=list)

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        self.calls.append(call)
        refusal = self.refusal()
        if refusal is None:
            return HookAnswer(Consent.GIVEN)
        detail = "the scenario says no" if refusal == "refused" else "no answer in the scenario"
        return HookAnswer(Consent(refusal), detail)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        self.calls.append(call)


class RehearsalSetup(Immutable):
    """The real runner and adapters on a simulated world.

    inbox: has every message that would be sent. hooks: has every call of a hook.
    """

    runner: Runner
    world: "World"
    policy: Policy
    inbox: FakeInbox
    hooks: ScriptedHooks


@contextmanager
def rehearsal(
    policy: Policy,
    scenario: str,
    seed: int,
    *,
    store: StoreLocation | None = None,
    adopt: bool = False,
    per_minute: float | None = None,
) -> Iterator[RehearsalSetup]:
    """Yield the setup for `policy`: fake AWS clients, a virtual clock, a real store.

    store: where the rollouts are stored; None: in memory. A table is in the account of the AWS
        variables, while Lambda and CloudWatch stay simulated.
    adopt: whether the world begins with the weight of the last step.
    per_minute: requests a minute on both paths; None: as many as the scenario has.

    Raises PolicyError when the scenario is wrong or does not fit the policy, and UsageError for a
    store that is not empty.
    """
    from controller.tools.simulation.scenario.metric_roles import as_cloudwatch
    from controller.tools.simulation.scenario.scenario import load_scenario
    from controller.tools.simulation.world import World

    policy = as_cloudwatch(policy.resolved(policy.target.rehearsed()))
    played = load_scenario(scenario)
    if per_minute is not None:
        played = played.at_rate(per_minute)
    world = World.for_policy(policy, played, seed=seed, adopt=adopt)
    account = simulated_account(world, seed)
    with SqliteStore(None) if store is None else _empty_store(store) as opened_store:
        observer = observer_of(account, opened_store, account.metrics())
        inbox, hooks = FakeInbox(), ScriptedHooks(world.hook_refusal)
        runner = Runner(observer, "rehearsal", inbox, hooks)
        yield RehearsalSetup(runner, world, policy, inbox, hooks)


@contextmanager
def _empty_store(place: StoreLocation) -> Iterator[Store]:
    """Yield the store at `place`, which must be empty; a missing file is created.

    So a rehearsal never writes among rollouts of a real account, and is not affected by an earlier
    rehearsal, which had the same revision and owned the same target.
    """
    with store_at(place, real_account(), must_exist=False, writes=True) as store:
        if ids := store.all():
            raise UsageError(
                f"a rehearsal needs an empty store, and {place.url} has {ids[-1]} "
                f"({store.load(ids[-1]).target}): name a file that is not there yet, or a new "
                "table, fresh from `rolloutctl store init`"
            )
        yield store


def simulated_account(world: "World", seed: int) -> AwsAccount:
    """Return the account of `world`; the same seed gives the same pauses."""
    rng = Random(seed)  # noqa: S311 - pauses need no secret randomness
    return AwsAccount(_SimulatedClients(world), world.clock, environment={}, random=rng.uniform)


class _SimulatedClients(Immutable):
    world: "World"

    def get(self, service: str, *, lowers: bool = False) -> Any:
        return self.world.client(service)

    def single_try(self, service: str, read_s: float) -> Any:
        return self.world.client(service)

    def credentials(self) -> Any:
        raise UsageError("a simulated account has no credentials")


# --- The play -------------------------------------------------------------------------------------


class RehearsalOutcome(Immutable):
    """How a rehearsal ended.

    weights: every weight that the rollout applied, in order.
    final_weight: the percentage of traffic on the canary at the end, whatever the target shows.
    ticks: the number of ticks. calls: AWS calls by service and operation.
    rejected_starts: the errors of second starts.
    accepted_starts: the rollouts of second starts that were not refused; they are not ticked.
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
    world: "World",
    policy: Policy,
    *,
    every: timedelta,
    on_tick: Callable[[Rollout], None],
    adopt: bool = False,
    approve: bool = False,
    all_ticks: bool = False,
) -> RehearsalOutcome:
    """Run `policy` from its start until it ends, and a while longer after a pause or a rollback.

    After a rollback the rehearsal ends when the leak check has a result or the watch is over. A
    rollout that waits for an approval, a hook or less traffic is left at its first reminder.

    adopt: begin at the weight that is live. approve: approve each step as soon as it waits for it,
        and sign each sign-off that gates.
    all_ticks: also make the ticks that can change nothing.

    Raises what `start` raises when the world does not let the rollout start.
    """
    begin = runner.clock.now()
    rollout = start(runner, StartRequest(policy, adopt=adopt, fallback=_REVISION)).rollout
    time_limit = _TimeLimit(runner.clock, begin + _max_duration(policy) + EXTRA_TIME)
    rejected_starts, accepted_starts, ticks = list[str](), list[str](), 0
    until = time_limit.limit + (MAX_FROZEN if policy.freeze else timedelta())

    def skip(visit: TickOutcome, now: datetime) -> int:
        return 1 if all_ticks else ticks_to_next_change(runner, world, visit, now, every)

    for visit in run_ticks(
        runner, rollout, every=every, until=until, done=time_limit.over, skip=skip
    ):
        ticks += 1
        rollout = visit.rollout
        on_tick(rollout)
        for _ in range(world.take_starts()):
            other = policy.model_copy(update={"name": f"{policy.name[:56]}-beside"})
            try:
                beside = start(runner, StartRequest(other, fallback=_REVISION)).rollout
                accepted_starts.append(beside.id)
            except (UsageError, TargetTakenError) as error:
                rejected_starts.append(str(error))
        for attestation in world.take_attestations():
            rollout = _attest(runner, rollout, attestation)
        for command in _operator_commands(rollout, first=ticks == 1) if approve else ():
            rollout = runner.run_command(rollout.id, command).rollout
    entries = runner.store.history(rollout.id)
    return RehearsalOutcome(
        rollout=rollout,
        weights=tuple(
            entry.body["weight_to"]
            for entry in entries
            if entry.kind == "applied"
            or (entry.kind == "started" and entry.body["weight_from"] == entry.body["weight_to"])
        ),
        final_weight=world.weight_now(),
        ticks=ticks,
        started=begin,
        ended=runner.clock.now(),
        entries=entries,
        calls={f"{service}:{operation}": n for (service, operation), n in world.calls.items()},
        rejected_starts=tuple(rejected_starts),
        accepted_starts=tuple(accepted_starts),
    )


def _operator_commands(rollout: Rollout, *, first: bool) -> Iterator[Command]:
    """Yield what an operator does who agrees to everything. first: the rollout has just begun."""
    for name, one in rollout.policy.criteria.items() if first else ():
        if isinstance(one, Attestation) and one.gating:
            yield Command(Verb.ATTEST, "rehearsed", criterion=name)
    if rollout.reason is Reason.AWAITING_APPROVAL:
        yield Command(Verb.APPROVE, "rehearsed")


def _attest(runner: Runner, rollout: Rollout, attestation: "AttestationEvent") -> Rollout:
    """Return the rollout after `attestation`; it changes nothing in a phase that takes none."""
    criteria = [
        name
        for name, criterion in rollout.policy.criteria.items()
        if isinstance(criterion, Attestation) and attestation.criterion in (None, name)
    ]
    for name in criteria if rollout.phase in ALLOWED_PHASES[Verb.ATTEST] else ():
        command = Command(Verb.ATTEST, attestation.note, criterion=name, refuse=attestation.refuse)
        rollout = runner.run_command(rollout.id, command).rollout
    return rollout


def _max_duration(policy: Policy) -> timedelta:
    parts = (
        policy.planned_time_of(step) + policy.longest_hold_of(step) + policy.shift_timeout
        for step in range(len(policy.steps))
    )
    return sum(parts, timedelta())


class _TimeLimit:
    """When a rehearsal ends.

    limit: when it ends in any case; time in a freeze extends it.
    waiting_since: since when the rollout waits for an approval, for the consent of a hook, or for
        less traffic.
    """

    def __init__(self, clock: Clock, limit: datetime) -> None:
        self.clock, self.limit = clock, limit
        self.waiting_since: datetime | None = None
        self._last_check = clock.now()

    def over(self, rollout: Rollout) -> bool:
        """Tell whether the rehearsal is over, now that the rollout is as given."""
        now = self.clock.now()
        elapsed, self._last_check = now - self._last_check, now
        if rollout.reason is Reason.FROZEN:
            self.limit += elapsed
        self.waiting_since = (
            (self.waiting_since or now) if rollout.reason in _WAITING_REASONS else None
        )
        if now > self.limit or (self.waiting_since is not None and now - self.waiting_since >= DAY):
            return True
        match rollout.phase:
            case Phase.ROLLED_BACK:
                return rollout.leak_check is not None or not rollout.is_watched(now)
            case Phase.PAUSED:
                return now - rollout.since >= AFTER_PAUSE
            case _:
                return rollout.final


_MINUTE: Final = timedelta(seconds=MINUTE_S)


def ticks_to_next_change(
    runner: Runner, world: "World", visit: TickOutcome, now: datetime, every: timedelta
) -> int:
    """Return after how many ticks of the interval `every` something can change; at least 1.

    Only a bake without any condition is quiet. What ends the quiet: its end, the next checkpoint or
    summary, an event of the scenario, and the first minute that fails the gate. The metrics are
    read ahead until then, as they will be if the weight stays.
    """
    rollout, observation = visit.rollout, visit.observation
    if observation is None or visit.problem or visit.alerts or visit.busy or not visit.saved:
        return 1
    live, target = quiet_live(rollout), observation.target
    evidence = None if visit.judgement is None else visit.judgement.evidence
    if live is None or evidence is None:
        return 1
    if not isinstance(target, TargetReading) or not target.has_applied(live.weight):
        return 1
    if any(one.status is not QueryStatus.COMPLETE for one in observation.series.values()):
        return 1
    not_final = world.final_after > rollout.policy.evaluation_delay
    if not_final or silence_read_from(rollout, now) is not None:
        return 1
    final_until = floor_to(rollout.updated - world.final_after, MINUTE_S)
    event, by_time = world.next_event(), list(deadlines(rollout, live))
    until = min(by_time if event is None else [*by_time, event])
    if until <= now + every:
        return 1
    queries = gate_query_plan(rollout, now).queries
    span = aligned_span(queries.values(), final_until, floor_to(until, MINUTE_S))
    with world.ahead(from_unix(span.end) + world.final_after):
        to_come = runner.observer.metrics.read(queries.values(), span)
    # A series that an earlier step alone reads is not read on once the checkpoint covers it.
    series = dict(evidence.series)
    for key in [one for one in series if one in queries]:
        seen = {at: value for at, value in series[key].points.items() if at < span.start}
        points = {**seen, **to_come[queries[key]].points}
        series[key] = replace(series[key], points=points)
    # What was folded stays: the minutes that are closed do not change.
    sequential = dataclasses.replace(evidence.sequential, series=series)
    ahead = replace(evidence, series=series, sequential=sequential)
    settled_end = rollout.policy.settled_end(until)
    quiet = minutes_without_failure(ahead, rollout.evidence.findings, settled_end, open_too=True)
    return max(1, ceil((min(until, now + (quiet + 1) * _MINUTE) - now) / every))
