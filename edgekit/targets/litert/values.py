"""The tensors inside a `.tflite` file, which LiteRT's interpreter keeps where it is asked to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekit.targets.base import Value

__all__ = ["values"]


def values(path: Path, image: np.ndarray) -> Iterator[Value]:
    """Every tensor that the file makes of one uint8 [H,W,3] image, in the order of its operators.

    LiteRT's own kernels compute them: XNNPACK, which phones run, keeps no tensor between two operators.
    """
    from ai_edge_litert.interpreter import OpResolverType

    from edgekit.support.quiet import quiet
    from edgekit.targets.common import running
    from edgekit.targets.litert.session import interpreter
    from edgekit.targets.litert.verify import verified

    content = path.read_bytes()
    verified(content, path)
    with quiet("ai_edge_litert", native=True), running("LiteRT"):
        made = interpreter(
            content,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        (taken,) = made.get_input_details()
        channels_last = int(taken["shape"][3]) == 3
        given = (image if channels_last else image.transpose(2, 0, 1))[None]
        made.set_tensor(taken["index"], np.ascontiguousarray(given, taken["dtype"]))
        made.invoke()
        tensors = {int(item["index"]): item for item in made.get_tensor_details()}
    for step in made._get_ops_details():
        for index in map(int, step["outputs"]):
            item = tensors[index]
            scale, zero = item["quantization"]
            tensor = made.get_tensor(index)
            real = (tensor.astype(np.float32) - zero) * scale if scale else tensor
            yield Value(str(item["name"]), str(step["op_name"]), real)
