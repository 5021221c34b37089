"""Messages of a Slack app to one channel, with a thread for each rollout. IAM: none.

By Slack's method `chat.postMessage` (https://docs.slack.dev/reference/methods/chat.postMessage),
which answers 200 for an error as well, with `"ok": false` and its name. The bot token is a secret:
it is read for each message, is sent to slack.com only, and is in no error.
"""

import json
import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from controller.adapters.http.request import HttpsError, post
from controller.adapters.notifiers.slack import WITHIN_S, blocks
from controller.core.message import Message, Severity
from controller.core.policy import Channel, SecretReference
from controller.core.policy.field_types import Form
from controller.core.policy.notify import SecretField
from controller.core.rollout import Rollout
from controller.core.units import count_text
from controller.errors import DeliveryError, MessageRefusedError
from controller.immutable import Immutable
from controller.ports.account import Account

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
