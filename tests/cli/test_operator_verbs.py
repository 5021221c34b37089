"""The operator's verbs, and start --adopt: their output, effects and exit statuses."""

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.engine.limits import LEASE_DURATION
from controller.errors import Exit
from tests.cli.conftest import VERIFIED, Desk, Ended, MakeDesk
from tests.simulation.worlds import FUNCTION, MINUTE
from tests.support.stage import SHORT_POLICY, WRITE

VERBS = ("pause", "resume", "promote", "approve", "retry")
WHY = ("--reason", "the board said so")
UNAPPROVED: dict[str, Any] = {
    "steps": [SHORT_POLICY["steps"][0], {**SHORT_POLICY["steps"][1], "approval": "required"}]
}


def started(desk: Desk, policy: str | None = None) -> Desk:
    """Put 10 % of traffic on the canary, by a rollout."""
    assert desk.run("start", policy or desk.policy).status == Exit.DONE
    return desk


def ticks(desk: Desk, number: int) -> Ended:
    """Tick once a minute; return how the last one ended."""
    ended = []
    for _ in range(number):
        desk.world.clock.advance(MINUTE)
        ended.append(desk.run("tick", "--json"))
    return ended[-1]


def moved(desk: Desk, weight: int) -> None:
    """Set the weight outside rolloutctl, and let a tick observe it."""
    pair = {"PERCENTAGE": str(weight), "ENABLED": "true" if weight == 100 else "false"}
    desk.world.set_variables(FUNCTION, pair)
    assert ticks(desk, 1).status == Exit.DRIFT


def state(desk: Desk, rollout: str = "orders") -> Any:
    return desk.run("status", rollout, "--json").data


def stored(desk: Desk) -> SqliteStore:
    """Open the store again, as another process would."""
    return SqliteStore(Path(desk.policy).parent / "rollouts.db")


# --- effects ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference", ["orders", "orders#1", "{policy}"], ids=["name", "id", "policy"]
)
def test_a_rollout_is_paused_and_shown(desk: Desk, reference: str) -> None:
    started(desk)
    ended = desk.run("pause", reference.format(policy=desk.policy), *WHY)
    assert (ended.status, desk.weight) == (Exit.DONE, 10)
    assert ended.out.startswith("orders#1  paused  10 %\n")
    assert "  because   paused by an operator: the board said so\n" in ended.out
    ticks(desk, 20)
    assert (desk.weight, state(desk)["phase"]) == (10, "paused")


def test_a_paused_rollout_goes_on_and_ends_well(desk: Desk) -> None:
    started(desk)
    ticks(desk, 1)
    desk.run("pause", "orders")
    ticks(desk, 5)
    ended = desk.run("resume", "orders", *WHY)
    assert ended.status == Exit.DONE
    assert ended.out.startswith("orders#1  progressing  10 %\n")
    ticks(desk, 8)
    assert (state(desk)["phase"], desk.weight) == ("succeeded", 100)


