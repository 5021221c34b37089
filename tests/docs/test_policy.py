"""The pages of the policy: its policies load, its tables are the models', its numbers are right."""

import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from math import ceil, exp, log
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from controller import cli
from controller.core.policy.comparison import ConcurrentBaseline, FixedBaseline, FrozenBaseline
from controller.core.policy.criteria import CRITERIA
from controller.core.policy.field_types import Model
from controller.core.policy.freeze import DailyWindow, DateWindow, Freeze, WeeklyWindow
from controller.core.policy.hooks import Hooks, HttpsHook, LambdaHook
from controller.core.policy.judge_settings import Criterion
from controller.core.policy.metric import Metric
from controller.core.policy.model import Policy, Step
from controller.core.policy.notify import CHANNELS, MinSeverity, SecretReference
from controller.core.policy.sources import SOURCES
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.core.policy.targets import TARGETS
from controller.core.policy.targets.lambda_alias import LambdaAlias
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.core.policy.verify_rollback import VerifyRollback
from controller.core.units import format_duration, format_percent
from controller.errors import Exit, PolicyError
from controller.policy_file import yaml_file
from controller.policy_file.loader import loads
from controller.policy_file.template import EXTENDS
from tests.support.parsed import parse

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "policy.md").read_text(encoding="utf-8")
JUDGING = (DOCS / "contributors" / "judging.md").read_text(encoding="utf-8")
LIFECYCLE = (DOCS / "contributors" / "lifecycle.md").read_text(encoding="utf-8")
DEFAULTS = (DOCS / "contributors" / "defaults.md").read_text(encoding="utf-8")
PATTERNS = (DOCS / "patterns.md").read_text(encoding="utf-8")
PAGES = TEXT + JUDGING + LIFECYCLE + PATTERNS
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", PAGES, re.MULTILINE | re.DOTALL)
YAML = [body for language, body in FENCES if language == "yaml"]
WHOLE = [body for body in YAML if body.startswith("version:")]
FRAGMENTS = [body for body in YAML if not body.startswith(("version:", "#"))]

# Fields of all or most criteria, which are explained once.
EVERYWHERE = {"kind", "gates", "judge", "window"}
MODELS: dict[str, type[Model]] = {
    "policy": Policy,
    "target": LambdaEnv,
    "lambda_alias": LambdaAlias,
    "metric": Metric,
    "prometheus": PrometheusSource,
    "step": Step,
    "verify_rollback": VerifyRollback,
    "freeze": Freeze,
    "weekly": WeeklyWindow,
    "daily": DailyWindow,
    "dates": DateWindow,
    **{kind.replace("-", "_"): CHANNELS.model(kind) for kind in CHANNELS.built_in},
    "kept": SecretReference,
    "hooks": Hooks,
    "lambda": LambdaHook,
    "https": HttpsHook,
    **{kind: CRITERIA.model(kind) for kind in CRITERIA.built_in},
    "fixed": FixedBaseline,
    "frozen": FrozenBaseline,
    "concurrent": ConcurrentBaseline,
}


def defaults() -> Iterator[tuple[str, str]]:
    """Yield each field that may be left out, and its default as the table writes it."""
    for name, model in MODELS.items():
        for field, facts in model.model_fields.items():
            if facts.is_required():
                continue
            value = facts.get_default(call_default_factory=True)
            if isinstance(value, timedelta):
                value = format_duration(value)
            if isinstance(value, float):
                value = format_percent(value)
            if isinstance(value, tuple):
                value = ", ".join(one.text for one in value)
            documented = "none" if value is None or value in ("", {}) else f"`{value}`"
            yield f"{name}.{facts.alias or field}", documented


