"""Each routed target through processes on ministack: its whole way, people and kills."""

import signal
import time
from pathlib import Path
from random import Random

import pytest

from controller.engine.time_limits import LEASE_DURATION
from tests.adapters.contracts.appconfig_benches import AppConfigBench
from tests.e2e.routed import KINDS, MINUTE, ROLLOUT, ROUNDS, Routed
from tests.support.deep_rows import deep_after
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack


@pytest.fixture(params=KINDS)
def routed(
    request: pytest.FixtureRequest, ministack: Emulator, account: str, tmp_path: Path
) -> Routed:
    return Routed(KINDS[request.param], ministack, account, tmp_path)


def test_a_healthy_canary_takes_all_requests(routed: Routed) -> None:
    routed.start()
    assert routed.finish() == [10, 50, 100]
    assert routed.status()["phase"] == "succeeded"
    assert routed.kinds() == [
        "started", "applied", "advanced", "applied", "advanced", "applied", "succeeded",
    ]  # fmt: skip
    assert routed.bench.beside() == routed.beside


@pytest.mark.parametrize("weight", deep_after(1, [50, 10, 100]))
def test_a_canary_that_fails_is_taken_out_at_each_weight(routed: Routed, weight: int) -> None:
    routed.start()
    routed.reach(weight)
    assert routed.finish(failing=60) == [weight, 0]
    final = routed.status()
    assert (final["phase"], final["reason"]) == ("rolled_back", "gate_failed")
    assert routed.bench.beside() == routed.beside


# --- people ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", deep_after(1, [10, 50, 100]))
@pytest.mark.parametrize(
    ("changed", "phase"), [(30, "paused"), pytest.param(0, "rolled_back", marks=pytest.mark.deep)]
)
def test_what_a_person_sets_during_a_step_stays(
    routed: Routed, weight: int, changed: int, phase: str
) -> None:
    routed.start()
    routed.reach(weight)
    assert routed.tick(1).status == 0  # the weight is read back
    routed.bench.set(changed)
    statuses = [routed.tick(serving=changed > 0).status for _ in range(2)]
    assert statuses == ([6, 0] if changed else [0, 0])  # drift is reported once
    assert routed.status()["phase"] == phase
    assert round(routed.bench.weight()) == changed
    assert routed.bench.beside() == routed.beside


def test_the_weight_of_a_person_is_taken_over_and_goes_on(routed: Routed) -> None:
    routed.bench.set(50)
    assert routed.try_start().status == 2
    routed.start("--adopt")
    assert routed.finish() == [50, 100]
    assert routed.bench.beside() == routed.beside


@pytest.mark.parametrize(
    "case",
    deep_after(
        1, [("names", 100), ("policy", 10), ("rollout", 100), ("policy", 100), ("names", 10)]
    ),
)
def test_an_operator_rolls_back(routed: Routed, case: tuple[str, int]) -> None:
    by, weight = case
    names: dict[str, tuple[str | Path, ...]] = {
        "rollout": (ROLLOUT,),
        "policy": (routed.policy,),
        "names": routed.kind.bare,
    }
    routed.start()
    routed.reach(weight)
    routed.now += MINUTE
    assert routed.run("rollback", *names[by]).status == 0
    assert routed.bench.weight() == 0
    assert routed.tick(1).status == 0
    assert routed.status()["phase"] == "rolled_back"
    assert routed.bench.beside() == routed.beside


def test_an_operator_sets_a_weight_without_a_rollout(routed: Routed) -> None:
    assert routed.run("store", "init").status == 0
    assert routed.run("set-weight", routed.policy, "20").status == 0
    assert round(routed.bench.weight()) == 20
    assert routed.run("rollback", routed.policy).status == 0
    assert routed.bench.weight() == 0
    assert routed.bench.beside() == routed.beside


@pytest.mark.deep  # a rule of the engine, which tests/chaos checks for each kind of target
def test_a_start_again_changes_nothing_and_a_revision_that_was_rolled_back_is_blocked(
    routed: Routed,
) -> None:
    routed.start()
    before = routed.kinds()
    routed.start()
    assert routed.kinds() == before
    assert routed.run("rollback", ROLLOUT).status == 0
    assert routed.try_start().status == 4
    assert routed.run("retry", ROLLOUT, "--reason", "fixed").status == 0
    assert round(routed.bench.weight()) == 10
    assert routed.run("rollback", ROLLOUT).status == 0
    assert routed.run("retry", routed.policy, "--reason", "fixed").status == 0
    assert routed.finish() == [10, 50, 100]
    routed.start()  # the same revision, which has succeeded
    assert routed.bench.weight() == 100


