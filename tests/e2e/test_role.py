"""Roles with exactly the policy that `rolloutctl iam` prints: no grant is missing or superfluous.

The emulator evaluates IAM at every call, but not leading keys: tests/bootstrap/test_tenants.py
tests to which keys a role is bound. The emulator cannot test the grants on a customer's KMS key.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from botocore.client import BaseClient
from freezegun import api

from controller.core.policy.field_types import AwsLocation
from controller.policy_file.loader import loads
from controller.process import settings
from controller.tools import iam
from controller.tools.iam import Job
from tests.e2e import role as roles
from tests.e2e.account import BOOLEAN, FUNCTION, PERCENTAGE, POLICY, Account
from tests.e2e.on_call import ROLLOUT, Desk, changed
from tests.e2e.role import Document, Grant, Role
from tests.e2e.role_walks import BESIDE, FIXED, OTHER_URL, UNBOUND, WALKS, Walk
from tests.e2e.stored_items import ON_A_TABLE, URL
from tests.support import emulator
from tests.support.deep_rows import deep_after
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack


@pytest.fixture
def ministack(enforcing_ministack: Emulator) -> Emulator:
    return enforcing_ministack


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0%, whose own role has to be there."""
    created = Account.of(ministack, account)
    roles.make_role(created.client("iam"), "handler", {"Service": "lambda.amazonaws.com"})
    created.create()
    created.client("logs").create_log_group(logGroupName=f"/aws/lambda/{FUNCTION}")
    yesterday = datetime.now(UTC) - timedelta(days=1, hours=3)
    created.call_directly(yesterday, yesterday + timedelta(minutes=1))
    return created


@pytest.fixture
def role(shop: Account, monkeypatch: pytest.MonkeyPatch) -> Role:
    """A role without grants yet; its requests are signed with the real time."""
    monkeypatch.setattr("botocore.auth.get_current_datetime", _real_now)
    return Role(shop, monkeypatch)


def _real_now(*_: object) -> datetime:
    return api.real_datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture
def needed(shop: Account, monkeypatch: pytest.MonkeyPatch) -> set[Grant]:
    """The grants that the calls of the role in this process need, from this fixture on."""
    found: set[Grant] = set()
    real = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, request: dict[str, object]) -> object:
        service = self.meta.service_model.service_name
        if self._request_signer._credentials.token:  # the role's session, and not the account
            found.update(roles.needed_grants(service, operation, request, shop.number))
        return real(self, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return found


def printed(desk: Desk, job: Job, store: str | None, *more: str) -> Document:
    """Return what `rolloutctl iam` prints for a role."""
    where = ("--account", desk.account.number, "--region", emulator.REGION)
    options = ("--for", job, *where, *(("--store", store) if store else ()), *more)
    answer = desk.run("iam", desk.another_policy(**FIXED), *options)
    assert answer.status == 0, answer.err
    document: Document = json.loads(answer.out)
    return document


def other_table_grants(walk: Walk, number: str) -> list[Grant]:
    """Return all grants on the other table, when rollouts are copied between two tables."""
    other = {URL: OTHER_URL, OTHER_URL: URL}[walk.store].removeprefix("dynamodb://")
    table = f"arn:aws:dynamodb:{emulator.REGION}:{number}:table/{other}"
    return [("dynamodb:*", table), ("dynamodb:*", f"{table}/index/*")]


def walk_as(desk: Desk, role: Role, walk: Walk, granted: list[Grant]) -> str:
    """Walk until a command fails; return its output, or an empty text when none failed."""
    role.may(roles.of([*granted, *other_table_grants(walk, role.account.number)]))
    for answer, succeeded in walk.take(desk):
        if not succeeded:
            return answer.out + answer.err
    return ""


def is_indirect(grant: Grant, job: Job) -> bool:
    """Tell whether only CloudFormation itself uses a grant, or only a refused template does.

    tests/cli/test_iam.py checks these grants against the schemas of CloudFormation's resources.
    """
    action, _ = grant
    service = action.partition(":")[0]
    indirect = service in ("cloudwatch", "sns") or action == "cloudformation:DescribeEvents"
    return job is Job.MONITORING and indirect


def is_optional(grant: Grant, job: Job) -> bool:
    """Tell whether a job goes on without a grant: then `init` does not say if it could start."""
    return job is Job.INIT and grant[0] == "dynamodb:Query"


@pytest.mark.parametrize("job", deep_after(4, [*WALKS, *BESIDE]), ids=str)
@ON_A_TABLE
def test_a_role_needs_all_that_is_printed_for_it_and_nothing_else(
    desk: Desk, role: Role, needed: set[Grant], job: Job
) -> None:
    walk = {**WALKS, **BESIDE}[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, walk.store)))
    (_, other), _ = other_table_grants(walk, role.account.number)

    assert walk_as(desk, role, walk, granted) == ""

    seen = {one for one in granted if not is_indirect(one, job)}
    asked = {one for one in needed if not is_optional(one, job)}
    assert {one for one in asked if not one[1].startswith(other)} == seen


