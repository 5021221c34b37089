"""A stored policy that was changed outside rolloutctl: with it the weight is only lowered.

The canary fails: the policy of the start rolls it back, a looser one would raise it.
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.stores import codec
from controller.core.history import POLICY_DIGEST, hash_of
from controller.core.policy.model import digest_of
from controller.errors import Exit
from tests.cli.conftest import CliHarness, Ended, MakeDesk
from tests.support.cases import cases
from tests.support.core import Entry
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import FUNCTION, MINUTE

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "50%"}]
TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
NOTIFIED = {**SHORT_POLICY, "notify": [{"kind": "sns", "topic": TOPIC}]}

Data = dict[str, Any]
Change = Callable[[Data], object]


# --- changes of a stored policy ------------------------------------------------------------------


def bound_loosened(policy: Data) -> None:
    policy["criteria"]["works"]["min"] = "1%"


def failures_emptied(policy: Data) -> None:
    policy["criteria"]["works"]["failures"] = []


def channels_removed(policy: Data) -> None:
    del policy["notify"]


def spelled_otherwise(policy: Data) -> None:
    policy["summary"] = policy.pop("summary", "") + " "


READABLE: tuple[Change, ...] = (bound_loosened, channels_removed, spelled_otherwise)
CHANGES = (*READABLE, failures_emptied)
IDS = [change.__name__.replace("_", " ") for change in CHANGES]


class StoreTampering:
    """Direct changes in the SQLite store of the desk, outside rolloutctl."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def policy(self, change: Change) -> str:
        """Change the stored policy; return its digest."""
        policy = json.loads(self._one("SELECT policy FROM rollouts"))
        change(policy)
        text = json.dumps(policy, sort_keys=True, separators=(",", ":"))
        self._write("UPDATE rollouts SET policy = ?", text)
        return digest_of(text)

    def state(self, **fields: object) -> None:
        """Change fields of the state."""
        state = json.loads(self._one("SELECT state FROM rollouts"))
        self._write("UPDATE rollouts SET state = ?", json.dumps({**state, **fields}))

    def first_entry(self, change: Callable[[Data], object]) -> None:
        """Change the body of the first entry, and no hash."""
        entry = json.loads(self._one("SELECT entry FROM history WHERE seq = 1"))
        change(entry["body"])
        self._write("UPDATE history SET entry = ? WHERE seq = 1", json.dumps(entry))

    def rehash(self) -> None:
        """Compute every hash of the history again, and the one in the state."""
        previous = ""
        for entry in self.entries():
            chained = hash_of(previous, entry.seq, entry.at, entry.kind, entry.body)
            new = Entry(entry.seq, entry.at, entry.kind, entry.body, previous, chained)
            text = codec.dump_entry("orders#1", new)
            self._write("UPDATE history SET entry = ? WHERE seq = ?", text, entry.seq)
            previous = chained
        self.state(chain=previous)

    def entries(self) -> list[Entry]:
        with closing(sqlite3.connect(self._file)) as connection:
            rows = connection.execute("SELECT entry FROM history ORDER BY seq").fetchall()
        return [codec.load_entry("orders#1", text) for (text,) in rows]

    def restore(self, policy: str) -> None:
        """Restore the stored policy."""
        self._write("UPDATE rollouts SET policy = ?", policy)

    def stored_policy(self) -> str:
        return str(self._one("SELECT policy FROM rollouts"))

    def keep(self, entries: int) -> None:
        """Remove all entries of the history but the first ones."""
        self._write("DELETE FROM history WHERE seq > ?", entries)

    def forget(self) -> None:
        """Remove the target file next to the store, which a table does not have either."""
        self._file.with_name(f"{self._file.name}.targets.json").unlink()

    def locks_lost(self) -> None:
        self._write("UPDATE locks SET rollout = 'other#1' WHERE 1 = ?", 1)

    def _one(self, query: str) -> Any:
        with closing(sqlite3.connect(self._file)) as connection:
            return connection.execute(query).fetchone()[0]

    def _write(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute(statement, values)


def with_its_digest(tampering: StoreTampering, change: Change) -> None:
    """Change the policy, and the digest in the state."""
    tampering.state(digest=tampering.policy(change))


def with_all_digests(tampering: StoreTampering, change: Change) -> None:
    """Change the policy, each place that has its digest, and every hash."""
    digest = tampering.policy(change)
    tampering.state(digest=digest)
    tampering.first_entry(lambda body: body["cause"].update({POLICY_DIGEST: digest}))
    tampering.rehash()


@pytest.fixture
def desk(desk_in: MakeDesk, message_kinds: list[str]) -> CliHarness:
    """A desk whose rollout is at 10%; half of the canary's requests fail."""
    desk = desk_in(NOTIFIED, events=SICK)
    assert desk.run("start", desk.policy).status == Exit.DONE
    assert desk.weight == 10
    return desk


@pytest.fixture
def tampering(desk: CliHarness, tmp_path: Path) -> StoreTampering:
    return StoreTampering(tmp_path / "rollouts.db")


def ticked(desk: CliHarness, minutes: int = 1) -> Ended:
    desk.world.clock.advance(minutes * MINUTE)
    return desk.run("tick", "--json")


def weights(desk: CliHarness, ticks: int = 12) -> set[int]:
    """Tick once a minute; return each weight that was observed."""
    observed = set[int]()
    for _ in range(ticks):
        ticked(desk)
        observed.add(desk.weight)
    return observed


# --- a policy that does not fit its digest -------------------------------------------------------


def test_the_release_is_rolled_back_by_the_policy_of_the_start(desk: CliHarness) -> None:
    assert weights(desk) == {10, 0}


@pytest.mark.parametrize("change", CHANGES, ids=IDS)
def test_a_tick_neither_raises_nor_judges_by_a_changed_policy(
    desk: CliHarness, tampering: StoreTampering, change: Change
) -> None:
    tampering.policy(change)
    assert {ticked(desk).status for _ in range(12)} == {Exit.INTERNAL}
    assert desk.weight == 10
    (visited,) = ticked(desk).data["rollouts"]
    assert visited["id"] == "orders#1"
    assert visited["problem"]


@pytest.mark.parametrize("change", CHANGES, ids=IDS)
@pytest.mark.parametrize(
    "verb",
    [
        "promote orders --reason now",
        "pause orders --reason wait",
        "retry orders --reason again",
        "start {policy}",
        "plan {policy} --live",
        "metrics orders",
    ],
)
def test_what_may_lead_up_is_refused(
    desk: CliHarness, tampering: StoreTampering, change: Change, verb: str
) -> None:
    tampering.policy(change)
    before = tampering.entries()
    assert desk.run(*verb.format(policy=desk.policy).split()).status == Exit.INTERNAL
    assert desk.weight == 10
    assert tampering.entries() == before


@pytest.mark.parametrize("change", [bound_loosened, channels_removed])
def test_a_pause_is_not_resumed_by_a_changed_policy(
    desk: CliHarness, tampering: StoreTampering, change: Change
) -> None:
    ticked(desk)
    assert desk.run("pause", "orders", "--reason", "wait").status == Exit.DONE
    tampering.policy(change)
    assert desk.run("resume", "orders").status == Exit.INTERNAL
    assert weights(desk) == {10}


@pytest.mark.parametrize(
    "change",
    READABLE,
    ids=lambda one: one.__name__.replace("_", " "),
)
def test_a_person_rolls_it_back_all_the_same(
    desk: CliHarness, tampering: StoreTampering, message_kinds: list[str], change: Change
) -> None:
    tampering.policy(change)
    message_kinds.clear()
    ended = desk.run("rollback", "orders", "--json")
    assert ended.status == Exit.DONE
    assert desk.weight == 0
    assert desk.world.function(FUNCTION).variables["ENABLED"] == "false"
    assert (ended.data["phase"], ended.data["saved"]) == ("rolled_back", True)
    assert ended.data["problem"]
    assert len(ended.data["warnings"]) == 1
    assert [entry.kind for entry in tampering.entries()][-2:] == ["rolling_back", "rolled_back"]
    assert message_kinds == []  # a changed policy may name other channels


def test_by_the_policy_file_too(desk: CliHarness, tampering: StoreTampering) -> None:
    tampering.policy(bound_loosened)
    assert desk.run("rollback", desk.policy).status == Exit.DONE
    assert desk.weight == 0
    assert tampering.entries()[-1].kind == "rolled_back"


def test_a_policy_that_is_none_any_more_names_no_target(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    tampering.policy(failures_emptied)
    tampering.forget()
    assert desk.run("rollback", "orders").status == Exit.INTERNAL
    assert desk.run("rollback", desk.policy).status == Exit.DONE
    assert desk.weight == 0


@cases("change", {
    "another variable": lambda target: target.update(percentage="API_KEY"),
    "one of two left out": lambda target: target.pop("boolean"),
    "another function": lambda target: target.update(function="payments"),
})  # fmt: skip
def test_names_that_were_changed_are_not_written_to(
    desk: CliHarness, tampering: StoreTampering, change: Change
) -> None:
    """Otherwise 0% would be written to the variable that the change names, or to one of two."""
    desk.world.add_function("payments", {"PERCENTAGE": "10"})
    tampering.policy(lambda policy: change(policy["target"]))
    tampering.forget()
    before = dict(desk.world.function(FUNCTION).variables)
    assert desk.run("rollback", "orders").status == Exit.INTERNAL
    assert desk.world.function(FUNCTION).variables == before
    assert desk.run("rollback", desk.policy).status == Exit.DONE
    assert desk.weight == 0


def test_a_file_store_knows_the_names_of_the_start(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    tampering.policy(lambda policy: policy["target"].update(percentage="API_KEY"))
    secret = desk.world.function(FUNCTION).variables["API_KEY"]
    assert desk.run("rollback", "orders").status == Exit.DONE
    assert desk.weight == 0
    assert desk.world.function(FUNCTION).variables["API_KEY"] == secret


def test_a_rollback_under_way_goes_on(
    desk: CliHarness, tampering: StoreTampering, message_kinds: list[str]
) -> None:
    tampering.policy(bound_loosened)
    tampering.state(state=_going_back(tampering))
    message_kinds.clear()
    ended = ticked(desk)
    assert (ended.status, desk.weight) == (Exit.INTERNAL, 0)
    (visited,) = ended.data["rollouts"]
    assert (visited["phase"], visited["saved"]) == ("rolled_back", True)
    assert message_kinds == []


def test_a_rollback_under_way_ends_when_0_is_set_outside_rolloutctl(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    tampering.policy(bound_loosened)
    tampering.state(state=_going_back(tampering))
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
    assert ticked(desk).data["rollouts"][0]["phase"] == "rolled_back"


def test_zero_is_still_guarded_and_nothing_else_is_done(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    tampering.policy(bound_loosened)
    assert desk.run("rollback", "orders").status == Exit.DONE
    version = desk.state()["updated"]
    assert ticked(desk).status == Exit.INTERNAL
    assert desk.state()["updated"] == version
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "10", "ENABLED": "false"})
    assert ticked(desk).status == Exit.INTERNAL
    assert desk.weight == 0


def test_a_target_that_another_rollout_owns_is_left_to_it(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    tampering.policy(bound_loosened)
    tampering.state(state=_going_back(tampering))
    tampering.locks_lost()
    assert (ticked(desk).status, desk.weight) == (Exit.INTERNAL, 10)


def test_the_next_attempt_starts_by_the_file_and_not_by_what_was_stored(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    tampering.policy(bound_loosened)
    desk.run("rollback", "orders")
    assert desk.run("retry", "orders", "--reason", "again").status == Exit.INTERNAL
    again = desk.run("retry", desk.policy, "--reason", "the store is ours again")
    assert again.status == Exit.DONE
    assert desk.weight == 10


def test_a_restored_policy_is_followed_again(desk: CliHarness, tampering: StoreTampering) -> None:
    was = tampering.stored_policy()
    tampering.policy(bound_loosened)
    assert weights(desk, 3) == {10}
    tampering.restore(was)
    weights(desk)
    assert desk.weight == 0


def test_no_other_rollout_waits_for_one_that_was_changed(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    tampering.policy(bound_loosened)
    desk.start_payments()
    phases = {one["id"]: one["phase"] for one in ticked(desk).data["rollouts"]}
    assert phases == {"orders#1": None, "payments#1": "progressing"}


# --- readers -------------------------------------------------------------------------------------


def snapshot_alone(tampering: StoreTampering, change: Change) -> None:
    tampering.policy(change)


def nothing(tampering: StoreTampering, change: Change) -> None:
    """Leave everything as it is."""


def first_entry(tampering: StoreTampering, change: Change) -> None:
    tampering.first_entry(lambda body: body["cause"].update({POLICY_DIGEST: "0" * 64}))


def first_entry_rehashed(tampering: StoreTampering, change: Change) -> None:
    first_entry(tampering, change)
    tampering.rehash()


def first_entry_silenced(tampering: StoreTampering, change: Change) -> None:
    tampering.first_entry(lambda body: body["cause"].pop(POLICY_DIGEST))
    tampering.rehash()


# A change of the store; the exit statuses of status, history, replay and promote; whether the hash
# chain is valid; whether the policy is the one of the start.
LOOKS = [
    (nothing, (0, 0, 0, 0), True, True),
    (snapshot_alone, (1, 1, 7, 1), True, False),
    (with_its_digest, (0, 1, 7, 1), True, False),
    (first_entry, (0, 1, 7, 1), False, False),
    (first_entry_rehashed, (0, 1, 7, 1), True, False),
    (first_entry_silenced, (0, 1, 7, 1), True, False),
    # The newest entry still repeats the digest of the start; with that, only the log shows it.
    (with_all_digests, (0, 0, 0, 1), True, True),
]


@pytest.mark.parametrize(
    ("tampered", "statuses", "chain", "policy"),
    LOOKS,
    ids=[look[0].__name__.replace("_", " ") for look in LOOKS],
)
def test_every_reader_reports_the_change(
    desk: CliHarness,
    tampering: StoreTampering,
    tampered: Callable[[StoreTampering, Change], None],
    statuses: tuple[int, ...],
    chain: bool,
    policy: bool,
) -> None:
    ticked(desk)
    tampered(tampering, channels_removed)
    verbs = ("status orders --json", "history orders --json", "replay orders --json")
    results = [desk.run(*verb.split()) for verb in verbs]
    promoted = desk.run("promote", "orders", "--reason", "now", "--dry-run")
    assert tuple(one.status for one in (*results, promoted)) == statuses
    status, history, replayed = (result.data for result in results)
    (listed,) = desk.run("status", "--json").data["rollouts"]
    for data in (status, listed):
        assert data["policy_changed"] is (tampered is snapshot_alone)
    for data in (history, replayed):
        assert (data["chain_valid"], data["policy_valid"]) == (chain, policy)
        assert len(set(data["policy_digests"].values())) == (1 if policy else 2)
    assert desk.weight == 10


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("verify {policy}", Exit.INTERNAL),
        ("verify orders", Exit.INTERNAL),
        ("status", Exit.INTERNAL),
        ("store copy {here} {there}", Exit.INTERNAL),
    ],
)
def test_every_other_reader_of_the_record_says_so(
    desk: CliHarness, tampering: StoreTampering, tmp_path: Path, verb: str, status: Exit
) -> None:
    here, there = (f"sqlite:///{tmp_path / name}.db" for name in ("rollouts", "other"))
    desk.run("store", "init", "--store", there)
    tampering.policy(bound_loosened)
    ended = desk.run(*verb.format(policy=desk.policy, here=here, there=there).split())
    assert ended.status == status
    assert "orders#1" in ended.out + ended.err
    assert desk.weight == 10


@pytest.mark.parametrize(
    "tampered", [with_its_digest, first_entry, first_entry_rehashed, with_all_digests]
)
def test_a_person_rolls_back_whatever_fits_no_more(
    desk: CliHarness, tampering: StoreTampering, tampered: Callable[[StoreTampering, Change], None]
) -> None:
    tampered(tampering, bound_loosened)
    assert desk.run("rollback", "orders").status == Exit.DONE
    assert desk.weight == 0


def test_no_tick_raises_by_a_policy_whose_digest_was_changed_with_it(
    desk: CliHarness, tampering: StoreTampering
) -> None:
    """The newest entry repeats the digest."""
    with_its_digest(tampering, bound_loosened)
    assert max(weights(desk)) == 10


def _going_back(tampering: StoreTampering) -> Data:
    """Return the stored state of a rollback from 10%."""
    state: Data = json.loads(tampering._one("SELECT state FROM rollouts"))["state"]
    cause = {name: state[name] for name in ("since", "reason", "sentence")}
    weights = {"step": 0, "intended": 10, "from_weight": 10}
    return {"phase": "rolling_back", **cause, **weights, "void": ""}
