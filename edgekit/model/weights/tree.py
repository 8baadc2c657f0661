"""The tensors in a pickle's content, each under its full dotted name, whatever dict, list or module it is nested in."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch

from edgekit.errors import InputError
from edgekit.model.weights.archives import Archive, dtype_named, values
from edgekit.model.weights.pickles import Global, Made, bytes_of
from edgekit.model.weights.stored import Named, Stored, dtype_called, strided

__all__ = ["stored_array", "tensors"]

_MAX_DEPTH = 64
_MAX_VISITS = 1_000_000  # shared parts count as often as they are met
_MAX_NAME = 500
_MAX_DIMENSIONS = 64
_VIEWS = {  # arguments: storage, offset, shape, stride ...; and where a dtype of its own and a metadata flag may be
    "torch._utils._rebuild_tensor": (None, None),
    "torch._utils._rebuild_tensor_v2": (None, 6),
    "torch._utils._rebuild_tensor_v3": (6, 7),
}
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_TYPED = "torch._tensor._rebuild_from_type_v2"
_PLAIN = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch._tensor.Tensor")
_ODD = {
    "_rebuild_qtensor": "is a quantized tensor",
    "_rebuild_sparse_tensor": "is a sparse tensor, not a dense one",
    "_rebuild_meta_tensor_no_storage": "has no values (a meta tensor), and is not a dense tensor in memory",
    "_rebuild_nested_tensor": "is a nested tensor, not a dense one",
}

_ARRAYS = {  # numpy's dtypes
    "f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "b1": "bool",
}  # fmt: skip
_REBUILT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")  # and a state
_FROM_BYTES = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")  # since protocol 5


def tensors(archive: Archive) -> list[Named]:
    """Every tensor of the file, in its order, or every array of numpy where it holds no tensors.

    Raises InputError where they are nested beyond reason.
    """
    return _named(archive, lambda node: _stored(node, archive)) or _named(archive, stored_array)


def _named(archive: Archive, read: Callable[[Made], Stored | None]) -> list[Named]:
    stored, holders = _survey(archive, read)
    tensors: list[Named] = []
    met: set[int] = set()
    todo: list[tuple[Any, str, str, int, bool]] = [(archive.content, "", "", 0, False)]
    visits = 0
    insides: dict[int, list[tuple[str, Any]]] = {}
    while todo:
        node, name, group, depth, of_module = todo.pop()
        if id(node) in stored:
            tensors.append(Named(name, group, stored[id(node)], of_module))
            continue
        state = _module_state(node)
        if isinstance(node, Made) and state is None:  # objects point at each other; a module has a name in each place
            if id(node) in met:
                continue
            met.add(id(node))
        if id(node) not in insides:  # once: what is met a thousand times may be large
            insides[id(node)] = [pair for pair in _inside(node) if id(pair[1]) in stored or id(pair[1]) in holders]
        inside = insides[id(node)]
        visits += 1 + len(inside)
        if depth > _MAX_DEPTH or visits > _MAX_VISITS:
            raise InputError("its content is nested too deeply; save the state dict alone")
        own = name if state is None or not of_module else group
        for key, child in reversed(inside):
            longer = f"{name}.{key}" if name else key
            if len(longer) <= _MAX_NAME:
                todo.append((child, longer, own, depth + 1, of_module or state is not None))
    return tensors


def _survey(archive: Archive, read: Callable[[Made], Stored | None]) -> tuple[dict[int, Stored], set[int]]:
    """The tensors by the identity of what would have made them, and all that holds one, however deep."""
    stored: dict[int, Stored] = {}
    holders_of: defaultdict[int, list[int]] = defaultdict(list)
    seen = {id(archive.content)}
    todo = [archive.content]
    while todo:
        node = todo.pop()
        if isinstance(node, Made) and (tensor := read(node)) is not None:
            stored[id(node)] = tensor
            continue
        for _, child in _inside(node):
            if isinstance(child, dict | list | tuple | Made):
                holders_of[id(child)].append(id(node))
                if id(child) not in seen:
                    seen.add(id(child))
                    todo.append(child)
    holders: set[int] = set()
    climb = list(stored)
    while climb:
        for holder in holders_of[climb.pop()]:
            if holder not in holders:
                holders.add(holder)
                climb.append(holder)
    return stored, holders


def _inside(node: Any) -> Iterator[tuple[str, Any]]:
    state = _module_state(node)
    if state is not None:
        yield from _of_module(state)
    elif isinstance(node, dict | list | tuple | Made):
        yield from _children(node)


def _children(node: dict[Any, Any] | list[Any] | tuple[Any, ...] | Made) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from ((str(key), value) for key, value in node.items() if isinstance(key, str | int))
    elif isinstance(node, list | tuple):
        yield from ((str(index), value) for index, value in enumerate(node))
    else:
        yield from _children(node.items)
        yield from _children(node.entries)
        if node.of == "collections.OrderedDict" and isinstance(node.args, tuple):
            for pairs in node.args[:1]:  # protocols before 2
                pairs_of_two = [pair for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
                yield from ((str(key), value) for key, value in pairs_of_two if isinstance(key, str | int))
        states = node.state if isinstance(node.state, tuple) else (node.state,)
        for state in states:
            if isinstance(state, dict):
                yield from _children(state)


def _module_state(node: Any) -> dict[Any, Any] | None:
    """The state of a pickled torch module; None of anything else."""
    state = node.state if isinstance(node, Made) else None
    return state if isinstance(state, dict) and {"_parameters", "_modules"} <= state.keys() else None


def _of_module(state: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """What its state dict would hold: parameters, persistent buffers, and its parts."""
    left_out = {name for name in _members(state.get("_non_persistent_buffers_set")) if isinstance(name, str)}
    for table in ("_parameters", "_buffers", "_modules"):
        for key, value in _children(state.get(table) or {}):
            if table != "_buffers" or key not in left_out:
                yield key, value


def _members(node: Any) -> list[Any]:
    """Of a set as either protocol writes it."""
    if not isinstance(node, Made):
        return []
    given = node.args[0] if isinstance(node.args, tuple) and node.args else []
    return node.entries + (given if isinstance(given, list) else [])


def _stored(node: Made, archive: Archive) -> Stored | None:
    """The tensor that a call would have rebuilt; None where it rebuilds none."""
    of, args = node.of, node.args
    for _ in range(4):  # a parameter of a typed tensor
        if not isinstance(args, tuple):
            return None
        if of in _PARAMETERS and args and isinstance(args[0], Made):
            of, args = args[0].of, args[0].args
        elif of == _TYPED and len(args) > 2 and isinstance(args[0], Global) and isinstance(args[1], Global):
            if args[1].name not in _PLAIN:
                return _odd(f"is a {args[1].name.rsplit('.', 1)[-1][:60]}, not a plain tensor")
            of, args = args[0].name, args[2]
        else:
            break
    if of in _VIEWS and len(args) >= 4:
        return _view(args, *_VIEWS[of], archive)
    leaf = of.rsplit(".", 1)[-1]
    if of.startswith("torch.") and leaf.startswith("_rebuild_"):
        return _odd(_ODD.get(leaf, "is no plain tensor"))
    return None


def _view(args: tuple[Any, ...], dtype_at: int | None, flag_at: int | None, archive: Archive) -> Stored:
    saved, offset, shape, stride = args[:4]
    shape, stride = _numbers(shape), _numbers(stride)
    if shape is None or stride is None or type(offset) is not int:
        return _odd("has a shape that is no shape")
    if flag_at is not None and len(args) > flag_at and args[flag_at]:
        return _odd("is a conjugated or negated view, not a plain tensor")
    try:
        storage = archive.storage(saved)
    except InputError as error:  # matters only where this tensor is wanted
        return _odd(f"cannot be read: {error}", shape)
    own = args[dtype_at] if dtype_at is not None and len(args) > dtype_at else None
    dtype = dtype_named(own.name) if isinstance(own, Global) else storage.dtype
    if dtype is None:
        return _odd("is of a dtype that this torch does not have", shape)

    def load() -> torch.Tensor:
        whole = values(storage, dtype)
        part = strided(whole, offset, shape, stride)
        return part.clone() if part.numel() < whole.numel() else part  # a part must not keep the whole in memory

    return Stored(shape, dtype, load, (storage.place, str(offset)))


def stored_array(node: Made) -> Stored | None:
    """The array that a call would have rebuilt; None where it rebuilds none, or one of no numbers that torch has.

    numpy before and since 2.0 writes arrays in other words, and so do the protocols of pickle.
    """
    if node.of in _REBUILT and isinstance(node.state, tuple) and len(node.state) == 5:
        _, shape, kind, by_columns, data = node.state
    elif node.of in _FROM_BYTES and isinstance(node.args, tuple) and len(node.args) == 4:
        data, kind, shape, order = node.args
        by_columns = order == "F"
    else:
        return None
    dtype, values = _array_dtype(kind), bytes_of(data)
    whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if dtype is None or values is None or not whole:
        return None

    def load() -> torch.Tensor:
        if len(values) != math.prod(shape) * dtype.itemsize:
            raise InputError("is an array of another size than its bytes")
        flat = torch.frombuffer(bytearray(values), dtype=dtype) if values else torch.empty(0, dtype=dtype)
        return flat.reshape(shape[::-1]).permute(*range(len(shape))[::-1]) if by_columns else flat.reshape(shape)

    return Stored(shape, dtype, load, id(node))


def _array_dtype(kind: Any) -> torch.dtype | None:
    """Of numpy.dtype("f4"), whose state says the order of its bytes."""
    if not isinstance(kind, Made) or kind.of != "numpy.dtype" or not isinstance(kind.args, tuple) or not kind.args:
        return None
    state = kind.state if isinstance(kind.state, tuple) else ()
    if len(state) < 2 or state[1] not in ("<", "|") or not isinstance(kind.args[0], str):
        return None
    return dtype_called(_ARRAYS.get(kind.args[0], ""))


def _numbers(node: Any) -> tuple[int, ...] | None:
    """Of a shape or strides; None of anything else, which as a text could be endless."""
    if isinstance(node, Made) and node.of == "torch.Size":
        node = node.args[0]
    if not isinstance(node, tuple | list) or len(node) > _MAX_DIMENSIONS or any(type(n) is not int for n in node):
        return None
    return tuple(node)


def _odd(why: str, shape: tuple[int, ...] = ()) -> Stored:
    def load() -> torch.Tensor:
        raise InputError(why)

    return Stored(shape, None, load, object(), why)
