"""The target lambda-alias in a policy: its names, and the versions that a start puts in."""

from typing import Any

import pytest

from controller.core.policy.field_types import AwsLocation
from controller.core.policy.kind_registry import STORED
from controller.core.policy.metric import Metric
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.errors import PolicyError
from controller.policy_file.loader import loads
from tests.support.core import Policy

ALIAS = LambdaAlias(kind="lambda-alias", function="handler", alias="live")
ROLLOUT = ALIAS.with_versions("4", "3")
POLICY = """\
version: 1
name: checkout
target: {{kind: {target}}}
metrics:
  requests: {{namespace: AWS/Lambda, name: Invocations, statistic: Sum, dimensions: &d {dimensions}}}
  errors: {{namespace: AWS/Lambda, name: Errors, statistic: Sum, dimensions: *d}}
criteria:
  works: {{kind: success_rate, total: requests, failures: [errors], min: 99%}}
  quiet: {{kind: alarm, alarm: errors}}
steps: [{{weight: 10, bake: 10m}}, {{weight: 100, bake: 10m, criteria: [quiet]}}]
"""  # noqa: E501 - YAML
TARGET = "lambda-alias, function: handler, alias: live"
BY_VERSION = '{FunctionName: handler, Resource: "handler:live", ExecutedVersion: "${canary}"}'


def policy(target: str = TARGET, dimensions: str = BY_VERSION) -> Policy:
    """Return a policy with this target, and metrics with these dimensions."""
    return loads(POLICY.format(target=target, dimensions=dimensions), "policy.yaml")


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (f"{TARGET}, canary: $LATEST", "target.canary: expected the number of a published version"),
        (f'{TARGET}, canary: "0"', "target.canary"),
        (f"{TARGET}, canary: live", "target.canary"),
        (f'{TARGET}, canary: "3", stable: "3"', "canary and stable are both version 3"),
        ('lambda-alias, function: handler, alias: "7"', "target.alias: expected the name"),
        ("lambda-alias, function: handler", "target.alias: is required"),
        ('lambda-alias, function: "handler:live", alias: live', "target.function"),
    ],
)
def test_a_name_that_is_none_is_a_located_mistake(target: str, place: str) -> None:
    with pytest.raises(PolicyError, match=r"policy.yaml:3:") as caught:
        policy(target)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("target", "known"),
    [(TARGET, "has ${canary} and ${stable}"), ("lambda-env, function: f, percentage: PC", "none")],
)
def test_a_placeholder_that_the_target_does_not_have_is_a_located_mistake(
    target: str, known: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        policy(target, '{FunctionName: handler, ExecutedVersion: "${next}"}')
    assert "metrics.requests.dimensions.ExecutedVersion: ${next} is unknown" in str(caught.value)
    assert known in str(caught.value)


def test_a_resolved_policy_is_the_one_that_names_the_versions() -> None:
    named = policy(f'{TARGET}, canary: "4", stable: "3"', BY_VERSION.replace("${canary}", "4"))
    resolved = policy().resolved(ROLLOUT)
    assert resolved.digest() == named.digest()
    assert policy().resolved_as(named).digest() == named.digest()
    stored = Policy.model_validate_json(resolved.snapshot(), context=STORED)
    assert stored.resolved(ROLLOUT) == resolved


@pytest.mark.parametrize(
    ("dimensions", "path"),
    [
        ({"FunctionName": "handler", "ExecutedVersion": "4"}, "canary"),
        ({"FunctionName": "handler", "ExecutedVersion": "3"}, "stable"),
        ({"FunctionName": "handler", "Resource": "handler:live"}, "both"),
        ({"FunctionName": "another", "ExecutedVersion": "4"}, None),
    ],
)
def test_a_metric_counts_the_path_of_its_version(
    dimensions: dict[str, str], path: str | None
) -> None:
    metric = Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions=dimensions)
    assert ROLLOUT.requests_counted_by(metric) == path


@pytest.mark.parametrize(
    ("version", "before"),
    [
        ("3", {"FunctionName": "handler", "Resource": "handler:live"}),
        ("4", {"FunctionName": "handler", "Resource": "handler:live", "ExecutedVersion": "4"}),
    ],
)
def test_at_zero_the_alias_counts_for_its_stable_version(
    version: str, before: dict[str, str]
) -> None:
    dimensions = {
        "FunctionName": "handler", "Resource": "handler:live", "ExecutedVersion": version,
    }  # fmt: skip
    metric = Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions=dimensions)
    assert ROLLOUT.at_zero(metric).dimensions == before


def test_rollouts_of_other_versions_of_an_alias_have_the_same_lock() -> None:
    (arn,) = ALIAS.arns(AwsLocation("123456789012", "us-east-1", "aws"))["target"]
    assert arn == "arn:aws:lambda:us-east-1:123456789012:function:handler:live"
    locks: Any = {target.locks(arn) for target in (ALIAS, ROLLOUT, ALIAS.with_versions("9", "4"))}
    assert len(locks) == 1


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (0, "--function-version 3 --routing-config 'AdditionalVersionWeights={}'"),
        (10, "--function-version 3 --routing-config 'AdditionalVersionWeights={4=0.1}'"),
        (100, "--function-version 4 --routing-config 'AdditionalVersionWeights={}'"),
    ],
)
def test_what_an_operator_does_by_hand_is_a_call_of_aws(weight: int, words: str) -> None:
    assert words in ROLLOUT.by_hand(weight, "")
