"""The monitoring stack of a policy, on the real account."""

from botocore.handlers import json_decode_template_body

from controller.adapters.cloudformation import Stack, as_yaml
from controller.bootstrap.account import AwsAccount, real_account
from controller.ports.monitoring import Deployed
from controller.tools.monitoring.resources import Monitoring
from controller.tools.monitoring.template import differing_resources, template_of

__all__ = ["as_yaml", "deployed", "open_stack"]


def open_stack(policy: str, account: AwsAccount | None = None) -> Stack:
    """Return the monitoring stack of a policy, by name, on the account of the AWS variables.

    Raises UsageError when there is no region, or no credentials.
    """
    account = account or real_account()
    client = account.client("cloudformation")
    # Without this, botocore parses a template that an operator wrote as JSON, which its own
    # model declares as text.
    decoding = "after-call.cloudformation.GetTemplate"
    client.meta.events.unregister(decoding, json_decode_template_body)
    return Stack(client, account.clock, policy)


def deployed(stack: Stack, monitoring: Monitoring) -> Deployed | None:
    """Return the deployed stack, compared with `monitoring`; None when there is none.

    Raises MonitoringError and UsageError.
    """
    existing = stack.find()
    if existing is None or existing.empty:
        return None
    template = template_of(monitoring, existing.template)
    arn_prefix = existing.id.partition(":stack/")[0].replace(":cloudformation:", ":sns:")
    topic = f"{arn_prefix}:{stack.name}" if "Topic" in template["Resources"] else ""
    return Deployed(existing.status, differing_resources(template, existing.template), topic)
