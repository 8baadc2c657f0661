"""The layers of a prepared program that can be quantized, and the names a plan gives them and their tensors."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.graph.edit import arg, zero_padding
from edgekit.quantization.schemes import WEIGHTED

__all__ = [
    "KINDS",
    "SMALL",
    "Layer",
    "bias_of",
    "large",
    "layers",
    "moves",
    "names",
    "pixels",
    "static_tensors",
    "stored",
    "stored_name",
    "tied",
    "unlike_neighbours",
    "untouched",
    "values_of",
    "weight_name",
    "weights",
]

_aten = torch.ops.aten

# Operator -> what a plan calls it. An operator that is not here stays in float.
KINDS = {
    _aten.conv2d.default: "conv",
    _aten.linear.default: "linear",
    _aten.add.Tensor: "add",
    _aten.mul.Tensor: "mul",
    _aten.sigmoid.default: "sigmoid",
    _aten.mean.dim: "mean",
    _aten.adaptive_avg_pool2d.default: "pool",
}
SMALL = 2048  # weights or values: so few on fewer levels save nothing, and cost accuracy
_CLAMPS = (_aten.relu.default, _aten.relu6.default, _aten.hardtanh.default)  # that runtimes fold into the layer before
_UNNAMED = ("", "module")
# Operators that only move values about, or clip them: what they give has the levels of what they take.
MOVES = frozenset(
    f"aten.{name}"
    for name in (
        "view.default", "reshape.default", "permute.default", "transpose.int", "unsqueeze.default", "squeeze.dim",
        "squeeze.dims", "flatten.using_ints", "slice.Tensor", "select.int", "clone.default", "contiguous.default",
        "max_pool2d.default", "relu.default", "relu6.default", "hardtanh.default",
    )
)  # fmt: skip

_JOIN = "aten.cat.default"
_PADS = (_aten.pad.default, _aten.constant_pad_nd.default)
_WHITE = 255.0


@dataclass(frozen=True)
class Layer:
    """One operator that can run on integers.

    `inputs` are the nodes of its activations, `result` the node whose tensor is its output: itself, or the clamp that
    a runtime folds into it. A convolution whose zeros are put around its image first takes the image without them:
    runtimes pad integers. `weight` is the node of its weight, None for an operator without one.
    """

    name: str
    kind: str
    node: Node
    inputs: tuple[Node, ...]
    result: Node
    weight: Node | None


def names(program: ExportedProgram) -> dict[Node, str]:
    """A readable, unique name for the image and every tensor made from it: the module it came from, and the operator.

    `backbone.blocks.0.attn.proj` is a layer with a weight, `backbone.blocks.0:add` another operator of that module; a
    module's second tensor of a kind ends in #2. The same program always gives the same names.
    """
    called: dict[Node, str] = {}
    count: dict[str, int] = {}
    for node in program.graph.nodes:
        if node.name in program.graph_signature.user_inputs:
            called[node] = node.name
        if node.op != "call_function":
            continue
        stack = node.meta.get("nn_module_stack") or {}
        paths = [str(path) for path, _ in stack.values() if path not in _UNNAMED]
        path = paths[-1].removeprefix("module.") if paths else ""
        operator = str(node.target).removeprefix("aten.").split(".")[0]
        base = path if path and KINDS.get(node.target) in WEIGHTED else f"{path}:{operator}"
        count[base] = count.get(base, 0) + 1
        called[node] = base if count[base] == 1 else f"{base}#{count[base]}"
    return called


def layers(program: ExportedProgram) -> list[Layer]:
    """The layers of a program that can be quantized, in the order in which they run."""
    called = names(program)
    known = []
    for node in program.graph.nodes:
        kind = KINDS.get(node.target) if node.op == "call_function" else None
        if kind is None:
            continue
        weight = node.args[1] if kind in WEIGHTED else None
        arguments = node.args[:1] if kind not in ("add", "mul") else node.args[:2]
        inputs = tuple(item for item in arguments if isinstance(item, Node))
        if kind == "conv" and inputs and zero_padding(inputs[0]) is not None and len(inputs[0].users) == 1:
            inputs = (inputs[0].all_input_nodes[0],)
        if len(inputs) < len(arguments) or any(item not in called for item in inputs):
            continue  # a sum with a constant
        if kind == "conv" and weight is not None and weight.meta["val"].shape[1] == 1 < inputs[0].meta["val"].shape[1]:
            kind = "depthwise"
        users = list(node.users)
        clamped = kind in (*WEIGHTED, "add") and len(users) == 1 and users[0].target in _CLAMPS
        known.append(Layer(called[node], kind, node, inputs, users[0] if clamped else node, weight))
    return known


def values_of(node: Node) -> int:
    """How many values the tensor of a node has."""
    return math.prod(node.meta["val"].shape)


def large(layer: Layer) -> bool:
    """Whether a layer has so many weights that fewer bits save something."""
    return layer.weight is not None and values_of(layer.weight) > SMALL


def moves(node: Node) -> bool:
    """Whether what a node gives has the levels of what it takes: it moves values about, clips them, or adds zeros."""
    return str(node.target) in MOVES or zero_padding(node) is not None


def unlike_neighbours(layer: Layer) -> bool:
    """Whether a convolution of one pixel and one of more take the input of `layer` together.

    XNNPACK (executorch 1.5.1) runs the first as a matrix product; where both are to scale that input as the model
    runs, one gives wrong values and no error.
    """
    taken = layer.node.args[0]
    assert isinstance(taken, Node)
    users = [user for user in taken.users if user.target == _aten.conv2d.default]
    return len({_is_product(user) for user in users}) > 1


def _is_product(node: Node) -> bool:
    weight, stride = node.args[1], [*node.args[3:4], 1][0]
    assert isinstance(weight, Node)
    return set(weight.meta["val"].shape[2:]) == {1} and set(stride if isinstance(stride, list) else [stride]) == {1}


def weight_name(program: ExportedProgram, layer: Layer) -> str:
    """Where the weight of `layer` is kept: its name among the program's parameters, buffers and constants."""
    assert layer.weight is not None
    return stored_name(program, layer.weight)


