"""How the weights of a listener rule become permanent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from controller.core.policy import Policy
from controller.core.policy.targets.alb_weights import AlbWeights, group_name
from controller.render.permanent.guide import keep_the_record, old_path_is_unused

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
            group_name(arn): str(weight) for arn, weight in self._weights()
        }
        self.resets: Sequence[str] = RESETS

    def change(self, form: str) -> str:
        """Return the change of the template in one form."""
        writers = {
            "cdk": self._cdk,
            "cloudformation": self._cloudformation,
            "terraform": self._terraform,
        }
        return "\n".join(writers[form]())

    def checklist(self, until: str) -> Iterator[str]:
        """Yield what is left to do, in order."""
        stable = group_name(self._target.stable)
        yield (
            "see that the template has every other action of the rule: a deployment replaces all "
            "of them"
        )
        yield "deploy the change; `rolloutctl doctor POLICY` then shows 100 % applied"
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

    def _weights(self) -> Sequence[tuple[str, int]]:
        return (self._target.canary, 100), (self._target.stable, 0)

    def _cdk(self) -> Iterator[str]:
        stable, canary = group_name(self._target.stable), group_name(self._target.canary)
        yield f"// {stable}, {canary}: the target groups of these names"
        yield "action: elbv2.ListenerAction.weightedForward(["
        yield "  { targetGroup: canary, weight: 100 },"
        yield "  { targetGroup: stable, weight: 0 },"
        yield "]),"

    def _cloudformation(self) -> Iterator[str]:
        default = self._target.is_default_action
        yield "Resources:"
        yield f"  {'Listener' if default else 'Rule'}:  # the resource that is this one already"
        yield f"    Type: AWS::ElasticLoadBalancingV2::Listener{'' if default else 'Rule'}"
        yield "    Properties:"
        yield f"      {'DefaultActions' if default else 'Actions'}:  # after the other actions"
        yield "        - Type: forward"
        yield "          ForwardConfig:"
        yield "            TargetGroups:"
        for group, weight in self._weights():
            yield f"              - TargetGroupArn: {group}"
            yield f"                Weight: {weight}"

    def _terraform(self) -> Iterator[str]:
        kind, block = "lb_listener_rule", "action"
        if self._target.is_default_action:
            kind, block = "lb_listener", "default_action"
        yield f'resource "aws_{kind}" "rule" {{'
        yield f"  {block} {{"
        yield '    type = "forward"'
        yield "    forward {"
        for group, weight in self._weights():
            yield "      target_group {"
            yield f'        arn    = "{group}"'
            yield f"        weight = {weight}"
            yield "      }"
        yield "    }"
        yield "  }"
        yield f"  # no longer in lifecycle.ignore_changes: {block}"
        yield "}"
