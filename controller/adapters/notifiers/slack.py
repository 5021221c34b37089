"""Messages to Slack: by an incoming webhook, or of an app with a thread for each rollout.

IAM: none.

The URL of a webhook and the token of an app are secrets: each is read for each message, and is in
no error and no log line. The token is sent to slack.com only.

An app sends by `chat.postMessage` (https://docs.slack.dev/reference/methods/chat.postMessage),
which answers 200 for an error as well, with `"ok": false` and its name.
"""

import json
import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from controller.adapters.http import HttpsError, host_of, post
from controller.core.message import Message, Severity
from controller.core.policy import Channel, SecretReference
from controller.core.policy.field_types import Form
from controller.core.policy.notify import Host, SecretField
from controller.core.rollout import Rollout
from controller.core.units import clock_text, count_text
from controller.core.words.headline import headline
from controller.errors import DeliveryError, MessageRefusedError
from controller.immutable import Immutable
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


URL: Final = "https://slack.com/api/chat.postMessage"
CHANNEL_PATTERN = r"^[CDG][A-Z0-9]{8,20}$"

_MOST_BYTES: Final = 200_000  # of an answer, which repeats the message
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}\.[0-9]{1,12}")
_ERROR_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,60}")

# What to do about an error of Slack, by its name.
_REMEDIES: Final = {
    "channel_not_found": "is the id right, and was the app invited to the channel?",
    "not_in_channel": "invite the app to the channel",
    "is_archived": "the channel is archived: name another one",
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"),
        "store the bot token (xoxb-...) of the installed app anew",
    ),
    "not_allowed_token_type": "store the bot token (xoxb-...) of the installed app",
    "missing_scope": "the app needs the scope chat:write",
    "restricted_action": "an administrator of the workspace restricts who may post there",
    "restricted_action_read_only_channel": "the channel is read-only: name another one",
    "restricted_action_thread_only_channel": "no thread may be started there: name another channel",
}
_LIMITED: Final = ("ratelimited", "rate_limited")
# The message would be refused in the same way each time.
_REFUSED: Final = (
    *("msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format"),
    *("no_text", "too_many_attachments", "invalid_arguments"),
)
# The thread takes no reply, so the message starts another one.
_THREAD_CLOSED: Final = (
    *("restricted_action_thread_locked", "restricted_action_non_threadable_channel"),
    *("thread_not_found", "thread_locked", "invalid_thread_ts", "message_not_found"),
)


class SlackBotChannel(Channel):
    """A channel of Slack with a thread for each rollout, written to by an app of the workspace."""

    example: ClassVar[str] = "{kind: slack-bot, channel: C0123456789, token: {secret: slack-bot}}"

    kind: Literal["slack-bot"] = Field(description="What sort of channel it is.")
    channel: Annotated[
        str, Field(pattern=CHANNEL_PATTERN), Form("the id of a Slack channel, like C0123456789")
    ] = Field(description="Id of the channel, which its details in Slack show.")
    token: SecretField = Field(
        description="Where the bot token of the app is kept; a policy never contains it."
    )

    @property
    def display_name(self) -> str:
        return f"slack-bot {self.channel}"

    @property
    def secret_reference(self) -> SecretReference:
        return self.token

    @property
    def destination(self) -> str:
        return f"slack:{self.channel}"

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> str | None:
        """Post `message` into the thread of the rollout, or start one and return its id.

        What a person has to see (warnings and worse) goes to the channel as well. Raises
        DeliveryError, and MessageRefusedError where Slack never takes the message.
        """
        token = account.read_secret(self.token)
        body = {
            "channel": self.channel,
            "unfurl_links": False,
            **blocks(rollout, message, account.status_page_url),
        }
        if thread := rollout.threads.get(self.display_name):
            broadcast = message.severity != Severity.INFO
            reply = _ask(
                account, token, {**body, "thread_ts": thread, "reply_broadcast": broadcast}
            )
            if reply.error not in _THREAD_CLOSED:
                _raise_error(reply)
                return None
        first = _ask(account, token, body)
        _raise_error(first)
        return first.timestamp or None


class _Answer(Immutable):
    """What Slack answered: the name of its error, else the id of the message, as far as known."""

    error: str
    timestamp: str = ""
    retry_after_s: int = 0


def _ask(account: Account, token: str, body: dict[str, Any]) -> _Answer:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Authorization": f"Bearer {token}",
    }
    try:
        answer = post(
            URL,
            json.dumps(body).encode(),
            headers,
            within_s=WITHIN_S,
            egress=account.egress,
            most_bytes=_MOST_BYTES,
        )
    except HttpsError as error:
        raise DeliveryError(f"Slack took no message: {error}") from error
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or (data.get("ok") is True and answer.status != 200):
        data = {"error": f"http_{answer.status}"}
    if data.get("ok") is True:
        timestamp = str(data.get("ts"))
        return _Answer("", timestamp if _TIMESTAMP.fullmatch(timestamp) else "")
    name = "ratelimited" if answer.status == 429 else str(data.get("error"))
    known = name if _ERROR_NAME.fullmatch(name) else "an error without a name"
    return _Answer(known, retry_after_s=answer.retry_after_s)


def _raise_error(answer: _Answer) -> None:
    """Raise the error of `answer`, by its name; return when it has none."""
    if not answer.error:
        return
    problem = f"Slack took no message: {answer.error}"
    if answer.error in _REFUSED:
        raise MessageRefusedError(problem)
    if answer.error in _LIMITED:
        wait = count_text(answer.retry_after_s, "second") if answer.retry_after_s else "a while"
        raise DeliveryError(f"{problem}: it takes the next one in {wait}")
    remedy = _REMEDIES.get(answer.error)
    raise DeliveryError(f"{problem}: {remedy}" if remedy else problem)