def bias_of(layer: Layer) -> Node | None:
    """The node of a layer's bias, where it has one that is no other layer's."""
    bias = arg(layer.node, "bias") if layer.weight is not None else None
    return bias if isinstance(bias, Node) and len(bias.users) == 1 else None


def stored_name(program: ExportedProgram, node: Node) -> str:
    """Where the values of a weight or bias are kept: their name among parameters, buffers and constants."""
    return str({spec.arg.name: spec.target for spec in program.graph_signature.input_specs}[node.name])


def stored(program: ExportedProgram) -> dict[str, Any]:
    """The parameters, buffers and constants of a program, by name."""
    return {**program.constants, **program.state_dict}


def weights(program: ExportedProgram) -> dict[str, Tensor]:
    """The weight of every layer that has one, by the layer's name."""
    kept = stored(program)
    return {
        layer.name: kept[weight_name(program, layer)].detach() for layer in layers(program) if layer.weight is not None
    }


def untouched(program: ExportedProgram, dead: set[str]) -> list[Layer]:
    """The layers none of whose activations is one of the tensors called `dead`."""
    called = names(program)
    return [layer for layer in layers(program) if not {called[node] for node in (*layer.inputs, layer.result)} & dead]


def pixels(program: ExportedProgram) -> set[str]:
    """Names of the tensors that hold nothing but pixels, 0 to 255: the image, and what is moved or padded of it."""
    plain: dict[Node, str] = {}
    for node, name in names(program).items():
        inside = node.op == "placeholder"
        if node.op == "call_function" and node.all_input_nodes and node.all_input_nodes[0] in plain:
            filled = node.target in _PADS and 0 <= (arg(node, "value") or 0.0) <= _WHITE
            inside = str(node.target) in MOVES or filled
        if inside:
            plain[node] = name
    return set(plain.values())


def static_tensors(program: ExportedProgram, static: Collection[str]) -> dict[str, str]:
    """Name of each tensor that the layers called `static` need a range of -> name of the node that makes it."""
    called = names(program)
    return {
        called[node]: node.name
        for layer in layers(program)
        if layer.name in static
        for node in (*layer.inputs, layer.result)
    }


def tied(program: ExportedProgram) -> list[set[str]]:
    """Names of tensors that must have one range: those that only moving or joining parts. Runtimes move integers as
    they are, and XNNPACK refuses a concatenation whose parts have other ranges than the whole.
    """
    called = names(program)
    group: dict[Node, set[str]] = {node: {name} for node, name in called.items()}
    for node in program.graph.nodes:
        made = str(node.target)
        sources = node.args[0] if made == _JOIN else node.args[:1] if moves(node) else ()
        for source in sources:
            if source in group and group[source] is not group[node]:
                merged = group[source] | group[node]
                for member, name in called.items():
                    if name in merged:
                        group[member] = merged
    return [set(names) for names in {frozenset(names) for names in group.values()} if len(names) > 1]
