"""validate and schema: a policy file is checked before a start."""

from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.support.stage import SHORT_POLICY

WRONG = "version: 1\nname: Wrong\ntarget: {}\nmetrics: {}\ncriteria: {}\nsteps: []\n"


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    return str(file)


def test_every_mistake_is_a_line_on_stderr_and_the_status_is_2(
    desk: CliHarness, wrong: str
) -> None:
    ended = desk.run("validate", desk.policy, wrong)
    assert ended.status == Exit.USAGE
    assert ended.out.startswith(f"{desk.policy}: ok")
    assert len(ended.err.splitlines()) > 1
    assert all(line.startswith(f"{wrong}:") for line in ended.err.splitlines())


def test_the_verdict_on_each_file_is_there_as_json(desk: CliHarness, wrong: str) -> None:
    ended = desk.run("validate", desk.policy, wrong, "--json")
    assert ended.status == Exit.USAGE
    assert (ended.data["schema"], ended.data["ok"]) == ("validate/1", False)
    assert [file["ok"] for file in ended.data["files"]] == [True, False]


def test_a_mistake_of_a_whole_file_as_json_is_at_its_first_character(
    desk: CliHarness, tmp_path: Path
) -> None:
    file = str(tmp_path / "gone.yaml")
    (problem,) = desk.run("validate", file, "--json").data["files"][0]["problems"]
    assert problem.pop("message") == "cannot be read: No such file or directory"
    assert problem == {"file": file, "line": 1, "column": 1, "path": ""}


def test_a_wrong_policy_keeps_every_verb_from_touching_anything(
    desk: CliHarness, wrong: str
) -> None:
    for verb in ("plan", "rehearse", "start", "run", "tick", "status", "rollback"):
        assert desk.run(verb, wrong).status == Exit.USAGE
    assert not desk.world.calls


def test_a_warning_is_at_its_place_and_changes_no_status(desk: CliHarness) -> None:
    metrics = {**SHORT_POLICY["metrics"]}
    metrics["requests"] = {**metrics["requests"], "unit": "ms"}
    policy = desk.another_policy("doubtful", metrics=metrics)
    ended = desk.run("validate", policy)
    assert (ended.status, ended.err) == (Exit.DONE, "")
    assert ended.out.startswith(f"{policy}: valid, with 1 warning: ")
    assert f"warning: {policy}:1:" in ended.out
    assert "metrics.requests.unit: " in ended.out
    file = desk.run("validate", policy, "--json").data["files"][0]
    assert (file["ok"], file["problems"]) == (True, [])
    assert [one["path"] for one in file["warnings"]] == ["metrics.requests.unit"]
    annotated = desk.run("validate", policy, "--format", "github")
    assert "::warning file=" in annotated.out
    assert annotated.status == Exit.DONE


@pytest.mark.parametrize("field", ["url", "kind", "urll"])
@pytest.mark.parametrize("tag", ["", "!!int "])
@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_no_message_repeats_the_password_of_a_url(
    desk: CliHarness, tmp_path: Path, field: str, tag: str, as_json: list[str]
) -> None:
    hook = {"kind": "https", "url": "https://x.com/", "secret": "{environment: KEY}"}
    hook[field] = f'{tag}"https://user:hunter2@x.com/"'
    lines = [f"{name}: {value}" for name, value in hook.items()]
    file = tmp_path / "secret.yaml"
    policy = Path(desk.policy).read_text().rstrip().removesuffix("}")
    file.write_text(f'{policy}, "hooks": {{"before_advance": [{{{", ".join(lines)}}}]}}}}')
    ended = desk.run("validate", str(file), *as_json)
    assert ended.status == Exit.USAGE
    assert ("'https://...@x.com/'" in ended.out + ended.err) == (
        field in ("url", "kind") or tag > ""
    )
    assert "hunter2" not in ended.out + ended.err
