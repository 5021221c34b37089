"""Read a policy from plain data and report every mistake at once, each with its place.

Two passes: the shape of each part (pydantic), then the parts against each other. The second pass
runs over whatever can be read of a bad file, so that one bad step hides no bad criterion.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import Tag, ValidationError
from pydantic_core import ErrorDetails

from controller.core.policy.base import Form, Model
from controller.core.policy.kinds import KIND_ABSENT, KIND_UNKNOWN, KindError, Kinds
from controller.core.policy.model import Policy
from controller.core.units import quote_value
from controller.immutable import replace
from controller.policy_file import yaml
from controller.policy_file.check import wording
from controller.policy_file.check.crosscheck import crosscheck
from controller.policy_file.check.partial_policy import parse_partial
from controller.policy_file.check.printable import unprintable_texts
from controller.policy_file.problem import Place, Problem, suggestion


class PolicyProblems(Exception):  # noqa: N818 - many mistakes; the error people see is PolicyError
    """Everything that is wrong with a policy."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def parse(data: object) -> Policy:
    """Return the policy that `data` (mappings, sequences, scalars) describes.

    Raises PolicyProblems with every mistake of shape, of reference and of text that is no printable
    line.
    """
    policy: Policy | None = None
    problems: list[Problem] = []
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        problems = _without_mistyped(_problems(error.errors(include_url=False), data))
    unprintable = list(unprintable_texts(data))
    known = {(one.place, one.at_key) for one in unprintable}
    problems = [*unprintable, *(one for one in problems if (one.place, one.at_key) not in known)]
    if isinstance(data, Mapping):
        bad_places = {one.place for one in problems}
        crosschecked = crosscheck(parse_partial(data))
        problems.extend(one for one in crosschecked if one.place not in bad_places)
    if policy is None or problems:
        raise PolicyProblems(tuple(problems))
    return policy


def _without_mistyped(problems: Sequence[Problem]) -> list[Problem]:
    """Return `problems` without the keys that are missing because they are mistyped."""
    mistyped = {(*one.place[:-1], one.meant) for one in problems if one.meant}
    return [one for one in problems if one.at_key or one.place not in mistyped]


# A longer example is for `explain`: a message stays one line.
_LONGEST_EXAMPLE = 110
# Errors about a whole mapping or list; an example says more than the name of the type.
_SHAPES = frozenset({"missing", "extra_forbidden", "union_tag_not_found", KIND_ABSENT})
_NO_MAPPING = frozenset({"model_type", "model_attributes_type", "dict_type"})


def _problems(items: Iterable[ErrorDetails], data: object) -> list[Problem]:
    """Return each mistake of shape; the first one of each mapping or list has an example."""
    problems: list[Problem] = []
    exemplified = set[Place]()
    for item in items:
        path = _Path(item["loc"], data)
        problem = _problem(item, path)
        of_entry = item["type"] in _SHAPES and bool(problem.place)
        whole = problem.place[:-1] if of_entry else problem.place
        example = "" if problem.meant else _example(item, path)
        if example and len(example) <= _LONGEST_EXAMPLE and whole not in exemplified:
            exemplified.add(whole)
            problem = replace(problem, message=f"{problem.message}; like {example}")
        problems.append(problem)
    return problems


def _example(item: ErrorDetails, path: "_Path") -> str:
    """Return what an author probably meant, as a policy writes it; empty: it is not known."""
    match item["type"]:
        case "missing" | "extra_forbidden":
            return path.owner.example
        case "string_pattern_mismatch" if path.owner.example:
            example: Any = yaml.parse(path.owner.example, "example").data
            return str(example.get(path.place[-1], ""))
        case "tuple_type":
            inner = get_args(_bare(path.annotation)[0])[0]
            one = _example_of(inner, item["input"])
            if not one and isinstance(item["input"], str):
                one = item["input"]
            return f"[{one}]" if one else ""
        case kind if kind in _NO_MAPPING or kind in _SHAPES:
            return _example_of(path.annotation, item["input"])
        case _:
            return ""


def _example_of(annotation: Any, value: object) -> str:
    """Return the example of a model; of several kinds that of the one whose name `value` has."""
    bare, metadata = _bare(annotation)
    families = [one for one in metadata if isinstance(one, Kinds)]
    if not families and not _is_union(bare):
        return str(getattr(bare, "example", ""))
    names = families[0].names() if families else list(_members(bare))
    named = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
    meant = next((one for one in named if one in names), names[0])
    try:
        model = families[0].model(meant) if families else _members(bare)[meant]
    except KindError:  # of a package that cannot be used here
        return ""
    return str(model.example)


