"""The tables of the fields of a policy: what `rolloutctl explain` says of them."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final

from controller.core.policy.criteria import CRITERIA
from controller.core.policy.metric_uses import references_in
from controller.core.policy.notify import CHANNELS
from controller.policy_file.schema import FieldHelp, policy_fields

# Fields that the page explains once for all criteria or channels, and where their texts are.
_OF_ALL_CRITERIA: Final = ("gates", "judge")
_OF_ALL_CHANNELS: Final = "min_severity"
_WINDOW_OF_MINUTES: Final = "criteria.success_rate.window"
# What a field holds that has a section.
_SECTIONS: Final = {
    "target": "a [target](#target)",
    "metrics": "[metrics](#metrics) by name",
    "criteria": "[criteria](#criteria) by name",
    "steps": "list of [steps](#steps)",
    "verify_rollback": "[log events](#verify_rollback)",
    "freeze": "[windows](#freeze)",
    "hooks": "[hooks](#hooks)",
    "notify": "list of [channels](#notifications)",
    "metrics.source": "[a server](#prometheus)",
    **{f"freeze.{one}": "list of `{from, to}`" for one in ("weekly", "daily", "dates")},
    "steps.criteria": "list of ids",
    "criteria.success_rate.control": "`total`, and `failures` or `successes`",
    "criteria.latency_increase.baseline": "one of those below",
    "criteria.burn_rate.windows": "list of `factor`, `long`, `short`",
}
_SECRETS: Final = (
    "source.token",
    "https.secret",
    "slack.webhook",
    "slack-bot.token",
    ".routing_key",
)

# The tables: the name of each, and where its fields are.
_PLACES: Final = {
    "policy": "",
    "lambda-env": "target.lambda-env",
    "lambda-alias": "target.lambda-alias",
    "alb-weights": "target.alb-weights",
    "metric": "metrics",
    "prometheus": "metrics.source",
    **{one: one for one in ("steps", "freeze", "verify_rollback", "hooks")},
    **{kind: f"criteria.{kind}" for kind in CRITERIA.built_in},
    **{kind: f"hooks.before_start.{kind}" for kind in ("lambda", "https")},
    **{kind: f"notify.{kind}" for kind in CHANNELS.built_in},
}


@cache
def _fields() -> list[FieldHelp]:
    return policy_fields()


def _table(place: str) -> list[list[str]]:
    fields = [one for one in _fields() if one.path.rpartition(".")[0] == place]
    rows = [_row(one) for one in fields if not one.is_kind and not _is_shared(one)]
    return [["field", "value, and default", "meaning"], *rows]


TABLES: Final[Mapping[str, Callable[[], list[list[str]]]]] = {
    f"fields of {name}": partial(_table, place) for name, place in _PLACES.items()
}


def _is_shared(field: FieldHelp) -> bool:
    if field.path.startswith("notify."):
        return field.name == _OF_ALL_CHANNELS
    if not field.path.startswith("criteria."):
        return False
    (shared,) = (one.text for one in _fields() if one.path == _WINDOW_OF_MINUTES)
    return field.name in _OF_ALL_CRITERIA or field.text == shared


def _row(field: FieldHelp) -> list[str]:
    value = _value(field)
    if field.required:
        value = f"{value}, required"
    elif field.default not in (None, '""'):
        value = f"{value}, default `{field.default}`"
    meaning = field.text if field.text.endswith(".") else f"{field.text}."
    return [f"`{field.name}`", value, meaning]


def _names_metrics(field: FieldHelp) -> bool:
    """Tell whether `field` of a criterion names metrics, as the type of the field says."""
    section, _, kind = field.path.rpartition(".")[0].partition(".")
    if section != "criteria" or kind not in CRITERIA.built_in:
        return False
    model = CRITERIA.model(kind)
    filled = dict.fromkeys(model.model_fields, "a name")
    return any(one.place == (field.name,) for one in references_in(model, filled))


def _value(field: FieldHelp) -> str:
    if field.path in _SECTIONS:
        return _SECTIONS[field.path]
    if field.path.endswith(_SECRETS):
        return "[a secret](#places-of-secrets)"
    if _names_metrics(field):
        return "metrics" if field.form.startswith("list") else "metric"
    if field.path.startswith("hooks.") and "lambda" in field.form:
        return "list of hooks"
    if field.form == "mapping":
        return "names and values"
    if field.form.startswith("only "):
        return f"`{field.form.removeprefix('only ')}`"
    if " or " in field.form and field.form != "number or percent":
        *others, last = field.form.split(" or ")
        return f"{', '.join(f'`{one}`' for one in others)} or `{last}`"
    return field.form
