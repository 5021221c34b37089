"""monitoring: what it prints, what it refuses, and what it does without a store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.loaders import create_loader
from moto import mock_aws

from controller import cli
from controller.adapters.sqlite import SqliteStore
from controller.core.effects import Record
from controller.core.history import append
from controller.core.rollout import Phase, Reason
from controller.errors import Exit
from tests.cli.conftest import Ended
from tests.core.monitoring.watched import FROZEN, a_watched
from tests.emulator import REGION
from tests.rollouts import NOON, a_rollout

_models = create_loader()  # read once: that takes longer than what a test does with them

TO = ("--email", "oncall@example.com")


class Place:
    """Somebody at a terminal, with the policy `shop` and an account of moto."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.policy = folder / "shop.yaml"
        self.policy.write_text(a_watched("SC-004", "frozen", "auth-failures").snapshot())
        self.store = folder / "rollouts.db"
        self._capsys = capsys

    def run(self, verb: str, *words: str) -> Ended:
        self._capsys.readouterr()
        status = cli.main(["monitoring", verb, str(self.policy), *words])
        return Ended(status, *self._capsys.readouterr())

    def client(self, service: str) -> Any:
        return Session(region_name=REGION).client(service)


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    """A place without a store."""
    with mock_aws():
        monkeypatch.setenv("AWS_REGION", REGION)
        monkeypatch.setattr("botocore.session.create_loader", lambda _paths: _models)
        found = Place(tmp_path, capsys)
        monkeypatch.setenv("ROLLOUTCTL_STORE", f"sqlite:///{found.store}")
        yield found


def test_a_plan_shows_what_would_be_made_and_makes_nothing(place: Place) -> None:
    ended = place.run("plan", *TO)
    lines = ended.out.splitlines()
    assert ended.status == Exit.DONE
    assert [line for line in lines if line.startswith("+ ")] == [
        "+ create   topic rolloutctl-shop",
        "+ create   subscription oncall@example.com  (a mail will ask to confirm it)",
        "+ create   alarm rolloutctl-shop-SC-004",
        "+ create   alarm rolloutctl-shop-auth-failures",
        "+ create   dashboard rolloutctl-shop",
    ]
    assert "      Error rates: SC-004: at most 0.1%; auth-failures: at most 10" in lines
    assert lines[-1] == "5 to create"
    assert place.client("cloudwatch").list_dashboards()["DashboardEntries"] == []
    assert not place.store.exists()


def test_a_deployment_tells_what_it_did_and_the_next_one_that_all_is_there(
    place: Place,
) -> None:
    assert place.run("deploy", *TO).out.splitlines()[-1] == "5 created"
    again = place.run("deploy")
    assert (again.status, again.out.splitlines()[-1]) == (Exit.DONE, "5 left as they are")
    assert again.err == (
        "rolloutctl: note: frozen gets an alarm and a line in the graph once a rollout has frozen "
        "its baseline: deploy again after the start\n"
    )


def test_a_removal_takes_all_of_it(place: Place) -> None:
    place.run("deploy", *TO)
    ended = place.run("remove", "--yes")
    assert (ended.status, ended.out.splitlines()[-1]) == (Exit.DONE, "4 removed")
    assert place.run("remove").out == "nothing\n"


def test_a_removal_where_nobody_can_be_asked_removes_nothing(place: Place) -> None:
    place.run("deploy")
    ended = place.run("remove")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "- remove   dashboard rolloutctl-shop" in ended.err
    assert ended.err.endswith("nothing was removed: nobody can be asked here; say --yes\n")
    assert place.run("deploy").out.splitlines()[-1] == "3 left as they are"


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1)])
def test_a_person_is_asked_before_anything_is_removed(
    place: Place, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    place.run("deploy")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: answer.strip())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    place.run("remove")
    assert len(place.client("cloudwatch").list_dashboards()["DashboardEntries"]) == left