def test_a_weight_that_drifted_up_is_restored(desk: Desk) -> None:
    started(desk)
    moved(desk, 60)
    ended = desk.run("resume", "orders", "--restore", "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 10)
    assert (ended.data["schema"], ended.data["reason"]) == ("resume/1", "applied")


def test_a_weight_that_drifted_up_is_kept(desk: Desk) -> None:
    started(desk)
    moved(desk, 60)
    writes = desk.world.calls[WRITE]
    ended = desk.run("resume", "orders", "--keep", "--json")
    assert (ended.status, desk.weight, desk.world.calls[WRITE]) == (Exit.DONE, 60, writes)
    assert (ended.data["weight"], ended.data["step"]) == (60, 0)
    ticks(desk, 6)
    assert desk.weight == 100


def test_a_step_is_promoted_at_once(desk: Desk) -> None:
    started(desk)
    ended = desk.run("promote", "orders", *WHY, "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 100)
    assert (ended.data["schema"], ended.data["label"]) == ("promote/1", "not judged")


def test_the_last_step_is_promoted_to_success(desk: Desk) -> None:
    started(desk)
    desk.run("promote", "orders", *WHY)
    ended = desk.run("promote", "orders", *WHY)
    assert ended.status == Exit.DONE
    assert ended.out.startswith("orders#1  succeeded  100 %\n")


def test_a_step_that_needs_an_approval_waits_for_it(desk: Desk) -> None:
    policy = desk.another_policy("careful", **UNAPPROVED)
    started(desk, policy)
    ticks(desk, 10)
    waiting = state(desk, "careful")
    assert (desk.weight, waiting["reason"]) == (10, "awaiting_approval")
    assert waiting["waiting_for"] == "100 % needs an approval: rolloutctl approve careful#1"
    ended = desk.run("approve", policy, "--json")
    assert (ended.status, ended.data["schema"], desk.weight) == (Exit.DONE, "approve/1", 10)
    ticks(desk, 1)
    assert desk.weight == 100


def test_what_was_rolled_back_is_tried_again(desk: Desk) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)
    ended = desk.run("retry", "orders", *WHY, "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 10)
    assert (ended.data["schema"], ended.data["id"], ended.data["new"]) == (
        "retry/1",
        "orders#2",
        True,
    )
    assert "retried: the board said so" in desk.run("history", "orders").out


def test_a_retry_of_a_name_keeps_the_policy_and_one_of_a_file_takes_what_the_file_says(
    desk: Desk,
) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)
    changed = desk.another_policy(
        "orders", steps=[{"weight": 20, "bake": "2m"}, SHORT_POLICY["steps"][1]]
    )
    refused = desk.run("start", changed)
    assert (refused.status, desk.weight) == (Exit.ROLLED_BACK, 0)
    assert refused.err.endswith(
        "rolloutctl retry orders#1 --reason TEXT (a policy file in place of orders#1 gives the new "
        "attempt the file's policy). Another revision needs no retry "
        "(docs/troubleshooting.md#error-rolled-back)\n"
    )
    by_name = desk.run("retry", "orders#1", *WHY, "--dry-run", "--json").data
    assert (by_name["revision"], by_name["weight"]) == (state(desk)["revision"], 10)
    by_file = desk.run("retry", changed, *WHY, "--json").data
    assert (by_file["revision"], by_file["id"], desk.weight) == (
        by_name["revision"],
        "orders#2",
        20,
    )


def test_a_retry_adopts_the_weight_that_is_live(desk: Desk) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "100", "ENABLED": "true"})
    desk.world.clock.advance(MINUTE)
    writes = desk.world.calls[WRITE]
    assert desk.run("retry", "orders", *WHY).status == Exit.USAGE
    assert desk.run("retry", "orders", "--adopt", *WHY).status == Exit.DONE
    assert (desk.weight, desk.world.calls[WRITE]) == (100, writes)


def test_the_live_weight_is_adopted(desk: Desk) -> None:
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "100", "ENABLED": "true"})
    desk.world.clock.advance(MINUTE)
    writes = desk.world.calls[WRITE]
    planned = desk.run("plan", desk.policy, "--live", "--adopt")
    assert "  next: `rolloutctl start --adopt` takes over the 100 % that are live" in planned.out
    ended = desk.run("start", desk.policy, "--adopt")
    assert (ended.status, desk.weight, desk.world.calls[WRITE]) == (Exit.DONE, 100, writes)
    assert ended.out.startswith("orders#1  progressing  100 %\n")
    ticks(desk, 5)
    assert (state(desk)["phase"], state(desk)["label"]) == ("succeeded", "no regression detected")


def test_who_did_it_and_why_is_in_the_history(desk: Desk) -> None:
    started(desk)
    desk.run("pause", "orders", "--by", "ada", *WHY)
    desk.run("resume", "orders", "--by", "grace")
    lines = desk.run("history", "orders").out
    assert f"paused by an operator: the board said so  (by ada {VERIFIED})" in lines
    assert f"(by grace {VERIFIED})" in lines


def test_what_is_done_is_notified(desk: Desk) -> None:
    started(desk)
    ended = desk.run("pause", "orders", *WHY)
    notices = [one["notice"] for one in ended.events if one["event"] == "notice_sent"]
    assert notices == ["orders#1 is paused: paused by an operator: the board said so"]


# --- attest -------------------------------------------------------------------------------------

ATTESTED: dict[str, Any] = {
    "criteria": {
        **SHORT_POLICY["criteria"],
        "SC-005": {"kind": "attestation", "statement": "Support has seen nothing."},
    }
}


