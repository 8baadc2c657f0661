"""Quantized layers and weights on few levels, as Core AI stores them and computes with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from coreai._compiler.ir import DenseResourceElementsAttr, F16Type, F32Type, IntegerType, RankedTensorType
from coreai_torch._compression._intx import pack_intx, pack_uintx
from coreai_torch.converter import TorchConverter, coreai
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.graph.edit import args_of, val
from edgekit.graph.levels import CENTER, Levels, finder

__all__ = ["OWN", "Converter", "lowerings"]

_BYTE = 8  # bits
_Lowering = Callable[[dict[str, Any], Node, Any], Any]


class Converter(TorchConverter):
    """Apple's converter, which stores the weights that are equal to one of `levels` as codes."""

    def __init__(self, levels: Sequence[Levels] = ()) -> None:
        super().__init__(mode=TorchConverter.Mode.RELEASE)
        self._find = finder(levels, np.float16)  # a program may be in half precision by now
        self._numbers = itertools.count()

    def _constant_from_tensor(self, tensor: torch.Tensor) -> Any:
        if tensor.dtype in (torch.float16, torch.float32):
            values = tensor.detach().cpu().numpy()
            match = self._find(values)
            if match is not None:
                return self._decoded(values.dtype, *match)
        return super()._constant_from_tensor(tensor)

    def _decoded(self, dtype: np.dtype, levels: Levels, transposed: bool) -> Any:
        codes = np.ascontiguousarray(levels.codes.T if transposed else levels.codes)
        if levels.table is not None:
            table = levels.table.astype(dtype).reshape(*[1] * codes.ndim, -1, 1)
            return coreai.lut_to_dense(
                self._packed(codes, levels.bits, signed=False), coreai.constant(table), np.array(0, np.int16)
            )
        assert levels.scales is not None
        steps = codes.astype(np.int8) - CENTER
        scales = levels.scales.astype(dtype)
        scales = (
            np.ascontiguousarray(scales.T) if transposed else scales.reshape(*scales.shape, *[1] * (codes.ndim - 2))
        )
        zeros = np.zeros(scales.shape, np.int8)
        return coreai.blockwise_shift_scale(
            self._packed(steps, levels.bits, signed=True),
            coreai.constant(scales),
            self._packed(zeros, levels.bits, signed=True),
            coreai.constant(np.zeros(scales.shape, dtype)),
        )

    def _packed(self, values: np.ndarray, bits: int, *, signed: bool) -> Any:
        """A constant of integers of so many bits, stored side by side."""
        kind = IntegerType.get_signed(bits) if signed else IntegerType.get_unsigned(bits)
        flat = torch.from_numpy(np.ascontiguousarray(values)).reshape(-1)
        held = flat if bits == _BYTE else (pack_intx if signed else pack_uintx)(flat, bits)
        name = f"resource_{next(self._numbers)}"
        attribute = DenseResourceElementsAttr.get_from_buffer(
            held.numpy(), name, RankedTensorType.get(values.shape, kind)
        )
        return coreai.ConstantOp(value=attribute).result


OWN = frozenset((
    "aten::linear.default",
    "quantized_decomposed::quantize_per_tensor.default",
    "quantized_decomposed::dequantize_per_tensor.default",
    "quantized_decomposed::dequantize_per_channel.default",
))  # fmt: skip


def lowerings(converter: TorchConverter, program: ExportedProgram) -> dict[str, _Lowering]:
    """By operator of `OWN`, what a linear layer and the operators of a quantized program become."""
    known = dict(_constants(program))
    rows: dict[str, _Lowering] = {
        "linear": _Linear(converter, known),
        "quantize_per_tensor": _quantize,
        "dequantize_per_tensor": _dequantize,
        "dequantize_per_channel": _Channels(known),
    }
    return {name: rows[name.partition("::")[2].removesuffix(".default")] for name in sorted(OWN)}


