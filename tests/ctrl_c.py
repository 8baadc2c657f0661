"""Ctrl-C pressed at a chosen line of the code that is tested, so that every moment of it can be tried."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["interrupted_at"]


def interrupted_at(line: int, counts: Callable[[FrameType], bool], run: Callable[[], object]) -> bool:
    """Press Ctrl-C at the `line`th line that `run` comes to in functions that count; whether it came to that line."""
    left = line

    def lines(_frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        nonlocal left
        if event == "line" and (left := left - 1) == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return lines

    def calls(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        return lines if counts(frame) else None

    before = sys.gettrace()
    try:
        sys.settrace(calls)
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False
