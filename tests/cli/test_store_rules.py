"""store rules: they are shown, replaced and removed, and hold starts and overrides."""

from pathlib import Path

import pytest

from controller.core.events import Verb
from controller.errors import Exit, UsageError
from controller.process import settings
from controller.tools.dashboard.verb import act_runner
from tests.cli.conftest import CliHarness
from tests.support.cases import cases

OWNER = "platform team, #releases"
ASK = f"about the rules of this store, ask {OWNER}; to see them: rolloutctl store rules"
HEAD = f'# agreed in November\nversion: 1\nowner: "{OWNER}"\n'
LONG_BAKE = "min_bake: 1h\n"
NOT_STARTED = "orders was not started; nothing was changed:"


def set_rules(desk: CliHarness, rules: str) -> None:
    file = desk.store.parent / "rules.yaml"
    file.write_text(HEAD + rules)
    assert desk.run("store", "init").status == Exit.DONE
    ended = desk.run("store", "rules", str(file))
    assert ended.status == Exit.DONE, ended.err


def test_rules_are_set_shown_as_they_were_written_and_removed(desk: CliHarness) -> None:
    assert desk.run("store", "init").status == Exit.DONE
    url = f"sqlite:///{desk.store}"
    none = desk.run("store", "rules")
    assert none.out == f"# rules of {url}: none, every valid policy may start\n"
    set_rules(desk, LONG_BAKE)
    shown = desk.run("store", "rules")
    assert (shown.status, shown.out) == (Exit.DONE, f"# rules of {url}\n{HEAD}{LONG_BAKE}")
    assert desk.run("store", "rules", "--json").data["rules"] == {
        "version": 1, "owner": OWNER, "min_bake": "1h", "criteria": [], "forbid": [],
    }  # fmt: skip
    removed = desk.run("store", "rules", "--remove")
    (logged,) = [event for event in removed.events if event["event"] == "rules_set"]
    assert (removed.status, logged["rules"]) == (Exit.DONE, None)
    assert desk.run("store", "rules").out == none.out
    assert desk.run("store", "rules", "--json").data["rules"] is None


def test_a_file_with_a_mistake_changes_nothing(desk: CliHarness, tmp_path: Path) -> None:
    set_rules(desk, LONG_BAKE)
    before = desk.run("store", "rules").out
    file = tmp_path / "wrong.yaml"
    file.write_text(f"{HEAD}min_bak: 1h\n")
    ended = desk.run("store", "rules", str(file))
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert ended.err.startswith(f"rolloutctl: {file}:4:1: min_bak: unknown key; did you mean")
    assert "give one of them" in desk.run("store", "rules", str(file), "--remove").err
    assert desk.run("store", "rules").out == before


def test_a_policy_that_breaks_rules_is_refused_with_its_lines_and_whom_to_ask(
    desk: CliHarness,
) -> None:
    set_rules(desk, "min_bake: 1h\nnotify: required\nforbid: [adopt]\n")
    line = f"{desk.policy}:1:"
    started = desk.run("start", desk.policy, "--adopt")
    assert started.status == Exit.USAGE
    problems = started.err.splitlines()
    assert problems[0] == f"rolloutctl: {NOT_STARTED}"
    assert [one.strip().split(": ", 1)[0].startswith(line) for one in problems[1:4]] == [True] * 3
    assert "steps[1].bake: must be at least 1h, not 2m (rule min_bake)" in started.err
    assert "notify: must have at least one channel (rule notify)" in started.err
    assert problems[4:] == ["  --adopt is forbidden (rule forbid)", f"  {ASK}"]
    assert desk.run("run", desk.policy).err.startswith(f"rolloutctl: {NOT_STARTED}")
    assert desk.weight == 0
    assert not desk.sql("SELECT id FROM rollouts")


def test_the_other_verbs_say_before_what_would_refuse_the_start(desk: CliHarness) -> None:
    set_rules(desk, f"{LONG_BAKE}forbid: [fix]\n")
    found = "steps[0].bake: must be at least 1h, not 2m (rule min_bake)"
    url = f"sqlite:///{desk.store}"
    valid = desk.run("validate", desk.policy)
    assert (valid.status, valid.err) == (Exit.DONE, "")
    checked = desk.run("validate", desk.policy, "--store", url)
    assert (checked.status, found in checked.err, ASK in checked.err) == (Exit.USAGE, True, True)
    (file,) = desk.run("validate", desk.policy, "--store", url, "--json").data["files"]
    assert [one["path"] for one in file["problems"]] == ["steps[0].bake", "steps[1].bake"]

    planned = desk.run("plan", desk.policy)
    assert "would be refused" in planned.out
    assert found in planned.out
    live = desk.run("plan", desk.policy, "--live", "--fix", "--exit-code", "--json")
    assert live.status == Exit.USAGE
    refusals = live.data["live"]["refusals"]
    assert any(one.endswith(found) for one in refusals)
    assert "--fix is forbidden (rule forbid)" in refusals


def test_a_rollout_that_is_active_goes_on_and_is_rolled_back_whatever_the_rules_are(
    desk: CliHarness,
) -> None:
    assert desk.run("start", desk.policy).status == Exit.DONE
    set_rules(desk, f"{LONG_BAKE}forbid: [fix, despite, adopt, retry, promote, set-weight, keep]\n")
    again = desk.run("start", desk.policy, "--json")
    assert (again.status, again.data["new"]) == (Exit.DONE, False)
    desk.ticks(6)
    assert desk.state()["weight"] == 100
    desk.sql("UPDATE rules SET text = ?", "{")
    assert desk.run("rollback", "orders").status == Exit.DONE
    assert desk.weight == 0


