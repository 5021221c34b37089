"""How long a call to AWS may last, and how often it is tried; by service where it differs.

How long a tick waits for what it asked side by side is in `engine/time_limits.py`.
"""

from collections.abc import Mapping
from typing import Final

from controller.immutable import Immutable


class CallLimits(Immutable):
    """The limits of a call, in seconds but for `attempts`.

    connect_s, read_s: of one attempt, and of one wait for a byte; total_s: of everything together.
    """

    attempts: int
    connect_s: float
    read_s: float
    total_s: float


CONNECT_S: Final = 3
READ_S: Final = 10
ATTEMPTS: Final = 4  # in total; botocore retries after throttling, 5xx and broken connections
TOTAL_S: Final = 20  # of a call with all its attempts, pauses and the answer
# Calls that no decision waits for: short limits.
SHORT_LIMITS: Final[Mapping[str, CallLimits]] = {
    "sts": CallLimits(1, 1, 2, 3),  # the caller's ARN; the record of a rollback waits for it
    "logs": CallLimits(2, 3, 5, 10),  # counts of log events; the next tick asks again
    "sns": CallLimits(2, 2, 3, 6),  # a message; the next tick retries, also the three below
    "events": CallLimits(2, 2, 3, 6),
    "secretsmanager": CallLimits(2, 2, 3, 6),
    "ssm": CallLimits(2, 2, 3, 6),
    "s3": CallLimits(2, 2, 3, 6),  # a page; the next tick writes it again
}
FLOOR_S: Final = 3.0  # every call may take so long, whatever `Clients.limit_calls` left
