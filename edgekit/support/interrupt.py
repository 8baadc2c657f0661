"""Ctrl-C that cannot get lost: a toolchain may swallow the KeyboardInterrupt that hits it inside a callback."""

from __future__ import annotations

import signal
import sys
from types import FrameType

__all__ = ["asked", "check", "listen"]

_asked = False


def listen() -> None:
    """Remember Ctrl-C from now on, besides raising KeyboardInterrupt as Python does."""
    signal.signal(signal.SIGINT, _remember)
    shown = sys.unraisablehook

    def hook(failure: sys.UnraisableHookArgs) -> None:
        # Python prints what hits a finalizer, with its traceback; Ctrl-C is remembered, and no fault.
        if not issubclass(failure.exc_type, KeyboardInterrupt):
            shown(failure)

    sys.unraisablehook = hook


def asked() -> bool:
    """Whether Ctrl-C was pressed since `listen`: what fails after that may be what a library made of it."""
    return _asked


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed since `listen`."""
    if _asked:
        raise KeyboardInterrupt


def _remember(_signal: int, _frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
