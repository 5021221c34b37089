"""A policy that extends a template: whose part is whose, and which template is refused."""

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from controller.core.policy import Policy
from controller.errors import PolicyError
from controller.policy_file import yaml_file
from controller.policy_file.loader import LoadedPolicy, load, load_with_sources
from controller.policy_file.schema import policy_schema
from controller.policy_file.template import read_policy, shipped_names, shipped_text
from tests.support.cases import cases

BASE = """\
version: 1
name: base
target: {kind: lambda-env, function: shop, percentage: PERCENTAGE}
metrics:
  requests: {namespace: Shop, name: Requests, statistic: Sum}
  failures: {namespace: Shop, name: Failures, statistic: Sum}
criteria:
  success: {kind: success_rate, total: requests, failures: [failures], min: 99.9%}
  traffic: {kind: traffic, metric: requests, min: 1}
steps:
  - {weight: 10, bake: 1h}
  - {weight: 100, bake: 1h}
"""
MINE = """\
name: mine
extends: base.yaml
criteria:
  traffic: {kind: traffic, metric: requests, min: 5}
steps:
  - {weight: 100, bake: 2h}
"""


def written(folder: Path, mine: str = MINE, base: str = BASE) -> Path:
    (folder / "base.yaml").write_text(base, encoding="utf-8")
    (folder / "mine.yaml").write_text(mine, encoding="utf-8")
    return folder / "mine.yaml"


def loaded(folder: Path, mine: str = MINE, base: str = BASE) -> LoadedPolicy:
    return load_with_sources(written(folder, mine, base))


def flaws(folder: Path, mine: str = MINE, base: str = BASE) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load(written(folder, mine, base))
    return [str(one).removeprefix(f"{folder}/") for one in caught.value.flaws]


def test_a_field_of_the_policy_stands_and_the_others_are_the_templates(tmp_path: Path) -> None:
    policy, _, inherited = loaded(tmp_path)
    whole = yaml_file.parse(BASE, "base").data
    mine = yaml_file.parse(MINE, "mine").data
    assert isinstance(whole, dict)
    assert isinstance(mine, dict)
    criteria = {**whole["criteria"], **mine["criteria"]}
    expected = {**whole, **mine, "criteria": criteria}
    del expected["extends"]
    assert policy == Policy.model_validate(expected)
    assert {(one.path, Path(one.file).name, one.line) for one in inherited} == {
        ("version", "base.yaml", 1),
        ("target", "base.yaml", 3),
        ("metrics", "base.yaml", 5),
        ("criteria.success", "base.yaml", 8),
    }


def test_the_snapshot_of_a_rollout_has_no_template(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path).policy.snapshot()
    assert "extends" not in snapshot
    assert Policy.model_validate_json(snapshot).name == "mine"


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_policy_can_be_extended(name: str, tmp_path: Path) -> None:
    policy, _, inherited = loaded(tmp_path, f"name: mine\nextends: {name}\n")
    original = yaml_file.parse(shipped_text(name), name).data
    assert isinstance(original, dict)
    assert policy == Policy.model_validate({**original, "name": "mine"})
    assert {one.file for one in inherited} == {f"shipped/{name}.yaml"}


def test_a_mistake_is_reported_where_it_is_written(tmp_path: Path) -> None:
    base = BASE.replace("min: 99.9%", "min: 99.9")
    mine = MINE.replace("min: 5", "min: many")
    own, templates = flaws(tmp_path, mine, base)
    assert own.startswith("mine.yaml:4:51: criteria.traffic.min: ")
    assert templates.startswith("base.yaml:8:77: criteria.success.min: ")


@cases("mine, base, problem", {
    "no such file": (
        MINE.replace("base.yaml", "other.yaml"), BASE, "other.yaml: cannot be read: No such file",
    ),
    "no shipped policy": (
        MINE.replace("base.yaml", "chekout"), BASE,
        "mine.yaml:2:10: extends: no shipped policy is called 'chekout'; did you mean 'checkout'?",
    ),
    "above the folder": (
        MINE.replace("base.yaml", "../base.yaml"), BASE,
        "mine.yaml:2:10: extends: a template is in the folder of the policy, or in one below it",
    ),
    "anywhere": (
        MINE.replace("base.yaml", "/etc/passwd.yaml"), BASE,
        "mine.yaml:2:10: extends: a template is in the folder of the policy, or in one below it",
    ),
    "two levels": (
        MINE, f"{BASE}extends: checkout\n",
        "mine.yaml:2:10: extends: base.yaml extends another template; one level is read",
    ),
    "a list": (
        MINE.replace("base.yaml", "[base.yaml]"), BASE,
        "mine.yaml:2:10: extends: expected a shipped policy or a file",
    ),
    "no policy": (MINE, "- 1\n", "mine.yaml:2:10: extends: base.yaml is no policy"),
    "no YAML": (MINE, "{", "base.yaml:1:2: "),
    "no name": (MINE.replace("name: mine\n", ""), BASE, "mine.yaml:1:1: name: "),
})  # fmt: skip
def test_a_template_that_cannot_be_taken_is_refused(
    mine: str, base: str, problem: str, tmp_path: Path
) -> None:
    assert flaws(tmp_path, mine, base)[0].startswith(problem)


def test_the_parts_of_an_alias_are_taken_too(tmp_path: Path) -> None:
    base = "metrics: &same {a: {b: 1}}\ncriteria: *same\n"
    path = written(tmp_path, "extends: base.yaml\ncriteria: {mine: {c: 2}}\n", base)
    data = read_policy(path).data
    assert data == {"criteria": {"mine": {"c": 2}, "a": {"b": 1}}, "metrics": {"a": {"b": 1}}}


def test_a_link_out_of_the_folder_is_no_template(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(BASE, encoding="utf-8")
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    assert "folder of the policy" in flaws(folder, MINE.replace("base.yaml", "link.yaml"))[0]


def test_an_editor_asks_for_no_field_that_the_template_may_have() -> None:
    editor = Draft7Validator(policy_schema())
    mine = yaml_file.parse(MINE, "mine").data
    assert isinstance(mine, dict)
    assert editor.is_valid(mine)
    del mine["extends"]
    assert not editor.is_valid(mine)
