"""What a dashboard refuses: then nothing is changed."""

import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final, TypeAlias
from urllib.parse import urlencode

import pytest

from controller.tools.dashboard.server import LOOPBACK, MAX_FORM_BYTES, MAX_REQUESTS, MAX_STREAMS
from controller.tools.dashboard.site import Button
from tests.support.dashboards import FORM, Reply, Visitor, open_dashboard
from tests.support.stage import Stage
from tests.tools.simulation.worlds import MINUTE

ID: Final = "orders#1"
PAGE: Final = "/rollouts/orders%231"
Fields: TypeAlias = dict[str, str]


def pause(visitor: Visitor, **headers: str | None) -> Reply:
    """Send the form of `pause` as a page shows it, but for these headers."""
    return visitor.act(ID, "pause", visitor.fields(ID, "pause"), **headers)


# --- looking --------------------------------------------------------------------------------------


def test_the_printed_address_leads_to_the_page_of_all_rollouts(stage: Stage) -> None:
    with open_dashboard(stage) as visitor:
        entered = visitor.enter()
        assert (entered.status, entered.headers["location"]) == (303, "/")
        _, *attributes = entered.headers["set-cookie"].split("; ")
        assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
        assert "orders#1" in visitor.get("/").page.texts("h3")[0]


def test_a_code_works_once(visitor: Visitor) -> None:
    again = Visitor(visitor.server).enter()
    assert (again.status, "set-cookie" in again.headers) == (403, False)
    assert "Start `rolloutctl dashboard` again" in again.body
    assert visitor.get("/").status == 200  # who entered first is not sent away


@pytest.mark.parametrize("path", ["/", PAGE, "/events", "/dashboard.js", "/?code=guessed"])
def test_without_the_cookie_nothing_is_shown(stage: Stage, path: str) -> None:
    with open_dashboard(stage) as stranger:
        for cookie in ("", f"rolloutctl-{stranger.server.server_port}=", "other=1"):
            stranger.cookie = cookie
            reply = stranger.get(path)
            assert (reply.status, "orders" in reply.body) == (403, False)


@pytest.mark.parametrize("other", ['prefs={"a":"b"}', "foo", "path=/"])
def test_a_cookie_of_another_program_of_this_machine_hides_none(
    visitor: Visitor, other: str
) -> None:
    visitor.cookie = f"{other}; {visitor.cookie}"
    assert visitor.get("/").status == 200


