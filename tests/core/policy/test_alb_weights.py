"""The target `alb-weights` in a policy: its ARNs, and what it knows of its metrics."""

from pathlib import Path

import pytest

from controller.errors import PolicyError
from controller.policy_file.loader import load, loads

SHIPPED = Path(__file__).parents[3] / "policies" / "alb-weights.yaml"
TEXT = SHIPPED.read_text()
GREEN = "targetgroup/shop-green/943f017f100becff"
BLUE = "targetgroup/shop-blue/73e2d6bc24d8a067"


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        (f"123456789012:{GREEN}", f"210987654321:{GREEN}", "target.canary", "account and region"),
        (f"us-east-1:123456789012:{BLUE}", f"eu-west-1:123456789012:{BLUE}", "target.stable",
         "account and region"),
        (GREEN, BLUE, "target.canary", "another target group than `stable`"),
        ("listener-rule/app/", "listener-rule/net/", "target.rule", "an Application Load Balancer"),
        ("listener-rule/app/", "loadbalancer/app/", "target.rule", "a rule or a listener"),
        (f"arn:aws:elasticloadbalancing:us-east-1:123456789012:{GREEN}", "green", "target.canary",
         "the ARN of a target group"),
        ("'${canary}'", "'${green}'", "metrics.requests.dimensions.TargetGroup",
         "${load_balancer} and ${canary} and ${stable}"),
    ],
)  # fmt: skip
def test_a_wrong_target_is_a_mistake_with_its_place(
    old: str, new: str, path: str, words: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        loads(TEXT.replace(old, new), "shop.yaml")
    flaws = {flaw.path: flaw.message for flaw in caught.value.flaws}
    assert words in flaws[path]


def test_metrics_have_the_dimensions_of_their_target_group() -> None:
    policy = load(SHIPPED)
    metrics = policy.resolved(policy.target).metrics
    balancer = {"LoadBalancer": "app/shop/50dc6c495c0c9188"}
    assert metrics["requests"].dimensions == {**balancer, "TargetGroup": GREEN}
    assert metrics["blue_requests"].dimensions == {**balancer, "TargetGroup": BLUE}
    whole, other = (
        metrics["requests"].model_copy(update={"dimensions": one}) for one in (balancer, {})
    )
    counted = [metrics["requests"], metrics["blue_4xx"], whole, other]
    assert [policy.target.requests_counted_by(one) for one in counted] == [
        "canary", "stable", "both", None,
    ]  # fmt: skip
