"""Rollback by the names of a target alone, without a policy and without a store."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from controller.adapters.dry_run import DryRunLog, dry_run_target
from controller.adapters.stores.sqlite.rollback_targets_file import KnownTarget as KnownTarget
from controller.adapters.stores.sqlite.rollback_targets_file import read_targets
from controller.bootstrap.account import real_account
from controller.core.observation import TargetReading
from controller.core.policy import Policy
from controller.core.policy.kind_registry import KindError
from controller.core.policy.targets import TARGETS, TargetSpec
from controller.engine.direct_write import lower_and_confirm
from controller.engine.isolation import problem_of
from controller.errors import TargetError, UsageError, WriteRefusedError
from controller.immutable import Immutable, field
from controller.policy_file.named_target import named_target
from controller.ports.target import InspectableTarget
from controller.process.settings import SqliteLocation, StoreLocation

# The limit of the first write, before the store is opened; the rollback of the record retries.
FIRST_WITHIN: Final = timedelta(seconds=8)


class RollbackResult(Immutable):
    """The result of a rollback without a store.

    confirmed: whether 0% was read back. variables: those of the target. dry_run_lines: what a
    dry run would write. warnings: why the variable names may be wrong. commands: rollbacks for
    related variables that are still on.
    """

    confirmed: bool
    variables: str
    dry_run_lines: list[str]
    warnings: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


class TargetOption(Immutable):
    """An option of a rollback without a policy. help: what each kind of target calls by it."""

    name: str
    help: str


def rollback_options(*, installed: bool) -> list[TargetOption]:
    """Return the names that the kinds of target are named by, each once.

    installed: also those of kinds of other packages; one that cannot be loaded has none.
    """
    meanings: dict[str, dict[str, list[str]]] = {}
    for kind, model in _models(installed=installed):
        for name in model.rollback_options:
            meaning = re.split(r"\. |: |\.$", model.model_fields[name].description or "")[0]
            meanings.setdefault(name, {}).setdefault(meaning, []).append(kind)
    return [
        TargetOption(
            name, " ".join(f"{', '.join(kinds)}: {text}." for text, kinds in found.items())
        )
        for name, found in meanings.items()
    ]


def bare_target(names: Mapping[str, str]) -> TargetSpec:
    """Return the target that `names` name, by field. Raises UsageError when they name none."""
    for _, model in _models(installed=True):
        if {*_required(model)} <= names.keys() <= {*model.rollback_options}:
            try:
                return named_target(model, names)
            except UsageError as error:
                raise UsageError(f"this names no target: {error}") from error
    forms = " or ".join(_options_text(model) for _, model in _models(installed=True))
    raise UsageError(f"a bare rollback needs {forms}")


def _models(*, installed: bool) -> Iterator[tuple[str, type[TargetSpec]]]:
    """Yield each kind that has bare names, with its model; those of other packages last."""
    for kind in TARGETS.names() if installed else TARGETS.built_in:
        with suppress(KindError):  # a package that is broken must not stop a rollback
            model = TARGETS.model(kind)
            if model.rollback_options:
                yield kind, model


def _required(model: type[TargetSpec]) -> list[str]:
    return [name for name in model.rollback_options if model.model_fields[name].is_required()]


def _options_text(model: type[TargetSpec]) -> str:
    """Return the options of a kind, like `--function and --percentage (and --boolean)`."""
    required = _required(model)
    others = [f"--{name}" for name in model.rollback_options if name not in required]
    needed = " and ".join(f"--{name}" for name in required)
    return f"{needed} (and {', '.join(others)})" if others else needed


class FirstWrite(Immutable):
    """The result of the first write of a rollback, which is made before a store is opened.

    before: the weight before it; None: unknown. variables: those before it. problem: why 0%
    was not written; empty when it was. taken_out: a warning about what was taken out; empty: the
    names of the target say it.
    """

    before: int | None = None
    variables: str = ""
    problem: str = ""
    taken_out: str = ""

    @property
    def written(self) -> bool:
        """Whether 0% was written, which it is over 0%, too."""
        return bool(self.variables and not self.problem)


def write_zero_first(known: KnownTarget) -> FirstWrite:
    """Write 0% to a target by its names alone, and return the result; never raises.

    It is written even over 0%: the new RevisionId then refuses a raise in progress. When the
    names do not fit the function, nothing is written: the record of the rollout has the right ones.
    """
    try:
        real = real_account().open(known.target)
        before = real.read()
        _check_identity(before, known)
        if foreign := [warning.text for warning in real.name_warnings() if warning.foreign]:
            return FirstWrite(problem="; ".join(foreign))
        real.lower_to_zero(
            FIRST_WITHIN,
            outdated_token=before.token,
            check=lambda reading: _check_identity(reading, known),
        )
    except Exception as error:  # noqa: BLE001 - the next write retries, and for longer
        return FirstWrite(problem=str(problem_of(error, known.target.name, "lowering")))
    return FirstWrite(before.weight, before.variables, taken_out=_taken_out(known.target, before))


def would_take_out(known: KnownTarget) -> str:
    """Return the `taken_out` that `write_zero_first` would have; empty if that is unknown, too.

    Only a target that leaves something to the account is read.
    """
    if not known.target.unresolved:
        return ""
    with suppress(TargetError):  # what follows reads it again, and reports it
        real = real_account().open(known.target)
        real.check_lowering()
        return _taken_out(known.target, real.read())
    return ""


def _taken_out(target: TargetSpec, before: TargetReading) -> str:
    """Return what is taken out of `target` where that is only known from its reading `before`."""
    taken_out = "" if before.weight == 0 else target.taken_out(before.code)
    if not taken_out:
        return ""
    return (
        f"{taken_out} is taken out of {target.name} ({before.variables}), because nothing here "
        "names another one: a rollback by the name of the rollout takes out its own"
    )


def _check_identity(reading: TargetReading, known: KnownTarget) -> None:
    """Raise WriteRefusedError when the function is not in the account and region of the rollout."""
    if known.identity and reading.identity != known.identity:
        raise WriteRefusedError(
            f"these credentials reach {reading.identity}, but the rollout is on {known.identity}; "
            "nothing is written: use credentials for that account and region, and run it again"
        )


def lower_without_store(
    known: KnownTarget, *, typed: bool, dry_run: bool, force: bool = False
) -> RollbackResult:
    """Set the target of `known` to 0% without any store, and read it back.

    typed: an operator typed the names, and may have mistyped or forgotten one. Then names that are
        not on the function or hold something else are a UsageError, unless `force`, and a related
        variable that is still on makes the result unconfirmed.
    Raises WriteRefusedError when the function is in another account or region than the rollout, or
    the names of a policy cannot be those of a weight, and TargetError when it cannot be lowered or
    read.
    """
    target = known.target
    account = real_account()
    real = account.open(target)
    journal = DryRunLog()
    writable = dry_run_target(real, target, journal) if dry_run else real
    named: tuple[list[str], list[str]] | None = None
    taken_out = list[str]()

    def check(current: TargetReading) -> None:
        _check_identity(current, known)
        taken_out.append(_taken_out(target, current))

    try:
        check(real.read())
        named = _name_warnings(real, typed=typed, force=force)
    except WriteRefusedError:
        raise
    except TargetError:  # lowering retries for longer, and raises the error if it persists
        pass
    reading = lower_and_confirm(writable, account.clock, check)
    warnings, commands = named or _name_warnings(real, typed=typed, force=force)
    confirmed = reading.has_applied(0) and not (typed and commands)
    texts = [*dict.fromkeys(filter(None, taken_out)), *warnings]
    return RollbackResult(confirmed, reading.variables, journal.lines, texts, commands)


def _name_warnings(
    target: InspectableTarget, *, typed: bool, force: bool
) -> tuple[list[str], list[str]]:
    """Return why the names of the settings of `target` may be wrong, and commands against that.

    Raises UsageError for names that look mistyped, WriteRefusedError for those of a policy that
    cannot hold a weight, and TargetError when it cannot be read.
    """
    texts, commands, mistyped, foreign = list[str](), list[str](), False, False
    for warning in target.name_warnings():
        text = warning.text
        if warning.command:
            commands.append(warning.command)
            text += f"; if it does: {warning.command}"
        texts.append(text)
        mistyped = mistyped or (typed and warning.mistaken)
        foreign = foreign or (not typed and warning.foreign)
    if mistyped and not force:
        raise UsageError(f"nothing was lowered: {'; '.join(texts)}")
    if foreign:
        raise WriteRefusedError(f"nothing was lowered: {'; '.join(texts)}; check the policy")
    return texts, commands


def policy_target(place: StoreLocation | None, policy: Policy) -> KnownTarget:
    """Return the target of `policy`, with what it leaves open taken from the targets file.

    There it is that of the newest rollout of the policy. place: of the store; None: unknown.
    """
    target = policy.target
    known = recorded_target(place, policy.name) if place and target.unresolved else None
    if known is not None:
        with suppress(ValueError):  # the policy names other versions by now
            resolved = target.resolved_as(known.target)
            return KnownTarget(resolved, known.identity if resolved != target else "")
    return KnownTarget(target, "")


def recorded_target(place: StoreLocation, given: str) -> KnownTarget | None:
    """Return the target of a rollout from the targets file of the store at `place`, if any.

    given: an id, or a name, which means its newest attempt. A table has no targets file.
    """
    if not isinstance(place, SqliteLocation):
        return None
    known = read_targets(place.path)
    if given in known:
        return known[given]
    attempts = {
        int(attempt): rollout_id
        for rollout_id in known
        for name, _, attempt in [rollout_id.rpartition("#")]
        if name == given and attempt.isascii() and attempt.isdecimal()
    }
    return known[attempts[max(attempts)]] if attempts else None
