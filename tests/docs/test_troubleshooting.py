"""docs/troubleshooting.md: whatever a user may see has an anchor there, and a row that says it."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import controller
from controller.core.judge.findings import FindingReason
from controller.errors import Exit, RolloutError
from tests.support.core import ConditionKind, Label, Reason

PAGE: Final = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")
_ANCHORED: Final = re.compile(r'<a id="(?P<anchor>[^"]+)"></a>`(?P<word>[^`]+)`')


def errors() -> Iterator[type[RolloutError]]:
    """Yield each class of errors whose code is shown."""
    for module in pkgutil.walk_packages(controller.__path__, "controller."):
        if module.name != "controller.__main__":
            import_module(module.name)
    found = list[type[RolloutError]](RolloutError.__subclasses__())
    for kind in found:
        found += kind.__subclasses__()
        if not kind.explains_itself and kind.__module__.startswith("controller."):
            yield kind


def words() -> Iterator[tuple[str, str]]:
    """Yield each word that a user may see, with its anchor."""
    for status in set(Exit) - {Exit.DONE}:
        yield f"exit-{status:d}", f"{status:d}"
    for prefix, kinds in (
        ("reason", Reason), ("finding", FindingReason), ("label", Label),
        ("condition", ConditionKind),
    ):  # fmt: skip
        for kind in kinds:
            yield f"{prefix}-{re.sub('[ _]', '-', kind).lower()}", str(kind)
    for error in errors():
        yield error.code(), error.code()


def test_each_word_that_a_user_may_see_has_its_anchor_and_nothing_else_has_one() -> None:
    on_the_page = [(one["anchor"], one["word"]) for one in _ANCHORED.finditer(TEXT)]
    assert sorted(on_the_page) == sorted(words())
    assert TEXT.count("<a id=") == len(on_the_page)
