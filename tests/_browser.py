"""A headless Chromium, spoken to through two pipes: it listens on nothing."""

import itertools
import json
import os
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETTINGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 60.0


def chromium() -> str | None:
    """The browser that is installed, or the one that HOKUSAI_TEST_CHROMIUM names; None where none is."""
    named = os.environ.get("HOKUSAI_TEST_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a browser, and everything that it said."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._rest = to, back, b""
        self._numbers = itertools.count(1)
        self._session = ""
        self.events: list[dict[str, Any]] = []

    def open(self) -> None:
        """A fresh page that tells what it does."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to one command."""
        number = next(self._numbers)
        said = {"id": number, "method": method, "params": params}
        if self._session:
            said["sessionId"] = self._session
        os.write(self._to, json.dumps(said).encode() + b"\0")
        while (found := self._read()).get("id") != number:
            self.events.append(found)
        assert "error" not in found, found
        return dict(found["result"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._back, 1 << 16)
            assert more, "the browser ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def visit(self, url: str) -> None:
        """Load a page, and wait until it and what it starts at once is done."""
        self.call("Page.navigate", url=url)
        ended = time.monotonic() + PATIENCE_S
        while not any(e["method"] == "Page.loadEventFired" for e in self.events):
            assert time.monotonic() < ended
            self.events.append(self._read())
        self.wait(20)

    def wait(self, milliseconds: int) -> None:
        """Let the page do what it has begun."""
        self.value(f"new Promise(done => setTimeout(done, {milliseconds}))")

    def value(self, script: str) -> Any:
        """What an expression comes to, waited for."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screen(self, wide: int, high: int, *, phone: bool = False) -> None:
        """The size of the window in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=wide, height=high, deviceScaleFactor=1, mobile=phone
        )

    def scheme(self, name: str) -> None:
        """Light or dark."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, key: str, code: int, types: str = "") -> None:
        """One key, down and up; ``types`` is the character that it types."""
        for kind in ("keyDown", "keyUp"):
            said = {"text": types} if types and kind == "keyDown" else {}
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **said
            )

    def picture(self, path: Path) -> None:
        """The whole page as a PNG file."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(b64decode(shot["data"]))

    def said(self) -> list[str]:
        """What a developer would see in red or yellow: the console, exceptions, refused resources."""
        kinds = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [json.dumps(e["params"]) for e in self.events if e["method"] in kinds]

    def requests(self) -> list[str]:
        """Every address that the page asked for."""
        sent = [e["request"]["url"] for e in self._happened("Network.requestWillBeSent")]
        return [url for url in sent if not url.startswith("data:")]

    def stopped(self) -> list[str]:
        """The addresses that the page asked for and its own policy did not let it have."""
        failed = self._happened("Network.loadingFailed")
        refused = {e["requestId"] for e in failed if e.get("blockedReason") == "csp"}
        sent = self._happened("Network.requestWillBeSent")
        return [e["request"]["url"] for e in sent if e["requestId"] in refused]

    def _happened(self, method: str) -> list[dict[str, Any]]:
        return [e["params"] for e in self.events if e["method"] == method]


@contextmanager
def browser(home: Path) -> Iterator[Browser]:
    """A browser with a home of its own, where all that it writes stays, ended with the block."""
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    words = [str(chromium()), *SETTINGS, f"--user-data-dir={home}"]
    # the protocol is spoken on descriptors 3 and 4, whatever ours are
    script = 'exec "$@" 3<&"$IN" 4>&"$OUT"'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *words],
        pass_fds=(their_in, their_out),
        env={**os.environ, "IN": str(their_in), "OUT": str(their_out), "TMPDIR": str(home)},
        stderr=subprocess.DEVNULL,
    )
    os.close(their_in)
    os.close(their_out)
    try:
        page = Browser(our_out, our_in)
        page.open()
        yield page
    finally:
        os.close(our_out)
        process.terminate()
        process.wait(timeout=30)
        os.close(our_in)
