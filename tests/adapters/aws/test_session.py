"""Answers in JSON are read as botocore reads them, only faster."""

import json
from typing import Any

import pytest
from botocore.parsers import JSONParser
from botocore.session import Session

from controller.adapters.aws.session import JsonParser, moment_of

STAMP = 1_767_225_600


def answer_with(**members: Any) -> dict[str, Any]:
    return {"MetricDataResults": [{"Id": "q0", "StatusCode": "Complete", **members}]}


@pytest.mark.parametrize(
    "answer",
    [
        answer_with(Timestamps=[STAMP, STAMP + 60], Values=[1, 2.5]),
        answer_with(Timestamps=[STAMP + 0.5, "2026-01-01T00:00:00Z"], Values=[]),
        answer_with(Timestamps=[None, STAMP], Values=[None, "1", True, {}]),
        answer_with(Timestamps=None, Values="12"),
        answer_with(Values={"one": 1}, Messages=[{"Code": "a", "Value": None}, None]),
        answer_with(Values=5),
        answer_with(Timestamps=["yesterday"]),
        answer_with(Timestamps=[1e300]),
        {"MetricDataResults": "none"},
    ],
)
def test_an_answer_is_read_as_botocore_reads_it(answer: Any) -> None:
    assert_read_alike("cloudwatch", "GetMetricData", answer)


@pytest.mark.parametrize(
    "attribute",
    [
        {"S": "rollout"},
        {"N": "7", "NULL": None},
        {"B": "aGVsbG8="},
        {"L": [{"S": "a"}, {"M": {"b": {"NS": ["1", "2"]}}}, None]},
        {"M": {"a": {"BOOL": True}, "b": None}},
        {"Unknown": "kind", "S": "known"},
        {},
        None,
        "text",
        5,
        ["S"],
        {"B": 5},
    ],
)
def test_an_item_is_read_as_botocore_reads_it(attribute: Any) -> None:
    assert_read_alike("dynamodb", "GetItem", {"Item": {"pk": attribute}, "Other": 1})


def assert_read_alike(service: str, operation: str, answer: Any) -> None:
    model = Session().get_service_model(service).operation_model(operation)
    response = {"body": json.dumps(answer).encode(), "headers": {}, "status_code": 200}
    read = []
    kinds: tuple[Any, ...] = (JSONParser, JsonParser)
    for kind in kinds:
        try:
            read.append(kind(timestamp_parser=moment_of).parse(response, model.output_shape))
        except Exception as error:  # noqa: BLE001 - what is raised is compared as well
            read.append(repr(error))
    assert read[0] == read[1]