def test_a_signature_is_shown_and_recorded_with_its_signer(desk: Desk) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    ticks(desk, 3)
    ended = desk.run("attest", "signing", "SC-005", "--note", "no tickets", "--by", "ada")
    assert ended.status == Exit.DONE
    (row,) = [line.split() for line in ended.out.splitlines() if " SC-005 " in line]
    assert row == ["pass", "SC-005", "signed", "signed", "1", "attested"]
    ticks(desk, 1)
    (row,) = [x.split() for x in desk.run("status", "signing").out.splitlines() if "SC-005" in x]
    assert row == ["pass", "SC-005", "signed", "signed", "1", "attested"]
    history = desk.run("history", "signing").out
    assert "SC-005 was attested by ada: no tickets" in history
    again = desk.run("attest", "signing", "SC-005", "--note", "no tickets", "--by", "ada")
    assert again.status == Exit.DONE
    assert desk.run("history", "signing").out == history
    assert desk.run("replay", "signing").status == Exit.DONE


def test_a_refusal_rolls_back_with_the_next_tick(desk: Desk) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    ticks(desk, 1)
    refused = desk.run("attest", "signing", "SC-005", "--refuse", "--note", "tickets", "--json")
    assert (refused.status, refused.data["schema"]) == (Exit.DONE, "attest/1")
    ticks(desk, 1)
    assert state(desk, "signing")["phase"] == "rolled_back"
    assert "refused by" in state(desk, "signing")["sentence"]
    ended = desk.run("attest", "signing", "SC-005", "--note", "too late")
    assert ended.status == Exit.USAGE
    assert "the rollout is rolled_back; allowed now: rollback, retry" in ended.err


def test_a_signature_needs_a_note_and_a_criterion_that_asks_for_one(desk: Desk) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    assert desk.run("attest", "signing", "SC-005").status == Exit.USAGE
    assert desk.run("attest", "signing", "SC-005", "--note", "").status == Exit.USAGE
    unknown = desk.run("attest", "signing", "works", "--note", "fine")
    assert unknown.status == Exit.USAGE
    assert "the policy has no attestation 'works'; its attestations: SC-005" in unknown.err


