"""Each home of ticks, from the template, with a rollout of each kind of target.

The emulator runs no containers: a process runs the command of a task definition. Load balancers are
moto's.
"""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.policy import TargetSpec
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.ports.target import InspectableTarget
from tests.adapters.contracts import benches
from tests.adapters.contracts.benches import LambdaBench
from tests.adapters.contracts.routing import RoutingBench
from tests.deploy.stack import Stack
from tests.e2e import role as roles
from tests.e2e import routed, stored_items
from tests.e2e.homes import HOMES, Home, Place
from tests.e2e.routed import MINUTE, ROLLOUT, ROUNDS, Kind, Routed
from tests.support import emulator
from tests.support.deep_rows import pairs
from tests.support.emulator import Emulator

pytestmark = [pytest.mark.ministack, pytest.mark.slow]


class VariableBench:
    """The function `handler`, whose variable PERCENT is its weight, at 0%."""

    target: TargetSpec = LambdaEnv(kind="lambda-env", function="handler", percentage="PERCENT")
    missing: TargetSpec = LambdaEnv(kind="lambda-env", function="absent", percentage="PERCENT")

    def __init__(self, lambda_: LambdaBench) -> None:
        self._client, self.clock = lambda_.client, lambda_.clock
        lambda_.add_function("handler", {"PERCENT": "0", "RELEASE": "one"})

    def open(self, target: TargetSpec) -> InspectableTarget:
        assert isinstance(target, LambdaEnv)
        return LambdaEnvTarget(self._client, target, self.clock)

    def set(self, weight: int) -> None:
        variables = {**self._configuration()["Environment"]["Variables"], "PERCENT": str(weight)}
        self._client.update_function_configuration(
            FunctionName="handler", Environment={"Variables": variables}
        )

    def weight(self) -> float:
        return float(self._configuration()["Environment"]["Variables"]["PERCENT"])

    def beside(self) -> Mapping[str, Any]:
        found = self._configuration()
        variables = {**found["Environment"]["Variables"], "PERCENT": "0"}
        return {"variables": variables, "CodeSha256": found["CodeSha256"], "Role": found["Role"]}

    def _configuration(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get_function_configuration(FunctionName="handler")
        return found


def _variable(emulator: Emulator, account: str) -> RoutingBench:
    return VariableBench(benches.ministack_lambda(emulator, account))


VARIABLE: Final = Kind(
    make=_variable,
    target="{kind: lambda-env, function: handler, percentage: PERCENT}",
    namespace="AWS/ApiGateway",
    requests="Count",
    errors="5XXError",
    dimensions="{ApiName: shop}",
    measured={"ApiName": "shop"},
    bare=(),
    drafted=(),
    revision=("--revision", "green-1"),
)
KINDS: Final = {"lambda-env": VARIABLE, **routed.KINDS}


@pytest.fixture
def ministack(enforcing_ministack: Emulator) -> Emulator:
    return enforcing_ministack


def made(rollout: Routed, home: Home, version: int) -> dict[str, str]:
    """Return the parameters of a stack for the policy of `rollout` in `home`."""
    where = ("--account", rollout.number, "--region", emulator.REGION)
    printed = rollout.run("iam", rollout.policy, "--parameters", "--unbound", *where).out
    by_name = dict(line.split("=", 1) for line in printed.splitlines())
    apart = rollout.run("iam", rollout.policy, "--packages", "--for", "tick", *where)
    if apart.status == 0:  # what the template has no parameters for
        made = rollout.emulator.client("iam", rollout.number).create_policy(
            PolicyName=f"packages-{version}", PolicyDocument=apart.out
        )
        by_name["ManagedPolicies"] = made["Policy"]["Arn"]
    return {**by_name, **home.parameters(version)}


def tick(rollout: Routed, home: Home, *, failing: int = 0) -> int:
    """Let the canary serve, and let `home` tick; return the weight after it."""
    rollout.serve(6, failing=failing)
    home.tick(rollout.now)
    return round(rollout.bench.weight())


@pytest.mark.parametrize(("home_type", "kind"), pairs(HOMES, KINDS))
def test_a_rollout_of_each_kind_goes_its_way_in_each_home(
    ministack: Emulator, account: str, tmp_path: Path, package: bytes,
    home_type: type[Any], kind: Kind,
) -> None:  # fmt: skip
    """One is rolled back; tried again it succeeds, and the home is updated meanwhile."""
    roles.make_role(ministack.client("iam", account), "any", {"Service": "lambda.amazonaws.com"})
    store = {"ROLLOUTCTL_STORE": stored_items.URL}
    rollout = Routed(kind, ministack, account, tmp_path, keys=store)
    place = Place(ministack, account, tmp_path, rollout.kind.environment(), package)
    with closing(home_type(place)) as home:
        _walk(rollout, home, place)


def _walk(rollout: Routed, home: Home, place: Place) -> None:
    stack = Stack.create(place.account, **made(rollout, home, version=1))
    stack.grant_as_emulator("TickRole")
    place.move_clock(rollout.now)
    rollout.start()
    rollout.now += MINUTE
    place.move_clock(rollout.now)
    home.begin(stack)

    assert tick(rollout, home, failing=100) == 0
    assert rollout.status()["phase"] == "rolled_back"
    rollout.now += MINUTE
    assert rollout.run("retry", ROLLOUT, "--reason", "fixed").status == 0
    weights = [10]
    for _ in range(ROUNDS):
        if rollout.status()["phase"] != "progressing":
            break
        if weights[-1] == 50:
            stack = stack.update(**made(rollout, home, version=2))
            stack.grant_as_emulator("TickRole")
            home.replace()
        weights.append(tick(rollout, home))
    assert (rollout.status()["phase"], [*dict.fromkeys(weights)]) == ("succeeded", [10, 50, 100])
    assert rollout.bench.beside() == rollout.beside

    stack.delete()
    assert home.left() == []
    assert rollout.status()["phase"] == "succeeded"  # the table stays
