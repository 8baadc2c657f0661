"""An exported program to a program of Core AI, by Apple's converter."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from coreai import authoring
from coreai_torch import get_decomp_table
from coreai_torch._aten_to_core import _aten_to_core_resolver, _higher_order_resolver
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.errors import ModelError, UnsupportedOpError
from edgekit.graph.levels import Levels
from edgekit.support.text import reason_of
from edgekit.targets.common import no_op, perhaps, replaced
from edgekit.targets.coreai.levels import Converter, lowerings

__all__ = ["bytecode"]

aten = torch.ops.aten


def bytecode(program: ExportedProgram, levels: Sequence[Levels] = ()) -> bytes:
    """The program as Core AI's bytecode, with input `image` and output `embedding`.

    Weights that are equal to one of `levels` are stored as codes.
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
        converter = Converter(levels)
        own = lowerings(converter, program)
        _check_known(program, own)
        for name, lowering in own.items():
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
        node, reason = _failed_node(error), reason_of(error)
        if node is not None:
            raise UnsupportedOpError(f"{no_op('Core AI', str(node.target), node)} ({reason})") from error
        raise ModelError(f"coreai-torch cannot convert this model{perhaps(program)}: {reason}") from error


def _check_known(program: ExportedProgram, own: Collection[str]) -> None:
    known = {f"aten::{name}" for name in _aten_to_core_resolver}
    known |= {f"higher_order::{name}" for name in _higher_order_resolver} | set(own)
    for node in program.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OperatorBase):
            continue
        if "::".join(str(node.target).split(".", 1)) not in known and not _is_check(node):
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
