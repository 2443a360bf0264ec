"""A real Chromium without a window, driven over its DevTools protocol.

The protocol runs over two pipes (`--remote-debugging-pipe`): no driver program, no port and no Python package is needed.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

#: What is waited for comes within these seconds, or never. Generous: machines are busy.
PATIENCE_SECONDS = 60
LOOK_AGAIN_SECONDS = 0.05
FLAGS = [
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--mute-audio",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
]  # fmt: skip


class BrowserFailed(Exception):
    """The browser is gone, does not answer, or a page did not come to look as it should."""


def find() -> str | None:
    """The browser's program: $CHROMIUM, else Debian's names for it; `None` where none is installed."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A running browser with a profile of its own."""

    def __init__(self, process: subprocess.Popen, sending: int, receiving: int):
        self.process = process
        self._sending = sending
        self._receiving = receiving
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._answers: dict[int, dict] = {}
        self._pages: dict[str, Page] = {}
        self._is_gone = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Sorts what the browser says: answers to those who wait for them, events to their page."""
        rest = b""
        while piece := os.read(self._receiving, 1 << 20):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                with self._changed:
                    if "id" in message:
                        self._answers[message["id"]] = message
                    elif page := self._pages.get(message.get("sessionId", "")):
                        page.take(message["method"], message["params"])
                    self._changed.notify_all()
        with self._changed:
            self._is_gone = True
            self._changed.notify_all()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict:
        """Calls a method of the protocol and returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._sending, data) :]
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or self._is_gone, PATIENCE_SECONDS)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise BrowserFailed(f"{method} was not answered")
        if "error" in answer:
            raise BrowserFailed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, width: int = 1400, height: int = 1000, scheme: str = "light") -> Page:
        """A blank page in a context of its own, with nothing in its cache. `scheme` is `light` or `dark`; lengths are CSS pixels."""
        context = self.call("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        with self._changed:
            self._pages[session] = page
        for domain in ("Page", "Runtime", "Log", "Audits"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        return page

    def close(self) -> None:
        """Ends the browser with all its processes."""
        with contextlib.suppress(OSError, BrowserFailed):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            # It leads a session of its own, so that its helpers end with it.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, context: str):
        self._browser = browser
        self._session = session
        self._context = context
        #: Errors of scripts and of the console, and violations of the content security policy.
        self.problems: list[str] = []
        #: Requests that failed or were refused, as the console tells them.
        self.failed_requests: list[str] = []

    def take(self, event: str, told: dict) -> None:
        """Notes what went wrong."""
        if event == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.problems.append(" ".join(str(part.get("value", part.get("description"))) for part in told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            entry = told["entry"]
            kind = self.failed_requests if entry["source"] == "network" else self.problems
            kind.append(f"{entry['text']} {entry.get('url', '')}")
        elif event == "Audits.issueAdded" and told["issue"]["code"] == "ContentSecurityPolicyIssue":
            self.problems.append(json.dumps(told["issue"]["details"]))

    def call(self, method: str, **parameters: Any) -> dict:
        """Calls a method of the protocol for this page."""
        return self._browser.call(method, self._session, **parameters)

    def goto(self, url: str) -> None:
        """Begins to load an address; what it shows is waited for by `wait_for`."""
        result = self.call("Page.navigate", url=url)
        if result.get("errorText"):
            raise BrowserFailed(f"{url}: {result['errorText']}")

    def resize(self, width: int, height: int) -> None:
        """Sets the size of the window, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserFailed(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def at_start(self, script: str) -> None:
        """Runs a script in each document before its own."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def wait_for(self, condition: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until a JavaScript expression is truthy."""
        deadline = time.monotonic() + patience_seconds
        never = threading.Event()
        while time.monotonic() < deadline:
            # A document that is just being replaced has nothing to ask.
            with contextlib.suppress(BrowserFailed):
                if self.run(f"Promise.resolve({condition}).then(Boolean)"):
                    return
            never.wait(LOOK_AGAIN_SECONDS)
        text = self.run("document.body?.innerText.slice(0, 2000)")
        raise BrowserFailed(f"did not come about: {condition}\nproblems: {self.problems}\nthe page says:\n{text}")

    def wait_for_text(self, text: str, within: str = "body") -> None:
        """Waits until an element shows a text."""
        self.wait_for(f"document.querySelector({json.dumps(within)})?.innerText.includes({json.dumps(text)})")

    def click(self, selector: str) -> None:
        """Clicks the middle of an element with the mouse."""
        found = json.dumps(selector)
        self.wait_for(f"document.querySelector({found})?.getClientRects().length")
        place = self.run(
            f"(() => {{ const found = document.querySelector({found}); found.scrollIntoView({{block: 'center'}});"
            " const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, *place)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """One event of the left button; `kind` is mousePressed, mouseMoved or mouseReleased."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=int(kind != "mouseReleased"), clickCount=1)

    def type(self, text: str) -> None:
        """Types text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Presses a key, by its name in KeyboardEvent.key."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39}
        code = codes.get(key) or ord(key.upper())
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def shoot(self, path: pathlib.Path) -> None:
        """Saves a picture of the window as PNG."""
        shot = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Closes the tab and forgets its cache and storage."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)


@contextlib.contextmanager
def running(folder: pathlib.Path, flags: list[str] | None = None) -> Iterator[Browser]:
    """A browser whose profile lies in `folder`."""
    program = find()
    if program is None:
        raise BrowserFailed("no Chromium is installed")
    to_browser, from_here = os.pipe()
    to_here, from_browser = os.pipe()
    # Chromium reads commands from descriptor 3 and writes answers to 4. Its sandbox does not work for root.
    arguments = [*FLAGS, *(flags or []), f"--user-data-dir={folder}", *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank"]
    script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
    process = subprocess.Popen(
        ["bash", "-c", script, program, *arguments], pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    os.close(to_browser)
    os.close(from_browser)
    browser = Browser(process, from_here, to_here)
    try:
        yield browser
    finally:
        browser.close()
        os.close(from_here)
