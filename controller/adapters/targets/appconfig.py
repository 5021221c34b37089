"""A percentage in a hosted configuration of AWS AppConfig: the target, and what a start looks at.

How its weight is read and deployed is in appconfig_configuration.py.

IAM: appconfig:GetDeploymentStrategy, appconfig:GetEnvironment,
appconfig:GetConfigurationProfile, appconfig:ListConfigurationProfiles,
appconfig:ListDeploymentStrategies (on every resource: it supports no narrower one), and as in
appconfig_configuration.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text, pages
from controller.adapters.iam import METRIC_JOBS, Job, Permission
from controller.adapters.targets.appconfig_configuration import (
    PAGES,
    ConfigurationState,
    HostedConfiguration,
)
from controller.adapters.targets.appconfig_document import VARIANTS, settings_in
from controller.adapters.targets.resource_target import ResourceTarget
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.errors import TargetError, UsageError, WriteRefusedError
from controller.policy_file.named_target import named_target
from controller.ports.account import Account
from controller.ports.target import Chooser, FoundTarget, NameWarning, Obstacle, one_of

IAM: Final = (
    Permission("appconfig:GetDeploymentStrategy", "{appconfig_strategy}", METRIC_JOBS),
    Permission("appconfig:GetEnvironment", "{appconfig_environment}", METRIC_JOBS),
    Permission("appconfig:GetConfigurationProfile", "{appconfig_profile}", METRIC_JOBS),
    Permission("appconfig:ListConfigurationProfiles", "{appconfig_any}", {Job.INIT}),
    Permission("appconfig:ListDeploymentStrategies", "{appconfig_strategies}", {Job.INIT}),
)

FLAGS: Final = "AWS.AppConfig.FeatureFlags"
FREEFORM: Final = "AWS.Freeform"  # of a profile that was made without a type
HOSTED: Final = "hosted"


def open_target(target: AppConfigFlag, account: Account) -> "AppConfigTarget":
    """Return the adapter of `target` in `account`."""
    return AppConfigTarget(target, account)


class AppConfigTarget(ResourceTarget[ConfigurationState]):
    """`InspectableTarget` on a hosted configuration."""

    def __init__(self, target: AppConfigFlag, account: Account) -> None:
        self._target = target
        self._client = account.lowering_client("appconfig")
        self._configuration = HostedConfiguration(self._client, target)
        by_hand = target.by_hand(0, target.identity)
        super().__init__(self._configuration, by_hand, account.clock, account.jitter)

    def _check_raise(self, snapshot: ConfigurationState, weight: int) -> None:
        problems = [*self._document_problems(snapshot), *self._strategy_problems()]
        if problems:
            raise WriteRefusedError(f"{weight}% was not written: {'; '.join(problems)}")

    def _takes_writes(self, snapshot: ConfigurationState) -> bool:
        return snapshot.busy is None

    # --- checks before a start ------------------------------------------------------------------

    def obstacles(self) -> Sequence[Obstacle]:
        """Return what keeps a weight from the functions, and what may take it back."""
        profile = _obstacles(self._profile_problems, fatal=True)
        of_another_type = [one for one in profile if one.fatal]
        try:
            snapshot = self._configuration.read()
        except TargetError as error:
            return [*of_another_type, Obstacle(fatal=False, text=str(error), unread=True)]
        # The document of another type of profile has other parts.
        problems = list[str]() if of_another_type else list(self._document_problems(snapshot))
        found = [
            *profile,
            *(Obstacle(fatal=True, text=problem) for problem in problems),
            *_obstacles(self._strategy_problems, fatal=True),
            *_obstacles(lambda: self._doubts(snapshot), fatal=False),
        ]
        return sorted(found, key=lambda one: not one.fatal)

    def _profile_problems(self) -> Iterator[str]:
        """Yield why functions would not get the weight from such a profile. Raises TargetError.

        Of a feature flag profile they get the values alone, without the definitions of the flags.
        """
        answer = self._configuration.call(
            "GetConfigurationProfile",
            self._client.get_configuration_profile,
            **self._configuration.profile,
        )
        profile, location = f"profile {self._target.profile}", answer.get("LocationUri", HOSTED)
        kind = answer.get("Type", FREEFORM)
        if location != HOSTED:
            yield (
                f"{profile} keeps its content in {location}, and only hosted configurations are "
                "written: name a hosted profile"
            )
        elif self._target.flag is not None and kind != FLAGS:
            yield (
                f"{profile} is of type {kind}, so no function reads flag {self._target.flag} in "
                f"it: name a profile of type {FLAGS}, or leave `flag` out for an attribute of a "
                "JSON document"
            )
        elif self._target.flag is None and kind == FLAGS:
            yield (
                f"{profile} is of type {FLAGS}, and its document takes no attribute "
                f"{self._target.attribute} outside of a flag: name the flag with `flag`"
            )

    def _document_problems(self, snapshot: ConfigurationState) -> Iterator[str]:
        """Yield what keeps a weight in this document from being one."""
        document, target = snapshot.document, self._target
        settings = settings_in(document, target)
        if settings is not None and VARIANTS in settings:
            yield f"{target.flag} has variants, whose rules divide requests: use a flag without"
        if target.flag is None:
            return
        defined = _part(_part(document, "flags"), target.flag)
        attributes = _part(defined, "attributes")
        constraints = _part(_part(attributes, target.attribute), "constraints")
        if settings is None and not defined:
            yield f"profile {target.profile} has no flag {target.flag}: add it"
        elif target.attribute not in attributes:
            yield (
                f"flag {target.flag} has no attribute {target.attribute}: add it as a number from "
                "0 to 100"
            )
        elif not _takes_zero(constraints):
            yield (
                f"the constraints of {target.setting} refuse 0, so a rollback could not be saved: "
                "allow numbers from 0 to 100"
            )

    def _strategy_problems(self) -> Iterator[str]:
        """Yield what AppConfig would do beside the steps of the policy. Raises TargetError."""
        strategy = self._target.strategy
        answer = self._configuration.call(
            "GetDeploymentStrategy",
            self._client.get_deployment_strategy,
            DeploymentStrategyId=strategy,
        )
        grows = answer.get("DeploymentDurationInMinutes", 0)
        bakes = answer.get("FinalBakeTimeInMinutes", 0)
        if grows or bakes:
            yield (
                f"deployment strategy {strategy} grows for {grows} min and bakes for {bakes} min: "
                "until it ends no other deployment is taken, not even one to 0%, and an alarm of "
                "the environment takes it back; name one with 0 for both"
            )

    def _doubts(self, snapshot: ConfigurationState) -> Iterator[str]:
        """Yield what a rollout has to live with. Raises TargetError."""
        environment = self._configuration.call(
            "GetEnvironment", self._client.get_environment, **self._configuration.environment
        )
        if environment.get("Monitors"):
            yield (
                f"{self._target.environment} has alarms: one that fires while a version is being "
                "deployed takes it back, also one with 0%; remove them, the policy has its own"
            )
        if snapshot.others:
            yield (
                f"profile {' and '.join(snapshot.others)} is deployed to the same environment: "
                "while one of its deployments is in progress, no weight can be changed, not even "
                "to 0%; a separate environment has no such wait"
            )
        if newer := self._configuration.newer_version(snapshot):
            yield (
                f"version {newer} of profile {self._target.profile} is newer than version "
                f"{snapshot.number}, which is deployed: a rollout goes on from what is deployed, "
                "without the changes of the other"
            )
        if key := snapshot.version.key:
            yield (
                f"profile {self._target.profile} is encrypted with {key}: this role and "
                "that of the ticks need kms:Decrypt and kms:GenerateDataKey on it, which `iam` "
                "does not print"
            )

    def foreign_values(self) -> Sequence[str]:
        """Return the attribute when it holds no percentage. Raises TargetError."""
        unclear = self._configuration.read().reading.weight is None
        return [self._target.setting] if unclear else []

    def name_warnings(self) -> Sequence[NameWarning]:
        """Return a warning when there is no such flag or attribute. Raises TargetError."""
        snapshot = self._configuration.read()
        settings = settings_in(snapshot.document, self._target)
        if settings is not None and self._target.attribute in settings:
            return []
        text = f"{self._target.setting} is not set in version {snapshot.number} of {self.name}"
        return [NameWarning(text, mistaken=True)]

    @property
    def name(self) -> str:
        """The configuration."""
        return self._target.name

    def log_group(self) -> str:
        """Return the log group of the function that reads the flag. Raises UsageError."""
        if self._target.log_group:
            return self._target.log_group
        raise UsageError(
            "target.function is not named, so its log group is not known: name the function, or a "
            "group in `verify_rollback.log_group`"
        )


def _obstacles(texts: Callable[[], Iterable[str]], *, fatal: bool) -> list[Obstacle]:
    """Return an obstacle for each of `texts`, or the one that they could not be looked for."""
    try:
        return [Obstacle(fatal=fatal, text=text) for text in texts()]
    except TargetError as error:
        return [Obstacle(fatal=False, text=str(error), unread=True)]


def _part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the mapping at `key`; an empty one where there is none."""
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _takes_zero(constraints: Mapping[str, Any]) -> bool:
    least: float = constraints.get("minimum", 0)
    return constraints.get("type", "number") == "number" and least <= 0


