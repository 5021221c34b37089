"""The draft of a policy: what it watches, the steps that its gates can decide, and its text."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from controller.core.policy import Policy, TargetSpec
from controller.core.policy.judge_settings import RATE_SAMPLES
from controller.core.policy.metric import RequestSource
from controller.core.units import count_text, format_duration, format_percent, number_text
from controller.immutable import Immutable, replace
from controller.policy_file.loader import loads
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
from controller.render.text_templates import text_of
from controller.safe_text import printable
from controller.tools.init.survey import CountedPaths, Survey, function_source
from controller.tools.plan.long_step import long_step_text
from controller.tools.plan.page import PlanAnswer
from controller.tools.plan.power import StepPower, power_of

SUCCESS: Final = "success"
OUTAGE: Final = "outage"
LATENCY: Final = "latency"
SUCCESS_AT_100: Final = "success-at-100"
OUTAGE_AT_100: Final = "outage-at-100"
LATENCY_AT_100: Final = "latency-at-100"
TRAFFIC: Final = "traffic"
REFUSED: Final = "refused"
SIGN_OFF: Final = "canary-works"

_CRITERIA: Final = (
    SUCCESS, SUCCESS_AT_100, OUTAGE, OUTAGE_AT_100, REFUSED, LATENCY, LATENCY_AT_100, TRAFFIC,
    SIGN_OFF,
)  # fmt: skip

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(hours=24)
_MINUTE: Final = timedelta(minutes=1)
# The steps that are tried, the usual ones first: with little traffic, 10% of it shows nothing.
_LADDERS: Final = ((10, 50, 100), (25, 50, 100), (50, 100))
_BAKES: Final = (_HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, _DAY)
# What a quiet service needs for a pass of its first step: leaves room for a day with less traffic.
_QUIET_SAMPLES: Final = 20
_QUIET_SHARE: Final = 0.7


class StepPlan(Immutable):
    """One step.

    criteria: names of what gates it. requests: on the canary during the bake; None: unknown.
    smallest: the smallest share of failures that is found within the bake; None: unknown, as where
        the requests of both paths are counted together.
    """

    weight: int
    bake: timedelta
    criteria: tuple[str, ...]
    requests: float | None = None
    smallest: float | None = None


class Draft(Immutable):
    """A policy to be written.

    weight: the live one; None: unknown, and taken to be 0. quiet: there is too little traffic for
    evidence that adds up, so windows are compared.
    """

    name: str
    target: TargetSpec
    source: RequestSource
    survey: Survey
    weight: int | None = None
    steps: tuple[StepPlan, ...] = ()
    quiet: bool = False

    @property
    def measures_both(self) -> bool:
        """Whether both paths are measured, each by itself."""
        return bool(self.source.stable)

    @property
    def successes(self) -> tuple[tuple[str, str], ...]:
        """The metrics whose sum is the requests that did not fail, by name; empty: failures are.

        Requests of both paths are judged by the ratio of two metrics.
        """
        return () if self.survey.counts is CountedPaths.BOTH else self.source.metrics.successes

    @property
    def compares_latency(self) -> bool:
        """Whether there is a latency of the stable path to compare with."""
        return not self.quiet and not self.weight and self.survey.baseline_days > 0

    @property
    def criteria(self) -> list[str]:
        """The criteria that a step uses, in the order of the file."""
        used = {name for step in self.steps for name in step.criteria}
        return [criterion for criterion in _CRITERIA if criterion in used]

    @property
    def quiet_samples(self) -> int:
        """The requests that a pass of a quiet service needs."""
        first = self.steps[0].requests or 0
        return max(1, min(_QUIET_SAMPLES, int(first * _QUIET_SHARE)))


def with_steps(draft: Draft) -> Draft:
    """Return `draft` with the first steps whose success rate is decided at its request rate.

    A latency gates the steps in which it can be judged. Without a known rate these are the usual
    steps. Without any steps that decide, each bakes a day and windows are compared.
    """
    rate = draft.survey.per_minute
    if rate is None:
        return _planned(draft, _LADDERS[0], _HOUR)
    for weights, bake in _ladders(rate):
        candidate = _planned(draft, weights, bake)
        powers = power_of(policy_of(candidate), rate)
        if not any({SUCCESS, SUCCESS_AT_100} & _undecided(power) for power in powers):
            return _measured(candidate, powers)
    quiet = _planned(replace(draft, quiet=True), _LADDERS[0], _DAY)
    requests = (rate * step.weight / 100 * (_DAY / _MINUTE) for step in quiet.steps)
    steps = (
        replace(step, requests=count) for step, count in zip(quiet.steps, requests, strict=True)
    )
    return replace(quiet, steps=tuple(steps))


def _ladders(rate: float) -> Iterator[tuple[Sequence[int], timedelta]]:
    """Yield weights and bakes in which the first step has as many requests as a pass needs."""
    for weights in _LADDERS:
        for bake in _BAKES:
            if rate * weights[0] / 100 * (bake / _MINUTE) >= RATE_SAMPLES:
                yield weights, bake


def _planned(draft: Draft, weights: Sequence[int], bake: timedelta) -> Draft:
    """Return `draft` with these steps, each with every criterion that fits; the last is a day."""
    steps = [
        StepPlan(weight, _DAY if weight == 100 else bake, tuple(_gate(draft, weight)))
        for weight in weights
    ]
    return replace(draft, steps=tuple(steps))


def _gate(draft: Draft, weight: int) -> Iterator[str]:
    is_alone = weight == 100 and bool(draft.source.whole)
    yield SUCCESS_AT_100 if is_alone else SUCCESS
    if draft.quiet:
        yield OUTAGE_AT_100 if is_alone else OUTAGE
    elif draft.source.metrics.refused:
        yield REFUSED
    if draft.compares_latency:
        yield LATENCY_AT_100 if draft.measures_both and weight == 100 else LATENCY
    if draft.survey.counts is CountedPaths.CANARY and not is_alone:
        yield TRAFFIC
    if draft.survey.counts is CountedPaths.BOTH and weight < 100:
        yield SIGN_OFF  # no metric shows the canary there


def _measured(draft: Draft, powers: Sequence[StepPower]) -> Draft:
    """Return `draft` with what its steps can decide, without criteria that cannot be judged."""
    alone = draft.survey.counts is CountedPaths.CANARY
    steps = []
    for step, power in zip(draft.steps, powers, strict=True):
        open_latencies = _undecided(power) & {LATENCY, LATENCY_AT_100}
        kept = tuple(name for name in step.criteria if name not in open_latencies)
        (success,) = (one for one in power.criteria if one.criterion in (SUCCESS, SUCCESS_AT_100))
        smallest = success.smallest_detectable if alone else None
        steps.append(replace(step, criteria=kept, requests=power.requests, smallest=smallest))
    return replace(draft, steps=tuple(steps))


def _undecided(power: StepPower) -> set[str]:
    return {criterion.criterion for criterion in power.criteria if criterion.shortfalls}


# --- The text -------------------------------------------------------------------------------------


_TEMPLATE: Final = Path(__file__).with_name("draft.yaml")

# Texts that YAML reads as text without quotes.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/-]*( [A-Za-z0-9_/-]+)*")
_NO_TEXT: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})

_FLAG_ADVICE: Final = (
    "The flag in docs/lambda-variable.md counts each path by itself: add it to the function, leave "
    "it in for a day, and run `rolloutctl init` again."
)


def policy_of(draft: Draft) -> Policy:
    """Return the policy that `draft` describes."""
    return loads(policy_text(draft), f"{draft.name}.yaml")


def policy_text(draft: Draft) -> str:
    """Return the policy file of `draft`, with comments that say why."""

    def mapping(values: Mapping[str, str]) -> str:
        pairs = (f"{yaml_text(name)}: {yaml_text(value)}" for name, value in values.items())
        return f"{{{', '.join(pairs)}}}"

    target, family, days = draft.target, draft.source.metrics, draft.survey.baseline_days
    values = target.model_dump()
    fields = type(target).model_fields
    compared = draft.measures_both and {LATENCY, LATENCY_AT_100} <= {*draft.criteria}
    rate = draft.survey.per_minute or 0.0
    text = text_of(
        _TEMPLATE,
        long_step=long_step_text(rate) if compared and len(draft.steps) > 1 else "",
        draft=draft,
        survey=draft.survey,
        source=draft.source,
        family=family,
        function=function_source(target.short_name),
        variable=next(iter(target.settings(0))),
        fields=[(name, values[name], one.description) for name, one in fields.items()],
        # Whether no metric counts the canary alone.
        mixed=draft.survey.counts is CountedPaths.BOTH,
        # The metrics of successes, or that of failures, by name.
        answers=draft.successes or (("failures", family.failures),),
        zero=", missing: zero" if family.zero else "",
        baseline="24h" if days <= 1 else f"{days}d",
        gates_differ=any(step.criteria != draft.steps[0].criteria for step in draft.steps),
        flag_advice=_FLAG_ADVICE,
        rate_samples=RATE_SAMPLES,
        rule_of_three=_rule_of_three,
        mapping=mapping,
        yaml_text=yaml_text,
        printable=printable,
        number_text=number_text,
        duration=format_duration,
        percent=lambda share: format_percent(share, 1),
        requests_text=lambda requests: count_text(round(requests), "request"),
    )
    return f"{text}\n"


def _rule_of_three(step: StepPlan) -> str:
    """Return what requests without a failure rule out at 95% confidence (3 / n)."""
    requests = max(step.requests or 0, 3)
    limit = format_percent(min(3 / requests, 1), 1)
    return (
        f"{count_text(round(requests), 'request')} without a failure rule out {limit} of failures"
    )


def yaml_text(text: str) -> str:
    """Return `text`, one printable line, as YAML reads it back."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXT
    return text if plain else json.dumps(text, ensure_ascii=False)


# --- The page -------------------------------------------------------------------------------------

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
