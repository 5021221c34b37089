"""Callers of hooks: one adapter for functions and one for hosts, each imported on use."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_never

from controller.core.observation import HookAnswer
from controller.core.policy import Hook, HttpsHook, LambdaHook, SecretReference
from controller.ports.clock import Clock
from controller.ports.egress import Egress
from controller.ports.notify import HookCall

if TYPE_CHECKING:
    from controller.adapters.hooks.https import HttpsHooks
    from controller.adapters.hooks.lambda_function import LambdaHooks


class HookCallers:
    """`HookCaller` for both kinds of hooks.

    client: returns a client of an AWS service that waits so many seconds for an answer.
    read_secret: returns the signing key of a hook. egress: rules for calls of hosts.
    """

    def __init__(
        self,
        client: Callable[[str, float], Any],
        read_secret: Callable[[SecretReference], str],
        clock: Clock,
        egress: Egress,
    ) -> None:
        self._client, self._read_secret = client, read_secret
        self._clock, self._egress = clock, egress

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Return the answer of `hook` to `call`. Never raises."""
        match hook:
            case LambdaHook():
                return self._functions().ask(hook, call, within=within)
            case HttpsHook():
                return self._hosts().ask(hook, call, within=within, private=private)
            case unreachable:
                assert_never(unreachable)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Notify `hook` of what happened. Raises DeliveryError."""
        match hook:
            case LambdaHook():
                self._functions().tell(hook, call, within=within)
            case HttpsHook():
                self._hosts().tell(hook, call, within=within, private=private)
            case unreachable:
                assert_never(unreachable)

    def _functions(self) -> "LambdaHooks":
        from controller.adapters.hooks.lambda_function import LambdaHooks

        return LambdaHooks(lambda seconds: self._client("lambda", seconds))

    def _hosts(self) -> "HttpsHooks":
        from controller.adapters.hooks.https import HttpsHooks

        return HttpsHooks(self._read_secret, self._clock, self._egress)
