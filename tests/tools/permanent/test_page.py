"""How 100% becomes permanent: the change in each form, and the order of the checklist."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from controller.tools.permanent import (
    FORMS,
    guide_of,
)
from tests.support.core import Policy
from tests.tools.monitoring.watched import a_watched

ARN = "arn:aws:lambda:eu-central-1:123456789012:function"


def policy(**target: Any) -> Policy:
    """Return a policy with another target."""
    defaults = {"kind": "lambda-env", "function": "shop", "percentage": "PERCENTAGE"}
    return a_watched("traffic", target={**defaults, **target})


def template(policy_: Policy) -> dict[str, Any]:
    """Return the change for CloudFormation, read as YAML."""
    read: dict[str, Any] = YAML(typ="safe").load(guide_of(policy_).change("cloudformation"))[
        "Resources"
    ]
    return read


@pytest.mark.parametrize(
    ("function", "identity"),
    [
        ("Shop-Handler898FE80E-TJUkrbzJtXGK", "Handler898FE80E"),
        (f"{ARN}:My-Shop-Handler1-AbCdEfGhIjKl", "Handler1"),
        ("shop", "Function"),
        ("my-shop-handler", "Function"),
    ],
)  # fmt: skip
def test_a_name_that_cloudformation_made_tells_which_resource_it_is(
    function: str, identity: str
) -> None:
    assert list(template(policy(function=function))) == [identity]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_names_the_function_and_each_variable_with_its_value(form: str) -> None:
    text = guide_of(policy(function="a-b-c", boolean="ENABLED")).change(form)
    assert "a-b-c" in text
    for name, value in {"PERCENTAGE": "100", "ENABLED": "true"}.items():
        assert any(name in line and f'"{value}"' in line for line in text.splitlines())
