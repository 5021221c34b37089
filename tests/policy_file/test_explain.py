"""explain: every field has a text, a form and an example, and is found as people ask for it."""

from typing import Any, Final

import pytest
from jsonschema import Draft7Validator

from controller.errors import UsageError
from controller.policy_file import yaml_file
from controller.policy_file.schema import FieldHelp, explain_field, policy_fields, policy_schema
from tests.support.cases import cases

FIELDS: Final = policy_fields()
BY_PATH: Final = {one.path: one for one in FIELDS}
SCHEMA: Final = policy_schema()


def test_each_field_of_the_schema_is_explained() -> None:
    explained = {(one.name, one.text) for one in FIELDS}
    for model in (SCHEMA, *SCHEMA["definitions"].values()):
        for name, described in model["properties"].items():
            assert name == "kind" or (name, described["description"]) in explained


@pytest.mark.parametrize("field", FIELDS, ids=lambda one: one.path)
def test_a_field_says_what_it_is_and_shows_one(field: FieldHelp) -> None:
    assert len(field.text.split()) > 1
    assert field.form
    data: Any = yaml_file.parse(field.example, "example").data
    assert field.is_kind or list(data) == [field.name]


def test_the_examples_of_a_policys_fields_fit_the_schema() -> None:
    for field in FIELDS:
        if "." not in field.path:
            data: Any = yaml_file.parse(field.example, "example").data
            value = data[field.name]
            properties = SCHEMA["properties"][field.name]
            Draft7Validator({**properties, "definitions": SCHEMA["definitions"]}).validate(value)


@cases("query, paths", {
    "a path": ("steps.bake", ["steps.bake"]),
    "a name": ("max_increase", ["criteria.latency_increase.max_increase"]),
    "a place from a message": ("steps[1].bake", ["steps.bake"]),
    "a criterion of the policy's own":
        ("criteria.checkout-is-fast.max_increase", ["criteria.latency_increase.max_increase"]),
    "a metric of the policy's own": ("metrics.orders.statistic", ["metrics.statistic"]),
    "a channel by its place": ("notify[0].webhook", ["notify.slack.webhook"]),
    "a kind": ("slack", ["notify.slack"]),
    "a name that several have": ("slo", ["criteria.burn_rate.slo"]),
    "what is at the top goes first": ("freeze", ["freeze"]),
})  # fmt: skip
def test_a_field_is_found_as_people_ask(query: str, paths: list[str]) -> None:
    assert [one.path for one in explain_field(query)] == paths


def test_a_name_of_several_kinds_finds_all_of_them() -> None:
    found = [one.path for one in explain_field("failure_limit")]
    assert found == ["criteria.success_rate.failure_limit", "criteria.threshold.failure_limit"]


def test_without_a_name_it_lists_what_a_policy_holds() -> None:
    assert [one.path for one in explain_field("")] == list(SCHEMA["properties"])


@cases("query, near", {"a field": ("steps.bak", "steps.bake"), "a name": ("baselin", "baseline")})
def test_what_is_no_field_is_refused_with_what_is_near(query: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {near!r}"):
        explain_field(query)


@cases("path, default, form", {
    "a default": ("evaluation_delay", "3m", "duration, 2m to 1h"),
    "a percent": ("criteria.share.tolerance", "2%", "percent, at most 50%"),
    "a choice": ("on_inconclusive", "pause", "pause or rollback or advance"),
    "none": ("steps.weight", None, "whole number, 1 to 100"),
    "kinds": ("target", None, "one of lambda-env, lambda-alias, alb-weights, appconfig"),
    "either form": ("criteria.threshold.max", None, "number or percent"),
})  # fmt: skip
def test_defaults_and_forms_are_those_of_the_reference(
    path: str, default: str | None, form: str
) -> None:
    assert (BY_PATH[path].default, BY_PATH[path].form) == (default, form)
