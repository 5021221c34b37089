"""The log events of a simulated function: those a policy searches for, and those of a scenario."""

from collections.abc import Iterator

from controller.core.policy import LogEvents, Policy
from controller.core.units import MINUTE_S
from controller.errors import PolicyError
from controller.simulation.fakes.log_pattern import LogPattern
from controller.simulation.fakes.logs import FakeLogs
from controller.simulation.scenario.metric_roles import Path
from controller.simulation.scenario.script import Script
from controller.simulation.traffic.traffic import RequestLogFeed, TrafficModel


def publish_events(policy: Policy, logs: FakeLogs, traffic: TrafficModel, script: Script) -> None:
    """Let each request log the events that `policy` searches for: on its path, controls on both.

    An event that must be absent is logged only where the scenario says so.
    Raises PolicyError for a pattern that the fake does not support.
    """
    groups = set[str]()
    for group, paths, place, pattern in _events(policy):
        try:
            message = LogPattern(pattern).example()
        except ValueError as error:
            raise PolicyError(f"{place}: {error}") from error
        groups.add(group)
        for path in paths:
            logs.publish(group, RequestLogFeed(traffic, path, message))
    for group in groups:
        for message in script.log_messages():
            logs.publish(group, _MessageFeed(script, message))


def _events(policy: Policy) -> Iterator[tuple[str, tuple[Path, ...], str, str]]:
    """Yield log group, paths that log it, place in the policy, and pattern of each event."""
    verify = policy.verify_rollback
    if verify is not None:
        group = policy.log_group_of(verify)
        yield group, (Path.STABLE,), "verify_rollback.present", verify.present
        yield group, (Path.CANARY,), "verify_rollback.absent", verify.absent
    yielded_controls = set[tuple[str, str]]()
    for name, criterion in policy.criteria.items():
        if isinstance(criterion, LogEvents):
            group = policy.log_group_of(criterion)
            paths = () if criterion.present is None else (Path.CANARY,)
            field = "absent" if criterion.present is None else "present"
            yield group, paths, f"criteria.{name}.{field}", criterion.event
            if (
                group,
                criterion.control,
            ) not in yielded_controls:  # once a request, however many criteria share it
                yielded_controls.add((group, criterion.control))
                yield (
                    group,
                    (Path.STABLE, Path.CANARY),
                    f"criteria.{name}.control",
                    criterion.control,
                )


class _MessageFeed:
    """The log events of one message that a scenario adds."""

    def __init__(self, script: Script, message: str) -> None:
        self.message = message
        self._script = script

    def count(self, second: int) -> int:
        """Return how many are logged in the minute that begins at `second`."""
        return sum(
            event.times
            for moment, event in self._script.log_lines()
            if event.message == self.message and second <= moment < second + MINUTE_S
        )
