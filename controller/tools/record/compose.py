"""Records an account: the clients, and what no recording may write to."""

from typing import Final

from controller.adapters.recorder.calls import (
    record_alias_writes,
    record_function_writes,
    record_reads,
    record_rule_writes,
)
from controller.adapters.recorder.recorder import RecordedCall, Recorder
from controller.bootstrap.account import AwsAccount, real_account, store_at
from controller.errors import NoStoreError, UsageError
from controller.process import signals
from controller.process.settings import Settings

__all__ = ["RecordedCall", "record_account"]

_RULE: Final = "listener-rule/"


def record_account(
    settings: Settings, written: tuple[str, str, str] | None
) -> tuple[list[RecordedCall], list[str]]:
    """Return the calls of a recording, and what its writes left.

    written: name of a function and of its alias, and ARN of a rule; None: nothing is written.
    Raises UsageError where a rollout owns one of them, StoreError when that cannot be read.
    """
    account = real_account()
    if written is not None:
        _refuse_owned(settings, account, *written)
    recorder, left = Recorder(account.client, account.clock), list[str]()
    with signals.defer_signals():  # what was written is written back
        record_reads(recorder)
        if written is not None:
            function, alias, rule = written
            left += record_function_writes(recorder, function)
            left += record_alias_writes(recorder, function, alias)
            left += record_rule_writes(recorder, rule)
    return recorder.calls, left


def _refuse_owned(
    settings: Settings, account: AwsAccount, function: str, alias: str, rule: str
) -> None:
    if _RULE not in rule:
        raise UsageError(f"--write: the third value is the ARN of a rule, not {rule!r}")
    function = function.rpartition(":function:")[2]  # a name, or the end of an ARN
    owned = {f"function:{function}", f"function:{function}:{alias}", rule}
    try:
        with store_at(settings.store, account, must_exist=True, writes=False) as store:
            # Each that has not ended, or is still watched.
            for rollout_id in store.active(account.clock.now()):
                target = store.load(rollout_id).target
                if target == rule or any(target.endswith(f":{one}") for one in owned):
                    raise UsageError(
                        f"--write: {rollout_id} owns {target}; name resources that no rollout owns"
                    )
    except NoStoreError:
        return
