"""The mistakes of shape and of texts in a policy file, or in another one with a model.

Pydantic says where an error is in its models, and what is wrong in its own words. Here it gets the
place where the author sees it, one line that says what is expected, and an example.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import Tag, ValidationError
from pydantic_core import ErrorDetails

from controller.core.policy.field_types import Form, Model
from controller.core.policy.kind_registry import KIND_ABSENT, KIND_UNKNOWN, KindError, Registry
from controller.core.policy.notify import CHANNELS
from controller.core.units import quote_value
from controller.immutable import replace
from controller.policy_file import yaml_file
from controller.policy_file.mistake import Place, PolicyMistake, nearest, suggestion
from controller.safe_text import first_unprintable, has_workflow_command

# A longer example is for `explain`: a message stays one line.
_LONGEST_EXAMPLE = 110
# Errors about a whole mapping or list; an example says more than the name of the type.
_SHAPES = frozenset({"missing", "extra_forbidden", "union_tag_not_found", KIND_ABSENT})
_NO_MAPPING = frozenset({"model_type", "model_attributes_type", "dict_type"})
# How pydantic marks that the key of a mapping is wrong, not its value.
_KEY_MARK = "[key]"

M = TypeVar("M", bound=Model)


def validated(data: object, model: type[M]) -> tuple[M | None, list[PolicyMistake]]:
    """Return what `data` describes, None without it, and every mistake of shape and of texts."""
    problems = list(_unprintable_texts(data))
    unprintable = {(problem.place, problem.at_key) for problem in problems}
    try:
        return model.model_validate(data), problems
    except ValidationError as error:
        of_shape = _shape_problems(error, data, model)
        problems += [one for one in of_shape if (one.place, one.at_key) not in unprintable]
        return None, problems


def _shape_problems(
    error: ValidationError, data: object, model: type[Model]
) -> list[PolicyMistake]:
    """Return each mistake of shape in `data`; the first one of each mapping or list has an example.

    A key that is missing because it is mistyped is no second mistake. model: of the whole document.
    """
    problems: list[PolicyMistake] = []
    exemplified = set[Place]()
    for item in error.errors(include_url=False):
        path = _Path(item["loc"], data, model)
        problem = _problem(item, path)
        of_entry = item["type"] in _SHAPES and bool(problem.place)
        whole = problem.place[:-1] if of_entry else problem.place
        example = "" if problem.meant else _example(item, path)
        if example and len(example) <= _LONGEST_EXAMPLE and whole not in exemplified:
            exemplified.add(whole)
            problem = replace(problem, message=f"{problem.message}; like {example}")
        problems.append(problem)
    mistyped = {(*one.place[:-1], one.meant) for one in problems if one.meant}
    return [one for one in problems if one.at_key or one.place not in mistyped]


class _Path:
    """Where in a policy an error of pydantic is.

    Pydantic puts the tag of a union into its path; the document has no such level.

    place: the place in the document. owner: the model of the mapping that holds it. annotation:
    what the model expects there; None where it expects nothing.
    """

    def __init__(self, loc: Place, data: object, model: type[Model]) -> None:
        self.place: Place = ()
        self.owner = model
        self.annotation: Any = model
        self._key: Any = None
        self._value: Any = data
        for part in loc:
            self._descend(part)

    def _descend(self, part: str | int) -> None:
        if part == _KEY_MARK:
            self.place, self.annotation = (*self.place, part), self._key
            return
        expected, metadata = _bare(self.annotation)
        for kinds in metadata:
            if isinstance(kinds, Registry):
                expected = kinds.model_of(self._value)
        if _is_union(expected):
            self.annotation = _members(expected)[str(part)]
            return
        self.place = (*self.place, part)
        try:
            self._value = self._value[part]
        except (KeyError, IndexError, TypeError):  # anything may stand in a file
            self._value = None
        if isinstance(expected, type) and issubclass(expected, Model):
            self.owner, self.annotation = expected, _field_type(expected, part)
        else:
            arguments = get_args(expected) or (None,)
            self._key = arguments[0]
            self.annotation = arguments[-1 if get_origin(expected) is dict else 0]


def _problem(item: ErrorDetails, path: _Path) -> PolicyMistake:
    place, facts = path.place, item.get("ctx", {})
    match item["type"]:
        case "union_tag_not_found":
            kinds = list(_members(_bare(path.annotation)[0]))
            return PolicyMistake((*place, "kind"), f"is required; one of {', '.join(kinds)}")
        case "union_tag_invalid":
            kinds = list(_members(_bare(path.annotation)[0]))
            return _unknown_kind(place, "hook", item["input"]["kind"], kinds)
        case kind if kind == KIND_ABSENT:
            return PolicyMistake(
                (*place, facts["key"]) if facts["key"] else place,
                f"is required; one of {', '.join(facts['names'])}",
            )
        case kind if kind == KIND_UNKNOWN:
            if facts["problem"]:
                return PolicyMistake((*place, facts["key"]), facts["problem"])
            return _unknown_kind(
                place, facts["family"], facts["kind"], facts["names"], facts["key"]
            )
        case "extra_forbidden":
            names = [field.alias or name for name, field in path.owner.model_fields.items()]
            key = str(item["loc"][-1])
            return PolicyMistake(
                place, message(item, names), at_key=True, meant=nearest(key, names)
            )
        case _:
            text = message(item, form=_form(path.annotation))
            if place and place[-1] == _KEY_MARK:
                return PolicyMistake(place[:-1], text, at_key=True)
            return PolicyMistake(place, text)


def _unknown_kind(
    place: Place, family: str, kind: object, known: Sequence[str], key: str = "kind"
) -> PolicyMistake:
    hint = suggestion(str(kind), known)
    text = f"no kind of {family} is called {quote_value(kind)}; {hint}"
    return PolicyMistake((*place, key), text)


def _example(item: ErrorDetails, path: _Path) -> str:
    """Return what an author probably meant, as a policy writes it; empty: it is not known."""
    match item["type"]:
        case "missing" | "extra_forbidden":
            return path.owner.example
        case "string_pattern_mismatch" if " like " in _form(path.annotation):
            return ""  # the message has one
        case "string_pattern_mismatch" if path.owner.example:
            example: Any = yaml_file.parse(path.owner.example, "example").data
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
    families = [one for one in metadata if isinstance(one, Registry)]
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


# --- What a model expects -------------------------------------------------------------------------


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


def _field_type(model: type[Model], key: str | int) -> Any:
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    return get_type_hints(model, include_extras=True).get(names.get(str(key), ""))


def _form(annotation: Any) -> str:
    """Return what a text of this annotation is, as its model says it."""
    forms = (one.words for one in _bare(annotation)[1] if isinstance(one, Form))
    return next(forms, "another form")


# --- Words ----------------------------------------------------------------------------------------


def field_message(model: type[Model], item: ErrorDetails) -> str:
    """Return what is wrong with a field of `model`, where it was read outside a policy file."""
    return message(item, form=_form(_field_type(model, item["loc"][0])))


def message(item: ErrorDetails, fields: Iterable[str] = (), form: str = "") -> str:
    """Return one line that says what is wrong and what is expected.

    fields: the keys that the mapping around an unknown key may have. form: what the text has to be
    that does not match its pattern.
    """
    if item["type"] == "extra_forbidden":
        key, known = str(item["loc"][-1]), list(fields)
        field, instead = _ELSEWHERE.get(key.lower().replace("_", ""), ("", ""))
        return f"unknown key; {instead if field in known else suggestion(key, known)}"
    template = _MESSAGES.get(item["type"])
    if item["type"] == "value_error":
        return item["msg"].removeprefix("Value error, ")
    if template is None:
        return item["msg"][:1].lower() + item["msg"][1:]
    facts = item.get("ctx", {})
    if item["type"] == "int_type" and (number := _NUMBER.fullmatch(str(item["input"]))):
        return f"expected a whole number: {number[1]}, not {quote_value(item['input'])}"
    return template.format(value=quote_value(item["input"]), form=form, **facts)


# What an author writes instead of a whole number: `50%`, `"50"`.
_NUMBER = re.compile(r"([0-9]{1,9}) ?%?")
# Keys of other tools, each with a field that is beside it here, and what to write.
_ELSEWHERE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("notifications", "notification", "alerts", *CHANNELS.built_in),
            ("notify", "messages go to the channels in `notify`"),
        ),
        **dict.fromkeys(
            ("alarms", "alarm", "triggers", "rollback", "autorollback", "rollbackon"),
            ("criteria", "a CloudWatch alarm is one of the `criteria`: {kind: alarm, alarm: NAME}"),
        ),
        **dict.fromkeys(
            ("analysis", "analyses", "checks", "gates", "thresholds"),
            ("criteria", "what has to hold is in `criteria`"),
        ),
        **dict.fromkeys(
            ("strategy", "canary", "stages", "deploymentpreference"),
            ("steps", "weights and their times are in `steps`"),
        ),
        "setweight": ("weight", "write `weight`"),
        "percent": ("weight", "write `weight`"),
        "pause": (
            "bake", "a step waits for its `bake`, and with `approval: required` for an operator",
        ),
        **dict.fromkeys(("duration", "interval", "wait"), ("bake", "write `bake`")),
        "channel": ("webhook", "the webhook decides the channel"),
        **dict.fromkeys(
            ("on", "events", "when"), ("min_severity", "`min_severity` says what is sent"),
        ),
        **dict.fromkeys(
            ("successcondition", "failurecondition"), ("max", "write the bound as `max` or `min`"),
        ),
    }
)  # fmt: skip
_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is required",
        "model_type": "expected a mapping, not {value}",
        "model_attributes_type": "expected a mapping, not {value}",
        "dict_type": "expected a mapping, not {value}",
        "tuple_type": "expected a list, not {value}",
        "string_type": "expected text, not {value}",
        "int_type": "expected a whole number, not {value}",
        "float_type": "expected a number, not {value}",
        "finite_number": "expected a finite number, not {value}",
        "literal_error": "expected {expected}, not {value}",
        "enum": "expected {expected}, not {value}",
        "string_pattern_mismatch": "expected {form}, not {value}",
        "string_too_short": "must not be empty",
        "string_too_long": "must have at most {max_length} characters",
        "too_long": "has more than {max_length} entries",
        "greater_than": "must be above {gt:g}, not {value}",
        "greater_than_equal": "must be at least {ge:g}, not {value}",
        "less_than_equal": "must be at most {le:.15g}, not {value}",
    }
)


# --- Texts ----------------------------------------------------------------------------------------


def _unprintable_texts(data: object, place: Place = ()) -> Iterator[PolicyMistake]:
    """Yield a problem for each key and each text in `data` that is not one printable line.

    A policy is printed on terminals, in CI logs, chats and reports. A file is checked, and a stored
    snapshot is not: which characters are printable depends on the Unicode version of Python, and a
    rollout has to be readable, and be rolled back, on every version. A snapshot is escaped when it
    is printed.
    """
    if isinstance(data, str):
        if problem := _line_problem(data):
            yield PolicyMistake(place, problem)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if problem := _line_problem(str(key)):
                yield PolicyMistake((*place, key), problem, at_key=True)
            yield from _unprintable_texts(value, (*place, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _unprintable_texts(value, (*place, index))


def _line_problem(text: str) -> str:
    """Return what is wrong with `text`; empty where it is one printable line."""
    character = first_unprintable(text)
    if not character:
        return "" if not has_workflow_command(text) else "is taken for a command by GitHub Actions"
    if character != "\n":
        return f"U+{ord(character):04X} is not printable: write one line of printable characters"
    if text.index("\n") == len(text) - 1:
        return "ends with a line break: write `>-` or `|-` to leave that out"
    return "has more than one line: write one"
