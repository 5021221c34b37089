"""Start a rollout, once for each revision, after all preflight checks; retry a rolled back one.

What refuses it is in `preflight`, with its frozen values in `baselines`. The checks of the account
are in `operations/live_checks`.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from controller.core.decide import decide
from controller.core.events import StartCause, Started
from controller.core.history import SnapshotChangedError, check_digests
from controller.core.observation import HookAnswer, Observation, TargetReading
from controller.core.policy import Policy
from controller.core.policy.hooks import BEFORE_START
from controller.core.rollout import Phase, Rollout
from controller.core.stored_formats import may_have, newer_policy_fields
from controller.core.transitions.blocks import objections
from controller.core.units import clock_text
from controller.core.words.notices import changed_text
from controller.engine.hooks import ConsentHooks, start_calls
from controller.engine.tick import Runner
from controller.errors import RolledBackError, TargetError, UsageError
from controller.immutable import Immutable, replace
from controller.operations.start.baselines import clear_of_canary_at, windows_before_canary
from controller.operations.start.preflight import Preflight, live_step, preflight
from controller.policy_file.rules import Act, start_refusals
from controller.ports.target import InspectableTarget, resolve_policy

_RETRY_WITH_FILE = "with a changed policy file: rolloutctl retry FILE --reason TEXT"
_HOW_TO_CHANGE_POLICY = "Roll it back, and then: rolloutctl retry POLICY --reason TEXT"


class StartRequest(Immutable):
    """What to start: a policy, and a revision (default: the code's digest).

    retry_reason: why a revision that was rolled back is started again; only `retry` gives one.
    adopt: begin at the step whose weight is live already, without a write.
    fallback: the revision of a target that names none, as a rehearsal has it; empty: that is an
        error.
    attach: take the rollout of the policy that is active, whatever its revision, unless the request
        names one.
    file: where the policy was read, for the lines of what breaks the rules of the store.
    despite: names of checks that may fail. fix: start as a fix: what fails before the start does
        not refuse it. reason: why, for both.
    """

    policy: Policy
    revision: str | None = None
    retry_reason: str | None = None
    adopt: bool = False
    fallback: str = ""
    attach: bool = False
    despite: tuple[str, ...] = ()
    fix: bool = False
    reason: str = ""
    file: Path | None = None

    @property
    def acts(self) -> list[Act]:
        """The overrides that the start would use, as the rules of a store call them."""
        given: dict[Act, bool] = {
            "fix": self.fix,
            "despite": bool(self.despite),
            "adopt": self.adopt,
            "retry": self.retry_reason is not None,
        }
        return [act for act, is_given in given.items() if is_given]


class StartResult(Immutable):
    """The rollout of the revision; `created` is False when it existed already."""

    rollout: Rollout
    created: bool
    warnings: tuple[str, ...] = ()


# --- Start ----------------------------------------------------------------------------------------


def start(runner: Runner, request: StartRequest) -> StartResult:
    """Create the rollout of `request` and decide its first weight; return at once.

    Idempotent: the same revision of the same policy is returned as it stands, whatever the rules of
    the store say by now. Raises UsageError with every refusal, StoreError also where the rules
    cannot be read, RolledBackError when this revision was rolled back before, or taken back to
    0% after its success, and TargetTakenError when another rollout owns the target.
    """
    _check_reason(request)
    request = replace(request, policy=resolve_for_start(runner, request.policy))
    target = runner.observer.targets(request.policy.target)
    reading = _read(target, request.policy)
    revision = request.revision or reading.code or request.fallback
    ids = runner.store.of_name(request.policy.name)
    newest = load_attempt(runner, ids[-1]) if ids else None
    if request.attach and request.revision is None and newest is not None:
        revision = revision if newest.final else newest.revision
    if not revision:
        raise UsageError("the target names no revision; give one with --revision")
    now = runner.clock.now()
    existing = _existing_rollout(runner, ids, request, revision, reading, now)
    if existing is not None:
        return StartResult(existing, created=False)
    retry_hint = [] if request.retry_reason is None else [_RETRY_WITH_FILE]
    if forbidden := start_refusals(runner.store, request.policy, request.acts, request.file):
        raise _refusal(request.policy, forbidden, *retry_hint)
    stored_format = runner.store.format()
    _check_format(request.policy, stored_format)
    result = preflight(
        runner, request.policy, target, reading, now, adopt=request.adopt, fix=request.fix
    )
    result = result.passing(request.despite, request.reason)
    if result.refusals:
        raise _refusal(request.policy, result.refusals, *filter(None, [result.hint]), *retry_hint)
    step = live_step(request.policy, reading) if request.adopt else None
    answers = _hook_answers(runner, request.policy, revision, reading, step or 0)
    attempt = len(ids) + 1  # a concurrent start takes this number first, and this one is refused
    cause = StartCause(
        request.retry_reason,
        step,
        result.despite,
        request.reason if result.despite else "",
        result.red or {},
        request.reason if result.red else "",
    )
    started = Started(request.policy, revision, reading, attempt, result.baselines, cause)
    decision = decide(None, started, now)
    named = revision != reading.code and may_have(stored_format, "code")
    code = reading.code if named else ""
    rollout = replace(decision.rollout, format=stored_format, code=code)
    decision = replace(decision, rollout=rollout)
    visit = runner.create_rollout(decision, Observation(reading, hooks=answers))
    released = "" if newest is None else _released_since(newest, request.policy, reading)
    warnings = (*result.warnings, *filter(None, [released]))
    if visit.problem:
        warnings = (
            *warnings,
            f"the rollout was created, but then could not be saved: {visit.problem}",
        )
    return StartResult(visit.rollout, created=True, warnings=warnings)


def _refusal(policy: Policy, why: Iterable[str], *hints: str) -> UsageError:
    lines = (f"  {line}" for line in why)
    return UsageError(f"{policy.name} was not started; nothing was changed:", *lines, *hints)


def _released_since(newest: Rollout, policy: Policy, reading: TargetReading) -> str:
    """Return what was released without a rollout since `newest` ended; empty where nothing was."""
    if newest.target != reading.identity:
        return ""
    before, now = newest.policy.target.serving(newest.weight), policy.target.serving(0)
    if before == now:
        return changed_text(newest, reading)
    return (
        f"the stable path is {now}, and {newest.id} ended ({clock_text(newest.since)}) with "
        f"{before}: no rollout has released {now} since"
    )


def _check_reason(request: StartRequest) -> None:
    if request.reason and not (request.despite or request.fix):
        raise UsageError("--reason needs --despite CHECK or --fix: it is why that is done")
    if request.fix and not request.reason:
        raise UsageError("--fix needs --reason TEXT, which is recorded in the history")


def _check_format(policy: Policy, stored_format: int) -> None:
    """Raise UsageError where `policy` has what rollouts of `stored_format` cannot store."""
    newer = newer_policy_fields(json.loads(policy.snapshot()), stored_format)
    if newer:
        raise _refusal(
            policy,
            [f"{path}: needs format {since} of the store" for path, since in newer.items()],
            f"the store has format {stored_format}: once no older version of rolloutctl uses it, "
            "rolloutctl store upgrade",
        )


def check_start(
    runner: Runner, policy: Policy, *, adopt: bool = False, fix: bool = False
) -> Preflight:
    """Return the preflight of a resolved `policy` without starting it.

    Raises UsageError for an unreadable target.
    """
    target = runner.observer.targets(policy.target)
    reading = _read(target, policy)
    now = runner.clock.now()
    return preflight(runner, policy, target, reading, now, adopt=adopt, fix=fix)


def resolve_for_start(runner: Runner, policy: Policy) -> Policy:
    """Return `policy` as `start` would store it now. Raises UsageError."""
    ids = runner.store.of_name(policy.name) if policy.target.unresolved else ()
    newest = load_attempt(runner, ids[-1]) if ids else None
    try:
        return resolve_policy(policy, runner.observer.targets, newest)
    except (TargetError, UsageError) as error:
        raise UsageError(f"{policy.name} was not started; nothing was changed: {error}") from error


def _read(target: InspectableTarget, policy: Policy) -> TargetReading:
    try:
        return target.read()
    except TargetError as error:
        raise UsageError(f"{policy.name} was not started; nothing was changed: {error}") from error


def _hook_answers(
    runner: Runner, policy: Policy, revision: str, reading: TargetReading, step: int
) -> dict[str, HookAnswer]:
    """Return the answers of the hooks before a start. Raises UsageError when one objects."""
    hooks = policy.hooks_at(BEFORE_START)
    now = runner.clock.now()
    calls = start_calls(policy, revision, reading, policy.steps[step].weight, now)
    consent = ConsentHooks(runner.clock, runner.hooks, runner.recipients)
    not_yet_started = f"{policy.name}#"
    answers = consent.answers(not_yet_started, policy, hooks, calls, consent.deadline())
    if objection := objections(hooks, answers):
        raise _refusal(policy, [f"{BEFORE_START}: {objection}"])
    return answers


# --- Retry ----------------------------------------------------------------------------------------


def retry(
    runner: Runner,
    rollout_id: str,
    reason: str,
    policy: Policy | None = None,
    *,
    adopt: bool = False,
    despite: tuple[str, ...] = (),
    fix: bool = False,
    file: Path | None = None,
) -> StartResult:
    """Start the revision of a rollout that was rolled back to 0% once more.

    policy: replaces the policy that is stored with the rollout; file: where it was read. adopt,
    despite, fix: as in `StartRequest`; the reason is that of the retry.
    Raises UsageError when it was not rolled back, when the target has other code now, or when
    `reason` is empty; and what `start` raises.
    """
    if policy is None:
        known = runner.store.load(rollout_id)
        check_digests(known, runner.store.history(rollout_id))
        policy = known.policy
    else:
        known = load_attempt(runner, rollout_id)
        policy = policy.resolved_as(known.policy)
    unchanged = f"retry was refused, and {known.id} is unchanged"
    if not reason:
        raise UsageError(f"{unchanged}: --reason is empty; it is recorded in the history")
    reading = _read(runner.observer.targets(policy.target), policy)
    if known.phase is not Phase.ROLLED_BACK and not _is_undone_success(known, reading):
        raise UsageError(
            f"{unchanged}: the rollout is {known.phase}; only one that was rolled back, or set to "
            "0% after its success, can be retried"
        )
    versions = policy.target.values
    if versions != known.policy.target.values:
        named = ", ".join(f"{name}={value}" for name, value in versions.items())
        raise UsageError(
            f"{unchanged}: its revision was {known.revision}, and the policy names {named}; that "
            "is a new revision: rolloutctl start POLICY"
        )
    code = reading.code
    # A named revision is no digest, and cannot be compared with the code.
    if not versions and len(known.revision) == len(code) and known.revision != code:
        raise UsageError(
            f"{unchanged}: its revision was the code {known.revision}, and the "
            f"{policy.target.resource_word} has {code} "
            "now; that is a new revision: rolloutctl start POLICY"
        )
    return start(
        runner,
        StartRequest(
            policy,
            known.revision,
            retry_reason=reason,
            adopt=adopt,
            despite=despite,
            fix=fix,
            reason=reason if despite or fix else "",
            file=file,
        ),
    )


# --- Earlier attempts -----------------------------------------------------------------------------


def _existing_rollout(
    runner: Runner,
    ids: Sequence[str],
    request: StartRequest,
    revision: str,
    reading: TargetReading,
    now: datetime,
) -> Rollout | None:
    """Return the rollout among `ids` that the request would duplicate; None: there is none.

    Raises UsageError and RolledBackError as `start` says.
    """
    for rollout_id in reversed(ids):
        known = load_attempt(runner, rollout_id)
        if not known.final:
            return _check_same_policy(known, request, revision)
        if known.revision != revision:
            continue
        if request.retry_reason is None:
            _check_not_rolled_back(known, request, reading, now)
        if known.phase is Phase.SUCCEEDED and reading.weight == known.weight:
            return _check_same_policy(known, request, revision)
        return None
    return None


def has_succeeded(rollout: Rollout, policy: Policy, reading: TargetReading) -> bool:
    """Tell whether a start of `policy` would only say that `rollout` has succeeded with it."""
    same = rollout.revision == reading.code and rollout.digest == policy.digest()
    return same and rollout.phase is Phase.SUCCEEDED and reading.weight == rollout.weight


def load_attempt(runner: Runner, rollout_id: str) -> Rollout:
    """Return a rollout; a changed policy snapshot is tolerated when the rollout is finished.

    Raises StoreError.
    """
    try:
        return runner.store.load(rollout_id)
    except SnapshotChangedError as error:
        if not error.rollout.final:
            raise
        return error.rollout


def _check_not_rolled_back(
    rollout: Rollout, request: StartRequest, reading: TargetReading, now: datetime
) -> None:
    if rollout.phase is Phase.ROLLED_BACK:
        event = f"was rolled back by {rollout.id}: {rollout.sentence}"
    elif _is_undone_success(rollout, reading):
        event = (
            f"succeeded with {rollout.id}, and its weight was set to 0% after that "
            f"({reading.variables})"
        )
    else:
        return
    retry_command = (
        f"rolloutctl retry {rollout.id}{' --adopt' if request.adopt else ''} --reason TEXT"
    )
    if rollout.digest != request.policy.digest():
        retry_command += (
            f" (a policy file in place of {rollout.id} gives the new attempt the file's policy)"
        )
    when, otherwise = _baseline_texts(rollout, request.policy, now)
    raise RolledBackError(
        f"revision {rollout.revision} {event.rstrip('.')}. The revision is blocked; to try it "
        f"again{when}: {retry_command}. Another revision needs no retry{otherwise}"
    )


def _baseline_texts(rollout: Rollout, policy: Policy, now: datetime) -> tuple[str, str]:
    """Return what the canary traffic of `rollout` in a baseline means for the next start.

    First from when on a start is not refused for it, then how to start before; both may be empty.
    """
    begin, end = rollout.created, rollout.exposed_to
    clear = None if end is None else clear_of_canary_at(policy, begin, end, now)
    if end is None or clear is None:
        return "", ""
    windows = "; ".join(windows_before_canary(policy, begin, end, now))
    return (
        f" from {clock_text(clear)} on, when its baseline has no canary traffic",
        f", and starts from then on, too; to start before that, name an earlier window in the "
        f"policy: {windows}",
    )


def _is_undone_success(rollout: Rollout, reading: TargetReading) -> bool:
    """Tell whether an operator set the weight of a succeeded rollout back to 0%."""
    return rollout.phase is Phase.SUCCEEDED and reading.weight == 0


def _check_same_policy(rollout: Rollout, request: StartRequest, revision: str) -> Rollout:
    if rollout.revision != revision:
        raise UsageError(
            f"{rollout.id} is {rollout.phase} with revision {rollout.revision}; roll it back or "
            f"let it finish before {revision} is started"
        )
    if rollout.digest != request.policy.digest() and rollout.final:
        raise UsageError(
            f"{rollout.id} brought revision {revision} to {rollout.weight}% with another version "
            f"of the policy, so there is nothing to start. {_HOW_TO_CHANGE_POLICY}"
        )
    if rollout.digest != request.policy.digest():
        raise UsageError(
            f"{rollout.id} runs revision {revision} with another version of the policy; a running "
            f"rollout keeps the policy it started with. {_HOW_TO_CHANGE_POLICY}"
        )
    return rollout
