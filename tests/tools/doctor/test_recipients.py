"""Doctor check of the list of recipients."""

from controller.core.message import RecipientList
from controller.operations.checks import CheckLevel
from controller.tools.doctor import recipients_check
from tests.support.stage import short_policy

BUS, GATE = "events:event-bus/default", "lambda:function:gate"
POLICY = short_policy(
    name="shop",
    notify=[{"kind": "eventbridge"}],
    hooks={"before_start": [{"kind": "lambda", "function": "gate"}]},
)


def test_without_a_list_the_check_warns_and_says_what_to_list() -> None:
    check = recipients_check(POLICY, None)
    assert check is not None
    assert check.level is CheckLevel.WARN
    assert f"shop: [{BUS}, {GATE}]" in check.remedy
    assert recipients_check(short_policy(), None) is None


def test_with_a_list_what_it_does_not_give_fails() -> None:
    check = recipients_check(POLICY, RecipientList({"shop": (BUS,)}))
    assert check is not None
    assert (check.level, GATE in check.detail, BUS in check.detail) == (
        CheckLevel.FAIL,
        True,
        False,
    )
    check = recipients_check(POLICY, RecipientList({"shop": (BUS,), "*": (GATE,)}))
    assert check is not None
    assert check.level is CheckLevel.OK
