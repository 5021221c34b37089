"""The account that `init` reads."""

from controller.adapters.metrics.metric_list import MetricList
from controller.adapters.targets.function_inventory import FunctionInventory
from controller.bootstrap.account import real_account
from controller.bootstrap.rollback import bare_target
from controller.core.observation import TargetReading
from controller.operations.init.drafting import AccountView

__all__ = ["bare_target", "live_account"]


def live_account() -> AccountView:
    """Return the view of the account of the AWS variables and the profile.

    Raises UsageError when there is no region, or no credentials.
    """
    account = real_account()

    def read_weight(function: str, percentage: str, boolean: str | None) -> TargetReading:
        names = {"function": function, "percentage": percentage, "boolean": boolean}
        return account.open(bare_target({k: v for k, v in names.items() if v is not None})).read()

    return AccountView(
        FunctionInventory(account.client("lambda")),
        MetricList(account.client("cloudwatch")),
        account.metrics(),
        read_weight,
        account.clock.now(),
    )