def test_a_dry_run_signs_nothing(desk: Desk) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    would = desk.run("attest", "signing", "SC-005", "--note", "fine", "--dry-run")
    assert would.status == Exit.DONE
    assert "was attested by" in would.out
    assert desk.run("history", "signing").out.count("attested") == 0


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ["resume", "orders"],
            "resume was refused, and orders#1 is unchanged: the rollout is progressing; "
            "allowed now: pause, promote, "
            "approve, attest, rollback",
            id="nothing to resume",
        ),
        pytest.param(
            ["approve", "orders"], "orders#1 is unchanged: the next step needs no approval",
            id="nothing to approve",
        ),
        pytest.param(
            ["retry", "orders", *WHY],
            "retry was refused, and orders#1 is unchanged: the rollout is progressing",
            id="nothing to try again",
        ),
        pytest.param(["promote", "orders"], "Missing option '--reason'", id="no reason"),
        pytest.param(["retry", "orders"], "Missing option '--reason'", id="no reason to retry"),
        pytest.param(
            ["retry", "orders", "--reason", "\x1b\n"], "say why; it is recorded in the history",
            id="a reason of which nothing can be read",
        ),
        pytest.param(
            ["pause", "orders", "--reason", "x" * 501], "has 501 characters; at most 500 fit",
            id="a reason that is too long",
        ),
        pytest.param(
            ["promote", "orders", "--reason", " "], "say why; it is recorded in the history",
            id="an empty reason",
        ),
        pytest.param(
            ["resume", "orders", "--keep", "--restore"], "either --restore or --keep, not both",
            id="two ways at once",
        ),
        pytest.param(["pause", "payments"], "no rollout is called", id="an unknown name"),
        pytest.param(["pause", "orders#7"], "orders#7", id="an unknown id"),
        pytest.param(
            ["plan", "{policy}", "--adopt"],
            "--adopt is about the live account: give it with --live",
            id="a plan of an adoption, offline",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_ends_with_2_and_changes_nothing(
    desk: Desk, arguments: Sequence[str], words: str
) -> None:
    started(desk)
    before = state(desk)
    ended = desk.run(*(one.format(policy=desk.policy) for one in arguments))
    assert ended.status == Exit.USAGE
    assert words in " ".join(ended.err.split())
    assert ended.out == ""
    assert (state(desk), desk.weight) == (before, 10)


def test_a_resume_without_a_word_on_the_moved_weight_says_what_there_is(desk: Desk) -> None:
    started(desk)
    moved(desk, 60)
    ended = desk.run("resume", "orders")
    assert ended.status == Exit.USAGE
    assert (
        "the target shows PERCENTAGE=60, ENABLED=false, expected 10 %; to lower it to 10 % and go "
        "on: rolloutctl resume orders#1 --restore; to go on at 60 %: rolloutctl resume orders#1 "
        "--keep; to roll back: rolloutctl rollback orders#1"
    ) in ended.err


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_of_people_makes_a_store(desk: Desk, verb: str) -> None:
    reason = WHY if verb in ("promote", "retry") else ()
    ended = desk.run(verb, "orders", *reason)
    assert ended.status == Exit.USAGE
    assert "there is no store at " in ended.err


# --- leases of other runs -----------------------------------------------------------------------


def test_a_verb_waits_for_a_tick_and_then_acts(desk: Desk) -> None:
    started(desk)
    begin = desk.world.clock.now()
    with closing(stored(desk)) as other_run:
        other_run.acquire("orders#1", begin, begin + timedelta(seconds=40))
        ended = desk.run("pause", "orders")
    assert (ended.status, desk.world.clock.now()) == (Exit.DONE, begin + timedelta(seconds=40))


def test_a_verb_that_another_run_keeps_out_for_too_long_ends_with_75(desk: Desk) -> None:
    started(desk)
    begin = desk.world.clock.now()
    with closing(stored(desk)) as other_run:
        other_run.acquire("orders#1", begin, begin + 2 * LEASE_DURATION)
        ended = desk.run("pause", "orders")
    assert ended.status == Exit.BUSY
    assert state(desk)["phase"] == "progressing"


@pytest.mark.parametrize(("flags", "status"), [((), Exit.BUSY), (("--scheduled",), Exit.DONE)])
def test_a_tick_that_meets_another_run_ends_with_75_and_says_so(
    desk: Desk, flags: Sequence[str], status: Exit
) -> None:
    started(desk)
    now = desk.world.clock.now()
    with closing(stored(desk)) as other_run:
        other_run.acquire("orders#1", now, now + LEASE_DURATION)
        ended = desk.run("tick", *flags)
    assert ended.status == status
    assert "orders#1  progressing  10 %" in ended.out


# --- dry runs, and unreadable targets -----------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "would"),
    [
        ("pause", "record paused of orders#1: paused by an operator: the board said so"),
        ("promote", "set handler to 100 %"),
    ],
)
def test_a_dry_run_shows_what_would_be_done_and_does_nothing(
    desk: Desk, verb: str, would: str
) -> None:
    started(desk)
    before = state(desk)
    ended = desk.run(verb, "orders", *WHY, "--dry-run")
    assert ended.status == Exit.DONE
    assert f"would: {would}" in ended.out
    assert (state(desk), desk.weight) == (before, 10)
    assert would in desk.run(verb, "orders", *WHY, "--dry-run", "--json").data["would"]


def test_a_dry_retry_and_a_dry_adoption_touch_nothing(desk: Desk) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)
    assert "would: create orders#2" in desk.run("retry", "orders", *WHY, "--dry-run").out
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "10", "ENABLED": "false"})
    desk.world.clock.advance(MINUTE)
    adopting = desk.run("start", desk.policy, "--adopt", "--revision", "two", "--dry-run")
    assert (
        "would: create orders#2: started with revision two; taking over the existing weight of 10 %"
        in adopting.out
    )
    assert state(desk)["id"] == "orders#1"


def test_a_pause_works_while_the_target_cannot_be_read_and_a_promotion_does_not(
    desk_in: MakeDesk,
) -> None:
    desk = started(desk_in(events=[{"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}]))
    desk.world.clock.advance(2 * MINUTE)
    promoted = desk.run("promote", "orders", *WHY)
    assert promoted.status == Exit.USAGE
    assert "the target cannot be read" in promoted.err
    assert desk.run("pause", "orders").status == Exit.DONE
    assert state(desk)["phase"] == "paused"


def test_what_was_done_already_is_no_error_and_says_so(desk: Desk) -> None:
    policy = desk.another_policy("careful", **UNAPPROVED)
    started(desk, policy)
    for verb, word in (("approve", "approved"), ("rollback", "rolled back")):
        first, again = desk.run(verb, "careful"), desk.run(verb, "careful")
        assert (first.status, again.status) == (Exit.DONE, Exit.DONE)
        assert f"{word} already" not in first.err
        assert f"{word} already" in again.err
    assert desk.weight == 0
