"""The time limits of a run, in one place.

A tick visits SLICE rollouts after another SLICE. Each stage may begin until its moment:

    at once               it takes the leases of a slice, each for LEASE_DURATION
    TARGET_READ_LIMIT     counted from when those are taken: no further target of it is read
    TICK_LIMIT            no further lease, target or hook; calls of metrics, logs and stores end
    EXECUTE_LIMIT         no decision is executed any more, unless it lowers the weight

TICK_LIMIT is shorter than a lease, so no other run decides about the same rollouts meanwhile. A
decision that is executed later than RENEW_AFTER renews its lease first; with that, EXECUTE_LIMIT is
longer than one lease. A rollout that is not reached is the first one of the next tick. Lowering the
weight is limited by its own move alone, which is at most a minute in one tick.

Within these limits: no slice waits longer than PATIENCE for one call, to the store or to AWS, which
then goes on beside the next slices; each write of 0% is first tried for FIRST_ATTEMPT_LIMIT, so
that no rollout waits for long for the function of another one; a written weight is awaited for
APPLY_WAIT; all hooks share CONSENT_LIMIT; all messages share DELIVERY_LIMIT. What is left over is
done by the next tick. A run that was killed blocks its rollouts for a whole lease, so that is no
longer than needed.
"""

from datetime import timedelta
from typing import Final

# --- Ticks ----------------------------------------------------------------------------------------

LEASE_DURATION: Final = timedelta(minutes=2)
TICK_LIMIT: Final = timedelta(seconds=75)
TARGET_READ_LIMIT: Final = TICK_LIMIT / 2
RENEW_AFTER: Final = timedelta(seconds=30)
EXECUTE_LIMIT: Final = 2 * LEASE_DURATION
SLICE: Final = 64  # rollouts
PATIENCE: Final = timedelta(seconds=2)
SHARED_WITHIN: Final = timedelta(seconds=30)  # since another tick saved it; half of an interval
FIRST_ATTEMPT_LIMIT: Final = timedelta(seconds=3)
APPLY_WAIT: Final = timedelta(seconds=30)
CONSENT_LIMIT: Final = timedelta(seconds=60)
DELIVERY_LIMIT: Final = timedelta(seconds=20)

# A rollback by hand writes 0% before it opens the store. A tick that finds 0% after a success
# gives it this long to record why, once.
BY_HAND_LIMIT: Final = timedelta(seconds=5)

# --- Operators ------------------------------------------------------------------------------------

# How often a command tries to get the lease of a tick; it gives up after LEASE_DURATION.
LEASE_RETRY_INTERVAL = timedelta(seconds=1)
# A rollback waits for no lease. The store has this long to name the target of the rollout ...
LOAD_LIMIT: Final = timedelta(seconds=6)
# ... and this long to record the rollback, in addition to writing 0% and reading it back.
RECORD_LIMIT: Final = timedelta(seconds=30)
# How often the record of a rollback is tried when other runs save first.
ROLLBACK_SAVE_ATTEMPTS: Final = 5

# --- Read-back ------------------------------------------------------------------------------------

# The interval between two reads of a target whose update is in progress.
POLL_INTERVAL = timedelta(seconds=1)
