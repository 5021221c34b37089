"""Targets of the routing contract, in the simulation, in moto and in ministack."""

from collections.abc import Mapping
from typing import Any

from controller.adapters.targets.lambda_alias import LambdaAliasTarget
from controller.core.policy import TargetSpec
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.ports.clock import Clock
from controller.ports.target import InspectableTarget
from controller.tools.simulation.world import World
from tests.adapters.contracts.benches import LambdaBench
from tests.adapters.contracts.routing import RoutingBench
from tests.support.emulator import WAITER_CONFIG
from tests.tools.simulation.service_model import hold_to_model

ALIAS = LambdaAlias(kind="lambda-alias", function="handler", alias="live")


class AliasBench:
    """The alias `live` of the function `handler`: version 1 has it, and 2 is the newest one."""

    target: TargetSpec = ALIAS
    missing: TargetSpec = LambdaAlias(kind="lambda-alias", function="handler", alias="absent")

    def __init__(self, client: Any, clock: Clock) -> None:
        self.client, self.clock = client, clock

    def open(self, target: TargetSpec) -> InspectableTarget:
        assert isinstance(target, LambdaAlias)
        return LambdaAliasTarget(self.client, target, self.clock)

    def route(self, version: str, weights: Mapping[str, float]) -> None:
        """Set the routing of the alias."""
        self.client.update_alias(
            FunctionName="handler",
            Name="live",
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": dict(weights)},
        )

    def set(self, weight: int) -> None:
        if weight == 100:
            self.route("2", {})
        else:
            self.route("1", {"2": weight / 100} if weight else {})

    def weight(self) -> float:
        alias = self._alias()
        weights: dict[str, float] = (alias.get("RoutingConfig") or {}).get(
            "AdditionalVersionWeights"
        ) or {}
        share = (
            1 - sum(weights.values()) if alias["FunctionVersion"] == "2" else weights.get("2", 0)
        )
        return 100 * share

    def beside(self) -> Mapping[str, Any]:
        moving = {"FunctionVersion", "RoutingConfig", "RevisionId", "ResponseMetadata"}
        return {name: value for name, value in self._alias().items() if name not in moving}

    def _alias(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get_alias(FunctionName="handler", Name="live")
        return answer


def simulated_alias() -> RoutingBench:
    """Return the alias in a simulated account; every call fits botocore's model."""
    world = World(target=ALIAS)
    world.interceptors.append(hold_to_model)
    return AliasBench(world.client("lambda"), world.clock)


def alias_in(lambda_: LambdaBench) -> RoutingBench:
    """Return the alias in an emulator."""
    client = lambda_.client
    lambda_.add_function("handler", {"RELEASE": "one"})
    client.publish_version(FunctionName="handler")
    client.update_function_configuration(
        FunctionName="handler", Environment={"Variables": {"RELEASE": "two"}}
    )
    client.get_waiter("function_updated").wait(FunctionName="handler", WaiterConfig=WAITER_CONFIG)
    client.publish_version(FunctionName="handler")
    client.create_alias(
        FunctionName="handler", Name="live", FunctionVersion="1", Description="what callers use"
    )
    return AliasBench(client, lambda_.clock)