@pytest.mark.parametrize("line", ["X-Forwarded-For : 10.0.0.1", "no colon"])
def test_a_header_that_cannot_be_read_hides_no_other(visitor: Visitor, line: str) -> None:
    """Those behind it are not read, among them what a proxy adds."""
    address = (LOOPBACK, visitor.server.server_port)
    request = f"GET / HTTP/1.1\r\nHost: {visitor.server.guard.host}\r\n{line}\r\n\r\n"
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(request.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("host", ["rollouts.example:{port}", "localhost:{port}", "127.0.0.1", ""])
def test_a_foreign_host_is_shown_nothing(visitor: Visitor, host: str) -> None:
    """The name of a site can be made to point to this machine."""
    reply = visitor.get("/", Host=host.format(port=visitor.server.server_port))
    assert (reply.status, "orders" in reply.body) == (421, False)


def test_no_page_can_be_framed_or_run_a_script_of_another_place(visitor: Visitor) -> None:
    for path in ("/", PAGE):
        reply = visitor.get(path)
        policy = reply.headers["content-security-policy"]
        assert "script-src 'self'; " in policy
        assert "frame-ancestors 'none'" in policy
        assert [one.attributes["src"] for one in reply.page.all("script")] == ["/dashboard.js"]
        assert not [one for one in reply.page.elements if "onclick" in one.attributes]


# --- acting ---------------------------------------------------------------------------------------


def test_a_form_of_the_page_is_run_and_recorded_with_its_reason(
    visitor: Visitor, stage: Stage
) -> None:
    fields = visitor.fields(ID, "pause")
    reply = visitor.act(ID, "pause", {**fields, "reason": " the database\nis moved "})
    assert (reply.status, reply.headers["location"]) == (303, PAGE)
    assert stage.rollout.phase == "paused"
    entry = stage.store.newest_entry(ID)
    assert entry is not None
    assert entry.body["cause"] == {"verb": "pause", "reason": "the database is moved", "way": ""}
    assert entry.body["by"] == "tester"
    (notice,) = visitor.get(PAGE).page.texts("div", role="status")
    assert notice.strip() == f"pause {ID}: recorded: paused by an operator: the database is moved"
    assert visitor.lines == [notice.strip()]


def without(name: str) -> Callable[[Fields], Fields]:
    """Return what leaves a field out."""
    return lambda fields: {key: value for key, value in fields.items() if key != name}


def with_field(**changed: str) -> Callable[[Fields], Fields]:
    """Return what changes a field."""
    return lambda fields: {**fields, **changed}


FORGED: Final = [
    pytest.param(without("token"), 403, id="without the token"),
    pytest.param(with_field(token="guessed"), 403, id="with another token"),
    pytest.param(with_field(token="\ud83d"), 403, id="with a token that is no text"),
    pytest.param(without("version"), 409, id="without the version"),
    pytest.param(with_field(version="-1"), 409, id="with a version that is none"),
    pytest.param(with_field(version="9" * 30), 409, id="with a version beyond any"),
    pytest.param(with_field(reason="x" * 501), 422, id="with a reason that is too long"),
    pytest.param(with_field(reason="x" * MAX_FORM_BYTES), 413, id="with more than a form has"),
    pytest.param(lambda fields: fields | {str(n): "" for n in range(9)}, 400, id="with fields"),
]


@pytest.mark.parametrize(("change", "status"), FORGED)
def test_a_form_that_no_page_shows_changes_nothing(
    visitor: Visitor, stage: Stage, change: Callable[[Fields], Fields], status: int
) -> None:
    before = stage.rollout
    fields = change(visitor.fields(ID, "pause"))
    safe = {name: value.encode(errors="replace").decode() for name, value in fields.items()}
    assert visitor.act(ID, "pause", safe).status == status
    assert stage.rollout == before


HEADERS: Final = [
    pytest.param({"Origin": "https://rollouts.example"}, 403, id="from another site"),
    pytest.param({"Origin": "http://localhost:{port}"}, 403, id="from another name of here"),
    pytest.param({"Origin": "null"}, 403, id="from a page without an origin"),
    pytest.param({"Origin": None}, 403, id="without an origin"),
    pytest.param({"Host": "rollouts.example:{port}"}, 421, id="to another host"),
    pytest.param({"Cookie": "rolloutctl-{port}=guessed"}, 403, id="with another cookie"),
    pytest.param({"Forwarded": "for=10.0.0.1"}, 403, id="through a proxy"),
    pytest.param({"X_Forwarded_For": "10.0.0.1"}, 403, id="through another proxy"),
    pytest.param({"x_forwarded_proto": "https"}, 403, id="through a third proxy"),
    pytest.param({"Content_Type": "text/plain"}, 415, id="as a form of any site"),
    pytest.param({"Content_Length": "-1"}, 411, id="with a length that is none"),
    pytest.param({"Transfer_Encoding": "chunked"}, 411, id="in chunks"),
]


@pytest.mark.parametrize(("headers", "status"), HEADERS)
def test_a_request_that_no_page_sends_changes_nothing(
    visitor: Visitor, stage: Stage, headers: dict[str, str | None], status: int
) -> None:
    before, port = stage.rollout, visitor.server.server_port
    sent = {name: value and value.format(port=port) for name, value in headers.items()}
    assert pause(visitor, **sent).status == status
    assert stage.rollout == before


def test_a_form_that_breaks_off_changes_nothing(visitor: Visitor, stage: Stage) -> None:
    before, fields = stage.rollout, visitor.fields(ID, "pause") | {"reason": "as long as this"}
    body = urlencode(fields)
    head = (
        f"POST {PAGE}/pause HTTP/1.1\r\nHost: {visitor.server.guard.host}\r\n"
        f"Origin: {visitor.server.guard.origin}\r\nCookie: {visitor.cookie}\r\n"
        f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    address = (LOOPBACK, visitor.server.server_port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall((head + body[:-5]).encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert stage.rollout == before


def test_an_outcome_that_is_not_recorded_is_on_the_page_at_once(visitor: Visitor) -> None:
    """The version is the same then, and so is all else that the page shows."""
    version = int(visitor.fields(ID, "pause")["version"])
    assert "not recorded yet" not in visitor.get(PAGE).body
    visitor.server.site._outcomes[ID] = version, "done, and not recorded yet"
    assert "not recorded yet" in visitor.get(PAGE).body


def test_a_rollback_waits_for_no_other_act(visitor: Visitor, stage: Stage) -> None:
    """Another act may wait for a hook, or for a lease."""
    fields = visitor.fields(ID, "rollback")
    with visitor.server.site._acting:
        assert visitor.act(ID, "rollback", fields | {"reason": "paged"}).status == 303
    assert stage.rollout.weight == 0


@pytest.mark.parametrize("verb", ["pause", "rollback"])
def test_a_tab_with_an_old_version_changes_nothing(
    visitor: Visitor, stage: Stage, verb: str
) -> None:
    fields = visitor.fields(ID, verb)
    while stage.rollout.version == int(fields["version"]):
        stage.tick()
    before = stage.rollout
    reply = visitor.act(ID, verb, fields)
    assert (reply.status, stage.rollout) == (409, before)
    assert f"orders#1 was saved since it was shown (version {fields['version']}" in reply.body
    assert visitor.act(ID, verb, visitor.fields(ID, verb)).status == 303


def test_a_page_through_a_proxy_shows_all_and_has_no_button(visitor: Visitor) -> None:
    page = visitor.get(PAGE, Forwarded="for=10.0.0.1").page
    assert page.all("form") == []
    assert "so it has no buttons" in " ".join(page.texts("p"))
    assert visitor.get(PAGE).page.all("form")  # it is not kept for others


def test_a_dashboard_is_read_only_unless_a_verb_is_named(stage: Stage) -> None:
    with open_dashboard(stage, ()) as visitor:
        visitor.enter()
        page = visitor.get(PAGE).page
        assert page.all("form") == []
        assert "rolloutctl pause orders#1 --reason TEXT" in " ".join(page.texts("pre"))
        token = visitor.server.guard.form_token
        fields = {"token": token, "version": str(stage.rollout.version)}
        reply = visitor.act(ID, "rollback", fields)
        assert (reply.status, stage.rollout.phase) == (403, "progressing")
        assert "rolloutctl dashboard --allow rollback" in reply.body


def test_what_raises_the_weight_is_allowed_by_its_name_alone(stage: Stage) -> None:
    with open_dashboard(stage, (Button.ROLLBACK, Button.PAUSE)) as visitor:
        visitor.enter()
        fields = visitor.fields(ID, "pause")
        for verb in ("promote", "approve", "resume"):
            assert visitor.act(ID, verb, {**fields, "reason": "now"}).status == 403
        assert visitor.act(ID, "set-weight", fields).status == 404
        assert stage.rollout.phase == "progressing"


def test_a_verb_that_needs_a_reason_needs_it_here_too(visitor: Visitor, stage: Stage) -> None:
    before = stage.rollout
    fields = visitor.fields(ID, "promote")
    for reason in ("", "  "):
        reply = visitor.act(ID, "promote", {**fields, "reason": reason})
        assert (reply.status, stage.rollout) == (422, before)
        assert "its reason is empty: say why; it is recorded in the history" in reply.body


def test_what_the_rollout_refuses_is_named_on_the_page(visitor: Visitor, stage: Stage) -> None:
    fields = visitor.fields(ID, "pause")
    reply = visitor.act(ID, "resume", fields)
    assert reply.status == 422
    assert reply.page.texts("h1") == ["Nothing was changed"]
    assert "resume was refused, and orders#1 is unchanged" in reply.body
    assert stage.rollout.phase == "progressing"


def test_the_buttons_are_those_of_the_phase(visitor: Visitor, stage: Stage) -> None:
    def shown() -> list[str]:
        actions = [one.attributes["action"] for one in visitor.get(PAGE).page.all("form")]
        return [action.rpartition("/")[2] for action in actions]

    assert shown() == ["pause", "promote", "rollback"]
    pause(visitor)
    assert shown() == ["resume", "promote", "rollback"]
    visitor.act(ID, "rollback", visitor.fields(ID, "rollback"))
    assert stage.rollout.phase == "rolled_back"
    assert shown() == ["rollback"]
    assert "rolloutctl retry orders#1 --reason TEXT" in visitor.get(PAGE).body


# --- limits ---------------------------------------------------------------------------------------


def test_a_page_too_many_is_not_live_and_says_why(visitor: Visitor) -> None:
    with ExitStack() as opened:
        for _ in range(MAX_STREAMS):
            opened.enter_context(visitor.stream())
        refused = visitor.get("/events")
        assert (refused.status, "this one is not live" in refused.body) == (503, True)
        assert visitor.get("/").status == 200


def test_a_request_too_many_is_not_answered_and_the_others_are(visitor: Visitor) -> None:
    with ExitStack() as silent:
        for _ in range(MAX_REQUESTS):
            silent.enter_context(socket.create_connection((LOOPBACK, visitor.server.server_port)))
        with pytest.raises(ConnectionError):
            visitor.get("/")
    for _ in range(50):  # until the server has seen that they are gone
        with suppress(OSError):
            assert visitor.get("/").status == 200
            return
    raise AssertionError("nothing is answered any more")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_is_not_answered(visitor: Visitor, method: str) -> None:
    reply = visitor.send(method, PAGE)
    assert reply.status == 501
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_a_place_that_is_not_there_is_named(visitor: Visitor) -> None:
    for path in ("/rollouts/gone%231", "/rollouts/..%2f..%2fetc", "/other"):
        assert visitor.get(path).status == 404


def test_a_rollout_that_cannot_be_shown_hides_no_other(visitor: Visitor, stage: Stage) -> None:
    stage.tick(after=MINUTE)
    stage.store._connection.execute("UPDATE rollouts SET state = '{'")
    stage.store._connection.commit()
    visitor.server.site.feed.forget()
    page = visitor.get("/").page
    assert "Records that cannot be trusted" in page.texts("h2")
    assert visitor.get(PAGE).status == 500
