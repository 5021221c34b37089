"""The ground truth of an `appconfig` target: the deployed document in a fake AppConfig.

Some of a person's deployments bake for minutes. While one does, the environment takes no other one,
and a process can only lower by stopping it.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from random import Random
from typing import Any, ClassVar, Final

from controller.core.policy import TargetSpec
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.tools.simulation.appconfig import Deployment, SimulatedAppConfig
from controller.tools.simulation.world import World
from tests.chaos.ground_truth.truth import GroundTruth, TargetState

ENVIRONMENT: Final = (
    "arn:aws:appconfig:us-east-1:123456789012:application/abc1234/environment/def5678"
)
TARGET: Final = {
    "kind": "appconfig",
    "environment": ENVIRONMENT,
    "profile": "ghi9012",
    "flag": "checkout",
    "strategy": "jkl3456",
}
_BAKE: Final = timedelta(minutes=3)
_EVERY: Final = 3  # of the deployments of people, one bakes
_IN_PROGRESS: Final = ("DEPLOYING", "BAKING")


def _metric(name: str, path: str, statistic: str = "Sum") -> dict[str, Any]:
    dimensions = {"Flag": "checkout", "Path": path}
    return {
        "namespace": "rolloutctl",
        "dimensions": dimensions,
        "name": name,
        "statistic": statistic,
    }


class AppConfigTruth(GroundTruth):
    """`GroundTruth` of a percentage in a feature flag, or in a JSON document."""

    service: ClassVar[str] = "appconfig"
    optional: ClassVar[frozenset[str]] = frozenset(
        {
            "GetDeploymentStrategy",
            "GetEnvironment",
            "ListHostedConfigurationVersions",
            "StopDeployment",
        }
    )
    metrics: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "requests": _metric("Requests", "canary"),
        "server_errors": _metric("Failures", "canary"),
        "latency": {**_metric("Duration", "canary", "p95"), "unit": "ms"},
        "direct_requests": _metric("Requests", "stable"),
    }

    def __init__(self, target: AppConfigFlag, world: World) -> None:
        simulated = world.simulated_target
        assert isinstance(simulated, SimulatedAppConfig)
        self._target, self._twin = target, simulated
        self._template = deepcopy(simulated.document)
        self._releases, self._changed = 1, 0

    @staticmethod
    def draw(chance: Random) -> dict[str, Any]:
        """Return the target of a policy: a feature flag, or a document."""
        flag = {} if chance.random() < 0.7 else {"flag": None}
        return {name: one for name, one in {**TARGET, **flag}.items() if one is not None}

    @staticmethod
    def calls(target: TargetSpec) -> Sequence[str]:
        """Return the operations that deploy, save and read a version, and that of a raise."""
        names = (
            "StartDeployment",
            "CreateHostedConfigurationVersion",
            "ListDeployments",
            "GetHostedConfigurationVersion",
            "GetDeploymentStrategy",
        )
        return [f"appconfig:{one}" for one in names]

    @property
    def changes(self) -> object:
        """The deployments and their states."""
        return tuple(one.state for one in self._deployments())

    def state(self) -> TargetState:
        """Return what is deployed; beside the weight are other flags and settings."""
        live, document = self._live(), self._twin.document
        newest = self._deployments()[-1]
        settings = self._settings(document)
        own = {name: settings.get(name) for name in (self._target.attribute, "enabled")}
        weight = parse_weight(settings, self._target)
        return TargetState(
            version=f"{newest.number}" if newest is live else f"{newest.number}:{live.number}",
            weight=weight,
            served_weight=weight,
            own=own,
            beside=self._beside(document),
            updating=newest.state in _IN_PROGRESS,
        )

    def share(self) -> int:
        """Return the percent that the flag of the application reads."""
        return self._twin.weight

    def is_sound(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether a process can deploy now, or may stop what is in progress."""
        newest = self._deployments()[-1]
        if newest.state not in _IN_PROGRESS:
            return True
        complete = [one for one in self._deployments() if one.state == "COMPLETE"]
        earlier, weight = (
            parse_weight(self._settings(self._twin.versions[one.version]), self._target)
            for one in (complete[-1], newest)
        )
        return weight is None or (earlier is not None and earlier <= weight)

    @property
    def revision(self) -> str | None:
        """The number of the release: a configuration names none."""
        return f"release {self._releases}"

    def _deployments(self) -> Sequence[Deployment]:
        assert self._twin.document is not None  # brings their states up to now
        return self._twin.deployments

    def _live(self) -> Deployment:
        states = ("COMPLETE", "BAKING")
        return next(one for one in reversed(self._deployments()) if one.state in states)

    def _settings(self, document: Any) -> Any:
        return document["values"][self._target.flag] if self._target.flag else document

    def _beside(self, document: Any) -> dict[str, object]:
        """Return all of the document but the weight, by names for people."""
        rest = deepcopy(document)
        settings = self._settings(rest)
        for name in (self._target.attribute, "enabled"):
            settings.pop(name, None)
        if self._target.flag is None:
            return {f"setting {name}": json.dumps(value) for name, value in rest.items()}
        values = {f"flag {name}": json.dumps(value) for name, value in rest["values"].items()}
        return {**values, "definitions": json.dumps(rest["flags"]), "version": rest["version"]}

    # --- external actors --------------------------------------------------------------------------

    def set_weight(self, weight: int) -> None:
        """Deploy a weight, at times with a bake."""
        self._deploy(self._twin.with_weight(weight))

    def contradict(self) -> None:
        """Deploy a percentage that is no number."""
        document = deepcopy(self._twin.document)
        self._settings(document)[self._target.attribute] = "half"
        self._deploy(document)

    def deploy(self, code: str = "") -> None:
        """Deploy the document of the template; new code is a new release."""
        self._deploy(self._template)
        self._releases += bool(code)

    def _deploy(self, document: Any) -> None:
        self._changed += 1
        bakes = timedelta() if self._changed % _EVERY else _BAKE
        self._twin.deploy(self._twin.save(document), bakes=bakes)


def parse_weight(settings: Mapping[str, Any], target: AppConfigFlag) -> int | None:
    """Return the weight in the settings of a flag, or in a document; None: it is no percentage.

    This is a second implementation, as that of `lambda_env` is.
    """
    value = settings[target.attribute]
    if isinstance(value, bool) or not isinstance(value, int) or value not in range(101):
        return None
    return value if target.flag is None or settings["enabled"] else 0
