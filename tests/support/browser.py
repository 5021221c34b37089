"""A real browser, driven over a pipe by the Chrome DevTools Protocol: no driver, no port.

`open_browser` returns None where no Chromium is installed; `axe_core` where there is no axe-core,
which is a file of JavaScript: name it with AXE_CORE, install the npm package, or `make playground`.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip
_ANSWER_S: Final = 30.0
_LOOK_S: Final = 0.02
_GO_ON: Final = "Runtime.runIfWaitingForDebugger"
_REPORTING: Final = ("Runtime", "Log", "Network")
_KEYS: Final = {"Tab": (9, ""), "Enter": (13, "\r")}


def chromium() -> str | None:
    """Return the path of the installed browser; None: there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def axe_core() -> Path | None:
    """Return the file of axe-core; None: there is none."""
    named = os.environ.get("AXE_CORE")
    places = [Path(named)] if named else []
    modules = (Path("node_modules"), Path("build/playground/node_modules"))
    places += [folder / "axe-core" / "axe.min.js" for folder in modules]
    return next((place for place in places if place.is_file()), None)


@dataclass(slots=True)
class Browser:
    """One tab. requests: the addresses that pages asked for; problems: errors on their consoles."""

    _commands: int
    _answers: int
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _session: str = ""
    _number: int = 0
    _buffer: bytes = b""

    def attach(self) -> None:
        """Open the tab, and listen to it."""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        answer = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", *_REPORTING):
            self._send(f"{domain}.enable")
        # Workers wait until their requests and their errors are reported as well.
        self._send(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True
        )

    def open(self, page: Path | str, *, width: int = 1_200, dark: bool = False) -> None:
        """Load `page`, a file or an address, in a window of `width` pixels."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self.requests.clear()
        self.problems.clear()
        address = page if isinstance(page, str) else page.resolve().as_uri()
        self._send("Page.navigate", url=address)
        self._wait_for("Page.loadEventFired")

    def wait_until(self, expression: str, within_s: float = _ANSWER_S) -> float:
        """Wait until a JavaScript expression is true, also across pages; return the seconds."""
        begin = monotonic()
        while True:
            found = self._send_or_error("Runtime.evaluate", expression=expression)
            if found.get("result", {}).get("value") is True:
                return monotonic() - begin
            assert monotonic() - begin < within_s, f"{expression}: {found}"
            sleep(_LOOK_S)

    def press(self, key: str, times: int = 1) -> None:
        """Press Tab or Enter."""
        code, text = _KEYS[key]
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                self._send(
                    "Input.dispatchKeyEvent",
                    type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                    **({"text": text} if text and kind == "keyDown" else {}),
                )  # fmt: skip

    def write(self, text: str) -> None:
        """Type `text` where the focus is."""
        self._send("Input.insertText", text=text)

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, or of its promise."""
        answer = self._send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def point_at(self, selector: str) -> None:
        """Move the pointer to the middle of the first element that matches `selector`."""
        x, y = self.value(
            f"(one => {{ one.scrollIntoView(); const at = one.getBoundingClientRect();"
            "return [at.x + at.width / 2, at.y + at.height / 2] })"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        self._send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def print_layout(self) -> None:
        """Lay the page out as it is printed, on a page of A4."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=720, height=1_000, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self._send("Emulation.setEmulatedMedia", media="print", features=[])

    def screenshot(self, file: Path, *, height: int | None = None) -> None:
        """Write the page as a picture: all of it, or its first `height` pixels."""
        size = self._send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1, **size}
        clip["height"] = min(size["height"], height or size["height"])
        answer = self._send(
            "Page.captureScreenshot", clip=clip, captureBeyondViewport=True, format="png"
        )
        file.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, file: Path) -> None:
        """Write the page as it is printed."""
        self._send("Emulation.setEmulatedMedia", media="", features=[])
        data = self._send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        file.write_bytes(base64.b64decode(data))

    # --- the protocol -----------------------------------------------------------------------------

    def _send(self, method: str, **parameters: Any) -> Any:
        answer = self._send_or_error(method, **parameters)
        assert "error" not in answer, (method, answer)
        return answer

    def _send_or_error(self, method: str, **parameters: Any) -> Any:
        """Return the result of a command, or the answer with its `error`."""
        number = self._post(self._session, method, parameters)
        while True:
            answer = self._read()
            if answer.get("id") == number:
                return answer.get("result", answer)

    def _post(self, session: str, method: str, parameters: dict[str, Any]) -> int:
        """Send a command, and return its number without waiting for an answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        return self._number

    def _wait_for(self, event: str) -> None:
        while self._read().get("method") != event:
            pass

    def _read(self) -> dict[str, Any]:
        """Return the next message; keep what it says of requests and problems."""
        end = monotonic() + _ANSWER_S
        while b"\0" not in self._buffer:
            ready, _, _ = select([self._answers], [], [], max(0.0, end - monotonic()))
            chunk = os.read(self._answers, 1 << 20) if ready else b""
            assert chunk, "the browser does not answer"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, what: dict[str, Any]) -> None:
        if event == "Target.attachedToTarget" and what["waitingForDebugger"]:
            for method in (*(f"{one}.enable" for one in _REPORTING), _GO_ON):
                self._post(what["sessionId"], method, {})
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(what))
        elif event == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning"):
            self.problems.append(json.dumps(what["args"]))
        elif event == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.problems.append(what["entry"]["text"])


@contextmanager
def open_browser(program: str) -> Iterator[Browser]:
    """Yield a browser, and end it afterwards."""
    commands_in, commands = os.pipe()
    answers, answers_out = os.pipe()

    def connect() -> None:
        os.dup2(commands_in, 3)
        os.dup2(answers_out, 4)

    with TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=connect, pass_fds=(3, 4),
        )  # fmt: skip
        os.close(commands_in)
        os.close(answers_out)
        try:
            browser = Browser(commands, answers)
            browser.attach()
            yield browser
        finally:
            process.kill()
            process.wait(timeout=10)
            os.close(commands)
            os.close(answers)
