"""Silence: what libraries print, warn, log and draw stays off the terminal, which is the command's."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

__all__ = ["quiet"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet(what: str, *, native: bool = False) -> Iterator[None]:
    """Keep what the library `what` prints, warns and logs off the terminal; DEBUG logging shows it afterwards.

    With `native` also what C++ code writes to the process's own stderr, which is lost; except under DEBUG logging,
    which lets it through.
    """
    debugging, disabled, captured = log.isEnabledFor(logging.DEBUG), logging.root.manager.disable, io.StringIO()
    if not debugging:
        logging.disable(logging.CRITICAL)  # a handler made earlier writes past the redirection
    try:
        with (
            _no_stderr() if native and not debugging else contextlib.nullcontext(),
            contextlib.redirect_stdout(captured),
            contextlib.redirect_stderr(captured),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        if debugging and (text := captured.getvalue().strip()):
            log.debug("%s said:\n%s", what, text)


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