class _Linear:
    """A linear layer as one product and one sum, its weight turned here and not each time that the model runs."""

    def __init__(self, converter: TorchConverter, known: Mapping[str, torch.Tensor]) -> None:
        self._converter, self._known, self._channels = converter, known, _Channels(known)

    def __call__(self, values: dict[str, Any], node: Node, location: Any) -> Any:
        taken, weight, *rest = args_of(node)
        rows = values[taken.name]
        flat = rows.type.rank == 1
        product = coreai.broadcasting_batch_matmul(
            coreai.expand_dims(rows, [0]) if flat else rows, self._turned(values, weight, location)
        )
        product = coreai.shrink_dims(product, [0]) if flat else product
        bias = rest[0] if rest else node.kwargs.get("bias")
        return coreai.broadcasting_add(product, values[bias.name]) if isinstance(bias, Node) else product

    def _turned(self, values: dict[str, Any], weight: Node, location: Any) -> Any:
        if weight.name in self._known:
            return self._converter._constant_from_tensor(self._known[weight.name].detach().T.contiguous())
        if "dequantize_per_channel" in str(weight.target):
            return self._channels(values, weight, location, turned=True)
        return coreai.transpose(values[weight.name], np.array([1, 0], np.uint32))


class _Channels:
    """A weight in 8 bits, with a scale for each output channel."""

    def __init__(self, known: Mapping[str, torch.Tensor]) -> None:
        self._known = known

    def __call__(self, values: dict[str, Any], node: Node, _location: Any, turned: bool = False) -> Any:
        held, scales, zeros = (self._known[item.name].detach() for item in node.all_input_nodes[:3])
        axis, codes = args_of(node)[3], held.numpy()
        if turned:
            codes, axis = codes.T, 1 - axis
        kind = _kind(scales.numpy(), val(node).dtype)
        steps = _steps(scales.numpy(), zeros.numpy(), kind)
        codes = coreai.constant(np.ascontiguousarray(codes))
        return _cast(coreai.dequantize(codes, *steps, np.array(axis, np.int32)), val(node).dtype)


def _quantize(values: dict[str, Any], node: Node, _location: Any) -> Any:
    taken, scale, zero = args_of(node)[:3]
    kind = _kind(scale, val(taken).dtype)
    return coreai.quantize(_cast(values[taken.name], kind), *_steps(scale, zero, kind), _FIRST)


def _dequantize(values: dict[str, Any], node: Node, _location: Any) -> Any:
    taken, scale, zero = args_of(node)[:3]
    steps = _steps(scale, zero, _kind(scale, val(node).dtype))
    return _cast(coreai.dequantize(values[taken.name], *steps, _FIRST), val(node).dtype)


_FIRST = np.array(0, np.int32)  # an axis, of which one scale for a whole tensor makes no use


def _kind(scales: Any, dtype: torch.dtype) -> torch.dtype:
    """The precision to compute between integers and numbers of `dtype` in: half only where it has all digits of each
    scale, which a weight that a batch norm made small leaves soon.
    """
    whole = np.min(scales) >= torch.finfo(dtype).smallest_normal and np.max(scales) <= torch.finfo(dtype).max
    return dtype if whole else torch.float32


def _cast(value: Any, dtype: torch.dtype) -> Any:
    kind = F16Type.get() if dtype == torch.float16 else F32Type.get()
    return value if value.type.element_type == kind else coreai.cast(value, kind)


def _steps(scales: Any, zeros: Any, dtype: torch.dtype) -> tuple[Any, Any, Any]:
    kind = torch.zeros(0, dtype=dtype).numpy().dtype
    return (
        coreai.constant(np.array(scales, kind)),
        coreai.constant(np.array(zeros, np.int8)),
        coreai.constant(np.zeros(np.shape(scales), kind)),
    )


def _constants(program: ExportedProgram) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights and constants of a program, by the name of the node that stands for each."""
    for spec in program.graph_signature.input_specs:
        if spec.target is not None:
            held = program.constants if spec.target in program.constants else program.state_dict
            if isinstance(value := held.get(spec.target), torch.Tensor):
                yield spec.arg.name, value
