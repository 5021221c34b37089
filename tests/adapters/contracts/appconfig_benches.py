"""Configurations of AppConfig for its contract: in the simulation, and in ministack.

Each has a deployed version with a flag (or a document) at 0%, and something beside it. moto knows
no environments and no deployments.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from controller.adapters.clock import SystemClock
from controller.adapters.targets.appconfig import AppConfigTarget
from controller.core.policy import TargetSpec
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.immutable import Immutable, field, replace
from controller.ports.clock import Clock
from controller.tools.simulation.appconfig import ANOTHER_STRATEGY, OTHER_PROFILE
from controller.tools.simulation.world import World
from tests.support.accounts import OneClientAccount
from tests.support.emulator import Emulator
from tests.tools.simulation.service_model import hold_to_model

FLAG, DOCUMENT = "a flag", "a document"
FORMS: Final = (FLAG, DOCUMENT)

_ENVIRONMENT: Final = "arn:aws:appconfig:{}:application/{}/environment/{}"
_NUMBER: Final = {"constraints": {"type": "number", "minimum": 0, "maximum": 100}}
_FLAGS: Final[Mapping[str, Any]] = {
    "version": "1",
    "flags": {"checkout": {"name": "checkout", "attributes": {"percentage": _NUMBER}}},
    "values": {"checkout": {"enabled": True, "percentage": 0}},
}


class AppConfigBench(Immutable):
    """A configuration in an account. slow: a strategy that grows and bakes for minutes.

    other: another profile of the application, with a version 1.
    """

    client: Any
    target: AppConfigFlag
    slow: str
    other: str
    clock: Clock = field(default_factory=SystemClock)

    @property
    def missing(self) -> AppConfigFlag:
        """A configuration that is not there."""
        environment = f"{self.target.environment.rpartition('/')[0]}/none"
        return self.target.model_copy(update={"environment": environment})

    def open(self, target: TargetSpec) -> AppConfigTarget:
        """Return the adapter of `target`."""
        assert isinstance(target, AppConfigFlag)
        return AppConfigTarget(target, OneClientAccount(lambda: self.client, clock=self.clock))

    def of_profile(self, profile: str) -> "AppConfigBench":
        """Return another profile of the application."""
        return replace(self, target=self.target.model_copy(update={"profile": profile}))

    # --- what the service has -------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Return what is deployed."""
        newest = next(one for one in self.deployments() if one["State"] == "COMPLETE")
        answer = self.client.get_hosted_configuration_version(
            ApplicationId=self.target.application,
            ConfigurationProfileId=self.target.profile,
            VersionNumber=int(newest["ConfigurationVersion"]),
        )
        return dict(json.loads(answer["Content"].read()))

    def deployments(self) -> list[Mapping[str, Any]]:
        """Return the deployments of the profile, newest first."""
        where = self._where
        listed = self.client.list_deployments(**where)["Items"]
        whole = [
            self.client.get_deployment(**where, DeploymentNumber=one["DeploymentNumber"])
            for one in listed
        ]
        own = [one for one in whole if one["ConfigurationProfileId"] == self.target.profile]
        return sorted(own, key=lambda one: int(one["DeploymentNumber"]), reverse=True)

    def weight(self) -> float:
        """Return the percent that is deployed."""
        settings = self._settings(self.document())
        return float(settings["percentage"]) if settings.get("enabled", True) else 0.0

    def beside(self) -> Mapping[str, Any]:
        """Return the deployed document without the percentage."""
        document = self.document()
        del self._settings(document)["percentage"]
        return document

    # --- what others do -------------------------------------------------------------------------

    def set(self, weight: int) -> None:
        """Deploy a weight."""
        self.change(percentage=weight)

    def change(self, *, strategy: str = "", **settings: Any) -> int:
        """Deploy the document with these settings of the flag; return the deployment's number."""
        document = self.document()
        self._settings(document).update(settings)
        return self.deploy(self.save(document), strategy=strategy)

    def save(self, document: Any) -> int:
        """Save a version."""
        answer = self.client.create_hosted_configuration_version(
            ApplicationId=self.target.application,
            ConfigurationProfileId=self.target.profile,
            Content=json.dumps(document).encode(),
            ContentType="application/json",
        )
        return int(answer["VersionNumber"])

    def deploy(self, version: int, *, strategy: str = "", profile: str = "") -> int:
        """Deploy a version, and return the number of the deployment."""
        answer = self.client.start_deployment(
            **self._where,
            ConfigurationProfileId=profile or self.target.profile,
            ConfigurationVersion=str(version),
            DeploymentStrategyId=strategy or self.target.strategy,
        )
        return int(answer["DeploymentNumber"])

    def stop(self, number: int, *, revert: bool = False) -> None:
        """Stop a deployment, or take it back."""
        more = {"AllowRevert": True} if revert else {}
        self.client.stop_deployment(**self._where, DeploymentNumber=number, **more)

    @property
    def _where(self) -> dict[str, str]:
        return {
            "ApplicationId": self.target.application,
            "EnvironmentId": self.target.environment_id,
        }

    def _settings(self, document: Mapping[str, Any]) -> Any:
        return document["values"][self.target.flag] if self.target.flag else document


def a_target(form: str = FLAG, **more: Any) -> AppConfigFlag:
    """Return a target in the simulation."""
    environment = _ENVIRONMENT.format("us-east-1:123456789012", "abc1234", "def5678")
    named: dict[str, Any] = {
        "kind": "appconfig",
        "environment": environment,
        "profile": "ghi9012",
        "flag": "checkout" if form == FLAG else None,
        "strategy": "jkl3456",
        **more,
    }
    return AppConfigFlag.model_validate(named)


def simulated(form: str = FLAG) -> AppConfigBench:
    """Return a configuration of a simulated account; every call fits botocore's model."""
    target = a_target(form)
    world = World(target=target)
    world.interceptors.append(hold_to_model)
    return AppConfigBench(
        world.client("appconfig"), target, ANOTHER_STRATEGY, OTHER_PROFILE, world.clock
    )


def in_ministack(emulator: Emulator, account: str, form: str = FLAG) -> AppConfigBench:
    """Return a configuration of ministack."""
    client = emulator.client("appconfig", account)
    application = client.create_application(Name="shop")["Id"]
    environment = client.create_environment(ApplicationId=application, Name="production")["Id"]
    kind = "AWS.AppConfig.FeatureFlags" if form == FLAG else "AWS.Freeform"
    profile, other = (
        client.create_configuration_profile(
            ApplicationId=application, Name=name, LocationUri="hosted", Type=kind
        )["Id"]
        for name in ("flags", "others")
    )
    at_once, slow = (
        client.create_deployment_strategy(
            Name=f"{minutes} min",
            DeploymentDurationInMinutes=minutes,
            FinalBakeTimeInMinutes=minutes,
            GrowthFactor=50.0,
            ReplicateTo="NONE",
        )["Id"]
        for minutes in (0, 30)
    )
    target = AppConfigFlag(
        kind="appconfig",
        environment=_ENVIRONMENT.format(f"us-east-1:{account}", application, environment),
        profile=profile,
        flag="checkout" if form == FLAG else None,
        strategy=at_once,
    )
    bench = AppConfigBench(client, target, slow, other)
    first = _FLAGS if form == FLAG else {"percentage": 0, "banner": {"text": "hello"}}
    client.create_hosted_configuration_version(
        ApplicationId=application,
        ConfigurationProfileId=other,
        Content=b"{}",
        ContentType="application/json",
    )
    bench.deploy(bench.save(first))
    return bench
