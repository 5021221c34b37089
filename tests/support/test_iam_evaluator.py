"""The evaluator of IAM documents, against cases that were worked out by hand from AWS's guides."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.iam_evaluator import (
    LEADING_KEYS,
    AccessRequest,
    UnknownRuleError,
    access_requests,
    allows,
)

TABLE = "arn:aws:dynamodb:eu-central-1:123456789012:table/rollouts"
GET = "dynamodb:GetItem"


def statement(effect: str = "Allow", **parts: Any) -> dict[str, Any]:
    """Return a statement on getting items of the table, with `parts` of it replaced."""
    given = {"Effect": effect, "Action": [GET], "Resource": [TABLE], **parts}
    return {name: one for name, one in given.items() if one is not None}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def keys(*values: str) -> AccessRequest:
    """Return a read of items with these leading keys."""
    return AccessRequest(GET, TABLE, {LEADING_KEYS: values} if values else {})


def if_keys(operator: str, *patterns: str) -> dict[str, Any]:
    """Return a statement under a condition on the leading keys."""
    return statement(Condition={operator: {LEADING_KEYS: list(patterns)}})


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], False),
        ([statement()], True),
        ([statement(Action=GET, Resource=TABLE)], True),
        ([statement(Action=["dynamodb:PutItem"])], False),
        ([statement(Action=["dynamodb:Get*"])], True),
        ([statement(Action=["DYNAMODB:getitem"])], True),
        ([statement(Action=["dynamodb:GetIte?"])], True),
        ([statement(Action=["dynamodb:GetItem?"])], False),
        ([statement(Action=["dynamodb:GetItems"]), statement(Action=["*"])], True),
        ([statement(Resource=[f"{TABLE}/index/*"])], False),
        ([statement(Resource=[f"{TABLE}*"])], True),
        ([statement(Resource=[TABLE.upper()])], False),
        ([statement(Resource=["*"])], True),
        ([statement(Resource=[TABLE.replace("rollouts", "rollout.")])], False),
    ],
)
def test_a_statement_applies_to(statements: Sequence[Mapping[str, Any]], allowed: bool) -> None:
    assert allows(document(*statements), [keys("ROLLOUT#shop")]) is allowed


@pytest.mark.parametrize(
    ("operator", "patterns", "values", "allowed"),
    [
        ("ForAllValues:StringLike", ["a"], ["a"], True),
        ("ForAllValues:StringLike", ["a"], ["A"], False),
        ("ForAllValues:StringLike", ["a", "b"], ["b", "a"], True),
        ("ForAllValues:StringLike", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringLike", ["a"], [], True),  # which is why Null stands beside it
        ("ForAllValues:StringLike", ["H#shop#*"], ["H#shop#1"], True),
        ("ForAllValues:StringLike", ["H#shop#*"], ["H#shop-2#1"], False),
        ("ForAllValues:StringLike", ["H#shop#*"], ["H#shop"], False),
        ("ForAllValues:StringLike", ["H#shop*"], ["H#shop-2#1"], True),
        ("ForAllValues:StringLike", ["a?c"], ["abc"], True),
        ("ForAllValues:StringLike", ["a?c"], ["ac"], False),
        ("ForAllValues:StringLike", ["a.c"], ["abc"], False),
        ("StringLike", ["a", "b*"], ["bc"], True),
        ("StringLike", ["a"], [], False),
    ],
)
def test_a_condition_holds(
    operator: str, patterns: list[str], values: list[str], allowed: bool
) -> None:
    assert allows(document(if_keys(operator, *patterns)), [keys(*values)]) is allowed


@pytest.mark.parametrize(
    ("absent", "values", "allowed"),
    [("false", ["a"], True), ("false", [], False), ("true", ["a"], False), ("true", [], True)],
)
def test_null_asks_whether_a_key_is_absent(absent: str, values: list[str], allowed: bool) -> None:
    on_presence = statement(Condition={"Null": {LEADING_KEYS: absent}})
    assert allows(document(on_presence), [keys(*values)]) is allowed


def test_all_conditions_of_a_statement_have_to_hold() -> None:
    both = statement(
        Condition={
            "ForAllValues:StringLike": {LEADING_KEYS: ["a*"], "other:Key": ["x"]},
            "StringLike": {LEADING_KEYS: "?b"},
        }
    )
    assert allows(document(both), [keys("ab")])
    assert not allows(
        document(both), [AccessRequest(GET, TABLE, {LEADING_KEYS: ["ab"], "other:Key": "y"})]
    )
    assert not allows(document(both), [keys()])


@pytest.mark.parametrize(
    "unknown",
    [
        statement(Condition={"StringEquals": {LEADING_KEYS: ["a"]}}),
        statement(Condition={"ForAnyValue:StringLike": {LEADING_KEYS: ["a"]}}),
        statement(Condition={"StringLike": {LEADING_KEYS: ["${aws:username}"]}}),
        statement(Condition={"Null": {LEADING_KEYS: ["maybe"]}}),
        statement(Principal="*"),
        statement(NotAction=["*"]),
        statement("Deny"),
    ],
)
def test_an_unknown_element_is_not_judged(unknown: dict[str, Any]) -> None:
    with pytest.raises(UnknownRuleError):
        allows(document(statement(), unknown), [keys("a")])


# --- requests -----------------------------------------------------------------------------------

KEY = {"pk": {"S": "ROLLOUT#shop"}, "sk": {"S": "0000000001"}}
FOREIGN = {"pk": {"S": "LOCK#other"}, "sk": {"S": "LOCK"}}
IN = {"TableName": "rollouts"}


def query(condition: str, names: Mapping[str, str], *, index: str = "") -> dict[str, Any]:
    """Return a Query whose values are :a and :b."""
    values = {":a": {"S": "A"}, ":b": {"S": "B"}}
    where = {"IndexName": index} if index else {}
    return {
        **IN,
        **where,
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": dict(names),
        "ExpressionAttributeValues": values,
    }


@pytest.mark.parametrize(
    ("operation", "request_", "asked"),
    [
        ("GetItem", {"Key": KEY}, [("GetItem", "", "ROLLOUT#shop")]),
        ("PutItem", {"Item": {**KEY, "state": {"S": "x"}}}, [("PutItem", "", "ROLLOUT#shop")]),
        (
            "BatchGetItem",
            {"RequestItems": {"rollouts": {"Keys": [FOREIGN]}}},
            [("BatchGetItem", "", "LOCK#other")],
        ),
        ("UpdateItem", {"Key": FOREIGN}, [("UpdateItem", "", "LOCK#other")]),
        ("DeleteItem", {"Key": FOREIGN}, [("DeleteItem", "", "LOCK#other")]),
        ("Query", query("#p = :a", {"#p": "pk"}), [("Query", "", "A")]),
        ("Query", query("#p = :a AND #s = :b", {"#p": "pk", "#s": "sk"}), [("Query", "", "A")]),
        ("Query", query("#s = :a AND #p = :b", {"#p": "pk", "#s": "sk"}), [("Query", "", "B")]),
        ("Query", query("pk = :a", {}), [("Query", "", "A")]),
        (
            "Query",
            query("#x = :a", {"#x": "active"}, index="active"),
            [("Query", "/index/active", "A")],
        ),
        (
            "Query",
            query("#p = :a AND #x = :b", {"#p": "pk", "#x": "active"}, index="active_of_name"),
            [("Query", "/index/active_of_name", "A")],
        ),
        ("Scan", {"IndexName": "by_target"}, [("Scan", "/index/by_target", None)]),
        (
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": {**IN, "Item": KEY}},
                    {"Update": {**IN, "Key": FOREIGN}},
                    {"Delete": {**IN, "Key": FOREIGN}},
                    {"ConditionCheck": {**IN, "Key": KEY}},
                ]
            },
            [
                ("PutItem", "", "ROLLOUT#shop"),
                ("UpdateItem", "", "LOCK#other"),
                ("DeleteItem", "", "LOCK#other"),
                ("ConditionCheckItem", "", "ROLLOUT#shop"),
            ],
        ),
    ],
)
def test_a_request_needs_the_actions_and_keys_of_its_parts(
    operation: str, request_: dict[str, Any], asked: list[tuple[str, str, str | None]]
) -> None:
    requests = access_requests(
        operation, {**IN, **request_}, region="eu-central-1", account="123456789012"
    )
    assert requests == [
        AccessRequest(
            f"dynamodb:{action}", f"{TABLE}{index}", {} if key is None else {LEADING_KEYS: (key,)}
        )
        for action, index, key in asked
    ]


def test_a_transaction_is_denied_for_one_foreign_part() -> None:
    own = document(if_keys("ForAllValues:StringLike", "ROLLOUT#shop"))
    assert allows(own, [keys("ROLLOUT#shop"), keys("ROLLOUT#shop")])
    assert not allows(own, [keys("ROLLOUT#shop"), keys("LOCK#other")])


@pytest.mark.parametrize(
    ("operation", "request_"),
    [("BatchWriteItem", {}), ("ExecuteStatement", {}), ("Query", query("#s = :a", {"#s": "sk"}))],
)
def test_an_unknown_request_is_not_judged(operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(UnknownRuleError):
        access_requests(operation, {**IN, **request_}, region="x", account="y")
