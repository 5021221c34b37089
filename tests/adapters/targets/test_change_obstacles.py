from collections.abc import Mapping
from typing import Any

import pytest

from controller.tools.simulation.fakes.errors import Proceed
from controller.tools.simulation.world import World
from tests.adapters.targets.odd_lambda import (
    READ,
    a_world,
    answered,
    fails,
    meets,
    open_handler,
)


@pytest.fixture
def world() -> World:
    """A world whose handler is at 10% and has a secret."""
    return a_world()


def test_managed_instances_are_fatal(world: World) -> None:
    world.function("handler").capacity_provider = "arn:aws:lambda:us-east-1:1:capacity-provider:x"
    worst = open_handler(world).obstacles()[0]
    assert "managed instances" in worst.text
    assert worst.fatal


@pytest.mark.parametrize("operation", [READ, "ListAliases", "ListProvisionedConcurrencyConfigs"])
def test_what_may_not_be_checked_is_a_warning_with_the_missing_action(
    world: World, operation: str
) -> None:
    meets(world, operation, fails(answered("AccessDeniedException", operation)))
    (warning,) = open_handler(world).obstacles()
    assert not warning.fatal
    assert f"could not be checked (lambda:{operation})" in warning.text
    assert warning.text.endswith("grant the action to this role")


@pytest.mark.parametrize(
    ("room", "fatal"), [(0, []), (-1, [True])], ids=["fits", "a byte too many"]
)
def test_an_environment_without_room_for_the_weight_is_fatal(
    world: World, room: int, fatal: list[bool]
) -> None:
    variables = world.function("handler").variables
    variables.clear()
    largest = len('{"X":"","PERCENTAGE":"99","ENABLED":"false"}')
    variables["X"] = "x" * (4_096 - largest - room)
    obstacles = open_handler(world).obstacles()
    assert [obstacle.fatal for obstacle in obstacles] == fatal
    assert all(
        "4097 bytes" in obstacle.text and "xxx" not in obstacle.text for obstacle in obstacles
    )


@pytest.mark.parametrize(
    ("operation", "key", "expected"),
    [
        ("ListAliases", "Aliases", "aliases (live)"),
        ("ListProvisionedConcurrencyConfigs", "ProvisionedConcurrencyConfigs", "provisioned"),
    ],
)
def test_an_obstacle_on_a_later_page_is_reported(
    world: World, operation: str, key: str, expected: str
) -> None:
    def paged(
        service: str, called: str, request: Mapping[str, Any], proceed: Proceed
    ) -> dict[str, Any]:
        if called != operation:
            return proceed()
        return {key: [{"Name": "live"}]} if request.get("Marker") else {key: [], "NextMarker": "2"}

    world.interceptors.append(paged)
    assert any(expected in obstacle.text for obstacle in open_handler(world).obstacles())
