import pytest

from controller.adapters.targets.weight_variables import Pair

BOTH = Pair("PERCENTAGE", "ENABLED")
ALONE = Pair("PERCENTAGE", None)


@pytest.mark.parametrize(
    ("variables", "weight"),
    [
        pytest.param({}, 0, id="nothing is set"),
        pytest.param({"ENABLED": "true"}, 100, id="only the boolean, true"),
        pytest.param({"ENABLED": "false"}, 0, id="only the boolean, false"),
        pytest.param({"PERCENTAGE": "0"}, 0, id="only the percentage, 0"),
        pytest.param({"PERCENTAGE": "10"}, 10, id="only the percentage, 10"),
        pytest.param({"PERCENTAGE": "100"}, None, id="100 without the boolean"),
        pytest.param({"PERCENTAGE": "10", "ENABLED": "false"}, 10, id="10, false"),
        pytest.param({"PERCENTAGE": "10", "ENABLED": ""}, 10, id="10, empty"),
        pytest.param({"PERCENTAGE": "10", "ENABLED": "False"}, 10, id="10, False"),
        pytest.param({"PERCENTAGE": "100", "ENABLED": "true"}, 100, id="100, true"),
        pytest.param({"PERCENTAGE": "100", "ENABLED": "false"}, None, id="100, false"),
        pytest.param({"PERCENTAGE": "99", "ENABLED": "true"}, None, id="99, true"),
        pytest.param({"PERCENTAGE": "0", "ENABLED": "true"}, None, id="0, true"),
        # Some applications take these as true, some do not: 0% may be 100% in truth.
        pytest.param({"PERCENTAGE": "0", "ENABLED": "TRUE"}, None, id="0, TRUE"),
        pytest.param({"PERCENTAGE": "100", "ENABLED": "True"}, None, id="100, True"),
        pytest.param({"ENABLED": "1"}, None, id="only the boolean, 1"),
    ],
)
def test_two_variables_mean_one_weight_or_contradict_each_other(
    variables: dict[str, str], weight: int | None
) -> None:
    assert BOTH.weight(variables) == weight


@pytest.mark.parametrize(
    ("variables", "may_be"),
    [
        pytest.param({"PERCENTAGE": "10", "ENABLED": "true"}, True, id="10, true"),
        pytest.param({"PERCENTAGE": "0", "ENABLED": "TRUE"}, True, id="0, TRUE"),
        pytest.param({"PERCENTAGE": "100", "ENABLED": "false"}, False, id="100, false"),
        pytest.param({"PERCENTAGE": "ten", "ENABLED": "false"}, False, id="ten, false"),
        pytest.param({"PERCENTAGE": "100", "ENABLED": "true"}, False, id="100, true: no doubt"),
    ],
)
def test_a_contradiction_may_be_full_where_the_boolean_is_not_false(
    variables: dict[str, str], may_be: bool
) -> None:
    assert BOTH.may_be_full(variables) is may_be


@pytest.mark.parametrize(
    "text", ["", " 10", "10 ", "010", "+1", "-1", "1.0", "101", "ten", "1\u0660"]
)
def test_a_percentage_is_a_plain_whole_number_up_to_100(text: str) -> None:
    assert ALONE.weight({"PERCENTAGE": text}) is None


def test_a_boolean_that_the_application_does_not_have_is_not_read() -> None:
    assert ALONE.weight({"PERCENTAGE": "100", "ENABLED": "false"}) == 100
    assert ALONE.merged({"ENABLED": "odd"}, 7) == {"ENABLED": "odd", "PERCENTAGE": "7"}
