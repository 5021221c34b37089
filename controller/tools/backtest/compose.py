"""The history that `backtest` reads from the account."""

import os

from controller.adapters.iam.caller import caller_identity
from controller.bootstrap.account import AwsAccount, real_account
from controller.core.policy import Policy
from controller.errors import UsageError
from controller.operations.checks import CheckLevel
from controller.operations.live_checks.live_checks import LiveChecks
from controller.tools.backtest.cloudwatch_history import (
    Announce,
    HistoryRequest,
    default_folder,
    read_history,
)
from controller.tools.backtest.past_metrics import PastMetrics


def account_history(policy: Policy, days: int, period_s: int, announce: Announce) -> PastMetrics:
    """Return the last `days` of the metrics of `policy`, of which kept days are not asked again.

    Raises UsageError without a region or credentials, when STS does not name the caller, or with
    each check of a metric that would refuse a start; MetricsError when the metrics cannot be read.
    """
    account = real_account()
    _check_metrics(policy, account, announce)
    request = HistoryRequest(
        days,
        period_s,
        account.clock.now(),
        _account_key(account),
        default_folder(os.environ),
    )
    return read_history(account.metrics(), policy, request, announce)


def _account_key(account: AwsAccount) -> str:
    """Return the account id and the region. No profile or variable tells accounts apart for sure.

    Raises UsageError when STS does not name the caller.
    """
    caller = caller_identity(account.clients)
    number = "".join(caller.arn.split(":")[4:5])
    if not number:
        raise UsageError(
            f"AWS does not say whose metrics these are ({caller.problem or 'no account'}), so they "
            "cannot be kept apart from those of another account; run again, or give --csv"
        )
    return f"{number} {account.client('cloudwatch').meta.region_name}"


def _check_metrics(policy: Policy, account: AwsAccount, announce: Announce) -> None:
    """Announce each warning about metrics. Raises UsageError where one fails a check."""
    live = LiveChecks(
        policy=policy,
        target=account.open(policy.target),
        metrics=account.metrics(),
        exposures=None,
        catalogue=account.metric_list(),
        alarms=None,
        logs=None,
    )
    checks = list(live.metric_checks(None, account.clock.now()))
    for check in checks:
        if check.level is CheckLevel.WARN:
            announce(f"warning: {check.text}")
    failed = [f"  {check.text}" for check in checks if check.level is CheckLevel.FAIL]
    if failed:
        raise UsageError(
            f"{policy.name} was not backtested: a start would be refused, too:", *failed
        )
