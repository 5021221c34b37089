"""Pages of targets: their policies are parts of the shipped ones, their pictures are drawn."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.docs.target_pictures import pictures
from tests.support.shipped import POLICIES

DOCS = Path(__file__).parents[2] / "docs"


def _yaml(text: str) -> Any:
    return YAML(typ="safe").load(text)


@pytest.mark.parametrize(
    ("page", "shipped"), [("lambda-alias", "lambda-alias"), ("load-balancer", "alb-weights")]
)
def test_what_a_page_shows_of_a_policy_is_in_the_shipped_one(page: str, shipped: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    target, metrics = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    policy = _yaml(POLICIES[shipped].read_text(encoding="utf-8"))
    assert _yaml(target)["target"] == policy["target"]
    assert _yaml(metrics)["metrics"].items() <= policy["metrics"].items()


def test_the_pictures_of_the_targets_are_those_of_their_script() -> None:
    for file, drawn in pictures().items():
        assert file.read_text(encoding="utf-8") == drawn, "python -m tests.docs.target_pictures"
