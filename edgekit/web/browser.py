"""Chromium without a window, spoken to in its DevTools protocol over two pipes.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["NAMES", "BrowserError", "Tab", "find_browser", "launched"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_MAC_APPS: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# Without the last ones a closed network makes Chromium retry connections of its own.
_QUIET = ("--disable-gpu", "--no-first-run", "--disable-quic", "--disable-background-networking", "--disable-sync",
          "--disable-component-update")  # fmt: skip
_PATIENCE: Final = 300  # seconds in which it must say something
_END: Final = 10  # seconds that it has to end by itself


class BrowserError(Exception):
    """The browser does not start, has ended, says nothing, or refuses what it was asked."""


def find_browser() -> str | None:
    """The path of a Chromium or one of its kin, where one is installed."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or next((path for path in _MAC_APPS if os.access(path, os.X_OK)), None)


class Tab:
    """One tab; `requests` are the addresses that it asked for, `complaints` its exceptions and console lines."""

    def __init__(self, send: int, receive: int, patience: float = _PATIENCE) -> None:
        self._send, self._receive, self._patience = send, receive, patience
        self._count, self._rest, self._session = 0, b"", ""
        self.requests, self.complaints = list[str](), list[str]()
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for what it gives; BrowserError where it is refused."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self._send, json.dumps(message).encode() + b"\0")
        except OSError as error:
            raise BrowserError("the browser has ended") from error
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise BrowserError(str(answer["error"].get("message")))
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, page: Path | str) -> None:
        """Load a file or an address, and wait until it is there."""
        self.requests.clear()
        self.complaints.clear()
        self._loaded = False
        self.call("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        while not self._loaded:
            self._next()

    def run(self, script: str) -> Any:
        """What an expression of JavaScript gives, once it is known; BrowserError where it throws."""
        return self._value(self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True))

    def run_on_file(self, function: str, file: Path) -> Any:
        """What a function of JavaScript gives for a File of this machine, once it is known."""
        script = "Object.assign(document.createElement('input'), {type: 'file'})"
        handle = self.call("Runtime.evaluate", expression=script)["result"]["objectId"]
        self.call("DOM.setFileInputFiles", files=[str(file.absolute())], objectId=handle)
        body = f"function() {{ return ({function})(this.files[0]); }}"
        told = {"functionDeclaration": body, "objectId": handle, "returnByValue": True, "awaitPromise": True}
        return self._value(self.call("Runtime.callFunctionOn", **told))

    @staticmethod
    def _value(done: dict[str, Any]) -> Any:
        if (thrown := done.get("exceptionDetails")) is not None:
            raise BrowserError(thrown.get("exception", {}).get("description") or str(thrown.get("text")))
        return done["result"].get("value")

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + self._patience
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise BrowserError(f"the browser has said nothing for {self._patience:g} seconds")
            block = os.read(self._receive, 1 << 16)
            if not block:
                raise BrowserError("the browser has ended")
            self._rest += block
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(str(params["entry"]))
        elif method == "Page.loadEventFired":
            self._loaded = True


@contextmanager
def launched(program: str, profile: Path, *more: str) -> Iterator[tuple[int, int]]:
    """A browser with `profile` and `more` options, and the two pipes that a Tab is opened with.

    It may reach this machine and nothing else, as the only proxy refuses.
    """
    (theirs_in, send), (receive, theirs_out) = os.pipe(), os.pipe()
    command = [program, "--headless", *_QUIET, "--hide-scrollbars", *more]
    if os.geteuid() == 0:  # as which Chromium has no sandbox
        command.append("--no-sandbox")
    command += [f"--user-data-dir={profile}", "--proxy-server=127.0.0.1:9", "--remote-debugging-pipe"]
    # It reads its file 3 and writes to its file 4. A plain sh may take files 0 to 9 alone.
    shell = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *command]
    silent = subprocess.DEVNULL
    process = subprocess.Popen(shell, pass_fds=(theirs_in, theirs_out), stdin=silent, stdout=silent, stderr=silent)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield send, receive
    finally:
        os.close(send)  # which ends it
        os.close(receive)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END)
        process.kill()
        process.wait()
