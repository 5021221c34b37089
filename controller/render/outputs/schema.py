"""The JSON Schema (draft 2020-12) of what each verb prints with `--json`."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import get_original_bases, is_typeddict

from controller.render.outputs import account, command_line, policies, rollouts

# The documents of each verb: the keys are the names of the schemas. Two types: either of them.
OUTPUTS: Final[Mapping[str, tuple[type, ...]]] = {
    "init": (policies.InitData,),
    "validate": (policies.ValidateData,),
    "plan": (policies.PlanData,),
    "rehearse": (policies.RehearseData,),
    "backtest": (policies.BacktestData,),
    "start": (rollouts.StartData,),
    "tick": (rollouts.TickData,),
    "run": (rollouts.RunData,),
    "status": (rollouts.StatusData, rollouts.StatusList),
    "history": (rollouts.HistoryData,),
    "replay": (rollouts.ReplayData,),
    "report": (rollouts.ReportData,),
    "pause": (rollouts.VisitData,),
    "resume": (rollouts.VisitData,),
    "promote": (rollouts.VisitData,),
    "ack": (rollouts.VisitData,),
    "approve": (rollouts.VisitData,),
    "attest": (rollouts.VisitData,),
    "retry": (rollouts.StartData,),
    "rollback": (rollouts.RollbackData, rollouts.BareRollbackData),
    "set-weight": (rollouts.SetWeightData,),
    "metrics": (account.MetricsData,),
    "logs": (account.LogsData,),
    "verify": (account.VerifyLiveData,),
    "doctor": (account.DoctorData,),
    "monitoring-plan": (account.MonitoringChange,),
    "monitoring-deploy": (account.MonitoringChange,),
    "monitoring-remove": (account.MonitoringRemoval,),
    "permanent": (policies.PermanentData,),
    "store-init": (account.StoreInitData,),
    "store-copy": (account.StoreCopyData,),
    "store-check": (account.StoreCheckData,),
    "store-recipients": (account.StoreRecipientsData,),
    "iam": (command_line.IamData,),
    "explain": (command_line.ExplainData,),
    "schema": (command_line.SchemaData,),
    "completion": (command_line.CompletionData,),
    "error": (command_line.ErrorData,),
}
# Verbs with --dry-run.
_DRY_RUN: Final = frozenset(
    {
        *("start", "tick", "run", "rollback", "set-weight", "retry", "store-copy"),
        *("pause", "resume", "promote", "ack", "approve", "attest"),
    }
)
_WOULD: Final = {
    "type": "array",
    "items": {"type": "string"},
    "description": "What a dry run left out; only with --dry-run.",
}


def output_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the document that is called `name`."""
    documents, definitions = [], {}
    for document in OUTPUTS[name]:
        schema = TypeAdapter(document).json_schema(schema_generator=_OutputJsonSchema)
        definitions.update(schema.pop("$defs", {}))
        documents.append(_with_head(schema, name))
    whole = documents[0] if len(documents) == 1 else {"anyOf": documents}
    return {
        "$schema": _OutputJsonSchema.schema_dialect,
        **whole,
        "title": f"rolloutctl {name}, version 1",
        **({"$defs": definitions} if definitions else {}),
    }


def _with_head(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of a document with the keys that `cli/result.py` adds to it."""
    head = {"const": f"{name}/1", "description": "Name and version of the schema of this document."}
    would = {"would": _WOULD} if name in _DRY_RUN else {}
    return {
        **schema,
        "properties": {"schema": head, **schema["properties"], **would},
        "required": ["schema", *schema["required"]],
    }


class _OutputJsonSchema(GenerateJsonSchema):
    """Describes fields without titles, which would only repeat their names."""

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        described = super().typed_dict_schema(schema)
        # pydantic does not read the docstrings of inherited fields
        for base in get_original_bases(schema["cls"]) if "cls" in schema else ():
            if is_typeddict(base):
                inherited = TypeAdapter(base).json_schema(schema_generator=type(self))
                for name, field in inherited.get("properties", {}).items():
                    if "description" in field:
                        described["properties"][name].setdefault(
                            "description", field["description"]
                        )
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
