"""Under exactly the policy that `rolloutctl iam` prints: nothing is missing, nothing is too much.

The emulator asks IAM at every call. It does not ask for leading keys: what a role is bound to is
shown by tests/bootstrap/test_tenants.py. Nothing but the function, the table and the role is real
here: what a role needs of a customer's key, no emulator at hand can tell.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.client import BaseClient
from freezegun import api

from controller.bootstrap import iam
from controller.bootstrap.iam import Job
from controller.policy_file.loader import loads
from controller.process import settings
from tests.e2e import role as roles
from tests.e2e.account import POLICY, Account
from tests.e2e.on_call import Desk, changed
from tests.e2e.role import Document, Grant, Role
from tests.e2e.role_walks import BESIDE, FIXED, OTHER_URL, UNBOUND, WALKS, Walk
from tests.e2e.stored_items import ON_A_TABLE, URL
from tests.support import emulator
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator in which a role may do what its policy allows, and nothing else."""
    with emulator.running_emulator(tmp_path_factory.mktemp("enforcing"), enforcing=True) as running:
        yield running


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0 %, whose own role has to be there."""
    found = Account.of(ministack, account)
    roles.make_role(found.client("iam"), "handler", {"Service": "lambda.amazonaws.com"})
    found.create()
    return found


@pytest.fixture
def role(shop: Account, monkeypatch: pytest.MonkeyPatch) -> Role:
    """A role that may do nothing yet; what it signs is of now, wherever the clock was moved to."""
    monkeypatch.setattr("botocore.auth.get_current_datetime", _really_now)
    return Role(shop, monkeypatch)


def _really_now(*_: object) -> datetime:
    return api.real_datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture
def asked(shop: Account, monkeypatch: pytest.MonkeyPatch) -> set[Grant]:
    """What every call of this process asks IAM for, from the first use of this fixture on."""
    found: set[Grant] = set()
    real = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, request: dict[str, object]) -> object:
        service = self.meta.service_model.service_name
        if self._request_signer._credentials.token:  # the role's session, and not the account
            found.update(roles.asked(service, operation, request, shop.number))
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


def at_the_other_end(walk: Walk, number: str) -> list[Grant]:
    """Return everything on the table that is not the role's, where rollouts move between two."""
    other = {URL: OTHER_URL, OTHER_URL: URL}[walk.store].removeprefix("dynamodb://")
    table = f"arn:aws:dynamodb:{emulator.REGION}:{number}:table/{other}"
    return [("dynamodb:*", table), ("dynamodb:*", f"{table}/index/*")]


def walk_as(desk: Desk, role: Role, walk: Walk, granted: list[Grant]) -> str:
    """Walk until something goes wrong; return what was said then, empty when all went well."""
    role.may(roles.of([*granted, *at_the_other_end(walk, role.account.number)]))
    for answer, went_well in walk.take(desk):
        if not went_well:
            return answer.out + answer.err
    return ""


def unseen(grant: Grant, job: Job) -> bool:
    """Tell whether a grant is used by CloudFormation itself, or where it refuses a template.

    tests/cli/test_iam.py holds these to the schemas of CloudFormation's resources.
    """
    action, _ = grant
    service = action.partition(":")[0]
    beside = service in ("cloudwatch", "sns") or action == "cloudformation:DescribeEvents"
    return job is Job.MONITORING and beside


@pytest.mark.parametrize("job", [*WALKS, *BESIDE], ids=str)
@ON_A_TABLE
def test_a_role_needs_all_that_is_printed_for_it_and_nothing_else(
    desk: Desk, role: Role, asked: set[Grant], job: Job
) -> None:
    walk = {**WALKS, **BESIDE}[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, walk.store)))
    (_, other), _ = at_the_other_end(walk, role.account.number)

    assert walk_as(desk, role, walk, granted) == ""

    seen = {one for one in granted if not unseen(one, job)}
    assert {one for one in asked if not one[1].startswith(other)} == seen


@pytest.mark.parametrize("job", UNBOUND, ids=str)
@ON_A_TABLE
def test_an_unbound_role_needs_all_that_is_printed_for_it_and_nothing_else(
    desk: Desk, role: Role, asked: set[Grant], job: Job
) -> None:
    walk = UNBOUND[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, walk.store, "--unbound")))

    assert walk_as(desk, role, walk, granted) == ""

    assert asked == set(granted)


@pytest.mark.parametrize("job", [Job.TICK, Job.START, Job.OPERATE], ids=str)
def test_with_rollouts_in_a_file_a_role_needs_nothing_of_dynamodb(
    desk: Desk, role: Role, asked: set[Grant], job: Job
) -> None:
    walk = WALKS[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, None)))

    assert walk_as(desk, role, walk, granted) == ""

    assert asked == set(granted)


def _each_grant() -> Iterator[object]:
    """Yield every grant once, with the first kind of role that has it."""
    seen: set[Grant] = set()
    known = [loads(changed(POLICY.read_text(), FIXED), "walks.yaml")]
    for job, walk in WALKS.items():
        place = settings.parse_store_url(walk.store)
        for action, arn in roles.grants(iam.iam_policy(known, place, [job], iam.AwsLocation())):
            on = arn.rpartition(":")[2].replace("table/elsewhere", "table/rollouts")
            if (action, on) not in seen:
                seen.add((action, on))
                yield pytest.param(job, action, arn, id=f"{job}: {action} on {on}")


@pytest.mark.parametrize(("job", "action", "arn"), list(_each_grant()))
@ON_A_TABLE
def test_without_one_action_a_walk_ends_with_a_line_that_names_it(
    desk: Desk, role: Role, job: Job, action: str, arn: str
) -> None:
    walk = WALKS[job]
    walk.prepare(desk)
    granted = list(roles.grants(printed(desk, job, walk.store)))
    kept = [one for one in granted if one != (action, _in(role.account, arn))]
    assert len(kept) == len(granted) - 1

    said = walk_as(desk, role, walk, kept)

    (line, *_) = [one for one in said.splitlines() if action in one]
    assert "grant the action to this role" in line


def _in(account: Account, arn: str) -> str:
    """Return an ARN that CloudFormation would fill in as one of `account`."""
    places = {"AWS::Partition": "aws", "AWS::Region": emulator.REGION}
    for name, value in {**places, "AWS::AccountId": account.number}.items():
        arn = arn.replace(f"${{{name}}}", value)
    return arn
