"""The verb `schema`: prints the JSON Schema of policies, and of what verbs print as JSON.

The results themselves are declared beside their verbs and pages.
"""

import ast
import json
import sys
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from inspect import getsource
from itertools import pairwise
from types import NoneType
from typing import Any, Final, get_args, get_origin

import click
from msgspec.structs import fields

from controller.cli import options
from controller.cli.call import CommandContext, ErrorData, Result
from controller.cli.completion import CompletionData
from controller.cli.logs import LogsData
from controller.cli.rollback import BareRollbackData, RequestedRollbackData, RollbackData
from controller.cli.set_weight import SetWeightData
from controller.cli.start import RunData, StartData
from controller.cli.status import StatusData, StatusList
from controller.cli.tick import TickData
from controller.cli.validate import ExplainData, ValidateData
from controller.cli.verify import VerifyLiveData
from controller.immutable import Immutable
from controller.policy_file.schema import policy_schema
from controller.render.history import HistoryData
from controller.render.rollout_data import VisitData
from controller.tools.backtest.page import BacktestData
from controller.tools.dashboard.verb import DashboardData
from controller.tools.doctor.verb import DoctorData
from controller.tools.iam.verb import IamData
from controller.tools.init.draft import InitData
from controller.tools.metrics.verb import MetricsData
from controller.tools.monitoring.verb import MonitoringChange, MonitoringRemoval
from controller.tools.permanent import PermanentData
from controller.tools.plan.verb import PlanData
from controller.tools.record import RecordingData
from controller.tools.rehearse.verb import RehearseData
from controller.tools.replay import Replay
from controller.tools.report.verb import ReportData
from controller.tools.store.check import CheckedStore
from controller.tools.store.copy import StoreCopy
from controller.tools.store.upgrade import UpgradedStore
from controller.tools.store.verb import StoreInit, StoreRecipients, StoreRules


class SchemaData(Immutable):
    """A JSON Schema."""

    name: str
    """What it describes: policy, or the name of a document."""
    document: dict[str, Any]
    """The JSON Schema, draft 2020-12."""


# The documents of each verb: the keys are the names of the schemas. Two types: either of them.
OUTPUTS: Final[Mapping[str, tuple[type[Immutable], ...]]] = {
    "init": (InitData,),
    "validate": (ValidateData,),
    "plan": (PlanData,),
    "rehearse": (RehearseData,),
    "backtest": (BacktestData,),
    "start": (StartData,),
    "tick": (TickData,),
    "run": (RunData,),
    "status": (StatusData, StatusList),
    "history": (HistoryData,),
    "replay": (Replay,),
    "report": (ReportData,),
    "dashboard": (DashboardData,),
    "pause": (VisitData,),
    "resume": (VisitData,),
    "promote": (VisitData,),
    "ack": (VisitData,),
    "approve": (VisitData,),
    "attest": (VisitData,),
    "retry": (StartData,),
    "rollback": (RollbackData, BareRollbackData, RequestedRollbackData),
    "set-weight": (SetWeightData,),
    "metrics": (MetricsData,),
    "logs": (LogsData,),
    "verify": (VerifyLiveData,),
    "doctor": (DoctorData,),
    "monitoring-plan": (MonitoringChange,),
    "monitoring-deploy": (MonitoringChange,),
    "monitoring-remove": (MonitoringRemoval,),
    "permanent": (PermanentData,),
    "store-init": (StoreInit,),
    "store-copy": (StoreCopy,),
    "store-check": (CheckedStore,),
    "store-recipients": (StoreRecipients,),
    "store-rules": (StoreRules,),
    "store-upgrade": (UpgradedStore,),
    "iam": (IamData,),
    "record": (RecordingData,),
    "explain": (ExplainData,),
    "schema": (SchemaData,),
    "completion": (CompletionData,),
    "error": (ErrorData,),
}
# The names under which objects were published, where their classes have other ones.
_PUBLISHED: Final = {
    "BoundChange": "BoundChangeData",
    "Change": "ChangeData",
    "Check": "CheckData",
    "Detection": "DetectionData",
    "FieldHelp": "FieldData",
    "Place": "BacktestPlace",
    "RecordProblem": "RecordProblemData",
    "Suggestion": "SuggestionData",
}
# Verbs with --dry-run.
_DRY_RUN: Final = frozenset(
    {
        *("start", "tick", "run", "rollback", "set-weight", "retry", "store-copy", "store-upgrade"),
        *("pause", "resume", "promote", "ack", "approve", "attest"),
    }
)
_WOULD: Final = {
    "type": "array",
    "items": {"type": "string"},
    "description": "What a dry run left out; only with --dry-run.",
}


