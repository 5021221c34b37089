"""The text of a drafted policy, by the template `draft.yaml`, with comments that say why."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from controller.core.policy.judge_settings import RATE_SAMPLES
from controller.core.units import count_text, format_duration, format_percent, number_text
from controller.render.text_templates import text_of
from controller.safe_text import printable
from controller.tools.init.draft import LATENCY, LATENCY_AT_100, Draft, StepPlan
from controller.tools.init.survey import CountedPaths, function_source
from controller.tools.plan.long_step import long_step_text

_TEMPLATE: Final = Path(__file__).with_name("draft.yaml")

# Texts that YAML reads as text without quotes.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/-]*( [A-Za-z0-9_/-]+)*")
_NO_TEXT: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})

_FLAG_ADVICE: Final = (
    "The flag in docs/lambda-variable.md counts each path by itself: add it to the function, leave "
    "it in for a day, and run `rolloutctl init` again."
)


def policy_text(draft: Draft) -> str:
    """Return the policy file of `draft`."""
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
        mapping=_mapping,
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


def _mapping(values: Mapping[str, str]) -> str:
    pairs = (f"{yaml_text(name)}: {yaml_text(value)}" for name, value in values.items())
    return f"{{{', '.join(pairs)}}}"


def yaml_text(text: str) -> str:
    """Return `text`, one printable line, as YAML reads it back."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXT
    return text if plain else json.dumps(text, ensure_ascii=False)
