"""deploy/github/comment.py: comments on pull requests, on a fake of GitHub's REST API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.action import (
    COMMIT,
    INVALID,
    PROGRAM,
    TOKEN,
    VALID,
    ActionRun,
    plant_modules,
    run_action,
)
from tests.support.deep_rows import deep_after
from tests.support.github_api import AUTHORIZED, GitHub, github, job

PULL_REQUEST = {"pull_request": {"number": 7}}
PUSH = {"head_commit": {"id": COMMIT}}
# What a test needs of the program whose own plans, pages and messages it does not read.
SHOWS_THE_POLICY = """case $1 in plan) cat "${@: -1}";; esac"""
RUN_ADDRESS = "https://github.invalid/shop/orders/actions/runs/4711"


@pytest.fixture
def api() -> Iterator[GitHub]:
    with github() as running:
        yield running


def check(
    checkout: Path,
    api: GitHub,
    event: dict[str, Any] = PULL_REQUEST,
    limit_s: str = "30",
    program: str = SHOWS_THE_POLICY,
    **inputs: str,
) -> ActionRun:
    """Check policies with comments; without a rehearsal."""
    environment = {**job(api, checkout.parent, event), "COMMENT_LIMIT_S": limit_s}
    asked = {"policies": VALID, "scenarios": "", "comment": "true", **inputs}
    return run_action(checkout, environment, program, **asked)


def rollout(revision: str = COMMIT, number: int = 1, account: str = "1") -> str:
    """Return a rolloutctl that starts, and says that the rollout is at 10%."""
    about = {"id": f"checkout#{number}", "target": f"arn:{account}", "revision": revision}
    return f"""case "$*" in
        status*--json*) echo '{json.dumps(about)}';;
        status*) echo '### checkout at 10%';;
        plan*) echo 'time to a rollback at <600> requests';;
        report*) touch "${{2#--html=}}";;
    esac"""


def act(
    checkout: Path, api: GitHub, program: str, event: dict[str, Any] = PUSH, **inputs: str
) -> ActionRun:
    """Act on a rollout with comments."""
    environment = job(api, checkout.parent, event)
    asked = {"command": "start", "rollout": VALID, "comment": "true", **inputs}
    return run_action(checkout, environment, program, **asked)


# --- policies -----------------------------------------------------------------------------------


def test_each_policy_gets_a_comment_with_its_gates_and_timeline_and_a_report(
    checkout: Path, api: GitHub
) -> None:
    run = check(
        checkout, api, program=PROGRAM, policies=f"{VALID}\n{INVALID}", scenarios="healthy",
        requests_per_minute="600", report="pages",
    )  # fmt: skip
    valid, invalid = api.bodies(7)
    assert run.status == 1  # one of the policies has mistakes
    assert f"### ` {VALID} `: no mistakes were found" in valid
    assert "time to a rollback at 600 requests a minute (given)" in valid
    assert "### checkout: succeeded at 100%" in valid
    assert " → 100%  advanced" in valid
    assert valid.endswith(
        f"[the job]({RUN_ADDRESS}) · [report (HTML)](https://github.invalid/pages)"
    )
    assert f"### ` {INVALID} `: has a mistake" in invalid
    assert "no metric is called 'errors'; known: requests" in invalid
    assert api.tokens == {AUTHORIZED}
    assert "time to a rollback at 600 requests a minute (given), " in run.summary
    assert run.summary.endswith("[Report of the rollout (HTML)](https://github.invalid/pages)\n\n")
    (file,) = (checkout.parent / "runner" / "temp" / "rolloutctl-report").iterdir()
    assert file.name == "policies-checkout-yaml-healthy.html"
    assert "checkout succeeded at 100" in file.read_text(encoding="utf-8")


def test_a_comment_is_found_behind_many_others_and_updated_in_place(
    checkout: Path, api: GitHub
) -> None:
    for number in range(230):
        api.add(7, f"remark {number}", "octocat")
    check(checkout, api)
    text = (checkout / VALID).read_text(encoding="utf-8")
    (checkout / VALID).write_text(text.replace("99.9%", "99.8%"), encoding="utf-8")
    check(checkout, api)
    (body,) = api.bodies(7)
    assert (api.writes, "99.8%" in body) == (["POST", "PATCH"], True)


def test_a_comment_of_somebody_else_is_left_alone(checkout: Path, api: GitHub) -> None:
    """A person who quotes the hidden marker keeps the comment."""
    check(checkout, api)
    (body,) = api.bodies(7)
    api.comments.clear()
    api.add(7, body, "octocat")
    check(checkout, api)
    assert api.bodies(7, "octocat") == [body]
    assert len(api.bodies(7)) == 1


@pytest.mark.parametrize("event", deep_after(2, [PUSH, {"issue": {"number": 7}}, {}]), ids=str)
def test_a_check_outside_a_pull_request_posts_nothing(
    checkout: Path, api: GitHub, event: dict[str, Any]
) -> None:
    run = check(checkout, api, event)
    assert (run.status, api.requests, "no pull request: no comment" in run.log) == (0, [], True)


def test_a_comment_on_a_pull_request_names_it_as_an_issue(checkout: Path, api: GitHub) -> None:
    """`issue_comment` has the pull request as an issue."""
    check(checkout, api, {"issue": {"number": 7, "pull_request": {"url": "..."}}})
    assert len(api.bodies(7)) == 1


def test_without_the_input_nothing_is_asked(checkout: Path, api: GitHub) -> None:
    run = check(checkout, api, comment="false")
    assert (run.status, api.requests) == (0, [])


# --- rollouts -----------------------------------------------------------------------------------


def test_a_rollout_is_told_on_the_pull_request_of_its_commit(checkout: Path, api: GitHub) -> None:
    """The start, on a push, and later the rollback, by hand: one comment."""
    api.pulls[COMMIT] = [7]
    started = act(checkout, api, rollout(), report="page")
    (first,) = api.bodies(7)
    back = act(checkout, api, rollout(), {"inputs": {}}, command="rollback", rollout="checkout")
    (second,) = api.bodies(7)
    assert (started.status, back.status, api.writes) == (0, 0, ["POST", "PATCH"])
    assert "### checkout at 10%" in first
    assert "time to a rollback at &lt;600> requests" in first
    assert "[report (HTML)](https://github.invalid/page)" in first
    assert "time to a rollback" not in second


def test_another_rollout_or_account_gets_another_comment(checkout: Path, api: GitHub) -> None:
    api.pulls[COMMIT] = [7]
    for program in (rollout(), rollout(number=2), rollout(account="2"), rollout()):
        act(checkout, api, program)
    assert api.writes == ["POST", "POST", "POST", "PATCH"]


@pytest.mark.parametrize("revision", [COMMIT, "v1", f"{COMMIT}/../../user", ""])
def test_a_rollout_without_a_pull_request_posts_nothing(
    checkout: Path, api: GitHub, revision: str
) -> None:
    run = act(checkout, api, rollout(revision))
    assert (run.status, api.writes) == (0, [])
    assert len(api.requests) == (revision == COMMIT)
    assert "no pull request: no comment" in run.log


def test_a_rollout_that_cannot_be_read_posts_nothing(checkout: Path, api: GitHub) -> None:
    run = act(checkout, api, "case $1 in status) exit 1;; start) exit 4;; esac", PULL_REQUEST)
    assert (run.status, api.requests) == (4, [])


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    deep_after(
        2,
        [
            pytest.param(403, "pull-requests: write"),
            pytest.param(500, "GitHub answered 500"),
            pytest.param(401, "pull-requests: write"),
            pytest.param(404, "pull-requests: write"),
            pytest.param(422, "GitHub answered 422"),
        ],
    ),
)
def test_a_comment_that_is_refused_fails_no_job(
    checkout: Path, api: GitHub, status: int, words: str
) -> None:
    api.status = status
    run = check(checkout, api)
    (warning,) = [line for line in run.log.splitlines() if line.startswith("::warning ")]
    assert (run.status, run.commands, words in warning) == (0, [], True)
    assert TOKEN not in run.log


def test_an_answer_that_takes_too_long_fails_no_job(checkout: Path, api: GitHub) -> None:
    api.delay_s = 3
    run = check(checkout, api, limit_s="1")
    assert (run.status, "GitHub took too long" in run.log) == (0, True)


def test_the_token_goes_nowhere_else(checkout: Path, api: GitHub) -> None:
    with github() as other:
        api.location = f"{other.url}/elsewhere"
        run = check(checkout, api)
    assert (run.status, other.requests) == (0, [])
    assert "GitHub answered 302" in run.log


def test_an_api_that_is_not_there_fails_no_job(checkout: Path, api: GitHub) -> None:
    with github() as gone:
        pass
    run = check(checkout, gone)
    assert (run.status, "GitHub gave no answer" in run.log) == (0, True)


def test_a_job_without_an_event_does_not_fail(checkout: Path, api: GitHub) -> None:
    environment = {**job(api, checkout.parent, PULL_REQUEST), "GITHUB_EVENT_PATH": "/nowhere"}
    inputs = {"policies": VALID, "scenarios": "", "comment": "true"}
    run = run_action(checkout, environment, SHOWS_THE_POLICY, **inputs)
    assert (run.status, "::warning title=rolloutctl::no comment" in run.log) == (0, True)


def test_the_token_is_not_seen_by_a_module_of_the_checkout(checkout: Path, api: GitHub) -> None:
    imported = plant_modules(checkout)
    environment = {**job(api, checkout.parent, PULL_REQUEST), "PYTHONPATH": str(checkout)}
    inputs = {"policies": VALID, "scenarios": "", "comment": "true"}
    run_action(checkout, environment, SHOWS_THE_POLICY, **inputs)
    assert len(api.bodies(7)) == 1
    assert not imported.exists()


# --- limits and hostile text --------------------------------------------------------------------


def test_a_comment_has_at_most_the_characters_that_github_takes(
    checkout: Path, api: GitHub
) -> None:
    """Sections are left out as a whole, and the link to the job stays."""
    long = "case $1 in rehearse) head -c 40000 /dev/zero | tr '\\0' x;; plan) echo plan;; esac"
    environment = job(api, checkout.parent, PULL_REQUEST)
    run_action(checkout, environment, long, policies=VALID, scenarios="a\nb\nc", comment="true")
    (body,) = api.bodies(7)
    assert 40_000 < len(body) <= 65_536
    assert "Left out, as a comment has a limit: 2." in body
    assert "<summary>Plan</summary>" in body
    assert body.endswith(f"[the job]({RUN_ADDRESS})")


def test_a_job_writes_a_limited_number_of_comments(checkout: Path, api: GitHub) -> None:
    many = "\n".join([VALID.replace("checkout", f"no{number}") for number in range(23)])
    environment = job(api, checkout.parent, PULL_REQUEST)
    run = run_action(checkout, environment, "exit 2", policies=many, comment="true")
    assert len(api.bodies(7)) == 20
    assert run.log.count("::warning title=rolloutctl::no comment") == 3


def test_nothing_that_a_policy_or_its_name_says_is_markdown(checkout: Path, api: GitHub) -> None:
    name = "policies/@team `<img src=x>` [a](b).yaml"
    text = (checkout / VALID).read_text(encoding="utf-8")
    hostile = f"summary: '@team <img src=x> [a](b) </pre>'\n{text}"
    (checkout / name).write_text(hostile, encoding="utf-8")
    check(checkout, api, program=PROGRAM, policies=name)
    (body,) = api.bodies(7)
    assert f"### `` {name} ``: no mistakes were found" in body
    outside = body.replace(f"`` {name} ``", "")
    before, _, rest = outside.partition("<pre>")
    inside, _, after = rest.partition("</pre>")
    assert "@team &lt;img src=x> [a](b) &lt;/pre>" in inside
    assert "team" not in before + after
