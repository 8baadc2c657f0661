"""How EdgeKit runs a user's module: eagerly, in its weights' precision, without gradients, silent on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from torch.amp.autocast_mode import autocast

__all__ = ["plain"]


@contextmanager
def plain() -> Iterator[set[str]]:
    """Within it compiled functions run as they were written, and autocast regions keep their inputs' precision.

    Yields the device types of the autocast regions that were entered and would have made something narrower. What the
    module prints goes to stderr, because stdout is the command's. Not for several threads at once.
    """
    widened: set[str] = set()
    enter, leave = autocast.__enter__, autocast.__exit__

    def stay(region: Any) -> Any:
        if region._enabled:
            widened.add(region.device)
        return region

    # A class's methods are replaced because forward makes its regions itself; decorators enter the same way.
    autocast.__enter__ = stay  # type: ignore[method-assign]
    autocast.__exit__ = lambda region, *_: None  # type: ignore[method-assign]
    try:
        # no_grad, not inference_mode: what a module caches in there could not be traced later.
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), redirect_stdout(sys.stderr):
            yield widened
    finally:
        autocast.__enter__, autocast.__exit__ = enter, leave  # type: ignore[method-assign]
