"""An ONNX Runtime session whose 8-bit products are exact on the CPU that it runs on."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["EXACT_PRODUCTS", "saturates", "session_options"]

# Makes weights uint8 as the file is loaded, whose products ONNX Runtime adds in 32 bits on every x86 CPU. On those with
# VNNI it takes half as long again and is no more exact; elsewhere than on x86 it does nothing.
EXACT_PRODUCTS = {"session.x64quantprecision": "1"}

_UINT8, _INT8, _INT32 = 2, 3, 6  # onnx.TensorProto.DataType
_PIXEL, _WEIGHT, _TERMS = 255, 127, 4


def session_options(threads: int) -> Any:
    """Options of a session that runs on `threads` threads, logs nothing, and adds 8-bit products exactly."""
    options = _silent_options(threads)
    if saturates():
        for key, value in EXACT_PRODUCTS.items():
            options.add_session_config_entry(key, value)
    return options


@functools.cache
def saturates() -> bool:
    """Whether ONNX Runtime, as it is built, cuts sums of two 8-bit products off at 16 bits on this CPU.

    It does on x86 without VNNI. A product whose sums do not fit is computed and looked at, in less than a millisecond:
    no list of CPUs, builds and operating systems is needed.
    """
    import numpy as np
    import onnxruntime as ort

    session = ort.InferenceSession(_product(), _silent_options(1), providers=["CPUExecutionProvider"])
    (total,) = session.run(None, {"x": np.full((1, _TERMS), _PIXEL, np.uint8)})
    return int(total.item()) != _PIXEL * _WEIGHT * _TERMS


def _silent_options(threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    return options


def _product() -> bytes:
    """The ONNX file of `y = MatMulInteger(x, w)`, x uint8 [1,4] and w int8 [4,1], written without the package onnx.

    Numbers of fields are those of onnx.proto; importing onnx would cost a hundred times what the file does.
    """
    weight = _field(1, _TERMS) + _field(1, 1) + _field(2, _INT8) + _field(8, b"w")
    weight += _field(9, bytes([_WEIGHT] * _TERMS))
    node = _field(1, b"x") + _field(1, b"w") + _field(2, b"y") + _field(4, b"MatMulInteger")
    graph = _field(1, node) + _field(2, b"product") + _field(5, weight)
    graph += _field(11, _tensor(b"x", _UINT8, _TERMS)) + _field(12, _tensor(b"y", _INT32, 1))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 20))


def _tensor(name: bytes, kind: int, size: int) -> bytes:
    """A ValueInfoProto of a tensor [1,size]."""
    shape = b"".join(_field(1, _field(1, length)) for length in (1, size))
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _field(number: int, content: int | bytes) -> bytes:
    """A field of a protobuf message: a small number, or at most 127 bytes."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content
