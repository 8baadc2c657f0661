"""The tensors inside an `.onnx` file, which ONNX Runtime gives as outputs of a copy of the file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import InputError
from edgekit.support.text import reason_of
from edgekit.targets.base import Value
from edgekit.targets.onnx.session import session_options

__all__ = ["values"]

_AT_ONCE = 64  # tensors that are outputs of one run


def values(path: Path, image: np.ndarray) -> Iterator[Value]:
    """Every tensor that the file makes of one uint8 [H,W,3] image, in the order in which its nodes stand.

    The session fuses nothing, so that each node's output is there; a run gives 64 of them.
    """
    import onnx

    model = onnx.load(str(path))
    kinds = {name: node.op_type for node in model.graph.node for name in node.output if name}
    given = _given(model, image)
    names = iter(kinds)
    while chunk := list(islice(names, _AT_ONCE)):
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in chunk)
        for name, tensor in zip(chunk, _run(model, given, chunk, path), strict=True):
            if isinstance(tensor, np.ndarray):
                yield Value(name, kinds[name], tensor)


def _run(model: Any, given: dict[str, np.ndarray], names: list[str], path: Path) -> list[Any]:
    import onnxruntime as ort

    options = session_options(1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found: list[Any] = session.run(names, given)
    except Exception as error:  # ONNX Runtime raises classes of its own, without a common one
        raise InputError(f"{path}: its inner tensors cannot be had from ONNX Runtime ({reason_of(error)})") from error
    return found


def _given(model: Any, image: np.ndarray) -> dict[str, np.ndarray]:
    constants = {tensor.name for tensor in model.graph.initializer}
    (taken,) = (item for item in model.graph.input if item.name not in constants)
    if len(taken.type.tensor_type.shape.dim) == 4 and taken.type.tensor_type.elem_type == 2:  # uint8 [1,H,W,3]
        return {taken.name: image[None]}
    return {taken.name: image.transpose(2, 0, 1)[None].astype(np.float32)}
