"""docs/appconfig.md: its target fits the policy that it names, its document is a flag at 0%."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from controller.adapters.targets.appconfig_document import weight_in
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.policy_file.loader import load
from tests.adapters.contracts.appconfig_benches import a_target
from tests.support.core import Policy
from tests.support.shipped import POLICIES

TEXT = Path("docs/appconfig.md").read_text(encoding="utf-8")
BLOCKS = {
    kind: re.sub(r"^ {3}", "", block, flags=re.MULTILINE)
    for kind, block in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
}


@pytest.fixture
def moved(tmp_path: Path) -> Policy:
    """The mission's own policy with the target of the page."""
    yaml = YAML()
    document: Any = yaml.load(POLICIES["execution-api"])
    document["target"] = yaml.load(BLOCKS["yaml"])["target"]
    path = tmp_path / "moved.yaml"
    yaml.dump(document, path)
    return load(path)


def test_the_missions_policy_takes_the_target_and_keeps_all_else(moved: Policy) -> None:
    before = load(POLICIES["execution-api"])
    assert isinstance(moved.target, AppConfigFlag)
    assert before.model_copy(update={"target": moved.target, "warmup": moved.warmup}) == moved
    assert moved.warmup == moved.target.kept_for
    assert before.target.name.endswith(moved.target.short_name)


def test_the_document_that_is_deployed_first_has_0_percent() -> None:
    document = json.loads(BLOCKS["json"])
    target = a_target()
    assert weight_in(document, target) == 0
    assert target.attribute in document["flags"]["checkout"]["attributes"]


def test_every_field_is_in_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert rows == list(AppConfigFlag.model_fields)
