"""The JSON Schema of policy files, with which editors complete and check them."""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from controller.core.policy import Policy
from controller.core.policy.kinds import KindError
from controller.core.units import PERCENT_PATTERN, format_duration, format_percent
from controller.errors import UsageError


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a policy file.

    It describes every field and its form; `rolloutctl validate` also checks fields against each
    other. Raises UsageError when an installed package has a kind that cannot be used.
    """
    try:
        schema = Policy.model_json_schema(schema_generator=_PolicyJsonSchema)
    except KindError as error:
        raise UsageError(f"{error}; mend or remove that package") from error
    schema["properties"]["steps"]["minItems"] = 1
    return {
        "$schema": _PolicyJsonSchema.schema_dialect,
        **schema,
        "title": "rolloutctl policy, version 1",
    }


class _PolicyJsonSchema(GenerateJsonSchema):
    """Describes values as a policy file writes them, durations as `5m`; without field titles."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if "default" in described and described["default"] is None:
            del described["default"]  # an optional field is left out, and not written as null
        elif described.get("pattern") == PERCENT_PATTERN:
            described["default"] = format_percent(described["default"])
        return described

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        described = super().dict_schema(schema)
        if "patternProperties" in described:
            described["additionalProperties"] = False  # a name that does not fit is a mistake
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
