"""What the targets share: silence on the terminal, a check of a runner's input."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch.fx import Node

__all__ = ["check_images", "no_op", "quiet"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet(what: str) -> Iterator[None]:
    """Keep what a library prints, warns and draws off the terminal; it goes to this module's log at DEBUG instead."""
    captured = io.StringIO()
    disabled = logging.root.manager.disable
    if not log.isEnabledFor(logging.DEBUG):
        logging.disable(logging.CRITICAL)  # a handler made earlier writes past the redirection
    try:
        with contextlib.redirect_stdout(captured), contextlib.redirect_stderr(captured), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        if log.isEnabledFor(logging.DEBUG) and (text := captured.getvalue().strip()):
            log.debug("%s said:\n%s", what, text)


def no_op(runtime: str, name: str, node: Node | None) -> str:
    """The one line for an operator that a runtime lacks: what, where, which runtime, and what to do."""
    from edgekit.graph.edit import module_path

    where = "the model" if node is None else module_path(node)
    advice = "write that module with other ops, or export to another target"
    return f"{runtime} has no op for {name}, used in {where}: {advice}"


def check_images(images: np.ndarray, size: tuple[int, int]) -> None:
    """Check that `images` is uint8 [N,H,W,3] of `size` (height, width); raises UsageError otherwise."""
    if images.dtype != "uint8" or images.ndim != 4 or images.shape[1:] != (*size, 3):
        found = f"{images.dtype} {list(images.shape)}"
        raise UsageError(
            f"the artifact takes uint8 images [N, {size[0]}, {size[1]}, 3], not {found}: resize them first"
        )
