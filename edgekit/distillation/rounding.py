"""Training under a quantization plan: weights and inputs are rounded in every forward pass, gradients go past it.

Quantization-aware training (Jacob et al., 2018, arXiv 1712.05877) with the ranges of the plan; the plan that comes out
has the same ranges and fits the new weights. What is rounded is what a plan names and a module does: the weights of
convolutions and linear layers, and what they take. Sums and products between them are rounded where these take them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.fx import Node

from edgekit import graph
from edgekit.errors import UsageError
from edgekit.model.build import probe
from edgekit.model.embedder import Embedder, state_sha256
from edgekit.quantization import Plan
from edgekit.quantization.layers import KINDS, layers, names
from edgekit.quantization.plan import TensorPlan
from edgekit.quantization.schemes import SCHEMES, WEIGHTED
from edgekit.quantization.simulate import round_dynamic, rounded
from edgekit.quantization.weights import round_weight

__all__ = ["Rounding", "install", "roundings", "trained_plan"]

_WEIGHTED = tuple(str(target) for target, kind in KINDS.items() if kind in WEIGHTED)


@dataclass(frozen=True)
class Rounding:
    """What is done to one module: its weight in 8 bits a channel, its input in a range, or in its own."""

    range: TensorPlan | None = None
    dynamic: bool = False


def roundings(embedder: Embedder, plan: Plan) -> dict[str, Rounding]:
    """By name of the embedder's modules, what the plan asks for.

    Raises UsageError where the plan is for other weights or another size, or has weights of its own.
    """
    plan.check_fits(state_sha256(embedder), embedder.spec.size)
    if any(SCHEMES[row.scheme].coded for row in plan.layers):
        raise UsageError("training rounds weights to 8 bits, and this plan has fewer; give an 8-bit plan", field="plan")
    program = graph.checked(graph.capture(embedder, embedder.example()), graph.PREPARATION, probe(embedder)).program
    called, rows = names(program), {row.name: row for row in plan.layers}
    modules, by_module = dict(embedder.named_modules()), {}
    for layer in layers(program):
        row = rows.get(layer.name)
        name = re.sub(r"#\d+$", "", layer.name)  # parts of a module that the graph does one by one
        if row is None or row.scheme == "float" or layer.weight is None or name not in modules:
            continue
        taken = called[layer.inputs[0]]
        scheme = SCHEMES[row.scheme]
        static = scheme.static and not _is_image(layer.inputs[0])
        by_module[name] = Rounding(plan.tensors.get(taken) if static else None, scheme.activations == "dynamic")
    if not by_module:
        raise UsageError(
            "this plan leaves every layer in float, so there is nothing to train for; give a plan that quantizes some"
        )
    return by_module


def _is_image(node: Node) -> bool:
    """Whether a value is the image but for its normalisation, which a graph and a module do in different places."""
    return str(node.target) not in _WEIGHTED and all(map(_is_image, node.all_input_nodes))


def install(embedder: nn.Module, rows: Mapping[str, Rounding]) -> None:
    """Let the modules that `rows` names round from now on, in training and evaluation, also in copies of them.

    Batch norms then keep their statistics: a plan's ranges come from a graph that has them folded in.
    """
    for module in embedder.modules() if rows else ():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(_keep_statistics)
    for name, row in rows.items():
        module = embedder.get_submodule(name)
        module.register_forward_pre_hook(partial(_before, row))
        module.register_forward_hook(_after, always_call=True)


def trained_plan(plan: Plan, embedder: Embedder) -> Plan:
    """The plan for the weights that were trained under it; their biases are right for rounded weights already."""
    rows = tuple(row.model_copy(update={"damage": {}, "shifted": False}) for row in plan.layers)
    return plan.model_copy(update={"weights_sha256": state_sha256(embedder), "layers": rows, "weights": None})


def _before(row: Rounding, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Round a module's input, and put a rounded weight in front of its own for this one call."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    # An attribute in an object's own dictionary hides the parameter of that name.
    module.__dict__["weight"] = round_weight(weight.float()).to(weight.dtype)
    image, *rest = args
    if row.range is not None:
        image = rounded(image.float(), row.range).to(image.dtype)
    elif row.dynamic:
        image = round_dynamic(image.float()).to(image.dtype)
    return image, *rest


def _keep_statistics(module: nn.Module, args: tuple[Any, ...]) -> None:
    module.training = False


def _after(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
    module.__dict__.pop("weight", None)
