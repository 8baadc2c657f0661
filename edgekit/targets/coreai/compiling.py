"""Core AI's compiler for this machine, run as a process of its own: a crash of it is then an error like others.

Takes an asset and a folder, and writes `written.aimodelx`, the program as it stands in the asset; and one that this
machine runs sooner, where there is one (coreai-core 1.0.0b3). `same.aimodelx` has each padding as a copy into a
constant, which is seven times as fast; `near.aimodelx` also has each matrix product of half numbers in float32, and its
result rounded, which is a hundred times as fast.
It gives itself bounds, as the asset may be hostile, and imports nothing of EdgeKit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from coreai import authoring
from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import (
    compile_to_binary,
    load_module_from_bytecode,
    serialize_module,
)
from coreai._compiler.dialects import coreai
from coreai._compiler.ir import DenseElementsAttr, F16Type, F32Type, InsertionPoint, RankedTensorType

__all__ = ["compile_asset"]


# A backbone takes 1 to 4 seconds, 0.7 GB of address space and 3 times the size of its file.
_SECONDS = 300  # of CPU time
_MEMORY, _DISK, _TIMES = 1 << 32, 1 << 30, 8  # bytes, and so many times the size of the asset


def _bound(asset: Path) -> None:
    """Let this process not use more than any honest asset needs."""
    if sys.platform == "win32":
        return
    import resource

    size = _TIMES * (asset / "main.mlirb").stat().st_size
    bounds = {"CPU": _SECONDS, "AS": _MEMORY + size, "FSIZE": _DISK + size, "CORE": 0}
    for name, most in bounds.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        own = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (own, hard))


def compile_asset(asset: Path, folder: Path) -> None:
    """Write the compiled programs of the asset into the folder."""
    module = _load(asset)
    _compile(module, folder / "written.aimodelx")
    module = _load(asset)
    changed = _quicken(module)
    if changed:
        _compile(module, folder / ("near.aimodelx" if _PRODUCT in changed else "same.aimodelx"))


def _load(asset: Path) -> Any:
    return load_module_from_bytecode(context=authoring.Context()._mlir_context, path=asset / "main.mlirb")


def _compile(module: Any, folder: Path) -> None:
    folder.mkdir()
    compile_to_binary(module=module, output_directory=folder)
    serialize_module(module=module, path=folder / "main-universal.odix")


def _quicken(module: Any) -> set[str]:
    """The names of the operators of which some were changed."""
    changed = set()
    with module.context, module.operation.location:
        for op in list(_operations(module.operation)):
            name = op.name
            if name in _QUICKER and _QUICKER[name](op):
                changed.add(name)
    return changed


def _operations(op: Any) -> Iterator[Any]:
    for region in op.regions:
        for block in region:
            for inner in block.operations:
                yield inner.operation
                yield from _operations(inner.operation)


def _copied(op: Any) -> bool:
    """Put a copy into a constant in place of a padding with one value, where all sizes are known."""
    taken, amounts, value = op.operands
    result = op.results[0]
    if "constant" not in str(op.attributes["padding_mode"]) or not RankedTensorType(result.type).has_static_shape:
        return False
    known, filled = _constant(amounts), _constant(value)
    if known is None or filled is None or not filled.is_splat:
        return False
    before = np.array(known).reshape(-1, 2)[:, 0].astype(np.int32)
    sizes = np.array(RankedTensorType(taken.type).shape, np.int32)
    with InsertionPoint(op), op.location:
        whole = coreai.ConstantOp(value=DenseElementsAttr.get_splat(result.type, filled.get_splat_value())).result
        steps = np.ones(len(sizes), np.int32)
        copy = coreai.slice_update(whole, before, before + sizes, steps, taken)
    result.replace_all_uses_with(copy)
    op.erase()
    return True


def _widened(op: Any) -> bool:
    """Compute a matrix product of half numbers in float32."""
    result, half, wide = op.results[0], F16Type.get(), F32Type.get()
    if any(value.type.element_type != half for value in (*op.operands, result)):
        return False
    with InsertionPoint(op), op.location:
        product = coreai.broadcasting_batch_matmul(*(coreai.cast(value, wide) for value in op.operands))
        rounded = coreai.cast(product, half)
    result.replace_all_uses_with(rounded)
    op.erase()
    return True


_PRODUCT = "coreai.decomposable.broadcasting_batch_matmul"
_QUICKER = {"coreai.pad": _copied, _PRODUCT: _widened}


def _constant(value: Any) -> Any:
    """The elements of a constant that stand in the program's text; None for others."""
    owner = value.owner
    if getattr(owner, "name", "") != "coreai.constant":
        return None
    held = owner.attributes["value"]
    return DenseElementsAttr(held) if DenseElementsAttr.isinstance(held) else None


if __name__ == "__main__":
    _bound(Path(sys.argv[1]))
    compile_asset(Path(sys.argv[1]), Path(sys.argv[2]))
