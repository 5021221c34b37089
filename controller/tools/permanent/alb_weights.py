"""How the weights of a listener rule become permanent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from controller.core.policy import Policy
from controller.core.policy.targets.alb_weights import AlbWeights, group_name
from controller.render.text_templates import text_of
from controller.tools.permanent.guide import TEMPLATES, keep_the_record, old_path_is_unused

# What gives the rule other weights than those that the rollout left it with.
RESETS: Final = (
    "a change of the actions of the rule in its template: CloudFormation and CDK send all of them, "
    "with the old weights",
    "cdk deploy --revert-drift, and a change set with DeploymentMode REVERT_DRIFT",
    "terraform apply, unless lifecycle.ignore_changes names the action",
    "a blue/green, linear or canary deployment of ECS, and one of CodeDeploy, on this rule: they "
    "move its weights themselves",
    "the AWS Load Balancer Controller of Kubernetes, for a rule of one of its Ingresses: each "
    "reconciliation writes the weights of the annotation",
    "a stack that fails and rolls back to its last template",
)


class AlbWeightsGuide:
    """`Guide` for the weights of a listener rule, or of a default action."""

    def __init__(self, policy: Policy, target: AlbWeights) -> None:
        self._policy, self._target = policy, target
        self.resource = target.name
        self.values: Mapping[str, str] = {
            group_name(target.canary): "100",
            group_name(target.stable): "0",
        }
        self.resets: Sequence[str] = RESETS

    def change(self, form: str) -> str:
        groups = {
            name: {"arn": arn, "name": group_name(arn)}
            for name, arn in (("canary", self._target.canary), ("stable", self._target.stable))
        }
        default = self._target.is_default_action
        return text_of(
            TEMPLATES / f"alb-weights.{form}.txt",
            **groups,
            default=default,
            block="default_action" if default else "action",
        )

    def checklist(self, until: str) -> Iterator[str]:
        stable = group_name(self._target.stable)
        yield (
            "see that the template has every other action of the rule: a deployment replaces all "
            "of them"
        )
        yield "deploy the change; `rolloutctl doctor POLICY` then shows 100% applied"
        yield (
            f"keep {stable} and its targets{until}: `rolloutctl rollback {self._policy.name}` "
            "needs them. After a rollback revert the change too, or the next deployment undoes the "
            "rollback"
        )
        yield from old_path_is_unused(self._policy)
        yield (
            f"for the next release: deploy it to {stable}, and swap `stable` and `canary` in the "
            f"policy; for none, remove {stable} from the rule, and delete it"
        )
        yield keep_the_record(self._policy)
