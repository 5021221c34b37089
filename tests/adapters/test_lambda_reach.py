import pytest

from controller.simulation.world import World
from tests.adapters.odd_lambda import (
    READ,
    a_world,
    answered,
    fails,
    meets,
    opened,
)


@pytest.fixture
def world() -> World:
    """A world whose handler is at 10 % and has a secret."""
    return a_world()


def test_managed_instances_are_fatal(world: World) -> None:
    world.function("handler").capacity_provider = "arn:aws:lambda:us-east-1:1:capacity-provider:x"
    worst = opened(world).obstacles()[0]
    assert "managed instances" in worst.text
    assert worst.fatal


def test_the_certain_obstacles_come_first(world: World) -> None:
    function = world.function("handler")
    function.aliases.append({"Name": "live"})
    function.snap_start = "PublishedVersions"
    function.provisioned.append({})
    assert [one.fatal for one in opened(world).obstacles()] == [True, True, False]


@pytest.mark.parametrize("operation", [READ, "ListAliases", "ListProvisionedConcurrencyConfigs"])
def test_what_may_not_be_checked_is_a_warning_with_the_missing_action(
    world: World, operation: str
) -> None:
    meets(world, operation, fails(answered("AccessDeniedException", operation)))
    (warning,) = opened(world).obstacles()
    assert not warning.fatal
    assert f"could not be checked (lambda:{operation})" in warning.text
    assert warning.text.endswith("grant the action to this role")


def test_a_long_list_of_aliases_is_cut(world: World) -> None:
    world.function("handler").aliases.extend({"Name": f"v{number}"} for number in range(50))
    (warning,) = opened(world).obstacles()
    assert "(v0, v1, v2, v3, v4, ...)" in warning.text
