"""The engine decides and stores what is recorded, in a sample of the recorded stories."""

from collections.abc import Iterator

import pytest

from controller.process import logging
from tests.goldens.files import Recorded
from tests.goldens.plays import chaos_stories, every_story, play, rehearsals

# Each shipped policy on a file, and one on a table as well, in a scenario that ends early; every
# 120th chaos story.
SAMPLE = [
    *(name for name in rehearsals() if name.endswith(" console-up sqlite")),
    "rehearse execution-api console-up dynamodb",
    *chaos_stories()[::120],
]


@pytest.fixture(autouse=True)
def _silence() -> None:
    logging.disable()


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded.read()


@pytest.mark.parametrize("name", SAMPLE)
def test_a_story_goes_as_it_is_recorded(name: str, recorded: Recorded) -> None:
    assert list(recorded.differences(play(name))) == [], (
        f"what differs: python -m tests.goldens --against HEAD '{name}'"
    )


def test_every_story_is_recorded(recorded: Recorded) -> None:
    assert list(recorded.decisions) == list(recorded.stored) == every_story()


def _ends(layer: dict[str, str], store: str) -> Iterator[tuple[str, str]]:
    for name, line in layer.items():
        if name.startswith("rehearse ") and name.endswith(f" {store}"):
            yield name.removesuffix(f" {store}"), line


@pytest.mark.parametrize("layer", ["decisions", "stored"])
def test_both_stores_keep_the_same_rehearsals(layer: str, recorded: Recorded) -> None:
    lines = getattr(recorded, layer)
    assert dict(_ends(lines, "sqlite")) == dict(_ends(lines, "dynamodb"))
