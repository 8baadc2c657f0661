"""Arrays of numpy in a pickle's content, as numpy before and since 2.0 writes them with any protocol."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError
from edgekit.model.weights.pickles import Made
from edgekit.model.weights.stored import Stored

if TYPE_CHECKING:
    import torch

__all__ = ["stored_array"]

_DTYPES = {
    "f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "b1": "bool",
}  # fmt: skip
_REBUILT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")  # and a state
_FROM_BYTES = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")  # since protocol 5


def stored_array(node: Made) -> Stored | None:
    """The array that a call would have rebuilt; None where it rebuilds none, or one of no numbers that torch has."""
    if node.of in _REBUILT and isinstance(node.state, tuple) and len(node.state) == 5:
        _, shape, kind, by_columns, data = node.state
    elif node.of in _FROM_BYTES and isinstance(node.args, tuple) and len(node.args) == 4:
        data, kind, shape, order = node.args
        by_columns = order == "F"
    else:
        return None
    dtype, values = _dtype(kind), _bytes(data)
    whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if dtype is None or values is None or not whole:
        return None

    def load() -> torch.Tensor:
        import torch

        if len(values) != math.prod(shape) * dtype.itemsize:
            raise InputError("is an array of another size than its bytes")
        flat = torch.frombuffer(bytearray(values), dtype=dtype) if values else torch.empty(0, dtype=dtype)
        return flat.reshape(shape[::-1]).permute(*range(len(shape))[::-1]) if by_columns else flat.reshape(shape)

    return Stored(shape, dtype, load, id(node))


def _dtype(kind: Any) -> torch.dtype | None:
    """Of numpy.dtype("f4"), whose state says the order of its bytes."""
    import torch

    if not isinstance(kind, Made) or kind.of != "numpy.dtype" or not isinstance(kind.args, tuple) or not kind.args:
        return None
    state = kind.state if isinstance(kind.state, tuple) else ()
    if len(state) < 2 or state[1] not in ("<", "|") or not isinstance(kind.args[0], str):
        return None
    found = getattr(torch, _DTYPES.get(kind.args[0], ""), None)
    return found if isinstance(found, torch.dtype) else None


def _bytes(data: Any) -> bytes | bytearray | None:
    """Protocols before 3 write bytes as a text to be encoded."""
    if isinstance(data, Made) and data.of == "_codecs.encode" and isinstance(data.args, tuple):
        text = data.args[0] if data.args else None
        return text.encode("latin-1") if isinstance(text, str) else None
    return data if isinstance(data, bytes | bytearray) else None
