"""The JSON Schema of policy files, with which editors complete and check them.

It is in the form that SchemaStore takes: draft-07, with an `$id`.
"""

from datetime import timedelta
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from controller.core.policy import Policy
from controller.core.policy.kinds import KindError
from controller.core.units import PERCENT_PATTERN, format_duration, format_percent
from controller.errors import UsageError
from controller.policy_file import yaml

# The schema beside a policy file, which its first line names to editors.
SCHEMA_FILE: Final = "rolloutctl-policy.schema.json"
MODELINE: Final = f"# yaml-language-server: $schema={SCHEMA_FILE}"


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07) of a policy file.

    It describes every field and its form; `rolloutctl validate` also checks fields against each
    other. Raises UsageError when an installed package has a kind that cannot be used.
    """
    try:
        schema = Policy.model_json_schema(
            ref_template="#/definitions/{model}", schema_generator=_PolicyJsonSchema
        )
    except KindError as error:
        raise UsageError(f"{error}; mend or remove that package") from error
    schema["properties"]["steps"]["minItems"] = 1
    definitions = schema.pop("$defs")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://json.schemastore.org/rolloutctl-policy.json",
        **schema,
        "title": "rolloutctl policy, version 1",
        "definitions": definitions,
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

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        if example := schema["cls"].example:
            described["examples"] = [yaml.parse(example, "example").data]
        return described

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        described = super().tagged_union_schema(schema)
        described.pop("discriminator", None)  # a keyword of OpenAPI
        return described

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value  # in the order of the models, and of their examples

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        described = super().dict_schema(schema)
        if "patternProperties" in described:
            described["additionalProperties"] = False  # a name that does not fit is a mistake
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
