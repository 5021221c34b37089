"""Check every record of a store, also those that no tick visits. Nothing is written.

A record is read by its id, as each run reads it. One with a problem is read twice, because another
run may have saved it between two reads.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

import click

from controller.bootstrap.account import real_account
from controller.cli import options, streams
from controller.cli.call import CommandContext, Result
from controller.core.history import SnapshotChangedError, recorded_state
from controller.core.repeated_state import check_state
from controller.core.rollout import Rollout
from controller.core.units import clock_text, count_text
from controller.core.words.notices import future_save
from controller.engine.isolation import problem_of
from controller.errors import (
    Exit,
    NotOwnerError,
    StateChangedError,
    StoreError,
    UnknownRolloutError,
    is_record_error,
)
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.ports.json_view import Count
from controller.ports.store import Store, visit_deadline
from controller.render.page import lines_page


class ProblemKind(StrEnum):
    """What is wrong with a record.

    UNLISTED: a tick should visit it, and the list of active rollouts lacks it.
    """

    UNREADABLE = "unreadable"
    POLICY_CHANGED = "policy_changed"
    STATE_CHANGED = "state_changed"
    NOT_OWNER = "not_owner"
    UNLISTED = "unlisted"
    IN_FUTURE = "in_future"


class RecordProblem(Immutable):
    """One problem of one record."""

    id: str
    """Id of the rollout."""
    kind: ProblemKind
    """What is wrong; unlisted: a tick should visit it, and the list of active rollouts lacks it."""
    text: str
    """What is wrong, and what to do about it."""


class CheckedStore(Immutable):
    """What is wrong with the records of a store."""

    store: str
    """URL of the store."""
    checked: Count
    """How many records were read."""
    problems: list[RecordProblem]
    """Each problem; empty: nothing is wrong."""


@click.command()
@options.call_options("store", "json")
def check(call: CommandContext) -> Result:
    """Read every record of the store, and name what is wrong with it.

    That includes records that have ended, and active ones that no tick visits. Nothing is written.
    It ends with 1 when something is wrong.
    """
    checked, problems = 0, list[RecordProblem]()
    with call.store_session() as opened:
        for found in StoreCheck(opened, real_account().clock).run():
            checked += 1
            problems += found
            if found and not call.as_json:
                streams.print_page(lines_page([f"{one.id}: {one.text}" for one in found]))
    result = count_text(len(problems), "problem") if problems else "nothing is wrong"
    url = call.read_settings().store.url
    return Result(
        "store-check",
        data=lambda: CheckedStore(url, checked, problems),
        page=lambda: lines_page([f"{count_text(checked, 'record')} checked: {result}"]),
        status=Exit.INTERNAL if problems else Exit.DONE,
    )


class StoreCheck(Immutable):
    """Checks the records of `store`."""

    store: Store
    clock: Clock

    def run(self) -> Iterator[Sequence[RecordProblem]]:
        """Yield the problems of each record, in any order; only one record is in memory.

        Raises StoreError when the store does not answer.
        """
        for rollout_id in self.store.scan():
            yield self._problems(rollout_id) and self._problems(rollout_id)

    def _problems(self, rollout_id: str) -> list[RecordProblem]:
        """Return the problems of one record; none for one that was removed since the scan."""
        problems = list[RecordProblem]()
        try:
            problems.extend(self._check(rollout_id))  # keeps those before an error
        except UnknownRolloutError:
            return []
        except Exception as error:  # noqa: BLE001 - a damaged record hides no other one
            problems.append(_unreadable(rollout_id, error))
        return problems

    def _check(self, rollout_id: str) -> Iterator[RecordProblem]:
        """Yield the problems of one record. Raises StoreError when it cannot be read."""
        try:
            rollout = self.store.load(rollout_id)
        except SnapshotChangedError as error:
            rollout = error.rollout
            yield RecordProblem(rollout_id, ProblemKind.POLICY_CHANGED, str(error))
        now = self.clock.now()
        try:
            check_state(rollout, recorded_state(rollout, self.store.newest_entry(rollout_id)))
        except StateChangedError as error:
            yield RecordProblem(rollout_id, ProblemKind.STATE_CHANGED, str(error))
        except Exception as error:  # noqa: BLE001 - as above
            yield _unreadable(rollout_id, error)
        deadline = visit_deadline(rollout)
        if not rollout.final or (deadline is not None and now < deadline):
            yield from self._check_visits(rollout, now)
        if text := future_save(rollout, now):
            yield RecordProblem(rollout.id, ProblemKind.IN_FUTURE, text)

    def _check_visits(self, rollout: Rollout, now: datetime) -> Iterator[RecordProblem]:
        """Yield why no tick moves or watches `rollout`, which is open, watched, or has messages.

        A final rollout whose target has another owner is visited for its messages only.
        """
        owners = self.store.owners(rollout.locks)
        lost = [lock for lock in rollout.locks if owners.get(lock) != rollout.id]
        if lost and not rollout.final:
            error = NotOwnerError.of(rollout.id, lost[0], owners.get(lost[0]))
            yield RecordProblem(rollout.id, ProblemKind.NOT_OWNER, str(error))
        if rollout.final and not rollout.outbox and (lost or not rollout.locks):
            return
        # By name: that index answers consistently, and has the same records as the other one.
        if rollout.id not in self.store.active(now, [rollout.name]):
            yield RecordProblem(rollout.id, ProblemKind.UNLISTED, _unlisted_text(rollout))


def _unreadable(rollout_id: str, error: Exception) -> RecordProblem:
    """Return `error` as the problem of a record. Raises it when it is about the whole store."""
    problem = problem_of(error, rollout_id, "checking")
    if isinstance(problem, StoreError) and not is_record_error(problem):
        raise problem
    return RecordProblem(rollout_id, ProblemKind.UNREADABLE, str(problem))


def _unlisted_text(rollout: Rollout) -> str:
    """Return that no tick visits `rollout`, and what does. A save puts an open one back."""
    text = f"the list of active rollouts lacks {rollout.id} ({rollout.phase}), so no tick visits it"
    cause, command = "find out who wrote to the store", f"rolloutctl tick {rollout.id}"
    deadline = visit_deadline(rollout)
    if not rollout.final or deadline is None:
        return f"{text}: {cause}, then put it back: {command}"
    return f"{text}: {cause}, and until {clock_text(deadline)} visit it by its id: {command}"
