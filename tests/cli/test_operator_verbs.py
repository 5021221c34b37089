"""The operator's verbs, and start --adopt: their output, effects and exit statuses."""

from collections.abc import Sequence
from typing import Any

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY, WRITE
from tests.tools.simulation.worlds import FUNCTION, MINUTE

VERBS = ("pause", "resume", "promote", "approve", "retry")
WHY = ("--reason", "the board said so")
UNAPPROVED: dict[str, Any] = {
    "steps": [SHORT_POLICY["steps"][0], {**SHORT_POLICY["steps"][1], "approval": "required"}]
}


def started(desk: CliHarness, policy: str | None = None) -> CliHarness:
    """Put 10% of traffic on the canary, by a rollout."""
    assert desk.run("start", policy or desk.policy).status == Exit.DONE
    return desk


def moved(desk: CliHarness, weight: int) -> None:
    """Set the weight outside rolloutctl, and let a tick observe it."""
    pair = {"PERCENTAGE": str(weight), "ENABLED": "true" if weight == 100 else "false"}
    desk.world.set_variables(FUNCTION, pair)
    assert desk.ticks(1).status == Exit.DRIFT


# --- effects ------------------------------------------------------------------------------------


def test_a_weight_that_drifted_up_is_restored(desk: CliHarness) -> None:
    started(desk)
    moved(desk, 60)
    ended = desk.run("resume", "orders", "--restore", "--json")
    assert (ended.status, desk.weight) == (Exit.DONE, 10)
    assert (ended.data["schema"], ended.data["reason"]) == ("resume/1", "applied")


def test_a_step_that_needs_an_approval_waits_for_it(desk: CliHarness) -> None:
    policy = desk.another_policy("careful", **UNAPPROVED)
    started(desk, policy)
    desk.ticks(10)
    waiting = desk.state("careful")
    assert (desk.weight, waiting["reason"]) == (10, "awaiting_approval")
    assert waiting["waiting_for"] == "100% needs an approval: rolloutctl approve careful#1"
    ended = desk.run("approve", policy, "--json")
    assert (ended.status, ended.data["schema"], desk.weight) == (Exit.DONE, "approve/1", 10)
    desk.ticks(1)
    assert desk.weight == 100


def test_a_retry_of_a_name_keeps_the_policy_and_one_of_a_file_takes_what_the_file_says(
    desk: CliHarness,
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
    assert (by_name["revision"], by_name["weight"]) == (desk.state()["revision"], 10)
    by_file = desk.run("retry", changed, *WHY, "--json").data
    assert (by_file["revision"], by_file["id"], desk.weight) == (
        by_name["revision"],
        "orders#2",
        20,
    )


def test_a_retry_adopts_the_weight_that_is_live(desk: CliHarness) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "100", "ENABLED": "true"})
    desk.world.clock.advance(MINUTE)
    writes = desk.world.calls[WRITE]
    assert desk.run("retry", "orders", *WHY).status == Exit.USAGE
    assert desk.run("retry", "orders", "--adopt", *WHY).status == Exit.DONE
    assert (desk.weight, desk.world.calls[WRITE]) == (100, writes)


def test_a_plan_of_an_adoption_says_what_is_taken_over(desk: CliHarness) -> None:
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "100", "ENABLED": "true"})
    desk.world.clock.advance(MINUTE)
    planned = desk.run("plan", desk.policy, "--live", "--adopt")
    assert "  start     `rolloutctl start --adopt` takes over the 100% that are live" in planned.out


# --- attest -------------------------------------------------------------------------------------

ATTESTED: dict[str, Any] = {
    "criteria": {
        **SHORT_POLICY["criteria"],
        "SC-005": {"kind": "attestation", "statement": "Support has seen nothing."},
    }
}


def test_a_signature_is_shown_and_recorded_with_its_signer(desk: CliHarness) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    desk.ticks(3)
    ended = desk.run("attest", "signing", "SC-005", "--note", "no tickets", "--by", "ada")
    assert ended.status == Exit.DONE
    (row,) = [line.split() for line in ended.out.splitlines() if "pass  SC-005 " in line]
    assert row == ["pass", "SC-005", "signed", "signed", "1", "attested"]
    desk.ticks(1)
    shown = desk.run("status", "signing").out.splitlines()
    (row,) = [line.split() for line in shown if "pass  SC-005 " in line]
    assert row == ["pass", "SC-005", "signed", "signed", "1", "attested"]
    history = desk.run("history", "signing").out
    assert "SC-005 was attested by ada: no tickets" in history
    again = desk.run("attest", "signing", "SC-005", "--note", "no tickets", "--by", "ada")
    assert again.status == Exit.DONE
    assert desk.run("history", "signing").out == history
    assert desk.run("replay", "signing").status == Exit.DONE


def test_a_refusal_rolls_back_with_the_next_tick(desk: CliHarness) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    desk.ticks(1)
    refused = desk.run("attest", "signing", "SC-005", "--refuse", "--note", "tickets", "--json")
    assert (refused.status, refused.data["schema"]) == (Exit.DONE, "attest/1")
    desk.ticks(1)
    assert desk.state("signing")["phase"] == "rolled_back"
    assert "refused by" in desk.state("signing")["sentence"]
    ended = desk.run("attest", "signing", "SC-005", "--note", "too late")
    assert ended.status == Exit.USAGE
    assert "the rollout is rolled_back; allowed now: rollback, retry" in ended.err


