"""Whether ExecuTorch's runtime takes a file that was just written: what it refuses, it refuses only when it runs."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import torch
from executorch.extension.pybindings import portable_lib
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.errors import ModelError, UnsupportedOpError
from edgekit.graph.edit import op_name
from edgekit.support.text import reason_of
from edgekit.targets.common import no_op, perhaps

__all__ = ["probe"]

_FAILED_OP = re.compile(
    r"in operator (?:aten::)?([A-Za-z_0-9:]+?)(?:\.[A-Za-z_0-9]*)?:|Failed to create (?:a )?([A-Za-z_0-9]+) node"
)
_RUNTIME = "ExecuTorch's runtime"
_MOST_AXES = 6  # of XNNPACK's tensors, https://github.com/google/XNNPACK/blob/master/include/xnnpack.h


def probe(buffer: bytes, program: ExportedProgram) -> None:
    """Load the program and run it once on a black image.

    Raises:
        UnsupportedOpError: an operator that the runtime refuses; names it and its module.
        ModelError: the runtime refuses the program and names no operator.
    """
    with tempfile.TemporaryFile() as log, _to_file(log):
        try:
            loaded = portable_lib._load_for_executorch_from_buffer(buffer)
            meta = loaded.method_meta("forward").input_tensor_meta(0)
            shape = tuple(meta.sizes())
            image = torch.zeros(shape, dtype=torch.uint8 if shape[-1] == 3 and shape[1] != 3 else torch.float32)
            loaded.run_method("forward", (image,))
        except Exception as error:
            raise _explained(error, log, program) from error


def _explained(error: Exception, log: BinaryIO, program: ExportedProgram) -> ModelError:
    log.seek(0)
    said = log.read().decode("utf-8", "replace")
    missing = ["".join(names) for names in _FAILED_OP.findall(said)]
    wide = next((item for item in program.graph.nodes if _rank(item) > _MOST_AXES), None)
    if not missing and wide is not None:
        kind = f"{wide.target} of a tensor with {_rank(wide)} axes"
        return UnsupportedOpError(no_op(_RUNTIME, kind, wide))
    if not missing:
        reason = reason_of(error)
        return ModelError(
            f"{_RUNTIME} refuses the program that was made for it{perhaps(program)} ({reason}): "
            'try `precision="fp32"`, or another target'
        )
    name = missing[-1].removesuffix("_copy")
    names = {item: op_name(item) for item in program.graph.nodes if item.op == "call_function"}
    if name == "convolution":  # one of all kinds of convolution: XNNPACK takes those of images
        node = max((item for item in names if names[item].startswith("conv")), key=_rank, default=None)
    else:
        node = next((item for item in names if names[item] == name), None)
    return UnsupportedOpError(no_op(_RUNTIME, f"aten.{name}", node, program))


def _rank(node: Node) -> int:
    value = node.meta.get("val") if node.op == "call_function" else None
    return len(getattr(value, "shape", ()))


@contextlib.contextmanager
def _to_file(file: BinaryIO) -> Iterator[None]:
    """Send what C++ code writes to the terminal's error channel into `file` while this lasts.

    It writes to Python's channel where there is one, which a notebook or a test has in another place.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        with open(file.fileno(), "w", closefd=False) as text, contextlib.redirect_stderr(text):
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
