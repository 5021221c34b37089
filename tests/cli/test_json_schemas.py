"""Every document that a verb prints with --json fits the schema that `rolloutctl schema` prints."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import click
import pytest
from jsonschema import Draft202012Validator

import controller.tools.doctor.verb
import controller.tools.record
from controller.adapters.aws.clients import Clients
from controller.adapters.recorder import RecordedCall
from controller.cli import VERBS, command_of
from controller.errors import Exit
from controller.operations.checks import Check, CheckLevel
from controller.tools.schema import OUTPUTS, output_schema
from tests.adapters.cloudformation.fake_cloudformation import FakeCloudFormation
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.json_schemas import mistakes
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import FUNCTION, MINUTE, POLICY, START

Act: TypeAlias = Callable[[CliHarness], None]

MEASURED: Final = ("requests", "client_errors", "server_errors", "latency", "direct")
RICH: Final[Mapping[str, Any]] = {
    **SHORT_POLICY,
    "metrics": {name: one for name, one in POLICY["metrics"].items() if name in MEASURED},
    "criteria": {
        "works": SHORT_POLICY["criteria"]["works"],
        "fast": {**POLICY["criteria"]["fast"], "window": "1m"},
        "enough": {
            "kind": "success_rate", "total": "requests", "failures": ["server_errors"],
            "min": "99%", "judge": "sequential",
        },
        "signed": {"kind": "attestation", "statement": "Support has seen no ticket."},
    },
    "freeze": {"zone": "Europe/Berlin", "weekly": [{"from": "fri 16:00", "to": "mon 08:00"}]},
    "verify_rollback": {"absent": '{ $.event = "new" }', "present": '{ $.event = "old" }'},
    "hooks": {"after_advance": [{"kind": "lambda", "function": "told"}]},
    "notify": [{"kind": "sns", "topic": "arn:aws:sns:eu-central-1:123456789012:rollouts"}],
}  # fmt: skip


def minutes(number: int) -> Act:
    """Return the act of ticking once a minute."""

    def act(desk: CliHarness) -> None:
        for _ in range(number):
            desk.world.clock.advance(MINUTE)
            desk.run("tick")

    return act


def drift(desk: CliHarness) -> None:
    """Set the weight outside rolloutctl, and let a tick see it."""
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "70", "ENABLED": "false"})
    minutes(1)(desk)


def saved_in_the_future(desk: CliHarness) -> None:
    """Set the clock back, so that the last save was 20 minutes from now."""
    desk.world.clock.advance(-20 * MINUTE)


def log_events(desk: CliHarness) -> None:
    """Let the function log an event of the flag and a plain line."""
    event = {"event": "rollout_flag", "percentage": 10, "Path": "canary"}
    for text in (json.dumps(event), "a plain line"):
        desk.world.add_log_event("/aws/lambda/handler", START, text)
    desk.world.clock.advance(MINUTE)


# A fifth of the requests of its history fails.
JUDGED: Final = {
    **SHORT_POLICY,
    "criteria": {
        "works": {
            name: value
            for name, value in SHORT_POLICY["criteria"]["works"].items()
            if name not in ("judge", "failure_limit")
        }
    },
}


def write_history(desk: CliHarness) -> None:
    """Write half an hour of requests beside the policy file."""
    times = range(1_790_000_100, 1_790_000_100 + 1_800, 60)
    lines = [f"{at},1000,0,200" for at in times]
    head = "timestamp,requests,client_errors,server_errors"
    Path(f"{desk.policy}.csv").write_text("\n".join([head, *lines]))


class Case(NamedTuple):
    """A document: the verb that prints it, what happened before, and the command line."""

    name: str
    before: Sequence[str | Act]
    command: str
    policy: Mapping[str, Any] = SHORT_POLICY


STARTED: Final = ("start {policy}",)
SUCCEEDED: Final = (*STARTED, minutes(12))
ROLLED_BACK: Final = (*STARTED, minutes(2), "rollback orders")
CASES: Final = (
    Case("init", (), "init --offline --function f --percentage PP --metrics flag -o {policy}.new"),
    Case("init", (), "init --from quiet-service -o {policy}.new"),
    Case("validate", (), "validate {policy} gone.yaml"),
    Case("plan", (), "plan {policy} --requests-per-minute 6", RICH),
    Case("plan", (), "plan {policy}"),
    Case("plan", (), "plan {policy} --live", RICH),
    Case("plan", STARTED, "plan {policy} --live"),
    Case("rehearse", (), "rehearse {policy}"),
    Case("rehearse", (), "rehearse {policy} --scenario error-burst", POLICY),
    Case("backtest", (write_history,),
         "backtest {policy} --csv {policy}.csv --max-false-rollbacks 1%", JUDGED),
    Case("backtest", (write_history,),
         "backtest {policy} --csv {policy}.csv --inject errors=5%@10", JUDGED),
    Case("start", (), "start {policy}"),
    Case("start", (), "start {policy} --dry-run", RICH),
    Case("start", STARTED, "start {policy}"),
    Case("tick", ("store init",), "tick"),
    Case("tick", (*STARTED, minutes(3)), "tick", RICH),
    Case("tick", STARTED, "tick --dry-run"),
    Case("run", (), "run {policy} --timeout 3m"),
    Case("status", (*STARTED, minutes(3)), "status orders"),
    Case("status", (*STARTED, minutes(4)), "status orders", RICH),
    Case("status", (*STARTED, minutes(1), drift), "status orders"),
    Case("status", ROLLED_BACK, "status orders"),
    Case("status", SUCCEEDED, "status --all"),
    Case("status", ("store init",), "status"),
    Case("history", SUCCEEDED, "history orders"),
    Case("history", (*ROLLED_BACK, minutes(5)), "history orders"),
    Case("replay", SUCCEEDED, "replay orders"),
    Case("report", SUCCEEDED, "report orders --html {policy}.html"),
    Case("dashboard", STARTED, "dashboard --timeout 1s"),
    Case("dashboard", STARTED, "dashboard --timeout 1s --allow rollback,promote --by oncall"),
    Case("pause", (*STARTED, minutes(1)), "pause orders"),
    Case("pause", (*STARTED, minutes(1)), "pause orders --dry-run"),
    Case("resume", (*STARTED, minutes(1), "pause orders"), "resume orders"),
    Case("promote", (*STARTED, minutes(1)), "promote orders --reason tested"),
    Case("approve", STARTED, "approve orders", {
        **SHORT_POLICY, "steps": [*SHORT_POLICY["steps"][:1], {
            **SHORT_POLICY["steps"][1], "approval": "required"}],
    }),
    Case("ack", (*STARTED, minutes(1), drift), "ack orders", {
        **SHORT_POLICY, "notify": RICH["notify"]}),
    Case("attest", STARTED, "attest orders signed --note seen", RICH),
    Case("retry", ROLLED_BACK, "retry orders --reason mended"),
    Case("rollback", STARTED, "rollback orders"),
    Case("rollback", STARTED, "rollback orders --dry-run"),
    Case("rollback", (), f"rollback --function {FUNCTION} --percentage PERCENTAGE"
         " --boolean ENABLED"),
    Case("set-weight", ("store init",), "set-weight {policy} 40"),
    Case("set-weight", STARTED, "set-weight {policy} 40 --force"),
    Case("metrics", (*STARTED, minutes(5)), "metrics {policy}", POLICY),
    Case("logs", (log_events,), "logs {policy}"),
    Case("verify", (*STARTED, minutes(3)), "verify {policy}"),
    Case("doctor", (), "doctor {policy}"),
    Case("monitoring-plan", (), "monitoring plan {policy}"),
    Case("monitoring-deploy", (), "monitoring deploy {policy} --email oncall@example.com"),
    Case("monitoring-remove", ("monitoring deploy {policy}",), "monitoring remove {policy} --yes"),
    Case("permanent", SUCCEEDED, "permanent orders"),
    Case("permanent", (), "permanent {policy} --form cdk"),
    Case("iam", (), "iam {policy}"),
    Case("iam", (), "iam {policy} --parameters --account 123456789012 --region eu-west-1"),
    Case("schema", (), "schema status"),
    Case("explain", (), "explain steps"),
    Case("explain", (), "explain"),
    Case("completion", (), "completion bash"),
    Case("error", (), "stats"),
    Case("error", (), "plan gone.yaml"),
    Case("store-init", (), "store init"),
    Case("store-init", (), "store init --template --store dynamodb://rollouts"),
    Case("store-recipients", ("store init",), "store recipients"),
    Case("store-recipients", ("store init",), "store recipients --remove"),
    Case("store-rules", ("store init",), "store rules"),
    Case("store-rules", ("store init",), "store rules --remove"),
    Case("store-copy", (*SUCCEEDED, minutes(20), "store init --store {other}"),
         "store copy {store} {other}"),
    Case("record", (), "record {recording}"),
    Case("store-check", STARTED, "store check"),
    Case("store-upgrade", STARTED, "store upgrade"),
    Case("store-upgrade", STARTED, "store upgrade --dry-run"),
    Case("store-check", (*STARTED, saved_in_the_future), "store check"),
)  # fmt: skip


class _Examiner:
    """The checks of `doctor`: one of each level. The simulated account has not all services."""

    def checks(self) -> Iterator[Check]:
        for level in CheckLevel:
            yield Check("clock", level, "0 s apart", "")


def _record(*_: object) -> tuple[list[RecordedCall], list[str]]:
    """A recording of one call: the simulated account has not all services."""
    return [RecordedCall("lambda", "GetAlias", 1, {"Name": "Name-1"})], ["live: as before"]


@contextmanager
def _doctor(*_: object) -> Iterator[_Examiner]:
    yield _Examiner()


@pytest.fixture
def printed(
    desk_in: MakeDesk, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Case], Any]:
    """Return what prints the document of a case."""

    def play(case: Case) -> Any:
        desk, stacks = desk_in(case.policy), FakeCloudFormation(0, 0)

        def client(_: Clients, service: str, **__: object) -> Any:
            return stacks if service == "cloudformation" else desk.world.client(service)

        monkeypatch.setattr(Clients, "get", client)
        monkeypatch.setattr(controller.tools.doctor.verb, "live_doctor", _doctor)
        monkeypatch.setattr(controller.tools.record, "record_account", _record)
        urls = [f"sqlite:///{tmp_path_factory.mktemp(one) / 'a.db'}" for one in ("one", "other")]
        monkeypatch.setenv("ROLLOUTCTL_STORE", urls[0])
        desk.world.clock.advance(20 * MINUTE)
        for act in case.before:
            if isinstance(act, str):
                ended = desk.run(*act.format(policy=desk.policy, other=urls[1]).split())
                assert ended.status == Exit.DONE, ended
            else:
                act(desk)
        places = {"store": urls[0], "other": urls[1], "recording": f"{desk.policy}.recording"}
        command = case.command.format(policy=desk.policy, **places)
        ended = desk.run(*command.split(), "--json")
        assert ended.out, ended
        return json.loads(ended.out)

    return play


def case_id(case: Case) -> str:
    return f"{case.name}: {case.command}" + (", rich" if case.policy is RICH else "")


FIRST: Final = {case.name: case for case in reversed(CASES)}


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_what_a_verb_prints_fits_its_schema(case: Case, printed: Callable[[Case], Any]) -> None:
    """The schema refuses the first document of a verb as soon as a key differs."""
    document = printed(case)
    assert document["schema"] == f"{case.name}/1"
    assert mistakes(document) == []
    assert list(unix_seconds(document)) == []
    if case is FIRST[case.name]:
        for wrong in spoilt(document):
            assert mistakes(wrong), wrong.keys()


def spoilt(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield `document` with a key missing, with one of another type, and with one more."""
    for key in document:
        if key != "would":  # the only one that may be missing
            yield {name: value for name, value in document.items() if name != key}
        yield {**document, key: object()}
    yield {**document, "more": 1}


