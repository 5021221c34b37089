"""A role bound to one policy reaches no rollout of another: every request, by IAM's rules.

The emulators ignore `dynamodb:LeadingKeys`, so a test evaluator checks each request before them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from controller.adapters.aws.clients import Clients
from controller.adapters.iam import ACCOUNT_JOBS, TRAFFIC_JOBS
from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.table import TABLE_DEFINITION
from controller.core.judge.evidence import FixStart, RolloutEvidence
from controller.core.message import RecipientList
from controller.errors import Exit, StoreError
from controller.immutable import replace
from controller.tools.iam import Job
from tests.cli.conftest import CliHarness, Ended, MakeDesk
from tests.cli.conftest import desk as desk
from tests.cli.conftest import desk_in as desk_in
from tests.support.core import Live, Phase, Policy
from tests.support.deep_rows import pairs
from tests.support.iam_evaluator import LEADING_KEYS, AccessRequest, Document, allows
from tests.support.rollouts import NOON, a_state, with_entry, with_state
from tests.support.stage import SHORT_POLICY, short_policy
from tests.support.tenants import ACCOUNT, REGION, TABLE, URL, RoleGuard, iam_document, is_allowed
from tests.tools.simulation.worlds import FUNCTION, MINUTE

SECOND = {**SHORT_POLICY["target"], "function": "second"}
OWN = short_policy(name="shop")
NEXT = short_policy(name="shop-next")  # of the same function and variables
# A name with the other one as its prefix, on another function.
FOREIGN = short_policy(name="shop-2", target=SECOND)
POLICIES = {policy.name: policy for policy in (OWN, NEXT, FOREIGN)}


@dataclass
class Tenants:
    """Runs commands as roles with the IAM policies that `iam` prints for a job and a policy."""

    desk: CliHarness
    guard: RoleGuard
    folder: Path

    def file(self, name: str) -> str:
        """Return the file of a policy."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({**SHORT_POLICY, "name": name, "target": _target(name)}))
        return str(path)

    def run(self, job: Job, name: str, *words: str) -> Ended:
        """Run one command as the role of a job that is bound to the policy called `name`."""
        with self.guard.acting_as(job, iam_document(job, POLICIES[name])):
            return self.desk.run(*words)

    def well(self, job: Job, name: str, *words: str, status: int = Exit.DONE) -> Ended:
        """Run one command; nothing is denied, and its exit status is `status`."""
        ended = self.run(job, name, *words)
        assert self.guard.denied == []
        assert ended.status == status, (words, ended.out, ended.err)
        return ended

    def ticks(self, name: str, phase: str, rollout: str) -> None:
        """Tick for a policy, once a minute, until a rollout is in this phase."""
        for _ in range(40):
            if self.phase(rollout) == phase:
                return
            self.desk.world.clock.advance(MINUTE)
            self.well(Job.TICK, name, "tick", "--scheduled", "--policy", name)
        pytest.fail(f"{rollout} is {self.phase(rollout)}")

    def as_doctor(self, name: str) -> None:
        """Read what `doctor` reads of a store; its other checks use other services."""
        store = DynamoDbStore(self.guard.client, TABLE)
        with self.guard.acting_as(Job.DOCTOR, iam_document(Job.DOCTOR, POLICIES[name])):
            assert [store.load(one).name for one in store.active(NOON, [name])] == [name]

    def phase(self, rollout: str) -> str:
        """Return the phase of a rollout, read without a role."""
        return str(DynamoDbStore(self.guard.client, TABLE).load(rollout).phase)

    def foreign(self) -> list[Mapping[str, Any]]:
        """Return all items of the foreign policy."""
        return self.guard.items("ROLLOUT#shop-2", "HISTORY#shop-2#", f"LOCK#{_arn('second')}#")


def _target(name: str) -> Mapping[str, Any]:
    return SECOND if name == FOREIGN.name else SHORT_POLICY["target"]


