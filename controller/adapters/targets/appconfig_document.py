"""The percentage in a document that AWS AppConfig deploys: feature flags, or any JSON object.

Feature flags are stored in the form `AWS.AppConfig.FeatureFlags`: `flags` defines them and their
attributes, `values` has the values.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.errors import WriteRefusedError

Document: TypeAlias = Mapping[str, Any]
"""A feature flag profile, or a free document: a JSON object."""

VARIANTS: Final = "_variants"
# What AppConfig notes itself in the definition of a flag, and in its value.
_TIMES: Final = ("_createdAt", "_updatedAt")


def weight_in(document: Document, target: AppConfigFlag) -> int | None:
    """Return the percent that `flag.py` reads in `document`; None where it is no percentage."""
    settings = settings_in(document, target)
    if settings is None:
        return 0
    percent = _percent_in(settings, target)
    return percent if target.flag is None or settings.get("enabled") is True else percent and 0


def _percent_in(settings: Document, target: AppConfigFlag) -> int | None:
    """Return the percent that a flag has while it is on; None where that is no percentage."""
    value = settings.get(target.attribute, 0)
    is_percent = type(value) in (int, float) and 0 <= value <= 100 and value == int(value)
    return int(value) if is_percent and VARIANTS not in settings else None


def shown_in(document: Document, target: AppConfigFlag) -> str:
    """Return the attribute and its value, for people; no other value of the document."""
    settings = settings_in(document, target)
    if settings is None:
        return f"there is no flag {target.flag}"
    if VARIANTS in settings:
        return f"{target.flag} has variants"
    value = settings.get(target.attribute)
    shown = "is not set" if value is None else f"={json.dumps(value)[:40]}"
    text = f"{target.setting}{shown}" if shown[0] == "=" else f"{target.setting} {shown}"
    is_off = target.flag is not None and settings.get("enabled") is not True
    return f"{text}, and the flag is off" if is_off else text


def with_weight(document: Document, target: AppConfigFlag, weight: int) -> dict[str, Any]:
    """Return `document` with `weight`; a flag with a weight above 0 is on.

    Raises WriteRefusedError for a flag with variants: their rules divide requests.
    """
    settings = settings_in(document, target) or {}
    if VARIANTS in settings:
        raise WriteRefusedError(
            f"{target.flag} has variants, whose rules divide requests: no percentage was written; "
            "switch the flag off by hand, or name another one"
        )
    changed = {**settings, target.attribute: weight}
    if target.flag is None:
        return changed
    changed["enabled"] = True if weight else settings.get("enabled", False)
    return {**document, "values": {**document.get("values", {}), target.flag: changed}}


def is_at_zero(other: Document, document: Document, target: AppConfigFlag) -> bool:
    """Tell whether `other` is `document` with 0%: all of their other settings are the same."""
    settings = settings_in(other, target)
    if settings is None or _percent_in(settings, target) != 0:
        return False
    return _beside(other, target) == _beside(document, target)


def _beside(document: Document, target: AppConfigFlag) -> str:
    """Return all of `document` but the weight, and the times that AppConfig notes."""
    if target.flag is None:
        rest = {key: value for key, value in document.items() if key != target.attribute}
    else:
        flags, values = (_without_times(document.get(part, {})) for part in ("flags", "values"))
        for key in (target.attribute, "enabled"):
            values.get(target.flag, {}).pop(key, None)
        rest = {**document, "flags": flags, "values": values}
    return json.dumps(rest, sort_keys=True)


def _without_times(flags: Any) -> Any:
    if not isinstance(flags, dict):
        return flags
    return {
        name: {key: part for key, part in one.items() if key not in _TIMES}
        if isinstance(one, dict)
        else one
        for name, one in flags.items()
    }


def settings_in(document: Document, target: AppConfigFlag) -> Document | None:
    """Return what has the attribute: the flag, or the document; None where there is no flag."""
    if target.flag is None:
        return document
    settings = document.get("values", {}).get(target.flag)
    return settings if isinstance(settings, dict) else None
