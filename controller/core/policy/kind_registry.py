"""The kinds of targets, channels and criteria: those of rolloutctl, and those of other packages.

A policy names a kind, and the kind names the model that reads the rest: `kind: sns` is read by
`SnsChannel`. A model of a target or a channel is imported when a policy names its kind, so a tick
loads no other. Another package adds a kind by an entry point, as `contributors/extending.md` shows.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar

from pydantic import (
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from controller.core.policy.field_types import Model

# The error types of a `kind` that is absent, or that no package gives.
KIND_ABSENT: Final = "kind_absent"
KIND_UNKNOWN: Final = "kind_unknown"
# Marks the validation of a stored policy, which is read even where a package is missing.
STORED: Final = {"stored": True}


class KindError(Exception):
    """A kind has no usable model; the text says why."""


class MissingKind(Model):
    """Base of what stands for a stored value whose model cannot be used here; it keeps the text."""

    model_config = ConfigDict(extra="allow")

    _problem: str = PrivateAttr(default="")

    @property
    def problem(self) -> str:
        """Why there is no model, and what to do."""
        return f"{self._problem}; install its package where rolloutctl runs"

    @classmethod
    def of(cls, value: Mapping[Any, Any], problem: str) -> Self:
        """Return the placeholder of `value`."""
        placeholder = cls.model_validate(value)
        placeholder._problem = problem
        return placeholder


M = TypeVar("M", bound=Model)


class Registry(Generic[M]):
    """The kinds of one family, and the validator of a field that holds one of them.

    family: what one of them is called in messages. group: the entry points of other packages.
    built_in: the path of each model of rolloutctl, `module:Class`, by kind.
    placeholder: stands for a stored value whose model is not installed here.
    methods: what a model of another package has to have beyond its base.
    key: the field that names the kind; empty: no field of that name does.
    """

    key: ClassVar[str] = "kind"

    def __init__(
        self,
        family: str,
        group: str,
        built_in: Mapping[str, str],
        base: type[M],
        placeholder: type[MissingKind],
        methods: Sequence[str] = (),
    ) -> None:
        self.family, self.group, self._methods = family, group, methods
        self.built_in, self._base, self._placeholder = built_in, base, placeholder

    def names(self) -> list[str]:
        """Return every kind: those of rolloutctl, then those of other packages by name."""
        return [*self.built_in, *sorted(self._installed().keys() - self.built_in.keys())]

    def model(self, kind: str, *, in_file: bool = False) -> type[M]:
        """Return the model of `kind`. Raises KindError when there is none that can be used.

        in_file: the kind is written by someone who may mean that of a package; what is stored, and
        what a rollback names, is the built-in one.
        """
        if kind in self.built_in:
            if in_file:
                self._refuse_clash(kind)
            model: type[M] = load(self.built_in[kind])
            return model
        return self._installed_model(kind)

    def models(self) -> dict[str, type[M]]:
        """Return the model of every kind. Raises KindError when one of them cannot be used."""
        return {kind: self.model(kind) for kind in self.names()}

    def kind_of(self, value: Mapping[Any, Any]) -> str | None:
        """Return the kind that a mapping names, which may be none of `names`; None without one."""
        kind = value.get(self.key)
        return kind if isinstance(kind, str) else None

    def model_of(self, value: object) -> type[M]:
        """Return the model of the kind that `value` names. Raises KindError when there is none."""
        kind = self.kind_of(value) if isinstance(value, Mapping) else None
        if kind is None:
            raise KindError(f"a {self.family} has no kind")
        return self.model(kind)

    def read(self, data: Any) -> M:
        """Return the model of `data`. Raises KindError, and ValidationError for other mistakes."""
        return self.model_of(data).model_validate(data)

    def _installed(self) -> dict[str, list[EntryPoint]]:
        return entry_points_of(self.group)

    def _installed_model(self, kind: str) -> type[M]:
        found = self._installed().get(kind, [])
        if not found:
            raise KindError(f"no installed package has the {self.family} kind {kind!r}")
        if len(found) > 1:
            packages = " and ".join(sorted(_package(one) for one in found))
            raise KindError(
                f"more than one package has the {self.family} kind {kind!r}: {packages}"
            )
        (entry_point,) = found
        try:
            model = entry_point.load()
        except Exception as error:  # a package may raise anything when it is imported
            raise KindError(
                f"the {self.family} kind {kind!r} of {_package(entry_point)} cannot be loaded: "
                f"{type(error).__name__}"
            ) from error
        if not (isinstance(model, type) and issubclass(model, self._base)):
            raise KindError(
                f"{entry_point.value} of {_package(entry_point)} is no {self._base.__name__}"
            )
        for method in self._methods:
            if not callable(getattr(model, method, None)):
                raise KindError(
                    f"{entry_point.value} of {_package(entry_point)} has no method {method!r}, "
                    f"which every {self.family} needs"
                )
        return model

    def _refuse_clash(self, kind: str) -> None:
        """Raise KindError for a built-in kind whose name an installed package has taken as well."""
        if taken := self._installed().get(kind):
            packages = " and ".join(sorted(_package(one) for one in taken))
            raise KindError(
                f"rolloutctl has a {self.family} kind {kind!r}, and so has {packages}: give that "
                "one another name, or uninstall it"
            )

    # --- validation -----------------------------------------------------------------------------

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._validate, serialization=core_schema.simple_ser_schema("any")
        )

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        models = list(self.models().values())
        union: Any = models[0]
        for model in models[1:]:
            union |= model
        if len(models) > 1 and self.key:
            union = Annotated[union, Field(discriminator=self.key)]
        return handler(TypeAdapter(union).core_schema)

    def _validate(self, value: Any, info: core_schema.ValidationInfo) -> M:
        if isinstance(value, self._base):
            return value
        if not isinstance(value, Mapping):
            raise PydanticKnownError("model_attributes_type")
        kind = self.kind_of(value)
        if kind is None:
            raise PydanticCustomError(
                KIND_ABSENT, "kind: is required", {"names": self.names(), "key": self.key}
            )
        try:
            model = self.model(kind, in_file=info.context != STORED)
        except KindError as error:
            if info.context == STORED:
                return self._placeholder.of(value, str(error))  # type: ignore[return-value] # an M
            facts: dict[str, Any] = {
                "family": self.family,
                "key": self.key or kind,
                "kind": kind,
                "names": self.names(),
                "problem": str(error) if kind in self.names() else "",
            }
            raise PydanticCustomError(KIND_UNKNOWN, "kind: no usable kind", facts) from error
        try:
            return model.model_validate(value, context=info.context)
        except ValidationError:
            # A built-in kind takes what it stored, unless a package had the name before it.
            if info.context != STORED or (kind in self.built_in and kind not in self._installed()):
                raise
            whose = "built-in" if kind in self.built_in else "installed"
            problem = f"the {whose} {self.family} kind {kind!r} does not take the stored value"
            return self._placeholder.of(value, problem)  # type: ignore[return-value] # an M


@cache
def load(path: str) -> Any:
    """Return what the path `module:name` names; its module is imported now."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@cache
def entry_points_of(group: str) -> dict[str, list[EntryPoint]]:
    """Return the entry points of `group` by name, found once in a process."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    return found


def _package(entry_point: EntryPoint) -> str:
    return "a package" if entry_point.dist is None else entry_point.dist.name
