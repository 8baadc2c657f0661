"""An exported program to a program of Core AI, by Apple's converter."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from coreai import authoring
from coreai_torch import get_decomp_table
from coreai_torch._aten_to_core import _aten_to_core_resolver, _higher_order_resolver
from torch._decomp import decomposition_table
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.errors import ModelError, UnsupportedOpError
from edgekit.graph.edit import module_path, source_of, to_graph, to_program, val
from edgekit.graph.fold_constants import fold_constants
from edgekit.graph.levels import Levels
from edgekit.support.text import reason_of
from edgekit.targets.common import converted_last, no_op, perhaps, replaced
from edgekit.targets.coreai.levels import OWN, Converter, lowerings

__all__ = ["bytecode"]

aten = torch.ops.aten
_ROUNDS = 5  # what an operator is decomposed into may be unknown as well


def bytecode(program: ExportedProgram, levels: Sequence[Levels] = ()) -> bytes:
    """The program as Core AI's bytecode, with input `image` and output `embedding`.

    Weights that are equal to one of `levels` are stored as codes.
    Raises UnsupportedOpError for an op that coreai-torch does not know, ModelError where it fails otherwise.
    """
    numbers = itertools.count()

    def numbered(name: str) -> str:
        """In place of a suffix of random letters, which would make other bytes each time."""
        return f"{name}_{next(numbers)}"

    try:
        program = _decomposed(program)
        converter = Converter(levels)
        for name, lowering in lowerings(converter, program).items():
            converter.register_torch_lowering(name)(lowering)
        converter.add_exported_program(program, input_names=["image"], output_names=["embedding"])
        with (
            replaced(authoring.func, _randomize_fn_name=numbered),
            replaced(authoring.graph_builder, _randomize_fn_name=numbered),
            TemporaryDirectory() as folder,
        ):
            converter.to_coreai().save_asset(Path(folder) / "main.aimodel")
            return (Path(folder) / "main.aimodel" / "main.mlirb").read_bytes()
    except UnsupportedOpError:
        raise
    except Exception as error:
        node, reason = converted_last(error, "_handle_call_function_op"), reason_of(error)
        if isinstance(node, Node):
            raise UnsupportedOpError(f"{no_op('Core AI', str(node.target), node)} ({reason})") from error
        raise ModelError(f"coreai-torch cannot convert this model{perhaps(program)}: {reason}") from error


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    """The program in operators that the converter knows, by Apple's table, and by torch's own for what that leaves."""
    table = get_decomp_table()
    table.pop(aten.linear.default, None)
    table.update(_OWN_SPELLINGS)
    program = first = program.run_decompositions(table)
    spellings: dict[Any, Any] = {**decomposition_table, **_OWN_SPELLINGS}
    for _ in range(_ROUNDS):
        unknown = {node.target for node in _unknown(program)}
        more = {target: spelled for target, spelled in spellings.items() if target in unknown}
        if not more:
            break
        program = program.run_decompositions(more)
    for node in _unknown(program):
        blamed = [other for other in _unknown(first) if module_path(other) == module_path(node)]
        named = blamed[0] if blamed else node
        raise UnsupportedOpError(no_op("Core AI", str(named.target), named))
    for node in program.graph.find_nodes(op="call_function", target=operator.getitem):
        # The places that coreai-torch 0.4.3 gives beside maxima are not PyTorch's.
        if node.args[1] == 1 and source_of(node).target is aten.max_pool2d_with_indices.default:
            raise UnsupportedOpError(no_op("Core AI", f"the places of {source_of(node).target}", source_of(node)))
    _keep_casts(program)
    graph_module = to_graph(program)
    # What came of operators that were spelled out.
    return to_program(graph_module, program) if fold_constants(graph_module, decode=False) else program


def _keep_casts(program: ExportedProgram) -> None:
    """Cut fractions off before a cast to whole numbers, and compare with zero in place of a cast to booleans: Core AI's
    compiler (coreai-core 1.0.0b3) takes a cast there and back for no cast, whatever it lost.
    """
    graph = program.graph
    for node in graph.find_nodes(op="call_function", target=aten._to_copy.default):
        source = source_of(node)
        dtype, before = val(node).dtype, val(source).dtype
        if dtype == torch.bool and before != torch.bool:
            node.target, node.args, node.kwargs = aten.ne.Scalar, (source, 0), {}
        elif before.is_floating_point and not dtype.is_floating_point:
            with graph.inserting_before(node):
                whole = graph.call_function(aten.trunc.default, (source,))
            whole.meta = dict(source.meta)
            node.args = (whole,)


def _remainder(dividend: torch.Tensor, divisor: float) -> torch.Tensor:
    """coreai-torch 0.4.3 knows remainders of tensors alone."""
    return aten.remainder.Tensor(dividend, torch.full_like(dividend, divisor))


def _smallest(values: torch.Tensor, axis: int | None = None, keepdim: bool = False) -> torch.Tensor:
    return aten.argmax.default(-values, axis, keepdim)


def _mean_of_all(image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """torch spells a global pool with strides, which Core AI does not have."""
    return aten.mean.dim(image, [-2, -1], True) if [*size] == [1, 1] else NotImplemented


def _or_number(condition: torch.Tensor, values: torch.Tensor, number: float) -> torch.Tensor:
    return aten.where.self(condition, values, torch.full((), number, dtype=values.dtype))


def _is_nan(values: torch.Tensor) -> torch.Tensor:
    return aten.ne.Tensor(values, values)


def _uncounted(
    image: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil: bool = False,
    counts_padding: bool = True,
    divisor: int | None = None,
) -> torch.Tensor:
    """coreai-torch 0.4.3 counts the padding in an average pool that is not to count it."""
    if counts_padding or divisor is not None or not any(padding):
        return NotImplemented
    ones = torch.ones([1, 1, *image.shape[-2:]], dtype=image.dtype)
    means, shares = (aten.avg_pool2d.default(values, kernel, stride, padding, ceil, True) for values in (image, ones))
    return means / shares


_OWN_SPELLINGS = {
    aten.adaptive_avg_pool2d.default: _mean_of_all,
    aten.argmin.default: _smallest,
    aten.avg_pool2d.default: _uncounted,
    aten.isnan.default: _is_nan,
    aten.remainder.Scalar: _remainder,
    aten.where.ScalarOther: _or_number,
}


def _unknown(program: ExportedProgram) -> Iterator[Node]:
    known = {f"aten::{name}" for name in _aten_to_core_resolver} | OWN
    known |= {f"higher_order::{name}" for name in _higher_order_resolver}
    for node in program.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OperatorBase):
            continue
        if "::".join(str(node.target).split(".", 1)) not in known and not _is_check(node):
            yield node


def _is_check(node: Node) -> bool:
    """Whether a call only checks something, which the converter leaves out."""
    return str(node.target).startswith(("aten._assert", "aten.sym_constrain"))
