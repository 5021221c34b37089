"""What a policy file may hold: its JSON Schema for editors, and each field of it in words.

The schema is in the form that SchemaStore takes: draft-07, with an `$id`. What a terminal says of a
field is derived from it, so an editor and a terminal say the same.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from controller.core.policy import Policy
from controller.core.policy.kind_registry import KindError
from controller.core.units import PERCENT_PATTERN, format_duration, format_percent
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.policy_file import yaml_file
from controller.policy_file.mistake import suggestion
from controller.policy_file.template import EXTENDS

# The schema beside a policy file, which its first line names to editors.
SCHEMA_FILE: Final = "rolloutctl-policy.schema.json"
MODELINE: Final = f"# yaml-language-server: $schema={SCHEMA_FILE}"


# A field of the file alone: a policy that was read has the parts of its template.
_EXTENDS: Final[Mapping[str, Any]] = {
    "description": "The template that has what this file leaves out: a file beside it, or the name "
    "of a shipped policy.",
    "type": "string",
    "examples": ["base.yaml"],
}


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
    schema["properties"][EXTENDS] = dict(_EXTENDS)
    definitions = schema.pop("$defs")
    needed = {"required": schema.pop("required")}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://json.schemastore.org/rolloutctl-policy.json",
        **schema,
        "title": "rolloutctl policy, version 1",
        "if": {"not": {"required": [EXTENDS]}},
        "then": needed,
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
            described["examples"] = [yaml_file.parse(example, "example").data]
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


# --- Fields in words ------------------------------------------------------------------------------

Node: TypeAlias = Mapping[str, Any]

_DURATION: Final = r"^[0-9]{1,9}[smhd]$"
# A name of one's own in the mappings by name.
_NAMED: Final[Mapping[str, str]] = {"metrics": "requests", "criteria": "success"}
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ /.%-]*")
_TYPES: Final[Mapping[str, str]] = {
    "string": "text", "integer": "whole number", "number": "number", "object": "mapping",
}  # fmt: skip


class FieldHelp(Immutable):
    """A field of a policy, or a kind of what one holds."""

    path: str
    """Where it is: criteria.success_rate.min."""
    text: str
    """What it is."""
    form: str
    """What a value is, in a few words."""
    required: bool
    """Whether a policy needs it."""
    default: str | None
    """Its default as a policy writes it; null: none."""
    example: str
    """An example as a policy writes it."""
    fields: tuple[str, ...]
    """Names of the fields or kinds that it holds."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def is_kind(self) -> bool:
        """Whether it is a kind of what a field holds, and no field itself."""
        return self.example.startswith("{")


def explain_field(query: str) -> list[FieldHelp]:
    """Return the fields that `query` names, at least one; those of a policy for an empty query.

    query: a path, as a message has it (`steps[1].bake`, `criteria.SC-004.min`), its end, or a name.
    Raises UsageError with what is near when there is none.
    """
    fields = policy_fields()
    wanted = re.sub(r"\[[0-9]+\]", "", query).strip(".")
    if not wanted:
        return [one for one in fields if "." not in one.path]
    first, last = wanted.partition(".")[0], wanted.rpartition(".")[2]
    ways: tuple[Callable[[str], bool], ...] = (
        lambda path: path == wanted,
        lambda path: path.endswith(f".{wanted}"),
        # `criteria.SC-004.min`: the part in the middle is a name of the policy.
        lambda path: path.startswith(f"{first}.") and path.endswith(f".{last}"),
    )
    for is_meant in ways:
        if found := [one for one in fields if is_meant(one.path)]:
            return found
    known = {one.path for one in fields} | {one.name for one in fields}
    raise UsageError(f"a policy has no field {query!r}; {suggestion(wanted, sorted(known))}")


def policy_fields() -> list[FieldHelp]:
    """Return every field of a policy, those of one mapping after it."""
    schema = policy_schema()
    whole = {**schema, **schema["then"]}
    return list(_Walk(schema["definitions"]).fields_of(whole, "", {}))


