"""How 100% of each kind of target becomes permanent in its template: a `Guide` each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

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

    def checklist(self, until: str) -> Iterable[str]:
        """Return what is left to do, in order; until: how long the old path is needed."""


class _TemplateGuide:
    """What the guides of our kinds share: text templates, named after the kind.

    There is one for each form, one for what restores the old values, and one for the checklist.
    facts: the values of these templates.
    """

    def __init__(
        self,
        policy: Policy,
        target: TargetSpec,
        *,
        resource: str,
        values: Mapping[str, str],
        facts: Mapping[str, object],
    ) -> None:
        self._kind, self.resource, self.values = target.kind, resource, values
        counting = [_metric_text(policy, name) for name in policy.stable_requests]
        self._facts = {"name": policy.name, "counting": counting, "until": "", **facts}

    @property
    def resets(self) -> Sequence[str]:
        return self._items("resets")

    def change(self, form: str) -> str:
        return text_of(_TEMPLATES / f"{self._kind}.{form}.txt", **self._facts)

    def checklist(self, until: str) -> Sequence[str]:
        return self._items("checklist", until=until)

    def _items(self, name: str, **more: str) -> list[str]:
        """Return the items of a list, each of which a template may break into several lines."""
        text = text_of(_TEMPLATES / f"{self._kind}.{name}.txt", **self._facts | more)
        items = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
        return [re.sub(r"\n *", " ", item.strip()) for item in items]


def _metric_text(policy: Policy, name: str) -> str:
    metric = policy.metrics[name]
    dimensions = ", ".join(f"{key}: {value}" for key, value in metric.dimensions.items())
    return f"{name} ({metric.place} {metric.name} {{{dimensions}}})"


class LambdaEnvGuide(_TemplateGuide):
    """The variables of a function."""

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


class LambdaAliasGuide(_TemplateGuide):
    """The version of an alias."""

    def __init__(self, policy: Policy, target: LambdaAlias) -> None:
        function, canary = target.function.rpartition(":")[2], target.canary or "VERSION"
        facts = {
            "function": function,
            "alias": target.alias,
            "version": canary,
            "stable": target.stable or "the old version",
        }
        resource, values = f"{function}:{target.alias}", {"FunctionVersion": canary}
        super().__init__(policy, target, resource=resource, values=values, facts=facts)


class AlbWeightsGuide(_TemplateGuide):
    """The weights of a listener rule, or of a default action."""

    def __init__(self, policy: Policy, target: AlbWeights) -> None:
        canary, stable = group_name(target.canary), group_name(target.stable)
        facts = {
            "canary": {"arn": target.canary, "name": canary},
            "stable": {"arn": target.stable, "name": stable},
            "default": target.is_default_action,
            "block": "default_action" if target.is_default_action else "action",
        }
        values = {canary: "100", stable: "0"}
        super().__init__(policy, target, resource=target.name, values=values, facts=facts)


class AppConfigGuide(_TemplateGuide):
    """A percentage in AWS AppConfig, in a hosted configuration."""

    def __init__(self, policy: Policy, target: AppConfigFlag) -> None:
        facts = {
            "profile": target.profile,
            "flag": target.flag,
            "attribute": target.attribute,
            "setting": target.setting,
        }
        values = target.settings(100)
        super().__init__(policy, target, resource=target.name, values=values, facts=facts)