def unix_seconds(value: Any, path: str = "$") -> Iterator[str]:
    """Yield where `value` has a number that may be unix seconds, but for bodies of entries."""
    match value:
        case dict():
            for name, one in value.items():
                if name != "body":
                    yield from unix_seconds(one, f"{path}.{name}")
        case list():
            for index, one in enumerate(value):
                yield from unix_seconds(one, f"{path}[{index}]")
        case int() | float() if value > START.timestamp() - 1e8:
            yield path


def test_a_schema_refuses_a_finding_that_is_no_finding(printed: Callable[[Case], Any]) -> None:
    """Unix seconds, a time without an offset, an unknown verdict, half a sample, one more key."""
    document = printed(FIRST["status"])
    for name, wrong in (
        ("start", 1_767_603_660),
        ("start", "2026-01-05 09:01"),
        ("verdict", "maybe"),
        ("samples", 0.5),
        ("more", 1),
    ):
        changed = deepcopy(document)
        changed["findings"][0][name] = wrong
        assert len(mistakes(changed)) == 1, (name, wrong)


# --- the schemas themselves -----------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command of the command line with its name: `store-init`."""
    for verb in VERBS:
        command = command_of(verb)
        if isinstance(command, click.Group):
            yield from ((f"{verb}-{name}", one) for name, one in command.commands.items())
        else:
            yield verb, command


