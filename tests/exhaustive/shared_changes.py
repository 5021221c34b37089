"""What a step has changed for all, told from what was shared before and after it."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.core import codec
from controller.core.history import Entry
from controller.core.judge.findings import Verdict, gate
from controller.core.judge.gate import judge, needs
from controller.core.judge.sealing import evidence_of
from controller.core.observation import Observation, Unreadable
from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout
from tests.chaos.event_log import (
    TIME,
    InForce,
    Judged,
    Saved,
    Wrote,
    may_be_full,
    meant_by,
)
from tests.chaos.measurements import judged_at
from tests.exhaustive.path_so_far import Told
from tests.exhaustive.small_world import Shared, SmallWorld

_ID, _POLICY, _STATE = 0, 10, 11
WRITES: Final = frozenset({"UpdateFunctionConfiguration", "changes the function"})


def changes(
    before: Shared, after: Shared, by: str, operation: str, target: LambdaEnv
) -> Iterator[Told]:
    """Yield what `operation` of `by` has changed, of the function first."""
    if before.sky.updates != after.sky.updates:
        yield from _of_function(before, after, by, operation in WRITES, target)
    if before.books is not after.books:
        yield from _of_store(before, after, by)


def _of_function(
    before: Shared, after: Shared, by: str, wrote: bool, target: LambdaEnv
) -> Iterator[Told]:
    if wrote:
        yield _wrote(before, after, by, target)
    if after.sky.status != "InProgress":
        weight = meant_by(target, dict(after.sky.served))
        yield f"in force {after.now} {weight}", InForce(after.now, TIME, weight)


@cache
def _wrote(before: Shared, after: Shared, by: str, target: LambdaEnv) -> Told:
    was, now = dict(before.sky.shown), dict(after.sky.shown)
    known = stored(before)
    wrote = Wrote(
        after.now,
        by,
        was,
        now,
        meant_by(target, was),
        meant_by(target, now),
        known,
        before.sky.revision,
        may_be_full(target, was),
    )
    states = [one.version for one in known]
    return f"{by} wrote {after.now} {states} {before.sky} {after.sky}", wrote


def _of_store(before: Shared, after: Shared, by: str) -> Iterator[Told]:
    was = {row[_ID]: row for row in before.books.rollouts}
    for row in after.books.rollouts:
        old = was.get(row[_ID])
        if old is not None and old[_STATE] == row[_STATE]:
            continue
        known, entries = _history(before, row[_ID]), _history(after, row[_ID])
        kept = entries[: len(known)] == known
        gained = tuple(_entry(row[_ID], text) for text in entries[len(known) :])
        past = None if old is None else _rollout(old[_ID], old[_STATE], old[_POLICY])
        rollout = _rollout(row[_ID], row[_STATE], row[_POLICY])
        owned = dict(after.books.locks)
        owners = {lock: owned.get(lock) for lock in rollout.locks}
        saved = Saved(after.now, by, past, rollout, gained, kept, owners)
        yield f"{by} saved {after.now} {kept} {owners} {row[_STATE]}", saved


def failing(world: SmallWorld, shared: Shared, by: str) -> Iterator[Told]:
    """Yield which rollouts fail by what the metrics of `world` answer where it stands now."""
    source = CloudWatchMetrics(world.client())
    for one in stored(shared):
        wants = needs(one, shared.now)
        shown = meant_by(world.policy.target, dict(shared.sky.shown))
        if not judged_at(one, shown, shared.sky.revision) or not wants.queries:
            continue
        answer = source.read(wants.queries.values(), wants.span)
        series = {key: answer[query] for key, query in wants.queries.items()}
        evidence = evidence_of(one, Observation(Unreadable(""), series), shared.now)
        if evidence is not None and gate(judge(evidence)) is Verdict.FAIL:
            words = f"{by} saw {one.id} fail {shared.now}"
            yield words, Judged(shared.now, by, one.id, Verdict.FAIL)


def stored(shared: Shared) -> tuple[Rollout, ...]:
    """Return all rollouts as they are stored."""
    return tuple(_rollout(row[_ID], row[_STATE], row[_POLICY]) for row in shared.books.rollouts)


def history(shared: Shared, rollout_id: str) -> list[Entry]:
    """Return the stored history of a rollout."""
    return [_entry(rollout_id, text) for text in _history(shared, rollout_id)]


def _history(shared: Shared, rollout_id: str) -> Sequence[str]:
    return [text for one, _, text in shared.books.history if one == rollout_id]


@cache
def _rollout(rollout_id: str, state: str, policy: str) -> Rollout:
    return codec.load(rollout_id, state, policy)


@cache
def _entry(rollout_id: str, text: str) -> Entry:
    return codec.load_entry(rollout_id, text)


def forget() -> None:
    """Let go of what is known by its content; no search that has used it may go on."""
    for known in (_rollout, _entry, _wrote):
        known.cache_clear()
