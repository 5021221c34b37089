"""The history that `backtest` reads from the account."""

import os

from controller.bootstrap.account import real_account
from controller.core.policy import Policy
from controller.operations.backtest.history import History
from controller.operations.backtest.metric_history import (
    Announce,
    HistoryRequest,
    account_key,
    default_folder,
    read_history,
)


def account_history(policy: Policy, days: int, period_s: int, announce: Announce) -> History:
    """Return the last `days` of the metrics of `policy`, of which kept days are not asked again.

    Raises UsageError without a region or credentials, MetricsError when they cannot be read.
    """
    account = real_account()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")
    request = HistoryRequest(
        days,
        period_s,
        account.clock.now(),
        account_key(os.environ, region),
        default_folder(os.environ),
    )
    return read_history(account.metrics(), policy, request, announce)
