"""The fake of CloudWatch Logs: the events of requests, and the patterns that match them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.errors import PolicyError
from controller.tools.simulation.fakes.logs import LogPattern
from controller.tools.simulation.world import World
from tests.support.core import Policy
from tests.tools.simulation.service_model import hold_to_model
from tests.tools.simulation.worlds import (
    MINUTE,
    POLICY,
    START,
    empty_world,
    read,
    scenario,
    set_weight,
)

GATEWAY, DIRECT = '{ $.event = "gateway" && $.via.api IS TRUE }', '"took the direct way"'
VERIFY = {"absent": GATEWAY, "present": DIRECT}
GROUP = "/aws/lambda/handler"


def logging(**verify: str) -> World:
    """Return a world whose requests log events."""
    policy = Policy.model_validate({**POLICY, "verify_rollback": {**VERIFY, **verify}})
    account = World.for_policy(policy, scenario(), seed=1, start=START)
    account.interceptors.append(hold_to_model)
    return account


def find_events(in_world: World, pattern: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the events of all pages, of the last ten minutes."""
    now = in_world.clock.now()
    parameters = {
        "logGroupName": GROUP,
        "startTime": int((now - 10 * MINUTE).timestamp() * 1_000),
        "endTime": int(now.timestamp() * 1_000),
        **({"filterPattern": pattern} if pattern else {}),
        **parameters,
    }
    events, client = [], in_world.client("logs")
    while True:
        page = client.filter_log_events(**parameters)
        events += page["events"]
        if "nextToken" not in page:
            return events
        parameters["nextToken"] = page["nextToken"]


def test_each_request_logs_the_event_of_its_path() -> None:
    world = logging()
    set_weight(world, 10)
    world.clock.advance(10 * MINUTE)
    begin = START + MINUTE
    canary = sum(read(world, "Count", start=begin).values())
    since = {"startTime": int(begin.timestamp() * 1_000)}
    world.clock.advance(5 * MINUTE)  # metrics come late, and events do not
    canary = sum(read(world, "Count", start=begin, end=begin + 10 * MINUTE).values())
    until = {"endTime": int((begin + 10 * MINUTE).timestamp() * 1_000) - 1}
    assert len(find_events(world, GATEWAY, **since, **until)) == canary > 100
    assert len(find_events(world, DIRECT, **since, **until)) > 9 / 2 * canary


def test_pages_have_no_more_than_was_asked_for_and_nothing_is_lost() -> None:
    world = logging()
    world.clock.advance(3 * MINUTE)
    all_events = find_events(world, DIRECT)
    assert find_events(world, DIRECT, limit=500) == all_events
    assert [event["timestamp"] for event in all_events] == sorted(
        event["timestamp"] for event in all_events
    )


def test_a_group_that_is_not_there_is_refused_and_so_is_an_unknown_token() -> None:
    world = empty_world()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        find_events(world, "gateway")
    world.add_log_event(GROUP, START, "gateway")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        find_events(world, "gateway", nextToken="page-2")


@pytest.mark.parametrize("pattern", [GATEWAY, DIRECT, "direct", '{ $.a.b = 5 && $.c = "x" }', ""])
def test_an_example_of_a_pattern_is_found_by_it(pattern: str) -> None:
    assert LogPattern(pattern).matches(LogPattern(pattern).example())


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("gateway", "the gateway answered", True),
        ("gateway", "the Gateway answered", False),
        ('{ $.event = "gateway" }', '{"event": "direct"}', False),
        ('{ $.event = "gateway" }', '{"event": {"event": "gateway"}}', False),
        ('{ $.event = "gateway" }', "no JSON", False),
        ('{ $.event = "gateway" }', '"gateway"', False),
        ("{ $.status = 200 }", '{"status": 200}', True),
        ("{ $.flag IS FALSE }", '{"flag": false}', True),
        ("{ $.flag IS FALSE }", "{}", False),
        ("{ $.event = gateway }", '{"event": "gateway"}', True),
    ],
)
def test_a_pattern_finds(pattern: str, message: str, matches: bool) -> None:
    assert LogPattern(pattern).matches(message) is matches


@pytest.mark.parametrize("field", ["absent", "present"])
@pytest.mark.parametrize("pattern", ["{ $.status > 200 }", '{ $.a = "x" || $.b = "y" }'])
def test_a_policy_with_a_pattern_that_is_not_simulated_is_refused_in_words(
    field: str, pattern: str
) -> None:
    with pytest.raises(PolicyError, match=rf"^verify_rollback\.{field}: a simulated log reads "):
        logging(**{field: pattern})
