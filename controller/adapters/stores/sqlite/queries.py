"""The SQL of a `SqliteStore`, and the values of its columns."""

from datetime import UTC, datetime

from controller.adapters.stores import codec
from controller.core.rollout import Rollout
from controller.ports.store import visit_deadline

INSERT = """
INSERT INTO rollouts (id, name, attempt, target, created, policy, fence, holder, lease_until,
                      version, closed, watch_until, exposed_from, exposed_to, state)
VALUES (:id, :name, :attempt, :target, :created, :policy, :fence, :holder, :lease_until,
        :version, :closed, :watch_until, :exposed_from, :exposed_to, :state)
"""

# A run without a fence never acquired the rollout: its save overrides the lease of another run,
# which the new fence then refuses. A released rollout keeps the fence of its last holder.
UPDATE = """
UPDATE rollouts
SET version = :version, closed = :closed, watch_until = :watch_until,
    exposed_from = :exposed_from, exposed_to = :exposed_to, state = :state,
    fence = coalesce(:fence, fence + 1), holder = :holder, lease_until = :lease_until
WHERE id = :id AND version = :read AND fence = coalesce(:fence, fence)
"""

# A lease without a valid end has expired.
ACQUIRE = """
UPDATE rollouts SET fence = fence + 1, holder = :holder, lease_until = :until
WHERE id = :id AND (holder IS NULL OR holder = :holder
                    OR lease_until <= :now OR lease_until > :doubtful
                    OR julianday(lease_until) IS NULL)
"""

RELEASE = """
UPDATE rollouts SET holder = NULL, lease_until = NULL WHERE id = :id AND holder = :holder
"""

# The JSON functions of SQLite fail on a damaged state that is no JSON.
_FROM_STATE = "CASE WHEN json_valid(state) THEN json_extract(state, '$.{}') END"

UNFINISHED = f"""
SELECT id, name, created, closed, watch_until, id IN (SELECT rollout FROM locks) AS owns,
       {_FROM_STATE.format("state.phase")} AS phase, {_FROM_STATE.format("updated")} AS updated
FROM rollouts
WHERE closed <> 1 OR id IN (SELECT rollout FROM locks)
      OR (watch_until > :roughly
          AND CASE WHEN json_valid(state) THEN json_array_length(state, '$.outbox') > 0 END)
"""  # noqa: S608 - it contains no input

# By the rowid, so that no transaction stays open between two pages.
PAGE = "SELECT rowid, id FROM rollouts WHERE rowid > ? ORDER BY rowid LIMIT 500"
FIRST_ROW = -(1 << 63)

# The columns of `Row`.
READ = """
SELECT state, policy, version, closed, created, watch_until, exposed_from, exposed_to
FROM rollouts WHERE id = ?
"""

OWNERS = """
SELECT lock, rollout, closed FROM locks JOIN rollouts ON rollouts.id = locks.rollout
WHERE lock IN (SELECT value FROM json_each(?))
ORDER BY lock
"""

OWNED = "SELECT lock, rollout FROM locks WHERE lock IN (SELECT value FROM json_each(?))"

HOLDER = """
SELECT lock, locks.rollout, closed FROM locks LEFT JOIN rollouts ON rollouts.id = locks.rollout
WHERE lock = ?
"""

EVICT = """
DELETE FROM locks WHERE rollout IN
    (SELECT rollout FROM locks WHERE lock IN (SELECT value FROM json_each(?)))
"""


def columns(rollout: Rollout) -> dict[str, object]:
    """Return the columns that every save writes."""
    return {
        "id": rollout.id,
        "version": rollout.version,
        "closed": rollout.final,
        "watch_until": _text(visit_deadline(rollout)),
        "exposed_from": _text(rollout.created),
        "exposed_to": _text(rollout.exposed_to),
        "state": codec.dump(rollout),
    }


def fixed_columns(rollout: Rollout) -> dict[str, object]:
    """Return the columns that are written once, for a new rollout."""
    return {
        "name": rollout.name,
        "attempt": rollout.attempt,
        "target": rollout.target,
        "created": _text(rollout.created),
        "policy": codec.dump_policy(rollout),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def sortable(moment: datetime) -> str:
    """Return `moment` as text of fixed length, which sorts chronologically."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
