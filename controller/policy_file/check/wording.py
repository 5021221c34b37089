"""Messages for the mistakes that pydantic finds, in the terms of a policy file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from pydantic_core import ErrorDetails

from controller.core.units import quote_value
from controller.policy_file.problem import nearest, suggestion


def message(item: ErrorDetails, fields: Iterable[str] = (), form: str = "") -> str:
    """Return one line that says what is wrong and what is expected.

    fields: the keys that the mapping around an unknown key may have. form: what the text has to be
    that does not match its pattern.
    """
    if item["type"] == "extra_forbidden":
        return _unknown_key(str(item["loc"][-1]), list(fields))
    template = _MESSAGES.get(item["type"])
    if item["type"] == "value_error":
        return item["msg"].removeprefix("Value error, ")
    if template is None:
        return item["msg"][:1].lower() + item["msg"][1:]
    facts = item.get("ctx", {})
    if item["type"] == "int_type" and (number := _NUMBER.fullmatch(str(item["input"]))):
        return f"expected a whole number: {number[1]}, not {quote_value(item['input'])}"
    return template.format(value=quote_value(item["input"]), form=form, **facts)


# What an author writes instead of a whole number: `50%`, `"50"`.
_NUMBER = re.compile(r"([0-9]{1,9}) ?%?")


def meant_key(item: ErrorDetails, fields: Iterable[str]) -> str:
    """Return which of `fields` an unknown key was meant to be; empty where none is near."""
    key, names = str(item["loc"][-1]), list(fields)
    renamed = _RENAMED.get(key, "")
    return renamed if renamed in names else nearest(key, names)


# Former names of keys, and the names that replaced them.
_RENAMED: Mapping[str, str] = MappingProxyType(
    {"least": "min_severity", "over": "window", "settle": "evaluation_delay"}
)


# Keys of other tools, each with a field that is beside it here, and what to write.
_ELSEWHERE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("notifications", "notification", "alerts", "slack", "sns"),
            ("notify", "messages go to the channels in `notify`"),
        ),
        **dict.fromkeys(
            ("alarms", "alarm", "triggers", "rollback", "autorollback", "rollbackon"),
            ("criteria", "a CloudWatch alarm is one of the `criteria`: {kind: alarm, alarm: NAME}"),
        ),
        **dict.fromkeys(
            ("analysis", "analyses", "checks", "gates", "thresholds"),
            ("criteria", "what has to hold is in `criteria`"),
        ),
        **dict.fromkeys(
            ("strategy", "canary", "stages", "deploymentpreference"),
            ("steps", "weights and their times are in `steps`"),
        ),
        "setweight": ("weight", "write `weight`"),
        "percent": ("weight", "write `weight`"),
        "pause": (
            "bake", "a step waits for its `bake`, and with `approval: required` for an operator",
        ),
        **dict.fromkeys(("duration", "interval", "wait"), ("bake", "write `bake`")),
        "channel": ("webhook", "the webhook decides the channel"),
        **dict.fromkeys(
            ("on", "events", "when"), ("min_severity", "`min_severity` says what is sent"),
        ),
        **dict.fromkeys(
            ("successcondition", "failurecondition"), ("max", "write the bound as `max` or `min`"),
        ),
    }
)  # fmt: skip


def _unknown_key(key: str, fields: Sequence[str]) -> str:
    """Return that `key` was renamed, where its new name is one of `fields`; or what is near it."""
    renamed = _RENAMED.get(key)
    if renamed in fields:
        return f"renamed to {renamed}"
    field, instead = _ELSEWHERE.get(key.lower().replace("_", ""), ("", ""))
    if field in fields:
        return f"unknown key; {instead}"
    return f"unknown key; {suggestion(key, fields)}"


_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is required",
        "model_type": "expected a mapping, not {value}",
        "model_attributes_type": "expected a mapping, not {value}",
        "dict_type": "expected a mapping, not {value}",
        "tuple_type": "expected a list, not {value}",
        "string_type": "expected text, not {value}",
        "int_type": "expected a whole number, not {value}",
        "float_type": "expected a number, not {value}",
        "finite_number": "expected a finite number, not {value}",
        "literal_error": "expected {expected}, not {value}",
        "enum": "expected {expected}, not {value}",
        "string_pattern_mismatch": "expected {form}, not {value}",
        "string_too_short": "must not be empty",
        "string_too_long": "must have at most {max_length} characters",
        "too_long": "has more than {max_length} entries",
        "greater_than": "must be above {gt:g}, not {value}",
        "greater_than_equal": "must be at least {ge:g}, not {value}",
        "less_than_equal": "must be at most {le:.15g}, not {value}",
    }
)
