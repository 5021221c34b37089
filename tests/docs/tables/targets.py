"""The table of verbs and kinds of targets: what shows each verb on each kind, in each place."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tests.goldens.terminal import OF_STORY, STORIES, WIDTHS, recorded

_ROOT: Final = Path(__file__).parents[3]
_ROUTED: Final = "e2e/test_routed.py"
_EVERY: Final = f"{_ROUTED}:test_every_verb_knows_the_target"
_PAGE: Final = (
    "e2e/test_operations_doc.py:test_the_commands_of_the_operations_page_print_what_it_shows"
)

# The policy of the account of a story, and the kind of its target.
_KIND_OF: Final = {
    "policies/lambda-alias.yaml": "lambda-alias",
    "policies/alb-weights.yaml": "alb-weights",
    "policies/appconfig.yaml": "appconfig",
}
_OTHER: Final = "lambda-env"

# Each verb that reads or writes a target: the test on processes of a `lambda-env` target, and that
# of the others, which runs for each. A text without a path is the reason why there is none.
_PROCESSES: Final[Mapping[str, tuple[str, str]]] = {
    "init": (
        "e2e/test_first_hour.py:test_the_first_draft_is_valid_and_its_rollout_walks",
        f"{_ROUTED}:test_a_drafted_policy_rehearses_and_its_rollout_starts",
    ),
    "validate": (_PAGE, _EVERY),
    "plan": (_PAGE, _EVERY),
    "rehearse": (
        "e2e/test_first_hour.py:test_the_first_draft_is_valid_and_its_rollout_walks",
        _EVERY,
    ),
    "start": (
        "e2e/test_walk.py:test_a_healthy_release_goes_10_50_100_and_ends_as_a_success",
        f"{_ROUTED}:test_a_healthy_canary_takes_all_requests",
    ),
    "start --adopt": (
        "e2e/test_adopt.py:"
        "test_a_quiet_service_at_100_percent_is_watched_for_a_day_and_nothing_is_written",
        f"{_ROUTED}:test_the_weight_of_a_person_is_taken_over_and_goes_on",
    ),
    "tick": (_PAGE, f"{_ROUTED}:test_a_canary_that_fails_is_taken_out_at_each_weight"),
    "pause": (
        _PAGE,
        f"{_ROUTED}:test_what_a_person_sets_while_a_rollout_is_paused_or_after_its_success_stays",
    ),
    "resume": (
        _PAGE,
        f"{_ROUTED}:test_what_a_person_sets_while_a_rollout_is_paused_or_after_its_success_stays",
    ),
    "set-weight": (_PAGE, f"{_ROUTED}:test_an_operator_sets_a_weight_without_a_rollout"),
    "rollback": (_PAGE, f"{_ROUTED}:test_an_operator_rolls_back"),
    "retry": (
        "e2e/test_start.py:test_a_revision_that_was_rolled_back_does_not_come_back_by_itself",
        f"{_ROUTED}:"
        "test_a_start_again_changes_nothing_and_a_revision_that_was_rolled_back_is_blocked",
    ),
    "metrics": (_PAGE, _EVERY),
    "logs": (_PAGE, "the functions and targets of these tests log nothing"),
    "verify": (_PAGE, _EVERY),
    "doctor": (_PAGE, _EVERY),
    "permanent": (_PAGE, _EVERY),
    "iam": (
        "e2e/test_role.py:test_a_role_needs_all_that_is_printed_for_it_and_nothing_else",
        "e2e/test_routed_role.py:test_each_role_does_its_job",
    ),
}
# What no story of the goldens of the terminal types for a kind, and what shows it instead.
_SIMULATED: Final[Mapping[tuple[str, str], str]] = {
    ("init", "lambda-env"): "cli/test_init.py:"
    "test_on_a_terminal_a_person_picks_by_number_or_by_a_part_of_the_name",
    ("start --adopt", "lambda-env"): "cli/test_run.py:test_run_adopts_the_weight_that_is_live",
    ("start --adopt", "lambda-alias"): "the shipped policy has a baseline before the start",
    ("start --adopt", "alb-weights"): "the shipped policy has a baseline before the start",
    ("start --adopt", "appconfig"): f"{_ROUTED}:"
    "test_the_weight_of_a_person_is_taken_over_and_goes_on",
    **{
        ("doctor", kind): "the simulated account has no IAM and no schedule"
        for kind in (_OTHER, *_KIND_OF.values())
    },
}


def targets() -> list[list[str]]:
    """Return a row for each verb, with what shows it. Raises LookupError for a missing test."""
    kinds = [_OTHER, *_KIND_OF.values()]
    head = ["verb", *(f"`{kind}`, simulated" for kind in kinds)]
    head += ["`lambda-env`, by processes", "the other kinds, by processes"]
    rows = [
        [f"`{verb}`", *(_simulated(verb, kind) for kind in kinds), *map(_cell, tests)]
        for verb, tests in _PROCESSES.items()
    ]
    return [head, *rows]


def _simulated(verb: str, kind: str) -> str:
    """Return the story in which somebody types `verb` for a target of `kind`, or another test."""
    if (verb, kind) in _SIMULATED:
        return _cell(_SIMULATED[verb, kind])
    stories = (name for name in STORIES if _kind_of(name) == kind and verb in _typed(name))
    story = next(stories, None)
    if story is None:
        raise LookupError(f"nothing shows {verb} for {kind}")
    return f"[{story}](../../{recorded(story, max(WIDTHS)).relative_to(_ROOT)})"


def _kind_of(story: str) -> str:
    return _KIND_OF.get(OF_STORY.get(story, ""), _OTHER)


def _typed(story: str) -> set[str]:
    """Return the verbs of a story; with `--adopt` they are others."""
    acts = (act.split() for act in STORIES[story][1] if isinstance(act, str))
    return {f"{words[0]} --adopt" if "--adopt" in words else words[0] for words in acts}


def _cell(test: str) -> str:
    """Return a link to a test, `FILE:NAME`, or the reason why there is none."""
    path, _, name = test.partition(":")
    if not name:
        return test
    if name not in _tests_in(_ROOT / "tests" / path):
        raise LookupError(f"tests/{path} has no {name}")
    return f"[{name.removeprefix('test_')}](../../tests/{path})"


@cache
def _tests_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef))
