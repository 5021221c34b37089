"""Messages to an incoming webhook of Slack, as Block Kit. IAM: none.

The URL of the webhook is a secret, because it is the only credential for the channel. It is read
for each message, and errors and log lines name only its host.
"""

import json
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from controller.adapters.http.request import HttpsError, host_of, post
from controller.core.message import Message
from controller.core.policy import Channel, SecretReference
from controller.core.policy.notify import Host, SecretField
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.core.words.headline import headline
from controller.errors import DeliveryError
from controller.ports.account import Account
from controller.safe_text import printable, printable_block

WITHIN_S: Final = 5.0

# Characters of a text in a section, by https://docs.slack.dev/reference/block-kit/blocks.
MOST_SECTION: Final = 3_000

_MARKS: Final = {"info": "", "warning": "WARNING: ", "critical": "CRITICAL: "}

# The host of Slack's webhooks. A policy has to list any other host in `hosts`.
SLACK_HOSTS: tuple[str, ...] = ("hooks.slack.com",)


class SlackChannel(Channel):
    """An incoming webhook of Slack, or of what takes the same messages."""

    example: ClassVar[str] = "{kind: slack, webhook: {secret: slack-webhook}}"

    kind: Literal["slack"] = Field(description="What sort of channel it is.")
    webhook: SecretField = Field(
        description="Where the URL of the webhook is kept; a policy never contains it."
    )
    hosts: Annotated[tuple[Host, ...], Field(max_length=10)] | None = Field(
        default=None,
        examples=[["chat.example.com"]],
        description="Hosts that the URL may name; hooks.slack.com when left out.",
    )

    @property
    def display_name(self) -> str:
        return f"slack by {self.webhook.display_name}"

    @property
    def secret_reference(self) -> SecretReference:
        return self.webhook

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> None:
        url = account.read_secret(self.webhook)
        allowed = SLACK_HOSTS if self.hosts is None else self.hosts
        body = json.dumps(blocks(rollout, message, account.status_page_url)).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            host = host_of(url)
            if host not in allowed:
                raise DeliveryError(
                    f"{self.webhook.display_name} names the host {host}, and only "
                    f"{', '.join(allowed)} is allowed; "
                    "list any other in `hosts` of the channel"
                )
            answer = post(
                url,
                body,
                headers,
                within_s=WITHIN_S,
                private=set(allowed) - set(SLACK_HOSTS),
                egress=account.egress,
            )
        except HttpsError as error:
            raise DeliveryError(f"Slack took no message: {error}") from error
        if answer.status != 200:
            raise DeliveryError(f"Slack took no message: {_refusal(answer.status, answer.body)}")


def _refusal(status: int, body: bytes) -> str:
    """Return the status of Slack's answer, and its error code when it is like `no_service`."""
    code = body[:60].decode("ascii", "replace").strip()
    detail = f": {code}" if code.replace("_", "").isalnum() else ""
    redirect = "; redirects are not followed" if 300 <= status < 400 else ""
    return f"the answer was {status}{detail}{redirect}"


def blocks(rollout: Rollout, message: Message, page_url: str = "") -> dict[str, Any]:
    """Return the message as Block Kit, all in plain text, so that nothing becomes a mention.

    The first block is the headline, which is also what a phone shows; the whole text and the facts
    are below it. page_url: of the page of all rollouts, which is linked; empty: there is none.
    """
    title = headline(rollout, message)
    line = printable(f"{_MARKS[message.severity]}{title}")
    shown = [line] if message.text == title else [line, message.text]
    facts = [message.phase, f"{message.weight}%", message.reason, clock_text(message.at)]
    # The key of the message in the history, and the run id in the log.
    context = [", ".join(facts), message.key, f"run {message.run}" if message.run else ""]
    links: list[dict[str, Any]] = []
    if page_url:  # the one text that is marked up
        link = f"<{_escaped(page_url)}|Status page>"
        links.append({"type": "mrkdwn", "text": link, "verbatim": True})
    return {
        "text": _escaped(line),
        "blocks": [
            *({"type": "section", "text": _plain(one)} for one in shown),
            {
                "type": "context",
                "elements": [*(_plain(printable(one)) for one in context if one), *links],
            },
        ],
    }


def _plain(text: str) -> dict[str, Any]:
    # The last message of a rollout contains a table, so line breaks stay.
    text = printable_block(text.split("\n"))
    shortened = text if len(text) <= MOST_SECTION else f"{text[: MOST_SECTION - 3]}..."
    return {"type": "plain_text", "text": shortened, "emoji": False}


def _escaped(text: str) -> str:
    """Return `text` escaped for the fallback, where `<` would begin a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
