"""The rules of a store: what its owner requires of policies, and which acts are forbidden.

They are written in YAML, and read as strictly as a policy. The last part is what they refuse:
starts of policies that break them, and forbidden acts.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from controller.core.events import Command, Verb
from controller.core.policy import Criterion, Policy
from controller.core.policy.criteria import CRITERIA
from controller.core.policy.field_types import Model
from controller.core.policy.kind_registry import KindError
from controller.core.policy.targets import TARGETS
from controller.core.units import DurationRange, PercentUpTo, format_duration, format_percent
from controller.errors import Flaw, PolicyError, StoreError, UsageError
from controller.policy_file import yaml_file
from controller.policy_file.mistake import PolicyMistake, place_text, suggestion
from controller.policy_file.shape import validated
from controller.policy_file.template import read_policy
from controller.policy_file.yaml_file import YamlSource
from controller.ports.store import RulesReader

# An item of DynamoDB takes 400 KB, and an owner has a page of rules.
MAX_BYTES: Final = 64 << 10

Act: TypeAlias = Literal["fix", "despite", "adopt", "retry", "promote", "set-weight", "keep"]
"""What overrides a check or a gate: options of a start, verbs, and `resume --keep`."""

# The fields that a rule can bound, and whether a larger value is a stricter one.
_BOUNDS: Final = {"min": True, "max": False, "slo": True, "max_increase": False}
_Weight: TypeAlias = Annotated[int, Field(ge=1, le=100, strict=True)]


class RequiredCriterion(Model):
    """A criterion that has to gate each step, with a bound at least as strict."""

    example: ClassVar[str] = "{kind: success_rate, min: 99.9%}"

    kind: str = Field(description="Kind of the criterion.")
    min: Annotated[float, PercentUpTo("100%")] | None = Field(
        default=None, description="Of a kind with a smallest share: its `min` is at least this."
    )
    max: Annotated[float, PercentUpTo("100%")] | None = Field(
        default=None, description="Of a kind with a largest share: its `max` is at most this."
    )
    max_increase: Annotated[float, PercentUpTo("1000%")] | None = Field(
        default=None, description="Of a latency_increase: its `max_increase` is at most this."
    )
    slo: Annotated[float, PercentUpTo("100%")] | None = Field(
        default=None, description="Of a burn_rate: its `slo` is at least this."
    )

    @model_validator(mode="after")
    def _bounds_of_the_kind(self) -> Self:
        known = _percents_of(self.kind)
        for field in self.bounds:
            if known is not None and field not in known:
                raise ValueError(f"`{field}` is no bound of {self.kind}")
        return self

    @property
    def bounds(self) -> dict[str, float]:
        """The value of each field that is bounded; empty: any value will do."""
        given = {field: getattr(self, field) for field in _BOUNDS}
        return {field: value for field, value in given.items() if value is not None}

    @property
    def text(self) -> str:
        """What has to be there: `success_rate with a min of at least 99.9%`."""
        bounds = [f"a {field} of {_limit_text(field, one)}" for field, one in self.bounds.items()]
        return f"{self.kind} with {' and '.join(bounds)}" if bounds else self.kind

    def problem(self, criterion: Criterion) -> tuple[str, str] | None:
        """Return the field of `criterion` that is not as required, and what it has to be.

        criterion: of the same kind. None: it is as required.
        """
        if not criterion.gating:
            return "gates", "must not be false"
        for field, value in self.bounds.items():
            own: float = getattr(criterion, field)
            if own < value if _BOUNDS[field] else own > value:
                return field, f"must be {_limit_text(field, value)}, not {format_percent(own)}"
        return None


def _percents_of(kind: str) -> set[str] | None:
    """Return the fields of a kind of criterion that hold a percent; None: it cannot be read here.

    Such a bound has one meaning for every criterion of the kind. That of a `threshold` does not.
    """
    try:
        fields = CRITERIA.model(kind).model_fields
    except KindError:
        return None
    return {
        name
        for name, field in fields.items()
        if any(isinstance(mark, PercentUpTo) for mark in field.metadata)
    }


def _limit_text(field: str, value: float) -> str:
    return f"{'at least' if _BOUNDS[field] else 'at most'} {format_percent(value)}"


class Rules(Model):
    """What the owner of a store requires of the policies that start in it, and forbids."""

    example: ClassVar[str] = "{version: 1, owner: platform team, min_bake: 30m}"

    version: Literal[1] = Field(description="Version of the format.")
    owner: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="Whom to ask; each refusal names it."
    )
    targets: tuple[str, ...] | None = Field(
        default=None, description="Kinds of target that are allowed; any when left out."
    )
    min_bake: Annotated[timedelta, DurationRange("1m", "14d")] | None = Field(
        default=None, description="Shortest bake of each step."
    )
    min_total_bake: Annotated[timedelta, DurationRange("1m", "90d")] | None = Field(
        default=None, description="Shortest bake of all steps together."
    )
    max_first_weight: _Weight | None = Field(
        default=None, description="Largest weight of the first step."
    )
    max_raise: _Weight | None = Field(
        default=None, description="Most percent of traffic that a step may add; the first one too."
    )
    criteria: tuple[RequiredCriterion, ...] = Field(
        default=(),
        description="Criteria that gate each step. One that compares both paths at the same time "
        "may be left out at 100%, where there is no other path.",
    )
    notify: Literal["required"] | None = Field(
        default=None, description="The policy has at least one channel."
    )
    forbid: tuple[Act, ...] = Field(
        default=(),
        description="Acts that are forbidden: fix, despite and adopt at a start; retry, promote; "
        "set-weight, where it raises the weight; keep, of `resume`.",
    )


# --- Reading --------------------------------------------------------------------------------------


def load_rules(path: Path) -> tuple[Rules, str]:
    """Return the rules in the file at `path`, and the text of the file.

    Raises PolicyError with one `file:line:column: path: problem` line per mistake.
    """
    text = _sized(yaml_file.read_text(path), str(path))
    return _rules(yaml_file.parse(text, str(path)), check_kinds=True), text


def stored_rules(text: str) -> Rules:
    """Return the rules in a text of the store.

    Kinds of criteria and targets may be those of a package that is not installed here. Raises
    StoreError when the text is damaged.
    """
    try:
        return _rules(yaml_file.parse(_sized(text, "rules"), "rules"))
    except PolicyError as error:
        raise StoreError(
            f"the rules in the store cannot be read, so nothing is started: {error}; their owner "
            "sets them again: rolloutctl store rules FILE"
        ) from error


def _sized(text: str, name: str) -> str:
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise PolicyError.of(Flaw(name, f"is larger than {MAX_BYTES >> 10} KiB"))
    return text


def _rules(source: YamlSource, *, check_kinds: bool = False) -> Rules:
    rules, problems = validated(source.data, Rules)
    if rules is not None and check_kinds:
        problems += _unknown_kinds(rules)
    if flaws := source.flaws(problems):
        raise PolicyError.of(*flaws)
    assert rules is not None  # noqa: S101 - else it has a problem
    return rules


def _unknown_kinds(rules: Rules) -> Iterator[PolicyMistake]:
    for index, kind in enumerate(rules.targets or ()):
        if kind not in TARGETS.names():
            hint = suggestion(kind, TARGETS.names())
            yield PolicyMistake(("targets", index), f"no kind of target is called {kind!r}; {hint}")
    for index, one in enumerate(rules.criteria):
        if one.kind not in CRITERIA.names():
            hint = suggestion(one.kind, CRITERIA.names())
            text = f"no kind of criterion is called {one.kind!r}; {hint}"
            yield PolicyMistake(("criteria", index, "kind"), text)


# --- Policies -------------------------------------------------------------------------------------


def flaws_of(rules: Rules, policy: Policy, file: Path | None = None) -> list[Flaw]:
    """Return what in `policy` breaks `rules`, each at its place; empty: nothing does.

    file: of the policy; without it a flaw has no file and no line. Raises PolicyError when the file
    cannot be read any more.
    """
    broken = list(breaches(rules, policy))
    plain = [Flaw(policy.name, one.message, path=place_text(one.place)) for one in broken]
    if not broken or file is None:
        return plain
    # Not empty, whatever the file has become since it was loaded.
    return read_policy(file).flaws(broken) or plain


def breaches(rules: Rules, policy: Policy) -> Iterator[PolicyMistake]:
    """Yield each part of `policy` that breaks one of `rules`."""
    if rules.targets is not None and policy.target.kind not in rules.targets:
        allowed = ", ".join(rules.targets) or "nothing"
        text = f"must be {allowed}, not {policy.target.kind} (rule targets)"
        yield PolicyMistake(("target", "kind"), text)
    yield from _steps(rules, policy)
    for index, required in enumerate(rules.criteria):
        yield from _required(required, policy, f"rule criteria[{index}]")
    if rules.notify and not policy.notify:
        yield PolicyMistake(("notify",), "must have at least one channel (rule notify)")


def _steps(rules: Rules, policy: Policy) -> Iterator[PolicyMistake]:
    before, most = 0, rules.max_raise or 100
    for index, step in enumerate(policy.steps):
        if rules.min_bake and step.bake < rules.min_bake:
            least, own = format_duration(rules.min_bake), format_duration(step.bake)
            text = f"must be at least {least}, not {own} (rule min_bake)"
            yield PolicyMistake(("steps", index, "bake"), text)
        if step.weight - before > most:
            text = f"adds {step.weight - before}%, and at most {most} is allowed (rule max_raise)"
            yield PolicyMistake(("steps", index, "weight"), text)
        before = step.weight
    if rules.max_first_weight and policy.steps[0].weight > rules.max_first_weight:
        text = f"must be at most {rules.max_first_weight} (rule max_first_weight)"
        yield PolicyMistake(("steps", 0, "weight"), text)
    total = sum((step.bake for step in policy.steps), timedelta())
    if rules.min_total_bake and total < rules.min_total_bake:
        least, own = format_duration(rules.min_total_bake), format_duration(total)
        text = f"must bake at least {least} together, not {own} (rule min_total_bake)"
        yield PolicyMistake(("steps",), text)


def _required(required: RequiredCriterion, policy: Policy, rule: str) -> Iterator[PolicyMistake]:
    """Yield why no criterion of `policy` is the required one, or which steps it does not gate."""
    of_kind = {name: one for name, one in policy.criteria.items() if one.kind == required.kind}
    problems = {name: required.problem(one) for name, one in of_kind.items()}
    met = [name for name, problem in problems.items() if problem is None]
    if not of_kind:
        yield PolicyMistake(("criteria",), f"must have a criterion {required.text} ({rule})")
    elif not met:
        for name, problem in problems.items():
            if problem is not None:
                yield PolicyMistake(("criteria", name, problem[0]), f"{problem[1]} ({rule})")
    else:
        # At 100% there is no stable path to compare with.
        compares_paths = any(of_kind[name].compares_paths for name in met)
        for index, step in enumerate(policy.steps):
            excused = compares_paths and step.weight == 100
            if not (excused or policy.gate(index).keys() & met):
                text = f"must name {' or '.join(met)}: {required.text} ({rule})"
                yield PolicyMistake(("steps", index, "criteria"), text)


# --- What the rules of a store refuse; a rollback never reads them --------------------------------

_OPTIONS: Final[Collection[Act]] = ("fix", "despite", "adopt")


def rules_of(store: RulesReader) -> Rules | None:
    """Return the rules of `store`; None without any. Raises StoreError when they are damaged."""
    text = store.rules()
    return None if text is None else stored_rules(text)


def start_refusals(
    store: RulesReader, policy: Policy, acts: Collection[Act] = (), file: Path | None = None
) -> list[str]:
    """Return why the rules of `store` refuse to start `policy`, a line each, and whom to ask.

    acts: the overrides that the start would use. file: where the policy was read. Empty: they do
    not refuse it. Raises StoreError when the rules cannot be read.
    """
    rules = rules_of(store)
    if rules is None:
        return []
    lines = flaw_texts(rules, policy, file)
    lines += [
        f"{'--' if act in _OPTIONS else ''}{act} is forbidden (rule forbid)"
        for act in acts
        if act in rules.forbid
    ]
    return [*lines, ask_text(rules)] if lines else []


def flaw_texts(rules: Rules, policy: Policy, file: Path | None) -> list[str]:
    """Return a line for each part of `policy` that breaks `rules`; file: where it was read."""
    return [str(one) if one.line else one.text for one in flaws_of(rules, policy, file)]


def check_command(store: RulesReader, command: Command) -> None:
    """Raise UsageError where the rules of `store` forbid `command`, StoreError where not known."""
    if command.verb is Verb.PROMOTE:
        check_act(store, "promote", "promote")
    if command.verb is Verb.RESUME and command.way == "keep":
        check_act(store, "keep", "resume --keep")


def check_act(store: RulesReader, act: Act, name: str) -> None:
    """Raise UsageError where the rules of `store` forbid `act`, which people call `name`."""
    rules = rules_of(store)
    if rules is not None and act in rules.forbid:
        raise UsageError(
            f"{name} was refused, and nothing was changed: it is forbidden (rule forbid); "
            f"{ask_text(rules)}"
        )


def ask_text(rules: Rules) -> str:
    """Return whom to ask about the rules, and how to see them."""
    return f"about the rules of this store, ask {rules.owner}; to see them: rolloutctl store rules"