def test_a_signature_needs_a_note_and_a_criterion_that_asks_for_one(desk: CliHarness) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    assert desk.run("attest", "signing", "SC-005").status == Exit.USAGE
    assert desk.run("attest", "signing", "SC-005", "--note", "").status == Exit.USAGE
    unknown = desk.run("attest", "signing", "works", "--note", "fine")
    assert unknown.status == Exit.USAGE
    assert "the policy has no attestation 'works'; its attestations: SC-005" in unknown.err


def test_a_dry_run_signs_nothing(desk: CliHarness) -> None:
    started(desk, desk.another_policy("signing", **ATTESTED))
    would = desk.run("attest", "signing", "SC-005", "--note", "fine", "--dry-run")
    assert would.status == Exit.DONE
    assert "was attested by" in would.out
    assert desk.run("history", "signing").out.count("attested") == 0


# --- refusals -----------------------------------------------------------------------------------


@cases("arguments, words", {
    "nothing to resume": (
        ["resume", "orders"],
        "resume was refused, and orders#1 is unchanged: the rollout is progressing; "
        "allowed now: pause, promote, approve, attest, rollback",
    ),
    "nothing to try again": (
        ["retry", "orders", *WHY],
        "retry was refused, and orders#1 is unchanged: the rollout is progressing",
    ),
    "no reason to retry": (["retry", "orders"], "Missing option '--reason'"),
    "a reason of which nothing can be read":
        (["retry", "orders", "--reason", "\x1b\n"], "say why; it is recorded in the history"),
    "a reason that is too long":
        (["pause", "orders", "--reason", "x" * 501], "has 501 characters; at most 500 fit"),
    "an empty reason":
        (["promote", "orders", "--reason", " "], "say why; it is recorded in the history"),
    "two ways at once":
        (["resume", "orders", "--keep", "--restore"], "either --restore or --keep, not both"),
    "an unknown id": (["pause", "orders#7"], "orders#7"),
})  # fmt: skip
def test_what_does_not_fit_ends_with_2_and_changes_nothing(
    desk: CliHarness, arguments: Sequence[str], words: str
) -> None:
    started(desk)
    before = desk.state()
    ended = desk.run(*(argument.format(policy=desk.policy) for argument in arguments))
    assert ended.status == Exit.USAGE
    assert words in " ".join(ended.err.split())
    assert ended.out == ""
    assert (desk.state(), desk.weight) == (before, 10)


def test_a_resume_without_a_word_on_the_moved_weight_says_what_there_is(desk: CliHarness) -> None:
    started(desk)
    moved(desk, 60)
    ended = desk.run("resume", "orders")
    assert ended.status == Exit.USAGE
    assert (
        "the target shows PERCENTAGE=60, ENABLED=false, expected 10%; to lower it to 10% and go "
        "on: rolloutctl resume orders#1 --restore; to go on at 60%: rolloutctl resume orders#1 "
        "--keep; to roll back: rolloutctl rollback orders#1"
    ) in ended.err


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_of_people_makes_a_store(desk: CliHarness, verb: str) -> None:
    reason = WHY if verb in ("promote", "retry") else ()
    ended = desk.run(verb, "orders", *reason)
    assert ended.status == Exit.USAGE
    assert "there is no store at " in ended.err


# --- dry runs, and unreadable targets -----------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "would"),
    [
        ("pause", "record paused of orders#1: paused by an operator: the board said so"),
        ("promote", "set handler to 100%"),
    ],
)
def test_a_dry_run_shows_what_would_be_done_and_does_nothing(
    desk: CliHarness, verb: str, would: str
) -> None:
    started(desk)
    before = desk.state()
    ended = desk.run(verb, "orders", *WHY, "--dry-run")
    assert ended.status == Exit.DONE
    assert f"would: {would}" in ended.out
    assert (desk.state(), desk.weight) == (before, 10)
    assert would in desk.run(verb, "orders", *WHY, "--dry-run", "--json").data["would"]


def test_a_dry_retry_and_a_dry_adoption_touch_nothing(desk: CliHarness) -> None:
    started(desk)
    desk.run("rollback", "orders")
    desk.world.clock.advance(MINUTE)
    assert "would: create orders#2" in desk.run("retry", "orders", *WHY, "--dry-run").out
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "10", "ENABLED": "false"})
    desk.world.clock.advance(MINUTE)
    adopting = desk.run("start", desk.policy, "--adopt", "--revision", "two", "--dry-run")
    assert (
        "would: create orders#2: started with revision two; taking over the existing weight of 10%"
        in adopting.out
    )
    assert desk.state()["id"] == "orders#1"


def test_a_pause_works_while_the_target_cannot_be_read_and_a_promotion_does_not(
    desk_in: MakeDesk,
) -> None:
    desk = started(desk_in(events=[{"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}]))
    desk.world.clock.advance(2 * MINUTE)
    promoted = desk.run("promote", "orders", *WHY)
    assert promoted.status == Exit.USAGE
    assert "the target cannot be read" in promoted.err
    assert desk.run("pause", "orders").status == Exit.DONE
    assert desk.state()["phase"] == "paused"


def test_what_was_done_already_is_no_error_and_says_so(desk: CliHarness) -> None:
    policy = desk.another_policy("careful", **UNAPPROVED)
    started(desk, policy)
    for verb, word in (("approve", "approved"), ("rollback", "rolled back")):
        first, again = desk.run(verb, "careful"), desk.run(verb, "careful")
        assert (first.status, again.status) == (Exit.DONE, Exit.DONE)
        assert f"{word} already" not in first.err
        assert f"{word} already" in again.err
    assert desk.weight == 0