def _problem(item: ErrorDetails, path: "_Path") -> Problem:
    place, facts = path.place, item.get("ctx", {})
    match item["type"]:
        case "union_tag_not_found":
            kinds = ", ".join(_tags(path.annotation))
            return Problem((*place, "kind"), f"is required; one of {kinds}")
        case "union_tag_invalid":
            return _unknown_kind(place, "hook", item["input"]["kind"], _tags(path.annotation))
        case kind if kind == KIND_ABSENT:
            kinds = ", ".join(facts["names"])
            return Problem((*place, "kind"), f"is required; one of {kinds}")
        case kind if kind == KIND_UNKNOWN:
            if facts["problem"]:
                return Problem((*place, "kind"), facts["problem"])
            return _unknown_kind(place, facts["family"], facts["kind"], facts["names"])
        case "extra_forbidden":
            names = _field_names(path.owner)
            meant = wording.meant_key(item, names)
            return Problem(place, wording.message(item, names), at_key=True, meant=meant)
        case _:
            pass
    text = wording.message(item, form=_form(path.annotation))
    if place and place[-1] == _KEY_MARK:
        return Problem(place[:-1], text, at_key=True)
    return Problem(place, text)


def field_message(model: type[Model], item: ErrorDetails) -> str:
    """Return what is wrong with a field of `model`, where it was read outside a policy file."""
    return wording.message(item, form=_form(_field_type(model, item["loc"][0])))


def _form(annotation: Any) -> str:
    """Return what a text of this annotation is, as its model says it."""
    forms = (one.words for one in _bare(annotation)[1] if isinstance(one, Form))
    return next(forms, "another form")


def _unknown_kind(place: Place, family: str, kind: object, known: Sequence[str]) -> Problem:
    hint = suggestion(str(kind), known)
    message = f"no kind of {family} is called {quote_value(kind)}; {hint}"
    return Problem((*place, "kind"), message)


# How pydantic marks that the key of a mapping is wrong, not its value.
_KEY_MARK = "[key]"


class _Path:
    """Where in a policy an error of pydantic is.

    Pydantic puts the tag of a union into its path; the document has no such level.

    place: the place in the document. owner: the model of the mapping that holds it. annotation:
    what the model expects there; None where it expects nothing.
    """

    def __init__(self, loc: Place, data: object) -> None:
        self.place: Place = ()
        self.owner: type[Model] = Policy
        self.annotation: Any = Policy
        self._key: Any = None
        self._value = data
        for part in loc:
            self._descend(part)

    def _descend(self, part: str | int) -> None:
        if part == _KEY_MARK:
            self.place, self.annotation = (*self.place, part), self._key
            return
        bare = self._expected()
        if _is_union(bare):
            self.annotation = _members(bare)[str(part)]
            return
        self.place = (*self.place, part)
        self._value = _item(self._value, part)
        if isinstance(bare, type) and issubclass(bare, Model):
            self.owner, self.annotation = bare, _field_type(bare, part)
        else:
            arguments = get_args(bare) or (None,)
            self._key = arguments[0]
            self.annotation = arguments[-1 if get_origin(bare) is dict else 0]

    def _expected(self) -> Any:
        """Return what is expected here, as a bare type: the model of a kind for the value here."""
        bare, metadata = _bare(self.annotation)
        for kinds in metadata:
            if isinstance(kinds, Kinds):
                return kinds.model(_item(self._value, "kind"))
        return bare


def _item(value: object, part: str | int) -> Any:
    try:
        return value[part]  # type: ignore[index] # anything may stand in a file
    except (KeyError, IndexError, TypeError):
        return None


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _bare(annotation: Any) -> tuple[Any, list[Any]]:
    """Return `annotation` without its metadata and without `None`, and that metadata."""
    metadata: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        elif _is_union(annotation) and type(None) in get_args(annotation):
            (annotation,) = [one for one in get_args(annotation) if one is not type(None)]
        else:
            return annotation, metadata


def _members(union: Any) -> dict[str, Any]:
    """Return the members of a tagged union, by their tags: an explicit one, or their kind."""
    members: dict[str, Any] = {}
    for member in get_args(union):
        model, metadata = _bare(member)
        tags = [one.tag for one in metadata if isinstance(one, Tag)]
        for tag in tags or get_args(model.model_fields["kind"].annotation):
            members[tag] = model
    return members


def _tags(annotation: Any) -> list[str]:
    return list(_members(_bare(annotation)[0]))


def _field_type(model: type[Model], key: str | int) -> Any:
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    return get_type_hints(model, include_extras=True).get(names.get(str(key), ""))


def _field_names(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
