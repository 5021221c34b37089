"""What watches a policy: a CloudFormation template, and the stack that is made from it."""

from controller.adapters.monitoring.stack import Stack
from controller.adapters.monitoring.template import as_yaml, differing, document

__all__ = ["Stack", "as_yaml", "differing", "document"]