@pytest.mark.deep  # a rule of the engine, which tests/chaos checks for each kind of target
def test_what_a_person_sets_while_a_rollout_is_paused_or_after_its_success_stays(
    routed: Routed,
) -> None:
    routed.start()
    assert routed.run("pause", ROLLOUT).status == 0
    routed.bench.set(30)
    assert routed.tick().status in (0, 6)
    assert round(routed.bench.weight()) == 30
    assert routed.run("resume", ROLLOUT, "--restore").status == 0
    assert routed.finish()[-1] == 100
    routed.bench.set(30)
    assert [routed.tick().status for _ in range(2)] == [6, 0]
    assert round(routed.bench.weight()) == 30
    assert routed.status()["phase"] == "succeeded"
    assert routed.bench.beside() == routed.beside


# --- verbs ----------------------------------------------------------------------------------------


def test_a_drafted_policy_rehearses_and_its_rollout_starts(routed: Routed) -> None:
    path = routed.folder / "drafted.yaml"
    written = routed.run("init", *routed.kind.drafted, "--name", ROLLOUT, "-o", path, "--json")
    assert (written.status, written.data["weight"]) == (0, 0), written.err
    assert written.data["notes"] == []
    routed.policy = path
    assert routed.run("validate", routed.policy).status == 0
    rehearsed = ("rehearse", routed.policy, "--interval", "10m", "--expect", "succeeded")
    assert routed.run(*rehearsed).status == 0
    assert round(routed.bench.weight()) == 0
    routed.start()
    assert round(routed.bench.weight()) == 10
    assert routed.bench.beside() == routed.beside


@pytest.mark.parametrize("weight", deep_after(1, [0, 10]))
def test_every_verb_knows_the_target(routed: Routed, weight: int) -> None:
    if weight:
        routed.start()
        routed.serve(5)
    where = ("--account", routed.number, "--region", "us-east-1")
    for verb, allowed, options in (
        ("validate", {0}, ()),
        ("plan", {0}, ("--live",)),
        ("rehearse", {0}, ("--json",)),
        ("doctor", {0, 7}, ()),  # the schedule and the alarms are not there
        ("verify", {0, 7}, ()),
        ("metrics", {0}, ()),
        ("iam", {0}, where),
        ("permanent", {0}, ()),
    ):
        answer = routed.run(verb, routed.policy, *options)
        assert answer.status in allowed, (verb, answer.out, answer.err)
        assert "${" not in answer.out, verb


def test_a_profile_that_cannot_hold_the_flag_is_named_before_a_start(
    ministack: Emulator, account: str, tmp_path: Path
) -> None:
    """The document has the form of flags, but functions get it as it is: at 0% for ever."""
    routed = Routed(KINDS["appconfig"], ministack, account, tmp_path)
    bench = routed.bench
    assert isinstance(bench, AppConfigBench)
    freeform = bench.client.create_configuration_profile(
        ApplicationId=bench.target.application, Name="free", LocationUri="hosted"
    )["Id"]
    text = routed.policy.read_text().replace(bench.target.profile, freeform)
    document = bench.document()
    other = bench.of_profile(freeform)
    other.deploy(other.save(document))
    routed.policy.write_text(text)
    for ended, status in (
        (routed.run("plan", routed.policy, "--live"), 0),
        (routed.run("doctor", routed.policy), 7),
        (routed.try_start(), 2),
    ):
        assert ended.status == status
        shown = " ".join((ended.out + ended.err).split())
        assert f"profile {freeform} is of type AWS.Freeform, so no function reads flag" in shown


# --- kills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", deep_after(1, [5, 20]))
def test_whenever_a_tick_is_killed_the_weight_is_one_that_was_decided(
    routed: Routed, wanted: int
) -> None:
    random, kills = Random(7), 0
    routed.start()
    started = time.monotonic()
    assert routed.tick().status == 0
    tick_s = time.monotonic() - started
    for _ in range(ROUNDS):
        if kills == wanted:
            break
        routed.serve(1)
        running = routed.program.begin("tick", "--json")
        time.sleep(random.uniform(0, tick_s))
        running.signal(signal.SIGKILL)
        kills += running.answer().status == -signal.SIGKILL
        routed.now += LEASE_DURATION
        state = routed.status()
        pending = (state.get("pending") or {}).get("weight")
        assert round(routed.bench.weight()) in (state["weight"], state["live"]["weight"], pending)
        assert routed.bench.beside() == routed.beside
    assert kills == wanted
    assert routed.finish()[-1] == 100
    assert routed.bench.beside() == routed.beside
