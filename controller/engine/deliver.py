"""Telling: once rollouts of a run are visited, others hear of it, and the log does too."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from controller.core.history import Author, Entry, append
from controller.core.hook_call import after_call
from controller.core.message import Message
from controller.core.observation import Observation, Reading
from controller.core.outbox import addressee, crossed_off, hooked, order, turn
from controller.core.policy import Hook, HttpsHook, LambdaHook
from controller.core.rollout import Rollout
from controller.engine.execute import Visit
from controller.engine.isolation import problem_of
from controller.engine.lease import Missed
from controller.errors import DeliveryError, StoreError
from controller.ports.clock import Clock
from controller.ports.notify import Courier, HookCaller
from controller.ports.store import StateStore
from controller.process import logging, signals

log = logging.logger()

# All messages of a tick together; what does not fit in is left to the next tick.
WITHIN: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Posted:
    """A rollout whose outbox was seen to: what arrived, and how many places failed."""

    rollout: Rollout
    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Posting:
    """Brings messages by `courier` and calls `hooks`, and crosses that off in `store`.

    author: says who is written into the history.
    """

    store: StateStore
    clock: Clock
    courier: Courier | None
    hooks: HookCaller | None
    author: Callable[[], Author]

    def post(self, rollout: Rollout, deadline: datetime, *, saved: bool = True) -> Posted:
        """Send what waits in the outbox of `rollout`, to each place what it has not got yet.

        A place that fails is left alone for the rest of the tick, and keeps no other from its
        messages. saved: `rollout` is what is stored; else nothing is crossed off.
        """
        if not rollout.outbox or (self.courier is None and self.hooks is None):
            return Posted(rollout)
        round_ = _Round(rollout)
        for message in rollout.outbox:
            for address in order(message):
                left = deadline - self.clock.now()
                if not signals.asked() and left > timedelta():
                    self._try(round_, message, address, left)
        after = replace(rollout, outbox=tuple(self._left(round_)))
        if saved and after.outbox != rollout.outbox:
            after = self._crossed_off(round_, after)
        return Posted(after, round_.sent, len(round_.silent))

    def _try(self, round_: "_Round", message: Message, address: str, left: timedelta) -> None:
        if address in round_.silent:
            return
        if self._delivered(round_.rollout, message, address, left):
            round_.got[message.key].add(address)
        else:
            round_.silent.add(address)

    def _delivered(self, rollout: Rollout, message: Message, address: str, left: timedelta) -> bool:
        channel = addressee(rollout.policy, address)
        if channel is None:
            return True
        try:
            if isinstance(channel, LambdaHook | HttpsHook):
                self._call(channel, rollout, message, address, left)
            elif self.courier is None:
                return False
            else:
                self.courier.deliver(channel, rollout, message)
        except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
            log.error(
                "message_failed",
                rollout=rollout.id,
                message=message.key,
                channel=channel.shown,
                problem=str(error),
            )
            return False
        log.info("message_sent", rollout=rollout.id, message=message.key, channel=channel.shown)
        return True

    def _call(
        self, hook: Hook, rollout: Rollout, message: Message, address: str, left: timedelta
    ) -> None:
        if self.hooks is None:
            raise DeliveryError("no hook can be called from here")
        private = () if rollout.policy.hooks is None else rollout.policy.hooks.private_hosts or ()
        call = after_call(rollout, message, address)
        self.hooks.tell(hook, call, within=min(hook.timeout, left), private=private)

    def _left(self, round_: "_Round") -> Iterator[Message]:
        """Yield each message with whom it still has to reach, but for those that are given up."""
        for message in round_.rollout.outbox:
            got = frozenset(round_.got[message.key])
            if not got and not round_.silent & {*message.to}:
                yield message  # it was not its turn
            elif rest := crossed_off(message, got, self.clock.now()):
                yield rest
            elif missed := [one for one in message.to if one not in got]:
                round_.missed += [(message, one) for one in missed]
                log.error(
                    "message_given_up",
                    rollout=round_.rollout.id,
                    message=message.key,
                    missed=missed,
                )

    def _crossed_off(self, round_: "_Round", after: Rollout) -> Rollout:
        """Save what is left to send. What cannot be crossed off is sent again, under its key."""
        entries = list[Entry]()
        if sentence := round_.told_of_hooks():
            after = replace(after, updated=max(self.clock.now(), after.updated))
            record = hooked(after, sentence, after.updated)
            who, run = self.author(), logging.run()
            after, entry = append(after, record, by=who.by, caller=who.caller, seen={}, run=run)
            entries.append(entry)
        try:
            return self.store.save(after, entries)
        except StoreError as error:
            log.warning("outbox_kept", rollout=after.id, problem=str(error))
            return round_.rollout


@dataclass(slots=True)
class _Round:
    """One round through an outbox: who got what, by the key of the message, and who failed.

    missed: who is not tried any more.
    """

    rollout: Rollout
    missed: list[tuple[Message, str]] = field(default_factory=list)
    got: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    silent: set[str] = field(default_factory=set)

    @property
    def sent(self) -> int:
        """How many messages arrived somewhere, each place counted."""
        return sum(map(len, self.got.values()))

    def told_of_hooks(self) -> str:
        """Return what became of hooks, for the history; empty when there is nothing to say."""
        called = [
            (address, "was called")
            for message in self.rollout.outbox
            for address in message.to
            if address in self.got[message.key]
        ]
        called += [(address, "was not reached and is given up") for _, address in self.missed]
        hooks = {key: one for key, one in called if not key.startswith("notify[")}
        return "; ".join(f"{address} {what}" for address, what in hooks.items())


# --- Delivery after a visit -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Telling:
    """Sends what visits left in the outbox of their rollouts.

    posting: how; a run that cannot tell anybody leaves it to another.
    """

    clock: Clock
    posting: Posting

    def all(self, visits: Iterable[Visit], within: timedelta = WITHIN) -> list[Visit]:
        """Send the messages of `visits` within one limit, and log what each visit came to."""
        deadline = self.clock.now() + within
        told = list(visits)
        for index, visit in sorted(enumerate(told), key=lambda one: turn(one[1].rollout)):
            if visit.seen is not None:
                told[index], post = self._sent(visit, deadline)
                _log(told[index], visit.seen, post)
            elif not visit.busy:  # else the run that has it tells
                _log(visit, None, Posted(visit.rollout))
        return told

    def _sent(self, visit: Visit, deadline: datetime) -> tuple[Visit, Posted]:
        """Return `visit` and what was sent of it; what is raised meanwhile is its problem."""
        try:
            post = self._posted(visit, deadline)
        except Exception as error:  # noqa: BLE001 - one rollout's messages stop no tick
            problem = problem_of(error, visit.rollout.id, "delivering messages of")
            return replace(visit, problem=visit.problem or str(problem)), Posted(visit.rollout)
        return replace(visit, rollout=post.rollout), post

    def begun(self, visit: Visit) -> Visit:
        """Send the messages of a start."""
        post = self._posted(visit, self.clock.now() + WITHIN)
        return replace(visit, rollout=post.rollout)

    def _posted(self, visit: Visit, deadline: datetime) -> Posted:
        return self.posting.post(visit.rollout, deadline, saved=visit.saved)


def log_missed(missed: Missed) -> None:
    """Log that a rollout was not visited, as the one event that it has in this tick."""
    log.info("tick_completed", rollout=missed.rollout_id, problem=str(missed.error))


def _log(visit: Visit, seen: Observation | None, post: Posted) -> None:
    rollout = visit.rollout
    target = None if seen is None else seen.target
    log.info(
        "tick_completed",
        rollout=rollout.id,
        phase=str(rollout.phase),
        step=rollout.step,
        weight_percent=rollout.weight,
        seen_percent=target.weight if isinstance(target, Reading) else None,
        reason=str(rollout.reason),
        sentence=rollout.sentence,
        next=rollout.next,
        alerts=[str(alert) for alert in visit.alerts],
        busy=visit.busy,
        problem=visit.problem,
        messages_sent=post.sent,
        messages_failed=post.failed,
    )