@cases("rules, refusal", {
    "its stored policy breaks a rule":
        (LONG_BAKE, "  steps[0].bake: must be at least 1h, not 2m (rule min_bake)"),
    "a retry is forbidden": ("forbid: [retry]\n", "  retry is forbidden (rule forbid)"),
})  # fmt: skip
def test_a_retry_is_held_to_the_rules(desk: CliHarness, rules: str, refusal: str) -> None:
    assert desk.run("start", desk.policy).status == Exit.DONE
    assert desk.run("rollback", "orders").status == Exit.DONE
    set_rules(desk, rules)
    ended = desk.run("retry", "orders", "--reason", "again")
    assert (ended.status, refusal in ended.err.splitlines()) == (Exit.USAGE, True)
    ended = desk.run("retry", desk.policy, "--reason", "again")
    assert (ended.status, refusal.strip() in ended.err) == (Exit.USAGE, True)
    assert desk.sql("SELECT id FROM rollouts") == [("orders#1",)]


@cases("options, rule", {
    "a check that is passed": (("--despite", "metrics", "--reason", "x"), "despite"),
    "a fix": (("--fix", "--reason", "x"), "fix"),
    "an adoption": (("--adopt",), "adopt"),
})  # fmt: skip
def test_a_forbidden_option_of_a_start_is_refused(
    desk: CliHarness, options: tuple[str, ...], rule: str
) -> None:
    set_rules(desk, f"forbid: [{rule}]\n")
    ended = desk.run("start", desk.policy, *options)
    assert (ended.status, f"--{rule} is forbidden (rule forbid)" in ended.err) == (2, True)
    assert desk.run("start", desk.policy).status == Exit.DONE


def test_a_forbidden_promote_is_refused_on_the_terminal_and_in_the_dashboard(
    desk: CliHarness,
) -> None:
    assert desk.run("start", desk.policy).status == Exit.DONE
    set_rules(desk, "forbid: [promote]\n")
    ended = desk.run("promote", "orders", "--reason", "in a hurry")
    assert ended.status == Exit.USAGE
    assert (
        f"promote was refused, and nothing was changed: it is forbidden (rule forbid); {ASK}"
        in (ended.err)
    )
    run_act = act_runner(settings.read({"ROLLOUTCTL_STORE": f"sqlite:///{desk.store}"}))
    (version,) = desk.sql("SELECT version FROM rollouts")[0]
    with pytest.raises(UsageError, match="promote was refused"):
        run_act("orders#1", Verb.PROMOTE, "in a hurry", version)
    assert desk.run("pause", "orders").status == Exit.DONE
    assert desk.run("resume", "orders").status == Exit.DONE
    assert desk.state()["weight"] == 10


def test_a_forbidden_weight_may_be_lowered_and_not_kept_or_set(desk: CliHarness) -> None:
    assert desk.run("start", desk.policy).status == Exit.DONE
    set_rules(desk, "forbid: [set-weight, keep]\n")
    raised = desk.run("set-weight", "orders", "50", "--force")
    assert (raised.status, "set-weight 50 was refused" in raised.err) == (Exit.USAGE, True)
    assert (desk.weight, desk.state()["phase"]) == (10, "progressing")
    assert desk.run("set-weight", "orders", "5", "--force").status == Exit.DONE
    kept = desk.run("resume", "orders", "--keep")
    assert (kept.status, "resume --keep was refused" in kept.err) == (Exit.USAGE, True)
    assert desk.state()["phase"] == "paused"


@pytest.mark.parametrize("damaged", ["{", "version: 9\nowner: x\n"])
def test_nothing_starts_while_the_rules_cannot_be_read(desk: CliHarness, damaged: str) -> None:
    set_rules(desk, "min_bake: 1m\n")
    desk.sql("UPDATE rules SET text = ?", damaged)
    for words in (("start", desk.policy), ("start", desk.policy, "--dry-run"), ("store", "rules")):
        ended = desk.run(*words)
        assert (ended.status, "rolloutctl store rules FILE" in ended.err) == (Exit.INTERNAL, True)
    set_rules(desk, "min_bake: 1m\n")
    assert desk.run("start", desk.policy).status == Exit.DONE


def test_a_tick_reads_no_rules(desk: CliHarness) -> None:
    assert desk.run("start", desk.policy).status == Exit.DONE
    set_rules(desk, LONG_BAKE)
    desk.sql("UPDATE rules SET text = ?", "{")
    assert desk.ticks(14).status == Exit.DONE
    assert desk.state()["phase"] == "succeeded"


def test_a_copy_says_that_the_rules_are_left(desk: CliHarness, tmp_path: Path) -> None:
    set_rules(desk, LONG_BAKE)
    old, new = (f"sqlite:///{path}" for path in (desk.store, tmp_path / "new.db"))
    desk.run("store", "init", "--store", new)
    copied = desk.run("store", "copy", old, new)
    assert (copied.status, f"{new} has no rules" in copied.err) == (Exit.DONE, True)
    desk.run("store", "rules", str(desk.store.parent / "rules.yaml"), "--store", new)
    assert "has no rules" not in desk.run("store", "copy", old, new).err