def test_what_is_foreign_keeps_a_deployment_from_being_begun(place: Place) -> None:
    place.client("cloudwatch").put_dashboard(
        DashboardName="rolloutctl-shop", DashboardBody=json.dumps({"widgets": []})
    )
    planned = place.run("plan").out.splitlines()
    assert planned[-1] == "2 to create, 1 foreign: nothing will be deployed"
    assert (
        "! foreign  dashboard rolloutctl-shop  (somebody else made it: it has no tag of ours)"
        in planned
    )
    ended = place.run("deploy")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "nothing was touched, for names are taken: dashboard rolloutctl-shop" in ended.err
    assert place.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_json_has_the_plan_and_what_was_done(place: Place) -> None:
    planned = place.run("plan", "--json").data
    assert planned["schema"] == "monitoring-plan/1"
    assert [one["action"] for one in planned["changes"]] == ["create"] * 3
    assert planned["alarms"][1]["threshold"] == 10
    done = place.run("deploy", "--json").data
    assert (done["schema"], done["changes"]) == ("monitoring-deploy/1", planned["changes"])
    assert place.run("remove", "--yes", "--json").data["schema"] == "monitoring-remove/1"


@pytest.mark.parametrize("verb", ["plan", "deploy"])
def test_a_template_is_printed_without_a_call(
    place: Place, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setattr("controller.adapters.aws.Clients.get", lambda *_: pytest.fail("a call"))
    ended = place.run(verb, *TO, "--emit", "cloudformation")
    assert ended.status == Exit.DONE
    assert ended.out.startswith("AWSTemplateFormatVersion: '2010-09-09'\n")


@pytest.mark.parametrize("address", ["oncall", "@example.com", "a b@example.com", "<a@b.c>", ""])
def test_what_is_no_address_is_refused(place: Place, address: str) -> None:
    ended = place.run("plan", "--email", address)
    assert ended.status == Exit.USAGE
    assert "is no address like oncall@example.com" in ended.err


# --- with a rollout -----------------------------------------------------------------------------


def keep(place: Place, **facts: Any) -> None:
    """Keep a rollout of `shop` whose first weight was in force at noon."""
    policy = a_watched("SC-004", "frozen", "auth-failures")
    rollout = a_rollout(
        "shop#1", policy=policy, name="shop", digest=policy.digest(), baselines={"frozen": FROZEN}
    )
    record = Record(
        "settled", NOON, Phase.PROGRESSING, Phase.PROGRESSING, 10, 10, 0, Reason.SETTLED, "settled"
    )
    rollout, entry = append(rollout, record, by="tester", seen={})
    with SqliteStore(place.store) as store:
        store.create(rollout, [entry], rollout.locks)


def test_what_the_newest_rollout_did_and_froze_is_drawn(place: Place) -> None:
    keep(place)
    planned = place.run("plan", "--json").data
    assert planned["moments"] == [{"at": NOON.isoformat(), "label": "10 %"}]
    assert planned["notes"] == []
    assert "rolloutctl-shop-frozen" in [one["name"] for one in planned["alarms"]]
    assert "      2026-11-24 12:00 UTC  10 %" in place.run("plan").out.splitlines()


def test_a_store_that_cannot_be_read_keeps_nobody_from_being_alarmed(place: Place) -> None:
    place.store.write_bytes(b"no database" * 100)
    ended = place.run("deploy")
    assert (ended.status, ended.out.splitlines()[-1]) == (Exit.DONE, "3 created")
    assert ended.err.startswith("rolloutctl: note: nothing of a rollout is drawn: ")


def test_a_deployment_without_the_store_leaves_the_alarm_that_it_cannot_work_out(
    place: Place,
) -> None:
    keep(place)
    assert place.run("deploy").out.splitlines()[-1] == "4 created"
    place.store.rename(place.store.with_name("elsewhere.db"))
    ended = place.run("deploy")
    line = "= leave    alarm rolloutctl-shop-frozen  (its baseline is not known here)"
    assert line in ended.out.splitlines()
    assert len(place.client("cloudwatch").describe_alarms()["MetricAlarms"]) == 3