OPTIONS: Final = {name: {one.name for one in command.params} for name, command in commands()}


def test_every_verb_has_json_and_a_schema() -> None:
    assert all("as_json" in given for given in OPTIONS.values())
    assert OPTIONS.keys() | {"error"} == OUTPUTS.keys()


def test_every_verb_with_json_is_held_to_its_schema() -> None:
    assert FIRST.keys() == OUTPUTS.keys()


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object with a fixed set of keys in `schema`."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield schema
        for one in schema.values():
            yield from objects(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from objects(one)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_schema_describes_every_field_in_one_line_and_allows_no_other(name: str) -> None:
    """What a dry run left out is in the schema of verbs with --dry-run."""
    schema = output_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for one in objects(schema):
        assert one["additionalProperties"] is False
        for field, described in one["properties"].items():
            assert described.get("description", "").endswith("."), field
            assert "\n" not in described["description"]
    documents = schema.get("anyOf", [schema])
    has_dry_run = "dry_run" in OPTIONS.get(name, ())
    assert [("would" in document["properties"]) for document in documents] == [has_dry_run] * len(
        documents
    )


def test_the_verb_prints_the_schema_of_a_verb(desk: CliHarness) -> None:
    ended = desk.run("schema", "status")
    assert (ended.status, json.loads(ended.out)) == (Exit.DONE, output_schema("status"))


def test_without_a_name_it_is_the_schema_of_a_policy(desk: CliHarness) -> None:
    ended = desk.run("schema")
    assert json.loads(ended.out)["title"] == "rolloutctl policy, version 1"
    assert desk.run("schema", "policy") == ended


def test_what_is_no_verb_has_no_schema(desk: CliHarness) -> None:
    ended = desk.run("schema", "weather")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "'weather' is not one of 'policy', 'init', 'validate', " in ended.err