@pytest.mark.parametrize("job", deep_after(1, UNBOUND), ids=str)
@ON_A_TABLE
def test_an_unbound_role_needs_all_that_is_printed_for_it_and_nothing_else(
    desk: Desk, role: Role, needed: set[Grant], job: Job
) -> None:
    walk = UNBOUND[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, walk.store, "--unbound")))

    assert walk_as(desk, role, walk, granted) == ""

    assert needed == set(granted)


@ON_A_TABLE
def test_a_role_that_may_only_lower_moves_no_weight_itself(desk: Desk, role: Role) -> None:
    WALKS[Job.LOWER].prepare(desk)
    role.may(roles.of(list(roles.grants(printed(desk, Job.LOWER, URL)))))
    before = desk.account.pair()
    for words in (
        ["set-weight", ROLLOUT, "50", "--force"],
        ["promote", ROLLOUT, "--reason", "in a hurry"],
        ["resume", ROLLOUT, "--keep"],
        ["rollback", ROLLOUT],
        ["rollback", "--function", FUNCTION, "--percentage", PERCENTAGE, "--boolean", BOOLEAN],
    ):
        answer = desk.run(*words)
        assert answer.status != 0, words
        assert desk.account.pair() == before


@pytest.mark.parametrize("job", deep_after(1, [Job.TICK, Job.START, Job.OPERATE]), ids=str)
def test_with_rollouts_in_a_file_a_role_needs_nothing_of_dynamodb(
    desk: Desk, role: Role, needed: set[Grant], job: Job
) -> None:
    walk = WALKS[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, None)))

    assert walk_as(desk, role, walk, granted) == ""

    assert needed == set(granted)


SAMPLED: Final = (Job.TICK, Job.OPERATE)


def _each_grant() -> Iterator[object]:
    """Yield every grant once, with the first kind of role that has it."""
    seen: set[Grant] = set()
    first = dict[Job, Grant]()
    known = [loads(changed(POLICY.read_text(), FIXED), "walks.yaml")]
    for job, walk in WALKS.items():
        place = settings.parse_store_url(walk.store)
        for action, arn in roles.grants(iam.iam_policy(known, place, [job], AwsLocation())):
            on = arn.rpartition(":")[2].replace("table/elsewhere", "table/rollouts")
            if (action, on) not in seen:
                seen.add((action, on))
                sampled = job in SAMPLED and first.setdefault(job, (action, on)) == (action, on)
                yield pytest.param(
                    job,
                    action,
                    arn,
                    marks=() if sampled else pytest.mark.deep,
                    id=f"{job}: {action} on {on}",
                )


@pytest.mark.parametrize(("job", "action", "arn"), list(_each_grant()))
@ON_A_TABLE
def test_without_one_action_a_walk_ends_with_a_line_that_names_it(
    desk: Desk, role: Role, job: Job, action: str, arn: str
) -> None:
    walk = WALKS[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, walk.store)))
    kept = [one for one in granted if one != (action, _in(role.account, arn))]
    assert len({*kept}) == len({*granted}) - 1

    output = walk_as(desk, role, walk, kept)

    (line, *_) = [one for one in output.splitlines() if action in one]
    assert "grant the action to this role" in line or f"grant {action}" in line


def _in(account: Account, arn: str) -> str:
    """Return an ARN that CloudFormation would fill in as one of `account`."""
    places = {"AWS::Partition": "aws", "AWS::Region": emulator.REGION}
    for name, value in {**places, "AWS::AccountId": account.number}.items():
        arn = arn.replace(f"${{{name}}}", value)
    return arn
