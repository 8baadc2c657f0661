"""The tab of `edgekit/web/browser.py` with a person's hands and eyes: keys are pressed, nothing is simulated."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.web.browser import Tab, launched
from tests.bench_native.harness import tool

__all__ = ["Browser", "browser"]

_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowRight": 39}
_TEXTS = {"Enter": "\r", " ": " "}  # what a key types, without which no button is pressed


class Browser(Tab):
    """A tab that is used as a person does."""

    def press(self, *keys: str) -> None:
        """Press keys one after another, as a person does."""
        for key in keys:
            named = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": _KEYS[key]}
            typed = {"text": _TEXTS[key]} if key in _TEXTS else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **named, **typed)
            self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first such element."""
        x, y = self.point(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def hover(self, selector: str) -> None:
        """Move the mouse onto the first such element."""
        x, y = self.point(selector)
        for right, down in ((0, 0), (x, y)):  # it may have been there before, on another page
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=right, y=down)

    def point(self, selector: str) -> tuple[float, float]:
        """Scroll to the first such element; its middle in the window, in pixels."""
        script = f"""(() => {{ const one = document.querySelector({json.dumps(selector)});
            one.scrollIntoView({{block: "center"}}); const box = one.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        x, y = self.run(script)
        return x, y

    def look(self, width: int, *, media: str = "screen", dark: bool = False) -> None:
        """Make the window that wide, and the page believe in a medium and in what a person prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        preferred = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=preferred)

    def shoot(self, out: Path) -> Path:
        """The whole page as a PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, **self._whole())
        out.write_bytes(base64.b64decode(shot["data"]))
        return out

    def _whole(self) -> dict[str, Any]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}


@contextmanager
def browser(profile: Path, *options: str) -> Iterator[Browser]:
    """Chromium with a tab; it may reach nothing but this machine."""
    with launched(tool("chromium", "chromium"), profile, *options) as (send, receive):
        yield Browser(send, receive)
