"""The ground truth of a `lambda-alias` target: the routing of an alias in the fake Lambda."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final

from controller.core.policy import TargetSpec
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.tools.simulation.lambda_alias import SimulatedLambdaAlias
from controller.tools.simulation.world import World
from tests.chaos.ground_truth.truth import GroundTruth, TargetState

STABLE: Final = "1"
CANARY: Final = "2"

_OF_ALIAS: Final = {"FunctionName": "handler", "Resource": "handler:live"}
_CANARY: Final = {
    "namespace": "AWS/Lambda",
    "dimensions": {**_OF_ALIAS, "ExecutedVersion": CANARY},
}
_STABLE: Final = {
    "namespace": "AWS/Lambda",
    "dimensions": {**_OF_ALIAS, "ExecutedVersion": STABLE},
}


class LambdaAliasTruth(GroundTruth):
    """`GroundTruth` of the share of version 2 in an alias; version 1 is stable."""

    service: ClassVar[str] = "lambda"
    optional: ClassVar[frozenset[str]] = frozenset(
        {"GetProvisionedConcurrencyConfig", "GetFunctionConfiguration"}
    )
    at_once: ClassVar[bool] = True
    metrics: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "requests": {**_CANARY, "name": "Invocations", "statistic": "Sum"},
        "server_errors": {**_CANARY, "name": "Errors", "statistic": "Sum"},
        "latency": {**_CANARY, "name": "Duration", "statistic": "p95"},
        "direct_requests": {**_STABLE, "name": "Invocations", "statistic": "Sum"},
    }

    def __init__(self, target: LambdaAlias, world: World) -> None:
        simulated = world.simulated_target
        assert isinstance(simulated, SimulatedLambdaAlias)
        self._target, self._alias = target, simulated

    @staticmethod
    def draw(chance: Random) -> dict[str, Any]:
        """Return the target of a policy with both versions."""
        versions = {"canary": CANARY, "stable": STABLE}
        return {"kind": "lambda-alias", "function": "handler", "alias": "live", **versions}

    @staticmethod
    def calls(target: TargetSpec) -> Sequence[str]:
        """Return the operations of the alias, and that of a version, which a start reads."""
        names = ("UpdateAlias", "GetAlias", "GetProvisionedConcurrencyConfig")
        return [f"lambda:{one}" for one in (*names, "GetFunctionConfiguration")]

    @property
    def changes(self) -> object:
        """The RevisionId."""
        return self._alias.revision

    def state(self) -> TargetState:
        """Return the alias as it is now; beside the weight are the shares of other versions."""
        shares = self._shares()
        weight = parse_weight(shares)
        return TargetState(
            version=self._alias.revision,
            weight=weight,
            served_weight=weight,
            own=shares,
            beside={f"version {share}": True for share in shares if share not in (CANARY, STABLE)},
            may_be_full=weight is None and self._alias.version == CANARY,
        )

    def share(self) -> int:
        """Return the share of the canary, in whole percent."""
        return round(self._shares().get(CANARY, 0) * 100)

    def is_sound(self, answer: Mapping[str, Any]) -> bool:
        """Return true: an alias is updated at once, and its answer is complete."""
        return True

    @property
    def revision(self) -> str | None:
        """None: the version of the canary is the revision."""
        return None

    def _shares(self) -> dict[str, float]:
        """Return the share of each version that gets requests."""
        others = self._alias.weights
        shares = {self._alias.version: 1 - sum(others.values()), **others}
        return {version: share for version, share in shares.items() if share > 0}

    # --- external actors --------------------------------------------------------------------------

    def set_weight(self, weight: int) -> None:
        """Route a weight between the two versions."""
        if weight == 100:
            self._route(CANARY)
        else:
            self._route(STABLE, {CANARY: weight / 100} if weight else {})

    def contradict(self) -> None:
        """Give a third version requests beside the canary."""
        third = self._newer_version()
        if self._alias.version == CANARY:
            self._route(CANARY, {third: 0.2})
        else:
            self._route(third, {CANARY: 0.1})

    def deploy(self, code: str = "") -> None:
        """Route the version of the template; new code is a new version, which takes the alias."""
        self._route(self._publish() if code else STABLE)

    def _route(self, version: str, weights: Mapping[str, float] | None = None) -> None:
        update = self._alias.operations["lambda", "UpdateAlias"]
        update(
            {
                "FunctionName": self._target.function,
                "Name": self._target.alias,
                "FunctionVersion": version,
                "RoutingConfig": {"AdditionalVersionWeights": dict(weights or {})},
            }
        )

    def _newer_version(self) -> str:
        """Return a published version that is newer than the canary."""
        newest = max(self._alias.versions, key=int)
        return newest if newest != CANARY else self._publish()

    def _publish(self) -> str:
        version = str(max(map(int, self._alias.versions)) + 1)
        self._alias.publish(version)
        return version


def parse_weight(shares: Mapping[str, float]) -> int | None:
    """Return the weight in the shares of all versions; None: a contradiction.

    A weight is a whole percent, with the other requests on the stable version. Without a request on
    the canary it is 0, whatever other versions get. This is a second implementation, as that of
    `lambda_env` is.
    """
    if CANARY not in shares:
        return 0
    percent = round(shares[CANARY] * 100, 6)
    if shares.keys() - {CANARY, STABLE} or percent != int(percent):
        return None
    return int(percent)
