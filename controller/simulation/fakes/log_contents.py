"""What a simulated function logs: the events that a policy looks for, and what a scenario adds."""

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
    """Let each request log what `policy` looks for: on its path, or as a control on both.

    What has to be absent is logged by nobody, but where the scenario says so.
    Raises PolicyError for a pattern that a simulated log does not read.
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
    """Yield group, the paths that log it, place in the policy and pattern of each event."""
    function, verify = policy.target.function, policy.verify_rollback
    if verify is not None:
        group = verify.log_group_of(function)
        yield group, (Path.STABLE,), "verify_rollback.present", verify.present
        yield group, (Path.CANARY,), "verify_rollback.absent", verify.absent
    told = set[tuple[str, str]]()
    for name, one in policy.criteria.items():
        if isinstance(one, LogEvents):
            group = one.log_group_of(function)
            paths = () if one.present is None else (Path.CANARY,)
            field = "absent" if one.present is None else "present"
            yield group, paths, f"criteria.{name}.{field}", one.event
            if (group, one.control) not in told:  # a request logs it once, whoever looks for it
                told.add((group, one.control))
                yield group, (Path.STABLE, Path.CANARY), f"criteria.{name}.control", one.control


class _MessageFeed:
    """The lines of one text that a scenario adds to the log."""

    def __init__(self, script: Script, message: str) -> None:
        self.message = message
        self._script = script

    def count(self, second: int) -> int:
        """Return how many come in the minute that begins at `second`."""
        return sum(
            event.times
            for moment, event in self._script.log_lines()
            if event.message == self.message and second <= moment < second + MINUTE_S
        )
