"""What is done about what is there: only what carries the policy's tag is ever changed."""

from dataclasses import replace

import pytest

from controller.core.monitoring import (
    CONFIRMED,
    PENDING,
    Action,
    Found,
    Kind,
    Monitoring,
    changes,
    name_of,
    refused,
    removals,
    wanted,
)
from tests.core.monitoring.watched import a_watched

ALARM = name_of("shop", "p95-latency")
OURS = Found(Kind.ALARM, ALARM, "shop")
TOPIC = Found(Kind.TOPIC, "rolloutctl-shop", "shop")
DASHBOARD = Found(Kind.DASHBOARD, "rolloutctl-shop", "shop")


def shop(*emails: str) -> Monitoring:
    """Return what a policy with one alarm asks for."""
    return wanted(a_watched("p95-latency"), emails)


def fates(*found: Found, emails: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what becomes of each resource, by kind and name."""
    return {f"{one.kind} {one.name}": str(one.action) for one in changes(shop(*emails), found)}


def test_on_an_empty_account_everything_is_made_and_the_topic_first() -> None:
    assert list(fates(emails=("a@example.com",)).items()) == [
        ("topic rolloutctl-shop", "create"),
        ("subscription a@example.com", "create"),
        (f"alarm {ALARM}", "create"),
        ("dashboard rolloutctl-shop", "create"),
    ]


def test_nobody_to_tell_needs_no_topic() -> None:
    assert list(fates()) == [f"alarm {ALARM}", "dashboard rolloutctl-shop"]


def test_a_topic_that_was_made_once_stays_without_an_address() -> None:
    assert fates(TOPIC, OURS, DASHBOARD)["topic rolloutctl-shop"] == "leave"


def test_an_address_is_asked_once() -> None:
    asked = [Found(Kind.SUBSCRIPTION, "a@example.com", state=PENDING)]
    found = changes(shop("a@example.com"), [TOPIC, *asked])
    (one,) = (one for one in found if one.kind is Kind.SUBSCRIPTION)
    assert (one.action, one.why) == (Action.LEAVE, PENDING)


def test_an_address_that_somebody_else_added_stays() -> None:
    there = Found(Kind.SUBSCRIPTION, "b@example.com", state=CONFIRMED)
    assert fates(TOPIC, there)["subscription b@example.com"] == "leave"


@pytest.mark.parametrize(
    ("found", "fate"),
    [
        pytest.param(OURS, "leave", id="as it should be"),
        pytest.param(replace(OURS, differs=("Threshold",)), "change", id="it differs"),
        pytest.param(replace(OURS, owner=""), "foreign", id="without a tag"),
        pytest.param(replace(OURS, owner="other"), "foreign", id="of another policy"),
        pytest.param(replace(OURS, stack="mine"), "foreign", id="of a stack, with our tag"),
    ],
)
def test_an_alarm_of_that_name(found: Found, fate: str) -> None:
    assert fates(found)[f"alarm {ALARM}"] == fate


def test_what_the_policy_asks_for_no_longer_goes() -> None:
    old = Found(Kind.ALARM, name_of("shop", "old"), "shop")
    assert fates(OURS, old)[f"alarm {old.name}"] == "remove"


def test_an_alarm_whose_baseline_nobody_knows_here_stays() -> None:
    """Somewhere else, with the store of its rollout, it was worked out."""
    there = Found(Kind.ALARM, name_of("shop", "frozen"), "shop")
    planned = changes(wanted(a_watched("frozen")), [there])
    assert [(one.action, one.why) for one in planned if one.kind is Kind.ALARM] == [
        (Action.LEAVE, "its baseline is not known here")
    ]
    (alarm,) = (one for one in removals(wanted(a_watched("frozen")), [there]))
    assert alarm.action is Action.REMOVE


def test_an_alarm_of_a_policy_whose_name_goes_on_is_nobodys_business() -> None:
    """`rolloutctl-shop-two-SC-004` begins like the alarms of `shop`."""
    other = Found(Kind.ALARM, name_of("shop-two", "SC-004"), "shop-two")
    assert f"alarm {other.name}" not in fates(other)
    assert removals(shop(), [other]) == []


def test_a_topic_of_somebody_else_is_in_the_way_only_where_one_is_needed() -> None:
    foreign = replace(TOPIC, owner="")
    assert "topic rolloutctl-shop" not in fates(foreign)
    assert fates(foreign, emails=("a@example.com",))["topic rolloutctl-shop"] == "foreign"


def test_one_foreign_resource_is_enough_to_refuse() -> None:
    planned = changes(shop(), [replace(DASHBOARD, owner="")])
    assert [one.name for one in refused(planned)] == ["rolloutctl-shop"]


def test_remove_takes_all_that_is_ours_the_topic_last() -> None:
    old = Found(Kind.ALARM, name_of("shop", "old"), "shop")
    told = Found(Kind.SUBSCRIPTION, "a@example.com", state=CONFIRMED)
    planned = removals(shop(), [TOPIC, told, OURS, old, DASHBOARD])
    assert [(one.action, one.kind) for one in planned] == [
        (Action.REMOVE, Kind.DASHBOARD),
        (Action.REMOVE, Kind.ALARM),
        (Action.REMOVE, Kind.ALARM),
        (Action.REMOVE, Kind.TOPIC),
    ]


def test_remove_leaves_what_somebody_else_made_and_says_so() -> None:
    (one,) = removals(shop(), [replace(OURS, owner="")])
    assert (one.action, one.why) == (Action.FOREIGN, "somebody else made it: it has no tag of ours")
