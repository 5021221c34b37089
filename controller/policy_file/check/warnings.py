"""Warnings: what a valid policy says and probably does not mean, each at its place."""

from collections.abc import Iterator

from controller.core.policy import Policy, aws_metrics
from controller.policy_file.check.problem import Problem


def warnings(policy: Policy) -> Iterator[Problem]:
    """Yield each warning about `policy`, as far as it shows without reading anything."""
    for name, metric in policy.metrics.items():
        for field, message in aws_metrics.warnings(metric):
            yield Problem(("metrics", name, field), message)