# --- For `init`: which profile, flag and deployment strategy hold the weight ----------------------

_NO_STRATEGY: Final = (
    "the account has no deployment strategy with 0 minutes of growth and of bake: make one with "
    "`aws appconfig create-deployment-strategy --name at-once --deployment-duration-in-minutes 0 "
    "--final-bake-time-in-minutes 0 --growth-factor 100 --replicate-to NONE`"
)


def find_target(account: Account, names: Mapping[str, str], chooser: Chooser) -> FoundTarget:
    """Find the profile, the flag and the strategy, as a `Finder` does."""
    for needed, what in (("environment", "its ARN"), ("function", "the one that reads the flag")):
        if needed not in names:
            raise UsageError(f"name the {needed} with --{needed}: {what}")
    # Complete names first: what is wrong in one of them is said before anything is read.
    unfound = {"profile": "0000", "strategy": "0000"}
    environment = named_target(AppConfigFlag, {**unfound, **names})
    client = account.client("appconfig")
    found = dict(names)
    profiles = _profiles(client, environment.application)
    if "profile" not in names:
        found["profile"] = _chosen(chooser, profiles, "configuration profile", "--profile ID")
    if "strategy" not in names:
        found["strategy"] = _strategy(client, chooser)
    has_flags = profiles.get(found["profile"], {}).get("Type") == FLAGS
    if "flag" not in names and has_flags:
        found["flag"] = _flag(client, named_target(AppConfigFlag, found), chooser)
    target = named_target(AppConfigFlag, found)
    opened = open_target(target, account)
    notes = [obstacle.text for obstacle in opened.obstacles()]
    return FoundTarget(target, opened.read().weight, notes=notes)


