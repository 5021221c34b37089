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


def weight_in(document: Document, target: AppConfigFlag) -> int | None:
    """Return the percent that `flag.py` reads in `document`; None where it is no percentage."""
    settings = settings_in(document, target)
    if settings is None:
        return 0
    value = settings.get(target.attribute, 0)
    is_percent = type(value) in (int, float) and 0 <= value <= 100 and value == int(value)
    if not is_percent or VARIANTS in settings:
        return None
    return int(value) if target.flag is None or settings.get("enabled") is True else 0


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


def settings_in(document: Document, target: AppConfigFlag) -> Document | None:
    """Return what has the attribute: the flag, or the document; None where there is no flag."""
    if target.flag is None:
        return document
    settings = document.get("values", {}).get(target.flag)
    return settings if isinstance(settings, dict) else None
