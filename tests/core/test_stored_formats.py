"""Which formats are read and written, and what a format has."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from controller.core import stored_formats
from controller.core.policy.criteria import CRITERIA
from controller.core.policy.kind_registry import Registry
from controller.core.policy.notify import CHANNELS
from controller.core.policy.sources import SOURCES
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.core.policy.targets import TARGETS
from controller.core.stored_formats import (
    POLICY_FIELDS,
    may_have,
    newer_policy_fields,
    written_format,
)
from tests.support.cases import cases
from tests.support.stage import short_policy


@cases("stored_format, written", {
    "two versions ago": (1, 2),
    "before the upgrade": (2, 2),
    "after the upgrade": (3, 3),
})  # fmt: skip
def test_what_is_written_the_version_before_can_read(
    stored_format: int, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_formats, "NEWEST", 3)
    assert written_format(stored_format) == written


def test_a_rollout_may_have_what_came_with_its_format_or_before() -> None:
    assert [may_have(stored_format, "threads") for stored_format in (1, 2)] == [False, True]
    assert may_have(1, "due")


POLICY = {
    "notify": [{"kind": "sns", "topic": "a"}, {"kind": "pager", "key": {"secret": "b"}}],
    "metrics": {"requests": {"source": {"token": {"secret": "c"}}}},
}


@cases("path, is_newer", {
    "a field": ("notify", True),
    "a field of each item": ("notify.*.topic", True),
    "a value": ("notify.*.kind.pager", True),
    "a key at any name": ("metrics.*.source.*.secret", True),
    "another value": ("notify.*.kind.slack", False),
    "the beginning of a value": ("notify.*.kind.pag", False),
    "more than a value": ("notify.*.kind.pager.key", False),
    "no field": ("hooks.before_start", False),
})  # fmt: skip
def test_a_newer_field_of_a_policy_is_found_by_its_path(
    path: str, is_newer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_formats, "POLICY_FIELDS", {path: 2})
    assert newer_policy_fields(POLICY, 1) == ({path: 2} if is_newer else {})
    assert newer_policy_fields(POLICY, 2) == {}


def test_each_newer_field_of_a_policy_is_one_that_a_policy_can_have() -> None:
    place = {"parameter": "/rollouts/key"}
    policy = short_policy(
        notify=[
            {"kind": "slack-bot", "channel": "C0123456789", "token": place},
            {"kind": "pagerduty", "routing_key": place},
        ],
        hooks={
            "before_start": [{"kind": "https", "url": "https://a.example.com/", "secret": place}]
        },
    )
    snapshot = json.loads(policy.snapshot())
    source = {"prometheus": "https://a.example.com", "token": place}
    metrics = {"more": {"source": PrometheusSource.model_validate(source).model_dump(mode="json")}}
    found = newer_policy_fields({**snapshot, "metrics": metrics}, 1)
    missing = sorted(POLICY_FIELDS.keys() - found.keys())
    assert not missing, f"add to this policy what has {', '.join(missing)}"
    assert found == POLICY_FIELDS


# The kinds of the first format, in which every version reads them. A later kind is not added here.
FIRST_FORMAT = {
    "criteria.*.kind": {
        "success_rate", "latency_increase", "threshold", "traffic", "share", "burn_rate", "alarm",
        "log_events", "attestation",
    },
    "target.kind": {"lambda-env", "lambda-alias", "alb-weights", "appconfig"},
    "notify.*.kind": {"sns", "slack", "eventbridge"},
    "metrics.*.source": {"prometheus"},
}  # fmt: skip
KINDS: Mapping[str, Registry[Any]] = {
    "criteria.*.kind": CRITERIA,
    "target.kind": TARGETS,
    "notify.*.kind": CHANNELS,
    "metrics.*.source": SOURCES,
}


@pytest.mark.parametrize("place", KINDS)
def test_a_version_before_a_kind_never_reads_a_rollout_that_has_it(place: str) -> None:
    later = [kind for kind in KINDS[place].built_in if kind not in FIRST_FORMAT[place]]
    missing = [f"{place}.{kind}" for kind in later if f"{place}.{kind}" not in POLICY_FIELDS]
    assert not missing, (
        f"controller/core/stored_formats.py: POLICY_FIELDS has no row for {', '.join(missing)}: "
        "add each with the format that comes next, which is NEWEST unless that is released"
    )
