"""The events of a step that all processes could observe, from the shared state before and after."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.core.judge.findings import gate_verdict
from controller.core.policy.targets.lambda_env import LambdaEnv
from tests.chaos.event_log import (
    TIME,
    GateVerdict,
    RolloutSave,
    TargetWrite,
    UpdateCompletion,
)
from tests.chaos.ground_truth import changed_names
from tests.chaos.ground_truth.lambda_env import may_mean_full_weight, parse_weight
from tests.chaos.measurements import judges_gate, reading_of
from tests.exhaustive.monitor_state import KeyedEvent
from tests.exhaustive.small_world import SharedState, SmallWorld
from tests.support.core import (
    Entry,
    Observation,
    Rollout,
    Verdict,
    codec,
    judge,
    judge_gate,
    query_plan,
)
from tests.support.rollouts import lambda_env

_ID, _POLICY, _STATE = 0, 10, 11
WRITE_OPERATIONS: Final = frozenset({"UpdateFunctionConfiguration", "changes the function"})


def change_events(
    before: SharedState, after: SharedState, by: str, operation: str, target: LambdaEnv
) -> Iterator[KeyedEvent]:
    """Yield the events of `operation` by `by`, those of the function first."""
    if before.cloud.updates != after.cloud.updates:
        yield from _function_events(before, after, by, operation in WRITE_OPERATIONS, target)
    if before.store is not after.store:
        yield from _store_events(before, after, by)


def _function_events(
    before: SharedState, after: SharedState, by: str, wrote: bool, target: LambdaEnv
) -> Iterator[KeyedEvent]:
    if wrote:
        yield _write_event(before, after, by, target)
    if after.cloud.status != "InProgress":
        weight = parse_weight(target, dict(after.cloud.served))
        yield f"in force {after.now} {weight}", UpdateCompletion(after.now, TIME, weight)


@cache
def _write_event(before: SharedState, after: SharedState, by: str, target: LambdaEnv) -> KeyedEvent:
    was, now = dict(before.cloud.shown), dict(after.cloud.shown)
    known, changed = stored_rollouts(before), changed_names(was, now)
    write = TargetWrite(
        after.now,
        by,
        parse_weight(target, was),
        parse_weight(target, now),
        known,
        before.cloud.revision,
        may_mean_full_weight(target, was),
        [one for one in changed if one not in (target.percentage, target.boolean)],
        effective=bool(changed),
    )
    states = [one.version for one in known]
    return f"{by} wrote {after.now} {states} {before.cloud} {after.cloud}", write


def _store_events(before: SharedState, after: SharedState, by: str) -> Iterator[KeyedEvent]:
    was = {row[_ID]: row for row in before.store.rollouts}
    for row in after.store.rollouts:
        old = was.get(row[_ID])
        if old is not None and old[_STATE] == row[_STATE]:
            continue
        known, entries = _history(before, row[_ID]), _history(after, row[_ID])
        intact = entries[: len(known)] == known
        new_entries = tuple(_entry(row[_ID], text) for text in entries[len(known) :])
        previous = None if old is None else _rollout(old[_ID], old[_STATE], old[_POLICY])
        rollout = _rollout(row[_ID], row[_STATE], row[_POLICY])
        lock_owners = dict(after.store.locks)
        owners = {lock: lock_owners.get(lock) for lock in rollout.locks}
        saved = RolloutSave(after.now, by, previous, rollout, new_entries, intact, owners)
        yield f"{by} saved {after.now} {intact} {owners} {row[_STATE]}", saved


def failing_verdicts(world: SmallWorld, shared: SharedState, by: str) -> Iterator[KeyedEvent]:
    """Yield the rollouts whose gate fails by the current metrics of `world`."""
    source = CloudWatchMetrics(world.client)
    weight = parse_weight(lambda_env(world.policy), dict(shared.cloud.shown))
    reading = reading_of(weight, at_rest=shared.cloud.status == "Successful")
    for rollout in stored_rollouts(shared):
        needed = query_plan(rollout, shared.now)
        if not judges_gate(rollout, reading) or not needed.queries:
            continue
        answer = source.read(needed.queries.values(), needed.span)
        series = {key: answer[query] for key, query in needed.queries.items()}
        evidence = judge(rollout, Observation(reading, series), shared.now).evidence
        if evidence is not None and gate_verdict(judge_gate(evidence)) is Verdict.FAIL:
            key = f"{by} saw {rollout.id} fail {shared.now}"
            yield key, GateVerdict(shared.now, by, rollout.id, Verdict.FAIL)


def stored_rollouts(shared: SharedState) -> tuple[Rollout, ...]:
    """Return all rollouts as they are stored."""
    return tuple(_rollout(row[_ID], row[_STATE], row[_POLICY]) for row in shared.store.rollouts)


def stored_history(shared: SharedState, rollout_id: str) -> list[Entry]:
    """Return the stored history of a rollout."""
    return [_entry(rollout_id, text) for text in _history(shared, rollout_id)]


def _history(shared: SharedState, rollout_id: str) -> Sequence[str]:
    return [text for one, _, text in shared.store.history if one == rollout_id]


@cache
def _rollout(rollout_id: str, state: str, policy: str) -> Rollout:
    return codec.load(rollout_id, state, policy)


@cache
def _entry(rollout_id: str, text: str) -> Entry:
    return codec.load_entry(rollout_id, text)


def clear_caches() -> None:
    """Clear the caches of interned values; no search that has used them may go on."""
    for known in (_rollout, _entry, _write_event):
        known.cache_clear()
