"""Load balancers for the contract of `alb-weights`: in the simulation, and in moto.

Each has a rule with all requests on the stable group, and a healthy target in each group.
"""

from collections.abc import Sequence
from typing import Any

from controller.core.policy.targets.alb_weights import AlbWeights
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from controller.tools.simulation.world import World
from tests.adapters.contracts.alb_weights import AlbBench, forward
from tests.support.emulator import REGION
from tests.tools.simulation.service_model import hold_to_model

RULE, DEFAULT_ACTION = "rule", "default action"
GROUPS = ("blue", "green", "red")

_ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
_LISTENER = "app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"


def simulated(place: str) -> AlbBench:
    """Return a rule of a simulated account; every call fits botocore's model."""
    rule = f"listener-rule/{_LISTENER}/9683b2d02a6cabee"
    resource = rule if place == RULE else f"listener/{_LISTENER}"
    groups = [f"{_ELB}:targetgroup/{name}/943f017f100becff" for name in GROUPS]
    target = AlbWeights(
        kind="alb-weights", rule=f"{_ELB}:{resource}", stable=groups[0], canary=groups[1]
    )
    world = World(target=target)
    world.interceptors.append(hold_to_model)
    twin = world.simulated_target
    assert isinstance(twin, SimulatedAlbWeights)

    def set_targets(group: str, states: Sequence[str]) -> None:
        twin.health[group] = list(states)

    return AlbBench(world.client("elbv2"), target, groups[2], set_targets, world.clock)


def on_moto(ec2: Any, elb: Any, place: str) -> AlbBench:
    """Return a rule of moto, which asks for subnets that exist."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=REGION + zone)
        for n, zone in enumerate("ab")
    ]
    groups = [
        elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")[
            "TargetGroups"
        ][0]["TargetGroupArn"]
        for name in GROUPS
    ]
    for group in groups:
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.7", "Port": 80}])
    balancer = elb.create_load_balancer(
        Name="shop", Subnets=[subnet["Subnet"]["SubnetId"] for subnet in subnets]
    )["LoadBalancers"][0]
    actions = [forward({groups[0]: 100, groups[1]: 0})]
    holder = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=actions,
    )["Listeners"][0]["ListenerArn"]
    if place == RULE:
        paths = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/shop/*", "/basket"]}}
        gets = {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}}
        holder = elb.create_rule(
            ListenerArn=holder, Priority=10, Conditions=[paths, gets], Actions=actions
        )["Rules"][0]["RuleArn"]
    target = AlbWeights(kind="alb-weights", rule=holder, stable=groups[0], canary=groups[1])

    def set_targets(group: str, states: Sequence[str]) -> None:
        change = elb.register_targets if states else elb.deregister_targets
        change(TargetGroupArn=group, Targets=[{"Id": "10.0.0.7"}])

    return AlbBench(elb, target, groups[2], set_targets)
