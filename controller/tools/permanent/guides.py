"""How 100% of each kind of target becomes permanent in its template: a `Guide` each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Protocol

from controller.core.policy import Policy, TargetSpec
from controller.core.policy.targets.alb_weights import AlbWeights, group_name
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.render.text_templates import text_of

_TEMPLATES: Final = Path(__file__).parent / "templates"

# STACK-LOGICALID-RANDOM: the name that CloudFormation generates for an unnamed resource.
_GENERATED_NAME: Final = re.compile(
    r"(?P<stack>[A-Za-z0-9-]+)-(?P<id>[A-Za-z0-9]+)-[A-Za-z0-9]{12,13}"
)

# What resets most targets, and what most checklists say.
_REVERTED_DRIFT: Final = (
    "cdk deploy --revert-drift, and a change set with DeploymentMode REVERT_DRIFT"
)
_FAILED_STACK: Final = "a stack that fails and rolls back to its last template"
_DEPLOY: Final = "deploy the change; `rolloutctl doctor POLICY` then shows 100% applied"
_REVERT_TOO: Final = (
    "After a rollback revert the change too, or the next deployment undoes the rollback"
)
_REMOVE_ALL: Final = (
    "run rolloutctl monitoring remove POLICY; then remove the policy from the repository, and the "
    "schedule and its role where no other rollout needs them"
)


class Guide(Protocol):
    """How 100% of one target becomes permanent. It is made of the policy and its target."""

    @property
    def resource(self) -> str:
        """The AWS resource, as its template names it."""

    @property
    def values(self) -> Mapping[str, str]:
        """What the template has to say at 100%, by name."""

    @property
    def resets(self) -> Sequence[str]:
        """What restores the old values until the template has these."""

    def change(self, form: str) -> str:
        """Return the change of the template in one form: cdk, cloudformation or terraform."""

    def checklist(self, until: str) -> Iterator[str]:
        """Yield what is left to do, in order; until: how long the old path is needed."""


class _TemplateGuide:
    """What the guides of our kinds share: a text template for each form, named after the kind.

    facts: the values of these templates.
    """

    resets: ClassVar[Sequence[str]]

    def __init__(
        self,
        policy: Policy,
        target: TargetSpec,
        *,
        resource: str,
        values: Mapping[str, str],
        facts: Mapping[str, object],
    ) -> None:
        self._policy, self._kind, self._facts = policy, target.kind, facts
        self.resource, self.values = resource, values

    def change(self, form: str) -> str:
        return text_of(_TEMPLATES / f"{self._kind}.{form}.txt", **self._facts)

    def _old_path_is_unused(self) -> Iterator[str]:
        """Yield the check that no request takes the old path, where a metric counts it alone."""
        counting = []
        for name in self._policy.stable_requests:
            metric = self._policy.metrics[name]
            dimensions = ", ".join(f"{key}: {value}" for key, value in metric.dimensions.items())
            counting.append(f"{name} ({metric.place} {metric.name} {{{dimensions}}})")
        if counting:
            yield (
                f"check that the old path has no requests: {' and '.join(counting)} counted no "
                f"request for a day; `rolloutctl status {self._policy.name}` shows since when"
            )

    def _keep_the_record(self) -> str:
        """Return how the record of the rollout outlives the store."""
        name = self._policy.name
        kept = f"rolloutctl history {name} --json > {name}.json"
        return f"keep the record: {kept}, and rolloutctl replay"


class LambdaEnvGuide(_TemplateGuide):
    """The variables of a function."""

    resets = (
        "a change of any other variable of the function in its template: CloudFormation and CDK "
        "send the whole environment, with the old values or without these",
        _REVERTED_DRIFT,
        "terraform apply, unless lifecycle.ignore_changes names both variables",
        _FAILED_STACK,
    )

    def __init__(self, policy: Policy, target: LambdaEnv) -> None:
        function, values = target.name.rpartition(":")[2], target.settings(100)
        generated = _GENERATED_NAME.fullmatch(function)
        facts = {
            "function": function,
            "id": generated["id"] if generated else "Function",
            "stack": generated["stack"] if generated else "",
            "values": values,
            "width": max(map(len, values)),
        }
        super().__init__(policy, target, resource=function, values=values, facts=facts)

    def checklist(self, until: str) -> Iterator[str]:
        yield (
            "see that the template has every other variable of the function: a deployment replaces "
            "its environment as a whole"
        )
        yield _DEPLOY
        yield (
            f"keep the old path{until}: `rolloutctl rollback {self._policy.name}` needs it. "
            f"{_REVERT_TOO}"
        )
        yield from self._old_path_is_unused()
        yield f"remove the flag and the old path from the code of {self.resource}, and deploy it"
        yield f"remove {' and '.join(self.values)} from the template, and deploy that"
        yield (
            "remove from the function's role what only the old path needed (lambda:InvokeFunction "
            "on what was called directly), and the alarms, dashboards and filters of that path"
        )
        yield self._keep_the_record()
        yield _REMOVE_ALL


class LambdaAliasGuide(_TemplateGuide):
    """The version of an alias."""

    resets = (
        "AutoPublishAlias of SAM, and currentVersion of CDK: a deployment of other code gives the "
        "alias the new version at once, with all requests",
        "a CodeDeploy deployment of the alias, as DeploymentPreference of SAM makes it",
        "a change of the alias in its template: CloudFormation and CDK send its version, and its "
        "weights or none",
        _REVERTED_DRIFT,
        "terraform apply, unless lifecycle.ignore_changes names function_version and "
        "routing_config",
        _FAILED_STACK,
    )

    def __init__(self, policy: Policy, target: LambdaAlias) -> None:
        function, canary = target.function.rpartition(":")[2], target.canary or "VERSION"
        self._read = f"aws lambda get-alias --function-name {function} --name {target.alias}"
        self._canary, self._stable = canary, target.stable or "the old version"
        super().__init__(
            policy,
            target,
            resource=f"{function}:{target.alias}",
            values={"FunctionVersion": canary},
            facts={"function": function, "alias": target.alias, "version": canary},
        )

    def checklist(self, until: str) -> Iterator[str]:
        yield (
            "remove AutoPublishAlias and DeploymentPreference from the template where it has them: "
            "publish versions by AWS::Lambda::Version, and let rolloutctl move the alias"
        )
        yield (
            f"deploy the change; the alias has version {self._canary} before and after: "
            f"{self._read}"
        )
        yield (
            f"keep version {self._stable}{until}: `rolloutctl rollback {self._policy.name}` needs "
            f"it. {_REVERT_TOO}"
        )
        yield from self._old_path_is_unused()
        yield (
            f"take provisioned concurrency from version {self._stable}, and delete it where "
            "nothing else names it"
        )
        yield self._keep_the_record()
        yield (
            "keep the policy: the next published version is its next rollout (rolloutctl start "
            "POLICY)"
        )


class AlbWeightsGuide(_TemplateGuide):
    """The weights of a listener rule, or of a default action."""

    resets = (
        "a change of the actions of the rule in its template: CloudFormation and CDK send all of "
        "them, with the old weights",
        _REVERTED_DRIFT,
        "terraform apply, unless lifecycle.ignore_changes names the action",
        "a blue/green, linear or canary deployment of ECS, and one of CodeDeploy, on this rule: "
        "they move its weights themselves",
        "the AWS Load Balancer Controller of Kubernetes, for a rule of one of its Ingresses: each "
        "reconciliation writes the weights of the annotation",
        _FAILED_STACK,
    )

    def __init__(self, policy: Policy, target: AlbWeights) -> None:
        canary, stable = group_name(target.canary), group_name(target.stable)
        default, self._stable = target.is_default_action, stable
        facts = {
            "canary": {"arn": target.canary, "name": canary},
            "stable": {"arn": target.stable, "name": stable},
            "default": default,
            "block": "default_action" if default else "action",
        }
        values = {canary: "100", stable: "0"}
        super().__init__(policy, target, resource=target.name, values=values, facts=facts)

    def checklist(self, until: str) -> Iterator[str]:
        stable = self._stable
        yield (
            "see that the template has every other action of the rule: a deployment replaces all "
            "of them"
        )
        yield _DEPLOY
        yield (
            f"keep {stable} and its targets{until}: `rolloutctl rollback {self._policy.name}` "
            f"needs them. {_REVERT_TOO}"
        )
        yield from self._old_path_is_unused()
        yield (
            f"for the next release: deploy it to {stable}, and swap `stable` and `canary` in the "
            f"policy; for none, remove {stable} from the rule, and delete it"
        )
        yield self._keep_the_record()


class AppConfigGuide(_TemplateGuide):
    """A percentage in AWS AppConfig, in a hosted configuration."""

    resets = (
        "a template or pipeline that saves and deploys a version of the profile: it sends the "
        "whole document, with the old weight (CloudFormation, CDK, Terraform, CodePipeline)",
        "a person who deploys an earlier version, or one that was saved from it",
        "StopDeployment with AllowRevert on the last deployment, for 72 hours",
    )

    def __init__(self, policy: Policy, target: AppConfigFlag) -> None:
        facts = {"profile": target.profile, "flag": target.flag, "attribute": target.attribute}
        values, self._setting = target.settings(100), target.setting
        super().__init__(policy, target, resource=target.name, values=values, facts=facts)

    def checklist(self, until: str) -> Iterator[str]:
        yield (
            "see that the template has every other flag and setting of the profile: a deployment "
            "replaces all of it; without a template there is nothing to change, the account has it"
        )
        yield _DEPLOY
        yield (
            f"keep the old path{until}: `rolloutctl rollback {self._policy.name}` needs it. "
            f"{_REVERT_TOO}"
        )
        yield from self._old_path_is_unused()
        yield "remove the flag and the old path from the code, and deploy it"
        yield f"remove {self._setting} from the profile, and deploy that"
        yield (
            "remove from the function's role what only the old path and the flag needed "
            "(appconfig:StartConfigurationSession and appconfig:GetLatestConfiguration)"
        )
        yield self._keep_the_record()
        yield _REMOVE_ALL
