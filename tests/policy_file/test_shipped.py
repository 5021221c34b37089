"""Shipped policies: they are in the wheel, and a copy has one's own names and all comments."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import UsageError
from controller.policy_file.loader import loads
from controller.policy_file.template import named_copy, shipped_names

ROOT = Path(__file__).parents[2]
MINE = {
    "name": "mine",
    "target.function": "shop",
    "target.percentage": "SHOP_PERCENTAGE",
    "target.boolean": "SHOP",
}


def test_the_wheel_has_every_policy_of_the_checkout_once(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with ZipFile(wheel) as archive:
        packed = {
            Path(one).name: archive.read(one)
            for one in archive.namelist()
            if one.startswith("controller/policy_file/templates/")
        }
    assert packed == {path.name: path.read_bytes() for path in (ROOT / "policies").glob("*.yaml")}
    assert shipped_names() == sorted(Path(one).stem for one in packed)


@pytest.mark.parametrize("name", ["execution-api", "gateway-metrics-only", "quiet-service"])
def test_a_copy_has_other_names_and_every_comment(name: str) -> None:
    shipped = (ROOT / "policies" / f"{name}.yaml").read_text(encoding="utf-8")
    copy = named_copy(name, MINE, '"My: API"')
    policy = loads(copy.text, "mine.yaml")
    assert (copy.name, policy.name) == ("mine", "mine")
    assert policy.target == LambdaEnv(
        kind="lambda-env", function="shop", percentage="SHOP_PERCENTAGE", boolean="SHOP"
    )
    assert policy.metrics["requests"].dimensions == {"ApiName": "My: API"}
    assert copy.text.count("#") == shipped.count("#")
    assert f"attest {name}" not in copy.text


@pytest.mark.parametrize(
    "function", ["shop", "arn:aws:lambda:eu-central-1:123456789012:function:shop"]
)
def test_a_copy_reads_the_flag_of_its_own_function(function: str) -> None:
    copy = named_copy("execution-api", {"target.function": function})
    metrics = loads(copy.text, "mine.yaml").metrics.values()
    by_flag = [metric.dimensions for metric in metrics if metric.namespace == "rolloutctl"]
    assert len(by_flag) == 6
    assert {one["Flag"] for one in by_flag} == {"shop"}
    assert {one["Path"] for one in by_flag} == {"canary", "stable"}
    assert "SlackBedrockStack" not in copy.text


def test_a_copy_says_which_names_of_the_example_are_left() -> None:
    left = named_copy("gateway-metrics-only", {"target.function": "shop"}).left
    assert left == [
        "percentage: USE_API_GATEWAY_PERCENTAGE",
        "boolean: USE_API_GATEWAY",
        "ApiName: Execution Layer API",
        "FunctionName: BedrockProcessor",
    ]


def test_a_policy_that_is_not_shipped_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="execution-api, gateway-metrics-only"):
        named_copy("nope", {})
    with pytest.raises(UsageError, match=r"has no target\.port"):
        named_copy("quiet-service", {"target.port": "80"})
