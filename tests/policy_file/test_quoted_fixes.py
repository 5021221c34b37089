"""A message quotes what an author probably meant: pasted into the file, it is right."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from controller.core.policy.field_types import Model
from controller.core.policy.hooks import Hooks
from controller.core.policy.model import Policy
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.errors import PolicyError
from controller.policy_file import yaml_file
from controller.policy_file.loader import loads
from controller.policy_file.schema import policy_schema
from tests.support.cases import cases

CHECKOUT = (Path(__file__).parents[2] / "policies" / "checkout.yaml").read_text(encoding="utf-8")


def messages(text: str) -> list[str]:
    """Return the mistakes of a policy file; none for a valid one."""
    try:
        loads(text, "p.yaml")
    except PolicyError as error:
        return str(error).splitlines()
    return []


@cases("key, written", {
    "a channel by its name": ("notify", "slack"),
    "a channel by its name in a list": ("notify", "[slack]"),
    "a webhook by the name of the channel": ("notify", "[{slack: my-webhook}]"),
    "a webhook under another key": ("notify", "[{kind: slack, url: my-webhook}]"),
    "a secret without its key": ("notify", "[{kind: slack, secret: my-webhook}]"),
    "no webhook": ("notify", "[{kind: slack}]"),
    "a channel outside of a list": ("notify", "{kind: slack}"),
    "a topic under another key": ("notify", "[{kind: sns, arn: rollouts}]"),
    "a freeze in a word": ("freeze", "weekends"),
    "a freeze with an unknown key": ("freeze", "{weekends: true}"),
    "windows under another key":
        ("freeze", "{zone: Europe/Berlin, windows: [{from: fri 16:00, to: mon 08:00}]}"),
    "a freeze without a zone": ("freeze", "{weekly: [{from: fri 16:00, to: mon 08:00}]}"),
    "a hook by its address": ("hooks", "{before_advance: https://ci.example.com/gate}"),
    "a log event alone": ("verify_rollback", "canary"),
})  # fmt: skip
def test_the_example_of_the_first_message_is_the_fix(key: str, written: str) -> None:
    found = messages(f"{CHECKOUT}{key}: {written}\n")
    first = next(one for one in found if "; like " in one)
    place = first.split(": ")[1]
    fix = first.rpartition("; like ")[2]
    fix = f"[{fix}]" if place.startswith("notify[") else fix
    fix = f"{{before_advance: {fix}}}" if place.startswith("hooks.") else fix
    assert messages(f"{CHECKOUT}{key}: {fix}\n") == []


@cases("old, new, fix", {
    "a percent without its sign": ("max_increase: 5%", "max_increase: 5", "like 5%, not 5"),
    "a percent as a fraction": ("min: 99.9%", "min: 0.999", "like 99.9%, not 0.999"),
    "a duration in words": ("bake: 24h", "bake: 1 day", "like 1d, not '1 day'"),
    "a duration with a short word": ("window: 5m", "window: 5 Min", "like 5m, not '5 Min'"),
    "a weight with a percent sign": ("weight: 50", "weight: 50%", "whole number: 50, not '50%'"),
    "a list of one without brackets":
        ("failures: [failures]", "failures: failures", "not 'failures'; like [failures]"),
    "a baseline by its name":
        ("baseline: {concurrent: stable_duration}", "baseline: stable_duration",
         "like {frozen: stable_duration, window: 24h}"),
    "a step of another tool":
        ("{weight: 50, bake: 1h}", "{weight: 50, pause: 1h}", "like {weight: 50, bake: 1h}"),
    "a control by its name":
        ("control: {total: stable_requests, failures: [stable_failures]}",
         "control: stable_requests", "like {total: stable_requests, failures: [stable_failures]}"),
})  # fmt: skip
def test_a_value_is_quoted_as_it_would_be_right(old: str, new: str, fix: str) -> None:
    assert old in CHECKOUT
    assert fix in messages(CHECKOUT.replace(old, new))[0]


@cases("old, new, place, written", {
    "two days in minutes": ("window: 5m", "window: 2880m", "criteria.traffic.window", "2880m"),
    "no part of a day": ("window: 5m", "window: 2520s", "criteria.traffic.window", "2520s"),
    "too many days, in hours": ("bake: 24h, ", "bake: 360h, ", "steps[2].bake", "360h"),
    "a minute in seconds":
        ("version: 1", "version: 1\nevaluation_delay: 60s", "evaluation_delay", "60s"),
    "a bake below the windows":
        ("{weight: 50, bake: 1h}", "{weight: 50, bake: 60s}", "steps[1].bake", "60s"),
})  # fmt: skip
def test_a_duration_is_quoted_as_it_is_written(
    old: str, new: str, place: str, written: str
) -> None:
    assert old in CHECKOUT
    message = messages(CHECKOUT.replace(old, new, 1))[0]
    assert f": {place}: " in message
    assert f" {written}" in message


def test_the_cache_of_a_flag_is_quoted_as_it_is_written() -> None:
    target = AppConfigFlag.example.replace("}", ", cache: 60s}")
    found = messages(re.sub(r"\ntarget:.*", f"\ntarget: {target}", CHECKOUT))
    assert [one for one in found if "target.cache: must be from 15s to 45s, not 60s" in one]


@pytest.mark.parametrize("weekday", ["fri", "Fri", "FRI", "friday", "Friday"])
def test_a_weekday_is_read_in_any_case_and_length(weekday: str) -> None:
    freeze = f"freeze: {{zone: UTC, weekly: [{{from: {weekday} 16:00, to: Mon 08:00}}]}}\n"
    policy = loads(CHECKOUT + freeze, "p.yaml")
    assert policy.freeze is not None
    assert [window.text for window in policy.freeze.windows] == ["fri 16:00 to mon 08:00"]


@pytest.mark.parametrize("weekday", ["fr", "freitag", "fridays"])
def test_what_is_no_weekday_is_refused_with_all_of_them(weekday: str) -> None:
    freeze = f"freeze: {{zone: UTC, weekly: [{{from: {weekday} 16:00, to: mon 08:00}}]}}\n"
    (line,) = messages(CHECKOUT + freeze)
    assert line.endswith("known: mon, tue, wed, thu, fri, sat, sun")


def test_a_key_that_is_nearly_right_is_named_without_an_example() -> None:
    (line,) = messages(CHECKOUT.replace("bake: 24h", "bake: 24h, aproval: required"))
    assert line.endswith("steps[2].aproval: unknown key; did you mean 'approval'?")


def all_models(model: type[Model] = Model) -> list[type[Model]]:
    return [model, *(one for child in model.__subclasses__() for one in all_models(child))]


def test_each_example_of_a_model_is_one() -> None:
    policy_schema()  # loads every kind
    models = [
        one for one in all_models() if one.__module__.startswith("controller.") and one.example
    ]
    assert len(models) > 25
    for model in models:
        data: Any = yaml_file.parse(model.example, "example").data
        TypeAdapter(model).validate_python(data)


def test_whatever_a_policy_holds_has_an_example() -> None:
    without = {
        model.__name__
        for model in all_models()
        if model.__module__.startswith("controller.core.policy")
        and not model.example
        and model.__name__ in policy_schema()["definitions"]
    }
    assert without == set()
    assert not Policy.example
    assert Hooks.example
