"""Warnings about variable names that are missing, mistaken or related."""

from collections.abc import Mapping

import pytest

from controller.adapters.targets.environment_checks import name_warnings
from controller.adapters.targets.weight_variables import Pair


@pytest.mark.parametrize(
    ("percentage", "variables", "left_on"),
    [
        pytest.param(
            "USE_API_GATEWAY_PERCENTAGE", {"USE_API_GATEWAY": "true"}, ["USE_API_GATEWAY"],
            id="the name without its last word",
        ),
        pytest.param(
            "NEW_PATH_PERCENTAGE", {"ENABLE_NEW_PATH": "True"}, ["ENABLE_NEW_PATH"],
            id="the same thing switched by another word",
        ),
        pytest.param("NEW_PATH_PERCENTAGE", {"NEW_PATH": "false"}, [], id="none, where it is off"),
        pytest.param("USE_API_GATEWAY_PERCENTAGE", {"USE_CACHE": "true"}, [], id="another's"),
        pytest.param("PERCENTAGE", {"DEBUG": "true"}, [], id="none of a nameless weight"),
    ],
)  # fmt: skip
def test_what_may_still_send_traffic_is(
    percentage: str, variables: Mapping[str, str], left_on: list[str]
) -> None:
    warnings = name_warnings("handler", Pair(percentage, None), {**variables, percentage: "100"})
    assert [warning.left_on for warning in warnings] == left_on


@pytest.mark.parametrize(
    ("variables", "unset"),
    [
        pytest.param({"ON": "true"}, [False], id="none, where the boolean alone says 100"),
        pytest.param({"WEIGHT": "50"}, [True], id="the boolean"),
        pytest.param({"ON": "false"}, [True], id="the percentage"),
        pytest.param({}, [True, True], id="both"),
        pytest.param({"WEIGHT": "0", "ON": "false"}, [], id="none"),
        pytest.param({"WEIGHT": "s3cret", "ON": "false"}, [True], id="a weight, not a secret"),
        pytest.param({"WEIGHT": " 10%", "ON": " True"}, [], id="none, where it is spelt oddly"),
        *(
            pytest.param({"WEIGHT": "10", "ON": text}, [True], id=f"a boolean, not {text!r}")
            for text in ("", "0", "1", "010", "yes", "no", "on", "-1", "3.14", "Yes", "s3cret")
        ),
        *(
            pytest.param({"WEIGHT": text, "ON": "false"}, [True], id=f"a weight, not {text!r}")
            for text in ("", "true", "no", "ten")
        ),
    ],
)
def test_what_is_not_set_and_should_be_is(variables: Mapping[str, str], unset: list[bool]) -> None:
    assert [
        warning.mistaken for warning in name_warnings("handler", Pair("WEIGHT", "ON"), variables)
    ] == unset
