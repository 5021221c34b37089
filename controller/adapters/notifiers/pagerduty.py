"""Alerts at PagerDuty by its Events API v2. IAM: none.

Sources: https://developer.pagerduty.com/docs/events-api-v2-overview (answers, limits) and
https://developer.pagerduty.com/docs/send-alert-event (fields).

A policy on a target has one alert, which PagerDuty opens anew after it was resolved: a warning or
worse triggers it, `rolloutctl ack` acknowledges it, and the next message that finds the rollout
without trouble resolves it, as the start of the next attempt does. PagerDuty drops what resolves
no open alert, so nothing about alerts is stored here. A test has an alert to itself, which is
triggered and resolved at once, and so leaves that of the policy as it is.

The routing key is a secret: it is read for each message and is in no error.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from controller.adapters.http import HttpsError, post
from controller.core.message import TEST, Message, Severity
from controller.core.policy import Channel, SecretReference
from controller.core.policy.notify import SecretField
from controller.core.rollout import Phase, Rollout
from controller.core.words.headline import headline
from controller.errors import DeliveryError, MessageRefusedError
from controller.ports.account import Account
from controller.ports.notify import fitting_event_data
from controller.safe_text import printable, truncate

WITHIN_S: Final = 5.0
# The service regions: https://support.pagerduty.com/main/docs/service-regions.
URLS: Final = {
    "us": "https://events.pagerduty.com/v2/enqueue",
    "eu": "https://events.eu.pagerduty.com/v2/enqueue",
}
MOST_DETAILS: Final = 500_000  # bytes; PagerDuty takes 512 KB for the whole event
MOST_KEY: Final = 255  # characters of a deduplication key
_MOST_QUOTED: Final = 200  # characters of PagerDuty's own words

_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")

Action: TypeAlias = Literal["trigger", "acknowledge", "resolve"]


class PagerDutyChannel(Channel):
    """A service of PagerDuty with an integration of the kind Events API v2."""

    example: ClassVar[str] = "{kind: pagerduty, routing_key: {secret: pagerduty-key}}"

    kind: Literal["pagerduty"] = Field(description="What sort of channel it is.")
    routing_key: SecretField = Field(
        description="Where the integration key is kept; a policy never contains it."
    )
    region: Literal["us", "eu"] = Field(
        default="us", description="Service region of the PagerDuty account."
    )

    @property
    def display_name(self) -> str:
        return f"pagerduty by {self.routing_key.display_name}"

    @property
    def secret_reference(self) -> SecretReference:
        return self.routing_key

    def takes(self, severity: str) -> bool:
        """Tell whether a message of `severity` is sent there: an info may resolve the alert."""
        return severity == Severity.INFO or super().takes(severity)

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> None:
        """Send the event of `message`, if it has one.

        Raises DeliveryError, and MessageRefusedError for an event that PagerDuty finds invalid.
        """
        action = action_of(rollout, message)
        if action is None:
            return
        key = account.read_secret(self.routing_key)
        if not _ROUTING_KEY.fullmatch(key):
            raise DeliveryError(
                f"{self.routing_key.display_name} is no routing key: it has 32 letters and digits"
            )
        self._send(account, key, event_of(action, rollout, message, account.status_page_url))
        if message.kind == TEST:
            try:
                self._send(account, key, event_of("resolve", rollout, message))
            except DeliveryError as error:
                raise DeliveryError(f"its test alert is open, resolve it there: {error}") from error

    def _send(self, account: Account, key: str, event: Mapping[str, Any]) -> None:
        event = {"routing_key": key, **event}
        try:
            answer = post(
                URLS[self.region],
                json.dumps(event).encode(),
                {"Content-Type": "application/json"},
                within_s=WITHIN_S,
                egress=account.egress,
            )
        except HttpsError as error:
            raise DeliveryError(f"PagerDuty took no event: {error}") from error
        if answer.status == 400:
            problem = _problem(answer.body, key)
            raise MessageRefusedError(f"PagerDuty refused the event as invalid{problem}")
        if answer.status != 202:
            limited = ": too many events at a time" if answer.status == 429 else ""
            raise DeliveryError(f"PagerDuty took no event: the answer was {answer.status}{limited}")


def action_of(rollout: Rollout, message: Message) -> Action | None:
    """Return what `message` does to the alert; None: nothing.

    rollout: as it stands when the message is sent.
    """
    if message.severity != Severity.INFO or message.kind == TEST:
        return "trigger"
    if message.kind == "acknowledged":
        return "acknowledge"
    in_trouble = rollout.conditions or rollout.write_error or rollout.phase is Phase.ROLLING_BACK
    return None if in_trouble else "resolve"


def event_of(
    action: Action, rollout: Rollout, message: Message, page_url: str = ""
) -> dict[str, Any]:
    """Return the event without its routing key. page_url: of the page of all rollouts, or empty."""
    key = f"rolloutctl {message.key}" if message.kind == TEST else dedup_key(rollout)
    event: dict[str, Any] = {"event_action": action, "dedup_key": key}
    if action != "trigger":
        return event
    payload = {
        "summary": printable(headline(rollout, message)),
        "source": rollout.target,
        "severity": message.severity,
        "timestamp": message.at.isoformat(),
        "component": rollout.name,
        "class": message.kind,
        "custom_details": fitting_event_data(rollout, message, MOST_DETAILS),
    }
    page = {"client_url": page_url} if page_url else {}
    return {**event, "payload": payload, "client": "rolloutctl", **page}


def dedup_key(rollout: Rollout) -> str:
    """Return the key of the alert: the same for each attempt of a policy on a target."""
    key = f"rolloutctl {rollout.name} {rollout.target}"
    return key if len(key) <= MOST_KEY else f"rolloutctl {sha256(key.encode()).hexdigest()}"


def _problem(body: bytes, key: str) -> str:
    """Return what PagerDuty says about an invalid event; empty where that has the key in it."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(data, Mapping):
        return ""
    errors = data.get("errors") or [data.get("message")]
    text = "; ".join(str(one) for one in errors) if isinstance(errors, list) else ""
    return f": {truncate(printable(text), _MOST_QUOTED)}" if text and key not in text else ""
