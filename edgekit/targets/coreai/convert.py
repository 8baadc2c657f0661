"""An exported program to a program of Core AI, by Apple's converter."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from coreai import authoring
from coreai._compiler.dialects import coreai
from coreai_torch import TorchConverter, get_decomp_table
from coreai_torch._aten_to_core import _aten_to_core_resolver, _higher_order_resolver
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.errors import ModelError, UnsupportedOpError
from edgekit.support.text import reason_of
from edgekit.targets.common import no_op, perhaps, replaced

__all__ = ["bytecode"]

aten = torch.ops.aten


def bytecode(program: ExportedProgram) -> bytes:
    """The program as Core AI's bytecode, with input `image` and output `embedding`.

    Raises UnsupportedOpError for an op that coreai-torch does not know, ModelError where it fails otherwise.
    """
    numbers = itertools.count()

    def numbered(name: str) -> str:
        """In place of a suffix of random letters, which would make other bytes each time."""
        return f"{name}_{next(numbers)}"

    table = get_decomp_table()
    table.pop(aten.linear.default, None)
    try:
        program = program.run_decompositions(table)
        _check_known(program)
        converter = TorchConverter(mode=TorchConverter.Mode.RELEASE)
        converter.register_torch_lowering("aten::linear.default")(_Linear(program))
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
        node, reason = _failed_node(error), reason_of(error)
        if node is not None:
            raise UnsupportedOpError(f"{no_op('Core AI', str(node.target), node)} ({reason})") from error
        raise ModelError(f"coreai-torch cannot convert this model{perhaps(program)}: {reason}") from error


class _Linear:
    """A linear layer as one product and one sum, its weight turned here and not each time that the model runs."""

    def __init__(self, program: ExportedProgram) -> None:
        self._weights = dict(_constants(program))

    def __call__(self, values: dict[str, Any], node: Node, _location: Any) -> Any:
        taken, weight, *rest = node.args
        assert isinstance(taken, Node)
        assert isinstance(weight, Node)
        rows = values[taken.name]
        known = self._weights.get(weight.name)
        if known is None:
            turned = coreai.transpose(values[weight.name], np.array([1, 0], np.uint32))
        else:
            turned = coreai.constant(np.ascontiguousarray(known.detach().numpy().T))
        flat = rows.type.rank == 1
        product = coreai.broadcasting_batch_matmul(coreai.expand_dims(rows, [0]) if flat else rows, turned)
        product = coreai.shrink_dims(product, [0]) if flat else product
        bias = rest[0] if rest else node.kwargs.get("bias")
        return coreai.broadcasting_add(product, values[bias.name]) if isinstance(bias, Node) else product


def _constants(program: ExportedProgram) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights and constants of a program, by the name of the node that stands for each."""
    for spec in program.graph_signature.input_specs:
        if spec.target is not None:
            held = program.constants if spec.target in program.constants else program.state_dict
            if isinstance(value := held.get(spec.target), torch.Tensor):
                yield spec.arg.name, value


def _check_known(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OperatorBase):
            continue
        space, _, name = str(node.target).partition(".")
        known = {"aten": {*_aten_to_core_resolver, "linear.default"}, "higher_order": {*_higher_order_resolver}}
        if space not in ("coreai", "coreaix") and name not in known.get(space, ()) and not _is_check(node):
            raise UnsupportedOpError(no_op("Core AI", str(node.target), node))


def _is_check(node: Node) -> bool:
    """Whether a call only checks something, which the converter leaves out."""
    return str(node.target).startswith(("aten._assert", "aten.sym_constrain"))


def _failed_node(error: BaseException) -> Node | None:
    """The call that coreai-torch was converting when it raised, read from the traceback's frames."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "_handle_call_function_op":
            node = frame.f_locals["node"]
            return node if isinstance(node, Node) else None
    return None
