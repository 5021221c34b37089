"""The setup of a rehearsal: the real runner, adapters and store in a simulated world.

Its fakes of the ports of channels and hooks let no message leave the process.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from controller.adapters.stores.sqlite import SqliteStore
from controller.bootstrap.account import AwsAccount, observer_of, real_account, store_at
from controller.core.message import Message
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import Channel, Hook, Policy
from controller.core.rollout import Rollout
from controller.engine.tick import Runner
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.ports.notify import HookCall
from controller.ports.store import Store
from controller.process.settings import StoreLocation

if TYPE_CHECKING:
    from controller.tools.simulation.world import World


@dataclass(slots=True)
class FakeInbox:
    """A `ChannelNotifier` that stores each message with its channel, and sends nothing."""

    sent: list[tuple[str, Message]] = field(default_factory=list)

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        self.sent.append((channel.display_name, message))


@dataclass(slots=True)
class ScriptedHooks:
    """A `HookCaller` that stores every call, and consents unless the scenario refuses.

    refusal: how hooks refuse now; None: they do not.
    """

    refusal: Callable[[], str | None]
    calls: list[HookCall] = field(default_factory=list)

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        self.calls.append(call)
        refusal = self.refusal()
        if refusal is None:
            return HookAnswer(Consent.GIVEN)
        detail = "the scenario says no" if refusal == "refused" else "no answer in the scenario"
        return HookAnswer(Consent(refusal), detail)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        self.calls.append(call)


class RehearsalSetup(Immutable):
    """The real runner and adapters on a simulated world.

    inbox: has every message that would be sent. hooks: has every call of a hook.
    """

    runner: Runner
    world: "World"
    policy: Policy
    inbox: FakeInbox
    hooks: ScriptedHooks


@contextmanager
def rehearsal(
    policy: Policy,
    scenario: str,
    seed: int,
    *,
    store: StoreLocation | None = None,
    adopt: bool = False,
    per_minute: float | None = None,
) -> Iterator[RehearsalSetup]:
    """Yield the setup for `policy`: fake AWS clients, a virtual clock, a real store.

    store: where the rollouts are stored; None: in memory. A table is in the account of the AWS
        variables, while Lambda and CloudWatch stay simulated.
    adopt: whether the world begins with the weight of the last step.
    per_minute: requests a minute on both paths; None: as many as the scenario has.

    Raises PolicyError when the scenario is wrong or does not fit the policy, and UsageError for a
    store that is not empty.
    """
    from controller.tools.simulation.scenario.metric_roles import as_cloudwatch
    from controller.tools.simulation.scenario.scenario import load_scenario
    from controller.tools.simulation.world import World

    policy = as_cloudwatch(policy.resolved(policy.target.rehearsed()))
    played = load_scenario(scenario)
    if per_minute is not None:
        played = played.at_rate(per_minute)
    world = World.for_policy(policy, played, seed=seed, adopt=adopt)
    account = simulated_account(world, seed)
    with SqliteStore(None) if store is None else _empty_store(store) as opened_store:
        observer = observer_of(account, opened_store, account.metrics())
        inbox, hooks = FakeInbox(), ScriptedHooks(world.hook_refusal)
        runner = Runner(observer, "rehearsal", inbox, hooks)
        yield RehearsalSetup(runner, world, policy, inbox, hooks)


@contextmanager
def _empty_store(place: StoreLocation) -> Iterator[Store]:
    """Yield the store at `place`, which must be empty; a missing file is created.

    So a rehearsal never writes among rollouts of a real account, and is not affected by an earlier
    rehearsal, which had the same revision and owned the same target.
    """
    with store_at(place, real_account(), must_exist=False, writes=True) as store:
        if ids := store.all():
            raise UsageError(
                f"a rehearsal needs an empty store, and {place.url} has {ids[-1]} "
                f"({store.load(ids[-1]).target}): name a file that is not there yet, or a table "
                "of its own, fresh from `rolloutctl store init`"
            )
        yield store


def simulated_account(world: "World", seed: int) -> AwsAccount:
    """Return the account of `world`; the same seed gives the same pauses."""
    rng = Random(seed)  # noqa: S311 - pauses need no secret randomness
    return AwsAccount(_SimulatedClients(world), world.clock, environment={}, random=rng.uniform)


class _SimulatedClients(Immutable):
    world: "World"

    def get(self, service: str, *, lowers: bool = False) -> Any:
        return self.world.client(service)

    def single_try(self, service: str, read_s: float) -> Any:
        return self.world.client(service)

    def credentials(self) -> Any:
        raise UsageError("a simulated account has no credentials")