class _Walk:
    """The way through a schema. definitions: what its `$ref` name."""

    def __init__(self, definitions: Mapping[str, Node]) -> None:
        self._definitions = definitions

    def fields_of(self, owner: Node, path: str, example: Mapping[str, Any]) -> Iterator[FieldHelp]:
        """Yield the fields of a mapping, each with what it holds. example: of the mapping."""
        for name, described in owner.get("properties", {}).items():
            node = self._resolved(described)
            if "const" in node and name == "kind":
                continue  # the path has it
            place = f"{path}.{name}".lstrip(".")
            inner = self._inner(node)
            yield FieldHelp(
                path=place,
                text=described.get("description", ""),
                form=self._form(node),
                required=name in owner.get("required", ()),
                default=(_written(node["default"]) or None) if "default" in node else None,
                example=f"{name}: {_written(self._example(place, node, example))}",
                fields=tuple(self._kinds(inner) or inner.get("properties", {})),
            )
            yield from self._inside(node, place)

    def _inside(self, node: Node, path: str) -> Iterator[FieldHelp]:
        """Yield what a value holds: the kinds of it, or its fields."""
        inner = self._inner(node)
        kinds = self._kinds(inner)
        for kind, model in kinds.items():
            example = next(iter(model.get("examples", [{}])))
            fields = tuple(one for one in model["properties"] if one != "kind")
            text = model.get("description", "")
            place = f"{path}.{kind}"
            yield FieldHelp(place, text, "mapping", False, None, _written(example), fields)
            yield from self.fields_of(model, place, example)
        if not kinds:
            yield from self.fields_of(inner, path, next(iter(inner.get("examples", [{}])), {}))

    def _resolved(self, node: Node) -> Node:
        """Return `node` with what it refers to, without the null of an optional field."""
        if "$ref" in node:
            target = self._resolved(self._definitions[node["$ref"].rpartition("/")[2]])
            return {**target, **{name: one for name, one in node.items() if name != "$ref"}}
        for word in ("anyOf", "allOf"):
            options = [one for one in node.get(word, ()) if one.get("type") != "null"]
            if len(options) == 1:
                rest = {name: one for name, one in node.items() if name != word}
                return {**self._resolved(options[0]), **rest}
        return node

    def _inner(self, node: Node) -> Node:
        """Return what one item of a list, or one value of a mapping by name, is."""
        by_name = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
        values = [node.get("items"), *(one for one in by_name if isinstance(one, Mapping))]
        inner = next((value for value in values if value), None)
        return node if inner is None else self._inner(self._resolved(inner))

    def _kinds(self, node: Node) -> dict[str, Node]:
        """Return the kinds of a value: by `kind`, or by the field that only this one has."""
        models = [self._resolved(one) for one in node.get("oneOf", ()) if "$ref" in one]
        return {
            model["properties"].get("kind", {}).get("const") or model["required"][0]: model
            for model in models
        }

    def _form(self, node: Node) -> str:
        if "enum" in node or "const" in node:
            values = list(map(_written, node.get("enum", [node.get("const")])))
            return " or ".join(values) if len(values) > 1 else f"only {values[0]}"
        if node.get("pattern") == _DURATION:
            return f"duration, {node['$comment']}"
        if node.get("pattern") == PERCENT_PATTERN:
            return f"percent, {node['$comment']}" if "$comment" in node else "percent"
        if "items" in node:
            return f"list of {self._form(self._resolved(node['items']))}"
        options = [self._resolved(one) for one in node.get("anyOf", ())]
        if forms := [self._form(option) for option in options if option.get("type") != "null"]:
            return " or ".join(dict.fromkeys(forms))
        if kinds := self._kinds(node):
            return f"one of {', '.join(kinds)}"
        form = _TYPES.get(str(node.get("type")), str(node.get("type", "value")))
        low, high = (node.get(word) for word in ("minimum", "maximum"))
        return f"{form}, {low:,.12g} to {high:,.12g}" if None not in (low, high) else form

    def _example(self, path: str, node: Node, example: Mapping[str, Any]) -> Any:
        """Return a value of a field: that of its mapping's example, or what its schema shows."""
        name = path.rpartition(".")[2]
        if name in example:
            return example[name]
        if node.get("default", "") != "":
            return node["default"]
        if node.get("examples"):
            return node["examples"][0]
        if "enum" in node or "const" in node:
            return node.get("enum", [node.get("const")])[0]
        if node.get("type") == "boolean":
            return False
        inner = self._inner(node)
        model = next(iter(self._kinds(inner).values()), inner)
        value = model["examples"][0] if model.get("examples") else name
        if path in _NAMED:
            return {_NAMED[path]: value}
        return [value] if "items" in node else value


def _written(value: Any) -> str:
    """Return `value` as a policy writes it in one line."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case Mapping():
            return f"{{{', '.join(f'{name}: {_written(one)}' for name, one in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(_written, value))}]"
        case str():
            return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        case _:
            return f"{value:.12g}"
