"""Which profile, flag and deployment strategy of AWS AppConfig hold the weight of a rollout.

IAM: appconfig:ListConfigurationProfiles, appconfig:ListDeploymentStrategies (on every resource: it
supports no narrower one), and as in appconfig.py.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text
from controller.adapters.iam import Job, Permission
from controller.adapters.targets.appconfig import FLAGS, HOSTED, open_target
from controller.adapters.targets.appconfig_configuration import PAGES, HostedConfiguration
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.errors import TargetError, UsageError
from controller.policy_file.named_target import named_target
from controller.ports.account import Account
from controller.ports.target import Chooser, FoundTarget, one_of

IAM: Final = (
    Permission("appconfig:ListConfigurationProfiles", "{appconfig_any}", {Job.INIT}),
    Permission("appconfig:ListDeploymentStrategies", "{appconfig_strategies}", {Job.INIT}),
)

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
    request = dict(request)
    for _ in range(PAGES):
        try:
            page = method(**request)
        except AWS_ERRORS as error:
            text = error_text(f"nothing was listed (appconfig:{operation})", error)
            raise TargetError(text, code=code_of(error)) from error
        yield from page.get("Items", ())
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]
