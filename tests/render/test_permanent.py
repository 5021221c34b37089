"""How 100 % becomes permanent: the change in each form, and the order of the checklist."""

from datetime import timedelta
from typing import Any

import pytest
from ruamel.yaml import YAML

from controller.core.policy import Policy
from controller.core.rollout import Phase
from controller.render.permanent import (
    FORMS,
    change_text,
    checklist,
)
from tests.operations.monitoring.watched import a_watched
from tests.support.rollouts import NOON, in_phase

PLAIN = a_watched("traffic")
ARN = "arn:aws:lambda:eu-central-1:123456789012:function"


def policy(**target: Any) -> Policy:
    """Return a policy with another target."""
    defaults = {"kind": "lambda-env", "function": "shop", "percentage": "PERCENTAGE"}
    return a_watched("traffic", target={**defaults, **target})


def template(policy_: Policy) -> dict[str, Any]:
    """Return the change for CloudFormation, read as YAML."""
    read: dict[str, Any] = YAML(typ="safe").load(change_text(policy_, "cloudformation"))[
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
    text = change_text(policy(function="a-b-c", boolean="ENABLED"), form)
    assert "a-b-c" in text
    for name, value in {"PERCENTAGE": "100", "ENABLED": "true"}.items():
        assert any(name in line and f'"{value}"' in line for line in text.splitlines())


def test_the_old_path_goes_only_after_nothing_can_go_back_to_it() -> None:
    done = in_phase(Phase.SUCCEEDED, watch_until=NOON + timedelta(days=7))
    steps = list(checklist(PLAIN, done))
    keep, remove = (
        next(number for number, step in enumerate(steps) if words in step)
        for words in ("keep the old path until 2026-12-01 12:00 UTC", "from the code")
    )
    assert keep < remove


def test_what_counts_the_old_path_is_named_where_the_policy_knows_it() -> None:
    counted = {
        name: {
            "namespace": "Shop",
            "name": "Calls",
            "statistic": "Sum",
            "dimensions": {"Path": name},
        }
        for name in ("canary", "stable")
    }
    traffic = {"kind": "traffic", "judge": "threshold", "metric": "canary", "control": "stable"}
    known = a_watched("traffic", metrics=counted, criteria={"t": traffic})
    unused = [one for one in checklist(known, None) if "old path has no requests" in one]
    assert unused == [
        "check that the old path has no requests: stable (Shop Calls {Path: stable}) counted no "
        "request for a day"
    ]
    assert not [one for one in checklist(PLAIN, None) if "silent" in one]
