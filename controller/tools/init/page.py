"""The result of `init`: what was written, what it was drafted from, and the next commands."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from controller.core.policy import Policy, TargetSpec
from controller.core.units import number_text
from controller.immutable import Immutable
from controller.ports.json_view import Number, Percent
from controller.render.page import (
    EMPTY_LINE,
    Block,
    Page,
    PageTable,
    TextSpan,
    Tone,
    lines_page,
    paragraph,
)
from controller.tools.init.draft import SIGN_OFF, Draft
from controller.tools.init.survey import CountedPaths
from controller.tools.plan.page import PlanAnswer

_COUNTS: Final = {
    CountedPaths.CANARY: "counts the canary alone",
    CountedPaths.BOTH: "counts both paths, none counts the canary alone",
}
_BESIDE: Final = "counts each path by itself"


class InitData(Immutable):
    """A policy that was written."""

    file: str
    """The file."""
    policy: str
    """Name of the policy."""
    target: str
    """Name of what holds the weight, such as a function."""
    ladder: str
    """The steps in one line."""
    metrics: str | None
    """Where requests are counted; null: as in the shipped policy that was copied."""
    resource: str
    """Which one: the name of an API, for example; empty: the only one, or a copy."""
    counts: CountedPaths | None
    """Whose requests the metrics count; null: as in the shipped policy that was copied."""
    requests_per_minute: Number | None
    """Requests a minute, of both paths; null: unknown."""
    weight: Percent | None
    """The live weight; null: unknown."""
    refusals: Sequence[str] | None
    """Why a start would be refused; empty: it would not; null: that is not known."""
    notes: Sequence[str]
    """What to know about it."""
    next: list[str]
    """Commands that come next."""


class Written(Immutable):
    """A policy that was written.

    draft: what it was made of; None: a copy of a shipped one. live: its target with what a start
    would find now; None: it is not known. answer: whether a start would be accepted; None: that is
    not known.
    """

    path: Path
    policy: Policy
    draft: Draft | None
    notes: Sequence[str]
    live: TargetSpec | None = None
    answer: PlanAnswer | None = None

    @property
    def adopts(self) -> bool:
        """Whether a start takes over the live weight."""
        live = self.draft.weight if self.draft else 0
        return live in [step.weight for step in self.policy.steps]

    @property
    def next_commands(self) -> list[str]:
        """What to do with it: try it, look at what a start would do, start."""
        file = shlex.quote(str(self.path))
        live = self.draft.weight if self.draft else 0
        # A rehearsal takes over 100% alone.
        rehearsed = " --adopt" if live == 100 else ""
        if self.draft and SIGN_OFF in self.draft.criteria:
            rehearsed += " --approve"
        adopt = " --adopt" if self.adopts else ""
        revision = "" if self.policy.target.names_revision else " --revision NAME"
        return [
            f"rolloutctl rehearse {file}{rehearsed}",
            f"rolloutctl plan {file} --live{adopt}",
            f"rolloutctl start {file}{revision}{adopt}",
        ]


def init_data(written: Written) -> InitData:
    draft, policy = written.draft, written.policy
    survey = draft and draft.survey
    return InitData(
        file=str(written.path),
        policy=policy.name,
        target=policy.target.name,
        ladder=policy.steps_text(),
        metrics=str(draft.source.metrics.kind) if draft else None,
        resource=draft.source.resource if draft else "",
        counts=survey.counts if survey else None,
        requests_per_minute=survey.per_minute if survey else None,
        weight=draft.weight if draft else None,
        refusals=None if written.answer is None else written.answer.reasons,
        notes=written.notes,
        next=written.next_commands,
    )


def init_page(written: Written) -> Page:
    """Return what was written, for people: what was found, whether it would start, what is next."""
    rows: list[tuple[TextSpan, TextSpan]] = []
    if written.draft is not None:
        target = written.live or written.draft.target
        facts = _facts(written.draft, target)
        rows = [(TextSpan(name, Tone.QUIET), TextSpan(text)) for name, text in facts]
    if written.answer is not None:
        rows += written.answer.rows()
    page: list[Block] = [
        paragraph(f"{written.path}: {written.policy.steps_text()}", Tone.TITLE),
        EMPTY_LINE,
    ]
    if rows:
        page += [PageTable(rows, indent=2), EMPTY_LINE]
    return [*page, *lines_page(["next:", *(f"  {command}" for command in written.next_commands)])]


def _facts(draft: Draft, target: TargetSpec) -> list[list[str]]:
    survey = draft.survey
    live = "" if draft.weight is None else f", {draft.weight}% now"
    names = " and ".join(target.settings(0))
    counted = _BESIDE if draft.measures_both else _COUNTS[survey.counts]
    rate = "unknown" if survey.per_minute is None else f"{number_text(survey.per_minute)} a minute"
    return [
        ["target", target.name],
        ["weight", f"{names}{live}"],
        ["metrics", f"{draft.source.title}: {counted}"],
        ["requests", rate],
    ]
