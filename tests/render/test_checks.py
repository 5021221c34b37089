from controller.operations.checks import Check, any_failed, fail, ok, unread, warn
from controller.render.checks import checks_data, checks_page
from controller.render.page import plain_text

CHECKS = [
    ok("variables", "NEW_PATH_PERCENTAGE=10, as the rollout asked"),
    warn("aliases", "lambda:ListAliases is denied", "grant the action to this role"),
    unread("log group", "it did not answer"),
    fail("share", "40 of 100 requests took the canary", "look at the application's flag"),
]


def test_a_check_is_one_line_with_level_detail_and_remedy() -> None:
    assert plain_text(checks_page(CHECKS)).split("\n") == [
        "ok    variables  NEW_PATH_PERCENTAGE=10, as the rollout asked",
        "warn  aliases    lambda:ListAliases is denied; grant the action to this role",
        "skip  log group  not checked: it did not answer",
        "FAIL  share      40 of 100 requests took the canary; look at the application's flag",
        "1 ok, 1 warn, 1 not checked, 1 fail",
    ]


def test_no_checks_are_one_line_of_zeros() -> None:
    assert plain_text(checks_page([])).split("\n") == ["0 ok, 0 warn, 0 fail"]


def test_only_a_failed_check_fails_them_all() -> None:
    assert [any_failed(CHECKS), any_failed(CHECKS[:3]), any_failed([])] == [True, False, False]


def test_checks_are_data_too() -> None:
    data = checks_data(CHECKS[1:2])

    assert data == {
        "failed": False,
        "checks": [
            {
                "what": "aliases",
                "level": "warn",
                "seen": "lambda:ListAliases is denied",
                "remedy": "grant the action to this role",
            }
        ],
    }


def test_a_check_needs_no_remedy_where_all_is_well() -> None:
    assert ok("clock", "0.2 s apart") == Check("clock", ok("", "").level, "0.2 s apart", "")