_POLICY: Final = "policy"


@click.command()
@click.argument(
    "name", type=click.Choice([_POLICY, *OUTPUTS]), default=_POLICY, metavar="[policy|VERB]"
)
@options.call_options("json")
def schema(_call: CommandContext, name: str) -> Result:
    """Print the JSON Schema of a policy, or of the JSON of a verb.

    Without a name, or with `policy`, that of a policy file, for editors. With the name of a verb,
    that of the document that it prints with --json: its field `schema` is that name and /1. With
    --json, the schema is in such a document, too.
    """
    document = policy_schema() if name == _POLICY else output_schema(name)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return Result("schema", lambda: SchemaData(name, document), text=lambda: text)


def output_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the document that is called `name`."""
    writer = SchemaWriter()
    documents = [_with_head(writer.describe(one), name) for one in OUTPUTS[name]]
    whole = documents[0] if len(documents) == 1 else {"anyOf": documents}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": f"rolloutctl {name}, version 1",
        **({"$defs": dict(sorted(writer.definitions.items()))} if writer.definitions else {}),
    }


def _with_head(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of a document with the keys that `cli/call.py` adds to it."""
    head = {"const": f"{name}/1", "description": "Name and version of the schema of this document."}
    would = {"would": _WOULD} if name in _DRY_RUN else {}
    return {
        **schema,
        "properties": {"schema": head, **schema["properties"], **would},
        "required": ["schema", *schema["required"]],
    }


_JSON_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    datetime: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}


class SchemaWriter:
    """Describes types of documents, and collects the objects to which they refer, by name.

    A description of a field is its docstring.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def describe(self, document: type[Immutable]) -> dict[str, Any]:
        """Return the schema of an object with a fixed set of keys."""
        texts, keys = _field_texts(document), fields(document)
        return {
            "additionalProperties": False,
            "description": document.__doc__,
            "properties": {
                key.encode_name: dict(
                    sorted({"description": texts[key.name], **self._of(key.type)}.items())
                )
                for key in keys
            },
            "required": [key.encode_name for key in keys],
            "title": _name(document),
            "type": "object",
        }

    def _of(self, hint: Any) -> dict[str, Any]:
        """Return the schema of a value whose type is `hint`."""
        parts = get_args(hint)
        match get_origin(hint):
            case None:
                return self._of_class(hint)
            case typing.Annotated:
                return {**parts[1].extra_json_schema, **self._of(parts[0])}
            case typing.Literal:
                return {"const": parts[0], **self._of(type(parts[0]))}
            case typing.Union | types.UnionType:
                return {"anyOf": [self._of(part) for part in parts]}
            case kind if issubclass(kind, Mapping):
                values = parts[1]
                allowed = True if values is Any else self._of(values)
                return {"additionalProperties": allowed, "type": "object"}
            case _:
                return {"items": self._of(parts[0]), "type": "array"}

    def _of_class(self, kind: Any) -> dict[str, Any]:
        if kind in _JSON_TYPES:
            return {"type": _JSON_TYPES[kind]}
        if issubclass(kind, StrEnum):
            return {"enum": [str(one) for one in kind], "type": "string"}
        name = _name(kind)
        if name not in self.definitions:
            self.definitions[name] = self.describe(kind)
        return {"$ref": f"#/$defs/{name}"}


def _name(kind: type) -> str:
    return _PUBLISHED.get(kind.__name__, kind.__name__)


def _field_texts(document: type) -> dict[str, str]:
    """Return the docstrings of the fields of a class, those that it inherits too, by name."""
    texts: dict[str, str] = {}
    for one in document.__mro__:
        if issubclass(one, Immutable):
            texts |= _texts_in(one.__module__)[one.__name__]
    return texts


@cache
def _texts_in(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings of fields in a module, by class and name."""
    tree = ast.parse(getsource(sys.modules[module]))
    return {
        one.name: {
            ast.unparse(field.target): ast.literal_eval(text.value)
            for field, text in pairwise(one.body)
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
        }
        for one in tree.body
        if isinstance(one, ast.ClassDef)
    }