def _arn(function: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"


@pytest.fixture
def tenants(
    desk_in: MakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tenants]:
    """A table with an open rollout of the foreign policy at 10%."""
    desk = desk_in()
    desk.world.add_function("second", {"PERCENTAGE": "0", "ENABLED": "false"})
    monkeypatch.setenv("ROLLOUTCTL_STORE", URL)
    with mock_aws():
        guard = RoleGuard.new()
        world_client = desk.world.client

        def client(_self: Clients, service: str, **_how: bool) -> Any:
            return guard.client if service == "dynamodb" else world_client(service)

        monkeypatch.setattr(Clients, "get", client)
        guard.client.create_table(TableName=TABLE, **TABLE_DEFINITION)
        tenants = Tenants(desk, guard, tmp_path)
        tenants.well(Job.START, "shop-2", "start", tenants.file("shop-2"))
        yield tenants


def test_who_checks_a_store_needs_what_iam_prints_and_reads_every_record(tenants: Tenants) -> None:
    ended = tenants.well(Job.STORE_CHECK, "shop", "store", "check")
    assert ended.out == "1 record checked: nothing is wrong\n"


def test_a_whole_rollout_needs_no_permission_that_iam_does_not_print_for_the_job(
    tenants: Tenants,
) -> None:
    """Every verb: 0 to 100%, success, rollback, the next attempt, another policy's takeover."""
    foreign = tenants.foreign()
    policy, well = tenants.file("shop"), tenants.well

    well(Job.START, "shop", "plan", policy, "--live")
    well(Job.START, "shop", "start", policy, "--dry-run")
    well(Job.START, "shop", "start", policy)
    well(Job.START, "shop", "start", policy)
    tenants.ticks("shop", "succeeded", "shop#1")
    assert tenants.desk.weight == 100
    well(Job.OPERATE, "shop", "rollback", "shop", "--reason", "a complaint")
    tenants.ticks("shop", "rolled_back", "shop#1")
    well(Job.TICK, "shop", "tick", "shop")

    well(Job.START, "shop", "retry", policy, "--reason", "it was not us")
    tenants.ticks("shop", "progressing", "shop#2")
    for words in (
        ("pause", "shop"),
        ("resume", "shop"),
        ("set-weight", "shop", "12", "--force", "--reason", "try it"),
        ("resume", "shop", "--keep"),
        ("ack", "shop"),
        ("status", "shop"),
        ("history", "shop"),
        ("replay", "shop"),
        ("promote", "shop", "--reason", "in a hurry"),
    ):
        ended = tenants.run(Job.OPERATE, "shop", *words)
        assert ended.status in (Exit.DONE, Exit.USAGE), (words, ended.err)
    for job, *look in (
        (Job.READ, "status", "shop"),
        (Job.READ, "history", "shop"),
        (Job.READ, "replay", "shop"),
        (Job.INVESTIGATE, "metrics", "shop"),
    ):
        tenants.run(job, "shop", *look)
    tenants.run(Job.INVESTIGATE, "shop", "verify", policy)
    tenants.as_doctor("shop")
    well(Job.OPERATE, "shop", "rollback", "shop", "--reason", "enough")
    tenants.ticks("shop", "rolled_back", "shop#2")

    well(Job.START, "shop-next", "start", tenants.file("shop-next"))
    owner = DynamoDbStore(tenants.guard.client, TABLE).owner(f"{_arn(FUNCTION)}#PERCENTAGE")
    assert owner == "shop-next#1"
    tenants.desk.world.clock.advance(MINUTE)
    noticed = well(Job.TICK, "shop", "tick", "--policy", "shop", "--json")
    quiet = well(Job.TICK, "shop", "tick", "--policy", "shop", "--json")
    assert ("shop#2" in noticed.out, "shop#2" in quiet.out) == (True, False)
    well(Job.OPERATE, "shop-next", "rollback", "shop-next", "--reason", "enough")

    assert tenants.guard.denied == []
    assert {job for job, _, _ in tenants.guard.made} >= {
        Job.START, Job.TICK, Job.OPERATE, Job.READ, Job.INVESTIGATE, Job.DOCTOR,
    }  # fmt: skip
    assert tenants.foreign() == foreign


def test_a_bound_role_is_denied_what_needs_every_rollout_with_the_missing_action(
    tenants: Tenants,
) -> None:
    tenants.well(Job.START, "shop", "start", tenants.file("shop"))
    for job, words, action in (
        (Job.TICK, ("tick",), "dynamodb:Query"),
        (Job.OPERATE, ("status", "--all"), "dynamodb:Scan"),
        (Job.OPERATE, ("status",), "dynamodb:GetItem"),  # ids are listed, and foreign ones not read
        (Job.TICK, ("tick", "--policy", "shop-2"), "dynamodb:Query"),
        (Job.TICK, ("tick", "shop-2#1"), "dynamodb:GetItem"),
        (Job.OPERATE, ("rollback", "shop-2#1", "--reason", "x"), "dynamodb:GetItem"),
        (Job.OPERATE, ("rollback", "shop-2", "--reason", "x"), "dynamodb:Query"),
        (Job.OPERATE, ("promote", "shop-2#1", "--reason", "x"), "dynamodb:"),
    ):
        ended = tenants.run(job, "shop", *words)
        assert ended.status == Exit.INTERNAL, (words, ended.err)
        output = ended.out + ended.err
        assert action in output
        assert "grant the action to this role" in output
    assert tenants.guard.denied


@pytest.mark.parametrize("index", ["active", "active_of_name"])
def test_the_index_of_active_rollouts_shows_no_target(tenants: Tenants, index: str) -> None:
    """A role that lists the ids may query `active`, which has one partition for all policies."""
    key, value = ("active", "active") if index == "active" else ("pk", "ROLLOUT#shop-2")
    listed = tenants.guard.client.query(
        TableName=TABLE,
        IndexName=index,
        KeyConditionExpression="#key = :value",
        ExpressionAttributeNames={"#key": key},
        ExpressionAttributeValues={":value": {"S": value}},
    )["Items"]
    assert [one["pk"]["S"] for one in listed] == ["ROLLOUT#shop-2"]
    assert "arn:" not in str(listed)
    assert "PERCENTAGE" not in str(listed)


# --- attacks ------------------------------------------------------------------------------------

BOUND = (Job.TICK, Job.START, Job.OPERATE, Job.READ, Job.INVESTIGATE, Job.DOCTOR, Job.MONITORING)


def _loads(store: DynamoDbStore) -> None:
    store.load("shop-2#1")


def _reads_the_history(store: DynamoDbStore) -> None:
    store.history("shop-2#1")


def _lists(store: DynamoDbStore) -> None:
    store.of_name("shop-2")


def _finds(store: DynamoDbStore) -> None:
    store.active(NOON, ["shop-2"])


def _finds_all(store: DynamoDbStore) -> None:
    store.all()


def _reads_the_lock(store: DynamoDbStore) -> None:
    store.holder(f"{_arn('second')}#PERCENTAGE")


def _acquires(store: DynamoDbStore) -> None:
    store.acquire("shop-2#1", NOON, NOON + MINUTE)


ATTACKS: Mapping[str, Callable[[DynamoDbStore], None]] = {
    "loads the rollout": _loads,
    "reads its history": _reads_the_history,
    "lists its attempts": _lists,
    "finds it among the active": _finds,
    "lists all": _finds_all,
    "reads its lock": _reads_the_lock,
    "takes its lease": _acquires,
}


@pytest.mark.parametrize(("attack", "job"), pairs(ATTACKS, {str(job): job for job in BOUND}))
def test_a_role_of_one_policy_cannot_reach_a_rollout_of_another(
    tenants: Tenants, job: Job, attack: Callable[[DynamoDbStore], None]
) -> None:
    before = tenants.foreign()
    store = DynamoDbStore(tenants.guard.client, TABLE)
    with tenants.guard.acting_as(job, iam_document(job, OWN)), pytest.raises(StoreError) as raised:
        attack(store)
    assert raised.value.context["code"] == "AccessDeniedException"
    assert tenants.foreign() == before


@pytest.mark.parametrize("job", BOUND, ids=str)
def test_a_role_that_read_a_rollout_elsewhere_cannot_overwrite_it(
    tenants: Tenants, job: Job
) -> None:
    """The original attack: an objective of 99.9% became 1%, and the lock was deleted."""
    before = tenants.foreign()
    reading = DynamoDbStore(tenants.guard.client, TABLE)
    rollout = reading.load("shop-2#1")
    going = with_state(rollout, position=Live(0, 1, rollout.created))
    changed, entry = with_entry(going)
    back = a_state(Phase.ROLLED_BACK, since=rollout.updated)
    ended, last = with_entry(replace(rollout, state=back, exposed_to=rollout.updated))
    with tenants.guard.acting_as(job, iam_document(job, OWN)):
        for saved, entries in ((changed, [entry]), (going, []), (ended, [last])):
            with pytest.raises(StoreError):
                reading.save(saved, entries)
        with pytest.raises(StoreError):
            reading.create(replace(changed, id="shop-2#2"), [entry], rollout.locks)
        with pytest.raises(StoreError):
            reading.receive(replace(changed, id="shop-2#2"), [entry], rollout.locks)
        with suppress(StoreError):
            reading.release("shop-2#1")
    assert tenants.guard.denied
    assert tenants.foreign() == before


@pytest.mark.parametrize("job", BOUND, ids=str)
def test_an_own_rollout_takes_no_lock_of_another_target(tenants: Tenants, job: Job) -> None:
    store = DynamoDbStore(tenants.guard.client, TABLE)
    foreign = store.load("shop-2#1")
    own, entry = with_entry(replace(foreign, id="shop#1", policy=OWN, version=0))
    before = tenants.foreign()
    with tenants.guard.acting_as(job, iam_document(job, OWN)), pytest.raises(StoreError):
        store.create(own, [entry], foreign.locks)
    assert tenants.foreign() == before
    assert store.of_name("shop") == ()


def _requests(pk: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every kind of request about the item with this partition key."""
    key = {"pk": {"S": pk}, "sk": {"S": "0000000001"}}
    table = {"TableName": TABLE}
    yield "GetItem", {**table, "Key": key}
    yield "PutItem", {**table, "Item": key}
    yield "UpdateItem", {**table, "Key": key}
    yield "DeleteItem", {**table, "Key": key}
    names, values = {"#pk": "pk", "#active": "active"}, {":pk": {"S": pk}, ":a": {"S": "active"}}
    spelt = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    yield "Query", {**table, "KeyConditionExpression": "#pk = :pk", **spelt}
    both = {"KeyConditionExpression": "#pk = :pk AND #active = :a", "IndexName": "active_of_name"}
    yield "Query", {**table, **both, **spelt}
    mine = {"pk": {"S": "ROLLOUT#shop"}, "sk": {"S": "0000000001"}}
    for kind, part in (
        ("Put", {"Item": key}),
        ("Update", {"Key": key}),
        ("Delete", {"Key": key}),
        ("ConditionCheck", {"Key": key}),
    ):
        parts = [{"Put": {**table, "Item": mine}}, {kind: {**table, **part}}]
        yield "TransactWriteItems", {"TransactItems": parts}
        yield "TransactWriteItems", {"TransactItems": parts[::-1]}


NOT_OWN = [
    "ROLLOUT#shop-2",
    "ROLLOUT#sho",
    "ROLLOUT#shop#1",
    "ROLLOUT#",
    "ROLLOUT#*",
    "HISTORY#shop-2#1",
    "HISTORY#shop",
    "HISTORY#sho#1",
    "HISTORY#other#shop#1",
    "RECIPIENTS#shop",
    "RECIPIENTS-2",
    f"LOCK#{_arn('second')}#PERCENTAGE",
    f"LOCK#{_arn(FUNCTION)}-2#PERCENTAGE",
    f"LOCK#{_arn(FUNCTION)}#PERCENTAGE_2",
    f"LOCK#{_arn(FUNCTION)}#",
    f"LOCK#{_arn(FUNCTION).replace(ACCOUNT, '999999999999')}#PERCENTAGE",
    f"LOCK#{_arn(FUNCTION).replace(REGION, 'us-east-2')}#PERCENTAGE",
    "",
]


@pytest.mark.parametrize(
    ("pk", "job"), pairs({pk: pk for pk in NOT_OWN}, {str(job): job for job in BOUND})
)
def test_no_request_about_a_key_that_is_not_the_policys_is_allowed(job: Job, pk: str) -> None:
    document = iam_document(job, OWN)
    allowed = [one for one, request in _requests(pk) if is_allowed(document, one, request)]
    assert allowed == []


@pytest.mark.parametrize("job", BOUND, ids=str)
def test_no_bound_statement_allows_a_request_that_has_no_key(job: Job) -> None:
    document = iam_document(job, OWN)
    bound = [one for one in document["Statement"] if LEADING_KEYS in str(one.get("Condition"))]
    assert bound
    for one in bound:
        for action, resource in product(one["Action"], one["Resource"]):
            own = {LEADING_KEYS: ("ROLLOUT#shop",)}
            assert allows(document, [AccessRequest(action, resource, own)])
            assert not allows({"Statement": bound}, [AccessRequest(action, resource)])


@pytest.mark.parametrize("job", BOUND, ids=str)
def test_a_name_that_is_the_prefix_of_another_one_opens_neither(job: Job) -> None:
    names = ("shop", "shop-2", "shop-", "s", "shop2")
    for mine in names:
        document: Document = iam_document(job, short_policy(name=mine, target=SECOND))
        for other in set(names) - {mine}:
            for pk in (f"ROLLOUT#{other}", f"HISTORY#{other}#1"):
                assert not any(is_allowed(document, one, request) for one, request in _requests(pk))


def test_policies_of_one_target_share_nothing_but_its_locks() -> None:
    """They share the lock, and may both set its variable."""
    document = iam_document(Job.START, NEXT)
    lock = f"LOCK#{_arn(FUNCTION)}#PERCENTAGE"
    reached = {
        pk
        for pk in ("ROLLOUT#shop", "HISTORY#shop#1", lock)
        for one, request in _requests(pk)
        if is_allowed(document, one, request)
    }
    assert reached == {lock}


# --- the list of recipients, and the rules --------------------------------------------------------

RULES = "version: 1\nowner: platform team\n"
LISTED = RecipientList({"shop": ("events:event-bus/default",)})


@pytest.mark.parametrize("job", BOUND, ids=str)
def test_a_bound_role_may_read_list_and_rules_where_it_needs_them_and_writes_neither(
    job: Job,
) -> None:
    document = iam_document(job, OWN)
    reads = {"GetItem"} if job in TRAFFIC_JOBS | {Job.READ, Job.DOCTOR} else set()
    for pk in ("RECIPIENTS", "RULES"):
        requests = _requests(pk)
        assert {one for one, request in requests if is_allowed(document, one, request)} == reads


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "unbound"])
@pytest.mark.parametrize("job", sorted({*Job} - {Job.OWNER, *ACCOUNT_JOBS}), ids=str)
def test_no_role_but_the_owners_writes_list_or_rules(job: Job, bound: bool) -> None:
    document = iam_document(job, OWN, bound=bound)
    written = [(pk, one) for pk in ("RECIPIENTS", "RULES") for one in _requests(pk)]
    allowed = {(pk, one) for pk, (one, request) in written if is_allowed(document, one, request)}
    assert {one for _, one in allowed} <= {"GetItem", "Query"}


@pytest.mark.parametrize("job", sorted(TRAFFIC_JOBS), ids=str)
def test_a_bound_role_reads_list_and_rules_and_cannot_change_them(
    tenants: Tenants, job: Job
) -> None:
    store = DynamoDbStore(tenants.guard.client, TABLE)
    store.set_recipients(LISTED)
    store.set_rules(RULES)
    with tenants.guard.acting_as(job, iam_document(job, OWN)):
        assert (store.recipients(), store.rules()) == (LISTED, RULES)
        for changed in (None, RecipientList({"*": ("events:event-bus/default",)})):
            with pytest.raises(StoreError, match="AccessDenied"):
                store.set_recipients(changed)
        for text in (None, ""):
            with pytest.raises(StoreError, match="AccessDenied"):
                store.set_rules(text)
    assert (store.recipients(), store.rules()) == (LISTED, RULES)


def test_the_role_of_the_owner_sets_list_and_rules_and_writes_no_record(tenants: Tenants) -> None:
    listed, rules = tenants.folder / "recipients.yaml", tenants.folder / "rules.yaml"
    listed.write_text("shop: [events:event-bus/default]")
    rules.write_text(RULES)
    document = iam_document(Job.OWNER)
    with tenants.guard.acting_as(Job.OWNER, document):
        for words in (
            ("recipients", "--set", str(listed)), ("recipients",), ("recipients", "--remove"),
            ("rules", str(rules)), ("rules",), ("rules", "--remove"),
        ):  # fmt: skip
            ended = tenants.desk.run("store", *words)
            assert ended.status == Exit.DONE, ended.err
    assert tenants.guard.denied == []
    for pk in ("ROLLOUT#shop", "HISTORY#shop#1", f"LOCK#{_arn(FUNCTION)}#PERCENTAGE", *NOT_OWN):
        assert not any(is_allowed(document, one, request) for one, request in _requests(pk))


# --- what allows a rollout as a fix ---------------------------------------------------------------


@pytest.mark.parametrize("job", [*BOUND, Job.FIX], ids=str)
def test_only_a_role_for_fixes_writes_what_allows_one(job: Job) -> None:
    document = iam_document(job, OWN)
    allowed = {
        one for one, request in _requests("FIX#shop#1") if is_allowed(document, one, request)
    }
    reads = {"GetItem"} if job in (Job.TICK, Job.OPERATE, Job.FIX) else set()
    assert allowed == reads | ({"PutItem", "TransactWriteItems"} if job is Job.FIX else set())
    assert not any(is_allowed(document, *one) for one in _requests("FIX#shop-2#1"))


def test_a_role_may_start_and_not_start_as_a_fix(tenants: Tenants) -> None:
    store = DynamoDbStore(tenants.guard.client, TABLE)
    evidence, red = RolloutEvidence(fix=FixStart({"works": None})), {"works": None}
    foreign = store.load("shop-2#1")
    rollout, entry = with_entry(
        replace(foreign, id="shop#1", policy=OWN, digest=OWN.digest(), version=0, entries=0,
                chain="", evidence=evidence)
    )  # fmt: skip
    denied = pytest.raises(StoreError, match="AccessDenied")
    with tenants.guard.acting_as(Job.START, iam_document(Job.START, OWN)), denied:
        store.create(rollout, [entry], [])
    assert tenants.guard.items("ROLLOUT#shop", "FIX#") == tenants.guard.items("ROLLOUT#shop-2")
    with tenants.guard.acting_as(Job.FIX, iam_document(Job.FIX, OWN)):
        store.create(rollout, [entry], [])
    with tenants.guard.acting_as(Job.TICK, iam_document(Job.TICK, OWN)):
        assert store.red_before("shop#1") == red
    with tenants.guard.acting_as(Job.START, iam_document(Job.START, OWN)):
        saved = replace(store.load("shop#1"), evidence=RolloutEvidence())
        store.save(saved, [])  # a role without the key still drives the rollout
        with pytest.raises(StoreError, match="AccessDenied"):
            store.red_before("shop#1")


# --- a role that may only lower -------------------------------------------------------------------


def test_a_role_that_may_only_lower_has_a_rollback_carried_out_by_the_next_tick(
    tenants: Tenants,
) -> None:
    tenants.well(Job.START, "shop", "start", tenants.file("shop"))
    foreign = tenants.foreign()
    well = tenants.well
    well(Job.LOWER, "shop", "status", "shop")
    well(Job.LOWER, "shop", "history", "shop")
    requested = well(Job.LOWER, "shop", "rollback", "shop", "--request", "--reason", "it is bad")
    assert "the tick that visits it next carries it out" in requested.out
    assert tenants.desk.weight == 10
    tenants.desk.world.clock.advance(MINUTE)
    well(Job.TICK, "shop", "tick", "--policy", "shop")
    assert tenants.phase("shop#1") == "rolled_back"
    assert tenants.desk.weight == 0
    over = tenants.run(Job.LOWER, "shop", "rollback", "shop", "--request")
    assert over.status == Exit.USAGE
    assert "a request is for a rollout that is not over" in over.err
    assert tenants.foreign() == foreign


def test_a_role_that_may_only_lower_moves_nothing_itself(tenants: Tenants) -> None:
    tenants.well(Job.START, "shop", "start", tenants.file("shop"))
    before = tenants.guard.items("ROLLOUT#", "HISTORY#", "LOCK#", "FIX#", "RECIPIENTS")
    for words in (
        ("pause", "shop"),
        ("promote", "shop", "--reason", "x"),
        ("resume", "shop", "--keep"),
        ("approve", "shop"),
        ("tick", "shop"),
        ("rollback", "shop-2#1", "--request"),  # of another policy
    ):
        ended = tenants.run(Job.LOWER, "shop", *words)
        assert ended.status == Exit.INTERNAL, (words, ended.err)
        assert "AccessDenied" in ended.out + ended.err
    assert tenants.guard.items("ROLLOUT#", "HISTORY#", "LOCK#", "FIX#", "RECIPIENTS") == before


def test_a_role_that_may_only_lower_writes_requests_of_its_policies_alone() -> None:
    document = iam_document(Job.LOWER, OWN)
    written = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}

    def allowed(pk: str) -> set[str]:
        return {one for one, request in _requests(pk) if is_allowed(document, one, request)}

    lock = f"LOCK#{_arn(FUNCTION)}#PERCENTAGE"
    assert allowed("LOWER#shop#1") & written == {"PutItem"}
    for pk in ("ROLLOUT#shop", "HISTORY#shop#1", lock, "FIX#shop#1", "RECIPIENTS", *NOT_OWN):
        assert not allowed(pk) & written, pk
    assert not allowed("LOWER#shop-2#1")


def test_unbound_a_role_reaches_all_of_them() -> None:
    policy: Policy = OWN
    document = iam_document(Job.TICK, policy, bound=False)
    allowed = {
        one for one, request in _requests("ROLLOUT#shop-2") if is_allowed(document, one, request)
    }
    assert {"GetItem", "UpdateItem"} <= allowed
