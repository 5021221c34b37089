"""Who may look and who may act: the address with its code, the cookie, and the form token.

The server listens on this machine alone, but every program on it and every page in the browser can
send it requests. So a request needs the cookie, which the code in the printed address was exchanged
for, and an act also needs what only a page of this dashboard has.
"""

import hmac
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from secrets import token_urlsafe
from typing import Final, TypeAlias

from controller.immutable import Immutable

Headers: TypeAlias = Callable[[str], Sequence[str]]
"""Returns all values of a header, by its name in any case."""

_SECRET_BYTES: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
_FORWARDED: Final = re.compile(r"forwarded|x-forwarded-.*", re.IGNORECASE)
# Enough for a reason of 500 characters, each of which may take twelve bytes in a form.
MAX_FORM_BYTES: Final = 8_192


class Refusal(Immutable):
    """Why a request is not answered, in a sentence with what to do."""

    status: HTTPStatus
    text: str


class Guard:
    """The secrets of one dashboard, which end with its process.

    host: where it listens, as browsers write it into the header Host. form_token: in each form.
    """

    def __init__(self, host: str) -> None:
        self.host, self.form_token = host, token_urlsafe(_SECRET_BYTES)
        self._code, self._cookie = token_urlsafe(_SECRET_BYTES), ""
        # Cookies know no ports: two dashboards in one browser have two names.
        self._cookie_name = f"rolloutctl-{host.rpartition(':')[2]}"
        self._lock = threading.Lock()

    @property
    def origin(self) -> str:
        """The origin of the pages of this dashboard."""
        return f"http://{self.host}"

    @property
    def address(self) -> str:
        """The address that is printed; its code works once."""
        return f"{self.origin}/?code={self._code}"

    def exchange(self, code: str) -> str:
        """Return the header that sets the cookie; empty for a wrong code, or a used one."""
        with self._lock:
            if self._cookie or not _same(code, self._code):
                return ""
            self._cookie = token_urlsafe(_SECRET_BYTES)
        return f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"

    def refuse_host(self, headers: Headers) -> Refusal | None:
        """Return why a request is refused: another site has its name point to this machine."""
        if list(headers("Host")) == [self.host]:
            return None
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST, f"This dashboard answers at {self.origin} alone."
        )

    def refuse_look(self, headers: Headers) -> Refusal | None:
        """Return why a request is refused: it has no cookie of this dashboard."""
        # Cookies know no port: those of other programs on this machine come too, in any form.
        pairs = [
            one.strip().partition("=") for line in headers("Cookie") for one in line.split(";")
        ]
        found = next((value for name, _, value in pairs if name == self._cookie_name), "")
        if self._cookie and _same(found, self._cookie):
            return None
        return Refusal(
            HTTPStatus.FORBIDDEN,
            "Open the address that `rolloutctl dashboard` printed. Its code works once, in one "
            "browser; for another one, start `rolloutctl dashboard` again.",
        )

    def refuse_form(self, headers: Headers, names: Sequence[str]) -> Refusal | None:
        """Return why a form is refused before it is read. names: of the headers of the request."""
        if is_forwarded(names):
            return Refusal(
                HTTPStatus.FORBIDDEN,
                "This request came through a proxy (Forwarded or X-Forwarded): from there, people "
                "can look and not act.",
            )
        if list(headers("Origin")) != [self.origin]:
            return Refusal(
                HTTPStatus.FORBIDDEN, f"This form was not sent by a page of {self.origin}."
            )
        if [one.partition(";")[0].strip() for one in headers("Content-Type")] != [_FORM]:
            return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"A form is sent as {_FORM}.")
        lengths = headers("Content-Length")
        if headers("Transfer-Encoding") or len(lengths) != 1 or not lengths[0].isdecimal():
            return Refusal(HTTPStatus.LENGTH_REQUIRED, "A form is sent with its length.")
        if len(lengths[0]) > len(str(MAX_FORM_BYTES)) or int(lengths[0]) > MAX_FORM_BYTES:
            return Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"A form has at most {MAX_FORM_BYTES:,} bytes.",
            )
        return None

    def refuse_token(self, form: Mapping[str, str]) -> Refusal | None:
        """Return why a form is refused: it is not from a page that this dashboard made."""
        if _same(form.get("token", ""), self.form_token):
            return None
        return Refusal(
            HTTPStatus.FORBIDDEN, "The token of this form is missing or wrong: load the page again."
        )


def is_forwarded(names: Sequence[str]) -> bool:
    """Tell whether a request came through a proxy, by the names of its headers."""
    return any(_FORWARDED.fullmatch(name) for name in names)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())
