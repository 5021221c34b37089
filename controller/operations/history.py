"""What a store says of a rollout: its history, checked and summed up, and what `status` shows.

It adds to the state of a rollout: past steps, newest events, and values over time.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from controller.core.history import (
    Digests,
    Entry,
    Links,
    SnapshotChangedError,
    broken_link,
    digests,
    finding_of,
)
from controller.core.judge.findings import Finding
from controller.core.observation import Series
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.immutable import Immutable, replace
from controller.operations.recorded.exposure import Exposure, exposure_of, recorded_exposure
from controller.operations.recorded.series import (
    RecordedSeries,
    WeightSpan,
    judge_for,
    weight_spans,
)
from controller.operations.recorded.trace import trace_of
from controller.ports.store import Store

# How many events are shown, and of how many bins the newest values of a criterion are.
EVENTS: Final = 5
_POINTS: Final = 16
# What every tick or every hour may record: no event.
ROUTINE: Final = frozenset({"evidence", "write_retried"})


class RecentHistory(Immutable):
    """What the history of a rollout adds to its state.

    events: the newest that changed something, the oldest first. passed: the findings with which
    each earlier step was left, by its index. series: what was measured, by key; spans: the weights.
    values: the newest recorded ones of each criterion that judges the live step, by its name, each
    with its end in unix seconds; one without any is left out.
    """

    events: tuple[Entry, ...]
    passed: Mapping[int, Sequence[Finding]]
    series: Mapping[str, Series]
    spans: Sequence[WeightSpan]
    values: Mapping[str, Sequence[tuple[int, float]]]


def recent_history(rollout: Rollout, entries: Iterable[Entry]) -> RecentHistory:
    """Return what the history of `rollout` adds to its state; one entry is in memory at a time."""
    series = RecordedSeries(len(rollout.policy.steps))
    events, passed = deque[Entry](maxlen=EVENTS), dict[int, Sequence[Finding]]()

    def passing() -> Iterator[Entry]:
        for entry in series.passing(entries):
            if entry.kind not in ROUTINE:
                # What was observed may be large; an entry that was changed may lack more.
                body = {"sentence": "", **entry.body, "observation": {}}
                events.append(replace(entry, body=body))
            if entry.kind == "advanced" and isinstance(step := entry.body.get("step"), int):
                passed[step - 1] = tuple(findings_of(entry).values())
            yield entry

    spans = weight_spans(rollout, passing())
    recorded = series.series()
    values = _newest_values(rollout, recorded, spans)
    return RecentHistory(tuple(events), passed, recorded, spans, values)


def _newest_values(
    rollout: Rollout, series: Mapping[str, Series], spans: Sequence[WeightSpan]
) -> dict[str, Sequence[tuple[int, float]]]:
    values: dict[str, Sequence[tuple[int, float]]] = {}
    for name in rollout.policy.gate(rollout.judged_step) if spans else ():
        with suppress(Exception):  # a fault of one judge hides no other criterion
            found = trace_of(judge_for(rollout, name), series, spans[-1:])
            values[name] = [(one.end, one.value) for one in found.bins[-_POINTS:]]
    return {name: found for name, found in values.items() if found}


def findings_of(entry: Entry) -> dict[str, Finding]:
    """Return the findings that `entry` stores, by criterion; unreadable ones are left out."""
    found: dict[str, Finding] = {}
    data = entry.body.get("findings")
    for one in data if isinstance(data, list | tuple) else ():
        with suppress(ValueError, TypeError, KeyError):
            finding = finding_of(one)
            found[finding.criterion] = finding
    return found


# --- The whole history ----------------------------------------------------------------------------


class HistorySummary(Immutable):
    """What a whole history comes to.

    problem: where its hash chain is broken; None when it is valid. digests: those of the policy.
    exposure: the bad requests that were served.
    """

    problem: StoreError | None
    digests: Digests
    exposure: Exposure


def summary_of(store: Store, rollout: Rollout, snapshot: str | None = None) -> HistorySummary:
    """Return what the history of `rollout` comes to; one entry is in memory at a time.

    snapshot: the digest of the stored policy, where it is not that of the start.
    Raises StoreError for an entry that cannot be read.
    """
    links, first = Links(), list[Entry]()

    def passing() -> Iterator[Entry]:
        for entry in links.checked(known_entries(store, rollout)):
            if not first:
                first.append(entry)
            yield entry

    exposure = recorded_exposure(rollout, passing())
    problem = _chain_error(rollout, links.first_broken(rollout.chain))
    return HistorySummary(problem, digests(rollout, first, snapshot), exposure)


def known_entries(store: Store, rollout: Rollout) -> Iterator[Entry]:
    """Yield the history up to the entry that `rollout` names; a tick may add more meanwhile."""
    return islice(store.entries(rollout.id), rollout.entries)


def verified_history(store: Store, rollout: Rollout) -> Sequence[Entry]:
    """Return the history of `rollout`. Raises StoreError when its hash chain is broken."""
    entries = tuple(known_entries(store, rollout))
    if problem := chain_error(rollout, entries):
        raise problem
    return entries


def chain_error(rollout: Rollout, entries: Sequence[Entry]) -> StoreError | None:
    """Return the error of a history whose hash chain is broken; None when it is valid."""
    return _chain_error(rollout, broken_link(entries, rollout.chain))


def _chain_error(rollout: Rollout, link: int | None) -> StoreError | None:
    if link is None:
        return None
    return StoreError(
        f"the history of {rollout.id} was changed or is incomplete from entry {link} on; "
        "do not trust what follows, and look who wrote to the store"
    )


def limited_exposure(store: Store, rollout: Rollout) -> Exposure | None:
    """Return the exposure of `rollout` by its history.

    None where its policy does not limit it, or where the history cannot be read.
    """
    if not rollout.policy.limits_exposure:
        return None
    try:
        return recorded_exposure(rollout, known_entries(store, rollout))
    except StoreError:
        return None


def load_unverified(store: Store, rollout_id: str) -> tuple[Rollout, str | None]:
    """Return a rollout even if its stored policy was changed; then with the digest of that policy.

    Raises StoreError as `load` does for any other damage.
    """
    try:
        return store.load(rollout_id), None
    except SnapshotChangedError as error:
        return error.rollout, error.digest


# --- Status ---------------------------------------------------------------------------------------


class RolloutStatus(Immutable):
    """One rollout, and what the store says beside its state.

    exposure: None where its policy does not limit it, or where the history cannot be read.
    entries: its history, where it was asked for. problem: its policy is not the one of its start.
    recent: what its history adds to its state; None for one of several rollouts, or as `exposure`.
    """

    rollout: Rollout
    exposure: Exposure | None
    entries: Sequence[Entry] = ()
    problem: SnapshotChangedError | None = None
    recent: RecentHistory | None = None


def load_status(
    store: Store, rollout_id: str, *, with_history: bool = False, with_recent: bool = False
) -> RolloutStatus:
    """Return the status of a rollout, even if its stored policy was changed.

    Raises StoreError for any other damage, and for a history that is needed and not intact.
    """
    rollout, digest = load_unverified(store, rollout_id)
    problem = None if digest is None else SnapshotChangedError(rollout, digest)
    return status_of(
        store, rollout, with_history=with_history, with_recent=with_recent, problem=problem
    )


def status_of(
    store: Store,
    rollout: Rollout,
    *,
    with_history: bool = False,
    with_recent: bool = False,
    problem: SnapshotChangedError | None = None,
) -> RolloutStatus:
    """Return the status of `rollout`, as it was loaded. Raises StoreError as `load_status`."""
    entries = verified_history(store, rollout) if with_history else ()
    if not with_recent:
        return RolloutStatus(rollout, limited_exposure(store, rollout), entries, problem)
    recent, exposure = load_recent(store, rollout), None
    if recent is not None and rollout.policy.limits_exposure:
        exposure = exposure_of(rollout, recent.series, recent.spans)
    return RolloutStatus(rollout, exposure, entries, problem, recent)


def load_recent(store: Store, rollout: Rollout) -> RecentHistory | None:
    """Return what the history of `rollout` adds to its state; None where it cannot be read."""
    try:
        return recent_history(rollout, known_entries(store, rollout))
    except StoreError:
        return None
