"""The stack that watches a policy, on the real account."""

from botocore.handlers import json_decode_template_body

from controller.adapters.aws.clients import Clients
from controller.adapters.clock import SystemClock
from controller.adapters.cloudformation.stack import Stack
from controller.adapters.cloudformation.template_yaml import as_yaml
from controller.operations.monitoring.resources import Monitoring
from controller.operations.monitoring.template import differing, document
from controller.ports.monitoring import Deployed

__all__ = ["as_yaml", "deployed", "document", "open_stack"]


def open_stack(policy: str, clients: Clients | None = None) -> Stack:
    """Return the stack of the policy of this name, on the account that AWS variables name.

    Raises UsageError when there is no region, or no credentials.
    """
    client = (clients or Clients()).get("cloudformation")
    # botocore would parse a template that an operator wrote as JSON, against its own model.
    decoding = "after-call.cloudformation.GetTemplate"
    client.meta.events.unregister(decoding, json_decode_template_body)
    return Stack(client, SystemClock(), policy)


def deployed(stack: Stack, monitoring: Monitoring) -> Deployed | None:
    """Return the stack beside what a deployment would make now; None when there is none.

    Raises MonitoringError and UsageError.
    """
    found = stack.find()
    if found is None or found.empty:
        return None
    template = document(monitoring, found.template)
    place = found.id.partition(":stack/")[0].replace(":cloudformation:", ":sns:")
    topic = f"{place}:{stack.name}" if "Topic" in template["Resources"] else ""
    return Deployed(found.status, differing(template, found.template), topic)
