"""What several pages show: numbers with a name, and a policy as text."""

from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML

from controller.core.policy import Policy
from controller.immutable import Immutable
from controller.safe_text import printable

_ONE_LINE: Final = 1_000_000


class Tile(Immutable):
    """One number of the head. note: what it is made of."""

    name: str
    value: str
    note: str = ""


def policy_text(policy: Policy) -> str:
    """Return `policy` as YAML: the stored snapshot without what is the default."""
    data = policy.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    yaml, text = YAML(typ="safe", pure=True), StringIO()
    yaml.width = _ONE_LINE
    for name in ("default_flow_style", "sort_base_mapping_type_on_output"):
        setattr(yaml, name, False)  # which ruamel.yaml declares to be None
    yaml.dump(_printable_data(data), text)
    return text.getvalue().rstrip()


def _printable_data(data: Any) -> Any:
    """Return plain data whose texts are one printable line each, so that each stays in its line."""
    if isinstance(data, dict):
        return {_printable_data(key): _printable_data(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_printable_data(one) for one in data]
    return printable(data) if isinstance(data, str) else data