def _profiles(client: Any, application: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the hosted profiles of an application by ID. Raises TargetError."""
    request = {"ApplicationId": application}
    listed = _items("ListConfigurationProfiles", client.list_configuration_profiles, request)
    return {one["Id"]: one for one in listed if one.get("LocationUri") == HOSTED}


def _strategy(client: Any, chooser: Chooser) -> str:
    """Return a strategy that deploys at once. Raises TargetError and UsageError."""
    listed = _items("ListDeploymentStrategies", client.list_deployment_strategies, {})
    fitting = {
        one["Id"]: one
        for one in listed
        if not (one.get("DeploymentDurationInMinutes") or one.get("FinalBakeTimeInMinutes"))
    }
    if not fitting:
        raise UsageError(_NO_STRATEGY)
    return _chosen(chooser, fitting, "deployment strategy", "--strategy ID")


def _chosen(
    chooser: Chooser, found: Mapping[str, Mapping[str, Any]], what: str, option: str
) -> str:
    """Return the ID of one of these. Raises UsageError."""
    if not found:
        raise UsageError(f"the application has no hosted {what}; name one with {option}")
    titles = {f"{one} ({item.get('Name', '')})": one for one, item in found.items()}
    return titles[one_of(chooser, what, option, sorted(titles))]


def _flag(client: Any, target: AppConfigFlag, chooser: Chooser) -> str:
    """Return a flag of the profile. Raises TargetError and UsageError."""
    document = HostedConfiguration(client, target).read().document
    flags = sorted(document.get("flags", {}))
    if not flags:
        raise UsageError(f"profile {target.profile} has no flag: add one")
    return one_of(chooser, "feature flag", "--flag KEY", flags)


def _items(
    operation: str, method: Callable[..., Mapping[str, Any]], request: Mapping[str, str]
) -> Iterator[Mapping[str, Any]]:
    """Yield what a call lists, page by page. Raises TargetError."""
    try:
        for page in pages(method, PAGES, **request):
            yield from page.get("Items", ())
    except AWS_ERRORS as error:
        text = error_text(f"nothing was listed (appconfig:{operation})", error)
        raise TargetError(text, code=code_of(error)) from error
