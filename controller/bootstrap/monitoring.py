"""What monitoring of a policy acts on: the account, or a template that says the same."""

from controller.adapters.aws import Clients
from controller.adapters.monitoring import MonitoringAccount, template
from controller.bootstrap.iam import here
from controller.core.monitoring import name_of

__all__ = ["account", "template"]


def account(policy: str) -> MonitoringAccount:
    """Return the monitoring of the policy of this name, on the account that AWS variables name.

    Raises UsageError when there is no region, or when AWS does not say which account it is.
    """
    clients, where = Clients(), here("run again (sts:GetCallerIdentity)")
    topic = where.arn("sns", name_of(policy))
    return MonitoringAccount(clients.get("cloudwatch"), clients.get("sns"), where.region, topic)
