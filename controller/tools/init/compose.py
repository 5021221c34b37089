"""The account that `init` reads."""

from collections.abc import Mapping

from controller.bootstrap.account import real_account
from controller.core.policy import TargetSpec
from controller.core.policy.kind_registry import load
from controller.ports.drafting import Chooser, Finder, FoundTarget
from controller.tools.init.drafting import AccountView


def live_account() -> AccountView:
    """Return the view of the account of the AWS variables and the profile.

    Raises UsageError when there is no region, or no credentials.
    """
    account = real_account()

    def find(model: type[TargetSpec], names: Mapping[str, str], chooser: Chooser) -> FoundTarget:
        finder: Finder = load(model.drafted_by)
        return finder(account, names, chooser)

    return AccountView(
        find,
        account.metric_list(),
        account.metrics(),
        account.clock.now(),
    )