def explanation(title: str) -> str:
    """Return the part of the reference about `title`, which may be a page of its name."""
    of_policy = section(title)
    if f"[Its page]({title}.md) has its fields" not in of_policy:
        return of_policy
    return (DOCS / f"{title}.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text of the reference from a heading to the next of its level or above."""
    heading = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    assert heading, (
        f"docs/policy.md has no section `### {title}`: write one, link it at the top, and put the "
        f"markers of its table into it, <!-- fields of {title}: python -m tests.docs.tables --> "
        "and <!-- end -->"
    )
    level, start = len(heading[1]), heading.end()
    end = re.search(rf"^#{{1,{level}}} ", TEXT[start:], re.MULTILINE)
    return TEXT[start : start + end.start()] if end else TEXT[start:]


def test_a_policy_is_shown_in_whole() -> None:
    assert WHOLE


@pytest.mark.parametrize("text", WHOLE)
def test_a_policy_in_the_text_loads(text: str) -> None:
    assert loads(text, "docs/policy.md").steps[-1].weight == 100


@pytest.mark.parametrize("text", FRAGMENTS, ids=lambda text: text.split(":")[1].strip()[:20])
def test_a_fragment_fits_into_the_whole_policy(text: str) -> None:
    data: Any = deepcopy(yaml_file.parse(WHOLE[0], "docs/policy.md").data)
    fragment: Any = yaml_file.parse(text, "a fragment").data
    for key, value in fragment.items():
        data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
    assert parse(data).name == data["name"]


def test_the_error_lines_are_those_of_the_file_above() -> None:
    wrong = next(body for body in YAML if body.startswith("# wrong.yaml\n"))
    documented = next(body for language, body in FENCES if body.startswith("wrong.yaml:"))
    with pytest.raises(PolicyError) as caught:
        loads(wrong, "wrong.yaml")
    assert str(caught.value) == documented.strip()


def test_the_table_of_defaults_is_the_models() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (none|`[^`]+`) \| (.+) \|$", DEFAULTS, re.MULTILINE)
    missing = dict(defaults()).keys() - {field for field, _, _ in rows}
    assert not missing, (
        f"docs/contributors/defaults.md has no row for {', '.join(sorted(missing))}: write each, "
        "with its default and why it is that"
    )
    assert {field: default for field, default, _ in rows} == dict(defaults())
    assert len(rows) == len(list(defaults()))
    assert all(reason.endswith(".") for _, _, reason in rows)


EXPLAINED: Final[dict[str, type[Model]]] = {
    "policy": Policy,
    "metrics": Metric,
    "steps": Step,
    "freeze": Freeze,
    "verify_rollback": VerifyRollback,
    "lambda": LambdaHook,
    "https": HttpsHook,
    # The heading of the first kind of target is that of all of them.
    **{
        "target" if kind == "lambda-env" else kind: registry.model(kind)
        for registry in (TARGETS, CRITERIA, CHANNELS, SOURCES)
        for kind in registry.built_in
    },
}


@pytest.mark.parametrize("title", EXPLAINED)
def test_every_field_is_explained(title: str) -> None:
    model = EXPLAINED[title]
    everywhere = {"kind"}  # its heading
    if issubclass(model, Criterion):
        everywhere = EVERYWHERE
    elif title in CHANNELS.built_in:
        everywhere = {"kind", "min_severity"}
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", explanation(title), re.MULTILINE))
    of_the_file = {EXTENDS} if model is Policy else set()
    assert rows - everywhere == set(model.model_fields) - everywhere | of_the_file


def test_what_all_criteria_have_is_explained_once() -> None:
    shared = section("Criteria").split("### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", shared, re.MULTILINE)) == EVERYWHERE


def test_what_all_channels_have_is_explained_once() -> None:
    shared = section("Notifications").split("### ")[0]
    assert all(f"`{one}`" in shared for one in ("min_severity", *get_args(MinSeverity)))


@pytest.mark.parametrize("model", [FixedBaseline, FrozenBaseline, ConcurrentBaseline])
def test_every_field_of_a_baseline_is_shown(model: type[Model]) -> None:
    text = section("latency_increase")
    assert all(f"`{field.alias or name}`" in text for name, field in model.model_fields.items())


def test_the_documented_freeze_is_that_of_the_windows_above() -> None:
    windows = next(body for body in YAML if body.startswith("freeze:"))
    freeze = loads(f"{WHOLE[0].partition('steps:')[0]}{windows}", "docs/policy.md").freeze
    assert freeze is not None
    frozen = freeze.at(datetime(2026, 12, 24, 12, tzinfo=UTC))
    assert frozen is not None
    assert f"`{frozen.text}`" in LIFECYCLE


@pytest.mark.parametrize("day", ["2027-03-28", "2026-10-25"])
def test_what_a_change_of_the_clock_does_to_a_window_is_what_the_table_says(day: str) -> None:
    row = re.search(rf"^\| {day} \|.*$", LIFECYCLE, re.MULTILINE)
    assert row is not None
    times = re.findall(r"from (\d\d:\d\d) to (\d\d:\d\d) UTC", row[0])
    window = {"from": "02:15", "to": "02:45"}
    freeze = Freeze.model_validate({"zone": "Europe/Berlin", "daily": [window]})
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    night = [midnight + timedelta(minutes=minute) for minute in range(12 * 60)]
    frozen = [f"{one:%H:%M}" for one in night if freeze.at(one)]
    assert frozen == [
        text for one in night if any(a <= (text := f"{one:%H:%M}") < b for a, b in times)
    ]
    assert len(times) == (2 if day == "2026-10-25" else 0)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(f"{1 - 5 / 4_000:.3%}", id="a breach"),
        pytest.param(f"{1 - 3 / 4_000:.3%}", id="no breach"),
        pytest.param(f"{(300 * 1_000 + 330 * 3_000) / 4_000:g} ms", id="weighted mean"),
        pytest.param(f"+{322.5 / 310 - 1:.0%}", id="within the bound"),
        pytest.param(f"+{322.5 / 305 - 1:.1%}", id="above the bound"),
        pytest.param(f"e⁻⁵ = {exp(-5):.1%}", id="silence that may be chance"),
        pytest.param(f"e⁻⁷ = {exp(-7):.2%}", id="silence that is none"),
        pytest.param(f"{1 - 1 / 142:.1%}", id="one failure in a small window"),
        pytest.param(f"{1 - 0.05 ** (1 / 20):.1%}", id="no failure in 20"),
        pytest.param(f"{1 - 0.05 ** (1 / 300):.2%}", id="no failure in 300"),
        pytest.param(f"{ceil(log(0.05) / log(0.999)):,} requests", id="proof"),
    ],
)  # fmt: skip
def test_a_worked_number_is_right(number: str) -> None:
    assert number in JUDGING


def test_what_explain_shows_is_what_the_page_has(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.compile(r"^\$ rolloutctl (explain [^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    ((command, shown),) = block.findall(TEXT)
    assert cli.main(command.split()) == Exit.DONE
    assert capsys.readouterr().out == shown
